"""Names and their codes, however many there are."""

from typing import Any

import pytest

from notifhist.store.database import Database, ensure_connected, open_database
from notifhist.store.deliveries import names
from notifhist.store.deliveries.names import ensure_codes, find_codes, names_of
from notifhist.store.deliveries.table import NAMED

STATE, TYPE = NAMED[:2]
MANY = 70_000
"""More than a statement of either database has parameters."""


def test_more_names_than_a_statement_has_parameters(db: Database) -> None:
    wanted = [(STATE.column, f"state {n}") for n in range(MANY)]
    with db.writing():
        codes = ensure_codes(db, 1, wanted[:3])
    assert find_codes(db, 1, wanted) == codes
    assert names_of(db, 1, STATE, range(1, MANY)) == {codes[name]: name[1] for name in wanted[:3]}
    assert names_of(db, 1, TYPE, range(1, MANY)) == names_of(db, 2, STATE, range(1, MANY)) == {}
    assert names_of(db, 1, STATE, []) == {}


def test_names_are_remembered_by_their_codes_unless_one_is_long(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    long = "x" * (names._SHORT_CHARACTERS + 1)
    with db.writing():
        codes = list(ensure_codes(db, 1, [(STATE.column, "short"), (STATE.column, long)]).values())
    execute, executed = db.execute_sql, list[str]()

    def note_and_execute(sql: str, params: Any = None) -> Any:
        executed.append(sql)
        return execute(sql, params)

    monkeypatch.setattr(db, "execute_sql", note_and_execute)
    for wanted, statements in ((codes[:1], 1), (codes[:1], 0), (codes, 3), (codes, 3)):
        executed.clear()
        assert list(names_of(db, 1, STATE, wanted).values()) == ["short", long][: len(wanted)]
        assert len(executed) == statements


def test_only_so_many_names_are_remembered(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(names, "_MOST_BY_CODE", 2)
    for each in (STATE, TYPE):
        with db.writing():
            codes = ensure_codes(db, 1, [(each.column, f"name {n}") for n in range(3)])
        for (_, name), code in codes.items():
            assert names_of(db, 1, each, [code]) == {code: name}
            assert sum(map(len, db.remembered[names._BY_CODE].values())) <= names._MOST_BY_CODE
        assert names_of(db, 1, each, codes.values()) == {code: name for (_, name), code in codes.items()}


def test_sqlite_finds_each_name_by_the_key(sqlite_database: str) -> None:
    """With the tables the other way round, 5,000 names took 10 s to find among 10,000."""
    db = open_database(sqlite_database)
    ensure_connected(db)
    find = names._FIND.format(param=db.param_table(names._PARAM))
    plan = db.execute_sql(f"EXPLAIN QUERY PLAN {find}", {"tenant_id": 1, "param": "[]"}).fetchall()
    db.close()
    steps = [step[-1] for step in plan]
    assert steps[0].startswith("SCAN json_each")
    assert steps[1] == "SEARCH name USING PRIMARY KEY (tenant_id=? AND column_name=? AND digest=?)"

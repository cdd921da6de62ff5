"""Names and their codes, however many there are."""

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

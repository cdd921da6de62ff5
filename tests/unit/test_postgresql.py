import sys

import peewee
import psycopg
import pytest

from notifhist.config import ConfigError
from notifhist.store.database import PostgresqlDatabase, ensure_connected, is_unreachable, open_database, postgresql
from tests.unit.tenant_rows import connection_of, count


def test_a_postgresql_connection_that_was_cut_off_is_replaced(postgres_database: str) -> None:
    database = open_database(postgres_database)
    ensure_connected(database)
    assert isinstance(database, PostgresqlDatabase)
    pid = connection_of(database).info.backend_pid
    with psycopg.connect(postgres_database, autocommit=True) as other:
        other.execute("SELECT pg_terminate_backend(CAST(%s AS integer))", (pid,))
    database._thread.used_at = 0.0  # as if the connection had been idle for long
    ensure_connected(database)
    assert connection_of(database).info.backend_pid != pid
    assert count(database) == 0
    database.close()


def test_a_postgresql_server_that_is_not_there_is_unreachable() -> None:
    database = open_database("postgresql://127.0.0.1:1/none")
    with pytest.raises(peewee.OperationalError) as raised:
        ensure_connected(database)
    assert is_unreachable(raised.value)


@pytest.mark.parametrize("scheme", ["postgres", "postgresql"])
def test_both_schemes_of_postgresql_are_taken(scheme: str, postgres_database: str) -> None:
    database = open_database(postgres_database.replace("postgresql", scheme, 1))
    ensure_connected(database)
    assert count(database) == 0
    database.close()


def vacuums(database: PostgresqlDatabase, times: int, table: str = "delivery_recent") -> tuple[int, list[str]]:
    """Give back what was deleted so often; return how many vacuums there were, and of what the server warned."""
    warned: list[str] = []
    connection_of(database).add_notice_handler(lambda each: warned.append(each.message_primary))
    done = 0

    def watch(sql: str, *arguments: object) -> object:
        nonlocal done
        done += sql.startswith("VACUUM")
        return execute(sql, *arguments)

    execute = database.execute_sql
    setattr(database, "execute_sql", watch)  # noqa: B010  # it is a method
    for _ in range(times):
        database.give_back_deleted(table)
    return done, warned


@pytest.mark.usefixtures("postgres_url")  # one that is named need not let us be another user
@pytest.mark.parametrize(
    ("role", "dear_from_s", "wanted"), [("", 60.0, 3), ("", -1.0, 1), ("pg_read_all_data", 60.0, 0)]
)
def test_deleted_rows_are_given_back_by_the_owner_and_after_a_long_time_not_at_once_again(
    role: str, dear_from_s: float, wanted: int, postgres_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgresql, "_VACUUM_S", dear_from_s)
    database = open_database(postgres_database)
    ensure_connected(database)
    assert isinstance(database, PostgresqlDatabase)
    if role:
        database.execute_sql(f"SET ROLE {role}")
    assert vacuums(database, 3) == (wanted, [])
    database.close()


def test_what_is_deleted_is_not_given_back_again_at_once_if_that_failed_after_a_long_time(
    postgres_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgresql, "_VACUUM_S", -1.0)
    database = open_database(postgres_database)
    ensure_connected(database)
    assert isinstance(database, PostgresqlDatabase)
    database.give_back_deleted("no_such_table")
    database.execute_sql("CREATE TEMPORARY TABLE no_such_table (n integer)")
    assert vacuums(database, 3, "no_such_table") == (0, [])
    database.close()


def test_postgresql_without_its_driver_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(ConfigError, match=r"pip install 'notifhist\[postgres\]'"):
        open_database("postgresql://h/d")

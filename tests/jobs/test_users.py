import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from jobs.users import DatabaseError, transaction


def count(database: str) -> int:
    with transaction(database) as connection:
        (users,) = connection.execute("SELECT count(*) FROM users").fetchone()
        return int(users)


@pytest.fixture
def database(tmp_path: Path) -> str:
    return str(tmp_path / "data" / "users.db")


def test_the_first_use_makes_the_folder_the_tables_and_the_users(database: str) -> None:
    assert count(database) == 60


def test_a_later_use_changes_nothing(database: str) -> None:
    with transaction(database) as connection:
        connection.execute("DELETE FROM users WHERE id > 1")
    assert count(database) == 1


def test_an_empty_file_is_filled(database: str) -> None:
    Path(database).parent.mkdir()
    Path(database).touch()
    assert count(database) == 60


def test_an_exception_undoes_the_whole_transaction_the_first_filling_too(database: str) -> None:
    def fail() -> None:
        with transaction(database) as connection:
            connection.execute("DELETE FROM users")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    with closing(sqlite3.connect(database)) as connection:
        assert connection.execute("SELECT count(*) FROM sqlite_master").fetchone() == (0,)
    assert count(database) == 60


def test_processes_that_open_it_at_once_fill_it_once(database: str) -> None:
    code = f"from jobs.users import transaction\nwith transaction({database!r}): pass"
    environ = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    processes = [subprocess.Popen([sys.executable, "-c", code], env=environ) for _ in range(4)]
    assert [process.wait(60) for process in processes] == [0, 0, 0, 0]
    assert count(database) == 60


def test_a_database_that_another_process_holds_is_a_failure_that_says_so(database: str) -> None:
    count(database)
    with closing(sqlite3.connect(database, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(DatabaseError, match=f"^{database}: database is locked$"), transaction(database, patience=0):
            pass


def test_a_file_that_is_no_database_is_a_failure_that_names_it(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("milk, bread, " * 100)
    with pytest.raises(DatabaseError, match=f"^{path}: file is not a database$"), transaction(str(path)):
        pass
    assert path.read_text().startswith("milk")


def test_a_folder_that_cannot_be_made_is_a_failure_that_names_the_database(tmp_path: Path) -> None:
    (tmp_path / "data").touch()
    path = f"{tmp_path}/data/users.db"
    with pytest.raises(DatabaseError, match=f"^{path}: .*File exists"), transaction(path):
        pass

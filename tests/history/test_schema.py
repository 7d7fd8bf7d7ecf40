import os
import sqlite3
import stat
from contextlib import closing
from pathlib import Path

import pytest
from samples import NOON, Writer, closed, opened, write

from supervisor.core.runs import Saved, SlotId
from supervisor.errors import JobvisorError
from supervisor.history import query
from supervisor.history.files import open_for_writing
from supervisor.history.schema import MIGRATIONS, VERSION, NewerSchemaError, migrate, version_of


def first_version(path: Path) -> None:
    """Make a file as the first release wrote it, with a run and a slot."""
    with closing(sqlite3.connect(path)) as db:
        db.executescript(f"BEGIN;{MIGRATIONS[0]};PRAGMA user_version = 1;COMMIT;")
        db.execute(
            "INSERT INTO runs (run_id, job, instance, lane, started_at, ended_at, outcome, final, attempt, trigger) "
            "VALUES (7, 'feed', 1, 0, 1796126400000000, 1796126402000000, 'ok', 1, 1, 'schedule')"
        )
        db.commit()


def test_a_file_of_every_earlier_version_is_brought_up_to_date(tmp_path: Path) -> None:
    path = tmp_path / "history.db"
    first_version(path)
    db, fresh = open_for_writing(path)
    with closing(db):
        assert not fresh
        assert version_of(db) == VERSION
    assert [row["run_id"] for row in query.runs(path)] == [7]


def test_only_the_missing_steps_of_a_migration_run(tmp_path: Path) -> None:
    path = tmp_path / "history.db"
    first_version(path)
    steps = (*MIGRATIONS[:1], "ALTER TABLE runs ADD COLUMN host TEXT;", "UPDATE runs SET host = 'here';")
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        migrate(db, steps)
        assert db.execute("PRAGMA user_version").fetchone() == (3,)
        assert db.execute("SELECT run_id, host FROM runs").fetchall() == [(7, "here")]


def test_a_migration_that_fails_half_way_is_undone(tmp_path: Path) -> None:
    path = tmp_path / "history.db"
    first_version(path)
    broken = (*MIGRATIONS[:1], "ALTER TABLE runs ADD COLUMN host TEXT; INSERT INTO nowhere VALUES (1);")
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        with pytest.raises(sqlite3.OperationalError, match="nowhere"):
            migrate(db, broken)
        assert db.execute("PRAGMA user_version").fetchone() == (1,)
        assert "host" not in {column[1] for column in db.execute("PRAGMA table_info(runs)")}


def test_a_newer_file_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "history.db"
    write(path, opened(1))
    with closing(sqlite3.connect(path)) as db:
        db.execute(f"PRAGMA user_version = {VERSION + 1}")
    before = path.read_bytes()
    with pytest.raises(NewerSchemaError, match=rf"history\.db.*newer Jobvisor \(schema {VERSION + 1}"), Writer(path):
        pytest.fail("a newer file was taken")
    with pytest.raises(JobvisorError, match="newer Jobvisor"):
        query.runs(path)
    assert path.read_bytes() == before


def test_a_reader_of_an_older_file_says_who_brings_it_up_to_date(tmp_path: Path) -> None:
    path = tmp_path / "history.db"
    path.touch()
    with pytest.raises(JobvisorError, match="jobvisor run"):
        query.runs(path)


@pytest.mark.parametrize("umask", [0o000, 0o777])
def test_the_files_are_their_owners_alone_whatever_the_umask(tmp_path: Path, umask: int) -> None:
    path = tmp_path / "history.db"
    old = os.umask(umask)
    try:
        db, _ = open_for_writing(path)
    finally:
        os.umask(old)
    with closing(db):
        files = list(tmp_path.iterdir())
        assert {file.name for file in files} == {"history.db", "history.db-wal", "history.db-shm"}
        assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}


def test_a_path_with_signs_of_its_own_meaning_in_addresses_works(tmp_path: Path) -> None:
    folder = tmp_path / "50% off? #1"
    folder.mkdir()
    write(folder / "history.db", closed(1), Saved(slot=SlotId("feed"), cursor=NOON))
    assert [row["run_id"] for row in query.runs(folder / "history.db")] == [1]
    assert {file.name.removesuffix("-wal").removesuffix("-shm") for file in folder.iterdir()} == {"history.db"}


def test_every_commit_reaches_the_disk(tmp_path: Path) -> None:
    db, _ = open_for_writing(tmp_path / "history.db")
    with closing(db):
        assert db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert db.execute("PRAGMA synchronous").fetchone() == (2,)


def test_unfinished_rows_are_found_without_reading_all_others(tmp_path: Path) -> None:
    db, _ = open_for_writing(tmp_path / "history.db")
    with closing(db):
        sql = "SELECT run_id FROM runs WHERE (ended_at IS NULL OR final IS NULL) AND run_id < 9 ORDER BY run_id"
        plan = " ".join(step[3] for step in db.execute(f"EXPLAIN QUERY PLAN {sql}"))
    assert "runs_unfinished" in plan

import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest
from conftest import eventually
from samples import FEED, NOON, Writer, attempt, closed, opened, write

from supervisor.core.runs import Finalized, ForgottenGroup, Outcome, Saved, SavedGroup, SlotId
from supervisor.history import query
from supervisor.history.recovery import LOST


def test_a_first_start_finds_nothing(tmp_path: Path) -> None:
    recovered = write(tmp_path / "history.db")
    assert (recovered.next_run_id, recovered.saved, recovered.lost) == (1, {}, ())
    assert len(recovered.installation) == 32


def test_ids_saved_slots_and_the_installation_go_on_over_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "history.db"
    states = (Saved(slot=FEED, held=True, cursor=NOON), Saved(slot=SlotId("web", 2), runs=3, last=closed(1)))
    first = write(path, opened(1), closed(1), *states)
    again = write(path)
    assert again.next_run_id == 2
    assert again.saved == {state.slot: state for state in states}
    assert again.installation == first.installation
    assert again.lost == ()


def test_saved_groups_go_on_over_a_restart_until_they_are_forgotten(tmp_path: Path) -> None:
    path = tmp_path / "history.db"
    group, other = SavedGroup(group="g", gave_up="too often", restarted_at=(NOON,)), SavedGroup(group="h", restarts=2)
    write(path, SavedGroup(group="g"), group, other)
    assert write(path, ForgottenGroup(group="h")).groups == {"g": group, "h": other}
    assert write(path).groups == {"g": group}


def test_a_saved_group_that_cannot_be_read_begins_anew_and_says_so(tmp_path: Path) -> None:
    path = tmp_path / "history.db"
    write(path, SavedGroup(group="g"), SavedGroup(group="h"))
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("UPDATE groups SET saved = '{}' WHERE name = 'g'")
    with Writer(path) as writer:
        assert set(writer.recovered.groups) == {"h"}
        eventually(lambda: writer.warnings)
    assert "group g" in writer.warnings[0]


def test_a_run_without_an_end_is_lost(tmp_path: Path) -> None:
    path = tmp_path / "history.db"
    write(path, opened(1), opened(2, slot=SlotId("web"), due_at=None))
    recovered = write(path)
    assert [(row.run, row.outcome, row.final) for row in recovered.lost] == [
        (attempt(1), Outcome.LOST, True),
        (attempt(2, slot=SlotId("web"), due_at=None), Outcome.LOST, True),
    ]
    row = query.run(path, 1)
    assert row is not None
    assert (row["outcome"], row["reason"], row["final"]) == ("lost", LOST, True)
    assert row["ended_at"] == "2026-12-01T12:00:00Z"
    assert row["duration_s"] is None
    assert write(path).lost == ()


def test_a_retry_that_still_waited_leaves_the_failed_attempt_final(tmp_path: Path) -> None:
    path = tmp_path / "history.db"
    write(path, opened(1), closed(1, Outcome.FAILED, final=False))
    recovered = write(path)
    assert recovered.lost == ()
    assert recovered.records == (Finalized(run_id=1),)
    row = query.run(path, 1)
    assert row is not None
    assert (row["outcome"], row["final"]) == ("failed", True)


def test_of_a_lost_retry_only_the_last_attempt_is_final(tmp_path: Path) -> None:
    path = tmp_path / "history.db"
    write(path, opened(1), closed(1, Outcome.FAILED, final=False), opened(2, number=2))
    assert [row.run.run_id for row in write(path).lost] == [2]
    rows = [query.run(path, run_id) for run_id in (1, 2)]
    assert [row and (row["outcome"], row["final"]) for row in rows] == [("failed", False), ("lost", True)]


def test_a_row_whose_end_was_dropped_before_its_retry_is_lost_and_not_final(tmp_path: Path) -> None:
    path = tmp_path / "history.db"
    write(path, opened(1), opened(2, number=2), closed(2, number=2))
    recovered = write(path)
    assert [(row.run.run_id, row.final) for row in recovered.lost] == [(1, False)]
    assert [row and row["final"] for row in (query.run(path, 1), query.run(path, 2))] == [False, True]


def test_a_lost_run_that_is_retried_is_final_no_more(tmp_path: Path) -> None:
    path = tmp_path / "history.db"
    write(path, opened(1))
    with Writer(path) as writer:
        assert [row.run.run_id for row in writer.recovered.lost] == [1]
        writer.keep(opened(2, number=2))
        writer.keep(closed(2, number=2))
    rows = [query.run(path, run_id) for run_id in (1, 2)]
    assert [row and (row["outcome"], row["final"]) for row in rows] == [("lost", False), ("ok", True)]


def test_a_clock_that_was_set_back_makes_no_negative_duration(tmp_path: Path) -> None:
    path = tmp_path / "history.db"
    write(path, closed(1), opened(2))
    with Writer(path) as writer:
        [lost] = writer.recovered.lost
    assert lost.duration == timedelta(0)


def test_a_saved_slot_that_cannot_be_read_begins_anew_and_says_so(tmp_path: Path) -> None:
    path = tmp_path / "history.db"
    write(path, Saved(slot=FEED), Saved(slot=SlotId("web"), held=True))
    subprocess.run(
        [sys.executable, "-c", _SPOIL, str(path)],
        check=True,
    )
    with Writer(path) as writer:
        assert set(writer.recovered.saved) == {SlotId("web")}
        eventually(lambda: writer.warnings)
    assert "job feed" in writer.warnings[0]


_SPOIL = """
import sqlite3, sys
with sqlite3.connect(sys.argv[1]) as db:
    db.execute("UPDATE slots SET saved = '{}' WHERE job = 'feed'")
"""

_WRITE_FOR_EVER = """
import asyncio, sys
from pathlib import Path
sys.path[:0] = [sys.argv[2]]
from samples import NOON, FEED, attempt, closed, opened
from supervisor.core.runs import Saved
from supervisor.history.thread import History

async def main():
    ids, saved = {}, []
    def acknowledged(run_ids):
        for run_id in run_ids:
            print(run_id, flush=True)
    loop = asyncio.get_running_loop()
    history = History(Path(sys.argv[1]), loop=loop, acknowledged=acknowledged, warn=print, keep_runs=10**9)
    run_id = history.start(NOON).next_run_id
    while True:
        history.keep([Saved(slot=FEED, runs=run_id), opened(run_id)], [run_id])
        if run_id % 2:
            history.keep([closed(run_id)])
        run_id += 1
        await asyncio.sleep(0)

asyncio.run(main())
"""


@pytest.mark.parametrize("lines", [1, 50, 400])
def test_every_acknowledged_run_has_its_row_after_kill_9(tmp_path: Path, lines: int) -> None:
    path = tmp_path / "history.db"
    folder = str(Path(__file__).parent)
    command = [sys.executable, "-c", _WRITE_FOR_EVER, str(path), folder]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        told = [process.stdout.readline() for _ in range(lines)]
        os.kill(process.pid, signal.SIGKILL)
        told += process.stdout.readlines()
    acknowledged = {int(line) for line in told if line.endswith("\n")}
    assert len(acknowledged) >= lines
    recovered = write(path)
    rows = {row["run_id"]: row for row in query.runs(path)}
    assert acknowledged <= set(rows)
    assert recovered.next_run_id > max(acknowledged)
    assert recovered.saved[FEED].runs == recovered.next_run_id - 1
    assert {row["outcome"] for row in rows.values()} <= {"ok", "lost"}
    assert {row.run.run_id for row in recovered.lost} == {
        number for number, row in rows.items() if row["outcome"] == "lost"
    }

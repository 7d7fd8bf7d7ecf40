from collections.abc import Iterator
from pathlib import Path

import pytest
from delegated import delegated
from rig import Rig, real

from supervisor.engine.accounting import account

CODE = """
import subprocess, time
def busy():
    subprocess.run(["python3", "-c", "x = bytearray(30 << 20); n = sum(range(3_000_000))"])
    subprocess.Popen(["env", "-i", "setsid", "sleep", "1000"])
    print("up", flush=True)
    time.sleep(1000)
"""


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    with delegated(tmp_path) as claimed, real(tmp_path, CODE, cgroup=claimed) as made:
        yield made


def test_all_that_a_run_has_started_counts(rig: Rig) -> None:
    run_id = rig.run("busy")
    rig.up(run_id)
    path = rig.call(lambda: rig.engine.cgroup_of(run_id))
    told = account(path)
    assert told is not None
    assert told["path"] == path
    assert told["processes"] == 2
    assert told["cpu_s"] > 0.01
    assert told["throttled_s"] in {None, 0.0}
    has_memory = Path(path, "memory.current").exists()
    assert (told["memory_bytes"] is not None) is has_memory
    rig.kill(run_id)
    rig.ended(run_id)
    assert account(path) is None
    assert rig.call(lambda: rig.engine.cgroup_of(run_id)) is None

"""Pids that are used again at once: nobody who has got the pid of a job is ever taken for it."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

LAST_PID = Path("/proc/sys/kernel/ns_last_pid")
HERE = Path(__file__).parent

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="a pid namespace needs root"),
    pytest.mark.skipif(shutil.which("unshare") is None, reason="unshare makes the pid namespace"),
    pytest.mark.skipif(not LAST_PID.exists(), reason="the kernel lets nobody choose a pid (CONFIG_CHECKPOINT_RESTORE)"),
]


@pytest.mark.parametrize("cgroups", ["with a cgroup", "without"])
def test_no_stranger_with_a_pid_of_a_job_is_signalled(tmp_path: Path, cgroups: str) -> None:
    folders = (HERE, HERE.parent, HERE.parent / "chaos", HERE.parent.parent)
    hide = "mount -t tmpfs none /sys/fs/cgroup && " if cgroups == "without" else ""
    scene = ["sh", "-c", f'{hide}"$0" "$@"; exit $?', sys.executable, str(HERE / "reuse.py"), str(tmp_path)]
    done = subprocess.run(
        ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child", *scene],
        env={**os.environ, "PYTHONPATH": ":".join(map(str, folders))},
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout)
    assert seen["harmed"] == []
    assert seen["reused"] > 20, seen
    assert (seen["code"], seen["left"]) == (0, [])
    assert "Traceback" not in (tmp_path / "run.log").read_text()

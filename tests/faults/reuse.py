"""Played in a pid namespace of its own, where every process gets the lowest pid that is free, at once.

Jobs come and go, and strangers who are leaders of sessions of their own get the pids that the jobs had. What was seen
is printed: how often a stranger had a job's pid, and which of them were signalled.
"""

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

from asking import ask
from conftest import eventually
from program import JOBVISOR, Program

LOWEST = 300
"""Pids below are left to what the kernel started first (RESERVED_PIDS of kernel/pid.c)."""
SECONDS = 6.0
MANIFEST = """
[supervisor]
vitals = "100ms"
[defaults]
backoff = { initial = "10ms", factor = 1, jitter = 0 }
settle = "10ms"
stop_timeout = "1s"
log = "null"
""" + "".join(
    f"""
[jobs.mortal{number}]
command = "echo $$ >> pids; sleep 0.0{number + 1}"
shell = true
[jobs.family{number}]
command = "echo $$ >> pids; setsid sh -c 'echo $$ >> pids; exec sleep 1000' & sleep 0.2{number}"
shell = true
[jobs.due{number}]
command = "echo $$ >> pids"
shell = true
every = "100ms"
"""
    for number in range(4)
)


def lowest_pids(is_over: threading.Event) -> None:
    while not is_over.wait(0.0005):
        Path("/proc/sys/kernel/ns_last_pid").write_text(str(LOWEST))


class Strangers:
    """Processes that come and go beside the jobs, and how each of them ended."""

    def __init__(self, pids: Path) -> None:
        self._pids = pids
        self.reused: set[int] = set()
        self.harmed: list[tuple[int, int]] = []
        self.count = 0

    def play(self, is_over: threading.Event) -> None:
        living: list[subprocess.Popen[bytes]] = []
        while not is_over.is_set() or living:
            for each in [one for one in living if one.poll() is not None]:
                living.remove(each)
                if each.returncode:
                    self.harmed.append((each.pid, each.returncode))
            if len(living) < 12 and not is_over.is_set():
                living.append(subprocess.Popen(["sleep", "0.15"], start_new_session=True))
                self.count += 1
                with suppress(FileNotFoundError):
                    if str(living[-1].pid) in self._pids.read_text().split():
                        self.reused.add(living[-1].pid)
            time.sleep(0.002)


def orders(folder: Path, program: Program, until: float) -> None:
    luck = random.Random(1)  # noqa: S311  # to be repeated
    killed = 0
    while time.monotonic() < until:
        name = f"{luck.choice(['mortal', 'family', 'due'])}{luck.randrange(4)}"
        ask(folder, luck.choice(["restart", "stop", "start"]), names=[name], wait=False)
        ask(folder, "signal", names=[name], signal=int(signal.SIGURG))
        if time.monotonic() > until - SECONDS * (2 - killed) / 3:
            killed += 1
            os.kill(program.part("engine.forkserver"), signal.SIGKILL)
        time.sleep(0.01)


def main() -> None:
    folder = Path(sys.argv[1])
    program = Program(folder)
    program.write(MANIFEST)
    with (folder / "run.log").open("a") as log:
        program.supervisor = subprocess.Popen([*JOBVISOR, "run"], cwd=folder, stdout=log, stderr=log, text=True)
    eventually(lambda: ask(folder, "ping"))
    is_over = threading.Event()
    strangers = Strangers(folder / "pids")
    threads = [threading.Thread(target=lowest_pids, args=(is_over,))]
    threads.append(threading.Thread(target=strangers.play, args=(is_over,)))
    for thread in threads:
        thread.start()
    orders(folder, program, time.monotonic() + SECONDS)
    program.end()
    is_over.set()
    for thread in threads:
        thread.join()
    seen = {"strangers": strangers.count, "reused": len(strangers.reused), "harmed": strangers.harmed}
    print(json.dumps(seen | {"code": program.supervisor.returncode, "left": left()}))  # noqa: T201  # for the test


def left() -> list[str]:
    """Return what is left in the namespace beside this process and the shell that started it."""
    found = []
    for each in Path("/proc").iterdir():
        if each.name.isdigit() and int(each.name) not in {1, os.getpid()}:
            with suppress(OSError):
                found.append((each / "cmdline").read_bytes().replace(b"\0", b" ").decode())
    return [words for words in found if words]


if __name__ == "__main__":
    main()

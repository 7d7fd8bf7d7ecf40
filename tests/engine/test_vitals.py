"""CPU and memory of whole jobs, measured in slices."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from conftest import eventually

from supervisor.core.status import Vital
from supervisor.engine import vitals
from supervisor.engine.vitals import Vitals

BUSY = "while True: pass"
FAMILY = "import subprocess; subprocess.run(['sleep', '1000'])"


@contextmanager
def program(code: str) -> Iterator[int]:
    with subprocess.Popen([sys.executable, "-S", "-c", code], start_new_session=True) as process:
        try:
            yield process.pid
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            with suppress(ChildProcessError):  # its children are ours where an engine has made us their subreaper
                os.waitpid(-process.pid, 0)


async def sampled(measured: Vitals, times: int = 1, pause: float = 0.2) -> dict[int, Vital]:
    for _ in range(times):
        measured.sample(asyncio.get_running_loop())
        await over(measured)
        await asyncio.sleep(pause)
    return dict(measured.readings)


async def over(measured: Vitals) -> int:
    """Wait for the end of a sample; return how many turns the loop had meanwhile."""
    turns = 0
    while measured._going is not None:  # the turns are what is counted
        await asyncio.sleep(0)
        turns += 1
    return turns


def test_the_first_cpu_is_unknown_and_the_second_is_measured() -> None:
    with program(BUSY) as pid:
        measured = Vitals(lambda: {7: pid})
        first = asyncio.run(sampled(measured))[7]
        assert first.cpu_percent is None
        eventually(lambda: (asyncio.run(sampled(measured))[7].rss_bytes or 0) > 1_000_000)
        eventually(lambda: (asyncio.run(sampled(measured))[7].cpu_percent or 0) > 1)


def test_an_idle_job_uses_nothing() -> None:
    with program("import time; time.sleep(1000)") as pid:
        readings = asyncio.run(sampled(Vitals(lambda: {7: pid}), 3))
    assert readings[7].cpu_percent is not None
    assert readings[7].cpu_percent < 50


def test_a_job_is_its_process_and_all_below_it() -> None:
    with program(FAMILY) as pid:
        measured = Vitals(lambda: {7: pid})
        give_up_at = time.monotonic() + 60
        while len(measured._watched[7].processes if measured._watched else ()) < 2:
            asyncio.run(sampled(measured, pause=0.01))
            assert time.monotonic() < give_up_at


def test_pss_is_read_at_some_samples_and_kept() -> None:
    with program("import time; time.sleep(1000)") as pid:
        readings = asyncio.run(sampled(Vitals(lambda: {7: pid}), vitals.PSS_EVERY, pause=0))
    assert readings[7].pss_bytes is not None
    assert readings[7].rss_bytes is not None
    assert 0 < readings[7].pss_bytes <= readings[7].rss_bytes


def test_a_job_that_is_gone_has_no_reading() -> None:
    with program("import time; time.sleep(1000)") as pid:
        jobs = {7: pid}
        measured = Vitals(lambda: jobs)
        assert asyncio.run(sampled(measured)).keys() == {7}
        jobs.clear()
        assert asyncio.run(sampled(measured)) == {}


def test_a_process_that_dies_within_a_sample_is_no_error() -> None:
    with program("pass") as pid:
        assert asyncio.run(sampled(Vitals(lambda: {7: pid, 8: 2**22 - 1}))).keys() == {7, 8}


def test_a_sample_gives_the_loop_its_turn_between_slices() -> None:
    async def turns() -> int:
        measured = Vitals(lambda: dict.fromkeys(range(1, 400), pid))
        measured.sample(asyncio.get_running_loop())
        count = await over(measured)
        assert len(measured.readings) == 399
        return count

    with ExitStack() as stack:
        pid = stack.enter_context(program("import time; time.sleep(1000)"))
        assert asyncio.run(turns()) > 2


def test_a_second_sample_while_one_goes_on_is_that_one() -> None:
    async def twice() -> None:
        measured = Vitals(lambda: dict.fromkeys(range(1, 400), pid))
        measured.sample(asyncio.get_running_loop())
        going = measured._going
        measured.sample(asyncio.get_running_loop())
        assert measured._going is going
        await over(measured)

    with program("import time; time.sleep(1000)") as pid:
        asyncio.run(twice())


def test_a_job_that_wakes_after_a_rest_is_measured_anew_with_what_it_starts(tmp_path: Path) -> None:
    wake = tmp_path / "wake"
    os.mkfifo(wake)
    code = f"import subprocess\nopen({str(wake)!r}).read()\nkept = b'x' * 50_000_000\nsubprocess.run(['sleep', '1000'])"
    with program(code) as pid:
        measured = Vitals(lambda: {7: pid})
        eventually(lambda: asyncio.run(sampled(measured, 2, pause=0.01))[7].cpu_percent == 0.0)
        rested = measured.readings[7].rss_bytes or 0
        wake.write_text("")
        eventually(lambda: (asyncio.run(sampled(measured))[7].rss_bytes or 0) > rested + 50_000_000)
        eventually(lambda: asyncio.run(sampled(measured)) and len(measured._watched[7].processes) == 2)

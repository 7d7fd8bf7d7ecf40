import asyncio
import time
from datetime import timedelta

from supervisor import clock


def run(scenario: object) -> None:
    asyncio.run(scenario)  # type: ignore[arg-type]


def test_now_reads_the_wall_clock_in_utc_and_the_clock_that_runs_on_in_suspend() -> None:
    now = clock.now()
    assert abs(now.wall.timestamp() - time.time()) < 5
    boot = timedelta(seconds=time.clock_gettime(time.CLOCK_BOOTTIME))
    assert timedelta(0) <= boot - now.mono < timedelta(seconds=5)


def test_calls_when_the_armed_instant_has_come_and_not_before() -> None:
    async def scenario() -> None:
        came = asyncio.Event()
        timer = clock.Clock(asyncio.get_running_loop(), came.set, lambda: None)
        at = clock.now().mono + timedelta(milliseconds=20)
        timer.arm(at)
        await asyncio.wait_for(came.wait(), 10)
        assert clock.now().mono >= at
        timer.close()

    run(scenario())


def test_an_instant_that_has_passed_calls_at_once() -> None:
    async def scenario() -> None:
        came = asyncio.Event()
        timer = clock.Clock(asyncio.get_running_loop(), came.set, lambda: None)
        timer.arm(timedelta(0))
        await asyncio.wait_for(came.wait(), 10)
        timer.close()

    run(scenario())


def test_the_last_arming_counts_and_none_disarms() -> None:
    async def scenario() -> None:
        calls: list[str] = []
        came = asyncio.Event()
        loop = asyncio.get_running_loop()
        first = clock.Clock(loop, lambda: calls.append("first"), lambda: None)
        first.arm(clock.now().mono + timedelta(milliseconds=5))
        first.arm(None)
        second = clock.Clock(loop, came.set, lambda: None)
        second.arm(clock.now().mono + timedelta(milliseconds=30))
        await asyncio.wait_for(came.wait(), 10)
        assert calls == []
        first.close()
        second.close()

    run(scenario())

"""However many requests come at once, the loop serves everything else between them, and nobody is passed over."""

import asyncio

from supervisor.control.turnstile import AT_ONCE, Turnstile


def test_only_so_many_pass_in_one_turn_of_the_loop_in_their_order() -> None:
    async def scene() -> None:
        gate = Turnstile()
        passed: list[int] = []
        in_a_turn: list[int] = []

        async def comes(number: int) -> None:
            await gate.passed()
            passed.append(number)

        tasks = [asyncio.create_task(comes(number)) for number in range(20)]
        seen = 0
        while len(passed) < len(tasks):
            await asyncio.sleep(0)
            in_a_turn.append(len(passed) - seen)
            seen = len(passed)
        assert passed == list(range(20))
        assert max(in_a_turn) <= AT_ONCE

    asyncio.run(scene())


def test_one_alone_does_not_wait_and_who_has_gone_takes_no_place() -> None:
    async def scene() -> None:
        gate = Turnstile()
        first = [asyncio.create_task(gate.passed()) for _ in range(AT_ONCE)]
        await asyncio.sleep(0)
        assert all(each.done() for each in first)
        gone = asyncio.create_task(gate.passed())
        last = asyncio.create_task(gate.passed())
        await asyncio.sleep(0)
        gone.cancel()
        await last
        for _ in range(10):
            await asyncio.sleep(0)
        assert not gate._is_turning, "it rests when nobody comes"

    asyncio.run(scene())

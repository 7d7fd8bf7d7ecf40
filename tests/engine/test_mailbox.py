"""A Worker's mailbox: served between ticks, in order, bounded at both ends, and never silent about a dead Worker."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import eventually
from rig import Rig, real

from supervisor.core.events import Exited, Serving, Spawned, TickEnded
from supervisor.core.exits import Code
from supervisor.engine.channel import LARGEST_MESSAGE
from supervisor.engine.mailbox import MOST_BYTES, MOST_MESSAGES, Mailbox, Posted, Refused, Reply

CODE = """
import json, os, time
from supervisor import Worker

def say(text):
    print(text, flush=True)

class Echo(Worker):
    def __init__(self):
        self.count = 0
        self.when = object
        self._secret = 1
    def tick(self):
        self.count += 1
        say("up")
        while os.path.exists("busy"):
            time.sleep(0.01)
    def call(self, request):
        say(f"call {request}")
        match request:
            case "raise": raise ValueError("no such thing")
            case "set": return {1, 2}
            case "nan": return float("nan")
            case "deep":
                deep = []
                for _ in range(100_000): deep = [deep]
                return deep
            case "large": return "x" * 300_000
            case "leave": os._exit(7)
            case {"wait": path}:
                while not os.path.exists(path):
                    time.sleep(0.01)
        return {"request": request, "count": self.count}
    def cast(self, message):
        say(f"cast {json.dumps(message)}")
        if message == "raise":
            raise ValueError("no such thing")

class Bare(Worker):
    pass

class Shy(Worker):
    def state(self):
        raise RuntimeError("not now")
"""


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    with real(tmp_path, CODE) as made:
        yield made


def worker(rig: Rig, target: str = "Echo") -> int:
    run_id = rig.run(target)
    rig.serving(run_id)
    return run_id


def post(rig: Rig, run_id: int, kind: str, content: Any = None) -> Posted | Refused:
    posted: Posted | Refused = rig.call(rig.engine.post, run_id, kind, content)
    return posted


def answer(rig: Rig, posted: Posted | Refused) -> Reply:
    assert isinstance(posted, Posted)

    async def wait() -> Reply:
        return await posted.answer

    return rig.wait(wait())


def ask(rig: Rig, run_id: int, kind: str, content: Any = None) -> Reply:
    return answer(rig, post(rig, run_id, kind, content))


def test_a_call_is_answered_with_the_workers_state(rig: Rig) -> None:
    run_id = worker(rig)
    rig.ticked(rig.tick(run_id))
    assert ask(rig, run_id, "call", {"op": ["stats", None]}) == Reply({"request": {"op": ["stats", None]}, "count": 1})


def test_ticks_calls_and_casts_are_served_one_at_a_time_in_order(rig: Rig) -> None:
    run_id = worker(rig)
    (rig.folder / "busy").touch()
    tick = rig.tick(run_id)
    rig.up(run_id)
    casts = [post(rig, run_id, "cast", number) for number in range(20)]
    last = post(rig, run_id, "call", "last")
    (rig.folder / "busy").unlink()
    assert answer(rig, last) == Reply({"request": "last", "count": 1})
    rig.ticked(tick)
    assert rig.out(run_id).splitlines() == ["up", *(f"cast {number}" for number in range(20)), "call last"]
    assert all(answer(rig, cast) == Reply() for cast in casts)


def test_a_message_that_comes_before_the_worker_serves_waits_for_it(rig: Rig) -> None:
    def spawn_and_post() -> Any:
        rig.spawn_here(rig.job("Echo"), 50)
        return rig.engine.post(50, "call", 1)

    assert answer(rig, rig.call(spawn_and_post)) == Reply({"request": 1, "count": 0})
    assert rig.kinds(50) == [Spawned, Serving]


def test_the_state_is_the_attributes_and_what_is_no_json_is_shown_as_python_does(rig: Rig) -> None:
    run_id = worker(rig)
    assert ask(rig, run_id, "state") == Reply({"count": 0, "when": "<class 'object'>"})


def test_a_look_that_fails_is_told_and_ends_nothing(rig: Rig) -> None:
    run_id = worker(rig, "Shy")
    error = ask(rig, run_id, "state").error
    assert error is not None
    assert "RuntimeError" in error
    assert "acts.py" in error
    assert ask(rig, run_id, "state").error == error


def test_an_exception_in_a_call_is_told_and_then_the_end(rig: Rig) -> None:
    run_id = worker(rig)
    posted, next_one = rig.call(lambda: [rig.engine.post(run_id, "call", what) for what in ("raise", 1)])
    error = answer(rig, posted).error
    assert error is not None
    assert error.startswith(f"ValueError at {rig.folder}/acts.py:")
    assert error.endswith(": no such thing")
    assert answer(rig, next_one).error == "it ended before it answered"
    exited = rig.exited(run_id)
    assert exited.ended == Code(1)
    assert exited.error is not None
    assert exited.error.message == "no such thing"


def test_an_exception_in_a_cast_ends_the_worker(rig: Rig) -> None:
    run_id = worker(rig)
    assert ask(rig, run_id, "cast", "raise").error is not None
    assert rig.ended(run_id) == Code(1)


def test_a_worker_that_ends_in_a_call_leaves_nobody_waiting(rig: Rig) -> None:
    run_id = worker(rig)
    assert ask(rig, run_id, "call", "leave").error == "it ended before it answered"
    assert rig.ended(run_id) == Code(7)


@pytest.mark.parametrize("request_", ["set", "nan", "deep"])
def test_an_answer_that_is_no_json_is_told_and_ends_nothing(rig: Rig, request_: str) -> None:
    run_id = worker(rig)
    error = ask(rig, run_id, "call", request_).error
    assert error is not None
    assert error.startswith("its answer is no JSON: ")
    assert ask(rig, run_id, "call", 1) == Reply({"request": 1, "count": 0})


def test_an_answer_is_bounded_in_size(rig: Rig) -> None:
    run_id = worker(rig)
    error = ask(rig, run_id, "call", "large").error
    assert error == "its answer has 300,002 bytes as JSON, at most 262,144 are told"
    large = "x" * (LARGEST_MESSAGE - 100)
    assert ask(rig, run_id, "call", large) == Reply({"request": large, "count": 0})


def test_a_message_is_bounded_in_size(rig: Rig) -> None:
    refused = post(rig, worker(rig), "cast", "x" * LARGEST_MESSAGE)
    assert isinstance(refused, Refused)
    assert refused.why == "the message has 262,146 bytes as JSON, at most 262,144 are taken"


@pytest.mark.parametrize(("content", "most"), [("x", MOST_MESSAGES), ("x" * 200_000, MOST_BYTES // 200_000)])
def test_a_flood_of_casts_to_a_worker_that_hangs_fills_its_mailbox_and_no_more(
    rig: Rig, content: str, most: int
) -> None:
    run_id = worker(rig)
    hung = post(rig, run_id, "call", {"wait": "go"})
    posted = [post(rig, run_id, "cast", content) for _ in range(2000)]
    assert sum(isinstance(each, Posted) for each in posted) in {most, most - 1}
    refused = posted[-1]
    assert isinstance(refused, Refused)
    assert "mailbox is full" in refused.why
    (rig.folder / "go").touch()
    assert answer(rig, hung).error is None
    eventually(lambda: isinstance(post(rig, run_id, "cast", content), Posted))


def test_a_caller_that_gave_up_leaves_the_answer_to_nobody(rig: Rig) -> None:
    run_id = worker(rig)
    hung = post(rig, run_id, "call", {"wait": "go"})
    assert isinstance(hung, Posted)
    rig.call(hung.answer.cancel)
    (rig.folder / "go").touch()
    assert ask(rig, run_id, "call", 1) == Reply({"request": 1, "count": 0})


def test_a_worker_without_call_says_what_to_define_and_lives(rig: Rig) -> None:
    run_id = worker(rig, "Bare")
    assert ask(rig, run_id, "call", 1).error == "Bare answers no calls; define call(self, request) in it"
    assert ask(rig, run_id, "cast", 1) == Reply()
    assert ask(rig, run_id, "state") == Reply({})


def test_a_run_that_is_over_has_no_mailbox(rig: Rig) -> None:
    run_id = worker(rig)
    rig.kill(run_id)
    rig.exited(run_id)
    refused = post(rig, run_id, "call", 1)
    assert isinstance(refused, Refused)
    assert refused.why == "it has no process"
    assert rig.kinds(run_id) == [Spawned, Serving, Exited]


def test_nothing_that_is_said_becomes_a_fact(rig: Rig) -> None:
    run_id = worker(rig)
    ask(rig, run_id, "call", 1)
    rig.ticked(rig.tick(run_id))
    assert rig.kinds(run_id) == [Spawned, Serving, TickEnded]


@pytest.mark.parametrize("first", ["answer", "claim"])
def test_who_asked_before_an_exec_gets_the_answer_that_comes_after_it_once(first: str) -> None:
    async def told() -> None:
        loop = asyncio.get_running_loop()
        before, after = Mailbox(loop, lambda _: None), Mailbox(loop, lambda _: None)
        before.post("cast", None)
        posted = before.post("call", None)
        assert isinstance(posted, Posted)
        after.take_over(before.hand_over())
        if first == "answer":
            after.answered(posted.ask, Reply("yes"))
        claimed = after.claim(posted.ask)
        assert isinstance(claimed, Posted)
        after.answered(posted.ask, Reply("yes"))
        assert await claimed.answer == Reply("yes")
        assert isinstance(after.claim(posted.ask), Refused)
        assert isinstance(after.post("call", None), Posted)

    asyncio.run(told())

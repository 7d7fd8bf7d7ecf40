"""Cases with real processes: many at once under one supervisor; those that end a supervisor have one of their own."""

import os
import signal
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path

from conftest import eventually, is_alive
from in_core import CoreCase
from notation import Case, Step, in_order, length, manifest, root
from program import Program, program

from supervisor.control.client import Client, connect

MEMBER = """
import os, signal, time
from supervisor import job

def run(name, marks):
    journal = os.open("journal", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    def say(what):
        os.write(journal, f"{what} {name} {os.getpid()}\\n".encode())
    def asked(*_):
        say("-")
        if not {"stubborn", "slow"} & set(marks.split()):
            os._exit(0)
    signal.signal(signal.SIGTERM, asked)
    signal.signal(signal.SIGUSR1, lambda *_: os._exit(1))
    signal.signal(signal.SIGUSR2, lambda *_: os._exit(0))
    signal.signal(signal.SIGHUP, lambda *_: job.ready())
    say("+")
    try:
        left = int(open(f"fails_{name}").read())
    except FileNotFoundError:
        left = 0
    if left:
        with open(f"fails_{name}", "w") as file:
            file.write(str(left - 1))
        say("x")
        os._exit(1)
    if "silent" not in marks:
        job.ready()
    while True:
        signal.pause()
"""
SIGNALS = {"fail": signal.SIGUSR1, "end": signal.SIGUSR2, "kill": signal.SIGKILL}
WITHIN = 60.0
"""Seconds in which a case goes on, or has failed: the machine may be busy."""


class Stage:
    """One supervisor and the cases that it plays."""

    def __init__(self, app: Program, cases: Iterable[Case]) -> None:
        self.app = app
        self.plays = [Play(case, f"k{number}_", self) for number, case in enumerate(cases)]
        self._read = 0
        self.looks = 0
        self._status: dict[str, dict[str, set[object]]] = {}
        most = max((root(play.case.tree) for play in self.plays), default=0)
        text = f'[supervisor]\npreload = ["member"]\nmax_restarts = {most}\nvitals = "off"\n'
        app.write(text + "".join(manifest(play.case.tree, play.prefix) for play in self.plays))
        (app.folder / "member.py").write_text(MEMBER)
        app.run()

    def go_on(self) -> bool:
        """Take what has been told, let every case that can go on do so; return whether one still plays."""
        self._listen()
        if any(play.wants_status for play in self.plays if not play.is_over):
            self._look()
        for play in self.plays:
            play.go_on()
        return not all(play.is_over for play in self.plays)

    def _listen(self) -> None:
        journal = self.app.folder / "journal"
        if not journal.exists():
            return
        with journal.open() as file:
            file.seek(self._read)
            text = file.read()
        whole = text[: text.rfind("\n") + 1]
        self._read += len(whole)
        for line in whole.splitlines():
            what, name, pid = line.split()
            prefix, _, member = name.partition("_")
            self.plays[int(prefix[1:])].hear(what, member, int(pid))

    def _look(self) -> None:
        """Take the states and pids of all jobs and groups, by name."""
        with self.client() as client:
            told = client.ask("status")
        self.looks += 1
        found: dict[str, dict[str, set[object]]] = defaultdict(lambda: {"state": set(), "pid": set()})
        for row in (*told["jobs"], *told["groups"]):
            found[row["name"]]["state"].add(row["state"])
            found[row["name"]]["pid"].add(row.get("pid"))
        self._status = found

    def client(self) -> Client:
        return connect([str(self.app.folder / ".jobvisor" / "control.sock")])

    def states(self, name: str) -> set[object]:
        return self._status.get(name, {}).get("state", set())

    def pids(self) -> set[object]:
        return {pid for each in self._status.values() for pid in each["pid"]}

    def order(self, verb: str, names: list[str]) -> None:
        with self.client() as client:
            client.ask(verb, {"names": names, "wait": False})

    def end_together(self, pids: list[int], number: int) -> None:
        """Let processes end so that the fork server sees all of it at once."""
        server = self.app.part("engine.forkserver") if len(pids) > 1 else None
        if server is not None:
            os.kill(server, signal.SIGSTOP)
        for pid in pids:
            os.kill(pid, number)
        if server is not None:
            eventually(lambda: not any(map(is_alive, pids)))
            os.kill(server, signal.SIGCONT)


class Play:
    """One case as it is played."""

    def __init__(self, case: Case, prefix: str, stage: Stage) -> None:
        self.case = case
        self.prefix = prefix
        self.problem: str | None = None
        self.is_over = False
        self.wants_status = False
        self._stage = stage
        self._told: list[str] = []
        self._end = 0
        """How much has been told by the end of a step."""
        self._alive: dict[str, list[int]] = defaultdict(list)
        self._script = self._played()
        self._waits_for: Callable[[], bool] = lambda: True
        self._gives_up_at = time.monotonic() + WITHIN

    def hear(self, what: str, member: str, pid: int) -> None:
        if what == "+":
            self._alive[member].append(pid)
        elif pid in self._alive[member]:
            self._alive[member].remove(pid)
        if what != "x":
            self._told.append(f"{what}{member}")

    def go_on(self) -> None:
        while not self.is_over and self._waits_for():
            try:
                self._waits_for = next(self._script)
                self._gives_up_at = time.monotonic() + WITHIN
            except StopIteration:
                self.is_over = True
            except AssertionError as error:
                self._fail(str(error))
        if not self.is_over and time.monotonic() > self._gives_up_at:
            self._fail(f"stands still at {self.problem_place}; told so far: {' '.join(self._told)}")

    def _fail(self, problem: str) -> None:
        self.problem, self.is_over = problem, True

    def _played(self) -> Iterator[Callable[[], bool]]:
        self.problem_place = "its begin"
        first = CoreCase(self.case).news()
        self._end = len(first)
        yield lambda: len(self._told) >= len(first)
        assert sorted(self._told) == sorted(first), f"it began with {' '.join(self._told)}"
        for step in self.case.steps:
            self.problem_place = step.act
            yield from self._step(step)
        if self.case.states:
            self.problem_place = "its end"
            yield from self._until(self._has_states)

    def _step(self, step: Step) -> Iterator[Callable[[], bool]]:
        # what follows a wait may come before anybody knows that the step before is over
        begin = self._end if step.act.startswith("pass") else len(self._told)
        end = self._end = begin + length(step)
        alive = {self._alive[name][0] for name in step.act.split()[0].split(",") if self._alive[name]}
        if alive:  # a process may be quicker than the news of it
            yield from self._until(lambda: alive <= self._stage.pids())
        ended = self._act(step.act)
        if ended is not None:
            yield ended
        yield lambda: len(self._told) >= end
        if not step.follows and ended is None:
            yield from self._until(lambda: not set(self._gone) & self._stage.pids())
        told = self._told[begin:end]
        assert in_order(step, told), f"{step.act}: {' '.join(step.follows)}, but it told {' '.join(told)}"

    def _until(self, condition: Callable[[], bool]) -> Iterator[Callable[[], bool]]:
        """Wait until a status that is asked for from now on shows it."""
        before = self._stage.looks
        self.wants_status = True
        yield lambda: self._stage.looks > before and condition()
        self.wants_status = False

    def _act(self, act: str) -> Callable[[], bool] | None:
        """Let one thing happen; return what is to be waited for where that is more than what it tells."""
        self._gone: list[int] = []
        stage, supervisor = self._stage, self._stage.app.supervisor
        assert supervisor is not None
        match act.split():
            case ["pass", length]:
                until = time.monotonic() + float(length.rstrip("s"))
                return lambda: time.monotonic() >= until
            case [name, "will", "fail", number]:
                (stage.app.folder / f"fails_{self.prefix}{name}").write_text(number)
            case ["start" | "stop" | "restart" as verb, names]:
                stage.order(verb, [self.prefix + name for name in names.split(",")])
            case ["shutdown"]:
                supervisor.send_signal(signal.SIGTERM)
            case ["exit", code]:
                return lambda: supervisor.poll() == int(code)
            case [name, "ready"]:
                os.kill(self._alive[name][0], signal.SIGHUP)
            case [names, *_, verb]:
                number = next(each for word, each in SIGNALS.items() if verb.startswith(word))
                self._gone = [self._alive[name].pop(0) for name in names.split(",")]
                stage.end_together(self._gone, number)
        return None

    def _has_states(self) -> bool:
        return all(self._stage.states(self.prefix + name) == {word} for name, word in self.case.states.items())

    def check_the_whole(self) -> None:
        """Fail where more has been told than the steps say."""
        expected = len(CoreCase(self.case).news()) + sum(map(length, self.case.steps))
        if self.problem is None and len(self._told) != expected:
            self.problem = f"it went on after its end: {' '.join(self._told)}"


def play(folder: Path, cases: Iterable[Case], *, at_once: int = 60) -> dict[str, str | None]:
    """Return what is wrong with each case, by name; None is nothing."""
    together = [case for case in cases if not case.ends_all]
    batches = [together[first : first + at_once] for first in range(0, len(together), at_once)]
    alone = [[case] for case in cases if case.ends_all]
    found: dict[str, str | None] = {}
    for number, stages in enumerate([*([batch] for batch in batches), alone]):
        found |= _play(folder / f"{number}", stages)
    return found


def _play(folder: Path, casts: list[list[Case]]) -> dict[str, str | None]:
    with ExitStack() as undo:
        stages: list[Stage] = []
        for number, cast in enumerate(casts):
            place = folder / f"{number}"
            place.mkdir(parents=True)
            stages.append(Stage(undo.enter_context(program(place)), cast))
        while sum(stage.go_on() for stage in stages):
            time.sleep(0.005)
        for stage in stages:
            stage.go_on()
    plays = [play for stage in stages for play in stage.plays]
    for each in plays:
        each.check_the_whole()
    return {each.case.name: each.problem for each in plays}

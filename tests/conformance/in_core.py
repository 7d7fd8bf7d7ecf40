"""A case on the pure core, with scripted facts: processes are ready at once and obey, unless they are marked."""

from collections import Counter
from datetime import timedelta

from manifests import parsed
from notation import Case, manifest, root
from world import ONCE_IN_A_LIFE, World, replace

from supervisor.core.actions import Spawn, Stop
from supervisor.core.effects import Effects
from supervisor.core.events import Event, Ready, RestartRequested, StartRequested, StopRequested
from supervisor.core.exits import Code, Exit, Signalled
from supervisor.core.job import Job, Run
from supervisor.core.status import state_word
from supervisor.core.tree.report import report_groups

SOON = timedelta(seconds=2.4)
"""All that follows from a step has followed by then: back-offs and stop_timeouts are shorter, but for the long ones."""
HOW: dict[str, Exit] = {"fail": Code(1), "end": Code(0), "kill": Signalled(9)}
ORDERS: dict[str, Event] = {"start": StartRequested(), "stop": StopRequested(), "restart": RestartRequested()}


class CoreCase(World):
    """A world that tells starts and stops, and whose processes are those of the case."""

    def __init__(self, case: Case) -> None:
        made = parsed(manifest(case.tree))
        self.fails = Counter[str]()
        self.marks = {job.name: _marks(job) for job in made.jobs}
        super().__init__(made.jobs, root=replace(ONCE_IN_A_LIFE, max_restarts=root(case.tree)), groups=made.groups)
        self.pass_by(SOON)

    def pass_by(self, time: timedelta) -> None:
        self.until(self.now.wall + time)

    def perform(self, effects: Effects) -> None:
        super().perform(effects)
        for action in effects.actions:
            match action:
                case Spawn(run=run) if run.run_id in self.alive:
                    self._come_up(run.run_id)
                case Stop(run_id=run_id) if run_id in self.alive and not self._ignores(run_id):
                    self.end(run_id, Code(0))

    def _come_up(self, run_id: int) -> None:
        name = self.names[run_id]
        if self.fails[name]:
            self.fails[name] -= 1
            self.end(run_id, Code(1))
        elif "silent" not in self.marks[name]:
            self.perform(self.board.handle(Ready(run_id), self.now))

    def _ignores(self, run_id: int) -> bool:
        return bool({"stubborn", "slow"} & self.marks[self.names[run_id]])

    def news(self) -> list[str]:
        told, self.told = self.told, []
        return told

    def act(self, act: str, *, at_once: bool) -> None:
        """Let one thing happen, and then time pass, unless the next thing is to come at once."""
        match act.split():
            case ["pass", time]:
                self.pass_by(timedelta(seconds=float(time.rstrip("s"))))
                return
            case [name, "will", "fail", number]:
                self.fails[name] += int(number)
            case ["start" | "stop" | "restart" as verb, names]:
                wanted = names.split(",")
                groups = [name for name in wanted if name in self.board.tree.branches]
                slots = [slot.id for name in wanted if name not in groups for slot in self.board.slots_of(name)]
                self.perform(self.board.tell(slots, ORDERS[verb], self.now, groups))
            case ["shutdown"]:
                self.perform(self.board.shut_down(0, self.now))
            case ["exit", code]:
                assert self.board.ending is not None
                assert self.board.ending.code == int(code)
                assert self.board.is_at_rest
            case [name, "ready"]:
                self.perform(self.board.handle(Ready(self._first(name)), self.now))
            case [names, *_, verb]:
                how = next(each for word, each in HOW.items() if verb.startswith(word))
                for name in names.split(","):
                    self.end(self._first(name), how)
        self.pass_by(timedelta(0) if at_once else SOON)

    def _first(self, job: str) -> int:
        return min(run_id for run_id, run in self.alive.items() if run.slot.job == job)

    def words(self) -> dict[str, set[str]]:
        """Return the states of jobs and groups, as status tells them."""
        found = {row["name"]: {str(row["state"])} for row in report_groups(self.board.tree, self.now)}
        for job in self.jobs:
            found[job.name] = {state_word(slot) for slot in self.board.slots_of(job.name)}
        return found


def _marks(job: Job) -> set[str]:
    assert isinstance(job.target, Run)
    return set(job.target.kwargs["marks"].split())

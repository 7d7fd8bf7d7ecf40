"""What the supervisor answers on its control socket, method by method."""

import asyncio
import os
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from contextvars import ContextVar, copy_context
from datetime import datetime
from typing import Any, Protocol

from supervisor import __version__, clock
from supervisor.core.actions import Keep
from supervisor.core.board import Board
from supervisor.core.effects import Effects
from supervisor.core.events import (
    Event,
    PauseRequested,
    RestartRequested,
    ResumeRequested,
    StartRequested,
    StopRequested,
)
from supervisor.core.exits import signal_name
from supervisor.core.manifest import Manifest
from supervisor.core.names import Unmatched, is_pattern, select, several
from supervisor.core.runs import Closed, NotRun, Opened, RunId, SlotId
from supervisor.core.show import coming, settings
from supervisor.core.slot import Slot
from supervisor.core.states import Disabled, Wanted, is_at_rest, last_due
from supervisor.core.status import Progress, Vital, health, iso, report
from supervisor.core.tree.reasons import why
from supervisor.core.tree.report import report_groups
from supervisor.core.waits import CameUp, RunBegan, RunEnded, Verdict, Wait, WentDown, running_id
from supervisor.dialogue import Dialogue
from supervisor.errors import ControlError, JobvisorError, ManifestError
from supervisor.reloads import Reloads
from supervisor.upgrades import Upgrades
from supervisor.waiters import Lookers, Waiters

CALM = 0.1
"""Seconds between two looks of those who watch, at least."""
_AWAITED: ContextVar[set[str]] = ContextVar("awaited", default=set())  # noqa: B039  # of those who do not ask
"""The labels of the slots that a request waits for."""


class Shell(Protocol):
    """What the answers need of the loop."""

    board: Board
    manifest: Manifest
    waiters: Waiters
    lookers: Lookers
    dialogue: Dialogue
    reloads: Reloads
    upgrades: Upgrades
    started_at: str

    def perform(self, effects: Effects) -> None:
        """Perform what follows from a fact."""

    def vitals(self) -> Mapping[RunId, Vital]:
        """Return CPU and memory by run."""

    def progress(self) -> Mapping[RunId, Progress]:
        """Return how far the runs are that say so, by the run of their process."""

    def warnings(self) -> list[str]:
        """Return what is not as it should be, beside the jobs."""

    def end(self, code: int) -> None:
        """Stop all jobs, then end with this exit code."""

    async def ended(self) -> None:
        """Return when nothing is left but the answer."""

    async def processes(self, slot: Slot) -> dict[str, Any] | None:
        """Return a slot's process and all below it; None where it has none."""

    async def account(self, slot: Slot) -> dict[str, Any] | None:
        """Return what the kernel has counted of a slot's run in its cgroup; None where it has none."""

    async def tail(self, run_id: RunId) -> list[str]:
        """Return the last lines of output of a run."""


class Answers:
    """Answers requests; each method is named as on the wire."""

    def __init__(self, shell: Shell) -> None:
        self._shell = shell
        self._methods: dict[str, Callable[[dict[str, Any]], Awaitable[Any]]] = {
            "ping": self._ping,
            "status": self._status,
            "watch": self._watch,
            "show": self._show,
            "start": self._start,
            "stop": self._stop,
            "restart": self._restart,
            "pause": self._pause,
            "resume": self._resume,
            "scale": self._scale,
            "trigger": self._trigger,
            "plan": self._plan,
            "reload": self._reload,
            "upgrade": self._upgrade,
            "shutdown": self._shutdown,
        }

    async def __call__(self, method: str, params: dict[str, Any]) -> Any:
        """Return the result of a request.

        Raises:
            ControlError: what the client is told instead, with the exit code that its command ends with.
        """
        answer = self._methods.get(method)
        if answer is None and method in self._shell.dialogue.methods:
            return await self._shell.dialogue.methods[method](self._slots(params), params)
        if answer is None:
            raise ControlError(1, f'unknown method "{method}"; this supervisor is version {__version__}')
        return self._with_progress(answer(params)) if params.get("progress") else await answer(params)

    async def _with_progress(self, work: Awaitable[Any]) -> AsyncIterator[dict[str, Any]]:
        """Yield the instances that an order still waits for, after each change, and at last what came of it."""
        awaited: set[str] = set()
        context = copy_context()
        context.run(_AWAITED.set, awaited)
        task = asyncio.get_running_loop().create_task(_awaited(work), context=context)
        with self._shell.lookers.looking() as changed:
            while not task.done():
                yield {"waiting": self._waiting(awaited)}
                look = asyncio.ensure_future(changed.wait())
                await asyncio.wait((task, look), return_when=asyncio.FIRST_COMPLETED)
                look.cancel()
                changed.clear()
        yield {"done": task.result()}

    def _waiting(self, awaited: Collection[str]) -> list[str]:
        board = self._shell.board
        if board.ending is None:
            return sorted(awaited)
        return [slot.label for slot in board.slots.values() if not is_at_rest(slot.state)]

    async def _ping(self, _: dict[str, Any]) -> dict[str, Any]:
        settings = self._shell.manifest.settings
        return {
            "pid": os.getpid(),
            "version": __version__,
            "manifest": str(self._shell.manifest.path),
            "state_dir": str(settings.state_dir),
            "log_dir": str(settings.log_dir),
            "history": f"{settings.state_dir}/history.db",
        }

    async def _status(self, params: dict[str, Any]) -> dict[str, Any]:
        now, board = clock.now(), self._shell.board
        slots = self._slots(params, everything=True)
        good = all(health(slot, now)[0].is_good for slot in slots if not isinstance(slot.state, Disabled))
        return {
            "supervisor": {
                "pid": os.getpid(),
                "version": __version__,
                "started_at": self._shell.started_at,
                "manifest": str(self._shell.manifest.path),
                "healthy": good,
            },
            "jobs": report(
                slots, self._shell.vitals(), now, lambda slot: why(board.tree, slot), self._shell.progress()
            ),
            "groups": report_groups(board.tree, now, dict.fromkeys(slot.id.job for slot in slots)),
            "warnings": self._shell.warnings() if board.ending is None else ["stopping"],
        }

    async def _watch(self, params: dict[str, Any]) -> AsyncIterator[dict[str, Any]]:
        self._slots(params, everything=True)  # an unknown name is told at once
        return self._watched(params)

    async def _watched(self, params: dict[str, Any]) -> AsyncIterator[dict[str, Any]]:
        """Yield the status now, and again when something has changed; what changes together is told together."""
        with self._shell.lookers.looking() as changed:
            while not self._shell.lookers.is_over:
                yield await self._status(params)
                await changed.wait()
                await asyncio.sleep(CALM)
                changed.clear()

    async def _show(self, params: dict[str, Any]) -> dict[str, Any]:
        slots = self._slots({"names": [params.get("name")]})
        job = slots[0].job
        if any(slot.job.name != job.name for slot in slots):
            raise ControlError(2, several(list(dict.fromkeys(slot.job.name for slot in slots))))
        tree = self._shell.board.tree
        rows = report(slots, self._shell.vitals(), clock.now(), lambda slot: why(tree, slot), self._shell.progress())
        for slot, row in zip(slots, rows, strict=True):
            row["processes"] = await self._shell.processes(slot)
            row["cgroup"] = await self._shell.account(slot)
        return {
            "name": job.name,
            "where": job.where,
            "settings": settings(job, slots[0].kind),
            "instances": rows,
            "next": [iso(at) for at in coming(slots[0])],
        }

    async def _start(self, params: dict[str, Any]) -> dict[str, Any]:
        return await self._order(StartRequested(), params, lambda slot: CameUp(slot.tally.restarts))

    async def _stop(self, params: dict[str, Any]) -> dict[str, Any]:
        return await self._order(StopRequested(), params, lambda _: WentDown())

    async def _restart(self, params: dict[str, Any]) -> dict[str, Any]:
        return await self._order(RestartRequested(), params, lambda slot: CameUp(slot.tally.restarts, running_id(slot)))

    async def _order(self, event: Event, params: dict[str, Any], wait: Callable[[Slot], Wait]) -> dict[str, Any]:
        """Give an order to jobs and groups and say what came of it, slot by slot."""
        shell, board = self._shell, self._shell.board
        slots = self._slots(params)
        groups = [name for name in params["names"] if name in board.tree.branches]
        grouped = {job for name in groups for job in board.tree.shape.jobs_below(name)}
        alone = [slot.id for slot in slots if slot.id.job not in grouped]
        waits = [(slot, wait(slot)) for slot in self._meant(slots, params["names"], lambda slot: slot.job.enabled)]
        shell.perform(board.tell(alone, event, clock.now(), groups))
        if not params.get("wait", True):
            return {"jobs": [_line(slot.label, Verdict(ok=True, message="asked")) for slot, _ in waits]}
        return {"jobs": await asyncio.gather(*(self._outcome(slot, wait) for slot, wait in waits))}

    def _meant(self, slots: Sequence[Slot], names: Sequence[str], applies: Callable[[Slot], bool]) -> list[Slot]:
        """Return those to which an order applies, and those that are named themselves.

        Patterns and groups pass over the rest, unless nothing would be left.
        """
        plain = [name for name in names if not is_pattern(name) and name not in self._shell.board.tree.branches]
        named = {slot.id for slot in self._slots({"names": plain})} if plain else set[SlotId]()
        return [slot for slot in slots if applies(slot) or slot.id in named] or list(slots)

    async def _scale(self, params: dict[str, Any]) -> dict[str, Any]:
        shell, board = self._shell, self._shell.board
        numbers = params.get("instances")
        if not isinstance(numbers, dict) or not all(isinstance(n, int) and 1 <= n <= 1000 for n in numbers.values()):
            raise ControlError(2, '"instances" must be a table of numbers, 1 to 1000')
        wanted = {slot.id.job for slot in board.slots.values() if slot.wanted is not Wanted.REMOVED}
        unknown = next((name for name in numbers if name not in wanted), None)
        if unknown is not None:
            self._slots({"names": [unknown]})  # says which name may have been meant
            raise ControlError(2, f'"{unknown}": name one job, without an instance or a pattern')
        before = {slot.id: slot for name in numbers for slot in board.slots_of(name)}
        for name, instances in numbers.items():
            shell.perform(board.scale(name, instances, clock.now()))
        after = [slot for name in numbers for slot in board.slots_of(name)]
        begun = [slot for slot in after if slot.id not in before and slot.wanted is Wanted.UP]
        ended = [slot for slot in before.values() if slot.id.instance > numbers[slot.id.job]]
        if not params.get("wait", True):
            return {"jobs": [_line(slot.label, Verdict(ok=True, message="asked")) for slot in (*begun, *ended)]}
        waits: list[tuple[Slot, Wait]] = [(slot, CameUp(slot.tally.restarts)) for slot in begun]
        waits += [(slot, WentDown()) for slot in ended]
        changed = {slot.id.job for slot in (*begun, *ended)}
        already = [
            _line(name, Verdict(ok=True, message=f"has {number} already"))
            for name, number in numbers.items()
            if name not in changed
        ]
        return {"jobs": already + await asyncio.gather(*(self._outcome(slot, wait) for slot, wait in waits))}

    async def _outcome(self, before: Slot, wait: Wait) -> dict[str, Any]:
        """Return what came of an order to a slot, once that is known."""
        awaited = _AWAITED.get()
        awaited.add(before.label)
        try:
            return await self._settled(before, wait)
        finally:
            awaited.discard(before.label)

    async def _settled(self, before: Slot, wait: Wait) -> dict[str, Any]:
        slot = self._shell.board.slots.get(before.id)
        if slot is None:
            return _line(before.label, Verdict(ok=True, message="removed"))
        verdict = await self._shell.waiters.ask(slot, wait)
        slot = self._shell.board.slots.get(before.id, slot)
        if verdict.ok:
            already = "already " if slot.state is before.state else ""
            return _line(slot.label, Verdict(ok=True, message=already + verdict.message))
        last = slot.tally.last
        output = await self._shell.tail(last.run.run_id) if isinstance(last, Closed) else []
        return _line(slot.label, verdict, output)

    async def _pause(self, params: dict[str, Any]) -> dict[str, Any]:
        slots = self._meant(self._slots(params), params["names"], _is_scheduled)
        self._tell_scheduled(slots, PauseRequested())
        return {"jobs": [self._paused_line(slot, "paused") for slot in slots]}

    async def _resume(self, params: dict[str, Any]) -> dict[str, Any]:
        slots = self._meant(self._slots(params), params["names"], _is_scheduled)
        self._tell_scheduled(slots, ResumeRequested())
        return {"jobs": [self._paused_line(slot, "resumed") for slot in slots]}

    def _tell_scheduled(self, slots: Iterable[Slot], event: Event) -> None:
        scheduled = [slot.id for slot in slots if _is_scheduled(slot)]
        self._shell.perform(self._shell.board.tell(scheduled, event, clock.now()))

    @staticmethod
    def _paused_line(slot: Slot, done: str) -> dict[str, Any]:
        if not _is_scheduled(slot):
            name = slot.label
            return _line(name, Verdict(ok=False, message=f"has no schedule; use `jobvisor stop {name}`"))
        return _line(slot.label, Verdict(ok=True, message=done))

    async def _trigger(self, params: dict[str, Any]) -> dict[str, Any] | AsyncGenerator[dict[str, Any], None]:
        slots = self._slots({"names": [params.get("name")]})
        if len(slots) != 1:
            raise ControlError(2, several([slot.label for slot in slots]))
        [slot] = slots
        if slot.job.schedule is None:
            raise ControlError(1, f"{slot.label} has no schedule; use `jobvisor start {slot.label}`")
        if isinstance(slot.state, Disabled):
            raise ControlError(1, f"{slot.label} is disabled in the manifest")
        now = clock.now()
        effects = self._shell.board.trigger(slot.id, now)
        self._shell.perform(effects)
        if not params.get("wait", False):
            return _asked(effects, now.wall)
        return self._run_by_hand(slot.id, now.wall)

    async def _run_by_hand(self, slot_id: SlotId, due_at: datetime) -> AsyncGenerator[dict[str, Any], None]:
        """Yield when the run of a due time begins, then how it ended."""
        shell = self._shell
        slot = shell.board.slots[slot_id]
        lanes = (shell.board.slots[at] for at in shell.board.lanes(slot_id))
        own = next((lane for lane in lanes if last_due(lane.state) == due_at), slot)
        ending = asyncio.create_task(shell.waiters.ask(slot, RunEnded(due_at)))
        try:
            began = await shell.waiters.ask(own, RunBegan(due_at))
            if began.ok:
                yield {"label": slot.label, "started_at": began.message}
            yield await self._ended(await ending)
        finally:
            ending.cancel()

    async def _ended(self, verdict: Verdict) -> dict[str, Any]:
        closed = verdict.row if isinstance(verdict.row, Closed) else None
        return {
            "run_id": verdict.row.run.run_id if verdict.row else None,
            "ok": verdict.ok,
            "message": verdict.message,
            "code": _exit_code(closed, verdict),
            "outcome": verdict.row.outcome.value if verdict.row else None,
            "exit_code": closed.exit_code if closed else None,
            "signal": signal_name(closed.signal) if closed and closed.signal is not None else None,
            "output": await self._shell.tail(closed.run.run_id) if closed else [],
        }

    async def _plan(self, _: dict[str, Any]) -> dict[str, Any]:
        try:
            plan = await self._shell.reloads.plan()
        except ManifestError as error:
            return {"ok": False, "changes": [], "settings": [], "problems": list(error.problems)}
        return {"ok": True, "changes": plan.changes(), "settings": plan.settings_fields(), "problems": []}

    async def _reload(self, params: dict[str, Any]) -> dict[str, Any]:
        try:
            plan = await self._shell.reloads.reload(at_once=params.get("now", False), code=params.get("code", False))
        except JobvisorError as error:
            problems = str(error).splitlines()
            return {"ok": False, "changes": [], "settings": [], "code": [], "problems": problems, "jobs": []}
        jobs = await asyncio.gather(*(self._outcome(slot, CameUp(slot.tally.restarts)) for slot in plan.begun))
        return {
            "ok": all(job["ok"] for job in jobs),
            "changes": plan.changes(),
            "settings": plan.settings_fields(),
            "code": plan.code_changes(),
            "problems": [],
            "jobs": jobs,
        }

    async def _upgrade(self, _: dict[str, Any]) -> None:
        """Refuse, or never answer: then the client finds the next version on the same socket."""
        try:
            await self._shell.upgrades.upgrade()
        except JobvisorError as error:
            raise ControlError(1, str(error)) from error

    async def _shutdown(self, _: dict[str, Any]) -> dict[str, Any]:
        self._shell.end(0)
        await self._shell.ended()
        return {"pid": os.getpid()}

    def _slots(self, params: dict[str, Any], *, everything: bool = False) -> list[Slot]:
        """Return the slots that the request's names select, those of groups included, in manifest order."""
        named = {slot.label: slot for slot in self._shell.board.slots.values() if not slot.is_lane}
        names = params.get("names") or ()
        if not isinstance(names, list | tuple) or not all(isinstance(name, str) for name in names):
            raise ControlError(2, '"names" must be a list of strings')
        if not names:
            if everything:
                return list(named.values())
            raise ControlError(2, "name at least one job")
        tree = self._shell.board.tree
        groups = {name: tuple(tree.shape.jobs_below(name)) for name in names if name in tree.branches}
        chosen = select(names, tuple(named), groups, tuple(tree.branches))
        if isinstance(chosen, Unmatched):
            raise ControlError(4, str(chosen))
        return [named[name] for name in chosen]


def _is_scheduled(slot: Slot) -> bool:
    return slot.job.schedule is not None


async def _awaited(work: Awaitable[Any]) -> Any:
    return await work


def _asked(effects: Effects, due_at: datetime) -> dict[str, Any]:
    """Return what is known of a run by hand as soon as it is asked for."""
    for action in effects.actions:
        match action:
            case Keep(record=Opened(run=run)) if run.due_at == due_at:
                return {"run_id": run.run_id, "ok": True, "message": f"run {run.run_id}", "code": 0}
            case Keep(record=NotRun(run=run, outcome=outcome, reason=reason)) if run.due_at == due_at:
                return {"run_id": run.run_id, "ok": False, "message": f"{outcome.value}: {reason}", "code": 1}
    return {"run_id": None, "ok": True, "message": "waits for its turn", "code": 0}


def _exit_code(closed: Closed | None, verdict: Verdict) -> int:
    """Return what ``trigger --wait`` exits with: the run's code, 128 + n for a signal, 1 where nothing else fits."""
    if closed is not None and closed.signal is not None:
        return 128 + closed.signal
    if closed is not None and closed.exit_code:
        return closed.exit_code
    return 0 if verdict.ok else 1


def _line(name: str, verdict: Verdict, output: Sequence[str] = ()) -> dict[str, Any]:
    return {"name": name, "ok": verdict.ok, "message": verdict.message, "output": list(output)}

"""The loop: wait, fact, core, actions, perform, tell observers. It carries values and decides nothing.

One thread, asyncio. Every fact comes in by ``take``; every order goes out by ``perform``. Nothing here blocks: the
engine, the log process, the record of runs and the control socket each have queues of their own.
"""

import asyncio
import faulthandler
import gc
import os
import signal
from collections.abc import Callable, Coroutine, Mapping
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import Any

from loguru import logger

from supervisor import __version__, clock, memory, signals
from supervisor.answers.answers import Answers, again
from supervisor.aside import aside
from supervisor.checkpoints import Checkpoints
from supervisor.checks.checks import Checks
from supervisor.control.server import ControlServer
from supervisor.core.actions import Action, Keep, Kill, Probe, Spawn, Stop, Tick, Watch
from supervisor.core.board import Board, Rules
from supervisor.core.effects import Change, Effects
from supervisor.core.events import (
    Committed,
    EngineFact,
    Exited,
    Ready,
    SpawnFailed,
    TargetFound,
    TargetMissing,
)
from supervisor.core.exits import NotStarted
from supervisor.core.job import Job
from supervisor.core.manifest import Manifest
from supervisor.core.notices import Notices
from supervisor.core.runs import RunId, SlotId
from supervisor.core.slot import Slot
from supervisor.core.states import Idle, Recording, Running, Starting, Ticking, earliest, process_of
from supervisor.core.status import Progress, Vital, iso
from supervisor.core.tree.reasons import hindrance
from supervisor.dialogue import Dialogue
from supervisor.engine import briefing
from supervisor.engine.accounting import account
from supervisor.engine.engine import Engine, Output
from supervisor.engine.strangers import Strangers
from supervisor.engine.tree import tree
from supervisor.engine.vitals import Vitals
from supervisor.errors import JobvisorError
from supervisor.handover import Document, Handover
from supervisor.helpers import Standby
from supervisor.history.recovery import Recovered
from supervisor.history.thread import History
from supervisor.lastwords import LastWords
from supervisor.logs.client import LogProcess
from supervisor.narrator import narrate
from supervisor.notify.couriers import Couriers
from supervisor.observers import Observers
from supervisor.ownlog import OwnLog, unhandled
from supervisor.page import Figures
from supervisor.plain import Fd
from supervisor.reloads import Reloads
from supervisor.statedir import boot_id
from supervisor.systemd.service import service
from supervisor.upgrades import Upgrades
from supervisor.values import dataclass
from supervisor.waiters import Lookers, Waiters


@dataclass(frozen=True, slots=True)
class Helpers:
    """What the processes beside the supervisor are started with, and those of them that have been already."""

    settings: briefing.Settings
    lock: int
    """The descriptor by which the state folder is ours."""
    fork_server: Standby | None = None
    log_process: Standby | None = None


def supervise(
    manifest: Manifest, helpers: Helpers, log: OwnLog, *, console: bool, handed: Document | None = None
) -> int:
    """Supervise the jobs of a manifest until asked to stop; return the exit code. The state folder is ours.

    What another version has ``handed`` over goes on where it stood.
    """
    gc.freeze()  # what the imports have made stays; looking for garbage in it takes a tenth of a start
    faulthandler.enable()  # SIGABRT is what systemd sends to a hung one: its stacks shall be in the journal
    signals.early.wait_for_the_loop()
    return asyncio.run(_serve(manifest, helpers, log, console=console, handed=handed))


async def _serve(manifest: Manifest, helpers: Helpers, log: OwnLog, *, console: bool, handed: Document | None) -> int:
    supervisor = Supervisor(manifest, helpers, log, console=console, handed=handed)
    try:
        await supervisor.start()
        return await supervisor.serve()
    finally:
        await supervisor.close()
        signals.ignore()


class Supervisor:
    """One manifest under supervision."""

    def __init__(
        self, manifest: Manifest, helpers: Helpers, log: OwnLog, *, console: bool, handed: Document | None = None
    ) -> None:
        settings = manifest.settings
        self.manifest = manifest
        self.board: Board
        self.waiters = Waiters(self._slot, self._hindrance)
        self.lookers = Lookers()
        self.started_at = handed.handover.started_at if handed else iso(clock.now().wall) or ""
        self._log = log
        self._lock = helpers.lock
        self._console = console
        self._handed = handed
        self._loop = asyncio.get_running_loop()
        self._done = asyncio.Event()
        self._closed = asyncio.Event()
        self._arming = False
        self._asleep = handed.handover.asleep if handed else clock.asleep()
        self._interrupts = 0
        self._hups: list[dict[str, Any]] = []
        """Reloads by a signal that have not ended, as requests."""
        self._tasks: set[asyncio.Task[None]] = set()
        self._clock = clock.Clock(self._loop, self._time_passed, self._time_passed)
        self._history = History(
            Path(settings.state_dir, "history.db"),
            loop=self._loop,
            acknowledged=self._acknowledged,
            warn=logger.warning,
            keep=settings.history_keep,
            keep_runs=settings.history_keep_runs,
        )
        self._logs = LogProcess(
            loop=self._loop,
            log_dir=Path(settings.log_dir),
            console=console,
            warn=logger.warning,
            environ=os.environ,
            standby=helpers.log_process,
            matched=lambda run_id: self.take(Ready(run_id)),
        )
        self._last_words = LastWords(self._logs, self._history, self._runs_of, self._in_background)
        self._checkpoints = Checkpoints(Path(settings.state_dir), warn=logger.warning)
        self._engine = Engine(
            loop=self._loop,
            report=self.take,
            settings=helpers.settings,
            warn=logger.warning,
            stacked=self._last_words.keep_stack,
            checkpointed=self._checkpoints.ask,
            standby=helpers.fork_server,
        )
        self.dialogue = Dialogue(self._engine, self.waiters, self._slot, self._beside)
        self._strangers = Strangers(self._loop)
        self._service = service(self._loop, os.environ, warn=logger.warning, hindrance=self._hindrance)
        self.reloads = Reloads(self, self._engine, self._service)
        self.upgrades = Upgrades(self, self.reloads.turn)
        self._notices = Notices()
        self._couriers = Couriers(
            loop=self._loop,
            environ=briefing.base_environ(os.environ),
            manifest=manifest.path,
            folder=manifest.folder,
            warn=logger.warning,
        )
        self._couriers.use(manifest.notifiers)
        self._observers = Observers(
            logger.warning,
            narrate,
            self.waiters.notice,
            self._last_words.notice,
            self._service.notice,
            self.lookers.notice,
            self._tell_people,
        )
        self._checks = Checks(loop=self._loop, run_command=self._engine.run_command, report=self.take)
        self._vitals = Vitals(self._engine.pids, self.lookers.call)
        self._sampling: asyncio.TimerHandle | None = None
        self._control = ControlServer(settings.socket, Answers(self), warn=logger.warning, group=settings.socket_group)
        self._recovered = Recovered(next_run_id=0)
        self.board = self._begun_board() if handed is None else self._restored_board(handed.handover)

    def _begun_board(self) -> Board:
        """Return a board without jobs yet, after what the supervisor before this one has left was settled."""
        self._recovered = found = self._history.start(clock.now().wall)
        for lost in found.lost:
            logger.warning(
                "{}: run {} was lost: {}", _label(self.manifest, lost.run.slot), lost.run.run_id, lost.reason
            )
        return Board(_rules(self.manifest), seed=found.installation, boot=boot_id(), next_run_id=found.next_run_id)

    def _restored_board(self, handover: Handover) -> Board:
        """Return the board as it stood before the exec."""
        stood = handover.board
        board = Board.restored(stood, _rules(self.manifest))
        found = Recovered(
            next_run_id=stood.next_run_id,
            saved={slot.id: slot.saved() for slot in stood.slots if not slot.is_lane},
            groups={branch.group.name: branch.saved() for branch in stood.tree.branches},
            installation=stood.seed,
        )
        self._history.go_on(found, handover.records)
        return board

    # -- life ----------------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Bring up the log process, the engine, the jobs and the control socket, in this order."""
        self._loop.set_exception_handler(unhandled)
        signals.early.hand_over(self._loop, self._signals())
        self._service.starting(clock.now())
        self._arm()
        async with self.reloads.turn:  # one that is asked for meanwhile waits
            if self._handed is None:
                await self._begin()
            else:
                await self._go_on(self._handed)

    async def _begin(self) -> None:
        await self._logs.start()
        await self._engine.start()
        await self._control.start()
        logger.info("jobvisor {} supervises {} (pid {})", __version__, self.manifest.path, os.getpid())
        for warning in (*self.manifest.warnings, *self._control.warnings):
            logger.warning("{}", warning)
        if self.board.ending is not None:
            return  # a signal has asked for the end before there was anything to stop
        found = self._recovered
        manifest, now = self.manifest, clock.now()
        self.perform(
            self.board.begin(
                manifest.jobs, found.saved, now, found.lost, groups=manifest.groups, saved_groups=found.groups
            )
        )
        memory.trim()  # while the first rows are written
        self._service.begun(self.board.slots.values(), clock.now())
        self.probe(self.manifest.jobs)
        self._sample_vitals()

    async def _go_on(self, document: Document) -> None:
        """Take over what crossed the exec, in the order in which nothing is heard before who needs it is there."""
        handed = document.handover
        self._logs.take_over(handed.logs)
        processes = (process_of(slot.state) for slot in self.board.slots.values())
        self._engine.take_over(handed.engine, [process.job for process in processes if process is not None])
        await self._control.take_over(handed.control)
        self._notices.take_over(handed.notices)
        self._couriers.take_over(handed.letters)
        logger.info("jobvisor {} goes on from version {} (pid {})", __version__, document.version, os.getpid())
        for slot in list(self.board.slots.values()):
            self._look_again(slot)
        for awaited in handed.awaited:
            self._last_words.keep(awaited)
        self._strangers.notice()
        self._service.go_on(handed.service, self.board.slots.values(), clock.now())
        memory.trim()
        self._sample_vitals()
        self._time_passed()
        self.probe(self.manifest.jobs)
        self._in_background(self.reloads.refresh())
        for request in handed.reloads:
            self._reload_by_signal(request)

    def _look_again(self, slot: Slot) -> None:
        """Go on with what was under way for a slot and does not cross an exec: its row is on disk, looks begin anew."""
        match slot.state:
            case Recording(run=run):
                self.take(Committed(run.run_id))
            case Starting(process=process, is_ready=False):
                self._checks.probe(process.run, process.job)
            case Running(process=process) | Idle(process=process) | Ticking(process=process):
                self._checks.watch(process.run, process.job)

    @property
    def is_steady(self) -> bool:
        """True while all that goes on beside the loop can cross an exec."""
        return self._engine.is_steady and self._logs.is_steady

    def hand_over(self) -> Handover:
        """Return everything as it stands."""
        return Handover(
            manifest=self.manifest,
            started_at=self.started_at,
            asleep=self._asleep,
            lock=Fd(self._lock),
            console=self._console,
            board=self.board.snapshot(),
            engine=self._engine.hand_over(),
            logs=self._logs.hand_over(),
            control=self._control.hand_over(),
            records=self._history.unwritten,
            awaited=self._last_words.awaited,
            notices=self._notices.hand_over(),
            letters=self._couriers.hand_over(),
            service=self._service.hand_over(),
            reloads=tuple(self._hups),
        )

    def send_clients_on(self) -> None:
        """Have clients whose answer is under way ask the next version."""
        self._control.send_on(again)

    def pause(self) -> None:
        """Finish what threads do for jobs, and hold signals back.

        Raises:
            JobvisorError: a disk does not answer.
        """
        if not self._checkpoints.settle():
            raise JobvisorError("the disk of the checkpoints does not answer")
        if not self._history.pause():
            raise JobvisorError("the disk of the history does not answer")
        self._log.settle()
        signals.early.hold_over()

    def resume(self) -> None:
        """Go on after ``pause``."""
        self._history.resume()
        signals.early.take_again(self._loop, self._signals())

    async def serve(self) -> int:
        """Return the exit code once everything has ended."""
        await self._done.wait()
        assert self.board.ending is not None
        return self.board.ending.code

    async def close(self) -> None:
        """Close every floor below; by now no job runs. A step that fails keeps none of the others back.

        Raises:
            Exception: what the last step that failed has raised.
        """
        async with AsyncExitStack() as last_first:
            last_first.callback(logger.info, "ended")
            last_first.callback(self._service.close)
            last_first.callback(self._strangers.close)
            last_first.push_async_callback(self._control.close)
            last_first.callback(self.lookers.close)
            last_first.callback(self._closed.set)
            last_first.push_async_callback(aside, self._couriers.close)
            last_first.callback(self._history.close)
            last_first.callback(self._checkpoints.close)
            last_first.push_async_callback(self._logs.close)
            last_first.push_async_callback(self._engine.close)
            last_first.push_async_callback(self._checks.close)
            last_first.callback(self._clock.close)

    def end(self, code: int) -> None:
        """Stop all jobs, then end with this exit code."""
        logger.info("stopping all jobs")
        self.perform(self.board.shut_down(code, clock.now()))

    async def ended(self) -> None:
        """Return when nothing is left but the answer to the one who asked."""
        await self._closed.wait()

    def _signals(self) -> Mapping[int, Callable[[], None]]:
        return {
            signal.SIGTERM: lambda: self.end(0),
            signal.SIGQUIT: lambda: self.end(0),  # what some containers are stopped with; PID 1 has no default for it
            signal.SIGCHLD: self._strangers.notice,
            signal.SIGINT: self._interrupted,
            signal.SIGHUP: lambda: self._reload_by_signal({}),
            signal.SIGUSR1: self._reopen_logs,
            signal.SIGUSR2: lambda: self._in_background(self._upgrade_by_signal()),
        }

    def _interrupted(self) -> None:
        self._interrupts += 1
        if self._interrupts == 1:
            self.end(0)
        else:
            logger.warning("interrupted again: killing what is left")
            self.perform(self.board.kill_all())

    def _reopen_logs(self) -> None:
        self._logs.reopen()
        self._log.reopen()

    async def _upgrade_by_signal(self) -> None:
        try:
            await self.upgrades.upgrade()
        except JobvisorError as error:
            logger.error("{}", error)

    def _reload_by_signal(self, request: dict[str, Any]) -> None:
        self._hups.append(request)
        self._in_background(self._report_reload(request))

    async def _report_reload(self, request: dict[str, Any]) -> None:
        try:
            result = await Answers(self)("reload", request)
        finally:
            self._hups.remove(request)
        for problem in result["problems"]:
            logger.error("{}", problem)
        for change in result["changes"]:
            if change["change"] != "unchanged":
                logger.info("reload: {} {}", change["name"], change["change"])

    # -- facts in ------------------------------------------------------------------------------------------------------

    def take(self, fact: EngineFact) -> None:
        """Take a fact about a run from the floor below."""
        if isinstance(fact, Exited | SpawnFailed):
            self._checks.end(fact.run_id)
        self.perform(self.board.handle(fact, clock.now()))

    def _acknowledged(self, run_ids: tuple[RunId, ...]) -> None:
        for run_id in run_ids:
            self.take(Committed(run_id))

    def _time_passed(self) -> None:
        now, asleep = clock.now(), clock.asleep()
        if asleep - self._asleep > clock.NAP:
            logger.info("the machine was asleep for {}", asleep - self._asleep)
            self.perform(self.board.slept(now))
        self._asleep = asleep
        self.perform(self.board.advance(now))
        self._service.advance(self.board.slots.values(), now)
        self._couriers.send(self._notices.advance(self.board.slots, now))

    def follow(self, manifest: Manifest) -> None:
        """Go on by what a manifest says beside its jobs."""
        self.manifest = manifest
        self.board.rules = _rules(manifest)
        self._couriers.use(manifest.notifiers)
        self._history.retain(manifest.settings.history_keep, manifest.settings.history_keep_runs)
        self._sample_vitals()

    def probe(self, jobs: tuple[Job, ...]) -> None:
        """Try the targets of jobs in a throw-away process; each slot is told of its own."""
        enabled = [job for job in jobs if job.enabled]
        if enabled:
            self._engine.probe(enabled, self._probed)

    def _probed(self, name: str, found: TargetFound | TargetMissing) -> None:
        slots = [slot.id for slot in self.board.slots_of(name)]
        self.perform(self.board.tell(slots, found, clock.now()))

    def _slot(self, slot_id: SlotId) -> Slot | None:
        return self.board.slots.get(slot_id)

    def _beside(self, slot_id: SlotId) -> list[Slot]:
        return [self.board.slots[lane] for lane in self.board.lanes(slot_id)]

    def _runs_of(self, run_id: RunId) -> tuple[RunId, ...]:
        return self.board.runs_of(run_id)

    def _hindrance(self, slot: Slot) -> str | None:
        return hindrance(self.board.tree, slot)

    # -- orders out ----------------------------------------------------------------------------------------------------

    def perform(self, effects: Effects) -> None:
        """Perform what follows from a fact, in order, and tell the observers.

        What is to be kept of it is one transaction: a due time is never dealt with and without a row, nor the reverse.
        """
        kept = [action for action in effects.actions if isinstance(action, Keep)]
        if kept:
            self._history.keep([each.record for each in kept], [each.ack for each in kept if each.ack is not None])
        for action in effects.actions:
            self._order(action)
        for note in effects.notes:
            logger.warning("{}", note)
        for change in effects.changes:
            self._observers.tell(change)
        if self.board.ending is not None:
            self._service.ending(clock.now())
            if self.board.is_at_rest:
                self._done.set()
        if not self._arming:
            self._arming = True
            self._loop.call_soon(self._arm)

    def _order(self, action: Action) -> None:
        match action:
            case Spawn():
                self._spawn(action)
            case Tick():
                self._engine.tick(action)
            case Probe(run=run, job=job):
                self._checks.probe(run, job)
            case Watch(run=run, job=job):
                self._checks.watch(run, job)
            case Stop(run_id=run_id):
                self._checks.end(run_id)
                self._engine.stop(action)
            case Kill(run_id=run_id, dump=dump):
                self._checks.end(run_id)
                self._engine.kill(run_id, dump=dump)

    def _spawn(self, order: Spawn) -> None:
        try:
            stdout, stderr = self._logs.open(order.run, order.job)
        except OSError as error:
            failed = NotStarted("output pipe", error.errno or 0, error.strerror or str(error))
            self._loop.call_soon(self.take, SpawnFailed(order.run.run_id, failed))
            return
        self._engine.spawn(order, Output(stdout, stderr))

    def _tell_people(self, change: Change) -> None:
        self._couriers.send(self._notices.notice(change))

    def _in_background(self, work: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)  # the loop itself keeps only weak references
        task.add_done_callback(self._tasks.discard)

    def _arm(self) -> None:
        self._arming = False
        if not self._done.is_set():
            self._clock.arm(earliest(self.board.deadline(), self._service.deadline, self._notices.deadline))

    # -- what the answers ask for --------------------------------------------------------------------------------------

    def vitals(self) -> Mapping[RunId, Vital]:
        """Return CPU and memory by run, as of the last sample."""
        return self._vitals.readings

    def progress(self) -> Mapping[RunId, Progress]:
        """Return how far the runs are that say so, by the run of their process."""
        return {run_id: _progress(figures) for run_id, figures in self._engine.progress().items()}

    def warnings(self) -> list[str]:
        """Return what is not as it should be, beside the jobs: a line each."""
        troubles = (self._history.trouble, self._checkpoints.trouble)
        return [
            *self.manifest.warnings,
            *self._engine.warnings,
            *self._logs.warnings,
            *(trouble for trouble in troubles if trouble),
            *self._couriers.warnings,
            *self._control.warnings,
            *self._log.warnings,
        ]

    async def processes(self, slot: Slot) -> dict[str, Any] | None:
        """Return a slot's process and all below it; None where it has none."""
        process = process_of(slot.state)
        if process is None or process.pid is None:
            return None
        return await aside(partial(tree, process.pid))

    async def account(self, slot: Slot) -> dict[str, Any] | None:
        """Return what the kernel has counted of a slot's run in its cgroup; None where it has none."""
        process = process_of(slot.state)
        path = self._engine.cgroup_of(process.run.run_id) if process is not None else None
        return None if path is None else await aside(partial(account, path))

    async def tail(self, run_id: RunId) -> list[str]:
        """Return the last lines of output of a run."""
        return await self._logs.tail(run_id)

    def _sample_vitals(self) -> None:
        """Sample now and then again, as often as the manifest says; a reload begins anew."""
        if self._sampling is not None:
            self._sampling.cancel()
            self._sampling = None
        every = self.manifest.settings.vitals
        if every is not None:
            self._sampling = self._loop.call_later(every.total_seconds(), self._sample_vitals)
            self._vitals.sample(self._loop)
            self._engine.check()
            self._logs.check()


def _label(manifest: Manifest, slot: SlotId) -> str:
    """Return what people call a slot; of a job that is no longer in the manifest, its name."""
    return next((job.label(slot.instance) for job in manifest.jobs if job.name == slot.job), slot.job)


def _rules(manifest: Manifest) -> Rules:
    settings = manifest.settings
    return Rules(root=settings.root_limit, max_running=settings.max_running, stop_timeout=settings.stop_timeout)


def _progress(said: Figures) -> Progress:
    took = said.at - said.began_at
    return Progress(
        run_id=said.run_id,
        done=said.done,
        total=said.total,
        note=said.note,
        per_second=(said.done - said.first) / took if took > 0 else None,
    )

"""The supervisor's side of the engine: orders go to the fork server, facts about runs come back.

Every run is known here from its order to its end. Every fact is reported by a callback of its own: what fails there
stays there.
"""

import asyncio
import os
import signal
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
from itertools import count
from typing import Any

from supervisor import page
from supervisor.core.actions import Spawn, Stop, Tick
from supervisor.core.checks import Told
from supervisor.core.events import EngineFact, MemoryExceeded, TargetFound, TargetMissing
from supervisor.core.exits import NO_USAGE, Code, Exit, Lost, NotStarted, Signalled, Usage
from supervisor.core.job import Job
from supervisor.core.runs import Attempt, RunId, SlotId
from supervisor.engine.appetite import Appetite
from supervisor.engine.briefing import Settings
from supervisor.engine.cgroups import path_of
from supervisor.engine.errand import Done, Errand, errand_order
from supervisor.engine.generation import Generation, Patience
from supervisor.engine.launch import launch, tick_identity
from supervisor.engine.mailbox import Posted, Refused, Reply
from supervisor.engine.notify_socket import NotifySocket
from supervisor.engine.ordered import Ordered, close_all, ordered, take_over
from supervisor.engine.probing import Probes
from supervisor.engine.quotas import Quotas
from supervisor.engine.renewal import Renewal
from supervisor.engine.reports import Listener, RunReport
from supervisor.engine.stack import NONE
from supervisor.engine.succession import HandedServers, Succession
from supervisor.helpers import Standby
from supervisor.values import dataclass
from supervisor.wire import Message, is_in_memory, is_pipe

MOST_EARLY = 1000
"""Messages of a run that are kept until the fork server, which may be stopped, tells of its process."""

Checkpointed = Callable[[SlotId, str, list[int]], None]
"""Takes what a job asks of its checkpoint: ``keep`` or ``recall``, with the sheet for the answer and the pipe that
tells it; the descriptors that it leaves in the list are closed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HandedEngine:
    """What of the engine crosses an exec."""

    servers: HandedServers
    next_probe: int


@dataclass(frozen=True, slots=True)
class Output:
    """The write ends that a job's process gets as stdout and stderr; the engine closes them."""

    stdout: int
    stderr: int


class Engine:
    """Makes and ends the processes of jobs. Installs no signal handlers; needs an event loop, not the main thread."""

    def __init__(  # each by its name, from the one place that has them all
        self,
        *,
        loop: asyncio.AbstractEventLoop,
        report: Callable[[EngineFact], None],
        settings: Settings,
        warn: Callable[[str], None],
        patience: Patience | None = None,
        stacked: Callable[[RunId, str], None] = lambda _run_id, _text: None,
        checkpointed: Checkpointed = lambda _slot, _kind, _fds: None,
        standby: Standby | None = None,
    ) -> None:
        """Take the settings of the fork servers; ``standby`` may have the first one, briefed already."""
        self._loop = loop
        self._stacked = stacked
        self._checkpointed = checkpointed
        self._report_now = report
        self._folder = settings.path[0]
        self._environ = settings.environ
        self._cgroup = settings.cgroup
        self._warn = warn
        self._patience = patience or Patience()
        self._runs: dict[RunId, Ordered] = {}
        self._appetite = Appetite(loop, lambda run_id: self._report(MemoryExceeded(run_id)))
        self._quotas = Quotas(settings.cgroup, warn)
        self._probe_ids = count(-1, -1)
        self._probes = self._probing()
        self._standby = standby
        self._servers = Succession(
            loop=loop,
            settings=settings,
            patience=self._patience,
            runs=self._runs,
            hear=self._note,
            lost=lambda run, why: self._end(run, Lost(why), NO_USAGE),
            trial=self._probing,
            warn=warn,
        )

    def _probing(self, server: Generation | None = None) -> Probes:
        """Return probes that are made by this fork server, or by that of now."""
        return Probes(
            loop=self._loop,
            environ=self._environ,
            folder=self._folder,
            patience=self._patience.probe,
            order=lambda message, listener: self._order_probe(message, listener, server),
            kill=self.kill,
        )

    @property
    def warnings(self) -> tuple[str, ...]:
        """What status says of the fork server and its preload modules."""
        return (*self._servers.warnings, *self._quotas.warnings)

    @property
    def _counts_memory(self) -> bool:
        """True where the kernel keeps ``limits.memory``."""
        return self._cgroup is not None and "memory" in self._cgroup.controllers

    def pids(self) -> Mapping[RunId, int]:
        """Return the first process of each run that has one."""
        return {run.run_id: run.pid for run in self._runs.values() if run.pid is not None and run.run_id > 0}

    def cgroup_of(self, run_id: RunId) -> str | None:
        """Return the folder of a run's cgroup; None where no run has one."""
        run = self._runs.get(run_id)
        return None if run is None or self._cgroup is None else path_of(self._cgroup, run.message["job"], run_id)

    # -- orders --------------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Exec the fork server; jobs can be ordered at once and start when it has imported ``preload``.

        Raises:
            OSError: it cannot be started.
        """
        self._servers.start(self._standby.take() if self._standby is not None else None)

    @property
    def is_steady(self) -> bool:
        """True while all that the engine has can cross an exec."""
        return self._servers.is_steady

    def hand_over(self) -> HandedEngine:
        """Return all runs and fork servers as they stand."""
        following = next(self._probe_ids)
        self._probe_ids = count(following, -1)
        return HandedEngine(servers=self._servers.hand_over(), next_probe=following)

    def take_over(self, handed: HandedEngine, jobs: Iterable[Job]) -> None:
        """Go on with what crossed an exec, in the place of ``start``; probes that were under way are ended.

        ``jobs`` are those that the processes were started for.
        """
        for job in jobs:
            self._quotas.note(job)
        self._probe_ids = count(handed.next_probe, -1)
        servers = self._servers.take_over(handed.servers)
        for each in handed.servers.runs:
            server = None if each.server is None else servers[each.server]
            run = take_over(self._loop, each, server=server, report=self._report, hear=self._told, warn=self._warn)
            self._runs[run.run_id] = run
            if run.pid is not None:
                self._look_after(run, run.pid)
            if run.run_id < 0:
                self.kill(run.run_id)

    def spawn(self, order: Spawn, output: Output) -> None:
        """Start a run's process: ``SpawnFailed``, or ``Spawned`` and later ``Exited``, is reported, never from here."""
        self._quotas.note(order.job)
        listener = RunReport(order.run.run_id, self._report)
        message = launch(order, self._folder, self._cgroup)
        try:
            notify_socket = self._notify_socket(order, message)
        except OSError as error:
            close_all((output.stdout, output.stderr))
            self._refuse_order(listener, error)
            return
        self._order(message, (output.stdout, output.stderr), listener, spawn=order, notify_socket=notify_socket)

    def _notify_socket(self, order: Spawn, message: Message) -> NotifySocket | None:
        """Return the socket by which a run may say that it is ready or alive, and tell it the address."""
        rules = order.job.supervision
        if order.run.due_at is not None or (rules.ready is not Told.NOTIFY and rules.heartbeat is None):
            return None
        run_id = order.run.run_id
        notify_socket = NotifySocket(self._loop, lambda told: self._told(self._runs[run_id], told, []))
        message["env"]["NOTIFY_SOCKET"] = notify_socket.address
        if rules.heartbeat is not None:
            message["env"]["WATCHDOG_USEC"] = str(rules.heartbeat // timedelta(microseconds=1))
        return notify_socket

    def run_command(self, run: Attempt, job: Job, argv: tuple[str, ...], done: Done) -> Callable[[], None]:
        """Run a program as a job's own process, to the null device; ``done`` is told how it ended.

        Return what ends it early, with all that it has started; ``done`` follows then too.
        """
        run_id = next(self._probe_ids)
        message = launch(errand_order(run_id, run, job, argv), self._folder, self._cgroup)
        self._order_to_null(message, Errand(done))
        return lambda: self.kill(run_id)

    def stop(self, order: Stop) -> None:
        """Ask a run to end: tell its Worker why, then signal its process group."""
        if order.dump:
            self._dump(order.run_id, lambda: self._stop(order))
        else:
            self._stop(order)

    def _stop(self, order: Stop) -> None:
        run = self._runs.get(order.run_id)
        if run is not None and run.server is None:
            self._call_off(run)
        elif run is not None:
            run.channel.put({"kind": "stop", "cause": order.cause.value})
            run.channel.flush()  # before the signal
            self._servers.tell(run, {"order": "stop", "run_id": order.run_id, "signal": order.signal})

    def kill(self, run_id: RunId, *, dump: bool = False) -> None:
        """End a run now, with all that it has started; with ``dump`` after its stacks, at most a second later."""
        run = self._runs.get(run_id)
        if run is None:
            return
        if dump:
            self._dump(run_id, lambda: self.kill(run_id))
        elif run.server is None:
            self._call_off(run)
        else:
            self._servers.tell(run, {"order": "kill", "run_id": run_id})

    def _call_off(self, run: Ordered) -> None:
        """End a run that no fork server has been told of."""
        self._forget(run)
        self._loop.call_soon(run.listener.failed, NotStarted("fork", 0, "stopped before there was a process"))

    def _dump(self, run_id: RunId, then: Callable[[], None]) -> None:
        """Report the stacks of a run that has any, then go on."""
        run = self._runs.get(run_id)

        def told(text: str) -> None:
            self._stacked(run_id, text)
            then()

        if run is None or not run.dump(told):
            then()

    def tick(self, order: Tick) -> None:
        """Have a Worker run ``tick()``; ``TickEnded`` follows, or its end."""
        run = self._runs.get(order.run_id)
        if run is not None:
            run.channel.put({"kind": "tick", "run_id": order.run.run_id, "env": tick_identity(order)})

    def check(self) -> None:
        """Have the fork server say that it still serves; one that does not is replaced."""
        if self._servers.current is not None:
            self._servers.current.expect_answer()

    # -- talking to a job ----------------------------------------------------------------------------------------------

    def post(self, run_id: RunId, kind: str, content: Any) -> Posted | Refused:
        """Put a message into the mailbox of a run's Worker: ``call``, ``cast`` or ``state``."""
        run = self._runs.get(run_id)
        return Refused("it has no process") if run is None else run.mailbox.post(kind, content)

    def claim(self, run_id: RunId, ask: int) -> Posted | Refused:
        """Return a message that was put in before an exec, by its number."""
        run = self._runs.get(run_id)
        return Refused("it ended before it answered") if run is None else run.mailbox.claim(ask)

    def signal(self, run_id: RunId, number: int) -> int | None:
        """Send a signal to the first process of a run; return its pid, or None where it has none."""
        run = self._runs.get(run_id)
        if run is None or run.pidfd is None:
            return None
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(run.pidfd, number)
            return run.pid
        return None

    async def stack(self, run_id: RunId) -> str:
        """Return the stacks of a run's threads, without stopping it, within about a second; or why there are none."""
        run = self._runs.get(run_id)
        answer: asyncio.Future[str] = self._loop.create_future()
        if run is None or not run.dump(lambda text: None if answer.done() else answer.set_result(text)):
            return NONE
        return await answer

    def progress(self) -> Mapping[RunId, page.Figures]:
        """Return how far the runs are that say so, by the run of their process."""
        read = ((run.run_id, page.read(run.page)) for run in self._runs.values() if run.page is not None)
        return {run_id: figures for run_id, figures in read if figures is not None}

    def probe(self, jobs: Sequence[Job], found: Callable[[str, TargetFound | TargetMissing], None]) -> None:
        """Try the targets of jobs in a throw-away process; ``found`` is called once for each, by name."""
        self._probes.begin(jobs, found)

    def _order_probe(self, message: Message, listener: Listener, server: Generation | None = None) -> RunId:
        run_id = next(self._probe_ids)
        message |= {"run_id": run_id, "env": {"JOBVISOR_RUN_ID": str(run_id)}}
        self._order_to_null(message, listener, server)
        return run_id

    def _order_to_null(self, message: Message, listener: Listener, server: Generation | None = None) -> None:
        try:
            null = os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)
        except OSError as error:
            self._refuse_order(listener, error)
            return
        self._order(message, (null, os.dup(null)), listener, server=server)

    def _order(  # each by its name
        self,
        message: Message,
        output: tuple[int, int],
        listener: Listener,
        *,
        server: Generation | None = None,
        spawn: Spawn | None = None,
        notify_socket: NotifySocket | None = None,
    ) -> None:
        try:
            run = ordered(
                self._loop,
                message,
                listener,
                output,
                hear=lambda told, fds: self._told(run, told, fds),
                warn=self._warn,
                spawn=spawn,
                notify_socket=notify_socket,
            )
        except OSError as error:
            close_all(output)
            if notify_socket is not None:
                notify_socket.close()
            self._refuse_order(listener, error)
            return
        self._runs[run.run_id] = run
        self._servers.give(run, server)

    def _refuse_order(self, listener: Listener, error: OSError) -> None:
        failed = NotStarted("channel", error.errno or 0, error.strerror or str(error))
        self._loop.call_soon(listener.failed, failed)

    def _report(self, fact: EngineFact) -> None:
        self._loop.call_soon(self._report_now, fact)

    # -- fresh code ----------------------------------------------------------------------------------------------------

    async def renew(self, *, path: Sequence[str], preload: Sequence[str]) -> Renewal:
        """Return a fork server that has imported ``preload`` afresh, to be tried, then adopted or discarded.

        Raises:
            JobvisorError: it cannot be started, or died.
        """
        return await self._servers.renew(path=path, preload=preload)

    def adopt(self, renewal: Renewal) -> None:
        """Have every later run made by the new fork server; the old one goes when its last run has ended.

        Raises:
            JobvisorError: the new one has died meanwhile.
        """
        self._servers.adopt(renewal)

    def discard(self, renewal: Renewal) -> None:
        """Go on as before."""
        self._servers.discard(renewal)

    # -- facts ---------------------------------------------------------------------------------------------------------

    def _note(self, fact: Message, fds: list[int]) -> None:
        run = self._runs.get(fact["run_id"])
        if run is None:
            return
        match fact:
            case {"fact": "spawned", "pid": int(pid)}:
                self._spawned(run, pid, fds.pop() if fds else None)
            case {"fact": "spawn_failed", "errno": int(number), "text": str(text)}:
                self._forget(run)
                run.listener.failed(NotStarted("fork", number, text))
            case {"fact": "exited", "cpu": float(cpu), "max_rss": int(max_rss)}:
                self._end(run, _exit(fact), Usage(cpu=timedelta(seconds=cpu), max_rss=max_rss))

    def _spawned(self, run: Ordered, pid: int, pidfd: int | None) -> None:
        """Note a process; where no descriptor was left for its pidfd, the fork server alone tells of its end."""
        run.made(pid, pidfd)
        self._look_after(run, pid)
        run.listener.spawned(pid)
        for message in run.early:
            run.listener.told(message)
        run.early.clear()

    def _look_after(self, run: Ordered, pid: int) -> None:
        """Watch for the end of a process, and how much memory it takes where nobody else does."""
        if run.pidfd is not None:
            self._loop.add_reader(run.pidfd, self._saw_end, run)
        limit = run.message.get("cgroup_limits", {}).get("memory")
        if limit is not None and not self._counts_memory:
            self._appetite.watch(run.run_id, pid, limit)

    def _told(self, run: Ordered, message: Message, fds: list[int]) -> None:
        match message:
            case {"kind": "reply", "ask": int(ask)}:
                error = message.get("error")
                run.mailbox.answered(ask, Reply(message.get("value"), None if error is None else str(error)))
            case {"kind": "progress"} if fds and is_in_memory(fds[-1]):
                run.turn(fds.pop())
            case {"kind": "keep" | "recall" as kind} if run.slot is not None and _is_question(fds):
                self._checkpointed(run.slot, kind, fds)
            case _ if run.pid is None:
                if len(run.early) >= MOST_EARLY:
                    raise ValueError(f"{MOST_EARLY} messages before its process was told of")
                run.early.append(message)
            case _:
                run.listener.told(message)

    def _saw_end(self, run: Ordered) -> None:
        """A process has ended; the fork server will say how, or it is hung. A job may leave more than its process."""
        assert run.pidfd is not None
        self._loop.remove_reader(run.pidfd)
        if run.server is not None:
            run.server.expect_answer()

    def _end(self, run: Ordered, how: Exit, usage: Usage) -> None:
        run.drain()
        self._forget(run)
        run.listener.ended(how, usage)

    def _forget(self, run: Ordered) -> None:
        del self._runs[run.run_id]
        self._appetite.forget(run.run_id)
        run.close(self._loop)
        self._servers.left(run)

    async def close(self) -> None:
        """End the fork server; jobs that still run are stopped by it, by their own stop rules, and not reported."""
        self._probes.cancel()
        await self._servers.close()
        for run in list(self._runs.values()):
            self._forget(run)


def _is_question(fds: Sequence[int]) -> bool:
    """Tell whether these are a sheet and a pipe: a file on a disk that hangs would hold up who answers."""
    return len(fds) == 2 and is_in_memory(fds[0]) and is_pipe(fds[1])


def _exit(fact: Message) -> Exit:
    if "signal" in fact:
        return Signalled(fact["signal"], fact["core_dumped"], fact.get("oom_killed", False))
    return Code(fact["code"])

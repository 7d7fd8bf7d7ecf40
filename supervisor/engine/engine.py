"""The supervisor's side of the engine: orders go to the fork server, facts about runs come back.

Every run is known here from its order to its end, so a fork server that dies loses nothing: orders that it had not
answered are given again to the next one, and the ends of its processes are seen by their pidfds. Every fact is reported
by a callback of its own: what fails there stays there.
"""

import asyncio
import os
import signal
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from supervisor import linux, page
from supervisor.core.actions import Spawn, Stop, Tick
from supervisor.core.checks import Told
from supervisor.core.events import EngineFact, MemoryExceeded, TargetFound, TargetMissing
from supervisor.core.exits import NO_USAGE, Code, Exit, Lost, NotStarted, Signalled, Usage
from supervisor.core.job import Job, Run
from supervisor.core.runs import Attempt, RunId, SlotId
from supervisor.engine import briefing, cgroups
from supervisor.engine.aftermath import bury
from supervisor.engine.appetite import Appetite
from supervisor.engine.briefing import Settings
from supervisor.engine.channel import LARGEST_TOLD
from supervisor.engine.errand import Done, Errand, errand_order
from supervisor.engine.generation import Generation, Patience
from supervisor.engine.launch import launch, tick_identity
from supervisor.engine.line import Line
from supervisor.engine.mailbox import Mailbox, Refused, Reply
from supervisor.engine.notify_socket import NotifySocket
from supervisor.engine.probing import Probes
from supervisor.engine.renewal import DIED, Renewal
from supervisor.engine.reports import Listener, RunReport
from supervisor.engine.stack import NONE, Stack
from supervisor.errors import JobvisorError
from supervisor.helpers import LONGEST_PAUSE, Pacing, Standby
from supervisor.wire import Message, is_in_memory, is_pipe, pair

Checkpointed = Callable[[SlotId, str, list[int]], None]
"""Takes what a job asks of its checkpoint: ``keep`` or ``recall``, with the sheet for the answer and the pipe that
tells it; the descriptors that it leaves in the list are closed."""


@dataclass(frozen=True, slots=True)
class Output:
    """The write ends that a job's process gets as stdout and stderr; the engine closes them."""

    stdout: int
    stderr: int


@dataclass(slots=True, kw_only=True)
class Ordered:
    """A run from its order to the report of its end."""

    run_id: RunId
    listener: Listener
    message: Message
    channel: Line
    server: Generation | None
    """The fork server that was told of it; None while there is none."""
    mailbox: Mailbox
    fds: tuple[int, ...]
    """stdout, stderr and the job's ends of channel and stack, until the fork server has made the process."""
    slot: SlotId | None = None
    """None for a probe."""
    stack: Stack | None = None
    """None where there is no stack to be had: a command, a probe."""
    page: int | None = None
    """The descriptor of the page on which it writes its progress."""
    later: list[Message] = field(default_factory=list)
    """Stops and kills that came before the process did."""
    early: list[Message] = field(default_factory=list)
    """What the process said before the fork server told of it."""
    pid: int | None = None
    pidfd: int | None = None
    notify_socket: NotifySocket | None = None


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
        self._warn = warn
        self._patience = patience or Patience()
        self._warnings: dict[str, str] = {}
        self._runs: dict[RunId, Ordered] = {}
        self._settings = settings
        self._standby = standby
        self._server: Generation | None = None
        self._elders: set[Generation] = set()
        """Fork servers with old code, each until its last run has ended."""
        self._coming: set[Generation] = set()
        """Fork servers with fresh code, each until it is adopted or discarded."""
        self._tasks: set[asyncio.Task[None]] = set()
        self._pacing = Pacing()
        self._closing = asyncio.Event()
        self._replacing: asyncio.Task[None] | None = None
        self._appetite = Appetite(loop, lambda run_id: self._report(MemoryExceeded(run_id)))
        self._probe_ids = iter(range(-1, -(2**31), -1))
        self._probes = Probes(
            loop=loop,
            environ=self._settings.environ,
            folder=self._folder,
            patience=self._patience.probe,
            order=self._order_probe,
            kill=self.kill,
        )

    @property
    def warnings(self) -> tuple[str, ...]:
        """What status says of the fork server and its preload modules."""
        return tuple(self._warnings.values())

    @property
    def _counts_memory(self) -> bool:
        """True where the kernel keeps ``limits.memory``."""
        return self._settings.cgroup is not None and "memory" in self._settings.cgroup.controllers

    @property
    def _servers(self) -> list[Generation]:
        """All fork servers that live."""
        return [server for server in (self._server, *self._elders, *self._coming) if server is not None]

    def pids(self) -> Mapping[RunId, int]:
        """Return the first process of each run that has one."""
        return {run.run_id: run.pid for run in self._runs.values() if run.pid is not None and run.run_id > 0}

    # -- orders --------------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Exec the fork server; jobs can be ordered at once and start when it has imported ``preload``.

        Raises:
            OSError: it cannot be started.
        """
        linux.adopt_orphans()
        linux.allow_most_files()
        self._start_server()

    def spawn(self, order: Spawn, output: Output) -> None:
        """Start a run's process: ``SpawnFailed``, or ``Spawned`` and later ``Exited``, is reported, never from here."""
        listener = RunReport(order.run.run_id, self._report)
        message = launch(order, self._folder, self._settings.cgroup)
        try:
            notify_socket = self._notify_socket(order, message)
        except OSError as error:
            _close((output.stdout, output.stderr))
            self._refuse_order(listener, error)
            return
        self._order(
            order.run.run_id,
            message,
            (output.stdout, output.stderr),
            listener,
            spawn=order,
            notify_socket=notify_socket,
        )

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
        message = launch(errand_order(run_id, run, job, argv), self._folder, self._settings.cgroup)
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
        if run is not None:
            run.channel.put({"kind": "stop", "cause": order.cause.value})
            run.channel.flush()  # before the signal
            self._tell_later(run, {"order": "stop", "run_id": order.run_id, "signal": order.signal})

    def kill(self, run_id: RunId, *, dump: bool = False) -> None:
        """End a run now, with all that it has started; with ``dump`` after its stacks, at most a second later."""
        run = self._runs.get(run_id)
        if run is None:
            return
        if dump:
            self._dump(run_id, lambda: self.kill(run_id))
        else:
            self._tell_later(run, {"order": "kill", "run_id": run_id})

    def _dump(self, run_id: RunId, then: Callable[[], None]) -> None:
        """Report the stacks of a run that has any, then go on."""
        run = self._runs.get(run_id)
        if run is None or run.stack is None or run.pid is None or run.pidfd is None:
            then()
            return

        def told(text: str) -> None:
            self._stacked(run_id, text)
            then()

        run.stack.ask(run.pid, run.pidfd, told)

    def tick(self, order: Tick) -> None:
        """Have a Worker run ``tick()``; ``TickEnded`` follows, or its end."""
        run = self._runs.get(order.run_id)
        if run is not None:
            run.channel.put({"kind": "tick", "run_id": order.run.run_id, "env": tick_identity(order)})

    def check(self) -> None:
        """Have the fork server say that it still serves; one that does not is replaced."""
        if self._server is not None:
            self._server.expect_answer()

    # -- talking to a job ----------------------------------------------------------------------------------------------

    def post(self, run_id: RunId, kind: str, content: Any) -> "asyncio.Future[Reply] | Refused":
        """Put a message into the mailbox of a run's Worker: ``call``, ``cast`` or ``state``."""
        run = self._runs.get(run_id)
        return Refused("it has no process") if run is None else run.mailbox.post(kind, content)

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
        if run is None or run.stack is None or run.pid is None or run.pidfd is None:
            return NONE
        answer: asyncio.Future[str] = self._loop.create_future()
        run.stack.ask(run.pid, run.pidfd, lambda text: None if answer.done() else answer.set_result(text))
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
        self._order(message["run_id"], message, (null, os.dup(null)), listener, server=server)

    def _order(
        self,
        run_id: RunId,
        message: Message,
        output: tuple[int, int],
        listener: Listener,
        *,
        server: Generation | None = None,
        spawn: Spawn | None = None,
        notify_socket: NotifySocket | None = None,
    ) -> None:
        try:
            with ExitStack() as undo:
                ours, theirs = (undo.enter_context(end) for end in pair())
                stack = Stack(self._loop) if spawn is not None and isinstance(spawn.job.target, Run) else None
                undo.pop_all()
        except OSError as error:
            _close(output)
            if notify_socket is not None:
                notify_socket.close()
            self._refuse_order(listener, error)
            return
        channel = Line(
            self._loop,
            ours,
            hear=lambda message, fds: self._told(run, message, fds),
            hung_up=lambda problem: self._warn(f"run {run_id}: its channel is closed: {problem}") if problem else None,
            largest=LARGEST_TOLD,
        )
        run = Ordered(
            run_id=run_id,
            listener=listener,
            message=message,
            channel=channel,
            server=server or self._server,
            mailbox=Mailbox(self._loop, channel.put),
            fds=(*output, theirs.detach(), *([stack.job_end] if stack is not None else [])),
            slot=spawn.run.slot if spawn is not None else None,
            stack=stack,
            notify_socket=notify_socket,
        )
        self._runs[run_id] = run
        if run.server is not None:
            run.server.tell(run.message, run.fds)
            run.server.expect_answer()

    def _refuse_order(self, listener: Listener, error: OSError) -> None:
        failed = NotStarted("channel", error.errno or 0, error.strerror or str(error))
        self._loop.call_soon(listener.failed, failed)

    def _tell_later(self, run: Ordered, message: Message) -> None:
        """Tell the fork server of a run; a run without a process yet may be made by the next one, which is told too."""
        if run.pid is None:
            run.later.append(message)
        if run.server is not None:
            run.server.tell(message)
            run.server.expect_answer()

    def _report(self, fact: EngineFact) -> None:
        self._loop.call_soon(self._report_now, fact)

    # -- the fork server -----------------------------------------------------------------------------------------------

    def _start_server(self) -> None:
        helper = self._standby.take() if self._standby is not None else None
        if helper is None:
            helper = briefing.begin(self._settings)
        self._server = server = Generation(
            helper,
            self._patience,
            loop=self._loop,
            hear=self._note,
            died=self._server_died,
            say=self._say,
        )
        for run in self._runs.values():
            if run.server is None:
                self._give_again(run, server)

    @staticmethod
    def _give_again(run: Ordered, server: Generation) -> None:
        run.server = server
        run.early.clear()  # of a process that died with the last fork server
        server.tell(run.message, run.fds)
        for message in run.later:
            server.tell(message)

    def _say(self, key: str, warning: str) -> None:
        if self._warnings.get(key) != warning:
            self._warnings[key] = warning
            self._warn(warning)

    def _server_died(self, server: Generation) -> None:
        """Bury what the fork server had, then start another, at once where the last one was steady."""
        if server is not self._server:
            if server in self._elders and any(run.server is server for run in self._runs.values()):
                self._warn("the old fork server died; the jobs that it still had are lost and start again")
            self._elders.discard(server)
            self._coming.discard(server)
            self._in_background(self._bury(server))
            return
        self._server = None
        if server.refused is not None:
            preload = tuple(name for name in self._settings.preload if name != server.refused)
            self._settings = self._settings._replace(preload=preload)
        elif not self._closing.is_set():
            self._warn("the fork server died; its jobs are lost and start again")
        self._replacing = self._loop.create_task(self._replace(server))

    async def _bury(self, dead: Generation) -> None:
        """Report the runs of a dead fork server as lost when nothing of them is left; give what it had not made again.

        What it had not made is given to the fork server of now, where there is one, else to the next.
        """
        dead.kill()
        await dead.ended()
        own = [run for run in self._runs.values() if run.server is dead]
        lost = [run for run in own if run.pid is not None]
        leaders = {run.pid: run.pidfd for run in lost if run.pid is not None and run.pidfd is not None}
        for pidfd in leaders.values():
            self._loop.remove_reader(pidfd)
        alive = {server.pid for server in self._servers}
        await bury(self._loop, leaders, {run.run_id for run in own}, own_cgroups=self._cgroups_of(own), spared=alive)
        for run in lost:
            self._end(run, Lost("the fork server died"), NO_USAGE)
        for run in own:
            if run.pid is None:
                run.server = None
                if self._server is not None:
                    self._give_again(run, self._server)

    def _cgroups_of(self, runs: Iterable[Ordered]) -> list[str]:
        delegation = self._settings.cgroup
        if delegation is None:
            return []
        return [cgroups.path_of(delegation, run.message["job"], run.run_id) for run in runs]

    async def _replace(self, dead: Generation) -> None:
        await self._bury(dead)
        pause = 0.0 if dead.refused is not None else self._pacing.after(self._loop.time() - dead.started_at)
        while not await self._is_closing_within(pause) and self._server is None:  # none with fresh code meanwhile
            try:
                self._start_server()
            except OSError as error:
                self._warn(f"the fork server cannot be started: {error}; trying again in {LONGEST_PAUSE:g} s")
                pause = LONGEST_PAUSE
            else:
                return

    async def _is_closing_within(self, seconds: float) -> bool:
        with suppress(TimeoutError):
            await asyncio.wait_for(self._closing.wait(), seconds)
        return self._closing.is_set()

    # -- fresh code ----------------------------------------------------------------------------------------------------

    async def renew(self, *, path: Sequence[str], preload: Sequence[str]) -> Renewal:
        """Return a fork server that has imported ``preload`` afresh, to be tried, then adopted or discarded.

        Raises:
            JobvisorError: it cannot be started, or died.
        """
        settings = self._settings._replace(path=tuple(path), preload=tuple(preload))
        warnings: dict[str, str] = {}
        while True:
            try:
                server = Generation(
                    briefing.begin(settings),
                    self._patience,
                    loop=self._loop,
                    hear=self._note,
                    died=self._server_died,
                    say=warnings.__setitem__,
                )
            except OSError as error:
                raise JobvisorError(f"cannot start a new fork server: {error.strerror or error}") from error
            self._coming.add(server)
            if await server.serves():
                return Renewal(server, settings, warnings, self._trial(server))
            if server.refused is None:
                raise JobvisorError(DIED)
            settings = settings._replace(preload=tuple(name for name in settings.preload if name != server.refused))

    def _trial(self, server: Generation) -> Probes:
        return Probes(
            loop=self._loop,
            environ=self._settings.environ,
            folder=self._folder,
            patience=self._patience.probe,
            order=lambda message, listener: self._order_probe(message, listener, server),
            kill=self.kill,
        )

    def adopt(self, renewal: Renewal) -> None:
        """Have every later run made by the new fork server; the old one goes when its last run has ended.

        Raises:
            JobvisorError: the new one has died meanwhile.
        """
        if renewal.server.gone.is_set():
            raise JobvisorError(DIED)
        self._coming.discard(renewal.server)
        old, self._server = self._server, renewal.server
        self._settings = renewal.settings
        self._warnings = dict(renewal.warnings)
        for warning in renewal.warnings.values():
            self._warn(warning)
        if old is not None:
            self._elders.add(old)
            self._retire(old)
        for run in self._runs.values():
            if run.server is None:
                self._give_again(run, renewal.server)

    def discard(self, renewal: Renewal) -> None:
        """Go on as before."""
        renewal.trial.cancel()
        self._coming.discard(renewal.server)
        self._elders.add(renewal.server)
        self._retire(renewal.server)

    def _retire(self, server: Generation) -> None:
        """Let a fork server go that has no run any more."""
        if any(run.server is server for run in self._runs.values()):
            return
        self._elders.discard(server)
        server.hang_up()
        self._in_background(server.ended(self._patience.answer))

    def _in_background(self, work: Coroutine[None, None, None]) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)  # the loop itself keeps only weak references
        task.add_done_callback(self._tasks.discard)

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
        run.pid, run.pidfd = pid, pidfd
        if run.notify_socket is not None:
            run.notify_socket.pid = pid
        _close(run.fds)
        run.fds = ()
        if pidfd is not None:
            self._loop.add_reader(pidfd, self._saw_end, run)
        limit = run.message.get("cgroup_limits", {}).get("memory")
        if limit is not None and not self._counts_memory:
            self._appetite.watch(run.run_id, pid, limit)
        run.listener.spawned(pid)
        for message in run.early:
            run.listener.told(message)
        run.early.clear()

    def _told(self, run: Ordered, message: Message, fds: list[int]) -> None:
        match message:
            case {"kind": "reply", "ask": int(ask)}:
                error = message.get("error")
                run.mailbox.answered(ask, Reply(message.get("value"), None if error is None else str(error)))
            case {"kind": "progress"} if fds and is_in_memory(fds[-1]):
                _close([run.page] if run.page is not None else [])
                run.page = fds.pop()
            case {"kind": "keep" | "recall" as kind} if run.slot is not None and _is_question(fds):
                self._checkpointed(run.slot, kind, fds)
            case _ if run.pid is None:
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
        run.channel.drain()
        if run.notify_socket is not None:
            run.notify_socket.drain()
        self._forget(run)
        run.listener.ended(how, usage)

    def _forget(self, run: Ordered) -> None:
        del self._runs[run.run_id]
        self._appetite.forget(run.run_id)
        run.channel.close()
        if run.notify_socket is not None:
            run.notify_socket.close()
        run.mailbox.close()
        if run.stack is not None:
            run.stack.close()
        _close([*run.fds, *([run.page] if run.page is not None else [])])
        if run.pidfd is not None:
            self._loop.remove_reader(run.pidfd)
            os.close(run.pidfd)
        if run.server in self._elders:
            self._retire(run.server)

    async def close(self) -> None:
        """End the fork server; jobs that still run are stopped by it, by their own stop rules, and not reported."""
        self._closing.set()
        self._probes.cancel()
        if self._replacing is not None:
            await self._replacing
        servers = self._servers
        for server in servers:
            server.hang_up()
        for server in servers:
            has_jobs = any(run.run_id > 0 and run.server is server for run in self._runs.values())
            await server.ended(None if has_jobs else self._patience.answer)
        self._server = None
        self._elders.clear()
        self._coming.clear()
        while self._tasks:
            await asyncio.wait(self._tasks)
        for run in list(self._runs.values()):
            self._forget(run)


def _close(fds: Iterable[int]) -> None:
    for fd in fds:
        os.close(fd)


def _is_question(fds: Sequence[int]) -> bool:
    """Tell whether these are a sheet and a pipe: a file on a disk that hangs would hold up who answers."""
    return len(fds) == 2 and is_in_memory(fds[0]) and is_pipe(fds[1])


def _exit(fact: Message) -> Exit:
    if "signal" in fact:
        return Signalled(fact["signal"], fact["core_dumped"], fact.get("oom_killed", False))
    return Code(fact["code"])

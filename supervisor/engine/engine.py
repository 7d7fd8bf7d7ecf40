"""The supervisor's side of the engine: orders go to the fork server, facts about runs come back.

Every run is known here from its order to its end, so a fork server that dies loses nothing: orders that it had not
answered are given again to the next one, and the ends of its processes are seen by their pidfds.
"""

import asyncio
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from supervisor.core.actions import Spawn, Stop, Tick
from supervisor.core.board import EngineFact
from supervisor.core.events import Exited, Serving, Spawned, SpawnFailed, TargetFound, TargetMissing, TickEnded
from supervisor.core.exits import Code, ErrorRecord, Exit, Lost, NotStarted, Signalled, Usage
from supervisor.core.job import Command, Job, Run
from supervisor.core.kind import Kind
from supervisor.core.runs import RunId
from supervisor.engine import containment, linux
from supervisor.engine.forkserver import PLACEHOLDER
from supervisor.engine.launch import base_environ, identity, launch
from supervisor.engine.probe import program_problem
from supervisor.engine.targets import Wanted
from supervisor.wire import Message, Wire, pair

HUNG_AFTER = 10.0
"""Seconds in which the fork server must report an end that the supervisor has seen, or it is hung."""
PRELOAD_WITHIN = 60.0
"""Seconds that one preload module may take to import."""
PROBE_WITHIN = 60.0
"""Seconds that one target may take to import in a probe."""
SPARE = 0.05
"""Seconds before the first replacement of a fork server that died at once; doubled up to LONGEST_SPARE."""
LONGEST_SPARE = 5.0
STEADY_AFTER = 10.0


@dataclass(frozen=True, slots=True)
class Output:
    """The write ends that a job's process gets as stdout and stderr; the engine closes them."""

    stdout: int
    stderr: int


@dataclass(slots=True)
class Ordered:
    """A run from its order to the report of its end."""

    run_id: RunId
    message: Message
    channel: Wire
    fds: tuple[int, ...]
    """stdout, stderr and the job's end of the channel, until the fork server has made the process."""
    pid: int | None = None
    pidfd: int | None = None
    error: ErrorRecord | None = None
    not_started: NotStarted | None = None
    overdue: asyncio.TimerHandle | None = None
    probe: "Probing | None" = None


@dataclass(slots=True)
class Probing:
    """The targets that a probe has not told of yet, in its order."""

    left: dict[str, Wanted]
    found: Callable[[str, TargetFound | TargetMissing], None]
    patience: asyncio.TimerHandle | None = None
    is_slow: bool = False


class Engine:
    """Makes and ends the processes of jobs. Installs no signal handlers; needs an event loop, not the main thread."""

    def __init__(
        self,
        *,
        loop: asyncio.AbstractEventLoop,
        report: Callable[[EngineFact], None],
        environ: Mapping[str, str],
        folder: str,
        pythonpath: Sequence[str],
        preload: Sequence[str],
        warn: Callable[[str], None],
    ) -> None:
        self._loop = loop
        self._report = report
        self._environ = base_environ(environ)
        self._folder = folder
        self._path = [folder, *pythonpath]
        self._preload = list(preload)
        self._warn = warn
        self._warnings: dict[str, str] = {}
        self._runs: dict[RunId, Ordered] = {}
        self._server: subprocess.Popen[bytes] | None = None
        self._wire: Wire | None = None
        self._importing: str | None = None
        self._impatience: asyncio.TimerHandle | None = None
        self._started_at = 0.0
        self._spare = SPARE
        self._closing = False
        self._probe_ids = iter(range(-1, -(2**31), -1))
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def warnings(self) -> tuple[str, ...]:
        """What status says of the fork server and its preload modules."""
        return tuple(self._warnings.values())

    def pids(self) -> Mapping[RunId, int]:
        """Return the first process of each run that has one."""
        return {run.run_id: run.pid for run in self._runs.values() if run.pid is not None and run.probe is None}

    # -- orders --------------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Exec the fork server; jobs can be ordered at once and start when it has imported ``preload``."""
        linux.adopt_orphans()
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        self._job_nofile = soft
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        self._start_server()

    def spawn(self, order: Spawn, output: Output) -> None:
        """Start a run's process: ``SpawnFailed``, or ``Spawned`` and later ``Exited``, is reported, never from here."""
        try:
            ours, theirs = pair()
        except OSError as error:
            self._close((output.stdout, output.stderr))
            failed = SpawnFailed(order.run.run_id, NotStarted("channel", error.errno or 0, error.strerror or ""))
            self._loop.call_soon(self._report, failed)
            return
        run = Ordered(
            run_id=order.run.run_id,
            message=launch(order, self._folder),
            channel=Wire(ours),
            fds=(output.stdout, output.stderr, theirs.detach()),
        )
        self._take_on(run)

    def _take_on(self, run: Ordered) -> None:
        self._runs[run.run_id] = run
        self._loop.add_reader(run.channel, self._hear, run)
        self._tell(run.message, run.fds)

    def stop(self, order: Stop) -> None:
        """Ask a run to end: tell its Worker why, then signal its process group."""
        run = self._runs.get(order.run_id)
        if run is None:
            return
        self._speak(run, {"kind": "stop", "cause": order.cause.value})
        self._tell({"order": "stop", "run_id": order.run_id, "signal": order.signal})

    def kill(self, run_id: RunId) -> None:
        """End a run now, with all that it has started."""
        if run_id in self._runs:
            self._tell({"order": "kill", "run_id": run_id})

    def tick(self, order: Tick) -> None:
        """Have a Worker run ``tick()``; ``TickEnded`` follows, or its end."""
        run = self._runs.get(order.run_id)
        if run is not None:
            self._speak(run, {"kind": "tick", "run_id": order.run.run_id, "env": identity(order.run)})

    def _speak(self, run: Ordered, message: Message) -> None:
        run.channel.put(message)
        self._flush(run.channel)

    def _tell(self, message: Message, fds: Sequence[int] = ()) -> None:
        """Tell the fork server; where there is none, the next one is told what matters by ``_start_server``."""
        if self._wire is None:
            return
        if not self._wire.has_waiting:
            self._loop.call_soon(self._flush, self._wire)
        self._wire.put(message, fds, lent=True)

    def _flush(self, wire: Wire) -> None:
        """Send what waits; an end of file tells of a peer that is gone, and what it missed is told to the next one."""
        if wire.fileno() < 0:
            return
        with suppress(ConnectionError):
            wire.flush()
        if wire.has_waiting:
            self._loop.add_writer(wire, self._flush, wire)
        else:
            self._loop.remove_writer(wire)

    # -- probes --------------------------------------------------------------------------------------------------------

    def probe(self, jobs: Sequence[Job], found: Callable[[str, TargetFound | TargetMissing], None]) -> None:
        """Try the targets of jobs in a throw-away process; ``found`` is called once for each, by name."""
        left: dict[str, Wanted] = {}
        for job in jobs:
            match job.target:
                case Run(target=target):
                    left[job.name] = Wanted(job.name, job.where, target, self._folder)
                case Command(argv=argv, shell=shell):
                    path = {**self._environ, **job.process.env}.get("PATH")
                    wanted = Wanted(job.name, job.where, argv[0], self._folder)
                    problem = None if shell else program_problem(wanted, argv[0], path, job.process.cwd)
                    fact = TargetFound(Kind.COMMAND) if problem is None else TargetMissing(problem)
                    self._loop.call_soon(found, job.name, fact)
        if left:
            self._probe(Probing(left, found))

    def _probe(self, probing: Probing) -> None:
        run_id = next(self._probe_ids)
        ours, theirs = pair()
        null = os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)
        targets = [{"job": at.job, "where": at.where, "target": at.target} for at in probing.left.values()]
        message = {
            "order": "probe",
            "run_id": run_id,
            "folder": self._folder,
            "targets": targets,
            "stop_signal": int(signal.SIGKILL),
            "stop_timeout": 0,
        }
        run = Ordered(run_id, message, Wire(ours), (null, os.dup(null), theirs.detach()), probe=probing)
        self._take_on(run)
        self._wait_for_probe(run, probing)

    def _wait_for_probe(self, run: Ordered, probing: Probing) -> None:
        if probing.patience is not None:
            probing.patience.cancel()
        probing.patience = self._loop.call_later(PROBE_WITHIN, self._give_up_probe, run, probing)

    def _give_up_probe(self, run: Ordered, probing: Probing) -> None:
        if run.pid is None:
            self._wait_for_probe(run, probing)
            return
        probing.is_slow = True
        self.kill(run.run_id)

    def _probed(self, run: Ordered, probing: Probing, name: str, fact: TargetFound | TargetMissing) -> None:
        if probing.left.pop(name, None) is not None:
            self._wait_for_probe(run, probing)
            probing.found(name, fact)

    def _probe_ended(self, probing: Probing, ended: Exit) -> None:
        """Go on with the targets behind the one at which a probe ended."""
        if probing.patience is not None:
            probing.patience.cancel()
        if not probing.left or self._closing:
            return
        if not isinstance(ended, Lost):
            name, wanted = next(iter(probing.left.items()))
            del probing.left[name]
            how = f"took more than {PROBE_WITHIN:.0f} s" if probing.is_slow else f"ended the process ({_words(ended)})"
            where = f" ({wanted.where})" if wanted.where else ""
            module = wanted.target.partition(":")[0]
            probing.found(name, TargetMissing(f'job "{wanted.job}"{where}: importing "{module}" {how}'))
        if probing.left:
            self._probe(Probing(probing.left, probing.found))

    # -- the fork server -----------------------------------------------------------------------------------------------

    def _start_server(self) -> None:
        ours, theirs = pair()
        package_folder = Path(__file__).parents[2]
        self._server = subprocess.Popen(  # noqa: S603  # our own interpreter and module
            [sys.executable, "-m", "supervisor.engine.forkserver", str(theirs.fileno())],
            env={**self._environ, "JOBVISOR_RUN_ID": PLACEHOLDER},
            cwd=package_folder,
            pass_fds=(theirs.fileno(),),
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
        theirs.close()
        self._started_at = self._loop.time()
        self._importing = None
        self._wire = Wire(ours)
        self._loop.add_reader(self._wire, self._listen, self._wire)
        self._tell({"path": self._path, "preload": self._preload, "nofile": self._job_nofile})
        for run in self._runs.values():
            if run.pid is None:
                self._tell(run.message, run.fds)

    def _listen(self, wire: Wire) -> None:
        try:
            while received := wire.receive():
                for message, fds in received:
                    self._note(message, fds)
        except EOFError:
            self._server_died()

    def _note(self, fact: Message, fds: list[int]) -> None:
        match fact:
            case {"fact": "spawned", "run_id": run_id, "pid": pid} if run_id in self._runs:
                self._spawned(self._runs[run_id], pid, fds.pop())
            case {"fact": "exited", "run_id": run_id} if run_id in self._runs:
                self._exited(self._runs[run_id], fact)
            case {"fact": "spawn_failed", "run_id": run_id} if run_id in self._runs:
                run = self._runs[run_id]
                failed = NotStarted("fork", fact["errno"], fact["text"])
                self._forget(run)
                if run.probe is not None:
                    self._probe_ended(run.probe, failed)
                else:
                    self._report(SpawnFailed(run_id, failed))
            case {"fact": "preloading", "module": module}:
                self._importing = module
                self._watch_preload()
            case {"fact": "preload_failed", "module": module, "reason": reason}:
                self._refuse(module, reason)
            case {"fact": "preload_warning", "module": module, "text": text}:
                self._say(module, f'preload: "{module}": {text}')
            case {"fact": "serving"}:
                self._importing = None
                self._watch_preload()
        self._close(fds)

    def _watch_preload(self) -> None:
        if self._impatience is not None:
            self._impatience.cancel()
            self._impatience = None
        if self._importing is not None:
            self._impatience = self._loop.call_later(PRELOAD_WITHIN, self._preload_hung, self._importing)

    def _preload_hung(self, module: str) -> None:
        self._refuse(module, f"it takes more than {PRELOAD_WITHIN:.0f} s to import")
        self._kill_server()

    def _refuse(self, module: str, reason: str) -> None:
        self._preload = [name for name in self._preload if name != module]
        self._importing = None
        self._spare = 0.0
        self._say(module, f'preload: "{module}" is not preloaded: {reason}; each job imports it itself')

    def _say(self, key: str, warning: str) -> None:
        if self._warnings.get(key) != warning:
            self._warnings[key] = warning
            self._warn(warning)

    def _kill_server(self) -> None:
        if self._server is not None:
            for number in (signal.SIGCONT, signal.SIGKILL):
                with suppress(ProcessLookupError):
                    self._server.send_signal(number)

    def _server_died(self) -> None:
        """Bury what the fork server had, then start another, at once where the last one was steady."""
        assert self._wire is not None
        self._loop.remove_reader(self._wire)
        self._loop.remove_writer(self._wire)
        self._wire.close()
        self._wire = None
        if self._importing is not None:
            self._refuse(self._importing, "importing it ended the process")
        elif not self._closing and self._spare:
            self._warn("the fork server died; its jobs are lost and start again")
        self._watch_preload()
        for run in self._runs.values():
            if run.overdue is not None:
                run.overdue.cancel()
        task = self._loop.create_task(self._replace_server())
        self._tasks.add(task)
        task.add_done_callback(self._replaced)

    def _replaced(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._warn(f"the fork server cannot be replaced: {type(error).__name__}: {error}; trying again")
            self._loop.call_later(LONGEST_SPARE, self._try_again)

    def _try_again(self) -> None:
        if self._wire is None and not self._closing:
            task = self._loop.create_task(self._replace_server())
            self._tasks.add(task)
            task.add_done_callback(self._replaced)

    async def _replace_server(self) -> None:
        server = self._server
        assert server is not None
        self._kill_server()
        if server.poll() is None:
            await _ended(self._loop, os.pidfd_open(server.pid))
            server.wait()
        lost = [run for run in self._runs.values() if run.pid is not None]
        for run in lost:
            await self._bury(run)
        self._sweep({run.run_id for run in lost}, {run.pid for run in lost})
        if self._closing:
            return
        steady = self._loop.time() - self._started_at > STEADY_AFTER
        if not steady and self._spare:
            await asyncio.sleep(self._spare)
        self._spare = SPARE if steady or not self._spare else min(self._spare * 2, LONGEST_SPARE)
        self._start_server()
        for run in lost:
            self._lost(run)

    async def _bury(self, run: Ordered) -> None:
        """Wait for a job's first process, which its death signal ends, and reap it: it is our child now."""
        assert run.pid is not None
        assert run.pidfd is not None
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(run.pidfd, signal.SIGKILL)
        self._loop.remove_reader(run.pidfd)
        await _ended(self._loop, os.dup(run.pidfd))
        containment.signal_group(run.pid, signal.SIGKILL)
        with suppress(ChildProcessError):
            os.waitpid(run.pid, os.WNOHANG)  # noqa: ASYNC222  # it does not block

    @staticmethod
    def _sweep(run_ids: set[RunId], sessions: set[int | None]) -> None:
        """Kill what lost jobs had started; it has become our child, and is reaped as it ends."""
        while True:
            left = 0
            for pid in containment.children(os.getpid()):
                seen = containment.sight(pid)
                if seen is None or not (seen.session in sessions or containment.run_of(pid) in run_ids):
                    continue
                containment.kill(pid)
                with suppress(ChildProcessError):
                    left += os.waitpid(pid, 0)[0] != pid
            if not left:
                return

    def _lost(self, run: Ordered) -> None:
        self._hear(run)
        self._forget(run)
        if run.probe is not None:
            self._probe_ended(run.probe, Lost("fork server died"))
        else:
            self._report(Exited(run_id=run.run_id, ended=Lost("the fork server died"), error=run.error))

    # -- facts about runs ----------------------------------------------------------------------------------------------

    def _spawned(self, run: Ordered, pid: int, pidfd: int) -> None:
        run.pid, run.pidfd = pid, pidfd
        self._close(run.fds)
        run.fds = ()
        self._loop.add_reader(pidfd, self._saw_end, run)
        if run.probe is None:
            self._report(Spawned(run.run_id, pid))

    def _saw_end(self, run: Ordered) -> None:
        """The process has ended; how, the fork server will say, or it is hung."""
        assert run.pidfd is not None
        self._loop.remove_reader(run.pidfd)
        run.overdue = self._loop.call_later(HUNG_AFTER, self._server_hung)

    def _server_hung(self) -> None:
        self._warn("the fork server does not report; it is killed")
        self._kill_server()

    def _exited(self, run: Ordered, fact: Message) -> None:
        self._hear(run)
        self._forget(run)
        ended = _exit_of(run, fact)
        if run.probe is not None:
            self._probe_ended(run.probe, ended)
            return
        usage = Usage(cpu=timedelta(seconds=fact["cpu"]), max_rss=fact["max_rss"])
        self._report(Exited(run_id=run.run_id, ended=ended, usage=usage, error=run.error))

    def _hear(self, run: Ordered) -> None:
        """Take what the job says over its channel."""
        try:
            while run.run_id in self._runs and (received := run.channel.receive()):
                for message, fds in received:
                    self._close(fds)
                    self._told(run, message)
        except EOFError:
            self._loop.remove_reader(run.channel)
        except ValueError as error:
            self._loop.remove_reader(run.channel)
            self._warn(f"run {run.run_id}: its channel is closed: {error}")

    def _told(self, run: Ordered, message: Message) -> None:
        match message:
            case {"kind": "serving"}:
                self._report(Serving(run.run_id))
            case {"kind": "ticked", "tick_id": int(tick_id), "duration": float(took), "cpu": float(cpu)}:
                duration, used = timedelta(seconds=took), timedelta(seconds=cpu)
                self._report(TickEnded(run_id=run.run_id, tick_id=tick_id, duration=duration, cpu=used))
            case {"kind": "error", "type": str(name), "message": str(text), "traceback": str(trace)}:
                file, line = message.get("file"), message.get("line")
                run.error = ErrorRecord(type=name, message=text, file=file, line=line, traceback=trace)
            case {"kind": "start_failed", "step": str(step), "errno": int(number), "text": str(text)}:
                run.not_started = NotStarted(step, number, text)
            case {"kind": "found", "job": str(name), "target": str(kind)} if run.probe is not None:
                self._probed(run, run.probe, name, TargetFound(Kind(kind)))
            case {"kind": "missing", "job": str(name), "problem": str(problem)} if run.probe is not None:
                self._probed(run, run.probe, name, TargetMissing(problem))

    def _forget(self, run: Ordered) -> None:
        del self._runs[run.run_id]
        self._loop.remove_reader(run.channel)
        self._loop.remove_writer(run.channel)
        run.channel.close()
        self._close(run.fds)
        if run.overdue is not None:
            run.overdue.cancel()
        if run.pidfd is not None:
            self._loop.remove_reader(run.pidfd)
            os.close(run.pidfd)

    @staticmethod
    def _close(fds: Sequence[int]) -> None:
        for fd in fds:
            os.close(fd)

    async def close(self) -> None:
        """End the fork server; jobs that still run are stopped by it, by their own stop rules."""
        self._closing = True
        if self._wire is None or self._server is None:
            return
        self._loop.remove_reader(self._wire)
        self._loop.remove_writer(self._wire)
        self._wire.close()
        self._wire = None
        if self._server.poll() is None:
            await _ended(self._loop, os.pidfd_open(self._server.pid))
            self._server.wait()
        self._watch_preload()
        for run in list(self._runs.values()):
            if run.probe is not None and run.probe.patience is not None:
                run.probe.patience.cancel()
            self._forget(run)


async def _ended(loop: asyncio.AbstractEventLoop, pidfd: int) -> None:
    """Return when the process of a pidfd has ended; closes the pidfd."""
    over: asyncio.Future[None] = loop.create_future()
    loop.add_reader(pidfd, _settle, over)
    try:
        await over
    finally:
        loop.remove_reader(pidfd)
        os.close(pidfd)


def _settle(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


def _exit_of(run: Ordered, fact: Message) -> Exit:
    if run.not_started is not None:
        return run.not_started
    if "signal" in fact:
        return Signalled(fact["signal"], fact["core_dumped"])
    return Code(fact["code"])


def _words(ended: Exit) -> str:
    match ended:
        case Signalled(signal=number):
            return signal.Signals(number).name
        case Code(code=code):
            return f"exit {code}"
    return "it did not start"

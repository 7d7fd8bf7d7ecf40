"""The succession of fork servers: one makes the new runs, older ones stay until their last run has ended.

A fork server is given runs once it serves; until then a run can be called off. One that dies loses nothing: orders that
it had not answered are given again to the next one, and what it had made is buried, and reported as lost.
"""

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from contextlib import suppress

from supervisor import linux
from supervisor.core.runs import RunId
from supervisor.engine import briefing, cgroups
from supervisor.engine.aftermath import bury
from supervisor.engine.briefing import Settings
from supervisor.engine.cgroups import Delegation
from supervisor.engine.generation import Generation, HandedServer, Patience
from supervisor.engine.ordered import HandedRun, Ordered, hand_over
from supervisor.engine.probing import Probes
from supervisor.engine.remarks import Remarks
from supervisor.engine.renewal import DIED, Renewal
from supervisor.errors import JobvisorError
from supervisor.handed import helper
from supervisor.helpers import LONGEST_PAUSE, Helper, Pacing
from supervisor.plain import Fd
from supervisor.values import dataclass
from supervisor.wire import Message


@dataclass(frozen=True, slots=True, kw_only=True)
class HandedSettings:
    """What the next fork server is started with, too."""

    environ: Mapping[str, str]
    path: tuple[str, ...]
    preload: tuple[str, ...]
    nofile: int
    vacancy: Fd | None
    cgroup: Delegation | None

    @property
    def settings(self) -> Settings:
        """As the fork servers know them."""
        return Settings(
            environ=self.environ,
            path=self.path,
            preload=self.preload,
            nofile=self.nofile,
            vacancy=self.vacancy,
            cgroup=self.cgroup,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class HandedServers:
    """What of all fork servers, and of their runs, crosses an exec."""

    settings: HandedSettings
    servers: tuple[HandedServer, ...]
    """The one that makes new runs first."""
    runs: tuple[HandedRun, ...]
    remarks: Mapping[str, str]


class Succession:
    """The fork servers that live, and which of them has which run."""

    def __init__(  # each by its name, from the one place that has them all
        self,
        *,
        loop: asyncio.AbstractEventLoop,
        settings: Settings,
        patience: Patience,
        runs: Mapping[RunId, Ordered],
        hear: Callable[[Message, list[int]], None],
        lost: Callable[[Ordered, str], None],
        trial: Callable[[Generation], Probes],
        warn: Callable[[str], None],
    ) -> None:
        """Look at the engine's ``runs``; ``hear`` takes facts about them, ``lost`` one whose fork server is dead."""
        self._loop = loop
        self.settings = settings
        self._patience = patience
        self._runs = runs
        self._hear = hear
        self._lost = lost
        self._make_trial = trial
        self._warn = warn
        self._remarks = Remarks(warn)
        self.current: Generation | None = None
        """The one that makes new runs; None while there is none."""
        self._elders: set[Generation] = set()
        """Those with old code, each until its last run has ended."""
        self._coming: set[Generation] = set()
        """Those with fresh code, each until it is adopted or discarded."""
        self._tasks: set[asyncio.Task[None]] = set()
        self.pacing = Pacing()
        self._closing = asyncio.Event()
        self.replacing: asyncio.Task[None] | None = None
        """Puts another one in the place of the last that died."""

    @property
    def warnings(self) -> tuple[str, ...]:
        """What status says of the fork server and its preload modules."""
        return self._remarks.lines

    @property
    def _living(self) -> list[Generation]:
        return [server for server in (self.current, *self._elders, *self._coming) if server is not None]

    # -- orders --------------------------------------------------------------------------------------------------------

    def start(self, helper: Helper | None) -> None:
        """Exec the first one, unless it is there and briefed already.

        Raises:
            OSError: it cannot be started.
        """
        linux.adopt_orphans()
        linux.allow_most_files()
        self._start_server(helper or briefing.begin(self.settings))

    @property
    def is_steady(self) -> bool:
        """True while the fork server of now serves, and none is coming, or has died and is not buried."""
        return self._serving is not None and not self._coming and not self._tasks and not self._is_replacing

    @property
    def _is_replacing(self) -> bool:
        return self.replacing is not None and not self.replacing.done()

    def hand_over(self) -> HandedServers:
        """Return all of them as they stand while they are steady, the one of now first."""
        s = self.settings
        settings = HandedSettings(
            environ=s.environ,
            path=tuple(s.path),
            preload=tuple(s.preload),
            nofile=s.nofile,
            vacancy=None if s.vacancy is None else Fd(s.vacancy),
            cgroup=s.cgroup,
        )
        places = {server: place for place, server in enumerate(self._living)}
        return HandedServers(
            settings=settings,
            servers=tuple(server.hand_over() for server in places),
            runs=tuple(hand_over(run, places[run.server] if run.server else None) for run in self._runs.values()),
            remarks=self._remarks.standing,
        )

    def take_over(self, handed: HandedServers) -> list[Generation]:
        """Go on with those that served before an exec."""
        linux.adopt_orphans()
        self._remarks.standing = dict(handed.remarks)
        for each in handed.servers:
            server = self._generation(helper(each.helper))
            server.take_over(each)
            if self.current is None:
                self.current = server
            else:
                self._elders.add(server)
        return self._living

    def give(self, run: Ordered, server: Generation | None = None) -> None:
        """Have a run made by this fork server, or by that of now, as soon as one serves."""
        server = server or self._serving
        if server is not None:
            run.server = server
            server.make(run.message, run.fds)
            server.expect_answer()

    @property
    def _serving(self) -> Generation | None:
        return self.current if self.current is not None and self.current.is_serving else None

    def tell(self, run: Ordered, message: Message) -> None:
        """Tell the fork server of a run; a run without a process yet may be made by the next one, which is told too."""
        if run.pid is None:
            run.later.append(message)
        if run.server is not None:
            run.server.tell(message)
            run.server.expect_answer()

    def left(self, run: Ordered) -> None:
        """Note that a run is over: a fork server with old code goes with its last one."""
        if run.server in self._elders:
            self._retire(run.server)

    # -- one that dies -------------------------------------------------------------------------------------------------

    def _start_server(self, helper: Helper) -> None:
        self.current = self._generation(helper)

    def _generation(self, helper: Helper) -> Generation:
        return Generation(
            helper,
            self._patience,
            loop=self._loop,
            hear=self._hear,
            died=self._died,
            say=self._remarks.stands,
            befell=self._remarks.befell,
            serves=self._give_waiting,
        )

    def _give_waiting(self, server: Generation) -> None:
        """Give a fork server that serves what waits for one."""
        if server is self.current:
            for run in self._runs.values():
                if run.server is None:
                    self._give_again(run, server)

    @staticmethod
    def _give_again(run: Ordered, server: Generation) -> None:
        run.server = server
        run.early.clear()  # of a process that died with the last fork server
        server.make(run.message, run.fds)
        for message in run.later:
            server.tell(message)

    def _died(self, server: Generation) -> None:
        """Bury what the fork server had, then start another, at once where the last one was steady."""
        if server is not self.current:
            if server in self._elders and any(run.server is server for run in self._runs.values()):
                self._remarks.befell("the old fork server died; the jobs that it still had are lost and start again")
            self._elders.discard(server)
            self._coming.discard(server)
            self._in_background(self._bury(server))
            return
        self.current = None
        if server.refused is not None:
            preload = tuple(name for name in self.settings.preload if name != server.refused)
            self.settings = self.settings._replace(preload=preload)
        elif not self._closing.is_set():
            self._remarks.befell("the fork server died; its jobs are lost and start again")
        self.replacing = self._loop.create_task(self._replace(server))

    async def _bury(self, dead: Generation) -> None:
        """Report the runs of a dead fork server as lost when nothing of them is left; give what it had not made again.

        What it had not made is given to the fork server of now, where there is one, else to the next. What it has begun
        without telling is lost too: no run begins twice.
        """
        dead.kill()
        await dead.ended()
        own = [run for run in self._runs.values() if run.server is dead]
        lost = [run for run in own if run.pid is not None or dead.has_begun(run.message)]
        leaders = {run.pid: run.pidfd for run in lost if run.pid is not None and run.pidfd is not None}
        for pidfd in leaders.values():
            self._loop.remove_reader(pidfd)
        alive = {server.pid for server in self._living}
        await bury(self._loop, leaders, {run.run_id for run in own}, own_cgroups=self._cgroups_of(own), spared=alive)
        for run in lost:
            self._lost(run, "the fork server died")
        for run in own:
            if run not in lost:
                run.server = None
                if self._serving is not None:
                    self._give_again(run, self._serving)

    def _cgroups_of(self, runs: Iterable[Ordered]) -> list[str]:
        delegation = self.settings.cgroup
        if delegation is None:
            return []
        return [cgroups.path_of(delegation, run.message["job"], run.run_id) for run in runs]

    async def _replace(self, dead: Generation) -> None:
        await self._bury(dead)
        pause = 0.0 if dead.refused is not None else self.pacing.after(self._loop.time() - dead.started_at)
        while not await self._is_closing_within(pause) and self.current is None:  # none with fresh code meanwhile
            try:
                self._start_server(briefing.begin(self.settings))
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
        settings = self.settings._replace(path=tuple(path), preload=tuple(preload))
        warnings: dict[str, str] = {}
        while True:
            server = self._fresh(settings, warnings)
            try:
                is_serving = await server.serves()
            except asyncio.CancelledError:
                server.kill()
                raise
            if is_serving:
                return Renewal(server, settings, warnings, self._make_trial(server))
            if server.refused is None:
                raise JobvisorError(DIED)
            settings = settings._replace(preload=tuple(name for name in settings.preload if name != server.refused))

    def _fresh(self, settings: Settings, warnings: dict[str, str]) -> Generation:
        try:
            helper = briefing.begin(settings)
        except OSError as error:
            raise JobvisorError(f"cannot start a new fork server: {error.strerror or error}") from error
        server = Generation(
            helper,
            self._patience,
            loop=self._loop,
            hear=self._hear,
            died=self._died,
            say=warnings.__setitem__,
            befell=self._remarks.befell,
        )
        self._coming.add(server)
        return server

    def adopt(self, renewal: Renewal) -> None:
        """Have every later run made by the new fork server; the old one goes when its last run has ended.

        Raises:
            JobvisorError: the new one has died meanwhile.
        """
        if renewal.server.gone.is_set():
            raise JobvisorError(DIED)
        self._coming.discard(renewal.server)
        old, self.current = self.current, renewal.server
        self.settings = renewal.settings
        self._remarks.stand(renewal.warnings)
        if old is not None:
            self._elders.add(old)
            self._retire(old)
        self._give_waiting(renewal.server)

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

    # -- the end -------------------------------------------------------------------------------------------------------

    async def close(self) -> None:
        """End them all; jobs that still run are stopped by them, by their own stop rules, and not reported."""
        self._closing.set()
        if self.replacing is not None:
            await self.replacing
        servers = self._living
        for server in servers:
            if server.is_serving:
                server.hang_up()
            else:
                server.kill()  # it has made nothing, and would hear of the end after its imports
        for server in servers:
            has_jobs = any(run.run_id > 0 and run.server is server for run in self._runs.values())
            await server.ended(None if has_jobs else self._patience.answer)
        self.current = None
        self._elders.clear()
        self._coming.clear()
        while self._tasks:
            await asyncio.wait(self._tasks)

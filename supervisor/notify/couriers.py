"""All notifiers of a manifest, and which of them gets a notice."""

import asyncio
import socket
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from supervisor.core.notices import Notice, is_for
from supervisor.core.notifier import Notifier
from supervisor.notify.courier import Courier

CLOSE_WITHIN = 5.0
"""Seconds that an ending supervisor has for the notices that still wait."""


class Couriers:
    """One courier for each notifier. Its methods belong to the loop's thread; none but ``close`` waits."""

    def __init__(
        self,
        *,
        loop: asyncio.AbstractEventLoop,
        environ: Mapping[str, str],
        manifest: str,
        folder: str,
        warn: Callable[[str], None],
    ) -> None:
        self._loop = loop
        self._environ = environ
        self._folder = folder
        self._warn = warn
        self._from = {"manifest": manifest, "host": socket.gethostname()}
        self._couriers: dict[str, Courier] = {}

    def use(self, notifiers: Iterable[Notifier]) -> None:
        """Have these notifiers from now on; those that stay the same keep what waits, the others try it once more."""
        old = self._couriers
        self._couriers = {}
        for notifier in notifiers:
            kept = old.get(notifier.name)
            if kept is not None and kept.notifier == notifier:
                self._couriers[notifier.name] = old.pop(notifier.name)
            else:
                self._couriers[notifier.name] = self._courier(notifier)
        for courier in old.values():
            courier.finish()

    def _courier(self, notifier: Notifier) -> Courier:
        return Courier(notifier, environ=self._environ, folder=self._folder, warn=self._say)

    def send(self, notices: Iterable[Notice]) -> None:
        """Hand each notice to the notifiers of its job that want it."""
        for notice in notices:
            for name in notice.slot.job.notify:
                courier = self._couriers.get(name)
                if courier is not None and is_for(notice, courier.notifier):
                    courier.put({**notice.told(), **self._from})

    def hand_over(self) -> dict[str, tuple[Any, ...]]:
        """Return the notices that have not arrived, by notifier."""
        return {name: courier.waiting for name, courier in self._couriers.items() if courier.waiting}

    def take_over(self, letters: Mapping[str, Iterable[Any]]) -> None:
        """Deliver notices of before an exec; one that was on its way may arrive twice."""
        for name, waiting in letters.items():
            for notice in waiting if name in self._couriers else ():
                self._couriers[name].put(notice)

    @property
    def warnings(self) -> list[str]:
        """What status says: a line for each notifier whose notices do not arrive."""
        return [trouble for courier in self._couriers.values() if (trouble := courier.trouble) is not None]

    def close(self) -> None:
        """Deliver what waits, within CLOSE_WITHIN for all together."""
        until = time.monotonic() + CLOSE_WITHIN
        for courier in self._couriers.values():
            courier.close(until)

    def _say(self, text: str) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._warn, text)

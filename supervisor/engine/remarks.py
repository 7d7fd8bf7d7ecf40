"""What status says of the fork servers: of a module while it is so, of an accident for a while after it."""

import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import NamedTuple

RECENT = 600.0
"""Seconds for which an accident is told; where it goes on, it is told anew."""

MOST = 20
"""Different accidents that are remembered."""


class _Accident(NamedTuple):
    text: str
    until: float


class Remarks:
    """Each is a sentence for the log when it is made, and a line of status as long as it holds."""

    def __init__(self, warn: Callable[[str], None]) -> None:
        self._warn = warn
        self.standing: dict[str, str] = {}
        """What holds for the fork server of now, by what it is about."""
        self._accidents: dict[str, _Accident] = {}

    @property
    def lines(self) -> tuple[str, ...]:
        """What is to be said now."""
        now = time.monotonic()
        recent = (each.text for each in self._accidents.values() if each.until > now)
        return (*self.standing.values(), *recent)

    def stands(self, key: str, text: str) -> None:
        """Say what holds for the fork server of now, of one module."""
        if self.standing.get(key) != text:
            self.standing[key] = text
            self._warn(text)

    def stand(self, texts: Mapping[str, str]) -> None:
        """Say what holds for another fork server, and no more what held for the last one."""
        self.standing = dict(texts)
        for text in texts.values():
            self._warn(text)

    def befell(self, text: str) -> None:
        """Say what has happened; what happens again while it is told is one line, with its last time."""
        self._warn(text)
        told = f"{text} (last at {datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ})"
        self._accidents[text] = _Accident(told, time.monotonic() + RECENT)
        if len(self._accidents) > MOST:
            del self._accidents[next(iter(self._accidents))]

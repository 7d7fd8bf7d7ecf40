"""One ``[notify.NAME]`` table: who is told of what, and how. Made by ``core.manifest``, never changed."""

from datetime import timedelta
from enum import StrEnum

from supervisor.values import dataclass


class On(StrEnum):
    """What a notifier may be told of."""

    FAILURE = "failure"
    """So many runs in a row have failed."""
    RECOVERY = "recovery"
    """A job that was told of as failing or late is well again."""
    LATE = "late"
    GIVE_UP = "give_up"
    """A job has failed for good: nothing starts it again by itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """A program that gets a notice as JSON on its stdin."""

    argv: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Webhook:
    """An address that gets a notice as JSON by POST; with ``ping`` the start and the end of each run instead."""

    url: str
    """May hold secrets: ``shown`` is for people."""
    ping: bool = False

    @property
    def shown(self) -> str:
        """The scheme and the host, and no more."""
        scheme, _, rest = self.url.partition("://")
        host = rest.replace("?", "/").replace("#", "/").partition("/")[0].rpartition("@")[2]
        return f"{scheme}://{host}/…"


@dataclass(frozen=True, slots=True, kw_only=True)
class Notifier:
    """Every default filled in."""

    name: str
    to: Program | Webhook
    on: frozenset[On] = frozenset(On)
    failures: int = 1
    """Failed runs in a row that make a failure worth telling."""
    timeout: timedelta = timedelta(seconds=10)
    """Of one try."""
    retries: int = 5
    where: str = ""
    """``file:line`` of its table, for messages."""

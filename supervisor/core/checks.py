"""How a job shows that it is ready, and that it is well."""

import re
from datetime import timedelta
from enum import StrEnum

from supervisor.values import dataclass

URL = re.compile(r"(https?)://(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::([0-9]{1,5}))?((?:/[!-~]*)?)")
_PORTS = {"http": 80, "https": 443}
ENDPOINT = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+):([0-9]{1,5})")


@dataclass(frozen=True, slots=True)
class HttpProbe:
    """Well where a GET is answered with a status of 200 to 399; over TLS by one whose certificate is trusted."""

    http: str

    @property
    def parts(self) -> tuple[str, int, str]:
        """Host, port and path."""
        found = URL.fullmatch(self.http)
        assert found is not None
        scheme, host, port, path = found.groups()
        return host.strip("[]"), int(port or _PORTS[scheme]), path or "/"

    @property
    def is_secure(self) -> bool:
        """True for https."""
        return self.http.startswith("https:")


@dataclass(frozen=True, slots=True)
class TcpProbe:
    """Well where a connection is taken."""

    tcp: str

    @property
    def parts(self) -> tuple[str, int]:
        """Host and port."""
        found = ENDPOINT.fullmatch(self.tcp)
        assert found is not None
        return found[1].strip("[]"), int(found[2])


@dataclass(frozen=True, slots=True)
class CommandProbe:
    """Well where a program ends with exit code 0. It runs as the job does: its user, folder and variables."""

    command: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class LogMatch:
    """Ready when a line of output matches a regular expression."""

    log: str


class Told(StrEnum):
    """Ready when the job says so: ``job.ready()``, or ``READY=1`` to $NOTIFY_SOCKET (sd_notify(3))."""

    NOTIFY = "notify"


Probe = HttpProbe | TcpProbe | CommandProbe
Readiness = Probe | LogMatch | Told


class OnUnhealthy(StrEnum):
    """What follows from bad health."""

    RESTART = "restart"
    REPORT = "report"


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthCheck:
    """A probe again and again, from the moment that the job is ready; ``failures`` bad ones in a row act."""

    probe: Probe
    every: timedelta = timedelta(seconds=10)
    """From start to start; a slow one makes the next one late, never a second at once."""
    timeout: timedelta = timedelta(seconds=2)
    failures: int = 3
    action: OnUnhealthy = OnUnhealthy.RESTART


def is_url(text: str) -> bool:
    """Tell whether a text is the address of an HTTP probe."""
    found = URL.fullmatch(text)
    return found is not None and 0 < int(found[3] or 80) < 65_536


def is_endpoint(text: str) -> bool:
    """Tell whether a text is ``host:port``."""
    found = ENDPOINT.fullmatch(text)
    return found is not None and 0 < int(found[2]) < 65_536

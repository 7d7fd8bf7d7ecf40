"""Readers of what a probe looks at."""

import re
from typing import Any

from supervisor.core.checks import is_endpoint, is_url
from supervisor.core.manifest.readers import Fault, ReadError, refused
from supervisor.core.manifest.wording import quoted
from supervisor.values import dataclass


@dataclass(frozen=True, slots=True)
class Url:
    """The address of an HTTP probe."""

    def read(self, value: Any) -> str:
        """Return it as it is."""
        if isinstance(value, str) and is_url(value):
            return value
        raise refused(value, 'an address such as "http://127.0.0.1:8000/health"')


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Host and port."""

    def read(self, value: Any) -> str:
        """Return it as it is."""
        if isinstance(value, str) and is_endpoint(value):
            return value
        raise refused(value, 'host and port such as "127.0.0.1:5432"')


@dataclass(frozen=True, slots=True)
class Pattern:
    """A regular expression."""

    def read(self, value: Any) -> str:
        """Return it as it is."""
        if not isinstance(value, str) or not value:
            raise refused(value, "a regular expression")
        try:
            re.compile(value)
        except re.error as error:
            raise ReadError(Fault(f"{quoted(value)} is not a regular expression: {error}")) from None
        return value

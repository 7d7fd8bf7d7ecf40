"""Keeping secrets out of the records of failures: the values of environment variables with telling names."""

import os
import re
from collections.abc import Mapping

_TELLING = re.compile(r"PASS|SECRET|TOKEN|KEY|CREDENTIAL|AUTH|DSN|PRIVATE|COOKIE|SESSION|_URL\Z|_URI\Z", re.IGNORECASE)
SHORTEST = 6
"""Characters of a value that is taken for a secret: a shorter one stands in too many other words."""


def redacted(text: str, environ: Mapping[str, str] = os.environ) -> str:
    """Return a text in which each secret of the environment is replaced by ``[NAME]``, the longest first."""
    secrets = {value: name for name, value in environ.items() if len(value) >= SHORTEST and _TELLING.search(name)}
    for value in sorted(secrets, key=len, reverse=True):
        text = text.replace(value, f"[{secrets[value]}]")
    return text

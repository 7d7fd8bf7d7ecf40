"""Keeping secrets out of the records of failures: the values of environment variables with telling names."""

import os
from collections.abc import Mapping

from supervisor.core.secrets import is_telling

SHORTEST = 6
"""Characters of a value that is taken for a secret: a shorter one stands in too many other words."""


def redacted(text: str, environ: Mapping[str, str] = os.environ) -> str:
    """Return a text in which each secret of the environment is replaced by ``[NAME]``, the longest first."""
    secrets = {value: name for name, value in environ.items() if len(value) >= SHORTEST and is_telling(name)}
    for value in sorted(secrets, key=len, reverse=True):
        text = text.replace(value, f"[{secrets[value]}]")
    return text

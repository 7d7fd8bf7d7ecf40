"""Which file holds whose output: ``web.log``, ``web:2.log`` for an instance, ``web.err.log`` where stderr is apart.

A rotated file has a number behind its name, 1 the youngest. Names of jobs hold no dot and no colon, so a file name says
exactly whose it is.
"""

from typing import Literal

Stream = Literal["out", "err"]

STREAMS: tuple[Stream, ...] = ("out", "err")

_ENDINGS: dict[Stream, str] = {"out": ".log", "err": ".err.log"}


def file_name(label: str, stream: Stream = "out") -> str:
    """Return the name of the file that a job's output is appended to."""
    return label + _ENDINGS[stream]

"""Looking for the line by which a job says that it is ready."""

import re

_LONGEST = 64 * 1024


class LineMatch:
    """A regular expression and the lines of one run, whichever of its pipes they come from."""

    __slots__ = ("_pattern", "_rests")

    def __init__(self, pattern: str) -> None:
        self._pattern = re.compile(pattern.encode(errors="surrogateescape"))
        self._rests: dict[int, bytes] = {}

    def finds(self, pipe: int, text: bytes) -> bool:
        """Take what came out of a pipe; tell whether a line that is whole now matches."""
        *lines, rest = (self._rests.get(pipe, b"") + text).split(b"\n")
        self._rests[pipe] = rest[-_LONGEST:]
        return any(self._pattern.search(line) for line in lines)

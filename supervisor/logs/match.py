"""Looking for the line by which a job says that it is ready."""

import re


class LineMatch:
    """A regular expression and the lines of one run, whichever of its pipes they come from."""

    __slots__ = ("_pattern",)

    def __init__(self, pattern: str) -> None:
        self._pattern = re.compile(pattern.encode(errors="surrogateescape"))

    def finds(self, lines: bytes) -> bool:
        """Tell whether one of these whole lines matches."""
        return any(self._pattern.search(line) for line in lines.split(b"\n")[:-1])

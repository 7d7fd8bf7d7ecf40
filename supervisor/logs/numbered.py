"""The files of one output, NAME.log, NAME.log.1 and so on, walked while another process may rotate them.

A rotation moves each file to the next number, the oldest first, so a file's number only ever grows, and two neighbours
keep their order. What stands one number from a file is its neighbour if the file itself has not moved once that one is
open; more than one rotation between two looks would else show a young file among the old ones.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

_GAPS = 3
"""So many numbers in a row may be missing: while a rotation moves one file and not yet the one before it."""


class Numbered:
    """The files that began as one path."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def youngest_first(self) -> Iterator[BinaryIO]:
        """Yield each file once, from the youngest of now on; the caller closes them, not before the last."""
        number, file = self._youngest()
        while file is not None:
            yield file
            number, file = self._older(file, number)

    def younger(self, file: BinaryIO, number: int) -> tuple[int, BinaryIO | None]:
        """Return the file that came after one that was last seen at a number, and where: None where there is none yet.

        Where nothing is left of the one, as ``keep`` has dropped it, that is the oldest that there is.
        """
        while (found := self.number_of(file, number)) is not None:
            number = found
            place, after = self._first_below(number)
            if self._is_at(file, number):
                return place, after
            if after is not None:
                after.close()
        return self.oldest()

    def _first_below(self, number: int) -> tuple[int, BinaryIO | None]:
        """Return the file at the next lower number that has one, and that number; else the number itself."""
        for lower in range(number - 1, -1, -1):
            file = _open(self._at(lower))
            if file is not None:
                return lower, file
        return number, None

    def oldest(self) -> tuple[int, BinaryIO | None]:
        """Return the oldest file and its number."""
        number, file = self._youngest()
        while file is not None:
            found, older = self._older(file, number)
            if older is None:
                break
            file.close()
            number, file = found, older
        return number, file

    def number_of(self, file: BinaryIO, number: int = 0) -> int | None:
        """Return the number at which an open file stands, from one on; None where it is gone."""
        missing = 0
        while missing <= _GAPS:
            if self._is_at(file, number):
                return number
            missing = 0 if self._at(number).exists() else missing + 1
            number += 1
        return None

    def _youngest(self) -> tuple[int, BinaryIO | None]:
        for number in range(_GAPS + 1):
            file = _open(self._at(number))
            if file is not None:
                return number, file
        return 0, None

    def _older(self, file: BinaryIO, number: int) -> tuple[int, BinaryIO | None]:
        """Return the file before one that was last seen at a number, and its own number."""
        step = 1
        while step <= _GAPS + 1:
            before = _open(self._at(number + step))
            if self._is_at(file, number):
                if before is not None:
                    return number + step, before
                step += 1
                continue
            if before is not None:
                before.close()
            moved = self.number_of(file, number)
            if moved is None:
                break  # dropped meanwhile, and all older ones before it
            number, step = moved, 1
        return number, None

    def _is_at(self, file: BinaryIO, number: int) -> bool:
        try:
            return os.path.samestat(os.stat(self._at(number)), os.fstat(file.fileno()))
        except FileNotFoundError:
            return False

    def _at(self, number: int) -> Path:
        return self._path.with_name(f"{self._path.name}.{number}") if number else self._path


def _open(path: Path) -> BinaryIO | None:
    try:
        return path.open("rb", buffering=0)
    except FileNotFoundError:
        return None

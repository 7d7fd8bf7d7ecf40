"""One table of what was measured, beside what, and whether the bound is met."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One measured value; its bound is a ratio to ``other``, or, where there is none, a value of the same unit."""

    what: str
    value: float
    unit: str
    beside: str = "-"
    other: float | None = None
    most: float | None = None
    """None: shown, not judged."""

    @property
    def judged(self) -> float:
        """What the bound speaks of."""
        if self.other is None:
            return self.value
        return self.value / self.other if self.other else inf if self.value else 1.0

    @property
    def verdict(self) -> str:
        """``met``, ``NOT MET``, or a dash where there is no bound."""
        if self.most is None:
            return "-"
        return "met" if self.judged <= self.most else "NOT MET"

    def cells(self) -> tuple[str, ...]:
        """Return the row as text."""
        other = "-" if self.other is None else f"{self.other:.4g} {self.unit}"
        ratio = "-" if self.other is None else f"{self.judged:.2f}×"
        mark = self.unit if self.other is None else "×"
        bound = "-" if self.most is None else f"≤ {self.most:g}{' ' if mark != '×' else ''}{mark}"
        return self.what, f"{self.value:.4g} {self.unit}", self.beside, other, ratio, bound, self.verdict


HEAD = ("MEASURE", "JOBVISOR", "BESIDE", "ITS VALUE", "RATIO", "BOUND", "")


def report(rows: Sequence[Row]) -> int:
    """Print the table; return the exit code: 1 when a bound is not met."""
    table = [HEAD, *(row.cells() for row in rows)]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    for cells in table:
        print("  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip())
    return int(any(row.verdict == "NOT MET" for row in rows))

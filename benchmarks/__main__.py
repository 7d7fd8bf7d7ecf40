"""All benchmarks in one table: ``python benchmarks``."""

import sys

import idle
import lateness
import memory
import restart
import scale
import start
import status
from report import Row, report

BENCHMARKS = (start, restart, status, memory, idle, scale, lateness)


def main() -> int:
    """Run one after another; return 1 when a bound is not met."""
    rows: list[Row] = []
    for benchmark in BENCHMARKS:
        print(f"{benchmark.__name__} …", flush=True)
        rows += benchmark.measure()
    return report(rows)


if __name__ == "__main__":
    sys.exit(main())

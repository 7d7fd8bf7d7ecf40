"""In a long life nothing grows: memory, descriptors, threads, rows, files. ``make soak`` is half an hour of it.

The short form shows that the soak itself works; whether something grows is told only from a long one.
"""

import os
from pathlib import Path

import pytest
from gauges import BYTES, Trend, table, trends
from soak import soaking

SECONDS = float(os.environ.get("SOAK_SECONDS", "10"))
JOBS = int(os.environ.get("SOAK_JOBS", "20"))
SEED = int(os.environ.get("SOAK_SEED", "7"))
LONG = 600.0
"""Seconds from which on the figures are judged: by then every job has more runs than are kept."""


@pytest.mark.timeout(SECONDS + 180)
def test_nothing_grows(tmp_path: Path) -> None:
    with soaking(tmp_path, jobs=JOBS, seconds=SECONDS, seed=SEED) as soak:
        soak.live(looks=180 if SECONDS >= LONG else 6)
        runs = soak.end()
    found = trends(soak.samples)
    print(f"\n{JOBS} jobs, {SECONDS:g} s, seed {SEED}: {runs:,} runs; {dict(soak.done)}\n{table(found)}")  # noqa: T201
    assert not soak.refused.keys() & {"status", "show", "reload", "restart", "pause", "resume"}
    assert "Traceback" not in soak.program.log
    if SECONDS >= LONG:
        assert [each.name for each in found if not each.is_flat] == []


def test_a_growth_is_told_from_noise() -> None:
    noise = [30e6 + (number * 7919 % 13) * 20_000 for number in range(180)]
    assert Trend("memory, bytes", noise).is_flat
    assert Trend("memory, bytes", [each + min(number, 60) * 1e6 for number, each in enumerate(noise)]).is_flat
    assert not Trend("memory, bytes", [each + number * BYTES / 30 for number, each in enumerate(noise)]).is_flat
    assert Trend("descriptors", [800 + number % 9 for number in range(180)]).is_flat
    assert not Trend("descriptors", [20 + number // 10 for number in range(180)]).is_flat

"""Whatever is killed, stopped or ordered, in any order and at once: nothing is lost, doubled or left over.

``make chaos`` goes on for long. A failure names its seed; ``CHAOS_SEED=… make chaos`` begins with the same one.
"""

import os
import random
import time
from pathlib import Path

import pytest
from campaign import campaign

SECONDS = float(os.environ.get("CHAOS_SECONDS", "25"))
ROUNDS = int(os.environ.get("CHAOS_ROUNDS", "8"))
"""Of one campaign: then another begins, with the next seed."""


@pytest.mark.timeout(SECONDS + 180)
def test_nothing_is_lost_doubled_or_left_over(tmp_path: Path) -> None:
    seed = int(os.environ.get("CHAOS_SEED") or random.SystemRandom().randrange(1_000_000))
    until = time.monotonic() + SECONDS
    while time.monotonic() < until:
        folder = tmp_path / str(seed)
        folder.mkdir()
        print(f"CHAOS_SEED={seed}", flush=True)  # noqa: T201  # shown with a failure
        with campaign(folder, seed) as under:
            try:
                for _ in range(ROUNDS):
                    if time.monotonic() > until:
                        break
                    under.round()
            except BaseException:
                print("\n".join([*under.story, *map(str, under.jobs())]))  # noqa: T201  # the same
                raise
        seed += 1

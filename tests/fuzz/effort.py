"""How long the fuzzing goes on: a little by default, ``make fuzz`` for long."""

import os

from hypothesis import HealthCheck, settings

SHARE = float(os.environ.get("FUZZ", "1"))
"""Of the examples that are tried by default."""


def effort(examples: int) -> settings:
    """Return the settings of a property that is tried with so many examples by default."""
    return settings(
        max_examples=max(1, int(examples * SHARE)),
        deadline=None,
        print_blob=True,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture, HealthCheck.data_too_large],
    )

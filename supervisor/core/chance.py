"""Chance without a random source: the same question always gets the same answer.

Jitter must not move when a manifest is reloaded or a supervisor restarted, and the core draws no random numbers, so
it is hashed from an id of the installation and what it is asked for.
"""

from hashlib import blake2b


def chance(seed: str, *about: object) -> float:
    """Return a number in [0, 1), evenly spread over seeds and questions."""
    asked = "\0".join((seed, *map(str, about))).encode(errors="surrogateescape")
    return int.from_bytes(blake2b(asked, digest_size=8).digest()[:6]) / (1 << 48)

"""The throw-away process that tries targets, so that a missing one is known before it is due."""

import os
from collections.abc import Mapping
from typing import Any

from supervisor.engine import child
from supervisor.engine.targets import TargetError, Wanted, find, kind_of


def probe(spec: Mapping[str, Any], inherited: child.Inherited) -> None:
    """Try each target with its job's environment; one that never comes back is known by its silence."""
    child.settle_in(spec, inherited)
    channel = child.channel()
    for wish in spec["targets"]:
        before = dict(os.environ)
        os.environ.update(wish["env"])
        wanted = Wanted(wish["job"], wish["where"], wish["target"], spec["folder"])
        try:
            channel.send("found", job=wanted.job, target=kind_of(find(wanted)).value)
        except TargetError as error:
            channel.send("missing", job=wanted.job, problem=str(error))
        os.environ.clear()
        os.environ.update(before)
    os._exit(0)

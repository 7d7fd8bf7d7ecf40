"""Which jobs a group's name on a command line means, where no supervisor is asked."""

import os
from collections.abc import Mapping

from supervisor.cli.place import Place
from supervisor.core.manifest import Manifest
from supervisor.core.tree.shape import shape_of
from supervisor.errors import JobvisorError
from supervisor.load import load

Groups = Mapping[str, tuple[str, ...]]
"""The jobs of each group and of the groups in it."""


def groups_of(manifest: Manifest) -> Groups:
    """Return the groups of a manifest."""
    shape = shape_of(manifest.jobs, manifest.groups)
    return {group.name: tuple(shape.jobs_below(group.name)) for group in manifest.groups}


def groups_at(place: Place) -> Groups:
    """Return the groups of the manifest that a command is about; none where it cannot be read."""
    try:
        return groups_of(load(place.path(), os.environ))
    except JobvisorError:
        return {}

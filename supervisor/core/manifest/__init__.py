"""The manifest: from what TOML gave to a value, or every problem at once."""

from supervisor.core.manifest.parse import Source, Surroundings, parse
from supervisor.core.manifest.positions import line_of
from supervisor.core.manifest.settings import Manifest, Settings
from supervisor.core.manifest.tables import Problem

__all__ = ["Manifest", "Problem", "Settings", "Source", "Surroundings", "line_of", "parse"]

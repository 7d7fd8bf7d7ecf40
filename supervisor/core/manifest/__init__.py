"""The manifest: from what TOML gave to a value, or every problem at once."""

from supervisor.core.manifest.parse import parse
from supervisor.core.manifest.positions import Positions
from supervisor.core.manifest.problems import Problem, Source
from supervisor.core.manifest.settings import Manifest, Settings, Surroundings

__all__ = ["Manifest", "Positions", "Problem", "Settings", "Source", "Surroundings", "parse"]

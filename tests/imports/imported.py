"""Files of other programs as texts, and the manifests that they become; each of them must hold."""

import shlex
import tomllib
from collections.abc import Mapping
from fnmatch import fnmatch
from typing import Any

from manifests import surroundings

from supervisor.core.manifest import Manifest, Positions, Source, parse
from supervisor.imports.conversion import Kind, converted
from supervisor.imports.origin import Origin


def origin(text: str, path: str = "a-file", **settings: Any) -> Origin:
    files: Mapping[str, str] = settings.pop("files", {})
    return Origin(
        path=path,
        folder="/here",
        text=text,
        environ=settings.pop("environ", {}),
        read=files.get,
        matches=lambda pattern: sorted(name for name in files if fnmatch(name, pattern)),
        is_user={"root", "www-data"}.__contains__,
    )


class Imported:
    """A manifest that was imported."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.document = tomllib.loads(text)
        found = parse([Source(file="jobs.toml", document=self.document, positions=Positions(text))], surroundings(ENV))
        assert isinstance(found, Manifest), "\n".join(map(str, found))
        self.manifest = found
        heading = text.partition("\n\n")[0].replace("\n#   ", " ")
        self.notes = [line.removeprefix("# - ") for line in heading.splitlines() if line.startswith("# - ")]

    @property
    def jobs(self) -> dict[str, Any]:
        """The jobs; a command that is written as one string, and not for a shell, as its words."""
        jobs: dict[str, Any] = self.document.get("jobs", {})
        return {name: {**job, "command": _words(job)} for name, job in jobs.items()}

    @property
    def job(self) -> dict[str, Any]:
        (only,) = self.jobs.values()
        assert isinstance(only, dict)
        return only

    def notes_of(self, word: str) -> list[str]:
        return [note for note in self.notes if word in note]


def _words(job: Mapping[str, Any]) -> Any:
    command = job["command"]
    return shlex.split(command) if isinstance(command, str) and not job.get("shell") else command


ENV = {"/app/.env": "A=1", "/etc/default/poller": "A=1"}
"""The files of variables that an imported manifest may name."""


def imported(text: str, path: str = "a-file", kind: Kind | None = None, **settings: Any) -> Imported:
    return Imported(converted([origin(text, path, **settings)], kind))


def imported_units(**texts: str) -> Imported:
    """Return what several units become: ``db_service`` is db.service."""
    files = {name.replace("_", "."): text for name, text in texts.items()}
    return Imported(converted([origin(text, name, files=files) for name, text in files.items()]))

"""From files to a manifest: jobs.toml, what it includes, and the files of variables that it names."""

import os
import tomllib
from collections.abc import Mapping
from datetime import tzinfo
from pathlib import Path
from typing import Any

from supervisor import trust
from supervisor.core import folders
from supervisor.core.manifest import Manifest, Positions, Problem, Source, Surroundings, parse
from supervisor.core.schedule import zone
from supervisor.errors import ManifestError
from supervisor.localzone import local_zone
from supervisor.values import dataclass, field, replace


def load(path: Path, environ: Mapping[str, str]) -> Manifest:
    """Return the manifest of a file.

    Raises:
        ManifestError: every problem at once, by file and line, each with its key and what was expected.
    """
    name = os.path.abspath(path)
    reading = _Reading(os.path.dirname(name))
    reading.read(name)
    if not reading.sources:
        raise ManifestError(tuple(map(str, reading.problems)))
    for included in reading.included(name):
        reading.read(included)
    found = parse(reading.sources, _surroundings(name, environ))
    if isinstance(found, Manifest) and not reading.problems:
        return replace(found, warnings=(*found.warnings, *trust.warnings(found)))
    problems = reading.problems + ([] if isinstance(found, Manifest) else list(found))
    order = {file: index for index, file in enumerate(reading.files)}
    raise ManifestError(tuple(map(str, sorted(problems, key=lambda each: (order[each.file], each.line)))))


@dataclass(slots=True)
class _Reading:
    """The files of one manifest, and what is wrong with them before their keys are looked at."""

    folder: str
    sources: list[Source] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    files: list[str] = field(default_factory=list)

    def read(self, path: str) -> None:
        """Read one file, named in problems by its path from the manifest's folder."""
        shown = os.path.relpath(path, self.folder)
        self.files.append(shown)
        try:
            text = _text(path).replace("\r\n", "\n")
        except _NotTextError as error:
            self.problems.append(Problem(shown, error.line, "", "not UTF-8 text"))
        except ValueError as error:
            todo = "" if os.path.exists(path) or self.sources else "; write one with `jobvisor init`"
            self.problems.append(Problem(shown, 0, "", f"{error}{todo}"))
        else:
            document = self._document(shown, text)
            if document is not None:
                self.sources.append(Source(file=shown, document=document, positions=Positions(text)))

    def _document(self, shown: str, text: str) -> Mapping[str, Any] | None:
        try:
            return tomllib.loads(text)
        except RecursionError:
            self.problems.append(Problem(shown, 1, "", "not TOML that can be read: nested too deeply"))
        except ValueError as error:  # also of int(), for a number of too many digits
            self.problems.append(Problem(shown, _toml_line(str(error), text), "", f"not TOML: {error}"))
        return None

    def included(self, main: str) -> list[str]:
        """Return the files that ``include`` means, sorted; patterns that match nothing are fine, paths are not."""
        patterns = self.sources[0].document.get("include", [])
        found: set[str] = set()
        for index, pattern in enumerate(patterns if isinstance(patterns, list) else []):
            if not isinstance(pattern, str) or not pattern or "\0" in pattern:
                continue  # the parser says so
            path = os.path.normpath(os.path.join(self.folder, pattern))
            if os.path.isfile(path):
                found.add(path)
            elif set(pattern) & set("*?["):
                from glob import glob  # noqa: PLC0415  # few manifests include others

                matches = glob(pattern, root_dir=self.folder, recursive=True)
                found.update(os.path.normpath(os.path.join(self.folder, match)) for match in matches)
            else:
                line = self.sources[0].positions.line_of(("include", index))
                what = f'found "{pattern}"; expected a file, and there is none at {path}'
                self.problems.append(Problem(self.files[0], line, f"include[{index}]", what))
        return sorted(path for path in found - {main} if os.path.isfile(path))


class _NotTextError(ValueError):
    """A file is not UTF-8 text, from a line on."""

    def __init__(self, path: str, line: int) -> None:
        super().__init__(f"{path}:{line}: not UTF-8 text")
        self.line = line


def _text(path: str) -> str:
    """Return the text of a file, without a byte order mark.

    Raises:
        ValueError: it cannot be read.
    """
    try:
        with open(path, "rb") as file:
            content = file.read()
    except OSError as error:
        raise ValueError(f"cannot read {path}: {error.strerror}") from error
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise _NotTextError(path, content[: error.start].count(b"\n") + 1) from error


def _toml_line(message: str, text: str) -> int:
    """Return the line that a message of ``tomllib`` names, or the last."""
    number = message.rpartition("(at line ")[2].partition(",")[0]
    return int(number) if number.isdigit() else text.rstrip("\n").count("\n") + 1


def _surroundings(path: str, environ: Mapping[str, str]) -> Surroundings:
    return Surroundings(
        path=path,
        folder=os.path.dirname(path),
        state_dir=folders.state_dir(environ),
        log_dir=folders.log_dir(environ),
        socket=folders.socket(environ),
        zone=lambda name: _zone(name, environ),
        read=_text,
        join=lambda folder, name: os.path.normpath(os.path.join(folder, name)),
    )


def _zone(name: str, environ: Mapping[str, str]) -> tzinfo:
    return local_zone(environ) if name == "local" else zone(name)

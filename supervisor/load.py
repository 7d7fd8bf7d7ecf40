"""From files to a manifest: jobs.toml, what it includes, and the files of variables that it names."""

import os
import shlex
import tomllib
from collections.abc import Mapping
from datetime import tzinfo
from pathlib import Path
from typing import Any

from supervisor.core.manifest import Manifest, Problem, Source, Surroundings, line_of, parse
from supervisor.core.schedule import zone
from supervisor.errors import ManifestError
from supervisor.localzone import local_zone


def load(path: Path, environ: Mapping[str, str]) -> Manifest:
    """Return the manifest of a file.

    Raises:
        ManifestError: every problem at once, each with file, line, key and what was expected.
    """
    path = path.absolute()
    texts: dict[str, str] = {}
    sources: list[Source] = []
    broken: list[str] = []
    main = _read(path, path.name, texts, sources, broken)
    if main is not None:
        for included in _included(path.parent, main, texts, broken, path.name):
            _read(included, os.path.relpath(included, path.parent), texts, sources, broken)
    if broken:
        raise ManifestError(tuple(broken))
    found = parse(sources, _surroundings(path, environ))
    if isinstance(found, Manifest):
        return found
    raise ManifestError(tuple(_lines(found, texts)))


def _read(
    path: Path, shown: str, texts: dict[str, str], sources: list[Source], broken: list[str]
) -> Mapping[str, Any] | None:
    text = ""
    try:
        text = path.read_bytes().decode()
        document = tomllib.loads(text)
    except OSError as error:
        todo = "; write one with `jobvisor init`" if isinstance(error, FileNotFoundError) else ""
        broken.append(f"{path}: cannot read the manifest: {error.strerror}{todo}")
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        broken.append(f"{shown}:{line}: not UTF-8 text")
    except tomllib.TOMLDecodeError as error:
        broken.append(f"{shown}:{_toml_line(error, text)}: not TOML: {error}")
    except RecursionError:
        broken.append(f"{shown}:1: not TOML: nested too deeply")
    else:
        texts[shown] = text
        sources.append(Source(file=shown, document=document))
        return document
    return None


def _toml_line(error: tomllib.TOMLDecodeError, text: str) -> int:
    """Return the line that the message names, or the last."""
    _, _, rest = str(error).rpartition("(at line ")
    number = rest.partition(",")[0]
    return int(number) if number.isdigit() else text.count("\n") + 1


def _included(
    folder: Path, main: Mapping[str, Any], texts: Mapping[str, str], broken: list[str], shown: str
) -> list[Path]:
    patterns = main.get("include", [])
    line = line_of(texts[shown], ("include",))
    if not isinstance(patterns, list) or not all(isinstance(pattern, str) and pattern for pattern in patterns):
        broken.append(f'{shown}:{line}: include: expected an array of paths or patterns such as ["jobs.d/*.toml"]')
        return []
    found: list[Path] = []
    for pattern in patterns:
        if os.path.isabs(pattern):
            matches = sorted(Path("/").glob(pattern.lstrip("/")))
        else:
            matches = sorted(folder.glob(pattern))
        if not matches and not set(pattern) & set("*?["):
            broken.append(f'{shown}:{line}: include: no file "{pattern}" in {folder}')
        found += (match for match in matches if match.is_file() and match not in found)
    return found


def _surroundings(path: Path, environ: Mapping[str, str]) -> Surroundings:
    runtime = environ.get("RUNTIME_DIRECTORY", "").partition(":")[0]
    return Surroundings(
        path=str(path),
        folder=str(path.parent),
        state_dir=environ.get("STATE_DIRECTORY", "").partition(":")[0] or ".jobvisor",
        log_dir=environ.get("LOGS_DIRECTORY", "").partition(":")[0] or None,
        socket=f"{runtime}/control.sock" if runtime else None,
        zone=lambda name: _zone(name, environ),
        env_file=_variables,
        join=lambda folder, name: os.path.normpath(os.path.join(folder, name)),
    )


def _zone(name: str, environ: Mapping[str, str]) -> tzinfo:
    return local_zone(environ) if name == "local" else zone(name)


def _variables(path: str) -> Mapping[str, str]:
    """Return the variables of a file of ``NAME=value`` lines, quotes as in a shell, ``#`` comments, ``export`` allowed.

    Raises:
        ValueError: it cannot be read, or a line is none of these.
    """
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise ValueError(f"cannot read {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not UTF-8 text") from error
    variables: dict[str, str] = {}
    for number, line in enumerate(lines, 1):
        bare = line.strip().removeprefix("export ").strip()
        if not bare or bare.startswith("#"):
            continue
        name, equals, value = bare.partition("=")
        if not equals or not name.strip().isidentifier():
            raise ValueError(f"{path}:{number}: expected NAME=value")
        try:
            variables[name.strip()] = " ".join(shlex.split(value, comments=True))
        except ValueError as error:
            raise ValueError(f"{path}:{number}: {error}") from error
    return variables


def _lines(problems: tuple[Problem, ...], texts: Mapping[str, str]) -> list[str]:
    """Return the problems as people read them, sorted by file and line."""
    order = list(texts)
    placed = [(order.index(at.file), line_of(texts[at.file], at.path), at) for at in problems]
    return [f"{at.file}:{line}: {at.key}: {at.text}" for _, line, at in sorted(placed, key=lambda each: each[:2])]

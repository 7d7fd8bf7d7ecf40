"""Manifests as texts: what the pure parser makes of them, without a file."""

import posixpath
import tomllib
from collections.abc import Mapping
from datetime import tzinfo

from supervisor.core.job import Job
from supervisor.core.manifest import Manifest, Positions, Source, Surroundings, parse
from supervisor.core.schedule import zone

LOCAL = "Asia/Tokyo"


def surroundings(files: Mapping[str, str] | None = None) -> Surroundings:
    def read(path: str) -> str:
        if path not in (files or {}):
            raise ValueError(f"cannot read {path}: No such file or directory")
        return (files or {})[path]

    def place(name: str) -> tzinfo:
        return zone(LOCAL if name == "local" else name)

    return Surroundings(
        path="/app/jobs.toml",
        folder="/app",
        state_dir=".jobvisor",
        log_dir=None,
        socket=None,
        zone=place,
        read=read,
        join=lambda folder, name: posixpath.normpath(posixpath.join(folder, name)),
    )


def source(text: str, file: str = "jobs.toml") -> Source:
    return Source(file=file, document=tomllib.loads(text), positions=Positions(text))


def parsed(text: str, files: Mapping[str, str] | None = None, **included: str) -> Manifest:
    """Return the manifest that a text and its included ones make; it must hold."""
    found = parse(_sources(text, included), surroundings(files))
    assert isinstance(found, Manifest), "\n".join(map(str, found))
    return found


def problems(text: str, files: Mapping[str, str] | None = None, **included: str) -> list[str]:
    """Return the sentences about a text that must not hold."""
    found = parse(_sources(text, included), surroundings(files))
    assert not isinstance(found, Manifest)
    return list(map(str, found))


def job(lines: str, defaults: str = "", settings: str = "") -> Job:
    """Return the one job of these lines."""
    (only,) = parsed(f"[supervisor]\n{settings}\n[defaults]\n{defaults}\n[jobs.one]\n{lines}").jobs
    return only


def problem(lines: str, defaults: str = "") -> str:
    """Return what is wrong with one job, without its place and name: it must be one thing."""
    (only,) = problems(f"[defaults]\n{defaults}\n[jobs.one]\n{lines}")
    place, _, text = only.partition(": ")
    assert place.startswith("jobs.toml:")
    return text.removeprefix("jobs.one").removeprefix(".").removeprefix(": ")


def _sources(text: str, included: Mapping[str, str]) -> list[Source]:
    return [source(text), *(source(content, f"jobs.d/{name}.toml") for name, content in included.items())]

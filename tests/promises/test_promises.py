"""What the product promises, sentence by sentence, and that the tests which hold each are there.

``scheduling.toml``, ``manifest.toml`` and ``cli.toml`` are the maps; that of supervision is in ``tests/conformance``.
"""

import ast
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from supervisor.cli.commands import COMMANDS
from supervisor.core.manifest.keys import TOP
from supervisor.core.manifest.tables import Keys

HERE = Path(__file__).parent
TESTS = HERE.parent
MAPS: dict[str, dict[str, dict[str, list[str]]]] = {
    path.stem: tomllib.loads(path.read_text()) for path in sorted(HERE.glob("*.toml"))
}
PROMISES = [
    (f"{name}: {sentence}", tests)
    for name, sections in MAPS.items()
    for section in sections.values()
    for sentence, tests in section.items()
]


@cache
def names_in(path: Path) -> frozenset[str]:
    tree = ast.parse(path.read_text()) if path.exists() else ast.Module([], [])
    return frozenset(each.name for each in ast.walk(tree) if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef))


@pytest.mark.parametrize(("sentence", "tests"), PROMISES, ids=[sentence for sentence, _ in PROMISES])
def test_each_promise_is_held_by_tests_that_exist(sentence: str, tests: list[str]) -> None:
    assert tests, sentence
    for test in tests:
        path, _, name = test.partition("::")
        assert name in names_in(TESTS / path), test


def test_the_maps_are_those_of_the_contracts() -> None:
    assert list(MAPS) == ["cli", "manifest", "scheduling"]


def names_of(keys: Keys) -> Iterator[str]:
    for name, key in keys.items():
        yield name
        yield from names_of(key.inside or key.each or {})


def said(name: str) -> str:
    found: Any = MAPS[name]
    return " ".join(f"{section} {' '.join(sentences)}" for section, sentences in found.items())


def words(text: str) -> set[str]:
    return set("".join(char if char.isalnum() or char == "_" else " " for char in text).split())


BEYOND = {"cpu", "failures", "level", "file"}
"""Keys that the contract does not have, or has in an example alone."""


def test_every_key_of_the_manifest_is_promised_something() -> None:
    assert set(names_of(TOP)) - words(said("manifest")) <= BEYOND


def test_every_command_is_promised_something() -> None:
    assert set(COMMANDS) <= words(said("cli"))

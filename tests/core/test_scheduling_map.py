"""``scheduling.toml`` says which tests hold which promise; here is seen that they are there."""

import ast
import tomllib
from functools import cache
from pathlib import Path

import pytest

HERE = Path(__file__).parent
TESTS = HERE.parent
PROMISES = [
    (sentence, tests)
    for section in tomllib.loads((HERE / "scheduling.toml").read_text()).values()
    for sentence, tests in section.items()
]


@cache
def names_in(path: Path) -> frozenset[str]:
    tree = ast.parse(path.read_text()) if path.exists() else ast.Module([], [])
    return frozenset(each.name for each in ast.walk(tree) if isinstance(each, ast.FunctionDef))


@pytest.mark.parametrize(("sentence", "tests"), PROMISES, ids=[sentence for sentence, _ in PROMISES])
def test_each_promise_is_held_by_tests_that_exist(sentence: str, tests: list[str]) -> None:
    assert tests, sentence
    for test in tests:
        path, _, name = test.partition("::")
        assert name in names_in(TESTS / path), test

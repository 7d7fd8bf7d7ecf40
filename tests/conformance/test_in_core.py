"""Every case on the pure core."""

from pathlib import Path

import pytest
from in_core import CoreCase
from notation import Case, cases, in_order

CASES = cases()


def test_there_are_many_cases_and_each_has_a_name_of_its_own() -> None:
    assert len({case.name for case in CASES}) == len(CASES) >= 120


def test_each_case_has_its_source() -> None:
    page = Path(__file__).parents[2] / "docs" / "explanation" / "supervision.md"
    known = {line.removeprefix("## ") for line in page.read_text().splitlines() if line.startswith("## ")}
    assert {source for case in CASES for source in case.source.split("; ")} <= known | {"OTP supervisor"}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_core_does_as_the_case_says(case: Case) -> None:
    world = CoreCase(case)
    world.news()
    for step in case.steps:
        world.act(step.act, at_once=step.at_once)
        told = world.news()
        assert in_order(step, told), f"{step.act}: {' '.join(step.follows)}, but it told {' '.join(told)}"
    words = world.words()
    assert {name: words[name] for name in case.states} == {name: {word} for name, word in case.states.items()}

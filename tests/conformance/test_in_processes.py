"""Every case with real processes, under the real program."""

import pytest
from in_processes import play
from notation import Case, cases

CASES = cases()


@pytest.fixture(scope="module")
def problems(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str | None]:
    return play(tmp_path_factory.mktemp("conformance"), CASES)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_program_does_as_the_case_says(case: Case, problems: dict[str, str | None]) -> None:
    assert problems[case.name] is None, problems[case.name]

"""The map from what supervision promises to what proves it: no sentence without a proof, no proof that is not there."""

import re
from pathlib import Path

import pytest
from notation import cases

HERE = Path(__file__).parent
SENTENCES = HERE / "sentences.txt"


def sentences() -> dict[str, list[str]]:
    """Return the proofs of each sentence."""
    found: dict[str, list[str]] = {}
    for line in SENTENCES.read_text().splitlines():
        if line.startswith("    "):
            found[list(found)[-1]].append(line.strip())
        elif line and not line.startswith("#"):
            found[line] = []
    return found


@pytest.fixture(scope="module")
def known() -> set[str]:
    tests = (path.read_text() for path in HERE.parent.rglob("test_*.py"))
    names = {name for text in tests for name in re.findall(r"^ *(?:async )?def (test_\w+)", text, re.MULTILINE)}
    return names | {case.name for case in cases()}


@pytest.mark.parametrize("sentence", sentences())
def test_each_sentence_has_proofs_that_are_there(sentence: str, known: set[str]) -> None:
    proofs = sentences()[sentence]
    assert proofs
    assert set(proofs) <= known

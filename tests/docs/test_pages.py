import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest
from program import program
from stories import DOCS, ROOT, Story, blocks

from supervisor.cli.commands import COMMANDS
from supervisor.core.manifest.keys import JOB, SUPERVISOR, TOP

PAGES = sorted(DOCS.rglob("*.md"))


def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("pages", DOCS / "pages.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(DOCS).as_posix())
def test_what_a_page_shows_works(page: Path, tmp_path: Path) -> None:
    with program(tmp_path) as made:
        Story(made).tell(page)


def test_the_pages_type_most_commands() -> None:
    """Those that are shown nowhere are told by the reference alone."""
    shown = "\n".join(block.text for page in PAGES for block in blocks(page) if block.language == "console")
    shown += (ROOT / "README.md").read_text()
    assert [name for name in COMMANDS if f"jobvisor {name}" not in shown] == []


def test_the_page_of_keys_has_every_key_and_its_default() -> None:
    page = generator().manifest_page()
    for name, key in {**SUPERVISOR, **JOB}.items():
        rows = [row for row in page.splitlines() if row.startswith(f"| `{name}` |")]
        assert any(key.meaning.replace("|", "\\|") in row for row in rows), name
    for name in TOP:
        assert f"## [{name}" in page or f"## {name}\n" in page


def test_the_page_of_commands_has_the_help_of_each() -> None:
    page = generator().commands_page()
    for name in COMMANDS:
        assert f"Usage: jobvisor {name} " in page


def test_every_page_is_in_the_navigation() -> None:
    navigation = (ROOT / "mkdocs.yml").read_text()
    for page in [path.relative_to(DOCS).as_posix() for path in PAGES] + list(generator().pages()):
        assert page in navigation


def test_json_has_the_keys_that_the_page_names(tmp_path: Path) -> None:
    """Those of ``status`` and ``history``, each once, in their order."""
    texts = [
        block.text
        for block in blocks(DOCS / "reference" / "output.md")
        if block.language == "text" and "GROUP" not in block.text
    ]
    named = [re.findall(r'"(\w+)"', text) for text in texts]
    with program(tmp_path) as made:
        made.write('[jobs.fails]\ncommand = ["sh", "-c", "exit 3"]\nevery = "1h"\nrun_at_start = true\n[groups.g]\n')
        made.run()
        made.eventually_job("fails", state="waiting", runs=1)
        status, history = made.json("status"), made.json("history")
    assert set(named[0]) == {*status, *status["supervisor"], *status["jobs"][0], *_GROUP}
    assert set(named[1]) - _ERROR == set(history[0])


_GROUP = {"name", "state", "health", "restarts"}
_ERROR = {"type", "message", "file", "line", "fingerprint"}

import re
import textwrap
from pathlib import Path

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "CONTRIBUTING.md").read_text()


def test_the_example_of_a_test_passes(tmp_path: Path) -> None:
    (example,) = re.findall(r"^ *```python\n(.*?)^ *```$", TEXT, re.MULTILINE | re.DOTALL)
    imports = (
        "import os, signal\nfrom pathlib import Path\nfrom conftest import eventually\nfrom program import program\n"
    )
    names: dict[str, object] = {}
    exec(imports + textwrap.dedent(example), names)  # noqa: S102  # what a reader would copy
    test = next(value for name, value in names.items() if name.startswith("test_"))
    assert callable(test)
    test(tmp_path)


def test_every_make_target_that_it_names_is_one() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"`make (?:[A-Z]+=\S+ )*([a-z]+)`", TEXT))
    assert {"test", "check", "bench", "run"} <= named <= targets


def test_every_file_that_it_names_is_there() -> None:
    named = set(re.findall(r"`((?:[\w.]+/)*[\w.]+\.(?:py|toml|txt|md))`", TEXT))
    roots = (ROOT, ROOT / "supervisor")
    assert named
    assert not [name for name in named if not any((root / name).exists() for root in roots)]

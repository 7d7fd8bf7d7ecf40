import tomllib
from collections.abc import Iterator
from datetime import UTC
from typing import Any

import pytest
import tomli_w
from hypothesis import given
from hypothesis import strategies as st

from supervisor.core.manifest import Positions
from supervisor.core.manifest.wording import Path

TRICKY = '''\
# [jobs.not_this]
include = ["a.toml",
  # b = 1
  "jobs.x = 3"]

[supervisor]  # [jobs.nor_this]
description = """
[jobs.in_a_text]
run = "x" \\""" still in it
"""
literal = \'\'\'
[jobs.in_a_literal]'\'\'\'
quotes = """"ends with quotes""""
preload = [ "a", [ "b", ["c"], ], { d = 1, e = [2,
   3], f = "}" } ]

[jobs]
inline = { command = ["a", "b"], env = { A = "1", "B C" = "2" } }
dotted.command = "x = 1"
dotted."env".KEY = \'[x]\'
"quo\\u0074ed"."a.b" = 1
 indented . key = 2026-12-01T10:00:00Z
local = 2026-12-01 10:00:00.5

[jobs."a b".'c.d']
  x=-1.5e+3

 [ jobs . spaced ]
y = true

[[table]]
one = 1
[[table]]
two = 2
[table.sub]
three = 3
[[table.many]]
four = 4
[[table.many]]

[jobs.late.env]
A = "1"
[jobs.late]
run = "x"
empty = []
none = {}
'''


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (("include",), 2),
        (("include", 0), 2),
        (("include", 1), 4),
        (("supervisor",), 6),
        (("supervisor", "description"), 7),
        (("supervisor", "literal"), 11),
        (("supervisor", "quotes"), 13),
        (("supervisor", "preload"), 14),
        (("supervisor", "preload", 1, 1, 0), 14),
        (("supervisor", "preload", 2, "d"), 14),
        (("supervisor", "preload", 2, "e", 1), 15),
        (("supervisor", "preload", 2, "f"), 15),
        (("jobs",), 17),
        (("jobs", "inline"), 18),
        (("jobs", "inline", "env", "B C"), 18),
        (("jobs", "dotted"), 19),
        (("jobs", "dotted", "command"), 19),
        (("jobs", "dotted", "env", "KEY"), 20),
        (("jobs", "quoted", "a.b"), 21),
        (("jobs", "indented", "key"), 22),
        (("jobs", "local"), 23),
        (("jobs", "a b", "c.d"), 25),
        (("jobs", "a b"), 25),
        (("jobs", "a b", "c.d", "x"), 26),
        (("jobs", "spaced", "y"), 29),
        (("table",), 31),
        (("table", 1, "two"), 34),
        (("table", 1, "sub", "three"), 36),
        (("table", 1, "many", 0, "four"), 38),
        (("table", 1, "many", 1), 39),
        (("jobs", "late"), 43),
        (("jobs", "late", "run"), 44),
        (("jobs", "late", "env", "A"), 42),
        (("jobs", "late", "empty"), 45),
        (("jobs", "late", "none"), 46),
    ],
)
def test_a_key_is_found_on_its_line(path: Path, line: int) -> None:
    assert Positions(TRICKY).line_of(path) == line


def test_what_strings_and_comments_hold_is_no_key() -> None:
    positions = Positions(TRICKY)
    for name in ("not_this", "nor_this", "in_a_text", "in_a_literal"):
        assert positions.line_of(("jobs", name)) == 17


def test_what_is_not_there_stands_where_the_nearest_table_around_it_is() -> None:
    positions = Positions(TRICKY)
    assert positions.line_of(("jobs", "spaced", "missing", "key")) == 28
    assert positions.line_of(("nothing",)) == 1
    assert positions.line_of(()) == 1


def test_the_tricky_text_is_toml_whose_keys_are_all_found() -> None:
    assert set(paths(tomllib.loads(TRICKY))) == known(TRICKY)


def test_line_ends_of_windows_change_nothing() -> None:
    unix, windows = Positions(TRICKY), Positions(TRICKY.replace("\n", "\r\n"))
    for path in paths(tomllib.loads(TRICKY)):
        assert unix.line_of(path) == windows.line_of(path)


KEYS = st.text(st.sampled_from("ab.\"' #[]{}=,\\é\n"), max_size=4)
SCALARS = (
    st.booleans()
    | st.integers(-(2**40), 2**40)
    | st.floats(allow_nan=False)
    | st.text(st.sampled_from("ab\"' #[]{}=,\\é\n\t"), max_size=8)
    | st.datetimes(timezones=st.just(UTC))
)
DOCUMENTS = st.dictionaries(
    KEYS,
    st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4)),
    max_size=5,
)


@given(DOCUMENTS, st.booleans())
def test_every_key_of_any_document_is_found_and_nothing_else(document: dict[str, Any], multiline: bool) -> None:  # noqa: FBT001
    text = tomli_w.dumps(document, multiline_strings=multiline)
    assert known(text) == set(paths(tomllib.loads(text)))


def known(text: str) -> set[Path]:
    positions = Positions(text)
    positions.line_of(())
    assert positions._lines is not None
    return set(positions._lines) | set(positions._around)


def paths(value: Any, path: Path = ()) -> Iterator[Path]:
    """Yield the path of everything in a document."""
    if path:
        yield path
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from paths(inner, (*path, key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from paths(inner, (*path, index))

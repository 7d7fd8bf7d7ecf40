"""Whatever stands in a manifest, the answer is a manifest or every problem with its place: no crash, no hang."""

import tomllib
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import tomli_w
from effort import effort
from hypothesis import example, given
from hypothesis import strategies as st
from manifests import surroundings

from supervisor.core.manifest import Manifest, Positions, Source, parse
from supervisor.core.manifest.keys import JOB, SUPERVISOR, TOP
from supervisor.core.manifest.tables import Keys
from supervisor.core.schedule import ScheduleError, next_due, parse_cron, previous_due, zone
from supervisor.errors import ManifestError
from supervisor.load import load

WORDS = [
    "", "5m", "0s", "none", "off", "250ms", "9999999w", "1h 30m", "512M", "-1G", "TERM", "SIGRTMIN+7", "local", "UTC",
    "* * * * *", "@daily", "0 2 30 2 *", "*/7 1-5,9 * jan-mar mon#2", "a:b", "jobs.x:Y", "true",
    "\0", "ä\u202e", "x" * 300,
    "null", "file:in", "027", "nobody", "always", "http://[::1", "{}", "~", "..", "/", "*", "[", "'", '"', "$(x)",
]  # fmt: skip
SCALARS = st.one_of(
    st.sampled_from(WORDS),
    st.text(max_size=20),
    st.integers(-(2**63), 2**63 - 1),
    st.sampled_from([-1, 0, 1, 2, 64, 2**31]),
    st.floats(),
    st.booleans(),
    st.datetimes(timezones=st.sampled_from([None, UTC])),
    st.dates(),
    st.times(),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)


def table(keys: Keys) -> st.SearchStrategy[dict[str, Any]]:
    """Return tables of known keys, now and then misspelt, with values that may be anything."""
    known = {
        name: (table(key.inside) | VALUES if key.inside and key.inside is not keys else VALUES)
        for name, key in keys.items()
    }
    return st.fixed_dictionaries({}, optional=known) | st.dictionaries(
        st.sampled_from([*known, *(f"{name}s" for name in known), "", "a b"]), VALUES, max_size=6
    )


PLAUSIBLE = st.fixed_dictionaries(
    {"command": st.just("x")}, optional={name: VALUES for name in JOB if name not in {"run", "command"}}
)
JOBS = st.dictionaries(
    st.text(max_size=6) | st.sampled_from(["a", "b", "web"]), table(JOB) | PLAUSIBLE | VALUES, max_size=4
)
GROUPS = st.dictionaries(st.sampled_from(["a", "g", "h"]), table(TOP["groups"].inside or {}) | VALUES, max_size=3)
DOCUMENTS = st.fixed_dictionaries(
    {},
    optional={
        "supervisor": table(SUPERVISOR) | VALUES,
        "defaults": table(JOB) | VALUES,
        "jobs": JOBS | VALUES,
        "groups": GROUPS | VALUES,
        "include": VALUES,
        "": VALUES,
    },
)


def judged(document: Mapping[str, Any], text: str = "") -> None:
    found = parse([Source(file="jobs.toml", document=document, positions=Positions(text))], surroundings())
    if isinstance(found, Manifest):
        assert all(isinstance(warning, str) for warning in found.warnings)
        return
    assert found
    for problem in found:
        sentence = str(problem)
        assert problem.what
        assert "\n" not in sentence
        assert "\0" not in sentence
        assert len(sentence) < 2000


@effort(150)
@given(DOCUMENTS)
def test_any_document_is_a_manifest_or_a_list_of_problems(document: dict[str, Any]) -> None:
    judged(document)


@effort(80)
@given(st.fixed_dictionaries({"jobs": st.dictionaries(st.sampled_from(["a", "b", "c"]), PLAUSIBLE, min_size=1)}))
def test_every_problem_of_a_written_document_is_on_a_line_of_it(document: dict[str, Any]) -> None:
    try:
        text = tomli_w.dumps(document)
        read = tomllib.loads(text)
    except ValueError:  # what TOML itself cannot hold
        return
    found = parse([Source(file="jobs.toml", document=read, positions=Positions(text))], surroundings())
    if not isinstance(found, Manifest):
        last = text.count("\n") + 1
        assert all(1 <= problem.line <= last for problem in found)


@effort(100)
@given(st.binary(max_size=300) | st.text(alphabet="[]{}\"'=.,#\n abc019-:TZ\\", max_size=300).map(str.encode))
@example(b"[jobs.a]\ncommand = 'x'\nevery = '5m'\n")
@example(b"a = " + b"[" * 5000)
@example(b"\xef\xbb\xbf[jobs.a]\r\ncommand='x'")
@example(b"x = 1" + b"0" * 5000)
def test_any_file_is_a_manifest_or_a_list_of_problems(tmp_path_factory: Any, content: bytes) -> None:
    path: Path = tmp_path_factory.mktemp("fuzz", numbered=True) / "jobs.toml"
    path.write_bytes(content)
    try:
        assert isinstance(load(path, {}), Manifest)
    except ManifestError:
        pass
    finally:
        path.unlink()
        path.parent.rmdir()


CRON = st.text(alphabet="0123456789*/,-#LW?@ \tabcdefghijklmnopqrstuvwxyzMONJAN", max_size=40)
FIELD = st.from_regex(r"(\*|[0-9]{1,2}(-[0-9]{1,2})?)(/[0-9]{1,3})?(,[0-9]{1,2}(-[0-9]{1,2})?)*", fullmatch=True)
EXPRESSIONS = CRON | st.lists(FIELD, min_size=3, max_size=6).map(" ".join)
ZONES = st.sampled_from(["UTC", "Europe/Berlin", "Australia/Lord_Howe", "America/St_Johns", "Africa/Casablanca"])


@effort(300)
@given(EXPRESSIONS, ZONES, st.integers(0, 4_000_000_000))
def test_any_expression_is_a_schedule_or_a_sentence(expression: str, place: str, seconds: float) -> None:
    after = datetime.fromtimestamp(seconds, UTC)
    try:
        schedule = parse_cron(expression, zone(place))
    except ScheduleError:
        return
    due = next_due(schedule, after)
    if due is not None:
        assert due > after
        assert previous_due(schedule, due) is not None

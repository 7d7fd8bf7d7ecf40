"""The schema says of keys and types what the parser says; a key that is added to the parser alone fails here."""

import tomllib
from collections.abc import Mapping
from datetime import date, datetime, time
from functools import cache
from typing import Any

import jsonschema
import pytest
from hypothesis import find, given
from hypothesis import strategies as st
from manifests import surroundings

from supervisor.core.manifest import Manifest, Positions, Source, parse
from supervisor.core.manifest.keys import JOB, ONE_JOB, SUPERVISOR, TOP, WHAT, WHEN
from supervisor.core.manifest.readers import Reader, ReadError, Text
from supervisor.core.manifest.schema import manifest_schema
from supervisor.core.manifest.tables import Key, Keys

SCHEMA = manifest_schema()


@cache
def validator() -> Any:
    """TOML tells 1 from 1.0, which JSON need not."""
    types = jsonschema.Draft202012Validator.TYPE_CHECKER.redefine(
        "integer", lambda _, value: isinstance(value, int) and not isinstance(value, bool)
    )
    return jsonschema.validators.extend(jsonschema.Draft202012Validator, type_checker=types)(SCHEMA)


def as_json(value: Any) -> Any:
    """What an editor hands to a validator: dates and times as texts."""
    match value:
        case dict():
            return {name: as_json(each) for name, each in value.items()}
        case list():
            return [as_json(each) for each in value]
        case datetime() | date() | time():
            return value.isoformat()
    return value


def complaints(document: Any) -> list[str]:
    return [f"{error.json_path}: {error.message[:200]}" for error in validator().iter_errors(as_json(document))]


def says(document: Mapping[str, Any]) -> list[str]:
    """What the parser says against a document."""
    found = parse([Source(file="jobs.toml", document=document, positions=Positions(""))], surroundings())
    return [] if isinstance(found, Manifest) else [problem.what for problem in found]


def test_it_is_a_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


def resolved(schema: Any) -> Any:
    return SCHEMA["$defs"][schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema


def assert_same_keys(schema: Any, keys: Keys, where: str) -> None:
    table = resolved(schema)
    if "anyOf" in table:
        table = table["anyOf"][-1]
    assert set(table["properties"]) == keys.keys(), where
    assert table["additionalProperties"] is False
    for name, inner in table["properties"].items():
        assert inner["description"].startswith(keys[name].meaning), f"{where}.{name}"
        inside = keys[name].inside
        if inside is not None and name != "defaults":
            assert_same_keys({**inner, "description": ""}, inside, f"{where}.{name}")


def test_it_has_every_key_that_the_parser_takes_and_no_other() -> None:
    assert_same_keys(SCHEMA, TOP, "")
    assert_same_keys(SCHEMA["$defs"]["job"], JOB, "jobs")
    assert_same_keys(
        SCHEMA["$defs"]["defaults"], {name: key for name, key in JOB.items() if name not in ONE_JOB}, "defaults"
    )


def test_what_a_new_reader_takes_has_to_be_described() -> None:
    class Colour:
        def read(self, value: Any) -> Any:
            return value

    before = JOB["description"]
    assert isinstance(JOB, dict)
    JOB["description"] = Key(Colour(), "a colour")
    try:
        with pytest.raises(TypeError, match=r"core/manifest/schema\.py"):
            manifest_schema()
    finally:
        JOB["description"] = before


def test_defaults_are_values_of_toml_that_the_key_takes() -> None:
    for name, key in {**SUPERVISOR, **JOB}.items():
        if key.default is not None and key.inside is None:
            assert fitting(key.reader, tomllib.loads(f"it = {key.default}")["it"]), name


VALID = [
    """
    [jobs.a]
    run = "jobs.größe:Arbeiter.Innen"
    args = [1, "x", { deep = [1.5] }]
    kwargs = { a = true }
    every = "5m"
    """,
    """
    [jobs.a]
    command = ["python", "-m", "x", ""]
    stop_signal = "sigrtmin+7"
    success_exit = [0, 255, "SIGTERM", "int"]
    """,
    """
    [jobs.a]
    command = "echo $HOME"
    shell = true
    cron = "@daily"
    timezone = "Europe/Berlin"
    retries = 3
    """,
    "[jobs.a]\ncommand = 'x'\nat = 2030-01-01T10:00:00Z",
    "[jobs.a]\ncommand = 'x'\nat = 2030-01-01 10:00:00",
    """
    [jobs.a]
    command = "x"
    backoff = "none"
    log = "inherit"
    restart = "transient"
    stop_timeout = "none"
    """,
    """
    [jobs.a]
    command = "x"
    backoff = { initial = " 1h 30 m ", max = "2 hours", factor = 1.5 }
    log = { max_size = "10 MiB", keep = 0 }
    """,
    """
    [supervisor]
    vitals = "off"
    log = { level = "info" }
    history.keep = "2 weeks"
    [defaults]
    timeout = "250ms"
    env = { "A B" = "" }
    max_restarts = 0
    [jobs.0-_9]
    run = "a:b"
    restart = "never"
    """,
    'include = ["jobs.d/*.toml"]\n[jobs]',
    "",
]


@pytest.mark.parametrize("text", VALID)
def test_what_the_parser_takes_the_schema_takes(text: str) -> None:
    assert says(tomllib.loads(text)) == []
    assert complaints(tomllib.loads(text)) == []


INVALID = [
    "[job.a]",
    "[jobs.a]\nrun = 'a:b'\nevry = '5m'",
    "[jobs.a]\nevery = '5m'",
    "[jobs.a]\nrun = 'a:b'\ncommand = 'x'",
    "[jobs.a]\nrun = 'a:b'\nevery = '5m'\ncron = '@daily'",
    "[jobs.a]\nrun = 'a:b'\nretries = 3",
    "[jobs.a]\nrun = 'a:b'\ncron = '@daily'\nalign = 'clock'",
    "[jobs.a]\nrun = 'a:b'\nshell = true",
    "[jobs.a]\ncommand = 'x'\nargs = []",
    "[jobs.a]\ncommand = 'x'\nevery = '5m'\nrestart = 'always'",
    "[jobs.a]\ncommand = []",
    "[jobs.a]\ncommand = ['']",
    "[jobs.a]\ncommand = ' '",
    "[jobs.a]\nrun = 'jobs/a.py:b'",
    "[jobs.a]\nrun = 'a.b'",
    "[jobs.a]\nrun = 'a:b'\nevery = 5",
    "[jobs.a]\nrun = 'a:b'\nevery = '5 x'",
    "[jobs.a]\nrun = 'a:b'\nevery = '5m 1h'",
    "[jobs.a]\nrun = 'a:b'\nevery = '5m 5m'",
    "[jobs.a]\nrun = 'a:b'\nevery = '5'",
    "[jobs.a]\nrun = 'a:b'\nevery = ' '",
    "[jobs.a]\nrun = 'a:b'\nstop_signal = 'TEMR'",
    "[jobs.a]\nrun = 'a:b'\nsuccess_exit = [256]",
    "[jobs.a]\nrun = 'a:b'\nsuccess_exit = [true]",
    "[jobs.a]\nrun = 'a:b'\nrestart = 'sometimes'",
    "[jobs.a]\nrun = 'a:b'\ninstances = 1.0",
    "[jobs.a]\nrun = 'a:b'\nenv = { A = 1 }",
    "[jobs.a]\nrun = 'a:b'\nenv = { '' = 'x' }",
    "[jobs.a]\nrun = 'a:b'\nbackoff = 'some'",
    "[jobs.a]\nrun = 'a:b'\nbackoff = { intial = '1s' }",
    "[jobs.a]\nrun = 'a:b'\nlog = { max_size = '10 MB' }",
    "[jobs.a]\nrun = 'a:b'\ncwd = ''",
    "[jobs.'a b']\nrun = 'a:b'",
    f"[jobs.{'a' * 65}]\nrun = 'a:b'",
    "[defaults]\nevery = '5m'",
    "[supervisor]\npreload = ['a:b']",
    "jobs = 1",
]


@pytest.mark.parametrize("text", INVALID)
def test_what_the_parser_refuses_for_its_keys_or_types_the_schema_refuses(text: str) -> None:
    assert says(tomllib.loads(text))
    assert complaints(tomllib.loads(text))


SCALARS = st.one_of(
    st.booleans(),
    st.integers(-10, 100_000_001),
    st.floats(-2, 2000, allow_nan=False),
    st.sampled_from(
        ["", "x", "a.b", "a.b:c", "none", "off", "clock", "once", "skip", "never", "fence", "null", "INFO"]
    ),
    st.builds("".join, st.lists(st.sampled_from(["1", "30", ".5", " ", "h", "m", "s", "ms", "M", "KiB"]), max_size=4)),
    st.sampled_from(["TERM", "SIGTERM", "sighup", "SIGRTMIN+3", "SIGNO", "Europe/Berlin", "@daily", "5 4 * * *"]),
)
VALUES = SCALARS | st.lists(SCALARS, max_size=2) | st.dictionaries(st.sampled_from(["a", "keep"]), SCALARS, max_size=2)
OF_FORM = (
    *("unknown key", "found ", "applies to ", "nothing says what runs", "a job runs one thing"),
    *("a job has at most one schedule", "cannot be a default", "not a name"),
)
"""How the parser's sentences about keys and types begin; about the other ones no schema can know."""
OF_VALUES = ("at least", "more than 0", "date or time", "cannot read", "shell = true")


def fitting(reader: Reader, value: Any) -> bool:
    try:
        reader.read(value)
    except ReadError:
        return False
    return True


@st.composite
def tables(draw: st.DrawFn, keys: Keys) -> dict[str, Any]:
    """A table of which most keys are known and most values fit; ``VALUES`` alone would seldom be valid."""
    known = [name for name in keys if name not in WHAT and name not in WHEN]
    names = draw(st.lists(st.sampled_from([*known, "unknown"]), max_size=4, unique=True))
    table: dict[str, Any] = {}
    for name in names:
        key = keys.get(name, Key(Text(), ""))
        if key.inside is not None and draw(st.booleans()):
            table[name] = draw(tables(key.inside))
        else:
            values = st.sampled_from(fitted(key.reader)) if fitted(key.reader) else VALUES
            table[name] = draw(values | VALUES)
    return table


@cache
def sample() -> tuple[Any, ...]:
    return (
        *(True, 0, 1, 2, 1024, 0.5, "x", "a.b", "5m", "1h 30m", "250ms", "512M", "TERM", "none", "off", "clock"),
        *("once", "skip", "queue", "always", "never", "escalate", "inherit", "merge", "debug", "UTC"),
        *([], ["a"], [0, "INT"], {}, {"A": "b"}),
    )


def fitted(reader: Reader) -> list[Any]:
    return [value for value in sample() if fitting(reader, value)]


JOBS = st.builds(
    lambda what, when, table: what | when | table,
    st.sampled_from([{"run": "a:b"}, {"command": ["x"]}, {"command": "x y"}, {}, {"run": "a"}]),
    st.sampled_from([{}, {"every": "5m"}, {"cron": "@daily"}, {"every": "5m", "delay": "1s"}]),
    tables(JOB),
)
DOCUMENTS = st.fixed_dictionaries(
    {"jobs": st.dictionaries(st.sampled_from(["a", "b-1", "a b"]), JOBS, max_size=2)},
    optional={"supervisor": tables(SUPERVISOR), "defaults": tables(JOB), "unknown": st.just({})},
)


@given(DOCUMENTS)
def test_both_agree_about_any_manifest(document: dict[str, Any]) -> None:
    said, complained = says(document), complaints(document)
    if not said:
        assert complained == []
    if any(what.startswith(OF_FORM) and not any(mark in what for mark in OF_VALUES) for what in said):
        assert complained, said


def test_both_can_take_what_is_drawn() -> None:
    """The test above would prove little if no document of its strategy held."""
    find(DOCUMENTS, lambda document: bool(document["jobs"] and "supervisor" in document and not says(document)))

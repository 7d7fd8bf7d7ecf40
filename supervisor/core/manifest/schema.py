"""The JSON schema of jobs.toml (draft 2020-12), made from the tables of keys that the parser reads by.

It knows keys, types, words and patterns. What only a value can tell (a date that never comes, a zone that is none, a
duration that is too short) is left to the parser. TOML's dates and times are strings to it, as to every editor.
"""

import signal
import tomllib
from typing import Any

from supervisor.core.checks import ENDPOINT, URL
from supervisor.core.durations import SIZES, UNITS
from supervisor.core.manifest.keys import JOB, ONE_JOB, TOP, WHAT, WHEN
from supervisor.core.manifest.probes import Endpoint, Pattern, Url
from supervisor.core.manifest.readers import (
    NOBODY,
    Account,
    Choice,
    Duration,
    Flag,
    Inside,
    Instant,
    Number,
    Percent,
    Reader,
    Several,
    Signal,
    Size,
    Stdin,
    Text,
    Umask,
    WebAddress,
    Whole,
)
from supervisor.core.manifest.tables import NAME, Key, Keys, Only
from supervisor.core.manifest.targets import Arguments, CommandLine, Environment, Exits, Module, Target

Schema = dict[str, Any]

_WORD = r"[^\s\d!-/:-@\[-^`{-~][^\s!-/:-@\[-^`{-~]*"
"""A name of Python, a little wider than Python has it: JSON's patterns do not know its letters."""
_DOTTED = rf"{_WORD}(?:\.{_WORD})*"


def manifest_schema() -> Schema:
    """Return the schema of a whole manifest.

    Raises:
        TypeError: a key of the tables takes what this module cannot describe yet.
    """
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "jobs.toml",
        "description": "The background jobs of one application, and how Jobvisor supervises them",
        **_table(TOP),
        "$defs": {
            "duration": _duration(),
            "size": _size(),
            "signal": _signal(),
            "job": _table(JOB) | _together(),
            "defaults": _table({name: key for name, key in JOB.items() if name not in ONE_JOB}),
            "scheduled": {"anyOf": [{"required": [name]} for name in WHEN]},
        },
    }


def _table(keys: Keys) -> Schema:
    return {
        "type": "object",
        "properties": {name: _key(name, key) for name, key in keys.items()},
        "additionalProperties": False,
    }


def _key(name: str, key: Key) -> Schema:
    only = "" if key.only is Only.ANY else f" ({key.only.value} alone)"
    told: Schema = {"description": key.meaning + only}
    if key.default is not None:
        told["default"] = tomllib.loads(f"default = {key.default}")["default"]
    return told | _value(name, key)


def _value(name: str, key: Key) -> Schema:
    """Return what a key takes: by its reader, or a table of its own."""
    if name == "defaults":
        return {"$ref": "#/$defs/defaults"}
    if key.each is not None:
        each = {"$ref": "#/$defs/job"} if key.each is JOB else _table(key.each)
        return {"type": "object", "patternProperties": {f"^{NAME.pattern}$": each}, "additionalProperties": False}
    match key.reader:
        case Inside() if key.inside is not None:
            return _table(key.inside)
        case Inside():
            raise TypeError(f"`{name}` is a table of which nobody says what is in it: give its Key `inside` or `each`")
        case _ if key.inside is not None:
            return {"anyOf": [_shape(key.reader), _table(key.inside)]}
    return _shape(key.reader)


def _shape(reader: Reader) -> Schema:
    shape = _shape_of_value(reader) or _shape_of_process(reader) or _shape_of_probe(reader)
    if shape is None:
        raise TypeError(f"no schema for what {reader!r} reads: describe it in core/manifest/schema.py")
    return shape


def _shape_of_value(reader: Reader) -> Schema | None:
    """Return what a reader of ``readers`` takes."""
    match reader:
        case Text(filled=filled):
            return {"type": "string", "minLength": 1} if filled else {"type": "string"}
        case Flag():
            return {"type": "boolean"}
        case Whole(least=least, most=most):
            return {"type": "integer", "minimum": least, "maximum": most}
        case Number(least=low, most=high):
            return {"type": "number", "minimum": low, "maximum": high}
        case Duration(word=None):
            return {"$ref": "#/$defs/duration"}
        case Duration(word=word):
            return {"anyOf": [{"enum": [word]}, {"$ref": "#/$defs/duration"}]}
        case Size(words=words):
            size = {"$ref": "#/$defs/size"}
            return {"anyOf": [{"enum": [*words]}, size]} if words else size
        case Percent():
            return {"type": "string", "pattern": "^[1-9][0-9]*%$", "examples": ["50%", "150%"]}
        case Signal():
            return {"$ref": "#/$defs/signal"}
        case Choice(words=words, synonyms=synonyms):
            return {"enum": [*words, *synonyms]}
        case Several(each=each):
            return {"type": "array", "items": _shape(each)}
        case WebAddress():
            return {"type": "string", "pattern": "^https?://"}
        case Instant():
            return {"type": "string", "pattern": r"^\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d"}
    return None


def _shape_of_probe(reader: Reader) -> Schema | None:
    """Return what a reader takes that is about how a job shows that it is ready and well."""
    match reader:
        case Url():
            return {"type": "string", "pattern": f"^{URL.pattern}$"}
        case Endpoint():
            return {"type": "string", "pattern": f"^{ENDPOINT.pattern}$"}
        case Pattern():
            return {"type": "string", "minLength": 1}
    return None


def _shape_of_process(reader: Reader) -> Schema | None:
    """Return what a reader takes that is about what runs and what its process is given."""
    match reader:
        case Target():
            return {"type": "string", "pattern": f"^{_DOTTED}:{_DOTTED}$"}
        case Module():
            return {"type": "string", "pattern": f"^{_DOTTED}$"}
        case CommandLine():
            return _command_line()
        case Arguments(kind=kind):
            return {"type": "array" if kind is list else "object"}
        case Account():
            number = {"type": "integer", "minimum": 0, "maximum": NOBODY - 1}
            return {"anyOf": [number, {"type": "string", "pattern": r"^[^:\n/]+$"}]}
        case Umask():
            return {"type": "string", "pattern": "^0*[0-7]{1,3}$"}
        case Stdin():
            return {"type": "string", "pattern": r"^(?:null|file:[\s\S]+)$"}
        case Environment():
            variable = {"type": "string"}
            return {"type": "object", "propertyNames": {"pattern": "^[^=]+$"}, "additionalProperties": variable}
        case Exits():
            code = {"type": "integer", "minimum": 0, "maximum": 255}
            return {"type": "array", "items": {"anyOf": [code, {"$ref": "#/$defs/signal"}]}}
    return None


def _command_line() -> Schema:
    program = {"type": "string", "minLength": 1}
    words = {"type": "array", "minItems": 1, "prefixItems": [program], "items": {"type": "string"}}
    return {"anyOf": [words, {"type": "string", "pattern": r"\S"}]}


def _duration() -> Schema:
    """Return the schema of parts in falling order, each unit at most once, and not only blanks."""
    parts = "".join(
        rf"(?:[0-9]+(?:\.[0-9]+)?[ \t]*(?:{'|'.join(sorted(words, reverse=True))})[ \t]*)?" for words in UNITS.values()
    )
    return {
        "type": "string",
        "pattern": rf"^[ \t]*{parts}$",
        "not": {"pattern": r"^[ \t]*$"},
        "examples": ["90s", "5m", "1h30m", "2 weeks"],
    }


def _size() -> Schema:
    units = "|".join(unit for unit in SIZES if unit)
    return {"type": "string", "pattern": rf"^[ \t]*[0-9]{{1,19}}[ \t]*(?:{units})?[ \t]*$", "examples": ["512M", "2G"]}


def _signal() -> Schema:
    """Return the schema of a signal's name, in any case, with or without ``SIG``."""
    names = sorted(name.removeprefix("SIG") for name in signal.Signals.__members__)
    real_time = f"{_any_case('RT')}(?:{_any_case('MIN')}\\+|{_any_case('MAX')}-)[0-9]{{1,2}}"
    anyhow = "|".join([*map(_any_case, names), real_time])
    common = ["TERM", "INT", "HUP", "QUIT", "USR1", "USR2", "KILL"]
    return {"type": "string", "pattern": f"^(?:{_any_case('SIG')})?(?:{anyhow})$", "examples": common}


def _any_case(word: str) -> str:
    return "".join(f"[{letter}{letter.lower()}]" if letter.isalpha() else letter for letter in word)


def _together() -> Schema:
    """Return which keys of a job go together: one thing that runs, at most one schedule, what each key is for."""
    needs: dict[str, Schema] = {
        name: {"not": {"anyOf": [{"required": [other]} for other in WHEN if other != name]}} for name in WHEN
    }
    for name, key in JOB.items():
        need = _need(key.only)
        if need is not None:
            needs[name] = need
    return {"oneOf": [{"required": [name]} for name in WHAT], "dependentSchemas": needs}


def _need(only: Only) -> Schema | None:
    """Return what else a job must have that has a key for certain jobs, or None."""
    scheduled = {"$ref": "#/$defs/scheduled"}
    match only:
        case Only.ANY:
            return None
        case Only.SCHEDULED:
            return scheduled
        case Only.EVERY:
            return {"required": ["every"]}
        case Only.RUN | Only.COMMAND:
            return {"required": ["run" if only is Only.RUN else "command"]}
        case Only.LASTING:
            return {"anyOf": [{"required": ["run"]}, {"not": scheduled}]}

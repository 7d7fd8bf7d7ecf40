"""The pages of reference that are made from the program itself at each build, so that they say what it does.

MkDocs calls ``on_files`` (https://www.mkdocs.org/user-guide/configuration/#hooks).
"""

import importlib
import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from supervisor.cli.commands import COMMANDS, program
from supervisor.core.manifest.schema import manifest_schema

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files

_TYPES = {
    "string": "string",
    "boolean": "true or false",
    "integer": "whole number",
    "number": "number",
    "array": "array",
    "object": "table",
}
_BEFORE = """\
# jobs.toml

Every key that this version takes, from the tables that its parser reads by. `jobvisor schema` prints the same as a
JSON schema, for editors.

A duration is `"250ms"`, `"90s"`, `"1h30m"`, `"2 weeks"`: parts in falling order, each unit once; a day is 24 hours. A
size is `"512M"` or `"2GiB"`, 1024-based. A signal is `"TERM"` or `"SIGTERM"`. A bare number is an error that says which
unit is missing. Relative paths begin at the folder of the manifest.
"""


_NAMES = """\
Names take `*` patterns; `web` means all instances of a job, `web:2` one of them; the name of a group means its members.
Exit codes and JSON are on a [page of their own](output.md).
"""


def on_files(files: "Files", config: "MkDocsConfig") -> "Files":
    """Add the generated pages."""
    from mkdocs.structure.files import File  # noqa: PLC0415  # the tests of these pages need no MkDocs

    for path, content in pages().items():
        files.append(File.generated(config, path, content=content))
    return files


def pages() -> dict[str, str]:
    """Return the generated pages by their paths."""
    return {"reference/manifest.md": manifest_page(), "reference/commands.md": commands_page()}


def manifest_page() -> str:
    """Return the page of all keys."""
    schema = manifest_schema()
    parts = [_BEFORE]
    for name, table in schema["properties"].items():
        resolved = _resolved(schema, table)
        if "properties" in resolved:
            parts += [f"\n## [{name}]\n\n{_sentence(table)}\n", *_table(schema, name, resolved)]
        elif "patternProperties" in resolved:
            (each,) = resolved["patternProperties"].values()
            parts += [f"\n## [{name}.NAME]\n\n{_sentence(table)}\n"]
            parts += _table(schema, name, _resolved(schema, each))
        else:
            parts += [f"\n## {name}\n\n{_sentence(table)} Takes: {_takes(schema, table)}.\n"]
    return "\n".join(parts) + "\n"


def _resolved(schema: dict[str, Any], value: dict[str, Any]) -> dict[str, Any]:
    if "$ref" not in value:
        return value
    found: dict[str, Any] = schema["$defs"][value["$ref"].rpartition("/")[2]]
    return found


def _table(schema: dict[str, Any], name: str, table: dict[str, Any]) -> Iterator[str]:
    """Yield a table of keys, and then that of each table in it."""
    if name == "defaults":
        yield "Any key of a job but what it runs, when, and its group: see [jobs.NAME](#jobsname).\n"
        return
    yield "| key | takes | default | meaning |\n|---|---|---|---|"
    for key, value in table["properties"].items():
        default = f"`{_toml(value['default'])}`" if "default" in value else ""
        yield f"| `{key}` | {_cell(_takes(schema, value))} | {default} | {_cell(value['description'])} |"
    for key, value in table["properties"].items():
        inner = next((each for each in [value, *value.get("anyOf", [])] if "properties" in each), None)
        if inner is not None:
            yield f"\n### {key}\n\n{_sentence(value)}\n"
            yield from _table(schema, key, inner)


def _takes(schema: dict[str, Any], value: dict[str, Any]) -> str:
    """Return what a key takes, in words."""
    if "$ref" in value:
        return str(value["$ref"].rpartition("/")[2])
    if "anyOf" in value:
        return " or ".join(dict.fromkeys(_takes(schema, each) for each in value["anyOf"]))
    if "enum" in value:
        words = [word for word in value["enum"] if word.upper() == word or word.upper() not in value["enum"]]
        return ", ".join(f"`{_toml(word)}`" for word in words)
    kind = _TYPES[value["type"]]
    if "minimum" in value:
        return f"{kind} from {value['minimum']:,} to {value['maximum']:,}"
    if value["type"] == "array" and "$ref" not in value.get("items", {"$ref": ""}):
        return f"array of {_takes(schema, value['items'])}s" if "type" in value["items"] else kind
    return kind


def _toml(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _sentence(value: dict[str, Any]) -> str:
    description: str = value["description"]
    return f"{description[:1].upper()}{description[1:]}."


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def commands_page() -> str:
    """Return the page of all commands, each with its own help."""
    parts = [
        "# Commands\n",
        "What `jobvisor --help` and `jobvisor COMMAND --help` print. `python -m supervisor` is the same program.\n",
        _NAMES,
    ]
    outer = click.Context(program, info_name="jobvisor")
    parts += [f"```text\n{program.get_help(outer)}\n```\n"]
    for name in COMMANDS:
        command: click.Command = importlib.import_module(f"supervisor.cli.{name}").command
        inner = click.Context(command, info_name=name, parent=outer)
        parts += [f"## {name}\n", f"{COMMANDS[name]}\n", f"```text\n{command.get_help(inner)}\n```\n"]
    return "\n".join(parts)

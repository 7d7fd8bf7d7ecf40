"""``jobvisor reload``."""

import json
import sys
from collections.abc import Sequence
from typing import Any

import click

from supervisor.cli import orders
from supervisor.cli.commands import as_json
from supervisor.cli.commands import command as jobvisor
from supervisor.cli.place import Place
from supervisor.cli.table import aligned, one_line

_NAMED = ("groups.", "notify.")
"""How the keys begin that do not stand in ``[supervisor]``."""
_PLANNED = {"added": "new, starts", "removed": "removed, stops", "restarted": "restarts"}
_EFFECTS = {"next run": "at next run", "restart": "restarts", "start": "starts", "stop": "stops"}
_WIDEST = 60
"""Characters of a value that a terminal is shown."""


@jobvisor(name="reload")
@click.option("--plan", is_flag=True, help="Show what would change, key by key, and when; change nothing.")
@click.option("--now", is_flag=True, help="End scheduled runs that still go on with old settings.")
@click.option("--code", is_flag=True, help="Load the jobs' code afresh, `preload` and `pythonpath` too.")
@as_json
def command(place: Place, plan: bool, now: bool, code: bool, as_json: bool) -> int:
    """Apply the edited manifest: new jobs start, removed ones stop, only changed ones restart.

    A changed long-lived job or Worker restarts, stopped by its old settings; a changed scheduled run ends on its old
    settings. With --code all Python jobs that live on restart too, and scheduled runs that are under way end on the
    old code. A bad manifest, or code in which a target is lost, changes nothing. Exits 1 then, or when a job did not
    come up.
    """
    if plan and (now or code):
        raise click.UsageError("--plan changes nothing; it takes neither --now nor --code")
    answer = place.ask("plan") if plan else place.order("reload", {"now": now, "code": code})
    if as_json:
        print(json.dumps(answer, indent=2))
        return 0 if answer["ok"] else 1
    for problem in answer["problems"]:
        print(problem, file=sys.stderr)
    if answer["problems"]:
        print("nothing was changed", file=sys.stderr)
        return 1
    changes = [change for change in answer["changes"] if change["change"] != "unchanged"]
    if not changes and not answer["settings"] and not code:
        print("nothing has changed")
    if plan:
        _show_plan(changes, answer["settings"])
        return 0
    for change in changes:
        print(f"{change['name']}: {change['change']}")
    for field in answer["settings"]:
        head = "" if field["key"].startswith(_NAMED) else "[supervisor] "
        print(f"{head}{field['key']}: {_setting_when(field['effect'], code=code)}")
    for change in answer["code"]:
        print(f"{change['name']}: {change['change']}")
    if code and not (changes or answer["settings"] or answer["code"]):
        print("the code is loaded afresh; no job runs that it would touch")
    return orders.say([job for job in answer["jobs"] if not job["ok"]])


def _show_plan(changes: Sequence[dict[str, Any]], settings: Sequence[dict[str, Any]]) -> None:
    for change in changes:
        print(f"{change['name']}: {_PLANNED.get(change['change'], change['change'])}")
        _show(change["fields"])
    own = [field for field in settings if not field["key"].startswith(_NAMED)]
    others = [field for field in settings if field["key"].startswith(_NAMED)]
    for head, fields in (("[supervisor]", own), ("groups and notifiers", others)):
        if fields:
            print(head)
            _show(fields)


def _show(fields: Sequence[dict[str, Any]]) -> None:
    rows = [
        (field["key"], _text(field["before"]), "->", _text(field["after"]), _when(field["effect"])) for field in fields
    ]
    for line in aligned(rows[0], rows[1:]) if rows else []:
        print(f"  {line}")


def _text(value: Any) -> str:
    """Return a value as TOML writes it; on a terminal of a long one the beginning."""
    text = "-" if value is None else one_line(json.dumps(value, ensure_ascii=False))
    return f"{text[: _WIDEST - 1]}…" if len(text) > _WIDEST and sys.stdout.isatty() else text


def _setting_when(effect: str, *, code: bool) -> str:
    return "live" if code and effect == "reload --code" else effect


def _when(effect: str) -> str:
    return _EFFECTS.get(effect, effect)

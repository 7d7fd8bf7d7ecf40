"""Making the notifiers of the ``[notify.NAME]`` tables, and what jobs may say of them."""

from collections.abc import Mapping, Sequence
from typing import Any

from supervisor.core.manifest.keys import NOTIFY
from supervisor.core.manifest.names import Named
from supervisor.core.manifest.problems import Problems, Source
from supervisor.core.manifest.readers import ReadError
from supervisor.core.manifest.tables import read_table
from supervisor.core.manifest.targets import split
from supervisor.core.manifest.wording import Path, near
from supervisor.core.notifier import Notifier, On, Program, Webhook


def make_notifiers(tables: Sequence[Named], problems: Problems) -> dict[str, Notifier]:
    """Return the notifiers of some tables by name, without those that cannot be."""
    made = (_notifier(table, problems) for table in tables)
    return {notifier.name: notifier for notifier in made if notifier is not None}


def _notifier(table: Named, problems: Problems) -> Notifier | None:
    before = len(problems.found)
    values = read_table(table.source, table.path, table.raw, NOTIFY, problems)
    to = _to(table, values, problems)
    if len(problems.found) > before or to is None:
        return None
    given = {name: values[name] for name in ("failures", "timeout", "retries") if name in values}
    on = frozenset(values.get("on", On))
    return Notifier(name=table.name, to=to, on=on, where=table.source.place(table.path), **given)


def _to(table: Named, values: Mapping[str, Any], problems: Problems) -> Program | Webhook | None:
    raw = table.raw if isinstance(table.raw, dict) else {}
    if ("command" in raw) == ("webhook" in raw):
        problems.add(table.source, table.path, "give it one of `command` and `webhook`: it says who is told")
        return None
    if "ping" in raw and "command" in raw:
        problems.add(table.source, (*table.path, "ping"), "applies to `webhook` alone")
    if values.get("ping") and "on" in raw:
        what = "has no effect with ping = true, which tells of the start and the end of every run"
        problems.warn(table.source, (*table.path, "on"), what)
    if "webhook" in values:
        return Webhook(url=values["webhook"], ping=values.get("ping", False))
    command = values.get("command")
    if isinstance(command, str):
        try:
            command = split(command)
        except ReadError as error:
            problems.add(table.source, (*table.path, "command"), str(error))
            return None
    return None if command is None else Program(argv=command)


def check_told(source: Source, path: Path, names: Any, known: Sequence[str], problems: Problems) -> None:
    """Note names of notifiers that no table makes."""
    for index, name in enumerate(names if isinstance(names, tuple) else ()):
        if name not in known:
            hint = near(name, tuple(known)) or f"; write [notify.{name}]"
            problems.add(source, (*path, "notify", index), f'there is no notifier "{name}"{hint}')

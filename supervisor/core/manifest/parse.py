"""From mappings to a Manifest, or every problem at once."""

from collections.abc import Sequence

from supervisor.core.manifest.groups import check_waits, lonely, make_groups
from supervisor.core.manifest.jobs import Jobs
from supervisor.core.manifest.keys import JOB, NAMED, ONE_JOB, SUPERVISOR, TOP
from supervisor.core.manifest.names import named_tables
from supervisor.core.manifest.notifiers import check_told, make_notifiers
from supervisor.core.manifest.problems import Problem, Problems, Source
from supervisor.core.manifest.settings import Manifest, Surroundings, make_settings
from supervisor.core.manifest.tables import read_table
from supervisor.core.manifest.wording import near
from supervisor.core.schedule import ScheduleError


def parse(sources: Sequence[Source], around: Surroundings) -> Manifest | tuple[Problem, ...]:
    """Return the manifest that the main file and those that it includes make, or every problem, by file and line."""
    problems = Problems()
    manifest = _manifest(sources, around, problems)
    if not problems.found:
        return manifest
    order = {source.file: index for index, source in enumerate(sources)}
    return tuple(sorted(problems.found, key=lambda problem: (order[problem.file], problem.line)))


def _manifest(sources: Sequence[Source], around: Surroundings, problems: Problems) -> Manifest:
    main, *included = sources
    _read_top(main, problems)
    for source in included:
        _read_included(source, main, problems)
    values = read_table(main, ("supervisor",), main.document.get("supervisor", {}), SUPERVISOR, problems)
    if "timezone" in values:
        try:
            around.zone(values["timezone"])
        except ScheduleError as error:
            problems.add(main, ("supervisor", "timezone"), str(error))
            del values["timezone"]
    settings = make_settings(values, around)
    defaults = read_table(main, ("defaults",), main.document.get("defaults", {}), JOB, problems)
    for name in defaults.keys() & ONE_JOB.keys():
        problems.add(main, ("defaults", name), "cannot be a default: it says what one job is; write it in the job")
        del defaults[name]
    places: dict[str, str] = {}
    tables = named_tables(sources, "jobs", places, problems)
    group_tables = named_tables(sources, "groups", places, problems)
    groups = make_groups(group_tables, defaults, problems)
    notify_tables = named_tables(sources, "notify", {}, problems)
    notifiers = make_notifiers(notify_tables, problems)
    known = [table.name for table in notify_tables]
    check_told(main, ("defaults",), defaults.get("notify"), known, problems)
    maker = Jobs(
        around, problems, timezone=settings.timezone, main=main, defaults=defaults, groups=groups, notifiers=known
    )
    jobs = tuple(job for table in tables if (job := maker.job(table.source, table.name, table.raw)) is not None)
    check_waits(jobs, groups, {table.name: table.source for table in tables}, problems)
    if not tables:
        problems.warn(main, (), "there are no jobs in it")
    for table in group_tables:
        if table.name in lonely(groups, jobs):
            problems.warn(table.source, table.path, "no job is in it")
    return Manifest(
        path=around.path,
        folder=around.folder,
        settings=settings,
        jobs=jobs,
        groups=tuple(groups.values()),
        notifiers=tuple(notifiers.values()),
        warnings=tuple(map(str, problems.warnings)),
        blank=tuple(source.file for source in sources if not source.document),
    )


def _read_top(source: Source, problems: Problems) -> None:
    """Read the top of the main file but for its tables, which follow in their own order."""
    tables = TOP.keys() - {"include"}
    rest = {name: value for name, value in source.document.items() if name not in tables}
    read_table(source, (), rest, TOP, problems)


def _read_included(source: Source, main: Source, problems: Problems) -> None:
    for name in source.document:
        if name not in NAMED and name in TOP:
            problems.add(source, (name,), f"belongs in {main.file}; an included file adds jobs, groups and notifiers")
        elif name not in NAMED:
            problems.add(source, (name,), f"unknown key in an included file{near(name, tuple(NAMED))}")

"""The program: finds the command, and is the one place that turns errors into exit codes.

``status`` and ``run`` in their plain forms do without click: its import would cost a client more than all the rest, and
a supervisor memory for all its life. Whatever else is written on the command line goes through click, help and usage
errors included.
"""

import io
import sys
from collections.abc import Sequence

from supervisor.cli.output import hush
from supervisor.cli.place import Place
from supervisor.errors import ControlError, JobvisorError, NoSuchJobError, NoSupervisorError, WrongUsageError

FAILED = 1
WRONG_USAGE = 2
NOT_THERE = 4
INTERRUPTED = 130

_VALUED = {"-f": "manifest", "--file": "manifest", "--socket": "socket"}
_FLAGS = frozenset({"--json", "--output"})


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # None where it was closed
            stream.reconfigure(errors="backslashreplace")
    try:
        code = _run(arguments)
        if sys.stdout is not None:
            sys.stdout.flush()
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        hush()
        return 0
    except JobvisorError as error:
        print(error, file=sys.stderr)
        return _code(error)
    return code


def _run(arguments: list[str]) -> int:
    match plain(arguments):
        case ["status", *names], place, as_json, False:
            from supervisor.cli import status_view  # noqa: PLC0415  # a client imports what it uses

            return status_view.show(place, names, as_json=as_json)
        case ["run"], place, False, output:
            from supervisor.signals import early  # noqa: PLC0415

            early.stand()  # before all that takes its time to import
            from supervisor.cli import foreground  # noqa: PLC0415

            return foreground.supervise(place, output=output)
    from supervisor.cli.commands import run_with_click  # noqa: PLC0415  # click, for all but the plain forms

    return run_with_click(arguments)


def plain(arguments: Sequence[str]) -> tuple[list[str], Place, bool, bool] | None:
    """Return the words of a plain command line, its place, and whether it has ``--json`` and ``--output``.

    None is returned where there is anything else in it: click shall read it.
    """
    given: dict[str, str] = {}
    words: list[str] = []
    flags: set[str] = set()
    rest = iter(arguments)
    for argument in rest:
        if argument in _VALUED:
            value = next(rest, None)
            if value is None:
                return None
            given[_VALUED[argument]] = value
        elif argument in _FLAGS and words:
            flags.add(argument)
        elif argument.startswith("-"):
            return None
        else:
            words.append(argument)
    place = Place(given.get("manifest"), given.get("socket"))
    return words, place, "--json" in flags, "--output" in flags


def _code(error: JobvisorError) -> int:
    match error:
        case ControlError(code=code):
            return code
        case WrongUsageError():
            return WRONG_USAGE
        case NoSupervisorError() | NoSuchJobError():
            return NOT_THERE
    return FAILED

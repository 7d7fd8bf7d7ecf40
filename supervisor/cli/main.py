"""The program: finds the command, and is the one place that turns errors into exit codes.

``status`` in its plain forms is answered without click, whose import would cost more than all the rest of it; whatever
else is written on the command line goes through click, help and usage errors included.
"""

import io
import sys
from collections.abc import Sequence

from supervisor.cli.output import hush
from supervisor.cli.place import Place
from supervisor.errors import ControlError, JobvisorError, NoSuchJobError, NoSupervisorError

FAILED = 1
NOT_THERE = 4
INTERRUPTED = 130

_VALUED = {"-f": "manifest", "--file": "manifest", "--socket": "socket"}


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
    plain = plain_status(arguments)
    if plain is not None:
        from supervisor.cli import status_view  # noqa: PLC0415  # a client imports what it uses

        place, names, as_json = plain
        return status_view.show(place, names, as_json=as_json)
    from supervisor.cli.commands import run_with_click  # noqa: PLC0415  # click, for all but the plain forms

    return run_with_click(arguments)


def plain_status(arguments: Sequence[str]) -> tuple[Place, list[str], bool] | None:
    """Return what a plain ``status`` asks for, or None where click shall read the command line."""
    given: dict[str, str] = {}
    words: list[str] = []
    as_json = False
    rest = iter(arguments)
    for argument in rest:
        if argument in _VALUED:
            value = next(rest, None)
            if value is None:
                return None
            given[_VALUED[argument]] = value
        elif argument == "--json" and words:
            as_json = True
        elif argument.startswith("-"):
            return None
        else:
            words.append(argument)
    if not words or words[0] != "status":
        return None
    return Place(given.get("manifest"), given.get("socket")), words[1:], as_json


def _code(error: JobvisorError) -> int:
    match error:
        case ControlError(code=code):
            return code
        case NoSupervisorError() | NoSuchJobError():
            return NOT_THERE
    return FAILED

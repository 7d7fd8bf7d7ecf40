"""The program: finds the command, and is the one place that turns errors into exit codes.

``status`` in its plain forms is answered without click, whose import would cost more than all the rest of it; whatever
else is written on the command line goes through click, help and usage errors included.
"""

import os
import sys
from collections.abc import Sequence

from supervisor.cli.place import Place
from supervisor.errors import (
    AlreadyRunningError,
    ControlError,
    JobvisorError,
    ManifestError,
    NoSuchJobError,
    NoSupervisorError,
)

INTERRUPTED = 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        code = _run(arguments)
        sys.stdout.flush()
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # the interpreter flushes stdout once more at its end
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
        if argument in {"-f", "--socket"}:
            value = next(rest, None)
            if value is None:
                return None
            given[argument] = value
        elif argument == "--json" and words:
            as_json = True
        elif argument.startswith("-"):
            return None
        else:
            words.append(argument)
    if not words or words[0] != "status":
        return None
    return Place(given.get("-f"), given.get("--socket")), words[1:], as_json


def _code(error: JobvisorError) -> int:
    match error:
        case ControlError(code=code):
            return code
        case NoSupervisorError() | NoSuchJobError():
            return 4
        case AlreadyRunningError() | ManifestError():
            return 1
    return 1

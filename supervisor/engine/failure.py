"""How a Python exception is told: to a person on stderr, to the supervisor over the channel."""

import os
import sys
import traceback
from contextlib import suppress
from typing import Any

from supervisor.engine.redaction import redacted
from supervisor.engine.targets import place_of

LONGEST_MESSAGE = 2_000
LONGEST_TRACEBACK = 20_000
_HERE = os.path.dirname(os.path.abspath(__file__)) + "/"  # noqa: PTH100, PTH120  # no pathlib in the fork server


def show(error: BaseException) -> None:
    """Print the traceback as Python would at a program's end, by ``sys.excepthook``, without the engine's frames.

    Python's own hook would print the secrets of the environment too: then it is printed here, without them.
    """
    _forget_own_frames(error)
    try:
        if sys.excepthook is sys.__excepthook__:
            trace = "".join(traceback.format_exception(error))
            told = redacted(trace)
            if told != trace:
                sys.stderr.write(told)
                return
        sys.excepthook(type(error), error, error.__traceback__)
    except Exception:  # noqa: BLE001  # Python itself shows both, too
        traceback.print_exc()
        traceback.print_exception(error)


def told(error: BaseException) -> dict[str, Any]:
    """Return what the supervisor's record of a failure holds, without the secrets of the environment."""
    _forget_own_frames(error)
    place = place_of(error)
    trace = "".join(traceback.format_exception(error))
    return {
        "type": type(error).__name__,
        "message": redacted(_text(error)[: 2 * LONGEST_MESSAGE])[:LONGEST_MESSAGE],
        "file": place[0] if place else None,
        "line": place[1] if place else None,
        "traceback": redacted(trace[-2 * LONGEST_TRACEBACK :])[-LONGEST_TRACEBACK:],
    }


def _forget_own_frames(error: BaseException) -> None:
    frames = error.__traceback__
    while frames is not None and frames.tb_next is not None and frames.tb_frame.f_code.co_filename.startswith(_HERE):
        frames = frames.tb_next
    error.__traceback__ = frames


def _text(error: BaseException) -> str:
    with suppress(Exception):  # a job's own __str__
        return str(error)
    return "<its text cannot be had>"

"""Finding what ``run = "package.module:name"`` names, and saying what is missing where it cannot be had."""

import importlib
import os
import sys
import traceback
from types import ModuleType
from typing import Any, NamedTuple

from supervisor.core.kind import Kind
from supervisor.worker import Worker


class Wanted(NamedTuple):
    """A target, and whose it is: for the message where it is missing."""

    job: str
    where: str
    target: str
    folder: str


class TargetError(Exception):
    """The target cannot be had; the text says which job, module and file, and what to do."""


def find(wanted: Wanted) -> Any:
    """Import a target and return it: a function, or a Worker class.

    Raises:
        TargetError: it is not there, or its module cannot be imported.
    """
    module_name, _, name = wanted.target.partition(":")
    module = _module(wanted, module_name, name)
    found: Any = module
    for part in name.split("."):
        try:
            found = getattr(found, part)
        except AttributeError:
            raise TargetError(_no_name(wanted, module, found, part)) from None
    if not callable(found):
        raise TargetError(
            f'{_job(wanted)}: "{wanted.target}" is {type(found).__name__}, not a function or Worker class'
        )
    if isinstance(found, type) and not issubclass(found, Worker):
        raise TargetError(
            f'{_job(wanted)}: the class "{wanted.target}" is not a Worker; '
            "derive it from supervisor.Worker, or name a function"
        )
    return found


def kind_of(found: Any) -> Kind:
    """Return what a found target is."""
    return Kind.WORKER if isinstance(found, type) else Kind.FUNCTION


def _module(wanted: Wanted, module_name: str, name: str) -> ModuleType:
    if module_name in sys.modules:
        return sys.modules[module_name]
    try:
        return importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is not None and (module_name == error.name or module_name.startswith(error.name + ".")):
            raise TargetError(_no_module(wanted, module_name, error.name, name)) from None
        raise TargetError(_broken(wanted, module_name, error)) from error
    except (Exception, SystemExit) as error:
        raise TargetError(_broken(wanted, module_name, error)) from error


def _job(wanted: Wanted) -> str:
    return f'job "{wanted.job}"' + (f" ({wanted.where})" if wanted.where else "")


def _no_module(wanted: Wanted, module_name: str, missing: str, name: str) -> str:
    path = module_name.replace(".", "/") + ".py"
    what = "a Worker class" if name[:1].isupper() else "a function"
    lead = f'{_job(wanted)}: cannot import "{module_name}": '
    parent = missing.rpartition(".")[0]
    if parent and parent in sys.modules and not hasattr(sys.modules[parent], "__path__"):
        return f'{lead}"{parent}" is a module ({_file(sys.modules[parent])}), not a package'
    if missing != module_name:
        return f'{lead}no package or module "{missing}" under {wanted.folder}; create {path} with {what} named "{name}"'
    return f'{lead}no module {path} under {wanted.folder}; create that file with {what} named "{name}"'


def _no_name(wanted: Wanted, module: ModuleType, holder: Any, part: str) -> str:
    names = [name for name in dir(holder) if not name.startswith("_")]
    from difflib import get_close_matches  # noqa: PLC0415  # only for a name that is wrong

    near = get_close_matches(part, names, n=1)
    hint = f'; did you mean "{near[0]}"? Define' if near else "; define"
    what = "a Worker class" if part[:1].isupper() else "a function"
    return f'{_job(wanted)}: {_file(module)} has no "{part}"{hint} {what} of that name there, or correct `run`'


def _broken(wanted: Wanted, module_name: str, error: BaseException) -> str:
    place = place_of(error)
    at = f" at {place[0]}:{place[1]}" if place else ""
    said = f": {error}" if str(error) else ""
    return f'{_job(wanted)}: importing "{module_name}" raised {type(error).__name__}{at}{said}'


def _file(module: ModuleType) -> str:
    return getattr(module, "__file__", None) or module.__name__


_LIBRARY = tuple(
    os.path.dirname(path) + "/" for path in {traceback.__file__, os.path.dirname(os.path.abspath(__file__))}
)
"""Folders of the standard library and of this package."""


def place_of(error: BaseException) -> tuple[str, int] | None:
    """Return file and line of the innermost frame in the user's own code; where none is, of the innermost of all."""
    frames = traceback.extract_tb(error.__traceback__)
    if isinstance(error, SyntaxError) and error.filename is not None:
        return error.filename, error.lineno or 0
    own = [frame for frame in frames if not _is_library(frame.filename)]
    for frame in reversed(own or frames):
        return frame.filename, frame.lineno or 0
    return None


def _is_library(filename: str) -> bool:
    return filename.startswith(("<", *_LIBRARY)) or "/site-packages/" in filename or "/dist-packages/" in filename

"""What a job's target is; a module of its own, as the fork server shall carry little else of the core."""

from enum import StrEnum


class Kind(StrEnum):
    """What a job's target is. For ``run`` only an import tells; a throw-away process finds out."""

    COMMAND = "command"
    FUNCTION = "function"
    WORKER = "worker"

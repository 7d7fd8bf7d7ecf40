"""The mistakes a person can make that Jobvisor answers with a sentence instead of a traceback.

An expected outcome of a job is a value (see ``core.exits``); these exceptions are for a person's input. Only
``cli.main`` turns them into exit codes.
"""


class JobvisorError(Exception):
    """A failure whose text tells a person what could not be done, where, why, and what to do."""


class ManifestError(JobvisorError):
    """The manifest cannot be used; ``problems`` holds one line each, every problem at once."""

    def __init__(self, problems: tuple[str, ...]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class WrongUsageError(JobvisorError):
    """A word of the command line that means nothing where it stands."""


class NoSupervisorError(JobvisorError):
    """No supervisor answers on the control socket."""


class NoSuchJobError(JobvisorError):
    """A name or pattern on the command line matches no job of the manifest."""


class ControlError(JobvisorError):
    """The supervisor's answer to a request that it refuses; ``code`` is the exit code that the command ends with."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


class SupervisorGoneError(ControlError):
    """The supervisor has hung up before its answer was complete: it has ended, or become another version."""

    def __init__(self, message: str) -> None:
        super().__init__(1, message)


class AlreadyRunningError(JobvisorError):
    """Another ``run`` holds the same state_dir."""

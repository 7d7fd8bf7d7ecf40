"""The base class of jobs that keep their process and state between ticks, as a GenServer does."""

TYPE_CHECKING = False
if TYPE_CHECKING:  # as in ``typing``, whose import would be a tenth of the log process
    from typing import Any


class Worker:
    """A job that lives in one process; subclass it and name the class as ``run`` in jobs.toml.

    The constructor gets ``args`` and ``kwargs`` of the manifest. Every method is optional but ``tick`` for a scheduled
    Worker. Messages and ticks are served one at a time, in order. An exception in any of them ends the process, and
    the restart policy decides; one in ``state``, or an answer that is no JSON, is only told to the one who asked.
    """

    def start(self) -> None:
        """Run once in the new process, before the first tick."""

    def tick(self) -> None:
        """Do the work of one due time (scheduled Workers only)."""
        raise NotImplementedError(f"{type(self).__qualname__} has a schedule, so it needs a method tick(self)")

    def call(self, request: "Any") -> "Any":
        """Return the answer to ``jobvisor call NAME JSON``; both are JSON values of at most 256 KiB."""
        raise NotImplementedError(f"{type(self).__qualname__} answers no calls")

    def cast(self, message: "Any") -> None:
        """Take a message that wants no answer (``jobvisor cast NAME JSON``)."""

    def state(self) -> "Any":
        """Return what ``jobvisor state NAME`` shows; what is no JSON in it is shown as ``repr`` does."""
        return {key: value for key, value in vars(self).items() if not key.startswith("_")}

    def stop(self, reason: str) -> None:
        """Clean up before the process ends; ``reason`` says who asked."""

"""What every way of delivering has in common."""

from typing import Any, Protocol


class Undelivered(Exception):  # noqa: N818  # an outcome, as its name says
    """A try that failed; its text says why, without secrets. ``again`` tells whether another may succeed."""

    def __init__(self, why: str, *, again: bool = True) -> None:
        super().__init__(why)
        self.again = again


class Deliver(Protocol):
    """Delivers a notice; may take as long as the notifier's time-out."""

    def __call__(self, notice: dict[str, Any], /) -> None:
        """Deliver it.

        Raises:
            Undelivered: it did not arrive.
        """

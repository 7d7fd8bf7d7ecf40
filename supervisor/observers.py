"""Who is told of each change of a slot. An observer that fails is logged, and never reaches the loop or the others."""

from collections.abc import Callable

from supervisor.core.effects import Change

Observer = Callable[[Change], None]


class Observers:
    """The observers, in the order in which they are told."""

    def __init__(self, warn: Callable[[str], None], *observers: Observer) -> None:
        self._warn = warn
        self._observers = observers

    def tell(self, change: Change) -> None:
        """Tell each of them."""
        for observer in self._observers:
            try:
                observer(change)
            except Exception as error:  # noqa: BLE001  # whatever it raises, supervision goes on
                name = getattr(observer, "__name__", repr(observer))
                self._warn(f"observer {name}: {type(error).__name__}: {error} (at a change of {change.after.id.job})")

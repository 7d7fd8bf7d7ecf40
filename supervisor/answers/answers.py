"""Which method of the control socket is answered by whom."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from supervisor import __version__
from supervisor.answers.orders import Orders
from supervisor.answers.progress import with_progress
from supervisor.answers.questions import Questions
from supervisor.answers.shell import Shell, named
from supervisor.answers.triggers import Triggers
from supervisor.answers.upkeep import Upkeep
from supervisor.errors import ControlError

WAITED_FOR = frozenset({"start", "stop", "restart", "scale", "reload", "shutdown"})
"""What tells its progress where it is asked to."""

TWICE = ("ping", "status", "watch", "show", "plan", "start", "stop", "scale", "stack")
NOTED = ("call", "cast", "state", "reload")
AGAIN = {name: name for name in (*TWICE, *NOTED)} | {"restart": "start"}
"""What a client asks to hear of a request that an upgrade has left without its answer: doing it twice does no harm, or
what was done is noted in the parameters."""

Method = Callable[[dict[str, Any]], Awaitable[Any]]


def again(method: str, params: dict[str, Any]) -> tuple[str, dict[str, Any]] | None:
    """Return the request that goes on with one whose answer is under way; None where there is none."""
    if method == "trigger":
        return (method, params) if "due_at" in params else None
    return (AGAIN[method], params) if method in AGAIN else None


class Answers:
    """Answers requests; each method is named as on the wire."""

    def __init__(self, shell: Shell) -> None:
        self._shell = shell
        questions, orders, triggers, upkeep = Questions(shell), Orders(shell), Triggers(shell), Upkeep(shell)
        self.methods: Mapping[str, Method] = {
            "ping": questions.ping,
            "status": questions.status,
            "watch": questions.watch,
            "show": questions.show,
            "start": orders.start,
            "stop": orders.stop,
            "restart": orders.restart,
            "pause": orders.pause,
            "resume": orders.resume,
            "scale": orders.scale,
            "trigger": triggers.trigger,
            "plan": upkeep.plan,
            "reload": upkeep.reload,
            "upgrade": upkeep.upgrade,
            "shutdown": upkeep.shutdown,
        }

    async def __call__(self, method: str, params: dict[str, Any]) -> Any:
        """Return the result of a request.

        Raises:
            ControlError: what the client is told instead, with the exit code that its command ends with.
        """
        answer = self.methods.get(method)
        if answer is None and method in self._shell.dialogue.methods:
            return await self._shell.dialogue.methods[method](named(self._shell.board, params), params)
        if answer is None:
            raise ControlError(1, f'unknown method "{method}"; this supervisor is version {__version__}')
        if params.get("progress") and method in WAITED_FOR:
            return with_progress(self._shell, answer(params))
        return await answer(params)

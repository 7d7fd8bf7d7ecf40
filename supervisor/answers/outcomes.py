"""What came of an order to a slot."""

from typing import Any

from supervisor.answers.progress import awaiting
from supervisor.answers.shell import Shell, line
from supervisor.core.runs import Closed
from supervisor.core.slot import Slot
from supervisor.core.waits import Verdict, Wait


async def outcome(shell: Shell, before: Slot, wait: Wait) -> dict[str, Any]:
    """Return what came of an order to a slot, once that is known; of a failure with the last lines of output."""
    with awaiting(before.label):
        slot = shell.board.slots.get(before.id)
        if slot is None:
            return line(before.label, Verdict(ok=True, message="removed"))
        verdict = await shell.waiters.ask(slot, wait)
        slot = shell.board.slots.get(before.id, slot)
        if verdict.ok:
            already = "already " if slot.state is before.state else ""
            return line(slot.label, Verdict(ok=True, message=already + verdict.message))
        last = slot.tally.last
        output = await shell.tail(last.run.run_id) if isinstance(last, Closed) else []
        return line(slot.label, verdict, output)

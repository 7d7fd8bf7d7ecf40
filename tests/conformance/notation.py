"""The cases as data: one a line, ``name | source | tree | steps | states | why it is not as in OTP``.

- The source: headings of docs/explanation/supervision.md, or what OTP's supervisor is documented to do.
- The tree: groups with their members in start order, ``/`` between: ``g rest_for_one limit 2 escalate: a b[never]``;
  ``-:`` are jobs of no group, ``root 1`` is ``[supervisor] max_restarts``. In brackets stand the restart type and:
  ``x2`` instances, ``stubborn`` and ``slow`` (ignore the stop signal, stop_timeout 0.2 s and 2 s), ``silent`` (ready
  only when told), ``backoff`` (0.2 s), ``long`` (a back-off of an hour), ``after X``, ``limit N``, ``escalate``,
  ``disabled``. Nobody backs off who does not say so, and a limit is 5 where none is said.
- A step: what happens, and the starts (``+a``) and stop signals (``-a``) that follow, in this order; ``{+a +b}`` in any
  order; ``~`` at the end: the next step comes before anything else can.
- The states at the end are the words of ``status``.
"""

import re
from pathlib import Path

from supervisor.values import dataclass

CASES = Path(__file__).with_name("cases")


@dataclass(frozen=True, slots=True)
class Step:
    act: str
    follows: tuple[str, ...]
    """Tokens as written: ``+a``, ``{+a +b}``."""
    at_once: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    name: str
    source: str
    tree: str
    steps: tuple[Step, ...]
    states: dict[str, str]
    unlike_otp: str

    @property
    def ends_all(self) -> bool:
        """True where the case needs a supervisor of its own."""
        return "root" in self.tree or any(step.act.startswith(("exit", "shutdown")) for step in self.steps)


def cases() -> list[Case]:
    return [
        _case(line)
        for path in sorted(CASES.glob("*.txt"))
        for line in path.read_text().splitlines()
        if line and not line.startswith("#")
    ]


def _case(line: str) -> Case:
    name, source, tree, steps, states, *why = (part.strip() for part in line.split("|"))
    return Case(
        name=name,
        source=source,
        tree=tree,
        steps=tuple(map(_step, steps.split(";"))),
        states=dict(each.split() for each in states.split(", ") if each),  # type: ignore[misc]
        unlike_otp=" ".join(why),
    )


def _step(text: str) -> Step:
    act, _, follows = text.partition(":")
    tokens = re.findall(r"\{[^}]*\}|\S+", follows)
    at_once = tokens[-1:] == ["~"]
    return Step(act.strip(), tuple(tokens[: len(tokens) - at_once]), at_once)


def length(step: Step) -> int:
    return sum(len(_some(each)) for each in step.follows)


def in_order(step: Step, told: list[str]) -> bool:
    """Tell whether starts and stops came as the step says."""
    left = list(told)
    for each in step.follows:
        some = _some(each)
        if sorted(left[: len(some)]) != sorted(some):
            return False
        left = left[len(some) :]
    return not left


def _some(token: str) -> list[str]:
    return token.strip("{}").split()


def root(tree: str) -> int:
    found = re.search(r"root (\d+)", tree)
    return int(found[1]) if found else 0


def manifest(tree: str, prefix: str = "") -> str:
    """Return the jobs and groups of a tree as jobs.toml tells them; their names get a prefix."""
    lines = [line.strip() for line in tree.split("/") if ":" in line]
    heads = {line.split()[0].rstrip(":"): line for line in lines}
    inside = {member for line in lines for member in _members(line)}
    text: list[str] = []

    def tell(group: str, parent: str | None) -> None:
        head, _, _ = heads[group].partition(":")
        if group != "-":
            text.extend([f"[groups.{prefix}{group}]", *_group_keys(head)])
            text.extend([f'group = "{prefix}{parent}"'] if parent else [])
        for name, marks in _members(heads[group]).items():
            if name in heads:
                tell(name, group)
            else:
                text.extend(_job(name, marks, None if group == "-" else group, prefix))

    for group in heads:
        if group not in inside:
            tell(group, None)
    return "\n".join(text) + "\n"


def _members(line: str) -> dict[str, list[str]]:
    _, _, members = line.partition(":")
    return {name: marks.split(",") if marks else [] for name, marks in re.findall(r"(\w+)(?:\[([^\]]*)\])?", members)}


def _group_keys(head: str) -> list[str]:
    limit, within = re.search(r"limit (\d+)", head), re.search(r"within (\w+)", head)
    found = re.search(r"one_for_one|one_for_all|rest_for_one", head)
    assert found is not None
    return [
        f'strategy = "{found[0]}"',
        _BACKOFF if "backoff" in head else 'backoff = "none"',
        *([] if "no limit" in head else [f"max_restarts = {limit[1] if limit else 5}"]),
        *([f'within = "{within[1]}"'] if within else []),
        *(['on_give_up = "escalate"'] if "escalate" in head else []),
    ]


_BACKOFF = 'backoff = { initial = "200ms", factor = 1, jitter = 0 }'


def _job(name: str, marks: list[str], group: str | None, prefix: str) -> list[str]:
    keys = {
        "run": '"member:run"',
        "kwargs": f'{{ name = "{prefix}{name}", marks = "{" ".join(marks)}" }}',
        "ready": '"notify"',
        "start_timeout": '"none"',
    }
    if group is None:
        keys |= {"backoff": '"none"'}
    else:
        keys["group"] = f'"{prefix}{group}"'
    for mark in marks:
        match mark.split():
            case ["never" | "on-failure" | "always"]:
                keys["restart"] = f'"{mark}"'
            case ["x2"]:
                keys["instances"] = "2"
            case ["stubborn"]:
                keys["stop_timeout"] = '"200ms"'
            case ["slow"]:
                keys["stop_timeout"] = '"2s"'
            case ["backoff"]:
                keys["backoff"] = _BACKOFF.partition(" = ")[2]
            case ["long"]:
                keys["backoff"] = '{ initial = "1h", max = "1h" }'
            case ["after", other]:
                keys["after"] = f'["{prefix}{other}"]'
            case ["limit", number]:
                keys["max_restarts"] = number
            case ["escalate"]:
                keys["on_give_up"] = '"escalate"'
            case ["disabled"]:
                keys["enabled"] = "false"
    return [f"[jobs.{prefix}{name}]", *(f"{key} = {value}" for key, value in keys.items())]

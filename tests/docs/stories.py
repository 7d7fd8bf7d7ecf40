"""A page of the manual as a story: its files are written and its commands typed, in the order in which they stand.

A block with a title is that file. A ``console`` block is typed line by line at its ``$``; each command has to end well,
and ``jobvisor run`` stays until it is shut down. What only changes the reader's machine is named in ``NOT_TYPED``.
"""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from program import Program

from supervisor.load import load
from supervisor.values import dataclass

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
NOT_TYPED = (
    "sudo ",
    "docker ",
    "systemctl ",
    "journalctl ",
    "uv ",
    "pip ",
    ".venv/bin/pip ",
    "python3 -m venv",
    "fish ",
)
_BLOCK = re.compile(
    r'^(?P<indent> *)```(?P<language>\w+)(?: title="(?P<title>[^"]+)")?\n(?P<text>.*?)^ *```$', re.MULTILINE | re.DOTALL
)


@dataclass(frozen=True, slots=True)
class Block:
    language: str
    title: str | None
    text: str


def blocks(page: Path) -> list[Block]:
    found = _BLOCK.finditer(page.read_text())
    return [
        Block(each["language"], each["title"], re.sub(rf"^{each['indent']}", "", each["text"], flags=re.MULTILINE))
        for each in found
    ]


def commands(block: Block) -> Iterator[str]:
    """The commands of a console block; one that ends with a backslash goes on in the next line."""
    for line in re.sub(r"\\\n", "", block.text).splitlines():
        if line.startswith("$ "):
            yield line.removeprefix("$ ").partition("  #")[0].strip()


class Story:
    """A page being told in a folder."""

    def __init__(self, made: Program) -> None:
        self.made = made
        self.typed: list[str] = []

    def tell(self, page: Path) -> None:
        for block in blocks(page):
            if block.title:
                self._write(block)
            elif block.language == "toml":
                self._holds(block)
            elif block.language == "python":
                compile(block.text, str(page), "exec")
            if block.language == "console":
                for command in commands(block):
                    self._type(command)

    def _write(self, block: Block) -> None:
        assert block.title
        path = self.made.folder / block.title
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(block.text)
        if path.suffix == ".py":
            compile(block.text, block.title, "exec")
        if block.text.startswith("#!"):
            path.chmod(0o755)

    def _holds(self, block: Block) -> None:
        path = self.made.folder / "example.toml"
        path.write_text(block.text)
        assert load(path, {}).path
        path.unlink()

    def _type(self, command: str) -> None:
        if command.startswith(NOT_TYPED):
            return
        self.typed.append(command)
        words = command.split()
        if words[:2] == ["jobvisor", "run"]:
            self.made.run(*words[2:])
            return
        path = f"{self.made.folder / 'bin'}:{Path(sys.executable).parent}:{os.environ['PATH']}"
        done = subprocess.run(
            ["bash", "-c", command],
            cwd=self.made.folder,
            env={**os.environ, "PATH": path, "HOME": str(self.made.folder)},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, f"$ {command}\n{done.stdout}{done.stderr}\n{self._log()}"

    def _log(self) -> str:
        path = self.made.folder / "run.log"
        return path.read_text() if path.exists() else ""

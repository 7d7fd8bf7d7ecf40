"""``jobvisor init``."""

import os
from pathlib import Path

from supervisor.cli.commands import command as jobvisor
from supervisor.cli.place import Place
from supervisor.cli.schema import schema_text
from supervisor.core import folders
from supervisor.errors import JobvisorError
from supervisor.statedir import make_private

SCHEMA = "jobs.schema.json"
"""In the state folder: it is of this version of the program, not of the application."""
MANIFEST = """\
#:schema .jobvisor/jobs.schema.json
# The background jobs of this application. `jobvisor check` tries them, `jobvisor run` runs them.

[supervisor]
# state_dir = ".jobvisor"        # history, output and the control socket
# preload = ["myapp.models"]     # imported once, shared by every job process

[jobs.hello]
run = "jobs.hello:greet"         # a function: a fresh process each time
every = "10s"                    # also: delay = "5m", cron = "0 2 * * *", at = 2030-01-01T00:00:00Z

[jobs.counter]
run = "jobs.counter:Counter"     # a Worker class: one process that keeps its state between ticks
every = "5s"

# [jobs.web]                     # no schedule: kept running
# command = ["python", "-m", "http.server", "--bind", "127.0.0.1", "8000"]
# restart = "always"
"""
HELLO = '''\
"""Says hello. A function gets a fresh process for each run."""


def greet() -> None:
    """Print one line; it goes to the job's log."""
    print("hello from a process of its own")
'''
COUNTER = '''\
"""Counts its ticks. A Worker keeps its process and its state between them."""

from supervisor import Worker


class Counter(Worker):
    """Counts from nought."""

    def __init__(self) -> None:
        self.count = 0

    def tick(self) -> None:
        """Count one more; called at each due time."""
        self.count += 1
        print(f"tick number {self.count}")
'''


@jobvisor(name="init")
def command(place: Place) -> int:
    """Write a commented jobs.toml and jobs/ with two examples into this folder. Nothing is overwritten.

    Its first line names a JSON schema by which editors complete and check it; that is written into .jobvisor.
    """
    manifest = Path(place.named or "jobs.toml")
    jobs = manifest.parent / "jobs"
    files = {manifest: MANIFEST, jobs / "hello.py": HELLO, jobs / "counter.py": COUNTER}
    there = [str(path) for path in files if os.path.lexists(path)]
    if there:
        raise JobvisorError(f"{', '.join(there)}: exists already; nothing was written")
    try:
        jobs.mkdir(parents=True, exist_ok=True)
        for path, content in files.items():
            with path.open("x", encoding="utf-8") as file:
                file.write(content)
            print(f"wrote {path}")
        schema = manifest.parent / folders.STATE_DIR / SCHEMA
        make_private(schema.parent)
        schema.write_text(schema_text(), encoding="utf-8")
        print(f"wrote {schema}")
    except OSError as error:
        raise JobvisorError(f"cannot write {error.filename}: {error.strerror}") from error
    print("try them with `jobvisor check`, run them with `jobvisor run`")
    return 0

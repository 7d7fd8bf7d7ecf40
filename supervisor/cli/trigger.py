"""``jobvisor trigger``."""

import os
import sys
from collections.abc import Iterator
from concurrent.futures import Future
from datetime import datetime, timedelta
from pathlib import Path
from threading import Thread
from typing import Any

import click

from supervisor.cli.commands import command as jobvisor
from supervisor.cli.place import Place
from supervisor.errors import JobvisorError
from supervisor.logs.reader import Wish, follow

LOOK_EVERY = 0.1
"""Seconds after which the end of a run that said nothing is noticed at the latest."""


@jobvisor(name="trigger")
@click.argument("name")
@click.option("--wait", is_flag=True, help="Wait for the run's end, print its output as it comes, exit with its code.")
def command(place: Place, name: str, wait: bool) -> int:
    """Run a scheduled job once, now, beside its schedule.

    With --wait the exit code is the run's, 128 + n after signal n, 1 where it was skipped.
    """
    answer = _awaited(place, name) if wait else place.order("trigger", {"name": name, "wait": False})
    print(f"{name}: {answer['message']}", file=sys.stdout if answer["ok"] else sys.stderr)
    return int(answer["code"])


def _awaited(place: Place, name: str) -> dict[str, Any]:
    """Return how the run ended, once all its output is printed."""
    with place.connect() as client:
        answers = client.stream("trigger", {"name": name, "wait": True})
        answer: dict[str, Any] = next(answers)
        is_shown = False
        if "started_at" in answer:
            log_dir = Path(place.folders()["log_dir"])
            if os.access(log_dir, os.R_OK | os.X_OK):
                began_at = datetime.fromisoformat(answer["started_at"])
                answer, is_shown = _followed(log_dir, answer["label"], began_at, answers)
            else:  # of another user, who may give orders: the supervisor tells the last lines
                answer = next(answers)
    if not is_shown:  # it goes to no file of its own
        for line in answer["output"]:
            print(line)
    return answer


def _followed(
    log_dir: Path, label: str, began_at: datetime, answers: Iterator[dict[str, Any]]
) -> tuple[dict[str, Any], bool]:
    """Print the lines of a run until it has ended; return how, and whether there were any."""
    since = began_at - timedelta(microseconds=began_at.microsecond % 1000)  # times in the files are cut to milliseconds
    is_shown = False
    ended: Future[dict[str, Any]] = Future()
    Thread(target=_wait, args=(answers, ended), daemon=True).start()  # a Ctrl-C waits for nobody
    wish = Wish(n=None, since=since)
    for line in follow(log_dir, [label], wish, with_last=True, is_over=ended.done, look_every=LOOK_EVERY):
        print(line.text, flush=True)
        is_shown = True
    return ended.result(), is_shown


def _wait(answers: Iterator[dict[str, Any]], ended: "Future[dict[str, Any]]") -> None:
    try:
        ended.set_result(next(answers))
    except JobvisorError as error:
        ended.set_exception(error)

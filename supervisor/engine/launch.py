"""What a run's process is told at its start: target, environment, folder."""

from collections.abc import Mapping
from typing import Any

from supervisor.core.actions import Spawn
from supervisor.core.job import Command, Job, Run
from supervisor.core.status import iso
from supervisor.engine.child import CHANNEL_FD

OURS = (
    "NOTIFY_SOCKET",
    "WATCHDOG_PID",
    "WATCHDOG_USEC",
    "LISTEN_FDS",
    "LISTEN_PID",
    "LISTEN_FDNAMES",
    "JOURNAL_STREAM",
)
"""Variables of the supervisor that mean nothing to a job, or harm."""


def base_environ(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the environment that every job starts from."""
    base = {name: value for name, value in environ.items() if name not in OURS and not name.startswith("JOBVISOR_")}
    base.setdefault("PYTHONUNBUFFERED", "1")
    return base


def launch(order: Spawn, folder: str) -> dict[str, Any]:
    """Return the message that makes a run's process; its environment as a difference to the fork server's."""
    run, job = order.run, order.job
    own = {
        "JOBVISOR_JOB": job.name,
        "JOBVISOR_RUN_ID": str(run.run_id),
        "JOBVISOR_ATTEMPT": str(run.attempt),
        "JOBVISOR_TRIGGER": run.trigger.value,
        "JOBVISOR_INSTANCE": str(run.slot.instance),
        "JOBVISOR_FD": str(CHANNEL_FD),
    }
    if run.due_at is not None:
        own["JOBVISOR_DUE"] = iso(run.due_at) or ""
    timeout = job.supervision.stop_timeout
    return {
        "order": "spawn",
        "run_id": run.run_id,
        "job": job.name,
        "where": job.where,
        "folder": folder,
        "cwd": job.process.cwd,
        "env": {**job.process.env, **own},
        "unset": [],
        "stop_signal": job.supervision.stop_signal,
        "stop_timeout": None if timeout is None else timeout.total_seconds(),
        **_target(job),
    }


def _target(job: Job) -> dict[str, Any]:
    match job.target:
        case Run(target=target, args=args, kwargs=kwargs):
            return {"target": target, "args": args, "kwargs": kwargs}
        case Command(argv=argv, shell=True):
            return {"argv": ["/bin/sh", "-c", *argv]}
        case Command(argv=argv):
            return {"argv": argv}

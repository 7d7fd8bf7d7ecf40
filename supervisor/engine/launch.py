"""What a run's process is told at its start: target, environment, folder."""

import binascii
import math
import pickle
import resource
from collections.abc import Sequence
from typing import Any

from supervisor.core.actions import Spawn, Tick
from supervisor.core.job import Command, Job, Limits, LogMode, Run
from supervisor.core.runs import Attempt
from supervisor.core.status import iso
from supervisor.engine.agreed import CHANNEL_FD
from supervisor.engine.cgroups import Delegation
from supervisor.values import replace

CPU_GRACE = 5
"""Seconds of CPU time from SIGXCPU to SIGKILL, for a job that wants to end in order."""


def identity(run: Attempt) -> dict[str, str]:
    """Return the variables that tell a run which it is."""
    told = {
        "JOBVISOR_RUN_ID": str(run.run_id),
        "JOBVISOR_ATTEMPT": str(run.attempt),
        "JOBVISOR_TRIGGER": run.trigger.value,
    }
    due_at = iso(run.due_at)
    return told if due_at is None else told | {"JOBVISOR_DUE": due_at}


def tick_identity(order: Tick) -> dict[str, str]:
    """Return the variables that tell a Worker's tick which it is, and what it starts whose process that was."""
    return {**identity(order.run), "JOBVISOR_PROCESS": str(order.run_id)}


def launch(order: Spawn, folder: str, cgroup: Delegation | None = None) -> dict[str, Any]:
    """Return the message that makes a run's process; its environment as a difference to the fork server's."""
    run, job = order.run, order.job
    own = {
        "JOBVISOR_JOB": job.name,
        "JOBVISOR_INSTANCE": str(run.slot.instance),
        "JOBVISOR_FD": str(CHANNEL_FD),
        **identity(run),
    }
    timeout = job.supervision.stop_timeout
    return {
        **_process(job, cgroup.controllers if cgroup is not None else ()),
        "order": "spawn",
        "run_id": run.run_id,
        "job": job.name,
        "where": job.where,
        "folder": folder,
        "cwd": job.process.cwd,
        "env": {**job.process.env, **own},
        "stop_signal": job.supervision.stop_signal,
        "stop_timeout": None if timeout is None else timeout.total_seconds(),
        "title": f"jobvisor: {job.label(run.slot.instance)}",
        **_target(job),
    }


def _process(job: Job, controllers: Sequence[str]) -> dict[str, Any]:
    """Return what the process is given beyond what every job has; what is not asked for is not in it."""
    process = job.process
    limits = process.limits
    if "pids" in controllers:  # counts the job, and not all that its user runs
        limits = replace(limits, processes=None)
    in_cgroup = {"memory": process.limits.memory, "pids": process.limits.processes, "cpu": process.limits.cpu}
    given = {
        "user": process.user,
        "group": process.group,
        "umask": process.umask,
        "nice": process.nice,
        "stdin": process.stdin,
        "rlimits": _rlimits(limits) or None,
        "cgroup_limits": {name: value for name, value in in_cgroup.items() if value is not None} or None,
        "owns_output": job.log is not LogMode.INHERIT if process.user is not None else None,
    }
    return {name: value for name, value in given.items() if value is not None}


def _rlimits(limits: Limits) -> list[tuple[int, int, int]]:
    """Return number, soft and hard value of each limit that the kernel keeps for a process (setrlimit(2))."""
    made: list[tuple[int, int, int]] = []
    if limits.cpu_time is not None:
        seconds = math.ceil(limits.cpu_time.total_seconds())
        made.append((resource.RLIMIT_CPU, seconds, seconds + CPU_GRACE))
    for number, value in (
        (resource.RLIMIT_NOFILE, limits.open_files),
        (resource.RLIMIT_NPROC, limits.processes),
        (resource.RLIMIT_CORE, limits.core),
    ):
        if value is not None:
            made.append((number, value, value))
    return made


def _target(job: Job) -> dict[str, Any]:
    match job.target:
        case Run(target=target, args=args, kwargs=kwargs):
            told: dict[str, Any] = {"target": target}
            if args or kwargs:  # TOML's dates and times are no JSON
                told["call"] = binascii.b2a_base64(pickle.dumps((tuple(args), dict(kwargs))), newline=False).decode()
            return told
        case Command(argv=argv, shell=True):
            return {"argv": ["/bin/sh", "-c", *argv]}
        case Command(argv=argv):
            return {"argv": argv}

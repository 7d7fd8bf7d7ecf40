"""Which valid jobs get a warning, and with which words."""

from datetime import datetime, timedelta

import pytest
from world import MINUTE, NOON, at, periodic

from supervisor.core.advice import advice, shortest_interval
from supervisor.core.job import Job, Overlap
from supervisor.core.schedule import At, Delay, Every, Reboot, parse_cron, zone
from supervisor.values import replace

HOUR = timedelta(hours=1)


def said(job: Job, *, now: datetime = NOON, length: timedelta | None = None) -> list[str]:
    return list(advice(replace(job, where="jobs.toml:3"), now, length))


def cron(expression: str, place: str = "UTC", **timing: object) -> Job:
    return periodic(schedule=parse_cron(expression, zone(place)), **timing)


@pytest.mark.parametrize(
    "job",
    [
        periodic(),
        periodic(timeout=5 * MINUTE),
        cron("*/5 * * * *", timeout=MINUTE),
        periodic(schedule=Delay(delay=MINUTE), timeout=HOUR),
        periodic(schedule=At(at=at("13:00")), timeout=HOUR),
        periodic(schedule=Reboot(), timeout=HOUR),
        replace(periodic(timeout=HOUR), schedule=None),
    ],
)
def test_nothing_is_said_of_what_is_plain(job: Job) -> None:
    assert said(job, length=5 * MINUTE) == []


def test_the_remarks_on_a_cron_expression_with_place_and_key() -> None:
    [remark] = said(cron("*/7 * * * *"))
    assert remark.startswith('jobs.toml:3: jobs.poll.cron: minute field "*/7": 7 does not divide 60')


def test_the_year_of_daylight_saving_is_this_one_in_the_zone_of_the_job() -> None:
    job = cron("30 2 * * *", "America/New_York")
    assert "2026-03-08 has no 02:30" in said(job)[0]
    assert "2026-03-08 has no 02:30" in said(job, now=datetime.fromisoformat("2027-01-01T03:00:00+00:00"))[0]


def test_an_instant_in_the_past() -> None:
    job = periodic(schedule=At(at=NOON))
    assert said(job) == ["jobs.toml:3: jobs.poll.at: 2026-11-24 12:00:00 UTC has passed, so the job will not run"]
    assert said(job, now=NOON - MINUTE) == []


@pytest.mark.parametrize(
    ("overlap", "effect"),
    [
        (Overlap.SKIP, "some are skipped"),
        (Overlap.QUEUE, "each waits for the one before it"),
        (Overlap.ALLOW, "they run side by side"),
        (Overlap.REPLACE, "each is stopped by the next"),
    ],
)
def test_runs_that_take_longer_than_their_interval(overlap: Overlap, effect: str) -> None:
    assert said(periodic(overlap=overlap), length=7 * MINUTE) == [
        f"jobs.toml:3: jobs.poll.every: runs take 7m (median), due times are 5m apart: {effect}"
    ]


def test_a_timeout_longer_than_the_shortest_interval() -> None:
    assert said(cron("0 8,9,20 * * *", timeout=2 * HOUR)) == [
        "jobs.toml:3: jobs.poll.timeout: 2h is more than the 1h between due times: a run may overlap"
    ]


def test_the_shortest_interval_of_schedules() -> None:
    assert shortest_interval(Every(interval=HOUR), NOON) == HOUR
    assert shortest_interval(parse_cron("0 9 * * 1-5", zone("UTC")), NOON) == timedelta(days=1)
    assert shortest_interval(parse_cron("0 0 29 2 *", zone("UTC")), NOON) is None
    assert shortest_interval(Delay(delay=HOUR), NOON) is None

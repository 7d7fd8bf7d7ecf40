"""Adds up the users once a day, into one row a day. Run twice for a day it writes the same row again."""

from contextlib import closing
from datetime import UTC, date, datetime

from jobs.users import connect
from supervisor import job


def aggregate(database: str) -> None:
    """Write the totals of the day that the run was due on (today, when started by hand)."""
    day = job.due.date() if job.due is not None else datetime.now(UTC).date()
    users, confirmed, registered = totals(database, day)
    print(f"{day}: {users} users, {confirmed} confirmed, {registered} registered that day")


def totals(database: str, day: date) -> tuple[int, int, int]:
    """Add up and store one day; return users, confirmed users, and users registered that day."""
    with closing(connect(database)) as connection, connection:
        row: tuple[int, int, int] = connection.execute(
            "SELECT count(*), count(confirmed_at), count(*) FILTER (WHERE date(registered_at) = ?) FROM users",
            (day.isoformat(),),
        ).fetchone()
        connection.execute("INSERT OR REPLACE INTO daily_totals VALUES (?, ?, ?, ?)", (day.isoformat(), *row))
        return row

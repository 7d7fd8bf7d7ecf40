"""Adds up the users of the day before, once a night: the daily batch of a Phoenix application.

One row a day: a second run for the same day, after a retry or by hand, writes the same row again.
"""

from datetime import UTC, date, datetime, timedelta

from jobs.users import transaction
from supervisor import job


def aggregate(database: str) -> None:
    """Store what happened on the last day (in UTC) that was over when this run was due.

    A run that is made up later still counts the day that it was due for.

    Raises:
        DatabaseError: the database cannot be used.
    """
    due = job.due or datetime.now(UTC)
    store(database, due.astimezone(UTC).date() - timedelta(days=1))


def store(database: str, day: date) -> None:
    """Count the users who registered and who confirmed on a day, and all there were at its end, into its row."""
    with transaction(database) as connection:
        registered, confirmed, users = connection.execute(
            """
            SELECT count(*) FILTER (WHERE date(registered_at) = :day),
                   count(*) FILTER (WHERE date(confirmed_at) = :day),
                   count(*) FILTER (WHERE date(registered_at) <= :day)
            FROM users
            """,
            {"day": day.isoformat()},
        ).fetchone()
        connection.execute(
            "INSERT OR REPLACE INTO daily_totals (day, registered, confirmed, users) VALUES (?, ?, ?, ?)",
            (day.isoformat(), registered, confirmed, users),
        )
    print(f"{day}: {registered} registered, {confirmed} confirmed, {users} users in all")

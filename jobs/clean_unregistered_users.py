"""Deletes users who never confirmed their registration: the every-two-days clean-up of a Phoenix application."""

from contextlib import closing
from datetime import UTC, datetime, timedelta

from jobs.users import connect


def clean(database: str, unconfirmed_days: float = 7.0) -> None:
    """Delete users who registered more than ``unconfirmed_days`` days ago and have not confirmed.

    All are deleted or none: a failure leaves the database as it was, and the run fails.
    """
    if unconfirmed_days <= 0:
        raise ValueError(f"unconfirmed_days is {unconfirmed_days:g}; it must be more than 0, or new users would go")
    before = (datetime.now(UTC) - timedelta(days=unconfirmed_days)).isoformat()
    with closing(connect(database)) as connection, connection:
        gone = connection.execute("DELETE FROM users WHERE confirmed_at IS NULL AND registered_at < ?", (before,))
        print(f"deleted {gone.rowcount} users not confirmed within {unconfirmed_days:g} days")

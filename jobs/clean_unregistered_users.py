"""Deletes users who never confirmed their registration: the every-two-days clean-up of a Phoenix application."""

from datetime import UTC, datetime, timedelta

from jobs.users import text, transaction


def clean(database: str, within_days: float = 7.0) -> None:
    """Delete the users who registered more than ``within_days`` days ago and have not confirmed to this day.

    All of them are deleted or none: after a failure the database is as it was.

    Raises:
        ValueError: ``within_days`` is not more than 0; people who are about to confirm would be deleted.
        DatabaseError: the database cannot be used.
    """
    if within_days <= 0:
        raise ValueError(f"within_days is {within_days:g}; it must be more than 0")
    before = datetime.now(UTC) - timedelta(days=within_days)
    with transaction(database) as connection:
        gone = connection.execute(
            "DELETE FROM users WHERE confirmed_at IS NULL AND registered_at < ?", (text(before),)
        ).rowcount
    print(f"deleted {gone} users not confirmed within {within_days:g} days")

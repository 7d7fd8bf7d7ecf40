"""Instants that people give on a command line."""

from contextlib import suppress
from datetime import UTC, datetime, tzinfo

from supervisor import clock
from supervisor.core.durations import parse_duration
from supervisor.errors import WrongUsageError


def instant(option: str, text: str, place: tzinfo) -> datetime:
    """Return, in UTC, the instant that a text in ISO 8601 means; one without an offset is in the zone ``place``.

    Raises:
        WrongUsageError: it is none, or lies outside the years 1 to 9999 of UTC; the message names the option.
    """
    try:
        at = datetime.fromisoformat(text)
        return (at if at.tzinfo is not None else at.replace(tzinfo=place)).astimezone(UTC)
    except ValueError as error:
        raise WrongUsageError(
            f'{option} "{text}" is not a time: expected ISO 8601, such as 2026-03-28T12:00:00+00:00'
        ) from error
    except OverflowError as error:
        raise WrongUsageError(f'{option} "{text}" lies outside the years 1 to 9999 of UTC') from error


def past(text: str) -> datetime:
    """Return the instant that ``--since`` means: a time in ISO 8601 (UTC without offset), or a duration ago.

    Raises:
        WrongUsageError: it is neither.
    """
    with suppress(ValueError):
        return clock.now().wall - parse_duration(text)
    try:
        return instant("--since", text, UTC)
    except WrongUsageError as error:
        raise WrongUsageError(f'--since "{text}" is neither a time (ISO 8601) nor a duration such as "1h"') from error

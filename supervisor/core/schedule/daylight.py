"""At which instants a cron expression is due in its zone, by Debian's rule for daylight saving, collapsed.

A job with fixed minute and hour runs once for each of its times: at the first instant at which the clock on the wall
has reached that time. So a time that the clock jumps over is due at the end of the gap (many of them: once), and one
that the clock shows twice is due on its first pass. A date that a zone leaves out (Apia, 30 December 2011) is one
long gap.

Where the minute or hour field starts with a star, the job follows the real clock: due whenever the clock shows a
matching time, so in both passes of a repeated hour, and never in a gap.

The method: walk matching wall times from what the clock shows, map each to its instants, take the first that is late
enough. In and around a repeated hour the clock has two readings, by the offset before and the one after; the walk
starts from both.
"""

from bisect import bisect_left
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache

from supervisor.core.instants import ZERO
from supervisor.core.schedule.values import Cron
from supervisor.core.schedule.wall import EARLIEST, LATEST, times_after, times_before
from supervisor.values import dataclass

_CYCLE = 400
"""Years after which the calendar repeats itself: a starred time that was in a gap for so long always is."""
_SECOND = timedelta(seconds=1)


def next_due(cron: Cron, after: datetime) -> datetime | None:
    """Return the first due time strictly after a UTC instant, in UTC; None where the calendar ends before it."""
    found = (_first(cron, reading, after) for reading in _readings(after, cron.zone))
    return min((at for at in found if at is not None), default=None)


def previous_due(cron: Cron, before: datetime) -> datetime | None:
    """Return the last due time strictly before a UTC instant, in UTC; None where the calendar starts after it."""
    found = (_last(cron, reading, before) for reading in _readings(before, cron.zone))
    return max((at for at in found if at is not None), default=None)


def _first(cron: Cron, reading: datetime, after: datetime) -> datetime | None:
    for wall in times_after(cron, reading):
        if wall.year - reading.year > _CYCLE:
            break
        for at in _instants(cron, wall):
            if at > after:
                return at
    return None


def _last(cron: Cron, reading: datetime, before: datetime) -> datetime | None:
    for wall in times_before(cron, reading):
        if reading.year - wall.year > _CYCLE:
            break
        for at in reversed(_instants(cron, wall)):
            if at < before:
                return at
    return None


def _readings(at: datetime, zone: tzinfo) -> set[datetime]:
    """Return what the clock shows at an instant, and in a repeated hour also what the other offset would show."""
    try:
        return {at.replace(tzinfo=None) + offset for offset in _offsets(at.astimezone(zone), zone)}
    except OverflowError:  # within a day of the calendar's ends
        return {EARLIEST if at.year == 1 else LATEST}


def _instants(cron: Cron, wall: datetime) -> tuple[datetime, ...]:
    """Return the instants, rising, at which a matching wall time is due."""
    naive_utc = wall.replace(tzinfo=UTC)
    first, second = _offsets(wall, cron.zone)
    try:
        if first == second:
            return (naive_utc - first,)
        if first > second:  # shown twice
            return (naive_utc - first, naive_utc - second) if cron.follows_clock else (naive_utc - first,)
        return () if cron.follows_clock else (_change(naive_utc - second, naive_utc - first, cron.zone),)
    except OverflowError:
        return ()


def _offsets(wall: datetime, zone: tzinfo) -> tuple[timedelta, timedelta]:
    """Return the UTC offsets of a wall time's two readings (PEP 495): rising in a gap, falling in a repeated hour."""
    first = wall.replace(tzinfo=zone, fold=0).utcoffset()
    second = wall.replace(tzinfo=zone, fold=1).utcoffset()
    return first or ZERO, second or ZERO


def _change(low: datetime, high: datetime, zone: tzinfo) -> datetime:
    """Return the first instant after ``low`` with another offset than it; ``high`` has one."""
    before = low.astimezone(zone).utcoffset()

    def has_changed(seconds: int) -> bool:
        return (low + timedelta(seconds=seconds)).astimezone(zone).utcoffset() != before

    return low + timedelta(seconds=bisect_left(range((high - low) // _SECOND), True, key=has_changed))


@dataclass(frozen=True, slots=True)
class Shift:
    """The clock on the wall is set: at an instant, from one offset from UTC to another."""

    at: datetime
    before: timedelta
    after: timedelta

    @property
    def is_gap(self) -> bool:
        """True where it is set forward, so that it leaves wall times out; else it shows some twice."""
        return self.after > self.before

    @property
    def walls(self) -> tuple[datetime, datetime]:
        """The wall times (naive; from, up to) that are left out, or shown twice."""
        low, high = sorted((self.before, self.after))
        changed = self.at.replace(tzinfo=None)
        return changed + low, changed + high


@lru_cache(maxsize=64)
def shifts(zone: tzinfo, a: datetime, b: datetime) -> tuple[Shift, ...]:
    """Return how a zone's clock is set in (a, b], two UTC instants a day or more from the ends of the calendar."""
    return tuple(_shifts(zone, a, b))


def _shifts(zone: tzinfo, a: datetime, b: datetime) -> Iterator[Shift]:
    day = timedelta(days=1)
    while a < b:
        upto = min(a + day, b)
        before, after = (at.astimezone(zone).utcoffset() or ZERO for at in (a, upto))
        if before != after:
            yield Shift(_change(a, upto, zone), before, after)
        a = upto


def gaps(zone: tzinfo, year: int) -> list[tuple[datetime, datetime]]:
    """Return the wall times (naive; from, up to) that a zone's clock leaves out in a year, years 2 to 9998."""
    around = (datetime(year, 1, 1, tzinfo=UTC) - timedelta(days=1), datetime(year + 1, 1, 2, tzinfo=UTC))
    walls = [shift.walls for shift in shifts(zone, *around) if shift.is_gap]
    return [(start, end) for start, end in walls if start.year == year]

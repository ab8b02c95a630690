"""When a daily job is due: pure functions of a time, a place's clock and nothing else."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta, tzinfo

from trendcast.settings import Settings

# In the retailer's time zone.
REFRESH_AT = time(5, 0)
CHECKS_AT = (time(8, 0), time(14, 0))


def last_due(now: datetime, at: time, zone: tzinfo) -> datetime:
    """The latest instant at or before ``now`` when the clocks of ``zone`` showed ``at``, once a day, in UTC.

    An hour that is skipped in spring counts at the moment the clocks jump over it; of an hour that comes twice in
    autumn the first counts.
    """
    return next(due for back in range(3) if (due := _on_day(now, -back, at, zone)) <= now)


def next_due(now: datetime, at: time, zone: tzinfo) -> datetime:
    """The first such instant at or after ``now``."""
    return next(due for ahead in range(-1, 3) if (due := _on_day(now, ahead, at, zone)) >= now)


def refresh_due(loaded: datetime, settings: Settings) -> datetime:
    """When the refresh is due that brings what was loaded then into the forecasts."""
    return next_due(loaded, REFRESH_AT, settings.time_zone)  # type: ignore[arg-type]


def _on_day(now: datetime, days: int, at: time, zone: tzinfo) -> datetime:
    return datetime.combine(now.astimezone(zone).date() + timedelta(days=days), at, tzinfo=zone).astimezone(UTC)

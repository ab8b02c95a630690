"""When a daily job is due: pure functions of a time, a place's clock and nothing else."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

# In the retailer's time zone.
REFRESH_AT = time(5, 0)
CHECKS_AT = (time(8, 0), time(14, 0))


def last_due(now: datetime, at: time, zone: ZoneInfo) -> datetime:
    """The latest instant at or before ``now`` when the clocks of ``zone`` showed ``at``, once a day, in UTC.

    An hour that is skipped in spring counts at the moment the clocks jump over it; of an hour that comes twice in
    autumn the first counts.
    """
    today = now.astimezone(zone).date()
    for back in range(3):
        due = datetime.combine(today - timedelta(days=back), at, tzinfo=zone).astimezone(UTC)
        if due <= now:
            return due
    raise AssertionError("three days hold a due time")

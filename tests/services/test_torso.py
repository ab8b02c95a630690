"""A newest day of which less than half came: it is waited for, then it is a feed that came in part, never demand."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest

from tests.services.shops import Shop
from trendcast.services import incidents
from trendcast.services.detect import detect
from trendcast.services.detect_window import ARRIVED, GRACE
from trendcast.store.engine import Database


@pytest.fixture
def shop(db: Database) -> Shop:
    """Twelve of forty rows of the last day have come, and one of these sold next to nothing."""
    shop = Shop(db)
    shop.load(159)
    shop.detect()
    shop.units[3, 159] = 2
    shop.whole = shop.units.copy()  # type: ignore[attr-defined]
    shop.units[12:, 159] = np.nan
    return shop


def at(shop: Shop, moment: datetime) -> dict[str, Any]:
    return detect(shop.db, lambda: moment, lambda *_, **__: None, None)


def load(shop: Shop, came: datetime, first: int | None = None) -> None:
    """Load what there is, as if it had come then."""
    from sqlalchemy import text

    shop.load(160, first=first)
    with shop.db.transaction() as connection:
        connection.execute(text("UPDATE load_batch SET committed_at = :came"), {"came": came})


def told(result: dict[str, Any]) -> list[tuple[str, str, str]]:
    return [(one["date"], one["kind"], one["class"]) for one in result["anomalies"]]


def test_after_its_time_it_is_a_feed_in_part_until_the_rest_arrives(shop: Shop) -> None:
    came = shop.clock() + timedelta(days=1)
    load(shop, came)
    waiting = at(shop, came)
    assert (waiting["as_of"], waiting["anomalies"]) == (str(shop.day(158)), [])
    assert at(shop, came + GRACE - timedelta(minutes=1))["repeated"]
    late = at(shop, came + GRACE)
    assert told(late) == [(str(shop.day(159)), "DATA_QUALITY", "PARTIAL_FEED")]
    assert at(shop, came + GRACE)["repeated"]
    (incident,) = shop.rows("incident")
    assert "12 of 40 rows" in incident["headline"]
    assert incident["impact"] == "HIGH"
    shop.units = shop.whole  # type: ignore[attr-defined]
    load(shop, came + GRACE, first=159)
    whole = at(shop, came + 2 * GRACE)
    assert told(whole) == [(str(shop.day(159)), "DEMAND", "DROP")]
    feed = next(row for row in shop.rows("anomaly_log") if row["kind"] == "DATA_QUALITY")
    assert (feed["status"], feed["note"]) == ("RESOLVED", ARRIVED)


def test_a_day_that_is_not_over_is_waited_for(shop: Shop) -> None:
    """A till that sends as it sells has sent less than half at noon, and that is no fault."""
    midnight = datetime.combine(shop.day(160), datetime.min.time(), UTC)
    noon = midnight - timedelta(hours=12)
    load(shop, noon)
    assert at(shop, noon)["anomalies"] == []
    assert at(shop, noon + 3 * GRACE)["anomalies"] == []
    assert told(at(shop, midnight + GRACE)) == [(str(shop.day(159)), "DATA_QUALITY", "PARTIAL_FEED")]


def test_a_feed_in_part_that_is_given_time_is_held_back_and_no_short_history(shop: Shop) -> None:
    shop.units[:, 159] = shop.whole[:, 159]  # type: ignore[attr-defined]
    shop.units[1:24:4, 159] = np.nan  # six of the ten rows of a region
    came = shop.clock() + timedelta(days=1)
    load(shop, came)
    assert told(at(shop, came)) == [(str(shop.day(159)), "DEMAND", "DROP")]  # of another region
    now = incidents.counts(shop.db)
    assert (now["judged"], now["learning"], now["held"], now["missing"]) == (30, 0, 4, 6)


def test_data_of_long_ago_wait_for_nothing_and_miss_nothing(shop: Shop) -> None:
    came = shop.clock() + timedelta(days=400)
    load(shop, came)
    assert at(shop, came + GRACE)["anomalies"] == []

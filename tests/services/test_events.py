"""Events are one calendar, whether they come as events or in the customer's own table of market factors."""

from datetime import date

import pandas as pd

from trendcast.demo import generate
from trendcast.services.load import load_frames

DAYS = {"from_day": date(2026, 1, 1), "to_day": date(2026, 12, 31)}


def test_holidays_of_market_factors_are_marked_like_those_of_events(db):
    market = pd.DataFrame(
        {
            "date_id": ["2026-02-16", "2026-02-17", "2026-07-01", "2026-07-02"],
            "seasonal_events": ["Presidents' Day", "none", "Summer Sale", ""],
        }
    )
    named = pd.DataFrame({"date_id": ["2026-07-01", "2026-08-15"], "region": ["", "North"], "event": ["Fair", "Feast"]})
    sales = generate(2, 2, 0, 1, date(2026, 9, 30))["sales_daily"]
    load_frames(db, {"sales_daily": sales, "market_factors": market, "events": named}, source="test")
    marked = db.frame("history_events", regions=["South"], **DAYS)
    assert dict(zip(marked["date_id"].dt.strftime("%m-%d"), marked["events"], strict=True)) == {
        "02-16": "Presidents' Day",
        "07-01": "Fair · Summer Sale",
    }
    looked = db.frame("look_events", regions=["North"], **DAYS)
    assert sorted(looked["event"]) == ["Fair", "Feast", "Presidents' Day", "Summer Sale"]
    learnt = db.frame("panel_events").sort_values(["date_id", "event"])[["date_id", "event"]]
    shown = looked.sort_values(["date_id", "event"])[["date_id", "event"]]
    assert learnt.to_numpy().tolist() == shown.to_numpy().tolist(), "the page marks what the models learn from"

"""Events by region, and what the calendar infers about closings."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from trendcast import settings
from trendcast.features import calendar
from trendcast.features.calendar import Events
from trendcast.features.known_ahead import expected_promotion, known_mask
from trendcast.panel import Hierarchy, Panel

DATES = np.arange("2024-01-01", "2024-03-01", dtype="datetime64[D]")


def sales(days: int = 500, start: str = "2022-06-01", units: float = 200.0, **columns: object) -> pd.DataFrame:
    dates = pd.date_range(start, periods=days)
    return pd.DataFrame({"date_id": dates, "product_category": "tea", "region": "N", "sales_units": units, **columns})


def test_an_event_everywhere_is_in_every_row_and_a_local_one_weighs_its_region() -> None:
    frame = pd.DataFrame(
        {"date_id": pd.to_datetime(["2024-01-01", "2024-01-06", "2024-01-06", "2023-12-31", "2024-02-01"]),
         "region": ["", "S", "S", "", "Atlantis"], "event": ["New year", "Kings", "Kings", "Sylvester", "Flood"]}
    )  # fmt: skip
    events = Events.build(frame, DATES, ["N", "S"], [30.0, 10.0])
    assert events.names == ["Kings", "New year"]
    assert events.regions == ["", "N", "S"]
    assert events.indicator[:, 1, 0].tolist() == [1, 1, 1]
    assert events.indicator[:, 0, 5].tolist() == [0.25, 0, 1]
    assert events.indicator.sum() == 4.25
    assert events.for_regions(["S", "", "N", "nowhere"]).tolist() == [2, 0, 1, 0]


def test_no_events_are_no_columns() -> None:
    events = Events.build(None, DATES, ["N"], [1.0])
    assert events.indicator.shape == (2, 0, 60)


def test_what_is_on_most_days_is_a_season_and_no_event() -> None:
    frame = pd.DataFrame({"date_id": DATES[:40], "region": "", "event": "Winter"})
    assert Events.build(frame, DATES, [], []).names == []


def test_easter_is_where_the_church_puts_it() -> None:
    known = ["2011-04-24", "2012-04-08", "2013-03-31", "2014-04-20", "2015-04-05", "2016-03-27", "2019-04-21",
             "2024-03-31", "2025-04-20", "2038-04-25", "2285-03-22"]  # fmt: skip
    assert [str(calendar.easter(int(day[:4]))) for day in known] == known
    assert calendar.from_easter(np.array(["2024-03-29", "2024-05-20"], "datetime64[D]")).tolist() == [-2, 50]


def test_weekdays_and_date_parts_are_pandas() -> None:
    dates = np.arange("2019-12-20", "2024-03-10", dtype="datetime64[D]")
    index = pd.DatetimeIndex(dates)
    assert calendar.weekday(dates).tolist() == index.day_of_week.tolist()
    year, month, day = calendar.year_month_day(dates)
    assert (year == index.year).all()
    assert (month == index.month).all()
    assert (day == index.day).all()


def test_gaps_of_more_than_a_week_and_the_time_before_the_first_row() -> None:
    observed = np.ones((1, 40), bool)
    observed[0, :3] = observed[0, 10:17] = observed[0, 20:28] = False
    want = np.zeros(40, bool)
    want[:3] = want[20:28] = True
    assert calendar.gaps(observed)[0].tolist() == want.tolist()


def test_a_weekday_without_sales_is_closed_and_stays_closed() -> None:
    facts = sales(200)
    sunday = facts["date_id"].dt.day_of_week == 6
    for closed in (facts[~sunday], facts.assign(sales_units=np.where(sunday, 0.0, 200.0))):
        panel = Panel.from_frames(closed, ahead=28, last_day=facts["date_id"].max())
        want = calendar.weekday(panel.dates) != 6
        assert (panel.open[0] == want).all()


def test_a_closing_on_a_named_event_happens_again_on_that_event() -> None:
    facts = sales(800, start="2021-01-01")
    feast = pd.to_datetime(["2021-04-02", "2022-04-15", "2023-04-07"])  # Good Friday moves
    events = pd.DataFrame({"date_id": feast, "region": "", "event": "Good Friday"})
    facts.loc[facts["date_id"].isin(feast[:2]), "sales_units"] = 0.0
    panel = Panel.from_frames(facts, events, ahead=98)
    closed = panel.dates[panel.open[0] == 0].astype(str).tolist()
    assert closed == ["2021-04-02", "2022-04-15", "2023-04-07"]
    without = Panel.from_frames(facts, ahead=98)
    assert without.dates[without.open[0] == 0].astype(str).tolist() == closed, "Easter is in the calendar"


def test_a_closing_on_a_fixed_date_needs_two_years_unless_the_date_is_a_feast() -> None:
    facts = sales(700, start="2021-12-01")
    shut = pd.to_datetime(["2021-12-25", "2022-12-25", "2022-07-13"])
    facts.loc[facts["date_id"].isin(shut), "sales_units"] = 0.0
    panel = Panel.from_frames(facts[facts["date_id"] <= "2023-10-20"], ahead=98)
    assert panel.open[0, panel.dates == np.datetime64("2023-12-25")].tolist() == [0]
    early = panel.as_of(int((np.datetime64("2022-12-01") - panel.first_day).astype(int)))
    assert early.open[0, early.dates == np.datetime64("2022-12-25")].tolist() == [0], "one Christmas is enough"
    summer = panel.as_of(int((np.datetime64("2023-06-01") - panel.first_day).astype(int)))
    assert summer.open[0, summer.dates == np.datetime64("2023-07-13")].tolist() == [1], "one 13 July is chance"


def test_a_small_series_that_sells_nothing_one_day_was_not_closed() -> None:
    rng = np.random.default_rng(0)
    facts = sales(400, units=1.0).assign(sales_units=rng.poisson(0.8, 400).astype(float))
    assert (Panel.from_frames(facts).open == 1).all()


def test_a_series_that_ended_is_not_forecast_and_one_that_paused_is() -> None:
    facts = pd.concat([sales(300), sales(200).assign(product_category="gone"),
                       sales(300).assign(product_category="paused").drop(index=range(200, 230))])  # fmt: skip
    panel = Panel.from_frames(facts, ahead=14)
    names = panel.series["product_category"].tolist()
    ahead = dict(zip(names, panel.open[:, 300:].mean(axis=1).tolist(), strict=True))
    assert ahead == {"tea": 1, "gone": 0, "paused": 1}
    assert (panel.open[names.index("paused"), 200:230] == 0).all()


def test_recorded_opening_days_outrank_inference_but_not_sales() -> None:
    facts = sales(100, open_flag=pd.array([True] * 100, dtype="boolean"))
    facts.loc[50, ["sales_units", "open_flag"]] = [0.0, True]
    facts.loc[60, ["sales_units", "open_flag"]] = [0.0, False]
    facts.loc[70, ["sales_units", "open_flag"]] = [90.0, False]
    panel = Panel.from_frames(facts, ahead=0)
    assert np.flatnonzero(panel.open[0] == 0).tolist() == [60]


def test_without_a_plan_the_expected_promotion_is_last_years_rate_of_the_weekday() -> None:
    facts = sales(420)
    promotion = (facts["date_id"].dt.day_of_week < 5) & (np.arange(420) // 7 % 2 == 0)
    panel = Panel.from_frames(facts.assign(promotion_flag=promotion), ahead=14)
    filled = expected_promotion(panel)
    week = calendar.weekday(panel.dates[420:])
    assert filled.promotion[0, 420:] == pytest.approx(np.where(week < 5, 0.5, 0))
    assert known_mask(panel)[0].tolist() == [True] * 420 + [False] * 14
    plan = facts.assign(date_id=facts["date_id"] + pd.Timedelta(days=420), promotion_flag=True)[:5]
    planned = expected_promotion(Panel.from_frames(facts.assign(promotion_flag=promotion), plan=plan, ahead=14))
    assert planned.promotion[0, 420:425].tolist() == [1.0] * 5


def test_promotions_that_come_every_year_are_expected_again_and_random_ones_are_not() -> None:
    rng = np.random.default_rng(6)
    facts = sales(3 * 364)
    yearly = np.tile(rng.random(364) < 0.3, 3)
    panel = Panel.from_frames(facts.assign(promotion_flag=yearly), ahead=28)
    assert expected_promotion(panel).promotion[0, 3 * 364 :] == pytest.approx(yearly[:28].astype(float), abs=0.01)
    anew = rng.random(3 * 364) < 0.3
    panel = Panel.from_frames(facts.assign(promotion_flag=anew), ahead=28)
    expected = expected_promotion(panel).promotion[0, 3 * 364 :]
    assert expected.min() > 0.1
    assert expected.max() < 0.6
    assert expected.mean() == pytest.approx(0.3, abs=0.06)


def test_a_retailer_without_promotions_has_none_ahead() -> None:
    assert (expected_promotion(Panel.from_frames(sales())).promotion == 0).all()


def real(name: str) -> Panel:
    folder = Path(str(settings.load().real_data)) / name
    if not folder.exists():
        pytest.skip("the real retailers are not here (TRENDCAST_REAL_DATA)")
    read = {"parse_dates": ["date_id"], "keep_default_na": False}
    return Panel.from_frames(
        pd.read_csv(folder / "sales_daily.csv.gz", **read), pd.read_csv(folder / "events.csv", **read)
    )


@pytest.mark.real_data
def test_m5_is_closed_on_christmas_day_and_a_store_in_a_blizzard() -> None:
    panel = real("m5")
    everywhere = panel.dates[(panel.open == 0).all(axis=0)].astype(str).tolist()
    assert everywhere == [f"{year}-12-25" for year in range(2011, 2016)]
    somewhere = panel.dates[(panel.open == 0).any(axis=0)].astype(str).tolist()
    assert sorted(set(somewhere) - set(everywhere)) == ["2011-02-02"]
    assert (panel.open[:, panel.history :] == 1).all()


@pytest.mark.real_data
def test_rossmann_has_one_store_a_category_and_rebuilt_stores_are_closed() -> None:
    panel = real("rossmann")
    assert panel.units.shape == (1115, 942 + 98)
    hierarchy = Hierarchy.of(panel.series)
    assert hierarchy.aliases == {"store": "category_store"}
    rebuilt = np.isnan(panel.units[:, :942]).sum(axis=1) > 180
    assert rebuilt.sum() == 180
    autumn = slice(*((np.array(["2014-07-01", "2015-01-01"], "datetime64[D]") - panel.first_day).astype(int)))
    assert (panel.open[rebuilt, autumn] == 0).all()
    sundays = calendar.weekday(panel.dates[942:]) == 6
    assert panel.open[:, 942:][:, sundays].mean() < 0.04
    assert panel.open[:, 942:][:, ~sundays].mean() > 0.98
    share = hierarchy.panel(panel).open[0]
    assert share[(np.datetime64("2014-10-01") - panel.first_day).astype(int)] == pytest.approx(0.84, abs=0.03)


def carried_on(days: list[str], until: str, end: str | None = None) -> list[str]:
    """The days project() adds for one event seen on `days`; the table itself goes on to `end` by another event."""
    frame = pd.DataFrame({"date_id": pd.to_datetime(days), "region": "", "event": "it"})
    frame = pd.concat(
        [frame, pd.DataFrame({"date_id": [pd.Timestamp(end or days[-1])], "region": [""], "event": ["x"]})]
    )
    after = calendar.project(frame, np.datetime64(until))
    assert after is not None
    return after[(after["event"] == "it")]["date_id"].astype(str).str[:10].tolist()[len(days) :]


def test_known_rules_carry_events_on_beyond_the_table() -> None:
    assert carried_on(["2013-07-04", "2014-07-04", "2015-07-04"], "2017-01-01") == ["2016-07-04"]
    thanksgiving = ["2013-11-28", "2014-11-27", "2015-11-26"]
    assert carried_on(thanksgiving, "2017-01-01") == ["2016-11-24"]
    last_monday_of_may = ["2011-05-30", "2012-05-28", "2013-05-27", "2014-05-26", "2015-05-25"]
    assert carried_on(last_monday_of_may, "2016-12-31") == ["2016-05-30"]
    good_friday = ["2021-04-02", "2022-04-15", "2023-04-07"]
    assert carried_on(good_friday, "2024-12-31") == ["2024-03-29"]
    benefits = [str(day.date()) for day in pd.date_range("2023-01-01", "2024-02-29") if day.day in (1, 3, 15)]
    assert carried_on(benefits, "2024-04-10", "2024-02-29") == ["2024-03-01", "2024-03-03", "2024-03-15", "2024-04-01",
                                                                  "2024-04-03"]  # fmt: skip


def test_what_follows_no_rule_is_not_invented() -> None:
    assert carried_on(["2023-08-11"], "2024-12-31") == [], "once is no rule"
    ramadan = ["2021-04-13", "2022-04-02", "2023-03-23"]
    assert carried_on(ramadan, "2024-12-31") == []
    assert carried_on(["2013-07-04", "2014-07-04", "2015-07-04"], "2016-12-31", "2016-12-30") == [], (
        "the table knows better"
    )


def test_a_name_for_many_days_goes_on_where_two_years_agree() -> None:
    both = ["01-01", "05-01", "10-03"]
    days = [f"{year}-{day}" for year in (2022, 2023) for day in both]
    days += ["2022-04-18", "2023-04-10", "2022-02-07"]  # Easter Monday twice, and one day of 2022 only
    assert carried_on(sorted(days), "2024-12-31", "2023-12-31") == [
        "2024-01-01",
        "2024-04-01",
        "2024-05-01",
        "2024-10-03",
    ]

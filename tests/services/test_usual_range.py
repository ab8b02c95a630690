"""The usual range of past days: known the evening before, as published where it was, wide enough and not too wide."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pandas as pd
import pytest

from trendcast.services import forecast, usual_range

DAYS = 400
FIRST = pd.Timestamp("2025-01-06")


def history(seed: int = 7, noise: float = 0.08) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    dates = pd.date_range(FIRST, periods=DAYS)
    week = np.array([1.0, 0.9, 0.9, 1.0, 1.3, 1.6, 0.7])[dates.day_of_week]
    return pd.DataFrame(
        {
            "date_id": dates,
            "units": 500 * week * np.exp(rng.normal(0, noise, DAYS)),
            "promotion": 0.0,
            "open": 1.0,
            "events": "",
        }
    )


def ranges(frame: pd.DataFrame, stored: pd.DataFrame | None = None, back: int = 200) -> pd.DataFrame:
    last = frame["date_id"].iloc[-1]
    nothing = pd.DataFrame(columns=["mean"])
    found = nothing if stored is None else stored
    return usual_range._range(frame, found, last - pd.Timedelta(back - 1, "D"), last)


def test_nothing_after_a_day_changes_what_was_expected_of_it():
    frame = history()
    changed = frame.copy()
    changed.loc[changed.index[-30:], "units"] *= 3
    before, after = ranges(frame), ranges(changed)
    columns = list(usual_range.COLUMNS)
    pd.testing.assert_frame_equal(before[columns].iloc[:-29], after[columns].iloc[:-29])
    assert (after["expected"].iloc[-1] != before["expected"].iloc[-1]) or (after["high80"].iloc[-1] > 0)


@pytest.mark.parametrize("noise", [0.08, 0.2])
def test_the_bands_hold_about_as_often_as_they_say(noise):
    found = pd.concat([ranges(history(seed, noise)) for seed in range(8)])
    for share in (80, 95):
        inside = (found["actual"] >= found[f"low{share}"]) & (found["actual"] <= found[f"high{share}"])
        assert inside.mean() == pytest.approx(share / 100, abs=0.06)


def test_the_weekday_is_known():
    found = ranges(history(noise=0.01))
    assert found["expected"].to_numpy() == pytest.approx(found["actual"].to_numpy(), rel=0.08)


def test_a_closed_day_is_expected_to_sell_nothing_in_particular():
    frame = history()
    frame.loc[frame.index[-3], ["units", "open"]] = 0.0
    found = ranges(frame)
    assert found[list(usual_range.COLUMNS)].iloc[-3].isna().all()
    assert found[list(usual_range.COLUMNS)].iloc[-2].notna().all()


def test_what_had_been_published_is_what_was_expected():
    frame = history()
    stored = pd.DataFrame({"mean": 400.0}, index=pd.DatetimeIndex(frame["date_id"].iloc[-5:]))
    plain, found = ranges(frame), ranges(frame, stored)
    assert found["expected"].iloc[-5:].to_numpy() == pytest.approx(400.0)
    assert ((found["low95"] < found["low80"]) & (found["low80"] < 400) & (found["high80"] > 400)).iloc[-5:].all()
    assert found["expected"].iloc[:-5].tolist() == plain["expected"].iloc[:-5].tolist()


def test_a_young_series_has_no_range_before_there_is_something_to_learn_from():
    frame = history().tail(20).reset_index(drop=True)
    found = ranges(frame, back=20)
    assert found["low80"].isna().all()
    assert found["actual"].notna().all()


def test_the_database_gives_the_forecast_published_before_each_day(demo_db):
    run = forecast.current_run(demo_db)
    series = int(forecast.series_index(demo_db, run.id)["series_id"].iloc[0])
    first = run.last_day + dt.timedelta(days=1)
    published = forecast.forecast_daily(demo_db, run.id, [series]).set_index("date_id")
    stored = demo_db.frame("usual_range", series_id=series, first=first, last=first + dt.timedelta(days=9))
    assert stored["mean"].tolist() == published["mean"].head(10).tolist()
    on_the_last_day = demo_db.frame("usual_range", series_id=series, first=run.last_day, last=run.last_day)
    newest = [row for row in on_the_last_day["mean"] if row in published["mean"].tolist()]
    assert not newest  # no day is judged by a forecast that had seen it


def test_the_days_of_a_run_end_with_it(demo_db):
    run = forecast.current_run(demo_db)
    series = int(forecast.series_index(demo_db, run.id)["series_id"].iloc[0])
    first = run.last_day - dt.timedelta(days=55)
    found = usual_range.days(demo_db, run, series, first, run.last_day + dt.timedelta(days=20))
    assert (found["date"].iloc[0].date(), found["date"].iloc[-1].date()) == (first, run.last_day)
    actual = forecast.history_daily(demo_db, run, [series]).set_index("date_id")["units"]
    assert found["actual"].tolist() == actual.tail(56).tolist()
    assert found["expected"].notna().mean() > 0.9
    assert (found["low95"] <= found["low80"]).mean() > 0.9

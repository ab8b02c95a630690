"""The structural member on panels: closings, events, families, new series, and what it leaves out."""

import numpy as np
import pandas as pd
import pytest

from trendcast.forecasting import structural_member as member
from trendcast.forecasting.baselines import naive7
from trendcast.panel import Hierarchy, Panel

LAST = pd.Timestamp("2025-09-30")
DAYS = 1000
PARTS = {"trend", "yearly", "weekly", "holidays", "promotions"}


def sales(days=DAYS, seed=0, stores=(("North", "N1"), ("North", "N2"), ("South", "S1")), categories=("Tea", "Toys")):
    """Two categories in three stores: waves, a trend, promotions, a feast, Sundays closed."""
    rng = np.random.default_rng(seed)
    dates = pd.date_range(end=LAST, periods=days)
    yearly = np.sin(2 * np.pi * dates.day_of_year / 365.25)
    frames = []
    for i, (region, store) in enumerate(stores):
        for j, category in enumerate(categories):
            promotion = rng.random(days) < 0.15
            is_open = dates.day_of_week != 6
            mean = (40 + 30 * i + 20 * j) * np.exp(0.2 * yearly + 0.25 * (dates.day_of_week == 4) + 0.4 * promotion)
            mean = mean * np.where((dates.month == 5) & (dates.day == 9), 2.0, 1.0)
            units = np.round(mean * rng.lognormal(0, 0.1, days)) * is_open
            frames.append(
                pd.DataFrame(
                    {
                        "date_id": dates, "product_category": category, "region": region, "store": store,
                        "sales_units": units, "promotion_flag": promotion * 1.0, "open_flag": is_open * 1.0,
                    }
                )
            )  # fmt: skip
    return pd.concat(frames, ignore_index=True)


def feasts():
    days = pd.to_datetime([f"{year}-05-09" for year in (2023, 2024, 2025, 2026)])
    never = pd.DataFrame({"date_id": [LAST + pd.Timedelta(days=20)], "region": "", "event": "Grand opening"})
    return pd.concat([pd.DataFrame({"date_id": days, "region": "", "event": "Feast"}), never], ignore_index=True)


def nodes(frame, ahead=98, events=None):
    bottom = Panel.from_frames(frame, feasts() if events is None else events, ahead=ahead)
    return Hierarchy.of(bottom.series).panel(bottom)


@pytest.fixture(scope="module")
def panel():
    return nodes(sales())


@pytest.fixture(scope="module")
def said(panel):
    return member.forecast(panel, 91)


def test_forecasts_are_finite_never_negative_and_nothing_on_closed_days(panel, said):
    assert said.mean.shape == (panel.n_series, 91)
    assert np.isfinite(said.mean).all()
    assert (said.mean >= 0).all()
    closed = panel.open[:, panel.history : panel.history + 91] == 0
    assert closed.any()
    assert (said.mean[closed] == 0).all()


def test_the_parts_add_up_to_the_forecast(panel, said):
    rows = np.array([0, 3, panel.n_series - 1])
    parts = said.extras["components"](0, panel.history + 91, rows)
    assert set(parts) == PARTS
    assert sum(parts.values())[:, panel.history :] == pytest.approx(said.mean[rows], abs=1e-9)
    assert (parts["promotions"] >= -1e-9).all()
    feast = int((np.datetime64("2025-05-09") - panel.first_day).astype(int))
    assert (parts["holidays"][:, feast] > 0.3 * parts["trend"][:, feast]).all()
    assert np.abs(parts["holidays"][:, feast + 30]).max() == 0


def test_it_sees_twelve_weeks_better_than_last_week_does():
    whole = nodes(sales())
    history = whole.history - 84
    known = whole.as_of(history)
    truth = whole.units[:, history : whole.history]
    error = {f.__name__: np.nansum(np.abs(f(known, 84).mean - truth)) for f in (member.forecast, naive7)}
    assert error["forecast"] < 0.6 * error["naive7"]
    total = known.series["level"] == "total"
    bias = member.forecast(known, 84).mean[total].sum() / np.nansum(truth[total]) - 1
    assert abs(bias) < 0.03  # means, not medians


def test_what_comes_after_the_origin_moves_nothing():
    frame = sales()
    panel = nodes(frame).as_of(DAYS - 84)
    changed = frame.copy()
    late = changed["date_id"] > LAST - pd.Timedelta(days=84)
    changed.loc[late, "sales_units"] = 7 * changed.loc[late, "sales_units"] + 1000 * changed.loc[late, "open_flag"]
    other = nodes(changed).as_of(DAYS - 84)
    assert np.array_equal(member.forecast(panel, 84).mean, member.forecast(other, 84).mean)


def test_stock_out_days_are_not_demand():
    panel = nodes(sales())
    days = np.arange(DAYS - 60, DAYS - 30)
    bottom = panel.n_series - 1
    expected = member.forecast(panel, 28).mean[bottom].sum()
    panel.units[bottom, days] = 0
    without = member.forecast(panel, 28).mean[bottom].sum()
    panel.stockout[bottom, days] = True
    marked = member.forecast(panel, 28).mean[bottom].sum()
    assert abs(marked / expected - 1) < 0.03 < abs(without / expected - 1)


def test_children_come_after_their_parents():
    series = nodes(sales(60)).series
    done: set[int] = set()
    for rows, parents in member.families(series):
        if parents is None:
            assert series["level"].iloc[rows].tolist() == ["total"]
        else:
            assert set(parents.ravel()) <= done
            for row, above in zip(rows, parents, strict=True):
                for parent in above:
                    for dimension in ("product_category", "region", "store"):
                        assert series[dimension].iloc[parent] in ("", series[dimension].iloc[row])
        done |= set(rows)
    assert done == set(range(len(series)))


def test_a_store_of_six_weeks_takes_its_year_from_its_parents():
    frame = sales()
    young = frame["store"].eq("S1") & (frame["date_id"] <= LAST - pd.Timedelta(days=42))
    panel = nodes(frame[~young])
    fitted = member.forecast(panel, 91).extras["fit"]
    yearly = slice(*fitted.columns["yearly"])
    row = np.flatnonzero((panel.series["store"] == "S1") & (panel.series["level"] == "category_store"))[0]
    old = np.flatnonzero((panel.series["store"] == "N1") & (panel.series["level"] == "category_store"))[0]
    assert np.abs(fitted.theta[row, yearly][:2]).max() > 0.1
    assert fitted.theta[row, yearly] == pytest.approx(fitted.theta[old, yearly], abs=0.05)


def test_only_events_with_a_past_and_an_effect_are_used(panel, said):
    names = said.extras["fit"].names.group
    assert "Feast" in names
    assert not any("Grand opening" in name for name in names)
    assert len(names) <= member.MOST_COLUMNS


@pytest.mark.parametrize("days", [1, 5, 30, 200])
def test_short_histories_are_forecast_too(days):
    said = member.forecast(nodes(sales(days)), 28)
    assert np.isfinite(said.mean).all()
    assert said.mean.sum() > 0


def test_a_plain_table_without_events_promotions_or_opening_is_enough():
    frame = sales()[["date_id", "product_category", "sales_units"]].groupby(["date_id", "product_category"]).sum()
    panel = nodes(frame.reset_index(), events=pd.DataFrame({"date_id": [], "event": []}))
    said = member.forecast(panel, 91)
    assert np.isfinite(said.mean).all()
    assert np.abs(said.extras["components"](0, 900)["promotions"]).max() == 0


def test_a_month_of_unmarked_zeros_does_not_ruin_a_series():
    panel = nodes(sales())
    bottom = panel.n_series - 1
    before = member.forecast(panel, 84).mean[bottom].sum()
    panel.units[bottom, DAYS - 200 : DAYS - 180] = 0
    assert member.forecast(panel, 84).mean[bottom].sum() == pytest.approx(before, rel=0.05)

"""Nothing that happens after an origin moves a forecast made at it."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from trendcast.forecasting.members import MEMBERS, Member
from trendcast.panel import Hierarchy, Panel

DAYS, HORIZON = 840, 84


def frames(seed: int = 3) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Sales, events and stock of a small retailer with promotions, holidays, closings, a late start and stock-outs."""
    rng = np.random.default_rng(seed)
    dates = pd.date_range("2022-01-03", periods=DAYS)
    parts = []
    for category, size in (("tea", 60.0), ("mugs", 8.0)):
        for region, store in (("N", "n1"), ("N", "n2"), ("S", "s1")):
            first = 300 if (category, store) == ("mugs", "n2") else 0
            frame = pd.DataFrame({"date_id": dates[first:]})
            t = np.arange(DAYS)[first:]
            promotion = (t // 7 + (region == "S")) % 3 == 0
            week = 1 + 0.4 * (frame["date_id"].dt.day_of_week.to_numpy() >= 4)
            wave = 1 + 0.3 * np.sin(2 * np.pi * t / 365.25)
            shut = (frame["date_id"].dt.day_of_week == 6).to_numpy() & (region == "S")
            mean = size * week * wave * np.where(promotion, 1.4, 1.0) * ~shut
            frame["sales_units"] = rng.poisson(mean).astype(float)
            frame["sales_revenue"] = frame["sales_units"] * rng.uniform(2, 3, len(frame))
            frame["promotion_flag"] = promotion
            # The south records when it is open, the north does not: closings there are inferred.
            frame["open_flag"] = pd.array(~shut if region == "S" else [pd.NA] * len(frame), dtype="boolean")
            parts.append(frame.assign(product_category=category, region=region, store=store))
    sales = pd.concat(parts, ignore_index=True)
    christmas = sales["date_id"].dt.strftime("%m-%d") == "12-25"
    sales.loc[christmas, "sales_units"] = 0.0
    days = dates.append(pd.date_range(dates[-1] + pd.Timedelta(days=1), periods=120))
    holidays = [d for d in days if (d.month, d.day) in ((12, 25), (5, 1), (7, 4), (10, 31))]
    events = pd.DataFrame({"date_id": holidays, "region": "", "event": [d.strftime("%B %d") for d in holidays]})
    local = pd.DataFrame({"date_id": days[20::45], "region": "N", "event": "Market"})
    stock = pd.DataFrame({"date_id": dates[::19], "product_category": "tea", "stockout_flag": True})
    return sales, pd.concat([events, local], ignore_index=True), stock


def another_future(sales: pd.DataFrame, stock: pd.DataFrame, after: pd.Timestamp) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The same retailer with everything unknowable after a day changed: units, prices, stock-outs."""
    rng = np.random.default_rng(99)
    later = (sales["date_id"] > after).to_numpy()
    changed = sales.copy()
    units = np.where(sales["sales_units"] > 0, rng.gamma(1, 500, len(sales)), sales["sales_units"])
    changed["sales_units"] = np.where(later, units, sales["sales_units"])
    changed["sales_revenue"] = np.where(later, rng.gamma(1, 900, len(sales)), sales["sales_revenue"])
    return changed, stock[stock["date_id"] <= after]


@pytest.fixture(scope="module")
def worlds() -> tuple[Panel, Panel, int]:
    """The same origin in two worlds that differ only afterwards: (one, other, history at the origin)."""
    sales, events, stock = frames()
    history = DAYS - HORIZON
    other, other_stock = another_future(sales, stock, sales["date_id"].min() + pd.Timedelta(days=history - 1))
    one = Panel.from_frames(sales, events, inventory=stock)
    two = Panel.from_frames(other, events, inventory=other_stock)
    return one, two, history


@pytest.mark.parametrize("member", MEMBERS, ids=lambda member: member.name)
def test_no_member_sees_what_happens_after_the_origin(member: Member, worlds: tuple[Panel, Panel, int]) -> None:
    one, two, history = worlds
    assert not np.array_equal(one.units[:, history:], two.units[:, history:], equal_nan=True)
    hierarchy = Hierarchy.of(one.series)
    at = [hierarchy.panel(world.as_of(history)) for world in (one, two)]
    said = [member.forecast(panel, HORIZON).mean for panel in at]
    np.testing.assert_array_equal(said[0], said[1])
    # Cutting the panel of nodes instead of the bottom's must not let the future in by the back door.
    late = hierarchy.panel(two).as_of(history)
    np.testing.assert_array_equal(member.forecast(late, HORIZON).mean, said[0])


@pytest.mark.parametrize("member", MEMBERS, ids=lambda member: member.name)
def test_every_member_hands_over_what_can_be_published(member: Member, worlds: tuple[Panel, Panel, int]) -> None:
    one, _, history = worlds
    panel = Hierarchy.of(one.series).panel(one.as_of(history))
    mean = member.forecast(panel, HORIZON).mean
    assert mean.shape == (panel.n_series, HORIZON)
    assert mean.dtype == np.float64
    assert np.isfinite(mean).all()
    assert (mean >= 0).all()
    assert (mean[panel.open[:, history : history + HORIZON] == 0] == 0).all()
    assert (mean.sum(axis=1) > 0).all()


def test_a_hidden_future_is_hidden_everywhere_in_the_panel(worlds: tuple[Panel, Panel, int]) -> None:
    one, two, history = worlds
    a, b = one.as_of(history), two.as_of(history)
    for name in ("units", "open", "promotion", "price", "stockout"):
        np.testing.assert_array_equal(getattr(a, name), getattr(b, name), err_msg=name)
    np.testing.assert_array_equal(a.events.indicator, b.events.indicator)
    assert np.isnan(a.units[:, history:]).all()
    assert np.isnan(a.price[:, history:DAYS]).all()
    assert not a.stockout[:, history:].any()
    assert not np.isnan(a.promotion[:, history:DAYS]).any(), "the promotion plan is known ahead"


def test_the_parameters_of_a_stateful_member_are_those_of_the_earliest_origin(worlds: tuple[Panel, Panel, int]) -> None:
    one, two, history = worlds
    arima = next(member for member in MEMBERS if member.name == "arima")
    hierarchy = Hierarchy.of(one.series)
    early = hierarchy.panel(one.as_of(history - 28))
    state = arima.forecast(early, HORIZON).extras["state"]
    at = [hierarchy.panel(world.as_of(history)) for world in (one, two)]
    said = [arima.forecast(panel, HORIZON, state=state) for panel in at]
    np.testing.assert_array_equal(said[0].mean, said[1].mean)
    assert said[0].extras["state"] == state

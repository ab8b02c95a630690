"""Members hand over publishable forecasts for the oddest retailers, without a warning."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from trendcast.forecasting.backtest import all_names, measure
from trendcast.forecasting.forecaster import Forecaster
from trendcast.forecasting.members import MEMBERS, Member
from trendcast.panel import Hierarchy, Panel

OURS = [member for member in MEMBERS if member.name != "structural"]


def facts(kind: str, days: int = 450) -> pd.DataFrame:
    rng = np.random.default_rng(1)
    dates = pd.date_range("2023-01-01", periods=days)
    parts = []
    for k, (category, region) in enumerate([("a", "N"), ("a", "S"), ("b", "N")]):
        units = rng.poisson(20, days).astype(float)
        frame = pd.DataFrame({"date_id": dates, "product_category": category, "region": region, "sales_units": units})
        odd = k == 0
        if kind == "all zero":
            frame["sales_units"] = 0.0
        elif kind == "huge" and odd:
            frame["sales_units"] *= 1e12
        elif kind == "tiny" and odd:
            frame["sales_units"] *= 1e-9
        elif kind == "one sale" and odd:
            frame["sales_units"] = np.where(np.arange(days) == 200, 5.0, 0.0)
        elif kind == "jump" and odd:
            frame["sales_units"] *= np.where(np.arange(days) > 400, 1000, 1)
        elif kind == "sparse" and odd:
            frame = frame[rng.random(days) < 0.05]
        elif kind == "new" and odd:
            frame = frame[-3:]
        elif kind == "ended" and odd:
            frame = frame[:100]
        elif kind == "always promoted":
            frame["promotion_flag"] = True
        elif kind == "never open":
            frame["open_flag"] = False
            frame["sales_units"] = 0.0
        elif kind == "closed lately":
            frame["open_flag"] = np.arange(days) < 380
            frame["sales_units"] = np.where(np.arange(days) < 380, frame["sales_units"], 0.0)
        parts.append(frame)
    return pd.concat(parts, ignore_index=True)


KINDS = ["all zero", "huge", "tiny", "one sale", "jump", "sparse", "new", "ended", "always promoted", "never open",
         "closed lately"]  # fmt: skip


@pytest.mark.parametrize("member", OURS, ids=lambda member: member.name)
@pytest.mark.parametrize("kind", KINDS)
def test_odd_retailers_are_forecast(kind: str, member: Member) -> None:
    bottom = Panel.from_frames(facts(kind))
    panel = Hierarchy.of(bottom.series).panel(bottom)
    mean = member.forecast(panel, 91).mean
    assert np.isfinite(mean).all()
    assert (mean >= 0).all()
    most = np.nan_to_num(panel.units).max(axis=1)
    assert (mean <= 3 * most[:, None] + 1e-12).all(), "nothing explodes"
    if kind in ("all zero", "never open"):
        assert mean.sum() == 0


def test_stock_outs_do_not_pull_a_forecast_down() -> None:
    dates = pd.date_range("2022-01-01", periods=600)
    rng = np.random.default_rng(3)
    frame = pd.DataFrame({"date_id": dates, "product_category": "a", "sales_units": rng.poisson(50, 600).astype(float)})
    out = rng.random(600) < 0.15
    empty = frame.assign(sales_units=np.where(out, 0.0, frame["sales_units"]))
    stock = pd.DataFrame({"date_id": dates[out], "product_category": "a", "stockout_flag": True})
    for member in OURS:
        full = member.forecast(Panel.from_frames(frame), 84).mean.mean()
        known = member.forecast(Panel.from_frames(empty, inventory=stock), 84).mean.mean()
        assert known == pytest.approx(full, rel=0.05), member.name


def test_one_day_of_one_series_is_forecast_and_has_nothing_measured() -> None:
    """Levels that are the same series under another name have no figures then either."""
    frame = pd.DataFrame(
        {"date_id": [pd.Timestamp("2026-11-23")], "product_category": "a", "region": "N", "sales_units": [412.0]}
    )
    panel = Panel.from_frames(frame)
    engine = Forecaster(panel)
    engine.prepare([panel.history])
    publication = engine.publish(panel.history)
    assert engine.hierarchy.aliases
    assert all_names(measure(engine, publication), engine.hierarchy.aliases).empty

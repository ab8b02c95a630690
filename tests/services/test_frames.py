"""An analyst's frame of days, against slow truths: columns, parts, forecasts that know no future, odd days."""

from __future__ import annotations

from datetime import date
from typing import Any

import numpy as np
import pandas as pd
import pytest

from trendcast.errors import Conflict, InvalidInput, NotFound
from trendcast.services import frames, looks
from trendcast.services.load import load_frames
from trendcast.store.engine import Database


def shop(days: int = 500, *, level: float = 100.0, noise: float = 0.03, start: str = "2024-01-01") -> pd.DataFrame:
    """A made-up series with a week, a promotion every fourth week and a slowly moving index."""
    rng = np.random.default_rng(3)
    index = pd.date_range(start, periods=days, name="date_id")
    n = np.arange(days)
    promotion = (n // 7 % 4 == 0).astype(float)
    units = level * np.array([1.0, 0.9, 0.9, 1.0, 1.2, 1.5, 0.8])[n % 7] * (1 + 0.4 * promotion)
    return pd.DataFrame(
        {
            "sales_units": np.round(units * rng.lognormal(0, noise, days)),
            "promotion_flag": promotion,
            "economic_index": 100 + np.cumsum(rng.normal(0, 0.1, days)),
            "seasonal_events": None,
        },
        index=index,
    )


# --- extract ---


def test_one_series_has_the_columns_of_the_view_and_their_values(db: Database) -> None:
    days = pd.date_range("2024-01-01", periods=60).delete([20, 21, 40])
    rng = np.random.default_rng(0)
    sales = pd.DataFrame(
        {
            "date_id": days, "product_category": "A", "region": "N", "sales_units": rng.integers(0, 50, len(days)),
            "sales_revenue": rng.integers(0, 500, len(days)), "promotion_flag": rng.random(len(days)) < 0.2,
        }
    )  # fmt: skip
    market = pd.DataFrame({"date_id": days, "economic_index": 100.0, "social_media_mentions": 7})
    events = pd.DataFrame({"date_id": [days[5]], "region": ["N"], "event": ["Black Friday"]})
    stock = pd.DataFrame({"date_id": days, "product_category": "A", "stock_level": 9, "stockout_flag": False})
    load_frames(
        db, {"sales_daily": sales, "market_factors": market, "events": events, "inventory_daily": stock}, source="test"
    )
    ours = frames.extract(db, "A", "N")
    view = db.frame("feature_rows", categories=["A"], regions=["N"]).set_index("date_id")
    assert list(ours.index) == list(view.index)
    for column in frames.COLUMNS:
        if column in view and column != "seasonal_events":
            assert ours[column].astype(float).to_numpy() == pytest.approx(
                view[column].astype(float).to_numpy(), nan_ok=True
            ), column
    assert set(view.columns) - {"product_category", "region"} <= set(ours.columns)


def test_several_regions_are_added_up_by_date_and_not_mixed(demo_db: Database) -> None:
    together = frames.extract(demo_db, "Electronics")
    apart = [frames.extract(demo_db, "Electronics", region) for region in ("North", "South")]
    assert together.index.is_unique
    assert together["sales_units"].equals(apart[0]["sales_units"].add(apart[1]["sales_units"], fill_value=0))
    assert frames.extract(demo_db, "Electronics", ["North", "South"])["sales_units"].equals(together["sales_units"])
    assert together["sales_lag_7"].iloc[-1] == together["sales_units"].iloc[-8]
    promoted = pd.concat([one["promotion_flag"] for one in apart]).groupby(level=0).mean()
    assert together["promotion_flag"].to_numpy() == pytest.approx(promoted.to_numpy())
    assert frames.name(together) == "Electronics"
    assert frames.name(apart[0].iloc[-50:]) == "Electronics in North"


def test_names_are_bound_and_wrong_ones_told_with_the_nearest(demo_db: Database, db: Database) -> None:
    with pytest.raises(NotFound, match="Did you mean Electronics"):
        frames.extract(demo_db, "Electronix")
    with pytest.raises(NotFound, match="no region 'x'; DROP"):
        frames.extract(demo_db, "Electronics", "x'; DROP TABLE sales_daily; --")
    with pytest.raises(Conflict, match="load data first"):
        frames.extract(db)


# --- decompose ---


def test_parts_add_up_and_gaps_stay_gaps() -> None:
    df = shop(800)
    n = np.arange(800)
    df["sales_units"] = 200 + 0.1 * n + 30 * np.sin(2 * np.pi * n / 365) + 20 * np.sin(2 * np.pi * n / 7)
    df = df.drop(df.index[100:103])
    parts = frames.decompose(df)
    assert parts.observed.isna().sum() == 3
    known = parts.observed.notna()
    whole = parts.trend + parts.seasonal + parts.resid
    assert whole[known].to_numpy() == pytest.approx(parts.observed[known].to_numpy())
    assert parts.resid[~known].isna().all()
    assert parts.trend.notna().all()
    assert parts.trend.iloc[-1] - parts.trend.iloc[0] == pytest.approx(80, rel=0.15)
    assert parts.resid[known].std() < 2


@pytest.mark.parametrize(
    ("df", "target", "said"),
    [
        (shop(20), "sales_units", "at least 28"),
        (shop(60).reset_index(drop=True), "sales_units", "indexed by day"),
        (pd.concat([shop(60), shop(60)]), "sales_units", "same day more than once"),
        (shop(60), "sales_unit", "Did you mean sales_units"),
        (shop(60).assign(word="a"), "word", "no numbers"),
        (shop(300)[["sales_units"]].resample("7D").sum(), "sales_units", "7 days apart"),
    ],
)
def test_a_frame_that_cannot_be_used_is_told_why(df: pd.DataFrame, target: str, said: str) -> None:
    with pytest.raises((InvalidInput, NotFound), match=said):
        frames.decompose(df, target)


# --- prophet ---


def test_promotions_ahead_are_planned_or_expected_and_no_index_is_made_up() -> None:
    df = shop()
    last = df.index[-1]
    planned = {str((last + pd.Timedelta(n, "D")).date()): 1.0 for n in range(1, 15)}
    df.attrs["ahead"] = {"promotion_flag": planned}
    model, forecast = frames.prophet(df)
    ahead = forecast[forecast["ds"] > last].set_index("ds")
    assert set(model.extra_regressors) == {"promotion_flag", "economic_index"}
    assert {"weekly", "yearly"} <= set(model.seasonalities)
    assert len(ahead) == 84
    assert (ahead["promotion_flag_value"].iloc[:14] == 1).all()
    expected = df["promotion_flag"].iloc[-364:].groupby(df.index[-364:].day_of_week).mean()
    later = ahead["promotion_flag_value"].iloc[14:]
    assert later.to_numpy() == pytest.approx(expected.loc[later.index.day_of_week].to_numpy())
    before = df["economic_index"].reindex(ahead.index - pd.Timedelta(84, "D"))
    assert ahead["economic_index_value"].to_numpy() == pytest.approx(before.to_numpy())
    assert (ahead["yhat_lower"] <= ahead["yhat"]).all()
    assert (ahead["yhat"] <= ahead["yhat_upper"]).all()
    assert (ahead["yhat_lower"] >= 0).all()
    again = frames.prophet(df)[1]
    assert again["yhat_upper"].equals(forecast["yhat_upper"]), "the same frame gives the same interval"


def test_a_weekday_that_is_always_closed_stays_closed() -> None:
    df = shop(200)
    df = df[df.index.day_of_week != 6]
    _, forecast = frames.prophet(df)
    ahead = forecast[forecast["ds"] > df.index[-1]]
    sundays = ahead["ds"].dt.day_of_week == 6
    assert (ahead.loc[sundays, ["yhat", "yhat_lower", "yhat_upper"]] == 0).all(axis=None)
    assert (ahead.loc[~sundays, "yhat"] > 50).all()


def test_events_go_on_by_their_rule_and_teach_what_they_did() -> None:
    df = shop(800, noise=0.01)
    summer = (df.index.month == 5) & (df.index.day == 1)
    df.loc[summer, ["sales_units", "seasonal_events"]] = [400, "May Day"]
    _, forecast = frames.prophet(df.iloc[:830])
    ahead = forecast[forecast["ds"] > df.index[-1]].set_index("ds")
    assert ahead.index[-1] >= pd.Timestamp("2026-05-01")
    assert ahead.loc["2026-05-01", "May Day"] > 150


# --- out of sample ---


def test_an_error_is_of_models_that_had_not_seen_the_days_they_are_scored_on(monkeypatch: pytest.MonkeyPatch) -> None:
    df = shop(500)
    seen: list[tuple[pd.Timestamp, pd.Timestamp]] = []
    real = looks.stock_prophet

    def spy(history: pd.DataFrame, wanted: pd.DataFrame, *rest: Any, **options: Any) -> Any:
        seen.append((history["ds"].max(), wanted["ds"].max()))
        return real(history, wanted, *rest, **options)

    monkeypatch.setattr(looks, "stock_prophet", spy)
    honest = frames.out_of_sample(df)
    assert [day for day, _ in seen] == [pd.Timestamp(day) for day in honest["origins"]]
    assert [(until - day).days for day, until in seen] == [84] * 3
    assert honest["weeks"] == 36
    assert honest["wape"] < 0.2
    # The last origin's truth is doubled: every week of it is half missed, whatever the model is.
    doubled = df.copy()
    doubled.iloc[-84:, 0] *= 2
    worse = frames.out_of_sample(doubled, origins=1)
    assert worse["wape"] == pytest.approx(0.5, abs=0.1)
    assert frames.out_of_sample(df.iloc[:200])["wape"] is None, "too short to be measured"


def test_days_that_nobody_knows_count_on_neither_side() -> None:
    df = shop(400)
    rng = np.random.default_rng(1)
    holes = df.assign(sales_units=df["sales_units"].where(rng.random(400) > 0.3))
    origins = df.index[-1] - pd.to_timedelta([84, 168], "D")
    holes.loc[origins, "sales_units"] = np.nan  # the last day known may be earlier than the origin
    measured = frames.out_of_sample(holes)
    assert measured["weeks"] == 12 * len(measured["origins"]) > 0
    assert measured["wape"] < 0.2


# --- anomalies ---


def test_each_level_is_reached_and_a_score_has_no_ceiling() -> None:
    df = shop(196)
    for factor, level in ((0.05, "HIGH"), (0.7, "MEDIUM"), (4.0, "HIGH")):
        odd = df.copy()
        odd.iloc[-1, 0] *= factor
        last = frames.anomalies(odd).iloc[-1]
        assert (last.name, last["business_impact"]) == (df.index[-1], level), factor
    scores = []
    for factor in (3, 30, 3000):
        odd = df.copy()
        odd.iloc[-1, 0] *= factor
        scores.append(frames.anomalies(odd)["anomaly_score"].iloc[-1])
    assert scores == sorted(scores)
    assert scores[0] > 4
    assert scores[-1] > 20
    notable = shop(400, noise=0.05)
    assert "LOW" in set(frames.anomalies(notable, threshold=1.5)["business_impact"])


def test_weekdays_and_promotions_are_nothing_unusual() -> None:
    df = shop(400, noise=0.01)
    found = frames.anomalies(df)
    assert (found.index < df.index[120]).all(), "at most while promotions are new to it"
    constant = df.assign(sales_units=50.0, promotion_flag=0.0)
    assert frames.anomalies(constant).empty


def test_two_odd_days_are_both_found_and_the_frames_own_columns_stay() -> None:
    df = shop(300)
    df.iloc[[-6, -1], 0] = 5
    found = frames.anomalies(df)
    assert list(found.index[-2:]) == [df.index[-6], df.index[-1]]
    assert list(found.columns) == [*df.columns, "expected", "anomaly_score", "business_impact"]
    assert (found["anomaly_score"] >= 2.5).all()
    assert found["expected"].iloc[-1] == pytest.approx(df["sales_units"].iloc[-8], rel=0.6)
    early = df.iloc[:9].copy()
    with pytest.raises(InvalidInput):
        frames.anomalies(early)


def test_what_an_empty_shelf_sold_teaches_nothing() -> None:
    df = shop(200, noise=0.02).assign(stockout_flag=False, promotion_flag=0.0)
    df["sales_units"] = df["sales_units"].where(df.index.day_of_week < 0, 100.0)
    df.iloc[150:164, 0] = 0.0
    df.iloc[150:164, df.columns.get_loc("stockout_flag")] = True
    found = frames.anomalies(df)
    assert list(found.index) == list(df.index[150:164]), "all days without stock, and none after"


def test_the_frame_of_a_day_may_come_from_anywhere() -> None:
    """date_id may be a column; the rows may be in any order."""
    df = shop(100)
    shuffled = df.reset_index().sample(frac=1, random_state=1)
    assert frames.decompose(shuffled).trend.to_numpy() == pytest.approx(frames.decompose(df).trend.to_numpy())
    assert date(2024, 1, 1) == frames.series(shuffled).index[0].date()

"""Accuracy: published forecasts beside what happened, models beside the naives, against slow computations by hand."""

from __future__ import annotations

import datetime as dt
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from sqlalchemy import text

from trendcast.services import accuracy, forecast
from trendcast.services.forecast import RunInfo

LAST = dt.date(2026, 9, 27)
RUN = RunInfo(
    9, "quick", dt.date(2024, 1, 1), LAST, 91, 2, dt.datetime(2026, 9, 28, tzinfo=dt.UTC), True, False, None, {}
)


def recent(*errors: float, actual: float = 100.0) -> pd.DataFrame:
    """One series' last weeks, each so much too high."""
    weeks = pd.date_range("2026-07-06", periods=len(errors), freq="7D")
    return pd.DataFrame({"series_id": 1, "week": weeks, "mean": [actual * (1 + e) for e in errors], "actual": actual})


@pytest.mark.parametrize(
    ("errors", "value"),
    [
        ((0.2, 0.15, 0.11, 0.3), 0.19),
        ((-0.2, -0.15, -0.11, -0.3), -0.19),
        ((0.0, 0.0, 0.2, 0.15, 0.11, 0.3), 0.19),
        ((0.2, 0.15, 0.09, 0.3), None),  # one week was right
        ((0.2, 0.15, -0.11, 0.3), None),  # the other side
        ((0.2, 0.2, 0.2), None),  # three weeks are no run
        ((0.3, 0.3, 0.3, 0.3, 0.01), None),  # it is over
    ],
)
def test_a_run_of_bias_is_four_weeks_more_than_ten_percent_off_on_one_side(errors, value):
    found = accuracy.runs_of_bias(recent(*errors))
    assert found["value"].tolist() == ([] if value is None else [pytest.approx(value)])


def test_a_missing_week_breaks_a_run_of_bias():
    frame = recent(0.2, 0.2, 0.2, 0.2, 0.2)
    assert accuracy.runs_of_bias(frame.drop(index=2)).empty


def test_the_tracking_signal_is_the_sum_of_errors_over_their_mean_distance_and_must_matter():
    errors = [0.10, 0.08, -0.01, 0.12, 0.09, 0.05, 0.10, 0.09]
    found = accuracy.tracking_signals(recent(*errors))
    assert found["signal"].tolist() == [pytest.approx(sum(errors) / (sum(map(abs, errors)) / 8))]
    assert found["value"].tolist() == [pytest.approx(sum(errors) / 8)]
    assert accuracy.tracking_signals(recent(*errors[:7])).empty  # too few weeks
    assert accuracy.tracking_signals(recent(*[error / 3 for error in errors])).empty  # the same signal, but 3 %
    assert accuracy.tracking_signals(recent(*[0.05, -0.05] * 5)).empty
    assert accuracy.tracking_signals(recent(*[0.0] * 10)).empty


@pytest.fixture
def logged(db):
    """Two series with published forecasts of three Mondays, the last by a later run; and what was sold."""
    rng = np.random.default_rng(3)
    rows = []
    for series in (1, 2):
        for run_id, made in ((7, dt.date(2026, 9, 7)), (8, dt.date(2026, 9, 14)), (9, dt.date(2026, 9, 28))):
            for lag in range(1, 5):
                week = made + dt.timedelta(days=7 * (lag - 1))
                actual = 100.0 * series + week.day if week <= dt.date(2026, 9, 28) else None
                mean = 100.0 * series + float(rng.normal(0, 20))
                rows.append((series, week, lag, run_id, mean, actual))
    with db.transaction() as connection:
        for series in (1, 2):
            connection.execute(
                text("INSERT INTO series (level, product_category) VALUES ('category', :name)"), {"name": f"C{series}"}
            )
        for series, week, lag, run_id, mean, actual in rows:
            connection.execute(
                text(
                    "INSERT INTO forecast_log (series_id, week, lag_weeks, run_id, level, product_category, region,"
                    " store, mean, money, q10, q90, actual) VALUES (:s, :w, :l, :r, 'category', :c, '', '', :m, :money,"
                    " :low, :high, :a)"
                ),
                {"s": series, "w": week, "l": lag, "r": run_id, "c": f"C{series}", "m": mean, "money": 2 * mean}
                | {"low": mean - 15, "high": mean + 15, "a": actual},
            )
    return db, pd.DataFrame(rows, columns=["series_id", "week", "lag", "run_id", "mean", "actual"])


def test_the_triangle_sums_the_selection_and_knows_nothing_of_weeks_that_are_not_over(logged):
    db, rows = logged
    found = accuracy.triangle(db, RUN, [1, 2])
    for row in found.itertuples():
        same = rows[(rows["week"] == row.week.date()) & (rows["lag"] == row.lag_weeks)]
        assert row.mean == pytest.approx(same["mean"].sum())
        assert row.money == pytest.approx(2 * same["mean"].sum())
        assert row.made.date() == row.week.date() - dt.timedelta(days=7 * (row.lag_weeks - 1))
        if row.week.date() <= dt.date(2026, 9, 21):
            assert row.actual == same["actual"].sum()
        else:  # its truth came later than the run's data
            assert np.isnan(row.actual)
    assert len(found) == 12


def test_a_triangle_of_an_earlier_run_has_nothing_published_after_it(logged):
    db, _ = logged
    earlier = RunInfo(**{**vars(RUN), "id": 7, "last_day": dt.date(2026, 9, 6)})
    found = accuracy.triangle(db, earlier, [1])
    assert set(found["made"]) == {pd.Timestamp("2026-09-07")}
    assert found["actual"].isna().all()
    assert accuracy.by_lag(db, earlier, "category").empty


@pytest.mark.parametrize("ids", [(), (2,)])
def test_error_and_bias_by_lag_are_those_of_a_loop_over_the_log(logged, ids):
    db, rows = logged
    found = accuracy.by_lag(db, RUN, "category", ids).set_index("lag_weeks")
    scored = rows[rows["actual"].notna() & (rows["week"] <= dt.date(2026, 9, 21))]
    scored = scored[scored["series_id"].isin(ids or (1, 2))]
    assert set(found.index) == set(scored["lag"])
    for lag, one in scored.groupby("lag"):
        distance = sold = lean = inside = 0.0
        for row in one.itertuples():
            distance += abs(row.mean - row.actual)
            lean += row.mean - row.actual
            sold += row.actual
            inside += abs(row.mean - row.actual) <= 15
        assert found.loc[lag, "wape"] == pytest.approx(distance / sold)
        assert found.loc[lag, "bias"] == pytest.approx(lean / sold)
        assert found.loc[lag, "coverage80"] == pytest.approx(inside / len(one))
        assert (found.loc[lag, "n"], found.loc[lag, "weeks"]) == (len(one), one["week"].nunique())


def test_segments_are_the_accuracy_of_each_series_alone(demo_db):
    run = forecast.current_run(demo_db)
    index = forecast.series_index(demo_db, run.id)
    ids = index.loc[index["level"] == "category", "series_id"].tolist()
    found = accuracy.segments(demo_db, run, ids).set_index("series_id")
    assert set(found.index) == set(ids)
    for one in ids:
        alone = forecast.series_accuracy(demo_db, run.id, [one])
        assert found.loc[one, "wape"] == pytest.approx(alone["wape"]["combination"])
        assert found.loc[one, "bias"] == pytest.approx(alone["bias"]["combination"])
        assert found.loc[one, "naive"] == alone["best_naive"]
        best = min(v for k, v in alone["wape"].items() if not k.startswith("naive"))
        assert found.loc[one, "winner_wape"] == pytest.approx(best)
        assert found.loc[one, "margin"] == pytest.approx(1 - best / alone["wape"][alone["best_naive"]])


def test_the_leaderboard_ranks_by_error_and_measures_against_the_better_naive(demo_db):
    run = forecast.current_run(demo_db)
    figures = forecast.accuracy(demo_db, run.id, "category")
    board = accuracy.leaderboard(demo_db, run, "category")
    whole = {
        row.model: row.wape_weekly
        for row in figures.itertuples()
        if row.horizon_week == 0 and row.wape_weekly == row.wape_weekly
    }
    assert board["model"].tolist() == sorted(whole, key=whole.__getitem__)
    naive = min(whole[name] for name in ("naive7", "naive364") if name in whole)
    for row in board.itertuples():
        assert row.margin == pytest.approx((naive - whole[row.model]) / naive)
    assert "combination" in set(board["model"])


def test_the_staircase_goes_from_the_worse_naive_down_to_ours(demo_db):
    run = forecast.current_run(demo_db)
    index = forecast.series_index(demo_db, run.id)
    measured = forecast.series_accuracy(demo_db, run.id, index.loc[index["level"] == "total", "series_id"].tolist())
    steps = accuracy.staircase(measured)
    assert steps[-1].name == "combination"
    assert steps[0].name in accuracy.NAIVES
    assert steps[0].gain is None
    for before, step in pairwise(steps):
        assert step.gain == pytest.approx(1 - step.wape / before.wape)


def test_coverage_has_what_each_band_promises_beside_what_it_held(demo_db):
    run = forecast.current_run(demo_db)
    held = accuracy.coverage(demo_db, run)
    figures = forecast.accuracy(demo_db, run.id)
    for row in held[held["of"] == "days"].itertuples():
        same = figures[
            (figures["level"] == row.level)
            & (figures["horizon_week"] == row.horizon_week)
            & (figures["model"] == "combination")
        ].iloc[0]
        assert row.share == same[f"coverage{row.nominal * 100:.0f}"]
    assert set(held["nominal"]) == {0.8, 0.95}


def test_a_band_that_held_too_seldom_is_an_exception_of_its_level():
    figures = pd.DataFrame(
        {
            "level": ["category"],
            "model": ["combination"],
            "horizon_week": [0],
            "wape_weekly": [0.1],
            "coverage80": [0.6],
        }
        | {"quantile_n": [500.0], "bias": [0.0]}
    )
    words = accuracy.words(
        figures, accuracy.held_bands(figures), pd.DataFrame(columns=["kind", "sentence"]), "category"
    )
    assert "keep more in reserve than it says" in words
    assert "No series leans to one side." in words


def test_a_selection_is_told_by_its_own_backtest_and_not_planned_with_when_a_naive_is_better():
    measured = {
        "wape": {"combination": 0.398, "naive7": 0.5, "naive364": 0.3},
        "bias": {"combination": 0.1, "naive7": 0.0, "naive364": 0.0},
        "by_week": [0.14, None, 0.4],
    }
    own = accuracy.of_selection(measured)
    assert own.set_index(["model", "horizon_week"]).loc[("combination", 3), "wape_weekly"] == 0.4
    held = pd.DataFrame(
        [("category", 0, "days", 0.8, 0.81, 500.0)], columns=["level", "horizon_week", "of", "nominal", "share", "n"]
    )
    off = pd.DataFrame(columns=["kind", "sentence"])
    said = accuracy.words(own, held, off, "category", "Home & Garden").replace("\u202f", " ")
    assert said.startswith("Home & Garden: the forecast is off by 39.8 % of sales, no better than last year's sales")
    assert "plan with it" not in said
    assert "the 80 % band of days at category level held 81 %" in said


def test_published_bands_that_do_not_hold_are_named_by_the_rule_of_the_review(demo_db, monkeypatch):
    run = forecast.current_run(demo_db)
    index = forecast.series_index(demo_db, run.id).query("level == 'category'")
    ids = index["series_id"].tolist()
    plain = demo_db.frame

    def frame(name, **how):
        if name != "review_coverage":
            return plain(name, **how)
        return pd.DataFrame({"series_id": ids[:3], "weeks": [24, 23, 40], "inside": [14, 2, 30]})

    monkeypatch.setattr(demo_db, "frame", frame)
    found = accuracy.exceptions(demo_db, run)
    bands = found[(found["kind"] == "coverage") & (found["series_id"] > 0)]
    assert bands["series_id"].tolist() == ids[:1]  # 58 % of 24; 23 are too few; 75 % is near enough
    assert "too narrow" in bands["sentence"].iloc[0]
    assert "58" in bands["sentence"].iloc[0]


def test_the_exceptions_of_the_demo_name_their_series(demo_db):
    run = forecast.current_run(demo_db)
    found = accuracy.exceptions(demo_db, run)
    assert list(found.columns) == ["kind", "series_id", *accuracy.KEY, "value", "units", "sentence"]
    assert found["sentence"].str.endswith(".").all()
    assert accuracy.finding(demo_db, run, "category").startswith("At category level the forecast is off by")

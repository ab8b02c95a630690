"""Scores against slow loops that follow the definitions word by word, zeros and unscored days included."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest

from trendcast.forecasting import metrics

LEVELS = (0.025, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.975)
NAN = float("nan")


def case(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Truth with zeros and gaps, forecasts with gaps, sorted quantiles: (S, H), (S, H), (S, H, 9)."""
    rng = np.random.default_rng(seed)
    y = rng.poisson(3.0, (6, 21)).astype(float)
    f = np.abs(y + rng.normal(0, 2, y.shape))
    q = np.sort(rng.gamma(2, 2, (*y.shape, 9)), axis=-1)
    y[rng.random(y.shape) < 0.2] = np.nan
    f[rng.random(y.shape) < 0.1] = np.nan
    y[0] = 0
    y[1] = np.nan
    return y, f, q


def pairs(y: np.ndarray, f: np.ndarray) -> list[tuple[float, float]]:
    both = zip(y.ravel().tolist(), f.ravel().tolist(), strict=True)
    return [(a, b) for a, b in both if not (math.isnan(a) or math.isnan(b))]


def slow_wape(p: list[tuple[float, float]]) -> float:
    total = sum(a for a, _ in p)
    return sum(abs(b - a) for a, b in p) / total if total > 0 else NAN


def slow_bias(p: list[tuple[float, float]]) -> float:
    total = sum(a for a, _ in p)
    return sum(b - a for a, b in p) / total if total > 0 else NAN


def slow_mae(p: list[tuple[float, float]]) -> float:
    return sum(abs(b - a) for a, b in p) / len(p) if p else NAN


def slow_rmse(p: list[tuple[float, float]]) -> float:
    return math.sqrt(sum((b - a) ** 2 for a, b in p) / len(p)) if p else NAN


def slow_mape(p: list[tuple[float, float]]) -> float:
    p = [(a, b) for a, b in p if a > 0]
    return sum(abs(b - a) / a for a, b in p) / len(p) if p else NAN


def slow_zero_share(p: list[tuple[float, float]]) -> float:
    return sum(a == 0 for a, _ in p) / len(p) if p else NAN


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(
    ("score", "slow"),
    [
        (metrics.wape, slow_wape),
        (metrics.bias, slow_bias),
        (metrics.mae, slow_mae),
        (metrics.rmse, slow_rmse),
        (metrics.mape, slow_mape),
        (metrics.zero_share, slow_zero_share),
    ],
)
def test_point_scores_follow_their_definitions(seed: int, score: Callable, slow: Callable) -> None:
    y, f, _ = case(seed)
    assert score(y, f) == pytest.approx(slow(pairs(y, f)))
    rows = score(y, f, axis=1)
    assert rows == pytest.approx([slow(pairs(a, b)) for a, b in zip(y, f, strict=True)], nan_ok=True)
    days = score(y, f, axis=0)
    assert days == pytest.approx([slow(pairs(y[:, h], f[:, h])) for h in range(y.shape[1])], nan_ok=True)


def test_a_series_without_sales_has_no_relative_score() -> None:
    y, f = np.zeros((1, 7)), np.ones((1, 7))
    for score in (metrics.wape, metrics.bias, metrics.mape):
        assert math.isnan(score(y, f))
    assert metrics.mae(y, f) == 1
    assert metrics.zero_share(y, f) == 1


def test_nothing_scored_is_not_a_number_and_not_zero() -> None:
    y = np.full((2, 3), np.nan)
    q = np.zeros((2, 3, 9))
    for score in (metrics.wape, metrics.bias, metrics.mae, metrics.rmse, metrics.mape, metrics.zero_share):
        assert math.isnan(score(y, np.ones((2, 3))))
    assert math.isnan(metrics.pinball(y, q, LEVELS))
    assert math.isnan(metrics.coverage(y, y - 1, y + 1))


@pytest.mark.parametrize("seed", range(3))
def test_scaled_errors_divide_by_the_in_sample_error_of_last_week(seed: int) -> None:
    y, f, q = case(seed)
    rng = np.random.default_rng(seed)
    history = rng.poisson(4.0, (6, 60)).astype(float)
    history[rng.random(history.shape) < 0.1] = np.nan
    history[2] = 5.0  # never moves: there is nothing to scale by
    for i in range(6):
        steps = [
            history[i, t] - history[i, t - 7]
            for t in range(7, 60)
            if not math.isnan(history[i, t]) and not math.isnan(history[i, t - 7])
        ]
        scale = sum(abs(s) for s in steps) / len(steps)
        scored = pairs(y[i], f[i])
        mase = slow_mae(scored) / scale if scale > 0 else NAN
        got = metrics.mase(y, f, metrics.seasonal_scale(history))
        assert got[i] == pytest.approx(mase, nan_ok=True)
        loss = [slow_pinball(y[i, h], q[i, h]) for h in range(y.shape[1]) if not math.isnan(y[i, h])]
        sql = 2 * sum(loss) / len(loss) / scale if loss and scale > 0 else NAN
        got = metrics.scaled_pinball(y, q, LEVELS, metrics.seasonal_scale(history))
        assert got[i] == pytest.approx(sql, nan_ok=True)


def test_a_history_of_one_week_has_no_scale() -> None:
    assert np.isnan(metrics.seasonal_scale(np.ones((2, 7)))).all()


def slow_pinball(y: float, q: np.ndarray) -> float:
    return sum(p * (y - v) if y >= v else (1 - p) * (v - y) for p, v in zip(LEVELS, q, strict=True)) / len(LEVELS)


@pytest.mark.parametrize("seed", range(3))
def test_quantile_scores_follow_their_definitions(seed: int) -> None:
    y, _, q = case(seed)
    where = [(i, h) for i in range(y.shape[0]) for h in range(y.shape[1]) if not math.isnan(y[i, h])]
    loss = [slow_pinball(y[i, h], q[i, h]) for i, h in where]
    assert metrics.pinball(y, q, LEVELS) == pytest.approx(sum(loss) / len(loss))
    assert metrics.wql(y, q, LEVELS) == pytest.approx(2 * sum(loss) / sum(y[i, h] for i, h in where))


def test_a_point_repeated_as_every_quantile_scores_its_absolute_error() -> None:
    y, f, _ = case(1)
    deciles = np.arange(1, 10) / 10
    q = np.repeat(f[..., None], 9, axis=-1)
    assert metrics.wql(y, q, deciles) == pytest.approx(metrics.wape(y, f))


def test_coverage_counts_the_ends_and_leaves_out_what_is_not_known() -> None:
    y = np.array([0.0, 1.0, 2.0, 3.0, np.nan])
    assert metrics.coverage(y, np.full(5, 1.0), np.full(5, 2.0)) == 0.5


def test_weeks_are_whole_and_known_or_not_there() -> None:
    values = np.arange(2 * 16, dtype=float).reshape(2, 16)
    values[1, 3] = np.nan
    weeks = metrics.weekly(values)
    assert weeks.shape == (2, 2)
    assert weeks[0].tolist() == [21, 70]
    assert math.isnan(weeks[1, 0])
    assert metrics.weekly(values, [2])[0].tolist() == [35]
    assert metrics.weekly(values[:, :6]).shape == (2, 0)

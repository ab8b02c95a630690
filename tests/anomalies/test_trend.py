"""What a lasting change is called: a step, a slope or a jolt that fades."""

from __future__ import annotations

import numpy as np
import pytest

from tests.anomalies.scenes import FIRST, noisy, scene
from trendcast.anomalies import incidents, trend
from trendcast.anomalies.detect import detect

DAYS = 240


def shape(cls: str, begun: int, amplitude: float) -> np.ndarray:
    since = np.arange(trend.WINDOW) - begun
    slope = {
        "LEVEL_SHIFT": since >= 0,
        "TREND_CHANGE": np.maximum(since + 1, 0),
        "TEMPORARY": 0.7**since * (since >= 0),
    }
    return amplitude * slope[cls]


@pytest.mark.parametrize("cls", ["LEVEL_SHIFT", "TREND_CHANGE", "TEMPORARY"])
def test_each_shape_is_known_by_what_it_explains(cls: str) -> None:
    rng = np.random.default_rng(3)
    amplitude = {"LEVEL_SHIFT": -0.25, "TREND_CHANGE": -0.04, "TEMPORARY": -0.9}[cls]
    right = [trend.lasting(shape(cls, 5, amplitude) + rng.normal(0, 0.05, 14), np.full(14, 0.05)) for _ in range(200)]
    assert np.mean([one == cls for one in right]) >= 0.9


def test_what_a_shape_explains_is_what_least_squares_leave() -> None:
    rng = np.random.default_rng(1)
    rest, sigma = rng.normal(0.2, 0.3, 14), rng.uniform(0.05, 0.2, 14)
    rest[4] = np.nan
    known = np.isfinite(rest)
    for name, shapes in trend.shapes(14).items():
        gains = []
        for row in shapes:
            left, own = rest[known] / sigma[known], row[known] / sigma[known]
            fit = np.linalg.lstsq(own[:, None], left, rcond=None)[0][0]
            gains.append((left**2).sum() - ((left - fit * own) ** 2).sum())
        assert trend.gains(rest, sigma)[name] == pytest.approx(gains)


def test_a_slope_begins_as_it_looks_and_ends_as_a_change_of_trend() -> None:
    """Its class is updated in place: one entry, not one for each day."""
    classes = []
    for seed in range(6):
        units = noisy(40, DAYS, sd=0.04, seed=seed, level=2000)
        units[8, -14:] = np.round(units[8, -14:] * 0.97 ** np.arange(1, 15))
        found = detect(scene(units), np.arange(DAYS - 14, DAYS))
        mine = [one for one in incidents.gather(found.entries, [], FIRST) if one.key[1] == "C008"]
        assert len(mine) == 1
        classes.append(mine[0].cls)
    assert classes.count("TREND_CHANGE") >= 5


def test_a_step_is_no_slope() -> None:
    classes = []
    for seed in range(6):
        units = noisy(40, DAYS, sd=0.04, seed=seed, level=2000)
        units[8, -10:] = np.round(units[8, -10:] * 0.75)
        found = detect(scene(units), np.arange(DAYS - 10, DAYS))
        (mine,) = [one for one in incidents.gather(found.entries, [], FIRST) if one.key[1] == "C008"]
        classes.append(mine.cls)
    assert classes.count("LEVEL_SHIFT") >= 5


def test_a_step_that_fits_best_from_today_on_is_not_yet_known_to_be_one() -> None:
    rest, sigma = np.zeros(14), np.full(14, 0.1)
    rest[-1] = 0.6
    assert trend.of_today(rest, sigma)
    rest[-3:] = 0.3
    assert not trend.of_today(rest, sigma)

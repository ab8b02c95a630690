"""Samples of demand over an interval: their quantiles hold, and the shortcuts they replace do not."""

from __future__ import annotations

import numpy as np
import pytest

from trendcast.inventory import demand


def blocks(daily: np.ndarray, mean: float) -> np.ndarray:
    return daily / mean


def test_quantiles_of_days_do_not_add_up() -> None:
    """14 independent Poisson(20) days: their 95 % quantiles add up to 392, that of their sum is 308."""
    rng = np.random.default_rng(1)
    past = rng.poisson(20, (3000, 14)).astype(float)
    added = 14 * demand.quantile(past, 0.95)
    assert added == pytest.approx(392)
    drawn = demand.paths(
        np.full(14, 20.0), past / 20, np.ones(3000), np.zeros((0, 14)), np.zeros(0), 0.1, seed=2, count=20_000
    )
    assert demand.quantile(drawn.sum(axis=1), 0.95) == pytest.approx(308, abs=2)


def test_random_lead_times_need_their_own_quantile() -> None:
    """Gamma demand, lead times 7, 7, 7, 10, 14, 21: the normal formula says 397, without their variance 274; the truth
    is 443."""
    rng = np.random.default_rng(3)
    observed = np.array([7, 7, 7, 10, 14, 21])
    daily = rng.gamma(4, 5, (40_000, 21))
    lead = demand.draw_lead_times(observed, 1.0, seed=4, count=40_000)
    samples = demand.over(np.cumsum(daily, axis=1), lead)
    assert np.unique(lead).tolist() == [7, 10, 14, 21]
    assert samples.std() == pytest.approx(107.7, abs=1.5), "the formula's deviation is right"
    assert samples.mean() + 1.645 * samples.std() == pytest.approx(397, abs=3)
    assert demand.quantile(samples, 0.95) == pytest.approx(443, abs=4)
    ignored = 220 + 1.645 * np.sqrt(11 * 100)
    assert ignored == pytest.approx(274, abs=1)
    assert (samples <= ignored).mean() == pytest.approx(0.74, abs=0.02)


def test_a_path_keeps_the_errors_of_one_origin_together() -> None:
    """Blocks that are all too high or all too low: independent days would have a narrow sum, these do not."""
    own = np.vstack([np.full((10, 28), 0.5), np.full((10, 28), 1.5)])
    drawn = demand.paths(np.full(28, 10.0), own, np.ones(20), np.zeros((0, 28)), np.zeros(0), 0.5, seed=5)
    assert set(np.unique(drawn.sum(axis=1))) == {140.0, 420.0}


def test_the_same_seed_draws_the_same_paths_and_scale_scales_them() -> None:
    rng = np.random.default_rng(6)
    own, pool = rng.gamma(20, 1 / 20, (13, 28)), rng.normal(0, 1, (50, 28)).astype(np.float32)
    mean = rng.uniform(5, 20, 28)
    draw = [
        demand.paths(mean * size, own, np.ones(13), pool, np.ones(50), 0.2, seed=seed)
        for size, seed in ((1, 7), (1, 7), (10, 7), (1, 8))
    ]
    assert np.array_equal(draw[0], draw[1])
    assert draw[2] == pytest.approx(10 * draw[0], rel=1e-5)
    assert not np.array_equal(draw[0], draw[3])
    assert (draw[0] >= 0).all()


def test_beyond_the_forecast_the_last_weeks_go_on() -> None:
    own = np.ones((13, 28))
    mean = np.arange(1.0, 29.0)
    drawn = demand.paths(mean, own, np.ones(13), np.zeros((0, 28)), np.zeros(0), 0.1, seed=1, days=60)
    assert drawn.shape[1] == 60
    assert drawn[0] == pytest.approx(np.r_[mean, mean, mean[:4]])


def test_a_block_with_an_unknown_end_repeats_its_last_weeks_and_a_short_one_is_left_out() -> None:
    means = np.full((2, 1, 56), 10.0)
    truth = np.full((2, 1, 56), 12.0)
    truth[0, 0, 40:] = np.nan
    truth[1, 0, 20:] = np.nan
    truth[0, 0, 5] = np.nan  # a lost feed
    found, known = demand.ratios(truth, means)
    assert known[:, 0].tolist() == [40, 20]
    assert found[0, 0, 5] == 1.0
    assert np.delete(found[0, 0], 5) == pytest.approx(1.2)
    assert np.isnan(found[1]).all()


def test_nothing_to_learn_from_still_gives_samples_around_the_forecast() -> None:
    library = demand.library(np.empty((0, 2, 91)), np.empty((0, 2, 91)), np.empty(0))
    assert not library.measured
    drawn = demand.paths(
        np.full(91, 10.0), library.ratios[:, 0], library.weights, library.pool, library.pool_weight,
        float(library.scale[0]), seed=1,
    )  # fmt: skip
    assert drawn.mean() == pytest.approx(10, rel=0.05)
    assert drawn.sum(axis=1).std() > 0


def drifting(categories: int, days: int, seed: int) -> np.ndarray:
    """Daily demand whose level wanders, with a week and clumps (categories, days)."""
    rng = np.random.default_rng(seed)
    level = np.exp(rng.normal(4, 1, categories))[:, None] * np.exp(
        np.cumsum(rng.normal(0, 0.02, (categories, days)), axis=1)
    )
    week = 1 + 0.3 * np.sin(2 * np.pi * np.arange(days) / 7)
    clump = rng.gamma(8, 1 / 8, (categories, days))
    return rng.poisson(level * week * clump).astype(float)


def smoothed(past: np.ndarray, horizon: int) -> np.ndarray:
    """An honest forecast (categories, horizon) of what follows: exponential smoothing of weeks, shape of the week."""
    weeks = past.reshape(len(past), -1, 7)
    level = weeks[:, 0].sum(axis=1)
    for w in range(1, weeks.shape[1]):
        level = level + 0.3 * (weeks[:, w].sum(axis=1) - level)
    shape = weeks[:, -26:].sum(axis=1)
    shape = shape / np.maximum(shape.sum(axis=1, keepdims=True), 1)
    return np.tile(level[:, None] * shape, (1, horizon // 7))


def test_protection_interval_quantiles_hold_as_often_as_they_say() -> None:
    """2,400 category-windows of simulated demand, each with the errors known before it: within 3 points of nominal."""
    categories, horizon, step = 100, 28, 28
    first, count, learnt = 364, 37, 13
    days = first + count * step + horizon
    sold = drifting(categories, days, seed=11)
    origins = first + step * np.arange(count)
    means = np.stack([smoothed(sold[:, :origin], horizon) for origin in origins])
    truth = np.stack([sold[:, origin : origin + horizon] for origin in origins])
    protection = 15
    held: dict[float, list[np.ndarray]] = {0.8: [], 0.9: [], 0.95: [], 0.98: []}
    for at in range(learnt, count):
        known = slice(at - learnt, at)
        library = demand.library(truth[known], means[known], np.ones(learnt))
        actual = truth[at][:, :protection].sum(axis=1)
        samples = [
            demand.paths(
                means[at, c, :protection], library.ratios[:, c, :protection], library.weights,
                library.pool[:, :protection], library.pool_weight, float(library.scale[c]), seed=c,
            ).sum(axis=1)
            for c in range(categories)
        ]  # fmt: skip
        for level, found in held.items():
            found.append(actual <= np.array([demand.quantile(one, level) for one in samples]))
    for level, found in held.items():
        assert len(found) * categories >= 2000
        assert np.mean(found) == pytest.approx(level, abs=0.03), level


def test_ranks_of_the_past_are_uniform_when_errors_repeat() -> None:
    """Where past demand lay among what other origins would have given: what the page calls realised service."""
    rng = np.random.default_rng(12)
    means = np.full((13, 60, 91), 20.0)
    truth = rng.poisson(20 * rng.gamma(30, 1 / 30, (13, 60, 1)) * np.ones(91)).astype(float)
    truth[-1, :, 20:] = np.nan
    library = demand.library(truth, means, np.ones(13))
    ranks = demand.past_ranks(library, means, np.full(60, 15))
    assert ranks.shape == (52, 60)
    assert np.isnan(ranks[-4:]).all(), "what is not known of the newest origin is not scored"
    known = ranks[np.isfinite(ranks)]
    for level in (0.5, 0.8, 0.95):
        assert (known <= level).mean() == pytest.approx(level, abs=0.04)

"""Intervals hold what they promise, stay in order, and are wide where little is known."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trendcast.forecasting import intervals


def noisy(rng, origins, series, horizon):
    means = rng.gamma(4, 30, (1, series, 1)) * np.ones((origins, 1, horizon))
    spread = 0.1 + 0.2 * rng.random((1, series, 1))
    return means, np.expm1(np.log1p(means) + spread * rng.standard_t(5, means.shape))


@pytest.mark.parametrize("seed", [0, 1])
def test_they_cover_what_they_promise_on_new_windows(seed):
    rng = np.random.default_rng(seed)
    means, truth = noisy(rng, 26, 60, 28)
    segment = np.zeros(60, int)
    calibration = intervals.Calibration.fit(truth[:13], means[:13], segment, ends=intervals.DAY_BUCKETS)
    quantiles = calibration.quantiles(means[0])
    new = truth[13:]
    inside80 = ((new >= quantiles[:, :, 2]) & (new <= quantiles[:, :, 6])).mean()
    inside95 = ((new >= quantiles[:, :, 0]) & (new <= quantiles[:, :, 8])).mean()
    assert inside80 == pytest.approx(0.80, abs=0.02)
    assert inside95 == pytest.approx(0.95, abs=0.015)


def test_small_cells_are_conservative():
    """(n + 1): of 19 scores the largest is the 95 % quantile of the next one, not the 97.5 % one."""
    scores = np.arange(19.0)
    found = dict(zip(intervals.LEVELS, intervals.corrected_quantiles(scores), strict=True))
    assert found[0.975] == scores[-1]
    assert found[0.025] == scores[0]
    assert found[0.90] > np.quantile(scores, 0.90)
    assert found[0.50] == 9.0


def test_scores_that_share_their_origins_mistake_count_for_less():
    rng = np.random.default_rng(2)
    known = np.ones((13, 84), bool)
    alone = intervals.effective_number(rng.normal(size=(13, 84)), known)
    shared = intervals.effective_number(rng.normal(size=(13, 1)) + 0.1 * rng.normal(size=(13, 84)), known)
    assert alone > 500
    assert shared == pytest.approx(13, abs=1)
    wide = intervals.corrected_quantiles(rng.normal(size=1092), independent=13)
    assert wide[-1] > intervals.corrected_quantiles(rng.normal(size=1092))[-1]


def test_equal_weights_are_no_weights_and_zero_weight_is_absence():
    rng = np.random.default_rng(0)
    scores = rng.normal(size=400)
    plain = intervals.corrected_quantiles(scores)
    assert intervals.corrected_quantiles(scores, np.full(400, 0.3)) == pytest.approx(plain)
    both = intervals.corrected_quantiles(np.r_[scores, np.full(50, 99.0)], np.r_[np.ones(400), np.full(50, 1e-12)])
    assert both == pytest.approx(plain, abs=1e-6)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.floats(0, 1e7), min_size=12, max_size=12), st.integers(0, 3))
def test_they_are_monotone_and_never_negative(values, missing):
    means = np.array(values).reshape(1, 3, 4)
    truth = means[:, :, ::-1].copy()
    truth[0, 0, :missing] = np.nan
    calibration = intervals.Calibration.fit(truth, means, np.zeros(3, int), ends=(1, 2))
    quantiles = calibration.quantiles(means[0])
    assert np.isfinite(quantiles).all()
    assert (quantiles >= 0).all()
    assert (np.diff(quantiles, axis=2) >= 0).all()
    assert (quantiles[means[0] == 0] == 0).all()


def test_with_nothing_measured_they_are_wide_and_say_so():
    calibration = intervals.unscored(2, np.zeros(2, int), intervals.DAY_BUCKETS)
    assert not calibration.measured
    quantiles = calibration.quantiles(np.full((2, 91), 100.0))
    assert (quantiles[:, :, 0] < 50).all()
    assert (quantiles[:, :, 8] > 200).all()


def test_a_cell_learns_its_own_horizon():
    rng = np.random.default_rng(0)
    means = np.full((13, 50, 28), 100.0)
    growing = np.where(np.arange(28) < 7, 0.05, 0.3)
    truth = np.expm1(np.log1p(means) + growing * rng.normal(size=means.shape))
    calibration = intervals.Calibration.fit(truth, means, np.zeros(50, int), ends=(7,))
    quantiles = calibration.quantiles(means[0])
    width = quantiles[0, :, 8] - quantiles[0, :, 0]
    assert width[-1] > 4 * width[0]


@pytest.mark.parametrize(
    ("level", "name"), [(0.025, "q025"), (0.05, "q05"), (0.1, "q10"), (0.5, "q50"), (0.975, "q975")]
)
def test_quantile_columns_have_the_names_of_the_contract(level, name):
    assert intervals.column(level) == name

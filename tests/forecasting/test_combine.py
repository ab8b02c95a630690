"""The combination: weights on the simplex, learnt per segment, never from a broken member."""

import numpy as np
import pandas as pd
import pytest

from trendcast.forecasting import combine


def made_up(origins=8, series=40, horizon=28, seed=0):
    rng = np.random.default_rng(seed)
    truth = rng.gamma(5, 20, (origins, series, horizon))
    noise = rng.normal(0, 20, (2, origins, series, horizon))
    return truth, np.stack([truth + noise[0], truth + noise[1], np.full_like(truth, truth.mean() * 3)])


def test_weights_are_shares_and_a_bad_member_gets_none():
    truth, forecasts = made_up()
    weights = combine.fit_weights(forecasts, truth, np.zeros(40, int))
    assert weights.sum(axis=1) == pytest.approx(1)
    assert (weights >= 0).all()
    assert weights[0, 2] == 0
    assert weights[0, 0] == pytest.approx(0.5, abs=0.1)


def test_weights_beat_every_grid_point_before_shrinking(monkeypatch):
    """Against a slow search over the simplex: no mixture of the two good members has a clearly smaller error."""
    monkeypatch.setattr(combine, "SHRINKAGE", 0.0)
    truth, forecasts = made_up(seed=3)
    forecasts[1] = truth + 2 * (forecasts[1] - truth) * 0.6
    w = combine.fit_weights(forecasts[:2], truth, np.zeros(40, int))[0]

    def error(share):
        return np.abs(truth - share * forecasts[0] - (1 - share) * forecasts[1]).sum()

    best = min(error(share) for share in np.linspace(0, 1, 201))
    assert error(w[0]) <= best * 1.002


def test_few_origins_mean_equal_weights():
    truth, forecasts = made_up(origins=3)
    assert combine.fit_weights(forecasts, truth, np.zeros(40, int)) == pytest.approx(1 / 3)


def test_truth_not_yet_known_is_not_learnt_from():
    truth, forecasts = made_up()
    hidden = truth.copy()
    hidden[-1, :, 7:] = np.nan
    changed = forecasts.copy()
    changed[:, -1, :, 7:] *= 100
    one = combine.fit_weights(forecasts, hidden, np.zeros(40, int))
    assert np.array_equal(one, combine.fit_weights(changed, hidden, np.zeros(40, int)))


def test_a_member_that_is_not_finite_is_left_out_of_that_day():
    forecasts = np.array([[[10.0, np.nan]], [[20.0, 20.0]]])
    result = combine.combine(forecasts, np.array([[0.5, 0.5]]), np.array([100.0]))
    assert result.tolist() == [[15.0, 20.0]]


def test_no_day_is_forecast_beyond_three_times_the_largest_ever_sold():
    result = combine.combine(np.full((1, 1, 2), 1e9), np.ones((1, 1)), np.array([7.0]))
    assert result.tolist() == [[21.0, 21.0]]


def test_segments_are_levels_and_volume_classes_of_large_levels():
    nodes = pd.DataFrame({"level": ["total"] + ["store"] * 90})
    segment = combine.segments(nodes, np.r_[1e6, np.arange(90.0)])
    assert segment[0] == 0
    assert [int((segment == s).sum()) for s in range(1, 4)] == [30, 30, 30]
    assert segment[1] < segment[-1]


def test_a_common_growth_is_taken_out_and_noise_is_not():
    said = np.full((13, 56), 1000.0)
    steady = combine.drift(said * 1.05, said)
    assert steady == pytest.approx(1.05, abs=0.002)
    noisy = combine.drift(said * np.exp(np.random.default_rng(0).normal(0, 0.3, (13, 1))), said)
    assert np.abs(noisy - 1).max() < 0.03
    assert combine.drift(said[:1] * 1.3, said[:1]) == pytest.approx(1.0)
    assert combine.drift(np.zeros((3, 56)), said[:3]) == pytest.approx(1.0)

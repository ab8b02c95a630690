"""The ARIMA member: its batched filter is statsmodels', its parameters stay, its failures stay small."""

from __future__ import annotations

import sys
import warnings

import numpy as np
import pandas as pd
import pytest

from trendcast.forecasting import arima, baselines, metrics
from trendcast.panel import Hierarchy, Panel

WEEKS, AHEAD = 120, 12


def weekly(seed: int, gap: bool) -> np.ndarray:
    rng = np.random.default_rng(seed)
    z = 0.3 + np.cumsum(rng.normal(0, 0.03, WEEKS)) + rng.normal(0, 0.05, WEEKS)
    if gap:
        z[40:43] = np.nan
    return z


@pytest.mark.parametrize("order", [(0, 1), (1, 1), (2, 1), (1, 2), (0, 2)])
@pytest.mark.parametrize("gap", [False, True])
def test_filtering_all_series_at_once_is_what_statsmodels_does_one_by_one(order: tuple[int, int], gap: bool) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from statsmodels.tsa.arima.model import ARIMA

    p, q = order
    ours, theirs = [], []
    values = {(1, 0): [0.4], (2, 0): [0.4, 0.2], (0, 1): [-0.6], (0, 2): [-0.5, 0.1], (0, 0): []}
    ar, ma = values[(p, 0)], values[(0, q)]
    for seed in range(4):
        z = weekly(seed, gap)
        model = ARIMA(z[:60], order=(p, 1, q), trend="n")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            fitted = model.smooth([*ar, *ma, 0.002])
            theirs.append(fitted.apply(z, refit=False).forecast(AHEAD))
        arma = np.zeros((1, 4))
        arma[0, :p], arma[0, 2 : 2 + q] = ar, ma
        ours.append(arima.kalman(arma, z[None, :, None], AHEAD)[1][0, :, 0])
    np.testing.assert_allclose(np.array(ours), np.array(theirs), atol=2e-5)


def test_filtering_a_batch_is_filtering_each() -> None:
    z = np.stack([weekly(seed, seed == 2) for seed in range(5)])
    rng = np.random.default_rng(0)
    arma = np.column_stack([rng.uniform(-0.5, 0.5, 5), np.zeros(5), rng.uniform(-0.8, 0.2, 5), np.zeros(5)])
    together = arima.kalman(arma, z[:, :, None], AHEAD)[1]
    for i in range(5):
        alone = arima.kalman(arma[i : i + 1], z[i : i + 1, :, None], AHEAD)[1]
        np.testing.assert_allclose(together[i : i + 1], alone, atol=1e-12)


def test_the_waves_of_a_series_are_found() -> None:
    day = arima.week_middles(np.datetime64("2024-06-30"), 208)
    beta = np.array([0.2, -0.05, 0.1, 0.03])
    rng = np.random.default_rng(2)
    z = arima.fourier(day, 2) @ beta + rng.normal(0, 0.03, 208)
    rest = arima.without_waves(z[None], day, 2)[0]
    assert np.std(rest - rest.mean()) == pytest.approx(0.03, rel=0.2)


def retailer(days: int = 1200, categories: int = 3, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    dates = pd.date_range("2020-06-01", periods=days)
    level = np.exp(np.cumsum(rng.normal(0, 0.01, (categories, days)), axis=1))
    wave = 1 + 0.25 * np.sin(2 * np.pi * np.arange(days) / 365.25)
    week = np.array([1, 0.9, 0.9, 1, 1.2, 1.5, 0.5])[dates.day_of_week]
    parts = [
        pd.DataFrame({"date_id": dates, "product_category": f"c{c}", "region": region,
                      "sales_units": rng.poisson(size * level[c] * wave * week)})
        for c in range(categories) for region, size in (("N", 80), ("S", 20))
    ]  # fmt: skip
    return pd.concat(parts, ignore_index=True)


@pytest.fixture(scope="module")
def bottom() -> Panel:
    return Panel.from_frames(retailer())


def test_it_beats_last_week_and_last_year_where_levels_wander(bottom: Panel) -> None:
    hierarchy = Hierarchy.of(bottom.series)
    truth = hierarchy.panel(bottom).units
    state, score = None, {"arima": [], "naive7": [], "naive364": []}
    for back in (252, 168, 84):
        history = bottom.history - back
        panel = hierarchy.panel(bottom.as_of(history))
        said = arima.forecast(panel, 84, state=state)
        state = said.extras["state"]
        y = truth[:, history : history + 84]
        score["arima"].append(metrics.wape(y, said.mean))
        score["naive7"].append(metrics.wape(y, baselines.naive7(panel, 84).mean))
        score["naive364"].append(metrics.wape(y, baselines.naive364(panel, 84).mean))
    mean = {name: np.mean(values) for name, values in score.items()}
    assert mean["arima"] < mean["naive364"]
    assert mean["arima"] < mean["naive7"]


def test_parameters_are_fitted_once_and_filtered_forward(bottom: Panel, monkeypatch: pytest.MonkeyPatch) -> None:
    hierarchy = Hierarchy.of(bottom.series)
    first = arima.forecast(hierarchy.panel(bottom.as_of(bottom.history - 28)), 28)

    def refuse(*_: object) -> None:
        raise AssertionError("fitted again")

    monkeypatch.setattr(arima, "_maximum_likelihood", refuse)
    later = arima.forecast(hierarchy.panel(bottom), 28, state=first.extras["state"])
    assert later.extras["state"] == first.extras["state"]
    assert not np.array_equal(later.mean, first.mean)


def test_a_category_that_is_new_after_the_fit_takes_the_typical_parameters() -> None:
    facts = retailer(categories=4)
    late = (facts["product_category"] == "c3") & (facts["date_id"] < "2023-04-01")
    panel = Panel.from_frames(facts[~late])
    hierarchy = Hierarchy.of(panel.series)
    early = arima.forecast(hierarchy.panel(panel.as_of(panel.history - 200)), 28)
    mean = arima.forecast(hierarchy.panel(panel), 28, state=early.extras["state"]).mean
    fresh = (hierarchy.nodes["product_category"] == "c3").to_numpy()
    assert np.isfinite(mean).all()
    assert (mean[fresh] > 0).all()


def test_fits_that_fail_leave_the_recent_level_and_are_told(bottom: Panel, monkeypatch: pytest.MonkeyPatch) -> None:
    import statsmodels.tsa.arima.model as model

    def broken(*_: object, **__: object) -> None:
        raise np.linalg.LinAlgError("no luck")

    monkeypatch.setattr(model, "ARIMA", broken)
    said = arima.forecast(Hierarchy.of(bottom.series).panel(bottom), 28)
    assert np.isfinite(said.mean).all()
    assert (said.mean > 0).all()
    assert said.extras["state"]["total"].trouble[0] == "LinAlgError: no luck"


@pytest.mark.parametrize("days", [1, 8, 100, 300])
def test_short_histories_are_forecast_all_the_same(days: int) -> None:
    panel = Hierarchy.of((one := Panel.from_frames(retailer(days=days, categories=1))).series).panel(one)
    mean = arima.forecast(panel, 91).mean
    assert np.isfinite(mean).all()
    assert (mean >= 0).all()
    assert mean.sum() > 0


def test_statsmodels_is_not_imported_before_a_forecast() -> None:
    """It takes seconds; services that only read stored forecasts must not pay for it."""
    import subprocess

    code = "import sys, trendcast.forecasting.arima; sys.exit('statsmodels' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0

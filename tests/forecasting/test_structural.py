"""The structural solver is Prophet's model, solved: against dense and slow truths, and against stock Prophet itself."""

import logging
import time
from dataclasses import asdict

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from trendcast.forecasting.structural import StructuralFit, StructuralSettings, fit, fourier, lasso

DATES = np.datetime64("2022-01-01") + np.arange(884)
HISTORY, HORIZON = 800, 84
SMALL = StructuralSettings(changepoints=8, yearly_order=3)


def retailer(series=4, seed=0, missing=0.1):
    """Units (series, history) with a bend, waves, two holidays by region, a promotion and a continuous regressor."""
    rng = np.random.default_rng(seed)
    days = np.arange(len(DATES))
    holidays = np.zeros((2, len(DATES), 2))
    holidays[0, 50::183, 0] = holidays[1, 70::183, 0] = holidays[:, 100::365, 1] = 1
    own = np.stack([rng.random((series, len(DATES))) < 0.15, 5 + 2 * rng.random((series, len(DATES)))], 2).astype(float)
    group = np.arange(series) % 2
    wave = 1 + 0.2 * np.sin(2 * np.pi * days / 365.25) + 0.3 * np.cos(2 * np.pi * days / 7)
    trend = 1 + 0.3 * days / 800 - 0.5 * np.maximum(days - 400, 0) / 800
    factor = trend * wave + 0.4 * own[:, :, 0] + 0.05 * own[:, :, 1] + 0.5 * holidays[group][:, :, 0]
    units = rng.gamma(2, 40, series)[:, None] * factor * rng.lognormal(0, 0.1, factor.shape)
    units = np.round(units[:, :HISTORY])
    units[rng.random(units.shape) < missing] = np.nan
    return {"y": units, "dates": DATES, "group": group, "group_regressors": holidays, "own_regressors": own}


def dense(made, row, s=SMALL):
    """Design matrix of the observed days, column by column as prophet's source describes it, with y scaled."""
    y = made["y"][row]
    seen = np.flatnonzero(~np.isnan(y))
    first, last = seen[0], seen[-1]
    t = (np.arange(len(made["dates"])) - first) / (last - first)
    reach = int(np.floor(len(seen) * s.changepoint_range))
    picks = np.linspace(0, reach - 1, s.changepoints + 1).round().astype(int)[1:]
    columns = [t, np.ones_like(t)] + [np.maximum(t - t[seen[p]], 0) for p in picks]
    day = made["dates"].astype(int)
    for period, order in ((365.25, s.yearly_order), (7, s.weekly_order)):
        for k in range(1, order + 1):
            columns += [np.sin(2 * np.pi * k * day / period), np.cos(2 * np.pi * k * day / period)]
    columns += list(made["group_regressors"][made["group"][row]].T)
    for x in made["own_regressors"][row].T:
        binary = set(np.unique(x[seen])) <= {0.0, 1.0}
        columns.append(x if binary else (x - x[seen].mean()) / x[seen].std(ddof=1))
    scale = np.abs(y[seen]).max()
    return np.stack(columns, 1), seen, y[seen] / scale, scale


def slow_log_posterior(design, z, theta, sigma, s=SMALL):
    """prophet.stan's target, one number at a time."""
    total = 0.0
    for row, value in zip(design, z, strict=True):
        error = value - sum(a * b for a, b in zip(row, theta, strict=True))
        total += -np.log(sigma) - 0.5 * (error / sigma) ** 2
    for j, value in enumerate(theta):
        if j < 2:
            total -= 0.5 * (value / 5) ** 2
        elif j < 2 + s.changepoints:
            total -= abs(value) / s.changepoint_prior
        else:
            total -= 0.5 * (value / 10) ** 2
    return total - 0.5 * (sigma / 0.5) ** 2


def test_the_log_posterior_is_the_one_of_the_slow_formula():
    made = retailer(2)
    fitted = fit(**made, settings=SMALL)
    for row in range(2):
        design, seen, z, _ = dense(made, row)
        slow = slow_log_posterior(design[seen], z, fitted.theta[row], fitted.sigma[row])
        assert fitted.log_posterior[row] == pytest.approx(slow, abs=1e-6)


def test_masked_days_give_what_a_dense_solver_finds_without_them():
    """At the maximum the gradient of the smooth part is cancelled by the penalties, in a design made day by day."""
    made = retailer(3, missing=0.3)
    made["y"][1, :60] = np.nan  # a series that starts later
    fitted = fit(**made, settings=SMALL)
    for row in range(3):
        design, seen, z, scale = dense(made, row)
        theta, variance = fitted.theta[row], fitted.sigma[row] ** 2
        error = z - design[seen] @ theta
        gradient = design[seen].T @ error / variance
        gradient[:2] -= theta[:2] / 25
        gradient[10:] -= theta[10:] / 100
        slopes = theta[2:10]
        assert np.abs(np.r_[gradient[:2], gradient[10:]]).max() < 1e-4
        at_zero = slopes == 0
        assert np.abs(gradient[2:10][at_zero]).max(initial=0) <= 1 / 0.05 + 1e-4
        assert gradient[2:10][~at_zero] == pytest.approx(np.sign(slopes[~at_zero]) / 0.05, abs=1e-4)
        # sigma, too, is where its derivative vanishes
        assert 4 * variance**2 + len(seen) * variance == pytest.approx(error @ error, rel=1e-5)
        expected = design[HISTORY:] @ theta * scale
        assert fitted.predict(HISTORY, HISTORY + HORIZON)[row] == pytest.approx(expected, rel=1e-9)


def test_no_other_point_has_a_higher_posterior():
    made = retailer(1)
    fitted = fit(**made, settings=SMALL)
    design, seen, z, _ = dense(made, 0)
    rng = np.random.default_rng(1)
    best = fitted.log_posterior[0]
    for size in (1e-4, 1e-3, 1e-2):
        for _ in range(5):
            theta = fitted.theta[0] + size * rng.normal(size=fitted.width)
            sigma = fitted.sigma[0] * np.exp(size * rng.normal())
            assert slow_log_posterior(design[seen], z, theta, sigma) < best


def test_the_lasso_meets_its_optimality_conditions():
    rng = np.random.default_rng(0)
    root = rng.normal(size=(200, 12, 12)) @ np.diag(np.geomspace(0.01, 10, 12))  # badly conditioned, as hinges are
    matrix = root @ root.transpose(0, 2, 1)
    target = 3 * rng.normal(size=(200, 12))
    x = lasso(matrix, target, np.zeros((200, 12)))
    gradient = np.einsum("sij,sj->si", matrix, x) - target
    assert np.abs(gradient + np.sign(x))[x != 0].max() < 1e-6 * np.abs(target).max() + 1e-11 * np.abs(x).max() * 1e3
    assert np.abs(gradient)[x == 0].max() <= 1 + 1e-6
    again = lasso(matrix, target, x + rng.normal(size=x.shape))
    assert again == pytest.approx(x, rel=1e-5, abs=1e-5)


@pytest.mark.filterwarnings("ignore:The inplace keyword")  # prophet's own
@pytest.mark.parametrize("setting", ["plain", "promotion and holidays", "days missing"])
def test_forecasts_are_those_of_stock_prophet(setting):
    """The full benchmark, on 101 real series, is benchmarks/structural_parity.py."""
    import pandas as pd
    from prophet import Prophet

    logging.getLogger("cmdstanpy").disabled = True
    made = retailer(2, missing=0.15 if setting == "days missing" else 0.0)
    rich = setting == "promotion and holidays"
    if not rich:
        made |= {"group_regressors": None, "own_regressors": None, "group": None}
    fitted = fit(**made)
    forecast = fitted.predict(HISTORY, HISTORY + HORIZON)
    for row in range(2):
        frame = pd.DataFrame({"ds": DATES.astype("datetime64[ns]")})
        holidays = None
        if rich:
            on = made["group_regressors"][row % 2]
            holidays = pd.concat(
                [pd.DataFrame({"ds": frame.ds[on[:, e] == 1], "holiday": f"event {e}"}) for e in range(2)]
            )
            frame["promotion"], frame["other"] = made["own_regressors"][row].T
        model = Prophet(uncertainty_samples=0, yearly_seasonality=10, weekly_seasonality=3, holidays=holidays)
        for name in ("promotion", "other") if rich else ():
            model.add_regressor(name)
        model.fit(frame[:HISTORY].assign(y=made["y"][row]))
        theirs = model.predict(frame[HISTORY:])["yhat"].to_numpy()
        assert np.abs(forecast[row] - theirs).mean() < 0.01 * np.nanmean(made["y"][row])
        sigma = model.params["sigma_obs"].item()
        assert fitted.sigma[row] == pytest.approx(sigma, rel=0.02)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(seed=st.integers(0, 2**32 - 1), mode=st.sampled_from(["additive", "log"]))
def test_nothing_after_the_history_moves_the_coefficients(seed, mode):
    rng = np.random.default_rng(seed)
    made = retailer(2)
    changed = {
        **made,
        "own_regressors": made["own_regressors"].copy(),
        "group_regressors": made["group_regressors"].copy(),
    }
    changed["own_regressors"][:, HISTORY:] = rng.normal(0, 100, changed["own_regressors"][:, HISTORY:].shape)
    changed["group_regressors"][:, HISTORY:] = rng.random(changed["group_regressors"][:, HISTORY:].shape)
    s = SMALL.but(mode=mode)
    one, other = fit(**made, settings=s), fit(**changed, settings=s)
    assert np.array_equal(one.theta, other.theta)
    assert np.array_equal(one.sigma, other.sigma)


@pytest.mark.parametrize("mode", ["additive", "log"])
def test_the_parts_sum_to_the_prediction(mode):
    made = retailer(3)
    fitted = fit(**made, own_names=["promotion", "price"], settings=SMALL.but(mode=mode, monthly_order=2, damping=0.95))
    fitted.smear[:], fitted.level[:], fitted.level_decay[:] = 1.1, 0.05, 0.9
    parts = fitted.components(0, len(DATES))
    assert set(parts) == {"trend", "weekly", "yearly", "monthly", "holidays", "promotion", "price"}
    assert sum(parts.values()) == pytest.approx(fitted.predict(0, len(DATES)), abs=1e-9)
    no_promotion = made["own_regressors"][:, :, 0] == 0
    assert np.abs(parts["holidays"][0][made["group_regressors"][0].sum(1) == 0]).max() == 0
    if mode == "log":
        assert np.abs(parts["promotion"][no_promotion]).max() == 0
        assert (parts["promotion"][~no_promotion] > 0).all()


@pytest.mark.parametrize("mode", ["additive", "log"])
def test_one_series_comes_back_from_its_bytes_in_milliseconds(mode):
    made = retailer(3)
    fitted = fit(**made, settings=SMALL.but(mode=mode, damping=0.9))
    fitted.level[:], fitted.level_decay[:] = 0.1, 0.98
    blob, layout = fitted.to_bytes(2), fitted.layout
    begin = time.perf_counter()
    again = StructuralFit.from_bytes(blob, layout, DATES, made["group_regressors"][0], made["own_regressors"][2])
    parts = again.components(0, len(DATES))
    assert time.perf_counter() - begin < 0.1
    for name, values in fitted.components(0, len(DATES), np.array([2])).items():
        assert np.array_equal(parts[name], values)
    assert asdict(again.settings) == layout["settings"]
    with pytest.raises(ValueError, match="layout"):
        StructuralFit.from_bytes(blob[:-8], layout, DATES)


@pytest.mark.parametrize("mode", ["additive", "log"])
def test_difficult_series_stay_finite(mode):
    rng = np.random.default_rng(0)
    y = np.full((9, HISTORY), np.nan)
    y[0] = 0  # never sold
    y[1] = 7  # constant
    y[2, -3:] = [4, 5, 6]  # three days old
    y[3, -1] = 9  # one day old
    # row 4: no day at all
    y[5, ::97] = rng.poisson(5, len(y[5, ::97]))  # very rarely observed
    y[6] = rng.random(HISTORY) < 0.01  # hardly ever sold
    y[7] = np.arange(HISTORY)  # a straight line without noise
    y[8, 100:140] = rng.poisson(1e6, 40)  # stopped long ago
    fitted = fit(y, DATES, settings=StructuralSettings(mode=mode))
    predicted = fitted.predict(0, len(DATES))
    for values in (fitted.theta, fitted.sigma, fitted.log_posterior, predicted, *fitted.components(0, 884).values()):
        assert np.isfinite(values).all()
    assert np.abs(predicted[[0, 4]]).max() == 0
    assert predicted[1] == pytest.approx(7)
    assert predicted[3] == pytest.approx(9)
    if mode == "additive":
        assert predicted[7] == pytest.approx(np.arange(884), abs=0.5)
    else:
        assert (predicted >= 0).all()


def test_series_know_nothing_of_each_other():
    made = retailer(4)
    together = fit(**made, settings=SMALL)
    for row in range(4):
        alone = fit(
            **{
                **made,
                "y": made["y"][[row]],
                "group": made["group"][[row]],
                "own_regressors": made["own_regressors"][[row]],
            },
            settings=SMALL,
        )
        assert alone.theta[0] == pytest.approx(together.theta[row], abs=1e-7)


def test_a_weight_of_zero_is_a_missing_day_and_of_two_a_day_seen_twice():
    made = retailer(1, missing=0.0)
    weights = np.ones((1, HISTORY))
    weights[0, 300:350] = 0
    without = {**made, "y": made["y"].copy()}
    without["y"][0, 300:350] = np.nan
    one, other = fit(**made, weights=weights, settings=SMALL), fit(**without, settings=SMALL)
    assert one.theta == pytest.approx(other.theta, abs=1e-8)
    double = fit(**made, weights=2 * np.ones((1, HISTORY)), settings=SMALL)
    assert double.sigma == pytest.approx(fit(**made, settings=SMALL).sigma, rel=0.05)


def test_an_event_that_never_happened_has_no_effect():
    made = retailer(2)
    made["group_regressors"][:, :HISTORY, 1] = 0
    fitted = fit(**made, settings=SMALL)
    assert fitted.theta[:, fitted.columns["holidays"][0] + 1] == pytest.approx(0, abs=1e-12)


def test_a_tight_prior_holds_effects_at_their_centre():
    made = retailer(2)
    free = fit(**made, settings=SMALL.but(mode="log"))
    center = np.zeros_like(free.theta)
    center[:, slice(*free.columns["weekly"])] = 0.25
    held = fit(**made, prior_mean=center, settings=SMALL.but(mode="log", weekly_prior=1e-6))
    assert held.theta[:, slice(*held.columns["weekly"])] == pytest.approx(0.25, abs=1e-4)
    loose = fit(**made, prior_mean=center, settings=SMALL.but(mode="log", weekly_prior=1e3))
    assert loose.theta == pytest.approx(free.theta, abs=0.02)


def test_damping_stops_the_trend_after_the_last_day():
    made = retailer(1)
    made |= {"group_regressors": None, "own_regressors": None, "group": None}
    fitted = fit(**made, settings=SMALL.but(damping=0.9))
    trend = fitted.components(HISTORY - 2, len(DATES))["trend"][0]
    steps = np.diff(trend)
    assert steps[1:] == pytest.approx(steps[0] * 0.9 ** np.arange(1, len(steps)), rel=1e-6)


def test_fourier_columns_are_prophets():
    columns = fourier(np.array(["1970-01-01", "1970-01-02"], "datetime64[D]"), 7, 2)
    angle = 2 * np.pi / 7
    assert columns == pytest.approx(
        np.array([[0, 1, 0, 1], [np.sin(angle), np.cos(angle), np.sin(2 * angle), np.cos(2 * angle)]])
    )


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"own_regressors": np.zeros((4, 5, 1))}, "every date"),
        ({"group": np.array([0, 1, 2, 0])}, "row of the group"),
        ({"own_regressors": np.full((4, 884, 1), np.nan)}, "finite"),
        ({"y": np.full((4, HISTORY), np.inf)}, "finite"),
    ],
)
def test_wrong_input_is_refused(change, words):
    with pytest.raises(ValueError, match=words):
        fit(**{**retailer(4), **change}, settings=SMALL)

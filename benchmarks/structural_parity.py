"""Is the structural model Prophet? Forecasts and log posteriors of both on 101 real series in three settings.

    python benchmarks/structural_parity.py --data DIR [--jobs 2] [--limit N] [--json]

DIR holds m5/ and rossmann/ in the load format. The series: 70 store x departments and 10 stores of m5, 12 states and
9 categories of rossmann; the last 84 days are what both forecast from all days before. The settings: plain;
promotion and holidays (m5: its SNAP days as the promotion); 15 % of the days missing. Stock Prophet is fitted in the
same run. The difference is the mean absolute difference of the two 84-day forecasts over the series' mean level. Both
posteriors are computed by one function here, from the data Prophet prepared for Stan.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from trendcast.forecasting.structural import StructuralSettings, fit

HORIZON = 84
SETTINGS = ("plain", "promotion + holidays", "15 % of days missing")


@dataclass
class Series:
    name: str
    dates: np.ndarray  # history and the horizon
    units: np.ndarray  # history only
    promotion: np.ndarray
    holidays: dict[str, np.ndarray]  # name -> 0/1 per date


def real_series(data: Path) -> list[Series]:
    result = []
    sales = pd.read_csv(data / "m5/sales_daily.csv.gz", parse_dates=["date_id"])
    events = pd.read_csv(data / "m5/events.csv", parse_dates=["date_id"], keep_default_na=False)
    for keys in (["store", "product_category"], ["store"]):
        wide = sales.pivot_table(index=[*keys, "region"], columns="date_id", values="sales_units", aggfunc="sum")
        for index, row in wide.iterrows():
            holidays = _occurrences(events, index[-1], wide.columns)
            snap = holidays.pop("SNAP")
            result.append(_series(f"m5 {' '.join(index[:-1])}", wide.columns, row, snap, holidays))
    sales = pd.read_csv(data / "rossmann/sales_daily.csv.gz", parse_dates=["date_id"])
    events = pd.read_csv(data / "rossmann/events.csv", parse_dates=["date_id"], keep_default_na=False)
    for key in ("region", "product_category"):
        wide = sales.pivot_table(index=key, columns="date_id", values="sales_units", aggfunc="sum")
        share = sales.pivot_table(index=key, columns="date_id", values="promotion_flag", aggfunc="mean").fillna(0)
        for index, row in wide.iterrows():
            # A category has no state: the holidays of the largest one stand in, alike for both models.
            holidays = _occurrences(events, index if key == "region" else "NW", wide.columns)
            result.append(_series(f"rossmann {index}", wide.columns, row, share.loc[index].to_numpy(), holidays))
    return result


def _occurrences(events: pd.DataFrame, region: str, dates: pd.DatetimeIndex) -> dict[str, np.ndarray]:
    of_region = events[events.region.isin(["", region])]
    return {name: np.isin(dates, rows.date_id).astype(float) for name, rows in of_region.groupby("event")}


def _series(name: str, dates: pd.DatetimeIndex, row: pd.Series, promotion: np.ndarray, holidays: dict) -> Series:
    return Series(name, dates.to_numpy().astype("datetime64[D]"), row.to_numpy(float)[:-HORIZON], promotion, holidays)


def prophet_forecast(series: Series, units: np.ndarray, rich: bool) -> tuple[np.ndarray, object, dict, float]:
    """Stock Prophet's forecast, what it gave to Stan, its parameters, and the seconds of fit and predict."""
    from prophet import Prophet

    logging.getLogger("cmdstanpy").disabled = True
    frame = pd.DataFrame({"ds": series.dates.astype("datetime64[ns]"), "promotion": series.promotion})
    holidays = None
    if rich:
        holidays = pd.concat(
            [pd.DataFrame({"ds": frame.ds[on > 0], "holiday": name}) for name, on in series.holidays.items()]
        )
    history = frame.iloc[: len(units)].assign(y=units)
    begin = time.perf_counter()
    model = Prophet(uncertainty_samples=0, yearly_seasonality=10, weekly_seasonality=3, holidays=holidays)
    if rich:
        model.add_regressor("promotion")
    model.fit(history)
    forecast = model.predict(frame.iloc[len(units) :])["yhat"].to_numpy()
    seconds = time.perf_counter() - begin
    model.stan_backend.cleanup()
    again = Prophet(uncertainty_samples=0, yearly_seasonality=10, weekly_seasonality=3, holidays=holidays)
    if rich:
        again.add_regressor("promotion")
    given = again.preprocess(history)
    parameters = {name: np.asarray(value).ravel() for name, value in model.params.items()}
    return forecast, given, parameters, seconds


def log_posterior(given: object, k: float, m: float, delta: np.ndarray, beta: np.ndarray, sigma: float) -> float:
    """prophet.stan's target, term by term."""
    t, c = given.t.to_numpy(), np.asarray(given.t_change)
    reached = (t[:, None] >= c).astype(float)
    trend = (k + reached @ delta) * t + m + reached @ (-c * delta)
    error = given.y.to_numpy() - trend - given.X.to_numpy() @ beta
    return (
        -len(t) * np.log(sigma) - 0.5 * error @ error / sigma**2
        - 0.5 * (k / 5) ** 2 - 0.5 * (m / 5) ** 2 - np.abs(delta).sum() / given.tau
        - 0.5 * ((beta / np.asarray(given.sigmas)) ** 2).sum() - 0.5 * (sigma / 0.5) ** 2
    )  # fmt: skip


def compare(task: tuple[Series, str, int]) -> dict:
    series, setting, seed = task
    units = series.units.copy()
    if setting == SETTINGS[2]:
        units[np.random.default_rng(seed).random(len(units)) < 0.15] = np.nan
    rich = setting == SETTINGS[1]
    theirs, given, parameters, seconds = prophet_forecast(series, units, rich)
    names = sorted(series.holidays) if rich else []
    ours = fit(
        units, series.dates,
        group_regressors=np.stack([series.holidays[n] for n in names], 1)[None] if rich else None,
        own_regressors=series.promotion[None, :, None] if rich else None,
        group_names=names, own_names=["promotion"] if rich else [], settings=StructuralSettings(), threads=1,
    )  # fmt: skip
    # Our columns under the names of Prophet's design matrix.
    values = dict(zip(_prophet_names(names, rich), ours.theta[0, 27:], strict=True))
    theta, beta = ours.theta[0], np.array([values[column] for column in given.X.columns])
    k, m, sigma = (parameters[name].item() for name in ("k", "m", "sigma_obs"))
    stan = log_posterior(given, k, m, parameters["delta"], parameters["beta"], sigma)
    mine = log_posterior(given, theta[0], theta[1], theta[2:27], beta, ours.sigma[0])
    forecast = ours.predict(len(units), len(units) + HORIZON)[0]
    return {
        "series": series.name, "setting": setting, "seconds": seconds,
        "difference": float(np.abs(forecast - theirs).mean() / np.nanmean(np.abs(units))),
        "posterior_gain": float(mine - stan), "posterior_as_reported": bool(abs(mine - ours.log_posterior[0]) < 1e-4),
    }  # fmt: skip


def _prophet_names(holidays: list[str], rich: bool) -> list[str]:
    waves = [f"yearly_delim_{i + 1}" for i in range(20)] + [f"weekly_delim_{i + 1}" for i in range(6)]
    return waves + [f"{name}_delim_+0" for name in holidays] + (["promotion"] if rich else [])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder with m5/ and rossmann/ in the load format")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--limit", type=int, default=0, help="every n-th series only, so that about this many are left")
    parser.add_argument("--json", action="store_true", help="one JSON document with every series instead of the table")
    args = parser.parse_args()
    series = real_series(args.data)
    if args.limit:
        series = series[:: max(1, len(series) // args.limit)]
    tasks = [(s, setting, i) for setting in SETTINGS for i, s in enumerate(series)]
    with ProcessPoolExecutor(args.jobs) as pool:
        rows = list(pool.map(compare, tasks))
    if args.json:
        print(json.dumps(rows, indent=1))
        return 0
    print(f"{len(series)} series, {HORIZON} days ahead; difference relative to the mean level\n")
    print("| setting | median | 95th percentile | maximum | log posterior >= Stan's | least gain | Prophet, s each |")
    print("|---|---|---|---|---|---|---|")
    frame = pd.DataFrame(rows)
    for setting, part in [*frame.groupby("setting", sort=False), ("all", frame)]:
        d, gain = part.difference * 100, part.posterior_gain
        print(
            f"| {setting} | {d.median():.2f} % | {d.quantile(0.95):.2f} % | {d.max():.2f} % "
            f"| {(gain >= -1e-6).mean() * 100:.1f} % | {gain.min():+.4f} | {part.seconds.mean():.2f} |"
        )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

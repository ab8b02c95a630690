"""How long the structural model takes for 2,500 series of three years, and stock Prophet on the same series.

    python benchmarks/structural_speed.py [--series 2500] [--sample 12] [--repeat 3] [--all] [--json]

Made-up series, 1,096 days, 10 % of them missing, 84 days ahead, 84 parameters: trend 2, 25 changepoints, yearly 10,
weekly 3, 10 holidays (nine with the day before and the day after: 28 columns), 3 regressors. Stock Prophet is timed on
a sample in the same run and extrapolated to all series on two cores, labelled so; ``--all`` fits every one of them.
"""

from __future__ import annotations

import argparse
import json
import logging
import resource
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from trendcast.forecasting.structural import fit

DAYS, HORIZON, HOLIDAYS, REGRESSORS, REGIONS = 1096, 84, 10, 3, 5


def retailer(series: int, seed: int = 0) -> dict:
    rng = np.random.default_rng(seed)
    dates = np.datetime64("2023-01-01") + np.arange(DAYS + HORIZON)
    day = np.arange(DAYS)
    centers = {}  # (region, holiday) -> days
    columns = np.zeros((REGIONS, len(dates), 3 * HOLIDAYS - 2))
    for region in range(REGIONS):
        for holiday in range(HOLIDAYS):
            first = rng.integers(2, 363)
            at = np.arange(first, len(dates) - 1, 365)
            centers[region, holiday] = at
            for offset in (-1, 0, 1) if holiday else (0,):
                columns[region, at + offset, 3 * holiday + offset - 1 if holiday else 0] = 1
    regressors = rng.random((series, len(dates), REGRESSORS))
    regressors[:, :, 0] = regressors[:, :, 0] < 0.1  # a promotion; the other two are continuous
    level = rng.gamma(2, 20, series)[:, None]
    wave = 1 + 0.3 * np.sin(2 * np.pi * day / 365.25) + 0.2 * np.sin(2 * np.pi * day / 7) + 0.2 * day / DAYS
    units = rng.poisson(level * (wave + 0.3 * regressors[:, :DAYS, 0])).astype(float)
    units[rng.random(units.shape) < 0.1] = np.nan
    return {
        "dates": dates, "units": units, "group": rng.integers(0, REGIONS, series), "columns": columns,
        "centers": centers, "regressors": regressors,
    }  # fmt: skip


def stock_prophet(task: tuple) -> float:
    """Seconds of fit and predict of one series."""
    from prophet import Prophet

    logging.getLogger("cmdstanpy").disabled = True
    dates, units, regressors, centers = task
    frame = pd.DataFrame({"ds": dates.astype("datetime64[ns]")})
    for k in range(REGRESSORS):
        frame[f"x{k}"] = regressors[:, k]
    holidays = pd.concat([
        pd.DataFrame({"ds": frame.ds[at], "holiday": f"h{h}", "lower_window": -min(h, 1), "upper_window": min(h, 1)})
        for h, at in centers.items()
    ])  # fmt: skip
    begin = time.perf_counter()
    model = Prophet(uncertainty_samples=0, yearly_seasonality=10, weekly_seasonality=3, holidays=holidays)
    for k in range(REGRESSORS):
        model.add_regressor(f"x{k}")
    model.fit(frame.iloc[:DAYS].assign(y=units))
    model.predict(frame.iloc[DAYS:])
    seconds = time.perf_counter() - begin
    model.stan_backend.cleanup()
    return seconds


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--series", type=int, default=2500)
    parser.add_argument("--sample", type=int, default=12, help="series stock Prophet is timed on (0: none)")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--all", action="store_true", help="fit every series with stock Prophet: minutes")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    made = retailer(args.series)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    wall, cpu = [], []
    for _ in range(args.repeat):
        begin, begin_cpu = time.perf_counter(), time.process_time()
        fitted = fit(
            made["units"], made["dates"], group=made["group"], group_regressors=made["columns"],
            own_regressors=made["regressors"],
        )  # fmt: skip
        forecast = fitted.predict(DAYS, DAYS + HORIZON)
        wall.append(time.perf_counter() - begin)
        cpu.append(time.process_time() - begin_cpu)
    if not np.isfinite(forecast).all():
        raise SystemExit("The forecast is not finite.")
    extra = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    result = {
        "series": args.series, "parameters": fitted.width,
        "seconds": min(wall), "seconds_median": float(np.median(wall)),
        "cpu_seconds": min(cpu), "extra_megabytes": round(extra),
    }  # fmt: skip
    number = args.series if args.all else min(args.sample, args.series)
    if number:
        tasks = [
            (
                made["dates"], made["units"][i], made["regressors"][i],
                {h: made["centers"][made["group"][i], h] for h in range(HOLIDAYS)},
            )
            for i in range(number)
        ]  # fmt: skip
        with ProcessPoolExecutor(2) as pool:
            list(pool.map(stock_prophet, tasks[:2]))  # imports are not counted
            begin = time.perf_counter()
            each = list(pool.map(stock_prophet, tasks))
            took = time.perf_counter() - begin
        result |= {
            "prophet_series_fitted": number, "prophet_seconds_per_series": float(np.mean(each)),
            "prophet_seconds": took * args.series / number, "prophet_extrapolated": number < args.series,
        }  # fmt: skip
    if args.json:
        print(json.dumps(result, indent=1))
        return 0
    print(f"{args.series} series x {DAYS} days, 10 % missing, {fitted.width} parameters, {HORIZON} days ahead\n")
    print("| model | wall clock | notes |\n|---|---|---|")
    print(
        f"| structural, all at once, two threads | {result['seconds']:.2f} s | best of {args.repeat} (median "
        f"{result['seconds_median']:.2f} s), {result['cpu_seconds']:.2f} s CPU, "
        f"{result['extra_megabytes']} MB more at the peak |"
    )
    if number:
        kind = f"extrapolated from {number} series" if result["prophet_extrapolated"] else "every series fitted"
        print(
            f"| stock Prophet, two processes | {result['prophet_seconds']:.0f} s | {kind}, "
            f"{result['prophet_seconds_per_series']:.2f} s each |"
        )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

"""Looks at one series through other people's models: stock Prophet, and statsmodels' decomposition.

They take seconds each, so they are made by a job when somebody asks, kept with the run, and never feed a forecast.
"""

from __future__ import annotations

import logging
import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from trendcast.errors import InvalidInput, NotConfigured, NotFound, TrendCastError, UsageError

if TYPE_CHECKING:
    from trendcast.services.progress import Progress
    from trendcast.services.runtime import Clock
    from trendcast.store.engine import Database

KINDS = ("prophet", "mstl")
INTERVAL = 0.8  # what stock Prophet's band is meant to hold
DRAWS = 300  # paths behind it
YEAR = 365
LEAST_DAYS = 21


@dataclass(frozen=True)
class OneSeries:
    """Days of one series, history first: rate (units per fully open day, NaN where it says nothing), open and promotion
    (shares, every day), and the named events that touch it."""

    dates: np.ndarray
    history: int
    rate: np.ndarray
    open: np.ndarray
    promotion: np.ndarray
    events: pd.DataFrame  # ds, holiday


def look(
    db: Database,
    clock: Clock,
    progress: Progress,
    token: str,
    *,
    run_id: int,
    series_id: int,
    kind: str,
) -> dict[str, Any]:
    """The job: make a look of ``kind`` and keep it with the run.

    Raises UsageError for another kind, NotFound when the run no longer keeps the series' history, InvalidInput when it
    is too short, NotConfigured when the library cannot be imported, LeaseLost when the job is no longer ours.
    """
    from trendcast.store import jobs

    if kind not in KINDS:
        raise UsageError(f"There is no look of the kind {kind!r}: choose {' or '.join(KINDS)}.")
    progress("data", 0, 2)
    one, horizon = _read(db, run_id, series_id)
    progress("fit", 1, 2)
    started = time.perf_counter()
    result = prophet_look(one, horizon) if kind == "prophet" else mstl_look(one, horizon)
    seconds = round(time.perf_counter() - started, 2)
    result |= {"kind": kind, "seconds": seconds, "made_at": clock().isoformat(timespec="seconds")}
    with db.transaction() as connection:
        jobs.assert_token(db, connection, token)
        db.execute(
            "look_write", connection=connection, run_id=run_id, series_id=series_id, kind=kind, result=_plain(result)
        )
    progress("fit", 2, 2)
    return {"run_id": run_id, "series_id": series_id, "kind": kind, "seconds": seconds}


def read_look(db: Database, run_id: int, series_id: int, kind: str) -> dict[str, Any] | None:
    """A look that was made: kind, forecast (dates, mean and, of Prophet, lower and upper), parts, seconds, warnings."""
    rows = db.rows("look_read", run_id=run_id, series_id=series_id, kind=kind)
    return dict(rows[0]["result"]) if rows else None


def _read(db: Database, run_id: int, series_id: int) -> tuple[OneSeries, int]:
    from trendcast.services.forecast import run_info, series_index
    from trendcast.store import runs

    run = run_info(db, run_id)
    index = series_index(db, run_id)
    named = index[index["series_id"] == series_id]
    if named.empty:
        raise NotFound(f"Forecast {run_id} has no series with the number {series_id}.")
    rows = db.rows("run_series_arrays", run_id=run_id, series_ids=[series_id])
    if not rows or rows[0]["history"] is None:
        raise NotFound("This forecast's history is no longer kept: choose a newer one.")
    days = runs.unpack_history(rows[0]["history"])
    region = str(named["region"].iloc[0])
    regions = [region] if region else sorted(set(index["region"]) - {""})
    last: date = run.last_day + timedelta(days=run.horizon)
    events = db.frame("look_events", regions=regions, from_day=run.first_day, to_day=last)
    return (
        one_series(np.datetime64(run.first_day, "D"), (run.last_day - run.first_day).days + 1, days, events),
        run.horizon,
    )


def one_series(first_day: np.datetime64, history: int, days: pd.DataFrame, events: pd.DataFrame) -> OneSeries:
    """From day-by-day columns units, open, promotion, stockout (history and beyond) and events (date_id, event)."""
    from trendcast.forecasting.structural_member import MEANINGFUL_OPEN

    share = days["open"].to_numpy(float)
    units = days["units"].to_numpy(float)
    usable = (share > MEANINGFUL_OPEN) & np.isfinite(units) & ~days["stockout"].to_numpy(bool)
    usable[history:] = False
    rate = np.where(usable, units / np.where(usable, share, 1.0), np.nan)
    seen = np.flatnonzero(usable)
    if len(seen) < LEAST_DAYS:
        raise InvalidInput(f"This series has {len(seen)} days with sales to learn from; a look needs {LEAST_DAYS}.")
    first = int(seen[0])
    dates = first_day + np.arange(first, len(days))
    promotion = days["promotion"].to_numpy(float)[first:].copy()
    # Without a plan, the share of promotions its weekday had in the last year.
    weekday = dates.astype("datetime64[D]").astype(int) % 7
    past = np.nan_to_num(promotion[: history - first])
    for d in range(7):
        year = past[-364:][weekday[: history - first][-364:] == d]
        unknown = np.isnan(promotion) & (weekday == d)
        unknown[: history - first] = False
        promotion[unknown] = year.mean() if len(year) else 0.0
    holidays = pd.DataFrame({"ds": pd.to_datetime(events["date_id"]), "holiday": events["event"].astype(str)})
    return OneSeries(dates, history - first, rate[first:], share[first:], np.nan_to_num(promotion), holidays)


def prophet_look(one: OneSeries, horizon: int) -> dict[str, Any]:
    """Stock Prophet with its defaults: weekly and yearly waves, the events as holidays, the promotion as a regressor.

    It sees units per open day; its forecast counts for the share of capacity open, and is cut at zero.
    """
    history, stop = one.history, one.history + horizon
    frame = pd.DataFrame({"ds": one.dates[:stop].astype("datetime64[ns]"), "promotion": one.promotion[:stop]})
    events = one.events[one.events["holiday"].isin(one.events["holiday"][one.events["ds"] <= frame["ds"][history - 1]])]
    promoted = bool(frame["promotion"][:history].nunique() > 1)
    with caught() as heard:
        _, said = stock_prophet(
            frame[:history].assign(y=one.rate[:history]),
            frame,
            events,
            ["promotion"] if promoted else [],
            interval_width=INTERVAL,
            uncertainty_samples=DRAWS,
        )
    share = one.open[:stop]
    ahead = slice(history, stop)
    parts = {"trend": said["trend"], "weekly": said.get("weekly"), "yearly": said.get("yearly")}
    parts |= {"holidays": said.get("holidays"), "promotions": said["promotion"] if promoted else None}
    return {
        "forecast": {
            "dates": _days(one.dates[ahead]),
            "mean": np.maximum(said["yhat"].to_numpy()[ahead], 0) * share[ahead],
            "lower": np.maximum(said["yhat_lower"].to_numpy()[ahead], 0) * share[ahead],
            "upper": np.maximum(said["yhat_upper"].to_numpy()[ahead], 0) * share[ahead],
            "interval": INTERVAL,
        },
        "parts": {"dates": _days(one.dates[:stop])}
        | {name: part.to_numpy() * share for name, part in parts.items() if part is not None},
        "settings": {"holidays": int(events["holiday"].nunique()), "promotion": promoted},
        "warnings": heard,
    }


def stock_prophet(
    history: pd.DataFrame, wanted: pd.DataFrame, holidays: pd.DataFrame, regressors: Sequence[str], **options: Any
) -> tuple[Any, pd.DataFrame]:
    """Stock Prophet fitted to ``history`` (ds, y, the regressors) and what it predicts for ``wanted`` (ds, the
    regressors); the same input gives the same bands. ``holidays``: ds, holiday.

    Raises NotConfigured when Prophet cannot be imported, TrendCastError when it cannot fit.
    """
    try:
        from prophet import Prophet
    except Exception as error:  # a broken install can raise anything, and must cost only this look
        raise NotConfigured(f"Stock Prophet cannot be imported here ({type(error).__name__}: {error}).") from error
    for name in ("cmdstanpy", "prophet"):
        log = logging.getLogger(name)
        if not log.handlers:  # without any cmdstanpy sets a level of its own at its first fit
            log.addHandler(logging.NullHandler())
        log.setLevel(logging.ERROR)
    model = None
    state = np.random.get_state()  # noqa: NPY002  Prophet draws its paths from numpy's global state
    try:
        np.random.seed(0)  # noqa: NPY002
        model = Prophet(holidays=holidays if len(holidays) else None, **options)
        for name in regressors:
            model.add_regressor(name)
        model.fit(history)
        return model, model.predict(wanted)
    except Exception as error:
        raise TrendCastError(f"Stock Prophet could not fit this series ({type(error).__name__}: {error}).") from error
    finally:
        np.random.set_state(state)  # noqa: NPY002
        if model is not None and model.stan_backend is not None:
            model.stan_backend.cleanup()


def mstl_look(one: OneSeries, horizon: int) -> dict[str, Any]:
    """statsmodels' MSTL with a week and a year, or STL with a week for less than two years of days.

    Days without a usable value take that of the same weekday around them. The forecast repeats the last week's and the
    last year's wave on the mean of the last 28 days without waves.
    """
    history, stop = one.history, one.history + horizon
    with caught() as heard:
        trend, waves, rest = split(same_weekday(one.rate[:history]))
    level = float(np.mean((trend + rest)[-28:]))
    mean = np.full(horizon, level)
    for name, wave in waves.items():
        period = 7 if name == "weekly" else YEAR
        mean += wave[-period:][np.arange(horizon) % period]
    share = one.open
    parts = {"trend": trend, **waves, "rest": rest}
    return {
        "forecast": {
            "dates": _days(one.dates[history:stop]),
            "mean": np.maximum(mean, 0)[: stop - history] * share[history:stop],
        },
        "parts": {"dates": _days(one.dates[:history])} | {name: part * share[:history] for name, part in parts.items()},
        "settings": {
            "periods": [7, YEAR] if len(waves) == 2 else [7],
            "filled_days": int(np.isnan(one.rate[:history]).sum()),
        },
        "warnings": heard,
    }


def split(filled: np.ndarray) -> tuple[np.ndarray, dict[str, np.ndarray], np.ndarray]:
    """Trend, waves ('weekly', with two years of days also 'yearly') and rest of days without gaps, as statsmodels has
    them; they add up. Raises NotConfigured when it cannot be imported, TrendCastError when it cannot decompose."""
    try:
        from statsmodels.tsa.seasonal import MSTL, STL
    except Exception as error:  # as above
        raise NotConfigured(f"statsmodels cannot be imported here ({type(error).__name__}: {error}).") from error
    try:
        if len(filled) >= 2 * YEAR + 1:
            found = MSTL(filled, periods=(7, YEAR)).fit()
            waves = {"weekly": found.seasonal[:, 0], "yearly": found.seasonal[:, 1]}
        else:
            found = STL(filled, period=7).fit()
            waves = {"weekly": found.seasonal}
    except Exception as error:
        raise TrendCastError(f"statsmodels could not decompose this series ({error}).") from error
    return np.asarray(found.trend), {name: np.asarray(wave) for name, wave in waves.items()}, np.asarray(found.resid)


def same_weekday(rate: np.ndarray) -> np.ndarray:
    """The series without gaps: linear between the same weekdays before and after, the nearest beyond the ends."""
    filled = rate.copy()
    for d in range(7):
        column = filled[d::7]
        known = np.flatnonzero(~np.isnan(column))
        if len(known):
            filled[d::7] = np.interp(np.arange(len(column)), known, column[known])
    # A weekday never seen (always closed) takes the mean, so that the others keep their wave.
    filled[np.isnan(filled)] = np.nanmean(filled)
    return filled


@contextmanager
def caught() -> Iterator[list[str]]:
    """What a library warns of, as sentences kept with the look, instead of on everybody's stderr."""
    heard: list[str] = []
    with warnings.catch_warnings(record=True) as records:
        warnings.simplefilter("always")
        try:
            yield heard
        finally:
            kinds = [r for r in records if not issubclass(r.category, DeprecationWarning | PendingDeprecationWarning)]
            heard += sorted({str(record.message) for record in kinds})


def _days(dates: np.ndarray) -> list[str]:
    return [str(day) for day in dates.astype("datetime64[D]")]


def _plain(value: Any) -> Any:
    """JSON's own types; units to four digits after the point, what is not a number as null."""
    if isinstance(value, dict):
        return {str(name): _plain(item) for name, item in value.items()}
    if isinstance(value, np.ndarray):
        return [round(float(x), 4) if np.isfinite(x) else None for x in value]
    return value

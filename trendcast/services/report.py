"""The specification's forecast report of one category, read from the published run.

A report is always of one stored series, read in one transaction and kept in plain arrays: it must answer within 50 ms
also when nobody has asked for it before. Reports of many series are read together and composed in the same way.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from trendcast import wording
from trendcast.errors import InvalidInput, NotFound
from trendcast.services import findings, forecast
from trendcast.services.forecast import RunInfo, Selection

if TYPE_CHECKING:
    from trendcast.store.engine import Database

# The specification's limits: the trend over the horizon, deviation over mean, width of the band over mean.
TREND, VOLATILITY, UNCERTAINTY = 0.10, 0.30, 0.50
VOLATILITY_WEEKS, FEWEST_WEEKS = 52, 8
NUMBERS = ("mean", *forecast.QUANTILES)


def forecast_report(
    db: Database,
    run: RunInfo,
    index: pd.DataFrame,
    product_category: str,
    region: str | None = None,
    store: str | None = None,
    *,
    days: int = 84,
) -> dict[str, Any]:
    """The report of a category in a region, in a store, or in all together, ``days`` ahead.

    Keys of the specification and more. Errors (``mae`` in units per week, ``mape`` and ``wape`` in percent) are those
    of the rolling-origin backtest, of the same weeks ahead as are reported, None when nothing could be measured. Raises
    NotFound with the nearest names, and InvalidInput when the run does not reach so far.
    """
    if not 1 <= days <= run.horizon:
        raise InvalidInput(f"The published run reaches {run.horizon} days ahead, so {days} days cannot be reported.")
    from trendcast.services import recommend

    level = "category_store" if store else "category_region" if region else "category"
    selection = Selection(level, (product_category,), (region,) if region else (), (store,) if store else ())
    row = forecast.resolve(index, selection).iloc[0]
    number = int(row["series_id"])
    made = compose(run, row, read(db, run, [number])[number], days)
    made["business_recommendations"] += recommend.sentences(db, run.id, product_category)
    return made


def compose(run: RunInfo, row: pd.Series, stored: Stored, days: int) -> dict[str, Any]:
    """The report of one series (a row of the run's index) ``days`` ahead, from what is stored of it."""
    last = run.last_day + timedelta(days=days)
    daily = [day for day in stored.daily if day["date"] <= last]
    weekly = [week for week in stored.weekly if week["week"] + timedelta(days=6) <= last]
    weeks = max(1, days // 7)
    accuracy = errors(stored.actual[:, :weeks], stored.mean[:, :weeks])
    units = stored.units
    peak, trough = _extremes(daily, weekly)
    return {
        "product_category": row["product_category"],
        "region": row["region"] or None,
        "store": row["store"] or None,
        "forecast_horizon": _span(days),
        "mae": accuracy["mae"],
        "mape": percentage(accuracy["mape"]),
        "wape": percentage(accuracy["wape"]),
        "avg_weekly_forecast": 7 * float(np.mean([day["mean"] for day in daily])),
        "seasonal_peak": peak.isoformat(),
        "seasonal_trough": trough.isoformat(),
        "business_recommendations": tagged_sentences(run, stored, days),
        "finding": _finding(row, run, stored.weekly, units, errors(stored.actual, stored.mean)["wape"]),
        "forecast_days": days,
        "daily": daily,
        "weekly": weekly,
    }


def tagged_sentences(run: RunInfo, stored: Stored, days: int) -> list[str]:
    """`recommendations` of one stored series; none of one that is not expected to sell any more."""
    last = run.last_day + timedelta(days=days)
    weekly = [week for week in stored.weekly if week["week"] + timedelta(days=6) <= last]
    expected = weekly or [day for day in stored.daily if day["date"] <= last]
    width = _band_width(expected)
    if width is None:
        return []  # what has ended neither grows nor varies
    return recommendations(days, whole_weeks(stored.units, run.first_day), width, trend_of(run, stored, days))


def trend_of(run: RunInfo, stored: Stored, days: int) -> float | None:
    """The relative change of the trend of one stored series over the next ``days``; None where it is not known."""
    return _trend(run, stored.parts, days)


def errors(actual: np.ndarray, mean: np.ndarray) -> dict[str, float | None]:
    """``mae`` (units per week), ``mape`` and ``wape`` (shares) of weekly sums; NaN marks weeks not known.

    A week without sales has no percentage error: it is left out of ``mape``, and counts in the other two.
    """
    known = np.isfinite(actual) & np.isfinite(mean)
    truth, gap = actual[known], np.abs(mean - actual)[known]
    sold = truth > 0
    return {
        "mae": float(gap.mean()) if known.any() else None,
        "mape": float((gap[sold] / truth[sold]).mean()) if sold.any() else None,
        "wape": float(gap.sum() / truth.sum()) if sold.any() else None,
    }


def recommendations(days: int, history: np.ndarray, width: float | None, trend: float | None) -> list[str]:
    """The specification's tagged sentences, each with the figure that made it apply.

    ``history``: units of past whole weeks; ``width``: the 80 % band over the forecast; ``trend``: its relative change
    over the horizon; None where it is not known.
    """
    said = []
    percent, span = wording.percent, _span(days)
    if trend is not None and trend > TREND:
        said.append(f"GROWTH: the trend rises by {percent(trend)} over the next {span}; check that supply can follow.")
    if trend is not None and trend < -TREND:
        said.append(f"DECLINE: the trend falls by {percent(-trend)} over the next {span}; check what is on order.")
    recent = history[-VOLATILITY_WEEKS:]
    deviation = recent.std(ddof=1) / recent.mean() if len(recent) >= FEWEST_WEEKS and recent.mean() > 0 else 0.0
    if deviation > VOLATILITY:
        said.append(
            f"HIGH VOLATILITY: sales of the last {len(recent)} weeks deviate by {percent(deviation)} of their mean; "
            "review stock every week."
        )
    if width is not None and width > UNCERTAINTY:
        said.append(
            f"HIGH UNCERTAINTY: the {percent(0.8)} band is {percent(width)} as wide as the forecast is high; plan with "
            "the band, not with its middle."
        )
    return said


def whole_weeks(units: np.ndarray, first_day: date) -> np.ndarray:
    """Units of the whole weeks, Monday to Sunday, of daily ``units`` from ``first_day`` on, oldest first; a week with
    an unknown day is left out."""
    skip = -first_day.weekday() % 7
    weeks = units[skip : skip + (len(units) - skip) // 7 * 7].reshape(-1, 7).sum(axis=1)
    return weeks[np.isfinite(weeks)]


@dataclass(frozen=True, eq=False)
class Stored:
    """What a run keeps of one series: forecast rows by day and by whole week (date or week, mean, quantiles), ``units``
    by day from the run's first day, the packed decomposition, and the backtest's weekly ``actual`` and ``mean``
    (origins, weeks)."""

    daily: list[dict[str, Any]]
    weekly: list[dict[str, Any]]
    units: np.ndarray
    parts: bytes | None
    actual: np.ndarray
    mean: np.ndarray


def read(db: Database, run: RunInfo, series_ids: Sequence[int]) -> dict[int, Stored]:
    """What the run keeps of these series, from one transaction; NotFound when its days were thinned."""
    from trendcast.store import runs

    wanted = {"run_id": run.id, "series_ids": list(series_ids)}
    with db.read() as connection:
        found = {
            name: db.rows(name, connection=connection, **wanted)
            for name in ("forecast_daily", "forecast_weekly", "run_series_arrays", "run_backtest")
        }
    days: dict[int, list[dict[str, Any]]] = {number: [] for number in series_ids}
    whole: dict[int, list[dict[str, Any]]] = {number: [] for number in series_ids}
    for row in found["forecast_daily"]:
        days[row["series_id"]].append({"date": row["date_id"], **{name: row[name] for name in NUMBERS}})
    for row in found["forecast_weekly"]:
        whole[row["series_id"]].append({"week": row["week"], **{name: row[name] for name in NUMBERS}})
    arrays = {row["series_id"]: row for row in found["run_series_arrays"]}
    backtest = {row["series_id"]: row for row in found["run_backtest"]}
    length, weeks = (run.last_day - run.first_day).days + 1, run.horizon // 7
    stored = {}
    for number in series_ids:
        if not days[number]:
            raise NotFound("The daily figures of this forecast are no longer kept: a newer one has been published.")
        kept, past = arrays.get(number), backtest.get(number)
        history = kept["history"] if kept else None
        stored[number] = Stored(
            daily=days[number],
            weekly=whole[number],
            units=np.full(length, np.nan)
            if history is None
            else runs.unpack_history(history)["units"].to_numpy()[:length],
            parts=kept["parts"] if kept else None,
            actual=runs.unpack_floats(past["actual"], weeks) if past else np.empty((0, weeks)),
            mean=runs.unpack_floats(past["mean"], weeks) if past else np.empty((0, weeks)),
        )
    return stored


def _extremes(daily: list[dict[str, Any]], weekly: list[dict[str, Any]]) -> tuple[date, date]:
    """The highest and the lowest whole week, by its Monday; of single days where the horizon holds no whole week."""
    rows, name = (weekly, "week") if weekly else (daily, "date")
    return max(rows, key=_mean)[name], min(rows, key=_mean)[name]


def _mean(row: dict[str, Any]) -> float:
    return float(row["mean"])


def _band_width(rows: Sequence[dict[str, Any]]) -> float | None:
    """Width of the 80 % band over the forecast, both summed over the horizon."""
    total = sum(row["mean"] for row in rows)
    return sum(row["q90"] - row["q10"] for row in rows) / total if total > 0 else None


def _trend(run: RunInfo, packed: bytes | None, days: int) -> float | None:
    """The relative change of the trend component from the last day of data to the end of the horizon; None when the run
    has no decomposition."""
    from trendcast.store import runs

    names = list(run.summary.get("parts", ()))
    if packed is None or "trend" not in names:
        return None
    trend = runs.unpack_parts(packed, len(names))[names.index("trend")]
    origin = (run.last_day - run.first_day).days
    start, end = trend[origin], trend[min(origin + days, len(trend) - 1)]
    return float(end / start - 1) if start > 0 else None


def _finding(row: pd.Series, run: RunInfo, weekly: list[dict[str, Any]], units: np.ndarray, wape: float | None) -> str:
    """The sentence the dashboard shows for this series."""
    ahead = pd.DataFrame(
        {
            "week": np.array([week["week"] for week in weekly], "datetime64[us]"),
            "mean": [week["mean"] for week in weekly],
        }
    )
    first = int(np.flatnonzero(np.isfinite(units))[0]) if np.isfinite(units).any() else 0
    start = np.datetime64(run.first_day, "D") + first
    days = (start + np.arange(len(units) - first)).astype("datetime64[us]")
    history = pd.DataFrame({"date_id": days, "units": units[first:]})
    return findings.outlook(
        findings.series_name(row.to_frame().T), ahead, history, {"wape": {forecast.COMBINATION: wape}}
    )


def _span(days: int) -> str:
    return f"{days // 7} weeks" if days % 7 == 0 else f"{days} days"


def percentage(share: float | None) -> float | None:
    """What a share is in percent, where it is known."""
    return None if share is None else share * 100

"""The specification's forecast report of one category, read from the published run."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from trendcast.errors import InvalidInput, NotFound
from trendcast.services import findings, forecast
from trendcast.services.forecast import RunInfo, Selection

if TYPE_CHECKING:
    from trendcast.store.engine import Database

# The specification's limits: the trend over the horizon, deviation over mean, width of the band over mean.
TREND, VOLATILITY, UNCERTAINTY = 0.10, 0.30, 0.50
VOLATILITY_WEEKS = 52
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

    Keys of the specification and more; errors (``mae`` in units per week, ``mape`` and ``wape`` in percent) are those of
    the rolling-origin backtest, None before it has been run. Raises NotFound with the nearest names, InvalidInput when the
    run does not reach so far.
    """
    if not 1 <= days <= run.horizon:
        raise InvalidInput(f"The published run reaches {run.horizon} days ahead, so {days} days cannot be reported.")
    level = "category_store" if store else "category_region" if region else "category"
    selection = Selection(
        level, (product_category,), (region,) if region else (), (store,) if store else ()
    )
    rows = forecast.resolve(index, selection)
    series_ids = [int(number) for number in rows["series_id"]]
    last = pd.Timestamp(run.last_day) + timedelta(days=days)
    daily = forecast.forecast_daily(db, run.id, series_ids)
    daily = daily[daily["date_id"] <= last]
    all_weeks = forecast.forecast_weekly(db, run.id, series_ids)
    weekly = all_weeks[all_weeks["week"] + timedelta(days=6) <= last]
    accuracy = forecast.series_accuracy(db, run.id, series_ids)
    mae, mape = _errors(db, run, series_ids)
    history = forecast.history_daily(db, run, series_ids)
    peak, trough = _extremes(daily, weekly)
    return {
        "product_category": product_category,
        "region": region,
        "store": store,
        "forecast_horizon": f"{days // 7} weeks" if days % 7 == 0 else f"{days} days",
        "mae": mae,
        "mape": mape,
        "wape": _percent(accuracy["wape"].get(forecast.COMBINATION)),
        "avg_weekly_forecast": float(daily["mean"].mean() * 7),
        "seasonal_peak": peak,
        "seasonal_trough": trough,
        "business_recommendations": recommendations(
            daily, weekly, _whole_weeks(history), _trend(db, run, series_ids, days), days
        ),
        "finding": findings.outlook(findings.series_name(rows), all_weeks, history, accuracy),
        "forecast_days": days,
        "daily": _records(daily.rename(columns={"date_id": "date"})),
        "weekly": _records(weekly),
    }


def recommendations(
    daily: pd.DataFrame, weekly: pd.DataFrame, history: np.ndarray, trend: float | None, days: int
) -> list[str]:
    """The specification's tagged sentences, each with the figure that made it apply.

    ``history``: units of past whole weeks; ``trend``: its relative change over the horizon, None when it is not known.
    """
    span = f"the next {days // 7} weeks" if days % 7 == 0 else f"the next {days} days"
    said = []
    if trend is not None and trend > TREND:
        said.append(f"GROWTH: the trend rises by {trend:.0%} over {span}; check that supply can follow.")
    if trend is not None and trend < -TREND:
        said.append(f"DECLINE: the trend falls by {-trend:.0%} over {span}; check open orders before they arrive.")
    recent = history[-VOLATILITY_WEEKS:]
    if len(recent) >= 8 and recent.mean() > 0 and (ratio := recent.std(ddof=1) / recent.mean()) > VOLATILITY:
        said.append(
            f"HIGH VOLATILITY: weekly sales of the last {len(recent)} weeks deviate by {ratio:.0%} of their mean; "
            "review stock weekly."
        )
    frame, period = (weekly, "weekly") if len(weekly) else (daily, "daily")
    if "q10" in frame and frame["mean"].sum() > 0:
        width = float((frame["q90"] - frame["q10"]).sum() / frame["mean"].sum())
        if width > UNCERTAINTY:
            said.append(
                f"HIGH UNCERTAINTY: the 80 % band of the {period} forecast is {width:.0%} of the forecast wide; plan "
                "with the band, not with its middle."
            )
    return said


def _extremes(daily: pd.DataFrame, weekly: pd.DataFrame) -> tuple[str, str]:
    """The dates of the highest and the lowest whole week (its Monday); of single days where no week is whole."""
    frame, column = (weekly, "week") if len(weekly) else (daily, "date_id")
    high, low = frame["mean"].to_numpy().argmax(), frame["mean"].to_numpy().argmin()
    return str(frame[column].iloc[high].date()), str(frame[column].iloc[low].date())


def _trend(db: Database, run: RunInfo, series_ids: list[int], days: int) -> float | None:
    """The relative change of the trend component from the last day of data to the end of the horizon."""
    start = end = 0.0
    last = pd.Timestamp(run.last_day)
    for series_id in series_ids:
        try:
            parts = forecast.components_daily(db, run, series_id)
        except NotFound:  # a run without the structural member has no trend of its own
            return None
        trend = parts.set_index("date_id")["trend"]
        start += float(trend.get(last, np.nan))
        end += float(trend.get(last + timedelta(days=days), np.nan))
    change = end / start - 1 if start > 0 else np.nan
    return float(change) if np.isfinite(change) else None


def _errors(db: Database, run: RunInfo, series_ids: list[int]) -> tuple[float | None, float | None]:
    """(mean absolute error in units, mean absolute percentage error in percent) per week of the backtest; weeks without
    sales have no percentage and are left out of the second. None: not measured."""
    actual, mean = forecast.backtest_weeks(db, run, series_ids)
    known = np.isfinite(actual) & np.isfinite(mean)
    gap, truth = np.abs(mean - actual)[known], actual[known]
    sold = truth > 0
    mae = float(gap.mean()) if known.any() else None
    return mae, _percent(float((gap[sold] / truth[sold]).mean()) if sold.any() else None)


def _whole_weeks(history: pd.DataFrame) -> np.ndarray:
    """Units of the whole weeks (Monday to Sunday) of history, oldest first."""
    monday = history["date_id"] - pd.to_timedelta(history["date_id"].dt.weekday, unit="D")
    grouped = history["units"].groupby(monday)
    return grouped.sum()[grouped.count() == 7].to_numpy(dtype=float)


def _percent(share: float | None) -> float | None:
    return None if share is None or not np.isfinite(share) else float(share) * 100


def _records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows as dictionaries: dates without time, all ten numbers present, unknown ones None."""
    frame = frame.reindex(columns=[frame.columns[0], *NUMBERS])
    first = frame.columns[0]
    values = frame[list(NUMBERS)].astype(object).where(frame[list(NUMBERS)].notna(), None)
    values.insert(0, first, frame[first].dt.date)
    return [{str(key): value for key, value in row.items()} for row in values.to_dict("records")]

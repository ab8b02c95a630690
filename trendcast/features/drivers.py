"""What moves sales from outside: economy, competitors, mentions and weather as arrays over the days known.

Nothing after the last day known is read: of the economy and the weather nobody knows the months ahead.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from trendcast.features.calendar import to_days

NATIONAL = ("economic_index", "competitor_promotion_intensity", "social_media_mentions")
LEAST_KNOWN = 0.6  # share of the days a factor must cover to say anything
LEAST_SHARE = 0.02  # a kind of weather on fewer of the days counts as "other"
MOST_CONDITIONS = 5
CLEAR = ("clear", "sunny", "sun", "fair", "none", "normal", "dry")
OTHER = "other weather"
SEASON_DAYS = 15  # days around the same day of the year that make the usual weather


@dataclass(frozen=True, eq=False)
class Outside:
    """Factors of all days known, T of them.

    national: name -> (T,), gaps filled with the last value, before the first one with the mean.
    conditions: kinds of weather beside ``clear``, the one they are measured against.
    regions, weather: share of each condition (R, T, C) in each region; days without a report have the mean.
    """

    national: dict[str, np.ndarray]
    clear: str
    conditions: tuple[str, ...]
    regions: tuple[str, ...]
    weather: np.ndarray


def outside(
    market: pd.DataFrame, reports: pd.DataFrame, first_day: np.datetime64, history: int, regions: Sequence[str]
) -> Outside:
    """Arrays of the rows of market_factors and of ``reports`` (date_id, region, weather_condition, rows: how often)."""
    first = int(to_days(np.array([first_day]))[0])
    national = {}
    for name in NATIONAL:
        values = np.full(history, np.nan)
        if len(market) and name in market:
            day = to_days(market["date_id"]) - first
            within = (day >= 0) & (day < history)
            values[day[within]] = market[name].to_numpy(float, na_value=np.nan)[within]
        if np.isfinite(values).mean() >= LEAST_KNOWN and np.nanstd(values) > 0:
            filled = pd.Series(values).ffill().to_numpy()
            national[name] = np.where(np.isfinite(filled), filled, np.nanmean(values))
    return Outside(national, *_weather(reports, first, history, tuple(regions)))


def _weather(
    reports: pd.DataFrame, first: int, history: int, regions: tuple[str, ...]
) -> tuple[str, tuple[str, ...], tuple[str, ...], np.ndarray]:
    nothing = "", (), regions, np.zeros((len(regions), history, 0))
    if not len(reports):
        return nothing
    day = to_days(reports["date_id"]) - first
    place = pd.Index(regions).get_indexer(reports["region"].fillna("").astype(str))
    kind = reports["weather_condition"].astype(str).str.strip().str.lower().to_numpy(object)
    within = (day >= 0) & (day < history) & (place >= 0)
    day, place, kind = day[within], place[within], kind[within]
    rows = reports["rows"].to_numpy(float)[within]
    count = pd.Series(rows).groupby(kind).sum().sort_values(ascending=False, kind="stable")
    if len(count) < 2 or len(np.unique(day)) < LEAST_KNOWN * history:
        return nothing
    clear = next((name for name in CLEAR if name in count.index), str(count.index[0]))
    named = [str(name) for name in count.index if name != clear and count[name] >= LEAST_SHARE * count.sum()]
    named = named[:MOST_CONDITIONS]
    conditions = (*named, OTHER) if len(named) + 1 < len(count) else tuple(named)
    if not conditions:
        return nothing
    column = pd.Index(conditions).get_indexer(kind)
    column = np.where((column < 0) & (kind != clear), len(conditions) - 1, column)
    share = np.zeros((len(regions), history, len(conditions)))
    total = np.zeros((len(regions), history))
    np.add.at(total, (place, day), rows)
    some = column >= 0
    np.add.at(share, (place[some], day[some], column[some]), rows[some])
    with np.errstate(invalid="ignore", divide="ignore"):
        share /= total[:, :, None]
    known = total > 0
    mean = np.where(known[:, :, None], share, 0).sum(axis=1) / np.maximum(known.sum(axis=1), 1)[:, None]
    return clear, conditions, regions, np.where(known[:, :, None], share, mean[:, None, :])


def usual_weather(weather: np.ndarray, first_day: np.datetime64, ahead: int) -> np.ndarray:
    """The usual share of each condition (R, ahead, C) on the days after the last known: its mean over the days around
    the same day of the year in the past."""
    regions, history, conditions = weather.shape
    result = np.zeros((regions, ahead, conditions))
    if not conditions:
        return result
    dates = (first_day + np.arange(history + ahead)).astype("datetime64[D]")
    of_year = (dates - dates.astype("datetime64[Y]")).astype(int) % 365
    sums, count = np.zeros((regions, 365, conditions)), np.zeros(365)
    np.add.at(sums.swapaxes(0, 1), of_year[:history], weather.swapaxes(0, 1))
    np.add.at(count, of_year[:history], 1)
    around = (of_year[history:, None] + np.arange(-SEASON_DAYS, SEASON_DAYS + 1)[None, :]) % 365
    days = count[around].sum(axis=1)
    near = sums[:, around].sum(axis=2) / np.maximum(days, 1)[None, :, None]
    overall = weather.mean(axis=1)[:, None, :]
    return np.where(days[None, :, None] > 0, near, overall)

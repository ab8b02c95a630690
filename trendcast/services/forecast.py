"""Reading a published run: the one source of the figures on pages, in REST and in exports.

A caller takes the run once and passes its id to every question, so that all answers are of one run.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from trendcast.errors import InvalidInput, NoRun, NotFound
from trendcast.panel import LEVELS
from trendcast.services.health import is_historical
from trendcast.services.names import nearest

if TYPE_CHECKING:
    from trendcast.store.engine import Database

QUANTILES = ("q025", "q05", "q10", "q25", "q50", "q75", "q90", "q95", "q975")
COMBINATION = "combination"


@dataclass(frozen=True)
class RunInfo:
    """A published run; immutable, and the key of every cached answer."""

    id: int
    kind: str
    first_day: date
    last_day: date  # the origin: the last full day of data
    horizon: int
    n_series: int
    published_at: datetime
    has_money: bool
    newer_data: bool  # a batch that changed something was merged after this run read the data
    failed_since: str | None  # why the newest later refresh failed
    summary: Mapping[str, Any]
    days_old_when_loaded: int | None = None  # how long the last day was over when it first came

    @property
    def business_date(self) -> date:
        """What TrendCast calls today: the day after the last full day of data."""
        return self.last_day + timedelta(days=1)

    @property
    def historical(self) -> bool:
        """The data ended long before it was first loaded: nothing about it is late."""
        return is_historical(self.days_old_when_loaded)


@dataclass(frozen=True)
class Selection:
    """Which series are meant: a level, and names of its dimensions; an empty tuple means all of them."""

    level: str
    categories: tuple[str, ...] = ()
    regions: tuple[str, ...] = ()
    stores: tuple[str, ...] = ()


def current_run(db: Database) -> RunInfo:
    """The run everybody sees now; NoRun when nothing was published yet."""
    rows = db.rows("run_read", run_id=None)
    if not rows:
        raise NoRun
    return _run(rows[0])


def run_info(db: Database, run_id: int) -> RunInfo:
    """A published run by its id; NotFound when there is none."""
    rows = db.rows("run_read", run_id=run_id)
    if not rows:
        raise NotFound(f"There is no published forecast with the number {run_id}.")
    return _run(rows[0])


def _run(row: Mapping[str, Any]) -> RunInfo:
    summary = row["summary"]
    return RunInfo(
        id=int(row["id"]),
        kind=row["kind"],
        first_day=row["first_day"],
        last_day=row["last_day"],
        horizon=int(row["horizon"]),
        n_series=int(row["n_series"]),
        published_at=row["published_at"],
        has_money=bool(summary.get("has_money")),
        newer_data=row["newer_data"],
        failed_since=row["failed_since"],
        summary=summary,
        days_old_when_loaded=row["days_old_when_loaded"],
    )


def series_index(db: Database, run_id: int) -> pd.DataFrame:
    """All series of a run: series_id, level, product_category, region, store, recent_units (mean per day of the last
    56 days), unit_price (NaN: unknown), first_day, days_observed."""
    return db.frame("run_series_index", run_id=run_id)


def resolve(index: pd.DataFrame, selection: Selection) -> pd.DataFrame:
    """The rows of the index a selection means, in the index's order.

    Raises InvalidInput for an unknown level and NotFound, with the nearest names, for a name nobody sells under.
    """
    if selection.level not in LEVELS:
        raise InvalidInput(f"'{selection.level}' is not a level: it is one of {', '.join(LEVELS)}.")
    rows = index[index["level"] == selection.level]
    if rows.empty:
        present = [level for level in LEVELS if (index["level"] == level).any()]
        raise NotFound(f"This retailer has no series at the level {selection.level}.", tuple(present))
    named = (
        ("product_category", "category", selection.categories),
        ("region", "region", selection.regions),
        ("store", "store", selection.stores),
    )
    for column, word, wanted in named:
        if not wanted:
            continue
        known = rows[column].isin(wanted)
        for name in wanted:
            if not (rows[column] == name).any():
                if (rows[column] == "").all():
                    raise InvalidInput(f"The level {selection.level} does not tell one {word} from another.")
                everywhere = index.loc[index[column] != "", column].unique()
                if name in everywhere:
                    raise NotFound(f"{_quoted(name)} has no series with the rest of this selection.")
                raise NotFound(f"There is no {word} {_quoted(name)}.", nearest(name, everywhere))
        rows = rows[known]
    if rows.empty:
        raise NotFound("No series has all of these names together.")
    return rows


def _quoted(name: str) -> str:
    return f"'{name[:100]}'"


def forecast_daily(db: Database, run_id: int, series_ids: Sequence[int]) -> pd.DataFrame:
    """date_id, mean and the nine quantiles of one series; of several, the sum of their means alone: quantiles of days
    do not add up. ``money`` is the mean in money, ``price`` turns the quantiles into money; NaN: not known."""
    frame = _priced(db.frame("forecast_daily", run_id=run_id, series_ids=list(series_ids)))
    if len(series_ids) == 1:
        return frame.drop(columns="series_id")
    return _summed(frame, "date_id")


def _priced(frame: pd.DataFrame) -> pd.DataFrame:
    # A column of nothing but NULL has no type of its own.
    return frame.astype({"money": "float64", "price": "float64"})


def _summed(frame: pd.DataFrame, time: str) -> pd.DataFrame:
    """Means and money of several series added up; what has no price counts for nothing."""
    grouped = frame.groupby(time)
    total = pd.DataFrame({"mean": grouped["mean"].sum(), "money": grouped["money"].sum(min_count=1)})
    total["price"] = (total["money"] / total["mean"]).where(total["mean"] > 0)
    return total.reset_index()


def forecast_weekly(db: Database, run_id: int, series_ids: Sequence[int]) -> pd.DataFrame:
    """week (Monday), mean and the nine quantiles, money and price (as by day). For several series the quantiles come
    from what the sum of these series was wrong by, at the same origins, in the run's backtest."""
    from trendcast.forecasting import intervals

    frame = _priced(db.frame("forecast_weekly", run_id=run_id, series_ids=list(series_ids)))
    if len(series_ids) == 1:
        return frame.drop(columns="series_id")
    total = _summed(frame, "week")
    actual, mean, _ = _backtest(db, run_id, series_ids)
    segment = np.zeros(1, int)
    if len(actual):
        calibration = intervals.Calibration.fit(actual[:, None], mean[:, None], segment, ends=intervals.WEEK_BUCKETS)
    else:
        calibration = intervals.unscored(1, segment, intervals.WEEK_BUCKETS)
    total[list(QUANTILES)] = calibration.quantiles(total["mean"].to_numpy()[None])[0]
    return total


def history_daily(db: Database, run: RunInfo, series_ids: Sequence[int]) -> pd.DataFrame:
    """Day by day up to the origin, summed over the series: date_id, units (NaN: nothing recorded), revenue (units at
    the price of the day, as in services.money; NaN: not known), promotion and open (shares, 0..1), stockout, lost
    (units that stock-outs turned away), lost_revenue (those in money; NaN: no price), events (names, '' for none)."""
    arrays, first_day = _arrays(db, run.id, series_ids), run.first_day
    if not arrays:
        # An older run keeps no days of its own: what was sold until its last day is in the run of now.
        now = current_run(db)
        arrays, first_day = _arrays(db, now.id, series_ids), now.first_day
    total: pd.DataFrame | None = None
    for row in arrays:
        one = row["days"]
        one = one.iloc[: max(0, (run.last_day - first_day).days + 1)]
        if total is None:
            total = one.copy()
            continue
        # A missing day of one series is no sales of the sum; a day missing from all stays missing.
        total = pd.DataFrame(
            {
                "units": total["units"].add(one["units"], fill_value=0.0),
                "revenue": total["revenue"].add(one["revenue"], fill_value=0.0),
                "open": total["open"].fillna(0) + one["open"].fillna(0),
                "promotion": total["promotion"].fillna(0) + one["promotion"].fillna(0),
                "stockout": total["stockout"] | one["stockout"],
                "lost": total["lost"] + one["lost"],
                "lost_revenue": total["lost_revenue"].add(one["lost_revenue"], fill_value=0.0),
            }
        )
    if total is None or not total["units"].notna().any():
        raise NotFound("This forecast's history is no longer kept: choose a newer one.")
    if len(arrays) > 1:
        total["open"] /= len(arrays)
        total["promotion"] /= len(arrays)
    total.insert(0, "date_id", pd.date_range(first_day, periods=len(total)).astype("datetime64[us]"))
    first = total["units"].notna().idxmax()
    total = total.loc[first:].reset_index(drop=True)
    events = _events(db, run, series_ids)
    total["events"] = events.reindex(total["date_id"]).fillna("").to_numpy()
    return total


def events_daily(db: Database, run: RunInfo, series_ids: Sequence[int]) -> pd.DataFrame:
    """Known events of the selection's regions, past and future: date_id, events (names joined)."""
    events = _events(db, run, series_ids)
    return pd.DataFrame({"date_id": events.index, "events": events.to_numpy()})


def _events(db: Database, run: RunInfo, series_ids: Sequence[int]) -> pd.Series:
    index = series_index(db, run.id)
    regions = index.loc[index["series_id"].isin(series_ids), "region"].unique().tolist()
    frame = db.frame(
        "history_events",
        regions=[] if "" in regions else regions,
        from_day=run.first_day,
        to_day=run.last_day + timedelta(days=run.horizon),
    )
    return frame.set_index("date_id")["events"]


def components_daily(db: Database, run: RunInfo, series_id: int) -> pd.DataFrame:
    """What a series' number is made of, day by day, history and forecast: date_id, trend, yearly, weekly, holidays,
    promotions, and rest, in units; they add up to the units sold, and ahead to the mean forecast.

    The parts are the structural model's; `rest` is what it leaves: noise in the past, the other models ahead.
    """
    from trendcast.store import runs

    rows = _arrays(db, run.id, [series_id])
    names = list(run.summary.get("parts", []))
    if not rows or rows[0]["parts"] is None or not names:
        raise NotFound("This forecast's decomposition is no longer kept: choose a newer one.")
    values = runs.unpack_parts(rows[0]["parts"], len(names))
    days = rows[0]["days"]
    result = pd.DataFrame({"date_id": pd.date_range(run.first_day, periods=values.shape[1]).astype("datetime64[us]")})
    for name, value in zip(names, values, strict=True):
        result[name] = value
    known = days["units"].to_numpy()[: values.shape[1]].copy()
    history = (run.last_day - run.first_day).days + 1
    ahead = forecast_daily(db, run.id, [series_id])["mean"].to_numpy()
    known[history : history + len(ahead)] = ahead[: values.shape[1] - history]
    result["rest"] = known - values.sum(axis=0)
    first = int(np.flatnonzero(np.isfinite(known))[0]) if np.isfinite(known).any() else 0
    return result.iloc[first:].reset_index(drop=True)


def accuracy(db: Database, run_id: int, level: str | None = None) -> pd.DataFrame:
    """The run's backtest: level, model, horizon_week (0: all) and the figures of forecasting.backtest.Tally."""
    frame = db.frame("run_metrics", run_id=run_id)
    figures = pd.DataFrame(frame.pop("metrics").tolist())
    frame = pd.concat([frame, figures.astype("float64")], axis=1)
    return frame if level is None else frame[frame["level"] == level].reset_index(drop=True)


def series_accuracy(db: Database, run_id: int, series_ids: Sequence[int]) -> dict[str, Any]:
    """How the selection itself was forecast in the run's backtest, in whole weeks: ``weeks`` scored, ``origins``, per
    model ``wape`` and ``bias``, ``by_week`` (combination's WAPE 1..13 weeks ahead), ``best_naive``, ``skill`` (share of
    the best naive's error that is gone). And of its level, measured on the newest origins with intervals learnt before
    each: ``coverage80``/``coverage95`` of days and the ``points`` behind them, ``coverage80_weekly``/
    ``coverage95_weekly`` of weeks and ``weeks_measured``.
    """
    index = series_index(db, run_id)
    level = str(index.loc[index["series_id"].isin(series_ids), "level"].iloc[0])
    figures = accuracy(db, run_id, level)
    overall = figures[(figures["model"] == COMBINATION) & (figures["horizon_week"] == 0)]
    coverage = {
        "level": level,
        "coverage80": _number(overall, "coverage80"),
        "coverage95": _number(overall, "coverage95"),
        "points": _number(overall, "quantile_n"),
        "coverage80_weekly": _number(overall, "coverage80_weekly"),
        "coverage95_weekly": _number(overall, "coverage95_weekly"),
        "weeks_measured": _number(overall, "quantile_weeks"),
    }
    run = run_info(db, run_id)
    actual, mean, members = _backtest(db, run_id, series_ids)
    names = list(run.summary.get("members", []))
    known = np.isfinite(actual) & np.isfinite(mean)
    if not known.any():
        return {"weeks": 0, "origins": 0, "wape": {}, "bias": {}, "by_week": [], **coverage}
    said = {COMBINATION: mean, **{name: members[m] for m, name in enumerate(names)}}
    wape, bias = {}, {}
    for name, values in said.items():
        usable = known & np.isfinite(values)
        total = actual[usable].sum()
        if usable.sum() == known.sum() and total > 0:
            wape[name] = float(np.abs(values[usable] - actual[usable]).sum() / total)
            bias[name] = float((values[usable] - actual[usable]).sum() / total)
    by_week = []
    for week in range(actual.shape[1]):
        usable = known[:, week]
        total = actual[usable, week].sum()
        gap = np.abs(mean[usable, week] - actual[usable, week]).sum()
        by_week.append(float(gap / total) if total > 0 else None)
    naives = {name: wape[name] for name in ("naive7", "naive364") if name in wape}
    best = min(naives, key=naives.__getitem__) if naives else None
    return {
        "weeks": int(known.sum()),
        "origins": int(known.any(axis=1).sum()),
        "wape": wape,
        "bias": bias,
        "by_week": by_week,
        "best_naive": best,
        "skill": 1 - wape[COMBINATION] / naives[best] if best and naives[best] > 0 and COMBINATION in wape else None,
        **coverage,
    }


def last_week_forecast(db: Database, run_id: int, series_ids: Sequence[int]) -> pd.DataFrame:
    """What was published one week before: week, mean, money (NaN without a price), for the weeks of this run and for
    the weeks that are over; empty where nothing was."""
    frame = db.frame("forecast_log_before", run_id=run_id, series_ids=list(series_ids))
    grouped = frame.astype({"money": "float64"}).groupby("week")
    total = pd.DataFrame({"mean": grouped["mean"].sum(), "money": grouped["money"].sum(min_count=1)})
    return total[grouped["series_id"].nunique() == len(set(series_ids))].reset_index()


def _arrays(db: Database, run_id: int, series_ids: Sequence[int]) -> list[dict[str, Any]]:
    """The stored days of some series, as frames, and their packed decomposition."""
    from trendcast.store import runs

    rows = db.rows("run_series_arrays", run_id=run_id, series_ids=list(series_ids))
    found = []
    for row in rows:
        if row["history"] is not None:
            days = runs.unpack_history(row["history"])
            days["lost"], days["lost_revenue"] = runs.unpack_lost(row["lost"], len(days))
            found.append({"days": days, "parts": row["parts"]})
    return found


def _backtest(db: Database, run_id: int, series_ids: Sequence[int]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Weekly sums of the selection: actual and mean (origins, weeks), members (members, origins, weeks)."""
    from trendcast.store import runs

    run = run_info(db, run_id)
    weeks, origins = run.horizon // 7, len(run.summary.get("origins", []))
    rows = db.rows("run_backtest", run_id=run_id, series_ids=list(series_ids))
    if not rows or not origins:
        return np.empty((0, weeks)), np.empty((0, weeks)), np.empty((0, 0, weeks))
    actual = sum(runs.unpack_floats(row["actual"], weeks) for row in rows)
    mean = sum(runs.unpack_floats(row["mean"], weeks) for row in rows)
    members = sum(runs.unpack_floats(row["members"], origins, weeks) for row in rows)
    return np.asarray(actual), np.asarray(mean), np.asarray(members)


def _number(frame: pd.DataFrame, column: str) -> float | None:
    if frame.empty or column not in frame or pd.isna(frame[column].iloc[0]):
        return None
    return float(frame[column].iloc[0])

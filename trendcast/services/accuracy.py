"""How far to trust the forecasts: what was published beside what happened, the backtest beside the naives, and which
series are off.

Two sources, never mixed: the *backtest* of a run (past weeks forecast again, from the data before them) and the
*published* forecasts in forecast_log, scored when the truth arrived. Both are out of sample. An error is a share of
sales (WAPE: sum of distances / sum of sales), a bias (sum of forecasts - sales) / sum of sales.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from trendcast import wording
from trendcast.services import forecast

if TYPE_CHECKING:
    from trendcast.services.forecast import RunInfo
    from trendcast.store.engine import Database

NAIVES = ("naive7", "naive364")
BIAS_LIMIT, BIAS_WEEKS = 0.10, 4
TRACKING_LIMIT, TRACKING_WEEKS = 4.0, 13  # sum of errors / mean distance; at least eight weeks
TRACKING_BIAS = 0.05  # over 13 weeks chance alone passes the limit in a third of all series: it must also matter
COVERAGE_LIMIT, COVERAGE_POINTS = 0.05, 200
COVERAGE_OFF, COVERAGE_WEEKS = 0.15, 24  # of one series, in published weeks: few, so it must be far off
WEEKS_LIMIT = 0.10  # of the weeks of a level in the backtest
NEW_DAYS = 91
KEY = ["level", "product_category", "region", "store"]


# ---------------------------------------------------------------------------------------------- what was published


def triangle(db: Database, run: RunInfo, series_ids: Sequence[int]) -> pd.DataFrame:
    """What was published for the selection: week (Monday), lag_weeks (1: the last whole week before it), made (the
    Monday before which it was made), mean, money, actual (NaN: not over). Where a series was not forecast, the sum is
    not there."""
    frame = db.frame("accuracy_triangle", series_ids=list(series_ids), run_id=run.id, last_day=run.last_day)
    frame = frame.astype({"mean": "float64", "money": "float64", "actual": "float64"})
    grouped = frame.groupby(["week", "lag_weeks"])
    total = pd.DataFrame(
        {
            "mean": grouped["mean"].sum(),
            "money": grouped["money"].sum(min_count=1),
            "actual": grouped["actual"].sum(min_count=len(set(series_ids))),
        }
    )
    total = total[grouped["series_id"].nunique() == len(set(series_ids))].reset_index()
    total["week"] = pd.to_datetime(total["week"]).astype("datetime64[us]")
    total.insert(2, "made", total["week"] - pd.to_timedelta(7 * (total["lag_weeks"] - 1), unit="D"))
    return total


def by_lag(db: Database, run: RunInfo, level: str, series_ids: Sequence[int] = ()) -> pd.DataFrame:
    """The published forecasts of a level (or of some of its series) that were scored, by lag_weeks: n, weeks,
    first_week, last_week, wape, bias, coverage80 (share inside P10 to P90). Empty before a published
    week is over."""
    frame = db.frame(
        "accuracy_by_lag", level=level, run_id=run.id, last_day=run.last_day, series_ids=list(series_ids)
    ).astype({"abs_error": "float64", "error": "float64", "actual": "float64"})
    sold = frame["actual"].where(frame["actual"] > 0)
    frame["wape"], frame["bias"] = frame["abs_error"] / sold, frame["error"] / sold
    frame["coverage80"] = frame["inside80"] / frame["n"]
    return frame.drop(columns=["abs_error", "error", "actual", "inside80"])


def exceptions(db: Database, run: RunInfo) -> pd.DataFrame:
    """What not to trust without a look, those who lean first: kind (bias, tracking, coverage, new, ending), series_id
    (0: a whole level), level, product_category, region, store, value (bias or points), units (weekly units at stake),
    sentence.

    bias: each of the last four weeks, forecast one week before, more than 10 % off on the same side. tracking: the
    tracking signal, sum of errors / mean distance over the last 13 weeks, beyond 4 (Brown 1959), with a bias of 5 % and
    more. coverage: a band that held more than 5 points too seldom or too often in the backtest of a level (of its weeks
    10 points), or more than 15 points in at least 24 published weeks of a series that is still sold. new: less than 91
    days of sales. ending: nothing sold for 56 days.
    """
    index = forecast.series_index(db, run.id)
    recent = db.frame("accuracy_recent", run_id=run.id, last_day=run.last_day, weeks=TRACKING_WEEKS)
    frames = [runs_of_bias(recent), tracking_signals(recent)]
    # What is told as a run of bias need not be told as a tracking signal again.
    frames[1] = frames[1][~frames[1]["series_id"].isin(frames[0]["series_id"])]
    ended = index["recent_units"].to_numpy(float) <= 0
    young = ~ended & (index["days_observed"] < NEW_DAYS)
    frames += [
        pd.DataFrame(
            {"series_id": index.loc[rows, "series_id"], "value": index.loc[rows, "days_observed"], "kind": kind}
        )
        for kind, rows in (("new", young), ("ending", ended))
    ]
    told = pd.concat(frames, ignore_index=True).merge(index, on="series_id", how="inner")
    told["units"] = 7 * told["recent_units"].astype(float)
    found = told.reindex(columns=["kind", "series_id", *KEY, "value", "units", "signal"])
    found = pd.concat([found, _coverage_off(db, run, index), _published_off(db, run, index[~ended])], ignore_index=True)
    found["sentence"] = [_sentence(row) for row in found.to_dict("records")]
    # A bias is worth what it is wrong by.
    wrong = np.where(found["kind"].isin(["bias", "tracking"]), found["value"].abs(), 1.0)
    found["_size"] = found["units"].fillna(0.0) * wrong
    found["_place"] = found["kind"].map({"bias": 0, "tracking": 0, "coverage": 1, "new": 2, "ending": 3})
    found = found.sort_values(["_place", "_size"], ascending=[True, False], kind="stable")
    return found.drop(columns=["_place", "_size", "signal", "of"]).reset_index(drop=True)


def runs_of_bias(recent: pd.DataFrame) -> pd.DataFrame:
    """series_id, value (bias of the run), kind: series whose last four weeks were all more than 10 % off on one side.
    ``recent``: series_id, week, mean, actual."""
    rows = []
    for series_id, one in recent.groupby("series_id"):
        last = one.sort_values("week").tail(BIAS_WEEKS)
        sold = last["actual"].to_numpy(float)
        if len(last) < BIAS_WEEKS or (sold <= 0).any() or not _consecutive(last["week"]):
            continue
        bias = (last["mean"].to_numpy(float) - sold) / sold
        if (bias > BIAS_LIMIT).all() or (bias < -BIAS_LIMIT).all():
            rows.append((series_id, float((last["mean"].sum() - sold.sum()) / sold.sum()), "bias"))
    return pd.DataFrame(rows, columns=["series_id", "value", "kind"])


def _consecutive(weeks: pd.Series) -> bool:
    days = pd.to_datetime(weeks)
    return bool((days.diff().dropna() == pd.Timedelta(7, "D")).all())


def tracking_signals(recent: pd.DataFrame, least: int = 8) -> pd.DataFrame:
    """series_id, value (the bias), signal, kind: series whose summed error is more than four mean distances, and more
    than 5 % of their sales."""
    frame = recent.assign(error=recent["mean"].astype(float) - recent["actual"].astype(float))
    grouped = frame.groupby("series_id")
    distance = grouped["error"].apply(lambda error: error.abs().mean())
    leant, sold = grouped["error"].sum(), grouped["actual"].sum().astype(float)
    signal = (leant / distance.where(distance > 0)).where(grouped["error"].count() >= least)
    bias = leant / sold.where(sold > 0)
    off = (signal.abs() > TRACKING_LIMIT) & (bias.abs() >= TRACKING_BIAS)
    return pd.DataFrame(
        {
            "series_id": bias.index[off],
            "value": bias[off].to_numpy(dtype=float),
            "signal": signal[off].to_numpy(dtype=float),
            "kind": "tracking",
        }
    )


def _coverage_off(db: Database, run: RunInfo, index: pd.DataFrame) -> pd.DataFrame:
    held = coverage(db, run)
    held = held[held["horizon_week"] == 0]
    distance, days = (held["share"] - held["nominal"]).abs(), held["of"] == "days"
    off = held[
        (days & (held["n"] >= COVERAGE_POINTS) & (distance > COVERAGE_LIMIT))
        | (~days & (held["n"] >= COVERAGE_WEEKS) & (held["nominal"] == 0.8) & (distance > WEEKS_LIMIT))
    ]
    units = 7 * index.groupby("level")["recent_units"].sum().astype(float)
    return pd.DataFrame(
        {
            "kind": "coverage",
            "series_id": 0,
            "level": off["level"],
            "product_category": "",
            "region": "",
            "store": "",
            "value": off["share"] - off["nominal"],
            "units": off["level"].map(units),
            "of": off["of"],
        }
    )


def _published_off(db: Database, run: RunInfo, index: pd.DataFrame) -> pd.DataFrame:
    """The series whose published 80 % bands do not hold: the rule of the weekly review."""
    ids = [int(number) for number in index["series_id"]]
    since = run.last_day - timedelta(weeks=TRACKING_WEEKS + 1)
    held = db.frame("review_coverage", series_ids=ids, since=since, last_day=run.last_day)
    held["value"] = held["inside"].astype(float) / held["weeks"].astype(float) - 0.8
    off = held[(held["weeks"] >= COVERAGE_WEEKS) & (held["value"].abs() > COVERAGE_OFF)]
    found = off.merge(index, on="series_id")
    found = found.assign(kind="coverage", units=7 * found["recent_units"].astype(float), of="published")
    return found[["kind", "series_id", *KEY, "value", "units", "of"]]


def series_name(row: Mapping[str, Any]) -> str:
    """'Electronics in North', 'All categories'."""
    name = " in ".join(str(row[part]) for part in ("product_category", "store") if row[part])
    if row["region"] and not row["store"]:
        name = f"{name} in {row['region']}" if name else str(row["region"])
    return name or "All categories"


def _sentence(row: Mapping[str, Any]) -> str:
    name = series_name(row)
    value = float(row["value"])
    if row["kind"] == "bias":
        side, end = ("high", "low") if value > 0 else ("low", "high")
        return (
            f"{name}: the last {BIAS_WEEKS} weeks were each forecast more than {wording.percent(BIAS_LIMIT)} too "
            f"{side}, together {wording.percent(abs(value))}. Look for what changed; until then take the {end} end of "
            "the band."
        )
    if row["kind"] == "tracking":
        side, end = ("high", "low") if value > 0 else ("low", "high")
        return (
            f"{name}: over {TRACKING_WEEKS} weeks forecasts were {wording.percent(abs(value))} too {side} (tracking "
            f"signal {wording.fixed(float(row.get('signal') or 0), 1)}, limit {wording.fixed(TRACKING_LIMIT)}): lean "
            f"to the {end} end of the band."
        )
    if row["kind"] == "coverage":
        side = "too wide" if value > 0 else "too narrow"
        level = str(row["level"]).replace("_", " × ")
        if row["of"] == "published":
            return (
                f"{name}: its 80 % band held {wording.percent(0.8 + value)} of the weeks published lately, so it is "
                f"{side}: {'it is on the safe side' if value > 0 else 'keep more in reserve than it says'}."
            )
        return (
            f"Bands of {row['of']} at {level} level are {side}: they held {wording.fixed(100 * abs(value), 0)} points "
            f"{'more' if value > 0 else 'less'} often than they say."
        )
    if row["kind"] == "new":
        return f"{name}: only {wording.count(int(value), 'day')} of sales, so its forecast leans on its kind."
    return f"{name}: nothing sold for 56 days. If it is discontinued, nothing needs to be done."


# --------------------------------------------------------------------------------------------------- the backtest


def leaderboard(db: Database, run: RunInfo, level: str) -> pd.DataFrame:
    """Every model of the run's backtest at a level, best first: model, wape (weekly sums), wape_1, wape_4, wape_12 (so
    many weeks ahead), bias, mase, margin (share of the best naive's error that is gone), rank."""
    figures = forecast.accuracy(db, run.id, level)
    return board(figures)


def board(figures: pd.DataFrame) -> pd.DataFrame:
    """``leaderboard`` from services.forecast.accuracy of one level."""
    if figures.empty:
        return pd.DataFrame(columns=["model", "wape", "wape_1", "wape_4", "wape_12", "bias", "mase", "margin", "rank"])
    error = error_column(figures)
    wide = figures.pivot_table(index="model", columns="horizon_week", values=error, aggfunc="first", dropna=False)
    whole = figures[figures["horizon_week"] == 0].drop_duplicates("model").set_index("model")
    rows = pd.DataFrame({"wape": whole[error]})
    for week in (1, 4, 12):
        rows[f"wape_{week}"] = wide.get(week, np.nan)
    for name in ("bias", "mase"):
        rows[name] = whole.get(name, np.nan)
    naive = best_naive(rows["wape"])
    rows["margin"] = 1 - rows["wape"] / naive[1] if naive else np.nan
    rows = rows.sort_values("wape", kind="stable")
    rows["rank"] = np.arange(1, len(rows) + 1)
    return rows.rename_axis("model").reset_index()


def error_column(figures: pd.DataFrame) -> str:
    """The error of weekly sums where it was measured, else of days."""
    return "wape_weekly" if "wape_weekly" in figures and figures["wape_weekly"].notna().any() else "wape"


def best_naive(wape: pd.Series) -> tuple[str, float] | None:
    """(Name, error) of the better naive forecast; None when none was measured."""
    named = wape[[name for name in NAIVES if name in wape.index]].dropna()
    named = named[named > 0]
    return (str(named.idxmin()), float(named.min())) if len(named) else None


@dataclass(frozen=True)
class Step:
    """One step from what anybody could forecast to what is used: its error and the share of the step before's that is
    gone (None for the first)."""

    name: str  # a model's
    wape: float
    gain: float | None


def staircase(measured: Mapping[str, Any]) -> list[Step]:
    """From the naives over the single models to the combination. ``measured``: services.forecast.series_accuracy."""
    wape: Mapping[str, float] = measured.get("wape", {})
    naives = sorted((wape[name], name) for name in NAIVES if name in wape)[::-1]
    members = sorted((v, k) for k, v in wape.items() if k not in NAIVES and k != forecast.COMBINATION)
    order = [name for _, name in naives] + [name for _, name in members[:1]]
    order += [forecast.COMBINATION] if forecast.COMBINATION in wape else []
    steps: list[Step] = []
    for name in order:
        before = steps[-1].wape if steps else None
        steps.append(Step(name, wape[name], 1 - wape[name] / before if before else None))
    return steps


def coverage(db: Database, run: RunInfo, level: str | None = None) -> pd.DataFrame:
    """How often the bands held in the run's backtest, bands learnt before each starting point: level, of (days, weeks),
    horizon_week (0: all), nominal (0.8, 0.95), share, n (points)."""
    return held_bands(forecast.accuracy(db, run.id, level))


def held_bands(figures: pd.DataFrame) -> pd.DataFrame:
    """``coverage`` from services.forecast.accuracy."""
    figures = figures[figures["model"] == forecast.COMBINATION] if len(figures) else figures
    frames = []
    for of, suffix, points in (("days", "", "quantile_n"), ("weeks", "_weekly", "quantile_weeks")):
        for nominal in (0.8, 0.95):
            column = f"coverage{nominal * 100:.0f}{suffix}"
            if column in figures and points in figures:
                one = figures[["level", "horizon_week"]].assign(
                    of=of, nominal=nominal, share=figures[column], n=figures[points]
                )
                frames.append(one[one["share"].notna() & (one["n"] > 0)])
    empty = pd.DataFrame(columns=["level", "horizon_week", "of", "nominal", "share", "n"])
    found = pd.concat(frames, ignore_index=True) if frames else empty
    return found.sort_values(["level", "of", "nominal", "horizon_week"]).reset_index(drop=True)


def segments(db: Database, run: RunInfo, series_ids: Sequence[int]) -> pd.DataFrame:
    """Per series, in the run's backtest: series_id, key columns, wape and bias of the combination, winner (the best
    model) and its error, naive (the better one) and its error, margin of the winner over it. Most error first."""
    from trendcast.store import runs

    index = forecast.series_index(db, run.id).set_index("series_id")
    weeks, origins = run.horizon // 7, len(run.summary.get("origins", []))
    names = list(run.summary.get("members", []))
    rows = []
    for row in db.rows("run_backtest", run_id=run.id, series_ids=list(series_ids)) if origins else []:
        actual = runs.unpack_floats(row["actual"], weeks)
        said = {
            forecast.COMBINATION: runs.unpack_floats(row["mean"], weeks),
            **dict(zip(names, runs.unpack_floats(row["members"], origins, weeks), strict=False)),
        }
        error = errors(actual, said)
        if forecast.COMBINATION not in error:
            continue
        naive = best_naive(pd.Series({name: e for name, (e, _) in error.items()}))
        winner = min((name for name in error if name not in NAIVES), key=lambda name: error[name][0])
        rows.append(
            {
                "series_id": row["series_id"],
                **{part: index.loc[row["series_id"], part] for part in KEY},
                "wape": error[forecast.COMBINATION][0],
                "bias": error[forecast.COMBINATION][1],
                "winner": winner,
                "winner_wape": error[winner][0],
                "naive": naive[0] if naive else None,
                "naive_wape": naive[1] if naive else np.nan,
                "margin": 1 - error[winner][0] / naive[1] if naive else np.nan,
                "weekly_units": 7 * float(index.loc[row["series_id"], "recent_units"]),
            }
        )
    columns = [
        "series_id",
        *KEY,
        "wape",
        "bias",
        "winner",
        "winner_wape",
        "naive",
        "naive_wape",
        "margin",
        "weekly_units",
    ]
    frame = pd.DataFrame(rows, columns=columns)
    worst = (frame["wape"] * frame["weekly_units"]).sort_values(ascending=False).index
    return frame.loc[worst].reset_index(drop=True)


def errors(actual: np.ndarray, said: Mapping[str, np.ndarray]) -> dict[str, tuple[float, float]]:
    """Model -> (WAPE, bias) over the weeks whose truth and combination are known; models that lack some are
    left out."""
    known = np.isfinite(actual) & np.isfinite(said[forecast.COMBINATION])
    sold = actual[known].sum()
    found = {}
    for name, values in said.items():
        if known.any() and sold > 0 and np.isfinite(values[known]).all():
            gap = values[known] - actual[known]
            found[name] = (float(np.abs(gap).sum() / sold), float(gap.sum() / sold))
    return found


# ------------------------------------------------------------------------------------------------------ the finding


def finding(db: Database, run: RunInfo, level: str) -> str:
    """The sentence above the page: what to trust, where not, and what to do."""
    figures = forecast.accuracy(db, run.id, level)
    return words(figures, coverage(db, run, level), exceptions(db, run), level)


def of_selection(measured: Mapping[str, Any]) -> pd.DataFrame:
    """The figures of a selection's own backtest as those of a level are told: model, horizon_week, wape_weekly, bias.
    ``measured``: services.forecast.series_accuracy."""
    wape, bias = measured.get("wape", {}), measured.get("bias", {})
    rows = [(name, 0, value, bias.get(name)) for name, value in wape.items()]
    by_week = measured.get("by_week", [])
    rows += [(forecast.COMBINATION, week, value, None) for week, value in enumerate(by_week, 1) if value is not None]
    frame = pd.DataFrame(rows, columns=["model", "horizon_week", "wape_weekly", "bias"])
    return frame.astype({"wape_weekly": "float64", "bias": "float64"})


def words(figures: pd.DataFrame, held: pd.DataFrame, off: pd.DataFrame, level: str, name: str = "") -> str:
    """``finding`` from its figures; ``name``: the selection that ``figures`` are of, when they are not the level's.
    Bands are always the level's."""
    rows = board(figures).set_index("model")
    if forecast.COMBINATION not in rows.index:
        return "The backtest of this run is still to come; the next run brings it."
    ours = rows.loc[forecast.COMBINATION]
    place = level.replace("_", " × ")
    error = wording.percent(ours["wape"], 1)
    parts = [
        f"{name}: the forecast is off by {error} of sales"
        if name
        else f"At {place} level the forecast is off by {error} of sales"
    ]
    naive = best_naive(rows["wape"])
    worse = False
    if naive:
        margin = float(ours["margin"])
        rival = "last week's pattern" if naive[0] == "naive7" else "last year's sales"
        if margin > 0.005:
            parts.append(f", {wording.percent(margin)} less than {rival} would be")
        else:
            worse = True
            parts.append(f", no better than {rival}: use it with care")
    band = held[(held["horizon_week"] == 0) & (held["nominal"] == 0.8) & (held["of"] == "days")]
    if len(band):
        share = float(band["share"].iloc[0])
        verdict = (
            ("as it should" if worse else "so plan with it")
            if abs(share - 0.8) <= COVERAGE_LIMIT
            else "so keep more in reserve than it says"
            if share < 0.8
            else "so it is on the safe side"
        )
        whose = f"the 80 % band of days at {place} level" if name else "its 80 % band of days"
        parts.append(f"; {whose} held {wording.percent(share)} of the time, {verdict}")
    text = "".join(parts) + "."
    counted = off[off["kind"].isin(["bias", "tracking"])]
    if counted.empty:
        return text + " No series leans to one side."
    worst = counted.iloc[0]
    leaning = wording.count(len(counted), "series leans", "series lean")
    side = "high" if worst["value"] > 0 else "low"
    return (
        f"{text} {leaning} to one side, first of all {series_name(worst)}: {wording.percent(abs(worst['value']))} too "
        f"{side}."
    )

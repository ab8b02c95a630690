"""The figures of a weekly review that a run alone decides: immutable, so they are kept by the run's id.

Everything is read in one transaction and added up in arrays of shape (series, weeks); a line of the review is the sum
of its series. Weeks are whole, Monday to Sunday.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from trendcast.errors import NotFound
from trendcast.services.accuracy import BIAS_LIMIT

if TYPE_CHECKING:
    from trendcast.services.forecast import RunInfo
    from trendcast.store.engine import Database

AHEAD_WEEKS = 12
LOG_WEEKS = 13  # of published forecasts, a rolling quarter
RECENT_LOG_WEEKS = 4
YEAR_WEEKS = 52
NOMINAL = 0.80
LAGS = (1, 4)
MOVERS = 8
CAUSES = {"Level": ("trend",), "Season": ("yearly", "weekly"), "Holidays": ("holidays",), "Promotions": ("promotions",)}
OTHER = "Blend of models"  # what the structural parts leave
ENDED_DAYS = 56  # nothing sold for so long: ended, and no faller


@dataclass(frozen=True)
class Scope:
    """What a review is about; an empty tuple means all."""

    categories: tuple[str, ...] = ()
    regions: tuple[str, ...] = ()
    stores: tuple[str, ...] = ()


@dataclass(frozen=True)
class Volume:
    """Sums in units, or in money: the last 12 whole weeks, the next 12, the same weeks last year; ``now`` and
    ``published`` are this and last week's forecast of the weeks both reach. None where a week is not known."""

    recent: float | None = None
    ahead: float | None = None
    last_year: float | None = None
    now: float | None = None
    published: float | None = None

    @property
    def reference(self) -> float | None:
        """What the weeks ahead are compared with: the same weeks last year, else the last 12 weeks."""
        return self.last_year or self.recent or None

    @property
    def difference(self) -> float | None:
        return None if self.ahead is None or not self.reference else self.ahead - self.reference

    @property
    def change(self) -> float | None:
        return None if self.ahead is None or not self.reference else self.ahead / self.reference - 1

    @property
    def revision(self) -> float | None:
        """This week's forecast over the one published a week ago, for the same weeks, less 1."""
        return None if self.now is None or not self.published else self.now / self.published - 1


@dataclass(frozen=True)
class Line:
    """One row of the review: a category, or a region or store of the only category chosen."""

    name: str
    units: Volume
    money: Volume
    error: float | None  # WAPE one week ahead, published forecasts of the last 13 weeks
    recent_error: float | None  # of the last 4
    earlier_error: float | None  # of the 13 before those
    bias: float | None  # (forecast - actual) / actual, one week ahead, last 13 weeks
    bias_run: int  # weeks in a row, up to the newest, off by more than a tenth to the same side
    covered: float | None  # share of published weeks inside their 80 % band, one to four weeks ahead
    covered_weeks: int
    days_observed: int
    ended: bool = False  # nothing sold in the last 56 days


@dataclass(frozen=True)
class LagError:
    """How published forecasts were off so many weeks ahead; shares of what was sold, None where nothing was scored."""

    lag: int
    wape: float | None
    wape_before: float | None  # the same a week earlier
    bias: float | None
    bias_recent: float | None  # of the newest four weeks
    naive: float | None  # the better of last week's and last year's sales, on the same weeks
    wape_of_naive_weeks: float | None
    line: tuple[float, ...]  # WAPE week by week
    bias_line: tuple[float, ...]
    weeks: int
    added_line: tuple[float, ...] = ()  # share of the better naive's error that is gone, week by week
    published: bool = True  # False: from the back-test, because too few published weeks are over


@dataclass(frozen=True)
class Mover:
    """How the forecast of the same weeks changed since last week; ``causes`` add up to the difference in units."""

    name: str
    published: float
    now: float
    causes: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True)
class Figures:
    """See the module. ``dimension``: what a line is, 'category', 'region' or 'store'."""

    run_id: int
    level: str
    dimension: str
    scope: Scope
    lines: tuple[Line, ...]
    units: Volume
    money: Volume
    errors: tuple[LagError, ...]
    value_added: LagError | None
    first_week: date | None
    weeks: tuple[float, ...]  # units of the last 13 whole weeks, then of the next 12
    whole: Mover | None
    movers: tuple[Mover, ...]  # biggest difference first
    covered: float | None  # back-test, 80 % band of weeks, this level
    covered_weeks: int
    published_again: int  # weeks ahead that had been published a week ago
    members_before: int | None = None  # models of last week's run, where they were others than this run's
    members_now: int | None = None


def read(db: Database, run: RunInfo, scope: Scope) -> Figures:
    """The figures of a scope of a run; NotFound when nothing sells under its names."""
    days = (run.last_day - run.first_day).days + 1
    back = min(days, 7 * (YEAR_WEEKS + LOG_WEEKS + RECENT_LOG_WEEKS + 6))
    named = {"categories": list(scope.categories), "regions": list(scope.regions), "stores": list(scope.stores)}
    with db.read() as connection:

        def series(level: str) -> pd.DataFrame:
            how: dict[str, Any] = {"connection": connection, "level": level, **named}
            found = db.frame("review_series", run_id=run.id, days=days, back=back, **how)
            if len(found) and found["units"].isna().all():
                return _days_of_now(db, connection, run, found, back, how)
            return found

        counts = {row["level"]: row for row in db.rows("review_levels", connection=connection, run_id=run.id, **named)}
        level, dimension = _lines_of(counts, scope)
        index = series(level)
        if index.empty:
            raise NotFound("No series has all of these names together.")
        ids = index["series_id"].tolist()
        since = run.last_day - timedelta(weeks=LOG_WEEKS + RECENT_LOG_WEEKS + 2)
        window = {"series_ids": ids, "last_day": run.last_day}
        ahead = db.frame("review_ahead", connection=connection, run_id=run.id, series_ids=ids)
        log = db.frame("review_log", connection=connection, since=since, **window)
        newest = run.last_day - timedelta(weeks=LOG_WEEKS + 1)
        covered = db.frame("review_coverage", connection=connection, since=newest, **window)
        metrics = _metrics(db, connection, run, level)
        whole = _whole_ids(series, scope, ids)
        again = ahead.dropna(subset="mean_before")
        names = index[_column(dimension)]
        movers = _movers(again, index["series_id"], names)
        wanted = [*whole, *index.loc[names.isin([mover.name for mover in movers]), "series_id"].tolist()]
        older = [int(number) for number in again["run_before"].unique()[-1:]]
        before = db.rows("run_read", connection=connection, run_id=older[0]) if older else []
        parts = (
            db.rows("review_parts", connection=connection, run_ids=[run.id, *older], series_ids=wanted)
            if older and wanted
            else []
        )
    found = _compute(
        run, scope, level, dimension, index, back, ahead, log, covered, metrics, whole, movers, parts, older
    )
    now_made, then_made = (
        set(one.get("members") or ()) for one in (run.summary, before[0]["summary"] if before else {})
    )
    if now_made and then_made and now_made != then_made:
        return replace(found, members_before=len(then_made), members_now=len(now_made))
    return found


def _days_of_now(
    db: Database, connection: Any, run: RunInfo, found: pd.DataFrame, back: int, how: dict[str, Any]
) -> pd.DataFrame:
    """The series of an older run with their days up to its last one, which only the run of now still keeps."""
    now = db.rows("run_read", connection=connection, run_id=None)[0]
    later = max(0, (now["last_day"] - run.last_day).days)
    days = (now["last_day"] - now["first_day"]).days + 1
    kept = db.frame("review_series", run_id=int(now["id"]), days=days, back=min(days, back + later), **how)
    kept = kept.set_index("series_id")
    for column in ("units", "revenue"):
        by_series = {
            number: bytes(raw)[: len(raw) - 4 * later] for number, raw in kept[column].items() if raw is not None
        }
        found[column] = found["series_id"].map(by_series).astype(object).where(found["series_id"].isin(by_series), None)
    return found


def _lines_of(counts: dict[str, Any], scope: Scope) -> tuple[str, str]:
    """(level, dimension): categories; of one category alone its regions, of one region alone its stores."""
    level = "category_store" if scope.stores else "category_region" if scope.regions else "category"
    if level not in counts:
        level = next((name for name in ("category", "category_region", "category_store") if name in counts), level)
    found = counts.get(level)
    if found is None or found["categories"] > 1:
        return level, "category"
    for finer, many, dimension in (("category_region", "regions", "region"), ("category_store", "stores", "store")):
        if finer in counts and counts[finer][many] > 1 and not (scope.stores and finer == "category_region"):
            return finer, dimension
    return level, "category"


def _column(dimension: str) -> str:
    return "product_category" if dimension == "category" else dimension


def _whole_ids(series: Any, scope: Scope, ids: list[int]) -> list[int]:
    """Few series that add up to the scope: its total where it has one, else its own when they are few."""
    if not (scope.categories or scope.regions or scope.stores):
        return [int(number) for number in series("total")["series_id"]]
    if scope.categories or scope.stores:
        return ids if len(ids) <= 3 * MOVERS else []
    return [int(number) for number in series("region")["series_id"]]


def _metrics(db: Database, connection: Any, run: RunInfo, level: str) -> pd.DataFrame:
    rows = [
        {"model": row["model"], "horizon_week": row["horizon_week"], **row["metrics"]}
        for row in db.rows("run_metrics", connection=connection, run_id=run.id)
        if row["level"] == level
    ]
    return pd.DataFrame(rows, columns=None if rows else ["model", "horizon_week"])


def _compute(
    run: RunInfo,
    scope: Scope,
    level: str,
    dimension: str,
    index: pd.DataFrame,
    back: int,
    ahead: pd.DataFrame,
    log: pd.DataFrame,
    covered: pd.DataFrame,
    metrics: pd.DataFrame,
    whole: list[int],
    movers: list[Mover],
    parts: list[Any],
    older: list[int],
) -> Figures:
    names, group = np.unique(index[_column(dimension)].to_numpy(dtype=object), return_inverse=True)
    n = len(names)
    place = pd.Series(np.arange(len(index)), index=index["series_id"])
    first = np.datetime64(run.last_day - timedelta(days=back - 1), "D")
    units_days, money_days = (_days(index[column], back) for column in ("units", "revenue"))
    weeks, start = _whole_weeks(first, back)
    units, money = (_grouped(_weekly(x, start, len(weeks)), group, n) for x in (units_days, money_days))
    target, new, old = _ahead_matrix(ahead, place, group, n, "mean")
    _, new_money, old_money = _ahead_matrix(ahead, place, group, n, "money")
    volumes = _volumes(units, weeks, target, new, old)
    volumes_money = _volumes(money, weeks, target, new_money, old_money)
    actual, published = _log_matrix(log, place, group, n, weeks)
    inside = _sums(covered, place, group, n)
    over = _ended(_grouped(units_days, group, n))
    lines = tuple(
        Line(
            name=str(names[i]),
            units=volumes[i],
            money=volumes_money[i],
            error=_wape(published[0, i], actual[0, i], LOG_WEEKS),
            recent_error=_wape(published[0, i], actual[0, i], RECENT_LOG_WEEKS),
            earlier_error=_wape(published[0, i], actual[0, i], LOG_WEEKS, RECENT_LOG_WEEKS),
            bias=_bias(published[0, i], actual[0, i], LOG_WEEKS),
            bias_run=_bias_run(published[0, i], actual[0, i]),
            covered=float(inside[i, 1] / inside[i, 0]) if inside[i, 0] else None,
            covered_weeks=int(inside[i, 0]),
            days_observed=int(index["days_observed"].to_numpy()[group == i].max()),
            ended=bool(over[i]),
        )
        for i in range(n)
    )
    total = _volumes(_all(units), weeks, target, _all(new), _all(old))[0]
    total_money = _volumes(_all(money), weeks, target, _all(new_money), _all(old_money))[0]
    share, points = _covered(metrics)
    sold = _all(units)[0][-LOG_WEEKS:]
    both = np.isfinite(_all(old)[0])
    errors = tuple(_lag_error(lag, published[k], actual[k], units, weeks, metrics) for k, lag in enumerate(LAGS))
    causes = _causes(run, parts, older, ahead)
    whole_mover = None
    if total.published is not None and total.now is not None:
        whole_mover = Mover("", total.published, total.now, _of(causes, whole, total.now - total.published))
    by_name = index.groupby(_column(dimension))["series_id"].agg(list)
    explained = tuple(
        Mover(m.name, m.published, m.now, _of(causes, by_name[m.name], m.now - m.published)) for m in movers
    )
    return Figures(
        run_id=run.id,
        level=level,
        dimension=dimension,
        scope=scope,
        lines=lines,
        units=total,
        money=total_money,
        errors=errors,
        value_added=next((error for error in errors[::-1] if error.naive), None),
        first_week=target[0].astype(object) if len(target) else None,
        weeks=tuple(float(v) for v in [*sold, *_all(new)[0][:AHEAD_WEEKS]] if np.isfinite(v)),
        whole=whole_mover,
        movers=explained,
        covered=share,
        covered_weeks=points,
        published_again=int(both.sum()),
    )


# --- arrays ----------------------------------------------------------------------------------------------------------


def _days(packed: pd.Series, back: int) -> np.ndarray:
    """(series, days) of the packed tails; NaN where nothing is kept any more."""
    result = np.full((len(packed), back), np.nan)
    for row, raw in enumerate(packed):
        if raw is not None:
            values = np.frombuffer(bytes(raw), "<f4")
            result[row, back - len(values) :] = values
    return result


def _ended(days: np.ndarray) -> np.ndarray:
    """Which rows sold once and nothing in the newest days."""
    sold = np.nan_to_num(days) > 0
    return sold.any(axis=1) & ~sold[:, -ENDED_DAYS:].any(axis=1)


def _whole_weeks(first: np.datetime64, days: int) -> tuple[np.ndarray, int]:
    """The Mondays of the whole weeks within so many days from ``first``, and the first one's position."""
    start = int((7 - (first.astype(int) + 3) % 7) % 7)  # 1970-01-01 was a Thursday
    return first + start + 7 * np.arange(max(0, (days - start) // 7)), start


def _weekly(values: np.ndarray, start: int, weeks: int) -> np.ndarray:
    """Sums of whole weeks; NaN where no day of the week is known."""
    cut = values[:, start : start + 7 * weeks].reshape(len(values), weeks, 7)
    known = np.isfinite(cut)
    return np.where(known.any(axis=2), np.where(known, cut, 0).sum(axis=2), np.nan)


def _grouped(values: np.ndarray, group: np.ndarray, n: int) -> np.ndarray:
    """Rows added up by group; NaN where none of a group's rows is known."""
    known = np.isfinite(values)
    total, count = np.zeros((n, *values.shape[1:])), np.zeros((n, *values.shape[1:]))
    np.add.at(total, group, np.where(known, values, 0))
    np.add.at(count, group, known)
    return np.where(count > 0, total, np.nan)


def _all(values: np.ndarray) -> np.ndarray:
    return _grouped(values, np.zeros(len(values), int), 1)


def _ahead_matrix(
    frame: pd.DataFrame, place: pd.Series, group: np.ndarray, n: int, measure: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(weeks, this run's forecast (n, weeks), last week's); a line's earlier forecast counts where all its series
    had one."""
    weeks = np.unique(frame["week"].to_numpy().astype("datetime64[D]"))
    row = place.loc[frame["series_id"]].to_numpy()
    column = np.searchsorted(weeks, frame["week"].to_numpy().astype("datetime64[D]"))
    now, before = (np.full((len(place), len(weeks)), np.nan) for _ in range(2))
    now[row, column] = frame[measure].to_numpy(float)
    before[row, column] = frame[f"{measure}_before"].to_numpy(float)
    summed, earlier = _grouped(now, group, n), _grouped(before, group, n)
    # A series without a price has no money in either forecast; one that is new has none in the earlier.
    missing = _grouped((np.isfinite(now) & ~np.isfinite(before)).astype(float), group, n) > 0
    return weeks, summed, np.where(missing, np.nan, earlier)


def _volumes(
    history: np.ndarray, weeks: np.ndarray, target: np.ndarray, now: np.ndarray, before: np.ndarray
) -> list[Volume]:
    target, now, before = target[:AHEAD_WEEKS], now[:, :AHEAD_WEEKS], before[:, :AHEAD_WEEKS]
    year = np.full(now.shape, np.nan)
    position = {week: i for i, week in enumerate(weeks)}
    for column, week in enumerate(target - 7 * YEAR_WEEKS):
        if week in position:
            year[:, column] = history[:, position[week]]
    recent = history[:, -AHEAD_WEEKS:] if history.shape[1] >= AHEAD_WEEKS else np.full((len(history), 1), np.nan)
    both = np.isfinite(before) & np.isfinite(now)
    result = []
    for i in range(len(history)):
        used = both[i]
        result.append(
            Volume(
                recent=_sum(recent[i]),
                ahead=_sum(now[i]),
                last_year=_sum(year[i]),
                now=float(now[i, used].sum()) if used.any() else None,
                published=float(before[i, used].sum()) if used.any() else None,
            )
        )
    return result


def _sum(values: np.ndarray) -> float | None:
    return float(values.sum()) if len(values) and np.isfinite(values).all() else None


def _log_matrix(
    log: pd.DataFrame, place: pd.Series, group: np.ndarray, n: int, weeks: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """(actual, published) of shape (lags, n, weeks)."""
    shape = (len(LAGS), len(place), len(weeks))
    actual, published = np.full(shape, np.nan), np.full(shape, np.nan)
    at = log["week"].to_numpy().astype("datetime64[D]")
    column = np.searchsorted(weeks, at)
    inside = column < len(weeks)
    inside[inside] = weeks[column[inside]] == at[inside]
    found = log[inside]
    key = (
        np.searchsorted(LAGS, found["lag_weeks"].to_numpy()),
        place.loc[found["series_id"]].to_numpy(),
        column[inside],
    )
    actual[key], published[key] = found["actual"].to_numpy(float), found["mean"].to_numpy(float)
    return (
        np.stack([_grouped(one, group, n) for one in actual]),
        np.stack([_grouped(one, group, n) for one in published]),
    )


def _sums(covered: pd.DataFrame, place: pd.Series, group: np.ndarray, n: int) -> np.ndarray:
    """(n, 2): scored weeks and those inside their band."""
    result = np.zeros((n, 2))
    if len(covered):
        at = group[place.loc[covered["series_id"]].to_numpy()]
        np.add.at(result, at, covered[["weeks", "inside"]].to_numpy(float))
    return result


def _window(published: np.ndarray, actual: np.ndarray, weeks: int, skip: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """The scored cells of so many weeks, ``skip`` weeks before the newest."""
    stop = actual.shape[-1] - skip
    part = slice(max(0, stop - weeks), max(0, stop))
    known = np.isfinite(published[..., part]) & np.isfinite(actual[..., part])
    return published[..., part][known], actual[..., part][known]


def _wape(published: np.ndarray, actual: np.ndarray, weeks: int, skip: int = 0) -> float | None:
    said, sold = _window(published, actual, weeks, skip)
    return float(np.abs(said - sold).sum() / sold.sum()) if sold.sum() > 0 else None


def _bias(published: np.ndarray, actual: np.ndarray, weeks: int) -> float | None:
    said, sold = _window(published, actual, weeks)
    return float((said - sold).sum() / sold.sum()) if sold.sum() > 0 else None


def _bias_run(published: np.ndarray, actual: np.ndarray, limit: float = BIAS_LIMIT) -> int:
    """Weeks in a row, up to the newest, whose forecast was off by more than ``limit`` to the same side."""
    with np.errstate(divide="ignore", invalid="ignore"):
        off = (published - actual) / actual
    count, side = 0, 0.0
    for value in off[::-1]:
        if not np.isfinite(value) or abs(value) <= limit or (side and np.sign(value) != side):
            break
        count, side = count + 1, float(np.sign(value))
    return count


def _lag_error(
    lag: int, published: np.ndarray, actual: np.ndarray, units: np.ndarray, weeks: np.ndarray, metrics: pd.DataFrame
) -> LagError:
    """Of one lag over all lines; from the back-test while nothing published is over."""
    wape = _wape(published, actual, LOG_WEEKS)
    if wape is None:
        return _from_backtest(lag, metrics)
    naive_error, ours, added = _naive(lag, published, actual, units)
    series = [
        _window(published[:, : i + 1], actual[:, : i + 1], 1) for i in range(max(0, len(weeks) - LOG_WEEKS), len(weeks))
    ]
    line = [(float(np.abs(f - a).sum() / a.sum()), float((f - a).sum() / a.sum())) for f, a in series if a.sum() > 0]
    return LagError(
        lag=lag,
        wape=wape,
        wape_before=_wape(published, actual, LOG_WEEKS, 1),
        bias=_bias(published, actual, LOG_WEEKS),
        bias_recent=_bias(published, actual, RECENT_LOG_WEEKS),
        naive=naive_error,
        wape_of_naive_weeks=ours,
        line=tuple(pair[0] for pair in line),
        bias_line=tuple(pair[1] for pair in line),
        weeks=len(line),
        added_line=added,
    )


def _naive(
    lag: int, published: np.ndarray, actual: np.ndarray, units: np.ndarray
) -> tuple[float | None, float | None, tuple[float, ...]]:
    """(WAPE of the better naive, ours on the same cells, what we gain on it by week): the last week known when the
    forecast was made, and the same week a year before."""
    width = units.shape[1]
    columns = np.arange(max(0, width - LOG_WEEKS), width)
    cut = columns[columns >= YEAR_WEEKS]
    if not len(cut):
        return None, None, ()
    said, sold = published[:, cut], actual[:, cut]
    naives = np.stack([units[:, cut - lag], units[:, cut - YEAR_WEEKS]])
    known = np.isfinite(said) & np.isfinite(sold) & np.isfinite(naives).all(axis=0)
    total = np.where(known, sold, 0.0).sum()
    if not total > 0:
        return None, None, ()
    # (naive, week): the distances of all lines
    others = np.where(known, np.abs(naives - sold), 0.0).sum(axis=1)
    ours = np.where(known, np.abs(said - sold), 0.0).sum(axis=0)
    best = others[others.sum(axis=1).argmin()]
    line = tuple(float(1 - a / b) for a, b in zip(ours, best, strict=True) if b > 0)
    return float(best.sum() / total), float(ours.sum() / total), line


def _from_backtest(lag: int, metrics: pd.DataFrame) -> LagError:
    def figure(model: str, name: str) -> float | None:
        rows = metrics[(metrics["model"] == model) & (metrics["horizon_week"] == lag)]
        value = rows[name].iloc[0] if len(rows) and name in rows else None
        return None if value is None or value != value else float(value)

    ours = figure("combination", "wape_weekly")
    naives = [value for value in (figure(name, "wape_weekly") for name in ("naive7", "naive364")) if value is not None]
    naive = min(naives) if naives else None
    bias = figure("combination", "bias")
    return LagError(lag, ours, None, bias, None, naive, ours if naive else None, (), (), 0, published=False)


def _covered(metrics: pd.DataFrame) -> tuple[float | None, int]:
    rows = metrics[(metrics["model"] == "combination") & (metrics["horizon_week"] == 0)]
    if rows.empty or "coverage80_weekly" not in rows or pd.isna(rows["coverage80_weekly"].iloc[0]):
        return None, 0
    return float(rows["coverage80_weekly"].iloc[0]), int(rows["quantile_weeks"].iloc[0] or 0)


# --- what changed since last week ------------------------------------------------------------------------------------


def _movers(again: pd.DataFrame, ids: pd.Series, names: pd.Series) -> list[Mover]:
    """The lines whose forecast of the same weeks changed most, in units; no causes yet."""
    if again.empty:
        return []
    weeks = np.sort(again["week"].unique())[:AHEAD_WEEKS]
    used = again[again["week"].isin(weeks)]
    named = used["series_id"].map(dict(zip(ids, names, strict=True)))
    sums = used.groupby(named)[["mean_before", "mean"]].sum()
    order = (sums["mean"] - sums["mean_before"]).abs().sort_values(ascending=False).index[:MOVERS]
    return [Mover(str(name), float(sums.loc[name, "mean_before"]), float(sums.loc[name, "mean"])) for name in order]


def _causes(run: RunInfo, rows: list[Any], older: list[int], ahead: pd.DataFrame) -> dict[int, dict[str, float]]:
    """Per series how each part of the decomposition of the weeks published twice changed between the two runs."""
    from trendcast.store import runs

    again = ahead.dropna(subset="mean_before")
    weeks = np.sort(again["week"].unique())[:AHEAD_WEEKS].astype("datetime64[D]")
    if not len(weeks) or not older:
        return {}
    sums: dict[tuple[int, int], dict[str, float]] = {}
    for row in rows:
        names = list(row["names"] or ())
        if not names:
            continue
        values = runs.unpack_parts(row["parts"], len(names))
        at = (weeks - np.datetime64(row["first_day"], "D")).astype(int)
        if at[-1] + 7 > values.shape[1]:
            continue
        days = (at[:, None] + np.arange(7)).ravel()
        totals = dict(zip(names, values[:, days].sum(axis=1), strict=True))
        sums[row["run_id"], row["series_id"]] = {
            cause: float(sum(totals.get(name, 0.0) for name in members)) for cause, members in CAUSES.items()
        }
    return {
        series: {cause: sums[run.id, series][cause] - before[cause] for cause in CAUSES}
        for (number, series), before in sums.items()
        if number == older[0] and (run.id, series) in sums
    }


def _of(causes: dict[int, dict[str, float]], ids: list[int], difference: float) -> tuple[tuple[str, float], ...]:
    """The causes of some series together and what is left, which add up to the difference; none unless all have
    them."""
    if not ids or any(number not in causes for number in ids):
        return ()
    summed = [(cause, sum(causes[number][cause] for number in ids)) for cause in CAUSES]
    return (*summed, (OTHER, difference - sum(value for _, value in summed)))

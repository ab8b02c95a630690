"""The calendar: named events by region, and the days on which the retailer is closed.

Arrays only: no panel, no frames beyond the events table, so that `trendcast.panel` itself can stand on it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import pandas as pd
from dateutil.easter import easter

DAY = np.timedelta64(1, "D")
LONG_GAP = 7  # days without a row beyond which a series counts as closed, not as badly recorded
RECENT = 56  # days that decide on which weekdays a series opens
# An "event" on more days than this is a season; it would stand for the level of the series itself.
MOST_DAYS = 0.5


@dataclass(frozen=True, eq=False)
class Events:
    """Named events as arrays, past and future.

    regions: row names of the indicator; the first is '' and holds the sales-weighted mean over all regions.
    indicator: float32 (regions, names, days); 1 on the days of an event, in row '' the share of sales it touches.
    """

    names: list[str]
    regions: list[str]
    indicator: np.ndarray

    @classmethod
    def build(
        cls,
        frame: pd.DataFrame | None,
        dates: np.ndarray,
        regions: Sequence[str],
        weights: Sequence[float] | np.ndarray,
    ) -> Events:
        """Events of a table (date_id, region, event; region '' = everywhere) on the given dates.

        weights: one per region (any scale), for the mean over regions in row ''. Regions the table does not name get
        the events of region ''; rows for regions nobody sells in are left out. Two rows of one day and name count once.
        """
        places = [""] + [region for region in regions if region != ""]
        if frame is None or len(frame) == 0:
            return cls([], places, np.zeros((len(places), 0, len(dates)), np.float32))
        day = to_days(frame["date_id"]) - dates[0].astype("datetime64[D]").astype(np.int64)
        region = frame["region"].fillna("").astype(str) if "region" in frame else pd.Series("", index=frame.index)
        place = pd.Index(places).get_indexer(pd.Index(region))
        keep = (day >= 0) & (day < len(dates)) & (place >= 0)
        name, names = pd.factorize(frame["event"].astype(str).to_numpy()[keep], sort=True)
        indicator = np.zeros((len(places), len(names), len(dates)), np.float32)
        indicator[place[keep], name, day[keep]] = 1
        indicator[1:] = np.maximum(indicator[1:], indicator[:1])
        few = (indicator.max(axis=0) > 0).mean(axis=1) <= MOST_DAYS
        events = cls([str(n) for n in np.asarray(names)[few]], places, indicator[:, few])
        by_region = dict(zip(regions, np.asarray(weights, float), strict=True))
        return events.weighted(np.array([by_region[place] for place in places[1:]]))

    def weighted(self, weights: np.ndarray) -> Events:
        """The same events with row '' as the mean over the other rows by these weights (one per region after '')."""
        if len(self.regions) == 1 or not self.names:
            return self
        weights = np.asarray(weights, float)
        if not np.isfinite(weights).all() or weights.sum() <= 0:
            weights = np.ones(len(self.regions) - 1)
        indicator = self.indicator.copy()
        indicator[0] = np.tensordot(weights / weights.sum(), self.indicator[1:], axes=1)
        return Events(self.names, self.regions, indicator)

    def for_regions(self, region: Sequence[str] | pd.Series) -> np.ndarray:
        """Row of the indicator for each region name; row 0 for '' and for names without a row."""
        return np.maximum(pd.Index(self.regions).get_indexer(pd.Index(region)), 0)

    def until(self, days: int) -> Events:
        """The events of the first days only."""
        return Events(self.names, self.regions, self.indicator[:, :, :days])


def project(frame: pd.DataFrame | None, until: np.datetime64) -> pd.DataFrame | None:
    """The events table carried on beyond its own last day, as far as the past shows a rule.

    A name seen on the same days of every month of the last year goes on so. A rare name (once or twice a year, for at
    least two years) goes on by the one rule that explains all its days: the date, the distance from Easter, or the
    n-th (or last) weekday of a month. Of other names those days go on that fell on the same date, or as far from
    Easter, in both of the last two years. The table's own days always stand as they are.
    """
    if frame is None or len(frame) == 0:
        return frame
    day = to_days(frame["date_id"])
    last = np.datetime64(int(day.max()), "D")
    ahead = np.arange(last + DAY, until + DAY)
    if not len(ahead):
        return frame
    region = (
        frame["region"].fillna("").astype(str).to_numpy(object)
        if "region" in frame
        else np.full(len(frame), "", object)
    )
    rules = _rules(ahead)
    added = []
    for (where, name), rows in pd.Series(day).groupby([region, frame["event"].astype(str).to_numpy(object)]):
        seen = np.unique(rows.to_numpy()).astype("datetime64[D]")
        again = _again(seen, last, ahead, rules)
        if again.any():
            added.append(pd.DataFrame({"date_id": ahead[again], "region": where, "event": name}))
    if not added:
        return frame
    known = pd.DataFrame(
        {"date_id": day.astype("datetime64[D]"), "region": region, "event": frame["event"].astype(str)}
    )
    return pd.concat([known, *added], ignore_index=True)


def _rules(dates: np.ndarray) -> list[np.ndarray]:
    """Per rule a key per date: the date, the distance from Easter, the n-th and the n-th last weekday of a month."""
    _, month, day = year_month_day(dates)
    next_month = (dates.astype("datetime64[M]") + 1).astype("datetime64[D]")
    left = (next_month - dates).astype(int)
    week = month * 10 + weekday(dates)
    return [month * 100 + day, from_easter(dates), week * 10 + (day - 1) // 7, week * 10 + (left - 1) // 7]


def _again(seen: np.ndarray, last: np.datetime64, ahead: np.ndarray, rules: list[np.ndarray]) -> np.ndarray:
    """bool per day ahead: the event that was seen on those days will be on it."""
    nothing = np.zeros(len(ahead), bool)
    months = seen.astype("datetime64[M]")
    whole = np.arange(last.astype("datetime64[M]") - 12, last.astype("datetime64[M]"))
    days = [frozenset(year_month_day(seen[months == month])[2].tolist()) for month in whole]
    if days[0] and all(other == days[0] for other in days):
        return np.isin(year_month_day(ahead)[2], list(days[0]))
    years, ahead_years = year_month_day(seen)[0], year_month_day(ahead)[0]
    past = _rules(seen)
    lived = np.unique(years)
    if len(lived) < 2:
        return nothing
    if len(seen) <= 2 * len(lived):
        for keys, coming in zip(past, rules, strict=True):
            per_year = [frozenset(keys[years == year].tolist()) for year in lived]
            # The first and the last year may be cut short.
            full = max(per_year, key=len)
            inner = per_year[1:-1]
            if all(part <= full for part in per_year) and all(part == full for part in inner) and len(full) <= 2:
                return np.isin(coming, list(full))
        return nothing
    found = nothing.copy()
    for keys, coming in zip(past[:2], rules[:2], strict=True):
        for year in np.unique(ahead_years):
            both = set(keys[years == year - 1].tolist()) & set(keys[years == year - 2].tolist())
            found |= (ahead_years == year) & np.isin(coming, list(both))
    return found


def to_days(column: pd.Series | np.ndarray) -> np.ndarray:
    """Dates of any spelling as int64 days since 1970-01-01."""
    values = column.to_numpy() if isinstance(column, pd.Series) else np.asarray(column)
    if values.dtype.kind != "M":
        values = pd.to_datetime(pd.Series(values)).to_numpy()
    return values.astype("datetime64[D]").astype(np.int64)


def to_date(day: np.datetime64) -> date:
    """A day as Python's."""
    found: date = day.astype("datetime64[D]").astype(date)
    return found


def weekday(dates: np.ndarray) -> np.ndarray:
    """0 = Monday ... 6 = Sunday, for datetime64[D] dates."""
    return (dates.astype("datetime64[D]").astype(np.int64) + 3) % 7


def year_month_day(dates: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Year, month and day of month of datetime64[D] dates."""
    months = dates.astype("datetime64[M]")
    years = dates.astype("datetime64[Y]").astype(int) + 1970
    return years, months.astype(int) % 12 + 1, (dates - months.astype("datetime64[D]")).astype(int) + 1


def from_easter(dates: np.ndarray) -> np.ndarray:
    """Days since Easter Sunday of the same calendar year (negative before it)."""
    years = year_month_day(dates)[0]
    found, inverse = np.unique(years, return_inverse=True)
    return (dates - np.array([easter(int(y)) for y in found], "datetime64[D]")[inverse]).astype(int)


# Days that are closed by law or custom in many countries: one closing on them is evidence enough.
FIXED_FEASTS = frozenset({(1, 1), (5, 1), (12, 25), (12, 26)})
# Good Friday, Easter Sunday and Monday, Ascension, Whit Monday, Corpus Christi.
EASTER_FEASTS = (-2, 0, 1, 39, 50, 60)


def feasts(dates: np.ndarray) -> np.ndarray:
    """A key per date, the same for the same feast of other years: month x 100 + day, or 2000 + days from Easter."""
    _, month, day = year_month_day(dates)
    offset = from_easter(dates)
    return np.where(np.isin(offset, EASTER_FEASTS), 2000 + offset, month * 100 + day)


def gaps(observed: np.ndarray) -> np.ndarray:
    """bool (S, T): the day lies in a run of more than LONG_GAP unobserved days (days before the first row included)."""
    days = observed.shape[1]
    index = np.arange(days)
    last = np.maximum.accumulate(np.where(observed, index, -1), axis=1)
    ahead = np.where(observed, index, days)
    following = np.minimum.accumulate(ahead[:, ::-1], axis=1)[:, ::-1]
    started = last >= 0
    return ~observed & ((following - last - 1 > LONG_GAP) | ~started)


def infer_open(
    units: np.ndarray,
    dates: np.ndarray,
    history: int,
    opening: np.ndarray,
    outlet: np.ndarray,
    events: Events,
    place: np.ndarray,
) -> np.ndarray:
    """Share of capacity open, 0 or 1: recorded or planned where `opening` is not NaN, else inferred from what was sold.

    units: (S, >= history), only days before `history` are looked at. opening: (S, days), NaN = not recorded. outlet:
    (S,) code of the store (or region) a series belongs to: a store that sells next to nothing in all its series was
    closed. place: (S,) row of `events` of each series.

    In the past a series is closed before its first row, in gaps of more than a week, on weekdays it hardly ever has
    rows, and on days on which its whole store, or the whole retailer, sold under 2 % of its median day. Ahead it is
    closed on weekdays on which it was open in under 20 % of the last 8 weeks, and on events and feasts on which it was
    closed at (almost) all past occurrences.
    """
    n_series, days = opening.shape
    sold = units[:, :history]
    observed = ~np.isnan(sold)
    day_of_week = weekday(dates)
    known = ~np.isnan(opening)
    state = np.ones((n_series, days), np.float32)

    absent = gaps(observed)
    for d in range(7):
        column = day_of_week[:history] == d
        alive = (~absent[:, column]).sum(axis=1)
        rare = (alive > 0) & (observed[:, column].sum(axis=1) < 0.2 * np.maximum(alive, 1))
        state[:, :history][np.ix_(rare, column)] = 0
    state[:, :history][absent] = 0
    # Days with a row are open whatever the weekday, unless nobody bought anything.
    state[:, :history][observed] = 1
    if not known[:, :history].all():
        filled = np.where(observed, sold, 0)
        for code in (outlet, np.zeros_like(outlet)):
            groups = int(code.max()) + 1
            together = np.zeros((groups, history))
            np.add.at(together, code, filled)
            seen = np.zeros((groups, history), bool)
            np.logical_or.at(seen, code, observed)
            usual = np.array([np.median(row[row > 0]) if (row > 0).any() else 0.0 for row in together])[:, None]
            shut = seen & (usual >= 20) & (together <= 0.02 * usual)
            state[:, :history][shut[code]] = 0
    past = np.where(known[:, :history], opening[:, :history], state[:, :history])
    # Closed is closed only if nothing went over the counter: a wrong flag must not hide sales.
    past = np.where(observed & (sold > 0) & known[:, :history] & (past == 0), 1, past)
    state[:, :history] = past
    if days == history:
        return state

    recent = slice(max(0, history - RECENT), history)
    shut_weekday = np.zeros((n_series, 7), bool)
    started = np.cumsum(observed, axis=1) > 0
    for d in range(7):
        column = np.flatnonzero(day_of_week[recent] == d) + recent.start
        lived = started[:, column].sum(axis=1)
        shut_weekday[:, d] = (lived > 0) & (past[:, column].sum(axis=1) < 0.2 * lived)
    state[:, history:] = ~shut_weekday[:, day_of_week[history:]]

    # Evidence from days on which the series would otherwise have been open.
    shut_always = np.zeros((n_series, 7), bool)
    usable = started & ~absent
    for d in range(7):
        column = day_of_week[:history] == d
        shut_always[:, d] = past[:, column].sum(axis=1) < 0.2 * usable[:, column].sum(axis=1)
    usable &= ~shut_always[:, day_of_week[:history]]
    closed = usable & (past == 0)
    if closed.any():
        usable_f, closed_f = usable.astype(np.float32), closed.astype(np.float32)
        for row in np.unique(place):
            members = place == row
            on = (events.indicator[row] > 0.5).astype(np.float32)
            if not on.shape[0]:
                continue
            times, shut = usable_f[members] @ on[:, :history].T, closed_f[members] @ on[:, :history].T
            certain = ((times >= 1) & (shut >= 0.9 * times)).astype(np.float32)
            state[np.flatnonzero(members)[:, None], np.arange(history, days)[None, :]] *= certain @ on[:, history:] == 0
        key, (_, month, day) = feasts(dates), year_month_day(dates)
        for t in range(history, days):
            same = np.flatnonzero(key[:history] == key[t])
            if len(same):
                times, shut = usable[:, same].sum(axis=1), closed[:, same].sum(axis=1)
                enough = 1 if (int(month[t]), int(day[t])) in FIXED_FEASTS or key[t] >= 1900 else 2
                state[(times >= enough) & (shut >= 0.9 * times), t] = 0
    # What has never sold opens when it does: nobody knows of it yet.
    state[:, history:][~started.any(axis=1)] = 0
    ahead = known[:, history:]
    state[:, history:][ahead] = opening[:, history:][ahead]
    return state

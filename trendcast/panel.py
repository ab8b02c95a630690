"""The panel: all series of a retailer as arrays of shape (series, days), and the hierarchy they form.

Everything downstream (members, anomalies, stock policies) is an array program over a Panel. `Panel.as_of` is the only
way to look at the past as it was: whatever could not be known at the origin is gone from it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from trendcast.errors import InvalidInput
from trendcast.features.calendar import Events, infer_open, project, to_days

if TYPE_CHECKING:
    from scipy.sparse import csr_array

DIMENSIONS = ("product_category", "region", "store")
# The dimensions a level's rows are told apart by, and those it carries as parents.
KEYS: dict[str, tuple[str, ...]] = {
    "total": (),
    "region": ("region",),
    "store": ("region", "store"),
    "category": ("product_category",),
    "category_region": ("product_category", "region"),
    "category_store": ("product_category", "region", "store"),
}
LEVELS = tuple(KEYS)
YEAR = 364
# A node is out of stock on a day when this share of what it usually sells is.
STOCKOUT_SHARE = 0.25
# Doubtful is a node's day when as much of it is, or when its doubtful series are off by this share of what it sells.
DOUBTFUL_SHARE = 0.1


@dataclass(frozen=True, eq=False)
class Reach:
    """How many days beyond the last one the plan is known: promotion and opening (S,) of each bottom series, events."""

    promotion: np.ndarray
    opening: np.ndarray
    events: int


@dataclass(frozen=True, eq=False)
class Panel:
    """All series at once: arrays of shape (series, days); days = history + ahead; day 0 is first_day.

    series: columns level, product_category, region, store; one row per array row ('' where a level has no dimension).
    history: days whose truth is known; the origin (last day known) is day history - 1.
    units: float64, NaN where not observed, and everywhere from `history` on.
    open: float32 0..1, share of capacity open (0 or 1 at the bottom); after history as planned or inferred.
    promotion: float32 0..1, share under promotion; NaN where not known.
    price: float32, price of a unit, NaN where not known; after history only what is planned.
    stockout: bool, a stock-out day of the series' category; False after history.
    opening: the part of `open` that was recorded or planned, NaN where `open` is inferred; None = all of it.
    doubtful: bool, days that teach nothing: confirmed to be out of the ordinary, or wrong data; None = none.
    wrong: bool, those of them on which the data are wrong: what was sold is not known; None = none.
    """

    series: pd.DataFrame
    first_day: np.datetime64
    history: int
    units: np.ndarray
    open: np.ndarray
    promotion: np.ndarray
    price: np.ndarray
    stockout: np.ndarray
    events: Events
    opening: np.ndarray | None = None
    # The events table itself, to be cut and carried on again at earlier origins.
    calendar: pd.DataFrame | None = field(default=None, repr=False)
    doubtful: np.ndarray | None = None
    wrong: np.ndarray | None = None
    # A panel of nodes remembers what it was summed from: its weights depend on what was known.
    source: tuple[Hierarchy, Panel, np.ndarray] | None = field(default=None, repr=False)

    @property
    def days(self) -> int:
        return self.units.shape[1]

    @property
    def dates(self) -> np.ndarray:
        """datetime64[D] (days,)."""
        return self.first_day + np.arange(self.days)

    @property
    def last_day(self) -> np.datetime64:
        """The origin: the last day whose truth is known."""
        return self.first_day + (self.history - 1)

    @property
    def n_series(self) -> int:
        return self.units.shape[0]

    @property
    def silent(self) -> np.ndarray:
        """bool (S, days): what was sold says nothing about demand: there was no stock, or the day is doubtful."""
        return self.stockout if self.doubtful is None else self.stockout | self.doubtful

    @property
    def sold(self) -> np.ndarray:
        """float32 (S, days): ``units``, NaN where the data are wrong: nothing is measured against these days."""
        return self.units if self.wrong is None else np.where(self.wrong, np.float32(np.nan), self.units)

    @property
    def ahead(self) -> int:
        return self.days - self.history

    @property
    def alive(self) -> np.ndarray:
        """bool (S,): the series had a row by the last day known."""
        return np.isfinite(self.units[:, : self.history]).any(axis=1)

    def reach(self) -> Reach:
        """How far ahead the plan is known now; an origin of the past, as well planned, would have known as much."""

        def days(values: np.ndarray) -> np.ndarray:
            known = np.isfinite(values[:, self.history :])
            return np.where(known.any(axis=1), known.shape[1] - np.argmax(known[:, ::-1], axis=1), 0)

        nothing = np.zeros(self.n_series, int)
        table = self.calendar
        last = self.last_day.astype("datetime64[D]").astype(int)
        return Reach(
            promotion=days(self.promotion) if self.ahead else nothing,
            opening=days(self.opening) if self.ahead and self.opening is not None else nothing,
            events=max(int(to_days(table["date_id"]).max()) - last, 0) if table is not None and len(table) else 0,
        )

    def as_of(self, history: int, reach: Reach | None = None) -> Panel:
        """The panel as it was known when only the first `history` days had happened, reaching equally far ahead.

        Units, stock-outs and realised prices after it are hidden, inferred closings are inferred again without them;
        the plan (promotions, recorded opening days, events) stays, with `reach` only so many days of it. Nothing is
        known ahead of a series without a row so far.
        """
        if not 1 <= history <= self.history:
            raise InvalidInput(f"A panel of {self.history} days cannot be cut at day {history}.")
        if history == self.history:
            return self
        if self.source is not None:
            hierarchy, bottom, rows = self.source
            return hierarchy.panel(bottom.as_of(history, reach)).rows(rows)
        days = min(history + self.ahead, self.days)
        unborn = ~np.isfinite(self.units[:, :history]).any(axis=1)

        def hidden(values: np.ndarray, blank: object) -> np.ndarray:
            kept = values[:, :days].copy()
            kept[:, history : self.history] = blank
            return kept

        def planned(values: np.ndarray, ahead: np.ndarray | None) -> np.ndarray:
            kept = values[:, :days].copy()
            kept[unborn, history:] = np.nan
            if ahead is not None:
                kept[np.arange(days)[None, :] >= history + ahead[:, None]] = np.nan
            return kept

        cut = replace(
            self,
            history=history,
            units=hidden(self.units, np.nan),
            open=self.open[:, :days],
            promotion=planned(self.promotion, None if reach is None else reach.promotion),
            price=hidden(self.price, np.nan),
            stockout=hidden(self.stockout, False),
            doubtful=None if self.doubtful is None else hidden(self.doubtful, False),
            wrong=None if self.wrong is None else hidden(self.wrong, False),
            events=self.events.until(days),
            opening=None if self.opening is None else planned(self.opening, None if reach is None else reach.opening),
        )
        if reach is not None and reach.events < days - history and self.calendar is not None:
            known = self.calendar[to_days(self.calendar["date_id"]) < _day(self.first_day) + history + reach.events]
            cut = replace(cut, calendar=known)
            regions = self.events.regions[1:]
            carried = Events.build(project(known, cut.dates[-1]), cut.dates, regions, _region_weights(cut, regions))
            cut = replace(cut, events=carried)
        events = cut.events.weighted(_region_weights(cut, cut.events.regions[1:]))
        cut = replace(cut, events=events)
        return cut if cut.opening is None else replace(cut, open=_open(cut))

    def rows(self, selector: np.ndarray | Sequence[int] | slice) -> Panel:
        """The panel of some rows (boolean mask, positions or slice), in the order asked for."""
        picked = np.arange(self.n_series)[selector if isinstance(selector, slice) else np.asarray(selector)]
        return replace(
            self,
            series=self.series.iloc[picked].reset_index(drop=True),
            units=self.units[picked],
            open=self.open[picked],
            promotion=self.promotion[picked],
            price=self.price[picked],
            stockout=self.stockout[picked],
            doubtful=None if self.doubtful is None else self.doubtful[picked],
            wrong=None if self.wrong is None else self.wrong[picked],
            opening=None if self.opening is None else self.opening[picked],
            source=None if self.source is None else (self.source[0], self.source[1], self.source[2][picked]),
        )

    @classmethod
    def from_frames(
        cls,
        sales: pd.DataFrame,
        events: pd.DataFrame | None = None,
        plan: pd.DataFrame | None = None,
        inventory: pd.DataFrame | None = None,
        ahead: int = 98,
        last_day: object = None,
    ) -> Panel:
        """The bottom panel of tables with the columns of sales_daily, events, plan_daily and inventory_daily.

        Only date_id, product_category and sales_units are required. History ends on `last_day`, by default the last
        full day; what later rows say about promotions and opening is kept as plan, their units are not. Raises
        InvalidInput for no rows, for a key that occurs twice and for units that are not numbers >= 0.
        """
        if len(sales) == 0:
            raise InvalidInput("There are no sales: load data first.")
        if ahead < 0:
            raise InvalidInput("A panel cannot reach a negative number of days ahead.")
        row, series = _series(sales)
        day = to_days(sales["date_id"])
        first = int(day.min())
        last = last_full_day(day) if last_day is None else int(to_days(np.array([last_day], "datetime64[D]"))[0])
        if last < first:
            raise InvalidInput("The last day of the history lies before the first sale.")
        history = last - first + 1
        days, n = history + ahead, len(series)
        day = day - first
        at = row.astype(np.int64) * max(days, int(day.max()) + 1) + day
        _refuse_duplicates(at, sales)
        inside = day < days
        if not inside.all():
            sales, row, day = sales[inside], row[inside], day[inside]
        at = row.astype(np.int64) * days + day

        def scatter(values: np.ndarray, dtype: type, positions: np.ndarray = at) -> np.ndarray:
            flat: np.ndarray = np.full(n * days, np.nan, dtype)
            flat[positions] = values
            return flat.reshape(n, days)

        sold = _number(sales, "sales_units")
        if not (np.isfinite(sold) & (sold >= 0)).all():
            raise InvalidInput("Units must be numbers of at least zero.")
        units = scatter(sold, np.float64)
        promotion = scatter(_number(sales, "promotion_flag"), np.float32)
        opening = scatter(_number(sales, "open_flag"), np.float32)
        listed, revenue = _number(sales, "unit_price"), _number(sales, "sales_revenue")
        with np.errstate(invalid="ignore", divide="ignore"):
            price = scatter(np.where(np.isnan(listed) & (sold > 0), revenue / sold, listed), np.float32)
        if plan is not None and len(plan):
            where, day = _positions(plan, series), to_days(plan["date_id"]) - first
            known = (where >= 0) & (day >= 0) & (day < days)
            spot = where[known] * days + day[known]
            for column, values in (("promotion_flag", promotion), ("open_flag", opening), ("unit_price", price)):
                planned = scatter(_number(plan, column)[known], np.float32, spot)
                # What happened outranks what was planned; ahead the plan outranks everything.
                planned[:, :history] = np.where(np.isnan(values[:, :history]), planned[:, :history], np.nan)
                if column == "unit_price":
                    planned[:, :history] = np.nan
                np.copyto(values, planned, where=~np.isnan(planned))
        units[:, history:] = np.nan
        stockout = np.zeros((n, days), bool)
        if inventory is not None and len(inventory):
            out = inventory[_number(inventory, "stockout_flag") == 1]
            category, day = pd.Index(series["product_category"]), to_days(out["date_id"]) - first
            for name, group in pd.Series(day).groupby(out["product_category"].astype(str).to_numpy()):
                within = group[(group >= 0) & (group < history)].to_numpy()
                stockout[np.ix_(np.flatnonzero(category == name), within)] = True
        panel = cls(
            series=series,
            first_day=np.datetime64(first, "D"),
            history=history,
            units=units,
            open=np.ones((n, days), np.float32),
            promotion=promotion,
            price=price,
            stockout=stockout,
            events=Events([], [""], np.zeros((1, 0, days), np.float32)),
            opening=opening,
            calendar=events,
        )
        regions = sorted(set(series["region"]) - {""})
        calendar = project(events, panel.dates[-1])
        panel = replace(panel, events=Events.build(calendar, panel.dates, regions, _region_weights(panel, regions)))
        return replace(panel, open=_open(panel))


def last_full_day(day: np.ndarray) -> int:
    """The last day (int64 days since 1970) on which the feed was complete.

    A day with fewer than half of the rows its weekday had in the eight weeks before (median), and fewer than half of a
    usual day's, is a feed still arriving. More than a week of such days is the retailer itself, not the feed.
    """
    first = int(day.min())
    rows = np.bincount(day - first)
    last = len(rows) - 1
    for candidate in range(last, max(-1, last - 8), -1):
        same = rows[max(0, candidate - 56) : candidate : 1][::-1][6::7]
        usual = rows[max(0, candidate - 56) : candidate]
        same, usual = same[same > 0], usual[usual > 0]
        expected = min(np.median(same) if len(same) else np.inf, np.median(usual) if len(usual) else 0)
        if rows[candidate] > 0 and rows[candidate] >= 0.5 * expected:
            return first + candidate
    return first + last


def _codes(frame: pd.DataFrame, column: str) -> tuple[np.ndarray, np.ndarray]:
    """Integer codes and sorted-by-name uniques of a text column; missing column or value = ''."""
    if column not in frame:
        return np.zeros(len(frame), np.int64), np.array([""], object)
    values = frame[column]
    if isinstance(values.dtype, pd.CategoricalDtype):
        names = np.asarray(values.cat.categories.astype(str), object)
        codes = values.cat.codes.to_numpy().astype(np.int64)
    else:
        codes, found = pd.factorize(values)
        names = np.asarray(found, object).astype(str).astype(object)
    if (codes < 0).any():
        names = np.append(names, "")
        codes = np.where(codes < 0, len(names) - 1, codes)
    uniques, back = np.unique(names.astype(str), return_inverse=True)
    return back[codes], uniques.astype(object)


def _series(sales: pd.DataFrame) -> tuple[np.ndarray, pd.DataFrame]:
    """Row of the panel for each row of sales, and the series, sorted by category, region, store."""
    parts = [_codes(sales, column) for column in DIMENSIONS]
    key = np.zeros(len(sales), np.int64)
    for codes, names in parts:
        key = key * len(names) + codes
    found, row = np.unique(key, return_inverse=True)
    columns: dict[str, np.ndarray] = {}
    for (_, names), column in zip(parts[::-1], DIMENSIONS[::-1], strict=True):
        found, code = found // len(names), found % len(names)
        columns[column] = names[code]
    level = "category_store" if (columns["store"] != "").any() else "category_region"
    if level == "category_region" and not (columns["region"] != "").any():
        level = "category"
    series = pd.DataFrame({"level": level, **{c: columns[c] for c in DIMENSIONS}}, index=range(len(columns["store"])))
    return row, series.astype("str")


def _positions(frame: pd.DataFrame, series: pd.DataFrame) -> np.ndarray:
    """Row of `series` for each row of `frame`, -1 where there is none."""
    names = [
        frame[c].fillna("").astype(str).to_numpy(object) if c in frame else np.full(len(frame), "", object)
        for c in DIMENSIONS
    ]
    index = pd.MultiIndex.from_arrays([series[c].to_numpy(object) for c in DIMENSIONS])
    return index.get_indexer(pd.MultiIndex.from_arrays(names))


def _number(frame: pd.DataFrame, column: str) -> np.ndarray:
    """A column as float64, NaN where missing; booleans as 0 and 1."""
    if column not in frame:
        return np.full(len(frame), np.nan)
    values = frame[column]
    if values.dtype == object:
        return pd.to_numeric(values, errors="raise").to_numpy(float, na_value=np.nan)
    return values.to_numpy(float, na_value=np.nan)


def _refuse_duplicates(at: np.ndarray, sales: pd.DataFrame) -> None:
    seen = np.zeros(int(at.max()) + 1, bool)
    seen[at] = True
    if int(seen.sum()) == len(at):
        return
    order = np.argsort(at, kind="stable")
    twice = order[1:][at[order][1:] == at[order][:-1]][0]
    key = [str(sales[c].iloc[twice]) for c in DIMENSIONS if c in sales]
    date = str(np.datetime64(int(to_days(sales["date_id"].iloc[[twice]])[0]), "D"))
    raise InvalidInput(f"{' / '.join(key)} has more than one row for {date}.")


def _day(date: np.datetime64) -> int:
    return int(date.astype("datetime64[D]").astype(int))


def _open(panel: Panel) -> np.ndarray:
    opening = panel.opening
    assert opening is not None
    outlet = panel.series.groupby(["region", "store"]).ngroup().to_numpy()
    place = panel.events.for_regions(panel.series["region"])
    return infer_open(panel.units, panel.dates, panel.history, opening, outlet, panel.events, place)


def capacity(panel: Panel) -> np.ndarray:
    """Mean units of an observed day with sales in the last year known, (S,): how much of an aggregate a series is.

    A series without sales in that year counts with its earlier mean, one without any with the mean of the others.
    """
    weight = np.zeros(panel.n_series)
    for first in (max(0, panel.history - YEAR), 0):
        sold = panel.units[:, first : panel.history]
        positive = sold > 0
        mean = np.where(positive, sold, 0).sum(axis=1) / np.maximum(positive.sum(axis=1), 1)
        weight = np.where(weight > 0, weight, mean)
    known = weight > 0
    return np.where(known, weight, weight[known].mean() if known.any() else 1.0)


def _region_weights(panel: Panel, regions: Sequence[str]) -> np.ndarray:
    weight = pd.Series(capacity(panel)).groupby(panel.series["region"].to_numpy(object)).sum()
    return np.array([float(weight.get(region, 0.0)) for region in regions])


@dataclass(frozen=True, eq=False)
class Hierarchy:
    """The series above the bottom ones: every distinct sum the retailer looks at.

    nodes: columns level, product_category, region, store; the distinct nodes, aggregates first, the bottom last.
    summing: scipy.sparse csr (n_nodes, n_bottom) of 0 and 1: node values = summing @ bottom values.
    aggregates: number of rows of `nodes` above the bottom.
    aliases: level -> the level whose nodes are the same sums under another name (a store that is one category).
    """

    nodes: pd.DataFrame
    summing: csr_array
    aggregates: int
    aliases: dict[str, str]
    # level -> (node of the panel, its name) for the levels in `aliases`, as rows ready to be written
    renamed: pd.DataFrame = field(repr=False)

    @classmethod
    def of(cls, series: pd.DataFrame) -> Hierarchy:
        """The hierarchy over the bottom series of a panel (`panel.series`)."""
        from scipy.sparse import csr_array

        bottom = str(series["level"].iloc[0])
        present = ["total"]
        if (series["region"] != "").any():
            present.append("region")
        if (series["store"] != "").any():
            present.append("store")
        present.append("category")
        if "region" in present:
            present.append("category_region")
        if "store" in present:
            present.append("category_store")
        groups = {level: _groups(series, level) for level in present}
        # The bottom keeps its name and comes first when names compete; above it, the coarser name wins.
        kept: dict[str, tuple[np.ndarray, pd.DataFrame]] = {}
        aliases: dict[str, str] = {}
        for level in [bottom] + [name for name in present if name != bottom]:
            code, _ = groups[level]
            twin = next(
                (name for name, (other, _) in kept.items() if np.array_equal(_canonical(other), _canonical(code))), None
            )
            if twin is None:
                kept[level] = groups[level]
            else:
                aliases[level] = twin
        order = [level for level in present if level in kept and level != bottom]
        frames, rows, columns, start = [], [], [], 0
        offset: dict[str, int] = {}
        for level in order:
            code, names = kept[level]
            offset[level] = start
            frames.append(names)
            rows.append(code + start)
            columns.append(np.arange(len(series)))
            start += len(names)
        aggregates = start
        offset[bottom] = start
        frames.append(series[["level", *DIMENSIONS]])
        rows.append(np.arange(len(series)) + start)
        columns.append(np.arange(len(series)))
        row, column = np.concatenate(rows), np.concatenate(columns)
        summing = csr_array((np.ones(len(row)), (row, column)), shape=(start + len(series), len(series)))
        renamed = []
        for level, twin in aliases.items():
            code, names = groups[level]
            member = np.zeros(len(names), np.int64)
            member[code] = (np.arange(len(series)) if twin == bottom else kept[twin][0]) + offset[twin]
            renamed.append(names.assign(node=member))
        empty = frames[-1].iloc[:0].assign(node=np.zeros(0, np.int64))
        return cls(
            nodes=pd.concat(frames, ignore_index=True),
            summing=summing,
            aggregates=aggregates,
            aliases=aliases,
            renamed=pd.concat([empty, *renamed], ignore_index=True),
        )

    def named(self) -> pd.DataFrame:
        """Every series to show or write, levels under all their names: columns of `nodes` and `node`, its row there."""
        rows = pd.concat([self.nodes.assign(node=np.arange(len(self.nodes))), self.renamed], ignore_index=True)
        rank = rows["level"].map({level: i for i, level in enumerate(LEVELS)})
        return rows.iloc[np.lexsort((np.arange(len(rows)), rank))].reset_index(drop=True)

    def panel(self, bottom: Panel) -> Panel:
        """The panel of all nodes: units are sums over the bottoms observed on a day, the rest shares by capacity.

        A bottom without a row counts as closed that day, so that units / open stays comparable while stores open, rest
        or miss a delivery. Promotion is the share of what is open; the price is the mean by capacity.
        """
        sums = self.summing[: self.aggregates]
        history = bottom.history
        observed = ~np.isnan(bottom.units)
        weight = capacity(bottom)[:, None]
        working = bottom.open.astype(np.float64)
        working[:, :history] *= observed[:, :history]
        total = sums @ weight
        active = working * weight
        open_share = (sums @ active) / total
        # Promotions are planned for closed days too: there they are weighted as if open.
        promotion = _share(sums, bottom.promotion, active)
        price = _share(sums, bottom.price, np.broadcast_to(weight, active.shape))
        seen = sums @ observed.astype(np.float64) > 0
        units = np.where(seen, sums @ np.where(observed, bottom.units, 0), np.nan)
        out = (sums @ (bottom.stockout * weight)) / total >= STOCKOUT_SHARE

        def of_nodes(those: np.ndarray | None) -> np.ndarray | None:
            """Days of the bottoms, with the days of the nodes on which these are much of what the node sells."""
            if those is None:
                return None
            off = np.where(those & observed, np.abs(np.nan_to_num(bottom.units) - weight), 0.0)
            mine = (sums @ (those * weight)) / total >= STOCKOUT_SHARE
            return np.vstack([mine | ((sums @ off) / total >= DOUBTFUL_SHARE), those])

        panel = Panel(
            series=self.nodes,
            first_day=bottom.first_day,
            history=history,
            units=np.vstack([units, bottom.units]),
            open=np.vstack([np.clip(open_share, 0, 1).astype(np.float32), bottom.open]),
            promotion=np.vstack([promotion, bottom.promotion]),
            price=np.vstack([price, bottom.price]),
            stockout=np.vstack([out, bottom.stockout]),
            doubtful=of_nodes(bottom.doubtful),
            wrong=of_nodes(bottom.wrong),
            events=bottom.events,
        )
        return replace(panel, source=(self, bottom, np.arange(panel.n_series)))


def _groups(series: pd.DataFrame, level: str) -> tuple[np.ndarray, pd.DataFrame]:
    """Node code of each bottom series at a level, and the level's nodes, sorted by name."""
    keys = list(KEYS[level])
    if keys:
        grouped = series.groupby(keys, sort=True, observed=True)
        code = grouped.ngroup().to_numpy()
        names = series[keys].iloc[np.unique(code, return_index=True)[1]].reset_index(drop=True)
    else:
        code, names = np.zeros(len(series), np.int64), pd.DataFrame(index=range(1))
    blank = {column: "" for column in DIMENSIONS if column not in keys}
    names = names.assign(level=level, **blank)[["level", *DIMENSIONS]].astype("str")
    return code, names


def _canonical(code: np.ndarray) -> np.ndarray:
    return pd.factorize(code)[0]


def _share(sums: csr_array, values: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Weighted mean of what is known of each node's bottoms; plain where weights vanish, NaN where nothing is known."""
    known = ~np.isnan(values)
    if not known.any():
        return np.full((sums.shape[0], values.shape[1]), np.nan, np.float32)
    filled = np.where(known, values, 0).astype(np.float64)
    mass, count = sums @ (weight * known), sums @ known.astype(np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        share = np.where(mass > 0, (sums @ (weight * filled)) / mass, (sums @ filled) / count)
    return share.astype(np.float32)

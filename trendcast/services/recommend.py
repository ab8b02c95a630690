"""What to order by when: the stock decisions a run advises, per category, and the demand its stock-outs turned away.

A refresh computes them once (``compute``, ``write``); pages, REST and mail read the same rows and sentences. Stock is
recorded per category, so decisions are per category, on the demand of all its regions and stores together.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import date, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from trendcast import wording
from trendcast.errors import NotFound
from trendcast.inventory import demand, receipts
from trendcast.inventory import lost_sales as lost
from trendcast.inventory.recommend import MARGIN, QUANTILE_NAMES, Advice, Inputs, Parameters, recommend_one
from trendcast.services import forecast, money
from trendcast.services import report as reports
from trendcast.services.listing import Page

if TYPE_CHECKING:
    from trendcast.forecasting.forecaster import Forecaster, Publication
    from trendcast.panel import Panel
    from trendcast.services.forecast import RunInfo
    from trendcast.store.engine import Database

YEAR = 364
STALE_DAYS = 14  # older stock says nothing about now
ORDERS_NEEDED = 5  # deliveries whose time from order to arrival is better evidence than a stated lead time
FORGOTTEN_DAYS = 60  # an order so long overdue will not come
TAG_DAYS = 84
MOST_SERIES = 12  # whose trends are told beside a forecast
NOTABLE = 0.05  # of demand: a driver smaller than this is not named
FIGURES = (
    "on_hand", "on_order", "lead_time_days", "reorder_point_now", "reorder_point", "safety_stock", "demand_mean",
    "p_stockout", "p_stockout_with_order", "p_stockout_before_arrival", "lost_units", "lost_units_with_order",
    "lost_money", "cover_days", "excess_units", "excess_money", "carrying_cost_year", "avoidable_carrying_cost_year",
    "carrying_cost_month_of_order", "target_service", "realised_service", "realised_weeks", "unit_cost", "unit_price",
    "margin", "holding_rate", "stock_value", "lot", "lot_days", "gauge", "stock_ahead", "implied_shortage_cost",
    "stock_residual", "order_by_days", "quantity_days", "excess_threshold",
)  # fmt: skip
# What is not a number among them.
WORDS = ("last_stock_day", "order_note", "policy", "service_class", "lead_time_source", "drivers", "dead")


@dataclass
class Computed:
    """What a refresh decided: advice with what it came from, and lost units of the bottom series (B, history)."""

    lost: np.ndarray
    advices: list[Advice] = field(default_factory=list)
    inputs: list[Inputs] = field(default_factory=list)
    parameters: list[Parameters] = field(default_factory=list)
    pool: np.ndarray = field(default_factory=lambda: np.zeros((0, 0), np.float32))
    pool_weight: np.ndarray = field(default_factory=lambda: np.zeros(0))


# --- within a refresh ---------------------------------------------------------------------------------------------


def compute(db: Database, engine: Forecaster, publication: Publication) -> Computed:
    """Lost sales and the advice for every category whose stock is known, as of the publication's origin."""
    found = Computed(lost_units(engine, publication))
    last_day = _date(engine.bottom.first_day + (publication.history - 1))
    facts = _read_facts(db, last_day)
    if not facts.stock:
        return found  # nothing is known of any stock: nothing is decided
    categories = _Categories(engine, publication, found.lost)
    found.pool, found.pool_weight = categories.library.pool, categories.library.pool_weight
    for c, name in enumerate(categories.names):
        inputs = categories.inputs(c, facts.of(name) if name in facts.stock else None, facts.orders.get(name), last_day)
        parameters = _given(facts.items.get(name))
        found.inputs.append(inputs)
        found.parameters.append(parameters)
        found.advices.append(recommend_one(inputs, found.pool, found.pool_weight, parameters))
    return found


def write(db: Database, connection: Any, run_id: int, ids: np.ndarray, node: np.ndarray, computed: Computed) -> None:
    """The rows of stock_advice, stock_projection and stock_library, in the run's own transaction."""
    import json

    from trendcast.store import runs

    if not computed.advices:
        return
    order = sorted(range(len(computed.advices)), key=lambda i: _weight(computed.advices[i]))
    rows, weeks = [], []
    for rank, i in enumerate(order, start=1):
        advice = computed.advices[i]
        rows.append(
            {
                "run_id": run_id,
                "product_category": advice.product_category,
                "status": advice.status,
                "rank": rank,
                "money": np.nan if advice.money is None else advice.money,
                "order_quantity": advice.order_quantity,
                "order_by": advice.order_by,
                "sentence": advice.sentence,
                "tags": json.dumps(list(advice.tags)),
                "assumed": json.dumps(list(advice.assumed)),
                "figures": advice.figures,
                "parameters": asdict(computed.parameters[i]),
                "inputs": computed.inputs[i].to_bytes(),
            }
        )
        weeks.append(_projection_frame(advice).assign(run_id=run_id, product_category=advice.product_category))
    frame = pd.DataFrame(rows).astype({"order_by": "object"})
    db.copy_in(connection, "stock_advice", list(frame.columns), frame)
    projection = pd.concat(weeks, ignore_index=True)
    if len(projection):
        db.copy_in(connection, "stock_projection", list(projection.columns), projection)
    library = pd.DataFrame(
        {
            "run_id": [run_id],
            "days": [computed.pool.shape[1]],
            "pool": [runs.pack_floats(computed.pool)],
            "pool_weight": [runs.pack_floats(computed.pool_weight)],
        }
    )
    db.copy_in(connection, "stock_library", list(library.columns), library)


def lost_units(engine: Forecaster, publication: Publication) -> np.ndarray:
    """Units that stock-outs turned away (B, history) of the bottom series, float32."""
    bottom, history = _bottom(engine, publication), publication.history
    out = bottom.stockout[:, :history]
    result = np.zeros((bottom.n_series, history), np.float32)
    group, _ = pd.factorize(bottom.series["product_category"])
    concerned = np.isin(group, np.unique(group[out.any(axis=1)]))
    rows = np.flatnonzero(concerned)
    if not len(rows):
        return result
    sold = bottom.units[rows, :history]
    fit = publication.extras.get("structural", {}).get("fit")
    if fit is not None and fit.n_series == len(engine.hierarchy.nodes):
        expected = fit.predict(0, history, rows + engine.hierarchy.aggregates)
    else:
        day = bottom.dates[:history].astype("datetime64[D]").astype(int)
        expected = lost.plain_expectation(sold, out[rows] | (bottom.open[rows, :history] <= 0), (day + 3) % 7)
    expected = expected * bottom.open[rows, :history]
    result[rows] = lost.lost_units(sold, expected, out[rows], group[rows])
    return result


def _bottom(engine: Forecaster, publication: Publication) -> Panel:
    """The bottom series as they were known at the publication's origin."""
    bottom = engine.bottom
    return bottom if publication.history == bottom.history else bottom.as_of(publication.history, engine.reach)


class _Categories:
    """The category nodes of a publication, with what the advice needs of them."""

    def __init__(self, engine: Forecaster, publication: Publication, lost_bottom: np.ndarray) -> None:
        hierarchy, bottom = engine.hierarchy, _bottom(engine, publication)
        named = hierarchy.named()
        nodes = named[named["level"] == "category"]
        self.names = nodes["product_category"].tolist()
        self.rows = nodes["node"].to_numpy()
        self.publication = publication
        history = publication.history
        summing = hierarchy.summing[self.rows]
        units = bottom.units[:, :history]
        seen = summing @ np.isfinite(units).astype(np.float32) > 0
        self.units = np.where(seen, summing @ np.nan_to_num(units), np.nan)
        lost_here = np.asarray(summing @ lost_bottom)
        self.means = np.nan_to_num(publication.means[self.rows])
        origins, horizon = publication.origins, self.means.shape[1]
        truth = publication.past_truth[:, self.rows].copy()
        for o, origin in enumerate(origins):
            stop = min(origin + horizon, history)
            part = truth[o, :, : stop - origin]
            closed = summing @ (bottom.open[:, origin:stop] > 0).astype(np.float32) == 0
            part[np.isnan(part) & closed] = 0.0
            part += lost_here[:, origin:stop]  # demand, not sales
        age = np.array([history - origin for origin in origins], float)
        self.past_means = np.nan_to_num(publication.past_means[:, self.rows])
        self.library = demand.library(truth, self.past_means, 0.5 ** (age / 365.0))
        self.prices = money.unit_prices(bottom, hierarchy.summing)[self.rows]
        self.whole = bool(np.all(np.mod(np.nan_to_num(units[:, -YEAR:]), 1) == 0))
        self.business_date = _date(bottom.first_day + history)
        self.classes = _classes(np.nansum(self.units[:, -YEAR:], axis=1), self.prices)
        self.tags, self.parts = self._trends()
        self._ranks: dict[int, np.ndarray] = {}
        self._first_day = _date(bottom.first_day)

    def _trends(self) -> tuple[list[tuple[str, ...]], dict[str, np.ndarray]]:
        """The specification's tags of each category, and the parts of its forecast from four weeks back on."""
        publication, history = self.publication, self.publication.history
        components = publication.extras.get("structural", {}).get("components")
        parts: dict[str, np.ndarray] = {}
        if components is not None and publication.extras["structural"]["fit"].n_series == len(publication.means):
            parts = components(max(history - 28, 0), history + self.means.shape[1], self.rows)
        tags = []
        low, high = publication.weekly_quantiles[self.rows, :, 2], publication.weekly_quantiles[self.rows, :, 6]
        weekly = publication.weekly_means[self.rows]
        inside = publication.weeks + 6 < TAG_DAYS
        for c in range(len(self.names)):
            total = weekly[c, inside].sum()
            width = float((high - low)[c, inside].sum() / total) if total > 0 else None
            trend = None
            if parts and history >= 28:
                path = parts["trend"][c]
                start, end = path[27], path[27 + min(TAG_DAYS, self.means.shape[1])]
                trend = float(end / start - 1) if start > 0 else None
            weeks = reports.whole_weeks(self.units[c], self._day_zero())
            said = reports.recommendations(TAG_DAYS, weeks, width, trend)
            tags.append(tuple(sentence.split(":")[0] for sentence in said))
        return tags, parts

    def _day_zero(self) -> date:
        return self.business_date - timedelta(days=self.publication.history)

    def ranks(self, days: int) -> np.ndarray:
        """Where past demand of so many days lay among what other origins gave (W, C)."""
        if days not in self._ranks:
            length = np.full(len(self.names), min(max(days, 1), self.means.shape[1]))
            self._ranks[days] = demand.past_ranks(self.library, self.past_means, length)
        return self._ranks[days]

    def inputs(self, c: int, stock: pd.DataFrame | None, orders: pd.DataFrame | None, last_day: date) -> Inputs:
        """What is known of category ``c``: ``stock`` and ``orders`` are its rows, None when there are none."""
        sold = self.units[c]
        horizon = self.means.shape[1]
        lead = _lead_times(stock, orders, last_day)
        usual = float(np.median(lead.days)) if len(lead.days) else 14.0
        position = _position(stock, orders, sold, last_day, usual, horizon)
        ranks = self.ranks(round(usual) + 1)[:, c]
        drivers = [*self._drivers(c, round(usual) + 8), *lead.driver()]
        return Inputs(
            product_category=self.names[c],
            business_date=self.business_date,
            mean=self.means[c],
            own=self.library.ratios[:, c],
            own_weight=self.library.weights,
            scale=float(self.library.scale[c]),
            seed=zlib.crc32(self.names[c].encode()),
            ranks=ranks,
            lead_times=lead.days,
            lead_time_source=lead.source,
            lead_time_now=lead.now,
            lead_time_before=lead.before,
            on_hand=position.on_hand,
            last_stock_day=position.counted,
            receipts=position.receipts,
            reorder_point_now=position.reorder_point,
            usual_lot=position.lot,
            unit_price=float(self.prices[c]),
            service_class=self.classes[c],
            whole=self.whole,
            recent_daily=float(np.nan_to_num(sold[-28:]).mean()),
            drivers=tuple(drivers[:3]),
            tags=self.tags[c],
            residual=position.residual,
        )

    def _drivers(self, c: int, days: int) -> list[str]:
        """What makes demand of the next days differ from the last four weeks', strongest first."""
        if not self.parts or self.publication.history < 28:
            return []
        ahead = slice(28, 28 + days)
        usual = sum(part[c, :28].mean() for part in self.parts.values())
        if not usual > 0:
            return []
        found = []
        for name, words in (("yearly", "season"), ("holidays", "holidays"), ("trend", "trend")):
            change = float((self.parts[name][c, ahead].mean() - self.parts[name][c, :28].mean()) / usual)
            if abs(change) >= NOTABLE:
                found.append((abs(change), f"{words} ({_signed(change)})"))
        promoted = self.parts["promotions"][c, ahead]
        change = float((promoted.mean() - self.parts["promotions"][c, :28].mean()) / usual)
        if abs(change) >= NOTABLE:
            best = self.business_date + timedelta(days=int(np.argmax(promoted)))
            monday = best - timedelta(days=best.weekday())
            words = f"promotion in the week of {wording.short_day(monday)}" if change > 0 else "fewer promotions"
            found.append((abs(change), f"{words} ({_signed(change)})"))
        return [words for _, words in sorted(found, reverse=True)]


# --- facts of stock, items and purchase orders --------------------------------------------------------------------


@dataclass
class _Facts:
    stock: dict[str, slice]  # rows of ``frame`` by category
    frame: pd.DataFrame
    items: dict[str, dict[str, Any]]
    orders: dict[str, pd.DataFrame]

    def of(self, name: str) -> pd.DataFrame:
        return self.frame.iloc[self.stock[name]]


def _read_facts(db: Database, last_day: date) -> _Facts:
    with db.read() as connection:
        frame = db.copy_out("stock_levels", connection=connection, last_day=last_day).to_pandas(date_as_object=False)
        items = db.rows("stock_items", connection=connection)
        orders = db.frame("stock_orders", connection=connection, last_day=last_day)
    index: dict[str, slice] = {}
    if len(frame):
        names = frame["product_category"].to_numpy(object)
        edges = np.flatnonzero(np.r_[True, names[1:] != names[:-1], True])
        for start, stop in pairwise(edges.tolist()):
            index[str(names[start])] = slice(start, stop)
    return _Facts(
        index,
        frame,
        {row["product_category"]: dict(row) for row in items},
        dict(iter(orders.groupby("product_category"))) if len(orders) else {},
    )


def _given(item: dict[str, Any] | None) -> Parameters:
    """What the retailer says of a category, as parameters; nonsense in it counts as not said."""
    if item is None:
        return Parameters()
    life = item["shelf_life_days"]
    return Parameters(
        target_service=item["target_service"],
        unit_cost=item["unit_cost"],
        holding_rate=item["holding_rate"],
        order_cost=item["order_cost"],
        moq=item["moq"],
        order_multiple=item["order_multiple"],
        max_stock=item["max_stock"],
        shelf_life_days=None if life is None else int(life),
    )


@dataclass
class _Lead:
    days: np.ndarray
    source: str
    now: float
    before: float

    def driver(self) -> list[str]:
        if not (np.isfinite(self.now) and np.isfinite(self.before)):
            return []
        if abs(self.now - self.before) < max(2.0, 0.2 * self.before):
            return []
        return [f"lead time now {wording.fixed(self.now)} days (was {wording.fixed(self.before)})"]


def _lead_times(stock: pd.DataFrame | None, orders: pd.DataFrame | None, last_day: date) -> _Lead:
    """Days from order to arrival of a year: of received orders when there are enough, else as stated day by day."""
    last = np.datetime64(last_day, "D")
    if orders is not None:
        done = orders[orders["received_on"].notna() & orders["ordered_on"].notna()].sort_values("received_on")
        arrived = done["received_on"].to_numpy("datetime64[D]")
        took = (arrived - done["ordered_on"].to_numpy("datetime64[D]")).astype(float)
        recent = (arrived > last - YEAR) & (took >= 0)
        if recent.sum() >= ORDERS_NEEDED:
            days = took[recent]
            now, before = days[-3:], days[:-3]
            return _Lead(days, "orders", float(np.median(now)), float(np.median(before)) if len(before) else np.nan)
    if stock is not None:
        day = stock["date_id"].to_numpy("datetime64[D]")
        said = stock["lead_time_days"].to_numpy(float)
        recent = (day > last - YEAR) & np.isfinite(said)
        if recent.any():
            new = recent & (day > last - 28)
            old = recent & ~new
            return _Lead(
                said[recent],
                "stated",
                float(np.median(said[new])) if new.any() else np.nan,
                float(np.median(said[old])) if old.any() else np.nan,
            )
    return _Lead(np.zeros(0), "", np.nan, np.nan)


@dataclass
class _Stock:
    on_hand: float | None = None
    counted: date | None = None
    receipts: np.ndarray = field(default_factory=lambda: np.zeros(0))
    reorder_point: float = np.nan
    lot: float = np.nan
    residual: float = np.nan


def _position(
    stock: pd.DataFrame | None,
    orders: pd.DataFrame | None,
    sold: np.ndarray,
    last_day: date,
    lead_days: float,
    horizon: int,
) -> _Stock:
    """Stock, what is on order by the day it is due, the retailer's reorder point and usual lot; ``sold`` (history,)
    ends on ``last_day``."""
    if stock is None or not stock["stock_level"].notna().any():
        return _Stock()
    last = np.datetime64(last_day, "D")
    day = stock["date_id"].to_numpy("datetime64[D]")
    level = stock["stock_level"].to_numpy(float)
    position = len(sold) - 1 - (last - day).astype(int)  # of each row within sold
    inside = position >= 0
    series = np.full(len(sold), np.nan)
    series[position[inside]] = level[inside]
    year = slice(max(len(sold) - YEAR - 1, 0), len(sold))
    inferred = receipts.infer(series[year], sold[year])
    newest = int(np.flatnonzero(np.isfinite(level))[-1])
    counted: np.datetime64 = day[newest]
    points = stock["reorder_point"].to_numpy(float)
    point = points[np.isfinite(points)][-1] if np.isfinite(points).any() else np.nan
    result = _Stock(
        counted=_date(counted),
        reorder_point=float(point),
        lot=inferred.lot,
        residual=inferred.residual,
    )
    age = int((last - counted).astype(int))
    arrived_since = 0.0
    if orders is not None:
        result.receipts = _on_order(orders, last, lead_days, horizon)
        arrived = orders[orders["received_on"].notna()]
        when = arrived["received_on"].to_numpy("datetime64[D]")
        units = arrived["received_quantity"].fillna(arrived["quantity"]).to_numpy(float)
        arrived_since = float(units[when > counted].sum())
        recent = units[(when > last - YEAR) & (units > 0)]
        if len(recent) >= 3:
            result.lot = float(np.median(recent))
    if age <= STALE_DAYS:
        since = sold[len(sold) - age :] if age else np.zeros(0)
        result.on_hand = receipts.roll_forward(max(float(level[newest]), 0.0), since, arrived_since)
    return result


def _on_order(orders: pd.DataFrame, last: np.datetime64, lead_days: float, horizon: int) -> np.ndarray:
    """Units outstanding by the day they are due, counted from the business date; what is overdue is expected a day
    later, what is due beyond the horizon on its last day."""
    due_units = np.zeros(horizon)
    for order in orders[orders["received_on"].isna()].itertuples():
        open_units = order.quantity - (0.0 if pd.isna(order.received_quantity) else order.received_quantity)
        if open_units <= 0:
            continue
        due = order.due_on
        if pd.isna(due):
            due = order.ordered_on + pd.Timedelta(days=round(lead_days))
        ahead = (due - pd.Timestamp(last)).days - 1
        if ahead < -FORGOTTEN_DAYS:
            continue
        due_units[min(ahead if ahead >= 0 else 1, horizon - 1)] += open_units
    return due_units


def _classes(sold: np.ndarray, price: np.ndarray) -> list[str]:
    """A, B or C by revenue of the last year (by units where a price is missing): the first 80 %, 95 %, the rest."""
    worth = sold * (price if np.isfinite(price).all() else 1.0)
    order = np.argsort(-worth, kind="stable")
    total = worth.sum()
    before = np.concatenate([[0.0], np.cumsum(worth[order])[:-1]]) / total if total > 0 else np.ones(len(worth))
    result = np.empty(len(worth), object)
    result[order] = np.where(before < 0.8, "A", np.where(before < 0.95, "B", "C"))
    return [str(one) for one in result]


def _weight(advice: Advice) -> tuple[bool, float, float, str]:
    """Sorts advice: known first, most money first, then most units."""
    figures = advice.figures
    units = max(
        figures.get("lost_units") or 0.0, figures.get("excess_units") or 0.0 if advice.status == "excess" else 0
    )
    return (advice.status == "unknown", -(advice.money or 0.0), -units, advice.product_category)


def _projection_frame(advice: Advice) -> pd.DataFrame:
    columns = ["week", "receipts", *QUANTILE_NAMES, "ordered_q50"]
    projection = advice.projection
    if projection is None:
        return pd.DataFrame({name: [] for name in columns})
    frame = pd.DataFrame({"week": pd.to_datetime(pd.Series(projection.weeks, dtype="object")).astype("datetime64[us]")})
    frame["receipts"] = projection.receipts
    for q, name in enumerate(QUANTILE_NAMES):
        frame[name] = projection.quantiles[:, q]
    frame["ordered_q50"] = projection.ordered_q50
    return frame


# --- reading ------------------------------------------------------------------------------------------------------


def advice(db: Database, run_id: int, categories: Sequence[str] = ()) -> pd.DataFrame:
    """The advice of a run, most money first: product_category, status, rank, money, order_quantity, order_by, sentence,
    tags, assumed, and each of FIGURES (NaN where not known) and WORDS. Empty when nothing is known of any stock."""
    rows = db.rows("stock_advice", run_id=run_id, categories=list(categories))
    return _advice_frame(rows)


def _advice_frame(rows: Sequence[Any]) -> pd.DataFrame:
    plain = ["product_category", "status", "rank", "money", "order_quantity", "order_by", "sentence", "tags", "assumed"]
    frame = pd.DataFrame(
        [
            {name: row[name] for name in plain} | {name: row["figures"].get(name) for name in (*FIGURES, *WORDS)}
            for row in rows
        ],
        columns=[*plain, *FIGURES, *WORDS],
    )
    for name in ("money", "order_quantity", *FIGURES):
        frame[name] = frame[name].astype("float64")
    frame["rank"] = frame["rank"].astype("int64")
    for name in ("order_by", "last_stock_day"):
        frame[name] = pd.to_datetime(frame[name]).astype("datetime64[us]")
    for name in ("product_category", "status", "sentence"):
        frame[name] = frame[name].astype("str")
    return frame


def rows(
    db: Database,
    run: RunInfo,
    index: pd.DataFrame,
    categories: Sequence[str],
    statuses: Sequence[str],
    offset: int,
    limit: int,
) -> Page:
    """The advice as the REST service lists it: plain values, None where not known. NotFound, with the nearest names,
    for a category nobody sells."""
    if categories:
        forecast.resolve(index, forecast.Selection("category", tuple(categories)))
    frame = advice(db, run.id, categories)
    if statuses:
        frame = frame[frame["status"].isin(statuses)]
    some = frame.iloc[offset : offset + limit].astype(object)
    some = some.where(some.notna(), None)
    return Page(len(frame), [{str(name): value for name, value in row.items()} for row in some.to_dict("records")])


def projection(db: Database, run_id: int, product_category: str) -> pd.DataFrame:
    """Stock expected at the end of each week: week (Monday), receipts, q025, q10, q50, q90, q975, and ordered_q50, the
    middle with the advised order."""
    return db.frame("stock_projection", run_id=run_id, product_category=product_category)


def stock_history(db: Database, run: RunInfo, product_category: str, days: int = 182) -> pd.DataFrame:
    """Recorded stock of the days before the run's business date: date_id, stock_level, reorder_point, stockout,
    receipts (inferred from stock and sales; 0 without one)."""
    first = run.last_day - timedelta(days=days - 1)
    frame = db.frame("stock_history", product_category=product_category, first=first, last=run.last_day)
    found = receipts.infer(frame["stock_level"].to_numpy(float), frame.pop("sold").to_numpy(float))
    return frame.assign(receipts=found.units)


def recalculate(db: Database, run: RunInfo, product_category: str, **parameters: Any) -> dict[str, Any]:
    """The advice for one category with changed parameters (names of inventory.recommend.Parameters): a row of `advice`
    as a dict, with ``projection`` (as `projection`) and ``parameters``. Nothing is stored. NotFound when the run has no
    advice for it, InvalidInput for a parameter nobody can mean."""
    from trendcast.store import runs

    rows = db.rows("stock_inputs", run_id=run.id, product_category=product_category)
    if not rows or rows[0]["inputs"] is None:
        raise NotFound(f"There is no stock advice for '{product_category[:100]}' in this forecast.")
    row = rows[0]
    given = Parameters(**row["parameters"]).changed(parameters)
    pool = runs.unpack_floats(row["pool"], row["days"]) if row["days"] else np.zeros((0, 0))
    weights = runs.unpack_floats(row["pool_weight"])
    found = recommend_one(Inputs.from_bytes(row["inputs"]), pool, weights, given)
    one = {
        **{name: found.figures.get(name) for name in (*FIGURES, *WORDS)},
        "product_category": found.product_category,
        "status": found.status,
        "money": found.money,
        "order_quantity": found.order_quantity,
        "order_by": found.order_by,
        "sentence": found.sentence,
        "tags": list(found.tags),
        "assumed": list(found.assumed),
    }
    return {**one, "projection": _projection_frame(found), "parameters": asdict(given)}


def summary(db: Database, run_id: int) -> dict[str, Any]:
    """Counts by status, money at stake, stock and its carrying cost, share of category-days out of stock in the last 13
    weeks and in the 13 before, and everything that was assumed (with the number of categories)."""
    frame = advice(db, run_id)
    counts = frame["status"].value_counts()
    ordering = frame["status"].isin(["order_now", "order_soon"])
    outages = db.rows("stock_outages", last_day=forecast.run_info(db, run_id).last_day)[0]
    return {
        **{status: int(counts.get(status, 0)) for status in ("order_now", "order_soon", "ok", "excess", "unknown")},
        "money_at_risk": _total(frame.loc[ordering, "lost_money"]),
        "units_at_risk": float(frame.loc[ordering, "lost_units"].sum()),
        "excess_money": _total(frame.loc[frame["status"] == "excess", "excess_money"]),
        "excess_units": float(frame.loc[frame["status"] == "excess", "excess_units"].sum()),
        "stock_value": _total(frame["stock_value"]),
        "carrying_cost_year": _total(frame["carrying_cost_year"]),
        "stockout_rate_13w": _optional(outages["now"]),
        "stockout_rate_before": _optional(outages["before"]),
        "assumed": _assumed(frame),
    }


def _assumed(frame: pd.DataFrame) -> list[str]:
    """What was assumed, each kind once, with how many categories it concerns."""
    kinds: dict[str, int] = {}
    for listed in frame["assumed"]:
        for one in listed:
            kind = one.split(" (")[0]
            if kind.startswith("unit cost"):
                kind = f"unit cost ({one.split(' (')[1].rstrip(')')})"
            kinds[kind] = kinds.get(kind, 0) + 1
    return [
        f"{kind}: {'all categories' if count == len(frame) else f'{count} of {len(frame)} categories'}"
        for kind, count in kinds.items()
    ]


def _total(values: pd.Series) -> float:
    return float(values.sum(min_count=1))


def _optional(value: Any) -> float | None:
    return None if value is None else float(value)


NOTHING_KNOWN = (
    "Nothing is known about stock yet: load inventory_daily (stock, reorder point and lead time per category) to see "
    "what to order."
)


def finding(db: Database, run_id: int) -> str:
    """What to order first, and what lies too long, in a sentence or two."""
    frame = advice(db, run_id)
    known = frame[frame["status"] != "unknown"]
    if known.empty:
        return NOTHING_KNOWN
    now, soon = known[known["status"] == "order_now"], known[known["status"] == "order_soon"]
    excess = known[known["status"] == "excess"]
    said = []
    if len(now) or len(soon):
        first = (now if len(now) else soon).iloc[0]
        counts = [
            f"{_count(len(now), 'needs', 'need')} an order now" if len(now) else "",
            f"{_count(len(soon), 'needs', 'need')} one within a week" if len(soon) and len(now) else "",
            f"{_count(len(soon), 'needs', 'need')} an order within a week" if len(soon) and not len(now) else "",
        ]
        stake = pd.concat([now, soon])["lost_money"].sum(min_count=1)
        at_stake = f", {wording.money(stake)} of margin at stake" if np.isfinite(stake) else ""
        said.append(f"{' and '.join(filter(None, counts))}{at_stake}; start with {first['product_category']}.")
    else:
        ahead = known[known["order_by"].notna()]
        if len(ahead):
            first = ahead.loc[ahead["order_by"].idxmin()]
            said.append(
                f"No category needs an order this week; the next is {first['product_category']}, by "
                f"{wording.day(first['order_by'].date())}."
            )
        else:
            said.append("No category needs an order in the next twelve weeks.")
    if len(excess):
        tied = excess["excess_money"].sum(min_count=1)
        words = f", with {wording.money(tied)} tied up" if np.isfinite(tied) else ""
        said.append(f"{_count(len(excess), 'has', 'have')} more stock than needed{words}.")
    return " ".join(said)


def _count(number: int, one: str, many: str) -> str:
    return f"{number} category {one}" if number == 1 else f"{number} categories {many}"


def finding_category(db: Database, run_id: int, category: str) -> str:
    """The advice's sentence for one category."""
    return next(iter(sentences(db, run_id, category)), NOTHING_KNOWN)


def sentences(db: Database, run_id: int, category: str) -> list[str]:
    """What the run advises on one category's stock: one sentence, none where nothing is known of any stock."""
    return [str(row["sentence"]) for row in db.rows("stock_advice", run_id=run_id, categories=[category])]


def for_selection(db: Database, run: RunInfo, index_rows: pd.DataFrame) -> list[dict[str, Any]]:
    """Recommendations beside a forecast, most money first: dicts of tag, sentence, money (None: not known), kind
    ('stock' or 'trend') and product_category. ``index_rows``: rows of the run's series index.

    Trends are of the selected series themselves (at most the MOST_SERIES that sell most), stock of their categories.
    """
    found = [*_stock_items(db, run, index_rows), *_trend_items(db, run, index_rows)]
    return sorted(found, key=lambda one: -(one["money"] or 0.0))


def _stock_items(db: Database, run: RunInfo, index_rows: pd.DataFrame) -> list[dict[str, Any]]:
    names = sorted(set(index_rows["product_category"]) - {""})
    frame = advice(db, run.id, names)  # a whole region or everything is all of its categories
    frame = frame[frame["status"].isin(["order_now", "order_soon", "excess"])]
    return [
        {
            "tag": row.tags[0] if row.tags else "",
            "sentence": row.sentence,
            "money": None if np.isnan(row.money) else float(row.money),
            "kind": "stock",
            "product_category": row.product_category,
        }
        for row in frame.itertuples()
    ]


def _trend_items(db: Database, run: RunInfo, index_rows: pd.DataFrame) -> list[dict[str, Any]]:
    """The specification's tags of each selected series; money: the change of margin over the horizon it speaks of."""
    from trendcast.services import findings

    chosen = index_rows.sort_values("recent_units", ascending=False).head(MOST_SERIES)
    stored = reports.read(db, run, chosen["series_id"].tolist())
    items = []
    for _, row in chosen.iterrows():
        one = stored[int(row["series_id"])]
        name = f"{findings.series_name(row.to_frame().T)}: " if len(chosen) > 1 else ""
        trend = reports.trend_of(run, one, TAG_DAYS)
        for sentence in reports.tagged_sentences(run, one, TAG_DAYS):
            tag, rest = sentence.split(": ", 1)
            worth = None
            if tag in ("GROWTH", "DECLINE") and trend is not None and np.isfinite(row["unit_price"]):
                expected = sum(week["mean"] for week in one.weekly) * row["unit_price"] * MARGIN
                worth = float(abs(trend) / 2 * expected)  # the middle of the way from here to the horizon
            items.append(
                {
                    "tag": tag,
                    "sentence": f"{tag}: {name}{rest}",
                    "money": worth,
                    "kind": "trend",
                    "product_category": str(row["product_category"]),
                }
            )
    return items


def _signed(change: float) -> str:
    return f"+{wording.percent(change)}" if change > 0 else wording.percent(change)


def _date(day: np.datetime64) -> date:
    return day.astype("datetime64[D]").astype(date)

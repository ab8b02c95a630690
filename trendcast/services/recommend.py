"""What to order by when: the stock decisions a run advises, per category, and the demand its stock-outs turned away.

A refresh computes them once (``compute``, ``write``); pages, REST and mail read the same rows and sentences. Stock is
recorded per category, so decisions are per category, on the demand of all its regions and stores together.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from trendcast import wording
from trendcast.errors import NotFound
from trendcast.features.calendar import to_date
from trendcast.inventory import receipts
from trendcast.inventory.inputs import Inputs, Parameters
from trendcast.inventory.recommend import MARGIN, QUANTILE_NAMES, recommend_one
from trendcast.inventory.sentences import Advice
from trendcast.services import decisions, forecast, stock_facts, stock_inputs
from trendcast.services import report as reports
from trendcast.services.listing import Page

if TYPE_CHECKING:
    from trendcast.forecasting.forecaster import Forecaster, Publication
    from trendcast.services.forecast import RunInfo
    from trendcast.store.engine import Database

ORDERS = ("order_now", "order_soon")  # the statuses that ask for an order
TO_DO = (*ORDERS, "excess")  # and those that ask for anything
MOST_SERIES = 12  # whose trends are told beside a forecast
FIGURES = (
    "on_hand", "on_order", "lead_time_days", "reorder_point_now", "reorder_point", "safety_stock", "demand_mean",
    "p_stockout", "p_stockout_with_order", "p_stockout_before_arrival", "lost_units", "lost_units_with_order",
    "lost_money", "cover_days", "excess_units", "excess_money", "carrying_cost_year", "avoidable_carrying_cost_year",
    "carrying_cost_month_of_order", "target_service", "realised_service", "realised_weeks", "unit_cost", "unit_price",
    "margin", "holding_rate", "stock_value", "lot", "lot_days", "gauge", "stock_ahead", "implied_shortage_cost",
    "stock_residual", "fill_rate", "order_by_days", "quantity_days", "excess_threshold", "out_days",
)  # fmt: skip
# What is not a number among them.
WORDS = ("last_stock_day", "order_note", "policy", "service_class", "lead_time_source", "lot_source", "drivers", "dead")


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
    found = Computed(stock_inputs.lost_units(engine, publication))
    last_day = to_date(engine.bottom.first_day + (publication.history - 1))
    facts = stock_facts.read(db, last_day)
    if not facts.levels:
        return found  # nothing is known of any stock: nothing is decided
    categories = stock_inputs.Categories(engine, publication, found.lost)
    found.pool, found.pool_weight = categories.library.pool, categories.library.pool_weight
    for c, name in enumerate(categories.names):
        inputs = categories.inputs(c, facts.levels.get(name), facts.orders.get(name), last_day)
        parameters = facts.parameters.get(name, Parameters())
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
    decided: bool | None = None,
) -> Page:
    """The advice as the REST service lists it, with the decision that stands on it: plain values, None where not known.
    ``decided``: only what was accepted or changed, or only what was not. NotFound, with the nearest names, for a
    category nobody sells."""
    if categories:
        forecast.resolve(index, forecast.Selection("category", tuple(categories)))
    frame = advice(db, run.id, categories)
    frame["decision"] = frame["product_category"].map(decisions.of_run(db, run.id))
    if statuses:
        frame = frame[frame["status"].isin(statuses)]
    if decided is not None:
        frame = frame[frame["decision"].isin(decisions.SETTLES) == decided]
    some = frame.iloc[offset : offset + limit].astype(object)
    some = some.where(some.notna(), None)
    return Page(len(frame), [{str(name): value for name, value in row.items()} for row in some.to_dict("records")])


def projection(db: Database, run_id: int, product_category: str) -> pd.DataFrame:
    """Stock expected at the end of each week: week (Monday), receipts, q025, q10, q50, q90, q975, and ordered_q50, the
    middle with the advised order."""
    return db.frame("stock_projection", run_id=run_id, product_category=product_category)


def stock_history(db: Database, run: RunInfo, product_category: str, days: int = 182) -> pd.DataFrame:
    """Recorded stock of the days before the run's business date: date_id, stock_level, reorder_point, stockout,
    receipts (inferred from stock and sales; 0 without one), every day from the first to the last that is known."""
    first = run.last_day - timedelta(days=days - 1)
    frame = db.frame("stock_history", product_category=product_category, first=first, last=run.last_day)
    if len(frame):
        # A day that nobody recorded is a gap: what moved across it is no delivery of the day after.
        known = frame.set_index("date_id")
        days = pd.date_range(known.index[0], known.index[-1], unit="us", name="date_id")
        out = known.pop("stockout").reindex(days, fill_value=False)
        frame = known.reindex(days).assign(stockout=out).reset_index()
    found = receipts.infer(frame["stock_level"].to_numpy(float), frame.pop("sold").to_numpy(float))
    return frame.assign(receipts=found.units)


def recalculate(db: Database, run: RunInfo, product_category: str, **parameters: Any) -> dict[str, Any]:
    """The advice for one category with changed parameters (names of inventory.inputs.Parameters): a row of `advice`
    as a dict, with ``projection`` (as `projection`) and ``parameters``. Nothing is stored. NotFound when the run has no
    advice for it, or no longer keeps what it came from; InvalidInput for a parameter nobody can mean."""
    from trendcast.store import runs

    rows = db.rows("stock_inputs", run_id=run.id, product_category=product_category)
    if not rows or rows[0]["inputs"] is None:
        raise NotFound(f"There is no stock advice for '{product_category[:100]}' to calculate again in this forecast.")
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
    """Counts by status, of orders those still to decide and how many are decided; money at stake in the former; stock
    and its carrying cost, share of category-days out of stock in the last 13 weeks and in the 13 before, and everything
    that was assumed (with the number of categories)."""
    frame = advice(db, run_id)
    placed = is_placed(frame, decisions.settled(db, run_id))
    counts = frame.loc[~placed, "status"].value_counts()
    ordering = frame["status"].isin(ORDERS) & ~placed
    outages = db.rows("stock_outages", last_day=forecast.run_info(db, run_id).last_day)[0]
    return {
        **{status: int(counts.get(status, 0)) for status in (*ORDERS, "ok", "excess", "unknown")},
        "decided": int(placed.sum()),
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


def is_placed(frame: pd.DataFrame, settled: Collection[str]) -> pd.Series:
    """Whether each row of ``advice`` is an order that somebody has accepted or changed: nothing to decide any more.
    ``settled``: services.decisions.settled."""
    return frame["status"].isin(ORDERS) & frame["product_category"].isin(list(settled))


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
    """What is still to order first, and what lies too long, in a sentence or two."""
    frame = advice(db, run_id)
    placed = is_placed(frame, decisions.settled(db, run_id))
    known = frame[(frame["status"] != "unknown") & ~placed]
    if known.empty and not placed.any():
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
        other = " other" if placed.any() else ""
        if placed.any():
            orders = "The order" if placed.sum() == 1 else f"All {placed.sum()} orders"
            said.append(f"{orders} of this week {'is' if placed.sum() == 1 else 'are'} decided.")
        ahead = known[known["order_by"].notna()]
        if len(ahead):
            first = ahead.loc[ahead["order_by"].idxmin()]
            said.append(
                f"No{other} category needs an order this week; the next is {first['product_category']}, by "
                f"{wording.day(first['order_by'].date())}."
            )
        else:
            said.append(f"No{other} category needs an order in the next twelve weeks.")
    if len(excess):
        tied = excess["excess_money"].sum(min_count=1)
        words = f", with {wording.money(tied)} tied up" if np.isfinite(tied) else ""
        said.append(f"{_count(len(excess), 'has', 'have')} more stock than needed{words}.")
    return " ".join(said)


def _count(number: int, one: str, many: str) -> str:
    return f"{number} category {one}" if number == 1 else f"{number} categories {many}"


def finding_category(db: Database, run_id: int, category: str) -> str:
    """The advice's sentence for one category, decided or not."""
    return next((str(row["sentence"]) for row in _of(db, run_id, category)), NOTHING_KNOWN)


def sentences(db: Database, run_id: int, category: str) -> list[str]:
    """What is to be done about one category's stock: one sentence, none where nothing is known of any stock, or where
    what to do is decided."""
    rows = _of(db, run_id, category)
    if any(row["status"] in TO_DO for row in rows) and category in decisions.settled(db, run_id):
        return []
    return [str(row["sentence"]) for row in rows]


def _of(db: Database, run_id: int, category: str) -> Sequence[Any]:
    return db.rows("stock_advice", run_id=run_id, categories=[category])


def for_selection(db: Database, run: RunInfo, index_rows: pd.DataFrame) -> list[dict[str, Any]]:
    """Recommendations beside a forecast, most money first: dicts of tag (the first of ``tags``), sentence, money (None:
    not known), kind ('stock' or 'trend') and product_category. ``index_rows``: rows of the run's series index.

    Trends are of the selected series themselves (at most the MOST_SERIES that sell most), stock of their categories.
    """
    found = [*_stock_items(db, run, index_rows), *_trend_items(db, run, index_rows)]
    return sorted(found, key=lambda one: -(one["money"] or 0.0))


def _stock_items(db: Database, run: RunInfo, index_rows: pd.DataFrame) -> list[dict[str, Any]]:
    names = sorted(set(index_rows["product_category"]) - {""})
    frame = advice(db, run.id, names)  # a whole region or everything is all of its categories
    settled = frame["product_category"].isin(decisions.settled(db, run.id))
    frame = frame[frame["status"].isin(TO_DO) & ~settled]
    return [
        {
            "tag": row.tags[0] if row.tags else "",
            "tags": list(row.tags),
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
        trend = reports.trend_of(run, one, stock_inputs.TAG_DAYS)
        for sentence in reports.tagged_sentences(run, one, stock_inputs.TAG_DAYS):
            tag, rest = sentence.split(": ", 1)
            worth = None
            if tag in ("GROWTH", "DECLINE") and trend is not None and np.isfinite(row["unit_price"]):
                expected = sum(week["mean"] for week in one.weekly) * row["unit_price"] * MARGIN
                worth = float(abs(trend) / 2 * expected)  # the middle of the way from here to the horizon
            items.append(
                {
                    "tag": tag,
                    "tags": [tag],
                    "sentence": f"{tag}: {name}{rest}",
                    "money": worth,
                    "kind": "trend",
                    "product_category": str(row["product_category"]),
                }
            )
    return items

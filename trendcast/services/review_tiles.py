"""The tiles of the review: each figure with its level, its lag and what it is compared with."""

from __future__ import annotations

import re
from datetime import date

import numpy as np
import pandas as pd

from trendcast import wording
from trendcast.services.review_figures import AHEAD_WEEKS, Figures, LagError, Scope, Volume
from trendcast.services.review_parts import Kpi, Link

STOCK_WEEKS, ALERT_WEEKS = 13, 8
NO_STOCK = "no stock is loaded (inventory_daily)"
LEVEL_WORDS = {
    "category": "category",
    "category_region": "category × region",
    "category_store": "category × store",
}


def of_forecasts(found: Figures, unit: str) -> list[Kpi]:
    """The tiles of volume and error."""
    level = LEVEL_WORDS[found.level]
    volume = found.money if unit == "money" else found.units
    kpis = [
        Kpi(
            "ahead",
            f"Next {AHEAD_WEEKS} weeks",
            volume.ahead,
            unit,
            f"Expected sales of the {AHEAD_WEEKS} whole weeks"
            + (f" from {wording.day(found.first_week)}" if found.first_week else "")
            + f", against {reference_words(volume)}. The line: units of the last 13 weeks, then the forecast.",
            Link("forecasts"),
            volume.reference,
            "vs last year" if volume.last_year else "vs the last 12 weeks",
            0,
            line=found.weeks,
        )
    ]
    kpis += [_error_kpi(error, level, found.level) for error in found.errors]
    one = found.errors[0]
    kpis.append(
        Kpi(
            "bias",
            f"Bias, {level}",
            one.bias,
            "share",
            f"Forecast minus actual as a share of sales, {level}, 1 week ahead, {_period(one)}. Above zero the "
            "forecast was too high.",
            Link("accuracy", (("level", found.level),)),
            better=0,
            note="" if one.bias_recent is None else f"newest 4 weeks {signed(one.bias_recent)}",
            line=one.bias_line,
        )
    )
    added = found.value_added
    kpis.append(
        Kpi(
            "value_added",
            f"Value added, {level}",
            _gain(added),
            "share",
            f"Share of the best naive forecast's error that is gone, {level}, "
            + (f"{weeks(added.lag)} ahead, {_period(added)}" if added else "not measured yet")
            + ". Naive are last week's and last year's sales.",
            Link("accuracy", (("level", found.level),)),
            better=1,
            note="of the best naive's error is gone",
            line=added.added_line if added else (),
        )
    )
    return kpis


def _error_kpi(error: LagError, level: str, name: str) -> Kpi:
    return Kpi(
        f"wape_{error.lag}",
        f"Error at {weeks(error.lag)}, {level}",
        error.wape,
        "share",
        f"WAPE, {level}, {weeks(error.lag)} ahead, {_period(error)}: distance between forecast and "
        "actual as a share of sales. Lower is better.",
        Link("accuracy", (("level", name),)),
        error.wape_before,
        "vs a week ago",
        -1,
        note=("" if error.published else "by the back-test; ")
        + ("no naive to compare" if error.naive is None else f"best naive {wording.percent(error.naive, 1)}"),
        line=error.line,
    )


def _gain(error: LagError | None) -> float | None:
    if error is None or not error.naive or error.wape_of_naive_weeks is None:
        return None
    return 1 - error.wape_of_naive_weeks / error.naive


def _period(error: LagError) -> str:
    return f"published forecasts of the last {weeks(error.weeks)}" if error.published else "by the back-test"


def weeks(count: int) -> str:
    """A number of weeks in words."""
    return f"{count} week" if count == 1 else f"{count} weeks"


def signed(share: float) -> str:
    """A share with its sign, in percent."""
    return wording.percent(share, 1, sign=True)


def reference_words(volume: Volume) -> str:
    """What a volume is compared with."""
    return "the same weeks last year" if volume.last_year else "the last 12 weeks"


def of_stock(stock: pd.DataFrame, advised: pd.DataFrame, scope: Scope) -> list[Kpi]:
    """Stock is kept per category: regions and stores of the scope do not narrow it."""
    where = "all regions together" if scope.regions or scope.stores else "category"
    by_week = stock.set_index("weeks_ago").reindex(range(2 * STOCK_WEEKS)).astype(float)
    now, before = by_week.iloc[:STOCK_WEEKS], by_week.iloc[STOCK_WEEKS:]
    share, earlier = (
        float(part["stockouts"].sum() / part["days"].sum()) if part["days"].sum() > 0 else None
        for part in (now, before)
    )
    rates = (by_week["stockouts"] / by_week["days"].where(by_week["days"] > 0))[::-1].dropna()
    has_value = bool(advised["stock_value"].notna().any())
    value = float(advised["stock_value"].sum()) if has_value else None
    carrying = advised["carrying_cost_year"].sum(min_count=1)
    values = by_week["value"][::-1].dropna() if has_value else pd.Series(dtype=float)
    quarter_ago = by_week["value"].get(STOCK_WEEKS)
    # "unit cost 11.2 (margin 35 %)" of one category and another figure of the next are one assumption.
    assumed = sorted({re.split(r" [\d(]", words)[0] for listed in advised["assumed"] for words in listed})
    return [
        Kpi(
            "stockouts",
            "Stock-out rate",
            share,
            "share",
            f"Days of a category with a stock-out, as a share of all its days, {where}, last {STOCK_WEEKS} weeks "
            f"against the {STOCK_WEEKS} before. The line: week by week.",
            Link("inventory"),
            earlier,
            f"vs the {STOCK_WEEKS} weeks before",
            -1,
            note="" if share is not None else NO_STOCK,
            line=tuple(rates.tolist()),
        ),
        Kpi(
            "stock_value",
            "Inventory value",
            value,
            "money",
            f"Stock at cost, {where}; the line: the last {2 * STOCK_WEEKS} weeks at today's cost."
            + (f" Assumed, not measured: {', '.join(assumed)}." if assumed else ""),
            Link("inventory"),
            float(quarter_ago) if value is not None and quarter_ago is not None and quarter_ago > 0 else None,
            "vs 13 weeks ago",
            0,
            note=NO_STOCK
            if advised.empty
            else ""
            if not np.isfinite(carrying)
            else f"carrying it costs {wording.money(float(carrying))} a year",
            line=tuple(values.tolist()),
        ),
    ]


def of_alerts(found: pd.DataFrame, last_day: date, snoozed: int = 0) -> Kpi:
    """The tile of open incidents; its line is how many of them began in each week. Those ``snoozed`` are named only."""
    high = found[found["impact"] == "HIGH"]
    lost = found["loss"].abs().sum(min_count=1)
    ago = (pd.Timestamp(last_day) - pd.to_datetime(found["first_day"])).dt.days // 7
    began = [float((ago == week).sum()) for week in range(ALERT_WEEKS - 1, -1, -1)]
    return Kpi(
        "alerts",
        "Open alerts",
        float(len(found)),
        "count",
        "Anomalies that are new or acknowledged, each with all it caused counted once; what is snoozed is not open "
        "until its day. High: money at risk is large for this retailer. The bars: when they began, the last "
        f"{ALERT_WEEKS} weeks.",
        Link("anomaly-inbox"),
        better=-1,
        note=f"{len(high)} high"
        + (f", {wording.money(float(lost))} off" if np.isfinite(lost) and lost else "")
        + (f"; {snoozed} more snoozed" if snoozed else ""),
        line=tuple(began) if any(began) else (),
    )


# --- risers, fallers, lines ------------------------------------------------------------------------------------------

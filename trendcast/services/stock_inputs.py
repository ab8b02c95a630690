"""What the advice for each category is calculated from: forecast, errors of past forecasts, lost sales, stock."""

from __future__ import annotations

import zlib
from datetime import date, timedelta
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from trendcast import wording
from trendcast.features.calendar import to_date
from trendcast.inventory import demand
from trendcast.inventory import lost_sales as lost
from trendcast.inventory.inputs import Inputs
from trendcast.services import money, stock_facts
from trendcast.services import report as reports

if TYPE_CHECKING:
    from trendcast.forecasting.forecaster import Forecaster, Publication
    from trendcast.panel import Panel

YEAR = 364
TAG_DAYS = 84
RECENT_DAYS = 28
NOTABLE = 0.05  # of demand: a driver smaller than this is not named
MOST_DRIVERS = 3
HALF_LIFE_DAYS = 365.0  # of a past origin's weight


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


class Categories:
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
        self.library = demand.library(truth, self.past_means, 0.5 ** (age / HALF_LIFE_DAYS))
        self.prices = money.unit_prices(bottom, hierarchy.summing)[self.rows]
        self.whole = bool(np.all(np.mod(np.nan_to_num(units[:, -YEAR:]), 1) == 0))
        self.business_date = to_date(bottom.first_day + history)
        self.classes = classes(np.nansum(self.units[:, -YEAR:], axis=1), self.prices)
        self.tags, self.parts = self._trends()
        self._ranks: dict[int, np.ndarray] = {}
        self._first_day = to_date(bottom.first_day)

    def _trends(self) -> tuple[list[tuple[str, ...]], dict[str, np.ndarray]]:
        """The specification's tags of each category, and the parts of its forecast from four weeks back on."""
        publication, history = self.publication, self.publication.history
        components = publication.extras.get("structural", {}).get("components")
        parts: dict[str, np.ndarray] = {}
        if components is not None and publication.extras["structural"]["fit"].n_series == len(publication.means):
            parts = components(max(history - RECENT_DAYS, 0), history + self.means.shape[1], self.rows)
        tags = []
        low, high = publication.weekly_quantiles[self.rows, :, 2], publication.weekly_quantiles[self.rows, :, 6]
        weekly = publication.weekly_means[self.rows]
        inside = publication.weeks + 6 < TAG_DAYS
        for c in range(len(self.names)):
            total = weekly[c, inside].sum()
            width = float((high - low)[c, inside].sum() / total) if total > 0 else None
            trend = None
            if parts and history >= RECENT_DAYS:
                path = parts["trend"][c]
                start, end = path[RECENT_DAYS - 1], path[RECENT_DAYS - 1 + min(TAG_DAYS, self.means.shape[1])]
                trend = float(end / start - 1) if start > 0 else None
            weeks = reports.whole_weeks(self.units[c], self._day_zero())
            # What has ended neither grows nor varies.
            said = reports.recommendations(TAG_DAYS, weeks, width, trend) if total > 0 else []
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

    def inputs(
        self, c: int, levels: stock_facts.Levels | None, orders: stock_facts.Orders | None, last_day: date
    ) -> Inputs:
        """What is known of category ``c``."""
        sold = self.units[c]
        lead = stock_facts.lead_time(levels, orders, last_day)
        stock = stock_facts.stock_now(levels, orders, sold, last_day, lead, self.means.shape[1])
        protection = round(lead.usual) + 1
        drivers = [*self._drivers(c, protection + 7), *lead.driver()]
        return Inputs(
            product_category=self.names[c],
            business_date=self.business_date,
            mean=self.means[c],
            own=self.library.ratios[:, c],
            own_weight=self.library.weights,
            scale=float(self.library.scale[c]),
            seed=zlib.crc32(self.names[c].encode()),
            ranks=self.ranks(protection)[:, c],
            lead_times=lead.days,
            lead_time_source=lead.source,
            lead_time_now=lead.now,
            lead_time_before=lead.before,
            on_hand=stock.on_hand,
            last_stock_day=stock.counted,
            receipts=stock.receipts,
            reorder_point_now=stock.reorder_point,
            usual_lot=stock.lot,
            unit_price=float(self.prices[c]),
            service_class=self.classes[c],
            whole=self.whole,
            recent_daily=float(np.nan_to_num(sold[-RECENT_DAYS:]).mean()),
            drivers=tuple(drivers[:MOST_DRIVERS]),
            tags=self.tags[c],
            residual=stock.residual,
        )

    def _drivers(self, c: int, days: int) -> list[str]:
        """What makes demand of the next days differ from the last four weeks', strongest first."""
        if not self.parts or self.publication.history < RECENT_DAYS:
            return []
        ahead = slice(RECENT_DAYS, RECENT_DAYS + days)
        usual = sum(part[c, :RECENT_DAYS].mean() for part in self.parts.values())
        if not usual > 0:
            return []
        found = []
        for name, words in (("yearly", "season"), ("holidays", "holidays"), ("trend", "trend")):
            change = float((self.parts[name][c, ahead].mean() - self.parts[name][c, :RECENT_DAYS].mean()) / usual)
            if abs(change) >= NOTABLE:
                found.append((abs(change), f"{words} ({_signed(change)})"))
        promoted = self.parts["promotions"][c, ahead]
        change = float((promoted.mean() - self.parts["promotions"][c, :RECENT_DAYS].mean()) / usual)
        if abs(change) >= NOTABLE:
            best = self.business_date + timedelta(days=int(np.argmax(promoted)))
            monday = best - timedelta(days=best.weekday())
            words = f"promotion in the week of {wording.short_day(monday)}" if change > 0 else "fewer promotions"
            found.append((abs(change), f"{words} ({_signed(change)})"))
        return [words for _, words in sorted(found, reverse=True)]


def classes(sold: np.ndarray, price: np.ndarray) -> list[str]:
    """A, B or C by revenue of the last year (by units where a price is missing): the first 80 %, 95 %, the rest."""
    worth = sold * (price if np.isfinite(price).all() else 1.0)
    order = np.argsort(-worth, kind="stable")
    total = worth.sum()
    before = np.concatenate([[0.0], np.cumsum(worth[order])[:-1]]) / total if total > 0 else np.ones(len(worth))
    result = np.empty(len(worth), object)
    result[order] = np.where(before < 0.8, "A", np.where(before < 0.95, "B", "C"))
    return [str(one) for one in result]


def _signed(change: float) -> str:
    return f"+{wording.percent(change)}" if change > 0 else wording.percent(change)

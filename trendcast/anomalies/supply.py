"""Stock-outs: what did not sell because it was not there."""

from __future__ import annotations

import numpy as np

from trendcast.anomalies.categories import whole
from trendcast.anomalies.entries import Entry, relative, under
from trendcast.anomalies.judging import Judge

LEFT = 0.1  # of a usual day, below which a category is as good as out of stock


def short_of_stock(judge: Judge, day: int, entries: list[Entry]) -> list[Entry]:
    """Drops of a category that was out of stock are a matter of supply, and of one category one matter."""
    stock = judge.scene.stock
    result: list[Entry] = []
    short: dict[str, list[Entry]] = {}
    for entry in entries:
        category = entry.product_category
        row = stock.row(category) if category and entry.direction < 0 else None
        if row is None:
            result.append(entry)
            continue
        on_hand = stock.on_hand[row, day]
        if _short(judge, row, category, day):
            # What had been less before is another matter: that there was nothing left says nothing of it.
            first = day
            while first > entry.start and _short(judge, row, category, first - 1):
                first -= 1
            if first > entry.start:
                entry.start, entry.days = first, [one for one in entry.days if one.day >= first]
                entry.rel = relative(entry.days)
            entry.kind, entry.cls, entry.cause = "SUPPLY", "STOCK_OUT", "stock-out"
            entry.facts["on_hand"] = None if np.isnan(on_hand) else float(on_hand)
            short.setdefault(category, []).append(entry)
        else:
            result.append(entry)
    for category, found in short.items():
        lead = next((one for one in found if one.level == "category"), None)
        if lead is None and (len(found) > 1 or found[0].level != "category"):
            lead = whole(judge, category, day, found)
        if lead is None:
            lead = found[0]
        under(lead, found)
        result += [lead, *(one for one in found if one is not lead)]
    return result


def _short(judge: Judge, row: int, category: str, day: int) -> bool:
    """Whether the category, a row of the stock, was out of stock on a day, or as good as."""
    stock = judge.scene.stock
    on_hand = stock.on_hand[row, day]
    return bool(stock.out[row, day] or (np.isfinite(on_hand) and on_hand < LEFT * judge.category_a_day(category, day)))

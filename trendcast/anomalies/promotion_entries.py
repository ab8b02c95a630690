"""What is told of promotions without uplift, in place of the low days that they are of a series."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from trendcast.anomalies import impact as sizes
from trendcast.anomalies import trend
from trendcast.anomalies.categories import whole
from trendcast.anomalies.entries import Entry, under
from trendcast.anomalies.impact import Size
from trendcast.anomalies.judging import Judge
from trendcast.anomalies.promotions import ABSENT, CAUSE, CLASS, Missed, absent
from trendcast.anomalies.pvalues import Reference


def without_uplift(
    judge: Judge, day: int, failed: list[Missed], entries: list[Entry], nodes: list[Entry], reference: Reference
) -> list[Entry]:
    """The ``entries`` of a day with promotions that ``failed`` in place of what else was said of their series; of one
    category that is one matter. Where a wider fall explains it, that alone is told."""
    missed = {one.row: one for one in failed}
    named = _named(judge, day, [one for one in entries if one not in nodes and one.rows[0] not in missed])
    if not missed and not named:
        return entries
    lifted = judge.scene.promoted[:, day] & np.isfinite(judge.rest.raw[:, day])
    lifted[[*missed, *(one.rows[0] for one in named)]] = False
    for node in nodes:
        if node.direction > 0:
            continue
        mine = [row for row in node.rows.tolist() if row in missed]
        # Of one region alone, where the same promotions lift the others, it is the region.
        elsewhere = lifted & ~np.isin(np.arange(len(lifted)), node.rows)
        local = node.level in ("region", "store") and elsewhere.any()
        if len(mine) >= 0.5 * len(node.rows) and node.cls not in trend.LASTING and not local:
            node.cls, node.cause = CLASS, CAUSE
            node.facts |= _uplift([missed[row] for row in mine])
        for row in mine:
            del missed[row]
    by_category: dict[str, list[Entry]] = {}
    common = next((one.taken for one in judge.rest.nodes if one.level == "total"), np.zeros(judge.rest.raw.shape))
    for row, one in missed.items():
        # What all promotions of these days lacked is no matter of one of them.
        rest = judge.rest.raw[row, one.days] - common[row, one.days]
        if float(rest.mean()) > -(1 - ABSENT) * one.lift:
            continue
        entry = _entry(judge, row, day, one, reference)
        if entry is not None:
            by_category.setdefault(entry.product_category, []).append(entry)
    for entry in named:
        by_category.setdefault(entry.product_category, []).append(entry)
    instead = {entry.key for found in by_category.values() for entry in found}
    result = [one for one in entries if one in nodes or one.key not in instead or one.direction > 0]
    for category, found in by_category.items():
        rows = judge.of_category(category)
        ran = lifted[rows] | np.isin(rows, [one.rows[0] for one in found])
        most = len(found) > 1 and len(found) >= 0.5 * ran.sum()
        lead = whole(judge, category, day, found) if most and category else None
        if lead is not None and lead.key not in {one.key for one in result}:
            under(lead, found)
            result.append(lead)
        result += found
    return result


def _named(judge: Judge, day: int, entries: list[Entry]) -> list[Entry]:
    """Those of the entries of single series that are uplifts which are missing, under that name: what was found by its
    days has its impact from them."""
    found = []
    for entry in entries:
        if entry.direction > 0 or entry.kind != "DEMAND":
            continue
        row, now = int(entry.rows[0]), entry.now
        one = absent(judge.scene, judge.expected, judge.rest, row, day, now.p, now.q)
        if one is not None:
            facts = {**entry.facts, **_uplift([one])}
            found.append(replace(entry, cls=CLASS, cause=CAUSE, start=int(one.days[0]), facts=facts))
    return found


def _entry(judge: Judge, row: int, day: int, one: Missed, reference: Reference) -> Entry | None:
    key = judge.scene.keys[row]
    days = [judge.figures(row, int(when), one.p, one.q, reference) for when in one.days]
    gap = float(np.mean([max(0.0, figures.expected - figures.actual) for figures in days]))
    base = float(np.mean([figures.expected for figures in days]))
    rel = gap / base if base > 0 else 1.0
    if judge.too_small(key, rel, gap):
        return None
    size = Size(p=one.p, q=one.q, rel=rel, loss=gap * judge.weight[row])
    level = judge.level(size, key, CLASS, base)
    if not level:
        return None
    return Entry(
        day=day,
        level=key[0],
        product_category=key[1],
        region=key[2],
        store=key[3],
        kind="DEMAND",
        cls=CLASS,
        direction=-1,
        start=int(one.days[0]),
        impact=level,
        score=sizes.score(one.z, level),
        rel=rel,
        days=days,
        rows=np.array([row]),
        cause=CAUSE,
        facts={
            "sigma": float(judge.rest.sigma[row, day]),
            "limit": judge.limit(key),
            "frozen": bool(judge.expected.frozen[row, day]),
            **_uplift([one]),
        },
    )


def _uplift(missed: list[Missed]) -> dict[str, float]:
    """What past promotions brought and what this one did, as a share of what is sold without one."""
    return {
        "lift": float(np.expm1(np.mean([one.lift for one in missed]))),
        "came": float(np.expm1(np.mean([one.came for one in missed]))),
    }

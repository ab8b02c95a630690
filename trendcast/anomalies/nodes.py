"""What is told of a node that moved as a whole, and of the series that moved with it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from trendcast.anomalies import impact as sizes
from trendcast.anomalies import pvalues, trend
from trendcast.anomalies.arrays import median, quantile
from trendcast.anomalies.attribution import explained
from trendcast.anomalies.cusum import Alarms
from trendcast.anomalies.entries import Entry, Figures, relative
from trendcast.anomalies.expectation import SHORTEST
from trendcast.anomalies.impact import Size, impact
from trendcast.anomalies.judging import NOTABLE, Judge
from trendcast.anomalies.limits import Key
from trendcast.anomalies.residuals import FAR, FAR_NORMAL, Nodes

CUT, BREADTH, LEAST = 5.0, 0.5, 0.05
CHILDREN = 3  # of a node, at least
SEVERAL, SHARE, FAR_OFF = 5, 0.05, 4.0  # series of a region, or part of them, that are so many deviations off
OUTAGE = 0.3  # of what a region sells, from which its gap is urgent however small the region is
RARELY = 0.005  # of series-days are as far off on one side, at most
MOST_OF_IT = 0.5  # of a node's gap that must be common to its children
LEANING = 1.5  # deviations from which a child moves with its parent
SPREAD = 0.05  # of a day on which a node's own is not known


def moved(judge: Judge, shifts: list[Alarms], day: int, window: slice) -> tuple[list[Entry], int]:
    """Entries of nodes that moved as a whole, coarsest first, and the number of tests. ``shifts``: the alarms of each
    level's sums; ``window``: the days that say what is usual."""
    found: list[Entry] = []
    rest = judge.rest.raw[:, day].copy()
    masked = judge.scene.masked[:, window]
    some = np.flatnonzero(masked.any(axis=1))
    hidden = some, masked[some]
    all_nodes = [(number, _usual(nodes, window, *hidden)) for number, nodes in enumerate(judge.rest.nodes)]
    if not all_nodes:
        return found, 0
    # Each in its own usual movements, nodes of all levels are as rare as one another.
    past = np.concatenate([nodes.z[:, window][nodes.children >= CHILDREN] for _, nodes in all_nodes])
    past = np.where(past == 0, np.nan, past)
    reference = pvalues.Reference(past, np.zeros(past.shape, int))
    p_all = [
        reference.p(np.where(nodes.children >= CHILDREN, nodes.z[:, day], np.nan), np.zeros(len(nodes.z), int))
        for _, nodes in all_nodes
    ]
    flat = np.concatenate(p_all)
    q_flat = pvalues.benjamini_hochberg(flat)
    at = 0
    for (number, nodes), p in zip(all_nodes, p_all, strict=True):
        q = q_flat[at : at + len(p)]
        at += len(p)
        strong = (np.abs(nodes.z[:, day]) >= CUT) & np.isfinite(p)
        for node in np.flatnonzero(strong | (shifts[number].alarm[:, day] != 0)):
            entry = _node(
                judge,
                nodes,
                int(node),
                day,
                float(p[node]),
                float(q[node]),
                bool(strong[node]),
                *shifts[number].at(int(node), day),
                rest,
            )
            if entry is not None:
                found.append(entry)
        rest = rest - nodes.taken[:, day]
    return found, int(np.isfinite(flat).sum())


def several(judge: Judge, day: int, found: list[Entry]) -> list[Entry]:
    """Regions of which some series are far off on one side and the others as usual: one depot or one town's carnival.

    Each by itself is not told then, for on such a day that many go far that it proves nothing of one; together they
    are one matter. Without regions it is asked of everything.
    """
    levels = {nodes.level: nodes for nodes in judge.rest.nodes}
    nodes = levels.get("region", levels.get("total"))
    if nodes is None:
        return []
    z, told = judge.rest.z_alone[:, day], []
    for node in range(len(nodes.names)):
        rows = np.flatnonzero((nodes.code == node) & np.isfinite(z))
        for direction in (-1, 1):
            far = rows[z[rows] * direction >= FAR_OFF]
            known = any(one.direction == direction and np.isin(far, one.rows).all() for one in found)
            if len(far) >= max(SEVERAL, SHARE * len(rows)) and not known:
                told.append(_some(judge, nodes, node, rows, far, direction, day))
    return [one for one in told if one is not None]


def _some(
    judge: Judge, nodes: Nodes, node: int, rows: np.ndarray, far: np.ndarray, direction: int, day: int
) -> Entry | None:
    """The entry of a node of whose ``rows`` these are ``far`` off."""
    gap = judge.scene.units[rows, day] - judge.expected.units[rows, day]
    if np.sign(gap.sum()) != direction:
        return None
    p = pvalues.so_many(len(far), len(rows), RARELY)
    q = min(1.0, p * 2 * len(nodes.names))  # asked of each region, upwards and downwards
    strongest = float(direction * np.median(np.abs(judge.rest.z_alone[far, day])))
    days = [replace(_figures(judge, nodes, node, rows, day, p, q), z=strongest)]
    size = Size(p=p, q=q, rel=relative(days), loss=0.0, node=True, up=direction > 0)
    facts = {"leaning": len(far), "some": True, "factor": float(np.median(judge.rest.raw[far, day]))}
    return _entry(judge, nodes.key(node), rows, far, days, "SPIKE" if direction > 0 else "DROP", [size], facts)


def _usual(nodes: Nodes, window: slice, some: np.ndarray, masked: np.ndarray) -> Nodes:
    """Nodes with their deviations never in less than a node's own further movements: where little is agreed on for
    most of the time, the middle of all days says nothing of a holiday that one region has. A day on which most of its
    series are ``masked``, of ``some`` rows, says nothing of either: a category that is often out of stock is so no less
    each time."""
    moves = np.abs(nodes.factor[:, window])
    if len(some):
        hidden = np.zeros(moves.shape)
        np.add.at(hidden, nodes.code[some], masked)
        moves = np.where(hidden > 0.5 * nodes.children[:, None], np.nan, moves)
    far = quantile(moves, FAR, SHORTEST) / FAR_NORMAL
    with np.errstate(divide="ignore", invalid="ignore"):
        most = np.nan_to_num(np.abs(nodes.factor) / far[:, None], nan=np.inf, posinf=np.inf)
    return replace(nodes, z=np.sign(nodes.z) * np.minimum(np.abs(nodes.z), most))


def _node(
    judge: Judge,
    nodes: Nodes,
    node: int,
    day: int,
    p: float,
    q: float,
    strong: bool,
    shift: int,
    start: int,
    rest: np.ndarray,
) -> Entry | None:
    factor = float(nodes.factor[node, day])
    if strong and shift and shift != np.sign(factor):
        shift = 0
    span = np.arange(start, day + 1) if shift else np.array([day])
    mean_factor = float(nodes.factor[node, span].mean())
    if abs(mean_factor) < LEAST:
        return None
    direction = int(np.sign(mean_factor))
    rows = np.flatnonzero((nodes.code == node) & np.isfinite(judge.rest.raw[:, day]))
    if len(rows) < CHILDREN:
        return None
    expected = judge.expected.units[rows, day]
    leaning = np.sign(rest[rows]) == direction
    if not shift:
        leaning &= np.abs(rest[rows]) / judge.rest.sigma[rows, day] > LEANING
    if expected.sum() <= 0 or (expected * leaning).sum() / expected.sum() < BREADTH:
        return None
    days = [_figures(judge, nodes, node, rows, int(one), p, q) for one in span]
    now = days[-1]
    whole_gap = np.log1p(now.actual) - np.log1p(now.expected)
    if not shift and (np.sign(whole_gap) != direction or abs(factor) < MOST_OF_IT * abs(whole_gap)):
        return None  # the node is off because of some that are, not as a whole
    rel = relative(days)
    size = Size(
        # What has added up so far in so many is certain; as for a single series, urgent only where it is large.
        p=p if strong else 0.0 if shift and rel >= sizes.REL_MEDIUM else 1.0,
        q=min(q, sizes.Q_HIGH) if strong else sizes.Q_MEDIUM,  # that so many go together is as much
        rel=rel,
        loss=0.0,
        node=not shift or strong,
        shift=bool(shift) and not strong,
        up=direction > 0,
    )
    cls = "SPIKE" if direction > 0 else "DROP"
    if shift:
        window = slice(max(0, day + 1 - trend.WINDOW), day + 1)
        since = median(trend.before_it(judge.rest.raw[rows], judge.expected.followed[rows]).T, 3)
        spread = 1.25 / np.sqrt(len(rows)) * median(judge.rest.sigma[rows, window].T, 1)
        cls = trend.lasting(since[window], spread)
    # A small region is a small part of everything; what would be HIGH of a single series is of a whole region too, and
    # an outage there of less than that.
    alone = max(rel, sizes.REL_HIGH) if nodes.level == "region" and rel >= OUTAGE else rel
    found = [size, replace(size, node=False, rel=alone)]
    facts = {"leaning": int(leaning.sum()), "factor": factor}
    return _entry(judge, nodes.key(node), rows, rows, days, cls, found, facts)


def _entry(
    judge: Judge,
    key: Key,
    rows: np.ndarray,
    moved: np.ndarray,
    days: list[Figures],
    cls: str,
    found: list[Size],
    facts: dict[str, Any],
) -> Entry | None:
    """The entry of a node that is told of its ``days``; None where that is too little. ``rows``: its series, of which
    ``moved`` did; ``found``: its size in one way or another, without what it comes to: the most serious counts."""
    name, category, region, store = key
    now, direction = days[-1], 1 if found[0].up else -1
    gap = judge.scene.units[rows, now.day] - judge.expected.units[rows, now.day]
    whole_day = float(np.nansum(judge.expected.units[:, now.day] * judge.weight))
    worth = [
        replace(
            size,
            loss=abs(float((gap * judge.weight[rows]).sum())),
            total=whole_day,
            limit=judge.asked(key, whole_day),
            covered=bool(category) and judge.covered(category, now.day),
        )
        for size in found
    ]
    levels = {judge.level(size, key, cls, now.expected) for size in worth}
    level = next((one for one in sizes.LEVELS if one in levels), "")
    rel = found[0].rel
    if not level or judge.too_small(key, rel, now.loss_units, least=(0.0, 0.0)):
        return None
    calendar = [judge.calendar(int(row), now.day, direction) for row in moved[:50]]
    return Entry(
        day=now.day,
        level=name,
        product_category=category,
        region=region,
        store=store,
        kind="DEMAND",
        cls=cls,
        direction=direction,
        start=days[0].day,
        impact=level,
        score=sizes.score(max((one.z for one in days), key=abs), level),
        rel=rel,
        days=days,
        rows=moved,
        cause=max(set(calendar), key=calendar.count),
        facts={
            "children": len(rows),
            "limit": judge.limit(key),
            "tests": judge.tested(now.day),
            "frozen": bool(judge.expected.frozen[moved, now.day].any()),
            "explained": explained(judge.scene, rows, now.day, gap / gap.sum() if gap.sum() else np.zeros(len(rows))),
            **facts,
        },
    )


def _figures(judge: Judge, nodes: Nodes, node: int, rows: np.ndarray, day: int, p: float, q: float) -> Figures:
    """A node's day: the sums of its children that are known, with a band by what they have in common."""
    known = rows[np.isfinite(judge.rest.raw[rows, day])]
    units, mean, value = judge.scene.units[known, day], judge.expected.units[known, day], judge.scene.value[known]
    whole, gap, z = float(mean.sum()), units - mean, float(nodes.z[node, day])
    spread = abs(float(nodes.factor[node, day])) / max(abs(z), 1e-9)
    if z == 0 or not np.isfinite(spread):
        spread = SPREAD
    return Figures(
        day=day,
        actual=float(units.sum()),
        expected=whole,
        lo=whole * float(np.exp(-1.96 * spread)),
        hi=whole * float(np.exp(1.96 * spread)),
        z=z,
        p=p,
        q=q,
        loss=abs(float(np.nansum(gap * value))) if np.isfinite(value).any() else np.nan,
        loss_units=abs(float(gap.sum())),
    )


def follows(judge: Judge, entry: Entry, row: int, day: int, nodes: list[Entry]) -> bool:
    """Whether a series' own finding is but a part of, or an exception to, what its node did."""
    own, raw = float(judge.rest.own[row, day]), float(judge.rest.raw[row, day])
    for parent in nodes:
        if row not in parent.rows:
            continue
        with_it = np.sign(raw) == parent.direction and abs(raw) > 2 * abs(parent.facts["factor"]) and abs(own) > 0.3
        against = np.sign(raw) == -parent.direction and abs(judge.rest.z_raw[row, day]) >= 4
        if not (with_it or against) or entry.cls in trend.LASTING:
            return True
    return False


def members(judge: Judge, day: int, nodes: list[Entry], reference: pvalues.Reference, own: set[Key]) -> list[Entry]:
    """The series that moved notably with a node, as its members; each belongs to the first node it is in. Those of
    ``own`` have an entry of their own."""
    found: list[Entry] = []
    taken: set[int] = set()
    for parent in nodes:
        for row in parent.rows:
            z = float((judge.rest.z_alone if parent.facts.get("some") else judge.rest.z_raw)[row, day])
            if int(row) in taken or np.sign(z) != parent.direction or abs(z) < NOTABLE:
                continue
            taken.add(int(row))
            key = judge.scene.keys[int(row)]
            if key in own:
                continue
            figures = judge.figures(int(row), day, parent.now.p, parent.now.q, reference)
            gap = figures.loss_units
            rel = gap / figures.expected if figures.expected > 0 else 1.0
            size = Size(p=parent.now.p, q=parent.now.q, rel=rel, loss=gap * judge.weight[row], up=parent.direction > 0)
            level = impact(size, judge.limit(key))
            whole = parent.now.actual - parent.now.expected
            found.append(
                Entry(
                    day=day,
                    level=key[0],
                    product_category=key[1],
                    region=key[2],
                    store=key[3],
                    kind=parent.kind,
                    cls="SPIKE" if parent.direction > 0 else "DROP",
                    direction=parent.direction,
                    start=day,
                    impact=level,
                    score=sizes.score(z, level),
                    rel=rel,
                    days=[replace(figures, z=z)],
                    rows=np.array([row]),
                    cause="part of a wider movement",
                    parent=parent.key,
                    facts={"share": (figures.actual - figures.expected) / whole if whole else 0.0},
                )
            )
    return found

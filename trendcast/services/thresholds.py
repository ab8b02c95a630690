"""What people set for early warning: for everything, a category or one series, and what a change would have done.

What is set holds from the next data on: what was found before stays as it was told.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd

from trendcast import wording
from trendcast.anomalies.incidents import RANK, Episode
from trendcast.errors import InvalidInput, NotFound
from trendcast.panel import DIMENSIONS, KEYS
from trendcast.services.names import nearest
from trendcast.services.progress import Progress, silent

if TYPE_CHECKING:
    from trendcast.services.runtime import Clock
    from trendcast.store.engine import Database

DAYS = 90  # of the past that a preview replays
EXAMPLES = 10
# Level -> the dimensions its node is named by; '' is everything.
LEVELS: dict[str, tuple[str, ...]] = {"": (), **KEYS}
_WORDS = {"product_category": "category", "region": "region", "store": "store"}


@dataclass(frozen=True)
class Name:
    """One figure of the rules: what it is called and counted in, what holds where nothing is set, and its bounds."""

    label: str
    unit: str  # 'money', 'units' or 'share'
    default: str
    lowest: float
    highest: float


NAMES: dict[str, Name] = {
    "high_loss": Name(
        "Loss from which an anomaly is HIGH",
        "money",
        "Without one it is what only one of twenty series and days of the last eight weeks lost.",
        0.0,
        1e12,
    ),
    "least_change": Name(
        "Smallest change that is looked at",
        "share",
        "Without one a series must be off by 10 %; a region or category as a whole by 5 %.",
        0.0,
        10.0,
    ),
    "least_units": Name(
        "Fewest units that are looked at", "units", "Without one a series must be off by 2 units.", 0.0, 1e12
    ),
    "false_rate": Name(
        "Share of findings that may be chance",
        "share",
        "Without one 10 % of the findings of a day may be chance; of those of MEDIUM impact half of that.",
        0.005,
        0.2,
    ),
}


@dataclass(frozen=True)
class Preview:
    """What the last days would have been under a change, both sides replayed by the detector of today.

    ``examples``: dicts of day, name (of the node), headline, before and after (impact, None: no incident), the most
    serious first.
    """

    days: int
    before: int
    after: int
    high_before: int
    high_after: int
    mails_before: int
    mails_after: int
    lost_confirmed: int
    sentence: str
    examples: list[dict[str, Any]]


def listed(db: Database) -> pd.DataFrame:
    """What is set: id, name, level, product_category, region, store, value, reason, set_by, set_at."""
    return db.frame("threshold_list", id=None)


def put(
    db: Database,
    clock: Clock,
    *,
    name: str,
    level: str = "",
    product_category: str = "",
    region: str = "",
    store: str = "",
    value: float,
    reason: str,
    who: str,
) -> int:
    """Set a figure for a node and all below it ('' is everything); the narrowest that fits holds. Returns its id.
    Raises InvalidInput for what cannot be, NotFound for a node that has no sales."""
    row = _row(db, name, level, product_category, region, store, value)
    reason = reason.strip()
    if not reason:
        raise InvalidInput("Say in a few words why: others will wonder when an alert does not come.")

    def change(connection: Any) -> int:
        made = db.rows("threshold_put", connection=connection, **row, reason=reason[:500], who=who, at=clock())[0]
        _audit(
            db, connection, who, "threshold changed" if made["before"] is not None else "threshold set", row,
            None if made["before"] is None else {"value": made["before"]}, {"value": row["value"], "reason": reason},
        )  # fmt: skip
        return int(made["id"])

    return db.run_tx(change)


def remove(db: Database, clock: Clock, id: int, *, who: str) -> None:
    """Take a figure back: what is set more broadly holds again, or the default. Raises NotFound."""

    def change(connection: Any) -> None:
        rows = db.rows("threshold_remove", connection=connection, id=id)
        if not rows:
            raise NotFound(f"There is no threshold {id}.")
        _audit(db, connection, who, "threshold removed", rows[0], {"value": rows[0]["value"]}, None)

    db.run_tx(change)


def node(level: str, product_category: str = "", region: str = "", store: str = "") -> str:
    """What a threshold is of, for people."""
    if level == "":
        return "everything"
    if level == "total":
        return "all categories together"
    parts = [part for part in (product_category, region, store) if part]
    return " / ".join(parts)


def preview(
    db: Database,
    clock: Clock,
    *,
    name: str,
    level: str = "",
    product_category: str = "",
    region: str = "",
    store: str = "",
    value: float | None,
    progress: Progress = silent,
) -> Preview:
    """Replay the last 90 days without and with a figure (None: without the one that is set); nothing is written.

    The detector judges every day by what was known before it, with the verdicts of today. Raises what ``put`` raises,
    and Conflict when nothing is loaded.
    """
    from trendcast import settings
    from trendcast.services import detect

    row = _row(
        db, name, level, product_category, region, store, 0.0 if value is None else value, check=value is not None
    )
    scope = [row[one] for one in ("name", "level", *DIMENSIONS)]

    def changed(limits: Sequence[Sequence[Any]]) -> list[Sequence[Any]]:
        others = [one for one in limits if list(one[:5]) != scope]
        return others if value is None else [*others, [*scope, value]]

    replayed = detect.replay(db, clock(), DAYS, [lambda limits: list(limits), changed], progress)
    budget = int(settings.load().alert_budget)  # type: ignore[call-overload]
    before, after = (_Side(episodes, budget) for episodes in replayed.episodes)
    lost = sum(
        before.shows(one) and not after.shows(one) for one in replayed.verdicts if one.disposition == "confirmed"
    )
    return Preview(
        days=replayed.days,
        before=len(before.leads),
        after=len(after.leads),
        high_before=before.high,
        high_after=after.high,
        mails_before=before.mails,
        mails_after=after.mails,
        lost_confirmed=lost,
        sentence=_sentence(replayed.days, before, after, lost),
        examples=_examples(before, after),
    )


class _Side:
    """The incidents of one replay: ``leads`` by what makes them the same in the other."""

    def __init__(self, episodes: Sequence[Episode], budget: int) -> None:
        self.leads = {(one.key, one.direction, one.family, str(one.start)): one for one in episodes if one.lead}
        self.days = {(one.key, one.direction, day) for one in episodes for day in one.days}
        high = [str(one.start) for one in self.leads.values() if one.impact == "HIGH"]
        self.high = len(high)
        # As many as the budget of a day are mailed; of more, one mail stands for all.
        counts = [high.count(day) for day in set(high)]
        self.mails = sum(count if count <= budget else 1 for count in counts)

    def shows(self, verdict: Episode) -> bool:
        return any((verdict.key, verdict.direction, day) in self.days for day in verdict.days)


def _sentence(days: int, before: _Side, after: _Side, lost: int) -> str:
    """What the change would have done, in a sentence."""
    if not before.leads and not after.leads:
        return f"In the last {days} days nothing was unusual, with this figure or without it."

    def instead(now: int, then: int, one: str, many: str) -> str:
        if now == then:
            return f"the same {wording.count(then, one, many)}"
        return f"{wording.count(now, one, many)} instead of {wording.fixed(then)}"

    said = (
        f"In the last {days} days it would have raised "
        f"{instead(len(after.leads), len(before.leads), 'incident', 'incidents')} and sent "
        f"{instead(after.mails, before.mails, 'mail', 'mails')}"
    )
    if lost:
        return f"{said}, and would have missed {lost} that somebody confirmed."
    return f"{said}; none that was confirmed would have been missed."


def _examples(before: _Side, after: _Side) -> list[dict[str, Any]]:
    """The incidents that would have been others."""
    from trendcast.anomalies import explain
    from trendcast.services.detect_write import headline

    found: list[tuple[tuple[int, float], dict[str, Any]]] = []
    for key in {*before.leads, *after.leads}:
        was, now = before.leads.get(key), after.leads.get(key)
        impacts = [None if one is None else one.impact for one in (was, now)]
        if impacts[0] == impacts[1]:
            continue
        one = was or now
        assert one is not None
        size = -abs(one.total("loss") or one.total("loss_units") or 0.0)
        rank = min(RANK[impact] for impact in impacts if impact)
        facts = {
            "day": one.worst["day"],
            "name": explain.node_name(one.key),
            "headline": headline(one),
            "before": impacts[0],
            "after": impacts[1],
        }
        found.append(((rank, size), facts))
    return [facts for _, facts in sorted(found, key=lambda one: (one[0], str(one[1])))[:EXAMPLES]]


def _row(
    db: Database,
    name: str,
    level: str,
    product_category: str,
    region: str,
    store: str,
    value: float,
    check: bool = True,
) -> dict[str, Any]:
    """The columns of a threshold, checked."""
    if name not in NAMES:
        raise InvalidInput(f"'{name[:50]}' is no threshold: it is one of {', '.join(NAMES)}.")
    if level not in LEVELS:
        raise InvalidInput(
            f"'{level[:50]}' is no level: it is one of {', '.join(one for one in LEVELS if one)}, or empty."
        )
    given: dict[str, Any] = dict(
        zip(DIMENSIONS, (part.strip() for part in (product_category, region, store)), strict=True)
    )
    for dimension, part in given.items():
        wanted = dimension in LEVELS[level]
        # A store's region follows from the store.
        if wanted and not part and not (dimension == "region" and given["store"]):
            raise InvalidInput(f"Say which {_WORDS[dimension]} it is for.")
        if part and not wanted:
            raise InvalidInput(f"A threshold of the level '{level or 'everything'}' has no {_WORDS[dimension]}.")
    found = db.rows("threshold_nodes", **given)[0]
    if not found["known"]:
        names = {"product_category": "categories", "region": "regions", "store": "stores"}
        near = [nearest(given[one], found[names[one]]) for one in DIMENSIONS if given[one]]
        raise NotFound(f"There are no sales of {node(level, **given)}.", next((one for one in near if one), ()))
    about = NAMES[name]
    number = float(value)
    if check and not (math.isfinite(number) and about.lowest <= number <= about.highest):
        said = (
            wording.percent(one, 1) if about.unit == "share" else wording.fixed(one)
            for one in (about.lowest, about.highest)
        )
        raise InvalidInput(f"{about.label} lies between {' and '.join(said)}.")
    return {"name": name, "level": level, **given, "value": number}


def _audit(
    db: Database,
    connection: Any,
    who: str,
    action: str,
    row: Mapping[str, Any],
    before: Mapping[str, Any] | None,
    after: Mapping[str, Any] | None,
) -> None:
    scope = {name: row[name] for name in ("level", *DIMENSIONS) if row[name]}
    what = ":".join(["threshold", row["name"], *scope.values()])
    db.execute("audit_add", connection=connection, actor=who, action=action, object=what, before=before, after=after)

"""What a review is made of: plain data, the same for the page, REST and the report."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime

from trendcast.services.review_figures import Figures, Line


@dataclass(frozen=True)
class Link:
    """Where to look closer: a page of the dashboard and its query; a repeated name is a list."""

    page: str
    query: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Header:
    """What the review stands on."""

    run_id: int
    kind: str
    data_to: date
    published_at: datetime
    n_series: int
    level: str
    dimension: str
    rows: int  # lines of the review
    days_late: int  # whole days the newest full day is late; 0 for historical data
    covered: float | None  # share of past weeks inside the 80 % band, by the back-test
    covered_weeks: int
    quarantined: int  # rows that loads have set aside
    held: int  # batches that wait for someone to accept them


@dataclass(frozen=True)
class Kpi:
    """A figure with its level, lag and comparison. ``kind``: share, money, units or count; ``better``: -1 lower, 1
    higher, 0 neither; ``against`` is the same figure in ``against_words``; ``note`` a second reference in words."""

    name: str
    label: str
    value: float | None
    kind: str
    basis: str
    link: Link
    against: float | None = None
    against_words: str = ""
    better: int = 0
    note: str = ""
    line: tuple[float, ...] = ()


@dataclass(frozen=True)
class Breach:
    """A rule that is broken by ``count`` things; ``names`` are the first of them."""

    name: str
    label: str
    rule: str
    count: int
    link: Link
    high: bool = False
    names: tuple[str, ...] = ()


@dataclass(frozen=True)
class Risk:
    """Something that costs money unless somebody acts. ``kind``: stock-out, overstock or anomaly."""

    kind: str
    name: str  # the category, or where the anomaly is
    headline: str
    why: str
    money: float | None
    units: float | None
    order_by: date | None
    quantity: float | None
    urgent: bool
    link: Link
    over: date | None = None  # its last day, when it no longer runs: nothing more can be saved
    minor: bool = False  # an anomaly of low impact


@dataclass(frozen=True)
class Standing:
    """What else is known of a line: open anomalies, and of a category its stock and what to do."""

    anomalies: int = 0
    high: int = 0
    stock: str = ""
    recommendation: str = ""


@dataclass(frozen=True)
class Decision:
    """Something decided, and whether it paid."""

    id: int
    at: datetime
    category: str
    sentence: str
    decision: str
    value: float | None
    reason: str
    owner: str
    status: str
    outcome: str
    outcome_money: float | None


@dataclass(frozen=True)
class Outcomes:
    """Of the decisions whose outcome is known: how many, how many paid, and the margin of all together."""

    known: int
    paid: int
    money: float


@dataclass(frozen=True)
class Review:
    """See the module. ``standing`` has one entry per line of ``figures``, in its order; ``unit`` is what sales are
    ranked and said in; risks are ranked by money wherever there is any."""

    figures: Figures
    header: Header
    finding: str
    unit: str
    kpis: tuple[Kpi, ...]
    risers: tuple[Line, ...]
    fallers: tuple[Line, ...]
    exceptions: tuple[Breach, ...]
    risks: tuple[Risk, ...]
    more_risks: int
    standing: tuple[Standing, ...]
    decisions: tuple[Decision, ...]  # the newest, and the newest with an outcome
    outcomes: Outcomes
    change: str  # one sentence on what changed since last week
    movement: str  # one sentence on risers and fallers

"""What an alert says: subject, text and HTML, from plain values. Names of a retailer may hold anything, so HTML is
escaped and headers are one line."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape

from trendcast import wording
from trendcast.alerts.delivery import one_line

SHOWN = 20  # items of one mail; the rest is a number and a link
SUBJECT = 200  # characters
WORDS = {
    "first": "",
    "worse": "Worse: ",
    "wider": "Spreading: ",
    "reminder": "Still open: ",
    "resolved": "Resolved: ",
}


@dataclass(frozen=True)
class Item:
    """One anomaly as the specification lists it."""

    product_category: str
    region: str
    store: str
    day: dt.date
    actual: float
    expected: float
    score: float


@dataclass(frozen=True)
class Incident:
    """What a mail tells of one incident. ``money``: at stake, None without prices; ``members``: anomalies in it."""

    id: int
    impact: str
    name: str
    headline: str
    cause: str
    next_step: str
    first_day: dt.date
    members: int
    units: float
    money: float | None
    items: Sequence[Item] = field(default_factory=tuple)
    note: str = ""


@dataclass(frozen=True)
class Message:
    """What is stored in the outbox and sent."""

    subject: str
    text: str
    html: str


def alert(incident: Incident, reason: str, base: str) -> Message:
    """The mail of one incident. ``reason``: first, worse, wider, reminder or resolved; ``base``: where the dashboard
    is."""
    mark = "CRITICAL: " if incident.impact == "HIGH" and reason != "resolved" else f"{WORDS[reason]}"
    again = WORDS[reason].lower() if mark == "CRITICAL: " and reason != "first" else ""
    count = "1 anomaly" if incident.members == 1 else f"{wording.fixed(incident.members)} anomalies"
    subject = f"{mark}{again}{count}, {stake(incident)}: {incident.name}, {wording.day(incident.first_day)}"
    lines = [incident.headline]
    if reason == "resolved":
        lines.append(f"This is over. {incident.note}".rstrip())
    elif incident.next_step:
        lines.append(incident.next_step)
    facts = [
        ("Impact", incident.impact),
        ("At stake", stake(incident)),
        ("Probable cause", incident.cause or "unexplained"),
        ("Since", wording.day(incident.first_day)),
    ]
    return _page(subject, lines, facts, [incident], [(link(base, incident.id), "Open the incident")])


def digest(incidents: Sequence[Incident], when: str, freshness: str, base: str, left_out: int = 0) -> Message:
    """The list of what is open but not urgent; without any it says that all is clear, and how fresh the data is."""
    if not incidents:
        subject = f"All clear, {when}"
        return _page(subject, ["Nothing unusual is open.", freshness], [], [], [(f"{base}/anomaly-inbox", "Inbox")])
    noun = "1 open incident" if len(incidents) == 1 else f"{wording.fixed(len(incidents))} open incidents"
    lines = [f"{noun}, the most money first.", freshness]
    if left_out:
        lines.append(f"{wording.fixed(left_out)} more are in the inbox.")
    links = [(f"{base}/anomaly-inbox", "Open the inbox")]
    return _page(f"Digest, {when}: {noun}", lines, [], incidents, links, base=base)


def storm(incidents: Sequence[Incident], minutes: int, base: str) -> Message:
    """One mail in place of many: more incidents opened at once than a person can read mail about."""
    critical = sum(incident.impact == "HIGH" for incident in incidents)
    mark = "CRITICAL: " if critical else ""
    subject = f"{mark}{wording.fixed(len(incidents))} incidents within {minutes} minutes"
    lines = [f"{subject.removeprefix(mark)}, so this is one mail instead of as many. The most money comes first."]
    return _page(subject, lines, [], incidents, [(f"{base}/anomaly-inbox", "Open the inbox")], base=base)


def notice(subject: str, sentences: Sequence[str], base: str) -> Message:
    """A mail about TrendCast itself: the detector has not run, mail cannot be sent, a test."""
    return _page(subject, sentences, [], [], [(f"{base}/data", "Open TrendCast")])


def link(base: str, incident_id: int) -> str:
    """The address that opens an incident; opening it changes nothing."""
    return f"{base}/anomaly-inbox?incident={incident_id}"


def stake(incident: Incident) -> str:
    """What is at stake, in money, or in units where no price is known."""
    return wording.units(incident.units) if incident.money is None else wording.money(incident.money)


def _page(
    subject: str,
    lines: Sequence[str],
    facts: Sequence[tuple[str, str]],
    incidents: Sequence[Incident],
    links: Sequence[tuple[str, str]],
    base: str | None = None,
) -> Message:
    """``base`` is given where each incident is a headline with a link of its own, as in a digest."""
    text, html = [*lines, ""], [f"<p>{escape(line)}</p>" for line in lines if line]
    if facts:
        text += [*(f"{name}: {value}" for name, value in facts), ""]
        html.append(_table([], [[name, value] for name, value in facts]))
    for incident in incidents[:SHOWN]:
        if base is not None:
            address = link(base, incident.id)
            text += [f"[{incident.impact}] {stake(incident)}: {incident.headline}", f"  {address}"]
            html.append(
                f"<p><strong>{escape(incident.impact)}</strong> {escape(stake(incident))}: "
                f'<a href="{escape(address)}">{escape(incident.headline)}</a></p>'
            )
        else:
            rows = [_row(item) for item in incident.items[:SHOWN]]
            text += [f"{name}: {value}" for row in rows for name, value in zip(HEAD, row, strict=True)] + [""]
            html.append(_table(HEAD, rows))
            left = incident.members - len(rows)
            if left > 0 and rows:
                text.append(f"And {wording.fixed(left)} more.")
                html.append(f"<p>And {wording.fixed(left)} more.</p>")
    if len(incidents) > SHOWN:
        text.append(f"And {wording.fixed(len(incidents) - SHOWN)} more in the inbox.")
        html.append(f"<p>And {wording.fixed(len(incidents) - SHOWN)} more in the inbox.</p>")
    for address, words in links:
        text.append(f"{words}: {address}")
        html.append(f'<p><a href="{escape(address)}">{escape(words)}</a></p>')
    body = "".join(html)
    style = "font-family:system-ui,sans-serif;font-size:15px;line-height:1.5;color:#1F2937;max-width:44rem"
    page = f'<!doctype html><html lang="en"><body style="{style}">{body}</body></html>'
    return Message(_header(subject), "\n".join(text).strip() + "\n", page)


CELL = "padding:2px 12px 2px 0;text-align:left;vertical-align:top"
HEAD = ("Product", "Region", "Date", "Actual", "Expected", "Score")


def _row(item: Item) -> list[str]:
    place = " / ".join(part for part in (item.region, item.store) if part) or "all"
    return [
        item.product_category or "all",
        place,
        wording.day(item.day),
        wording.short(item.actual),
        wording.short(item.expected),
        wording.fixed(item.score, 1),
    ]


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    def line(tag: str, values: Sequence[str]) -> str:
        cells = (f'<{tag} style="{CELL}">{escape(value)}</{tag}>' for value in values)
        return f"<tr>{''.join(cells)}</tr>"

    top = line("th", head) if head else ""
    body = "".join(line("td", row) for row in rows)
    return f'<table style="border-collapse:collapse">{top}{body}</table>'


def _header(subject: str) -> str:
    line = "".join(character for character in one_line(subject) if character.isprintable())
    return line if len(line) <= SUBJECT else line[: SUBJECT - 1] + "…"

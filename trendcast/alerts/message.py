"""What an alert says: subject, text and HTML, from plain values. Names of a retailer may hold anything, so HTML is
escaped and headers are one line.

Text and HTML say the same in the same order: what happened, how sure it is, what it is worth, what to do and where; the
facts follow.
The HTML is what mail programs draw alike: tables and inline styles, no picture, no script, nothing from elsewhere.
"""

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
    "awake": "Snooze ended: ",
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
    """What a mail tells of one incident. ``money``: at stake, None without prices; ``units``: None where nothing was
    expected that can be missing; ``members``: anomalies in it."""

    id: int
    impact: str
    name: str
    headline: str
    cause: str
    next_step: str
    first_day: dt.date
    members: int
    units: float | None
    money: float | None
    items: Sequence[Item] = field(default_factory=tuple)
    note: str = ""
    over: bool = False
    certainty: str = ""


@dataclass(frozen=True)
class Message:
    """What is stored in the outbox and sent."""

    subject: str
    text: str
    html: str


def alert(incident: Incident, reason: str, base: str) -> Message:
    """The mail of one incident. ``reason``: first, worse, wider, reminder, awake (a snooze ended) or resolved;
    ``base``: where the dashboard is."""
    over = reason == "resolved"
    mark = "CRITICAL: " if incident.impact == "HIGH" and not over else ""
    again = WORDS[reason].lower() if mark else WORDS[reason]
    count = "1 anomaly" if incident.members == 1 else f"{wording.fixed(incident.members)} anomalies"
    ended = f"This is over. {incident.note}".rstrip()
    worth = stake(incident)
    said = [part for part in (count, worth) if part]
    return _Page(
        subject=f"{mark}{again}{', '.join(said)}: {incident.name}, {wording.day(incident.first_day)}",
        badge="Resolved" if over else f"{WORDS[reason]}{incident.impact}",
        colour=GREEN if over else COLOURS.get(incident.impact, GREY),
        lead=incident.headline,
        figure=(worth, "was at stake" if over else "at stake") if worth else None,
        sure="" if over else incident.certainty,
        step=ended if over else incident.next_step,
        button=(link(base, incident.id), "Open the incident"),
        facts=(
            ("Impact", incident.impact),
            ("Probable cause", incident.cause or "unexplained"),
            ("Since", wording.day(incident.first_day)),
        ),
        items=tuple(incident.items[:SHOWN]),
        left=incident.members - min(len(incident.items), SHOWN) if incident.items else 0,
    ).message()


def digest(incidents: Sequence[Incident], when: str, freshness: str, base: str, *, part: bool = False) -> Message:
    """The list of what is open but not urgent; without any it says that all is clear, and how fresh the data is.
    ``part``: it is for somebody who looks after a part of the retailer."""
    button = (f"{base}/anomaly-inbox", "Open the inbox")
    if not incidents:
        lead = "Nothing of yours is open." if part else "Nothing unusual is open."
        return _Page(
            subject=f"All clear, {when}", badge="All clear", colour=GREEN, lead=lead,
            lines=(freshness,), button=button,
        ).message()  # fmt: skip
    noun = "1 open incident" if len(incidents) == 1 else f"{wording.fixed(len(incidents))} open incidents"
    high = sum(one.impact == "HIGH" for one in incidents)
    named = f" ({wording.fixed(high)} of HIGH impact)" if high else ""
    return _Page(
        subject=f"Digest, {when}: {noun}", badge="Digest", colour=GREY,
        lead=f"{noun}{' of yours' if part else ''}{named}, the most urgent and costly first.",
        step=f"First: {incidents[0].next_step}" if incidents[0].next_step else "",
        lines=(freshness,), button=button, listed=_listed(incidents, base),
        left=len(incidents) - min(len(incidents), SHOWN),
    ).message()  # fmt: skip


def storm(incidents: Sequence[Incident], minutes: int, base: str) -> Message:
    """One mail in place of many: more incidents opened at once than a person can read mail about."""
    critical = any(incident.impact == "HIGH" for incident in incidents)
    noun = "1 incident" if len(incidents) == 1 else f"{wording.fixed(len(incidents))} incidents"
    said = f"{noun} within {minutes} minutes"
    return _Page(
        subject=f"{'CRITICAL: ' if critical else ''}{said}", badge="HIGH" if critical else "Many at once",
        colour=COLOURS["HIGH"] if critical else GREY, lead=f"{said}, the most money first.",
        lines=("This is one mail instead of one for each of many that opened at once.",),
        button=(f"{base}/anomaly-inbox", "Open the inbox"), listed=_listed(incidents, base),
        left=len(incidents) - min(len(incidents), SHOWN),
    ).message()  # fmt: skip


def summary(incidents: Sequence[Incident], base: str) -> Message:
    """One mail in place of many: there is news of more incidents, their end among it, than a person can read mail
    about."""
    noun = "1 incident" if len(incidents) == 1 else f"{wording.fixed(len(incidents))} incidents"
    open_ones = sum(not incident.over for incident in incidents)
    ended = len(incidents) - open_ones
    parts = [f"{wording.fixed(open_ones)} open"] if open_ones else []
    parts += [f"{wording.fixed(ended)} over"] if ended else []
    return _Page(
        subject=f"News of {noun}: {', '.join(parts)}", badge="News", colour=GREY if open_ones else GREEN,
        lead=f"News of {noun}: {', '.join(parts)}.",
        lines=("This is one mail instead of one for each: the day's budget of alerts is used.",),
        button=(f"{base}/anomaly-inbox", "Open the inbox"), listed=_listed(incidents, base),
        left=len(incidents) - min(len(incidents), SHOWN),
    ).message()  # fmt: skip


def notice(subject: str, sentences: Sequence[str], base: str) -> Message:
    """A mail about TrendCast itself: the detector has not run, mail cannot be sent, a test."""
    return _Page(
        subject=subject, badge="TrendCast", colour=GREY, lead=sentences[0] if sentences else subject,
        lines=tuple(sentences[1:]), button=(f"{base}/data", "Open TrendCast"),
    ).message()  # fmt: skip


def link(base: str, incident_id: int) -> str:
    """The address that opens an incident; opening it changes nothing."""
    return f"{base}/anomaly-inbox?incident={incident_id}"


def stake(incident: Incident) -> str:
    """What is at stake, in money, or in units where no price is known; '' where nobody can say."""
    if incident.money is not None:
        return wording.money(incident.money)
    return "" if incident.units is None else wording.units(incident.units)


HEAD = ("Product", "Region", "Date", "Actual", "Expected", "Score")
FIGURES = 3  # where the figures begin among them
COLOURS = {"HIGH": "#B42318", "MEDIUM": "#B54708", "LOW": "#475467"}
GREEN, GREY, INK, FAINT = "#067647", "#475467", "#101828", "#667085"
LINE = "border-bottom:1px solid #E4E7EC"


@dataclass(frozen=True)
class _Listed:
    """An incident as one entry of a list."""

    impact: str
    figure: str
    headline: str
    address: str


def _listed(incidents: Sequence[Incident], base: str) -> tuple[_Listed, ...]:
    return tuple(
        _Listed("RESOLVED" if one.over else one.impact, stake(one), one.headline, link(base, one.id))
        for one in incidents[:SHOWN]
    )


@dataclass(frozen=True)
class _Page:
    """The parts of a mail in their order. ``sure``: how sure it is; ``figure``: what is at stake, and the words
    behind it; ``step``: what to do; ``left``: how many items or incidents the mail does not list."""

    subject: str
    badge: str
    colour: str
    lead: str
    button: tuple[str, str]
    figure: tuple[str, str] | None = None
    sure: str = ""
    step: str = ""
    lines: tuple[str, ...] = ()
    facts: tuple[tuple[str, str], ...] = ()
    items: tuple[Item, ...] = ()
    listed: tuple[_Listed, ...] = ()
    left: int = 0

    def message(self) -> Message:
        return Message(_header(self.subject), self._text(), self._html())

    def _more(self) -> str:
        if self.left <= 0:
            return ""
        return f"And {wording.fixed(self.left)} more{' in the inbox' if self.listed else ''}."

    def _text(self) -> str:
        address, words = self.button
        rows = [_row(item) for item in self.items]
        parts = [
            [self.lead, self.sure],
            [" ".join(self.figure)] if self.figure else [],
            [self.step],
            self.lines,
            [f"{words}: {address}"],
            [f"{name}: {value}" for name, value in self.facts],
            *(
                [f"[{one.impact}] {one.figure + ': ' if one.figure else ''}{one.headline}", f"  {one.address}"]
                for one in self.listed
            ),
            *([f"{name}: {value}" for name, value in zip(HEAD, row, strict=True)] for row in rows),
            [self._more()],
        ]
        blocks = ("\n".join(line for line in part if line) for part in parts)
        return "\n\n".join(block for block in blocks if block) + "\n"

    def _html(self) -> str:
        address, words = self.button
        blocks = [
            _paragraph(self.badge, f"font-size:13px;font-weight:600;color:{self.colour}"),
            _paragraph(self.lead, "font-size:18px;line-height:1.4;font-weight:600"),
        ]
        if self.sure:
            blocks.append(_paragraph(self.sure))
        if self.figure:
            number, behind = self.figure
            blocks.append(
                f'<p style="margin:0 0 12px"><strong style="font-size:26px;color:{self.colour}">{escape(number)}'
                f'</strong> <span style="color:{FAINT}">{escape(behind)}</span></p>'
            )
        blocks += [_paragraph(line) for line in (self.step, *self.lines) if line]
        blocks.append(_button(address, words))
        if self.facts:
            blocks.append(_table([], self.facts, faint_first=True))
        blocks += [
            f'<p style="margin:0;padding:10px 0;{LINE}"><strong style="color:{COLOURS.get(one.impact, GREY)}">'
            f"{escape(' · '.join(part for part in (one.impact, one.figure) if part))}</strong><br>"
            f'<a href="{escape(one.address)}" style="color:{INK}">{escape(one.headline)}</a></p>'
            for one in self.listed
        ]
        if self.items:
            blocks.append(_table(HEAD, [_row(item) for item in self.items]))
        if self._more():
            blocks.append(_paragraph(self._more(), f"color:{FAINT};padding-top:10px"))
        outer = "margin:0;padding:16px;background:#F2F4F7"
        inner = (
            f"max-width:640px;margin:0 auto;background:#FFFFFF;border-top:4px solid {self.colour};"
            f"font-family:Helvetica,Arial,sans-serif;font-size:15px;line-height:1.5;color:{INK}"
        )
        return (
            '<!doctype html><html lang="en"><head><meta charset="utf-8">'
            '<meta name="viewport" content="width=device-width"></head>'
            f'<body style="{outer}"><table role="presentation" width="100%" style="{inner}"><tr>'
            f'<td style="padding:20px">{"".join(blocks)}</td></tr></table></body></html>'
        )


def _paragraph(words: str, style: str = "") -> str:
    return f'<p style="margin:0 0 12px;overflow-wrap:anywhere;{style}">{escape(words)}</p>'


def _button(address: str, words: str) -> str:
    look = (
        "display:inline-block;padding:10px 18px;background:#175CD3;color:#FFFFFF;font-weight:600;"
        "text-decoration:none;border-radius:6px"
    )
    return f'<p style="margin:16px 0 20px"><a href="{escape(address)}" style="{look}">{escape(words)}</a></p>'


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


def _table(head: Sequence[str], rows: Sequence[Sequence[str]], *, faint_first: bool = False) -> str:
    """Names may break anywhere, so that a long one fits a telephone; figures stand to the right and in one piece."""

    def style(place: int, tag: str) -> str:
        figure = head and place >= FIGURES
        look = f"padding:6px 10px 6px 0;vertical-align:top;{LINE};text-align:{'right' if figure else 'left'}"
        if tag == "th" or (faint_first and not place):
            look += f";color:{FAINT};font-weight:400;white-space:nowrap"
        elif figure:
            look += ";white-space:nowrap"
        elif place < FIGURES - 1:
            look += ";overflow-wrap:anywhere"
        return look

    def line(tag: str, values: Sequence[str]) -> str:
        cells = (f'<{tag} style="{style(place, tag)}">{escape(value)}</{tag}>' for place, value in enumerate(values))
        return f"<tr>{''.join(cells)}</tr>"

    top = line("th", head) if head else ""
    body = "".join(line("td", row) for row in rows)
    return f'<table style="border-collapse:collapse;margin:0 0 16px;font-size:13px">{top}{body}</table>'


def _header(subject: str) -> str:
    line = "".join(character for character in one_line(subject) if character.isprintable())
    return line if len(line) <= SUBJECT else line[: SUBJECT - 1] + "…"

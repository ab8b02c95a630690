"""Who is told of which incident, when, and why: decided in one place, written into the outbox in one transaction.

What is to be told follows from the incidents and from what was told of them before (`incident.told`), not from the
event that called: a detection, a move in the inbox and the ticker all ask the same question, and a second asker finds
nothing left to tell.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any

from trendcast import wording
from trendcast.alerts import mail, message
from trendcast.alerts.message import Incident, Item, Message
from trendcast.errors import Conflict, NotConfigured
from trendcast.services import outbox
from trendcast.settings import Settings

if TYPE_CHECKING:
    from trendcast.store.engine import Database

log = logging.getLogger("trendcast.alerts")

REMIND_HOURS = 4
LAPSE_HOURS = 24  # an acknowledgement nothing came of is none any more
LATE_MINUTES, URGENT_MINUTES = 60, 10
STORM_MINUTES = 15
NOBODY = "nobody"  # in the outbox, where no recipient is set: what would have been mailed can still be read
IMPACTS = ("HIGH", "MEDIUM", "LOW")


@dataclass(frozen=True)
class Recipient:
    """An address and what it wants to hear of; '' is everything."""

    channel: str
    address: str
    product_category: str = ""
    region: str = ""
    impact_level: str = "LOW"
    digest: bool = True

    def wants(self, categories: set[str], regions: set[str], impact: str) -> bool:
        """Whether an incident that touches these names is theirs; one of a whole region touches every category."""
        return (
            IMPACTS.index(impact) <= IMPACTS.index(self.impact_level)
            and _fits(self.product_category, categories)
            and _fits(self.region, regions)
        )


def _fits(scope: str, names: set[str]) -> bool:
    return not scope or "" in names or scope in names


def recipients(db: Database, settings: Settings, connection: Any = None) -> list[Recipient]:
    """Everybody who gets alerts: ALERT_RECIPIENTS, the webhook, and the recipients kept in the database."""
    found = [Recipient("email", address) for address in settings.alert_recipients]  # type: ignore[attr-defined]
    if settings.alert_webhook_url:
        found.append(Recipient("webhook", "webhook"))
    return found + [Recipient(**row) for row in db.rows("alert_recipients", connection=connection)]


def announce(db: Database, connection: Any, settings: Settings, now: datetime) -> dict[str, int]:
    """Write the mails that are due, in the caller's transaction: an alert and the anomaly it tells of exist together or
    not at all. Returns how many incidents were told, by reason, and how many were left to the digest (``digest``).

    Above the day's budget an incident goes to the digest; when more than the budget open within fifteen minutes, one
    mail stands for all of them.
    """
    today = _today(settings, now)
    due = db.rows("alert_due", connection=connection, now=now, today=today, remind=REMIND_HOURS)
    if not due:
        return {}
    items: dict[int, list[Mapping[str, Any]]] = {}
    for row in db.rows("alert_items", connection=connection, incidents=[row["id"] for row in due]):
        items.setdefault(row["incident_id"], []).append(row)
    people = recipients(db, settings, connection)
    budget = int(settings.alert_budget)  # type: ignore[call-overload]
    fresh = [row for row in due if row["reason"] == "first"]
    spent = db.rows(
        "alert_spent", connection=connection, day=now - timedelta(days=1), lately=now - timedelta(minutes=STORM_MINUTES)
    )[0]
    counts: dict[str, int] = {}
    told: list[dict[str, Any]] = []
    storm = len(fresh) + spent["lately"] > budget
    if storm and fresh:
        _write_storm(db, connection, settings, people, fresh, items, now)
    left = max(0, budget - spent["day"])
    for row in due:
        reason = row["reason"]
        at_once = reason != "first" or (not storm and left > 0)
        if reason == "first" and at_once:
            left -= 1
        if at_once:
            names = _write(db, connection, settings, people, row, items.get(row["id"], []))
            note = f"Mailed ({reason}) to {', '.join(names)}." if names else f"Nobody is set to be told ({reason})."
        else:
            note = (
                "Part of one mail about many." if storm else "Left to the digest: the day's budget of alerts is used."
            )
        name = reason if at_once else "storm" if storm else "digest"
        counts[name] = counts.get(name, 0) + 1
        told.append({"id": row["id"], "told": _told(row, reason, now), "note": note})
    db.execute("alert_told", connection=connection, told=json.dumps(told), now=now)
    return counts


def _today(settings: Settings, now: datetime) -> date:
    """The date where the retailer is: a snooze ends with its days."""
    return now.astimezone(settings.time_zone).date()  # type: ignore[arg-type]


def _told(row: Mapping[str, Any], reason: str, now: datetime) -> dict[str, Any]:
    before = row["told"] or {}
    return {
        "impact": row["impact"],
        "members": row["members"],
        "status": row["status"],
        "reason": reason,
        "n": int(before.get("n", 0)) + 1,
        "at": now.isoformat(),
    }


def incident_of(row: Mapping[str, Any], items: Sequence[Mapping[str, Any]]) -> Incident:
    """What a mail says of an incident, from its row and its anomalies."""
    lead = items[0] if items else None
    units = abs(lead["actual_value"] - lead["expected_value"]) if lead else 0.0
    return Incident(
        id=row["id"],
        impact=row["impact"],
        name=_name(lead, row["parent_node"]),
        headline=row["headline"] or "",
        cause=lead["cause"] if lead else "",
        next_step=(lead["explanation"] or {}).get("next_step", "") if lead else "",
        first_day=row["episode_start"],
        members=max(1, row["members"]),
        units=units,
        money=None if row["loss"] is None else abs(row["loss"]),
        items=tuple(
            Item(
                one["product_category"],
                one["region"],
                one["store"],
                one["detected_date"],
                one["actual_value"],
                one["expected_value"],
                one["anomaly_score"],
            )
            for one in items
        ),
        note=row["note"] or "",
    )


def _name(lead: Mapping[str, Any] | None, otherwise: str) -> str:
    if lead is None:
        return otherwise
    place = lead["store"] or lead["region"]
    if lead["product_category"]:
        return f"{lead['product_category']} in {place}" if place else lead["product_category"]
    return (f"Store {place}" if lead["store"] else f"Region {place}") if place else "All categories"


def _write(
    db: Database,
    connection: Any,
    settings: Settings,
    people: Sequence[Recipient],
    row: Mapping[str, Any],
    items: Sequence[Mapping[str, Any]],
) -> list[str]:
    """The mail of one incident to everybody whose it is; returns their addresses."""
    incident = incident_of(row, items)
    letter = message.alert(incident, row["reason"], str(settings.public_url))
    categories, regions = ({one[name] for one in items} for name in ("product_category", "region"))
    number = int((row["told"] or {}).get("n", 0)) + 1
    wanted = [one for one in people if one.wants(categories, regions, row["impact"])]
    lead = items[0] if items else {}
    facts = {
        "kind": row["kind"],
        **{name: lead[name] for name in ("level", "product_category", "region", "store") if name in lead},
    }
    _put(
        db, connection, settings, letter, wanted, f"{row['id']}|{row['reason']}|{number}",
        impact=row["impact"], reason=row["reason"], incident_id=row["id"], facts=facts,
        data_available_at=max((one["data_available_at"] for one in items if one["data_available_at"]), default=None),
    )  # fmt: skip
    return [one.address for one in wanted]


def _put(
    db: Database,
    connection: Any,
    settings: Settings,
    letter: Message,
    wanted: Sequence[Recipient],
    key: str,
    **facts: Any,
) -> None:
    sender = str(settings.alert_from_email) or "trendcast@localhost"
    addresses = {(one.channel, one.address) for one in wanted} or {("email", NOBODY)}
    for channel, address in sorted(addresses):
        thread = None
        if facts.get("incident_id") and facts.get("reason") != "first":
            first = f"{facts['incident_id']}|first|1|{channel}:{address}"
            thread = mail.message_id(first, sender)
        number = outbox.write(
            db, connection, letter, key=key, channel=channel, recipient=address, sender=sender, thread=thread, **facts
        )
        if address == NOBODY and number is not None:
            db.execute("outbox_cancel", connection=connection, id=number, reason="ALERT_RECIPIENTS is not set.")
    db.rows("outbox_notify", connection=connection)


def _write_storm(
    db: Database,
    connection: Any,
    settings: Settings,
    people: Sequence[Recipient],
    fresh: Sequence[Mapping[str, Any]],
    items: Mapping[int, Sequence[Mapping[str, Any]]],
    now: datetime,
) -> None:
    letter = message.storm(
        [incident_of(row, items.get(row["id"], [])) for row in fresh], STORM_MINUTES, str(settings.public_url)
    )
    numbers = sorted(row["id"] for row in fresh)
    wanted = [one for one in people if not one.product_category and not one.region]
    _put(db, connection, settings, letter, wanted, f"storm|{numbers[0]}|{numbers[-1]}", impact="HIGH", reason="storm")


def digest(db: Database, settings: Settings, slot: datetime, freshness: str) -> int:
    """The list of what is open, to everybody who wants it, once per slot; returns how many messages were written.

    Whoever looks after a part of the retailer gets the incidents of that part; without any it says so.
    """
    zone = settings.time_zone
    when = f"{wording.day(slot.astimezone(zone).date())} {slot.astimezone(zone):%H:%M}"  # type: ignore[arg-type]
    written = 0
    with db.transaction() as connection:
        rows = db.rows("alert_open", connection=connection, today=_today(settings, slot))
        items: dict[int, list[Mapping[str, Any]]] = {}
        for row in db.rows("alert_items", connection=connection, incidents=[row["id"] for row in rows]):
            items.setdefault(row["incident_id"], []).append(row)
        for one in recipients(db, settings, connection):
            if not one.digest or one.channel != "email":
                continue
            theirs = [row for row in rows if one.wants(*_touched(items.get(row["id"], [])), row["impact"])]
            incidents = [incident_of(row, items.get(row["id"], [])) for row in theirs]
            letter = message.digest(
                incidents[: message.SHOWN],
                when,
                freshness,
                str(settings.public_url),
                left_out=max(0, len(incidents) - message.SHOWN),
            )
            number = outbox.write(
                db, connection, letter, key=f"digest|{slot.isoformat()}", channel=one.channel, recipient=one.address,
                sender=str(settings.alert_from_email), reason="digest",
            )  # fmt: skip
            written += number is not None
        db.rows("outbox_notify", connection=connection)
    return written


def _touched(items: Sequence[Mapping[str, Any]]) -> tuple[set[str], set[str]]:
    return {one["product_category"] for one in items}, {one["region"] for one in items}


def notice(
    db: Database, settings: Settings, key: str, subject: str, sentences: Sequence[str], *, impact: str = "HIGH"
) -> bool:
    """A mail about TrendCast itself, to everybody without a scope; ``key`` tells it once. Whether it was new."""
    letter = message.notice(subject, sentences, str(settings.public_url))
    with db.transaction() as connection:
        wanted = [one for one in recipients(db, settings, connection) if not one.product_category and not one.region]
        before = db.rows("outbox_known", connection=connection, key=f"{key}|")[0]["known"]
        if not before:
            _put(db, connection, settings, letter, wanted, key, impact=impact, reason="notice")
    return not before


def hush(db: Database, connection: Any, now: datetime) -> int:
    """Take everything known now as told: where the past was read at once, nobody is mailed about it."""
    return db.execute("alert_hush", connection=connection, now=now)


def remind(db: Database, settings: Settings, now: datetime) -> dict[str, int]:
    """What time alone makes due: a reminder of what nobody looked at, and of what was looked at a day ago and left."""

    def tell(connection: Any) -> dict[str, int]:
        today = _today(settings, now)
        db.execute("alert_lapse", connection=connection, now=now, today=today, hours=LAPSE_HOURS)
        return announce(db, connection, settings, now)

    return db.run_tx(tell)


def check_and_digest(
    db: Database, clock: Callable[[], datetime], progress: Callable[..., None], token: str, *, slot: str
) -> dict[str, Any]:
    """The job of 08:00 and 14:00: a last look at the data, then the list of what is open. ``slot``: its time."""
    from trendcast import settings
    from trendcast.services import detect, incidents

    when = datetime.fromisoformat(slot)
    chosen = settings.load()
    hour = when.astimezone(chosen.time_zone).hour  # type: ignore[arg-type]
    try:
        found = detect.detect(db, clock, progress, token, trigger="0800" if hour < 12 else "1400")
    except Conflict:  # nothing is loaded: nothing to tell
        return {"messages": 0}
    written = digest(db, chosen, when, incidents.finding(db))
    return {"messages": written, "incidents": found["incidents"]}


def watch(db: Database, settings: Settings, now: datetime) -> list[str]:
    """Is the watchman awake? Writes a notice, once for each case, when a load was not checked, a refresh did not come,
    or urgent mail cannot be sent; returns the sentences. Called by the ticker, which is no part of what it watches."""
    said = []
    row = db.rows("alert_watch", now=now, late=LATE_MINUTES)[0]
    if row["unchecked_since"] is not None:
        said.append(
            f"Sales that were loaded at {_time(row['unchecked_since'], settings)} have not been checked for anomalies "
            "yet. Look at the jobs on the Data page: is a worker running?"
        )
        notice(db, settings, f"watch|detector|{row['unchecked_batch']}", "The detector has not run", said[-1:])
    if row["unrefreshed_since"] is not None:
        said.append(
            f"The forecasts are older than the data loaded at {_time(row['unrefreshed_since'], settings)}: the refresh "
            "that was due has not succeeded. The Data page shows why."
        )
        notice(db, settings, f"watch|refresh|{row['unrefreshed_batch']}", "The forecasts are not renewed", said[-1:])
    for channel in outbox.state(db, settings):
        since = channel["urgent_since"]
        if since is not None and not channel["missing"] and (now - since).total_seconds() > URGENT_MINUTES * 60:
            why = channel["last_error"] or "no answer yet"
            said.append(f"Urgent {channel['channel']} has waited since {_time(since, settings)}: {why}")
            # By the other way, and into the log: this one does not work.
            log.error("%s", said[-1])
            notice(
                db, settings, f"watch|{channel['channel']}|{since:%Y-%m-%dT%H:%M}", "Alerts cannot be sent", said[-1:]
            )
    return said


def _time(when: datetime, settings: Settings) -> str:
    local = when.astimezone(settings.time_zone)  # type: ignore[arg-type]
    return f"{wording.day(local.date())} {local:%H:%M}"


def self_test(db: Database, settings: Settings, now: datetime, address: str) -> dict[str, Any]:
    """Send one mail now and say what the server answered: outcome, code, answer. Raises NotConfigured."""
    channel = outbox.channels(settings)["email"]
    if channel.send is None:
        raise NotConfigured(channel.missing)
    letter = message.notice(
        "A test of TrendCast's mail", ["This mail shows that alerts reach you."], str(settings.public_url)
    )
    receipt = channel.send(
        {
            "recipient": address,
            "subject": letter.subject,
            "body_text": letter.text,
            "body_html": letter.html,
            "message_id": mail.message_id(f"test|{now.isoformat()}|{address}", str(settings.alert_from_email)),
            "in_reply_to": None,
            "created": now,
            "attempts": 1,
            "impact": 2,
        },
        now,
    )
    return {"outcome": receipt.outcome.value, "code": receipt.code, "answer": receipt.answer}

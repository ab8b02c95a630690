"""Who is told of which incident, when, and why: decided in one place, written into the outbox in one transaction.

What is to be told follows from the incidents and from what was told of them before (`incident.told`), not from the
event that called: a detection, a move in the inbox and the ticker all ask the same question, and a second asker finds
nothing left to tell.
"""

from __future__ import annotations

import contextlib
import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any

from trendcast import wording
from trendcast.alerts import mail, message
from trendcast.alerts.message import Incident, Item, Message
from trendcast.anomalies import explain
from trendcast.errors import Conflict, NoRight, NotConfigured
from trendcast.services import incidents, outbox
from trendcast.services.outbox import IMPACT
from trendcast.settings import Settings

if TYPE_CHECKING:
    from trendcast.services.progress import Progress
    from trendcast.services.runtime import Clock
    from trendcast.store.engine import Database

log = logging.getLogger("trendcast.alerts")

REMIND_HOURS = 4
LAPSE_HOURS = 24  # an acknowledgement nothing came of is none any more
STORM_MINUTES = 15
NOBODY = "nobody"  # in the outbox, where no recipient is set: what would have been mailed can still be read

Address = tuple[str, str]  # channel and address
Threads = Mapping[tuple[int, str, str], str]  # incident, channel and address -> the first message of it


@dataclass(frozen=True)
class Recipient:
    """An address and what it wants to hear of; '' is everything."""

    channel: str
    address: str
    product_category: str = ""
    region: str = ""
    impact_level: str = "LOW"
    digest: bool = True

    def wants(self, case: Case) -> bool:
        """Whether an incident is theirs; one of a whole region touches every category."""
        return (
            IMPACT[case.impact] <= IMPACT[self.impact_level]
            and _fits(self.product_category, case.names("product_category"))
            and _fits(self.region, case.names("region"))
        )


@dataclass(frozen=True)
class Case:
    """An incident to be told of: its row (sql/alert_due.sql or alert_open.sql) and its anomalies, the leading one
    first."""

    row: Mapping[str, Any]
    items: Sequence[Mapping[str, Any]]

    @property
    def id(self) -> int:
        return int(self.row["id"])

    @property
    def impact(self) -> str:
        return str(self.row["impact"])

    def names(self, dimension: str) -> set[str]:
        """The categories, regions or stores it touches; '' among them means all."""
        return {one[dimension] for one in self.items}

    def facts(self) -> dict[str, Any]:
        """What suppressions match, and what a webhook is told beside the words."""
        lead = self.items[0] if self.items else {}
        return {
            "kind": self.row["kind"],
            **{name: lead[name] for name in ("level", "product_category", "region", "store") if name in lead},
        }

    def incident(self) -> Incident:
        """What a mail says of it."""
        row, lead = self.row, self.items[0] if self.items else None
        # Of data that did not come nothing may be known that was expected: then there are no figures.
        blind = row["kind"] == "DATA_QUALITY" and not (lead and lead["expected_value"])
        return Incident(
            id=self.id,
            impact=self.impact,
            name=explain.node_name(_key(lead)) if lead else row["parent_node"],
            headline=row["headline"] or "",
            cause=lead["cause"] if lead else "",
            next_step=(lead["explanation"] or {}).get("next_step", "") if lead else "",
            first_day=row["episode_start"],
            members=max(1, row["members"]),
            units=None if blind else _units(lead),
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
                for one in ([] if blind else self.items)
            ),
            note=row["note"] or "",
            over=row["status"] == "RESOLVED",
            certainty=_certainty(lead, row["kind"]) if lead else "",
        )


def _key(item: Mapping[str, Any]) -> explain.Key:
    return item["level"], item["product_category"], item["region"], item["store"]


def _certainty(lead: Mapping[str, Any], kind: str) -> str:
    """How sure it is, in the words of the incident's page; '' of an entry without days."""
    said = lead["explanation"] or {}
    days = said.get("days") or []
    if not days:
        return ""
    worst = next((day for day in days if day["day"] == lead["detected_date"].isoformat()), days[-1])
    return explain.certainty(worst, lead["class"], kind, said.get("facts") or {}, date.fromisoformat(days[0]["day"]))


def _units(lead: Mapping[str, Any] | None) -> float:
    """Units at stake, as the inbox has them: of all days of the episode."""
    if lead is None:
        return 0.0
    units = lead["loss_units"]
    return float(abs(lead["actual_value"] - lead["expected_value"] if units is None else units))


def _fits(scope: str, names: set[str]) -> bool:
    return not scope or "" in names or scope in names


def recipients(db: Database, settings: Settings, connection: Any = None) -> list[Recipient]:
    """Everybody who gets alerts: ALERT_RECIPIENTS, the webhook, and the recipients kept in the database."""
    found = [Recipient("email", address) for address in settings.alert_recipients]  # type: ignore[attr-defined]
    if settings.alert_webhook_url:
        found.append(Recipient("webhook", "webhook"))
    return found + [Recipient(**row) for row in db.rows("alert_recipients", connection=connection)]


def _cases(db: Database, connection: Any, rows: Sequence[Mapping[str, Any]]) -> list[Case]:
    items: dict[int, list[Mapping[str, Any]]] = {}
    for row in db.rows("alert_items", connection=connection, incidents=[row["id"] for row in rows]):
        items.setdefault(row["incident_id"], []).append(row)
    return [Case(row, items.get(row["id"], [])) for row in rows]


def _shares(
    people: Sequence[Recipient], cases: Sequence[Case], threads: Threads | None = None
) -> dict[Address, list[Case]]:
    """Address -> the cases that are theirs, in their order. An address may be there for several parts of the
    retailer; it has one mail all the same. Of an end (``threads``: who heard of what) hears who heard of the
    beginning."""
    shares: dict[Address, list[Case]] = {}
    for address in dict.fromkeys((one.channel, one.address) for one in people):
        theirs = [one for one in people if (one.channel, one.address) == address]
        shares[address] = [
            case
            for case in cases
            if any(one.wants(case) for one in theirs)
            and (threads is None or case.row["reason"] != "resolved" or (case.id, *address) in threads)
        ]
    return shares


def _everything(people: Sequence[Recipient]) -> list[Address]:
    """Whom TrendCast's own troubles concern: those who look after all of the retailer, or else everybody."""
    return _whole(people) or list(dict.fromkeys((one.channel, one.address) for one in people))


def _whole(people: Sequence[Recipient]) -> list[Address]:
    """Those who look after all of the retailer."""
    whole = [one for one in people if not one.product_category and not one.region]
    return list(dict.fromkeys((one.channel, one.address) for one in whole))


def announce(db: Database, connection: Any, settings: Settings, now: datetime) -> dict[str, int]:
    """Write the mails that are due, in the caller's transaction: an alert and the anomaly it tells of exist together or
    not at all. Returns how many incidents were told, by reason, and how many were part of one mail about many
    (``storm``, ``summary``) or left to the digest (``digest``).

    Above the day's budget a new incident goes to the digest; when more than the budget open within fifteen minutes, one
    mail stands for all of them, and so it does for later news of more than the budget. What a suppression holds is
    written by itself and counts nowhere: it will not be sent.
    """
    due = db.rows(
        "alert_due", connection=connection, now=now, today=incidents.today(now), remind=REMIND_HOURS,
        zone=str(wording.zone()),
    )  # fmt: skip
    if not due:
        return {}
    cases = _cases(db, connection, due)
    asleep = [case.id for case in cases if case.row["asleep"]]
    if asleep:
        db.execute("alert_wake", connection=connection, incidents=asleep, now=now)
    people = recipients(db, settings, connection)
    threads = _threads(db, connection, cases)
    how = _ways(db, connection, settings, now, cases)
    storm = [case for case in cases if how[case.id] == "storm"]
    news = [case for case in cases if how[case.id] == "summary"]
    if storm:
        _write_many(db, connection, settings, people, storm, "storm", {})
    if news:
        _write_many(db, connection, settings, people, news, "summary", threads)
    counts: dict[str, int] = {}
    told: list[dict[str, Any]] = []
    for case in cases:
        reason, way = case.row["reason"], how[case.id]
        note: str | None = NOTES.get(way)
        if way == "mail":
            names = _write(db, connection, settings, people, case, threads)
            note = f"Mailed ({reason}) to {', '.join(names)}." if names else f"Nobody is set to be told ({reason})."
            if reason == "resolved" and not names:
                way, note = "", None
        name = reason if way == "mail" else way
        if name:
            counts[name] = counts.get(name, 0) + 1
        kept = way if way in ("storm", "digest") else reason
        told.append({"id": case.id, "told": _told(case.row, kept, now), "note": note})
    db.execute("alert_told", connection=connection, told=json.dumps(told), now=now)
    return counts


NOTES = {
    "storm": "Part of one mail about many.",
    "summary": "Part of one mail about many.",
    "digest": "Left to the digest: the day's budget of alerts is used.",
}


def _ways(db: Database, connection: Any, settings: Settings, now: datetime, cases: Sequence[Case]) -> dict[int, str]:
    """How each incident is told: by a mail of its own (``mail``), as part of one about many that are new (``storm``) or
    of which there is news (``summary``), or by the next digest (``digest``)."""
    budget = int(settings.alert_budget)  # type: ignore[call-overload]
    held = [row["matcher"] for row in db.rows("alert_held", connection=connection)]
    how = {case.id: "mail" for case in cases}
    loud = [case for case in cases if not any(matcher.items() <= case.facts().items() for matcher in held)]
    fresh = [case for case in loud if case.row["reason"] == "first"]
    news = [case for case in loud if case.row["reason"] != "first"]
    spent = db.rows(
        "alert_spent", connection=connection, day=now - timedelta(days=1), lately=now - timedelta(minutes=STORM_MINUTES)
    )[0]
    left = max(0, budget - spent["day"])
    # The day's first storm is told whatever the budget is: it is news that nobody may wait for.
    storm = len(fresh) > 1 and len(fresh) + spent["lately"] > budget and (left > 0 or not spent["storms"])
    for place, case in enumerate(fresh):
        if storm:
            how[case.id] = "storm"
        elif place >= left:
            how[case.id] = "digest"
    if len(news) > 1 and len(news) > budget - spent["news"]:
        how.update({case.id: "summary" for case in news})
    return how


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


def _threads(db: Database, connection: Any, cases: Sequence[Case]) -> Threads:
    """(incident, channel, address) -> Message-ID of the first mail they had of it, which later ones answer."""
    rows = db.rows("outbox_threads", connection=connection, incidents=[case.id for case in cases])
    return {(row["incident_id"], row["channel"], row["recipient"]): row["message_id"] for row in rows}


def _write(
    db: Database, connection: Any, settings: Settings, people: Sequence[Recipient], case: Case, threads: Threads
) -> list[str]:
    """The mail of one incident to everybody whose it is; returns their addresses. Of an end nobody hears who did not
    hear of the beginning."""
    row = case.row
    letter = message.alert(case.incident(), row["reason"], str(settings.public_url))
    number = int((row["told"] or {}).get("n", 0)) + 1
    wanted = [address for address, theirs in _shares(people, [case], threads).items() if theirs]
    if row["reason"] == "resolved" and not wanted:
        return []
    came = [one["data_available_at"] for one in case.items if one["data_available_at"]]
    _put(
        db, connection, settings, letter, wanted, f"{case.id}|{row['reason']}|{number}",
        nobody=_nobody(people), threads=threads,
        impact=case.impact, reason=row["reason"], incident_id=case.id, facts=case.facts(),
        data_available_at=max(came, default=None),
    )  # fmt: skip
    return [address for _, address in wanted]


def _put(
    db: Database,
    connection: Any,
    settings: Settings,
    letter: Message,
    wanted: Sequence[Address],
    key: str,
    *,
    nobody: str,
    threads: Threads | None = None,
    incident_id: int | None = None,
    **facts: Any,
) -> None:
    """``nobody``: why nobody gets it, when there is nobody; it is kept all the same, so that it can be read."""
    for channel, address in sorted(set(wanted)) or [("email", NOBODY)]:
        thread = (threads or {}).get((incident_id or 0, channel, address))
        number = outbox.write(
            db, connection, letter, key=key, channel=channel, recipient=address, sender=_sender(settings),
            thread=thread, incident_id=incident_id, **facts,
        )  # fmt: skip
        if address == NOBODY and number is not None:
            db.execute("outbox_cancel", connection=connection, id=number, reason=nobody)
    db.rows("outbox_notify", connection=connection)


def _nobody(people: Sequence[Recipient]) -> str:
    return "No recipient looks after this part of the retailer." if people else "ALERT_RECIPIENTS is not set."


def _sender(settings: Settings) -> str:
    return str(settings.alert_from_email) or "trendcast@localhost"


def _write_many(
    db: Database,
    connection: Any,
    settings: Settings,
    people: Sequence[Recipient],
    cases: list[Case],
    reason: str,
    threads: Threads,
) -> None:
    """One mail of all that is theirs to each; of a ``storm`` that is nobody's one that can be read. It keeps which
    incidents it is about: who had it hears of their end."""
    base = str(settings.public_url)
    shares = {address: theirs for address, theirs in _shares(people, cases, threads).items() if theirs}
    nobody: list[tuple[list[Address], list[Case]]] = [([], cases)] if reason == "storm" else []
    for wanted, mine in [([address], theirs) for address, theirs in shares.items()] or nobody:
        listed = [case.incident() for case in mine]
        letter = message.storm(listed, STORM_MINUTES, base) if reason == "storm" else message.summary(listed, base)
        numbers = sorted(case.id for case in mine)
        turn = sum(int((case.row["told"] or {}).get("n", 0)) + 1 for case in cases)
        key = f"{reason}|{min(case.id for case in cases)}|{max(case.id for case in cases)}|{len(cases)}|{turn}"
        urgent = any(case.impact == "HIGH" and case.row["reason"] != "resolved" for case in mine)
        _put(
            db, connection, settings, letter, wanted, key, nobody=_nobody(people),
            impact="HIGH" if urgent else "MEDIUM", reason=reason, facts={"incidents": numbers},
        )  # fmt: skip


def digest(db: Database, settings: Settings, slot: datetime, freshness: str) -> int:
    """The list of what is open, to everybody who wants it, once per slot; returns how many messages were written.

    Whoever looks after a part of the retailer gets the incidents of that part; without any it says so.
    """
    local = slot.astimezone(settings.time_zone)  # type: ignore[arg-type]
    when = f"{wording.day(local.date())} {local:%H:%M}"
    written = 0
    with db.transaction() as connection:
        rows = db.rows("alert_open", connection=connection, today=incidents.today(slot))
        cases = _cases(db, connection, rows)
        people = [one for one in recipients(db, settings, connection) if one.digest and one.channel == "email"]
        everything = set(_whole(people))
        for (channel, address), theirs in _shares(people, cases).items():
            letter = message.digest(
                [case.incident() for case in theirs], when, freshness, str(settings.public_url),
                part=(channel, address) not in everything,
            )  # fmt: skip
            number = outbox.write(
                db, connection, letter, key=f"digest|{slot.isoformat()}", channel=channel, recipient=address,
                sender=_sender(settings), reason="digest",
            )  # fmt: skip
            written += number is not None
        db.rows("outbox_notify", connection=connection)
    return written


def freshness(db: Database) -> str:
    """How new the data are, and when how much of them was checked: it holds for every part of the retailer."""
    now = incidents.counts(db)
    if now["last_checked"] is None:
        return "Nothing has been checked yet."
    return (
        f"Data to {wording.day(now['as_of'])}, {wording.fixed(now['series_checked'])} series checked at "
        f"{wording.at(now['last_checked'])}."
    )


def notice(
    db: Database,
    settings: Settings,
    key: str,
    subject: str,
    sentences: Sequence[str],
    *,
    impact: str = "HIGH",
    without: str = "",
) -> bool:
    """A mail about TrendCast itself, to everybody without a scope; ``key`` tells it once, ``without`` names a channel
    that is no way to tell it. Whether it was new."""
    letter = message.notice(subject, sentences, str(settings.public_url))
    with db.transaction() as connection:
        people = recipients(db, settings, connection)
        wanted = _everything([one for one in people if one.channel != without])
        before = db.rows("outbox_known", connection=connection, key=f"{key}|")[0]["known"]
        if not before:
            nobody = "There is no other way to tell it." if people else "ALERT_RECIPIENTS is not set."
            _put(db, connection, settings, letter, wanted, key, nobody=nobody, impact=impact, reason="notice")
    return not before


def hush(db: Database, connection: Any, now: datetime) -> int:
    """Take everything known now as told: where the past was read at once, nobody is mailed about it."""
    return db.execute("alert_hush", connection=connection, now=now)


def remind(db: Database, settings: Settings, now: datetime) -> dict[str, int]:
    """What time alone makes due: a reminder of what nobody looked at, and of what was looked at a day ago and left."""

    def tell(connection: Any) -> dict[str, int]:
        today = incidents.today(now)
        db.execute("alert_lapse", connection=connection, now=now, today=today, hours=LAPSE_HOURS)
        return announce(db, connection, settings, now)

    return db.run_tx(tell)


def check_and_digest(db: Database, clock: Clock, progress: Progress, token: str, *, slot: str) -> dict[str, Any]:
    """The job of 08:00 and 14:00: a last look at the data, then the list of what is open. ``slot``: its time."""
    from trendcast import settings
    from trendcast.services import detect

    when = datetime.fromisoformat(slot)
    chosen = settings.load()
    hour = when.astimezone(chosen.time_zone).hour  # type: ignore[arg-type]
    try:
        found = detect.detect(db, clock, progress, token, trigger="0800" if hour < 12 else "1400")
    except Conflict:  # nothing is loaded: nothing to tell
        return {"messages": 0}
    written = digest(db, chosen, when, freshness(db))
    return {"messages": written, "incidents": found["incidents"]}


def self_test(db: Database, settings: Settings, now: datetime, address: str, *, who: str) -> dict[str, Any]:
    """Send one mail now and say what the server answered: outcome, code, answer. That it was tried is audited, and with
    the server's yes the channel works again. Raises NotConfigured."""
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
    found = {"outcome": receipt.outcome.value, "code": receipt.code}
    db.execute("audit_add", actor=who, action="mail tested", object=f"recipient:{address}", after=found)
    if receipt.outcome is outbox.Outcome.SENT:
        # Channels are the workers': where this process may not write them, the next mail shows that it works.
        with contextlib.suppress(NoRight), db.transaction() as connection:
            outbox.note(db, connection, channel.name, receipt)
    answer = " ".join(part for part in (receipt.answer, outbox.local_links(settings)) if part)
    return {**found, "answer": answer}

"""The outbox: messages written in the transaction of what they tell of, sent after it, by any number of workers.

At least once: a message whose fate is unknown is sent again under the same Message-ID. The claim is committed before
the server is spoken to, and the result is written only while the claim still holds.
"""

from __future__ import annotations

import logging
import random
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from trendcast.alerts import mail, webhook
from trendcast.alerts.delivery import Outcome, Receipt
from trendcast.alerts.mail import Route
from trendcast.alerts.message import Message
from trendcast.alerts.webhook import Hook
from trendcast.settings import Settings

if TYPE_CHECKING:
    from trendcast.services.runtime import Clock
    from trendcast.store.engine import Database

log = logging.getLogger("trendcast.outbox")

LEASE = 60.0  # seconds: longer than a conversation may take in all (mail.TOTAL_SECONDS, webhook.TOTAL_SECONDS)
PAUSES = (5.0, 15.0, 30.0, 60.0, 120.0, 240.0, 480.0, 600.0)  # seconds before the second, third, ... attempt
DEAD_AFTER, PROBE = 5, 30.0  # so many failures of the line in a row, then one probe per so many seconds
PROBE_SETUP = 300.0  # seconds between probes where a setting is wrong: a login tried too often is locked
IMPACT = {"HIGH": 0, "MEDIUM": 1, "LOW": 2}
LOCAL = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True)
class Delivered:
    """What one round did, by outcome."""

    sent: int = 0
    later: int = 0
    dead: int = 0
    cancelled: int = 0

    def plus(self, name: str) -> Delivered:
        return Delivered(**{**vars(self), name: getattr(self, name) + 1})


@dataclass(frozen=True)
class Channel:
    """One way out: how to hand a claimed row over, or the sentence why nothing can be sent."""

    name: str
    send: Callable[[Mapping[str, Any], datetime], Receipt] | None = None
    missing: str = ""
    addresses: tuple[str, ...] = field(default_factory=tuple)


def channels(settings: Settings) -> dict[str, Channel]:
    """Both channels as the settings have them; a channel nobody set up says which setting is missing."""
    return {"email": _email(settings), "webhook": _webhook(settings)}


def _email(settings: Settings) -> Channel:
    wanted = {"SMTP_SERVER": settings.smtp_server, "ALERT_FROM_EMAIL": settings.alert_from_email}
    missing = [name for name, value in wanted.items() if not value]
    if missing:
        return Channel("email", missing=f"No mail is sent: {' and '.join(missing)} {_is(missing)} not set.")
    if settings.smtp_security == "none" and settings.smtp_server not in LOCAL:
        return Channel("email", missing="No mail is sent: SMTP_SECURITY=none is for a server on this machine only.")
    route = Route(
        server=str(settings.smtp_server),
        port=int(settings.smtp_port),  # type: ignore[call-overload]
        security=str(settings.smtp_security),
        user=str(settings.email_user),
        password=str(settings.email_password),
        sender=str(settings.alert_from_email),
        ca_file=str(settings.smtp_ca_file),
    )

    def send(row: Mapping[str, Any], now: datetime) -> Receipt:
        try:
            letter = mail.compose(
                sender=route.sender,
                recipient=row["recipient"],
                subject=row["subject"],
                text=row["body_text"],
                html=row["body_html"],
                identifier=row["message_id"],
                written=row["created"],
                thread=row["in_reply_to"],
                attempt=int(row["attempts"]),
                urgent=row["impact"] == 0,
            )
        except ValueError as error:
            return Receipt(Outcome.NEVER, None, str(error))
        return mail.send(route, letter)

    return Channel("email", send, addresses=tuple(settings.alert_recipients))  # type: ignore[arg-type]


def local_links(settings: Settings) -> str:
    """A sentence where the links of mails open on this machine only, else ''."""
    host = urlsplit(str(settings.public_url)).hostname or ""
    if host not in LOCAL and not host.startswith("127."):
        return ""
    return f"Links in mails lead to {settings.public_url}, which opens on this machine only: set TRENDCAST_PUBLIC_URL."


def _webhook(settings: Settings) -> Channel:
    if not settings.alert_webhook_url:
        return Channel("webhook", missing="No webhook is called: ALERT_WEBHOOK_URL is not set.")
    if not settings.alert_webhook_secret:
        return Channel("webhook", missing="No webhook is called: ALERT_WEBHOOK_SECRET is not set.")
    hook = Hook(
        str(settings.alert_webhook_url), str(settings.alert_webhook_secret), str(settings.alert_webhook_private_host)
    )

    def send(row: Mapping[str, Any], now: datetime) -> Receipt:
        payload = {
            "id": row["message_id"].strip("<>"),
            "reason": row["reason"],
            "impact": next(name for name, number in IMPACT.items() if number == row["impact"]),
            "incident_id": row["incident_id"],
            "subject": row["subject"],
            "text": row["body_text"],
            **{key: value for key, value in row["facts"].items() if key not in ("id", "text")},
        }
        return webhook.post(hook, payload, key=row["dedup_key"], now=now)

    return Channel("webhook", send, addresses=("webhook",))


def _is(names: list[str]) -> str:
    return "is" if len(names) == 1 else "are"


def write(
    db: Database,
    connection: Any,
    message: Message,
    *,
    key: str,
    channel: str,
    recipient: str,
    sender: str,
    impact: str = "LOW",
    reason: str = "first",
    incident_id: int | None = None,
    thread: str | None = None,
    facts: Mapping[str, Any] | None = None,
    data_available_at: datetime | None = None,
) -> int | None:
    """Put one message for one recipient into the outbox, in the caller's transaction; None when ``key`` (what it tells,
    without the recipient) was written for them before."""
    dedup_key = f"{key}|{channel}:{recipient}"
    rows = db.rows(
        "outbox_add",
        connection=connection,
        dedup_key=dedup_key,
        incident_id=incident_id,
        impact=IMPACT[impact],
        channel=channel,
        recipient=recipient,
        message_id=mail.message_id(dedup_key, sender),
        in_reply_to=thread,
        subject=message.subject,
        body_text=message.text,
        body_html=message.html,
        reason=reason,
        facts=dict(facts or {}),
        data_available_at=data_available_at,
    )
    return int(rows[0]["id"]) if rows else None


def deliver(db: Database, settings: Settings, clock: Clock, *, channel: str = "", most: int = 200) -> Delivered:
    """Send what is due, one message at a time, at most ``most``; ``channel``: only by this way."""
    done = Delivered()
    with db.transaction() as connection:
        expired = db.rows("outbox_expire", connection=connection)
    for row in expired:
        if row["status"] == "DEAD":
            log.error("A message could not be delivered within its time (outbox %d).", row["id"])
    for name, way in channels(settings).items():
        if way.send is None or channel not in ("", name):
            continue
        while sum(vars(done).values()) < most:
            today = clock().astimezone(settings.time_zone).date()  # type: ignore[arg-type]
            outcome = _deliver_one(db, way, clock, today)
            if outcome is None:
                break
            done = done.plus(outcome)
    return done


def start_afresh(db: Database) -> None:
    """A process that starts may have other settings: a channel that failed for one is tried at once."""
    db.execute("channel_afresh")


def _deliver_one(db: Database, channel: Channel, clock: Clock, today: date) -> str | None:
    """Claim, send, note; None when nothing is due or the line is dead for now."""
    assert channel.send is not None
    token = str(uuid.uuid4())
    with db.transaction() as connection:
        if not db.rows(
            "channel_probe",
            connection=connection,
            channel=channel.name,
            limit=DEAD_AFTER,
            pause=PROBE,
            pause_setup=PROBE_SETUP,
        ):
            return None
        rows = db.rows(
            "outbox_claim", connection=connection, channel=channel.name, token=token, lease=LEASE, today=today
        )
    if not rows:
        return None
    row = rows[0]
    if row["status"] == "CANCELLED":
        return "cancelled"
    receipt = channel.send(row, clock())
    status, pause = verdict(receipt, int(row["attempts"]))
    with db.transaction() as connection:
        db.rows(
            "outbox_finish",
            connection=connection,
            id=row["id"],
            token=token,
            status=status,
            code=receipt.code,
            answer=receipt.answer,
            pause=pause,
        )
        # The server's own answers show that the line works; silence and a wrong setting show that it does not. A
        # message that cannot be written down shows nothing.
        if receipt.outcome is not Outcome.NEVER or receipt.code is not None:
            note(db, connection, channel.name, receipt)
    if status == "DEAD":
        log.error("A message was refused for good (outbox %d): %s", row["id"], receipt.answer)
    elif status != "SENT":
        log.warning("A message waits (outbox %d, attempt %d): %s", row["id"], row["attempts"], receipt.answer)
    return {"SENT": "sent", "DEAD": "dead"}.get(status, "later")


def note(db: Database, connection: Any, channel: str, receipt: Receipt) -> None:
    """Write down how an attempt on a channel went; with a success what waits because of it is due at once."""
    db.execute(
        "channel_note",
        connection=connection,
        channel=channel,
        limit=DEAD_AFTER,
        pause=PROBE_SETUP if receipt.outcome is Outcome.SETUP else PROBE,
        worked=receipt.outcome is not Outcome.SETUP and receipt.code is not None,
        setup=receipt.outcome is Outcome.SETUP,
        code=receipt.code,
        answer=receipt.answer,
    )


def verdict(receipt: Receipt, attempts: int) -> tuple[str, float]:
    """The status a row takes after an attempt, and the seconds until the next one, with some jitter."""
    if receipt.outcome is Outcome.SENT:
        return "SENT", 0.0
    if receipt.outcome is Outcome.NEVER:
        return "DEAD", 0.0
    pause = PAUSES[min(attempts, len(PAUSES)) - 1] * random.uniform(0.8, 1.2)  # noqa: S311  no secret
    return ("UNKNOWN" if receipt.outcome is Outcome.UNKNOWN else "PENDING"), pause


def state(db: Database, settings: Settings) -> list[dict[str, Any]]:
    """How each channel does: the columns of sql/channel_state.sql, and ``missing``: which setting it lacks, or ''."""
    ways = channels(settings)
    return [{**row, "missing": ways[row["channel"]].missing} for row in db.rows("channel_state")]

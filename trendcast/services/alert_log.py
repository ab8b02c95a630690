"""What became of alerts, for people: how each channel does, every rendered message, the day's budget, and the weeks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pandas as pd

from trendcast import wording
from trendcast.alerts.mail import Route
from trendcast.anomalies.feedback import FALSE, TRUE
from trendcast.errors import Conflict, InvalidInput, NotConfigured, NotFound
from trendcast.services import incidents, outbox, runtime
from trendcast.services.alerts import NOBODY
from trendcast.services.detect_window import FIRST_READ

if TYPE_CHECKING:
    from trendcast.settings import Settings
    from trendcast.store.engine import Database

# What a message can have come to (sql/mail_log.sql).
STATES = ("waiting", "sent", "unknown", "dead", "kept", "held")
BUDGET_HOURS = 24  # the budget is that of any 24 hours, as services.alerts counts it


def channels(db: Database, settings: Settings) -> list[dict[str, Any]]:
    """How each way out does: services.outbox.state, ``route``: where it leads, '' when it is not set up, ``note``:
    what is not well with the mails all the same, and ``refused``: the addresses that take none (``refused``)."""
    routes = {"email": _mail_route(settings), "webhook": str(settings.alert_webhook_url)}
    return [
        {
            **row,
            "route": "" if row["missing"] else routes[row["channel"]],
            "note": outbox.local_links(settings) if row["channel"] == "email" and not row["missing"] else "",
            "refused": refused(db, settings) if row["channel"] == "email" else [],
        }
        for row in outbox.state(db, settings)
    ]


def refused(db: Database, settings: Settings) -> list[dict[str, Any]]:
    """Addresses that are still to get alerts and that the mail server refuses: sql/mail_refused.sql, and
    ``in_settings``: whether ALERT_RECIPIENTS names them. An address that was taken out is nobody's trouble any more."""
    given = {address.casefold() for address in settings.alert_recipients}  # type: ignore[attr-defined]
    kept = {str(row["address"]).casefold() for row in db.rows("recipient_list")}
    rows = [{**row, "in_settings": row["recipient"].casefold() in given} for row in db.rows("mail_refused")]
    return [row for row in rows if row["recipient"].casefold() in given | kept]


def _mail_route(settings: Settings) -> str:
    route = Route(str(settings.smtp_server), int(settings.smtp_port), str(settings.smtp_security))  # type: ignore[call-overload]
    security = {"starttls": "STARTTLS", "tls": "TLS", "none": "no encryption"}[route.security]
    return f"{route.server}:{route.port} ({security}), from {settings.alert_from_email}"


def mails(
    db: Database, settings: Settings, *, states: Sequence[str] = (), limit: int = 200, offset: int = 0
) -> pd.DataFrame:
    """Rendered messages, newest first: the columns of sql/mail_log.sql, and ``why``: a sentence where the state alone
    says too little. Raises InvalidInput for a state there is none of."""
    unknown = set(states) - set(STATES)
    if unknown:
        raise InvalidInput(f"'{min(unknown)[:50]}' is no state of a message: it is one of {', '.join(STATES)}.")
    missing = _missing(settings)
    frame = db.frame("mail_log", states=list(states), missing=list(missing), nobody=NOBODY, limit=limit, offset=offset)
    frame["why"] = [_why(row, missing) for row in frame.to_dict("records")]
    return frame


def why_kept(row: Mapping[str, Any], settings: Settings) -> str:
    """Why a message of sql/outbox_list.sql stays here instead of being sent, '' for one that is on its way or gone."""
    return _kept(row, _missing(settings))


def _missing(settings: Settings) -> dict[str, str]:
    """Channel -> what it lacks, of those that lack something."""
    return {name: way.missing for name, way in outbox.channels(settings).items() if way.missing}


def _kept(row: Mapping[str, Any], missing: Mapping[str, str]) -> str:
    said = row["last_error"] if isinstance(row["last_error"], str) else ""
    if row["status"] == "CANCELLED" and row["recipient"] == NOBODY:
        if said.startswith("ALERT_RECIPIENTS"):
            said = "Nobody is set to get alerts: set ALERT_RECIPIENTS, or add a recipient."
        return " ".join(part for part in (said, missing.get("email", "")) if part)
    if row["status"] == "DEAD" and int(row["attempts"]) == 0:
        return missing.get(row["channel"], "It could not be sent within its time.")
    return missing.get(row["channel"], "") if row["status"] == "PENDING" else ""


def _why(row: Mapping[str, Any], missing: Mapping[str, str]) -> str:
    """A sentence for a message that was not simply sent."""
    kept = _kept(row, missing)
    if kept:
        return kept
    answer = row["last_error"] if isinstance(row["last_error"], str) else ""
    if row["state"] == "unknown":
        return (
            f"It was handed over, but the answer is not known; it is sent again under the same name. {answer}".strip()
        )
    return answer or {"held": "It was held back.", "dead": "It could not be sent."}.get(row["state"], "")


def message(db: Database, number: int) -> dict[str, Any]:
    """One message as it was rendered: sql/mail_read.sql. Raises NotFound."""
    rows = db.rows("mail_read", id=number)
    if not rows:
        raise NotFound(f"There is no message {number}.")
    return dict(rows[0])


@runtime.owners_work("Sending a message again")
def send_again(db: Database, settings: Settings, number: int, *, who: str) -> dict[str, Any]:
    """Give a dead letter another day of attempts, under the same Message-ID; id, recipient, subject. Raises NotFound,
    Conflict when it is not dead, and NotConfigured when there is nothing to send it by."""
    found = message(db, number)
    way = outbox.channels(settings)[found["channel"]]
    if way.send is None:
        raise NotConfigured(way.missing)

    def again(connection: Any) -> dict[str, Any]:
        rows = db.rows("mail_again", connection=connection, id=number)
        if not rows:
            raise Conflict("Only a message that was refused or given up can be sent again; this one is not.")
        row = dict(rows[0])
        db.execute(
            "audit_add", connection=connection, actor=who, action="message sent again", object=f"message:{number}",
            after={"recipient": row["recipient"], "subject": row["subject"]},
        )  # fmt: skip
        db.rows("outbox_notify", connection=connection)
        return row

    return db.run_tx(again)


def budget(db: Database, settings: Settings, now: datetime) -> dict[str, Any]:
    """The alert budget of the last 24 hours: ``budget``, ``used``, ``left``; ``incidents``: what became urgent and what
    was made of it (sql/mail_budget.sql); ``waiting`` for the next digest, ``last_at`` and ``last_subject`` of the
    newest one."""
    whole = int(settings.alert_budget)  # type: ignore[call-overload]
    frame = db.frame("mail_budget", since=now - timedelta(hours=BUDGET_HOURS))
    used = int((frame["what"] == "mailed").sum())
    standing = dict(db.rows("mail_digest", today=incidents.today(now))[0])
    return {"budget": whole, "used": used, "left": max(0, whole - used), "incidents": frame, **standing}


def weeks(db: Database, now: datetime) -> dict[str, Any]:
    """The weekly card. ``weeks``: sql/mail_weeks.sql, the newest last; ``precision``: the share of judged findings that
    were real (NaN: none judged) of ``judged``, and ``false_alarms`` among them, over these weeks; what waits unseen:
    ``unseen``, ``oldest_hours``, ``middle_hours``."""
    frame = db.frame(
        "mail_weeks", now=now, zone=str(wording.zone()), first_read=FIRST_READ, real=list(TRUE), false=list(FALSE)
    )
    unseen = dict(db.rows("mail_unseen", now=now, today=incidents.today(now))[0])
    real, false = int(frame["real"].sum()), int(frame["false_alarms"].sum())
    return {
        "weeks": frame,
        "precision": real / (real + false) if real + false else float("nan"),
        "judged": real + false,
        "false_alarms": false,
        "unseen": int(unseen["incidents"]),
        "oldest_hours": float("nan") if unseen["oldest_hours"] is None else float(unseen["oldest_hours"]),
        "middle_hours": float("nan") if unseen["middle_hours"] is None else float(unseen["middle_hours"]),
    }

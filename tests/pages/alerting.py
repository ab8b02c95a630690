"""The alerts of the made-up retailer: channels, recipients, thresholds, messages and what is silent."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from trendcast.errors import Conflict, DatabaseAway, InvalidInput, NotConfigured, NotFound
from trendcast.services.thresholds import Preview

NOW = dt.datetime(2026, 9, 28, 8, 0, tzinfo=dt.UTC)
HOSTILE = "<img src=x onerror=alert(1)> [x](http://evil.example) :red[danger]"


class MadeUpAlerts:
    """Switches: ``missing`` (what mail lacks), ``failing``, ``answer`` (to a self-test), ``environment``, ``away``.
    What was asked for is in ``asked``."""

    def __init__(self) -> None:
        self.away = False
        self.missing = ""
        self.failing: str = ""
        self.refused: list[dict[str, Any]] = []
        self.answer: dict[str, Any] = {"outcome": "sent", "code": 250, "answer": "250 OK queued"}
        self.environment: tuple[str, ...] = ("all@example.com",)
        self.people: list[dict[str, Any]] = []
        self.figures: list[dict[str, Any]] = []
        self.silent: list[dict[str, Any]] = []
        self.snoozed, self.suppressed = 0, 0
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.rows = [
            self._mail(6, "sent", "SENT", code=250, why="250 OK queued", incident=1),
            self._mail(5, "dead", "DEAD", code=550, why="550 no such user", to="gone@example.com"),
            self._mail(4, "unknown", "UNKNOWN", why="It was handed over, but the answer is not known."),
            self._mail(3, "held", "CANCELLED", why="Suppressed."),
            self._mail(2, "waiting", "PENDING"),
            self._mail(1, "sent", "SENT", code=250, reason="digest", subject="Digest: 2 open incidents"),
        ]

    def _mail(
        self, number: int, state: str, status: str, *, code: float = np.nan, why: str = "", to: str = "ann@example.com",
        reason: str = "first", subject: str = "CRITICAL: 1 anomaly, 21.0 k: Region HE", incident: int | None = None,
    ) -> dict[str, Any]:  # fmt: skip
        made = NOW - dt.timedelta(hours=7 - number)
        return {
            "id": number, "state": state, "status": status, "channel": "email", "recipient": to, "subject": subject,
            "reason": reason, "attempts": int(status not in ("PENDING", "CANCELLED")), "last_code": code, "why": why,
            "created": made, "sent_at": made if status == "SENT" else None, "incident_id": incident,
            "message_id": f"<{number}@example.com>", "body_text": "412 sold, 1,120 expected.\n",
            "body_html": "<p>412 sold</p>", "last_error": why, "next_attempt_at": made,
        }  # fmt: skip

    def _note(self, called: str, /, **facts: Any) -> None:
        if self.away:
            raise DatabaseAway("The database cannot be reached.")
        self.asked.append((called, facts))

    def _read(self) -> None:
        if self.away:
            raise DatabaseAway("The database cannot be reached.")

    def channels(self) -> list[dict[str, Any]]:
        self._read()
        mail = {
            "channel": "email", "missing": self.missing, "failures": 3 if self.failing else 0, "setup": False,
            "failing_since": NOW - dt.timedelta(hours=1) if self.failing else None, "last_code": None,
            "last_error": self.failing or None, "last_ok": None if self.missing else NOW - dt.timedelta(minutes=5),
            "waiting": sum(row["state"] in ("waiting", "unknown") for row in self.rows), "urgent_since": None,
            "dead": sum(row["state"] == "dead" for row in self.rows), "refused": self.refused,
            "route": "" if self.missing else "mail.example.com:587 (STARTTLS), from tc@example.com",
        }  # fmt: skip
        hook = dict.fromkeys(mail, None) | {
            "channel": "webhook", "missing": "No webhook is called: ALERT_WEBHOOK_URL is not set.", "route": "",
            "waiting": 0, "dead": 0, "setup": False, "refused": [],
        }  # fmt: skip
        return [mail, hook]

    def self_test(self, address: str, who: str) -> dict[str, Any]:
        self._note("self_test", address=address, who=who)
        if self.missing:
            raise NotConfigured(self.missing)
        if "@" not in address:
            raise InvalidInput(f"'{address}' is no mail address.")
        return self.answer

    def everybody(self) -> tuple[str, ...]:
        return self.environment

    def recipients(self) -> list[dict[str, Any]]:
        self._read()
        return [dict(row) for row in self.people]

    def scopes(self) -> dict[str, list[str]]:
        self._read()
        return {"category": ["Clothing", "Electronics", "Home & Garden"], "region": ["HB,NI", "HE"]}

    def add_recipient(self, **facts: Any) -> int:
        self._note("add_recipient", **facts)
        if "@" not in facts["address"]:
            raise InvalidInput(f"'{facts['address']}' is no mail address: it should look like name@example.com.")
        who = facts.pop("who")
        self.people.append(
            {"id": len(self.people) + 1, "channel": "email", "created_by": who, "created_at": NOW} | facts
        )
        return len(self.people)

    def change_recipient(self, number: int, **changes: Any) -> int:
        self._note("change_recipient", number=number, **changes)
        changes.pop("who")
        next(row for row in self.people if row["id"] == number).update(changes)
        return number

    def remove_recipient(self, number: int, who: str) -> None:
        self._note("remove_recipient", number=number, who=who)
        self.people = [row for row in self.people if row["id"] != number]

    def thresholds(self) -> pd.DataFrame:
        self._read()
        columns = ["id", "name", "level", "product_category", "region", "store", "value", "reason", "set_by", "set_at"]
        return pd.DataFrame(self.figures, columns=columns)

    def preview(self, progress: Callable[..., None], **what: Any) -> Preview:
        self._note("preview", **what)
        progress("Replaying", 1, 2)
        after = 61 if what["value"] is None else 14
        return Preview(
            days=90, before=61, after=after, high_before=9, high_after=3, mails_before=9, mails_after=3,
            lost_confirmed=1,
            sentence=f"In the last 90 days it would have raised {after} incidents instead of 61 and sent 3 mails "
            "instead of 9, and would have missed 1 that somebody confirmed.",
            examples=[{"day": "2026-09-01", "name": "HE", "headline": "HE fell.", "before": "HIGH", "after": None}],
        )  # fmt: skip

    def put_threshold(self, **what: Any) -> int:
        self._note("put_threshold", **what)
        if not what["reason"].strip():
            raise InvalidInput("Say in a few words why: others will wonder when an alert does not come.")
        row = {"id": len(self.figures) + 1, "set_by": what.pop("who"), "set_at": NOW} | what
        self.figures = [one for one in self.figures if one["name"] != row["name"] or one["level"] != row["level"]]
        self.figures.append(row)
        return int(row["id"])

    def remove_threshold(self, number: int, who: str) -> None:
        self._note("remove_threshold", number=number, who=who)
        self.figures = [row for row in self.figures if row["id"] != number]

    def budget(self) -> dict[str, Any]:
        self._read()
        told = pd.DataFrame(
            [("digest", NOW, 9, "HB,NI fell.", "HIGH"), ("mailed", NOW, 1, "HE fell.", "HIGH")],
            columns=["what", "at", "incident_id", "headline", "impact"],
        )
        return {
            "budget": 15, "used": 3, "left": 12, "incidents": told, "waiting": 4, "last_at": NOW,
            "last_subject": "Digest: 2 open incidents",
        }  # fmt: skip

    def weeks(self) -> dict[str, Any]:
        self._read()
        weeks = pd.DataFrame({"week": pd.date_range("2026-08-10", periods=8, freq="7D")})
        for n, name in enumerate(("incidents", "alerts", "digests", "real", "false_alarms", "expected")):
            weeks[name] = np.arange(8) + n
        return {
            "weeks": weeks, "precision": 0.875, "judged": 16, "false_alarms": 2, "unseen": 3, "oldest_hours": 30.0,
            "middle_hours": 5.0,
        }  # fmt: skip

    def mails(self, states: tuple[str, ...], limit: int) -> pd.DataFrame:
        self._read()
        found = [row for row in self.rows if not states or row["state"] in states][:limit]
        frame = pd.DataFrame(found, columns=list(self._mail(0, "", "")))
        return frame.assign(total=len(found))

    def message(self, number: int) -> dict[str, Any]:
        self._read()
        found = [row for row in self.rows if row["id"] == number]
        if not found:
            raise NotFound(f"There is no message {number}.")
        return dict(found[0])

    def send_again(self, number: int, who: str) -> dict[str, Any]:
        self._note("send_again", number=number, who=who)
        row = next(row for row in self.rows if row["id"] == number)
        if row["status"] != "DEAD":
            raise Conflict("Only a message that was refused or given up can be sent again; this one is not.")
        row |= {"status": "PENDING", "state": "waiting", "attempts": 0}
        return row

    def why_kept(self, row: Any) -> str:
        return self.missing if row["status"] == "PENDING" else ""

    def silence(self) -> dict[str, int]:
        self._read()
        return {"snoozed": self.snoozed, "suppressed": self.suppressed, "holding": len(self.silent)}

    def suppressions(self) -> list[dict[str, Any]]:
        self._read()
        return list(self.silent)

    def suppress(self, **what: Any) -> int:
        self._note("suppress", **what)
        if not what["reason"].strip():
            raise InvalidInput("Say why nobody is to be mailed: others will wonder.")
        row = {"id": len(self.silent) + 1, "mails": 0, "created_at": NOW} | what
        row["matcher"] = {name: value for name, value in row["matcher"].items() if value}
        row["until"] = dt.datetime.combine(what["until"], dt.time(), dt.UTC)
        self.silent.append(row)
        return int(row["id"])

    def end_suppression(self, number: int, who: str) -> None:
        self._note("end_suppression", number=number, who=who)
        self.silent = [row for row in self.silent if row["id"] != number]

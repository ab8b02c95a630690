"""What became of alerts, as people read it: each message with its state and why, the budget, and the weeks."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from trendcast import settings as settings_table
from trendcast.alerts.message import Message
from trendcast.errors import Conflict, InvalidInput, NotConfigured, NotFound
from trendcast.services import alert_log, outbox, suppressions
from trendcast.store.engine import Database

LETTER = Message("CRITICAL: 1 anomaly", "412 sold, 1,120 expected.\n", "<p>412 sold</p>")
THERE = {"SMTP_SERVER": "mail.example.com", "ALERT_FROM_EMAIL": "tc@example.com", "ALERT_RECIPIENTS": "ann@example.com"}


def chosen(**more: str) -> settings_table.Settings:
    return settings_table.load({**THERE, **more})


def put(db: Database, key: str = "17|first|1", person: str = "ann@example.com", **how: Any) -> int:
    with db.transaction() as connection:
        number = outbox.write(
            db, connection, LETTER, key=key, channel="email", recipient=person, sender="tc@example.com", **how
        )
    assert number is not None
    return number


def run(db: Database, statement: str, *values: Any) -> None:
    with db.transaction() as connection:
        connection.exec_driver_sql(statement, values)


def become(db: Database, number: int, **columns: Any) -> None:
    """A message as a worker would have left it."""
    for name, value in columns.items():
        run(db, f"UPDATE outbox SET {name} = %s WHERE id = %s", value, number)


def incident(db: Database, key: str, *, impact: str = "HIGH", made: datetime, **columns: Any) -> int:
    with db.transaction() as connection:
        number = connection.exec_driver_sql(
            "INSERT INTO incident (group_key, episode_start, parent_node, impact, headline, created_at) "
            "VALUES (%s, '2026-09-20', '[]', %s, %s, %s) RETURNING id",
            (key, impact, f"{key} fell.", made),
        ).scalar_one()
        for name, value in columns.items():
            connection.exec_driver_sql(f"UPDATE incident SET {name} = %s WHERE id = %s", (value, number))
    return int(number)


# --- messages ---------------------------------------------------------------------------------------------------------


def test_each_message_says_what_became_of_it(db: Database) -> None:
    made = {key: put(db, key) for key in ("waiting", "sending", "sent", "unknown", "dead", "given up", "held")}
    nobody = put(db, "nobody", alert_nobody())
    become(db, made["sending"], status="SENDING", attempts=1)
    become(db, made["sent"], status="SENT", attempts=1, last_code=250, last_error="250 OK queued")
    become(db, made["unknown"], status="UNKNOWN", attempts=1, last_error="The line broke (data).")
    become(db, made["dead"], status="DEAD", attempts=1, last_code=550, last_error="550 no such user")
    become(db, made["given up"], status="DEAD", attempts=0)
    become(db, made["held"], status="CANCELLED", last_error="Suppressed.")
    become(db, nobody, status="CANCELLED", last_error="ALERT_RECIPIENTS is not set.")
    rows = {row["id"]: row for row in alert_log.mails(db, chosen()).to_dict("records")}
    assert {key: rows[number]["state"] for key, number in made.items()} == {
        "waiting": "waiting", "sending": "waiting", "sent": "sent", "unknown": "unknown", "dead": "dead",
        "given up": "kept", "held": "held",
    }  # fmt: skip
    assert rows[nobody]["state"] == "kept"
    assert "add a recipient" in rows[nobody]["why"]
    assert rows[made["dead"]]["why"] == "550 no such user"
    assert rows[made["unknown"]]["why"].endswith("The line broke (data).")
    assert rows[made["waiting"]]["why"] == ""
    assert {row["total"] for row in rows.values()} == {8}


def alert_nobody() -> str:
    from trendcast.services.alerts import NOBODY

    return NOBODY


def test_without_a_mail_server_a_message_is_kept_and_names_the_setting(db: Database) -> None:
    put(db)
    frame = alert_log.mails(db, chosen(SMTP_SERVER=""))
    assert frame["state"].tolist() == ["kept"]
    assert frame["why"].tolist() == ["No mail is sent: SMTP_SERVER is not set."]
    row = db.rows("outbox_list", incident_id=None, limit=1)[0]
    assert alert_log.why_kept(row, chosen(SMTP_SERVER="")) == "No mail is sent: SMTP_SERVER is not set."
    assert alert_log.why_kept(row, chosen()) == ""


def test_states_filter_and_pages_count_all(db: Database) -> None:
    for number in range(5):
        put(db, f"key {number}")
    become(db, put(db, "dead"), status="DEAD", attempts=3)
    assert alert_log.mails(db, chosen(), states=("dead",))["subject"].tolist() == [LETTER.subject]
    page = alert_log.mails(db, chosen(), states=("waiting",), limit=2, offset=2)
    assert (len(page), page["total"].iloc[0]) == (2, 5)
    assert alert_log.mails(db, chosen(), states=("sent",)).empty
    with pytest.raises(InvalidInput, match="'lost' is no state of a message"):
        alert_log.mails(db, chosen(), states=("lost",))


def test_a_message_is_read_as_it_was_rendered(db: Database) -> None:
    number = put(db)
    found = alert_log.message(db, number)
    assert (found["subject"], found["body_text"], found["body_html"]) == (LETTER.subject, LETTER.text, LETTER.html)
    with pytest.raises(NotFound, match="There is no message 999"):
        alert_log.message(db, 999)


def test_a_dead_letter_gets_another_day_under_the_same_name(db: Database) -> None:
    number = put(db)
    name = alert_log.message(db, number)["message_id"]
    become(db, number, status="DEAD", attempts=8, deadline=datetime(2026, 1, 1, tzinfo=UTC), last_error="550 no")
    alert_log.send_again(db, chosen(), number, who="ann")
    with db.transaction() as connection:
        # It neither expires at once nor waits for its old pause.
        assert db.rows("outbox_expire", connection=connection) == []
        claimed = db.rows(
            "outbox_claim", connection=connection, channel="email", lease=60, today=date(2026, 9, 28),
            token="0b8e7e1c-6f5c-4f0c-8c2d-2f3f9d5f1a11",
        )  # fmt: skip
    assert [(row["id"], row["message_id"], row["attempts"]) for row in claimed] == [(number, name, 1)]
    with pytest.raises(Conflict, match="Only a message that was refused or given up"):
        alert_log.send_again(db, chosen(), number, who="ann")


def test_nothing_is_sent_again_where_nothing_can_be_sent(db: Database) -> None:
    number = put(db)
    become(db, number, status="DEAD", attempts=8)
    with pytest.raises(NotConfigured, match="ALERT_FROM_EMAIL is not set"):
        alert_log.send_again(db, chosen(ALERT_FROM_EMAIL=""), number, who="ann")
    assert alert_log.message(db, number)["status"] == "DEAD"


def test_channels_tell_where_they_lead_or_what_they_lack(db: Database) -> None:
    email, webhook = alert_log.channels(db, chosen(SMTP_SECURITY="tls", SMTP_PORT="465"))
    assert email["route"] == "mail.example.com:465 (TLS), from tc@example.com"
    assert (webhook["route"], webhook["missing"]) == ("", "No webhook is called: ALERT_WEBHOOK_URL is not set.")


# --- the budget and the weeks -----------------------------------------------------------------------------------------

NOW = datetime(2026, 9, 28, 8, 0, tzinfo=UTC)  # a Monday


def test_the_budget_counts_what_was_mailed_and_lists_what_went_to_the_digest(db: Database) -> None:
    hours = [timedelta(hours=n) for n in (1, 2, 3, 30)]
    numbers = [incident(db, f"I{n}", made=NOW - ago) for n, ago in enumerate(hours)]
    for n in (0, 1, 3):  # the last one yesterday
        letter = put(db, f"{n}|first|1", incident_id=numbers[n])
        become(db, letter, created=NOW - hours[n])
    second = put(db, "0|first|1", "ben@example.com", incident_id=numbers[0])
    become(db, second, created=NOW - hours[0])
    run(
        db,
        "INSERT INTO anomaly_event (incident_id, action, who, at, note) VALUES (%s, 'told', 'TrendCast', %s, %s)",
        numbers[2], NOW - hours[2], "Left to the digest: the day's budget of alerts is used.",
    )  # fmt: skip
    incident(db, "small", impact="LOW", made=NOW)
    found = alert_log.budget(db, chosen(ALERT_BUDGET="5"), NOW)
    assert (found["budget"], found["used"], found["left"]) == (5, 2, 3)
    assert found["incidents"][["what", "headline"]].to_numpy().tolist() == [
        ["mailed", "I0 fell."], ["mailed", "I1 fell."], ["digest", "I2 fell."]
    ]  # fmt: skip
    assert (found["waiting"], found["last_at"]) == (1, None)
    become(db, put(db, "digest|x", reason="digest"), subject="Digest: 1 open incident")
    assert alert_log.budget(db, chosen(), NOW)["last_subject"] == "Digest: 1 open incident"


def test_the_weeks_count_mails_and_verdicts(db: Database) -> None:
    last_week = NOW - timedelta(days=3)
    for n, verdict in enumerate(("confirmed", "new_normal", "confirmed", "false_alarm", "expected")):
        incident(db, f"J{n}", made=last_week, status="RESOLVED", disposition=verdict, resolved_at=last_week)
    incident(db, "old", made=NOW - timedelta(hours=10))
    incident(db, "young", made=NOW - timedelta(hours=2))
    incident(db, "asleep", made=NOW - timedelta(hours=90), snoozed_until=NOW.date() + timedelta(days=2))
    for n in range(3):
        become(db, put(db, f"a{n}"), status="SENT", sent_at=last_week)
    become(db, put(db, "d", reason="digest"), status="SENT", sent_at=last_week)
    become(db, put(db, "not sent"), status="DEAD")
    found = alert_log.weeks(db, NOW)
    weeks = found["weeks"]
    assert len(weeks) == 8
    assert [str(day)[:10] for day in weeks["week"].iloc[[0, -1]]] == ["2026-08-10", "2026-09-28"]
    before = weeks.iloc[-2]
    assert (before["alerts"], before["digests"], before["real"], before["false_alarms"], before["expected"]) == (
        3, 1, 3, 1, 1
    )  # fmt: skip
    assert (found["precision"], found["judged"], found["false_alarms"]) == (0.75, 4, 1)
    assert (found["unseen"], found["oldest_hours"], found["middle_hours"]) == (2, 10.0, 6.0)


def test_weeks_without_verdicts_have_no_precision(db: Database) -> None:
    found = alert_log.weeks(db, NOW)
    assert found["precision"] != found["precision"]
    assert (found["judged"], found["unseen"]) == (0, 0)


# --- suppressions -----------------------------------------------------------------------------------------------------


def clock() -> datetime:
    return datetime.now(UTC)


def silence(db: Database, **how: Any) -> int:
    matcher = how.pop("matcher", {"region": "West"})
    facts = {"until": clock().date() + timedelta(days=3), "reason": "The tills are replaced.", "who": "ann"}
    return suppressions.add(db, clock, matcher=matcher, **{**facts, **how})


def claim(db: Database) -> list[str]:
    with db.transaction() as connection:
        rows = db.rows(
            "outbox_claim", connection=connection, channel="email", lease=60, today=clock().date(),
            token="0b8e7e1c-6f5c-4f0c-8c2d-2f3f9d5f1a11",
        )  # fmt: skip
    return [row["status"] for row in rows]


def test_what_is_suppressed_is_held_back_listed_and_counted_until_it_ends(db: Database) -> None:
    number = silence(db)
    put(db, "west", facts={"region": "West", "kind": "DEMAND"})
    assert claim(db) == ["CANCELLED"]
    assert alert_log.mails(db, chosen())[["state", "why"]].to_numpy().tolist() == [["held", "Suppressed."]]
    (row,) = suppressions.listed(db, clock())
    assert (row["id"], row["matcher"], row["mails"], row["who"]) == (number, {"region": "West"}, 1, "ann")
    assert suppressions.counts(db, clock()) == {"snoozed": 0, "suppressed": 1, "holding": 1}
    suppressions.end(db, clock, number, who="ben")
    assert suppressions.listed(db, clock()) == []
    put(db, "west again", facts={"region": "West", "kind": "DEMAND"})
    assert claim(db) == ["SENDING"]
    with pytest.raises(NotFound, match="has ended already"):
        suppressions.end(db, clock, number, who="ben")


def test_a_suppression_ends_by_itself(db: Database) -> None:
    silence(db)
    later = clock() + timedelta(days=4)
    assert suppressions.listed(db, later) == []
    assert suppressions.counts(db, later)["holding"] == 0


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ({"matcher": {}}, "Say what is to be silent"),
        ({"matcher": {"region": " "}}, "Say what is to be silent"),
        ({"matcher": {"impact": "HIGH"}}, "'impact' cannot be suppressed by"),
        ({"matcher": {"kind": "WEATHER"}}, "'WEATHER' is no kind"),
        ({"reason": " "}, "Say why nobody is to be mailed"),
        ({"until": date(2026, 1, 1)}, "ends on a day after today"),
        ({"until": date(2126, 1, 1)}, "within 92 days"),
    ],
)
def test_a_suppression_names_what_until_when_and_why(db: Database, how: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidInput, match=words):
        silence(db, **how)
    assert suppressions.listed(db, clock()) == []


def test_both_moves_are_on_record(db: Database) -> None:
    number = silence(db)
    suppressions.end(db, clock, number, who="ben")
    with db.read() as connection:
        rows = connection.exec_driver_sql("SELECT actor, action, object FROM audit ORDER BY id").all()
    assert [tuple(row) for row in rows] == [
        ("ann", "suppression added", f"suppression:{number}"),
        ("ben", "suppression ended", f"suppression:{number}"),
    ]


def test_mail_whose_links_open_on_this_machine_only_is_told(db: Database) -> None:
    email, webhook = alert_log.channels(db, chosen())
    assert "http://localhost:8501" in email["note"]
    assert "TRENDCAST_PUBLIC_URL" in email["note"]
    assert webhook["note"] == ""
    assert alert_log.channels(db, chosen(TRENDCAST_PUBLIC_URL="https://trend.example.com"))[0]["note"] == ""
    assert alert_log.channels(db, chosen(SMTP_SERVER=""))[0]["note"] == ""


def test_an_address_the_server_refuses_is_told_until_it_takes_a_message_or_is_taken_out(db: Database) -> None:
    def refused(**more: str) -> list[tuple[str, int, bool]]:
        mail = next(row for row in alert_log.channels(db, chosen(**more)) if row["channel"] == "email")
        return [(row["recipient"], row["messages"], row["in_settings"]) for row in mail["refused"]]

    for key in ("1", "2"):
        become(db, put(db, key), status="DEAD", attempts=1, last_code=550, last_error="550 no such user")
    become(db, put(db, "3", "gone@example.com"), status="DEAD", attempts=1, last_code=550, last_error="550 no")
    become(db, put(db, "4", "late@example.com"), status="DEAD", attempts=9, last_code=451, last_error="451 later")
    assert refused() == [("ann@example.com", 2, True)]  # nobody wants gone@ to get anything any more
    assert refused(ALERT_RECIPIENTS="late@example.com") == []  # it could not be reached, which time may heal
    become(db, put(db, "5"), status="SENT", attempts=1, last_code=250)
    assert refused() == []

"""Who is told of what, when and how often: incidents as the detector leaves them, messages as people get them."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from zoneinfo import ZoneInfo

import pytest

from tests.alerts.office import environment
from tests.databases import loaded
from tests.services import shops
from trendcast import settings as settings_module
from trendcast import wording
from trendcast.errors import NotConfigured
from trendcast.services import alerts, incidents, outbox, watch
from trendcast.store import migrate
from trendcast.store.engine import Database

NOW = dt.datetime(2026, 9, 28, 6, 0, tzinfo=dt.UTC)
DAY = dt.date(2026, 9, 27)
MINUTE = dt.timedelta(minutes=1)


def chosen(**more):
    return settings_module.load(
        {"ALERT_RECIPIENTS": "ann@shop.example, bob@shop.example", "ALERT_FROM_EMAIL": "tc@shop.example", **more}
    )


def incident(db, number=1, *, impact="HIGH", status="NEW", members=1, loss=-21_000.0, category="Toys", region="North"):
    """One incident with its leading anomaly, as sql/detect_write.sql leaves them; returns its id."""
    with db.transaction() as connection:
        made = connection.exec_driver_sql(
            "INSERT INTO incident (group_key, episode_start, parent_node, impact, status, loss, members, headline) "
            "VALUES (%s, %s, 'node', %s, %s, %s, %s, %s) RETURNING id",
            (f"k{number}", DAY, impact, status, loss, members, f"{category} in {region}: 412 sold, 1,120 expected."),
        ).scalar_one()
        connection.exec_driver_sql(
            "INSERT INTO anomaly_log (detected_date, product_category, region, actual_value, expected_value, "
            "anomaly_score, impact_level, level, fingerprint, class, direction, episode_start, incident_id, loss, "
            "lead, cause, explanation, data_available_at) "
            "VALUES (%s, %s, %s, 412, 1120, 6.5, %s, %s, %s, 'DROP', -1, %s, %s, %s, true, "
            "'unexplained', %s, %s)",
            (
                DAY, category, region, impact, "category_region" if category else "region",
                hashlib.sha256(f"{number}".encode()).digest(), DAY, made, loss,
                json.dumps({"next_step": "Ask the North."}), NOW,
            ),
        )  # fmt: skip
    return made


def set_incident(db, number, **columns):
    with db.transaction() as connection:
        for name, value in columns.items():
            connection.exec_driver_sql(f"UPDATE incident SET {name} = %s WHERE id = %s", (value, number))


def tell(db, now=NOW, **more):
    with db.transaction() as connection:
        return alerts.announce(db, connection, chosen(**more), now)


def messages(db, **where):
    found = db.rows("outbox_list", incident_id=None, limit=500)
    return [row for row in found if all(row[name] == value for name, value in where.items())]


def test_a_high_incident_is_told_at_once_to_everybody_and_once(db):
    number = incident(db)
    assert tell(db) == {"first": 1}
    assert tell(db) == {}
    sent = messages(db)
    assert sorted(row["recipient"] for row in sent) == ["ann@shop.example", "bob@shop.example"]
    assert all(row["subject"].startswith("CRITICAL: 1 anomaly, 21.0 k: Toys in North") for row in sent)
    assert all("Ask the North." in row["body_text"] for row in sent)
    assert all(row["data_available_at"] == NOW for row in sent)
    log = db.rows("incident_events", id=number)
    assert [row["note"] for row in log if row["action"] == "told"] == [
        "Mailed (first) to ann@shop.example, bob@shop.example."
    ]


@pytest.mark.parametrize("impact", ["MEDIUM", "LOW"])
def test_what_is_not_high_waits_for_the_digest(db, impact):
    incident(db, impact=impact)
    assert tell(db) == {}
    assert messages(db) == []
    assert alerts.digest(db, chosen(), NOW, "Data to Sun 27 Sep 2026.") == 2
    assert alerts.digest(db, chosen(), NOW, "Data to Sun 27 Sep 2026.") == 0  # once per slot
    (row, _) = messages(db)
    assert "1 open incident" in row["subject"]
    assert "Toys in North" in row["body_text"]
    assert "Data to Sun 27 Sep 2026." in row["body_text"]


def test_a_digest_of_nothing_says_all_clear(db):
    assert alerts.digest(db, chosen(), NOW, "Data to Sun 27 Sep 2026.") == 2
    assert messages(db)[0]["subject"] == "All clear, Mon 28 Sep 2026 06:00"


def test_what_gets_worse_wider_or_is_over_is_told_in_the_same_thread(db):
    number = incident(db)
    tell(db)
    first = {row["recipient"]: row["message_id"] for row in messages(db)}
    set_incident(db, number, members=2)
    assert tell(db) == {"wider": 1}
    set_incident(db, number, members=3)
    assert tell(db) == {}  # not twice as many as were told
    set_incident(db, number, status="RESOLVED", note="Sales were as expected for two days.")
    assert tell(db) == {"resolved": 1}
    assert tell(db) == {}
    later = [row for row in messages(db) if row["reason"] != "first"]
    assert len(later) == 4
    assert all(row["in_reply_to"] == first[row["recipient"]] for row in later)
    assert all("as expected for two days" in row["body_text"] for row in messages(db, reason="resolved"))


def test_a_medium_one_that_becomes_high_is_told_then(db):
    number = incident(db, impact="MEDIUM")
    assert tell(db) == {}
    set_incident(db, number, impact="HIGH")
    assert tell(db) == {"first": 1}


def test_nobody_who_looks_after_something_else_is_told(db):
    incident(db, category="Toys", region="North")
    with db.transaction() as connection:
        connection.exec_driver_sql(
            "INSERT INTO recipient (address, product_category, region, impact_level, created_by) VALUES "
            "('toys@shop.example', 'Toys', '', 'HIGH', 'ann'), ('south@shop.example', '', 'South', 'LOW', 'ann'), "
            "('north@shop.example', '', 'North', 'LOW', 'ann'), ('books@shop.example', 'Books', 'North', 'LOW', 'ann')"
        )
    tell(db, ALERT_RECIPIENTS="")
    assert sorted(row["recipient"] for row in messages(db)) == ["north@shop.example", "toys@shop.example"]


def test_an_outage_of_a_region_concerns_every_category_in_it(db):
    incident(db, category="", region="North", members=24)
    with db.transaction() as connection:
        connection.exec_driver_sql(
            "INSERT INTO recipient (address, product_category, region, created_by) "
            "VALUES ('toys@shop.example', 'Toys', '', 'ann'), ('south@shop.example', '', 'South', 'ann')"
        )
    tell(db, ALERT_RECIPIENTS="")
    (row,) = messages(db)
    assert row["recipient"] == "toys@shop.example"
    assert "24 anomalies" in row["subject"]
    assert "Region North" in row["subject"]


def test_without_recipients_the_mail_can_still_be_read_and_says_what_is_missing(db):
    incident(db)
    assert tell(db, ALERT_RECIPIENTS="") == {"first": 1}
    (row,) = messages(db)
    assert (row["status"], row["last_error"]) == ("CANCELLED", "ALERT_RECIPIENTS is not set.")
    assert "CRITICAL" in row["subject"]


def test_above_the_budget_of_a_day_incidents_go_to_the_digest_and_none_is_lost(db):
    for number in range(1, 4):
        incident(db, number)
        assert tell(db, NOW + dt.timedelta(hours=number), ALERT_BUDGET="3") == {"first": 1}
    incident(db, 4)
    with db.transaction() as connection:  # long enough ago to be no storm, and still the same day
        connection.exec_driver_sql("UPDATE outbox SET created = %s", (NOW + dt.timedelta(hours=3),))
    assert tell(db, NOW + dt.timedelta(hours=4), ALERT_BUDGET="3") == {"digest": 1}
    alerts.digest(db, chosen(), NOW + dt.timedelta(hours=8), "")
    assert "4 open incidents" in messages(db, reason="digest")[0]["subject"]


def test_a_storm_is_one_mail(db):
    for number in range(1, 9):
        incident(db, number)
    assert tell(db, ALERT_BUDGET="5") == {"storm": 8}
    sent = messages(db)
    assert len(sent) == 2  # one for each of the two people
    assert sent[0]["subject"] == "CRITICAL: 8 incidents within 15 minutes"
    assert tell(db, ALERT_BUDGET="5") == {}


def scopes(db, *rows):
    """Recipients kept in the database: (address, category, region)."""
    with db.transaction() as connection:
        for row in rows:
            connection.exec_driver_sql(
                "INSERT INTO recipient (address, product_category, region, created_by) VALUES (%s, %s, %s, 'ann')", row
            )


def test_a_storm_tells_each_person_of_their_part_and_leaves_nobody_out(db):
    for number in range(1, 9):
        incident(db, number, category="Toys" if number < 3 else "Books")
    scopes(db, ("toys@shop.example", "Toys", ""), ("south@shop.example", "", "South"))
    assert tell(db, ALERT_BUDGET="5") == {"storm": 8}
    subjects = {row["recipient"]: row["subject"] for row in messages(db)}
    assert subjects.keys() == {"ann@shop.example", "bob@shop.example", "toys@shop.example"}
    assert subjects["toys@shop.example"] == "CRITICAL: 2 incidents within 15 minutes"
    assert subjects["ann@shop.example"] == "CRITICAL: 8 incidents within 15 minutes"


def test_a_storm_that_comes_in_portions_is_one(db):
    for number in range(1, 5):
        incident(db, number)
    assert tell(db, ALERT_BUDGET="5") == {"first": 4}
    incident(db, 5)
    incident(db, 6)
    assert tell(db, NOW + dt.timedelta(minutes=5), ALERT_BUDGET="5") == {"storm": 2}
    assert sum(row["reason"] == "storm" for row in messages(db)) == 2  # one for each of two people


def test_who_looks_after_several_parts_has_one_mail_of_all_of_them(db):
    incident(db, 1, category="Toys")
    incident(db, 2, category="Books")
    incident(db, 3, category="Lamps")
    scopes(db, ("eve@shop.example", "Toys", ""), ("eve@shop.example", "Books", ""))
    assert tell(db, ALERT_RECIPIENTS="") == {"first": 3}
    assert len(messages(db, recipient="eve@shop.example")) == 2
    assert alerts.digest(db, chosen(ALERT_RECIPIENTS=""), NOW, "") == 1
    (row,) = messages(db, reason="digest")
    assert "2 open incidents" in row["subject"]
    assert "Toys" in row["body_text"]
    assert "Books" in row["body_text"]
    (kept,) = messages(db, status="CANCELLED")  # Lamps: nobody's, and it can be read all the same
    assert "No recipient looks after this" in kept["last_error"]


def test_a_thread_begins_with_the_first_mail_a_person_had_and_survives_a_new_sender(db):
    number = incident(db)
    tell(db, ALERT_RECIPIENTS="ann@shop.example")
    (first,) = messages(db)
    set_incident(db, number, members=5)
    tell(db, ALERT_FROM_EMAIL="tc@elsewhere.example", ALERT_RECIPIENTS="ann@shop.example, new@shop.example")
    answers = {row["recipient"]: row["in_reply_to"] for row in messages(db, reason="wider")}
    assert answers == {"ann@shop.example": first["message_id"], "new@shop.example": None}


def test_every_urgent_incident_has_a_message_whatever_the_budget_and_the_recipients_are(db):
    for number in range(1, 13):
        incident(db, number, category="Toys" if number % 2 else "Books")
    scopes(db, ("toys@shop.example", "Toys", ""))
    tell(db, ALERT_RECIPIENTS="", ALERT_BUDGET="100")
    with db.read() as connection:
        silent = connection.exec_driver_sql(
            "SELECT count(*) FROM incident i WHERE impact = 'HIGH' "
            "AND NOT EXISTS (SELECT FROM outbox o WHERE o.incident_id = i.id)"
        ).scalar_one()
    assert silent == 0


def test_an_alert_that_cannot_be_written_down_takes_its_incident_with_it(db, monkeypatch):
    """Both exist or neither: what could not be told is found again by the next check, and told then."""
    monkeypatch.setenv("ALERT_RECIPIENTS", "ann@shop.example")
    monkeypatch.setattr(shops, "FIRST", dt.datetime.now(dt.UTC).date() - dt.timedelta(days=151))
    shop = shops.Shop(db)
    shop.load(150)
    shop.detect()
    north = [row for row, (_, region) in enumerate(shop.keys) if region == "North"]
    shop.units[north, 150] = (shop.units[north, 150] * 0.4).round()
    shop.load(151)
    before = len(shop.rows("incident"))
    with monkeypatch.context() as broken:
        broken.setattr("trendcast.alerts.message.alert", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            shop.detect()
    assert (len(shop.rows("incident")), messages(db)) == (before, [])
    shop.detect()
    (row,) = messages(db)
    assert "Region North" in row["subject"]
    assert {one["id"] for one in shop.rows("incident")} >= {row["incident_id"]}
    for _ in range(5):
        shop.detect()
        shop.detect(trigger="0800")
    assert len(messages(db)) == 1


HOOK = {"ALERT_WEBHOOK_URL": "https://hook.shop.example/tc", "ALERT_WEBHOOK_SECRET": "s"}


@pytest.mark.parametrize(("more", "heard"), [({}, alerts.NOBODY), (HOOK, "webhook")])
def test_of_mail_that_does_not_go_out_the_other_way_and_the_log_tell_once(db, caplog, more, heard):
    there = {"SMTP_SERVER": "localhost", **more}
    incident(db)
    tell(db, **there)
    later = dt.datetime.now(dt.UTC) + dt.timedelta(minutes=11)
    for minutes in (0, 5):
        assert any("Urgent email" in one for one in watch.watch(db, chosen(**there), later + minutes * MINUTE))
    assert sum("Urgent email has waited" in one.getMessage() for one in caplog.records) == 1
    told = [row["recipient"] for row in messages(db, reason="notice") if "Urgent email" in row["body_text"]]
    assert told == [heard]


def test_what_nobody_looked_at_for_four_hours_is_told_once_more(db):
    number = incident(db)
    tell(db)
    assert alerts.remind(db, chosen(), NOW + dt.timedelta(hours=3, minutes=59)) == {}
    assert alerts.remind(db, chosen(), NOW + dt.timedelta(hours=4, minutes=1)) == {"reminder": 1}
    assert alerts.remind(db, chosen(), NOW + dt.timedelta(hours=12)) == {}
    acknowledged = incident(db, 2)
    tell(db)
    incidents.move(db, lambda: NOW, acknowledged, "acknowledge", who="ann")
    assert alerts.remind(db, chosen(), NOW + dt.timedelta(hours=5)) == {}
    # A day later the acknowledgement has lapsed.
    assert alerts.remind(db, chosen(), NOW + dt.timedelta(hours=25)) == {"reminder": 1}
    shown = incidents.inbox(db).set_index("incident_id")["status"]
    assert shown[acknowledged] == "NEW"
    assert number != acknowledged


def test_a_snoozed_incident_is_quiet_until_its_day(db):
    number = incident(db)
    set_incident(db, number, snoozed_until=NOW.date() + dt.timedelta(days=2))
    assert tell(db) == {}
    assert tell(db, NOW + dt.timedelta(days=2)) == {"first": 1}


def test_a_snooze_ends_with_the_retailers_day(db, monkeypatch):
    number = incident(db)
    set_incident(db, number, snoozed_until=NOW.date() + dt.timedelta(days=1))
    evening = NOW.replace(hour=20)  # the next morning in Auckland
    with db.transaction() as connection:
        assert alerts.announce(db, connection, chosen(), evening) == {}
        monkeypatch.setattr(wording, "zone", lambda: ZoneInfo("Pacific/Auckland"))
        assert alerts.announce(db, connection, chosen(), evening) == {"first": 1}


def test_of_a_past_that_was_read_at_once_nobody_is_told(db):
    number = incident(db)
    with db.transaction() as connection:
        alerts.hush(db, connection, NOW)
    assert tell(db) == {}
    set_incident(db, number, members=2)
    assert tell(db) == {"wider": 1}  # what happens to it from now on is news


def test_what_people_left_in_a_past_that_was_read_at_once_stays_as_they_left_it(db):
    looked_at, left = incident(db), incident(db, 2)
    incidents.move(db, lambda: NOW, looked_at, "acknowledge", who="ann")
    with db.transaction() as connection:
        alerts.hush(db, connection, NOW)
    assert alerts.remind(db, chosen(), NOW + dt.timedelta(days=30)) == {}
    shown = incidents.inbox(db).set_index("incident_id")["status"]
    assert (shown[looked_at], shown[left]) == ("ACKNOWLEDGED", "NEW")
    set_incident(db, left, status="RESOLVED")
    assert tell(db) == {}  # of an end hears who heard of the beginning


def test_the_watch_says_once_what_did_not_happen(db):
    loaded(db, DAY, at=NOW)
    assert watch.watch(db, chosen(), NOW + dt.timedelta(minutes=59)) == []
    said = watch.watch(db, chosen(), NOW + dt.timedelta(minutes=61))
    assert len(said) == 1
    assert "have not been checked" in said[0]
    watch.watch(db, chosen(), NOW + dt.timedelta(minutes=90))
    assert len(messages(db, subject="The detector has not run")) == 2  # two people, once each


def test_of_data_that_ended_long_ago_nothing_is_late(db):
    loaded(db, dt.date(2016, 6, 19), at=NOW)
    assert watch.watch(db, chosen(), NOW + dt.timedelta(days=3)) == []


def test_a_self_test_says_what_the_server_answered(post_office, db):
    box, route = post_office()
    there = chosen(**environment(route))
    assert alerts.self_test(db, there, NOW, "ann@shop.example", who="bob")["code"] == 250
    assert len(box.mails) == 1
    with pytest.raises(NotConfigured, match="SMTP_SERVER"):
        alerts.self_test(db, chosen(), NOW, "ann@shop.example", who="bob")
    with db.read() as connection:
        rows = connection.exec_driver_sql("SELECT actor, action, object, after FROM audit").all()
    assert [tuple(row) for row in rows] == [
        ("bob", "mail tested", "recipient:ann@shop.example", {"outcome": "sent", "code": 250})
    ]


def test_a_self_test_that_was_accepted_shows_that_mail_works_again(post_office, db):
    _, route = post_office()
    there = chosen(**environment(route))
    with db.transaction() as connection:
        connection.exec_driver_sql(
            "UPDATE channel_state SET failures = 9, failing_since = %s, last_ok = NULL, last_error = 'Away.' "
            "WHERE channel = 'email'",
            (NOW,),
        )
    alerts.self_test(db, there, NOW, "ann@shop.example", who="bob")
    (mail,) = [one for one in outbox.state(db, there) if one["channel"] == "email"]
    assert (mail["failures"], mail["failing_since"], mail["last_error"]) == (0, None, None)
    assert mail["last_ok"] is not None


def test_a_storm_is_one_mail_when_it_opens_none_after_four_hours_and_one_when_it_is_over(db):
    numbers = [incident(db, number) for number in range(1, 31)]
    assert tell(db, ALERT_BUDGET="5") == {"storm": 30}
    assert alerts.remind(db, chosen(ALERT_BUDGET="5"), NOW + dt.timedelta(hours=5)) == {}
    for number in numbers:
        set_incident(db, number, status="RESOLVED")
    assert tell(db, NOW + dt.timedelta(hours=6), ALERT_BUDGET="5") == {"summary": 30}
    assert sorted(row["reason"] for row in messages(db)) == ["storm", "storm", "summary", "summary"]
    assert messages(db)[0]["subject"] == "News of 30 incidents: 30 over"
    assert tell(db, NOW + dt.timedelta(hours=7), ALERT_BUDGET="5") == {}


def test_a_storm_counts_towards_the_days_budget_and_one_incident_is_none(db):
    for number in range(1, 4):
        incident(db, number)
    assert tell(db, ALERT_BUDGET="2") == {"storm": 3}
    incident(db, 4)
    assert tell(db, ALERT_BUDGET="2") == {"first": 1}
    incident(db, 5)
    incident(db, 6)
    assert tell(db, ALERT_BUDGET="2") == {"digest": 2}
    with pytest.raises(NotConfigured, match="ALERT_BUDGET=0 must be at least 1"):
        chosen(ALERT_BUDGET="0")


def test_what_was_left_to_the_digest_has_no_mail_of_its_own_later(db):
    first, left = incident(db, 1), incident(db, 2)
    set_incident(db, left, impact="MEDIUM")
    assert tell(db, ALERT_BUDGET="1") == {"first": 1}
    set_incident(db, left, impact="HIGH")
    assert tell(db, ALERT_BUDGET="1") == {"digest": 1}
    assert alerts.remind(db, chosen(ALERT_BUDGET="1"), NOW + dt.timedelta(hours=5)) == {"reminder": 1}
    set_incident(db, left, status="RESOLVED")
    assert tell(db, NOW + dt.timedelta(hours=6)) == {}
    assert {row["incident_id"] for row in messages(db)} == {first}


def test_of_an_end_hears_who_heard_of_the_beginning_and_nobody_else(db):
    number = incident(db)
    tell(db, ALERT_RECIPIENTS="ann@shop.example, bob@shop.example")
    with db.transaction() as connection:
        connection.exec_driver_sql("UPDATE outbox SET status = 'DEAD' WHERE recipient = 'bob@shop.example'")
    set_incident(db, number, status="RESOLVED")
    tell(db, ALERT_RECIPIENTS="ann@shop.example, bob@shop.example, new@shop.example")
    assert [row["recipient"] for row in messages(db, reason="resolved")] == ["ann@shop.example"]
    alone = incident(db, 2)
    tell(db, ALERT_RECIPIENTS="")
    set_incident(db, alone, status="RESOLVED")
    assert tell(db) == {}  # nobody was set when it began


def test_of_the_end_of_a_storms_incident_hears_who_had_the_storms_mail_in_its_thread(db):
    numbers = [incident(db, number, category="Toys" if number < 3 else "Books") for number in range(1, 5)]
    scopes(db, ("toys@shop.example", "Toys", ""))
    tell(db, ALERT_RECIPIENTS="ann@shop.example", ALERT_BUDGET="3")
    storm = {row["recipient"]: row["message_id"] for row in messages(db, reason="storm")}
    set_incident(db, numbers[3], status="RESOLVED")
    assert tell(db, ALERT_RECIPIENTS="ann@shop.example, new@shop.example") == {"resolved": 1}
    heard = {row["recipient"]: row["in_reply_to"] for row in messages(db, reason="resolved")}
    assert heard == {"ann@shop.example": storm["ann@shop.example"]}
    shown = db.rows("outbox_list", incident_id=numbers[3], limit=50)  # the incident's page: who was told
    assert sorted((row["reason"], row["recipient"]) for row in shown) == [
        ("resolved", "ann@shop.example"),
        ("storm", "ann@shop.example"),
    ]


def test_what_a_suppression_holds_is_no_part_of_a_storm_and_uses_no_budget(db):
    for number in range(1, 9):
        incident(db, number, category="Toys" if number < 8 else "Books")
    with db.transaction() as connection:
        connection.exec_driver_sql(
            "INSERT INTO suppression (matcher, until, reason, who) "
            "VALUES ('{\"product_category\": \"Toys\"}', now() + interval '1 day', 'rebuilding', 'ann')"
        )
    assert tell(db, ALERT_BUDGET="5") == {"first": 8}
    assert messages(db, reason="storm") == []
    there = chosen(SMTP_SERVER="127.0.0.1", SMTP_PORT="9", SMTP_SECURITY="none")
    outbox.deliver(db, there, lambda: NOW)
    states = {row["incident_id"]: row["status"] for row in messages(db)}
    assert sorted(states.values()) == ["CANCELLED"] * 7 + ["PENDING"]


def test_a_snooze_ends_when_it_gets_worse_and_the_log_says_so(db):
    number = incident(db, impact="MEDIUM")
    incidents.move(db, lambda: NOW, number, "snooze", who="ann", until=NOW.date() + dt.timedelta(days=7))
    assert tell(db) == {}
    set_incident(db, number, impact="HIGH")
    assert tell(db) == {"worse": 1}
    (log,) = [row for row in db.rows("incident_events", id=number) if row["action"] == "woken"]
    assert "snooze ended" in log["note"]
    assert incidents.inbox(db, snoozed=False)["incident_id"].tolist() == [number]
    assert tell(db, NOW + dt.timedelta(hours=1)) == {}


def test_a_snooze_that_ends_with_the_incident_open_is_told(db):
    number = incident(db)
    tell(db)
    incidents.move(db, lambda: NOW, number, "snooze", who="ann", until=NOW.date() + dt.timedelta(days=2))
    assert tell(db, NOW + dt.timedelta(days=1)) == {}
    assert tell(db, NOW + dt.timedelta(days=2)) == {"awake": 1}
    assert "snooze ended: " in messages(db, reason="awake")[0]["subject"]
    assert tell(db, NOW + dt.timedelta(days=2, hours=1)) == {}


def test_what_is_not_high_is_not_mailed_when_it_grows(db):
    number = incident(db, impact="MEDIUM")
    with db.transaction() as connection:
        alerts.hush(db, connection, NOW)
    set_incident(db, number, members=9)
    assert tell(db) == {}


def test_only_what_is_to_be_told_is_locked(db):
    quiet, loud = incident(db, 1), incident(db, 2)
    tell(db)
    set_incident(db, loud, members=5)
    with db.transaction() as connection, db.transaction() as other:
        assert alerts.announce(db, connection, chosen(), NOW) == {"wider": 1}
        free = other.exec_driver_sql("SELECT id FROM incident FOR UPDATE SKIP LOCKED").scalars().all()
    assert free == [quiet]


def test_the_first_tick_after_an_upgrade_mails_nobody_of_what_was_open_before(new_database):
    old = Database(new_database())
    migrate.upgrade(old, to="0016")
    for number in range(1, 21):
        incident(old, number)
    migrate.upgrade(old)
    assert alerts.remind(old, chosen(), NOW) == {}
    assert alerts.remind(old, chosen(), NOW + dt.timedelta(days=2)) == {}
    assert messages(old) == []
    old.close()


def test_a_digest_tells_each_of_their_part_and_how_new_the_data_are(db):
    incident(db, 1, category="Toys")
    scopes(db, ("toys@shop.example", "Toys", ""), ("south@shop.example", "", "South"))
    assert alerts.freshness(db) == "Nothing has been checked yet."
    with db.transaction() as connection:
        connection.exec_driver_sql(
            "INSERT INTO detection_run (trigger, as_of, data_version, detector_version, status, finished, n_series, "
            "n_flagged, summary) VALUES ('ingest', %s, 1, '1', 'done', %s, 60, 1, %s)",
            (DAY, NOW, json.dumps({"result": {"days": 1}})),
        )
    fresh = alerts.freshness(db)
    assert fresh == "Data to Sun 27 Sep 2026, 60 series checked at 28 Sep 2026, 06:00 UTC."
    alerts.digest(db, chosen(), NOW, fresh)
    told = {row["recipient"]: row["body_text"] for row in messages(db, reason="digest")}
    assert told["south@shop.example"].startswith("Nothing of yours is open.\n\n" + fresh)
    assert "Toys" not in told["south@shop.example"]
    assert told["toys@shop.example"].startswith("1 open incident of yours (1 of HIGH impact)")
    assert "First: Ask the North." in told["toys@shop.example"]
    assert told["ann@shop.example"].startswith("1 open incident (1 of HIGH impact)")


def test_without_prices_the_mail_has_the_units_of_the_inbox(db):
    incident(db, loss=None)
    with db.transaction() as connection:
        connection.exec_driver_sql("UPDATE anomaly_log SET loss_units = -1900")
    tell(db)
    assert "1 anomaly, 1,900 units: " in messages(db)[0]["subject"]
    assert "1,900\u202funits at stake" in messages(db)[0]["body_text"]


def test_of_data_that_did_not_come_a_mail_has_no_figures(db):
    number = incident(db, loss=None)
    set_incident(db, number, kind="DATA_QUALITY")
    with db.transaction() as connection:
        connection.exec_driver_sql("UPDATE anomaly_log SET actual_value = 0, expected_value = 0, kind = 'DATA_QUALITY'")
    tell(db)
    row = messages(db)[0]
    assert row["subject"].startswith("CRITICAL: 1 anomaly: Toys in North")
    assert not any(word in row["body_text"] for word in ("at stake", "Actual", "Expected", "0 units"))


def test_a_mail_says_how_sure_it_is(db):
    incident(db)
    told = {"days": [{"day": DAY.isoformat(), "z": -6.5, "q": 0.01}], "facts": {"tests": 60}, "next_step": "Ask."}
    with db.transaction() as connection:
        connection.exec_driver_sql("UPDATE anomaly_log SET explanation = %s", (json.dumps(told),))
    tell(db)
    row = messages(db)[0]
    for body in (row["body_text"], row["body_html"]):
        assert "It was 6.5 times as far off as is usual for it; 2.5 is notable, 4 is high. Among 60 series" in body


def test_a_self_test_says_that_the_links_lead_nowhere_else(post_office, db):
    _, route = post_office()
    there = chosen(**environment(route))
    answer = alerts.self_test(db, there, NOW, "ann@shop.example", who="bob")["answer"]
    assert "set TRENDCAST_PUBLIC_URL" in answer

"""The outbox between a real database and a real mail server: nothing lost, doubled or held up by others."""

from __future__ import annotations

import datetime as dt
import email
import email.policy
import functools
import json
import threading

import pytest

from tests.alerts.office import environment, pass_time
from tests.waiting import free_port
from trendcast import settings as settings_module
from trendcast.__main__ import main
from trendcast.alerts import mail
from trendcast.alerts.message import Message
from trendcast.services import outbox

CLOCK = lambda: dt.datetime.now(dt.UTC)  # noqa: E731
DAY = dt.date(2026, 9, 28)
LETTER = Message("CRITICAL: 1 anomaly", "412 sold, 1,120 expected.\n", "<p>412 sold</p>")


def told(route, **more):
    """Settings that lead to the mail server of ``route``."""
    return settings_module.load(environment(route, **more))


def put(db, *people, key="17|first|1", impact="HIGH", **how):
    with db.transaction() as connection:
        return [
            outbox.write(
                db, connection, LETTER, key=key, channel="email", recipient=person, sender="alerts@shop.example",
                impact=impact, **how,
            )
            for person in people
        ]  # fmt: skip


def rows(db):
    return db.rows("outbox_list", incident_id=None, limit=100)


def ids_received(box):
    return [email.message_from_bytes(one.content, policy=email.policy.default)["Message-ID"] for one in box.mails]


def test_a_message_is_sent_once_and_says_when(db, post_office):
    box, route = post_office()
    put(db, "buyer@shop.example")
    assert outbox.deliver(db, told(route), CLOCK).sent == 1
    assert outbox.deliver(db, told(route), CLOCK).sent == 0
    (row,) = rows(db)
    assert (row["status"], row["attempts"], row["last_code"]) == ("SENT", 1, 250)
    assert row["sent_at"] >= row["created"]
    assert len(box.mails) == 1


def test_a_worker_for_cron_sends_what_waits(db, post_office, monkeypatch, tmp_path, capsys):
    box, route = post_office()
    put(db, "a@shop.example", "b@shop.example")
    for name, value in {**environment(route), "DATABASE_URL": db.url, "TRENDCAST_HOME": str(tmp_path)}.items():
        monkeypatch.setenv(name, value)
    assert main(["worker", "--once", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["messages"] == 2
    assert [row["status"] for row in rows(db)] == ["SENT", "SENT"]
    assert len(box.mails) == 2


def test_what_was_written_before_is_not_written_again(db):
    assert put(db, "buyer@shop.example") != [None]
    assert put(db, "buyer@shop.example") == [None]
    assert put(db, "buyer@shop.example", key="17|worse|2") != [None]


def test_a_rolled_back_transaction_leaves_no_message(db):
    with pytest.raises(ZeroDivisionError), db.transaction() as connection:
        print(outbox.write(db, connection, LETTER, key="k", channel="email", recipient="a@b.c", sender="d@e.f") / 0)
    assert rows(db) == []


def test_the_most_urgent_goes_first(db, post_office):
    box, route = post_office()
    put(db, "low@shop.example", impact="LOW")
    put(db, "high@shop.example", impact="HIGH")
    outbox.deliver(db, told(route), CLOCK)
    assert [mail.rcpt_tos for mail in box.mails] == [["high@shop.example"], ["low@shop.example"]]


def test_one_refused_recipient_never_blocks_the_others(db, post_office):
    box, route = post_office()
    box.answers["rcpt gone@shop.example"] = ["550 no such user"]
    put(db, "a@shop.example", "gone@shop.example", "b@shop.example")
    done = outbox.deliver(db, told(route), CLOCK)
    assert (done.sent, done.dead) == (2, 1)
    dead = next(row for row in rows(db) if row["status"] == "DEAD")
    assert (dead["recipient"], dead["last_code"]) == ("gone@shop.example", 550)


def test_a_busy_server_gets_it_later(db, post_office):
    box, route = post_office()
    box.answers["data"] = ["451 busy", "451 busy"]
    put(db, "buyer@shop.example")
    for _ in range(3):
        outbox.deliver(db, told(route), CLOCK)
        pass_time(db, 700)
    (row,) = rows(db)
    assert (row["status"], row["attempts"]) == ("SENT", 3)
    assert len(box.mails) == 1


def test_a_lost_connection_after_the_message_repeats_it_under_the_same_id(db, post_office):
    box, route = post_office()
    box.hang_up_after_data = 1
    put(db, "buyer@shop.example")
    outbox.deliver(db, told(route), CLOCK)
    assert rows(db)[0]["status"] == "UNKNOWN"
    pass_time(db, 700)
    outbox.deliver(db, told(route), CLOCK)
    assert rows(db)[0]["status"] == "SENT"
    assert len(ids_received(box)) == 2
    assert len(set(ids_received(box))) == 1


def test_a_worker_that_died_while_sending_leaves_a_message_that_is_sent_again(db, post_office):
    _box, route = post_office()
    put(db, "buyer@shop.example")
    with db.transaction() as connection:
        claimed = db.rows(
            "outbox_claim", connection=connection, channel="email",
            token="6f1c1f0e-7e5e-4d5e-9c7b-0d8f6a1b2c3d", lease=0.0, today=DAY,
        )  # fmt: skip
    assert claimed[0]["status"] == "SENDING"
    assert outbox.deliver(db, told(route), CLOCK).sent == 1
    (row,) = rows(db)
    assert (row["status"], row["attempts"]) == ("SENT", 2)


def test_a_result_that_comes_after_the_lease_is_not_written(db):
    put(db, "buyer@shop.example")
    token = "6f1c1f0e-7e5e-4d5e-9c7b-0d8f6a1b2c3d"
    with db.transaction() as connection:
        db.rows("outbox_claim", connection=connection, channel="email", token=token, lease=0.0, today=DAY)
    row = rows(db)[0]
    with db.transaction() as connection:
        db.rows("outbox_expire", connection=connection)
        how = {"status": "SENT", "code": 250, "answer": "", "pause": 0}
        assert db.rows("outbox_finish", connection=connection, id=row["id"], token=token, **how) == []
    assert rows(db)[0]["status"] == "UNKNOWN"


def test_two_workers_send_two_hundred_messages_each_once(db, post_office):
    box, route = post_office()
    put(db, *(f"person{n}@shop.example" for n in range(200)))
    workers = [threading.Thread(target=outbox.deliver, args=(db, told(route), CLOCK)) for _ in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert len(ids_received(box)) == len(set(ids_received(box))) == 200


def test_a_suppressed_message_stays_cancelled_after_the_suppression_ended(db, post_office):
    box, route = post_office()
    put(db, "buyer@shop.example", facts={"level": "region", "region": "North"})
    with db.transaction() as connection:
        connection.exec_driver_sql(
            "INSERT INTO suppression (matcher, until, reason, who) "
            """VALUES ('{"region": "North"}', now() + interval '1 hour', 'works', 'local')"""
        )
    outbox.deliver(db, told(route), CLOCK)
    with db.transaction() as connection:
        connection.exec_driver_sql("UPDATE suppression SET ended_at = now()")
    pass_time(db, 700)
    outbox.deliver(db, told(route), CLOCK)
    assert rows(db)[0]["status"] == "CANCELLED"
    assert box.mails == []


def test_a_suppression_of_another_region_is_none_of_its_business(db, post_office):
    _box, route = post_office()
    put(db, "buyer@shop.example", facts={"level": "region", "region": "North"})
    with db.transaction() as connection:
        connection.exec_driver_sql(
            "INSERT INTO suppression (matcher, until, reason, who) "
            """VALUES ('{"region": "South"}', now() + interval '1 hour', 'works', 'local')"""
        )
    assert outbox.deliver(db, told(route), CLOCK).sent == 1


def state(db, settings):
    return next(row for row in outbox.state(db, settings) if row["channel"] == "email")


def test_a_busy_server_is_asked_again_and_has_the_message_once(db, post_office):
    box, route = post_office()
    box.answers["data"] = ["451 busy", "451 busy"]
    put(db, "buyer@shop.example")
    for attempt in (1, 2):
        assert outbox.deliver(db, told(route), CLOCK).later == 1
        assert (rows(db)[0]["status"], rows(db)[0]["last_code"], rows(db)[0]["attempts"]) == ("PENDING", 451, attempt)
        assert outbox.deliver(db, told(route), CLOCK).sent == 0  # not before its time
        pass_time(db, 1.2 * outbox.PAUSES[attempt - 1])
    assert outbox.deliver(db, told(route), CLOCK).sent == 1
    assert len(box.mails) == 1


def test_what_is_refused_for_good_is_a_dead_letter_that_says_why_and_stops_nobody_else(db, post_office, caplog):
    box, route = post_office()
    box.answers["rcpt gone@shop.example"] = ["550 no such user"]
    box.answers["data"] = ["552 too big"]
    put(db, "big@shop.example")
    assert outbox.deliver(db, told(route), CLOCK).dead == 1
    put(db, "ann@shop.example", "gone@shop.example", "bob@shop.example")
    done = outbox.deliver(db, told(route), CLOCK)
    assert (done.sent, done.dead) == (2, 1)
    letters = {row["recipient"]: row for row in rows(db)}
    assert {name: row["last_code"] for name, row in letters.items() if row["status"] == "DEAD"} == {
        "big@shop.example": 552, "gone@shop.example": 550,
    }  # fmt: skip
    assert "no such user" in letters["gone@shop.example"]["last_error"]
    assert state(db, told(route))["dead"] == 2
    assert sum("refused for good" in one.getMessage() for one in caplog.records) == 2
    pass_time(db, 3600)
    assert outbox.deliver(db, told(route), CLOCK) == outbox.Delivered()


def test_a_server_slower_than_the_limit_gets_the_message_twice_under_one_name(db, post_office, monkeypatch):
    monkeypatch.setattr("trendcast.services.outbox.Route", functools.partial(mail.Route, send_seconds=0.3))
    box, route = post_office()
    box.delay = 0.8
    put(db, "buyer@shop.example")
    assert outbox.deliver(db, told(route), CLOCK).later == 1
    assert rows(db)[0]["status"] == "UNKNOWN"
    box.delay = 0.0
    pass_time(db, 10)
    assert outbox.deliver(db, told(route), CLOCK).sent == 1
    first, second = (email.message_from_bytes(one.content, policy=email.policy.default) for one in box.mails)
    assert first["Message-ID"] == second["Message-ID"]
    assert {first["X-TrendCast-Attempt"], second["X-TrendCast-Attempt"]} == {"1", "2"}


def test_a_server_down_for_twenty_minutes_delays_a_mail_by_less_than_thirty(db, post_office):
    """The worker looks every five seconds, for twenty minutes against a closed port."""
    port = free_port()
    _, somewhere = post_office()
    there = told(somewhere, SMTP_PORT=str(port))
    put(db, *(f"person{n}@shop.example" for n in range(12)))
    waited = 0.0
    while waited < 20 * 60:
        assert outbox.deliver(db, there, CLOCK).sent == 0
        pass_time(db, 5)
        waited += 5
    down = state(db, there)
    assert down["failures"] >= outbox.DEAD_AFTER
    assert down["waiting"] == 12
    assert down["urgent_since"] is not None
    # A failing line is probed, not stormed: five failures and then one try in thirty seconds.
    assert sum(row["attempts"] for row in rows(db)) <= outbox.DEAD_AFTER + waited / outbox.PROBE
    box, _ = post_office(port=port)
    while waited < 30 * 60 and len(box.mails) < 12:
        outbox.deliver(db, there, CLOCK)
        pass_time(db, 5)
        waited += 5
    assert len(ids_received(box)) == len(set(ids_received(box))) == 12
    assert waited <= 20 * 60 + outbox.PROBE + 10  # well below thirty minutes: the next probe finds it
    up = state(db, there)
    assert (up["failures"], up["waiting"], up["failing_since"]) == (0, 0, None)


def test_one_message_that_always_fails_holds_up_no_other(db, post_office):
    """The server hangs up on it after it was handed over, each time: with it alone the line looks dead."""
    box, route = post_office()
    box.hang_up_on = {"poison@shop.example"}
    put(db, "poison@shop.example")
    for _ in range(outbox.DEAD_AFTER + 1):
        outbox.deliver(db, told(route), CLOCK)
        pass_time(db, 1000)
    assert state(db, told(route))["failures"] > outbox.DEAD_AFTER
    put(db, "ann@shop.example")
    for _ in range(2):  # the first probe may be the old one's, the second is not
        outbox.deliver(db, told(route), CLOCK)
        pass_time(db, outbox.PROBE + 1)
    status = {row["recipient"]: row["status"] for row in rows(db)}
    assert status == {"ann@shop.example": "SENT", "poison@shop.example": "UNKNOWN"}
    before = len(box.mails)
    put(db, "bob@shop.example", "eve@shop.example")
    assert outbox.deliver(db, told(route), CLOCK).sent == 2
    assert len(box.mails) - before <= 3  # and no success of others makes it go round and round


def test_where_a_setting_is_wrong_the_server_is_asked_seldom_and_by_a_new_process_at_once(db, post_office):
    box, route = post_office()
    wrong = told(route, EMAIL_PASSWORD="wrong")
    put(db, "buyer@shop.example")
    for _ in range(60):
        outbox.deliver(db, wrong, CLOCK)
        pass_time(db, 60)
    assert box.logins
    assert rows(db)[0]["attempts"] <= outbox.DEAD_AFTER + 3600 / outbox.PROBE_SETUP + 1  # tried too often it is locked
    pass_time(db, outbox.PROBE_SETUP)
    outbox.deliver(db, wrong, CLOCK)
    assert outbox.deliver(db, told(route), CLOCK).sent == 0
    outbox.start_afresh(db)
    assert outbox.deliver(db, told(route), CLOCK).sent == 1


def test_a_wrong_password_is_named_and_loses_nothing(db, post_office):
    _box, route = post_office()
    put(db, "buyer@shop.example")
    outbox.deliver(db, told(route, EMAIL_PASSWORD="wrong"), CLOCK)
    state = next(row for row in outbox.state(db, told(route)) if row["channel"] == "email")
    assert state["setup"]
    assert state["last_code"] == 535
    pass_time(db, 700)
    assert outbox.deliver(db, told(route), CLOCK).sent == 1


def test_without_a_mail_server_the_missing_settings_are_named_and_the_message_waits(db):
    put(db, "buyer@shop.example")
    bare = settings_module.load({})
    outbox.deliver(db, bare, CLOCK)
    assert rows(db)[0]["status"] == "PENDING"
    state = next(row for row in outbox.state(db, bare) if row["channel"] == "email")
    assert state["missing"] == "No mail is sent: SMTP_SERVER and ALERT_FROM_EMAIL are not set."


def test_a_message_nobody_took_for_a_day_is_given_up(db, post_office):
    box, route = post_office()
    put(db, "buyer@shop.example")
    with db.transaction() as connection:
        connection.exec_driver_sql("UPDATE outbox SET deadline = now() - interval '1 second'")
    outbox.deliver(db, told(route), CLOCK)
    assert rows(db)[0]["status"] == "DEAD"
    assert box.mails == []


def test_mail_without_encryption_is_for_this_machine_only():
    far = {"SMTP_SERVER": "mail.shop.example", "ALERT_FROM_EMAIL": "a@b.example", "SMTP_SECURITY": "none"}
    assert "this machine only" in outbox.channels(settings_module.load(far))["email"].missing
    near = outbox.channels(settings_module.load({**far, "SMTP_SERVER": "localhost"}))["email"]
    assert near.send is not None

"""The outbox between a real database and a real mail server: nothing lost, doubled or held up by others."""

from __future__ import annotations

import datetime as dt
import email
import email.policy
import socket
import threading

import pytest

from trendcast import settings as settings_module
from trendcast.alerts.message import Message
from trendcast.services import outbox

CLOCK = lambda: dt.datetime.now(dt.UTC)  # noqa: E731
DAY = dt.date(2026, 9, 28)
LETTER = Message("CRITICAL: 1 anomaly", "412 sold, 1,120 expected.\n", "<p>412 sold</p>")


def told(route, **more):
    """Settings that lead to the mail server of ``route``."""
    return settings_module.load(
        {
            "SMTP_SERVER": route.server,
            "SMTP_PORT": str(route.port),
            "SMTP_CA_FILE": route.ca_file,
            "EMAIL_USER": route.user,
            "EMAIL_PASSWORD": route.password,
            "ALERT_FROM_EMAIL": route.sender,
            **more,
        }
    )


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


def due_now(db):
    """Let every waiting message be due, as time would."""
    with db.transaction() as connection:
        connection.exec_driver_sql("UPDATE outbox SET next_attempt_at = now() - interval '1 second'")
        connection.exec_driver_sql("UPDATE channel_state SET next_probe_at = '-infinity'")


def test_a_message_is_sent_once_and_says_when(db, post_office):
    box, route = post_office()
    put(db, "buyer@shop.example")
    assert outbox.deliver(db, told(route), CLOCK).sent == 1
    assert outbox.deliver(db, told(route), CLOCK).sent == 0
    (row,) = rows(db)
    assert (row["status"], row["attempts"], row["last_code"]) == ("SENT", 1, 250)
    assert row["sent_at"] >= row["created"]
    assert len(box.mails) == 1


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
        due_now(db)
    (row,) = rows(db)
    assert (row["status"], row["attempts"]) == ("SENT", 3)
    assert len(box.mails) == 1


def test_a_lost_connection_after_the_message_repeats_it_under_the_same_id(db, post_office):
    box, route = post_office()
    box.hang_up_after_data = 1
    put(db, "buyer@shop.example")
    outbox.deliver(db, told(route), CLOCK)
    assert rows(db)[0]["status"] == "UNKNOWN"
    due_now(db)
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
    due_now(db)
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


def test_a_dead_server_is_probed_and_everything_goes_out_when_it_is_back(db, post_office):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    put(db, *(f"person{n}@shop.example" for n in range(12)))
    _, elsewhere = post_office()
    down = told(elsewhere, SMTP_PORT=str(port))
    for _ in range(3):
        outbox.deliver(db, down, CLOCK)
    state = next(row for row in outbox.state(db, down) if row["channel"] == "email")
    assert state["failures"] == outbox.DEAD_AFTER + 1  # five, and one probe: not all twelve
    assert state["urgent_since"] is not None
    assert state["failing_since"] is not None
    due_now(db)
    _box, route = post_office()
    assert outbox.deliver(db, told(route), CLOCK).sent == 12
    state = next(row for row in outbox.state(db, told(route)) if row["channel"] == "email")
    assert (state["failures"], state["waiting"], state["failing_since"]) == (0, 0, None)


def test_a_wrong_password_is_named_and_loses_nothing(db, post_office):
    _box, route = post_office()
    put(db, "buyer@shop.example")
    outbox.deliver(db, told(route, EMAIL_PASSWORD="wrong"), CLOCK)
    state = next(row for row in outbox.state(db, told(route)) if row["channel"] == "email")
    assert state["setup"]
    assert state["last_code"] == 535
    due_now(db)
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

"""Mail against a real SMTP server with its own certificate authority: what is sent, what is made of each refusal."""

from __future__ import annotations

import contextlib
import datetime as dt
import email
import email.policy
import socket
import threading
import time

import pytest

from trendcast.alerts import mail, webhook
from trendcast.alerts.delivery import Outcome
from trendcast.services import outbox

NOW = dt.datetime(2026, 9, 28, 8, 0, tzinfo=dt.UTC)
KEY = "17|first|1|buyer@shop.example"


def letter(**changes):
    facts = {
        "sender": "TrendCast <alerts@shop.example>",
        "recipient": "buyer@shop.example",
        "subject": "CRITICAL: 1 anomaly, Möbel für Köln",
        "text": "412 sold, 1,120 expected.\n.\n..two dots\nEnde\n",
        "html": "<p>412 sold</p>",
        "identifier": mail.message_id(KEY, "TrendCast <alerts@shop.example>"),
        "written": NOW,
    }
    return mail.compose(**{**facts, **changes})


def received(box):
    return [email.message_from_bytes(one.content, policy=email.policy.default) for one in box.mails]


def test_a_mail_arrives_encrypted_and_whole(post_office):
    box, route = post_office()
    receipt = mail.send(route, letter())
    assert (receipt.outcome, receipt.code) == (Outcome.SENT, 250)
    assert box.logins == ["retail"]
    (got,) = received(box)
    assert got["Subject"] == "CRITICAL: 1 anomaly, Möbel für Köln"
    assert got["Message-ID"] == mail.message_id(KEY, "alerts@shop.example")
    text = got.get_body(("plain",)).get_content().replace("\r\n", "\n")
    assert text == "412 sold, 1,120 expected.\n.\n..two dots\nEnde\n"  # a line of a single dot ends a mail, and did not
    assert got.get_body(("html",)).get_content().strip() == "<p>412 sold</p>"


def test_the_same_alert_has_the_same_message_id_in_every_attempt_and_another_one_another():
    first, second = letter(attempt=1), letter(attempt=2)
    assert first["Message-ID"] == second["Message-ID"]
    assert (first["X-TrendCast-Attempt"], second["X-TrendCast-Attempt"]) == ("1", "2")
    assert mail.message_id("17|first|2|buyer@shop.example", "alerts@shop.example") != first["Message-ID"]


def test_a_later_mail_of_an_incident_joins_its_thread():
    start = mail.message_id(KEY, "alerts@shop.example")
    answer = letter(identifier=mail.message_id("17|worse|2|buyer@shop.example", "alerts@shop.example"), thread=start)
    assert answer["In-Reply-To"] == answer["References"] == start
    assert letter(thread=start)["In-Reply-To"] is None  # the first one answers nobody


def test_a_line_end_in_a_header_is_refused():
    with pytest.raises(ValueError, match=r"(?i)header|linefeed|carriage"):
        letter(subject="CRITICAL\r\nBcc: everybody@shop.example")
    with pytest.raises(ValueError, match=r"(?i)header|linefeed|carriage"):
        letter(recipient="buyer@shop.example\nBcc: everybody@shop.example")


def test_an_unknown_authority_is_a_setting_and_never_a_downgrade(post_office, tmp_path, authority):
    box, route = post_office(ca_file="")
    receipt = mail.send(route, letter())
    assert receipt.outcome is Outcome.SETUP
    assert "certificate" in receipt.answer
    assert box.mails == []
    assert box.logins == []


def test_a_certificate_of_another_host_is_a_setting(post_office, authority):
    box, route = post_office(context=authority.server("mail.elsewhere.example"))
    receipt = mail.send(route, letter())
    assert receipt.outcome is Outcome.SETUP
    assert box.mails == []


def test_without_encryption_nothing_is_sent(post_office):
    box, route = post_office(starttls=False, login=False)
    receipt = mail.send(route, letter())
    assert receipt.outcome is Outcome.SETUP
    assert "STARTTLS" in receipt.answer
    assert box.mails == []


def test_a_wrong_password_is_a_setting(post_office):
    _box, route = post_office(password="wrong")
    receipt = mail.send(route, letter())
    assert (receipt.outcome, receipt.code) == (Outcome.SETUP, 535)


def test_a_login_asked_for_and_not_given_is_a_setting(post_office):
    _box, route = post_office(user="", password="")
    receipt = mail.send(route, letter())
    assert (receipt.outcome, receipt.code) == (Outcome.SETUP, 530)


def test_a_busy_server_is_asked_again_later(post_office):
    box, route = post_office()
    box.answers["data"] = ["451 busy", "451 busy"]
    outcomes = [mail.send(route, letter(attempt=n)).outcome for n in (1, 2, 3)]
    assert outcomes == [Outcome.LATER, Outcome.LATER, Outcome.SENT]
    assert len(box.mails) == 1


@pytest.mark.parametrize(
    ("step", "answer"), [("rcpt", "550 no such user"), ("mail", "553 no"), ("data", "552 too big")]
)
def test_a_final_refusal_is_final(post_office, step, answer):
    box, route = post_office()
    box.answers[step] = [answer]
    receipt = mail.send(route, letter())
    assert (receipt.outcome, receipt.code) == (Outcome.NEVER, int(answer[:3]))
    assert box.mails == []


def test_one_refused_recipient_does_not_touch_the_others(post_office):
    box, route = post_office()
    box.answers["rcpt gone@shop.example"] = ["550 no such user"]
    people = ["buyer@shop.example", "gone@shop.example", "boss@shop.example"]
    outcomes = [mail.send(route, letter(recipient=person)).outcome for person in people]
    assert outcomes == [Outcome.SENT, Outcome.NEVER, Outcome.SENT]


def test_a_connection_lost_after_the_message_is_unknown_and_its_repetition_is_recognisable(post_office):
    box, route = post_office()
    box.hang_up_after_data = 1
    assert mail.send(route, letter(attempt=1)).outcome is Outcome.UNKNOWN
    assert mail.send(route, letter(attempt=2)).outcome is Outcome.SENT
    first, second = received(box)
    assert first["Message-ID"] == second["Message-ID"]


def test_a_server_slower_than_the_limit_after_the_message_is_unknown(post_office):
    box, route = post_office(send_seconds=0.3)
    box.delay = 1.5
    assert mail.send(route, letter()).outcome is Outcome.UNKNOWN


def test_a_server_that_never_greets_is_tried_again_later():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        route = mail.Route("127.0.0.1", silent.getsockname()[1], sender="a@b.example", connect_seconds=0.3)
        receipt = mail.send(route, letter())
    assert receipt.outcome is Outcome.LATER


def test_a_server_that_sends_a_byte_now_and_then_does_not_hold_a_mail_for_ever():
    """Each byte is within the limit of a step; the limit of the whole conversation ends it."""
    with socket.create_server(("127.0.0.1", 0)) as slow:
        stop = threading.Event()

        def drip() -> None:
            peer, _ = slow.accept()
            peer.sendall(b"220 hello\r\n")
            with contextlib.suppress(OSError):
                while not stop.wait(0.05):
                    peer.sendall(b"2")
            peer.close()

        thread = threading.Thread(target=drip)
        thread.start()
        route = mail.Route("127.0.0.1", slow.getsockname()[1], sender="a@b.example", send_seconds=5, total_seconds=1.2)
        begun = time.monotonic()
        assert mail.send(route, letter()).outcome is Outcome.LATER
        assert time.monotonic() - begun < 4
        stop.set()
        thread.join()


def test_a_claim_outlives_the_longest_conversation():
    assert mail.CONNECT_SECONDS < mail.TOTAL_SECONDS < outbox.LEASE
    assert webhook.TOTAL_SECONDS < outbox.LEASE


def test_a_closed_port_and_an_unknown_name_are_tried_again_later():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    assert mail.send(mail.Route("127.0.0.1", port, sender="a@b.example"), letter()).outcome is Outcome.LATER
    assert mail.send(mail.Route("nowhere.invalid", 25, sender="a@b.example"), letter()).outcome is Outcome.LATER


def test_a_server_that_hangs_up_before_the_message_has_nothing_of_it():
    with socket.create_server(("127.0.0.1", 0)) as rude:

        def hang_up() -> None:
            peer, _ = rude.accept()
            peer.sendall(b"220 hello\r\n")
            peer.recv(100)
            peer.close()

        thread = threading.Thread(target=hang_up)
        thread.start()
        route = mail.Route("127.0.0.1", rude.getsockname()[1], sender="a@b.example")
        assert mail.send(route, letter()).outcome is Outcome.LATER
        thread.join()


def test_the_password_shows_in_no_description(post_office):
    _, route = post_office()
    assert route.password
    assert route.password not in repr(route)

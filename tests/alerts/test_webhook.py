"""The webhook against a real server on this machine."""

from __future__ import annotations

import datetime as dt
import hashlib
import hmac
import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from trendcast.alerts.delivery import Outcome
from trendcast.alerts.webhook import Hook, post

NOW = dt.datetime(2026, 9, 28, 8, 0, tzinfo=dt.UTC)


@pytest.fixture
def receiver() -> Iterator[Callable[..., tuple[list, str]]]:
    """``receiver(200, ...)`` answers one request after the other with these statuses; returns what came and its URL."""
    servers: list[ThreadingHTTPServer] = []

    def start(*statuses: int) -> tuple[list, str]:
        came: list[tuple[dict[str, str], bytes]] = []
        waiting = list(statuses)

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                came.append((dict(self.headers), body))
                status = waiting.pop(0)
                self.send_response(status)
                if status == 302:
                    self.send_header("Location", "http://169.254.169.254/")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        servers.append(server)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return came, f"http://127.0.0.1:{server.server_port}/hook?from=tc"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def test_it_is_signed_so_that_the_receiver_can_check_it(receiver):
    came, url = receiver(200)
    receipt = post(Hook(url, "secret", allowed="127.0.0.1"), {"incident": 17, "name": "Möbel"}, key="17|1", now=NOW)
    assert (receipt.outcome, receipt.code) == (Outcome.SENT, 200)
    ((headers, body),) = came
    assert json.loads(body) == {"incident": 17, "name": "Möbel"}
    stamp, digest = (part.split("=")[1] for part in headers["X-TrendCast-Signature"].split(","))
    assert int(stamp) == int(NOW.timestamp())
    assert digest == hmac.new(b"secret", f"{stamp}.".encode() + body, hashlib.sha256).hexdigest()


def test_a_repetition_carries_the_same_key(receiver):
    came, url = receiver(503, 200)
    hook = Hook(url, "secret", allowed="127.0.0.1")
    outcomes = [post(hook, {}, key="17|1", now=NOW).outcome for _ in range(2)]
    assert outcomes == [Outcome.LATER, Outcome.SENT]
    assert came[0][0]["Idempotency-Key"] == came[1][0]["Idempotency-Key"]


@pytest.mark.parametrize(
    ("status", "outcome"),
    [(404, Outcome.NEVER), (429, Outcome.LATER), (401, Outcome.SETUP), (302, Outcome.NEVER), (500, Outcome.LATER)],
)
def test_what_is_made_of_a_refusal(receiver, status, outcome):
    came, url = receiver(status)
    assert post(Hook(url, "secret", allowed="127.0.0.1"), {}, key="k", now=NOW).outcome is outcome
    assert len(came) == 1  # a redirection is not followed


def test_a_private_address_is_refused_before_anything_is_said(receiver, authority):
    came, url = receiver(200)
    # The address is asked of the connection itself; over https, so only the handshake happened.
    receipt = post(Hook(url.replace("http:", "https:"), "secret"), {}, key="k", now=NOW)
    assert receipt.outcome in (Outcome.SETUP, Outcome.LATER)
    assert came == []
    assert post(Hook(url, "secret"), {}, key="k", now=NOW).outcome is Outcome.SETUP  # and without encryption never
    assert came == []


def test_a_private_server_with_a_good_certificate_is_refused_too(authority):
    import ssl

    came: list[bytes] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            came.append(b"")

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    context: ssl.SSLContext = authority.server("localhost")
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    hook = Hook(f"https://localhost:{server.server_port}/", "secret", ca_file=str(authority.file))
    receipt = post(hook, {}, key="k", now=NOW)
    server.shutdown()
    server.server_close()
    assert receipt.outcome is Outcome.SETUP
    assert "private network" in receipt.answer
    assert came == []

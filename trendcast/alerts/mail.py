"""One mail to one recipient over SMTP: encrypted and verified, within time limits, with an honest outcome.

smtplib's own `starttls()` accepts any certificate, its default has no time limit, and `send_message` reports a refused
recipient as a return value: so the conversation is held here, step by step (RFC 5321, RFC 3207).
"""

from __future__ import annotations

import contextlib
import hashlib
import smtplib
import socket
import ssl
import threading
import time
from dataclasses import dataclass, field
from datetime import datetime
from email.generator import BytesGenerator
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from io import BytesIO
from typing import Any

from trendcast.alerts.delivery import Outcome, Receipt, one_line, within

CONNECT_SECONDS, SEND_SECONDS = 15.0, 30.0
TOO_SLOW = "The server did not answer in time."
TOTAL_SECONDS = 50.0  # of one conversation, whatever the server does: less than the lease of a claim
# What a server says when it wants a login, refuses it, or asks for encryption: no mail at all until that is changed.
_SETUP_CODES = (530, 534, 535, 538)


@dataclass(frozen=True)
class Route:
    """A mail server and how to reach it. ``security``: starttls, tls (encrypted from the first byte) or none."""

    server: str
    port: int = 587
    security: str = "starttls"
    user: str = ""
    password: str = field(default="", repr=False)
    sender: str = ""
    ca_file: str = ""  # a certificate authority of one's own
    connect_seconds: float = CONNECT_SECONDS
    send_seconds: float = SEND_SECONDS
    total_seconds: float = TOTAL_SECONDS


def message_id(key: str, sender: str) -> str:
    """The Message-ID of what ``key`` names: the same for each attempt, so that a mailbox recognises a repeated one."""
    domain = sender.rpartition("@")[2].strip("> ") or "trendcast.invalid"
    return f"<{hashlib.sha256(key.encode()).hexdigest()[:40]}@{domain}>"


def compose(
    *,
    sender: str,
    recipient: str,
    subject: str,
    text: str,
    html: str | None,
    identifier: str,
    written: datetime,
    thread: str | None = None,
    attempt: int = 1,
    urgent: bool = False,
) -> EmailMessage:
    """The mail. ``thread``: Message-ID of the incident's first mail. Raises ValueError for a line end in a header."""
    message = EmailMessage(policy=SMTP)
    message["From"] = sender
    message["To"] = recipient
    message["Subject"] = subject
    message["Date"] = format_datetime(written)
    message["Message-ID"] = identifier
    if thread and thread != identifier:
        message["In-Reply-To"] = thread
        message["References"] = thread
    message["Auto-Submitted"] = "auto-generated"  # no out-of-office answers (RFC 3834)
    message["X-TrendCast-Attempt"] = str(attempt)
    if urgent:
        message["Importance"] = "high"
    message.set_content(text, cte="quoted-printable")
    if html:
        message.add_alternative(html, subtype="html", cte="quoted-printable")
    return message


def send(route: Route, message: EmailMessage) -> Receipt:
    """Hand the message to the server for its one recipient. Never raises for anything the network or server does."""
    step = _Step()
    receipt = _attempt(route, message, step)
    late = step.late is not None and step.late.is_set() and receipt.outcome is not Outcome.SENT
    return step.broken(TOO_SLOW) if late else receipt


def _attempt(route: Route, message: EmailMessage, step: _Step) -> Receipt:
    try:
        return _converse(route, message, step)
    except smtplib.SMTPResponseException as error:
        return _refused(error.smtp_code, error.smtp_error, step)
    except ssl.SSLCertVerificationError as error:
        return Receipt(
            Outcome.SETUP,
            None,
            one_line(f"The certificate of {route.server} cannot be trusted: {error.verify_message or error.reason}."),
        )
    except ssl.SSLError as error:
        return step.broken(one_line(f"The encrypted connection failed: {error.reason or error}."))
    except smtplib.SMTPNotSupportedError as error:
        return Receipt(Outcome.SETUP, None, one_line(error))
    except UnicodeError:
        return Receipt(Outcome.NEVER, None, "The address has characters this server does not take.")
    except TimeoutError:
        return step.broken(TOO_SLOW)
    except (smtplib.SMTPServerDisconnected, OSError) as error:
        return step.broken(one_line(error) or type(error).__name__)


@dataclass
class _Step:
    """How far the conversation came."""

    name: str = "connect"
    handed_over: bool = False  # bytes of the message are on their way
    late: threading.Event | None = None  # set when the conversation was cut off

    def broken(self, words: str) -> Receipt:
        outcome = Outcome.UNKNOWN if self.handed_over else Outcome.LATER
        return Receipt(outcome, None, f"{words} ({self.name})")


def _converse(route: Route, message: EmailMessage, step: _Step) -> Receipt:
    begun = time.monotonic()
    client = _connect(route)
    rest = max(1.0, route.total_seconds - (time.monotonic() - begun))
    with contextlib.closing(client), within(rest, lambda: client.sock) as step.late:
        _handshake(client, route, step)
        step.name = "sender"
        code, answer = client.mail(_address(route.sender or str(message["From"])))
        if code != 250:
            return _refused(code, answer, step)
        step.name = "recipient"
        code, answer = client.rcpt(_address(str(message["To"])))
        if code not in (250, 251):
            return _refused(code, answer, step)
        step.name = "message"
        code, answer = client.docmd("DATA")
        if code != 354:
            return _refused(code, answer, step)
        step.handed_over = True
        client.send(_dotted(message))
        code, answer = client.getreply()
        if code != 250:
            return _refused(code, answer, step)
        with contextlib.suppress(smtplib.SMTPException, OSError):
            client.quit()  # it has the message: how it says goodbye changes nothing
        return Receipt(Outcome.SENT, code, one_line(answer))


def _connect(route: Route) -> smtplib.SMTP:
    # The name in our greeting; smtplib would ask the network for it, which may take longer than the mail.
    name = socket.gethostname() or "localhost"
    client: smtplib.SMTP
    if route.security == "tls":
        client = smtplib.SMTP_SSL(
            route.server, route.port, local_hostname=name, timeout=route.connect_seconds, context=_context(route)
        )
    else:
        client = smtplib.SMTP(route.server, route.port, local_hostname=name, timeout=route.connect_seconds)
    assert client.sock is not None
    client.sock.settimeout(route.send_seconds)
    return client


def _handshake(client: smtplib.SMTP, route: Route, step: _Step) -> None:
    step.name = "greeting"
    client.ehlo_or_helo_if_needed()
    if route.security == "starttls":
        step.name = "encryption"
        if not client.has_extn("starttls"):
            raise smtplib.SMTPNotSupportedError(
                f"{route.server} offers no encryption (STARTTLS), and nothing is sent without it."
            )
        client.starttls(context=_context(route))
        client.ehlo()
    if route.user:
        step.name = "login"
        client.login(route.user, route.password)


def _context(route: Route) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=route.ca_file or None)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def _address(header: str) -> str:
    from email.utils import parseaddr

    return parseaddr(header)[1] or header


def _dotted(message: EmailMessage) -> bytes:
    """The message as DATA wants it: CRLF, lines of a single dot doubled, closed by one (RFC 5321, 4.5.2)."""
    target = BytesIO()
    BytesGenerator(target, policy=SMTP).flatten(message)
    raw = target.getvalue()
    raw = raw.replace(b"\r\n.", b"\r\n..")
    raw = b"." + raw if raw.startswith(b".") else raw
    return raw + (b"" if raw.endswith(b"\r\n") else b"\r\n") + b".\r\n"


def _refused(code: int, answer: Any, step: _Step) -> Receipt:
    """A refusal in the server's words: 4xx passes, a login's or encryption's 5xx is a setting, another 5xx is final."""
    words = one_line(f"{one_line(answer)} ({step.name})")
    if code in _SETUP_CODES or (step.name == "login" and 500 <= code < 600):
        return Receipt(Outcome.SETUP, code, words)
    if 500 <= code < 600:
        return Receipt(Outcome.NEVER if step.name in ("sender", "recipient", "message") else Outcome.LATER, code, words)
    return Receipt(Outcome.LATER, code, words)

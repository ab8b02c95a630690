"""One plain webhook: JSON by POST, signed, never to a private address unless an administrator allows the host."""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import http.client
import ipaddress
import json
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from trendcast.alerts.delivery import Outcome, Receipt, one_line, within

SECONDS = 10.0
TOTAL_SECONDS = 50.0  # of one conversation: less than the lease of a claim


@dataclass(frozen=True)
class Hook:
    """Where to post and the secret both sides know. ``allowed``: a host that may lie in a private network and may be
    reached without https, as set by an administrator."""

    url: str
    secret: str = field(repr=False, default="")
    allowed: str = ""
    ca_file: str = ""
    seconds: float = SECONDS


def signature(secret: str, stamp: int, body: bytes) -> str:
    """``t=...,v1=...``: HMAC-SHA256 of "t.body"; the time inside it keeps an old message from being played again."""
    digest = hmac.new(secret.encode(), f"{stamp}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={stamp},v1={digest}"


def post(hook: Hook, payload: Mapping[str, Any], *, key: str, now: datetime) -> Receipt:
    """Send ``payload``; ``key`` is the same for each attempt. Never raises for anything the network or host does."""
    body = json.dumps(payload, ensure_ascii=False, separators=(",", ":")).encode()
    parts = urlsplit(hook.url)
    host = parts.hostname or ""
    trusted = bool(hook.allowed) and host == hook.allowed
    if parts.scheme not in ("https", "http") or not host or (parts.scheme == "http" and not trusted):
        return Receipt(Outcome.SETUP, None, "The webhook's address must begin with https://.")
    headers = {
        "Content-Type": "application/json",
        "User-Agent": "TrendCast",
        "Idempotency-Key": hashlib.sha256(key.encode()).hexdigest()[:40],
        "X-TrendCast-Signature": signature(hook.secret, int(now.timestamp()), body),
    }
    sent = False
    try:
        with contextlib.ExitStack() as stack:
            connection = stack.enter_context(contextlib.closing(_connection(hook, parts.scheme, host, parts.port)))
            stack.enter_context(within(TOTAL_SECONDS, lambda: connection.sock))
            connection.connect()
            if not trusted and not _public(connection):
                return Receipt(Outcome.SETUP, None, f"{host} lies in a private network, which is not allowed.")
            sent = True
            target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
            connection.request("POST", target, body, headers)
            answer = connection.getresponse()
            return _read(answer.status, answer.read(500))
    except ssl.SSLCertVerificationError as error:
        return Receipt(Outcome.SETUP, None, one_line(f"The certificate of {host} cannot be trusted: {error.reason}."))
    except (OSError, http.client.HTTPException) as error:
        return Receipt(Outcome.UNKNOWN if sent else Outcome.LATER, None, one_line(error) or type(error).__name__)


def _connection(hook: Hook, scheme: str, host: str, port: int | None) -> http.client.HTTPConnection:
    if scheme == "http":
        return http.client.HTTPConnection(host, port, timeout=hook.seconds)
    context = ssl.create_default_context(cafile=hook.ca_file or None)
    return http.client.HTTPSConnection(host, port, timeout=hook.seconds, context=context)


def _public(connection: http.client.HTTPConnection) -> bool:
    """Whether the address really connected to is one of the public internet: asked after the connection stands, so
    that a name which changes its address in between gains nothing."""
    return ipaddress.ip_address(str(connection.sock.getpeername()[0]).split("%")[0]).is_global


def _read(status: int, body: bytes) -> Receipt:
    if 200 <= status < 300:
        return Receipt(Outcome.SENT, status, one_line(body))
    if status in (408, 425, 429) or status >= 500:
        return Receipt(Outcome.LATER, status, one_line(body))
    if status in (401, 403):
        return Receipt(Outcome.SETUP, status, one_line(body))
    words = "It answered with a redirection, which is not followed." if 300 <= status < 400 else one_line(body)
    return Receipt(Outcome.NEVER, status, words)

"""What became of one attempt to hand a message over."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum


class Outcome(StrEnum):
    """How an attempt ended, which decides what happens next.

    SENT: the other side took it. LATER: it did not, and may take it soon. NEVER: it will not take this message for this
    recipient. SETUP: nothing can be sent until someone changes a setting. UNKNOWN: it may have it; sent again under the
    same Message-ID, so that a mailbox shows it once.
    """

    SENT = "sent"
    LATER = "later"
    NEVER = "never"
    SETUP = "setup"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Receipt:
    """The outcome, the other side's code (None: it gave none) and its answer or what went wrong, in one line."""

    outcome: Outcome
    code: int | None
    answer: str


@contextlib.contextmanager
def within(seconds: float, line: Callable[[], socket.socket | None]) -> Iterator[threading.Event]:
    """Cut ``line()`` off after so many seconds in all, and set the event: what was read then may be half an answer. A
    socket's own limit counts from each byte on, so a server that sends one now and then could hold a claim for longer
    than its lease."""
    late = threading.Event()

    def cut() -> None:
        late.set()
        held = line()
        if held is not None:
            with contextlib.suppress(OSError):  # it may have ended by itself
                socket.socket.shutdown(held, socket.SHUT_RDWR)  # below TLS, which belongs to the thread that reads

    timer = threading.Timer(seconds, cut)
    timer.daemon = True
    timer.start()
    try:
        yield late
    finally:
        timer.cancel()


def one_line(words: object) -> str:
    """At most 500 characters without line ends: what a log and a table cell can hold."""
    text = words.decode("utf-8", "replace") if isinstance(words, bytes) else str(words)
    return " ".join(text.split())[:500]

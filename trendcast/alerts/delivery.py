"""What became of one attempt to hand a message over."""

from __future__ import annotations

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


def one_line(words: object) -> str:
    """At most 500 characters without line ends: what a log and a table cell can hold."""
    text = words.decode("utf-8", "replace") if isinstance(words, bytes) else str(words)
    return " ".join(text.split())[:500]

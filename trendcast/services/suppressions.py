"""What nobody is mailed about for a while: a matcher, an end, a reason and who asked for it. Incidents are found and
listed all the same; their messages are rendered and held back."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any

from trendcast import wording
from trendcast.errors import InvalidInput, NotFound
from trendcast.services import incidents

if TYPE_CHECKING:
    from trendcast.services.runtime import Clock
    from trendcast.store.engine import Database

KINDS = ("DEMAND", "SUPPLY", "DATA_QUALITY")
MATCHERS = ("kind", "product_category", "region", "store")
LONGEST = timedelta(days=92)  # what is silent for longer is forgotten


def listed(db: Database, now: datetime) -> list[dict[str, Any]]:
    """Those that hold: the columns of sql/suppression_list.sql, the one that ends first on top."""
    return [dict(row) for row in db.rows("suppression_list", now=now)]


def counts(db: Database, now: datetime) -> dict[str, int]:
    """snoozed (incidents), suppressed (messages of the last seven days) and holding (suppressions)."""
    row = db.rows("suppression_counts", now=now, today=incidents.today(now))[0]
    return {name: int(value) for name, value in row.items()}


def add(db: Database, clock: Clock, *, matcher: Mapping[str, str], until: date, reason: str, who: str) -> int:
    """Hold back the messages of whatever has all these values (kind, product_category, region, store) to the end of the
    day before ``until``; the id. Raises InvalidInput."""
    now = clock()
    wanted = {name: value.strip() for name, value in matcher.items() if value.strip()}
    strange = set(wanted) - set(MATCHERS)
    if strange:
        raise InvalidInput(f"'{min(strange)[:50]}' cannot be suppressed by: it is one of {', '.join(MATCHERS)}.")
    if not wanted:
        raise InvalidInput(
            "Say what is to be silent: a kind, a category, a region or a store. Everything at once is not."
        )
    if "kind" in wanted and wanted["kind"] not in KINDS:
        raise InvalidInput(f"'{wanted['kind'][:50]}' is no kind: it is one of {', '.join(KINDS)}.")
    today = incidents.today(now)
    if not today < until <= today + LONGEST:
        raise InvalidInput(f"A suppression ends on a day after today and within {LONGEST.days} days.")
    reason = reason.strip()
    if not reason:
        raise InvalidInput("Say why nobody is to be mailed: others will wonder.")
    end = datetime.combine(until, time(), wording.zone())

    def put(connection: Any) -> int:
        rows = db.rows(
            "suppression_add", connection=connection, matcher=wanted, until=end, reason=reason[:500], who=who, now=now
        )
        _audit(db, connection, who, "suppression added", rows[0]["id"], {**wanted, "until": until.isoformat()})
        return int(rows[0]["id"])

    return db.run_tx(put)


def end(db: Database, clock: Clock, number: int, *, who: str) -> None:
    """Mails about it are sent again from now on. Raises NotFound when it does not hold any more."""

    def change(connection: Any) -> None:
        rows = db.rows("suppression_end", connection=connection, id=number, now=clock())
        if not rows:
            raise NotFound("This suppression has ended already.")
        _audit(db, connection, who, "suppression ended", number, dict(rows[0]["matcher"]))

    db.run_tx(change)


def _audit(db: Database, connection: Any, who: str, action: str, number: int, after: dict[str, Any]) -> None:
    db.execute(
        "audit_add", connection=connection, actor=who, action=action, object=f"suppression:{number}", after=after
    )

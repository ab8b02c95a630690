"""Who gets alerts beside ALERT_RECIPIENTS: mail addresses, each with what it wants to hear of."""

from __future__ import annotations

from datetime import datetime
from email.errors import MessageError
from email.headerregistry import Address
from typing import TYPE_CHECKING, Any

from trendcast.alerts.delivery import one_line
from trendcast.anomalies.impact import LEVELS
from trendcast.errors import Conflict, InvalidInput, NotFound
from trendcast.services.names import nearest

if TYPE_CHECKING:
    from trendcast.services.runtime import Clock
    from trendcast.store.engine import Database

LONGEST_ADDRESS = 254  # RFC 5321, 4.5.3.1.3
_MAY_CHANGE = ("product_category", "region", "impact_level", "digest")


def listed(db: Database) -> list[dict[str, Any]]:
    """All of them by address: id, channel, address, product_category and region ('' = everything), impact_level,
    digest, created_by, created_at."""
    return [dict(row) for row in db.rows("recipient_list")]


def scopes(db: Database) -> dict[str, list[str]]:
    """The names a scope can have: ``category`` and ``region``, each in order."""
    found: dict[str, list[str]] = {"category": [], "region": []}
    for row in db.rows("recipient_scopes"):
        found[row["what"]].append(row["name"])
    return found


def add(
    db: Database,
    clock: Clock,
    *,
    address: str,
    channel: str = "email",
    product_category: str = "",
    region: str = "",
    impact_level: str = "LOW",
    digest: bool = True,
    who: str,
) -> int:
    """Somebody more who gets alerts; the id. ``product_category``, ``region``: only of these ('' = of all);
    ``impact_level``: of this level and those above. Raises InvalidInput, and Conflict for what is there already."""
    from trendcast import settings

    product_category, region = product_category.strip(), region.strip()
    row = {
        "channel": channel,
        "address": mail_address(address, channel),
        "product_category": product_category,
        "region": region,
        "impact_level": _impact(impact_level),
        "digest": bool(digest),
    }
    _known(db, product_category, region)
    if row["address"].casefold() in {one.casefold() for one in settings.load().alert_recipients}:  # type: ignore[attr-defined]
        raise Conflict(f"{row['address']} gets every alert already: it is in ALERT_RECIPIENTS.")

    def put(connection: Any) -> int:
        number = _put(db, connection, row, who, clock())
        _audit(db, connection, who, "recipient added", row)
        return number

    return db.run_tx(put)


def change(db: Database, clock: Clock, number: int, *, who: str, **changes: Any) -> int:
    """Change what a recipient hears of: product_category, region, impact_level, digest; what is not named stays. The
    id, which is another one when the scope is. Raises NotFound, InvalidInput and Conflict."""
    for name in changes:
        if name not in _MAY_CHANGE:
            raise InvalidInput(f"'{name[:50]}' of a recipient cannot be changed: remove it and add another.")
    if "impact_level" in changes:
        changes["impact_level"] = _impact(changes["impact_level"])
    for name in ("product_category", "region"):
        if name in changes:
            changes[name] = str(changes[name]).strip()
    _known(db, changes.get("product_category", ""), changes.get("region", ""))

    def put(connection: Any) -> int:
        was = _take(db, connection, number)
        row = {**was, **changes}
        if row == was:
            return number
        scope = [(one["product_category"], one["region"]) for one in (row, was)]
        if scope[0] == scope[1]:
            db.execute("recipient_set", connection=connection, id=number, active=True, **_wants(row))
            new = number
        else:
            # Its old scope may be given to the address again later, so each scope has a row of its own.
            db.execute("recipient_set", connection=connection, id=number, active=False, **_wants(was))
            new = _put(db, connection, row, who, clock())
        _audit(db, connection, who, "recipient changed", row, was)
        return new

    return db.run_tx(put)


def remove(db: Database, clock: Clock, number: int, *, who: str) -> None:
    """No more alerts for this one. Raises NotFound."""

    def end(connection: Any) -> None:
        was = _take(db, connection, number)
        db.execute("recipient_set", connection=connection, id=number, active=False, **_wants(was))
        _audit(db, connection, who, "recipient removed", None, was)

    db.run_tx(end)


def _wants(row: dict[str, Any]) -> dict[str, Any]:
    return {name: row[name] for name in ("impact_level", "digest")}


def _put(db: Database, connection: Any, row: dict[str, Any], who: str, now: datetime) -> int:
    rows = db.rows("recipient_put", connection=connection, **row, who=who, now=now)
    if not rows:
        scope = " in ".join(name for name in (row["product_category"], row["region"]) if name) or "everything"
        raise Conflict(f"{row['address']} hears of {scope} already: change that entry instead.")
    return int(rows[0]["id"])


def _take(db: Database, connection: Any, number: int) -> dict[str, Any]:
    rows = db.rows("recipient_take", connection=connection, id=number)
    if not rows:
        raise NotFound(f"There is no recipient {number}.")
    return {name: value for name, value in rows[0].items() if name != "id"}


def mail_address(address: str, channel: str = "email") -> str:
    """A mail address as it is kept, the domain in small letters. Raises InvalidInput."""
    if channel != "email":
        raise InvalidInput(
            f"'{channel[:50]}' is no channel for a recipient: it is a mail address. The webhook is set by "
            "ALERT_WEBHOOK_URL and gets every alert."
        )
    address = address.strip()
    if not address:
        raise InvalidInput("A recipient needs a mail address.")
    shown = one_line(address)[:60]
    if "," in address or ";" in address:
        raise InvalidInput("One address at a time: each has a scope of its own.")
    wrong = InvalidInput(f"'{shown}' is no mail address: it should look like name@example.com.")
    if len(address) > LONGEST_ADDRESS or not address.isascii() or not address.isprintable() or " " in address:
        raise wrong
    try:
        found = Address(addr_spec=address)
    except (MessageError, ValueError, IndexError):
        raise wrong from None
    name, domain = found.username, found.domain.lower()
    if not name or not domain or domain.startswith((".", "-")) or domain.endswith((".", "-")) or ".." in domain:
        raise wrong
    return f"{name}@{domain}"


def _impact(level: str) -> str:
    level = str(level).upper()
    if level not in LEVELS:  # a recipient hears of its level and of those above
        raise InvalidInput(f"'{level[:50]}' is no level: it is one of {', '.join(LEVELS)}.")
    return level


def _known(db: Database, category: str, region: str) -> None:
    """InvalidInput for a name no series has; before anything is loaded every name is taken as it is."""
    if not category and not region:
        return
    found = scopes(db)
    if not found["category"] and not found["region"]:
        return
    for what, name in (("category", category), ("region", region)):
        if name and name not in found[what]:
            raise InvalidInput(f"There is no {what} '{name[:100]}'.", nearest(name, found[what]))


def _audit(
    db: Database,
    connection: Any,
    who: str,
    action: str,
    after: dict[str, Any] | None,
    before: dict[str, Any] | None = None,
) -> None:
    address = (after or before or {})["address"]
    db.execute(
        "audit_add",
        connection=connection,
        actor=who,
        action=action,
        object=f"recipient:{address}",
        before=before,
        after=after,
    )

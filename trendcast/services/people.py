"""Who acts, and what they may do. Pages hide what is not allowed; the service behind them refuses it as well."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass

from trendcast.errors import NotAllowed
from trendcast.settings import Settings

# Each role may do what the ones before it may.
ROLES = ("viewer", "planner", "admin")
_MAY = {
    "viewer": "look at everything",
    "planner": "settle alerts, decide on orders, save scenarios and load data",
    "admin": "change settings, recipients, thresholds and keys",
}


@dataclass(frozen=True)
class Person:
    """A name to log under and a role; keys of the REST service are people called ``key:NAME``."""

    name: str
    role: str

    def may(self, role: str) -> bool:
        """Whether this person may do what ``role`` may."""
        return ROLES.index(self.role) >= ROLES.index(role)


LOCAL = Person("local", "admin")  # whoever sits at this machine, without a login


def is_reserved(name: str) -> bool:
    """Whether a name from outside would pass for a key of the REST service or for whoever sits at this machine."""
    plain = "".join(c for c in unicodedata.normalize("NFKC", name) if c.isprintable()).strip().casefold()
    return plain == LOCAL.name or plain.startswith("key:")


# Each page of the dashboard by its address, and the least role that sees it; what a page lets people do is asked again
# by what does it. A page without a row here is shown to nobody; a test says so.
PAGES: dict[str, str] = {
    "review": "viewer",
    "forecasts": "viewer",
    "what-if": "viewer",
    "anomaly-inbox": "viewer",
    "inventory": "viewer",
    "accuracy": "viewer",
    "data": "viewer",
}


def needed(page: str) -> str:
    """The least role that sees a page; NotAllowed for one nobody was given the right to see."""
    if page not in PAGES:
        raise NotAllowed("Nobody was given the right to see this page.")
    return PAGES[page]


def require(person: Person, role: str) -> None:
    """NotAllowed, with what it takes, unless the person may do what ``role`` may."""
    if not person.may(role):
        raise NotAllowed(
            f"This needs the role {role} ({_MAY[role]}); you are {person.role}. An administrator can change that."
        )


def highest(names: Iterable[str], settings: Settings) -> str | None:
    """The role that a person's group or role names give: the highest; viewer when none fits, and None when only the
    members of certain groups may look."""
    found = {name.strip() for name in names}
    for role in ("admin", "planner"):
        if found & {role, *getattr(settings, f"{role}_groups")}:
            return role
    viewers: tuple[str, ...] = settings.viewer_groups  # type: ignore[assignment]
    return "viewer" if not viewers or found & {"viewer", *viewers} else None

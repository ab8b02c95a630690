"""Who acts, and what they may do. Pages hide what is not allowed; the service behind them refuses it as well."""

from __future__ import annotations

from dataclasses import dataclass

from trendcast.errors import NotAllowed

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


def require(person: Person, role: str) -> None:
    """NotAllowed, with what it takes, unless the person may do what ``role`` may."""
    if not person.may(role):
        raise NotAllowed(
            f"This needs the role {role} ({_MAY[role]}); you are {person.role}. An administrator can change that."
        )


def highest(names: object, planner_groups: tuple[str, ...] = (), admin_groups: tuple[str, ...] = ()) -> str:
    """The role that a list of group or role names, separated by commas, gives: the highest; viewer when none fits."""
    found = {name.strip() for name in str(names).split(",")}
    if found & {"admin", *admin_groups}:
        return "admin"
    return "planner" if found & {"planner", *planner_groups} else "viewer"

"""Which role each address of the REST service takes. An address without a row here answers nobody; a test says so."""

from __future__ import annotations

from fastapi import Request

from trendcast.api.guard import ROLE_HEADER, USER_HEADER
from trendcast.errors import NotAllowed, Unauthenticated
from trendcast.services.people import ROLES, Person, require

# (method, path as the route has it) -> the least role; None: open to everybody who may come in.
NEEDED: dict[tuple[str, str], str | None] = {
    ("GET", "/health"): None,
    ("HEAD", "/health"): None,
    ("GET", "/docs"): "viewer",
    ("POST", "/forecast"): "viewer",
    ("GET", "/forecast"): "viewer",
    ("GET", "/series"): "viewer",
    ("GET", "/recommendations"): "viewer",
    ("GET", "/weekly-review"): "viewer",
    ("POST", "/anomalies/detect"): "planner",
    ("GET", "/anomalies"): "viewer",
    ("GET", "/metrics/dashboard"): "viewer",
}


def person(request: Request) -> Person:
    """Who the guard says is asking; Unauthenticated when it named nobody."""
    name, role = (request.headers.get(header.decode(), "") for header in (USER_HEADER, ROLE_HEADER))
    if not name or role not in ROLES:
        raise Unauthenticated("Please sign in first, or send a key: Authorization: Bearer tc_...")
    return Person(name, role)


def authorise(request: Request) -> None:
    """Refuses what the caller's role does not allow; stands before every address of the service."""
    path = str(getattr(request.scope.get("route"), "path", request.url.path))
    if (request.method, path) not in NEEDED:
        raise NotAllowed("Nobody was given the right to ask this.")
    needed = NEEDED[(request.method, path)]
    if needed is not None:
        require(person(request), needed)

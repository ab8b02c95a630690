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
    ("GET", "/forecasts"): "viewer",
    ("GET", "/series"): "viewer",
    ("GET", "/recommendations"): "viewer",
    ("GET", "/weekly-review"): "viewer",
    ("POST", "/anomalies/detect"): "planner",
    ("GET", "/anomalies/detect/{run_id}"): "viewer",
    ("GET", "/anomalies"): "viewer",
    ("GET", "/incidents"): "viewer",
    ("GET", "/incidents/{incident_id}"): "viewer",
    ("GET", "/incidents/{incident_id}/mails"): "viewer",
    ("POST", "/incidents/{incident_id}/{action}"): "planner",
    ("POST", "/data/{table}"): "planner",
    ("GET", "/data/{table}/{push_id}"): "planner",
    ("GET", "/metrics/dashboard"): "viewer",
    ("POST", "/decisions"): "planner",
    ("GET", "/jobs"): "viewer",
    ("GET", "/thresholds"): "viewer",
    ("POST", "/thresholds/preview"): "planner",
    ("PUT", "/thresholds"): "admin",
    ("DELETE", "/thresholds/{threshold_id}"): "admin",
    ("GET", "/recipients"): "admin",
    ("POST", "/recipients"): "admin",
    ("DELETE", "/recipients/{recipient_id}"): "admin",
    ("POST", "/alerts/test"): "admin",
}


def person(request: Request) -> Person:
    """Who the guard says is asking; Unauthenticated when it named nobody."""
    # Headers are bytes, which the framework reads as latin-1; ours are UTF-8.
    name, role = (
        request.headers.get(header.decode(), "").encode("latin-1").decode("utf-8", "replace")
        for header in (USER_HEADER, ROLE_HEADER)
    )
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

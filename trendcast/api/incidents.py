"""Early warning over REST: detections, what was found, and incidents with the moves people make.

Who changes an incident says which version was seen (If-Match), so that two people never undo each other unawares.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime
from typing import TYPE_CHECKING, Annotated, Any, Literal

from fastapi import HTTPException, Path, Query, Request, Response
from pydantic import BaseModel, Field

from trendcast.api import models, policy
from trendcast.api.shared import (
    KeyHeader,
    MatchHeader,
    PreferHeader,
    answer,
    example,
    failures,
    inbox_key,
    once,
    page,
    plain,
    prefers_async,
    records,
    remembered,
    router,
    seen_version,
    work,
)
from trendcast.errors import NoRight
from trendcast.services import detect_runs, incidents, jobs, plain_rule, runtime

if TYPE_CHECKING:
    from trendcast.store.engine import Database

routes = router()

# ------------------------------------------------------------------------------------------------------- detection


class DetectStarted(BaseModel):
    """A worker is asked; ``href`` tells what it found."""

    success: Literal[True] = True
    run_id: int
    state: Literal["queued", "running"]
    href: str


_STARTED: dict[int | str, dict[str, Any]] = {
    202: {"model": DetectStarted, "description": "A worker does it: ask at Location"}
}
RunId = Annotated[int, Path(ge=1, le=2**62)]
Scope = Annotated[
    list[models.Name],
    Query(max_length=100, description="Only anomalies of these categories, regions or stores; all are checked anyway."),
]


@routes.post(
    "/anomalies/detect",
    response_model=models.DetectAnswer,
    responses={**_STARTED, **failures(403, 404, 409, 422, 503)},
)
async def detect_anomalies(
    request: Request,
    wanted: Annotated[models.DetectQuery, Query()],
    key: KeyHeader = None,
    prefer: PreferHeader = None,
) -> Response:
    """Check the days that are new or changed. The same data are judged once: a second call gets the first one's
    answer. `rule=plain` gives the customer's plain rule over the last 30 days instead, and stores nothing."""

    def check() -> Response:
        db = runtime.database()
        detect_runs.check_scope(db, wanted.scope)
        if wanted.rule == "plain":
            return answer(_found(plain_rule.plain_check(db), wanted.scope, dry_run=wanted.dry_run, rule="plain"))
        how: dict[str, Any] = {"dry_run": wanted.dry_run, "as_of": wanted.as_of}
        if not prefers_async(request):
            try:
                found = detect_runs.now(db, runtime.clock, **how)
                return answer(_found(found, wanted.scope, dry_run=wanted.dry_run))
            except NoRight:
                pass  # a process that may not write asks a worker
        number = detect_runs.start(db, **how)
        patience = 0.0 if prefers_async(request) else jobs.PATIENCE
        return _run(number, detect_runs.told(jobs.settled(db, number, patience)), wanted.scope)

    return await once(request, lambda: work(check))


@routes.get(
    "/anomalies/detect/{run_id}",
    response_model=models.DetectAnswer,
    responses={**_STARTED, **failures(404, 409, 422, 503)},
)
async def detection(run_id: RunId, scope: Scope = []) -> Response:  # noqa: B006  never changed
    """What a detection found that a worker was asked for; 202 while it waits or works."""
    return await work(lambda: _run(run_id, detect_runs.result(runtime.database(), run_id), scope))


def _found(result: dict[str, Any], scope: list[str], *, dry_run: bool, rule: str = "trendcast") -> models.DetectAnswer:
    found = detect_runs.within(result, scope)
    return models.DetectAnswer.model_validate(
        {
            **found,
            "anomalies_detected": found.get("n_flagged", len(found["anomalies"])),
            "checked_at": runtime.clock(),
            "dry_run": dry_run,
            "rule": rule,
        }
    )


def _run(number: int, found: dict[str, Any], scope: list[str]) -> Response:
    if found["result"] is not None:
        return answer(_found(found["result"], scope, dry_run=found["dry_run"]))
    if found["state"] in ("queued", "running"):
        href = f"/anomalies/detect/{number}"
        body = DetectStarted(run_id=number, state=found["state"], href=href)
        return answer(body, 202, {"location": href, "retry-after": "2"})
    return answer(models.Failure(error=found["error"] or "The detection was not done: ask for it again."), 409)


@routes.get("/anomalies", response_model=models.AnomalyRows, responses=failures(422, 503))
async def anomaly_rows(wanted: Annotated[models.AnomalyQuery, Query()]) -> Response:
    """Logged anomalies, the newest day first, each with its incident, headline and next step."""

    def read(db: Database) -> models.AnomalyRows:
        found = incidents.listed(db, **_filters(wanted))
        return models.AnomalyRows.model_validate(
            {
                "finding": incidents.finding(db),
                "anomalies": found.rows,
                **page("/anomalies", wanted, found.total, len(found.rows)),
            }
        )

    return await work(_inbox, wanted, read)


# ------------------------------------------------------------------------------------------------------- incidents

Disposition = Literal["expected", "new_normal", "false_alarm", "confirmed", "data_issue"]
Action = Annotated[str, Path(max_length=50, json_schema_extra={"enum": list(incidents.ACTIONS)})]


class IncidentQuery(models.Request):
    """Which incidents; a list is a repeated parameter."""

    status: list[models.Status] = Field(default=["NEW", "ACKNOWLEDGED"], description="Without it, those that are open.")
    impact: list[models.Impact] = Field(default=[])
    kind: list[models.Kind] = Field(default=[])
    category: list[models.Name] = Field(default=[], max_length=1000)
    region: list[models.Name] = Field(default=[], max_length=1000)
    store: list[models.Name] = Field(default=[], max_length=1000)
    since: models.Date | None = Field(default=None, description="Only what was still notable on that day or later.")
    snoozed: bool | None = Field(default=None, description="Whether those that somebody put off; without it, both.")
    offset: int = Field(default=0, ge=0, le=1_000_000_000)
    limit: int = Field(default=100, ge=1, le=models.PAGE_ROWS)


class IncidentRow(BaseModel):
    """One incident as the inbox has it; figures are those of the worst day unless they say otherwise."""

    incident_id: int
    version: int = Field(description="For If-Match, when you change it.")
    status: models.Status
    impact: models.Impact
    kind: models.Kind
    class_: str = Field(alias="class")
    level: models.Level
    product_category: str
    region: str
    store: str
    day: date = Field(description="The newest day that was notable.")
    first_day: date
    worst_day: date
    actual: float | None
    expected: float | None
    low: float | None
    high: float | None
    score: float | None
    loss: float | None = Field(description="Money over all days; null without prices.")
    loss_units: float | None
    direction: int
    headline: str | None
    cause: str | None
    next_step: str | None
    owner: str | None
    members: int
    age_days: int = Field(description="Business days since it began.")
    snoozed_until: date | None
    disposition: Disposition | None
    note: str | None
    created_at: datetime


class IncidentRows(models.Page):
    success: Literal[True] = True
    finding: str = Field(description="What happened and what to do first, as the inbox says it.")
    incidents: list[IncidentRow] = Field(description="The open ones first, most money first.")


class Member(BaseModel):
    """An anomaly inside an incident."""

    anomaly_id: int
    day: date
    first_day: date
    last_day: date | None
    level: models.Level
    product_category: str
    region: str
    store: str
    actual: float | None
    expected: float | None
    low: float | None
    high: float | None
    score: float | None
    impact: models.Impact
    kind: models.Kind
    class_: str = Field(alias="class")
    direction: int
    loss: float | None
    loss_units: float | None
    lead: bool
    cause: str | None
    share: float | None = Field(description="Its part of the incident.")


class IncidentEvent(BaseModel):
    at: datetime
    who: str
    action: str
    from_status: str | None
    to_status: str | None
    note: str | None


class Similar(BaseModel):
    incident_id: int
    first_day: date
    headline: str | None
    status: models.Status
    disposition: Disposition | None
    note: str | None


class Mail(BaseModel):
    """A message of this incident and what became of it."""

    id: int
    channel: str
    recipient: str
    reason: str | None
    subject: str
    body_text: str
    status: Literal["PENDING", "SENDING", "SENT", "UNKNOWN", "DEAD", "CANCELLED"]
    attempts: int
    last_code: int | None
    last_error: str | None
    message_id: str
    created: datetime
    next_attempt_at: datetime | None
    sent_at: datetime | None


class Incident(IncidentRow):
    success: Literal[True] = True
    days: list[dict[str, Any]] = Field(description="Each notable day: what was sold and expected, band and p-value.")
    anomalies: list[Member] = Field(description="Its own first, then by what they make up of it.")
    events: list[IncidentEvent] = Field(description="What happened to it, oldest first.")
    similar: list[Similar] = Field(description="Earlier ones of the same series, and how they ended.")
    rule: list[str] = Field(description="The rule with its numbers filled in.")
    explained: list[Any] = Field(description="What explains most of it.")
    mails: int = Field(description="Messages about it; /incidents/{id}/mails has them.")


class Mails(models.Page):
    success: Literal[True] = True
    mails: list[Mail] = Field(description="The newest first.")


class Move(models.Request):
    note: str = Field(default="", max_length=2000, description="resolve, expected and data_issue need one.")
    until: models.Date | None = Field(default=None, description="The day a snooze ends; after today.")
    owner: models.Name | None = Field(default=None, description="Who looks after it; without one, you.")


class Moved(BaseModel):
    success: Literal[True] = True
    incident_id: int
    version: int
    status: models.Status
    disposition: Disposition | None
    snoozed_until: date | None
    owner: str | None
    note: str | None
    changed: bool = Field(description="false: it was so already, and nothing was logged")


class MailsQuery(models.Request):
    offset: int = Field(default=0, ge=0, le=1_000_000_000)
    limit: int = Field(default=50, ge=1, le=200)


IncidentId = Annotated[int, Path(ge=1, le=2**62)]


@routes.get("/incidents", response_model=IncidentRows, responses=failures(422, 503))
async def incident_rows(wanted: Annotated[IncidentQuery, Query()]) -> Response:
    """Incidents as the inbox has them: an outage of a region is one, with its members inside."""

    def read(db: Database) -> IncidentRows:
        found = incidents.inbox_page(db, **_filters(wanted), snoozed=wanted.snoozed)
        return IncidentRows.model_validate(
            {
                "finding": incidents.finding(db),
                "incidents": plain(found.rows),
                **page("/incidents", wanted, found.total, len(found.rows)),
            }
        )

    return await work(_inbox, wanted, read)


def _filters(wanted: models.AnomalyQuery | IncidentQuery) -> dict[str, Any]:
    """What was asked for, as the services call it."""
    return {
        "categories": wanted.category,
        "regions": wanted.region,
        "stores": wanted.store,
        "statuses": wanted.status,
        "impacts": wanted.impact,
        "kinds": wanted.kind,
        "since": wanted.since,
        "offset": wanted.offset,
        "limit": wanted.limit,
    }


def _inbox(wanted: BaseModel, read: Callable[[Database], BaseModel]) -> Response:
    db = runtime.database()
    return remembered(inbox_key(db, wanted), lambda: read(db))


@routes.get("/incidents/{incident_id}", response_model=Incident, responses=failures(404, 422, 503))
async def one_incident(incident_id: IncidentId) -> Response:
    """One incident with all behind it, as its page shows it. The ETag is its version, for If-Match."""

    def read() -> Incident:
        found = incidents.incident(runtime.database(), incident_id)
        known = {name: plain(value) for name, value in found.items()}
        return Incident.model_validate({**known, "mails": len(found["mails"])})

    one = await work(read)
    return answer(one, headers={"etag": f'"{one.version}"'})


@routes.get("/incidents/{incident_id}/mails", response_model=Mails, responses=failures(404, 422, 503))
async def incident_mails(incident_id: IncidentId, wanted: Annotated[MailsQuery, Query()]) -> Response:
    """Every message about an incident, as it was written, and what became of it."""

    def read() -> Mails:
        rows = records(incidents.incident(runtime.database(), incident_id)["mails"])
        some = rows[wanted.offset : wanted.offset + wanted.limit]
        where = page(f"/incidents/{incident_id}/mails", wanted, len(rows), len(some))
        return Mails.model_validate({"mails": some, **where})

    return answer(await work(read))


@routes.post(
    "/incidents/{incident_id}/{action}",
    response_model=Moved,
    responses=failures(404, 409, 412, 422, 428, 503),
    openapi_extra=example({"note": "A burst pipe; open again on Thursday."}),
)
async def move_incident(
    request: Request,
    incident_id: IncidentId,
    action: Action,
    sent: Move | None = None,
    seen: MatchHeader = None,
    key: KeyHeader = None,
) -> Response:
    """Settle an incident and its members: take it, put it off, give a verdict or take the last move back. A verdict
    also changes what the detector learns from. If-Match names the version you have seen."""
    if action not in incidents.ACTIONS:
        raise HTTPException(405 if action == "mails" else 404)
    version = seen_version(request)
    who = policy.person(request).name
    body = sent or Move()

    def move() -> Response:
        found = incidents.move(
            runtime.database(),
            runtime.clock,
            incident_id,
            action,
            who=who,
            version=version,
            note=body.note,
            until=body.until,
            owner=body.owner,
        )
        return answer(Moved.model_validate(found), headers={"etag": f'"{found["version"]}"'})

    return await once(request, lambda: work(move))

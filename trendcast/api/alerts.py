"""What people set and decide, over REST: thresholds, recipients, the mail self-test, decisions on stock; and jobs."""

from __future__ import annotations

from dataclasses import asdict
from datetime import date, datetime
from typing import Annotated, Any, Literal

from fastapi import Path, Query, Request, Response
from pydantic import BaseModel, Field

from trendcast.api import models, policy
from trendcast.api.shared import (
    KeyHeader,
    answer,
    current,
    example,
    failures,
    once,
    page,
    plain,
    records,
    router,
    stamp,
    work,
)
from trendcast.errors import Conflict, NotConfigured, NotFound
from trendcast.services import alerts, decisions, listing, recipients, recommend, runtime, thresholds, timetable

routes = router()

Id = Annotated[int, Path(ge=1, le=2**31 - 1)]
Scope = Annotated[str, Field(max_length=100, json_schema_extra=models.PRINTABLE), models.Printable]


class PageQuery(models.Request):
    offset: int = Field(default=0, ge=0, le=1_000_000_000)
    limit: int = Field(default=500, ge=1, le=models.PAGE_ROWS)


class Removed(BaseModel):
    success: Literal[True] = True
    id: int


# ------------------------------------------------------------------------------------------------------ thresholds

ThresholdName = Literal["high_loss", "least_change", "least_units", "false_rate"]
if set(ThresholdName.__args__) != set(thresholds.NAMES):  # type: ignore[attr-defined]
    raise AssertionError("the service's thresholds are those of services/thresholds.py")


class Node(models.Request):
    """What a figure is for: '' is everything, the narrowest that fits holds."""

    name: ThresholdName
    level: Literal["", "total", "region", "store", "category", "category_region", "category_store"] = ""
    product_category: Scope = ""
    region: Scope = ""
    store: Scope = ""


class ThresholdSet(Node):
    value: float = Field(allow_inf_nan=False, strict=True, description="In the unit that GET names.")
    reason: str = Field(
        min_length=1, max_length=500, description="Why; others will wonder when an alert does not come."
    )


class ThresholdTried(Node):
    value: float | None = Field(
        allow_inf_nan=False, strict=True, description="null: as if the figure of this node were taken back."
    )


class Threshold(BaseModel):
    id: int
    name: str
    level: str
    product_category: str
    region: str
    store: str
    value: float
    reason: str | None
    set_by: str
    set_at: datetime


class ThresholdKind(BaseModel):
    """A figure of the rules that can be set."""

    name: str
    label: str
    unit: Literal["money", "units", "share"]
    default: str = Field(description="What holds where nothing is set.")
    lowest: float
    highest: float


class Thresholds(models.Page):
    success: Literal[True] = True
    thresholds: list[Threshold] = Field(description="What is set, the broadest first.")
    names: list[ThresholdKind]


class ThresholdPut(BaseModel):
    success: Literal[True] = True
    id: int


class Example(BaseModel):
    day: date
    name: str
    headline: str
    before: models.Impact | None
    after: models.Impact | None


class PreviewAnswer(BaseModel):
    """The last days replayed without and with the figure; nothing was written."""

    success: Literal[True] = True
    sentence: str
    days: int
    before: int = Field(description="Incidents as it is.")
    after: int = Field(description="Incidents as it would have been.")
    high_before: int
    high_after: int
    mails_before: int
    mails_after: int
    lost_confirmed: int = Field(description="Confirmed incidents that would not have been raised.")
    examples: list[Example] = Field(description="What would have been another, the most serious first.")


_THRESHOLD = {
    "name": "high_loss", "level": "category", "product_category": "Electronics", "value": 5000,
    "reason": "Below that nobody acts.",
}  # fmt: skip


@routes.get("/thresholds", response_model=Thresholds, responses=failures(422, 503))
async def threshold_rows(wanted: Annotated[PageQuery, Query()]) -> Response:
    """The figures of early warning that people set, and those that can be set."""

    def read() -> Thresholds:
        rows = records(thresholds.listed(runtime.database()))
        some = rows[wanted.offset : wanted.offset + wanted.limit]
        names = [{"name": name, **asdict(about)} for name, about in thresholds.NAMES.items()]
        where = page("/thresholds", wanted, len(rows), len(some))
        return Thresholds.model_validate({"thresholds": some, "names": names, **where})

    return answer(await work(read))


@routes.put(
    "/thresholds",
    response_model=ThresholdPut,
    responses=failures(404, 409, 422, 503),
    openapi_extra=example(_THRESHOLD),
)
async def set_threshold(request: Request, sent: ThresholdSet) -> Response:
    """Set a figure for everything, a category or one series; it holds from the next data on, and is audited."""
    who = policy.person(request).name

    def put() -> ThresholdPut:
        return ThresholdPut(id=thresholds.put(runtime.database(), runtime.clock, who=who, **sent.model_dump()))

    return answer(await work(put))


@routes.post(
    "/thresholds/preview",
    response_model=PreviewAnswer,
    responses=failures(404, 409, 422, 503),
    openapi_extra=example({name: value for name, value in _THRESHOLD.items() if name != "reason"}),
)
async def preview_threshold(sent: ThresholdTried) -> Response:
    """What the last 90 days would have been with a figure; some seconds with many series. Nothing is written."""

    def preview() -> PreviewAnswer:
        found = thresholds.preview(runtime.database(), runtime.clock, **sent.model_dump())
        return PreviewAnswer.model_validate(asdict(found))

    return answer(await work(preview))


@routes.delete("/thresholds/{threshold_id}", response_model=Removed, responses=failures(404, 422, 503))
async def remove_threshold(request: Request, threshold_id: Id) -> Response:
    """Take a figure back: what is set more broadly holds again, or the default."""
    who = policy.person(request).name
    await work(lambda: thresholds.remove(runtime.database(), runtime.clock, threshold_id, who=who))
    return answer(Removed(id=threshold_id))


# ------------------------------------------------------------------------------------------------------ recipients


class RecipientNew(models.Request):
    address: str = Field(min_length=3, max_length=254, description="A mail address.", examples=["ann@shop.example"])
    product_category: Scope = Field(default="", description="'' is every category.")
    region: Scope = Field(default="", description="'' is every region.")
    impact_level: models.Impact = Field(default="LOW", description="Of this level and those above.")
    digest: bool = Field(default=True, description="Whether they get the digest at 08:00 and 14:00.")


class Recipient(BaseModel):
    id: int
    channel: Literal["email", "webhook"]
    address: str
    product_category: str
    region: str
    impact_level: models.Impact
    digest: bool
    created_by: str
    created_at: datetime


class Recipients(models.Page):
    success: Literal[True] = True
    recipients: list[Recipient] = Field(description="Beside ALERT_RECIPIENTS, who get every alert.")


class Added(BaseModel):
    success: Literal[True] = True
    id: int


@routes.get("/recipients", response_model=Recipients, responses=failures(422, 503))
async def recipient_rows(wanted: Annotated[PageQuery, Query()]) -> Response:
    """Who gets alerts, each with a scope."""

    def read() -> Recipients:
        rows = recipients.listed(runtime.database())
        some = rows[wanted.offset : wanted.offset + wanted.limit]
        return Recipients.model_validate({"recipients": some, **page("/recipients", wanted, len(rows), len(some))})

    return answer(await work(read))


@routes.post(
    "/recipients",
    status_code=201,
    response_model=Added,
    responses=failures(409, 422, 503),
    openapi_extra=example({"address": "ann@shop.example", "region": "North", "impact_level": "HIGH"}),
)
async def add_recipient(request: Request, sent: RecipientNew, key: KeyHeader = None) -> Response:
    """Somebody more who gets alerts, of everything or of a category or region."""
    who = policy.person(request).name

    def add() -> Response:
        number = recipients.add(runtime.database(), runtime.clock, who=who, **sent.model_dump())
        return answer(Added(id=number), 201, {"location": f"/recipients/{number}"})

    return await once(request, lambda: work(add))


@routes.delete("/recipients/{recipient_id}", response_model=Removed, responses=failures(404, 422, 503))
async def remove_recipient(request: Request, recipient_id: Id) -> Response:
    """No more alerts for this one."""
    who = policy.person(request).name
    await work(lambda: recipients.remove(runtime.database(), runtime.clock, recipient_id, who=who))
    return answer(Removed(id=recipient_id))


# ------------------------------------------------------------------------------------------------------- self-test


class MailTest(models.Request):
    address: str = Field(
        min_length=3, max_length=254, description="Where the test goes.", examples=["ann@shop.example"]
    )


class MailTestAnswer(BaseModel):
    success: Literal[True] = True
    outcome: Literal["sent"]
    code: int | None = Field(description="What the mail server answered: 250 is yes.")
    answer: str


@routes.post(
    "/alerts/test",
    response_model=MailTestAnswer,
    responses=failures(409, 422, 502, 503),
    openapi_extra=example({"address": "ann@shop.example"}),
)
async def send_test(request: Request, sent: MailTest, key: KeyHeader = None) -> Response:
    """Send one mail now and say what the mail server answered; 409 names the setting that is missing, 502 has the
    server's refusal."""
    who = policy.person(request).name

    def send() -> Response:
        db, settings = runtime.database(), runtime.process.settings
        address = recipients.mail_address(sent.address)
        try:
            found = alerts.self_test(db, settings, runtime.clock(), address, who=who)
        except NotConfigured as error:
            raise Conflict(str(error)) from error
        if found["outcome"] != "sent":
            return answer(models.Failure(error=f"The test was not sent: {found['answer']}"), 502)
        return answer(MailTestAnswer.model_validate(found))

    return await once(request, lambda: work(send))


# ------------------------------------------------------------------------------------------------------- decisions


class DecisionNew(models.Request):
    product_category: models.Name
    decision: Literal["accept", "modify", "reject", "defer"]
    value: float | None = Field(
        default=None, ge=0, le=1e9, allow_inf_nan=False, strict=True, description="The quantity; modify needs one."
    )
    reason_code: str | None = Field(default=None, min_length=1, max_length=50)
    reason: str = Field(default="", max_length=2000, description="modify and reject need this or a reason_code.")
    owner: models.Name | None = None
    due_on: models.Date | None = None
    run: models.RunNumber | None = Field(
        default=None, description="The run whose advice it is; without it, the current."
    )
    replaces: int | None = Field(default=None, ge=1, le=2**62, description="The decision you saw and change.")


class Decided(BaseModel):
    success: Literal[True] = True
    decision_id: int
    run: models.RunStamp


@routes.post(
    "/decisions",
    status_code=201,
    response_model=Decided,
    responses=failures(404, 409, 422, 503),
    openapi_extra=example({"product_category": "Electronics", "decision": "accept"}),
)
async def decide(request: Request, sent: DecisionNew, key: KeyHeader = None) -> Response:
    """Note what you decide on the advice for one category. What came of it is told when the order could have arrived;
    a changed mind is a new decision in place of the old one."""
    who = policy.person(request).name

    def note() -> Response:
        db, run, _ = current(sent.run)
        advice = recommend.advice(db, run.id, [sent.product_category])
        if advice.empty:
            raise NotFound(f"There is no advice on the stock of '{sent.product_category}'.")
        shown = {name: plain(value) for name, value in advice.iloc[0].items()}
        fields = sent.model_dump(exclude={"run", "product_category", "decision"})
        number = decisions.decide(
            db,
            runtime.clock,
            run_id=run.id,
            product_category=sent.product_category,
            decision=sent.decision,
            recommendation=decisions.plain(shown),
            who=who,
            **fields,
        )
        return answer(Decided.model_validate({"decision_id": number, "run": stamp(run)}), 201)

    return await once(request, lambda: work(note))


# ------------------------------------------------------------------------------------------------------------ jobs

State = Literal["queued", "running", "done", "skipped", "dead"]


class JobQuery(models.Request):
    name: list[models.Name] = Field(default=[], max_length=50)
    state: list[State] = Field(default=[], max_length=5)
    offset: int = Field(default=0, ge=0, le=1_000_000_000)
    limit: int = Field(default=50, ge=1, le=models.PAGE_ROWS)


class Progress(BaseModel):
    stage: str = ""
    done: int = 0
    total: int = 0


class Job(BaseModel):
    id: int
    name: str
    state: State
    at_work: bool = Field(description="Whether a worker holds it now.")
    scheduled_for: datetime
    attempts: int
    next_attempt_at: datetime
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    seconds: float | None = Field(description="How long it took, or has taken so far; null: not begun.")
    error: str | None
    progress: Progress


class Timetable(BaseModel):
    """One kind of job: when it is due next, and how it usually goes."""

    name: str
    at_work: bool
    next_due: datetime | None = Field(description="null: when data comes, or somebody asks.")
    ended_at: datetime | None
    last_state: str | None
    last_error: str | None
    seconds: float | None = Field(description="Of the last one.")
    usual_seconds: float | None = Field(description="Median of the last twenty that succeeded.")
    dead: int = Field(description="How many failed for good in 60 days.")


class Jobs(models.Page):
    success: Literal[True] = True
    timetable: list[Timetable]
    jobs: list[Job] = Field(description="The newest first.")


@routes.get("/jobs", response_model=Jobs, responses=failures(422, 503))
async def job_rows(wanted: Annotated[JobQuery, Query()]) -> Response:
    """Jobs that wait, work or have ended, with how long they took and why they failed; and what is due when."""

    def read() -> Jobs:
        db = runtime.database()
        found = listing.job_rows(db, wanted.name, wanted.state, wanted.offset, wanted.limit)
        where = page("/jobs", wanted, found.total, len(found.rows))
        kinds = records(timetable.timetable(db, runtime.process.settings))
        return Jobs.model_validate({"timetable": kinds, "jobs": [_job(row) for row in found.rows], **where})

    return answer(await work(read))


def _job(row: dict[str, Any]) -> dict[str, Any]:
    known = {name: row["progress"][name] for name in ("stage", "done", "total") if name in row["progress"]}
    return {**row, "progress": known}

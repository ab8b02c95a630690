"""Rows that other systems push: POST /data/{table}, and what became of rows a worker was given."""

from __future__ import annotations

from dataclasses import asdict
from datetime import date
from typing import Annotated, Any, Literal

from fastapi import Path, Query, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

from trendcast.api import models, policy
from trendcast.api.shared import KeyHeader, PreferHeader, answer, example, failures, once, prefers_async, router, work
from trendcast.errors import NoRight
from trendcast.services import jobs, push, runtime
from trendcast.services.tables import LONGEST_NAME, TABLES

routes = router()

TableName = Annotated[
    str, Path(max_length=50, json_schema_extra={"enum": list(TABLES)}, description="A table of the data contract.")
]
_Field = Annotated[str, Field(min_length=1, max_length=LONGEST_NAME)]


class DataRows(models.Request):
    """A body is a table: its columns are the fields any row has; a row without one of them has nothing there."""

    rows: list[dict[_Field, push.Value | dict[_Field, push.Value]]] = Field(
        min_length=1,
        max_length=push.MOST_ROWS,
        description="Each an object of the table's fields, days written as 2024-12-31. A field nobody names keeps its "
        "stored values; null clears them. Only stores has a field that is an object: attributes.",
    )


class DataQuery(models.Request):
    accept: bool = Field(default=False, description="Merge also what would be held; the audit names you.")
    dry_run: bool = Field(default=False, description="Check everything and change nothing.")


class RefusedRow(BaseModel):
    row: int = Field(description="Its place in what was sent, from 1.")
    reason: str


class Loaded(BaseModel):
    """rows_in = merged + unchanged + repeated + quarantined, unless the batch is held."""

    table: str
    status: Literal["merged", "held", "rejected"]
    batch_id: int | None = Field(description="Under which the Data page lists it; null after a dry run.")
    rows_in: int
    merged: int = Field(description="New rows and rows with changed values.")
    new: int
    changed: int = Field(description="Their old values are kept in history.")
    unchanged: int
    repeated: int = Field(description="Equal rows of the same key, counted once.")
    quarantined: int
    reasons: dict[str, int] = Field(description="Why rows are in quarantine, and how many.")
    refused: list[RefusedRow] = Field(description="The first of them; all are on the Data page.")
    reason: str | None = Field(description="Why the batch is held or rejected.")
    notes: list[str]
    first_day: date | None
    last_day: date | None
    replaced_demo: bool = Field(description="The demo retailer made way for these, the first data of your own.")
    dry_run: bool


class DataAnswer(Loaded):
    success: Literal[True] = True


class DataRefused(Loaded):
    """The one shape of every error, with what became of the rows."""

    success: Literal[False] = False
    error: str


class DataQueued(BaseModel):
    """A worker loads the rows; ``href`` tells when it has."""

    success: Literal[True] = True
    table: str
    status: Literal["queued", "running"]
    push_id: int
    href: str


_EXAMPLE = {
    "rows": [
        {"date_id": "2026-10-01", "product_category": "Electronics", "region": "North", "sales_units": 12},
        {"date_id": "2026-10-01", "product_category": "Clothing", "region": "North", "sales_units": 7.5},
    ]
}
_OUTCOMES: dict[int | str, dict[str, Any]] = {
    202: {"model": DataQueued, "description": "A worker loads the rows: ask at Location"},
    409: {"model": DataRefused | models.Failure, "description": "The batch looks wrong as a whole and is held"},
    422: {"model": DataRefused | models.Failure, "description": "Another shape, or no row that can be used"},
}


@routes.post(
    "/data/{table}",
    response_model=DataAnswer,
    responses={**_OUTCOMES, **failures(403, 404, 503)},
    openapi_extra=example(_EXAMPLE),
)
async def push_rows(
    request: Request,
    table: TableName,
    sent: DataRows,
    wanted: Annotated[DataQuery, Query()],
    key: KeyHeader = None,
    prefer: PreferHeader = None,
) -> Response:
    """Up to 10,000 rows of one table, loaded as files are: bad rows go to quarantine with their reason, the good ones
    are merged, replaced values are kept, and the same rows again change nothing. A batch that looks wrong as a whole
    is held (409) until it is sent with `accept=true`. Detection starts by itself."""
    who = policy.person(request).name
    how: dict[str, Any] = {"who": who, "accept": wanted.accept}

    def load() -> Response:
        db = runtime.database()
        if wanted.dry_run or not (prefers_async(request) or push.awaited(db, table)):
            try:
                return _told(push.push(db, runtime.clock, table, sent.rows, dry_run=wanted.dry_run, **how))
            except NoRight:
                if wanted.dry_run:
                    raise
        number = push.leave(db, table, sent.rows, **how)
        patience = 0.0 if prefers_async(request) else jobs.PATIENCE
        return _state(table, number, push.told(jobs.settled(db, number, patience), table), 202)

    return await once(request, lambda: work(load))


@routes.get("/data/{table}/{push_id}", response_model=DataAnswer, responses={**_OUTCOMES, **failures(404, 503)})
async def pushed_rows(table: TableName, push_id: Annotated[int, Path(ge=1, le=2**62)]) -> Response:
    """What became of rows that a worker was given; 202 while they wait."""
    return await work(lambda: _state(table, push_id, push.left(runtime.database(), table, push_id), 202))


def _state(table: str, number: int, found: dict[str, Any], waiting: int) -> Response:
    if found["result"] is not None:
        return _told(found["result"])
    if found["state"] in ("queued", "running"):
        href = f"/data/{table}/{number}"
        body = DataQueued(table=table, status=found["state"], push_id=number, href=href)
        return answer(body, waiting, {"location": href, "retry-after": "2"})
    failure = models.Failure(error=found["error"] or "The rows were not loaded: send them again.")
    return answer(failure, 409)


def _told(found: push.Pushed) -> Response:
    known = {**asdict(found), "merged": found.merged}
    if found.status == "merged":
        return answer(DataAnswer.model_validate(known))
    if found.status == "held":
        said = f"The rows are held and were not merged: {found.reason}. Send them with accept=true to merge them."
    else:
        said = found.reason or "No row can be used."
    status = 409 if found.status == "held" else 422
    return JSONResponse(DataRefused.model_validate({**known, "error": said}).model_dump(mode="json"), status)

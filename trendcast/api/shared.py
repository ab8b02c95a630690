"""What the routers share: threads for work, the current run, one way to page, to answer and to ask who is there."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Hashable, Mapping
from typing import Annotated, Any, ParamSpec, TypeVar
from urllib.parse import urlencode

import anyio
import anyio.to_thread
import numpy as np
import pandas as pd
from fastapi import APIRouter, Depends, Header, Request, Response
from pydantic import BaseModel

from trendcast.api import models, policy
from trendcast.api.cache import Memory
from trendcast.errors import Stale, TrendCastError, VersionNeeded
from trendcast.services import forecast, idempotency, incidents, runtime
from trendcast.services.forecast import RunInfo

P = ParamSpec("P")
T = TypeVar("T")

AT_ONCE = 8

_FAILURES: dict[int | str, dict[str, Any]] = {
    403: {
        "model": models.Failure,
        "description": "The role, of the caller or of this process in the database, does not allow it",
    },
    404: {"model": models.Failure, "description": "No such name; the sentence has the nearest ones"},
    409: {"model": models.Failure, "description": "It does not fit the present state, for example no run yet"},
    412: {
        "model": models.Failure,
        "description": "It was changed since it was read: If-Match names another version",
    },
    422: {"model": models.Failure, "description": "A field is missing, unknown or out of range"},
    428: {"model": models.Failure, "description": "The header If-Match is missing: the version that was seen"},
    502: {"model": models.Failure, "description": "The mail server refused"},
    503: {"model": models.Failure, "description": "The database is away"},
}

# Headers a route may be sent; what reads them is below.
KeyHeader = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=idempotency.LONGEST_KEY,
        description="The same key with the same request, within a day, gets the first answer: nothing is done twice.",
    ),
]
PreferHeader = Annotated[
    str | None,
    Header(alias="Prefer", description="respond-async: answer 202 at once, with the address to ask at in Location."),
]
MatchHeader = Annotated[
    str | None,
    Header(alias="If-Match", description='The version that was seen, as the ETag has it: "3".'),
]

# Database work leaves the event loop; it has threads of its own, so that it never takes those of the dashboard's files.
_limiter = anyio.CapacityLimiter(AT_ONCE)
indexes: Memory[pd.DataFrame] = Memory(2)
latest: Memory[RunInfo] = Memory(2)
RUN_SECONDS = 0.5
lists: Memory[bytes] = Memory(64)
INBOX_SECONDS = 5  # two moves at once may come out of order: so old a list can be then


def failures(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """How a route answers with these statuses, for the description."""
    return {status: _FAILURES[status] for status in statuses}


def router() -> APIRouter:
    """Routes of one subject; before each stands the same policy."""
    return APIRouter(dependencies=[Depends(policy.authorise)], redirect_slashes=False)


async def work(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """The function in a thread that may wait for the database."""
    return await anyio.to_thread.run_sync(lambda: function(*args, **kwargs), limiter=_limiter)


def current(run_id: int | None = None) -> tuple[Any, RunInfo, pd.DataFrame]:
    """The database, the current run (or one that is still kept) and the index of its series, for one request."""
    db = runtime.database()
    if run_id is None:
        # A run never changes, so nothing is mixed; who asks just after a new one gets it a moment later.
        run = latest.get((db.url, int(time.monotonic() / RUN_SECONDS)), lambda: forecast.current_run(db))
    else:
        run = forecast.run_info(db, run_id)
    return db, run, indexes.get((db.url, run.id), lambda: forecast.series_index(db, run.id))


def stamp(run: RunInfo) -> dict[str, Any]:
    """The run as answers name it."""
    return {"id": run.id, "kind": run.kind, "last_day": run.last_day, "published_at": run.published_at}


def answer(model: BaseModel, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    body = model.model_dump_json(by_alias=True)
    return Response(body, status, dict(headers or {}), media_type="application/json")


def remembered(key: Hashable, make: Callable[[], BaseModel], where: Memory[bytes] | None = None) -> Response:
    """The answer that this key had before, or the one that is made."""
    body = (lists if where is None else where).get(key, lambda: make().model_dump_json(by_alias=True).encode())
    return Response(body, media_type="application/json")


def inbox_key(db: Any, wanted: BaseModel) -> Hashable:
    """Under which a list of the inbox is remembered: until something happens to it."""
    period = int(runtime.clock().timestamp() // INBOX_SECONDS)
    return (db.url, type(wanted).__name__, wanted.model_dump_json(), incidents.version(db), period)


def page(path: str, wanted: BaseModel, total: int, rows: int, **fixed: object) -> dict[str, Any]:
    """total, offset, limit and ``next`` of a page with so many ``rows``: the next one's address with the same filters,
    None on the last page. ``fixed``: parameters the following pages keep, such as the run."""
    given = wanted.model_dump(mode="json", by_alias=True, exclude_none=True)
    offset, limit = given["offset"], given["limit"]
    following = None
    if rows and offset + rows < total:
        asked = wanted.model_dump(mode="json", by_alias=True, exclude_none=True, exclude_unset=True)
        following = f"{path}?{urlencode({**asked, **fixed, 'offset': offset + rows, 'limit': limit}, doseq=True)}"
    return {"total": total, "offset": offset, "limit": limit, "next": following}


def records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """A frame's rows as plain values: what is missing as None, days as dates."""
    return [{str(name): plain(value) for name, value in row.items()} for row in frame.to_dict("records")]


def plain(value: Any) -> Any:
    """One value as JSON can have it."""
    if isinstance(value, Mapping):
        return {str(name): plain(one) for name, one in value.items()}
    if isinstance(value, pd.DataFrame):
        return records(value)
    if isinstance(value, list | tuple | np.ndarray):
        return [plain(one) for one in value]
    if value is None or value is pd.NaT or value is pd.NA:
        return None
    if isinstance(value, pd.Timestamp):
        return value.to_pydatetime() if value.tzinfo else value.date()
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not np.isfinite(value) else value


def prefers_async(request: Request) -> bool:
    """Whether the caller wants an address to ask at instead of waiting (RFC 7240)."""
    said = ",".join(request.headers.getlist("prefer"))
    return "respond-async" in {part.split(";")[0].strip().lower() for part in said.split(",")}


def seen_version(request: Request) -> int:
    """The version in If-Match. Raises VersionNeeded without it, Stale when it is none of ours."""
    said = request.headers.get("if-match")
    if said is None:
        raise VersionNeeded("Say which version you have seen: the header If-Match, as the ETag of the answer has it.")
    number = said.strip().removeprefix("W/").strip('"')
    if not (number.isascii() and number.isdigit() and len(number) < 10):
        raise Stale("If-Match names no version of this: read it again, its ETag is the version.")
    return int(number)


async def once(request: Request, make: Callable[[], Awaitable[Response]]) -> Response:
    """``make()``, but only the first time for an Idempotency-Key: the same request again gets the first answer, with
    the header Idempotency-Replayed."""
    key = request.headers.get("idempotency-key")
    if key is None:
        return await make()
    method, path, query = request.method, request.url.path, request.url.query
    asked = ",".join(request.headers.getlist("prefer"))
    body = await request.body()
    use = idempotency.Request.of(
        policy.person(request).name, f"{method} {path}"[:500], key, query.encode(), asked.encode(), body
    )
    known = await work(lambda: use.begin(runtime.database()))
    if known is not None:
        headers = {**known.headers, "idempotency-replayed": "true"}
        return Response(known.body, known.status, headers, media_type="application/json")
    try:
        made = await make()
    except BaseException:
        with anyio.CancelScope(shield=True):
            await work(_quietly, use.drop)
        raise
    if made.status_code >= 500:
        await work(_quietly, use.drop)
    else:
        kept = {name: made.headers[name] for name in ("location", "etag") if name in made.headers}
        given = idempotency.Answer(made.status_code, bytes(made.body), kept)
        await work(lambda: use.end(runtime.database(), given))
    return made


def _quietly(act: Callable[[Any], None]) -> None:
    """An error must not hide the one that led here; the key is free again by itself after ten minutes."""
    try:
        act(runtime.database())
    except TrendCastError:
        return


def example(body: object) -> dict[str, Any]:
    """``openapi_extra`` with an example of the body."""
    return {"requestBody": {"content": {"application/json": {"example": body}}}}

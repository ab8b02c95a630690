"""The REST service: parse, call a service, shape the answer. Every figure comes from the current run; nothing is fitted
here.

``api`` is the plain FastAPI app that the dashboard's server carries; ``app`` is the same behind its own guard, for
``uvicorn trendcast.api.app:app`` without a dashboard.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Annotated, Any, ParamSpec, TypeVar

import anyio
import anyio.to_thread
import pandas as pd
from fastapi import Depends, FastAPI, Query, Request, Response
from fastapi.responses import HTMLResponse, JSONResponse

from trendcast import __version__, logs, settings
from trendcast.api import docs, errors, guard, models, policy
from trendcast.api.cache import Memory
from trendcast.services import detect, forecast, incidents, keys, listing, recommend, report, review, runtime, scorecard
from trendcast.services import health as health_service
from trendcast.services.forecast import RunInfo, Selection
from trendcast.services.people import Person

P = ParamSpec("P")
T = TypeVar("T")

BODY_BYTES = 10_000_000
AT_ONCE = 8
KEY_SECONDS = 30
REVIEW_SECONDS = 60
POLICY = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

_FAILURES: dict[int | str, dict[str, Any]] = {
    404: {"model": models.Failure, "description": "No such name; the sentence has the nearest ones"},
    409: {"model": models.Failure, "description": "It does not fit the present state, for example no run yet"},
    422: {"model": models.Failure, "description": "A field is missing, unknown or out of range"},
    503: {"model": models.Failure, "description": "The database is away"},
}


def _failures(*statuses: int) -> dict[int | str, dict[str, Any]]:
    return {status: _FAILURES[status] for status in statuses}


@asynccontextmanager
async def _lifespan(_: FastAPI) -> AsyncIterator[None]:
    """Runs when the service stands alone; beside the dashboard the server opens and closes everything."""
    chosen = settings.load()
    guard.check_settings(chosen)
    logs.begin(chosen, "api")
    runtime.process.begin(chosen)
    watch = asyncio.create_task(guard.watch_binding(chosen))
    try:
        yield
    finally:
        watch.cancel()
        runtime.process.close()


api = FastAPI(
    title="TrendCast",
    version=__version__,
    description="Demand forecasts, read from the published run. Every error is {success: false, error: sentence}.",
    lifespan=_lifespan,
    docs_url=None,
    redoc_url=None,
    redirect_slashes=False,
    separate_input_output_schemas=False,
    dependencies=[Depends(policy.authorise)],
)
errors.install(api)
api.add_middleware(guard.BodyLimit, limit=BODY_BYTES)

# Database work leaves the event loop; it has threads of its own, so that it never takes those of the dashboard's files.
_limiter = anyio.CapacityLimiter(AT_ONCE)
_indexes: Memory[pd.DataFrame] = Memory(2)
_reports: Memory[bytes] = Memory(1024)
_figures: Memory[review.Figures] = Memory(2)
_reviews: Memory[bytes] = Memory(8)
_owners: Memory[Person | None] = Memory(256)


async def _work(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    return await anyio.to_thread.run_sync(lambda: function(*args, **kwargs), limiter=_limiter)


def forget() -> None:
    """Empty the memories: for a process that changes its database, as tests do."""
    _indexes.clear()
    _reports.clear()
    _figures.clear()
    _reviews.clear()
    _owners.clear()
    _guard.limits.clear()


async def key_owner(key: str) -> Person | None:
    """Whose key this is; remembered for half a minute, which is how long a revoked one may still work."""
    period = int(runtime.clock().timestamp() // KEY_SECONDS)
    return await _work(lambda: _owners.get((key, period), lambda: keys.find(runtime.database(), key, runtime.clock())))


_guard = guard.Guard(api, lambda: runtime.process.settings, key_owner)
app: guard.App = guard.SecurityHeaders(_guard, POLICY)


def _current() -> tuple[Any, RunInfo, pd.DataFrame]:
    """The database, the current run and the index of its series, for one request."""
    db = runtime.database()
    run = forecast.current_run(db)
    return db, run, _indexes.get((db.url, run.id), lambda: forecast.series_index(db, run.id))


def _stamp(run: RunInfo) -> dict[str, Any]:
    return {"id": run.id, "kind": run.kind, "last_day": run.last_day, "published_at": run.published_at}


def _health(db: Any) -> dict[str, Any]:
    zone: Any = runtime.process.settings.time_zone
    return health_service.health(db, runtime.clock, zone)


@api.get("/health", response_model=models.Health, responses=_failures(503))
@api.head("/health", include_in_schema=False)
async def health() -> JSONResponse:
    """Whether the service can serve: healthy, or degraded with the reasons; 503 when nothing can be served."""
    found = await _work(lambda: _health(runtime.database()))
    body = models.Health(
        timestamp=runtime.clock(), **{key: found[key] for key in ("status", "reasons") if key in found}
    )
    return JSONResponse(body.model_dump(mode="json"), headers={"cache-control": "no-store"})


@api.post(
    "/forecast",
    response_model=models.ForecastAnswer,
    responses=_failures(404, 409, 422, 503),
    openapi_extra={
        "requestBody": {
            "content": {"application/json": {"example": {"product_category": "Electronics", "forecast_days": 84}}}
        }
    },
)
async def forecast_report(wanted: models.ForecastRequest) -> Response:
    """The forecast report of one category, in one region or in all, from the published run."""
    body = await _work(_report, wanted)
    stamp = json.dumps(runtime.clock().isoformat()).encode()
    # The report is kept as JSON: a run never changes, only the time of the answer does.
    return Response(
        b'{"success":true,"forecast":' + body + b',"generated_at":' + stamp + b"}", media_type="application/json"
    )


def _report(wanted: models.ForecastRequest) -> bytes:
    db, run, index = _current()

    def make() -> bytes:
        made = report.forecast_report(
            db, run, index, wanted.product_category, wanted.region, wanted.store, days=wanted.forecast_days
        )
        return models.Report.model_validate({**made, "run": _stamp(run)}).model_dump_json().encode()

    return _reports.get((db.url, run.id, *wanted.model_dump().values()), make)


@api.get("/forecast", response_model=models.ForecastRows, responses=_failures(404, 409, 422, 503))
async def forecast_rows(wanted: Annotated[models.ForecastQuery, Query()]) -> Response:
    """Rows of the published forecast with mean and nine quantiles, by day or by whole week, at most 1,000 a page."""

    def read() -> models.ForecastRows:
        db, run, index = _current()
        selection = _selection(wanted)
        page = listing.forecast_rows(
            db,
            run,
            index,
            selection,
            first=wanted.from_,
            last=wanted.to,
            weekly=wanted.period == "weekly",
            money=wanted.unit == "money",
            offset=wanted.offset,
            limit=wanted.limit,
        )
        return models.ForecastRows.model_validate(
            {
                "run": _stamp(run),
                "level": selection.level,
                "unit": wanted.unit,
                "period": wanted.period,
                "total": page.total,
                "offset": wanted.offset,
                "rows": page.rows,
            }
        )

    return _json(await _work(read))


@api.get("/series", response_model=models.SeriesRows, responses=_failures(404, 409, 422, 503))
async def series(wanted: Annotated[models.RowsQuery, Query()]) -> Response:
    """The series of the published run: what can be asked for, with recent sales and price."""

    def read() -> models.SeriesRows:
        _, run, index = _current()
        page = listing.series_rows(index, _selection(wanted), wanted.offset, wanted.limit)
        return models.SeriesRows.model_validate(
            {"run": _stamp(run), "total": page.total, "offset": wanted.offset, "series": page.rows}
        )

    return _json(await _work(read))


@api.get("/recommendations", response_model=models.Recommendations, responses=_failures(404, 409, 422, 503))
async def recommendations(wanted: Annotated[models.RecommendationsQuery, Query()]) -> Response:
    """What to order by when, per category, most money first: the advice of the published run."""

    def read() -> models.Recommendations:
        db, run, index = _current()
        page = recommend.rows(db, run, index, wanted.category, wanted.status, wanted.offset, wanted.limit)
        return models.Recommendations.model_validate(
            {
                "run": _stamp(run),
                "finding": recommend.finding(db, run.id),
                "total": page.total,
                "offset": wanted.offset,
                "recommendations": page.rows,
            }
        )

    return _json(await _work(read))


@api.get("/weekly-review", response_model=models.ReviewAnswer, responses=_failures(409, 422, 503))
async def weekly_review(wanted: Annotated[models.ReviewQuery, Query()]) -> Response:
    """The weekly review: finding, figures, exceptions, risks and changes, as the Review page has them; of the last
    minute at the oldest."""
    return Response(await _work(_review, wanted.unit), media_type="application/json")


def _review(unit: str) -> bytes:
    db = runtime.database()
    run = forecast.current_run(db)
    now = runtime.clock()

    def make() -> bytes:
        figures = _figures.get((db.url, run.id), lambda: review.figures(db, run))
        found = review.review(db, run, today=now.date(), unit=unit, known=figures)
        listed = {name: getattr(found, name) for name in ("finding", "kpis", "exceptions", "risks", "more_risks")}
        body = {"run": _stamp(run), **listed, "change": found.change, "changes": figures.movers}
        return models.ReviewAnswer.model_validate(body).model_dump_json().encode()

    return _reviews.get((db.url, run.id, unit, int(now.timestamp() // REVIEW_SECONDS)), make)


@api.post("/anomalies/detect", response_model=models.DetectAnswer, responses=_failures(409, 422, 503))
async def detect_anomalies(wanted: Annotated[models.DetectQuery, Query()]) -> Response:
    """Check the days that are new or changed. The same data are judged once: a second call gets the first one's
    answer. `rule=plain` gives the customer's plain rule over the last 30 days instead, and stores nothing."""

    def check() -> models.DetectAnswer:
        db = runtime.database()
        if wanted.rule == "plain":
            found = detect.plain_check(db)
        else:
            quiet = lambda *_, **__: None  # noqa: E731
            found = detect.detect(db, runtime.clock, quiet, None, trigger="api", dry_run=wanted.dry_run)
        return models.DetectAnswer.model_validate(
            {
                **found,
                "anomalies_detected": found.get("n_flagged", len(found["anomalies"])),
                "checked_at": runtime.clock(),
                "dry_run": wanted.dry_run,
                "rule": wanted.rule,
            }
        )

    return _json(await _work(check))


@api.get("/anomalies", response_model=models.AnomalyRows, responses=_failures(422, 503))
async def anomaly_rows(wanted: Annotated[models.AnomalyQuery, Query()]) -> Response:
    """Logged anomalies, the newest day first, each with its incident, headline and next step."""

    def read() -> models.AnomalyRows:
        db = runtime.database()
        total, rows = incidents.listed(
            db,
            categories=wanted.category,
            regions=wanted.region,
            stores=wanted.store,
            statuses=wanted.status,
            impacts=wanted.impact,
            kinds=wanted.kind,
            since=wanted.since,
            offset=wanted.offset,
            limit=wanted.limit,
        )
        return models.AnomalyRows.model_validate(
            {"finding": incidents.finding(db), "total": total, "offset": wanted.offset, "anomalies": rows}
        )

    return _json(await _work(read))


@api.get("/metrics/dashboard", response_model=models.MetricsAnswer, responses=_failures(503))
async def dashboard_metrics() -> Response:
    """Forecast accuracy and anomalies of the last seven days."""

    def read() -> models.MetricsAnswer:
        db = runtime.database()
        found = scorecard.scorecard(db, runtime.clock)
        state = _health(db)["status"]
        return models.MetricsAnswer.model_validate(
            {
                "metrics": {
                    **found,
                    "system_status": "operational" if state == "healthy" else "degraded",
                    "last_updated": runtime.clock(),
                }
            }
        )

    return _json(await _work(read))


@api.get("/docs", include_in_schema=False)
async def documentation(request: Request) -> HTMLResponse:
    html = docs.page(api.openapi(), str(request.base_url))
    return HTMLResponse(html, headers={"content-security-policy": docs.POLICY})


def _selection(wanted: models.RowsQuery) -> Selection:
    level = listing.implied_level(wanted.level, bool(wanted.category), bool(wanted.region), bool(wanted.store))
    return Selection(level, tuple(wanted.category), tuple(wanted.region), tuple(wanted.store))


def _json(model: models.BaseModel) -> Response:
    return Response(model.model_dump_json(by_alias=True), media_type="application/json")

"""The REST service: parse, call a service, shape the answer. Every figure comes from the current run; nothing is fitted
here.

``api`` is the plain FastAPI app that the dashboard's server carries; ``app`` is the same behind its own guard, for
``uvicorn trendcast.api.app:app`` without a dashboard.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Query, Request, Response
from fastapi.responses import HTMLResponse, JSONResponse

from trendcast import __version__, logs, settings
from trendcast.api import alerts, data, docs, errors, guard, incidents, models, policy
from trendcast.api.cache import Lately, Memory
from trendcast.api.shared import answer, current, failures, indexes, latest, lists, page, remembered, stamp, work
from trendcast.services import decisions, forecast, keys, listing, recommend, report, review, runtime, scorecard
from trendcast.services import health as health_service
from trendcast.services.forecast import Selection
from trendcast.services.incidents import today
from trendcast.services.people import Person

BODY_BYTES = 10_000_000
REVIEW_SECONDS = 60
ROWS_BYTES = 50_000  # a series of 91 days has half of it; whoever pages through everything asks for each page once
HEALTH_SECONDS = 1.0  # anybody may ask, and often: the database is asked once a second
POLICY = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"


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

_reports: Memory[bytes] = Memory(1024)
_rows: Memory[bytes] = Memory(512, lambda body: len(body) <= ROWS_BYTES)
# Each kind of list has a memory of its own: who pages through one takes nothing from another.
_series: Memory[bytes] = Memory(64, lambda body: len(body) <= ROWS_BYTES)
_advice: Memory[bytes] = Memory(64)
_figures: Memory[review.Figures] = Memory(2)
_reviews: Memory[bytes] = Memory(8)


def forget() -> None:
    """Empty the memories: for a process that changes its database, as tests do."""
    indexes.clear()
    lists.clear()
    latest.clear()
    _reports.clear()
    _rows.clear()
    _series.clear()
    _advice.clear()
    _figures.clear()
    _reviews.clear()
    _health.clear()
    _guard.limits.clear()
    if _guard.keyring is not None:
        _guard.keyring.clear()


async def key_owner(key: str) -> Person | None:
    """Whose key this is, asked of the database."""
    return await work(lambda: keys.find(runtime.database(), key, runtime.clock()))


_guard = guard.Guard(api, lambda: runtime.process.settings, key_owner)
app: guard.App = guard.SecurityHeaders(_guard, POLICY)


_health: Lately[dict[str, Any]] = Lately(HEALTH_SECONDS, lambda: work(_look_at_health))


def _look_at_health() -> dict[str, Any]:
    zone: Any = runtime.process.settings.time_zone
    return health_service.health(runtime.database(), runtime.clock, zone, for_strangers=True)


@api.get("/health", response_model=models.Health, responses=failures(503))
@api.head("/health", include_in_schema=False)
async def health() -> JSONResponse:
    """Whether the service can serve: healthy, or degraded with the reasons; 503 when nothing can be served."""
    found = await _health.get()
    body = models.Health(
        timestamp=runtime.clock(), **{key: found[key] for key in ("status", "reasons") if key in found}
    )
    return JSONResponse(body.model_dump(mode="json"), headers={"cache-control": "no-store"})


@api.post(
    "/forecast",
    response_model=models.ForecastAnswer,
    responses=failures(404, 409, 422, 503),
    openapi_extra={
        "requestBody": {
            "content": {"application/json": {"example": {"product_category": "Electronics", "forecast_days": 84}}}
        }
    },
)
async def forecast_report(wanted: models.ForecastRequest) -> Response:
    """The forecast report of one category, in one region or in all, from the published run."""
    body = await work(_report, wanted)
    now = json.dumps(runtime.clock().isoformat()).encode()
    # The report is kept as JSON: a run never changes, only the time of the answer does.
    return Response(
        b'{"success":true,"forecast":' + body + b',"generated_at":' + now + b"}", media_type="application/json"
    )


def _report(wanted: models.ForecastRequest) -> bytes:
    db, run, index = current()

    def make() -> bytes:
        made = report.forecast_report(
            db, run, index, wanted.product_category, wanted.region, wanted.store, days=wanted.forecast_days
        )
        return models.Report.model_validate({**made, "run": stamp(run)}).model_dump_json().encode()

    return _reports.get((db.url, run.id, *wanted.model_dump().values()), make)


@api.get("/forecast", response_model=models.ForecastRows, responses=failures(404, 409, 422, 503))
async def forecast_rows(wanted: Annotated[models.ForecastQuery, Query()]) -> Response:
    """Rows of the published forecast with mean and nine quantiles, by day or by whole week, at most 1,000 a page."""
    return await work(_forecast_rows, "/forecast", wanted)


@api.get("/forecasts", response_model=models.ForecastRows, responses=failures(404, 409, 422, 503))
async def forecasts(wanted: Annotated[models.ForecastQuery, Query()]) -> Response:
    """The same rows as `GET /forecast`. A browser that asks for a page (Accept: text/html) gets the dashboard's page
    of this name instead; `next` stays on one run."""
    found = await work(_forecast_rows, "/forecasts", wanted)
    found.headers["vary"] = "Accept"
    return found


def _forecast_rows(path: str, wanted: models.ForecastQuery) -> Response:
    db, run, index = current(wanted.run)
    selection = _selection(wanted)

    def make() -> models.ForecastRows:
        found = listing.forecast_rows(
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
                "run": stamp(run),
                "level": selection.level,
                "unit": wanted.unit,
                "period": wanted.period,
                "rows": found.rows,
                **page(path, wanted, found.total, len(found.rows), run=run.id),
            }
        )

    return remembered((db.url, run.id, path, wanted.model_dump_json()), make, _rows)


@api.get("/series", response_model=models.SeriesRows, responses=failures(404, 409, 422, 503))
async def series(wanted: Annotated[models.RowsQuery, Query()]) -> Response:
    """The series of the published run: what can be asked for, with recent sales and price."""

    def read() -> Response:
        db, run, index = current(wanted.run)

        def make() -> models.SeriesRows:
            found = listing.series_rows(index, _selection(wanted), wanted.offset, wanted.limit)
            where = page("/series", wanted, found.total, len(found.rows), run=run.id)
            return models.SeriesRows.model_validate({"run": stamp(run), "series": found.rows, **where})

        return remembered((db.url, run.id, wanted.model_dump_json()), make, _series)

    return await work(read)


@api.get("/recommendations", response_model=models.Recommendations, responses=failures(404, 409, 422, 503))
async def recommendations(wanted: Annotated[models.RecommendationsQuery, Query()]) -> Response:
    """What to order by when, per category, most money first: the advice of the published run."""

    def read() -> Response:
        db, run, index = current(wanted.run)

        def make() -> models.Recommendations:
            found = recommend.rows(
                db, run, index, wanted.category, wanted.status, wanted.offset, wanted.limit, wanted.decided
            )
            return models.Recommendations.model_validate(
                {
                    "run": stamp(run),
                    "finding": recommend.finding(db, run.id),
                    "recommendations": found.rows,
                    **page("/recommendations", wanted, found.total, len(found.rows), run=run.id),
                }
            )

        decided = frozenset(decisions.of_run(db, run.id).items())
        return remembered((db.url, run.id, wanted.model_dump_json(), decided), make, _advice)

    return await work(read)


@api.get("/weekly-review", response_model=models.ReviewAnswer, responses=failures(409, 422, 503))
async def weekly_review(wanted: Annotated[models.ReviewQuery, Query()]) -> Response:
    """The weekly review: finding, figures, exceptions, risks and changes, as the Review page has them; of the last
    minute at the oldest."""
    return Response(await work(_review, wanted.unit), media_type="application/json")


def _review(unit: str) -> bytes:
    db = runtime.database()
    run = forecast.current_run(db)
    now = runtime.clock()

    def make() -> bytes:
        figures = _figures.get((db.url, run.id), lambda: review.figures(db, run))
        found = review.review(db, run, today=today(now), unit=unit, known=figures)
        listed = {name: getattr(found, name) for name in ("finding", "kpis", "exceptions", "risks", "more_risks")}
        body = {"run": stamp(run), **listed, "change": found.change, "changes": figures.movers}
        return models.ReviewAnswer.model_validate(body).model_dump_json().encode()

    decided = frozenset(decisions.of_run(db, run.id).items())
    return _reviews.get((db.url, run.id, unit, int(now.timestamp() // REVIEW_SECONDS), decided), make)


# Their routes lie beside the others: an included router would hide its paths from those who list them.
for _part in (incidents, data, alerts):
    api.router.routes.extend(_part.routes.routes)


@api.get("/metrics/dashboard", response_model=models.MetricsAnswer, responses=failures(503))
async def dashboard_metrics() -> Response:
    """Forecast accuracy and anomalies of the last seven days."""
    state = (await _health.get())["status"]

    def read() -> models.MetricsAnswer:
        db = runtime.database()
        found = scorecard.scorecard(db, runtime.clock)
        return models.MetricsAnswer.model_validate(
            {
                "metrics": {
                    **found,
                    "system_status": "operational" if state == "healthy" else "degraded",
                    "last_updated": runtime.clock(),
                }
            }
        )

    return answer(await work(read))


@api.get("/docs", include_in_schema=False)
async def documentation(request: Request) -> HTMLResponse:
    html = docs.page(api.openapi(), str(request.base_url))
    return HTMLResponse(html, headers={"content-security-policy": docs.POLICY})


def _selection(wanted: models.RowsQuery) -> Selection:
    level = listing.implied_level(wanted.level, bool(wanted.category), bool(wanted.region), bool(wanted.store))
    return Selection(level, tuple(wanted.category), tuple(wanted.region), tuple(wanted.store))

"""Every error of the REST service in one shape: ``{"success": false, "error": sentence}``."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from trendcast import logs
from trendcast.errors import DatabaseAway, TrendCastError

logger = logging.getLogger(__name__)

# Seconds a client should wait before it asks again: recovery after an outage takes about as long.
RETRY_AFTER = "15"
SHOWN_PROBLEMS = 5


def answer(status: int, sentence: str, headers: Mapping[str, str] | None = None, **more: object) -> JSONResponse:
    content = {"success": False, "error": sentence, **more}
    return JSONResponse(content, status, {"cache-control": "no-store", **(headers or {})})


def install(api: FastAPI) -> None:
    """Render each kind of error on ``api``."""
    api.add_exception_handler(TrendCastError, _ours)
    api.add_exception_handler(RequestValidationError, _invalid)
    api.add_exception_handler(HTTPException, _http)
    api.add_exception_handler(Exception, _unforeseen)


async def _ours(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, TrendCastError)
    if error.status >= 500:
        logger.warning("%s %s: %s", request.method, request.url.path, error)
    headers = {"retry-after": RETRY_AFTER} if isinstance(error, DatabaseAway) else None
    nearest = getattr(error, "nearest", ())
    return answer(error.status, str(error), headers, **({"nearest": list(nearest)} if nearest else {}))


async def _invalid(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    if request.method not in _allowed(request):  # a pattern took an address with its own name for one of its own
        return await _http(request, HTTPException(405))
    return answer(422, sentence_of(error.errors(), _fields(request)))


async def _http(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    # A body that cannot be read is as wrong as one with wrong fields.
    status = 422 if error.status_code == 400 else error.status_code
    sentences = {
        422: "The body is not valid JSON.",
        404: "There is nothing under this address. /docs lists what there is.",
        405: "This address does not answer this method. /docs lists what it answers.",
        415: "Send the body as JSON, with the header Content-Type: application/json.",
    }
    sentence = sentences.get(status) or f"{HTTPStatus(status).phrase}."
    headers = dict(error.headers or {})
    if status == 405:
        headers["Allow"] = ", ".join(sorted(_allowed(request)))
    return answer(status, sentence, headers)


async def _unforeseen(request: Request, error: Exception) -> JSONResponse:
    mark = logs.request_id.get() or secrets.token_hex(4)
    logger.error("Unforeseen error %s at %s %s", mark, request.method, request.url.path, exc_info=error)
    return answer(500, f"Something went wrong on our side. The log has the details under {mark}.")


def _allowed(request: Request) -> set[str]:
    """All methods an address answers; the router itself names those of one route only. An address with its own name
    (/incidents/7/mails) is not one of those that a pattern would read from it (/incidents/7/{action})."""
    matching: dict[int, set[str]] = {}
    for route in request.app.routes:
        pattern = getattr(route, "path_regex", None)
        if pattern is not None and pattern.match(request.url.path):
            matching.setdefault(route.path.count("{"), set()).update(route.methods or ())
    return matching[min(matching)] if matching else set()


def _fields(request: Request) -> Sequence[str]:
    """The fields of the body that the address takes."""
    body = getattr(request.scope.get("route"), "body_field", None)
    model = getattr(getattr(body, "field_info", None), "annotation", None)
    return tuple(getattr(model, "model_fields", ()))


def sentence_of(problems: Sequence[Mapping[str, Any]], fields: Sequence[str] = ()) -> str:
    """The problems pydantic found, as words a caller can act on; ``fields``: of the body. What was sent is not
    repeated."""
    parts = []
    for problem in problems[:SHOWN_PROBLEMS]:
        place = [str(step) for step in problem["loc"] if step not in ("body", "query", "path")]
        words = str(problem["msg"])
        match problem["type"]:
            case "missing":
                words = "is missing"
            case "extra_forbidden":
                words = "is not known here"
            case "json_invalid":
                place, words = [], "The body is not valid JSON"
            case "model_attributes_type" | "model_type" if not place:
                words = "The body must be a JSON object"
                if fields:
                    words += f" with the field{'s' if len(fields) > 1 else ''} {', '.join(fields)}"
            case "model_attributes_type" | "model_type":
                words = "must be a JSON object"
            case "value_error":
                words = words.removeprefix("Value error, ")
            case _:
                words = words.replace("Input should be", "must be").replace("should have", "must have")
                words = words[:1].lower() + words[1:]
        # A hostile field name may be of any length.
        name = ".".join(place)[:100]
        parts.append(f"{name}: {words}" if name else words)
    if len(problems) > SHOWN_PROBLEMS:
        parts.append(f"and {len(problems) - SHOWN_PROBLEMS} more problems")
    return "; ".join(parts) + "."

"""Everything that can go wrong, in one shape: {success: false, error: a sentence}."""

from __future__ import annotations

import json
from typing import Any

import pytest

from trendcast.api import app as service
from trendcast.api import models
from trendcast.services import runtime
from trendcast.store.engine import Database

INJECTIONS = (
    "'; DROP TABLE run; --",
    '" OR 1=1 --',
    "1; SELECT pg_sleep(10)",
    "%(x)s %s :name {0} ${jndi:ldap://x}",
    "../../etc/passwd",
    "<script>alert(1)</script>",
    "=cmd|' /C calc'!A0",
    "\u202eevil",
    "🛒" * 50,
    "a" * 100,
    "NaN",
    "null",
)


def failed(response: Any, status: int) -> str:
    """The sentence of a failure with this status."""
    assert response.status_code == status, response.text
    body = response.json()
    assert body["success"] is False
    assert set(body) <= {"success", "error", "nearest"}
    assert body["error"].strip()
    return body["error"]


def test_an_unknown_name_brings_the_nearest(rest: Any) -> None:
    response = rest.post("/forecast", json={"product_category": "Electronix"})
    assert failed(response, 404) == "There is no category 'Electronix'. Did you mean Electronics?"
    assert response.json()["nearest"] == ["Electronics"]
    assert "North" in failed(rest.get("/forecast?region=Nroth"), 404)
    assert "no series at the level store" in failed(rest.get("/series?level=store"), 404)


@pytest.mark.parametrize("body", [[], [{"product_category": "Electronics"}], "text", 7])
def test_a_body_that_is_no_object_is_told_the_fields(rest: Any, body: Any) -> None:
    said = failed(rest.post("/forecast", json=body), 422)
    assert said.startswith("The body must be a JSON object with the fields product_category, ")
    assert failed(rest.post("/data/sales_daily", json=body), 422) == (
        "The body must be a JSON object with the field rows."
    )


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({}, "product_category: is missing."),
        ({"product_category": "Electronics", "days": 7}, "days: is not known here."),
        ({"product_category": "Electronics", "forecast_days": 92}, "forecast_days: must be less than or equal to 91."),
        ({"product_category": "Electronics", "forecast_days": 0}, "forecast_days: must be greater than or equal to 1."),
        ({"product_category": "Electronics", "forecast_days": "84"}, "forecast_days: must be a valid integer."),
        ({"product_category": "Electronics", "forecast_days": True}, "forecast_days: must be a valid integer."),
        ({"product_category": "", "region": ""}, "at least 1 character"),
        ({"product_category": "x" * 101}, "at most 100 characters"),
        ({"product_category": "a\x00b"}, "must not contain control characters"),
        ({"product_category": ["Electronics"]}, "must be a valid string"),
        ([], "must be a JSON object with the fields"),
    ],
)
def test_a_wrong_body_says_which_field_and_why(rest: Any, body: Any, said: str) -> None:
    assert said in failed(rest.post("/forecast", json=body), 422)


@pytest.mark.parametrize(
    "raw",
    [
        b"", b"{", b"\xff\xfe", b'{"product_category": NaN}', b'{"product_category": "\\ud800"}', b"[" * 100_000,
        b'{"product_category": "Electronics", "forecast_days": ' + b"9" * 5000 + b"}",
        b'{"product_category": "Electronics", "forecast_days": 1e400}',
    ],
)  # fmt: skip
def test_what_is_not_json_is_refused(rest: Any, raw: bytes) -> None:
    failed(rest.post("/forecast", content=raw, headers={"content-type": "application/json"}), 422)


@pytest.mark.parametrize(
    "query",
    ["limit=0", "limit=1001", "offset=-1", "offset=9999999999", "unit=kg", "period=monthly", "level=country",
    "from=soon", "to=0",
     "colour=red", "category=", "limit=1;2", "category=" + "x" * 101],
)  # fmt: skip
def test_a_wrong_query_is_refused(rest: Any, query: str) -> None:
    failed(rest.get(f"/forecast?{query}"), 422)


@pytest.mark.parametrize("text", INJECTIONS)
def test_hostile_names_are_just_names_nobody_sells_under(rest: Any, demo_db: Database, text: str) -> None:
    before = demo_db.rows("run_list", limit=10)
    failed(rest.post("/forecast", json={"product_category": text}), 404)
    failed(rest.post("/forecast", json={"product_category": "Electronics", "region": text}), 404)
    for path in ("/forecast", "/series"):
        for name in ("category", "region", "store"):
            assert rest.get(path, params={name: text}).status_code in (404, 422)
    assert demo_db.rows("run_list", limit=10) == before


def test_unknown_addresses_and_methods_answer_in_the_same_shape(rest: Any) -> None:
    failed(rest.get("/nothing"), 404)
    failed(rest.get("/forecast/"), 404)
    response = rest.request("DELETE", "/forecast")
    failed(response, 405)
    assert response.headers["allow"] == "GET, POST"
    assert rest.request("POST", "/health").headers["allow"] == "GET, HEAD"
    assert rest.post("/incidents/7/mails").headers["allow"] == "GET"
    assert rest.get("/thresholds/preview").headers["allow"] == "POST"
    assert rest.request("DELETE", "/thresholds/preview").status_code == 405


def test_a_body_above_ten_megabytes_is_refused(rest: Any) -> None:
    body = json.dumps({"product_category": "x" * service.BODY_BYTES}).encode()
    assert failed(rest.post("/forecast", content=body), 413) == "The body is larger than 10 MB."


def test_without_a_run_it_is_409_and_says_what_to_do(serving: Any, db: Database) -> None:
    rest = serving(db.url)
    for response in (
        rest.post("/forecast", json={"product_category": "A"}),
        rest.get("/forecast"),
        rest.get("/series"),
    ):
        assert failed(response, 409) == "No forecast has been published yet: load data, then run a refresh."


def test_without_a_database_it_is_503_and_says_when_to_come_again(serving: Any) -> None:
    rest = serving("postgresql://nobody:secret-word@127.0.0.1:1/nothing")
    for response in (
        rest.get("/health"),
        rest.post("/forecast", json={"product_category": "A"}),
        rest.get("/forecast"),
        rest.get("/series"),
        rest.get("/metrics/dashboard"),
    ):
        sentence = failed(response, 503)
        assert "secret-word" not in sentence
        assert response.headers["retry-after"] == "15"


def test_an_unforeseen_error_tells_nothing_but_where_to_look(rest: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("secret of the house")

    monkeypatch.setattr(runtime.process, "database", fail)
    response = rest.get("/series")
    sentence = failed(response, 500)
    assert "secret" not in sentence
    assert "The log has the details under" in sentence


def test_health_answers_head_without_a_body(rest: Any) -> None:
    response = rest.request("HEAD", "/health")
    assert (response.status_code, response.content) == (200, b"")


def test_answers_carry_the_headers_browsers_need(rest: Any) -> None:
    for response in (
        rest.get("/health"),
        rest.get("/nothing"),
        rest.get("/docs"),
        rest.request("GET", "/", client="10.0.0.9"),
    ):
        assert response.headers["x-content-type-options"] == "nosniff"
        assert response.headers["x-frame-options"] == "DENY"
        assert response.headers["referrer-policy"] == "no-referrer"
        assert "default-src 'none'" in response.headers["content-security-policy"]


def test_other_machines_are_refused(rest: Any) -> None:
    for path in ("/health", "/series", "/docs", "/openapi.json"):
        failed(rest.get(path, client="10.0.0.9"), 403)
        failed(rest.get(path, headers={"host": "evil.example"}), 403)
        failed(rest.get(path, headers={"origin": "http://evil.example"}), 403)


def test_every_route_answers_json_of_its_model_or_a_known_page() -> None:
    """A new route must say what it answers; who may ask is in api/policy.py."""
    pages = {"/docs", "/openapi.json"}
    for route in service.api.routes:
        if route.path not in pages and "HEAD" not in route.methods:
            assert route.response_model is not None, route.path
            described = {status: answer.get("model") for status, answer in route.responses.items()}
            assert all(described.values()), f"{route.path}: {described}"


def test_documentation_works_without_a_network(rest: Any) -> None:
    html = rest.get("/docs").text
    for path in service.api.openapi()["paths"]:
        assert path in html
    assert "<script" not in html
    assert "src=" not in html
    assert "//" not in html.replace("http://localhost", ""), "nothing is fetched from elsewhere"
    document = rest.get("/openapi.json").json()
    assert document["info"]["title"] == "TrendCast"
    assert models.ForecastRequest.__name__ in document["components"]["schemas"]

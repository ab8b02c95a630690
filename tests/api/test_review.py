"""GET /weekly-review: what the Review page shows, for programs."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from trendcast.api.policy import NEEDED
from trendcast.services import forecast, review
from trendcast.store.engine import Database
from trendcast.ui.shell import PAGES


@pytest.mark.parametrize("unit", ["units", "money"])
def test_the_review_is_the_services(checked_db: Database, serving: Any, unit: str) -> None:
    run = forecast.current_run(checked_db)
    truth = review.review(checked_db, run, today=datetime.now(UTC).date(), unit=unit)
    rest = serving(checked_db.url)
    body = rest.get(f"/weekly-review?unit={unit}").json()
    assert (body["success"], body["run"]["id"], body["finding"]) == (True, run.id, truth.finding)
    assert body["kpis"]
    for told, kpi in zip(body["kpis"], truth.kpis, strict=True):
        assert (told["name"], told["basis"], told["note"]) == (kpi.name, kpi.basis, kpi.note)
        assert told["value"] == pytest.approx(kpi.value, nan_ok=True)
    assert [(one["name"], one["count"], one["names"]) for one in body["exceptions"]] == [
        (breach.name, breach.count, list(breach.names)) for breach in truth.exceptions
    ]
    assert truth.risks
    assert [(one["headline"], one["money"]) for one in body["risks"]] == [(r.headline, r.money) for r in truth.risks]
    assert (body["more_risks"], body["change"]) == (truth.more_risks, truth.change)
    assert [one["name"] for one in body["changes"]] == [mover.name for mover in truth.figures.movers]
    assert rest.get(f"/weekly-review?unit={unit}").json() == body


def test_before_the_first_run_there_is_no_review(db: Database, serving: Any) -> None:
    response = serving(db.url).get("/weekly-review")
    assert response.status_code == 409
    assert response.json()["success"] is False


def test_no_address_of_the_service_hides_a_page() -> None:
    """But the one that both have: browsers, who ask for HTML, get the page there (tests/server/test_live.py)."""
    pages = {"/" + file.removesuffix(".py") for file, *_ in PAGES}
    assert pages & {path for _, path in NEEDED} == {"/forecasts"}

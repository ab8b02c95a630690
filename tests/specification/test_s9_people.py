"""S9: a page for each of the people, and each finding a sentence that says what to do."""

from __future__ import annotations

from pathlib import Path

import pytest

from trendcast.services import findings, forecast, incidents, recommend
from trendcast.services.forecast import Selection
from trendcast.store.engine import Database

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("page", ["review", "forecasts", "what-if", "anomaly-inbox", "inventory", "accuracy", "data"])
def test_s9_each_need_has_its_page(page: str) -> None:
    assert (ROOT / "pages" / f"{page}.py").exists()


def test_s9_demand_patterns_and_stock_are_said_in_sentences(checked_db: Database) -> None:
    run = forecast.current_run(checked_db)
    said = [
        findings.finding(checked_db, run, Selection("total")),
        incidents.finding(checked_db),
        recommend.finding(checked_db, run.id),
    ]
    for sentence in said:
        assert len(sentence) > 40
        assert sentence.endswith(".")
        assert "nan" not in sentence.lower().split()

"""S9: a page for each of the people, and each finding a sentence that says what to do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from trendcast.services import findings, forecast, incidents, recommend
from trendcast.services.forecast import Selection
from trendcast.store.engine import Database

ROOT = Path(__file__).resolve().parents[2]


NEEDS = {  # the title of the page that answers it
    "what changed, and what needs a decision": "Review",
    "what will be sold": "Forecasts",
    "what if": "What if",
    "what is out of the ordinary": "Anomalies",
    "what to order": "Inventory",
    "what to trust": "Accuracy",
    "what came in": "Data",
}


@pytest.mark.parametrize("need", NEEDS)
def test_s9_each_need_has_its_page(
    need: str, checked_db: Database, serving: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is in the navigation, and on a published run it opens with text and no error."""
    from streamlit.testing.v1 import AppTest

    from trendcast.ui import reads, shell
    from trendcast.ui.live import LiveProvider

    (file,) = [name for name, title, *_ in shell.PAGES if title == NEEDS[need]]
    serving(checked_db.url)
    monkeypatch.setattr(reads, "provider", LiveProvider())
    app = AppTest.from_string("from trendcast.ui import shell\n\nshell.pages().run()", default_timeout=60).run()
    app.switch_page(str(ROOT / "pages" / file)).run()
    assert not app.exception
    assert not app.error
    assert any(len(one.value) > 40 for one in app.markdown)


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

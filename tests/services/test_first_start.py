"""The first start: the demo retailer is made in an empty embedded database, once, and nowhere else."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from trendcast import demo, settings
from trendcast.services import first_start, jobs
from trendcast.store import embedded
from trendcast.store.engine import Database

WANTED = settings.load({})


@pytest.fixture
def own(db: Database, server: embedded.Server) -> Database:
    """An empty database that is the embedded one."""
    db.server = server
    return db


def test_an_empty_embedded_database_asks_for_the_demo_once(own: Database) -> None:
    first = first_start.prepare(own, WANTED)
    assert first is not None
    assert first_start.prepare(own, WANTED) == first, "two processes that start at once share one slot"
    assert jobs.slots(own)["name"].tolist() == ["demo"]


def test_a_database_of_ones_own_is_never_filled(db: Database) -> None:
    assert first_start.prepare(db, WANTED) is None
    assert jobs.slots(db).empty


def test_switched_off_means_off(own: Database) -> None:
    assert first_start.prepare(own, settings.load({"TRENDCAST_DEMO": "off"})) is None
    assert jobs.slots(own).empty


def test_the_job_loads_a_retailer_and_then_nobody_asks_again(own: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    small = demo.generate(2, 1, 0, 1)
    monkeypatch.setattr(demo, "generate", lambda: small)
    stages: list[str] = []

    def progress(stage: str, *_: Any, **__: Any) -> None:
        stages.append(stage)

    result = first_start.make_demo(own, lambda: datetime.now(UTC), progress, "token")
    assert result["rows"] >= len(small["sales_daily"])
    assert stages[0] == "Making the demo retailer"
    assert len(set(stages)) > 1, "the load reports its own stages"
    assert first_start.prepare(own, WANTED) is None


def test_the_job_is_known_by_name() -> None:
    assert jobs.JOBS["demo"] == "trendcast.services.first_start:make_demo"

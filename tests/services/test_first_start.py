"""The first start: the demo retailer is asked for in an empty embedded database, once, and nowhere else."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from trendcast import demo, settings
from trendcast.services import first_start, jobs
from trendcast.services.load import DEMO, load_frames
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


@pytest.mark.parametrize("source", [DEMO, "files"])
def test_where_data_are_nobody_asks_again(own: Database, source: str) -> None:
    small = demo.generate(2, 1, 0, 1, date(2026, 6, 30))["sales_daily"]
    load_frames(own, {"sales_daily": small}, source=source, clock=lambda: datetime(2026, 7, 1, tzinfo=UTC))
    assert first_start.prepare(own, WANTED) is None


def test_the_job_is_known_by_name() -> None:
    assert jobs.JOBS["demo"] == "trendcast.services.demo:build"

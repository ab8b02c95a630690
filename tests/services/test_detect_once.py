"""Detection wakes by itself, asks little of the database, and does everything once, however often it is asked."""

from __future__ import annotations

import re
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from sqlalchemy import event, text

from tests.databases import listens
from tests.services import shops
from tests.services.shops import Shop
from tests.waiting import until
from trendcast import settings
from trendcast.errors import NotFound
from trendcast.jobs.worker import Worker
from trendcast.services import detect_runs, detect_write, jobs
from trendcast.store.engine import SQL_FOLDER, Database, statement

TABLES = ("anomaly_log", "incident", "anomaly_event", "detection_run", "outbox", "learnt_event")


@pytest.fixture
def shop(db: Database, monkeypatch: pytest.MonkeyPatch) -> Shop:
    """A retailer of these days, so that what is found is told."""
    monkeypatch.setattr(shops, "FIRST", datetime.now(UTC).date() - timedelta(days=155))
    return Shop(db)


@pytest.fixture
def asked(db: Database) -> Iterator[list[str]]:
    """The statements that were sent, as they begin."""
    found: list[str] = []

    def note(_connection: object, _cursor: object, words: str, *_: object) -> None:
        found.append(" ".join(words.split()))

    event.listen(db._engine, "before_cursor_execute", note)
    yield found
    event.remove(db._engine, "before_cursor_execute", note)


def telling() -> set[str]:
    """How the statements begin that tell people of what was found."""
    names = [*SQL_FOLDER.glob("alert_*.sql"), *SQL_FOLDER.glob("outbox_*.sql")]
    return {opening(" ".join(str(statement(one.stem)).split())) for one in names}


def opening(words: str) -> str:
    """What stands before the first value."""
    return re.split(r"%\(|:", words)[0][:60]


def state(shop: Shop) -> dict[str, Any]:
    return {table: shop.rows(table) for table in TABLES}


def test_five_hundred_categories_that_fall_in_a_region_are_one_mail(
    shop: Shop, asked: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """In five statements, whatever falls; and ten more looks change and mail nothing."""
    monkeypatch.setattr(shops, "FIRST", datetime.now(UTC).date() - timedelta(days=75))
    rng = np.random.default_rng(4)
    shop.keys = [(f"Category {number:03d}", region) for number in range(500) for region in ("East", "North", "South")]
    shop.days = 72
    level = 300 * np.exp(rng.normal(0, 0.3, (1500, 1)))
    shop.units = np.round(level * shops.WEEK[np.arange(72) % 7] * np.exp(rng.uniform(-0.05, 0.05, (1500, 72))))
    shop.units[1::3, 71] = np.round(shop.units[1::3, 71] * 0.5)
    shop.load(71)
    shop.detect()
    shop.load(72)
    asked.clear()
    result = shop.detect()
    others = telling()
    assert len([one for one in asked if opening(one) not in others]) <= 5
    assert len(asked) <= 16  # with what tells of it, whose number follows the mails alone
    (one,) = shop.rows("incident")
    assert (one["impact"], one["members"]) == ("HIGH", 501)
    assert result["told"] == {"first": 1}
    assert [row["reason"] for row in shop.rows("outbox")] == ["first"]
    before = state(shop)
    asked.clear()
    for _ in range(10):
        assert shop.detect()["repeated"]
    assert len(asked) <= 10 * 3
    assert state(shop) == before


def test_a_run_is_one_per_day_data_and_version_whoever_asks_at_the_same_time(shop: Shop) -> None:
    shop.units[5, 150] = 3
    shop.load(150)
    shop.detect()
    shop.load(151)
    answers: list[dict[str, Any]] = []
    askers = [threading.Thread(target=lambda: answers.append(shop.detect(trigger="api"))) for _ in range(4)]
    for one in askers:
        one.start()
    for one in askers:
        one.join()
    assert len({one["detection_run"] for one in answers}) == 1
    assert [one.get("repeated", False) for one in answers].count(False) == 1
    assert all(one["anomalies"] == answers[0]["anomalies"] for one in answers)
    runs = Counter(
        (row["as_of"], row["data_version"], row["detector_version"], row["scope"]) for row in shop.rows("detection_run")
    )
    assert set(runs.values()) == {1}
    assert len(shop.rows("incident")) == 1
    assert [row["reason"] for row in shop.rows("outbox")] == ["first"]
    (told,) = [row for row in shop.rows("detection_run") if row["id"] == answers[0]["detection_run"]]
    assert (told["as_of"], told["n_flagged"], told["status"]) == (shop.day(150), 1, "done")


def test_the_same_data_looked_at_by_a_new_version_are_answered_for_by_it(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when TrendCast is upgraded while a day is still given time to arrive."""
    monkeypatch.setattr(detect_write, "VERSION", "before")
    shop.load(151)
    first = shop.detect()["detection_run"]
    with shop.db.transaction() as connection:
        connection.execute(
            text("UPDATE detection_run SET summary = summary || CAST(:waits AS jsonb)"),
            {"waits": '{"waits_until": "2020-01-01T00:00:00+00:00"}'},
        )
    monkeypatch.undo()
    assert shop.db.rows("detect_need")[0]["newest_sales"] is not None
    second = shop.detect()
    assert second["detection_run"] != first
    assert shop.db.rows("detect_need")[0]["newest_sales"] is None
    again = shop.detect()
    assert (again["detection_run"], again.get("repeated")) == (second["detection_run"], True)


def test_a_scope_is_a_part_of_the_answer_and_no_run_of_its_own(shop: Shop) -> None:
    shop.units[shop.row("C01", "East"), 150] = 3
    shop.units[shop.row("C02", "West"), 150] = 3
    shop.load(150)
    shop.detect()
    shop.load(151)
    found = {}
    for scope in ("C01", "West", ""):
        answer = detect_runs.now(shop.db, shop.clock)
        found[scope] = detect_runs.within(answer, [scope] if scope else [])
    assert {scope: one["n_flagged"] for scope, one in found.items()} == {"C01": 1, "West": 1, "": 2}
    assert found["C01"]["anomalies"][0]["product_category"] == "C01"
    assert len({one["detection_run"] for one in found.values()}) == 1


def test_a_look_at_two_on_an_ordinary_day_finds_and_tells_nothing(shop: Shop) -> None:
    shop.load(150)
    shop.detect()
    shop.load(155)
    shop.detect()
    before = state(shop)
    for trigger in ("1400", "0800", "1400"):
        assert shop.detect(trigger=trigger)["repeated"]
    assert state(shop) == before
    assert before["incident"] == before["outbox"] == []


class TestWoken:
    """With a worker's lane for quick jobs at work, whose next look by itself is half a minute away."""

    SOON, AT_LAST = 20.0, 180.0  # seconds: to be woken, and for a child process to start and work on a busy machine

    @pytest.fixture
    def at_work(self, shop: Shop) -> Iterator[None]:
        shop.load(150)
        shop.detect()
        stop = threading.Event()
        worker = Worker(settings.load({}), lambda: datetime.now(UTC), shop.db)
        thread = threading.Thread(target=worker._lane, args=(shop.db, stop, False))
        thread.start()
        until(lambda: listens(shop.db))
        yield
        stop.set()
        thread.join(60)
        assert not thread.is_alive()

    def wait(self, shop: Shop, seconds: float, seen: Callable[[], bool]) -> None:
        until(seen, seconds, every=0.1)

    def test_a_load_is_looked_at_at_once_and_so_is_what_is_asked_for(self, shop: Shop, at_work: None) -> None:
        shop.units[5, 151] = 3
        shop.load(152)
        self.wait(shop, self.SOON, lambda: bool((jobs.slots(shop.db)["name"] == "detect").any()))
        self.wait(shop, self.AT_LAST, lambda: bool(shop.rows("incident")))
        number = detect_runs.start(shop.db)
        self.wait(shop, self.SOON, lambda: detect_runs.result(shop.db, number)["state"] != "queued")
        self.wait(shop, self.AT_LAST, lambda: detect_runs.result(shop.db, number)["state"] == "done")
        found = detect_runs.result(shop.db, number)["result"]
        assert (found["as_of"], found["n_flagged"]) == (str(shop.day(151)), 1)
        assert found["repeated"]


def test_what_waits_is_asked_for_once_and_what_is_not_there_is_said(shop: Shop) -> None:
    shop.load(30)
    number = detect_runs.start(shop.db)
    assert detect_runs.start(shop.db) == number
    assert detect_runs.start(shop.db, dry_run=True) != number
    assert detect_runs.start(shop.db, as_of=shop.day(20)) != number
    asked = {"state": "queued", "error": None, "result": None, "dry_run": False}
    assert detect_runs.result(shop.db, number) == asked
    with pytest.raises(NotFound):
        detect_runs.result(shop.db, 10**9)

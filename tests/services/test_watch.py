"""Honest about itself: what failed, is held or did not come is told within the hour, once, and not of history."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import text

from tests.databases import loaded
from trendcast import settings
from trendcast.jobs import worker
from trendcast.services import jobs as job_service
from trendcast.services import watch
from trendcast.services.health import judge
from trendcast.store import jobs
from trendcast.store.engine import Database

BERLIN = settings.load({"TRENDCAST_TIME_ZONE": "Europe/Berlin", "ALERT_RECIPIENTS": "ann@shop.test"})
EVENING = datetime(2026, 3, 27, 18, tzinfo=UTC)  # the last before the clocks of Berlin change


def subjects(db: Database) -> list[str]:
    with db.read() as connection:
        return list(
            connection.execute(text("SELECT subject FROM outbox WHERE reason = 'notice' ORDER BY id")).scalars()
        )


def load(db: Database, last_day: str, committed: datetime, status: str = "merged") -> None:
    loaded(db, date.fromisoformat(last_day), at=committed, status=status, reason="Half the rows are missing.")


def checked(db: Database) -> None:
    """As if a detection had looked at all that is loaded."""
    with db.transaction() as connection:
        connection.execute(text(
            "INSERT INTO detection_run (as_of, data_version, scope, status, summary, trigger, detector_version)"
            " SELECT current_date, max(id), '', 'done', '{}', 'ingest', '1' FROM load_batch"
        ))  # fmt: skip


@pytest.mark.parametrize(("zone", "due"), [
    ("UTC", datetime(2026, 3, 28, 5, tzinfo=UTC)),
    ("Europe/Berlin", datetime(2026, 3, 28, 4, tzinfo=UTC)),
])  # fmt: skip
def test_a_refresh_that_does_not_come_is_told_within_the_hour_after_its_own(
    db: Database, zone: str, due: datetime
) -> None:
    chosen = settings.load({"TRENDCAST_TIME_ZONE": zone, "ALERT_RECIPIENTS": "ann@shop.test"})
    load(db, "2026-03-26", EVENING)
    checked(db)
    assert watch.watch(db, chosen, due + timedelta(minutes=59)) == []
    (said,) = watch.watch(db, chosen, due + timedelta(minutes=61))
    assert "older than the data" in said
    watch.watch(db, chosen, due + timedelta(minutes=90))
    assert subjects(db) == ["The forecasts are not renewed"]


def test_of_data_that_ended_years_ago_no_refresh_is_missed(db: Database) -> None:
    load(db, "2016-06-19", EVENING)
    assert watch.watch(db, BERLIN, EVENING + timedelta(days=9)) == []


def test_a_worker_that_stands_still_is_told_by_health_within_the_hour(db: Database) -> None:
    """Nothing of TrendCast runs any more that could send a mail: whoever watches /health learns it."""
    load(db, "2026-03-26", EVENING)
    seen = EVENING + timedelta(minutes=1)
    facts = {**db.rows("health", historical=14)[0], "worker_alive": False, "worker_seen": seen}
    facts |= {"days_old_when_loaded": 1, "unchecked_since": None}
    later = seen + timedelta(minutes=31)
    assert any("No worker has been seen" in one for one in judge({**facts, "now": later}, later.date()))
    assert not any("No worker" in one for one in judge({**facts, "now": EVENING}, EVENING.date()))
    old = {**facts, "now": later, "days_old_when_loaded": 3570}
    assert not any("No worker" in one or "late" in one for one in judge(old, later.date()))


def fail(db: Database, name: str, error: str, **arguments: object) -> None:
    slot = job_service.enqueue(db, name, arguments, datetime.now(UTC) - timedelta(seconds=5))
    claim = jobs.claim(db, slot_id=slot)
    assert claim is not None
    jobs.fail(db, slot, claim.token, error, again=False)


def succeed(db: Database, name: str, **arguments: object) -> None:
    slot = job_service.enqueue(db, name, arguments)
    claim = jobs.claim(db, slot_id=slot)
    assert claim is not None
    jobs.finish(db, slot, claim.token, {})


def test_a_job_that_failed_for_good_is_told_once_unless_a_later_one_made_it_good(db: Database) -> None:
    fail(db, "refresh", "The disk is full.")
    fail(db, "look", "No such series.")  # whoever asked for it saw that
    now = datetime.now(UTC)
    (said,) = watch.watch(db, BERLIN, now)
    assert "The disk is full." in said
    assert watch.watch(db, BERLIN, now) == []
    assert subjects(db) == ["A job failed for good"]
    fail(db, "detect", "It crashed.")
    succeed(db, "detect")
    assert watch.watch(db, BERLIN, datetime.now(UTC)) == []


def test_a_file_that_a_worker_could_not_load_is_told_unless_the_same_came_again(db: Database) -> None:
    """Whoever handed it over may have left the page."""
    fail(db, "upload", "The worker ran out of memory.", file="may.csv", waiting=1)
    fail(db, "upload", "It crashed.", file="june.csv", waiting=2)
    succeed(db, "upload", file="june.csv", waiting=3)
    (said,) = watch.watch(db, BERLIN, datetime.now(UTC))
    assert said == "The job upload of may.csv failed and is not tried again: The worker ran out of memory."
    assert subjects(db) == ["A job failed for good"]


def test_a_slot_lost_in_its_third_attempt_is_buried_and_told(db: Database) -> None:
    slot = job_service.enqueue(db, "refresh")
    for _ in range(3):
        assert jobs.claim(db) is not None
        with db.transaction() as connection:
            connection.execute(text("UPDATE job_slot SET lease_until = now() - interval '1 s'"))
    assert [lost["id"] for lost in jobs.bury(db)] == [slot]
    worker.tick(db, BERLIN)
    assert subjects(db) == ["A job failed for good"]


def test_a_held_load_is_told_once(db: Database) -> None:
    load(db, "2026-03-26", EVENING, "held")
    (said,) = watch.watch(db, BERLIN, datetime.now(UTC))
    assert "Half the rows are missing." in said
    assert watch.watch(db, BERLIN, datetime.now(UTC)) == []
    assert subjects(db) == ["A load is held"]


def test_the_hour_of_the_refresh_is_the_retailers_on_the_day_the_clocks_change() -> None:
    from trendcast.services.schedule import refresh_due

    before = datetime(2026, 3, 28, 23, 30, tzinfo=UTC)  # 00:30 in Berlin, the clocks change at 02:00
    assert refresh_due(before, BERLIN).astimezone(ZoneInfo("Europe/Berlin")).hour == 5
    assert refresh_due(before, BERLIN) == datetime(2026, 3, 29, 3, tzinfo=UTC)


def test_a_load_that_is_held_again_with_every_try_is_told_once_a_day(db: Database) -> None:
    for _ in range(3):
        load(db, "2026-03-26", EVENING, "held")
        watch.watch(db, BERLIN, datetime.now(UTC))
    assert subjects(db) == ["A load is held"]


def test_a_slot_that_is_used_again_and_fails_again_is_told_again(db: Database) -> None:
    slot = job_service.enqueue(db, "sync", {}, datetime.now(UTC) - timedelta(seconds=5))
    for error in ("The source is away.", "The password is wrong."):
        claim = jobs.claim(db, slot_id=slot)
        assert claim is not None
        jobs.fail(db, slot, claim.token, error, again=False)
        (said,) = watch.watch(db, BERLIN, datetime.now(UTC))
        assert error in said
        with db.transaction() as connection:
            connection.execute(
                text("UPDATE job_slot SET state = 'queued', next_attempt_at = now() WHERE id = :id"), {"id": slot}
            )
    assert subjects(db) == ["A job failed for good"] * 2

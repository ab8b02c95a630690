"""Job slots: each is done by one, exactly once, whatever dies and whatever the clocks say."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from trendcast import errors
from trendcast.services import jobs as job_service
from trendcast.store import jobs
from trendcast.store.engine import Database

NOON = datetime(2024, 3, 1, 12, tzinfo=UTC)


def expire(db: Database, slot_id: int) -> None:
    """As if its holder had not been heard of for 90 seconds."""
    with db.transaction() as connection:
        connection.execute(
            text("UPDATE job_slot SET lease_until = now() - interval '1 s' WHERE id = :id"), {"id": slot_id}
        )


def make_due(db: Database, slot_id: int) -> None:
    with db.transaction() as connection:
        connection.execute(text("UPDATE job_slot SET next_attempt_at = now() WHERE id = :id"), {"id": slot_id})


def test_eight_threads_claim_two_hundred_slots_each_once(db: Database) -> None:
    with db.transaction() as connection:
        made = {jobs.enqueue(db, connection, "count", {"to": number}) for number in range(200)}
    assert len(made) == 200

    def drain(_: int) -> list[int]:
        taken = []
        while (claim := jobs.claim(db)) is not None:
            taken.append(claim.id)
        return taken

    with ThreadPoolExecutor(8) as pool:
        taken = Counter(slot for slots in pool.map(drain, range(8)) for slot in slots)
    assert set(taken) == made
    assert set(taken.values()) == {1}


def test_two_schedulers_make_one_slot(db: Database) -> None:
    with ThreadPoolExecutor(4) as pool:
        ids = set(pool.map(lambda _: job_service.enqueue(db, "count", {}, NOON), range(8)))
    assert len(ids) == 1
    assert len(job_service.slots(db)) == 1


def test_after_a_downtime_one_missed_slot_is_caught_up(db: Database) -> None:
    missed = [job_service.enqueue(db, "count", {}, NOON + timedelta(days=day)) for day in range(4)]
    other = job_service.enqueue(db, "count", {"to": 7})
    states = [jobs.slot(db, slot)["state"] for slot in missed]
    assert states == ["skipped", "skipped", "skipped", "queued"]
    assert jobs.slot(db, other)["state"] == "queued"  # asked for by a person, with other arguments


def test_a_lost_lease_is_taken_over_and_the_first_holder_is_fenced(db: Database) -> None:
    slot = job_service.enqueue(db, "count")
    first = jobs.claim(db)
    assert first is not None
    assert jobs.claim(db) is None
    expire(db, slot)
    jobs.renew(db, slot, first.token)  # nobody was quicker: the lease is simply longer
    expire(db, slot)
    second = jobs.claim(db)
    assert second is not None
    assert (second.id, second.attempts) == (slot, 2)
    with pytest.raises(errors.LeaseLost):
        jobs.renew(db, slot, first.token)
    with pytest.raises(errors.LeaseLost):
        jobs.write_progress(db, slot, first.token, {"stage": "late"})
    with pytest.raises(errors.LeaseLost):
        jobs.finish(db, slot, first.token, {"late": True})
    with pytest.raises(errors.LeaseLost):
        jobs.fail(db, slot, first.token, "late", again=True)
    with db.transaction() as connection, pytest.raises(errors.LeaseLost):
        jobs.assert_token(db, connection, first.token)
    jobs.finish(db, slot, second.token, {"sum": 6})
    assert jobs.slot(db, slot)["progress"]["result"] == {"sum": 6}


def test_a_slot_is_not_taken_over_while_its_holder_publishes(db: Database) -> None:
    slot = job_service.enqueue(db, "count")
    first = jobs.claim(db)
    assert first is not None
    expire(db, slot)
    with db.transaction() as connection:
        jobs.assert_token(db, connection, first.token)
        assert jobs.claim(db) is None
    assert jobs.claim(db) is not None


def test_three_attempts_then_dead(db: Database) -> None:
    slot = job_service.enqueue(db, "count")
    for attempt, state in [(1, "queued"), (2, "queued"), (3, "dead")]:
        make_due(db, slot)
        claim = jobs.claim(db)
        assert claim is not None
        assert claim.attempts == attempt
        assert jobs.fail(db, slot, claim.token, "it failed", again=True) == state
    assert jobs.claim(db) is None
    assert jobs.slot(db, slot)["error"] == "it failed"


@pytest.mark.parametrize("attempt", [1, 2])
def test_the_pause_before_a_repeat_grows_and_varies(db: Database, attempt: int) -> None:
    pauses = set()
    for _ in range(6):
        slot = job_service.enqueue(db, "count")
        for number in range(attempt):
            make_due(db, slot)
            claim = jobs.claim(db, slot_id=slot)
            assert claim is not None, number
            jobs.fail(db, slot, claim.token, "it failed", again=True)
        with db.read() as connection:
            pauses.add(connection.execute(text(
                "SELECT extract(epoch FROM next_attempt_at - now()) FROM job_slot WHERE id = :id"), {"id": slot}
            ).scalar())  # fmt: skip
    middle = 30 * 4 ** (attempt - 1)
    assert all(0.5 * middle - 5 <= pause <= 1.5 * middle for pause in pauses)
    assert len(pauses) == 6


def test_what_is_lost_in_its_third_attempt_is_dead_and_says_so(db: Database) -> None:
    slot = job_service.enqueue(db, "count")
    for _ in range(3):
        assert jobs.claim(db) is not None
        expire(db, slot)
    assert jobs.claim(db) is None
    assert [lost["id"] for lost in jobs.bury(db)] == [slot]
    assert jobs.slot(db, slot)["state"] == "dead"
    assert "3 attempts" in jobs.slot(db, slot)["error"]
    assert jobs.bury(db) == []


def test_of_a_heavy_job_one_is_at_work_at_a_time(db: Database) -> None:
    first, second = (job_service.enqueue(db, "refresh", {"kind": kind}) for kind in ("quick", "full"))
    assert jobs.claim(db, alone=job_service.ALONE) is not None
    assert jobs.claim(db, alone=job_service.ALONE) is None
    assert jobs.claim(db) is not None  # unless a caller says it may
    expire(db, first)
    assert jobs.slot(db, second)["at_work"] is True


def test_a_slot_of_the_future_waits(db: Database) -> None:
    job_service.enqueue(db, "count", {}, datetime.now(UTC) + timedelta(hours=1))
    assert jobs.claim(db) is None


def test_a_lease_has_one_holder_until_it_runs_out_or_is_given_back(db: Database) -> None:
    mine = jobs.take_lease(db, "ticker", "a")
    assert mine is not None
    assert jobs.take_lease(db, "ticker", "b") is None
    assert jobs.take_lease(db, "ticker", "a", token=mine) == mine
    jobs.release_lease(db, "ticker", "00000000-0000-0000-0000-000000000000")  # not the holder's
    assert jobs.take_lease(db, "ticker", "b") is None
    jobs.release_lease(db, "ticker", mine)
    assert jobs.take_lease(db, "ticker", "b", seconds=-1) is not None  # runs out at once
    assert jobs.take_lease(db, "ticker", "c") is not None


def test_there_is_no_job_of_another_name(db: Database) -> None:
    with pytest.raises(errors.UsageError, match="refresh"):
        job_service.enqueue(db, "os:system")


def test_two_who_claim_at_once_do_not_both_start_a_heavy_job(db: Database) -> None:
    for kind in ("quick", "full"):
        job_service.enqueue(db, "refresh", {"kind": kind})
    with ThreadPoolExecutor(1) as pool:
        with db.transaction() as connection:
            assert jobs.claim(db, alone=job_service.ALONE, connection=connection) is not None
            other = pool.submit(jobs.claim, db, alone=job_service.ALONE)
            with pytest.raises(TimeoutError):
                other.result(0.5)  # it waits until the first has decided
        assert other.result(10) is None


def test_a_light_job_is_asked_for_once_by_those_who_say_so(db: Database) -> None:
    first = job_service.enqueue(db, "count", {"to": 1}, once=True)
    assert job_service.enqueue(db, "count", {"to": 1}, once=True) == first
    assert job_service.enqueue(db, "count", {"to": 2}, once=True) != first
    assert job_service.enqueue(db, "count", {"to": 1}) != first


def test_the_newest_slot_of_one_job_is_found_behind_newer_ones_of_others(db: Database) -> None:
    wanted = job_service.enqueue(db, "refresh")
    for number in range(3):
        job_service.enqueue(db, "count", {"to": number})
    assert job_service.slots(db, 1, "refresh")["id"].tolist() == [wanted]
    assert job_service.slots(db, 1)["name"].tolist() == ["count"]


def test_how_a_slot_stands_is_said_in_one_way(db: Database) -> None:
    slot = job_service.enqueue(db, "count")
    assert job_service.outcome(job_service.settled(db, slot, 0.0)) == {"state": "queued", "error": None, "result": None}
    claim = jobs.claim(db, slot_id=slot)
    assert claim is not None
    jobs.finish(db, slot, claim.token, {"counted": 3})
    ended = {"state": "done", "error": None, "result": {"counted": 3}}
    assert job_service.outcome(job_service.settled(db, slot)) == ended


def test_a_heavy_job_that_waits_is_not_asked_for_twice(db: Database) -> None:
    first = job_service.enqueue(db, "refresh")
    assert job_service.enqueue(db, "refresh") == first
    assert job_service.enqueue(db, "refresh", {"kind": "full"}) != first
    claim = jobs.claim(db, slot_id=first)
    assert claim is not None
    jobs.fail(db, first, claim.token, "it failed", again=True)
    assert jobs.claim(db, slot_id=first) is None  # it pauses
    assert job_service.enqueue(db, "refresh") == first
    assert jobs.claim(db, slot_id=first) is not None  # whoever asks now need not wait for the pause's end
    assert job_service.enqueue(db, "refresh") != first  # what is at work may have read older data
    with ThreadPoolExecutor(4) as pool:
        assert len(set(pool.map(lambda _: job_service.enqueue(db, "backtest"), range(8)))) == 1

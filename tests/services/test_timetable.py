"""What runs by itself and how it went: next due times on the retailer's clock, medians of what succeeded, dead ones."""

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pandas as pd
import pytest
from sqlalchemy import text

from trendcast import settings
from trendcast.errors import Conflict
from trendcast.services import jobs as job_service
from trendcast.services import timetable
from trendcast.store import jobs
from trendcast.store.engine import Database

BERLIN = settings.load({"TRENDCAST_TIME_ZONE": "Europe/Berlin"})


def ended(db: Database, name: str, state: str, seconds: float, ago: str, error: str | None = None) -> int:
    """A slot that ended some time ago."""
    with db.transaction() as connection:
        return int(connection.execute(text(
            "INSERT INTO job_slot (name, scheduled_for, arguments, state, attempts, error, started_at, finished_at,"
            " lease_token, created_at) VALUES"
            " (:name, clock_timestamp() - CAST(:ago AS interval), '{}', :state, 1, :error,"
            " now() - CAST(:ago AS interval) - make_interval(secs => :seconds), now() - CAST(:ago AS interval),"
            " gen_random_uuid(), now() - CAST(:ago AS interval)) RETURNING id"
        ), {"name": name, "state": state, "seconds": seconds, "ago": ago, "error": error}).scalar_one())  # fmt: skip


def row(db: Database, name: str) -> pd.Series:
    return timetable.timetable(db, BERLIN).set_index("name").loc[name]


def test_what_happens_by_itself_is_listed_before_it_ever_did_with_its_hour_there(db: Database) -> None:
    frame = timetable.timetable(db, BERLIN).set_index("name")
    assert list(frame.index) == ["refresh", "detect", "digest"]
    now = datetime.now(UTC)
    local = frame["next_due"].dt.tz_convert(ZoneInfo("Europe/Berlin"))
    assert local["refresh"].time() == time(5)
    assert local["digest"].time() in (time(8), time(14))
    assert pd.isna(frame.loc["detect", "next_due"])  # with the next data
    assert all(now <= when <= now + timedelta(hours=25) for when in frame["next_due"].dropna())
    assert not frame["at_work"].any()
    assert frame["dead"].sum() == 0


def test_what_a_job_usually_takes_is_the_median_of_what_succeeded(db: Database) -> None:
    for seconds in (8, 10, 60):
        ended(db, "refresh", "done", seconds, f"{seconds} hours")
    ended(db, "refresh", "dead", 1, "1 hour", "No memory.")
    ended(db, "refresh", "done", 9000, "70 days")  # another time, another machine
    found = row(db, "refresh")
    assert found["usual_seconds"] == pytest.approx(10, abs=0.1)
    assert (found["done"], found["dead"]) == (3, 1)
    assert (found["last_state"], found["last_error"]) == ("dead", "No memory.")
    assert found["seconds"] == pytest.approx(1, abs=0.1)


def test_a_job_that_pauses_after_a_failure_says_when_it_goes_on_and_why_it_waits(db: Database) -> None:
    slot = job_service.enqueue(db, "refresh")
    claim = jobs.claim(db)
    assert claim is not None
    assert row(db, "refresh")["at_work"]
    jobs.fail(db, slot, claim.token, "The machine ran out of memory.", again=True)
    found = row(db, "refresh")
    assert not found["at_work"]
    assert found["retry_error"] == "The machine ran out of memory."
    with db.read() as connection:
        next_attempt = connection.execute(text("SELECT next_attempt_at FROM job_slot")).scalar()
    assert found["next_due"] == next_attempt


def test_a_dead_job_is_listed_until_it_is_tried_again_with_the_same_arguments_and_succeeds(db: Database) -> None:
    slot = job_service.enqueue(db, "look", {"kind": "mstl"})
    claim = jobs.claim(db)
    assert claim is not None
    with pytest.raises(Conflict, match="it is running"):
        timetable.try_again(db, slot)
    jobs.fail(db, slot, claim.token, "It crashed.", again=False)
    (dead,) = timetable.failed(db).to_dict("records")
    assert (dead["id"], dead["error"], dead["made_good"]) == (slot, "It crashed.", False)
    again = timetable.try_again(db, slot)
    assert jobs.slot(db, again)["arguments"] == {"kind": "mstl"}
    claim = jobs.claim(db)
    assert claim is not None
    jobs.finish(db, again, claim.token, {})
    assert timetable.failed(db)["made_good"].tolist() == [True]

"""Health: well, degraded with reasons, or nothing to serve."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import text

from tests.databases import loaded, today
from trendcast import errors
from trendcast.services import jobs as job_service
from trendcast.services.health import health, judge, worker_alive
from trendcast.store import jobs
from trendcast.store.engine import Database

NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)


def clock() -> datetime:
    return datetime.now(UTC)


def facts(**changed: object) -> dict[str, Any]:
    """An installation where all is well: yesterday's sales came at 03:00 and are in the run of 05:10."""
    return {
        "now": NOW, "published_at": NOW.replace(hour=5, minute=10), "run_last_day": date(2026, 3, 9),
        "sales_last_day": date(2026, 3, 9), "sales_committed_at": NOW.replace(hour=3), "days_old_when_loaded": 1,
        "unpublished_since": None, "refresh_open": False, "refresh_error": None, "waiting_since": None,
        "job_at_work": False, "demo_at_work": False, "worker_alive": True, "held_batches": 0, "urgent_since": None,
        "mail_error": None, "mail_failing_since": None, "unchecked_since": None, "worker_seen": NOW, **changed,
    }  # fmt: skip


@pytest.mark.parametrize(("changed", "reason"), [
    ({}, None),
    ({"unpublished_since": NOW.replace(hour=8)}, None),  # came after the refresh's hour: tomorrow
    ({"unpublished_since": NOW.replace(hour=4), "now": NOW.replace(hour=5, minute=59)}, None),
    ({"unpublished_since": NOW.replace(hour=4), "refresh_error": "No memory."}, "do not hold.*failed: No memory"),
    ({"published_at": None, "sales_committed_at": NOW - timedelta(minutes=30), "refresh_open": True}, None),
    ({"published_at": None, "sales_committed_at": NOW - timedelta(minutes=30)}, "no forecast has been published"),
    ({"published_at": None, "sales_committed_at": NOW - timedelta(hours=2), "refresh_open": True}, "no forecast"),
    ({"published_at": None, "sales_committed_at": None, "sales_last_day": None}, None),  # nothing loaded: nothing wrong
    ({"sales_last_day": date(2026, 3, 8)}, None),
    ({"sales_last_day": date(2026, 3, 5)}, "5 days ago: data is late"),
    ({"sales_last_day": date(2016, 5, 22), "days_old_when_loaded": 3000}, None),  # history is not late
    ({"waiting_since": NOW - timedelta(minutes=11), "worker_alive": False}, "No worker is running"),
    ({"waiting_since": NOW - timedelta(hours=1), "job_at_work": True}, None),
    ({"worker_alive": False, "worker_seen": NOW - timedelta(minutes=29)}, None),  # a restart, or one started by cron
    ({"worker_alive": False, "worker_seen": NOW - timedelta(minutes=31)}, "No worker has been seen since 2026-03"),
    ({"worker_alive": False, "worker_seen": None}, "No worker has been seen since sales were loaded"),
    ({"worker_alive": False, "worker_seen": None, "sales_committed_at": NOW - timedelta(minutes=20)}, None),
    ({"worker_alive": False, "worker_seen": NOW - timedelta(days=9), "days_old_when_loaded": 3000}, None),
    ({"worker_alive": False, "worker_seen": NOW - timedelta(days=1), "waiting_since": NOW - timedelta(hours=2)},
     "No worker has been seen"),  # told once
    ({"unchecked_since": NOW - timedelta(minutes=29)}, None),
    ({"unchecked_since": NOW - timedelta(minutes=31)}, "have not been checked for anomalies"),
    ({"urgent_since": NOW - timedelta(minutes=11), "mail_error": "535 no."}, "urgent alert has waited.*535 no"),
    ({"urgent_since": NOW - timedelta(minutes=9)}, None),
    ({"mail_failing_since": NOW - timedelta(minutes=11), "mail_error": "421 later."}, "Messages have failed.*421"),
    ({"mail_failing_since": NOW - timedelta(minutes=9), "mail_error": "421 later."}, None),
    ({"held_batches": 1}, "1 loaded batch waits"),
    ({"held_batches": 1, "demo_at_work": True}, None),
])  # fmt: skip
def test_what_degrades(changed: dict[str, Any], reason: str | None) -> None:
    found = judge(facts(**changed), NOW.date())
    if reason is None:
        assert found == []
    else:
        with pytest.raises(AssertionError, match=reason):
            raise AssertionError(*found)
        assert len(found) == 1


def test_the_refreshs_hour_is_the_retailers() -> None:
    """Sales of 09:30 UTC came at 04:30 in New York: due at 05:00 there, late from 11:00 UTC on."""
    came = facts(unpublished_since=datetime(2026, 1, 12, 9, 30, tzinfo=UTC), sales_last_day=date(2026, 1, 11))
    new_york = ZoneInfo("America/New_York")
    for minute, late in ((59, 0), (61, 1)):
        now = datetime(2026, 1, 12, 10, tzinfo=UTC) + timedelta(minutes=minute)
        assert len(judge({**came, "now": now}, now.date(), new_york)) == late
        assert judge({**came, "now": now}, now.date()) == [], "by UTC it waits for tomorrow"


def test_an_empty_installation_is_well(db: Database) -> None:
    found = health(db, clock)
    assert (found["status"], found["reasons"]) == ("healthy", [])


def test_old_data_is_history_and_recent_data_late(db: Database) -> None:
    loaded(db, date(2016, 5, 22))
    assert health(db, clock)["reasons"] == []
    loaded(db, today(db) - timedelta(days=5))
    assert "data is late" in health(db, clock)["reasons"][0]


def test_a_waiting_job_without_worker_is_told(db: Database) -> None:
    job_service.enqueue(db, "refresh")
    with db.transaction() as connection:
        connection.execute(text("UPDATE job_slot SET next_attempt_at = now() - interval '1 hour'"))
    assert "No worker is running" in health(db, clock)["reasons"][0]


def test_a_worker_is_alive_while_it_holds_the_tickers_lease(db: Database) -> None:
    assert not worker_alive(db)
    assert jobs.take_lease(db, "ticker", "a") is not None
    assert worker_alive(db)


def test_a_worker_that_left_is_remembered_and_missed(db: Database) -> None:
    loaded(db, today(db) - timedelta(days=1), ago=timedelta(minutes=20))
    token = jobs.take_lease(db, "ticker", "a")
    assert token is not None
    jobs.release_lease(db, "ticker", token)
    assert not worker_alive(db)
    assert jobs.take_lease(db, "ticker", "b") is not None  # given back at once
    with db.transaction() as connection:
        connection.execute(text("UPDATE lease SET lease_until = now() - interval '1 hour'"))
    (reason,) = [one for one in health(db, clock)["reasons"] if "No worker has been seen" in one]
    assert "python -m trendcast worker" in reason


def test_sales_nobody_checked_are_told_and_history_is_not(db: Database) -> None:
    jobs.take_lease(db, "ticker", "a")
    loaded(db, date(2016, 5, 22), ago=timedelta(minutes=40))
    assert not any("not been checked" in one for one in health(db, clock)["reasons"])
    loaded(db, today(db) - timedelta(days=1), ago=timedelta(minutes=40))
    assert any("not been checked" in one for one in health(db, clock)["reasons"])


def test_mail_that_fails_is_told_while_something_waits_for_it(db: Database) -> None:
    with db.transaction() as connection:
        connection.execute(text(
            "UPDATE channel_state SET failures = 3, failing_since = now() - interval '1 hour', last_error = '535 no'"
            " WHERE channel = 'email'"
        ))  # fmt: skip
    assert health(db, clock)["reasons"] == []
    with db.transaction() as connection:
        connection.execute(text(
            "INSERT INTO outbox (dedup_key, channel, recipient, message_id, subject, body_text, body_html, reason,"
            " impact, attempts) VALUES ('k', 'email', 'a@b.c', 'm', 's', 't', 'h', 'digest', 2, 1)"
        ))  # fmt: skip
    (reason,) = health(db, clock)["reasons"]
    assert "535 no" in reason


def test_whoever_asks_is_not_told_what_a_job_or_a_server_said(db: Database, serving: Callable[[str], Any]) -> None:
    """`/health` is open to everybody; `status` and the pages have the rest of the sentence."""
    with db.transaction() as connection:
        for statement in (
            "INSERT INTO load_batch (source, table_name, status, rows_new, last_day, committed_at)"
            " VALUES ('f', 'sales_daily', 'merged', 1, '2016-05-22', now() - interval '3 hours')",
            "INSERT INTO job_slot (name, state, scheduled_for, finished_at, error)"
            " VALUES ('refresh', 'dead', now(), now(), 'refused by db.internal')",
            "UPDATE channel_state SET failures = 3, failing_since = now() - interval '1 hour',"
            " last_error = '535 of ann' WHERE channel = 'email'",
            "INSERT INTO outbox (dedup_key, channel, recipient, message_id, subject, body_text, body_html, reason,"
            " impact, attempts) VALUES ('k', 'email', 'a@b.c', 'm', 's', 't', 'h', 'digest', 2, 1)",
        ):
            connection.execute(text(statement))
    told = " ".join(health(db, clock)["reasons"])
    assert "refused by db.internal" in told
    assert "535 of ann" in told
    open_to_all = serving(db.url).get("/health").json()["reasons"]
    assert len(open_to_all) == 2
    assert all(reason.endswith(".") and reason in told for reason in open_to_all)
    assert "db.internal" not in str(open_to_all)
    assert "535" not in str(open_to_all)


def test_without_our_schema_nothing_can_be_served(new_database: Callable[..., str]) -> None:
    database = Database(new_database())
    with pytest.raises(errors.SchemaBehind):
        health(database, clock)
    database.close()

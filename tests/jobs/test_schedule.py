"""Daily jobs: once a day in every zone on every day, by the database's clock."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import text

from trendcast import settings
from trendcast.jobs import worker
from trendcast.services import jobs as job_service
from trendcast.services.schedule import last_due, next_due
from trendcast.store import jobs
from trendcast.store.engine import Database

SETTINGS = settings.load({})


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "UTC"])
@pytest.mark.parametrize("at", [time(8, 0), time(2, 15)])  # the second does not exist, or comes twice, on some days
def test_a_daily_job_is_due_once_a_day_whatever_the_clocks_do(zone: str, at: time) -> None:
    place = ZoneInfo(zone)
    now = datetime(2025, 1, 1, 12, tzinfo=UTC)
    seen = []
    while now < datetime(2028, 12, 31, tzinfo=UTC):  # a ticker that looks every 35 minutes
        due = last_due(now, at, place)
        assert due <= now
        assert now - due < timedelta(hours=26)
        if not seen or due != seen[-1]:
            assert not seen or due > seen[-1]
            seen.append(due)
        assert next_due(due, at, place) == due
        assert now <= next_due(now, at, place) <= now + timedelta(hours=26)
        now += timedelta(minutes=35)
    days = [moment.astimezone(place).date() for moment in seen]
    assert days == [days[0] + timedelta(days=number) for number in range(len(days))]
    assert days[0] <= date(2025, 1, 1)
    at_the_hour = [moment for moment in seen if moment.astimezone(place).time() == at]
    assert len(seen) - len(at_the_hour) <= 8  # at most two odd days a year


def load(db: Database, committed: str) -> None:
    """As if a load of one row had been committed then (an expression of the database's clock)."""
    with db.transaction() as connection:
        connection.execute(text(
            "INSERT INTO load_batch (source, table_name, status, rows_new, committed_at)"
            f" VALUES ('f', 'sales_daily', 'merged', 1, {committed})"
        ))  # fmt: skip


def publish(db: Database) -> None:
    with db.transaction() as connection:
        connection.execute(
            text("""
            WITH made AS (INSERT INTO run (status, first_day, last_day, horizon, data_batch_hi, code_version,
                params_hash, lease_token, published_at) SELECT 'ready', '2024-01-01', '2024-03-01', 91, max(id), '', '',
                gen_random_uuid(), now() FROM load_batch RETURNING id)
            INSERT INTO current_run (run_id) SELECT id FROM made
        """)
        )
        connection.execute(text("UPDATE job_slot SET state = 'done'"))


def refreshes(db: Database) -> int:
    return int((job_service.slots(db)["name"] == "refresh").sum())


def test_the_first_load_asks_for_a_refresh_at_once_and_only_once(db: Database) -> None:
    worker.tick(db, SETTINGS)
    assert refreshes(db) == 0
    load(db, "now() - interval '1 min'")
    for _ in range(3):
        worker.tick(db, SETTINGS)
    assert refreshes(db) == 1
    claim = jobs.claim(db, names=["refresh"])
    assert claim is not None
    jobs.fail(db, claim.id, claim.token, "no", again=False)
    worker.tick(db, SETTINGS)
    assert refreshes(db) == 1  # what failed for good is not asked for again, until new data comes
    load(db, "now()")
    worker.tick(db, SETTINGS)
    assert refreshes(db) == 2


def test_later_data_waits_for_the_refreshs_hour(db: Database) -> None:
    load(db, "now() - interval '3 days'")
    publish(db)
    worker.tick(db, SETTINGS)
    assert refreshes(db) == 0  # nothing new
    load(db, "now() + interval '1 min'")
    worker.tick(db, SETTINGS)
    assert refreshes(db) == 0  # new since the hour: tomorrow
    load(db, "now() - interval '2 days'")
    worker.tick(db, SETTINGS)
    worker.tick(db, SETTINGS)
    assert refreshes(db) == 1  # one missed hour is caught up
    slots = job_service.slots(db).set_index("name")
    assert slots.loc["refresh", "scheduled_for"].time() == time(5, 0)


def test_the_refreshs_hour_is_the_retailers(db: Database) -> None:
    load(db, "now() - interval '3 days'")
    publish(db)
    load(db, "now() - interval '2 days'")
    worker.tick(db, settings.load({"TRENDCAST_TIME_ZONE": "Asia/Kolkata"}))
    due = job_service.slots(db).set_index("name").loc["refresh", "scheduled_for"]
    assert due.time() == time(23, 30), "05:00 in India"


@pytest.fixture
def time_is(db: Database, monkeypatch: pytest.MonkeyPatch) -> Callable[[datetime], None]:
    """``time_is(moment)``: what the database says when the ticker asks for the time, and no mail of the hour."""
    known = db.rows
    monkeypatch.setattr(worker.alerts, "remind", lambda *_: None)
    monkeypatch.setattr(worker.watch, "watch", lambda *_: None)

    def say(moment: datetime) -> None:
        monkeypatch.setattr(
            db, "rows", lambda query, /, **how: [{"now": moment}] if query == "job_now" else known(query, **how)
        )

    return say


def walk(zone: ZoneInfo, day: date) -> list[datetime]:
    """When a ticker looks on the day before, the day and the day after: around the hours of the checks and over the
    hours at which clocks change. It is down over 08:00 and again over 13:30 to 13:50, and starts anew at 08:05."""
    clock = ["00:30", "01:59", "02:01", "02:31", "03:01", "07:59", "08:05", "08:06", "13:29", "13:50", "14:00", "23:59"]
    return [
        datetime.combine(day + timedelta(days=back), time.fromisoformat(at), zone).astimezone(UTC)
        for back in (-1, 0, 1)
        for at in clock
    ]


def changes(zone: ZoneInfo) -> list[date]:
    """The days of 2025 to 2028 on which the clocks of the zone change."""
    days = [date(2025, 1, 1) + timedelta(days=number) for number in range(4 * 365 + 1)]
    return [
        day for day in days
        if datetime.combine(day, time(0), zone).utcoffset() != datetime.combine(day, time(23, 59), zone).utcoffset()
    ]  # fmt: skip


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe"])
def test_each_check_is_made_once_on_the_days_when_clocks_change_whatever_restarts(
    db: Database, time_is: Callable[[datetime], None], zone: str
) -> None:
    place, chosen = ZoneInfo(zone), settings.load({"TRENDCAST_TIME_ZONE": zone})
    load(db, "'2024-12-01'")
    days = changes(place)
    assert len(days) == 8
    for day in days:
        for now in walk(place, day):
            time_is(now)
            worker.tick(db, chosen)
    worker.tick(db, chosen)  # a second process, or the same one started anew
    slots = job_service.slots(db, 1000)
    made = [when.to_pydatetime().astimezone(place) for when in slots.loc[slots["name"] == "digest", "scheduled_for"]]
    wanted = {
        datetime.combine(day + timedelta(days=back), at, place)
        for day in days
        for back in (-1, 0, 1)
        for at in (time(8), time(14))
    } | {datetime.combine(day - timedelta(days=2), time(14), place) for day in days}  # what the first look catches up
    assert sorted(made) == sorted(wanted)


def test_a_ticker_back_at_five_past_eight_catches_up_one_check_and_the_next_finds_nothing(
    db: Database, time_is: Callable[[datetime], None]
) -> None:
    load(db, "'2025-01-01'")
    made = []
    for day, at in [(1, "08:05"), (1, "13:50"), (1, "14:00"), (5, "08:05"), (5, "13:50")]:
        now = datetime.combine(date(2025, 7, day), time.fromisoformat(at), UTC)
        time_is(now)
        with ThreadPoolExecutor(3) as pool:  # as many processes
            list(pool.map(lambda _: worker.tick(db, SETTINGS), range(3)))
        slots = job_service.slots(db, 1000)
        made.append(int((slots["name"] == "digest").sum()))
    assert made == [1, 1, 2, 3, 3], "of the days it was away one check is made up for, not eight"


@pytest.mark.parametrize("skew", [timedelta(hours=-1), timedelta(hours=1)])
def test_a_workers_wrong_clock_decides_nothing(db: Database, skew: timedelta) -> None:
    load(db, "now() - interval '3 days'")
    publish(db)
    load(db, "now() - interval '2 days'")
    wrong = worker.Worker(settings.load({}), lambda: datetime.now(UTC) + skew, db)
    job_service.enqueue(db, "look")
    held = jobs.claim(db, names=["look"])
    assert held is not None
    wrong._ticker = jobs.take_lease(db, "ticker", wrong.holder)
    worker.tick(db, SETTINGS)
    due = job_service.slots(db).set_index("name").loc["refresh", "scheduled_for"].to_pydatetime()
    now = db.rows("job_now")[0]["now"]
    assert due == last_due(now, time(5, 0), ZoneInfo("UTC"))
    assert {jobs.claim(db).name for _ in range(3)} == {"refresh", "detect", "digest"}  # type: ignore[union-attr]
    assert jobs.claim(db) is None  # a lease of 90 s is not over an hour early

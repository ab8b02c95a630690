"""The whole way, nothing replaced: a load, the worker that hears of it, the detection, the mail server, the mailbox."""

from __future__ import annotations

import email
import email.policy
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.alerts.office import environment
from tests.services import shops
from tests.waiting import until
from trendcast import settings
from trendcast.jobs.worker import Worker
from trendcast.services import incidents, sync
from trendcast.services import jobs as job_service
from trendcast.store import jobs

PATIENCE = 60.0  # seconds on a busy machine; an idle one needs three


@pytest.fixture(autouse=True)
def lately(monkeypatch: pytest.MonkeyPatch) -> None:
    """The shop's day 150 is yesterday: of data that ended long ago nobody is told."""
    monkeypatch.setattr(shops, "FIRST", datetime.now(UTC).date() - timedelta(days=151))


@pytest.fixture
def office(post_office: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> Any:
    """A mail server that this process and its children are set to."""
    box, route = post_office()
    for name, value in environment(
        route,
        ALERT_RECIPIENTS="ann@shop.example,bob@shop.example",
        TRENDCAST_PUBLIC_URL="https://trend.shop.example",
    ).items():
        monkeypatch.setenv(name, value)
    return box


@pytest.fixture
def worker(db: Any) -> Iterator[Callable[[], None]]:
    """``worker()`` starts a worker in a thread; it ends with the test."""
    stop = threading.Event()
    threads: list[threading.Thread] = []

    def start() -> None:
        one = Worker(settings.load(), lambda: datetime.now(UTC), db)
        threads.append(threading.Thread(target=one.run, args=(stop,)))
        threads[-1].start()

    yield start
    stop.set()
    for thread in threads:
        thread.join()


def letters(box: Any, about: str) -> list[Any]:
    found = [email.message_from_bytes(one.content, policy=email.policy.default) for one in box.mails]
    return [one for one in found if about in str(one["Subject"])]


def wait_for(condition: Callable[[], bool]) -> None:
    until(condition, PATIENCE, every=0.1)


def test_one_outage_is_one_mail_to_each_person_and_one_more_when_it_is_over(
    db: Any, office: Any, worker: Callable[[], None]
) -> None:
    shop = shops.Shop(db)
    shop.load(150)
    shop.detect()
    assert not db.rows("outbox_list", incident_id=None, limit=10)  # of the past nobody is told
    north = [row for row, (_, region) in enumerate(shop.keys) if region == "North"]
    whole = shop.units[north, 150].copy()
    shop.units[north, 150] = (whole * 0.4).round()
    worker()
    shop.load(151)
    wait_for(lambda: len(letters(office, "CRITICAL")) == 2)
    first = letters(office, "CRITICAL")
    assert sorted(str(one["To"]) for one in first) == ["ann@shop.example", "bob@shop.example"]
    assert len({str(one["Message-ID"]) for one in first}) == 2
    for one in first:
        assert "Region North" in str(one["Subject"])
        body = one.get_body(("plain",)).get_content()
        number = int(incidents.inbox(db)["incident_id"].iloc[0])
        assert f"https://trend.shop.example/anomaly-inbox?incident={number}" in body
    sent = db.rows("outbox_list", incident_id=number, limit=10)
    assert all(row["status"] == "SENT" and row["last_code"] == 250 for row in sent)
    assert incidents.incident(db, number)["mails"]["recipient"].tolist() != []

    # The till reports come after all: the data are corrected, and the same people hear of it in the same thread.
    shop.units[north, 150] = whole
    shop.load(151, first=150)
    wait_for(lambda: len(letters(office, "Resolved")) == 2)
    starts = {str(one["To"]): str(one["Message-ID"]) for one in first}
    assert all(str(one["In-Reply-To"]) == starts[str(one["To"])] for one in letters(office, "Resolved"))
    assert len(letters(office, "North")) == 4  # one alert and one end for each of two people, and nothing else


def test_a_quiet_day_mails_nobody(db: Any, office: Any, worker: Callable[[], None]) -> None:
    shop = shops.Shop(db)
    shop.load(150)
    shop.detect()
    worker()
    shop.load(151)
    # What is found and who is told are one transaction: once the check is done, all there is to send is in the outbox.
    wait_for(lambda: [row["status"] for row in shop.rows("detection_run")] == ["done", "done"])
    assert not db.rows("outbox_list", incident_id=None, limit=10)
    assert not office.mails


def give(db: Any, shop: shops.Shop, first: int, last: int) -> None:
    """Somebody else's job writes these days into a table of its own beside ours."""
    with db.transaction() as connection:
        connection.exec_driver_sql(
            "CREATE TABLE IF NOT EXISTS public.sales_daily (date_id date, product_category text, region text, "
            "sales_units numeric, sales_revenue numeric)"
        )
        frame = shop.frame(first, last)
        connection.exec_driver_sql(
            "INSERT INTO public.sales_daily SELECT * FROM unnest(%s::date[], %s::text[], %s::text[], %s::numeric[], "
            "%s::numeric[])",
            tuple(frame[name].tolist() for name in frame.columns),
        )
    shop.loaded = last


def test_a_quick_look_shows_what_somebody_else_wrote_and_nothing_once_it_was_brought_over(
    db: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOURCE_DATABASE_URL", db.url)
    shop = shops.Shop(db)
    give(db, shop, 0, 20)
    assert sync.unseen(db, settings.load()) == frozenset()  # a table that was never brought over is the sync's own
    sync.sync(db, settings.load())
    assert sync.unseen(db, settings.load()) == frozenset()
    give(db, shop, 20, 22)
    with db.transaction() as connection:
        connection.exec_driver_sql("UPDATE public.sales_daily SET sales_units = 1 WHERE date_id = %s", (shop.day(10),))
    found = {(table, day) for table, day, _ in sync.unseen(db, settings.load())}
    assert found == {("sales_daily", str(shop.day(day))) for day in (10, 20, 21)}
    sync.sync(db, settings.load(), full=False)
    assert sync.unseen(db, settings.load()) == frozenset()


def test_what_somebody_else_wrote_need_not_wait_for_the_end_of_the_minute(
    db: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The look asks for a sync as soon as there is something, and for the same thing once."""
    monkeypatch.setenv("SOURCE_DATABASE_URL", db.url)
    monkeypatch.setattr("trendcast.jobs.worker.SOURCE_POLL", 0.05)
    shop = shops.Shop(db)
    give(db, shop, 0, 20)
    sync.sync(db, settings.load())
    one, stop = Worker(settings.load(), lambda: datetime.now(UTC), db), threading.Event()
    one._tick(db)

    def state() -> str:
        return str(job_service.slots(db).set_index("name")["state"]["sync"])

    def done() -> None:
        claim = jobs.claim(db, names=["sync"])
        assert claim is not None
        jobs.finish(db, claim.id, claim.token, {})

    def looked_again() -> None:
        """A look that began after this moment is over, and so is what it asked for."""
        seen = len(looks)
        wait_for(lambda: len(looks) >= seen + 3)

    done()  # a moment ago: the minute has only begun
    looks: list[None] = []
    look = sync.unseen
    monkeypatch.setattr(sync, "unseen", lambda *what, **how: looks.append(None) or look(*what, **how))
    looking = threading.Thread(target=one._source, args=(db, stop))
    looking.start()
    looked_again()
    assert state() == "done"
    give(db, shop, 20, 21)
    wait_for(lambda: state() == "queued")
    done()  # it left the day alone, as one does with a batch that looks wrong
    looked_again()
    assert state() == "done"
    stop.set()
    looking.join()
    one.leave(db)

"""An upload where the page's database role may not load: the file waits, and a worker loads it as the page would."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable
from typing import Any

import pandas as pd
import pytest

from trendcast.errors import Conflict, InvalidInput, LeaseLost, NotAllowed
from trendcast.services import jobs as job_service
from trendcast.services import push, upload, upload_cells, upload_job
from trendcast.services.people import Person
from trendcast.services.progress import silent
from trendcast.store import jobs
from trendcast.store.engine import Database

ANN, BEN = Person("ann", "planner"), Person("ben", "planner")
DAYS = pd.date_range("2025-01-06", periods=70)
GOOD = "day;item;units\n" + "\n".join(
    f"{day:%d.%m.%Y};{item};1.{n:03d},5" for n, day in enumerate(DAYS) for item in "AB"
)
BAD = GOOD + "\n01.02.2025;A;many\n30.02.2025;A;5\n"


def clock() -> dt.datetime:
    return dt.datetime(2026, 9, 1, tzinfo=dt.UTC)


@pytest.fixture
def web(db: Database) -> Any:
    """The same database with the rights of tc_web."""
    joint = "&" if "?" in db.url else "?"
    database = Database(f"{db.url}{joint}options=-c%20role%3Dtc_web", role="web")
    yield database
    database.close()


@pytest.fixture
def twin(new_database: Callable[..., str], template: str) -> Any:
    """Another database like ``db``."""
    database = Database(new_database(template), role="worker")
    yield database
    database.close()


def looked_at(text: str) -> tuple[upload_cells.Cells, bytes, upload.Reading]:
    data = text.encode()
    cells = upload_cells.read("sales.csv", data)
    return cells, data, upload.propose(cells)


def work(db: Database) -> None:
    """What a worker does with the next file, in this process."""
    claim = jobs.claim(db, names=["upload"])
    assert claim is not None
    done = upload_job.load(db, clock, silent, claim.token, **claim.arguments)
    jobs.finish(db, claim.id, claim.token, json.loads(json.dumps(done)))


def rows(db: Database, query: str) -> list[Any]:
    with db.read() as connection:
        return [tuple(row) for row in connection.exec_driver_sql(query)]


def left(web: Database, text: str, person: Person = ANN) -> int:
    cells, data, reading = looked_at(text)
    return upload_job.leave(web, cells, data, reading, person=person)


def test_a_worker_loads_the_file_as_the_page_would_have(db: Database, web: Database, twin: Database) -> None:
    assert upload_job.needed(web)
    assert not upload_job.needed(db)
    number = left(web, BAD)
    assert rows(db, "SELECT count(*) FROM load_batch") == [(0,)]
    work(db)
    found = upload_job.told(job_service.slot(web, number))
    cells, _, reading = looked_at(BAD)
    summary = upload.load(twin, cells, reading, upload.table(cells, reading), who="ann", clock=clock)
    expected = summary.table("sales_daily")
    expected.seconds = found["table"].seconds
    assert found["table"] == expected
    assert (expected.new, expected.refused) == (140, 2)
    for what in (
        "SELECT date_id, product_category, sales_units FROM sales_daily ORDER BY 1, 2",
        "SELECT row_number, encode(raw, 'escape'), reason FROM quarantine ORDER BY 1",
        "SELECT source, sha256, status, rows_in, rows_quarantined FROM load_batch",
        "SELECT actor, action, object, after FROM audit WHERE action = 'upload file'",
        "SELECT used_by FROM upload_mapping",
    ):
        assert rows(db, what) == rows(twin, what)
    assert rows(db, "SELECT source FROM load_batch") == [("upload:sales.csv by ann",)]
    assert rows(db, "SELECT id FROM job_slot WHERE name = 'refresh'") == [(found["slot"],)], "once, by the load"
    assert rows(db, "SELECT count(*) FROM pushed") == [(0,)], "what is loaded is kept once"
    again = left(web, BAD)
    work(db)
    assert upload_job.told(job_service.slot(web, again))["table"].status == "same"


def test_a_held_file_is_accepted_without_being_sent_again_and_in_whose_name_is_noted(
    db: Database, web: Database
) -> None:
    left(web, GOOD)
    work(db)
    number = left(web, GOOD.replace(".2025", ".2026"))
    work(db)
    held = upload_job.told(job_service.slot(web, number))
    assert (held["table"].status, held["slot"]) == ("held", None)
    assert "has no rows" in held["table"].reason
    with pytest.raises(NotAllowed):
        upload_job.accept(web, number, person=Person("eve", "viewer"))
    accepted = upload_job.accept(web, number, person=BEN)
    work(db)
    assert upload_job.told(job_service.slot(web, accepted))["table"].new == 140
    assert rows(db, "SELECT status, accepted_by FROM load_batch ORDER BY id DESC LIMIT 1") == [("merged", "ben")]
    assert rows(db, "SELECT actor FROM audit WHERE action = 'accept batch'") == [("ben",)]
    assert rows(db, "SELECT count(*) FROM pushed") == [(0,)]
    with pytest.raises(Conflict):
        upload_job.accept(web, accepted, person=BEN)


def test_only_a_planner_hands_a_file_over_and_the_worker_asks_again(db: Database, web: Database) -> None:
    with pytest.raises(NotAllowed):
        left(web, GOOD, Person("eve", "viewer"))
    number = left(web, GOOD)
    with pytest.raises(NotAllowed), web.transaction() as connection:
        connection.exec_driver_sql("UPDATE job_slot SET arguments = '{}'")
    with db.transaction() as connection:
        connection.exec_driver_sql('UPDATE job_slot SET arguments = arguments || \'{"role": "viewer"}\'')
    with pytest.raises(NotAllowed, match="needs the role planner"):
        work(db)
    assert rows(db, "SELECT count(*) FROM sales_daily") == [(0,)]
    assert upload_job.newest(web, "ann")["id"] == number  # type: ignore[index]
    assert upload_job.newest(web, "eve") is None


def test_more_than_a_page_takes_is_not_kept(web: Database) -> None:
    cells, _, reading = looked_at(GOOD)
    with pytest.raises(InvalidInput, match="larger than 50 MB"):
        upload_job.leave(web, cells, b"x" * (upload_cells.MOST_BYTES + 1), reading, person=ANN)
    assert rows(web, "SELECT (SELECT count(*) FROM pushed) + (SELECT count(*) FROM job_slot)") == [(0,)]


def test_what_was_sent_last_stays_whichever_way_it_came(db: Database, web: Database) -> None:
    """Rows over REST and files are loaded in the order in which they came, and by one worker only."""
    left(web, GOOD)
    assert push.awaited(web, "sales_daily")
    row: push.Row = {"date_id": "2025-01-06", "product_category": "A", "sales_units": 7}
    push.leave(web, "sales_daily", [row], who="key:till")
    assert jobs.claim(db, names=["push"]) is None, "the file came first"
    lost = jobs.claim(db, names=["upload"])
    assert lost is not None
    with db.transaction() as connection:
        connection.exec_driver_sql("UPDATE job_slot SET lease_until = now() - interval '1 hour' WHERE name = 'upload'")
    work(db)
    with pytest.raises(LeaseLost):
        upload_job.load(db, clock, silent, lost.token, **{**lost.arguments, "waiting": _kept_again(web)})
    claim = jobs.claim(db, names=["push"])
    assert claim is not None
    push.load_waiting(db, clock, silent, claim.token, **claim.arguments)
    units = rows(db, "SELECT sales_units FROM sales_daily WHERE date_id = '2025-01-06' AND product_category = 'A'")
    assert units == [(7.0,)]


def _kept_again(web: Database) -> int:
    """The number of another file that waits, of other content."""
    number = left(web, GOOD.replace("1.0", "2.0"))
    return int(job_service.slot(web, number)["arguments"]["waiting"])

"""A dashboard or API in a process of its own, with the rights of tc_web and no more."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from typing import Any

import pandas as pd
import pytest

from trendcast import settings
from trendcast.errors import NotAllowed
from trendcast.services import alerts, decisions, detect, forecast, incidents, outbox, recommend, scenarios, upload
from trendcast.services import jobs as job_service
from trendcast.services.load import load_frames
from trendcast.services.progress import silent
from trendcast.services.upload_cells import read
from trendcast.store.engine import Database


def clock() -> datetime:
    return datetime.now(UTC)


@pytest.fixture(scope="module")
def owner(clone_demo: Callable[[str], Database]) -> Database:
    """The published demo retailer after a check."""
    database = clone_demo("web_role")
    detect.detect(database, clock, silent, None)
    return database


@pytest.fixture(scope="module")
def web(owner: Database) -> Iterator[Database]:
    joint = "&" if "?" in owner.url else "?"
    database = Database(f"{owner.url}{joint}options=-c%20role%3Dtc_web", role="web")
    with database.read() as connection:
        assert connection.exec_driver_sql("SELECT current_user").scalar() == "tc_web"
    yield database
    database.close()


def test_people_can_do_on_the_pages_what_pages_are_for(web: Database) -> None:
    """Settle an alert, decide on an order, keep a what-if and put it aside, ask for a refresh twice."""
    found = incidents.inbox(web, statuses=("NEW",)).iloc[0]
    incidents.move(web, clock, int(found["incident_id"]), "acknowledge", version=int(found["version"]), who="ann")
    run = forecast.current_run(web)
    advice = recommend.advice(web, run.id).iloc[0]
    chosen = {"run_id": run.id, "product_category": advice["product_category"]}
    decisions.decide(web, clock, **chosen, decision="accept", who="ann", recommendation={"sentence": "Order 3 units."})
    scenario = {"run_id": run.id, "level": "total", "product_category": "", "region": "", "store": "", "note": None}
    kept = {"name": "One", "drivers": {}, "result": {}, "created_by": "ann"}
    with web.transaction() as connection:
        saved = web.rows("scenario_add", connection=connection, **scenario, **kept)[0]["id"]
    scenarios.archive(web, saved)
    assert job_service.enqueue(web, "refresh") == job_service.enqueue(web, "refresh")


def test_the_reading_of_a_file_is_remembered(web: Database) -> None:
    cells = read("sales.csv", b"day,item,units\n2026-01-05,Tea,4\n2026-01-06,Tea,5\n")
    for _ in range(2):
        upload.remember(web, cells, upload.propose(cells), who="ann")
    assert upload.recall(web, cells) is not None


def test_what_takes_the_owners_rights_says_so(owner: Database, web: Database, serving: Any) -> None:
    sales = pd.DataFrame({"date_id": [date(2026, 10, 1)], "product_category": "Electronics", "sales_units": 3})
    with pytest.raises(NotAllowed, match=r"^Loading data takes the rights of the database's owner.*a worker"):
        load_frames(web, {"sales_daily": sales}, source="upload:sales.csv")
    with owner.transaction() as connection:  # as if data had come since
        connection.exec_driver_sql("UPDATE detection_run SET data_version = 0")
    with pytest.raises(NotAllowed, match=r"^Checking for anomalies takes the rights of the database's owner.*a worker"):
        detect.detect(web, clock, silent, None)
    assert detect.detect(web, clock, silent, None, dry_run=True)["dry_run"], "looking takes no rights"


def test_mails_and_their_channels_are_the_workers(web: Database) -> None:
    for statement in ("UPDATE outbox SET status = 'SENT'", "UPDATE channel_state SET failures = 0"):
        with pytest.raises(NotAllowed), web.transaction() as connection:
            connection.exec_driver_sql(statement)


def test_a_mail_is_tested_and_audited_by_a_process_that_may_not_write_channels(
    web: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    yes = outbox.Receipt(outbox.Outcome.SENT, 250, "250 OK")
    monkeypatch.setattr(outbox, "channels", lambda _: {"email": outbox.Channel("email", lambda row, now: yes)})
    assert alerts.self_test(web, settings.load({}), clock(), "ann@shop.example", who="ann")["outcome"] == "sent"
    with web.read() as connection:
        last = connection.exec_driver_sql("SELECT actor, action FROM audit ORDER BY id DESC LIMIT 1").one()
    assert tuple(last) == ("ann", "mail tested")

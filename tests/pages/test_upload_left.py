"""The Data page in a process that may not load facts: the file waits for a worker, and its result is found again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import streamlit as st

from tests.pages.test_data import GERMAN, send, show, words
from trendcast.services import runtime, upload_job
from trendcast.services.progress import silent
from trendcast.store import jobs
from trendcast.store.engine import Database
from trendcast.ui import reads
from trendcast.ui.live import LiveProvider


@pytest.fixture
def least(db: Database, monkeypatch: pytest.MonkeyPatch, make_retailer: Any) -> Iterator[Database]:
    """The dashboard of this process with the rights of tc_web, on a database without data."""
    joint = "&" if "?" in db.url else "?"
    monkeypatch.setenv("DATABASE_URL", f"{db.url}{joint}options=-c%20role%3Dtc_web")
    monkeypatch.setattr(reads, "provider", LiveProvider())
    runtime.process.close()
    yield db
    runtime.process.close()


def work(db: Database) -> None:
    """What a worker does with the next file, in this process; the refresh it asks for stays in the queue."""
    st.cache_data.clear()  # the page asks again every two seconds
    claim = jobs.claim(db, names=["upload"])
    assert claim is not None
    upload_job.load(db, runtime.clock, silent, claim.token, **claim.arguments)


def test_a_file_waits_for_the_worker_and_its_result_is_found_after_leaving(
    least: Database, open_page: Callable[..., Any]
) -> None:
    app = send(open_page("data"), GERMAN + "\n31.12.2025;Brot;viele;1\n")
    app.get_by_key("upload_load").click().run()
    assert not app.exception
    assert "No worker has been seen yet; the file waits and nothing is lost." in words(app)
    assert jobs.take_lease(least, "ticker", "somebody") is not None
    st.cache_data.clear()
    app.run()
    assert "No worker" not in words(app)
    work(least)
    for page in (app.run(), show(open_page("data"), "upload")):
        assert not page.exception
        assert "180\u202fnew rows from" in words(page)
        assert "1\u202frow in quarantine: 1 × sales_units is not a number" in words(page)
        assert "Your forecast is being made" in words(page)
    page.get_by_key("upload_again").click().run()
    assert "new rows" not in words(page)


def test_a_held_file_is_accepted_after_leaving(least: Database, open_page: Callable[..., Any]) -> None:
    early = GERMAN.replace(".2026", ".2024")
    for data in (early, early.replace(".2024", ".2025")):
        send(open_page("data"), data).get_by_key("upload_load").click().run()
        work(least)
    page = show(open_page("data"), "upload")
    assert "is held: " in words(page)
    page.get_by_key("upload_accept").click().run()
    assert not page.exception
    assert "can leave this page" in words(page)
    work(least)
    assert "180\u202fnew rows from" in words(page.run())


def test_a_worker_that_was_seen_is_named_with_its_time_and_a_failure_with_its_reason(
    least: Database, open_page: Callable[..., Any]
) -> None:
    app = send(open_page("data"), GERMAN)
    app.get_by_key("upload_load").click().run()
    token = jobs.take_lease(least, "ticker", "somebody")
    assert token is not None
    jobs.release_lease(least, "ticker", token)
    st.cache_data.clear()
    assert "No worker has been seen since 2" in words(app.run())
    claim = jobs.claim(least, names=["upload"])
    assert claim is not None
    jobs.fail(least, claim.id, claim.token, "The file broke <b>.", again=False)
    st.cache_data.clear()
    app.run()
    assert not app.exception
    assert "was not loaded: The file broke <b>." in words(app)

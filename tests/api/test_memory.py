"""What is read again costs the database nothing: a run never changes."""

from __future__ import annotations

import pytest

from trendcast.api import app as service
from trendcast.api import shared
from trendcast.store.engine import Database


@pytest.fixture
def asked(monkeypatch):
    """The queries that were made, in order; the run that is current is asked for once in a long while."""
    names, rows, frame = [], Database.rows, Database.frame
    monkeypatch.setattr(shared, "RUN_SECONDS", 1e9)
    monkeypatch.setattr(Database, "rows", lambda db, name, /, **how: names.append(name) or rows(db, name, **how))
    monkeypatch.setattr(Database, "frame", lambda db, name, /, **how: names.append(name) or frame(db, name, **how))
    return names


@pytest.mark.parametrize(
    "path",
    [
        "/forecasts?category=Electronics",
        "/forecast?unit=money&category=Electronics",
        "/series?limit=5",
        "/recommendations",
    ],
)
def test_what_was_read_before_is_not_read_again(rest, asked, path):
    first = rest.get(path)
    assert first.status_code == 200, first.text
    assert asked, "the first time it is"
    asked.clear()
    again = rest.get(path)
    assert (again.json(), again.headers.get("vary")) == (first.json(), first.headers.get("vary"))
    # What somebody decided on an order is asked each time, whatever else is known.
    assert asked == (["decision_of_run"] if path == "/recommendations" else [])


def test_who_pages_through_one_list_drives_out_none_of_another(rest, asked, monkeypatch):
    monkeypatch.setattr(shared, "INBOX_SECONDS", 1e9)
    rest.get("/anomalies")
    asked.clear()
    rest.get("/anomalies")
    inbox = list(asked)  # whether something happened there is asked, the list is not
    for first in range(33):  # of both together more than are kept of the inbox
        assert rest.get(f"/series?limit=1&offset={first}").status_code == 200
        assert rest.get(f"/recommendations?limit=1&offset={first}").status_code == 200
    asked.clear()
    rest.get("/anomalies")
    assert asked == inbox


def test_a_page_that_is_large_is_not_kept(rest):
    assert len(rest.get("/forecasts?level=category_region&limit=1000").content) > service.ROWS_BYTES
    assert len(service._rows._values) == 0
    assert rest.get("/forecasts?limit=10").status_code == 200
    assert len(service._rows._values) == 1

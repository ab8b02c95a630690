"""A Monday across the pages of a retailer that lives: from the summary to what needs a decision, the next day, and a
stranger's own file."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlparse

import pytest

from tests.browser.conftest import ROOT, Visitor
from trendcast.services import demo, incidents
from trendcast.services import jobs as job_service
from trendcast.store import jobs
from trendcast.store.engine import Database

END = date(2026, 11, 18)  # a Wednesday
SECONDS = 150_000  # milliseconds a job may take on a busy machine


@pytest.fixture(scope="module")
def serve(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[Database], str]]:
    """``serve(database)`` starts a dashboard with its jobs on that database; returns its address."""
    running: list[subprocess.Popen[bytes]] = []

    def start(database: Database) -> str:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = int(probe.getsockname()[1])
        home = tmp_path_factory.mktemp("home")
        command = [sys.executable, "-m", "streamlit", "run", "streamlit_app.py", f"--server.port={port}"]
        process = subprocess.Popen(
            [*command, "--server.headless=true"],
            cwd=ROOT,
            env={**os.environ, "DATABASE_URL": database.url, "TRENDCAST_HOME": str(home), "TZ": "UTC"},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        running.append(process)
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.1)
        return f"http://localhost:{port}"

    yield start
    for process in running:
        process.send_signal(signal.SIGINT)
    for process in running:
        process.wait(timeout=60)


@pytest.fixture(scope="module")
def village(server: Any, template: str) -> Iterator[Database]:
    """A small demo retailer with a past of four Mondays."""
    from tests.conftest import _administer

    _administer(server, f"CREATE DATABASE tc_village TEMPLATE {template} STRATEGY FILE_COPY")
    database = Database(server.database_url("tc_village"), role="worker")
    claim = jobs.claim(database, slot_id=job_service.enqueue(database, "demo"))
    assert claim is not None
    demo.build(
        database, lambda: datetime.now(UTC), lambda *_, **__: None, claim.token,
        categories=4, regions=2, years=2, end=END, weeks=4,
    )  # fmt: skip
    jobs.finish(database, claim.id, claim.token, {})
    yield database
    database.close()


@pytest.fixture
def walk(chromium: Any) -> Iterator[Callable[[str], Visitor]]:
    """``walk(address)``: a fresh browser there, which must end without trouble."""
    visitors: list[Visitor] = []

    def fresh(address: str) -> Visitor:
        visitors.append(Visitor(chromium, address, viewport={"width": 1440, "height": 1000}))
        return visitors[-1]

    yield fresh
    for visitor in visitors:
        assert not visitor.troubles
        visitor.page.context.close()


@pytest.fixture(scope="module")
def address(serve: Callable[[Database], str], village: Database) -> str:
    return serve(village)


def words(text: str) -> str:
    """Text without the marks that keep names of any script apart, and with plain blanks."""
    return re.sub(r"[\u2066-\u2069\u2060]", "", text).replace("\u202f", " ").replace("\xa0", " ")


def test_from_the_review_to_the_anomaly_the_series_and_the_order(walk: Any, address: str, village: Database) -> None:
    monday = walk(address)
    page = monday.open()
    page.wait_for_url("**/review")
    monday.settle()
    assert "12 weeks" in words(page.locator("h4").first.inner_text())
    assert page.get_by_text("Top risks", exact=True).count() == 1

    # The exception that counts open HIGH anomalies, or the tile, leads to the inbox.
    page.locator(".st-key-tile_alerts, .st-key-tile_open_alerts").first.get_by_role("link").first.click()
    page.wait_for_url("**/anomaly-inbox*")
    monday.settle()
    top = incidents.inbox(village).iloc[0]
    assert str(top["headline"]).split(":")[0] in words(page.locator("h4").first.inner_text())

    # Alert to resolved: open it, say why, done.
    page.locator(".st-key-inbox_start button").first.click()
    monday.settle()
    number = int(parse_qs(urlparse(page.url).query)["incident"][0])
    assert number == top["incident_id"]
    if page.locator(".st-key-incident_acknowledge button").count():
        page.locator(".st-key-incident_acknowledge button").first.click()
        monday.settle()
    found = incidents.incident(village, number)
    assert found["status"] == "ACKNOWLEDGED"
    assert found["owner"] == "local"
    assert page.locator('[data-testid="stPlotlyChart"]').count() >= 1

    # The series it is about.
    category = str(top["product_category"])
    level = "category" if category else "total"
    page = monday.open(f"forecasts?level={level}" + (f"&category={category.replace('&', '%26')}" if category else ""))
    assert page.locator('[data-testid="stPlotlyChart"]').count() >= 1
    assert page.locator('[data-testid="stException"]').count() == 0

    # And what to order of it.
    page = monday.open("inventory")
    assert "order" in words(page.locator("h4").first.inner_text()).lower()
    page.locator(".st-key-stock_start button").first.click()
    monday.settle()
    assert "item" in parse_qs(urlparse(page.url).query)
    assert page.locator('[data-testid="stPlotlyChart"]').count() >= 2


@pytest.mark.parametrize("name", ["review", "forecasts", "what-if", "anomaly-inbox", "inventory", "accuracy", "data"])
def test_every_page_of_a_first_start_is_whole(walk: Any, address: str, name: str) -> None:
    page = walk(address).open(name)
    assert page.locator('[data-testid="stException"]').count() == 0
    assert page.locator('[data-testid="stAlertContentError"], [data-testid="stAlertContentWarning"]').count() == 0
    assert page.get_by_text("could not be shown").count() == 0
    headings = page.locator("h2, h3, h4")
    assert headings.count() >= 1
    for chart in page.locator('[data-testid="stPlotlyChart"]').all():
        chart.scroll_into_view_if_needed()
        assert chart.locator(".main-svg").first.bounding_box()["height"] > 50


def test_the_next_day_comes_with_a_click(walk: Any, address: str, village: Database) -> None:
    visitor = walk(address)
    page = visitor.open("review")
    assert "Data to Wed 18 Nov 2026" in words(page.locator('[data-testid="stApp"]').inner_text())
    page.locator(".st-key-demo_next_day button").first.click()
    page.get_by_text("Data to Thu 19 Nov 2026").wait_for(timeout=SECONDS)
    visitor.settle()
    with village.read() as connection:
        newest = connection.exec_driver_sql("SELECT max(date_id) FROM sales_daily").scalar_one()
    assert newest == END + timedelta(days=1)


def test_a_strangers_file_becomes_a_first_forecast(
    walk: Any, serve: Callable[[Database], str], new_database: Callable[..., str], template: str, tmp_path: Path
) -> None:
    """A German export: semicolons, decimal commas, the day first, other names, a column nobody knows."""
    file = tmp_path / "Umsätze Filialen.csv"
    lines = ["Datum;Warengruppe;Filiale;Absatz;Umsatz;Bearbeiter"]
    for offset in range(400):
        day = date(2025, 10, 1) + timedelta(days=offset)
        for group, level in (("Möbel", 40), ("Lampen", 25)):
            units = level + 10 * (day.weekday() == 5) + (offset * 7 + level) % 6
            lines.append(f"{day:%d.%m.%Y};{group};Köln;{units};{units * 12.5:.2f};Ann".replace(".50;", ",50;"))
    file.write_text("\n".join(lines).replace(".00;", ",00;"), encoding="cp1252")
    empty = Database(new_database(template), role="worker")
    visitor = walk(serve(empty))
    page = visitor.open("data?part=upload")
    if not page.locator('input[type="file"]').count():
        page.get_by_text("Upload", exact=True).first.click()
        visitor.settle()
    page.locator('input[type="file"]').set_input_files(str(file))
    page.locator(".st-key-upload_load button").first.wait_for(timeout=30_000)
    visitor.settle()
    page.locator(".st-key-upload_load button").first.click()
    page.locator(".st-key-upload_done").wait_for(timeout=60_000)
    assert "800 new rows" in words(page.locator(".st-key-upload_done").inner_text())
    page.get_by_text(re.compile("Data to Wed 4 Nov 2026")).first.wait_for(timeout=SECONDS)
    with empty.read() as connection:
        sold = connection.exec_driver_sql(
            "SELECT sum(sales_units), sum(sales_revenue) FROM sales_daily WHERE product_category = 'Möbel'"
        ).one()
    units = [40 + 10 * ((date(2025, 10, 1) + timedelta(days=n)).weekday() == 5) + (n * 7 + 40) % 6 for n in range(400)]
    assert tuple(sold) == (sum(units), pytest.approx(12.5 * sum(units)))
    page = visitor.open("forecasts")
    assert page.locator('[data-testid="stPlotlyChart"]').count() >= 1
    empty.close()

"""A Monday across the pages of a retailer that lives: from the summary to what needs a decision, the next day, and a
stranger's own file."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlparse

import pytest

from tests.browser.conftest import Visitor
from tests.databases import clock, create
from tests.installation import Live, start
from trendcast.services import demo, incidents
from trendcast.services import jobs as job_service
from trendcast.services.progress import silent
from trendcast.store import jobs
from trendcast.store.engine import Database

END = date(2026, 11, 18)  # a Wednesday
SECONDS = 150_000  # milliseconds a job may take on a busy machine


@pytest.fixture(scope="module")
def serve(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[Database], str]]:
    """``serve(database)`` starts a dashboard with its jobs on that database; returns its address."""
    running: list[Live] = []

    def on(database: Database) -> str:
        running.append(start(tmp_path_factory.mktemp("home"), DATABASE_URL=database.url, TRENDCAST_JOBS="on"))
        return running[-1].ready().url

    yield on
    for live in running:
        live.stop()


@pytest.fixture(scope="module")
def village(server: Any, template: str) -> Iterator[Database]:
    """A small demo retailer with a past of four Mondays."""
    database = create(server, "tc_village", template)
    claim = jobs.claim(database, slot_id=job_service.enqueue(database, "demo"))
    assert claim is not None
    demo.build(
        database, clock, silent, claim.token,
        categories=4, regions=2, years=2, end=END, weeks=4,
    )  # fmt: skip
    jobs.finish(database, claim.id, claim.token, {})
    yield database
    database.close()


@pytest.fixture
def walk(chromium: Any) -> Iterator[Callable[..., Visitor]]:
    """``walk(address, width=, scheme=)``: a fresh browser there, which must end without trouble."""
    visitors: list[Visitor] = []

    def fresh(address: str, width: int = 1440, scheme: str = "light") -> Visitor:
        visitors.append(Visitor(chromium, address, viewport={"width": width, "height": 1000}, color_scheme=scheme))
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

    # Alert to acknowledged: a new one is opened and taken on.
    page.locator(".st-key-tile_new button").first.click()
    monday.settle()
    page.locator(".st-key-inbox_start button").first.click()
    monday.settle()
    number = int(parse_qs(urlparse(page.url).query)["incident"][0])
    assert incidents.incident(village, number)["status"] == "NEW"
    page.locator(".st-key-incident_acknowledge button").first.click()
    monday.settle()
    found = incidents.incident(village, number)
    assert found["status"] == "ACKNOWLEDGED"
    assert found["owner"] == "local"
    drawn(page, 1)

    # The series it is about.
    page.get_by_role("link", name="Its forecast and what to do").first.click()
    page.wait_for_url("**/forecasts*")
    monday.settle()
    asked = parse_qs(urlparse(page.url).query)
    assert asked.get("level", ["total"]) == [found["level"]]
    assert asked.get("category", [""]) == [found["product_category"] or ""]
    drawn(page, 2)
    assert page.locator('[data-testid="stException"]').count() == 0

    # And what to order of it.
    page.locator(".st-key-recommendations").get_by_role("link", name=re.compile("in Inventory")).first.click()
    page.wait_for_url("**/inventory*")
    monday.settle()
    assert "order" in words(page.locator("h4").first.inner_text()).lower()
    page.locator(".st-key-stock_start button").first.click()
    monday.settle()
    assert "item" in parse_qs(urlparse(page.url).query)
    drawn(page, 2)


def drawn(page: Any, least: int) -> None:
    """At least so many charts are there, each of some height and with points in a trace."""
    charts = page.locator('[data-testid="stPlotlyChart"]')
    assert charts.count() >= least
    for chart in charts.all():
        chart.scroll_into_view_if_needed()
        assert chart.locator(".main-svg").first.bounding_box()["height"] > 50
        points = chart.locator(".js-plotly-plot").first.evaluate(
            "plot => Math.max(0, ...(plot.data || []).map(trace => ((trace.y && trace.y.length) || "
            "(trace.y && trace.y._inputArray && trace.y._inputArray.length) || (trace.x && trace.x.length) || 0)))"
        )
        assert points > 0


CHARTS = {"review": 2, "forecasts": 2, "what-if": 1, "anomaly-inbox": 0, "inventory": 0, "accuracy": 2, "data": 0}
LOOKS = [
    *[(name, 1440, "light") for name in CHARTS],
    *[(name, 390, "light") for name in ("review", "forecasts")],
    *[(name, 1440, "dark") for name in ("review", "forecasts")],
]


@pytest.mark.parametrize(("name", "width", "scheme"), LOOKS)
def test_every_page_of_a_first_start_is_whole(walk: Any, address: str, name: str, width: int, scheme: str) -> None:
    page = walk(address, width=width, scheme=scheme).open(name)
    assert page.locator('[data-testid="stException"]').count() == 0
    assert page.locator('[data-testid="stAlertContentError"], [data-testid="stAlertContentWarning"]').count() == 0
    assert page.get_by_text("could not be shown").count() == 0
    assert page.locator("h2, h3, h4").count() >= 1
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    colour = page.locator('[data-testid="stApp"]').evaluate("app => getComputedStyle(app).backgroundColor")
    assert colour == {"light": "rgb(255, 255, 255)", "dark": "rgb(14, 17, 23)"}[scheme]
    drawn(page, CHARTS[name])


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
    page.get_by_role("link", name="Open your forecast").first.click(timeout=SECONDS)
    page.wait_for_url("**/forecasts*")
    visitor.settle()
    assert "Data to Wed 4 Nov 2026" in words(page.locator('[data-testid="stApp"]').inner_text())
    with empty.read() as connection:
        sold = connection.exec_driver_sql(
            "SELECT sum(sales_units), sum(sales_revenue) FROM sales_daily WHERE product_category = 'Möbel'"
        ).one()
    units = [40 + 10 * ((date(2025, 10, 1) + timedelta(days=n)).weekday() == 5) + (n * 7 + 40) % 6 for n in range(400)]
    assert tuple(sold) == (sum(units), pytest.approx(12.5 * sum(units)))
    drawn(page, 2)
    empty.close()

"""Sixty names of strangers in a real browser: through mails always, through pages and exports every night. Nothing of
them runs, nothing is fetched from elsewhere, and the content policy has nothing to report."""

from __future__ import annotations

import csv
import datetime as dt
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import openpyxl
import pandas as pd
import pytest

from tests.browser.conftest import IDLE, Visitor
from tests.databases import clock, create, publish
from tests.installation import Live, start
from tests.pages.test_hostile_names import HOSTILE
from trendcast.alerts import message
from trendcast.alerts.message import Incident, Item
from trendcast.services.progress import silent
from trendcast.store import embedded
from trendcast.store.engine import Database

DAY = dt.date(2026, 9, 29)
# The most dangerous of them, where every one would take too long.
WORST = tuple(
    name for name in HOSTILE if any(mark in name for mark in ("<", "](", "$", ":red", "http", "%{", "OR 1=1"))
)
PAGES = ("review", "what-if", "anomaly-inbox", "inventory", "accuracy", "data")
# A library of Streamlit's asks on every page whether it may compile WebAssembly, and does without.
HARMLESS = {"script-src wasm-eval"}
# What the content policy forbids is told to the page itself; so are errors nobody caught.
LISTEN = """
window.heard = [];
document.addEventListener('securitypolicyviolation', e => window.heard.push(e.violatedDirective + ' ' + e.blockedURI));
"""


def mails() -> list[str]:
    found = []
    for number, name in enumerate(HOSTILE):
        item = Item(name, name, name, DAY, 412.0, 1120.0, 6.5)
        incident = Incident(
            number, "HIGH", name, f"{name}: 412 sold", name, name, DAY, 1, 708.0, 21_000.0, (item,), note=name
        )
        found += [message.alert(incident, reason, "http://localhost").html for reason in ("first", "resolved")]
        found.append(message.notice(name, (name, name), "http://localhost").html)
    whole = [
        Incident(n, "LOW", name, f"{name}: 1 sold", name, name, DAY, 1, 7.0, None)
        for n, name in enumerate(HOSTILE[:20])
    ]
    return [*found, message.digest(whole, "Tue 29 Sep", HOSTILE[0], "http://localhost").html]


@pytest.fixture
def reader(chromium: Any) -> Iterator[Visitor]:
    """A mail program that would run what it finds and fetch what it is told."""
    one = Visitor(chromium, "about:")
    yield one
    one.page.context.close()


def test_no_name_runs_or_fetches_anything_in_a_mail(reader: Visitor) -> None:
    for mail in mails():
        reader.page.set_content(mail, wait_until="domcontentloaded")
        assert reader.page.locator("script, img, iframe, object, embed, form").count() == 0
    assert reader.troubles == []


def test_a_reader_would_see_it(reader: Visitor) -> None:
    """The same reader, and a mail that takes a name as it comes."""
    reader.page.set_content(f"<p>{HOSTILE[0]}</p><img src='http://evil.example/x.png'>")
    reader.page.wait_for_timeout(300)
    assert "dialog" in reader.troubles
    assert any("foreign request: http://evil.example" in trouble for trouble in reader.troubles)


# --- every night: pages and exports ---


@pytest.fixture(scope="module")
def strange(server: embedded.Server, template: str) -> Iterator[Database]:
    """A published and checked retailer whose categories and only region are called so."""
    from trendcast.demo import generate
    from trendcast.services.detect import detect

    database = create(server, "tc_strange", template)
    frames = generate(len(HOSTILE), 1, 0, 2, dt.date(2026, 9, 30))
    was = sorted(frames["sales_daily"]["product_category"].unique())
    called = dict(zip(was, HOSTILE, strict=True))

    def renamed(frame: pd.DataFrame) -> pd.DataFrame:
        if "product_category" in frame:
            frame = frame.assign(product_category=frame["product_category"].astype(str).replace(called))
        return frame.assign(region="<svg onload=alert(4)>") if "region" in frame else frame

    publish(database, {name: renamed(frame) for name, frame in frames.items()})
    detect(database, clock, silent, None)
    yield database
    database.close()


@pytest.fixture(scope="module")
def strange_site(strange: Database, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    one = start(tmp_path_factory.mktemp("home"), DATABASE_URL=strange.url).ready()
    yield one
    one.stop()


def published(strange: Database) -> list[str]:
    """The names that were let in; the others lie in quarantine, with their reason."""
    return sorted({row["product_category"] for row in strange.rows("series_all")} - {""})


@pytest.mark.nightly
def test_what_is_no_name_is_in_quarantine_and_the_rest_is_published(strange: Database) -> None:
    names = published(strange)
    assert len(names) >= 45
    assert not [name for name in names if name[0] in "=+-@"]


def addresses(page: str, strange: Database) -> list[str]:
    """Where a page shows names: every name on Forecasts, the worst of them and none on the others; ten incidents."""
    if page == "incident":
        with strange.read() as connection:
            newest = connection.exec_driver_sql("SELECT id FROM incident ORDER BY id DESC LIMIT 10")
            return [f"anomaly-inbox?incident={incident}" for incident in newest.scalars()]
    names = published(strange)
    if page == "forecasts":
        return [f"{page}?" + urlencode({"level": "category_region", "category": name}) for name in names]
    worst = [name for name in names if name in WORST]
    return [page, *(f"{page}?" + urlencode({"level": "category", "category": name}) for name in worst)]


@pytest.mark.nightly(minutes=60)
@pytest.mark.parametrize("page", ["forecasts", *PAGES, "incident"])
def test_no_name_runs_or_fetches_anything_on_any_page(
    chromium: Any, strange: Database, strange_site: Live, page: str
) -> None:
    one = Visitor(chromium, strange_site.url, viewport={"width": 1440, "height": 1000})
    one.page.add_init_script(LISTEN)
    one.page.set_default_timeout(120_000)
    paths = addresses(page, strange)
    assert len(paths) >= 10
    for path in paths:
        one.page.goto(f"{one.site}/{path}")
        one.page.locator(IDLE).wait_for(timeout=300_000)
        one.settle()
        assert not set(one.page.evaluate("window.heard")) - HARMLESS, path
        if one.page.locator('[data-testid="stException"], .st-key-state_broken').count():
            pytest.fail(f"{path}:\n{strange_site.stop()[-3000:]}")
    assert one.troubles == []
    one.page.context.close()
    print(f"{page}: {len(paths)} addresses")


@pytest.mark.nightly
def test_no_name_is_a_formula_or_a_script_in_an_export(
    chromium: Any, strange: Database, strange_site: Live, tmp_path: Path
) -> None:
    from trendcast.services import executive

    one = Visitor(chromium, strange_site.url, viewport={"width": 1440, "height": 1000})
    one.page.set_default_timeout(120_000)
    for name in [name for name in published(strange) if name in WORST][:6]:
        one.open("forecasts?" + urlencode({"level": "category", "category": name}))
        for kind in ("csv", "xlsx"):
            with one.page.expect_download() as waiting:
                one.page.locator(f".st-key-{kind} button").click()
            content = Path(waiting.value.path()).read_bytes()
            assert not set('/\\<>:"|?*') & set(waiting.value.suggested_filename)
            for cell in cells(kind, content):
                assert not cell.startswith(("=", "+", "@", "\t", "\r")), (name, cell)
    assert one.troubles == []
    one.page.context.close()

    told = executive.write(executive.collect(strange), dt.datetime.now(dt.UTC), tmp_path)
    report = Visitor(chromium, f"file://{tmp_path}")
    report.page.add_init_script(LISTEN)
    report.page.goto(f"file://{told['files']['html']}")
    assert report.page.locator("script, iframe, object, embed, form").count() == 0
    assert report.page.evaluate("window.heard") == []
    assert report.troubles == []
    report.page.context.close()


def cells(kind: str, content: bytes) -> Iterator[str]:
    if kind == "csv":
        for line in csv.reader(io.StringIO(content.decode("utf-8-sig"))):
            yield from line
        return
    book = openpyxl.load_workbook(io.BytesIO(content))
    for sheet in book.worksheets:
        for line in sheet.iter_rows():
            for cell in line:
                assert cell.data_type != "f"
                if isinstance(cell.value, str):
                    yield cell.value

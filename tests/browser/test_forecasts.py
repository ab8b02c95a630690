"""Monday morning in a real browser: choose, see, take the numbers along, send the link."""

from __future__ import annotations

import io
from urllib.parse import parse_qs, urlparse

import httpx
import numpy as np
import openpyxl
import pandas as pd
import pytest

COMMA = "HB,NI"


def query(page) -> dict[str, list[str]]:
    return parse_qs(urlparse(page.url).query)


@pytest.fixture(scope="session")
def category(shop) -> str:
    return str(sorted({row["product_category"] for row in shop.rows("series_all")} - {""})[0])


def test_choose_see_download_and_send_the_link(visit, shop, site, category):
    monday = visit()
    page = monday.open()
    page.wait_for_url("**/review")  # the root leads there
    page = monday.open("forecasts")
    assert page.locator('[data-testid="stPlotlyChart"]').count() == 2
    monday.choose("level", "Category × region")
    monday.choose("category", category)
    monday.choose("region", COMMA)
    assert query(page) == {"level": ["category_region"], "category": [category], "region": [COMMA]}
    assert page.locator("h2").first.inner_text().replace("\u2068", "").replace("\u2069", "") == f"{category} in {COMMA}"
    assert "expected in the 12 weeks from 5 Oct 2026" in page.locator("h4").first.inner_text()

    # The downloads hold what the database, the page and the service hold.
    run = shop.rows("run_read", run_id=None)[0]["id"]
    index = shop.frame("run_series_index", run_id=run)
    row = index.query("level == 'category_region' and product_category == @category and region == @COMMA").iloc[0]
    weekly = shop.frame("forecast_weekly", run_id=run, series_ids=[int(row["series_id"])])
    files = {}
    for kind in ("csv", "xlsx"):
        with page.expect_download() as waiting:
            page.locator(f".st-key-{kind} button").click()
        files[kind] = waiting.value
        assert waiting.value.suggested_filename.endswith(f".{kind}")
    csv = pd.read_csv(files["csv"].path(), encoding="utf-8-sig")
    mine = csv[csv["Week (Monday)"] >= "2026-10-05"]
    np.testing.assert_allclose(mine["Forecast P50 (units)"], weekly["q50"].head(len(mine)), rtol=1e-6)
    np.testing.assert_allclose(mine["Low (P10) (units)"], weekly["q10"].head(len(mine)), rtol=1e-6)
    book = openpyxl.load_workbook(io.BytesIO(files["xlsx"].path().read_bytes()))
    cells = [[cell.value for cell in line] for line in book["Weeks"].iter_rows()]
    position = cells[0].index("Forecast, mean (units)")
    np.testing.assert_allclose(
        [line[position] for line in cells[-len(mine) :]], weekly["mean"].head(len(mine)), rtol=1e-6
    )
    answer = httpx.post(f"{site}/forecast", json={"product_category": category, "region": COMMA}, timeout=30).json()
    daily = shop.frame("forecast_daily", run_id=run, series_ids=[int(row["series_id"])])  # REST: 84 days from tomorrow
    assert answer["forecast"]["avg_weekly_forecast"] == pytest.approx(daily["mean"].head(84).sum() / 12, rel=1e-3)

    # A colleague opens the link.
    colleague = visit()
    other = colleague.open(page.url.split("/", 3)[3])
    assert query(other) == query(page)
    for locator in ("h2", "h4", '[data-testid="stMetricValue"]'):
        assert other.locator(locator).all_inner_texts() == page.locator(locator).all_inner_texts()


@pytest.mark.parametrize(
    ("width", "scheme"), [(390, "light"), (1440, "dark"), (390, "dark")], ids=["narrow", "dark", "narrow and dark"]
)
def test_narrow_and_dark(visit, width, scheme):
    visitor = visit(viewport={"width": width, "height": 844}, color_scheme=scheme)
    for path in ("forecasts?level=region&by=day", "data"):
        page = visitor.open(path)
        assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
        assert page.locator('[data-testid="stException"]').count() == 0
        assert page.locator('[data-testid="stAlert"]').count() == 0
    line = "rgb(229, 231, 235)" if scheme == "dark" else "rgb(31, 41, 55)"
    page = visitor.open("forecasts")
    strokes = page.locator('[data-testid="stPlotlyChart"]').first.evaluate(
        "e => [...e.querySelectorAll('.scatterlayer path.js-line')].map(p => getComputedStyle(p).stroke)"
    )
    assert line in strokes


def test_the_keyboard_reaches_the_filters(visit):
    page = visit().open("forecasts")
    seen = set()
    for _ in range(25):
        page.keyboard.press("Tab")
        seen.add(page.evaluate("document.activeElement.closest('[class*=st-key-filter_]')?.className ?? ''"))
    assert any("st-key-filter_level" in name for name in seen)
    assert any("st-key-filter_from" in name for name in seen)


def test_a_link_of_nonsense_gets_a_sentence(visit):
    page = visit().open("forecasts?level=<img src=x onerror=alert(1)>&category=:red[x]&from=$x$")
    assert "There is no level" in page.locator('[data-testid="stAlert"]').first.inner_text()
    assert page.locator("img[src='x']").count() == 0
    assert page.locator('[data-testid="stPlotlyChart"]').count() == 2

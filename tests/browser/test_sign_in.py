"""Signing in as a person does: the provider's page, the dashboard, two tabs, and out again."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.browser.conftest import IDLE, Visitor
from tests.installation import Live, start
from tests.server.provider import Provider
from trendcast.store.engine import Database


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    one = Provider()
    one.asks = True
    yield one
    one.stop()


@pytest.fixture(scope="module")
def door(shop: Database, provider: Provider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    """A dashboard behind the provider."""
    one = start(
        tmp_path_factory.mktemp("home"),
        **provider.environment(DATABASE_URL=shop.url),
    ).ready()
    yield one
    one.stop()


def shot(page: Any, name: str) -> None:
    """A picture for who wants to look: set PICTURES to a folder."""
    if folder := os.environ.get("PICTURES"):
        page.screenshot(path=str(Path(folder) / f"{name}.png"))


def test_a_planner_signs_in_works_in_two_tabs_and_signs_out_of_both(
    chromium: Any, door: Live, provider: Provider
) -> None:
    # As many groups as people of large companies have.
    provider.person("ann@shop.example", "supply-chain", *(f"0000-{number:032d}" for number in range(300)))
    ann = Visitor(chromium, door.url, viewport={"width": 1440, "height": 1000})
    page = ann.page
    page.goto(f"{door.url}/forecasts?level=category")
    assert page.get_by_text("Please sign in to see the forecasts.").is_visible()
    shot(page, "1-sign-in")
    page.get_by_role("link", name="Sign in").click()
    page.get_by_role("link", name="Continue as ann@shop.example").click()
    page.wait_for_url("**/forecasts?level=category**")
    ann.settle()
    assert page.get_by_text("Signed in as").is_visible()
    assert "planner" in page.locator(".st-key-shell_person").inner_text()
    assert page.get_by_test_id("stPlotlyChart").count()
    shot(page, "2-signed-in")

    other = page.context.new_page()
    other.goto(f"{door.url}/accuracy")
    other.locator(IDLE).wait_for(timeout=60_000)
    assert other.get_by_text("Signed in as").is_visible(), "one sign-in serves all tabs"

    page.get_by_role("button", name="Sign out").click()
    page.wait_for_url("**/sign-in?why=out")
    assert page.get_by_text("You are signed out.").is_visible()
    shot(page, "3-signed-out")

    other.get_by_role("link", name="Inventory").first.click()
    other.get_by_role("heading", name="You are signed out").wait_for(timeout=60_000)
    assert other.get_by_test_id("stPlotlyChart").count() == 0
    shot(other, "4-the-other-tab")
    other.get_by_role("button", name="Sign in").click()
    other.get_by_role("link", name="Continue as ann@shop.example").click()
    other.wait_for_url(f"{door.url}/**")
    other.get_by_text("Signed in as").wait_for(timeout=60_000)

    # The browser notes that the sign-in page says 401, and that the provider has no icon; that it goes there is meant.
    assert not [one for one in ann.troubles if provider.url not in one and "Failed to load resource" not in one]
    page.context.close()


def test_a_viewer_sees_and_changes_nothing(chromium: Any, door: Live, provider: Provider) -> None:
    provider.person("vera@shop.example")
    vera = Visitor(chromium, door.url, viewport={"width": 1440, "height": 1000}, color_scheme="dark")
    page = vera.page
    page.goto(f"{door.url}/data")
    shot(page, "5-sign-in-dark")
    page.get_by_role("link", name="Sign in").click()
    page.get_by_role("link", name="Continue as vera@shop.example").click()
    page.wait_for_url("**/data**")
    vera.settle()
    assert "viewer" in page.locator(".st-key-shell_person").inner_text()
    shot(page, "6-viewer")
    page.context.close()

"""The forms of the part Alerts in a real browser: what they say is seen without scrolling."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest


@pytest.mark.parametrize("viewport", [{"width": 1440, "height": 900}, {"width": 390, "height": 844}])
def test_what_a_form_did_is_seen_where_its_button_is(visit: Callable[..., Any], viewport: dict[str, int]) -> None:
    visitor = visit(viewport=viewport)
    page = visitor.open("data?part=alerts")
    address = page.get_by_label("Mail address")
    address.fill("nobody")
    address.press("Tab")
    page.get_by_role("button", name="Add", exact=True).click()
    said = page.get_by_text("is no mail address")
    said.wait_for()
    visitor.settle()
    box = said.bounding_box()
    assert 0 <= box["y"] <= viewport["height"] - box["height"]
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")

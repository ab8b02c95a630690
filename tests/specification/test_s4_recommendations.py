"""S4: the four tags at the start of a sentence, at the specification's limits; quantities come from the lead time."""

from __future__ import annotations

import math
import re
from typing import Any

import numpy as np
import pytest

from trendcast.services import forecast, recommend, report
from trendcast.store.engine import Database

FLAT = np.full(52, 100.0)
STEP = 1e-6


def spread(share: float) -> np.ndarray:
    """52 weeks around 100 whose sample deviation over mean is ``share``."""
    size = 100 * share * math.sqrt(51 / 52)
    return np.tile([100 - size, 100 + size], 26)


@pytest.mark.parametrize(
    ("tag", "at_limit", "beyond"),
    [
        ("GROWTH", {"trend": 0.10}, {"trend": 0.10 + STEP}),
        ("DECLINE", {"trend": -0.10}, {"trend": -0.10 - STEP}),
        ("HIGH VOLATILITY", {"history": spread(0.30 - STEP)}, {"history": spread(0.30 + STEP)}),
        ("HIGH UNCERTAINTY", {"width": 0.50}, {"width": 0.50 + STEP}),
    ],
)
def test_s4_tag_and_limit(tag: str, at_limit: dict[str, Any], beyond: dict[str, Any]) -> None:
    calm = {"history": FLAT, "width": 0.2, "trend": 0.0}
    assert report.recommendations(84, **{**calm, **at_limit}) == []
    (said,) = report.recommendations(84, **{**calm, **beyond})
    assert said.startswith(f"{tag}: ")


def test_s4_recommendations_of_a_report_begin_with_a_tag_or_say_what_to_order(rest: Any) -> None:
    tag = "(GROWTH|DECLINE|HIGH VOLATILITY|HIGH UNCERTAINTY)"
    tagged = 0
    for category in ("Electronics", "Clothing", "Home & Garden"):
        body = rest.post("/forecast", json={"product_category": category}).json()
        said = body["forecast"]["business_recommendations"]
        assert said
        for sentence in said:
            stock = rf"(Order [\d,]+ .* of )?{category}\b.*"
            assert re.fullmatch(rf"{tag}(, {tag})*: .*\d.*\.|{stock}\d.*\.", sentence), sentence
            tagged += re.match(tag, sentence) is not None
    assert tagged >= 3


def test_s4_quantities_come_from_lead_time_demand_with_money(demo_db: Database) -> None:
    """As written GROWTH says "+15 % inventory" whatever the stock and the lead time."""
    run = forecast.current_run(demo_db)
    advice = recommend.advice(demo_db, run.id)
    assert set(advice["product_category"]) == {"Electronics", "Clothing", "Home & Garden"}
    for row in advice.to_dict("records"):
        assert row["lead_time_days"] > 0
        assert row["reorder_point"] > 0
        assert not any("15 % inventory" in word for word in (row["sentence"], *row["tags"]))
        if row["status"] in ("order_now", "order_soon"):
            assert row["order_quantity"] > 0
            assert row["sentence"]
            assert row["money"] > 0
    tags = {tag for listed in advice["tags"] for tag in listed}
    assert tags <= {"GROWTH", "DECLINE", "HIGH VOLATILITY", "HIGH UNCERTAINTY"}

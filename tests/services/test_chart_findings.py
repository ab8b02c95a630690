"""The sentences above charts say what the figures drawn say."""

import numpy as np
import pandas as pd
import pytest

from trendcast.services import chart_findings


@pytest.mark.parametrize(
    ("now", "ahead", "said"),
    [
        (9773.0, 274.0, "274 units left in 13 days: 3,765 short of the safety stock of 4,039."),
        (100.0, 900.0, "100 units now: 3,939 short of the safety stock of 4,039."),
        (100.0, -50.0, "0 units left in 13 days: 4,039 short of the safety stock of 4,039."),
        (
            9773.0,
            5000.0,
            "5,000 units left in 13 days: as it should be, between the safety stock and a usual order more.",
        ),
        (9773.0, 9500.0, "9,500 units left in 13 days: 693 more than safety stock and a usual order together."),
    ],
)
def test_the_lower_of_now_and_later_decides_how_the_stock_stands(now: float, ahead: float, said: str) -> None:
    assert chart_findings.gauge(now, ahead, 4039.0, 4768.0, 13.0).replace("\u202f", " ") == said


@pytest.mark.parametrize(
    ("order_in", "said"),
    [
        (-2.0, "but not surely enough until an order of today arrives."),
        (0.0, "but enough only if the order goes out today."),
        (5.0, "but enough only if the order goes out within 5 days."),
    ],
)
def test_beside_an_order_no_stock_is_called_as_it_should_be(order_in: float, said: str) -> None:
    for now in (5000.0, 20_000.0):
        found = chart_findings.gauge(now, 30_000.0, 4039.0, 4768.0, 13.0, order_in=order_in).replace("\u202f", " ")
        assert "as it should be" not in found
        assert "more than" not in found
        assert found.endswith(said)


def test_what_is_short_only_until_the_next_delivery_says_so() -> None:
    assert chart_findings.gauge(100.0, 9000.0, 4039.0, 4768.0, 13.0).endswith(", until what is on order comes.")
    late = chart_findings.gauge(100.0, 9000.0, 4039.0, 4768.0, 13.0, order_in=-1.0)
    assert late.endswith("short of the safety stock of 4,039.")


def _weeks(without: list[float], ordered: list[float]) -> pd.DataFrame:
    mondays = pd.date_range("2026-11-23", periods=len(without), freq="7D")
    return pd.DataFrame({"week": mondays, "q50": without, "ordered_q50": ordered})


def test_the_projection_says_when_the_shelf_is_empty() -> None:
    assert "lasts all 2\u202fweeks" in chart_findings.projection(_weeks([9, 5], [9, 9]))
    said = chart_findings.projection(_weeks([9, 0, 0], [9, 5, 0]))
    assert "week of 30 Nov, with the one advised by that of 7 Dec." in said
    assert chart_findings.projection(_weeks([9, 0], [9, 5])).endswith("with the one advised not in these weeks.")
    gap = chart_findings.projection(_weeks([9, 0], [9, 5]), pd.Timestamp("2026-11-26").date())
    assert gap.startswith("The shelf is expected to be empty from about 26 Nov until what is on order comes. Without")
    assert "expected to be empty again by the end of the week of 30 Nov" in gap
    assert "From then on the stock lasts" in chart_findings.projection(
        _weeks([9, 5], [9, 9]), pd.Timestamp("2026-11-26").date()
    )
    later = chart_findings.projection(_weeks([9, 0], [9, 5]), pd.Timestamp("2026-12-02").date())
    assert later == chart_findings.projection(_weeks([9, 0], [9, 5]))
    assert chart_findings.projection(_weeks([9, 0], [np.nan, np.nan])).endswith("week of 30 Nov.")


def test_the_parts_name_the_largest_and_how_many_hold_most() -> None:
    rows = pd.DataFrame({"name": ["A", "B", "C"], "gap": [-60.0, -30.0, -10.0], "share": [0.6, 0.3, 0.1]})
    said = chart_findings.parts(rows).replace("\u202f", " ")
    assert said == "A holds 60 % of the 100 units missing; the first 2 together hold four fifths."
    many = pd.DataFrame({"name": ["A", "rest"], "gap": [1.0, 999.0], "share": [0.001, 0.999]})
    assert "no part stands out" in chart_findings.parts(many)


def test_compared_scenarios_name_the_best_and_the_worst() -> None:
    said = chart_findings.scenarios([("Cut", -50.0), ("Flyer", 200.0)], "units").replace("\u202f", " ")
    assert (
        said == "“Flyer” brings 200 units more than planned, the most of the 2 compared; “Cut” brings 50 units less "
        "than planned."
    )
    assert chart_findings.scenarios([("Flyer", 200.0)], "money").startswith("“Flyer” brings")


def test_a_second_opinion_says_how_far_and_what_to_do() -> None:
    assert chart_findings.second_opinion({}) == ""
    said = chart_findings.second_opinion({"Prophet": 0.12, "MSTL": -0.01}).replace("\u202f", " ")
    assert said.startswith("Prophet expects 12 % more and MSTL expects 1 % less than TrendCast here: look at")
    assert chart_findings.second_opinion({"MSTL": 0.01}).endswith("it agrees.")

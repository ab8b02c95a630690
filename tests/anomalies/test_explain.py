"""The words of an entry: money is said as money, units as units, and what to do is what is left to do."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from trendcast import wording
from trendcast.anomalies import explain

KEY = ("category", "C02", "", "")
WORST: dict[str, Any] = {"day": "2026-06-01", "actual": 0.0, "expected": 746.0, "lo": 700.0, "hi": 800.0}


@pytest.mark.parametrize(
    ("days", "cls", "loss", "said"),
    [
        (1, "DROP", 41_300.0, ", worth 41.3\u202fk."),
        (1, "DROP", None, ", 746\u202funits missing."),
        (3, "DROP", 41_300.0, "; worth 41.3\u202fk on 3 days since"),
        (3, "LEVEL_SHIFT", 41_300.0, ", worth 41.3\u202fk so far."),
    ],
)
def test_what_is_money_is_not_said_as_units(days: int, cls: str, loss: float | None, said: str) -> None:
    text = explain.headline(KEY, cls, "DEMAND", WORST, "2026-06-01", "2026-06-03", days, loss, 746.0, {})
    assert said in text
    assert ("missing" in text) == (loss is None)


def test_stock_that_is_back_is_not_to_be_ordered() -> None:
    empty = explain.next_step("STOCK_OUT", "SUPPLY", "stock-out", -1, KEY)
    back = explain.next_step("STOCK_OUT", "SUPPLY", "stock-out", -1, KEY, date(2026, 6, 4))
    assert empty.startswith("Order or move stock of C02")
    assert "Order" not in back
    assert "4 Jun 2026" in back
    assert back.endswith("record why it ran out.")


@pytest.mark.parametrize("cls", ["LEVEL_SHIFT", "TREND_CHANGE", "TEMPORARY"])
def test_of_a_lasting_change_the_rule_is_the_sum_of_its_days(cls: str) -> None:
    worst = {"z": -1.6, "q": 0.53}
    said = " ".join(explain.rule(worst, cls, "DEMAND", "HIGH", {}, True, date(2026, 6, 1)))
    assert (
        f"deviations to one side since {wording.day(date(2026, 6, 1))} were added up, and their sum passed its limit"
        in said
    )
    assert "are chance" not in said
    assert "2.5 is notable" not in said
    assert "are chance" in " ".join(explain.rule(worst, "DROP", "DEMAND", "HIGH", {}, True))


def test_a_margin_that_was_assumed_is_said() -> None:
    worst = {"z": -5.0, "q": 0.001}
    said = explain.rule(worst, "DROP", "DEMAND", "HIGH", {"assumed_margin": 0.35}, True)
    assert any("35" in sentence and "assumed" in sentence for sentence in said)
    assert not any("assumed" in sentence for sentence in explain.rule(worst, "DROP", "DEMAND", "HIGH", {}, True))

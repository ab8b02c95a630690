"""The words of an entry: money is said as money, units as units, and what to do is what is left to do."""

from __future__ import annotations

import re
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
        f"what its days were off to one side since {wording.day(date(2026, 6, 1))} was added up, and passed the limit"
        in said
    )
    assert "are chance" not in said
    assert "2.5 is notable" not in said
    single = {"z": -5.0, "q": 0.001}
    assert "are chance" in " ".join(explain.rule(single, "DROP", "DEMAND", "HIGH", {}, True))


def test_a_margin_that_was_assumed_is_said() -> None:
    worst = {"z": -5.0, "q": 0.001}
    said = explain.rule(worst, "DROP", "DEMAND", "HIGH", {"assumed_margin": 0.35}, True)
    assert any("35" in sentence and "assumed" in sentence for sentence in said)
    assert not any("assumed" in sentence for sentence in explain.rule(worst, "DROP", "DEMAND", "HIGH", {}, True))


@pytest.mark.parametrize(
    ("log", "said"), [(-4.89, "99 % less"), (-0.223, "20 % less"), (0.405, "50 % more"), (0.001, None), (0.0, None)]
)
def test_what_was_common_is_a_share_of_what_was_expected(log: float, said: str | None) -> None:
    """It is kept as a logarithm: -4.89 of it are no -489 %."""
    worst = {"z": -5.0, "q": 0.001}
    told = [one for one in explain.rule(worst, "DROP", "DEMAND", "HIGH", {"common": log}, True) if "sold by all" in one]
    assert [one.split(" than expected")[0].replace("\u202f", " ") for one in told] == ([said] if said else [])


FACTS: dict[str, Any] = {
    "common": -0.3, "limit": 1037.0, "children": 4, "tests": 91, "known": 3, "due": 23, "lift": 0.4, "came": 0.1,
    "assumed_margin": 0.35, "last_day": "2026-06-01", "like": "2026-05-01", "frozen": True, "ratio": 0.5,
}  # fmt: skip


@pytest.mark.parametrize(
    ("cls", "kind"),
    [(cls, "DEMAND") for cls in ("SPIKE", "DROP", "ZERO_RUN", "LEVEL_SHIFT", "TREND_CHANGE", "TEMPORARY")]
    + [("PROMO_WITHOUT_UPLIFT", "DEMAND"), ("STOCK_OUT", "SUPPLY")]
    + [(cls, "DATA_QUALITY") for cls in ("MISSING_FEED", "PARTIAL_FEED", "LATE_FEED", "KNOWN_FAULT", "DOUBLED_FEED")],
)
def test_the_rule_is_said_without_the_words_of_those_who_wrote_it(cls: str, kind: str) -> None:
    worst = {**WORST, "z": -39.4, "q": 0.0004}
    for impact in ("HIGH", "LOW"):
        for facts in (FACTS, {**FACTS, "frozen": False}):
            said = " ".join(explain.rule(worst, cls, kind, impact, facts, True, date(2026, 6, 1)))
            assert not re.search(r"\b(nodes?|q|p|z|sigma|deviations?|residual|HIGH|LOW)\b", said), said


def test_what_no_day_shows_by_itself_is_not_said_to_be_chance() -> None:
    said = " ".join(explain.rule({"z": -2.2, "q": 1.0}, "STOCK_OUT", "SUPPLY", "HIGH", {}, True, date(2026, 6, 1)))
    assert "No single day decides" in said
    assert "are chance" not in said

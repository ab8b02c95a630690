"""What verdicts do to the next finding of the same kind: it must be surer; what is HIGH is told all the same."""

from __future__ import annotations

import numpy as np
import pytest

from tests.anomalies.scenes import noisy, scene
from trendcast.anomalies.detect import judge, prepare
from trendcast.anomalies.entries import Entry
from trendcast.anomalies.feedback import Trust, Verdict, bucket, tally
from trendcast.anomalies.limits import Limits, Rule

DAYS = 240
EVERYTHING = ("", "", "", "")


def found(size: float, trust: Trust | None = None, *rules: Rule) -> Entry | None:
    """The finding of a last day of so much of the usual, on noise of a tenth."""
    units = noisy(40, DAYS, sd=0.1)
    units[5, -1] = round(units[5, -1] * size)
    limits = Limits((Rule("high_loss", EVERYTHING, 120.0), *rules), trust or Trust())
    entries = judge(prepare(scene(units), np.array([DAYS - 1])), limits).entries
    return next((one for one in entries if one.product_category == "C005"), None)


def alarms(count: int, disposition: str = "false_alarm", days: float = 0.0, expected: float = 0.0) -> Trust:
    same = found(0.2)
    assert same is not None
    expected = expected or same.now.expected
    return Trust(tally([Verdict("category_region", "DROP", expected, disposition, days)] * count))


def just_medium() -> float:
    """A size whose finding is MEDIUM, and of which between 2 and 5 of a hundred are chance."""
    for size in np.arange(0.9, 0.4, -0.005):
        one = found(size)
        if one is not None and one.impact == "MEDIUM" and 0.022 < one.now.q < 0.05:
            return float(size)
    raise AssertionError("there is none")


def test_after_three_false_alarms_a_medium_one_of_the_same_kind_is_lowered() -> None:
    size = just_medium()
    muted = found(size, alarms(3))
    assert muted is None or muted.impact == "LOW"
    for others in (alarms(3, expected=5.0), alarms(3, "confirmed"), alarms(3, "expected"), alarms(3, days=900)):
        untouched = found(size, others)
        assert untouched is not None
        assert untouched.impact == "MEDIUM"


@pytest.mark.parametrize("count", [3, 50])
def test_what_is_high_is_never_muted(count: int) -> None:
    one = found(0.2, alarms(count))
    assert one is not None
    assert one.impact == "HIGH"


def test_confirmed_ones_give_trust_back() -> None:
    both = tally(
        [
            Verdict("category", "DROP", 50.0, one, 0.0)
            for one in ("false_alarm", "false_alarm", "confirmed", "confirmed")
        ]
    )
    (one,) = both.values()
    assert (one.precision, one.factor) == (0.5, 1.0)


@pytest.mark.parametrize(("false", "true", "days", "factor"), [(0, 5, 0, 1), (1, 0, 0, 2 / 3), (3, 0, 0, 0.4),
                                                               (3, 0, 90, 2 / 3.5), (50, 0, 0, 0.25)])  # fmt: skip
def test_the_factor_is_the_precision_of_a_beta_over_its_target(
    false: int, true: int, days: float, factor: float
) -> None:
    """By hand: (1 + true) / (2 + true + false), halved each 90 days, over a half, within a quarter and one."""
    verdicts = [Verdict("region", "SPIKE", 9.0, "false_alarm", days)] * false
    verdicts += [Verdict("region", "SPIKE", 9.0, "confirmed", days)] * true
    assert Trust(tally(verdicts)).factor("region", "DROP", 11.0) == pytest.approx(factor)
    assert Trust(tally(verdicts)).factor("region", "LEVEL_SHIFT", 11.0) == 1


def test_kinds_are_parted_by_volume() -> None:
    assert [bucket("store", "DROP", size)[2] for size in (3, 20, 199, 200, 1e6)] == [0, 1, 1, 2, 2]


def test_a_stricter_share_of_chance_is_a_threshold_like_any_other() -> None:
    size = just_medium()
    assert found(size, None, Rule("false_rate", EVERYTHING, 0.01)) is None
    looser = found(
        size, None, Rule("false_rate", EVERYTHING, 0.01), Rule("false_rate", ("category", "C005", "", ""), 0.1)
    )
    assert looser is not None
    assert looser.impact == "MEDIUM"


def test_the_narrowest_rule_that_fits_is_taken() -> None:
    rules = [
        Rule("high_loss", EVERYTHING, 1.0),
        Rule("high_loss", ("total", "", "", ""), 2.0),
        Rule("high_loss", ("region", "", "North", ""), 3.0),
        Rule("high_loss", ("category", "Toys", "", ""), 4.0),
        Rule("high_loss", ("category_region", "Toys", "North", ""), 5.0),
        Rule("high_loss", ("store", "", "North", "7"), 6.0),
        Rule("high_loss", ("category_store", "Toys", "North", "7"), 7.0),
        Rule("least_units", EVERYTHING, 99.0),
    ]
    limits = Limits(tuple(rules))
    expected = {
        ("total", "", "", ""): 2,
        ("region", "", "South", ""): 1,
        ("region", "", "North", ""): 3,
        ("category", "Toys", "", ""): 4,
        ("category", "Garden", "", ""): 1,
        ("category_region", "Garden", "North", ""): 3,
        ("category_region", "Toys", "South", ""): 4,
        ("category_region", "Toys", "North", ""): 5,
        ("store", "", "North", "7"): 6,
        ("category_store", "Garden", "North", "7"): 6,
        ("category_store", "Toys", "North", "7"): 7,
        ("category_store", "Toys", "North", "8"): 5,
    }
    assert {key: limits.of("high_loss", key) for key in expected} == expected
    assert limits.of("least_change", ("total", "", "", "")) is None

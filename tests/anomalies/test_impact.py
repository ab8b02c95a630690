"""Impact by money, relative size and certainty: each rule decides, and a changed limit is noticed."""

from __future__ import annotations

from dataclasses import replace

import pytest

from trendcast.anomalies import impact as sizes
from trendcast.anomalies.impact import Size, impact, score

CERTAIN = Size(p=1e-5, q=0.005, rel=0.5, loss=120.0)


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        (CERTAIN, "HIGH"),
        (replace(CERTAIN, p=1e-3, q=0.02), "MEDIUM"),  # not certain enough
        (replace(CERTAIN, rel=0.39), "MEDIUM"),  # not large enough for its size
        (replace(CERTAIN, loss=99.0), "MEDIUM"),  # not enough money
        (replace(CERTAIN, rel=0.2, loss=24.0), "LOW"),
        (replace(CERTAIN, rel=0.2, loss=26.0), "MEDIUM"),
        (replace(CERTAIN, p=1e-3, q=0.06), "LOW"),
        (replace(CERTAIN, rel=0.05, loss=11.0, node=True, total=1000.0), "HIGH"),
        (replace(CERTAIN, rel=0.05, loss=9.0, node=True, total=1000.0), "LOW"),
        (replace(CERTAIN, p=1e-5, q=0.05, rel=0.1, shift=True), "HIGH"),
        (replace(CERTAIN, p=0.5, q=0.05, shift=True), "MEDIUM"),
        (replace(CERTAIN, up=True, covered=True), "MEDIUM"),
        (replace(CERTAIN, up=True), "HIGH"),
        (replace(CERTAIN, learning=True), "MEDIUM"),
    ],
)
def test_each_condition_decides(size: Size, expected: str) -> None:
    assert impact(size, high_loss=100.0) == expected


# Findings just on one side of a limit, and just on the other.
EDGES = [
    (replace(CERTAIN, p=1.05e-4, q=0.0095), "HIGH"),
    (replace(CERTAIN, p=1.05e-4, q=0.0105), "MEDIUM"),
    (replace(CERTAIN, p=0.95e-4, q=0.0105), "HIGH"),
    (replace(CERTAIN, rel=0.405), "HIGH"),
    (replace(CERTAIN, rel=0.395), "MEDIUM"),
    (replace(CERTAIN, p=1e-3, q=0.0495), "MEDIUM"),
    (replace(CERTAIN, p=1e-3, q=0.0505), "LOW"),
    (replace(CERTAIN, rel=0.255, loss=1.0), "MEDIUM"),
    (replace(CERTAIN, rel=0.245, loss=1.0), "LOW"),
    (replace(CERTAIN, rel=0.05, loss=10.1, node=True, total=1000.0), "HIGH"),
    (replace(CERTAIN, rel=0.05, loss=9.9, node=True, total=1000.0), "LOW"),
]


@pytest.mark.parametrize(("size", "expected"), EDGES)
def test_each_limit_lies_where_it_is_said_to(size: Size, expected: str) -> None:
    assert impact(size, high_loss=100.0) == expected


@pytest.mark.parametrize("name", ["Q_HIGH", "Q_MEDIUM", "P_CERTAIN", "REL_HIGH", "REL_MEDIUM", "NODE_SHARE"])
@pytest.mark.parametrize("factor", [0.9, 1.1])
def test_a_limit_that_somebody_moves_is_noticed(monkeypatch: pytest.MonkeyPatch, name: str, factor: float) -> None:
    monkeypatch.setattr(sizes, name, getattr(sizes, name) * factor)
    assert any(impact(size, high_loss=100.0) != expected for size, expected in EDGES)


@pytest.mark.parametrize(("z", "level", "shown"), [(-9.0, "LOW", 3.0), (2.0, "LOW", 2.5), (3.4, "MEDIUM", 3.4),
                                                  (-9.0, "HIGH", 9.0), (3.0, "HIGH", 4.01)])  # fmt: skip
def test_the_score_stays_on_the_customers_scale(z: float, level: str, shown: float) -> None:
    assert score(z, level) == shown

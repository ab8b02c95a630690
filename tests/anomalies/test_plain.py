"""The customer's rule as written, kept for comparison, against a slow reading of its text."""

from __future__ import annotations

import numpy as np
import pytest

from trendcast.anomalies.plain import HIGHEST, plain


def test_it_is_the_rule_as_written() -> None:
    units = np.random.default_rng(1).gamma(3, 40, (3, 60))
    units[1, 20:24] = np.nan
    score, expected, impact = plain(units)
    for row in range(3):
        for day in range(60):
            window = units[row, max(0, day - 13) : day + 1]
            window = window[np.isfinite(window)]
            if len(window) < 8 or np.isnan(units[row, day]):
                assert np.isnan(score[row, day])
                assert impact[row, day] == ""
                continue
            value = abs(units[row, day] - window.mean()) / window.std(ddof=1)
            assert score[row, day] == pytest.approx(value)
            assert expected[row, day] == pytest.approx(window.mean())
            assert (impact[row, day] != "") == (value > 2.5)


@pytest.mark.parametrize("size", [10.0, 1e3, 1e6, 1e9])
def test_its_score_never_exceeds_what_arithmetic_allows_so_high_never_fires(size: float) -> None:
    units = np.random.default_rng(2).normal(100, 3, (50, 40))
    units[:, -1] += size
    score, _, impact = plain(units)
    assert np.nanmax(score) <= HIGHEST + 1e-6
    assert pytest.approx(3.474, abs=1e-3) == HIGHEST
    assert "HIGH" not in impact


def test_nothing_is_divided_by_zero() -> None:
    score, _, impact = plain(np.full((2, 30), 7.0))
    assert np.isnan(score).all()
    assert (impact == "").all()

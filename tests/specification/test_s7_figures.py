"""S7: figures that are measured elsewhere are linked from where they are claimed; the one wrong sum is shown wrong."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SAVINGS, REVENUE, ONCE = 2.3, 1.8, 0.45  # million dollars: a year, a year, once


def section(name: str) -> str:
    text = (ROOT / "docs/specification.md").read_text(encoding="utf-8")
    return text.split(f"\n## {name} ")[1].split("\n## ")[0]


def test_s7_811_percent_is_one_year() -> None:
    def gain(years: int) -> float:
        return (years * (SAVINGS + REVENUE) - ONCE) / ONCE

    assert round(100 * gain(1)) == 811
    assert round(100 * gain(2)) == 1722
    said = section("S7")
    assert "811 %" in said
    assert "1,722 %" in said


@pytest.mark.parametrize(
    ("figure", "anchor"),
    [
        ("MAPE below 15 %", "benchmarks.md#accuracy-on-a-real-retailer"),
        ("500 and more product categories", "benchmarks.md#refresh-time-and-memory"),
    ],
)
def test_s7_a_figure_that_is_measured_is_linked(figure: str, anchor: str) -> None:
    (row,) = [line for line in section("S7").splitlines() if line.startswith("|") and figure in line]
    assert anchor in row


@pytest.mark.parametrize("figure", ["Under 30 minutes", "20 % fewer stock-outs", "99.5 % uptime"])
def test_s7_a_figure_that_is_not_measured_says_so(figure: str) -> None:
    (row,) = [line for line in section("S7").splitlines() if line.startswith("|") and figure in line]
    assert re.search(r"not (there|measured|replayed) yet|benchmarks\.md#", row)


def test_s7_mape_of_twelve_weeks_is_below_15_percent_where_it_was_measured() -> None:
    """The table of weekly MAPE, 84 days ahead, of each real retailer: total and category, the combination."""
    text = (ROOT / "docs/benchmarks.md").read_text(encoding="utf-8").split("## Accuracy on a real retailer")[1]
    tables = re.findall(r"MAPE of 7-day sums:\n\n(.*?)\n\n", text, re.DOTALL)
    assert len(tables) >= 2
    for table in tables:
        rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in table.splitlines()]
        assert rows[0][:2] == ["level", "combination"]
        measured = {row[0]: float(row[1].rstrip("%")) for row in rows[2:]}
        assert measured["total"] < 15
        assert measured["category"] < 15

"""Measuring early warning on what is loaded: it reads, says its figures, and writes nothing."""

from __future__ import annotations

import json

import pytest

from trendcast.commands.evaluate_anomalies import text
from trendcast.errors import Conflict, InvalidInput
from trendcast.services.evaluate import evaluate
from trendcast.services.progress import silent
from trendcast.store.engine import Database


def test_without_sales_there_is_nothing_to_measure(db: Database) -> None:
    with pytest.raises(Conflict, match="load data first"):
        evaluate(db, silent)


def test_a_kind_nobody_knows_is_refused(db: Database) -> None:
    with pytest.raises(InvalidInput, match="no kind 'flood'"):
        evaluate(db, silent, kinds=["flood"])


def test_the_demo_is_measured_and_left_as_it_was(demo_db: Database) -> None:
    before = demo_db.rows("detect_last")
    result = evaluate(demo_db, silent, seeds=1, days=168, sample=0)
    assert demo_db.rows("detect_last") == before
    assert result["days"] == 168
    assert result["injections"] > 0
    assert result["starting_share"] < 0.01
    assert {one["target"] for one in result["targets"]} >= {"drops of 50 %", "regional outages with exactly one alert"}
    assert all(0 <= one["recall"] <= 1 for one in result["recall_all"])
    json.dumps(result, allow_nan=False)
    shown = text(result)
    assert "plain rule, as written" in shown
    assert "nan" not in shown

"""Hostile data by both doors, POST /data and `load`: every bad row in quarantine with its reason, every good one
loaded, no failure of ours. The corpus says of each row what is to become of it; random rows are judged by a slow truth
that looks at one value at a time."""

from __future__ import annotations

import csv
import datetime as dt
import json
import math
import unicodedata
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from trendcast.services.load import load_directory
from trendcast.store.engine import Database

CORPUS: list[dict[str, Any]] = json.loads((Path(__file__).parent / "hostile_rows.json").read_text())
BAD = [one for one in CORPUS if one["reason"]]
GOOD = [one for one in CORPUS if not one["reason"] and not one.get("repeated")]
FIELDS = ("date_id", "product_category", "region", "store", "sales_units", "unit_price", "promotion_flag",
          "weather_condition")  # fmt: skip


def kept(db: Database) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """(stored sales, quarantine): all there is in the database."""
    with db.read() as connection:
        sales = connection.exec_driver_sql("SELECT * FROM sales_daily").mappings().all()
        refused = connection.exec_driver_sql("SELECT row_number, reason, raw FROM quarantine ORDER BY 1").mappings()
        return [dict(row) for row in sales], [dict(row) for row in refused]


def expected(one: dict[str, Any]) -> dict[str, Any]:
    row = {**dict.fromkeys(FIELDS), **one["row"], **one["stored"]}
    return {**row, "date_id": dt.date.fromisoformat(row["date_id"]), "sales_units": float(row["sales_units"])}


def compare(stored: list[dict[str, Any]]) -> None:
    found = {row["product_category"]: {name: row[name] for name in FIELDS} for row in stored}
    assert found == {row["product_category"]: row for row in map(expected, GOOD)}


def test_the_corpus_over_rest(db: Database, serving: Any) -> None:
    rest = serving(db.url)
    answer = rest.post("/data/sales_daily?accept=true", json={"rows": [one["row"] for one in CORPUS]})
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert (body["rows_in"], body["new"], body["repeated"]) == (len(CORPUS), len(GOOD), 1)
    assert body["reasons"] == Counter(one["reason"] for one in BAD)
    stored, refused = kept(db)
    compare(stored)
    numbers = {number: one for number, one in enumerate(CORPUS, 1) if one["reason"]}
    assert {row["row_number"]: row["reason"] for row in refused} == {n: one["reason"] for n, one in numbers.items()}
    for row in refused:
        assert json.loads(bytes(row["raw"])) == numbers[row["row_number"]]["row"], "as it came"


def test_the_corpus_from_a_file(db: Database, tmp_path: Path) -> None:
    """A line of text cannot hold everything that JSON can: true is the text "true" there."""
    with open(tmp_path / "sales_daily.csv", "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(FIELDS)
        for one in CORPUS:
            writer.writerow(["" if one["row"].get(name) is None else one["row"][name] for name in FIELDS])
    summary = load_directory(db, tmp_path, accept=True)
    table = summary.table("sales_daily")
    assert (table.rows, table.new, table.repeated) == (len(CORPUS), len(GOOD), 1)
    assert table.quarantined == Counter(one["reason"] for one in BAD)
    compare(kept(db)[0])


def test_half_a_character_is_no_text_and_harms_no_other_row(db: Database, serving: Any) -> None:
    row = '{"date_id": "2026-06-01", "product_category": "%s", "sales_units": 1}'
    raw = '{"rows": [' + ", ".join(row % name for name in ("A", "\\ud800", "\\ud83d\\uded2")) + "]}"
    rest, headers = serving(db.url), {"content-type": "application/json"}
    body = rest.post("/data/sales_daily?accept=true", content=raw, headers=headers).json()
    assert (body["new"], body["refused"]) == (2, [{"row": 2, "reason": "product_category is not text"}])
    stored, refused = kept(db)
    assert {one["product_category"] for one in stored} == {"A", "\U0001f6d2"}
    assert json.loads(bytes(refused[0]["raw"]))["product_category"] == "\ud800"


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (b'{"rows": [{"date_id": "2026-06-01", "product_category": "A", "sales_units": NaN}]}', 422),
        (b'{"rows": [{"date_id": "2026-06-01", "product_category": "A", "sales_units": 1e999}]}', 422),
        (b'{"rows": [{"date_id": "2026-06-01", "product_category": "\\ud800", "sales_units": 1}]}', 422),
        (b'{"rows": [{"date_id": "2026-06-01", "product_category": "A", "sales_units": ' + b"9" * 5000 + b"}]}", 422),
        (b'{"rows": [' * 2000, 422),
        (b'{"rows": [{"\\u0000": 1}]}', 422),
        (b'{"rows": {"0": 1}}', 422),
        (b"", 422),
        (b"\xff\xfe{}", 422),
        (b'{"rows": [{"date_id": "2026-06-01"' + b" " * 10_000_000 + b"}]}", 413),
    ],
)
def test_what_is_hardly_json_is_refused_in_the_one_shape(demo_db: Database, rest: Any, raw: bytes, status: int) -> None:
    answer = rest.post("/data/sales_daily?dry_run=true", content=raw, headers={"content-type": "application/json"})
    assert answer.status_code == status, answer.text
    assert (answer.json()["success"], bool(answer.json()["error"])) == (False, True)
    answer.json()["error"].encode("utf-8")


# --- random rows against a slow truth ---

TODAY = dt.datetime.now(dt.UTC).date()
DAYS = {"2026-06-01": dt.date(2026, 6, 1), " 2026-6-2 ": dt.date(2026, 6, 2), "2000-01-01": dt.date(2000, 1, 1)}
NO_DAYS = ["", None, "2026-02-30", "1999-12-31", "9999-01-01", "06/01/2026", 20260601, True, "0000-00-00", "-1"]


def name_of(text: str) -> str | None:
    """The name a text stands for; None when it is none."""
    found = unicodedata.normalize("NFC", text.strip()).strip()
    if not 1 <= len(found) <= 100 or found[0] in "=+-@":
        return None
    if any(
        unicodedata.category(mark) in ("Cc", "Zl", "Zp") or mark in "\u202a\u202b\u202c\u202d\u202e" for mark in found
    ):
        return None
    return None if any("\u2066" <= mark <= "\u2069" for mark in found) else found


def number_of(value: Any) -> float | None:
    if isinstance(value, bool) or value is None:
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) and 0 <= number <= 1e9 else None


# Letters of all scripts, marks, emoji and what hides; lone surrogates are no text at all.
LETTERS = st.characters(exclude_categories=("Cs", "Cn", "Co"))
NAMES = st.one_of(
    st.text(LETTERS, max_size=12),
    st.sampled_from(
        ["", "A", "A\u0301", "\u00c1", "=1+1", "\u202ex", "a\x00b", "'; --", "<b>", "x" * 10_000, "\u200f"]
    ),
)
NUMBERS = st.one_of(
    st.floats(), st.integers(-(10**30), 10**30), st.booleans(), st.none(),
    st.floats(0, 1e9).map(repr), st.sampled_from(["", "NaN", "-inf", "1e308", "-0.0", "7.", "1_0", "\u0667", "0x1p3"]),
)  # fmt: skip
ROWS = st.lists(
    st.fixed_dictionaries(
        {"date_id": st.sampled_from([*DAYS, *NO_DAYS]), "product_category": NAMES, "sales_units": NUMBERS}
    ),
    min_size=1,
    max_size=8,
)


def truth(rows: list[dict[str, Any]]) -> tuple[dict[Any, float], set[int]]:
    """(what is stored: (day, name) -> units, the numbers of the bad rows), one row and one value at a time."""
    bad: set[int] = set()
    seen: dict[Any, list[tuple[int, float]]] = {}
    for number, row in enumerate(rows, 1):
        raw = row["date_id"]
        day = DAYS.get(raw) if isinstance(raw, str) else None
        name, units = name_of(row["product_category"]), number_of(row["sales_units"])
        text = row["sales_units"]
        if isinstance(text, str) and ("_" in text or not text.strip().isascii()):
            units = None  # what Python reads more than other programs do
        if day is None or name is None or units is None:
            bad.add(number)
        else:
            seen.setdefault((day, name), []).append((number, units))
    stored = {}
    for key, found in seen.items():
        if len({units for _, units in found}) == 1:
            stored[key] = found[0][1]
        else:
            bad.update(number for number, _ in found)
    return stored, bad


@pytest.fixture(scope="module")
def empty(clone_demo: Any) -> Database:
    """A database whose only sales are those of the example at hand."""
    return clone_demo("hostile")


def check_rows(db: Database, rows: list[dict[str, Any]]) -> None:
    from trendcast.services import push
    from trendcast.services.runtime import clock

    with db.transaction() as connection:
        connection.exec_driver_sql("TRUNCATE load_batch, sales_daily, quarantine, fact_history CASCADE")
    stored, bad = truth(rows)
    found = push.push(db, clock, "sales_daily", rows, who="test", accept=True)
    sales, refused = kept(db)
    assert {row["row_number"] for row in refused} == bad
    assert all(row["reason"] for row in refused)
    assert (found.quarantined, found.rows_in) == (len(bad), len(rows))
    assert {(row["date_id"], row["product_category"]): row["sales_units"] for row in sales} == stored
    again = push.push(db, clock, "sales_daily", rows, who="test", accept=True)
    assert again.merged == 0
    assert len(kept(db)[0]) == len(sales)


QUIET = [HealthCheck.too_slow, HealthCheck.function_scoped_fixture]


@settings(max_examples=25, deadline=None, derandomize=True, database=None, suppress_health_check=QUIET)
@given(rows=ROWS)
def test_random_rows_are_judged_as_one_by_one(empty: Database, rows: list[dict[str, Any]]) -> None:
    check_rows(empty, rows)


@pytest.mark.nightly(minutes=30)
@settings(max_examples=2000, deadline=None, database=None, suppress_health_check=QUIET)
@given(rows=ROWS)
def test_random_rows_are_judged_as_one_by_one_for_long(empty: Database, rows: list[dict[str, Any]]) -> None:
    check_rows(empty, rows)

"""The check of a chunk against plain Python, value by value."""

from __future__ import annotations

import math
import re
from datetime import date, timedelta

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from trendcast.services.tables import TABLES, check, parse_dates, parse_numbers

TODAY = date(2024, 6, 1)
DIGITS = st.text("0123456789+-.,eE naif", max_size=12)


def slow_number(text: str, *, decimal_comma: bool = False) -> float | str | None:
    """A number, None for nothing, "bad" for what is none."""
    text = text.strip()
    if text.lower() in ("", "null", "none", "na", "n/a", "\\n"):
        return None
    if re.fullmatch(r"(?i)[+-]?(nan|inf|infinity)", text):
        return float(text)
    if decimal_comma:
        whole, comma, _ = text.partition(",")
        groups = whole.lstrip("+-").split(".")
        if len(groups) > 1 and not (comma and len(groups[0]) <= 3 and all(len(group) == 3 for group in groups[1:])):
            return "bad"
        if len(groups) > 1 and not all(group.isdigit() for group in groups):
            return "bad"
        if "." in text[len(whole) :]:
            return "bad"
        text = text.replace(".", "").replace(",", ".")
    sound = re.fullmatch(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", text, re.ASCII)
    return float(text) if sound else "bad"


def same(have: float | None, want: float | None) -> bool:
    if have is None or want is None:
        return have is want
    return have == want or (math.isnan(have) and math.isnan(want))


@given(
    st.lists(
        DIGITS | st.floats().map(repr) | st.sampled_from(["NULL", "0x1", "1_0", "١", "1e400", "Infinity"]), max_size=30
    )
)
@settings(max_examples=200, deadline=None)
def test_numbers_are_read_as_python_reads_them(texts: list[str]) -> None:
    numbers, null, bad = parse_numbers(pa.array(texts, pa.string()))
    for text, have, empty, wrong in zip(texts, numbers.to_pylist(), null, bad, strict=True):
        want = slow_number(text)
        assert wrong == (want == "bad"), text
        assert empty == (want is None), text
        if isinstance(want, float):
            assert same(have, want), text


@given(st.lists(DIGITS | st.sampled_from(["1.234,5", "1.234", "12,5", ",5", "1.2345,6", "1,2,3"]), max_size=30))
@settings(max_examples=200, deadline=None)
def test_decimal_commas_are_never_guessed(texts: list[str]) -> None:
    numbers, null, bad = parse_numbers(pa.array(texts, pa.string()), decimal_comma=True)
    for text, have, empty, wrong in zip(texts, numbers.to_pylist(), null, bad, strict=True):
        want = slow_number(text, decimal_comma=True)
        assert wrong == (want == "bad"), text
        assert empty == (want is None), text
        if isinstance(want, float):
            assert same(have, want), text


@given(
    st.lists(st.dates().map(str) | st.from_regex(r"\A\d{4}-\d{1,2}-\d{1,2}\Z") | st.text("0123456789-./", max_size=10))
)
@settings(max_examples=200, deadline=None)
def test_days_are_the_calendars(texts: list[str]) -> None:
    days, bad = parse_dates(pa.array(texts, pa.string()))
    for text, have, wrong in zip(texts, days.to_pylist(), bad, strict=True):
        match = re.fullmatch(r"(\d{4})-(\d{1,2})-(\d{1,2})", text, re.ASCII)
        try:
            want = date(*map(int, match.groups())) if match else None
        except ValueError:
            want = None
        assert (have, wrong) == (want, want is None), text


@given(st.dates(date(1, 1, 1), date(9999, 12, 31)), st.sampled_from([".", "/", "-"]))
def test_day_first_is_read_when_asked_for(day: date, mark: str) -> None:
    text = f"{day.day}{mark}{day.month:02d}{mark}{day.year:04d}"
    days, bad = parse_dates(pa.array([text, str(day)]), day_first=True)
    assert days.to_pylist() == [day, day]
    assert not bad.any()
    assert parse_dates(pa.array([text]))[1].all()


@given(
    st.lists(
        st.tuples(
            st.dates(date(1999, 12, 1), date(2024, 6, 10)) | st.none(),
            st.text(max_size=4) | st.sampled_from(["=x", "x" * 101, "\x85", "e\u0301"]) | st.none(),
            st.floats() | st.none(),
        ),
        max_size=40,
    )
)
@settings(max_examples=200, deadline=None)
def test_typed_rows_are_good_or_have_a_reason(rows: list[tuple[date | None, str | None, float | None]]) -> None:
    import unicodedata

    columns = zip(*rows, strict=True) if rows else ([], [], [])
    chunk = pa.table(
        {
            name: pa.array(list(values), kind)
            for name, values, kind in zip(
                ("date_id", "product_category", "sales_units"),
                columns,
                (pa.date32(), pa.string(), pa.float64()),
                strict=True,
            )
        }
    )
    checked = check(chunk, TABLES["sales_daily"], today=TODAY)
    assert sorted([*checked.good_rows, *checked.bad_rows]) == list(range(len(rows)))
    assert len(checked.reasons) == len(checked.bad_rows)
    assert all(checked.reasons)
    for place, (day, name, units) in enumerate(rows):
        clean = unicodedata.normalize("NFC", (name or "").strip()).strip()
        fine = (
            day is not None
            and date(2000, 1, 1) <= day <= TODAY + timedelta(days=1)
            and 1 <= len(clean) <= 100
            and clean[0] not in "=+-@"
            and not any(
                unicodedata.category(c) in ("Cc", "Zl", "Zp")
                or c in "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
                for c in clean
            )
            and units is not None
            and 0 <= units <= 1e9
        )
        assert (place in set(checked.good_rows)) == fine, rows[place]
    assert [unicodedata.is_normalized("NFC", name) for name in checked.good["product_category"].to_pylist()].count(
        False
    ) == 0

"""Figures and times in the retailer's own way of writing: format, currency, unit name and time zone are settings."""

import datetime as dt

import pandas as pd
import pytest

from trendcast import wording
from trendcast.ui import charts, measures, text


@pytest.fixture
def written(monkeypatch):
    """``written(number_format=..., currency=...)``: the settings of this test."""

    def set_(**values: str) -> None:
        for name, value in values.items():
            monkeypatch.setenv(f"TRENDCAST_{name.upper()}", value)
        wording.forget()

    yield set_
    monkeypatch.undo()
    wording.forget()


@pytest.mark.parametrize(
    ("number_format", "full", "short", "percent"),
    [
        ("1,234.5", "1,234,567", "12.3 k", "1,234.5 %"),
        ("1.234,5", "1.234.567", "12,3 k", "1.234,5 %"),
        ("1 234,5", "1 234 567", "12,3 k", "1 234,5 %"),
    ],
)
def test_the_number_format_holds_in_every_kind_of_figure(written, number_format, full, short, percent):
    written(number_format=number_format)
    assert wording.full(1_234_567).replace(wording.NARROW, " ") == full
    assert text.short(12_345).replace(wording.NARROW, " ") == short
    assert text.percent(12.345).replace(wording.NARROW, " ") == percent
    assert text.short(0.5) == "0" + percent[-4] + "5"  # the decimal mark of the format
    assert text.short(-0.0004) == "0"


@pytest.mark.parametrize(
    ("currency", "words"), [("", "−12.3 k"), ("$", "−$12.3 k"), ("EUR", "−12.3 k EUR"), ("Kč", "−12.3 k Kč")]
)
def test_a_currency_sign_stands_before_and_a_word_behind(written, currency, words):
    written(currency=currency)
    assert wording.money(-12_345).replace(wording.NARROW, " ") == words
    assert wording.money(None) == wording.NONE


def test_times_are_those_of_the_retailers_clock_in_summer_and_winter(written):
    summer, winter = dt.datetime(2026, 7, 1, 22, 30, tzinfo=dt.UTC), dt.datetime(2026, 1, 1, 6, 12)
    assert text.moment(summer) == "1 Jul 2026, 22:30 UTC"
    written(time_zone="Europe/Berlin")
    assert text.moment(summer) == "2 Jul 2026, 00:30 CEST"
    assert text.clock(winter) == "07:12 CET"
    written(time_zone="America/Sao_Paulo")
    assert text.clock(winter) == "03:12 UTC-03"
    assert text.moment(pd.NaT) == wording.NONE


def test_nothing_that_is_no_number_is_written_as_one(written):
    written(currency="$")
    for value in (None, float("nan"), float("inf"), pd.NA, "twelve"):
        assert text.full(value) == text.short(value) == text.percent(value) == wording.NONE
        assert text.amount(value, "money") == wording.NONE


def test_charts_write_their_axes_and_hovers_the_same_way(written):
    written(number_format="1.234,5", unit_name="pieces", currency="EUR")
    dates = pd.date_range("2026-03-02", periods=8, freq="W-MON")
    frame = pd.DataFrame({"date": dates, "future": [False] * 6 + [True] * 2}).reindex(columns=measures.COLUMNS)
    frame["actual"], frame["mean"] = [12_345.0] * 6 + [None] * 2, [None] * 6 + [12_000.0] * 2
    frame["events"], frame["future"] = "", frame["future"].astype(bool)
    for name in ("promotion", "closed", "stockout", "days"):
        frame[name] = 0.0
    frame = frame.astype({"actual": float, "mean": float})
    for unit, title in (("units", "Pieces per week"), ("money", "Money (EUR) per week")):
        figure, alt = charts.forecast_chart(frame, grain="week", unit=unit, dark=False)
        assert figure.layout.separators == ",."
        assert figure.layout.yaxis.title.text == title
        actual = next(trace for trace in figure.data if trace.name == "Actual")
        assert actual.customdata[0][0] == "12.345"
        assert "12,3\u202fk" in alt


def test_exports_keep_numbers_as_numbers(written):
    written(number_format="1.234,5", unit_name="pieces")
    frame = pd.DataFrame({"date": pd.to_datetime(["2026-03-02"])}).reindex(columns=measures.COLUMNS)
    frame = frame.assign(actual=1234.5, events="").astype({"last_year": float, "p50": float, "mean": float})
    for name in ("low80", "high80", "low95", "high95", "as_of_last_week", "error", "promotion", "stockout"):
        frame[name] = float("nan")
    exported = measures.export(frame, "week", "units")
    assert exported["Actual (pieces)"].tolist() == [1234.5]

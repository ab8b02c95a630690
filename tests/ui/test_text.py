"""Numbers and dates as people read them."""

import datetime as dt

import pytest

from trendcast.ui import text


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (0, "0"),
        (0.5, "0.5"),
        (12.34, "12.3"),
        (123.4, "123"),
        (1234, "1,234"),
        (9999, "9,999"),
        (12345, "12.3 k"),
        (999_999, "1.00 M"),
        (1_234_567, "1.23 M"),
        (2.5e9, "2.50 bn"),
        (-12345, "−12.3 k"),
        (-0.0004, "0"),
        (None, "–"),
        (float("nan"), "–"),
        (float("inf"), "–"),
    ],
)
def test_short(number, words):
    assert text.short(number).replace(text.NARROW, " ") == words


@pytest.mark.parametrize(("share", "words"), [(0.0834, "8.3 %"), (-0.05, "−5.0 %"), (0, "0.0 %"), (None, "–")])
def test_percent(share, words):
    assert text.percent(share).replace(text.NARROW, " ") == words


def test_a_flat_change_is_the_number_zero_so_that_no_arrow_is_drawn():
    assert text.change(0.0001) == 0
    assert text.change(None) is None
    assert str(text.change(-0.05, "vs last year")).startswith("-5.0")  # a plain minus, which turns the arrow


def test_weeks_are_named_by_their_monday_and_iso_number():
    assert text.week("2026-12-28") == "28 Dec 2026, W53"
    assert text.week_column("2027-01-04") == "W01 4 Jan 27"
    assert text.day(dt.date(2026, 9, 27)) == "Sun 27 Sep 2026"


def test_age_in_words():
    assert text.age(30) == "less than a minute"
    assert text.age(3 * 86400).replace(text.NARROW, " ") == "3 days"
    assert text.age(400 * 86400).replace(text.NARROW, " ") == "13 months"


def test_lists_say_how_many_more():
    assert text.listing(["A"]) == "A"
    assert text.listing(["A", "B", "C"]) == "A, B and C"
    assert text.listing(["A", "B", "C", "D", "E"]) == "A, B and 3 more"


def test_file_names_are_plain():
    assert text.file_name("trendcast", "HB,NI", "../../etc", "<img>") == "trendcast_hb-ni_etc_img"

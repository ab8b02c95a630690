"""What leaves the house opens safely and carries the same numbers."""

import csv as stdcsv
import io

import numpy as np
import openpyxl
import pandas as pd
import pytest

from trendcast.export import tables

HOSTILE = [
    "=1+1",
    "+cmd|' /C calc'!A0",
    "-2+3",
    "@SUM(A1)",
    "\t=1",
    "\r=1",
    "\n=1",
    "\x00=1",
    '=HYPERLINK("http://x")',
    "<img src=x>",
    'a"b,c;d',
    "HB,NI",
    "שלום",
    "emoji 🙂",
]


def frame() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "name": HOSTILE,
            "=header": np.linspace(-5.5, 1e7, len(HOSTILE)),
            "week": pd.date_range("2026-09-28", periods=len(HOSTILE), freq="W-MON"),
        }
    )


def test_no_text_cell_of_a_csv_starts_like_a_formula():
    rows = list(stdcsv.reader(io.StringIO(tables.csv(frame()).decode("utf-8-sig"), newline="")))
    for cell in [*rows[0], *(row[0] for row in rows[1:])]:
        assert not cell.startswith(tables.DANGEROUS), cell


def test_csv_keeps_numbers_and_days():
    back = pd.read_csv(io.BytesIO(tables.csv(frame())), encoding="utf-8-sig")
    np.testing.assert_allclose(back["'=header"], frame()["=header"])
    assert back["week"].iloc[0] == "2026-09-28"
    assert back["name"].iloc[11] == "HB,NI"


def test_a_negative_number_stays_a_number():
    text = tables.csv(pd.DataFrame({"x": [-3.5]})).decode("utf-8-sig")
    assert text.splitlines()[1] == "-3.5"


@pytest.fixture
def book():
    return openpyxl.load_workbook(io.BytesIO(tables.xlsx({"Weeks": frame()}, {"Selection": "=evil", "Run": "7"})))


def test_no_cell_of_a_workbook_is_a_formula(book):
    for sheet in book:
        for row in sheet.iter_rows():
            for cell in row:
                assert cell.data_type != "f", cell.coordinate
                assert cell.hyperlink is None


def test_workbook_keeps_numbers_and_says_what_it_shows(book):
    values = [row[1].value for row in book["Weeks"].iter_rows(min_row=2)]
    np.testing.assert_allclose(values, frame()["=header"])
    assert book["Weeks"].freeze_panes == "B2"
    assert book["About"]["B1"].value == "'=evil"


def test_missing_numbers_are_empty_cells():
    book = openpyxl.load_workbook(io.BytesIO(tables.xlsx({"x": pd.DataFrame({"a": [1.0, np.nan, np.inf, 2.0]})})))
    assert [row[0].value for row in book["x"].iter_rows()] == ["a", 1, None, None, 2]


def test_percentages_are_percent_in_a_csv_and_formatted_shares_in_a_workbook():
    shares = pd.DataFrame({"Error %": [0.123, -0.07, np.nan], "Plain": [0.5, 0.5, 0.5]})
    lines = tables.csv(shares).decode("utf-8-sig").splitlines()
    assert lines == ["Error %,Plain", "12.3,0.5", "-7.0,0.5", ",0.5"]
    sheet = openpyxl.load_workbook(io.BytesIO(tables.xlsx({"x": shares})))["x"]
    assert (sheet["A2"].value, sheet["A2"].number_format) == (0.123, "0.0%")

"""Upload: a stranger's table of any shape loads to what its plain twin loads to, or is refused in one sentence."""

from __future__ import annotations

import datetime as dt
import gzip
import io
import zipfile
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
import xlsxwriter
from hypothesis import given, settings
from hypothesis import strategies as st

from trendcast.errors import InvalidInput
from trendcast.services import upload, upload_cells
from trendcast.services.progress import silent
from trendcast.services.upload import Reading
from trendcast.services.upload_values import decimal_of, frequency_of, read_days, read_number

DAYS = pd.date_range("2026-01-01", periods=75)
KEY = ["date_id", "product_category", "region"]


def sales() -> pd.DataFrame:
    """The plain twin: 75 days, two categories, two regions; amounts with decimals and thousands."""
    rng = np.random.default_rng(7)
    index = pd.MultiIndex.from_product([DAYS, ["Büro & Papier", "Toys; small"], ["HB,NI", "HE"]], names=KEY)
    frame = index.to_frame(index=False)
    frame["sales_units"] = rng.integers(0, 4000, len(frame)) / 4
    frame["sales_revenue"] = (frame["sales_units"] * 2.5).round(2)
    frame["promotion_flag"] = rng.integers(0, 2, len(frame)).astype(bool)
    return frame


def settle(frame: pd.DataFrame) -> pd.DataFrame:
    """Comparable: typed, ordered by key, only columns that are there."""
    out = frame.reset_index(drop=True).copy()
    out["date_id"] = pd.to_datetime(out["date_id"])
    for name in ("sales_units", "sales_revenue", "unit_price"):
        if name in out:
            out[name] = pd.to_numeric(out[name]).astype(float)
    if "promotion_flag" in out:
        out["promotion_flag"] = (
            out["promotion_flag"].map({"1": True, "0": False, True: True, False: False}).astype(bool)
        )
    for name in ("product_category", "region", "store"):
        if name in out:
            out[name] = out[name].astype(str)
    key = [name for name in (*KEY, "store") if name in out]
    return out.sort_values(key).reset_index(drop=True)[sorted(out.columns)]


def comma(value: float) -> str:
    """1234.5 as 1.234,50"""
    return f"{value:,.2f}".translate({ord(","): ".", ord("."): ","})


def written(frame: pd.DataFrame, **how: Callable[[object], str]) -> pd.DataFrame:
    """The frame as texts; ``how`` names the writer of a column."""
    out = pd.DataFrame(index=frame.index)
    for name in frame.columns:
        writer = how.get(name) or (
            (lambda v: f"{v:%Y-%m-%d}")
            if name == "date_id"
            else (lambda v: str(int(v)) if isinstance(v, bool) else str(v))
        )
        out[name] = [writer(value) for value in frame[name]]
    return out


def csv(frame: pd.DataFrame, delimiter: str = ",", encoding: str = "utf-8", head: str = "") -> bytes:
    return (head + frame.to_csv(index=False, sep=delimiter)).encode(encoding)


def book(sheets: dict[str, pd.DataFrame]) -> bytes:
    """A workbook with true days and numbers."""
    buffer = io.BytesIO()
    with pd.ExcelWriter(buffer, engine="xlsxwriter", datetime_format="dd.mm.yyyy") as writer:
        for name, frame in sheets.items():
            frame.to_excel(writer, sheet_name=name, index=False)
    return buffer.getvalue()


def parsed(data: bytes, name: str = "sales.csv", reading: Reading | None = None) -> upload.Parsed:
    cells = upload_cells.read(name, data)
    return upload.table(cells, reading or upload.propose(cells))


GERMAN = {"date_id": "Datum", "product_category": "Warengruppe", "region": "Bundesland", "sales_units": "Menge"}
GERMAN |= {"sales_revenue": "Umsatz €", "promotion_flag": "Aktion"}
LONG: dict[str, Callable[[], bytes]] = {
    "plain": lambda: csv(written(sales())),
    "tab": lambda: csv(written(sales()), "\t"),
    "pipe": lambda: csv(written(sales()), "|"),
    "utf-8 with mark": lambda: csv(written(sales()), encoding="utf-8-sig"),
    "cp1252": lambda: csv(written(sales()), ";", "cp1252"),
    "utf-16": lambda: csv(written(sales()), "\t", "utf-16"),
    "utf-16 without mark": lambda: csv(written(sales()), ";", "utf-16-le"),
    "gzip": lambda: gzip.compress(csv(written(sales()))),
    "every cell quoted": lambda: written(sales()).to_csv(index=False, quoting=1).encode(),
    "windows line ends": lambda: csv(written(sales())).replace(b"\n", b"\r\n"),
    "excel's sep line": lambda: csv(written(sales()), ";", head="sep=;\n"),
    "titles above": lambda: csv(written(sales()), ";", head="Sales report\n\nCompany;Muster GmbH\n"),
    "german": lambda: csv(
        written(
            sales(),
            date_id=lambda d: f"{d:%d.%m.%Y}",
            sales_units=comma,
            sales_revenue=lambda v: comma(v) + " €",
            promotion_flag=lambda v: "Ja" if v else "Nein",
        ).rename(columns=GERMAN),
        ";",
        "cp1252",
    ),
    "american": lambda: csv(
        written(
            sales(),
            date_id=lambda d: f"{d:%m/%d/%Y}",
            sales_units=lambda v: f"{v:,.2f}",
            sales_revenue=lambda v: f"${v:,.2f}",
            promotion_flag=lambda v: "Y" if v else "N",
        )
    ),
    "swiss": lambda: csv(written(sales(), sales_units=lambda v: f"{v:,.2f}".replace(",", "'")), ";"),
    "french": lambda: csv(
        written(
            sales(),
            date_id=lambda d: f"{d:%d/%m/%Y}",
            sales_units=lambda v: f"{v:,.2f}".replace(",", "\u202f").replace(".", ","),
        ),
        ";",
    ),
    "month names": lambda: csv(written(sales(), date_id=lambda d: f"{d:%d %b %Y}")),
    "compact days": lambda: csv(written(sales(), date_id=lambda d: f"{d:%Y%m%d}")),
    "days with midnight": lambda: csv(written(sales(), date_id=lambda d: f"{d:%Y-%m-%d %H:%M:%S}")),
    "weekday before the day": lambda: csv(written(sales(), date_id=lambda d: f"{d:%a %d.%m.%Y}")),
    "a total below": lambda: csv(written(sales())) + b"Total,,,999999,999999,\n",
    "totals among the names": lambda: csv(
        pd.concat([written(sales()), written(sales()).assign(product_category="Gesamt")])
    ),
    "empty lines and a footer": lambda: csv(written(sales())) + b"\n\n,,,,,\n",
    "a foreign column that says nothing": lambda: csv(written(sales()).assign(Bemerkung="")),
    "workbook": lambda: book({"Sales": sales()}),
    "workbook, second sheet": lambda: book({"Read me": pd.DataFrame({"Note": ["hello"]}), "Data": sales()}),
}


@pytest.mark.parametrize("form", LONG)
def test_a_long_table_of_any_form_is_read_as_its_plain_twin(form):
    found = parsed(LONG[form](), "sales.xlsx" if "workbook" in form else "sales.csv")
    pd.testing.assert_frame_equal(settle(found.frame), settle(sales()), check_dtype=False)
    assert found.unclear == 0
    assert not found.ambiguous_days
    assert (found.first_day, found.last_day) == (dt.date(2026, 1, 1), dt.date(2026, 3, 16))


def wide_by_day(**how: object) -> pd.DataFrame:
    units = sales().assign(date_id=lambda f: f["date_id"].dt.strftime(str(how.get("format", "%Y-%m-%d"))))
    return units.pivot(index=["product_category", "region"], columns="date_id", values="sales_units").reset_index()


@pytest.mark.parametrize("form", ["%Y-%m-%d", "%d.%m.%Y", "%m/%d/%Y"])
@pytest.mark.parametrize("total", [False, True])
def test_days_as_columns(form, total):
    frame = wide_by_day(format=form)
    if total:
        frame["Total"] = frame.drop(columns=["product_category", "region"]).sum(axis=1)
    found = parsed(csv(frame))
    pd.testing.assert_frame_equal(settle(found.frame), settle(sales()[[*KEY, "sales_units"]]), check_dtype=False)


def test_days_as_columns_of_a_workbook_with_true_days_and_an_empty_cell():
    frame = wide_by_day()
    frame.columns = [*frame.columns[:2], *pd.to_datetime(frame.columns[2:])]
    buffer = io.BytesIO()
    workbook = xlsxwriter.Workbook(buffer, {"default_date_format": "dd/mm/yyyy", "remove_timezone": True})
    sheet = workbook.add_worksheet()
    for column, name in enumerate(frame.columns):
        (sheet.write_datetime if column > 1 else sheet.write)(0, column, name)
        for row, value in enumerate(frame.iloc[:, column], start=1):
            if (row, column) != (2, 5):
                sheet.write(row, column, value)
    workbook.close()
    found = parsed(buffer.getvalue(), "wide.xlsx")
    assert len(found.frame) == len(sales()) - 1
    assert any("1\u202fempty cell" in note for note in found.notes)


def test_categories_as_columns():
    one = sales()[sales()["region"] == "HE"]
    frame = one.pivot(index="date_id", columns="product_category", values="sales_units").reset_index()
    found = parsed(csv(frame.assign(Gesamt=1.0)))
    expected = one[["date_id", "product_category", "sales_units"]]
    pd.testing.assert_frame_equal(settle(found.frame), settle(expected), check_dtype=False)


def test_receipts_with_times_are_added_up_and_returns_are_left_to_the_check():
    rows = [
        ("536365", "85123A", 6, "12/1/2010 8:26", 2.55, "United Kingdom"),
        ("536366", "85123A", 4, "12/1/2010 9:01", 2.55, "United Kingdom"),
        ("536367", "22633", 1, "12/13/2010 9:02", 1.85, "United Kingdom"),
        ("C536379", "22633", -1, "12/14/2010 9:41", 27.5, "United Kingdom"),
    ]
    frame = pd.DataFrame(rows, columns=["InvoiceNo", "StockCode", "Quantity", "InvoiceDate", "UnitPrice", "Country"])
    found = parsed(csv(frame))
    first = found.frame.iloc[0]
    assert (first["date_id"], first["product_category"], first["region"]) == ("2010-12-01", "85123A", "United Kingdom")
    assert (first["sales_units"], first["sales_revenue"], first["unit_price"]) == (10, 25.5, pytest.approx(2.55))
    assert found.unclear == 1
    assert -1 in set(pd.to_numeric(found.frame["sales_units"]))


def test_without_categories_everything_has_the_name_that_is_asked_for():
    frame = sales().groupby("date_id")[["sales_units"]].sum().reset_index()
    cells = upload_cells.read("turnover.csv", csv(frame))
    reading = upload.propose(cells)
    assert reading.category == ""
    assert reading.one_category
    with pytest.raises(InvalidInput, match="name"):
        upload.table(cells, reading.changed({"one_category": " "}))
    found = upload.table(cells, reading.changed({"one_category": "Bread"}))
    assert set(found.frame["product_category"]) == {"Bread"}


@pytest.mark.parametrize(
    ("frame", "said"),
    [
        (pd.DataFrame({"Week": [f"2025-W{w:02d}" for w in range(1, 30)], "Sales": range(29)}), "weekly data.*2025-W01"),
        (
            pd.DataFrame({"date": pd.date_range("2025-01-05", periods=30, freq="7D").strftime("%d.%m.%Y"), "units": 5}),
            "weekly data.*7 days apart, all of them Sundays",
        ),
        (
            pd.DataFrame({"date": pd.date_range("2024-01-01", periods=20, freq="MS").strftime("%Y-%m-%d"), "units": 5}),
            "monthly data.*one day per month",
        ),
        (pd.DataFrame({"Monat": ["Jan 2024", "Feb 2024", "März 2024", "Mai 2024"], "Menge": 5}), "monthly data"),
        (
            pd.DataFrame([["A", 1, 2, 3], ["B", 4, 5, 6]], columns=["Item", "2024-01", "2024-02", "2024-03"]),
            "monthly data",
        ),
        (pd.DataFrame({"quarter": ["2024-Q1", "2024-Q2", "2024-Q3"], "category": "A", "units": 3}), "quarterly data"),
    ],
)
def test_weekly_and_monthly_data_are_refused_with_how_that_shows(frame, said):
    with pytest.raises(InvalidInput, match=said):
        parsed(csv(frame))


def test_a_shop_closed_on_sundays_or_with_gaps_is_daily():
    days = pd.date_range("2025-01-01", periods=120)
    assert frequency_of([d.date() for d in days if d.day_of_week != 6])[0] == "day"
    assert frequency_of([d.date() for d in days if d.day_of_week in (0, 3)])[0] == "day"


@pytest.mark.parametrize(
    ("texts", "day_first", "ambiguous"),
    [
        (["13/02/2026", "01/02/2026"], True, False),
        (["02/13/2026", "02/01/2026"], False, False),
        (["01.02.2026", "02.02.2026"], True, False),  # points: nobody writes the month first
        ([f"0{d}/02/2026" for d in range(1, 9)], True, False),  # days follow each other
        ([f"02/0{d}/2026" for d in range(1, 9)], False, False),
        (["03/04/2026"], True, True),
        (["03/03/2026"], True, False),
    ],
)
def test_the_order_of_day_and_month_is_found_out_and_asked_only_when_it_could_be_either(texts, day_first, ambiguous):
    found = read_days(texts)
    assert (found.day_first, found.ambiguous) == (day_first, ambiguous)


def test_an_ambiguous_day_follows_the_answer():
    cells = upload_cells.read("a.csv", b"date,category,units\n03/04/2026,A,5\n")
    reading = upload.propose(cells)
    assert upload.table(cells, reading).ambiguous_days
    for day_first, day in ((True, dt.date(2026, 4, 3)), (False, dt.date(2026, 3, 4))):
        found = upload.table(cells, reading.changed({"day_first": day_first}))
        assert (found.first_day, found.ambiguous_days) == (day, False)


@given(
    st.dates(dt.date(2000, 1, 1), dt.date(2068, 12, 31)),
    st.sampled_from(
        ["%Y-%m-%d", "%d.%m.%Y", "%Y/%m/%d", "%d %B %Y", "%b %d, %Y", "%Y%m%d", "%d.%m.%y", "%A, %d.%m.%Y"]
    ),
)
@settings(max_examples=60, deadline=None)
def test_every_day_is_read_as_it_was_written(day, form):
    text = day.strftime(form)
    assert read_days([text], True).days == {text: day}


@given(
    st.floats(-1e7, 1e7, allow_nan=False).map(lambda v: round(v, 2)),
    st.sampled_from([",.", ".,", "'.", "\u202f,", " ,"]),
    st.sampled_from(["{}", "€ {}", "{} €", "{} EUR", "CHF {}"]),
)
@settings(max_examples=80, deadline=None)
def test_every_number_is_read_as_it_was_written(value, marks, money):
    thousands, decimal = marks
    text = money.format(f"{value:,.2f}".translate({ord(","): thousands, ord("."): decimal}))
    assert read_number(text, decimal) == pytest.approx(value)
    assert decimal_of([text]) == decimal


@pytest.mark.parametrize(
    ("texts", "mark"),
    [
        (["1.234", "950", "12"], ","),
        (["1.234", "1234"], "."),
        (["0.125"], "."),
        (["1,5"], ","),
        (["7"], ""),
        (["1.234"], ""),
    ],
)
def test_the_decimal_mark_is_told_by_what_stands_beside_it(texts, mark):
    assert decimal_of(texts) == mark


def test_a_file_of_decimal_commas_takes_them_for_its_unclear_columns_too():
    data = b"Datum;Warengruppe;Menge;Umsatz\n01.02.2026;A;1.234;12,5\n02.02.2026;A;2.345;13,5\n"
    assert parsed(data).frame["sales_units"].tolist() == [1234, 2345]


def test_cells_that_cannot_be_read_go_on_as_they_came_for_the_quarantine():
    data = csv(written(sales())) + b"2026-02-30,A,HE,5,5,1\n2026-02-01,A,HE,many,5,1\n"
    found = parsed(data)
    assert found.unclear == 2
    assert "2026-02-30" in set(found.frame["date_id"])
    assert "many" in set(found.frame["sales_units"].astype(str))


def test_our_own_names_mean_what_they_say_however_many_cells_are_wrong():
    lines = ["date_id,product_category,region,sales_units,sales_revenue", "2026-11-23,A,HE,412,61800"]
    lines += ["2026-11-23,B,HE,many,100", "2026-13-40,B,HE,5,10"]
    reading = upload.propose(upload_cells.read("day.csv", "\n".join(lines).encode()))
    assert (reading.date, reading.units, reading.revenue) == ("date_id", "sales_units", "sales_revenue")


def test_a_column_of_words_is_no_column_of_units():
    cells = upload_cells.read("a.csv", csv(written(sales())))
    with pytest.raises(InvalidInput, match="'region' does not hold numbers"):
        upload.table(cells, upload.propose(cells).changed({"units": "region", "region": ""}))


def test_pivot_tables_write_a_category_once():
    data = b"category,date,units\nToys,2026-01-01,5\n,2026-01-02,6\n,2026-01-03,7\nBooks,2026-01-01,1\n,2026-01-02,2\n"
    assert parsed(data).frame["product_category"].tolist() == ["Toys"] * 3 + ["Books"] * 2


@pytest.mark.parametrize(
    ("header", "roles"),
    [
        (
            "Store,DayOfWeek,Date,Sales,Customers,Open,Promo",
            {"date": "Date", "store": "Store", "units": "Sales", "open": "Open", "promotion": "Promo"},
        ),
        (
            "date,store_nbr,family,sales,onpromotion",
            {"date": "date", "store": "store_nbr", "category": "family", "units": "sales", "promotion": "onpromotion"},
        ),
        (
            "Order Date,Region,Category,Sub-Category,Sales,Quantity",
            {"date": "Order Date", "region": "Region", "category": "Category", "units": "Quantity", "revenue": "Sales"},
        ),
        (
            "Datum,Filiale,Artikelgruppe,Absatz,Umsatz netto,VK-Preis",
            {
                "date": "Datum",
                "store": "Filiale",
                "units": "Absatz",
                "revenue": "Umsatz netto",
                "price": "VK-Preis",
                "category": "Artikelgruppe",
            },
        ),
    ],
)
def test_the_columns_of_known_retailers_are_recognised(header, roles):
    names = header.split(",")
    texts = {"date": "2026-01-{:02d}", "category": "Name {}", "region": "Place {}"}
    numeric = {"store": "{}", "units": "{}5", "revenue": "{}9.5", "price": "{}.5", "open": "1", "promotion": "0"}
    role_of = {name: role for role, name in roles.items()}
    rows = [",".join((texts | numeric).get(role_of.get(n, ""), "{}").format(i) for n in names) for i in range(1, 20)]
    found = upload.propose(upload_cells.read("a.csv", "\n".join([header, *rows]).encode()))
    assert {role: getattr(found, role) for role in upload.ROLES if getattr(found, role)} == roles


# ---------------------------------------------------------------------------------------------------- hostile files


def sheet_bomb() -> bytes:
    """A workbook of two cells, a world apart."""
    buffer = io.BytesIO(book({"S": pd.DataFrame({"a": [1], "b": [2]})}))
    out = io.BytesIO()
    with zipfile.ZipFile(buffer) as source, zipfile.ZipFile(out, "w") as target:
        for name in source.namelist():
            content = source.read(name)
            if name.startswith("xl/worksheets/"):
                content = content.replace(
                    b"</sheetData>", b'<row r="1048576"><c r="XFD1048576"><v>1</v></c></row></sheetData>'
                )
            target.writestr(name, content)
    return out.getvalue()


def zip_bomb() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as target:
        target.writestr("xl/workbook.xml", "<workbook/>")
        target.writestr("xl/worksheets/sheet1.xml", b" " * (upload_cells.MOST_UNPACKED + 1))
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        ("a.csv", b"", "empty"),
        ("a.csv", b"\n \n", "empty"),
        ("a.csv", b"date,units\n", "no rows"),
        ("a.csv", b"hello\nworld\n", "no separated columns"),
        ("a.csv", b"\x00\x01\x02\x03\xff\xfe binary \x00 things", "not a text"),
        ("a.pdf", b"%PDF-1.7 ...", "no table"),
        ("a.gz", gzip.compress(b"date,units\n2026-01-01,5\n")[:-9], "whole gzip"),
        ("a.xlsx", b"PK\x03\x04 and then nothing", "whole workbook"),
        ("a.xls", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\x00" * 600, "protected"),
        ("a.csv", b"a" * (upload_cells.MOST_BYTES + 1), "larger than 50 MB"),
    ],
)
def test_what_is_no_table_is_refused_in_one_sentence(name, data, said):
    with pytest.raises(InvalidInput, match=said) as refused:
        upload_cells.read(name, data)
    assert str(refused.value).endswith((".", "'."))
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    "bomb", [sheet_bomb, zip_bomb, lambda: gzip.compress(b"0" * (upload_cells.MOST_UNPACKED + 1), 1)]
)
def test_what_would_unpack_to_more_than_a_machine_bears_is_refused(bomb):
    with pytest.raises(InvalidInput, match="more than"):
        upload_cells.read("bomb.xlsx", bomb())


def test_an_archive_of_tables_is_told_from_a_workbook():
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as target:
        target.writestr("sales.csv", "date,units\n")
    with pytest.raises(InvalidInput, match="unpack it"):
        upload_cells.read("sales.zip", buffer.getvalue())


def test_formulas_give_their_values_and_names_stay_letters():
    buffer = io.BytesIO()
    workbook = xlsxwriter.Workbook(buffer)
    sheet = workbook.add_worksheet()
    sheet.write_row(0, 0, ["date", "category", "units"])
    for row in range(1, 4):
        sheet.write_row(row, 0, [f"2026-01-0{row}", '=HYPERLINK("http://x")'])
        sheet.write_formula(row, 2, "=2+3", value=5)
    workbook.close()
    found = parsed(buffer.getvalue(), "../../etc/\u202epasswd.xlsx")
    assert found.frame["sales_units"].tolist() == [5, 5, 5]


@pytest.mark.parametrize(
    "name", ["../../etc/passwd", "a\r\nb.csv", "\u202evsc.exe", "x" * 500, "", "C:\\secret\\a.csv"]
)
def test_hostile_file_names_become_one_short_harmless_line(name):
    clean = upload_cells.file_name(name)
    assert 0 < len(clean) <= 80
    assert clean.isprintable()
    assert "/" not in clean
    assert "\\" not in clean


@given(st.binary(min_size=1, max_size=400))
@settings(max_examples=100, deadline=None)
def test_no_bytes_bring_anything_but_a_table_or_a_sentence(data):
    try:
        cells = upload_cells.read("x.csv", data)
        upload.table(cells, upload.propose(cells))
    except InvalidInput:
        return
    assert len(cells.frame)


_CELL = st.text(st.characters(blacklist_categories=["Cs"]), max_size=12)


@given(st.lists(st.lists(_CELL, min_size=3, max_size=3), min_size=1, max_size=8))
@settings(max_examples=60, deadline=None)
def test_no_words_in_cells_bring_anything_but_a_table_or_a_sentence(rows):
    frame = pd.DataFrame([["2026-01-01", "A", "5"], *rows], columns=["date", "category", "units"])
    try:
        cells = upload_cells.read("x.csv", csv(frame))
        upload.table(cells, upload.propose(cells))
    except InvalidInput:
        return
    assert len(cells.frame)


# ----------------------------------------------------------------------------------------------- into the database


def now() -> dt.datetime:
    return dt.datetime(2026, 3, 18, tzinfo=dt.UTC)


def put(db, data: bytes, **how):
    cells = upload_cells.read("Umsätze 2026.csv", data)
    reading = upload.propose(cells)
    return upload.load(db, cells, reading, upload.table(cells, reading), who="local", clock=now, **how)


def stored(db) -> pd.DataFrame:
    rows = db.frame("feature_rows", categories=[], regions=[])
    return settle(rows[[*KEY, "sales_units", "sales_revenue", "promotion_flag"]])


def test_a_german_file_is_in_the_database_what_its_plain_twin_is(db):
    summary = put(db, LONG["german"]())
    assert (summary.exit_code, summary.table("sales_daily").new) == (0, len(sales()))
    pd.testing.assert_frame_equal(stored(db), settle(sales()), check_dtype=False)
    batch = db.rows("overview_batches", limit=1)[0]
    assert batch["source"] == "upload:Umsätze 2026.csv by local"
    again = put(db, LONG["german"]()).table("sales_daily")
    assert (again.status, again.new, again.changed) == ("same", 0, 0)


def test_bad_rows_go_to_quarantine_with_their_reason_and_the_good_ones_load(db):
    summary = put(
        db, csv(written(sales())) + b"2026-02-01,A,HE,many,5,1\n2026-02-30,A,HE,5,5,1\n2026-02-01,A,HE,-3,5,1\n"
    )
    table = summary.table("sales_daily")
    assert table.new == len(sales())
    reasons = " ".join(table.quarantined)
    for said in ("sales_units is not a number", "date_id is not a day", "sales_units is negative"):
        assert said in reasons


def test_the_demo_is_replaced_by_an_upload_and_says_so(db):
    from trendcast.services.load import DEMO, load_frames

    assert upload.holdings(db) == "none"
    load_frames(db, {"sales_daily": sales()}, source=DEMO, clock=now)
    assert upload.holdings(db) == "demo"
    other = sales().assign(product_category="Bread").drop_duplicates(["date_id", "region"])
    assert put(db, csv(written(other))).replaced_demo
    assert upload.holdings(db) == "own"
    assert set(stored(db)["product_category"]) == {"Bread"}


def test_a_held_upload_is_merged_when_accepted_and_leaves_no_second_batch(db):
    put(db, csv(written(sales())))
    later = sales().assign(date_id=lambda f: f["date_id"] + pd.Timedelta(77, "D"))  # a gap of two days
    cells = upload_cells.read("later.csv", csv(written(later)))
    reading = upload.propose(cells)
    found = upload.table(cells, reading)
    clock = lambda: dt.datetime(2026, 7, 1, tzinfo=dt.UTC)  # noqa: E731
    held = upload.load(db, cells, reading, found, clock=clock).table("sales_daily")
    assert held.status == "held"
    assert "has no rows" in str(held.reason)
    merged = upload.load(db, cells, reading, found, accept=True, who="local", clock=clock).table("sales_daily")
    assert (merged.status, merged.new) == ("merged", len(later))
    assert [row["status"] for row in db.rows("overview_batches", limit=9)] == ["merged", "merged"]


def test_a_reading_is_remembered_for_the_next_file_of_this_shape(db):
    first = upload_cells.read("a.csv", csv(written(sales()).rename(columns={"region": "Sales rep"})))
    assert upload.recall(db, first) is None
    reading = upload.propose(first).changed({"region": "Sales rep", "decimal": "."})
    upload.remember(db, first, reading, who="local")
    second = upload_cells.read("b.csv", csv(written(sales().head(40)).rename(columns={"region": "Sales rep"}), ";"))
    assert upload.recall(db, second) == reading
    other = upload_cells.read("c.csv", csv(written(sales())))
    assert upload.recall(db, other) is None


def test_a_wide_file_of_other_days_is_of_the_same_shape(db):
    first = upload_cells.read("a.csv", csv(wide_by_day().iloc[:, :40]))
    upload.remember(db, first, upload.propose(first).changed({"decimal": "."}), who="local")
    second = upload_cells.read("b.csv", csv(wide_by_day()))
    recalled = upload.recall(db, second)
    assert recalled is not None
    assert recalled.decimal == "."
    assert len(recalled.across) == len(DAYS)


def test_a_strangers_file_becomes_a_first_forecast(db):
    """The whole way: bytes as they came, load, refresh, a published run whose sums add up."""
    from trendcast.services import forecast, jobs
    from trendcast.services.refresh import refresh
    from trendcast.store import jobs as slots

    put(db, LONG["german"]())
    claim = slots.claim(db, slot_id=jobs.enqueue(db, "refresh"))
    assert claim is not None
    refresh(db, now, silent, claim.token)
    run = forecast.current_run(db)
    assert (run.first_day, run.last_day) == (DAYS[0].date(), DAYS[-1].date())
    assert run.has_money
    index = forecast.series_index(db, run.id)
    assert set(index["product_category"]) == {"", "Büro & Papier", "Toys; small"}
    ids = {level: rows["series_id"].tolist() for level, rows in index.groupby("level")}
    whole = forecast.forecast_daily(db, run.id, ids["total"])["mean"]
    parts = forecast.forecast_daily(db, run.id, ids["category_region"])["mean"]
    assert whole.to_numpy() == pytest.approx(parts.to_numpy(), rel=1e-6)
    usual = sales().groupby("date_id")["sales_units"].sum().mean()
    assert whole.mean() == pytest.approx(usual, rel=0.3)

"""Loading: what people's files look like, and that nothing of them is lost, guessed or taken twice."""

from __future__ import annotations

import gzip
from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from trendcast.errors import Conflict, InvalidInput
from trendcast.services import sources
from trendcast.services.load import CONTRADICTING, LoadSummary, clear, judge_days, load_directory, load_frames
from trendcast.store.engine import Database

HEADER = "date_id,product_category,region,store,sales_units,sales_revenue,promotion_flag\n"
TODAY = datetime(2024, 6, 1, 12, tzinfo=UTC)


def clock() -> datetime:
    return TODAY


def write(folder: Path, content: str | bytes, name: str = "sales_daily.csv") -> Path:
    folder.mkdir(exist_ok=True)
    (folder / name).write_bytes(content.encode() if isinstance(content, str) else content)
    return folder


def load(db: Database, folder: Path, **options: object) -> LoadSummary:
    return load_directory(db, folder, clock=clock, **options)  # type: ignore[arg-type]


def sales(db: Database) -> list[tuple[object, ...]]:
    frame = db.frame("panel_sales")
    rows = [(str(r.date_id.date()), r.product_category, r.region, r.store, r.sales_units) for r in frame.itertuples()]
    return sorted(rows)


def everything(db: Database) -> str:
    """A hash of all facts, without the number of the batch that brought them."""
    from sqlalchemy import text

    with db.read() as connection:
        return str(
            connection.execute(
                text(
                    "SELECT md5(string_agg(r, '|' ORDER BY r)) FROM "
                    "(SELECT CAST(to_jsonb(s) - 'batch_id' AS text) AS r FROM sales_daily s) rows"
                )
            ).scalar()
        )


def quarantined(db: Database, batch: int | None) -> dict[bytes, str]:
    return {bytes(row["raw"]): row["reason"] for row in db.rows("overview_quarantine", batch_id=batch, limit=None)}


def test_a_plain_file_comes_in_whole(db: Database, tmp_path: Path) -> None:
    write(tmp_path, HEADER + "2024-01-01,Toys,North,S1,3,9.5,1\n2024-01-02,Toys,North,S1,4.5,,false\n")
    result = load(db, tmp_path).table("sales_daily")
    assert (result.status, result.rows, result.new, result.refused) == ("merged", 2, 2, 0)
    assert (result.first_day, result.last_day) == (date(2024, 1, 1), date(2024, 1, 2))
    assert sales(db) == [("2024-01-01", "Toys", "North", "S1", 3.0), ("2024-01-02", "Toys", "North", "S1", 4.5)]


def test_only_keys_and_units_are_required(db: Database, tmp_path: Path) -> None:
    write(tmp_path, "SALES_UNITS, Product_Category ,date_id\n3,Toys,2024-01-01\n")
    load(db, tmp_path)
    assert sales(db) == [("2024-01-01", "Toys", "", "", 3.0)]


@pytest.mark.parametrize("form", ["gzip", "parquet", "utf-8-sig", "utf-16", "cp1252", "semicolon", "tab", "crlf", "cr"])
def test_the_same_rows_in_every_usual_form(db: Database, tmp_path: Path, form: str) -> None:
    frame = pd.DataFrame(
        {
            "date_id": ["2024-01-01", "2024-01-02"],
            "product_category": ["Spielwaren, Bücher", "Größe"],
            "sales_units": [1234.5, 7.25],
            "promotion_flag": [True, False],
        }
    )
    text = frame.to_csv(index=False)
    if form == "gzip":
        write(tmp_path, gzip.compress(text.encode()), "sales_daily.csv.gz")
    elif form == "parquet":
        frame.assign(date_id=pd.to_datetime(frame["date_id"])).to_parquet(tmp_path / "sales_daily.parquet")
    elif form == "semicolon":
        write(tmp_path, frame.to_csv(index=False, sep=";", decimal=","))
    elif form == "tab":
        write(tmp_path, frame.to_csv(index=False, sep="\t"))
    elif form in ("crlf", "cr"):
        write(tmp_path, text.replace("\n", "\r\n" if form == "crlf" else "\r"))
    else:
        write(tmp_path, text.encode(form))
    result = load(db, tmp_path).table("sales_daily")
    assert result.refused == 0
    assert sales(db) == [
        ("2024-01-01", "Spielwaren, Bücher", "", "", 1234.5),
        ("2024-01-02", "Größe", "", "", 7.25),
    ]


def test_thousands_with_decimal_commas_and_what_could_mean_two_things(db: Database, tmp_path: Path) -> None:
    write(tmp_path, "date_id;product_category;sales_units\n2024-01-01;A;1.234,5\n2024-01-02;A;1.234\n2024-01-03;A;7\n")
    result = load(db, tmp_path).table("sales_daily")
    assert [row[4] for row in sales(db)] == [1234.5, 7.0]
    assert quarantined(db, result.batch) == {
        b"2024-01-02;A;1.234": "sales_units is not a number with decimal comma",
    }


def test_days_are_iso_unless_asked(db: Database, tmp_path: Path) -> None:
    write(tmp_path, "date_id,product_category,sales_units\n02.01.2024,A,1\n13/1/2024,A,2\n")
    with_hint = load(db, tmp_path).table("sales_daily")
    assert with_hint.status == "rejected"
    assert "--day-first" in str(with_hint.reason)
    assert sales(db) == []
    assert load(db, tmp_path, day_first=True).table("sales_daily").new == 2
    assert [row[0] for row in sales(db)] == ["2024-01-02", "2024-01-13"]


def test_the_same_file_again_is_no_work(db: Database, tmp_path: Path) -> None:
    write(tmp_path, HEADER + "2024-01-01,Toys,North,S1,3,9.5,1\n")
    load(db, tmp_path)
    before = everything(db)
    again = load(db, tmp_path).table("sales_daily")
    assert (again.status, again.new, again.unchanged) == ("same", 0, 1)
    zipped = tmp_path / "zipped"
    write(zipped, gzip.compress((tmp_path / "sales_daily.csv").read_bytes()), "sales_daily.csv.gz")
    assert load(db, zipped).table("sales_daily").status == "same"
    assert everything(db) == before


def test_a_correction_replaces_only_what_changed_and_keeps_the_old(db: Database, tmp_path: Path) -> None:
    from sqlalchemy import text

    write(tmp_path, HEADER + "2024-01-01,Toys,North,S1,3,9.5,1\n2024-01-02,Toys,North,S1,4,,0\n")
    first = load(db, tmp_path).table("sales_daily")
    write(tmp_path, HEADER + "2024-01-01,Toys,North,S1,3,9.5,1\n2024-01-02,Toys,North,S1,5,,0\n2024-01-03,Toys,,,1,,\n")
    second = load(db, tmp_path).table("sales_daily")
    assert (second.new, second.changed, second.unchanged) == (1, 1, 1)
    with db.read() as connection:
        batches = connection.execute(text("SELECT sales_units, batch_id FROM sales_daily ORDER BY date_id")).fetchall()
        history = connection.execute(text("SELECT row_key, old_row, replaced_by FROM fact_history")).fetchall()
    assert [tuple(row) for row in batches] == [(3.0, first.batch), (5.0, second.batch), (1.0, second.batch)]
    ((key, old, by),) = history
    assert key == {"date_id": "2024-01-02", "product_category": "Toys", "region": "North", "store": "S1"}
    assert (old["sales_units"], old["batch_id"], by) == (4, first.batch, second.batch)


def test_a_file_without_a_column_takes_nothing_away(db: Database, tmp_path: Path) -> None:
    write(tmp_path, HEADER + "2024-01-01,Toys,North,S1,3,9.5,1\n")
    load(db, tmp_path)
    write(tmp_path, "date_id,product_category,region,store,sales_units\n2024-01-01,Toys,North,S1,4\n")
    assert load(db, tmp_path).table("sales_daily").changed == 1
    frame = db.frame("panel_sales")
    assert (frame["sales_units"][0], frame["promotion_flag"][0], frame["unit_price"][0]) == (4.0, 1, 9.5 / 4)


def test_repeated_rows_are_one_contradicting_ones_all_wait(db: Database, tmp_path: Path) -> None:
    lines = [
        "2024-01-01,Toys,N,S,3,,",
        "2024-01-01,Toys,N,S,3.0,,",
        "2024-01-02,Toys,N,S,3,,",
        "2024-01-02,Toys,N,S,4,,",
    ]
    write(tmp_path, HEADER + "\n".join(lines) + "\n")
    result = load(db, tmp_path).table("sales_daily")
    assert (result.new, result.repeated, result.quarantined) == (1, 1, {CONTRADICTING: 2})
    assert set(quarantined(db, result.batch)) == {lines[2].encode(), lines[3].encode()}
    assert result.rows == result.new + result.changed + result.unchanged + result.repeated + result.refused


HOSTILE = {
    "nan": ("2024-01-01,A,N,S,NaN,,", "sales_units is not finite (NaN or infinity)"),
    "infinite": ("2024-01-01,B,N,S,inf,,", "sales_units is not finite (NaN or infinity)"),
    "huge exponent": ("2024-01-01,B2,N,S,1e999,,", "sales_units is not finite (NaN or infinity)"),
    "huge": ("2024-01-01,C,N,S,1e308,,", "sales_units is above 1,000,000,000"),
    "negative": ("2024-01-01,D,N,S,-1,,", "sales_units is negative"),
    "no number": ("2024-01-01,E,N,S,many,,", "sales_units is not a number"),
    "hexadecimal": ("2024-01-01,E2,N,S,0x10,,", "sales_units is not a number"),
    "empty units": ("2024-01-01,F,N,S,,,", "sales_units is empty"),
    "revenue": ("2024-01-01,G,N,S,1,-2,", "sales_revenue is negative"),
    "flag": ("2024-01-01,H,N,S,1,,maybe", "promotion_flag is not one of 0, 1, true, false"),
    "two failures": ("2024-01-32,I,N,S,-1,,", "date_id is not a day like 2024-12-31; sales_units is negative"),
    "leap": ("2023-02-29,J,N,S,1,,", "date_id is not a day like 2024-12-31"),
    "time of day": ("2024-01-01 10:30:00,J2,N,S,1,,", "date_id is not a day like 2024-12-31"),
    "old": ("1999-12-31,K,N,S,1,,", "date_id is before 2000-01-01"),
    "future": ("2024-06-03,L,N,S,1,,", "date_id is in the future"),
    "no day": (",M,N,S,1,,", "date_id is empty"),
    "no category": ("2024-01-01, ,N,S,1,,", "product_category is empty"),
    "formula": ("2024-01-01,=cmd|' /C calc'!A0,N,S,1,,", "product_category starts with =, +, - or @"),
    "formula in region": ("2024-01-01,O,@SUM(A1),S,1,,", "region starts with =, +, - or @"),
    "nul": ("2024-01-01,P\x00Q,N,S,1,,", "product_category contains control characters"),
    "bell": ("2024-01-01,P\x07Q,N,S,1,,", "product_category contains control characters"),
    "turned": ("2024-01-01,P\u202eQ,N,S,1,,", "product_category contains control characters"),
    "long": (f"2024-01-01,{'x' * 10_000},N,S,1,,", "product_category is longer than 100 characters"),
    "too few": ("2024-01-01,Q", "the line has 2 columns, the header has 7"),
    "too many": ("2024-01-01,Q,N,S,1,,,,9", "the line has 9 columns, the header has 7"),
    "open quote": ('2024-01-01,"R,N,S,1,,', "a quotation mark is not closed"),
    "late quote": ('2024-01-01,a"b,N,"S,1,,', "a quotation mark is not closed"),
}
WELCOME = {
    "quotes": ('2024-01-01,"Toys ""big""",N,S,1,,', 'Toys "big"'),
    "percent": ("2024-01-01,100% wool %s,N,S,1,,", "100% wool %s"),
    "html": ("2024-01-01,<img src=x onerror=alert(1)>,N,S,1,,", "<img src=x onerror=alert(1)>"),
    "sql": ("2024-01-01,'; DROP TABLE sales_daily; --,N,S,1,,", "'; DROP TABLE sales_daily; --"),
    "emoji": ("2024-01-01,👩‍👧 Toys,N,S,1,,", "👩‍👧 Toys"),
    "right to left": ("2024-01-01,ألعاب,N,S,1,,", "ألعاب"),
    "decomposed": ("2024-01-01,Cafe\u0301,N,S,1,,", "Café"),
    "blanks around": ("2024-01-01,  Tools\u00a0,N,S,1,,", "Tools"),
    "bind": ("2024-01-01,:name,N,S,1,,", ":name"),
    "backslash": ("2024-01-01,C:\\new\\toys,N,S,1,,", "C:\\new\\toys"),
    "null word": ("2024-01-01,NULL,NA,S,1,,", "NULL"),
    "hundred": (f"2024-01-01,{'é' * 100},N,S,1,,", "é" * 100),
    "midnight": ("2024-01-01T00:00:00Z,Midnight,N,S,1,,", "Midnight"),
    "plus": ("2024-01-01,Plus,N,S,+1,1e2,TRUE", "Plus"),
}


def test_every_bad_row_waits_with_its_reason_and_every_good_one_loads(db: Database, tmp_path: Path) -> None:
    bad = {raw.encode(): reason for raw, reason in HOSTILE.values()}
    lines = [raw for raw, _ in HOSTILE.values()] + [raw for raw, _ in WELCOME.values()]
    order = np.random.default_rng(1).permutation(len(lines))
    content = HEADER + "\n".join(lines[place] for place in order) + "\n\n , ,,\n"
    write(tmp_path, content.encode() + b"2024-01-01,broken \xff\xfe byte,N,S,1,,\n")
    result = load(db, tmp_path).table("sales_daily")
    bad[b"2024-01-01,broken \xff\xfe byte,N,S,1,,"] = "the line is not valid UTF-8"
    assert quarantined(db, result.batch) == bad
    assert {row[1] for row in sales(db)} == {name for _, name in WELCOME.values()}
    assert result.rows == len(lines) + 1
    for row in db.rows("overview_quarantine", batch_id=result.batch, limit=None):
        line = (content.encode() + b"2024-01-01,broken \xff\xfe byte,N,S,1,,\n").split(b"\n")[row["row_number"] - 1]
        assert line == bytes(row["raw"])


def test_twins_of_one_name_are_one_name(db: Database, tmp_path: Path) -> None:
    write(tmp_path, HEADER + "2024-01-01,Café,N,S,1,,\n2024-01-01,Cafe\u0301,N,S,1,,\n2024-01-02,Cafe\u0301 ,N,S,2,,\n")
    result = load(db, tmp_path).table("sales_daily")
    assert (result.new, result.repeated) == (2, 1)
    assert {row[1] for row in sales(db)} == {"Café"}


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "is empty"),
        (b"\xef\xbb\xbf", "is empty"),
        (HEADER.encode(), "has a header but no rows"),
        (
            b"date_id,product_category,units_sold\n2024-01-01,A,1\n",
            "no column sales_units (the nearest header is 'units",
        ),
        (b"day,product_category,sales_units\n2024-01-01,A,1\n", "has no column date_id"),
        (b"date_id,product_category,sales_units,sales_units\n2024-01-01,A,1,2\n", "twice"),
        (b"date_id product_category sales_units\n2024-01-01 A 1\n", "no separated columns"),
        (HEADER.encode() + "2024-01-01,Bücher,N,S,1,,\n".encode().replace(b"\xc3\xbc", b"\x81"), "encoding"),
        (HEADER.encode("utf-16") + b"\x00", "not readable as UTF-16"),
    ],
)
def test_a_file_that_is_none_is_refused_in_one_sentence(
    db: Database, tmp_path: Path, content: bytes, sentence: str
) -> None:
    write(tmp_path, content)
    with pytest.raises(InvalidInput, match=sentence.replace("(", r"\(")):
        load(db, tmp_path)
    assert sales(db) == []


def test_broken_containers_are_refused_in_one_sentence(db: Database, tmp_path: Path) -> None:
    write(tmp_path, gzip.compress(b"x" * 5000)[:20], "sales_daily.csv.gz")
    with pytest.raises(InvalidInput, match="not a whole gzip file"):
        load(db, tmp_path)
    (tmp_path / "sales_daily.csv.gz").unlink()
    write(tmp_path, "no parquet", "sales_daily.parquet")
    with pytest.raises(InvalidInput, match="not a parquet file"):
        load(db, tmp_path)
    write(tmp_path, HEADER, "sales_daily.csv")
    with pytest.raises(InvalidInput, match="keep one of them"):
        load(db, tmp_path)
    with pytest.raises(InvalidInput, match="does not exist"):
        load(db, tmp_path / "nowhere")
    write(tmp_path / "other", "a,b\n", "verkauf.csv")
    with pytest.raises(InvalidInput, match=r"expected sales_daily.csv.*It has verkauf.csv"):
        load(db, tmp_path / "other")


def test_a_damaged_or_nested_parquet_file_is_one_sentence(db: Database, tmp_path: Path) -> None:
    path = tmp_path / "sales_daily.parquet"
    frame = pd.DataFrame(
        {"date_id": pd.date_range("2024-01-01", periods=2), "product_category": "A", "sales_units": [1, 2]}
    )
    frame.assign(sales_units=[[1], [2]]).to_parquet(path)
    with pytest.raises(InvalidInput, match="The column sales_units holds list"):
        load(db, tmp_path)
    frame.assign(product_category=[[1], [2]]).to_parquet(path)
    with pytest.raises(InvalidInput, match="The column product_category holds list"):
        load(db, tmp_path)
    frame.to_parquet(path)
    content = bytearray(path.read_bytes())
    content[20:60] = b"x" * 40
    path.write_bytes(content)
    with pytest.raises(InvalidInput, match=r"sales_daily\.parquet is (damaged|not a parquet)"):
        load(db, tmp_path)
    assert sales(db) == []


def test_a_wrong_type_throughout_rejects_the_table_and_loads_the_others(db: Database, tmp_path: Path) -> None:
    write(tmp_path, "date_id,product_category,sales_units\n2024-01-01,A,few\n2024-01-02,A,many\n")
    write(tmp_path, "date_id,event\n2024-12-25,Christmas\n", "events.csv")
    summary = load(db, tmp_path)
    assert summary.table("sales_daily").reason == "No row of sales_daily.csv can be used: sales_units is not a number."
    assert summary.table("events").new == 1
    assert summary.exit_code == 1


def days(first: str, count: int, stores: int = 10, units: float = 5.0) -> pd.DataFrame:
    frame = pd.DataFrame({"date_id": pd.date_range(first, periods=count)})
    frame = frame.merge(pd.DataFrame({"store": [f"S{i}" for i in range(stores)]}), how="cross")
    return frame.assign(product_category="A", region="N", sales_units=units)


def keep(folder: Path, frame: pd.DataFrame) -> Path:
    return write(folder, frame.to_csv(index=False))


def test_a_later_batch_that_looks_wrong_is_held_until_accepted(db: Database, tmp_path: Path) -> None:
    from sqlalchemy import text

    load(db, keep(tmp_path, days("2024-03-01", 60)))
    gap = load(db, keep(tmp_path, days("2024-05-01", 1))).table("sales_daily")
    assert (gap.status, gap.reason) == ("held", "2024-04-30 has no rows, its weekday usually has 10")
    few = load(db, keep(tmp_path, days("2024-04-30", 2, stores=4)))
    assert few.exit_code == 3
    assert few.table("sales_daily").reason == "2024-04-30 has 4 rows, its weekday usually has 10"
    bad = days("2024-04-30", 2)
    bad.loc[3, "sales_units"] = -1
    held = load(db, keep(tmp_path, bad)).table("sales_daily")
    assert held.reason == "1 of 20 rows would go to quarantine (most: sales_units is negative)"
    assert len(sales(db)) == 600
    assert load(db, tmp_path).table("sales_daily").status == "held"
    accepted = load(db, tmp_path, accept=True, actor="Ada").table("sales_daily")
    assert (accepted.status, accepted.new, accepted.refused) == ("merged", 19, 1)
    with db.read() as connection:
        audit = connection.execute(text("SELECT actor, action, object FROM audit")).fetchall()
        states = connection.execute(text("SELECT status, count(*) FROM load_batch GROUP BY 1 ORDER BY 1")).fetchall()
    assert [tuple(row) for row in audit] == [("Ada", "accept batch", f"load_batch {accepted.batch}")]
    assert [tuple(row) for row in states] == [("held", 2), ("merged", 2)]


def test_days_that_are_always_empty_are_no_gap() -> None:
    past = pd.DataFrame({"day": pd.date_range("2024-01-01", "2024-03-30"), "rows": 10, "units": 50.0})
    past = past[past["day"].dt.day_of_week != 6]
    monday = pd.DataFrame({"day": [pd.Timestamp("2024-04-01")], "rows": [10], "units": [50.0]})
    assert judge_days(past, monday) == (None, [])
    tuesday = monday.assign(day=pd.Timestamp("2024-04-02"))
    assert judge_days(past, tuesday)[0] == "2024-04-01 has no rows, its weekday usually has 10"


def test_a_day_that_is_closed_every_year_or_by_plan_is_no_gap(db: Database, tmp_path: Path) -> None:
    past = days("2022-12-01", 390)
    past = past[(past["date_id"].dt.month != 12) | (past["date_id"].dt.day != 25)]
    christmas = pd.DataFrame({"date_id": pd.to_datetime(["2022-12-25", "2023-12-25"]), "event": "Christmas Day"})
    load_frames(db, {"sales_daily": past[past["date_id"] < "2023-12-25"], "events": christmas}, source="t", clock=clock)
    result = load(db, keep(tmp_path, days("2023-12-26", 1))).table("sales_daily")
    assert (result.status, result.reason) == ("merged", None)
    skipped = days("2023-12-28", 1)
    assert load(db, keep(tmp_path, skipped)).table("sales_daily").status == "held"
    plan = pd.DataFrame({"date_id": pd.to_datetime(["2023-12-27"]), "product_category": "A", "open_flag": False})
    load_frames(db, {"plan_daily": plan}, source="t", clock=clock)
    assert load(db, tmp_path).table("sales_daily").status == "merged"


def test_units_far_off_only_warn() -> None:
    rng = np.random.default_rng(0)
    past = pd.DataFrame({"day": pd.date_range("2024-01-01", periods=84), "rows": 10, "units": rng.normal(50, 2, 84)})
    reason, warnings = judge_days(
        past, pd.DataFrame({"day": [pd.Timestamp("2024-03-25")], "rows": [10], "units": [500.0]})
    )
    assert reason is None
    assert len(warnings) == 1
    assert warnings[0].startswith("2024-03-25 has 500 units")


def test_corrections_of_old_days_are_not_held_for_being_few(db: Database, tmp_path: Path) -> None:
    load(db, keep(tmp_path, days("2024-03-01", 60)))
    result = load(db, keep(tmp_path, days("2024-03-05", 1, stores=1, units=7))).table("sales_daily")
    assert (result.status, result.changed) == ("merged", 1)


def test_own_data_replaces_the_demo_and_the_demo_never_own_data(db: Database, tmp_path: Path) -> None:
    load_frames(db, {"sales_daily": days("2024-01-01", 30), "events": events()}, source="demo", clock=clock)
    load_frames(db, {"sales_daily": days("2024-01-31", 1)}, source="demo", clock=clock)
    write(tmp_path, HEADER + "2024-01-01,Mine,N,S,nothing,,\n")
    assert load(db, tmp_path).replaced_demo is False
    assert len(sales(db)) == 310
    write(tmp_path, HEADER + "2024-01-01,Mine,N,S,1,,\n2024-01-02,Mine,N,S,x,,\n")
    summary = load(db, tmp_path)
    assert summary.replaced_demo is True
    assert sales(db) == [("2024-01-01", "Mine", "N", "S", 1.0)]
    assert len(db.frame("panel_events")) == 0
    assert list(quarantined(db, summary.table("sales_daily").batch).values()) == ["sales_units is not a number"]
    with pytest.raises(Conflict, match="data of your own"):
        load_frames(db, {"sales_daily": days("2024-01-01", 1)}, source="demo", clock=clock)
    with pytest.raises(Conflict, match="data of your own"):
        clear(db)


def events() -> pd.DataFrame:
    return pd.DataFrame({"date_id": [date(2024, 12, 25)], "event": ["Christmas Day"]})


def test_a_dry_run_tells_all_and_changes_nothing(db: Database, tmp_path: Path) -> None:
    write(tmp_path, HEADER + "2024-01-01,Toys,N,S,1,,\n2024-01-02,Toys,N,S,-1,,\n")
    summary = load(db, tmp_path, dry_run=True)
    assert (summary.table("sales_daily").new, summary.table("sales_daily").refused) == (1, 1)
    assert sales(db) == []
    assert load(db, tmp_path).table("sales_daily").new == 1


def test_free_columns_of_stores_are_kept(db: Database, tmp_path: Path) -> None:
    from sqlalchemy import text

    write(tmp_path, 'store,region,opened_on,format,size\nS1,N,1987-05-01,"Mall, big",900\nS2,S,,,\n', "stores.csv")
    load(db, tmp_path)
    with db.read() as connection:
        rows = connection.execute(text("SELECT store, attributes FROM stores ORDER BY 1")).fetchall()
    assert [tuple(row) for row in rows] == [("S1", {"format": "Mall, big", "size": "900"}), ("S2", {})]


def test_all_tables_of_the_contract_load(db: Database, tmp_path: Path) -> None:
    write(tmp_path, HEADER + "2024-01-01,Toys,N,S,1,,\n")
    write(tmp_path, "date_id,economic_index,social_media_mentions\n2024-01-01,101.5,12\n", "market_factors.csv")
    write(
        tmp_path, "date_id,product_category,stock_level,lead_time_days\n2024-01-01,Toys,-3,7.0\n", "inventory_daily.csv"
    )
    write(tmp_path, "date_id,product_category,promotion_flag\n2030-01-01,Toys,1\n", "plan_daily.csv")
    write(tmp_path, "product_category,unit_cost,target_service\nToys,2.5,0.95\nTools,1,95\n", "item_params.csv")
    write(tmp_path, "po_id,product_category,quantity,due_on\nP1,Toys,10,2024-07-01\n", "purchase_orders.csv")
    summary = load(db, tmp_path)
    assert {table.table: table.new for table in summary.tables} == {
        "sales_daily": 1, "market_factors": 1, "inventory_daily": 1, "plan_daily": 1, "item_params": 1,
        "purchase_orders": 1,
    }  # fmt: skip
    assert summary.table("item_params").quarantined == {"target_service is not below 1": 1}


def test_progress_reaches_the_end(db: Database, tmp_path: Path) -> None:
    seen = []
    write(tmp_path, HEADER + "2024-01-01,Toys,N,S,1,,\n")
    load(db, tmp_path, on_progress=lambda stage, done, total, **facts: seen.append((stage, done, total)))
    assert ("sales_daily: reading", 87, 87) in [(s, d, t) for s, d, t in seen] or seen[0][1] == seen[0][2]
    assert seen[-1] == ("sales_daily: comparing", 3, 3)


GOOD = st.tuples(
    st.dates(date(2023, 1, 1), date(2024, 5, 31)).map(str),
    st.sampled_from(["Toys", "Café", "A,B", 'say "x"', "<b>", "100%", "ألعاب", "NULL"]),
    st.sampled_from(["", "N", "NA"]),
    st.floats(0, 1e9).map(repr) | st.integers(0, 1000).map(str),
)
BAD = st.tuples(
    st.sampled_from(["2024-13-01", "", "1990-01-01", "2099-01-01", "soon", "0000-00-00"]),
    st.sampled_from(["=1", "", "a\x00b", "x" * 101, "-"]),
    st.just("N"),
    st.sampled_from(["nan", "-1", "1e308", "-inf", "", "1,5", "0x1"]),
)


@given(
    good=st.lists(GOOD, max_size=25, unique_by=lambda row: row[:3]),
    bad=st.lists(BAD, max_size=8),
    seed=st.integers(0, 1000),
    chunk=st.integers(60, 400),
)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_once_twice_ten_times_and_in_any_order_it_is_the_same_table(
    db: Database,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
    good: list[tuple[str, ...]],
    bad: list[tuple[str, ...]],
    seed: int,
    chunk: int,
) -> None:
    from sqlalchemy import text

    with db.transaction() as connection:
        connection.execute(text("TRUNCATE sales_daily, fact_history, quarantine, load_batch CASCADE"))
    names = ["date_id", "product_category", "region", "sales_units"]
    rows = pd.DataFrame(good + bad, columns=names)
    folder = tmp_path_factory.mktemp("load")
    if rows.empty:
        return
    monkeypatch.setattr(sources, "CHUNK_BYTES", chunk)
    keep(folder, rows)
    first = load(db, folder).table("sales_daily")
    assert (first.new, first.refused) == (len(good), len(bad))
    assert len(sales(db)) == len(good)
    once = everything(db)
    for repeat in range(3):
        shuffled = rows.sample(frac=1, random_state=seed + repeat)
        keep(folder, shuffled)
        again = load(db, folder, accept=True).table("sales_daily")
        assert again.new == again.changed == 0
        assert everything(db) == once


def test_sales_come_last_because_the_first_refresh_starts_with_them(db: Database, tmp_path: Path) -> None:
    write(tmp_path, HEADER + "2024-01-01,Toys,North,S1,3,9.5,1\n")
    write(tmp_path, "date_id,event\n2024-01-01,New Year\n", "events.csv")
    write(tmp_path, "date_id,product_category,promotion_flag\n2024-01-02,Toys,1\n", "plan_daily.csv")
    assert [table.table for table in load(db, tmp_path).tables][-1] == "sales_daily"
    frames = {
        "sales_daily": pd.DataFrame({"date_id": ["2024-01-02"], "product_category": ["Toys"], "sales_units": [4.0]}),
        "events": pd.DataFrame({"date_id": ["2024-01-02"], "event": ["Sale"]}),
    }
    assert [table.table for table in load_frames(db, frames, source="test", clock=clock).tables][-1] == "sales_daily"

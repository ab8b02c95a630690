"""The Data page: uploads of strangers, and what is loaded, how good it is, and what was made of it."""

from __future__ import annotations

import dataclasses

import pandas as pd

from trendcast.services.load import LoadSummary, TableSummary

GERMAN = "Datum;Warengruppe;Menge;Umsatz €\n" + "\n".join(
    f"{day:%d.%m.%Y};{name};{units},50;1.234,50"
    for i, day in enumerate(pd.date_range("2026-06-01", periods=90))
    for name, units in (("Brot", 10 + i), ("Kuchen", 5))
)


def words(app) -> str:
    kinds = ("header", "subheader", "markdown", "caption", "warning", "error", "info", "success")
    return (
        "\n".join(str(element.value) for kind in kinds for element in app.get(kind))
        .replace("\\", "")
        .replace("\u2060", "")
    )


def show(app, part: str):
    app.get_by_key("own_part").set_value(part)
    return app.run()


def send(app, data: bytes | str, name: str = "sales.csv"):
    show(app, "upload")
    app.file_uploader[0].set_value((name, data.encode() if isinstance(data, str) else data, "text/csv"))
    return app.run()


def column(app, name: str) -> list:
    return next(list(frame.value[name]) for frame in app.dataframe if name in frame.value)


def settings_of(app) -> dict[str, str]:
    table = app.table[0].value
    strip = str.maketrans("", "", "\\\u2068\u2069")
    return {
        name.translate(strip): value.translate(strip) for name, value in zip(table.index, table["Value"], strict=True)
    }


def test_each_part_shows_what_it_is_for_and_the_others_do_not_run(retailer, open_page, monkeypatch):
    asked: list[str] = []
    for name in ("quality", "feature_rows", "settings_table"):
        known = getattr(retailer, name)
        monkeypatch.setattr(retailer, name, lambda *a, _n=name, _k=known: asked.append(_n) or _k(*a))
    monkeypatch.setenv("TRENDCAST_PROXY_SECRET", "hunter2")
    app = open_page("data")
    assert "Sales" in column(app, "Table")
    assert asked == []
    show(app, "quality")
    assert "12\u202fseries checked, 1\u202fthing to fix. First: Clothing in HB,NI, store S0001 has no rows" in words(
        app
    )
    assert asked == ["quality"]
    show(app, "quarantine")
    assert "sales_units is negative" in words(app)
    assert column(app, "As it came") == ["2026-01-01,<img src=x onerror=alert(1)>,-3"]
    show(app, "features")
    assert "The last seven days" in words(app)
    assert len(app.get("plotly_chart")) == 1
    show(app, "runs")
    assert "The last quick run took 4.3\u202fs" in words(app)
    assert len(app.get("plotly_chart")) == 1
    show(app, "settings")
    table = settings_of(app)
    assert "**set** (default not set)" in table["TRENDCAST_PROXY_SECRET"]
    assert table["DATABASE_URL"] == "not set"
    assert "hunter2" not in str(table)
    assert not app.exception
    assert not app.error


def test_jobs_show_when_they_run_next_and_a_habit_only_where_there_is_one(retailer, open_page):
    app = open_page("data")
    show(app, "runs")
    assert "no job has failed for good" in words(app)
    assert column(app, "Next") == ["1 Oct 2026, 03:00 UTC", "With the next sales"]
    assert column(app, "Usually takes") == ["11\u202fs", "–"]
    assert column(app, "Now") == ["Done", "Done"]


def test_a_job_that_failed_for_good_says_why_and_is_tried_again(retailer, open_page):
    reason = "The job refresh needs more than the 400 MB it may take: <b>*set*</b> it higher."
    retailer.job_rows = (
        {"name": "refresh", "last_state": "dead", "last_error": reason, "last_id": 9, "dead": 1},
        {"name": "detect", "retry_error": "It crashed."},
    )
    app = open_page("data")
    show(app, "runs")
    assert column(app, "Now") == ["Failed", "Tries again: It crashed."]
    (told,) = [one.value for one in app.error]
    assert "after 3\u202fattempts" in told
    assert "400 MB" in told
    assert "<b>" not in told
    app.get_by_key("job_again_9").click().run()
    assert retailer.asked == [("try again", {"slot": 9})]
    assert not app.exception


def test_runs_alike_make_the_habit_and_failed_ones_do_not(retailer, open_page, monkeypatch):
    known = retailer.runs(50)
    took = [(4.0, "ready", "quick", 1.0), (6.0, "ready", "quick", 1.0), (5.0, "ready", "quick", 1.0),
            (0.2, "failed", "quick", 1.0), (900.0, "ready", "full", 1.0), (0.5, "ready", "quick", 0.1)]  # fmt: skip
    rows = [
        known.assign(id=99 - number, status=status, kind=kind, n_series=int(known["n_series"].iloc[0] * share),
                     summary=[{"seconds": {"fit": seconds}}], is_current=number == 0)
        for number, (seconds, status, kind, share) in enumerate(took)
    ]  # fmt: skip
    monkeypatch.setattr(retailer, "runs", lambda limit: pd.concat(rows, ignore_index=True))
    app = open_page("data")
    show(app, "runs")
    assert "A quick run usually takes 5.0\u202fs (the last 3\u202fruns: 4.0\u202fs to 6.0\u202fs)" in words(app)


def test_features_open_on_what_still_sells_most(retailer, open_page, monkeypatch):
    found = retailer.quality()
    series = found.series.sort_values("product_category").reset_index(drop=True)
    ended = series["product_category"] == series["product_category"].iloc[0]
    series["last_day"] = pd.Timestamp("2026-09-30")
    series.loc[ended, ["last_day", "units"]] = [pd.Timestamp("2020-01-01"), 1e9]  # it sold most, long ago
    monkeypatch.setattr(retailer, "quality", lambda: dataclasses.replace(found, series=series))
    app = open_page("data")
    show(app, "features")
    best = series[~ended].sort_values("units", ascending=False).iloc[0]
    chosen = {box.label: box.value for box in app.selectbox}
    assert (chosen["Category"], chosen["Region"]) == (best["product_category"], best["region"])


def test_a_strangers_file_becomes_a_forecast(retailer, open_page):
    app = send(open_page("data"), GERMAN)
    assert not app.exception
    assert not app.error
    chosen = {box.label: box.value for box in app.selectbox}
    assert (chosen["Day"], chosen["Category"], chosen["Units sold"], chosen["Revenue"]) == (
        "Datum",
        "Warengruppe",
        "Menge",
        "Umsatz €",
    )
    assert column(app, "Units sold")[:2] == ["10.50", "5.50"]
    assert "Mon 1 Jun 2026 to Sat 29 Aug 2026, 180\u202frows." in words(app)
    assert "removes it" in words(app)  # the demo retailer is told of first
    assert app.get_by_key("upload_load").disabled
    app.get_by_key("upload_replace").check().run()
    app.get_by_key("upload_load").click().run()
    assert not app.exception
    assert "The demo retailer was removed. 180\u202fnew rows from" in words(app)
    assert retailer.asked == [("refresh", {})]
    assert app.get("progress")


def test_weekly_data_is_refused_and_the_mapping_stays(retailer, open_page):
    rows = "\n".join(f"{day:%Y-%m-%d},A,5" for day in pd.date_range("2026-01-05", periods=20, freq="7D"))
    app = send(open_page("data"), "week,category,units\n" + rows)
    assert [error.value for error in app.error] == [error.value for error in app.error if "weekly data" in error.value]
    assert "all of them Mondays" in app.error[0].value
    assert {"Day", "Units sold"} <= {box.label for box in app.selectbox}
    assert not any(button.label == "Load and forecast" for button in app.button)
    assert retailer.asked == []


def test_day_and_month_are_asked_only_when_nothing_tells_them_apart(retailer, open_page):
    retailer.held = "own"
    app = send(open_page("data"), "date,category,units\n03/04/2026,A,5\n05/06/2026,A,7\n")
    assert "choose" in words(app)
    control = next(one for one in app.get("button_group") if one.label == "Days are written")
    control.set_value(False).run()
    assert not app.exception
    assert column(app, "Day") == ["2026-03-04", "2026-05-06"]
    assert any(button.label == "Load and forecast" for button in app.button)


def test_what_is_no_table_is_one_sentence(retailer, open_page):
    app = send(open_page("data"), b"%PDF-1.7 nothing", "<img src=x onerror=alert(1)>.pdf.csv")
    assert len(app.error) == 1
    assert "is no table we can read here" in app.error[0].value
    assert not app.exception


def test_a_held_file_says_why_and_is_taken_when_accepted(retailer, open_page, monkeypatch):
    retailer.held = "own"
    tried: list[bool] = []

    def load(cells, reading, parsed, *, accept, **how):
        tried.append(accept)
        held = TableSummary("sales_daily", "x", status="held", reason="2026-06-02 has no rows")
        merged = TableSummary("sales_daily", "x", new=5, first_day=parsed.first_day, last_day=parsed.last_day)
        return LoadSummary([merged if accept else held])

    monkeypatch.setattr(retailer, "upload_load", load)
    app = send(open_page("data"), GERMAN)
    app.get_by_key("upload_load").click().run()
    assert "is held: 2026-06-02 has no rows" in words(app)
    assert retailer.asked == []
    app.get_by_key("upload_accept").click().run()
    assert not app.exception
    assert tried == [False, True]
    assert "5\u202fnew rows" in words(app)
    assert retailer.asked == [("refresh", {})]


def test_a_link_opens_a_part(retailer, open_page):
    app = open_page("data", part="settings")
    assert settings_of(app)["TRENDCAST_NUMBER_FORMAT"] == "1,234.5"
    table = app.table[0].value
    assert table["Changes"].all(), "what each setting acts on"
    # In pointed brackets an address alone would become a link, and lose them.
    assert not any("<" in words and "`" not in words for words in table["What it is"])


def test_headers_and_names_of_a_hostile_file_stay_letters(retailer, open_page):
    retailer.held = "own"
    header = "date,<img src=x onerror=alert(1)>,[units](http://evil.example),$x$"
    rows = "\n".join(f"2026-06-{day:02d},:red[A]{day % 2},{day},5" for day in range(1, 29))
    app = send(open_page("data"), f"{header}\n{rows}\n", "[x](http://evil.example):smile:.csv")
    assert not app.exception
    said = "\n".join(str(element.value) for kind in ("markdown", "caption", "error") for element in app.get(kind))
    for mark in ("<img", "](http", ":red[", ":smile:"):
        assert mark not in said
    app.get_by_key("upload_load").click().run()
    assert not app.exception
    assert "](http" not in str(app.success[0].value)

"""The command report as a person runs it: figures, an executive summary, a page and charts."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from trendcast.__main__ import main
from trendcast.services import executive, findings, forecast, report
from trendcast.services.forecast import Selection
from trendcast.store.engine import Database

Run = Callable[..., tuple[int, str, str]]
CATEGORIES = {"Electronics", "Clothing", "Home & Garden"}


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """``run(db, "--json")``: (exit code, stdout, stderr) of the command in this process."""

    def command(db: Database, *words: str) -> tuple[int, str, str]:
        monkeypatch.setenv("DATABASE_URL", db.url)
        monkeypatch.setenv("TRENDCAST_HOME", str(tmp_path))
        code = main(["report", *words])
        return (code, *capsys.readouterr())

    return command


def test_every_figure_is_that_of_the_published_run(checked_db: Database, run: Run, tmp_path: Path) -> None:
    code, out, err = run(checked_db, "--json")
    assert (code, err) == (0, "")
    told = json.loads(out)
    run_now = forecast.current_run(checked_db)
    index = forecast.series_index(checked_db, run_now.id)
    assert {one["product_category"] for one in told["categories"]} == CATEGORIES
    for one in told["categories"]:
        name = one["product_category"]
        asked = report.forecast_report(checked_db, run_now, index, name)
        for key in ("mae", "mape", "wape", "avg_weekly_forecast", "seasonal_peak", "seasonal_trough", "finding"):
            assert one[key] == asked[key], key
        trends = [told_["sentence"] for told_ in one["recommendations"] if told_["kind"] == "trend"]
        assert trends == [said for said in asked["business_recommendations"] if said in trends]
        with checked_db.read() as connection:
            logged = connection.exec_driver_sql(
                "SELECT impact_level, count(*) FROM anomaly_log WHERE product_category = %s AND kind <> 'DATA_QUALITY'"
                " AND detected_date > date '2026-09-30' - 56 GROUP BY 1",
                (name,),
            ).fetchall()
        assert {level: one["anomalies"][level] for level, _ in logged} == dict(logged)
        assert one["anomalies"]["total"] == sum(count for _, count in logged) == len(one["anomaly_rows"])
    assert sum(one["anomalies"]["total"] for one in told["categories"]) > 0
    expected = [one["expected"] for one in told["categories"]]
    page = Path(told["files"]["html"])
    assert page.parent == tmp_path / "outputs"
    assert "Home &amp; Garden" in page.read_text(encoding="utf-8")
    assert len(told["files"]["charts"]) == 3
    assert all(Path(chart).read_bytes().startswith(b"\x89PNG") for chart in told["files"]["charts"])
    assert len(expected) == 3
    assert min(expected) > 0


def test_people_read_counts_errors_and_an_executive_summary(checked_db: Database, run: Run) -> None:
    code, out, err = run(checked_db)
    assert code == 0
    assert "Drawing the charts" in err
    summary = out.split("EXECUTIVE SUMMARY")[1]
    for name in CATEGORIES:
        assert re.search(rf"^{name}: (\d+|no) anomal\w+ in the last 8 weeks.*, MAPE \d+\.\d\s%$", out, re.MULTILINE), (
            name
        )
        assert re.search(rf"^{name} +\d+\.\d\s% +\d+ +\d+$", summary, re.MULTILINE), name
    run_now = forecast.current_run(checked_db)
    assert findings.finding(checked_db, run_now, Selection("total")) in out


def test_one_category_of_one_region_goes_where_it_is_told(checked_db: Database, run: Run, tmp_path: Path) -> None:
    target = tmp_path / "here" / "and there"
    code, out, _ = run(
        checked_db, "--category", "Home & Garden", "--region", "North", "--out", str(target), "--json"
    )  # fmt: skip
    told = json.loads(out)
    assert code == 0
    assert [one["product_category"] for one in told["categories"]] == ["Home & Garden"]
    assert told["region"] == "North"
    assert {row["region"] for row in told["categories"][0]["anomaly_rows"]} <= {"North"}
    assert sorted(path.name for path in target.iterdir()) == [
        "forecast-home-garden-north.png",
        "report-2026-09-30-home-garden-north.html",
    ]


def test_what_cannot_be_reported_is_a_sentence(checked_db: Database, db: Database, run: Run, tmp_path: Path) -> None:
    assert run(checked_db, "--category", "Electronix")[::2] == (
        1,
        "There is no category 'Electronix'. Did you mean Electronics?\n",
    )
    assert "No forecast has been published yet" in run(db)[2]
    (tmp_path / "file").write_text("")
    code, _, err = run(checked_db, "--category", "Clothing", "--out", str(tmp_path / "file"), "--json")
    assert code == 1
    assert "cannot be written" in err


def test_before_any_check_it_says_so_instead_of_none(demo_db: Database, run: Run) -> None:
    _, out, _ = run(demo_db, "--category", "Clothing", "--json")
    assert json.loads(out)["categories"][0]["anomalies"] is None
    assert "Clothing: not checked for anomalies yet" in run(demo_db, "--category", "Clothing")[1]


def test_only_the_largest_are_drawn_unasked(checked_db: Database, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(executive, "CHARTS", 2)
    told = json.loads(run(checked_db, "--json")[1])
    assert [one["chart"] is not None for one in told["categories"]] == [True, True, False]
    assert told["notes"] == ["Charts are drawn of the 2 largest of 3 categories; name one (--category) to have its."]
    index = forecast.series_index(checked_db, forecast.current_run(checked_db).id)
    price = index[index["level"] == "category"].set_index("product_category")["unit_price"]
    worth = [one["expected"] * price[one["product_category"]] for one in told["categories"]]
    assert worth == sorted(worth, reverse=True)
    both = json.loads(run(checked_db, "--category", "Clothing", "--category", "Electronics", "--json")[1])
    assert all(one["chart"] for one in both["categories"])


def test_two_names_never_share_a_file() -> None:
    taken: dict[str, bytes] = {}
    for name in ("A/B", "A B", "../A-B", "a b"):
        file = executive._free(f"forecast-{executive.pictures.file_name(name)}", taken)
        assert re.fullmatch(r"[\w-]+\.png", file)
        taken[file] = b""
    assert len(taken) == 4

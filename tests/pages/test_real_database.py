"""The same pages on a real PostgreSQL: empty, and with a published run."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from trendcast.services import runtime
from trendcast.services.progress import silent
from trendcast.ui import reads
from trendcast.ui.live import LiveProvider
from trendcast.ui.provider import Choice


@pytest.fixture
def on(monkeypatch: pytest.MonkeyPatch, make_retailer) -> Iterator[Callable[[str], None]]:
    """``on(url)``: the dashboard of this process stands on that database."""

    def stand(url: str) -> None:
        monkeypatch.setenv("DATABASE_URL", url)
        monkeypatch.setattr(reads, "provider", LiveProvider())
        runtime.process.close()

    yield stand
    runtime.process.close()


@pytest.mark.parametrize("page", ["review", "forecasts", "data"])
def test_an_empty_database_says_how_to_load(db, on, open_page, page):
    on(db.url)
    app = open_page(page)
    assert not app.exception
    assert not app.error
    assert any("python -m trendcast load" in code.value for code in app.code)


def test_the_page_shows_the_run_of_the_database(demo_db, on, open_page):
    on(demo_db.url)
    run = demo_db.rows("run_read", run_id=None)[0]["id"]
    index = demo_db.frame("run_series_index", run_id=run).query("level == 'category_region'").iloc[0]
    app = open_page(level="category_region", category=index["product_category"], region=index["region"])
    assert not app.exception
    assert not app.error
    weekly = demo_db.frame("forecast_weekly", run_id=run, series_ids=[int(index["series_id"])])
    table = app.dataframe[0].value.set_index("Measure")
    for row in weekly.head(12).itertuples():
        assert table.loc["Forecast P50", f"{row.week:%Y-%m-%d}"] == f"{row.q50:,.0f}"
    assert len(app.get("plotly_chart")) == 2


@pytest.mark.parametrize("unit", ["units", "money"])
def test_several_series_are_summed(demo_db, on, open_page, unit):
    on(demo_db.url)
    names = sorted({row["product_category"] for row in demo_db.rows("series_all")} - {""})[:2]
    for by in ("week", "day"):
        app = open_page(level="category", category=names, unit=unit, by=by)
        assert not app.exception
        assert not app.error
        assert app.metric


@pytest.mark.parametrize("unit", ["units", "money"])
def test_the_parts_of_several_series_add_up_to_what_the_chart_shows(demo_db, on, unit):
    on(demo_db.url)
    run = reads.standing(fresh=True).run
    choice = Choice("region")
    days = reads.table(run.id, choice, unit, "day").set_index("date")
    shown = days["actual"].fillna(days["mean"]).dropna()
    parts = reads.parts(run.id, choice, unit).set_index("date").sum(axis=1)
    assert parts.reindex(shown.index).to_numpy() == pytest.approx(shown.to_numpy(), rel=1e-6, abs=0.05)


def test_the_inventory_page_lists_the_advice_of_the_run(demo_db, on, open_page):
    from trendcast.services import recommend

    on(demo_db.url)
    run = demo_db.rows("run_read", run_id=None)[0]["id"]
    advice = recommend.advice(demo_db, run).set_index("product_category")
    app = open_page("inventory")
    assert not app.exception
    assert not app.error
    shown = app.dataframe[0].value.set_index("Category")
    assert set(shown.index) == set(advice.index)
    for name, row in shown.iterrows():
        quantity = advice.loc[name, "order_quantity"]
        assert row["Order"] == (f"{quantity:,.0f}" if quantity > 0 else "–")
    card = open_page("inventory", item=str(shown.index[0]))
    assert not card.exception
    assert not card.error
    assert len(card.get("plotly_chart")) == 2


def test_an_inbox_that_was_never_filled_offers_the_check(demo_db, on, open_page):
    on(demo_db.url)
    app = open_page("anomaly-inbox")
    assert not app.exception
    assert not app.error
    assert app.get_by_key("inbox_check").label == "Check now"


def test_the_data_page_lists_what_was_loaded(demo_db, on, open_page):
    on(demo_db.url)
    app = open_page("data")
    assert not app.exception
    assert not app.error
    assert "Sales" in set(app.dataframe[0].value["Table"])


def test_the_review_shows_the_figures_of_the_service(demo_db, on, open_page):
    from trendcast.services import forecast, review

    on(demo_db.url)
    app = open_page("review")
    assert not app.exception
    assert not app.error
    run = forecast.current_run(demo_db)
    found = review.review(demo_db, run, today=run.last_day)
    tiles = {metric.label: metric.value for metric in app.metric}
    assert set(tiles) == {kpi.label.partition(", ")[0] for kpi in found.kpis}  # its level stands below
    rows = next(frame.value for frame in app.dataframe if "Next 12 weeks" in frame.value).set_index("Category")
    for line in found.figures.lines:
        assert rows.loc[line.name, "Next 12 weeks"] == pytest.approx(line.units.ahead)


def test_an_earlier_day_whose_run_was_thinned_shows_its_weeks(clone_demo, on, open_page):
    """Of an older run only weekly sums are kept: what was sold until then comes from the run of now."""
    from datetime import UTC, datetime, timedelta

    from trendcast.services import forecast
    from trendcast.services import jobs as job_service
    from trendcast.services.refresh import refresh
    from trendcast.store import jobs

    db = clone_demo("earlier_day")
    older = forecast.current_run(db)
    claim = jobs.claim(db, slot_id=job_service.enqueue(db, "refresh"))
    assert claim is not None
    result = refresh(db, lambda: datetime.now(UTC), silent, claim.token, members=("structural",))
    jobs.finish(db, claim.id, claim.token, result)
    day = older.last_day - timedelta(days=7)
    with db.transaction() as connection:
        for statement in (
            "DELETE FROM forecast WHERE run_id = %s",
            "DELETE FROM backtest WHERE run_id = %s",
            "UPDATE run_series SET history = NULL, lost = NULL, parts = NULL WHERE run_id = %s",
        ):
            connection.exec_driver_sql(statement, (older.id,))
        connection.exec_driver_sql("UPDATE run SET last_day = %s WHERE id = %s", (day, older.id))
    on(db.url)
    reads.run_days.clear()
    app = open_page(level="total", as_of=day.isoformat())
    assert not app.exception
    assert not app.error
    assert app.get_by_key("filter_as_of").value == day
    rows = app.dataframe[0].value.set_index("Measure")
    assert (rows.loc["Actual"] != "").sum() > 2
    weekly = forecast.forecast_weekly(db, older.id, [1])
    assert (rows.loc["Forecast, mean"] != "").sum() >= len(weekly) - 2
    app = open_page(level="total", as_of=day.isoformat(), by="day")
    assert not app.error
    assert any("only the weeks are kept" in one.value for one in app.caption)
    for page in ("review", "accuracy"):
        app = open_page(page, as_of=day.isoformat())
        assert not app.exception
        assert not app.error

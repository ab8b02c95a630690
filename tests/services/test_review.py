"""The figures of the weekly review, each against a slow computation from the raw facts."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.conftest import DEMO_LAST_DAY
from trendcast.demo import generate
from trendcast.errors import NotFound
from trendcast.inventory import sentences
from trendcast.services import decisions, findings, forecast, incidents, recommend, review, review_figures, review_rules
from trendcast.services.progress import silent
from trendcast.services.review_figures import Scope, Volume
from trendcast.services.review_parts import Link, Risk
from trendcast.store.engine import Database

LAST_MONDAY = DEMO_LAST_DAY - timedelta(days=DEMO_LAST_DAY.weekday() + 7)  # of the last whole week
FIRST_AHEAD = LAST_MONDAY + timedelta(weeks=2)  # the first whole week ahead
TODAY = DEMO_LAST_DAY + timedelta(days=1)


@pytest.fixture(scope="module")
def facts() -> dict[str, pd.DataFrame]:
    """The demo retailer's tables as they were generated."""
    return generate(3, 2, 0, 3, DEMO_LAST_DAY)


@pytest.fixture(scope="module")
def sold(facts) -> dict[tuple[str, date], float]:
    """(category, Monday) -> units of the week, day by day."""
    sums: dict[tuple[str, date], float] = {}
    for row in facts["sales_daily"].itertuples():
        day = pd.Timestamp(row.date_id).date()
        key = (row.product_category, day - timedelta(days=day.weekday()))
        sums[key] = sums.get(key, 0.0) + row.sales_units
    return sums


def weeks_back(count: int, skip: int = 0) -> list[date]:
    return [LAST_MONDAY - timedelta(weeks=n) for n in range(skip, skip + count)]


# --- a run alone -----------------------------------------------------------------------------------------------------


def test_sums_ahead_before_and_last_year_are_those_of_the_facts(demo_db, sold):
    run = forecast.current_run(demo_db)
    found = review.figures(demo_db, run)
    index = forecast.series_index(demo_db, run.id).query("level == 'category'").set_index("product_category")
    assert [line.name for line in found.lines] == sorted(index.index)
    ahead_all = 0.0
    for line in found.lines:
        weekly = forecast.forecast_weekly(demo_db, run.id, [int(index.loc[line.name, "series_id"])]).head(12)
        assert weekly["week"].iloc[0].date() == FIRST_AHEAD == found.first_week
        year = [sold[line.name, week.date() - timedelta(days=364)] for week in weekly["week"]]
        assert line.units.ahead == pytest.approx(weekly["mean"].sum())
        assert line.money.ahead == pytest.approx(weekly["money"].sum())
        assert line.units.last_year == pytest.approx(sum(year))
        assert line.units.recent == pytest.approx(sum(sold[line.name, week] for week in weeks_back(12)))
        assert line.units.change == pytest.approx(weekly["mean"].sum() / sum(year) - 1)
        ahead_all += weekly["mean"].sum()
    assert found.units.ahead == pytest.approx(ahead_all)


def test_money_of_the_past_is_the_revenue(demo_db, facts):
    found = review.figures(demo_db, forecast.current_run(demo_db))
    rows = facts["sales_daily"]
    days = pd.to_datetime(rows["date_id"])
    since = pd.Timestamp(LAST_MONDAY - timedelta(weeks=11))
    recent = rows[(days >= since) & (days < pd.Timestamp(LAST_MONDAY) + pd.Timedelta(7, "D"))]
    for line in found.lines:
        revenue = recent.loc[recent["product_category"] == line.name, "sales_revenue"].sum()
        assert line.money.recent == pytest.approx(revenue, rel=2e-3)  # units at the price of the day


def test_one_category_is_told_by_its_regions_and_a_region_by_its_categories(demo_db):
    run = forecast.current_run(demo_db)
    whole = review.figures(demo_db, run)
    name = whole.lines[0].name
    regions = review.figures(demo_db, run, Scope(categories=(name,)))
    assert regions.dimension == "region"
    assert len(regions.lines) == 2
    assert regions.units.ahead == pytest.approx(whole.lines[0].units.ahead)
    assert sum(line.units.recent for line in regions.lines) == pytest.approx(whole.lines[0].units.recent)
    one = review.figures(demo_db, run, Scope(regions=(regions.lines[0].name,)))
    assert one.dimension == "category"
    assert one.lines[0].units.ahead == pytest.approx(regions.lines[0].units.ahead)
    with pytest.raises(NotFound):
        review.figures(demo_db, run, Scope(categories=("Nobody",)))


def test_before_anything_published_is_over_errors_are_those_of_the_backtest(demo_db):
    run = forecast.current_run(demo_db)
    found = review.figures(demo_db, run)
    figures = forecast.accuracy(demo_db, run.id, "category").set_index(["model", "horizon_week"])
    for error in found.errors:
        assert not error.published
        assert error.wape == pytest.approx(figures.loc[("combination", error.lag), "wape_weekly"])
        naives = [figures.loc[(name, error.lag), "wape_weekly"] for name in ("naive7", "naive364")]
        assert error.naive == pytest.approx(min(naives))
    assert found.covered == pytest.approx(figures.loc[("combination", 0), "coverage80_weekly"])
    assert "nothing to compare yet" in review.review(demo_db, run, today=TODAY).change


def test_stock_tiles_are_those_of_the_facts_and_of_the_inventory_page(demo_db, facts):
    run = forecast.current_run(demo_db)
    kpis = {kpi.name: kpi for kpi in review.review(demo_db, run, today=TODAY).kpis}
    days = out = before_days = before_out = 0
    for row in facts["inventory_daily"].itertuples():
        ago = (DEMO_LAST_DAY - pd.Timestamp(row.date_id).date()).days
        if 0 <= ago < 91:
            days, out = days + 1, out + bool(row.stockout_flag)
        elif 91 <= ago < 182:
            before_days, before_out = before_days + 1, before_out + bool(row.stockout_flag)
    assert kpis["stockouts"].value == pytest.approx(out / days)
    assert kpis["stockouts"].against == pytest.approx(before_out / before_days)
    summary = recommend.summary(demo_db, run.id)
    assert kpis["stockouts"].value == pytest.approx(summary["stockout_rate_13w"])
    assert kpis["stockouts"].against == pytest.approx(summary["stockout_rate_before"])
    assert kpis["stock_value"].value == pytest.approx(summary["stock_value"])
    advice = recommend.advice(demo_db, run.id).set_index("product_category")
    stock = facts["inventory_daily"]
    newest = stock[pd.to_datetime(stock["date_id"]) == pd.Timestamp(DEMO_LAST_DAY)]
    value = sum(advice.loc[row.product_category, "unit_cost"] * row.stock_level for row in newest.itertuples())
    assert kpis["stock_value"].line[-1] == pytest.approx(value)


def test_risks_hold_every_piece_of_advice_and_most_money_is_on_top(demo_db):
    run = forecast.current_run(demo_db)
    found = review.review(demo_db, run, today=TODAY)
    advice = recommend.advice(demo_db, run.id)
    due = advice[advice["status"].isin(["order_now", "order_soon", "excess"])]
    stock = [risk for risk in found.risks if risk.kind != "anomaly"]
    assert sorted(risk.name for risk in stock) == sorted(due["product_category"])
    money = [risk.money for risk in found.risks if risk.money is not None]
    assert money == sorted(money, reverse=True)
    for line, standing in zip(found.figures.lines, found.standing, strict=True):
        assert standing.stock == advice.set_index("product_category").loc[line.name, "status"]


@pytest.mark.parametrize(("days", "late"), [(1, 0), (2, 1), (6, 5)])
def test_late_data_comes_first(demo_db, days, late):
    run = forecast.current_run(demo_db)
    found = review.review(demo_db, run, today=DEMO_LAST_DAY + timedelta(days=days))
    assert found.header.days_late == (0 if run.historical else late)
    said = {breach.name: breach.count for breach in found.exceptions}
    assert said["late"] == found.header.days_late
    if found.header.days_late > 1:
        assert f"{late} days late" in found.finding


def test_the_finding_is_the_one_on_the_page(demo_db):
    run = forecast.current_run(demo_db)
    found = review.review(demo_db, run, today=TODAY)
    assert review.finding(demo_db, run, today=TODAY) == found.finding
    assert found.finding.startswith("The next 12 weeks should bring sales of")
    assert all(kpi.basis.endswith(".") for kpi in found.kpis)


def test_advice_is_told_by_what_to_do_and_why():
    said = "GROWTH, HIGH UNCERTAINTY: Order 420 units (35 cases) of A: B by Thu 12 Mar. Without it: 34 % chance. " + (
        "Extra carrying cost 38 a month. Main drivers: promotion (+31 %). Right in 94 % of 26 weeks."
    )
    assert review_rules.told(said) == (
        "Order 420 units (35 cases) of A: B by Thu 12 Mar",
        "Without it: 34 % chance. Main drivers: promotion (+31 %).",
    )


def test_that_no_order_comes_in_time_is_told_where_the_order_is_advised():
    late = f"{sentences.TOO_LATE}: ask for what is on order sooner."
    said = f"Order 690 units of A now. Without it: over 99 % chance; with it over 99 %. {late} Extra carrying cost 1."
    assert review_rules.told(said)[1] == f"Without it: over 99 % chance; with it over 99 %. {late}"


# --- with forecasts that were published before ----------------------------------------------------------------------


@dataclass(frozen=True)
class Published:
    """A made-up past of one category and week: what was said, one and four weeks ahead."""

    category: str
    week: date
    lag: int
    mean: float
    actual: float


def said(category: str, week: date, lag: int, actual: float) -> float:
    """What was published: the first category always too high, the others now and then."""
    number = (LAST_MONDAY - week).days // 7
    if category == "Clothing":
        return actual * (1.2 + 0.01 * lag)
    return actual * (1 + 0.05 * lag * math.sin(number + lag))


@pytest.fixture(scope="module")
def later(clone_demo, sold) -> tuple[Database, list[Published]]:
    """A copy of the demo with a second run, and 20 weeks of published forecasts that came true or not."""
    from trendcast.services import jobs as job_service
    from trendcast.services.refresh import refresh
    from trendcast.store import jobs

    db = clone_demo("review")
    before = forecast.current_run(db).id
    index = forecast.series_index(db, before)
    series = index.query("level == 'category'").set_index("product_category")["series_id"]
    past = [
        Published(name, week, lag, said(name, week, lag, sold[name, week]), sold[name, week])
        for name in series.index
        for week in weeks_back(20)
        for lag in (1, 4)
    ]
    with db.transaction() as connection:
        connection.exec_driver_sql("DELETE FROM forecast_log")
        for row in past:
            connection.exec_driver_sql(
                "INSERT INTO forecast_log (series_id, week, lag_weeks, run_id, level, product_category, region, store,"
                " mean, q10, q90, actual, scored_at)"
                " VALUES (%s, %s, %s, %s, 'category', %s, '', '', %s, %s, %s, %s, now())",
                (int(series[row.category]), row.week, row.lag, before, row.category, row.mean, 0.93 * row.mean,
                 1.07 * row.mean, row.actual),
            )  # fmt: skip
        # The run before is the one of a week ago: its weeks lay one week further ahead.
        connection.exec_driver_sql(
            "INSERT INTO forecast_log (series_id, week, lag_weeks, run_id, level, product_category, region, store,"
            " mean, money, q10, q90)"
            " SELECT f.series_id, f.week, 2 + (f.week - min(f.week) OVER ()) / 7, f.run_id, s.level,"
            " s.product_category, s.region, s.store, f.mean, f.money, f.q10, f.q90 FROM forecast_week f"
            " JOIN series s ON s.id = f.series_id WHERE f.run_id = %s",
            (before,),
        )
    claim = jobs.claim(db, slot_id=job_service.enqueue(db, "refresh"))
    assert claim is not None
    result = refresh(db, lambda: datetime.now(UTC), silent, claim.token, members=("structural",))
    jobs.finish(db, claim.id, claim.token, result)
    return db, past


def wape(rows: list[Published]) -> float:
    return sum(abs(row.mean - row.actual) for row in rows) / sum(row.actual for row in rows)


def test_errors_bias_and_the_same_a_week_earlier(later):
    db, past = later
    found = review.figures(db, forecast.current_run(db))
    for error in found.errors:
        mine = [row for row in past if row.lag == error.lag]
        now = [row for row in mine if row.week in weeks_back(13)]
        assert error.wape == pytest.approx(wape(now))
        assert error.wape_before == pytest.approx(wape([row for row in mine if row.week in weeks_back(13, 1)]))
        assert error.bias == pytest.approx(sum(row.mean - row.actual for row in now) / sum(row.actual for row in now))
        assert error.line[-1] == pytest.approx(wape([row for row in now if row.week == LAST_MONDAY]))
        assert error.published


def test_value_added_is_against_the_better_naive_on_the_same_weeks(later, sold):
    db, past = later
    found = review.review(db, forecast.current_run(db), today=TODAY)
    now = [row for row in past if row.lag == 4 and row.week in weeks_back(13)]
    total = sum(row.actual for row in now)
    naives = [
        sum(abs(sold[row.category, row.week - timedelta(weeks=back)] - row.actual) for row in now) / total
        for back in (4, 52)
    ]
    kpi = next(kpi for kpi in found.kpis if kpi.name == "value_added")
    assert kpi.value == pytest.approx(1 - wape(now) / min(naives))
    tile = next(kpi for kpi in found.kpis if kpi.name == "wape_4")
    assert f"{100 * min(naives):.1f}" in tile.note


def test_a_line_knows_its_error_bias_and_coverage(later):
    db, past = later
    for line in review.figures(db, forecast.current_run(db)).lines:
        mine = [row for row in past if row.category == line.name]
        now = [row for row in mine if row.lag == 1 and row.week in weeks_back(13)]
        assert line.error == pytest.approx(wape(now))
        assert line.recent_error == pytest.approx(wape(now[:4]))
        assert (line.bias_run >= 13) if line.name == "Clothing" else (line.bias_run == 0)
        newest = [row for row in mine if row.week in weeks_back(13)]
        inside = [row for row in newest if 0.93 * row.mean <= row.actual <= 1.07 * row.mean]
        assert line.covered_weeks == len(newest)
        assert line.covered == pytest.approx(len(inside) / len(newest))


def test_a_bias_of_four_weeks_is_an_exception_with_a_link(later):
    db, _ = later
    found = review.review(db, forecast.current_run(db), today=TODAY)
    bias = next(breach for breach in found.exceptions if breach.name == "bias")
    assert bias.names == ("Clothing",)
    assert bias.link == Link("accuracy", (("category", "Clothing"),))
    coverage = next(breach for breach in found.exceptions if breach.name == "coverage")
    assert "Clothing" in coverage.names  # its band never held


def test_what_changed_since_last_week_adds_up(later):
    db, _ = later
    run = forecast.current_run(db)
    found = review.figures(db, run)
    assert found.published_again == 12
    index = forecast.series_index(db, run.id).query("level == 'category'").set_index("product_category")
    for mover in found.movers:
        before = forecast.last_week_forecast(db, run.id, [int(index.loc[mover.name, "series_id"])])
        weekly = forecast.forecast_weekly(db, run.id, [int(index.loc[mover.name, "series_id"])])
        ahead = before[before["week"] >= pd.Timestamp(FIRST_AHEAD)].head(12)
        assert mover.published == pytest.approx(ahead["mean"].sum())
        assert mover.now == pytest.approx(weekly["mean"].head(12).sum())
        assert [name for name, _ in mover.causes][-1] == review_figures.OTHER
        assert sum(value for _, value in mover.causes) == pytest.approx(mover.now - mover.published)
    assert found.whole is not None
    assert found.whole.published == pytest.approx(sum(mover.published for mover in found.movers))
    assert sum(value for _, value in found.whole.causes) == pytest.approx(found.whole.now - found.whole.published)
    sizes = [abs(mover.now - mover.published) for mover in found.movers]
    assert sizes == sorted(sizes, reverse=True)


def test_the_parts_of_a_number_are_told_by_what_lifts_and_what_drags():
    labels = {"promotions": "Promotions", "yearly": "Time of the year", "holidays": "Holidays"}
    told = findings.made_of({"trend": 900.0, "promotions": 120.0, "yearly": -80.0, "rest": 60.0}, labels)
    assert "the biggest lift is promotions (+120" in told
    assert "the biggest drag is time of the year (\u221280" in told
    assert "keep the promotion plan up to date" in told
    assert "+60 units come from the blend of models" in told.replace("\u202f", " ")
    season = findings.made_of({"trend": 900.0, "promotions": 30.0, "yearly": 120.0}, labels)
    assert season.endswith("plan supply with the season.")  # what is to do is about the biggest part
    calm = findings.made_of({"trend": 900.0, "promotions": 1.0, "rest": 99.0}, labels)
    assert "rest on the level alone" in calm


# --- what has ended, what is over, and the review of an earlier day ---------------------------------------------------


def lines_of(found: review_figures.Figures, name: str, **changed) -> review_figures.Figures:
    """The figures with one line changed."""
    return replace(found, lines=tuple(replace(one, **changed) if one.name == name else one for one in found.lines))


def put_together(db: Database, found: review_figures.Figures, open_incidents: pd.DataFrame | None = None, **how):
    run = forecast.current_run(db)
    nothing = incidents.inbox(db).iloc[:0] if open_incidents is None else open_incidents
    stock = pd.DataFrame(columns=["weeks_ago", "days", "stockouts", "value"])
    advised, decided = recommend.advice(db, run.id).iloc[:0], decisions.log(db).iloc[:0]
    return review.assemble(run, found, advised, nothing, decided, stock, **({"today": TODAY} | how))


def test_what_has_ended_is_no_faller_and_the_change_is_said_without_it(demo_db):
    found = review.figures(demo_db, forecast.current_run(demo_db))
    name = found.lines[0].name
    gone = Volume(recent=0.0, ahead=0.0, last_year=9e6)
    off = {"covered": 0.2, "covered_weeks": 52, "bias_run": 9, "error": 1.0}
    alive = put_together(demo_db, lines_of(found, name, units=gone, **off))
    assert name in [line.name for line in alive.fallers]
    ended = put_together(demo_db, lines_of(found, name, units=gone, ended=True, **off))
    assert name not in [line.name for line in ended.fallers]
    assert not any(name in breach.names for breach in ended.exceptions)
    kept = found.lines[1:]
    change = sum(line.units.ahead for line in kept) / sum(line.units.last_year for line in kept) - 1
    assert f"{name} ended and is left out: without it, " in ended.movement
    assert f"{abs(100 * change):.1f}" in ended.movement


def test_a_line_has_ended_when_it_sold_once_and_not_for_eight_weeks():
    days = np.zeros((4, 200))
    days[0, :143], days[1, :145], days[3] = 5.0, 5.0, np.nan
    assert review_figures._ended(days).tolist() == [True, False, False, False]


def test_a_loss_that_still_runs_comes_before_a_bigger_one_that_is_over(demo_db):
    found = review.figures(demo_db, forecast.current_run(demo_db))
    facts = {
        "impact": "HIGH", "cause": "", "level": "category", "region": "", "store": "", "loss_units": -5.0,
        "kind": "DEMAND",
    }  # fmt: skip
    rows = [
        facts | {"incident_id": 1, "headline": "A.", "product_category": "A", "loss": -9000.0, "day": back(20)},
        facts | {"incident_id": 2, "headline": "B.", "product_category": "B", "loss": -10.0, "day": back(0)},
    ]
    frame = pd.DataFrame(rows).assign(first_day=back(30))
    told = put_together(demo_db, found, frame).risks
    assert [risk.headline for risk in told] == ["B.", "A."]
    assert [risk.urgent for risk in told] == [True, False]
    assert told[1].why.startswith("Over since ")


def risk(headline: str, money: float, **facts: Any) -> Risk:
    kind = facts.pop("kind", "anomaly")
    plain = {"why": "", "units": None, "order_by": None, "quantity": None, "urgent": False}
    return Risk(**{"kind": kind, "name": "", "headline": headline, "money": money, "link": Link("x"), **plain, **facts})


@pytest.mark.parametrize(
    ("risks", "first"),
    [
        ([risk("A low one", 900.0, minor=True), risk("A medium one", 20.0)], "A medium one"),
        ([risk("A low one", 900.0, minor=True)], "A low one"),
        ([risk("One that is over", 9000.0, over=DEMO_LAST_DAY), risk("A low one", 9.0, minor=True)], "A low one"),
        ([risk("An anomaly", 900.0, urgent=True), risk("Order 5", 20.0, kind="stock-out", urgent=True)], "Order 5"),
        ([risk("One that is over", 9000.0, over=DEMO_LAST_DAY)], None),
        ([], None),
    ],
)
def test_first_is_what_still_runs_and_matters(risks, first):
    found = review._first(risks)
    assert (found.headline if found else None) == first


def test_what_is_over_waits_to_be_settled_and_is_not_first(demo_db):
    found = review.figures(demo_db, forecast.current_run(demo_db))
    said = review._finding(found, None, "units", [risk("One that is over", 9e3, over=DEMO_LAST_DAY)], [])
    assert "First" not in said
    assert said.endswith("Nothing needs a decision this week. 1 anomaly that is over waits to be settled.")


def back(days: int) -> pd.Timestamp:
    return pd.Timestamp(DEMO_LAST_DAY - timedelta(days=days))


@pytest.mark.parametrize(("covered", "broken"), [(0.667, 1), (0.79, 0)])
def test_bands_that_failed_the_backtest_are_an_exception_before_anything_is_published(demo_db, covered, broken):
    found = replace(review.figures(demo_db, forecast.current_run(demo_db)), covered=covered, covered_weeks=60)
    told = {breach.name: breach for breach in put_together(demo_db, found).exceptions}
    assert told["level_coverage"].count == broken
    assert "coverage" not in told


def test_an_earlier_day_is_not_late(demo_db):
    found = review.figures(demo_db, forecast.current_run(demo_db))
    told = put_together(demo_db, found, today=DEMO_LAST_DAY + timedelta(days=42), past=True)
    assert told.header.days_late == 0
    assert "late" not in told.finding


def test_an_earlier_run_without_days_of_its_own_is_told_with_those_of_the_newest(later):
    db, _ = later
    now = forecast.current_run(db)
    with db.transaction() as connection:
        older = connection.exec_driver_sql("SELECT min(id) FROM run WHERE status = 'ready'").scalar()
    run = replace(forecast.run_info(db, older), last_day=DEMO_LAST_DAY - timedelta(days=10))
    assert run.id != now.id
    index = forecast.series_index(db, run.id).query("level == 'category'")
    ids = index["series_id"].tolist()
    history, figures = forecast.history_daily(db, run, ids), review.figures(db, run)
    with db.transaction() as connection:
        connection.exec_driver_sql("UPDATE run_series SET history = NULL, lost = NULL WHERE run_id = %s", (older,))
    pd.testing.assert_frame_equal(forecast.history_daily(db, run, ids), history)
    assert history["date_id"].iloc[-1].date() == run.last_day
    again = review.figures(db, forecast.run_info(db, older))
    assert [line.units.recent for line in again.lines] == [
        pytest.approx(line.units.recent) for line in review.figures(db, now).lines
    ]
    assert all(line.units.recent is not None for line in review.figures(db, run).lines)
    assert len(figures.lines) == len(again.lines)


def test_an_earlier_review_has_no_incident_that_began_later(later, monkeypatch):
    db, _ = later
    frame = incidents.inbox(db)
    asked = frame.reindex(range(2)).assign(
        first_day=[back(0), pd.Timestamp(DEMO_LAST_DAY) + pd.Timedelta(5, "D")], impact="HIGH", headline="H.",
        cause="", level="category", product_category="A", region="", store="", incident_id=[1, 2], loss=5.0,
        kind="DEMAND",
        loss_units=1.0, day=back(0),
    )  # fmt: skip
    monkeypatch.setattr(incidents, "inbox", lambda *_, **__: asked)
    with db.transaction() as connection:
        older = connection.exec_driver_sql("SELECT min(id) FROM run WHERE status = 'ready'").scalar()
    alerts = {}
    for run in (forecast.run_info(db, older), forecast.current_run(db)):
        found = review.review(db, run, today=TODAY)
        alerts[run.id] = next(kpi.value for kpi in found.kpis if kpi.name == "alerts")
    assert list(alerts.values()) == [1.0, 2.0]


def test_another_set_of_models_is_said_once(later):
    db, _ = later
    run = forecast.current_run(db)
    found = review.figures(db, run)
    before = forecast.run_info(db, run.id - 1)
    if set(before.summary["members"]) == set(run.summary["members"]):
        found = replace(found, members_before=1, members_now=5)
    told = put_together(db, found).change
    assert told.count("made it then, ") == 1
    assert ") (" not in told

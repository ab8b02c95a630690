"""Stock decisions of a run: what is read of the facts, what is written, and what pages and REST say of it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from trendcast.errors import InvalidInput, NotFound
from trendcast.forecasting.forecaster import Forecaster
from trendcast.forecasting.members import MEMBERS
from trendcast.panel import Panel
from trendcast.services import decisions, forecast, recommend, report, stock_inputs
from trendcast.services.load import load_frames
from trendcast.services.progress import silent
from trendcast.store.engine import Database

STRUCTURAL = tuple(member for member in MEMBERS if member.name == "structural")
FIRST, DAYS = pd.Timestamp("2025-01-01"), 420
LAST = (FIRST + pd.Timedelta(days=DAYS - 1)).date()
NAMES = ("Toys", "Shoes", "Books")


def sales(seed: int = 1, days: int = DAYS, names: tuple[str, ...] = NAMES) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    dates = pd.date_range(FIRST, periods=days)
    frames = []
    for c, name in enumerate(names):
        for region in ("North", "South"):
            mean = 20.0 * (c + 1) * (1 + 0.3 * (dates.day_of_week == 5))
            frames.append(
                pd.DataFrame(
                    {
                        "date_id": dates,
                        "product_category": name,
                        "region": region,
                        "sales_units": rng.poisson(mean).astype(float),
                        "unit_price": 5.0 * (c + 1),
                    }
                )
            )
    return pd.concat(frames, ignore_index=True)


def stock(until: date = LAST, names: tuple[str, ...] = NAMES, level: float = 500.0, lead: int = 9) -> pd.DataFrame:
    dates = pd.date_range(end=pd.Timestamp(until), periods=200)
    return pd.concat(
        [
            pd.DataFrame(
                {
                    "date_id": dates,
                    "product_category": name,
                    "stock_level": level,
                    "reorder_point": 300.0,
                    "lead_time_days": lead,
                    "stockout_flag": False,
                }
            )
            for name in names
        ],
        ignore_index=True,
    )


@pytest.fixture(scope="module")
def world() -> SimpleNamespace:
    out = pd.DataFrame(
        {
            "date_id": pd.date_range("2025-11-03", periods=4),
            "product_category": "Toys",
            "stockout_flag": 1,
        }
    )
    table = sales()
    gone = (table["product_category"] == "Toys") & table["date_id"].isin(out["date_id"])
    table.loc[gone, "sales_units"] = 0.0
    engine = Forecaster(Panel.from_frames(table, inventory=out), members=STRUCTURAL)
    return SimpleNamespace(engine=engine, publication=engine.publish(engine.bottom.history), out=out, sales=table)


def load(db: Database, **frames: pd.DataFrame) -> None:
    load_frames(db, frames, source="test", accept=True)


def decide(db: Database, world: SimpleNamespace) -> dict[str, Any]:
    """Category -> (advice, inputs) of the module's publication on what is loaded."""
    found = recommend.compute(db, world.engine, world.publication)
    return {one.product_category: (one, inputs) for one, inputs in zip(found.advices, found.inputs, strict=True)}


def test_without_stock_data_nothing_is_decided_and_lost_sales_are_known(db: Database, world: SimpleNamespace) -> None:
    found = recommend.compute(db, world.engine, world.publication)
    assert found.advices == []
    toys = (world.engine.bottom.series["product_category"] == "Toys").to_numpy()
    at = [int((day - FIRST).days) for day in world.out["date_id"]]
    assert found.lost[np.ix_(toys, at)].sum() == pytest.approx(2 * 4 * 21, rel=0.15)
    assert found.lost.sum() == pytest.approx(found.lost[np.ix_(toys, at)].sum())


def test_a_category_whose_stock_nobody_recorded_says_so(db: Database, world: SimpleNamespace) -> None:
    load(db, inventory_daily=stock(names=("Toys", "Shoes")))
    found = decide(db, world)
    assert found["Books"][0].status == "unknown"
    assert "Nothing is known about the stock of Books" in found["Books"][0].sentence
    assert {found[name][0].status for name in ("Toys", "Shoes")} <= {"order_now", "order_soon", "ok", "excess"}


@pytest.mark.parametrize(("age", "known"), [(0, True), (5, True), (20, False)])
def test_stock_that_ends_before_the_sales_is_carried_forward_for_two_weeks(
    db: Database, world: SimpleNamespace, age: int, known: bool
) -> None:
    counted = LAST - timedelta(days=age)
    load(db, inventory_daily=stock(until=counted))
    advice, inputs = decide(db, world)["Toys"]
    assert inputs.last_stock_day == counted
    if not known:
        assert (advice.status, inputs.on_hand) == ("unknown", None)
        assert "was last recorded on" in advice.sentence
        return
    table = world.sales
    since = table[(table["product_category"] == "Toys") & (table["date_id"] > pd.Timestamp(counted))]
    assert inputs.on_hand == pytest.approx(max(0.0, 500 - since["sales_units"].sum()))


def test_purchase_orders_tell_lead_time_lot_and_what_is_on_the_way(db: Database, world: SimpleNamespace) -> None:
    ordered = [LAST - timedelta(days=20 * n + 15) for n in range(8)]
    orders = pd.DataFrame(
        {
            "po_id": [f"A{n}" for n in range(8)] + ["open", "late", "forgotten"],
            "product_category": "Toys",
            "quantity": [240.0] * 8 + [120.0, 60.0, 999.0],
            "ordered_on": [*ordered, LAST - timedelta(days=3), LAST - timedelta(days=30), LAST - timedelta(days=200)],
            "due_on": [day + timedelta(days=12) for day in ordered]
            + [LAST + timedelta(days=5), LAST - timedelta(days=2), LAST - timedelta(days=150)],
            "received_on": [day + timedelta(days=11) for day in ordered] + [None, None, None],
            "received_quantity": [240.0] * 8 + [None, 20.0, None],
        }
    )
    load(db, inventory_daily=stock(), purchase_orders=orders)
    inputs = decide(db, world)["Toys"][1]
    assert inputs.lead_times.tolist() == [11.0] * 8
    assert inputs.lead_time_source == "orders"
    assert inputs.usual_lot == 240
    due = {int(day): float(inputs.receipts[day]) for day in np.flatnonzero(inputs.receipts)}
    assert due == {4: 120.0, 1: 40.0}, "due in five days is business day 4; what is overdue comes tomorrow, less 20"


def test_parameters_of_the_retailer_count_and_are_no_longer_assumed(db: Database, world: SimpleNamespace) -> None:
    items = pd.DataFrame(
        {
            "product_category": ["Toys"],
            "unit_cost": [2.0],
            "holding_rate": [0.2],
            "moq": [100.0],
            "order_multiple": [24.0],
            "target_service": [0.97],
        }
    )
    load(db, inventory_daily=stock(level=10.0), item_params=items)
    found = decide(db, world)
    toys, shoes = found["Toys"][0], found["Shoes"][0]
    assert toys.figures["unit_cost"] == 2.0
    assert toys.figures["margin"] == pytest.approx(3.0)
    assert toys.figures["target_service"] == 0.97
    assert toys.order_quantity >= 100
    assert toys.order_quantity % 24 == 0
    assert not any("cost" in one or "service" in one for one in toys.assumed)
    assert any("margin 35" in one for one in shoes.assumed)
    assert shoes.figures["unit_cost"] == pytest.approx(6.5)


def test_categories_are_classed_by_revenue() -> None:
    classes = stock_inputs.classes(np.array([80.0, 500.0, 30.0, 1.0]), np.array([10.0, 1.0, 4.0, 1.0]))
    assert classes == ["A", "A", "B", "C"]
    by_units = stock_inputs.classes(np.array([80.0, 500.0]), np.array([10.0, np.nan]))
    assert by_units == ["B", "A"]


def test_nothing_that_happens_later_changes_a_decision(db: Database) -> None:
    """At an origin four weeks back: later sales, stock-outs, stock and deliveries are all replaced."""
    back = DAYS - 28
    until = LAST - timedelta(days=28)
    table = sales()
    changed = table.copy()
    later = changed["date_id"] >= FIRST + pd.Timedelta(days=back)
    changed.loc[later, "sales_units"] = np.random.default_rng(9).integers(0, 900, int(later.sum()))
    changed.loc[later, "unit_price"] = 99.0
    out = pd.DataFrame(
        {"date_id": [pd.Timestamp(LAST)], "product_category": ["Toys"], "stockout_flag": [1]},
    )
    order = {
        "po_id": ["x"], "product_category": ["Toys"], "quantity": [70.0], "ordered_on": [until - timedelta(days=2)],
        "due_on": [until + timedelta(days=6)], "received_on": [None], "received_quantity": [None],
    }  # fmt: skip
    load(db, inventory_daily=stock(until=until), purchase_orders=pd.DataFrame(order))
    before = Forecaster(Panel.from_frames(table), members=STRUCTURAL)
    first = recommend.compute(db, before, before.publish(back))
    load(
        db,
        inventory_daily=stock(until=LAST, level=7.0, lead=50).query("date_id > @until"),
        purchase_orders=pd.DataFrame(
            order | {"received_on": [until + timedelta(days=1)], "received_quantity": [5000.0]}
        ),
    )
    after = Forecaster(Panel.from_frames(changed, inventory=out), members=STRUCTURAL)
    second = recommend.compute(db, after, after.publish(back))
    assert len(first.advices) == len(NAMES)
    for one, other in zip(first.advices, second.advices, strict=True):
        assert one.figures == other.figures
        assert (one.order_quantity, one.order_by, one.status) == (other.order_quantity, other.order_by, other.status)
    assert next(a for a in first.advices if a.product_category == "Toys").figures["on_order"] == 70


def test_odd_categories_break_nothing(db: Database) -> None:
    """No sales at all, a few days only, gaps, and closed for the last month; a retailer too new to have been wrong."""
    table = sales(names=(*NAMES, "Zero", "New", "Gaps", "Closed"))
    start, end = table["date_id"].min(), table["date_id"].max()
    table.loc[table["product_category"] == "Zero", "sales_units"] = 0.0
    new = (table["product_category"] == "New") & (table["date_id"] < end - pd.Timedelta(days=3))
    gaps = (table["product_category"] == "Gaps") & (table["date_id"].dt.day % 3 == 0)
    closed = (table["product_category"] == "Closed") & (table["date_id"] > end - pd.Timedelta(days=30))
    table = table[~new & ~gaps & ~closed]
    names = tuple(table["product_category"].unique())
    load(db, inventory_daily=stock(names=names, level=50.0))
    for panel in (Panel.from_frames(table), Panel.from_frames(table[table["date_id"] < start + pd.Timedelta(days=70)])):
        engine = Forecaster(panel, members=STRUCTURAL)
        found = recommend.compute(db, engine, engine.publish(panel.history))
        for one in found.advices:
            assert "nan" not in one.sentence.lower()
            assert np.isfinite(one.order_quantity)
            assert one.order_quantity >= 0
            assert all(not isinstance(v, float) or np.isfinite(v) for v in one.figures.values()), one.figures


# --- stock that is recorded in part -------------------------------------------------------------------------------


def test_without_a_flag_a_day_without_stock_is_a_stock_out(db: Database) -> None:
    """stockout_flag may be left out; a day whose stock nobody recorded is none, and a flag that is there counts."""
    dates = pd.date_range("2026-03-02", periods=5)
    levels = pd.DataFrame({"date_id": dates, "product_category": "Toys", "stock_level": [9.0, 0.0, None, 0.0, 4.0]})
    load(db, sales_daily=sales(days=5, names=("Toys",)).assign(date_id=[*dates, *dates]), inventory_daily=levels)

    def told() -> tuple[list[Any], list[Any], int, int]:
        out = [day.day for day in db.frame("panel_stockouts")["date_id"]]
        (week,) = db.rows("review_stock", last_day=dates[-1].date(), days=7, named=["Toys"], costs=[1.0], categories=[])
        flags = db.frame("analyst_daily", categories=["Toys"], regions=[])["stockout_flag"]
        return out, [None if pd.isna(one) else bool(one) for one in flags], week["stockouts"], week["days"]

    assert told() == ([3, 5], [False, True, None, True, False], 2, 4)
    load(db, inventory_daily=levels.assign(stockout_flag=[None, None, None, False, True]))
    assert told() == ([3, 6], [False, True, None, False, True], 2, 4)


def test_days_that_nobody_recorded_are_gaps_and_no_deliveries(db: Database) -> None:
    """30 a day sold, 200 delivered while nobody recorded anything: no jump of the stock is told as a delivery."""
    dates = pd.date_range("2026-03-02", periods=30)
    stock_level = 900.0 - 30.0 * np.arange(30) + 200.0 * (np.arange(30) > 11)
    table = pd.DataFrame({"date_id": dates, "product_category": "Toys", "sales_units": 30.0})
    levels = pd.DataFrame({"date_id": dates, "product_category": "Toys", "stock_level": stock_level})
    lost = dates[10:14]
    load(db, sales_daily=table[~table["date_id"].isin(lost)], inventory_daily=levels[~levels["date_id"].isin(lost)])
    run = forecast.RunInfo(
        1, "full", dates[0].date(), dates[-1].date(), 91, 1, datetime(2026, 4, 1, tzinfo=UTC), True, False, None, {}
    )
    history = recommend.stock_history(db, run, "Toys")
    assert list(history["date_id"]) == list(dates)
    assert history["stock_level"].isna().sum() == 4
    assert history["stockout"].dtype == bool
    assert history["receipts"].sum() == 0
    assert recommend.stock_history(db, run, "Books").empty


def test_what_has_ended_gets_no_tags() -> None:
    """Sales that swung widely and stopped: no volatility, uncertainty or decline of what is not expected to sell."""
    day = date(2026, 3, 2)
    run = forecast.RunInfo(1, "full", day, day + timedelta(days=419), 91, 1, datetime.now(UTC), True, False, None, {})
    swinging = np.repeat(np.tile([1.0, 90.0], 30), 7)

    def said(mean: float) -> list[str]:
        row = {"mean": mean, "q10": 0.0, "q90": 4 * mean}
        weeks = [{"week": run.last_day + timedelta(days=1 + 7 * n), **row} for n in range(12)]
        days = [{"date": run.last_day + timedelta(days=1 + n), **row} for n in range(84)]
        none = np.empty((0, 13))
        return report.tagged_sentences(run, report.Stored(days, weeks, swinging, None, none, none), 84)

    assert [one.split(":")[0] for one in said(5.0)] == ["HIGH VOLATILITY", "HIGH UNCERTAINTY"]
    assert said(0.0) == []


# --- a published run ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def run(demo_db: Database) -> forecast.RunInfo:
    return forecast.current_run(demo_db)


@pytest.fixture(scope="module")
def advice(demo_db: Database, run: forecast.RunInfo) -> pd.DataFrame:
    return recommend.advice(demo_db, run.id)


def test_every_category_has_advice_ranked_by_money(advice: pd.DataFrame) -> None:
    assert sorted(advice["product_category"]) == ["Clothing", "Electronics", "Home & Garden"]
    assert advice["rank"].tolist() == [1, 2, 3]
    worth = advice["money"].fillna(0).tolist()
    assert worth == sorted(worth, reverse=True)
    for name in ("on_hand", "reorder_point", "safety_stock", "demand_mean", "p_stockout", "target_service"):
        assert advice[name].notna().all(), name
    assert advice["last_stock_day"].dt.date.max() <= date(2026, 9, 30)


def test_advice_read_again_without_changes_is_the_same(
    demo_db: Database, run: forecast.RunInfo, advice: pd.DataFrame
) -> None:
    for row in advice.to_dict("records"):
        again = recommend.recalculate(demo_db, run, row["product_category"])
        assert again["status"] == row["status"]
        assert again["order_quantity"] == pytest.approx(row["order_quantity"])
        assert again["reorder_point"] == pytest.approx(row["reorder_point"], abs=1)
        assert again["sentence"] == row["sentence"]
        stored = recommend.projection(demo_db, run.id, row["product_category"])
        assert list(again["projection"]["week"]) == list(stored["week"])
        assert again["projection"]["q50"].to_numpy() == pytest.approx(stored["q50"].to_numpy(), rel=1e-3, abs=1)


def test_changed_parameters_change_one_category_and_store_nothing(
    demo_db: Database, run: forecast.RunInfo, advice: pd.DataFrame
) -> None:
    name = advice["product_category"].iloc[0]
    longer = recommend.recalculate(demo_db, run, name, lead_time_factor=2.0, target_service=0.99)
    assert longer["reorder_point"] > advice["reorder_point"].iloc[0]
    assert longer["parameters"]["target_service"] == 0.99
    pd.testing.assert_frame_equal(recommend.advice(demo_db, run.id), advice)
    with pytest.raises(NotFound):
        recommend.recalculate(demo_db, run, "Submarines")
    with pytest.raises(InvalidInput):
        recommend.recalculate(demo_db, run, name, target_service=2.0)


def test_stock_history_ends_on_the_last_day_and_explains_its_jumps(
    demo_db: Database, run: forecast.RunInfo, advice: pd.DataFrame
) -> None:
    history = recommend.stock_history(demo_db, run, advice["product_category"].iloc[0], days=120)
    assert history["date_id"].max().date() == run.last_day
    assert len(history) == 120
    assert (history["receipts"] > 0).any()
    risen = history["stock_level"].diff() > 0
    assert (history.loc[risen, "receipts"] > 0).all()


def test_summary_adds_up(demo_db: Database, run: forecast.RunInfo, advice: pd.DataFrame) -> None:
    found = recommend.summary(demo_db, run.id)
    assert sum(found[name] for name in ("order_now", "order_soon", "ok", "excess", "unknown")) == len(advice)
    assert found["stock_value"] == pytest.approx(advice["stock_value"].sum())
    assert 0 <= found["stockout_rate_13w"] <= 1
    urgent = advice["status"].isin(["order_now", "order_soon"])
    assert found["units_at_risk"] == pytest.approx(advice.loc[urgent, "lost_units"].sum())


def test_the_finding_names_what_is_first(demo_db: Database, run: forecast.RunInfo, advice: pd.DataFrame) -> None:
    said = recommend.finding(demo_db, run.id)
    urgent = advice[advice["status"].isin(["order_now", "order_soon"])]
    if len(urgent):
        now = urgent[urgent["status"] == "order_now"]
        assert f"start with {(now if len(now) else urgent)['product_category'].iloc[0]}" in said
    else:
        assert "No category needs an order" in said
    name = advice["product_category"].iloc[0]
    assert recommend.finding_category(demo_db, run.id, name) == advice["sentence"].iloc[0]


def test_recommendations_beside_a_forecast_are_of_the_selection_by_money(
    demo_db: Database, run: forecast.RunInfo, advice: pd.DataFrame
) -> None:
    index = forecast.series_index(demo_db, run.id)
    name = advice["product_category"].iloc[0]
    one = recommend.for_selection(demo_db, run, forecast.resolve(index, forecast.Selection("category", (name,))))
    assert {item["product_category"] for item in one} <= {name}
    made = report.forecast_report(demo_db, run, index, name)
    for item in one:
        if item["kind"] == "trend":
            assert item["sentence"] in made["business_recommendations"]
            assert item["sentence"].startswith(item["tag"] + ": ")
    everything = recommend.for_selection(demo_db, run, index[index["level"] == "total"])
    worth = [item["money"] or 0.0 for item in everything]
    assert worth == sorted(worth, reverse=True)
    urgent = advice.loc[advice["status"].isin(["order_now", "order_soon", "excess"]), "product_category"]
    assert sorted(item["product_category"] for item in everything if item["kind"] == "stock") == sorted(urgent)


def test_what_is_decided_is_no_longer_to_be_decided(
    clone_demo: Callable[[str], Database], serving: Any, run: forecast.RunInfo, advice: pd.DataFrame
) -> None:
    db = clone_demo("tc_demo_decided")
    rest = serving(db.url)
    row = advice[advice["status"].isin(recommend.ORDERS)].iloc[0]
    name = str(row["product_category"])
    index = forecast.series_index(db, run.id)

    def told() -> tuple[dict[str, Any], dict[str, Any], Any]:
        """REST's answer, the summary, and the stock in what is to be done about everything."""
        todo = recommend.for_selection(db, run, index[index["level"] == "total"])
        return (
            rest.get("/recommendations").json(),
            recommend.summary(db, run.id),
            [item["product_category"] for item in todo if item["kind"] == "stock"],
        )

    def decide(decision: str) -> None:
        decisions.decide(
            db,
            lambda: datetime.now(UTC),
            run_id=run.id,
            product_category=name,
            decision=decision,
            recommendation=row.to_dict(),
            who="anna",
        )

    def listed(body: dict[str, Any]) -> dict[str, Any]:
        return {one["product_category"]: one["decision"] for one in body["recommendations"]}

    body, summary, todo = told()
    assert name in body["finding"]
    assert name in todo
    decide("accept")
    after, less, left = told()
    assert name not in after["finding"]
    assert after["finding"] == recommend.finding(db, run.id)
    assert name not in left
    assert listed(after) == {**listed(body), name: "accept"}
    assert (less[row["status"]], less["decided"]) == (summary[row["status"]] - 1, 1)
    assert less["units_at_risk"] == pytest.approx(summary["units_at_risk"] - row["lost_units"])
    assert listed(rest.get("/recommendations?decided=true").json()) == {name: "accept"}
    assert name not in listed(rest.get("/recommendations?decided=false").json())
    report_now = rest.post("/forecast", json={"product_category": name}).json()["forecast"]
    assert row["sentence"] not in report_now["business_recommendations"]
    assert recommend.finding_category(db, run.id, name) == row["sentence"], "its card still says what it was"
    decide("defer")  # taken back
    again, summary_again, todo_again = told()
    assert (again["finding"], summary_again, todo_again) == (body["finding"], summary, todo)


def test_the_report_carries_the_sentence_of_the_stock(
    rest: Any, demo_db: Database, run: forecast.RunInfo, advice: pd.DataFrame
) -> None:
    row = advice.iloc[0]
    for body in ({}, {"region": "North"}):
        answer = rest.post("/forecast", json={"product_category": row["product_category"], **body}).json()
        assert answer["forecast"]["business_recommendations"][-1] == row["sentence"]


def test_rest_lists_what_the_page_shows(rest: Any, demo_db: Database, advice: pd.DataFrame) -> None:
    body = rest.get("/recommendations").json()
    assert body["success"] is True
    assert body["total"] == len(advice) == len(body["recommendations"])
    assert body["finding"] == recommend.finding(demo_db, body["run"]["id"])
    for row, (_, stored) in zip(body["recommendations"], advice.iterrows(), strict=True):
        assert row.pop("decision") is None
        for name, value in row.items():
            expected = stored[name]
            if name in ("order_by", "last_stock_day"):
                expected = None if pd.isna(expected) else expected.date().isoformat()
            elif not isinstance(expected, list) and pd.isna(expected):
                expected = None
            assert value == expected, name


def test_rest_filters_pages_and_names_what_it_does_not_know(rest: Any, advice: pd.DataFrame) -> None:
    name, status = advice["product_category"].iloc[1], advice["status"].iloc[1]
    one = rest.get(f"/recommendations?category={name.replace('&', '%26')}").json()
    assert [row["product_category"] for row in one["recommendations"]] == [name]
    some = rest.get(f"/recommendations?status={status}").json()
    assert {row["status"] for row in some["recommendations"]} == {status}
    paged = rest.get("/recommendations?offset=1&limit=1").json()
    assert (paged["total"], [row["rank"] for row in paged["recommendations"]]) == (3, [2])
    unknown = rest.get("/recommendations?category=Electronix")
    assert unknown.status_code == 404
    assert "Electronics" in unknown.json()["error"]
    assert rest.get("/recommendations?status=perhaps").status_code == 422
    assert rest.get("/recommendations?offset=99").json()["recommendations"] == []


def test_lost_sales_of_a_run_add_up_over_regions(demo_db: Database, run: forecast.RunInfo) -> None:
    index = forecast.series_index(demo_db, run.id)
    whole = forecast.history_daily(demo_db, run, index.loc[index["level"] == "total", "series_id"].tolist())
    parts = forecast.history_daily(demo_db, run, index.loc[index["level"] == "category_region", "series_id"].tolist())
    assert whole["lost"].sum() > 0
    assert whole["lost"].to_numpy() == pytest.approx(parts["lost"].to_numpy(), rel=1e-4, abs=1e-3)
    assert whole["lost_revenue"].to_numpy() == pytest.approx(parts["lost_revenue"].to_numpy(), rel=1e-4, abs=1e-2)
    assert (whole.loc[~whole["stockout"] & ~parts["stockout"], "lost"] == 0).all()


def test_a_retailer_without_stock_is_told_what_to_load(db: Database, serving: Any) -> None:
    from trendcast.services import jobs as job_service
    from trendcast.services.refresh import refresh
    from trendcast.store import jobs

    load(db, sales_daily=sales(days=200))
    claim = jobs.claim(db, slot_id=job_service.enqueue(db, "refresh"))
    assert claim is not None
    done = refresh(db, lambda: datetime.now(UTC), silent, claim.token, members=("structural",))
    assert done["failures"] == {}
    run = forecast.current_run(db)
    assert recommend.advice(db, run.id).empty
    assert recommend.projection(db, run.id, "Toys").empty
    assert "load inventory_daily" in recommend.finding(db, run.id)
    assert recommend.finding_category(db, run.id, "Toys") == recommend.finding(db, run.id)
    found = recommend.summary(db, run.id)
    assert (found["order_now"], found["unknown"], found["stockout_rate_13w"]) == (0, 0, None)
    index = forecast.series_index(db, run.id)
    assert all(
        item["kind"] == "trend" for item in recommend.for_selection(db, run, index[index["level"] == "category"])
    )
    history = forecast.history_daily(db, run, index.loc[index["level"] == "total", "series_id"].tolist())
    assert history["lost"].sum() == 0
    with pytest.raises(NotFound):
        recommend.recalculate(db, run, "Toys")
    body = serving(db.url).get("/recommendations").json()
    assert (body["total"], body["recommendations"]) == (0, [])
    assert body["finding"] == recommend.finding(db, run.id)

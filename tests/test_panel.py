"""The panel holds what the tables say, and the hierarchy's nodes are sums of it."""

from __future__ import annotations

import time

import numpy as np
import pandas as pd
import pytest

from trendcast.errors import InvalidInput
from trendcast.panel import Hierarchy, Panel

SERIES = [("tea", "N", "n1"), ("tea", "N", "n2"), ("tea", "S", "s1"), ("mugs", "N", "n1"), ("mugs", "S", "s1")]


def rows(days: int = 100, start: str = "2024-01-01", series: list[tuple[str, str, str]] | None = None) -> pd.DataFrame:
    rng = np.random.default_rng(8)
    dates = pd.date_range(start, periods=days)
    parts = [
        pd.DataFrame({"date_id": dates, "product_category": c, "region": r, "store": s,
                      "sales_units": rng.integers(20, 60, days).astype(float),
                      "promotion_flag": rng.random(days) < 0.3, "unit_price": rng.uniform(2, 3, days)})
        for c, r, s in (SERIES if series is None else series)
    ]  # fmt: skip
    return pd.concat(parts, ignore_index=True).sample(frac=1, random_state=1)


def test_every_row_lands_on_its_series_and_day() -> None:
    facts = rows()
    panel = Panel.from_frames(facts, ahead=10)
    assert (str(panel.first_day), panel.history, panel.days, panel.ahead) == ("2024-01-01", 100, 110, 10)
    assert str(panel.last_day) == "2024-04-09"
    assert str(panel.dates[59]) == "2024-02-29"
    index = {tuple(key): i for i, key in enumerate(panel.series[["product_category", "region", "store"]].to_numpy())}
    assert list(index) == sorted(SERIES)
    slow = np.full((5, 110), np.nan)
    for row in facts.itertuples():
        day = (row.date_id - pd.Timestamp("2024-01-01")).days
        slow[index[row.product_category, row.region, row.store], day] = row.sales_units
    np.testing.assert_array_equal(panel.units, slow)
    assert np.isnan(panel.promotion[:, 100:]).all()
    assert (panel.open == 1).all()
    assert not panel.stockout.any()


@pytest.mark.parametrize("dates", ["datetime64[us]", "datetime64[ns]", "str", "object"])
def test_dates_and_flags_may_come_in_any_type(dates: str) -> None:
    facts = rows(30)
    want = Panel.from_frames(facts)
    other = facts.copy()
    other["date_id"] = facts["date_id"].dt.strftime("%Y-%m-%d") if dates == "str" else facts["date_id"].astype(dates)
    other["promotion_flag"] = facts["promotion_flag"].astype("boolean" if dates == "object" else "int64")
    for column in ("product_category", "region", "store"):
        other[column] = other[column].astype("category")
    got = Panel.from_frames(other)
    np.testing.assert_array_equal(got.units, want.units)
    np.testing.assert_array_equal(got.promotion, want.promotion)
    pd.testing.assert_frame_equal(got.series, want.series)


def test_only_date_category_and_units_are_needed() -> None:
    panel = Panel.from_frames(rows(series=[("tea", "", "")])[["date_id", "product_category", "sales_units"]], ahead=3)
    assert panel.series.to_numpy().tolist() == [["category", "tea", "", ""]]
    assert np.isnan(panel.promotion).all()
    assert np.isnan(panel.price).all()


def test_one_day_is_a_panel() -> None:
    panel = Panel.from_frames(rows(1), ahead=7)
    nodes = Hierarchy.of(panel.series).panel(panel)
    assert panel.units.shape == (5, 8)
    assert nodes.units[0, 0] == panel.units[:, 0].sum()
    assert (panel.open == 1).all()


@pytest.mark.parametrize(
    ("bad", "sentence"),
    [
        (lambda f: f.iloc[:0], "no sales"),
        (lambda f: pd.concat([f, f.iloc[[3]]]), "more than one row"),
        (lambda f: f.assign(sales_units=-1.0), "at least zero"),
        (lambda f: f.assign(sales_units=np.inf), "at least zero"),
        (lambda f: f.assign(sales_units=np.nan), "at least zero"),
    ],
)
def test_what_cannot_be_a_panel_is_refused_in_a_sentence(bad: object, sentence: str) -> None:
    with pytest.raises(InvalidInput, match=sentence):
        Panel.from_frames(bad(rows(20)))  # type: ignore[operator]


def test_a_day_still_arriving_is_not_history() -> None:
    facts = rows(60)
    last = facts["date_id"].max()
    partial = facts[(facts["date_id"] < last) | (facts["store"] == "n2")]
    assert Panel.from_frames(partial).history == 59
    most = facts[(facts["date_id"] < last) | (facts["product_category"] == "tea")]
    assert Panel.from_frames(most).history == 60, "three of five series are a day"
    shrunk = facts[(facts["date_id"] < "2024-02-10") | (facts["store"] == "n2")]
    assert Panel.from_frames(shrunk).history == 60, "three weeks of it are a smaller retailer"


def test_a_quiet_sunday_is_a_full_day_where_sundays_are_quiet() -> None:
    facts = rows(63)
    assert facts["date_id"].max().day_of_week == 6
    sundays = facts["date_id"].dt.day_of_week == 6
    assert Panel.from_frames(facts[~sundays | (facts["store"] == "n2")]).history == 63


def test_what_rows_after_the_history_say_is_plan_and_not_truth() -> None:
    facts = rows(60)
    panel = Panel.from_frames(facts, last_day="2024-02-09", ahead=30)
    assert panel.history == 40
    assert np.isnan(panel.units[:, 40:]).all()
    assert not np.isnan(panel.promotion[:, 40:60]).any()
    assert np.isnan(panel.promotion[:, 60:]).all()


def test_a_plan_outranks_everything_ahead_and_fills_only_gaps_before() -> None:
    facts = rows(30, series=[("tea", "N", "n1")]).sort_values("date_id")
    facts["promotion_flag"] = pd.array([True] * 29 + [pd.NA], dtype="boolean")
    dates = pd.date_range("2024-01-01", periods=40)
    plan = pd.DataFrame({"date_id": dates, "product_category": "tea", "region": "N", "store": "n1",
                         "promotion_flag": False, "open_flag": np.arange(40) != 35, "unit_price": 9.0})  # fmt: skip
    panel = Panel.from_frames(facts, plan=plan, ahead=20)
    assert panel.promotion[0, :29].tolist() == [1.0] * 29
    assert panel.promotion[0, 29:40].tolist() == [0.0] * 11
    assert np.isnan(panel.promotion[0, 40:]).all()
    assert panel.open[0, 30:].tolist() == [1.0] * 5 + [0.0] + [1.0] * 14
    assert (panel.price[0, 30:40] == 9).all()
    assert (panel.price[0, :30] < 3).all()
    stranger = plan.assign(store="nowhere")
    assert np.isnan(Panel.from_frames(facts, plan=stranger, ahead=20).promotion[0, 30:]).all()


def test_a_stock_out_of_a_category_marks_all_its_series_in_the_past() -> None:
    stock = pd.DataFrame({"date_id": pd.to_datetime(["2024-01-03", "2024-01-04", "2024-06-01"]),
                          "product_category": "mugs", "stockout_flag": [True, False, True]})  # fmt: skip
    panel = Panel.from_frames(rows(), inventory=stock)
    mugs = (panel.series["product_category"] == "mugs").to_numpy()
    assert panel.stockout[mugs].sum(axis=1).tolist() == [1, 1]
    assert panel.stockout[mugs][:, 2].all()
    assert not panel.stockout[~mugs].any()


def test_the_price_is_listed_or_earned() -> None:
    facts = rows(10).assign(unit_price=np.nan)
    facts["sales_revenue"] = facts["sales_units"] * 4
    assert Panel.from_frames(facts).price[:, :10] == pytest.approx(4)


def test_a_cut_panel_is_the_panel_of_the_rows_known_then() -> None:
    facts = rows(200)
    facts.loc[(facts["store"] == "n2") & (facts["date_id"] < "2024-03-01"), "sales_units"] = 0
    then = Panel.from_frames(facts[facts["date_id"] < "2024-05-10"], ahead=40)
    now = Panel.from_frames(facts, ahead=40).as_of(then.history)
    for name in ("units", "open", "stockout"):
        np.testing.assert_array_equal(getattr(now, name), getattr(then, name), err_msg=name)
    assert np.isnan(now.price[:, then.history :]).all()
    np.testing.assert_array_equal(now.promotion[:, : then.history], then.promotion[:, : then.history])
    assert now.dates.tolist() == then.dates.tolist()


def test_a_cut_needs_at_least_a_day_and_no_more_than_there_are() -> None:
    panel = Panel.from_frames(rows(20))
    for history in (0, 21):
        with pytest.raises(InvalidInput):
            panel.as_of(history)
    assert panel.as_of(20) is panel


def test_rows_of_a_panel_are_picked_by_mask_position_or_slice() -> None:
    panel = Panel.from_frames(rows(20))
    for selector in (np.array([False, True, False, True, False]), [1, 3], slice(1, 4, 2)):
        part = panel.rows(selector)
        np.testing.assert_array_equal(part.units, panel.units[[1, 3]])
        assert part.series["store"].tolist() == panel.series["store"].iloc[[1, 3]].tolist()


def test_nodes_are_every_distinct_sum_and_the_bottom_comes_last() -> None:
    panel = Panel.from_frames(rows())
    hierarchy = Hierarchy.of(panel.series)
    assert hierarchy.nodes["level"].value_counts().to_dict() == {
        "total": 1, "region": 2, "store": 3, "category": 2, "category_region": 4, "category_store": 5,
    }  # fmt: skip
    assert hierarchy.aggregates == 12
    assert hierarchy.aliases == {}
    np.testing.assert_array_equal(hierarchy.summing[12:].toarray(), np.eye(5))
    nodes = hierarchy.panel(panel)
    facts = rows()
    for i, node in hierarchy.nodes.iterrows():
        part = facts
        for column in ("product_category", "region", "store"):
            if node[column]:
                part = part[part[column] == node[column]]
        want = part.groupby("date_id")["sales_units"].sum().to_numpy()
        np.testing.assert_allclose(nodes.units[i, :100], want)
    stores = hierarchy.nodes[hierarchy.nodes["level"] == "store"]
    assert stores[["region", "store"]].to_numpy().tolist() == [["N", "n1"], ["N", "n2"], ["S", "s1"]]


def test_identical_levels_are_computed_once_and_named_twice() -> None:
    panel = Panel.from_frames(rows(series=[("tea", "N", "n1"), ("tea", "N", "n2"), ("mugs", "S", "s1")]))
    hierarchy = Hierarchy.of(panel.series)
    assert hierarchy.aliases["store"] == "category_store"
    assert hierarchy.aliases["category_region"] in ("region", "category")
    named = hierarchy.named()
    assert named["level"].value_counts().to_dict() == {
        "total": 1, "region": 2, "store": 3, "category": 2, "category_region": 2, "category_store": 3,
    }  # fmt: skip
    nodes = hierarchy.panel(panel)
    facts = rows(series=[("tea", "N", "n1"), ("tea", "N", "n2"), ("mugs", "S", "s1")])
    for row in named.itertuples():
        part = facts
        for column in ("product_category", "region", "store"):
            if getattr(row, column):
                part = part[part[column] == getattr(row, column)]
        assert np.nansum(nodes.units[row.node]) == part["sales_units"].sum()
    assert named.loc[named["level"] == "store", "product_category"].tolist() == ["", "", ""]
    assert named.loc[named["level"] == "store", "region"].tolist() == ["N", "N", "S"]


def test_a_single_series_is_its_own_total() -> None:
    panel = Panel.from_frames(rows(series=[("tea", "", "")]))
    hierarchy = Hierarchy.of(panel.series)
    assert (len(hierarchy.nodes), hierarchy.aggregates) == (1, 0)
    assert hierarchy.named()["level"].tolist() == ["total", "category"]
    assert hierarchy.panel(panel).units.shape == panel.units.shape


def test_the_same_store_name_in_two_regions_is_two_stores() -> None:
    panel = Panel.from_frames(rows(series=[("tea", "N", "1"), ("tea", "S", "1"), ("mugs", "N", "1")]))
    stores = Hierarchy.of(panel.series).named().query("level == 'store'")
    assert stores["region"].tolist() == ["N", "S"]


def test_units_per_open_capacity_stay_put_while_stores_open_and_rest() -> None:
    """Three stores of 30, 20 and 10 units; the second opens late, the third is rebuilt for a month without rows."""
    dates = pd.date_range("2023-01-01", periods=300)
    parts = []
    for store, size, keep in (
        ("a", 30.0, slice(None)), ("b", 20.0, slice(120, None)), ("c", 10.0, np.r_[0:200, 230:300]),
    ):  # fmt: skip
        parts.append(
            pd.DataFrame({"date_id": dates[keep], "product_category": "tea", "store": store, "sales_units": size})
        )
    panel = Panel.from_frames(pd.concat(parts), ahead=14)
    nodes = Hierarchy.of(panel.series).panel(panel)
    total = nodes.units[0, :300] / nodes.open[0, :300]
    assert total == pytest.approx(60, rel=1e-5)
    assert nodes.open[0, [0, 150, 210, 299]] == pytest.approx([40 / 60, 1, 50 / 60, 1])
    assert nodes.open[0, 300:] == pytest.approx(1)


def test_promotion_of_a_node_is_the_share_of_its_open_capacity() -> None:
    facts = rows(50, series=[("tea", "N", "a"), ("tea", "N", "b")])
    facts["sales_units"] = np.where(facts["store"] == "a", 30.0, 10.0)
    facts["promotion_flag"] = facts["store"] == "a"
    panel = Panel.from_frames(facts, ahead=5)
    nodes = Hierarchy.of(panel.series).panel(panel)
    assert nodes.promotion[0, :50] == pytest.approx(0.75)
    assert np.isnan(nodes.promotion[0, 50:]).all()


def test_cutting_nodes_is_cutting_what_they_are_made_of() -> None:
    facts = rows(300)
    facts.loc[(facts["store"] == "n1") & (facts["date_id"] > "2024-08-01"), "sales_units"] = 900.0
    panel = Panel.from_frames(facts)
    hierarchy = Hierarchy.of(panel.series)
    early, late = hierarchy.panel(panel.as_of(150)), hierarchy.panel(panel).as_of(150)
    for name in ("units", "open", "promotion", "price", "stockout"):
        np.testing.assert_array_equal(getattr(early, name), getattr(late, name), err_msg=name)
    part = hierarchy.panel(panel).rows([0, 4]).as_of(150)
    np.testing.assert_array_equal(part.promotion, early.promotion[[0, 4]])


def test_hostile_names_stay_as_they_are() -> None:
    names = ["=cmd|' /C calc'!A0", "100 %", "a'b\"c", "<img src=x>", "\u202eabc", "🍵", "NULL", "nan"]
    panel = Panel.from_frames(rows(10, series=[(name, "", "") for name in names]))
    assert sorted(panel.series["product_category"]) == sorted(names)


def test_a_million_rows_are_a_panel_in_under_three_seconds() -> None:
    days, count = 942, 1115
    dates = np.tile(pd.date_range("2013-01-01", periods=days).to_numpy(), count)
    store = np.repeat(np.array([f"S{i:04d}" for i in range(count)], object), days)
    facts = pd.DataFrame({"date_id": dates, "product_category": "c", "region": "r", "store": store, "sales_units": 3.0})
    facts["open_flag"] = facts["promotion_flag"] = True
    began = time.process_time()
    panel = Panel.from_frames(facts)
    assert panel.units.shape == (1115, 1040)
    assert time.process_time() - began < 3

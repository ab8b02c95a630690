"""The made-up retailer: the same arguments give the same bytes, one day more changes nothing before it, its books
balance, and every effect it claims can be found again in its truth."""

from __future__ import annotations

import hashlib
import io
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pandas as pd
import pytest

from trendcast.demo import AHEAD, Demo, almanac, generate, story
from trendcast.demo.demand import MENTIONS_LEAD
from trendcast.services.load import load_frames
from trendcast.store.engine import Database

END = date(2026, 6, 30)


@pytest.fixture(scope="module")
def whole() -> Demo:
    """The default retailer."""
    return Demo(end=END)


@pytest.fixture(scope="module")
def frames(whole: Demo) -> dict[str, pd.DataFrame]:
    return whole.frames()


def digest(frames: dict[str, pd.DataFrame]) -> str:
    found = hashlib.sha256()
    for name, frame in frames.items():
        text = io.BytesIO()
        frame.to_csv(text, index=False)
        found.update(name.encode() + text.getvalue())
    return found.hexdigest()


# --- the same again ---------------------------------------------------------------------------------------------------


def test_equal_arguments_give_equal_bytes() -> None:
    once = digest(generate(9, 3, 0, 2, END, seed=7))
    assert digest(generate(9, 3, 0, 2, END, seed=7)) == once
    assert digest(generate(9, 3, 0, 2, END, seed=8)) != once
    pd.testing.assert_frame_equal(Demo(3, 2, 0, 1, END).truth(), Demo(3, 2, 0, 1, END).truth())
    pd.testing.assert_frame_equal(Demo(3, 2, 0, 1, END).anomalies(), Demo(3, 2, 0, 1, END).anomalies())


@pytest.mark.parametrize("more", [1, 40])
def test_more_days_change_nothing_that_was_before_them(more: int) -> None:
    short = Demo(14, 2, 2, 1, END)
    long = Demo(14, 2, 2, 1, END + timedelta(days=more), first=short.first_day)
    assert digest(long.frames(until=END)) == digest(short.frames())
    before = long.truth()
    pd.testing.assert_frame_equal(before[before["date_id"] <= pd.Timestamp(END)].reset_index(drop=True), short.truth())
    known = long.anomalies()
    pd.testing.assert_frame_equal(known[known["first_day"] <= pd.Timestamp(END)], short.anomalies())


def test_day_by_day_it_is_the_same_retailer() -> None:
    """What each day adds, put together, is what there is at the end."""
    start, whole = END - timedelta(days=20), Demo(4, 2, 0, 1, END)
    parts = [whole.frames(until=start)]
    parts += [whole.frames(start + timedelta(days=n), start + timedelta(days=n + 1)) for n in range(20)]
    for name, frame in whole.frames().items():
        keys = {"purchase_orders": ["po_id"], "item_params": ["product_category"], "stores": ["store"]}
        key = keys.get(name) or [k for k in frame if k in ("date_id", "product_category", "region", "store", "event")]
        added = pd.concat([part[name] for part in parts])
        if name == "plan_daily":  # days that are over stay in the plan
            added = added[added["date_id"] > pd.Timestamp(END)]
        newest = added.drop_duplicates(key, keep="last").astype(dict.fromkeys(key, "str")).sort_values(key)
        expected = frame.astype(dict.fromkeys(key, "str")).sort_values(key)
        assert digest({name: newest}) == digest({name: expected}), name


# --- its shape --------------------------------------------------------------------------------------------------------


def test_names_and_reach(frames: dict[str, pd.DataFrame]) -> None:
    sales, plan, events = frames["sales_daily"], frames["plan_daily"], frames["events"]
    assert list(sales["product_category"].unique()[:3]) == ["Electronics", "Clothing", "Home & Garden"]
    assert list(sales["region"].unique()) == ["North", "South", "East", "West"]
    assert (sales["date_id"].min(), sales["date_id"].max()) == (pd.Timestamp(2023, 7, 2), pd.Timestamp(END))
    assert plan["date_id"].min() == pd.Timestamp(END) + pd.Timedelta(days=1)
    assert plan["date_id"].nunique() == AHEAD
    assert events["date_id"].max() > pd.Timestamp(END) + pd.Timedelta(days=365)
    assert events[events["event"] == "Thanksgiving"]["date_id"].dt.day.nunique() > 1, "it moves"


def test_stores_belong_to_one_region() -> None:
    made = generate(2, 3, 4, 1, END)
    sales = made["sales_daily"]
    assert sales["store"].nunique() == 12
    assert (sales.groupby("store", observed=True)["region"].nunique() == 1).all()
    places = made["stores"].set_index("store")["region"]
    assert places.to_dict() == sales.groupby("store", observed=True)["region"].first().astype("str").to_dict()


def test_it_loads_without_a_refused_row(db: Database) -> None:
    made = generate(10, 2, 2, 1, END)
    summary = load_frames(
        db, {n: f for n, f in made.items() if len(f)}, source="demo", clock=lambda: datetime(2026, 7, 1, tzinfo=UTC)
    )
    assert {(table.table, table.refused, table.repeated) for table in summary.tables} == {(t, 0, 0) for t in made}
    assert {table.table: table.new for table in summary.tables} == {name: len(frame) for name, frame in made.items()}


def test_most_series_are_as_noisy_as_a_shop_is(whole: Demo) -> None:
    """Half as much again must stand out in a category: weekly totals are plausible and daily noise is moderate."""
    retailer, past = whole.retailer, slice(0, whole.retailer.history)
    wanted, expected = retailer.by_category(retailer.demand[:, past]), retailer.by_category(retailer.expected[:, past])
    spread = [np.log(wanted[c, sold] / expected[c, sold]).std() for c, sold in enumerate((expected > 1) & (wanted > 0))]
    assert 0.05 < np.median(spread) < 0.15
    assert max(spread) < 0.15
    weeks = expected[:, -7 * 52 :].reshape(len(expected), 52, 7).sum(axis=2)
    assert 100 < np.median(weeks) < 50_000


# --- its books --------------------------------------------------------------------------------------------------------


def test_stock_is_neither_made_nor_lost(whole: Demo) -> None:
    stock, units = whole.stock, whole.retailer.by_category(whole.units)
    begins = [whole.retailer.begins[whole.retailer.category == c].min() for c in range(24)]
    np.testing.assert_array_equal(units, stock.sold)
    for c, begin in enumerate(begins):
        level, moved = stock.level[c, begin:], (stock.received - stock.sold)[c, begin:]
        np.testing.assert_array_equal(level[1:], level[:-1] + moved[1:])
    assert (stock.level >= 0).all()
    assert (stock.level[stock.stockout] == 0).all()


def test_the_tables_balance_where_the_feed_is_right(whole: Demo, frames: dict[str, pd.DataFrame]) -> None:
    """stock today = stock yesterday + receipts of the orders table - sales, on every day whose feed is not labelled."""
    sales, stock, orders = frames["sales_daily"], frames["inventory_daily"], frames["purchase_orders"]
    sold = sales.groupby(["product_category", "date_id"], observed=True)["sales_units"].sum()
    came = orders.dropna(subset="received_on").groupby(["product_category", "received_on"], observed=True)
    came = came["received_quantity"].sum()
    wrong = whole.anomalies()
    wrong = set(wrong[wrong["kind"].isin([story.MISSING, story.DOUBLED])]["first_day"])
    for category, part in stock.groupby("product_category", observed=True):
        level = part.set_index("date_id")["stock_level"]
        change = level.diff().iloc[1:]
        moved = came[category].reindex(change.index, fill_value=0) - sold[category].reindex(change.index, fill_value=0)
        off = change[(change - moved).abs() > 1e-9].index
        assert set(off) <= wrong, category


def test_what_was_not_there_was_not_sold(whole: Demo, frames: dict[str, pd.DataFrame]) -> None:
    hidden, stock = whole.truth(), frames["inventory_daily"]
    assert (hidden["lost_units"] >= 0).all()
    out = stock[stock["stockout_flag"]][["product_category", "date_id"]]
    lost = hidden[hidden["lost_units"] > 0][["product_category", "date_id"]].drop_duplicates()
    assert len(lost) == len(lost.merge(out)) == len(out)
    assert 0.01 < len(out) / len(stock) < 0.05, "what 1.5 times the lead time's demand brings about"


def test_orders_follow_the_old_rule_and_come_when_they_come(whole: Demo, frames: dict[str, pd.DataFrame]) -> None:
    orders = frames["purchase_orders"]
    took = (orders["received_on"] - orders["ordered_on"]).dt.days.dropna()
    promised = (orders["due_on"] - orders["ordered_on"]).dt.days.loc[took.index]
    assert (took >= 1).all()
    assert took.nunique() > 8
    assert 0.2 < (took > promised).mean() < 0.8
    assert orders["received_on"].isna().any(), "some are still on their way"
    assert ((orders["received_quantity"] < orders["quantity"]).mean() > 0.01).all()
    factor = np.log(frames["inventory_daily"].groupby("product_category", observed=True)["reorder_point"].mean())
    assert factor.notna().all()
    # The rule: 1.5 x lead time x recent sales, off by a factor per category with a spread of 15 %.
    stock, off = whole.stock, []
    for c in range(8):  # sold throughout
        for t in range(200, whole.retailer.history, 7):
            t -= t % 7
            lately = stock.sold[c, t - 56 : t].sum() / 56
            off.append((c, np.log(stock.reorder_point[c, t] / (1.5 * lately * stock.promised[c, t]))))
    table = pd.DataFrame(off, columns=["c", "off"]).groupby("c")["off"]
    assert (table.std() < 0.01).all(), "fixed before any policy of ours exists"
    assert 0.05 < table.mean().std() < 0.3


# --- every effect can be found again ----------------------------------------------------------------------------------


def test_promotions_lift_and_are_followed_by_a_dip(whole: Demo, frames: dict[str, pd.DataFrame]) -> None:
    hidden, retailer = whole.truth(), whole.retailer
    promoted = hidden.merge(frames["sales_daily"], on=["date_id", "product_category", "region", "store"])
    on = promoted["promotion_flag"].to_numpy()
    assert (promoted["promotion_lift"][on] > 1.05).all()
    assert (promoted["promotion_lift"][~on] == 1).all()
    assert 0.05 < on.mean() < 0.25
    # Without the promotion's factor, the week after lies below what it is on other Mondays.
    base = np.log(np.maximum(retailer.expected / retailer.lift, 1e-9))[:, : retailer.history]
    weekday = (retailer.days[: retailer.history].astype(int) + 3) % 7
    after = np.zeros_like(base, dtype=bool)
    after[:, 7:] = retailer.promotion[:, : retailer.history - 7] & ~retailer.promotion[:, 7 : retailer.history]
    alive = (retailer.begins == 0) & (retailer.ends > retailer.history)
    two_weeks = np.zeros_like(base)
    two_weeks[:, 14:] = base[:, 14:] - base[:, :-14]
    monday = alive[:, None] & (weekday == 0)
    assert np.median(two_weeks[monday & after]) < np.median(two_weeks[monday & ~after]) - 0.04


def test_a_promotions_force_drifts(whole: Demo) -> None:
    retailer = whole.retailer
    force = []
    for c in range(24):
        row = np.flatnonzero(retailer.category == c)[0]
        days = np.flatnonzero(retailer.promotion[row, : retailer.history])
        same = np.round(np.log(retailer.lift[row, days]), 4)
        force.append(len(np.unique(same)) / 7)
    assert np.mean(force) > 4, "no two weeks of the same promotion are equal"


def test_dear_quarters_sell_less(whole: Demo) -> None:
    """Where a new price list begins, the fortnight after it against the one before: the elasticity by regression."""
    retailer = whole.retailer
    rows = np.flatnonzero((retailer.begins == 0) & (retailer.ends > 10_000))
    starts = np.arange(91, retailer.length - 14, 91)
    usual = np.where(
        retailer.open & (retailer.expected[rows] > 0), retailer.expected[rows] / retailer.lift[rows], np.nan
    )
    paid = np.where(retailer.promotion[rows], np.nan, retailer.price[rows])

    def step(values: np.ndarray) -> np.ndarray:
        """Change of the logarithm at each start, one column per start, without what all series share."""
        log = np.log(values)
        found = np.stack([np.nanmedian(log[:, t : t + 14], 1) - np.nanmedian(log[:, t - 14 : t], 1) for t in starts], 1)
        return found - np.nanmedian(found, axis=0)

    price, sold = step(paid), step(usual)
    known = np.isfinite(price) & np.isfinite(sold)
    elasticity = (price[known] * sold[known]).sum() / (price[known] ** 2).sum()
    assert -2.2 < elasticity < -0.3


def test_mentions_run_ahead_of_demand(whole: Demo) -> None:
    retailer = whole.retailer
    electronics = retailer.category == 0
    log = np.log(retailer.expected[electronics, : retailer.history].sum(axis=0) + 1)
    slow = pd.Series(log).rolling(28, center=True, min_periods=7).median().to_numpy()
    talk = np.log(retailer.mentions[: retailer.history])
    fit = {lag: np.corrcoef((log - slow)[30:-30], talk[30 - lag : len(talk) - 30 - lag])[0, 1] for lag in range(-2, 12)}
    assert max(fit, key=lambda lag: fit[lag]) in range(MENTIONS_LEAD - 1, MENTIONS_LEAD + 2)
    assert fit[MENTIONS_LEAD] > 0.1


def test_weeks_years_holidays_and_closed_days_show(frames: dict[str, pd.DataFrame]) -> None:
    sales = frames["sales_daily"]
    by_weekday = sales.groupby(sales["date_id"].dt.day_of_week)["sales_units"].mean()
    assert by_weekday[5] > 1.15 * by_weekday[1]
    christmas = (sales["date_id"].dt.month == 12) & (sales["date_id"].dt.day == 25)
    assert (sales["sales_units"][christmas] == 0).all()
    assert not sales["open_flag"][christmas].any()
    electronics = sales[sales["product_category"] == "Electronics"]
    by_month = electronics.groupby(electronics["date_id"].dt.month)["sales_units"].mean()
    assert by_month[12] > 1.3 * by_month[6]
    black = almanac.marks(sales["date_id"].to_numpy("datetime64[D]"), "Black Friday")
    fridays = (sales["date_id"].dt.day_of_week == 4) & ~black
    assert sales["sales_units"][black].mean() > 1.5 * sales["sales_units"][fridays].mean()


def test_weather_moves_demand_and_is_a_regions_own(whole: Demo, frames: dict[str, pd.DataFrame]) -> None:
    sales = frames["sales_daily"]
    kinds = sales.groupby(["region", "date_id"], observed=True)["weather_condition"].agg(["nunique", "first"])
    assert (kinds["nunique"] == 1).all()
    assert set(kinds["first"]) == {"Clear", "Cloudy", "Rain", "Snow"}
    table = kinds["first"].unstack(0)
    assert (table["North"] != table["West"]).any()
    months = table.index.month
    assert not (table[(months > 5) & (months < 9)] == "Snow").to_numpy().any()


def test_shocks_are_shared(whole: Demo) -> None:
    retailer = whole.retailer
    alive = (retailer.begins == 0) & (retailer.ends > 10_000)
    rest = np.log((retailer.demand[alive] + 0.5) / (retailer.expected[alive] + 0.5))[:, : retailer.history]
    national = rest.mean(axis=0)
    alone = rest.std() / np.sqrt(alive.sum())
    assert national.std() > 1.3 * alone, "independent series would average out"
    scaled = rest / rest.std(axis=1, keepdims=True)
    assert (scaled**4).mean() > 3.5, "heavy tails"


def test_categories_come_and_go(frames: dict[str, pd.DataFrame]) -> None:
    sales = frames["sales_daily"]
    days = sales.groupby(["product_category", "region"], observed=True)["date_id"].agg(["min", "max"])
    launched, gone = days["min"] > days["min"].min(), days["max"] < pd.Timestamp(END)
    assert 2 <= launched.groupby(level=0, observed=True).any().sum() <= 6
    assert gone.groupby(level=0, observed=True).any().sum() >= 2
    assert gone.groupby(level=0, observed=True).all().sum() == 1, "one category was given up"
    assert (days.loc[["Electronics", "Clothing", "Home & Garden"]] == [days["min"].min(), pd.Timestamp(END)]).all(
        axis=None
    )


# --- what goes wrong, and its labels ----------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(1, 1), (3, 2), (24, 4)])
def test_the_last_thirteen_weeks_have_every_kind_of_trouble(size: tuple[int, int]) -> None:
    labels = Demo(*size, end=END).anomalies()
    recent = labels[labels["first_day"] > pd.Timestamp(END) - pd.Timedelta(weeks=13)]
    kinds = {story.SPIKE, story.DROP, story.SHIFT, story.OUTAGE, story.MISSING, story.DOUBLED}
    assert set(recent["kind"]) == kinds
    assert (recent["first_day"] > pd.Timestamp(END) - pd.Timedelta(days=5)).any(), "and something is fresh"


def test_labels_say_what_happened(whole: Demo, frames: dict[str, pd.DataFrame]) -> None:
    hidden, sales = whole.truth(), frames["sales_daily"]
    for label in whole.anomalies().itertuples():
        inside = (sales["date_id"] >= label.first_day) & (sales["date_id"] <= label.last_day)
        known = (hidden["date_id"] >= label.first_day) & (hidden["date_id"] <= label.last_day)
        for name in ("product_category", "region"):
            if getattr(label, name):
                inside &= sales[name] == getattr(label, name)
                known &= hidden[name] == getattr(label, name)
        wanted, usual = hidden["demand_units"][known].sum(), hidden["expected_units"][known].sum()
        if label.kind in (story.SPIKE, story.DROP, story.OUTAGE) and usual > 60:
            others = whole.anomalies().query(
                "first_day <= @label.last_day and last_day >= @label.first_day and kind in ['spike', 'drop', 'outage']"
            )
            if len(others) == 1:
                assert np.log(wanted / usual) == pytest.approx(np.log1p(label.size), abs=0.5), label
        elif label.kind == story.MISSING:
            assert not inside.any()
            assert wanted > 0
        elif label.kind == story.DOUBLED:
            sold = (hidden["demand_units"] - hidden["lost_units"])[known].sum()
            assert sales["sales_units"][inside].sum() == pytest.approx(2 * sold)


def test_demand_is_what_was_expected_on_the_whole(whole: Demo) -> None:
    hidden = whole.truth()
    assert hidden["demand_units"].sum() == pytest.approx(hidden["expected_units"].sum(), rel=0.02)


def test_half_a_million_rows_take_a_moment() -> None:
    made = Demo(100, 5, 0, 3, END).frames()
    assert len(made["sales_daily"]) > 490_000

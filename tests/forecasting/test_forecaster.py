"""What a refresh publishes at an origin: learnt only from what was known there, the same from a backtest, coherent."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trendcast.errors import InvalidInput, TrendCastError
from trendcast.forecasting import backtest as rolling
from trendcast.forecasting import metrics
from trendcast.forecasting.forecaster import Forecaster, calibration_origins, week_starts
from trendcast.forecasting.members import MEMBERS, Member, MemberForecast
from trendcast.panel import Panel
from trendcast.services.backtest import evaluate

QUICK = tuple(member for member in MEMBERS if member.name in {"naive7", "naive364"})
DAYS = 640


def retailer(days=DAYS, seed=5, categories=3, regions=2):
    """Sales of a few categories in a few regions: weekly and yearly waves, promotions, noise."""
    rng = np.random.default_rng(seed)
    dates = pd.date_range("2023-01-01", periods=days)
    frames = []
    for c in range(categories):
        for r in range(regions):
            level = 40 * (c + 1) * (1 + 0.3 * r)
            promoted = rng.random(days) < 0.1
            wave = 1 + 0.3 * np.sin(2 * np.pi * np.arange(days) / 365) + 0.2 * (dates.day_of_week == 5)
            units = rng.poisson(level * wave * (1 + 0.4 * promoted)).astype(float)
            frames.append(
                pd.DataFrame(
                    {
                        "date_id": dates,
                        "product_category": f"Category {c}",
                        "region": f"Region {r}",
                        "sales_units": units,
                        "promotion_flag": promoted,
                    }
                )
            )
    return pd.concat(frames, ignore_index=True)


@pytest.fixture(scope="module")
def panel():
    return Panel.from_frames(retailer())


@pytest.fixture(scope="module")
def publication(panel):
    return Forecaster(panel, members=QUICK).publish(panel.history)


def test_everything_adds_up_and_quantiles_are_in_order(panel, publication):
    engine = Forecaster(panel, members=QUICK)
    aggregates = engine.hierarchy.aggregates
    sums = engine.hierarchy.summing @ publication.means[aggregates:]
    assert np.abs(publication.means - sums).max() <= 1e-9 * publication.means.max()
    assert np.isfinite(publication.quantiles).all()
    assert (np.diff(publication.quantiles, axis=2) >= 0).all()
    assert (publication.quantiles >= 0).all()
    assert publication.weekly_means == pytest.approx(metrics.weekly(publication.means, publication.weeks))


@settings(max_examples=6, deadline=None)
@given(st.integers(500, DAYS - 30), st.integers(0, 2**31))
def test_nothing_unknowable_after_the_origin_moves_it(origin, seed):
    """Everything that happens later is replaced; the plan stays."""
    sales = retailer()
    later = (sales["date_id"] - sales["date_id"].min()).dt.days >= origin
    changed = sales.copy()
    changed.loc[later, "sales_units"] = np.random.default_rng(seed).integers(0, 10_000, int(later.sum()))
    one = Forecaster(Panel.from_frames(sales), members=QUICK).publish(origin)
    other = Forecaster(Panel.from_frames(changed), members=QUICK).publish(origin)
    assert np.array_equal(one.means, other.means)
    assert np.array_equal(one.quantiles, other.quantiles)
    assert np.array_equal(one.weekly_quantiles, other.weekly_quantiles)


def test_a_backtest_says_what_a_refresh_at_that_origin_would_have_published(panel):
    engine = Forecaster(panel, members=QUICK, plan_known=True)
    window = next(rolling.windows(engine, 28, 2, 28))
    then = panel.as_of(window.origin)
    fresh = Forecaster(then, members=QUICK, plan_known=True).publish(window.origin)
    assert np.array_equal(window.publication.means, fresh.means)
    assert np.array_equal(window.publication.quantiles, fresh.quantiles)


ORIGIN, PLANNED = 600, 30  # days known, and days planned beyond them


def eventful(sales):
    """What happens after the origin: a category is launched, a series goes silent, a flag is recorded."""
    first = sales["date_id"].min()
    day = (sales["date_id"] - first).dt.days
    launched = sales[(sales["product_category"] == "Category 0") & (day >= ORIGIN + 3)].assign(
        product_category="Launched later"
    )
    silent = (sales["product_category"] == "Category 1") & (sales["region"] == "Region 0") & (day >= ORIGIN + 2)
    return pd.concat([sales[~silent], launched], ignore_index=True).assign(open_flag=True)


def plan_of(sales, until):
    """The promotion plan as a table holds it: of all days, past and future, as far as it reaches."""
    day = (sales["date_id"] - sales["date_id"].min()).dt.days
    return sales[day < until][["date_id", "product_category", "region", "promotion_flag"]]


def calendar_of(sales, until):
    dates = sales["date_id"].drop_duplicates().sort_values().iloc[:until]
    named = dates[dates.dt.strftime("%m-%d").isin(["12-25", "07-04", "10-03"])]
    return pd.DataFrame({"date_id": named, "region": "", "event": "Feast"})


@pytest.mark.parametrize("members", [QUICK, MEMBERS], ids=["naives", "all"])
def test_an_origin_of_the_past_knows_what_tables_that_end_there_would_tell(members):
    """The slow truth of no look-ahead: the same publication from a database that was never told of anything later."""
    sales = retailer()
    day = (sales["date_id"] - sales["date_id"].min()).dt.days
    # The world of later is planned PLANNED days ahead, too.
    future = sales[day < PLANNED].assign(date_id=lambda f: f["date_id"] + pd.Timedelta(DAYS, "D"))
    ahead = pd.concat([plan_of(sales, DAYS), future[["date_id", "product_category", "region", "promotion_flag"]]])
    later = Panel.from_frames(eventful(sales), calendar_of(sales, DAYS), ahead, last_day=sales["date_id"].max())
    then = Panel.from_frames(
        sales[day < ORIGIN].assign(open_flag=True), calendar_of(sales, ORIGIN), plan_of(sales, ORIGIN + PLANNED)
    )
    reach = later.reach()
    assert set(reach.promotion[later.series["product_category"] != "Launched later"]) == {PLANNED}
    truth = Forecaster(then, members=members).publish(ORIGIN)
    engine = Forecaster(later, members=members)
    told = engine.widened(engine.at(ORIGIN))
    keys = ["level", "product_category", "region", "store"]
    old = Forecaster(then, members=members).hierarchy.nodes[keys].reset_index(names="then")
    both = engine.hierarchy.nodes[keys].reset_index(names="later").merge(old, on=keys)
    assert len(both) == len(old)
    for name in ("means", "quantiles", "weekly_means", "weekly_quantiles", "weights"):
        assert np.array_equal(getattr(told, name)[both["later"]], getattr(truth, name)[both["then"]]), name


def test_stores_that_open_do_not_raise_the_forecast_of_those_that_were_there():
    """Flat stores, and as many new ones within the last year: nothing grows but the number of stores."""
    rng = np.random.default_rng(3)
    frames = []
    for store in range(16):
        start = 0 if store < 8 else 400 + 20 * (store - 8)
        dates = pd.date_range("2023-01-01", periods=DAYS)[start:]
        frames.append(
            pd.DataFrame(
                {
                    "date_id": dates,
                    "product_category": "All",
                    "region": "North",
                    "store": f"S{store:02d}",
                    "sales_units": rng.poisson(100, len(dates)).astype(float),
                }
            )
        )
    panel = Panel.from_frames(pd.concat(frames, ignore_index=True))
    publication = Forecaster(panel, members=QUICK).publish(panel.history)
    bottom = publication.means[Forecaster(panel, members=QUICK).hierarchy.aggregates :, -28:]
    assert bottom[:8].mean() == pytest.approx(100, rel=0.03)
    assert bottom.sum(axis=0).mean() == pytest.approx(1600, rel=0.03)


def test_without_a_plan_the_bands_are_those_of_forecasts_without_a_plan():
    """Strong promotions that nobody announces: the run must not claim the accuracy of one that knew them."""
    rng = np.random.default_rng(1)
    days = 700
    dates = pd.date_range("2023-01-01", periods=days)
    frames = []
    for c in range(8):
        promoted = np.repeat(rng.random(days // 7) < 0.3, 7)
        units = rng.poisson(200 * (1 + 0.8 * promoted)).astype(float)
        frames.append(
            pd.DataFrame(
                {"date_id": dates, "product_category": f"C{c}", "sales_units": units, "promotion_flag": promoted}
            )
        )
    panel = Panel.from_frames(pd.concat(frames, ignore_index=True))
    member = tuple(m for m in MEMBERS if m.name == "profile")
    blind = Forecaster(panel, members=member)
    knowing = Forecaster(panel, members=member, plan_known=True)
    wape = {}
    for name, engine in (("blind", blind), ("knowing", knowing)):
        figures = rolling.measure(engine, engine.publish(panel.history))
        row = figures[
            (figures["model"] == "combination") & (figures["level"] == "category") & (figures["horizon_week"] == 0)
        ].iloc[0]
        wape[name] = row["wape"]
        assert row["coverage80"] == pytest.approx(0.8, abs=0.08)
    assert wape["blind"] > 2 * wape["knowing"]


def test_calibration_origins_are_past_sundays_four_weeks_apart():
    first = np.datetime64("2022-01-03")
    origins = calibration_origins(first, 1096)
    last_days = (first + np.array(origins) - 1).astype("datetime64[D]")
    assert len(origins) == 13
    assert set((last_days.astype(int) - 3) % 7) == {0}
    assert set(np.diff(origins)) == {28}
    assert max(origins) <= 1096 - 7
    # A day later they are the same, so that runs of a month share them.
    assert set(calibration_origins(first, 1097)) & set(origins)


def test_weeks_of_the_forecast_are_whole_and_begin_on_monday():
    for weekday in range(7):
        first = np.datetime64("2024-01-01") + weekday
        starts = week_starts(first, 100, 91)
        days = (first + 100 + starts).astype("datetime64[D]")
        assert set((days.astype(int) + 3) % 7) == {0}
        assert starts[-1] + 7 <= 91
        assert len(starts) in (12, 13)


def test_a_broken_member_is_left_out_and_named(panel):
    def broken(self, panel, horizon, state=None):
        raise ZeroDivisionError("no luck")

    class Broken(Member):
        forecast = broken

    engine = Forecaster(panel, members=(*QUICK, Broken("broken", "", "")))
    publication = engine.publish(panel.history)
    assert np.isfinite(publication.means).all()
    assert publication.weights[:, 2].max() == 0
    assert "no luck" in engine.failures["broken"]


def test_a_member_that_explodes_never_reaches_a_run(panel):
    class Exploding(Member):
        def forecast(self, panel, horizon, state=None):
            return MemberForecast(np.full((panel.n_series, horizon), np.inf))

    publication = Forecaster(panel, members=(*QUICK, Exploding("exploding", "", ""))).publish(panel.history)
    assert np.isfinite(publication.means).all()


def test_with_no_member_alive_it_says_so_instead_of_publishing_zeros(panel):
    class Broken(Member):
        def forecast(self, panel, horizon, state=None):
            raise ValueError("gone")

    with pytest.raises(TrendCastError, match="No model could"):
        Forecaster(panel, members=(Broken("broken", "", ""),)).publish(panel.history)


def test_a_young_retailer_is_forecast_too():
    young = Panel.from_frames(retailer(days=70))
    publication = Forecaster(young, members=QUICK).publish(young.history)
    assert np.isfinite(publication.quantiles).all()
    assert (publication.means[0] > 0).all()


def test_a_history_too_short_for_the_backtest_is_refused_with_what_is_missing(panel):
    with pytest.raises(InvalidInput, match="days of history"):
        evaluate(panel, origins=30)


def test_the_tally_agrees_with_the_plain_definitions(panel):
    engine = Forecaster(panel, members=QUICK)
    levels = engine.hierarchy.nodes["level"].to_numpy()
    tally = rolling.Tally(levels)
    truths, means, quantiles, scales = [], [], [], []
    for window in rolling.windows(engine, 28, 2, 28):
        rolling.add_window(tally, engine, window, 28)
        truths.append(window.truth)
        means.append(window.publication.means[:, :28])
        quantiles.append(window.publication.quantiles[:, :28])
        scales.append(metrics.seasonal_scale(panel_at(engine, window.origin)))
    figures = tally.frame()
    rows = levels == "category_region"
    y, f = np.concatenate([t[rows] for t in truths]), np.concatenate([m[rows] for m in means])
    q = np.concatenate([v[rows] for v in quantiles])
    scale = np.concatenate([s[rows] for s in scales])
    found = figures[
        (figures["level"] == "category_region") & (figures["model"] == "combination") & (figures["horizon_week"] == 0)
    ].iloc[0]
    assert found["wape"] == pytest.approx(metrics.wape(y, f))
    assert found["bias"] == pytest.approx(metrics.bias(y, f))
    assert found["rmse"] == pytest.approx(metrics.rmse(y, f))
    assert found["mape"] == pytest.approx(metrics.mape(y, f))
    assert found["mase"] == pytest.approx(metrics.mase(y, f, scale).mean())
    assert found["coverage80"] == pytest.approx(metrics.coverage(y, q[:, :, 2], q[:, :, 6]))
    assert found["coverage95"] == pytest.approx(metrics.coverage(y, q[:, :, 0], q[:, :, 8]))
    assert found["mape_weekly"] == pytest.approx(metrics.mape(metrics.weekly(y), metrics.weekly(f)))
    levels_q = [0.025, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.975]
    assert found["scaled_pinball"] == pytest.approx(metrics.scaled_pinball(y, q, levels_q, scale).mean())
    assert found["wql"] == pytest.approx(metrics.wql(y, q, levels_q))
    second = figures[
        (figures["level"] == "total") & (figures["model"] == "naive7") & (figures["horizon_week"] == 2)
    ].iloc[0]
    said = np.concatenate([engine.members_at(o, engine.anchor_for(o))[0][0][:1, 7:14] for o in (584, 612)])
    assert second["wape"] == pytest.approx(metrics.wape(np.concatenate([t[:1, 7:14] for t in truths]), said))


def panel_at(engine, origin):
    return engine.known_at(origin).units[:, :origin]


def test_the_predictions_file_has_a_row_per_origin_model_series_and_day(panel, tmp_path, monkeypatch):
    monkeypatch.setattr("trendcast.forecasting.forecaster.MEMBERS", QUICK)
    monkeypatch.setattr(Forecaster.__init__, "__kwdefaults__", {**Forecaster.__init__.__kwdefaults__, "members": QUICK})
    file = tmp_path / "predictions.parquet"
    result = evaluate(panel, horizon=14, origins=2, step=14, predictions=str(file), quantiles=[0.1, 0.5, 0.9])
    rows = pd.read_parquet(file)
    assert list(rows.columns) == [
        "origin", "model", "level", "product_category", "region", "store", "date_id", "y", "mean", "q10", "q50", "q90"
    ]  # fmt: skip
    assert len(rows) == 2 * 3 * 14 * (1 + 2 + 3 + 6)
    assert set(rows["model"]) == {"combination", "naive7", "naive364"}
    mine = rows[(rows["model"] == "combination") & (rows["level"] == "total")]
    figure = next(
        r for r in result["metrics"] if r["model"] == "combination" and r["level"] == "total" and not r["horizon_week"]
    )
    assert figure["wape"] == pytest.approx(metrics.wape(mine["y"].to_numpy(), mine["mean"].to_numpy()))
    assert (rows[rows["level"] == "total"]["region"] == "").all()
    assert (pd.to_datetime(rows["date_id"]) > pd.to_datetime(rows["origin"])).all()


def test_closed_days_are_forecast_as_closed_and_not_scored(panel):
    closed = panel.open.copy()
    closed[:, ::7] = 0
    units = panel.units.copy()
    units[:, ::7] = np.where(np.isfinite(units[:, ::7]), 0.0, np.nan)
    shut = replace(panel, open=closed, units=units, opening=closed)
    engine = Forecaster(shut, members=QUICK)
    publication = engine.publish(shut.history)
    ahead = shut.open[:, shut.history : shut.history + 91] == 0
    assert (publication.means[engine.hierarchy.aggregates :][ahead] == 0).all()
    assert (publication.quantiles[engine.hierarchy.aggregates :][ahead] == 0).all()


def test_a_day_somebody_confirmed_teaches_nothing_and_counts_in_the_accuracy(panel, publication):
    doubtful = np.zeros(panel.units.shape, bool)
    doubtful[0, DAYS - 20] = True
    engine = Forecaster(replace(panel, doubtful=doubtful), members=QUICK)
    told = engine.publish(panel.history)
    row = engine.hierarchy.aggregates
    missing = np.isnan(told.past_truth) & np.isfinite(publication.past_truth)
    assert missing[:, row].any()
    assert not missing[:, row + 1 :].any()
    assert np.array_equal(engine.sold_after(told), publication.past_truth, equal_nan=True)
    plain = Forecaster(panel, members=QUICK)
    counted, before = (rolling.measure(one, one.publish(panel.history)) for one in (engine, plain))
    assert counted["n"].tolist() == before["n"].tolist()


def test_a_day_whose_data_are_wrong_counts_in_no_accuracy(panel):
    """One series in another unit for a day: what a run measures, and the backtest, is as if it had not been told."""
    day = DAYS - 20
    wrong = np.zeros(panel.units.shape, bool)
    wrong[0, day] = True
    units = panel.units.copy()
    units[0, day] *= 100

    def found(one):
        engine = Forecaster(one, members=QUICK)
        run = rolling.measure(engine, engine.publish(one.history))
        tally = rolling.Tally(engine.hierarchy.nodes["level"].to_numpy())
        for window in rolling.windows(engine, 28, 1, 28):
            rolling.add_window(tally, engine, window, 28)
        ours = [one[(one["model"] == rolling.COMBINATION) & (one["horizon_week"] == 0)] for one in (run, tally.frame())]
        return [one.groupby("level")["wape"].max().to_numpy() for one in ours]

    usual = found(panel)
    believed = found(replace(panel, units=units))
    told = found(replace(panel, units=units, doubtful=wrong, wrong=wrong))
    for before, with_it, without in zip(usual, believed, told, strict=True):
        assert (with_it > 1.08 * before).all()
        assert without == pytest.approx(before, rel=0.06)


def test_a_run_measures_the_coverage_of_its_weeks_too(panel):
    engine = Forecaster(panel, members=QUICK)
    figures = rolling.measure(engine, engine.publish(panel.history))
    row = figures[(figures["model"] == "combination") & (figures["horizon_week"] == 0)].set_index("level")
    bottom = row.loc["category_region"]
    assert bottom["quantile_weeks"] > 100
    assert bottom["quantile_n"] == pytest.approx(7 * bottom["quantile_weeks"], rel=0.1)
    assert bottom["coverage80_weekly"] == pytest.approx(0.8, abs=0.12)
    assert bottom["coverage95_weekly"] > bottom["coverage80_weekly"]

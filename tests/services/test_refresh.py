"""A refresh publishes one checked run or nothing; what it publishes is one retailer seen from every level."""

import datetime as dt
import os
import signal
import subprocess
import sys
import time
import types
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from sqlalchemy import text

from trendcast import settings
from trendcast.demo import generate
from trendcast.errors import Conflict, LeaseLost, TrendCastError
from trendcast.forecasting.members import MEMBERS
from trendcast.jobs.worker import Worker
from trendcast.services import forecast, verdicts
from trendcast.services import jobs as job_service
from trendcast.services import refresh as refresh_service
from trendcast.services.load import load_frames
from trendcast.services.progress import silent
from trendcast.services.refresh import PARTS, coverage_warnings, refresh
from trendcast.store import jobs, runs
from trendcast.ui import measures

LAST_DAY = dt.date(2026, 9, 30)


def clock():
    return dt.datetime.now(dt.UTC)


def claimed(db):
    claim = jobs.claim(db, slot_id=job_service.enqueue(db, "refresh"))
    assert claim is not None
    return claim


def do_refresh(db):
    claim = claimed(db)
    result = refresh(db, clock, silent, claim.token)
    jobs.finish(db, claim.id, claim.token, result)
    return result


@pytest.fixture
def small(db, monkeypatch):
    """Two categories in two regions, and only the naive members: what is tested is the run, not the models."""
    from trendcast.forecasting import forecaster

    quick = tuple(member for member in MEMBERS if member.name in {"naive7", "naive364"})
    defaults = forecaster.Forecaster.__init__.__kwdefaults__
    monkeypatch.setattr(forecaster.Forecaster.__init__, "__kwdefaults__", {**defaults, "members": quick})
    load_frames(db, generate(2, 2, 0, 2, LAST_DAY), source="test")
    return db


def count(db, sql):
    with db.read() as connection:
        return connection.execute(text(sql)).scalar()


def test_nothing_loaded_is_said_in_a_sentence(db):
    with pytest.raises(Conflict, match="load data first"):
        refresh(db, clock, silent, claimed(db).token)
    assert count(db, "SELECT count(*) FROM run") == 0


def test_the_published_run_is_whole_and_adds_up(demo_db):
    run = forecast.current_run(demo_db)
    index = forecast.series_index(demo_db, run.id)
    assert run.last_day == LAST_DAY
    assert run.n_series == len(index) == 1 + 2 + 3 + 6
    daily = demo_db.frame("forecast_daily", run_id=run.id, series_ids=index["series_id"].tolist())
    assert len(daily) == len(index) * run.horizon
    level = daily["series_id"].map(index.set_index("series_id")["level"])
    totals = daily.groupby([level, "date_id"])["mean"].sum().unstack(0)
    for name in totals:
        assert totals[name].to_numpy() == pytest.approx(totals["total"].to_numpy(), rel=1e-9)
    assert (np.diff(daily[list(runs.QUANTILES)].to_numpy(), axis=1) >= 0).all()
    weekly = demo_db.frame("forecast_weekly", run_id=run.id, series_ids=index["series_id"].tolist())
    assert set(weekly["week"].dt.day_of_week) == {0}
    first = weekly[weekly["series_id"] == index["series_id"].iloc[0]].iloc[0]
    one = daily[daily["series_id"] == index["series_id"].iloc[0]].set_index("date_id")["mean"]
    assert first["mean"] == pytest.approx(one.loc[first["week"] : first["week"] + pd.Timedelta(6, "D")].sum())


def test_every_member_took_part(demo_db):
    summary = forecast.current_run(demo_db).summary
    assert summary["failures"] == {}
    assert summary["warnings"] == []
    assert summary["members"] == [member.name for member in MEMBERS]


def test_history_is_what_was_loaded(demo_db):
    run = forecast.current_run(demo_db)
    index = forecast.series_index(demo_db, run.id)
    row = index[(index["level"] == "category_region")].iloc[0]
    history = forecast.history_daily(demo_db, run, [int(row["series_id"])]).dropna(subset="units")  # the feed has gaps
    with demo_db.read() as connection:
        loaded = connection.execute(
            text("SELECT date_id, sales_units FROM sales_daily WHERE product_category = :c AND region = :r ORDER BY 1"),
            {"c": row["product_category"], "r": row["region"]},
        ).all()
    assert history["units"].tolist() == [units for _, units in loaded]
    assert [day.date() for day in history["date_id"]] == [day for day, _ in loaded]
    total = index[index["level"] == "total"]["series_id"].astype(int).tolist()
    bottom = index[index["level"] == "category_region"]["series_id"].astype(int).tolist()
    whole = forecast.history_daily(demo_db, run, total)["units"].to_numpy()
    assert forecast.history_daily(demo_db, run, bottom)["units"].to_numpy() == pytest.approx(whole, rel=1e-6)


def test_the_parts_sum_to_what_was_sold_and_to_the_forecast(demo_db):
    run = forecast.current_run(demo_db)
    series_id = int(forecast.series_index(demo_db, run.id)["series_id"].iloc[-1])
    parts = forecast.components_daily(demo_db, run, series_id).set_index("date_id")
    assert list(parts.columns) == [*PARTS, "rest"]
    sums = parts.sum(axis=1)
    sold = forecast.history_daily(demo_db, run, [series_id]).set_index("date_id")["units"].dropna()
    ahead = forecast.forecast_daily(demo_db, run.id, [series_id]).set_index("date_id")["mean"]
    assert sums.loc[sold.index].to_numpy() == pytest.approx(sold.to_numpy(), abs=1e-3)
    assert sums.loc[ahead.index].to_numpy() == pytest.approx(ahead.to_numpy(), rel=1e-9, abs=1e-6)
    assert parts["promotions"].abs().max() > 0
    assert parts["holidays"].abs().max() > 0


def test_several_series_have_bands_of_their_sum(demo_db):
    run = forecast.current_run(demo_db)
    index = forecast.series_index(demo_db, run.id)
    regions = index[index["level"] == "region"]["series_id"].astype(int).tolist()
    together = forecast.forecast_weekly(demo_db, run.id, regions)
    total = forecast.forecast_weekly(demo_db, run.id, [int(index["series_id"].iloc[0])])
    assert together["mean"].to_numpy() == pytest.approx(total["mean"].to_numpy())
    quantiles = together[list(runs.QUANTILES)].to_numpy()
    assert (np.diff(quantiles, axis=1) >= 0).all()
    apart = [forecast.forecast_weekly(demo_db, run.id, [one])[list(runs.QUANTILES)].to_numpy() for one in regions]
    # Errors of regions partly cancel: adding up the ends of their bands would be too wide, or much too narrow.
    width, added = quantiles[:, 8] - quantiles[:, 0], sum(q[:, 8] - q[:, 0] for q in apart)
    assert (width < 1.6 * added).all()
    assert (width > 0.3 * added).all()


def test_accuracy_is_out_of_sample_and_beats_both_naives(demo_db):
    run = forecast.current_run(demo_db)
    figures = forecast.accuracy(demo_db, run.id, "category_region")
    overall = figures[figures["horizon_week"] == 0].set_index("model")
    assert overall.loc["combination", "wape"] < overall.loc[["naive7", "naive364"], "wape"].min()
    # Six series say little about coverage; benchmarks/accuracy.py and demo_truth.py measure it on many.
    assert overall.loc["combination", "coverage80"] == pytest.approx(0.8, abs=0.1)
    assert overall.loc["combination", "coverage95"] == pytest.approx(0.95, abs=0.1)
    own = forecast.series_accuracy(demo_db, run.id, [int(forecast.series_index(demo_db, run.id)["series_id"].iloc[-1])])
    assert own["weeks"] > 100
    assert own["best_naive"] in ("naive7", "naive364")


def test_publishing_needs_the_lease(small):
    """Another worker took over: nothing is shown, nothing is left of the run but its failure."""
    do_refresh(small)
    shown = forecast.current_run(small).id
    claim = claimed(small)
    with small.transaction() as connection:
        connection.execute(text("UPDATE job_slot SET lease_token = gen_random_uuid() WHERE id = :id"), {"id": claim.id})
    with pytest.raises(LeaseLost):
        refresh(small, clock, silent, claim.token)
    assert forecast.current_run(small).id == shown
    assert count(small, "SELECT count(*) FROM run WHERE status = 'building'") == 0
    assert count(small, f"SELECT count(*) FROM forecast WHERE run_id <> {shown}") == 0


def test_a_run_that_fails_its_checks_is_not_shown(small, monkeypatch):
    do_refresh(small)
    shown = forecast.current_run(small).id
    original = runs.write_forecast

    def upside_down(db, connection, table, run_id, ids, dates, means, quantiles, money):
        return original(db, connection, table, run_id, ids, dates, means, quantiles[:, :, ::-1], money)

    monkeypatch.setattr(runs, "write_forecast", upside_down)
    with pytest.raises(TrendCastError, match="not monotone"):
        refresh(small, clock, silent, claimed(small).token)
    assert forecast.current_run(small).id == shown
    assert count(small, f"SELECT count(*) FROM forecast WHERE run_id <> {shown}") == 0
    assert forecast.current_run(small).failed_since is not None


def test_a_part_that_cannot_be_written_is_told_of_and_the_forecast_stands(small, monkeypatch):
    def write(db, connection, run_id, ids, node, found):
        connection.execute(text("UPDATE series SET region = 'gone' WHERE id = (SELECT min(id) FROM series)"))
        connection.execute(text("SELECT 1 / 0"))  # from here on the database takes nothing before a rollback

    broken = types.ModuleType("broken_part")
    broken.compute, broken.write = lambda *_: "found", write
    monkeypatch.setitem(sys.modules, "broken_part", broken)
    monkeypatch.setattr(refresh_service, "CONTRIBUTIONS", {"Breaking": "broken_part", **refresh_service.CONTRIBUTIONS})
    claim = claimed(small)
    result = refresh(small, clock, silent, claim.token, members=("naive7", "naive364"))
    run = forecast.current_run(small)
    assert run.id == result["run_id"]
    assert list(run.summary["failures"]) == ["Breaking"]
    assert "division by zero" in run.summary["failures"]["Breaking"]
    assert count(small, "SELECT count(*) FROM series WHERE region = 'gone'") == 0, "what it wrote is undone"
    assert count(small, f"SELECT count(*) FROM stock_advice WHERE run_id = {run.id}") > 0, "the others are written"


def test_a_run_is_full_when_every_member_spoke_and_quick_when_only_some_did(small, demo_db):
    assert forecast.current_run(demo_db).kind == "full"
    refresh(small, clock, silent, claimed(small).token, members=("naive7", "naive364"))
    assert forecast.current_run(small).kind == "quick"


def test_a_slower_refresh_of_older_data_does_not_replace_a_newer_one(small):
    older = claimed(small)
    shown = []

    def progress(stage, done, total, **_):
        if stage == "Writing the forecasts" and done == 0 and not shown:
            shown.append(0)
            with small.transaction() as connection:
                connection.execute(text(
                    "INSERT INTO load_batch (source, table_name, status, rows_new, committed_at)"
                    " VALUES ('f', 'events', 'merged', 1, now())"
                ))  # fmt: skip
            do_refresh(small)
            shown[0] = forecast.current_run(small).id

    with pytest.raises(Conflict, match="newer data"):
        refresh(small, clock, progress, older.token)
    assert forecast.current_run(small).id == shown[0]
    assert count(small, "SELECT count(DISTINCT run_id) FROM forecast") == 1


def test_a_refresh_that_dies_is_no_longer_in_progress_and_its_failure_is_said(small):
    """However it died: with a run begun, or before it had one."""
    do_refresh(small)
    run = forecast.current_run(small)
    claim = claimed(small)
    facts = {"kind": "quick", "first_day": LAST_DAY, "last_day": LAST_DAY, "horizon": 91, "data_batch_hi": 9}
    runs.begin(small, **facts, code_version="", params_hash="", token=claim.token)
    assert runs.abandon(small) == 0
    jobs.fail(small, claim.id, claim.token, "no", again=True)
    worker = Worker(settings.load({}), clock, small)
    worker._tick(small)
    assert count(small, "SELECT count(*) FROM run WHERE status = 'building'") == 0
    assert "ended before it was published" in forecast.current_run(small).failed_since
    do_refresh(small)
    assert forecast.current_run(small).failed_since is None
    claim = claimed(small)
    jobs.fail(small, claim.id, claim.token, "The machine ran out of memory.", again=False)
    assert forecast.current_run(small).failed_since == "The machine ran out of memory."
    assert forecast.current_run(small).id == run.id + 2


def test_a_stalled_feed_is_late_and_only_data_old_at_its_first_coming_is_historical(small):
    def came(moment):
        with small.transaction() as connection:
            connection.execute(text(f"UPDATE load_batch SET committed_at = {moment}"))

    do_refresh(small)
    came("timestamptz '2026-10-01 06:00+00'")
    load_frames(small, {"events": pd.DataFrame({"date_id": ["2026-09-01"], "event": ["Fair"]})}, source="test")
    run = forecast.current_run(small)
    assert (run.days_old_when_loaded, run.historical, run.newer_data) == (1, False, True)
    assert not forecast.run_info(small, run.id).historical
    came("timestamptz '2026-12-01 06:00+00'")
    with small.transaction() as connection:
        connection.execute(text("UPDATE load_batch SET rows_new = 0, rows_changed = 0 WHERE source = 'test'"))
    run = forecast.current_run(small)
    assert (run.days_old_when_loaded, run.historical, run.newer_data) == (62, True, False)
    assert forecast.run_info(small, run.id).historical


@pytest.mark.parametrize(("wrong", "words"), [("regions", "not adding up"), ("weeks", "weeks not their days")])
def test_sums_are_checked_below_the_total_and_in_weeks(small, monkeypatch, wrong, words):
    """Two regions swapped, or weeks that are not their days, leave the total as it was."""
    original = runs.write_forecast

    def mistaken(db, connection, table, run_id, ids, dates, means, *rest):
        series = db.frame("series_all", connection=connection)
        level = series.set_index("id").loc[ids, "level"].to_numpy()
        means = means.copy()
        if wrong == "regions":
            rows = np.flatnonzero(level == "region")
            means[rows] = means[rows[::-1]]
        elif table == "forecast_week":
            means *= 1.01
        return original(db, connection, table, run_id, ids, dates, means, *rest)

    monkeypatch.setattr(runs, "write_forecast", mistaken)
    with pytest.raises(TrendCastError, match=words):
        refresh(small, clock, silent, claimed(small).token)


def test_bands_that_held_too_seldom_are_noted():
    figures = pd.DataFrame(
        {
            "level": ["total", "category_region"] * 2,
            "model": ["combination"] * 4,
            "horizon_week": [0, 0, 1, 1],
            "coverage80": [0.3, 0.49, 0.3, 0.3],
            "quantile_n": [500.0] * 4,
        }
    )
    levels = {"total": 1, "category_region": 6}
    (words,) = coverage_warnings(figures, levels)
    assert "49 %" in words
    assert coverage_warnings(figures.assign(quantile_n=20.0), levels) == []
    assert coverage_warnings(figures.assign(coverage80=0.5), levels) == []
    assert coverage_warnings(pd.DataFrame(), levels) == []


KILLED = """
import datetime as dt, sys
from trendcast.store.engine import Database
from trendcast.services.refresh import refresh
db = Database(sys.argv[1], role="worker")
def progress(stage, done, total, **facts):
    print(stage, flush=True)
    if stage == sys.argv[3]:
        import time
        time.sleep(60)
refresh(db, lambda: dt.datetime.now(dt.UTC), progress, sys.argv[2])
"""


@pytest.mark.parametrize("stage", ["Fitting the models", "Writing the forecasts"])
def test_killed_at_any_stage_the_old_run_is_served_and_the_next_attempt_works(small, stage):
    do_refresh(small)
    shown = forecast.current_run(small).id
    claim = claimed(small)
    with subprocess.Popen(
        [sys.executable, "-c", KILLED, small.url, claim.token, stage],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.getcwd()},
    ) as process:
        for line in process.stdout:
            if line.strip() == stage:
                break
        time.sleep(0.2)
        process.send_signal(signal.SIGKILL)
    assert forecast.current_run(small).id == shown
    assert count(small, f"SELECT count(*) FROM forecast WHERE run_id <> {shown}") == 0
    with small.transaction() as connection:
        connection.execute(
            text("UPDATE job_slot SET state = 'dead', finished_at = now() WHERE id = :id"), {"id": claim.id}
        )
    do_refresh(small)
    assert forecast.current_run(small).id > shown
    assert count(small, "SELECT count(*) FROM run WHERE status = 'building'") == 0


def test_what_was_published_is_scored_when_the_truth_arrives(small):
    do_refresh(small)
    assert count(small, "SELECT count(*) FROM forecast_log WHERE scored_at IS NOT NULL") == 0
    later = generate(2, 2, 0, 2, LAST_DAY + dt.timedelta(days=14))["sales_daily"]
    day = pd.to_datetime(later["date_id"]).dt.date
    new = later[day > LAST_DAY]
    for until in (7, 14):
        week = later[(day > LAST_DAY) & (day <= LAST_DAY + dt.timedelta(days=until))]
        load_frames(small, {"sales_daily": week}, source="test", accept=True)
        do_refresh(small)
    rows = small_frame(
        small,
        "SELECT l.* FROM forecast_log l WHERE scored_at IS NOT NULL AND level = 'category_region' AND lag_weeks = 1",
    )
    assert len(rows) == 4
    for row in rows.itertuples():
        days = new[
            (new["product_category"] == row.product_category)
            & (new["region"] == row.region)
            & (pd.to_datetime(new["date_id"]) >= pd.Timestamp(row.week))
            & (pd.to_datetime(new["date_id"]) < pd.Timestamp(row.week) + pd.Timedelta(7, "D"))
        ]
        assert row.actual == pytest.approx(days["sales_units"].sum())
        assert row.forecast_accuracy == pytest.approx(max(0, 1 - abs(row.mean - row.actual) / row.actual))
        assert row.bias == pytest.approx((row.mean - row.actual) / row.actual)
    run = forecast.current_run(small)
    before = forecast.last_week_forecast(
        small, run.id, [int(forecast.series_index(small, run.id)["series_id"].iloc[0])]
    )
    # The weeks ahead as they were seen a week ago, and the two weeks that are over as they were seen at their start.
    assert len(before) >= 12
    over = before[before["week"] + pd.Timedelta(6, "D") <= pd.Timestamp(run.last_day)]
    total = small_frame(small, "SELECT week, mean FROM forecast_log WHERE level = 'total' AND lag_weeks = 1 ORDER BY 1")
    assert over["mean"].tolist() == total["mean"].head(len(over)).tolist()
    assert len(over) == 1
    table, exported = last_weeks_error(small, run)
    week, truth = over["week"].iloc[0], table.set_index("date").loc[over["week"].iloc[0], "actual"]
    error = (over["mean"].iloc[0] - truth) / truth
    assert table.dropna(subset="error").set_index("date")["error"].to_dict() == {week: pytest.approx(error)}
    assert exported["Error of last week's forecast %"].dropna().tolist() == [pytest.approx(error)]
    assert "Error of last week's forecast" in set(measures.pivot(table)["Measure"])


def last_weeks_error(db, run):
    """The page's weekly table of the total, and what is exported of it."""
    total = [int(forecast.series_index(db, run.id)["series_id"].iloc[0])]
    table = measures.grid(
        forecast.history_daily(db, run, total),
        forecast.forecast_daily(db, run.id, total),
        forecast.forecast_weekly(db, run.id, total),
        forecast.last_week_forecast(db, run.id, total),
        last_day=pd.Timestamp(run.last_day),
        grain="week",
    )
    return table, measures.export(table, "week", "units")


def small_frame(db, sql):
    with db.read() as connection:
        return pd.DataFrame(connection.execute(text(sql)).mappings().all())


def test_old_runs_are_thinned_to_weekly_sums(small):
    """The newest run of each week of data stays, whatever day the data end on: here a Wednesday."""
    done = [do_refresh(small)["run_id"] for _ in range(4)]
    with small.transaction() as connection:
        connection.execute(text(f"UPDATE run SET last_day = last_day - 7 WHERE id <= {done[1]}"))
    runs.thin(small, keep=1)
    assert count(small, "SELECT array_agg(DISTINCT run_id) FROM forecast") == [done[3]]
    assert count(small, "SELECT array_agg(id ORDER BY id) FROM run WHERE status = 'ready'") == [done[1], done[3]]
    assert count(small, "SELECT array_agg(DISTINCT run_id) FROM forecast_week") == [done[1], done[3]]
    assert count(small, "SELECT array_agg(DISTINCT run_id) FROM stock_projection") == [done[3]]
    assert count(small, "SELECT array_agg(DISTINCT run_id) FROM stock_advice WHERE inputs IS NOT NULL") == [done[3]]
    assert count(small, "SELECT count(*) FROM forecast_log") > 0


def test_a_run_knows_what_its_writing_took(demo_db):
    summary = forecast.current_run(demo_db).summary
    assert summary["seconds"]["Writing the forecasts"] > 0
    assert summary["peak_memory_mb"] > 0


def test_what_was_scored_is_scored_again_when_the_truth_is_corrected(small):
    do_refresh(small)
    later = generate(2, 2, 0, 2, LAST_DAY + dt.timedelta(days=14))["sales_daily"]
    new = later[pd.to_datetime(later["date_id"]).dt.date > LAST_DAY]
    load_frames(small, {"sales_daily": new}, source="test", accept=True)
    do_refresh(small)
    logged = (
        "SELECT week, actual, scored_at FROM forecast_log WHERE scored_at IS NOT NULL AND level = 'total'"
        " AND lag_weeks = 1"
    )
    before = small_frame(small, logged).iloc[0]
    days = pd.to_datetime(new["date_id"])
    week = new[(days >= pd.Timestamp(before["week"])) & (days < pd.Timestamp(before["week"]) + pd.Timedelta(7, "D"))]
    right = week.assign(sales_units=week["sales_units"] + 10)
    load_frames(small, {"sales_daily": right}, source="test", accept=True)
    do_refresh(small)
    after = small_frame(small, logged).iloc[0]
    assert after["actual"] == pytest.approx(before["actual"] + 10 * len(week))
    assert after["scored_at"] == before["scored_at"]


def test_a_published_week_is_not_measured_against_a_day_whose_data_are_wrong(small, monkeypatch):
    do_refresh(small)
    later = generate(2, 2, 0, 2, LAST_DAY + dt.timedelta(days=14))["sales_daily"]
    new = later[pd.to_datetime(later["date_id"]).dt.date > LAST_DAY]
    load_frames(small, {"sales_daily": new}, source="test", accept=True)
    do_refresh(small)
    logged = "SELECT week, actual, bias FROM forecast_log WHERE level = 'total' AND lag_weeks = 1 ORDER BY week LIMIT 1"
    before = small_frame(small, logged).iloc[0]
    read = verdicts.read_panel

    def told(*where, **how):
        panel = read(*where, **how)
        wrong = np.zeros(panel.units.shape, bool)
        wrong[:, int((np.datetime64(before["week"], "D") - panel.first_day).astype(int))] = True
        return replace(panel, doubtful=wrong, wrong=wrong)

    monkeypatch.setattr(verdicts, "read_panel", told)
    do_refresh(small)
    meanwhile = small_frame(small, logged).iloc[0]
    monkeypatch.undo()
    do_refresh(small)
    after = small_frame(small, logged).iloc[0]
    assert before["actual"] > 0
    assert pd.isna(meanwhile["actual"])
    assert pd.isna(meanwhile["bias"])
    assert (after["actual"], after["bias"]) == (before["actual"], before["bias"])


def test_packed_days_come_back_as_they_were():
    rng = np.random.default_rng(0)
    units = np.where(rng.random(50) < 0.1, np.nan, rng.gamma(2, 100, 50)).astype(np.float32)
    promotion = np.where(rng.random(50) < 0.2, np.nan, rng.random(50))
    stockout = rng.random(50) < 0.1
    frame = runs.unpack_history(runs.pack_history(units, np.ones(50), promotion, stockout, 3 * units))
    assert np.array_equal(frame["units"], units.astype(float), equal_nan=True)
    assert np.array_equal(frame["revenue"], (3 * units).astype(float), equal_nan=True)
    assert frame["promotion"].to_numpy() == pytest.approx(promotion, abs=0.003, nan_ok=True)
    assert (frame["open"] == 1).all()
    assert np.array_equal(frame["stockout"], stockout)
    parts = rng.normal(size=(5, 50)) * 1000
    assert runs.unpack_parts(runs.pack_parts(parts), 5) == pytest.approx(parts, abs=0.1)

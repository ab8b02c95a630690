"""The refresh: everything is computed for every series, checked, and shown at once as one immutable run."""

from __future__ import annotations

import hashlib
import json
import logging
import resource
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from trendcast import __version__
from trendcast.errors import Conflict, TrendCastError
from trendcast.features.calendar import to_date
from trendcast.services import money, verdicts

if TYPE_CHECKING:
    from trendcast.forecasting.forecaster import Forecaster, Publication
    from trendcast.panel import Panel
    from trendcast.services.progress import Progress
    from trendcast.services.runtime import Clock
    from trendcast.store.engine import Database

log = logging.getLogger("trendcast.refresh")

PARTS = ("trend", "yearly", "weekly", "holidays", "promotions")  # and `rest`, which is what they leave
RECENT_DAYS = 56
COVERAGE_LEAST = 0.5  # measured coverage of the 80 % band below which there is a warning
COVERAGE_POINTS = 200  # and how many points that takes
# What a run holds beside its forecasts: stage -> a module of services with
# ``compute(db, engine, publication) -> computed`` and ``write(db, connection, run_id, ids, node, computed)``: id and
# ``node`` (row of the hierarchy's nodes) of each series written. One that fails in
# either is told of; the forecast stands.
CONTRIBUTIONS: dict[str, str] = {
    "Learning the drivers": "trendcast.services.drivers",
    "Deciding on stock": "trendcast.services.recommend",
}
BLOCK = 256  # series whose decomposition is in memory at once


class Stages:
    """Names, times and progress of the stages of a refresh."""

    def __init__(self, progress: Progress) -> None:
        self.progress = progress
        self.seconds: dict[str, float] = {}
        self._started = 0.0

    @contextmanager
    def stage(self, name: str, total: int = 1) -> Iterator[Callable[[int], None]]:
        self._started = time.perf_counter()
        self.progress(name, 0, total)
        yield lambda done: self.progress(name, done, total)
        self.progress(name, total, total)
        self.so_far(name)

    def so_far(self, name: str) -> None:
        """Note what the stage at work has taken until now."""
        self.seconds[name] = round(time.perf_counter() - self._started, 2)


def refresh(
    db: Database,
    clock: Clock,
    progress: Progress,
    token: str,
    *,
    members: Sequence[str] = (),
    show: bool = True,
    memory: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Compute and publish a run; returns its id, seconds by stage and memory.

    ``token`` is the lease the caller holds (see trendcast.jobs): without it nothing is published. ``progress(stage,
    done, total)``. ``members``: names of those that speak, all when empty. ``show=False``: the run is kept and logged,
    but readers go on seeing the one before (the demo retailer's past Mondays). ``memory``: what refreshes of
    one process share while only later days are added between them (Forecaster.recall). Raises Conflict when nothing is
    loaded, TrendCastError when the run fails its checks; the run that was shown before stays shown.
    """
    from trendcast.forecasting import forecaster as forecasting
    from trendcast.forecasting.backtest import all_names, measure
    from trendcast.forecasting.members import MEMBERS
    from trendcast.store import runs

    stages = Stages(progress)
    with stages.stage("Reading the sales"):
        with db.read() as connection:
            facts = db.rows("data_range", connection=connection)[0]
            if not facts["n_rows"]:
                raise Conflict("There are no sales to forecast: load data first.")
            panel = verdicts.read_panel(db, connection)
        engine = forecasting.Forecaster(
            panel,
            members=[member for member in MEMBERS if not members or member.name in members],
            on_progress=lambda stage, done, total: progress("Fitting the models", done, total),
        )
        if memory is not None:
            engine.recall(memory)
    run_id = runs.begin(
        db,
        kind="full" if set(MEMBERS) <= set(engine.member_table) else "quick",
        first_day=to_date(panel.first_day),
        last_day=to_date(panel.last_day),
        horizon=engine.horizon,
        data_batch_hi=facts["newest_batch"] or 0,
        code_version=__version__,
        params_hash=parameters_hash(engine),
        token=token,
    )
    try:
        with stages.stage("Fitting the models"):
            engine.prepare([panel.history])
        with stages.stage("Combining and calibrating"):
            publication = engine.publish(panel.history)
        if memory is not None:
            engine.keep(memory)
        with stages.stage("Measuring the accuracy"):
            metrics = all_names(measure(engine, publication), engine.hierarchy.aliases)
        computed = _contributions(db, engine, publication, stages)
        with stages.stage("Writing the forecasts"):
            summary = _write(db, run_id, token, engine, publication, metrics, computed, stages, show)
    except TrendCastError as error:
        db.execute("run_fail", run_id=run_id, error=str(error))
        raise
    except Exception as error:
        db.execute("run_fail", run_id=run_id, error=f"{type(error).__name__}: {error}")
        raise
    with stages.stage("Telling what came of decisions"):
        _score_decisions(db, clock, run_id)
    with stages.stage("Thinning old runs"):
        runs.thin(db)
    return {"run_id": run_id, **summary, "seconds": stages.seconds}


def _score_decisions(db: Database, clock: Clock, run_id: int) -> None:
    """Outcomes of decisions whose time has come; the published run stands whatever happens here."""
    from trendcast.services import decisions, forecast

    try:
        decisions.score_outcomes(db, clock, forecast.run_info(db, run_id))
    except Exception:
        log.exception("The outcomes of decisions could not be told")


def coverage_warnings(metrics: pd.DataFrame, levels: Iterable[str]) -> list[str]:
    """What to say when the bands of the finest of ``levels`` (coarsest first) held far too seldom in the backtest."""
    if "coverage80" not in metrics:
        return []
    finest = list(levels)[-1]
    chosen = metrics[
        (metrics["level"] == finest) & (metrics["model"] == "combination") & (metrics["horizon_week"] == 0)
    ]
    chosen = chosen[(chosen["quantile_n"] >= COVERAGE_POINTS) & (chosen["coverage80"] < COVERAGE_LEAST)]
    return [
        f"The bands are too narrow: in the past, days fell into the 80 % band only {100 * share:.0f} % of the time."
        for share in chosen["coverage80"]
    ]


def parameters_hash(engine: Forecaster) -> str:
    """Changes when the forecast would differ on the same data: members, horizon, version."""
    facts = {"version": __version__, "horizon": engine.horizon, "members": [m.name for m in engine.member_table]}
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]


def _write(
    db: Database,
    run_id: int,
    token: str,
    engine: Forecaster,
    publication: Publication,
    metrics: pd.DataFrame,
    computed: dict[str, Any],
    stages: Stages,
    show: bool,
) -> dict[str, Any]:
    """Everything of the run in one transaction, ending with its publication: a killed refresh leaves nothing."""
    from trendcast.store import runs

    panel = engine.known_at(publication.history)
    named = engine.hierarchy.named()
    node = named["node"].to_numpy()
    ahead = panel.first_day + publication.history
    days = ahead + np.arange(engine.horizon)
    summing = engine.hierarchy.summing
    price = money.unit_prices(engine.bottom, summing)
    daily_money = money.ahead(engine.bottom, publication.means[engine.hierarchy.aggregates :], summing)
    weekly_money = (
        np.stack([daily_money[:, m : m + 7].sum(axis=1) for m in publication.weeks], axis=1)
        if len(publication.weeks)
        else np.zeros((len(daily_money), 0))
    )
    failures = {
        **engine.failures,
        **{stage: _failure(error) for stage, error in computed.items() if isinstance(error, Exception)},
    }
    summary = {
        "levels": {str(level): int(count) for level, count in named["level"].value_counts(sort=False).items()},
        "members": [member.name for member in engine.member_table],
        "labels": {member.name: member.label for member in engine.member_table},
        "failures": failures,
        "warnings": coverage_warnings(metrics, named["level"].unique()),
        "reconciled": publication.reconciled,
        "measured": publication.measured,
        "origins": [str(panel.first_day + (origin - 1)) for origin in publication.origins],
        "parts": list(PARTS) if "structural" in publication.extras else [],
        "has_money": bool(np.isfinite(price).any()),
        "promotion_known_until": _promotion_known_until(engine.bottom),
        "seconds": stages.seconds,
    }
    with db.transaction() as connection:
        ids = runs.series_ids(db, connection, named)
        lost = _lost(computed)
        _write_series(db, connection, run_id, ids, node, panel, publication, engine, price, lost)
        runs.write_forecast(
            db,
            connection,
            "forecast",
            run_id,
            ids,
            days,
            publication.means[node],
            publication.quantiles[node],
            daily_money[node],
        )
        runs.write_forecast(
            db,
            connection,
            "forecast_week",
            run_id,
            ids,
            ahead + publication.weeks,
            publication.weekly_means[node],
            publication.weekly_quantiles[node],
            weekly_money[node],
        )
        _write_backtest(db, connection, run_id, ids, node, engine, publication)
        _write_metrics(db, connection, run_id, metrics)
        failures.update(_write_contributions(db, connection, run_id, ids, node, computed))
        actuals = weekly_actuals(panel, ids, node)
        summary["scored"] = runs.score(db, connection, to_date(panel.last_day), actuals)
        summary["peak_memory_mb"] = int(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
        stages.so_far("Writing the forecasts")
        runs.publish(db, connection, run_id, token, len(ids), engine.horizon, summary, show=show)
    return summary


def _lost(computed: dict[str, Any]) -> np.ndarray | None:
    """Units of the bottom series that stock-outs turned away (B, history), where the stock room has told."""
    return next((found.lost for found in computed.values() if getattr(found, "lost", None) is not None), None)


def _contributions(db: Database, engine: Forecaster, publication: Publication, stages: Stages) -> dict[str, Any]:
    """What each of CONTRIBUTIONS computed, by stage; the exception of one that failed."""
    computed: dict[str, Any] = {}
    for stage, module in CONTRIBUTIONS.items():
        with stages.stage(stage):
            try:
                computed[stage] = import_module(module).compute(db, engine, publication)
            except Exception as error:
                log.exception("A part of the refresh failed: %s", stage)
                computed[stage] = error
    return computed


def _write_contributions(
    db: Database, connection: Any, run_id: int, ids: np.ndarray, node: np.ndarray, computed: dict[str, Any]
) -> dict[str, str]:
    """Write what was computed; the stages whose writing failed, and why. What such a one wrote is undone."""
    failures: dict[str, str] = {}
    for stage, found in computed.items():
        if isinstance(found, Exception):
            continue
        try:
            with connection.begin_nested():
                import_module(CONTRIBUTIONS[stage]).write(db, connection, run_id, ids, node, found)
        except Exception as error:
            log.exception("A part of the refresh could not be written: %s", stage)
            failures[stage] = _failure(error)
    return failures


def _failure(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"


def _write_series(
    db: Database,
    connection: Any,
    run_id: int,
    ids: np.ndarray,
    node: np.ndarray,
    panel: Panel,
    publication: Publication,
    engine: Forecaster,
    price: np.ndarray,
    lost: np.ndarray | None,
) -> None:
    import pyarrow as pa

    from trendcast.store import runs

    history, stop = publication.history, publication.history + publication.means.shape[1]
    observed = np.isfinite(panel.units[:, :history])
    first = np.where(observed.any(axis=1), observed.argmax(axis=1), 0)
    recent = np.nan_to_num(panel.units[:, max(history - RECENT_DAYS, 0) : history]).mean(axis=1)
    members = list(publication.extras)
    structural = publication.extras.get("structural", {})
    decompose = structural.get("components")
    bottom_money = money.past(engine.bottom)
    lost_money = None if lost is None else money.lost(engine.bottom, lost)
    for start in range(0, len(ids), BLOCK):
        block = slice(start, start + BLOCK)
        rows = node[block]
        booked = np.full((len(rows), stop), np.nan)
        booked[:, :history] = money.added(bottom_money, engine.hierarchy.summing[rows])
        parts: list[bytes | None] = [None] * len(rows)
        if decompose is not None:
            named_parts = decompose(0, stop, rows)
            stacked = np.stack([named_parts[part] for part in PARTS], axis=1)
            parts = [runs.pack_parts(one) for one in stacked]
        histories = [
            runs.pack_history(
                np.where(np.arange(stop) < history, panel.units[i, :stop], np.nan),
                panel.open[i, :stop],
                panel.promotion[i, :stop],
                panel.stockout[i, :stop],
                booked[n],
            )
            for n, i in enumerate(rows)
        ]
        turned_away: list[bytes | None] = [None] * len(rows)
        if lost is not None and lost_money is not None:
            summing = engine.hierarchy.summing[rows]
            in_money = money.added(lost_money, summing)
            turned_away = [runs.pack_lost(*pair) for pair in zip(summing @ lost, in_money, strict=True)]
        weights = [
            json.dumps({name: round(float(w), 4) for name, w in zip(members, publication.weights[i], strict=False)})
            for i in rows
        ]
        table = {
            "run_id": pa.array(np.full(len(rows), run_id)),
            "series_id": pa.array(ids[block]),
            "first_day": pa.array((panel.first_day + first[rows]).astype("datetime64[D]")),
            "days_observed": pa.array(observed[rows].sum(axis=1)),
            "recent_units": pa.array(recent[rows]),
            "unit_price": pa.array(price[rows], from_pandas=True),
            "weights": pa.array(weights),
            "history": runs.hex_rows(histories),
            "parts": runs.hex_rows(parts),
            "lost": runs.hex_rows(turned_away),
        }
        db.copy_in(connection, "run_series", list(table), pa.table(table))


def _write_backtest(
    db: Database,
    connection: Any,
    run_id: int,
    ids: np.ndarray,
    node: np.ndarray,
    engine: Forecaster,
    publication: Publication,
) -> None:
    import pyarrow as pa

    from trendcast.forecasting.forecaster import with_closed_days
    from trendcast.forecasting.metrics import weekly as weekly_sums
    from trendcast.store import runs

    if not publication.origins:
        return
    starts = np.arange(0, publication.means.shape[1] - 6, 7)
    panel, sold = engine.known_at(publication.history), engine.sold_after(publication)
    actual = weekly_sums(with_closed_days(sold, panel, publication.origins), starts).swapaxes(0, 1)
    mean = weekly_sums(publication.past_means, starts).swapaxes(0, 1)
    members = np.moveaxis(weekly_sums(publication.past_members, starts), 2, 0)
    table = {
        "run_id": pa.array(np.full(len(ids), run_id)),
        "series_id": pa.array(ids),
        "actual": runs.hex_rows(runs.pack_floats(actual[i]) for i in node),
        "mean": runs.hex_rows(runs.pack_floats(mean[i]) for i in node),
        "members": runs.hex_rows(runs.pack_floats(members[i]) for i in node),
    }
    db.copy_in(connection, "backtest", list(table), pa.table(table))


def _write_metrics(db: Database, connection: Any, run_id: int, metrics: pd.DataFrame) -> None:
    if metrics.empty:
        return
    keys = ["level", "model", "horizon_week"]
    figures = [name for name in metrics.columns if name not in keys]
    rows = metrics[keys].assign(
        run_id=run_id,
        metrics=[
            {name: None if pd.isna(value) else float(value) for name, value in zip(figures, row, strict=True)}
            for row in metrics[figures].itertuples(index=False, name=None)
        ],
    )
    db.copy_in(connection, "backtest_metric", ["run_id", *keys, "metrics"], rows)


def weekly_actuals(panel: Panel, ids: np.ndarray, node: np.ndarray) -> pd.DataFrame:
    """Units sold per series and whole week of the last 26 weeks: series_id, week (Monday), actual. Days without a row
    on which the series was closed count as zero; NaN is a week with another day that is not known, or wrong."""
    last = panel.history - 1
    day = (panel.first_day + np.arange(panel.history)).astype("datetime64[D]").astype(int)
    mondays = [m for m in np.flatnonzero((day - 4) % 7 == 0) if m + 6 <= last][-26:]
    units = panel.sold[:, : panel.history]
    units = np.where(np.isnan(units) & (panel.open[:, : panel.history] <= 0), 0.0, units)
    frames = [
        pd.DataFrame(
            {
                "series_id": ids,
                "week": (panel.first_day + np.timedelta64(int(m), "D")).astype("datetime64[us]"),
                "actual": units[node, m : m + 7].sum(axis=1),
            }
        )
        for m in mondays
    ]
    empty = pd.DataFrame({"series_id": ids[:0], "week": np.array([], "datetime64[us]"), "actual": np.zeros(0)})
    return pd.concat([empty, *frames], ignore_index=True)


def _promotion_known_until(bottom: Panel) -> str | None:
    """The last day of the promotion plan, or None when nothing is planned beyond the data."""
    planned = np.isfinite(bottom.promotion[:, bottom.history :]).any(axis=0)
    return str(bottom.first_day + bottom.history + int(np.flatnonzero(planned)[-1])) if planned.any() else None

"""Cached reads: the only module with st.cache_*.

Everything is keyed by the run's id and by plain values (names, dates, a unit), never by a frame: a run is immutable, so
what is keyed by it stays true for a day, and it is what pages show while the database is away. Figures and indexes are
shared between sessions as they are (``cache_resource``); nobody may change them.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import pandas as pd
import streamlit as st

from trendcast.errors import DatabaseAway, InvalidInput, NotFound
from trendcast.services import findings, incidents, what_if
from trendcast.services.review_figures import Figures, Scope
from trendcast.services.review_parts import Review
from trendcast.services.scenarios import Saved
from trendcast.services.what_if import Baseline
from trendcast.ui import charts, measures, numbers, scores, text, who
from trendcast.ui.catalogue import Catalogue, choice_of
from trendcast.ui.figure import Figure
from trendcast.ui.live import LiveProvider
from trendcast.ui.memory import CurrentRun, Recent, Standing
from trendcast.ui.provider import Choice, Provider

DAY = 86_400
DECIDED = 30  # seconds: an answer may be of a decision that another process has taken back since
MANY = 24  # up to so many series of one selection are explained part by part

provider: Provider = LiveProvider()


@st.cache_resource(ttl=None, max_entries=1, show_spinner=False)
def _holder() -> CurrentRun:
    return CurrentRun(lambda: provider.current_run())


def standing(*, fresh: bool = False) -> Standing:
    """The current run, asked at most every second per process (``fresh``: now)."""
    return _holder().get(fresh=fresh)


@st.cache_data(ttl=60, max_entries=64, show_spinner=False)
def run_days() -> list[dt.date]:
    """The last days of the published runs, newest first."""
    return provider.run_days()


@st.cache_resource(ttl=DAY, max_entries=64, show_spinner=False)
def _run_as_of(day: dt.date, current: int) -> Any:
    return provider.run_as_of(day)


def run_as_of(day: dt.date, current: int) -> Any:
    """The run that was current at the end of ``day`` (the last one whose data ended on it or before)."""
    return _holder().note(_run_as_of(day, current))


# --- the series of a run -------------------------------------------------------------------------------------------


@st.cache_resource(ttl=DAY, max_entries=16, show_spinner=False)
def catalogue(run_id: int) -> Catalogue:
    """The series of a run and what can be chosen among them."""
    return Catalogue(provider.series_index(run_id))


@st.cache_resource(ttl=DAY, max_entries=512, show_spinner=False)
def series(run_id: int, choice: Choice) -> pd.DataFrame:
    """The rows of the series index a choice means."""
    return provider.resolve(catalogue(run_id).index, choice)


def _ids(run_id: int, choice: Choice) -> list[int]:
    return [int(i) for i in series(run_id, choice)["series_id"]]


def prices(run: Any, series_id: int) -> pd.Series:
    """Money per unit of one series, by day, past and ahead; NaN where unknown or where nothing is sold."""
    past = provider.history_daily(run, [series_id]).set_index("date_id")
    ahead = provider.forecast_daily(run.id, [series_id]).set_index("date_id")
    return pd.concat([(past["revenue"] / past["units"]).where(past["units"] > 0), ahead["price"]])


# --- the measures of a selection -----------------------------------------------------------------------------------


@st.cache_resource(ttl=DAY, max_entries=256, show_spinner=False)
def table(run_id: int, choice: Choice, unit: str, grain: str) -> pd.DataFrame:
    """measures.grid of the selection over all time: twelve whole weeks ahead, per week or per day."""
    run = _holder().run(run_id)
    history, daily, weekly, logged = _inputs(run_id, choice)
    last_day = pd.Timestamp(run.last_day)
    grid = measures.grid(history, daily, weekly, logged, last_day=last_day, grain=grain, unit=unit)
    return grid[grid["date"] <= pd.Timestamp(last_week(run.last_day)) + pd.Timedelta(6 if grain == "day" else 0, "D")]


@st.cache_resource(ttl=DAY, max_entries=128, show_spinner=False)
def _inputs(run_id: int, choice: Choice) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    ids = _ids(run_id, choice)
    run = _holder().run(run_id)
    history = provider.history_daily(run, ids)
    # What is known of the days ahead belongs to the same picture: Christmas is coming.
    ahead = provider.plan_daily(run, ids).merge(provider.events_daily(run, ids), on="date_id", how="outer")
    ahead = ahead[ahead["date_id"] > pd.Timestamp(run.last_day)]
    return (
        pd.concat([history, ahead], ignore_index=True) if len(ahead) else history,
        provider.forecast_daily(run_id, ids),
        provider.forecast_weekly(run_id, ids),
        provider.last_week_forecast(run_id, ids),
    )


def last_week(last_day: dt.date) -> dt.date:
    """The Monday of the twelfth whole week after the last day of data."""
    first = last_day + dt.timedelta(days=7 - last_day.weekday() if last_day.weekday() < 6 else 1)
    return first + dt.timedelta(weeks=11)


@st.cache_data(ttl=DAY, max_entries=256, show_spinner=False)
def finding(run_id: int, choice: Choice, unit: str) -> str:
    """services.findings.finding: the selection's number in a sentence."""
    return provider.finding(_holder().run(run_id), choice, unit)


@st.cache_data(ttl=DAY, max_entries=256, show_spinner=False)
def kpis(run_id: int, choice: Choice, unit: str) -> measures.Kpis:
    """The figures above the chart, from the selection's weeks."""
    return measures.kpis(table(run_id, choice, unit, "week"))


@st.cache_data(ttl=DAY, max_entries=256, show_spinner=False)
def series_accuracy(run_id: int, choice: Choice) -> dict[str, Any]:
    """services.forecast.series_accuracy of the selection; what was measured under its level's other name is taken from
    there."""
    found = provider.series_accuracy(run_id, _ids(run_id, choice))
    if found.get("coverage80") is None:  # measured under the level's other name
        overall = accuracy(run_id, choice.level)
        overall = overall[(overall["model"] == scores.OURS) & (overall["horizon_week"] == 0)]
        for name, column in scores.MEASURED.items():
            value = overall[column].iloc[0] if len(overall) and column in overall else None
            found[name] = float(value) if value is not None and value == value else None
    return found


@st.cache_data(ttl=DAY, max_entries=64, show_spinner=False)
def accuracy(run_id: int, level: str) -> pd.DataFrame:
    """The backtest's figures of a level."""
    return provider.accuracy(run_id, level)


@st.cache_resource(ttl=DAY, max_entries=256, show_spinner=False)
def forecast_figure(
    run_id: int,
    choice: Choice,
    unit: str,
    grain: str,
    first: dt.date,
    last: dt.date,
    dark: bool,
    marks: tuple[measures.Mark, ...] = (),
    with_truth: bool = False,
) -> tuple[Figure, str]:
    """The ready chart of history and forecast, with its anomalies and, of the demo, the truth."""
    run = _holder().run(run_id)
    held = scores.held(series_accuracy(run_id, choice), grain)
    shown = measures.thin(on_view(run_id, choice, unit, grain, first, last))
    return charts.forecast_chart(
        shown,
        grain=grain,
        unit=unit,
        dark=dark,
        last_day=pd.Timestamp(run.last_day),
        coverage80=held.share80,
        coverage95=held.share95,
        marks=measures.marked(shown, marks, grain),
        truth=measures.true_demand(truth(run_id, choice), shown, grain) if with_truth and unit == "units" else None,
    )


def marks(run_id: int, choice: Choice) -> tuple[measures.Mark, ...]:
    """The anomalies of the selection's own series, newest first; none for more than MANY series."""
    ids = _ids(run_id, choice)
    if len(ids) > MANY:
        return ()

    def ask() -> tuple[measures.Mark, ...]:
        frame = provider.marks(_holder().run(run_id), ids)
        return tuple(
            measures.Mark(pd.Timestamp(row.date_id).date(), row.impact, row.headline, int(row.incident_id), row.status)
            for row in frame.sort_values("date_id", ascending=False).itertuples()
            if row.incident_id == row.incident_id
        )

    found: tuple[measures.Mark, ...] = _recent().get(("inbox", "of", run_id, choice), ask)
    return found


@st.cache_data(ttl=DECIDED, max_entries=256, show_spinner=False)
def _recommendations(run_id: int, choice: Choice, settled: tuple[str, ...]) -> list[dict[str, Any]]:
    return provider.recommendations(_holder().run(run_id), series(run_id, choice))


def recommendations(run_id: int, choice: Choice) -> list[dict[str, Any]]:
    """services.recommend.for_selection: what is still to do about the selection, most money first."""
    return _recommendations(run_id, choice, settled(run_id))


@st.cache_resource(ttl=DAY, max_entries=128, show_spinner=False)
def on_view(run_id: int, choice: Choice, unit: str, grain: str, first: dt.date, last: dt.date) -> pd.DataFrame:
    """The rows of the selection's table between the weeks chosen, both included."""
    end = pd.Timestamp(last) + pd.Timedelta(6 if grain == "day" else 0, "D")
    return measures.window(table(run_id, choice, unit, grain), pd.Timestamp(first), end)


@st.cache_resource(ttl=DAY, max_entries=64, show_spinner=False)
def numbers_table(
    run_id: int, choice: Choice, unit: str, grain: str, first: dt.date, last: dt.date, near: bool, dark: bool
) -> numbers.Table:
    """The table of measures as it is shown."""
    rows = on_view(run_id, choice, unit, grain, first, last)
    return numbers.build(rows, grain=grain, near=near, dark=dark)


@st.cache_resource(ttl=DAY, max_entries=64, show_spinner=False)
def accuracy_table(run_id: int, level: str) -> pd.DataFrame:
    """The backtest's figures of a level, as they are shown."""
    return scores.accuracy_table(accuracy(run_id, level))


@st.cache_data(ttl=DAY, max_entries=128, show_spinner=False)
def made_of(run_id: int, choice: Choice, unit: str) -> str:
    """What moves the selection's number in the weeks ahead, a sentence."""
    found = parts(run_id, choice, unit)
    if found is None:
        return ""
    ahead = found[found["date"] > pd.Timestamp(_holder().run(run_id).last_day)].head(84)
    sums = ahead.drop(columns="date").sum()
    return findings.made_of({name: float(value) for name, value in sums.items()}, charts.COMPONENTS, unit)


@st.cache_resource(ttl=DAY, max_entries=128, show_spinner=False)
def parts(run_id: int, choice: Choice, unit: str) -> pd.DataFrame | None:
    """What the selection's number is made of, per day; None for more than MANY series."""
    ids = _ids(run_id, choice)
    if len(ids) > MANY:
        return None
    run = _holder().run(run_id)
    total: pd.DataFrame | None = None
    for i in ids:
        frame = provider.components_daily(run, i).set_index("date_id").astype(float)
        if unit == "money":  # each day at its own price, so that the parts add up to what is shown above
            # On a day without sales the parts cancel out, at any price.
            frame = frame.mul(prices(run, i).reindex(frame.index).ffill().bfill(), axis=0)
        total = frame if total is None else total.add(frame, fill_value=0.0)
    if total is None:
        return None
    return total.rename_axis("date").reset_index()


@st.cache_resource(ttl=DAY, max_entries=128, show_spinner=False)
def price_of_days(run_id: int, choice: Choice) -> pd.Series:
    """``prices`` of the one series chosen."""
    return prices(_holder().run(run_id), _ids(run_id, choice)[0])


@st.cache_resource(ttl=DAY, max_entries=128, show_spinner=False)
def parts_figure(
    run_id: int, choice: Choice, unit: str, grain: str, first: dt.date, last: dt.date, dark: bool
) -> tuple[Figure, str] | None:
    """The chart of ``parts`` and its text; None where there are too many series."""
    found = parts(run_id, choice, unit)
    if found is None:
        return None
    run = _holder().run(run_id)
    shown = measures.window(found, pd.Timestamp(first), pd.Timestamp(last) + pd.Timedelta(6, "D"))
    if grain == "week":
        shown = measures.by_week(shown)
    return charts.decomposition_chart(
        measures.thin(shown), unit=unit, dark=dark, last_day=pd.Timestamp(run.last_day), grain=grain
    )


# --- jobs, looks and what is loaded: short-lived ----------------------------------------------------------------------


@st.cache_data(ttl=1.5, max_entries=64, show_spinner=False)
def slot(slot_id: int) -> dict[str, Any]:
    """services.jobs.slot."""
    return provider.slot(slot_id)


@st.cache_data(ttl=1.5, max_entries=4, show_spinner=False)
def slots(limit: int = 50, name: str = "") -> pd.DataFrame:
    """services.jobs.slots: the newest first."""
    return provider.slots(limit, name)


@st.cache_data(ttl=20, max_entries=1, show_spinner=False)
def _is_demo() -> bool:
    return provider.is_demo()


def is_demo() -> bool:
    """Whether the data are the demo retailer's; while the database is away nobody can tell."""
    try:
        return _is_demo()
    except DatabaseAway:
        return False


@st.cache_resource(ttl=DAY, max_entries=64, show_spinner=False)
def truth(run_id: int, choice: Choice) -> pd.DataFrame:
    """services.demo.truth_daily of a selection: what only the demo retailer knows."""
    return provider.truth_daily(_holder().run(run_id), _ids(run_id, choice))


@st.cache_data(ttl=5, max_entries=1, show_spinner=False)
def worker_alive() -> bool:
    """services.health.worker_alive."""
    return provider.worker_alive()


@st.cache_data(ttl=5, max_entries=1, show_spinner=False)
def worker_seen() -> dt.datetime | None:
    """services.health.worker_seen."""
    return provider.worker_seen()


def enqueue(name: str, arguments: dict[str, Any]) -> int:
    """Start a job; the caches of jobs forget. A look changes nothing; other jobs are a planner's."""
    who.must("viewer" if name == "look" else "planner")
    slot_id = provider.enqueue(name, arguments)
    slots.clear()
    return slot_id


def try_again(slot_id: int) -> int:
    """Ask once more for what a job that failed for good was to do."""
    who.must("planner")
    again = provider.try_again(slot_id)
    for cached in (slots, timetable, failed_jobs):
        cached.clear()
    return again


@st.cache_data(ttl=DAY, max_entries=256, show_spinner=False)
def _look(run_id: int, series_id: int, kind: str) -> dict[str, Any]:
    result = provider.read_look(run_id, series_id, kind)
    if result is None:
        raise NotFound("This look has not been made yet.")  # an exception is not cached: the next read asks again
    return result


@st.cache_data(ttl=1.5, max_entries=256, show_spinner=False)
def _look_now(run_id: int, series_id: int, kind: str) -> dict[str, Any] | None:
    try:
        return _look(run_id, series_id, kind)
    except NotFound:
        return None


def look(run_id: int, series_id: int, kind: str) -> dict[str, Any] | None:
    """The stored look at one series by a reference model, or None when nobody has asked for it yet."""
    return _look_now(run_id, series_id, kind)


@st.cache_data(ttl=5, max_entries=4, show_spinner=False)
def loaded_tables() -> pd.DataFrame:
    """services.overview.tables."""
    return provider.tables()


@st.cache_data(ttl=5, max_entries=4, show_spinner=False)
def batches(limit: int = 200) -> pd.DataFrame:
    """services.overview.batches."""
    return provider.batches(limit)


@st.cache_data(ttl=5, max_entries=16, show_spinner=False)
def quarantine(batch_id: int | None, limit: int = 500) -> pd.DataFrame:
    """services.overview.quarantine."""
    return provider.quarantine(batch_id, limit)


@st.cache_data(ttl=5, max_entries=1, show_spinner=False)
def timetable() -> pd.DataFrame:
    """services.timetable.timetable."""
    return provider.timetable()


@st.cache_data(ttl=5, max_entries=1, show_spinner=False)
def failed_jobs() -> pd.DataFrame:
    """services.timetable.failed."""
    return provider.failed_jobs()


@st.cache_data(ttl=5, max_entries=4, show_spinner=False)
def runs(limit: int = 50) -> pd.DataFrame:
    """services.overview.runs."""
    return provider.runs(limit)


# --- the anomaly inbox and stock decisions: they change under one's hands ---------------------------------------------


@st.cache_resource(ttl=None, max_entries=1, show_spinner=False)
def _recent() -> Recent:
    return Recent()


def recent(key: tuple[Any, ...], ask: Callable[[], Any]) -> Any:
    """What is remembered under a key, whose first part is its room, or else the answer of ``ask``."""
    return _recent().get(key, ask)


def forget_recent(room: str) -> None:
    """Ask again what is remembered of a room."""
    _recent().expire(room)


def inbox(
    statuses: tuple[str, ...],
    impacts: tuple[str, ...] = (),
    kinds: tuple[str, ...] = (),
    categories: tuple[str, ...] = (),
    regions: tuple[str, ...] = (),
    stores: tuple[str, ...] = (),
    since: dt.date | None = None,
    snoozed: bool | None = None,
) -> pd.DataFrame:
    """services.incidents.inbox."""
    asked = {
        "statuses": statuses,
        "impacts": impacts,
        "kinds": kinds,
        "categories": categories,
        "regions": regions,
        "stores": stores,
        "since": since,
        "snoozed": snoozed,
    }
    return _recent().get(("inbox", "list", *asked.values()), lambda: provider.inbox(**asked))


def inbox_counts() -> dict[str, Any]:
    """services.incidents.counts."""
    return _recent().get(("inbox", "counts"), lambda: provider.inbox_counts())


def inbox_finding() -> str:
    """services.incidents.finding."""
    return _recent().get(("inbox", "finding"), lambda: provider.inbox_finding())


def incident(incident_id: int) -> dict[str, Any]:
    """services.incidents.incident."""
    return _recent().get(("inbox", "one", incident_id), lambda: provider.incident(incident_id))


def move(incident_id: int, action: str, **how: Any) -> dict[str, Any]:
    """services.incidents.move; what the inbox shows is read again, also when somebody else was faster."""
    who.must("planner")
    try:
        return provider.move(incident_id, action, **how)
    finally:
        _recent().expire("inbox", "review")


def forget_inbox() -> None:
    """Read the inbox again: something new may be in it."""
    _recent().expire("inbox", "review")


@st.cache_resource(ttl=DAY, max_entries=128, show_spinner=False)
def expected_days(run_id: int, series_id: int, first: dt.date, last: dt.date) -> pd.DataFrame:
    """services.usual_range.days: history and what was expected of each day, one series."""
    return provider.expected_days(_holder().run(run_id), series_id, first, last)


@st.cache_resource(ttl=DAY, max_entries=64, show_spinner=False)
def plain_rule(run_id: int, series_id: int, days: int) -> pd.DataFrame:
    """The rule of the specification as written, on one series."""
    return provider.plain_rule(_holder().run(run_id), [series_id], days)


def marked_days(run_id: int, series_id: int) -> list[pd.Timestamp]:
    """The days of exactly this series that are in the anomaly log."""
    frame = _recent().get(
        ("inbox", "marks", run_id, series_id), lambda: provider.marks(_holder().run(run_id), [series_id])
    )
    return [pd.Timestamp(day) for day in frame["date_id"]]


def series_choice(run_id: int, series_id: int) -> Choice:
    """The choice that means one series."""
    return choice_of(catalogue(run_id).index, series_id)


@st.cache_resource(ttl=DAY, max_entries=32, show_spinner=False)
def advice(run_id: int, categories: tuple[str, ...] = ()) -> pd.DataFrame:
    """services.recommend.advice."""
    return provider.advice(run_id, categories)


def settled(run_id: int) -> tuple[str, ...]:
    """services.decisions.settled, sorted; what is told of a run's advice changes with it."""
    found: tuple[str, ...] = _recent().get(
        ("decisions", "settled", run_id), lambda: tuple(sorted(provider.settled(run_id)))
    )
    return found


@st.cache_resource(ttl=DECIDED, max_entries=32, show_spinner=False)
def _stock_summary(run_id: int, settled: tuple[str, ...]) -> dict[str, Any]:
    return provider.stock_summary(run_id)


def stock_summary(run_id: int) -> dict[str, Any]:
    """services.recommend.summary."""
    return _stock_summary(run_id, settled(run_id))


@st.cache_data(ttl=DECIDED, max_entries=32, show_spinner=False)
def _stock_finding(run_id: int, settled: tuple[str, ...]) -> str:
    return provider.stock_finding(run_id)


def stock_finding(run_id: int) -> str:
    """services.recommend.finding."""
    return _stock_finding(run_id, settled(run_id))


@st.cache_data(ttl=DAY, max_entries=256, show_spinner=False)
def stock_finding_of(run_id: int, category: str) -> str:
    """services.recommend.finding_category."""
    return provider.stock_finding_of(run_id, category)


@st.cache_resource(ttl=DAY, max_entries=128, show_spinner=False)
def projection(run_id: int, category: str) -> pd.DataFrame:
    """services.recommend.projection."""
    return provider.projection(run_id, category)


@st.cache_resource(ttl=DAY, max_entries=128, show_spinner=False)
def stock_history(run_id: int, category: str, days: int) -> pd.DataFrame:
    """services.recommend.stock_history."""
    return provider.stock_history(_holder().run(run_id), category, days)


@st.cache_data(ttl=DAY, max_entries=256, show_spinner=False)
def recalculated(run_id: int, category: str, changes: tuple[tuple[str, float], ...]) -> dict[str, Any]:
    """The advice with other parameters, nothing stored: services.recommend.recalculate."""
    return provider.recalculate(_holder().run(run_id), category, dict(changes))


def decisions(categories: tuple[str, ...] = (), limit: int = 200) -> pd.DataFrame:
    """services.decisions.log."""
    return _recent().get(("decisions", categories, limit), lambda: provider.decisions(categories, limit))


def decide(**decision: Any) -> int:
    """services.decisions.decide; the log is read again."""
    who.must("planner")
    try:
        return provider.decide(**decision)
    finally:
        _recent().expire("decisions", "review")


# --- the weekly review -----------------------------------------------------------------------------------------------


@st.cache_resource(ttl=DAY, max_entries=64, show_spinner=False)
def _review_figures(run_id: int, scope: Scope) -> Figures:
    return provider.review_figures(_holder().run(run_id), scope)


def review(run_id: int, scope: Scope, unit: str) -> Review:
    """services.review.review: what the run decides is kept, what people change is asked again."""
    today = incidents.today()
    return _recent().get(
        ("review", run_id, scope, unit, today),
        lambda: provider.review(_holder().run(run_id), today, unit, _review_figures(run_id, scope)),
    )


# --- what if ---------------------------------------------------------------------------------------------------------

SIMULATED = 200  # up to so many series of one selection are simulated at once


@st.cache_resource(ttl=DAY, max_entries=64, show_spinner=False)
def what_if_baseline(run_id: int, choice: Choice) -> Baseline:
    """services.what_if.baseline of the selection: what a simulation needs, read once; the weeks every page shows."""
    ids = _ids(run_id, choice)
    if len(ids) > SIMULATED:
        raise InvalidInput(
            f"{text.count(len(ids), 'series', 'series')} are too many to try at once: choose up to "
            f"{text.full(SIMULATED)}, or a level above."
        )
    run = _holder().run(run_id)
    found: Baseline = provider.what_if_baseline(run, ids)
    return what_if.through(found, last_week(run.last_day) + dt.timedelta(days=6))


def scenarios() -> list[Saved]:
    """services.scenarios.listed."""
    found: list[Saved] = _recent().get(("scenarios",), provider.scenarios)
    return found


def scenario(scenario_id: int) -> Saved:
    """services.scenarios.read."""
    found: Saved = _recent().get(("scenarios", scenario_id), lambda: provider.scenario(scenario_id))
    return found


def save_scenario(**what: Any) -> int:
    """services.scenarios.save; the list is read again."""
    who.must("planner")
    try:
        return provider.save_scenario(**what)
    finally:
        _recent().expire("scenarios")


def archive_scenario(scenario_id: int) -> None:
    """services.scenarios.archive; the list is read again."""
    who.must("planner")
    try:
        provider.archive_scenario(scenario_id)
    finally:
        _recent().expire("scenarios")


# --- accuracy --------------------------------------------------------------------------------------------------------


@st.cache_data(ttl=DAY, max_entries=8, show_spinner=False)
def accuracy_all(run_id: int) -> pd.DataFrame:
    """The backtest's figures of every level."""
    return provider.accuracy(run_id, None)


@st.cache_resource(ttl=DAY, max_entries=16, show_spinner=False)
def accuracy_exceptions(run_id: int) -> pd.DataFrame:
    """services.accuracy.exceptions."""
    return provider.accuracy_exceptions(_holder().run(run_id))


@st.cache_resource(ttl=DAY, max_entries=64, show_spinner=False)
def triangle(run_id: int, choice: Choice) -> pd.DataFrame:
    """services.accuracy.triangle of the selection."""
    return provider.triangle(_holder().run(run_id), _ids(run_id, choice))


@st.cache_resource(ttl=DAY, max_entries=64, show_spinner=False)
def published_errors(run_id: int, choice: Choice) -> pd.DataFrame:
    """services.accuracy.by_lag of the selection's series."""
    return provider.published_errors(_holder().run(run_id), choice.level, _ids(run_id, choice))


@st.cache_resource(ttl=DAY, max_entries=64, show_spinner=False)
def segments(run_id: int, choice: Choice) -> pd.DataFrame:
    """services.accuracy.segments of the selection's series."""
    return provider.segments(_holder().run(run_id), _ids(run_id, choice))


# --- data quality, features, settings, uploads -----------------------------------------------------------------------


def quality() -> Any:
    """services.quality.quality: asked again when a batch came."""
    return _quality(_newest_batch())


def _newest_batch() -> int:
    frame = batches(200)
    return int(frame["id"].max()) if len(frame) else 0


@st.cache_resource(ttl=3600, max_entries=4, show_spinner="Looking at every series…")
def _quality(newest_batch: int) -> Any:
    return provider.quality()


@st.cache_resource(ttl=3600, max_entries=8, show_spinner=False)
def _feature_rows(newest_batch: int, categories: tuple[str, ...], regions: tuple[str, ...]) -> pd.DataFrame:
    return provider.feature_rows(categories, regions)


def feature_rows(categories: tuple[str, ...], regions: tuple[str, ...]) -> pd.DataFrame:
    """The rows of sql/feature_rows.sql for some categories and regions."""
    return _feature_rows(_newest_batch(), categories, regions)


def settings_table() -> pd.DataFrame:
    """The settings as they are: services.overview.settings_table."""
    return provider.settings_table()


def holdings() -> str:
    """Whose data is loaded: none, demo or own."""
    return provider.holdings()


@st.cache_resource(ttl=1800, max_entries=4, show_spinner="Reading the file…")
def upload_cells(sha256: str, name: str, sheet: str, _data: bytes) -> Any:
    """services.upload_cells.read of an uploaded file."""
    from trendcast.services import upload_cells as cells

    return cells.read(name, _data, sheet)


@st.cache_resource(ttl=1800, max_entries=4, show_spinner=False)
def upload_reading(sha256: str, sheet: str, _cells: Any) -> Any:
    """How the file is most likely meant: as a file of its shape was read last time, else services.upload.propose; and
    whether it was remembered."""
    from trendcast.services import upload

    try:
        known = provider.upload_recall(_cells)
    except DatabaseAway:
        known = None
    return (known, True) if known is not None else (upload.propose(_cells), False)


@st.cache_resource(ttl=1800, max_entries=8, show_spinner="Understanding the rows…")
def upload_table(sha256: str, sheet: str, reading: Any, _cells: Any) -> Any:
    """services.upload.table: the file's rows as sales."""
    from trendcast.services import upload

    return upload.table(_cells, reading)


def upload_load(cells: Any, reading: Any, parsed: Any, **how: Any) -> Any:
    """Load an uploaded file; whatever is cached of what is loaded is read again."""
    who.must("planner")
    try:
        return provider.upload_load(cells, reading, parsed, **how)
    finally:
        forget_loaded()


def forget_loaded() -> None:
    """Whatever is cached of what is loaded is read again."""
    for cached in (loaded_tables, batches, quarantine, runs, upload_reading, slots):
        cached.clear()
    standing(fresh=True)


def upload_leave(cells: Any, data: bytes, reading: Any) -> int | None:
    """Hand an uploaded file to a worker where this process may not load it; the number of the job, else None."""
    who.must("planner")
    return provider.upload_leave(cells, data, reading, who.actor())


def upload_accept(slot_id: int) -> int:
    """services.upload_job.accept."""
    who.must("planner")
    return provider.upload_accept(slot_id, who.actor())


def upload_newest() -> dict[str, Any] | None:
    """The job of the file that this person left to a worker last."""
    return provider.upload_newest(who.actor().name)

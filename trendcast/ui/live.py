"""The real answers to the dashboard's questions: services on this process's database."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pandas as pd

from trendcast.ui.provider import Choice


class LiveProvider:
    """Asks the services; opens the database with the first question. Each method is one service call."""

    @property
    def db(self) -> Any:
        from trendcast.services import runtime

        return runtime.database()

    def startup(self) -> Any:
        from trendcast.services import runtime

        return runtime.startup()

    def current_run(self) -> Any:
        from trendcast.services import forecast

        return forecast.current_run(self.db.pulse)

    def run_as_of(self, day: dt.date) -> Any:
        from trendcast.services import overview

        return overview.run_as_of(self.db, day)

    def run_days(self) -> list[dt.date]:
        from trendcast.services import overview

        return overview.run_days(self.db)

    def series_index(self, run_id: int) -> pd.DataFrame:
        from trendcast.services import forecast

        return forecast.series_index(self.db, run_id)

    def resolve(self, index: pd.DataFrame, choice: Choice) -> pd.DataFrame:
        from trendcast.services import forecast

        return forecast.resolve(index, _selection(choice))

    def forecast_daily(self, run_id: int, series_ids: list[int]) -> pd.DataFrame:
        from trendcast.services import forecast

        return forecast.forecast_daily(self.db, run_id, series_ids)

    def forecast_weekly(self, run_id: int, series_ids: list[int]) -> pd.DataFrame:
        from trendcast.services import forecast

        return forecast.forecast_weekly(self.db, run_id, series_ids)

    def history_daily(self, run: Any, series_ids: list[int]) -> pd.DataFrame:
        from trendcast.services import forecast

        return forecast.history_daily(self.db, run, series_ids)

    def components_daily(self, run: Any, series_id: int) -> pd.DataFrame:
        from trendcast.services import forecast

        return forecast.components_daily(self.db, run, series_id)

    def accuracy(self, run_id: int, level: str | None) -> pd.DataFrame:
        from trendcast.services import forecast

        return forecast.accuracy(self.db, run_id, level)

    def series_accuracy(self, run_id: int, series_ids: list[int]) -> dict[str, Any]:
        from trendcast.services import forecast

        return forecast.series_accuracy(self.db, run_id, series_ids)

    def last_week_forecast(self, run_id: int, series_ids: list[int]) -> pd.DataFrame:
        from trendcast.services import forecast

        return forecast.last_week_forecast(self.db, run_id, series_ids)

    def plan_daily(self, run: Any, series_ids: list[int]) -> pd.DataFrame:
        from trendcast.services import overview

        return overview.plan_daily(self.db, run, series_ids)

    def events_daily(self, run: Any, series_ids: list[int]) -> pd.DataFrame:
        from trendcast.services import forecast

        return forecast.events_daily(self.db, run, series_ids)

    def finding(self, run: Any, choice: Choice, unit: str) -> str:
        from trendcast.services import findings

        return findings.finding(self.db, run, _selection(choice), unit)

    def read_look(self, run_id: int, series_id: int, kind: str) -> dict[str, Any] | None:
        from trendcast.services import looks

        return looks.read_look(self.db, run_id, series_id, kind)

    def enqueue(self, name: str, arguments: dict[str, Any]) -> int:
        from trendcast.services import jobs

        return jobs.enqueue(self.db, name, arguments)

    def slots(self, limit: int, name: str = "") -> pd.DataFrame:
        from trendcast.services import jobs

        return jobs.slots(self.db, limit, name)

    def slot(self, slot_id: int) -> dict[str, Any]:
        from trendcast.services import jobs

        return dict(jobs.slot(self.db, slot_id))

    def is_demo(self) -> bool:
        from trendcast.services import demo

        return demo.is_demo(self.db)

    def truth_daily(self, run: Any, series_ids: list[int]) -> pd.DataFrame:
        from trendcast.services import demo

        return demo.truth_daily(self.db, run, series_ids)

    def worker_alive(self) -> bool:
        from trendcast.services import health

        return health.worker_alive(self.db)

    def worker_seen(self) -> dt.datetime | None:
        from trendcast.services import health

        return health.worker_seen(self.db)

    def tables(self) -> pd.DataFrame:
        from trendcast.services import overview

        return overview.tables(self.db)

    def batches(self, limit: int) -> pd.DataFrame:
        from trendcast.services import overview

        return overview.batches(self.db, limit)

    def quarantine(self, batch_id: int | None, limit: int) -> pd.DataFrame:
        from trendcast.services import overview

        return overview.quarantine(self.db, batch_id, limit)

    def runs(self, limit: int) -> pd.DataFrame:
        from trendcast.services import overview

        return overview.runs(self.db, limit)

    def timetable(self) -> pd.DataFrame:
        from trendcast import settings
        from trendcast.services import timetable

        return timetable.timetable(self.db, settings.load())

    def failed_jobs(self) -> pd.DataFrame:
        from trendcast.services import timetable

        return timetable.failed(self.db)

    def try_again(self, slot_id: int) -> int:
        from trendcast.services import timetable

        return timetable.try_again(self.db, slot_id)

    # --- the anomaly inbox ---

    def inbox(self, **wanted: Any) -> pd.DataFrame:
        from trendcast.services import incidents

        return incidents.inbox(self.db, **wanted)

    def inbox_counts(self) -> dict[str, Any]:
        from trendcast.services import incidents

        return incidents.counts(self.db)

    def inbox_finding(self) -> str:
        from trendcast.services import incidents

        return incidents.finding(self.db)

    def incident(self, incident_id: int) -> dict[str, Any]:
        from trendcast.services import incidents

        return incidents.incident(self.db, incident_id)

    def move(self, incident_id: int, action: str, **how: Any) -> dict[str, Any]:
        from trendcast.services import incidents, runtime

        return incidents.move(self.db, runtime.clock, incident_id, action, **how)

    def marks(self, run: Any, series_ids: list[int]) -> pd.DataFrame:
        from trendcast.services import incidents

        return incidents.marks(self.db, run, series_ids)

    def expected_days(self, run: Any, series_id: int, first: dt.date, last: dt.date) -> pd.DataFrame:
        from trendcast.services import usual_range

        return usual_range.days(self.db, run, series_id, first, last)

    def plain_rule(self, run: Any, series_ids: list[int], days: int) -> pd.DataFrame:
        from trendcast.services import plain_rule

        return plain_rule.plain_rule(self.db, run, series_ids, days)

    # --- stock and the decisions on it ---

    def advice(self, run_id: int, categories: tuple[str, ...]) -> pd.DataFrame:
        from trendcast.services import recommend

        return recommend.advice(self.db, run_id, categories)

    def stock_summary(self, run_id: int) -> dict[str, Any]:
        from trendcast.services import recommend

        return recommend.summary(self.db, run_id)

    def stock_finding(self, run_id: int) -> str:
        from trendcast.services import recommend

        return recommend.finding(self.db, run_id)

    def stock_finding_of(self, run_id: int, category: str) -> str:
        from trendcast.services import recommend

        return recommend.finding_category(self.db, run_id, category)

    def projection(self, run_id: int, category: str) -> pd.DataFrame:
        from trendcast.services import recommend

        return recommend.projection(self.db, run_id, category)

    def stock_history(self, run: Any, category: str, days: int) -> pd.DataFrame:
        from trendcast.services import recommend

        return recommend.stock_history(self.db, run, category, days)

    def recalculate(self, run: Any, category: str, changes: dict[str, float]) -> dict[str, Any]:
        from trendcast.services import recommend

        return recommend.recalculate(self.db, run, category, **changes)

    def decisions(self, categories: tuple[str, ...], limit: int) -> pd.DataFrame:
        from trendcast.services import decisions

        return decisions.log(self.db, categories=categories, limit=limit)

    def settled(self, run_id: int) -> frozenset[str]:
        from trendcast.services import decisions

        return decisions.settled(self.db, run_id)

    def decide(self, **decision: Any) -> int:
        from trendcast.services import decisions, runtime

        return decisions.decide(self.db, runtime.clock, **decision)

    def review_figures(self, run: Any, scope: Any) -> Any:
        from trendcast.services import review

        return review.figures(self.db, run, scope)

    def review(self, run: Any, today: dt.date, unit: str, figures: Any) -> Any:
        from trendcast.services import review

        return review.review(self.db, run, today=today, unit=unit, known=figures)

    # --- what if ---

    def what_if_baseline(self, run: Any, series_ids: list[int]) -> Any:
        from trendcast.services import what_if

        return what_if.baseline(self.db, run, series_ids)

    def scenarios(self) -> list[Any]:
        from trendcast.services import scenarios

        return list(scenarios.listed(self.db))

    def scenario(self, scenario_id: int) -> Any:
        from trendcast.services import scenarios

        return scenarios.read(self.db, scenario_id)

    def save_scenario(self, **scenario: Any) -> int:
        from trendcast.services import scenarios

        choice = scenario.pop("choice")
        return scenarios.save(self.db, selection=_selection(choice), **scenario)

    def archive_scenario(self, scenario_id: int) -> None:
        from trendcast.services import scenarios

        scenarios.archive(self.db, scenario_id)

    def accuracy_exceptions(self, run: Any) -> pd.DataFrame:
        from trendcast.services import accuracy

        return accuracy.exceptions(self.db, run)

    def triangle(self, run: Any, series_ids: list[int]) -> pd.DataFrame:
        from trendcast.services import accuracy

        return accuracy.triangle(self.db, run, series_ids)

    def published_errors(self, run: Any, level: str, series_ids: list[int]) -> pd.DataFrame:
        from trendcast.services import accuracy

        return accuracy.by_lag(self.db, run, level, series_ids)

    def segments(self, run: Any, series_ids: list[int]) -> pd.DataFrame:
        from trendcast.services import accuracy

        return accuracy.segments(self.db, run, series_ids)

    def quality(self) -> Any:
        from trendcast.services import quality

        return quality.quality(self.db)

    def feature_rows(self, categories: tuple[str, ...], regions: tuple[str, ...]) -> pd.DataFrame:
        from trendcast.services import overview

        return overview.feature_rows(self.db, categories, regions)

    def settings_table(self) -> pd.DataFrame:
        from trendcast.services import overview

        return overview.settings_table()

    def holdings(self) -> str:
        from trendcast.services import upload

        return upload.holdings(self.db)

    def upload_recall(self, cells: Any) -> Any:
        from trendcast.services import upload

        return upload.recall(self.db, cells)

    def upload_load(self, cells: Any, reading: Any, parsed: Any, **how: Any) -> Any:
        from trendcast.services import runtime, upload

        return upload.load(self.db, cells, reading, parsed, clock=runtime.clock, **how)

    def upload_leave(self, cells: Any, data: bytes, reading: Any, person: Any) -> int | None:
        from trendcast.services import upload_job

        if not upload_job.needed(self.db):
            return None
        return upload_job.leave(self.db, cells, data, reading, person=person)

    def upload_accept(self, slot_id: int, person: Any) -> int:
        from trendcast.services import upload_job

        return upload_job.accept(self.db, slot_id, person=person)

    def upload_newest(self, who: str) -> dict[str, Any] | None:
        from trendcast.services import upload_job

        return upload_job.newest(self.db, who)

    @property
    def alerts(self) -> Any:
        from trendcast.ui.alert_reads import Alerts

        return Alerts()

    def recommendations(self, run: Any, index_rows: pd.DataFrame) -> list[dict[str, Any]]:
        from trendcast.services import recommend

        return recommend.for_selection(self.db, run, index_rows)


def _selection(choice: Choice) -> Any:
    from trendcast.services.forecast import Selection

    return Selection(level=choice.level, categories=choice.categories, regions=choice.regions, stores=choice.stores)

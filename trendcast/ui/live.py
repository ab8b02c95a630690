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

        return forecast.current_run(self.db)

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

    def slots(self, limit: int) -> pd.DataFrame:
        from trendcast.services import jobs

        return jobs.slots(self.db, limit)

    def slot(self, slot_id: int) -> dict[str, Any]:
        from trendcast.services import jobs

        return dict(jobs.slot(self.db, slot_id))

    def worker_alive(self) -> bool:
        from trendcast.services import health

        return health.worker_alive(self.db)

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


def _selection(choice: Choice) -> Any:
    from trendcast.services.forecast import Selection

    return Selection(level=choice.level, categories=choice.categories, regions=choice.regions, stores=choice.stores)

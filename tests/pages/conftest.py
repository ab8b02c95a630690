"""A made-up retailer behind the dashboard's seam: small, quick, the same on every run."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from trendcast.errors import DatabaseAway, NoRun, NotFound
from trendcast.services.forecast import LEVELS, QUANTILES, RunInfo, Selection, resolve
from trendcast.services.runtime import Startup

ROOT = Path(__file__).resolve().parents[2]

LAST = dt.date(2026, 9, 27)  # a Sunday
FIRST = dt.date(2024, 1, 1)
HORIZON = 91
Z = {
    "q025": -1.96,
    "q05": -1.645,
    "q10": -1.282,
    "q25": -0.674,
    "q50": 0.0,
    "q75": 0.674,
    "q90": 1.282,
    "q95": 1.645,
    "q975": 1.96,
}


class FakeRetailer:
    """Answers every question of ui.provider.Provider. Switches: ``away``, ``empty``, ``loaded``, ``slot_rows``."""

    def __init__(
        self,
        categories: tuple[str, ...] = ("Clothing", "Electronics", "Home & Garden"),
        regions: tuple[str, ...] = ("HB,NI", "HE"),
        stores: int = 2,
        last: dt.date = LAST,
        published: dt.datetime | None = None,
        money: bool = True,
    ) -> None:
        self.away, self.empty, self.loaded, self.starting = False, False, True, Startup()
        self.slot_rows: list[dict[str, Any]] = []
        self.working = True
        self.look_results: dict[tuple[int, int, str], dict[str, Any]] = {}
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.reads = 0
        self.run_info = RunInfo(
            id=7,
            kind="quick",
            first_day=FIRST,
            last_day=last,
            horizon=HORIZON,
            n_series=0,
            published_at=published or dt.datetime.combine(last, dt.time(6, 12), dt.UTC) + dt.timedelta(days=1),
            has_money=money,
            newer_data=False,
            failed_since=None,
            summary={"members": ["structural", "naive7", "naive364"]},
        )
        rows = [("total", "", "", "")]
        rows += [("region", "", r, "") for r in regions]
        names = [(r, f"S{i * stores + j + 1:04d}") for i, r in enumerate(regions) for j in range(stores)]
        rows += [("store", "", r, s) for r, s in names]
        rows += [("category", c, "", "") for c in categories]
        rows += [("category_region", c, r, "") for c in categories for r in regions]
        rows += [("category_store", c, r, s) for c in categories for r, s in names]
        self.index = pd.DataFrame(rows, columns=["level", "product_category", "region", "store"])
        self.index.insert(0, "series_id", np.arange(1, len(rows) + 1))
        bottoms = len(categories) * len(names)
        share = {
            "total": bottoms,
            "region": bottoms / len(regions),
            "store": len(categories),
            "category": len(names),
            "category_region": stores,
            "category_store": 1,
        }
        self.index["recent_units"] = self.index["level"].map(share).astype(float) * 100
        self.index["unit_price"] = 2.5 if money else np.nan
        self.run_info = RunInfo(**{**vars(self.run_info), "n_series": len(rows)})

    def _ask(self) -> None:
        self.reads += 1
        if self.away:
            raise DatabaseAway("The database cannot be reached.")

    def worker_alive(self) -> bool:
        return self.working

    def startup(self) -> Startup:
        return self.starting

    def current_run(self) -> RunInfo:
        self._ask()
        if self.empty:
            raise NoRun
        return self.run_info

    def run_days(self) -> list[dt.date]:
        return [self.run_info.last_day, self.run_info.last_day - dt.timedelta(days=7)]

    def run_as_of(self, day: dt.date) -> RunInfo:
        if day < self.run_info.last_day - dt.timedelta(days=7):
            raise NotFound(f"No forecast had been published by {day.isoformat()}.")
        earlier = self.run_info.last_day - dt.timedelta(days=7)
        return RunInfo(**{**vars(self.run_info), "id": 6, "last_day": earlier})

    def series_index(self, run_id: int) -> pd.DataFrame:
        self._ask()
        return self.index

    def resolve(self, index: pd.DataFrame, choice: Any) -> pd.DataFrame:
        return resolve(index, Selection(choice.level, choice.categories, choice.regions, choice.stores))

    def _mean(self, series_ids: list[int], dates: pd.DatetimeIndex) -> np.ndarray:
        base = float(self.index.set_index("series_id").loc[series_ids, "recent_units"].sum())
        season = 1 + 0.25 * np.sin(2 * np.pi * (dates.day_of_year.to_numpy() - 80) / 365.25)
        week = np.array([0.9, 0.9, 0.95, 1.0, 1.2, 1.4, 0.65])[dates.day_of_week]
        return base * season * week * (1 + 0.0002 * (dates - pd.Timestamp(FIRST)).days.to_numpy())

    def _ahead(self) -> pd.DatetimeIndex:
        return pd.date_range(self.run_info.last_day + dt.timedelta(days=1), periods=HORIZON)

    def forecast_daily(self, run_id: int, series_ids: list[int]) -> pd.DataFrame:
        self._ask()
        dates = self._ahead()
        mean = self._mean(series_ids, dates)
        frame = pd.DataFrame({"date_id": dates, "mean": mean})
        if len(series_ids) == 1:
            for name in QUANTILES:
                frame[name] = np.maximum(0, mean * (1 + 0.12 * Z[name]))
        return self._priced(frame)

    def _priced(self, frame: pd.DataFrame) -> pd.DataFrame:
        price = float(self.index["unit_price"].iloc[0])
        return frame.assign(money=frame["mean"] * price, price=price)

    def forecast_weekly(self, run_id: int, series_ids: list[int]) -> pd.DataFrame:
        self._ask()
        daily = self.forecast_daily(run_id, series_ids)
        daily["week"] = daily["date_id"] - pd.to_timedelta(daily["date_id"].dt.day_of_week, unit="D")
        grouped = daily.groupby("week")["mean"]
        frame = grouped.sum()[grouped.size() == 7].reset_index()
        for name in QUANTILES:
            frame[name] = np.maximum(0, frame["mean"] * (1 + 0.05 * Z[name] * np.sqrt(1 + np.arange(len(frame)) / 4)))
        return self._priced(frame)

    def history_daily(self, run: RunInfo, series_ids: list[int]) -> pd.DataFrame:
        self._ask()
        dates = pd.date_range(run.first_day, run.last_day)
        noise = np.random.default_rng(sum(series_ids)).normal(1, 0.06, len(dates))
        promotion = ((dates.isocalendar().week.to_numpy() % 5) == 0).astype(float)
        units = self._mean(series_ids, dates) * noise * (1 + 0.3 * promotion)
        christmas = (dates.month == 12) & (dates.day == 25)
        return pd.DataFrame(
            {
                "date_id": dates,
                "units": np.where(christmas, 0, units),
                "revenue": np.where(christmas, 0, units) * 2.5,
                "promotion": promotion,
                "open": np.where(christmas, 0.0, 1.0),
                "stockout": (dates >= "2026-06-02") & (dates <= "2026-06-11"),
                "events": np.where(
                    christmas, "Christmas", np.where((dates.month == 5) & (dates.day == 1), "Labour Day", "")
                ),
            }
        )

    def plan_daily(self, run: RunInfo, series_ids: list[int]) -> pd.DataFrame:
        dates = self._ahead()
        return pd.DataFrame({"date_id": dates, "promotion": 0.0, "open": 1.0}).assign(
            promotion=(dates.day < 8).astype(float)
        )

    def events_daily(self, run: RunInfo, series_ids: list[int]) -> pd.DataFrame:
        return pd.DataFrame(
            {"date_id": pd.to_datetime(["2026-10-03"]).astype("datetime64[us]"), "events": ["Unity Day"]}
        )

    def components_daily(self, run: RunInfo, series_id: int) -> pd.DataFrame:
        history = self.history_daily(run, [series_id])
        ahead = self.forecast_daily(run.id, [series_id])
        dates = pd.DatetimeIndex([*history["date_id"], *ahead["date_id"]])
        value = np.concatenate([history["units"], ahead["mean"]])
        base = float(self.index.set_index("series_id").loc[series_id, "recent_units"])
        parts = pd.DataFrame({"date_id": dates, "trend": base * (1 + 0.0002 * np.arange(len(dates)))})
        parts["weekly"] = base * (np.array([0.9, 0.9, 0.95, 1.0, 1.2, 1.4, 0.65])[dates.day_of_week] - 1)
        parts["yearly"] = base * 0.25 * np.sin(2 * np.pi * (dates.day_of_year.to_numpy() - 80) / 365.25)
        parts["holidays"] = np.where((dates.month == 12) & (dates.day == 25), -base, 0.0)
        parts["promotions"] = np.concatenate([history["promotion"] * 0.3 * base, np.zeros(len(ahead))])
        parts["rest"] = value - parts.drop(columns="date_id").sum(axis=1).to_numpy()
        return parts

    def accuracy(self, run_id: int, level: str | None) -> pd.DataFrame:
        self._ask()
        models = (("combination", 0.081), ("structural", 0.088), ("naive7", 0.142), ("naive364", 0.119))
        return pd.DataFrame(
            [
                {
                    "level": name,
                    "model": model,
                    "horizon_week": week,
                    "wape": wape * 1.5,
                    "wape_weekly": wape * (1 + week / 40),
                    "bias": -0.004,
                    "n": 312.0,
                    "coverage80": 0.791 if model == "combination" else np.nan,
                    "coverage95": 0.944 if model == "combination" else np.nan,
                    "quantile_n": 312.0,
                    "coverage80_weekly": 0.823 if model == "combination" else np.nan,
                    "coverage95_weekly": 0.961 if model == "combination" else np.nan,
                    "quantile_weeks": 45.0,
                }
                for model, wape in models
                for week in range(13)
                for name in ([level] if level else [n for n in LEVELS if n != "store"])
            ]
        )

    def series_accuracy(self, run_id: int, series_ids: list[int]) -> dict[str, Any]:
        self._ask()
        return {
            "weeks": 72,
            "origins": 6,
            "wape": {"combination": 0.081, "naive7": 0.142, "naive364": 0.119},
            "bias": {"combination": -0.004},
            "by_week": [0.08] * 13,
            "best_naive": "naive364",
            "skill": 0.319,
            "level": "total",
            "coverage80": 0.791,
            "coverage95": 0.944,
            "points": 312.0,
            "coverage80_weekly": 0.823,
            "coverage95_weekly": 0.961,
            "weeks_measured": 45.0,
        }

    def last_week_forecast(self, run_id: int, series_ids: list[int]) -> pd.DataFrame:
        weekly = self.forecast_weekly(run_id, series_ids)[["week", "mean", "money"]]
        return weekly.assign(mean=weekly["mean"] * 0.98, money=weekly["money"] * 0.98).iloc[:-1]

    def finding(self, run: RunInfo, choice: Any, unit: str) -> str:
        self._ask()
        rows = self.resolve(self.index, choice)
        name = " ".join(str(v) for v in rows.iloc[0][["product_category", "region", "store"]] if v) or "All categories"
        return f"{name}: 12 weeks ahead, 4 % more than the same weeks last year."

    def read_look(self, run_id: int, series_id: int, kind: str) -> dict[str, Any] | None:
        return self.look_results.get((run_id, series_id, kind))

    def enqueue(self, name: str, arguments: dict[str, Any]) -> int:
        self._ask()
        self.asked.append((name, arguments))
        self.slot_rows.insert(
            0,
            {
                "id": len(self.asked),
                "name": name,
                "state": "queued",
                "progress": {},
                "error": None,
                "started_at": None,
            },
        )
        return len(self.asked)

    def slots(self, limit: int) -> pd.DataFrame:
        self._ask()
        return pd.DataFrame(self.slot_rows, columns=["id", "name", "state", "progress", "error", "started_at"])

    def slot(self, slot_id: int) -> dict[str, Any]:
        return next(row for row in self.slot_rows if row["id"] == slot_id)

    def tables(self) -> pd.DataFrame:
        self._ask()
        columns = ["table_name", "batches", "first_day", "last_day", "rows_merged", "rows_quarantined", "committed_at"]
        row = [
            "sales_daily",
            1,
            pd.Timestamp(FIRST),
            pd.Timestamp(self.run_info.last_day),
            12000,
            3,
            pd.Timestamp.now("UTC"),
        ]
        return pd.DataFrame([row] if self.loaded else [], columns=columns)

    def batches(self, limit: int) -> pd.DataFrame:
        columns = [
            "id",
            "source",
            "table_name",
            "status",
            "reason",
            "first_day",
            "last_day",
            "rows_in",
            "rows_new",
            "rows_changed",
            "rows_quarantined",
            "accepted_by",
            "created_at",
            "committed_at",
        ]
        now = pd.Timestamp.now("UTC")
        row = [
            1,
            "sales_daily.csv",
            "sales_daily",
            "merged",
            None,
            pd.Timestamp(FIRST),
            pd.Timestamp(self.run_info.last_day),
            12003,
            12000,
            0,
            3,
            None,
            now,
            now,
        ]
        return pd.DataFrame([row] if self.loaded else [], columns=columns)

    def quarantine(self, batch_id: int | None, limit: int) -> pd.DataFrame:
        columns = ["batch_id", "table_name", "source", "row_number", "reason", "raw"]
        row = [
            1,
            "sales_daily",
            "sales_daily.csv",
            17,
            "sales_units is negative",
            "2026-01-01,<img src=x onerror=alert(1)>,-3",
        ]
        return pd.DataFrame([row] if self.loaded else [], columns=columns)

    def runs(self, limit: int) -> pd.DataFrame:
        self._ask()
        columns = [
            "id",
            "status",
            "kind",
            "last_day",
            "n_series",
            "created_at",
            "published_at",
            "error",
            "summary",
            "is_current",
        ]
        info = self.run_info
        row = [
            7,
            "ready",
            "quick",
            pd.Timestamp(info.last_day),
            info.n_series,
            info.published_at,
            info.published_at,
            None,
            {"seconds": {"fit": 3.2, "write": 1.1}},
            True,
        ]
        return pd.DataFrame([] if self.empty else [row], columns=columns)


def _forget() -> None:
    import streamlit as st

    st.cache_data.clear()
    st.cache_resource.clear()


@pytest.fixture
def make_retailer(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., FakeRetailer]]:
    """Puts a made-up retailer behind the dashboard for one test; no cache survives it."""
    from trendcast.ui import reads

    def make(**facts: Any) -> FakeRetailer:
        retailer = FakeRetailer(**facts)
        monkeypatch.setattr(reads, "provider", retailer)
        return retailer

    _forget()
    yield make
    _forget()


@pytest.fixture
def retailer(make_retailer: Callable[..., FakeRetailer]) -> FakeRetailer:
    return make_retailer()


def turn_to(app: AppTest, name: str) -> AppTest:
    """The same session on another page."""
    return app.switch_page(str(ROOT / "pages" / f"{name}.py")).run()


@pytest.fixture(name="turn_to")
def turn_to_fixture() -> Callable[[AppTest, str], AppTest]:
    return turn_to


@pytest.fixture
def open_page(make_retailer: Callable[..., FakeRetailer]) -> Callable[..., AppTest]:
    """``open_page("forecasts", level="category", category=["A"])``: the page as a fresh browser gets it."""

    def page(name: str = "forecasts", **parameters: str | list[str]) -> AppTest:
        # Beside a pages/ folder AppTest runs a page without our frame (it resets what the server module sets), so the
        # router runs from a script of its own.
        app = AppTest.from_string("from trendcast.ui import shell\n\nshell.pages().run()", default_timeout=60)
        for key, value in parameters.items():
            app.query_params[key] = value
        app.run()  # the root leads to the forecasts
        return app if name == "forecasts" else turn_to(app, name)

    return page

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

from tests.pages.alerting import MadeUpAlerts
from trendcast import wording
from trendcast.errors import Conflict, DatabaseAway, InvalidInput, NoRun, NotFound
from trendcast.services import incidents, review
from trendcast.services.decisions import SETTLES
from trendcast.services.forecast import LEVELS, QUANTILES, RunInfo, Selection, resolve
from trendcast.services.recommend import ORDERS
from trendcast.services.review_figures import Figures, LagError, Line, Mover, Scope, Volume
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


class Inbox:
    """The anomaly inbox of the made-up retailer: four incidents. Switches: ``incident_rows``, ``checked``, ``faster``
    (somebody else has moved everything meanwhile). What was moved is in ``moved``."""

    checked: dt.datetime | None = dt.datetime(2026, 9, 28, 6, 15, tzinfo=dt.UTC)
    judged: dict[str, int] | None = None
    faster = False

    def _made_up_incidents(self, money: bool) -> list[dict[str, Any]]:
        rows = (
            (1, "NEW", "HIGH", "DEMAND", "drop", "region", "", "HE", "", 412.0, 1120.0, 21_000.0, -1, 6, "", None),
            (2, "ACKNOWLEDGED", "HIGH", "SUPPLY", "zero_run", "category", "Clothing", "", "", 0.0, 380.0, 9_100.0, -1,
             1, "anna", None),
            (3, "NEW", "MEDIUM", "DATA_QUALITY", "missing", "region", "", "HB,NI", "", np.nan, 900.0, np.nan, 0, 1, "",
             None),
            (4, "RESOLVED", "LOW", "DEMAND", "spike", "category_region", "Electronics", "HE", "", 310.0, 200.0, 250.0,
             1, 1, "ben", "expected"),
        )  # fmt: skip
        names = ("incident_id", "status", "impact", "kind", "class", "level", "product_category", "region", "store",
                 "actual", "expected", "loss", "direction", "members", "owner", "disposition")  # fmt: skip
        made = []
        for values in rows:
            row = dict(zip(names, values, strict=True))
            day = LAST - dt.timedelta(days=2 * (row["incident_id"] - 1))
            place = " / ".join(v for v in (row["product_category"], row["region"]) if v)
            made.append(
                row
                | {
                    "version": 1,
                    "day": day,
                    "first_day": day - dt.timedelta(days=1),
                    "low": 0.85 * row["expected"],
                    "high": 1.15 * row["expected"],
                    "score": 4.2,
                    "loss": row["loss"] if money else np.nan,
                    "loss_units": abs(row["expected"] - np.nan_to_num(row["actual"])),
                    "headline": f"{place}: {row['actual']:.0f} sold, {row['expected']:.0f} expected on {day}.",
                    "cause": "possible stock-out" if row["kind"] == "SUPPLY" else "not explained",
                    "age_days": row["incident_id"],
                    "snoozed_until": None,
                    "created_at": dt.datetime(2026, 9, 28, 6, 15, tzinfo=dt.UTC),
                }
            )
        return made

    def inbox(
        self,
        statuses: tuple[str, ...],
        impacts: tuple[str, ...],
        kinds: tuple[str, ...],
        categories: tuple[str, ...],
        regions: tuple[str, ...],
        stores: tuple[str, ...],
        since: dt.date | None,
        snoozed: bool | None = None,
    ) -> pd.DataFrame:
        self._ask()
        today = dt.datetime.now(wording.zone()).date()
        rows = [
            row
            for row in self.incident_rows
            if row["status"] in statuses
            and (not impacts or row["impact"] in impacts)
            and (not kinds or row["kind"] in kinds)
            and (not categories or row["product_category"] in categories)
            and (not regions or row["region"] in regions)
            and (since is None or row["day"] >= since)
            and (snoozed is None or snoozed == (row["snoozed_until"] is not None and row["snoozed_until"] > today))
        ]
        columns = list(self._made_up_incidents(True)[0])
        return pd.DataFrame(rows, columns=columns)

    def inbox_counts(self) -> dict[str, Any]:
        self._ask()
        rows = [row for row in self.incident_rows if row["status"] != "RESOLVED"]
        return {
            "open": len(rows),
            "high": sum(row["impact"] == "HIGH" for row in rows),
            "medium": sum(row["impact"] == "MEDIUM" for row in rows),
            "low": sum(row["impact"] == "LOW" for row in rows),
            "new": sum(row["status"] == "NEW" for row in rows),
            "data_quality": sum(row["kind"] == "DATA_QUALITY" for row in rows),
            "resolved_7d": len(self.incident_rows) - len(rows),
            "last_checked": self.checked,
            "series_checked": 28,
            "days_checked": 56,
            "as_of": LAST,
            **(self.judged or {}),
        }

    def inbox_finding(self) -> str:
        self._ask()
        rows = [row for row in self.incident_rows if row["status"] != "RESOLVED"]
        if not rows and self.judged:
            return "Nothing is open, but nothing could be judged either."
        return f"{rows[0]['headline']} {len(rows)} are open." if rows else "Nothing unusual: 28 series."

    def _incident(self, incident_id: int) -> dict[str, Any]:
        for row in self.incident_rows:
            if row["incident_id"] == incident_id:
                return row
        raise NotFound(f"There is no incident {incident_id}.")

    def incident(self, incident_id: int) -> dict[str, Any]:
        self._ask()
        row = self._incident(incident_id)
        own = {key: row[key] for key in ("level", "product_category", "region", "store", "impact", "class")}
        own |= {"score": 4.2, "share": 1.0, "day": row["day"], "direction": row["direction"]}
        figures = {key: row[key] for key in ("actual", "expected", "low", "high")}
        members = [own | figures | {"loss_units": 2 * row["loss_units"]}]
        if row["level"] == "region" and row["kind"] == "DEMAND":
            for category, share in (("Clothing", 0.5), ("Electronics", 0.3)):
                part = {key: share * value for key, value in members[0].items() if key in (*figures, "loss_units")}
                members.append(own | part | {"level": "category_region", "product_category": category, "share": share})
        days = [
            {"day": f"{day}", "lo": row["low"], "hi": row["high"]}
            | {key: row[key] for key in ("actual", "expected", "impact")}
            for day in (row["first_day"], row["day"])
        ]
        return row | {
            "days": days,
            "anomalies": pd.DataFrame(members),
            "events": pd.DataFrame(
                [(row["created_at"], "TrendCast", "found", None, "NEW", None), *row.get("log", [])],
                columns=["at", "who", "action", "from_status", "to_status", "note"],
            ),
            "similar": pd.DataFrame(
                [
                    (
                        LAST - dt.timedelta(days=200),
                        "HE: 380 sold, 1,090 expected.",
                        "confirmed",
                        "RESOLVED",
                        "A storm.",
                        4,
                    )
                ],
                columns=["first_day", "headline", "disposition", "status", "note", "incident_id"],
            ),
            "rule": ["The day is 63 % below what was expected of it.", "HIGH, because 21,000 are above 5,000."],
            "next_step": "Call the shops of the region.",
            "held": 0,
        }

    def move(self, incident_id: int, action: str, **how: Any) -> dict[str, Any]:
        self._ask()
        row = self._incident(incident_id)
        self.moved.append((incident_id, action, how))
        if self.faster:
            row |= {"status": "RESOLVED", "version": row["version"] + 1}
            raise Conflict("Anna has resolved this incident meanwhile.")
        if action == "expected" and not how.get("note"):
            raise InvalidInput("Write which event it was.")
        before = row["status"]
        if action == "acknowledge" and before == "ACKNOWLEDGED":
            return row | {"changed": False}
        if action == "undo":
            row["status"], row["snoozed_until"] = row.get("was", before), None
        elif action == "snooze":
            row["snoozed_until"] = how["until"]
        else:
            row["was"], row["status"] = before, {"acknowledge": "ACKNOWLEDGED", "reopen": "NEW"}.get(action, "RESOLVED")
        row["version"] += 1
        when = dt.datetime(2026, 9, 28, 7, 0, tzinfo=dt.UTC)
        row["log"] = [*row.get("log", []), (when, how["who"], action, before, row["status"], how.get("note"))]
        return row

    def marks(self, run: RunInfo, series_ids: list[int]) -> pd.DataFrame:
        self._ask()
        days = [pd.Timestamp(LAST - dt.timedelta(days=n)) for n in (1, 20)]
        return pd.DataFrame(
            {
                "date_id": days,
                "actual": [412.0, 300.0],
                "expected": [1120.0, 500.0],
                "impact": ["HIGH", "LOW"],
                "direction": [-1, -1],
                "class": ["drop", "drop"],
                "headline": ["HE: 412 sold, 1,120 expected.", "HE: 300 sold, 500 expected."],
                "incident_id": [1, 4],
                "status": ["NEW", "RESOLVED"],
            }
        )

    def expected_days(self, run: RunInfo, series_id: int, first: dt.date, last: dt.date) -> pd.DataFrame:
        self._ask()
        dates = pd.date_range(first, last)
        mean = self._mean([series_id], dates)
        history = self.history_daily(run, [series_id]).set_index("date_id")["units"]
        return pd.DataFrame(
            {
                "date": dates,
                "actual": history.reindex(dates).to_numpy(),
                "expected": mean,
                "low80": 0.9 * mean,
                "high80": 1.1 * mean,
                "low95": 0.85 * mean,
                "high95": 1.15 * mean,
            }
        )

    def plain_rule(self, run: RunInfo, series_ids: list[int], days: int) -> pd.DataFrame:
        self._ask()
        marked = [pd.Timestamp(LAST - dt.timedelta(days=n)) for n in (1, 5, 9, 300)]
        return pd.DataFrame(
            {"date_id": marked, "actual": 1.0, "expected": 2.0, "score": 2.7, "impact": ["MEDIUM"] * 3 + ["LOW"]}
        )


class Stock:
    """The stock of the made-up retailer. Switches: ``no_stock``. What was decided is in ``decided``."""

    no_stock = False

    def advice(self, run_id: int, categories: tuple[str, ...]) -> pd.DataFrame:
        self._ask()
        names = sorted({c for c in self.index["product_category"] if c})
        kinds = ("order_now", "excess", "ok", "order_soon")
        money = bool(self.run_info.has_money)
        rows = []
        for i, name in enumerate(names):
            status = "unknown" if self.no_stock else kinds[i % 4]
            rows.append(
                {
                    "product_category": name,
                    "status": status,
                    "rank": i + 1,
                    "money": 1480.0 - i if money and status in ("order_now", "excess", "order_soon") else np.nan,
                    "order_quantity": 420.0 if status.startswith("order") else 0.0,
                    "order_by": LAST + dt.timedelta(days=2) if status.startswith("order") else None,
                    "sentence": f"Order 420 units of {name} by Tue 29 Sep 2026.",
                    "tags": ["GROWTH"] if i == 0 else [],
                    "assumed": ["holding cost 25 % of its cost a year"],
                    "on_hand": np.nan if self.no_stock else 510.0,
                    "on_order": 120.0,
                    "stock_ahead": 90.0,
                    "lot": 400.0,
                    "lead_time_days": 9.0,
                    "reorder_point_now": 380.0,
                    "reorder_point": 450.0,
                    "safety_stock": 110.0,
                    "demand_mean": 340.0,
                    "p_stockout": 0.34,
                    "p_stockout_with_order": 0.04,
                    "lost_units": 120.0,
                    "lost_money": 1480.0 if money else np.nan,
                    "cover_days": 11.0,
                    "excess_units": 800.0 if status == "excess" else 0.0,
                    "excess_money": 1300.0 if money and status == "excess" else np.nan,
                    "carrying_cost_year": 900.0 if money else np.nan,
                    "carrying_cost_month_of_order": 38.0 if money else np.nan,
                    "target_service": 0.95,
                    "realised_service": 0.94,
                    "realised_weeks": 26,
                    "unit_cost": 1.6 if money else np.nan,
                    "unit_price": 2.5 if money else np.nan,
                    "margin": 0.9 if money else np.nan,
                    "stock_value": 816.0 if money else np.nan,
                    "last_stock_day": None if self.no_stock else LAST,
                }
            )
        frame = pd.DataFrame(rows)
        return frame[frame["product_category"].isin(categories)] if categories else frame

    def recommendations(self, run: RunInfo, index_rows: pd.DataFrame) -> list[dict[str, Any]]:
        self._ask()
        names = tuple(sorted(set(index_rows["product_category"]) - {""}))
        due = self.advice(run.id, names).query("status in ('order_now', 'excess', 'order_soon')")
        found = [
            {
                "tag": row.tags[0] if row.tags else "",
                "tags": list(row.tags),
                "sentence": row.sentence,
                "money": None if np.isnan(row.money) else row.money,
                "kind": "stock",
                "product_category": row.product_category,
            }
            for row in due.itertuples()
        ]
        trend = {"tag": "GROWTH", "sentence": "GROWTH: the trend rises by 12 % over the next 12 weeks.", "money": None}
        return [*found, trend | {"tags": ["GROWTH"], "kind": "trend", "product_category": ""}]

    def stock_summary(self, run_id: int) -> dict[str, Any]:
        advice = self.advice(run_id, ())
        orders = advice["status"].isin(ORDERS) & advice["product_category"].isin(self.settled(run_id))
        counts = advice.loc[~orders, "status"].value_counts()
        money = bool(self.run_info.has_money)
        return {
            **{name: int(counts.get(name, 0)) for name in ("order_now", "order_soon", "excess", "ok", "unknown")},
            "money_at_risk": 1480.0 if money else np.nan,
            "excess_money": 1300.0 if money else np.nan,
            "stock_value": 2448.0 if money else np.nan,
            "carrying_cost_year": 612.0 if money else np.nan,
            "stockout_rate_13w": 0.021,
            "stockout_rate_before": 0.034,
            "assumed": ["holding cost 25 % of its cost a year"],
        }

    def stock_finding(self, run_id: int) -> str:
        self._ask()
        return "Order one category today: 1.48 k margin is at stake."

    def stock_finding_of(self, run_id: int, category: str) -> str:
        self._ask()
        return f"Order 420 units of {category} by Tue 29 Sep 2026. Without it: 34 % chance of a stock-out."

    def projection(self, run_id: int, category: str) -> pd.DataFrame:
        self._ask()
        weeks = pd.date_range(LAST + dt.timedelta(days=1), periods=12, freq="7D")
        middle = np.linspace(480, 0, 12)
        return pd.DataFrame(
            {
                "week": weeks,
                "receipts": [120.0] + [0.0] * 11,
                "q025": middle * 0.5,
                "q10": middle * 0.7,
                "q50": middle,
                "q90": middle * 1.3,
                "q975": middle * 1.5,
                "ordered_q50": middle + np.where(np.arange(12) >= 2, 420.0, 0.0),
            }
        )

    def stock_history(self, run: RunInfo, category: str, days: int) -> pd.DataFrame:
        self._ask()
        dates = pd.date_range(end=LAST, periods=days)
        level = 500 + 300 * np.cos(np.arange(days) / 10)
        return pd.DataFrame(
            {
                "date_id": dates,
                "stock_level": level,
                "reorder_point": 380.0,
                "stockout": level < 205,
                "receipts": np.where(np.arange(days) % 28 == 0, 400.0, 0.0),
            }
        )

    def recalculate(self, run: RunInfo, category: str, changes: dict[str, float]) -> dict[str, Any]:
        self._ask()
        row = self.advice(run.id, (category,)).iloc[0].to_dict()
        service = changes.get("target_service", 0.95)
        return row | {
            "target_service": service,
            "realised_service": service - 0.012,
            "reorder_point": 450.0 + 1000 * (service - 0.95),
            "order_quantity": max(420.0, changes.get("moq", 0.0)),
            "sentence": f"Order {max(420.0, changes.get('moq', 0.0)):.0f} units of {category}.",
            "parameters": {"moq": None, **changes},
        }

    def decisions(self, categories: tuple[str, ...], limit: int) -> pd.DataFrame:
        self._ask()
        columns = ["id", "decided_at", "run_id", "product_category", "region", "sentence", "decision", "value",
                   "reason_code", "reason", "owner", "due_on", "status", "outcome", "outcome_money",
                   "decided_by"]  # fmt: skip
        rows = [row for row in self.decided if not categories or row["product_category"] in categories]
        return pd.DataFrame(rows[::-1], columns=columns)

    def settled(self, run_id: int) -> frozenset[str]:
        self._ask()
        stands = {row["product_category"]: row["decision"] for row in self.decided if row["run_id"] == run_id}
        return frozenset(name for name, decision in stands.items() if decision in SETTLES)

    def decide(self, **decision: Any) -> int:
        self._ask()
        number = len(self.decided) + 1
        kept = {
            k: decision.get(k) for k in ("run_id", "product_category", "decision", "value", "reason_code", "reason")
        }
        when = dt.datetime(2026, 9, 28, 8, number, tzinfo=dt.UTC)
        self.decisions_asked.append(decision)
        self.decided.append(
            kept
            | {"id": number, "decided_at": when, "region": "", "sentence": decision["recommendation"]["sentence"]}
            | {
                "owner": None,
                "due_on": decision.get("due_on"),
                "status": "open",
                "outcome": "",
                "outcome_money": np.nan,
            }
            | {"decided_by": decision["who"]}
        )
        return number


class Weekly:
    """The weekly review of the made-up retailer: its figures are made up, the review is put together as the real one
    is. Switches: ``first_week`` (nothing was published before)."""

    first_week = False

    def review_figures(self, run: RunInfo, scope: Scope) -> Figures:
        self._ask()
        level = "category_store" if scope.stores else "category_region" if scope.regions else "category"
        rows = self.index[self.index["level"] == level]
        for column, names in (
            ("product_category", scope.categories),
            ("region", scope.regions),
            ("store", scope.stores),
        ):
            rows = rows[rows[column].isin(names)] if names else rows
        sums = rows.groupby("product_category")["recent_units"].sum()
        lines = tuple(self._line(i, str(name), 84 * float(units)) for i, (name, units) in enumerate(sums.items()))
        whole = 84 * float(sums.sum())
        units, money = self._volumes(whole, 1.04)
        known = not self.first_week
        line = (0.09, 0.08, 0.085) * 4 if known else ()
        errors = tuple(
            LagError(lag, 0.081 + 0.01 * lag, 0.079 if known else None, -0.012, 0.02 if known else None, 0.142,
                     0.081 + 0.01 * lag, line, line, 12 if known else 0, published=known)
            for lag in (1, 4)
        )  # fmt: skip
        causes = (("Level", 0.03 * whole), ("Season", -0.01 * whole), ("Holidays", 0.0), ("Promotions", 0.0),
                  ("Blend of models", -0.01 * whole))  # fmt: skip
        movers = tuple(Mover(line.name, line.units.published, line.units.now) for line in lines[:8] if known)
        return Figures(
            run_id=run.id,
            level=level,
            dimension="category",
            scope=scope,
            lines=lines,
            units=units,
            money=money,
            errors=errors,
            value_added=errors[1],
            first_week=run.last_day + dt.timedelta(days=1),
            weeks=tuple(whole / 12 * (1 + 0.01 * i) for i in range(25)),
            whole=Mover("", whole, 1.01 * whole, causes) if known else None,
            movers=movers,
            covered=0.823,
            covered_weeks=45,
            published_again=12 if known else 0,
        )

    def _volumes(self, recent: float, change: float) -> tuple[Volume, Volume]:
        known = not self.first_week
        units = Volume(recent, recent * change, recent, recent * change if known else None, recent if known else None)
        price = 2.5 if self.run_info.has_money else None
        money = Volume(*(None if value is None or price is None else value * price for value in vars(units).values()))
        return units, money

    def _line(self, i: int, name: str, recent: float) -> Line:
        units, money = self._volumes(recent, 1 + 0.3 * np.cos(2 * i + 0.1))
        known = not self.first_week
        return Line(
            name=name,
            units=units,
            money=money,
            error=0.08 + 0.01 * (i % 5) if known else None,
            recent_error=0.4 if i == 1 and known else 0.08 if known else None,
            earlier_error=0.08 if known else None,
            bias=0.01 * (i % 3 - 1) if known else None,
            bias_run=5 if i == 2 else 0,
            covered=0.8 if known else None,
            covered_weeks=52 if known else 0,
            days_observed=1000,
        )

    def review(self, run: RunInfo, today: dt.date, unit: str, figures: Figures) -> Any:
        self._ask()
        scope = figures.scope
        found, asleep = (
            self.inbox(incidents.OPEN, (), (), scope.categories, scope.regions, scope.stores, None, snoozed)
            for snoozed in (False, True)
        )
        weeks = np.arange(26)
        stock = pd.DataFrame(
            {"weeks_ago": weeks, "days": 7.0, "stockouts": (weeks % 5 == 0) * 1.0, "value": 2400.0 + 10 * weeks}
        )
        return review.assemble(
            run,
            figures,
            self.advice(run.id, scope.categories),
            found,
            self.decisions(scope.categories, review.DECISIONS),
            stock.iloc[:0] if self.no_stock else stock,
            today=min(today, run.last_day + dt.timedelta(days=1)),
            unit=unit,
            quarantined=3,
            snoozed=len(asleep),
            done=self.settled(run.id),
            past=run.id != self.run_info.id,
        )


class Scored:
    """What was published and how it went: a little too high one week before, one series that leans to one side."""

    run_info: RunInfo
    index: pd.DataFrame
    published_weeks = 13

    def _mean(self, series_ids: list[int], dates: pd.DatetimeIndex) -> np.ndarray:
        raise NotImplementedError

    def triangle(self, run: RunInfo, series_ids: list[int]) -> pd.DataFrame:
        first = pd.Timestamp(run.last_day) + pd.Timedelta(1, "D")
        rows = []
        for back in range(self.published_weeks, -1, -1):
            made = first - pd.Timedelta(7 * back, "D")
            for lag in range(1, 14):
                week = made + pd.Timedelta(7 * (lag - 1), "D")
                units = float(self._mean(series_ids, pd.date_range(week, periods=7)).sum())
                over = week + pd.Timedelta(6, "D") <= pd.Timestamp(run.last_day)
                mean = units * (1 + 0.01 * lag)
                rows.append((week, lag, made, mean, mean * 2.5, units if over else np.nan))
        return pd.DataFrame(rows, columns=["week", "lag_weeks", "made", "mean", "money", "actual"])

    def published_errors(self, run: RunInfo, level: str, series_ids: list[int]) -> pd.DataFrame:
        lags = np.arange(1, self.published_weeks + 1)
        return pd.DataFrame(
            {
                "lag_weeks": lags,
                "n": len(series_ids) * (self.published_weeks + 1 - lags),
                "weeks": self.published_weeks + 1 - lags,
                "first_week": dt.date(2026, 6, 29),
                "last_week": dt.date(2026, 9, 21),
                "wape": 0.06 + 0.01 * lags,
                "bias": 0.01 * lags,
                "coverage80": 0.8,
            }
        )

    def accuracy_exceptions(self, run: RunInfo) -> pd.DataFrame:
        from trendcast.services import accuracy

        row = self.index[self.index["level"] == "category_region"].iloc[0]
        facts = {"kind": "bias", "series_id": int(row["series_id"]), "value": 0.14, "units": 7 * row["recent_units"]}
        facts |= {name: row[name] for name in accuracy.KEY}
        return pd.DataFrame([{**facts, "sentence": accuracy._sentence(facts)}])

    def segments(self, run: RunInfo, series_ids: list[int]) -> pd.DataFrame:
        from trendcast.services import accuracy

        rows = self.index[self.index["series_id"].isin(series_ids)]
        return rows[["series_id", *accuracy.KEY]].assign(
            wape=0.081,
            bias=-0.004,
            winner="structural",
            winner_wape=0.08,
            naive="naive364",
            naive_wape=0.119,
            margin=1 - 0.08 / 0.119,
            weekly_units=7 * rows["recent_units"],
        )


class Loaded:
    """What is loaded, how good it is, and uploads that go nowhere."""

    index: pd.DataFrame
    held = "demo"  # whose data: none, demo or own

    def quality(self) -> Any:
        from trendcast.services import quality

        bottom = self.index[self.index["level"] == "category_store"]
        days = (LAST - FIRST).days + 1
        weekdays = [(days + 6 - d) // 7 for d in range(7)]
        raw = bottom[["product_category", "region", "store"]].assign(
            first_day=FIRST, last_day=LAST, n_rows=days, zeros=0, closed=3, priced=days, sold=days, units=100.0 * days
        )
        raw["weekdays"] = [weekdays] * len(raw)
        raw = raw.reset_index(drop=True)
        raw.loc[0, "last_day"] = LAST - dt.timedelta(days=9)
        raw.loc[0, "n_rows"] = days - 9
        series = quality.of_series(raw)
        refused = pd.DataFrame(
            [("sales_daily", "sales_units is negative", 3)], columns=["table_name", "reason", "n_rows"]
        )
        others = pd.DataFrame(columns=["table_name", "first_day", "last_day", "n_rows", "days"])
        tables = quality._tables(series, others, refused)
        found = quality.issues(series, tables, refused, pd.DataFrame())
        return quality.Quality(tables, series, found, quality.finding(series, found))

    def feature_rows(self, categories: tuple[str, ...], regions: tuple[str, ...]) -> pd.DataFrame:
        from trendcast.ui.charts_data import FEATURES

        dates = pd.date_range(LAST - dt.timedelta(days=199), LAST)
        frame = pd.DataFrame({"date_id": dates, "product_category": categories[0], "region": regions[0]})
        wave = 100 + 10 * np.sin(np.arange(200) / 7)
        return frame.assign(**{name: wave for name in FEATURES if name != "seasonal_events"}, seasonal_events=None)

    def settings_table(self) -> pd.DataFrame:
        from trendcast.services import overview

        return overview.settings_table()

    def holdings(self) -> str:
        return self.held

    def upload_recall(self, cells: Any) -> Any:
        return None

    def upload_load(self, cells: Any, reading: Any, parsed: Any, **how: Any) -> Any:
        from trendcast.services.load import LoadSummary, TableSummary

        table = TableSummary("sales_daily", "sales_daily", rows=len(parsed.frame), new=len(parsed.frame))
        table.first_day, table.last_day = parsed.first_day, parsed.last_day
        summary = LoadSummary([table], replaced_demo=self.held == "demo")
        self.held = "own"
        return summary

    def upload_leave(self, cells: Any, data: bytes, reading: Any, person: Any) -> int | None:
        return None

    def upload_newest(self, who: str) -> dict[str, Any] | None:
        return None


class FakeRetailer(Inbox, Stock, Weekly, Scored, Loaded):
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
        self.demo = False
        self.slot_rows: list[dict[str, Any]] = []
        self.working = True
        self.seen: dt.datetime | None = None
        self.look_results: dict[tuple[int, int, str], dict[str, Any]] = {}
        self.kept: list[Any] = []
        self.alerts = MadeUpAlerts()
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.reads = 0
        self.incident_rows = self._made_up_incidents(money)
        self.moved: list[tuple[int, str, dict[str, Any]]] = []
        self.decided: list[dict[str, Any]] = []
        self.decisions_asked: list[dict[str, Any]] = []
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

    def is_demo(self) -> bool:
        self._ask()
        return self.demo

    def truth_daily(self, run: RunInfo, series_ids: list[int]) -> pd.DataFrame:
        self._ask()
        days = pd.date_range(FIRST, LAST)
        return pd.DataFrame({"date_id": days, "demand": 120.0, "expected": 118.0, "lost": 2.0})

    def worker_alive(self) -> bool:
        return self.working

    def worker_seen(self) -> dt.datetime | None:
        return self.seen

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
                "lost": np.where((dates >= "2026-06-02") & (dates <= "2026-06-11"), 40.0, 0.0),
                "lost_revenue": np.where((dates >= "2026-06-02") & (dates <= "2026-06-11"), 100.0, 0.0),
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

    def slots(self, limit: int, name: str = "") -> pd.DataFrame:
        self._ask()
        rows = [row for row in self.slot_rows if name in ("", row["name"])][:limit]
        return pd.DataFrame(rows, columns=["id", "name", "state", "progress", "error", "started_at"])

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

    job_rows: tuple[dict[str, Any], ...] = ()

    def timetable(self) -> pd.DataFrame:
        self._ask()
        due = pd.Timestamp("2026-10-01 03:00", tz="UTC")
        usual = {
            "at_work": False, "next_due": due, "retry_error": None, "ended_at": due - pd.Timedelta(days=1),
            "last_state": "done", "last_error": None, "last_id": 3, "seconds": 12.0, "usual_seconds": 11.0, "done": 20,
            "dead": 0,
        }  # fmt: skip
        rows = self.job_rows or ({"name": "refresh"}, {"name": "detect", "next_due": pd.NaT, "done": 2})
        return pd.DataFrame([{**usual, **row} for row in rows])

    def failed_jobs(self) -> pd.DataFrame:
        rows = [row for row in self.job_rows if row.get("last_state") == "dead"]
        return pd.DataFrame(
            [
                {"id": row["last_id"], "name": row["name"], "attempts": 3, "error": row["last_error"],
                 "finished_at": pd.Timestamp("2026-09-30 03:10", tz="UTC"), "made_good": False}
                for row in rows
            ],
            columns=["id", "name", "attempts", "error", "finished_at", "made_good"],
        )  # fmt: skip

    def try_again(self, slot_id: int) -> int:
        self.asked.append(("try again", {"slot": slot_id}))
        return slot_id + 1

    # --- what if: promotion, price and rain are known; ``no_drivers`` makes it a retailer of units alone

    no_drivers = False

    def what_if_baseline(self, run: RunInfo, series_ids: list[int]) -> Any:
        from trendcast.services.what_if import LOAD, Baseline

        self._ask()
        daily = [self.forecast_daily(run.id, [i]) for i in series_ids]
        count = len(daily)

        def stacked(name: str) -> np.ndarray:
            return np.stack([frame[name].to_numpy(float) for frame in daily])

        names = () if self.no_drivers else ("promotion", "price", "weather:rain", "economic_index")
        figures = {
            "effect": (0.25, -1.2, -0.04, 0.1),
            "error": (0.02, 0.2, 0.01, 0.5),
            "low": (0.0, -0.15, 0.05, 95.0),
            "high": (1.0, 0.1, 0.5, 105.0),
            "base": (0.1, 0.0, 0.2, 100.0),
            "gain": (0.12, 0.02, 0.004, -0.001),
            "sure": (1.0, 1.0, 1.0, 0.0),
            "against": (0.0, 0.0, 0.0, 0.0),
        }
        planned = np.zeros((count, HORIZON + 7))
        planned[:, 7 + 7 : 7 + 14] = 1.0
        return Baseline(
            run_id=run.id,
            first=run.last_day + dt.timedelta(days=1),
            mean=stacked("mean"),
            low=stacked("q10"),
            middle=stacked("q50"),
            high=stacked("q90"),
            money=stacked("money"),
            daily=pd.DataFrame({"mean": stacked("mean").sum(0), "money": stacked("money").sum(0)}),
            weekly=self.forecast_weekly(run.id, series_ids),
            names=names,
            figures={key: np.tile(values, (count, 1))[:, : len(names)] for key, values in figures.items()},
            paths={"promotion": planned, "weather:rain": np.full((count, HORIZON), 0.2)} if names else {},
            cut=np.full(count, np.log(0.9)),
            logarithmic=frozenset({"price", "economic_index"}),
            lead=0,
            clear="clear",
            missing=dict.fromkeys(LOAD, "nothing is loaded about it") if self.no_drivers else {},
            judged_from=None,
        )

    def scenarios(self) -> list[Any]:
        self._ask()
        return list(self.kept)

    def scenario(self, scenario_id: int) -> Any:
        found = [one for one in self.kept if one.id == scenario_id]
        if not found:
            raise NotFound(f"There is no scenario with the number {scenario_id}.")
        return found[0]

    def save_scenario(self, **what: Any) -> int:
        from trendcast.services.scenarios import FIGURES, Saved

        scenario, choice = what["scenario"], what["choice"]
        self.kept.insert(
            0,
            Saved(
                id=len(self.kept) + 1,
                name=what["name"],
                note=what["note"],
                author=what["who"],
                created_at=dt.datetime(2026, 9, 28, 7, 0, tzinfo=dt.UTC),
                run_id=what["base"].run_id,
                last_day=self.run_info.last_day,
                selection=Selection(choice.level, choice.categories, choice.regions, choice.stores),
                selected=what["selected"],
                changes=scenario.changes,
                finding=what["finding"],
                figures={key: float(getattr(scenario, key)) for key in FIGURES},
                weekly=scenario.weekly,
            ),
        )
        return self.kept[0].id

    def archive_scenario(self, scenario_id: int) -> None:
        self.kept = [one for one in self.kept if one.id != scenario_id]


def _forget() -> None:
    import streamlit as st

    st.cache_data.clear()
    st.cache_resource.clear()


@pytest.fixture(autouse=True)
def checked_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every figure that a page draws is one that Plotly knows: the product itself does not ask, it takes too long."""
    from trendcast.ui.figure import Figure

    drawn = Figure.to_dict

    def to_dict(figure: Figure) -> dict[str, Any]:
        figure.checked()
        return drawn(figure)

    monkeypatch.setattr(Figure, "to_dict", to_dict)


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
        return app.run() if name == "review" else turn_to(app, name)  # the root leads to the review

    return page

"""Early warning as a use-case: read a window, judge what is new, write incidents; once per state of the data."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from trendcast import wording
from trendcast.anomalies import explain, feedback, incidents, recovery
from trendcast.anomalies import impact as sizes
from trendcast.anomalies import plain as plain_room
from trendcast.anomalies.detect import VERSION, Entry, Found, prepare
from trendcast.anomalies.detect import detect as judge
from trendcast.anomalies.detect import judge as judge_prepared
from trendcast.anomalies.incidents import Episode
from trendcast.anomalies.limits import Limits
from trendcast.anomalies.scene import DIMENSIONS, Scene, Stock, Taught, Wrong
from trendcast.anomalies.trend import LASTING
from trendcast.errors import Conflict
from trendcast.panel import last_full_day
from trendcast.services import runtime
from trendcast.services.health import LATE, is_historical

if TYPE_CHECKING:
    from trendcast.services.forecast import RunInfo
    from trendcast.store.engine import Database

FIRST_LOOK = 56  # days judged when a retailer is read for the first time, and the oldest that are judged again
SETTLED = 14  # days before the last one: what a first look finds before them is written as resolved
WINDOW = 240  # days read
MANY_WINDOW, MANY_ROWS = 196, 10_000  # of so many series, whose points tell as much in fewer days
LONG_WINDOW, LONG_ROWS = 800, 3_000_000  # days read at a first look, so that holidays were seen before, within reason
BACK = 90  # days of entries that may go on or be corrected
VERDICTS = 400  # days for which a verdict counts
FIRST_READ = "found when the history was first read"
CORRECTED, ARRIVED, RECOVERED = "data corrected", "the data arrived", "back in the usual range"
CORRECTIONS = (CORRECTED, ARRIVED)  # what ended so begins anew when the data show it again
ABSENT = ("MISSING_FEED", "PARTIAL_FEED", "LATE_FEED")
MOST_TOLD = 1000  # anomalies a result lists
# Regions may send their files one after the other: what is absent on the newest day is said this long after its first
# rows came.
GRACE = timedelta(hours=2)
CHECKS = ("0800", "1400")  # triggers that also ask whether a feed is late
# Of a price, where some costs are known and others are not: a usual margin, so that both weigh alike; and what a unit
# sold at a loss still counts.
USUAL_MARGIN, LEAST_MARGIN = 0.35, 0.05
PLAIN_HIGHEST = plain_room.HIGHEST  # the most the customer's rule can score
_RECORD = np.dtype([("tag", ">i4"), ("a", ">f8"), ("b", ">f8")])  # sql/detect_window.sql
OUT_OF_REFERENCE = ("expected", "confirmed", "data_issue")


@runtime.owners_work("Checking for anomalies")
def detect(
    db: Database,
    clock: Callable[[], datetime],
    progress: Callable[..., None],
    token: str | None,
    *,
    trigger: str = "ingest",
    as_of: date | str | None = None,
    dry_run: bool = False,
    announce: bool = True,
) -> dict[str, Any]:
    """Check every full day that is new, or whose data changed, and write what was found; returns a summary.

    The same data are never judged twice: the second call gets the first one's result. ``as_of``: nothing after that
    day is looked at. ``dry_run``: nothing is written, and the last day is judged even if it was before. ``announce``:
    mails are written in the same transaction; never at a first look or about data that ended long ago. The result's
    ``detection_run`` is the id of the run. Raises Conflict when nothing is loaded.
    """
    if isinstance(as_of, str):
        as_of = date.fromisoformat(as_of)
    from trendcast import settings
    from trendcast.services import alerts
    from trendcast.store import locks

    begun = time.perf_counter()
    seconds: dict[str, float] = {}
    with db.read() if dry_run else db.transaction() as connection:
        db.rows("detect_lock", connection=connection, number=locks.DETECT, turn=not dry_run)
        progress("Reading the sales", 0, 1)
        state = dict(db.rows("detect_state", connection=connection, as_of=as_of, back=BACK, verdicts=VERDICTS)[0])
        if state["last_sale"] is None:
            raise Conflict("There are no sales to check: load data first.")
        now = clock()
        late = trigger in CHECKS and not dry_run and as_of is None and _late(db, connection, state, now)
        known = None if dry_run else _already(db, connection, state, as_of, now)
        if known is not None:
            progress("Reading the sales", 1, 1)
            if late and announce:
                known["told"] = alerts.announce(db, connection, settings.load(), now)
            return {**known, "seconds": round(time.perf_counter() - begun, 2), "repeated": True}
        window = _Window(db, connection, state, now)
        seconds["reading"] = time.perf_counter() - begun
        progress("Reading the sales", 1, 1)
        progress("Looking for anomalies", 0, 1)
        found = judge(window.scene, window.judged, window.limits, window.scene.days - 1 if window.waits_until else None)
        entries = recovery.without_returns(found.entries, window.episodes, window.scene, window.under)
        found = replace(found, entries=entries)
        episodes = incidents.gather(entries, window.episodes, window.scene.first_day)
        gone = incidents.corrected(episodes, window.judged_days, window.actuals(episodes, found))
        endings = _endings(episodes, gone, window, found)
        seconds["judging"] = time.perf_counter() - begun - seconds["reading"]
        progress("Looking for anomalies", 1, 1)
        result = _result(found, window, episodes)
        if dry_run:
            return {**result, "dry_run": True, "seconds": round(time.perf_counter() - begun, 2)}
        progress("Writing the incidents", 0, 1)
        number = _write(db, connection, clock(), trigger, window, found, episodes, endings, result)
        touched = late or any(episode.touched for episode in episodes)  # else nothing is to be told that was not before
        if touched and (window.first_look or not announce or is_historical(state["days_old_when_loaded"])):
            alerts.hush(db, connection, clock())
        elif touched:
            result["told"] = alerts.announce(db, connection, settings.load(), clock())
    seconds["writing"] = time.perf_counter() - begun - sum(seconds.values())
    progress("Writing the incidents", 1, 1)
    return {
        **result,
        "detection_run": number,
        "seconds": round(time.perf_counter() - begun, 2),
        "parts": {name: round(value, 3) for name, value in seconds.items()},
    }


@dataclass(frozen=True)
class Replayed:
    """``episodes`` of each variant of the limits over the last ``days``, and the entries people gave a verdict on."""

    days: int
    episodes: list[list[Episode]]
    verdicts: list[Episode]


def replay(
    db: Database,
    now: datetime,
    days: int,
    variants: Sequence[Callable[[Sequence[Sequence[Any]]], Sequence[Sequence[Any]]]],
    progress: Callable[..., None] | None = None,
) -> Replayed:
    """Judge the last ``days`` once more under other limits; nothing is written. Each variant gets the rows of the
    thresholds (name, level, product_category, region, store, value) and returns its own."""
    from trendcast.store import locks

    tell = progress or (lambda *_, **__: None)
    steps = 1 + len(variants)
    tell("Reading the sales", 0, steps)
    with db.read() as connection:
        db.rows("detect_lock", connection=connection, number=locks.DETECT, turn=False)
        state = dict(db.rows("detect_state", connection=connection, as_of=None, back=BACK, verdicts=VERDICTS)[0])
        if state["last_sale"] is None:
            raise Conflict("There are no sales to look at: load data first.")
        window = _Window(db, connection, state, now, back=days)
    verdicts = [one for one in window.episodes if one.disposition is not None]
    ready = prepare(window.scene, window.judged)
    found = []
    for number, variant in enumerate(variants):
        tell("Replaying the past", 1 + number, steps)
        limits = Limits.of_rows(variant(state["limits"]), window.limits.trust)
        entries = judge_prepared(ready, limits).entries
        found.append(incidents.gather(entries, [], window.scene.first_day))
    tell("Replaying the past", steps, steps)
    return Replayed(len(window.judged), found, verdicts)


def plain_rule(db: Database, run: RunInfo, series_ids: list[int], days: int = 365) -> pd.DataFrame:
    """The customer's rule as written, over the summed series: date_id, actual, expected, score, impact ('' where it
    finds nothing). To compare; nothing of it is stored."""
    from trendcast.services import forecast

    history = forecast.history_daily(db, run, series_ids)
    units = history["units"].to_numpy()
    score, expected, impact = plain_room.plain(units[None, :])
    frame = pd.DataFrame(
        {
            "date_id": history["date_id"],
            "actual": units,
            "expected": expected[0],
            "score": score[0],
            "impact": impact[0].astype(str),
        }
    )
    return frame.iloc[-days:].reset_index(drop=True)


def plain_check(db: Database, days: int = 30) -> dict[str, Any]:
    """The customer's rule as written over every series and the last ``days``; nothing is stored."""
    state = db.rows("detect_state", as_of=None, back=0, verdicts=0)[0]
    if state["last_sale"] is None:
        raise Conflict("There are no sales to check: load data first.")
    last = np.datetime64(state["last_sale"], "D")
    first = last - (days + plain_room.WINDOW - 1)
    rows = [
        row
        for row in db.rows("detect_window", first=_date(first), last=state["last_sale"], seen=0)
        if row["what"] == "sales"
    ]
    units = np.full((len(rows), days + plain_room.WINDOW), np.nan)
    for number, row in enumerate(rows):
        data = np.frombuffer(row["days"], _RECORD)
        units[number, data["tag"] >> 4] = data["a"]
    score, expected, impact = plain_room.plain(units)
    found = [
        {
            "date": str(first + int(day)),
            "level": state["level"],
            **{name: rows[number][name] for name in DIMENSIONS},
            "actual_sales": float(units[number, day]),
            "expected_sales": float(expected[number, day]),
            "anomaly_score": float(score[number, day]),
            "impact": str(impact[number, day]),
            "kind": "DEMAND",
            "class": "SPIKE" if units[number, day] > expected[number, day] else "DROP",
            "member": False,
        }
        for number, day in np.argwhere((impact != "") & (np.arange(units.shape[1]) >= plain_room.WINDOW))
    ]
    return {"as_of": str(last), "days": days, "n_series": len(rows), "incidents": 0, "anomalies": found}


def last_detection(db: Database) -> Mapping[str, Any] | None:
    """The newest finished detection: id, as_of, data_version, finished, n_series, n_flagged, summary."""
    rows = db.rows("detect_last")
    return rows[0] if rows else None


def _already(
    db: Database, connection: Any, state: Mapping[str, Any], as_of: date | None, now: datetime
) -> dict[str, Any] | None:
    """What an earlier detection of the same data found; None when there is something new, or what was given time to
    arrive had it."""
    if state["checked_until"] is None or state["checked_version"] < state["data_version"]:
        return None
    if (state["looked_to"] or state["checked_until"]) < state["last_sale"]:
        return None
    if state["waits_until"] is not None and state["waits_until"] <= now:
        return None
    rows = db.rows("detect_last", connection=connection)
    return {**rows[0]["summary"]["result"], "detection_run": rows[0]["id"]}


class _Window:
    """The scene of a pass, read from the database, and which of its days are to be judged."""

    def __init__(
        self, db: Database, connection: Any, state: Mapping[str, Any], now: datetime, back: int | None = None
    ) -> None:
        """``back``: so many of the last days are to be judged, whatever was judged before."""
        self.state = state
        came = state["last_sale_came"]
        waits = came is not None and now < came + GRACE and not is_historical(state["days_old_when_loaded"])
        self.waits_until = came + GRACE if waits else None
        self.assumed: set[str] = set()
        last = np.datetime64(state["last_sale"], "D")
        checked = state["checked_until"]
        self.first_look = checked is None
        length = (WINDOW if state["rows_a_day"] < MANY_ROWS else MANY_WINDOW) + (back or 0)
        if self.first_look and back is None:
            length = LONG_WINDOW if state["rows_a_day"] * LONG_WINDOW <= LONG_ROWS else WINDOW + 190
        first = max(last - (length - 1), np.datetime64(state["first_sale"], "D"))
        days = int((last - first).astype(int)) + 1
        rows = db.rows(
            "detect_window",
            connection=connection,
            first=_date(first),
            last=state["last_sale"],
            seen=-1 if state["checked_version"] is None else state["checked_version"],
        )
        sales = [row for row in rows if row["what"] == "sales"]
        stocks = [row for row in rows if row["what"] == "stock"]
        count = len(sales)
        units, price = np.full((count, days), np.nan), np.full((count, days), np.nan)
        promotion = np.full((count, days), np.nan)
        shut, changed = np.zeros((count, days), bool), np.zeros(days, bool)
        for row, record in enumerate(sales):
            data = np.frombuffer(record["days"], _RECORD)
            day, flags = data["tag"] >> 4, data["tag"] & 15
            units[row, day] = data["a"]
            price[row, day] = data["b"]
            promotion[row, day] = np.where(flags & 3, (flags & 3) - 1.0, np.nan)
            shut[row, day] = (flags & 4) > 0
            changed[day[(flags & 8) > 0]] = True
        _planned(promotion, sales, [row for row in rows if row["what"] == "plan"])
        # The feed's last day may still be arriving: only full days are judged.
        full = last_full_day(np.nonzero(np.isfinite(units).T)[0].astype(np.int64) + int(first.astype(int)))
        full_days = full - int(first.astype(int)) + 1
        cut = slice(0, full_days)
        self.first, self.days = first, full_days
        if full_days < days:
            self.waits_until = None  # what arrives is a later day
        units, price, promotion = units[:, cut], price[:, cut], promotion[:, cut]
        shut, changed = shut[:, cut], changed[cut]
        series = pd.DataFrame(
            {"level": state["level"], **{name: [row[name] for row in sales] for name in DIMENSIONS}}, dtype="str"
        )
        stock = _stock(stocks, full_days)
        for one in stocks:
            data = np.frombuffer(one["days"], _RECORD)
            day, flags = data["tag"] >> 4, data["tag"] & 15
            day = day[((flags & 8) > 0) & (day < full_days)]
            changed[day] = True
        recent = max(0, full_days - FIRST_LOOK)
        new = changed.copy()
        if checked is not None:
            # A day whose rows were given time to arrive has not been judged for good.
            unseen = int((np.datetime64(checked, "D") - first).astype(int)) + (state["waits_until"] is None)
            new[max(0, min(full_days, unseen)) :] = True
        new[:recent] = False
        if back is not None:
            new = np.arange(full_days) >= max(full_days - back, min(full_days, 56))
        self.judged = np.flatnonzero(new)
        if not len(self.judged):
            self.judged = np.array([full_days - 1])
        self.judged_days = {str(first + int(day)) for day in self.judged}
        events = pd.DataFrame(state["events"], columns=["date_id", "region", "event"])
        events["date_id"] = pd.to_datetime(events["date_id"])
        self.forecast_run = np.zeros((count, full_days))
        forecast = self._forecast(db, connection, series, first + full_days - 1)
        scene = Scene.of(
            series, first, units, forecast=forecast, promotion=promotion, events=events, stock=stock,
            value=_value(state, series, units, price, self.assumed),
        )  # fmt: skip
        self.episodes = [_episode(entry) for entry in state["entries"]]
        masked, accepted, noted = self._verdicts(scene, stock)
        closed = (shut & ~(units > 0)) | _closed(scene)
        self.scene = replace(
            scene, closed=closed, masked=masked, accepted=accepted, found=noted, taught=self._taught(scene),
            wrong=self._wrong(scene),
        )  # fmt: skip
        self.limits = Limits.of_rows(state["limits"], feedback.Trust(feedback.tally(_verdicts(state))))

    def _forecast(self, db: Database, connection: Any, series: pd.DataFrame, last: np.datetime64) -> np.ndarray:
        """The mean published before each day (S, T), and in ``forecast_run`` by which run."""
        mean = np.full((len(series), self.days), np.nan)
        at = {key: row for row, key in enumerate(series[list(DIMENSIONS)].itertuples(index=False, name=None))}
        start = max(0, int(self.judged[0]) - 112)
        first = self.first + start
        for record in db.rows(
            "detect_forecast",
            connection=connection,
            first=_date(first),
            last=_date(last),
            level=self.state["level"],
        ):
            row = at.get(tuple(record[name] for name in DIMENSIONS))
            if row is None:
                continue
            data = np.frombuffer(record["days"], _RECORD)
            day = (data["tag"] >> 4) + start
            mean[row, day] = data["a"]
            self.forecast_run[row, day] = data["b"]
        return mean

    def _verdicts(self, scene: Scene, stock: Stock) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Points nothing is learnt from, the days from which new levels hold, and points that were found before and
        not called a false alarm."""
        noted = np.zeros(scene.units.shape, bool)
        masked = np.zeros(scene.units.shape, bool)
        accepted = np.zeros(len(scene.units), int)
        category = scene.series["product_category"].to_numpy(object)
        for row, name in enumerate(stock.categories):
            masked[category == name] |= stock.out[row]
        for episode in self.episodes:
            if episode.over:
                continue
            rows = _under(scene.series, episode.key)
            # A change that has held for days is the level, whether or not somebody has said so yet.
            held = episode.open and episode.cls in LASTING and episode.facts.get("lasted")
            if episode.disposition == "new_normal" or (episode.disposition is None and held):
                start = scene.place(str(episode.start))
                accepted[rows] = np.maximum(accepted[rows], max(start, 1) if start < scene.days else 0)
            elif episode.disposition in OUT_OF_REFERENCE or episode.family == "feed":
                for day in episode.days:
                    place = scene.place(day)
                    if 0 <= place < scene.days and (episode.family != "feed" or day not in self.judged_days):
                        # What was expected under an event is what the event does.
                        learnt = episode.disposition == "expected"
                        masked[rows[(scene.event[rows, place] == 0) | (not learnt)], place] = True
            elif episode.disposition is None:
                for day, told in episode.days.items():
                    # What is only rare stays part of what is usual: else the usual would shrink from day to day.
                    if 0 <= scene.place(day) < scene.days and (told["q"] is None or told["q"] <= sizes.Q_MEDIUM):
                        noted[rows, scene.place(day)] = True
        return masked, accepted, noted

    def under(self, key: incidents.Key) -> np.ndarray:
        """Rows of the series below a node."""
        return _under(self.scene.series, key)

    def _taught(self, scene: Scene) -> tuple[Taught, ...]:
        """What events did before the window that somebody called expected."""
        names: dict[str, list[tuple[str, str]]] = {}
        for day, region, name in self.state["events"]:
            names.setdefault(str(day), []).append((str(region or ""), str(name)))
        codes = {name: code for code, (name, offset) in enumerate(scene.events) if offset == 0 and code}
        effects: dict[int, dict[int, float]] = {}
        for episode in sorted(self.episodes, key=lambda one: not one.lead):  # of a member its own figures count
            if episode.disposition != "expected" or episode.over:
                continue
            for day, figures in episode.days.items():
                if scene.place(day) >= 0 or not figures["expected"]:
                    continue
                here = {name for region, name in names.get(day, []) if region in ("", episode.key[2])}
                code = codes.get(" + ".join(sorted(here)))
                size = float(np.log1p(figures["actual"]) - np.log1p(figures["expected"]))
                for row in _under(scene.series, episode.key) if code else ():
                    effects.setdefault(code or 0, {})[int(row)] = size
        return tuple(
            Taught(code, np.fromiter(of, int), np.fromiter(of.values(), float)) for code, of in effects.items()
        )

    def _wrong(self, scene: Scene) -> tuple[Wrong, ...]:
        """What somebody called a fault of the data where it was taken for demand: it is known by its size again."""
        found = []
        for episode in self.episodes:
            if episode.disposition == "data_issue" and episode.lead and episode.family == "sales" and not episode.over:
                worst = episode.worst
                if worst["expected"]:
                    rows = _under(scene.series, episode.key)
                    found.append(Wrong(episode.key, rows, worst["actual"] / worst["expected"], worst["day"]))
        return tuple(found)

    def actuals(self, episodes: list[Episode], judged: Found) -> dict[tuple[incidents.Key, str], float]:
        """What is now known of each judged day of the stored episodes; of a node, as when it was found, what its series
        that something was expected of sold."""
        found = {}
        for episode in episodes:
            if not episode.stored:
                continue
            for day in self.judged_days & set(episode.days):
                place = self.scene.place(day)
                if 0 <= place < self.scene.days:
                    rows = _under(self.scene.series, episode.key)
                    expected = rows[np.isfinite(judged.rest.raw[rows, place])]
                    sold = self.scene.units[expected if len(rows) > 1 and len(expected) else rows, place]
                    found[episode.key, day] = float(np.nansum(sold))
        return found


def _closed(scene: Scene) -> np.ndarray:
    """bool (S, T): an event on which next to nobody of the region sold anything: the shop was shut, not the demand."""
    closed = np.zeros(scene.units.shape, bool)
    own = np.array([offset == 0 for _, offset in scene.events])[scene.event] & (scene.event > 0)
    sold = np.nan_to_num(scene.units)
    for region in scene.series["region"].unique():
        rows = (scene.series["region"] == region).to_numpy()
        total = sold[rows].sum(axis=0)
        usual = np.median(total[total > 0]) if (total > 0).any() else 0.0
        closed[rows] = (own[rows].any(axis=0) & (total <= 0.02 * usual))[None, :]
    return closed


def _planned(promotion: np.ndarray, sales: list[Mapping[str, Any]], plans: list[Mapping[str, Any]]) -> None:
    """Promotions that nobody recorded are as they were planned."""
    at = {tuple(row[name] for name in DIMENSIONS): number for number, row in enumerate(sales)} if plans else {}
    for record in plans:
        row = at.get(tuple(record[name] for name in DIMENSIONS))
        if row is not None:
            data = np.frombuffer(record["days"], _RECORD)
            day = data["tag"] >> 4
            promotion[row, day] = np.where(np.isnan(promotion[row, day]), (data["tag"] & 3) - 1.0, promotion[row, day])


def _stock(rows: list[Mapping[str, Any]], days: int) -> Stock:
    count = len(rows)
    on_hand, out, lead = np.full((count, days), np.nan), np.zeros((count, days), bool), np.full(count, np.nan)
    for row, record in enumerate(rows):
        data = np.frombuffer(record["days"], _RECORD)
        data = data[np.argsort(data["tag"], kind="stable")]
        day, flags = data["tag"] >> 4, data["tag"] & 15
        inside = day < days
        on_hand[row, day[inside]] = data["a"][inside]
        out[row, day[inside]] = (flags[inside] & 3) == 2
        known = np.flatnonzero(np.isfinite(data["b"]))
        lead[row] = data["b"][known[-1]] if len(known) else np.nan
    return Stock([str(row["product_category"]) for row in rows], on_hand, out, lead)


def _value(
    state: Mapping[str, Any], series: pd.DataFrame, units: np.ndarray, price: np.ndarray, assumed: set[str]
) -> np.ndarray:
    """Money of a unit that is not sold: its margin when costs are known, a usual one in the categories of which they
    are not (told in ``assumed``); its price of the last 56 days when none are."""
    recent = slice(max(0, units.shape[1] - 56), None)
    known = np.isfinite(price[:, recent]) & (np.nan_to_num(units[:, recent]) > 0)
    sold = np.where(known, units[:, recent], 0.0)
    paid = np.where(known, sold * np.nan_to_num(price[:, recent]), 0.0).sum(axis=1)
    total = sold.sum(axis=1)
    mean = np.divide(paid, total, out=np.full(len(units), np.nan), where=total > 0)
    cost = series["product_category"].map(dict(state["costs"])).astype("float64").to_numpy()
    if not np.isfinite(cost).any():
        return mean
    assumed.update(series.loc[~np.isfinite(cost), "product_category"])
    return np.where(np.isfinite(cost), np.maximum(mean - cost, LEAST_MARGIN * mean), USUAL_MARGIN * mean)


def _late(db: Database, connection: Any, state: Mapping[str, Any], now: datetime) -> bool:
    """Write an incident when no sales came for days; whether it is new. It is over when they come."""
    today = now.astimezone(wording.zone()).date()
    if is_historical(state["days_old_when_loaded"]) or (today - state["last_sale"]).days <= LATE:
        return False
    start = state["last_sale"] + timedelta(days=1)
    key = ("total", "", "", "")
    figures: dict[str, Any] = {
        **dict.fromkeys(("expected", "lo", "hi", "z", "p", "q", "loss", "loss_units")),
        "day": start.isoformat(),
        "actual": 0.0,
        "impact": "HIGH",
        "score": sizes.RANGES["HIGH"][0],
        "class": "LATE_FEED",
    }
    headline = explain.headline(
        key, "LATE_FEED", "DATA_QUALITY", figures, start.isoformat(), start.isoformat(), 1, None, None, {}
    )
    explanation = {
        "days": [figures],
        "facts": {"last_day": state["last_sale"].isoformat()},
        "cause": "data quality",
        "headline": headline,
        "next_step": explain.next_step("LATE_FEED", "DATA_QUALITY", "data quality", 0, key),
    }
    rows = db.rows(
        "detect_late",
        connection=connection,
        group_key=incidents.group_key(key, 0, "feed"),
        node=json.dumps(list(key)),
        day=start,
        fingerprint=incidents.fingerprint(key, 0, "feed", start.isoformat()).hex(),
        headline=headline,
        explanation=json.dumps(explanation),
        score=figures["score"],
        available=state["data_available_at"],
        at=now,
    )
    return bool(rows[0]["made"])


def _verdicts(state: Mapping[str, Any]) -> list[feedback.Verdict]:
    """What people found the entries of the last 400 days to be; of an incident of many its first counts for all."""
    found = []
    for entry in state["entries"]:
        days = entry["explanation"].get("days", [])
        if entry["lead"] and entry["disposition"] and entry["verdict_day"] and days:
            expected = max(day["expected"] or 0.0 for day in days)
            age = (state["last_sale"] - date.fromisoformat(entry["verdict_day"])).days
            found.append(feedback.Verdict(entry["level"], entry["class"], expected, entry["disposition"], age))
    return found


def _under(series: pd.DataFrame, key: incidents.Key) -> np.ndarray:
    """Rows of the series below a node."""
    mine = np.ones(len(series), bool)
    for name, value in zip(DIMENSIONS, key[1:], strict=True):
        if value:
            mine &= (series[name] == value).to_numpy()
    return np.flatnonzero(mine)


def _episode(entry: Mapping[str, Any]) -> Episode:
    explanation = entry["explanation"]
    return Episode(
        key=(entry["level"], entry["product_category"], entry["region"], entry["store"]),
        family=incidents.family_of(entry["kind"]),
        direction=int(entry["direction"]),
        start=np.datetime64(entry["episode_start"], "D"),
        kind=entry["kind"],
        cls=entry["class"],
        cause=explanation.get("cause", ""),
        days={day["day"]: dict(day) for day in explanation.get("days", [])},
        facts=dict(explanation.get("facts", {})),
        lead=bool(entry["lead"]),
        group=(entry["group_key"], entry["group_start"]) if entry["group_key"] else None,
        stored=True,
        status=entry["status"],
        disposition=entry["disposition"],
        over=entry["status"] == "RESOLVED" and entry["note"] in CORRECTIONS and not entry["disposition"],
    )


def _endings(episodes: list[Episode], gone: list[Episode], window: _Window, found: Found) -> dict[int, str]:
    """id(episode) -> the note with which it ends: the data no longer show it, or its node is as usual again. What
    belongs to an incident ends with it. What has come to stay is marked."""
    ended = {id(one): ARRIVED if one.cls in ABSENT else CORRECTED for one in gone}
    checked = window.state["checked_until"]
    if checked is None or window.scene.dates[-1] <= np.datetime64(checked, "D"):
        return ended  # only a new day says that something is over
    recovery.stayed(episodes, window.scene, found, window.under)
    left = [one for one in episodes if id(one) not in ended]
    groups = {one.group for one in recovery.back(left, window.scene, found, window.under)}
    for one in left:
        if one.group in groups and one.open:
            one.touched = True
            ended[id(one)] = RECOVERED
    return ended


def _result(found: Found, window: _Window, episodes: list[Episode]) -> dict[str, Any]:
    """What a pass answers: counts, and the entries of its days."""
    touched = {episode.group for episode in episodes if episode.touched}
    told = [_told(entry, window) for entry in found.entries]
    return {
        "days": len(window.judged),
        "as_of": str(window.scene.dates[-1]),
        "n_series": found.series,
        "n_flagged": len(told),
        "tests": found.tests,
        "incidents": len(touched),
        "anomalies": told[-MOST_TOLD:],
    }


def _told(entry: Entry, window: _Window) -> dict[str, Any]:
    now = entry.now
    return {
        "date": str(window.scene.first_day + entry.day),
        "level": entry.level,
        "product_category": entry.product_category,
        "region": entry.region,
        "store": entry.store,
        "actual_sales": now.actual,
        "expected_sales": now.expected if np.isfinite(now.expected) else None,
        "anomaly_score": entry.score,
        "impact": entry.impact,
        "kind": entry.kind,
        "class": entry.cls,
        "member": entry.parent is not None,
    }


def _write(
    db: Database,
    connection: Any,
    now: datetime,
    trigger: str,
    window: _Window,
    found: Found,
    episodes: list[Episode],
    endings: Mapping[int, str],
    result: dict[str, Any],
) -> int | None:
    """Everything of the pass by one statement; the id of its run, None when another has done it."""
    state = window.state
    settled = window.scene.dates[-1] - np.timedelta64(SETTLED, "D")
    touched = [episode for episode in episodes if episode.touched and episode.group is not None]
    members = incidents.counts(episodes)
    leads = {episode.group: episode for episode in episodes if episode.lead}
    told: dict[tuple[str, str], dict[str, Any]] = {}
    entries = []
    for episode in touched:
        assert episode.group is not None
        lead = leads.get(episode.group, episode)
        note, status = None, "NEW"
        if window.first_look and lead.last < settled:
            note, status = FIRST_READ, "RESOLVED"
        if episode.group not in told:
            told[episode.group] = _incident(lead, episode.group, members[episode.group], note, status, now)
        if id(lead) in endings:
            told[episode.group]["note"] = endings[id(lead)]
        entries.append(_entry(episode, window, endings.get(id(episode), note), status, now))
    sold = np.isfinite(window.scene.units).any(axis=0)
    summary = {
        "result": result,
        "high_loss": found.high_loss,
        "in_money": found.in_money,
        "business_days": [str(day) for day in window.scene.dates[sold][-200:]],
        "first_look": window.first_look,
        "looked_to": window.state["last_sale"],
        "waits_until": window.waits_until if found.waiting else None,
    }
    rows = db.rows(
        "detect_write",
        connection=connection,
        trigger=trigger,
        as_of=_date(window.scene.dates[-1]),
        data_version=state["data_version"],
        detector_version=VERSION,
        started=now,
        finished=now,
        n_series=found.series,
        n_flagged=result["n_flagged"],
        summary=json.dumps(summary, default=_plain),
        incidents=json.dumps(list(told.values()), default=_plain),
        entries=json.dumps(entries, default=_plain),
        data_available_at=state["data_available_at"],
        corrections=list(CORRECTIONS),
        recovered=RECOVERED,
    )
    return rows[0]["detection_run"]


def _incident(
    lead: Episode, group: tuple[str, str], members: int, note: str | None, status: str, now: datetime
) -> dict[str, Any]:
    return {
        "group_key": group[0],
        "episode_start": group[1],
        "parent_node": json.dumps(list(lead.key), ensure_ascii=False),
        "kind": lead.kind,
        "impact": lead.impact,
        "status": status,
        "loss": lead.total("loss"),
        "members": members,
        "headline": headline(lead),
        "attribution": lead.facts.get("explained") or [],
        "note": note,
        "at": now,
    }


def headline(episode: Episode) -> str:
    """An entry in a sentence or two."""
    return explain.headline(
        episode.key, episode.cls, episode.kind, episode.worst, str(episode.start), str(episode.last), len(episode.days),
        episode.total("loss"), episode.total("loss_units"), episode.facts,
    )  # fmt: skip


def _entry(episode: Episode, window: _Window, note: str | None, status: str, now: datetime) -> dict[str, Any]:
    worst = episode.worst
    day = window.scene.place(worst["day"])
    run = 0.0
    if 0 <= day < window.scene.days:
        run = float(window.forecast_run[_under(window.scene.series, episode.key), day].max(initial=0))
    group = episode.group or ("", "")
    cause = explain.cause(episode.cause, episode.cls, episode.kind, episode.facts)
    if window.assumed and (not episode.key[1] or episode.key[1] in window.assumed):
        episode.facts["assumed_margin"] = USUAL_MARGIN
    return {
        "detected_date": worst["day"],
        "product_category": episode.key[1],
        "region": episode.key[2],
        "store": episode.key[3],
        "level": episode.key[0],
        "actual": worst["actual"],
        "expected": worst["expected"] or 0.0,
        "score": worst["score"],
        "impact": episode.impact,
        "status": status,
        "at": now,
        "fingerprint": episode.fingerprint.hex(),
        "kind": episode.kind,
        "class": episode.cls,
        "direction": episode.direction,
        "episode_start": str(episode.start),
        "lo": worst["lo"],
        "hi": worst["hi"],
        "z": worst["z"],
        "p": worst["p"],
        "q": worst["q"],
        "loss": episode.total("loss"),
        "forecast_run": int(run) or None,
        "group_key": group[0],
        "group_start": group[1],
        "explanation": {
            "days": [episode.days[one] for one in sorted(episode.days)],
            "facts": episode.facts,
            "cause": episode.cause,
            "headline": headline(episode),
            "next_step": explain.next_step(
                episode.cls,
                episode.kind,
                cause,
                episode.direction,
                episode.key,
                lasted=int(episode.facts.get("lasted", 0)),
            ),
        },
        "last_day": str(episode.last),
        "loss_units": episode.total("loss_units"),
        "cause": cause,
        "lead": episode.lead,
        "note": note,
    }


def _date(day: np.datetime64) -> date:
    return day.astype("datetime64[D]").astype(date)


def _plain(value: object) -> object:
    if isinstance(value, date | datetime):
        return value.isoformat()
    return value.tolist() if hasattr(value, "tolist") else str(value)

"""What a detection reads: a window of sales, stock and forecasts, and which of its days are to be judged."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from trendcast import wording
from trendcast.anomalies import feedback, incidents
from trendcast.anomalies import impact as sizes
from trendcast.anomalies.arrays import median
from trendcast.anomalies.entries import Found
from trendcast.anomalies.incidents import Episode
from trendcast.anomalies.limits import Limits
from trendcast.anomalies.scene import Scene, Stock, Taught, Wrong
from trendcast.anomalies.trend import LASTING
from trendcast.errors import Conflict
from trendcast.panel import DIMENSIONS, last_full_day
from trendcast.services.health import is_historical

if TYPE_CHECKING:
    from trendcast.store.engine import Database

FIRST_LOOK = 56  # days judged when a retailer is read for the first time, and the oldest that are judged again
LEARNT_FIRST = 56  # days of a window on which a replay judges nothing
WINDOW = 240  # days read
MANY_WINDOW, MANY_ROWS = 196, 10_000  # of so many series, whose points tell as much in fewer days
LONG_WINDOW, LONG_ROWS = 800, 3_000_000  # days read at a first look, so that holidays were seen before, within reason
LONG_MORE = 190  # days more than else that a first look reads of more rows than that
FORECAST_BACK = 112  # days before the first that is judged of which forecasts are read
BACK = 90  # days of entries that may go on or be corrected
VERDICTS = 400  # days for which a verdict counts
FIRST_READ = "found when the history was first read"
CORRECTED, ARRIVED, RECOVERED = "data corrected", "the data arrived", "back in the usual range"
CORRECTIONS = (CORRECTED, ARRIVED)  # what ended so begins anew when the data show it again
OUT_OF_REFERENCE = ("expected", "confirmed", "data_issue")
# Regions may send their files one after the other: what is absent on the newest day is said this long after its first
# rows came.
GRACE = timedelta(hours=2)
SHUT = 0.02  # part of its usual day that a region which is shut on an event sells at most
USUAL_DAYS = 56  # before a day, that say what is usual
PRICE_DAYS = 56  # last days of which the price of a unit is the mean
# Of a price, where some costs are known and others are not: a usual margin, so that both weigh alike; and what a unit
# sold at a loss still counts.
USUAL_MARGIN, LEAST_MARGIN = 0.35, 0.05
# sql/detect_window.sql: a tag, whose low bits are flags and the rest the number of the day, and two values
_RECORD = np.dtype([("tag", ">i4"), ("a", ">f8"), ("b", ">f8")])
_DAY_BITS = 4
SOME = 500  # rows that are unpacked at once
_SAID, _SHUT, _CHANGED = 0b0011, 0b0100, 0b1000


class Packed:
    """Some rows of sql/detect_window.sql or sql/detect_forecast.sql, a value for each of their days: whose it is
    (``row``), its number in the window (``day``) and two values, with what else is known of it."""

    def __init__(self, packed: Sequence[bytes], rows: np.ndarray) -> None:
        """``rows``: where each of the packed ones belongs."""
        data = np.frombuffer(b"".join(packed), _RECORD)
        self._tag = data["tag"].astype(np.int32)
        self.row = np.repeat(rows, [len(one) // _RECORD.itemsize for one in packed])
        self.day, self.first, self.second = self._tag >> _DAY_BITS, data["a"], data["b"]

    @classmethod
    def of(cls, records: Sequence[Mapping[str, Any]], rows: Sequence[int] | None = None) -> Iterator[Packed]:
        """All records, some at a time; without ``rows`` they belong where they stand."""
        places = np.arange(len(records)) if rows is None else np.asarray(rows, int)
        for start in range(0, len(records), SOME):
            some = slice(start, start + SOME)
            yield cls([record["days"] for record in records[some]], places[some])

    @property
    def said(self) -> np.ndarray:
        """1 where there was a promotion or no stock, 0 where there was not, NaN where nothing is known."""
        answer = self._tag & _SAID
        return np.where(answer, answer - 1.0, np.nan)

    @property
    def shut(self) -> np.ndarray:
        return (self._tag & _SHUT) > 0

    @property
    def changed(self) -> np.ndarray:
        """Came, or came anew, since the last look."""
        return (self._tag & _CHANGED) > 0


@dataclass(frozen=True)
class _Sales:
    """The sales of a window by series and day (S, T): NaN where nothing is known. ``changed`` (T,)."""

    names: dict[str, list[str]]
    units: np.ndarray
    price: np.ndarray
    promotion: np.ndarray
    shut: np.ndarray
    changed: np.ndarray

    @classmethod
    def of(cls, rows: list[Mapping[str, Any]], days: int) -> _Sales:
        # The database gives them in any order, and what is found must not depend on it.
        sales = sorted((row for row in rows if row["what"] == "sales"), key=_dimensions)
        units, price, promotion = (np.full((len(sales), days), np.nan) for _ in range(3))
        shut, changed = np.zeros((len(sales), days), bool), np.zeros(days, bool)
        for packed in Packed.of(sales):
            units[packed.row, packed.day] = packed.first
            price[packed.row, packed.day] = packed.second
            promotion[packed.row, packed.day] = packed.said
            shut[packed.row, packed.day] = packed.shut
            changed[packed.day[packed.changed]] = True
        _planned(promotion, sales, [row for row in rows if row["what"] == "plan"])
        names = {name: [row[name] for row in sales] for name in DIMENSIONS}
        return cls(names, units, price, promotion, shut, changed)

    def full_days(self) -> int:
        """How many days there are up to the last full one."""
        rows = np.isfinite(self.units).sum(axis=0)
        return last_full_day(np.repeat(np.arange(len(rows)), rows)) + 1

    def until(self, days: int) -> _Sales:
        return _Sales(
            self.names, self.units[:, :days], self.price[:, :days], self.promotion[:, :days], self.shut[:, :days],
            self.changed[:days],
        )  # fmt: skip


def _dimensions(row: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(row[name] for name in DIMENSIONS)


def read_state(
    db: Database, connection: Any = None, *, as_of: date | None = None, back: int = BACK, verdicts: int = VERDICTS
) -> dict[str, Any]:
    """All that a pass must know before it reads sales; see sql/detect_state.sql. ``back``, ``verdicts``: days whose
    entries and verdicts are told. Raises Conflict when nothing is loaded."""
    state = dict(db.rows("detect_state", connection=connection, as_of=as_of, back=back, verdicts=verdicts)[0])
    if state["last_sale"] is None:
        raise Conflict("There are no sales to check: load data first.")
    return state


def as_date(day: np.datetime64) -> date:
    return day.astype("datetime64[D]").astype(date)


def _waits_until(state: Mapping[str, Any], now: datetime, torso: np.datetime64 | None) -> datetime | None:
    """Until when the newest day is given time to arrive; None when that is over, or the data are of long ago.
    ``torso``: that day when less than half of it has come: it is waited for at least until it is over."""
    came: datetime | None = state["last_sale_came"]
    if came is None or is_historical(state["days_old_when_loaded"]):
        return None
    if torso is not None:
        came = max(came, datetime.combine(as_date(torso + 1), datetime.min.time(), wording.zone()).astimezone(UTC))
    return None if now >= came + GRACE else came + GRACE


class Window:
    """The scene of a pass, read from the database, and which of its days are to be judged."""

    def __init__(
        self, db: Database, connection: Any, state: Mapping[str, Any], now: datetime, back: int | None = None
    ) -> None:
        """``back``: so many of the last days are to be judged, whatever was judged before."""
        self.state = state
        self.first_look = state["checked_until"] is None
        self.assumed: set[str] = set()
        self.first = self._first_day(back)
        rows = db.rows(
            "detect_window",
            connection=connection,
            first=as_date(self.first),
            last=state["last_sale"],
            seen=-1 if state["checked_version"] is None else state["checked_version"],
        )
        stocks = [row for row in rows if row["what"] == "stock"]
        days = self._place(state["last_sale"]) + 1
        sales = _Sales.of(rows, days)
        # The feed's last day may still be arriving: only full days are judged until its time is over. What has come of
        # it by then is a feed that came in part, and never demand: that is for the gate to say.
        full = sales.full_days()
        self.waits_until = _waits_until(state, now, self.first + days - 1 if full < days else None)
        over = self.waits_until is None and not is_historical(state["days_old_when_loaded"])
        self.days = days if over else full
        self.arriving = self.days < days
        sales = sales.until(self.days)
        stock = _stock(stocks, self.days)
        self.judged = self._to_judge(sales.changed | _changed_stock(stocks, self.days), back)
        self.judged_days = {str(self.first + int(day)) for day in self.judged}
        self.events = pd.DataFrame(state["events"], columns=["date_id", "region", "event"])
        self.events["date_id"] = pd.to_datetime(self.events["date_id"])
        series = pd.DataFrame({"level": state["level"], **sales.names}, dtype="str")
        self.forecast_run = np.zeros((len(series), self.days))
        forecast = self._forecast(db, connection, series, self.first + self.days - 1)
        scene = Scene.of(
            series, self.first, sales.units, forecast=forecast, promotion=sales.promotion, events=self.events,
            stock=stock, value=_value(state, series, sales.units, sales.price, self.assumed),
        )  # fmt: skip
        self.episodes = [_episode(entry) for entry in state["entries"]]
        # Whatever came ends the wait for sales, also one that was longer than days are judged again.
        waited = (day for one in self.episodes if one.cls == "LATE_FEED" and one.open for day in one.days)
        self.judged_days |= {day for day in waited if scene.place(day) < scene.days}
        masked, accepted, noted = self._verdicts(scene, stock)
        closed = (sales.shut & ~(sales.units > 0)) | _closed(scene)
        self.scene = replace(
            scene, closed=closed, masked=masked, accepted=accepted, found=noted, taught=self._taught(scene),
            wrong=self._wrong(scene),
        )  # fmt: skip
        self.limits = Limits.of_rows(state["limits"], feedback.Trust(feedback.tally(_verdicts(state))))

    def _place(self, day: date) -> int:
        """The day's number in the window."""
        return int((np.datetime64(day, "D") - self.first).astype(int))

    def _first_day(self, back: int | None) -> np.datetime64:
        """The first day that is read: more at a first look, and fewer of many series."""
        rows = self.state["rows_a_day"]
        if self.first_look and back is None:
            length = LONG_WINDOW if rows * LONG_WINDOW <= LONG_ROWS else WINDOW + LONG_MORE
        else:
            length = (WINDOW if rows < MANY_ROWS else MANY_WINDOW) + (back or 0)
        last = np.datetime64(self.state["last_sale"], "D")
        first: np.datetime64 = max(last - (length - 1), np.datetime64(self.state["first_sale"], "D"))
        return first

    def _to_judge(self, changed: np.ndarray, back: int | None) -> np.ndarray:
        """The days that are new or whose data changed, or the last ``back``; the last day when there are none."""
        if back is not None:
            new = np.arange(self.days) >= max(self.days - back, min(self.days, LEARNT_FIRST))
        else:
            new = changed.copy()
            if not self.first_look:
                # A day whose rows were given time to arrive has not been judged for good.
                checked, looked_to = self.state["checked_until"], self.state["looked_to"]
                for_good = self.state["waits_until"] is None or (looked_to is not None and looked_to > checked)
                unseen = self._place(checked) + for_good
                new[max(0, min(self.days, unseen)) :] = True
            new[: max(0, self.days - FIRST_LOOK)] = False
        judged = np.flatnonzero(new)
        return judged if len(judged) else np.array([self.days - 1])

    def _forecast(self, db: Database, connection: Any, series: pd.DataFrame, last: np.datetime64) -> np.ndarray:
        """The mean published before each day (S, T), and in ``forecast_run`` by which run."""
        mean = np.full((len(series), self.days), np.nan)
        at = {key: row for row, key in enumerate(series[list(DIMENSIONS)].itertuples(index=False, name=None))}
        start = max(0, int(self.judged[0]) - FORECAST_BACK)
        first = self.first + start
        records = db.rows(
            "detect_forecast",
            connection=connection,
            first=as_date(first),
            last=as_date(last),
            level=self.state["level"],
        )
        for packed in _placed(records, at):
            mean[packed.row, packed.day + start] = packed.first
            self.forecast_run[packed.row, packed.day + start] = packed.second
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
            days = _of_all(episode)
            if episode.over or not days:
                continue
            rows = scene.under(episode.key)
            # A change that has held for days is the level, whether or not somebody has said so yet.
            held = episode.open and episode.cls in LASTING and episode.facts.get("lasted")
            if episode.disposition == "new_normal" or (episode.disposition is None and held):
                start = scene.place(str(episode.start))
                accepted[rows] = np.maximum(accepted[rows], max(start, 1) if start < scene.days else 0)
            elif episode.disposition in OUT_OF_REFERENCE or episode.family == "feed":
                for day in days:
                    place = scene.place(day)
                    if 0 <= place < scene.days and (episode.family != "feed" or day not in self.judged_days):
                        # What was expected under an event is what the event does.
                        learnt = episode.disposition == "expected"
                        masked[rows[(scene.event[rows, place] == 0) | (not learnt)], place] = True
            elif episode.disposition is None:
                for day, told in days.items():
                    # What is only rare stays part of what is usual: else the usual would shrink from day to day.
                    if 0 <= scene.place(day) < scene.days and (told["q"] is None or told["q"] <= sizes.Q_MEDIUM):
                        noted[rows, scene.place(day)] = True
        return masked, accepted, noted

    def under(self, key: incidents.Key) -> np.ndarray:
        """Rows of the series below a node."""
        return self.scene.under(key)

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
            for day, figures in _of_all(episode).items():
                if scene.place(day) >= 0 or not figures["expected"]:
                    continue
                here = {name for region, name in names.get(day, []) if region in ("", episode.key[2])}
                code = codes.get(" + ".join(sorted(here)))
                size = float(np.log1p(figures["actual"]) - np.log1p(figures["expected"]))
                for row in scene.under(episode.key) if code else ():
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
                if worst["expected"] and worst["day"] in _of_all(episode):
                    rows = scene.under(episode.key)
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
                    rows = self.scene.under(episode.key)
                    expected = rows[np.isfinite(judged.rest.raw[rows, place])]
                    sold = self.scene.units[expected if len(rows) > 1 and len(expected) else rows, place]
                    found[episode.key, day] = float(np.nansum(sold))
        return found


def _closed(scene: Scene) -> np.ndarray:
    """bool (S, T): days of an event on which next to nobody of the region sold anything because the shop was shut, by
    what was known before: it was shut when the event was last there, or the forecast said so. Of an event that nothing
    is known of, all regions under it must have been shut, and be more than one: else it is told as what it looks like.
    """
    event = np.where(np.array([offset == 0 for _, offset in scene.events])[scene.event], scene.event, 0)
    sold = np.nan_to_num(scene.units)
    names = scene.series["region"].to_numpy(object)
    regions = [np.flatnonzero(names == name) for name in sorted(set(names))]
    code = np.stack([event[rows].max(axis=0) for rows in regions])  # (R, T)
    total = np.stack([sold[rows].sum(axis=0) for rows in regions])
    usual = np.zeros(total.shape)
    for day in np.flatnonzero((code > 0).any(axis=0)):
        before = total[:, max(0, day - USUAL_DAYS) : day]
        usual[:, day] = np.nan_to_num(median(np.where(before > 0, before, np.nan)))
    still = (code > 0) & (total <= SHUT * usual)
    closed = np.zeros(scene.units.shape, bool)
    for region, day in np.argwhere(still):
        rows, mine = regions[region], code[region, day]
        earlier = np.flatnonzero(code[region, :day] == mine)
        said = scene.forecast[rows, day]
        if len(earlier):
            shut = still[region, earlier[-1]]
        elif np.isfinite(said).mean() >= 0.5 and (scene.seen[mine] > 0 or np.nansum(said) <= 0.5 * usual[region, day]):
            shut = np.nansum(said) <= 0.5 * usual[region, day]
        else:
            under = code[:, day] == mine
            shut = under.sum() > 1 and still[under, day].all()
        closed[rows, day] = shut
    return closed


def _planned(promotion: np.ndarray, sales: list[Mapping[str, Any]], plans: list[Mapping[str, Any]]) -> None:
    """Promotions that nobody recorded are as they were planned."""
    at = {_dimensions(row): number for number, row in enumerate(sales)} if plans else {}
    for packed in _placed(plans, at):
        known = promotion[packed.row, packed.day]
        promotion[packed.row, packed.day] = np.where(np.isnan(known), packed.said, known)


def _placed(records: list[Mapping[str, Any]], at: Mapping[tuple[str, ...], int]) -> Iterator[Packed]:
    """The records of series whose row is known, ``at`` their dimensions."""
    rows = [at.get(_dimensions(record)) for record in records]
    known = [(record, row) for record, row in zip(records, rows, strict=True) if row is not None]
    return Packed.of([record for record, _ in known], [row for _, row in known])


def _stock(rows: list[Mapping[str, Any]], days: int) -> Stock:
    count = len(rows)
    on_hand, out, lead = np.full((count, days), np.nan), np.zeros((count, days), bool), np.full(count, np.nan)
    for row, record in enumerate(rows):
        packed = Packed([record["days"]], np.array([row]))
        inside = packed.day < days
        on_hand[row, packed.day[inside]] = packed.first[inside]
        out[row, packed.day[inside]] = packed.said[inside] == 1
        known = np.flatnonzero(np.isfinite(packed.second))
        lead[row] = packed.second[known[np.argmax(packed.day[known])]] if len(known) else np.nan
    return Stock([str(row["product_category"]) for row in rows], on_hand, out, lead)


def _changed_stock(rows: list[Mapping[str, Any]], days: int) -> np.ndarray:
    """bool (T,): the days of which some stock came since the last look."""
    changed = np.zeros(days, bool)
    for packed in Packed.of(rows):
        changed[packed.day[packed.changed & (packed.day < days)]] = True
    return changed


def _value(
    state: Mapping[str, Any], series: pd.DataFrame, units: np.ndarray, price: np.ndarray, assumed: set[str]
) -> np.ndarray:
    """Money of a unit that is not sold: its margin when costs are known, a usual one in the categories of which they
    are not (told in ``assumed``); its price of the last 56 days when none are."""
    recent = slice(max(0, units.shape[1] - PRICE_DAYS), None)
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


def _of_all(episode: Episode) -> dict[str, dict[str, Any]]:
    """The days of an entry on which it was of its whole node, not of some of its series alone."""
    return {day: figures for day, figures in episode.days.items() if not figures.get("some")}


def _episode(entry: Mapping[str, Any]) -> Episode:
    explanation = entry["explanation"]
    days = {day["day"]: dict(day) for day in explanation.get("days", [])}
    if explanation.get("facts", {}).get("some") and not any("some" in day for day in days.values()):
        days = {day: {**figures, "some": True} for day, figures in days.items()}  # written before each day said so
    return Episode(
        key=(entry["level"], entry["product_category"], entry["region"], entry["store"]),
        family=incidents.family_of(entry["kind"]),
        direction=int(entry["direction"]),
        start=np.datetime64(entry["episode_start"], "D"),
        kind=entry["kind"],
        cls=entry["class"],
        cause=explanation.get("cause", ""),
        days=days,
        facts=dict(explanation.get("facts", {})),
        lead=bool(entry["lead"]),
        group=(entry["group_key"], entry["group_start"]) if entry["group_key"] else None,
        stored=True,
        status=entry["status"],
        disposition=entry["disposition"],
        over=entry["status"] == "RESOLVED" and entry["note"] in CORRECTIONS and not entry["disposition"],
    )

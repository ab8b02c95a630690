"""The demo retailer in the database: made with a past of three months of use, and lived on day by day.

Everything the pages show of it is made by the product itself: its last 13 Mondays are loads, detections and refreshes
as they would have been, and its people act through the services that the pages call, on what these show. What it hides
(the truth) lies in a schema of its own; nothing but tests, benchmarks and the marked "truth" switch reads it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, date, datetime, timedelta
from datetime import time as time_of_day
from typing import TYPE_CHECKING, Any

import pandas as pd

from trendcast.errors import Conflict, InvalidInput
from trendcast.services.load import DEMO, clear, load_frames
from trendcast.services.progress import Progress, silent

if TYPE_CHECKING:
    from trendcast.demo import Demo
    from trendcast.services.forecast import RunInfo
    from trendcast.services.runtime import Clock
    from trendcast.store.engine import Database


WEEKS = 13
MORNING = time_of_day(6, 10)  # UTC, when a Monday's work is done
QUICK = ("structural",)  # who speaks on past Mondays
EVERY = 100_000  # incidents: all a made-up retailer can have


def build(
    db: Database,
    clock: Clock,
    progress: Progress,
    token: str,
    *,
    categories: int = 24,
    regions: int = 4,
    stores: int = 0,
    years: int = 3,
    end: date | str | None = None,
    seed: int = 7,
    weeks: int = WEEKS,
) -> dict[str, Any]:
    """Make the demo retailer in an empty database (or in place of the one before) and publish its forecast.

    Its last ``weeks`` Mondays (0: none) are lived through: the week's load, detection, a run of the structural model,
    people at work; then the days since, detection, and the refresh that is shown. ``end``: its last day, by default
    yesterday. Raises Conflict when the database holds data of one's own, InvalidInput for an end that is not over.
    """
    from trendcast.demo import Demo

    if isinstance(end, str):
        end = date.fromisoformat(end)
    end = end or clock().date() - timedelta(days=1)
    if end > clock().date():
        raise InvalidInput(f"The demo retailer's last day, {end}, is still to come.")
    told = _Told(progress)
    with told.stage("Making the demo retailer"):
        clear(db)
        demo = Demo(categories, regions, stores, years, end, seed)
        mondays = past_mondays(demo, weeks)
    past = _Past(db, demo, clock, token)
    with told.stage("Loading its past", 9) as step:
        since = _now(db)
        past.known = mondays[0] - timedelta(days=1) if mondays else demo.last_day
        rows = _load(db, demo, None, past.known, clock, step)
        _write_truth(db, demo)
        step(9)
    if mondays:
        with told.stage(f"Living through its last {len(mondays)} Mondays", len(mondays)) as step:
            for number, monday in enumerate(mondays, start=1):
                past.live(number, monday, last=number == len(mondays))
                _backdate(db, since, monday, clock)
                since = _now(db)
                step(number)
    with told.stage("Loading the newest days"):
        if past.known < demo.last_day:
            rows += _load(db, demo, past.known, demo.last_day, clock)
    result = _look_and_forecast(db, clock, told, token)
    facts = {"first_day": demo.first_day, "last_day": demo.last_day, "rows": rows + past.rows, "weeks": len(mondays)}
    return {**result, **facts, **past.counts, "seconds": told.seconds}


def next_day(db: Database, clock: Clock, progress: Progress, token: str) -> dict[str, Any]:
    """Append one day to the demo retailer as the daily job would: load, detection, refresh.

    What it brought is in the result: its ``day``, its ``units``, the ``incidents`` that were opened, the most money
    first (incident_id, impact, name, headline), and how many ``ended``. Raises Conflict when the database does not hold
    the demo retailer.
    """
    from trendcast.anomalies.explain import node_name
    from trendcast.services import incidents

    demo = _drawn(db, one_more=True)
    day = demo.last_day
    told = _Told(progress)
    with told.stage(f"Loading {day:%A, %d %B %Y}"):
        evening = datetime.combine(day, time_of_day(23), UTC)
        # The demo may run ahead of the calendar on the wall.
        rows = _load(db, demo, day - timedelta(days=1), day, lambda: max(clock(), evening))
        _write_truth(db, demo, anew=False)
    before = incidents.inbox(db, statuses=(), limit=EVERY)
    result = _look_and_forecast(db, clock, told, token, announce=True)
    after = incidents.inbox(db, statuses=incidents.OPEN, limit=EVERY)
    opened = after[~after["incident_id"].isin(before["incident_id"])]
    was_open = before.loc[before["status"] != "RESOLVED", "incident_id"]
    units = float(demo.frames(day - timedelta(days=1), day)["sales_daily"]["sales_units"].sum())
    return {
        **result,
        "rows": rows,
        "day": day,
        "units": units,
        "incidents": [
            {
                "incident_id": int(one["incident_id"]),
                "impact": one["impact"],
                "name": node_name((one["level"], one["product_category"], one["region"], one["store"])),
                "headline": one["headline"],
            }
            for one in opened.to_dict("records")
        ],
        "ended": int((~was_open.isin(after["incident_id"])).sum()),
        "seconds": told.seconds,
    }


def is_demo(db: Database) -> bool:
    """Whether the database holds the demo retailer, made with its truth."""
    return bool(db.rows("demo_loaded")[0]["demo"])


def truth_daily(db: Database, run: RunInfo, series_ids: Sequence[int]) -> pd.DataFrame:
    """The demo's truth of a selection of series, summed by day from the run's first: date_id, demand (without
    stock-outs), expected (without noise and anomalies) and lost units; no rows when it is not the demo."""
    if not is_demo(db):
        return pd.DataFrame({"date_id": pd.Series(dtype="datetime64[us]"), "demand": [], "expected": [], "lost": []})
    return db.frame("demo_truth_daily", series_ids=[int(one) for one in series_ids], first_day=run.first_day)


def truth_anomalies(db: Database) -> pd.DataFrame:
    """The demo's labelled anomalies: kind, first_day, last_day, product_category, region, store ('' all) and size (what
    it does to units, as a share); no rows when it is not the demo."""
    if not is_demo(db):
        columns = ["kind", "first_day", "last_day", "product_category", "region", "store", "size"]
        return pd.DataFrame({name: pd.Series(dtype="object") for name in columns})
    return db.frame("demo_truth_anomalies")


def past_mondays(demo: Demo, weeks: int) -> list[date]:
    """The last ``weeks`` Mondays whose morning lies before the demo's newest one, oldest first. A Monday knows the
    days up to its Sunday; what is known on the newest morning is what the shown refresh is made of."""
    last = demo.last_day - timedelta(days=demo.last_day.weekday())
    room = (demo.last_day - demo.first_day).days // 7 - 9  # a run wants eight weeks of history
    return [last - timedelta(weeks=back) for back in range(min(weeks, max(room, 0)) - 1, -1, -1)]


@dataclass
class _Past:
    """Living through Mondays, one after the other."""

    db: Database
    demo: Demo
    clock: Clock
    token: str
    known: date = date.min  # the last day loaded
    rows: int = 0
    counts: dict[str, int] = field(default_factory=lambda: {"incidents": 0, "moves": 0, "decisions": 0})
    memory: dict[str, Any] = field(default_factory=dict)  # what the refreshes share

    def live(self, number: int, monday: date, *, last: bool) -> None:
        """One Monday: the week's load, detection, a run, people at work."""
        from trendcast.services import demo_people
        from trendcast.services.refresh import refresh

        db, then, sunday = self.db, _then(monday, self.clock), monday - timedelta(days=1)
        if sunday > self.known:
            self.rows += _load(db, self.demo, self.known, sunday, self.clock)
            self.known = sunday
        if number > 1:  # a first forecast is there to compare with
            self.counts["incidents"] += _detect(db, then)["incidents"]
        run_id = refresh(db, then, silent, self.token, members=QUICK, show=False, memory=self.memory)["run_id"]
        self.counts["moves"] += demo_people.answer(db, then, monday, busy=last)
        self.counts["decisions"] += demo_people.decide(db, then, run_id, number)


def _look_and_forecast(
    db: Database, clock: Clock, told: _Told, token: str, *, announce: bool = False
) -> dict[str, Any]:
    """Detection of the new days, then the refresh that is shown, with its own stages."""
    from trendcast.services.refresh import refresh

    with told.stage("Checking the new days"):
        found = _detect(db, clock, announce=announce)
    published = refresh(db, clock, told.progress, token)
    told.seconds.update(published["seconds"])
    return {**published, "new_incidents": found["incidents"]}


def _detect(db: Database, clock: Clock, *, announce: bool = False) -> dict[str, Any]:
    """Detection in this process. Of a past that is made up nobody is mailed; of a new day as of any other."""
    from trendcast.services import detect

    return dict(detect.detect(db, clock, silent, None, trigger="ingest", announce=announce))


def _load(
    db: Database,
    demo: Demo,
    after: date | None,
    until: date,
    clock: Clock,
    step: Callable[[int], None] = lambda done: None,
) -> int:
    """Load what came after ``after`` and by ``until``; returns the rows merged. A gap in the feed is no reason to hold
    anything here."""
    frames = {name: frame for name, frame in demo.frames(after, until).items() if len(frame)}
    rows = 0
    for number, (name, frame) in enumerate(frames.items(), start=1):
        rows += sum(
            t.new + t.changed for t in load_frames(db, {name: frame}, source=DEMO, accept=True, clock=clock).tables
        )
        step(number)
    return rows


def _write_truth(db: Database, demo: Demo, *, anew: bool = True) -> None:
    with db.transaction() as connection:
        db.execute("demo_truth_create" if anew else "demo_truth_empty", connection=connection)
        if anew:
            drawn = {**asdict(demo), "end": str(demo.last_day), "first": str(demo.first_day)}
            db.copy_in(connection, "demo_truth.arguments", ["arguments"], pd.DataFrame({"arguments": [drawn]}))
        for table, frame in (("series", demo.truth_by_series()), ("anomaly", demo.anomalies())):
            db.copy_in(connection, f"demo_truth.{table}", list(frame), frame)


def _drawn(db: Database, *, one_more: bool = False) -> Demo:
    """The demo retailer as it was drawn, up to what is loaded or a day further."""
    from trendcast.demo import Demo

    if not is_demo(db):
        raise Conflict("The database does not hold the demo retailer: there is no next day to make up.")
    arguments = dict(db.rows("demo_arguments")[0]["arguments"])
    last = db.rows("data_range")[0]["last_day"] + timedelta(days=int(one_more))
    return Demo(**{**arguments, "end": last, "first": date.fromisoformat(arguments["first"])})


def _now(db: Database) -> datetime:
    return db.rows("job_now")[0]["now"]


def _then(monday: date, clock: Clock) -> Clock:
    """The clock as it stood on the morning of that Monday."""
    moment = min(datetime.combine(monday, MORNING, UTC), clock())
    return lambda: moment


def _backdate(db: Database, since: datetime, monday: date, clock: Clock) -> None:
    """Let what was written since look as old as that Monday."""
    back = (clock() - datetime.combine(monday, MORNING, UTC)).total_seconds()
    if back > 0:
        db.execute("demo_backdate", since=since, back=back)


class _Told:
    """Progress with the seconds of each stage."""

    def __init__(self, progress: Progress) -> None:
        self.progress = progress
        self.seconds: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str, total: int = 1) -> Iterator[Callable[[int], None]]:
        begun = time.perf_counter()
        self.progress(name, 0, total)
        yield lambda done: self.progress(name, done, total)
        self.progress(name, total, total)
        self.seconds[name] = round(time.perf_counter() - begun, 2)

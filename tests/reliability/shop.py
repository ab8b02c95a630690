"""A small retailer that is loaded, corrected and refreshed in tests, and what must be in its database."""

from __future__ import annotations

import csv
import datetime as dt
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from sqlalchemy import text

from tests.reliability import mortal
from trendcast.services import forecast
from trendcast.services import jobs as job_service
from trendcast.services.progress import silent
from trendcast.services.refresh import refresh
from trendcast.store import jobs
from trendcast.store.engine import Database

FIRST, DAYS = dt.date(2026, 5, 4), 140
NAMES = [(category, region) for category in ("Books", "Toys") for region in ("North", "South")]
Key = tuple[dt.date, str, str]


def units(day: dt.date, number: int) -> float:
    return 20.0 + 5 * number + (day.toordinal() * 7 + number * 3) % 11


def day_of(number: int) -> dict[Key, float]:
    """All rows of the day with this number, counted from the first."""
    day = FIRST + dt.timedelta(days=number)
    return {(day, category, region): units(day, n) for n, (category, region) in enumerate(NAMES)}


def write(folder: Path, rows: dict[Key, float]) -> Path:
    """The rows as a file to load; the folder is new."""
    folder.mkdir()
    with (folder / "sales_daily.csv").open("w", newline="") as file:
        out = csv.writer(file)
        out.writerow(["date_id", "product_category", "region", "sales_units"])
        out.writerows([day, category, region, sold] for (day, category, region), sold in rows.items())
    return folder


def ask(db: Database, query: str, **values: object) -> list[Any]:
    with db.transaction() as connection:
        found = connection.execute(text(query), values)
        return list(found) if found.returns_rows else []


def claimed(db: Database) -> jobs.Claim:
    """A refresh that is asked for and ours for now."""
    claim = jobs.claim(db, slot_id=job_service.enqueue(db, "refresh"))
    assert claim is not None
    return claim


def refreshed(db: Database, claim: jobs.Claim | None = None) -> int:
    """A refresh in this process; the run's id."""
    claim = claim or claimed(db)
    members = mortal.MEMBERS
    result = refresh(db, lambda: dt.datetime.now(dt.UTC), silent, claim.token, members=members)
    jobs.finish(db, claim.id, claim.token, result)
    return int(result["run_id"])


def lease_is_over(db: Database) -> None:
    """What 90 seconds would do to the leases of processes that were killed."""
    ask(db, "UPDATE job_slot SET lease_until = now() - interval '1 s' WHERE state = 'running'")


def page(db: Database) -> tuple[int, int]:
    """What a page reads: the run that is shown, then its series and figures by its id. (its id, a checksum of all of
    it); asserts that the run is whole and that regions and categories add up."""
    run = forecast.current_run(db)
    index = forecast.series_index(db, run.id)
    ids = index["series_id"].astype(int).tolist()
    daily = db.frame("forecast_daily", run_id=run.id, series_ids=ids)
    assert len(index) == run.n_series
    assert len(daily) == run.n_series * run.horizon, f"run {run.id} has {len(daily)} rows"
    level = daily["series_id"].map(index.set_index("series_id")["level"])
    sums = daily.groupby([level, "date_id"])["mean"].sum().unstack(0)
    assert (sums.sub(sums["total"], axis=0).abs() <= 1e-6 * sums["total"].max()).to_numpy().all()
    ordered = daily.sort_values(["series_id", "date_id"])
    return run.id, hash(ordered[["mean", "q10", "q90"]].to_numpy().tobytes())


def nothing_half_done_is_visible(db: Database, *, at_work: Iterable[str] = ()) -> None:
    """The run that is shown was published; of others no figure is stored; none is left building without a lease."""
    [(wrong,)] = ask(db, "SELECT count(*) FROM current_run c JOIN run r ON r.id = c.run_id WHERE r.status <> 'ready'")
    assert wrong == 0, "a run that is not ready is shown"
    for table in ("forecast", "forecast_week", "run_series", "forecast_log"):
        [(wrong,)] = ask(db, f"SELECT count(*) FROM {table} f JOIN run r ON r.id = f.run_id WHERE r.status <> 'ready'")
        assert wrong == 0, f"{table} holds rows of a run that is not ready"
    building = ask(db, "SELECT lease_token::text FROM run WHERE status = 'building'")
    assert {token for (token,) in building} <= set(at_work)

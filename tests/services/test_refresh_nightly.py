"""A refresh that is killed at any moment leaves what was shown before, and readers see one whole run at a time."""

import datetime as dt
import os
import random
import subprocess
import sys
import threading
import time
from typing import Any

import pytest
from sqlalchemy import text

from trendcast.demo import generate
from trendcast.forecasting.members import MEMBERS
from trendcast.services import forecast
from trendcast.services import jobs as job_service
from trendcast.services.load import load_frames
from trendcast.services.refresh import refresh
from trendcast.store import jobs
from trendcast.store.engine import Database

pytestmark = pytest.mark.nightly

QUICK = {member.name for member in MEMBERS if member.name in {"naive7", "naive364"}}
# A refresh with the naive members alone, in a process of its own that can be killed.
WORK = """
import datetime as dt, sys
from trendcast.forecasting import forecaster
from trendcast.forecasting.members import MEMBERS
from trendcast.services.refresh import refresh
from trendcast.store.engine import Database
quick = tuple(member for member in MEMBERS if member.name in {"naive7", "naive364"})
init = forecaster.Forecaster.__init__
init.__kwdefaults__ = {**init.__kwdefaults__, "members": quick}
print("begun", flush=True)
refresh(Database(sys.argv[1], role="worker"), lambda: dt.datetime.now(dt.UTC), lambda *_, **__: None, sys.argv[2])
"""


def claimed(db: Database) -> jobs.Claim:
    claim = jobs.claim(db, slot_id=job_service.enqueue(db, "refresh"))
    assert claim is not None
    return claim


def do_refresh(db: Database) -> int:
    claim = claimed(db)
    result = refresh(db, lambda: dt.datetime.now(dt.UTC), lambda *_, **__: None, claim.token)
    jobs.finish(db, claim.id, claim.token, result)
    return int(result["run_id"])


def scalar(db: Database, sql: str) -> Any:
    with db.read() as connection:
        return connection.execute(text(sql)).scalar()


@pytest.fixture
def small(db: Database, monkeypatch: pytest.MonkeyPatch) -> Database:
    from trendcast.forecasting import forecaster

    quick = tuple(member for member in MEMBERS if member.name in QUICK)
    defaults = forecaster.Forecaster.__init__.__kwdefaults__
    monkeypatch.setattr(forecaster.Forecaster.__init__, "__kwdefaults__", {**defaults, "members": quick})
    load_frames(db, generate(2, 2, 0, 2, dt.date(2026, 9, 30)), source="test")
    return db


def start(db: Database, token: str) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", WORK, db.url, token],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.getcwd()},
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "begun\n"
    return process


def test_fifty_refreshes_killed_at_random_points(small: Database) -> None:
    chance = random.Random(7)
    do_refresh(small)
    claim = claimed(small)
    begun = time.monotonic()
    with start(small, claim.token) as process:
        assert process.wait(60) == 0
    whole = time.monotonic() - begun
    jobs.finish(small, claim.id, claim.token, {})
    killed = 0
    for _ in range(50):
        before = forecast.current_run(small).id
        claim = claimed(small)
        with start(small, claim.token) as process:
            time.sleep(chance.uniform(0, whole))
            process.kill()
            process.wait(10)
        run = forecast.current_run(small)
        killed += run.id == before
        rows = scalar(small, f"SELECT count(*) FROM forecast WHERE run_id = {run.id}")
        assert rows == run.n_series * run.horizon
        assert scalar(small, "SELECT count(DISTINCT run_id) FROM forecast WHERE run_id NOT IN "
                             "(SELECT id FROM run WHERE status = 'ready')") == 0  # fmt: skip
        jobs.fail(small, claim.id, claim.token, "It was killed.", again=False)
    assert killed >= 10
    after = do_refresh(small)
    assert forecast.current_run(small).id == after
    assert scalar(small, "SELECT count(*) FROM run WHERE status = 'building'") == 0


def test_readers_see_one_whole_run_while_refreshes_follow_each_other(small: Database) -> None:
    do_refresh(small)
    stop, seen, wrong = threading.Event(), set(), []

    def look() -> None:
        while not stop.is_set():
            run = forecast.current_run(small)
            index = forecast.series_index(small, run.id)
            ids = index["series_id"].astype(int).tolist()
            frame = small.frame("forecast_daily", run_id=run.id, series_ids=ids)
            total = frame["series_id"].map(index.set_index("series_id")["level"])
            sums = frame.groupby([total, "date_id"])["mean"].sum().unstack(0)
            gap = (sums.sub(sums["total"], axis=0).abs().max().max()) / sums["total"].max()
            if len(frame) != run.n_series * run.horizon or gap > 1e-9:
                wrong.append((run.id, len(frame), gap))
            seen.add(run.id)

    readers = [threading.Thread(target=look) for _ in range(3)]
    for reader in readers:
        reader.start()
    try:
        for _ in range(20):
            do_refresh(small)
    finally:
        stop.set()
        for reader in readers:
            reader.join(60)
    assert wrong == []
    assert len(seen) > 5

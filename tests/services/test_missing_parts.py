"""A library that cannot be loaded costs its own part only; the refresh goes on (protocol 21)."""

import json
import subprocess
import sys
from pathlib import Path

from trendcast.demo import generate
from trendcast.services import forecast
from trendcast.services.load import load_frames
from trendcast.store.engine import Database

ROOT = Path(__file__).resolve().parents[2]

# A child process in which these cannot be imported, as on a machine that lacks them or a library of the system's.
PROGRAM = """
import datetime, json, sys

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("prophet", "cmdstanpy"):
            raise OSError("libgomp.so.1: cannot open shared object file: No such file or directory")

sys.meta_path.insert(0, Missing())
from trendcast.errors import TrendCastError
from trendcast.services import forecast, jobs as job_service, looks
from trendcast.services.refresh import refresh
from trendcast.store import jobs
from trendcast.store.engine import Database

db = Database(sys.argv[1], role="worker")
clock = lambda: datetime.datetime.now(datetime.UTC)
silent = lambda *a, **b: None
claim = jobs.claim(db, slot_id=job_service.enqueue(db, "refresh"))
result = refresh(db, clock, silent, claim.token)
jobs.finish(db, claim.id, claim.token, {})
run = forecast.current_run(db)
series = int(forecast.series_index(db, run.id)["series_id"].iloc[0])
said = {}
for kind in ("prophet", "mstl"):
    try:
        claim = jobs.claim(db, slot_id=job_service.enqueue(db, "look"))
        looks.look(db, clock, silent, claim.token, run_id=run.id, series_id=series, kind=kind)
        said[kind] = "fitted"
    except TrendCastError as error:
        said[kind] = str(error)
print(json.dumps(said))
"""


def test_without_prophet_only_its_look_is_off(db: Database) -> None:
    import datetime as dt

    load_frames(db, generate(1, 1, 0, 2, dt.date(2026, 9, 30)), source="shop")
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, db.url], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    said = json.loads(done.stdout.splitlines()[-1])
    assert said["mstl"] == "fitted"
    assert "cannot be imported" in said["prophet"]
    assert "\n" not in said["prophet"]
    assert forecast.current_run(db).n_series > 0

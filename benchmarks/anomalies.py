"""Early warning on real retailers and on the demo: recall by kind and size, false alarms, calibration, other rules.

    python benchmarks/anomalies.py                        # m5, rossmann and the demo
    python benchmarks/anomalies.py --retailer m5 --until 2015-05-24      # the year the settings were tuned on

Loads each into a database of its own in a temporary folder and runs what ``evaluate-anomalies`` runs. The constants of
the detector were tuned on earlier days (m5: the year to 2015-05-24, rossmann: the half year to 2014-08-01); reported is
the last year. Real retailers are read from the folder TRENDCAST_REAL_DATA. Prints tables in markdown.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
from datetime import date
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import pandas as pd

from trendcast import settings
from trendcast.commands.evaluate_anomalies import text
from trendcast.services import jobs
from trendcast.services.evaluate import evaluate
from trendcast.services.load import load_frames
from trendcast.services.progress import silent
from trendcast.store.engine import Database

RETAILERS = ("m5", "rossmann", "demo")


def main() -> int:
    parser = argparse.ArgumentParser(description="Measure early warning on real retailers.")
    parser.add_argument("--retailer", choices=RETAILERS)
    parser.add_argument("--seeds", type=int)
    parser.add_argument("--until", type=date.fromisoformat)
    parser.add_argument("--days", type=int, default=364)
    parser.add_argument("--prophet", type=int, default=16)
    parser.add_argument("--json", type=Path, help="write the figures here as well")
    args = parser.parse_args()
    real = settings.load().real_data
    figures = {}
    for name in [args.retailer] if args.retailer else RETAILERS:
        source = Path(str(real)) / name
        if name != "demo" and not source.is_dir():
            print(f"Skipped: {name} is not at {source.parent} (setting TRENDCAST_REAL_DATA).\n")
            continue
        folder = Path(tempfile.mkdtemp(prefix="tc-bench-"))
        folder.chmod(0o755)
        os.environ.update(TRENDCAST_HOME=str(folder / "home"), DATABASE_URL="", TRENDCAST_JOBS="off", TZ="UTC")
        db = Database.open(settings.load(), role="worker")
        try:
            if name == "demo":
                jobs.run_now(db, settings.load(), "demo", {})
            else:
                frames = {
                    "sales_daily": pd.read_csv(
                        source / "sales_daily.csv.gz", keep_default_na=False, na_values={"sales_units": [""]}
                    ),
                    "events": pd.read_csv(source / "events.csv", keep_default_na=False),
                }
                load_frames(db, frames, source="benchmark")
            result = evaluate(db, silent, seeds=args.seeds, until=args.until, days=args.days, sample=args.prophet)
        finally:
            db.close()
            if db.server is not None:
                db.server.release()
            shutil.rmtree(folder, ignore_errors=True)
        figures[name] = result
        print(f"### {name}\n\n{text(result)}\n", flush=True)
    if args.json:
        args.json.write_text(json.dumps(figures, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""The specification's flow from beginning to end: extract, take apart, forecast, find odd days, report, summarise.

    python examples/executive_summary.py                       # Electronics, Clothing, Home & Garden
    python examples/executive_summary.py "Toys" "Groceries"    # categories of your own

On the database of the settings when DATABASE_URL or TRENDCAST_HOME is set; otherwise on a small synthetic retailer in a
temporary folder, which goes afterwards. Charts go to outputs/ under TRENDCAST_HOME, or to that folder.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from trendcast import TimeSeriesAnalyzer

CATEGORIES = ("Electronics", "Clothing", "Home & Garden")


def main(categories: tuple[str, ...]) -> None:
    reports: dict[str, dict[str, Any]] = {}
    with TimeSeriesAnalyzer(os.environ.get("DATABASE_URL")) as analyzer:
        for category in categories:
            days = analyzer.extract_time_series_data(category)
            parts = analyzer.decompose_time_series(days)
            model, forecast = analyzer.build_prophet_model(days)
            odd = analyzer.detect_anomalies(days)
            reports[category] = report = analyzer.generate_forecast_report(model, forecast, days, category)
            seasonal = parts.seasonal.std() / parts.observed.mean()
            high = int((odd["business_impact"] == "HIGH").sum())
            print(f"{category}, {len(days)} days, seasons move it by {seasonal:.0%}")
            print(f"  anomalies: {len(odd)} in all this time, {high} of them HIGH")
            print(f"  MAPE: {percent(report['mape'])} out of sample, {report['forecast_horizon']} ahead")
            print(f"  {report['finding']}")
            for recommendation in report["business_recommendations"]:
                print(f"  - {recommendation}")
            print(f"  chart: {report['chart']}")
    print("\nEXECUTIVE SUMMARY")
    for category, report in reports.items():
        count = len(report["business_recommendations"])
        print(f"{category}: MAPE {percent(report['mape'])}, {count} recommendations")


def percent(value: float | None) -> str:
    return "not measurable yet" if value is None else f"{value:.1f} %"


def small_retailer() -> None:
    """Three categories in two regions over three years, in the embedded database of TRENDCAST_HOME."""
    from trendcast import settings
    from trendcast.demo import generate
    from trendcast.services.load import DEMO, load_frames
    from trendcast.store.engine import Database

    db = Database.open(settings.load(), role="worker")
    try:
        load_frames(db, generate(3, 2, 0, 3), source=DEMO)
    finally:
        db.close()


if __name__ == "__main__":
    wanted = tuple(sys.argv[1:]) or CATEGORIES
    if os.environ.get("DATABASE_URL") or os.environ.get("TRENDCAST_HOME"):
        main(wanted)
    else:
        folder = Path(tempfile.mkdtemp(prefix="trendcast-"))
        folder.chmod(0o755)  # as root the embedded server runs as another user, who must be able to pass
        os.environ["TRENDCAST_HOME"] = str(folder / "home")
        try:
            small_retailer()
            main(wanted)
        finally:
            shutil.rmtree(folder, ignore_errors=True)

"""What the product finds of the demo retailer's hidden truth: detection, lost sales, promotions, bands.

    python benchmarks/demo_truth.py                     # makes the default demo (24 x 4, 3 years, 13 Mondays) first
    python benchmarks/demo_truth.py --home FOLDER       # a folder (TRENDCAST_HOME) that holds a demo already

The demo draws its sales in ways no model here assumes, keeps what it drew, and labels what it broke (trendcast/demo).
Prints tables in markdown.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
from datetime import timedelta
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
import pandas as pd
from sqlalchemy import text

from trendcast import settings
from trendcast.services import demo, forecast, jobs
from trendcast.store.engine import Database
from trendcast.store.runs import unpack_lost

SLACK = pd.Timedelta(days=1)  # an entry a day beside its label is still about it
DIRECTION = {"spike": 1, "drop": -1, "outage": -1, "missing_feed": 0, "doubled_feed": 1}
KEYS = ["product_category", "region"]


def main() -> int:
    parser = argparse.ArgumentParser(description="Score the product against the demo's truth.")
    parser.add_argument("--home", type=Path)
    args = parser.parse_args()
    folder = None
    if args.home is None:
        folder = Path(tempfile.mkdtemp(prefix="tc-bench-"))
        folder.chmod(0o755)
    home = args.home or folder / "home"  # type: ignore[operator]
    os.environ.update(TRENDCAST_HOME=str(home), DATABASE_URL="", TRENDCAST_JOBS="off", TZ="UTC")
    db = Database.open(settings.load(), role="worker")
    try:
        if not demo.is_demo(db):
            jobs.run_now(db, settings.load(), "demo", {})
        truth = Truth(db)
        print(f"The demo retailer to {truth.run.last_day}, {len(truth.keys)} series, {len(truth.labels)} labels.")
        print("Its people gave their verdicts without the truth: by what incidents show.\n")
        detection(db, truth)
        lost_sales(db, truth)
        promotions(db, truth)
        bands(db, truth)
    finally:
        db.close()
        if db.server is not None:
            db.server.release()
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)
    return 0


def ask(db: Database, query: str, **parameters: object) -> pd.DataFrame:
    with db.read() as connection:
        result = connection.execute(text(query), parameters)
        frame = pd.DataFrame(result.all(), columns=list(result.keys()))
    for name in frame:
        if name.endswith("day") or name in ("date_id", "week", "episode_start"):
            frame[name] = pd.to_datetime(frame[name])
    return frame


class Truth:
    """The demo's truth: by key and day, and its labels."""

    def __init__(self, db: Database) -> None:
        self.run = forecast.current_run(db)
        self.labels = demo.truth_anomalies(db)
        self.daily = ask(
            db, "SELECT product_category, region, date_id, demand, expected, lift, lost FROM demo_truth.daily"
        )
        self.keys = self.daily[KEYS].drop_duplicates()
        by_category = self.daily.groupby(["product_category", "date_id"])["lost"].sum()
        self.stockouts = by_category[by_category > 0].reset_index()

    def of(self, row: object) -> pd.DataFrame:
        """The days of all keys below a node ('' is everything)."""
        chosen = self.daily
        for name in KEYS:
            if getattr(row, name):
                chosen = chosen[chosen[name] == getattr(row, name)]
        return chosen


def table(rows: list[list[object]], head: list[str]) -> None:
    print("| " + " | ".join(head) + " |\n|" + "---|" * len(head))
    for row in rows:
        print("| " + " | ".join(str(cell) for cell in row) + " |")
    print()


def percent(share: float) -> str:
    return "-" if not np.isfinite(share) else f"{100 * share:.1f} %"


# --- detection --------------------------------------------------------------------------------------------------------


def related(entries: pd.DataFrame, label: object) -> pd.Series:
    """Entries about the same part of the retailer: each dimension is equal or open on one side."""
    same = pd.Series(True, index=entries.index)
    for name in KEYS:
        mine = getattr(label, name)
        if mine:
            same &= entries[name].isin(["", mine])
    return same


def detection(db: Database, truth: Truth) -> None:
    """Recall by kind of label over the days that were checked, and entries nobody can explain by a label or a stock-out
    that happened."""
    passes = ask(db, "SELECT min(as_of) AS first_day, max(as_of) AS last_day FROM detection_run WHERE status = 'done'")
    first, last = passes["first_day"][0] - pd.Timedelta(days=55), passes["last_day"][0]
    forecast_from = passes["first_day"][0] - pd.Timedelta(days=6)
    entries = ask(
        db,
        "SELECT coalesce((d ->> 'day')::date, detected_date) AS detected_day, product_category, region, kind,"
        " direction, incident_id"
        " FROM anomaly_log LEFT JOIN LATERAL jsonb_array_elements(explanation -> 'days') d ON true",
    )  # a row per day of an entry
    incidents = ask(db, "SELECT id, kind, impact, episode_start FROM incident")
    labels = truth.labels[(truth.labels["last_day"] >= first) & (truth.labels["first_day"] <= last)]
    explained = pd.Series(False, index=entries.index)
    for stock in truth.stockouts.itertuples():
        explained |= (entries["product_category"] == stock.product_category) & (
            (entries["detected_day"] - stock.date_id).abs() <= SLACK
        )
    on_shelf_out = explained.copy()
    found: list[dict[str, object]] = []
    for label in labels.itertuples():
        near = (entries["detected_day"] >= label.first_day - SLACK) & (
            entries["detected_day"] <= label.last_day + SLACK
        )
        hits = near & related(entries, label)
        # An expectation may take eight weeks to follow a lasting shift: until then it goes on explaining.
        until = label.first_day + pd.Timedelta(days=56) if label.kind == "level_shift" else label.last_day + SLACK
        explained |= (
            related(entries, label)
            & (entries["detected_day"] >= label.first_day - SLACK)
            & (entries["detected_day"] <= until)
        )
        sign = DIRECTION.get(label.kind, int(np.sign(label.size)))
        right = hits if label.kind in ("missing_feed", "doubled_feed") else hits & (entries["direction"] == sign)
        out = truth.stockouts
        inside = (out["date_id"] >= label.first_day) & (out["date_id"] <= label.last_day)
        hidden = label.product_category != "" and inside[out["product_category"] == label.product_category].any()
        wanted = truth.of(label)
        usual = wanted[(wanted["date_id"] >= label.first_day) & (wanted["date_id"] <= label.last_day)]["expected"].sum()
        known = "a forecast" if label.first_day >= forecast_from else "no forecast yet"
        found.append({"kind": label.kind, "known": known, "found": bool(right.any()), "hidden": hidden, "usual": usual})
    frame = pd.DataFrame(found)
    print(f"## Detection, {first:%Y-%m-%d} to {last:%Y-%m-%d}\n")
    rows: list[list[object]] = []
    for kind, part in frame.groupby("kind"):
        seen = part[part["known"] == "a forecast"]
        clear = part[~part["hidden"]]
        rows.append(
            [
                kind,
                len(part),
                percent(part["found"].mean()),
                percent(seen["found"].mean()),
                percent(clear["found"].mean()),
            ]
        )
    total = frame["found"]
    rows.append(
        [
            "**all**", len(frame), percent(total.mean()), percent(total[frame["known"] == "a forecast"].mean()),
            percent(total[~frame["hidden"]].mean()),
        ]
    )  # fmt: skip
    table(rows, ["labelled", "number", "found", "with a forecast published before", "not inside a stock-out"])
    spells = truth.stockouts[(truth.stockouts["date_id"] >= first) & (truth.stockouts["date_id"] <= last)]
    lost = truth.daily.groupby(["product_category", "date_id"])[["lost", "demand"]].sum().reset_index()
    spells = spells[["product_category", "date_id"]].merge(lost, on=["product_category", "date_id"])
    large = spells[spells["lost"] > 0.3 * spells["demand"]]
    supply = entries[entries["kind"] == "SUPPLY"]
    told = large.merge(supply, left_on=["product_category", "date_id"], right_on=["product_category", "detected_day"])
    told = told[["product_category", "date_id"]].drop_duplicates()
    rows = [
        [
            "stock-out days that lost over 30 % of demand, told as supply",
            len(large),
            percent(len(told) / max(len(large), 1)),
        ]
    ]
    by_incident = explained.groupby(entries["incident_id"]).any()
    weeks = ((last - first).days + 1) / 7
    for kind in sorted(incidents["kind"].unique()):
        mine = incidents[incidents["kind"] == kind]
        false = ~by_incident.reindex(mine["id"]).fillna(False).astype(bool)
        rows.append(
            [
                f"incidents of kind {kind} without a cause in the truth",
                len(mine),
                f"{int(false.sum())} ({false.sum() / weeks:.2f} a week)",
            ]
        )
    not_supply = supply.index[~on_shelf_out[supply.index]]
    rows.append(["entries told as supply on days with stock", len(supply), len(not_supply)])
    table(rows, ["", "number", "share"])


# --- lost sales -------------------------------------------------------------------------------------------------------


def lost_sales(db: Database, truth: Truth) -> None:
    """Units that stock-outs turned away: recovered by the run against the truth, beside taking sales for demand."""
    run = truth.run
    days = (run.last_day - run.first_day).days + 1
    stored = ask(
        db,
        "SELECT s.product_category, s.region, r.lost FROM run_series r JOIN series s ON s.id = r.series_id"
        " WHERE r.run_id = :run AND s.level = 'category_region'",
        run=run.id,
    )
    dates = pd.date_range(run.first_day, periods=days)
    parts = [
        pd.DataFrame(
            {
                "product_category": row.product_category,
                "region": row.region,
                "date_id": dates,
                "told": unpack_lost(row.lost, days)[0],
            }
        )
        for row in stored.itertuples()
    ]
    both = truth.daily.merge(pd.concat(parts), on=[*KEYS, "date_id"], how="left").fillna({"told": 0.0})
    by_day = both.groupby(["product_category", "date_id"])[["demand", "lost", "told"]].sum().reset_index()
    last_year = by_day[by_day["date_id"] > pd.Timestamp(run.last_day) - pd.Timedelta(days=365)]
    rows = []
    for name, frame in (("all years", by_day), ("last year", last_year)):
        real = frame["lost"].sum()
        error = (frame["told"] - frame["lost"]).abs().sum() / real
        each = frame.groupby("product_category")[["lost", "told"]].sum()
        year = (each["told"] - each["lost"]).abs().sum() / real
        false = frame.loc[frame["lost"] == 0, "told"].sum() / real
        rows.append(
            [
                name, int((frame["lost"] > 0).sum()),
                f"{real:,.0f} ({percent(real / frame['demand'].sum())} of demand)",
                percent(frame["told"].sum() / real - 1), percent(error), percent(year), percent(false), "100.0 %",
            ]
        )  # fmt: skip
    print("## Lost sales recovered\n")
    table(
        rows,
        [
            "", "stock-out days", "units lost", "bias", "error by category and day", "error by category",
            "told where nothing was lost", "error of no recovery",
        ],
    )  # fmt: skip


# --- promotions -------------------------------------------------------------------------------------------------------


def promotions(db: Database, truth: Truth) -> None:
    """The drivers' promotion effect of each series against the lift it really had on last year's promoted days."""
    stored = ask(
        db,
        "SELECT s.level, s.product_category, s.region, d.drivers FROM run_driver d JOIN series s ON s.id = d.series_id"
        " WHERE d.run_id = :run AND s.level IN ('category', 'category_region')",
        run=truth.run.id,
    )
    recent = truth.daily[truth.daily["date_id"] > pd.Timestamp(truth.run.last_day) - pd.Timedelta(days=365)]
    rows = []
    for level, part in stored.groupby("level"):
        told, real, sure = [], [], []
        for row in part.itertuples():
            mine = recent[recent["product_category"] == row.product_category]
            if row.region:
                mine = mine[mine["region"] == row.region]
            promoted = mine[(mine["lift"] > 1) & (mine["expected"] > 0)]
            facts = row.drivers if isinstance(row.drivers, dict) else json.loads(row.drivers)
            known = facts["known"].get("promotion")
            if known is None or len(promoted) < 7:
                continue
            told.append(known["effect"])
            real.append(float(np.log(promoted["lift"]).mean()))
            sure.append(abs(known["effect"] - real[-1]) <= 1.2816 * known["error"])
        lift, known_lift = np.expm1(real), np.expm1(told)
        rows.append(
            [
                level, len(real), percent(float(np.mean(lift))), percent(float(np.mean(known_lift))),
                f"{100 * np.mean(np.abs(known_lift - lift)):.1f} points", f"{np.corrcoef(lift, known_lift)[0, 1]:.2f}",
                percent(float(np.mean(sure))), f"{100 * np.mean(np.abs(lift)):.1f} points",
            ]
        )  # fmt: skip
    print("## Promotion lift\n")
    table(
        rows,
        [
            "level", "series", "true lift", "found", "mean error", "correlation", "true lift in the 80 % range",
            "error of no effect",
        ],
    )  # fmt: skip


# --- bands ------------------------------------------------------------------------------------------------------------


def bands(db: Database, truth: Truth) -> None:
    """Coverage of the weekly bands that were published on past Mondays: of what was sold, and of true demand; the same
    without the weeks that a label or a stock-out touched."""
    stored = ask(
        db,
        "SELECT s.level, s.product_category, s.region, f.week, f.mean, f.q025, f.q10, f.q90, f.q975, f.run_id,"
        " 1 + (f.week - r.last_day) / 7 AS lag FROM forecast_week f JOIN series s ON s.id = f.series_id"
        " JOIN run r ON r.id = f.run_id WHERE f.week + 6 <= :last",
        last=truth.run.last_day,
    )
    daily = truth.daily.assign(
        week=truth.daily["date_id"] - pd.to_timedelta(truth.daily["date_id"].dt.day_of_week, unit="D")
    )
    daily["sold"] = daily["demand"] - daily["lost"]
    touched = np.zeros(len(daily), dtype=bool)
    for label in truth.labels.itertuples():
        inside = (daily["date_id"] >= label.first_day) & (
            daily["date_id"] <= label.last_day + timedelta(days=28 * (label.kind == "level_shift"))
        )
        for name in KEYS:
            if getattr(label, name):
                inside &= daily[name] == getattr(label, name)
        touched |= inside.to_numpy()
    daily["touched"] = touched | (daily["lost"] > 0).to_numpy()
    rows = []
    for level, part in stored.groupby("level"):
        keys = {"total": [], "region": ["region"], "category": ["product_category"], "category_region": KEYS}[level]
        weekly = daily.groupby([*keys, "week"]).agg(
            demand=("demand", "sum"), sold=("sold", "sum"), touched=("touched", "max"), days=("date_id", "nunique")
        )
        weekly = weekly[weekly["days"] == 7].reset_index()
        both = part.merge(weekly, on=[*keys, "week"])
        calm = both[~both["touched"]]

        def held(frame: pd.DataFrame, truth_of: str, low: str, high: str) -> str:
            inside = (frame[truth_of] >= frame[low]) & (frame[truth_of] <= frame[high])
            return percent(float(inside.mean())) if len(frame) else "-"

        rows.append(
            [
                level, len(both), held(both, "sold", "q10", "q90"), held(both, "demand", "q10", "q90"),
                held(both, "demand", "q025", "q975"), len(calm), held(calm, "demand", "q10", "q90"),
                held(calm, "demand", "q025", "q975"),
                percent(float((both["mean"] - both["demand"]).abs().sum() / both["demand"].sum())),
                percent(float(both["mean"].sum() / both["demand"].sum() - 1)),
            ]
        )  # fmt: skip
    print("## Weekly bands of past Mondays (structural model alone), weeks 1 to 13 ahead\n")
    table(
        rows,
        [
            "level", "weeks", "80 % band holds sales", "80 % holds demand", "95 % holds demand", "untouched weeks",
            "80 % holds demand", "95 % holds demand", "WAPE against demand", "bias against demand",
        ],
    )  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())

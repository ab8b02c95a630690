"""The report for those who decide: every category's forecast, error, recommendations and anomalies, from one run.

Everything is read for all categories at once; a page of HTML and pictures are made of the same document that --json
prints.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from trendcast import wording
from trendcast.anomalies.impact import LEVELS
from trendcast.services import findings, forecast, pictures, report
from trendcast.services.forecast import RunInfo, Selection
from trendcast.services.progress import Progress, silent
from trendcast.services.report import Stored

if TYPE_CHECKING:
    from trendcast.store.engine import Database

DAYS = 84
CHARTS = 24  # pictures that are drawn unasked
ANOMALY_WEEKS = 8  # a first detection looks back this far
HISTORY_WEEKS = 52
TOGETHER = 100  # series read at once
# Advice that asks for something to be done, and the tag it is read under.
ACTIONS = {"order_now": "ORDER NOW", "order_soon": "ORDER SOON", "excess": "EXCESS STOCK"}


@dataclass(frozen=True, eq=False)
class Category:
    """One category: its ``report`` (services.report), ``recommendations`` (tag, sentence, money or None, kind),
    ``anomalies`` (rows of the anomaly log), what is ``stored`` of it, and ``expected``: units of the twelve whole weeks
    ahead that the finding speaks of."""

    name: str
    report: dict[str, Any]
    recommendations: list[dict[str, Any]]
    anomalies: pd.DataFrame
    stored: Stored
    expected: float

    @property
    def by_impact(self) -> dict[str, int]:
        counts = self.anomalies["impact_level"].value_counts()
        return {impact: int(counts.get(impact, 0)) for impact in LEVELS}


@dataclass(frozen=True, eq=False)
class Summary:
    """All of it. ``checked``: the last day looked at for anomalies, None when none was; ``findings``: what is most
    important, in sentences; ``charted``: how many of ``categories`` (largest first) are drawn."""

    run: RunInfo
    region: str | None
    checked: date | None
    findings: list[str]
    categories: list[Category]
    charted: int
    notes: list[str] = field(default_factory=list)


def collect(
    db: Database,
    *,
    categories: Sequence[str] = (),
    region: str | None = None,
    on_progress: Progress = silent,
) -> Summary:
    """The report of some categories (all, when none is named) in a region or everywhere, largest forecast first.

    Raises NoRun before the first forecast and NotFound with the nearest names.
    """
    run = forecast.current_run(db)
    index = forecast.series_index(db, run.id)
    level = "category_region" if region else "category"
    rows = forecast.resolve(index, Selection(level, tuple(categories), (region,) if region else ()))
    stage = "Reading the forecasts"
    on_progress(stage, 0, len(rows))
    stored: dict[int, report.Stored] = {}
    for start in range(0, len(rows), TOGETHER):
        some = [int(number) for number in rows["series_id"].iloc[start : start + TOGETHER]]
        stored |= report.read(db, run, some)
        on_progress(stage, len(stored), len(rows))
    logged = db.frame(
        "executive_anomalies", after=run.last_day - timedelta(weeks=ANOMALY_WEEKS), region=region
    ).groupby("product_category")
    nothing = db.frame("executive_anomalies", after=date.max, region=region)
    checked = db.rows("executive_checked")[0]["checked"]
    stock = _stock_advice(db, run) if region is None else {}
    found = []
    for _, row in rows.iterrows():
        kept, name = stored[int(row["series_id"])], str(row["product_category"])
        made = report.compose(run, row, kept, min(DAYS, run.horizon))
        trends = [
            {"tag": sentence.partition(":")[0], "sentence": sentence, "money": None, "kind": "trend"}
            for sentence in made.pop("business_recommendations")
        ]
        found.append(
            Category(
                name=name,
                report=made,
                recommendations=[*stock.get(name, []), *trends],
                anomalies=logged.get_group(name) if name in logged.groups else nothing,
                stored=kept,
                expected=sum(week["mean"] for week in kept.weekly[: findings.WEEKS]),
            )
        )
    price = dict(zip(rows["product_category"], rows["unit_price"].fillna(0.0), strict=True)) if run.has_money else {}
    found.sort(key=lambda one: (-one.expected * price.get(one.name, 1.0), one.name))
    charted = len(found) if categories else min(CHARTS, len(found))
    notes = []
    if charted < len(found):
        notes.append(
            f"Charts are drawn of the {charted} largest of {len(found)} categories; name one (--category) to have its."
        )
    if region and _stock_advice(db, run):
        notes.append(f"Stock is kept for all regions together, so nothing is said of the stock of {region} alone.")
    return Summary(run, region, checked, _findings(db, run, categories, region), found, charted, notes)


def _findings(db: Database, run: RunInfo, categories: Sequence[str], region: str | None) -> list[str]:
    """What is most important, in sentences: sales, anomalies, stock; of named categories each says its own."""
    from trendcast.services import incidents, recommend

    if categories:
        return []
    said = [findings.finding(db, run, Selection("region", (), (region,)) if region else Selection("total"))]
    if region is None:
        said += [incidents.finding(db), recommend.finding(db, run.id)]
    return [sentence for sentence in said if sentence]


def _stock_advice(db: Database, run: RunInfo) -> dict[str, list[dict[str, Any]]]:
    """What to do about the stock, by category: only where something is to be done."""
    from trendcast.services import decisions, recommend

    advice = recommend.advice(db, run.id)
    settled = advice["product_category"].isin(decisions.settled(db, run.id))
    found = {}
    for row in advice[advice["status"].isin(list(ACTIONS)) & ~settled].to_dict("records"):
        found[str(row["product_category"])] = [
            {
                "tag": ACTIONS[row["status"]],
                "sentence": row["sentence"],
                "money": None if wording.missing(row["money"]) else float(row["money"]),
                "kind": "stock",
            }
        ]
    return found


def stock_sentences(db: Database, product_category: str) -> list[str]:
    """What the published run advises on a category's stock; nothing before the first run."""
    from trendcast.errors import NoRun
    from trendcast.services import recommend

    try:
        return recommend.sentences(db, forecast.current_run(db).id, product_category)
    except NoRun:
        return []


def _past_weeks(units: np.ndarray, first_day: date) -> pd.DataFrame:
    """The last whole weeks and the same weeks a year before: date (Monday), actual, last_year."""
    skip = -first_day.weekday() % 7
    weeks = units[skip : skip + (len(units) - skip) // 7 * 7].reshape(-1, 7).sum(axis=1)
    monday = pd.date_range(first_day + timedelta(days=skip), periods=len(weeks), freq="7D")
    before = np.concatenate([np.full(min(52, len(weeks)), np.nan), weeks[:-52]])
    frame = pd.DataFrame({"date": monday, "actual": weeks, "last_year": before})
    return frame.iloc[-HISTORY_WEEKS:].reset_index(drop=True)


def _weeks_ahead(weekly: Sequence[dict[str, Any]]) -> pd.DataFrame:
    names = {"week": "date", "q50": "middle", "q10": "low80", "q90": "high80", "q025": "low95", "q975": "high95"}
    frame = pd.DataFrame(weekly, columns=list(names)).rename(columns=names)
    return frame.assign(date=pd.to_datetime(frame["date"]))


def document(summary: Summary, made_at: datetime) -> dict[str, Any]:
    """The report as plain data: what --json prints and the page shows. Errors in percent, weeks by their Monday."""
    return {
        "run_id": summary.run.id,
        "last_day": summary.run.last_day,
        "published_at": summary.run.published_at,
        "generated_at": made_at,
        "region": summary.region,
        "findings": summary.findings,
        "anomalies_checked_until": summary.checked,
        "anomaly_weeks": ANOMALY_WEEKS,
        "notes": summary.notes,
        "categories": [_plain(one, summary.checked) for one in summary.categories],
    }


def _plain(one: Category, checked: date | None) -> dict[str, Any]:
    columns = [
        "detected_date", "region", "store", "actual_value", "expected_value", "anomaly_score", "impact_level",
        "status", "kind", "class", "headline",
    ]  # fmt: skip
    rows = one.anomalies[columns].copy()
    rows["detected_date"] = rows["detected_date"].dt.strftime("%Y-%m-%d")
    figures = {key: value for key, value in one.report.items() if key not in ("daily", "weekly", "store", "region")}
    return {
        **figures,
        "expected": one.expected,
        "recommendations": one.recommendations,
        # Nothing found and nothing looked for are not the same.
        "anomalies": None if checked is None else {"total": len(rows), **one.by_impact},
        "anomaly_rows": rows.astype(object).where(rows.notna(), None).to_dict("records"),
        "chart": None,
        "alt": None,
    }


def write(
    summary: Summary,
    made_at: datetime,
    folder: Path,
    on_progress: Progress = silent,
) -> dict[str, Any]:
    """Draw the charts and write them and the page into ``folder``; the document, with ``files``: page and charts."""
    from trendcast.export import html_report

    told = document(summary, made_at)
    stage = "Drawing the charts"
    on_progress(stage, 0, summary.charted)
    drawn: dict[str, bytes] = {}
    for number, one in enumerate(summary.categories[: summary.charted]):
        content, alt = chart(one, summary.run)
        name = _free(f"forecast-{pictures.file_name(one.name, summary.region or '')}", drawn)
        drawn[name] = content
        told["categories"][number] |= {"chart": name, "alt": alt}
        on_progress(stage, number + 1, summary.charted)
    charts = [str(pictures.save(folder, name, content)) for name, content in drawn.items()]
    words = ["report", str(summary.run.last_day)]
    if len(summary.categories) == 1:
        words.append(summary.categories[0].name)
    name = pictures.file_name(*words, summary.region or "") + ".html"
    page = pictures.save(folder, name, html_report.page(told, drawn).encode("utf-8"))
    return {**told, "files": {"html": str(page), "charts": charts}}


def _free(name: str, taken: dict[str, bytes]) -> str:
    """A file name that no other chart has: two names may differ only in what a file name cannot hold."""
    number, found = 1, f"{name}.png"
    while found in taken:
        number += 1
        found = f"{name}-{number}.png"
    return found


def chart(one: Category, run: RunInfo) -> tuple[bytes, str]:
    """The picture of a category by week, with its anomalies, and what it shows in words."""
    from trendcast.export import charts_png

    history = _past_weeks(one.stored.units, run.first_day)
    marks = one.anomalies
    monday = marks["detected_date"] - pd.to_timedelta(marks["detected_date"].dt.day_of_week, "D")
    worst = marks.assign(date=monday, rank=marks["impact_level"].map({name: n for n, name in enumerate(LEVELS)}))
    worst = worst.sort_values("rank").drop_duplicates("date")[["date", "impact_level"]]
    shown = history[["date", "actual"]].merge(worst.rename(columns={"impact_level": "impact"}), on="date")
    figure, alt = charts_png.forecast_chart(
        history,
        _weeks_ahead(one.stored.weekly[: findings.WEEKS]),
        title=one.report["finding"].partition(", ")[0],
        measure=wording.style()[2].capitalize(),
        per="week",
        anomalies=shown,
    )
    return charts_png.png(figure), alt

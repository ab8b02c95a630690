"""Measured accuracy as people read it: the table of models and the sentence above it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from trendcast.ui import text

OURS = "combination"
NAIVES = ("naive7", "naive364")
WEEKS = (0, 1, 4, 12)  # 0: all weeks ahead together
# What series_accuracy tells of the bands, and the columns of the level's figures it comes from.
MEASURED = {
    "coverage80": "coverage80",
    "coverage95": "coverage95",
    "points": "quantile_n",
    "coverage80_weekly": "coverage80_weekly",
    "coverage95_weekly": "coverage95_weekly",
    "weeks_measured": "quantile_weeks",
}


@dataclass(frozen=True)
class Held:
    """How often the bands of a grain held, and on how many past weeks or days that was counted; None: not measured."""

    share80: float | None
    share95: float | None
    count: float | None


def held(measured: Mapping[str, Any], grain: str) -> Held:
    """The coverage of the bands on view: those of weeks are not those of days."""
    names = (
        ("coverage80_weekly", "coverage95_weekly", "weeks_measured")
        if grain == "week"
        else ("coverage80", "coverage95", "points")
    )
    return Held(*(measured.get(name) for name in names))


def error_column(metrics: pd.DataFrame) -> str:
    """The error of weekly sums where it was measured (what the page shows by default), else of days."""
    return "wape_weekly" if "wape_weekly" in metrics and metrics["wape_weekly"].notna().any() else "wape"


def together(reach: int) -> str:
    """What the backtest's error of all weeks ahead is called: not to be taken for that of one week.
    Short enough for a tile on a telephone."""
    return f"Error, weeks 1\N{EN DASH}{reach}" if reach > 1 else "Error 1 week ahead"


def reach(metrics: pd.DataFrame) -> int:
    """How many weeks ahead ``metrics`` go (services.forecast.accuracy)."""
    return max(1, int(metrics["horizon_week"].max())) if len(metrics) else 1


def accuracy_table(metrics: pd.DataFrame, *, raw: bool = False) -> pd.DataFrame:
    """One row per model, ours first, then by error. ``metrics``: services.forecast.accuracy of one level;
    ``raw``: numbers for the workbook instead of words."""
    error = error_column(metrics)
    weeks = [w for w in WEEKS if (metrics["horizon_week"] == w).any()]
    rows = []
    for model, frame in metrics.groupby("model", sort=False):
        by_week = frame.drop_duplicates("horizon_week").set_index("horizon_week")
        whole = by_week.loc[0] if 0 in by_week.index else by_week.iloc[0]
        row: dict[str, object] = {
            "Model": text.member(str(model)),
            "order": (model != OURS, float(whole.get(error, 9.0))),
        }
        for week in weeks:
            ahead = f"{week} {'week' if week == 1 else 'weeks'} ahead"
            head = f"{ahead if week else f'{together(reach(metrics))} (WAPE)'} %"
            row[head] = float(by_week[error].get(week, float("nan")))
        row["Bias %"] = float(whole.get("bias", float("nan")))
        for level in (80, 95):
            row[f"{level} % band of weeks held %"] = float(whole.get(f"coverage{level}_weekly", float("nan")))
        for level in (80, 95):
            row[f"{level} % band of days held %"] = float(whole.get(f"coverage{level}", float("nan")))
        rows.append(row)
    table = pd.DataFrame(sorted(rows, key=lambda row: row["order"])).drop(columns="order", errors="ignore")  # type: ignore[arg-type, return-value]
    table = table.dropna(axis="columns", how="all")
    if raw:
        return table
    for column in table.columns[1:]:
        signed = column.startswith("Bias")
        table[column] = ["" if pd.isna(v) else text.percent(v, sign=signed) for v in table[column]]
    return table.rename(
        columns=lambda name: name.removesuffix(" %").removesuffix(" (WAPE)").replace(" band of ", " band, ")
    )


def accuracy_sentence(metrics: pd.DataFrame, level: str, name: str = "") -> str:
    """Our error beside the best naive forecast, in words; markdown. ``name``: the selection, if not the whole level."""
    whole = metrics[metrics["horizon_week"] == 0].drop_duplicates("model").set_index("model")[error_column(metrics)]
    if OURS not in whole:
        return "The combination has not been measured yet."
    ours = float(whole[OURS])
    where = f"of {text.markdown(name)}" if name else f"at {text.level_inline(level)} level"
    lead = (
        f"On past weeks, forecast from the data before them, {where}, the forecast was off "
        f"by **{text.percent(ours)}** of sales"
    )
    naives = whole[[name for name in NAIVES if name in whole.index]].dropna()
    if naives.empty:
        return lead + "."
    name, best = str(naives.idxmin()), float(naives.min())
    if not best > 0:
        return lead + "."
    gain = (best - ours) / best
    rival = "a seasonal naive forecast" if name == "naive7" else "last year's sales with growth"
    if gain > 0.005:
        return f"{lead}, **{text.percent(gain, 0)} less** than the better naive, {rival} ({text.percent(best)})."
    if gain < -0.005:
        return f"{lead}, **{text.percent(-gain, 0)} more** than the better naive, {rival} ({text.percent(best)})."
    return f"{lead}, as much as the better naive, {rival} ({text.percent(best)})."

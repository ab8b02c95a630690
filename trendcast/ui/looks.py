"""Looks at one series by reference models (stock Prophet, statsmodels MSTL): made by a job, kept with the run."""

from __future__ import annotations

from typing import Any

import pandas as pd
import streamlit as st

from trendcast.services import chart_findings
from trendcast.ui import charts, measures, plots, reads, text
from trendcast.ui.shell import View

KINDS = {"prophet": "Prophet", "mstl": "statsmodels MSTL"}


def frame(result: dict[str, Any], grain: str, price: pd.Series | None = None) -> pd.DataFrame:
    """The forecast of a look: date, value, per day or per whole week; in money with a ``price`` by day."""
    part = result.get("forecast") or result
    days = pd.DataFrame(
        {"date": pd.to_datetime(part.get("dates", [])).astype("datetime64[us]"), "value": part.get("mean", [])}
    )
    days["value"] = days["value"].astype(float)
    if price is not None:
        days["value"] *= price.reindex(days["date"]).to_numpy(dtype=float)
    return measures.by_week(days) if grain == "week" else days


def show(view: View, grain: str, made: dict[str, dict[str, Any]]) -> None:
    """What the looks say, and they beside our forecast."""
    price = reads.price_of_days(view.run_id, view.choice) if view.unit == "money" else None
    rows = reads.on_view(*view.key, grain, view.first, view.last)
    lines = {}
    for kind, result in made.items():
        found = measures.window(frame(result, grain, price), rows["date"].min(), rows["date"].max())
        if len(found):
            lines[KINDS[kind]] = found
    ours = rows[rows["future"] & rows["mean"].notna()].set_index("date")["mean"]
    gaps = {}
    for label, found in lines.items():
        other = found.set_index("date")["value"].reindex(ours.index).dropna()
        if len(other) and ours.reindex(other.index).sum():
            gaps[label] = float(other.sum() / ours.reindex(other.index).sum() - 1)
    if gaps:
        st.markdown(text.sentence(chart_findings.second_opinion(gaps)))
    figure, alt = charts.look_chart(measures.thin(rows), lines, grain=grain, unit=view.unit, dark=view.dark)
    st.plotly_chart(figure, key=f"looks_{view.dark}", config=plots.CONFIG, alt=alt)

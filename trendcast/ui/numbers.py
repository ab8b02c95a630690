"""The table of measures beside time: how it looks, ready to be kept."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pandas as pd
import streamlit as st

from trendcast.ui import measures, painted, text

AROUND = {"week": (4, 13), "day": (7, 28)}  # how far the table "around now" looks back and ahead
MOST = 400  # columns


@dataclass(frozen=True)
class Table:
    """What st.dataframe takes; ``first`` is the first column that lies ahead, as an ISO date."""

    styled: Any
    config: dict[str, Any]
    first: str | None


def build(rows: pd.DataFrame, *, grain: str, near: bool, dark: bool) -> Table:
    """``rows``: measures.grid in the window on view; ``near``: only what lies around now."""
    if near:
        now = int(rows["future"].to_numpy().argmax()) if rows["future"].any() else len(rows)
        back, ahead = AROUND[grain]
        rows = rows.iloc[max(0, now - back) : now + ahead].reset_index(drop=True)
    rows = rows.iloc[-MOST:]
    frame = measures.pivot(rows)
    heads, future = list(frame.columns[1:]), rows["future"].tolist()
    config: dict[str, Any] = {"Measure": st.column_config.TextColumn("Measure", pinned=True, width=196)}
    for head, later in zip(heads, future, strict=True):
        label = text.week_column(head) if grain == "week" else text.day_column(head)
        full = text.week(head) if grain == "week" else text.day(head)
        config[head] = st.column_config.TextColumn(
            label, alignment="right", width=92, help=f"{full}{', forecast' if later else ''}"
        )
    first = heads[future.index(True)] if True in future else None
    return Table(_mark_future(frame, heads, future, dark), config, first)


def _mark_future(frame: pd.DataFrame, heads: list[str], future: list[bool], dark: bool) -> Any:
    """Tint what lies ahead, with a stronger first column: the line between past and future."""
    tint, edge = ("rgba(96,165,250,0.10)", "rgba(96,165,250,0.24)") if dark else ("#F1F6FE", "#DCE9FD")
    ahead = [head for head, later in zip(heads, future, strict=True) if later]
    if not ahead:
        return frame
    styled = frame.style.set_properties(subset=ahead[:1], **{"background-color": edge})
    return painted.once(styled.set_properties(subset=ahead[1:], **{"background-color": tint}) if ahead[1:] else styled)

"""The jobs on the Data page: what runs by itself, when it runs next, how it went, and what failed."""

from __future__ import annotations

from typing import Any

import pandas as pd
import streamlit as st

from trendcast.errors import TrendCastError
from trendcast.ui import reads, text, who

# Job -> (what it is, when it runs next where no hour is set).
JOBS = {
    "refresh": ("Refresh of the forecasts", ""),
    "detect": ("Check for anomalies", "With the next sales"),
    "digest": ("Check and digest", ""),
    "sync": ("Rows of your own tables", "Every minute"),
    "backtest": ("Test against the past", "When asked for"),
    "push": ("Rows that were pushed", "When some wait"),
    "upload": ("Files that were uploaded", "When one waits"),
    "look": ("A look at one series", "When asked for"),
    "demo": ("Demo retailer", "When asked for"),
    "next_day": ("The demo's next day", "When asked for"),
}
FEW = 3  # fewer that succeeded make no habit
SHOWN = 5


def section() -> None:
    """Every job with its last and next time; what failed for good, with its reason and a way to try again."""
    st.subheader("Jobs", anchor=False)
    frame = reads.timetable()
    failed = reads.failed_jobs()
    if not reads.worker_alive():
        st.warning(
            "No worker is running, so none of this happens: start `python -m trendcast worker`, or set "
            "`TRENDCAST_JOBS=on`.",
            icon=":material/pause_circle:",
        )
    st.markdown(_finding(failed))
    _failures(failed)
    shown = pd.DataFrame(
        {
            "Job": [_name(name) for name in frame["name"]],
            "Now": [_now(row) for row in frame.itertuples()],
            "Next": [_next(row) for row in frame.itertuples()],
            "Last": [_moment(value) for value in frame["ended_at"]],
            "Took": [text.seconds(value) for value in frame["seconds"]],
            "Usually takes": [_usual(row) for row in frame.itertuples()],
            "Failed": [text.full(value) for value in frame["dead"]],
        }
    )
    numbers = ("Took", "Usually takes", "Failed")
    st.dataframe(
        shown,
        hide_index=True,
        key="table_jobs",
        column_config={
            "Job": st.column_config.TextColumn(pinned=True),
            **{name: st.column_config.TextColumn(alignment="right") for name in numbers},
        },
        height="content",
        alt=f"Jobs, {len(shown)} rows.",
    )


def _name(name: Any) -> str:
    return JOBS.get(str(name), (text.plain(name), ""))[0]


def _next(row: Any) -> str:
    """The hour, or what it waits for."""
    return JOBS.get(row.name, ("", "When asked for"))[1] if pd.isna(row.next_due) else text.moment(row.next_due)


def _moment(value: Any) -> str:
    return text.NONE if pd.isna(value) else text.moment(value)


def _usual(row: Any) -> str:
    """The median of those that succeeded; too few of them are no habit."""
    return text.seconds(row.usual_seconds) if row.done >= FEW else text.NONE


def _now(row: Any) -> str:
    if row.at_work:
        return "At work"
    if isinstance(row.retry_error, str) and row.retry_error:
        return "Tries again: " + text.plain(row.retry_error)
    return {"done": "Done", "dead": "Failed"}.get(row.last_state, "Not yet")


def _finding(failed: pd.DataFrame) -> str:
    standing = int((~failed["made_good"].astype(bool)).sum())
    if standing:
        return f"**{text.count(standing, 'job')}** failed for good, and none of its kind succeeded since."
    if len(failed):
        return f"All is well: the {text.count(len(failed), 'job')} that failed in 60 days succeeded later."
    return "All is well: no job has failed for good in 60 days."


def _failures(failed: pd.DataFrame) -> None:
    """The newest that nothing has made good, each with its reason and its button."""
    may = who.actor().may("planner")
    for row in failed[~failed["made_good"].astype(bool)].head(SHOWN).itertuples():
        with st.container(horizontal=True, vertical_alignment="center"):
            st.error(
                f"**{text.markdown(_name(row.name))}**, {text.moment(row.finished_at)}, after "
                f"{text.count(int(row.attempts), 'attempt')}: "
                + text.markdown(row.error or "no reason was given", 400),
                icon=":material/error:",
            )
            if st.button("Try again", key=f"job_again_{row.id}", disabled=not may, icon=":material/replay:"):
                _try_again(int(row.id))


def _try_again(slot: int) -> None:
    try:
        reads.try_again(slot)
        st.rerun()
    except TrendCastError as error:
        st.error(text.markdown(str(error), 400))

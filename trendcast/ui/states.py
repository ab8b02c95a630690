"""The states a page can be in instead of showing figures: each one sentence and one next step, never a traceback."""

from __future__ import annotations

import datetime as dt
import functools
from collections.abc import Callable
from typing import Any, Literal

import streamlit as st

from trendcast import wording
from trendcast.errors import TrendCastError
from trendcast.ui import reads, text
from trendcast.ui.memory import Standing

STAGES = {
    "load": "Loading data",
    "read": "Reading the data",
    "data": "Reading the data",
    "fit": "Fitting the model",
    "demo": "Preparing the demo retailer",
    "members": "Fitting the models",
    "backtest": "Testing against the past",
    "combine": "Combining the models",
    "reconcile": "Making totals add up",
    "intervals": "Calibrating the bands",
    "checks": "Checking the result",
    "write": "Writing the forecasts",
    "publish": "Publishing",
}


def calm(section: Callable[..., None], *, and_then: str = "") -> Callable[..., None]:
    """A lower section that has nothing to show says why, and the rest of the page goes on. ``and_then``: said after
    it."""

    @functools.wraps(section)
    def draw(*arguments: Any) -> None:
        try:
            section(*arguments)
        except TrendCastError as error:
            st.caption(text.sentence(error) + and_then)

    return draw


# A part that draws itself again and again outlives a database that goes away: it says so and looks again.
watched = functools.partial(calm, and_then=" Looking again in a moment.")


def stage(words: Any) -> str:
    """A job's stage in planner's words."""
    name = str(words or "").strip()
    return STAGES.get(name.lower(), text.plain(name)[:1].upper() + text.plain(name)[1:])


def share(done: Any, total: Any) -> float:
    """How far a stage is, 0 to 1."""
    try:
        return min(1.0, max(0.0, float(done) / float(total))) if float(total) > 0 else 0.0
    except (TypeError, ValueError):
        return 0.0


def progress_line(slot: dict[str, Any]) -> None:
    """One running job: its stage and how far it is."""
    facts = slot.get("progress") or {}
    if slot.get("state") == "queued":
        st.progress(0.0, text="Waiting for a worker to start")
        _no_worker()
        return
    part = share(facts.get("done"), facts.get("total"))
    words = stage(facts.get("stage")) or "Starting"
    more = f", {text.full(facts['done'])} of {text.full(facts['total'])}" if facts.get("total") else ""
    st.progress(part, text=text.markdown(words) + more)


def _no_worker() -> bool:
    """Say so when nothing that waits can begin, because nobody does it."""
    if reads.worker_alive():
        return False
    st.write("No worker is running: start `python -m trendcast worker`.")
    return True


def away(error: str) -> None:
    """The database does not answer and there is nothing remembered to show."""
    with st.container(key="state_away"):
        # Besides being away, a database may be on its way, or of another version: the sentence says which.
        starting, behind = "starting" in error, "upgrade" in error
        title = "The database is starting" if starting else "The database does not answer"
        st.header("The database needs an upgrade" if behind else title, anchor=False)
        st.write(text.sentence(error or "The dashboard cannot reach its database right now."))
        more = "" if starting or behind else " If it lasts, check DATABASE\\_URL."
        st.write("This page looks again by itself every few seconds; nothing is lost." + more)
        _watch()


def away_banner(standing: Standing) -> None:
    """The database is away, but the last figures are remembered."""
    when = f" These are the figures of {text.moment(standing.read_at)}." if standing.read_at else ""
    st.error(f"The database does not answer.{when} Changes are off until it is back.", icon=":material/cloud_off:")


def nothing_yet(standing: Standing) -> None:
    """No run: the database is starting, there is no data, or the first refresh is on its way."""
    starting = reads.provider.startup()
    if getattr(starting, "busy", False) or getattr(starting, "error", ""):
        _starting()
        return
    try:
        loaded = not reads.loaded_tables().empty
        slot, demo = latest_refresh(), latest("demo")
    except TrendCastError as error:
        error_state(error)
        return
    if demo and demo.get("state") in ("queued", "running"):
        _first_demo()
    elif demo and demo.get("state") == "dead" and not slot:
        _failed_demo(demo)
    elif slot and slot.get("state") in ("queued", "running"):
        _first_refresh()
    elif slot and slot.get("state") == "dead" and loaded:
        failed(slot)
    elif loaded:
        _waiting()
    else:
        no_data()


def no_data() -> None:
    with st.container(key="state_empty"):
        st.header("No data yet", anchor=False)
        st.write("TrendCast forecasts the daily sales of a retailer, and no sales have been loaded.")
        _upload_link()
        st.write("Or put `sales_daily.csv` into a folder and load it:")
        st.code("python -m trendcast load FOLDER", language=None)
        st.caption("Or look at a made-up retailer first: `python -m trendcast demo`")
        _watch()


def _upload_link() -> None:
    """The way to bring one's own file, for those who have no command line."""
    from trendcast.ui import shell

    page = shell._page(*next(row for row in shell.PAGES if row[0] == "data.py"))
    st.page_link(
        page, label="**Upload a file of sales**", icon=":material/upload_file:", query_params={"part": "upload"}
    )


def failed(slot: dict[str, Any]) -> None:
    with st.container(key="state_failed"):
        st.header("The first forecast failed", anchor=False)
        st.write(text.markdown(slot.get("error") or "The refresh stopped without a word.", 400))
        st.write("Your data are safe. Start it again here; the log has the details.")
        if st.button("Refresh again", type="primary"):
            start_refresh()
            st.rerun()


def error_state(error: TrendCastError) -> None:
    """A sentence the user can act on, in place of a page."""
    from trendcast.errors import DatabaseAway

    if isinstance(error, DatabaseAway):
        away(str(error))
        return
    with st.container(key="state_error"):
        st.error(text.markdown(str(error), 400), icon=":material/error:")


def broken() -> None:
    """Something nobody foresaw: the log has it, the page stays calm."""
    with st.container(key="state_broken"):
        st.error(
            "This part of the page could not be shown. Reload the page; if it stays, the log says why.",
            icon=":material/error:",
        )


def start_refresh() -> int:
    return reads.enqueue("refresh", {})


def latest_refresh() -> dict[str, Any] | None:
    return latest("refresh")


def latest(name: str) -> dict[str, Any] | None:
    """The newest slot of a job."""
    rows = reads.slots(1, name)
    return dict(rows.iloc[0]) if len(rows) else None


@st.fragment(run_every="2s")
@watched
def follow(newest: Callable[[], dict[str, Any] | None], done: Callable[[], object]) -> None:
    """How far a job is, drawn again until it is over: then ``done`` and the whole page once more."""
    slot = newest() or {}
    if slot.get("state") not in ("queued", "running"):
        done()
        st.rerun()
    progress_line(slot)


@st.fragment(run_every="3s")
@watched
def _watch() -> None:
    """Look again until there is something to show."""
    standing = reads.standing(fresh=True)
    if standing.run is not None and not standing.away:
        st.rerun()
    if not standing.away and getattr(reads.provider.startup(), "busy", False):
        st.rerun()
    if standing.run is None and not standing.away and st.session_state.get("state_was") == "away":
        st.rerun()
    st.session_state["state_was"] = "away" if standing.away else "empty"


@st.fragment(run_every="2s")
@watched
def _starting() -> None:
    starting = reads.provider.startup()
    if reads.standing(fresh=True).run is not None:
        st.rerun()
    with st.container(key="state_starting"):
        if starting.error:
            st.header("The start did not finish", anchor=False)
            st.write(text.markdown(starting.error, 400))
            return
        if not starting.busy:
            st.rerun()
        st.header("Getting ready", anchor=False)
        st.progress(share(starting.done, starting.total), text=text.markdown(stage(starting.stage)))
        st.caption("The first start prepares the data. This page comes alive by itself.")


@st.fragment(run_every="2s")
@watched
def _first_refresh() -> None:
    if reads.standing(fresh=True).run is not None:
        st.rerun()
    slot = latest_refresh() or {}
    if slot.get("state") not in ("queued", "running"):
        st.rerun()
    with st.container(key="state_refreshing"):
        st.header("The first forecast is being made", anchor=False)
        progress_line(slot)
        started = slot.get("started_at")
        if isinstance(started, dt.datetime) and started == started:
            st.caption(f"Running for {text.age((dt.datetime.now(dt.UTC) - started).total_seconds())}.")
        st.caption("The data are loaded. The figures appear here as soon as they have been checked.")


@st.fragment(run_every="2s")
@watched
def _first_demo() -> None:
    """The demo retailer is on its way: which of its stages, and how long it has been at it."""
    if reads.standing(fresh=True).run is not None:
        st.rerun()
    slot = latest("demo") or {}
    if slot.get("state") not in ("queued", "running"):
        st.rerun()
    with st.container(key="state_demo"):
        st.header("A made-up retailer is moving in", anchor=False)
        progress_line(slot)
        started = slot.get("started_at")
        if isinstance(started, dt.datetime) and started == started:
            st.caption(f"Running for {text.age((dt.datetime.now(dt.UTC) - started).total_seconds())}.")
        st.write(
            "There are no sales of your own yet, so TrendCast makes up GlobalRetail Corp and lives through its last "
            "three months. It takes a minute or two; this page comes alive by itself."
        )
        st.caption("Loading your own data replaces it: `python -m trendcast load FOLDER`")


def _failed_demo(slot: dict[str, Any]) -> None:
    with st.container(key="state_failed"):
        st.header("The made-up retailer could not be finished", anchor=False)
        st.write(text.markdown(slot.get("error") or "It stopped without a word.", 400))
        st.write("Try it again here, or load your own data: `python -m trendcast load FOLDER`")
        if st.button("Try again", type="primary"):
            reads.enqueue("demo", {})
            st.rerun()


def _waiting() -> None:
    with st.container(key="state_waiting"):
        st.header("The data are loaded, the first forecast is not made yet", anchor=False)
        if not _no_worker():
            st.write("A worker starts it at the next full minute. You can also start it now.")
        if st.button("Refresh now", type="primary"):
            start_refresh()
            st.rerun()
        _watch()


# --- the data stamp --------------------------------------------------------------------------------------------------


Colour = Literal["green", "gray", "orange", "red", "blue"]


def freshness(run: Any, today: dt.date) -> tuple[Colour, str]:
    """Colour and words of the stamp: grey for historical data, amber and red for late data.

    Data that had ended long before they were first loaded are historical, not late.
    """
    if run.historical:
        return "gray", "historical data"
    late = (today - run.last_day).days - 1
    if late <= 1:
        return "green", ""
    words = f"{text.count(late, 'day')} late"
    return ("orange", words) if late <= 3 else ("red", words)


def refresh_failed(run: Any) -> None:
    """A later refresh failed: what is shown is the run before it."""
    st.warning(
        f"The last refresh failed: {text.sentence(run.failed_since)} These figures are of the run before. "
        "Start it again on the Data page.",
        icon=":material/sync_problem:",
    )


def stamp(run: Any, n_series: int, today: dt.date, *, as_of: dt.date | None = None) -> None:
    """The data stamp, always visible: data until when, run when, how many series, how late."""
    colour, words = freshness(run, today)
    ahead = wording.ahead(run.last_day, today) if as_of is None else ""
    if ahead:
        colour, words = "orange", "date to check"
    line = (
        f"Data to {text.day(run.last_day)}, run {text.moment(run.published_at)}, "
        f"{text.full(n_series)} of {text.full(run.n_series)} series"
    )
    if as_of:
        colour, words = "blue", f"as of {text.day(as_of)}"
    icons = {"green": "check_circle", "gray": "history", "orange": "schedule", "red": "warning", "blue": "undo"}
    with st.container(horizontal=True, gap="small", vertical_alignment="center", key="stamp"):
        st.badge(
            words[:1].upper() + words[1:] if words else "Up to date", color=colour, icon=f":material/{icons[colour]}:"
        )
        st.caption(line)
        if ahead:
            st.caption(ahead)
        if run.newer_data and as_of is None:
            due = text.clock(dt.datetime.combine(today, dt.time(5), wording.zone()))
            st.caption(f"Newer data is loaded; the refresh at {due} brings it.")
    for words in run.summary.get("warnings", []):
        st.warning(text.markdown(words, 400), icon=":material/warning:")

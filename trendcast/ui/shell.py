"""The frame of every page: navigation, the filter bar, the data stamp, and what stands in place of a page that has
nothing to show."""

from __future__ import annotations

import datetime as dt
import gc
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import streamlit as st

from trendcast.errors import TrendCastError, Unauthenticated
from trendcast.services import incidents
from trendcast.services.people import needed, require
from trendcast.services.review_parts import Link
from trendcast.ui import demo, reads, states, who
from trendcast.ui import filters as bar
from trendcast.ui.memory import Standing
from trendcast.ui.provider import Choice

logger = logging.getLogger(__name__)
_HERE = Path(__file__).resolve().parent
_ROOT = _HERE.parents[1] / "pages"
_VIEW, _AT = "shell_view", "shell_page"


@dataclass(frozen=True)
class View:
    """What a page is asked to show. Everything in it is small and immutable; frames stay in the cache."""

    run_id: int
    choice: Choice
    filters: bar.Filters
    first: dt.date
    last: dt.date
    dark: bool
    away: bool
    last_day: dt.date
    has_money: bool

    @property
    def locked(self) -> bool:
        """Nothing can be changed from here: the database is away, or this person may only look."""
        return self.away or not who.actor().may("planner")

    @property
    def unit(self) -> str:
        return self.filters.unit

    @property
    def key(self) -> tuple[int, Choice, str]:
        return self.run_id, self.choice, self.unit


class Router:
    """Streamlit's chosen page inside our frame; ``run()`` shows it. A new page is one line in PAGES."""

    def __init__(self, page: Any, needs_run: bool | None) -> None:  # None: not a page of ours, no frame
        self._page, self._needs_run = page, needs_run

    def run(self) -> None:
        try:
            self._run()
        finally:
            _settle()

    def _run(self) -> None:
        try:
            if self._needs_run is None:
                self._page.run()
                return
            require(who.actor(), needed(self._page.url_path))
            shown = self._frame()
            who.badge()
            if shown:
                self._page.run()
        except Unauthenticated as error:
            who.signed_out(error)
        except TrendCastError as error:
            states.error_state(error)
        except Exception:
            logger.exception("A page failed: %s", self._page.url_path or "home")
            states.broken()

    def _frame(self) -> bool:
        """Filters and stamp; False when there is no run and the page has nothing without one."""
        st.session_state.pop(_VIEW, None)
        if st.session_state.get(_AT) != self._page.url_path:  # a link may carry filters that were on view before
            st.session_state[_AT] = self._page.url_path
            bar.arrive()
        standing = reads.standing()
        if standing.run is None:
            if standing.away:
                states.away(standing.error)
                return False
            if self._needs_run:
                states.nothing_yet(standing)
                return False
            return True
        if standing.away:
            states.away_banner(standing)
        view = _view(standing)
        st.session_state[_VIEW] = view
        return True


SETTLING = (1, 20)  # pages after which what was loaded is taken out of the collector's sight
_drawn = 0


def _settle() -> None:
    """Streamlit collects garbage in full after each run of a page; over all the modules and caches of this process
    that takes longer than the page itself. What is there once pages were drawn stays: the collector need not look."""
    global _drawn
    _drawn += 1
    if _drawn in SETTLING:
        gc.collect()
        gc.freeze()


PAGES: tuple[tuple[str, str, str, bool], ...] = (
    # file, title, icon, needs a run; the first is home
    ("review.py", "Review", ":material/checklist:", True),
    ("forecasts.py", "Forecasts", ":material/trending_up:", True),
    ("what-if.py", "What if", ":material/tune:", True),
    ("anomaly-inbox.py", "Anomalies", ":material/notifications:", True),
    ("inventory.py", "Inventory", ":material/inventory_2:", True),
    ("accuracy.py", "Accuracy", ":material/target:", True),
    ("data.py", "Data", ":material/database:", False),
)


def pages() -> Router:
    """The router: what the entry file runs on each rerun."""
    # A material icon or an emoji as page icon would be fetched from a foreign host.
    st.set_page_config(page_title="TrendCast", page_icon=str(_HERE / "images" / "icon.png"), layout="wide")
    st.logo(str(_HERE / "images" / "logo.svg"), size="large", icon_image=str(_HERE / "images" / "icon.png"))
    listed = [_page(*row) for row in PAGES]

    def home() -> None:
        st.switch_page(listed[0], query_params={name: st.query_params.get_all(name) for name in st.query_params})

    # The default page has no URL of its own, and /review must be one: the root leads there, filters included.
    root = st.Page(home, title="Home", default=True, visibility="hidden")
    page = st.navigation([root, *listed], position="top")
    needs = {title: needs_run for _, title, _, needs_run in PAGES}
    return Router(page, needs.get(page.title))


def _page(file: str, title: str, icon: str, _: bool) -> Any:
    return st.Page(_ROOT / file, title=title, icon=icon, url_path=Path(file).stem)


def _target(view: View, where: Link) -> tuple[Any, dict[str, list[str]]] | None:
    """The page and the query a link means: the filters on view, narrowed by its names; None for a page to come."""
    row = next((row for row in PAGES if row[0] == f"{where.page}.py"), None)
    if row is None:
        return None
    return _page(*row), bar.narrowed(view.filters, where.query)


def link(view: View, where: Link, label: str, *, icon: str | None = None, help: str | None = None) -> None:
    """A link to another page that keeps the filters; plain text where the page does not exist. ``label`` is
    markdown."""
    found = _target(view, where)
    if found is None:
        st.markdown(label, help=help)
        return
    page, query = found
    st.page_link(page, label=label, icon=icon, help=help, query_params=query)


def lead(where: Link, label: str, *, icon: str | None = None) -> None:
    """A link from beside the page, where no view is: to exactly what it names. ``label`` is markdown."""
    row = next(row for row in PAGES if row[0] == f"{where.page}.py")
    query: dict[str, list[str]] = {}
    for name, value in where.query:
        query.setdefault(name, []).append(value)
    st.page_link(_page(*row), label=label, icon=icon, query_params=query)


def go(view: View, where: Link) -> None:
    """Follow a link now, from a click that was no link."""
    found = _target(view, where)
    if found is not None:
        st.switch_page(found[0], query_params=found[1])


def person() -> str:
    """Who is at the page: the name that decisions and moves are logged under."""
    return who.actor().name


def view() -> View | None:
    """What the page is asked to show; None without a run."""
    found = st.session_state.get(_VIEW)
    return found if isinstance(found, View) else None


def _view(standing: Standing) -> View:
    run, as_of = standing.run, bar.as_of_asked()
    said: list[str] = []
    if as_of is not None and as_of < run.last_day:
        try:
            run = reads.run_as_of(as_of, run.id)
        except TrendCastError as error:
            said.append(f"{error} Showing the newest.")
            as_of = None
    else:
        as_of = None
    catalogue = reads.catalogue(run.id)
    found, words = bar.from_session(run, catalogue, as_of)
    said += words
    days = [] if standing.away else reads.run_days()
    with st.sidebar:
        bar.draw(found, catalogue, run, days)
        demo.controls()
    bar.write_url(found)
    states.stamp(run, len(catalogue.index), incidents.today(), as_of=as_of)
    if run.failed_since and as_of is None:
        states.refresh_failed(run)
    if said:
        st.warning(" ".join(said), icon=":material/link_off:")
    first, last = bar.window(found, run)
    return View(
        run_id=run.id,
        choice=bar.choice(found, catalogue),
        filters=found,
        first=first,
        last=last,
        dark=st.context.theme.type == "dark",
        away=standing.away,
        last_day=run.last_day,
        has_money=run.has_money,
    )

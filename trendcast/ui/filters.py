"""The shared filters: what the URL says, what the run offers, and the widgets between them.

The URL has ``level, category, region, store, from, to, unit, as_of``; a list is a repeated parameter, never a joined
one (a region may be called ``HB,NI``). Whatever a URL says, the result is a valid view: what does not fit is replaced
by the nearest thing that does, and said in one sentence. The first part of this module is pure; the second draws.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from typing import Any

import streamlit as st

from trendcast.ui import reads, text
from trendcast.ui.catalogue import Catalogue
from trendcast.ui.provider import Choice

NAMES = ("level", "category", "region", "store", "from", "to", "unit", "as_of")
LISTS = ("category", "region", "store")
COLUMN = {"category": "product_category", "region": "region", "store": "store"}
HISTORY_WEEKS = 26  # shown when nobody says otherwise
MOST_NAMES = 200


@dataclass(frozen=True)
class Filters:
    """What is on view. ``first`` and ``last`` are Mondays; None means the default window."""

    level: str = "total"
    category: tuple[str, ...] = ()
    region: tuple[str, ...] = ()
    store: tuple[str, ...] = ()
    first: dt.date | None = None
    last: dt.date | None = None
    unit: str = "units"
    as_of: dt.date | None = None


Params = Mapping[str, Sequence[str]]


def parse(params: Params) -> tuple[Filters, list[str]]:
    """The filters a URL asks for, before anything is known of the run, and a sentence for each part that is no
    filter at all."""
    complaints: list[str] = []

    def one(name: str) -> str:
        values = [v for v in params.get(name, ()) if v]
        return values[-1] if values else ""

    def date(name: str) -> dt.date | None:
        value = one(name)
        if not value:
            return None
        try:
            return dt.date.fromisoformat(value)
        except ValueError:
            complaints.append(
                f"“{text.markdown(value, 30)}” in the link is not a date like 2026-09-28; it was left out."
            )
            return None

    unit = one("unit") or "units"
    if unit not in text.UNITS:
        complaints.append(
            f"The link asks for the unit “{text.markdown(unit, 30)}”; there are units and money. Showing units."
        )
        unit = "units"
    names = {name: tuple(dict.fromkeys(v for v in params.get(name, ()) if v)) for name in LISTS}
    level = one("level")
    if not level:  # a link may name a category only
        level = implied_level(names)
    filters = Filters(
        level, names["category"], names["region"], names["store"], date("from"), date("to"), unit, date("as_of")
    )
    return filters, complaints


def implied_level(names: Mapping[str, tuple[str, ...]]) -> str:
    """The level meant when only dimensions are named: a category and a region mean category_region."""
    if names["store"]:
        return "category_store" if names["category"] else "store"
    if names["category"]:
        return "category_region" if names["region"] else "category"
    return "region" if names["region"] else "total"


def fit(filters: Filters, catalogue: Catalogue, run: Any, *, strict: bool = True) -> tuple[Filters, list[str]]:
    """The nearest valid view of this run, and what had to be changed, a sentence each (none with ``strict=False``,
    where a widget's change makes an older choice impossible and nobody needs to be told)."""
    said: list[str] = []
    level = filters.level
    if level not in catalogue.levels:
        near = get_close_matches(level, catalogue.levels, 1)
        level = near[0] if near else implied_level({n: getattr(filters, n) for n in LISTS})
        level = level if level in catalogue.levels else catalogue.levels[0]
        said.append(
            f"There is no level “{text.markdown(filters.level, 30)}” in this data. Showing {text.level_inline(level)}."
        )
    chosen: dict[str, tuple[str, ...]] = {}
    for name in ("region", "category", "store"):
        asked = getattr(filters, name)
        options = catalogue.options(
            level, COLUMN[name], chosen.get("region", ()), chosen.get("category", ()) if name == "store" else ()
        ) or (_narrowing(catalogue, level, name))
        if asked and not options:
            said.append(f"The level {text.level_inline(level)} has no {name}; the {name} was left out.")
        known = set(options)
        kept, missing = [v for v in asked if v in known], [v for v in asked if v not in known]
        for value in missing if options else ():
            near = get_close_matches(value, options, 1, 0.8) if strict else []
            if near and near[0] not in kept:
                kept.append(near[0])
                said.append(f"There is no {name} {text.markdown(value, 40)}. Showing {text.markdown(near[0])} instead.")
            else:
                said.append(f"There is no {name} {text.markdown(value, 40)} here; it was left out.")
        if len(kept) > MOST_NAMES:
            said.append(f"At most {text.count(MOST_NAMES, name)} can be on view; the first ones are.")
        chosen[name] = tuple(kept[:MOST_NAMES])
    first, last, words = _weeks(filters, run)
    unit = filters.unit
    if unit == "money" and not run.has_money:
        unit = "units"
        said.append("This data has no prices and no revenue, so there is no money to show. Showing units.")
    fitted = replace(
        filters,
        level=level,
        category=chosen["category"],
        region=chosen["region"],
        store=chosen["store"],
        first=first,
        last=last,
        unit=unit,
    )
    return fitted, (said + words if strict else [])


def _narrowing(catalogue: Catalogue, level: str, name: str) -> tuple[str, ...]:
    """A store level may be narrowed by the category a store belongs to, where every store has one only."""
    if name == "category" and level == "store" and "category_store" in catalogue.levels:
        frame = catalogue.by_level["category_store"]
        if frame["store"].is_unique and frame["product_category"].nunique() > 1:
            return catalogue.options("category_store", "product_category")
    return ()


def bounds(run: Any) -> tuple[dt.date, dt.date, dt.date]:
    """First Monday of data, default first Monday on view, and the Monday of the twelfth week ahead."""
    first = run.first_day + dt.timedelta(days=(7 - run.first_day.weekday()) % 7)
    last = reads.last_week(run.last_day)
    default = max(first, monday(run.last_day) - dt.timedelta(weeks=HISTORY_WEEKS))
    return first, default, last


def monday(day: dt.date) -> dt.date:
    return day - dt.timedelta(days=day.weekday())


def _weeks(filters: Filters, run: Any) -> tuple[dt.date | None, dt.date | None, list[str]]:
    earliest, default, latest = bounds(run)
    first = monday(filters.first) if filters.first else default
    last = monday(filters.last) if filters.last else latest
    said = []
    if first > last:
        first, last = last, first
        said.append("The link's first week lies after its last; they were swapped.")
    held_first, held_last = min(max(first, earliest), latest), max(min(last, latest), earliest)
    if (held_first, held_last) != (first, last):
        said.append(f"There are weeks from {text.week(earliest)} to {text.week(latest)}; the rest was left out.")
    if held_last - held_first < dt.timedelta(weeks=1):
        held_first = max(earliest, held_last - dt.timedelta(weeks=1))
    return (None if held_first == default else held_first, None if held_last == latest else held_last, said)


def to_params(filters: Filters) -> dict[str, list[str]]:
    """The filters as URL parameters; what is default stays out of the URL."""
    params = {
        "level": [] if filters.level == "total" else [filters.level],
        "category": list(filters.category),
        "region": list(filters.region),
        "store": list(filters.store),
        "from": [filters.first.isoformat()] if filters.first else [],
        "to": [filters.last.isoformat()] if filters.last else [],
        "unit": [] if filters.unit == "units" else [filters.unit],
        "as_of": [filters.as_of.isoformat()] if filters.as_of else [],
    }
    return {name: values for name, values in params.items() if values}


def window(filters: Filters, run: Any) -> tuple[dt.date, dt.date]:
    """First and last Monday on view."""
    _, default, latest = bounds(run)
    return filters.first or default, filters.last or latest


def choice(filters: Filters, catalogue: Catalogue) -> Choice:
    """The series on view: dimensions left at "all" are dropped where the whole is a series of its own.

    All categories of a region are the region, so its own bands and accuracy can be shown. Forecasts add up, so the
    number is the same.
    """
    category, region, store = filters.category, filters.region, filters.store
    if filters.level == "store" and category and not store:  # stores of a kind: they are found at category level
        level = "category_region" if region else "category"
    elif store:
        level = "category_store" if filters.level == "category_store" and category else "store"
    else:
        level = implied_level({"category": category, "region": region, "store": ()})
    if level not in catalogue.levels:
        level = filters.level
    named = Choice(
        level,
        category if level.startswith("category") else (),
        region if level.endswith("region") else (),
        store if level.endswith("store") else (),
    )
    if level == filters.level and level.endswith("store") and not store:
        return replace(named, regions=region)
    return named


def title(filters: Filters) -> str:
    """The selection in words, ready for markdown."""
    parts = [
        text.listing([text.markdown(v) for v in getattr(filters, name)]) for name in ("category", "store", "region")
    ]
    category, store, region = parts
    place = store or region
    if category and place:
        return f"{category} in {place}"
    return category or place or "All categories"


def narrowed(filters: Filters, query: Sequence[tuple[str, str]]) -> dict[str, list[str]]:
    """The URL parameters of a link: these filters, with the names ``query`` has in place of theirs, and what else it
    has."""
    given: dict[str, list[str]] = {}
    for name, value in query:
        given.setdefault(name, []).append(value)
    params = to_params(filters) | given
    if any(name in given for name in LISTS):
        level = implied_level({name: tuple(params.get(name, ())) for name in LISTS})
        params["level"] = [level]
    return params


# --- widgets ---------------------------------------------------------------------------------------------------------

_KEY = "filter_{}".format
_WRITTEN, _SAID = "filters_written", "filters_said"


def from_session(run: Any, catalogue: Catalogue, as_of: dt.date | None) -> tuple[Filters, list[str]]:
    """The filters of this session: from the URL when it is new to us, else from the widgets. Leaves the widgets'
    state valid, so they can be drawn right after. ``as_of``: the day decided on, None for now."""
    current = {name: tuple(st.query_params.get_all(name)) for name in NAMES if st.query_params.get_all(name)}
    written = st.session_state.setdefault(_WRITTEN, [])
    # The browser sends the URL it had when it was clicked: one that we wrote ourselves is never news.
    if _KEY("level") not in st.session_state or (current and current not in written):
        asked, said = parse(current)
        fitted, more = fit(replace(asked, as_of=as_of), catalogue, run)
        st.session_state[_SAID] = said + more
        written.append(current)
    else:
        asked = replace(_from_widgets(run), as_of=as_of)
        fitted, more = fit(asked, catalogue, run, strict=False)
        if asked != st.session_state.get("filters_last"):
            st.session_state[_SAID] = more
    _to_widgets(fitted, run)
    st.session_state["filters_last"] = fitted
    return fitted, list(st.session_state.get(_SAID, ()))


def arrive() -> None:
    """Another page was opened: what its URL says counts, also where it was on view before; pages with filters of their
    own keep theirs under a name that ends like ours."""
    for name in [key for key in st.session_state if str(key).endswith("_written")]:
        st.session_state[name] = []


def _from_widgets(run: Any) -> Filters:
    state = st.session_state
    _, default, latest = bounds(run)
    first, last = state.get(_KEY("from")), state.get(_KEY("to"))
    return Filters(
        level=state.get(_KEY("level")) or "total",
        category=tuple(state.get(_KEY("category")) or ()),
        region=tuple(state.get(_KEY("region")) or ()),
        store=tuple(state.get(_KEY("store")) or ()),
        first=None if first in (None, default) else first,
        last=None if last in (None, latest) else last,
        unit=state.get(_KEY("unit")) or "units",
    )


def _to_widgets(filters: Filters, run: Any) -> None:
    first, last = window(filters, run)
    values = {
        "level": filters.level,
        "category": list(filters.category),
        "region": list(filters.region),
        "store": list(filters.store),
        "from": first,
        "to": last,
        "unit": filters.unit,
        "as_of": filters.as_of,
    }
    for name, value in values.items():
        if st.session_state.get(_KEY(name)) != value:
            st.session_state[_KEY(name)] = value


def write_params(names: Sequence[str], params: Mapping[str, Sequence[str]], written_key: str) -> None:
    """Make these names of the URL say ``params``, and remember under ``written_key`` that it was us who wrote it."""
    written = st.session_state.setdefault(written_key, [])
    kept = {name: tuple(values) for name, values in params.items()}
    if kept not in written:
        written.append(kept)
        del written[:-50]
    for name in names:
        values = list(params.get(name, ()))
        if st.query_params.get_all(name) == values:
            continue
        if values:
            st.query_params[name] = values if len(values) > 1 else values[0]
        elif name in st.query_params:
            del st.query_params[name]


def write_url(filters: Filters, extra: Mapping[str, str] | None = None) -> None:
    """Put the filters into the URL, where a copy of it restores this view."""
    write_params(NAMES, to_params(filters), _WRITTEN)


def as_of_asked() -> dt.date | None:
    """The day to go back to, from the widget or a fresh URL; None is today."""
    if _KEY("as_of") in st.session_state:
        current = {name: tuple(st.query_params.get_all(name)) for name in NAMES if st.query_params.get_all(name)}
        if not current or current in st.session_state.get(_WRITTEN, []):
            value = st.session_state[_KEY("as_of")]
            return value if isinstance(value, dt.date) else None
    try:
        return dt.date.fromisoformat(st.query_params.get("as_of", ""))
    except ValueError:
        return None


def draw(filters: Filters, catalogue: Catalogue, run: Any, days: Sequence[dt.date]) -> None:
    """The filter bar. The widgets read their values from the session, where from_session has put them."""
    st.selectbox(
        "Level",
        catalogue.levels,
        format_func=text.level,
        key=_KEY("level"),
        persist_state="session",
        help="What a series stands for. All levels are forecast, and they add up.",
    )
    for name, one, many in (
        ("category", "Category", "categories"),
        ("region", "Region", "regions"),
        ("store", "Store", "stores"),
    ):
        options = catalogue.options(
            filters.level,
            COLUMN[name],
            filters.region if name != "region" else (),
            filters.category if name == "store" else (),
        ) or _narrowing(catalogue, filters.level, name)
        if options:
            st.multiselect(
                one,
                options,
                key=_KEY(name),
                persist_state="session",
                max_selections=MOST_NAMES,
                select_all=False,
                placeholder=f"All {text.full(len(options))} {many}" if len(options) > 1 else f"All {many}",
                format_func=text.plain,
            )
    earliest, _, latest = bounds(run)
    st.date_input(
        "Weeks from",
        key=_KEY("from"),
        min_value=earliest,
        max_value=latest,
        format="YYYY-MM-DD",
        persist_state="session",
        help="A week is named by its Monday; another day means the week it lies in.",
    )
    st.date_input(
        "Weeks to", key=_KEY("to"), min_value=earliest, max_value=latest, format="YYYY-MM-DD", persist_state="session"
    )
    if run.has_money:
        st.segmented_control(
            "Measure",
            list(text.UNITS),
            format_func=text.UNITS.__getitem__,
            key=_KEY("unit"),
            required=True,
            persist_state="session",
            width="stretch",
            help="Money is units at the price of the day, summed from the finest series: in the past the price of the"
            " sales (or their revenue per unit), ahead the planned price, or else that of the last 56 days.",
        )
    if len(days) > 1 or filters.as_of:
        past = list(days[1:])
        if filters.as_of and filters.as_of not in past:
            past.append(filters.as_of)
        st.selectbox(
            "As of",
            [None, *past],
            key=_KEY("as_of"),
            persist_state="session",
            format_func=lambda day: "Now" if day is None else text.day(day),
            help="Show what the forecast was when the data ended on an earlier day.",
        )


def chosen(name: str, options: Mapping[str, str], default: str) -> str:
    """The value of a switch of ``own`` that is drawn further down the page."""
    value = st.session_state.get(f"own_{name}") or st.query_params.get(name, default)
    return value if value in options else default


def own(name: str, options: Mapping[str, str], default: str, label: str) -> str:
    """A switch one page has alone, with its own URL parameter; an unknown value means the default."""
    key = f"own_{name}"
    if key not in st.session_state:
        st.session_state[key] = chosen(name, options, default)
    value = st.segmented_control(
        label,
        list(options),
        format_func=options.__getitem__,
        key=key,
        required=True,
        label_visibility="collapsed",
        persist_state="session",
    )
    value = value or default
    if value != default and st.query_params.get(name) != value:
        st.query_params[name] = value
    elif value == default and name in st.query_params:
        del st.query_params[name]
    return value

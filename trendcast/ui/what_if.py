"""The parts of the What-if page: drivers to move, the promotion calendar, what that does, and kept scenarios."""

from __future__ import annotations

import datetime as dt
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from trendcast.errors import NotFound, TrendCastError
from trendcast.services import chart_findings, findings, what_if
from trendcast.services import scenarios as keeping
from trendcast.services.scenarios import Saved
from trendcast.services.what_if import Baseline, Change, Changes, Driver, Promotion, Scenario
from trendcast.ui import charts_what_if, filters, plots, reads, shell, text
from trendcast.ui.shell import View
from trendcast.ui.states import calm

WEEK = dt.timedelta(days=7)
PAST_WEEKS = 6
PLANNED = 0.5  # a week with promotion on so many of its days counts as planned
_APPLIED, _OPENED, _START, _VERSION = "what_if_applied", "what_if_opened", "what_if_start", "what_if_version"


@dataclass(frozen=True)
class Control:
    """A slider: its driver, ends and where it stands untouched, in the slider's unit: the driver's times ``scale``."""

    driver: Driver
    low: float
    high: float
    default: float
    step: float
    format: str
    scale: float

    def value(self, shown: float) -> float:
        return shown / self.scale


def control(driver: Driver) -> Control:
    """The slider of a driver: a half more than ever seen on both sides."""
    if driver.kind in ("relative", "share"):
        reach = max(30, 5 * math.ceil(30 * max(-driver.low, driver.high)))
        ends = (0, 100) if driver.kind == "share" else (-min(reach, 90), reach)
        return Control(driver, *ends, round(100 * driver.base), 1, "%d %%", 100)
    span = max(driver.high - driver.low, 1e-6)
    step = 10.0 ** math.floor(math.log10(span / 50))
    low = driver.low - span / 2
    low = max(low, 0.0) if driver.low >= 0 else low
    digits = max(0, -math.floor(math.log10(step)))

    def even(value: float) -> float:
        return round(round(value / step) * step, digits)

    base = even(driver.base)
    return Control(driver, min(even(low), base), max(even(driver.high + span / 2), base), base, step, f"%.{digits}f", 1)


def baseline(view: View) -> Baseline | None:
    """The published forecast to start from; None (and a sentence) where it cannot be tried."""
    st.header(f"What if: {filters.title(view.filters)}", anchor=False)
    try:
        return reads.what_if_baseline(view.run_id, view.choice)
    except NotFound:
        st.write("The days of this older forecast are no longer kept, so nothing can be tried on it.")
        st.write("Set “As of” in the bar to “Now” to try it on the newest forecast.")
    except TrendCastError as error:
        st.write(text.sentence(error))
    return None


def nothing(view: View, base: Baseline) -> None:
    """No driver is known: what is missing, and what to load to make this page useful."""
    st.markdown("#### " + text.sentence(what_if.finding(base, what_if.simulate_on(base, Changes()), _name(view))))
    with st.container(key="what_if_nothing", border=True):
        if view.filters.as_of is not None:
            st.write("This run was made before drivers were learnt. Set “As of” to “Now” to try a what-if.")
        else:
            st.write("Nothing is known here that could be changed, so there is no what-if yet.")
            st.write("Load any of these with the daily sales; the next forecast learns what they do:")
            st.markdown("\n".join(f"- {text.sentence(words)}" for words in what_if.absent(base)))
    scenario = what_if.simulate_on(base, Changes())
    _chart(view, scenario, key="plain")


# --- the workbench ---------------------------------------------------------------------------------------------------


@st.fragment
@calm  # what goes wrong in a fragment does not reach the frame of the page
def workbench(view: View) -> None:
    """Drivers on the left, what they do on the right, kept scenarios below. Only this part is drawn again."""
    base = reads.what_if_baseline(view.run_id, view.choice)
    found = what_if.drivers_of(base)
    controls = [control(driver) for driver in found if driver.kind != "promotion"]
    promotion = next((driver for driver in found if driver.kind == "promotion"), None)
    _arrive(view, base, controls)
    left, right = st.columns([1, 2.1], gap="medium")
    with left:
        changes = _panel(view, base, controls, promotion)
    with right:
        _outcome(view, base, changes)
    _kept(view, base, controls)


def _scope(view: View) -> str:
    """What widgets belong to: a run, a selection, and the times it was reset."""
    version = st.session_state.get(_VERSION, 0)
    return f"what_if_{view.run_id}_{abs(hash(view.choice)) % 10**8}_{version}"


def _weeks(base: Baseline) -> list[dt.date]:
    """The Mondays of the weeks ahead, the running one first if the forecast begins inside it."""
    monday = base.first - dt.timedelta(days=base.first.weekday())
    return [monday + n * WEEK for n in range((base.last - monday).days // 7 + 1)]


def _planned(base: Baseline) -> list[dt.date]:
    """The weeks in which promotion is planned on most days."""
    if what_if.PROMOTION not in base.names:
        return []
    share = base.planned.mean(axis=0)
    days = pd.date_range(base.first, periods=base.days)
    by_week = pd.Series(share, index=days).groupby(days - pd.to_timedelta(days.day_of_week, unit="D")).mean()
    return [monday for monday in _weeks(base) if by_week.get(pd.Timestamp(monday), 0.0) >= PLANNED]


def _panel(view: View, base: Baseline, controls: list[Control], promotion: Driver | None) -> Changes:
    """The drivers; returns what is asked for, or what was last run where that is not done at once."""
    scope, weeks, start = _scope(view), _weeks(base), _start(_scope(view))
    with st.container(horizontal=True, vertical_alignment="center"):
        auto = st.toggle("Run as I change", value=True, key="what_if_auto", persist_state="session")
        run = st.button("Run", type="primary", disabled=auto, key="what_if_run")
        st.button("Reset", on_click=_reset, key="what_if_reset", help="Back to what is planned.")
    span = st.select_slider(
        "Weeks that change",
        weeks,
        value=start.get("weeks", (weeks[0], weeks[-1])),
        key=f"{scope}_weeks",
        format_func=text.day_short,
        persist_state="session",
        help="Every slider holds from the Monday of the first to the Sunday of the last week.",
    )
    own = [one for one in controls if one.driver.name == what_if.PRICE]
    around = [one for one in controls if one not in own and one.driver.sure]
    doubtful = [one for one in controls if one not in own and not one.driver.sure]
    values = {one.driver.name: _slider(scope, one, start) for one in own}
    wanted: list[dt.date] = []
    if promotion is not None:
        wanted = st.pills(
            "Weeks with a promotion",
            weeks,
            selection_mode="multi",
            default=start.get("promotions", _planned(base)),
            key=f"{scope}_promotions",
            format_func=lambda monday: f"{monday.day} {monday:%b}",
            wrap=True,
            persist_state="session",
            help=text.sentence(f"{_gain_words(promotion)} Untouched: {promotion.source}."),
        )
        usual = "Where nothing is planned, the marked weeks are those that usually have one."
        st.caption(text.sentence(" ".join(words for words in (promotion.effect, promotion.note, usual) if words)))
    for title, words, some in (
        ("Circumstances", "What you do not decide, but may have to live with.", around),
        (
            "Not proven here",
            "Knowing these did not make last year's forecast of this selection better, however clear an effect looks: "
            "they widen the range rather than move the number.",
            doubtful,
        ),
    ):
        if some:
            moved = any(one.driver.name in start for one in some)
            with st.expander(f"{title} ({len(some)})", expanded=moved):
                st.caption(words)
                values |= {one.driver.name: _slider(scope, one, start) for one in some}
    missing = what_if.absent(base)
    if missing:
        with st.expander(f"Not known ({len(missing)})"):
            st.markdown("\n".join(f"- {text.sentence(words)}" for words in missing))
    asked = _asked(base, controls, span, values, wanted)
    if auto or run:
        st.session_state[_APPLIED] = (scope, asked)
    held, applied = st.session_state.get(_APPLIED, ("", Changes()))
    if held != scope:
        applied = Changes()
    if applied != asked:
        st.caption(":material/pending: Changed since the last run.")
    return applied


def _slider(scope: str, one: Control, start: dict[str, Any]) -> float:
    """The slider and what there is to say about it; returns where it stands."""
    driver = one.driver
    stands: float = st.slider(
        text.plain(driver.label) + (" (change)" if driver.kind == "relative" else ""),
        min_value=_typed(one, one.low),
        max_value=_typed(one, one.high),
        value=_typed(one, start.get(driver.name, one.default)),
        step=_typed(one, one.step),
        format=one.format,
        key=f"{scope}_{driver.name}",
        persist_state="session",
        help=text.sentence(f"{driver.effect} {_gain_words(driver)} Untouched: {driver.source}."),
    )
    value = one.value(stands)
    ends = [_shown(driver, v) for v in (driver.low, driver.high)]
    words = f"Ever seen: {ends[0]} to {ends[1]}."
    slack = 0.5 * one.step / one.scale
    if not driver.low - slack <= value <= driver.high + slack:
        st.markdown(f":orange-badge[:material/warning: Extrapolating] {text.sentence(words)}")
    else:
        st.caption(text.sentence(f"{words} {driver.effect}"))
    if driver.note:
        st.caption(f":material/info: {text.sentence(driver.note)}")
    return stands


def _typed(one: Control, value: float) -> Any:
    """Sliders want their numbers all of one type."""
    return int(value) if one.scale == 100 else float(value)


def _shown(driver: Driver, value: float) -> str:
    if driver.kind in ("relative", "share"):
        return text.percent(value, 0, sign=driver.kind == "relative")
    return text.short(value)


def _gain_words(driver: Driver) -> str:
    if driver.gain > 0.0005:
        return f"Knowing it took {text.percent(driver.gain)} off the daily error on last year's sales."
    return "Knowing it did not make last year's forecast of this selection better."


def _start(scope: str) -> dict[str, Any]:
    """Where the widgets of a scope stand at first, as an opened scenario had them; empty: as planned."""
    held, values = st.session_state.get(_START, ("", {}))
    return dict(values) if held == scope else {}


def _asked(
    base: Baseline,
    controls: list[Control],
    span: tuple[dt.date, dt.date],
    values: dict[str, float],
    wanted: list[dt.date],
) -> Changes:
    """What the widgets say, as changes; an untouched one is none."""
    first, last = max(span[0], base.first), min(span[1] + WEEK - dt.timedelta(days=1), base.last)
    levels = []
    for one in controls:
        shown = values[one.driver.name]
        if abs(shown - one.default) > 1e-9:
            levels.append(Change(one.driver.name, one.value(shown), first, last))
    promotions = [
        Promotion(max(monday, base.first), min(monday + WEEK - dt.timedelta(days=1), base.last), monday in wanted)
        for monday in sorted(set(wanted) ^ set(_planned(base)))
    ]
    return Changes(tuple(levels), tuple(promotions))


def _reset() -> None:
    st.session_state[_VERSION] = st.session_state.get(_VERSION, 0) + 1
    st.session_state.pop(_APPLIED, None)
    if "scenario" in st.query_params:
        del st.query_params["scenario"]


# --- what it does ----------------------------------------------------------------------------------------------------


def _outcome(view: View, base: Baseline, changes: Changes) -> None:
    try:
        scenario = what_if.simulate_on(base, changes)
    except TrendCastError as error:
        st.warning(text.sentence(error), icon=":material/warning:")
        return
    st.markdown("#### " + text.sentence(what_if.finding(base, scenario, _name(view))))
    if base.first.weekday():
        sunday = base.first + dt.timedelta(days=6 - base.first.weekday())
        st.caption(
            f"The sums have what is left of the running week, {text.day_short(base.first)} to "
            f"{text.day_short(sunday)}, and the {(base.last - sunday).days // 7} whole weeks after it; elsewhere only "
            "whole weeks are added up."
        )
    for doubt in scenario.warnings:
        st.markdown(f":orange[:material/warning:] {text.sentence(doubt)}")
    stock = _stock_words(view, scenario)
    if stock:
        st.markdown(f":material/inventory_2: {text.sentence(stock)}")
    if scenario.first is not None:
        _tiles(scenario)
    grain = filters.own("by", {"week": "Weeks", "day": "Days"}, "week", "Show by")
    _chart(view, scenario, key="chart", grain=grain)
    if grain == "day" and not scenario.daily["base_low"].notna().any():
        st.caption("Bands of a sum of several series are shown by week only: daily bands do not add up.")
    if scenario.first is None:
        return
    table = difference_table(scenario, view.unit)
    config: dict[str, Any] = {"Measure": st.column_config.TextColumn("Measure", pinned=True, width=120)}
    config |= {name: st.column_config.TextColumn(alignment="right", width=92) for name in table.columns[1:]}
    st.dataframe(
        table,
        hide_index=True,
        height="content",
        key="what_if_table",
        alt="Plan, scenario and difference by week.",
        column_config=config,
    )
    st.caption(
        "The band of the scenario is as wide as the published one and, beyond that, as unsure as the effects are. "
        "Low and high are its 80 % band."
    )


def _tiles(scenario: Scenario) -> None:
    with st.grid(2, min_column_width=200, key="what_if_tiles"):
        shares = [text.percent(v, 0, sign=True) for v in (scenario.share_low, scenario.share_high)]
        st.metric(
            text.UNITS["units"],
            text.short(scenario.units, sign=True),
            delta=f"{text.percent(scenario.share, 1, sign=True)} ({shares[0]} to {shares[1]})",
            delta_color="off",
            delta_arrow="off",
            border=True,
            help=f"More or less sold in all: {text.full(scenario.units)}. The share is of what was expected on the "
            "days that change, with its 80 % range: how far the effects themselves are known.",
        )
        if np.isfinite(scenario.money):
            ends = [_signed_money(v) for v in (scenario.money_low, scenario.money_high)]
            st.metric(
                "Sales",
                _signed_money(scenario.money),
                delta=f"{ends[0]} to {ends[1]}",
                delta_color="off",
                delta_arrow="off",
                border=True,
                help="Units at the price of the day, with lower or higher prices and the price cuts of promotions. "
                "What the goods cost is not taken off.",
            )


def _signed_money(value: float) -> str:
    return ("+" if value > 0 else "") + text.amount(value, "money")


def _name(view: View) -> str:
    """What the selection is called in a sentence."""
    return findings.series_name(reads.series(view.run_id, view.choice))


def _stock_words(view: View, scenario: Scenario) -> str:
    """What the change asks of stock, where one category is on view and its lead time is known."""
    if len(view.choice.categories) != 1 or scenario.first is None:
        return ""
    try:
        rows = reads.advice(view.run_id, view.choice.categories)
    except TrendCastError:
        return ""
    lead = float(rows["lead_time_days"].iloc[0]) if len(rows) and "lead_time_days" in rows else math.nan
    if not lead > 0:
        return ""
    return what_if.stock_words(scenario, lead, view.last_day + dt.timedelta(days=1))


def _chart(view: View, scenario: Scenario, *, key: str, grain: str = "week") -> None:
    rows = _rows(scenario, view.unit, grain)
    try:
        past = reads.table(view.run_id, view.choice, view.unit, grain)
        past = past[past["actual"].notna() & ~past["future"]].tail(PAST_WEEKS * (7 if grain == "day" else 1))
    except NotFound as error:  # an older run keeps its forecast longer than its history
        past = pd.DataFrame({"date": pd.Series(dtype="datetime64[us]"), "actual": pd.Series(dtype="float64")})
        st.caption(text.sentence(error))
    figure, alt = charts_what_if.scenario_chart(
        rows, past[["date", "actual"]], unit=view.unit, dark=view.dark, grain=grain
    )
    st.plotly_chart(figure, key=f"what_if_{key}_{view.dark}", config=plots.CONFIG, alt=alt)


def _rows(scenario: Scenario, unit: str, grain: str) -> pd.DataFrame:
    """The scenario's weeks or days in the unit on view; money's bands are in proportion to its mean."""
    frame = scenario.weekly if grain == "week" else scenario.daily
    frame = frame.rename(columns={"week": "date", "date_id": "date"})
    if unit == "money":
        with np.errstate(divide="ignore", invalid="ignore"):
            after, before = frame["money"] / frame["scenario"], frame["base_money"] / frame["base"]
        frame = frame.assign(
            base=frame["base_money"],
            scenario=frame["money"],
            low=frame["low"] * after,
            high=frame["high"] * after,
            base_low=frame["base_low"] * before,
            base_high=frame["base_high"] * before,
        )
    changed = ~np.isclose(frame["scenario"], frame["base"], rtol=1e-9, equal_nan=True)
    notes = [""] * len(frame)
    if "promotion" in frame:
        notes = [f"Promotion on {text.percent(v, 0)} of the week" if v > 0.04 else "" for v in frame["promotion"]]
    return frame.assign(changed=changed, note=notes)


def difference_table(scenario: Scenario, unit: str) -> pd.DataFrame:
    """Measures as rows, weeks as columns, in words."""
    rows = _rows(scenario, unit, "week")
    names = {
        "As planned": [text.amount(v, unit) for v in rows["base"]],
        "What if": [text.amount(v, unit) for v in rows["scenario"]],
        "Difference": [text.short(v, sign=True) for v in rows["scenario"] - rows["base"]],
        "in %": [
            text.percent(b / a - 1, 1, sign=True) if a > 0 else text.NONE
            for a, b in zip(rows["base"], rows["scenario"], strict=True)
        ],
        "Low": [text.amount(v, unit) for v in rows["low"]],
        "High": [text.amount(v, unit) for v in rows["high"]],
    }
    if rows["promotion"].notna().any():
        names["Promotion"] = [text.percent(v, 0) if v > 0.004 else text.NONE for v in rows["promotion"]]
    table = pd.DataFrame({"Measure": list(names)})
    for n, week in enumerate(rows["date"]):
        table[text.week_column(week)] = [values[n] for values in names.values()]
    return table


# --- kept scenarios --------------------------------------------------------------------------------------------------


def _arrive(view: View, base: Baseline, controls: list[Control]) -> None:
    """A link that names a scenario opens it, once."""
    asked = st.query_params.get("scenario", "")
    if not asked or st.session_state.get(_OPENED) == (asked, view.choice):
        return
    st.session_state[_OPENED] = (asked, view.choice)
    try:
        if not asked.isdecimal():
            raise NotFound("This link names no scenario.")
        _open(view, base, controls, reads.scenario(int(asked)))
    except TrendCastError as error:
        st.warning(text.sentence(error), icon=":material/link_off:")


def _open(view: View, base: Baseline, controls: list[Control], saved: Saved) -> None:
    """Put the widgets where the scenario had them, as far as its weeks still lie ahead."""
    _reset()
    weeks = _weeks(base)
    start: dict[str, Any] = {}
    dated = [(c.first or base.first, c.last or base.last) for c in saved.changes.levels]
    if dated:
        first = max(min(a for a, _ in dated), base.first)
        last = max(min(max(b for _, b in dated), base.last), first)
        ahead = [monday for monday in weeks if monday <= last and monday + WEEK > first]
        start["weeks"] = (ahead[0], ahead[-1]) if ahead else (weeks[0], weeks[-1])
    by_name = {one.driver.name: one for one in controls}
    for change in saved.changes.levels:
        one = by_name.get(change.name)
        if one is not None:
            value = change.value if not change.relative else one.driver.base * (1 + change.value)
            shown = round(value * one.scale / one.step) * one.step
            start[change.name] = min(max(shown, one.low), one.high)
    wanted = set(_planned(base))
    for promotion in saved.changes.promotions:
        touched = {monday for monday in weeks if promotion.first <= monday + 3 * WEEK / 7 <= promotion.last}
        wanted = wanted | touched if promotion.on else wanted - touched
    start["promotions"] = sorted(wanted)
    scope, values = _scope(view), {one.driver.name: start.get(one.driver.name, one.default) for one in controls}
    st.session_state[_START] = (scope, start)
    span = start.get("weeks", (weeks[0], weeks[-1]))
    st.session_state[_APPLIED] = (scope, _asked(base, controls, span, values, start["promotions"]))
    st.query_params["scenario"] = str(saved.id)
    st.session_state[_OPENED] = (str(saved.id), view.choice)


def _kept(view: View, base: Baseline, controls: list[Control]) -> None:
    """Keep this scenario; open, compare and put aside those that were kept."""
    st.subheader("Kept scenarios", anchor=False)
    held, applied = st.session_state.get(_APPLIED, ("", Changes()))
    if applied and held == _scope(view):
        with (
            st.form("what_if_keep", border=False, clear_on_submit=True),
            st.container(horizontal=True, vertical_alignment="bottom"),
        ):
            name = st.text_input("Name", max_chars=keeping.LONGEST_NAME, key="what_if_name")
            note = st.text_input("Note", max_chars=keeping.LONGEST_NOTE, key="what_if_note")
            wanted = st.form_submit_button("Keep this scenario", disabled=view.locked, icon=":material/bookmark_add:")
        if wanted:
            _keep(view, base, applied, name, note)
    found = reads.scenarios()
    if not found:
        st.caption("None yet. Move a driver, then give what you see a name to find it again and to compare it.")
        return
    by_id = {saved.id: saved for saved in found}
    st.session_state["what_if_compare"] = [i for i in st.session_state.get("what_if_compare", []) if i in by_id]
    chosen = st.multiselect(
        "Compare",
        list(by_id),
        key="what_if_compare",
        max_selections=keeping.MOST_COMPARED,
        select_all=False,
        format_func=lambda i: text.plain(by_id[i].name),
        placeholder=f"Choose up to {keeping.MOST_COMPARED}",
    )
    if len(chosen) == 1:
        saved = by_id[chosen[0]]
        with st.container(horizontal=True):
            if st.button("Open", key="what_if_open", icon=":material/open_in_new:"):
                _open(view, base, controls, saved)
                st.rerun(scope="fragment")
            if st.button("Put aside", key="what_if_archive", icon=":material/archive:", disabled=view.locked):
                reads.archive_scenario(saved.id)
                st.rerun(scope="fragment")
    shown = [by_id[i] for i in chosen] or found
    unit = view.unit if all(np.isfinite(saved.figures["money"]) for saved in shown) else "units"
    if chosen:
        frames = [(saved.name, _differences(saved, unit)) for saved in shown]
        totals = [(text.plain(name), float(frame["difference"].sum())) for name, frame in frames]
        st.markdown(text.sentence(chart_findings.scenarios(totals, unit)))
        figure, alt = charts_what_if.comparison_chart(frames, unit=unit, dark=view.dark)
        st.plotly_chart(figure, key=f"what_if_compared_{view.dark}", config=plots.CONFIG, alt=alt)
    st.dataframe(
        scenario_table(shown),
        hide_index=True,
        height="content" if len(shown) < 8 else 320,
        key="what_if_kept",
        alt="Kept scenarios.",
        column_config={
            "Name": st.column_config.TextColumn(pinned=True, width=160),
            "What it does": st.column_config.TextColumn(width="large"),
        },
    )


def _differences(saved: Saved, unit: str) -> pd.DataFrame:
    names = ("money", "base_money") if unit == "money" else ("scenario", "base")
    return pd.DataFrame({"week": saved.weekly["week"], "difference": saved.weekly[names[0]] - saved.weekly[names[1]]})


def scenario_table(found: list[Saved]) -> pd.DataFrame:
    """Kept scenarios, one per row, in words."""
    return pd.DataFrame(
        {
            "Name": [text.plain(saved.name) for saved in found],
            "For": [text.plain(saved.selected) for saved in found],
            text.UNITS["units"]: [text.short(saved.figures["units"], sign=True) for saved in found],
            "Change": [text.percent(saved.figures["share"], 1, sign=True) for saved in found],
            "Sales": [text.short(saved.figures["money"], sign=True) for saved in found],
            "What it does": [text.plain(saved.finding) for saved in found],
            "Note": [text.plain(saved.note) for saved in found],
            "By": [text.plain(saved.author) for saved in found],
            "Kept": [text.moment(saved.created_at) for saved in found],
            "Data to": [text.day(saved.last_day) if saved.last_day else text.NONE for saved in found],
        }
    )


def _keep(view: View, base: Baseline, changes: Changes, name: str, note: str) -> None:
    scenario = what_if.simulate_on(base, changes)
    selected = _name(view)
    try:
        number = reads.save_scenario(
            name=name,
            note=note,
            who=shell.person(),
            base=base,
            choice=view.choice,
            selected=selected,
            scenario=scenario,
            finding=what_if.finding(base, scenario, selected),
        )
    except TrendCastError as error:
        st.warning(text.sentence(error), icon=":material/warning:")
        return
    st.query_params["scenario"] = str(number)
    st.session_state[_OPENED] = (str(number), view.choice)
    st.toast("Kept. The address of this page opens it again.", icon=":material/bookmark_added:")

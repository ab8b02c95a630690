"""Upload: a stranger's file becomes a first forecast. Choose the file, look at what its columns are, load, refresh."""

from __future__ import annotations

import hashlib
from typing import Any

import pandas as pd
import streamlit as st

from trendcast.errors import TrendCastError
from trendcast.services import upload_job
from trendcast.services.upload import FLAGS, NAMES, NUMBERS, Parsed, Reading
from trendcast.services.upload_cells import Cells
from trendcast.ui import reads, states, text

TYPES = ["csv", "tsv", "txt", "xlsx", "xlsm", "gz"]
LAYOUTS = {
    "long": "A row per day and product",
    "days": "A column per day",
    "names": "A column per category",
}
LABELS = {
    "date": "Day",
    "category": "Category",
    "region": "Region",
    "store": "Store",
    "units": "Units sold",
    "revenue": "Revenue",
    "price": "Unit price",
    "promotion": "Promotion",
    "open": "Open",
    "weather": "Weather",
}
HELP = {
    "units": "What was sold on that day. A turnover is fine too.",
    "revenue": "The money taken on that day; with it everything can be ranked by money.",
    "promotion": "Yes or no, 1 or 0, a discount above 0, or the promotion's name.",
    "open": "Whether the store was open on that day.",
}
ACROSS = {"category": "Categories", "region": "Regions", "store": "Stores"}
DECIMALS = {"": "As found", ",": "Comma: 1.234,5", ".": "Point: 1,234.5"}
NONE = ""
PREVIEW = 8
_OUTCOME, _COUNT, _PUT_AWAY = "upload_outcome", "upload_count", "upload_put_away"
_STAGES = {"reading": "Checking the rows", "comparing": "Writing the rows"}


def _key() -> str:
    """The key of the uploader; another one is an empty one."""
    return f"upload_file_{st.session_state.get(_COUNT, 0)}"


def section(*, away: bool) -> None:
    """The whole of it; what was loaded last stays in view until another file is chosen."""
    st.markdown(
        "Bring your own sales: a CSV file or an Excel workbook with a row (or a column) per **day**. TrendCast finds "
        "out what the columns are; you look, and load."
    )
    st.caption(
        "Needed: the day and what was sold. Helpful: category, region or store, revenue or price, promotions. Weekly "
        "or monthly sums cannot be used."
    )
    file = st.file_uploader(
        "Your sales",
        type=TYPES,
        key=_key(),
        disabled=away,
        help="Any delimiter and encoding, .gz too; up to 50 MB. Larger files: python -m trendcast load FOLDER.",
    )
    outcome = st.session_state.get(_OUTCOME)
    if file is None:
        outcome = outcome or _left_before()
        if outcome is not None:
            _done(outcome)
        return
    data = file.getvalue()
    sha256 = hashlib.sha256(data + file.name.encode()).hexdigest()
    if outcome is not None and outcome["sha256"] == sha256:
        _done(outcome)
        return
    st.session_state.pop(_OUTCOME, None)
    try:
        cells = reads.upload_cells(sha256, file.name, st.session_state.get(f"sheet_{sha256[:12]}", ""), data)
    except TrendCastError as error:
        st.error(text.sentence(error), icon=":material/error:")
        return
    _map(cells, sha256, away=away)


# --- mapping ---------------------------------------------------------------------------------------------------------


def _map(cells: Cells, sha256: str, *, away: bool) -> None:
    """One screen: what each column is, the first rows as they came and as they will be loaded, and the button."""
    mark = sha256[:12]
    if len(cells.sheets) > 1:
        st.selectbox(
            "Sheet",
            cells.sheets,
            index=cells.sheets.index(cells.sheet),
            key=f"sheet_{mark}",
            format_func=text.plain,
            width=320,
        )
    proposed, remembered = reads.upload_reading(sha256, cells.sheet, cells)
    facts = f"{text.count(len(cells.frame), 'row')}, {text.count(len(cells.header), 'column')}"
    if remembered:
        facts += ". Its columns are understood as you did last time for a file like this"
    st.caption(facts + ".")
    with st.container(border=True, key="upload_mapping"):
        st.markdown("**What the columns are**")
        reading = _widgets(cells, proposed, f"{mark}_{cells.sheet}")
    try:
        parsed = reads.upload_table(sha256, cells.sheet, reading, cells)
    except TrendCastError as error:
        st.error(text.sentence(error), icon=":material/error:")
        _as_it_came(cells)
        return
    if parsed.ambiguous_days:
        st.warning("3/4/2026 can be 3 April or 4 March, and this file does not tell: choose.", icon=":material/help:")
        answer = st.segmented_control(
            "Days are written",
            [True, False],
            format_func=lambda first: "day / month / year" if first else "month / day / year",
            key=f"map_{mark}_day_first",
        )
        if answer is None:
            _as_it_came(cells)
            return
        reading = reading.changed({"day_first": answer})
        parsed = reads.upload_table(sha256, cells.sheet, reading, cells)
    _preview(cells, parsed)
    _load(cells, sha256, reading, parsed, away=away)


def _widgets(cells: Cells, proposed: Reading, mark: str) -> Reading:
    """The reading as the widgets have it."""
    header = cells.header
    layout = st.segmented_control(
        "The table has",
        list(LAYOUTS),
        format_func=LAYOUTS.__getitem__,
        default=proposed.layout,
        key=f"map_{mark}_layout",
        required=True,
    )
    roles = ["date", *NAMES, *NUMBERS, *FLAGS, "weather"]
    across: tuple[str, ...] = ()
    across_is = "category"
    if layout == "days":
        roles = list(NAMES)
        across = proposed.across if proposed.layout == "days" else tuple(header[1:])
        first, last = (text.markdown(across[0], 30), text.markdown(across[-1], 30)) if across else ("–", "–")
        st.caption(f"{text.count(len(across), 'column')} hold the units of a day: {first} to {last}.")
    elif layout == "names":
        default = list(proposed.across) if proposed.layout == "names" else []
        across_is = st.segmented_control(
            "The columns are",
            list(ACROSS),
            format_func=ACROSS.__getitem__,
            default=proposed.across_is,
            key=f"map_{mark}_across_is",
            required=True,
        )
        across = tuple(
            st.multiselect(
                "Columns with units", header, default=default, key=f"map_{mark}_across", format_func=text.plain
            )
        )
        roles = ["date", *(name for name in NAMES if name != across_is)]
    chosen: dict[str, Any] = {}
    with st.grid(4, min_column_width=170, key=f"map_{mark}_grid"):
        for role in roles:
            options = [NONE, *(name for name in header if name not in across)]
            value = getattr(proposed, role)
            chosen[role] = st.selectbox(
                LABELS[role],
                options,
                index=options.index(value) if value in options else 0,
                format_func=lambda name: text.plain(name) if name else "–",
                key=f"map_{mark}_{layout}_{role}",
                help=HELP.get(role),
            )
        chosen["decimal"] = st.selectbox(
            "Decimals",
            list(DECIMALS),
            index=list(DECIMALS).index(proposed.decimal),
            format_func=DECIMALS.__getitem__,
            key=f"map_{mark}_decimal",
        )
        if not chosen.get("category") and not (layout == "names" and across_is == "category"):
            chosen["one_category"] = st.text_input(
                "Name of what is sold",
                value=proposed.one_category or "All products",
                max_chars=100,
                key=f"map_{mark}_one",
                help="No column tells categories apart, so everything is one category with this name.",
            )
    add_up = proposed.add_up
    if layout == "long":
        asked = st.selectbox(
            "Rows of the same day and names",
            [None, True, False],
            index=[None, True, False].index(add_up),
            format_func={None: "Add up where the file has more detail", True: "Add up", False: "Refuse"}.__getitem__,
            key=f"map_{mark}_add_up",
            width=360,
        )
        add_up = asked
    return Reading(
        layout=layout or "long", across=across, across_is=across_is or "category", add_up=add_up,
        day_first=proposed.day_first,
    ).changed(chosen)  # fmt: skip


def _as_it_came(cells: Cells) -> None:
    st.markdown("**The first rows as they came**")
    st.dataframe(cells.frame.iloc[:PREVIEW, :60], hide_index=True, key="upload_raw", alt="The first rows of the file.")


def _preview(cells: Cells, parsed: Parsed) -> None:
    """The first rows before and after, and what the whole file comes to."""
    _as_it_came(cells)
    st.markdown("**The same as TrendCast reads them**")
    st.dataframe(
        _readable(parsed.frame.head(PREVIEW)),
        hide_index=True,
        key="upload_read",
        alt="The first rows as they are read.",
    )
    with st.grid(4, min_column_width=150, key="upload_facts"):
        st.metric("Days", text.full(parsed.n_days), border=True)
        st.metric("Categories", text.full(parsed.n_categories), border=True)
        place = ("Stores", parsed.n_stores) if parsed.n_stores else ("Regions", parsed.n_regions)
        st.metric(place[0], text.full(place[1]) if place[1] else text.NONE, border=True)
        st.metric(text.UNITS["units"], text.short(parsed.units), border=True, help=text.full(parsed.units))
    said = [f"{text.day(parsed.first_day)} to {text.day(parsed.last_day)}, {text.count(len(parsed.frame), 'row')}."]
    said += [text.sentence(note) for note in parsed.notes]
    if parsed.unclear:
        said.append(
            f"{text.count(parsed.unclear, 'row')} cannot be used and will go to quarantine, each with its reason."
        )
    st.markdown("\n".join(f"- {line}" for line in said))


def _readable(frame: pd.DataFrame) -> pd.DataFrame:
    from trendcast.services.upload import COLUMNS

    labels = {column: LABELS[role] for role, column in COLUMNS.items()}
    shown = pd.DataFrame(index=frame.index)
    for column in frame:
        values = frame[column]
        if pd.api.types.is_numeric_dtype(values):
            shown[labels[column]] = ["" if pd.isna(v) else text.full(v) if v == round(v) else _exact(v) for v in values]
        elif column in ("promotion_flag", "open_flag"):
            shown[labels[column]] = [{"1": "yes", "0": "no"}.get(str(v), "" if v is None else str(v)) for v in values]
        else:
            shown[labels[column]] = ["" if v is None or v != v else text.plain(v) for v in values]
    return shown


def _exact(value: float) -> str:
    from trendcast import wording

    return wording.fixed(value, 2)


# --- load ------------------------------------------------------------------------------------------------------------


def _load(cells: Cells, sha256: str, reading: Reading, parsed: Parsed, *, away: bool) -> None:
    holdings = reads.holdings()
    agreed = True
    if holdings == "demo":
        st.info(
            "The made-up demo retailer is in the database. Loading your sales **removes it**, with its forecasts, "
            "incidents and decisions.",
            icon=":material/swap_horiz:",
        )
        agreed = st.checkbox("Replace the demo retailer", key="upload_replace")
    elif holdings == "own":
        st.caption(
            "New days are added to your data, corrected values replace the old ones, and nothing is removed. A batch "
            "that looks wrong as a whole is held until you accept it."
        )
    if st.button(
        "Load and forecast",
        type="primary",
        icon=":material/upload:",
        disabled=away or not agreed,
        key="upload_load",
        help="Load these rows and make the first forecast from them.",
    ):
        _run(cells, sha256, reading, parsed, accept=False)


def _run(cells: Cells, sha256: str, reading: Reading, parsed: Parsed, *, accept: bool) -> None:
    """Load with a progress bar; then the refresh is asked for, and the outcome takes the mapping's place. Where this
    process may not load, a worker does all of it."""
    from trendcast.ui.shell import person

    bar = st.progress(0.0, text="Checking the rows")

    def tell(stage: str, done: int, total: int, **facts: Any) -> None:
        bar.progress(states.share(done, total), text=_stage(stage))

    try:
        left = reads.upload_leave(cells, st.session_state[_key()].getvalue(), reading)
        if left is not None:
            st.session_state[_OUTCOME] = {"sha256": sha256, "name": cells.name, "left": left}
            st.rerun()
        before = _newest_refresh()
        summary = reads.upload_load(cells, reading, parsed, accept=accept, who=person(), on_progress=tell)
        table = summary.table("sales_daily")
        slot = _refresh(before) if table.status == "merged" and summary.brought_data else None
    except TrendCastError as error:
        bar.empty()
        st.error(text.sentence(error) + " Nothing is lost: try again.", icon=":material/error:")
        return
    st.session_state[_OUTCOME] = {
        "sha256": sha256,
        "name": cells.name,
        "table": table,
        "replaced_demo": summary.replaced_demo,
        "slot": slot,
        "again": (cells.sheet, reading),
    }
    st.rerun()


def _stage(stage: Any) -> str:
    """A load's stage in planner's words."""
    return _STAGES.get(str(stage or "").partition(": ")[2], "Loading")


def _newest_refresh() -> int:
    reads.slots.clear()
    latest = states.latest_refresh()
    return int(latest["id"]) if latest else 0


def _refresh(before: int) -> int:
    """The refresh that will see what was loaded: one the worker has begun since, or else a new one."""
    newest = _newest_refresh()
    return newest if newest > before else reads.enqueue("refresh", {})


def _left_before() -> dict[str, Any] | None:
    """What this person left to a worker before they left the page, or in another tab."""
    slot = reads.upload_newest()
    if slot is None or slot["id"] <= st.session_state.get(_PUT_AWAY, 0):
        return None
    return {"sha256": "", "name": slot["arguments"]["file"], "left": slot["id"]}


@st.fragment(run_every="2s")
@states.watched
def _waiting(slot_id: int, name: str) -> None:
    """A file with the worker: how far it is, or that nobody has it yet."""
    slot = reads.slot(slot_id)
    if slot["state"] not in ("queued", "running"):
        reads.forget_loaded()
        st.rerun()
    if slot.get("at_work"):
        facts = slot["progress"]
        st.progress(states.share(facts.get("done"), facts.get("total")), text=_stage(facts.get("stage")))
    else:
        st.progress(0.0, text="Waiting for a worker")
        if not reads.worker_alive():
            seen = reads.worker_seen()
            since = f"since {text.moment(seen)}" if seen else "yet"
            st.warning(
                f"No worker has been seen {since}; the file waits and nothing is lost. To start one: "
                "`python -m trendcast worker`.",
                icon=":material/pause_circle:",
            )
        elif slot.get("error"):
            st.caption(f"It is tried again in a moment: {text.sentence(slot['error'])}")
    st.caption(f"A worker loads {name}. You can leave this page: what became of it will be told here.")


def _done(outcome: dict[str, Any]) -> None:
    """What became of the file, and what follows."""
    name = text.markdown(outcome["name"])
    with st.container(border=True, key="upload_done"):
        if "left" in outcome:
            slot = reads.slot(outcome["left"])
            if slot["state"] in ("queued", "running"):
                _waiting(outcome["left"], name)
                return
            if slot["state"] != "done":
                st.error(
                    f"{name} was not loaded: {text.sentence(slot['error'] or 'no reason was given')}",
                    icon=":material/error:",
                )
                _again()
                return
            outcome = {**outcome, **upload_job.told(slot)}
        table = outcome["table"]
        if table.status == "held":
            st.warning(
                f"{name} looks wrong as a whole and is held: {text.sentence(table.reason)}. Nothing of it is in use.",
                icon=":material/pan_tool:",
            )
            _accept(outcome)
            return
        if table.status == "rejected":
            st.error(text.sentence(table.reason), icon=":material/error:")
            _again()
            return
        if table.status == "same":
            st.info(f"{name} was loaded before, row for row: there is nothing to do.", icon=":material/check:")
            _again()
            return
        lead = "The demo retailer was removed. " if outcome["replaced_demo"] else ""
        others = [
            f"{text.full(rows)} {what}"
            for rows, what in ((table.changed, "corrected"), (table.unchanged, "known before"))
            if rows
        ]
        st.success(
            f"{lead}{', '.join([text.count(table.new, 'new row'), *others])} from {name}, {text.day(table.first_day)} "
            f"to {text.day(table.last_day)}.",
            icon=":material/check_circle:",
        )
        if table.refused:
            most = sorted(table.quarantined.items(), key=lambda pair: -pair[1])
            reasons = "; ".join(f"{text.full(count)} × {text.sentence(reason)}" for reason, count in most[:3])
            if len(most) > 3:
                reasons += f"; {text.full(sum(count for _, count in most[3:]))} for other reasons"
            st.caption(
                f"{text.count(table.refused, 'row')} in quarantine: {reasons}. They are listed under Quarantine."
            )
        for note in table.notes:
            st.caption(text.sentence(note))
        if outcome["slot"] is not None:
            _follow(outcome["slot"])
        _again()


def _again() -> None:
    if st.button("Another file", key="upload_again", icon=":material/upload_file:"):
        _forget()
        st.session_state[_COUNT] = st.session_state.get(_COUNT, 0) + 1
        st.rerun()


def _forget() -> None:
    """Put the outcome away, also for when it is looked for again."""
    outcome = st.session_state.pop(_OUTCOME, None) or _left_before() or {}
    st.session_state[_PUT_AWAY] = max(outcome.get("left", 0), st.session_state.get(_PUT_AWAY, 0))


def _accept(outcome: dict[str, Any]) -> None:
    file = st.session_state.get(_key())
    cols = st.container(horizontal=True)
    if (file is not None or "left" in outcome) and cols.button(
        "Accept it all the same",
        key="upload_accept",
        icon=":material/check:",
        help="Merge it in your name; it is noted.",
    ):
        if "left" in outcome:
            _accept_left(outcome)
        elif file is not None:
            sheet, reading = outcome["again"]
            cells = reads.upload_cells(outcome["sha256"], file.name, sheet, file.getvalue())
            parsed = reads.upload_table(outcome["sha256"], cells.sheet, reading, cells)
            _run(cells, outcome["sha256"], reading, parsed, accept=True)
    again = ("Look at its columns again", ":material/arrow_back:") if file is not None else ("Another file", None)
    if cols.button(again[0], key="upload_back", icon=again[1] or ":material/upload_file:"):
        _forget()
        st.rerun()


def _accept_left(outcome: dict[str, Any]) -> None:
    try:
        left = reads.upload_accept(outcome["left"])
    except TrendCastError as error:
        st.error(text.sentence(error), icon=":material/error:")
        return
    st.session_state[_OUTCOME] = {name: outcome[name] for name in ("sha256", "name")} | {"left": left}
    st.rerun()


@st.fragment(run_every="2s")
@states.watched
def _follow(slot_id: int) -> None:
    """The first forecast on its way, and the link to it."""
    slot = reads.slot(slot_id)
    if slot.get("state") in ("queued", "running"):
        states.progress_line(slot)
        st.caption("Your forecast is being made; you can leave this page.")
        return
    if slot.get("state") == "dead":
        st.error(
            "The forecast could not be made: " + text.sentence(slot.get("error") or "no reason was given"),
            icon=":material/error:",
        )
        return
    if reads.standing(fresh=True).run is not None:
        from trendcast.ui.shell import PAGES, _page

        st.markdown("**Your forecast is ready.**")
        st.page_link(
            _page(*next(row for row in PAGES if row[0] == "forecasts.py")),
            label="Open your forecast",
            icon=":material/trending_up:",
        )

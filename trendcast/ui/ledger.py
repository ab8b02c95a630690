"""The parts of the Data page: loads, quarantine, quality, features of a series, runs and settings."""

from __future__ import annotations

from typing import Any

import pandas as pd
import streamlit as st

from trendcast.errors import TrendCastError
from trendcast.export import tables
from trendcast.services.quality import SEVERITIES
from trendcast.ui import charts_data, jobs, plots, reads, states, text
from trendcast.ui.shell import View
from trendcast.ui.states import calm

PARTS = {
    "loads": "Loads",
    "upload": "Upload",
    "quality": "Quality",
    "quarantine": "Quarantine",
    "features": "Features",
    "runs": "Runs",
    "alerts": "Alerts",
    "settings": "Settings",
}
MOST_QUARANTINED = 100_000
FIRST_ISSUES = 6
NEAR = (0.8, 1.25)  # runs of this many times the series are alike
FEW_RUNS = 3  # fewer make no habit

TABLES = {
    "sales_daily": "Sales",
    "market_factors": "Market factors",
    "inventory_daily": "Stock",
    "events": "Events and holidays",
    "plan_daily": "Plan",
    "stores": "Stores",
    "item_params": "Item parameters",
    "purchase_orders": "Purchase orders",
}
STATES = {"merged": "Loaded", "held": "Held", "rejected": "Turned away"}
RUN_STATES = {"ready": "Published", "building": "In progress", "failed": "Failed"}


def _text(value: Any) -> str:
    return "" if value is None or pd.isna(value) else text.plain(value)


def _span(first: Any, last: Any) -> str:
    if pd.isna(first) or pd.isna(last):
        return text.NONE
    return text.day(first) if first == last else f"{text.day(first)} to {text.day(last)}"


def refresh(*, away: bool) -> None:
    """The button that starts a refresh, and the progress of the one that runs."""
    slot = states.latest_refresh()
    busy = bool(slot and slot.get("state") in ("queued", "running"))
    with st.container(horizontal=True, vertical_alignment="center"):
        if st.button(
            "Refresh now",
            type="primary",
            icon=":material/refresh:",
            disabled=away or busy,
            help="Fit all models again on the newest data and publish a new run. The present run stays until then.",
        ):
            try:
                states.start_refresh()
                st.rerun()
            except TrendCastError as error:
                st.error(text.markdown(str(error), 400))
        if not busy:
            st.caption("A refresh also starts by itself every morning when there is new data.")
    if busy:
        states.follow(states.latest_refresh, lambda: reads.standing(fresh=True))
    elif slot and slot.get("state") == "dead":
        st.error(
            "The last refresh failed: "
            + text.markdown(slot.get("error") or "no reason was given", 300)
            + " The run before it is still shown; start it again, or see the log.",
            icon=":material/error:",
        )


def loaded() -> None:
    st.subheader("Loaded", anchor=False)
    frame = reads.loaded_tables()
    if frame.empty:
        no_data()
        return
    order = list(TABLES)
    frame = frame.sort_values(
        "table_name", key=lambda names: names.map(lambda n: order.index(n) if n in order else len(order))
    )
    shown = pd.DataFrame(
        {
            "Table": [TABLES.get(n, n) for n in frame["table_name"]],
            "Days": [_span(a, b) for a, b in zip(frame["first_day"], frame["last_day"], strict=True)],
            "Rows": [text.full(v) for v in frame["rows_merged"]],
            "In quarantine": [text.full(v) for v in frame["rows_quarantined"]],
            "Last load": [text.moment(v) for v in frame["committed_at"]],
        }
    )
    _table(shown, "loaded", ("Rows", "In quarantine"))


def no_data() -> None:
    """The two ways to bring data, beside the upload."""
    st.write("No data yet. Upload a file, or put `sales_daily.csv` into a folder and load it:")
    st.code("python -m trendcast load FOLDER", language=None)


def runs(dark: bool) -> None:
    """Every job and every run: what it took, what failed; and the stages of one."""
    jobs.section()
    st.subheader("Runs", anchor=False)
    frame = reads.runs(50)
    if frame.empty:
        st.caption("No forecast has been made yet.")
        return
    seconds = [_seconds(summary) for summary in frame["summary"]]
    st.markdown(_runs_finding(frame.assign(seconds=seconds)))
    shown = pd.DataFrame(
        {
            "Run": frame["id"].astype(int),
            "State": [
                "Current" if current else RUN_STATES.get(state, state)
                for current, state in zip(frame["is_current"], frame["status"], strict=True)
            ],
            "Data to": [text.day(v) for v in frame["last_day"]],
            "Series": [text.full(v) for v in frame["n_series"]],
            "Kind": ["Quick" if kind == "quick" else "Full" for kind in frame["kind"]],
            "Took": [text.seconds(v) for v in seconds],
            "Published": [text.moment(v) for v in frame["published_at"]],
            "What went wrong": [_wrong(row) for row in frame.itertuples()],
        }
    )
    if not shown["What went wrong"].any():
        shown = shown.drop(columns="What went wrong")
    _table(shown, "runs", ("Series", "Took"))
    staged = [int(row.id) for row in frame.itertuples() if isinstance(row.summary, dict) and row.summary.get("seconds")]
    if not staged:
        return
    chosen = st.selectbox("Stages of run", staged, key="run_stages", width=240, format_func=lambda run: f"Run {run}")
    summary = frame.set_index("id").loc[chosen, "summary"]
    figure, alt = charts_data.stages_chart(summary["seconds"], dark=dark)
    st.plotly_chart(figure, key=f"stages_{dark}", config=plots.CONFIG, alt=alt)
    facts = []
    if summary.get("peak_memory_mb"):
        facts.append(f"{text.full(summary['peak_memory_mb'])} MB of memory at most")
    if summary.get("members"):
        facts.append("models: " + ", ".join(text.member(name) for name in summary["members"]))
    if facts:
        st.caption("; ".join(text.sentence(fact) for fact in facts) + ".")


def _wrong(row: Any) -> str:
    """Why a run failed, or which of its parts did."""
    if isinstance(row.error, str) and row.error:
        return _text(row.error)
    failures = row.summary.get("failures", {}) if isinstance(row.summary, dict) else {}
    return "; ".join(f"{text.member(name)}: {text.plain(why)}" for name, why in failures.items())[:300]


def _runs_finding(frame: pd.DataFrame) -> str:
    failed = int((frame["status"] == "failed").sum())
    usual = _usual(frame)
    if len(frame) == 1:
        return "The only run so far **failed**: the table says why." if failed else usual + "It is the only one so far."
    if not failed:
        return usual + f"None of the last {text.count(len(frame), 'run')} failed."
    return usual + f"**{text.full(failed)}** of the last {text.count(len(frame), 'run')} failed: the table says why."


def _usual(frame: pd.DataFrame) -> str:
    """How long a run like the newest takes: of its kind, published, and of about as many series; nothing else says."""
    good = frame[(frame["status"] == "ready") & frame["seconds"].notna()]
    if good.empty:
        return ""
    newest = good.iloc[0]
    alike = good[(good["kind"] == newest["kind"]) & good["n_series"].between(*(newest["n_series"] * f for f in NEAR))]
    kind = "quick" if newest["kind"] == "quick" else "full"
    spans = alike["seconds"].astype(float)
    if len(spans) < FEW_RUNS:
        return f"The last {kind} run took {text.seconds(float(newest['seconds']))}. "
    return (
        f"A {kind} run usually takes {text.seconds(float(spans.median()))} (the last {text.count(len(spans), 'run')}: "
        f"{text.seconds(float(spans.min()))} to {text.seconds(float(spans.max()))}). "
    )


def _seconds(summary: Any) -> float | None:
    if not isinstance(summary, dict):
        return None
    total = summary.get("seconds")
    if isinstance(total, dict):
        values = [v for v in total.values() if isinstance(v, (int, float))]
        return float(total.get("total", sum(values)))
    return float(total) if isinstance(total, (int, float)) else None


def batches() -> None:
    st.subheader("Batches", anchor=False)
    frame = reads.batches(200)
    if frame.empty:
        st.caption("Each file or sync that brings data appears here.")
        return
    held = int((frame["status"] == "held").sum())
    if held:
        st.warning(
            f"{text.count(held, 'batch', 'batches')} looked wrong as a whole and waits. Look at its reason; a file "
            "is accepted under Upload, a folder by `python -m trendcast load FOLDER --accept`.",
            icon=":material/pan_tool:",
        )
    shown = pd.DataFrame(
        {
            "Batch": frame["id"].astype(int),
            "Table": [TABLES.get(n, n) for n in frame["table_name"]],
            "Source": [_text(v)[-60:] for v in frame["source"]],
            "State": [STATES.get(s, s) for s in frame["status"]],
            "Days": [_span(a, b) for a, b in zip(frame["first_day"], frame["last_day"], strict=True)],
            "Rows": [text.full(v) for v in frame["rows_in"]],
            "New": [text.full(v) for v in frame["rows_new"]],
            "Changed": [text.full(v) for v in frame["rows_changed"]],
            "In quarantine": [text.full(v) for v in frame["rows_quarantined"]],
            "When": [text.moment(v) for v in frame["created_at"]],
            "Reason": [_text(v) for v in frame["reason"]],
        }
    )
    if not shown["Reason"].any():
        shown = shown.drop(columns="Reason")
    _table(shown, "batches", ("Rows", "New", "Changed", "In quarantine"))


def quarantine() -> None:
    """Refused rows by reason, the rows themselves, and all of them as a file."""
    st.subheader("Quarantine", anchor=False)
    frame = reads.quarantine(None, 500)
    if frame.empty:
        st.caption("No row was turned away.")
        return
    reasons = reads.quality().issues
    reasons = reasons[reasons["what"].isin(["Refused", "Duplicates"])]
    if len(reasons):
        st.markdown("\n".join(f"- {text.sentence(words)}" for words in reasons["sentence"].head(8)))
    batches_ = reads.batches(200)
    options = [None, *(int(one) for one in batches_.loc[batches_["rows_quarantined"] > 0, "id"])]
    chosen = st.selectbox(
        "Batch",
        options,
        key="quarantine_batch",
        width=320,
        format_func=lambda one: "All batches" if one is None else f"Batch {one}",
    )
    shown = reads.quarantine(chosen, 500) if chosen is not None else frame
    _table(_quarantined(shown), "quarantine", ())
    with st.container(horizontal=True, vertical_alignment="center"):
        st.download_button(
            "CSV",
            lambda: tables.csv(_quarantined(reads.quarantine(chosen, MOST_QUARANTINED), clip=None)),
            file_name=text.file_name("trendcast", "quarantine", str(chosen or "all")) + ".csv",
            mime="text/csv",
            on_click="ignore",
            icon=":material/download:",
            key="quarantine_csv",
        )
        st.caption(
            "The newest 500 rows; the file has them all. Correct them in their source and load it again: good rows are "
            "not doubled."
        )


def _quarantined(frame: pd.DataFrame, clip: int | None = 300) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "Batch": frame["batch_id"].astype(int),
            "Table": [TABLES.get(n, n) for n in frame["table_name"]],
            "Row": frame["row_number"].astype(int),
            "Reason": [_text(v) for v in frame["reason"]],
            "As it came": [_text(v)[:clip] for v in frame["raw"]],
        }
    )


# --- quality ---------------------------------------------------------------------------------------------------------


@calm
def quality(view: View | None) -> None:
    """What the data lack, worst first, each with what to do."""
    found = reads.quality()
    st.markdown("#### " + text.sentence(found.finding))
    if found.series.empty:
        return
    st.subheader("What to do", anchor=False)
    issues = _of_filters(found.issues, view)
    if issues.empty:
        st.caption("Nothing: no gaps, no late feed, no refused rows, and stock adds up where it can be checked.")
    else:
        st.markdown(
            "\n".join(
                f"- **{SEVERITIES[row.severity]}** · {text.sentence(row.sentence)}"
                for row in issues.head(FIRST_ISSUES).itertuples()
            )
        )
        if len(issues) > FIRST_ISSUES:
            every = st.expander(f"All {text.full(len(issues))}", on_change="rerun", key="issues_all")
            if every.open:
                with every:
                    _issues(issues)
    st.subheader("By table", anchor=False)
    every = found.tables
    _table(
        pd.DataFrame(
            {
                "Table": [TABLES.get(n, n) for n in every["table_name"]],
                "First day": [_day(v) for v in every["first_day"]],
                "Last day": [_day(v) for v in every["last_day"]],
                "Rows": [text.full(v) for v in every["n_rows"]],
                "Missing days": [text.full(v) for v in every["missing_days"]],
                "Refused rows": [text.full(v) for v in every["refused"]],
                "Behind the sales": [text.count(int(v), "day") if v else "" for v in every["late_days"]],
            }
        ),
        "quality_tables",
        ("Rows", "Missing days", "Refused rows", "Behind the sales"),
    )
    st.subheader("By series", anchor=False)
    series = _of_filters(found.series, view)
    worst = series.assign(bad=series["missing_share"] + (series["late_days"] > 0)).sort_values(
        ["bad", "units"], ascending=[False, False]
    )
    stores = bool((series["store"] != "").any())
    shown = pd.DataFrame(
        {
            "Category": [text.plain(v) for v in worst["product_category"]],
            "Region": [text.plain(v) for v in worst["region"]],
            **({"Store": [text.plain(v) for v in worst["store"]]} if stores else {}),
            "First day": [_day(v) for v in worst["first_day"]],
            "Last day": [_day(v) for v in worst["last_day"]],
            "Missing": [text.percent(v) for v in worst["missing_share"]],
            "Zero": [text.percent(v) for v in worst["zero_share"]],
            "Closed days": [text.full(v) for v in worst["closed_days"]],
            "Without price": [text.percent(1 - v) for v in worst["priced_share"]],
            "Behind": [text.count(int(v), "day") if v else "" for v in worst["late_days"]],
        }
    )
    _table(
        shown.head(500),
        "quality_series",
        ("Missing", "Zero", "Closed days", "Without price", "Behind"),
        first="Category",
    )
    st.download_button(
        "CSV",
        lambda: tables.csv(worst.drop(columns="bad")),
        file_name="trendcast_quality.csv",
        mime="text/csv",
        on_click="ignore",
        icon=":material/download:",
        key="quality_csv",
    )


def _issues(issues: pd.DataFrame) -> None:
    _table(
        pd.DataFrame(
            {
                "": [SEVERITIES[severity] for severity in issues["severity"]],
                "What": list(issues["what"]),
                "Table": [TABLES.get(n, n) for n in issues["table_name"]],
                "What to do": [text.plain(v) for v in issues["sentence"]],
            }
        ).head(500),
        "issues",
        (),
        {"What to do": 900, "What": 130, "Table": 110, "": 60},
    )


def _day(value: Any) -> str:
    return text.NONE if value is None or value != value else text.day(value)


def _of_filters(frame: pd.DataFrame, view: View | None) -> pd.DataFrame:
    """The rows the bar's names leave; what is about a whole table stays."""
    if view is None:
        return frame
    for column, names in (
        ("product_category", view.filters.category),
        ("region", view.filters.region),
        ("store", view.filters.store),
    ):
        if names:
            frame = frame[frame[column].isin([*names, ""])]
    return frame


# --- features of one series ------------------------------------------------------------------------------------------


@calm
def features(view: View | None, dark: bool) -> None:
    """What the models can see of one category in one region, day by day."""
    series = reads.quality().series
    if series.empty:
        no_data()
        return
    categories = sorted(series["product_category"].unique())
    # Unasked, the largest that still sells: the first by name may have ended years ago.
    ended = series["last_day"] < series["last_day"].max()
    likely = series.assign(ended=ended).sort_values(["ended", "units"], ascending=[True, False])
    asked = view.filters.category[0] if view and view.filters.category else likely["product_category"].iloc[0]
    with st.container(horizontal=True):
        category = st.selectbox(
            "Category",
            categories,
            index=categories.index(asked) if asked in categories else 0,
            key="features_category",
            format_func=text.plain,
            width=280,
        )
        regions = sorted(series.loc[series["product_category"] == category, "region"].unique())
        of_category = likely.loc[likely["product_category"] == category, "region"]
        wanted = view.filters.region[0] if view and view.filters.region else of_category.iloc[0]
        region = st.selectbox(
            "Region",
            regions,
            index=regions.index(wanted) if wanted in regions else 0,
            key=f"features_region_{category}",
            format_func=lambda name: text.plain(name) or "All",
            width=280,
        )
    frame = reads.feature_rows((category,), (region,))
    if frame.empty:
        st.caption("This category has no rows here in the last two years.")
        return
    st.markdown(_features_finding(frame))
    figure, alt = charts_data.features_chart(frame, dark=dark)
    st.plotly_chart(figure, key=f"features_{dark}", config=plots.CONFIG, alt=alt)
    newest = frame.sort_values("date_id", ascending=False).head(56)
    shown = pd.DataFrame({"Day": [text.day(v) for v in newest["date_id"]]})
    for column, label in charts_data.FEATURES.items():
        if newest[column].notna().any():
            write = _change if column.startswith("week_over_week") else _figure
            shown[label] = [write(value) for value in newest[column]]
    _table(shown, "features", tuple(shown.columns[1:]), first="Day")
    with st.container(horizontal=True, vertical_alignment="center"):
        st.download_button(
            "CSV",
            lambda: tables.csv(frame),
            file_name=text.file_name("trendcast", "features", category, region) + ".csv",
            mime="text/csv",
            on_click="ignore",
            icon=":material/download:",
            key="features_csv",
        )
        st.caption(
            f"The newest 56 days here, all {text.count(len(frame), 'day')} and {text.count(frame.shape[1], 'column')} "
            "in the file. Windows of the day's own name include the day; those “before” end the day before."
        )


def _figure(value: Any) -> str:
    if pd.isna(value):
        return ""
    return text.full(value) if isinstance(value, (int, float)) else text.plain(value)


def _change(value: Any) -> str:
    return "" if pd.isna(value) else text.percent(value, sign=True)


def _features_finding(frame: pd.DataFrame) -> str:
    newest = frame.sort_values("date_id").iloc[-1]
    mean, before = newest["rolling_avg_7d"], newest["rolling_avg_30d"]
    if pd.isna(mean) or pd.isna(before) or not before:
        return f"Data to {text.day(newest['date_id'])}."
    change = mean / before - 1
    side = "above" if change > 0 else "below"
    steady = abs(change) < 0.03
    words = "as much as" if steady else f"**{text.percent(abs(change), 0)} {side}**"
    return (
        f"The last seven days to {text.day(newest['date_id'])} sold **{text.short(mean)}** a day, {words} the mean of "
        "the last thirty."
    )


# --- settings --------------------------------------------------------------------------------------------------------


@calm
def settings() -> None:
    """Every setting with its value; secrets only as set or not set."""
    frame = reads.settings_table()
    changed = int(frame["changed"].sum())
    differ = "differs from its" if changed == 1 else "differ from their"
    st.markdown(
        f"{text.count(changed, 'setting')} of {len(frame)} {differ} default. Settings are environment "
        "variables, read when the process starts."
    )
    st.table(
        pd.DataFrame(
            {
                "Value": [_value(row.value, row.default, changed=row.changed) for row in frame.itertuples()],
                "What it is": [row.help for row in frame.itertuples()],
                "Changes": [row.changes for row in frame.itertuples()],
            },
            index=pd.Index([text.markdown(name) for name in frame["name"]], name="Setting"),
        )
    )


def _value(value: str, default: str, *, changed: bool) -> str:
    """A setting's value for a table of markdown; beside a changed one its default."""
    if not changed:
        return text.markdown(value, 60) if value else "not set"
    return f"**{text.markdown(value, 60)}** (default {text.markdown(default, 60) if default else 'empty'})"


def _table(
    frame: pd.DataFrame,
    key: str,
    numbers: tuple[str, ...],
    widths: dict[str, int] | None = None,
    first: str | None = None,
) -> None:
    """A table to read; ``numbers``: columns to the right, ``widths`` in pixels, ``first``: the column that stays."""
    config: dict[str, Any] = {name: st.column_config.TextColumn(alignment="right") for name in numbers if name in frame}
    config |= {name: st.column_config.TextColumn(width=width) for name, width in (widths or {}).items()}
    if first:
        config[first] = st.column_config.TextColumn(pinned=True)
    st.dataframe(
        frame,
        hide_index=True,
        key=f"table_{key}",
        column_config=config,
        height="content" if len(frame) < 12 else 420,
        alt=f"{key.replace('_', ' ').capitalize()}, {len(frame)} rows.",
    )

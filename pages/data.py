"""Data: bring sales in, see what was loaded or turned away, how good it is, and the runs made from it."""

import streamlit as st

from trendcast.ui import alerts, filters, ledger, reads, shell, upload, who

view = shell.view()
away = view.locked if view else not who.actor().may("planner")
dark = st.context.theme.type == "dark"
st.header("Data", anchor=False)
first = "upload" if reads.loaded_tables().empty else "loads"
part = filters.own("part", ledger.PARTS, first, "Part")
if part == "upload":
    upload.section(away=away)
    if first == "upload":
        ledger.no_data()
elif part == "quality":
    ledger.quality(view)
elif part == "quarantine":
    ledger.quarantine()
elif part == "features":
    ledger.features(view, dark)
elif part == "runs":
    ledger.refresh(away=away)
    ledger.runs(dark)
elif part == "alerts":
    alerts.section(view, away=reads.standing().away)
elif part == "settings":
    ledger.settings()
else:
    ledger.refresh(away=away)
    ledger.loaded()
    ledger.batches()

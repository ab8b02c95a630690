"""Data: what is loaded, what was turned away, and the runs made from it."""

import streamlit as st

from trendcast.ui import ledger, shell

view = shell.view()
st.header("Data", anchor=False)
ledger.refresh(away=bool(view and view.away))
ledger.loaded()
ledger.runs()
ledger.batches()
ledger.quarantine()

"""Accuracy: how far to trust the forecasts, where not, and what was published beside what happened."""

import streamlit as st

from trendcast.ui import accuracy, shell

view = shell.view()
if view is None:
    st.stop()

accuracy.headline(view)
accuracy.tiles(view)
accuracy.exceptions(view)
accuracy.leaderboard(view)
accuracy.horizon(view)
accuracy.bands(view)
accuracy.triangle(view)
accuracy.segments(view)

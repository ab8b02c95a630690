"""Forecasts: what one selection will sell in the next twelve weeks, why, and how far to trust it."""

import streamlit as st

from trendcast.ui import sections, shell

view = shell.view()
if view is None:
    st.stop()

sections.headline(view)
sections.tiles(view)
grain = sections.chart(view)
sections.table(view, grain)
sections.decomposition(view, grain)
sections.accuracy(view)
sections.references(view, grain)

"""Anomalies: what happened that nobody expected, what it costs, and settling it."""

import streamlit as st

from trendcast.ui import inbox, incident, shell

view = shell.view()
if view is None:
    st.stop()

number = inbox.opened()
if number is not None:
    incident.show(view, number)
    st.stop()

inbox.finding()
inbox.tiles(view, inbox.asked())
wanted = inbox.draw_filters()
inbox.listing(view, wanted)
inbox.footer(view)

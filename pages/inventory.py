"""Inventory: what to order by when, what it costs not to, and the decisions taken."""

import streamlit as st

from trendcast.ui import shell, stock, stock_card

view = shell.view()
if view is None:
    st.stop()

frame = stock.rows(view)
item = stock.opened(frame)
if item is not None:
    stock_card.show(view, frame, item)
    st.stop()

stock.finding(view)
stock.scope(view)
if not stock.known(frame):
    stock.nothing(view)
    st.stop()
stock.tiles(view)
chosen = stock.statuses(frame)
stock.listing(view, frame, chosen)

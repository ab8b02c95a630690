"""What if: the forecast with other promotions, prices and circumstances, beside the one that is published."""

import streamlit as st

from trendcast.ui import shell, what_if

view = shell.view()
if view is None:
    st.stop()

base = what_if.baseline(view)
if base is None:
    st.stop()
if not base.names:
    what_if.nothing(view, base)
    st.stop()
what_if.workbench(view)

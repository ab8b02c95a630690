"""Review: where the business stands on Monday morning, what needs a decision, and in which order."""

import streamlit as st

from trendcast.ui import review, shell

view = shell.view()
if view is None:
    st.stop()

found = review.read(view)
review.headline(view, found)
review.tiles(view, found)
review.exceptions(view, found)
review.risks(view, found)
review.movement(view, found)
review.summary(view, found)
review.decisions(view, found)

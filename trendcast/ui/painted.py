"""Tables of ready words whose cells have colours: what pandas makes of the colours is worked out once."""

from __future__ import annotations

from typing import Any


def once(styler: Any) -> Any:
    """A Styler of a frame whose cells are the words to show, for many drawings; its colours do not change any more.

    Streamlit asks a Styler for its colours and for the words of each cell whenever a table is drawn, by these two
    methods, which costs more than all else in a table.
    """
    # Without a body Streamlit takes the words of the frame. A subclass it would not take for a Styler.
    ready = {**styler._compute()._translate(False, False), "body": []}
    styler._compute = lambda: styler
    styler._translate = lambda *_: ready
    return styler

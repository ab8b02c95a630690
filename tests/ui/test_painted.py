"""A table that is coloured once is drawn as pandas' own would be."""

from __future__ import annotations

import pandas as pd
from streamlit.elements.lib.pandas_styler_utils import marshall_styler
from streamlit.proto.ArrowData_pb2 import ArrowData

from trendcast.ui import painted

FRAME = pd.DataFrame(
    {"Measure": ["Actual", "Low <b>"], "2026-09-21": ["1,204", ""], "2026-09-28": ["−3.5\u202f%", "7 k"]}
)


def coloured():
    styler = FRAME.style
    styler.set_uuid("one")
    return styler.set_properties(subset=["2026-09-28"], color="red").set_properties(subset=["Measure"], color="blue")


def drawn(styler) -> ArrowData:
    proto = ArrowData()
    marshall_styler(proto, styler, "another")
    return proto


def test_the_browser_gets_the_same_words_and_colours_each_time():
    expected = drawn(coloured())
    kept = painted.once(coloured())
    assert "color: red" in expected.styler.styles
    assert [drawn(kept), drawn(kept)] == [expected, expected]


def test_the_colours_are_worked_out_once():
    asked = []
    styler = FRAME.style.apply(lambda frame: asked.append(1) or pd.DataFrame("", frame.index, frame.columns), axis=None)
    kept = painted.once(styler)
    drawn(kept)
    drawn(kept)
    assert asked == [1]

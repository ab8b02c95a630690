"""A figure as the browser reads it, put together without Plotly's own checks of each name and value: these take most of
the time of drawing a page. Tests look at ``data`` and ``layout``, where Plotly checks all of it."""

from __future__ import annotations

import base64
import datetime as dt
import functools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import plotly.io as pio
from plotly.basedatatypes import BaseFigure

Trace = dict[str, Any]


def scatter(**marks: Any) -> Trace:
    """Lines or points; ``marks`` as of plotly's Scatter."""
    return {"type": "scatter", **marks}


def bar(**marks: Any) -> Trace:
    """Bars; ``marks`` as of plotly's Bar."""
    return {"type": "bar", **marks}


# Streamlit hands on what a figure of Plotly's own base class says of itself; any other dict it has checked once more.
class Figure(BaseFigure):
    """One panel, or several above each other that share the axis along the bottom; ``row`` 1 is the uppermost.

    ``heights``: of the panels, in any unit; ``spacing``: between two, as a share of the figure. The methods are named
    as those of plotly's Figure and mean the same, for dicts instead of nested objects and without names joined by
    underscores. A None takes a value away.
    """

    def __init__(self, *traces: Trace, heights: Sequence[float] = (1.0,), spacing: float = 0.0) -> None:
        # Not that of the base: it would build the objects that are left out here.
        self._traces: list[Trace] = list(traces)
        self._frame: dict[str, Any] = {"shapes": [], "annotations": [], "xaxis": {}, "yaxis": {}}
        self._rows = len(heights)
        self._made: dict[str, Any] | None = None
        if self._rows > 1:
            self._panels(heights, spacing)

    def _panels(self, heights: Sequence[float], spacing: float) -> None:
        room, top = 1.0 - spacing * (self._rows - 1), 1.0
        for row, height in enumerate(heights, start=1):
            bottom = round(top - room * height / sum(heights), 9)
            n = _number(row)
            self._frame[f"xaxis{n}"] = {"anchor": f"y{n}", "domain": [0.0, 1.0]}
            self._frame[f"yaxis{n}"] = {"anchor": f"x{n}", "domain": [bottom, top]}
            if row < self._rows:
                self._frame[f"xaxis{n}"] |= {"matches": f"x{self._rows}", "showticklabels": False}
            top = round(bottom - spacing, 9)

    def add_trace(self, trace: Trace, row: int = 1) -> None:
        n = _number(row)
        self._traces.append({**trace, "xaxis": f"x{n}", "yaxis": f"y{n}"})
        self._made = None

    def update_layout(self, **facts: Any) -> None:
        _merge(self._frame, facts)
        self._made = None

    def update_xaxes(self, row: int | None = None, **facts: Any) -> None:
        """Of one panel, or of all."""
        self._update_axes("xaxis", row, facts)

    def update_yaxes(self, row: int | None = None, **facts: Any) -> None:
        """Of one panel, or of all."""
        self._update_axes("yaxis", row, facts)

    def _update_axes(self, name: str, row: int | None, facts: dict[str, Any]) -> None:
        for n in range(1, self._rows + 1) if row is None else (row,):
            _merge(self._frame[f"{name}{_number(n)}"], facts)
        self._made = None

    def add_annotation(self, **facts: Any) -> None:
        """On the first panel, unless ``xref`` and ``yref`` say otherwise."""
        self._frame["annotations"].append({"xref": "x", "yref": "y", **facts})
        self._made = None

    def add_title(self, row: int, words: str, **facts: Any) -> None:
        """A line above a panel, from its left edge."""
        top = self._frame[f"yaxis{_number(row)}"].get("domain", [0.0, 1.0])[1]
        place = {"x": 0, "xref": "paper", "xanchor": "left", "y": top, "yref": "paper", "yanchor": "bottom"}
        self.add_annotation(text=words, showarrow=False, **place, **facts)

    def add_vline(self, x: Any, line: dict[str, Any]) -> None:
        """From the bottom to the top of the first panel."""
        self._add_shape(type="line", x0=x, x1=x, xref="x", y0=0, y1=1, yref="y domain", line=line)

    def add_hline(self, y: float, line: dict[str, Any]) -> None:
        """From the left to the right of the first panel."""
        self._add_shape(type="line", x0=0, x1=1, xref="x domain", y0=y, y1=y, yref="y", line=line)

    def add_vrect(self, x0: Any, x1: Any, **facts: Any) -> None:
        """From the bottom to the top of each panel, also of one with nothing on it."""
        for n in map(_number, range(1, self._rows + 1)):
            self._add_shape(type="rect", x0=x0, x1=x1, xref=f"x{n}", y0=0, y1=1, yref=f"y{n} domain", **facts)

    def _add_shape(self, **facts: Any) -> None:
        self._frame["shapes"].append(facts)
        self._made = None

    def to_dict(self) -> dict[str, Any]:
        """What the browser gets; made once, whoever draws a figure that was kept gets it again."""
        if self._made is None:
            layout = {name: value for name, value in _plain(self._frame).items() if value not in ({}, [])}
            self._made = {"data": _plain(self._traces), "layout": {"template": _template(), **layout}}
        return self._made

    def checked(self) -> go.Figure:
        """The same as Plotly's own figure; ValueError for a name or a value that it does not know."""
        return go.Figure(data=self._traces, layout=self._frame)

    @property
    def data(self) -> Any:
        return self.checked().data

    @property
    def layout(self) -> Any:
        return self.checked().layout


def _number(row: int) -> str:
    """The panel in the names of its axes."""
    return "" if row == 1 else str(row)


def _template() -> dict[str, Any]:
    # Streamlit's, whose colours its script in the browser replaces with those of the theme.
    return _template_of(pio.templates.default)


@functools.lru_cache(maxsize=4)
def _template_of(name: str) -> dict[str, Any]:
    return dict(pio.templates[name].to_plotly_json())


def _merge(into: dict[str, Any], facts: dict[str, Any]) -> None:
    for name, value in facts.items():
        if value is None:
            into.pop(name, None)
        elif isinstance(value, dict):
            inner = into.setdefault(name, {})
            _merge(inner, value)
        else:
            into[name] = value


def _plain(value: Any) -> Any:
    """As JSON has it: numbers of a column as bytes in base64, days without a time of day, no number as null."""
    if value is None or isinstance(value, (str, bool, int)):
        return value
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, dict):
        return {name: _plain(one) for name, one in value.items() if one is not None}
    if isinstance(value, (list, tuple)):
        return [_plain(one) for one in value]
    if isinstance(value, (pd.Series, pd.Index, np.ndarray)):
        return _column(value)
    if isinstance(value, dt.date):
        return value.isoformat()
    if isinstance(value, np.generic):
        return _plain(value.item())
    raise TypeError(f"A figure cannot hold a {type(value).__name__}.")


def _column(values: Any) -> Any:
    array = np.asarray(values)
    if array.dtype.kind == "M":
        days = array.astype("datetime64[D]")
        return np.datetime_as_string(days if (days == array).all() else array.astype("datetime64[s]")).tolist()
    if array.dtype.kind == "f" and array.size:
        return {"dtype": "f8", "bdata": base64.b64encode(array.astype("<f8").tobytes()).decode("ascii")}
    return [_plain(one) for one in array.tolist()]

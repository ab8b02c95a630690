"""Charts without a browser: the pages' marks and colours, in a picture that opens."""

from __future__ import annotations

import io

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from trendcast.export import charts_png

PAST = pd.DataFrame(
    {"date": pd.date_range("2026-01-05", periods=20, freq="7D"), "actual": np.linspace(100, 200, 20), "last_year": 90.0}
)
AHEAD = pd.DataFrame(
    {
        "date": pd.date_range("2026-05-25", periods=12, freq="7D"), "middle": 200.0, "low80": 150.0, "high80": 260.0,
        "low95": 120.0, "high95": 300.0,
    }
)  # fmt: skip
ODD = pd.DataFrame({"date": PAST["date"].iloc[[3, 5]], "actual": [110.0, 130.0], "impact": ["HIGH", "LOW"]})


def draw(title: str = "Toys: 2.4 k units expected"):
    return charts_png.forecast_chart(PAST, AHEAD, title=title, measure="Units", per="week", anomalies=ODD)


def test_marks_are_those_of_the_pages() -> None:
    from matplotlib.colors import to_hex

    from trendcast.ui import plots

    figure, _ = draw()
    lines = {line.get_label(): line for line in figure.axes[0].get_lines()}
    assert to_hex(lines["Actual"].get_color()) == plots.LIGHT.actual.lower()
    assert to_hex(lines["Forecast"].get_color()) == plots.LIGHT.forecast.lower()
    assert to_hex(lines["Last year"].get_color()) == plots.LIGHT.last_year.lower()
    assert lines["Actual"].get_linestyle() == "-"
    assert lines["Forecast"].is_dashed()
    assert lines["Forecast"].get_xdata()[0] == lines["Actual"].get_xdata()[-1], "the forecast starts where history ends"
    assert figure.axes[0].get_ylim()[0] == 0
    bands = [one for one in figure.axes[0].collections if "band" in str(one.get_label())]
    assert [round(float(one.get_alpha()), 2) for one in bands] == [0.12, 0.25]
    sizes = {
        one.get_label(): one.get_sizes()[0] for one in figure.axes[0].collections if "Anom" in str(one.get_label())
    }
    assert sizes["Anomaly, high"] > sizes["Anomaly, low"]


def test_the_sentence_says_what_the_picture_shows() -> None:
    _, alt = draw()
    assert "Toys" in alt
    assert "between 100 and 200" in alt
    assert "150 to 260" in alt
    assert "1 HIGH, 1 LOW" in alt


@pytest.mark.parametrize("title", ["A $x_1$ \\alpha price^", "衣服 👗 " * 20, "<b>" * 60])
def test_any_name_can_be_drawn(title: str) -> None:
    picture = Image.open(io.BytesIO(charts_png.png(draw(title)[0])))
    picture.load()
    assert picture.format == "PNG"
    assert picture.size == (990, 374)
    assert len(picture.getcolors()) > 8, "not a blank picture"


def test_nothing_of_the_past_or_no_band_is_no_failure() -> None:
    figure, alt = charts_png.forecast_chart(
        PAST[:0], AHEAD[["date", "middle"]], title="New", measure="Units", per="week"
    )
    assert charts_png.png(figure)
    assert "band" not in alt

"""Charts: the marks that carry meaning, and what they do when there is little to show."""

import numpy as np
import pandas as pd
import pytest

from trendcast.ui import charts, measures, plots


def table(past: int = 30, ahead: int = 12, bands: bool = True) -> pd.DataFrame:
    dates = pd.date_range("2026-03-02", periods=past + ahead, freq="W-MON")
    frame = pd.DataFrame({"date": dates, "future": np.arange(past + ahead) >= past}).reindex(columns=measures.COLUMNS)
    frame["actual"] = np.where(frame["future"], np.nan, 100.0)
    mean = np.where(frame["future"], 110.0, np.nan)
    frame["mean"] = mean
    if bands:
        for name, factor in (("p50", 1), ("low80", 0.8), ("high80", 1.2), ("low95", 0.6), ("high95", 1.4)):
            frame[name] = mean * factor
    frame["events"] = ""
    for name in ("promotion", "closed", "stockout", "days"):
        frame[name] = 0.0
    frame["last_year"] = 90.0
    return frame.astype({"future": bool})


def draw(frame: pd.DataFrame, **facts):
    settings = {"grain": "week", "unit": "units", "dark": False, "last_day": pd.Timestamp("2026-09-27")} | facts
    return charts.forecast_chart(frame, **settings)


def trace(figure, name):
    return next(t for t in figure.data if t.name == name)


def test_actual_is_solid_and_forecast_is_dashed_in_both_themes():
    for dark, colours in ((False, plots.LIGHT), (True, plots.DARK)):
        figure, _ = draw(table(), dark=dark)
        assert trace(figure, "Actual").line.dash is None
        assert trace(figure, "Actual").line.color == colours.actual
        assert trace(figure, "Forecast").line.dash == "dash"
        assert trace(figure, "Forecast").line.color == colours.forecast


def test_forecast_and_bands_start_where_history_ends():
    figure, _ = draw(table(), coverage80=0.786, coverage95=None)
    line = trace(figure, "Forecast")
    assert line.x[0] == pd.Timestamp("2026-09-21")
    assert line.y[0] == 100.0
    assert any((t.name or "").startswith("80") and "78.6" in t.name for t in figure.data)


def test_the_line_is_the_mean_like_every_other_figure_called_forecast():
    frame = table()
    frame["p50"] = 0.9 * frame["mean"]
    figure, alt = draw(frame)
    assert trace(figure, "Forecast").y[-1] == 110.0
    assert "ending at 110" in alt


def test_volumes_start_at_zero_and_there_is_one_axis_for_them():
    figure, _ = draw(table())
    assert figure.layout.yaxis.rangemode == "tozero"
    assert all(t.yaxis in (None, "y") for t in figure.data)


def test_lanes_appear_only_for_what_happened():
    frame = table()
    assert not any(t.name in ("Promotion", "Event", "Closed") for t in draw(frame)[0].data)
    frame.loc[3, "promotion"], frame.loc[5, "events"], frame.loc[7, "closed"] = 0.5, "Christmas", 1 / 7
    frame.loc[9, "stockout"] = 2.0
    names = {t.name for t in draw(frame)[0].data}
    assert {"Promotion", "Event", "Closed", "Stock-out"} <= names


@pytest.mark.parametrize("frame", [table(0, 12), table(12, 0), table(1, 1), table(5, 5, bands=False)])
def test_little_data_still_makes_a_chart_and_a_sentence(frame):
    figure, alt = draw(frame)
    assert figure.data
    assert alt.startswith("Line chart of units per week.")


def test_effects_share_one_scale_and_the_trend_starts_at_zero():
    dates = pd.date_range("2026-01-01", periods=200)
    parts = pd.DataFrame({"date": dates, "trend": 100.0, "weekly": np.sin(np.arange(200)), "rest": 5.0})
    figure, alt = charts.decomposition_chart(parts, unit="units", dark=False, last_day=pd.Timestamp("2026-05-01"))
    assert figure.layout.yaxis.rangemode == "tozero"
    assert figure.layout.yaxis2.range == figure.layout.yaxis3.range
    assert "trend" in alt


def _contrast(colour: str, ground: str) -> float:
    def luminance(code: str) -> float:
        parts = [int(code[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [p / 12.92 if p <= 0.03928 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    high, low = sorted((luminance(colour), luminance(ground)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_marks_and_text_have_contrast_in_both_themes():
    for colours, ground in ((plots.LIGHT, "#FFFFFF"), (plots.DARK, "#0E1117")):
        assert _contrast(colours.ink, ground) >= 4.5
        for mark in (colours.actual, colours.forecast, colours.edited, colours.look, colours.tag, colours.bad):
            assert _contrast(mark, ground) >= 3

"""Charts as files: of a published series, and of what an analyst computed from a frame."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from trendcast import settings, wording
from trendcast.errors import InvalidInput
from trendcast.services import frames

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from trendcast.services.frames import Parts

DAYS_SHOWN = 182  # of the history, in front of a forecast by day


def outputs() -> Path:
    """The folder outputs/ under TRENDCAST_HOME."""
    return Path(str(settings.load().home)) / "outputs"


def file_name(*words: str) -> str:
    """A safe name for a file about these words: letters, digits and dashes only."""
    plain = re.sub(r"[^\w]+", "-", " ".join(words).casefold()).strip("-_")
    return plain[:60] or "series"


def save(folder: Path, name: str, content: bytes) -> Path:
    """Write a file into the folder, which is made when needed; InvalidInput when that is not possible."""
    path = Path(folder) / name
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    except OSError as error:
        raise InvalidInput(f"{path} cannot be written: {error.strerror or error}.") from error
    return path


def picture(figure: Figure) -> bytes:
    """A figure as PNG."""
    from trendcast.export import charts_png

    return charts_png.png(figure)


def decomposition(parts: Parts, name: str) -> Figure:
    """Four panels: observed, trend, seasonal and resid."""
    from trendcast.export import charts_png

    shown = {"observed": parts.observed, "trend": parts.trend, "seasonal": parts.seasonal, "resid": parts.resid}
    return charts_png.panels(shown, title=f"{name}: {parts.observed.name} and its parts")[0]


def frame_forecast(
    report: dict[str, Any], model: Any, forecast: pd.DataFrame, actual_data: pd.DataFrame, folder: Path
) -> str:
    """History, forecast and interval by day, written to the folder; the file's path."""
    from trendcast.export import charts_png

    target = getattr(model, "target_column", frames.TARGET)
    days = frames.series(actual_data, target)
    shown = days.iloc[-DAYS_SHOWN:]
    ahead = forecast[forecast["ds"] > days.index[-1]]
    columns = {"ds": "date", "yhat": "middle", "yhat_lower": "low80", "yhat_upper": "high80"}
    figure, _ = charts_png.forecast_chart(
        pd.DataFrame({"date": shown.index, "actual": shown.to_numpy()}),
        ahead[list(columns)].rename(columns=columns),
        title=report["finding"].partition(", ")[0],
        measure=wording.style()[2].capitalize() if target == frames.TARGET else target,
        per="day",
    )
    name = f"forecast-{file_name(report['product_category'])}-{days.index[-1].date()}.png"
    return str(save(folder, name, charts_png.png(figure)))

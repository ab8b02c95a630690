"""The analyst's interface for notebooks and scripts: the specification's two classes over the services.

    >>> from trendcast import TimeSeriesAnalyzer
    >>> analyzer = TimeSeriesAnalyzer("")                       # the database of the settings, else the embedded one
    >>> days = analyzer.extract_time_series_data("Electronics", "North")
    >>> model, forecast = analyzer.build_prophet_model(days)
    >>> report = analyzer.generate_forecast_report(model, forecast, days, "Electronics")
    >>> report["mape"], report["chart"]

Nothing here is computed twice: what the dashboard shows comes from the published run, what these classes compute from
a frame serves questions that the run does not answer, with stock Prophet and statsmodels.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import pandas as pd

from trendcast.services import daily_check, executive, frames, pictures, runtime

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class Decomposition(NamedTuple):
    """A series taken apart by day: ``observed`` = ``trend`` + ``seasonal`` + ``resid``; ``figure``: four panels."""

    observed: pd.Series
    trend: pd.Series
    seasonal: pd.Series
    resid: pd.Series
    figure: Figure

    def __repr__(self) -> str:
        first, last = self.observed.index[0].date(), self.observed.index[-1].date()
        return f"Decomposition of {self.observed.name}, {first} to {last}"

    def _repr_png_(self) -> bytes:
        return pictures.picture(self.figure)


class _OnDatabase:
    """Opens the database, and closes it at the end of a ``with`` block."""

    def __init__(self, connection_string: str | None = None) -> None:
        self._db = runtime.open_database(connection_string)

    def close(self) -> None:
        """Give the connections back; an embedded server stops with the last process that uses it."""
        self._db.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class TimeSeriesAnalyzer(_OnDatabase):
    """One retailer's sales for an analyst: extract, take apart, forecast, find what is odd, report.

    ``connection_string``: a PostgreSQL address with TrendCast's schema; None or '' is the database that the settings
    name (DATABASE_URL), else the embedded one. ``models`` and ``forecasts`` keep the last of each series by its name
    ('Electronics', 'Electronics in North', 'All categories'). ``outputs`` is where charts are written: outputs/ under
    TRENDCAST_HOME unless you set another folder.
    """

    def __init__(self, connection_string: str | None = None) -> None:
        super().__init__(connection_string)
        self.models: dict[str, Any] = {}
        self.forecasts: dict[str, pd.DataFrame] = {}
        self.outputs: Path = pictures.outputs()

    def __repr__(self) -> str:
        return f"TimeSeriesAnalyzer({self._db!r}, models of {', '.join(self.models) or 'nothing yet'})"

    def extract_time_series_data(
        self, product_category: str | Sequence[str] | None = None, region: str | Sequence[str] | None = None
    ) -> pd.DataFrame:
        """The days of a category in a region, indexed by date_id, with the specification's feature columns.

        Several categories or regions, and all of them when left out, are added up by date. Lags and windows are by
        date; the columns ending in ``_before`` leave the day itself out, which is what a model may use. Raises NotFound
        with the nearest names.

            >>> analyzer.extract_time_series_data("Electronics")["sales_units"].tail()
        """
        return frames.extract(self._db, product_category, region)

    def decompose_time_series(self, df: pd.DataFrame, target_column: str = frames.TARGET) -> Decomposition:
        """Trend, season (of the week, and with two years of days also of the year) and rest, by statsmodels. Missing
        days are bridged from the same weekdays around them, and stay missing in ``observed`` and ``resid``.

            >>> observed, trend, seasonal, resid, figure = analyzer.decompose_time_series(days)
        """
        parts = frames.decompose(df, target_column)
        figure = pictures.decomposition(parts, frames.name(df))
        return Decomposition(parts.observed, parts.trend, parts.seasonal, parts.resid, figure)

    def build_prophet_model(self, df: pd.DataFrame, target_column: str = frames.TARGET) -> tuple[Any, pd.DataFrame]:
        """Stock Prophet with weekly and yearly seasons and the regressors promotion_flag and economic_index, fitted to
        the frame: (model, forecast). The forecast has ds, yhat, yhat_lower, yhat_upper (80 %) and Prophet's components,
        over the history and 84 days ahead.

        Ahead, promotions are those of the plan and, where nothing is planned, the share each weekday had in the last
        year. The economic index of the future is not known and not made up: its regressor is the index of 84 days
        before. Events come from the frame and go on by the rule they follow. A regressor that never changes is left
        out.
        """
        model, forecast = frames.prophet(df, target_column)
        name = frames.name(df)
        self.models[name], self.forecasts[name] = model, forecast
        return model, forecast

    def detect_anomalies(
        self, df: pd.DataFrame, target_column: str = frames.TARGET, threshold: float = 2.5
    ) -> pd.DataFrame:
        """The days that sold otherwise than expected the evening before: the frame's rows with ``expected``,
        ``anomaly_score`` (deviations off, robust; at least ``threshold``) and ``business_impact`` (HIGH, MEDIUM, LOW).

        A day is compared with the same weekdays of the eight weeks before, its events and promotions with earlier ones;
        it is never part of what it is compared with.
        """
        return frames.anomalies(df, target_column, threshold)

    def generate_forecast_report(
        self, model: Any, forecast: pd.DataFrame, actual_data: pd.DataFrame, product_category: str
    ) -> dict[str, Any]:
        """The specification's report: product_category, forecast_horizon, mae, mape, avg_weekly_forecast,
        seasonal_peak, seasonal_trough, business_recommendations; and wape, the finding as a sentence, and ``chart``,
        the file with history, forecast and interval.

        The errors are out of sample: the same model is fitted again at three past origins, 84 days apart, and scored
        on the 84 days after each, in weekly sums; None when the history is too short for that.
        """
        report = frames.forecast_report(model, forecast, actual_data, product_category)
        report["business_recommendations"] += executive.stock_sentences(self._db, product_category)
        report["chart"] = pictures.frame_forecast(report, model, forecast, actual_data, self.outputs)
        self.models[product_category], self.forecasts[product_category] = model, forecast
        return report


class RealTimeAnomalyDetector(_OnDatabase):
    """Checks every full day that has not been checked yet, for all series at once, and keeps what it found.

    What is found is mailed as the settings say (SMTP_SERVER, ALERT_FROM_EMAIL, ALERT_RECIPIENTS ...): the check writes
    the mail beside the anomaly, and a worker sends it. ``alert_config`` is kept as given and changes nothing, so that
    nobody is told twice; a warning says so.

        >>> detector = RealTimeAnomalyDetector("", {})
        >>> detector.run_daily_anomaly_check()
        >>> detector.anomaly_history.head()
    """

    def __init__(self, connection_string: str | None = None, alert_config: Mapping[str, Any] | None = None) -> None:
        super().__init__(connection_string)
        self.alert_config = dict(alert_config or {})
        if self.alert_config:
            warnings.warn(
                "alert_config is kept and not used: mail follows the settings (SMTP_SERVER, ALERT_RECIPIENTS).",
                stacklevel=2,
            )

    def __repr__(self) -> str:
        return f"RealTimeAnomalyDetector({self._db!r})"

    def run_daily_anomaly_check(self) -> list[dict[str, Any]]:
        """What the days that are new or changed hold: a dict per anomaly with date, product_category, region,
        actual_sales, expected_sales, anomaly_score and impact. The same data are judged once: a second call gives what
        the first one found."""
        return daily_check.check(self._db, runtime.clock)

    @property
    def anomaly_history(self) -> pd.DataFrame:
        """Everything ever found, newest first: detected_date, product_category, region, actual_value, expected_value,
        anomaly_score, impact_level, status, created_at, and more."""
        return daily_check.history(self._db)

"""What the REST service takes and gives. Names of the customer's specification stay; more keys may be added."""

from __future__ import annotations

import re
from datetime import date, datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

# A run reaches this many days ahead; a request for more is refused.
LONGEST_FORECAST = 91
PAGE_ROWS = 1000

Level = Literal["total", "region", "store", "category", "category_region", "category_store"]


def _no_control_characters(text: str) -> str:
    if any(ord(character) < 32 or ord(character) == 127 for character in text):
        raise ValueError("must not contain control characters")
    return text


def _written_as_date(value: object) -> object:
    # A number would be taken for seconds since 1970.
    if isinstance(value, str) and re.fullmatch(r"\d{4}-\d\d-\d\d", value, re.ASCII) is None:
        raise ValueError("must be a date written as YYYY-MM-DD")
    return value


_PRINTABLE = {"pattern": "^[^\\u0000-\\u001f\\u007f]*$"}

Name = Annotated[
    str, Field(min_length=1, max_length=100, json_schema_extra=_PRINTABLE), AfterValidator(_no_control_characters)
]
Date = Annotated[date, BeforeValidator(_written_as_date)]


class Request(BaseModel):
    """A body or a query: unknown fields are refused, so that a typing error is not silently ignored."""

    model_config = ConfigDict(extra="forbid")


class Failure(BaseModel):
    """The one shape of every error."""

    success: Literal[False] = False
    error: str = Field(description="One sentence that says what happened and what to do.")


class Health(BaseModel):
    status: Literal["healthy", "degraded"]
    timestamp: datetime
    service: Literal["time_series_analytics"] = "time_series_analytics"
    reasons: list[str] = Field(default=[], description="Why the service is degraded.")


class RunStamp(BaseModel):
    """Which published run an answer comes from."""

    id: int
    kind: str = Field(description="'quick': the fast members only; 'full': all members.")
    last_day: date = Field(description="The last full day of data: forecasts start on the day after.")
    published_at: datetime


class ForecastRequest(Request):
    product_category: Name
    region: Name | None = Field(default=None, description="Without it, all regions together.")
    store: Name | None = Field(default=None, description="One store of the category.")
    forecast_days: int = Field(default=84, ge=1, le=LONGEST_FORECAST, strict=True, description="Days ahead.")


class Quantiles(BaseModel):
    """Expected value and quantiles, in the unit of the answer; null where it is not known."""

    mean: float | None
    q025: float | None
    q05: float | None
    q10: float | None
    q25: float | None
    q50: float | None
    q75: float | None
    q90: float | None
    q95: float | None
    q975: float | None


class _OfDay(BaseModel):
    date: date


class _OfWeek(BaseModel):
    week: date = Field(description="The Monday the week starts on.")


class Day(Quantiles, _OfDay):
    """One day of a forecast."""


class Week(Quantiles, _OfWeek):
    """One whole week of a forecast, Monday to Sunday."""


class Report(BaseModel):
    """The specification's forecast report, with its figures measured out of sample."""

    product_category: str
    region: str | None
    store: str | None
    forecast_horizon: str = Field(examples=["12 weeks"])
    mae: float | None = Field(
        description="Mean absolute error in units per week, out of sample; null: not measured yet."
    )
    mape: float | None = Field(
        description="Mean absolute percentage error per week, out of sample, in percent; weeks without sales left out."
    )
    wape: float | None = Field(
        description="Sum of absolute errors over sum of sales per week, out of sample, in percent."
    )
    avg_weekly_forecast: float = Field(description="Units per week, mean over the horizon.")
    seasonal_peak: str = Field(description="The week with the highest forecast, named by its Monday.")
    seasonal_trough: str = Field(description="The week with the lowest forecast, named by its Monday.")
    business_recommendations: list[str]
    finding: str = Field(description="The forecast in one sentence, as the dashboard says it.")
    forecast_days: int
    run: RunStamp
    daily: list[Day]
    weekly: list[Week]


class ForecastAnswer(BaseModel):
    success: Literal[True] = True
    forecast: Report
    generated_at: datetime


class RowsQuery(Request):
    """Which rows of the current run; the names are those of the dashboard's address. A list is a repeated parameter."""

    level: Level | None = Field(default=None, description="Without it, the level that the other filters imply.")
    category: list[Name] = Field(default=[], max_length=1000)
    region: list[Name] = Field(default=[], max_length=1000)
    store: list[Name] = Field(default=[], max_length=1000)
    offset: int = Field(default=0, ge=0, le=1_000_000_000)
    limit: int = Field(default=500, ge=1, le=PAGE_ROWS)


class ForecastQuery(RowsQuery):
    from_: Date | None = Field(
        default=None, alias="from", description="First day (or Monday); default: the first there is."
    )
    to: Date | None = Field(default=None, description="Last day (or Monday); default: the last.")
    unit: Literal["units", "money"] = Field(
        default="units",
        description="money: the series below, each at its own price of the day, added up; quantiles in proportion.",
    )
    period: Literal["daily", "weekly"] = "daily"


class _OfSeries(BaseModel):
    level: Level
    product_category: str
    region: str
    store: str


class ForecastRow(Quantiles, _OfDay, _OfSeries):
    """One day, or one week named by its Monday, of one series."""


class ForecastRows(BaseModel):
    success: Literal[True] = True
    run: RunStamp
    level: Level
    unit: Literal["units", "money"]
    period: Literal["daily", "weekly"]
    total: int = Field(description="Rows that match; a page holds at most 1,000 of them.")
    offset: int
    rows: list[ForecastRow]


class SeriesRow(_OfSeries):
    recent_units: float = Field(description="Mean units per day over the last 56 days of data.")
    unit_price: float | None


class SeriesRows(BaseModel):
    success: Literal[True] = True
    run: RunStamp
    total: int
    offset: int
    series: list[SeriesRow]


class CategoryAccuracy(BaseModel):
    product_category: str
    avg_accuracy: float = Field(description="Mean of 1 - |actual - forecast| / actual, not below 0.")
    forecast_count: int


class AnomalySummary(BaseModel):
    total_anomalies: int
    high_impact: int
    resolved: int


class DashboardMetrics(BaseModel):
    forecast_accuracy: list[CategoryAccuracy] = Field(description="Forecasts scored in the last 7 days, best first.")
    anomaly_summary: AnomalySummary
    system_status: Literal["operational", "degraded"]
    last_updated: datetime


class MetricsAnswer(BaseModel):
    success: Literal[True] = True
    metrics: DashboardMetrics

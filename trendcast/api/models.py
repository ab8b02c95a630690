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
    written = isinstance(value, str) and re.fullmatch(r"\d{4}-\d\d-\d\d", value, re.ASCII)
    if not (written or value is None or type(value) is date):
        raise ValueError("must be a date written as YYYY-MM-DD")
    return value


PRINTABLE = {"pattern": "^[^\\u0000-\\u001f\\u007f]*$"}

Printable = AfterValidator(_no_control_characters)
Name = Annotated[str, Field(min_length=1, max_length=100, json_schema_extra=PRINTABLE), Printable]
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
    kind: str = Field(description="'full': all models spoke; 'quick': only some were asked.")
    last_day: date = Field(description="The last full day of data: forecasts start on the day after.")
    published_at: datetime


class Page(BaseModel):
    """Which part of a list an answer has; a page holds at most 1,000 rows."""

    total: int = Field(description="Rows that match.")
    offset: int
    limit: int
    next: str | None = Field(description="The next page's address with the same filters; null on the last.")


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


RunNumber = Annotated[int, Field(ge=1, le=2**62)]
_RUN = "A run that is still kept, so that all pages come from one; without it, the current run."


class RowsQuery(Request):
    """Which rows of the current run; the names are those of the dashboard's address. A list is a repeated parameter."""

    level: Level | None = Field(default=None, description="Without it, the level that the other filters imply.")
    category: list[Name] = Field(default=[], max_length=1000)
    region: list[Name] = Field(default=[], max_length=1000)
    store: list[Name] = Field(default=[], max_length=1000)
    offset: int = Field(default=0, ge=0, le=1_000_000_000)
    limit: int = Field(default=500, ge=1, le=PAGE_ROWS)
    run: RunNumber | None = Field(default=None, description=_RUN)


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


class ForecastRows(Page):
    success: Literal[True] = True
    run: RunStamp
    level: Level
    unit: Literal["units", "money"]
    period: Literal["daily", "weekly"]
    rows: list[ForecastRow]


class SeriesRow(_OfSeries):
    recent_units: float = Field(description="Mean units per day over the last 56 days of data.")
    unit_price: float | None


class SeriesRows(Page):
    success: Literal[True] = True
    run: RunStamp
    series: list[SeriesRow]


StockStatus = Literal["order_now", "order_soon", "ok", "excess", "unknown"]


class RecommendationsQuery(Request):
    """Which stock advice of the current run; a list is a repeated parameter."""

    category: list[Name] = Field(default=[], max_length=1000)
    status: list[StockStatus] = Field(default=[], max_length=5)
    decided: bool | None = Field(
        default=None,
        description="true: only what was accepted or changed; false: only what is still to decide; without it: all.",
    )
    offset: int = Field(default=0, ge=0, le=1_000_000_000)
    limit: int = Field(default=100, ge=1, le=PAGE_ROWS)
    run: RunNumber | None = Field(default=None, description=_RUN)


class Recommendation(BaseModel):
    """What to do about the stock of one category; null where a figure is not known."""

    product_category: str
    status: StockStatus
    rank: int = Field(description="1: most money at stake.")
    money: float | None = Field(
        description="At stake: margin expected to be lost without the order; of excess, its carrying cost a year."
    )
    order_quantity: float
    order_by: date | None = Field(description="The last day on which an order keeps the target service.")
    sentence: str = Field(description="The advice in words, as the dashboard says it.")
    tags: list[str]
    assumed: list[str] = Field(description="Inputs that nobody gave, and what was assumed for them.")
    on_hand: float | None
    on_order: float | None
    lead_time_days: float | None
    reorder_point_now: float | None = Field(description="The retailer's own.")
    reorder_point: float | None
    safety_stock: float | None
    demand_mean: float | None = Field(description="Expected demand until an order after the next review arrives.")
    p_stockout: float | None = Field(description="Chance of a stock-out when the order is put off for a week.")
    p_stockout_with_order: float | None
    lost_units: float | None
    lost_money: float | None
    cover_days: float | None
    excess_units: float | None
    excess_money: float | None
    carrying_cost_year: float | None
    carrying_cost_month_of_order: float | None
    target_service: float | None
    realised_service: float | None = Field(description="Share of past weeks in which such a reorder point held.")
    realised_weeks: int | None
    unit_cost: float | None
    unit_price: float | None
    margin: float | None
    stock_value: float | None
    last_stock_day: date | None
    decision: Literal["accept", "modify", "reject", "defer"] | None = Field(
        description="What people decided on this advice; null: nothing yet."
    )


class Recommendations(Page):
    success: Literal[True] = True
    run: RunStamp
    finding: str = Field(
        description="What is still to do first, in words, as the dashboard says it; of all categories. Orders that "
        "people accepted or changed are not counted."
    )
    recommendations: list[Recommendation] = Field(description="Most money first.")


class _OfReview(BaseModel):
    model_config = ConfigDict(from_attributes=True)


class ReviewFigure(_OfReview):
    """A tile of the review: a figure with what it rests on and what it is held against."""

    name: str
    label: str
    value: float | None
    kind: str = Field(description="share, money, units or count.")
    basis: str = Field(description="Level, lead time and period, in words.")
    against: float | None
    against_words: str
    note: str


class ReviewException(_OfReview):
    """A rule that is broken by ``count`` things; ``names`` are the first of them."""

    name: str
    label: str
    rule: str
    count: int
    high: bool
    names: list[str]


class ReviewRisk(_OfReview):
    """What costs money unless somebody acts: a stock-out, an overstock or an anomaly."""

    kind: str
    name: str
    headline: str
    why: str
    money: float | None
    units: float | None
    order_by: date | None
    quantity: float | None
    urgent: bool


class ReviewChange(_OfReview):
    """The units expected in the same weeks, as published a week ago and now."""

    name: str
    published: float
    now: float


class ReviewQuery(Request):
    unit: Literal["units", "money"] = Field(default="units", description="What sales are ranked and said in.")


class ReviewAnswer(BaseModel):
    success: Literal[True] = True
    run: RunStamp
    finding: str = Field(description="The state of the business and what to do first, as the Review page says it.")
    kpis: list[ReviewFigure]
    exceptions: list[ReviewException]
    risks: list[ReviewRisk] = Field(description="Most money first.")
    more_risks: int = Field(description="Risks beyond those listed.")
    change: str = Field(description="What changed since last week, in one sentence.")
    changes: list[ReviewChange] = Field(description="Lines whose forecast changed, the biggest difference first.")


Impact = Literal["HIGH", "MEDIUM", "LOW"]
Kind = Literal["DEMAND", "SUPPLY", "DATA_QUALITY"]
Status = Literal["NEW", "ACKNOWLEDGED", "RESOLVED"]


class DetectQuery(Request):
    dry_run: bool = Field(default=False, description="Say what would be found and write nothing.")
    as_of: Date | None = Field(default=None, description="Look at nothing after that day.")
    scope: list[Name] = Field(
        default=[],
        max_length=100,
        description="Only anomalies of these categories, regions or stores; all are checked anyway.",
    )
    rule: Literal["trendcast", "plain"] = Field(
        default="trendcast",
        description="plain: the customer's rule as written (14 days with the day itself, 2.5), for comparison.",
    )


class Anomaly(_OfDay, _OfSeries):
    actual_sales: float
    expected_sales: float | None
    anomaly_score: float = Field(description="On the customer's scale: 2.5 notable, 3 medium, 4 high.")
    impact: Impact


class DetectedAnomaly(Anomaly):
    kind: Kind
    class_: str = Field(
        alias="class",
        description="SPIKE, DROP, LEVEL_SHIFT, TREND_CHANGE, TEMPORARY, PROMO_WITHOUT_UPLIFT, ZERO_RUN, STOCK_OUT, or "
        "a fault of the data: MISSING_FEED, PARTIAL_FEED, DOUBLED_FEED, RESCALED_FEED, LATE_FEED, KNOWN_FAULT.",
    )
    member: bool = Field(description="Part of a wider movement that is listed too.")


class DetectAnswer(BaseModel):
    success: Literal[True] = True
    anomalies_detected: int
    anomalies: list[DetectedAnomaly]
    checked_at: datetime
    as_of: date = Field(description="The last full day of data.")
    days: int = Field(description="Days that were judged.")
    n_series: int
    incidents: int = Field(description="Incidents that were opened or measured again.")
    repeated: bool = Field(default=False, description="Nothing was new: this is the answer of the detection before.")
    dry_run: bool
    rule: Literal["trendcast", "plain"]


class AnomalyQuery(Request):
    category: list[Name] = Field(default=[], max_length=1000)
    region: list[Name] = Field(default=[], max_length=1000)
    store: list[Name] = Field(default=[], max_length=1000)
    status: list[Status] = []
    impact: list[Impact] = []
    kind: list[Kind] = []
    since: Date | None = Field(default=None, description="Only what was still notable on that day or later.")
    offset: int = Field(default=0, ge=0, le=1_000_000_000)
    limit: int = Field(default=500, ge=1, le=PAGE_ROWS)


class AnomalyRow(Anomaly):
    """``date`` is the day the figures are of: the worst of the episode."""

    id: int
    incident_id: int | None
    status: Status
    kind: Kind
    class_: str = Field(alias="class")
    direction: int
    low: float | None
    high: float | None
    loss: float | None = Field(description="Money over all days of the episode; null without prices.")
    loss_units: float | None
    first_day: date
    last_day: date
    cause: str
    lead: bool = Field(description="The entry its incident is about; the others are its members.")
    disposition: str | None
    created_at: datetime
    headline: str | None
    next_step: str | None


class AnomalyRows(Page):
    success: Literal[True] = True
    finding: str
    anomalies: list[AnomalyRow]


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

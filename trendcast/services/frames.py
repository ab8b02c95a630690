"""What an analyst does with a frame of days: extract it, take it apart, fit stock Prophet, score it, find what is odd.

A frame is indexed by date_id and holds one row per day of one series, or of several together. Its ``attrs`` say what
it is (``product_category``, ``region``) and what was known ahead when it was read (``ahead``: promotion_flag and
seasonal_events by ISO day); they survive copies and slices, and a frame without them works as well.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from trendcast.errors import Conflict, InvalidInput, NotFound
from trendcast.services import findings, looks, report
from trendcast.services.names import nearest

if TYPE_CHECKING:
    from trendcast.store.engine import Database

HORIZON = 84
TARGET = "sales_units"
INTERVAL = 0.8
DRAWS = 300  # paths behind the interval
RECENT_DAYS = 56
SHORTEST = 28  # days to fit anything to
YEARLY_FROM = 365  # days of history before a yearly season is fitted
ORIGINS = 3  # past origins that are forecast again to measure the error
SHORTEST_PAST = 182  # days an origin must have before it
WINDOWS = (("rolling_avg_7d", 7, "mean"), ("rolling_avg_30d", 30, "mean"), ("rolling_std_14d", 14, "std"))
# Of the specification's feature set, in its order; then what stock needs, and the windows a model may use.
COLUMNS = (
    "sales_units", "sales_revenue", "promotion_flag", "sales_lag_1", "sales_lag_7", "sales_lag_14", "rolling_avg_7d",
    "rolling_avg_30d", "rolling_std_14d", "week_over_week_change", "is_weekend", "month_num", "quarter_num",
    "economic_index", "competitor_promotion_intensity", "seasonal_events", "social_media_mentions", "stock_level",
    "stockout_flag", "seasonal_sin", "seasonal_cos", "major_holiday_flag", "reorder_point", "lead_time_days",
    "rolling_avg_7d_before", "rolling_avg_30d_before", "rolling_std_14d_before", "week_over_week_change_before",
)  # fmt: skip


def extract(
    db: Database, product_category: str | Sequence[str] | None = None, region: str | Sequence[str] | None = None
) -> pd.DataFrame:
    """The days of a category in a region, of several added up by date, or of all (None), with the columns COLUMNS.

    promotion_flag is the share of the rows under promotion (0 or 1 for one row a day); lags and windows are those of
    the added series, by date and not by row. Raises NotFound with the nearest names, Conflict when nothing is loaded.
    """
    wanted = {"category": _names(product_category), "region": _names(region)}
    selection = {"categories": wanted["category"], "regions": wanted["region"]}
    with db.read() as connection:
        known = db.rows("analyst_names", connection=connection) if any(wanted.values()) else []
        for kind, names in wanted.items():
            there = {str(row["name"]) for row in known if row["kind"] == kind}
            for name in names:
                if known and name not in there:
                    raise NotFound(f"There is no {kind} '{name[:100]}'.", nearest(name, there))
        frame = db.frame("analyst_daily", connection=connection, **selection)
        if frame.empty:
            if known:
                raise NotFound("No sales have both of these names.")
            raise Conflict("There are no sales to analyse: load data first.")
        last_day = frame["date_id"].iloc[-1]
        ahead = db.frame("analyst_ahead", connection=connection, last_day=last_day.date(), **selection)
    found = with_features(frame.set_index("date_id"))
    day = ahead["date_id"].dt.strftime("%Y-%m-%d")
    found.attrs = {
        "product_category": product_category,
        "region": region,
        "ahead": {
            name: {when: value for when, value in zip(day, ahead[name], strict=True) if not pd.isna(value)}
            for name in ("promotion_flag", "seasonal_events")
        },
    }
    return found


def with_features(days: pd.DataFrame) -> pd.DataFrame:
    """The specification's columns beside the days (index date_id) of one series: each lag is the value so many days
    before, each window so many days of the calendar, and those ending in ``_before`` end the day before."""
    frame = days.copy()
    units = frame[TARGET]
    for lag in (1, 7, 14):
        frame[f"sales_lag_{lag}"] = _days_before(units, lag)
    for name, length, what in WINDOWS:
        for suffix, closed in (("", "right"), ("_before", "left")):
            window = units.rolling(f"{length}D", closed=closed)
            frame[name + suffix] = window.mean() if what == "mean" else window.std()
    week, eight = frame["sales_lag_7"], _days_before(units, 8)
    frame["week_over_week_change"] = ((units - week) / week).where(week != 0)
    frame["week_over_week_change_before"] = ((frame["sales_lag_1"] - eight) / eight).where(eight != 0)
    index = frame.index
    assert isinstance(index, pd.DatetimeIndex)
    frame["is_weekend"] = (index.day_of_week >= 5).astype(int)
    frame["month_num"], frame["quarter_num"] = index.month, index.quarter
    turn = 2 * np.pi * index.day_of_year / 365.25
    frame["seasonal_sin"], frame["seasonal_cos"] = np.sin(turn), np.cos(turn)
    events = frame["seasonal_events"].fillna("").astype(str)
    frame["major_holiday_flag"] = events.str.contains("christmas|black friday", case=False).astype(int)
    return frame[list(COLUMNS)]


def _days_before(units: pd.Series, days: int) -> np.ndarray:
    """The value so many days before each day; NaN when that day has no row."""
    return units.reindex(units.index - pd.Timedelta(days, "D")).to_numpy()


def _names(given: str | Sequence[str] | None) -> list[str]:
    return [] if given is None else [given] if isinstance(given, str) else [str(name) for name in given]


def by_day(df: pd.DataFrame) -> pd.DataFrame:
    """The frame indexed by day (date_id may also be a column), in order; InvalidInput when it is not of days, or has
    the same day twice."""
    if "date_id" in df.columns and not isinstance(df.index, pd.DatetimeIndex):
        df = df.set_index(pd.DatetimeIndex(pd.to_datetime(df["date_id"]))).drop(columns="date_id")
    if not isinstance(df.index, pd.DatetimeIndex):
        raise InvalidInput("The frame must be indexed by day, as extract_time_series_data gives it.")
    if df.index.has_duplicates:
        raise InvalidInput("The frame has the same day more than once: add the rows of a day up first.")
    return df.sort_index()


def series(df: pd.DataFrame, target_column: str = TARGET) -> pd.Series:
    """The target by day, from its first to its last value; InvalidInput or NotFound when it cannot be used."""
    df = by_day(df)
    if target_column not in df.columns:
        raise NotFound(f"The frame has no column '{target_column}'.", nearest(target_column, map(str, df.columns)))
    if not pd.api.types.is_numeric_dtype(df[target_column]):
        raise InvalidInput(f"The column '{target_column}' holds no numbers.")
    found = df[target_column].astype(float)
    known = found.notna()
    if known.sum() < SHORTEST:
        raise InvalidInput(f"The frame has {int(known.sum())} days with a value; at least {SHORTEST} are needed.")
    steps = np.diff(found.index[known].to_numpy()).astype("timedelta64[D]").astype(int)
    if np.median(steps) > 3:
        raise InvalidInput(f"The rows are {int(np.median(steps))} days apart: what is analysed here are days.")
    return found.loc[known.idxmax() : known[::-1].idxmax()]


def name(df: pd.DataFrame) -> str:
    """What the frame is called: 'Electronics in North', or 'All categories'."""
    categories, regions = (_names(df.attrs.get(key)) for key in ("product_category", "region"))
    said = " and ".join(categories) or "All categories"
    return f"{said} in {' and '.join(regions)}" if regions else said


@dataclass(frozen=True)
class Parts:
    """A series taken apart, each part by day: trend + seasonal + resid = observed, where something was observed."""

    observed: pd.Series
    trend: pd.Series
    seasonal: pd.Series
    resid: pd.Series


def decompose(df: pd.DataFrame, target_column: str = TARGET) -> Parts:
    """statsmodels' MSTL with a week and a year, or STL with a week when there are less than two years.

    Days without a value are filled from the same weekdays around them for the trend and the season; they are missing
    in ``observed`` and ``resid``.
    """
    observed = series(df, target_column).asfreq("D")
    with looks.caught():
        trend, waves, _ = looks.split(looks.same_weekday(observed.to_numpy()))
    seasonal = sum(waves.values())
    return Parts(
        observed,
        pd.Series(trend, observed.index, name="trend"),
        pd.Series(seasonal, observed.index, name="seasonal"),
        (observed - trend - seasonal).rename("resid"),
    )


def prophet(df: pd.DataFrame, target_column: str = TARGET, days: int = HORIZON) -> tuple[Any, pd.DataFrame]:
    """Stock Prophet fitted to the frame: (model, forecast), the forecast over the history and ``days`` ahead with ds,
    yhat, yhat_lower, yhat_upper (80 %), the components, and what was assumed in promotion_flag and economic_index.

    Weekly season, and yearly from a year of days; the frame's events as holidays, carried on by the rule they follow.
    The regressor promotion_flag is ahead what is planned and, where nothing is, the share its weekday had in the last
    year. The regressor economic_index is the index of ``days`` days before, the newest that is known for the last day
    ahead: no value of the future is made up. Where the target is never negative, neither is the forecast.
    """
    df = by_day(df)
    y = series(df, target_column)
    table, regressors = _design(df, y, days)
    holidays = _holidays(df, y.index[-1], table["ds"].iloc[-1])
    with looks.caught():
        model, forecast = looks.stock_prophet(
            table[: len(y)].assign(y=y.to_numpy()).dropna(subset="y"),
            table,
            holidays,
            regressors,
            yearly_seasonality=(y.index[-1] - y.index[0]).days >= YEARLY_FROM,
            weekly_seasonality=True,
            daily_seasonality=False,
            interval_width=INTERVAL,
            uncertainty_samples=DRAWS,
        )
    # A weekday without any value lately is a closed one; nothing tells Prophet so.
    open_days = y.iloc[-RECENT_DAYS:].dropna().index.day_of_week.unique()
    closed = (forecast["ds"] > y.index[-1]) & ~forecast["ds"].dt.day_of_week.isin(open_days)
    forecast.loc[closed, ["yhat", "yhat_lower", "yhat_upper"]] = 0.0
    if (y.dropna() >= 0).all():
        for column in ("yhat", "yhat_lower", "yhat_upper"):
            forecast[column] = forecast[column].clip(lower=0)
    # The components of the regressors carry their names; their values stand under names of their own.
    for column in regressors:
        forecast[f"{column}_value"] = table[column].to_numpy()
    model.target_column, model.days_ahead = target_column, days
    first = ["ds", "yhat", "yhat_lower", "yhat_upper", "trend"]
    return model, forecast[[*first, *forecast.columns.difference(first, sort=False)]]


def _design(df: pd.DataFrame, y: pd.Series, days: int) -> tuple[pd.DataFrame, list[str]]:
    """ds and the regressors that vary, for the days of ``y`` and so many after; the regressors' names."""
    ahead = pd.date_range(y.index[-1] + pd.Timedelta(1, "D"), periods=days)
    ds = y.index.append(ahead)
    table = pd.DataFrame({"ds": ds.astype("datetime64[ns]")})
    df = df.loc[: y.index[-1]]
    if "promotion_flag" in df:
        past = df["promotion_flag"].astype(float).reindex(y.index).fillna(0.0)
        year = past.iloc[-364:]
        expected = year.groupby(pd.DatetimeIndex(year.index).day_of_week).mean().reindex(range(7)).fillna(year.mean())
        planned = pd.Series(df.attrs.get("ahead", {}).get("promotion_flag", {}), dtype=float)
        planned.index = pd.to_datetime(planned.index)
        coming = planned.reindex(ahead).fillna(pd.Series(expected.loc[ahead.day_of_week].to_numpy(), ahead))
        table["promotion_flag"] = np.concatenate([past, coming])
    if "economic_index" in df and df["economic_index"].notna().any():
        index = df["economic_index"].astype(float).dropna()
        # As of so many days before; at the beginning of the history the first value there is.
        before = index.reindex(ds - pd.Timedelta(days, "D"), method="ffill")
        table["economic_index"] = before.bfill().to_numpy()
    varying = [name for name in table.columns[1:] if table[name][: len(y)].nunique() > 1]
    return table[["ds", *varying]], varying


def _holidays(df: pd.DataFrame, last_day: pd.Timestamp, until: pd.Timestamp) -> pd.DataFrame:
    """The frame's events, and those ahead that are known or follow a rule: ds, holiday; names the history has."""
    from trendcast.features.calendar import project

    texts = df["seasonal_events"].loc[:last_day].dropna() if "seasonal_events" in df else pd.Series(dtype=object)
    past = _events(texts)
    if past.empty:
        return pd.DataFrame({"ds": [], "holiday": []})
    known = pd.Series(df.attrs.get("ahead", {}).get("seasonal_events", {}), dtype=object)
    known.index = pd.to_datetime(known.index)
    events = pd.concat([past, _events(known)], ignore_index=True)
    carried = project(events, np.datetime64(until, "D"))
    assert carried is not None
    carried = carried.assign(ds=pd.to_datetime(carried["date_id"]))
    new = (carried["ds"] > last_day) & (carried["ds"] <= until)
    both = pd.concat([past.assign(ds=past["date_id"]), carried[new]])
    both = both[both["event"].isin(past["event"].unique())]
    return both[["ds", "event"]].rename(columns={"event": "holiday"}).drop_duplicates(ignore_index=True)


def _events(texts: pd.Series) -> pd.DataFrame:
    """date_id, event: a row for each name in a day's text, which joins them by commas."""
    names = texts.astype(str).str.split(", ").explode()
    names = names[names.str.strip() != ""]
    return pd.DataFrame({"date_id": names.index, "event": names.to_numpy(object)})


def out_of_sample(
    df: pd.DataFrame, target_column: str = TARGET, days: int = HORIZON, origins: int = ORIGINS
) -> dict[str, Any]:
    """What the same model was wrong by when it was fitted to less: ``mae`` (per week), ``mape`` and ``wape`` (shares),
    None when the history is too short; ``weeks`` scored and ``origins``, the last days known.

    Each of the past origins lies ``days`` before the next one or the end. The model sees nothing after its origin but
    what is known ahead at the real end too: promotions only where the frame has a plan ahead, events by their rule.
    """
    df = by_day(df)
    y = series(df, target_column)
    weeks = days // 7
    actual, mean, used = [], [], []
    plan = df.attrs.get("ahead", {}).get("promotion_flag", {})
    for back in range(1, origins + 1):
        origin = y.index[-1] - pd.Timedelta(back * days, "D")
        if (origin - y.index[0]).days < SHORTEST_PAST:
            break
        known = df.loc[:origin].copy()
        coming = df.loc[origin + pd.Timedelta(1, "D") : origin + pd.Timedelta(days, "D")]
        known.attrs = {"ahead": {}}
        if plan and "promotion_flag" in coming:
            flags = coming["promotion_flag"].astype(float).fillna(0.0)
            known.attrs["ahead"] = {"promotion_flag": {str(day.date()): flag for day, flag in flags.items()}}
        _, forecast = prophet(known, target_column, days)
        window = pd.date_range(origin + pd.Timedelta(1, "D"), periods=days)
        said, truth = forecast.set_index("ds")["yhat"].reindex(window), y.reindex(window)
        # A day without a row counts for nothing on both sides: it was closed, or nobody knows.
        both = truth.notna() & said.notna()
        actual.append(_weekly(truth.where(both), weeks))
        mean.append(_weekly(said.where(both), weeks))
        used.append(origin.date())
    if not used:
        return {**report.errors(np.zeros((0, weeks)), np.zeros((0, weeks))), "weeks": 0, "origins": []}
    measured = report.errors(np.array(actual), np.array(mean))
    return {**measured, "weeks": int(np.isfinite(actual).sum()), "origins": used}


def _weekly(values: pd.Series, weeks: int) -> np.ndarray:
    """Sums of each seven days of the first so many weeks; NaN where no day is known."""
    days = values.to_numpy()[: 7 * weeks].reshape(weeks, 7)
    known = np.isfinite(days)
    return np.where(known.any(axis=1), np.where(known, days, 0.0).sum(axis=1), np.nan)


def forecast_report(
    model: Any, forecast: pd.DataFrame, actual_data: pd.DataFrame, product_category: str
) -> dict[str, Any]:
    """The specification's report of a forecast that `prophet` made of the frame ``actual_data``; its keys and more.

    ``mae`` (per week), ``mape`` and ``wape`` (percent) are out of sample (see out_of_sample), ``avg_weekly_forecast``
    is per week, the peak and the trough are the Mondays of the strongest and the weakest whole week.
    """
    target, days = getattr(model, "target_column", TARGET), getattr(model, "days_ahead", HORIZON)
    y = series(actual_data, target)
    ahead = forecast.set_index("ds").loc[y.index[-1] + pd.Timedelta(1, "D") :]
    if ahead.empty:
        raise InvalidInput("The forecast does not reach beyond the actual data.")
    days = min(days, len(ahead))
    ahead = ahead.iloc[:days]
    measured = out_of_sample(actual_data, target, days)
    weekly = whole_weeks(ahead[["yhat", "yhat_lower", "yhat_upper"]])
    weekly = weekly if len(weekly) else ahead
    trend = ahead["trend"]
    started = forecast.set_index("ds")["trend"].asof(y.index[-1])
    total = float(ahead["yhat"].sum())
    width = float((ahead["yhat_upper"] - ahead["yhat_lower"]).sum()) / total if total > 0 else None
    history = whole_weeks(y.to_frame())[target].to_numpy()
    change = float(trend.iloc[-1] / started - 1) if started > 0 else None
    said = report.recommendations(days, history, width, change) if total > 0 else []  # what has ended needs none
    outlook = findings.outlook(
        product_category,
        weekly.rename_axis("week").reset_index().rename(columns={"yhat": "mean"}),
        y.rename("units").rename_axis("date_id").reset_index(),
        {"wape": {findings.forecast.COMBINATION: measured["wape"]}},
        "units" if target == TARGET else "",
    )
    return {
        "product_category": product_category,
        "forecast_horizon": f"{days // 7} weeks" if days % 7 == 0 else f"{days} days",
        "mae": measured["mae"],
        "mape": report.percentage(measured["mape"]),
        "wape": report.percentage(measured["wape"]),
        "avg_weekly_forecast": 7 * total / days,
        "seasonal_peak": weekly["yhat"].idxmax().date().isoformat(),
        "seasonal_trough": weekly["yhat"].idxmin().date().isoformat(),
        "business_recommendations": said,
        "finding": outlook,
        "measured_weeks": measured["weeks"],
        "measured_origins": [day.isoformat() for day in measured["origins"]],
    }


def whole_weeks(days: pd.DataFrame) -> pd.DataFrame:
    """Sums of whole weeks, Monday to Sunday, by their Monday; a week with a missing day is left out."""
    index = pd.DatetimeIndex(days.index)
    monday = index - pd.to_timedelta(index.day_of_week, "D")
    grouped = days.groupby(monday)
    return grouped.sum()[grouped.count().min(axis=1) == 7]


def anomalies(df: pd.DataFrame, target_column: str = TARGET, threshold: float = 2.5) -> pd.DataFrame:
    """The frame's rows of days that are out of the ordinary, and ``expected``, ``anomaly_score``, ``business_impact``.

    What a day was expected to sell is known the evening before: the same weekdays of the eight weeks before, their
    drift, and what events and promotions did earlier. The score is the residual in its own robust deviations of the 112
    days before (never zero); from ``threshold`` on a day is listed. HIGH is above 4 and at least 40 % off, MEDIUM above
    3 and at least 25 % off; a score is shown within its level's range. A day needs eight days before it, and 28 to be
    HIGH.
    """
    from trendcast.anomalies import expectation, impact, residuals
    from trendcast.anomalies.scene import Scene

    df = by_day(df)
    y = series(df, target_column)
    if (y < 0).any():
        raise InvalidInput(f"The column '{target_column}' has values below zero; what is compared here are sales.")
    daily = y.asfreq("D")
    events = _events(df["seasonal_events"].dropna()).assign(region="") if "seasonal_events" in df else None
    promotion = df["promotion_flag"].astype(float).reindex(daily.index) if "promotion_flag" in df else None
    # What an empty shelf sold is judged, and nothing is learnt from it.
    short = df["stockout_flag"].reindex(daily.index).fillna(False) if "stockout_flag" in df else None
    scene = Scene.of(
        pd.DataFrame({"level": ["total"], "product_category": [""], "region": [""], "store": [""]}),
        np.datetime64(daily.index[0], "D"),
        daily.to_numpy()[None],
        promotion=None if promotion is None else promotion.to_numpy()[None],
        masked=None if short is None else short.to_numpy(float)[None] > 0,
        events=events,
    )
    expected = expectation.expect(scene)
    rest = residuals.residuals(
        scene, expected, np.zeros(scene.units.shape, bool), np.arange(expectation.SHORTEST, scene.days)
    )
    z = np.abs(rest.z[0])
    found = np.isfinite(z) & (z >= threshold) & (expected.observed[0] >= expectation.SHORTEST)
    mean = expected.units[0]
    off = np.abs(daily.to_numpy() - mean) / np.maximum(mean, 1e-9)
    high = (z > 4) & (off >= impact.REL_HIGH) & (expected.observed[0] >= expectation.LEARNING)
    level = np.where(high, "HIGH", np.where((z > 3) & (off >= impact.REL_MEDIUM), "MEDIUM", "LOW"))
    top = np.array([impact.RANGES[name][1] for name in level])
    judged = pd.DataFrame(
        {"expected": mean, "anomaly_score": np.minimum(z, top), "business_impact": level}, index=daily.index
    )[found]
    return df.loc[df.index.isin(judged.index)].join(judged)

"""What if: the published forecast with other promotions, prices or circumstances, by arithmetic on stored numbers.

    scenario(t) = published(t) x exp(sum over drivers of effect x (new(t) - expected(t)))

Nothing is fitted. What is unsure about an effect widens the band; the days' own noise is the published forecast's and
does not change. No change gives the published numbers out, to the last digit. Several series are simulated each for
itself and added up.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from trendcast import wording
from trendcast.errors import InvalidInput, NotFound
from trendcast.forecasting.drivers import aftermath
from trendcast.services import forecast
from trendcast.services.what_if_words import (
    AFTER,
    LOAD,
    MENTIONS,
    PRICE,
    PROMOTION,
    WEATHER,
    Z80,
    absent,
    contradiction,
    described,
    effect,
    finding,
    label,
    stock_words,
)

if TYPE_CHECKING:
    from trendcast.services.forecast import RunInfo
    from trendcast.store.engine import Database

__all__ = [
    "LOAD", "PRICE", "PROMOTION", "Baseline", "Change", "Changes", "Driver", "Promotion", "Scenario", "absent",
    "baseline", "described", "drivers", "drivers_of", "finding", "label", "simulate", "simulate_on", "stock_words",
    "through",
]  # fmt: skip

BANDS = ("q025", "q05", "q10", "q25", "q50", "q75", "q90", "q95", "q975")
Z = dict(zip(BANDS, (-1.959964, -1.644854, -Z80, -0.67449, 0.0, 0.67449, Z80, 1.644854, 1.959964), strict=True))
EXTREME = 5.0  # a sum of effects beyond e^5 is a wrong input, not a forecast
SLACK = 1e-6  # rounding of stored ranges


@dataclass(frozen=True)
class Driver:
    """One thing that can be changed, for a selection. ``kind``: 'promotion' (a calendar), 'level', 'share' (of days)
    or 'relative' (a share around the expected value, 0.1 is 10 % more). low, high: the range ever seen, base: what is
    expected ahead, all in the driver's unit. ``effect``: its effect as a sentence; gain: share of last year's error it
    takes away; sure: proven for this selection; note: what contradicts it, or ''."""

    name: str
    label: str
    unit: str
    kind: str
    low: float
    high: float
    base: float
    source: str
    effect: str
    gain: float
    sure: bool
    note: str
    size: float
    error: float


@dataclass(frozen=True)
class Change:
    """A driver at another level from ``first`` to ``last`` (None: the ends of the forecast): ``value`` in the driver's
    own unit or, with ``relative``, as a share of what is expected (-0.15: 15 % less). A price is always relative."""

    name: str
    value: float
    first: date | None = None
    last: date | None = None
    relative: bool = False


@dataclass(frozen=True)
class Promotion:
    """Promotion on every day from first to last, or on none of them."""

    first: date
    last: date
    on: bool


@dataclass(frozen=True)
class Changes:
    """What is asked; of two changes of one driver on one day the later in the list holds."""

    levels: tuple[Change, ...] = ()
    promotions: tuple[Promotion, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.levels or self.promotions)

    def to_json(self) -> dict[str, Any]:
        def plain(value: Any) -> Any:
            return value.isoformat() if isinstance(value, date) else value

        return {
            "levels": [{k: plain(v) for k, v in asdict(change).items()} for change in self.levels],
            "promotions": [{k: plain(v) for k, v in asdict(change).items()} for change in self.promotions],
        }

    @classmethod
    def from_json(cls, found: Mapping[str, Any]) -> Changes:
        """Raises InvalidInput for what ``to_json`` cannot have written."""

        def day(value: Any) -> date | None:
            return None if value is None else date.fromisoformat(value)

        try:
            return cls(
                tuple(
                    Change(str(c["name"]), float(c["value"]), day(c["first"]), day(c["last"]), bool(c["relative"]))
                    for c in found.get("levels", ())
                ),
                tuple(
                    Promotion(date.fromisoformat(c["first"]), date.fromisoformat(c["last"]), bool(c["on"]))
                    for c in found.get("promotions", ())
                ),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise InvalidInput("These changes cannot be read.") from error


@dataclass(frozen=True, eq=False)
class Baseline:
    """The published forecast of N series over H days with what is known of their K drivers; immutable, to be shared."""

    run_id: int
    first: date
    mean: np.ndarray  # (N, H)
    low: np.ndarray  # (N, H) q10
    middle: np.ndarray
    high: np.ndarray  # q90
    money: np.ndarray  # (N, H), NaN: not known
    daily: pd.DataFrame  # mean and money of the sum, a row per day
    weekly: pd.DataFrame  # week, mean, quantiles, money of the sum
    names: tuple[str, ...]
    figures: dict[str, np.ndarray]  # effect, error, low, high, base, gain, sure, against: (N, K)
    paths: dict[str, np.ndarray]  # weather:... -> expected share (N, H); promotion: with a week of the past before it
    cut: np.ndarray  # (N,) ln of what the price does with a promotion
    logarithmic: frozenset[str]
    lead: int
    clear: str
    missing: dict[str, str]
    judged_from: date | None

    @property
    def days(self) -> int:
        return self.mean.shape[1]

    @property
    def last(self) -> date:
        return self.first + timedelta(days=self.days - 1)

    @property
    def has_money(self) -> bool:
        return bool(np.isfinite(self.money).any())

    @property
    def planned(self) -> np.ndarray:
        """Share of promotion (N, H) planned or expected."""
        return self.paths[PROMOTION][:, -self.days :]


@dataclass(frozen=True, eq=False)
class Scenario:
    """What the changes do. ``daily``: date_id, base, scenario, low, high, base_low, base_high (80 % bands; NaN for
    several series: bands of days do not add up), base_money, money. ``weekly``: week, base, scenario, difference,
    share, the same bands, base_money, money, money_difference, promotion (share of its days).

    units, units_low, units_high: more or less sold over all days, with the 80 % range of the effects; share: of what
    was expected on the days it touches (first to last); money likewise, NaN without prices.
    """

    changes: Changes
    daily: pd.DataFrame
    weekly: pd.DataFrame
    units: float
    units_low: float
    units_high: float
    share: float
    share_low: float
    share_high: float
    money: float
    money_low: float
    money_high: float
    first: date | None
    last: date | None
    warnings: tuple[str, ...]
    seconds: float = field(default=0.0, compare=False)


def baseline(db: Database, run: RunInfo, series_ids: Sequence[int]) -> Baseline:
    """Everything a simulation needs of a run; NotFound where its days are no longer kept."""
    ids = sorted({int(number) for number in series_ids})
    rows = db.rows("driver_forecast", run_id=run.id, series_ids=ids)
    if len(rows) < len(ids) or not ids:
        raise NotFound("The days of this forecast are no longer kept: choose a newer one.")

    def stacked(name: str) -> np.ndarray:
        return np.array([[np.nan if v is None else v for v in row[name]] for row in rows], np.float64)

    mean = stacked("mean")
    found = db.rows("driver_facts", run_id=run.id)
    known = db.rows("driver_effects", run_id=run.id, series_ids=ids) if found else []
    facts = found[0]["facts"] if found and len(known) == len(ids) else {}
    names = tuple(facts.get("names", ()))
    keys = ("effect", "error", "low", "high", "base", "gain", "sure", "against")
    figures = {
        key: np.array([[row["drivers"]["known"][name][key] for name in names] for row in known], np.float64).reshape(
            len(ids), len(names)
        )
        for key in keys
    }
    paths = {}
    if facts:
        shares = np.stack([np.frombuffer(bytes(row["paths"]), np.uint8) for row in known]) / 254
        shares = shares.reshape(len(ids), len(facts["paths"]), -1)
        past = shares.shape[2] - mean.shape[1]
        paths = {name: shares[:, i, 0 if name == PROMOTION else past :] for i, name in enumerate(facts["paths"])}
    return Baseline(
        run_id=run.id,
        first=rows[0]["first_day"],
        mean=mean,
        low=stacked("q10"),
        middle=stacked("q50"),
        high=stacked("q90"),
        money=stacked("money"),
        daily=_summed(mean, stacked("money")),
        weekly=forecast.forecast_weekly(db, run.id, ids),
        names=names,
        figures=figures,
        paths=paths,
        cut=np.array([row["drivers"]["cut"] for row in known]) if known else np.zeros(len(ids)),
        logarithmic=frozenset(facts.get("logarithmic", ())),
        lead=int(facts.get("lead", 0)),
        clear=str(facts.get("clear", "")),
        missing=dict(facts.get("missing", dict.fromkeys(LOAD, "this run knows no drivers"))),
        judged_from=date.fromisoformat(facts["judged_from"]) if facts.get("judged_from") else None,
    )


def through(base: Baseline, last: date) -> Baseline:
    """A baseline whose days end with ``last``, where it goes on longer."""
    over = (base.last - last).days
    if over <= 0:
        return base
    kept = base.days - over
    return replace(
        base,
        **{name: getattr(base, name)[:, :kept] for name in ("mean", "low", "middle", "high", "money")},
        daily=base.daily.iloc[:kept],
        weekly=base.weekly[base.weekly["week"] + pd.Timedelta(6, "D") <= pd.Timestamp(last)].reset_index(drop=True),
        paths={name: path[:, : path.shape[1] - over] for name, path in base.paths.items()},
    )


def _summed(mean: np.ndarray, money: np.ndarray) -> pd.DataFrame:
    """The sum of several series, added up as the published sums are: to the last digit."""
    frame = pd.DataFrame({"mean": mean.ravel(), "money": money.ravel()})
    grouped = frame.groupby(np.tile(np.arange(mean.shape[1]), len(mean)))
    return pd.DataFrame({"mean": grouped["mean"].sum(), "money": grouped["money"].sum(min_count=1)})


# --- what can be changed -------------------------------------------------------------------------------------------


def drivers(db: Database, run: RunInfo, series_ids: Sequence[int]) -> list[Driver]:
    """What can be changed for a selection: promotion and price first, then what is proven, then the rest."""
    return drivers_of(baseline(db, run, series_ids))


def drivers_of(base: Baseline) -> list[Driver]:
    """``drivers`` of a baseline at hand."""
    weight = base.mean.sum(axis=1)
    weight = weight / weight.sum() if weight.sum() > 0 else np.full(len(weight), 1 / len(weight))
    result = []
    for k, name in enumerate(base.names):
        if name == AFTER:
            continue
        figure = {key: float(weight @ values[:, k]) for key, values in base.figures.items()}
        size, error = figure["effect"], figure["error"]
        kind = "promotion" if name == PROMOTION else "relative" if name == PRICE else "level"
        low, high, expected, source = figure["low"], figure["high"], figure["base"], "mean of the last 28 days"
        if name == PROMOTION:
            expected, source = float((weight @ base.planned).mean()), "planned, else as usual"
        elif name == PRICE:
            expected, source = 0.0, "planned, else the last 56 days'"
        elif name.startswith(WEATHER):
            kind, source = "share", "usual for the season"
            expected = float((weight @ base.paths[name]).mean())
        against = figure["against"] >= 0.5
        result.append(
            Driver(
                name=name,
                label=label(name),
                unit="%" if kind in ("relative", "share", "promotion") else "",
                kind=kind,
                low=min(low, expected),
                high=max(high, expected),
                base=expected,
                source=source,
                effect=effect(base, name, size, error, high, expected, weight),
                gain=figure["gain"],
                sure=figure["sure"] >= 0.5 and not against,
                note=contradiction(name) if against else "",
                size=size,
                error=error,
            )
        )
    rank = {PROMOTION: 0, PRICE: 1}
    return sorted(result, key=lambda d: (rank.get(d.name, 2), not d.sure, -abs(d.gain)))


# --- the simulation ------------------------------------------------------------------------------------------------


def simulate(db: Database, run: RunInfo, series_ids: Sequence[int], changes: Changes) -> Scenario:
    """The forecast of the selection under ``changes``; InvalidInput for a change that means nothing."""
    started = time.perf_counter()
    found = simulate_on(baseline(db, run, series_ids), changes)
    return replace(found, seconds=time.perf_counter() - started)


def simulate_on(base: Baseline, changes: Changes) -> Scenario:
    """``simulate`` on a baseline at hand."""
    started = time.perf_counter()
    count, days = base.mean.shape
    moved, variance, prices = np.zeros((count, days)), np.zeros((count, days)), np.zeros((count, days))
    warnings: list[str] = []
    asked: dict[str, np.ndarray] = {}
    expected: dict[str, np.ndarray] = {}
    for change in changes.levels:
        _lay(base, change, asked, expected, warnings)
    for promotion in changes.promotions:
        _call(base, promotion, asked, expected)
    if changes.promotions and AFTER in base.names:
        past = base.paths[PROMOTION].shape[1] - days
        now = asked[PROMOTION]
        new = np.where(np.isfinite(now), now, base.planned)
        new = np.concatenate([base.paths[PROMOTION][:, :past], new], axis=1)
        asked[AFTER], expected[AFTER] = aftermath(new)[:, past:], aftermath(base.paths[PROMOTION])[:, past:]
    for name, values in asked.items():
        k = base.names.index(name)
        touched = np.isfinite(values)
        step = np.where(touched, np.nan_to_num(values) - expected[name], 0.0)
        if name == MENTIONS and base.lead:
            step = np.concatenate([np.zeros((count, base.lead)), step[:, : -base.lead]], axis=1)
        moved += base.figures["effect"][:, k, None] * step
        variance += (base.figures["error"][:, k, None] * step) ** 2
        if name == PRICE:
            prices += step
        elif name == PROMOTION:
            prices += base.cut[:, None] * step
        if np.any(step) and name != AFTER:
            warnings += _doubts(base, k, name)
    if np.abs(moved).max(initial=0.0) > EXTREME:
        raise InvalidInput("Together these changes lie far beyond anything a forecast can say.")
    error = np.sqrt(variance)
    factor = np.exp(moved)
    scenario = base.mean * factor
    money = (
        scenario * np.divide(base.money, base.mean, out=np.zeros_like(base.mean), where=base.mean > 0) * np.exp(prices)
    )
    money = np.where((moved == 0) & (prices == 0), base.money, np.where(np.isfinite(base.money), money, np.nan))
    touched_days = np.flatnonzero(((moved != 0) | (prices != 0)).any(axis=0))
    daily = _daily(base, moved, error, scenario, money)
    ends = [
        np.where(error > 0, base.mean * np.exp(moved + z * error), scenario).sum() - base.mean.sum()
        if len(touched_days)
        else 0.0
        for z in (-Z80, Z80)
    ]
    difference = float((scenario - base.mean).sum())
    before = float(base.mean[:, touched_days].sum())
    earned, earned_ends = np.nan, [np.nan, np.nan]
    if base.has_money:
        earned = float(np.nansum(money - base.money))
        paid = np.divide(money, scenario, out=np.zeros_like(money), where=scenario > 0)
        earned_ends = [
            float(np.nansum(base.mean * np.exp(moved + z * error) * paid - base.money)) if len(touched_days) else 0.0
            for z in (-Z80, Z80)
        ]
    if difference < 0 and changes.promotions and all(p.on for p in changes.promotions) and not changes.levels:
        warnings.append("Counting the days after it, this promotion sells less in all than no promotion.")
    return Scenario(
        changes=changes,
        daily=daily,
        weekly=_weekly(base, moved, error, scenario, money, asked.get(PROMOTION)),
        units=difference,
        units_low=float(min(ends)),
        units_high=float(max(ends)),
        share=difference / before if before > 0 else 0.0,
        share_low=float(min(ends)) / before if before > 0 else 0.0,
        share_high=float(max(ends)) / before if before > 0 else 0.0,
        money=earned,
        money_low=min(earned_ends),
        money_high=max(earned_ends),
        first=base.first + timedelta(days=int(touched_days[0])) if len(touched_days) else None,
        last=base.first + timedelta(days=int(touched_days[-1])) if len(touched_days) else None,
        warnings=tuple(dict.fromkeys(warnings)),
        seconds=time.perf_counter() - started,
    )


def _span(base: Baseline, first: date | None, last: date | None) -> slice:
    """The days meant, within the forecast's."""
    first, last = first or base.first, last or base.last
    if last < first:
        raise InvalidInput("A change must begin before it ends.")
    start, stop = max((first - base.first).days, 0), min((last - base.first).days + 1, base.days)
    if stop <= start:
        raise InvalidInput(
            f"The forecast reaches from {wording.day(base.first)} to {wording.day(base.last)}; "
            f"{wording.short_day(first)} to {wording.short_day(last)} lies outside."
        )
    return slice(start, stop)


def _lay(
    base: Baseline, change: Change, asked: dict[str, np.ndarray], expected: dict[str, np.ndarray], warnings: list[str]
) -> None:
    """Note the values of a driver on the days of a change, on the scale its effect is measured on."""
    name, value = change.name, float(change.value)
    if name in (PROMOTION, AFTER) or name not in base.names:
        known = [label(one) for one in base.names if one not in (PROMOTION, AFTER)]
        listed = f"can be changed: {', '.join(known)}" if known else "nothing can be changed"
        raise InvalidInput(f"'{name}' is not a level that can be changed for this selection; {listed}.")
    if not np.isfinite(value):
        raise InvalidInput(f"{label(name)}: a change needs a number.")
    span, k = _span(base, change.first, change.last), base.names.index(name)
    low, high = base.figures["low"][:, k].min(), base.figures["high"][:, k].max()
    usual = base.figures["base"][:, k, None]
    if name == PRICE:
        if value <= -1:
            raise InvalidInput("A price can fall by less than 100 % only.")
        new, at, written = np.full((1, 1), value), np.zeros((1, 1)), wording.percent(value, sign=True)
        new = np.log1p(new)
        ends = tuple(wording.percent(v, sign=True) for v in (low, high))
    elif name.startswith(WEATHER):
        at = base.paths[name]
        new = np.clip(at * (1 + value), 0, 1) if change.relative else np.full((1, 1), value)
        if not change.relative and not 0 <= value <= 1:
            raise InvalidInput(f"{label(name)}: a share of days lies between 0 and 100 %.")
        value = float(new[:, span].mean()) if change.relative else value
        written, ends = wording.percent(value), tuple(wording.percent(v) for v in (low, high))
    else:
        level = usual * (1 + value) if change.relative else np.full((1, 1), value)
        value = float(level.mean())
        if name in base.logarithmic and (level < 0).any():
            raise InvalidInput(f"{label(name)} cannot be below zero.")
        new, at = _scaled(base, name, level), _scaled(base, name, usual)
        written, ends = wording.short(value), tuple(wording.short(v) for v in (low, high))
    if not low - SLACK - 1e-9 * abs(low) <= value <= high + SLACK + 1e-9 * abs(high):
        seen = f"{ends[0]} to {ends[1]}"
        warnings.append(f"Extrapolating: {label(name).lower()} at {written} lies beyond what was ever seen ({seen}).")
    shape = base.mean.shape
    expected[name] = np.broadcast_to(at, shape)
    values = asked.setdefault(name, np.full(shape, np.nan))
    values[:, span] = np.broadcast_to(new, shape)[:, span]


def _scaled(base: Baseline, name: str, level: np.ndarray) -> np.ndarray:
    if name == MENTIONS:
        return np.log1p(level)
    return np.log(np.maximum(level, 1e-9)) if name in base.logarithmic else np.asarray(level)


def _call(base: Baseline, promotion: Promotion, asked: dict[str, np.ndarray], expected: dict[str, np.ndarray]) -> None:
    """Note a promotion called or called off."""
    if PROMOTION not in base.names:
        raise InvalidInput("No promotion was ever recorded for this retailer, so nothing is known of their effect.")
    span = _span(base, promotion.first, promotion.last)
    expected[PROMOTION] = base.planned
    asked.setdefault(PROMOTION, np.full(base.mean.shape, np.nan))[:, span] = 1.0 if promotion.on else 0.0


def _doubts(base: Baseline, k: int, name: str) -> list[str]:
    if base.figures["against"][:, k].any():
        return [contradiction(name)]
    share = float(base.figures["sure"][:, k].mean())
    if share < 0.5:
        return [f"{label(name)}: its effect on this selection is not proven on last year's sales; see the wide range."]
    return []


def _widened(
    middle: np.ndarray, ends: Mapping[str, np.ndarray], factor: np.ndarray, error: np.ndarray
) -> dict[str, np.ndarray]:
    """Quantiles times the factor, their distance from the middle widened by the effects' error (on logs); where nothing
    changes they are what they were."""
    result = {}
    for name, value in ends.items():
        both = (middle > 0) & (value > 0)
        away = np.log(np.divide(value, middle, out=np.ones_like(value), where=both))
        wide = np.sign(Z[name]) * np.sqrt(away**2 + (Z[name] * error) ** 2)
        moved = np.where(both, middle * np.exp(wide), value) * factor
        result[name] = np.where((factor == 1) & (error == 0), value, np.where(error > 0, moved, value * factor))
    return result


def _daily(
    base: Baseline, moved: np.ndarray, error: np.ndarray, scenario: np.ndarray, money: np.ndarray
) -> pd.DataFrame:
    days = pd.date_range(base.first, periods=base.days).astype("datetime64[us]")
    single = len(base.mean) == 1
    nothing = np.full(base.days, np.nan)
    ends = {"q10": base.low, "q90": base.high}
    found = _widened(base.middle, ends, np.exp(moved), error) if single else {}
    known = base.has_money

    mean, coins = base.daily["mean"].to_numpy(), base.daily["money"].to_numpy()

    def beyond(published: np.ndarray, after: np.ndarray, before: np.ndarray) -> np.ndarray:
        """What is published plus what changes: where nothing does, what is published."""
        added = np.where(after == before, 0.0, np.nan_to_num(after) - np.nan_to_num(before)).sum(axis=0)
        return scenario[0] if single and after is scenario else published + added

    return pd.DataFrame(
        {
            "date_id": days,
            "base": mean,
            "scenario": beyond(mean, scenario, base.mean),
            "low": found["q10"][0] if single else nothing,
            "high": found["q90"][0] if single else nothing,
            "base_low": base.low[0] if single else nothing,
            "base_high": base.high[0] if single else nothing,
            "base_money": coins if known else nothing,
            "money": beyond(coins, money, base.money) if known else nothing,
        }
    )


def _weekly(
    base: Baseline,
    moved: np.ndarray,
    error: np.ndarray,
    scenario: np.ndarray,
    money: np.ndarray,
    promotion: np.ndarray | None,
) -> pd.DataFrame:
    """Whole weeks of the sum. Errors of effects are taken to be the same thing on all days and in all series: they come
    from the same history."""
    weekly = base.weekly
    starts = [(week.date() - base.first).days for week in weekly["week"]]
    planned = base.planned if PROMOTION in base.paths and PROMOTION in base.names else None
    shown = planned if promotion is None or planned is None else np.where(np.isfinite(promotion), promotion, planned)
    size = np.maximum(base.mean, 1e-12)
    factor, spread, coins, base_coins, flags = ([] for _ in range(5))
    for start in starts:
        days = slice(start, start + 7)
        before, after = base.mean[:, days].sum(), scenario[:, days].sum()
        still = not moved[:, days].any()
        factor.append(1.0 if still or not before > 0 else after / before)
        mass = np.maximum(scenario[:, days], 1e-12)
        spread.append(0.0 if still else float((mass * error[:, days]).sum() / mass.sum()))
        coins.append(np.nansum(money[:, days]) if base.has_money else np.nan)
        base_coins.append(np.nansum(base.money[:, days]) if base.has_money else np.nan)
        flags.append(
            float((shown[:, days] * size[:, days]).sum() / size[:, days].sum()) if shown is not None else np.nan
        )
    factors, errors = np.array(factor), np.array(spread)
    ends = {name: weekly[name].to_numpy(float) for name in BANDS if name in weekly}
    found = _widened(weekly["q50"].to_numpy(float), ends, factors, errors) if "q50" in ends else {}
    mean = weekly["mean"].to_numpy(float)
    after_all = mean * factors
    nothing = np.full(len(weekly), np.nan)
    base_money = weekly["money"].to_numpy(float)
    earned = base_money + np.array(coins, float) - np.array(base_coins, float)
    return pd.DataFrame(
        {
            "week": weekly["week"],
            "base": mean,
            "scenario": after_all,
            "difference": after_all - mean,
            "share": np.divide(after_all - mean, mean, out=np.zeros_like(mean), where=mean > 0),
            "low": found.get("q10", nothing),
            "high": found.get("q90", nothing),
            "base_low": ends.get("q10", nothing),
            "base_high": ends.get("q90", nothing),
            "base_money": base_money,
            "money": earned,
            "money_difference": earned - base_money,
            "promotion": np.array(flags, float),
        }
    )

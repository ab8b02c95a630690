"""What a refresh at an origin publishes: members -> weights -> reconciled means -> calibrated quantiles.

Everything a publication needs to learn (weights, errors) it learns from forecasts made at earlier origins and from
truth known at its own. Earlier origins lie on a fixed calendar grid (every fourth Sunday), so that runs and backtests
share them, and so that their weeks are whole weeks from Monday.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np

from trendcast.forecasting import combine, intervals
from trendcast.forecasting.members import MEMBERS, Member
from trendcast.forecasting.reconcile import reconcile
from trendcast.panel import Hierarchy, Panel

HORIZON = 91  # 13 weeks: 12 whole weeks show on any weekday
ORIGINS = 13  # a year of calibration origins
GRID_DAYS = 28
MINIMUM_HISTORY = 56
HALF_LIFE_DAYS = 365.0  # of an origin's weight in the intervals
MEANINGFUL_OPEN = 0.3  # an aggregate with less of its capacity open is not forecast on its own that day

Progress = Callable[[str, int, int], None]


def calibration_origins(first_day: np.datetime64, history: int, count: int = ORIGINS) -> list[int]:
    """Earlier origins as numbers of known days, oldest first: every fourth Sunday at least a week before the origin.

    A history too short for four of them uses every Sunday.
    """
    known = np.arange(MINIMUM_HISTORY, history - 6)
    last = (first_day + known - 1).astype("datetime64[D]").astype(int)  # days since Thursday 1970-01-01
    for step in (GRID_DAYS, 7):
        chosen = known[(last - 3) % step == 0]
        if len(chosen) >= combine.MINIMUM_ORIGINS:
            break
    return [int(h) for h in chosen[-count:]]


def week_starts(first_day: np.datetime64, history: int, horizon: int) -> np.ndarray:
    """Steps (0-based) of the Mondays that begin whole weeks within the horizon."""
    day = (first_day + history + np.arange(horizon)).astype("datetime64[D]").astype(int)
    mondays = np.flatnonzero((day - 4) % 7 == 0)
    return mondays[mondays + 7 <= horizon]


def weekly_sums(values: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """Sums of seven days from each start, over the last axis; NaN if a day is."""
    if not len(starts):
        return np.empty((*values.shape[:-1], 0))
    return np.stack([values[..., s : s + 7].sum(axis=-1) for s in starts], axis=-1)


@dataclass(frozen=True)
class Publication:
    """What is published at one origin, for all nodes of the hierarchy (S): arrays of float64."""

    history: int
    means: np.ndarray  # (S, H), coherent
    quantiles: np.ndarray  # (S, H, 9)
    weeks: np.ndarray  # steps of the Mondays, (W,)
    weekly_means: np.ndarray  # (S, W)
    weekly_quantiles: np.ndarray  # (S, W, 9)
    weights: np.ndarray  # (S, M)
    members: np.ndarray  # (M, S, H) what each member said
    extras: dict[str, dict[str, Any]]
    segment: np.ndarray  # (S,)
    origins: list[int]  # calibration origins
    past_means: np.ndarray  # (O, S, H) reconciled, at the calibration origins
    past_truth: np.ndarray  # (O, S, H) NaN where not known at this origin or not scored
    past_members: np.ndarray  # (M, O, S, H)
    measured: bool
    reconciled: bool


class Forecaster:
    """Forecasts one panel at any of its origins; what members said at an origin is computed once."""

    def __init__(
        self,
        bottom: Panel,
        *,
        horizon: int = HORIZON,
        members: Sequence[Member] = MEMBERS,
        on_progress: Progress = lambda stage, done, total: None,
        threads: int = 2,
    ) -> None:
        self.bottom = bottom
        self.horizon = horizon
        self.member_table = tuple(members)
        self.hierarchy = Hierarchy.of(bottom.series)
        self.truth_panel = self.hierarchy.panel(bottom)
        self.on_progress = on_progress
        self.threads = threads
        self._said: dict[int, tuple[np.ndarray, dict[str, dict[str, Any]]]] = {}
        self._states: dict[str, Any] = {}
        self.failures: dict[str, str] = {}
        scored = self.truth_panel.units.copy()
        # Closed days are known to be closed: they are neither learnt from nor counted as hits.
        scored[np.asarray(self.truth_panel.open) <= 0] = np.nan
        self._scored = scored

    def truth(self, history: int, known: int) -> np.ndarray:
        """Truth (S, H) after ``history`` as far as it was known when ``known`` days were."""
        window = np.full((len(self._scored), self.horizon), np.nan)
        stop = min(history + self.horizon, known)
        window[:, : max(stop - history, 0)] = self._scored[:, history:stop]
        return window

    def members_at(self, history: int) -> tuple[np.ndarray, dict[str, dict[str, Any]]]:
        """What each member says at the origin, (M, S, H); a member that fails says NaN and is noted in failures."""
        if history not in self._said:
            panel = self.hierarchy.panel(self.bottom.as_of(history))
            said = np.full((len(self.member_table), len(self.hierarchy.nodes), self.horizon), np.nan)
            extras: dict[str, dict[str, Any]] = {}
            for m, member in enumerate(self.member_table):
                try:
                    result = member.forecast(panel, self.horizon, state=self._states.get(member.name))
                except Exception as error:  # noqa: BLE001  a broken member never stops a run; it is reported
                    self.failures[member.name] = f"{type(error).__name__}: {error}"
                    continue
                said[m] = result.mean
                extras[member.name] = result.extras
                if "state" in result.extras:
                    self._states.setdefault(member.name, result.extras["state"])
            self._said[history] = (said, extras)
        return self._said[history]

    def prepare(self, histories: Sequence[int]) -> None:
        """Compute what the members say at all these origins, two at a time. The oldest goes first: slow members fit
        their parameters there and only filter afterwards, so no parameter has seen the future of any origin."""
        wanted = sorted(set(histories) - set(self._said))
        if not wanted:
            return
        self.on_progress("members", 0, len(wanted))
        self.members_at(wanted[0])
        done = 1
        self.on_progress("members", done, len(wanted))
        with ThreadPoolExecutor(self.threads) as pool:
            for _ in pool.map(self.members_at, wanted[1:]):
                done += 1
                self.on_progress("members", done, len(wanted))

    def origins_for(self, history: int) -> list[int]:
        return calibration_origins(self.bottom.first_day, history)

    def publish(self, history: int) -> Publication:
        """The publication at the origin with ``history`` known days."""
        origins = self.origins_for(history)
        self.prepare([*origins, history])
        said, extras = self.members_at(history)
        known = self.truth_panel.units[:, :history]
        with np.errstate(invalid="ignore"):
            ceiling = np.nan_to_num(np.nanmax(np.where(np.isfinite(known), known, -np.inf), axis=1), neginf=0.0)
        recent = np.nan_to_num(known[:, -56:]).mean(axis=1)
        segment = combine.segments(self.hierarchy.nodes, recent)
        count, series, horizon = len(self.member_table), *said.shape[1:]

        past_members = np.full((count, len(origins), series, horizon), np.nan)
        past_truth = np.full((len(origins), series, horizon), np.nan)
        for o, origin in enumerate(origins):
            past_members[:, o] = self.members_at(origin)[0]
            past_truth[o] = self.truth(origin, history)

        alive = np.isfinite(said).any(axis=(1, 2))
        table = np.zeros((int(segment.max()) + 1, count))
        if alive.any():
            table[:, alive] = combine.fit_weights(
                np.nan_to_num(past_members[alive]), past_truth, segment
            ) if origins else 1 / alive.sum()
        weights = table[segment]

        points = combine.combine(said, weights, ceiling)
        past_points = np.stack(
            [combine.combine(past_members[:, o], weights, ceiling) for o in range(len(origins))]
        ) if origins else np.empty((0, series, horizon))
        means, past_means, reconciled = self._reconciled(points, past_points, past_truth, segment, history, origins)

        age = np.array([history - origin for origin in origins], float)
        recency = 0.5 ** (age / HALF_LIFE_DAYS)
        daily = self._calibration(past_truth, past_means, segment, intervals.DAY_BUCKETS, recency)
        weeks = week_starts(self.bottom.first_day, history, horizon)
        weekly_means = weekly_sums(means, weeks)
        past_weeks = np.arange(0, horizon - 6, 7)  # calibration origins are Sundays
        weekly = self._calibration(
            weekly_sums(self._week_truth(past_truth, origins), past_weeks),
            weekly_sums(past_means, past_weeks),
            segment,
            intervals.WEEK_BUCKETS,
            recency,
        )
        return Publication(
            history=history,
            means=means,
            quantiles=daily.quantiles(means),
            weeks=weeks,
            weekly_means=weekly_means,
            weekly_quantiles=weekly.quantiles(weekly_means),
            weights=weights,
            members=said,
            extras=extras,
            segment=segment,
            origins=origins,
            past_means=past_means,
            past_truth=past_truth,
            past_members=past_members,
            measured=daily.measured,
            reconciled=reconciled,
        )

    def _calibration(
        self, truth: np.ndarray, means: np.ndarray, segment: np.ndarray, ends: tuple[int, ...], recency: np.ndarray
    ) -> intervals.Calibration:
        if not len(truth):
            return intervals.unscored(len(segment), segment, ends)
        return intervals.Calibration.fit(truth, means, segment, ends=ends, origin_weights=recency)

    def _week_truth(self, truth: np.ndarray, origins: list[int]) -> np.ndarray:
        """Truth for weekly sums: a closed day counts as the zero it is, a day not known stays unknown."""
        closed = np.stack(
            [np.asarray(self.truth_panel.open)[:, o : o + self.horizon] <= 0 for o in origins]
        ) if origins else np.zeros(truth.shape, bool)
        # A closed day is only known once its week is: unknown days behind the truth's edge must stay NaN.
        edge = np.isfinite(truth).any(axis=1, keepdims=True)
        return np.where(np.isnan(truth) & closed & edge, 0.0, truth)

    def _reconciled(
        self,
        points: np.ndarray,
        past_points: np.ndarray,
        past_truth: np.ndarray,
        segment: np.ndarray,
        history: int,
        origins: list[int],
    ) -> tuple[np.ndarray, np.ndarray, bool]:
        """Coherent means now and at the calibration origins; bottom-up where reconciling did not pay there."""
        hierarchy = self.hierarchy
        aggregates = hierarchy.aggregates
        summing = hierarchy.summing

        def bottom_up(values: np.ndarray) -> np.ndarray:
            return np.asarray(summing @ values[aggregates:])

        if not len(origins) or not aggregates:
            return bottom_up(points), np.stack([bottom_up(p) for p in past_points]) if len(origins) else past_points, False
        error = intervals.Calibration.fit(past_truth, past_points, segment, ends=(), origin_weights=None).sigma
        open_share = np.asarray(self.truth_panel.open)[:aggregates]

        def coherent(values: np.ndarray, start: int) -> np.ndarray:
            window = open_share[:, start : start + self.horizon]
            return reconcile(values, summing, aggregates, error, trusted=window > MEANINGFUL_OPEN)

        past = np.stack([coherent(p, o) for p, o in zip(past_points, origins, strict=True)])
        plain = np.stack([bottom_up(p) for p in past_points])
        known = np.isfinite(past_truth)
        gain = []
        levels = hierarchy.nodes["level"].to_numpy()
        for level in dict.fromkeys(levels):
            mask = known & (levels == level)[None, :, None]
            ours, theirs = (np.abs(past_truth[mask] - v[mask]).sum() for v in (past, plain))
            gain.append(ours / theirs if theirs > 0 else 1.0)
        if np.mean(gain) > 1.0 or max(gain) > 1.01:
            return bottom_up(points), plain, False
        return coherent(points, history), past, True

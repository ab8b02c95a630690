"""What a refresh at an origin publishes: members -> weights -> reconciled means -> calibrated quantiles.

Everything a publication needs to learn (weights, errors) it learns from forecasts made at earlier origins and from
truth known at its own. Earlier origins lie on a fixed calendar grid (every fourth Sunday), so that runs and backtests
share them, and so that their weeks are whole weeks from Monday.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from trendcast.errors import TrendCastError
from trendcast.features.calendar import gaps
from trendcast.forecasting import combine, intervals, metrics
from trendcast.forecasting.members import MEMBERS, Member, MemberForecast
from trendcast.forecasting.reconcile import reconcile
from trendcast.panel import Hierarchy, Panel

HORIZON = 91  # 13 weeks: 12 whole weeks show on any weekday
ORIGINS = 13  # a year of calibration origins
GRID_DAYS = 28
YEAR = 364
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


def truth_after(panel: Panel, origin: int, horizon: int) -> np.ndarray:
    """Units (S, horizon) after ``origin`` as far as the panel knows them. Closed days are NaN: they are known to be
    closed, so they are neither learnt from nor counted as hits. Stock-out days are NaN as well: what is forecast is
    demand, and empty shelves say nothing about it; taken as truth they would pull the forecast and its lower bands
    down. So are days that somebody confirmed to be out of the ordinary."""
    window = np.full((panel.n_series, horizon), np.nan)
    stop = min(origin + horizon, panel.history)
    units, is_open = panel.units[:, origin:stop], panel.open[:, origin:stop] > 0
    says = is_open & ~panel.silent[:, origin:stop]
    window[:, : max(stop - origin, 0)] = np.where(says, units, np.nan)
    return window


def with_closed_days(truth: np.ndarray, panel: Panel, origins: list[int], known: int | None = None) -> np.ndarray:
    """Truth (O, S, H) for sums over days: on a closed day within what is known (``known`` days, by default all of the
    panel's) nothing was sold. Days of a long gap stay unknown: nobody said that the series would rest."""
    result = truth.copy()
    resting = gaps(np.isfinite(panel.units[:, : panel.history]))
    for o, origin in enumerate(origins):
        stop = min(origin + truth.shape[2], known or panel.history)
        part = result[o, :, : stop - origin]
        part[np.isnan(part) & (panel.open[:, origin:stop] <= 0) & ~resting[:, origin:stop]] = 0.0
    return result


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


def _with_zero(values: np.ndarray, axis: int) -> np.ndarray:
    """The array with zeros behind its last row, which is where the index -1 leads."""
    return np.concatenate([values, np.zeros_like(np.take(values, [0], axis=axis))], axis=axis)


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
        levels: np.ndarray = intervals.LEVELS,
        plan_known: bool = False,
    ) -> None:
        """``plan_known``: at past origins the promotions, opening days and events of all their days ahead were known;
        by default only as far ahead as they are known now, so that what is learnt of the past holds for the future."""
        self.bottom = bottom
        self.plan_known = plan_known
        self.reach = None if plan_known else bottom.reach()
        self.levels = levels
        self.horizon = horizon
        self.member_table = tuple(members)
        self.hierarchy = Hierarchy.of(bottom.series)
        self.on_progress = on_progress
        self.threads = threads
        self._said: dict[tuple[str, int, int], MemberForecast | None] = {}
        self.failures: dict[str, str] = {}

    def known_at(self, history: int) -> Panel:
        """The panel of all nodes as it was known at the origin."""
        return self.hierarchy.panel(self.bottom.as_of(history, self.reach))

    def at(self, history: int) -> Forecaster:
        """A forecaster that knows the origin's data and nothing else, not even of series that began later."""
        then = self.bottom.as_of(history, self.reach)
        alive = then.alive
        return Forecaster(
            then if alive.all() else then.rows(alive),
            horizon=self.horizon,
            members=self.member_table,
            threads=self.threads,
            levels=self.levels,
            plan_known=self.plan_known,
        )

    def recall(self, memory: dict[str, Any]) -> None:
        """Take over what members said at earlier origins when ``memory`` was last kept. To be used only while nothing
        but later days is added: what was known at an origin must still be what was known there. What was kept of
        other series, another first day or another reach of the plan is forgotten."""
        if memory.get("of") == self._about():
            self._said.update({key: told for key, told in memory["said"].items() if key[1] < self.bottom.history})

    def keep(self, memory: dict[str, Any]) -> None:
        """Note in ``memory`` what members said at origins before this panel's own."""
        memory["of"] = self._about()
        memory["said"] = {key: told for key, told in self._said.items() if key[1] < self.bottom.history}

    def _about(self) -> tuple[object, ...]:
        known: tuple[object, ...] = ()
        if self.reach is not None:
            events = min(self.reach.events, self.horizon)
            known = (self.reach.promotion.tobytes(), self.reach.opening.tobytes(), events)
        nodes = tuple(self.hierarchy.nodes.itertuples(index=False, name=None))
        return (self.bottom.first_day, self.horizon, tuple(m.name for m in self.member_table), known, nodes)

    def _alive_at(self, history: int) -> Panel:
        """The nodes over the bottom series that had begun by the origin: members learn nothing from the others."""
        then = self.bottom.as_of(history, self.reach)
        alive = then.alive
        if alive.all():
            return self.hierarchy.panel(then)
        some = then.rows(alive)
        return Hierarchy.of(some.series).panel(some)

    def _places(self, other: Hierarchy) -> np.ndarray:
        """Row of each of our nodes among the other hierarchy's, -1 where it has none (S,)."""
        keys = ["level", "product_category", "region", "store"]
        found = self.hierarchy.nodes[keys].merge(other.named(), on=keys, how="left")["node"]
        return found.fillna(-1).to_numpy(int)

    def widened(self, other: Forecaster) -> Publication:
        """What ``other``, over some of our series, publishes at its origin, at our nodes; 0 for series it does not
        have. Its past stays as it is."""
        told = other.publish(other.bottom.history)
        places = self._places(other.hierarchy)

        def spread(values: np.ndarray, axis: int = 0) -> np.ndarray:
            return np.take(_with_zero(values, axis), places, axis=axis)

        return replace(
            told,
            means=spread(told.means),
            quantiles=spread(told.quantiles),
            weekly_means=spread(told.weekly_means),
            weekly_quantiles=spread(told.weekly_quantiles),
            weights=spread(told.weights),
            members=spread(told.members, axis=1),
            segment=spread(told.segment),
        )

    def members_at(self, history: int, anchor: int) -> tuple[np.ndarray, dict[str, dict[str, Any]]]:
        """What each member says at the origin, (M, S, H), and its extras (at the panel's own origin). Members that are
        fitted only now and then take their parameters from ``anchor``. One that fails says NaN, and why stands in
        ``failures``."""
        panel: Panel | None = None
        means, extras = [], {}
        for member in self.member_table:
            if self._key(member, history, anchor) not in self._said:
                panel = panel or self._alive_at(history)
                self._ask(member, panel, history, anchor)
            result = self._said[self._key(member, history, anchor)]
            if result is None:
                means.append(np.full((len(self.hierarchy.nodes), self.horizon), np.nan))
            else:
                means.append(result.mean)
                extras[member.name] = result.extras
        return np.stack(means), extras

    @staticmethod
    def _key(member: Member, history: int, anchor: int) -> tuple[str, int, int]:
        return (member.name, history, anchor if member.stateful else 0)

    def _ask(self, member: Member, panel: Panel, history: int, anchor: int) -> None:
        """Note what a member says at the origin of ``panel``; None when it fails."""
        result: MemberForecast | None = None
        try:
            if not member.stateful or history == anchor:
                result = member.forecast(panel, self.horizon)
            else:
                start = self._said.get(self._key(member, anchor, anchor))
                if start is not None:
                    result = member.forecast(panel, self.horizon, state=start.extras["state"])
        except Exception as error:  # noqa: BLE001  a broken member never stops a run; it is reported
            self.failures[member.name] = f"{type(error).__name__}: {error}"
        if result is not None and panel.n_series < len(self.hierarchy.nodes):
            bottom = panel.series["level"] == panel.series["level"].iloc[-1]
            places = self._places(Hierarchy.of(panel.series[bottom]))
            result = MemberForecast(np.take(_with_zero(result.mean, 0), places, axis=0), result.extras)
        if result is not None and history != self.bottom.history:
            # Only the newest origin is explained; fitted models of thirteen more would fill the memory.
            kept = {name: value for name, value in result.extras.items() if name == "state" and history == anchor}
            result = MemberForecast(result.mean, kept)
        self._said[self._key(member, history, anchor)] = result

    def prepare(self, histories: Sequence[int]) -> None:
        """Compute what the members say at these origins and at the earlier ones they learn from, two at a time."""
        wanted: dict[tuple[int, int], None] = {}
        for history in histories:
            anchor = self.anchor_for(history)
            wanted.update({(h, anchor): None for h in [*self.origins_for(history), history]})
        todo = [key for key in wanted if any(self._key(m, *key) not in self._said for m in self.member_table)]
        self.on_progress("members", 0, len(todo))
        # Threads of ours over many small systems; threads of BLAS inside each of them only get in each other's way.
        with threadpool_limits(1, "blas"):
            # The parameters of stateful members first: two threads would both fit them.
            for anchor in dict.fromkeys(anchor for _, anchor in todo):
                for member in self.member_table:
                    if member.stateful and self._key(member, anchor, anchor) not in self._said:
                        self._ask(member, self._alive_at(anchor), anchor, anchor)
            with ThreadPoolExecutor(self.threads) as pool:
                for done, _ in enumerate(pool.map(lambda key: self.members_at(*key), todo), start=1):
                    self.on_progress("members", done, len(todo))

    def anchor_for(self, history: int) -> int:
        """The origin that slow members take their parameters from: never later than the oldest origin they are judged
        at, and the same for publications of about a year, so that a refresh and a backtest agree."""
        oldest = min([*self.origins_for(history), history])
        known = np.arange(2 * YEAR, oldest + 1)
        last = (self.bottom.first_day + known - 1).astype("datetime64[D]").astype(int)
        grid = known[(last - 3) % YEAR == 0]
        return int(grid[-1]) if len(grid) else oldest

    def origins_for(self, history: int) -> list[int]:
        return calibration_origins(self.bottom.first_day, history)

    def publish(self, history: int) -> Publication:
        """The publication at the origin with ``history`` known days."""
        origins = self.origins_for(history)
        anchor = self.anchor_for(history)
        self.prepare([history])
        said, extras = self.members_at(history, anchor)
        panel = self.known_at(history)
        known = panel.units[:, :history]
        with np.errstate(invalid="ignore"):
            ceiling = np.nan_to_num(np.nanmax(np.where(np.isfinite(known), known, -np.inf), axis=1), neginf=0.0)
        recent = np.nan_to_num(known[:, -56:]).mean(axis=1)
        segment = combine.segments(self.hierarchy.nodes, recent)
        count, series, horizon = len(self.member_table), *said.shape[1:]

        past_members = np.full((count, len(origins), series, horizon), np.nan)
        past_truth = self._past_truth(panel, origins, horizon)
        for o, origin in enumerate(origins):
            past_members[:, o] = self.members_at(origin, anchor)[0]

        alive = np.isfinite(said).any(axis=(1, 2))
        if not alive.any():
            reasons = "; ".join(f"{name}: {reason}" for name, reason in self.failures.items())
            raise TrendCastError(f"No model could make a forecast ({reasons}).")
        table = np.zeros((int(segment.max()) + 1, count))
        table[:, alive] = (
            combine.fit_weights(np.nan_to_num(past_members[alive]), past_truth, segment) if origins else 1 / alive.sum()
        )
        weights = table[segment]

        points = combine.combine(said, weights, ceiling)
        past_points = (
            np.stack([combine.combine(past_members[:, o], weights, ceiling) for o in range(len(origins))])
            if origins
            else np.empty((0, series, horizon))
        )
        if origins:
            sold, forecast = combine.volumes(past_truth, past_points, self.hierarchy.aggregates)
            points = points * combine.drift(sold, forecast)
            # A past origin is corrected by what the others say, or its errors would look smaller than the next will be.
            for o in range(len(origins)):
                others = np.arange(len(origins)) != o
                past_points[o] *= combine.drift(sold[others], forecast[others])
        means, past_means, reconciled = self._reconciled(points, past_points, past_truth, segment, panel, origins)

        age = np.array([history - origin for origin in origins], float)
        recency = 0.5 ** (age / HALF_LIFE_DAYS)
        daily = self.calibrate(past_truth, past_means, segment, recency)
        weeks = week_starts(self.bottom.first_day, history, horizon)
        weekly_means = metrics.weekly(means, weeks)
        # Calibration origins are Sundays, so their first, second, ... seven days are whole weeks.
        past_weeks = metrics.weekly(with_closed_days(past_truth, panel, origins))
        weekly = self.calibrate(past_weeks, metrics.weekly(past_means), segment, recency, weekly=True)
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

    def sold_after(self, publication: Publication) -> np.ndarray:
        """``past_truth`` of a publication with the days that somebody confirmed to be out of the ordinary (O, S, H):
        nothing is learnt from these, but the forecasts of them were as far off as they were. Where the data are wrong
        nobody knows how far."""
        panel = self.known_at(publication.history)
        if panel.doubtful is None:
            return publication.past_truth
        return self._past_truth(
            replace(panel, doubtful=panel.wrong), publication.origins, publication.past_truth.shape[2]
        )

    def _past_truth(self, panel: Panel, origins: list[int], horizon: int) -> np.ndarray:
        truth = np.full((len(origins), panel.n_series, horizon), np.nan)
        for o, origin in enumerate(origins):
            truth[o] = self._like_for_like(truth_after(panel, origin, horizon), panel, origin)
        return truth

    def _like_for_like(self, truth: np.ndarray, panel: Panel, origin: int) -> np.ndarray:
        """The truth (S, H) without series that began after the origin: their sales are no error of the forecast, and
        taken for growth they would raise every other series."""
        aggregates = self.hierarchy.aggregates
        unborn = ~np.isfinite(panel.units[aggregates:, :origin]).any(axis=1)
        if not unborn.any():
            return truth
        late = np.where(unborn[:, None], np.nan_to_num(truth[aggregates:]), 0.0)
        result = truth.copy()
        result[:aggregates] -= self.hierarchy.summing[:aggregates] @ late
        nobody = self.hierarchy.summing[:aggregates] @ (~unborn).astype(float) == 0
        result[:aggregates][nobody] = np.nan
        result[aggregates:][unborn] = np.nan
        return result

    def kind(self) -> np.ndarray:
        """Which nodes learn from each other where they are few: 1 for the bottom series, 0 for all above (S,)."""
        return (np.arange(len(self.hierarchy.nodes)) >= self.hierarchy.aggregates).astype(int)

    def calibrate(
        self,
        truth: np.ndarray,
        means: np.ndarray,
        segment: np.ndarray,
        recency: np.ndarray | None = None,
        *,
        weekly: bool = False,
    ) -> intervals.Calibration:
        """What the errors of past origins (O, S, H) teach of days, or (O, S, W) of weeks."""
        ends = intervals.WEEK_BUCKETS if weekly else intervals.DAY_BUCKETS
        if not len(truth):
            return intervals.unscored(len(segment), segment, ends, self.levels)
        return intervals.Calibration.fit(
            truth,
            means,
            segment,
            ends=ends,
            origin_weights=recency,
            levels=self.levels,
            kind=self.kind(),
            minimum=intervals.MINIMUM_WEEKS if weekly else intervals.MINIMUM_SCORES,
        )

    def _reconciled(
        self,
        points: np.ndarray,
        past_points: np.ndarray,
        past_truth: np.ndarray,
        segment: np.ndarray,
        panel: Panel,
        origins: list[int],
    ) -> tuple[np.ndarray, np.ndarray, bool]:
        """Coherent means now and at the calibration origins; bottom-up where reconciling did not pay there."""
        hierarchy = self.hierarchy
        aggregates = hierarchy.aggregates
        summing = hierarchy.summing

        def bottom_up(values: np.ndarray) -> np.ndarray:
            return np.asarray(summing @ values[aggregates:])

        plain = np.stack([bottom_up(p) for p in past_points]) if origins else past_points
        if not origins or not aggregates:
            return bottom_up(points), plain, False
        error = intervals.Calibration.fit(past_truth, past_points, segment, ends=(), origin_weights=None).sigma
        open_share = panel.open[:aggregates]

        def coherent(values: np.ndarray, start: int) -> np.ndarray:
            window = open_share[:, start : start + self.horizon]
            return reconcile(values, summing, aggregates, error, trusted=window > MEANINGFUL_OPEN)

        past = np.stack([coherent(p, o) for p, o in zip(past_points, origins, strict=True)])
        known = np.isfinite(past_truth)
        gain = []
        levels = hierarchy.nodes["level"].to_numpy()
        for level in dict.fromkeys(levels):
            mask = known & (levels == level)[None, :, None]
            ours, theirs = (np.abs(past_truth[mask] - v[mask]).sum() for v in (past, plain))
            gain.append(ours / theirs if theirs > 0 else 1.0)
        if np.mean(gain) > 1.0 or max(gain) > 1.01:
            return bottom_up(points), plain, False
        return coherent(points, panel.history), past, True

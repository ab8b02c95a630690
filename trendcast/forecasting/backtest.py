"""Rolling origins: what would have been published then, beside what happened, and the figures over all of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from trendcast.errors import InvalidInput
from trendcast.forecasting import intervals, metrics
from trendcast.forecasting.forecaster import MINIMUM_HISTORY, Forecaster, Publication, with_closed_days

COMBINATION = "combination"
# Coverage inside a run is measured on its newest origins, each with intervals learnt from the origins before it.
MEASURED_ORIGINS = 6


def backtest_origins(history: int, horizon: int, origins: int, step: int) -> list[int]:
    """Numbers of known days at each scored origin, oldest first; the last window ends on the last full day.

    Raises InvalidInput when the history does not reach back that far.
    """
    first = history - horizon - (origins - 1) * step
    if first < MINIMUM_HISTORY:
        raise InvalidInput(
            f"{origins} origins {step} days apart with a horizon of {horizon} days need "
            f"{horizon + (origins - 1) * step + MINIMUM_HISTORY} days of history; there are {history}."
        )
    return [first + i * step for i in range(origins)]


@dataclass(frozen=True)
class Window:
    """One scored origin: the publication cut to the horizon, and the truth (S, H), NaN where none is known, or a wrong
    one."""

    origin: int
    publication: Publication
    truth: np.ndarray
    closed: np.ndarray  # (S, H) closed days, known after the fact


def windows(forecaster: Forecaster, horizon: int, origins: int, step: int) -> Iterator[Window]:
    """Each scored origin in turn; what members say is computed for all of them first, so that they share it."""
    if horizon > forecaster.horizon:
        raise InvalidInput(f"The forecaster reaches {forecaster.horizon} days ahead, not {horizon}.")
    scored = backtest_origins(forecaster.bottom.history, horizon, origins, step)
    truth = forecaster.known_at(forecaster.bottom.history)
    sold = truth.sold
    begun = forecaster.bottom.as_of(scored[0]).alive.all()
    if begun:
        forecaster.prepare(scored)
    for origin in scored:
        days = slice(origin, origin + horizon)
        # Where series began later, an origin is forecast by a forecaster that has never heard of them.
        publication = forecaster.publish(origin) if begun else forecaster.widened(forecaster.at(origin))
        yield Window(origin, publication, sold[:, days], truth.open[:, days] <= 0)


class Tally:
    """Sums from which all figures follow, by level, model and horizon week; add one origin and model at a time."""

    def __init__(self, levels: np.ndarray) -> None:
        self.names, self.code = np.unique(levels, return_inverse=True)
        self.sums: dict[tuple[str, int, str], np.ndarray] = {}

    def add(
        self,
        model: str,
        truth: np.ndarray,
        mean: np.ndarray,
        *,
        closed: np.ndarray,
        scale: np.ndarray,
        quantiles: np.ndarray | None = None,
        weekly_truth: np.ndarray | None = None,
        weekly_quantiles: np.ndarray | None = None,
    ) -> None:
        """``truth`` and ``mean`` (S, H), ``quantiles`` (S, H, 9). ``closed`` days that were forecast to be closed are
        no test and stay out. ``scale`` (S,): of MASE. ``weekly_truth`` (S, H): closed days as 0, for sums.
        ``weekly_quantiles`` (S, W, 9): of the sums of the first, second, ... seven days."""
        known = np.isfinite(truth) & np.isfinite(mean) & ~(closed & (mean <= 0))
        y, f = np.where(known, truth, 0.0), np.where(known, mean, 0.0)
        error = f - y
        positive = known & (y > 0)
        scaled = known & (scale > 0)[:, None]
        parts = {
            "n": known.astype(float),
            "abs_error": np.abs(error),
            "error": error,
            "squared": error**2,
            "actual": y,
            "ape": np.where(positive, np.abs(error) / np.where(positive, y, 1.0), 0.0),
            "positive": positive.astype(float),
            "scaled_error": np.where(scaled, np.abs(error) / np.where(scaled, scale[:, None], 1.0), 0.0),
            "scaled": scaled.astype(float),
        }
        if quantiles is not None:
            q = np.where(known[:, :, None], quantiles, 0.0)
            below = y[:, :, None] - q
            loss = np.maximum(intervals.LEVELS * below, (intervals.LEVELS - 1) * below).mean(axis=2) * known
            parts |= {
                "quantile_n": known.astype(float),
                "hit80": known & (y >= q[:, :, 2]) & (y <= q[:, :, 6]),
                "hit95": known & (y >= q[:, :, 0]) & (y <= q[:, :, 8]),
                "width95": (q[:, :, 8] - q[:, :, 0]) * known,
                "pinball": loss,
                "scaled_pinball": np.where(scaled, loss / np.where(scaled, scale[:, None], 1.0), 0.0),
            }
        whole = truth if weekly_truth is None else weekly_truth
        actual_week, mean_week = metrics.weekly(whole), metrics.weekly(mean)
        usable = np.isfinite(actual_week) & (actual_week > 0) & np.isfinite(mean_week)
        week_error = np.where(usable, np.abs(mean_week - actual_week), 0.0)
        by_week = {
            "week_ape": np.where(usable, week_error / np.where(usable, actual_week, 1.0), 0.0),
            "week_n": usable.astype(float),
            "week_abs_error": week_error,
            "week_actual": np.where(usable, actual_week, 0.0),
        }
        if weekly_quantiles is not None:
            scored = np.isfinite(actual_week) & (mean_week > 0)
            q = weekly_quantiles
            by_week |= {
                "week_quantile_n": scored.astype(float),
                "week_hit80": scored & (actual_week >= q[:, :, 2]) & (actual_week <= q[:, :, 6]),
                "week_hit95": scored & (actual_week >= q[:, :, 0]) & (actual_week <= q[:, :, 8]),
            }
        step_week = np.arange(truth.shape[1]) // 7 + 1
        for name, values in parts.items():
            daily = np.stack([values[:, step_week == w].sum(axis=1) for w in range(1, step_week[-1] + 1)], axis=1)
            self._collect(model, name, daily)
        for name, values in by_week.items():
            self._collect(model, name, values)

    def _collect(self, model: str, name: str, by_week: np.ndarray) -> None:
        summed = np.zeros((len(self.names), by_week.shape[1]))
        np.add.at(summed, self.code, by_week)
        for w in range(by_week.shape[1]):
            for week in (0, w + 1):
                key = (model, week, name)
                self.sums[key] = self.sums.get(key, 0.0) + summed[:, w]

    def frame(self) -> pd.DataFrame:
        """One row per level, model and horizon_week (0: all): the figures, NaN where there is nothing to divide by."""
        wide: dict[tuple[str, int], dict[str, np.ndarray]] = {}
        for (model, week, name), values in self.sums.items():
            wide.setdefault((model, week), {})[name] = values
        frames = []
        for (model, week), s in wide.items():
            with np.errstate(invalid="ignore", divide="ignore"):
                columns = {
                    "level": self.names,
                    "model": model,
                    "horizon_week": week,
                    "n": s["n"],
                    "wape": s["abs_error"] / s["actual"],
                    "mae": s["abs_error"] / s["n"],
                    "rmse": np.sqrt(s["squared"] / s["n"]),
                    "bias": s["error"] / s["actual"],
                    "mase": s["scaled_error"] / s["scaled"],
                    "mape": s["ape"] / s["positive"],
                    "zero_share": 1 - s["positive"] / s["n"],
                }
                if "week_n" in s:
                    columns |= {
                        "wape_weekly": s["week_abs_error"] / s["week_actual"],
                        "mape_weekly": s["week_ape"] / s["week_n"],
                    }
                if "quantile_n" in s:
                    columns |= {
                        "quantile_n": s["quantile_n"],
                        "coverage80": s["hit80"] / s["quantile_n"],
                        "coverage95": s["hit95"] / s["quantile_n"],
                        "width95": s["width95"] / s["actual"],
                        "pinball": s["pinball"] / s["quantile_n"],
                        "wql": 2 * s["pinball"] / s["actual"],
                        "scaled_pinball": 2 * s["scaled_pinball"] / s["scaled"],
                    }
                if "week_quantile_n" in s:
                    columns |= {
                        "quantile_weeks": s["week_quantile_n"],
                        "coverage80_weekly": s["week_hit80"] / s["week_quantile_n"],
                        "coverage95_weekly": s["week_hit95"] / s["week_quantile_n"],
                    }
            frames.append(pd.DataFrame(columns))
        return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()


def all_names(figures: pd.DataFrame, aliases: Mapping[str, str]) -> pd.DataFrame:
    """The figures with those of levels that are the same series under another name (``Hierarchy.aliases``)."""
    if figures.empty:  # too few days to have forecast any of them
        return figures
    twins = [figures[figures["level"] == twin].assign(level=level) for level, twin in aliases.items()]
    return pd.concat([figures, *twins], ignore_index=True)


def add_window(tally: Tally, forecaster: Forecaster, window: Window, horizon: int, *, published: bool = True) -> None:
    """Score one origin: every member and the combination; with ``published`` its nine quantiles too."""
    whole = np.where(np.isnan(window.truth) & window.closed, 0.0, window.truth)
    scale = metrics.seasonal_scale(forecaster.known_at(window.origin).sold[:, : window.origin])
    publication = window.publication
    for m, member in enumerate(forecaster.member_table):
        said = publication.members[m, :, :horizon]
        if np.isfinite(said).any():
            tally.add(member.name, window.truth, said, closed=window.closed, scale=scale, weekly_truth=whole)
    tally.add(
        COMBINATION,
        window.truth,
        publication.means[:, :horizon],
        closed=window.closed,
        scale=scale,
        quantiles=publication.quantiles[:, :horizon] if published else None,
        weekly_truth=whole,
    )


def measure(forecaster: Forecaster, publication: Publication) -> pd.DataFrame:
    """The figures of a run's own backtest (``Tally.frame``): every member and the combination at all calibration
    origins; coverage, of days and of weeks, on the newest origins, each with intervals learnt only from what was known
    there.

    The weights are those of the run, so the combination's error is very slightly flattered; ``windows`` has no such
    advantage, and costs the run of every origin.
    """
    panel = forecaster.known_at(publication.history)
    levels = forecaster.hierarchy.nodes["level"].to_numpy()
    tally = Tally(levels)
    horizon, origins, sold = forecaster.horizon, publication.origins, panel.sold
    for o, origin in enumerate(origins):
        stop = min(origin + horizon, panel.history)
        truth = np.full((panel.n_series, horizon), np.nan)
        closed = np.zeros(truth.shape, bool)
        truth[:, : stop - origin] = sold[:, origin:stop]
        closed[:, : stop - origin] = panel.open[:, origin:stop] <= 0
        whole = with_closed_days(truth[None], panel, [origin])[0]
        scale = metrics.seasonal_scale(sold[:, :origin])
        quantiles = weekly = None
        if o >= max(len(origins) - MEASURED_ORIGINS, 4):
            # What was known at this origin of the windows before it.
            past = publication.past_truth[:o].copy()
            for earlier, start in enumerate(origins[:o]):
                past[earlier, :, max(origin - start, 0) :] = np.nan
            said_then = publication.past_means[:o]
            learnt = forecaster.calibrate(past, said_then, publication.segment)
            quantiles = learnt.quantiles(publication.past_means[o])
            then = metrics.weekly(with_closed_days(past, panel, origins[:o], known=origin))
            learnt = forecaster.calibrate(then, metrics.weekly(said_then), publication.segment, weekly=True)
            weekly = learnt.quantiles(metrics.weekly(publication.past_means[o]))
        for m, member in enumerate(forecaster.member_table):
            said = publication.past_members[m, o]
            if np.isfinite(said).any():
                tally.add(member.name, truth, said, closed=closed, scale=scale, weekly_truth=whole)
        mean = publication.past_means[o]
        tally.add(
            COMBINATION,
            truth,
            mean,
            closed=closed,
            scale=scale,
            quantiles=quantiles,
            weekly_truth=whole,
            weekly_quantiles=weekly,
        )
    return tally.frame()

"""How good early warning is on the loaded retailer: its past lived through again, with and without made-up incidents.

The scene of each day is read and cut as a pass reads it; what would have been published before it is the profile
model's forecast of its week, made on what was known when the week began, the injections among it. Nothing is written.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from trendcast.anomalies import evaluate as replays
from trendcast.anomalies import evaluate_scores as scores
from trendcast.anomalies.arrays import median
from trendcast.anomalies.evaluate import FROZEN, SINGLE, WIDE, WINDOW, Case, Lived, World
from trendcast.anomalies.plain import THRESHOLD, plain
from trendcast.anomalies.plain import WINDOW as PLAIN_WINDOW
from trendcast.errors import Conflict, InvalidInput
from trendcast.services.progress import Progress, silent

if TYPE_CHECKING:
    from trendcast.panel import Panel
    from trendcast.store.engine import Database

YEAR = 364
STEP = 7  # days between forecasts
ENOUGH = 50  # injections of each kind and size, from which their share found is known well enough
MOST_SEEDS = 24
SAMPLE = 16  # series Prophet is fitted to
BANDS = {"80 %": 1.2816, "95 %": 1.96, "99 %": 2.5758}


def evaluate(
    db: Database,
    progress: Progress,
    *,
    seeds: int | None = None,
    kinds: Sequence[str] | None = None,
    days: int = YEAR,
    until: date | None = None,
    sample: int = SAMPLE,
) -> dict[str, Any]:
    """Replay the last ``days`` days (up to ``until``) once without and ``seeds`` times with injections of ``kinds``;
    returns the figures as one document. Raises Conflict when nothing is loaded or the history is too short."""
    unknown = sorted(set(kinds or ()) - {*SINGLE, *WIDE})
    if unknown:
        raise InvalidInput(f"There is no kind '{unknown[0]}'; known are {', '.join([*SINGLE, *WIDE])}.")
    progress("Reading the sales", 0, 1)
    world, panel = _read(db, days, until)
    progress("Reading the sales", 1, 1)
    return judged(world, panel, progress, seeds=seeds, kinds=kinds, sample=sample)


def judged(
    world: World,
    panel: Panel | None,
    progress: Progress = silent,
    *,
    seeds: int | None = None,
    kinds: Sequence[str] | None = None,
    sample: int = SAMPLE,
) -> dict[str, Any]:
    """The figures of one retailer's past; ``panel`` for Prophet, which is left out without one."""
    begun = time.perf_counter()
    scene, first = world.scene, world.first
    count, judged_days = len(scene.units), scene.days - world.first
    if seeds is None:
        each = count * judged_days * replays.RATE / sum(len(sizes) for sizes in SINGLE.values())
        seeds = int(np.clip(np.ceil(ENOUGH / max(each, 1e-9)), 2, MOST_SEEDS))
    rng = np.random.default_rng(0)

    progress("Without injections", 0, judged_days)
    started = time.perf_counter()
    frozen = world.forecast(scene.units)
    forecasting = time.perf_counter() - started
    usual = replays.replay(
        world, forecast=frozen, on_block=lambda done, all_: progress("Without injections", done, all_)
    )
    replaying = time.perf_counter() - started - forecasting
    spread = replays.spread_before(world, frozen)
    calm = spread <= replays.CALM
    everyone = np.ones(count, bool)

    found: list[scores.Outcome] = []
    wide: list[dict[str, Any]] = []
    past: list[tuple[np.ndarray, list[Case]]] = []
    for seed in range(seeds):
        progress("With injections", seed, seeds)
        units, cases = replays.inject(world, np.random.default_rng(1000 + seed), kinds)
        lived = replays.replay(world, units)
        with_it = replace(scene, units=units)
        found += scores.named(scores.outcomes(scores.flags(lived, with_it), cases), lived, with_it)
        wide += scores.wide(lived, with_it, cases, usual)
        past.append((units, cases))
    progress("With injections", seeds, seeds)

    false = scores.false_alarms(usual, scene, first, calm)
    document: dict[str, Any] = {
        "first_day": str(scene.dates[first]),
        "last_day": str(scene.dates[-1]),
        "days": judged_days,
        "series": count,
        "level": str(scene.series["level"].iloc[0]),
        "seeds": seeds,
        "injections": sum(len(cases) for _, cases in past),
        "starting_share": _share_of(past, count * judged_days, lambda case: len(case.rows)),
        "injected_share": _share_of(past, count * judged_days, lambda case: len(case.rows) * max(case.days, 1)),
        "calm": {
            "limit": replays.CALM,
            "series": int(calm.sum()),
            "share": float(calm.mean()),
            "median_spread": _number(float(median(spread))),
        },
        "recall": scores.recall(found, calm, rng),
        "recall_all": scores.recall(found, everyone, rng),
        "power": scores.power(found, spread, ~calm),
        "false": false,
        "wide": scores.summed(wide),
        "calibration": _calibration(world, usual, calm, progress),
        "plain": _plain(world, past, calm, false),
        "prophet": _prophet(world, panel, past, spread, calm, false, sample, progress),
    }
    document["targets"] = targets(document)
    document["seconds"] = {
        "in_all": round(time.perf_counter() - begun, 1),
        "forecasting": round(forecasting, 1),
        "replay": round(replaying, 1),
        "a_day": round(replaying / judged_days, 4),
    }
    return document


# --- Reading ----------------------------------------------------------------------------------------------------------


def _read(db: Database, days: int, until: date | None) -> tuple[World, Panel]:
    from trendcast.services.detect_window import Window, read_state
    from trendcast.store.panel import read_panel

    with db.read() as connection:
        state = read_state(db, connection, as_of=until, back=0, verdicts=0)
        state |= {"checked_until": None, "checked_version": None, "entries": []}
        known = (state["last_sale"] - state["first_sale"]).days + 1
        days = min(days, known - 2 * FROZEN)
        if days < 28:
            raise Conflict("The history is too short: a replay needs nine months of sales.")
        window = Window(db, connection, state, datetime.now(UTC), back=days)
        panel = read_panel(db, connection, last_day=window.scene.dates[-1].astype("datetime64[D]").astype(date))
    scene = replace(
        window.scene, masked=np.zeros(window.scene.units.shape, bool), found=np.zeros(window.scene.units.shape, bool)
    )
    keys = {key[1:]: row for row, key in enumerate(scene.keys)}
    names = [tuple(key) for key in panel.series[["product_category", "region", "store"]].to_numpy(str).tolist()]
    order = [keys[key] for key in names if key in keys]
    rows = [key in keys for key in names]
    panel = panel.rows(np.array(rows))
    first = max(scene.days - days, min(WINDOW, scene.days // 2))
    begin = panel.history - scene.days
    return World(scene, window.events, Weekly(panel, np.array(order), begin, first), first, window.limits), panel


class Weekly:
    """The forecasts of each week by the profile model as of its beginning; what does not change is computed once."""

    def __init__(self, panel: Panel, order: np.ndarray, begin: int, first: int) -> None:
        """``order``: the scene's row of each of the panel's; ``begin``: the scene's first day in the panel."""
        self.panel, self.order, self.begin, self.first = panel, order, begin, first
        self.known: dict[int, np.ndarray] = {}
        self.units: np.ndarray | None = None

    def __call__(self, units: np.ndarray) -> np.ndarray:
        from trendcast.forecasting import profile

        if self.units is None:
            self.units = units.copy()
        same = (units == self.units) | (np.isnan(units) & np.isnan(self.units))
        changed = np.flatnonzero(~same.all(axis=0))
        until = int(changed[0]) if len(changed) else units.shape[1]
        full = self.panel.units.copy()
        full[:, self.begin : self.begin + units.shape[1]] = units[self.order]
        panel = replace(self.panel, units=full)
        mean = np.full(units.shape, np.nan)
        for origin in range(max(self.first - FROZEN, 28), units.shape[1], STEP):
            told = self.known.get(origin) if origin <= until else None
            if told is None:
                told = np.full((len(units), STEP), np.nan)
                told[self.order] = profile.forecast(panel.as_of(self.begin + origin), STEP).mean
                if origin <= until:
                    self.known[origin] = told
            length = min(STEP, units.shape[1] - origin)
            mean[:, origin : origin + length] = told[:, :length]
        return mean


# --- Calibration ------------------------------------------------------------------------------------------------------


def _calibration(world: World, usual: Lived, calm: np.ndarray, progress: Progress) -> dict[str, Any]:
    """On a retailer of whom it is known that nothing happened, and with drops and spikes injected into it; and on one
    made of real residuals in another order. ``false``: what is found where nothing happened, false without a doubt."""
    progress("Where nothing happened", 0, 3)
    rng = np.random.default_rng(77)
    quiet = replays.null_world(world, usual, rng)
    lived = replays.replay(quiet, frozen_days=WINDOW)
    null = scores.discovery(lived, quiet.first)
    progress("Where nothing happened", 1, 3)
    units, cases = replays.inject(quiet, rng, ("drop", "spike"))
    truth = np.zeros(units.shape, bool)
    for case in cases:
        truth[list(case.rows), case.start] = True
    mixed = scores.discovery(replays.replay(quiet, units, frozen_days=WINDOW), quiet.first, truth)
    progress("Where nothing happened", 2, 3)
    other = replays.null_world(world, usual, rng, shuffled=True)
    shuffled = scores.discovery(replays.replay(other, frozen_days=WINDOW), other.first)
    progress("Where nothing happened", 3, 3)
    return {
        "q": 0.05,
        "days": null["days"],
        "tests": null["tests"],
        "fdr_null": null["fdr"],
        "fdr_injected": mixed["fdr"],
        "fdr_shuffled": shuffled["fdr"],
        "false": scores.false_alarms(lived, quiet.scene, quiet.first, calm),
        "uniform": scores.uniformity(lived.p[:, quiet.first :].ravel()),
        "uniform_real": scores.uniformity(usual.p[:, world.first :].ravel()),
    }


# --- Other rules ------------------------------------------------------------------------------------------------------


def _plain(
    world: World, past: Sequence[tuple[np.ndarray, list[Case]]], calm: np.ndarray, false: dict[str, Any]
) -> list[dict[str, Any]]:
    """The customer's rule as written, and at the threshold that makes as many log rows of the calm series as ours."""

    def flags(score: np.ndarray, direction: np.ndarray, threshold: float) -> scores.Flags:
        found = np.where(np.nan_to_num(score) > threshold, direction, 0).astype(np.int8)
        found[:, : world.first] = 0
        return found

    def of(units: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        begin = max(0, world.first - PLAIN_WINDOW)
        score, mean = np.full(units.shape, np.nan), np.full(units.shape, np.nan)
        score[:, begin:], mean[:, begin:], _ = plain(units[:, begin:])
        return score, np.sign(np.nan_to_num(units) - np.nan_to_num(mean)).astype(np.int8)

    usual = of(world.scene.units)
    injected = [(of(units), cases) for units, cases in past]
    wanted = false["calm_rows_per_week_per_1000"] * false["days"] / 7 / 1000 * max(int(calm.sum()), 1)
    equal = scores.at_rate(lambda threshold: flags(*usual, threshold), calm, int(wanted), 1.0, 3.6)
    table = []
    for name, threshold in (("as written, above 2.5", THRESHOLD), ("at our rate of rows", equal)):
        outcomes = [
            one
            for score, cases in injected
            for one in scores.outcomes(flags(*score, threshold), cases)
            if calm[one.row]
        ]
        table.append(_rule(name, threshold, outcomes, flags(*usual, threshold), calm, world))
    return table


def _rule(
    name: str,
    threshold: float,
    outcomes: list[scores.Outcome],
    usual: scores.Flags,
    rows: np.ndarray,
    world: World,
) -> dict[str, Any]:
    every = scores.recall(outcomes, np.ones(len(rows), bool), np.random.default_rng(0))
    entries = scores.episodes_of(usual, rows)
    days, series = world.scene.days - world.first, int(rows.sum())
    return {
        "rule": name,
        "threshold": float(threshold),
        "series": series,
        "entries_per_week_per_2500": scores.weekly(entries, days, series, 2500),
        "recall": {f"{one['kind']} {one['size']:+g}": one["recall"] for one in every},
        "number": {f"{one['kind']} {one['size']:+g}": one["number"] for one in every},
    }


def _prophet(
    world: World,
    panel: Panel | None,
    past: Sequence[tuple[np.ndarray, list[Case]]],
    spread: np.ndarray,
    calm: np.ndarray,
    false: dict[str, Any],
    sample: int,
    progress: Progress,
) -> list[dict[str, Any]]:
    """Prophet's interval of a drawn sample of the calm series, fitted anew every four weeks on the history before; each
    injection is laid on a past without any, which favours it. Empty where Prophet is not installed."""
    rows = np.flatnonzero(calm if calm.any() else np.isfinite(spread))
    if panel is None or sample < 1 or not len(rows):
        return []
    try:
        from prophet import Prophet  # noqa: F401
    except ImportError:
        return []
    rng = np.random.default_rng(4)
    rows = np.sort(rng.permutation(rows)[:sample])
    scene = world.scene
    mean, sd = np.full(scene.units.shape, np.nan), np.full(scene.units.shape, np.nan)
    for number, row in enumerate(rows):
        progress("Prophet", number, len(rows))
        mean[row], sd[row] = _prophet_series(world, int(row))
    progress("Prophet", len(rows), len(rows))
    mine = np.zeros(len(scene.units), bool)
    mine[rows] = True

    def flags(units: np.ndarray, threshold: float) -> scores.Flags:
        z = np.where(scene.closed, np.nan, (units - mean) / sd)
        return np.where(np.abs(np.nan_to_num(z)) > threshold, np.sign(np.nan_to_num(z)), 0).astype(np.int8)

    wanted = false["calm_rows_per_week_per_1000"] * false["days"] / 7 / 1000 * len(rows)
    equal = scores.at_rate(lambda threshold: flags(scene.units, threshold), mine, max(round(wanted), 1), 0.5, 40.0)
    table = []
    for name, threshold in (*BANDS.items(), ("at our rate of rows", equal)):
        outcomes: list[scores.Outcome] = []
        for units, cases in past:
            own = [case for case in cases if not case.region and mine[case.rows[0]]]
            outcomes += scores.outcomes(flags(units, threshold), own)
        table.append(_rule(name, threshold, outcomes, flags(scene.units, threshold), mine, world))
    return table


def _prophet_series(world: World, row: int) -> tuple[np.ndarray, np.ndarray]:
    import logging

    from prophet import Prophet

    for name in ("prophet", "cmdstanpy"):
        logging.getLogger(name).disabled = True
    scene = world.scene
    dates = pd.to_datetime(scene.dates)
    region = str(scene.series["region"].iloc[row])
    events = world.events[world.events["region"].isin(["", region])]
    holidays = pd.DataFrame({"holiday": events["event"], "ds": events["date_id"]}).drop_duplicates()
    promoted = scene.promoted[row].astype(float)
    mean, sd = np.full(scene.days, np.nan), np.full(scene.days, np.nan)
    usable = np.isfinite(scene.units[row]) & ~scene.closed[row]
    for start in range(world.first, scene.days, 28):
        stop = min(start + 28, scene.days)
        model = Prophet(holidays=holidays if len(holidays) else None, interval_width=0.8, uncertainty_samples=200)
        frame = pd.DataFrame({"ds": dates, "y": scene.units[row], "promotion": promoted})
        if promoted[:start].any():
            model.add_regressor("promotion")
        model.fit(frame[:start][usable[:start]])
        told = model.predict(frame[start:stop].drop(columns="y"))
        mean[start:stop] = told["yhat"].to_numpy()
        sd[start:stop] = (told["yhat_upper"] - told["yhat_lower"]).to_numpy() / (2 * BANDS["80 %"])
    return mean, np.maximum(sd, 1e-9)


# --- Targets ----------------------------------------------------------------------------------------------------------


def targets(document: dict[str, Any]) -> list[dict[str, Any]]:
    """Each target of early warning, what was measured, and whether it was met; None where nothing says so."""
    by = {(one["kind"], one["size"]): one for one in document["recall"]}
    false, wide = document["false"], {(one["kind"], one["size"]): one for one in document["wide"]}
    nothing = document["calibration"]["false"]

    def both(size: float) -> float | None:
        mine = [by[key] for key in (("drop", -size), ("spike", size)) if key in by]
        return sum(one["recall"] * one["number"] for one in mine) / sum(one["number"] for one in mine) if mine else None

    def of(kind: str, size: float, name: str = "recall") -> float | None:
        return by[kind, size][name] if (kind, size) in by else None

    def calm(name: str, false: dict[str, Any] = false) -> float | None:
        return false[name] if document["calm"]["series"] else None

    outages = [one for key, one in wide.items() if key[0] == "outage"]
    faults = [one for key, one in wide.items() if key[0] != "outage"]

    def share(name: str) -> float | None:
        return (
            sum(one[name] * one["number"] for one in outages) / sum(one["number"] for one in outages)
            if outages
            else None
        )

    rows: list[tuple[str, float | None, float, bool]] = [
        ("drops and spikes of 50 %, the same day", both(0.5), 0.95, True),
        ("drops of 50 %", of("drop", -0.5), 0.95, True),
        ("spikes of 50 %", of("spike", 0.5), 0.95, True),
        ("drops and spikes of 30 %, the same day", both(0.3), 0.85, True),
        ("drops of 30 %", of("drop", -0.3), 0.85, True),
        ("spikes of 30 %", of("spike", 0.3), 0.85, True),
        ("shifts of -20 % within 5 days", of("shift", -0.2), 0.95, True),
        ("mean delay of these, days", of("shift", -0.2, "mean_delay"), 2.5, False),
        ("false entries a week per 2,500 series", calm("calm_entries_per_week_per_2500"), 50, False),
        ("the same, each series of a wider movement counted", calm("calm_rows_per_week_per_2500"), 50, False),
        ("false entries a week per 2,500 series, nothing happened", calm("calm_entries_per_week_per_2500", nothing), 50,
         False),
        ("false HIGH mails a week per 2,500 series", calm("calm_high_mails_per_week_per_2500"), 3, False),
        ("the same of all series, regions and totals", false["high_mails_per_week_per_2500"], 3, False),
        ("false HIGH mails a week per 2,500 series, nothing happened", nothing["high_mails_per_week_per_2500"], 3,
         False),
        ("false discovery rate at q = .05, nothing happened", document["calibration"]["fdr_null"], 0.07, False),
        ("regional outages with exactly one alert", share("one_alert"), 1.0, True),
        ("regional outages that are over the day after", share("one_recovery"), 1.0, True),
        ("entries of demand for faults of a feed", float(sum(one["demand"] for one in faults)) if faults else None, 0,
         False),
        ("HIGH alerts about its region in the four weeks after these",
         float(sum(one["after"] for one in faults)) if faults else None, 0, False),
    ]  # fmt: skip
    return [
        {
            "target": name,
            "least" if more else "most": limit,
            "measured": value,
            "met": None if value is None else bool(value >= limit if more else value <= limit),
        }
        for name, value, limit, more in rows
    ]


def _share_of(past: Sequence[tuple[np.ndarray, list[Case]]], days: int, size: Callable[[Case], int]) -> float:
    return float(np.mean([sum(size(case) for case in cases) for _, cases in past]) / days)


def _number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None

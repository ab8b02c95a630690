"""How good early warning is: a retailer's past lived through again with made-up incidents of known kind and size.

Nothing of a day is known before it, and what was injected stays in the history that later days are judged by. Counts
are multiplied and thinned: half of y sold is Binomial(y, .5), half more is y + Poisson(.5 y); never on a closed day.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import pandas as pd

from trendcast.anomalies import incidents
from trendcast.anomalies.arrays import median
from trendcast.anomalies.detect import detect, prepare
from trendcast.anomalies.entries import Entry
from trendcast.anomalies.impact import Q_MEDIUM
from trendcast.anomalies.incidents import Episode
from trendcast.anomalies.limits import Limits
from trendcast.anomalies.residuals import FAR, MAD
from trendcast.anomalies.scene import Scene, event_codes

WINDOW, FROZEN, BLOCK = 240, 112, 28  # days a pass reads, of which it reads forecasts, and days judged in one go
CALM = 0.08  # robust deviation of a series' residuals, in logarithms, up to which the targets hold
# Kind -> its sizes: what is sold is multiplied by 1 + size.
SINGLE: dict[str, tuple[float, ...]] = {
    "drop": (-0.3, -0.5, -0.8),
    "spike": (0.3, 0.5, 1.0),
    "shift": (-0.2, -0.35, 0.25),
    "ramp": (-0.03,),  # a day, fourteen days long
    "zero run": (-1.0,),
    "no uplift": (-1.0,),  # of the promotion's uplift
}
WIDE: dict[str, tuple[float, ...]] = {
    "outage": (-0.4, -0.6),
    "missing feed": (-1.0,),
    "duplicate load": (1.0,),
    "unit x100": (99.0,),
    "partial feed": (-0.4,),
}
FAULTS = {
    "missing feed": "MISSING_FEED",
    "duplicate load": "DOUBLED_FEED",
    "unit x100": "RESCALED_FEED",
    "partial feed": "PARTIAL_FEED",
}
# Classes that name an injection rightly; of a single day of zeros it is a drop.
RIGHT: dict[str, tuple[str, ...]] = {
    "drop": ("DROP",),
    "spike": ("SPIKE",),
    "shift": ("LEVEL_SHIFT",),
    "ramp": ("TREND_CHANGE", "LEVEL_SHIFT"),
    "zero run": ("ZERO_RUN", "DROP", "STOCK_OUT"),
    "no uplift": ("PROMO_WITHOUT_UPLIFT",),
    "outage": ("DROP",),
    **{kind: (cls,) for kind, cls in FAULTS.items()},
}
LASTS = 14  # days of a shift or ramp
WITHIN = 5  # days after its first one in which a shift counts as found
APART = 28  # days between two injections into the same series
# Of series-days start one of a single series; half of the regions have one of their own besides. Together fewer than
# one day of two hundred lies in one: more of them, and what is usual would be made of injections.
RATE = 0.0005

Key = tuple[str, str, str, str]
Forecaster = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True, eq=False)
class World:
    """A retailer's past: its scene, the calendar behind it, how forecasts of other units would have been, limits.

    ``forecast(units)``: what would have been published before each day (S, T) had these been sold, NaN where nothing.
    ``first``: the first day that is judged; before it lie at least ``WINDOW`` days, or all there are.
    """

    scene: Scene
    events: pd.DataFrame
    forecast: Forecaster
    first: int
    limits: Limits | None = None


@dataclass(frozen=True)
class Case:
    """One injection: its series (one, or those of a region), first day, days, and what became of the counts."""

    kind: str
    size: float
    start: int
    days: int
    rows: tuple[int, ...]
    region: str = ""

    @property
    def direction(self) -> int:
        return int(np.sign(self.size))


@dataclass(frozen=True, eq=False)
class Lived:
    """What a replay said: ``entries`` with days of the whole scene, the ``episodes`` of its log, and of each judged
    point (S, T) p, q, own residual, its scale and what was expected; NaN elsewhere."""

    entries: list[Entry]
    episodes: list[Episode]
    p: np.ndarray
    q: np.ndarray
    own: np.ndarray
    sigma: np.ndarray
    mean: np.ndarray
    ordinary: np.ndarray

    @cached_property
    def at(self) -> dict[tuple[Key, int], list[Entry]]:
        """Entries by node and day."""
        found: dict[tuple[Key, int], list[Entry]] = {}
        for entry in self.entries:
            found.setdefault((entry.key, entry.day), []).append(entry)
        return found

    @cached_property
    def spread(self) -> np.ndarray:
        """(S,) robust deviation of the ordinary days' residuals, in logarithms."""
        return MAD * median(np.abs(np.where(self.ordinary, self.own, np.nan)), 14)


# --- Injections -------------------------------------------------------------------------------------------------------


def inject(
    world: World,
    rng: np.random.Generator,
    kinds: Iterable[str] | None = None,
    rate: float = RATE,
) -> tuple[np.ndarray, list[Case]]:
    """(units with injections, what they are): ``rate`` of the judged series-days start one of a single series, and half
    of the regions have one of their own, kinds and sizes drawn evenly."""
    wanted = set(kinds) if kinds is not None else {*SINGLE, *WIDE}
    scene, units = world.scene, world.scene.units.copy()
    end = scene.days
    judged = end - world.first
    busy = np.zeros(units.shape, bool)
    cases: list[Case] = []
    open_day = np.isfinite(units) & ~scene.closed & (units > 0)
    wide = [(kind, size) for kind, sizes in WIDE.items() if kind in wanted for size in sizes]
    regions = sorted(set(scene.series["region"])) if (scene.series["region"] != "").any() else []
    for region in rng.permutation(regions)[: -(-len(regions) // 2)] if wide else []:
        rows = np.flatnonzero((scene.series["region"] == region).to_numpy())
        share = open_day[rows].mean(axis=0)
        days = np.flatnonzero(share > 0.5)
        days = days[(days >= world.first + 7) & (days < end - 7)]
        if len(rows) < 5 or not len(days):
            continue
        kind, size = wide[rng.integers(len(wide))]
        day = int(rng.choice(days))
        _wide(units, rng, kind, size, rows, day)
        busy[rows, max(0, day - APART) : day + APART] = True
        cases.append(Case(kind, size, day, 1, tuple(rows.tolist()), region))
    single = [(kind, size) for kind, sizes in SINGLE.items() if kind in wanted for size in sizes]
    if not (scene.promoted.any() and (~scene.promoted).any()):
        single = [one for one in single if one[0] != "no uplift"]
    wide_cases = len(cases)
    count = max(1, rng.binomial(len(units) * judged, rate)) if single else 0
    for number, place in enumerate(rng.permutation(len(units) * judged)[: 3 * count]):
        if len(cases) >= count + wide_cases:
            break
        row, day = int(place // judged), int(world.first + place % judged)
        kind, size = single[number % len(single)]
        case = _single(scene, units, rng, kind, size, row, day, open_day, busy)
        if case is not None:
            busy[row, max(0, day - APART) : day + case.days + APART] = True
            cases.append(case)
    return units, cases


def scaled(units: np.ndarray, factor: np.ndarray | float, rng: np.random.Generator) -> np.ndarray:
    """Units as if demand had been ``factor`` times as high: counts thinned or added to, other amounts multiplied."""
    units = np.asarray(units, float)
    factor = np.broadcast_to(np.asarray(factor, float), units.shape)
    if not (np.nan_to_num(units) == np.round(np.nan_to_num(units))).all():
        return units * factor
    count = np.nan_to_num(units).astype(np.int64)
    fewer = rng.binomial(count, np.minimum(factor, 1.0))
    more = rng.poisson(count * np.maximum(factor - 1.0, 0.0))
    return np.where(np.isfinite(units), fewer + more, np.nan)


def _single(
    scene: Scene,
    units: np.ndarray,
    rng: np.random.Generator,
    kind: str,
    size: float,
    row: int,
    day: int,
    open_day: np.ndarray,
    busy: np.ndarray,
) -> Case | None:
    """Inject into one series; None where it cannot begin on that day."""
    days = {"shift": LASTS, "ramp": LASTS, "zero run": int(rng.integers(1, 6))}.get(kind, 1)
    if kind == "no uplift":
        begun = scene.promoted[row, day:] & ~np.pad(scene.promoted[row], (1, 0))[day:-1]
        later = np.flatnonzero(begun[:35])
        if not len(later):
            return None
        day += int(later[0])
        ends = np.flatnonzero(~scene.promoted[row, day:])
        days = int(ends[0]) if len(ends) else scene.days - day
        days = min(days, LASTS)
    last = day + days
    if last > scene.days or not open_day[row, day] or busy[row, day:last].any():
        return None
    span = np.arange(day, last)
    span = span[open_day[row, span]]
    past = np.arange(max(0, day - 182), day)
    past = past[open_day[row, past]]
    if len(past) < 56:
        return None
    if kind == "ramp":
        factor = 1 + size * (span - day + 1)
    elif kind == "no uplift":
        on = scene.promoted[row, past]
        if on.sum() < 10 or (~on).sum() < 10:
            return None
        lift = float(np.nanmean(units[row, past[on]]) / np.nanmean(units[row, past[~on]]))
        if not lift >= 1.2:
            return None
        factor = np.full(len(span), 1 / lift)
    else:
        factor = np.full(len(span), 1 + size)
    units[row, span] = scaled(units[row, span], factor, rng)
    return Case(kind, size, day, days, (row,))


def _wide(units: np.ndarray, rng: np.random.Generator, kind: str, size: float, rows: np.ndarray, day: int) -> None:
    if kind == "missing feed":
        units[rows, day] = np.nan
    elif kind == "partial feed":
        units[rng.permutation(rows)[: max(3, round(-size * len(rows)))], day] = np.nan
    elif kind == "outage":
        units[rows, day] = scaled(units[rows, day], 1 + size, rng)
    else:
        units[rows, day] *= 1 + size  # the same counts again, or in another unit: nothing is drawn


# --- The replay -------------------------------------------------------------------------------------------------------


def replay(
    world: World,
    units: np.ndarray | None = None,
    forecast: np.ndarray | None = None,
    *,
    frozen_days: int = FROZEN,
    on_block: Callable[[int, int], None] = lambda done, total: None,
) -> Lived:
    """Live the judged days through again, four weeks at a time; each day is judged by what was before it, in the window
    a pass would have read, with the forecasts that were published before it.

    Forecasts learn nothing from a day on which a fault of a feed was found. Without a ``forecast`` of its own the past
    with faults is therefore lived through twice: to find them, and with the forecasts made without them.
    """
    scene = world.scene if units is None else replace(world.scene, units=units)
    lived, held = _replay(
        world, scene, world.forecast(scene.units) if forecast is None else forecast, frozen_days, on_block
    )
    if forecast is None and held.any():
        lived, _ = _replay(world, scene, world.forecast(np.where(held, np.nan, scene.units)), frozen_days, on_block)
    return lived


def _replay(
    world: World, scene: Scene, frozen: np.ndarray, frozen_days: int, on_block: Callable[[int, int], None]
) -> tuple[Lived, np.ndarray]:
    """What was found with these forecasts, and the points (S, T) at which a feed was at fault."""
    kept = {name: np.full(scene.units.shape, np.nan) for name in ("p", "q", "own", "sigma", "mean")}
    ordinary, found, held = (np.zeros(scene.units.shape, bool) for _ in range(3))
    entries: list[Entry] = []
    episodes: list[Episode] = []
    for start in range(world.first, scene.days, BLOCK):
        stop = min(start + BLOCK, scene.days)
        begin = max(0, start - WINDOW)
        part = _part(world, scene, frozen, found, held, slice(begin, stop), start - begin - frozen_days)
        judged = np.arange(start - begin, stop - begin)
        said = detect(part, judged, world.limits)
        episodes = incidents.gather(said.entries, episodes, part.first_day)
        for entry in said.entries:
            # As a pass does with what it wrote: what is only rare stays part of what is usual.
            days = np.array([one.day for one in entry.days if not one.q > Q_MEDIUM], int) + begin
            (held if entry.kind == "DATA_QUALITY" else found)[np.ix_(entry.rows, days)] = True
            entry.days = [replace(one, day=one.day + begin) for one in entry.days]
            entry.day, entry.start = entry.day + begin, entry.start + begin
        entries += said.entries
        for name, values in (
            ("p", said.p),
            ("q", said.q),
            ("own", said.rest.own),
            ("sigma", said.rest.sigma),
            ("mean", said.expected.units),
        ):
            kept[name][:, start:stop] = values[:, judged]
        ordinary[:, start:stop] = np.isinf(said.expected.examples[:, judged])
        on_block(stop - world.first, scene.days - world.first)
    return Lived(entries, episodes, ordinary=ordinary, **kept), held


def _part(
    world: World, scene: Scene, frozen: np.ndarray, found: np.ndarray, held: np.ndarray, days: slice, known: int
) -> Scene:
    """The days of a scene as a pass would have read them: forecasts from the ``known``th day on, what was found before
    as found, what a feed did as not to be learnt from."""
    first = scene.first_day + days.start
    count = days.stop - days.start
    near = world.events[world.events["date_id"] <= pd.Timestamp(scene.first_day + days.stop)]
    event, events, seen = event_codes(near, first, count, scene.series["region"].to_numpy(object))
    forecast = frozen[:, days].copy()
    forecast[:, : max(0, known)] = np.nan
    stock = replace(scene.stock, on_hand=scene.stock.on_hand[:, days], out=scene.stock.out[:, days])
    return replace(
        scene,
        first_day=first,
        units=scene.units[:, days],
        forecast=forecast,
        promotion=scene.promotion[:, days],
        closed=scene.closed[:, days],
        event=event,
        events=events,
        seen=seen,
        stock=stock,
        masked=scene.masked[:, days] | held[:, days],
        found=found[:, days],
    )


def spread_before(world: World, frozen: np.ndarray) -> np.ndarray:
    """(S,) robust deviation, in logarithms, of the ordinary days' residuals before the first judged day: which series
    are calm must not be chosen by the days on which they are judged. NaN with fewer than 14 of them."""
    first = world.first
    days = slice(max(0, first - WINDOW), first + 1)
    known = max(0, first - days.start - FROZEN)
    none = np.zeros(world.scene.units.shape, bool)
    part = _part(world, world.scene, frozen, none, none, days, known)
    ready = prepare(part, np.array([first - days.start]))
    ordinary = np.isinf(ready.expected.examples)[:, :-1]
    own = np.where(ordinary, ready.rest.own[:, :-1], np.nan)
    return MAD * median(np.abs(own[:, -FROZEN:]), 14)


def null_world(world: World, calm: Lived, rng: np.random.Generator, *, shuffled: bool = False) -> World:
    """A retailer of whom it is known that nothing happened: what was expected of each judged day, and noise.

    The noise of each series has the scale of its usual days and the tails of all of them, up to the 97th of a hundred:
    what lies beyond was found because something had happened. ``shuffled``: its own residuals in another order
    instead, those of real events among them, which then stand where nothing happened.
    """
    days = slice(world.first, world.scene.days)
    mean, own = calm.mean[:, days], calm.own[:, days]
    known = np.isfinite(mean) & np.isfinite(own)
    mixed = np.full(own.shape, np.nan)
    if shuffled:
        for row, mine in enumerate(known):
            mixed[row, mine] = rng.permutation(own[row, mine])
    else:
        mixed[known] = _usual_noise(own, rng)[known]
    units = np.where(
        known, np.maximum(np.round((1 + np.nan_to_num(mean)) * np.exp(np.nan_to_num(mixed)) - 1), 0), np.nan
    )
    forecast = np.where(known, mean, np.nan)
    scene = replace(
        _part(world, world.scene, world.scene.forecast, np.zeros_like(world.scene.found), world.scene.masked, days, 0),
        units=units,
        forecast=forecast,
        closed=~known,
        masked=np.zeros(units.shape, bool),
        event=np.zeros(units.shape, np.int16),
        promotion=np.full(units.shape, np.nan),
    )
    return World(scene, world.events.iloc[:0], lambda _: forecast, min(WINDOW, units.shape[1] // 2), world.limits)


def _usual_noise(own: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Noise (S, T) of a Student distribution: the median size of each series' residuals, and the degrees of freedom at
    which the 97th of a hundred sizes lies as far beyond the median as that of all series."""
    from scipy.stats import t as student

    middle = median(np.abs(own), 14)
    far = np.nanquantile(np.abs(own) / middle[:, None], FAR)
    freedom = np.concatenate([np.arange(2.5, 10, 0.5), np.arange(10, 60, 5.0)])
    ratio = student.ppf((1 + FAR) / 2, freedom) / student.ppf(0.75, freedom)
    chosen = float(freedom[np.argmin(np.abs(ratio - far))])
    return rng.standard_t(chosen, own.shape) * (middle / student.ppf(0.75, chosen))[:, None]

"""Gate A: is it the feed or the shop? Missing, partial, doubled and rescaled days of a region, before any question of
demand. What fails here is held back from every other test.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from trendcast.anomalies.arrays import median
from trendcast.anomalies.expectation import Expectation
from trendcast.anomalies.scene import Scene

LIKE = 4  # weeks whose same weekday says how many rows are due
PARTIAL = 0.95
FEWEST = 5  # series below which only what cannot be chance says something about a feed
HALF = 0.5  # of all rows that are due, below which nothing that came is believed
BY_CHANCE = 4.0  # deviations, up to which rows that do not come every week may all be absent on one day
MANY_GONE = 3  # small regions without rows, from which it is the feed of all that came in part
SHARE, NEARLY, SURE = 0.6, 0.8, 0.95
BEFORE = 56  # days that say how far series usually are off, and what units come in
NOTHING = (-1.0, 0.3)  # a middle, in logarithms, at which units neither doubled nor are another unit's
NEAR = 3.0  # usual deviations around what a fault would make of a series
MANY = 8  # counts that are not all even by chance
PACKS = 0.8  # share of even counts above which all are sold in pairs
# A fault somebody named is known again where as much is off by as much, and that is more than a day may be off.
FAR, ALIKE = np.log(1.3), 0.1


@dataclass(frozen=True, eq=False)
class Fault:
    """A day of a region ('' = of all) whose feed cannot be believed."""

    day: int
    region: str
    kind: str  # MISSING_FEED, PARTIAL_FEED, DOUBLED_FEED, RESCALED_FEED, KNOWN_FAULT
    rows: np.ndarray
    actual: float
    expected: float
    ratio: float
    known: int  # rows that came
    due: int  # and rows that were due
    key: tuple[str, str, str, str] | None = None  # the node, where it is no whole region
    like: str = ""  # the day on which somebody called the same a fault


def check(scene: Scene, expected: Expectation, days: np.ndarray) -> list[Fault]:
    """The faults of these days; one that all regions share is one fault of all."""
    regions = sorted(set(scene.series["region"]))
    rows_of = {region: np.flatnonzero((scene.series["region"] == region).to_numpy()) for region in regions}
    small = len(regions) > 1 and all(len(rows) < FEWEST for rows in rows_of.values())
    faults: list[Fault] = []
    for day in days:
        found = [fault for region in regions if (fault := _fault(scene, expected, int(day), region, rows_of[region]))]
        kinds = {fault.kind for fault in found}
        if len(regions) > 1 and len(found) == len(regions) and len(kinds) == 1:
            found = [_together(found)]
        elif (torso := _torso(scene, expected, int(day), _alone(found))) is not None:
            found = [torso]
        elif small:
            found = _of_small(scene, expected, int(day), rows_of, found)
        faults += found
        faults += _known(scene, expected, int(day), np.concatenate([one.rows for one in found] or [np.zeros(0, int)]))
    return faults


def _alone(found: list[Fault]) -> np.ndarray:
    """The rows of the one region that sent nothing; none where there is none, or more than one."""
    gone = [fault.rows for fault in found if fault.kind == "MISSING_FEED"]
    return gone[0] if len(gone) == 1 else np.zeros(0, int)


def _torso(scene: Scene, expected: Expectation, day: int, alone: np.ndarray) -> Fault | None:
    """A day of which less than half of all rows came: a feed that stopped halfway, and nothing of it is believed.
    ``alone``: rows of one region that is missing; where the others came, it is that region's matter, however large."""
    before = _like(day)
    if len(before) < 2:
        return None
    rows = np.flatnonzero(~scene.closed[:, day])
    came = np.isfinite(scene.units[rows][:, [*before, day]])
    usual, here = came[:, :-1].mean(axis=1), came[:, -1]

    def stopped(some: np.ndarray) -> bool:
        due, known = float(usual[some].sum()), int(here[some].sum())
        spread = float(np.sqrt((usual * (1 - usual))[some].sum()))
        return due >= FEWEST and 0 < known < HALF * due and due - known > BY_CHANCE * spread

    if not stopped(~np.isin(rows, alone)):
        return None
    due, known = float(usual.sum()), int(here.sum())
    units, mean = scene.units[rows, day], expected.units[rows, day]
    both = np.isfinite(units) & np.isfinite(mean)
    actual, expect = float(units[both].sum()), float(mean[both].sum())
    every = np.arange(len(scene.units))
    return Fault(day, "", "PARTIAL_FEED", every, actual, expect, known / due, known, round(due))


def _of_small(
    scene: Scene, expected: Expectation, day: int, rows_of: dict[str, np.ndarray], found: list[Fault]
) -> list[Fault]:
    """The faults of a retailer whose regions are all too small to say much: what several of them share is seen in all
    of them together, and is one fault of all."""
    gone = [fault.region for fault in found if fault.kind == "MISSING_FEED"]
    left = [rows for region, rows in rows_of.items() if len(gone) >= MANY_GONE or region not in gone]
    if len(left) < 2:
        return found
    pooled = _fault(scene, expected, day, "", np.sort(np.concatenate(left)))
    if pooled is None:
        return found
    return [pooled, *(fault for fault in found if fault.kind == "MISSING_FEED" and len(gone) < MANY_GONE)]


def _like(day: int) -> list[int]:
    """The same weekday of the weeks before."""
    return [day - 7 * k for k in range(1, LIKE + 1) if day - 7 * k >= 0]


def _known(scene: Scene, expected: Expectation, day: int, taken: np.ndarray) -> list[Fault]:
    """Faults of the data that look as one somebody called so before; the widest first."""
    faults: list[Fault] = []
    gone = set(taken.tolist())
    for wrong in sorted(scene.wrong, key=lambda one: (-len(one.rows), one.day)):
        size = float(np.log(max(wrong.ratio, 1e-3)))
        if abs(size) < FAR or scene.place(wrong.day) >= day:
            continue
        rows = wrong.rows
        rows = rows[
            np.isfinite(scene.units[rows, day]) & np.isfinite(expected.log[rows, day]) & ~scene.closed[rows, day]
        ]
        actual, mean = float(scene.units[rows, day].sum()), float(expected.units[rows, day].sum())
        if not len(rows) or mean <= 0 or gone & set(rows.tolist()):
            continue
        each = np.log(np.maximum(scene.units[rows, day] / np.maximum(expected.units[rows, day], 1e-9), 1e-3))
        off = float(np.log(max(actual / mean, 1e-3)))
        if abs(off - size) > ALIKE or (np.abs(each - size) <= 0.25).mean() < SHARE:
            continue
        gone |= set(rows.tolist())
        region = wrong.key[2] if wrong.key[0] == "region" else ""
        ratio, known = actual / mean, len(rows)
        faults.append(Fault(day, region, "KNOWN_FAULT", rows, actual, mean, ratio, known, known, wrong.key, wrong.day))
    return faults


def held(scene: Scene, faults: list[Fault]) -> np.ndarray:
    """bool (S, T): points that no test of demand may see."""
    out = np.zeros(scene.units.shape, bool)
    for fault in faults:
        out[fault.rows, fault.day] = True
    return out


def _fault(scene: Scene, expected: Expectation, day: int, region: str, rows: np.ndarray) -> Fault | None:
    units, mean = scene.units[rows, day], expected.units[rows, day]
    before = _like(day)
    if len(before) < 2:
        return None
    came = np.isfinite(scene.units[rows])
    usual = came[:, before].mean(axis=1)
    due, known = float(usual.sum()), int(came[:, day].sum())
    closed = bool(scene.closed[rows, day].all())

    def fault(kind: str, ratio: float = np.nan) -> Fault:
        both = np.isfinite(units) & np.isfinite(mean)
        actual = float(np.nansum(units[both])) if kind != "MISSING_FEED" else 0.0
        expect = float(np.nansum(mean[both] if kind != "MISSING_FEED" else mean * (usual > 0.5)))
        return Fault(day, region, kind, rows, actual, expect, ratio, known, round(due))

    if due >= 1 and known == 0 and usual.max() >= 0.75 and not closed:
        return fault("MISSING_FEED")
    absent = int(((usual >= 1) & ~came[:, day]).sum())
    enough = absent >= 3 if due >= FEWEST else due >= 3 and absent >= 2
    if enough and known < PARTIAL * due and not closed:
        # As many may be absent as ever were on such a day.
        worst = max(int((usual >= 0.75).sum() - came[:, one][usual >= 0.75].sum()) for one in before)
        if absent > 2 * worst:
            return fault("PARTIAL_FEED", known / due)
    both = np.isfinite(units) & (units > 0) & np.isfinite(mean) & (mean >= 20) & ~scene.closed[rows, day]
    if not both.any():
        return None
    size = np.log(units[both] / mean[both])
    middle = float(np.median(size))
    if not NOTHING[0] <= middle <= NOTHING[1]:
        # A promotion or a holiday may double what is sold; not where a forecast knew of it, and never a hundredfold.
        unsure = scene.special[rows, day].mean() > 0.5 and expected.frozen[rows, day].mean() <= 0.5
        spread = _spread(scene, expected, rows[both], day)
        grain = _Grain(scene.units[rows, max(0, day - BEFORE) : day])
        few = both.sum() < FEWEST
        if (_few_doubled if few else _doubled)(units[both], size, spread, grain, unsure):
            return fault("DOUBLED_FEED", float(np.exp(middle)))
        if (_few_rescaled if few else _rescaled)(units[both], size, spread, grain):
            return fault("RESCALED_FEED", float(np.exp(middle)))
    return None


def _few_doubled(units: np.ndarray, size: np.ndarray, spread: np.ndarray, grain: _Grain, unsure: bool) -> bool:
    """Whether three or four series were added twice: each is even, and close to twice what was expected. Of fewer
    nobody can tell it from a good day."""
    if unsure or len(units) < 3:
        return False
    off = np.abs(size - np.log(2))
    if grain.whole:
        return bool(grain.times(units, 2).all() and (off <= np.maximum(0.15, spread)).all())
    return bool((off <= np.maximum(0.05, 1.5 * spread)).all())


def _few_rescaled(units: np.ndarray, size: np.ndarray, spread: np.ndarray, grain: _Grain) -> bool:
    """Whether one to four series are of another unit: parts of pieces, a hundred times as much in each of them, or, of
    three, tens as no three sell by chance."""
    power = int(np.clip(np.round(float(np.median(size)) / np.log(10)), -3, 3))
    off = np.abs(size - power * np.log(10))
    if power == 0 or not (off <= np.maximum(0.25, NEAR * spread)).all():
        return False
    if power > 1:
        return True
    if grain.whole and power < 0 and (~grain.times(units, 1)).any():
        return True
    return bool(len(units) >= 3 and ((grain.whole and power > 0 and grain.times(units, 10).all()) or power < -1))


def _doubled(units: np.ndarray, size: np.ndarray, spread: np.ndarray, grain: _Grain, unsure: bool) -> bool:
    """Whether these were added twice. Counts that were are all even, whatever a holiday or the weather did to them
    besides; a day that sold twice as much is not. ``size``: logarithm of what came over what was expected."""
    off = np.abs(size - np.log(2))
    close = off <= np.maximum(0.1, NEAR * spread)
    if grain.whole:
        even = grain.times(units, 2)
        if len(units) >= MANY and even.all() and abs(float(np.median(size)) - np.log(2)) <= np.log(2) / 2:
            return True
        # One load of several: most are doubled, and these are even.
        if close.sum() >= MANY:
            return bool(close.mean() >= SHARE and even[close].mean() >= SURE)
        return bool(not unsure and close.mean() >= NEARLY and even.mean() >= 0.9)
    tight = (off <= np.maximum(0.05, 1.5 * spread)).mean() >= SHARE
    return bool(not unsure and abs(float(np.median(size)) - np.log(2)) <= 0.08 and tight)


def _rescaled(units: np.ndarray, size: np.ndarray, spread: np.ndarray, grain: _Grain) -> bool:
    """Whether these are of another unit: ten, a hundred or a thousand times as much, or as little."""
    middle = float(np.median(size))
    power = int(np.clip(np.round(middle / np.log(10)), -3, 3))
    if power == 0:
        return False
    # Hundredths of pieces are not sold, nor tens by all shops on one day.
    if grain.whole and (grain.times(units, 10).all() if power > 0 else (~grain.times(units, 1)).mean() >= 0.5):
        return True
    # Thirty times as much in all shops at once is no demand; less of all may be.
    together = (np.abs(size - middle) <= np.maximum(0.25, NEAR * spread)).mean() >= SHARE
    return bool(power > 1 and together) or _at(size, spread, power)


def _at(size: np.ndarray, spread: np.ndarray, power: int) -> bool:
    """Whether these lie around a power of ten as closely as they usually do around what is expected."""
    off = np.abs(size - power * np.log(10))
    return bool(
        abs(float(np.median(size)) - power * np.log(10)) <= 0.25
        and (off <= np.maximum(0.05, 1.5 * spread)).mean() >= SHARE
    )


class _Grain:
    """What units come in: pieces, tenths, cents; ``whole`` where there is such a thing, and it is no pack of many."""

    def __init__(self, before: np.ndarray) -> None:
        known = before[np.isfinite(before) & (before > 0)]
        self.each = 0.0
        for power in range(3, -5, -1):
            grain = 10.0**power
            if len(known) >= MANY and self._whole(known / grain).all():
                self.each = grain
                break
        self.whole = self.each > 0 and bool(self.times(known, 2).mean() <= PACKS)

    def times(self, units: np.ndarray, number: int) -> np.ndarray:
        """bool: which of the units are multiples of so many."""
        return self._whole(units / self.each / number)

    @staticmethod
    def _whole(count: np.ndarray) -> np.ndarray:
        return np.abs(count - np.round(count)) <= 1e-6 * np.maximum(np.abs(count), 1)


def _spread(scene: Scene, expected: Expectation, rows: np.ndarray, day: int) -> np.ndarray:
    """How far these series usually are from what was expected, in logarithms, in the eight weeks before."""
    window = slice(max(0, day - BEFORE), day)
    rest = np.abs(np.log1p(scene.units[rows, window]) - expected.log[rows, window])
    rest = np.where(np.isfinite(rest), rest, np.nan)
    known = np.isfinite(rest).sum(axis=1) >= 8
    return 1.4826 * median(np.where(known[:, None], rest, 0.1), 1)


def _together(found: list[Fault]) -> Fault:
    one = found[0]
    return Fault(
        day=one.day,
        region="",
        kind=one.kind,
        rows=np.concatenate([fault.rows for fault in found]),
        actual=sum(fault.actual for fault in found),
        expected=sum(fault.expected for fault in found),
        ratio=float(np.mean([fault.ratio for fault in found])),
        known=sum(fault.known for fault in found),
        due=sum(fault.due for fault in found),
    )

"""Level shifts: small deviations to one side that add up (Page 1954)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

BLOCK = 2_000  # series at once
SLACK, ALARM, WINSOR = 1.1, 2.6, 3.0
FORGET = 14  # days after which a sum of which nothing new is known begins anew
NODE_SLACK, NODE_ALARM = 0.75, 10.0  # of what many have in common: it drifts for weeks, and costs more


class Alarms(NamedTuple):
    """(S, T) each: -1, 0 or 1 where a sum passed its limit, and the day on which that sum had begun."""

    alarm: np.ndarray
    start: np.ndarray

    def at(self, row: int, day: int) -> tuple[int, int]:
        """The alarm of a day and since when; the day itself without one."""
        alarm = int(self.alarm[row, day])
        return alarm, int(self.start[row, day]) if alarm else day


def cusum(z: np.ndarray, skip: np.ndarray, slack: float = SLACK, limit: float = ALARM) -> Alarms:
    """(alarm, start) of shape (S, T): -1, 0 or 1 where the sum of winsorised z passed its limit, and the day on which
    that sum had begun. Days of ``skip`` and unknown ones are passed over, unless there are too many of them; an alarm
    starts anew (Page 1954)."""
    alarm = np.zeros(z.shape, np.int8)
    start = np.zeros(z.shape, int)
    for begin in range(0, len(z), BLOCK):
        rows = slice(begin, begin + BLOCK)
        _sums(z[rows], skip[rows], slack, limit, alarm[rows], start[rows])
    return Alarms(alarm, start)


def _sums(z: np.ndarray, skip: np.ndarray, slack: float, limit: float, alarm: np.ndarray, start: np.ndarray) -> None:
    """Write the alarms of some series."""
    known = np.ascontiguousarray((np.isfinite(z) & ~skip).T)  # the days one after the other, as they are gone through
    held = np.clip(np.where(known, z.T, 0.0), -WINSOR, WINSOR)
    for sign in (1, -1):
        total, since, heard = np.zeros(len(z)), np.full(len(z), -1), np.zeros(len(z), int)
        for day, (mine, value) in enumerate(zip(known, held, strict=True)):
            total[mine & (day - heard > FORGET)] = 0.0
            heard[mine] = day
            since[mine & (total <= 0)] = day
            total = np.where(mine, np.maximum(0.0, total + sign * value - slack), total)
            rang = (mine & (total > limit)).nonzero()[0]
            alarm[rang, day] = sign
            start[rang, day] = since[rang]
            total[rang] = 0.0


def further(z: np.ndarray) -> float:
    """By how much sums of neighbouring days go further than those of independent ones: sqrt((1 + r) / (1 - r)) with r
    the correlation of a day with the one before, over all series."""
    number, together, alone = 0, 0.0, 0.0
    for start in range(0, len(z), BLOCK):
        held = np.clip(z[start : start + BLOCK], -WINSOR, WINSOR)
        known = np.isfinite(held)
        both = known[:, 1:] & known[:, :-1]
        now, before = held[:, 1:][both], held[:, :-1][both]
        number, together, alone = number + len(now), together + float(now @ before), alone + float(before @ before)
    if number < 500:
        return 1.0
    r = float(np.clip(together / max(alone, 1e-9 * number), 0.0, 0.5))
    return float(np.sqrt((1 + r) / (1 - r)))

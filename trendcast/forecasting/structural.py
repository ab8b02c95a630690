"""Prophet's additive model for all series at once: trend, weekly and yearly waves, holidays, regressors.

The model and its priors are those of Prophet 1.5 (its ``prophet.stan`` and ``forecaster.py``; Taylor and Letham 2018):

    z(t) = k t + m + sum_j delta_j (t - c_j)+ + X beta + eps,   eps ~ Normal(0, sigma)
    k, m ~ Normal(0, 5);  delta ~ Laplace(0, tau);  beta ~ Normal(0, v);  sigma ~ HalfNormal(0.5)

with t in [0, 1] over the series' own observed days, changepoints on the first 80 % of its own observed rows and
z = y / max|y|. In mode ``log`` z is the centred log1p of y, so that every part acts as a factor.

Prophet searches the maximum of the posterior by L-BFGS, one series per process. For a given sigma that problem is a
lasso in the slopes delta and a ridge in all else, so it is solved exactly here: missing days enter as a mask when
the normal equations of all series are built, the ridge part is eliminated (one small linear system per series), the
remaining 25 slopes are found by an active-set method (feature-sign search, Lee et al. 2006), and sigma, whose
maximum is in closed form, moves to its fixed point by a secant step. Everything is float64 and runs in chunks of
series on two threads.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from threading import Lock
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from threadpoolctl import threadpool_limits

Array = NDArray[np.float64]

LAYOUT_VERSION = 1
TREND_PRIOR = 5.0  # k, m ~ Normal(0, 5)
SIGMA_PRIOR = 0.5  # sigma ~ HalfNormal(0.5)
LEAST_VARIANCE = 1e-10  # of the scaled series: a noiseless series has no finite maximum
CHUNK = 128  # series per task
BLOCK_BYTES = 16_000_000  # of design columns at a time
_FIXED = ("offset", "scale", "sigma", "start", "span", "last", "smear", "level", "level_decay", "damping")
_PER_SERIES = (
    *_FIXED, "group", "own", "theta", "changepoints", "own_mean", "own_deviation", "first", "observed", "log_posterior",
)  # fmt: skip


@dataclass(frozen=True)
class StructuralSettings:
    """The model's knobs; the defaults are Prophet's own.

    ``yearly_prior``, ``weekly_prior`` and ``monthly_prior`` default to ``seasonality_prior``; ``yearly_decay`` makes
    the prior scale of the yearly wave of order i ``yearly_prior / i ** yearly_decay`` (0: all alike). The monthly wave
    (paydays, turn of the month; Prophet has none) runs from the first to the last day of each month. A series spanning
    fewer days than ``yearly_min_days`` or ``weekly_min_days`` has no such wave (Prophet's "auto"), one with fewer
    observed days than ``min_observations`` is flat at its mean. ``damping`` (per day) shrinks the slope beyond the last
    observed day.
    ``log_scale`` is what one unit of the scaled series is worth in mode ``log``; ``tolerance`` is how far the logarithm
    of the noise variance may still move.
    """

    mode: Literal["additive", "log"] = "additive"
    yearly_order: int = 10
    weekly_order: int = 3
    monthly_order: int = 0
    changepoints: int = 25
    changepoint_range: float = 0.8
    changepoint_prior: float = 0.05
    seasonality_prior: float = 10.0
    yearly_prior: float | None = None
    weekly_prior: float | None = None
    monthly_prior: float | None = None
    yearly_decay: float = 0.0
    holiday_prior: float = 10.0
    regressor_prior: float = 10.0
    standardize: bool = True
    yearly_min_days: int = 730
    weekly_min_days: int = 14
    min_observations: int = 3
    damping: float = 1.0
    log_scale: float = 1.0
    tolerance: float = 1e-6

    def but(self, **changes: Any) -> StructuralSettings:
        """The same settings with some changed."""
        return replace(self, **changes)


def fourier(dates: NDArray[np.datetime64], period: float, order: int) -> Array:
    """Sines and cosines of each day: (days, 2 order), phases counted from 1970-01-01 as Prophet does."""
    return _harmonics(dates.astype("datetime64[D]").astype(float) / period, order)


def _harmonics(phase: Array, order: int) -> Array:
    angle = np.outer(phase, np.arange(1, order + 1)) * (2 * np.pi)
    return np.stack([np.sin(angle), np.cos(angle)], -1).reshape(len(phase), 2 * order)


def month_phase(dates: NDArray[np.datetime64]) -> Array:
    """How much of its month is over at each day, [0, 1)."""
    dates = dates.astype("datetime64[D]")
    month = dates.astype("datetime64[M]")
    length = ((month + 1).astype("datetime64[D]") - month.astype("datetime64[D]")).astype(float)
    return (dates - month.astype("datetime64[D]")).astype(float) / length


def fit(
    y: ArrayLike,
    dates: NDArray[np.datetime64],
    *,
    group: NDArray[np.integer] | None = None,
    group_regressors: ArrayLike | None = None,
    own_regressors: ArrayLike | None = None,
    group_names: Sequence[str] | None = None,
    own_names: Sequence[str] | None = None,
    weights: ArrayLike | None = None,
    prior_mean: ArrayLike | None = None,
    settings: StructuralSettings | None = None,
    threads: int = 2,
) -> StructuralFit:
    """The maximum of the posterior of every series.

    y (S, T): units, NaN = missing. dates (T + A,): consecutive or not, the T of the history first; the rest is only
    for prediction. group (S,): row of group_regressors (G, T + A, E), the 0/1 columns a region shares (holidays).
    own_regressors (S, T + A, K): standardised over the observed days unless they are 0/1 or constant. weights (S, T):
    how much an observed day counts (1 by default; 0 leaves it out). prior_mean (S, P), in the order of ``columns``:
    what the priors are centred on (0 by default); a column a series is too short for keeps it, as a flat series does.

    Raises ValueError when shapes disagree or a regressor is not finite.
    """
    settings = settings or StructuralSettings()
    units = np.array(y, dtype=np.float64, ndmin=2)
    series, history = units.shape
    dates = np.asarray(dates, dtype="datetime64[D]")
    shared = np.zeros((1, len(dates), 0)) if group_regressors is None else np.asarray(group_regressors, np.float64)
    own = np.zeros((series, len(dates), 0)) if own_regressors is None else np.asarray(own_regressors)
    place = np.zeros(series, np.intp) if group is None else np.asarray(group, np.intp)
    if shared.shape[1] != len(dates) or own.shape[:2] != (series, len(dates)) or len(dates) < history:
        raise ValueError("Regressors must cover every date of every series.")
    if len(place) != series or (series and (place.min() < 0 or place.max() >= len(shared))):
        raise ValueError("Every series needs a row of the group regressors.")
    if not np.isfinite(shared[:, :history]).all() or not np.isfinite(own[:, :history]).all():
        raise ValueError("Regressors must be finite over the history.")
    if np.isinf(units).any():
        raise ValueError("Units must be finite, or NaN where missing.")
    given = None if weights is None else np.asarray(weights, np.float64)
    center = None if prior_mean is None else np.asarray(prior_mean, np.float64)

    names = _Names(
        tuple(group_names or (f"group {i + 1}" for i in range(shared.shape[2]))),
        tuple(own_names or (f"own {i + 1}" for i in range(own.shape[2]))),
    )
    result = StructuralFit.empty(series, settings, names, dates, history, place, shared, own)
    waves = _waves(dates[:history], settings)
    designs = [np.concatenate([waves, shared[g, :history]], 1).T.copy() for g in range(len(shared))]

    def work(task: tuple[int, NDArray[np.intp]]) -> None:
        g, rows = task
        weight = np.isfinite(units[rows]).astype(np.float64)
        if given is not None:
            weight *= given[rows]
        mean = np.zeros((len(rows), result.width)) if center is None else center[rows]
        _fit_rows(result, rows, units[rows], weight, designs[g], mean)

    order = [np.flatnonzero(place == g) for g in range(len(shared))]
    tasks = [(g, rows[i : i + CHUNK]) for g, rows in enumerate(order) for i in range(0, len(rows), CHUNK)]
    # Two threads of ours over small systems beat threads inside each of them.
    with small_systems(), ThreadPoolExecutor(max(1, threads)) as pool:
        list(pool.map(work, tasks))
    return result


_limit_lock = Lock()
_limit_users = 0
_limit: threadpool_limits | None = None


@contextmanager
def small_systems() -> Iterator[None]:
    """One BLAS thread per thread of ours. The limit is the process's: the last of several fits at once lifts it."""
    global _limit, _limit_users
    with _limit_lock:
        if _limit_users == 0:
            _limit = threadpool_limits(1, "blas")
        _limit_users += 1
    try:
        yield
    finally:
        with _limit_lock:
            _limit_users -= 1
            if _limit_users == 0 and _limit is not None:
                _limit.restore_original_limits()


def _waves(dates: NDArray[np.datetime64], settings: StructuralSettings) -> Array:
    waves = [fourier(dates, 365.25, settings.yearly_order), fourier(dates, 7, settings.weekly_order)]
    return np.concatenate([*waves, _harmonics(month_phase(dates), settings.monthly_order)], 1)


@dataclass(frozen=True)
class _Names:
    group: tuple[str, ...]
    own: tuple[str, ...]


# --- one chunk of series: scale, normal equations, solve ---------------------------------------------------------


def _fit_rows(
    out: StructuralFit,
    rows: NDArray[np.intp],
    units: Array,
    weight: Array,
    shared: Array,
    center: Array,
) -> None:
    settings, days = out.settings, out.day[: units.shape[1]]
    observed = weight > 0
    units = np.where(observed, units, 0.0)
    count = observed.sum(1)
    some = count > 0
    first = np.where(some, observed.argmax(1), 0)
    last = np.where(some, units.shape[1] - 1 - observed[:, ::-1].argmax(1), 0)
    start = days[first]
    span = np.maximum(days[last] - start, 1.0)

    if settings.mode == "log":
        z = np.where(observed, np.log1p(np.maximum(units, 0)), 0.0)
        offset = (z * weight).sum(1) / np.maximum(weight.sum(1), 1e-300)
        scale = np.full(len(rows), settings.log_scale)
    else:
        z = units
        offset = np.zeros(len(rows))
        scale = np.abs(units).max(1)
        scale[scale == 0] = 1.0
    z = np.where(observed, (z - offset[:, None]) / scale[:, None], 0.0)

    changepoints = _changepoints(observed, days, settings)
    changepoints = (changepoints - start[:, None]) / span[:, None]
    mean, deviation = _standards(out.own[rows, : len(days)], observed, settings)
    out.first[rows], out.observed[rows] = first, count
    out.offset[rows], out.scale[rows], out.start[rows], out.span[rows] = offset, scale, start, span
    out.last[rows], out.changepoints[rows] = days[last], changepoints
    out.own_mean[rows], out.own_deviation[rows] = mean, deviation

    low = np.where(observed, z, np.inf).min(1)
    constant = (count < max(settings.min_observations, 2)) | (np.where(observed, z, -np.inf).max(1) <= low)
    average = (z * weight).sum(1) / np.maximum(weight.sum(1), 1e-300)

    gram = np.empty((len(rows), out.width, out.width))
    moment = np.empty((len(rows), out.width))
    energy = (weight * z * z).sum(1)
    root = np.sqrt(weight)
    # A few series at a time in one buffer: their columns stay in the cache between being made and being multiplied.
    step = int(np.clip(BLOCK_BYTES // (8 * out.width * len(days)), 1, len(rows)))
    buffer = np.empty((step, out.width, len(days)))
    for i in range(0, len(rows), step):
        part = slice(i, min(i + step, len(rows)))
        columns = out.design(rows[part], shared, root[part], buffer)
        gram[part] = columns @ columns.transpose(0, 2, 1)
        moment[part] = (columns @ (root[part] * z[part])[:, :, None])[..., 0]

    # Around the centre of the priors, the same problem has priors around zero.
    moved = (gram @ center[:, :, None])[..., 0]
    energy = energy - 2 * (center * moment).sum(1) + (center * moved).sum(1)
    moment = moment - moved

    prior = out.prior_scales(rows)
    live = np.flatnonzero(~constant)
    theta = np.zeros((len(rows), out.width))
    # A flat series is its mean, after what it takes over from the centre (nothing, if it never sold).
    sold = (np.abs(units).max(1) > 0) & some
    total = np.maximum(weight.sum(1), 1e-300)
    theta[:, 1] = np.where(sold, moment[:, 1] / total, average)
    variance = np.full(len(rows), LEAST_VARIANCE)
    if len(live):
        theta[live], variance[live] = _solve(
            gram[live], moment[live], energy[live], weight[live].sum(1), prior[live], settings
        )
    out.theta[rows], out.sigma[rows] = theta, np.sqrt(variance)
    out.theta[rows] += np.where((sold | ~constant)[:, None], center, 0.0)
    error = energy - 2 * (theta * moment).sum(1) + np.einsum("sp,spq,sq->s", theta, gram, theta)
    out.log_posterior[rows] = _log_posterior(theta, variance, error, weight.sum(1), prior, settings.changepoints)


def _changepoints(observed: NDArray[np.bool_], days: Array, settings: StructuralSettings) -> Array:
    """Days of the changepoints (rows, C): evenly over the first part of a series' own observed rows; where it has too
    few rows, the surplus lies in the far future and never acts."""
    wanted = settings.changepoints
    result = np.full((len(observed), wanted), np.inf)
    if not wanted:
        return result
    rank = np.cumsum(observed, 1)
    for row in range(len(observed)):
        reach = int(np.floor(rank[row, -1] * settings.changepoint_range))
        number = min(wanted, reach - 1)
        if number > 0:
            at = np.linspace(0, reach - 1, number + 1).round().astype(int)[1:]
            result[row, :number] = days[np.searchsorted(rank[row], at + 1)]
    return result


def _standards(own: NDArray[Any], observed: NDArray[np.bool_], settings: StructuralSettings) -> tuple[Array, Array]:
    """Mean and standard deviation (rows, K) by which own regressors are standardised: 0 and 1 for 0/1 and constants."""
    rows, _, number = own.shape
    mean, deviation = np.zeros((rows, number)), np.ones((rows, number))
    if not settings.standardize:
        return mean, deviation
    count = np.maximum(observed.sum(1), 1)
    for k in range(number):
        x = own[:, :, k].astype(np.float64)
        binary = (~observed | (x == 0) | (x == 1)).all(1)
        if binary.all():
            continue
        center = (x * observed).sum(1) / count
        spread = np.sqrt((np.where(observed, x - center[:, None], 0.0) ** 2).sum(1) / np.maximum(count - 1, 1))
        use = ~binary & (spread > 1e-12 * np.maximum(np.abs(center), 1))
        mean[use, k], deviation[use, k] = center[use], spread[use]
    return mean, deviation


def _solve(
    gram: Array, moment: Array, energy: Array, count: Array, prior: Array, settings: StructuralSettings
) -> tuple[Array, Array]:
    """Coefficients (S, P) and noise variance (S,) at the maximum of the posterior.

    gram (S, P, P), moment (S, P), energy (S,): the weighted Z'Z, Z'z and z'z of columns [t, 1, hinges, the rest].
    prior (S, P): prior scales (tau for the hinges; 0 switches a column off).
    """
    series, width = moment.shape
    changepoints = settings.changepoints
    a, b = np.arange(2, 2 + changepoints), np.r_[0:2, 2 + changepoints : width]
    # In units of the prior scale, the ridge is the identity and the lasso's penalty is 1.
    g_bb = gram[:, b[:, None], b] * prior[:, b, None] * prior[:, None, b]
    g_ba = gram[:, b[:, None], a] * prior[:, b, None] * prior[:, None, a]
    g_aa = gram[:, a[:, None], a] * prior[:, a, None] * prior[:, None, a]
    m_b, m_a = moment[:, b] * prior[:, b], moment[:, a] * prior[:, a]
    identity = np.arange(len(b))

    theta = np.zeros((series, width))
    variance = np.empty(series)
    alive = np.arange(series)
    trial = np.log(np.maximum(0.1 * energy / count, LEAST_VARIANCE))
    before: Array | None = None
    after: Array | None = None
    slopes = np.zeros((series, changepoints))
    for _ in range(30):
        inverse = np.exp(-trial)
        system = g_bb * inverse[:, None, None]
        system[:, identity, identity] += 1.0
        right = np.concatenate([g_ba, m_b[:, :, None]], 2) * inverse[:, None, None]
        solved = np.linalg.solve(system, right)
        if changepoints:
            coupling = g_ba.transpose(0, 2, 1) * inverse[:, None, None]
            reduced = g_aa * inverse[:, None, None] - coupling @ solved[:, :, :-1]
            target = m_a * inverse[:, None] - (coupling @ solved[:, :, -1:])[..., 0]
            slopes = lasso(reduced, target, slopes)
        beta = solved[:, :, -1] - (solved[:, :, :-1] @ slopes[:, :, None])[..., 0]
        theta[np.ix_(alive, a)] = slopes * prior[:, a]
        theta[np.ix_(alive, b)] = beta * prior[:, b]
        now = theta[alive]
        error = energy - 2 * (now * moment).sum(1) + ((gram @ now[:, :, None])[..., 0] * now).sum(1)
        error = np.maximum(error, 0.0)
        # The maximum in sigma of -n log(sigma) - SSE / (2 sigma^2) - 2 sigma^2, written without cancellation.
        answer = np.log(np.maximum(2 * error / (count + np.sqrt(count**2 + 16 * error)), LEAST_VARIANCE))
        variance[alive] = np.exp(answer)
        step = answer
        if before is not None and after is not None:
            change = trial - before
            slope = np.clip(np.divide(answer - after, change, out=np.zeros_like(change), where=change != 0), -0.5, 0.9)
            step = (answer - slope * trial) / (1 - slope)
        go = np.abs(answer - trial) > settings.tolerance
        if not go.any():
            break
        before, after, trial = trial[go], answer[go], step[go]
        if not go.all():
            alive, slopes, energy, count, prior = alive[go], slopes[go], energy[go], count[go], prior[go]
            gram, moment = gram[go], moment[go]
            g_bb, g_ba, g_aa, m_b, m_a = g_bb[go], g_ba[go], g_aa[go], m_b[go], m_a[go]
    return theta, variance


def lasso(matrix: Array, target: Array, guess: Array, tolerance: float = 1e-8) -> Array:
    """argmin x'Ax/2 - b'x + |x|_1 for many small systems: matrix (S, m, m), target (S, m), guess (S, m).

    Feature-sign search (Lee, Battle, Raina, Ng 2006): the active coefficients are solved for exactly with their signs
    held, the step is cut at the best sign change, and one coefficient joins when the active ones are at their optimum.
    The objective falls with each step, so it ends; a cap on the steps guards against rounding alone.
    """
    result = guess.copy()
    width = guess.shape[1]
    if not guess.any():
        result = _reweighted(matrix, target)
    diagonal = np.arange(width)
    alive = np.arange(len(guess))
    x = result.copy()
    for _ in range(20 * width):
        gradient = (matrix @ x[:, :, None])[..., 0] - target
        sign = np.sign(x)
        active = sign != 0
        # Rounding in the gradient grows with the numbers summed, so the tolerance does too.
        large = np.abs(matrix[:, diagonal, diagonal] * x).max(1)
        slack = tolerance * (1 + np.abs(target).max(1)) + 1e-12 * large
        settled = np.where(active, np.abs(gradient + sign), 0.0).max(1) <= slack
        excess = np.where(active, 0.0, np.abs(gradient) - 1)
        joins = excess.argmax(1)
        most = excess[np.arange(len(x)), joins]
        join = settled & (most > slack)
        done = settled & ~join
        result[alive] = x
        if done.any():
            keep = ~done
            alive, x, matrix, target = alive[keep], x[keep], matrix[keep], target[keep]
            gradient, sign, active, joins, join = gradient[keep], sign[keep], active[keep], joins[keep], join[keep]
        if not len(alive):
            break
        who = np.flatnonzero(join)
        sign[who, joins[who]] = -np.sign(gradient[who, joins[who]])
        active[who, joins[who]] = True

        system = matrix * (active[:, :, None] & active[:, None, :])
        system[:, diagonal, diagonal] = np.where(active, matrix[:, diagonal, diagonal] * (1 + 1e-13), 1.0)
        best = np.linalg.solve(system, np.where(active, target - sign, 0.0)[..., None])[..., 0]
        x = _cut(x, best, sign, gradient, matrix)
    else:
        result[alive] = x
    return result


def _cut(x: Array, best: Array, sign: Array, gradient: Array, matrix: Array) -> Array:
    """The lowest point on the way from x to best, looked for where a coefficient changes sign, and at the end."""
    direction = best - x
    crosses = (best * sign < 0) & (x != 0)
    if not crosses.any():
        return best
    rows = np.flatnonzero(crosses.any(1))
    out = best.copy()
    x, direction, crosses = x[rows], direction[rows], crosses[rows]
    at = np.where(crosses, np.divide(-x, direction, out=np.ones_like(x), where=crosses), 1.0)
    steps = np.concatenate([at, np.ones((len(x), 1))], 1)
    linear = (gradient[rows] * direction).sum(1)[:, None]
    curve = ((matrix[rows] @ direction[:, :, None])[..., 0] * direction).sum(1)[:, None]
    length = np.abs(x[:, None, :] + steps[:, :, None] * direction[:, None, :]).sum(2)
    value = steps * linear + 0.5 * steps**2 * curve + length
    pick = value.argmin(1)
    step = steps[np.arange(len(x)), pick][:, None]
    moved = x + step * direction
    moved[crosses & (at == step)] = 0.0  # exactly zero, or it would never leave the active set
    out[rows] = moved
    return out


def _reweighted(matrix: Array, target: Array, rounds: int = 6) -> Array:
    """A start for the search: a few ridge steps with |x| read as x^2 / |x of the last step|, small ones dropped."""
    diagonal = np.arange(matrix.shape[1])
    x: Array = np.ones_like(target)
    for _ in range(rounds):
        system = matrix.copy()
        system[:, diagonal, diagonal] += 1 / np.maximum(np.abs(x), 1e-4)
        x = np.asarray(np.linalg.solve(system, target[..., None])[..., 0], np.float64)
    return np.where(np.abs(x) > 0.02 * np.abs(x).max(1, keepdims=True), x, 0.0)


def _log_posterior(theta: Array, variance: Array, error: Array, count: Array, prior: Array, changepoints: int) -> Array:
    """Stan's ``lp__``: without the constants, sigma on its own scale (no Jacobian)."""
    hinges = slice(2, 2 + changepoints)
    scaled = np.divide(theta, prior, out=np.zeros_like(theta), where=prior > 0)
    penalty = np.abs(scaled[:, hinges]).sum(1) + 0.5 * (scaled**2).sum(1) - 0.5 * (scaled[:, hinges] ** 2).sum(1)
    noise = -0.5 * count * np.log(variance) - 0.5 * error / variance - 0.5 * variance / SIGMA_PRIOR**2
    return noise - penalty


# --- the fitted model --------------------------------------------------------------------------------------------


@dataclass
class StructuralFit:
    """What was fitted: one row per series. Coefficients are in scaled units, dates are days since 1970-01-01.

    ``smear``, ``level`` and ``level_decay`` are corrections a member may add after the fit: a factor on the
    prediction in mode ``log``; a shift of the scaled series beyond the last observed day, shrinking per day.
    """

    settings: StructuralSettings
    names: _Names
    dates: NDArray[np.datetime64]
    history: int
    group: NDArray[np.intp]
    shared: Array  # (G, days, E)
    own: NDArray[Any]  # (S, days, K)
    theta: Array
    changepoints: Array  # (S, C) in scaled time
    own_mean: Array
    own_deviation: Array
    offset: Array
    scale: Array
    sigma: Array
    start: Array
    span: Array
    last: Array
    smear: Array
    level: Array
    level_decay: Array
    damping: Array
    first: NDArray[np.intp]
    observed: NDArray[np.intp]
    log_posterior: Array
    day: Array = field(init=False)
    columns: dict[str, tuple[int, int]] = field(init=False)

    def __post_init__(self) -> None:
        self.day = self.dates.astype("datetime64[D]").astype(np.float64)
        self.columns = _columns(self.settings, len(self.names.group), len(self.names.own))

    @classmethod
    def empty(
        cls,
        series: int,
        settings: StructuralSettings,
        names: _Names,
        dates: NDArray[np.datetime64],
        history: int,
        group: NDArray[np.intp],
        shared: Array,
        own: NDArray[Any],
    ) -> StructuralFit:
        width = _columns(settings, len(names.group), len(names.own))["own"][1]

        def zeros(*shape: int) -> Array:
            return np.zeros((series, *shape))

        return cls(
            settings, names, dates, history, group, shared, own,
            theta=zeros(width), changepoints=zeros(settings.changepoints), own_mean=zeros(len(names.own)),
            own_deviation=zeros(len(names.own)) + 1, offset=zeros(), scale=zeros() + 1, sigma=zeros(), start=zeros(),
            span=zeros() + 1, last=zeros(), smear=zeros() + 1, level=zeros(), level_decay=zeros(),
            damping=zeros() + settings.damping, first=np.zeros(series, np.intp), observed=np.zeros(series, np.intp),
            log_posterior=zeros(),
        )  # fmt: skip

    @classmethod
    def join(cls, parts: Sequence[tuple[NDArray[np.integer], StructuralFit]]) -> StructuralFit:
        """One fit of several that share dates, columns and group regressors: (rows in the result, fit) each."""
        one = parts[0][1]
        total = sum(len(rows) for rows, _ in parts)
        own = np.empty((total, *one.own.shape[1:]), one.own.dtype)
        names, group = one.names, np.zeros(total, np.intp)
        result = cls.empty(total, one.settings, names, one.dates, one.history, group, one.shared, own)
        for rows, part in parts:
            for name in _PER_SERIES:
                getattr(result, name)[rows] = getattr(part, name)
        return result

    @property
    def n_series(self) -> int:
        return len(self.theta)

    @property
    def width(self) -> int:
        """Coefficients per series."""
        return self.columns["own"][1]

    @property
    def layout(self) -> dict[str, Any]:
        """What the bytes of one series mean; JSON."""
        return {
            "version": LAYOUT_VERSION,
            "settings": asdict(self.settings),
            "group": list(self.names.group),
            "own": list(self.names.own),
        }

    def prior_scales(self, rows: NDArray[np.intp]) -> Array:
        """(rows, P): 0 where a series has no such column (too short for it)."""
        s, n = self.settings, len(rows)
        yearly = s.seasonality_prior if s.yearly_prior is None else s.yearly_prior
        weekly = s.seasonality_prior if s.weekly_prior is None else s.weekly_prior
        scale = np.concatenate([
            np.full(2, TREND_PRIOR),
            np.full(s.changepoints, s.changepoint_prior),
            yearly / np.repeat(np.arange(1, s.yearly_order + 1), 2) ** s.yearly_decay,
            np.full(2 * s.weekly_order, weekly),
            np.full(2 * s.monthly_order, s.seasonality_prior if s.monthly_prior is None else s.monthly_prior),
            np.full(len(self.names.group), s.holiday_prior),
            np.full(len(self.names.own), s.regressor_prior),
        ])  # fmt: skip
        result = np.tile(scale, (n, 1))
        length = self.last[rows] - self.start[rows]
        result[length < s.yearly_min_days, slice(*self.columns["yearly"])] = 0
        result[length < s.weekly_min_days, slice(*self.columns["weekly"])] = 0
        result[:, slice(*self.columns["hinges"])][~np.isfinite(self.changepoints[rows])] = 0
        return result

    # -- parts of the linear predictor, in scaled units

    def time(self, rows: NDArray[np.intp], start: int, stop: int) -> Array:
        """Scaled time (rows, days); beyond the last observed day it slows down by ``damping``."""
        day = self.day[None, start:stop]
        beyond = np.maximum(day - self.last[rows, None], 0.0)
        damping = self.damping[rows, None]
        with np.errstate(divide="ignore", invalid="ignore"):
            walked = np.where(damping < 1, damping * (1 - damping**beyond) / (1 - damping), beyond)
        return (np.minimum(day, self.last[rows, None]) + walked - self.start[rows, None]) / self.span[rows, None]

    def design(self, rows: NDArray[np.intp], shared: Array, root: Array, buffer: Array) -> Array:
        """All columns over the history, each day times the root of its weight: (rows, P, days), in ``buffer``.

        shared (columns, days): the waves and group regressors. root (rows, days).
        """
        result, days = buffer[: len(rows)], buffer.shape[2]
        trend, own = 2 + self.settings.changepoints, slice(*self.columns["own"])
        result[:, 0] = self.time(rows, 0, days)
        result[:, 1] = 1.0
        np.subtract(result[:, :1], self.changepoints[rows, :, None], out=result[:, 2:trend])
        np.maximum(result[:, 2:trend], 0.0, out=result[:, 2:trend])
        result[:, slice(*self.columns["shared"])] = shared
        if self.names.own:
            x = self.own[rows, :days].transpose(0, 2, 1)
            result[:, own] = (x - self.own_mean[rows, :, None]) / self.own_deviation[rows, :, None]
        result *= root[:, None, :]
        return result

    def _trend(self, rows: NDArray[np.intp], start: int, stop: int) -> Array:
        time = self.time(rows, start, stop)
        theta = self.theta[rows]
        trend = np.asarray(theta[:, :1] * time + theta[:, 1:2])
        for j in range(self.settings.changepoints):
            slope = theta[:, 2 + j]
            if slope.any():
                trend += slope[:, None] * np.maximum(time - self.changepoints[rows, j, None], 0.0)
        if self.level.any():
            beyond = self.day[None, start:stop] - self.last[rows, None]
            shift = self.level[rows, None] * self.level_decay[rows, None] ** np.maximum(beyond - 1, 0)
            trend += np.where(beyond > 0, shift, 0.0)
        return trend

    def _parts(self, rows: NDArray[np.intp], start: int, stop: int) -> dict[str, Array]:
        """Trend, weekly, yearly, monthly (if any), holidays and each own regressor (rows, days), in scaled units."""
        s, theta = self.settings, self.theta[rows]
        yearly, weekly, holidays = (slice(*self.columns[name]) for name in ("yearly", "weekly", "holidays"))
        dates = self.dates[start:stop]
        parts = {
            "trend": self._trend(rows, start, stop),
            "weekly": theta[:, weekly] @ fourier(dates, 7, s.weekly_order).T,
            "yearly": theta[:, yearly] @ fourier(dates, 365.25, s.yearly_order).T,
        }
        if s.monthly_order:
            monthly = theta[:, slice(*self.columns["monthly"])]
            parts["monthly"] = monthly @ _harmonics(month_phase(dates), s.monthly_order).T
        effect = np.zeros((len(rows), stop - start))
        for g in np.unique(self.group[rows]):
            who = self.group[rows] == g
            effect[who] = theta[who, holidays] @ self.shared[g, start:stop].T
        parts["holidays"] = effect
        for k, name in enumerate(self.names.own):
            x = (self.own[rows, start:stop, k] - self.own_mean[rows, k, None]) / self.own_deviation[rows, k, None]
            parts[name] = x * theta[:, self.columns["own"][0] + k, None]
        return parts

    def linear(self, start: int, stop: int, rows: NDArray[np.intp] | None = None) -> Array:
        """The linear predictor in the model's own units: units, or log1p of units in mode ``log``."""
        rows = np.arange(self.n_series) if rows is None else rows
        total = sum(self._parts(rows, start, stop).values(), np.zeros((len(rows), stop - start)))
        return self.offset[rows, None] + self.scale[rows, None] * total

    def predict(self, start: int, stop: int, rows: NDArray[np.intp] | None = None) -> Array:
        """Units (rows, days) for days start..stop-1 of ``dates``: not clipped in mode ``additive`` (as Prophet), never
        negative in mode ``log``."""
        rows = np.arange(self.n_series) if rows is None else rows
        result = np.empty((len(rows), stop - start))
        for i in range(0, len(rows), 4 * CHUNK):
            part = rows[i : i + 4 * CHUNK]
            value: Array = self.linear(start, stop, part)
            if self.settings.mode == "log":
                value = np.maximum(np.expm1(np.minimum(value, 700.0)) * self.smear[part, None], 0.0)
            result[i : i + 4 * CHUNK] = value
        return result

    def components(self, start: int, stop: int, rows: NDArray[np.intp] | None = None) -> dict[str, Array]:
        """Parts of the prediction in units, name -> (rows, days): trend, weekly, yearly, holidays, own regressors.

        They sum to ``predict`` exactly. In mode ``log`` each factor gets its share by the logarithmic mean (LMDI, Ang
        2005): with f = prediction + 1 and b = what the trend alone would predict + 1 (both before smearing),
        part = (f - b) / (ln f - ln b) x its logarithm, and the trend takes the rest.
        """
        rows = np.arange(self.n_series) if rows is None else rows
        parts = {name: part * self.scale[rows, None] for name, part in self._parts(rows, start, stop).items()}
        prediction = self.predict(start, stop, rows)
        if self.settings.mode == "log":
            base = self.offset[rows, None] + parts["trend"]
            effect = sum((part for name, part in parts.items() if name != "trend"), np.zeros_like(base))
            # (e^x - 1) / x is the logarithmic mean over the base.
            ratio = np.where(np.abs(effect) > 1e-8, np.expm1(effect) / np.where(effect == 0, 1, effect), 1 + effect / 2)
            mean = np.exp(np.minimum(base, 700.0)) * ratio * self.smear[rows, None]
            parts = {name: mean * part for name, part in parts.items()}
        others = sum((part for name, part in parts.items() if name != "trend"), np.zeros_like(prediction))
        parts["trend"] = prediction - others
        return parts

    # -- keeping one series

    def to_bytes(self, row: int) -> bytes:
        """The coefficients of one series, little-endian float64, in the order ``layout`` and this module give."""
        fixed = [getattr(self, name)[row] for name in _FIXED]
        parts = [fixed, self.theta[row], self.changepoints[row], self.own_mean[row], self.own_deviation[row]]
        return np.concatenate(parts).astype("<f8").tobytes()

    @classmethod
    def from_bytes(
        cls,
        blob: bytes,
        layout: Mapping[str, Any],
        dates: NDArray[np.datetime64],
        group_regressors: ArrayLike | None = None,
        own_regressors: ArrayLike | None = None,
    ) -> StructuralFit:
        """One series as it was kept, for any dates: group_regressors (days, E) and own_regressors (days, K) in the
        order of ``layout["group"]`` and ``layout["own"]``; none given means none of them happens.

        Raises ValueError when bytes and layout do not belong together.
        """
        if layout.get("version") != LAYOUT_VERSION:
            raise ValueError("These coefficients were kept by another version of the structural model.")
        settings = StructuralSettings(**layout["settings"])
        names = _Names(tuple(layout["group"]), tuple(layout["own"]))
        values = np.frombuffer(blob, "<f8").astype(np.float64)
        width = _columns(settings, len(names.group), len(names.own))["own"][1]
        sizes = [len(_FIXED), width, settings.changepoints, len(names.own), len(names.own)]
        if len(values) != sum(sizes):
            raise ValueError("The coefficients do not fit their layout.")
        fixed, theta, changepoints, mean, deviation = np.split(values, np.cumsum(sizes)[:-1])
        dates = np.asarray(dates, dtype="datetime64[D]")
        shared = np.zeros((len(dates), len(names.group))) if group_regressors is None else np.asarray(group_regressors)
        own = np.zeros((len(dates), len(names.own))) if own_regressors is None else np.asarray(own_regressors)
        if shared.shape != (len(dates), len(names.group)) or own.shape != (len(dates), len(names.own)):
            raise ValueError("Regressors must cover every date.")
        empty = cls.empty(1, settings, names, dates, len(dates), np.zeros(1, np.intp), shared[None], own[None])
        kept = {name: value[None] for name, value in zip(_FIXED, fixed, strict=True)}
        return replace(
            empty, theta=theta[None], changepoints=changepoints[None], own_mean=mean[None],
            own_deviation=deviation[None], **kept,
        )  # fmt: skip


def _columns(settings: StructuralSettings, group: int, own: int) -> dict[str, tuple[int, int]]:
    """Where each block of coefficients begins and ends."""
    waves = (2 * settings.yearly_order, 2 * settings.weekly_order, 2 * settings.monthly_order)
    ends = np.cumsum([0, 2, settings.changepoints, *waves, group, own]).tolist()
    names = ("trend", "hinges", "yearly", "weekly", "monthly", "holidays", "own")
    result = {name: (ends[i], ends[i + 1]) for i, name in enumerate(names)}
    result["shared"] = (result["yearly"][0], result["holidays"][1])
    return result

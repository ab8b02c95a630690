"""The ARIMA member: weekly levels of total, regions and categories by statsmodels, spread to all series by profile.

A weekly level is what a week sold / what promotion, opening days, weekdays, days of the month and events make of a
week, so it is free of them; its logarithm is ARIMA(p, 1, q) with two or three yearly waves (never a season of 52: 6 s a
fit). Orders are chosen once per level by AICc, parameters are fitted once, at the earliest origin, and filtered forward
at later ones.

Filtering is our own array program over all series at once, the filter statsmodels' `apply(..., refit=False)` runs one
by one: 506 series x 13 origins would cost a minute otherwise.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field

import numpy as np

from trendcast.forecasting.members import MemberForecast, finish
from trendcast.forecasting.profile import decomposition
from trendcast.panel import Panel

NAME = "arima"
LEVELS = ("total", "region", "category")
ORDERS = ((0, 1), (1, 1), (0, 2), (2, 1), (1, 2))
SAMPLE = 8  # series per level on which orders are compared
FITTED = 40  # series per level fitted by statsmodels, the largest; the rest take the median of their parameters
THREE_YEARS = 143  # weeks (less a season) from which waves beat the profile's year, which is taken out before
RECENT = 21.0  # half-life in days of the weeks a level is measured on
MOST = 1.5  # a log level further from the recent one is an explosion, not a forecast
TWO_YEARS = 104  # weeks below which a series is too short to choose an order on
EVERYDAY = np.array([0.0, 0.0, -0.5, 0.0])
SHORTEST = 30  # weeks below which a level keeps its last value
YEAR = 365.2425


@dataclass(frozen=True, eq=False)
class LevelFit:
    """Parameters of one level's weekly series, by series name; what is not in `names` uses the typical ones."""

    order: tuple[int, int]
    waves: int
    names: list[tuple[str, str]]  # (product_category, region)
    arma: np.ndarray  # (n, 4): ar1, ar2, ma1, ma2
    typical: np.ndarray  # (4,) median of arma
    trouble: list[str] = field(default_factory=list)  # fits that failed, with the reason


def forecast(panel: Panel, horizon: int, state: dict[str, LevelFit] | None = None) -> MemberForecast:
    """Forecasts of every series; extras["state"] holds the parameters, to be handed in at later origins.

    A level whose fit fails, or with under SHORTEST weeks, keeps its recent level.
    """
    parts = decomposition(panel, horizon)
    base = parts.lift * parts.weekly * parts.monthly * parts.event
    history = parts.history
    # Sharp seasons (a fortnight before Christmas) are the profile's; with three years the broad ones are the waves'.
    waves = history >= 7 * THREE_YEARS
    if not waves:
        base = base * parts.yearly
    recency = 0.5 ** ((history - 1 - np.arange(history)) / RECENT)
    top = (parts.sold * parts.weight) @ recency
    bottom = (base[:, :history] * parts.weight) @ recency
    recent = np.where(bottom > 0, top / np.maximum(bottom, 1e-30), 0.0)

    level = panel.series["level"].to_numpy(object)
    fits: dict[str, LevelFit] = dict(state or {})
    path = np.zeros((panel.n_series, horizon))
    modelled = np.zeros(panel.n_series, bool)
    for name in LEVELS:
        rows = np.flatnonzero((level == name) & (recent > 0))
        if not len(rows):
            continue
        z = weekly_levels(parts.sold[rows] * parts.weight[rows], base[rows, :history] * parts.weight[rows])
        day = week_middles(panel.dates[panel.history - 1], z.shape[1])
        if name not in fits:
            volume = parts.sold[rows].sum(axis=1) * parts.scale[rows, 0]
            fits[name] = fit_level(z, day, names_of(panel, rows), volume, waves)
        ahead = run(fits[name], z, day, names_of(panel, rows), horizon, fits[name].waves if waves else 0)
        good = np.isfinite(ahead).all(axis=1) & (np.abs(ahead - np.log(recent[rows])[:, None]) < MOST).all(axis=1)
        path[rows[good]] = ahead[good] - np.log(recent[rows[good]])[:, None]
        modelled[rows[good]] = True
    path = spread(panel, path, modelled)
    rate = recent[:, None] * parts.scale * base[:, history:].astype(np.float64) * np.exp(path)
    mean = finish(rate * panel.open[:, panel.history : panel.history + horizon], panel)
    return MemberForecast(mean, {"state": fits})


def names_of(panel: Panel, rows: np.ndarray) -> list[tuple[str, str]]:
    picked = panel.series.iloc[rows]
    return list(zip(picked["product_category"], picked["region"], strict=True))


def weekly_levels(sold: np.ndarray, expected: np.ndarray, longest: int = 260) -> np.ndarray:
    """Log of sold / expected in blocks of seven days that end at the origin, (S, weeks); NaN where hardly open."""
    weeks = min(sold.shape[1] // 7, longest)
    if not weeks:
        return np.zeros((len(sold), 0))

    def blocks(values: np.ndarray) -> np.ndarray:
        return values[:, -7 * weeks :].reshape(len(values), weeks, 7).sum(axis=2, dtype=np.float64)

    top, bottom = blocks(sold), blocks(expected)
    usual = np.array([np.median(row[row > 0]) if (row > 0).any() else np.inf for row in bottom])[:, None]
    usable = (bottom > 0.3 * usual) & (top > 0)
    return np.where(usable, np.log(np.where(usable, top, 1.0) / np.where(usable, bottom, 1.0)), np.nan)


def week_middles(last_day: np.datetime64, weeks: int) -> np.ndarray:
    """Middle day (days since 1970) of each block of seven days ending on `last_day`."""
    return last_day.astype("datetime64[D]").astype(int) - 3 - 7 * np.arange(weeks)[::-1]


def fourier(day: np.ndarray, waves: int) -> np.ndarray:
    """Yearly waves at days since 1970, (days, 2 x waves)."""
    angle = 2 * np.pi * np.arange(1, waves + 1) * (np.asarray(day, float)[:, None] / YEAR)
    return np.hstack([np.sin(angle), np.cos(angle)])


def fit_level(
    z: np.ndarray, day: np.ndarray, names: list[tuple[str, str]], volume: np.ndarray, seasonal: bool
) -> LevelFit:
    """Order by AICc on a sample, then parameters of the largest series by maximum likelihood."""
    trouble: list[str] = []
    enough = np.flatnonzero((~np.isnan(z)).sum(axis=1) >= SHORTEST)
    by_volume = enough[np.argsort(-volume[enough], kind="stable")]
    order, waves = (0, 1), 2
    if len(by_volume):
        sample = by_volume[np.unique(np.linspace(0, len(by_volume) - 1, SAMPLE).astype(int))]

        def score(p: int, q: int, k: int) -> float:
            found = [_maximum_likelihood(row, (p, q), trouble) for row in without_waves(z[sample], day, k)]
            return sum(f[1] + 4 * k if f else 1e6 for f in found)

        if seasonal:
            waves = min((2, 3), key=lambda k: score(1, 1, k))
        if z.shape[1] >= TWO_YEARS:
            order = min(ORDERS, key=lambda pq: score(pq[0], pq[1], waves if seasonal else 0))
    rest = without_waves(z[by_volume[:FITTED]], day, waves if seasonal else 0)
    fitted = {
        names[row]: _maximum_likelihood(values, order, trouble) for row, values in zip(by_volume, rest, strict=False)
    }
    arma = np.array([found[0] for found in fitted.values() if found]).reshape(-1, 4)
    typical = np.median(arma, axis=0) if len(arma) else EVERYDAY
    return LevelFit(order, waves, [name for name, found in fitted.items() if found], arma, typical, trouble)


def without_waves(z: np.ndarray, day: np.ndarray, waves: int) -> np.ndarray:
    """z less its yearly waves, whose sizes are least squares under an everyday ARMA: with them as regressors of the
    likelihood a fit costs ten times as much and finds nearly the same parameters."""
    exog = fourier(day, waves)
    return z - _least_squares(np.broadcast_to(EVERYDAY, (len(z), 4)), z, exog) @ exog.T


def _maximum_likelihood(z: np.ndarray, order: tuple[int, int], trouble: list[str]) -> tuple[np.ndarray, float] | None:
    """(ar1, ar2, ma1, ma2) and AICc of one series by statsmodels; None if it fails."""
    from statsmodels.tsa.arima.model import ARIMA

    p, q = order
    with warnings.catch_warnings():
        # statsmodels resets the filters of its own warnings; a poor start or convergence is judged by the result.
        warnings.simplefilter("ignore")
        try:
            model = ARIMA(z, order=(p, 1, q), trend="n", concentrate_scale=True)
            result = model.fit(method_kwargs={"maxiter": 50})
        except Exception as error:  # noqa: BLE001  whatever breaks one fit must not stop the others
            trouble.append(f"{type(error).__name__}: {error}")
            return None
    values = np.asarray(result.params, float)
    arma = np.zeros(4)
    arma[:p], arma[2 : 2 + q] = values[:p], values[p : p + q]
    if not (np.isfinite(values).all() and np.isfinite(result.aicc)):
        trouble.append("The likelihood has no finite maximum.")
        return None
    return arma, float(result.aicc)


def run(
    fit: LevelFit, z: np.ndarray, day: np.ndarray, names: list[tuple[str, str]], horizon: int, waves: int
) -> np.ndarray:
    """Log level of each of the next `horizon` days, (S, horizon): filtered to the origin, then forecast.

    The waves' sizes are least squares given the ARMA parameters (the same filter over the waves), so they learn as
    history grows while the parameters stay.
    """
    if not z.shape[1]:
        return np.full((len(z), horizon), np.nan)
    place = {name: i for i, name in enumerate(fit.names)}
    index = np.array([place.get(name, -1) for name in names])
    # Index -1 takes the last row: the typical parameters.
    arma = np.vstack([fit.arma, fit.typical])[index]
    beta = _least_squares(arma, z, fourier(day, waves))
    rest = z - beta @ fourier(day, waves).T
    level = kalman(arma, rest[:, :, None], -(-horizon // 7))[1][:, :, 0]
    daily = np.repeat(level, 7, axis=1)[:, :horizon]
    return daily + beta @ fourier(day[-1] + 4 + np.arange(horizon), waves).T


def kalman(arma: np.ndarray, values: np.ndarray, ahead: int) -> tuple[np.ndarray, np.ndarray]:
    """Filter ARIMA(2, 1, 2) with known parameters over all series at once.

    arma (S, 4), values (S, weeks, C): C columns filtered with the same gain, NaN = missing (in all columns). Returns
    the innovations / their standard deviation in units of the noise, (S, weeks, C), and forecasts (S, ahead, C). The
    state is statsmodels' (Harvey): the last integrated value, then the ARMA(2, 2) state; approximate diffuse start.
    """
    series, weeks, columns = values.shape
    transition = np.zeros((series, 4, 4))
    transition[:, 0, 0] = transition[:, 0, 1] = 1
    transition[:, 1, 1], transition[:, 2, 1] = arma[:, 0], arma[:, 1]
    transition[:, 1, 2] = transition[:, 2, 3] = 1
    loading = np.stack([np.zeros(series), np.ones(series), arma[:, 2], arma[:, 3]], axis=1)
    noise = loading[:, :, None] * loading[:, None, :]
    variance = np.zeros((series, 4, 4))
    inner = transition[:, 1:, 1:]
    kron = np.einsum("sij,skl->sikjl", inner, inner).reshape(series, 9, 9)
    start = np.linalg.solve(np.eye(9) - kron, noise[:, 1:, 1:].reshape(series, 9, 1))
    variance[:, 1:, 1:] = start.reshape(series, 3, 3)
    variance[:, 0, 0] = 1e6
    state = np.zeros((series, 4, columns))
    innovations = np.full(values.shape, np.nan)
    for t in range(weeks):
        seen = ~np.isnan(values[:, t, 0])
        spread_ = variance[:, 0] + variance[:, 1]
        f = spread_[:, 0] + spread_[:, 1]
        error = values[:, t] - (state[:, 0] + state[:, 1])
        innovations[:, t] = error / np.sqrt(f)[:, None]
        gain = np.where(seen[:, None], spread_ / f[:, None], 0.0)
        state = state + gain[:, :, None] * np.where(seen[:, None], error, 0.0)[:, None, :]
        variance = variance - gain[:, :, None] * spread_[:, None, :]
        state = transition @ state
        variance = transition @ variance @ transition.transpose(0, 2, 1) + noise
    future = np.empty((series, ahead, columns))
    for t in range(ahead):
        future[:, t] = state[:, 0] + state[:, 1]
        state = transition @ state
    return innovations, future


def _least_squares(arma: np.ndarray, z: np.ndarray, exog: np.ndarray) -> np.ndarray:
    """Coefficients of exog given the ARMA parameters: least squares on the innovations (generalised least squares)."""
    if not exog.shape[1]:
        return np.zeros((len(z), 0))
    series, weeks = z.shape
    both = np.concatenate([z[:, :, None], np.broadcast_to(exog, (series, weeks, exog.shape[1]))], axis=2)
    both = np.where(np.isnan(z)[:, :, None], np.nan, both)
    innovations = np.nan_to_num(kalman(arma, both, 0)[0])
    x, y = innovations[:, :, 1:], innovations[:, :, :1]
    gram = x.transpose(0, 2, 1) @ x
    ridge = 1e-3 * np.maximum(np.trace(gram, axis1=1, axis2=2), 1e-9)[:, None, None] * np.eye(exog.shape[1])
    return np.linalg.solve(gram + ridge, x.transpose(0, 2, 1) @ y)[:, :, 0]


def spread(panel: Panel, path: np.ndarray, modelled: np.ndarray) -> np.ndarray:
    """Paths of all rows from those of total, region and category.

    A row moves with its category and its region: their paths add up, less the total's, which both contain.
    """
    names = panel.series

    def find(level: str, column: str, wanted: np.ndarray) -> np.ndarray:
        """Row that models each wanted name at a level; the row of zeros after the last if there is none."""
        rows = np.flatnonzero((names["level"].to_numpy(object) == level) & modelled)
        place = dict(zip(names[column].to_numpy(object)[rows], rows, strict=True))
        return np.array([place.get(name, -1) for name in wanted], int)

    rest = np.flatnonzero(~modelled)
    category = find("category", "product_category", names["product_category"].to_numpy(object)[rest])
    region = find("region", "region", names["region"].to_numpy(object)[rest])
    total = find("total", "level", np.full(len(rest), "total", object))
    paths = np.vstack([path, np.zeros(path.shape[1])])
    alone = (category < 0) & (region < 0)
    twice = (category >= 0) & (region >= 0)
    out = path.copy()
    out[rest] = paths[np.where(alone, total, category)] + paths[region] - paths[np.where(twice, total, -1)]
    return out

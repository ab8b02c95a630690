"""The backtest: what would have been published at past origins, scored, and written row by row for anyone to check."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from trendcast.errors import InvalidInput
from trendcast.panel import DIMENSIONS
from trendcast.services import verdicts
from trendcast.services.progress import Progress, silent

if TYPE_CHECKING:
    from trendcast.forecasting.backtest import Window
    from trendcast.forecasting.forecaster import Forecaster
    from trendcast.panel import Panel
    from trendcast.services.runtime import Clock
    from trendcast.store.engine import Database


def backtest(
    db: Database,
    clock: Clock,
    progress: Progress,
    token: str,
    *,
    horizon: int = 84,
    origins: int = 6,
    step: int = 28,
    predictions: str | None = None,
    quantiles: Sequence[float] | None = None,
) -> dict[str, Any]:
    """A job (see trendcast.jobs): backtest what is loaded, as forecasts see it; see ``evaluate``."""
    progress("Reading the sales", 0, 1)
    with db.read() as connection:
        panel = verdicts.read_panel(db, connection, ahead=max(98, horizon))
    return evaluate(
        panel,
        horizon=horizon,
        origins=origins,
        step=step,
        predictions=predictions,
        quantiles=quantiles,
        progress=progress,
    )


def evaluate(
    panel: Panel,
    *,
    horizon: int = 84,
    origins: int = 6,
    step: int = 28,
    predictions: str | None = None,
    quantiles: Sequence[float] | None = None,
    progress: Progress = silent,
) -> dict[str, Any]:
    """Score every member and the combination at rolling origins, the last window ending on the last full day.

    ``predictions``: a parquet file to write, one row per origin, model, series and day, with the truth and the
    quantiles (``quantiles``: levels between 0 and 1, by default the nine that are published; members have none).
    Returns ``origins`` (last known days), ``metrics`` (one record per level, model and horizon week; week 0: all) and
    ``failures``. Raises InvalidInput when the history is too short or an argument makes no sense.
    """
    from trendcast.forecasting import backtest as rolling
    from trendcast.forecasting import forecaster as forecasting
    from trendcast.forecasting import intervals

    if horizon < 1 or origins < 1 or step < 1:
        raise InvalidInput("Horizon, origins and step must be at least 1.")
    levels = intervals.LEVELS if quantiles is None else np.array(sorted(quantiles), float)
    if not ((levels > 0) & (levels < 1)).all() or len(set(levels)) < len(levels):
        raise InvalidInput("Quantiles must be different numbers between 0 and 1.")
    engine = forecasting.Forecaster(
        panel,
        horizon=max(forecasting.HORIZON, horizon),
        levels=levels,
        plan_known=True,
        on_progress=lambda stage, done, total: progress("Fitting the models", done, total),
    )
    tally = rolling.Tally(engine.hierarchy.nodes["level"].to_numpy())
    rows = _Rows(predictions, engine, levels) if predictions else None
    last_days = []
    try:
        for done, window in enumerate(rolling.windows(engine, horizon, origins, step), start=1):
            progress("Scoring the origins", done, origins)
            rolling.add_window(tally, engine, window, horizon, published=quantiles is None)
            last_days.append(str(panel.first_day + (window.origin - 1)))
            if rows:
                rows.add(window, horizon)
    finally:
        if rows:
            rows.close()
    frame = rolling.all_names(tally.frame(), engine.hierarchy.aliases)
    return {
        "horizon": horizon,
        "origins": last_days,
        "failures": engine.failures,
        "metrics": [
            {name: None if isinstance(value, float) and np.isnan(value) else value for name, value in record.items()}
            for record in frame.to_dict("records")
        ],
    }


class _Rows:
    """The predictions file, an origin and a model at a time."""

    def __init__(self, path: str, engine: Forecaster, levels: np.ndarray) -> None:
        import pyarrow as pa

        from trendcast.forecasting import intervals

        self.path = Path(path)
        if not self.path.parent.is_dir():
            raise InvalidInput(f"The folder of {path} does not exist.")
        self.engine = engine
        self.columns = [intervals.column(level) for level in levels]
        named = engine.hierarchy.named()
        self.node = named["node"].to_numpy()
        self.names = {name: named[name].to_numpy(str) for name in ("level", *DIMENSIONS)}
        text = pa.dictionary(pa.int32(), pa.string())
        self.schema = pa.schema(
            [("origin", pa.date32()), ("model", text)]
            + [(name, text) for name in self.names]
            + [("date_id", pa.date32()), ("y", pa.float64()), ("mean", pa.float64())]
            + [(name, pa.float64()) for name in self.columns]
        )
        self.writer: Any = None

    def add(self, window: Window, horizon: int) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        from trendcast.forecasting.backtest import COMBINATION

        if self.writer is None:
            self.writer = pq.ParquetWriter(self.path, self.schema)
        publication, panel = window.publication, self.engine.bottom
        origin = panel.first_day + (window.origin - 1)
        days = (origin + 1 + np.arange(horizon)).astype("datetime64[D]")
        count = len(self.node)

        def repeated(values: Any) -> Any:
            return pa.array(np.repeat(values, horizon)).dictionary_encode()

        said = {member.name: publication.members[m] for m, member in enumerate(self.engine.member_table)}
        for model, mean in {COMBINATION: publication.means, **said}.items():
            if not np.isfinite(mean).any():
                continue
            data = {
                "origin": pa.array(np.full(count * horizon, origin.astype("datetime64[D]"))),
                "model": repeated(np.full(count, model)),
                **{name: repeated(values) for name, values in self.names.items()},
                "date_id": pa.array(np.tile(days, count)),
                "y": pa.array(window.truth[self.node].ravel(), from_pandas=True),
                "mean": pa.array(mean[self.node, :horizon].ravel()),
            }
            for q, name in enumerate(self.columns):
                data[name] = (
                    pa.array(np.ascontiguousarray(publication.quantiles[self.node, :horizon, q]).ravel())
                    if model == COMBINATION
                    else pa.nulls(count * horizon, pa.float64())
                )
            self.writer.write_table(pa.table(data).cast(self.schema))

    def close(self) -> None:
        if self.writer is not None:
            self.writer.close()

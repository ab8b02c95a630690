"""What moves a series: the drivers a run learns, and the what-if reads."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from trendcast.features.calendar import to_date

if TYPE_CHECKING:
    from trendcast.forecasting.drivers import Drivers
    from trendcast.forecasting.forecaster import Forecaster, Publication
    from trendcast.store.engine import Database

STEPS = 254  # a share is kept in steps of 1/254


def compute(db: Database, engine: Forecaster, publication: Publication) -> Drivers | None:
    """The drivers of all nodes at the publication's origin; None where there is no structural model or too short a
    history."""
    from trendcast.features.drivers import outside
    from trendcast.features.known_ahead import expected_promotion
    from trendcast.forecasting import drivers

    fitted = publication.extras.get("structural", {}).get("fit")
    if fitted is None:
        return None
    history, bottom = publication.history, engine.bottom.as_of(publication.history)
    first, last = bottom.first_day, bottom.first_day + (history - 1)
    begin, end = to_date(first), to_date(last)
    market = db.frame("driver_market", first_day=begin, last_day=end)
    reports = db.copy_out("driver_weather", first_day=begin, last_day=end).to_pandas(date_as_object=False)
    around = outside(market, reports, first, history, sorted(set(bottom.series["region"])))
    volume = publication.means[engine.hierarchy.aggregates :].sum(axis=1)
    nodes = expected_promotion(engine.known_at(history))
    return drivers.learn(nodes, engine.hierarchy, bottom, fitted, around, volume, engine.horizon)


def write(
    db: Database, connection: Any, run_id: int, ids: np.ndarray, node: np.ndarray, computed: Drivers | None
) -> None:
    """Keep what ``compute`` found with the run, within the caller's transaction."""
    import pyarrow as pa

    from trendcast.store import runs

    if computed is None:
        return
    names = computed.names
    weather = [name for name in names if name.startswith("weather:")]
    facts = {
        "names": list(names),
        "logarithmic": [name for name, logs in zip(names, computed.logarithmic, strict=True) if logs],
        "lead": computed.lead,
        "clear": computed.clear,
        "missing": computed.missing,
        "judged_from": None if computed.judged_from is None else str(to_date(computed.judged_from)),
        "paths": ["promotion", *weather],
    }
    db.copy_in(
        connection,
        "run_driver_facts",
        ["run_id", "facts"],
        pa.table({"run_id": [run_id], "facts": [json.dumps(facts, allow_nan=False)]}),
    )
    figures = ("effect", "error", "low", "high", "base", "gain")
    columns = {name: getattr(computed, name)[node] for name in figures}
    flags = {name: getattr(computed, name)[node] for name in ("sure", "against")}
    drivers = []
    for i, row in enumerate(node):
        found: dict[str, Any] = {
            name: {
                **{figure: round(float(values[i, k]), 6) for figure, values in columns.items()},
                **{flag: bool(values[i, k]) for flag, values in flags.items()},
            }
            for k, name in enumerate(names)
        }
        drivers.append(json.dumps({"known": found, "cut": round(float(computed.cut[row]), 6)}, allow_nan=False))
    # The last days known are part of the promotions' path: what comes after one depends on them.
    before = computed.promotion.shape[1] - computed.weather.shape[1]
    skies = np.pad(computed.weather.swapaxes(1, 2), ((0, 0), (0, 0), (before, 0)))
    shares = np.concatenate([computed.promotion[:, None, :], skies], axis=1)[node]
    paths = np.round(np.clip(np.nan_to_num(shares), 0, 1) * STEPS).astype(np.uint8)
    table = {
        "run_id": pa.array(np.full(len(ids), run_id)),
        "series_id": pa.array(ids),
        "drivers": pa.array(drivers),
        "paths": runs.hex_rows(one.tobytes() for one in paths),
    }
    db.copy_in(connection, "run_driver", list(table), pa.table(table))

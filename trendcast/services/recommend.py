"""What to order by when: the stock decisions a run advises."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from trendcast.forecasting.forecaster import Forecaster, Publication
    from trendcast.store.engine import Database


def compute(db: Database, engine: Forecaster, publication: Publication) -> Any:
    """Nothing yet."""
    return None


def write(db: Database, connection: Any, run_id: int, ids: np.ndarray, node: np.ndarray, computed: Any) -> None:
    """Nothing yet."""

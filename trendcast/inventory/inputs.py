"""What the advice for one category is calculated from, and what a person may change of it."""

from __future__ import annotations

import io
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import date
from typing import Any

import numpy as np

from trendcast.errors import InvalidInput
from trendcast.inventory import policy


@dataclass(frozen=True)
class Parameters:
    """What a person may change. None: not known, a default is assumed or the thing does not apply."""

    target_service: float | None = None
    lead_time_factor: float = 1.0
    review_days: int = 1
    policy: str = "cover"
    lot: float | None = None  # usual order quantity, units
    unit_cost: float | None = None
    margin: float | None = None  # share of the price; used without a unit cost
    holding_rate: float | None = None  # a year
    order_cost: float | None = None
    moq: float | None = None
    order_multiple: float | None = None
    max_stock: float | None = None
    shelf_life_days: int | None = None

    def checked(self) -> Parameters:
        """Itself; InvalidInput for a value nobody can mean."""
        if self.policy not in policy.POLICIES:
            raise InvalidInput(f"'{self.policy}' is not a policy: it is one of {', '.join(policy.POLICIES)}.")
        if self.target_service is not None and not 0 < self.target_service < 1:
            raise InvalidInput("The target service must lie between 0 and 1, for example 0.95.")
        if not 0 < self.lead_time_factor <= 10:
            raise InvalidInput("The lead time factor must lie between 0 and 10.")
        if not 1 <= self.review_days <= 91:
            raise InvalidInput("Stock is reviewed every 1 to 91 days.")
        if self.margin is not None and not 0 <= self.margin < 1:
            raise InvalidInput("The margin must be a share of the price from 0 to below 1.")
        for name in ("lot", "unit_cost", "holding_rate", "order_cost", "moq", "order_multiple", "max_stock"):
            value = getattr(self, name)
            if value is not None and not (math.isfinite(value) and value >= 0):
                raise InvalidInput(f"The {name.replace('_', ' ')} must be a number of at least zero.")
        if self.shelf_life_days is not None and self.shelf_life_days < 1:
            raise InvalidInput("The shelf life must be at least one day.")
        return self

    def changed(self, changes: Mapping[str, Any]) -> Parameters:
        """These with some values replaced; InvalidInput for a name that is none."""
        known = {one.name for one in fields(self)}
        for name in changes:
            if name not in known:
                raise InvalidInput(f"'{name}' is not a parameter: it is one of {', '.join(sorted(known))}.")
        return replace(self, **changes).checked()


@dataclass(frozen=True)
class Inputs:
    """What a run knows of one category. Days count from the business date (0), the first day not over yet."""

    product_category: str
    business_date: date
    mean: np.ndarray  # (D,) expected demand per day
    own: np.ndarray  # (O, D) ratios of truth over forecast at past origins
    own_weight: np.ndarray  # (O,)
    scale: float
    seed: int
    ranks: np.ndarray  # (W,) see demand.past_ranks
    lead_times: np.ndarray  # days, as observed or stated; empty: not known
    lead_time_source: str = ""  # "orders", "stated" or ""
    lead_time_now: float = math.nan
    lead_time_before: float = math.nan
    on_hand: float | None = None  # None: nothing is known of the stock
    last_stock_day: date | None = None
    receipts: np.ndarray = field(default_factory=lambda: np.zeros(0))  # (days,) units on order, by day due
    reorder_point_now: float = math.nan  # the retailer's own
    usual_lot: float = math.nan
    unit_price: float = math.nan
    service_class: str = "B"
    whole: bool = True  # units are whole numbers
    recent_daily: float = 0.0  # mean units per day of the last 28 days
    drivers: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    residual: float = math.nan  # stock that vanished, over units sold

    def to_bytes(self) -> bytes:
        """As stored with a run; what `from_bytes` reads."""
        plain: dict[str, Any] = {}
        arrays: dict[str, np.ndarray] = {}
        for one in fields(self):
            value = getattr(self, one.name)
            if isinstance(value, np.ndarray):
                arrays[one.name] = value.astype(np.float32)
            elif isinstance(value, date):
                plain[one.name] = value.isoformat()
            elif isinstance(value, float) and not math.isfinite(value):
                plain[one.name] = None
            else:
                plain[one.name] = value
        buffer = io.BytesIO()
        header = np.frombuffer(json.dumps(plain).encode(), np.uint8)
        np.savez(buffer, header=header, **arrays)  # type: ignore[arg-type]
        return buffer.getvalue()

    @classmethod
    def from_bytes(cls, raw: bytes | memoryview) -> Inputs:
        with np.load(io.BytesIO(bytes(raw)), allow_pickle=False) as stored:
            plain = json.loads(stored["header"].tobytes())
            arrays = {name: stored[name].astype(float) for name in stored.files if name != "header"}
        for name in ("business_date", "last_stock_day"):
            if plain[name] is not None:
                plain[name] = date.fromisoformat(plain[name])
        missing = {one.name for one in fields(cls) if one.type == "float" and plain.get(one.name, 0.0) is None}
        plain.update(dict.fromkeys(missing, math.nan))
        for name in ("drivers", "tags"):
            plain[name] = tuple(plain[name])
        return cls(**plain, **arrays)

"""What people said of a finding reaches the forecasts: a day that was confirmed as one of its kind teaches nothing."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.services.shops import CATEGORIES, REGIONS, Shop
from tests.services.test_verdicts import drop, move, of
from trendcast.panel import Panel
from trendcast.services import forecast, verdicts
from trendcast.services import jobs as job_service
from trendcast.services.load import load_frames
from trendcast.services.progress import silent
from trendcast.services.refresh import refresh
from trendcast.store import jobs
from trendcast.store.engine import Database
from trendcast.store.panel import read_panel

LAST = 158  # a day of the last week, told by the naive member again a week later


def next_week(shop: Shop, **dimensions: tuple[str, ...]) -> float:
    """What is forecast a week after the last day, of the naive member alone."""
    claim = jobs.claim(shop.db, slot_id=job_service.enqueue(shop.db, "refresh"))
    assert claim is not None
    result = refresh(shop.db, shop.clock, silent, claim.token, members=("naive7",))
    jobs.finish(shop.db, claim.id, claim.token, result)
    run = forecast.current_run(shop.db)
    level = "category_region" if dimensions else "total"
    chosen = forecast.resolve(forecast.series_index(shop.db, run.id), forecast.Selection(level, **dimensions))
    days = forecast.forecast_daily(shop.db, run.id, chosen["series_id"].tolist())
    return float(days[days["date_id"] == str(shop.day(LAST + 7))]["mean"].iloc[0])


@pytest.fixture
def shop(db: Database) -> Shop:
    shop = Shop(db)
    shop.load(150)
    shop.detect()
    return shop


def test_a_confirmed_spike_no_longer_moves_the_next_forecast(shop: Shop) -> None:
    drop(shop, "C03", "East", LAST, 4.0)
    shop.load(160)
    shop.detect()
    node: dict[str, Any] = {"categories": ("C03",), "regions": ("East",)}
    usual = shop.units[shop.row("C03", "East"), LAST] / 4
    assert next_week(shop, **node) > 2 * usual
    (entry,) = of(shop, LAST)
    move(shop, entry["incident_id"], "confirmed")
    assert next_week(shop, **node) == pytest.approx(usual, rel=0.15)
    move(shop, entry["incident_id"], "undo")
    assert next_week(shop, **node) > 2 * usual


def test_a_fault_of_the_data_teaches_nothing_until_they_are_corrected(shop: Shop) -> None:
    """A region that reported a third; of the whole retailer the day is as doubtful. Its right sales are learnt from."""
    right = shop.units.copy()
    shop.units[1::4, LAST] = np.round(shop.units[1::4, LAST] * 0.3)
    shop.load(160)
    shop.detect()
    lead = next(entry for entry in of(shop, LAST) if entry["lead"])
    node: dict[str, Any] = {"categories": ("C03",), "regions": ("North",)}
    expected = right[shop.row("C03", "North"), LAST]
    assert next_week(shop, **node) < 0.5 * expected
    move(shop, lead["incident_id"], "data_issue", note="The tills sent a third.")
    assert next_week(shop, **node) == pytest.approx(expected, rel=0.15)
    assert next_week(shop) == pytest.approx(right[:, LAST].sum(), rel=0.05)
    shop.units[1::4, LAST] = np.round(right[1::4, LAST] * 1.3)
    load_frames(shop.db, {"sales_daily": shop.frame(LAST, LAST + 1)}, source="test", accept=True, clock=shop.clock)
    assert next_week(shop, **node) == pytest.approx(1.3 * expected, rel=0.02)


def test_of_some_series_of_a_region_that_went_far_the_others_go_on_teaching(shop: Shop) -> None:
    far = [shop.row(f"C{number:02d}", "East") for number in range(5)]
    shop.units[far, LAST] = np.round(shop.units[far, LAST] * 0.5)
    shop.load(160)
    shop.detect()
    lead = next(entry for entry in of(shop, LAST) if entry["lead"])
    assert (lead["level"], lead["explanation"]["facts"]["some"]) == ("region", True)
    move(shop, lead["incident_id"], "confirmed")
    with shop.db.read() as connection:
        panel = verdicts.without_doubtful(
            read_panel(shop.db, connection), shop.db.rows("panel_verdicts", connection=connection)
        )
    assert panel.doubtful is not None
    assert sorted(np.flatnonzero(panel.doubtful.any(axis=1))) == sorted(far)


def test_the_doubtful_days_are_those_below_the_node_and_go_with_the_cut() -> None:
    shop = Shop.__new__(Shop)
    shop.keys = [(category, region) for category in CATEGORIES for region in REGIONS]
    shop.units = np.full((40, 60), 100.0)
    panel = Panel.from_frames(shop.frame(0, 60), ahead=7)
    told = {"product_category": "", "region": "West", "store": "", "days": [{"day": "2026-03-01", "actual": 1000.0}]}
    marked = verdicts.without_doubtful(panel, [told])
    assert marked.doubtful is not None
    row, day = np.nonzero(marked.doubtful)
    assert set(panel.series["region"].iloc[row]) == {"West"}
    assert set(panel.dates[day].astype(str)) == {"2026-03-01"}
    cut = marked.as_of(40)
    assert cut.doubtful is not None
    assert not cut.doubtful.any()
    told["days"][0]["actual"] = 700.0  # corrected since
    assert verdicts.without_doubtful(panel, [told]) is panel

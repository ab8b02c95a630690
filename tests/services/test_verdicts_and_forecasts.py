"""What people said of a finding reaches the forecasts: a day that was confirmed as one of its kind teaches nothing."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.services.shops import CATEGORIES, REGIONS, Shop
from tests.services.test_verdicts import drop, move, of
from trendcast.anomalies.scene import Scene
from trendcast.panel import Panel
from trendcast.services import backtest, forecast, verdicts
from trendcast.services import jobs as job_service
from trendcast.services.detect_window import Window, read_state
from trendcast.services.load import load_frames
from trendcast.services.progress import silent
from trendcast.services.refresh import refresh
from trendcast.store import jobs
from trendcast.store.engine import Database

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


def measured(shop: Shop) -> int:
    """How many weeks of that series the accuracy of the newest run is of."""
    run = forecast.current_run(shop.db)
    chosen = forecast.Selection("category_region", categories=("C03",), regions=("East",))
    ids = forecast.resolve(forecast.series_index(shop.db, run.id), chosen)["series_id"].tolist()
    return int(forecast.series_accuracy(shop.db, run.id, ids)["weeks"])


def seen(shop: Shop) -> Panel:
    """The panel that forecasts are made from."""
    with shop.db.read() as connection:
        return verdicts.read_panel(shop.db, connection)


def scene(shop: Shop) -> Scene:
    """What a detection would look at now."""
    with shop.db.read() as connection:
        return Window(shop.db, connection, read_state(shop.db, connection), shop.clock()).scene


def those(scene: Scene, which: np.ndarray) -> list[tuple[str, ...]]:
    """Category and region of the series of which something (S, T) holds on that day."""
    return sorted(scene.keys[row][1:3] for row in np.flatnonzero(which[:, LAST]))


@pytest.fixture
def shop(db: Database) -> Shop:
    shop = Shop(db, days=161)
    shop.load(150)
    shop.detect()
    return shop


def test_a_confirmed_spike_no_longer_moves_the_next_forecast(shop: Shop) -> None:
    drop(shop, "C03", "East", LAST, 4.0)
    shop.load(161)  # its week is over
    shop.detect()
    node: dict[str, Any] = {"categories": ("C03",), "regions": ("East",)}
    usual = shop.units[shop.row("C03", "East"), LAST] / 4
    assert next_week(shop, **node) > 2 * usual
    (entry,) = of(shop, LAST)
    weeks = measured(shop)
    move(shop, entry["incident_id"], "confirmed")
    assert next_week(shop, **node) == pytest.approx(usual, rel=0.15)
    assert measured(shop) == weeks > 0  # what was forecast of it was as far off as it was
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


def test_what_the_gate_calls_a_fault_teaches_nothing_until_it_is_corrected_or_somebody_knows_better(shop: Shop) -> None:
    """A region in another unit, with nobody there to say so: neither the forecasts nor their accuracy follow it."""
    right = shop.units.copy()
    shop.units[::4, LAST] *= 100
    shop.load(161)
    shop.detect()
    (entry,) = of(shop, LAST)
    assert (entry["class"], entry["region"]) == ("RESCALED_FEED", "East")
    node: dict[str, Any] = {"categories": ("C03",), "regions": ("East",)}
    expected = right[shop.row("C03", "East"), LAST]
    assert next_week(shop, **node) == pytest.approx(expected, rel=0.15)
    assert next_week(shop) == pytest.approx(right[:, LAST].sum(), rel=0.05)
    weeks = measured(shop)
    move(shop, entry["incident_id"], "expected", note="A warehouse sale.")
    assert next_week(shop, **node) == pytest.approx(100 * expected, rel=0.15)
    assert measured(shop) > weeks > 0
    move(shop, entry["incident_id"], "undo")
    assert next_week(shop, **node) == pytest.approx(expected, rel=0.15)
    shop.units[::4, LAST] = np.round(right[::4, LAST] * 1.3)
    load_frames(shop.db, {"sales_daily": shop.frame(LAST, LAST + 1)}, source="test", accept=True, clock=shop.clock)
    assert next_week(shop, **node) == pytest.approx(1.3 * expected, rel=0.02)


def test_what_the_gate_takes_back_teaches_again_also_where_the_day_itself_stands(shop: Shop) -> None:
    """A region goes over to another unit, and then sends its past in that unit too: the first day was right."""
    shop.units[::4, LAST] *= 100
    shop.load(161)
    shop.detect()
    (entry,) = of(shop, LAST)
    move(shop, entry["incident_id"], "confirmed")  # that it is a fault: how much was sold, nobody knows all the same
    wrong = seen(shop).wrong
    assert wrong is not None
    assert wrong[:, LAST].sum() == len(CATEGORIES)
    move(shop, entry["incident_id"], "undo")
    shop.units[::4, :LAST] *= 100
    shop.units[::4, LAST + 1 :] *= 100
    shop.units[1, LAST] += 1  # the day is looked at again
    load_frames(shop.db, {"sales_daily": shop.frame(0, 161)}, source="test", accept=True, clock=shop.clock)
    shop.detect()
    (entry,) = of(shop, LAST)
    assert entry["status"] == "RESOLVED"
    assert seen(shop).doubtful is None


def test_of_some_series_of_a_region_that_went_far_the_others_go_on_teaching(shop: Shop) -> None:
    far = [shop.row(f"C{number:02d}", "East") for number in range(5)]
    shop.units[far, LAST] = np.round(shop.units[far, LAST] * 0.5)
    shop.load(160)
    shop.detect()
    lead = next(entry for entry in of(shop, LAST) if entry["lead"])
    assert (lead["level"], lead["explanation"]["facts"]["some"]) == ("region", True)
    move(shop, lead["incident_id"], "confirmed")
    panel = seen(shop)
    assert panel.doubtful is not None
    assert sorted(np.flatnonzero(panel.doubtful.any(axis=1))) == sorted(far)


def test_a_region_with_a_series_too_young_to_be_judged_is_taken_out_as_a_whole_until_it_is_corrected(
    db: Database,
) -> None:
    """What was told of the region is of the other series; the day of the young one is as doubtful as theirs."""
    shop = Shop(db)
    young = shop.row("C09", "East")
    shop.units[young, :156] = np.nan
    right = shop.units[::4, LAST].copy()
    shop.units[::4, LAST] = np.round(right * 0.5)
    shop.load(150)
    shop.detect()
    shop.load(160)
    shop.detect()
    lead = next(entry for entry in of(shop, LAST) if entry["lead"])
    assert (lead["level"], lead["region"]) == ("region", "East")
    (told,) = lead["explanation"]["days"]
    assert told["actual"] == pytest.approx(shop.units[:36:4, LAST].sum())
    move(shop, lead["incident_id"], "confirmed")
    panel = seen(shop)
    assert panel.doubtful is not None
    assert np.argwhere(panel.doubtful).tolist() == [[row, LAST] for row in range(0, 40, 4)]
    shop.units[::4, LAST] = right
    load_frames(shop.db, {"sales_daily": shop.frame(LAST, LAST + 1)}, source="test", accept=True, clock=shop.clock)
    assert seen(shop).doubtful is None


def test_the_backtest_sees_what_the_forecasts_see(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    drop(shop, "C03", "East", LAST, 4.0)
    shop.load(160)
    shop.detect()
    (entry,) = of(shop, LAST)
    move(shop, entry["incident_id"], "confirmed")
    monkeypatch.setattr(backtest, "evaluate", lambda panel, **how: {"doubtful": np.argwhere(panel.doubtful).tolist()})
    assert backtest.backtest(shop.db, shop.clock, silent, "") == {"doubtful": [[shop.row("C03", "East"), LAST]]}


def test_of_some_series_of_a_region_that_went_far_the_others_go_on_saying_what_is_usual(shop: Shop) -> None:
    """Also to the detector: before anybody said what it was, and after."""
    far = [shop.row(f"C{number:02d}", "East") for number in range(5)]
    shop.units[far, LAST] = np.round(shop.units[far, LAST] * 0.5)
    shop.load(160)
    shop.detect()
    (incident,) = {entry["incident_id"] for entry in of(shop, LAST)}
    now = scene(shop)
    assert those(now, now.found) == [(f"C{number:02d}", "East") for number in range(5)]
    for verdict in ("confirmed", "data_issue"):
        move(shop, incident, verdict, note="A depot was shut.")
        now = scene(shop)
        assert those(now, now.masked) == [(f"C{number:02d}", "East") for number in range(5)]
        assert now.wrong == ()
    move(shop, incident, "new_normal")
    now = scene(shop)
    assert sorted(now.accepted) == [0] * 35 + [LAST] * 5


def test_the_doubtful_days_are_those_below_the_node_and_go_with_the_cut() -> None:
    shop = Shop.__new__(Shop)
    shop.keys = [(category, region) for category in CATEGORIES for region in REGIONS]
    shop.units = np.full((40, 60), 100.0)
    panel = Panel.from_frames(shop.frame(0, 60), ahead=7)
    told = {"product_category": "", "region": "West", "store": "", "wrong": True}
    told["days"] = [{"day": "2026-03-01", "actual": 1000.0}]
    marked = verdicts.without_doubtful(panel, [told])
    assert marked.doubtful is not None
    row, day = np.nonzero(marked.doubtful)
    assert set(panel.series["region"].iloc[row]) == {"West"}
    assert set(panel.dates[day].astype(str)) == {"2026-03-01"}
    assert marked.wrong is not None
    assert (marked.wrong == marked.doubtful).all()
    assert verdicts.without_doubtful(panel, [told | {"wrong": False}]).wrong is None
    cut = marked.as_of(40)
    assert cut.doubtful is not None
    assert not cut.doubtful.any()
    told["days"][0]["actual"] = 700.0  # corrected since
    assert verdicts.without_doubtful(panel, [told]) is panel

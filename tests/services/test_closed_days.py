"""Which days of an event a shop was shut, by what was known before; elsewhere a day without sales is an outage."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from tests.anomalies.scenes import FIRST, noisy, scene
from trendcast.services import detect_window

DAYS = 120
FAIRS = (40, 80)


def closed(units: np.ndarray, events: dict[int, str], regions: int = 2, **more: object) -> np.ndarray:
    """bool (regions, days) of a retailer with events of region R0, or of '' everywhere."""
    rows = [(FIRST + day, region, "Fair") for day, region in events.items()]
    table = pd.DataFrame(rows, columns=["date_id", "region", "event"])
    return detect_window._closed(scene(units, regions=regions, events=table, **more))[:regions]


@pytest.fixture
def units() -> np.ndarray:
    return noisy(20, DAYS)


def test_a_shop_that_was_shut_on_the_event_before_is_shut_again(units: np.ndarray) -> None:
    units[::2, list(FAIRS)] = 0
    forecast = np.full(units.shape, 200.0)
    forecast[:, 40] = 0  # the first time it was known
    found = closed(units, dict.fromkeys(FAIRS, "R0"), forecast=forecast)
    assert np.argwhere(found).tolist() == [[0, 40], [0, 80]]


def test_an_outage_on_an_event_on_which_the_shop_was_open_before_is_none(units: np.ndarray) -> None:
    units[:, 80] = 0
    assert not closed(units, dict.fromkeys(FAIRS, "")).any()


def test_a_forecast_that_knows_the_event_says_whether_it_shuts_the_shop(units: np.ndarray) -> None:
    units[:, 80] = 0
    forecast = np.full(units.shape, 200.0)
    years_ago = {-300: "", 80: ""}
    assert not closed(units, years_ago, forecast=forecast).any()
    forecast[:, 80] = 1
    assert closed(units, years_ago, forecast=forecast)[:, 80].all()


def test_an_event_nobody_knows_shuts_all_regions_or_none(units: np.ndarray) -> None:
    units[:, 80] = 0
    assert closed(units, {80: ""})[:, 80].all()
    assert not closed(units, {80: "R0"}).any()
    units[1::2, 80] = 100
    assert not closed(units, {80: ""}).any()


def test_days_that_come_later_do_not_say_what_was_shut(units: np.ndarray) -> None:
    """Sales that grow a hundredfold make no closed day of an ordinary one."""
    grown = units.copy()
    grown[:, 60:] *= 100
    assert not closed(grown, dict.fromkeys(FAIRS, "")).any()
    units[:, 40] = 0
    later = units.copy()
    later[:, 60:] *= 100
    later[:, 80] = 0
    events = dict.fromkeys(FAIRS, "")
    assert (closed(later, events)[:, :60] == closed(units, events)[:, :60]).all()

"""Effects of drivers, planted in made-up sales and found again."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import pytest

from trendcast.features.drivers import Outside, outside, usual_weather
from trendcast.features.known_ahead import expected_promotion
from trendcast.forecasting import drivers, structural_member
from trendcast.panel import Hierarchy, Panel

FIRST, DAYS = np.datetime64("2024-01-01"), 3 * 365
PLANTED = {
    "promotion": 0.35,
    "after_promotion": -0.1,
    "price": -1.5,
    "weather:rain": -0.12,
    "economic_index": 0.0,
    "competitor_promotion_intensity": -0.02,
    "social_media_mentions": 0.15,
}
LEAD = 3


@dataclass
class Shop:
    """Tables of a retailer with planted effects, and what is planted."""

    sales: pd.DataFrame
    market: pd.DataFrame
    reports: pd.DataFrame

    def panel(self) -> Panel:
        return Panel.from_frames(self.sales)


def shop(
    effects: dict[str, float], *, categories: int = 4, regions: int = 3, seed: int = 3, noise: float = 0.1
) -> Shop:
    rng = np.random.default_rng(seed)
    days = FIRST + np.arange(DAYS)
    weekday = (days.astype(int) + 3) % 7
    season = 0.2 * np.sin(2 * np.pi * np.arange(DAYS) / 365.25) + np.array([0, 0, 0, 0, 0.1, 0.2, -0.1])[weekday]
    rain = np.repeat(rng.random((regions, DAYS // 3 + 1)) < 0.3, 3, axis=1)[:, :DAYS].astype(float)
    economy = 100 + np.cumsum(rng.normal(0, 0.2, DAYS))
    rivals = np.repeat(rng.gamma(2.0, 1.5, DAYS // 7 + 1), 7)[:DAYS]
    mentions = np.round(400 * np.exp(rng.normal(0, 0.4, DAYS)))
    felt = np.log1p(np.concatenate([np.full(LEAD, mentions[0]), mentions[:-LEAD]]))
    promotion = np.repeat(rng.random((categories, DAYS // 7 + 1)) < 0.15, 7, axis=1)[:, :DAYS].astype(float)
    # A list price that moves every five weeks, and 20 % off with each promotion.
    listed = np.repeat(rng.normal(0, 0.06, (categories, DAYS // 35 + 1)), 35, axis=1)[:, :DAYS]
    shared = (
        season
        + effects["economic_index"] * np.log(economy / 100)
        + effects["competitor_promotion_intensity"] * (rivals - 3)
        + effects["social_media_mentions"] * (felt - felt.mean())
    )
    rows = []
    for c in range(categories):
        for r in range(regions):
            ln = (
                5.5
                + 0.2 * c
                - 0.1 * r
                + shared
                + effects["promotion"] * promotion[c]
                + effects["after_promotion"] * drivers.aftermath(promotion[c])
                + effects["price"] * listed[c]
                + effects["weather:rain"] * rain[r]
            )
            units = rng.poisson(np.exp(ln + rng.normal(0, noise, DAYS)))
            rows.append(
                pd.DataFrame(
                    {
                        "date_id": days,
                        "product_category": f"C{c}",
                        "region": f"R{r}",
                        "sales_units": units.astype(float),
                        "promotion_flag": promotion[c],
                        "unit_price": 10 * np.exp(listed[c]) * np.where(promotion[c] > 0, 0.8, 1.0),
                    }
                )
            )
    market = pd.DataFrame(
        {
            "date_id": days,
            "economic_index": economy,
            "competitor_promotion_intensity": rivals,
            "social_media_mentions": mentions,
        }
    )
    reports = pd.concat(
        pd.DataFrame(
            {
                "date_id": days,
                "region": f"R{r}",
                "weather_condition": np.where(rain[r] > 0, "Rain", "Clear"),
                "rows": categories,
            }
        )
        for r in range(regions)
    )
    return Shop(pd.concat(rows, ignore_index=True), market, reports)


def learn(made: Shop, bottom: Panel, history: int | None = None) -> tuple[drivers.Drivers, Hierarchy]:
    """What a refresh at the origin learns; by default with all that is known."""
    hierarchy = Hierarchy.of(bottom.series)
    bottom = bottom.as_of(history or bottom.history)
    panel = hierarchy.panel(bottom)
    said = structural_member.forecast(panel, 91)
    around = outside(made.market, made.reports, bottom.first_day, bottom.history, sorted(set(bottom.series["region"])))
    volume = said.mean[hierarchy.aggregates :].sum(axis=1)
    found = drivers.learn(expected_promotion(panel), hierarchy, bottom, said.extras["fit"], around, volume, 91)
    assert found is not None
    return found, hierarchy


@pytest.fixture(scope="module")
def made() -> Shop:
    return shop(PLANTED)


@pytest.fixture(scope="module")
def found(made) -> tuple[drivers.Drivers, Hierarchy]:
    return learn(made, made.panel())


def test_planted_effects_are_found_within_their_stated_uncertainty(found):
    learnt, _ = found
    assert set(learnt.names) == set(PLANTED)
    for k, name in enumerate(learnt.names):
        # A promotion's effect is the whole of it, the price cut it comes with included.
        away = np.abs(learnt.effect[:, k] - PLANTED[name]) / learnt.error[:, k]
        assert (away < 2).mean() >= 0.85, name
        assert away.max() < 4, name


def test_the_stated_uncertainty_is_worth_stating(found):
    """Errors that cover anything would pass the test above."""
    learnt, _ = found
    error = dict(zip(learnt.names, learnt.error[0], strict=True))
    assert error["promotion"] < 0.05
    assert error["price"] < 0.3
    assert error["weather:rain"] < 0.03
    assert error["competitor_promotion_intensity"] < 0.006
    assert error["social_media_mentions"] < 0.03


def test_mentions_run_ahead_by_the_days_planted(found):
    assert found[0].lead == LEAD


def test_what_does_nothing_is_not_called_sure_and_what_matters_is(found):
    learnt, _ = found
    sure = dict(zip(learnt.names, learnt.sure[0], strict=True))
    assert not sure["economic_index"]
    assert all(sure[name] for name in ("promotion", "price", "weather:rain", "social_media_mentions"))
    gain = dict(zip(learnt.names, learnt.gain[0], strict=True))
    assert gain["promotion"] > gain["weather:rain"] > 0


def test_an_aggregates_effect_is_what_its_series_say_together(found):
    learnt, hierarchy = found
    panel_mean = learnt.effect[hierarchy.aggregates :]
    low, high = panel_mean.min(axis=0), panel_mean.max(axis=0)
    above = learnt.effect[: hierarchy.aggregates]
    assert (above >= low - 1e-12).all()
    assert (above <= high + 1e-12).all()


def test_the_price_cut_of_promotions_is_known(found):
    np.testing.assert_allclose(found[0].cut, np.log(0.8), atol=0.03)


def test_signs_nobody_doubts_hold_and_the_contradiction_is_told():
    odd = shop({**PLANTED, "promotion": -0.3, "price": 1.2, "competitor_promotion_intensity": 0.03})
    learnt, _ = learn(odd, odd.panel())
    for name in ("promotion", "price", "competitor_promotion_intensity"):
        k = learnt.names.index(name)
        assert (learnt.effect[:, k] == 0).all(), name
        assert learnt.against[:, k].all(), name
        assert not learnt.sure[:, k].any(), name
    assert not learnt.against[:, learnt.names.index("weather:rain")].any()


def test_nothing_after_the_origin_is_read(made):
    origin = 900
    bottom = made.panel()
    before, _ = learn(made, bottom, origin)
    later = np.arange(bottom.days) >= origin
    units, price = bottom.units.copy(), bottom.price.copy()
    units[:, later[: units.shape[1]]] *= 3
    price[:, later] *= 0.5
    stained = replace(bottom, units=units, price=price)
    market, reports = made.market.copy(), made.reports.copy()
    after = market["date_id"] >= FIRST + origin
    market.loc[after, ["economic_index", "competitor_promotion_intensity"]] = 7.0
    market.loc[after, "social_media_mentions"] = 9999.0
    reports.loc[reports["date_id"] >= FIRST + origin, "weather_condition"] = "Hail"
    again, _ = learn(Shop(made.sales, market, reports), stained, origin)
    assert again.names == before.names
    for name in ("effect", "error", "low", "high", "base", "gain", "weather"):
        np.testing.assert_array_equal(getattr(again, name), getattr(before, name), name)


def test_units_alone_know_no_driver_and_why():
    plain = shop(PLANTED, categories=2, regions=1)
    sales = plain.sales[["date_id", "product_category", "region", "sales_units"]]
    learnt, _ = learn(Shop(sales, plain.market.iloc[:0], plain.reports.iloc[:0]), Panel.from_frames(sales))
    assert learnt.names == ()
    assert learnt.missing["price"] == "no prices are loaded"
    assert set(learnt.missing) >= {"promotion", "price", "weather", "economic_index", "social_media_mentions"}


def test_a_price_that_only_falls_with_promotions_has_no_effect_of_its_own():
    made = shop(PLANTED, categories=3, regions=2)
    sales = made.sales.assign(unit_price=np.where(made.sales["promotion_flag"] > 0, 8.0, 10.0))
    learnt, _ = learn(Shop(sales, made.market, made.reports), Panel.from_frames(sales))
    assert "price" not in learnt.names
    assert "except with promotions" in learnt.missing["price"]


def test_a_short_history_knows_no_driver():
    made = shop(PLANTED, categories=2, regions=1)
    bottom = Panel.from_frames(made.sales[made.sales["date_id"] < FIRST + 150])
    hierarchy = Hierarchy.of(bottom.series)
    panel = hierarchy.panel(bottom)
    nothing = Outside({}, "", (), ("R0",), np.zeros((1, 150, 0)))
    assert drivers.learn(panel, hierarchy, bottom, None, nothing, np.ones(2), 91) is None


def test_the_days_after_a_promotion_fade_as_a_slow_loop_has_them():
    rng = np.random.default_rng(5)
    promotion = (rng.random((3, 60)) < 0.2) * rng.choice([0.5, 1.0], (3, 60))
    expected = np.zeros(promotion.shape)
    for row in range(3):
        for day in range(60):
            left = [promotion[row, day - k] * np.exp(-(k - 1) / 3.0) for k in range(1, 8) if day - k >= 0]
            expected[row, day] = max(0.0, max(left, default=0.0) - promotion[row, day])
    np.testing.assert_allclose(drivers.aftermath(promotion), expected)


def test_the_usual_weather_is_that_of_the_same_season():
    days = FIRST + np.arange(2 * 365)
    winter = (days.astype("datetime64[M]").astype(int) % 12 < 2).astype(float)
    usual = usual_weather(winter[None, :, None], FIRST, 91)
    january = usual[0, (FIRST + 730 + np.arange(91)).astype("datetime64[M]").astype(int) % 12 == 0, 0]
    assert january[:15].min() > 0.5
    assert usual[0, -1, 0] < 0.1


def test_weather_kinds_are_counted_against_clear_and_rare_ones_together():
    days = np.tile(FIRST + np.arange(200), 2)
    kind = np.array(["Sunny"] * 380 + ["rain"] * 10 + ["HAIL"] * 2 + [" Rain "] * 8)
    reports = pd.DataFrame({"date_id": days, "region": "R0", "weather_condition": kind, "rows": 1})
    found = outside(pd.DataFrame(), reports, FIRST, 200, ["R0"])
    assert found.clear == "sunny"
    assert found.conditions == ("rain", "other weather")
    assert found.weather[0, :, 0].sum() == pytest.approx(18 / 2)
    assert found.weather[0, :, 1].sum() == pytest.approx(1.0)


def test_a_hundred_series_take_no_time():
    made = shop(PLANTED, categories=20, regions=5)
    bottom = made.panel()
    hierarchy = Hierarchy.of(bottom.series)
    panel = expected_promotion(hierarchy.panel(bottom))
    said = structural_member.forecast(panel, 91)
    around = outside(made.market, made.reports, FIRST, DAYS, sorted(set(bottom.series["region"])))
    started = time.perf_counter()
    drivers.learn(panel, hierarchy, bottom, said.extras["fit"], around, np.ones(100), 91)
    assert time.perf_counter() - started < 5  # 0.3 s on an idle machine

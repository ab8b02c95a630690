"""What-ifs on a published run: exact without a change, by the stored effects with one, and kept as scenarios."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from trendcast.errors import InvalidInput, NotFound
from trendcast.services import forecast, scenarios, what_if
from trendcast.services.forecast import Selection
from trendcast.services.what_if import Change, Changes, Promotion


@pytest.fixture(scope="module")
def run(demo_db):
    return forecast.current_run(demo_db)


@pytest.fixture(scope="module")
def index(demo_db, run):
    return forecast.series_index(demo_db, run.id)


@pytest.fixture(scope="module")
def total(demo_db, run, index):
    return what_if.baseline(demo_db, run, [int(index["series_id"].iloc[0])])


@pytest.fixture(scope="module")
def bottoms(demo_db, run, index):
    return what_if.baseline(demo_db, run, index.loc[index["level"] == "category_region", "series_id"].tolist())


def day(base, number: int):
    return base.first + timedelta(days=number)


def price(base, share: float, first: int = 0, last: int = 90) -> Changes:
    return Changes((Change("price", share, day(base, first), day(base, last)),))


def test_no_change_gives_the_published_forecast_out_to_the_last_digit(demo_db, run, index):
    for ids in (index["series_id"].iloc[:1].tolist(), index["series_id"].iloc[-4:].tolist()):
        found = what_if.simulate(demo_db, run, ids, Changes())
        daily, weekly = (read(demo_db, run.id, ids) for read in (forecast.forecast_daily, forecast.forecast_weekly))
        assert found.daily["scenario"].tolist() == found.daily["base"].tolist() == daily["mean"].tolist()
        assert found.weekly["scenario"].tolist() == weekly["mean"].tolist()
        assert found.weekly["low"].tolist() == weekly["q10"].tolist()
        assert found.weekly["high"].tolist() == weekly["q90"].tolist()
        np.testing.assert_allclose(found.weekly["money"], weekly["money"], rtol=1e-9)
        assert (found.units, found.money, found.first, found.warnings) == (0.0, 0.0, None, ())


def test_a_baseline_of_fewer_days_says_the_same_of_those(bottoms):
    last = day(bottoms, 83)
    short = what_if.through(bottoms, last)
    assert (short.days, short.last) == (84, last)
    changes = Changes(
        (Change("price", -0.1, bottoms.first, last),), (Promotion(day(bottoms, 3), day(bottoms, 9), True),)
    )
    found, whole = what_if.simulate_on(short, changes), what_if.simulate_on(bottoms, changes)
    assert found.daily.equals(whole.daily.head(84))
    assert found.weekly.equals(whole.weekly.head(len(found.weekly)))
    assert found.weekly["week"].iloc[-1].date() + timedelta(days=6) <= last
    assert what_if.through(bottoms, day(bottoms, 200)) is bottoms


def test_what_is_expected_already_changes_nothing(total):
    planned = [n for n in range(total.days) if total.planned[0, n] == 1.0]
    same = Changes((Change("price", 0.0),), tuple(Promotion(day(total, n), day(total, n), True) for n in planned))
    found = what_if.simulate_on(total, same)
    assert found.daily["scenario"].tolist() == found.daily["base"].tolist()
    assert found.daily["low"].tolist() == found.daily["base_low"].tolist()


def test_a_scenario_is_the_forecast_times_its_effects_by_a_slow_loop(total):
    changes = Changes(
        (
            Change("price", -0.1, day(total, 5), day(total, 20)),
            Change("weather:rain", 0.5, day(total, 10), day(total, 12)),
        ),
        (Promotion(day(total, 15), day(total, 16), True),),
    )
    found = what_if.simulate_on(total, changes)
    effect = dict(zip(total.names, total.figures["effect"][0], strict=True))
    promoted = list(total.paths["promotion"][0])
    called = [1.0 if 15 <= n - 7 <= 16 else share for n, share in enumerate(promoted)]

    def left(shares, n):
        faded = [shares[n - k] * math.exp(-(k - 1) / 3) for k in range(1, 8) if n >= k]
        return max(0.0, max(faded, default=0.0) - shares[n])

    for n in range(total.days):
        power = 0.0
        if 5 <= n <= 20:
            power += effect["price"] * math.log(0.9)
        if 10 <= n <= 12:
            power += effect["weather:rain"] * (0.5 - total.paths["weather:rain"][0, n])
        power += effect["promotion"] * (called[n + 7] - promoted[n + 7])
        power += effect["after_promotion"] * (left(called, n + 7) - left(promoted, n + 7))
        assert found.daily["scenario"][n] == pytest.approx(total.mean[0, n] * math.exp(power), rel=1e-12)


def test_several_series_are_simulated_each_and_added_up(demo_db, run, bottoms, index):
    changes = Changes(price(bottoms, -0.12, 7, 40).levels, (Promotion(day(bottoms, 50), day(bottoms, 56), True),))
    ids = index.loc[index["level"] == "category_region", "series_id"].tolist()
    alone = [what_if.simulate(demo_db, run, [number], changes) for number in ids]
    together = what_if.simulate_on(bottoms, changes)
    np.testing.assert_allclose(together.daily["scenario"], sum(one.daily["scenario"] for one in alone), rtol=1e-12)
    np.testing.assert_allclose(together.daily["money"], sum(one.daily["money"] for one in alone), rtol=1e-12)
    assert together.units == pytest.approx(sum(one.units for one in alone))
    np.testing.assert_allclose(
        together.weekly["difference"],
        [
            together.daily["scenario"][n : n + 7].sum() - together.daily["base"][n : n + 7].sum()
            for n in starts(together)
        ],
        rtol=1e-6,
        atol=1e-6,
    )


def starts(found) -> list[int]:
    first = found.daily["date_id"].iloc[0]
    return [(week - first).days for week in found.weekly["week"]]


def test_lower_prices_never_sell_less(bottoms):
    sold = [what_if.simulate_on(bottoms, price(bottoms, share)).units for share in np.linspace(-0.4, 0.4, 17)]
    assert (np.diff(sold) <= 0).all()
    assert sold[0] > 0 > sold[-1]


def test_a_promotion_sells_more_while_it_lasts_and_less_right_after(total):
    free = next(n for n in range(7, 80) if total.planned[0, n - 7 : n + 9].max() < 0.05)
    found = what_if.simulate_on(total, Changes((), (Promotion(day(total, free), day(total, free + 1), True),)))
    moved = (found.daily["scenario"] - found.daily["base"]).to_numpy()
    assert (moved[free : free + 2] > 0).all()
    assert (moved[free + 2 : free + 7] < 0).all()
    assert (moved[:free] == 0).all()
    assert (moved[free + 9 :] == 0).all()
    assert found.units > 0


def test_the_band_widens_by_what_is_unsure_and_only_there(total):
    found = what_if.simulate_on(total, price(total, -0.1, 7, 20)).daily
    touched = np.zeros(total.days, bool)
    touched[7:21] = True
    width = np.log(found["high"] / found["low"]).to_numpy()
    before = np.log(found["base_high"] / found["base_low"]).to_numpy()
    assert (width[touched] > before[touched]).all()
    assert (found.loc[~touched, "low"] == found.loc[~touched, "base_low"]).all()
    assert (found["low"] <= found["scenario"]).all()
    assert (found["scenario"] <= found["high"]).all()


def test_money_is_units_at_the_new_price(total):
    found = what_if.simulate_on(total, price(total, -0.1)).daily
    paid = found["money"] / found["scenario"]
    np.testing.assert_allclose(paid, 0.9 * found["base_money"] / found["base"], rtol=1e-9)


def test_a_promotion_brings_its_usual_price_cut(total):
    free = next(n for n in range(total.days) if total.planned[0, n] < 0.05)
    found = what_if.simulate_on(total, Changes((), (Promotion(day(total, free), day(total, free), True),))).daily
    paid, before = found["money"] / found["scenario"], found["base_money"] / found["base"]
    step = 1 - total.planned[0, free]
    assert paid[free] == pytest.approx(before[free] * math.exp(total.cut[0] * step))
    assert -0.3 < total.cut[0] < -0.05


def test_beyond_what_was_ever_seen_it_says_extrapolating_with_the_range(total):
    k = total.names.index("price")
    low = total.figures["low"][0, k]
    assert not any("Extrapolating" in words for words in what_if.simulate_on(total, price(total, low / 2)).warnings)
    words = what_if.simulate_on(total, price(total, 2 * low)).warnings
    assert any("Extrapolating: price" in one and "ever seen" in one for one in words)


def test_mentions_act_after_their_lead(total):
    change = Changes((Change("social_media_mentions", 1.0, day(total, 10), day(total, 12), relative=True),))
    found = what_if.simulate_on(replace(total, lead=4), change)
    assert (found.first, found.last) == (day(total, 14), day(total, 16))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (Change("price", -1.0), "100 %"),
        (Change("price", math.nan), "needs a number"),
        (Change("weather:rain", 1.2), "between 0 and 100 %"),
        (Change("moonlight", 1.0), "can be changed: Price"),
        (Change("promotion", 1.0), "not a level"),
        (Change("economic_index", -5.0), "below zero"),
        (Change("economic_index", 1e40), "far beyond anything"),
    ],
)
def test_a_change_that_means_nothing_is_refused_with_a_sentence(total, change, words):
    with pytest.raises(InvalidInput, match=words):
        what_if.simulate_on(total, Changes((change,)))


def test_days_outside_the_forecast_are_refused(total):
    with pytest.raises(InvalidInput, match="lies outside"):
        what_if.simulate_on(total, price(total, -0.1, 200, 210))
    with pytest.raises(InvalidInput, match="begin before it ends"):
        what_if.simulate_on(total, price(total, -0.1, 20, 10))


def test_the_finding_says_what_is_changed_what_it_does_and_how_sure_that_is(total):
    found = what_if.simulate_on(total, price(total, -0.15, 4, 24))
    words = what_if.finding(total, found)
    assert words.startswith("With prices 15\u202f% lower from 5 Oct to 25 Oct: ")
    assert "units more (+" in words
    assert "80\u202f% range +" in words
    assert words.endswith("in sales.")
    calm = what_if.finding(total, what_if.simulate_on(total, Changes()), "All categories")
    assert calm.startswith("All categories: ")
    assert "from 1 Oct to 30 Dec 2026" in calm


def test_a_contradiction_in_the_data_is_said_and_counts_for_nothing(total):
    k = total.names.index("promotion")
    figures = {name: values.copy() for name, values in total.figures.items()}
    figures["effect"][:, k], figures["against"][:, k], figures["sure"][:, k] = 0.0, 1.0, 0.0
    figures["effect"][:, total.names.index("after_promotion")] = 0.0
    odd = replace(total, figures=figures)
    free = next(n for n in range(total.days) if total.planned[0, n] < 0.05)
    found = what_if.simulate_on(odd, Changes((), (Promotion(day(odd, free), day(odd, free), True),)))
    assert found.units == 0.0
    assert any("promotions went along with lower sales" in words for words in found.warnings)
    driver = next(one for one in what_if.drivers_of(odd) if one.name == "promotion")
    assert "counted as no effect" in driver.note
    assert not driver.sure


def test_drivers_tell_their_range_their_effect_and_whether_they_are_proven(demo_db, run, total, index):
    found = what_if.drivers(demo_db, run, index["series_id"].iloc[:1].tolist())
    assert [one.name for one in found[:2]] == ["promotion", "price"]
    assert "after_promotion" not in [one.name for one in found]
    for one in found:
        assert one.low <= one.base <= one.high
        assert "80\u202f% range" in one.effect
    assert found[0].sure
    assert found[0].gain > 0.05


def test_a_run_without_drivers_has_a_forecast_and_nothing_to_change(demo_db, run, index, monkeypatch):
    real = demo_db.rows
    monkeypatch.setattr(demo_db, "rows", lambda query, **p: [] if query == "driver_facts" else real(query, **p))
    base = what_if.baseline(demo_db, run, index["series_id"].iloc[:1].tolist())
    assert base.names == ()
    assert what_if.drivers_of(base) == []
    assert len(what_if.absent(base)) == 6
    with pytest.raises(InvalidInput, match="nothing can be changed"):
        what_if.simulate_on(base, Changes((Change("price", -0.1),)))


def test_a_run_whose_days_are_gone_is_not_found(demo_db, run, index):
    with pytest.raises(NotFound, match="no longer kept"):
        what_if.baseline(demo_db, replace(run, id=999), [1])


def test_stock_is_spoken_of_by_when_it_must_be_there(total):
    found = what_if.simulate_on(total, price(total, -0.1, 30, 40))
    today = total.first
    assert "with a lead time of 9\u202fdays, order by 22 Oct" in what_if.stock_words(found, 9, today)
    assert "an order of today arrives on 15 Nov" in what_if.stock_words(found, 45, today)
    assert "order that much less" in what_if.stock_words(what_if.simulate_on(total, price(total, 0.1)), 9, today)


def test_it_answers_within_the_time_promised(demo_db, run, index):
    """One series in 100 ms, many in 500 ms (p95, idle machine); here with room for a busy one."""
    ids = index["series_id"].tolist()
    changes = Changes((Change("price", -0.1),))
    for chosen, limit in ((ids[:1], 0.4), (ids, 2.0)):
        seconds = sorted(what_if.simulate(demo_db, run, chosen, changes).seconds for _ in range(5))
        assert seconds[2] < limit


# --- scenarios -------------------------------------------------------------------------------------------------------


def keep(db, base, name: str, changes: Changes, **more) -> int:
    found = what_if.simulate_on(base, changes)
    return scenarios.save(
        db,
        name=name,
        who="Ada",
        base=base,
        selection=Selection("category", ("Clothing", "Electronics")),
        selected="The 2 chosen series together",
        scenario=found,
        finding=what_if.finding(base, found),
        **more,
    )


def test_a_scenario_is_kept_listed_read_and_put_aside(db, total):
    changes = Changes(
        (Change("price", -0.15, day(total, 4), day(total, 24)), Change("weather:rain", 0.4)),
        (Promotion(day(total, 30), day(total, 36), True), Promotion(day(total, 1), day(total, 2), False)),
    )
    first = keep(db, total, "  Autumn sale ", changes, note="for the meeting")
    second = keep(db, total, "Dearer", price(total, 0.05))
    found = scenarios.listed(db)
    assert [one.id for one in found] == [second, first]
    saved = scenarios.read(db, first)
    assert (saved.name, saved.note, saved.author, saved.run_id) == (
        "Autumn sale",
        "for the meeting",
        "Ada",
        total.run_id,
    )
    assert saved.changes == changes
    assert saved.selection == Selection("category", ("Clothing", "Electronics"))
    again = what_if.simulate_on(total, saved.changes)
    assert saved.figures["units"] == pytest.approx(again.units)
    np.testing.assert_allclose(saved.weekly["scenario"], again.weekly["scenario"])
    assert saved.finding == what_if.finding(total, again)
    scenarios.archive(db, first)
    assert [one.id for one in scenarios.listed(db)] == [second]
    assert scenarios.read(db, first).name == "Autumn sale"


def test_up_to_four_scenarios_are_compared(db, total):
    ids = [keep(db, total, f"S{n}", price(total, -n / 100)) for n in range(1, 6)]
    assert [one.name for one in scenarios.compared(db, ids[:4][::-1])] == ["S4", "S3", "S2", "S1"]
    with pytest.raises(InvalidInput, match="At most 4"):
        scenarios.compared(db, ids)


def test_a_scenario_needs_a_name_and_a_change(db, total):
    with pytest.raises(InvalidInput, match="needs a name"):
        keep(db, total, "   ", price(total, -0.1))
    with pytest.raises(InvalidInput, match="Nothing is changed"):
        keep(db, total, "Empty", Changes())
    with pytest.raises(InvalidInput, match="at most 80"):
        keep(db, total, "x" * 81, price(total, -0.1))


@pytest.mark.parametrize("number", [0, 77, -3, 2**63])
def test_a_scenario_nobody_kept_is_not_found(db, number):
    with pytest.raises(NotFound):
        scenarios.read(db, number)
    with pytest.raises(NotFound):
        scenarios.archive(db, number)

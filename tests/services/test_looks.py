"""Looks through stock Prophet and statsmodels: made by a job, kept with the run, each failing alone."""

import builtins
from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pytest

from trendcast.errors import InvalidInput, LeaseLost, NotConfigured, NotFound, UsageError
from trendcast.services import jobs as job_service
from trendcast.services import looks
from trendcast.store import jobs, runs

FIRST, HISTORY, HORIZON = np.datetime64("2024-01-01"), 800, 91
NOBODY = "00000000-0000-0000-0000-000000000000"
PROPHETS_OWN = pytest.mark.filterwarnings("ignore:The inplace keyword")


def days(history=HISTORY):
    """A shop that closes on Sundays, sells half as much again under promotion and a tenth more each year."""
    rng = np.random.default_rng(0)
    index = np.arange(history + HORIZON)
    is_open = (index % 7 != 6).astype(float)
    promotion = (index // 7 % 4 == 0).astype(float)
    promotion[history + 30 :] = np.nan  # the plan does not reach the end
    mean = 100 * (1 + 0.1 * index / 365) * (1 + 0.2 * (index % 7 == 4)) * (1 + 0.5 * np.nan_to_num(promotion))
    units = np.where(index < history, np.round(mean * is_open * rng.lognormal(0, 0.05, len(index))), np.nan)
    stockout = np.zeros(len(index), bool)
    stockout[100:103] = True
    units[100:103] = 0
    return pd.DataFrame({"units": units, "open": is_open, "promotion": promotion, "stockout": stockout})


NO_EVENTS = pd.DataFrame({"date_id": pd.to_datetime([]), "event": []})


def publish(db, table):
    """A published run of one series with these days; returns (run id, series id)."""
    history = int(table["units"].last_valid_index()) + 1
    named = (table[name].to_numpy() for name in ("units", "open", "promotion", "stockout", "units"))
    raw = runs.pack_history(*named)
    with db.transaction() as connection:

        def one(statement, *values):
            return connection.exec_driver_sql(statement, values).scalar()

        run = one(
            "INSERT INTO run (status, first_day, last_day, horizon, data_batch_hi, code_version, params_hash,"
            " lease_token, n_series, published_at)"
            " VALUES ('ready', %s::date, %s::date, %s, 0, '', '', %s, 1, now()) RETURNING id",
            str(FIRST), str(FIRST + history - 1), HORIZON, NOBODY,
        )  # fmt: skip
        series = one("INSERT INTO series (level, region) VALUES ('region', 'North') RETURNING id")
        connection.exec_driver_sql(
            "INSERT INTO run_series (run_id, series_id, first_day, days_observed, recent_units, weights, history)"
            " VALUES (%s, %s, %s::date, %s, 1, '{}', %s)",
            (run, series, str(FIRST), history, raw),
        )
    return run, series


def make(db, run, series, kind):
    claim = jobs.claim(db, slot_id=job_service.enqueue(db, "look", {"run_id": run, "series_id": series, "kind": kind}))
    told = []
    arguments = {"run_id": run, "series_id": series, "kind": kind}
    result = looks.look(db, lambda: datetime.now(UTC), lambda *step, **_: told.append(step), claim.token, **arguments)
    jobs.finish(db, claim.id, claim.token, result)
    assert told[-1] == ("fit", 2, 2)
    return result


@PROPHETS_OWN
@pytest.mark.parametrize("kind", looks.KINDS)
def test_a_look_is_made_once_and_read_from_the_run(db, kind):
    run, series = publish(db, days())
    assert looks.read_look(db, run, series, kind) is None
    assert make(db, run, series, kind)["kind"] == kind
    found = looks.read_look(db, run, series, kind)
    forecast = found["forecast"]
    assert len(forecast["dates"]) == len(forecast["mean"]) == HORIZON
    assert forecast["dates"][0] == str(FIRST + HISTORY)
    mean = np.array(forecast["mean"])
    closed = np.arange(HISTORY, HISTORY + HORIZON) % 7 == 6
    assert (mean[closed] == 0).all()
    assert (mean[~closed] > 50).all()
    assert found["made_at"].endswith("+00:00")
    make(db, run, series, kind)  # again: replaced, not refused


@PROPHETS_OWN
def test_prophet_knows_promotions_and_holidays_and_says_how_sure_it_is():
    events = pd.DataFrame({"date_id": pd.to_datetime(["2024-05-01", "2025-05-01", "2026-05-01"]), "event": "May Day"})
    table = days()
    table.loc[[121, 486], "units"] *= 3
    said = looks.prophet_look(looks.one_series(FIRST, HISTORY, table, events), HORIZON)
    lower, mean, upper = (np.array(said["forecast"][name]) for name in ("lower", "mean", "upper"))
    assert (lower <= mean).all()
    assert (mean <= upper).all()
    assert said["settings"] == {"holidays": 1, "promotion": True}
    parts = {name: part for name, part in said["parts"].items() if name != "dates"}
    assert set(parts) == {"trend", "weekly", "yearly", "holidays", "promotions"}
    assert parts["promotions"][0] - parts["promotions"][8] == pytest.approx(50, rel=0.2)
    assert parts["holidays"][121] > 100
    assert sum(part[HISTORY:] for part in parts.values()) == pytest.approx(mean, rel=1e-6)


def test_mstl_parts_add_up_to_the_days_and_short_series_get_a_week_only():
    table = days()
    one = looks.one_series(FIRST, HISTORY, table, NO_EVENTS)
    said = looks.mstl_look(one, HORIZON)
    parts = said["parts"]
    used = ~np.isnan(one.rate[:HISTORY])
    together = parts["trend"] + parts["weekly"] + parts["yearly"] + parts["rest"]
    assert together[used] == pytest.approx(table["units"].to_numpy()[:HISTORY][used])
    assert said["settings"]["periods"] == [7, 365]
    short = looks.mstl_look(looks.one_series(FIRST, 100, days(100), NO_EVENTS), HORIZON)
    assert short["settings"]["periods"] == [7]
    assert np.isfinite(short["forecast"]["mean"]).all()


def test_stock_outs_and_closings_are_not_demand():
    one = looks.one_series(FIRST, HISTORY, days(), NO_EVENTS)
    assert np.isnan(one.rate[100:103]).all()
    assert np.isnan(one.rate[6::7]).all()
    assert not np.isnan(one.promotion).any()
    assert one.promotion[HISTORY + 40] == pytest.approx(0.25, abs=0.03)  # expected, as its weekday's last year


def test_too_few_days_are_refused_in_a_sentence():
    with pytest.raises(InvalidInput, match="10 days"):
        looks.one_series(FIRST, 11, days(11), NO_EVENTS)


@pytest.mark.parametrize(("kind", "module"), [("prophet", "prophet"), ("mstl", "statsmodels.tsa.seasonal")])
def test_a_library_that_cannot_be_imported_costs_only_its_own_look(monkeypatch, kind, module):
    real = builtins.__import__

    def broken(name, *rest, **named):
        if name == module:
            raise OSError("libgomp.so.1: cannot open shared object file")
        return real(name, *rest, **named)

    monkeypatch.setattr(builtins, "__import__", broken)
    one = looks.one_series(FIRST, HISTORY, days(), NO_EVENTS)
    make_it = {"prophet": looks.prophet_look, "mstl": looks.mstl_look}
    with pytest.raises(NotConfigured, match="cannot be imported") as caught:
        make_it.pop(kind)(one, HORIZON)
    assert str(caught.value).count("\n") == 0
    if kind == "prophet":
        assert make_it["mstl"](one, HORIZON)["forecast"]["mean"].any()


def test_unknown_kinds_series_and_lost_leases_are_named(db):
    run, series = publish(db, days())
    arguments = {"run_id": run, "series_id": series, "kind": "mstl"}

    def ask(**change):
        return looks.look(db, lambda: datetime.now(UTC), lambda *_: None, NOBODY, **{**arguments, **change})

    with pytest.raises(UsageError, match="prophet or mstl"):
        ask(kind="oracle")
    with pytest.raises(NotFound, match="no series"):
        ask(series_id=series + 1)
    with pytest.raises(LeaseLost):
        ask()
    assert looks.read_look(db, run, series, "mstl") is None

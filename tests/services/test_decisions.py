"""The log of decisions: only added to, a changed mind replaces, outcomes are told from what happened."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
import pytest

from trendcast.errors import Conflict, InvalidInput, NotFound
from trendcast.services import decisions
from trendcast.services.forecast import RunInfo
from trendcast.services.load import load_frames
from trendcast.store import locks
from trendcast.store.engine import Database

MONDAY = datetime(2026, 6, 1, 9, tzinfo=UTC)


def clock() -> datetime:
    return MONDAY


def advice(**changes: Any) -> dict[str, Any]:
    return {
        "sentence": "Order 300 units of Toys by Wed 3 Jun 2026.",
        "order_quantity": 300.0,
        "order_by": date(2026, 6, 3),
        "lead_time_days": 10.0,
        "on_hand": 100.0,
        "on_order": 0.0,
        "margin": 4.0,
        "lost_money": 480.0,
        **changes,
    }


def decide(db: Database, decision: str = "accept", **how: Any) -> int:
    given = {"run_id": 7, "product_category": "Toys", "recommendation": advice(), "who": "Maria", **how}
    return decisions.decide(db, clock, decision=decision, **given)


def finished(last_day: date) -> RunInfo:
    return RunInfo(7, "full", date(2026, 1, 1), last_day, 91, 1, MONDAY, True, False, None, {})


def test_a_decision_is_read_as_it_was_made(db: Database) -> None:
    number = decide(
        db,
        "modify",
        value=420,
        reason_code="promotion",
        reason=" school holiday ",
        owner="Jonas",
        due_on=date(2026, 6, 3),
    )
    row = decisions.log(db).iloc[0]
    assert (row["id"], row["run_id"], row["decision"], row["value"]) == (number, 7, "modify", 420)
    assert (row["product_category"], row["region"], row["status"], row["outcome"]) == ("Toys", "", "open", "")
    assert (row["reason_code"], row["reason"], row["owner"], row["decided_by"]) == (
        "promotion",
        "school holiday",
        "Jonas",
        "Maria",
    )
    assert row["sentence"] == advice()["sentence"]
    assert row["due_on"].date() == date(2026, 6, 3)
    assert row["decided_at"] == MONDAY
    assert np.isnan(row["outcome_money"])


def test_a_changed_mind_replaces_and_the_old_decision_stays_in_the_table(db: Database) -> None:
    first = decide(db)
    second = decide(db, "defer")
    third = decide(db, "reject", reason="supplier delivers anyway", replaces=second)
    assert decisions.log(db)["id"].tolist() == [third]
    assert decisions.log(db)["decision"].tolist() == ["reject"]
    assert [row["replaced_by"] for n in (first, second, third) for row in db.rows("decision_read", id=n)] == [
        second,
        third,
        None,
    ]
    other = decide(db, product_category="Books")
    assert sorted(decisions.log(db)["id"]) == [third, other]
    assert decisions.log(db, categories=["Books"])["id"].tolist() == [other]
    assert len(decisions.log(db, limit=1)) == 1


def test_who_decides_on_what_another_has_replaced_is_told(db: Database) -> None:
    seen = decide(db)
    decide(db, "defer")
    with pytest.raises(Conflict, match="meanwhile"):
        decide(db, "accept", replaces=seen)
    with pytest.raises(NotFound):
        decide(db, "accept", replaces=999)
    with pytest.raises(InvalidInput, match="another category"):
        decide(db, "accept", product_category="Books", replaces=seen)
    assert len(decisions.log(db)) == 1


@pytest.mark.parametrize(
    ("decision", "how", "words"),
    [
        ("perhaps", {}, "not a decision"),
        ("modify", {"reason": "more"}, "quantity"),
        ("modify", {"value": -1.0, "reason": "more"}, "quantity"),
        ("modify", {"value": float("nan"), "reason": "more"}, "quantity"),
        ("modify", {"value": 5.0, "reason": "  "}, "why"),
        ("reject", {}, "why"),
    ],
)
def test_what_nobody_could_learn_from_is_refused(db: Database, decision: str, how: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidInput, match=words):
        decide(db, decision, **how)
    assert decisions.log(db).empty


def test_of_two_who_decide_at_once_one_stands(db: Database) -> None:
    """The second waits for the first, sees it and takes its place: none of two decisions is left standing beside it."""
    import threading

    about = {"run_id": 7, "product_category": "Toys", "region": ""}
    second = threading.Thread(target=decide, args=(db, "defer"))
    with db.transaction() as connection:
        db.rows("decision_lock", connection=connection, number=locks.DECIDE, **about)
        second.start()
        second.join(0.5)
        assert second.is_alive(), "it waits"
        other = decide(db, product_category="Books")  # nobody else has to
        first = db.rows(
            "decision_add", connection=connection, recommendation={}, decision="accept", value=None, reason_code=None,
            reason=None, owner=None, due_on=None, replaces=None, who="Jonas", at=MONDAY, **about,
        )[0]["id"]  # fmt: skip
    second.join(10)
    standing = decisions.log(db)
    assert sorted(standing["decision"]) == ["accept", "defer"]
    assert other in standing["id"].tolist()
    assert first not in standing["id"].tolist()


def test_data_that_ended_long_ago_are_judged_by_their_own_days(db: Database) -> None:
    """Decided years after the run's business date: outcomes are told all the same, of the days after that date."""
    world(db, sold=10, out=0, ordered=True)
    old = advice(business_date="2026-06-01")
    later = MONDAY + timedelta(days=900)
    decisions.decide(
        db, lambda: later, run_id=7, product_category="Toys", decision="accept", recommendation=old, who="Maria"
    )
    assert decisions.score_outcomes(db, clock, finished(date(2026, 6, 30))) == 1
    row = decisions.log(db).iloc[0]
    assert "no stock-out in 20 days" in row["outcome"]
    assert row["outcome_money"] == pytest.approx(400), "sales between the run and the decision count too"


def test_advice_is_kept_in_plain_values(db: Database) -> None:
    row = pd.Series(
        advice(order_by=pd.Timestamp("2026-06-03"), cover=np.nan, tags=["GROWTH"], rank=np.int64(2), nothing=pd.NaT)
    ).to_dict()
    kept = decisions.plain(row)
    assert kept["order_by"] == "2026-06-03"
    assert (kept["cover"], kept["nothing"], kept["rank"], kept["tags"]) == (None, None, 2, ["GROWTH"])
    assert decide(db, recommendation=row) > 0


def world(db: Database, *, sold: float, out: int, ordered: bool, orders_known: bool = True) -> None:
    """June 2026: ``sold`` a day, the last ``out`` days of it without stock, an order of 300 on the 2nd or none."""
    days = pd.date_range("2026-06-01", "2026-06-30")
    frames = {
        "sales_daily": pd.DataFrame({"date_id": days, "product_category": "Toys", "sales_units": sold}),
        "inventory_daily": pd.DataFrame(
            {
                "date_id": days,
                "product_category": "Toys",
                "stock_level": 50.0,
                "stockout_flag": np.arange(30) >= 20 - out,
            }
        ),
    }
    frames["inventory_daily"].loc[20:, "stockout_flag"] = False
    if orders_known:
        frames["purchase_orders"] = pd.DataFrame(
            {
                "po_id": ["old", "new"][: 1 + ordered],
                "product_category": "Toys",
                "quantity": [50.0, 300.0][: 1 + ordered],
                "ordered_on": [date(2026, 4, 1), date(2026, 6, 2)][: 1 + ordered],
                "received_on": [date(2026, 4, 9), date(2026, 6, 12)][: 1 + ordered],
            }
        )
    load_frames(db, frames, source="test", accept=True)


def test_an_outcome_waits_until_the_order_could_have_arrived(db: Database) -> None:
    world(db, sold=10, out=0, ordered=True)
    decide(db)
    assert decisions.score_outcomes(db, clock, finished(date(2026, 6, 19))) == 0
    assert decisions.log(db)["outcome"].tolist() == [""]
    assert decisions.score_outcomes(db, clock, finished(date(2026, 6, 20))) == 1
    assert decisions.score_outcomes(db, clock, finished(date(2026, 6, 30))) == 0, "what was told stays"


def test_an_order_that_served_customers_has_paid(db: Database) -> None:
    """100 were there, 200 were sold in the 20 days: the order served 100, at a margin of 4."""
    world(db, sold=10, out=0, ordered=True)
    decide(db)
    decisions.score_outcomes(db, clock, finished(date(2026, 6, 30)))
    row = decisions.log(db).iloc[0]
    assert row["status"] == "done"
    assert row["outcome_money"] == pytest.approx(400)
    assert "300\u202funits were ordered, 300\u202funits came in time" in row["outcome"]
    assert "no stock-out in 20 days" in row["outcome"].lower()
    assert "100\u202funits (400 margin) were sold that would not have been there without it" in row["outcome"]


def test_an_accepted_order_that_nobody_placed_has_proved_nothing(db: Database) -> None:
    world(db, sold=10, out=3, ordered=False)
    decide(db)
    decisions.score_outcomes(db, clock, finished(date(2026, 6, 30)))
    row = decisions.log(db).iloc[0]
    assert row["outcome"].startswith("No order followed; 3 stock-out days in 20 days")
    assert row["outcome_money"] == 0


def test_an_order_is_the_doing_of_the_last_decision_before_it(db: Database) -> None:
    """The order leaves on Tuesday 2 June: it is the Monday's, not the Monday's before."""
    world(db, sold=10, out=0, ordered=True)
    before = MONDAY - timedelta(days=7)
    decisions.decide(
        db, lambda: before, run_id=6, product_category="Toys", decision="accept", recommendation=advice(), who="Maria"
    )
    decide(db)
    assert decisions.score_outcomes(db, clock, finished(date(2026, 6, 30))) == 2
    newer, older = decisions.log(db).to_dict("records")
    assert older["outcome"].startswith("No order followed before the next decision")
    assert older["outcome_money"] == 0
    assert newer["outcome_money"] == pytest.approx(400)


def test_a_rejected_order_is_not_praised_for_what_others_ordered(db: Database) -> None:
    world(db, sold=10, out=0, ordered=True)
    decide(db, "reject", reason="enough")
    decisions.score_outcomes(db, clock, finished(date(2026, 6, 30)))
    row = decisions.log(db).iloc[0]
    assert row["outcome_money"] == 0
    assert "without it" not in row["outcome"]


def test_without_purchase_orders_sales_beyond_the_stock_speak(db: Database) -> None:
    world(db, sold=10, out=0, ordered=False, orders_known=False)
    decide(db)
    decisions.score_outcomes(db, clock, finished(date(2026, 6, 30)))
    row = decisions.log(db).iloc[0]
    assert row["outcome_money"] == pytest.approx(400)
    assert "ordered" not in row["outcome"]


def test_lost_units_count_against_a_decision_and_replaced_ones_are_not_told(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    world(db, sold=2, out=2, ordered=False)
    asked: list[tuple[date, date]] = []

    def lost(_db: Database, _run: RunInfo, category: str, first: date, last: date) -> tuple[float, float]:
        asked.append((first, last))
        return 30.0, 300.0

    monkeypatch.setattr(decisions, "_lost", lost)
    decide(db)
    decide(db, "reject", reason="no room")
    assert decisions.score_outcomes(db, clock, finished(date(2026, 6, 30))) == 1
    row = decisions.log(db).iloc[0]
    assert asked == [(date(2026, 6, 1), date(2026, 6, 20))]
    assert row["outcome_money"] == pytest.approx(-120)
    assert "2 stock-out days in 20 days, 30\u202funits lost (120 margin)" in row["outcome"]


def test_lost_units_are_those_of_the_run(demo_db: Database) -> None:
    from trendcast.services import forecast

    run = forecast.current_run(demo_db)
    index = forecast.series_index(demo_db, run.id)
    row = index[index["level"] == "category"].iloc[0]
    days = forecast.history_daily(demo_db, run, [int(row["series_id"])])
    first, last = run.last_day - timedelta(days=700), run.last_day
    units, money = decisions._lost(demo_db, run, row["product_category"], first, last)
    assert units == pytest.approx(days.loc[days["date_id"] >= pd.Timestamp(first), "lost"].sum())
    assert money > 0 if units > 0 else money == 0
    assert decisions._lost(demo_db, run, "Submarines", first, last) == (0.0, 0.0)

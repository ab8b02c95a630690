"""Incidents for people: what the inbox shows, how they are moved and taken back, and what a verdict changes."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pytest

from tests.services.shops import Shop
from trendcast.errors import Conflict, InvalidInput, NotFound
from trendcast.services import incidents
from trendcast.services.detect_window import CORRECTED
from trendcast.store.engine import Database

KEY = ["level", "product_category", "region", "store"]


@pytest.fixture
def shop(db: Database) -> Shop:
    """An outage of the South on the last day but one, a spike on the last, and a drop three weeks before."""
    shop = Shop(db)
    shop.units[22, 138] = 5
    shop.units[2::4, 158] = np.round(shop.units[2::4, 158] * 0.4)
    shop.units[5, 159] *= 3
    shop.load(160)
    shop.detect()
    return shop


def move(shop: Shop, incident_id: int, action: str, **how: Any) -> dict[str, Any]:
    return incidents.move(shop.db, shop.clock, incident_id, action, **{"who": "anna", **how})


def first(shop: Shop) -> int:
    return int(incidents.inbox(shop.db)["incident_id"].iloc[0])


def test_the_inbox_starts_with_what_matters_most(shop: Shop) -> None:
    frame = incidents.inbox(shop.db)
    assert list(frame["status"]) == ["NEW", "NEW"]
    top = frame.iloc[0]
    assert tuple(top[KEY]) == ("region", "", "South", "")
    assert (top["impact"], top["kind"], top["class"], top["direction"], top["members"]) == (
        "HIGH",
        "DEMAND",
        "DROP",
        -1,
        11,
    )
    assert top["low"] <= top["expected"] <= top["high"]
    assert top["actual"] < top["low"]
    assert top["day"].date() == shop.day(158)
    assert list(frame["age_days"]) == [2, 1]
    assert top["loss"] == pytest.approx(20 * top["loss_units"])


def test_filters_find_an_incident_by_its_members(shop: Shop) -> None:
    def found(**how: Any) -> list[str]:
        return [row["region"] for _, row in incidents.inbox(shop.db, **how).iterrows()]

    assert found(categories=["C07"]) == ["South"]
    assert found(regions=["North"]) == ["North"]
    assert found(impacts=["LOW"]) == []
    assert found(since=shop.day(159)) == ["North"]
    assert found(kinds=["SUPPLY", "DATA_QUALITY"]) == []
    assert found(statuses=["RESOLVED"]) == ["South"]
    assert len(found(statuses=())) == 3
    assert len(found(limit=1)) == 1


def test_one_incident_says_what_why_and_what_to_do(shop: Shop) -> None:
    one = incidents.incident(shop.db, first(shop))
    assert one["headline"].startswith("Region South:")
    assert len(one["anomalies"]) == 11
    assert one["anomalies"]["share"].iloc[1:].sum() == pytest.approx(1, abs=0.05)
    assert list(one["events"]["action"]) == ["found"]
    assert len(one["rule"]) >= 3
    assert all(sentence.endswith(".") for sentence in one["rule"])
    assert one["next_step"]
    assert "usual" in " ".join(one["rule"])
    with pytest.raises(NotFound):
        incidents.incident(shop.db, 10**9)


def test_a_move_moves_all_members_and_is_logged(shop: Shop) -> None:
    number = first(shop)
    answer = move(shop, number, "acknowledge", version=1)
    assert (answer["status"], answer["owner"], answer["version"]) == ("ACKNOWLEDGED", "anna", 2)
    members = [row for row in shop.rows("anomaly_log") if row["incident_id"] == number]
    assert {row["status"] for row in members} == {"ACKNOWLEDGED"}
    assert {row["acked_by"] for row in members} == {"anna"}
    answer = move(shop, number, "resolve", note="The tills were down.", version=2)
    assert answer["status"] == "RESOLVED"
    events = incidents.incident(shop.db, number)["events"]
    assert list(events["action"]) == ["found", "acknowledge", "resolve"]
    assert list(events["to_status"]) == ["NEW", "ACKNOWLEDGED", "RESOLVED"]
    assert events["note"].iloc[-1] == "The tills were down."
    assert first(shop) != number


def test_a_member_that_the_data_no_longer_show_stays_out_of_what_becomes_of_its_incident(shop: Shop) -> None:
    number = first(shop)
    shop.units[22, 158] = np.round(shop.units[22, 158] / 0.4)
    shop.load(160, first=158)
    shop.detect()

    def told() -> dict[bool, set[tuple[str, str | None]]]:
        rows = [row for row in shop.rows("anomaly_log") if row["incident_id"] == number]
        sides: dict[bool, set[tuple[str, str | None]]] = {True: set(), False: set()}
        for row in rows:
            sides[row["product_category"] == "C05"].add((row["status"], row["note"]))
        return sides

    assert told() == {True: {("RESOLVED", CORRECTED)}, False: {("NEW", None)}}
    move(shop, number, "acknowledge")
    assert told() == {True: {("RESOLVED", CORRECTED)}, False: {("ACKNOWLEDGED", None)}}
    move(shop, number, "confirmed", note="The tills were down.")
    assert told()[True] == {("RESOLVED", CORRECTED)}


def test_what_is_acknowledged_after_it_was_resolved_is_open_again(shop: Shop) -> None:
    number = first(shop)
    move(shop, number, "resolve", note="The tills were down.")
    (row,) = [one for one in shop.rows("incident") if one["id"] == number]
    assert row["resolved_by"] == "anna"
    move(shop, number, "acknowledge")
    (row,) = [one for one in shop.rows("incident") if one["id"] == number]
    assert (row["status"], row["resolved_by"], row["resolved_at"]) == ("ACKNOWLEDGED", None, None)


def test_a_move_that_changes_nothing_says_so_and_leaves_no_trace(shop: Shop) -> None:
    number = first(shop)
    assert move(shop, number, "acknowledge")["changed"]
    logged = len(incidents.incident(shop.db, number)["events"])
    again = move(shop, number, "acknowledge")
    assert not again["changed"]
    assert len(incidents.incident(shop.db, number)["events"]) == logged


def test_who_saw_an_older_version_is_told(shop: Shop) -> None:
    number = first(shop)
    move(shop, number, "acknowledge", version=1)
    with pytest.raises(Conflict, match="meanwhile"):
        move(shop, number, "false_alarm", version=1, who="ben")
    assert incidents.incident(shop.db, number)["status"] == "ACKNOWLEDGED"


@pytest.mark.parametrize("action", ["resolve", "expected", "data_issue"])
def test_what_others_will_want_to_know_needs_a_note(shop: Shop, action: str) -> None:
    with pytest.raises(InvalidInput, match="note"):
        move(shop, first(shop), action, note="  ")
    assert incidents.incident(shop.db, first(shop))["status"] == "NEW"


def test_what_cannot_be_done_is_refused(shop: Shop) -> None:
    with pytest.raises(InvalidInput, match="no action"):
        move(shop, first(shop), "delete")
    with pytest.raises(InvalidInput, match="date"):
        move(shop, first(shop), "snooze", until=date(2020, 1, 1))
    with pytest.raises(NotFound):
        move(shop, 10**9, "acknowledge")
    with pytest.raises(Conflict, match="undo"):
        move(shop, first(shop), "undo")


def test_each_move_can_be_taken_back_in_turn(shop: Shop) -> None:
    number = first(shop)
    until = shop.clock().date() + timedelta(days=5)
    states = [move(shop, number, "acknowledge")]
    states.append(move(shop, number, "snooze", until=until))
    states.append(move(shop, number, "false_alarm", who="ben"))
    assert states[-1]["disposition"] == "false_alarm"
    names = ("status", "disposition", "snoozed_until", "owner")
    back = move(shop, number, "undo")
    assert [back[name] for name in names] == [states[1][name] for name in names]
    assert back["snoozed_until"] == until
    back = move(shop, number, "undo")
    assert [back[name] for name in names] == [states[0][name] for name in names]
    move(shop, number, "undo")
    one = incidents.incident(shop.db, number)
    assert (one["status"], one["owner"], one["disposition"]) == ("NEW", None, None)
    with pytest.raises(Conflict):
        move(shop, number, "undo")


def test_detecting_again_leaves_what_people_settled(shop: Shop) -> None:
    number = first(shop)
    move(shop, number, "false_alarm")
    shop.units[2::4, 158] -= 1  # a small correction: measured anew
    shop.load(160, first=158)
    shop.detect()
    one = incidents.incident(shop.db, number)
    assert (one["status"], one["disposition"]) == ("RESOLVED", "false_alarm")
    assert one["actual"] == shop.units[2::4, 158].sum()


@pytest.mark.parametrize("verdict", ["new_normal", None])
def test_a_level_that_was_accepted_is_expected_from_then_on(db: Database, verdict: str | None) -> None:
    shop = Shop(db)
    shop.units[6, 152:] = np.round(shop.units[6, 152:] * 0.6)
    shop.load(157)
    shop.detect()
    (number,) = incidents.inbox(db)["incident_id"]
    if verdict:
        move(shop, int(number), verdict)
    shop.load(160)
    told = [row for row in shop.detect()["anomalies"] if row["date"] >= str(shop.day(157))]
    assert bool(told) == (verdict is None)


def test_marks_are_of_exactly_the_series_asked_for(demo_db: Database) -> None:
    from trendcast.services import forecast

    run = forecast.current_run(demo_db)
    frame = incidents.marks(demo_db, run, [1, 2])
    assert frame.empty
    assert {
        "date_id",
        "actual",
        "expected",
        "impact",
        "direction",
        "class",
        "headline",
        "incident_id",
        "status",
    } <= set(frame.columns)


def test_marks_show_each_notable_day(shop: Shop) -> None:
    from trendcast.services.forecast import RunInfo

    with shop.db.transaction() as connection:
        shop.db.execute(
            "series_add", connection=connection, levels=["category_region", "region"], categories=["C05", ""],
            regions=["South", "South"], stores=["", ""],
        )  # fmt: skip
    known = shop.db.frame("series_all")
    run = RunInfo(1, "quick", shop.day(0), shop.day(159), 91, 2, shop.clock(), True, False, None, {})
    for level, row in (("category_region", shop.row("C05", "South")), ("region", None)):
        number = int(known.loc[known["level"] == level, "id"].iloc[0])
        frame = incidents.marks(shop.db, run, [number])
        late = frame[frame["date_id"].dt.date == shop.day(158)]
        assert len(late) == 1
        truth = shop.units[2::4, 158].sum() if row is None else shop.units[row, 158]
        assert late["actual"].iloc[0] == truth
        assert "Region South" in late["headline"].iloc[0]


def test_the_finding_says_what_to_do_and_when_all_is_calm(shop: Shop) -> None:
    said = incidents.finding(shop.db)
    assert said.startswith("2 open incidents")
    assert "Region South" in said
    for number in incidents.inbox(shop.db)["incident_id"]:
        move(shop, int(number), "false_alarm")
    calm = incidents.finding(shop.db)
    assert calm.startswith("Nothing unusual: 40 series")
    counts = incidents.counts(shop.db)
    assert (counts["open"], counts["resolved_7d"], counts["series_checked"]) == (0, 2, 40)
    assert counts["last_checked"] == shop.clock()


@pytest.mark.parametrize(
    ("rows", "first", "words"),
    [
        ([("HIGH", 20), ("LOW", 0), ("MEDIUM", 1)], 2, "First, as it still runs"),  # what is over, or low, waits
        ([("HIGH", 20), ("LOW", 3)], 1, "First, as it still runs"),  # and the list begins with another
        ([("HIGH", 1), ("MEDIUM", 0)], 0, "First"),
        ([("LOW", 9), ("HIGH", 4)], 0, "First"),  # all are over: by money
    ],
)
def test_the_finding_begins_with_what_still_runs_and_matters(
    rows: list[tuple[str, int]], first: int, words: str
) -> None:
    today = date(2026, 6, 15)
    frame = pd.DataFrame([(impact, today - timedelta(days=back)) for impact, back in rows], columns=["impact", "day"])
    top = incidents._first(frame, today)
    assert top.name == first
    assert incidents._lead(frame, top, today) == words


def test_what_could_not_be_judged_is_no_calm(db: Database) -> None:
    shop = Shop(db)
    shop.load(6)
    shop.detect()
    said = incidents.finding(db)
    assert said.startswith("Nothing is open, but nothing could be judged on")
    assert "40 series have too little history" in said.replace("\u202f", " ")


def test_of_a_calm_day_it_is_said_what_could_not_be_judged(db: Database) -> None:
    shop = Shop(db)
    shop.units[:3, 150:] = np.nan  # three that send nothing any more
    shop.load(160)
    shop.detect()
    now = incidents.counts(db)
    assert (now["judged"], now["missing"], now["learning"], now["held"]) == (37, 3, 0, 0)
    for number in incidents.inbox(db)["incident_id"]:
        move(shop, int(number), "false_alarm")
    said = incidents.finding(db).replace("\u202f", " ")
    assert said.startswith("Nothing unusual: 37 series checked")
    assert said.endswith("3 series sent nothing.")


def test_before_the_first_check_the_finding_says_so(db: Database) -> None:
    assert "Nothing has been checked" in incidents.finding(db)
    assert incidents.inbox(db).empty
    assert incidents.counts(db)["last_checked"] is None


def test_what_is_snoozed_is_quiet_until_its_day(shop: Shop) -> None:
    number = first(shop)
    before = incidents.counts(shop.db)
    zone = incidents.today()
    incidents.move(shop.db, lambda: datetime.now(UTC), number, "snooze", who="anna", until=zone + timedelta(days=3))
    now = incidents.counts(shop.db)
    assert (now["open"], now["new"], now["high"]) == (before["open"] - 1, before["new"] - 1, before["high"] - 1)
    assert now["snoozed"] == before["snoozed"] + 1 == 1
    assert "Region South" not in incidents.finding(shop.db)
    assert "(1 more snoozed)" in incidents.finding(shop.db).replace("1 of HIGH impact, ", "")
    # Filtered before the limit: the first of the list is one that is awake.
    assert list(incidents.inbox(shop.db, limit=1, snoozed=False)["incident_id"]) != [number]
    assert list(incidents.inbox(shop.db, snoozed=True)["incident_id"]) == [number]
    assert len(incidents.inbox(shop.db)) == 2


def test_a_snooze_counts_the_retailers_days(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(incidents.wording, "zone", lambda: ZoneInfo("Pacific/Auckland"))
    late = datetime(2026, 6, 14, 20, tzinfo=UTC)  # the 15th there
    assert incidents.today(late) == date(2026, 6, 15)
    with pytest.raises(InvalidInput, match="after today"):
        incidents.move(shop.db, lambda: late, first(shop), "snooze", who="anna", until=date(2026, 6, 15))


def test_money_ranks_what_is_open_whoever_has_seen_it(shop: Shop) -> None:
    top, other = incidents.inbox(shop.db)["incident_id"]
    move(shop, int(top), "acknowledge")
    frame = incidents.inbox(shop.db, statuses=())
    assert list(frame["incident_id"])[:2] == [top, other]
    assert frame["status"].iloc[-1] == "RESOLVED"
    assert "First: Region South" in incidents.finding(shop.db)


def test_marks_of_a_series_under_its_other_name(db: Database) -> None:
    """A store that sells one category is that category in that store."""
    from sqlalchemy import text

    from trendcast.services.forecast import RunInfo

    day = date(2026, 6, 1)
    with db.transaction() as connection:
        run = connection.execute(
            text("""
            INSERT INTO run (status, first_day, last_day, horizon, data_batch_hi, code_version, params_hash,
                lease_token)
            VALUES ('ready', :day, :day, 91, 1, '', '', gen_random_uuid()) RETURNING id"""),
            {"day": day},
        ).scalar_one()
        db.execute(
            "series_add", connection=connection,
            levels=["store", "store", "category_store", "category_store", "region"],
            categories=["", "", "Sales", "Sales", ""], regions=["N", "N", "N", "N", "N"],
            stores=["1", "2", "1", "2", ""],
        )  # fmt: skip
        connection.execute(
            text("""
            INSERT INTO run_series (run_id, series_id, first_day, days_observed, recent_units, weights)
            SELECT :run, id, :day, 10, 1, '{}' FROM series"""),
            {"run": run, "day": day},
        )
        connection.execute(
            text("""
            INSERT INTO anomaly_log (detected_date, product_category, region, store, level, actual_value,
                expected_value, anomaly_score, impact_level, fingerprint, class, direction, episode_start, explanation)
            VALUES (:day, 'Sales', 'N', '1', 'category_store', 1, 9, 4, 'LOW', sha256('x'), 'DROP', -1, :day,
                '{"days": [{"day": "2026-06-01", "actual": 1, "expected": 9, "impact": "LOW"}]}')"""),
            {"day": day},
        )
    info = RunInfo(run, "quick", day, day, 91, 2, datetime.now(UTC), True, False, None, {})
    found = {
        (row["level"], row["store"]): len(incidents.marks(db, info, [int(row["id"])]))
        for row in db.frame("series_all").to_dict("records")
    }
    assert found == {
        ("store", "1"): 1, ("store", "2"): 0, ("category_store", "1"): 1, ("category_store", "2"): 0, ("region", ""): 0,
    }  # fmt: skip

"""Detection as a use-case, in a real database: once per state of the data, in one go, corrected as the data are."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sqlalchemy import event

from tests.services.shops import CATEGORIES, Shop
from trendcast import settings
from trendcast.anomalies.detect import detect as judge
from trendcast.errors import Conflict
from trendcast.jobs import worker
from trendcast.services import detect as service
from trendcast.services import detect_window, incidents, plain_rule
from trendcast.services import jobs as job_service
from trendcast.services.load import load_frames
from trendcast.services.progress import silent
from trendcast.store.engine import Database

TABLES = ("anomaly_log", "incident", "anomaly_event", "detection_run")


@pytest.fixture
def shop(db: Database) -> Shop:
    return Shop(db)


def state(shop: Shop) -> dict[str, Any]:
    return {table: shop.rows(table) for table in TABLES}


def test_without_sales_there_is_nothing_to_check(db: Database) -> None:
    with pytest.raises(Conflict, match="no sales"):
        service.detect(db, lambda: None, silent, None)  # type: ignore[arg-type, return-value]


def test_a_regional_outage_is_one_incident_with_its_members(shop: Shop) -> None:
    shop.load(159)
    shop.detect()
    shop.units[2::4, 159] = np.round(shop.units[2::4, 159] * 0.4)
    shop.load(160)
    result = shop.detect()
    assert (result["days"], result["incidents"], result["as_of"]) == (1, 1, str(shop.day(159)))
    (incident,) = shop.rows("incident")
    assert (incident["impact"], incident["status"], incident["members"]) == ("HIGH", "NEW", 11)
    assert "Region South" in incident["headline"]
    log = shop.rows("anomaly_log")
    lead = next(row for row in log if row["lead"])
    assert (lead["level"], lead["region"], lead["product_category"]) == ("region", "South", "")
    assert {row["product_category"] for row in log if not row["lead"]} == set(CATEGORIES)
    assert lead["actual_value"] == shop.units[2::4, 159].sum()
    assert lead["loss"] == pytest.approx(20 * lead["loss_units"])
    assert lead["created_at"] == shop.clock()
    assert lead["anomaly_score"] > 4
    told = result["anomalies"]
    assert {(row["date"], row["region"]) for row in told} == {(str(shop.day(159)), "South")}
    assert len(told) == 11


def test_the_same_data_twice_change_nothing(shop: Shop) -> None:
    shop.units[5, 150] = 3
    shop.load(160)
    first = shop.detect()
    before = state(shop)
    again = shop.detect()
    assert again["repeated"]
    assert {**again, "seconds": 0, "repeated": 0} == {
        **first,
        "seconds": 0,
        "repeated": 0,
        "parts": first["parts"],
    } or (again["anomalies"] == first["anomalies"])
    assert state(shop) == before
    load_frames(shop.db, {"sales_daily": shop.frame(0, 160)}, source="test", clock=shop.clock)
    shop.detect()
    assert state(shop)["anomaly_log"] == before["anomaly_log"]
    assert state(shop)["incident"] == before["incident"]


def test_a_dry_run_says_the_same_and_writes_nothing(shop: Shop) -> None:
    shop.units[5, 159] = 3
    shop.load(160)
    dry = shop.detect(dry_run=True)
    assert all(rows == [] for rows in state(shop).values())
    assert dry["anomalies"] == shop.detect()["anomalies"]
    assert dry["dry_run"]


def test_the_first_look_settles_what_is_long_past(shop: Shop) -> None:
    shop.units[5, 130] = 3
    shop.units[9, 158] = 3
    shop.units[11, 90] = 3  # older than the first look
    shop.load(160)
    shop.detect()
    log = {row["detected_date"]: row for row in shop.rows("anomaly_log")}
    assert set(log) == {shop.day(130), shop.day(158)}
    assert (log[shop.day(130)]["status"], log[shop.day(130)]["note"]) == ("RESOLVED", detect_window.FIRST_READ)
    assert (log[shop.day(158)]["status"], log[shop.day(158)]["note"]) == ("NEW", None)
    assert incidents.counts(shop.db)["open"] == 1


def test_data_that_ended_long_ago_are_not_called_late(shop: Shop) -> None:
    shop.load(160)
    later = shop.clock() + timedelta(days=900)
    service.detect(shop.db, lambda: later, silent, None)
    assert [row for row in shop.rows("anomaly_log") if row["kind"] == "DATA_QUALITY"] == []


def test_an_episode_of_days_is_one_entry_that_grows(shop: Shop) -> None:
    shop.units[7, 150:153] = np.round(shop.units[7, 150:153] * 0.2)
    shop.load(150)
    shop.detect()
    sizes = []
    for day in (151, 152, 153):
        shop.load(day)
        shop.detect()
        (entry,) = shop.rows("anomaly_log")
        sizes.append((entry["loss_units"], entry["last_day"]))
        assert entry["episode_start"] == shop.day(150)
    assert [day for _, day in sizes] == [shop.day(number) for number in (150, 151, 152)]
    assert sizes[0][0] < sizes[1][0] < sizes[2][0]
    assert len(shop.rows("incident")) == 1


def test_corrected_data_resolve_what_they_no_longer_show(shop: Shop) -> None:
    right = shop.units[5, 155]
    shop.units[5, 155] = 3
    shop.load(160)
    shop.detect()
    (entry,) = shop.rows("anomaly_log")
    assert entry["status"] == "NEW"
    shop.units[5, 155] = right
    shop.load(160, first=155)
    shop.detect()
    (entry,) = shop.rows("anomaly_log")
    (incident,) = shop.rows("incident")
    assert (entry["status"], entry["note"]) == ("RESOLVED", detect_window.CORRECTED)
    assert (incident["status"], incident["note"]) == ("RESOLVED", detect_window.CORRECTED)
    assert [row["action"] for row in shop.rows("anomaly_event")] == ["found", "corrected"]


def test_what_ended_long_ago_is_not_begun_anew_by_a_first_look(shop: Shop) -> None:
    right = shop.units[5, 130]
    shop.units[5, 130] = 3
    shop.load(140)
    shop.detect()
    shop.units[5, 130] = right
    shop.load(140, first=130)
    shop.detect()
    shop.units[5, 130] = 3
    shop.load(160, first=130)
    with shop.db.transaction() as connection:
        connection.exec_driver_sql("UPDATE anomaly_log SET detection_run = NULL")
        connection.exec_driver_sql("DELETE FROM detection_run")
    shop.detect()
    for table in ("incident", "anomaly_log"):
        (row,) = shop.rows(table)
        told = (row["status"], row["note"], row["resolved_by"])
        assert told == ("RESOLVED", detect_window.CORRECTED, "TrendCast"), table
        assert row["resolved_at"] is not None
    assert [row["action"] for row in shop.rows("anomaly_event")] == ["found", "corrected"]


def test_a_missing_feed_is_one_matter_of_data_until_it_arrives(shop: Shop) -> None:
    whole = shop.units.copy()
    shop.units[1::4, 159] = np.nan
    shop.load(159)
    shop.detect()
    shop.load(160)
    shop.detect()
    (entry,) = shop.rows("anomaly_log")
    assert (entry["kind"], entry["class"], entry["region"], entry["status"]) == (
        "DATA_QUALITY", "MISSING_FEED", "North", "NEW",
    )  # fmt: skip
    shop.units = whole
    shop.load(160, first=159)
    shop.detect()
    (entry,) = shop.rows("anomaly_log")
    assert (entry["status"], entry["note"]) == ("RESOLVED", detect_window.ARRIVED)
    assert len(shop.rows("incident")) == 1


def test_a_doubled_feed_is_no_boom(shop: Shop) -> None:
    shop.units[3::4, 159] *= 2
    shop.load(160)
    shop.detect()
    assert [(row["kind"], row["class"]) for row in shop.rows("anomaly_log")] == [("DATA_QUALITY", "DOUBLED_FEED")]


def test_no_stock_is_said_with_the_stock(shop: Shop) -> None:
    shop.units[8:12, 159] = 0
    stock = pd.DataFrame(
        {
            "date_id": [shop.day(number) for number in range(100, 160)],
            "product_category": "C02",
            "stock_level": [5000] * 59 + [0],
            "reorder_point": 100,
            "lead_time_days": 7,
            "stockout_flag": [False] * 59 + [True],
        }
    )
    shop.load(160)
    load_frames(shop.db, {"inventory_daily": stock}, source="test", clock=shop.clock)
    shop.detect()
    (incident,) = shop.rows("incident")
    assert incident["kind"] == "SUPPLY"
    lead = next(row for row in shop.rows("anomaly_log") if row["lead"])
    assert (lead["level"], lead["class"], lead["cause"]) == ("category", "STOCK_OUT", "stock-out")


def test_a_day_still_arriving_waits_until_it_is_whole(shop: Shop) -> None:
    shop.load(159)
    shop.detect()
    whole = shop.units.copy()
    shop.units[12:, 159] = np.nan
    shop.load(160)
    assert shop.detect()["as_of"] == str(shop.day(158))
    shop.units = whole
    shop.units[3, 159] = 2
    shop.load(160, first=159)
    result = shop.detect()
    assert (result["as_of"], result["days"]) == (str(shop.day(159)), 1)
    assert [row["detected_date"] for row in shop.rows("anomaly_log")] == [shop.day(159)]


def test_as_of_looks_at_nothing_later(shop: Shop) -> None:
    shop.units[5, 150] = 3
    shop.units[9, 155] = 3
    shop.load(160)
    shop.detect(as_of=shop.day(152))
    assert [row["detected_date"] for row in shop.rows("anomaly_log")] == [shop.day(150)]
    assert shop.detect(as_of=shop.day(156))["days"] == 4
    assert len(shop.rows("anomaly_log")) == 2


def test_a_pass_asks_the_database_five_times(shop: Shop) -> None:
    shop.load(160)
    asked: list[str] = []

    def note(_connection: object, _cursor: object, words: str, *_: object) -> None:
        asked.append(words)

    event.listen(shop.db._engine, "before_cursor_execute", note)
    shop.detect()
    assert 1 <= len(asked) <= 5
    event.remove(shop.db._engine, "before_cursor_execute", note)


def test_names_that_break_careless_sql_or_keys_are_only_names(shop: Shop) -> None:
    evil = "x'; DROP TABLE run; --|\"[]{}%s:id"
    shop.keys = [(evil if category == "C00" else category, region) for category, region in shop.keys]
    shop.units[0:4, 159] = 3
    shop.load(160)
    shop.detect()
    found = [row for row in shop.rows("anomaly_log") if row["product_category"] == evil]
    assert found
    frame = incidents.inbox(shop.db, categories=[evil])
    assert len(frame)
    assert evil in str(frame["headline"].iloc[0])


def test_a_load_wakes_detection_once(shop: Shop) -> None:
    def slots() -> int:
        found = job_service.slots(shop.db)
        return int((found["name"] == "detect").sum())

    worker.tick(shop.db, settings.load({}))
    assert slots() == 0
    shop.load(159)
    worker.tick(shop.db, settings.load({}))
    worker.tick(shop.db, settings.load({}))
    assert slots() == 1
    shop.detect()
    worker.tick(shop.db, settings.load({}))
    assert slots() == 1
    shop.load(160)
    worker.tick(shop.db, settings.load({}))
    assert slots() == 2


def test_the_newest_forecast_from_before_the_day_is_the_expectation(shop: Shop) -> None:
    """Of a run that ends before the day, one that is older, and one that has seen the day."""
    from sqlalchemy import text

    shop.units[5, 159] = 3
    shop.load(160)
    with shop.db.transaction() as connection:
        parts = {"categories": [key[0] for key in shop.keys], "regions": [key[1] for key in shop.keys]}
        shop.db.execute("series_add", connection=connection, levels=["category_region"] * 40, stores=[""] * 40, **parts)
        for last, mean in ((150, 300.0), (158, 500.0), (159, 900.0)):
            connection.execute(
                text("""
                WITH made AS (INSERT INTO run (status, first_day, last_day, horizon, data_batch_hi, code_version,
                    params_hash, lease_token) VALUES ('ready', :first, :last, 91, 1, '', '', gen_random_uuid())
                    RETURNING id)
                INSERT INTO forecast (run_id, series_id, date_id, mean, q025, q05, q10, q25, q50, q75, q90, q95, q975)
                SELECT made.id, s.id, d::date, :mean, 0, 0, 0, 0, 0, 0, 0, 0, 0
                FROM made, series s, generate_series(CAST(:last AS date) + 1, CAST(:last AS date) + 20, '1 day') AS d
                """),
                {"first": shop.day(0), "last": shop.day(last), "mean": mean},
            )
    shop.detect()
    entry = next(row for row in shop.rows("anomaly_log") if row["detected_date"] == shop.day(159))
    assert entry["expected_value"] == pytest.approx(500)
    assert entry["forecast_run"] == shop.rows("run")[1]["id"]
    assert entry["explanation"]["facts"]["frozen"]


def test_a_dry_run_on_a_database_others_read_changes_nothing(demo_db: Database) -> None:
    result = service.detect(demo_db, lambda: datetime.now(UTC), silent, None, dry_run=True)
    assert result["n_series"] == 6
    assert demo_db.rows("detect_last") == []


def test_the_plain_rule_is_there_to_compare(demo_db: Database) -> None:
    from trendcast.services import forecast

    run = forecast.current_run(demo_db)
    series = int(forecast.series_index(demo_db, run.id)["series_id"].iloc[-1])
    frame = plain_rule.plain_rule(demo_db, run, [series], days=90)
    assert list(frame.columns) == ["date_id", "actual", "expected", "score", "impact"]
    assert len(frame) == 90
    assert frame["score"].max() <= 3.4743
    assert set(frame["impact"]) <= {"", "LOW", "MEDIUM"}


def lead(shop: Shop, day: int) -> dict[str, Any]:
    return next(row for row in shop.rows("anomaly_log") if row["lead"] and row["last_day"] == shop.day(day))


def test_a_feed_that_fails_again_days_after_it_was_mended_is_a_new_incident(shop: Shop) -> None:
    whole = shop.units.copy()
    shop.load(155)
    shop.detect()
    shop.units[1::4, [155, 158]] = np.nan
    shop.load(156)
    shop.detect()
    shop.units[1::4, 155] = whole[1::4, 155]
    shop.load(156, first=155)
    shop.detect()
    for until in (157, 158, 159):
        shop.load(until)
        shop.detect()
    found = {row["episode_start"]: (row["status"], row["note"]) for row in shop.rows("incident")}
    assert found == {shop.day(155): ("RESOLVED", detect_window.ARRIVED), shop.day(158): ("NEW", None)}


def test_what_follows_a_false_alarm_is_not_swallowed_by_it(shop: Shop) -> None:
    shop.units[7, 150] = np.round(shop.units[7, 150] * 0.7)
    shop.units[7, 151:153] = 3
    shop.load(151)
    shop.detect()
    (one,) = shop.rows("incident")
    incidents.move(shop.db, shop.clock, one["id"], "false_alarm", who="anna")
    for until in (152, 153):
        shop.load(until)
        shop.detect()
    first, second = shop.rows("incident")
    assert (first["status"], first["episode_start"]) == ("RESOLVED", shop.day(150))
    assert (second["status"], second["episode_start"]) == ("NEW", shop.day(151))
    assert lead(shop, 152)["incident_id"] == second["id"]
    assert list(incidents.inbox(shop.db)["incident_id"]) == [second["id"]]


def test_a_new_member_of_an_incident_is_in_its_state(shop: Shop) -> None:
    shop.load(159)
    shop.detect()
    shop.units[2::4, 159] = np.round(shop.units[2::4, 159] * 0.4)
    whole = shop.units[2, 159]
    shop.units[2, 159] = np.round(whole / 0.4)
    shop.load(160)
    shop.detect()
    (one,) = shop.rows("incident")
    incidents.move(shop.db, shop.clock, one["id"], "acknowledge", who="anna")
    shop.units[2, 159] = whole
    shop.load(160, first=159)
    shop.detect()
    members = [row for row in shop.rows("anomaly_log") if row["incident_id"] == one["id"]]
    assert "C00" in {row["product_category"] for row in members}
    assert {row["status"] for row in members} == {"ACKNOWLEDGED"}


def stock(shop: Shop, flags: list[bool] | None, levels: list[int], until: int = 160) -> None:
    days = [shop.day(number) for number in range(until - len(levels), until)]
    rows: dict[str, Any] = {"date_id": days, "product_category": "C02", "stock_level": levels}
    frame = pd.DataFrame({**rows, **({"stockout_flag": flags} if flags else {})})
    load_frames(shop.db, {"inventory_daily": frame}, source="test", accept=True, clock=shop.clock)


def test_no_stock_is_known_by_its_level_when_there_is_no_flag(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    shop.units[8:12, 130] = 0
    shop.units[8:12, 159] = 0
    shop.load(160)
    stock(shop, None, [5000] * 59 + [0])
    found: list[Any] = []

    class Kept(detect_window.Window):
        def __init__(self, *given: Any) -> None:
            super().__init__(*given)
            found.append(self.scene.stock)

    monkeypatch.setattr(service, "Window", Kept)
    shop.detect()
    assert found[0].out[0].tolist() == [False] * 159 + [True]


def test_stock_that_is_back_is_said_and_what_is_left_to_do(shop: Shop) -> None:
    shop.units[8:12, 157] = 0
    shop.load(160)
    stock(shop, [False] * 57 + [True, False, False], [5000] * 57 + [0, 5000, 5000])
    shop.detect()
    (one,) = incidents.inbox(shop.db, kinds=["SUPPLY"]).to_dict("records")
    assert "C02 is back since" in one["next_step"]
    assert "record why it ran out" in incidents.incident(shop.db, one["incident_id"])["next_step"]
    listed = incidents.listed(shop.db, kinds=["SUPPLY"], categories=["C02"]).rows
    assert all("Order" not in row["next_step"] for row in listed)


def test_where_some_costs_are_known_the_others_weigh_by_a_usual_margin() -> None:
    series = pd.DataFrame({"product_category": ["A", "B", "C"]})
    units, price = np.full((3, 60), 5.0), np.full((3, 60), 10.0)
    assumed: set[str] = set()
    costs = {"costs": [["A", 6.0], ["C", 12.0]]}
    assert detect_window._value(costs, series, units, price, assumed).tolist() == pytest.approx([4.0, 3.5, 0.5])
    assert assumed == {"B"}
    assert detect_window._value({"costs": []}, series, units, price, set()).tolist() == pytest.approx([10.0] * 3)


def test_a_node_that_was_read_again_unchanged_is_not_called_corrected(shop: Shop) -> None:
    shop.keys.append(("NEW", "South"))
    young = np.full((1, shop.days), np.nan)
    young[0, 155:] = 300
    shop.units = np.vstack([shop.units, young])  # nothing is expected of it yet
    shop.units[2:40:4, 158] = np.round(shop.units[2:40:4, 158] * 0.4)
    shop.load(158)
    shop.detect()
    shop.load(159)
    shop.detect()
    (entry,) = [row for row in shop.rows("anomaly_log") if row["lead"] and row["level"] == "region"]
    shop.units[2:40:4, 158] = shop.units[2:40:4, 158] + 0.0
    (episode,) = [
        detect_window._episode(one) for one in detect_window.read_state(shop.db)["entries"] if one["level"] == "region"
    ]
    clock = shop.clock()
    with shop.db.read() as connection:
        state = detect_window.read_state(shop.db, connection)
        window = detect_window.Window(shop.db, connection, state, clock)
    found = judge(window.scene, window.judged, window.limits)
    known = window.actuals([episode], found)
    assert known[episode.key, str(shop.day(158))] == entry["actual_value"]


def test_a_day_that_was_corrected_is_learnt_from_again(shop: Shop) -> None:
    right = shop.units[1::4, 150].copy()
    shop.units[1::4, 150] = np.nan
    shop.load(155)
    shop.detect()
    shop.units[1::4, 150] = right
    shop.load(156, first=150)
    shop.detect()
    state = detect_window.read_state(shop.db)
    with shop.db.read() as connection:
        window = detect_window.Window(shop.db, connection, state, shop.clock())
    assert [episode.over for episode in window.episodes] == [True]
    assert not window.scene.masked.any()


def test_a_pass_that_was_not_to_look_further_leaves_the_rest_to_the_next(shop: Shop) -> None:
    shop.load(160)
    shop.detect(as_of=shop.day(152))
    assert shop.db.rows("detect_need")[0]["newest_sales"] is not None
    result = shop.detect()
    assert (result["as_of"], result["days"]) == (str(shop.day(159)), 7)
    assert shop.db.rows("detect_need")[0]["newest_sales"] is None


def test_only_the_newest_run_keeps_its_list(shop: Shop) -> None:
    shop.units[5, 150] = 3
    shop.load(155)
    shop.detect()
    shop.load(156)
    shop.detect()
    first, second = shop.rows("detection_run")
    assert "anomalies" not in first["summary"]["result"]
    assert first["summary"]["result"]["n_flagged"] == 1
    assert "anomalies" in second["summary"]["result"]
    assert shop.detect()["repeated"]


def test_a_pass_ends_no_matter_what_the_server_is_set_to(shop: Shop) -> None:
    asked = shop.db.rows("detect_lock", number=1, turn=False)[0]
    assert "10min" in asked.values()


def test_a_planned_promotion_that_nobody_recorded_counts_as_one(shop: Shop) -> None:
    """And when its usual uplift is absent, that is what is said."""
    row, runs = shop.row("C04", "East"), (20, 50, 80, 110, 140, 156)
    for start in runs[:-1]:
        shop.units[row, start : start + 4] = np.round(shop.units[row, start : start + 4] * 1.6)
    plan = pd.DataFrame(
        [
            {"date_id": shop.day(start + day), "product_category": "C04", "region": "East", "promotion_flag": True}
            for start in runs
            for day in range(4)
        ]
    )
    load_frames(shop.db, {"plan_daily": plan}, source="test", accept=True, clock=shop.clock)
    shop.load(156)
    shop.detect()
    assert shop.rows("incident") == []
    shop.load(160)
    shop.detect()
    (one,) = incidents.inbox(shop.db).to_dict("records")
    assert (one["class"], one["kind"], one["first_day"].date()) == ("PROMO_WITHOUT_UPLIFT", "DEMAND", shop.day(156))
    assert "a promotion runs since" in one["headline"]
    assert "did not lift sales" in one["headline"]
    assert one["next_step"].startswith("Check that the promotion really ran")


class TestToday:
    """A shop whose day 150 is yesterday."""

    @pytest.fixture
    def shop(self, db: Database, monkeypatch: pytest.MonkeyPatch) -> Shop:
        from tests.services import shops

        monkeypatch.setattr(shops, "FIRST", datetime.now(UTC).date() - timedelta(days=151))
        return Shop(db)

    def at(self, shop: Shop, **later: int) -> Any:
        now = datetime.now(UTC) + timedelta(**later)
        return lambda trigger="ingest": service.detect(shop.db, lambda: now, silent, None, trigger=trigger)

    def test_a_region_whose_file_is_on_its_way_is_given_time(self, shop: Shop) -> None:
        whole = shop.units.copy()
        shop.load(150)
        self.at(shop)()
        shop.units[1::4, 150] = np.nan
        shop.load(151)
        self.at(shop)()
        assert shop.rows("incident") == []
        assert self.at(shop, hours=1)()["repeated"]
        result = self.at(shop, hours=3)("1400")
        assert (result["incidents"], [row["class"] for row in shop.rows("anomaly_log")]) == (1, ["MISSING_FEED"])
        assert self.at(shop, hours=4)()["repeated"]
        shop.units = whole
        shop.load(151, first=150)
        self.at(shop, hours=5)()
        assert [row["note"] for row in shop.rows("incident")] == [detect_window.ARRIVED]

    def test_what_comes_in_time_was_never_missing(self, shop: Shop) -> None:
        whole = shop.units.copy()
        shop.load(150)
        self.at(shop)()
        shop.units[1::4, 150] = np.nan
        shop.load(151)
        self.at(shop)()
        shop.units = whole
        shop.load(151, first=150)
        self.at(shop)()
        assert self.at(shop, hours=3)()["repeated"]
        assert shop.rows("incident") == []

    def test_sales_that_stay_away_are_said_once_and_are_over_when_they_come(self, shop: Shop) -> None:
        shop.load(151)
        self.at(shop)()
        for later, trigger in ((1, "1400"), (3, "ingest")):
            self.at(shop, days=later)(trigger)
            assert shop.rows("incident") == []
        for trigger in ("0800", "1400"):
            self.at(shop, days=3)(trigger)
        (one,) = shop.rows("incident")
        assert (one["status"], one["kind"], one["episode_start"]) == ("NEW", "DATA_QUALITY", shop.day(151))
        assert "no sales data of" in one["headline"]
        found = incidents.incident(shop.db, one["id"])
        assert (found["class"], found["level"]) == ("LATE_FEED", "total")
        assert all(found["rule"])
        shop.load(154)
        self.at(shop, days=3)()
        (one,) = shop.rows("incident")
        assert (one["status"], one["note"]) == ("RESOLVED", detect_window.ARRIVED)

    def test_sales_that_stayed_away_for_longer_than_days_are_judged_again_have_come_too(
        self, shop: Shop, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        shop.load(151)
        self.at(shop)()
        self.at(shop, days=9)("0800")
        (one,) = shop.rows("incident")
        assert (one["status"], one["episode_start"]) == ("NEW", shop.day(151))
        monkeypatch.setattr(detect_window, "FIRST_LOOK", 5)
        shop.load(160)
        assert self.at(shop)()["days"] == 5
        (one,) = shop.rows("incident")
        assert (one["status"], one["note"]) == ("RESOLVED", detect_window.ARRIVED)

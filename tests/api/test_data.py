"""POST /data/{table}: rows that other systems push, loaded as files are; the answer says what became of them."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from tests.services.shops import CATEGORIES, REGIONS, Shop
from trendcast.services.progress import silent
from trendcast.services.tables import TABLES
from trendcast.store.engine import Database

DAY = "2026-06-14"  # the day after the shop's last


def sold(category: str = "C01", region: str = "North", units: Any = 5, **more: Any) -> dict[str, Any]:
    return {"date_id": DAY, "product_category": category, "region": region, "sales_units": units, **more}


@pytest.fixture
def shop(db: Database) -> Shop:
    """160 days of 40 series; the pushed day is the next one."""
    shop = Shop(db)
    shop.load(160)
    assert str(shop.day(160)) == DAY
    return shop


@pytest.fixture
def rest(shop: Shop, serving: Callable[[str], Any]) -> Any:
    return serving(shop.db.url)


def whole_day(**changes: Any) -> list[dict[str, Any]]:
    """Every series of the next day, once."""
    return [sold(category, region, 100, **changes) for category in CATEGORIES for region in REGIONS]


def facts(shop: Shop) -> list[Any]:
    """All that a load may change of the sales: the rows without their batch, and what was replaced."""
    sales = [{k: v for k, v in row.items() if k != "batch_id"} for row in shop.rows("sales_daily", "date_id, 2, 3, 4")]
    return [sales, [row["old_row"] for row in shop.rows("fact_history")]]


def test_rows_are_merged_counted_and_wake_the_detection(rest: Any, shop: Shop) -> None:
    body = rest.post("/data/sales_daily", json={"rows": whole_day()}).json()
    assert body["success"] is True
    assert (body["status"], body["rows_in"], body["merged"], body["new"]) == ("merged", 40, 40, 40)
    assert (body["first_day"], body["last_day"], body["quarantined"]) == (DAY, DAY, 0)
    (batch,) = [row for row in shop.rows("load_batch") if row["id"] == body["batch_id"]]
    assert batch["source"] == "push local"
    assert shop.db.rows("detect_need")[0]["newest_sales"] == batch["committed_at"], "as after any load"


def test_the_same_body_again_changes_nothing(rest: Any, shop: Shop) -> None:
    rest.post("/data/sales_daily", json={"rows": whole_day()})
    before, due = facts(shop), shop.db.rows("detect_need")
    again = rest.post("/data/sales_daily", json={"rows": whole_day()}).json()
    assert (again["status"], again["merged"], again["unchanged"]) == ("merged", 0, 40)
    assert facts(shop) == before
    assert shop.db.rows("detect_need") == due, "nothing is new, so nobody is woken for it"


def test_a_corrected_value_is_kept_in_history_and_can_be_put_back(rest: Any, shop: Shop) -> None:
    first, second = {"rows": whole_day()}, {"rows": whole_day(promotion_flag=True)}
    for body, changed in ((first, 0), (second, 40), (first, 0)):
        assert rest.post("/data/sales_daily", json=body).json()["changed"] == changed, "no column, no change"
    for units, changed in ((7, 1), (8, 1), (7, 1)):
        body = {"rows": [sold(units=units)]}
        assert rest.post("/data/sales_daily", json=body).json()["changed"] == changed, "the first content comes again"
    assert [row["old_row"]["sales_units"] for row in shop.rows("fact_history")][-3:] == [100, 7, 8]


def test_bad_rows_go_to_quarantine_with_their_reason_and_the_others_load(rest: Any, shop: Shop) -> None:
    rest.post("/data/sales_daily", json={"rows": whole_day()})
    rows = [sold(units=101 + n, region="East", category=f"C{n % 10:02d}") for n in range(10)]
    rows += [sold("=cmd()"), sold(units=-1)]
    body = rest.post("/data/sales_daily?accept=true", json={"rows": rows}).json()
    assert (body["merged"], body["quarantined"], body["rows_in"]) == (10, 2, 12)
    assert body["refused"] == [
        {"row": 11, "reason": "product_category starts with =, +, - or @"},
        {"row": 12, "reason": "sales_units is negative"},
    ]
    kept = shop.rows("quarantine")
    assert [json.loads(bytes(row["raw"])) for row in kept] == rows[-2:]
    assert body["reasons"] == {row["reason"]: 1 for row in kept}


def test_a_batch_that_looks_wrong_is_held_until_someone_accepts_it(rest: Any, shop: Shop) -> None:
    rest.post("/data/sales_daily", json={"rows": whole_day()})
    partial = [{**row, "date_id": "2026-06-15"} for row in whole_day()[:3]]
    answer = rest.post("/data/sales_daily", json={"rows": partial})
    assert answer.status_code == 409
    body = answer.json()
    assert (body["success"], body["status"], body["merged"]) == (False, "held", 0)
    assert "3 rows, its weekday usually has 40" in body["error"]
    accepted = rest.post("/data/sales_daily?accept=true", json={"rows": partial}).json()
    assert (accepted["status"], accepted["new"]) == ("merged", 3)
    held = [row for row in shop.rows("load_batch") if row["status"] == "held"]
    assert not held, "the accepted batch took its place"
    assert "local" in [row["actor"] for row in shop.rows("audit") if row["action"] == "accept batch"]


def test_where_no_row_can_be_used_it_says_why(rest: Any) -> None:
    answer = rest.post("/data/sales_daily", json={"rows": [sold(units="many")]})
    assert answer.status_code == 422
    body = answer.json()
    assert (body["success"], body["status"], body["quarantined"]) == (False, "rejected", 1)
    assert body["error"] == "No row of the request can be used: sales_units is not a number."


def test_a_dry_run_says_what_would_happen_and_changes_nothing(rest: Any, shop: Shop) -> None:
    before, batches = facts(shop), shop.rows("load_batch")
    body = rest.post("/data/sales_daily?dry_run=true", json={"rows": [*whole_day(), sold(units=-1, region="X")]}).json()
    assert (body["dry_run"], body["batch_id"]) == (True, None)
    assert body["reasons"] == {"sales_units is negative": 1}
    assert (facts(shop), shop.rows("load_batch")) == (before, batches)


OTHER_SHAPES: list[tuple[str, Any, int, str]] = [
    ("sales", [sold()], 404, "There is no table 'sales'"),
    ("sales_daily", [], 422, "at least 1 item"),
    ("sales_daily", [sold()] * 10_001, 422, "at most 10000 items"),
    ("sales_daily", [sold(price=3)], 422, "sales_daily has no field 'price'. Did you mean unit_price?"),
    ("sales_daily", [{"date_id": DAY, "product_category": "A"}], 422, "No row has sales_units"),
    ("sales_daily", [[1, 2]], 422, "must be a valid dictionary"),
    ("sales_daily", [sold(units=[5])], 422, "rows.0.sales_units"),
    ("sales_daily", [sold(), sold(units={"a": 1})], 422, "sales_units of row 2 is not one value."),
    ("sales_daily", [{"": 1}], 422, "at least 1 character"),
    ("stores", [{"store": "S1", "attributes": 4}], 422, "attributes of row 1 is not an object"),
]


def test_what_has_another_shape_is_refused_as_a_whole(rest: Any, shop: Shop) -> None:
    batches = shop.rows("load_batch")
    for table, rows, status, said in OTHER_SHAPES:
        answer = rest.post(f"/data/{table}", json={"rows": rows})
        assert answer.status_code == status, answer.text
        assert said in answer.json()["error"]
    assert shop.rows("load_batch") == batches


ONE_OF_EACH: dict[str, dict[str, Any]] = {
    "stores": {"store": "S1", "region": "North", "latitude": 52.5, "attributes": {"size": 300, "drive_in": True}},
    "market_factors": {"date_id": DAY, "economic_index": 101.5, "social_media_mentions": 12},
    "inventory_daily": {"date_id": DAY, "product_category": "C01", "stock_level": 40, "stockout_flag": False},
    "events": {"date_id": "2026-12-24", "event": "Christmas Eve"},
    "plan_daily": {"date_id": "2026-07-01", "product_category": "C01", "promotion_flag": True, "unit_price": None},
    "item_params": {"product_category": "C01", "unit_cost": 12.5, "target_service": 0.95},
    "purchase_orders": {"po_id": "P-1", "product_category": "C01", "quantity": 500, "due_on": "2026-07-01"},
    "sales_daily": sold(),
}


def test_every_table_of_the_contract_takes_rows(rest: Any, shop: Shop) -> None:
    assert set(ONE_OF_EACH) == set(TABLES)
    for table, row in ONE_OF_EACH.items():
        body = rest.post(f"/data/{table}?accept=true", json={"rows": [row]}).json()
        assert (body["success"], body["new"]) == (True, 1), body
    assert shop.rows("stores", "1")[0]["attributes"] == {"size": "300", "drive_in": "true"}
    plan = shop.rows("plan_daily", "1")[0]
    assert (plan["promotion_flag"], plan["unit_price"]) == (True, None)


def test_a_field_no_row_has_keeps_its_values_and_null_clears_them(rest: Any, shop: Shop) -> None:
    key = {"product_category": "C01"}
    for fields, cost in (({"unit_cost": 5.0, "moq": 1}, 5.0), ({"moq": 2}, 5.0), ({"unit_cost": None}, None)):
        rest.post("/data/item_params", json={"rows": [{**key, **fields}]})
        assert shop.rows("item_params", "1")[0]["unit_cost"] == cost


def test_the_first_data_of_ones_own_take_the_place_of_the_demo_and_the_answer_says_so(
    serving: Any, clone_demo: Callable[[str], Database]
) -> None:
    database = clone_demo("push_demo")
    body = serving(database.url).post("/data/sales_daily", json={"rows": [sold()]}).json()
    assert (body["replaced_demo"], body["new"]) == (True, 1)


def test_a_newest_day_that_is_tomorrow_is_merged_and_asked_about(shop: Shop) -> None:
    from trendcast.services import push

    def found(clock_days: int) -> push.Pushed:
        def clock() -> datetime:
            return datetime.fromisoformat(f"{DAY}T06:00+00:00") - timedelta(days=clock_days)

        return push.push(shop.db, clock, "sales_daily", whole_day(), who="test")

    assert (found(1).status, found(1).notes) == ("merged", ["The newest day is tomorrow: is the date right?"])
    assert found(0).notes == []
    plan = [{"date_id": "2027-01-01", "region": "North", "event": "Fair"}]
    assert push.push(shop.db, shop.clock, "events", plan, who="test").notes == [], "of plans it is no question"


# --- a process that may not write facts ---


@pytest.fixture
def web(shop: Shop, serving: Callable[[str], Any]) -> Any:
    """REST with the rights of tc_web."""
    joint = "&" if "?" in shop.db.url else "?"
    return serving(f"{shop.db.url}{joint}options=-c%20role%3Dtc_web")


def work(shop: Shop) -> None:
    """What a worker does with the next push, in this process."""
    from trendcast.services import push
    from trendcast.store import jobs

    claim = jobs.claim(shop.db, names=["push"])
    assert claim is not None
    done = push.load_waiting(shop.db, shop.clock, silent, claim.token, **claim.arguments)
    jobs.finish(shop.db, claim.id, claim.token, json.loads(json.dumps(done)))


def test_a_process_without_the_owners_rights_leaves_the_rows_to_a_worker(
    web: Any, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    from trendcast.services import jobs

    monkeypatch.setattr(jobs, "PATIENCE", 0.0)
    answer = web.post("/data/sales_daily", json={"rows": whole_day()})
    assert answer.status_code == 202
    href = answer.headers["location"]
    assert (answer.json()["status"], answer.json()["href"]) == ("queued", href)
    assert web.get(href).status_code == 202
    work(shop)
    done = web.get(href)
    assert (done.status_code, done.json()["merged"]) == (200, 40)
    assert shop.rows("pushed") == [], "what is loaded is kept once"
    assert web.get(href.replace("sales_daily", "events")).status_code == 404
    assert web.get("/data/sales_daily/999999").status_code == 404


def test_who_would_rather_not_wait_gets_an_address(rest: Any, shop: Shop) -> None:
    answer = rest.post("/data/sales_daily", json={"rows": [sold()]}, headers={"Prefer": "respond-async"})
    assert answer.status_code == 202
    work(shop)
    told = rest.get(answer.headers["location"])
    assert (told.status_code, told.json()["status"]) == (409, "held"), "the gate is the same"


def test_rows_that_wait_are_kept_while_their_job_may_load_them(rest: Any, shop: Shop) -> None:
    asynchronous = {"Prefer": "respond-async"}
    address = rest.post("/data/sales_daily", json={"rows": whole_day()}, headers=asynchronous).headers["location"]
    with shop.db.transaction() as connection:
        connection.exec_driver_sql("UPDATE pushed SET created_at = now() - interval '8 days'")
    shop.db.execute("push_done", id=0)  # another push was loaded
    work(shop)
    assert rest.get(address).json()["merged"] == 40
    rest.post("/data/sales_daily", json={"rows": whole_day()}, headers=asynchronous)
    with shop.db.transaction() as connection:
        connection.exec_driver_sql("UPDATE pushed SET created_at = now() - interval '8 days'")
        connection.exec_driver_sql("UPDATE job_slot SET state = 'dead' WHERE name = 'push' AND state = 'queued'")
    shop.db.execute("push_done", id=0)
    assert shop.rows("pushed") == []


def leave_both(rest: Any, shop: Shop) -> list[str]:
    """Two pushes of the same key, first with 4 and then with 5; their addresses."""
    rest.post("/data/item_params", json={"rows": [{"product_category": "C01", "unit_cost": 3.0}]})
    return [
        rest.post(
            "/data/item_params",
            json={"rows": [{"product_category": "C01", "unit_cost": cost}]},
            headers={"Prefer": "respond-async"},
        ).headers["location"]
        for cost in (4.0, 5.0)
    ]


def test_an_older_push_that_waits_for_a_retry_is_loaded_before_a_newer_one(
    rest: Any, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    from trendcast.services import jobs as job_service
    from trendcast.store import jobs

    monkeypatch.setattr(job_service, "PATIENCE", 0.0)
    leave_both(rest, shop)
    older = jobs.claim(shop.db, names=["push"])
    assert older is not None
    assert jobs.claim(shop.db, names=["push"]) is None, "while the older one is at work"
    jobs.fail(shop.db, older.id, older.token, "away", again=True)
    assert jobs.claim(shop.db, names=["push"]) is None, "nor while it waits"
    answer = rest.post("/data/item_params", json={"rows": [{"product_category": "C01", "unit_cost": 6.0}]})
    assert answer.status_code == 202, "nor does one pass them that could be loaded at once"
    with shop.db.transaction() as connection:
        connection.exec_driver_sql("UPDATE job_slot SET next_attempt_at = now() WHERE name = 'push'")
    for cost in (4.0, 5.0, 6.0):
        work(shop)
        assert shop.rows("item_params", "1")[0]["unit_cost"] == cost


def test_a_push_whose_worker_died_after_the_merge_is_done_and_never_loaded_again(rest: Any, shop: Shop) -> None:
    from trendcast.services import push
    from trendcast.store import jobs

    address = leave_both(rest, shop)[0]
    claim = jobs.claim(shop.db, names=["push"])
    assert claim is not None
    push.load_waiting(shop.db, shop.clock, silent, claim.token, **claim.arguments)
    with shop.db.transaction() as connection:  # nobody wrote its outcome
        connection.exec_driver_sql("UPDATE job_slot SET lease_until = now() - interval '1 hour' WHERE name = 'push'")
    told = rest.get(address)
    assert (told.status_code, told.json()["changed"]) == (200, 1)
    work(shop)
    assert jobs.claim(shop.db, names=["push"]) is None
    assert shop.rows("item_params", "1")[0]["unit_cost"] == 5.0


def test_a_worker_that_lost_its_push_merges_nothing(rest: Any, shop: Shop) -> None:
    from trendcast.errors import LeaseLost
    from trendcast.services import push
    from trendcast.store import jobs

    leave_both(rest, shop)
    lost = jobs.claim(shop.db, names=["push"])
    assert lost is not None
    with shop.db.transaction() as connection:
        connection.exec_driver_sql("UPDATE job_slot SET lease_until = now() - interval '1 hour' WHERE name = 'push'")
    assert jobs.claim(shop.db, names=["push"]) is not None
    with pytest.raises(LeaseLost):
        push.load_waiting(shop.db, shop.clock, silent, lost.token, **lost.arguments)
    assert shop.rows("item_params", "1")[0]["unit_cost"] == 3.0


def test_a_wrong_body_is_refused_before_it_is_left_to_a_worker(web: Any, shop: Shop) -> None:
    assert web.post("/data/sales_daily", json={"rows": [sold(price=1)]}).status_code == 422
    assert shop.rows("pushed") == []

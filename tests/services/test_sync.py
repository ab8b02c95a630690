"""Sync with a database that holds the specification's tables verbatim: no keys, duplicates, a role that may SELECT."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import psycopg2
import pytest

from trendcast import settings as settings_table
from trendcast.errors import InvalidInput, NotAllowed, NotConfigured
from trendcast.services.load import LoadSummary
from trendcast.services.sync import sync
from trendcast.settings import Settings
from trendcast.store.engine import Database, normalise_url

S1 = """
CREATE TABLE sales_daily (date_id DATE, product_category VARCHAR(100), region VARCHAR(50), sales_units INTEGER,
    sales_revenue DECIMAL(10,2), promotion_flag BOOLEAN, weather_condition VARCHAR(20));
CREATE TABLE market_factors (date_id DATE, economic_index DECIMAL(8,4), competitor_promotion_intensity DECIMAL(5,2),
    seasonal_events VARCHAR(100), social_media_mentions INTEGER);
CREATE TABLE inventory_daily (date_id DATE, product_category VARCHAR(100), stock_level INTEGER, reorder_point INTEGER,
    lead_time_days INTEGER, stockout_flag BOOLEAN);
INSERT INTO sales_daily
    SELECT d, c, r, 10 + extract(day FROM d)::int, 99.95, extract(isodow FROM d) = 1, 'Clear'
    FROM generate_series(date '2024-01-01', date '2024-04-30', '1 day') d, unnest(ARRAY['Toys', 'Café']) c,
         unnest(ARRAY['North', 'South']) r;
INSERT INTO sales_daily SELECT * FROM sales_daily WHERE date_id = '2024-02-01';
INSERT INTO sales_daily VALUES ('2024-02-02', 'Toys', 'North', 999, NULL, NULL, NULL);
INSERT INTO sales_daily VALUES (NULL, 'Toys', 'North', 1, NULL, NULL, NULL);
INSERT INTO sales_daily VALUES ('2024-02-03', 'Tools', NULL, -4, NULL, NULL, NULL);
INSERT INTO market_factors VALUES ('2024-01-01', 101.1234, 3.50, 'New Year', 12),
    ('2024-01-01', 101.1234, 3.50, 'New Year', 12);
INSERT INTO inventory_daily VALUES ('2024-01-01', 'Toys', 5, 3, 7, FALSE);
"""  # fmt: skip

NAMED_OTHERWISE = """
CREATE SCHEMA "Shop";
CREATE TABLE "Shop"."Daily ""Sales\""" ("Day" varchar, "Group" text, qty numeric, area text);
INSERT INTO "Shop"."Daily ""Sales\""" VALUES ('2024-04-01', 'Toys', 2.5, 'N'), ('2024-04-02 00:00:00', 'Toys', 3, 'N'),
    ('soon', 'Toys', 3, 'N');
GRANT USAGE ON SCHEMA "Shop" TO tc_reader;
GRANT SELECT ON ALL TABLES IN SCHEMA "Shop" TO tc_reader;
"""


def clock() -> datetime:
    return datetime(2024, 5, 2, tzinfo=UTC)


class Customer:
    """The customer's database, written to as its owner, read by us as a role that may only SELECT."""

    def __init__(self, url: str) -> None:
        parsed = normalise_url(url)
        self.connection = psycopg2.connect(
            host=parsed.query["host"], user=parsed.username, dbname=parsed.database, connect_timeout=5
        )
        self.connection.autocommit = True
        self.run(S1)
        self.run(
            "DO $$ BEGIN CREATE ROLE tc_reader LOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $$;"
            "GRANT USAGE ON SCHEMA public TO tc_reader; GRANT SELECT ON ALL TABLES IN SCHEMA public TO tc_reader"
        )
        self.reader_url = parsed.set(username="tc_reader").render_as_string(hide_password=False)

    def run(self, statement: str) -> list[tuple[object, ...]]:
        with self.connection.cursor() as cursor:
            cursor.execute(statement)
            return cursor.fetchall() if cursor.description else []

    def content(self) -> list[tuple[object, ...]]:
        names = ("sales_daily", "market_factors", "inventory_daily")
        return [row for name in names for row in self.run(f"SELECT ctid, xmin, t.* FROM {name} t ORDER BY ctid")]


@pytest.fixture
def customer(new_database: Callable[..., str]) -> Iterator[Customer]:
    made = Customer(new_database())
    yield made
    made.connection.close()


def settings_for(customer: Customer, **more: str) -> Settings:
    return settings_table.load({"SOURCE_DATABASE_URL": customer.reader_url, **more})


def run(db: Database, customer: Customer, *, full: bool = True, accept: bool = False, **more: str) -> LoadSummary:
    return sync(db, settings_for(customer, **more), full=full, accept=accept, clock=clock)


def test_the_specifications_tables_come_over_and_stay_as_they_are(db: Database, customer: Customer) -> None:
    before = customer.content()
    summary = run(db, customer)
    sales = summary.table("sales_daily")
    assert sales.rows == 4 * 121 + 4 + 3
    assert sales.repeated == 4
    assert sales.quarantined == {
        "another row has the same key and other values": 2,
        "date_id is empty": 1,
        "sales_units is negative": 1,
    }
    assert sales.new == 4 * 121 - 1
    assert summary.table("market_factors").new == summary.table("inventory_daily").new == 1
    assert customer.content() == before
    frame = db.frame("feature_rows", categories=["Café"], regions=["North"])
    first = frame.iloc[0]
    assert (first["sales_units"], first["sales_revenue"], first["promotion_flag"]) == (11, 99.95, True)
    assert (first["economic_index"], first["seasonal_events"]) == (101.1234, "New Year")


def test_sales_come_last_because_the_first_refresh_starts_with_them(db: Database, customer: Customer) -> None:
    assert [table.table for table in run(db, customer).tables][-1] == "sales_daily"


def test_our_role_can_only_read(customer: Customer) -> None:
    from trendcast.store.source import snapshot

    with snapshot(customer.reader_url) as source, source._cursor() as cursor:
        cursor.execute("SHOW transaction_read_only")
        assert cursor.fetchone() == ("on",)


def test_nothing_changed_is_no_work(db: Database, customer: Customer) -> None:
    run(db, customer)
    again = run(db, customer)
    assert [table.status for table in again.tables] == ["same"] * 3
    assert not again.brought_data


def test_only_changed_days_are_read_again_however_old(db: Database, customer: Customer) -> None:
    run(db, customer)
    customer.run(
        "INSERT INTO sales_daily SELECT date_id + 1, product_category, region, 50, 1, FALSE, 'Rain' FROM sales_daily "
        "WHERE date_id = '2024-04-30'"
    )
    customer.run("UPDATE sales_daily SET sales_units = 77 WHERE date_id = '2024-01-05' AND region = 'North'")
    quick = run(db, customer, full=False).table("sales_daily")
    assert (quick.rows, quick.new, quick.changed) == (4, 4, 0)
    full = run(db, customer).table("sales_daily")
    assert (full.rows, full.new, full.changed, full.unchanged) == (4, 0, 2, 2)
    frame = db.frame("feature_rows", categories=["Toys"], regions=["North"]).set_index("date_id")
    assert frame.loc["2024-01-05", "sales_units"] == 77
    assert frame.loc["2024-05-01", "sales_units"] == 50


def test_once_an_hour_every_day_is_looked_at(db: Database, customer: Customer) -> None:
    from sqlalchemy import text

    run(db, customer)
    customer.run("UPDATE sales_daily SET sales_units = 77 WHERE date_id = '2024-01-05' AND region = 'North'")
    assert run(db, customer, full=False).table("sales_daily").status == "same"
    with db.transaction() as connection:
        connection.execute(text("UPDATE sync_source SET full_at = now() - interval '1 hour'"))
    assert run(db, customer, full=False).table("sales_daily").changed == 2


def test_a_value_put_back_is_put_back_here_too(db: Database, customer: Customer) -> None:
    run(db, customer)
    changed = "UPDATE sales_daily SET sales_units = {} WHERE date_id = '2024-04-29' AND region = 'North'"
    for value in (40, 41, 40, 41):
        customer.run(changed.format(value))
        assert run(db, customer).table("sales_daily").changed == 2
        frame = db.frame("feature_rows", categories=["Toys"], regions=["North"]).set_index("date_id")
        assert frame.loc["2024-04-29", "sales_units"] == value


def test_a_contradiction_that_is_settled_comes_in(db: Database, customer: Customer) -> None:
    run(db, customer)
    customer.run("DELETE FROM sales_daily WHERE sales_units = 999")
    assert run(db, customer).table("sales_daily").new == 1


def test_rows_that_vanish_are_kept_and_said(db: Database, customer: Customer) -> None:
    run(db, customer)
    customer.run("DELETE FROM sales_daily WHERE date_id < '2024-01-03'")
    summary = run(db, customer)
    note = summary.table("sales_daily").notes[-1]
    assert note.startswith("2 days are no longer in public.sales_daily (2024-01-01, 2024-01-02)")
    assert len(db.frame("feature_rows", categories=["Toys"], regions=["North"])) == 120


def test_a_half_written_day_waits_until_it_is_whole(db: Database, customer: Customer) -> None:
    run(db, customer)
    customer.run("INSERT INTO sales_daily VALUES ('2024-05-01', 'Toys', 'North', 5, 1, FALSE, NULL)")
    for _ in range(3):
        held = run(db, customer, full=False)
        assert held.exit_code == 3
    assert held.table("sales_daily").reason == "2024-05-01 has 1 rows, its weekday usually has 4"
    assert [row["status"] for row in db.rows("overview_batches", limit=9)].count("held") == 1
    customer.run(
        "INSERT INTO sales_daily SELECT '2024-05-01', product_category, region, 5, 1, FALSE, NULL FROM sales_daily "
        "WHERE date_id = '2024-04-30' AND (product_category, region) <> ('Toys', 'North')"
    )
    assert run(db, customer, full=False).table("sales_daily").new == 4


def test_a_held_batch_stops_only_its_own_table_and_waits_an_hour(db: Database, customer: Customer) -> None:
    from sqlalchemy import text

    def patient() -> LoadSummary:
        return sync(db, settings_for(customer), full=False, patient=True, clock=clock)

    run(db, customer)
    customer.run("INSERT INTO sales_daily VALUES ('2024-05-01', 'Toys', 'North', 5, 1, FALSE, NULL)")
    first = patient().table("sales_daily")
    customer.run("INSERT INTO market_factors VALUES ('2024-05-01', 100, 1, NULL, 1)")
    again = patient()
    assert again.table("market_factors").new == 1
    waiting = again.table("sales_daily")
    assert (first.status, waiting.status, waiting.rows) == ("held", "held", 0)  # not read again
    assert waiting.reason == first.reason
    with db.transaction() as connection:
        connection.execute(text("UPDATE load_batch SET created_at = now() - interval '61 min' WHERE status = 'held'"))
    assert patient().table("sales_daily").rows == 1
    assert run(db, customer, accept=True).table("sales_daily").new == 1
    customer.run("INSERT INTO sales_daily VALUES ('2024-05-01', 'Toys', 'South', 5, 1, FALSE, NULL)")
    assert patient().table("sales_daily").new == 1


def test_the_worker_syncs_in_a_child_and_asks_once_a_minute(
    db: Database, customer: Customer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from sqlalchemy import text

    from trendcast.jobs.worker import Worker
    from trendcast.services import jobs as job_service

    def rows() -> int:
        return len(db.frame("panel_sales"))

    def states(name: str) -> list[str]:
        found = job_service.slots(db)
        return [str(state) for state in found.loc[found["name"] == name, "state"]]

    monkeypatch.setenv("SOURCE_DATABASE_URL", customer.reader_url)
    idle = Worker(settings_table.load({}), clock, db)
    assert not idle.step(db)
    worker = Worker(settings_for(customer), clock, db)
    worker._ticker = idle._ticker
    worker._tick(db)
    assert (states("sync"), rows()) == (["queued"], 0)  # the ticker's own process reads nothing
    assert worker.step(db, heavy=True)
    assert rows() == 483
    worker._tick(db)
    assert states("sync") == ["done"]  # not again within the minute
    for _ in range(2):
        customer.run("DROP TABLE IF EXISTS sales_daily")
        with db.transaction() as connection:
            connection.execute(text("UPDATE job_slot SET finished_at = now() - interval '61 s' WHERE name = 'sync'"))
        worker._tick(db)
        assert states("sync") == ["queued"]
        # The data that came may have woken a refresh, too.
        while states("sync") == ["queued"] and worker.step(db, heavy=True):
            pass
        assert states("sync") != ["queued"]
    assert len([line for line in caplog.messages if "There is no table public.sales_daily" in line]) == 1
    assert len(states("sync")) == 1  # one slot, however often


def test_names_can_be_mapped(db: Database, customer: Customer) -> None:
    customer.run(NAMED_OTHERWISE)
    table = 'Shop.Daily "Sales"'
    columns = "sales_daily.date_id=Day,sales_daily.product_category=Group,sales_daily.sales_units=qty"
    names = {"TRENDCAST_SYNC_SALES_TABLE": table, "TRENDCAST_SYNC_COLUMNS": columns + ",sales_daily.region=area"}
    result = run(db, customer, **names).table("sales_daily")
    assert (result.new, result.quarantined) == (2, {"date_id is not a day like 2024-12-31": 1})
    with pytest.raises(NotConfigured, match=r"does not have\. Did you mean area"):
        run(db, customer, **{**names, "TRENDCAST_SYNC_COLUMNS": columns + ",sales_daily.region=aera"})
    with pytest.raises(NotConfigured, match="no column of ours"):
        run(db, customer, **{**names, "TRENDCAST_SYNC_COLUMNS": columns + ",sales_daily.zone=area"})
    with pytest.raises(InvalidInput, match=r"has no columns date_id .* Name the columns in TRENDCAST_SYNC_COLUMNS"):
        run(db, customer, TRENDCAST_SYNC_SALES_TABLE=table)


def test_what_cannot_be_read_is_one_sentence(db: Database, customer: Customer) -> None:
    with pytest.raises(NotConfigured, match=r"no table verkauf .* set TRENDCAST_SYNC_SALES_TABLE"):
        run(db, customer, TRENDCAST_SYNC_SALES_TABLE="verkauf")
    customer.run("REVOKE SELECT ON sales_daily FROM tc_reader")
    with pytest.raises(NotAllowed, match="permission denied"):
        run(db, customer)


def test_by_default_the_public_schema_of_our_own_database(db: Database) -> None:
    """DATABASE_URL names the customer's database, and ours lives in a schema beside their tables."""
    with pytest.raises(NotConfigured, match="SOURCE_DATABASE_URL"):
        sync(db, settings_table.load({}), clock=clock)
    parsed = normalise_url(db.url)
    with psycopg2.connect(host=parsed.query["host"], user=parsed.username, dbname=parsed.database) as connection:
        connection.cursor().execute(S1)
    connection.close()
    assert sync(db, settings_table.load({}), clock=clock).table("sales_daily").new == 483

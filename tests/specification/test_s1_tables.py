"""S1: the customer's three tables exist under their names with their columns; ours may be wider, theirs must load."""

from __future__ import annotations

from datetime import date

import pandas as pd
import pytest

from trendcast.services.load import load_frames
from trendcast.store.engine import Database

SPECIFIED = {
    "sales_daily": {
        "date_id": "date", "product_category": 100, "region": 50, "sales_units": "number", "sales_revenue": "number",
        "promotion_flag": "boolean", "weather_condition": 20,
    },
    "market_factors": {
        "date_id": "date", "economic_index": "number", "competitor_promotion_intensity": "number",
        "seasonal_events": 100, "social_media_mentions": "number",
    },
    "inventory_daily": {
        "date_id": "date", "product_category": 100, "stock_level": "number", "reorder_point": "number",
        "lead_time_days": "number", "stockout_flag": "boolean",
    },
}  # fmt: skip
NUMBERS = {"integer", "bigint", "double precision", "numeric"}


@pytest.mark.parametrize("table", sorted(SPECIFIED))
def test_s1_columns_are_there_and_as_wide(db: Database, table: str) -> None:
    from sqlalchemy import text

    with db.read() as connection:
        rows = connection.execute(
            text(
                "SELECT column_name, data_type, character_maximum_length FROM information_schema.columns "
                "WHERE table_schema = 'trendcast' AND table_name = :table"
            ),
            {"table": table},
        ).fetchall()
    ours = {row[0]: (row[1], row[2]) for row in rows}
    for name, kind in SPECIFIED[table].items():
        data_type, width = ours[name]
        if isinstance(kind, int):
            assert data_type == "character varying"
            assert width >= kind
        elif kind == "number":
            assert data_type in NUMBERS
        else:
            assert data_type == kind


def test_s1_the_widest_values_of_the_customers_types_load(db: Database) -> None:
    """INTEGER up to our limit of 1e9, DECIMAL(10,2), DECIMAL(8,4), DECIMAL(5,2), VARCHAR at full length."""
    day = date(2024, 2, 29)
    frames = {
        "sales_daily": pd.DataFrame(
            {
                "date_id": [day], "product_category": ["ä" * 100], "region": ["ö" * 50], "sales_units": [1_000_000_000],
                "sales_revenue": [99_999_999.99], "promotion_flag": [True], "weather_condition": ["ü" * 20],
            }
        ),
        "market_factors": pd.DataFrame(
            {
                "date_id": [day], "economic_index": [-9999.9999], "competitor_promotion_intensity": [999.99],
                "seasonal_events": ["e" * 100], "social_media_mentions": [2_147_483_647],
            }
        ),
        "inventory_daily": pd.DataFrame(
            {
                "date_id": [day], "product_category": ["ä" * 100], "stock_level": [-5], "reorder_point": [1_000],
                "lead_time_days": [45], "stockout_flag": [False],
            }
        ),
    }  # fmt: skip
    summary = load_frames(db, frames, source="specification")
    assert {(table.table, table.new, table.refused) for table in summary.tables} == {
        ("sales_daily", 1, 0), ("market_factors", 1, 0), ("inventory_daily", 1, 0),
    }  # fmt: skip
    row = db.rows("feature_rows", categories=["ä" * 100], regions=[])[0]
    assert (row["sales_units"], row["sales_revenue"]) == (1_000_000_000, 99_999_999.99)
    assert (row["economic_index"], row["social_media_mentions"]) == (-9999.9999, 2_147_483_647)


def test_s1_keys_hold_whatever_writes(db: Database) -> None:
    """The specification's tables have no keys; ours refuse a second row of a key and NaN even past the load."""
    from sqlalchemy import text

    from trendcast.errors import Conflict, InvalidInput

    sales = pd.DataFrame(
        {"date_id": [date(2024, 1, 1)], "product_category": ["A"], "region": ["N"], "sales_units": [1]}
    )
    batch = load_frames(db, {"sales_daily": sales}, source="specification").table("sales_daily").batch
    insert = text(
        "INSERT INTO sales_daily (date_id, product_category, region, sales_units, batch_id) "
        "VALUES (:d, 'A', 'N', :u, :b)"
    )
    for day, units, error in (("2024-01-01", 2.0, Conflict), ("2024-01-02", float("nan"), InvalidInput)):
        with pytest.raises(error), db.transaction() as connection:
            connection.execute(insert, {"d": day, "u": units, "b": batch})

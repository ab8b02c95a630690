"""Who gets alerts: added, changed and removed by people, each with a scope, and each change on record."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from trendcast import settings
from trendcast.errors import Conflict, InvalidInput, NotFound
from trendcast.services import alerts, recipients
from trendcast.store.engine import Database

NOW = datetime(2026, 9, 28, 8, 0, tzinfo=UTC)


def clock() -> datetime:
    return NOW


def add(db: Database, address: str = "ann@example.com", **facts: Any) -> int:
    return recipients.add(db, clock, address=address, **{"who": "boss", **facts})


def audit(db: Database) -> list[dict[str, Any]]:
    from sqlalchemy import text

    with db.read() as connection:
        rows = connection.execute(text("SELECT actor, action, object, before, after FROM audit ORDER BY id"))
        return [dict(row) for row in rows.mappings()]


@pytest.fixture
def sold(db: Database) -> Database:
    """A database that knows categories C00 to C09 in four regions."""
    with db.transaction() as connection:
        names = [(f"C{i:02d}", region) for i in range(10) for region in ("East", "North", "South", "West")]
        db.execute(
            "series_add",
            connection=connection,
            levels=["category_region"] * len(names),
            categories=[category for category, _ in names],
            regions=[region for _, region in names],
            stores=[""] * len(names),
        )
    return db


def test_a_recipient_is_listed_with_what_it_hears_of(sold: Database) -> None:
    number = add(sold, "Ann.Lee+alerts@Example.COM", product_category="C03", region="North", impact_level="high")
    assert recipients.listed(sold) == [
        {
            "id": number, "channel": "email", "address": "Ann.Lee+alerts@example.com", "product_category": "C03",
            "region": "North", "impact_level": "HIGH", "digest": True, "created_by": "boss", "created_at": NOW,
        }
    ]  # fmt: skip
    assert recipients.scopes(sold)["region"] == ["East", "North", "South", "West"]


def test_alerts_go_where_the_list_says(sold: Database) -> None:
    add(sold, product_category="C03", impact_level="MEDIUM", digest=False)
    found = alerts.recipients(sold, settings.load({"ALERT_RECIPIENTS": "all@example.com"}))
    assert [one.address for one in found] == ["all@example.com", "ann@example.com"]
    scoped = found[1]
    assert (scoped.product_category, scoped.region, scoped.impact_level, scoped.digest) == ("C03", "", "MEDIUM", False)


@pytest.mark.parametrize(
    "address",
    ["", "  ", "ann", "ann@", "@example.com", "ann@@example.com", "ann lee@example.com", "ann@example..com",
     "ann@.example.com", "ann@example.com\nBcc: all@example.com", "Ann <ann@example.com>", "änn@example.com",
     "ann@exämple.com", "a" * 250 + "@example.com", "ann@-example.com", "ann\u202e@example.com"],
)  # fmt: skip
def test_what_is_no_address_is_refused_in_a_sentence(db: Database, address: str) -> None:
    with pytest.raises(
        InvalidInput, match=r"is no mail address: it should look like|^A recipient needs a mail address\."
    ):
        add(db, address)
    assert recipients.listed(db) == []


def test_one_address_at_a_time(db: Database) -> None:
    with pytest.raises(InvalidInput, match=r"^One address at a time"):
        add(db, "ann@example.com, ben@example.com")


def test_only_mail_has_recipients(db: Database) -> None:
    with pytest.raises(InvalidInput, match="ALERT_WEBHOOK_URL"):
        add(db, "https://example.com/hook", channel="webhook")


def test_a_level_or_a_name_nobody_has_is_refused_with_the_nearest(sold: Database) -> None:
    with pytest.raises(InvalidInput, match="'URGENT' is no level: it is one of HIGH, MEDIUM, LOW"):
        add(sold, impact_level="urgent")
    with pytest.raises(InvalidInput, match=r"There is no region 'north'\. Did you mean North"):
        add(sold, region="north")
    with pytest.raises(InvalidInput, match="There is no category 'Nothing like it'"):
        add(sold, product_category="Nothing like it")
    assert recipients.listed(sold) == []


def test_before_anything_is_loaded_every_scope_is_taken(db: Database) -> None:
    add(db, product_category="Toys")
    assert recipients.listed(db)[0]["product_category"] == "Toys"


def test_one_address_may_have_several_scopes_but_none_twice(sold: Database) -> None:
    add(sold, product_category="C01")
    add(sold, product_category="C02")
    with pytest.raises(Conflict, match=r"ann@example\.com hears of C02 already: change that entry instead"):
        add(sold, "ann@EXAMPLE.com", product_category="C02", impact_level="HIGH")
    assert [one["product_category"] for one in recipients.listed(sold)] == ["C01", "C02"]


def test_who_hears_of_everything_by_the_environment_needs_no_entry(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALERT_RECIPIENTS", "Ann@example.com")
    with pytest.raises(Conflict, match="gets every alert already: it is in ALERT_RECIPIENTS"):
        add(db)


def test_what_somebody_hears_of_can_be_changed(sold: Database) -> None:
    number = add(sold)
    assert recipients.change(sold, clock, number, who="ben", impact_level="HIGH", digest=False) == number
    moved = recipients.change(sold, clock, number, who="ben", region="South")
    assert [(one["region"], one["impact_level"], one["digest"]) for one in recipients.listed(sold)] == [
        ("South", "HIGH", False)
    ]
    # Back to the scope it had: the old row serves again.
    again = recipients.change(sold, clock, moved, who="ben", region="")
    assert again == number
    assert [one["region"] for one in recipients.listed(sold)] == [""]


def test_a_change_into_a_scope_that_is_taken_is_refused_and_nothing_changes(sold: Database) -> None:
    number = add(sold, region="South")
    add(sold, region="North")
    before = recipients.listed(sold)
    with pytest.raises(Conflict, match="hears of North already"):
        recipients.change(sold, clock, number, who="ben", region="North")
    assert recipients.listed(sold) == before
    with pytest.raises(InvalidInput, match="'address' of a recipient cannot be changed"):
        recipients.change(sold, clock, number, who="ben", address="ben@example.com")
    with pytest.raises(NotFound, match="There is no recipient 999"):
        recipients.change(sold, clock, 999, who="ben", digest=False)


def test_who_was_removed_hears_nothing_and_can_come_back(db: Database) -> None:
    number = add(db)
    recipients.remove(db, clock, number, who="ben")
    assert recipients.listed(db) == []
    assert alerts.recipients(db, settings.load({})) == []
    with pytest.raises(NotFound):
        recipients.remove(db, clock, number, who="ben")
    assert add(db, impact_level="MEDIUM") == number
    assert [one["impact_level"] for one in recipients.listed(db)] == ["MEDIUM"]


def test_each_change_is_on_record_with_what_was_before(sold: Database) -> None:
    number = add(sold)
    recipients.change(sold, clock, number, who="ben", digest=False)
    recipients.change(sold, clock, number, who="ben", digest=False)  # changes nothing
    recipients.remove(sold, clock, number, who="cleo")
    found = audit(sold)
    assert [(one["actor"], one["action"], one["object"]) for one in found] == [
        ("boss", "recipient added", "recipient:ann@example.com"),
        ("ben", "recipient changed", "recipient:ann@example.com"),
        ("cleo", "recipient removed", "recipient:ann@example.com"),
    ]
    assert [(one["before"] or {}).get("digest") for one in found] == [None, True, False]
    assert [(one["after"] or {}).get("digest") for one in found] == [True, False, None]


def test_a_dashboard_with_rights_of_its_own_may_keep_the_list(db: Database) -> None:
    joint = "&" if "?" in db.url else "?"
    web = Database(f"{db.url}{joint}options=-c%20role%3Dtc_web", role="web")
    try:
        number = add(web)
        recipients.change(web, clock, number, who="ben", digest=False)
        recipients.remove(web, clock, number, who="ben")
        add(web)
    finally:
        web.close()
    assert len(recipients.listed(db)) == 1

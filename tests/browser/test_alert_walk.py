"""An alert from end to end, nothing replaced: a load with an outage, the mail in the mailbox, the incident behind the
mail's link, acknowledged and resolved in a browser, all of it in its log, and the mail that says it is over."""

from __future__ import annotations

import email
import email.policy
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tests.alerts.conftest import authority, post_office  # noqa: F401  fixtures
from tests.alerts.office import environment
from tests.browser.conftest import Visitor
from tests.databases import clock, create, publish
from tests.installation import ROOT, Live, start
from tests.waiting import until
from trendcast.services import incidents
from trendcast.services.progress import silent
from trendcast.store.engine import Database

PATIENCE = 240.0  # seconds on a busy machine; an idle one needs ten
SHARE = 0.35  # of its usual sales the region still has on the day of the outage


@pytest.fixture
def shop(server: Any, template: str) -> Iterator[tuple[Database, pd.DataFrame]]:
    """A published retailer whose data end the day before yesterday, checked once, and the sales of yesterday."""
    from trendcast.demo import generate
    from trendcast.services.detect import detect

    database = create(server, "tc_alert_walk", template)
    yesterday = datetime.now(UTC).date() - timedelta(days=1)
    frames = generate(5, 3, 0, 2, yesterday)
    sales = frames["sales_daily"]
    late = pd.to_datetime(sales["date_id"]).dt.date == yesterday
    publish(database, {**frames, "sales_daily": sales[~late]}, source="a test", accept=True)
    detect(database, clock, silent, None)
    yield database, sales[late].copy()
    database.close()


@pytest.fixture
def dashboard(tmp_path: Path) -> Iterator[Callable[..., str]]:
    """``dashboard(database, route)``: the product as `streamlit run` starts it, its worker inside; its address."""
    running: list[Live] = []

    def on(database: Database, route: Any) -> str:
        running.append(
            start(
                tmp_path / "home",
                DATABASE_URL=database.url,
                TRENDCAST_JOBS="on",
                TRENDCAST_PUBLIC_URL="http://localhost:{port}",
                **environment(route, ALERT_RECIPIENTS="ann@shop.example"),
            )
        )
        return running[-1].ready().url

    yield on
    for live in running:
        live.stop()


def letters(box: Any, about: str) -> list[Any]:
    found = [email.message_from_bytes(one.content, policy=email.policy.default) for one in box.mails]
    return [one for one in found if about in str(one["Subject"])]


def load(database: Database, folder: Path, sales: pd.DataFrame) -> None:
    """As somebody does it at a command line beside the running service."""
    folder.mkdir()
    sales.to_csv(folder / "sales_daily.csv", index=False)
    subprocess.run(
        [sys.executable, "-m", "trendcast", "load", str(folder), "--accept"],
        cwd=ROOT,
        env={**os.environ, "DATABASE_URL": database.url, "TRENDCAST_HOME": str(folder / "home"), "TZ": "UTC"},
        check=True,
        capture_output=True,
    )


def lines(page: Any, what: str) -> str:
    """What a part of the incident says, without the marks that keep names apart from markup."""
    said = page.locator(f".st-key-incident_{what}").inner_text()
    return re.sub("[\u2060\u2068\u2069]", "", said)


def test_from_a_load_with_an_outage_to_the_mail_the_incident_its_end_and_the_mail_about_that(
    shop: tuple[Database, pd.DataFrame],
    dashboard: Callable[..., str],
    post_office: Callable[..., Any],  # noqa: F811
    chromium: Any,
    tmp_path: Path,
) -> None:
    database, sales = shop
    box, route = post_office()
    address = dashboard(database, route)
    region = sorted(sales["region"].astype(str).unique())[0]
    down = sales["region"].astype(str) == region
    for name in ("sales_units", "sales_revenue"):
        sales.loc[down, name] = (sales.loc[down, name].astype(float) * SHARE).round()
    load(database, tmp_path / "files", sales)

    # One mail about the region, not one for each of its series.
    until(lambda: letters(box, "CRITICAL"), PATIENCE, what="A mail about the outage")
    (first,) = letters(box, "CRITICAL")
    assert f"Region {region}" in str(first["Subject"])
    assert str(first["To"]) == "ann@shop.example"
    page_in_mail = first.get_body(("html",)).get_content()
    (link,) = set(re.findall(r'href="([^"]+incident=\d+)"', page_in_mail))
    assert link.startswith(f"{address}/anomaly-inbox?incident=")
    assert link in first.get_body(("plain",)).get_content()
    number = int(link.rpartition("=")[2])

    # Opening it changes nothing: mail programs follow links too.
    visitor = Visitor(chromium, address, viewport={"width": 1440, "height": 1000})
    page = visitor.page
    page.goto(link)
    visitor.settle()
    assert incidents.incident(database, number)["status"] == "NEW"
    assert region in page.locator("h4").first.inner_text()
    assert page.locator('[data-testid="stException"]').count() == 0

    page.get_by_role("button", name="Acknowledge").first.click()
    visitor.settle()
    assert incidents.incident(database, number)["status"] == "ACKNOWLEDGED"
    page.locator(".st-key-incident_moves").get_by_role("button", name="Resolve").first.click()
    visitor.settle()
    page.get_by_label("What was found or done").fill("The tills were down from ten to four.")
    page.get_by_role("button", name="Resolve it").click()
    visitor.settle()
    found = incidents.incident(database, number)
    assert found["status"] == "RESOLVED"

    # That it is over is told in the same thread.
    until(lambda: letters(box, "Resolved"), PATIENCE, what="A mail about its end")
    (last,) = letters(box, "Resolved")
    assert last["In-Reply-To"] == last["References"] == first["Message-ID"]
    assert "The tills were down from ten to four." in last.get_body(("plain",)).get_content()
    until(lambda: set(incidents.incident(database, number)["mails"]["status"]) == {"SENT"}, 30)
    assert len(letters(box, region)) == 2

    # And the page tells all of it: who was told and what the server said, who moved it, and when.
    def opened() -> str:
        page.goto(link)
        visitor.settle()
        return lines(page, "mails")

    until(lambda: "Over" in opened(), 60, what="The page remembers for some seconds; the mail about the end in it")
    told, moves = lines(page, "mails"), lines(page, "log")
    for words in ("ann@shop.example", "Alert", "Over", "Sent", "250"):
        assert words in told
    for words in ("Acknowledged", "Resolved", "local", "The tills were down from ten to four.", "Mailed (first)"):
        assert words in moves
    assert not visitor.troubles
    page.context.close()

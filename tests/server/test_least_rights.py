"""An installation as compose.yaml makes it: deploy/roles.sql on a real PostgreSQL, the schema and the data the owner's,
pages and REST by a role that may do little, and nobody a superuser."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.engine import make_url

from tests.databases import administer
from tests.installation import Live, start
from trendcast import settings
from trendcast.api import policy
from trendcast.errors import NotAllowed
from trendcast.services import jobs, upload, upload_cells, upload_job
from trendcast.services.people import Person
from trendcast.store import backup, embedded, migrate
from trendcast.store import jobs as store_jobs
from trendcast.store.engine import Database

ROOT = Path(__file__).resolve().parents[2]
NAME = "tc_least_rights"
PASSWORDS = {"TRENDCAST_OWNER_PASSWORD": "o'wner", "TRENDCAST_WEB_PASSWORD": "web"}


@pytest.fixture(scope="module")
def address(server: embedded.Server) -> Iterator[Callable[[str], str]]:
    """``address(role)`` of a new database on which deploy/roles.sql has been carried out, twice, as for new
    passwords."""
    administer(server, f"CREATE DATABASE {NAME}")
    made = make_url(server.database_url(NAME))

    def as_role(role: str) -> str:
        return made.set(username=role).render_as_string(hide_password=False)

    psql = [str(backup._program("psql")), "-X", "-q", "-d",
            made.set(drivername="postgresql").render_as_string(hide_password=False)]  # fmt: skip
    for _ in range(2):
        subprocess.run([*psql, "-f", str(ROOT / "deploy" / "roles.sql")], env={**os.environ, **PASSWORDS}, check=True)
    yield as_role
    administer(server, f"DROP DATABASE {NAME} WITH (FORCE)")
    administer(server, "DROP ROLE tc_owner")
    administer(server, "ALTER ROLE tc_web NOLOGIN")


@pytest.fixture(scope="module")
def shop(address: Callable[[str], str], demo_db: Database, tmp_path_factory: pytest.TempPathFactory) -> Database:
    """The demo retailer there, brought back from a backup by the owner."""
    migrate.upgrade(address("tc_owner"))
    file = tmp_path_factory.mktemp("backup") / "demo.dump"
    backup.dump(demo_db, file)
    owner = Database(address("tc_owner"), role="worker")
    backup.restore(owner, file)
    owner.close()
    return Database(address("tc_web"), role="web")


def test_without_passwords_no_roles_are_made(address: Callable[[str], str]) -> None:
    psql = [str(backup._program("psql")), "-X", "-q", "-d", address("postgres").replace("+psycopg2", "")]
    done = subprocess.run([*psql, "-f", str(ROOT / "deploy" / "roles.sql")], capture_output=True, check=False)
    assert done.returncode != 0
    assert b"PASSWORD :'owner" in done.stderr


def test_neither_role_is_more_than_it_needs_to_be(shop: Database, address: Callable[[str], str]) -> None:
    asked = (
        "SELECT rolname, rolcanlogin, rolsuper OR rolcreaterole OR rolcreatedb OR rolreplication OR rolbypassrls,"
        " has_database_privilege(rolname, current_database(), 'CREATE'),"
        " has_database_privilege(rolname, current_database(), 'TEMPORARY')"
        " FROM pg_roles WHERE rolname IN ('tc_owner', 'tc_web') ORDER BY rolname"
    )
    with shop.read() as connection:
        rows = connection.exec_driver_sql(asked).all()
        stranger = connection.exec_driver_sql(
            "SELECT has_database_privilege('pg_monitor', current_database(), 'CONNECT')"
        ).scalar_one()
    assert [tuple(row) for row in rows] == [
        ("tc_owner", True, False, True, True),
        ("tc_web", True, False, False, False),
    ]
    assert stranger is False
    for statement in ("DELETE FROM sales_daily", "CREATE TABLE x ()", "DROP TABLE sales_daily", "TRUNCATE audit",
                      "UPDATE audit SET actor = 'ann'", "SELECT pg_read_file('/etc/passwd')"):  # fmt: skip
        with pytest.raises(NotAllowed), shop.transaction() as connection:
            connection.exec_driver_sql(statement)


def test_rest_answers_by_the_role_of_least_rights(shop: Database, serving: Callable[[str], Any]) -> None:
    rest = serving(shop.url)
    fixed = sorted(path for method, path in policy.NEEDED if method == "GET" and "{" not in path)
    assert {path: rest.get(path).status_code for path in fixed} == dict.fromkeys(fixed, 200)
    (one,) = rest.get("/series?level=category&limit=1").json()["series"]
    assert rest.post("/forecast", json={"product_category": one["product_category"]}).status_code == 200
    made = rest.post("/recipients", json={"address": "eve@shop.example"})
    assert made.status_code in (200, 201), made.text
    assert rest.request("DELETE", f"/recipients/{made.json()['id']}").status_code == 200


def test_a_file_that_the_pages_may_not_load_is_judged_by_the_owners_worker(
    shop: Database, address: Callable[[str], str]
) -> None:
    """One without a usable row: the demo stays for the other tests."""
    data = b"day,item,units\n2024-10-01,=Tea(),4\n"
    cells = upload_cells.read("tea.csv", data)
    reading = upload.propose(cells)
    assert upload_job.needed(shop)
    number = upload_job.leave(shop, cells, data, reading, person=Person("ann", "planner"))
    owner = Database(address("tc_owner"), role="worker")
    claim = store_jobs.claim(owner, names=["upload"])
    assert claim is not None
    jobs.run_claimed(owner, settings.load({}), claim)
    owner.close()
    table = upload_job.told(jobs.slot(shop, number))["table"]
    assert (table.status, table.quarantined) == ("rejected", {"product_category starts with =, +, - or @": 1})


@pytest.fixture(scope="module")
def site(shop: Database, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    one = start(tmp_path_factory.mktemp("home"), DATABASE_URL=shop.url).ready()
    try:
        yield one.healthy()
    finally:
        printed = one.stop()
        assert "Traceback" not in printed, printed


def test_every_page_is_drawn_by_the_role_of_least_rights(site: Live) -> None:
    for page in sorted(file.stem for file in (ROOT / "pages").glob("*.py")):
        messages = site.session(page)
        said = str(messages)
        assert "exception" not in [one.delta.new_element.WhichOneof("type") for one in messages], page
        assert "state_broken" not in said, page
        assert "takes the rights of the database's owner" not in said, page

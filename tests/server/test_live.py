"""The real server, asked over real sockets: pages and REST side by side, and nobody comes in by a side door."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
from websockets.exceptions import InvalidStatus

from tests.waiting import until

ROOT = Path(__file__).resolve().parents[2]


def kinds(messages: list[Any]) -> list[str]:
    return [message.WhichOneof("type") for message in messages]


def texts(messages: list[Any]) -> str:
    return "\n".join(str(message) for message in messages)


def test_a_deep_link_as_first_request_runs_the_page_inside_the_router(live: Any) -> None:
    """Beside a pages/ folder Streamlit would run pages/forecasts.py alone, without the router; see trendcast.server."""
    seen = kinds(live.first)
    assert "navigation" in seen, "the router was run"
    assert seen.index("navigation") < seen.index("script_finished")
    assert "exception" not in texts(live.first)


ENTRY = """
import streamlit as st

if __name__ == "__main__":
    st.navigation([st.Page(lambda: st.write("THE HOME"), title="Home")]).run()
else:
    {server}
"""
OURS = """from trendcast import server
    app = st.App(__file__, routes=server.routes(), middleware=server.middleware(), lifespan=server.lifespan)"""
BARE = "app = st.App(__file__)"


def shop(folder: Path, server: str) -> Path:
    """An app with a page its router does not know."""
    (folder / "pages").mkdir()
    (folder / "pages" / "secret.py").write_text('import streamlit as st\nst.write("THE SECRET")\n')
    entry = folder / "entry.py"
    entry.write_text(ENTRY.format(server=server))
    return entry


@pytest.mark.parametrize(("carrier", "bypassed"), [(OURS, False), (BARE, True)], ids=["ours", "bare"])
def test_a_page_the_router_does_not_know_is_never_run(
    tmp_path: Path, servers: Callable[..., Any], demo_db: Any, carrier: str, bypassed: bool
) -> None:
    """The bare app shows that this test can see the hole."""
    live = servers(tmp_path / "home", entry=shop(tmp_path, carrier), DATABASE_URL=demo_db.url).ready()
    said = texts(live.session("secret"))
    assert ("THE SECRET" in said) is bypassed


def test_the_agents_door_is_shut_by_default(live: Any) -> None:
    response = live.request("POST", "/_stcore/agent/interact", json={})
    assert response.status_code >= 400
    assert "enableAgentApi" in response.text


@pytest.mark.parametrize(
    "headers", [{}, {"Origin": "http://evil.example"}, {"Origin": "null"}, {"Origin": "http://localhost:1"}]
)
def test_a_websocket_from_elsewhere_gets_no_element(live: Any, headers: dict[str, str]) -> None:
    with pytest.raises(InvalidStatus) as refusal:
        live.session("forecasts", headers)
    assert refusal.value.response.status_code == 403


def test_a_foreign_name_gets_nothing(live: Any) -> None:
    for path in (
        "/",
        "/health",
        "/series",
        "/docs",
        "/_stcore/health",
        "/_stcore/metrics",
        "/static/js/x.js",
        "/media/x",
    ):
        for headers in ({"host": "evil.example"}, {"origin": "http://evil.example"}, {"x-forwarded-for": "10.0.0.1"}):
            response = live.request("GET", path, headers=headers)
            assert response.status_code == 403, path
            assert response.json()["success"] is False


def test_pages_and_rest_carry_the_security_headers(live: Any) -> None:
    for path in ("/", "/forecasts", "/health", "/series", "/nothing", "/_stcore/health", "/docs"):
        headers = live.request("GET", path).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
        assert headers["referrer-policy"] == "no-referrer"
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert "'unsafe-eval'" not in headers["content-security-policy"]
        assert "script-src 'self' 'unsafe-inline'" not in headers["content-security-policy"]


def test_the_inline_script_of_the_shell_is_allowed_by_its_hash_and_nothing_else(live: Any) -> None:
    response = live.request("GET", "/")
    policy = response.headers["content-security-policy"]
    scripts = re.findall(r"<script>(.*?)</script>", response.text, re.DOTALL)
    assert len(re.findall("'sha256-", policy)) == len(scripts) == 1


def test_rest_answers_beside_the_pages(live: Any) -> None:
    assert live.request("GET", "/health").json()["service"] == "time_series_analytics"
    assert live.request("HEAD", "/health").status_code == 200
    report = live.request("POST", "/forecast", json={"product_category": "Electronics"}).json()
    assert report["success"] is True
    assert live.request("GET", "/openapi.json").json()["info"]["title"] == "TrendCast"


BROWSER = {"accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}


def test_an_address_that_a_page_has_too_is_the_page_for_browsers_and_rest_for_programs(live: Any) -> None:
    for file in (ROOT / "pages").glob("*.py"):
        page = live.request("GET", f"/{file.stem}", headers=BROWSER)
        assert page.headers["content-type"].startswith("text/html"), file.stem
    rows = live.request("GET", "/forecasts?limit=2", headers={"accept": "application/json"})
    assert (rows.json()["success"], len(rows.json()["rows"])) == (True, 2)
    assert rows.headers["vary"].lower().startswith("accept")
    assert live.request("GET", "/forecasts?limit=2").json() == rows.json(), "a program that says nothing"
    following = live.request("GET", rows.json()["next"]).json()
    assert following["offset"] == 2
    assert live.request("GET", "/data").status_code == 404, "only its tables can be asked for"
    assert live.request("GET", "/data/sales_daily", headers=BROWSER).status_code == 405


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/anomalies/detect", 405), ("DELETE", "/forecast", 405), ("PUT", "/health", 405), ("GET", "/anomalies/",
        404), ("GET", "/metrics", 404), ("GET", "/forecast/", 404), ("GET", "/forecast/x/y", 404), ("POST", "/series/x",
        404), ("GET", "/health/x", 404), ("GET", "/docs/x", 404),
    ],
)  # fmt: skip
def test_below_rest_addresses_the_page_shell_never_answers(live: Any, method: str, path: str, status: int) -> None:
    """The shell answers 200 with HTML to any path it is asked for: a missing /health would look healthy."""
    response = live.request(method, path)
    assert response.status_code == status
    assert response.json()["success"] is False


@pytest.mark.parametrize(
    "path", ["/static/../../etc/passwd", "/static/%2e%2e/%2e%2e/etc/passwd", "/media/..%5c..%5cx", "/%00"]
)
def test_paths_out_of_the_house_lead_nowhere(live: Any, path: str) -> None:
    response = live.request("GET", path)
    assert "root:" not in response.text
    assert response.status_code < 500


def test_bound_beyond_loopback_without_a_login_it_refuses_to_start(tmp_path: Path, servers: Callable[..., Any]) -> None:
    live = servers(tmp_path, "--server.address", "0.0.0.0")
    printed = live.ended()
    assert live.process.returncode == 1
    assert "Set TRENDCAST_AUTH=proxy" in printed
    assert "Traceback" not in printed


def test_uvicorn_bound_beyond_loopback_stops_by_itself(tmp_path: Path, servers: Callable[..., Any]) -> None:
    """Started by other means the app is told no address; it looks at its own sockets."""
    process = subprocess.Popen(
        [sys.executable, "-m", "uvicorn", "trendcast.api.app:app", "--host", "0.0.0.0", "--port", "0"],
        cwd=ROOT,
        env={**os.environ, "TRENDCAST_HOME": str(tmp_path), "DATABASE_URL": "postgresql://a:b@127.0.0.1:1/x"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    printed = process.communicate(timeout=60)[0]
    assert "Set TRENDCAST_AUTH=proxy" in printed


def test_without_a_database_the_server_starts_says_so_and_recovers(
    tmp_path: Path, servers: Callable[..., Any], demo_db: Any
) -> None:
    """The address leads nowhere at first; then the database is there."""
    socket_path = re.search(r"host=([^&]+)", demo_db.url)
    assert socket_path is not None
    folder = socket_path.group(1).replace("%2F", "/")
    gate = socket.socket()
    gate.bind(("127.0.0.1", 0))
    port = gate.getsockname()[1]
    live = servers(tmp_path, DATABASE_URL=f"postgresql://postgres@127.0.0.1:{port}/tc_demo").ready()
    assert live.request("GET", "/").status_code == 200
    away = live.request("GET", "/health")
    assert (away.status_code, away.json()["success"]) == (503, False)

    gate.listen()
    threading.Thread(target=_forward, args=(gate, f"{folder}/.s.PGSQL.5432"), daemon=True).start()
    live.healthy(15)
    log = tmp_path / "logs" / "server.log"
    until(lambda: "The database answers." in log.read_text(), 15)  # the background looks once a second
    printed = live.stop()
    gate.close()
    assert re.search(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}Z - WARNING - ", printed, re.MULTILINE)


def _forward(gate: Any, path: str) -> None:
    """Carry each connection to the database's unix socket."""

    def pump(source: Any, target: Any) -> None:
        try:
            while data := source.recv(65536):
                target.sendall(data)
        except OSError:
            pass
        finally:
            source.close()
            target.close()

    while True:
        try:
            client, _ = gate.accept()
        except OSError:
            return
        server = socket.socket(socket.AF_UNIX)
        server.connect(path)
        for pair in ((client, server), (server, client)):
            threading.Thread(target=pump, args=pair, daemon=True).start()


def test_the_agents_door_does_not_lead_past_the_router_and_ctrl_c_ends_all_of_it(
    tmp_path: Path, open_folder: Path, servers: Callable[..., Any]
) -> None:
    """On its own embedded database: the agent's is the first request; at the end the server goes, and its PostgreSQL
    with it."""
    live = servers(
        open_folder,
        "--server.enableAgentApi",
        "true",
        entry=shop(tmp_path, OURS),
        TRENDCAST_DEMO="off",
        DATABASE_URL="",
    ).ready()
    first = live.request("POST", "/_stcore/agent/interact", json={"page": "secret"})
    assert "THE SECRET" not in first.text
    assert "THE HOME" in live.request("POST", "/_stcore/agent/interact", json={}).text
    assert live.request("POST", "/_stcore/agent/interact", json={}, headers={"host": "evil.example"}).status_code == 403

    live.healthy()
    assert "postgres" in at_work(open_folder)
    live.stop()
    assert at_work(open_folder) == []


def at_work(folder: Path) -> list[str]:
    """The names of all processes whose command line has the folder."""
    processes = psutil.process_iter(["name", "cmdline"])
    return [p.info["name"] for p in processes if str(folder) in " ".join(p.info["cmdline"] or ())]

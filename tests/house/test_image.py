"""The container image and what stands around it, read as files: no container engine is needed to catch these."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
import yaml

from trendcast.settings import SETTINGS

ROOT = Path(__file__).resolve().parents[2]
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
COMPOSE = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))


def instructions() -> list[tuple[str, str]]:
    """(instruction, its words) of the image, lines joined."""
    lines = re.sub(r"\\\n\s*", " ", DOCKERFILE).splitlines()
    return [tuple(line.split(" ", 1)) for line in lines if re.match(r"[A-Z]+ ", line)]  # type: ignore[misc]


def test_every_file_the_image_copies_exists_and_reaches_the_builder():
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    allowed = {line.removeprefix("!") for line in ignored if line.startswith("!")}
    copied = [
        word
        for name, words in instructions()
        if name == "COPY" and "--from" not in words
        for word in words.split()[:-1]
    ]
    assert "streamlit_app.py" in copied
    for path in copied:
        assert (ROOT / path).exists(), path
        assert path in allowed, path


def test_the_image_is_what_the_specification_says():
    found = dict(instructions())  # of several the last, which is the final stage's
    assert found["EXPOSE"] == "8080"
    assert found["USER"] == "trendcast"
    assert "TZ=UTC" in found["ENV"]
    assert "STREAMLIT_SERVER_PORT=8080" in found["ENV"]
    check = found["HEALTHCHECK"]
    assert all(flag in check for flag in ("--interval=30s", "--timeout=10s", "--retries=3"))
    assert "--require-hashes" in DOCKERFILE
    assert "slim" in found["FROM"]


def test_no_secret_is_written_into_the_image_or_the_composition():
    secret = {setting.name for setting in SETTINGS if setting.secret}
    for service in COMPOSE["services"].values():
        for name, value in service.get("environment", {}).items():
            if name in secret or "PASSWORD" in name or "SECRET" in name:
                assert "${" in str(value), name
    assert not re.search(r"(PASSWORD|SECRET)=\S", DOCKERFILE)


def test_every_setting_the_composition_names_exists():
    known = {setting.name for setting in SETTINGS}
    for name in COMPOSE["x-trendcast"]["environment"]:
        assert name in known or name.startswith("STREAMLIT_"), name


def test_all_processes_come_back_after_a_failure_and_wait_for_the_schema():
    services = COMPOSE["services"]
    assert set(services) == {"database", "upgrade", "dashboard", "worker", "proxy"}
    for name, service in services.items():
        assert service["restart"] == ("no" if name == "upgrade" else "unless-stopped")
    assert services["dashboard"]["depends_on"]["upgrade"]["condition"] == "service_completed_successfully"
    assert services["database"]["image"] == "postgres:18"
    assert [name for name, service in services.items() if "ports" in service] == ["proxy"]


def test_the_proxy_passes_websockets_rewrites_nothing_and_overwrites_what_it_vouches_for():
    proxy = (ROOT / "deploy" / "nginx.conf").read_text(encoding="utf-8")
    for line in (
        "proxy_http_version 1.1;",
        "proxy_set_header Upgrade $http_upgrade;",
        "proxy_set_header X-TrendCast-Proxy-Secret $proof;",
        "proxy_set_header X-Forwarded-Email $remote_user;",
        "proxy_set_header X-Forwarded-Groups $trendcast_role;",
        "ip_hash;",
    ):
        assert line in proxy
    assert "rewrite" not in proxy.replace("rewritten", "")


@pytest.fixture
def answering() -> Iterator[object]:
    """``answering(status, body)`` serves that at every address; returns the port."""
    servers: list[HTTPServer] = []

    def start(status: int, body: bytes) -> int:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(status)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        server = HTTPServer(("127.0.0.1", 0), Handler)
        servers.append(server)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return server.server_port

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def check(port: int) -> int:
    command = [sys.executable, str(ROOT / "tools" / "healthcheck.py")]
    environment = {"STREAMLIT_SERVER_PORT": str(port), "http_proxy": "http://127.0.0.1:9"}
    return subprocess.run(command, env=environment, capture_output=True, check=False).returncode


@pytest.mark.parametrize(
    ("status", "body", "code"),
    [
        (200, {"service": "time_series_analytics", "status": "healthy"}, 0),
        (200, {"service": "time_series_analytics", "status": "degraded"}, 0),
        (503, {"success": False, "error": "The database is away."}, 1),
        (200, {"service": "another", "status": "healthy"}, 1),
        (200, "<html>the page shell answers every path</html>", 1),
    ],
)
def test_the_health_check_reads_the_body(answering, status, body, code):
    text = body if isinstance(body, str) else json.dumps(body)
    assert check(answering(status, text.encode())) == code


def test_the_health_check_fails_where_nobody_answers():
    assert check(9) == 1

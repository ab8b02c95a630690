"""The container image and what stands around it, read as files: no container engine is needed to catch these."""

from __future__ import annotations

import ipaddress
import json
import re
import subprocess
import sys
import threading
import tomllib
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
import yaml
from sqlalchemy.engine import make_url

from tools import dockerfile
from trendcast.settings import SETTINGS

ROOT = Path(__file__).resolve().parents[2]
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
COMPOSE = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))


STAGES = dockerfile.read(ROOT / "Dockerfile")
NGINX = (ROOT / "deploy" / "nginx.conf").read_text(encoding="utf-8")
# What a service of ours may say; a misspelt key would otherwise be ignored or stop `docker compose up`.
KEYS = {"build", "image", "init", "restart", "depends_on", "environment", "volumes", "read_only", "tmpfs", "cap_drop",
        "security_opt", "shm_size", "healthcheck", "command", "stop_grace_period", "ports", "networks"}  # fmt: skip


def instructions() -> list[tuple[str, str]]:
    """(instruction, its words) of the whole file, stage after stage."""
    return [step for stage in STAGES for step in [("FROM", stage.base), *stage.steps]]


def test_every_file_the_image_copies_exists_and_reaches_the_builder():
    copied = [
        word
        for name, words in instructions()
        if name == "COPY" and "--from" not in words
        for word in words.split()[:-1]
    ]
    ignored = dockerfile.Ignored(ROOT / ".dockerignore")
    assert "streamlit_app.py" in copied
    for path in copied:
        assert (ROOT / path).exists(), path
        assert path not in ignored, path
    assert ".streamlit/secrets.toml" in ignored
    assert "trendcast/__pycache__/server.cpython-312.pyc" in ignored
    assert all(name in ignored for name in (".env", ".git", "deploy/users", "tests/conftest.py", ".trendcast/logs"))


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


def test_every_base_is_one_named_slim_version_of_debian_and_python():
    assert {re.fullmatch(r"python:3\.\d+-slim-[a-z]+", stage.base) is not None for stage in STAGES} == {True}
    assert len({stage.base for stage in STAGES}) == 1, "what one stage builds must run in the other"


def test_the_image_ends_as_a_user_without_rights_who_owns_the_data_alone():
    words = [word for word, _ in STAGES[-1].steps]
    assert "RUN" not in words[words.index("USER") :]
    made = next(rest for word, rest in STAGES[-1].steps if word == "RUN")
    assert "--shell /usr/sbin/nologin" in made
    assert "-m 0700 /data" in made
    assert not any("sudo" in rest or "chmod 777" in rest for _, rest in instructions())


def test_the_check_of_health_has_the_times_of_the_specification_and_reads_the_body():
    options, command = dockerfile.flags(dict(instructions())["HEALTHCHECK"])
    assert {name: dockerfile.seconds(options[name]) for name in ("interval", "timeout")} == {
        "interval": 30,
        "timeout": 10,
    }
    assert options["retries"] == "3"
    assert dockerfile.words(command.removeprefix("CMD ")) == ["python", "tools/healthcheck.py"]


def test_a_dockerfile_is_read_as_a_builder_reads_it(tmp_path):
    file = tmp_path / "Dockerfile"
    file.write_text(
        "# a comment\nFROM a:1 AS build\nRUN one \\\n# in between\n    && two\n"
        'FROM b:2\nENV A=1 B="x y" \\\n    PATH=/new:$PATH\nCMD ["run", "it"]\n'
    )
    first, last = dockerfile.read(file)
    assert (first.base, first.name, first.steps) == ("a:1", "build", [("RUN", "one  && two")])
    assert dockerfile.environment(last.steps[0][1], {"PATH": "/old"}) == {"A": "1", "B": "x y", "PATH": "/new:/old"}
    assert dockerfile.words(last.steps[1][1]) == ["run", "it"]
    file.write_text("FROM a:1\nONBUILD RUN x\n")
    with pytest.raises(ValueError, match="ONBUILD"):
        dockerfile.read(file)


def test_the_composition_says_nothing_an_engine_does_not_know():
    for name, service in COMPOSE["services"].items():
        assert set(service) <= KEYS, name
        assert set(service.get("depends_on", {})) <= set(COMPOSE["services"]), name
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            assert source.startswith("./deploy/") or source in COMPOSE["volumes"], volume


def test_our_containers_have_an_init_no_rights_and_write_to_their_volume_only():
    for name in ("upgrade", "dashboard", "worker"):
        service = COMPOSE["services"][name]
        assert service["init"] is True, "without it a dead PostgreSQL or child stays a zombie"
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert service["volumes"] == ["data:/data"]
    database = COMPOSE["services"]["database"]
    assert database["shm_size"], "64 MB are too little for parallel queries"
    assert "database:/var/lib/postgresql" in database["volumes"], "where the image of 18 keeps its data"


def test_the_files_with_secrets_that_compose_tells_people_to_make_stay_out_of_the_repository():
    asked = re.findall(
        r"^#   .*?(\.env|deploy/users)\b", (ROOT / "compose.yaml").read_text(encoding="utf-8"), re.MULTILINE
    )
    assert set(asked) == {".env", "deploy/users"}
    for name in (".gitignore", ".dockerignore"):
        assert set(asked) <= set((ROOT / name).read_text(encoding="utf-8").splitlines()), name


def test_every_secret_the_composition_asks_for_is_named_in_the_example():
    asked = set(re.findall(r"\$\{(\w+)", (ROOT / "compose.yaml").read_text(encoding="utf-8"))) - {"TRENDCAST_PORT"}
    example = (ROOT / "deploy" / "example.env").read_text(encoding="utf-8")
    named = dict(re.findall(r"^(\w+)=(.*)$", example, re.MULTILINE))
    assert asked == set(named)
    assert not any(value for name, value in named.items() if "PASSWORD" in name or "SECRET" in name)


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


def test_nobody_connects_as_the_superuser_and_pages_and_rest_have_the_least_rights():
    def user(service):
        return make_url(COMPOSE["services"][service]["environment"]["DATABASE_URL"].replace(":?", "-")).username

    database = COMPOSE["services"]["database"]
    assert {name: user(name) for name in ("upgrade", "worker", "dashboard")} == {
        "upgrade": "tc_owner", "worker": "tc_owner", "dashboard": "tc_web"}  # fmt: skip
    assert database["environment"]["POSTGRES_USER"] not in ("tc_owner", "tc_web")
    assert "./deploy/roles.sql:/docker-entrypoint-initdb.d/roles.sql:ro" in database["volumes"]
    asked = re.findall(r"\\getenv \w+ (\w+)", (ROOT / "deploy" / "roles.sql").read_text(encoding="utf-8"))
    assert set(asked) == {"TRENDCAST_OWNER_PASSWORD", "TRENDCAST_WEB_PASSWORD"} <= set(database["environment"])
    own = [name for name, service in COMPOSE["services"].items() if "POSTGRES_PASSWORD" in str(service)]
    assert own == ["database"]


def test_all_processes_come_back_after_a_failure_and_wait_for_the_schema():
    services = COMPOSE["services"]
    assert set(services) == {"database", "upgrade", "dashboard", "worker", "proxy"}
    for name, service in services.items():
        assert service["restart"] == ("no" if name == "upgrade" else "unless-stopped")
    assert services["dashboard"]["depends_on"]["upgrade"]["condition"] == "service_completed_successfully"
    assert services["database"]["image"] == "postgres:18"
    assert [name for name, service in services.items() if "ports" in service] == ["proxy"]


def test_the_proxy_passes_websockets_rewrites_nothing_and_overwrites_what_it_vouches_for():
    for line in (
        "proxy_http_version 1.1;",
        "proxy_set_header Upgrade $http_upgrade;",
        "proxy_set_header X-TrendCast-Proxy-Secret $proof;",
        "proxy_set_header X-Forwarded-Email $remote_user;",
        "proxy_set_header X-Forwarded-Groups $trendcast_role;",
        "ip_hash;",
    ):
        assert line in NGINX
    assert "rewrite" not in NGINX.replace("rewritten", "")


def test_who_asks_is_what_the_proxy_saw_and_nobody_elses_word_counts():
    """Limits and the audit go by the client's address: one that people could choose would be none."""
    config = NGINX[: NGINX.index("location = /health")], NGINX[NGINX.index("location = /health") :]
    for location in config:
        assert location.count("proxy_set_header X-Forwarded-For $remote_addr;") == 1
    services = COMPOSE["services"]
    address = services["proxy"]["networks"]["default"]["ipv4_address"]
    (subnet,) = COMPOSE["networks"]["default"]["ipam"]["config"]
    assert ipaddress.ip_address(address) in ipaddress.ip_network(subnet["subnet"])
    assert services["dashboard"]["environment"]["FORWARDED_ALLOW_IPS"] == address
    assert "FORWARDED_ALLOW_IPS" not in DOCKERFILE
    assert f'"{address}"' in (ROOT / "tools" / "prove_image.py").read_text(encoding="utf-8")


def test_the_proxy_takes_uploads_as_large_as_the_dashboard_and_waits_for_quiet_pages():
    config = tomllib.loads((ROOT / ".streamlit" / "config.toml").read_text(encoding="utf-8"))
    assert f"client_max_body_size {config['server']['maxUploadSize']}m;" in NGINX
    assert "proxy_read_timeout 1h;" in NGINX
    assert "proxy_buffering off;" in NGINX
    health = NGINX[NGINX.index("location = /health") :]
    assert "auth_basic off;" in health
    assert 'X-TrendCast-Proxy-Secret "";' in health, "a monitor is nobody"


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

"""Log lines: the customer's form, a file beside stdout, and no secret in either."""

from __future__ import annotations

import base64
import logging
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextvars import copy_context
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

import pytest

from trendcast import logs, settings

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def clean_root() -> Iterator[None]:
    root = logging.getLogger()
    before = (list(root.handlers), root.level)
    yield
    for handler in root.handlers:
        if handler not in before[0]:
            handler.close()
    root.handlers, root.level = before


@pytest.fixture
def begun(tmp_path: Path, clean_root: None, capsys: pytest.CaptureFixture[str]) -> Path:
    environment = {
        "TRENDCAST_HOME": str(tmp_path),
        "DATABASE_URL": "postgresql://ann:hunter2hunter2@db.example/shop",
        "TRENDCAST_PROXY_SECRET": "a-secret-of-the-proxy-0123456789abcdef",
    }
    file = logs.begin(settings.load(environment), "server")
    assert file is not None
    return file


def test_a_line_is_time_level_message_on_stdout_and_in_the_file(
    begun: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    logging.getLogger("trendcast.somewhere").warning("Run %d was published", 7)
    line = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}Z - WARNING - Run 7 was published\n")
    assert line.fullmatch(capsys.readouterr().out)
    assert line.fullmatch(begun.read_text())
    assert begun.parent.name == "logs"


@pytest.mark.parametrize(
    "said",
    [
        "connecting to postgresql://ann:hunter2hunter2@db.example/shop",
        "connecting to postgres+psycopg2://bob:an other@db.example/shop".replace(" ", ""),
        "header X-TrendCast-Proxy-Secret was a-secret-of-the-proxy-0123456789abcdef",
        "password=hunter3 sent",
        "{'Authorization': 'Bearer abc.def.ghi'}",
        'token: "abcdefgh"',
    ],
)
def test_secrets_are_hidden(begun: Path, capsys: pytest.CaptureFixture[str], said: str) -> None:
    logging.getLogger("trendcast").error(said)
    try:
        raise ValueError(said)
    except ValueError:
        logging.getLogger("trendcast").exception("it failed")
    for text in (capsys.readouterr().out, begun.read_text()):
        assert "***" in text
        for secret in ("hunter2", "another", "a-secret-of", "hunter3", "abc.def", "abcdefgh"):
            assert secret not in text


SECRETS = {
    "DATABASE_URL": "postgresql://ann:p%40ss-of-the-db@db.example/shop",
    "SOURCE_DATABASE_URL": "postgresql://ann:other-p4ss@db.example/shop",
    "TRENDCAST_PROXY_SECRET": "proxy-secret-0123456789-0123456789-01",
    "TRENDCAST_OIDC_CLIENT_SECRET": "client+secret/of=ours",
    "EMAIL_PASSWORD": "hunter2",
    "ALERT_WEBHOOK_SECRET": "whsec-0123456789",
}


def test_there_is_a_case_for_every_secret_setting() -> None:
    assert set(SECRETS) == {row.name for row in settings.SETTINGS if row.secret}


@pytest.mark.parametrize("name", SECRETS)
def test_no_secret_setting_is_ever_seen_in_any_of_its_writings(
    name: str, tmp_path: Path, clean_root: None, capsys: pytest.CaptureFixture[str]
) -> None:
    value = SECRETS[name]
    file = logs.begin(settings.load({"TRENDCAST_HOME": str(tmp_path), **SECRETS}), "server", ("the-cookie-secret",))
    assert file is not None
    bare = urlsplit(value).password or value
    writings = {value, bare, unquote(bare), quote(bare, safe=""), base64.b64encode(unquote(bare).encode()).decode()}
    for writing in writings:
        logging.getLogger("trendcast").warning("before %s after, the-cookie-secret", writing)
        logging.getLogger("trendcast").warning("x=%r, y='%s'", writing, writing)
    for text in (capsys.readouterr().out, file.read_text()):
        assert text.count("before *** after") + text.count("***") >= len(writings)
        for writing in writings | {"the-cookie-secret"}:
            assert writing not in text


@pytest.mark.parametrize(
    ("said", "secret"),
    [
        ("GET /series with tc_Zm9vYmFyYmF6cXV4MDEyMzQ1Njc4OTAxMjM0NTY3ODkw", "Zm9vYmFy"),
        ("Authorization: Bearer tc_abcdefghijklmnopqrstuvwxyz", "abcdefgh"),
        ("[(b'authorization', b'Basic YW5uOmh1bnRlcjI=')]", "YW5uOmh1"),
        ("headers: {'authorization': 'Bearer abc.def.ghi'}", "abc.def"),
        ("send: 'AUTH PLAIN AGFubgBodW50ZXIy\\r\\n'", "AGFubgBodW50ZXIy"),
        ("send: 'AUTH LOGIN YW5uQHNob3AuZXhhbXBsZQ=='", "YW5uQHNob3AuZXhhbXBsZQ"),
        ("reply: AUTH XOAUTH2 dXNlcj1hbm4BYXV0aD1CZWFyZXI=", "dXNlcj1hbm4"),
        ("token ey" + "JhbGciOiJSUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl came", "c2lnbmF0dXJl"),
        ("/oauth2callback?client_secret=s3cr3t-value&x=1", "s3cr3t-value"),
        ("cookie: _streamlit_user=.eJwtjU0KwjAQRq8i", "eJwtjU0KwjAQ"),
        ("https://hook.example/in?api_key=0123456789", "0123456789"),
        ("smtp://alerts:hunter2@mail.example", "hunter2"),
    ],
)
def test_what_looks_like_a_secret_is_hidden_whoever_it_belongs_to(said: str, secret: str) -> None:
    hidden = logs.redact(said)
    assert secret not in hidden
    assert "***" in hidden


@pytest.mark.parametrize(
    ("said", "left"),
    [
        ("to postgresql://ann:half@way@db/shop", "to postgresql://ann:***@db/shop"),
        ("to postgresql://ann:two words@db/shop", "to postgresql://ann:***@db/shop"),
        ("POST https://hook.example/run?v=1&sig=aB3_x-9 failed", "POST https://hook.example/run?v=1&sig=*** failed"),
        ("GET https://x.example/f?accessToken=abcdef#top", "GET https://x.example/f?accessToken=***#top"),
    ],
)
def test_no_half_of_a_secret_in_an_address_is_shown(said: str, left: str) -> None:
    assert logs.redact(said) == left


def test_plain_words_stay() -> None:
    for said in (
        "postgresql is the database", "The token of the lease was lost", "Run 7 was published", "tc_web has no right",
        "2026-11-22 08:00 UTC: 3 mails, secretary informed",
        "http://shop.example:8080 does not answer, write to ann@shop.example",
    ):  # fmt: skip
        assert logs.redact(said, ("postgres",)) == said


def test_lines_of_a_request_carry_its_id_and_others_none(begun: Path, capsys: pytest.CaptureFixture[str]) -> None:
    say = logging.getLogger("trendcast").info
    say("before")
    with logs.request("3f9c00aa", "10.0.0.1"):
        say("inside")
        copy_context().run(say, "in a thread of its own")
    say("after")
    lines = [line.split(" - ", 2)[2] for line in begun.read_text().splitlines()]
    assert lines == ["before", "[3f9c00aa] inside", "[3f9c00aa] in a thread of its own", "after"]
    assert all(re.match(r"\S+ \S+Z - INFO - ", line) for line in begun.read_text().splitlines())


def test_data_cannot_forge_a_line(begun: Path, capsys: pytest.CaptureFixture[str]) -> None:
    logging.getLogger("trendcast").info("region %s", "Nord\n2026-01-01 00:00:00 - ERROR - forged")
    assert len(capsys.readouterr().out.splitlines()) == 1


def test_other_libraries_speak_through_ours_once(begun: Path, capsys: pytest.CaptureFixture[str]) -> None:
    foreign = logging.getLogger("uvicorn.error")
    foreign.addHandler(logging.StreamHandler())
    foreign.propagate = False
    foreign.setLevel(logging.NOTSET)  # a server of another test may have made it silent
    foreign.disabled = False
    logs.adopt_foreign_loggers()
    foreign.warning("careful")
    printed = capsys.readouterr()
    assert printed.out.endswith(" - WARNING - careful\n")
    assert printed.err == ""


def test_a_folder_that_cannot_be_written_leaves_stdout(
    tmp_path: Path, clean_root: None, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "logs").write_text("in the way")
    assert logs.begin(settings.load({"TRENDCAST_HOME": str(tmp_path)}), "server") is None
    assert "Logs go to stdout only" in capsys.readouterr().out


def test_each_process_has_a_file_of_its_own_and_leaves_it_to_the_next(tmp_path: Path, clean_root: None) -> None:
    """Two that write one file would lose lines when it is turned over."""
    environment = {**os.environ, "TRENDCAST_HOME": str(tmp_path)}
    code = (
        "import sys; from trendcast import logs, settings; "
        "print(logs.begin(settings.load(), 'server').name, flush=True); sys.stdin.read()"
    )
    here = settings.load({"TRENDCAST_HOME": str(tmp_path)})
    with subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "server.log\n"
        for _ in range(2):  # to begin anew gives back what this process had
            file = logs.begin(here, "server")
            assert file is not None
            assert file.name == "server-2.log"
        worker = logs.begin(here, "worker")
        assert worker is not None
        assert worker.name == "worker.log"
        assert {one.suffix for one in worker.parent.iterdir()} <= {".log"}
        other.kill()
    file = logs.begin(here, "server")
    assert file is not None
    assert file.name == "server.log"


@pytest.mark.parametrize(("level", "shown"), [("debug", 3), ("info", 2), ("warning", 1), ("error", 0)])
def test_the_setting_says_how_much_is_told(
    level: str, shown: int, tmp_path: Path, clean_root: None, capsys: pytest.CaptureFixture[str]
) -> None:
    logs.begin(settings.load({"TRENDCAST_HOME": str(tmp_path), "TRENDCAST_LOG_LEVEL": level}), "server")
    log = logging.getLogger("trendcast.somewhere")
    log.debug("much")
    log.info("some")
    log.warning("little")
    assert len(capsys.readouterr().out.splitlines()) == shown

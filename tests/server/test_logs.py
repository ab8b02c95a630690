"""Log lines: the customer's form, a file beside stdout, and no secret in either."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from trendcast import logs, settings


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


def test_data_cannot_forge_a_line(begun: Path, capsys: pytest.CaptureFixture[str]) -> None:
    logging.getLogger("trendcast").info("region %s", "Nord\n2026-01-01 00:00:00 - ERROR - forged")
    assert len(capsys.readouterr().out.splitlines()) == 1


def test_other_libraries_speak_through_ours_once(begun: Path, capsys: pytest.CaptureFixture[str]) -> None:
    foreign = logging.getLogger("uvicorn.error")
    foreign.addHandler(logging.StreamHandler())
    foreign.propagate = False
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

"""`session`: an administrator sees who is signed in, and ends it."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from trendcast import __main__ as command_line
from trendcast.services import sessions
from trendcast.services.people import Person
from trendcast.store.engine import Database


@pytest.fixture
def say(db: Database, tmp_path: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    monkeypatch.setenv("DATABASE_URL", db.url)
    monkeypatch.setenv("TRENDCAST_HOME", str(tmp_path))

    def run(*words: str) -> tuple[int, str, str]:
        code = command_line.main(["session", *words])
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return run


def test_who_is_signed_in_is_listed_and_signed_out_by_name(say: Any, db: Database) -> None:
    assert say("list")[1] == "Nobody is signed in.\n"
    now = datetime.now(UTC)
    made = [sessions.begin(db, now, Person("ann@shop.example", "planner"), "1") for _ in range(2)]
    assert say("list")[1].count("ann@shop.example: planner, until") == 2
    listed = json.loads(say("list", "--json")[1])["sessions"]
    assert not {"id"} & listed[0].keys(), "what the cookie proves is shown to nobody"
    assert "signed out everywhere" in say("end", "ann@shop.example")[1]
    assert [sessions.find(db, now, one.id) for one in made] == [None, None]
    assert say("end", "ann@shop.example")[0] == 1
    assert say("end")[0] == 2

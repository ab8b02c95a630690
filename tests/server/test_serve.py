"""``serve`` is the server, as ``streamlit run streamlit_app.py`` would be, and opens its port when it can answer."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from streamlit.web import cli

from trendcast import __main__ as command_line

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def executed(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    calls: list[list[str]] = []
    monkeypatch.setattr(cli, "main", lambda arguments, prog_name: calls.append([prog_name, *arguments]))
    return calls


def test_serve_is_streamlit_run(executed: list[list[str]]) -> None:
    assert command_line.main(["serve"]) == 0
    assert executed == [["streamlit", "run", str(ROOT / "streamlit_app.py")]]


def test_serve_takes_address_and_port(executed: list[list[str]]) -> None:
    command_line.main(["serve", "--address", "127.0.0.1", "--port", "9000"])
    assert executed[0][3:] == ["--server.address", "127.0.0.1", "--server.port", "9000"]


def test_the_app_is_imported_before_the_port_is_open() -> None:
    """Otherwise whoever connects meanwhile waits, and a proxy does not take another replica."""
    program = """
import sys
from streamlit.web import cli
cli.main = lambda *_, **__: print("trendcast.api.app" in sys.modules)
from trendcast import __main__ as command_line
command_line.main(["serve"])
"""
    ended = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert ended.stdout == "True\n", ended.stderr


@pytest.mark.parametrize("arguments", [["--json"], ["--port", "70000"]])
def test_serve_refuses_what_makes_no_sense(
    executed: list[list[str]], capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    assert command_line.main(["serve", *arguments]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert executed == []


def test_the_entry_file_is_exactly_a_table_of_contents() -> None:
    """Streamlit finds the ASGI app by parsing: a literal st.App(...) assignment; anything more belongs elsewhere."""
    text = (ROOT / "streamlit_app.py").read_text()
    parts = "routes=server.routes(), middleware=server.middleware(), lifespan=server.lifespan, secrets=server.secrets()"
    assert f"app = st.App(__file__, {parts})" in re.sub(r"\s+", " ", text).replace("( ", "(").replace(", )", ")")
    assert len(text.splitlines()) <= 20

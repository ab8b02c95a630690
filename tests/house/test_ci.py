"""CI runs what people run, and cannot turn green by leaving tests out."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_a_skipped_browser_test_fails_under_ci(tmp_path: Path) -> None:
    shutil.copy(ROOT / "tests" / "conftest.py", tmp_path)
    (tmp_path / "test_page.py").write_text(
        "import pytest\n\n@pytest.mark.browser\ndef test_page():\n    pytest.skip('no chromium')\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-c", ROOT / "pyproject.toml", "--rootdir", tmp_path, tmp_path],
        cwd=tmp_path,
        env={**os.environ, "CI": "true", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done.stdout
    assert "1 failed" in done.stdout


def test_ci_uses_the_commands_of_the_makefile() -> None:
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert (ROOT / ".ci" / "run").stat().st_mode & stat.S_IXUSR
    assert "make test" in script
    assert "make check" in script
    assert "chromium" in script
    hosted = (ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8")
    assert ".ci/run" in hosted


def test_ci_fails_when_any_of_its_commands_fails(tmp_path: Path) -> None:
    """With a ``make`` that fails for one target only."""
    (tmp_path / ".ci").mkdir()
    shutil.copy(ROOT / ".ci" / "run", tmp_path / ".ci" / "run")
    tools = tmp_path / "bin"
    tools.mkdir()
    for name, text in {
        "make": 'echo "ran $1"; test "$1" != "$FAILS"',
        "dpkg-query": "echo installed",
        "apt-get": "exit 1",
    }.items():
        (tools / name).write_text(f"#!/bin/sh\n{text}\n")
        (tools / name).chmod(0o755)
    for fails, code in (("nothing", 0), ("test", 1), ("check", 1)):
        done = subprocess.run(
            [tmp_path / ".ci" / "run"],
            env={**os.environ, "PATH": f"{tools}:{os.environ['PATH']}", "FAILS": fails},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == code, (fails, done.stdout, done.stderr)
        assert "ran test" in done.stdout
        assert "ran check" in done.stdout


def test_every_command_of_the_makefile_is_phony_and_the_benchmarks_hear_where_the_data_is() -> None:
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    phony = next(line for line in text.splitlines() if line.startswith(".PHONY:")).split()[1:]
    commands = [line.split(":")[0] for line in text.splitlines() if line[:1].islower() and ":" in line.split("=")[0]]
    assert len(commands) > 10
    assert sorted(phony) == sorted(commands)
    said = subprocess.run(
        ["make", "--dry-run", "bench", "DATA=/somewhere/else"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert 'TRENDCAST_REAL_DATA="/somewhere/else"' in said.stdout

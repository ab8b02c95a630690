"""The REST service alone, in a process of its own, against its own description: no server error, nothing
undocumented."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.installation import ROOT, start_api
from trendcast.services.progress import silent
from trendcast.store.engine import Database


@pytest.fixture(scope="module")
def own(clone_demo: Callable[[str], Database]) -> Database:
    """The demo retailer as if the data were one's own: a row that is pushed does not replace all of it."""
    from trendcast.services import detect
    from trendcast.services.runtime import clock

    database = clone_demo("fuzz")
    with database.transaction() as connection:
        connection.exec_driver_sql("UPDATE load_batch SET source = 'own'")
    detect.detect(database, clock, silent, None)
    return database


@pytest.fixture(scope="module")
def address(own: Database, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """``uvicorn trendcast.api.app:app`` on the demo retailer."""
    live = start_api(tmp_path_factory.mktemp("home"), DATABASE_URL=own.url).ready().healthy()
    yield live.url
    printed = live.stop()
    assert "Unforeseen error" not in printed, printed


def test_rest_needs_neither_streamlit_nor_the_modelling_libraries() -> None:
    code = (
        "import sys, trendcast.api.app; print([m for m in ('streamlit', 'prophet', 'statsmodels') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "[]"


def fuzz(address: str, folder: Path, *arguments: str, seconds: float) -> str:
    """What it says at the end: how many operations and requests, and that nothing was found."""
    pytest.importorskip("schemathesis")
    said = folder / "said.txt"
    with said.open("wb") as file:
        done = subprocess.run(
            [sys.executable, "-m", "schemathesis.cli", "run", f"{address}/openapi.json", "--checks", "all",
             # A level and names, or two dates, can be valid each and contradict each other: 422 is right then.
             "--exclude-checks", "positive_data_acceptance",
             # A busy machine is slow, which is another test's business (benchmarks/api.py).
             "--request-timeout", "60",
             "--seed", "1", "--generation-database", "none", "--no-color", *arguments],
            cwd=folder,
            stdout=file,
            stderr=subprocess.STDOUT,
            timeout=seconds,
            check=False,
        )  # fmt: skip
    text = said.read_text(encoding="utf-8")
    assert done.returncode == 0, text[-8000:]
    return text[-2000:]


def test_whatever_is_sent_the_answers_are_documented(address: str, tmp_path: Path) -> None:
    examples = os.environ.get("TRENDCAST_TEST_FUZZ_EXAMPLES", "5")
    phases = ("--phases", "examples,coverage,fuzzing", "--max-examples", examples, "--workers", "1")
    fuzz(address, tmp_path, *phases, seconds=300)


@pytest.mark.nightly(minutes=60)
def test_whatever_is_sent_for_long_and_in_any_order(address: str, tmp_path: Path) -> None:
    phases = ("--phases", "examples,coverage,fuzzing,stateful", "--max-examples", "200", "--workers", "2")
    print(fuzz(address, tmp_path, *phases, "--report", "junit", seconds=3500))

"""A real server in a process of its own, and its websocket spoken raw."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.installation import Live, start
from trendcast.store.engine import Database


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder for an embedded database: pytest's own are closed to the user that PostgreSQL runs as under root."""
    folder = Path(tempfile.mkdtemp(prefix="tc-live-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def servers() -> Iterator[Callable[..., Live]]:
    """``servers(home, *options, **environment)`` starts a server that ends with the test."""
    made: list[Live] = []

    def make(home: Path, *options: str, **how: Any) -> Live:
        made.append(start(home, *options, **how))
        return made[-1]

    yield make
    for live in made:
        live.stop()


@pytest.fixture(scope="session")
def live(demo_db: Database, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    """One server on the demo retailer for all tests that only ask. Its very first request is a deep link to a page over
    the raw websocket."""
    one = start(tmp_path_factory.mktemp("home"), DATABASE_URL=demo_db.url).ready()
    try:
        one.first = one.session("forecasts")
        yield one
    finally:
        printed = one.stop()
        assert "Traceback" not in printed, printed

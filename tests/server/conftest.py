"""A real server in a process of its own, and its websocket spoken raw."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from trendcast.store.engine import Database

ROOT = Path(__file__).resolve().parents[2]


@dataclass
class Live:
    """A running server: its port, its process, the folder of its files, and what its very first request was told."""

    port: int
    process: subprocess.Popen[str]
    home: Path
    first: list[Any] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://localhost:{self.port}"

    def ready(self) -> Live:
        """Wait until the port answers a bare connection: no request has been made then."""
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise AssertionError(f"The server ended: {self.stop()}")
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return self
            time.sleep(0.1)
        raise AssertionError("The server does not come up.")

    def request(self, method: str, path: str, **how: Any) -> httpx.Response:
        with httpx.Client(base_url=self.url, timeout=30) as client:
            return client.request(method, path, **how)

    def session(self, page: str, headers: dict[str, str] | None = None, seconds: float = 40) -> list[Any]:
        """Open the websocket as a browser does, ask for a page, and return all messages until the script is
        finished."""
        return asyncio.run(_session(self.port, page, {"Origin": self.url} if headers is None else headers, seconds))

    def stop(self) -> str:
        """Ctrl-C; returns what the server printed."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        return self.process.communicate(timeout=40)[0]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def start(home: Path, *options: str, entry: Path = ROOT / "streamlit_app.py", **environment: str) -> Live:
    port = free_port()
    environment = {name: value.replace("{port}", str(port)) for name, value in environment.items()}
    process = subprocess.Popen(
        [sys.executable, "-m", "streamlit", "run", str(entry), "--server.port", str(port), "--server.headless", "true",
         *options],
        cwd=ROOT,
        env={**os.environ, "TRENDCAST_HOME": str(home), "TRENDCAST_JOBS": "off", "TZ": "UTC", **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )  # fmt: skip
    return Live(port, process, home)


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


async def _session(port: int, page: str, headers: dict[str, str], seconds: float) -> list[Any]:
    from streamlit.proto.BackMsg_pb2 import BackMsg
    from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
    from websockets.asyncio.client import connect
    from websockets.typing import Subprotocol

    messages: list[Any] = []
    async with asyncio.timeout(seconds):
        async with connect(
            f"ws://localhost:{port}/_stcore/stream",
            subprotocols=[Subprotocol("streamlit")],
            additional_headers=headers,
            max_size=None,
            open_timeout=seconds,  # a server that has just bound its port still loads
        ) as socket_:
            wish = BackMsg()
            wish.rerun_script.page_name = page
            wish.rerun_script.query_string = ""
            await socket_.send(wish.SerializeToString())
            while True:
                message = ForwardMsg()
                message.ParseFromString(await socket_.recv())  # type: ignore[arg-type]
                messages.append(message)
                if message.WhichOneof("type") == "script_finished":
                    return messages


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

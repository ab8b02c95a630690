"""The product as people run it: ``streamlit run`` in a process of its own, and its websocket spoken raw."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import httpx

from tests.waiting import free_port, until

ROOT = Path(__file__).resolve().parents[1]


@dataclass
class Live:
    """A running server: its port, its process, the folder of its files, and what its very first request was told."""

    port: int
    process: subprocess.Popen[bytes]
    home: Path
    output: IO[bytes]  # a file: a pipe that nobody reads would stop a server that tells much
    first: list[Any] = field(default_factory=list)
    _printed: str | None = None  # once it has ended

    @property
    def url(self) -> str:
        return f"http://localhost:{self.port}"

    def ready(self) -> Live:
        """Wait until the port answers a bare connection: no request has been made then."""
        try:
            until(self._answers, 120, every=0.1, what="The start of the server")
        except AssertionError as reason:
            raise AssertionError(f"{reason}\n{self.stop()}") from None
        return self

    def _answers(self) -> bool:
        assert self.process.poll() is None, f"The server ended with {self.process.returncode}:"
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def healthy(self, seconds: float = 90) -> Live:
        """Wait until /health says that it serves."""
        until(
            lambda: self.request("GET", "/health").status_code == 200,
            seconds,
            every=0.2,
            what="A good word from /health",
        )
        return self

    def request(self, method: str, path: str, **how: Any) -> httpx.Response:
        with httpx.Client(base_url=self.url, timeout=30) as client:
            return client.request(method, path, **how)

    def session(self, page: str, headers: dict[str, str] | None = None, seconds: float = 40) -> list[Any]:
        """Open the websocket as a browser does, ask for a page, and return all messages until the script is
        finished."""
        return asyncio.run(_session(self.port, page, {"Origin": self.url} if headers is None else headers, seconds))

    def ended(self, seconds: float = 60) -> str:
        """Wait until it has ended by itself; what it printed."""
        if self._printed is None:
            try:
                self.process.wait(seconds)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
                raise AssertionError(f"The server does not end within {seconds:g} s:\n{self._read()}") from None
            self._read()
        return str(self._printed)

    def stop(self) -> str:
        """Ctrl-C; what it printed."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        return self.ended()

    def _read(self) -> str:
        self.output.seek(0)
        self._printed = self.output.read().decode(errors="replace")
        self.output.close()
        return self._printed


def launch(home: Path, command: list[str], **environment: str) -> Live:
    """A server in a process of its own; ``{port}`` in the command and the environment is a port that is free."""
    port = free_port()
    environment = {name: value.replace("{port}", str(port)) for name, value in environment.items()}
    output = tempfile.TemporaryFile()  # noqa: SIM115  closed with the server
    process = subprocess.Popen(
        [word.replace("{port}", str(port)) for word in command],
        cwd=ROOT,
        env={**os.environ, "TRENDCAST_HOME": str(home), "TZ": "UTC", **environment},
        stdout=output,
        stderr=subprocess.STDOUT,
    )
    return Live(port, process, home, output)


def start(home: Path, *options: str, entry: Path = ROOT / "streamlit_app.py", **environment: str) -> Live:
    """The dashboard. Jobs are off unless the environment says otherwise."""
    command = [sys.executable, "-m", "streamlit", "run", str(entry), "--server.port", "{port}", "--server.headless"]
    return launch(home, [*command, "true", *options], **{"TRENDCAST_JOBS": "off", **environment})


def start_api(home: Path, **environment: str) -> Live:
    """The REST service alone."""
    command = [sys.executable, "-m", "uvicorn", "trendcast.api.app:app", "--port", "{port}", "--no-access-log"]
    return launch(home, command, **environment)


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

"""A whole installation in a temporary folder, as compose.yaml has it: two dashboards behind nginx, a worker, the REST
service alone, a mail server; each process restarted when it ends. For the soak."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import os
import re
import shutil
import signal
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from email import message_from_bytes
from pathlib import Path
from typing import Any

import httpx
import psutil
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Subprotocol

from tests.waiting import free_port

ROOT = Path(__file__).resolve().parents[1]
SECRET = "a secret of the soak, long enough to be one"
USER, PASSWORD = "ann", "of the soak"
RECIPIENTS = ("ann@shop.example", "bob@shop.example")
PAUSE = 1.0  # seconds before a process that ended is started again
STEP = 0.2  # seconds between looks at whether it is ready
# What a page says in place of figures, or beside old ones.
NO_FIGURES = re.compile(rb"state_(starting|away|empty|waiting|first|failed)\w*|database does not answer")
# What it says where its script failed: the exception itself is in the log only.
BROKEN = re.compile(rb"state_(broken|error)")


@dataclass
class Life:
    """One process from its start to its end: memory over time in MB, and seconds from start to ready."""

    started: float
    ready: float | None = None
    memory: list[tuple[float, float]] = field(default_factory=list)


class Supervised:
    """A process that is started again whenever it ends. ``port``: where it answers /health; None: it answers nobody."""

    def __init__(self, name: str, command: list[str], environment: dict[str, str], log: Path, port: int | None) -> None:
        self.name, self.command, self.environment, self.log, self.port = name, command, environment, log, port
        self.process: asyncio.subprocess.Process | None = None
        self.lives: list[Life] = []
        self.gaps: list[float] = []  # seconds from the end of one process to the next one's readiness
        self.unasked = 0  # ends that nobody asked for
        self._asked = False
        self._task: asyncio.Task[None] | None = None

    def begin(self) -> None:
        self._task = asyncio.create_task(self._run())

    async def _run(self) -> None:
        ended = 0.0
        while True:
            with self.log.open("ab") as log:
                self.process = await asyncio.create_subprocess_exec(
                    *self.command, cwd=ROOT, env=self.environment, stdout=log, stderr=log, start_new_session=True
                )
            self.lives.append(Life(time.monotonic()))
            watch = asyncio.create_task(self._until_ready(self.lives[-1], ended))
            await self.process.wait()
            ended = time.monotonic()
            watch.cancel()
            self.unasked += not self._asked
            self._asked = False
            await asyncio.sleep(PAUSE)

    async def _until_ready(self, life: Life, ended: float) -> None:
        if self.port is None:
            return
        async with httpx.AsyncClient(timeout=5) as client:
            while life.ready is None:
                with contextlib.suppress(httpx.HTTPError):
                    answer = await client.get(f"http://localhost:{self.port}/health")
                    if answer.status_code == 200:
                        life.ready = time.monotonic() - life.started
                        if ended:
                            self.gaps.append(time.monotonic() - ended)
                await asyncio.sleep(STEP)

    async def ready(self, seconds: float = 120) -> None:
        async with asyncio.timeout(seconds):
            while not self.lives or self.lives[-1].ready is None:
                await asyncio.sleep(STEP)

    def kill(self) -> None:
        """SIGKILL to the process alone: what it started must notice by itself."""
        assert self.process is not None
        self._asked = True
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(signal.SIGKILL)

    def weigh(self) -> None:
        if self.process is not None and self.process.returncode is None:
            with contextlib.suppress(psutil.Error):
                now = time.monotonic()
                self.lives[-1].memory.append((now, psutil.Process(self.process.pid).memory_info().rss / 1024**2))

    async def end(self) -> None:
        if self._task is not None:
            self._task.cancel()
        if self.process is not None and self.process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self.process.send_signal(signal.SIGTERM if self.port is None else signal.SIGINT)
            try:
                await asyncio.wait_for(self.process.wait(), 60)
            except TimeoutError:
                self.process.kill()


class Postbox:
    """What the mail server got: how often each message came to each recipient, and when it came first."""

    def __init__(self) -> None:
        self.mails: Counter[tuple[str, str]] = Counter()
        self.first_at: dict[tuple[str, str], float] = {}

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:
        letter = message_from_bytes(envelope.content)
        for recipient in envelope.rcpt_tos:
            key = (str(letter["Message-ID"]), recipient)
            self.mails[key] += 1
            self.first_at.setdefault(key, time.time())
        return "250 OK"


class Installation:
    """``async with Installation(folder) as it``: everything runs. ``front``: nginx; ``alone``: the first dashboard."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.home = folder / "home"
        self.front, self.mail_port = free_port(), free_port()
        self.postbox = Postbox()
        self.environment = {
            **os.environ,
            "TRENDCAST_HOME": str(self.home),
            "DATABASE_URL": "",
            "TRENDCAST_DEMO": "off",
            "TRENDCAST_JOBS": "off",
            "TRENDCAST_AUTH": "proxy",
            "TRENDCAST_PROXY_SECRET": SECRET,
            "TRENDCAST_PUBLIC_URL": f"http://localhost:{self.front}",
            "STREAMLIT_SERVER_COOKIE_SECRET": SECRET,
            "SMTP_SERVER": "127.0.0.1",
            "SMTP_PORT": str(self.mail_port),
            "SMTP_SECURITY": "none",
            "ALERT_FROM_EMAIL": "TrendCast <alerts@shop.example>",
            "ALERT_RECIPIENTS": ",".join(RECIPIENTS),
            "TZ": "UTC",
            "PYTHONPATH": str(ROOT),
        }
        python, logs = sys.executable, folder / "logs"
        logs.mkdir(parents=True)
        ports = {"dashboard": free_port(), "second dashboard": free_port(), "API": free_port(), "worker": None}

        def command(name: str, port: int | None) -> list[str]:
            if name == "worker":
                return [python, "-m", "trendcast", "worker"]
            if name == "API":
                return [python, "-m", "uvicorn", "trendcast.api.app:app", "--port", str(port), "--no-access-log"]
            return [python, "-m", "trendcast", "serve", "--port", str(port)]

        self.processes = {
            name: Supervised(name, command(name, port), self.environment, logs / f"{name.replace(' ', '_')}.log", port)
            for name, port in ports.items()
        }
        self._mail: Any = None
        self._nginx: asyncio.subprocess.Process | None = None

    async def __aenter__(self) -> Installation:
        from aiosmtpd.controller import Controller

        self._mail = Controller(self.postbox, hostname="127.0.0.1", port=self.mail_port)
        self._mail.start()
        for process in self.processes.values():
            process.begin()
        await asyncio.gather(*(one.ready() for one in self.processes.values() if one.port is not None))
        await self._start_nginx()
        return self

    async def __aexit__(self, *_error: object) -> None:
        if self._nginx is not None and self._nginx.returncode is None:
            self._nginx.terminate()
            await self._nginx.wait()
        await asyncio.gather(*(one.end() for one in self.processes.values()))
        self._mail.stop()

    async def _start_nginx(self) -> None:
        """deploy/nginx.conf as it is, with two replicas and a free port."""
        folder = self.folder / "nginx"
        folder.mkdir(mode=0o755)
        (folder / "users").write_text(f"{USER}:{{PLAIN}}{PASSWORD}\n")
        replicas = "\n    ".join(
            f"server 127.0.0.1:{one.port};" for one in self.processes.values() if "dashboard" in one.name
        )
        text = (ROOT / "deploy" / "nginx.conf").read_text(encoding="utf-8")
        text = text.replace("${TRENDCAST_PROXY_SECRET}", SECRET).replace("/etc/nginx/users", str(folder / "users"))
        text, changed = re.subn(r"server dashboard:8080;", replicas, text)
        text, bound = re.subn(r"listen 8080;", f"listen 127.0.0.1:{self.front};", text)
        assert (changed, bound) == (1, 1), "deploy/nginx.conf has another form"
        temporary = "".join(f"{kind}_temp_path {folder}/{kind};\n" for kind in
                            ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))  # fmt: skip
        (folder / "nginx.conf").write_text(
            ("user root;\n" if os.geteuid() == 0 else "")
            + f"daemon off;\nworker_processes 1;\npid {folder}/pid;\nerror_log {folder}/error.log;\nevents {{}}\n"
            f"http {{\naccess_log off;\n{temporary}{text}\n}}\n"
        )
        program = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
        assert program is not None
        self._nginx = await asyncio.create_subprocess_exec(program, "-p", str(folder), "-c", str(folder / "nginx.conf"))
        async with asyncio.timeout(20), httpx.AsyncClient() as client:
            while True:
                with contextlib.suppress(httpx.HTTPError):
                    if (await client.get(f"http://localhost:{self.front}/health")).status_code == 200:
                        return
                await asyncio.sleep(STEP)


class Visitor:
    """A person's browser: one websocket that stays open, reruns on demand. ``network``: a number; the proxy keeps a
    person on a replica by address. ``direct``: past the proxy, as one whom the proxy has signed in."""

    def __init__(self, port: int, network: int = 0, *, direct: bool = False) -> None:
        self.port, self.address = port, f"127.0.{network}.1"
        self.headers = {"Origin": f"http://localhost:{port}", "Host": f"localhost:{port}"}
        if direct:
            self.headers |= {
                "X-TrendCast-Proxy-Secret": SECRET,
                "X-Forwarded-Email": "ann",
                "X-Forwarded-Groups": "admin",
            }
        else:
            self.headers["Authorization"] = "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        self._socket: ClientConnection | None = None

    async def health(self, seconds: float = 5) -> str:
        """'' when /health answers 200 with a status that means served; else what was wrong."""
        transport = httpx.AsyncHTTPTransport(local_address=self.address)
        async with httpx.AsyncClient(transport=transport, timeout=seconds) as client:
            try:
                headers = {name: value for name, value in self.headers.items() if name != "Origin"}
                answer = await client.get(f"http://127.0.0.1:{self.port}/health", headers=headers)
                good = answer.status_code == 200 and answer.json()["status"] in ("healthy", "degraded")
            except (httpx.HTTPError, ValueError, KeyError) as error:
                return f"{type(error).__name__}: {error}"
        return "" if good else f"{answer.status_code}: {answer.text[:200]}"

    async def rerun(self, page: str, seconds: float = 30) -> str:
        """'' when the page's script ran to its end and drew figures without an exception; else what was wrong."""
        try:
            async with asyncio.timeout(seconds):
                if self._socket is None:
                    self._socket = await self._open()
                return await self._rerun(self._socket, page)
        except Exception as error:  # noqa: BLE001  whatever it is, the visitor sees no page
            await self.close()
            return f"{type(error).__name__}: {error}"[:300]

    async def _open(self) -> ClientConnection:
        headers = {name: value for name, value in self.headers.items() if name != "Host"}
        return await connect(
            f"ws://localhost:{self.port}/_stcore/stream",
            host="127.0.0.1",
            local_addr=(self.address, 0),
            subprotocols=[Subprotocol("streamlit")],
            additional_headers=headers,
            max_size=None,
            proxy=None,
        )

    @staticmethod
    async def _rerun(socket_: ClientConnection, page: str) -> str:
        wish = BackMsg()
        wish.rerun_script.page_name = page
        wish.rerun_script.query_string = ""
        await socket_.send(wish.SerializeToString())
        drawn, wrong = 0, ""
        begun = False
        while True:
            message = ForwardMsg()
            message.ParseFromString(await socket_.recv())  # type: ignore[arg-type]
            kind = message.WhichOneof("type")
            begun = begun or kind == "new_session"
            if kind == "delta" and message.delta.WhichOneof("type") == "new_element":
                element = message.delta.new_element
                drawn += element.WhichOneof("type") in ("plotly_chart", "arrow_data_frame", "metric", "markdown")
                if element.WhichOneof("type") == "exception":
                    wrong = f"exception: {element.exception.message[:200]}"
            if kind == "delta" and (said := BROKEN.search(message.SerializeToString())):
                wrong = f"exception: {said[0].decode()}"
            if kind == "delta" and (said := NO_FIGURES.search(message.SerializeToString())):
                wrong = wrong or f"no figures: {said[0].decode()}"
            if kind == "script_finished" and begun:
                return wrong or ("" if drawn >= 3 else f"only {drawn} elements")

    async def close(self) -> None:
        used, self._socket = self._socket, None
        if used is not None:
            with contextlib.suppress(Exception):
                await asyncio.wait_for(used.close(), 2)

"""Installing and starting: what stops it is said in one sentence, and nothing half-done is left behind.

Each test runs the real Makefile and launcher in a folder of its own; the lock file is small, the rest is as a user has
it.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import pty
import re
import select
import shutil
import signal
import socket
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.waiting import free_port, until

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.skipif(os.name == "nt", reason="make and signals as on Linux and macOS")

SERVER = """
import http.server, os, pathlib, signal, subprocess, sys, time
port = int(next(a for a in sys.argv if a.startswith("--server.port=")).split("=")[1])
deaf = "import signal, time; signal.signal(signal.SIGINT, signal.SIG_IGN); time.sleep(600)"
child = subprocess.Popen([sys.executable, "-c", deaf])
pathlib.Path("child.pid").write_text(str(child.pid))
server = http.server.ThreadingHTTPServer(("127.0.0.1", port), http.server.BaseHTTPRequestHandler)
pathlib.Path("server.pid").write_text(str(os.getpid()))
try:
    server.serve_forever()
except KeyboardInterrupt:
    pass
"""


def clone(folder: Path) -> Path:
    """A clone with everything that starts it; its lock files ask for nothing."""
    for file in ("Makefile", "tools/launch.py"):
        (folder / file).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / file, folder / file)
    for file in ("requirements.lock", "requirements-dev.lock", "streamlit_app.py"):
        (folder / file).touch()
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return clone(tmp_path)


@pytest.fixture
def port() -> int:
    return free_port()


def environment(**changes: str) -> dict[str, str]:
    """A user's environment: no settings of ours, no pip configuration of this machine."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "TRENDCAST_", "MAKE"))}
    return {**kept, "PIP_CONFIG_FILE": os.devnull, "PIP_RETRIES": "1", "PYTHON": sys.executable, **changes}


def run(folder: Path, *command: str, **changes: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, cwd=folder, env=environment(**changes), capture_output=True, text=True, timeout=60, check=False
    )


def launch(folder: Path, command: str, **changes: str) -> subprocess.CompletedProcess[str]:
    return run(folder, sys.executable, "tools/launch.py", command, **changes)


def background(folder: Path, command: str, **changes: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "tools/launch.py", command],
        cwd=folder,
        env=environment(**changes),
        stderr=subprocess.PIPE,
        text=True,
    )


def said(done: subprocess.CompletedProcess[str]) -> list[str]:
    """What a failed command said, without make's own line and how far the install is."""
    assert done.returncode != 0
    assert "Traceback" not in done.stderr
    lines = (done.stdout + done.stderr).splitlines()
    return [line for line in lines if not line.startswith(("make: ***", "Installing "))]


def wheel(folder: Path, name: str = "tinything") -> tuple[Path, str]:
    """A small package as pip wants it, and its hash."""
    path = folder / f"{name}-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"{name}.py", "here = True\n")
        archive.writestr(f"{name}-1.0.dist-info/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        archive.writestr(
            f"{name}-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(f"{name}-1.0.dist-info/RECORD", "")
    return path, hashlib.sha256(path.read_bytes()).hexdigest()


@contextlib.contextmanager
def silent_index() -> Iterator[str]:
    """A package index that takes the connection and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        kept: list[socket.socket] = []

        def accept() -> None:
            with contextlib.suppress(OSError):
                while True:
                    kept.append(server.accept()[0])

        threading.Thread(target=accept, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.getsockname()[1]}/simple"
        finally:
            for connection in kept:
                connection.close()
            server.shutdown(socket.SHUT_RDWR)


# --- the system ---


def test_no_python_new_enough_is_one_sentence(folder: Path) -> None:
    old = folder / "bin"
    old.mkdir()
    (old / "python3").write_text("#!/bin/sh\nexit 1\n")
    (old / "python3").chmod(0o755)
    for tool in ("make", "sh", "echo", "test"):
        (old / tool).symlink_to(shutil.which(tool) or "")
    changed = environment(PATH=str(old))
    changed.pop("PYTHON")
    for target in ("run", "test"):
        done = subprocess.run(["make", target], cwd=folder, env=changed, capture_output=True, text=True, check=False)
        (sentence,) = said(done)
        assert sentence.startswith("TrendCast needs Python 3.11 or newer")


def test_the_launcher_itself_refuses_an_old_python(folder: Path) -> None:
    program = (
        "import runpy, sys; sys.version_info = (3, 9, 2); sys.argv = ['launch.py', 'run'];"
        "runpy.run_path('tools/launch.py', run_name='__main__')"
    )
    (sentence,) = said(run(folder, sys.executable, "-c", program))
    assert "needs Python 3.11 or newer and this is 3.9" in sentence


@pytest.mark.parametrize("target", ["run", "test"])
def test_a_missing_venv_package_is_one_sentence(folder: Path, target: str) -> None:
    (folder / "blocked").mkdir()
    (folder / "blocked" / "sitecustomize.py").write_text("import sys; sys.modules['ensurepip'] = None\n")
    (sentence,) = said(run(folder, "make", target, PYTHONPATH=str(folder / "blocked")))
    assert "python3-venv is missing" in sentence
    assert "apt-get install" in sentence
    assert not (folder / ".venv").exists()


# --- the install ---


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """A folder into which two installs began at once; what each of them said."""
    folder = clone(tmp_path_factory.mktemp("installed"))
    both = [background(folder, "install") for _ in range(2)]
    texts = [process.communicate(timeout=120)[1] for process in both]
    assert [process.returncode for process in both] == [0, 0]
    return folder, texts


def test_two_installs_at_once_take_turns(installed: tuple[Path, list[str]]) -> None:
    _, texts = installed
    assert sum("Installing 0 packages" in text for text in texts) == 1
    assert sum("waiting for it" in text for text in texts) == 1


def test_a_second_install_does_nothing_and_a_changed_lock_installs_again(installed: tuple[Path, list[str]]) -> None:
    folder, _ = installed
    assert launch(folder, "install").stderr == ""
    path, digest = wheel(folder)
    (folder / "requirements.lock").write_text(f"tinything==1.0 \\\n    --hash=sha256:{digest}\n")
    done = launch(folder, "install", PIP_NO_INDEX="1", PIP_FIND_LINKS=str(path.parent))
    assert "Installing 1 packages" in done.stderr
    assert done.returncode == 0
    assert run(folder, ".venv/bin/python", "-c", "import tinything").returncode == 0
    assert launch(folder, "install").stderr == ""


def test_a_package_that_is_not_the_one_in_the_lock_is_refused(installed: tuple[Path, list[str]]) -> None:
    folder, _ = installed
    path, _ = wheel(folder, "otherthing")
    (folder / "requirements-dev.lock").write_text(f"otherthing==1.0 \\\n    --hash=sha256:{'0' * 64}\n")
    (sentence,) = said(launch(folder, "install-dev", PIP_NO_INDEX="1", PIP_FIND_LINKS=str(path.parent)))
    assert "not the one in the lock file" in sentence
    assert run(folder, ".venv/bin/python", "-c", "import otherthing").returncode == 1


def test_no_network_is_one_sentence_and_no_half_made_venv(folder: Path) -> None:
    (folder / "requirements.lock").write_text(f"tinything==1.0 \\\n    --hash=sha256:{'0' * 64}\n")
    with socket.socket() as closed:  # bound, not listening: connections are refused
        closed.bind(("127.0.0.1", 0))
        dead = f"http://127.0.0.1:{closed.getsockname()[1]}/simple"
        (sentence,) = said(run(folder, "make", "install", PIP_INDEX_URL=dead))
    assert sentence.startswith("The package index could not be reached: check the network")
    assert not (folder / ".venv").exists()


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_an_install_that_was_stopped_leaves_nothing_that_breaks_the_next(folder: Path, how: signal.Signals) -> None:
    (folder / "requirements.lock").write_text(f"tinything==1.0 \\\n    --hash=sha256:{'0' * 64}\n")
    with silent_index() as index:
        attempt = background(folder, "install", PIP_INDEX_URL=index)
        until(lambda: any("install" in words(p) for p in psutil.Process(attempt.pid).children()))
        pip = psutil.Process(attempt.pid).children()
        attempt.send_signal(how)
        _, stderr = attempt.communicate(timeout=20)
        if how is signal.SIGKILL:
            for process in pip:  # nobody was left to end it
                process.kill()
            assert (folder / ".venv" / ".unfinished").exists()
            (folder / "requirements.lock").write_text("")
            assert launch(folder, "install").returncode == 0
            assert json.loads((folder / ".venv/.installed.json").read_text())
        else:
            assert stderr.splitlines()[-1].startswith("Stopped during the install")
            assert not any(process.is_running() for process in pip)
            assert not (folder / ".venv").exists()


def test_a_venv_that_is_not_ours_is_never_removed(folder: Path) -> None:
    (folder / ".venv" / "bin").mkdir(parents=True)
    (folder / ".venv" / "mine").touch()
    (sentence,) = said(launch(folder, "install"))
    assert sentence.startswith("The Python in .venv does not start: remove that folder")
    assert (folder / ".venv" / "mine").exists()


# --- the start ---


def words(process: psutil.Process) -> list[str]:
    """Its command line; of one that is ending just now, none."""
    try:
        return process.cmdline()
    except psutil.Error:
        return []


def written(file: Path) -> bool:
    """Whether the file is there with its content: between the two a slow machine may look."""
    return file.exists() and bool(file.read_text())


@pytest.fixture
def startable(folder: Path) -> Iterator[Path]:
    """The folder with a small server in place of the dashboard: it answers on its port and has a child that ignores
    Ctrl-C, the worst a refresh could do."""
    (folder / "streamlit").mkdir()
    (folder / "streamlit" / "__init__.py").touch()
    (folder / "streamlit" / "__main__.py").write_text(SERVER)
    yield folder
    for file in filter(written, folder.glob("*.pid")):  # what a failed test left
        with contextlib.suppress(psutil.NoSuchProcess):
            psutil.Process(int(file.read_text())).kill()


def test_a_port_in_use_is_one_sentence_before_anything_is_installed(folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = other.getsockname()[1]
        (sentence,) = said(run(folder, "make", "run", f"PORT={taken}"))
    assert sentence.startswith(f"Port {taken} is in use by another program: choose one, such as 'make run PORT=")
    assert not (folder / ".venv").exists()


@pytest.mark.parametrize("text", ["0", "70000", "http", "-1"])
def test_a_port_that_is_none_is_one_sentence(folder: Path, text: str) -> None:
    (sentence,) = said(launch(folder, "run", PORT=text))
    assert sentence == f"PORT={text} is no port: choose a number from 1024 to 65535."


def test_the_port_may_stand_in_the_config_file(folder: Path, port: int) -> None:
    (folder / ".streamlit").mkdir()
    (folder / ".streamlit" / "config.toml").write_text(f"[server]\nport = {port}\n")
    with socket.create_server(("127.0.0.1", port)):
        assert f"Port {port} is in use" in said(launch(folder, "run"))[0]


def test_a_second_start_in_the_same_folder_says_where_the_first_is(startable: Path, port: int) -> None:
    first = background(startable, "start", PORT=str(port))
    until(lambda: written(startable / "server.pid"))
    (sentence,) = said(launch(startable, "start", PORT=str(port + 1)))
    assert sentence.startswith(f"TrendCast already runs from this folder (http://localhost:{port})")
    first.send_signal(signal.SIGINT)
    _, stderr = first.communicate(timeout=30)
    assert stderr.splitlines() == ["TrendCast has stopped."]
    assert not (startable / ".venv" / ".running").exists()


def test_a_dashboard_that_fails_to_start_is_said(startable: Path, port: int) -> None:
    (startable / "streamlit" / "__main__.py").write_text("import sys; sys.exit(3)")
    assert said(launch(startable, "start", PORT=str(port))) == [
        "The dashboard ended by itself (exit code 3); the lines above and logs/ say why."
    ]


@pytest.mark.skipif(sys.platform != "linux", reason="Linux tells a process of its parent's end")
def test_a_killed_launcher_takes_the_server_with_it(startable: Path, port: int) -> None:
    launcher = background(startable, "start", PORT=str(port))
    until(lambda: written(startable / "server.pid"))
    server = psutil.Process(int((startable / "server.pid").read_text()))
    launcher.kill()
    launcher.wait()
    assert launcher.stderr
    launcher.stderr.close()
    until(lambda: not server.is_running() or server.status() == psutil.STATUS_ZOMBIE)


def test_ctrl_c_in_a_terminal_stops_server_and_children_and_says_so_once(startable: Path, port: int) -> None:
    """The whole way: make under a terminal, and the key, which the terminal sends to every process of the group."""
    (startable / "Makefile").write_text(
        (startable / "Makefile").read_text().replace("launch.py run", "launch.py start")
    )
    text = (startable / "Makefile").read_text()
    (startable / "Makefile").write_text(re.sub(r"\$\(LAUNCH\) run", "$(LAUNCH) start", text))
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(startable)
        os.execvpe("make", ["make", "run"], environment(PORT=str(port)))
    until(lambda: written(startable / "server.pid"))
    processes = [psutil.Process(int((startable / name).read_text())) for name in ("server.pid", "child.pid")]
    os.write(terminal, b"\x03")
    output = b""
    with contextlib.suppress(OSError):  # the terminal closes with its last process
        while select.select([terminal], [], [], 30)[0]:
            output += os.read(terminal, 4096)
    os.waitpid(pid, 0)
    lines = [line for line in output.decode().replace("^C", "").split("\r\n") if line]
    assert lines[0] == "TrendCast has stopped."
    assert all(line.startswith("make: ***") for line in lines[1:]), lines
    _gone, alive = psutil.wait_procs(processes, timeout=5)
    assert not alive

"""Install TrendCast into .venv and start it: ``python3 tools/launch.py run``. Needs nothing but Python 3.11 or newer.

    install      make .venv and install requirements.lock, every file checked against its hash
    install-dev  the same with what the tests and checks need
    run          install if needed, then start the dashboard
    dev          the same, reloading when a page changes
    start        start with the packages of the Python that runs this file, installing nothing

The port is PORT, else STREAMLIT_SERVER_PORT, else the one in .streamlit/config.toml, else 8501.
Whatever stops it (a missing system package, a port in use, no network, Ctrl-C) is said in one sentence, and an install
that did not finish is removed, so that the next attempt starts clean.
"""

import sys

if sys.version_info < (3, 11):  # noqa: UP036  (this file is also run by the Python that is too old)
    sys.exit(
        "TrendCast needs Python 3.11 or newer and this is {}.{}: run it with a newer one, such as "
        "'python3.12 tools/launch.py run'.".format(*sys.version_info[:2])
    )

import contextlib
import ctypes
import hashlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import time
import tomllib
from collections.abc import Iterator
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

ROOT = Path(__file__).resolve().parents[1]
VENV = ROOT / ".venv"
PYTHON = VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
# Present while a .venv is being made: one found without its maker is half made and goes.
UNFINISHED = VENV / ".unfinished"
# Which lock files, by their hash, are installed.
INSTALLED = VENV / ".installed.json"
# The address of the dashboard that runs from this folder.
RUNNING = VENV / ".running"
LOCKS = {"install": "requirements.lock", "install-dev": "requirements-dev.lock"}
# Seconds the dashboard has for stopping its refresh and its database before it is ended.
PATIENCE = 25


class Stopped(Exception):
    """Why it cannot go on: one sentence that says what to do."""


def main(command: str) -> int:
    """Run one of the commands above; returns the exit code."""
    # A terminal that closes and a supervisor that says stop mean the same as Ctrl-C, which a shell's background job
    # is born ignoring.
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), _interrupt)
    try:
        if command in LOCKS:
            with alone(LOCKS[command], "Another install is at work in this folder; waiting for it ..."):
                install(LOCKS[command])
            return 0
        if command in ("run", "dev", "start"):
            return run(command)
        raise Stopped("Say what to do: install, install-dev, run, dev or start.")
    except Stopped as reason:
        print(reason, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Stopped; nothing is left running.", file=sys.stderr)
        return 130


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


@contextlib.contextmanager
def alone(file: str, wait: str = "") -> Iterator[None]:
    """Hold the lock on ``file`` of this folder, after saying ``wait`` when somebody else holds it; without ``wait``,
    BlockingIOError. The lock is the kernel's: it leaves no file and ends with its process."""
    with (ROOT / file).open("rb") as handle:
        if fcntl:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if not wait:
                    raise
                print(wait, file=sys.stderr, flush=True)
                fcntl.flock(handle, fcntl.LOCK_EX)
        yield


# --- install ---


def install(lock: str) -> None:
    """Make .venv and install ``lock`` into it, unless that has been done."""
    wanted = hashlib.sha256((ROOT / lock).read_bytes()).hexdigest()
    if UNFINISHED.exists():
        shutil.rmtree(VENV)
    installed = _installed()
    if installed.get(lock) == wanted and _works():
        return
    check_system()
    fresh = not VENV.exists()
    if not fresh and not _works():
        if not installed:
            raise Stopped("The Python in .venv does not start: remove that folder, then run the same command again.")
        shutil.rmtree(VENV)  # ours, of a Python that is gone
        fresh, installed = True, {}
    done = False
    try:
        if fresh:
            VENV.mkdir()
            UNFINISHED.touch()
            subprocess.run([sys.executable, "-m", "venv", VENV], check=True, stdout=subprocess.DEVNULL)
        _pip_install(lock)
        INSTALLED.write_text(json.dumps({**installed, lock: wanted}), encoding="utf-8")
        UNFINISHED.unlink(missing_ok=True)
        done = True
    except KeyboardInterrupt:
        raise Stopped("Stopped during the install; the same command starts it again.") from None
    except subprocess.CalledProcessError:
        raise Stopped("Python could not make the virtual environment .venv: is the disk full?") from None
    except OSError as error:
        raise Stopped(f"The install failed: {error.strerror}: {error.filename}.") from None
    finally:
        if fresh and not done:
            shutil.rmtree(VENV, ignore_errors=True)


def _installed() -> dict[str, str]:
    try:
        return json.loads(INSTALLED.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}


def _works() -> bool:
    try:
        return subprocess.run([PYTHON, "-c", ""], capture_output=True, check=False).returncode == 0
    except OSError:
        return False


def check_system() -> None:
    """Stopped for what is missing of the system."""
    try:
        import ensurepip  # noqa: F401
        import venv  # noqa: F401
    except ImportError:
        version = "python{}.{}".format(*sys.version_info[:2])
        raise Stopped(
            "The system package python3-venv is missing: install it ('apt-get install python3-venv', or "
            f"{version}-venv when that is not the system's own Python), then run the same command again."
        ) from None


def _pip_install(lock: str) -> None:
    """Install every package of ``lock``, its file checked against the hash; Stopped with the likeliest reason."""
    total = len(re.findall(r"^[A-Za-z0-9_.-]+==", (ROOT / lock).read_text(encoding="utf-8"), re.MULTILINE))
    terminal = sys.stderr.isatty()
    print(f"Installing {total} packages into .venv (once; a minute or two) ...", file=sys.stderr, flush=True)
    if subprocess.run([PYTHON, "-m", "pip", "--version"], capture_output=True, check=False).returncode:
        subprocess.run([PYTHON, "-m", "ensurepip"], check=True, stdout=subprocess.DEVNULL)
    command = [str(PYTHON), "-m", "pip", "--no-input", "--disable-pip-version-check", "install"]
    command += ["--progress-bar", "off", "--require-hashes", "-r", str(ROOT / lock)]
    said: list[str] = []
    done = 0
    # A group of its own: Ctrl-C then reaches this process alone, which ends pip without its traceback.
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", start_new_session=True
    ) as pip:
        try:
            for line in pip.stdout or ():
                said.append(line)
                if terminal and line.startswith(("Collecting ", "Requirement already")):
                    done += 1
                    print(f"\r  {min(done, total)} of {total} ", end="", file=sys.stderr, flush=True)
                elif terminal and line.startswith("Installing collected"):
                    print("\r  unpacking ... ", end="", file=sys.stderr, flush=True)
        except KeyboardInterrupt:
            pip.kill()
            pip.wait()
            raise
        finally:
            if terminal:
                print("\r                    \r", end="", file=sys.stderr, flush=True)
    if pip.returncode:
        raise Stopped(_why("".join(said)))


def _why(said: str) -> str:
    """The reason, as one sentence, why pip failed."""
    again = "then run the same command again."
    if re.search(r"No space left|Errno 28|Disk quota", said):
        return f"The install failed because the disk is full: 1.1 GB are needed; make room, {again}"
    if "DO NOT MATCH THE HASHES" in said:
        return f"The install failed because a package is not the one in the lock file: check the package index, {again}"
    if re.search(r"CERTIFICATE_VERIFY_FAILED|SSLError", said):
        return f"The package index could not be reached safely: set PIP_CERT to your network's certificate, {again}"
    if re.search(
        r"Failed to establish|NewConnectionError|Connection(?:Reset|Refused|)Error|ConnectTimeout|ReadTimeout"
        r"|ProxyError|from versions: none|name resolution|Network is unreachable|Connection broken|timed out",
        said,
    ):
        return f"The package index could not be reached: check the network (HTTPS_PROXY, PIP_INDEX_URL), {again}"
    errors = re.findall(r"^ERROR: (.+)$", said, re.MULTILINE)
    return f"The install failed: {errors[0] if errors else said.strip()[-300:]}"


# --- run ---


def run(command: str) -> int:
    """Start the dashboard and stay until it ends; only one runs from this folder."""
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(alone("streamlit_app.py"))
        except BlockingIOError:
            where = RUNNING.read_text(encoding="utf-8") if RUNNING.exists() else "its first start"
            raise Stopped(
                f"TrendCast already runs from this folder ({where}): use that one, or stop it with Ctrl-C first."
            ) from None
        port = _port()
        check_port(port)
        if command != "start":
            with alone(LOCKS["install"], "Another install is at work in this folder; waiting for it ..."):
                install(LOCKS["install"])
            check_port(port)
        RUNNING.parent.mkdir(exist_ok=True)
        RUNNING.write_text(f"http://localhost:{port}", encoding="utf-8")
        try:
            return _serve(command, port)
        finally:
            RUNNING.unlink(missing_ok=True)


def _port() -> int:
    config = ROOT / ".streamlit" / "config.toml"
    written = tomllib.loads(config.read_text(encoding="utf-8")) if config.exists() else {}
    text = (
        os.environ.get("PORT")
        or os.environ.get("STREAMLIT_SERVER_PORT")
        or str(written.get("server", {}).get("port", 8501))
    )
    if not (text.isdigit() and 0 < int(text) < 65536):
        raise Stopped(f"PORT={text} is no port: choose a number from 1024 to 65535.")
    return int(text)


def check_port(port: int) -> None:
    """Stopped when somebody listens on ``port`` of this machine, or may not."""
    with contextlib.suppress(OSError), socket.create_connection(("localhost", port), timeout=1):
        raise Stopped(f"Port {port} is in use by another program: choose one, such as 'make run PORT={port + 1}'.")
    with socket.socket() as probe:
        # As servers do: a port in TIME_WAIT after the last run is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except PermissionError:
            raise Stopped(f"Port {port} needs more rights: choose one from 1024 on, such as PORT=8501.") from None
        except OSError:
            raise Stopped(
                f"Port {port} is in use by another program: choose one, such as 'make run PORT={port + 1}'."
            ) from None


def _serve(command: str, port: int) -> int:
    """Run the server in a session of its own: Ctrl-C reaches it once and through us, and its children not at all, so
    that it can stop them in order. Returns its exit code."""
    python = sys.executable if command == "start" else str(PYTHON)
    arguments = [python, "-m", "streamlit", "run", "streamlit_app.py", f"--server.port={port}"]
    if command == "dev":
        arguments += ["--server.fileWatcherType=auto", "--client.showErrorDetails=full"]
    server = subprocess.Popen(arguments, cwd=ROOT, start_new_session=True, preexec_fn=_stop_with_launcher)
    try:
        code = server.wait()
    except KeyboardInterrupt:
        _stop(server)
        print("TrendCast has stopped.", file=sys.stderr)
        return 130 if os.environ.get("MAKELEVEL") is None else 0
    if code:
        raise Stopped(f"The dashboard ended by itself (exit code {code}); the lines above and logs/ say why.")
    return 0


def _stop_with_launcher() -> None:
    """In the server's process, before it becomes the server: Linux tells it to stop should the launcher be killed."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGINT)  # PR_SET_PDEATHSIG


def _stop(server: subprocess.Popen[bytes]) -> None:
    """Ask once, wait, and end what is left of the server's process group. A second Ctrl-C does not wait."""
    with contextlib.suppress(KeyboardInterrupt):
        server.send_signal(signal.SIGINT)
        deadline = time.monotonic() + PATIENCE
        while server.poll() is None and time.monotonic() < deadline:
            time.sleep(0.1)
    for end in ("SIGTERM", "SIGKILL"):
        try:
            os.killpg(server.pid, getattr(signal, end))
        except (AttributeError, ProcessLookupError, PermissionError):
            break
        time.sleep(1)
    if server.poll() is None:
        server.kill()
        server.wait()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1] if len(sys.argv) == 2 else ""))

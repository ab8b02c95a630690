"""Backup and restore of our schema by PostgreSQL's own tools (pg_dump, pg_restore): nothing of anybody else's in the
database is read or touched."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from trendcast.errors import Conflict, DatabaseAway, InvalidInput, NotConfigured
from trendcast.store import embedded, migrate
from trendcast.store.engine import SCHEMA, Database, normalise_url

BEFORE = f"{SCHEMA}_before_restore"
MAGIC = b"PGDMP"  # how a file of pg_dump -Fc begins
NEW_PARAMETER = b"SET transaction_timeout = 0;"  # of 17; nothing sets it for us, so nothing is lost without the line


def dump(db: Database, target: Path) -> int:
    """Write a backup; readers and writers go on meanwhile, the file is of one moment. Returns its size in bytes.

    The file appears under its name only when it is whole.
    """
    part = target.with_name(target.name + ".part")
    try:
        _run(db, "pg_dump", "-Fc", "--no-owner", "--no-privileges", f"--schema={SCHEMA}", "-f", str(part))
        part.replace(target)
    except OSError as error:
        raise InvalidInput(f"{target} cannot be written: {error.strerror}.") from error
    finally:
        part.unlink(missing_ok=True)
    target.chmod(0o600)
    return target.stat().st_size


def restore(db: Database, source: Path, *, replace: bool = False) -> None:
    """Bring a backup back and upgrade it to this version's schema.

    ``replace``: also where the database holds data; the old data stays until the new is whole. Raises Conflict without
    it, InvalidInput for a file that is no backup. Stop the other processes first.
    """
    try:
        with source.open("rb") as file:
            known = file.read(len(MAGIC)) == MAGIC
    except OSError as error:
        raise InvalidInput(f"{source} cannot be read: {error.strerror}.") from error
    if not known:
        raise InvalidInput(f"{source} is not a backup made by TrendCast.")
    there = migrate.current(db) is not None
    if there and not replace and _holds_data(db):
        raise Conflict("The database holds data: restore into an empty one, or say --replace.")
    _sql(db, f"DROP SCHEMA IF EXISTS {BEFORE} CASCADE")
    if there:
        _sql(db, f"ALTER SCHEMA {SCHEMA} RENAME TO {BEFORE}")
    else:  # quite empty, but for a schema that an administrator may have made for us
        _sql(db, f"DROP SCHEMA IF EXISTS {SCHEMA}")
    try:
        _bring_back(db, source)
        migrate.upgrade(db)
    except BaseException:
        _sql(db, f"DROP SCHEMA IF EXISTS {SCHEMA} CASCADE")
        if there:
            _sql(db, f"ALTER SCHEMA {BEFORE} RENAME TO {SCHEMA}")
        raise
    _sql(db, f"DROP SCHEMA IF EXISTS {BEFORE} CASCADE")


def _holds_data(db: Database) -> bool:
    return bool(db.rows("backup_holds_data")[0]["holds_data"])


def _sql(db: Database, command: str) -> None:
    with db.transaction() as connection:
        connection.exec_driver_sql(command)


def _address(db: Database) -> str:
    """The database as libpq understands it, without the password, which others could read from a command line."""
    url = normalise_url(db.url).set(drivername="postgresql", password=None)
    return url.difference_update_query(["options"]).render_as_string(hide_password=False)


def _run(db: Database, program: str, *arguments: str) -> None:
    command: Sequence[str] = [str(_program(program)), "--no-password", "-d", _address(db), *arguments]
    done = subprocess.run(command, check=False, capture_output=True, env=_environment(db))
    _succeeded(program, done.returncode, done.stderr)


def _bring_back(db: Database, source: Path) -> None:
    """The backup as SQL into psql, in one transaction. Not pg_restore alone: since PostgreSQL 17 it begins with a
    parameter that the older servers we support do not know."""
    reading = [str(_program("pg_restore")), "--no-owner", "--no-privileges", "-f", "-", str(source)]
    writing = [str(_program("psql")), "-X", "-q", "--no-password", "--single-transaction", "-v", "ON_ERROR_STOP=1",
               "-o", os.devnull, "-d", _address(db)]  # fmt: skip
    with (
        tempfile.TemporaryFile() as said,
        tempfile.TemporaryFile() as answered,
        subprocess.Popen(reading, stdout=subprocess.PIPE, stderr=said, env=_environment(db)) as reader,
        subprocess.Popen(writing, stdin=subprocess.PIPE, stderr=answered, env=_environment(db)) as writer,
    ):
        assert reader.stdout is not None
        assert writer.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # psql has ended: it says why
            for line in reader.stdout:
                if line.strip() != NEW_PARAMETER:
                    writer.stdin.write(line)
                if line.startswith(b"CREATE "):
                    break
            shutil.copyfileobj(reader.stdout, writer.stdin)
        reader.stdout.close()
        if reader.wait() and writer.poll() is None:
            writer.kill()  # before the end of its input, which it would take as the end of the transaction
        with contextlib.suppress(BrokenPipeError):
            writer.stdin.close()
        for program, process, file in (("psql", writer, answered), ("pg_restore", reader, said)):
            process.wait()
            file.seek(0)
            _succeeded(program, process.returncode if process.returncode != -signal.SIGKILL else 0, file.read())


def _environment(db: Database) -> dict[str, str]:
    password = normalise_url(db.url).password
    return {"LC_ALL": "C", "PATH": "/usr/bin:/bin", **({"PGPASSWORD": str(password)} if password else {})}


def _succeeded(program: str, code: int, said: bytes) -> None:
    if code:
        words = said.decode("utf-8", "replace").strip().splitlines()
        raise DatabaseAway(f"{program} failed: {words[0] if words else f'code {code}'}")


def _program(name: str) -> Path:
    """The tool that comes with the embedded server, new enough for every server we support; else the system's."""
    package = importlib.util.find_spec(embedded.PACKAGE)
    if package is not None and package.submodule_search_locations:
        found = Path(next(iter(package.submodule_search_locations))) / embedded.INSTALL / "bin" / name
        if found.exists():
            return found
    system = shutil.which(name)
    if system is None:
        raise NotConfigured(f"{name} is not installed: it comes with PostgreSQL's client programs.")
    return Path(system)

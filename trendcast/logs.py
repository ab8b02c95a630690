"""Log lines as the customer wants them, "time - LEVEL - message", to stdout and to a file under TRENDCAST_HOME/logs.

While a request is answered its id stands at the head of each message: "time - LEVEL - [3f9c...] message".
"""

from __future__ import annotations

import base64
import logging
import re
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from functools import lru_cache
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import IO
from urllib.parse import quote, unquote, urlsplit

from trendcast import settings as settings_table
from trendcast.settings import Settings

FORMAT = "%(asctime)s - %(levelname)s - %(message)s"
FILE_BYTES = 5_000_000
FILES_KEPT = 5
MOST_FILES = 50
HIDDEN = "***"

# Whose work this is: the id of the request being answered and the address it came from; '' outside of requests. They
# follow the work into threads that are started with a copy of the context, and stand in log lines and audit rows.
request_id: ContextVar[str] = ContextVar("request_id", default="")
request_address: ContextVar[str] = ContextVar("request_address", default="")

# Loggers that bring their own handlers and formats; theirs are taken away so that all lines look alike.
_OWN_HANDLERS = ("uvicorn", "streamlit", "websockets", "alembic", "cmdstanpy", "prophet")
# What speaks too much: a line per request (with its query, which may name people) or per plugin.
_QUIET = ("uvicorn.access", "alembic", "cmdstanpy", "prophet", "httpx", "httpx2", "httpcore", "httpcore2")
# The password in a URL; the value after a word that announces a secret.
_URL_PASSWORD = re.compile(
    # With an @ or a space in it, too; a port and the words after it are none.
    r"(?P<before>[a-z][a-z0-9+.-]*://[^\s:/@]*:)(?:\S+|(?!\d{1,5}\b)[^\n\"'/]{1,100})(?=@)",
    re.IGNORECASE,
)
_SIGNED_QUERY = re.compile(
    r"(?P<before>[?&][\w.-]*(?:sig|signature|token|key|secret|code|auth)=)[^\s&#'\"]+", re.IGNORECASE
)
_NAMED_SECRET = re.compile(
    r"(?P<before>(?:\b|_|-)(?:password|passwd|pwd|secret|token|api[_-]?key|authorization|cookie)\b['\"]?\s*[=:]\s*b?['\"]?"
    r"(?:(?:bearer|basic|digest)\s+)?)"
    r"[^\s'\",;&]+",
    re.IGNORECASE,
)
# A key of ours, wherever it stands; what a mail client says to log in; what a provider signs with.
_KEY = re.compile(r"\btc_[A-Za-z0-9_-]{20,}")
_SMTP_LOGIN = re.compile(r"(?P<before>\bAUTH\s+(?:PLAIN|LOGIN|XOAUTH2|CRAM-MD5)\s+)[A-Za-z0-9+/=]{4,}", re.IGNORECASE)
_BEARER = re.compile(r"(?P<before>\b(?:bearer|basic)\s+)[A-Za-z0-9._~+/=-]{8,}", re.IGNORECASE)
_SIGNED = re.compile(r"\beyJ[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]*){1,4}")


def redact(text: str, secrets: tuple[str, ...] = ()) -> str:
    """``text`` without passwords in URLs, without values named as secrets, and without the given secrets."""
    if secrets:
        text = _any_of(secrets).sub(HIDDEN, text)
    for pattern in (_URL_PASSWORD, _SIGNED_QUERY, _NAMED_SECRET, _SMTP_LOGIN, _BEARER):
        text = pattern.sub(rf"\g<before>{HIDDEN}", text)
    for pattern in (_KEY, _SIGNED):
        text = pattern.sub(HIDDEN, text)
    return text


@lru_cache(8)
def _any_of(secrets: tuple[str, ...]) -> re.Pattern[str]:
    # As a word of its own: a password like "postgres" must not eat into "postgresql".
    return re.compile(rf"(?<![A-Za-z0-9])(?:{'|'.join(re.escape(secret) for secret in secrets)})(?![A-Za-z0-9])")


@contextmanager
def request(id: str, address: str = "") -> Iterator[None]:
    """Within the block, log lines and audit rows of this context carry the request's id and address."""
    ids, addresses = request_id.set(id), request_address.set(address)
    try:
        yield
    finally:
        request_id.reset(ids)
        request_address.reset(addresses)


class _Formatter(logging.Formatter):
    """One line per record in UTC; a traceback follows on its own lines. Secrets are hidden in both."""

    converter = staticmethod(time.gmtime)
    default_msec_format = "%s.%03dZ"

    def __init__(self, secrets: tuple[str, ...]) -> None:
        super().__init__(FORMAT)
        self._secrets = secrets

    def formatMessage(self, record: logging.LogRecord) -> str:
        if found := request_id.get():
            record.message = f"[{found}] {record.message}"
        # A line break inside a message would let data forge a log line.
        line = super().formatMessage(record)
        return line.replace("\r", "\\r").replace("\n", "\\n")

    def format(self, record: logging.LogRecord) -> str:
        return redact(super().format(record), self._secrets)


class _Stdout(logging.Handler):
    """Writes to whatever is stdout now: a captured or redirected stdout is not kept beyond its life."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            print(self.format(record), file=sys.stdout, flush=True)
        except (OSError, ValueError):  # the reader of stdout is gone; the file has the line
            return


class _File(RotatingFileHandler):
    """A file that this process has to itself: two that turned one over would lose each other's lines."""

    def __init__(self, file: Path, held: IO[bytes] | None) -> None:
        super().__init__(file, maxBytes=FILE_BYTES, backupCount=FILES_KEPT, encoding="utf-8", delay=True)
        self._held = held

    def close(self) -> None:
        super().close()
        if self._held is not None:
            self._held.close()


def _own_file(folder: Path, name: str) -> _File:
    """NAME.log, or NAME-2.log and so on while other processes of this kind write those. Whoever ends, however it does,
    leaves its file to the next: no process ids, which are the same in every container, and nothing to clean up. Raises
    OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(1, MOST_FILES + 1):
        own = name if number == 1 else f"{name}-{number}"
        held = (folder.parent / f"{own}.log.lock").open("ab")  # beside the folder, which holds logs only
        if _taken(held):
            held.close()
            continue
        return _File(folder / f"{own}.log", held)
    raise OSError(f"{MOST_FILES} processes of this kind write there already")


def _taken(file: IO[bytes]) -> bool:
    """Whether another process holds it; if not, this one does from now on until it is closed."""
    try:
        import fcntl
    except ImportError:  # Windows, for development only
        return False
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    return False


def begin(settings: Settings, name: str, secrets: tuple[str, ...] = ()) -> Path | None:
    """Send all log lines of this process to stdout and to a file of its own, ``TRENDCAST_HOME/logs/NAME.log`` if no
    other process has it; returns the file, None when the folder cannot be written (stdout still works, and says so).
    Secret settings never show, nor do the ``secrets`` that come from elsewhere."""
    formatter = _Formatter(hidden(settings, secrets))
    root = logging.getLogger()
    for handler in list(root.handlers):
        if getattr(handler, "of_trendcast", False):
            root.removeHandler(handler)
            handler.close()
    handlers: list[logging.Handler] = [_Stdout()]
    folder = Path(str(settings.home)) / "logs"
    file, problem = None, None
    try:
        own = _own_file(folder, name)
        file = Path(own.baseFilename)
        handlers.append(own)
    except OSError as error:
        problem = error
    for handler in handlers:
        handler.setFormatter(formatter)
        handler.of_trendcast = True  # type: ignore[attr-defined]
        root.addHandler(handler)
    root.setLevel(level(settings))
    adopt_foreign_loggers()
    if problem is not None:
        logging.getLogger(__name__).warning("Logs go to stdout only: %s cannot be written (%s).", folder, problem)
    return file


def level(settings: Settings) -> int:
    """The least grave lines that are wanted, as logging numbers them."""
    return logging.getLevelNamesMapping()[str(settings.log_level).upper()]


def hidden(settings: Settings, more: tuple[str, ...] = ()) -> tuple[str, ...]:
    """The secrets of the settings as they may turn up in a line: whole, the password in a URL alone, quoted, and as a
    mail server is told; longest first. What is shorter than four characters would hide too much and too little."""
    found: set[str] = set()
    values = [str(settings.values[settings_table.attribute(row.name)]) for row in settings_table.SETTINGS if row.secret]
    for value in (*values, *more):
        found.add(value)
        bare = value
        if "://" in value:
            with suppress(ValueError):
                bare = urlsplit(value).password or ""
        for secret in {bare, unquote(bare)} - {""}:
            found |= {secret, quote(secret, safe=""), base64.b64encode(secret.encode()).decode()}
    return tuple(sorted((value for value in found if len(value) >= 4), key=len, reverse=True))


def adopt_foreign_loggers() -> None:
    """Let the loggers of the libraries speak through ours."""
    for name in list(logging.root.manager.loggerDict):
        if name.partition(".")[0] in _OWN_HANDLERS:
            logger = logging.getLogger(name)
            logger.handlers.clear()
            logger.propagate = True
            if logger.level < logging.INFO:
                logger.setLevel(logging.NOTSET)
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)

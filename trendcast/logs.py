"""Log lines as the customer wants them, "time - LEVEL - message", to stdout and to a file under TRENDCAST_HOME/logs."""

from __future__ import annotations

import logging
import re
import sys
import time
from logging.handlers import RotatingFileHandler
from pathlib import Path

from trendcast import settings as settings_table
from trendcast.settings import Settings

FORMAT = "%(asctime)s - %(levelname)s - %(message)s"
FILE_BYTES = 5_000_000
FILES_KEPT = 5
HIDDEN = "***"

# Loggers that bring their own handlers and formats; theirs are taken away so that all lines look alike.
_OWN_HANDLERS = ("uvicorn", "streamlit", "websockets", "alembic", "cmdstanpy", "prophet")
# What speaks too much: a line per request (with its query, which may name people) or per plugin.
_QUIET = ("uvicorn.access", "alembic", "cmdstanpy", "prophet")
# The password in a URL; the value after a word that announces a secret.
_URL_PASSWORD = re.compile(r"(?P<before>[a-z][a-z0-9+.-]*://[^\s:/@]*:)[^\s@]+(?=@)", re.IGNORECASE)
_NAMED_SECRET = re.compile(
    r"(?P<before>\b(?:password|passwd|pwd|secret|token|api[_-]?key|authorization)\b['\"]?\s*[=:]\s*['\"]?(?:bearer\s+|basic\s+)?)"
    r"[^\s'\",;&]+",
    re.IGNORECASE,
)


def redact(text: str, secrets: tuple[str, ...] = ()) -> str:
    """``text`` without passwords in URLs, without values named as secrets, and without the given secrets."""
    for secret in secrets:
        text = text.replace(secret, HIDDEN)
    text = _URL_PASSWORD.sub(rf"\g<before>{HIDDEN}", text)
    return _NAMED_SECRET.sub(rf"\g<before>{HIDDEN}", text)


class _Formatter(logging.Formatter):
    """One line per record in UTC; a traceback follows on its own lines. Secrets are hidden in both."""

    converter = staticmethod(time.gmtime)
    default_msec_format = "%s.%03dZ"

    def __init__(self, secrets: tuple[str, ...]) -> None:
        super().__init__(FORMAT)
        self._secrets = secrets

    def formatMessage(self, record: logging.LogRecord) -> str:
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


def begin(settings: Settings, name: str) -> Path | None:
    """Send all log lines of this process to stdout and to ``TRENDCAST_HOME/logs/NAME.log``; returns the file, None when
    the folder cannot be written (stdout still works, and says so)."""
    secrets = tuple(
        str(value)
        for row in settings_table.SETTINGS
        if row.secret and len(str(value := settings.values[settings_table.attribute(row.name)])) >= 8
    )
    formatter = _Formatter(secrets)
    root = logging.getLogger()
    for handler in list(root.handlers):
        if getattr(handler, "of_trendcast", False):
            root.removeHandler(handler)
            handler.close()
    handlers: list[logging.Handler] = [_Stdout()]
    folder = Path(str(settings.home)) / "logs"
    file = folder / f"{name}.log"
    problem = None
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handlers.append(
            RotatingFileHandler(file, maxBytes=FILE_BYTES, backupCount=FILES_KEPT, encoding="utf-8", delay=True)
        )
    except OSError as error:
        problem = error
    for handler in handlers:
        handler.setFormatter(formatter)
        handler.of_trendcast = True  # type: ignore[attr-defined]
        root.addHandler(handler)
    root.setLevel(logging.INFO)
    adopt_foreign_loggers()
    if problem is not None:
        logging.getLogger(__name__).warning("Logs go to stdout only: %s cannot be written (%s).", folder, problem)
    return None if problem else file


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

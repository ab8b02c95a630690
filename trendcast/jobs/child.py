"""The child process that does one job: order in on stdin, one line of answer out, logs on stderr.

It never outlives whoever started it: the order's pipe closes when that process ends, however it ends, and then the
whole process group here goes.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Mapping
from importlib import import_module
from typing import IO, Any, NoReturn

from trendcast.errors import DatabaseAway, TrendCastError

log = logging.getLogger("trendcast.jobs.child")

TWICE_A_SECOND = 0.5


class Progress:
    """``progress(stage, done, total, **facts)``: what the dashboard and the command line show of a job at work.

    Written to the slot when a stage begins or ends, and at most twice a second in between. Raises LeaseLost when
    somebody else took over: the work is then worth nothing and should end.
    """

    def __init__(self, database: Any, slot_id: int, token: str) -> None:
        self._database, self._slot_id, self._token = database, slot_id, token
        self._stages: list[dict[str, Any]] = []
        self._begun: list[float] = []
        self._written = 0.0
        self._lock = threading.Lock()

    def __call__(self, stage: str, done: int, total: int, **facts: object) -> None:
        from trendcast.store import jobs

        with self._lock:
            now = time.monotonic()
            names = [one["stage"] for one in self._stages]
            new = stage not in names
            if new:
                self._stages.append({"stage": stage})
                self._begun.append(now)
                names.append(stage)
            place = names.index(stage)
            current = self._stages[place]
            current.update(done=int(done), total=int(total), seconds=round(now - self._begun[place], 2), **facts)
            if not (new or done >= total or now - self._written >= TWICE_A_SECOND):
                return
            self._written = now
            snapshot = {"stage": stage, "done": int(done), "total": int(total), **facts, "stages": self._stages}
            with contextlib.suppress(DatabaseAway):  # a missed report is no reason to lose the work
                jobs.write_progress(self._database, self._slot_id, self._token, snapshot)


class _Levelled(logging.Formatter):
    """The level in front of each line, those of a traceback too: the worker's own log says it again with that level
    (trendcast.services.jobs)."""

    def format(self, record: logging.LogRecord) -> str:
        return "\n".join(f"<{record.levelno}>{line}" for line in super().format(record).splitlines())


def main() -> None:
    answers = _keep_stdout()
    order = json.loads(sys.stdin.buffer.readline() or b"{}")
    if not order:
        sys.exit("This process is started by a worker; run 'python -m trendcast worker'.")
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _be_modest(order.get("modest", True))
    logging.basicConfig(level=order["log_level"], stream=sys.stderr)
    logging.getLogger().handlers[0].setFormatter(_Levelled())
    answer: dict[str, Any]
    try:
        answer = {"result": work(order)}
    except TrendCastError as error:
        answer = {"error": _public_name(error), "sentence": str(error)}
    except MemoryError:
        traceback.print_exc()
        print("MemoryError", file=sys.stderr)
        _exit(1)
    except Exception as error:
        log.exception("The job %s failed:", order["name"])
        sentence = f"The job {order['name']} failed: {type(error).__name__}: {error}"
        answer = {"error": "TrendCastError", "sentence": sentence[:1000]}
    answers.write(json.dumps(answer, default=_plain).encode() + b"\n")
    answers.flush()
    _exit(0)


def work(order: Mapping[str, Any]) -> dict[str, Any]:
    """Do the job of the order and return its result."""
    from trendcast.services import runtime
    from trendcast.store.engine import Database

    database = Database(order["url"], role="worker")
    try:
        progress = Progress(database, order["id"], order["token"])
        module, _, name = order["target"].partition(":")
        function = getattr(import_module(module), name)
        return function(database, runtime.clock, progress, order["token"], **order["arguments"]) or {}
    finally:
        database.close()


def _public_name(error: TrendCastError) -> str:
    """The error's name in trendcast.errors, by which the parent raises it again."""
    return next(kind.__name__ for kind in type(error).__mro__ if kind.__module__ == "trendcast.errors")


def _keep_stdout() -> IO[bytes]:
    """The answer's pipe, out of reach of libraries that print: their stdout becomes stderr."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    return answers


def _end_with_parent() -> None:
    """The parent never writes again: when the pipe ends, it is gone. Helpers we started are of our group and go too."""
    with contextlib.suppress(OSError, ValueError):
        sys.stdin.buffer.read()
    if os.name == "posix":
        os.killpg(0, signal.SIGKILL)
    os._exit(1)


def _be_modest(gives_way: bool) -> None:
    """Be the first to go when the machine runs out of memory; ``gives_way``: to the dashboard, too."""
    if gives_way:
        with contextlib.suppress(OSError, AttributeError):
            os.nice(5)
    with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w", encoding="ascii") as file:
        file.write("500")


def _plain(value: object) -> object:
    if hasattr(value, "tolist"):
        return value.tolist()
    return value.isoformat() if hasattr(value, "isoformat") else str(value)


def _exit(code: int) -> NoReturn:
    """Leave at once: threads of libraries may hang at interpreter exit, and everything is written."""
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    main()

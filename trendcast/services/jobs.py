"""Jobs: heavy work in a child process of its own, so that a crash or a lack of memory stops the child and nothing else.

The process that claims a slot starts ``trendcast.jobs.child``, renews the lease while it works, watches its memory and
time, and writes the outcome. The child dies with that process: it watches the pipe it was started with.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from trendcast import errors, logs
from trendcast.errors import DatabaseAway, LeaseLost, TrendCastError, UsageError

if TYPE_CHECKING:
    import pandas as pd

    from trendcast.services.progress import Progress
    from trendcast.settings import Settings
    from trendcast.store.engine import Database
    from trendcast.store.jobs import Claim

log = logging.getLogger("trendcast.jobs")
# A line of a child: its level in front, if it is a log's and not what a library has printed.
_LINE = re.compile(r"(?:<(?P<level>\d{1,2})>)?(?P<words>.*)", re.DOTALL)


# Name -> the function that does it, called in a child process as
# ``function(db, clock, progress, token, **arguments) -> dict``. A new job is one row here.
JOBS: dict[str, str] = {
    "refresh": "trendcast.services.refresh:refresh",
    "demo": "trendcast.services.demo:build",
    "next_day": "trendcast.services.demo:next_day",
    "look": "trendcast.services.looks:look",
    "backtest": "trendcast.services.backtest:backtest",
    "sync": "trendcast.services.sync:sync_now",
    "detect": "trendcast.services.detect:detect",
    "digest": "trendcast.services.alerts:check_and_digest",
    "push": "trendcast.services.push:load_waiting",
    "upload": "trendcast.services.upload_job:load",
}

# Jobs that take a machine's memory: of each, one is at work at a time.
ALONE = ("refresh", "backtest", "sync", "demo", "next_day")

# Between data and an alert: they do not give way to the dashboard, and take a second or two of it.
URGENT = ("sync", "detect")

ENDED = ("done", "dead", "skipped")
PATIENCE = 20.0  # seconds a caller waits for an answer before it gets an address to ask at

OVER_AND_OVER = datetime(2000, 1, 1, tzinfo=UTC)  # the time of the slot of a job that is done over and over

ROOT = Path(__file__).resolve().parents[2]
_POLL = 0.2
_START_CHILD = (
    "import runpy, sys; sys.path[:0] = sys.argv[1:2]; runpy.run_module('trendcast.jobs.child', None, '__main__')"
)


def enqueue(
    db: Database,
    name: str,
    arguments: Mapping[str, Any] | None = None,
    scheduled_for: datetime | None = None,
    *,
    once: bool = False,
) -> int:
    """Ask for a job; whichever worker is free does it. The same name and time twice is one slot, and so is the same
    heavy job twice while it still waits, or (``once``) any job. Returns its id."""
    from trendcast.store import jobs

    _target(name)
    if scheduled_for is None and (once or name in ALONE):
        return db.run_tx(lambda connection: waiting_or_new(db, connection, name, arguments or {}))
    return db.run_tx(lambda connection: jobs.enqueue(db, connection, name, arguments or {}, scheduled_for))


def waiting_or_new(db: Database, connection: Any, name: str, arguments: Mapping[str, Any]) -> int:
    """The same job where it still waits, else a new one, asked for in the caller's transaction; its id."""
    from trendcast.store import jobs

    return jobs.reuse(db, connection, name, arguments) or jobs.enqueue(db, connection, name, arguments)


def enqueue_again(db: Database, name: str, pause: float) -> bool:
    """Ask for a job that is done over and over: one slot, which waits again ``pause`` seconds after its end. A slot for
    each time would bury those a person looks for. Whether it was put into the queue again."""
    enqueue(db, name, {}, OVER_AND_OVER)
    with db.transaction() as connection:
        again = db.rows("job_again", connection=connection, name=name, scheduled_for=OVER_AND_OVER, pause=pause)
    return bool(again)


def slots(db: Database, limit: int = 50, name: str = "") -> pd.DataFrame:
    """The newest slots, of one job or ('') of all: id, name, scheduled_for, state, attempts, progress, error, times,
    at_work, seconds."""
    from trendcast.store import jobs

    return jobs.slots(db, limit, name)


def slot(db: Database, slot_id: int) -> dict[str, Any]:
    """One slot with its progress (stage, done, total, stages, and when done: result). Raises NotFound."""
    from trendcast.store import jobs

    return jobs.slot(db, slot_id)


def outcome(slot: Mapping[str, Any]) -> dict[str, Any]:
    """How a slot stands: state, error, and result (None before it is done)."""
    result = slot["progress"].get("result") if slot["state"] == "done" else None
    return {"state": slot["state"], "error": slot["error"], "result": result}


def settled(db: Database, slot_id: int, seconds: float = PATIENCE) -> dict[str, Any]:
    """The slot once it has ended, or as it is after ``seconds``. Raises NotFound."""
    until = time.monotonic() + seconds
    while True:
        found = slot(db, slot_id)
        if found["state"] in ENDED or time.monotonic() >= until:
            return found
        time.sleep(_POLL)


def run_now(
    db: Database,
    settings: Settings,
    name: str,
    arguments: Mapping[str, Any] | None = None,
    on_progress: Progress | None = None,
) -> dict[str, Any]:
    """Do a job now and wait for it; returns its result, raises what it failed with.

    The slot is made and claimed in one transaction, so it is this process that works, unless a job of which there is
    one at a time is at work already: then this one waits for its turn. A stop (Ctrl-C) kills the child and leaves the
    slot dead. A slot that waited before, as the night's refresh may after a failure, is done now as well, but stays in
    the queue when that fails or is stopped.
    """
    from trendcast.store import jobs

    _target(name)
    tell = on_progress or (lambda stage, done, total, **facts: None)

    def begin(connection: Any) -> tuple[int, bool, Claim | None]:
        waited = jobs.reuse(db, connection, name, arguments or {})
        slot_id = waited or jobs.enqueue(db, connection, name, arguments or {})
        return slot_id, waited is not None, jobs.claim(db, slot_id=slot_id, alone=ALONE, connection=connection)

    slot_id, adopted, claim = db.run_tx(begin)
    try:
        while claim is None:
            found = jobs.slot(db, slot_id)
            if found["state"] in ENDED:
                return _result_of(found)
            progress = found["progress"] if found["at_work"] else {}
            tell(
                progress.get("stage", f"Waiting for another {name}"), progress.get("done", 0), progress.get("total", 1)
            )
            time.sleep(1)
            claim = None if found["at_work"] else jobs.claim(db, slot_id=slot_id, alone=ALONE)
    except KeyboardInterrupt:
        if not adopted:
            with contextlib.suppress(TrendCastError):
                jobs.withdraw(db, slot_id)
        raise
    return run_claimed(db, settings, claim, on_progress=tell, again=adopted)


def _target(name: str) -> str:
    if name not in JOBS:
        raise UsageError(f"There is no job '{name}'; there are {', '.join(JOBS)}.")
    return JOBS[name]


def _result_of(found: Mapping[str, Any]) -> dict[str, Any]:
    ended = outcome(found)
    if ended["state"] == "done":
        return dict(ended["result"] or {})
    raise TrendCastError(found["error"] or f"The job {found['name']} was skipped, because a newer one replaced it.")


def run_claimed(
    db: Database,
    settings: Settings,
    claim: Claim,
    *,
    on_progress: Progress | None = None,
    stop: threading.Event | None = None,
    again: bool = True,
) -> dict[str, Any]:
    """Do a claimed slot in a child process and write its outcome; returns the result, raises what it failed with.

    ``again``: whether a failure that may pass puts the slot back in the queue. When ``stop`` is set, or at Ctrl-C, the
    child is killed; the slot is then queued again (another process may go on) or, with Ctrl-C and not ``again``, dead.
    """
    from trendcast.store import jobs, runs

    failure: TrendCastError
    repeatable = True
    try:
        with _child(db, settings, claim) as child:
            result = _follow(db, settings, claim, child, on_progress, stop)
        jobs.finish(db, claim.id, claim.token, result)
        return result
    except LeaseLost:
        raise
    except KeyboardInterrupt:
        with contextlib.suppress(TrendCastError):
            if again:
                jobs.give_back(db, claim.id, claim.token)
            else:
                jobs.fail(db, claim.id, claim.token, "Stopped by the person who started it.", again=False)
            runs.abandon(db)
        raise
    except _Ended as error:
        failure, repeatable = TrendCastError(str(error)), error.repeatable
    except TrendCastError as error:
        failure, repeatable = error, error.status >= 500
    shown = logs.redact(str(failure), logs.hidden(settings))  # a library's error may quote what it was given
    state = jobs.fail(db, claim.id, claim.token, shown, again=again and repeatable)
    runs.abandon(db)
    if state == "dead":
        log.error("The job %s failed for good: %s", claim.name, failure)
    raise failure


class _Ended(TrendCastError):
    """The child ended without an answer, or had to be ended."""

    def __init__(self, sentence: str, *, repeatable: bool) -> None:
        super().__init__(sentence)
        self.repeatable = repeatable


class _Child:
    """The running child and what it has said so far."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.process = process
        self.answer: dict[str, Any] | None = None
        self.last_words: deque[str] = deque(maxlen=30)
        self._readers = [
            threading.Thread(target=read, args=(pipe,), daemon=True)
            for read, pipe in ((self._read_answer, process.stdout), (self._read_log, process.stderr))
        ]
        for reader in self._readers:
            reader.start()

    def _read_answer(self, pipe: IO[bytes]) -> None:
        with contextlib.suppress(ValueError, OSError):
            for line in pipe:
                self.answer = json.loads(line)

    def _read_log(self, pipe: IO[bytes]) -> None:
        with contextlib.suppress(ValueError, OSError):
            for line in pipe:
                found = _LINE.match(line.decode("utf-8", "replace").rstrip())
                assert found is not None
                self.last_words.append(found["words"])
                log.log(int(found["level"] or logging.INFO), "%s", found["words"])

    def join(self) -> None:
        for reader in self._readers:
            reader.join(5)

    def memory(self) -> int:
        """Bytes in memory of the child and whatever it started."""
        import psutil

        total = 0
        with contextlib.suppress(psutil.Error):
            root = psutil.Process(self.process.pid)
            for process in [root, *root.children(recursive=True)]:
                with contextlib.suppress(psutil.Error):
                    total += process.memory_info().rss
        return total

    def kill(self) -> None:
        """End the child and all it started (it leads a process group of its own)."""
        if os.name == "posix":
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.process.pid, signal.SIGKILL)
        else:
            self.process.kill()


@contextlib.contextmanager
def _child(db: Database, settings: Settings, claim: Claim) -> Iterator[_Child]:
    target = _target(claim.name)
    order = {
        "url": db.url,  # through the pipe: a command line or environment can be read by others
        "id": claim.id,
        "name": claim.name,
        "target": target,
        "arguments": dict(claim.arguments),
        "token": claim.token,
        "modest": claim.name not in URGENT,
        "log_level": logs.level(settings),
    }
    process = subprocess.Popen(
        [sys.executable, "-c", _START_CHILD, str(ROOT), claim.name],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,  # the terminal's Ctrl-C reaches us only
    )
    child = _Child(process)
    try:
        assert process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            process.stdin.write(json.dumps(order).encode() + b"\n")
            process.stdin.flush()
        yield child
    finally:
        child.kill()
        process.wait()
        child.join()
        for pipe in (process.stdin, process.stdout, process.stderr):
            if pipe is not None:
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()


def _follow(
    db: Database,
    settings: Settings,
    claim: Claim,
    child: _Child,
    on_progress: Progress | None,
    stop: threading.Event | None,
) -> dict[str, Any]:
    """Wait for the child's answer; renew the lease, watch memory and time, pass its progress on."""
    from trendcast.store import jobs

    minutes, megabytes = float(settings.job_minutes), float(settings.job_memory_mb)  # type: ignore[arg-type]
    begun = beat = looked = weighed = time.monotonic()
    shown: object = None
    while child.process.poll() is None:
        now = time.monotonic()
        if stop is not None and stop.is_set():
            raise _Ended("The process at work was asked to stop.", repeatable=True)
        if now - begun > 60 * minutes:
            raise _Ended(
                f"The job {claim.name} took more than {minutes:g} minutes and was stopped "
                "(TRENDCAST_JOB_MINUTES allows it more).",
                repeatable=False,
            )
        if now - weighed >= 1.0 and child.memory() > megabytes * 1024**2:
            raise _Ended(_too_much_memory(claim.name, megabytes), repeatable=False)
        weighed = now if now - weighed >= 1.0 else weighed
        if now - beat >= jobs.HEARTBEAT:
            # Away or locked for a moment: the lease outlives two missed beats; whether it is lost the database says.
            with contextlib.suppress(DatabaseAway):
                jobs.renew(db, claim.id, claim.token)
                beat = now
        if on_progress is not None and now - looked >= 0.5:
            looked = now
            with contextlib.suppress(DatabaseAway):
                shown = _show(jobs.slot(db, claim.id)["progress"], shown, on_progress)
        time.sleep(_POLL)
    child.join()
    if on_progress is not None:
        with contextlib.suppress(DatabaseAway):
            _show(jobs.slot(db, claim.id)["progress"], shown, on_progress)
    return _result(claim, child, megabytes)


def _show(progress: Mapping[str, Any], shown: object, on_progress: Progress) -> object:
    """Pass on the stages that are new or moved since ``shown``."""
    stages = progress.get("stages", [])
    seen: list[Any] = shown if isinstance(shown, list) else []
    for number, stage in enumerate(stages):
        if number >= len(seen) or seen[number] != stage:
            facts = {key: value for key, value in stage.items() if key not in ("stage", "done", "total")}
            on_progress(stage["stage"], stage["done"], stage["total"], **facts)
    return stages


def _result(claim: Claim, child: _Child, megabytes: float) -> dict[str, Any]:
    answer = child.answer
    if answer is None:
        code = child.process.returncode
        words = next((line for line in reversed(child.last_words) if line.strip()), "")
        if "MemoryError" in words:
            raise _Ended(_too_much_memory(claim.name, megabytes), repeatable=False)
        if code == -signal.SIGKILL:
            raise _Ended(
                f"The job {claim.name} was killed from outside, most likely because the machine ran out of memory.",
                repeatable=True,
            )
        ended = f"by signal {signal.Signals(-code).name}" if code < 0 else f"with code {code}"
        raise _Ended(f"The job {claim.name} crashed ({ended}). {words}".rstrip(), repeatable=True)
    if "result" in answer:
        return dict(answer["result"])
    raise getattr(errors, answer["error"])(answer["sentence"])


def _too_much_memory(name: str, megabytes: float) -> str:
    return (
        f"The job {name} needs more than the {megabytes:,.0f} MB it may take and was stopped: "
        "set TRENDCAST_JOB_MEMORY_MB higher where the machine has more."
    )

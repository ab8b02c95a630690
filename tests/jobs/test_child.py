"""The child process: its result, its errors as sentences, its limits, and that it never outlives its parent."""

import signal
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import psutil
import pytest

from tests.jobs.conftest import WORK
from tests.waiting import until
from trendcast import errors, settings
from trendcast.services import jobs as job_service
from trendcast.settings import Settings
from trendcast.store import jobs
from trendcast.store.engine import Database


def state(db: Database) -> tuple[str, str | None]:
    newest = job_service.slots(db).iloc[0]
    return newest["state"], None if newest["error"] != newest["error"] else newest["error"]


def alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_progress_and_result_come_back(db: Database, limits: Settings) -> None:
    told: list[tuple[object, ...]] = []

    def tell(*step: object, **facts: object) -> None:
        told.append((*step, facts.get("rows")))

    result = job_service.run_now(db, limits, "count", {"to": 4}, tell)
    assert result == {"sum": 10, "aware": True}
    assert told[0][0] == "Counting"  # nobody else was at work: nothing to wait for
    assert ("Counting", 4, 4, 4) in told
    assert told[-1] == ("Resting", 1, 1, None)
    assert state(db) == ("done", None)
    progress = job_service.slot(db, 1)["progress"]
    assert [stage["stage"] for stage in progress["stages"]] == ["Counting", "Resting"]
    assert progress["result"] == result


@pytest.mark.parametrize(("level", "said"), [("debug", [10, 20, 30, 40]), ("warning", [30, 40])])
def test_what_a_child_says_keeps_its_gravity_and_follows_the_setting(
    db: Database, caplog: pytest.LogCaptureFixture, level: str, said: list[int]
) -> None:
    with caplog.at_level(1, "trendcast.jobs"):
        job_service.run_now(db, settings.load({"TRENDCAST_LOG_LEVEL": level}), "speak")
    lines = [(record.levelno, record.getMessage()) for record in caplog.records if record.name == "trendcast.jobs"]
    assert [line for line in lines if line[1].startswith("said at")] == [(one, f"said at {one}") for one in said]
    assert (20, "<just a> print") in lines


def test_why_a_job_failed_is_in_the_log_with_its_traceback_however_little_is_wanted_there(
    db: Database, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(1, "trendcast.jobs"), pytest.raises(errors.TrendCastError):
        job_service.run_now(db, settings.load({"TRENDCAST_LOG_LEVEL": "error"}), "stumble")
    grave = [one.getMessage() for one in caplog.records if one.name == "trendcast.jobs" and one.levelno == 40]
    assert grave[0] == "The job stumble failed:"
    assert grave[1].startswith("Traceback")
    assert "ZeroDivisionError: by design" in grave


@pytest.mark.parametrize(("name", "kind", "sentence"), [
    ("refuse", errors.NotFound, "Did you mean North"),
    ("stumble", errors.TrendCastError, "failed: ZeroDivisionError: by design"),
    ("crash", errors.TrendCastError, r"crashed \(by signal SIGSEGV\)"),
    ("vanish", errors.TrendCastError, "killed from outside, most likely because the machine ran out of memory"),
])  # fmt: skip
def test_a_failure_is_one_sentence(
    db: Database, limits: Settings, name: str, kind: type[Exception], sentence: str
) -> None:
    with pytest.raises(kind, match=sentence) as caught:
        job_service.run_now(db, limits, name)
    assert "\n" not in str(caught.value)
    assert state(db) == ("dead", str(caught.value))


def test_too_much_memory_stops_the_child_alone(db: Database) -> None:
    tight = settings.load({"TRENDCAST_JOB_MEMORY_MB": "400"})
    with pytest.raises(errors.TrendCastError, match=r"more than the 400 MB it may take.*TRENDCAST_JOB_MEMORY_MB"):
        job_service.run_now(db, tight, "swell")
    assert state(db)[0] == "dead"


def test_too_much_time_stops_the_child(db: Database, limits: Settings, tmp_path: Path) -> None:
    hasty = Settings({**limits.values, "job_minutes": 0.05})
    with pytest.raises(errors.TrendCastError, match=r"more than 0\.05 minutes"):
        job_service.run_now(db, hasty, "dwell", {"marks": str(tmp_path / "marks")})
    assert state(db)[0] == "dead"


def start_parent(db: Database, marks: Path, then: str) -> subprocess.Popen[bytes]:
    """A process of its own that runs the job ``dwell`` in a child."""
    program = f"""
from trendcast import settings
from trendcast.services import jobs as job_service
from trendcast.store.engine import Database
job_service.JOBS.update({{name: "tests.jobs.work:" + name for name in {WORK!r}}})
db = Database({db.url!r}, role="worker")
{then}
"""
    parent = subprocess.Popen([sys.executable, "-c", program], stderr=subprocess.DEVNULL)
    try:
        until(lambda: marks.exists() and marks.read_text())
    except AssertionError:
        parent.kill()
        parent.wait()
        raise
    return parent


def test_kill_9_of_the_worker_leaves_no_orphan_and_the_next_one_takes_over(db: Database, tmp_path: Path) -> None:
    marks = tmp_path / "marks"
    slot = job_service.enqueue(db, "dwell", {"marks": str(marks)})
    worker = (
        "from trendcast.jobs.worker import Worker; import threading\n"
        "Worker(settings.load({}), None, db).run(threading.Event())"
    )
    parent = start_parent(db, marks, worker)
    child, helper = (int(pid) for pid in marks.read_text().split())
    held = jobs.slot(db, slot)
    assert held["at_work"]
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    until(lambda: not alive(child) and not alive(helper), 20)
    assert jobs.claim(db) is None  # still leased
    with db.transaction() as connection:
        connection.exec_driver_sql("UPDATE job_slot SET lease_until = now() - interval '1 s'")
        token = connection.exec_driver_sql("SELECT lease_token::text FROM job_slot").scalar()
    again = jobs.claim(db)
    assert again is not None
    assert again.attempts == 2
    with pytest.raises(errors.LeaseLost):
        jobs.finish(db, slot, str(token), {})


def test_ctrl_c_stops_the_child_and_leaves_the_slot_dead(db: Database, tmp_path: Path) -> None:
    marks = tmp_path / "marks"
    parent = start_parent(
        db, marks, f"job_service.run_now(db, settings.load({{}}), 'dwell', {{'marks': {str(marks)!r}}})"
    )
    parent.send_signal(signal.SIGINT)
    assert parent.wait(30) == -signal.SIGINT  # what an uncaught KeyboardInterrupt ends with
    assert not any(alive(int(pid)) for pid in marks.read_text().split())
    assert state(db) == ("dead", "Stopped by the person who started it.")


def test_a_scheduled_slot_that_run_now_took_up_stays_in_the_queue(
    db: Database, limits: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job_service, "ALONE", ("dwell",))
    slot = job_service.enqueue(db, "stumble", {}, datetime(2026, 9, 28, 5, tzinfo=UTC))
    with pytest.raises(errors.TrendCastError, match="by design"):
        job_service.run_now(db, limits, "stumble")
    assert (jobs.slot(db, slot)["state"], jobs.slot(db, slot)["attempts"]) == ("queued", 1)
    marks = tmp_path / "marks"
    slot = job_service.enqueue(db, "dwell", {"marks": str(marks)}, datetime(2026, 9, 28, 5, tzinfo=UTC))
    ask = f"job_service.run_now(db, settings.load({{}}), 'dwell', {{'marks': {str(marks)!r}}})"
    parent = start_parent(db, marks, ask)
    parent.send_signal(signal.SIGINT)
    parent.wait(30)
    assert (jobs.slot(db, slot)["state"], jobs.slot(db, slot)["attempts"]) == ("queued", 0)
    # Stopped while it waits for its turn.
    other = job_service.enqueue(db, "dwell", {"marks": "elsewhere"}, datetime(2026, 9, 29, 5, tzinfo=UTC))
    assert jobs.claim(db, slot_id=other) is not None

    def stop(stage: str, done: int, total: int, **facts: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        job_service.run_now(db, limits, "dwell", {"marks": str(marks)}, stop)
    assert jobs.slot(db, slot)["state"] == "queued"


def test_a_second_run_now_waits_for_its_turn(db: Database, limits: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job_service, "ALONE", ("count",))
    job_service.enqueue(db, "count", {"to": 9})
    other = jobs.claim(db)
    assert other is not None
    told = []

    def tell(stage: str, done: int, total: int, **facts: object) -> None:
        told.append(stage)
        if "Waiting" in stage:
            jobs.finish(db, other.id, other.token, {})

    assert job_service.run_now(db, limits, "count", {"to": 2}, tell)["sum"] == 3
    assert told[0] == "Waiting for another count"


def test_the_child_needs_an_order() -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "trendcast.jobs.child"], stdin=subprocess.DEVNULL, capture_output=True, text=True
    )
    assert ended.returncode == 1
    assert "python -m trendcast worker" in ended.stderr


def test_what_is_kept_of_a_failure_holds_no_secret(db: Database) -> None:
    chosen = settings.load({"TRENDCAST_JOB_MEMORY_MB": "2000", "EMAIL_PASSWORD": "the-second-word"})
    with pytest.raises(errors.TrendCastError):
        job_service.run_now(db, chosen, "blab")
    found, error = state(db)
    assert found == "dead"
    assert error is not None
    assert "no answer from postgresql://ann:***@db/shop with ***" in error

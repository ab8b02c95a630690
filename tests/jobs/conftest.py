"""Jobs of the tests under names of their own."""

import pytest

from trendcast import settings
from trendcast.services import jobs as job_service
from trendcast.settings import Settings

WORK = ("count", "speak", "refuse", "stumble", "blab", "crash", "vanish", "swell", "dwell")


@pytest.fixture(autouse=True)
def _work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job_service, "JOBS", {**job_service.JOBS, **{name: f"tests.jobs.work:{name}" for name in WORK}})


@pytest.fixture
def limits() -> Settings:
    """Generous ones."""
    return settings.load({"TRENDCAST_JOB_MEMORY_MB": "2000", "TRENDCAST_JOB_MINUTES": "1"})

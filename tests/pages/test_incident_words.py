"""Whatever the database says of an incident has words on the pages."""

import re
from pathlib import Path

import pytest

from trendcast.anomalies import feedback
from trendcast.api import models
from trendcast.services import incidents
from trendcast.ui import inbox, incident

SQL = Path(__file__).resolve().parents[2] / "sql"
FAULTS = ("MISSING_FEED", "PARTIAL_FEED", "DOUBLED_FEED", "RESCALED_FEED", "LATE_FEED", "KNOWN_FAULT")


@pytest.mark.parametrize("name", [*feedback.FAMILIES, *FAULTS])
def test_every_class_has_words_and_stands_in_the_description_of_rest(name):
    assert name.lower() in inbox.CLASSES
    assert name in str(models.DetectedAnomaly.model_fields["class_"].description)


def test_a_class_is_said_in_words():
    assert inbox.kind_words({"kind": "DEMAND", "class": "TEMPORARY"}) == "Demand, fading change"
    assert inbox.kind_words({"kind": "DATA_QUALITY", "class": "KNOWN_FAULT"}) == "Data quality, fault seen before"


def test_whatever_happens_to_an_incident_has_words():
    queries = "".join(path.read_text("utf-8") for path in sorted(SQL.glob("*.sql")))
    logged = re.findall(r"INSERT INTO anomaly_event (.+?)'TrendCast'", queries, re.DOTALL)
    written = {name for part in logged for name in re.findall(r"'([a-z]+)'", part)}
    assert written >= {"found", "corrected", "recovered", "reopened", "told", "lapsed"}
    assert written | set(incidents.ACTIONS) <= set(incident.MOVES)

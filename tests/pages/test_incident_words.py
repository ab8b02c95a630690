"""Whatever the database says of an incident has words on the pages."""

import re
from pathlib import Path
from typing import get_args

import pytest

from trendcast.anomalies import feedback
from trendcast.api import incidents as rest
from trendcast.api import models
from trendcast.services import alert_log, incidents
from trendcast.ui import alerts, inbox, incident

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


def test_a_message_is_in_the_same_words_at_its_incident_and_in_the_log_of_all():
    assert set(alerts.STATE_OF) == set(get_args(rest.Mail.model_fields["status"].annotation))
    assert set(alerts.STATE_OF.values()) <= set(alerts.STATES) == set(alert_log.STATES)
    row = {"last_code": 250.0, "why": "OK", "last_error": "250 OK", "none": float("nan")}
    assert [alerts.said_of(row, name) for name in ("why", "last_error", "none")] == ["250 OK", "250 OK", "250"]

"""The demo retailer in the database: a past made by the product, a truth nobody reads by accident, a next day."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from sqlalchemy import text

from tests.databases import create
from trendcast import demo as made_up
from trendcast.errors import Conflict, InvalidInput
from trendcast.forecasting.forecaster import Forecaster
from trendcast.forecasting.members import MEMBERS
from trendcast.panel import Panel
from trendcast.services import demo, demo_people, forecast, incidents
from trendcast.services import jobs as job_service
from trendcast.services.load import clear, load_frames
from trendcast.services.progress import silent
from trendcast.store import jobs
from trendcast.store.engine import Database

ROOT = Path(__file__).resolve().parents[2]
END = date(2026, 11, 18)  # a Wednesday
NOW = datetime(2026, 11, 19, 8, tzinfo=UTC)
SMALL = {"categories": 4, "regions": 2, "years": 2, "end": str(END), "weeks": 5}


def clock() -> datetime:
    """Now: what the database writes has its own time, and only differences count."""
    return datetime.now(UTC)


def doing(database: Database, name: str, work: Callable[[str], dict[str, Any]]) -> dict[str, Any]:
    """What a worker does around a job, in this process."""
    claim = jobs.claim(database, slot_id=job_service.enqueue(database, name))
    assert claim is not None
    result = work(claim.token)
    jobs.finish(database, claim.id, claim.token, {})
    return result


@pytest.fixture(scope="module")
def lived(server: Any, template: str) -> Iterator[tuple[Database, dict[str, Any], list[str]]]:
    """A small demo with a past of five Mondays: the database, the job's result, the stages it told."""
    database = create(server, "tc_lived", template)
    stages: list[str] = []

    def tell(stage: str, *_: Any, **__: Any) -> None:
        if not stages or stages[-1] != stage:
            stages.append(stage)

    result = doing(database, "demo", lambda token: demo.build(database, clock, tell, token, **SMALL))
    yield database, result, stages
    database.close()


def rows(database: Database, query: str) -> list[Any]:
    with database.read() as connection:
        return [tuple(row) for row in connection.execute(text(query)).all()]


def one(database: Database, query: str) -> Any:
    return rows(database, query)[0][0]


def test_its_last_mondays_were_runs_of_the_product(lived: Any) -> None:
    database, result, _ = lived
    runs = rows(database, "SELECT last_day, published_at, summary -> 'members' FROM run ORDER BY id")
    sundays = [date(2026, 10, 18) + timedelta(weeks=week) for week in range(5)]
    assert [last for last, _, _ in runs] == [*sundays, END]
    for last, published, members in runs[:-1]:
        assert published.date() == last + timedelta(days=1), "it looks as old as its data"
        assert members == ["structural"]
    assert len(runs[-1][2]) > 1, "everybody speaks in the run that is shown"
    current = forecast.current_run(database)
    assert (current.id, current.last_day, result["weeks"]) == (result["run_id"], END, 5)


def test_forecasts_were_logged_and_scored_week_by_week(lived: Any) -> None:
    database, _, _ = lived
    triangle = rows(
        database,
        "SELECT lag_weeks, count(DISTINCT week), count(DISTINCT week) FILTER (WHERE scored_at IS NOT NULL),"
        " bool_and(scored_at IS NULL OR scored_at >= week + 7) FROM forecast_log GROUP BY 1 ORDER BY 1",
    )
    assert [lag for lag, *_ in triangle] == list(range(1, 14))
    assert [scored for _, _, scored, _ in triangle][:5] == [4, 3, 2, 1, 0]
    assert all(in_time for *_, in_time in triangle)


def test_the_inbox_has_incidents_in_each_state_that_are_as_old_as_what_they_tell_of(lived: Any) -> None:
    database, _, _ = lived
    found = incidents.inbox(database, statuses=("NEW", "ACKNOWLEDGED", "RESOLVED"))
    assert {"NEW", "RESOLVED"} <= set(found["status"])  # what was acknowledged may be over by itself
    assert one(database, "SELECT count(*) FROM anomaly_event WHERE action = 'acknowledge'") > 0
    assert {"HIGH", "MEDIUM"} <= set(found["impact"])
    assert "DATA_QUALITY" in set(found["kind"])
    assert (pd.to_datetime(found["snoozed_until"]) > pd.Timestamp(END)).any(), "somebody looks at one again later"
    late = rows(
        database,
        "SELECT count(*) FROM anomaly_event WHERE at > now() - interval '1 hour' AND action <> 'found'"
        " AND who <> 'TrendCast' AND at::date > DATE '2026-11-18' AND at < now() - interval '1 hour'",
    )
    assert late == [(0,)]
    assert one(database, "SELECT max(at)::date FROM anomaly_event WHERE who LIKE '% %'") <= date(2026, 11, 16)
    assert one(database, "SELECT min(created_at)::date FROM incident") < date(2026, 11, 3)


@pytest.mark.parametrize(
    ("shown", "verdict"),
    [
        ({"kind": "SUPPLY", "class": "STOCK_OUT"}, "confirmed"),
        ({"kind": "DATA_QUALITY", "class": "DOUBLED_FEED"}, "data_issue"),
        ({"kind": "DATA_QUALITY", "class": "SCALE"}, "data_issue"),
        ({"class": "LEVEL_SHIFT", "first_day": "2026-10-01"}, "new_normal"),
        ({"class": "LEVEL_SHIFT", "first_day": "2026-11-10"}, "confirmed"),
        ({"cause": "calendar: Black Friday"}, "expected"),
        ({"impact": "HIGH"}, "confirmed"),
        ({"impact": "LOW", "incident_id": 4}, "false_alarm"),
        ({"impact": "LOW", "incident_id": 5}, "expected"),
        ({"impact": "LOW", "incident_id": 6}, "confirmed"),
    ],
)
def test_people_conclude_from_what_an_incident_shows(shown: dict[str, Any], verdict: str) -> None:
    usual = {
        "incident_id": 1, "kind": "DEMAND", "class": "DROP", "cause": "unexplained", "impact": "MEDIUM",
        "direction": -1, "first_day": "2026-11-10",
    }  # fmt: skip
    said, note = demo_people._verdict({**usual, **shown}, date(2026, 11, 16))
    assert said == verdict
    assert note


def test_people_decided_and_what_came_of_it_is_known(lived: Any) -> None:
    database, result, _ = lived
    log = rows(database, "SELECT decision, outcome IS NOT NULL, decided_at::date, decided_by FROM decision ORDER BY id")
    assert len(log) == result["decisions"] > 3
    assert any(known for _, known, _, _ in log)
    assert {day.weekday() for _, _, day, _ in log} == {0}, "on Mondays"


def test_each_stage_is_told_once_and_timed(lived: Any) -> None:
    _, result, stages = lived
    assert stages[:3] == ["Making the demo retailer", "Loading its past", "Living through its last 5 Mondays"]
    assert set(stages) <= set(result["seconds"]) | {"Fitting the models"}


def test_the_truth_lies_apart_and_is_the_generators(lived: Any) -> None:
    database, _, _ = lived
    run = forecast.current_run(database)
    index = forecast.series_index(database, run.id)
    hidden = made_up.Demo(4, 2, 0, 2, END).truth()
    for level in ("total", "region", "category", "category_region"):
        row = index[index["level"] == level].iloc[-1]
        mine = hidden
        for name in ("product_category", "region"):
            if row[name]:
                mine = mine[mine[name] == row[name]]
        mine = mine.groupby("date_id")[["demand_units", "expected_units", "lost_units"]].sum()
        told = demo.truth_daily(database, run, [int(row["series_id"])]).set_index("date_id")
        assert told["demand"].to_numpy() == pytest.approx(mine["demand_units"].to_numpy(), rel=1e-5)
        assert told["expected"].to_numpy() == pytest.approx(mine["expected_units"].to_numpy(), rel=1e-5, abs=0.01)
        assert told["lost"].to_numpy() == pytest.approx(mine["lost_units"].to_numpy(), abs=1e-6)
    labels = demo.truth_anomalies(database)
    assert len(labels) == len(made_up.Demo(4, 2, 0, 2, END).anomalies())


def test_the_next_day_is_exactly_one_day(lived: Any) -> None:
    database, _, _ = lived
    before = rows(database, "SELECT * FROM sales_daily ORDER BY 1, 2, 3, 4")
    runs = one(database, "SELECT count(*) FROM run")
    result = doing(database, "next_day", lambda token: demo.next_day(database, clock, silent, token))
    after = rows(database, "SELECT * FROM sales_daily ORDER BY 1, 2, 3, 4")
    assert after[: len(before)] == before
    assert {row[0] for row in after[len(before) :]} == {END + timedelta(days=1)} == {result["day"]}
    sold = one(database, f"SELECT sum(sales_units) FROM sales_daily WHERE date_id = '{result['day']}'")
    assert result["units"] == sold > 0
    opened = rows(database, f"SELECT id FROM incident WHERE episode_start = '{result['day']}' AND status <> 'RESOLVED'")
    assert {row[0] for row in opened} <= {row["incident_id"] for row in result["incidents"]}
    assert all(row["headline"].startswith(row["name"]) for row in result["incidents"])
    assert result["ended"] >= 0
    assert len(after) - len(before) == 4 * 2
    assert one(database, "SELECT count(*) FROM run") == runs + 1
    assert forecast.current_run(database).last_day == END + timedelta(days=1)
    assert one(database, "SELECT max(as_of) FROM detection_run WHERE status = 'done'") == END + timedelta(days=1)
    first = made_up.Demo(4, 2, 0, 2, END).first_day
    whole = made_up.Demo(4, 2, 0, 2, END + timedelta(days=1), first=first).truth()
    assert one(database, "SELECT sum(demand) FROM demo_truth.daily") == pytest.approx(whole["demand_units"].sum())


def test_refreshes_that_share_their_memory_say_the_same() -> None:
    """Past origins are computed once for all Mondays; nothing published may depend on it."""
    whole = made_up.Demo(2, 1, 0, 2, END)
    quick = [member for member in MEMBERS if member.name == "structural"]
    memory: dict[str, Any] = {}
    for until in (END - timedelta(weeks=3), END):
        frames = whole.frames(until=until)
        panel = Panel.from_frames(
            sales=frames["sales_daily"], events=frames["events"], plan=frames["plan_daily"], ahead=98
        )
        sharing, alone = Forecaster(panel, members=quick), Forecaster(panel, members=quick)
        sharing.recall(memory)
        known = len(sharing._said)
        said, expected = sharing.publish(panel.history), alone.publish(panel.history)
        sharing.keep(memory)
        pd.testing.assert_frame_equal(pd.DataFrame(said.means), pd.DataFrame(expected.means))
        assert (said.quantiles == expected.quantiles).all()
    assert known > 10, "the second one had most of its past given"


# --- what it refuses --------------------------------------------------------------------------------------------------


def test_ones_own_data_are_never_replaced_and_have_no_next_day(db: Database) -> None:
    load_frames(
        db, {"sales_daily": made_up.generate(1, 1, 0, 1, END)["sales_daily"]}, source="files", clock=lambda: NOW
    )
    with pytest.raises(Conflict, match="data of your own"):
        demo.build(db, clock, silent, "token", **SMALL)
    with pytest.raises(Conflict, match="does not hold the demo retailer"):
        demo.next_day(db, clock, silent, "token")
    assert not demo.is_demo(db)
    assert demo.truth_anomalies(db).empty


def test_a_day_to_come_is_no_end(db: Database) -> None:
    with pytest.raises(InvalidInput, match="still to come"):
        demo.build(db, lambda: NOW, silent, "token", end="2026-11-25")


def test_ones_own_data_take_the_truth_away(db: Database) -> None:
    demo._write_truth(db, made_up.Demo(1, 1, 0, 1, END))
    with db.transaction() as connection:
        limits = pd.DataFrame({"name": ["high_loss", "service"], "value": [5000.0, 0.9], "set_by": "Maria"})
        db.copy_in(connection, "threshold", list(limits), limits)
    assert demo.is_demo(db)
    clear(db)
    assert not demo.is_demo(db)
    assert rows(db, "SELECT name FROM threshold") == [("service",)], "what is a high loss was said of the demo's money"


def test_a_young_retailer_has_as_many_mondays_as_it_can() -> None:
    for days, expected in ((70, 0), (100, 5), (365, 13)):
        drawn = made_up.Demo(1, 1, 0, 1, END, first=END - timedelta(days=days - 1))
        mondays = demo.past_mondays(drawn, 13)
        assert len(mondays) == expected
        assert all(monday.weekday() == 0 for monday in mondays)
        if mondays:
            assert mondays[-1] == date(2026, 11, 16)
            assert (mondays[0] - drawn.first_day).days >= 56, "a run wants eight weeks of history"


# --- who may know the truth -------------------------------------------------------------------------------------------


def test_only_the_demos_own_queries_name_the_truth() -> None:
    naming = {file.name for file in ROOT.glob("sql/**/*.sql") if "demo_truth" in file.read_text(encoding="utf-8")}
    assert {name for name in naming if not name.startswith("demo_")} == {"load_clear.sql"}


def test_only_the_marked_switch_asks_for_the_truth() -> None:
    asking = re.compile(r"demo_truth|truth_daily|truth_anomalies|demo\.anomalies|services\.demo\b")
    allowed = {
        "trendcast/services/demo.py",  # writes it and reads it out
        "trendcast/services/jobs.py",  # the name of the job
        "trendcast/ui/demo.py",  # the switch
        "trendcast/ui/provider.py",
        "trendcast/ui/live.py",
        "trendcast/ui/reads.py",
    }
    found = {
        str(file.relative_to(ROOT))
        for folder in ("trendcast", "pages")
        for file in ROOT.glob(f"{folder}/**/*.py")
        if asking.search(file.read_text(encoding="utf-8"))
    }
    assert found <= allowed, found - allowed

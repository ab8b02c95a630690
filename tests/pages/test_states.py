"""Each page in each state that is no forecast: one sentence, one next step, no traceback."""

import datetime as dt

import pytest

from trendcast.errors import DatabaseAway
from trendcast.services.forecast import RunInfo
from trendcast.services.runtime import Startup

PAGES = ("review", "forecasts", "anomaly-inbox", "inventory", "accuracy", "data")


def text_of(app) -> str:
    kinds = ("header", "markdown", "caption", "warning", "error", "code")
    return "\n".join(str(element.value) for kind in kinds for element in app.get(kind))


@pytest.mark.parametrize("page", PAGES)
def test_empty_says_how_to_load(retailer, open_page, page):
    retailer.empty, retailer.loaded = True, False
    app = open_page(page)
    assert not app.exception
    assert "No data yet" in text_of(app)
    assert "python -m trendcast load FOLDER" in text_of(app)


def test_empty_leads_to_the_upload_before_it_speaks_of_commands(retailer, open_page):
    retailer.empty, retailer.loaded = True, False
    app = open_page("review")
    upload = next(link.proto for link in app.get("page_link") if "Upload" in link.proto.label)
    assert upload.page == "data"
    assert "part=upload" in upload.query_string
    assert text_of(app).index("Or put") < text_of(app).index("python -m trendcast load")


def test_the_first_refresh_shows_its_stage_and_share(retailer, open_page):
    retailer.empty = True
    progress = {"stage": "Fitting the models", "done": 3, "total": 12}
    retailer.slot_rows = [{"id": 1, "name": "refresh", "state": "running", "progress": progress, "error": None}]
    app = open_page()
    assert not app.exception
    assert "The first forecast is being made" in text_of(app)
    assert "Fitting the models" in app.get("progress")[0].proto.text
    assert app.get("progress")[0].proto.value == 25


@pytest.mark.parametrize("working", [True, False])
@pytest.mark.parametrize("asked", [True, False])
def test_without_a_worker_waiting_says_what_to_start(retailer, open_page, working, asked):
    retailer.empty, retailer.working = True, working
    if asked:
        retailer.slot_rows = [{"id": 1, "name": "refresh", "state": "queued", "progress": {}, "error": None}]
    app = open_page()
    assert not app.exception
    assert ("No worker is running: start `python -m trendcast worker`." in text_of(app)) == (not working)


def test_starting_shows_what_it_does(retailer, open_page):
    retailer.empty, retailer.starting = True, Startup("demo", 1, 4)
    app = open_page()
    assert "Getting ready" in text_of(app)


def test_a_failed_first_refresh_says_why_and_offers_to_try_again(retailer, open_page):
    retailer.empty = True
    retailer.slot_rows = [{"id": 1, "name": "refresh", "state": "dead", "error": "The disk is full.", "progress": {}}]
    app = open_page()
    assert "disk is full" in text_of(app).replace("\\", "")
    app.button[0].click().run()
    assert retailer.asked == [("refresh", {})]


def test_a_failed_first_refresh_is_seen_behind_any_number_of_newer_jobs(retailer, open_page):
    retailer.empty = True
    later = [{"id": 90 - n, "name": "look", "state": "done", "error": None, "progress": {}} for n in range(60)]
    failed = {"id": 1, "name": "refresh", "state": "dead", "error": "The disk is full.", "progress": {}}
    retailer.slot_rows = [*later, failed]
    assert "disk is full" in text_of(open_page()).replace("\\", "")


@pytest.mark.parametrize("page", PAGES)
def test_database_away_before_anything_was_seen(retailer, open_page, page):
    retailer.away = True
    app = open_page(page)
    assert not app.exception
    assert "The database does not answer" in text_of(app)


def test_database_away_later_shows_the_last_figures_under_a_banner(retailer, open_page):
    from trendcast.ui import reads

    app = open_page()
    value = app.metric[0].value
    retailer.away = True
    reads.standing(fresh=True)
    app.run()
    assert not app.exception
    assert "The database does not answer" in app.error[0].value
    assert "figures of" in app.error[0].value
    assert app.metric[0].value == value
    assert all(button.disabled for button in app.button)
    app.get_by_key("filter_level").set_value("category").run()
    app.get_by_key("filter_category").set_value(["Clothing"]).run()
    assert not app.exception  # a figure nobody has looked at yet
    assert "The database does not answer" in text_of(app)
    retailer.away = False
    reads.standing(fresh=True)
    app.run()
    assert app.metric
    assert not app.error


@pytest.mark.parametrize(
    ("days_old", "loaded_after", "words"),
    [
        (-1, 0, "The newest day is tomorrow: is the date right?"),
        (1, 1, "Up to date"),
        (4, 1, "3\u202fdays late"),
        (9, 1, "8\u202fdays late"),
        (600, 600, "Historical data"),
        (30, 1, "29\u202fdays late"),  # a feed that stalled, however often it was forecast since
    ],
)
def test_the_stamp_says_how_old_the_data_are(make_retailer, open_page, days_old, loaded_after, words):
    today = dt.datetime.now(dt.UTC)
    last = today.date() - dt.timedelta(days=days_old)
    retailer = make_retailer(last=last, published=today)
    retailer.run_info = RunInfo(**{**vars(retailer.run_info), "days_old_when_loaded": loaded_after})
    app = open_page()
    assert not app.exception
    assert words in text_of(app)


@pytest.mark.parametrize("newer", [True, False])
def test_the_stamp_says_when_newer_data_waits(retailer, open_page, newer):
    retailer.run_info = RunInfo(**{**vars(retailer.run_info), "newer_data": newer})
    assert ("Newer data is loaded; the refresh at 05:00 UTC brings it." in text_of(open_page())) == newer


def test_what_is_wrong_with_the_run_itself_is_said(retailer, open_page):
    retailer.run_info = RunInfo(**{**vars(retailer.run_info), "summary": {"warnings": ["The bands are too narrow."]}})
    assert "The bands are too narrow" in open_page("data").warning[0].value


def test_a_failed_refresh_later_is_said_and_the_run_before_stays(retailer, open_page):
    retailer.run_info = RunInfo(**{**vars(retailer.run_info), "failed_since": "The disk is full."})
    app = open_page()
    assert "disk is full" in app.warning[0].value.replace("\\", "")
    assert "Data page" in app.warning[0].value
    assert app.metric


def test_progress_outlives_a_database_that_goes_away(retailer, open_page, monkeypatch):
    retailer.slot_rows = [{"id": 1, "name": "refresh", "state": "running", "progress": {}, "error": None}]
    answers = iter([retailer.slots(20)])

    def slots(limit, name):
        try:
            return next(answers)
        except StopIteration:
            raise DatabaseAway("The database is away.") from None

    from trendcast.ui import reads

    monkeypatch.setattr(reads, "slots", slots)
    app = open_page("data")
    assert not app.exception
    assert "Looking again" in text_of(app)


def test_a_failure_nobody_foresaw_stays_calm(retailer, open_page, monkeypatch):
    monkeypatch.setattr(retailer, "accuracy", lambda *_: 1 / 0)
    app = open_page()
    assert not app.exception
    assert "could not be shown" in app.error[0].value


def test_the_data_page_lists_tables_and_batches(retailer, open_page):
    app = open_page("data")
    assert not app.exception
    assert [element.value for element in app.subheader] == ["Loaded", "Batches"]
    assert len(app.dataframe) == 2


def test_refresh_now_starts_a_job_once(retailer, open_page):
    app = open_page("data")
    app.button[0].click().run()
    assert retailer.asked == [("refresh", {})]
    assert app.button[0].disabled

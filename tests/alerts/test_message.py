"""What mails say: the specification's facts, money and a link; whatever names a retailer has."""

from __future__ import annotations

import datetime as dt
import html
from html.parser import HTMLParser

from hypothesis import given
from hypothesis import strategies as st

from trendcast.alerts import message
from trendcast.alerts.message import Incident, Item

DAY = dt.date(2026, 3, 3)


def incident(**changes):
    item = Item("Toys", "North", "", DAY, 412.0, 1120.0, 6.5)
    facts = {
        "id": 17,
        "impact": "HIGH",
        "name": "Toys in North",
        "headline": "Toys in North: 412 sold, 1,120 expected on Tue 3 Mar 2026.",
        "cause": "not a holiday, no promotion, stock in order",
        "next_step": "Ask the North whether its tills were down.",
        "first_day": DAY,
        "members": 1,
        "units": 708.0,
        "money": 21000.0,
        "items": (item,),
    }
    return Incident(**{**facts, **changes})


def test_an_alert_says_what_the_specification_asks_for_and_the_money_and_the_link():
    mail = message.alert(incident(), "first", "https://trend.shop.example")
    assert mail.subject == "CRITICAL: 1 anomaly, 21.0 k: Toys in North, Tue 3 Mar 2026"
    for fact in (
        "Product: Toys",
        "Region: North",
        "Date: Tue 3 Mar 2026",
        "Actual: 412",
        "Expected: 1,120",
        "Score: 6.5",
    ):
        assert fact in mail.text
    assert "https://trend.shop.example/anomaly-inbox?incident=17" in mail.text
    assert "https://trend.shop.example/anomaly-inbox?incident=17" in html.unescape(mail.html)


def test_the_subject_counts_the_anomalies_of_an_outage_and_the_body_lists_twenty():
    items = tuple(Item(f"Category {n}", "North", "", DAY, 0.0, 100.0, 8.0) for n in range(40))
    mail = message.alert(incident(members=40, items=items, name="Region North"), "first", "http://localhost")
    assert mail.subject.startswith("CRITICAL: 40 anomalies, ")
    assert mail.text.count("Product: ") == 20
    assert "And 20 more." in mail.text


def test_without_prices_the_stake_is_in_units():
    assert "708 units" in message.alert(incident(money=None), "first", "").subject


def test_a_recovery_is_no_longer_critical():
    mail = message.alert(incident(note="Sales were as expected for two days."), "resolved", "")
    assert mail.subject.startswith("Resolved: ")
    assert "Sales were as expected for two days." in mail.text


def test_an_empty_digest_says_that_all_is_clear_and_how_old_the_data_is():
    mail = message.digest([], "Tue 3 Mar 08:00", "Data to Mon 2 Mar 2026.", "")
    assert mail.subject == "All clear, Tue 3 Mar 08:00"
    assert "Data to Mon 2 Mar 2026." in mail.text


def test_a_digest_links_each_incident_and_says_how_many_it_leaves_out():
    mail = message.digest([incident(id=n) for n in range(1, 26)], "08:00", "", "http://tc")
    assert mail.subject == "Digest, 08:00: 25 open incidents"
    assert "http://tc/anomaly-inbox?incident=20" in mail.text
    assert "incident=21" not in mail.text
    assert "And 5 more in the inbox." in mail.text


class Tags(HTMLParser):
    """The tags and the words of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.words: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)

    def handle_data(self, data):
        self.words.append(data)


HARMLESS = {"html", "head", "meta", "body", "p", "table", "tr", "th", "td", "a", "strong", "span", "br"}


@given(st.text(max_size=60))
def test_no_name_becomes_markup_or_a_second_header(name):
    spoilt = incident(name=name, headline=name, cause=name, items=(Item(name, name, name, DAY, 1.0, 2.0, 3.0),))
    for mail in (message.alert(spoilt, "first", "http://tc"), message.digest([spoilt], name, name, "http://tc")):
        assert set(Tags(mail.html).tags) <= HARMLESS
        assert not any(character in mail.subject for character in "\r\n\0")
        assert len(mail.subject) <= message.SUBJECT


def test_markup_in_a_name_shows_as_it_is():
    mail = message.alert(incident(headline="<script>alert(1)</script> & Co"), "first", "")
    assert "<script>alert(1)</script> & Co" in "".join(Tags(mail.html).words)

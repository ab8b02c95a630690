"""The page of the report: one file, nothing from elsewhere, every name escaped."""

from __future__ import annotations

import base64
import re
from datetime import UTC, date, datetime
from html.parser import HTMLParser
from typing import Any

from trendcast.export import html_report

HOSTILE = "</title><script>alert(1)</script>\"'&<img src=x onerror=alert(1)>"
PICTURE = b"\x89PNG made up"


def document(name: str = "Electronics", **changes: Any) -> dict[str, Any]:
    category = {
        "product_category": name, "finding": f"{name}: 5 units expected.", "forecast_horizon": "12 weeks",
        "mae": 3.21, "mape": 12.34, "wape": 10.0, "avg_weekly_forecast": 5.0, "expected": 60.0,
        "seasonal_peak": "2026-11-23", "seasonal_trough": "2026-10-05",
        "recommendations": [
            {"tag": "GROWTH", "sentence": "GROWTH: the trend rises by 12 %.", "money": None, "kind": "trend"},
            {"tag": "ORDER NOW", "sentence": f"Order 5 units of {name} today.", "money": 1234.0, "kind": "stock"},
        ],
        "anomalies": {"total": 14, "HIGH": 1, "MEDIUM": 0, "LOW": 13},
        "anomaly_rows": [
            {
                "detected_date": "2026-09-30", "region": name, "store": "", "actual_value": 1.0, "expected_value": 9.0,
                "anomaly_score": 4.56, "impact_level": "HIGH", "status": "NEW", "headline": name,
            }
        ] * 14,
        "chart": "a.png", "alt": f"Line chart of {name}",
    }  # fmt: skip
    made = {
        "run_id": 7, "last_day": date(2026, 9, 30), "published_at": datetime(2026, 10, 1, tzinfo=UTC),
        "generated_at": datetime(2026, 10, 1, tzinfo=UTC), "region": None, "findings": [f"All is well with {name}."],
        "anomalies_checked_until": date(2026, 9, 30), "anomaly_weeks": 13, "notes": [f"A note on {name}."],
        "categories": [category],
    }  # fmt: skip
    category |= {key: changes.pop(key) for key in list(changes) if key in category}
    return {**made, **changes}


class Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def parsed(html: str) -> Tags:
    tags = Tags()
    tags.feed(html)
    return tags


def test_hostile_names_are_text_and_nothing_else() -> None:
    tags = parsed(html_report.page(document(HOSTILE, region=HOSTILE), {"a.png": PICTURE}))
    assert not [tag for tag, _ in tags.found if tag == "script"]
    assert [attributes["src"] for tag, attributes in tags.found if tag == "img"] == [
        "data:image/png;base64," + base64.b64encode(PICTURE).decode()
    ]
    assert not [name for _, attributes in tags.found for name in attributes if name.startswith("on")]
    assert "".join(tags.text).count(HOSTILE) >= 7, "the name is there, in full, wherever it belongs"
    assert [attributes["alt"] for tag, attributes in tags.found if tag == "img"] == [f"Line chart of {HOSTILE}"]


def test_nothing_comes_from_elsewhere() -> None:
    html = html_report.page(document(), {"a.png": PICTURE})
    assert not re.findall(r"""(?:src|href)=["'](?!data:|#)""", html)
    assert "default-src 'none'" in html
    assert "url(" not in html
    assert "@media print" in html


def test_the_summary_comes_first_and_leads_to_each_category() -> None:
    html = html_report.page(document(), {"a.png": PICTURE})
    assert html.index("Executive summary") < html.index('<section id="c0">')
    assert '<a href="#c0">Electronics</a>' in html
    words = " ".join(" ".join(parsed(html).text).split())
    assert "12.3 %" in words
    assert "out of sample" in words
    assert "And 2 more, in the inbox of the dashboard." in words
    assert "At stake: 1,234." in words


def test_what_is_not_known_is_said_and_not_zero() -> None:
    unknown = {"mae": None, "mape": None, "wape": None, "anomalies": None, "anomaly_rows": [], "recommendations": []}
    html = html_report.page(document(**unknown, chart=None, alt=None, anomalies_checked_until=None), {})
    words = " ".join(parsed(html).text)
    assert "not checked for anomalies yet" in words
    assert "Not checked yet." in words
    assert '<td class="n">–</td>' in html
    assert "Nothing to do: no limit is passed." in words
    assert "<img" not in html

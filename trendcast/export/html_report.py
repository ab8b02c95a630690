"""The report as one page of HTML that needs nothing else: opens without a network, prints, holds its charts inside.

Every name and text is escaped here; the page allows itself no script and no foreign address.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Mapping
from datetime import date
from html import escape
from typing import Any

from trendcast import wording

MOST_ANOMALIES = 12  # rows shown of a category
POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
STYLE = """
:root { color-scheme: light; }
body { font: 15px/1.5 system-ui, sans-serif; color: #1F2937; background: #fff; margin: 0 auto; max-width: 60rem;
       padding: 1.5rem; overflow-wrap: break-word; }
h1 { font-size: 1.6rem; margin: 0 0 .2rem; } h2 { font-size: 1.2rem; margin: 0 0 .3rem; }
h3 { font-size: 1rem; margin: 1rem 0 .3rem; }
p, ul { margin: .4rem 0; } ul { padding-left: 1.2rem; } a { color: #1D4ED8; }
.stamp, .note, figcaption { color: #4B5563; font-size: .9rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: .9rem; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: .3rem .7rem .3rem 0; border-bottom: 1px solid #E5E7EB; vertical-align: top; }
th.n, td.n { text-align: right; } td.d { white-space: nowrap; } thead th { border-bottom: 2px solid #9CA3AF; }
figure { margin: .8rem 0; } img { max-width: 100%; height: auto; }
section { border-top: 1px solid #9CA3AF; margin-top: 1.6rem; padding-top: 1rem; }
.tag { font-weight: 600; } .HIGH { color: #B91C1C; font-weight: 600; } .MEDIUM { color: #B45309; }
.figures { display: flex; flex-wrap: wrap; gap: .2rem 1.6rem; list-style: none; padding: 0; }
@media print {
  body { max-width: none; padding: 0; font-size: 11px; } a { color: inherit; text-decoration: none; }
  section { break-before: page; border: 0; } figure, table, tr { break-inside: avoid; }
}
"""


def page(document: Mapping[str, Any], charts: Mapping[str, bytes]) -> str:
    """The page of a report (services.executive.document); ``charts``: the pictures by the names it gives them."""
    categories = document["categories"]
    title = "Forecast report" + (f", {document['region']}" if document["region"] else "")
    head = (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}, {document['last_day']}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n"
    )
    parts = [head, "<header>", f"<h1>{escape(title)}</h1>", _stamp(document), "</header>", "<main>"]
    parts += [_paragraph(sentence) for sentence in document["findings"]]
    parts += ["<h2>Executive summary</h2>", _summary(categories, document)]
    parts += [f'<p class="note">{escape(note)}</p>' for note in document["notes"]]
    for number, one in enumerate(categories):
        parts.append(_section(number, one, document, charts))
    return "\n".join([*parts, "</main>", "</body>", "</html>", ""])


def _stamp(document: Mapping[str, Any]) -> str:
    checked = document["anomalies_checked_until"]
    said = f"checked for anomalies to {wording.day(checked)}" if checked else "not checked for anomalies yet"
    return (
        f'<p class="stamp">Data to {wording.day(document["last_day"])}, forecast {document["run_id"]}, {said}. '
        "Errors are out of sample: of forecasts made at past origins with what was known then, in weekly sums over the "
        "same horizon. MAPE weighs weeks with few sales heavily and leaves out those with none; WAPE does neither.</p>"
    )


def _summary(categories: Iterable[Mapping[str, Any]], document: Mapping[str, Any]) -> str:
    unit, weeks = wording.style()[2], document["anomaly_weeks"]
    heads = (
        ("Category", ""), (f"Next 12 weeks, {unit}", "n"), ("MAPE", "n"), ("WAPE", "n"), ("Recommendations", "n"),
        (f"Anomalies, {weeks} weeks", "n"), ("of these HIGH", "n"), ("Strongest week from", "d"),
    )  # fmt: skip
    rows = []
    for number, one in enumerate(categories):
        counts = one["anomalies"] or {}
        cells = (
            (f'<a href="#c{number}">{escape(one["product_category"])}</a>', ""),
            (escape(wording.full(one["expected"])), "n"),
            (escape(error(one["mape"])), "n"),
            (escape(error(one["wape"])), "n"),
            (str(len(one["recommendations"])), "n"),
            (str(counts.get("total", wording.NONE)), "n"),
            (str(counts.get("HIGH", wording.NONE)), "n"),
            (_monday(one, "seasonal_peak"), "d"),
        )
        rows.append(_row(cells))
    return _table(heads, rows)


def _section(number: int, one: Mapping[str, Any], document: Mapping[str, Any], charts: Mapping[str, bytes]) -> str:
    unit = wording.style()[2]
    parts = [f'<section id="c{number}">', f"<h2>{escape(one['product_category'])}</h2>", _paragraph(one["finding"])]
    if one["chart"]:
        inside = base64.b64encode(charts[one["chart"]]).decode("ascii")
        parts.append(
            f'<figure><img alt="{escape(one["alt"], quote=True)}" src="data:image/png;base64,{inside}"></figure>'
        )
    figures = (
        ("Per week", f"{wording.short(one['avg_weekly_forecast'])} {unit}"),
        ("MAPE", error(one["mape"])),
        ("WAPE", error(one["wape"])),
        ("Mean error per week", f"{wording.short(one['mae'])} {unit}"),
        ("Strongest week from", _monday(one, "seasonal_peak")),
        ("Weakest week from", _monday(one, "seasonal_trough")),
    )
    parts.append('<ul class="figures">')
    parts += [f"<li>{label}: <strong>{escape(value)}</strong></li>" for label, value in figures]
    parts.append("</ul>")
    parts.append("<h3>Recommendations</h3>")
    if one["recommendations"]:
        parts += ["<ul>", *[f"<li>{_recommendation(told)}</li>" for told in one["recommendations"]], "</ul>"]
    else:
        parts.append("<p>Nothing to do: no limit is passed.</p>")
    parts.append(f"<h3>Anomalies of the last {document['anomaly_weeks']} weeks</h3>")
    parts += _anomalies(one)
    return "\n".join([*parts, "</section>"])


def _recommendation(told: Mapping[str, Any]) -> str:
    # Tags stand in front of the sentence, in capitals.
    front = re.match(r"[A-Z, ]+: ", told["sentence"])
    tag = front[0] if front else ""
    rest = told["sentence"].removeprefix(tag)
    money = (
        "" if told["money"] is None else f" <span class='note'>At stake: {escape(wording.money(told['money']))}.</span>"
    )
    lead = f'<span class="tag">{escape(tag)}</span>' if tag else ""
    return f"{lead}{escape(rest)}{money}"


def _anomalies(one: Mapping[str, Any]) -> list[str]:
    if one["anomalies"] is None:
        return ["<p>Not checked yet.</p>"]
    rows = one["anomaly_rows"]
    if not rows:
        return ["<p>None.</p>"]
    heads = (
        ("Day", ""), ("Where", ""), ("Impact", ""), ("Actual", "n"), ("Expected", "n"), ("Score", "n"), ("State", ""),
        ("What happened", ""),
    )  # fmt: skip
    made = []
    said = ""
    for row in rows[:MOST_ANOMALIES]:
        impact, headline = row["impact_level"], row["headline"] or ""
        cells = (
            (_day(row["detected_date"]), "d"),
            (escape(row["store"] or row["region"] or "everywhere"), ""),
            (f'<span class="{escape(impact, quote=True)}">{escape(impact)}</span>', ""),
            (escape(wording.full(row["actual_value"])), "n"),
            (escape(wording.full(row["expected_value"])), "n"),
            (wording.fixed(row["anomaly_score"], 1), "n"),
            (escape(row["status"].capitalize()), ""),
            # Members of one incident happened together: it is told once.
            ("" if headline == said else escape(headline), ""),
        )
        said = headline
        made.append(_row(cells))
    left = len(rows) - MOST_ANOMALIES
    more = [f'<p class="note">And {left} more, in the inbox of the dashboard.</p>'] if left > 0 else []
    return [_table(heads, made), *more]


def error(percent: float | None) -> str:
    """An error in percent as people read it; a dash where nothing could be measured."""
    return wording.NONE if percent is None else wording.percent(percent / 100, 1)


def _day(iso: str) -> str:
    return escape(wording.day(date.fromisoformat(iso)))


def _monday(one: Mapping[str, Any], key: str) -> str:
    """The day a week is named by, which is always a Monday; a dash where nothing is expected in any week."""
    return wording.day(date.fromisoformat(one[key])).partition(" ")[2] if one["expected"] > 0 else wording.NONE


def _paragraph(sentence: str) -> str:
    return f"<p>{escape(sentence)}</p>"


def _table(heads: Iterable[tuple[str, str]], rows: Iterable[str]) -> str:
    cells = "".join(f'<th scope="col"{_class(kind)}>{escape(text)}</th>' for text, kind in heads)
    return f'<div class="wide"><table><thead><tr>{cells}</tr></thead>\n<tbody>{"".join(rows)}</tbody></table></div>'


def _row(cells: Iterable[tuple[str, str]]) -> str:
    return "<tr>" + "".join(f"<td{_class(kind)}>{text}</td>" for text, kind in cells) + "</tr>\n"


def _class(kind: str) -> str:
    return f' class="{kind}"' if kind else ""

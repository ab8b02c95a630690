"""Every number, date and name as people read it, and the escapes that keep names inert.

Nothing else formats a number or puts a retailer's name into markdown or into a Plotly text. Names come from files of
strangers: they may hold markup, LaTeX, Streamlit directives, links, quotes and right-to-left text, and must show as
what they are, letter for letter.
"""

from __future__ import annotations

import datetime as dt
import re
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from trendcast import wording

NARROW, MINUS, NONE = wording.NARROW, wording.MINUS, wording.NONE
JOINER = "\u2060"  # word joiner: invisible, breaks what a parser would turn into a link or an emoji
ISOLATE, RELEASE = "\u2068", "\u2069"  # keep a right-to-left name from turning the words around it

LEVELS = {
    "total": "Total",
    "region": "Region",
    "store": "Store",
    "category": "Category",
    "category_region": "Category × region",
    "category_store": "Category × store",
}
KINDS = {"DEMAND": "Demand", "SUPPLY": "Supply", "DATA_QUALITY": "Data quality"}
MEMBERS = {
    "combination": "TrendCast",
    "structural": "Structural model",
    "structural_log": "Structural model, multiplicative",
    "structural_additive": "Structural model, additive",
    "arima": "ARIMA",
    "profile": "Recent level × usual pattern",
    "naive7": "Same weekday last week",
    "naive364": "Same day last year × growth",
    "boosted": "Boosted trees",
    "prophet": "Prophet",
    "mstl": "MSTL",
}


class _Measures(Mapping[str, str]):
    """What is measured -> its name: units under the retailer's own word for them."""

    def __getitem__(self, unit: str) -> str:
        if unit == "units":
            name = plain(wording.style()[2])
            return name[:1].upper() + name[1:]
        return {"money": "Money"}[unit]

    def __iter__(self) -> Iterator[str]:
        return iter(("units", "money"))

    def __len__(self) -> int:
        return 2


UNITS = _Measures()


def short(value: float | None, *, sign: bool = False) -> str:
    """Three significant figures with k, M or bn: 1.23 k; a dash where there is no number."""
    return wording.short(value, sign=sign)


def full(value: float | None) -> str:
    """The number in full with thousands separators, as hovers and tables show it."""
    return wording.full(value)


def amount(value: float | None, unit: str) -> str:
    """A short figure in 'units' or 'money'; money has its currency."""
    return wording.amount(value, unit)


def full_amount(value: float | None, unit: str) -> str:
    """The figure in full in 'units' or 'money'; money has its currency."""
    return wording.full_amount(value, unit)


def percent(share: float | None, digits: int = 1, *, sign: bool = False) -> str:
    """A share (0.083) as '8.3 %'."""
    return wording.percent(share, digits, sign=sign)


def count(number: int, one: str, many: str | None = None) -> str:
    """'1 store', '1,115 stores'."""
    return wording.count(number, one, many)


def change(share: float | None, words: str = "", digits: int = 1) -> str | int | None:
    """A change as st.metric wants it: a plain minus (it reads the arrow's direction from the text), and the number 0
    for no change, because "+0.0 %" would draw an arrow."""
    if wording.missing(share):
        return None
    shown = percent(share, digits, sign=True).replace(MINUS, "-")
    return 0 if round(100 * float(share), digits) == 0 else f"{shown} {words}".rstrip()  # type: ignore[arg-type]


def _date(value: Any) -> dt.date:
    if isinstance(value, dt.datetime):
        return value.date()
    if isinstance(value, dt.date):
        return value
    if hasattr(value, "astype"):  # numpy datetime64
        return value.astype("datetime64[D]").astype(object)
    return dt.date.fromisoformat(str(value)[:10])


def day(value: Any) -> str:
    """'Mon 28 Sep 2026'."""
    date = _date(value)
    return f"{date:%a} {date.day} {date:%b %Y}"


def day_short(value: Any) -> str:
    """'Sun 27 Sep'."""
    date = _date(value)
    return f"{date:%a} {date.day} {date:%b}"


def week(value: Any) -> str:
    """A week by its Monday and ISO number: '28 Sep 2026, W40'."""
    date = _date(value)
    return f"{date.day} {date:%b %Y}, W{date.isocalendar().week:02d}"


def week_column(value: Any) -> str:
    """A week as a column header: 'W40 28 Sep', in January with the year."""
    date = _date(value)
    return f"W{date.isocalendar().week:02d} {date.day} {date:%b}" + (f" {date:%y}" if date.month == 1 else "")


def day_column(value: Any) -> str:
    """A day as a column header: 'Mon 28 Sep'."""
    return day_short(value)


def clock(value: dt.datetime) -> str:
    """'06:12 UTC': the time of day on the retailer's clock."""
    return wording.clock(value)


def moment(value: dt.datetime | None) -> str:
    """'22 Nov 2026, 06:12 UTC', on the retailer's clock."""
    return wording.at(value)


def age(seconds: float) -> str:
    """A span in words: '3 days', '2 hours', '4 minutes'."""
    seconds = max(0.0, float(seconds))
    for size, name in (
        (86400 * 365.25, "year"),
        (86400 * 30.44, "month"),
        (86400, "day"),
        (3600, "hour"),
        (60, "minute"),
    ):
        if seconds >= size * (2 if name in ("year", "month") else 1):
            return count(int(seconds // size), name)
    return "less than a minute"


def seconds(value: float | None) -> str:
    """A duration: '0.8 s', '42 s', '3 min 10 s'."""
    if wording.missing(value):
        return NONE
    span = float(value)  # type: ignore[arg-type]
    if span < 100:
        return f"{wording.fixed(span, 1 if span < 10 else 0)}{NARROW}s"
    return f"{int(span // 60)}{NARROW}min {int(span % 60)}{NARROW}s"


def listing(names: Sequence[str], limit: int = 3) -> str:
    """'A, B and C', 'A, B and 7 more'; the names must be escaped already."""
    names = list(names)
    if len(names) <= 1:
        return "".join(names)
    if len(names) <= limit:
        return ", ".join(names[:-1]) + " and " + names[-1]
    return ", ".join(names[: limit - 1]) + f" and {wording.fixed(len(names) - limit + 1)} more"


# --- names of strangers --------------------------------------------------------------------------------------------

_PUNCTUATION = re.compile(r"([\\`*_{}\[\]()#+\-.!|~<>$&^=\"':/@])")
_BREAKS = re.compile(r"[\r\n\t\v\f\u2028\u2029\x00-\x1f]+")
_BIDI = re.compile("[\u202a-\u202e\u2066-\u2069]")  # overrides inside a name would reorder the page's own words


def plain(name: Any) -> str:
    """A name on one line, without characters that steer the text around it; for widgets and tables (no markup)."""
    return _BIDI.sub("", _BREAKS.sub(" ", str(name)))


def markdown(name: Any, limit: int = 80) -> str:
    """A name for any Streamlit text: every mark escaped, auto-links, emoji codes and icons broken, isolated."""
    text = _clip(plain(name), limit)
    text = _PUNCTUATION.sub(r"\\\1", text)
    # Streamlit turns :red[..], :smile:, :material/x: and bare addresses into markup after parsing, where a
    # backslash no longer helps: an invisible joiner does.
    text = text.replace("\\:", "\\:" + JOINER).replace("\\@", "\\@" + JOINER).replace("\\/", "\\/" + JOINER)
    text = re.sub(r"(?i)(www)(?=\\\.)", r"\1" + JOINER, text)
    return ISOLATE + text + RELEASE


def sentence(words: Any) -> str:
    """A ready sentence with names in it (a finding, an error), as markdown that shows it letter for letter."""
    return markdown(words, 1000).strip(ISOLATE + RELEASE)


def plotly(name: Any, limit: int = 60) -> str:
    """A name for any Plotly text, hover or legend: pseudo-HTML, LaTeX and template marks become entities."""
    text = _clip(plain(name), limit)
    for mark in "&<>$%{}\"'":
        text = text.replace(mark, f"&#{ord(mark)};") if mark != "&" else text.replace("&", "&#38;")
    return ISOLATE + text + RELEASE


def wrapped(words: Any, width: int = 60, limit: int = 300) -> str:
    """A sentence for a Plotly hover, on lines of about ``width`` letters."""
    return "<br>".join(plotly(line, width + 40) for line in textwrap.wrap(_clip(plain(words), limit), width))


def file_name(*parts: str) -> str:
    """A file name of plain letters from any words."""
    words = [re.sub(r"[^A-Za-z0-9]+", "-", part).strip("-").lower()[:40] for part in parts]
    return "_".join(word for word in words if word) or "trendcast"


def _clip(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "…"


def member(name: str) -> str:
    """A model's name in planner's words; unknown ones as they are."""
    return MEMBERS.get(name, plain(name))


def level(name: str) -> str:
    return LEVELS.get(name, plain(name))


def axis(unit: str, per: str) -> str:
    """The title of a volume's axis: 'Units per week', 'Money (EUR) per week'; ready for Plotly."""
    currency = wording.style()[3]
    name = f"Money ({currency})" if unit == "money" and currency else UNITS[unit]
    return f"{plotly(name).strip(ISOLATE + RELEASE)} per {per}"


def measure_inline(unit: str) -> str:
    """What is measured inside a sentence: 'units', 'money'."""
    return wording.style()[2] if unit == "units" else "money"


def level_inline(name: str) -> str:
    """A level inside a sentence: 'category × region'."""
    return level(name).lower()

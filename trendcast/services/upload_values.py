"""Texts of strangers as days, numbers and flags: what a column holds, and what each of its texts means.

Everything works on the distinct texts of a column, so a million rows cost as much as their different values.
"""

from __future__ import annotations

import datetime as dt
import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median
from typing import Literal

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

SAMPLE = 20_000  # distinct texts that decide what a column is

# ------------------------------------------------------------------------------------------------------------ days

_TIME = r"(?:[T ,]+\d{1,2}:\d{2}(?::\d{2}(?:[.,]\d+)?)?(?:\s*[AaPp]\.?[Mm]\.?)?(?:\s*(?:Z|UTC|[+-]\d{2}:?\d{2}))?)?"
_ISO = re.compile(rf"(\d{{4}})([-/.])(\d{{1,2}})\2(\d{{1,2}})\.?({_TIME})")
_COMPACT = re.compile(r"(\d{4})(\d{2})(\d{2})()")
_NUMERIC = re.compile(rf"(\d{{1,2}})([-/.])(\d{{1,2}})\2(\d{{4}}|\d{{2}})({_TIME})")
_DAY_NAMED = re.compile(rf"(\d{{1,2}})(?:st|nd|rd|th)?\.?[\s-]*([^\W\d]{{3,10}})\.?,?[\s-]*(\d{{4}}|\d{{2}})({_TIME})")
_NAMED_DAY = re.compile(rf"([^\W\d]{{3,10}})\.?[\s-]+(\d{{1,2}})(?:st|nd|rd|th)?,?[\s-]+(\d{{4}})({_TIME})")
_WEEKDAY = re.compile(r"[^\W\d]{2,10}\.?,?\s+(?=\d)")
_SERIAL = re.compile(r"(\d{5})(?:\.\d+)?")
_MIDNIGHT = re.compile(r"[T ,]+(?:00?:00(?::00(?:[.,]0+)?)?|12:00(?::00)?\s*[Aa]\.?[Mm]\.?)(?:\s*(?:Z|UTC|\+00:?00))?")
_MONTHS = {  # by their first letters, in English, German, French, Dutch, Spanish, Portuguese and Italian
    name: number
    for number, names in enumerate(
        (
            ("jan", "ene", "gen"),
            ("feb", "fev"),
            ("mar", "mrz", "maa"),
            ("apr", "avr", "abr"),
            ("may", "mai", "mag", "mei"),
            ("jun", "juin", "giu"),
            ("jul", "juil", "lug"),
            ("aug", "aou", "ago"),
            ("sep", "set"),
            ("oct", "okt", "out", "ott"),
            ("nov",),
            ("dec", "dez", "dic"),
        ),
        start=1,
    )
    for name in names
}
_PERIODS: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("week", re.compile(r"(?i)\d{4}[-\s/.]*(?:W|KW|CW|wk|week|woche|S)[-\s.]*\d{1,2}")),
    ("week", re.compile(r"(?i)(?:W|KW|CW|wk|week|woche|S)[-\s.]*\d{1,2}[-\s/.,]+\d{2,4}")),
    ("month", re.compile(r"\d{4}[-/.](?:0?[1-9]|1[0-2])|(?:0?[1-9]|1[0-2])[-/.]\d{4}")),
    ("month", re.compile(r"(?:20)\d{2}(?:0[1-9]|1[0-2])")),
    ("month", re.compile(r"(?:[^\W\d]{3,10})\.?[-\s']+(?:\d{4}|\d{2})|\d{4}[-\s]+[^\W\d]{3,10}")),
    ("quarter", re.compile(r"(?i)\d{4}[-\s/.]*Q[-\s]*[1-4]|Q[-\s]*[1-4][-\s/.]*\d{4}")),
    ("year", re.compile(r"(?:19|20)\d{2}")),
)


@dataclass(frozen=True)
class Days:
    """What the distinct texts of a column mean as days."""

    days: dict[str, dt.date]  # texts that are days
    day_first: bool  # how 3/4/2024 was read
    ambiguous: bool  # both ways of reading are possible, and nothing speaks for one
    timed: bool  # there were times of day


def plain(text: str) -> str:
    """Lower case, without accents, words apart by one blank: for comparing names."""
    folded = unicodedata.normalize("NFKD", text.casefold().replace("ß", "ss"))
    letters = "".join(c for c in folded if not unicodedata.combining(c))
    return " ".join(re.sub(r"[^0-9a-z]+", " ", letters).split())


def _month(name: str) -> int | None:
    bare = plain(name)
    return _MONTHS.get(bare[:4]) or _MONTHS.get(bare[:3])


def _date(year: int, month: int, day: int) -> dt.date | None:
    try:
        return dt.date(year + 2000 if year < 100 else year, month, day)
    except ValueError:
        return None


def read_days(texts: Sequence[str], day_first: bool | None = None, *, serials: bool = False) -> Days:
    """Texts as days: ISO, compact, numeric in either order, with month names in the languages around us, with times.

    ``day_first`` says how 3/4/2024 is meant; None finds it out from the column itself. ``serials``: a spreadsheet's
    day numbers are days too.
    """
    found: dict[str, dt.date] = {}
    open_: list[tuple[str, int, int, int, str]] = []  # text, first, second, year, mark
    timed = False
    for text in texts:
        bare = text.strip()
        weekday = _WEEKDAY.match(bare)
        if weekday and _looks_like_day(bare[weekday.end() :]):
            bare = bare[weekday.end() :]
        when: dt.date | None = None
        time = ""
        if match := _ISO.fullmatch(bare):
            when, time = _date(int(match[1]), int(match[3]), int(match[4])), match[5]
        elif match := _COMPACT.fullmatch(bare):
            when = _date(int(match[1]), int(match[2]), int(match[3])) if 1990 <= int(match[1]) <= 2100 else None
        elif match := _NUMERIC.fullmatch(bare):
            open_.append((text, int(match[1]), int(match[3]), int(match[4]), match[2]))
            timed |= bool(match[5].strip()) and not _MIDNIGHT.fullmatch(match[5])
            continue
        elif match := _DAY_NAMED.fullmatch(bare):
            month = _month(match[2])
            when, time = (_date(int(match[3]), month, int(match[1])) if month else None), match[4]
        elif match := _NAMED_DAY.fullmatch(bare):
            month = _month(match[1])
            when, time = (_date(int(match[3]), month, int(match[2])) if month else None), match[4]
        elif serials and (match := _SERIAL.fullmatch(bare)) and 36_526 <= int(match[1]) <= 73_050:
            when = dt.date(1899, 12, 30) + dt.timedelta(days=int(match[1]))
        if when is not None:
            found[text] = when
            timed |= bool(time.strip()) and not _MIDNIGHT.fullmatch(time)
    chosen, ambiguous = _order(open_) if day_first is None else (day_first, False)
    for text, first, second, year, _ in open_:
        day, month = (first, second) if chosen else (second, first)
        when = _date(year, month, day)
        if when is not None:
            found[text] = when
    return Days(found, chosen, ambiguous, timed)


def _looks_like_day(text: str) -> bool:
    return any(p.fullmatch(text) for p in (_ISO, _NUMERIC, _DAY_NAMED))


def _order(texts: Sequence[tuple[str, int, int, int, str]]) -> tuple[bool, bool]:
    """(Day first?, could it be either?) of day.month.year or month/day/year."""
    if not texts:
        return True, False
    first, second = max(t[1] for t in texts), max(t[2] for t in texts)
    if all(t[4] == "." for t in texts):  # nobody writes the month first with points
        return True, False
    if first > 12 or second > 12:
        late_first, late_second = sum(t[1] > 12 for t in texts), sum(t[2] > 12 for t in texts)
        return late_first >= late_second, False
    # Days follow each other: the right order makes more neighbours.
    steps = []
    for day_first in (True, False):
        days = sorted(
            {day for _, a, b, y, _ in texts if (day := _date(y, *((b, a) if day_first else (a, b)))) is not None}
        )
        steps.append(sum((b - a).days == 1 for a, b in pairwise(days)))
    if max(steps) >= 2 and max(steps) >= 2 * min(steps) + 1:
        return steps[0] > steps[1], False
    return True, any(t[1] != t[2] for t in texts)


def period_of(texts: Sequence[str]) -> str:
    """'week', 'month', 'quarter' or 'year' when the texts name such periods and no days; '' otherwise."""
    filled = [text.strip() for text in texts if text.strip()]
    if not filled:
        return ""
    for name, pattern in _PERIODS:
        hits = [text for text in filled if pattern.fullmatch(text)]
        if name == "month":
            hits = [t for t in hits if not re.search(r"[^\W\d]", t) or _month(re.sub(r"[\W\d_]+", " ", t).strip())]
        if len(hits) >= 0.9 * len(filled):
            return name
    return ""


def frequency_of(days: Sequence[dt.date]) -> tuple[str, str]:
    """(What period the days are apart: 'day', 'week', 'month', 'quarter' or 'year'; how that shows). At least four
    days are needed to say so."""
    ordered = sorted(set(days))
    gaps = [(b - a).days for a, b in pairwise(ordered)]
    if len(gaps) < 3:
        return "day", ""
    usual = median(gaps)
    if usual == 7 and sum(gap % 7 == 0 for gap in gaps) >= 0.9 * len(gaps):
        weekday, times = Counter(f"{day:%A}" for day in ordered).most_common(1)[0]
        every = f"all of them {weekday}s" if times == len(ordered) else f"mostly {weekday}s"
        return "week", f"its days are 7 days apart, {every}"
    for name, low, high, words in (
        ("month", 28, 31, "one day per month"),
        ("quarter", 89, 92, "one day per quarter"),
        ("year", 364, 366, "one day per year"),
    ):
        if low <= usual <= high and sum(gap >= low for gap in gaps) >= 0.9 * len(gaps):
            return name, f"it has {words}"
    return "day", ""


# --------------------------------------------------------------------------------------------------------- numbers

_BLANKS = re.compile(r"[\s\u00a0\u202f\u2009'’]+")
_MONEY = re.compile(
    r"^(?:[A-Z]{3}|[^\W\d_]{1,3}\.|kr|zł|Kč|Fr|Rs|lei|Ft|C\$|A\$|R\$|[$€£¥₹₺₽₩฿₪₫₴])?"
    r"([-+(]?(?:[$€£¥₹₺₽₩฿₪₫₴])?[-+]?[\d.,]+(?:[eE][-+]?\d+)?[-)]?)"
    r"(?:[A-Z]{3}|kr\.?|zł|Kč|Fr\.?|Rs\.?|lei|Ft|,-|[$€£¥₹₺₽₩฿₪₫₴])?$"
)
_SIGNS = re.compile(r"[$€£¥₹₺₽₩฿₪₫₴]")
_POINT = re.compile(r"(?:\d{1,3}(?:,\d{3})+|\d+)?(?:\.\d*)?(?:[eE][-+]?\d+)?")
_COMMA = re.compile(r"(?:\d{1,3}(?:\.\d{3})+|\d+)?(?:,\d*)?(?:[eE][-+]?\d+)?")
_DASHES = {"", "-", "–", "—", "null", "none", "na", "n/a", "nan", "#n/a", "\\n", "."}


def empty(text: str) -> bool:
    """Whether a cell says that there is nothing: blank, a dash, null."""
    return text.strip().casefold() in _DASHES


def _body(text: str) -> tuple[str, bool] | None:
    """The digits and marks of a number, and whether it is below zero; None when it is no number."""
    bare = re.sub(r"[.,]-+$", "", _BLANKS.sub("", text.replace("\u2212", "-")))  # 12,- is a price
    match = _MONEY.fullmatch(bare)
    if match is None:
        return None
    body = _SIGNS.sub("", match[1])
    below = body.startswith(("-", "(")) or body.endswith("-") or (bare.startswith("(") and bare.endswith(")"))
    body = body.strip("-+()")
    return (body, below) if any(c.isdigit() for c in body) else None


def read_number(text: str, decimal: str) -> float | None:
    """A text as a number with this decimal mark: groups, currency signs, minus behind or brackets are understood."""
    found = _body(text)
    if found is None:
        return None
    body, below = found
    if not (_POINT if decimal == "." else _COMMA).fullmatch(body):
        return None
    body = body.replace(",", "") if decimal == "." else body.replace(".", "").replace(",", ".")
    try:
        number = float(body)
    except ValueError:
        return None
    return -number if below else number


def decimal_of(texts: Sequence[str]) -> str:
    """The decimal mark of a column's texts, '' when none of them tells."""
    votes: Counter[str] = Counter()
    unclear: Counter[str] = Counter()
    plain_thousands = grouped_like = 0
    for text in texts:
        found = _body(text)
        if found is None:
            continue
        body = found[0]
        points, commas = body.count("."), body.count(",")
        if points and commas:
            votes["." if body.rfind(".") > body.rfind(",") else ","] += 1
        elif points > 1 or commas > 1:
            votes["," if points > 1 else "."] += 1
        elif points or commas:
            mark = "." if points else ","
            head, tail = body.split(mark)
            if len(tail) == 3 and 1 <= len(head) <= 3 and head != "0":
                unclear[mark] += 1  # 1.234 may be either
            else:
                votes[mark] += 1
        elif len(body) > 3:
            plain_thousands += 1
        else:
            grouped_like += 1
    if votes:
        return votes.most_common(1)[0][0]
    if not unclear:
        return ""
    mark = unclear.most_common(1)[0][0]
    other = "," if mark == "." else "."
    # Beside 1.234 stand 950 and 12, never 1234: the mark groups thousands. Beside 1234 it cannot.
    if plain_thousands:
        return mark
    return other if grouped_like else ""


def read_numbers(column: pd.Series, decimal: str) -> tuple[np.ndarray, np.ndarray]:
    """(Float values, NaN where there is none; mask of texts that are neither a number nor empty)."""
    if decimal == ".":
        try:  # what programs write costs nothing
            texts = pc.utf8_trim_whitespace(pa.array(column, pa.string()))
            filled = pc.if_else(pc.equal(texts, ""), None, texts)
            values = pc.cast(filled, pa.float64()).to_numpy(zero_copy_only=False)
            return values, np.isinf(values)
        except pa.ArrowInvalid:
            pass
    codes, distinct = pd.factorize(column)
    numbers = np.full(len(distinct), np.nan)
    wrong = np.zeros(len(distinct), bool)
    for i, text in enumerate(distinct):
        if empty(text):
            continue
        number = read_number(text, decimal)
        if number is None:
            wrong[i] = True
        else:
            numbers[i] = number
    return numbers[codes], wrong[codes]


# ----------------------------------------------------------------------------------------------------------- flags

_YES = {"1", "1.0", "true", "t", "yes", "y", "ja", "j", "oui", "si", "x", "wahr", "vrai", "on", "open", "offen"}
_NO = {"0", "0.0", "false", "f", "no", "n", "nein", "non", "falsch", "faux", "off", "closed", "geschlossen"}
_NO |= {"no promotion", "no promo", "none", "keine", "keine aktion", "regular", "normal", "nan", "null"}


def read_flag(text: str) -> bool | None:
    """A text as yes or no: words of several languages; any number above 0 (a discount) and any other name is yes."""
    bare = plain(text)
    if text.strip() in ("✓", "✔"):
        return True
    if bare in _YES:
        return True
    if bare in _NO:
        return False
    number = read_number(text.rstrip("% "), decimal_of([text]) or ".")
    if number is not None:
        return number > 0
    return None


# ----------------------------------------------------------------------------------------------------------- kinds

Kind = Literal["day", "period", "number", "flag", "name", "empty"]
TOTALS = {
    "total",
    "totals",
    "sum",
    "grand total",
    "subtotal",
    "sub total",
    "gesamt",
    "summe",
    "gesamtsumme",
    "insgesamt",
}
TOTALS |= {"gesamtergebnis", "ergebnis", "zwischensumme", "teilergebnis", "somme", "total general", "totale", "suma"}
TOTALS |= {"totaal", "gesamtumsatz", "overall", "sous total", "razem"}


def is_total(text: str) -> bool:
    """Whether a cell is the label of a sum: 'Total', 'Summe', 'Electronics Total'."""
    bare = plain(text)
    return bare in TOTALS or bare.startswith(("total ", "grand total ", "summe ", "gesamt ")) or bare.endswith(" total")


def kind_of(texts: Sequence[str], *, serials: bool = False) -> Kind:
    """What the distinct texts of a column mostly are."""
    filled = [text for text in texts if not empty(text) and not is_total(text)][:SAMPLE]
    if not filled:
        return "empty"
    enough = 0.85 * len(filled)
    if len(read_days(filled, serials=serials).days) >= enough:
        return "day"
    if len(filled) <= 2 and all(read_flag(t) is not None and plain(t) in _YES | _NO for t in filled):
        return "flag"
    numbers = sum(_body(text) is not None for text in filled)
    if (period := period_of(filled)) and (period != "year" or len(filled) < 3):
        return "period" if period != "year" else "number"
    if period == "week":
        return "period"
    return "number" if numbers >= enough else "name"

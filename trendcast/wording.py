"""Figures as sentences say them: short, with their unit, in the retailer's own way of writing numbers.

Pages (ui.text), REST, reports and mail all write a figure through here, so that they write it alike.
"""

from __future__ import annotations

import datetime as dt
import math
from functools import cache

from trendcast import settings

NARROW = "\u202f"  # narrow no-break space between a number and its unit
MINUS = "\u2212"
NONE = "–"
# Format -> (thousands, decimals).
FORMATS = {"1,234.5": (",", "."), "1.234,5": (".", ","), "1 234,5": (NARROW, ",")}


@cache
def style() -> tuple[str, str, str, str]:
    """(thousands separator, decimal mark, name of the unit sold, name of the money), from the settings."""
    found = settings.load()
    thousands, decimals = FORMATS[str(found.number_format)]
    return thousands, decimals, str(found.unit_name), str(found.currency)


def fixed(value: float, digits: int = 0) -> str:
    """A finite number with its separators and so many decimals; a true minus before a number below zero."""
    thousands, decimals, _, _ = style()
    plain = f"{abs(value):,.{digits}f}"
    text = plain.translate({ord(","): thousands, ord("."): decimals})
    return (MINUS if value < 0 and plain.strip("0.,") else "") + text


def short(value: float | None) -> str:
    """Three significant figures with k, M or bn: 1.23 k; a dash where there is no number."""
    if value is None or not math.isfinite(value):
        return NONE
    size = abs(value)
    for limit, name in ((1e9, "bn"), (1e6, "M"), (1e4, "k")):
        if size >= limit * (1 if name == "k" else 0.9995):
            scaled = value / (1e3 if name == "k" else limit)
            return fixed(scaled, _digits(abs(scaled))) + NARROW + name
    digits = _digits(size) if size < 100 else 0
    text = fixed(value, digits)
    _, decimals, _, _ = style()
    return text.rstrip("0").rstrip(decimals) if digits else text


def _digits(size: float) -> int:
    """Decimals that leave three significant figures, at most two."""
    return min(2, max(0, 2 - math.floor(math.log10(size)))) if size >= 1 else (2 if size else 0)


def units(value: float | None) -> str:
    """'1.23 k units', in the retailer's word for what is sold."""
    return f"{short(value)}{NARROW}{style()[2]}"


def money(value: float | None) -> str:
    """'$12.3 k' or '12.3 k EUR'; '12.3 k' where no currency is set: a sign stands before, a word behind."""
    currency, text = style()[3], short(value)
    if not currency:
        return text
    if len(currency) == 1:
        return MINUS + currency + text[1:] if text.startswith(MINUS) else currency + text
    return f"{text}{NARROW}{currency}"


def percent(share: float | None, digits: int = 0) -> str:
    """A share (0.083) as '8 %'."""
    if share is None or not math.isfinite(share):
        return NONE
    return f"{fixed(round(100 * share, digits), digits)}{NARROW}%"


def day(date: dt.date) -> str:
    """'Mon 28 Sep 2026'."""
    return f"{date:%a} {date.day} {date:%b %Y}"


def short_day(date: dt.date) -> str:
    """'28 Sep'."""
    return f"{date.day} {date:%b}"

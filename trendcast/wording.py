"""Figures, days and times as sentences say them: short, with their unit, in the retailer's own way of writing them.

Pages (ui.text), charts, REST, reports and mail all write a figure through here, so that they write it alike. Four
settings decide how: TRENDCAST_NUMBER_FORMAT, TRENDCAST_CURRENCY, TRENDCAST_UNIT_NAME and TRENDCAST_TIME_ZONE. What a
program reads (CSV, workbooks, JSON) holds numbers as they are, and days as ISO has them.
"""

from __future__ import annotations

import datetime as dt
import math
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo

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


@cache
def zone() -> ZoneInfo:
    """The retailer's time zone."""
    found = settings.load().time_zone
    assert isinstance(found, ZoneInfo)
    return found


def forget() -> None:
    """Read the settings again (after they changed, in tests)."""
    style.cache_clear()
    zone.cache_clear()


def separators() -> str:
    """The decimal mark and the thousands separator, as Plotly's ``layout.separators`` wants them."""
    thousands, decimals, _, _ = style()
    return decimals + thousands


def missing(value: Any) -> bool:
    """Whether there is no number to write: None, NaN, infinity, pandas' NA."""
    if value is None:
        return True
    try:
        return not math.isfinite(float(value))
    except (TypeError, ValueError):
        return True


def fixed(value: float, digits: int = 0) -> str:
    """A finite number with its separators and so many decimals; a true minus before a number below zero."""
    thousands, decimals, _, _ = style()
    plain = f"{abs(value):,.{digits}f}"
    text = plain.translate({ord(","): thousands, ord("."): decimals})
    return (MINUS if value < 0 and plain.strip("0.,") else "") + text


def short(value: float | None, *, sign: bool = False) -> str:
    """Three significant figures with k, M or bn: 1.23 k; a dash where there is no number. ``sign``: + before a gain."""
    if missing(value):
        return NONE
    number = float(value)  # type: ignore[arg-type]
    size = abs(number)
    plus = "+" if sign and number > 0 else ""
    for limit, name in ((1e9, "bn"), (1e6, "M"), (1e4, "k")):
        if size >= limit * (1 if name == "k" else 0.9995):
            scaled = number / (1e3 if name == "k" else limit)
            return plus + fixed(scaled, _digits(abs(scaled))) + NARROW + name
    digits = _digits(size) if size < 100 else 0
    text = fixed(number, digits)
    _, decimals, _, _ = style()
    return plus + (text.rstrip("0").rstrip(decimals) if digits else text)


def _digits(size: float) -> int:
    """Decimals that leave three significant figures, at most two."""
    return min(2, max(0, 2 - math.floor(math.log10(size)))) if size >= 1 else (2 if size else 0)


def full(value: float | None) -> str:
    """The number in full with its separators, as hovers and tables show it."""
    if missing(value):
        return NONE
    number = float(value)  # type: ignore[arg-type]
    return fixed(number, 0 if abs(number) >= 100 or number == round(number) else 1)


def units(value: float | None) -> str:
    """'1.23 k units', in the retailer's word for what is sold."""
    return f"{short(value)}{NARROW}{style()[2]}"


def money(value: float | None) -> str:
    """'$12.3 k' or '12.3 k EUR'; '12.3 k' where no currency is set: a sign stands before, a word behind."""
    return with_currency(short(value))


def full_money(value: float | None) -> str:
    """Money in full: '$12,345' or '12,345 EUR'."""
    return with_currency(full(value))


def with_currency(text: str) -> str:
    """A written figure with the currency where the retailer's way of writing has it."""
    currency = style()[3]
    if not currency or text == NONE:
        return text
    if len(currency) == 1:
        return MINUS + currency + text[1:] if text.startswith(MINUS) else currency + text
    return f"{text}{NARROW}{currency}"


def amount(value: float | None, unit: str) -> str:
    """A short figure in ``unit`` as a tile shows it: money with its currency, units bare (the title names them)."""
    return money(value) if unit == "money" else short(value)


def full_amount(value: float | None, unit: str) -> str:
    """The same in full, as a hover shows it."""
    return full_money(value) if unit == "money" else full(value)


def percent(share: float | None, digits: int = 0, *, sign: bool = False) -> str:
    """A share (0.083) as '8 %'. ``sign``: + before a gain."""
    if missing(share):
        return NONE
    number = round(100 * float(share), digits)  # type: ignore[arg-type]
    return f"{'+' if sign and number > 0 else ''}{fixed(number, digits)}{NARROW}%"


def count(number: int, one: str, many: str | None = None) -> str:
    """'1 store', '1,115 stores'."""
    return f"{fixed(number)}{NARROW}{one if number == 1 else many or one + 's'}"


def day(date: dt.date) -> str:
    """'Mon 28 Sep 2026'."""
    return f"{date:%a} {date.day} {date:%b %Y}"


def ahead(newest: dt.date, today: dt.date) -> str:
    """What to say of data whose newest day is yet to come; '' when it is not."""
    if newest <= today:
        return ""
    when = "tomorrow" if newest == today + dt.timedelta(days=1) else f"in the future ({day(newest)})"
    return f"The newest day is {when}: is the date right?"


def short_day(date: dt.date) -> str:
    """'28 Sep'."""
    return f"{date.day} {date:%b}"


def _local(moment: dt.datetime) -> dt.datetime:
    """A moment on the retailer's clock; one without a zone is UTC."""
    return (moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)).astimezone(zone())


def _zone_name(moment: dt.datetime) -> str:
    name = moment.tzname() or ""
    return "UTC" + name if name[:1] in "+-" else name  # some zones have no name but their distance


def clock(moment: dt.datetime) -> str:
    """'06:12 UTC', '07:12 CET': the time of day on the retailer's clock."""
    local = _local(moment)
    return f"{local:%H:%M} {_zone_name(local)}"


def at(moment: dt.datetime | None) -> str:
    """'22 Nov 2026, 06:12 UTC', on the retailer's clock."""
    if moment is None or moment != moment:  # pandas' NaT is not equal to itself
        return NONE
    local = _local(moment)
    return f"{local.day} {local:%b %Y, %H:%M} {_zone_name(local)}"

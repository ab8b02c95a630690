"""The one data contract: per table its columns, their types and checks, its key; and the check of a chunk of rows.

Whatever brings rows (files, the customer's database, an upload, POST /data) goes through ``check``: array programs over
whole columns, all failures of a row collected, never a loop over rows.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from difflib import get_close_matches
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from trendcast.errors import InvalidInput

Kind = Literal["date", "name", "text", "number", "whole", "flag"]

EARLIEST = date(2000, 1, 1)
LATEST_PLAN = date(2100, 12, 31)
LARGEST = 1e9
LONGEST_NAME = 100
MOST_CATEGORIES = 5_000


@dataclass(frozen=True)
class Column:
    """One column. A required one must be there and filled; a name that need not be is ``''`` where it is missing."""

    name: str
    kind: Kind
    required: bool = False
    low: float = -np.inf
    high: float = np.inf
    above: bool = False  # low and high themselves are refused
    ahead: bool = False  # dates that may lie in the future


@dataclass(frozen=True)
class Table:
    """One table of the contract; ``key`` names the columns that make a row unique."""

    name: str
    key: tuple[str, ...]
    columns: tuple[Column, ...]
    day: str | None = "date_id"  # the column that dates a row
    attributes: str | None = None  # where columns of the customer's own go

    def column(self, name: str) -> Column:
        return next(column for column in self.columns if column.name == name)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.columns)

    @property
    def required(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.columns if column.required)


def _day(*, ahead: bool = False) -> Column:
    return Column("date_id", "date", required=True, ahead=ahead)


_CATEGORY = Column("product_category", "name", required=True)
_REGION = Column("region", "name")
_STORE = Column("store", "name")
_PRICE = Column("unit_price", "number", low=0, high=LARGEST)


def _amount(name: str, *, required: bool = False, low: float = 0, above: bool = False) -> Column:
    return Column(name, "number", required=required, low=low, high=LARGEST, above=above)


TABLES: dict[str, Table] = {
    table.name: table
    for table in (
        Table(
            "stores",
            ("store",),
            (
                Column("store", "name", required=True),
                _REGION,
                Column("opened_on", "date", ahead=True),
                Column("latitude", "number", low=-90, high=90),
                Column("longitude", "number", low=-180, high=180),
            ),
            day=None,
            attributes="attributes",
        ),
        Table(
            "market_factors",
            ("date_id",),
            (
                _day(),
                Column("economic_index", "number", low=-LARGEST, high=LARGEST),
                Column("competitor_promotion_intensity", "number", low=-LARGEST, high=LARGEST),
                Column("seasonal_events", "text"),
                Column("social_media_mentions", "whole", low=0, high=1e12),
            ),
        ),
        Table(
            "inventory_daily",
            ("product_category", "date_id"),
            (
                _day(),
                _CATEGORY,
                _amount("stock_level", low=-LARGEST),
                _amount("reorder_point"),
                Column("lead_time_days", "whole", low=0, high=3650),
                Column("stockout_flag", "flag"),
            ),
        ),
        Table(
            "events",
            ("date_id", "region", "event"),
            (_day(ahead=True), _REGION, Column("event", "name", required=True)),
        ),
        Table(
            "plan_daily",
            ("product_category", "region", "store", "date_id"),
            (
                _day(ahead=True),
                _CATEGORY,
                _REGION,
                _STORE,
                Column("promotion_flag", "flag"),
                Column("open_flag", "flag"),
                _PRICE,
                Column("weather_condition", "text"),
            ),
        ),
        Table(
            "item_params",
            ("product_category",),
            (
                _CATEGORY,
                _amount("unit_cost"),
                _amount("holding_rate"),
                _amount("order_cost"),
                _amount("moq"),
                _amount("order_multiple", above=True),
                _amount("max_stock"),
                Column("shelf_life_days", "whole", low=1, high=36500),
                Column("target_service", "number", low=0, high=1, above=True),
            ),
            day=None,
        ),
        Table(
            "purchase_orders",
            ("po_id",),
            (
                Column("po_id", "name", required=True),
                _CATEGORY,
                _amount("quantity", required=True, above=True),
                Column("ordered_on", "date", ahead=True),
                Column("due_on", "date", ahead=True),
                Column("received_on", "date", ahead=True),
                _amount("received_quantity"),
            ),
            day="ordered_on",
        ),
        # Last: the first refresh starts when sales are there, and must find all the rest.
        Table(
            "sales_daily",
            ("product_category", "region", "store", "date_id"),
            (
                _day(),
                _CATEGORY,
                _REGION,
                _STORE,
                _amount("sales_units", required=True),
                _amount("sales_revenue"),
                Column("promotion_flag", "flag"),
                Column("weather_condition", "text"),
                Column("open_flag", "flag"),
                _PRICE,
            ),
        ),
    )
}


def match_header(table: Table, header: Sequence[str], where: str) -> dict[str, str]:
    """Which header stands for which column of the contract: ``{column: header}``, case and outer blanks ignored.

    Raises InvalidInput that names every missing column with the nearest header found. ``where`` names the file.
    """
    by_name: dict[str, str] = {}
    for name in header:
        folded = name.strip().casefold()
        if folded in by_name:
            raise InvalidInput(f"{where} has the column {shown(name.strip())} twice: keep one.")
        by_name[folded] = name
    missing = [name for name in table.required if name not in by_name]
    if missing:
        spare = [name for name in by_name if name not in table.names]
        parts = []
        for name in missing:
            near = get_close_matches(name, spare or list(by_name), n=1, cutoff=0.4) or _sharing_a_word(name, spare)
            parts.append(f"{name} (the nearest header is {shown(by_name[near[0]].strip())})" if near else name)
        found = ", ".join(shown(name.strip()) for name in list(header)[:12])
        columns = "columns" if len(missing) > 1 else "column"
        raise InvalidInput(f"{where} has no {columns} {', '.join(parts)}. Found: {found}.")
    return {name: by_name[name] for name in table.names if name in by_name}


def _sharing_a_word(name: str, spare: Sequence[str]) -> list[str]:
    words = set(name.split("_"))
    return [other for other in spare if words & set(re.split(r"[^a-z0-9]+", other))][:1]


def shown(text: str) -> str:
    """A header or line in a sentence: quoted, short, without characters that would steer a terminal."""
    cleaned = "".join(character if character.isprintable() else "?" for character in text)
    return f"'{cleaned[:40]}…'" if len(cleaned) > 40 else f"'{cleaned}'"


@dataclass(frozen=True)
class Checked:
    """The good rows of a chunk, typed, and why each of the others is not."""

    good: pa.Table  # columns in the contract's order, only those the source has
    good_rows: np.ndarray  # int64, their places in the chunk
    bad_rows: np.ndarray  # int64, places of the refused
    reasons: list[str]  # one per refused row: all of its failures, joined by "; "


# What a failing check leaves: its mask over the chunk (True = fails) and the words for it.
_Failures = list[tuple[np.ndarray, str]]


def check(
    chunk: pa.Table, table: Table, *, today: date, day_first: bool = False, decimal_comma: bool = False
) -> Checked:
    """Type and check rows: ``chunk`` has columns named as in the contract, as text or typed.

    ``today`` is the clock's date: facts may reach to the day after it. ``day_first`` reads 31.12.2024 and 31/12/2024;
    ``decimal_comma`` reads 1,5 (and 1.234,5).
    """
    rows = chunk.num_rows
    failures: _Failures = []
    typed: dict[str, pa.Array] = {}
    for name in table.names:
        if name not in chunk.column_names:
            continue
        column = table.column(name)
        values = chunk.column(name)
        values = values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values
        if isinstance(values, pa.ChunkedArray):  # no chunk at all
            values = pa.array([], values.type)
        try:
            if column.kind == "date":
                typed[name] = _dates(values, column, today, day_first, failures)
            elif column.kind in ("number", "whole"):
                typed[name] = _numbers(values, column, decimal_comma, failures)
            elif column.kind == "flag":
                typed[name] = _flags(values, column, failures)
            else:
                typed[name] = _names(values, column, failures)
        except pa.ArrowException as error:  # lists, structures and the like in a parquet file
            raise InvalidInput(
                f"The column {name} holds {values.type}, which cannot be read as {column.kind}."
            ) from error
    bad = np.zeros(rows, dtype=bool)
    for mask, _ in failures:
        bad |= mask
    bad_rows = np.flatnonzero(bad)
    good_rows = np.flatnonzero(~bad)
    extra = [name for name in chunk.column_names if table.attributes is not None and name == table.attributes]
    for name in extra:
        typed[name] = chunk.column(name).combine_chunks()
    good = pa.table(typed)
    if bad_rows.size:
        good = good.take(pa.array(good_rows))
    return Checked(good, good_rows, bad_rows, _reasons(bad_rows, failures))


def _reasons(bad_rows: np.ndarray, failures: _Failures) -> list[str]:
    """The words of all failing checks of each bad row."""
    if bad_rows.size == 0:
        return []
    matrix = np.stack([mask[bad_rows] for mask, _ in failures], axis=1)
    patterns, place = np.unique(matrix, axis=0, return_inverse=True)
    texts = [text for _, text in failures]
    words = ["; ".join(text for fails, text in zip(pattern, texts, strict=True) if fails) for pattern in patterns]
    return np.array(words, dtype=object)[np.ravel(place)].tolist()


def _fail(failures: _Failures, mask: np.ndarray, words: str) -> None:
    if mask.any():
        failures.append((mask, words))


def _mask(values: pa.Array | pa.ChunkedArray) -> np.ndarray:
    """A boolean Arrow array as numpy; null counts as False."""
    return np.asarray(pc.fill_null(values, False).to_numpy(zero_copy_only=False), dtype=bool)


def _is_text(kind: pa.DataType) -> bool:
    return pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)


def _distinct(values: pa.Array) -> tuple[pa.Array, pa.Array]:
    """The distinct values as text and each row's place among them (null for null): checks then cost per value."""
    encoded = values if pa.types.is_dictionary(values.type) else pc.dictionary_encode(values)
    distinct = encoded.dictionary
    return (distinct if distinct.type == pa.string() else pc.cast(distinct, pa.string())), encoded.indices


def _spread(mask: np.ndarray, places: pa.Array) -> np.ndarray:
    """A mask over distinct values as a mask over rows; rows without a value are False."""
    where = pc.fill_null(places, len(mask)).to_numpy(zero_copy_only=False)
    return np.append(mask, False)[where]


_NOTHING = pa.array(["", "null", "none", "na", "n/a", "\\n"])
_NO_TEXT = pa.array(["", "-", "null", "\\n"])
# Control characters, line and paragraph separators, and the marks that turn the direction of the text around them.
_CONTROL = r"[\p{Cc}\p{Zl}\p{Zp}\x{202A}-\x{202E}\x{2066}-\x{2069}]"


def _names(values: pa.Array, column: Column, failures: _Failures) -> pa.Array:
    if not (_is_text(values.type) or pa.types.is_dictionary(values.type)):
        values = pc.cast(values, pa.string())
    distinct, places = _distinct(values)
    clean = pc.utf8_trim_whitespace(pc.utf8_normalize(pc.utf8_trim_whitespace(distinct), form="NFC"))
    empty = _mask(pc.is_in(pc.utf8_lower(clean), _NO_TEXT) if column.kind == "text" else pc.equal(clean, ""))
    null = _mask(pc.is_null(places))
    if column.required:
        _fail(failures, _spread(empty, places) | null, f"{column.name} is empty")
    _fail(
        failures,
        _spread(_mask(pc.greater(pc.utf8_length(clean), LONGEST_NAME)), places),
        f"{column.name} is longer than {LONGEST_NAME} characters",
    )
    _fail(
        failures,
        _spread(_mask(pc.match_substring_regex(clean, _CONTROL)), places),
        f"{column.name} contains control characters",
    )
    _fail(
        failures,
        _spread(_mask(pc.match_substring_regex(clean, r"^[=+\-@]")) & ~empty, places),
        f"{column.name} starts with =, +, - or @",
    )
    if column.kind == "text":
        clean = pc.if_else(pa.array(empty), None, clean)
        return clean.take(places)
    return pc.fill_null(clean.take(places), "")


_ISO = (
    r"^\s*(?P<y>\d{4})-(?P<m>\d{1,2})-(?P<d>\d{1,2})"
    r"(?:[T ]00:00(?::00(?:\.0+)?)?(?:Z|\+00(?::?00)?)?)?\s*$"
)
_DAY_FIRST = r"^\s*(?P<d>\d{1,2})[./-](?P<m>\d{1,2})[./-](?P<y>\d{4})\s*$"


def _dates(values: pa.Array, column: Column, today: date, day_first: bool, failures: _Failures) -> pa.Array:
    kind = values.type
    if pa.types.is_dictionary(kind):
        values = values.cast(kind.value_type)
        kind = values.type
    rows = len(values)
    if pa.types.is_date(kind):
        days, bad = pc.cast(values, pa.date32()), np.zeros(rows, dtype=bool)
        null = _mask(pc.is_null(values))
    elif pa.types.is_timestamp(kind):
        days = pc.cast(values, pa.date32(), safe=False)
        # A time of day would be lost without a word.
        naive = pa.timestamp(kind.unit)
        bad = _mask(pc.not_equal(pc.cast(days, naive), pc.cast(values, naive)))
        null = _mask(pc.is_null(values))
    else:
        distinct, places = _distinct(values)
        each, wrong = parse_dates(distinct, day_first=day_first)
        empty = _mask(pc.equal(pc.utf8_trim_whitespace(distinct), ""))
        null = _spread(empty, places) | _mask(pc.is_null(places))
        bad = _spread(wrong & ~empty, places)
        days = each.take(places)
    if column.required:
        _fail(failures, null, f"{column.name} is empty")
    shape = "a day like 31.12.2024" if day_first else "a day like 2024-12-31"
    _fail(failures, bad, f"{column.name} is not {shape}")
    last = LATEST_PLAN if column.ahead else today + timedelta(days=1)
    earliest = date(1800, 1, 1) if column.name == "opened_on" else EARLIEST
    _fail(failures, _mask(pc.less(days, pa.scalar(earliest))) & ~bad, f"{column.name} is before {earliest}")
    late = f"{column.name} is after {LATEST_PLAN}" if column.ahead else f"{column.name} is in the future"
    _fail(failures, _mask(pc.greater(days, pa.scalar(last))) & ~bad, late)
    return days


def parse_dates(texts: pa.Array, *, day_first: bool = False) -> tuple[pa.Array, np.ndarray]:
    """Texts as date32 (null where they are no date of the calendar) and the mask of those that are not.

    ISO (also with midnight as its time); with ``day_first`` also day.month.year with ``.``, ``/`` or ``-``.
    """
    parts = pc.extract_regex(texts, _ISO)
    if day_first:
        other = pc.extract_regex(texts, _DAY_FIRST)
        first = parts.is_valid()
        parts = {name: pc.if_else(first, pc.struct_field(parts, name), pc.struct_field(other, name)) for name in "ymd"}
        found = _mask(pc.is_valid(parts["y"]))
    else:
        found = _mask(parts.is_valid())
        parts = {name: pc.struct_field(parts, name) for name in "ymd"}
    texts_found = (pc.if_else(pa.array(found), parts[name], None) for name in "ymd")
    year, month, day = (pc.fill_null(pc.cast(part, pa.int64()), 1).to_numpy() for part in texts_found)
    sound = found & (year >= 1) & (month >= 1) & (month <= 12) & (day >= 1)
    months = ((np.where(sound, year, 1970) - 1970) * 12 + np.where(sound, month, 1) - 1).astype("datetime64[M]")
    length = ((months + 1).astype("datetime64[D]") - months.astype("datetime64[D]")).astype("int64")
    sound &= day <= length
    days = months.astype("datetime64[D]") + (np.where(sound, day, 1) - 1)
    return pa.array(days, mask=~sound).cast(pa.date32()), ~sound


_NUMERIC = (pa.types.is_integer, pa.types.is_floating, pa.types.is_decimal, pa.types.is_boolean)


def _numbers(values: pa.Array, column: Column, decimal_comma: bool, failures: _Failures) -> pa.Array:
    kind = values.type
    if pa.types.is_dictionary(kind):
        values = values.cast(kind.value_type)
        kind = values.type
    rows = len(values)
    bad = np.zeros(rows, dtype=bool)
    if _is_text(kind):
        numbers, null, bad = parse_numbers(values, decimal_comma=decimal_comma)
    elif pa.types.is_null(kind):
        numbers, null = pa.nulls(rows, pa.float64()), np.ones(rows, dtype=bool)
    elif any(test(kind) for test in _NUMERIC):
        null = _mask(pc.is_null(values))
        numbers = pc.cast(values, pa.float64(), safe=False)
    else:
        raise InvalidInput(f"The column {column.name} holds {kind} where numbers are expected.")
    if column.required:
        _fail(failures, null, f"{column.name} is empty")
    if decimal_comma:
        _fail(failures, bad, f"{column.name} is not a number with decimal comma")
    else:
        _fail(failures, bad, f"{column.name} is not a number")
    array = pc.fill_null(numbers, 0.0 if not column.above else column.low + 0.5).to_numpy(zero_copy_only=False)
    infinite = ~np.isfinite(array)
    _fail(failures, infinite, f"{column.name} is not finite (NaN or infinity)")
    known = ~infinite & ~bad & ~null
    if column.above:
        _fail(failures, known & (array <= column.low), f"{column.name} is not above {column.low:g}")
    elif column.low == 0:
        _fail(failures, known & (array < 0), f"{column.name} is negative")
    else:
        _fail(failures, known & (array < column.low), f"{column.name} is below {column.low:g}")
    if column.above and column.high < LARGEST:
        _fail(failures, known & (array >= column.high), f"{column.name} is not below {column.high:g}")
    else:
        _fail(failures, known & (array > column.high), f"{column.name} is above {column.high:,.0f}")
    if column.kind == "whole":
        split = known & (array != np.floor(array))
        _fail(failures, split, f"{column.name} is not a whole number")
        safe = pc.if_else(pa.array(known & ~split & (np.abs(array) <= 1e15)), numbers, None)
        return pc.cast(safe, pa.int64())
    return numbers


_NUMBER = r"^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$"
_NOT_FINITE = r"(?i)^[+-]?(?:nan|inf|infinity)$"
_COMMA_NUMBER = r"^[+-]?(?:(?:\d+|\d{1,3}(?:\.\d{3})+)(?:,\d*)?|,\d+)(?:[eE][+-]?\d+)?$"


def parse_numbers(texts: pa.Array, *, decimal_comma: bool = False) -> tuple[pa.Array, np.ndarray, np.ndarray]:
    """Texts as float64, the mask of empty ones and the mask of those that are no number; ``nan`` and ``inf`` are read.

    With ``decimal_comma`` a point may only group thousands before a comma: ``1.234`` alone could mean two things.
    """
    texts = pc.utf8_trim_whitespace(texts)
    null = _mask(pc.equal(texts, "")) | _mask(pc.is_null(texts))
    filled = pc.if_else(pa.array(null), None, texts)
    if not decimal_comma:
        try:
            return pc.cast(filled, pa.float64()), null, np.zeros(len(texts), dtype=bool)
        except pa.ArrowInvalid:
            pass
    null |= _mask(pc.is_in(pc.utf8_lower(texts), _NOTHING))
    filled = pc.if_else(pa.array(null), None, texts)
    if decimal_comma:
        unclear = _mask(pc.match_substring(filled, ".")) & ~_mask(pc.match_substring(filled, ","))
        sound = _mask(pc.match_substring_regex(filled, _COMMA_NUMBER)) & ~unclear
        plain = pc.replace_substring(pc.replace_substring(filled, ".", ""), ",", ".")
    else:
        sound = _mask(pc.match_substring_regex(filled, _NUMBER))
        plain = filled
    sound = (sound | _mask(pc.match_substring_regex(filled, _NOT_FINITE))) & ~null
    plain = pc.replace_substring_regex(pc.if_else(pa.array(sound), plain, None), r"^\+", "")
    return pc.cast(plain, pa.float64()), null, ~sound & ~null


# t and f are PostgreSQL's own export; 1.0 and 0.0 what pandas makes of flags with gaps.
_TRUE = pa.array(["1", "true", "t", "1.0"])
_FALSE = pa.array(["0", "false", "f", "0.0"])


def _flags(values: pa.Array, column: Column, failures: _Failures) -> pa.Array:
    if pa.types.is_boolean(values.type):
        return values
    distinct, places = _distinct(values)
    lower = pc.utf8_lower(pc.utf8_trim_whitespace(distinct))
    true, false = _mask(pc.is_in(lower, _TRUE)), _mask(pc.is_in(lower, _FALSE))
    null = _mask(pc.is_in(lower, _NOTHING))
    _fail(failures, _spread(~(true | false | null), places), f"{column.name} is not one of 0, 1, true, false")
    return pa.array(true, mask=~(true | false)).take(places)

"""Upload: a stranger's table as sales_daily. What its columns are is proposed, can be changed, and is remembered.

``upload_cells.read`` -> ``propose`` -> (a person looks) -> ``table`` -> ``load``. The first three are pure: a page and
a command use them alike. Rows that cannot be understood are not dropped here: they go on as they came, and the load
puts them into quarantine with their reason.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from trendcast import wording
from trendcast.errors import InvalidInput
from trendcast.services import runtime
from trendcast.services import upload_values as values
from trendcast.services.load import Loader, LoadSummary, TableSummary
from trendcast.services.progress import Progress, silent
from trendcast.services.runtime import Clock
from trendcast.services.sources import FrameSource
from trendcast.services.tables import MOST_CATEGORIES, TABLES
from trendcast.services.upload_cells import Cells, file_name
from trendcast.services.upload_words import KINDS, WORDS

if TYPE_CHECKING:
    from trendcast.store.engine import Database

FEWEST_DAYS = 56  # with fewer the models have nothing to learn from
MOST_LONG_ROWS = 5_000_000
NAMES = ("category", "region", "store")
NUMBERS = ("units", "revenue", "price")
FLAGS = ("promotion", "open")
ROLES = ("date", *NAMES, *NUMBERS, *FLAGS, "weather")
COLUMNS = {
    "date": "date_id",
    "category": "product_category",
    "region": "region",
    "store": "store",
    "units": "sales_units",
    "revenue": "sales_revenue",
    "price": "unit_price",
    "promotion": "promotion_flag",
    "open": "open_flag",
    "weather": "weather_condition",
}
LAYOUTS = ("long", "days", "names")


@dataclass(frozen=True)
class Reading:
    """How a file's columns are understood. Roles hold headers, ``''``: there is none.

    ``layout``: 'long' (a row is a day of a series), 'days' (a column per day) or 'names' (a column per category,
    region or store, named by ``across_is``); ``across``: the headers that hold units then.
    """

    layout: str = "long"
    date: str = ""
    category: str = ""
    region: str = ""
    store: str = ""
    units: str = ""
    revenue: str = ""
    price: str = ""
    promotion: str = ""
    open: str = ""
    weather: str = ""
    across: tuple[str, ...] = ()
    across_is: str = "category"
    one_category: str = ""  # the name of everything, where no column tells categories apart
    day_first: bool | None = None  # how 3/4/2024 is meant; None: found out from the column
    decimal: str = ""  # '.' or ','; '': found out, column by column
    add_up: bool | None = None  # rows of the same day and names are summed; None: where more detail is left out

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    def changed(self, parts: Mapping[str, Any]) -> Reading:
        """The same with other ``parts``."""
        return replace(self, **parts)

    @classmethod
    def from_dict(cls, known: Mapping[str, Any]) -> Reading:
        """A stored reading; what this version does not know is left out."""
        names = {one.name for one in fields(cls)}
        kept = {name: value for name, value in known.items() if name in names}
        return cls(**{**kept, "across": tuple(kept.get("across", ()))})


@dataclass(frozen=True)
class Parsed:
    """A file as rows of sales_daily (columns of the contract that it has), and what was done to get there."""

    frame: pd.DataFrame
    rows_read: int
    notes: tuple[str, ...] = ()
    first_day: dt.date | None = None
    last_day: dt.date | None = None
    n_days: int = 0
    n_categories: int = 0
    n_regions: int = 0
    n_stores: int = 0
    units: float = 0.0
    unclear: int = 0  # rows that will not pass, as far as can be seen here
    ambiguous_days: bool = False  # 3/4/2024 could be either, and nothing says which
    decimals: Mapping[str, str] = field(default_factory=dict)  # header -> the mark it was read with


# ---------------------------------------------------------------------------------------------------------- propose


def shape(cells: Cells) -> str:
    """What files of one kind have in common: a hash of the header, whatever days it names."""
    days = values.read_days(cells.header).days
    names = [
        "<day>" if name in days or values.period_of([name]) else values.plain(name) or name for name in cells.header
    ]
    return hashlib.sha256("\n".join(dict.fromkeys(names)).encode()).hexdigest()


def kinds(cells: Cells) -> dict[str, str]:
    """What each column mostly holds: day, period, number, flag, name or empty."""
    found: dict[str, str] = {}
    for name in cells.header:
        texts = _sample(cells, name)
        found[name] = values.kind_of(texts, serials=_serials(cells, name))
    return found


def _sample(cells: Cells, name: str) -> list[str]:
    column = cells.frame[name]
    few = column if len(column) <= values.SAMPLE else pd.concat([column.head(values.SAMPLE // 2), column.tail(500)])
    return [text for text in pd.unique(few) if text]


def _serials(cells: Cells, name: str) -> bool:
    """Whether a column's five-digit numbers may be a spreadsheet's days: where the header says that it holds days."""
    return bool(set(_name(name).split()) & {"date", "datum", "day", "tag", "fecha", "jour"})


def _name(header: str) -> str:
    """A header for comparing: camel case apart, plain."""
    return values.plain(re.sub(r"(?<=[a-z])(?=[A-Z])", " ", header))


def propose(cells: Cells) -> Reading:
    """The likeliest reading of a file. What cannot be found out stays empty, for a person to choose."""
    header = cells.header
    found = kinds(cells)
    across = _across_days(header)
    if across:
        named = _assign(cells, {n: k for n, k in found.items() if n not in across}, NAMES)
        named = named or _first_names(cells, [n for n in header if n not in across and not values.is_total(n)])
        return _named(cells, Reading(layout="days", across=tuple(across)).changed(named))
    roles = _assign(cells, found, ROLES)
    if "date" not in roles and (
        days := [n for n in header if found[n] in ("day", "period") and n not in roles.values()]
    ):
        roles["date"] = days[0]
    taken = set(roles.values())
    numbers = [n for n in header if found[n] == "number" and n not in taken and not values.is_total(n)]
    loose = {
        role: n for role, n in roles.items() if role in ("units", "revenue") and _name(n) not in map(_name, WORDS[role])
    }
    names_free = [n for n in header if found[n] == "name" and n not in taken]
    if "date" in roles and "category" not in roles and not names_free and not {"price", "revenue"} & set(roles):
        wide = [n for n in header if n in numbers or n in loose.values()]
        if len(wide) >= 2 and ("units" not in roles or "units" in loose):
            kept = {role: n for role, n in roles.items() if role not in loose}
            return Reading(layout="names", across=tuple(wide)).changed(kept)
    if "category" not in roles and names_free:
        fit = [n for n in names_free if 2 <= cells.frame[n].nunique() <= min(500, max(2, len(cells.frame) // 3))]
        if fit:
            roles["category"] = fit[0]
    if "units" not in roles and len(numbers) == 1 and "revenue" not in roles:
        roles["units"] = numbers[0]
    if "units" not in roles and "revenue" in roles:  # a turnover is a fine measure of demand
        roles["units"] = roles.pop("revenue")
    return _named(cells, Reading().changed(roles))


def _named(cells: Cells, reading: Reading) -> Reading:
    """With a name for everything where no column has categories."""
    if reading.category or (reading.layout == "names" and reading.across_is == "category"):
        return reading
    return replace(reading, one_category="All products")


def _across_days(header: Sequence[str]) -> list[str]:
    """The headers that name days (or weeks, months), when most of them do."""
    days = values.read_days(header).days
    across = [name for name in header if name in days]
    if len(across) < 3:
        across = [name for name in header if values.period_of([name])]
    return across if len(across) >= max(3, 0.5 * len(header)) else []


def _first_names(cells: Cells, header: Sequence[str]) -> dict[str, str]:
    """The leading columns of a wide table as what they most likely name."""
    return {"category": header[0]} if header else {}


def _assign(cells: Cells, found: Mapping[str, str], roles: Sequence[str]) -> dict[str, str]:
    """Role -> header, the best matches first, no header twice."""
    scored: list[tuple[float, int, str, str]] = []
    for place, header in enumerate(found):
        bare = _name(header)
        for role in roles:
            if found[header] not in (*KINDS[role], "empty"):
                exact_id = role in NAMES and found[header] in ("number", "flag") and bare in WORDS[role]
                # Our own name says what a column is, however many of its cells are wrong: those are for the quarantine.
                if not exact_id and header != COLUMNS.get(role):
                    continue
            score = _score(bare, WORDS[role])
            if role in NAMES and cells.frame[header].nunique() > MOST_CATEGORIES:
                score -= 70
            if found[header] == "empty":
                score -= 50
            if score > 0:
                scored.append((-score, place, role, header))
    assigned: dict[str, str] = {}
    for _, _, role, header in sorted(scored):
        if role not in assigned and header not in assigned.values():
            assigned[role] = header
    return assigned


def _score(bare: str, words: Sequence[str]) -> float:
    if bare in words:
        return 100 - words.index(bare)
    padded = f" {bare} "
    inside = [i for i, word in enumerate(words) if len(word) > 2 and f" {word} " in padded]
    if inside:
        return 60 - inside[0]
    within = [i for i, word in enumerate(words) if len(word) > 4 and word in bare]  # Verkaufsmenge
    return 30 - within[0] / 10 if within else 0


# ------------------------------------------------------------------------------------------------------------ table


def table(cells: Cells, reading: Reading) -> Parsed:
    """The file's rows as sales_daily. Raises InvalidInput with one sentence when they cannot be that: a role is
    missing, a column holds something else, or the data are weekly or monthly."""
    _check(cells, reading)
    notes: list[str] = list(cells.notes)
    frame = cells.frame
    frame, dropped = _without_totals(frame, cells, reading)
    if dropped:
        notes.append(f"{wording.count(dropped, 'row')} of totals left out: TrendCast adds up by itself.")
    if frame.empty:
        raise InvalidInput(f"{cells.name} has no rows besides totals.")
    wide = reading.layout != "long"
    long, days, decimals, more = (_from_wide if wide else _from_long)(cells, frame, reading)
    notes += more
    _refuse_periods(cells, reading, days)
    if wide:
        rows_read = len(frame)
    else:
        rows_read = len(cells.frame)
        long, more = _tidy(long, frame, reading)
        notes += more
    if not reading.category and not (wide and reading.layout == "names" and reading.across_is == "category"):
        long["product_category"] = reading.one_category.strip()
    long, unclear, more = _summed(long, cells, reading, days)
    notes += more
    good = long["_day"].notna()
    known = long.loc[good, "_day"]
    if not good.any():
        example = next((text for text in long["date_id"] if text), "")
        raise InvalidInput(f"No cell of '{reading.date}' is a day such as 2024-12-31: '{example[:40]}' is not.")
    units = pd.to_numeric(long["sales_units"], errors="coerce")
    n_days = int(known.nunique())
    if n_days < FEWEST_DAYS:
        notes.append(
            f"These are {wording.count(n_days, 'day')}; a forecast needs {FEWEST_DAYS} at least, and two years show "
            "the seasons."
        )
    order = [column for column in COLUMNS.values() if column in long]
    return Parsed(
        frame=long[order].reset_index(drop=True),
        rows_read=rows_read,
        notes=tuple(notes),
        first_day=known.min().date(),
        last_day=known.max().date(),
        n_days=n_days,
        n_categories=int(long["product_category"].nunique()),
        n_regions=int(long["region"].nunique()) if "region" in long else 0,
        n_stores=int(long["store"].nunique()) if "store" in long else 0,
        units=float(units.sum()),
        unclear=unclear,
        ambiguous_days=days.ambiguous and reading.day_first is None,
        decimals=decimals,
    )


def _check(cells: Cells, reading: Reading) -> None:
    header = set(cells.header)
    used: dict[str, str] = {}
    wide = reading.layout != "long"
    for role in ROLES:
        name = getattr(reading, role)
        if (
            not name
            or (wide and role in (*NUMBERS, *FLAGS, "weather"))
            or (reading.layout == "days" and role == "date")
        ):
            continue
        if name not in header:
            raise InvalidInput(f"{cells.name} has no column '{name}' any more: choose again.")
        if name in used:
            raise InvalidInput(f"The column '{name}' is chosen as {used[name]} and as {role}: choose one of them.")
        used[name] = role
    if reading.layout != "days" and not reading.date:
        raise InvalidInput("Choose the column that holds the day of a row.")
    if not wide and not reading.units:
        raise InvalidInput("Choose the column that holds the units sold (a turnover is fine too).")
    if wide and not [name for name in reading.across if name in header]:
        what = "days" if reading.layout == "days" else "categories"
        raise InvalidInput(f"Choose the columns that stand for the {what}.")
    told_apart = reading.category or (reading.layout == "names" and reading.across_is == "category")
    if not told_apart and not reading.one_category.strip():
        raise InvalidInput("No column tells categories apart: give what is sold a name, such as All products.")


def _without_totals(frame: pd.DataFrame, cells: Cells, reading: Reading) -> tuple[pd.DataFrame, int]:
    """Drop rows that sum others: their names say so, or a sum's label stands where the day should be."""
    names = [getattr(reading, role) for role in NAMES if getattr(reading, role)]
    total = np.zeros(len(frame), bool)
    for name in names:
        codes, distinct = pd.factorize(frame[name])
        sums = np.array([values.plain(text) in values.TOTALS for text in distinct], bool)
        total |= sums[codes]
    if reading.layout != "days" and reading.date in frame:
        days = values.read_days(list(pd.unique(frame[reading.date])), True, serials=_serials(cells, reading.date)).days
        undated = (~frame[reading.date].isin(list(days))).to_numpy()
        if 0 < undated.sum() < len(frame):
            for name in dict.fromkeys([reading.date, *names, *cells.header[:2]]):
                labels = frame.loc[undated, name].map(values.is_total).to_numpy(bool)
                total[np.flatnonzero(undated)[labels]] = True
    return frame.loc[~total], int(total.sum())


def _decimal(cells: Cells, header: Sequence[str], texts: Mapping[str, Sequence[str]], asked: str) -> dict[str, str]:
    """The decimal mark of each numeric column: of a true number a point, as asked, by its texts, or as its
    neighbours and the separator have it."""
    own = {name: values.decimal_of(texts[name]) for name in header}
    known = [mark for name, mark in own.items() if mark and name not in cells.typed]
    usual = max(set(known), key=known.count) if known else ("," if cells.delimiter == ";" else ".")
    return {name: "." if name in cells.typed else asked or own[name] or usual for name in header}


def _numbers(column: pd.Series, header: str, mark: str) -> pd.Series:
    """Numbers; where a text is none, texts, so that the load can say so of that row."""
    numbers, wrong = values.read_numbers(column, mark)
    filled = int((column != "").sum())
    if wrong.sum() > 0.5 * filled:
        example = column.to_numpy()[wrong][0]
        raise InvalidInput(
            f"'{header}' does not hold numbers with a decimal {'point' if mark == '.' else 'comma'}: "
            f"'{str(example)[:40]}' is none."
        )
    if not wrong.any():
        return pd.Series(numbers, index=column.index)
    texts = pd.Series(numbers, index=column.index).map(lambda v: None if np.isnan(v) else repr(float(v))).astype(object)
    texts[wrong] = column[wrong]
    return texts


def _flags(column: pd.Series) -> pd.Series:
    """1, 0 or nothing; names of promotions among empty cells are 1 and 0."""
    codes, distinct = pd.factorize(column)
    meant: list[str | None] = []
    for text in distinct:
        flag = values.read_flag(text) if not values.empty(text) else None
        meant.append(None if flag is None else "1" if flag else "0")
    names = [t for t, m in zip(distinct, meant, strict=True) if m is None and not values.empty(t)]
    if names and any(values.empty(t) or m == "0" for t, m in zip(distinct, meant, strict=True)):
        meant = ["1" if t in names else m or "0" for t, m in zip(distinct, meant, strict=True)]
    elif names:
        meant = [t if t in names else m for t, m in zip(distinct, meant, strict=True)]
    return pd.Series(np.array(meant, dtype=object)[codes], index=column.index)


def _dated(column: pd.Series, days: values.Days) -> tuple[pd.Series, pd.Series]:
    """(ISO texts, what is no day as it came; the days themselves)."""
    codes, distinct = pd.factorize(column)
    iso = np.array([days.days[t].isoformat() if t in days.days else t for t in distinct], dtype=object)
    when = np.array([days.days.get(t) for t in distinct], dtype="datetime64[D]").astype("datetime64[us]")
    return pd.Series(iso[codes], index=column.index), pd.Series(when[codes], index=column.index)


_Long = tuple[pd.DataFrame, values.Days, dict[str, str], list[str]]


def _from_long(cells: Cells, frame: pd.DataFrame, reading: Reading) -> _Long:
    texts = list(pd.unique(frame[reading.date]))
    days = values.read_days(texts, reading.day_first, serials=_serials(cells, reading.date))
    long = pd.DataFrame(index=frame.index)
    long["date_id"], long["_day"] = _dated(frame[reading.date], days)
    for role in NAMES:
        if name := getattr(reading, role):
            long[COLUMNS[role]] = frame[name]
    header = [getattr(reading, role) for role in NUMBERS if getattr(reading, role)]
    decimals = _decimal(
        cells, header, {name: list(pd.unique(frame[name]))[: values.SAMPLE] for name in header}, reading.decimal
    )
    for role in NUMBERS:
        if name := getattr(reading, role):
            long[COLUMNS[role]] = _numbers(frame[name], name, decimals[name])
    for role in FLAGS:
        if name := getattr(reading, role):
            long[COLUMNS[role]] = _flags(frame[name])
    if reading.weather:
        long["weather_condition"] = frame[reading.weather].where(frame[reading.weather] != "", None)
    return long, days, decimals, []


def _from_wide(cells: Cells, frame: pd.DataFrame, reading: Reading) -> _Long:
    """One row per day and series from a column per day or per name; an empty cell is no record."""
    across = [name for name in reading.across if name in frame]
    if len(frame) * len(across) > MOST_LONG_ROWS:
        raise InvalidInput(
            f"{cells.name} holds {wording.fixed(len(frame) * len(across))} numbers, at most "
            f"{wording.fixed(MOST_LONG_ROWS)} can be read at once: send it in parts."
        )
    texts = pd.Series(frame[across].to_numpy(dtype=object).ravel())
    sample = list(pd.unique(texts))[: values.SAMPLE]
    mark = "." if set(across) <= cells.typed else _decimal(cells, ["*"], {"*": sample}, reading.decimal)["*"]
    long = pd.DataFrame({"sales_units": _numbers(texts, across[0], mark)})
    row = np.repeat(np.arange(len(frame)), len(across))
    for role in NAMES:
        if name := getattr(reading, role):
            long[COLUMNS[role]] = frame[name].to_numpy()[row]
    if reading.layout == "days":
        days = values.read_days(across, reading.day_first)
        period = values.period_of(across)
        if not days.days and not period:
            raise InvalidInput(f"The headers '{across[0]}', '{across[-1]}' are no days such as 2024-12-31.")
        iso, when = _dated(pd.Series(across), days)
        long["date_id"] = np.tile(iso.to_numpy(), len(frame))
        long["_day"] = np.tile(when.to_numpy(), len(frame))
    else:
        days = values.read_days(
            list(pd.unique(frame[reading.date])), reading.day_first, serials=_serials(cells, reading.date)
        )
        iso, when = _dated(frame[reading.date], days)
        long["date_id"], long["_day"] = iso.to_numpy()[row], when.to_numpy()[row]
        long[COLUMNS[reading.across_is]] = np.tile(np.array(across, dtype=object), len(frame))
    empty = texts.isin([text for text in pd.unique(texts) if values.empty(text)]).to_numpy(bool)
    notes = []
    if empty.any():
        notes.append(f"{wording.count(int(empty.sum()), 'empty cell')} left out: an empty cell is no record, 0 is one.")
    return long.loc[~empty].reset_index(drop=True), days, dict.fromkeys(across, mark), notes


def _tidy(long: pd.DataFrame, frame: pd.DataFrame, reading: Reading) -> tuple[pd.DataFrame, list[str]]:
    """Names that a pivot table writes once per block are filled down; rows with neither day nor units are dropped."""
    notes = []
    blank = (long["date_id"] == "") & (frame[reading.units].map(values.empty))
    if blank.any():
        long = long.loc[~blank]
        notes.append(f"{wording.count(int(blank.sum()), 'row')} without day and units left out.")
    for role in NAMES:
        column = COLUMNS[role]
        if column in long and len(long) and long[column].iloc[0] != "" and (long[column] == "").mean() > 0.5:
            long = long.assign(**{column: long[column].where(long[column] != "").ffill()})
            notes.append(f"'{getattr(reading, role)}' is written once per block and was filled down.")
    return long.copy(), notes


def _refuse_periods(cells: Cells, reading: Reading, days: values.Days) -> None:
    """Weekly or monthly sums cannot be taken apart into days: say how it shows."""
    if reading.layout == "days":
        period, where = values.period_of(reading.across) if not days.days else "", "its columns"
        example = reading.across[0]
    else:
        texts = [text for text in pd.unique(cells.frame[reading.date]) if text and not values.is_total(text)]
        period = values.period_of(texts) if not days.days else ""
        where, example = f"'{reading.date}'", texts[0] if texts else ""
    if period:
        how = f"{where} {'are' if where == 'its columns' else 'has'} {period}s such as '{example[:30]}'"
    else:
        period, how = values.frequency_of(list(days.days.values()))
    if period not in ("", "day"):
        adverb = {"week": "weekly", "month": "monthly", "quarter": "quarterly", "year": "yearly"}[period]
        raise InvalidInput(
            f"This is {adverb} data: {how}. TrendCast learns from days (weekdays, holidays, promotions): export the "
            "sales of each day."
        )


_KEY = ["date_id", "product_category", "region", "store"]


def _summed(
    long: pd.DataFrame, cells: Cells, reading: Reading, days: values.Days
) -> tuple[pd.DataFrame, int, list[str]]:
    """Rows of the same day and names added up where the file has more detail than is used; and how many rows will be
    refused for what they hold."""
    for column in ("sales_units", "sales_revenue", "unit_price"):
        if column in long and long[column].dtype != object:
            long[column] = long[column].astype(float)
    units = pd.to_numeric(long["sales_units"], errors="coerce").to_numpy(float)
    sound = long["_day"].notna().to_numpy() & (units >= 0) & (long["product_category"] != "").to_numpy()
    for column in ("sales_revenue", "unit_price"):
        if column in long:
            as_number = pd.to_numeric(long[column], errors="coerce").to_numpy(float)
            given = long[column].notna().to_numpy()
            sound &= ~given | (as_number >= 0)
    unclear = int((~sound).sum())
    key = [column for column in _KEY if column in long]
    twice = long.loc[sound].duplicated(key, keep=False)
    if not twice.any():
        return long, unclear, []
    used = {getattr(reading, role) for role in ROLES} | set(reading.across)
    finer = days.timed or any(name not in used for name in cells.header)
    repeated = wording.count(int(twice.sum()), "row")
    if not (finer if reading.add_up is None else reading.add_up):
        return (
            long,
            unclear,
            [f"{repeated} have the same day and names as another: equal ones count once, others are refused."],
        )
    good = long.loc[sound].copy()
    if "unit_price" in good:
        good["_value"] = good["unit_price"].astype(float) * good["sales_units"].astype(float)
    adding = [column for column in ("sales_units", "sales_revenue", "_value") if column in good]
    flags = [column for column in ("promotion_flag", "open_flag") if column in good]
    good = good.astype(dict.fromkeys(adding, float))
    good[flags] = good[flags].fillna("")  # so that 1 is more than 0 is more than nothing
    groups = good.groupby(key, sort=False)
    others = [column for column in good if column not in (*key, *adding, *flags)]
    together = pd.concat(
        [groups[adding].sum(min_count=1), groups[flags].max().replace("", None), groups[others].first()], axis=1
    ).reset_index()
    if "_value" in together:
        positive = together["sales_units"] > 0
        together["unit_price"] = (together["_value"] / together["sales_units"]).where(positive, together["unit_price"])
        if "sales_revenue" not in together:
            together["sales_revenue"] = together["_value"]
        together = together.drop(columns="_value")
    note = f"{repeated} of the same day and names were added up."
    return pd.concat([together, long.loc[~sound]], ignore_index=True), unclear, [note]


# ------------------------------------------------------------------------------------------------- remember and load


def recall(db: Database, cells: Cells) -> Reading | None:
    """How a file of this shape was read last time, as far as its columns are still there; None when it is new."""
    rows = db.rows("upload_recall", shape=shape(cells))
    if not rows:
        return None
    reading = Reading.from_dict(rows[0]["mapping"])
    header = set(cells.header)
    if reading.layout == "days":
        reading = replace(reading, across=tuple(_across_days(cells.header)))
    kept = {role: "" for role in ROLES if getattr(reading, role) not in header}
    return reading.changed({**kept, "across": tuple(name for name in reading.across if name in header)})


def remember(db: Database, cells: Cells, reading: Reading, *, who: str) -> None:
    """Keep a reading for the next file of this shape."""
    import json

    db.execute(
        "upload_remember",
        shape=shape(cells),
        mapping=json.dumps(reading.as_dict()),
        file_name=file_name(cells.name),
        used_by=who,
    )


def holdings(db: Database) -> str:
    """Whose data the database holds: 'none', 'demo' or 'own'."""
    found = db.rows("load_sources")[0]
    return "own" if found["own"] else "demo" if found["demo"] else "none"


def load(
    db: Database,
    cells: Cells,
    reading: Reading,
    parsed: Parsed,
    *,
    accept: bool = False,
    who: str = "someone",
    on_progress: Progress = silent,
    clock: Clock = runtime.clock,
    at_end: Callable[[Any, LoadSummary], None] | None = None,
) -> LoadSummary:
    """Load a file that was looked at, with the checks and the merge of any load, and remember its reading.

    The demo retailer's data is replaced. The same file read the same way twice is no work; a held batch is merged with
    ``accept``, in the name of ``who``, who stands with the batch and in the audit. ``at_end`` is called in the
    transaction, with its connection and what became of the file.
    """
    rows = FrameSource("sales_daily", parsed.frame, TABLES["sales_daily"])
    rows.sha256 = hashlib.sha256(f"{cells.sha256}{sorted(reading.as_dict().items())}".encode()).hexdigest()
    summary = LoadSummary()

    def note(connection: Any, result: TableSummary) -> None:
        if result.batch is not None:
            after = {"file": file_name(cells.name), "status": result.status, "rows": result.rows}
            noted = {"actor": who, "action": "upload file", "object": f"load_batch {result.batch}", "after": after}
            db.execute("audit_add", connection=connection, **noted)
        if at_end is not None:
            at_end(connection, summary)

    loader = Loader(db, accept=accept, actor=who, clock=clock, at_end=note)
    loader.load(rows.table, rows, f"upload:{file_name(cells.name)} by {who}", summary, on_progress)
    remember(db, cells, reading, who=who)
    return summary

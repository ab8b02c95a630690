"""A stranger's file as a table of texts: CSV in its many shapes, gzip, workbooks; with limits, and without trust.

Nothing of the file is run: formulas give the value the spreadsheet last showed, a workbook's links and macros are not
looked at. What cannot be a table raises InvalidInput with one sentence that says what to do.
"""

from __future__ import annotations

import codecs
import csv
import datetime as dt
import hashlib
import io
import re
import unicodedata
import zipfile
import zlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from trendcast import wording
from trendcast.errors import InvalidInput

MOST_BYTES = 50 * 1024**2  # of the file; what Streamlit's server.maxUploadSize and nginx let through
MOST_UNPACKED = 300 * 1024**2
MOST_ROWS = 3_000_000
MOST_COLUMNS = 4_000  # ten years with a day per column
MOST_CELLS = 40_000_000
MOST_WORKBOOK_CELLS = 12_000_000  # they are Python objects for a moment
SAMPLE_LINES = 200
DELIMITERS = ",;\t|"


@dataclass(frozen=True)
class Cells:
    """One sheet of a file: a frame of texts (``''``: empty) under unique headers."""

    name: str
    frame: pd.DataFrame
    sheets: tuple[str, ...] = ()  # of a workbook
    sheet: str = ""
    delimiter: str = ""
    encoding: str = ""
    typed: frozenset[str] = frozenset()  # columns of a workbook that hold true numbers: their point is a point
    first_row: int = 2  # the first data row as a person counts the file's rows
    sha256: str = ""
    notes: tuple[str, ...] = field(default=())

    @property
    def header(self) -> list[str]:
        return [str(name) for name in self.frame.columns]


def read(name: str, data: bytes, sheet: str = "") -> Cells:
    """The table in an uploaded file; ``sheet`` names that of a workbook, the first with a table when empty."""
    name = file_name(name)
    if not data:
        raise InvalidInput(f"{name} is empty.")
    if len(data) > MOST_BYTES:
        raise InvalidInput(
            f"{name} is larger than {MOST_BYTES // 1024**2} MB: load it by 'python -m trendcast load FOLDER', or send "
            "it in parts."
        )
    sha256 = hashlib.sha256(data + b"\x00" + sheet.encode()).hexdigest()
    if data.startswith(b"\x1f\x8b"):
        data = _gunzip(name, data)
    if data.startswith(b"PK\x03\x04"):
        return _workbook(name, data, sheet, sha256)
    if data.startswith(b"\xd0\xcf\x11\xe0"):
        raise InvalidInput(f"{name} is an old or a protected workbook: save it as .xlsx without a password, or as CSV.")
    if data.startswith((b"PAR1", b"%PDF", b"\x7fELF", b"MZ")) or data[:5] in (b"<?xml", b"<html", b"<!DOC"):
        raise InvalidInput(f"{name} is no table we can read here: save it as CSV or .xlsx.")
    return _text(name, data, sha256)


def file_name(name: str) -> str:
    """A file's name as sentences and the load's source may show it: no folders, no steering characters, short."""
    last = re.split(r"[\\/]", str(name))[-1]
    clean = "".join(c for c in unicodedata.normalize("NFC", last) if unicodedata.category(c)[0] != "C").strip()
    return (clean if len(clean) <= 80 else clean[:40] + "…" + clean[-39:]) or "The file"


def _gunzip(name: str, data: bytes) -> bytes:
    unpacker = zlib.decompressobj(wbits=31)
    try:
        plain = unpacker.decompress(data, MOST_UNPACKED + 1)
    except zlib.error as error:
        raise InvalidInput(f"{name} is not a whole gzip file: send it again.") from error
    if len(plain) > MOST_UNPACKED:
        raise InvalidInput(f"{name} unpacks to more than {MOST_UNPACKED // 1024**2} MB: send it in parts.")
    if not unpacker.eof:
        raise InvalidInput(f"{name} is not a whole gzip file: send it again.")
    return plain


# ---------------------------------------------------------------------------------------------------------- text


def _text(name: str, data: bytes, sha256: str) -> Cells:
    text, encoding = _decode(name, data)
    if not text.strip():
        raise InvalidInput(f"{name} is empty.")
    asked = re.match(r"sep=(.)\r?\n", text)  # how Excel is told the delimiter
    start = asked.end() if asked else 0
    delimiter = asked.group(1) if asked else _delimiter(text)
    skipped, header, labelled = _head(text[start:], delimiter, name)
    body = io.StringIO(text[start:])
    columns = range(len(header))
    try:
        frame = pd.read_csv(
            body,
            sep=delimiter,
            header=None,
            names=columns,
            index_col=False,
            usecols=columns,
            dtype=str,
            keep_default_na=False,
            na_filter=False,
            skip_blank_lines=False,
            skiprows=skipped + (1 if labelled else 0),
            nrows=MOST_ROWS + 1,
            on_bad_lines="skip",
            quotechar='"',
        )
    except pd.errors.EmptyDataError:
        frame = pd.DataFrame({column: pd.Series([], dtype=str) for column in columns})
    except (pd.errors.ParserError, ValueError) as error:
        raise InvalidInput(f"{name} cannot be taken apart into columns: is a quotation mark left open?") from error
    return _finished(
        name,
        frame,
        header,
        delimiter=delimiter,
        encoding=encoding,
        sha256=sha256,
        first_row=skipped + (2 if labelled else 1) + (1 if asked else 0),
    )


def _decode(name: str, data: bytes) -> tuple[str, str]:
    """The text and its encoding: by its mark, by the zero bytes of UTF-16, as UTF-8, else as Windows-1252."""
    head = data[:4096]
    if data.startswith(codecs.BOM_UTF8):
        encodings = ["utf-8-sig"]
    elif data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        encodings = ["utf-16"]
    elif len(head) >= 4 and head[1::2].count(0) > 0.7 * len(head[1::2]):
        encodings = ["utf-16-le"]
    elif len(head) >= 4 and head[0::2].count(0) > 0.7 * len(head[0::2]):
        encodings = ["utf-16-be"]
    else:
        encodings = ["utf-8", "cp1252"]
    if b"\x00" in head and not encodings[0].startswith("utf-16"):
        raise InvalidInput(f"{name} is not a text: save it as CSV or .xlsx.")
    for encoding in encodings:
        try:
            return data.decode(encoding).replace("\x00", ""), encoding
        except UnicodeDecodeError:
            continue
    raise InvalidInput(f"{name} is in an encoding we do not know: save it as UTF-8 (in Excel: 'CSV UTF-8').")


def _sample(text: str, delimiter: str) -> list[list[str]]:
    """The first lines, taken apart; the last line of a sample may be cut and is left out."""
    part = text[:500_000]
    lines = part.splitlines(keepends=True)
    if len(part) < len(text) and len(lines) > 1:
        lines = lines[:-1]
    try:
        csv.field_size_limit(1_000_000)
        return [row for row, _ in zip(csv.reader(lines, delimiter=delimiter), range(SAMPLE_LINES), strict=False)]
    except csv.Error:
        return []


def _delimiter(text: str) -> str:
    """The separator that cuts most of the first lines into the same number of columns, the more the better."""

    def score(mark: str) -> tuple[float, int]:
        widths = Counter(len(row) for row in _sample(text, mark) if any(cell.strip() for cell in row))
        if not widths:
            return 0.0, 0
        width, times = max(widths.items(), key=lambda item: (item[1] if item[0] > 1 else 0, item[0]))
        return (times / widths.total() if width > 1 else 0.0), width

    found = {mark: score(mark) for mark in DELIMITERS}
    best = max(share for share, _ in found.values())
    # Decimal commas cut every line evenly too; a real separator cuts at least as evenly and is listed by its width.
    even = [mark for mark in DELIMITERS if found[mark][0] >= best - 0.1 and found[mark][0] > 0]
    if not even:
        return ","
    if "," in even and len(even) > 1 and _commas_are_decimal(text, next(m for m in even if m != ",")):
        even.remove(",")
    return max(even, key=lambda mark: found[mark][1])


def _commas_are_decimal(text: str, mark: str) -> bool:
    """Whether, taken apart at ``mark``, the cells with a comma are numbers."""
    cells = [cell.strip() for row in _sample(text, mark)[1:] for cell in row if "," in cell]
    numbers = sum(bool(re.fullmatch(r"[^\w]*[\d.\s\u00a0']*\d,\d+[^\d,]*", cell)) for cell in cells)
    return bool(cells) and numbers > 0.7 * len(cells)


def _head(text: str, delimiter: str, name: str) -> tuple[int, list[str], bool]:
    """(Rows before the header, the header, whether it is one): titles above a table are passed over."""
    rows = _sample(text, delimiter)
    skipped, header, labelled = _find_header(rows, name)
    if skipped:  # rows may span lines: count lines as the parser will
        reader = csv.reader(io.StringIO(text), delimiter=delimiter)
        for _ in range(skipped):
            next(reader)
        skipped = reader.line_num
    return skipped, header, labelled


def _find_header(rows: Sequence[Sequence[str]], name: str) -> tuple[int, list[str], bool]:
    filled = [(number, row) for number, row in enumerate(rows) if any(cell.strip() for cell in row)]
    if not filled:
        raise InvalidInput(f"{name} has no rows.")
    widths = Counter(_width(row) for _, row in filled[1:] or filled)
    usual = max(widths, key=lambda width: (widths[width], width))
    if usual < 2:
        first = "".join(filled[0][1])[:60]
        raise InvalidInput(f"{name} has no separated columns: its first line is '{first}'.")
    # A row of titles has fewer filled cells than the table below it.
    dense = [found for found in filled if sum(bool(c.strip()) for c in found[1]) >= max(2, 0.6 * usual)]
    number, row = dense[0] if dense else filled[0]
    width = max(_width(row), usual)
    if width > MOST_COLUMNS:
        most = wording.fixed(MOST_COLUMNS)
        raise InvalidInput(f"{name} has {wording.fixed(width)} columns, and at most {most} can be read.")
    cells = [cell.strip() for cell in row] + [""] * (width - len(row))
    cells = cells[:width]
    labelled = not any(_data(cell) for cell in cells if cell) or sum(_is_day(cell) for cell in cells) > 2
    # A data row has numbers; so has a header with days or numbered stores across, but there nearly all of them.
    if not labelled:
        below = [r for n, r in filled if n > number][:20]
        texts = [c for c in cells if c and not _data(c)]
        labelled = bool(texts) and bool(below) and not any(_is_day(c) for c in cells) and len(set(cells)) == len(cells)
    if not labelled:
        return number, [f"Column {i + 1}" for i in range(width)], False
    return number, _unique(cells), True


def _width(row: Sequence[str]) -> int:
    """Cells up to the last filled one."""
    return max((i + 1 for i, cell in enumerate(row) if cell.strip()), default=0)


def _is_day(cell: str) -> bool:
    return bool(re.match(r"\s*(\d{4}[-/.]\d{1,2}[-/.]\d{1,2}|\d{1,2}[-/.]\d{1,2}[-/.]\d{2,4})\b", cell))


def _data(cell: str) -> bool:
    return _is_day(cell) or bool(re.fullmatch(r"[^\w]*-?[\d.,'\s\u00a0\u202f]*\d[^\w]*", cell))


def _unique(header: Sequence[str]) -> list[str]:
    """Headers without two alike: 'Sales', 'Sales (2)', 'Column 3' for one without a name."""
    seen: Counter[str] = Counter()
    names = []
    for i, cell in enumerate(header):
        clean = "".join(c if unicodedata.category(c)[0] != "C" else " " for c in unicodedata.normalize("NFC", cell))
        name = " ".join(clean.split())[:100] or f"Column {i + 1}"
        seen[name] += 1
        while seen[name] > 1 and f"{name} ({seen[name]})" in seen:
            seen[name] += 1
        unique = name if seen[name] == 1 else f"{name} ({seen[name]})"
        seen[unique] += unique != name
        names.append(unique)
    return names


# ------------------------------------------------------------------------------------------------------ workbooks


def _workbook(name: str, data: bytes, sheet: str, sha256: str) -> Cells:
    import python_calamine as calamine

    _check_package(name, data)
    try:
        book = calamine.CalamineWorkbook.from_filelike(io.BytesIO(data))
        sheets = tuple(
            meta.name
            for meta in book.sheets_metadata
            if meta.typ == calamine.SheetTypeEnum.WorkSheet and meta.visible == calamine.SheetVisibleEnum.Visible
        )
        if not sheets:
            raise InvalidInput(f"{name} has no sheet with a table.")
        if sheet and sheet not in sheets:
            raise InvalidInput(f"{name} has no sheet of that name; it has {', '.join(sheets[:5])}.")
        rows: list[list[Any]] = []
        for candidate in (sheet,) if sheet else sheets:
            rows = book.get_sheet_by_name(candidate).to_python(skip_empty_area=True)
            chosen = candidate
            if len(rows) > 1 and max(map(len, rows)) > 1:
                break
    except calamine.PasswordError as error:
        raise InvalidInput(f"{name} is protected by a password: save it without one.") from error
    except calamine.CalamineError as error:
        raise InvalidInput(f"{name} is not a workbook we can read: save it as .xlsx again, or as CSV.") from error
    if len(rows) < 2:
        raise InvalidInput(f"The sheet '{chosen}' of {name} holds no table.")
    words = [[_words(cell) for cell in row] for row in rows]
    number, header, labelled = _find_header(words[:SAMPLE_LINES], name)
    start = number + (1 if labelled else 0)
    width = len(header)
    frame = pd.DataFrame([row[:width] + [""] * (width - len(row)) for row in words[start:]], dtype=str)
    if frame.empty:
        frame = pd.DataFrame({i: pd.Series([], dtype=str) for i in range(width)})
    body = rows[start:]
    typed = frozenset(
        header[i]
        for i in range(width)
        if not any(isinstance(row[i], str) and row[i].strip() for row in body if i < len(row))
    )
    return _finished(name, frame, header, sheets=sheets, sheet=chosen, typed=typed, sha256=sha256, first_row=start + 1)


def _check_package(name: str, data: bytes) -> None:
    """Refuse what is no workbook, or would unpack to more than a machine bears, before a parser sees it."""
    try:
        package = zipfile.ZipFile(io.BytesIO(data))
        parts = package.infolist()
    except zipfile.BadZipFile as error:
        raise InvalidInput(f"{name} is not a whole workbook: save it again.") from error
    names = {part.filename for part in parts}
    if "xl/workbook.xml" not in names:
        if "xl/workbook.bin" in names or "content.xml" in names:
            raise InvalidInput(f"{name} is a workbook of another kind: save it as .xlsx, or as CSV.")
        raise InvalidInput(f"{name} is an archive: unpack it and send the table inside.")
    if sum(part.file_size for part in parts) > MOST_UNPACKED:
        raise InvalidInput(f"{name} unpacks to more than {MOST_UNPACKED // 1024**2} MB: send it in parts.")
    left = MOST_UNPACKED
    for part in parts:
        # A sheet is laid out as a full grid, so one far cell would ask for a billion: see where its cells lie.
        if part.filename.startswith("xl/worksheets/") and part.filename.endswith(".xml"):
            left -= _check_sheet(name, package, part, left)


_PLACE = re.compile(rb"""\br=["']([A-Za-z]{0,3})(\d{1,7})["']""")


def _check_sheet(name: str, package: zipfile.ZipFile, part: zipfile.ZipInfo, left: int) -> int:
    """Refuse a sheet whose cells span too much; returns its size unpacked."""
    rows = columns = size = 0
    rest = b""
    try:
        with package.open(part) as sheet:
            while block := sheet.read(4 << 20):
                size += len(block)
                if size > left:
                    raise InvalidInput(f"{name} unpacks to more than {MOST_UNPACKED // 1024**2} MB: send it in parts.")
                text = rest + block
                for letters, number in set(_PLACE.findall(text)):
                    rows = max(rows, int(number))
                    columns = max(columns, _column(letters))
                rest = text[-64:]
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise InvalidInput(f"{name} is not a whole workbook, or a protected one: save it again.") from error
    if columns > MOST_COLUMNS or rows * columns > MOST_WORKBOOK_CELLS:
        raise InvalidInput(
            f"A sheet of {name} spans {wording.fixed(rows)} rows and {wording.fixed(columns)} columns, more than can "
            "be read here: delete what is far from the table, or save the table as CSV."
        )
    return size


def _column(letters: bytes) -> int:
    number = 0
    for letter in letters.upper():
        number = 26 * number + letter - 64
    return number


def _words(cell: Any) -> str:
    """A workbook's cell as text: days as ISO, whole numbers without a point."""
    if isinstance(cell, str):
        return cell.strip()
    if isinstance(cell, bool):
        return "1" if cell else "0"
    if isinstance(cell, float):
        return str(int(cell)) if cell.is_integer() and abs(cell) < 1e15 else repr(cell)
    if isinstance(cell, dt.datetime):
        return cell.date().isoformat() if cell.time() == dt.time() else cell.isoformat(sep=" ", timespec="seconds")
    return "" if cell is None else str(cell)


# ------------------------------------------------------------------------------------------------------------ both


def _finished(name: str, frame: pd.DataFrame, header: list[str], **facts: Any) -> Cells:
    """Limits, blank rows and columns dropped, blanks trimmed."""
    if len(frame) > MOST_ROWS or frame.size > MOST_CELLS:
        raise InvalidInput(
            f"{name} has more than {wording.fixed(MOST_ROWS)} rows or {wording.fixed(MOST_CELLS)} cells: load it by "
            "'python -m trendcast load FOLDER', or send it in parts."
        )
    frame = frame.fillna("").astype(str)
    frame.columns = pd.Index(header)
    for position in range(frame.shape[1]):
        frame.isetitem(position, frame.iloc[:, position].str.strip())
    filled = frame.ne("")
    named = [not str(column).startswith("Column ") for column in frame.columns]
    frame = frame.loc[filled.any(axis=1), (filled.any(axis=0).to_numpy() | named)]
    if frame.empty:
        raise InvalidInput(f"{name} has a header but no rows.")
    if frame.shape[1] < 2:
        raise InvalidInput(f"{name} has one column only: a day and a number of units are needed.")
    return Cells(name, frame, **facts)

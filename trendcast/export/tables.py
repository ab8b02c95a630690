"""Tables as CSV and XLSX that are safe to open.

A spreadsheet runs a cell that starts with ``= + - @`` as a formula, quoting does not stop it (OWASP ASVS 5.0, 1.2.10;
RFC 4180). Text cells with such a first character, a tab, CR, LF or NUL get a leading apostrophe; numbers stay numbers.
"""

from __future__ import annotations

import datetime as dt
import io
import math
from collections.abc import Mapping
from typing import Any

import pandas as pd

DANGEROUS = ("=", "+", "-", "@", "\t", "\r", "\n", "\x00")
MAX_TEXT = 32_767  # characters a workbook cell holds


def safe_text(value: str) -> str:
    """The text as a cell that no spreadsheet runs; NUL, which no file of ours may hold, is dropped."""
    guarded = "'" + value if value.startswith(DANGEROUS) else value
    return guarded.replace("\x00", "")


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _safe_frame(frame: pd.DataFrame) -> pd.DataFrame:
    safe = frame.copy()
    safe.columns = [safe_text(str(name)) for name in frame.columns]
    for position in range(safe.shape[1]):
        column = safe.iloc[:, position]
        if pd.api.types.is_numeric_dtype(column) or pd.api.types.is_datetime64_any_dtype(column):
            continue
        safe.isetitem(position, column.map(lambda value: safe_text(value) if _is_text(value) else value))
    return safe


def csv(frame: pd.DataFrame) -> bytes:
    """The frame as UTF-8 CSV with a byte order mark (Excel reads the accents then), dates as ISO days.

    Columns whose header ends with % hold shares; a CSV has no number format, so they are written in percent.
    """
    safe = _safe_frame(frame)
    for position in range(safe.shape[1]):
        column = safe.iloc[:, position]
        if pd.api.types.is_datetime64_any_dtype(column):
            safe.isetitem(position, column.dt.strftime("%Y-%m-%d"))
        elif str(safe.columns[position]).endswith("%") and pd.api.types.is_numeric_dtype(column):
            safe.isetitem(position, (column * 100).round(10))
    return ("\ufeff" + safe.to_csv(index=False, lineterminator="\r\n")).encode("utf-8")


def xlsx(sheets: Mapping[str, pd.DataFrame], about: Mapping[str, str] | None = None) -> bytes:
    """A workbook: one sheet per frame, first row and column frozen, and a sheet that says what it shows.

    ``about``: label -> text, the last sheet; a number in a frame is a number in the workbook, NaN an empty cell.
    """
    import xlsxwriter

    buffer = io.BytesIO()
    book = xlsxwriter.Workbook(
        buffer, {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False}
    )
    header = book.add_format({"bold": True, "bottom": 1, "text_wrap": True, "valign": "top"})
    date = book.add_format({"num_format": "yyyy-mm-dd", "align": "left"})
    number = book.add_format({"num_format": "#,##0.##"})
    share = book.add_format({"num_format": "0.0%"})
    for name, frame in sheets.items():
        sheet = book.add_worksheet(_sheet_name(name))
        sheet.freeze_panes(1, 1)
        for column, title in enumerate(frame.columns):
            sheet.write_string(0, column, safe_text(str(title)), header)
            values = frame.iloc[:, column]
            is_share = str(title).endswith("%")
            width = max([len(str(title)) // 2, 10, *[len(v) for v in values if _is_text(v)]])
            sheet.set_column(column, column, min(width + 2, 48))
            for row, value in enumerate(values.tolist(), start=1):
                _write(sheet, row, column, value, date, share if is_share else number)
    if about:
        sheet = book.add_worksheet("About")
        sheet.set_column(0, 0, 24)
        sheet.set_column(1, 1, 90)
        for row, (label, words) in enumerate(about.items()):
            sheet.write_string(row, 0, safe_text(label), header)
            sheet.write_string(row, 1, safe_text(str(words))[:MAX_TEXT])
    book.close()
    return buffer.getvalue()


def _write(sheet: Any, row: int, column: int, value: Any, date: Any, number: Any) -> None:
    if value is None or value is pd.NaT or (isinstance(value, float) and not math.isfinite(value)):
        return
    if isinstance(value, bool):
        sheet.write_boolean(row, column, value)
    elif isinstance(value, (int, float)):
        sheet.write_number(row, column, value, number)
    elif isinstance(value, (dt.datetime, dt.date)):
        day = value if isinstance(value, dt.datetime) else dt.datetime.combine(value, dt.time())
        sheet.write_datetime(row, column, day.replace(tzinfo=None), date)
    else:
        sheet.write_string(row, column, safe_text(str(value))[:MAX_TEXT])


def _sheet_name(name: str) -> str:
    return "".join(" " if c in "[]:*?/\\'" else c for c in name)[:31] or "Sheet"

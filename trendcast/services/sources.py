"""What rows come from: CSV files as people have them, parquet files, frames; each as a stream of chunks.

Every source can be read again from the start, keeps the raw form of each row at hand, and says of broken rows what is
broken. One row is one line: a CSV value with a line break inside is refused, not guessed.
"""

from __future__ import annotations

import codecs
import csv
import gzip
import hashlib
import io
import re
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Protocol

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from trendcast.errors import InvalidInput
from trendcast.services.tables import Table, match_header, shown

CHUNK_BYTES = 16 << 20  # about 250,000 rows of the sales table
CHUNK_ROWS = 250_000


@dataclass(frozen=True)
class Chunk:
    """Some rows of a source, in its order."""

    rows: pa.Table  # columns named as in the contract
    numbers: np.ndarray  # int64, row numbers as a person counts: lines of a CSV file (header is 1), else rows from 1
    raw: Callable[[np.ndarray], list[bytes]]  # the rows at these places of the chunk, as they came
    broken: list[tuple[int, bytes, str]]  # row number, raw and reason of what could not be taken apart
    position: int  # how far the source is read, in the unit of its size


class Source(Protocol):
    """A stream of chunks that can be started again."""

    name: str  # a file's name, or where else the rows come from
    sha256: str | None
    size: int  # in the unit of Chunk.position
    columns: tuple[str, ...]  # columns of the contract the source has
    ignored: tuple[str, ...]  # headers that mean nothing to us
    decimal_comma: bool

    @property
    def has_rows(self) -> bool: ...

    def chunks(self) -> Iterator[Chunk]: ...


def open_file(path: Path, table: Table) -> Source:
    """The source for a ``.csv``, ``.csv.gz`` or ``.parquet`` file; raises InvalidInput when it cannot be one."""
    if path.suffix == ".parquet":
        return ParquetSource(path, table)
    return CsvSource(path, table)


# ---------------------------------------------------------------------------------------------------------- CSV


@dataclass
class CsvSource:
    """A CSV file in any of the usual shapes: encodings, separators and decimal marks are found out from its bytes.

    The first pass (hash, encoding, decimal mark) happens when it is opened, the second while its chunks are read.
    """

    path: Path
    table: Table
    name: str = ""
    sha256: str | None = None
    size: int = 0
    columns: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()
    decimal_comma: bool = False
    encoding: str = "utf-8"
    delimiter: str = ","
    _header: list[str] = field(default_factory=list)
    _places: dict[str, int] = field(default_factory=dict)
    _has_rows: bool = False

    def __post_init__(self) -> None:
        self.name = self.name or self.path.name
        self._find_encoding()
        blocks = self._blocks()
        first = next(blocks, b"")
        head, _, rest = first.partition(b"\n")
        if not first.strip():
            raise InvalidInput(f"{self.name} is empty.")
        line = head.decode("utf-8", "replace").rstrip("\r")
        self.delimiter = max(",;\t|", key=lambda mark: (line.count(mark), mark == ","))
        self._header = next(csv.reader([line], delimiter=self.delimiter), [])
        if len(self._header) == 1 and len(self.table.required) > 1:
            raise InvalidInput(
                f"{self.name} has no separated columns: its first line is {shown(line)}. "
                "Expected a header such as " + ",".join(self.table.required) + "."
            )
        found = match_header(self.table, self._header, self.name)
        self.columns = tuple(found)
        self._places = {column: self._header.index(header) for column, header in found.items()}
        self.ignored = tuple(name.strip() for name in self._header if name not in found.values() and name.strip())
        self._has_rows = bool(rest.strip()) or any(block.strip() for block in blocks)
        if self.delimiter in ";\t|":
            self._find_decimal_mark()

    @property
    def has_rows(self) -> bool:
        """False for a file that is a header and nothing else."""
        return self._has_rows

    def _open(self) -> IO[bytes]:
        return gzip.open(self.path, "rb") if self.path.suffix == ".gz" else open(self.path, "rb")  # type: ignore[return-value]

    def _raw_blocks(self) -> Iterator[bytes]:
        try:
            with self._open() as file:
                while block := file.read(CHUNK_BYTES):
                    yield block
        except (gzip.BadGzipFile, EOFError, zlib.error) as error:
            raise InvalidInput(f"{self.name} is not a whole gzip file: {error}.") from error
        except OSError as error:
            raise InvalidInput(f"{self.name} cannot be read: {error.strerror or error}.") from error

    def _find_encoding(self) -> None:
        """UTF-8 (with or without mark), UTF-16, else Windows-1252; a UTF-8 file with a few broken bytes stays UTF-8."""
        digest = hashlib.sha256()
        start = next(self._raw_blocks(), b"")[:4096]
        if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            self.encoding = "utf-16"
        elif len(start) >= 4 and start[1::2].count(0) > 0.7 * len(start[1::2]):
            self.encoding = "utf-16-le"
        elif len(start) >= 4 and start[0::2].count(0) > 0.7 * len(start[0::2]):
            self.encoding = "utf-16-be"
        good = broken = other = 0
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        for block in self._raw_blocks():
            digest.update(block)
            self.size += len(block)
            if not self.encoding.startswith("utf-16") and not block.isascii():
                bytes_ = np.frombuffer(block, dtype=np.uint8)
                text = decoder.decode(block)
                lost = text.count("\ufffd")
                broken += lost
                good += int((bytes_ >= 0xC2).sum()) - lost
                other += sum(block.count(mark) for mark in (b"\x81", b"\x8d", b"\x8f", b"\x90", b"\x9d"))
        self.sha256 = digest.hexdigest()
        if self.encoding.startswith("utf-16"):
            return
        if broken > max(0, good):
            if other:
                raise InvalidInput(
                    f"{self.name} is in an encoding we do not know: save it as UTF-8 (in Excel: 'CSV UTF-8')."
                )
            self.encoding = "cp1252"

    def _find_decimal_mark(self) -> None:
        mark = re.escape(self.delimiter.encode())
        pattern = re.compile(rb"(?:^|" + mark + rb')"?[+-]?[\d.]*\d,\d+"?\s*(?:' + mark + rb"|$)", re.MULTILINE)
        self.decimal_comma = any(pattern.search(block) for block in self._blocks())

    def _blocks(self) -> Iterator[bytes]:
        """The file as UTF-8 without mark, in blocks that end at line ends."""
        rest = b""
        first = True
        carriage = False
        decoder = None if self.encoding == "utf-8" else codecs.getincrementaldecoder(self.encoding)()
        for block in self._raw_blocks():
            block = self._as_utf8(decoder, block)
            if first:
                first = False
                block = block.removeprefix(codecs.BOM_UTF8)
                carriage = b"\r" in block and b"\n" not in block
            if carriage:
                block = block.replace(b"\r", b"\n")
            block = rest + block
            cut = block.rfind(b"\n") + 1
            if cut == 0 and len(block) > 4 * CHUNK_BYTES:
                raise InvalidInput(f"{self.name} has a line of more than {4 * CHUNK_BYTES >> 20} MB: is it a CSV file?")
            rest = block[cut:]
            if cut:
                yield block[:cut]
        rest += self._as_utf8(decoder, b"", final=True)
        if rest:
            yield rest + b"\n"

    def _as_utf8(self, decoder: codecs.IncrementalDecoder | None, block: bytes, *, final: bool = False) -> bytes:
        if decoder is None:
            return block
        try:
            return decoder.decode(block, final).encode("utf-8", "replace")
        except UnicodeDecodeError as error:
            raise InvalidInput(f"{self.name} is not readable as {self.encoding.upper()}: save it as UTF-8.") from error

    def chunks(self) -> Iterator[Chunk]:
        line = 1
        position = 0
        for block in self._blocks():
            position += len(block)
            if line == 1:
                block = block[block.index(b"\n") + 1 :]
                line = 2
            lines = block.count(b"\n")
            if lines:
                yield self._chunk(block, line, position)
            line += lines

    def _chunk(self, block: bytes, first_line: int, position: int) -> Chunk:
        data = np.frombuffer(block, dtype=np.uint8)
        ends = np.flatnonzero(data == 10)
        starts = np.concatenate([[0], ends[:-1] + 1])
        keep = _not_blank(data, starts, ends, self.delimiter)
        broken = np.zeros(len(ends), dtype=object)
        if not block.isascii():
            for place in _lines_not_utf8(block, ends):
                broken[place] = "the line is not valid UTF-8"
        if b'"' in block:
            odd = np.add.reduceat((data == 34).astype(np.int64), starts) % 2 == 1
            broken[odd] = "a quotation mark is not closed"
        bad = broken != 0
        keep &= ~bad
        text = block if keep.all() else data[np.repeat(keep, ends - starts + 1)].tobytes()
        places = np.flatnonzero(keep)
        rows, refused = self._parse(text, int(keep.sum()))
        for place, reason in refused:
            broken[places[place]] = reason
        if refused:
            places = np.delete(places, [place for place, _ in refused])

        def raw_line(place: int) -> bytes:
            return block[starts[place] : ends[place]].rstrip(b"\r")

        def raw(chosen: np.ndarray) -> list[bytes]:
            return [raw_line(int(place)) for place in places[chosen]]

        unusable = np.flatnonzero(broken != 0).tolist()
        refusals = [(first_line + place, raw_line(place), broken[place]) for place in unusable]
        return Chunk(rows, places + first_line, raw, refusals, position)

    def _parse(self, text: bytes, lines: int) -> tuple[pa.Table, list[tuple[int, str]]]:
        """The lines as columns of text, and the places of lines that have too few or too many columns."""
        refused: list[tuple[int, str]] = []
        width = len(self._header)

        def note(row: pa_csv.InvalidRow) -> str:
            refused.append((row.number - 1, f"the line has {row.actual_columns} columns, the header has {width}"))
            return "skip"

        if not text:
            return self._named(pa.table([pa.array([], pa.string())] * width, names=_positions(width))), []
        try:
            parsed = pa_csv.read_csv(
                pa.BufferReader(text),
                read_options=pa_csv.ReadOptions(
                    column_names=_positions(width), use_threads=False, block_size=len(text) + 1
                ),
                parse_options=pa_csv.ParseOptions(
                    delimiter=self.delimiter, invalid_row_handler=note, ignore_empty_lines=False
                ),
                convert_options=pa_csv.ConvertOptions(
                    column_types=dict.fromkeys(_positions(width), pa.string()), strings_can_be_null=False
                ),
            )
        except pa.ArrowInvalid:
            return self._parse_by_line(text)
        if parsed.num_rows + len(refused) != lines:
            # A quotation mark in a strange place made the parser read over a line's end.
            return self._parse_by_line(text)
        return self._named(parsed), refused

    def _parse_by_line(self, text: bytes) -> tuple[pa.Table, list[tuple[int, str]]]:
        """The slow way for a block with strange quotation marks: one line at a time, so that none swallows another."""
        width = len(self._header)
        refused: list[tuple[int, str]] = []
        rows: list[list[str]] = []
        for place, line in enumerate(text.split(b"\n")[:-1]):
            decoded = line.decode("utf-8")
            if "\r" in decoded.rstrip("\r"):
                refused.append((place, "the line has a carriage return inside"))
                continue
            try:
                cells = next(csv.reader([decoded.rstrip("\r")], delimiter=self.delimiter, strict=True), [])
            except csv.Error:
                refused.append((place, "a quotation mark is not closed"))
                continue
            if len(cells) != width:
                refused.append((place, f"the line has {len(cells)} columns, the header has {width}"))
            else:
                rows.append(cells)
        columns = [pa.array([row[index] for row in rows], pa.string()) for index in range(width)]
        return self._named(pa.table(columns, names=_positions(width))), refused

    def _named(self, parsed: pa.Table) -> pa.Table:
        columns = {name: parsed.column(place) for name, place in self._places.items()}
        if self.table.attributes is not None and self.ignored:
            columns[self.table.attributes] = _attributes(
                {header: parsed.column(self._header.index(header)) for header in self._header if header in self.ignored}
            )
        return pa.table(columns) if columns else parsed


def _positions(width: int) -> list[str]:
    return [str(index) for index in range(width)]


def _not_blank(data: np.ndarray, starts: np.ndarray, ends: np.ndarray, delimiter: str) -> np.ndarray:
    """The mask of lines with anything on them but separators and blanks (spreadsheets leave such lines at the end)."""
    lengths = ends - starts
    short = lengths < 40
    if not short.any() and not (lengths == 0).any():
        return np.ones(len(ends), dtype=bool)
    something = (data != 10) & (data != 13) & (data != 32) & (data != ord(delimiter))
    return np.add.reduceat(something.astype(np.int64), starts) > 0


def _lines_not_utf8(block: bytes, ends: np.ndarray) -> list[int]:
    """The places of lines with bytes that are no UTF-8."""
    places: set[int] = set()
    position = 0
    view = memoryview(block)
    while position < len(block):
        try:
            codecs.utf_8_decode(view[position:], "strict", True)
            break
        except UnicodeDecodeError as error:
            place = int(np.searchsorted(ends, position + error.start))
            places.add(place)
            position = int(ends[place]) + 1
    return sorted(places)


def _attributes(columns: dict[str, pa.ChunkedArray]) -> pa.Array:
    """Free columns of a row as the text of one json object; few rows, so plainly."""
    import json

    cells = {name.strip(): column.to_pylist() for name, column in columns.items()}
    rows = len(next(iter(cells.values()), []))
    texts = []
    for row in range(rows):
        given = {name: values[row] for name, values in cells.items() if values[row] not in (None, "")}
        filled = {name: str(value).replace("\x00", "") for name, value in given.items()}
        texts.append(json.dumps(filled, ensure_ascii=False))
    return pa.array(texts, pa.string())


# ------------------------------------------------------------------------------------------- parquet and frames


def _raw_rows(rows: pa.Table) -> Callable[[np.ndarray], list[bytes]]:
    """The raw form of rows that never were text: a line of CSV of their values."""

    def raw(chosen: np.ndarray) -> list[bytes]:
        lines = []
        for row in rows.take(pa.array(chosen)).to_pylist():
            buffer = io.StringIO()
            csv.writer(buffer, lineterminator="").writerow(["" if value is None else value for value in row.values()])
            lines.append(buffer.getvalue().encode("utf-8", "replace"))
        return lines

    return raw


class ParquetSource:
    """A parquet file, read in batches of rows."""

    def __init__(self, path: Path, table: Table) -> None:
        self.path = path
        self.name = path.name
        self.table = table
        self.decimal_comma = False
        digest = hashlib.sha256()
        try:
            with open(path, "rb") as file:
                while block := file.read(CHUNK_BYTES):
                    digest.update(block)
            with pq.ParquetFile(path) as opened:
                self.size = opened.metadata.num_rows
                header = list(opened.schema_arrow.names)
        except OSError as error:
            raise InvalidInput(f"{self.name} cannot be read: {error.strerror or error}.") from error
        except pa.ArrowException as error:
            raise InvalidInput(f"{self.name} is not a parquet file.") from error
        self.sha256: str | None = digest.hexdigest()
        self._found = match_header(table, header, self.name)
        self.columns = tuple(self._found)
        self.ignored = tuple(name for name in header if name not in self._found.values())

    @property
    def has_rows(self) -> bool:
        return self.size > 0

    def chunks(self) -> Iterator[Chunk]:
        position = 0
        free = list(self.ignored) if self.table.attributes is not None else []
        with pq.ParquetFile(self.path) as opened:
            batches = opened.iter_batches(batch_size=CHUNK_ROWS, columns=[*self._found.values(), *free])
            while (batch := self._next(batches)) is not None:
                part = pa.Table.from_batches([batch])
                rows = part.select(list(self._found.values())).rename_columns(list(self._found))
                if free and self.table.attributes is not None:
                    texts = _attributes({name: part.column(name) for name in free})
                    rows = rows.append_column(self.table.attributes, texts)
                numbers = np.arange(position + 1, position + rows.num_rows + 1)
                position += rows.num_rows
                yield Chunk(rows, numbers, _raw_rows(rows), [], position)

    def _next(self, batches: Iterator[pa.RecordBatch]) -> pa.RecordBatch | None:
        try:
            return next(batches, None)
        except (OSError, pa.ArrowException) as error:
            raise InvalidInput(f"{self.name} is damaged: {error}.") from error


class FrameSource:
    """A frame in memory; NaN is a missing value, as pandas has it."""

    def __init__(self, name: str, frame: pd.DataFrame, table: Table) -> None:
        self.name = name
        self.table = table
        self.sha256: str | None = None
        self.size = len(frame)
        self.decimal_comma = False
        self._found = match_header(table, [str(column) for column in frame.columns], name)
        self._frame = frame
        self.columns = tuple(self._found)
        self.ignored = tuple(str(name) for name in frame.columns if name not in self._found.values())

    @property
    def has_rows(self) -> bool:
        return self.size > 0

    def chunks(self) -> Iterator[Chunk]:
        for start in range(0, self.size, CHUNK_ROWS):
            part = self._frame.iloc[start : start + CHUNK_ROWS]
            rows = pa.table({column: _from_pandas(part[header], column) for column, header in self._found.items()})
            if self.table.attributes is not None and self.ignored:
                free = {name: pa.chunked_array([pa.Array.from_pandas(part[name])]) for name in self.ignored}
                rows = rows.append_column(self.table.attributes, _attributes(free))
            numbers = np.arange(start + 1, start + len(part) + 1)
            yield Chunk(rows, numbers, _raw_rows(rows), [], start + len(part))


def _from_pandas(column: pd.Series, name: str) -> pa.Array:
    try:
        converted = pa.Array.from_pandas(column)
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        # Mixed types in one column: as text each value can be judged by itself.
        converted = pa.array([None if value is None or value != value else str(value) for value in column], pa.string())
    return converted.combine_chunks() if isinstance(converted, pa.ChunkedArray) else converted


def file_for(folder: Path, table: str) -> Path | None:
    """The file of a table in a folder; raises InvalidInput when there are two."""
    present = [folder / f"{table}{ending}" for ending in (".csv", ".csv.gz", ".parquet")]
    present = [path for path in present if path.is_file()]
    if len(present) > 1:
        names = " and ".join(path.name for path in present)
        raise InvalidInput(f"{folder} has {names}: keep one of them.")
    return present[0] if present else None


def tables_in(folder: Path, tables: Sequence[str]) -> dict[str, Path]:
    """The files of a folder by table; raises InvalidInput when the folder is none or has none."""
    if not folder.exists():
        raise InvalidInput(f"The folder {folder} does not exist.")
    if not folder.is_dir():
        raise InvalidInput(f"{folder} is a file: name the folder it lies in.")
    found = {table: path for table in tables if (path := file_for(folder, table)) is not None}
    if not found:
        others = sorted(path.name for path in folder.iterdir() if path.is_file())[:5]
        has = f" It has {', '.join(others)}." if others else " It is empty."
        raise InvalidInput(
            f"{folder} has no file to load: expected sales_daily.csv, .csv.gz or .parquet "
            f"(and perhaps {', '.join(name for name in tables if name != 'sales_daily')}).{has}"
        )
    return found

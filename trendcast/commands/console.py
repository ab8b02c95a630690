"""What commands share: progress on a terminal, plain lines elsewhere, one JSON document on demand."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import date, datetime

from trendcast.services.progress import Progress, silent


@contextmanager
def progress_bar(args: argparse.Namespace) -> Iterator[Progress]:
    """``on_progress(stage, done, total, **facts)``: a bar per stage on a terminal, a line per stage elsewhere, nothing
    with --json."""
    if args.json:
        yield silent
        return
    if not sys.stderr.isatty():
        seen: set[str] = set()

        def line(stage: str, done: int, total: int, **facts: object) -> None:
            if stage not in seen:
                seen.add(stage)
                print(f"{stage} ...", file=sys.stderr, flush=True)

        yield line
        return
    from tqdm import tqdm

    bars: dict[str, tqdm] = {}

    def bar(stage: str, done: int, total: int, **facts: object) -> None:
        if stage not in bars:
            for open_bar in bars.values():
                open_bar.close()
            bars[stage] = tqdm(total=total, desc=stage, leave=True, file=sys.stderr)
        bars[stage].total = total
        bars[stage].update(done - bars[stage].n)

    try:
        yield bar
    finally:
        for open_bar in bars.values():
            open_bar.close()


def _plain(value: object) -> object:
    if isinstance(value, date | datetime):
        return value.isoformat()
    if hasattr(value, "tolist"):
        return value.tolist()
    return str(value)


def emit(args: argparse.Namespace, document: Mapping[str, object], text: str) -> None:
    """Print ``document`` with --json, else ``text``."""
    print(json.dumps(document, default=_plain, allow_nan=False) if args.json else text)

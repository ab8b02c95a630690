"""Readers see one whole run at a time, whatever becomes of the refreshes beside them."""

from __future__ import annotations

import random
import threading
from pathlib import Path

import pytest

from tests.reliability import mortal, shop
from trendcast.services.load import load_directory
from trendcast.store import jobs
from trendcast.store.engine import Database


def refreshes_beside_readers(
    db: Database, folder: Path, *, readers: int, reads: int, deaths: int, seed: int
) -> tuple[int, int]:
    """Until there were so many reads and deaths: correct the data, refresh, often killed on the way, beside so many
    readers. Returns reads and different runs seen."""
    chance = random.Random(seed)
    rows = {key: units for number in range(shop.DAYS) for key, units in shop.day_of(number).items()}
    load_directory(db, shop.write(folder / "first", rows))
    claim = shop.claimed(db)
    whole = mortal.seconds(mortal.refresh, db.url, claim.token)
    jobs.finish(db, claim.id, claim.token, {})

    stop, lock = threading.Event(), threading.Lock()
    checksums: dict[int, int] = {}
    wrong: list[str] = []
    count = 0

    def look() -> None:
        nonlocal count
        while not stop.is_set():
            try:
                run, checksum = shop.page(db)
            except AssertionError as error:
                wrong.append(str(error))
                return
            with lock:
                count += 1
                if checksums.setdefault(run, checksum) != checksum:
                    wrong.append(f"run {run} read in two ways")

    threads = [threading.Thread(target=look) for _ in range(readers)]
    for reader in threads:
        reader.start()
    died = turn = 0
    last = max(rows)
    try:
        while (count < reads or died < deaths) and not wrong:
            turn += 1
            rows[last] += 1.0  # each run has other figures: rows of two of them would show
            load_directory(db, shop.write(folder / f"{turn}", {last: rows[last]}))
            claim = shop.claimed(db)
            killed_after = chance.uniform(0, whole) if died < deaths and turn % 2 else None
            if mortal.perform(mortal.refresh, db.url, claim.token, killed_after=killed_after):
                jobs.finish(db, claim.id, claim.token, {})
            else:
                died += 1
                shop.nothing_half_done_is_visible(db, at_work=[claim.token])
                jobs.fail(db, claim.id, claim.token, "It was killed.", again=False)
    finally:
        stop.set()
        for reader in threads:
            reader.join(60)
    assert wrong == []
    shop.refreshed(db)
    shop.nothing_half_done_is_visible(db)
    return count, len(checksums)


def test_readers_see_one_whole_run_while_refreshes_follow_each_other_and_die(db: Database, tmp_path: Path) -> None:
    reads, runs = refreshes_beside_readers(db, tmp_path, readers=2, reads=30, deaths=2, seed=7)
    assert reads >= 30
    assert runs >= 2


@pytest.mark.nightly(minutes=40)
def test_ten_thousand_reads_beside_twenty_deaths(db: Database, tmp_path: Path) -> None:
    reads, runs = refreshes_beside_readers(db, tmp_path, readers=3, reads=10_000, deaths=20, seed=8)
    print(f"{reads} reads of {runs} runs, none mixed")
    assert runs > 10

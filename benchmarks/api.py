"""How fast REST answers at 500 categories x 5 regions: ``python benchmarks/api.py [--categories 500] [--regions 5]``.

Last come ``--rate`` mixed reads a second (reliability.md, protocol 12), sent at their times whether or not the ones
before have been answered: an answer that waits behind others counts from when it was due.

Loads a synthetic retailer into an embedded database of its own, publishes a run (with cheap members only: what a run
says does not change how fast it is read), starts the service alone, and asks it from two connections. Each answer
of the first round is one nobody has asked for before.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import shutil
import sys
import tempfile
import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import psutil

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.installation import start_api
from trendcast.services.progress import silent

MEMBERS = ("structural", "naive7", "naive364")


def publish(home: Path, categories: int, regions: int, years: int) -> None:
    from trendcast import settings
    from trendcast.demo import generate
    from trendcast.forecasting.forecaster import Forecaster
    from trendcast.forecasting.members import MEMBERS as ALL
    from trendcast.services import jobs as job_service
    from trendcast.services.detect import detect
    from trendcast.services.load import DEMO, load_frames
    from trendcast.services.refresh import refresh
    from trendcast.store import jobs
    from trendcast.store.engine import Database

    db = Database.open(settings.load({"TRENDCAST_HOME": str(home)}), role="worker")
    try:
        started = time.perf_counter()
        load_frames(db, generate(categories, regions, 0, years), source=DEMO)
        print(f"loaded in {time.perf_counter() - started:.0f} s", flush=True)
        Forecaster.__init__.__kwdefaults__["members"] = tuple(m for m in ALL if m.name in MEMBERS)
        claim = jobs.claim(db, slot_id=job_service.enqueue(db, "refresh"))
        assert claim is not None
        started = time.perf_counter()
        refresh(db, lambda: datetime.now(UTC), silent, claim.token)
        print(f"published in {time.perf_counter() - started:.0f} s", flush=True)
        found = detect(db, lambda: datetime.now(UTC), silent, None)
        print(f"{found['incidents']} incidents", flush=True)
    finally:
        db.close()


def ask(url: str, requests: list[tuple[str, str, Any]], connections: int) -> np.ndarray:
    """Milliseconds of each request, asked over so many connections at once."""
    waiting = list(reversed(requests))
    taken: list[float] = []
    lock = threading.Lock()

    def work() -> None:
        with httpx.Client(base_url=url, timeout=30) as client:
            while True:
                with lock:
                    if not waiting:
                        return
                    method, path, body = waiting.pop()
                started = time.perf_counter()
                response = client.request(method, path, json=body)
                elapsed = time.perf_counter() - started
                assert response.status_code == 200, response.text
                with lock:
                    taken.append(1000 * elapsed)

    threads = [threading.Thread(target=work) for _ in range(connections)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return np.array(taken)


# What programs and pages ask for, and how often of a hundred.
MIX = {
    "POST /forecast": 25, "GET /forecasts": 25, "GET /series": 10, "GET /recommendations": 10, "GET /anomalies": 10,
    "GET /incidents": 10, "GET /metrics/dashboard": 5, "GET /health": 5,
}  # fmt: skip


def mixed(names: list[dict[str, Any]], count: int) -> list[tuple[str, str, Any]]:
    """So many requests of the mix, each about a series at random."""
    rng = random.Random(2)
    requests = []
    for kind in rng.choices(list(MIX), list(MIX.values()), k=count):
        method, path = kind.split()
        name = rng.choice(names)
        if kind == "GET /forecasts":
            path = str(httpx.URL(path, params={"category": name["product_category"]}))
        elif path in ("/series", "/recommendations", "/anomalies", "/incidents"):
            path += f"?limit=50&offset={50 * rng.randrange(3)}"
        requests.append((method, path, name if method == "POST" else None))
    return requests


async def sent_at(url: str, requests: list[tuple[str, str, Any]], rate: float) -> tuple[np.ndarray, dict[int, int]]:
    """(milliseconds from when each was due to its answer, how many answers had which status)."""
    statuses: dict[int, int] = {}
    taken = []
    limits = httpx.Limits(max_connections=200, max_keepalive_connections=200)
    async with httpx.AsyncClient(base_url=url, timeout=30, limits=limits) as client:
        start = time.perf_counter() + 0.5

        async def one(number: int, method: str, path: str, body: Any) -> None:
            due = start + number / rate
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            try:
                status = (await client.request(method, path, json=body)).status_code
            except httpx.TransportError:
                status = 599
            taken.append(1000 * (time.perf_counter() - due))
            statuses[status] = statuses.get(status, 0) + 1

        await asyncio.gather(*(one(number, *request) for number, request in enumerate(requests)))
    return np.array(taken), statuses


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--categories", type=int, default=500)
    parser.add_argument("--regions", type=int, default=5)
    parser.add_argument("--years", type=int, default=3)
    parser.add_argument("--requests", type=int, default=600)
    parser.add_argument("--connections", type=int, default=2)
    parser.add_argument("--rate", type=float, default=100, help="mixed reads a second")
    parser.add_argument("--seconds", type=float, default=60, help="how long")
    args = parser.parse_args()
    home = Path(tempfile.mkdtemp(prefix="tc-bench-"))
    home.chmod(0o755)  # under root PostgreSQL runs as another user, who must be able to pass
    try:
        publish(home, args.categories, args.regions, args.years)
        live = start_api(home, DATABASE_URL="").ready().healthy()
        url = live.url
        try:
            series = []
            for level in ("category", "category_region"):
                for offset in range(0, args.categories * args.regions, 1000):
                    page = httpx.get(f"{url}/series", params={"level": level, "limit": 1000, "offset": offset}).json()
                    series += page["series"]
            chosen = random.Random(1).sample(series, min(args.requests, len(series)))
            names = [{"product_category": s["product_category"], "region": s["region"] or None} for s in chosen]
            kinds = {
                "POST /forecast, never asked before": [("POST", "/forecast", name) for name in names],
                "POST /forecast, asked before": [("POST", "/forecast", name) for name in names],
                "GET /forecast, 91 days of one series": [
                    ("GET", str(httpx.URL("/forecast", params={"category": n["product_category"]})), None)
                    for n in names
                ],
                "GET /forecast, a page of 1,000 rows": [
                    ("GET", f"/forecast?level=category_region&limit=1000&offset={1000 * (i % 200)}", None)
                    for i in range(100)
                ],
                "GET /series, a page of 500": [("GET", "/series?level=category_region&limit=500", None)] * 100,
                "GET /metrics/dashboard": [("GET", "/metrics/dashboard", None)] * 100,
                "GET /health": [("GET", "/health", None)] * 200,
            }
            figures = {}
            for name, requests in kinds.items():
                taken = ask(url, requests, args.connections)
                figures[name] = {
                    "requests": len(taken),
                    **{f"p{q}": round(float(np.percentile(taken, q)), 1) for q in (50, 95, 99)},
                }
                print(f"{name}: {json.dumps(figures[name])} ms", flush=True)
            asyncio.run(sent_at(url, mixed(names, 100), args.rate))  # the first of each kind fill the memories
            taken, statuses = asyncio.run(sent_at(url, mixed(names, int(args.rate * args.seconds)), args.rate))
            shown = {f"p{q}": round(float(np.percentile(taken, q)), 1) for q in (50, 95, 99)}
            server = psutil.Process(live.process.pid)
            memory = round(server.memory_info().rss / 2**20)
            print(
                f"{args.rate:g} mixed reads a second for {args.seconds:g} s: {json.dumps(shown)} ms, "
                f"statuses {statuses}, load average {os.getloadavg()[0]:.1f}, {memory} MB",
                flush=True,
            )
        finally:
            live.stop()
    finally:
        shutil.rmtree(home, ignore_errors=True)


if __name__ == "__main__":
    main()

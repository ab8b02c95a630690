"""What the tests of the embedded server share."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import psycopg2

from trendcast.store import embedded

FAST = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "shared_buffers": "16MB"}


def ask(server: embedded.Server, query: str, database: str = embedded.DATABASE) -> object:
    """The one value a query answers, over a connection of its own."""
    connection = psycopg2.connect(host=str(server.data), user="postgres", dbname=database)
    try:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(query)
            return cursor.fetchone()[0] if cursor.description else None
    finally:
        connection.close()


def client(home: Path, then: str) -> subprocess.Popen[str]:
    """Another process that opens the server of ``home`` and then runs ``then``; prints "ready" in between."""
    program = f"""
import sys, time
from pathlib import Path
from trendcast.store import embedded
server = embedded.start(Path({str(home)!r}), settings={FAST!r}, root_folder=Path({str(home / "own")!r}))
print("ready", flush=True)
{then}
"""
    return subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True)

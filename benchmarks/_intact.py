"""Whether a cluster is whole after crashes, by PostgreSQL's own tools.

The embedded server ships the program pg_amcheck, but not the extension it needs. So: a dump of everything reads every
page of every table, whose checksum the server verifies; every unique key is counted past its index; and once the server
has stopped, pg_checksums verifies every page of every file, indexes too.
"""

from __future__ import annotations

import psycopg2
from psycopg2 import sql

from trendcast.store import embedded

UNIQUE = """
SELECT i.indrelid::regclass::text, array_agg(a.attname::text)
FROM pg_index i
JOIN pg_class c ON c.oid = i.indrelid
JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey)
WHERE c.relnamespace = 'trendcast'::regnamespace AND i.indisprimary
GROUP BY i.indexrelid, i.indrelid
"""


def trouble_running(server: embedded.Server, database: str = embedded.DATABASE) -> list[str]:
    """What is wrong with the tables and keys of a running server; empty when nothing is."""
    found = []
    connection = psycopg2.connect(host=str(server.data), user="postgres", dbname=database)
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT EXISTS (SELECT FROM pg_available_extensions WHERE name = 'amcheck')")
            amcheck = cursor.fetchone()[0]
            cursor.execute("SET enable_indexscan = off; SET enable_indexonlyscan = off; SET enable_bitmapscan = off")
            cursor.execute(UNIQUE)
            for table, columns in cursor.fetchall():
                key = sql.SQL(", ").join(sql.Identifier(column) for column in columns)
                cursor.execute(
                    sql.SQL(
                        "SELECT count(*) - (SELECT count(*) FROM (SELECT DISTINCT {} FROM {}) keys) FROM {}"
                    ).format(key, *[sql.Identifier(*table.split("."))] * 2)
                )
                if doubled := cursor.fetchone()[0]:
                    found.append(f"{doubled} keys of {table} twice")
    finally:
        connection.close()
    host = ["-h", str(server.data), "-U", "postgres", "-d", database]
    found += _run(server, "pg_dump", *host, "-f", "/dev/null")
    if amcheck:
        found += _run(server, "pg_amcheck", *host, "--install-missing", "--heapallindexed")
    return found


def trouble_stopped(server: embedded.Server) -> list[str]:
    """What is wrong with the files of a server that has stopped; empty when nothing is."""
    return _run(server, "pg_checksums", "--check", "-D", str(server.data))


def _run(server: embedded.Server, program: str, *arguments: str) -> list[str]:
    ended = server.account.run([server.binaries / program, *arguments], cwd=server.folder, timeout=600)
    return [f"{program}: {ended.stdout.strip()[-500:]}"] if ended.returncode else []

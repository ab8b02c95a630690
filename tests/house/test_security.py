"""What tools that look for weaknesses find in this project, its secrets and its packages. `make check` runs ruff's
rules about security; here are the others."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from detect_secrets.core.scan import scan_file
from detect_secrets.settings import default_settings, transient_settings
from packaging.version import Version

from tests.house.test_house import CUSTOMERS, locked, requirements

ROOT = Path(__file__).resolve().parents[2]
PRODUCT = ("trendcast", "pages", "tools", "streamlit_app.py")
# Passwords in tests are made up, and look like passwords; whatever looks like a real key is found there as well.
FAKES = {"KeywordDetector", "BasicAuthDetector"}
MADE_UP = ("tests/", "benchmarks/")


def ran(*words: str) -> str:
    done = subprocess.run([sys.executable, "-m", *words], cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout


# --- our own code ---


def test_ruff_looks_at_security_everywhere_but_in_tests() -> None:
    lint = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["ruff"]["lint"]
    assert "S" in lint["select"]
    assert {rule for rule in lint["ignore"] if rule.startswith("S")} == {"S101", "S603", "S607"}
    assert {path for path, rules in lint["per-file-ignores"].items() if "S" in rules} == {"tests/**", "benchmarks/**"}


@cache
def bandit() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(ran("bandit", "-q", "-r", *PRODUCT, "-f", "json"))["results"]
    return found


def test_bandit_finds_nothing_grave_and_no_sql_put_together() -> None:
    grave = [row for row in bandit() if row["issue_severity"] == "HIGH" or row["test_id"] == "B608"]
    assert not [(row["filename"], row["line_number"], row["issue_text"]) for row in grave]


def test_bandit_would_find_them(tmp_path: Path) -> None:
    file = tmp_path / "bad.py"
    file.write_text("import subprocess\nsubprocess.run(name, shell=True)\nq = 'SELECT * FROM t WHERE a = %s' % name\n")
    found = json.loads(ran("bandit", "-q", str(file), "-f", "json"))["results"]
    assert {"HIGH"} <= {row["issue_severity"] for row in found}
    assert "B608" in {row["test_id"] for row in found}


def test_the_weaknesses_that_were_looked_at_and_left_are_few() -> None:
    """Each exception says what it is about, in the line it stands in."""
    left = [
        (file.relative_to(ROOT).as_posix(), match[0])
        for folder in PRODUCT
        for file in ([ROOT / folder] if folder.endswith(".py") else (ROOT / folder).rglob("*.py"))
        for match in re.finditer(r"#\s*nosec[^\n]*", file.read_text(encoding="utf-8"))
    ]
    assert all(re.search(r"nosec B\d{3}", words) for _, words in left)
    assert len(left) <= 3, left


# --- secrets ---


def tracked() -> list[str]:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode:  # a copy without its history
        return [str(path.relative_to(ROOT)) for path in ROOT.rglob("*") if path.is_file() and ".venv" not in path.parts]
    return [name for name in listed.stdout.splitlines() if (ROOT / name).is_file()]


def secrets_in(path: Path, *, made_up: bool = False) -> list[tuple[int, str]]:
    with default_settings() as chosen:
        plugins = [{"name": name} for name in chosen.plugins if not (made_up and name in FAKES)]
        filters = [{"path": name} for name in chosen.filters]
    with transient_settings({"plugins_used": plugins, "filters_used": filters}):
        return [(found.line_number, found.type) for found in scan_file(str(path))]


# The lock files are hashes from end to end, and are made by a tool; the queries hold none of either.
NO_TEXT = (".lock", ".png", ".svg", ".ico", ".sql")


def found_in(names: list[str]) -> dict[str, list[tuple[int, str]]]:
    hits = {name: secrets_in(ROOT / name, made_up=name.startswith(MADE_UP)) for name in names}
    return {name: rows for name, rows in hits.items() if rows}


def test_no_secret_is_in_any_file_of_the_product() -> None:
    ours = [name for name in tracked() if not name.endswith(NO_TEXT) and not name.startswith(MADE_UP)]
    assert len(ours) > 150
    assert not found_in(ours)


@pytest.mark.nightly
def test_no_secret_is_in_any_file_at_all() -> None:
    assert not found_in([name for name in tracked() if not name.endswith(".lock")])


@pytest.mark.parametrize(
    ("words", "made_up"),
    [
        (["password = ", "'hun", "ter2-and-more'"], False),
        (["aws = 'AKIA", "IOSFODNN7EXAMPLQ'"], True),
        (["-----BEGIN RSA PRIV", "ATE KEY-----"], True),
        (["github = 'ghp_", "abcdefghijklmnopqrstuvwxyz0123456789'"], True),
    ],
)
def test_a_secret_would_be_found(tmp_path: Path, words: list[str], made_up: bool) -> None:
    file = tmp_path / "config.py"
    file.write_text("".join(words) + "\n")
    assert secrets_in(file, made_up=made_up)


# --- packages ---


def test_the_locked_server_is_not_one_of_those_with_known_holes() -> None:
    lock = locked("requirements.lock")
    assert all(version >= Version("1.67") for version in lock["streamlit"][0])
    assert all(version >= Version("1.3.1") for version in lock["starlette"][0])


def test_requirements_are_ranges_and_have_all_of_the_customers_packages() -> None:
    rows = {row.name: row for row in requirements("requirements.txt")}
    assert rows.keys() >= CUSTOMERS
    for row in rows.values():
        operators = {part.operator for part in row.specifier}
        assert ">=" in operators, row
        assert not operators & {"==", "==="}, row


def test_the_bill_of_materials_names_every_locked_package_with_its_version(tmp_path: Path) -> None:
    """`make sbom`."""
    file = tmp_path / "sbom.json"
    subprocess.run(["make", "-s", "sbom", f"SBOM={file}"], cwd=ROOT, check=True, capture_output=True)
    bill = json.loads(file.read_text(encoding="utf-8"))
    assert bill["bomFormat"] == "CycloneDX"
    named = {(part["name"].lower().replace("_", "-"), part["version"]) for part in bill["components"]}
    assert named == {(n, str(v)) for n, (versions, _) in locked("requirements.lock").items() for v in versions}
    assert not re.search(r"index-url|simple/ ", file.read_text(encoding="utf-8"))


@pytest.mark.nightly
def test_no_locked_package_has_a_known_weakness() -> None:
    """Asks the advisory service for every package of the lock: a package it was not asked about is not "without
    weakness", so this fails under CI, and elsewhere says loudly, when the service cannot be reached."""
    answer = ran("pip_audit", "-r", "requirements.lock", "--disable-pip", "--require-hashes", "-f", "json")
    rows = json.loads(answer)["dependencies"] if answer.strip() else []
    asked = [row for row in rows if "skip_reason" not in row]
    if len(asked) < len(locked("requirements.lock")):
        words = f"NOT AUDITED: the advisory service answered for {len(asked)} of {len(rows) or 'no'} packages."
        (pytest.fail if os.environ.get("CI") else pytest.skip)(words)
    assert not {row["name"]: [one["id"] for one in row["vulns"]] for row in asked if row["vulns"]}

"""The documents are true: what they name exists, and what exists is named."""

from __future__ import annotations

import argparse
import re
import subprocess
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
PLACES = [pytest.param(path, id=str(path.relative_to(ROOT))) for path in DOCUMENTS]


def read(path: Path | str) -> str:
    return (ROOT / path).read_text(encoding="utf-8")


def without_code(text: str) -> str:
    return re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)


# --- links ---


def anchors(text: str) -> set[str]:
    """The anchors that hosted repositories give to headings."""
    titles = re.findall(r"^#+ (.+)$", without_code(text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("path", PLACES)
def test_every_relative_link_leads_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", without_code(read(path))):
        if re.match(r"[a-z]+:", target):
            continue
        file, _, anchor = target.partition("#")
        goal = (path.parent / file).resolve() if file else path
        assert goal.exists(), f"{path.name}: {target}"
        assert ROOT in [goal, *goal.parents], f"{path.name}: {target} leaves the project"
        if anchor:
            assert anchor in anchors(read(goal)), f"{path.name}: {target}"


def test_the_first_screen_of_readme_has_what_a_newcomer_needs() -> None:
    screen = "\n".join(read("README.md").splitlines()[:36])
    assert "![" in screen
    for part in ("make run", "make test", "-m venv .venv", "MB", "GB", "second", "docs/specification.md"):
        assert part in screen, part


# --- settings ---


def rows(text: str) -> list[list[str]]:
    """The cells of all table rows."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]


def test_the_table_of_settings_is_the_one_in_the_code() -> None:
    from trendcast.settings import SETTINGS

    written = [row for row in rows(read("docs/settings.md")) if row[0].startswith("`")]
    wanted = [[f"`{s.name}`", f"`{s.default}`" if s.default else "", s.help] for s in SETTINGS]
    missing = [row for row in wanted if row not in written]
    assert not missing, "Put these rows into docs/settings.md:\n" + "\n".join(
        f"| {' | '.join(row)} |" for row in missing
    )
    assert written == wanted, "docs/settings.md has rows that are no settings, or another order."


@pytest.mark.parametrize("path", PLACES)
def test_every_setting_a_document_names_exists(path: Path) -> None:
    from trendcast.settings import SETTINGS

    names = {setting.name for setting in SETTINGS} | {f"{s.name}_FILE" for s in SETTINGS if s.secret}
    for name in re.findall(r"\b(?:TRENDCAST_[A-Z_]*[A-Z]|(?:[A-Z]+_)?DATABASE_URL(?:_FILE)?)\b(?!_)", read(path)):
        assert name in names or any(known.startswith(name + "_") for known in names), f"{path.name}: {name}"


@pytest.mark.parametrize("path", PLACES)
def test_every_streamlit_setting_a_document_names_exists(path: Path) -> None:
    from streamlit import config

    known = {re.sub(r"([A-Z])", r"_\1", key.replace(".", "_")).upper() for key in config.get_config_options()}
    for name in re.findall(r"\bSTREAMLIT_[A-Z_]*[A-Z]\b", read(path)):
        assert name.removeprefix("STREAMLIT_") in known, f"{path.name}: {name}"


# --- the command line ---


@cache
def commands() -> dict[str, argparse.ArgumentParser]:
    from trendcast.__main__ import parser

    (choices,) = (action for action in parser()._actions if isinstance(action, argparse._SubParsersAction))
    return dict(choices.choices)


@pytest.mark.parametrize("path", PLACES)
def test_every_command_a_document_names_exists_with_its_options(path: Path) -> None:
    text = read(path)
    for name, rest in re.findall(r"python -m trendcast ([a-z][a-z-]*)([^`\n#]*)", text):
        assert name in commands(), f"{path.name}: python -m trendcast {name}"
        for option in re.findall(r"--[a-z][a-z-]*", rest):
            assert option in commands()[name]._option_string_actions, f"{path.name}: {name} {option}"


def test_readme_lists_every_command_and_no_other() -> None:
    table = read("README.md").split("## The command line")[1].split("\n## ")[0]
    listed = {}
    for cells in rows(table):
        match = re.match(r"`([a-z][a-z-]*)", cells[0])
        if match:
            listed[match[1]] = " ".join(cells)
    assert set(listed) == set(commands())
    for name, text in listed.items():
        for option in re.findall(r"--[a-z][a-z-]*", text):
            assert option in commands()[name]._option_string_actions, f"{name} {option}"


@pytest.mark.parametrize("path", PLACES)
def test_every_make_target_a_document_names_exists(path: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", read("Makefile"), re.MULTILINE))
    for name in re.findall(r"(?:^|`)make ([a-z-]+)", read(path), re.MULTILINE):
        assert name in targets, f"{path.name}: make {name}"


def test_make_alone_lists_every_target() -> None:
    listed = subprocess.run(["make", "-s", "-C", ROOT], capture_output=True, text=True, check=True).stdout
    for target in ("run", "dev", "test", "check", "format", "nightly", "bench", "lock"):
        assert f"make {target} " in listed


# --- REST ---


def test_readme_lists_every_path_of_the_rest_service_and_no_other() -> None:
    from trendcast.api.app import api

    served = {
        f"{method} {route.path}"  # type: ignore[attr-defined]
        for route in api.routes
        for method in route.methods - {"HEAD"}  # type: ignore[attr-defined]
    }
    table = read("README.md").split("## REST")[1].split("\n## ")[0]
    listed = {match[1] for cells in rows(table) if (match := re.match(r"`((?:GET|POST|PUT|DELETE) /\S*)`", cells[0]))}
    assert listed == served


@pytest.mark.parametrize("path", PLACES)
def test_every_request_a_document_names_exists(path: Path) -> None:
    from trendcast.api.app import api

    served = {(method, route.path) for route in api.routes for method in route.methods}  # type: ignore[attr-defined]
    for method, target in re.findall(r"\b(GET|POST|PUT|DELETE) (/[a-z/_.{}-]*)", read(path)):
        assert (method, target) in served, f"{path.name}: {method} {target}"


# --- data ---


def test_the_tables_and_columns_in_the_data_document_are_those_of_the_loader() -> None:
    from trendcast.services.tables import TABLES

    written = {}
    for cells in rows(read("docs/data.md")):
        match = re.fullmatch(r"`(\w+)`", cells[0])
        if match:
            listed = [name.strip() for name in cells[2].split(":")[0].split(",")]
            written[match[1]] = {name.strip("*"): name.startswith("**") for name in listed if " " not in name}
    # "stores" takes further columns of the customer's own.
    assert set(written) == set(TABLES)
    for name, table in TABLES.items():
        assert written[name] == {column.name: column.required for column in table.columns}, name


# --- specification ---


def test_every_element_of_the_specification_is_answered() -> None:
    text = read("docs/specification.md")
    parts = re.split(r"^## (S\d) ", text, flags=re.MULTILINE)
    answered = dict(zip(parts[1::2], parts[2::2], strict=True))
    assert list(answered) == [f"S{number}" for number in range(1, 10)]
    for element, answer in answered.items():
        assert re.search(r"\*\*(Kept|There|Better|Not there yet)|not there yet", answer), element


# --- what must not be in there ---


def test_no_document_or_code_names_a_machine_or_a_registry() -> None:
    pattern = re.compile(r"/root/|/work/|\.pyenv|pypi\.org|pythonhosted|/opt/wheels")
    folders = ("trendcast", "pages", "sql", "tests", "benchmarks", "tools", "docs", ".ci", ".github", ".streamlit")
    files = [path for path in ROOT.glob("*") if path.suffix != ".log"]
    files += [path for folder in folders for path in (ROOT / folder).rglob("*")]
    for file in files:
        if not file.is_file() or file == Path(__file__) or file.suffix in (".pyc", ".png"):
            continue
        found = pattern.search(file.read_text(encoding="utf-8", errors="replace"))
        assert not found, f"{file.relative_to(ROOT)}: {found[0] if found else ''}"

"""What changes something asks who is at the page: found by reading the code, and asked as each role."""

from __future__ import annotations

import ast
import importlib
import inspect
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import pytest

from trendcast.errors import NotAllowed
from trendcast.services.people import ROLES, Person
from trendcast.ui import reads, who

ROOT = Path(__file__).resolve().parents[2]
WRITING = {"transaction", "run_tx", "copy_in", "execute"}

# What a page can change, and the least role that may. A new way to change something needs a row here.
CHANGES = {
    "enqueue": "planner",  # but a look at one series, which changes nothing, is anybody's
    "move": "planner",
    "decide": "planner",
    "save_scenario": "planner",
    "archive_scenario": "planner",
    "upload_load": "planner",
    "upload_leave": "planner",
    "upload_accept": "planner",
    "suppress": "planner",
    "end_suppression": "planner",
    "send_again": "planner",
    "try_again": "planner",
    "add_recipient": "admin",
    "change_recipient": "admin",
    "remove_recipient": "admin",
    "self_test": "admin",
    "put_threshold": "admin",
    "remove_threshold": "admin",
}
# Ends the own session, which is everybody's.
OWN = {"sign_out"}

Key = tuple[str, str]  # module, function


def calls(function: ast.AST, names: dict[str, Key]) -> Iterator[Key]:
    """(module, function) of what a function calls by name."""
    for node in ast.walk(function):
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and isinstance(node.func.value, ast.Name)
        ):
            base = node.func.value.id
            yield names.get(base, ("", base))[1], node.func.attr
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            yield names.get(node.func.id, ("", node.func.id))


@cache
def functions() -> dict[Key, tuple[bool, frozenset[Key]]]:
    """Each function of services and store: whether it writes by itself, and what it calls."""
    found: dict[Key, tuple[bool, frozenset[Key]]] = {}
    for file in [*ROOT.glob("trendcast/services/*.py"), *ROOT.glob("trendcast/store/*.py")]:
        tree = ast.parse(file.read_text(encoding="utf-8"))
        names = imported(tree)
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef):
                writes = any(
                    isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr in WRITING
                    for call in ast.walk(node)
                )
                called = {(module or file.stem, name) for module, name in calls(node, names)}
                before = found.get((file.stem, node.name), (False, frozenset()))
                found[(file.stem, node.name)] = (before[0] or writes, before[1] | called)
    return found


def imported(tree: ast.AST) -> dict[str, Key]:
    return {
        alias.asname or alias.name: ((node.module or "").rpartition(".")[2], alias.name)
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("trendcast.")
        for alias in node.names
    }


def writes(key: Key, seen: frozenset[Key] = frozenset()) -> bool:
    if key in seen or key not in functions():
        return False
    itself, called = functions()[key]
    return itself or any(writes(other, seen | {key}) for other in called)


@cache
def writers() -> dict[str, str]:
    """Functions of the dashboard that call a service which writes -> their module."""
    found = {}
    for file in [*ROOT.glob("trendcast/ui/*.py"), *ROOT.glob("pages/*.py")]:
        tree = ast.parse(file.read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef) and any(writes(key) for key in calls(node, imported(tree))):
                found[node.name] = file.stem
    return found


def test_the_reading_of_the_code_sees_what_writes() -> None:
    """A test of the test: through several calls, and not what only reads."""
    assert writes(("decisions", "decide"))
    assert writes(("jobs", "enqueue"))
    assert not writes(("forecast", "current_run"))
    assert not writes(("incidents", "inbox"))


def test_whatever_a_page_can_change_has_a_role() -> None:
    assert set(writers()) - OWN == set(CHANGES)


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("name", sorted(CHANGES))
def test_it_is_refused_to_whom_it_is_not_given_before_anything_happens(
    name: str, role: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Asked of what pages call, with a seam behind it that records."""
    seam = MagicMock()
    monkeypatch.setattr(reads, "provider", seam)
    monkeypatch.setattr(who, "actor", lambda: Person("ann", role))
    places = [importlib.import_module(f"trendcast.ui.{module}") for module in ("reads", "alert_reads")]
    (ask,) = [getattr(place, name) for place in places if inspect.isfunction(getattr(place, name, None))]
    needed = [
        MagicMock() if parameter.annotation != "int" else 1
        for parameter in inspect.signature(ask).parameters.values()
        if parameter.default is parameter.empty and parameter.kind is not parameter.VAR_KEYWORD
    ]
    if ROLES.index(role) >= ROLES.index(CHANGES[name]):
        ask(*needed)
        assert reached(seam)
    else:
        with pytest.raises(NotAllowed, match=f"needs the role {CHANGES[name]}"):
            ask(*needed)
        assert not reached(seam)


def reached(seam: Any) -> bool:
    return any(str(call).startswith("call.") for call in seam.mock_calls)


def test_a_look_at_one_series_is_anybodys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reads, "provider", MagicMock())
    monkeypatch.setattr(who, "actor", lambda: Person("ann", "viewer"))
    reads.enqueue("look", {})
    with pytest.raises(NotAllowed):
        reads.enqueue("refresh", {})

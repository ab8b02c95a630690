"""Whoever is called at night finds each sentence TrendCast says of itself in docs/operations.md, with what to do."""

from __future__ import annotations

import ast
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DOCUMENT = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
ROWS = [
    [cell.strip() for cell in line.strip().strip("|").split("|")]
    for line in DOCUMENT.splitlines()
    if line.startswith("| ") and "---" not in line
]


def sayings() -> dict[str, list[str]]:
    """First cell of each row -> the others."""
    return {row[0]: row[1:] for row in ROWS}


def pieces(node: ast.AST) -> list[str]:
    """The constant text of a string, in pieces where something is filled in."""
    if isinstance(node, ast.JoinedStr):
        return [str(part.value).strip() for part in node.values if isinstance(part, ast.Constant)]
    return [node.value.strip()] if isinstance(node, ast.Constant) and isinstance(node.value, str) else []


def notices() -> set[str]:
    """The subject of every mail about TrendCast itself, from the calls in the code."""
    found = set()
    for file in (ROOT / "trendcast").rglob("*.py"):
        tree = ast.parse(file.read_text(encoding="utf-8"))
        for function in [n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef)]:
            # A subject chosen before the call: subject, next_step = "A job failed for good", ...
            chosen = [
                value
                for one in ast.walk(function)
                if isinstance(one, ast.Assign) and isinstance(one.targets[0], ast.Tuple)
                for target, value in zip(one.targets[0].elts, getattr(one.value, "elts", []), strict=False)
                if isinstance(target, ast.Name) and target.id == "subject"
            ]
            for call in [n for n in ast.walk(function) if isinstance(n, ast.Call)]:
                name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
                if name != "notice" or function.name == "notice":
                    continue
                given = [word for argument in call.args[:4] for word in pieces(argument) if word and "|" not in word]
                words = given or [word for node in chosen for word in pieces(node)]
                assert words, f"{file.name}:{call.lineno}: a notice whose subject this test does not understand"
                found |= set(words[:1] if given else words)
    return found


def reasons() -> list[str]:
    """Of every sentence in services/health.py that can become a reason the first words that are always the same."""
    tree = ast.parse((ROOT / "trendcast" / "services" / "health.py").read_text(encoding="utf-8"))
    found = []
    for function in [n for n in tree.body if isinstance(n, ast.FunctionDef)]:
        for node in ast.walk(function):
            sentences = []
            if isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "append":
                sentences = node.args
            elif isinstance(node, ast.List):
                sentences = node.elts
            found += [
                next((piece for piece in pieces(one) if len(piece) >= 12), "".join(pieces(one)))
                for one in sentences
                if pieces(one)
            ]
    return found


def test_every_mail_about_trendcast_itself_has_a_row_that_says_what_to_do() -> None:
    subjects = notices()
    assert {"The detector has not run", "A job failed for good", "A load is held", "Alerts cannot be sent"} <= subjects
    for subject in subjects:
        meaning, action = sayings()[f'"{subject}"']
        assert meaning, subject
        assert action, subject


def test_every_reason_of_health_has_a_row_that_says_what_to_do() -> None:
    found = reasons()
    assert len(found) >= 10, found
    for piece in found:
        rows = [row for row in ROWS if piece[:40] in row[0]]
        assert rows, f"docs/operations.md has no row for: {piece}"
        assert all(cell for cell in rows[0]), piece

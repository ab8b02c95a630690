"""The files a project of this kind stands on: versions, hashes, licence, Streamlit's settings."""

from __future__ import annotations

import re
import tomllib
from functools import cache
from importlib.metadata import distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

ROOT = Path(__file__).resolve().parents[2]
CUSTOMERS = {"streamlit", "plotly", "pandas", "prophet", "statsmodels", "sqlalchemy", "psycopg2-binary", "pytest"}


def text(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def requirements(name: str) -> list[Requirement]:
    lines = [line.split("#")[0].strip() for line in text(name).splitlines()]
    return [Requirement(line) for line in lines if line and not line.startswith("-r")]


@cache
def locked(name: str) -> dict[str, tuple[list[Version], int]]:
    """Package -> (its versions, the number of hashes)."""
    found: dict[str, tuple[list[Version], int]] = {}
    for block in re.split(r"\n(?=[a-z0-9])", text(name)):
        match = re.match(r"([a-z0-9][a-z0-9._-]*)==(\S+)", block)
        if match:
            versions, hashes = found.get(match[1], ([], 0))
            found[match[1]] = (
                [*versions, Version(match[2])],
                hashes + len(re.findall(r"--hash=sha256:[0-9a-f]{64}\b", block)),
            )
    return found


# --- versions ---


def test_the_customers_eight_packages_are_required() -> None:
    assert {requirement.name for requirement in requirements("requirements.txt")} >= CUSTOMERS


def test_requirements_are_ranges_and_the_lock_pins_each_within_its_range() -> None:
    for file, lock in (("requirements.txt", "requirements.lock"), ("requirements-dev.txt", "requirements-dev.lock")):
        for requirement in requirements(file):
            assert "==" not in str(requirement.specifier), requirement
            versions, _ = locked(lock)[requirement.name]
            assert all(version in requirement.specifier for version in versions), requirement


def test_the_data_frames_are_of_pandas_3() -> None:
    assert {version.major for version in locked("requirements.lock")["pandas"][0]} == {3}


@pytest.mark.parametrize("lock", ["requirements.lock", "requirements-dev.lock"])
def test_every_locked_package_has_hashes_and_no_index_is_named(lock: str) -> None:
    assert len(locked(lock)) > 50
    assert all(hashes for _, hashes in locked(lock).values())
    assert not re.search(r"://|--index|--find-links|--extra-index|--trusted-host| @ ", text(lock))


def test_development_runs_the_versions_that_users_get() -> None:
    assert locked("requirements.lock").items() <= locked("requirements-dev.lock").items()


# --- Streamlit's settings ---


@cache
def config() -> dict:
    return tomllib.loads(text(".streamlit/config.toml"))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("client.showErrorDetails", "none"),
        ("client.toolbarMode", "viewer"),
        ("server.address", "localhost"),
        ("server.showEmailPrompt", False),
        ("server.maxUploadSize", 50),
        ("server.maxMessageSize", 50),
        ("server.enableCORS", True),
        ("server.disconnectedSessionTTL", 120),
        ("server.fileWatcherType", "none"),
        ("server.enableAgentApi", False),
        ("browser.gatherUsageStats", False),
    ],
)
def test_production_settings_are_committed(key: str, value: object) -> None:
    section, name = key.split(".")
    assert config()[section][name] == value


def test_secrets_and_public_names_are_not_committed() -> None:
    assert not {"cookieSecret", "allowedHosts", "enableStaticServing"} & set(config()["server"])


def test_streamlit_knows_every_key_we_set() -> None:
    from streamlit import config as known

    options = known.get_config_options()

    def walk(table: dict, prefix: str) -> None:
        for name, value in table.items():
            if isinstance(value, dict):
                walk(value, f"{prefix}{name}.")
            else:
                assert f"{prefix}{name}" in options

    walk(config(), "")


def contrast(one: str, other: str) -> float:
    """WCAG 2 contrast ratio of two colours."""

    def luminance(colour: str) -> float:
        parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        r, g, b = (part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
        return 0.2126 * r + 0.7152 * g + 0.0722 * b

    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("name", ["light", "dark"])
def test_both_themes_are_legible(name: str) -> None:
    theme = config()["theme"][name]
    background = theme["backgroundColor"]
    for surface in (background, theme["secondaryBackgroundColor"]):
        assert contrast(theme["textColor"], surface) >= 7
        assert contrast(theme["linkColor"], surface) >= 4.5
    assert all(contrast(colour, background) >= 3 for colour in theme["chartCategoricalColors"])
    assert len(set(theme["chartCategoricalColors"])) >= 8
    # Streamlit silently drops a list of another length.
    assert len(theme["chartSequentialColors"]) == len(theme["chartDivergingColors"]) == 10


# --- the rest ---


def test_the_licence_is_apache_2() -> None:
    assert "Apache License" in text("LICENSE")
    assert "END OF TERMS AND CONDITIONS" in text("LICENSE")
    assert tomllib.loads(text("pyproject.toml"))["project"]["license"] == "Apache-2.0"


def test_the_version_is_said_once_per_place_and_everywhere_the_same() -> None:
    from trendcast import __version__

    assert tomllib.loads(text("pyproject.toml"))["project"]["version"] == __version__
    assert f"## {__version__}" in text("CHANGELOG.md")


def test_the_installed_streamlit_is_new_enough_for_the_server_we_build_on() -> None:
    assert Version(distribution("streamlit").version) >= Version("1.67")
    assert Version(distribution("starlette").version) >= Version("1.3.1")

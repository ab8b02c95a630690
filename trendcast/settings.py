"""Every setting once: name, default, help, check. The only module that reads the environment."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from trendcast.errors import NotConfigured


@dataclass(frozen=True)
class Setting:
    """One row of the table: the environment variable, its default, what it does, and how its text is read."""

    name: str
    default: str
    help: str
    read: Callable[[str], object] = str
    secret: bool = False


def _choice(*allowed: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        if text not in allowed:
            raise ValueError(f"must be one of {', '.join(allowed)}")
        return text

    return read


def _zone(text: str) -> ZoneInfo:
    try:
        return ZoneInfo(text)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError("must be the name of a time zone like Europe/Berlin") from error


def _names(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _addresses(text: str) -> tuple[str, ...]:
    found = _names(text)
    for address in found:
        name, at, domain = address.rpartition("@")
        if not (name and at and domain) or any(character.isspace() for character in address):
            raise ValueError(f"must be mail addresses separated by commas, and '{address}' is none")
    return found


def _at_least_one(text: str) -> int:
    if int(text) < 1:
        raise ValueError("must be at least 1")
    return int(text)


def _url(text: str) -> str:
    if not text.startswith(("http://", "https://")):
        raise ValueError("must begin with http:// or https://")
    return text.rstrip("/")


def _column_map(text: str) -> dict[str, dict[str, str]]:
    """``table.column=theirs,...`` as table -> our column -> their column."""
    found: dict[str, dict[str, str]] = {}
    for part in _names(text):
        ours, _, theirs = part.partition("=")
        table, _, column = ours.strip().partition(".")
        if not (table and column and theirs.strip()):
            raise ValueError("must be pairs like sales_daily.date_id=day, separated by commas")
        found.setdefault(table, {})[column] = theirs.strip()
    return found


SETTINGS: tuple[Setting, ...] = (
    Setting("DATABASE_URL", "", "PostgreSQL to use; empty: the embedded server under TRENDCAST_HOME.", secret=True),
    Setting(
        "SOURCE_DATABASE_URL",
        "",
        "Database that `sync` reads the customer's tables from; empty: DATABASE_URL.",
        secret=True,
    ),
    Setting("TRENDCAST_HOME", ".trendcast", "Folder of the embedded database, outputs/ and logs/.", Path),
    Setting(
        "TRENDCAST_LOG_LEVEL",
        "info",
        "The least grave lines in the logs, of jobs too: debug, info, warning or error.",
        _choice("debug", "info", "warning", "error"),
    ),
    Setting(
        "TRENDCAST_AUTH", "off", "Who may come in: off (loopback only), proxy or oidc.", _choice("off", "proxy", "oidc")
    ),
    Setting(
        "TRENDCAST_PROXY_SECRET",
        "",
        "With TRENDCAST_AUTH=proxy: what the proxy sends as X-TrendCast-Proxy-Secret.",
        secret=True,
    ),
    Setting(
        "TRENDCAST_PROXY_USER_HEADER", "X-Forwarded-Email", "With TRENDCAST_AUTH=proxy: the header that names the user."
    ),
    Setting(
        "TRENDCAST_PROXY_ROLE_HEADER",
        "X-Forwarded-Groups",
        "With TRENDCAST_AUTH=proxy: the header with the user's roles or groups, separated by commas.",
    ),
    Setting(
        "TRENDCAST_PLANNER_GROUPS", "", "Groups whose members are planners, beside a group called planner.", _names
    ),
    Setting("TRENDCAST_ADMIN_GROUPS", "", "Groups whose members are administrators, beside one called admin.", _names),
    Setting(
        "TRENDCAST_VIEWER_GROUPS",
        "",
        "Groups whose members may look; empty: everybody who is signed in. Planners and administrators always may.",
        _names,
    ),
    Setting(
        "TRENDCAST_OIDC_METADATA_URL",
        "",
        "With TRENDCAST_AUTH=oidc: the provider's address that ends in /.well-known/openid-configuration.",
    ),
    Setting("TRENDCAST_OIDC_CLIENT_ID", "", "What the provider calls this installation."),
    Setting("TRENDCAST_OIDC_CLIENT_SECRET", "", "The secret that goes with it.", secret=True),
    Setting(
        "TRENDCAST_OIDC_REDIRECT_URI",
        "",
        "Where the provider sends people back to; empty: TRENDCAST_PUBLIC_URL/oauth2callback.",
    ),
    Setting(
        "TRENDCAST_OIDC_ROLE_CLAIM",
        "groups",
        "The claim with the person's roles or groups; dots lead into nested ones: realm_access.roles.",
    ),
    Setting("TRENDCAST_OIDC_NAME_CLAIM", "email", "The claim that names the person."),
    Setting("TRENDCAST_OIDC_SCOPE", "openid email profile", "What the provider is asked for."),
    Setting(
        "TRENDCAST_DEMO",
        "auto",
        "Fill an empty embedded database with the demo retailer: auto or off.",
        _choice("auto", "off"),
    ),
    Setting(
        "TRENDCAST_JOBS",
        "on",
        "Run due jobs inside the dashboard's process: on or off (then run a worker).",
        _choice("on", "off"),
    ),
    Setting(
        "TRENDCAST_JOB_MEMORY_MB", "6000", "Memory a refresh, replay or backtest may take before it is stopped.", int
    ),
    Setting("TRENDCAST_JOB_MINUTES", "90", "Minutes a refresh, replay or backtest may take before it is stopped.", int),
    Setting("TRENDCAST_SYNC_SALES_TABLE", "public.sales_daily", "The customer's table that `sync` reads sales from."),
    Setting("TRENDCAST_SYNC_MARKET_TABLE", "public.market_factors", "The same for market factors, if it is there."),
    Setting("TRENDCAST_SYNC_INVENTORY_TABLE", "public.inventory_daily", "The same for stock, if it is there."),
    Setting("TRENDCAST_SYNC_EVENTS_TABLE", "", "The same for events; empty: none."),
    Setting("TRENDCAST_SYNC_PLAN_TABLE", "", "The same for the plan (plan_daily); empty: none."),
    Setting(
        "TRENDCAST_SYNC_COLUMNS",
        "",
        "Columns with other names there, ours=theirs: sales_daily.date_id=day,sales_daily.sales_units=qty.",
        _column_map,
    ),
    Setting("TRENDCAST_SYNC_LOOKBACK_DAYS", "35", "Days before the newest that every `sync` looks at again.", int),
    Setting("ALERT_FROM_EMAIL", "", "Sender of alerts: `TrendCast <alerts@example.com>`."),
    Setting("ALERT_RECIPIENTS", "", "Who gets every alert, separated by commas.", _addresses),
    Setting(
        "ALERT_BUDGET", "15", "Incidents mailed at once in a day, at most; the rest goes to the digest.", _at_least_one
    ),
    Setting("SMTP_SERVER", "", "Mail server; empty: alerts are kept in the dashboard and not sent."),
    Setting("SMTP_PORT", "587", "Its port.", int),
    Setting(
        "SMTP_SECURITY",
        "starttls",
        "starttls, tls (encrypted from the first byte, port 465) or none (a server on this machine only).",
        _choice("starttls", "tls", "none"),
    ),
    Setting("SMTP_CA_FILE", "", "File of a certificate authority of your own; empty: the system's."),
    Setting("EMAIL_USER", "", "User at the mail server; empty: no login."),
    Setting("EMAIL_PASSWORD", "", "The password.", secret=True),
    Setting("ALERT_WEBHOOK_URL", "", "Address that alerts are also posted to, as signed JSON; empty: none."),
    Setting("ALERT_WEBHOOK_SECRET", "", "What the posts are signed with.", secret=True),
    Setting("ALERT_WEBHOOK_PRIVATE_HOST", "", "A host in a private network that may be posted to, also without https."),
    Setting("TRENDCAST_PUBLIC_URL", "http://localhost:8501", "Where people open the dashboard: links in mails.", _url),
    Setting("TRENDCAST_CURRENCY", "", "What money is called, before or after figures: EUR, $; empty: no name."),
    Setting("TRENDCAST_UNIT_NAME", "units", "What is sold, in the plural: units, pieces, kg."),
    Setting("TRENDCAST_TIME_ZONE", "UTC", "The retailer's time zone, for due times and for what pages show.", _zone),
    Setting(
        "TRENDCAST_NUMBER_FORMAT",
        "1,234.5",
        "How figures are written: 1,234.5 or 1.234,5 or 1 234,5.",
        _choice("1,234.5", "1.234,5", "1 234,5"),
    ),
    Setting("TRENDCAST_REAL_DATA", "../shared/data", "Folder of the real retailers for tests and benchmarks.", Path),
)


@dataclass(frozen=True)
class Settings:
    """The settings as read; attributes are the names in lower case without the prefix TRENDCAST_."""

    values: Mapping[str, object]

    def __getattr__(self, name: str) -> object:
        try:
            return self.values[name]
        except KeyError:
            raise AttributeError(name) from None


def attribute(name: str) -> str:
    """The attribute of Settings that holds the setting ``name``: TRENDCAST_HOME -> home."""
    return name.removeprefix("TRENDCAST_").lower()


def load(environ: Mapping[str, str] | None = None) -> Settings:
    """Read all settings from the environment; NotConfigured names the line to change when one is wrong."""
    source = os.environ if environ is None else environ
    values = {}
    for setting in SETTINGS:
        text = source.get(setting.name, "")
        file = source.get(setting.name + "_FILE", "") if setting.secret else ""
        if file and not text:
            try:
                text = Path(file).read_text(encoding="utf-8").strip()
            except OSError as error:
                raise NotConfigured(f"{setting.name}_FILE={file} cannot be read: {error.strerror}.") from error
        try:
            values[attribute(setting.name)] = setting.read(text or setting.default)
        except ValueError as error:
            reason = str(error) if str(error).startswith("must") else "is not of the right kind"
            raise NotConfigured(f"{setting.name}={text} {reason}. {setting.help}") from error
    return Settings(values)

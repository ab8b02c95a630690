"""What the pages ask about alerts and change of them: the real answers, and the short memory before them.

Reads are remembered for ten seconds (``memory.Recent``) and asked again after each change; whatever changes something
asks for the role again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd

from trendcast.ui import reads, who

if TYPE_CHECKING:
    from trendcast.services.progress import Progress
    from trendcast.services.runtime import Clock

ROOM = "alerts"


class Alerts:
    """The questions and their real answers: services on this process's database, one call each. Tests put a made-up
    retailer's in its place."""

    @property
    def db(self) -> Any:
        from trendcast.services import runtime

        return runtime.database()

    @property
    def settings(self) -> Any:
        from trendcast.services import runtime

        return runtime.process.settings

    @property
    def clock(self) -> Clock:
        from trendcast.services import runtime

        return runtime.clock

    def channels(self) -> list[dict[str, Any]]:
        from trendcast.services import alert_log

        return alert_log.channels(self.db, self.settings)

    def self_test(self, address: str, who: str) -> dict[str, Any]:
        from trendcast.services import alerts, recipients

        return alerts.self_test(self.db, self.settings, self.clock(), recipients.mail_address(address), who=who)

    def everybody(self) -> tuple[str, ...]:
        return tuple(self.settings.alert_recipients)

    def recipients(self) -> list[dict[str, Any]]:
        from trendcast.services import recipients

        return recipients.listed(self.db)

    def scopes(self) -> dict[str, list[str]]:
        from trendcast.services import recipients

        return recipients.scopes(self.db)

    def add_recipient(self, **facts: Any) -> int:
        from trendcast.services import recipients

        return recipients.add(self.db, self.clock, **facts)

    def change_recipient(self, number: int, **changes: Any) -> int:
        from trendcast.services import recipients

        return recipients.change(self.db, self.clock, number, **changes)

    def remove_recipient(self, number: int, who: str) -> None:
        from trendcast.services import recipients

        recipients.remove(self.db, self.clock, number, who=who)

    def thresholds(self) -> pd.DataFrame:
        from trendcast.services import thresholds

        return thresholds.listed(self.db)

    def preview(self, progress: Progress, **what: Any) -> Any:
        from trendcast.services import thresholds

        return thresholds.preview(self.db, self.clock, progress=progress, **what)

    def put_threshold(self, **what: Any) -> int:
        from trendcast.services import thresholds

        return thresholds.put(self.db, self.clock, **what)

    def remove_threshold(self, number: int, who: str) -> None:
        from trendcast.services import thresholds

        thresholds.remove(self.db, self.clock, number, who=who)

    def budget(self) -> dict[str, Any]:
        from trendcast.services import alert_log

        return alert_log.budget(self.db, self.settings, self.clock())

    def weeks(self) -> dict[str, Any]:
        from trendcast.services import alert_log

        return alert_log.weeks(self.db, self.clock())

    def mails(self, states: tuple[str, ...], limit: int) -> pd.DataFrame:
        from trendcast.services import alert_log

        return alert_log.mails(self.db, self.settings, states=states, limit=limit)

    def message(self, number: int) -> dict[str, Any]:
        from trendcast.services import alert_log

        return alert_log.message(self.db, number)

    def send_again(self, number: int, who: str) -> dict[str, Any]:
        from trendcast.services import alert_log

        return alert_log.send_again(self.db, self.settings, number, who=who)

    def why_kept(self, row: Any) -> str:
        from trendcast.services import alert_log

        return alert_log.why_kept(row, self.settings)

    def silence(self) -> dict[str, int]:
        from trendcast.services import suppressions

        return suppressions.counts(self.db, self.clock())

    def suppressions(self) -> list[dict[str, Any]]:
        from trendcast.services import suppressions

        return suppressions.listed(self.db, self.clock())

    def suppress(self, **what: Any) -> int:
        from trendcast.services import suppressions

        return suppressions.add(self.db, self.clock, **what)

    def end_suppression(self, number: int, who: str) -> None:
        from trendcast.services import suppressions

        suppressions.end(self.db, self.clock, number, who=who)


def _ask(name: str, *arguments: Any) -> Any:
    return reads.recent((ROOM, name, *arguments), lambda: getattr(reads.provider.alerts, name)(*arguments))


def _change(role: str, called: str, /, *arguments: Any, **what: Any) -> Any:
    """A change by whoever may make it; what the pages know of alerts is asked again, also when it was refused."""
    who.must(role)
    try:
        return getattr(reads.provider.alerts, called)(*arguments, who=who.actor().name, **what)
    finally:
        reads.forget_recent(ROOM)
        reads.forget_inbox()


def channels() -> list[dict[str, Any]]:
    """services.alert_log.channels."""
    return list(_ask("channels"))


def self_test(address: str) -> dict[str, Any]:
    """services.alerts.self_test: one mail, now; an administrator's."""
    return dict(_change("admin", "self_test", address))


def everybody() -> tuple[str, ...]:
    """ALERT_RECIPIENTS: who gets every alert by the environment."""
    return tuple(reads.provider.alerts.everybody())


def recipients() -> list[dict[str, Any]]:
    """services.recipients.listed."""
    return list(_ask("recipients"))


def scopes() -> dict[str, list[str]]:
    """services.recipients.scopes: the categories and regions there are."""
    return dict(_ask("scopes"))


def add_recipient(**facts: Any) -> int:
    """services.recipients.add."""
    return int(_change("admin", "add_recipient", **facts))


def change_recipient(number: int, **changes: Any) -> int:
    """services.recipients.change."""
    return int(_change("admin", "change_recipient", number, **changes))


def remove_recipient(number: int) -> None:
    """services.recipients.remove."""
    _change("admin", "remove_recipient", number)


def thresholds() -> pd.DataFrame:
    """services.thresholds.listed."""
    found: pd.DataFrame = _ask("thresholds")
    return found


def preview(progress: Progress, **what: Any) -> Any:
    """services.thresholds.preview: what the last 90 days would have been; nothing is written."""
    who.must("admin")
    return reads.provider.alerts.preview(progress, **what)


def put_threshold(**what: Any) -> int:
    """services.thresholds.put."""
    return int(_change("admin", "put_threshold", **what))


def remove_threshold(number: int) -> None:
    """services.thresholds.remove."""
    _change("admin", "remove_threshold", number)


def budget() -> dict[str, Any]:
    """services.alert_log.budget."""
    return dict(_ask("budget"))


def weeks() -> dict[str, Any]:
    """services.alert_log.weeks."""
    return dict(_ask("weeks"))


def mails(states: tuple[str, ...] = (), limit: int = 200) -> pd.DataFrame:
    """services.alert_log.mails."""
    found: pd.DataFrame = _ask("mails", states, limit)
    return found


def message(number: int) -> dict[str, Any]:
    """services.alert_log.message."""
    return dict(_ask("message", number))


def send_again(number: int) -> dict[str, Any]:
    """services.alert_log.send_again."""
    return dict(_change("planner", "send_again", number))


def why_kept(row: Any) -> str:
    """services.alert_log.why_kept."""
    return str(reads.provider.alerts.why_kept(row))


def silence() -> dict[str, int]:
    """services.suppressions.counts; asked again after each move in the inbox."""
    found = reads.recent(("inbox", "silence"), lambda: reads.provider.alerts.silence())
    return dict(found)


def suppressions() -> list[dict[str, Any]]:
    """services.suppressions.listed."""
    return list(_ask("suppressions"))


def suppress(**what: Any) -> int:
    """services.suppressions.add."""
    return int(_change("planner", "suppress", **what))


def end_suppression(number: int) -> None:
    """services.suppressions.end."""
    _change("planner", "end_suppression", number)

"""What people set for the detector, and how far its findings of a kind are trusted, per node.

A figure set for a node holds there and below it; the narrowest that fits holds. What a verdict takes away of a kind of
finding is a factor on the false discovery rate at which it counts (`feedback`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from trendcast.anomalies.feedback import Trust

Key = tuple[str, str, str, str]

# The breadth of a level, the narrowest last; '' is everything.
_LEVELS = ("", "total", "region", "category", "store", "category_region", "category_store")


@dataclass(frozen=True)
class Rule:
    """``name``: high_loss, least_change, least_units or false_rate; for the node of ``key`` and all below it."""

    name: str
    key: Key
    value: float

    def fits(self, key: Key) -> bool:
        """Whether it holds for a node; the total's rule is of the total alone, that of '' of all."""
        if self.key[0] in ("", "total"):
            return self.key[0] in ("", key[0])
        return all(not mine or mine == its for mine, its in zip(self.key[1:], key[1:], strict=True))


@dataclass(frozen=True)
class Limits:
    """``of(name, key)`` is what is set, None where nothing is; ``trust`` what people's verdicts taught."""

    rules: tuple[Rule, ...] = ()
    trust: Trust = field(default_factory=Trust)

    @classmethod
    def plain(cls, limits: Mapping[str, float] | Limits | None) -> Limits:
        """Limits as they are, or of a mapping from a category ('' for all) to the loss that is HIGH."""
        if isinstance(limits, Limits):
            return limits
        return cls(
            tuple(
                Rule("high_loss", ("category" if name else "", name, "", ""), value)
                for name, value in (limits or {}).items()
            )
        )

    @classmethod
    def of_rows(cls, rows: Sequence[Sequence[object]], trust: Trust | None = None) -> Limits:
        """Of rows (name, level, product_category, region, store, value)."""
        rules = [
            Rule(str(row[0]), (str(row[1]), str(row[2]), str(row[3]), str(row[4])), float(str(row[5]))) for row in rows
        ]
        return cls(tuple(rules), trust or Trust())

    def of(self, name: str, key: Key) -> float | None:
        """The narrowest figure of this name that fits the node."""
        fitting = [rule for rule in self.rules if rule.name == name and rule.fits(key)]
        return max(fitting, key=lambda rule: _LEVELS.index(rule.key[0])).value if fitting else None

    def default(self, name: str, value: float) -> Limits:
        """With ``value`` for everything where nothing is set for all."""
        if any(rule.name == name and rule.key[0] == "" for rule in self.rules):
            return self
        return replace(self, rules=(*self.rules, Rule(name, ("", "", "", ""), value)))

    def times(self, factor: float, names: Sequence[str]) -> Limits:
        """With the figures of these names multiplied."""
        rules = [replace(rule, value=rule.value * factor) if rule.name in names else rule for rule in self.rules]
        return replace(self, rules=tuple(rules), trust=replace(self.trust, times=self.trust.times * factor))

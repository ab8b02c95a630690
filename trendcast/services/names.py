"""The nearest existing names, for a name that does not exist."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

# Comparing costs the product of the lengths; no name of ours is longer.
LONGEST = 100


def nearest(name: str, names: Iterable[str], count: int = 3) -> tuple[str, ...]:
    """At most ``count`` of ``names`` that look like ``name``, best first; case does not matter."""
    wanted = name.strip()[:LONGEST].casefold()
    if not wanted:
        return ()
    by_folded: dict[str, str] = {}
    for candidate in names:
        if candidate:
            by_folded.setdefault(candidate.casefold(), candidate)
    found = get_close_matches(wanted, by_folded, n=count, cutoff=0.6)
    # "Garden" for "Home & Garden": a part of a name is also a way to mean it.
    if len(found) < count and len(wanted) >= 3:
        parts = sorted((folded for folded in by_folded if wanted in folded and folded not in found), key=len)
        found += parts[: count - len(found)]
    return tuple(by_folded[folded] for folded in found)

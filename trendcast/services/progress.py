"""How long work says where it is: ``progress(stage, done, total, **facts)``."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[..., None]


def silent(*_: object, **__: object) -> None:
    """For whoever does not want to hear."""

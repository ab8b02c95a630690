"""Who is at the page, as the guard in front of the server has proven it."""

from __future__ import annotations

import streamlit as st

from trendcast.services import runtime
from trendcast.services.people import LOCAL, ROLES, Person, require


def actor() -> Person:
    """The person of this session. Without a login it is whoever sits at this machine; with one, whom the guard names,
    and somebody who may only look when it names nobody."""
    if runtime.process.settings.auth == "off":
        return LOCAL
    headers = st.context.headers
    name, role = headers.get("X-TrendCast-User", ""), headers.get("X-TrendCast-Role", "")
    return Person(name or "unknown", role if name and role in ROLES else "viewer")


def must(role: str) -> None:
    """NotAllowed unless this person may do what ``role`` may: asked again by whatever writes, as a hidden button is no
    lock."""
    require(actor(), role)

"""Who is at the page, as the guard in front of the server has proven it, and whether they still are."""

from __future__ import annotations

import time

import streamlit as st

from trendcast import logs
from trendcast.errors import Unauthenticated
from trendcast.services import runtime, sessions
from trendcast.services.people import LOCAL, ROLES, Person, require
from trendcast.ui import text

OVER = "Your session has ended: you signed out, or it is longer than eight hours ago that you signed in."


def actor() -> Person:
    """The person of this session; asked at each rerun and by whatever writes. Without a login it is whoever sits at
    this machine. Unauthenticated when the guard names nobody, and once the session is over: a websocket outlives it."""
    _remember_request()
    auth = runtime.process.settings.auth
    if auth == "off":
        return LOCAL
    name, role = _header("X-TrendCast-User"), _header("X-TrendCast-Role")
    if not name or role not in ROLES:
        raise Unauthenticated("Please sign in first.")
    if auth == "oidc":
        session = sessions.watch.find(runtime.database, runtime.clock(), _header("X-TrendCast-Session"))
        if session is None:
            raise Unauthenticated(OVER)
        return session.person
    # The proxy is asked when a page is loaded, so it is loaded anew from time to time.
    if time.time() - _since() > sessions.LONGEST.total_seconds():
        raise Unauthenticated(OVER)
    return Person(name, role)


def must(role: str) -> None:
    """NotAllowed unless this person may do what ``role`` may: asked again by whatever writes, as a hidden button is no
    lock."""
    require(actor(), role)


def badge() -> None:
    """Who is signed in, and the way out, for the sidebar; nothing without a login."""
    auth = runtime.process.settings.auth
    if auth == "off":
        return
    person = actor()
    with st.sidebar.container(key="shell_person"):
        st.caption(f"Signed in as {text.markdown(person.name)}, {person.role}")
        if auth == "oidc" and st.button("Sign out", icon=":material/logout:", key="shell_sign_out"):
            sign_out()


def sign_out() -> None:
    """End the session in every tab, and leave for the provider's own way out."""
    sessions.end(runtime.database(), runtime.clock(), _header("X-TrendCast-Session"))
    st.logout()
    st.stop()


def signed_out(error: Unauthenticated) -> None:
    """What stands in place of every page once the session is over."""
    with st.container(key="state_signed_out"):
        st.header("You are signed out", anchor=False)
        st.write(text.sentence(str(error)))
        if runtime.process.settings.auth != "oidc":
            st.write("Reload the page to sign in again.")
        elif st.button("Sign in", type="primary", icon=":material/login:", key="shell_sign_in"):
            st.login()


def _header(name: str) -> str:
    value = st.context.headers.get(name, "")
    try:
        return value.encode("latin-1").decode("utf-8")  # headers are bytes; ours are UTF-8
    except UnicodeError:
        return value


def _since() -> float:
    told = _header("X-TrendCast-Since")
    return float(told) if told.isdigit() else 0.0


def _remember_request() -> None:
    """Log lines and audit rows of this run carry the id of the page's connection."""
    logs.request_id.set(_header("X-Request-ID"))
    address = st.context.ip_address
    logs.request_address.set(address if isinstance(address, str) else "")  # none on the same machine

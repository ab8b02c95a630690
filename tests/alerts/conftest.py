"""A real mail server on this machine, with a certificate authority of its own."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from aiosmtpd.controller import Controller

from tests.alerts.office import PASSWORD, USER, Certificates, Postbox
from tests.waiting import free_port
from trendcast.alerts.mail import Route


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates(tmp_path_factory.mktemp("certificates"), "Good Authority")


@pytest.fixture
def post_office(authority: Certificates) -> Iterator[Callable[..., tuple[Postbox, Route]]]:
    """``post_office()`` starts a mail server with STARTTLS and a login; returns its postbox and the route to it."""
    running: list[Controller] = []

    def start(
        *,
        context: ssl.SSLContext | None = None,
        starttls: bool = True,
        login: bool = True,
        port: int = 0,
        **route: Any,
    ) -> tuple[Postbox, Route]:
        box = Postbox()
        encrypted = context or authority.server("localhost")
        port = port or free_port()
        controller = Controller(
            box,
            hostname="127.0.0.1",
            port=port,
            tls_context=encrypted if starttls else None,
            require_starttls=starttls,
            authenticator=box.authenticate if login else None,
            auth_required=login,
            auth_require_tls=starttls,
        )
        controller.start()
        running.append(controller)
        facts = {
            "server": "localhost",
            "port": port,
            "user": USER if login else "",
            "password": PASSWORD if login else "",
            "sender": "TrendCast <alerts@shop.example>",
            "ca_file": str(authority.file),
        }
        return box, Route(**{**facts, **route})

    yield start
    for controller in running:
        controller.stop()

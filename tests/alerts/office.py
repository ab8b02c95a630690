"""A real mail server on this machine, with a certificate authority of its own; and time that passes for the outbox."""

from __future__ import annotations

import datetime as dt
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from trendcast.alerts.mail import Route
from trendcast.store.engine import Database

USER, PASSWORD = "retail", "open sesame"


class Postbox:
    """What the server does with mail: keeps it, or answers as told. ``answers``: step -> replies, used one by one;
    ``when``: step -> what happens elsewhere while the sender waits for the answer to it."""

    def __init__(self) -> None:
        self.mails: list[Envelope] = []
        self.answers: dict[str, list[str]] = {}
        self.when: dict[str, Callable[[], None]] = {}
        self.hang_up_after_data = 0
        self.hang_up_on: set[str] = set()  # recipients whose mail it never answers for
        self.delay = 0.0
        self.logins: list[str] = []

    def _answer(self, step: str, usual: str) -> str:
        self.when.pop(step, lambda: None)()
        waiting = self.answers.get(step, [])
        return waiting.pop(0) if waiting else usual

    async def handle_MAIL(self, server: SMTP, session: Session, envelope: Envelope, address: str, options: Any) -> str:
        answer = self._answer("mail", "250 OK")
        if answer.startswith("250"):
            envelope.mail_from = address
        return answer

    async def handle_RCPT(self, server: SMTP, session: Session, envelope: Envelope, address: str, options: Any) -> str:
        answer = self._answer(f"rcpt {address}", self._answer("rcpt", "250 OK"))
        if answer.startswith("250"):
            envelope.rcpt_tos.append(address)
        return answer

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        import asyncio

        answer = self._answer("data", "250 OK queued")
        if answer.startswith("250"):
            self.mails.append(envelope)
        await asyncio.sleep(self.delay)
        self.when.pop("kept", lambda: None)()
        if self.hang_up_after_data or self.hang_up_on & set(envelope.rcpt_tos):
            self.hang_up_after_data = max(0, self.hang_up_after_data - 1)
            server.transport.abort()  # it has the mail, and nobody hears that it does
        return answer

    def authenticate(self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: Any) -> AuthResult:
        assert isinstance(data, LoginPassword)
        self.logins.append(data.login.decode())
        good = (data.login, data.password) == (USER.encode(), PASSWORD.encode())
        return AuthResult(success=good, handled=False)


class Certificates:
    """A certificate authority, and certificates it signs."""

    def __init__(self, folder: Path, name: str) -> None:
        from cryptography import x509
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.asymmetric import ec
        from cryptography.x509.oid import NameOID

        self.folder, self._x509, self._serialization = folder, x509, serialization
        self._make_key = lambda: ec.generate_private_key(ec.SECP256R1())
        self._key = self._make_key()
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        authority = self._builder(self._name, self._key).add_extension(
            x509.BasicConstraints(ca=True, path_length=None), critical=True
        )
        authority = authority.add_extension(
            x509.KeyUsage(
                digital_signature=True,
                key_cert_sign=True,
                crl_sign=True,
                content_commitment=False,
                key_encipherment=False,
                data_encipherment=False,
                key_agreement=False,
                encipher_only=False,
                decipher_only=False,
            ),
            critical=True,
        )
        identifier = x509.SubjectKeyIdentifier.from_public_key(self._key.public_key())
        self._identifier = identifier
        self.file = folder / f"{name}.pem"
        signed = authority.add_extension(identifier, critical=False).sign(self._key, _sha256())
        self.file.write_bytes(signed.public_bytes(serialization.Encoding.PEM))

    def _builder(self, subject: Any, key: Any) -> Any:
        now = dt.datetime.now(dt.UTC)
        return (
            self._x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(self._x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(days=1))
            .not_valid_after(now + dt.timedelta(days=2))
        )

    def server(self, host: str) -> ssl.SSLContext:
        """What a server called ``host`` shows."""
        from cryptography.x509.oid import NameOID

        key = self._make_key()
        subject = self._x509.Name([self._x509.NameAttribute(NameOID.COMMON_NAME, host)])
        authority = self._x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(self._identifier)
        signed = (
            self._builder(subject, key)
            .add_extension(self._x509.SubjectAlternativeName([self._x509.DNSName(host)]), critical=False)
            .add_extension(authority, critical=False)
            .sign(self._key, _sha256())
        )
        file = self.folder / f"{host}-{id(key)}.pem"
        file.write_bytes(
            key.private_bytes(
                self._serialization.Encoding.PEM,
                self._serialization.PrivateFormat.PKCS8,
                self._serialization.NoEncryption(),
            )
            + signed.public_bytes(self._serialization.Encoding.PEM)
        )
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(file)
        return context


def _sha256() -> Any:
    from cryptography.hazmat.primitives import hashes

    return hashes.SHA256()


def pass_time(db: Database, seconds: float) -> None:
    """Let time pass for what is to be sent. Its clock is the database's, which cannot be set: so every moment that was
    noted moves back instead."""
    moments = ("next_attempt_at", "lease_until", "created", "sent_at", "deadline")
    with db.transaction() as connection:
        for table, names in (("outbox", moments), ("channel_state", ("next_probe_at", "failing_since", "last_ok"))):
            earlier = ", ".join(f"{name} = {name} - make_interval(secs => %(seconds)s)" for name in names)
            connection.exec_driver_sql(f"UPDATE {table} SET {earlier}", {"seconds": seconds})


def environment(route: Route, **more: str) -> dict[str, str]:
    """The settings that lead to the mail server of ``route``."""
    return {
        "SMTP_SERVER": route.server,
        "SMTP_PORT": str(route.port),
        "SMTP_CA_FILE": route.ca_file,
        "EMAIL_USER": route.user,
        "EMAIL_PASSWORD": route.password,
        "ALERT_FROM_EMAIL": route.sender,
        **more,
    }

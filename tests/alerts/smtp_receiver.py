"""A mail server on loopback with STARTTLS and AUTH, and the certificate authority that vouches for it."""

from __future__ import annotations

import socket
import socketserver
import ssl
import struct
import threading
from base64 import b64decode
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

USER, PASSWORD = "monitor-user", "p4ssword/with+signs"


def make_tls(folder: Path, *names: str) -> ssl.SSLContext:
    """A server's TLS with a certificate for `names`; `folder/ca.pem` is what clients must trust (SSL_CERT_FILE)."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "authority of tests")])
    listed = [_general_name(name) for name in names]
    now = datetime.now(UTC)
    usage = x509.KeyUsage(True, False, False, False, False, True, True, False, False)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.SubjectAlternativeName(listed), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    (folder / "ca.pem").write_bytes(certificate.public_bytes(pem))
    (folder / "key.pem").write_bytes(key.private_bytes(pem, form, serialization.NoEncryption()))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "ca.pem", folder / "key.pem")
    return context


def _general_name(name: str) -> x509.GeneralName:
    return x509.IPAddress(ip_address(name)) if name[0].isdigit() else x509.DNSName(name)


@dataclass
class Mailbox:
    """A running server. `commands` are all lines it got, each with whether TLS was on."""

    port: int
    tls: ssl.SSLContext | None
    script: list[Mapping[str, str]]
    needs_login: bool = False
    implicit: bool = False
    commands: list[tuple[bool, str]] = field(default_factory=list)
    delivered: list[EmailMessage] = field(default_factory=list)


@contextmanager
def smtp_receiver(
    tls: ssl.SSLContext | None,
    script: Sequence[Mapping[str, str]] = (),
    *,
    needs_login: bool = False,
    implicit: bool = False,
) -> Iterator[Mailbox]:
    """A mail server; each session takes a mapping off the script: command (`MAIL`, `RCPT`, `DATA`, `BODY`, `AUTH`,
    or `RCPT name@host`) -> answer such as `451 later`, or `reset`. Without `tls` it does not offer STARTTLS;
    `implicit`: TLS from the first byte, as on port 465.
    """
    server = _Server(("127.0.0.1", 0), _Session)
    server.mailbox = Mailbox(server.server_address[1], tls, list(script), needs_login, implicit)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server.mailbox
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Server(socketserver.ThreadingTCPServer):
    mailbox: Mailbox

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that has gone away is what some tests are about."""


class _Session(socketserver.StreamRequestHandler):
    server: _Server

    def handle(self) -> None:
        self.box = self.server.mailbox
        self.faults = self.box.script.pop(0) if self.box.script else {}
        self.is_secure = self.is_known = False
        if self.box.implicit:
            self._encrypt()
        self._say("220 mail.test ready")
        while line := self.rfile.readline().decode().rstrip("\r\n"):
            self.box.commands.append((self.is_secure, line))
            verb = line.split(" ")[0].upper()
            fault = self.faults.get(verb) or self.faults.get(f"{verb} {line.partition('<')[2].partition('>')[0]}")
            if fault == "reset":
                return self._reset()
            if fault:
                self._say(fault)
            elif getattr(self, f"do_{verb.lower()}", self._unknown)(line) == "over":
                return None
        return None

    def finish(self) -> None:
        super().finish()
        self.rfile.close()
        self.connection.close()

    def do_ehlo(self, _line: str) -> None:
        offered = [
            "mail.test",
            *(["STARTTLS"] if self.box.tls and not self.is_secure else []),
            "AUTH PLAIN",
            "8BITMIME",
        ]
        for i, word in enumerate(offered):
            self._say(f"250{'-' if i < len(offered) - 1 else ' '}{word}")

    def do_starttls(self, _line: str) -> None:
        self._say("220 go ahead")
        self._encrypt()

    def _encrypt(self) -> None:
        assert self.box.tls is not None
        self.connection = self.box.tls.wrap_socket(self.connection, server_side=True)
        self.rfile.close()
        self.rfile, self.wfile = self.connection.makefile("rb"), self.connection.makefile("wb", 0)
        self.is_secure = True

    def do_auth(self, line: str) -> None:
        _, user, password = b64decode(line.split(" ")[2]).decode().split("\0")
        self.is_known = (user, password) == (USER, PASSWORD)
        self._say("235 welcome" if self.is_known else f"535 wrong: {user} {password}")

    def do_mail(self, _line: str) -> None:
        self._say("250 ok" if self.is_known or not self.box.needs_login else "530 log in first")

    def do_rcpt(self, _line: str) -> None:
        self._say("250 ok")

    do_rset = do_noop = do_rcpt

    def do_data(self, _line: str) -> str | None:
        self._say("354 go on")
        lines = []
        while (line := self.rfile.readline()) not in (b".\r\n", b""):
            lines.append(line.removeprefix(b"."))
        fault = self.faults.get("BODY")
        if fault == "reset":
            self._reset()
            return "over"
        if not fault:
            self.box.delivered.append(message_from_bytes(b"".join(lines), policy=default))  # type: ignore[arg-type]
        self._say(fault or "250 taken")
        return None

    def do_quit(self, _line: str) -> str:
        self._say("221 bye")
        return "over"

    def _unknown(self, _line: str) -> None:
        self._say("502 unknown")

    def _say(self, text: str) -> None:
        self.wfile.write(f"{text}\r\n".encode())

    def _reset(self) -> None:
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()

"""E-mail by SMTP: TLS always, the certificate checked, a Message-ID that stays the same when a message is sent twice."""

from __future__ import annotations

import os
import re
import smtplib
from email.message import EmailMessage
from email.policy import SMTP as SMTP_POLICY
from email.utils import format_datetime
from socket import socket
from typing import Any

from bq_monitor.alerts.messages import Message
from bq_monitor.alerts.senders.addresses import Line, dial, encrypt, resolve, tls_context
from bq_monitor.alerts.senders.base import Undelivered
from bq_monitor.alerts.senders.channel import ChannelSender
from bq_monitor.alerts.senders.deadline import within
from bq_monitor.alerts.senders.text import clean, plain, wording

TLS_PORT = 465
MAX_SUBJECT = 200
MAX_ITEMS = 50


class EmailSender(ChannelSender):
    def send(self, message: Message) -> None:
        """Returns when the server has taken the message for every recipient."""
        login = self._login()
        mail = self._mail(message)
        within(self.timeout_seconds, self._where, lambda line: self._deliver(line, login, mail))

    @property
    def _where(self) -> str:
        return f"{self.place}: {self.channel.host}:{self.channel.port}"

    def _login(self) -> tuple[str, str] | None:
        """User and password; None where nothing is said of them and the environment has neither."""
        user, password = self.channel.reference("username"), self.channel.reference("password")
        said = self.channel.username or self.channel.password
        if not said and not any(os.environ.get(reference.removeprefix("env:")) for reference in (user, password)):
            return None
        return self.secrets.get(user).reveal(), self.secrets.get(password).reveal()

    def _mail(self, message: Message) -> EmailMessage:
        mail = EmailMessage(policy=SMTP_POLICY)
        domain = str(self.channel.sender).rpartition("@")[2]
        name = re.sub(r"[^\w.-]", "_", message.notification_id, flags=re.ASCII)[:100]
        mail["Subject"] = clean(message.title, MAX_SUBJECT)
        mail["From"] = self.channel.sender
        mail["To"] = ", ".join(self.channel.to)
        mail["Date"] = format_datetime(message.created_at)
        mail["Message-ID"] = f"<{name}@{domain}>"
        mail["Auto-Submitted"] = "auto-generated"
        mail.set_content(plain(wording(message, MAX_ITEMS)), cte="quoted-printable")
        return mail

    def _deliver(self, line: Line, login: tuple[str, str] | None, mail: EmailMessage) -> bool:
        try:
            server = self._connect(line)
            try:
                if login:
                    server.login(*login)
                refused = server.send_message(mail, self.channel.sender, self.channel.to)
            finally:
                server.close()
        except smtplib.SMTPException as error:
            raise self._fault(error) from None
        if refused:
            raise self._fault(smtplib.SMTPRecipientsRefused(refused))
        return True

    def _connect(self, line: Line) -> smtplib.SMTP:
        """A session under TLS; the server has not been told anything before."""
        host, port = str(self.channel.host), self.channel.port
        addresses = resolve(self.place, host, port, allow_private=self.channel.allow_private)
        sock: socket = dial(addresses, port, line)
        if port == TLS_PORT:
            sock = encrypt(sock, host)
        server = _Session(sock, host, port, str(self.channel.sender).rpartition("@")[2], line.seconds_left)
        if port != TLS_PORT:
            try:
                server.starttls(context=tls_context())
                server.ehlo()
            except BaseException:
                server.close()
                raise
        return server

    def _fault(self, error: smtplib.SMTPException) -> Undelivered:
        """What the server said, by its code."""
        if isinstance(error, smtplib.SMTPRecipientsRefused):
            return self._refused(error)
        if isinstance(error, smtplib.SMTPNotSupportedError):
            reason = f"{self._where}: the server lacks STARTTLS, AUTH or SMTPUTF8; nothing was sent"
            return Undelivered(f"{reason}. Use a port with TLS", retry="later")
        if not isinstance(error, smtplib.SMTPResponseException):
            kind = type(error).__name__
            retry, remedy = ("soon", "It is tried again") if kind == "SMTPServerDisconnected" else ("later", "Check it")
            return Undelivered(f"{self._where}: the session failed ({kind}). {remedy}", retry=retry)  # type: ignore[arg-type]
        code = error.smtp_code
        if isinstance(error, smtplib.SMTPAuthenticationError) and code >= 500:
            reason = f"{self._where}: the login is refused ({code}). Check username and password"
            return Undelivered(reason, retry="later")
        reason = f"{self._where}: the server answered {code} {self._said(error.smtp_error)}".rstrip()
        return Undelivered(reason, retry="never" if code >= 500 else "soon")

    def _refused(self, error: smtplib.SMTPRecipientsRefused) -> Undelivered:
        """Who does not get it; that some do get it is said, since another attempt would tell them again."""
        answers: dict[str, Any] = error.recipients
        listed = "; ".join(f"{to} ({code} {self._said(text)})" for to, (code, text) in sorted(answers.items()))
        is_part = len(answers) < len(self.channel.to)
        others = "the others have it" if is_part else "nobody has it"
        retry = "never" if is_part or all(code >= 500 for code, _ in answers.values()) else "soon"
        return Undelivered(f"{self._where}: recipients are refused: {listed}; {others}", retry=retry)  # type: ignore[arg-type]

    def _said(self, text: bytes | str) -> str:
        words = text.decode(errors="replace") if isinstance(text, bytes) else text
        return clean(self.secrets.redact(words), 200)


class _Session(smtplib.SMTP):
    """SMTP on a connection that is there already, to an address that was checked."""

    def __init__(self, sock: socket, host: str, port: int, own_name: str, timeout: float) -> None:
        self._dialled = sock
        try:
            super().__init__(host, port, local_hostname=own_name, timeout=timeout)
        except BaseException:
            sock.close()
            raise

    def _get_socket(self, host: str, port: int, timeout: float) -> socket:
        return self._dialled

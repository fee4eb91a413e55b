"""E-mail goes out under TLS or not at all, once a message, and the server's codes say when to try again."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from bq_monitor.alerts.secrets import Secrets
from bq_monitor.alerts.senders import email, sender_for
from bq_monitor.alerts.senders.base import Sender
from bq_monitor.alerts.settings import Channel
from tests.alerts.samples import HOSTILE, LONG, make_message, refused
from tests.alerts.smtp_receiver import PASSWORD, USER, Mailbox, make_tls, smtp_receiver

TO = ["a@risk.test", "b@risk.test"]


@pytest.fixture
def tls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A server's certificate for this machine, by an authority that is trusted."""
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    return make_tls(tmp_path, "127.0.0.1")


def sender_to(box: Mailbox, monkeypatch: pytest.MonkeyPatch, *, login: bool = False, **changes: Any) -> Sender:
    if login:
        monkeypatch.setenv("BQ_MONITOR_EMAIL_USERNAME", USER)
        monkeypatch.setenv("BQ_MONITOR_EMAIL_PASSWORD", changes.pop("password", PASSWORD))
    said = {"type": "email", "host": "127.0.0.1", "port": box.port, "sender": "monitor@house.test", "to": TO,
            "allow_private": True, **changes}  # fmt: skip
    return sender_for(Channel(**said), Secrets(), timeout_seconds=5.0)


@pytest.mark.parametrize("login", [True, False])
def test_mail_arrives_under_tls(login: bool, tls: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before TLS the server hears no more than EHLO and STARTTLS; a login is made where one is set up."""
    with smtp_receiver(tls, needs_login=login) as box:
        sender_to(box, monkeypatch, login=login).send(make_message())
    (mail,) = box.delivered
    assert [line.split(" ")[0].upper() for is_secure, line in box.commands if not is_secure] == ["EHLO", "STARTTLS"]
    assert any(line.startswith("AUTH") for _, line in box.commands) == login
    assert (mail["Subject"], mail["From"], mail["To"]) == (
        "loans: 1 alerts opened",
        "monitor@house.test",
        ", ".join(TO),
    )
    text = mail.get_content()
    assert text.index("loans: 1 alerts opened") < text.index("How sure: 99 % sure") < text.index("Owner: Risk team")


def test_port_465_begins_with_tls(tls: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """No word is said in the clear; there is no STARTTLS."""
    with smtp_receiver(tls, implicit=True) as box:
        monkeypatch.setattr(email, "TLS_PORT", box.port)
        sender_to(box, monkeypatch, login=True).send(make_message())
    assert len(box.delivered) == 1
    assert {is_secure for is_secure, _ in box.commands} == {True}


def test_a_message_sent_twice_has_one_id(tls: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """By which a mailbox drops the second."""
    with smtp_receiver(tls) as box:
        for _ in range(2):
            sender_to(box, monkeypatch).send(make_message())
    assert [mail["Message-ID"] for mail in box.delivered] == ["<n-1@house.test>"] * 2


@pytest.mark.parametrize("text", [HOSTILE + "\r\nBcc: everyone@house.test", LONG])
def test_hostile_text_adds_no_header(text: str, tls: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The subject is one line of at most 200 characters."""
    with smtp_receiver(tls) as box:
        sender_to(box, monkeypatch).send(make_message(500, text))
    (mail,) = box.delivered
    assert set(mail.keys()) == {
        "Subject", "From", "To", "Date", "Message-ID", "Auto-Submitted", "Content-Type", "Content-Transfer-Encoding", "MIME-Version",
    }  # fmt: skip
    assert len(mail["Subject"]) <= 200
    assert "and 450 more" in mail.get_content()
    assert "\u202e" not in mail.get_content()


@pytest.mark.parametrize("login", [True, False])
def test_a_server_without_tls_gets_nothing(login: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither password nor message."""
    with smtp_receiver(None) as box:
        assert refused(lambda: sender_to(box, monkeypatch, login=login).send(make_message())).retry == "later"
    assert {line.split(" ")[0].upper() for _, line in box.commands} == {"EHLO"}


@pytest.mark.parametrize("implicit", [True, False])
def test_a_certificate_of_another_name_is_refused(
    implicit: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before anything is said."""
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    with smtp_receiver(make_tls(tmp_path, "other.test"), implicit=implicit) as box:
        if implicit:
            monkeypatch.setattr(email, "TLS_PORT", box.port)
        error = refused(lambda: sender_to(box, monkeypatch, login=True).send(make_message()))
    assert error.retry == "later"
    assert "certificate is refused" in error.reason
    assert not any(is_secure for is_secure, _ in box.commands)


def test_private_hosts_are_refused(tls: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Unless that is said."""
    with smtp_receiver(tls) as box:
        error = refused(lambda: sender_to(box, monkeypatch, allow_private=False).send(make_message()))
    assert (error.retry, box.commands) == ("later", [])


@pytest.mark.parametrize(
    ("fault", "retry"),
    [({"MAIL": "451 busy"}, "soon"), ({"MAIL": "550 not you"}, "never"), ({"BODY": "452 full"}, "soon"), ({"BODY": "554 spam"}, "never"),
     ({"DATA": "421 closing"}, "soon"), ({"BODY": "reset"}, "soon"), ({"EHLO": "reset"}, "soon"), ({"STARTTLS": "454 no TLS now"}, "soon"),
     ({"RCPT": "550 nobody"}, "never"), ({"RCPT": "451 greylisted"}, "soon"), ({"AUTH": "454 later"}, "soon"), ({"AUTH": "535 no"}, "later")],
)  # fmt: skip
def test_a_code_says_when_to_try_again(
    fault: Mapping[str, str], retry: str, tls: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """4xx and resets pass, a login must be mended, what else is 5xx is not wanted; the next session works."""
    with smtp_receiver(tls, [fault]) as box:
        sender = sender_to(box, monkeypatch, login=True)
        assert refused(lambda: sender.send(make_message())).retry == retry
        sender.send(make_message())
    assert len(box.delivered) == 1


def test_refused_recipients_are_named(tls: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who does not get it, and that the others do: another attempt would tell them again."""
    with smtp_receiver(tls, [{"RCPT b@risk.test": "550 nobody"}]) as box:
        error = refused(lambda: sender_to(box, monkeypatch).send(make_message()))
    assert error.retry == "never"
    assert error.reason.endswith("recipients are refused: b@risk.test (550 nobody); the others have it")
    assert len(box.delivered) == 1


def test_a_wrong_password_is_not_repeated(tls: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The server of tests repeats it, the error does not."""
    wrong = PASSWORD[::-1]
    with smtp_receiver(tls) as box:
        error = refused(lambda: sender_to(box, monkeypatch, login=True, password=wrong).send(make_message()))
    assert error.retry == "later"
    assert wrong not in str(error)


def test_half_a_login_is_a_fault(tls: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A password without a user is not silently left out."""
    monkeypatch.setenv("BQ_MONITOR_EMAIL_PASSWORD", PASSWORD)
    with smtp_receiver(tls) as box:
        error = refused(lambda: sender_to(box, monkeypatch).send(make_message()))
    assert "env:BQ_MONITOR_EMAIL_USERNAME" in error.reason

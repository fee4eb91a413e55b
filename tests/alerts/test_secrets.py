"""Secrets come from where their reference says, and show up nowhere else."""

from __future__ import annotations

import copy
import json
import pickle
import urllib.parse
from base64 import b64encode, urlsafe_b64encode

import google.auth
import google.auth.exceptions
import pytest

from bq_monitor.alerts.secrets import Secret, Secrets
from bq_monitor.alerts.senders import google_api
from bq_monitor.errors import InputError
from tests.alerts.receivers import HIDDEN, RESET, ROUTING_KEY, TOKEN, Fault, Receiver, receiver
from tests.alerts.samples import refused

VALUE = "p4ss/word+with=signs"
URL = f"https://hooks.test/services/T0SECRET/{HIDDEN}?sig=s1gnature%2Fs1gnature&api=1"


def manager(running: Receiver, monkeypatch: pytest.MonkeyPatch) -> Secrets:
    monkeypatch.setattr(google_api, "SECRET_MANAGER", running.url)
    return Secrets(lambda: TOKEN)


def test_a_secret_shows_nothing() -> None:
    """Neither printed, formatted, copied, pickled nor as JSON; `reveal` alone gives it."""
    secret = Secret(VALUE)
    assert VALUE not in f"{secret} {secret!r} {secret:>40} {[secret]} {'%s' % secret}"  # noqa: UP031
    for write in (pickle.dumps, copy.copy, copy.deepcopy, json.dumps):
        with pytest.raises(TypeError) as caught:
            write(secret)  # type: ignore[operator]
        assert VALUE not in str(caught.value)
    assert secret.reveal() == VALUE


def test_a_secret_of_the_environment_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the line break that a file left at its end."""
    monkeypatch.setenv("A_KEY", f"{VALUE}\n")
    secrets = Secrets()
    first = secrets.get("env:A_KEY")
    monkeypatch.delenv("A_KEY")
    assert (first.reveal(), secrets.get("env:A_KEY")) == (VALUE, first)
    assert VALUE not in repr(secrets)


@pytest.mark.parametrize("value", [None, "", "  "])
def test_a_missing_secret_is_named_by_its_reference(value: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody must set it."""
    monkeypatch.delenv("A_KEY", raising=False)
    if value is not None:
        monkeypatch.setenv("A_KEY", value)
    error = refused(lambda: Secrets().get("env:A_KEY"))
    assert error.retry == "later"
    assert error.reason.startswith("env:A_KEY: there is no such secret")


def test_what_is_no_reference_is_not_repeated() -> None:
    """It may be the secret itself."""
    with pytest.raises(InputError) as caught:
        Secrets().get(VALUE)
    assert VALUE not in str(caught.value)


@pytest.mark.parametrize("version", ["", "/versions/latest", "/versions/1"])
def test_a_secret_of_secret_manager_is_fetched_once(version: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a token of Google's, the latest version unless one is said."""
    with receiver("secret_manager") as running:
        secrets = manager(running, monkeypatch)
        found = [secrets.get(f"secret:projects/p/secrets/s{version}").reveal() for _ in range(2)]
    assert found == [ROUTING_KEY] * 2
    assert running.delivered == [f"/v1/projects/p/secrets/s{version or '/versions/latest'}:access"]


@pytest.mark.parametrize(
    ("fault", "retry"),
    [(Fault(403, TOKEN.encode()), "later"), (Fault(404), "later"), (Fault(200, b'{"payload": {"data": "!"}}'), "later"),
     (Fault(200, b'{"payload": {"data": "/w=="}}'), "later"), (Fault(200, b"[]"), "later"), (Fault(200, b"R0123456789"), "later"),
     (Fault(503), "soon"), (RESET, "soon")],
)  # fmt: skip
def test_secret_manager_that_does_not_give_it(fault: Fault, retry: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error names the reference and nothing of the answer; the next attempt asks again."""
    with receiver("secret_manager", [fault]) as running:
        secrets = manager(running, monkeypatch)
        error = refused(lambda: secrets.get("secret:projects/p/secrets/s"))
        assert secrets.get("secret:projects/p/secrets/s").reveal() == ROUTING_KEY
    assert error.retry == retry
    assert error.reason.startswith("secret:projects/p/secrets/s:")


def test_known_secrets_are_taken_out_of_texts(monkeypatch: pytest.MonkeyPatch) -> None:
    """As they are, percent-encoded, and in base64 at any offset; the rest of the text stays."""
    monkeypatch.setenv("A_KEY", VALUE)
    secrets = Secrets()
    assert secrets.redact(VALUE) == VALUE
    secrets.get("env:A_KEY")
    for form in (VALUE, urllib.parse.quote(VALUE), urllib.parse.quote(VALUE, safe=""), b64encode(VALUE.encode()).decode(),
                 urlsafe_b64encode(VALUE.encode()).decode()):  # fmt: skip
        assert secrets.redact(f"before {form} after") == "before *** after"
    for user in ("", "u", "us"):
        inside = b64encode(f"{user}{VALUE}!".encode()).decode()
        assert "***" in secrets.redact(inside)


def test_of_a_url_path_and_query_are_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    """In whole and in their long parts; the host may be shown."""
    monkeypatch.setenv("A_URL", URL)
    secrets = Secrets()
    secrets.get("env:A_URL")
    assert secrets.redact(f"POST {URL}") == "POST ***"
    assert secrets.redact(f"POST /services/T0SECRET/{HIDDEN}") == "POST ***"
    assert secrets.redact("sig=s1gnature%2Fs1gnature was wrong") == "sig=*** was wrong"
    assert secrets.redact("sig=s1gnature/s1gnature was wrong") == "sig=*** was wrong"
    assert secrets.redact("hooks.test said no") == "hooks.test said no"


def test_short_secrets_leave_texts_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Five characters occur everywhere."""
    monkeypatch.setenv("A_KEY", "error")
    secrets = Secrets()
    secrets.get("env:A_KEY")
    assert secrets.redact("an error") == "an error"


def test_no_credentials_is_for_somebody_to_mend(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a token of one's own, Google's default credentials are asked."""

    def default(**_: object) -> None:
        raise google.auth.exceptions.DefaultCredentialsError(HIDDEN)

    monkeypatch.setattr(google.auth, "default", default)
    error = refused(lambda: Secrets().google_token())
    assert error.retry == "later"
    assert "gcloud auth application-default login" in error.reason


def test_the_token_of_the_default_credentials_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is refreshed, and taken out of texts."""

    class Credentials:
        token = None

        def refresh(self, _request: object) -> None:
            self.token = "ya29.refreshed"  # type: ignore[assignment]  # noqa: S105

    monkeypatch.setattr(google.auth, "default", lambda **_: (Credentials(), "p"))
    secrets = Secrets()
    assert secrets.google_token().reveal() == "ya29.refreshed"
    assert secrets.redact("Bearer ya29.refreshed") == "Bearer ***"

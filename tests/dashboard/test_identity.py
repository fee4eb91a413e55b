"""Who may change alerts: a name given at the start, or one that Identity-Aware Proxy signed, and nobody else."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Mapping
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from google.auth import crypt, jwt

from bq_monitor.dashboard.identity import (
    HEADER,
    ISSUER,
    MAX_SESSION_SECONDS,
    Desk,
    GoogleCerts,
    IdentityError,
    require_one,
    verified,
)
from bq_monitor.errors import InputError

EVERYWHERE = "0.0.0.0"  # noqa: S104 - never listened on
AUDIENCE = "/projects/12/global/backendServices/34"
KEY, OTHER_KEY = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())


def public(key: ec.EllipticCurvePrivateKey) -> str:
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return key.public_key().public_bytes(serialization.Encoding.PEM, form).decode()


CERTS = {"k1": public(KEY)}


def token(key: ec.EllipticCurvePrivateKey = KEY, key_id: str = "k1", **changes: Any) -> str:
    now = int(time.time())
    claims = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "iat": now - 10,
        "exp": now + 86_400,  # tests of a long suite are collected long before they run
        "email": "ann@acme.com",
        "sub": "accounts:1",
    } | changes
    signer = crypt.EsSigner(key, key_id)  # type: ignore[no-untyped-call]
    return jwt.encode(signer, {k: v for k, v in claims.items() if v is not None}).decode()


def part(data: Mapping[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(data).encode()).decode().rstrip("=")


def unsigned(**header: Any) -> str:
    _, claims, _ = token().split(".")
    return f"{part(header)}.{claims}."


def test_a_signed_assertion_names_who_looks() -> None:
    """The e-mail address of the claims, nothing else."""
    assert verified(token(), AUDIENCE, lambda: CERTS) == "ann@acme.com"


@pytest.mark.parametrize(
    ("given", "why"),
    [
        (None, HEADER),
        ("", HEADER),
        ("ann@acme.com", "does not hold"),
        ("a.b.c", "does not hold"),
        (token(aud="/projects/12/global/backendServices/35"), "audience"),
        (token(aud=None), "audience"),
        (token(iss="https://accounts.google.com"), "issued by"),
        (token(iss=None), "issued by"),
        (token(exp=int(time.time()) - 3600, iat=int(time.time()) - 7200), "expired"),
        (token(iat=int(time.time()) + 3600), "too early"),
        (token(email=None), "no e-mail"),
        (token(email=["ann@acme.com"]), "no e-mail"),
        (token(OTHER_KEY), "signature"),
        (token(key_id="k2"), "not found"),
        (unsigned(alg="none", typ="JWT"), "ES256"),
        (unsigned(alg="ES256", typ="JWT", kid="k1"), "does not hold"),
        (unsigned(alg="HS256", typ="JWT", kid="k1"), "ES256"),
        (unsigned(typ="JWT"), "ES256"),
    ],
)
def test_whatever_is_wrong_with_an_assertion_is_refused(given: str | None, why: str) -> None:
    """Absent, unsigned, signed by another key, for somebody else, from somebody else, too old, of nobody."""
    with pytest.raises(IdentityError, match=why):
        verified(given, AUDIENCE, lambda: CERTS)


def test_claims_that_were_changed_are_refused() -> None:
    """A signature holds for its own claims only."""
    head, _, signature = token().split(".")
    _, claims, _ = token(email="eve@acme.com").split(".")
    with pytest.raises(IdentityError, match="signature"):
        verified(f"{head}.{claims}.{signature}", AUDIENCE, lambda: CERTS)


def test_without_either_nobody_may_change_anything() -> None:
    """Even with a good assertion: its audience was not said."""
    who = Desk().who(token(), {}, 0.0)
    assert who.name is None
    assert "read-only" in who.why
    assert Desk(name="ann").who(None, {}, 0.0).name == "ann"


def test_an_identity_is_verified_once_and_holds_an_hour() -> None:
    """A session outlives the minutes of its assertion, but not by more; another token is verified anew."""
    asked: list[int] = []
    desk, seen, now = Desk(audience=AUDIENCE, certs=lambda: asked.append(1) or CERTS), {}, 1000.0  # type: ignore[func-returns-value, var-annotated]
    good = token()
    assert desk.who(good, seen, now).name == "ann@acme.com"
    assert desk.who(good, seen, now + MAX_SESSION_SECONDS - 1).name == "ann@acme.com"
    assert len(asked) == 1
    assert desk.who(good, seen, now + MAX_SESSION_SECONDS).name == "ann@acme.com"
    assert len(asked) == 2
    late = desk.who(token(aud="other"), seen, now)
    assert late.name is None
    assert "audience" in late.why
    assert desk.who(None, seen, now).name is None


def test_the_keys_are_fetched_once_an_hour() -> None:
    """And whoever cannot read them lets nobody in."""
    asked: list[int] = []
    moment = [0.0]
    certs = GoogleCerts(lambda: asked.append(1) or json.dumps(CERTS).encode(), lambda: moment[0])  # type: ignore[func-returns-value]
    assert [dict(certs()), dict(certs()), len(asked)] == [CERTS, CERTS, 1]
    moment[0] = 3600.0
    certs()
    assert len(asked) == 2
    for answer in (b"<html>", b"[]"):
        with pytest.raises(IdentityError, match="cannot be read"):
            GoogleCerts(lambda answer=answer: answer)()  # type: ignore[misc]


@pytest.mark.parametrize(
    ("name", "audience", "host", "why"),
    [("ann", "aud", "127.0.0.1", "one of them"), ("ann", None, EVERYWHERE, "everyone would act"), (" ", None, "127.0.0.1", "--as: got an empty"),
     (None, "", EVERYWHERE, "--iap-audience: got an empty")],
)  # fmt: skip
def test_identities_that_are_none_are_refused(name: str | None, audience: str | None, host: str, why: str) -> None:
    """Two at once, an empty one, and one name for everybody who can reach the page."""
    with pytest.raises(InputError, match=why):
        require_one(name, audience, host)


def test_a_name_on_this_machine_and_an_audience_anywhere_are_allowed() -> None:
    """Neither is needed."""
    require_one("ann", None, "127.0.0.1")
    require_one(None, AUDIENCE, EVERYWHERE)
    require_one(None, None, EVERYWHERE)

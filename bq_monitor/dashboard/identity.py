"""Who is looking: a name given on this machine, or the one that Identity-Aware Proxy signed. Nobody else changes anything."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from bq_monitor.errors import BqMonitorError, InputError

HEADER = "X-Goog-Iap-Jwt-Assertion"
ISSUER = "https://cloud.google.com/iap"
CERTS = "https://www.gstatic.com/iap/verify/public_key"
MAX_SESSION_SECONDS = 3600
"""So long a session goes by the signature that it began with; the signature itself holds for minutes."""
CLOCK_SKEW_SECONDS = 30
_CERTS_SECONDS = 3600

Certs = Mapping[str, str]


class IdentityError(BqMonitorError):
    """Nobody can be told from the request; the message says why."""


@dataclass(frozen=True)
class Identity:
    """Who may change alerts; without a name nobody may, and `why` says so."""

    name: str | None
    why: str = ""


def verified(token: str | None, audience: str, certs: Callable[[], Certs]) -> str:
    """The e-mail address that IAP vouches for.

    Args:
        token: what stands in the header `X-Goog-Iap-Jwt-Assertion`; the plain e-mail header is never looked at.
        audience: for whom it must be signed, as the IAP page of the console shows it.
        certs: gives IAP's public keys by their id; called for a token that has a signature to check.

    Raises:
        IdentityError: there is no token, or its signature, issuer, audience, time or address is not as it must be.
    """
    from google.auth import jwt
    from google.auth.exceptions import GoogleAuthError

    if not token:
        raise IdentityError(f"the request carries no {HEADER}; open this page through Identity-Aware Proxy")
    try:
        if jwt.decode_header(token).get("alg") != "ES256":
            raise IdentityError("the assertion is not signed with ES256")
        claims = jwt.decode(token, certs=certs(), audience=audience, clock_skew_in_seconds=CLOCK_SKEW_SECONDS)
    except (GoogleAuthError, ValueError, TypeError) as error:
        raise IdentityError(f"the assertion of Identity-Aware Proxy does not hold: {str(error)[:200]}") from None
    if claims.get("iss") != ISSUER:
        raise IdentityError(f"the assertion was issued by {str(claims.get('iss'))[:80]!r}, not by {ISSUER}")
    email = claims.get("email")
    if not isinstance(email, str) or not email.strip():
        raise IdentityError("the assertion names no e-mail address")
    return email


class GoogleCerts:
    """IAP's public keys, fetched again after an hour."""

    def __init__(self, fetch: Callable[[], bytes] | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self._fetch, self._clock = fetch or _fetch, clock
        self._known: Certs = {}
        self._until = 0.0

    def __call__(self) -> Certs:
        """The keys by id; raises `IdentityError` where they cannot be had."""
        if not self._known or self._clock() >= self._until:
            try:
                self._known = {str(name): str(key) for name, key in json.loads(self._fetch()).items()}
            except (BqMonitorError, ValueError, AttributeError) as error:
                raise IdentityError(f"the keys of Identity-Aware Proxy cannot be read: {error}") from None
            self._until = self._clock() + _CERTS_SECONDS
        return self._known


def _fetch() -> bytes:
    from bq_monitor.alerts.secrets import Secrets
    from bq_monitor.alerts.senders.http import Route, fetch

    return fetch(Route("dashboard", Secrets()), CERTS, {}).body


@dataclass
class Desk:
    """How the people of one server are told apart: by the name it was started with, by IAP, or not at all."""

    name: str | None = None
    audience: str | None = None
    certs: Callable[[], Certs] = field(default_factory=GoogleCerts)

    def who(self, token: str | None, seen: dict[str, tuple[str, float]], now: float) -> Identity:
        """Who sends requests with this token. `seen` is kept by the session: a token is verified once, and holds an hour.

        A session lives longer than the token that it began with, so that a name once verified is not asked for again too soon.
        """
        if self.name:
            return Identity(self.name)
        if not self.audience:
            return Identity(
                None, "This page is read-only: it was started without --as NAME and without --iap-audience."
            )
        known = seen.get(token or "")
        if known and now - known[1] < MAX_SESSION_SECONDS:
            return Identity(known[0])
        try:
            name = verified(token, self.audience, self.certs)
        except IdentityError as error:
            return Identity(None, f"This page is read-only: {error}. Reload it to sign in again.")
        seen.clear()
        seen[token or ""] = (name, now)
        return Identity(name)


def require_one(name: str | None, audience: str | None, host: str) -> None:
    """Refuse two identities at once, and a fixed name where others can reach the page; raises `InputError`."""
    if name is not None and audience is not None:
        raise InputError(
            "dashboard: got both --as and --iap-audience; allowed: one of them. Leave --as out in production."
        )
    for option, text in (("--as", name), ("--iap-audience", audience)):
        if text is not None and not text.strip():
            raise InputError(f"dashboard: {option}: got an empty text; give a name, or leave the option out.")
    if name is not None and host not in ("127.0.0.1", "localhost", "::1"):
        raise InputError(
            f"dashboard: --as: got a host, {host!r}, that others can reach: everyone would act as {name!r}; "
            "allowed: 127.0.0.1. Use --iap-audience behind Identity-Aware Proxy."
        )

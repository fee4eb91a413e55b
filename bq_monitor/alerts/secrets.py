"""Secrets of channels: fetched from where a reference says, and shown nowhere."""

from __future__ import annotations

import os
import re
from base64 import b64encode
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, NoReturn
from urllib.parse import quote, quote_plus, unquote

from bq_monitor.errors import InputError

if TYPE_CHECKING:
    from bq_monitor.config import MonitorConfig

SHOWN = "***"
MIN_LENGTH = 6
"""Shorter texts are not looked for: they occur everywhere."""
_MIN_PART = 16
_ENV = re.compile(r"env:([A-Za-z_][A-Za-z0-9_]*)")
_MANAGED = re.compile(r"secret:(projects/[\w-]+/secrets/[\w-]+)(/versions/(?:latest|\d+))?", re.ASCII)


def references_of(config: MonitorConfig) -> list[tuple[str, tuple[str, ...]]]:
    """Where the secrets of a monitor are kept, by who needs them."""
    found = [(f"alerts.channels: {channel.title}", channel.references) for channel in config.alerts.channels]
    found += [(f"actions: {action.title}", action.references) for action in config.actions]
    return found + ([("alerts.heartbeat", (config.alerts.heartbeat.url,))] if config.alerts.heartbeat else [])


def environment_of(config: MonitorConfig) -> list[str]:
    """The variables of the environment that hold secrets of a monitor, whether they are set or not."""
    listed = [reference for _, references in references_of(config) for reference in references]
    listed += [
        c.reference(what) for c in config.alerts.channels if c.type == "email" for what in ("username", "password")
    ]
    return [reference.removeprefix("env:") for reference in listed if reference.startswith("env:")]


class Secret:
    """A text that only `reveal()` gives: no repr, format, JSON, copy or pickle does."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        return self._value

    def __repr__(self) -> str:
        return f"Secret({SHOWN})"

    def __str__(self) -> str:
        return SHOWN

    def __format__(self, spec: str) -> str:
        return SHOWN

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Secret is not written anywhere; pass its reference on")


class Secrets:
    """The secrets of one process, each fetched once.

    Args:
        google_token: gives an access token for Google's interfaces; by default that of the default credentials.
        timeout_seconds: for a whole request to Secret Manager.
    """

    def __init__(self, google_token: Callable[[], str] | None = None, *, timeout_seconds: float = 10.0) -> None:
        self._token = google_token
        self._timeout_seconds = timeout_seconds
        self._known: dict[str, Secret] = {}
        self._forms: dict[str, None] = {}

    @classmethod
    def of(cls, config: MonitorConfig) -> Secrets:
        """The secrets of a monitor: what the environment holds of them is known, and hidden, before it is asked for."""
        made = cls()
        for name in environment_of(config):
            if value := os.environ.get(name):
                made.remember(value)
        return made

    def __repr__(self) -> str:
        return f"Secrets({len(self._known)} known)"

    def get(self, reference: str) -> Secret:
        """The secret at `env:NAME` or `secret:projects/P/secrets/S[/versions/V]`, without white space around it.

        Raises:
            Undelivered: there is none (`later`), or Secret Manager does not answer (`soon`); names the reference.
            InputError: not a reference; does not repeat it.
        """
        if reference not in self._known:
            self._known[reference] = self.remember(self._fetch(reference))
        return self._known[reference]

    def remember(self, value: str) -> Secret:
        """Wrap a value and take it out of texts from now on."""
        self._forms.update(dict.fromkeys(form for form in _forms(value) if len(form) >= MIN_LENGTH))
        return Secret(value)

    def holds(self, text: str) -> bool:
        """Whether a secret stands in a text."""
        return self.redact(text) != text

    def google_token(self) -> Secret:
        """An access token for Google's interfaces, taken out of texts as well."""
        if self._token is not None:
            return self.remember(self._token())
        from bq_monitor.alerts.senders.google_api import default_token

        if "google" not in self._known:
            self._known["google"] = self.remember(default_token(self._timeout_seconds))
        return self._known["google"]

    def redact(self, text: str) -> str:
        """`text` with every secret known so far as `***`, also percent-encoded, in base64, and the path and query of URLs."""
        for form in sorted(self._forms, key=len, reverse=True):
            text = text.replace(form, SHOWN)
        return text

    def _fetch(self, reference: str) -> str:
        if found := _ENV.fullmatch(reference):
            value = os.environ.get(found[1], "")
        elif found := _MANAGED.fullmatch(reference):
            value = self._managed(reference, found[1] + (found[2] or "/versions/latest"))
        else:
            raise InputError("alerts: not a reference to a secret; allowed: env:NAME, secret:projects/P/secrets/NAME")
        if value := value.strip():
            return value
        from bq_monitor.alerts.senders.base import Undelivered

        raise Undelivered(f"{reference}: there is no such secret, or it is empty. Set it", retry="later")

    def _managed(self, reference: str, name: str) -> str:
        from bq_monitor.alerts.senders.base import Undelivered
        from bq_monitor.alerts.senders.google_api import access_secret

        data = access_secret(name, secrets=self, timeout_seconds=self._timeout_seconds, place=reference)
        text = data.decode(errors="replace")
        if "\ufffd" in text:
            raise Undelivered(f"{reference}: not a text; allowed: UTF-8", retry="later")
        return text


def _forms(value: str) -> Iterator[str]:
    """A secret as it may turn up in a text."""
    for text in (value, *_parts(value)):
        yield from (text, quote(text), quote(text, safe=""), quote_plus(text), unquote(text), repr(text)[1:-1])
        yield from _base64_forms(text)


def _parts(value: str) -> Iterator[str]:
    """What of a URL is secret: path and query, together and each, and their long parts."""
    found = re.match(r"https?://[^/?#]*(.*)", value, re.DOTALL)
    if not found:
        return
    rest = found[1]
    path, _, query = rest.partition("?")
    yield from (rest, rest.lstrip("/"), path, path.strip("/"), query)
    yield from (part for part in re.split(r"[/?&=#]", rest) if len(part) >= _MIN_PART)


def _base64_forms(text: str) -> Iterator[str]:
    """The base64 of a text that stands anywhere in what is encoded: one form for each of three offsets."""
    data = text.encode(errors="replace")
    for offset, dropped in ((0, 0), (1, 2), (2, 3)):
        whole = (offset + len(data)) * 8 // 6
        encoded = b64encode(b"\0" * offset + data).decode()
        for form in (encoded[dropped:whole], encoded[dropped:]):
            yield from (form, form.translate(str.maketrans("+/", "-_")))

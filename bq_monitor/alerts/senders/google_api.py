"""Google's REST interfaces that alerts use: Pub/Sub and Secret Manager, by the credentials of whoever runs this."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any

from bq_monitor.alerts.secrets import Secrets
from bq_monitor.alerts.senders.addresses import Line
from bq_monitor.alerts.senders.base import Response, Undelivered
from bq_monitor.alerts.senders.deadline import within
from bq_monitor.alerts.senders.http import Route, deliver, fetch

PUBSUB = "https://pubsub.googleapis.com/v1"
SECRET_MANAGER = "https://secretmanager.googleapis.com/v1"  # noqa: S105 - an address
PUBSUB_EMULATOR = "PUBSUB_EMULATOR_HOST"
_SCOPE = "https://www.googleapis.com/auth/cloud-platform"


def default_token(timeout_seconds: float = 10.0) -> str:
    """An access token of the default credentials; raises `Undelivered` when there are none."""

    def fetch(_line: Line) -> str:
        import google.auth
        import google.auth.exceptions as faults
        import urllib3
        from google.auth.transport.urllib3 import Request

        try:
            credentials, _ = google.auth.default(scopes=[_SCOPE])
            credentials.refresh(Request(urllib3.PoolManager(timeout=timeout_seconds)))
        except faults.TransportError as error:
            raise _no_token(error, "soon") from None
        except faults.GoogleAuthError as error:
            raise _no_token(error, "later") from None
        return str(credentials.token)

    return within(timeout_seconds, "google: credentials", fetch)


def _no_token(error: Exception, retry: Any) -> Undelivered:
    remedy = "Run as a service account, or `gcloud auth application-default login`"
    return Undelivered(f"google: no default credentials ({type(error).__name__}). {remedy}", retry=retry)


def publish(
    topic: str, data: bytes, attributes: Mapping[str, str], *, secrets: Secrets, timeout_seconds: float, place: str
) -> str:
    """Publish one message to `projects/P/topics/T`; returns its id at the service, raises `Undelivered`."""
    from base64 import b64encode

    emulator = os.environ.get(PUBSUB_EMULATOR)
    base = f"http://{emulator}/v1" if emulator else PUBSUB
    headers = {} if emulator else _authorisation(secrets)
    body = json.dumps({"messages": [{"data": b64encode(data).decode(), "attributes": dict(attributes)}]}).encode()
    route = Route(place, secrets, allow_private=True, timeout_seconds=timeout_seconds)
    response = deliver(route, f"{base}/{topic}:publish", body, headers)
    ids = _field(response, "messageIds")
    if not isinstance(ids, list) or not ids:
        raise Undelivered(f"{place}: the answer names no message. It is tried again", retry="soon")
    return str(ids[0])


def access_secret(name: str, *, secrets: Secrets, timeout_seconds: float, place: str) -> bytes:
    """The value of `projects/P/secrets/S/versions/V`; raises `Undelivered`, which does not show it."""
    from base64 import b64decode

    url = f"{SECRET_MANAGER}/{name}:access"
    route = Route(place, secrets, allow_private=True, timeout_seconds=timeout_seconds)
    payload = _field(fetch(route, url, _authorisation(secrets)), "payload")
    try:
        return b64decode(payload["data"], validate=True)
    except (TypeError, KeyError, ValueError):
        pass  # raised below, where the answer is not part of the error
    raise Undelivered(f"{place}: the answer holds no value. Check that this version of it is enabled", retry="later")


def _authorisation(secrets: Secrets) -> dict[str, str]:
    return {"Authorization": f"Bearer {secrets.google_token().reveal()}"}


def _field(response: Response, name: str) -> Any:
    """A field of a JSON answer; None where the answer is anything else."""
    try:
        return json.loads(response.body)[name]
    except (ValueError, KeyError, TypeError):
        return None

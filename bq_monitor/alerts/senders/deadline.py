"""Work on a connection that ends when its time is over, whatever the other side does."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from http.client import HTTPException
from queue import Empty, SimpleQueue
from threading import Thread
from time import monotonic
from typing import TypeVar

from bq_monitor.alerts.senders.addresses import Line
from bq_monitor.alerts.senders.base import Undelivered

T = TypeVar("T")
Work = Callable[[Line], T]


def within(seconds: float, place: str, work: Work[T]) -> T:
    """What `work` returns.

    Raises:
        Undelivered: its own; `soon` when the time is over or the connection failed. Other errors are not chained
            to it: their texts may show secrets.
    """
    line = Line(monotonic() + seconds)
    done: SimpleQueue[T | Undelivered] = SimpleQueue()
    Thread(target=lambda: done.put(_outcome(place, work, line)), daemon=True).start()
    try:
        outcome: T | Undelivered | None = done.get(timeout=seconds)
    except Empty:
        line.cut()
        outcome = None
    if outcome is None:
        raise Undelivered(f"{place}: no answer within {seconds:g} s. It is tried again", retry="soon")
    if isinstance(outcome, Undelivered):
        raise outcome
    return outcome


def _outcome(place: str, work: Work[T], line: Line) -> T | Undelivered:
    """What work gives, or its error in safe words."""
    try:
        return work(line)
    except Undelivered as error:
        return error.alone()
    except Exception as error:
        return _fault(place, error)
    finally:
        line.close()


def _fault(place: str, error: Exception) -> Undelivered:
    """An error of a connection in words that hold nothing of what was sent."""
    from urllib3.exceptions import HTTPError

    if isinstance(error, ssl.SSLCertVerificationError):
        return Undelivered(f"{place}: the certificate is refused: {error.verify_message}", retry="later")
    if isinstance(error, ssl.SSLError) and not isinstance(error, ssl.SSLEOFError | ssl.SSLZeroReturnError):
        return Undelivered(f"{place}: TLS failed ({error.reason or type(error).__name__})", retry="later")
    name = type(error).__name__
    if isinstance(error, TimeoutError):
        return Undelivered(f"{place}: no answer in time ({name}). It is tried again", retry="soon")
    if isinstance(error, OSError | HTTPError | HTTPException):
        return Undelivered(f"{place}: the connection failed ({name}). It is tried again", retry="soon")
    return Undelivered(f"{place}: the request cannot be made ({name}). Check the channel's settings", retry="later")

"""What the package logs, as Cloud Logging reads it: an entry is one line of JSON, its traceback included; alert policies go by its labels."""

from __future__ import annotations

import json
import logging
import sys

MAX_CHARACTERS = 20_000
"""Cloud Logging cuts entries of more than 256 KB in two, and neither half is JSON; a character takes up to twelve bytes of it."""


class _Handler(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        try:
            message = self.format(record)
            entry = {
                "severity": record.levelname,
                "message": message if len(message) <= MAX_CHARACTERS else f"{message[:MAX_CHARACTERS]} [...]",
                "logging.googleapis.com/labels": getattr(record, "labels", {}),
            }
            sys.stderr.write(json.dumps(entry) + "\n")
            sys.stderr.flush()
        except Exception:  # what is logged must not fail who logs
            self.handleError(record)


def log_to_cloud() -> None:
    """From now on what `bq_monitor` logs goes to standard error in this form, once; nothing else that logs is touched."""
    logger = logging.getLogger("bq_monitor")
    logger.handlers[:] = [_Handler()]
    logger.propagate = False

"""What the package logs, as Cloud Logging reads it: an entry is one line of JSON, its traceback included; alert policies go by its labels."""

from __future__ import annotations

import json
import logging
import sys


class _Handler(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        entry = {
            "severity": record.levelname,
            "message": self.format(record),
            "logging.googleapis.com/labels": getattr(record, "labels", {}),
        }
        sys.stderr.write(json.dumps(entry) + "\n")
        sys.stderr.flush()


def log_to_cloud() -> None:
    """From now on what `bq_monitor` logs goes to standard error in this form, once; nothing else that logs is touched."""
    logger = logging.getLogger("bq_monitor")
    logger.handlers[:] = [_Handler()]
    logger.propagate = False

"""What the service answers when it refuses, in its own JSON."""

from __future__ import annotations

from typing import Any

_STATUS = {
    400: "INVALID_ARGUMENT", 403: "PERMISSION_DENIED", 404: "NOT_FOUND", 409: "ALREADY_EXISTS", 429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL", 503: "UNAVAILABLE",
}  # fmt: skip


class ServiceError(Exception):
    """A refusal: the HTTP status (of a request, or that a job's failure would have), the reason and the message."""

    def __init__(self, code: int, reason: str, message: str) -> None:
        super().__init__(message)
        self.code, self.reason, self.message = code, reason, message

    def body(self) -> dict[str, Any]:
        """The body of an HTTP answer."""
        detail = {"message": self.message, "domain": "global", "reason": self.reason}
        return {"error": {"code": self.code, "message": self.message, "errors": [detail], "status": _STATUS[self.code]}}

    def result(self) -> dict[str, str]:
        """`status.errorResult` of a job."""
        return {"reason": self.reason, "message": self.message}


def invalid_query(message: str) -> ServiceError:
    return ServiceError(400, "invalidQuery", " ".join(message.split()))


def not_found(what: str) -> ServiceError:
    return ServiceError(404, "notFound", f"Not found: {what}")


def duplicate(what: str) -> ServiceError:
    return ServiceError(409, "duplicate", f"Already Exists: {what}")


SCRIPTED = {
    "403": ServiceError(403, "accessDenied", "Access Denied: Project acme-ml: User does not have bigquery.jobs.create permission."),
    "429": ServiceError(429, "rateLimitExceeded", "Exceeded rate limits: too many api requests per user per method for this user_method."),
    "500": ServiceError(500, "internalError", "An internal error occurred and the request could not be completed."),
    "503": ServiceError(503, "backendError", "Visibility check was unavailable. Please retry the request."),
    "fail": ServiceError(500, "backendError", "The job encountered an error during execution. Retrying the job may solve the problem."),
    "serialization": invalid_query("Transaction is aborted due to concurrent update against table acme-ml:mon.drift_results."),
}  # fmt: skip

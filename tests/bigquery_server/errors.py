"""What the service answers when it refuses, in its own JSON."""

from __future__ import annotations

from typing import Any

_STATUS = {
    400: "INVALID_ARGUMENT", 403: "PERMISSION_DENIED", 404: "NOT_FOUND", 409: "ALREADY_EXISTS", 429: "RESOURCE_EXHAUSTED",
    499: "CANCELLED", 500: "INTERNAL", 503: "UNAVAILABLE",
}  # fmt: skip


class ServiceError(Exception):
    """A refusal: the HTTP status (of a request, or that a job's failure would have), the reason, the message, and more of it."""

    def __init__(self, code: int, reason: str, message: str, *details: str) -> None:
        super().__init__(message)
        self.code, self.reason, self.message, self.details = code, reason, message, details

    def body(self) -> dict[str, Any]:
        """The body of an HTTP answer."""
        detail = {"message": self.message, "domain": "global", "reason": self.reason}
        return {"error": {"code": self.code, "message": self.message, "errors": [detail], "status": _STATUS[self.code]}}

    def result(self) -> dict[str, str]:
        """`status.errorResult` of a job."""
        return {"reason": self.reason, "message": self.message}

    def results(self) -> list[dict[str, str]]:
        """`status.errors` of a job."""
        return [self.result(), *({"reason": self.reason, "message": detail} for detail in self.details)]


def invalid_query(message: str) -> ServiceError:
    return ServiceError(400, "invalidQuery", " ".join(message.split()))


def invalid(message: str, *details: str) -> ServiceError:
    return ServiceError(400, "invalid", message, *details)


def not_found(what: str) -> ServiceError:
    return ServiceError(404, "notFound", f"Not found: {what}")


def duplicate(what: str) -> ServiceError:
    return ServiceError(409, "duplicate", f"Already Exists: {what}")


def stopped() -> ServiceError:
    return ServiceError(499, "stopped", "Job execution was cancelled: User requested cancellation")


def aborted(table: str) -> ServiceError:
    """What a transaction meets when another one changed its table."""
    return invalid_query(f"Transaction is aborted due to concurrent update against table {table}.")


def unserializable(table: str) -> ServiceError:
    """What a single statement meets when another one changed its table."""
    return invalid_query(f"Could not serialize access to table {table} due to concurrent update")


SCRIPTED = {
    "403": ServiceError(403, "accessDenied", "Access Denied: Project acme-ml: User does not have bigquery.jobs.create permission."),
    "429": ServiceError(429, "rateLimitExceeded", "Exceeded rate limits: too many api requests per user per method for this user_method."),
    "500": ServiceError(500, "internalError", "An internal error occurred and the request could not be completed."),
    "503": ServiceError(503, "backendError", "Visibility check was unavailable. Please retry the request."),
    "fail": ServiceError(500, "backendError", "The job encountered an error during execution. Retrying the job may solve the problem."),
    "quota": ServiceError(403, "quotaExceeded", "Quota exceeded: Your project exceeded quota for free query bytes scanned."),
    "rate": ServiceError(403, "rateLimitExceeded", "Exceeded rate limits: too many concurrent queries for this project_and_region."),
    "resources": ServiceError(
        400, "resourcesExceeded", "Resources exceeded during query execution: The query could not be executed in the allotted memory.",
    ),
}  # fmt: skip


def scripted(name: str, text: str, tables: str) -> ServiceError:
    """The refusal that a fault names; for `serialization`, `text` says whether a transaction meets it, `tables` of which table."""
    if name == "aborted" or (name == "serialization" and "COMMIT" in text):
        return aborted(tables)
    return unserializable(tables) if name == "serialization" else SCRIPTED[name]

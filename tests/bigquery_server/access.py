"""Who may do what: everything, but for what a test denies."""

from __future__ import annotations

from tests.bigquery_server.errors import ServiceError


class Access:
    """Denials of a permission on a project, a dataset or a table (`project`, `project.dataset`, `project.dataset.table`)."""

    def __init__(self) -> None:
        self._denied: set[tuple[str, str]] = set()

    def deny(self, permission: str, resource: str) -> None:
        self._denied.add((permission, resource))

    def allow(self, permission: str, resource: str) -> None:
        """Take a denial back."""
        self._denied.discard((permission, resource))

    def allows(self, permission: str, resource: str) -> bool:
        """Whether neither the resource nor what it lies in is denied."""
        parts = resource.split(".", 2)
        return not any((permission, ".".join(parts[:n])) in self._denied for n in range(1, len(parts) + 1))

    def check(self, permission: str, resource: str) -> None:
        """Raises the service's refusal, worded by the kind of resource."""
        if self.allows(permission, resource):
            return
        kind = ("Project", "Dataset", "Table")[min(resource.count("."), 2)]
        name = resource.replace(".", ":", 1)
        if kind == "Project":
            raise _denied(f"Project {name}: User does not have {permission} permission in project {name}.")
        raise _denied(f"{kind} {name}: Permission {permission} denied on {kind.lower()} {name} (or it may not exist).")


def _denied(message: str) -> ServiceError:
    return ServiceError(403, "accessDenied", f"Access Denied: {message}")

"""Every error that a user can cause or meet: *place: what is wrong; got; allowed; what to do*."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager


class BqMonitorError(Exception):
    """Base of all errors of this package; `exit_code` is what the command line ends with."""

    exit_code = 2


class InputError(BqMonitorError, ValueError):
    """An argument, a file or a table is not what the call needs."""

    @classmethod
    def missing_columns(cls, place: str, missing: Sequence[str], existing: Iterable[str]) -> InputError:
        known = sorted(existing)
        hints = "".join(did_you_mean(name, known) for name in missing)
        return cls(
            f"{place}: no column {_listed(missing)}; existing columns: {_listed(known)}.{hints}"
            " Correct the name, or add the column."
        )

    @classmethod
    def wrong_type(cls, place: str, got: str, allowed: str, remedy: str) -> InputError:
        return cls(f"{place}: wrong type; got {got}; allowed: {allowed}. {remedy}")

    @classmethod
    def no_rows(cls, place: str) -> InputError:
        return cls(f"{place}: no rows; at least one row is needed. Check the path, and the filter if there is one.")


class ConfigError(BqMonitorError, ValueError):
    """All faults of a configuration, collected; `faults` has one line each, `path: what is wrong`."""

    def __init__(self, place: str, faults: Sequence[str]) -> None:
        self.place = place
        self.faults = tuple(faults)
        lines = "\n".join(f"{place}: {fault}" for fault in self.faults)
        super().__init__(lines)


class IdentifierError(BqMonitorError, ValueError):
    """A table, column or expression is refused before it comes near SQL."""


class HistogramError(BqMonitorError, ValueError):
    """Two histograms cannot be added or compared; the message names what differs."""


class WarehouseError(BqMonitorError):
    """The warehouse could not do what was asked (not found, no access, locked, failed)."""

    exit_code = 4


class TableNotFoundError(WarehouseError):
    """A table or file does not exist; the caller's own tables want `bq-monitor init`."""

    exit_code = 2


class StatementError(WarehouseError):
    """The warehouse does not understand a statement of ours."""


class SchemaError(WarehouseError):
    """Our own tables are not as this version needs them; the message says which, and what to do."""

    exit_code = 2

    @classmethod
    def outdated(cls, lacking: Mapping[str, Sequence[str]]) -> SchemaError:
        lacks = "; ".join(f"{name} lacks {', '.join(columns)}" for name, columns in lacking.items())
        return cls(
            f"tables are of an older version: {lacks}; run 'bq-monitor init', which adds what is missing and keeps every row."
        )


class LockedError(WarehouseError):
    """Another process holds the DuckDB file and did not let go before the deadline."""


class BudgetError(WarehouseError):
    """A statement would read more than the budget allows; nothing ran."""


class AccessError(WarehouseError):
    """Who runs this may not do what the step needs; the message names the permission and the role that grants it."""


class DeadlineError(WarehouseError):
    """The time of the run is over; what still ran was cancelled, finished steps are kept."""


def said(error: BaseException) -> str:
    """An error in words, with what was noted to it later."""
    notes = [str(note) for note in getattr(error, "__notes__", ())]
    return "\n".join([str(error) or type(error).__name__, *notes])


@contextmanager
def built_with(extra: str) -> Iterator[None]:
    """Around the imports of a part that the function's archive may lack; raises `InputError`, which says how to build it in."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise InputError(
            f"the function's archive: it lacks {error.name}. Build it with `python functions/build.py --with {extra}`."
        ) from None


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """` Did you mean 'x'?`, or nothing when no known name is near."""
    listed = list(known)
    same = [other for other in listed if other.lower() == name.lower()]
    near = same or difflib.get_close_matches(name, listed, n=1, cutoff=0.6)
    return f" Did you mean {near[0]!r}?" if near else ""


def _listed(names: Sequence[str], limit: int = 12) -> str:
    shown = ", ".join(repr(name) for name in names[:limit])
    return shown + (f" and {len(names) - limit} more" if len(names) > limit else "") if names else "none"

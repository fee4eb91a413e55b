"""Expressions that users write: parsed, allowed or refused, and only then written into SQL."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from bq_monitor.errors import IdentifierError, did_you_mean
from bq_monitor.warehouse.base import Dialect

if TYPE_CHECKING:
    from bq_monitor.warehouse.syntax import Tree


class Expression:
    """One GoogleSQL scalar expression over the columns of a single table, parsed and found harmless.

    Refused: more than one statement, subqueries, other tables, parameters and session variables, `*`, aggregates and
    window functions, comments, random values, and functions that the parser does not know (they could be anybody's).
    """

    def __init__(self, text: str, place: str) -> None:
        self.text, self.place = text, place
        self._tree = _parsed(text, place)
        self.columns = self._tree.columns

    @property
    def column(self) -> str | None:
        """The column that the expression is, where it is nothing else."""
        return self._tree.column

    def sql(self, dialect: Dialect) -> str:
        """The expression over the alias `t`, written anew from its syntax tree."""
        return self._tree.sql(dialect)

    def require_columns(self, existing: Iterable[str]) -> None:
        """Raise `IdentifierError` unless the table has every column that the expression names."""
        known = set(existing)
        for name in sorted(self.columns - known):
            raise IdentifierError(
                f"{self.place}: {self.text!r} names column {name!r}, which the table does not have; "
                f"existing: {', '.join(sorted(known))}.{did_you_mean(name, known)}"
            )


def _parsed(text: str, place: str) -> Tree:
    from bq_monitor.warehouse.syntax import RefusedError, tree_of  # the parser: most monitors have no expression

    try:
        return tree_of(text)
    except RefusedError as error:
        raise IdentifierError(
            f"{place}: {error}; got {text!r}; allowed: one GoogleSQL expression over the table's own columns"
        ) from None

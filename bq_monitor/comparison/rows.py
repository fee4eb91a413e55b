"""Rows of a comparison that travel: through the file of a model, into a sample for the classifier, into a view with answers."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from bq_monitor.errors import InputError
from bq_monitor.models import Model, load_model
from bq_monitor.outcomes import as_label, positive_of
from bq_monitor.warehouse.base import Relation, Statement
from bq_monitor.warehouse.identifiers import duckdb_string, quote_column

if TYPE_CHECKING:
    import pandas as pd

    from bq_monitor.warehouse.duckdb import DuckDBWarehouse

CHUNK_ROWS = 100_000
"""Rows that are in pandas at a time while a model scores a file; of each row, answer and score stay until all are scored."""


@dataclass(frozen=True)
class ModelFile:
    """The file of a model, and how it is used.

    Args:
        prediction, score: the columns that its answers and scores become; columns of these names are replaced.
        features: its columns in order, for a model that knows no names; None: all but `apart`.
        positive: the class that scores are of; None: of two classes the one whose name says so, else the second.
    """

    path: str | os.PathLike[str]
    allow_pickle: bool = False
    prediction: str = "prediction"
    score: str = "score"
    features: Sequence[str] | None = None
    apart: frozenset[str] = frozenset()
    positive: Any = None


@dataclass(frozen=True)
class Scored:
    """Both sides with the model's answers; `has_score`: with its scores too. `positive` is the class that these are of."""

    before: Relation
    after: Relation
    has_score: bool
    positive: str | None


def score_sides(
    warehouse: DuckDBWarehouse, file: ModelFile, before: pd.DataFrame | Relation, after: pd.DataFrame | Relation
) -> Scored:
    """Score both sides, DataFrames or relations, a chunk of rows at a time."""
    model = load_model(file.path, allow_pickle=file.allow_pickle, features=file.features)
    sides = [
        _Side(warehouse, file, model, *_numbered(warehouse, data, place))
        for data, place in ((before, "baseline"), (after, "current"))
    ]
    positive = file.positive if file.positive is not None else sides[0].positive()
    told = [side.scored(positive) for side in sides]
    shown = None if positive is None else as_label(positive)
    return Scored(told[0], told[1], file.score in told[0].columns, shown)


def _numbered(
    warehouse: DuckDBWarehouse, data: pd.DataFrame | Relation, place: str
) -> tuple[pd.DataFrame | Relation, str]:
    """Rows that have numbers: of a relation a copy in a temporary table; and their place for messages."""
    if not isinstance(data, Relation):
        return data, place
    name = f"numbered_{data.sql}"
    warehouse.execute(Statement("compare/rows", f"CREATE TEMP TABLE {name} AS SELECT * FROM {data.sql}"))
    return replace(data, sql=name), data.place


@dataclass(frozen=True)
class _Side:
    """One side on its way through a model."""

    warehouse: DuckDBWarehouse
    file: ModelFile
    model: Model
    data: pd.DataFrame | Relation
    place: str

    def positive(self) -> Any:
        """The class whose name says that it is positive, as the model writes it; None: the model's second one."""
        rows = next(self._chunks())
        raw = {as_label(value): value for value in dict.fromkeys(self.model.predict(rows).prediction.tolist())}
        found = positive_of(sorted(raw)) if len(raw) == 2 else None
        return None if found is None else raw[found]

    def scored(self, positive: Any) -> Relation:
        """The rows with the model's answers."""
        import pandas as pd

        parts = []
        for rows in self._chunks():
            found = self.model.predict(rows, positive=positive)
            scores = {} if found.score is None else {self.file.score: found.score}
            parts.append(pd.DataFrame({self.file.prediction: found.prediction, **scores}))
        answers = pd.concat(parts, ignore_index=True)
        if isinstance(self.data, Relation):
            return self._joined(self.data, answers)
        names = {self.file.prediction.lower(), self.file.score.lower()}
        taken = [name for name in self.data.columns if str(name).lower() in names]
        kept = self.data.drop(columns=taken).reset_index(drop=True)
        return self.warehouse.frame(pd.concat([kept, answers], axis=1), self.place)

    def _chunks(self) -> Iterator[pd.DataFrame]:
        """The columns that the model may see, by rows; raises `InputError` where there is no row."""
        data = self.data
        n_rows = self.warehouse.count_rows(data) if isinstance(data, Relation) else len(data)
        if not n_rows:
            raise InputError.no_rows(self.place)
        hidden = {name.lower() for name in (*self.file.apart, self.file.prediction, self.file.score)}
        for start in range(0, n_rows, CHUNK_ROWS):
            if isinstance(data, Relation):
                stretch = f"rowid >= {start} AND rowid < {start + CHUNK_ROWS}"
                rows = _frame(self.warehouse, f"SELECT * FROM {data.sql} WHERE {stretch} ORDER BY rowid")
            else:
                rows = data.iloc[start : start + CHUNK_ROWS]
            yield rows[[name for name in rows.columns if str(name).lower() not in hidden]]

    def _joined(self, numbered: Relation, answers: pd.DataFrame) -> Relation:
        told = self.warehouse.frame(answers.assign(numbered_row=range(len(answers))), self.place)
        mine = {name.lower() for name in answers.columns}
        kept = [f"t.{quote_column(name, 'duckdb')}" for name in numbered.columns if name.lower() not in mine]
        added = [f"a.{quote_column(name, 'duckdb')}" for name in answers.columns]
        name = f"scored_{numbered.sql}"
        rows = f"SELECT {', '.join([*kept, *added])} FROM {numbered.sql} AS t JOIN {told.sql} AS a ON a.numbered_row = t.rowid"
        self.warehouse.execute(Statement("compare/scored", f"CREATE TEMP VIEW {name} AS {rows}"))
        return replace(self.warehouse.relation(name), place=self.place)


def with_answers(warehouse: DuckDBWarehouse, relation: Relation, score: str, positive: str, negative: str) -> Relation:
    """A relation with one more column, the last: the answer that a score of 0.5 or more, or less, stands for."""
    column = next(
        name
        for name in ("prediction", "answer", *(f"answer_{i}" for i in range(len(relation.columns))))
        if name not in {known.lower() for known in relation.columns}
    )
    number = f"CAST(t.{quote_column(score, 'duckdb')} AS DOUBLE)"
    answer = (
        f"CASE WHEN {number} IS NULL OR isnan({number}) THEN NULL "
        f"WHEN {number} >= 0.5 THEN {duckdb_string(positive)} ELSE {duckdb_string(negative)} END"
    )
    name = f"answered_{relation.sql}"
    sql = f"CREATE TEMP VIEW {name} AS SELECT t.*, {answer} AS {column} FROM {relation.sql} AS t"
    warehouse.execute(Statement("compare/answers", sql))
    return Relation(name, {**relation.columns, column: "STRING"}, relation.place)


def sampled(warehouse: DuckDBWarehouse, relation: Relation, names: Sequence[str], max_rows: int) -> pd.DataFrame:
    """At most so many rows of some columns, by a hash of their content: the same ones in whatever order they come.

    Copies of a row are told apart by their number, so that few different rows are sampled as they occur.
    """
    columns = ", ".join(quote_column(name, "duckdb") for name in names)
    if warehouse.count_rows(relation) <= max_rows:
        return _frame(warehouse, f"SELECT {columns} FROM {relation.sql}")
    copies = f'SELECT {columns}, ROW_NUMBER() OVER (PARTITION BY {columns}) AS "copy number" FROM {relation.sql}'
    order = f'ORDER BY hash({columns}, "copy number") LIMIT {int(max_rows)}'
    return _frame(warehouse, f"SELECT {columns} FROM ({copies}) {order}")


def _frame(warehouse: DuckDBWarehouse, sql: str) -> pd.DataFrame:
    return warehouse._run("compare/frame", sql).df()  # rows as dictionaries would lose their types

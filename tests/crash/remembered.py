"""What the stand-in makes of a statement, made once: all cases run the same texts over a log that stays as it is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

from sqlglot import exp
from sqlglot.dialects.bigquery import BigQuery

from tests.bigquery_server.analysis import Analysis, Params
from tests.bigquery_server.engine import Engine

_runnable, _reads, _generate = Engine._runnable, Analysis.reads, BigQuery.generate


@contextmanager
def remembered(dataset: str) -> Iterator[None]:
    """While texts are translated once, and bytes counted only of statements that read tables of `dataset` by their name."""
    texts: dict[int, tuple[exp.Expr, str]] = {}
    runnable: dict[int, tuple[exp.Expr, str]] = {}

    def generate(self: BigQuery, tree: exp.Expr, *args: Any, **options: Any) -> str:
        if id(tree) not in texts:
            texts[id(tree)] = (
                tree,
                _generate(self, tree, *args, **options),
            )  # a tree is kept, or its id would be another's
        return texts[id(tree)][1]

    def translate(self: Engine, tree: exp.Expr) -> str:
        if id(tree) not in runnable:
            runnable[id(tree)] = (tree, _runnable(self, tree))
        return runnable[id(tree)][1]

    def reads(self: Analysis, tree: exp.Expr, params: Params) -> Counter[str]:
        names_it = any(table.db == dataset for table in tree.find_all(exp.Table))
        return _reads(self, tree, params) if names_it else Counter()

    with (
        patch.object(BigQuery, "generate", generate),
        patch.object(Engine, "_runnable", translate),
        patch.object(Analysis, "reads", reads),
    ):
        yield

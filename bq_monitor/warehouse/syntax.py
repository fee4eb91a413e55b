"""The syntax of users' expressions: GoogleSQL parsed into trees, and what is refused of it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

from sqlglot import Token, TokenType, exp, parse, tokenize

from bq_monitor.warehouse.base import Dialect
from bq_monitor.warehouse.identifiers import FORBIDDEN_IN_COLUMN

_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class RefusedError(Exception):
    """Why an expression is refused."""


@dataclass(frozen=True)
class Tree:
    """The syntax tree of a harmless expression, for reading only."""

    root: exp.Expr

    @cached_property
    def columns(self) -> frozenset[str]:
        """The names of the columns that it reads."""
        return _columns(self.root)

    @property
    def column(self) -> str | None:
        """The column that it is, where it is nothing else."""
        return next(iter(self.columns)) if isinstance(self.root.unnest(), exp.Column) else None

    def sql(self, dialect: Dialect) -> str:
        """The expression over the alias `t`, written anew."""
        return _qualified(self.root).sql(dialect=dialect, comments=False)


@lru_cache(maxsize=4096)
def tree_of(text: str) -> Tree:
    """The tree of a harmless expression; raises `RefusedError`."""
    try:
        if reason := _fault_of_tokens(text, tokenize(text, read="bigquery")):
            raise RefusedError(reason)
        trees = parse(f"SELECT {text}\n", read="bigquery")
        if len(trees) != 1 or trees[0] is None:
            raise RefusedError("more than one statement")
        select = trees[0]
        if reason := _fault_of(select):
            raise RefusedError(reason)
        again = parse(_qualified(select).sql(dialect="bigquery", comments=False), read="bigquery")
    except RefusedError:
        raise
    except Exception as error:  # the parser and the writer fail in many ways on what is no GoogleSQL, or too deep
        raise RefusedError(f"does not parse ({' '.join(str(error).splitlines()[:1])})") from None
    # What is sent is what the writer makes of the tree: it must be as harmless as what was read.
    if len(again) != 1 or again[0] is None or _fault_of_shape(again[0], "t") or _columns(again[0]) != _columns(select):
        raise RefusedError("does not mean the same when written anew")
    return Tree(select.expressions[0])


def _fault_of_tokens(text: str, tokens: Sequence[Token]) -> str | None:
    """Why the words of an expression are refused before they are parsed; None when they are not."""
    refused = {
        TokenType.SEMICOLON: "';' (more than one statement)", TokenType.ARROW: "a lambda",
        TokenType.L_BRACE: "a brace", TokenType.R_BRACE: "a brace",
    }  # fmt: skip
    if not tokens:
        return "empty"
    if any(token.comments for token in tokens):
        return "a comment is not allowed"
    for token in tokens:
        if token.token_type == TokenType.IDENTIFIER and "\\" in text[token.start : token.end + 1]:
            return "a backslash in a name is not allowed"  # the parser drops those that Google refuses
        if token.token_type in refused:
            return f"{refused[token.token_type]} is not allowed"
    if (
        tokens[0].token_type in (TokenType.ALIAS, TokenType.ALL, TokenType.DISTINCT)
        or tokens[-1].token_type == TokenType.COMMA
    ):
        return "not a single expression"
    return None


def _qualified(tree: exp.Expr) -> exp.Expr:
    """A copy in which every column is one of the alias `t`."""

    def qualify(node: exp.Expr) -> exp.Expr:
        if not isinstance(node, exp.Column):
            return node
        return exp.column(exp.to_identifier(node.name, quoted=True), table="t")

    return tree.transform(qualify)


def _columns(tree: exp.Expr) -> frozenset[str]:
    return frozenset(column.name for column in tree.find_all(exp.Column))


def _fault_of(select: exp.Expr) -> str | None:
    """Why a parsed `SELECT <expression>` is not one harmless scalar expression; None when it is."""
    if reason := _fault_of_shape(select):
        return reason
    for text in select.find_all(exp.Literal, exp.RawString, exp.ByteString, exp.National):
        content = text.name.replace("\\", "") if isinstance(text, exp.RawString) else text.name
        if FORBIDDEN_IN_COLUMN.search(content):
            return "a backtick, backslash or control character in a text"
    return None


def _fault_of_shape(select: exp.Expr, table: str = "") -> str | None:
    """The part of `_fault_of` that also holds for the expression written anew, over a table's alias and with escapes in texts."""
    if not isinstance(select, exp.Select) or len(select.expressions) != 1:
        return "not a single expression"
    if any(value for key, value in select.args.items() if key != "expressions" and value):
        return "a clause after the expression"
    for node in select.expressions[0].walk():
        if reason := _fault_of_node(node, table):
            return reason
    return None


def _fault_of_node(node: exp.Expr, table: str) -> str | None:
    for kind, name in _refused_nodes():
        if isinstance(node, kind):
            return f"{name} is not allowed"
    if isinstance(node, exp.Column) and (node.table != table or not _is_column_name(node.this)):
        return f"column {node.sql()!r} is not a plain column name"
    if isinstance(node, exp.Identifier) and not _is_column_name(node):
        return f"name {node.name!r} is not a plain name"
    unit = node.args.get("unit")
    word = unit if isinstance(unit, exp.Literal) else node
    if (word is unit or isinstance(node, exp.Var)) and not _WORD.fullmatch(word.name):  # it is written without quotes
        return f"{word.name!r} is not a plain word"
    if isinstance(node, exp.NetFunc) and not isinstance(node.this, exp.Host | exp.RegDomain):
        return "an unknown function is not allowed"  # a dataset may be called NET
    return None


@lru_cache(maxsize=1)
def _refused_nodes() -> tuple[tuple[tuple[type[exp.Expr], ...], str], ...]:
    return (
        ((exp.Query, exp.Subquery), "a subquery"), ((exp.Table,), "another table"), ((exp.Star,), "'*'"),
        ((exp.Parameter, exp.Placeholder), "a parameter"),
        ((exp.SessionParameter, exp.SessionUser, exp.CurrentUser, exp.CurrentRole), "a session variable"),
        ((exp.Window,), "a window function"), ((exp.AggFunc,), "an aggregate"), ((exp.Alias, exp.Aliases), "an alias"),
        ((exp.Command,), "a command"), ((exp.Dot,), "a path with dots"), ((exp.Anonymous,), "an unknown function"),
        ((exp.UDTF, exp.JSONTable, exp.XMLTable, exp.OpenJSON), "a table function"), ((exp.Lambda,), "a lambda"),
        ((exp.DDL, exp.DML), "a statement"), ((exp.ReadCSV, exp.ReadParquet), "a file"), ((exp.Rand, exp.Uuid), "a random value"),
        ((exp.AIClassify, exp.AIEmbed, exp.AIGenerate, exp.AISimilarity), "a model"), ((exp.Columns,), "a choice of columns"),
        ((exp.Operator,), "an operator by name"),
        ((exp.Limit, exp.Order, exp.Distinct), "a clause inside a function"),
    )  # fmt: skip


def _is_column_name(name: exp.Expr) -> bool:
    """Whether an identifier can be a column: letters, digits and '_', or anything that may stand between backticks."""
    if name.args.get("quoted"):
        return bool(name.name) and not FORBIDDEN_IN_COLUMN.search(name.name)
    return re.fullmatch(r"[^\W\d]\w*", name.name) is not None

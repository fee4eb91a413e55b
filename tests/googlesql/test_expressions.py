"""What users write: hostile expressions and names are refused, sane ones mean what they say and touch only their table."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bq_monitor.errors import IdentifierError
from bq_monitor.warehouse.base import Dialect, Statement
from bq_monitor.warehouse.duckdb import DuckDBWarehouse
from bq_monitor.warehouse.expressions import Expression
from bq_monitor.warehouse.identifiers import bigquery_table, duckdb_table, quote_column
from tests.googlesql.differential import LOGS, Log

if TYPE_CHECKING:
    from tests.googlesql.server import GoogleSQL

COLUMNS = {
    "x": "FLOAT64", "n": "INT64", "s": "STRING", "ts": "TIMESTAMP", "day": "DATE", "ok": "BOOL", "price": "NUMERIC",
    "a b": "STRING", "select": "INT64",
}  # fmt: skip

SUBQUERIES = r"""
(SELECT 1)
(SELECT MAX(x) FROM `proj-1.ds.other`)
x IN (SELECT y FROM other)
EXISTS (SELECT 1 FROM other)
NOT EXISTS (SELECT 1)
ARRAY(SELECT x FROM other)[OFFSET(0)] = 1
x = (SELECT 1)
x > ALL (SELECT y FROM other)
x = ANY (SELECT y FROM other)
(WITH a AS (SELECT 1) SELECT * FROM a)
WITH a AS (SELECT 1) SELECT * FROM a
(TABLE other)
STRUCT(x, (SELECT 1))
IF(ok, (SELECT MAX(y) FROM other), 1)
"""
BROKEN_OUT = r"""
TRUE; DROP TABLE logs
TRUE; SELECT 1
TRUE;
;
x > 1;--
1) OR (1=1
TRUE) OR (TRUE
x > 1) UNION ALL SELECT * FROM other --
TRUE) AS t, `proj-1.ds.other` AS u WHERE (TRUE
)
(
((x > 1)
(x > 1))
x >
> x
x AND
CASE WHEN
IF(x
s = 'a
s = "a
s = 'it's'
s = r'\' OR TRUE
`x
`x` `y`
``
NULL NULL
"""
COMMENTS = r"""
TRUE -- comment
TRUE --
TRUE # comment
TRUE #
TRUE /* comment */
/* comment */ TRUE
TRUE /*
x /* */ > /* */ 1
-- TRUE
# TRUE
x > 1 -- ) OR TRUE
"""
CLAUSES = r"""
TRUE UNION ALL SELECT 1
TRUE UNION DISTINCT SELECT 1
TRUE EXCEPT DISTINCT SELECT 1
TRUE INTERSECT DISTINCT SELECT 1
TRUE FROM other
TRUE FROM `proj-1.ds.other`
TRUE WHERE FALSE
x GROUP BY x
x HAVING TRUE
x ORDER BY x
x LIMIT 1
x WINDOW w AS (PARTITION BY x)
x QUALIFY TRUE
x FOR UPDATE
x INTO y
DISTINCT x
ALL x
AS STRUCT x
AS VALUE x
TOP 1 x
x, n
x,
x AS y
x y
*
t.*
* EXCEPT (x)
* REPLACE (1 AS x)
x TABLESAMPLE SYSTEM (1 PERCENT)
x |> WHERE TRUE
FROM other |> SELECT x
PIVOT(x)
"""
AGGREGATES = r"""
COUNT(*)
COUNT(*) > 0
COUNT(x) > 0
SUM(x) > 1
AVG(x)
MAX(x)
ANY_VALUE(x)
STRING_AGG(s)
ARRAY_AGG(x)
COUNTIF(x > 1)
LOGICAL_OR(x > 1)
BIT_AND(n)
BIT_XOR(n)
APPROX_COUNT_DISTINCT(x)
APPROX_QUANTILES(x, 4)
STDDEV(x)
CORR(x, x)
MAX_BY(x, s)
ARRAY_CONCAT_AGG(x)
GROUPING(x)
PERCENTILE_CONT(x, 0.5)
ABS(ROUND(SUM(x), 2)) > 1
ROW_NUMBER() OVER ()
SUM(x) OVER (ORDER BY ts) > 1
LAG(x) OVER (ORDER BY ts)
RANK() OVER w
LAST_VALUE(x)
NTILE(4)
"""
PARAMETERS = r"""
@p
x > @start
@@project_id
@@session_id
@@error.message
x > ?
:name
$1
$name
SESSION_USER() = 'a'
"""
STATEMENTS = r"""
EXECUTE IMMEDIATE 'SELECT 1'
CALL ds.proc()
DROP TABLE logs
DELETE FROM logs WHERE TRUE
INSERT INTO logs VALUES (1)
UPDATE logs SET x = 1 WHERE TRUE
MERGE logs USING other ON FALSE WHEN MATCHED THEN DELETE
CREATE TABLE a AS SELECT 1
TRUNCATE TABLE logs
DECLARE a INT64
SET a = 1
BEGIN SELECT 1; END
IF TRUE THEN SELECT 1; END IF
EXPORT DATA OPTIONS (uri = 'gs://x') AS SELECT 1
INSTALL httpfs
"""
PATHS = r"""
other.y
other.y = 1
t.x > 1
`t`.`x`
`proj-1.ds.other`.y
ds.other.y
x.y.z
STRUCT(1 AS a).a
(1, 2).f
CAST(x AS ds.my_type) = 1
x COLLATE other.y
"""
FUNCTIONS = r"""
my_udf(x)
ds.my_udf(x)
`proj-1.ds.my_udf`(x)
proj.ds.my_udf(x)
SAFE.my_udf(x)
KEYS.NEW_KEYSET('AEAD_AES_GCM_256')
AEAD.DECRYPT_STRING(s, s, s)
HLL_COUNT.EXTRACT(s)
ML.PREDICT(MODEL ds.m, TABLE ds.t)
ML.PREDICT(MODEL ds.m, (SELECT 1))
AI.GENERATE(s)
EXTERNAL_QUERY('c', 'SELECT 1')
EXTERNAL_OBJECT_TRANSFORM(TABLE x, ['a'])
OBJ.GET_ACCESS_URL(s, 'r')
VECTOR_SEARCH(TABLE x, 'a', TABLE y)
APPENDS(TABLE x, NULL, NULL)
GAP_FILL(TABLE x)
UNNEST([1, 2])
x IN UNNEST([1, 2])
x IN UNNEST(other.y)
GENERATE_UUID()
RAND() < 0.5
ERROR('a')
read_csv('x.csv')
read_parquet('x.parquet')
read_text('x')
parquet_scan('x')
getenv('HOME')
current_setting('x')
query('SELECT 1')
query_table('other')
glob('*')
nextval('seq')
NEXT VALUE FOR seq
pragma_version()
x -> x + 1
ARRAY_FILTER([1], e -> e > 0)
list_transform([1], lambda e: e)
"""
ODD_TEXT = (
    "", " ", "\n", "\0", "s = 'a\\", "s = 'a\\nb'", "s = 'a`b'", "`a\\`b` = 1", "s = \u2018a\u2019", "s = \u201ca\u201d", "x \uff1d 1",
    "x\uff1b DROP TABLE logs", "{{ x }} = 1", "{% raw %} = 1", "s = 'a\x1bb'",
    "(" * 3000 + "x" + ")" * 3000, "NOT " * 5000 + "ok", "x" + " IN (1)" * 3000,
)  # fmt: skip


def lines(*texts: str) -> list[str]:
    return [line for text in texts for line in text.strip("\n").split("\n")]


@pytest.mark.parametrize(
    "text",
    [
        *lines(SUBQUERIES, BROKEN_OUT, COMMENTS, CLAUSES, AGGREGATES, PARAMETERS, STATEMENTS, PATHS, FUNCTIONS),
        *ODD_TEXT,
    ],
    ids=lambda text: ascii(text[:40]),
)
def test_hostile_expressions_are_refused(text: str) -> None:
    """Whatever is more than one row's own columns is refused before any warehouse sees it, with place and text named."""
    with pytest.raises(IdentifierError, match=r"^loan\.yaml: source\.filter: ") as caught:
        Expression(text, "loan.yaml: source.filter")
    assert repr(text) in str(caught.value)
    assert "allowed:" in str(caught.value)


SANE: list[tuple[str, str, set[str]]] = [
    ("x > 1", "BOOL", {"x"}),
    ("x > 1 OR ok", "BOOL", {"x", "ok"}),
    ("s = 'prod'", "BOOL", {"s"}),
    ("s = 'a; b -- c # d /* e */'", "BOOL", {"s"}),
    ("s = 'it\\'s' OR s = \"it's\"", "BOOL", {"s"}),
    ("s = '''three'''", "BOOL", {"s"}),
    ("s = r'raw'", "BOOL", {"s"}),
    ("s = '\u00e9\U0001f600'", "BOOL", {"s"}),
    ("`a b` = 'x' AND `select` > 0", "BOOL", {"a b", "select"}),
    ("s IN ('a', 'b') AND s NOT IN ('c')", "BOOL", {"s"}),
    ("n BETWEEN 1 AND 2 AND NOT ok", "BOOL", {"n", "ok"}),
    ("s LIKE 'a%' AND s IS NOT NULL", "BOOL", {"s"}),
    ("ok IS TRUE OR ok IS NOT FALSE", "BOOL", {"ok"}),
    ("CASE WHEN x > 1 THEN 'high' WHEN x > 0 THEN 'low' ELSE 'none' END", "STRING", {"x"}),
    ("CASE s WHEN 'a' THEN 1 END", "INT64", {"s"}),
    ("IF(x > 10, 'big', 'small')", "STRING", {"x"}),
    ("COALESCE(x, 0.0) + IFNULL(n, 0)", "FLOAT64", {"x", "n"}),
    ("SAFE_DIVIDE(x, n)", "FLOAT64", {"x", "n"}),
    ("x / n * 100 - 1", "FLOAT64", {"x", "n"}),
    ("ROUND(x, 2) + FLOOR(x) + CEIL(x) + ABS(x)", "FLOAT64", {"x"}),
    ("LN(x) + SQRT(x) + POW(x, 2)", "FLOAT64", {"x"}),
    ("GREATEST(n, 1) + LEAST(n, 2)", "INT64", {"n"}),
    ("MOD(n, 7) = 3 AND DIV(n, 2) > 1", "BOOL", {"n"}),
    ("CAST(n AS STRING) = '1'", "BOOL", {"n"}),
    ("SAFE_CAST(s AS FLOAT64)", "FLOAT64", {"s"}),
    ("LOWER(TRIM(CONCAT(s, 'x')))", "STRING", {"s"}),
    ("SUBSTR(s, 1, 3) || UPPER(s)", "STRING", {"s"}),
    ("LENGTH(s) > 3 AND STARTS_WITH(s, 'a')", "BOOL", {"s"}),
    ("REGEXP_CONTAINS(s, '^a.*')", "BOOL", {"s"}),
    ("EXTRACT(HOUR FROM ts)", "INT64", {"ts"}),
    ("DATE(ts) >= DATE '2024-01-01'", "BOOL", {"ts"}),
    ("DATE_DIFF(day, DATE '2024-01-01', DAY)", "INT64", {"day"}),
    ("ts < TIMESTAMP '2024-01-01 00:00:00+00'", "BOOL", {"ts"}),
    ("FORMAT('%d', n)", "STRING", {"n"}),
    ("IS_NAN(x) OR IS_INF(x)", "BOOL", {"x"}),
    ("NULLIF(s, '') IS NULL", "BOOL", {"s"}),
    ("price > NUMERIC '1.5'", "BOOL", {"price"}),
    ("TRUE", "BOOL", set()),
]


@pytest.mark.googlesql
@pytest.mark.parametrize(("text", "kind", "columns"), SANE, ids=[text[:40] for text, _, _ in SANE])
def test_sane_expressions_read_only_their_columns(
    googlesql: GoogleSQL, text: str, kind: str, columns: set[str]
) -> None:
    """An accepted expression, written anew, is GoogleSQL of its type and reads the named columns of its table, no others."""
    parsed = Expression(text, "filter")
    assert parsed.columns == columns
    analysis = googlesql.analyze(f"SELECT {parsed.sql('bigquery')} AS v FROM `{LOGS}` AS t", {LOGS: COLUMNS})
    assert list(analysis.outputs) == [("v", kind)]
    assert set(analysis.columns.get(LOGS, ())) == columns
    assert set(analysis.scans) == {LOGS}


@pytest.mark.googlesql
@pytest.mark.parametrize(
    ("text", "expected"),
    [("s = 'it\\'s'", True), ("s = 'x\" OR TRUE OR \"'", False), ("s = 'x\\' OR TRUE OR \\''", False)],
)
def test_texts_stay_texts(googlesql: GoogleSQL, warehouse: DuckDBWarehouse, text: str, expected: bool) -> None:
    """A quote inside a text ends it in neither dialect, whichever quotes were written."""
    log = Log.of_values("s", "STRING", ["it's"])
    parsed = Expression(text, "filter")
    (row,) = googlesql.evaluate(
        f"SELECT {parsed.sql('bigquery')} AS v FROM `{LOGS}` AS t", log.tables, {}, {LOGS: log.rows}
    )
    relation = log.in_duckdb(warehouse)
    (ours,) = warehouse.query(Statement("text", f"SELECT {parsed.sql('duckdb')} AS v FROM {relation.sql} AS t"))
    assert row == ours == {"v": expected}


@pytest.mark.parametrize(
    "name",
    [
        "", "logs", "ds.logs.", ".ds.logs", "proj-1..logs", "proj-1.ds.logs`", "proj-1.ds.logs` AS a, `proj-1.ds.other", "proj-1.ds.lo gs",
        "proj-1.ds.logs;", "proj-1.ds.logs WHERE TRUE", "proj-1.ds.(SELECT 1)", "proj-1.ds.logs\n", "proj-1.ds.logs\\", "`proj-1`.ds.logs",
        "proj-1.d-s.logs", "proj-1.ds.*", "proj-1.ds.logs$20240101", "proj-1.ds.logs@-3600", "PROJ-1.ds.logs", "1proj-1.ds.logs", "p.ds.logs",
        "proj-1.ds.'x'",         'proj-1.ds."x"', "proj-1.ds.INFORMATION_SCHEMA.TABLES",
        "proj-1.ds.logs /* */", "a.b.c.d", "proj-1.ds." + "x" * 1025, "gs://bucket/x",
    ],
)  # fmt: skip
def test_hostile_bigquery_tables_are_refused(name: str) -> None:
    """Anything but project.dataset.table in plain letters is refused."""
    with pytest.raises(IdentifierError, match="not a BigQuery table"):
        bigquery_table(name)


@pytest.mark.googlesql
@pytest.mark.parametrize(
    "name",
    [
        "proj-1.ds.logs",
        "proj-1.ds.logs-2024",
        "proj-1.ds.logs--",
        "proj-1.ds.select",
        "proj-1.ds._x",
        "proj-1.ds.\u00fc",
        "example.com:proj-1.ds.logs",
    ],
)
def test_bigquery_tables_are_one_table(googlesql: GoogleSQL, name: str) -> None:
    """An accepted name is that table and nothing else to Google's analyzer; a dataset may leave out the project."""
    analysis = googlesql.analyze(f"SELECT t.x AS x FROM {bigquery_table(name)} AS t", {name: {"x": "INT64"}})
    assert dict(analysis.scans) == {name: 1}
    assert bigquery_table("ds.logs", "proj-1") == "`proj-1.ds.logs`"


@pytest.mark.parametrize(
    "name",
    [
        "", "a b", 'a"b', "a;b", "a--", "a.b.c.d", "a..b", ".a", "a.",
        "1a", "a'", "(SELECT 1)", "read_csv('x')", "a\n", "a, b", "a-b", "'x.csv'", "a(b)",
        "$1",
    ],
)  # fmt: skip
def test_hostile_duckdb_tables_are_refused(name: str) -> None:
    """Anything but [[database.]schema.]table in plain letters is refused; files have their own way in."""
    with pytest.raises(IdentifierError, match="not a DuckDB table"):
        duckdb_table(name)


@pytest.mark.parametrize("name", ["logs", "main.logs", "memory.main.logs", "SELECT", "_x", "gr\u00f6sse"])
def test_duckdb_tables_are_quoted(warehouse: DuckDBWarehouse, name: str) -> None:
    """An accepted name is that table, reserved words included."""
    table = duckdb_table(name)
    warehouse.execute(Statement("create", f"CREATE TABLE {table} AS SELECT 1 AS x"))
    assert warehouse.relation(name).columns == {"x": "INT64"}


@pytest.mark.parametrize("dialect", ["bigquery", "duckdb"])
@pytest.mark.parametrize("name", ["", "a`b", "`", "a\\b", "a\nb", "a\0b", "a\x7fb", "x` FROM `other"])
def test_hostile_columns_are_refused(name: str, dialect: Dialect) -> None:
    """GoogleSQL cannot escape a backtick by doubling it: such names, backslashes and control characters are refused."""
    with pytest.raises(IdentifierError, match="not a column name"):
        quote_column(name, dialect)


@pytest.mark.googlesql
@pytest.mark.parametrize(
    "name",
    [
        "x",
        "select",
        "a b",
        'say "x"',
        '"; DROP TABLE log; --',
        "it's",
        "a--b",
        "a/*b",
        "#a",
        "@p",
        "{{ x }}",
        "\u00fc\U0001f600",
    ],
)
def test_columns_of_any_other_name(googlesql: GoogleSQL, warehouse: DuckDBWarehouse, name: str) -> None:
    """Every other name is one column in both dialects, in features and in expressions."""
    log = Log({name: "INT64", "other": "INT64"}, [{name: 7, "other": 1}])
    parsed = Expression(f"`{name}` + 1", "feature")
    relation = log.in_duckdb(warehouse)
    for made, expected in ((lambda d: f"t.{quote_column(name, d)}", 7), (parsed.sql, 8)):
        sql = f"SELECT {made('bigquery')} AS v FROM `{LOGS}` AS t"
        assert googlesql.analyze(sql, log.tables).columns[LOGS] == {name}
        assert googlesql.evaluate(sql, log.tables, {}, {LOGS: log.rows}) == [{"v": expected}]
        assert warehouse.query(Statement("column", f"SELECT {made('duckdb')} AS v FROM {relation.sql} AS t")) == [
            {"v": expected}
        ]


def test_an_expression_names_only_existing_columns() -> None:
    """A column that the table lacks is an error that lists what exists and guesses."""
    with pytest.raises(IdentifierError, match=r"names column 'envronment'.*Did you mean 'environment'\?"):
        Expression("envronment = 'prod'", "filter").require_columns(["environment", "x"])

"""No configuration, however hostile, makes a statement that reads what the configuration does not name."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest
from sqlglot import parse_one
from sqlglot.errors import SqlglotError

from bq_monitor import capture, freeze, listing_outcomes, outcomes, scan, segments
from bq_monitor.errors import ConfigError, IdentifierError
from bq_monitor.listing import monitor_statements
from bq_monitor.warehouse import config_check, syntax
from bq_monitor.warehouse.expressions import Expression
from bq_monitor.warehouse.identifiers import bigquery_table, parse_bigquery_url
from tests.conftest import ROOT
from tests.googlesql.hostile import OF_OUTCOMES, UNNAMED, Analyzer, Tally, examine, fault_class, reason, tally, words
from tests.googlesql.hostile_configurations import case
from tests.googlesql.server import GoogleSQL

SEED = 20260101
CASES = 400


@pytest.fixture(scope="module")
def analyzer(googlesql: GoogleSQL) -> Iterator[Analyzer]:
    """An analyzer with a catalog of its own; where there is none, `googlesql` skips."""
    opened = Analyzer()
    yield opened
    opened.close()


def loans(**changes: Any) -> dict[str, Any]:
    """A small valid configuration, as YAML gives it."""
    data = {
        "monitor": "loans", "warehouse": "bigquery://acme-ml/monitoring",
        "source": {"table": "acme-ml.serving.loans", "timestamp": "predicted_at"}, "features": [{"name": "amount", "kind": "numeric"}],
    }  # fmt: skip
    return {**data, **changes}


def with_outcomes(labels: dict[str, Any] | None = None, **changes: Any) -> dict[str, Any]:
    """The configuration with labels in a table of their own."""
    source = {"table": "acme-ml.serving.loans", "timestamp": "predicted_at", "id": "loan_id"}
    prediction = {"column": "approved", "kind": "binary", "positive": True, "score": "probability"}
    table = {"table": "acme-ml.serving.outcomes", "column": "repaid", "timestamp": "known_at", **(labels or {})}
    return loans(source=source, prediction=prediction, labels=table, **changes)


def made(expression: str, kind: str = "numeric") -> dict[str, Any]:
    """The configuration with a feature made by an expression."""
    return loans(
        features=[{"name": "amount", "kind": "numeric"}, {"name": "x", "kind": kind, "expression": expression}]
    )


@pytest.mark.googlesql
def test_no_configuration_reads_what_it_does_not_name(analyzer: Analyzer) -> None:
    """Each of the random cases is refused by us, or stays one statement over its log's named columns; many reach Google."""
    found = tally(SEED, range(CASES), analyzer)
    assert found.failures == []
    assert found.n == found.accepted + found.refused.total() == CASES
    assert found.accepted > 0.4 * CASES
    assert found.n_statements > 3 * found.accepted
    assert found.faults.total() < 0.1 * found.n_statements
    assert all(found.accepted_with[name] > 0.05 * CASES for name in OF_OUTCOMES)


def test_a_case_is_made_again_by_its_number() -> None:
    """The same seed and number give the same configuration, others another."""
    assert repr(case(SEED, 7)) == repr(case(SEED, 7)) != repr(case(SEED, 8)) != repr(case(SEED + 1, 8))


@pytest.mark.googlesql
def test_the_check_catches_names_that_break_out_of_their_quotes(
    analyzer: Analyzer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Were backticks let into a name, random cases would reach the foreign table and the column beside, and be reported."""
    for module in (config_check, capture, freeze, scan):
        monkeypatch.setattr(module, "quote_column", lambda name, dialect: f"`{name}`")
    numbers = [number for number in range(5 * CASES) if "secret` " in repr(case(SEED, number))]
    assert tally(SEED, numbers, analyzer).failures
    for name, leak in [
        ("amount` + `secret", "column secret"),
        ("amount` + (SELECT MAX(secret) FROM secrets) + `amount", "table secrets"),
    ]:
        features = [{"name": "amount", "kind": "numeric"}, {"name": name, "kind": "numeric"}]
        assert f"scan/histograms: {leak}" in examine(analyzer, loans(features=features)).leaks


BROKEN_OUT = "loan_id` || FORMAT('%T', secret) || `loan_id"
IN_NUMBERS = "amount` + secret + `amount"
IN_TIMES = "predicted_at` IS NULL OR secret > 1 OR `predicted_at"


@pytest.mark.googlesql
@pytest.mark.parametrize(
    ("module", "data", "leak"),
    [
        (segments, with_outcomes(segments=[BROKEN_OUT]), "reference/segments: column secret"),
        (segments, with_outcomes(segments=[["region", BROKEN_OUT]]), "scan/histograms: column secret"),
        (outcomes, with_outcomes({"column": BROKEN_OUT, "positive": "yes"}), "scan/arrivals: column secret of the labels"),
        (outcomes, with_outcomes({"id": f"repaid{BROKEN_OUT[7:-7]}repaid", "positive": "yes"}), "scan/histograms: column secret of the labels"),
        (outcomes, with_outcomes({"table": None, "column": BROKEN_OUT, "positive": "yes"}), "scan/arrivals: column secret"),
        (outcomes, with_outcomes({"table": None, "timestamp": IN_TIMES}), "scan/histograms: column secret"),
        (outcomes, with_outcomes(quality={"latency_ms": {"column": IN_NUMBERS}}), "scan/histograms: column secret"),
    ],
    ids=["segment", "intersection", "label", "id", "label in the log", "time in the log", "latency"],
)  # fmt: skip
def test_the_check_catches_names_of_outcomes_that_break_out(
    analyzer: Analyzer, monkeypatch: pytest.MonkeyPatch, module: ModuleType, data: dict[str, Any], leak: str
) -> None:
    """Were backticks let into the names of segments, labels or latency, the statement with them is reported; else they are refused."""
    assert examine(analyzer, data).refused
    for one in (config_check, scan, module):
        monkeypatch.setattr(one, "quote_column", lambda name, dialect: f"`{name}`")
    assert leak in examine(analyzer, data).leaks


@pytest.mark.googlesql
def test_the_check_sees_the_keys_of_segments_where_a_log_is_counted(
    analyzer: Analyzer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The statements that are listed hold the expression of each segment, as a run would send it."""
    monkeypatch.setattr(segments, "value", lambda kind, expression, column_type: f"CAST(t.{UNNAMED} AS STRING)")
    leaks = examine(analyzer, with_outcomes(segments=["region"])).leaks
    assert f"scan/histograms: column {UNNAMED}" in leaks


@pytest.mark.googlesql
def test_the_check_catches_random_names_of_outcomes_that_break_out(
    analyzer: Analyzer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Were only segments and outcomes to let backticks in, random cases would show it too."""
    for module in (config_check, outcomes, segments):
        monkeypatch.setattr(module, "quote_column", lambda name, dialect: f"`{name}`")
    of_outcomes = ({key: case(SEED, number).get(key) for key in OF_OUTCOMES} for number in range(10 * CASES))
    numbers = [number for number, sections in enumerate(of_outcomes) if "secret` " in repr(sections)]
    found = "\n".join(tally(SEED, numbers, analyzer).failures)
    assert re.search(r"(reference/segments|scan/arrivals|scan/histograms): (column secret|table secrets)", found)


@pytest.mark.googlesql
def test_the_check_catches_a_segment_that_is_not_parsed(analyzer: Analyzer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Were a segment's expression written as it came, its subquery, function of a user and other column would be reported."""
    monkeypatch.setattr(config_check, "_expressions", lambda config: [])
    for name, value in {"require_columns": lambda self, columns: None, "sql": lambda self, dialect: self.text}.items():
        monkeypatch.setattr(segments.Expression, name, value)
    monkeypatch.setattr(segments.Expression, "__init__", lambda self, text, place: setattr(self, "text", text))
    for text, leak in [
        ("(SELECT MAX(secret) FROM secrets)", "table secrets"), ("ds.my_udf(amount)", "function user:my_udf"),
        (f"t.{UNNAMED}", f"column {UNNAMED}"), ("(SELECT MAX(o.repaid) FROM `acme-ml.serving.outcomes` AS o)", "the labels, where"),
    ]:  # fmt: skip
        leaks = examine(analyzer, with_outcomes(segments=[{"name": "x", "expression": text}])).leaks
        assert any(found.startswith(f"reference/segments: {leak}") for found in leaks), text


@pytest.mark.googlesql
@pytest.mark.parametrize(
    ("table", "leak"),
    [
        ("acme-ml.serving.outcomes` AS o, `secret-project.ds.secrets", "table secret-project.ds.secrets"),
        ("acme-ml.serving.outcomes` AS t JOIN `acme-ml.other.loans", "table acme-ml.other.loans"),
    ],
)
def test_the_check_catches_a_table_of_labels_that_breaks_out(
    analyzer: Analyzer, monkeypatch: pytest.MonkeyPatch, table: str, leak: str
) -> None:
    """Were the name of the labels' table quoted and nothing else, what it brings along is reported."""
    monkeypatch.setattr(config_check, "_faults_of_labels", lambda *_: [])
    monkeypatch.setattr(listing_outcomes, "bigquery_table", lambda text, project: f"`{text}`")
    leaks = examine(analyzer, with_outcomes({"table": table})).leaks
    assert f"scan/arrivals: {leak}" in leaks
    assert f"scan/histograms: {leak}" in leaks


@pytest.mark.googlesql
def test_labels_are_read_only_in_their_columns_and_when_configured(
    analyzer: Analyzer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The table of labels is another table where no labels are named; where they are, its other columns are none of theirs."""
    assert examine(analyzer, with_outcomes()).leaks == ()
    read_all = "(SELECT MAX(o.repaid) FROM `acme-ml.serving.outcomes` AS o)"
    with monkeypatch.context() as patched:
        patched.setattr(Expression, "sql", lambda self, dialect: f"LENGTH(CAST({read_all} AS STRING))")
        for labels in ({"labels": None}, {"labels": {"column": "repaid"}}):
            leaks = examine(
                analyzer,
                {**with_outcomes(), **made("amount"), **labels, "prediction": {"column": "a", "kind": "binary"}},
            ).leaks
            assert "scan/histograms: table acme-ml.serving.outcomes" in leaks
    monkeypatch.setattr(outcomes, "_outcome", lambda *_: f"CAST(t.{UNNAMED} AS STRING)")
    leak = f"column {UNNAMED} of the labels"
    assert {f"scan/arrivals: {leak}", f"scan/histograms: {leak}"} <= set(examine(analyzer, with_outcomes()).leaks)


@pytest.mark.googlesql
def test_the_check_catches_expressions_that_are_not_checked(
    analyzer: Analyzer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Were every expression let through that parses, subqueries, functions of users and other statements would be reported."""

    def tree_of(text: str) -> syntax.Tree:
        try:
            return syntax.Tree(parse_one(f"SELECT {text}", read="bigquery").expressions[0])
        except (SqlglotError, RecursionError, IndexError):
            raise syntax.RefusedError("does not parse") from None

    monkeypatch.setattr(syntax, "tree_of", tree_of)
    found = "\n".join(tally(SEED, range(CASES // 2), analyzer).failures)
    assert re.search(r"scan/histograms: table (secrets|ds\.secrets|secret-project)", found)
    for text, leak in [
        ("(SELECT MAX(secret) FROM secrets)", "table secrets"), ("ds.my_udf(amount)", "function user:my_udf"),
        ("(SELECT SUM(x.unnamed_column) FROM `acme-ml.other.loans` AS x)", "table acme-ml.other.loans"),
        ("DATE_DIFF(amount, amount, `DAY) + (SELECT 1 FROM SECRETS`)", "table SECRETS"),
    ]:  # fmt: skip
        assert any(leak in found for found in examine(analyzer, made(text)).leaks), text


@pytest.mark.googlesql
@pytest.mark.parametrize(
    ("text", "leak"),
    [
        (f"t.{UNNAMED}", f"column {UNNAMED}"),
        ("TO_JSON_STRING(t)", f"column {UNNAMED}"),
        ("RAND()", "function ZetaSQL:rand"),
        ("ds.my_constant", "a named"),
    ],
)
def test_the_check_sees_each_kind_of_leak(
    analyzer: Analyzer, monkeypatch: pytest.MonkeyPatch, text: str, leak: str
) -> None:
    """Another column than the one named, a whole row, a random value and a constant of someone else: each has its name."""
    monkeypatch.setattr(Expression, "sql", lambda self, dialect: f"LENGTH(CAST({text} AS STRING))")
    assert any(f"scan/histograms: {leak}" in found for found in examine(analyzer, made("secret")).leaks)


@pytest.mark.googlesql
def test_the_check_sees_several_statements_and_other_kinds(analyzer: Analyzer, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second statement behind a semicolon, or one that is no query, is a leak although Google refuses to analyze it."""
    monkeypatch.setattr(
        "tests.googlesql.hostile.monitor_statements", lambda config: spoiled(monitor_statements(config))
    )

    def spoiled(listed: list[dict[str, Any]]) -> list[dict[str, Any]]:
        texts = {"scan/granules": "SELECT 1; SELECT 2", "reference/profile": "DROP TABLE `acme-ml.serving.loans`"}
        return [{**item, "sql": texts.get(item["name"], item["sql"])} for item in listed]

    leaks = examine(analyzer, loans()).leaks
    assert set(leaks) == {"scan/granules: several statements", "reference/profile: a statement of kind drop_stmt"}


@pytest.mark.googlesql
@pytest.mark.parametrize("table", ["serving.loans", "acme-ml.serving.LOANS", "acme-ml.monitoring.runs"])
def test_labels_may_lie_in_a_table_named_before(analyzer: Analyzer, table: str) -> None:
    """Labels in the log itself, in one that differs in case alone, or in a table of ours are no leak, also where Google refuses types."""
    broken = with_outcomes(
        {"table": table}, features=[{"name": "x", "kind": "numeric", "expression": "amount + region || 'a'"}]
    )
    found = [examine(analyzer, data) for data in (with_outcomes({"table": table}), broken)]
    assert [(outcome.refused, outcome.crash, outcome.leaks) for outcome in found] == [(None, None, ())] * 2
    assert found[1].faults


def test_an_error_of_another_class_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is raised beside our own refusals is reported, not counted as a refusal."""
    monkeypatch.setattr("tests.googlesql.hostile.monitor_statements", lambda config: {}["x"])
    found = Tally()
    found.add(3, loans(), examine(None, loans()))  # type: ignore[arg-type]
    assert (found.n, found.accepted, found.refused.total(), len(found.failures)) == (1, 0, 0, 1)
    assert found.failures[0].startswith("case 3: KeyError: 'x'")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("DATE_TRUNC(ts, `DAY) > (SELECT MAX(x) FROM secrets) OR DATE_TRUNC(ts, DAY`)", "is not a plain word"),
        ("EXTRACT(`DAY FROM secret) + EXTRACT(DAY` FROM ts)", "is not a plain word"),
        ("DATE_TRUNC(ts, 'DAY) + (1')", "is not a plain word"),
        ("DATE_DIFF(a, b, `DAY) + (secret`)", "is not a plain word"),
        ("LAST_DAY(a, `DAY), (secret`)", "is not a plain word"),
        ("DATE_TRUNC(ts, WEEK(`MONDAY)) + (secret`))", "is not a plain word"),
        ("CAST(NULL AS STRUCT<`a\\\\` INT64>)", "a backslash in a name"),
        ("x OPERATOR(`) + (SELECT 1) + (`) y", "an operator by name"),
        ("CONVERT(x USING `utf8) + (secret`)", "is not a plain word"),
        ("COLUMNS('secret')", "a choice of columns"),
        ("JSON_TABLE(x, '$' COLUMNS(a INT PATH '$'))", "a table function"),
        ("XMLTABLE('a')", "a table function"),
        ("OPENJSON(x)", "a table function"),
        *((f"AI_{name}", "a model") for name in ("GENERATE(x)", "EMBED(x)", "SIMILARITY(x, 'a')", "CLASSIFY(x, ['a'])")),
        ("NET.UPPER(x)", "an unknown function"),
        ("CURRENT_USER()", "a session variable"),
        ("CURRENT_ROLE()", "a session variable"),
        *((f"LENGTH({text})", "a clause inside a function") for text in ("x LIMIT 1", "x ORDER BY x", "DISTINCT x")),
        ("x = N'a\\\\'", "a backtick, backslash or control character"),
        ("x = b'a\\\\'", "a backtick, backslash or control character"),
        ("REGEXP_EXTRACT(x)", "does not parse"),
        ("x = r'a`b'", "a backtick, backslash or control character"),
        *((f"`{name}` > 1", "a backslash in a name") for name in ("a\\O", "a\\'b", "\\141mount", "\u00e9\\ ")),
    ],
)  # fmt: skip
def test_words_that_are_written_without_quotes_are_plain(text: str, why: str) -> None:
    """What the writer of SQL does not quote (date parts, operators, types) cannot carry a statement; nor does it call for others' help."""
    with pytest.raises(IdentifierError, match=why):
        Expression(text, "filter")


def test_what_is_written_is_checked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the writer makes of a tree is refused when it reads more than the tree that was checked."""
    monkeypatch.setattr(syntax, "_WORD", re.compile(r".*", re.DOTALL))
    for text in (
        "EXTRACT(`DAY FROM secret) + EXTRACT(DAY` FROM ts)",
        "DATE_DIFF(a, b, `DAY) + (SELECT MAX(X) FROM S) + (1`)",
    ):
        with pytest.raises(syntax.RefusedError, match="does not mean the same when written anew"):
            syntax.tree_of.__wrapped__(text)


@pytest.mark.parametrize(
    "text",
    [
        "DATE_TRUNC(ts, WEEK(MONDAY))",
        "EXTRACT(ISOWEEK FROM ts)",
        "REGEXP_EXTRACT(s, r'(\\d+)')",
        "NORMALIZE(s, NFC)",
        "NET.HOST(s)",
    ],
)
def test_plain_words_are_still_allowed(text: str) -> None:
    """Date parts, forms and raw patterns mean what they say."""
    assert Expression(text, "filter").columns < {"ts", "s", "x"}


@pytest.mark.parametrize(
    "name", ["INFORMATION_SCHEMA.TABLES", "region-us.information_schema.JOBS", "acme-ml.serving.__TABLES__"]
)
def test_metadata_is_no_log(name: str) -> None:
    """BigQuery's views about tables and other people's jobs are no table of predictions."""
    with pytest.raises(IdentifierError, match="not a BigQuery table"):
        bigquery_table(name, "acme-ml")


@pytest.mark.parametrize(
    "rest", ["[::1/monitoring", "acme-ml\u2100/monitoring", "[acme-ml]/monitoring", "acme-ml/monitoring#x"]
)
def test_odd_urls_are_refused_like_others(rest: str) -> None:
    """An address that Python's own parser cannot read or with more in it, is refused with the message of any other."""
    with pytest.raises(IdentifierError, match="allowed: bigquery://PROJECT/DATASET"):
        parse_bigquery_url(rest)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("a > 1 AND `b c` = 'd'", {"a", "AND", "b c"}), ("t.a = x.y.z", set()), ("'a' \"b\" r'c\\' d' '''e' f'''", set()),
        ("`t.a` = `it\\'s`", {"t.a", "it's"}), ("`DAY) + (secret`", {"DAY) + (secret"}), ("1e5 + a1", {"a1", "e5"}),
    ],
)  # fmt: skip
def test_names_are_read_without_our_parser(text: str, found: set[str]) -> None:
    """Bare words and whole backticked names, nothing of a path or a text."""
    assert words(text) == found


def test_classes_hold_no_names() -> None:
    """Refusals and Google's messages are counted by what is wrong, without the texts in them."""
    message = "configuration: features[3].name: column 'a; b, got \\' `x`': not a column name; allowed: any"
    assert (
        reason(ConfigError("configuration", [message.removeprefix("configuration: ")]))
        == "features[].name: column ...: not a column name"
    )
    assert fault_class('Syntax error: Unexpected "(" [at 3:4]') == "Syntax error"
    assert (
        fault_class("No matching signature for operator = for argument types: X, Y. Z [at 1:2]")
        == "No matching signature for ..."
    )


@pytest.mark.googlesql
def test_the_benchmark_runs(googlesql: GoogleSQL) -> None:
    """The program prints its table, and ends well when nothing leaks."""
    command = [sys.executable, str(ROOT / "benchmarks" / "hostile.py"), "6", "--processes", "1", "--seed", str(SEED)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    for line in ("6 configurations", "accepted", "refused by bq-monitor", "refused by Google", "leaks and crashes +0"):
        assert re.search(line, done.stdout), line

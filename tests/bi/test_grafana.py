"""The Grafana dashboard imports, asks what the views answer, and no name or link can make it ask for anything else."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest

from bq_monitor.warehouse.base import Row
from tests.bi.conftest import HOSTILE, RANGE, Analyze, Ask
from tests.conftest import ROOT

if TYPE_CHECKING:
    from tests.googlesql.server import GoogleSQL

PATH = ROOT / "grafana" / "bq-monitor.json"
DASHBOARD: dict[str, Any] = json.loads(PATH.read_text(encoding="utf-8"))
PANELS: dict[str, dict[str, Any]] = {panel["title"]: panel for panel in DASHBOARD["panels"]}
VARIABLES: dict[str, dict[str, Any]] = {item["name"]: item for item in DASHBOARD["templating"]["list"]}
QUERIED = {name: item for name, item in VARIABLES.items() if item["type"] == "query"}
(ANNOTATION,) = [item for item in DASHBOARD["annotations"]["list"] if not item.get("builtIn")]
PLUGIN = {"type": "grafana-bigquery-datasource", "uid": "${DS_BIGQUERY}"}
CONSTANTS = {"project": "proj-1", "dataset": "monitoring"}
TIME_SERIES, TABLE = 0, 1
_VARIABLE = re.compile(r"\$\{(\w+)(?::(\w+))?\}")
_TIME_FILTER = re.compile(r"\$__timeFilter\((\w+)\)")
_KEPT = "-_.~"
"""What percentencode leaves as it is beside letters and digits."""


def chosen(name: str) -> str:
    """The value that a query variable has for a name, as its query answers it."""
    return f"x{name.encode().hex()}"


SCOPE = {"monitor": chosen("loans"), "model_version": chosen("1"), "segment": chosen("all"), "baseline": chosen("training"),
         "feature": chosen("amount"), "measure": chosen("accuracy")}  # fmt: skip


def substituted(sql: str, values: Mapping[str, str] = SCOPE) -> str:
    """What the plugin sends: variables by their format, then macros, as its own tests say."""
    known = {**CONSTANTS, **values}

    def variable(match: re.Match[str]) -> str:
        assert match[2] in (None, "percentencode")
        return quote(known[match[1]], safe=_KEPT) if match[2] else known[match[1]]

    text = _VARIABLE.sub(variable, sql)
    return _TIME_FILTER.sub(rf"\1 >= '{RANGE[0]}' AND \1 <= '{RANGE[1]}'", text)


def statements() -> Iterator[tuple[str, str]]:
    """Every statement of the dashboard by what it is for."""
    for title, panel in PANELS.items():
        for target in panel["targets"]:
            yield f"{title} {target['refId']}", target["rawSql"]
    for name, item in QUERIED.items():
        yield f"variable {name}", item["query"]["rawSql"]
    yield "annotation", ANNOTATION["target"]["rawSql"]


STATEMENTS = dict(statements())


def columns(rows: list[Row]) -> list[str]:
    assert rows
    return list(rows[0])


def test_ids_are_unique() -> None:
    """Panels have ids and titles of their own; variables and queries have names of their own."""
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(set(ids)) == len(ids) == len(PANELS)
    assert len(VARIABLES) == len(DASHBOARD["templating"]["list"])
    assert all(
        len({target["refId"] for target in panel["targets"]}) == len(panel["targets"]) for panel in PANELS.values()
    )
    assert DASHBOARD["id"] is None  # a number is an id of one Grafana, which the import would refuse or overwrite


def test_panels_do_not_overlap() -> None:
    """Each has its own place in a grid of 24 columns."""
    places = [panel["gridPos"] for panel in PANELS.values()]
    cells = [
        (x, y) for at in places for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])
    ]
    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) < 24


def test_an_import_asks_for_what_it_needs() -> None:
    """Data source, project and dataset are inputs; every one of them is used, and no other data source is named."""
    inputs = {item["name"]: item["type"] for item in DASHBOARD["__inputs"]}
    assert inputs == {"DS_BIGQUERY": "datasource", "VAR_PROJECT": "constant", "VAR_DATASET": "constant"}
    named = [target["datasource"] for panel in PANELS.values() for target in (panel, *panel["targets"])]
    named += [item["datasource"] for item in QUERIED.values()] + [
        item["query"]["datasource"] for item in QUERIED.values()
    ]
    named += [ANNOTATION["datasource"], ANNOTATION["target"]["datasource"]]
    assert all(source == PLUGIN for source in named)
    assert {name: VARIABLES[name]["query"] for name in CONSTANTS} == {
        name: f"${{VAR_{name.upper()}}}" for name in CONSTANTS
    }
    assert all(VARIABLES[name]["skipUrlSync"] for name in CONSTANTS)
    required = {item["id"] for item in DASHBOARD["__requires"]}
    assert required == {"grafana", "grafana-bigquery-datasource", *(panel["type"] for panel in PANELS.values())}


@pytest.mark.parametrize("name", sorted(STATEMENTS))
def test_values_come_as_hex_in_percent_encoding(name: str) -> None:
    """Grafana's sqlstring and quotes do not escape a backslash, which GoogleSQL reads: no value comes in any other way than this one."""
    decoded = re.compile(r"SAFE_CONVERT_BYTES_TO_STRING\(FROM_HEX\(SUBSTR\('\$\{\w+:percentencode\}', 2\)\)\)")
    left = decoded.sub("", re.sub(r"`\$\{project\}\.\$\{dataset\}\.\w+`", "", STATEMENTS[name]))
    assert "${" not in left and "[[" not in left
    assert set(re.findall(r"\$\w+", left)) <= {"$__timeFilter"}
    assert set(re.findall(r"\$\{(\w+)", STATEMENTS[name])) <= set(VARIABLES)


def test_variables_are_single_and_fixed() -> None:
    """Of several values the plugin makes a list of its own quoting; a value is one, and one of those that are offered."""
    assert [
        name for name, item in QUERIED.items() if item["multi"] or item["includeAll"] or item["allowCustomValue"]
    ] == []


@pytest.mark.parametrize("name", sorted(STATEMENTS))
def test_a_statement_answers(ask: Ask, name: str) -> None:
    """It finds rows in the lab, which has drift, broken limits and checks, alerts and runs."""
    assert ask(substituted(STATEMENTS[name]))


@pytest.mark.parametrize("title", sorted(PANELS))
def test_overrides_name_columns(ask: Ask, title: str) -> None:
    """Every override, and every field that options name, is a column of the answer; a series has a time that rises."""
    panel = PANELS[title]
    rows = ask(substituted(panel["targets"][0]["rawSql"]))
    found = columns(rows)
    matchers = [item["matcher"] for item in panel["fieldConfig"]["overrides"]]
    assert all(matcher["id"] == "byName" and matcher["options"] in found for matcher in matchers)
    below = [
        item["value"]
        for entry in panel["fieldConfig"]["overrides"]
        for item in entry["properties"]
        if item["id"] == "custom.fillBelowTo"
    ]
    labels = re.findall(r"\$\{__field\.labels\.(\w+)\}", panel["fieldConfig"]["defaults"].get("displayName", ""))
    links = re.findall(r"\$\{__data\.fields\.(\w+)\}", json.dumps(panel["fieldConfig"]))
    assert {*below, *labels, *links, *([panel["options"]["xField"]] if "xField" in panel["options"] else [])} <= set(
        found
    )
    if panel["targets"][0]["format"] == TIME_SERIES:
        times = [row["time"] for row in rows]
        assert times == sorted(times)
        keys = [(row["time"], *(value for value in row.values() if isinstance(value, str))) for row in rows]
        assert len(set(keys)) == len(keys)  # one number a moment and series


def test_series_and_tables_are_asked_for_as_such() -> None:
    """What is drawn over time comes as a time series, the rest as a table."""
    over_time = {"timeseries", "status-history"}
    for panel in PANELS.values():
        assert panel["targets"][0]["format"] == (TIME_SERIES if panel["type"] in over_time else TABLE)


@pytest.mark.parametrize("name", sorted(QUERIED))
def test_a_variable_offers_names_with_their_values(ask: Ask, name: str) -> None:
    """People see the name; the value is its hex, from which the statements read the name again."""
    rows = ask(substituted(QUERIED[name]["query"]["rawSql"]))
    assert rows
    assert all(set(row) == {"text", "value"} and row["value"] == chosen(row["text"]) for row in rows)
    assert len({row["value"] for row in rows}) == len(rows)
    assert QUERIED[name]["definition"] == QUERIED[name]["query"]["rawSql"]


def test_the_whole_and_the_training_data_come_first(ask: Ask) -> None:
    """What is shown when nothing is picked: all rows, against the training data."""
    for name, first in (("segment", "all"), ("baseline", "training"), ("monitor", "loans")):
        assert ask(substituted(QUERIED[name]["query"]["rawSql"]))[0]["text"] == first


def test_a_hostile_segment_is_a_name_like_any_other(ask: Ask) -> None:
    """A group whose name has quotes, a backslash and comment marks is offered and found."""
    offered = {row["text"]: row["value"] for row in ask(substituted(QUERIED["segment"]["query"]["rawSql"]))}
    value = offered[f"region={HOSTILE}"]
    rows = ask(substituted(PANELS["Rows by window"]["targets"][0]["rawSql"], {**SCOPE, "segment": value}))
    everything = ask(substituted(PANELS["Rows by window"]["targets"][0]["rawSql"]))
    assert 0 < sum(row["n_rows"] for row in rows) < sum(row["n_rows"] for row in everything)


@pytest.mark.parametrize(
    "attack", ["' OR TRUE --", "\\' OR TRUE --", "x') OR ('1'='1", '" OR TRUE #', "`", "x\n; DROP TABLE t"]
)
def test_a_link_cannot_change_a_statement(attack: str) -> None:
    """Whatever a link says a variable is stays inside its literal: letters, digits, percent signs and four marks."""
    for sql in STATEMENTS.values():
        plain, attacked = substituted(sql), substituted(sql, dict.fromkeys(SCOPE, attack))
        literals = re.compile(r"SUBSTR\('([\w%.~-]*)', 2\)")
        assert literals.sub("?", attacked) == literals.sub("?", plain)


def test_annotations_have_the_columns_that_grafana_reads(ask: Ask) -> None:
    """A mark has a time, a title, a text and tags; each is of something that happened to an alert."""
    rows = ask(substituted(ANNOTATION["target"]["rawSql"]))
    assert columns(rows) == ["time", "title", "text", "tags"]
    assert all(row["text"] and len(row["tags"].split(",")) == 3 for row in rows)


def test_verdicts_are_told_apart_by_words() -> None:
    """Each number that stands for a verdict has a word of its own, not only a colour."""
    mapped = [
        panel["fieldConfig"]["defaults"]["mappings"][0]["options"]
        for panel in PANELS.values()
        if "AS verdict" in panel["targets"][0]["rawSql"]
    ]
    assert len(mapped) == 2
    assert all(
        {key: option["text"] for key, option in found.items()} == {"0": "ok", "1": "not evaluated", "2": "drift"}
        for found in mapped
    )


@pytest.mark.googlesql
@pytest.mark.parametrize("name", sorted(STATEMENTS))
def test_google_accepts_a_statement(analyze: Analyze, name: str) -> None:
    """Google's analyzer resolves it; what is a time there is a TIMESTAMP."""
    outputs = dict(analyze(substituted(STATEMENTS[name])).outputs)
    assert outputs.get("time", "TIMESTAMP") == "TIMESTAMP"


@pytest.mark.googlesql
@pytest.mark.parametrize("name", ["loans", "", HOSTILE, "größe 😀", "שלום"])
def test_google_reads_a_value_as_its_name(googlesql: GoogleSQL, name: str) -> None:
    """In Google's evaluator the value that a variable offers is its name again."""
    read = re.search(r"SAFE_CONVERT_BYTES_TO_STRING\(.*?, 2\)\)\)", STATEMENTS["Open alerts A"])
    assert read
    sql = f"SELECT {substituted(read[0], {'monitor': chosen(name)})} AS name, CONCAT('x', TO_HEX(CAST(r'''{name}''' AS BYTES))) AS value"
    assert googlesql.evaluate(sql, {}) == [{"name": name, "value": chosen(name)}]


PAGE = (ROOT / "docs" / "grafana.md").read_text(encoding="utf-8")


def test_the_page_tells_of_every_variable_and_panel() -> None:
    """Variables by name; panels by their titles, without the name that is chosen."""
    assert re.findall(r"^\| `(\w+)` \|", PAGE, re.M) == list(QUERIED)
    titles = [re.sub(r" of \$.*| in \$.*|\$\{.*\}: ", "", title) for title in PANELS]
    assert [title for title in titles if title.lower() not in PAGE.lower()] == []


@pytest.mark.googlesql
def test_google_accepts_the_pages_queries(analyze: Analyze, ask: Ask) -> None:
    """What the page says to alert on is a query that answers."""
    queries = re.findall(r"```sql\n(.*?)```", PAGE, re.S)
    assert len(queries) == 2
    for query in queries:
        sql = query.replace("acme-ml.ml_monitoring.", "proj-1.monitoring.")
        assert analyze(sql).outputs
        assert ask(sql)


@pytest.mark.googlesql
def test_grafanas_own_quoting_would_let_a_name_out(googlesql: GoogleSQL) -> None:
    """Why values come as hex: quoted as `sqlstring` quotes, this name ends its literal, and the condition holds for every row."""
    from tests.googlesql.server import GoogleSQLError

    def found(name: str) -> list[Row]:
        quoted = "'" + name.replace("'", "''").replace('"', '\\"') + "'"
        return googlesql.evaluate(f"SELECT monitor FROM (SELECT 'loans' AS monitor) WHERE monitor = {quoted}\n", {})

    assert found("others") == []
    assert found("\\' OR TRUE --") == [{"monitor": "loans"}]
    with pytest.raises(GoogleSQLError, match="Syntax error"):
        found("it's")

"""The LookML project names what the schema has, says it in the schema's words, and asks only what the views answer."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import lkml
import pytest

from bq_monitor.warehouse.views import VIEWS
from looker import generate
from tests.bi.conftest import RANGE, Analyze, Ask
from tests.bi.lookml import Block, Field, Project, Query, alias_of
from tests.conftest import ROOT

CONSTANTS = {"connection": "c", "gcp_project": "proj-1", "dataset": "monitoring"}
PROJECT = Project(ROOT / "looker", CONSTANTS)
LOOKML_TYPES = {
    "string": {"STRING"},
    "number": {"INT64", "FLOAT64", "NUMERIC"},
    "yesno": {"BOOL"},
    "time": {"TIMESTAMP"},
}
(DASHBOARD,) = PROJECT.dashboards
ELEMENTS = {element["name"]: element for element in DASHBOARD["elements"]}
ALLOWED_MEASURES = {"count", "count_distinct", "sum", "average", "max", "min"}
NESTED = {nested.name: nested for nested in generate.NESTED}


def columns_of(view: Block) -> dict[str, Block]:
    """Dimensions and dimension groups by name, without the key that is ours."""
    return {block["name"]: block for kind in ("dimensions", "dimension_groups") for block in view.get(kind, ())
            if block["name"] != "row_key"}  # fmt: skip


def base_of(explore: str) -> str:
    return PROJECT.explore_views(explore)[0]


def fans_out(explore: str) -> bool:
    return bool(PROJECT.explores[explore].get("joins"))


def test_the_generator_changes_nothing() -> None:
    """The view files are what the schema of today makes of them, no more and no fewer."""
    stored = {path.name: path.read_text(encoding="utf-8") for path in (ROOT / "looker/views").iterdir()}
    assert stored == generate.render()


def test_the_generator_writes_what_it_renders_and_removes_the_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A view that is gone leaves no file behind."""
    monkeypatch.setattr(generate, "VIEWS_FOLDER", tmp_path)
    (tmp_path / "gone.view.lkml").write_text("view: gone {}")
    generate.main()
    assert {path.name: path.read_text(encoding="utf-8") for path in tmp_path.iterdir()} == generate.render()


def test_every_view_of_ours_is_shown_or_left_out_for_a_reason() -> None:
    """What has no LookML is listed with its reason; nothing is both."""
    names = {view.name for view in VIEWS}
    assert names - set(PROJECT.views) == set(generate.LEFT_OUT)
    assert all(len(reason.split()) > 3 for reason in generate.LEFT_OUT.values())


@pytest.mark.parametrize("name", sorted(generate.PLANS))
def test_a_view_has_the_columns_of_the_schema(name: str) -> None:
    """Every column is there with its type and its description, and nothing else; arrays and ids are hidden."""
    types, (_, texts) = generate.column_types()[name], generate.descriptions()[name]
    found = columns_of(PROJECT.views[name])
    assert {column: block["description"] for column, block in found.items()} == texts
    for column, block in found.items():
        assert block["sql"] == f"${{TABLE}}.{column}"
        if types[column].startswith("ARRAY"):
            assert block["hidden"] == "yes"
        else:
            assert types[column] in LOOKML_TYPES[block["type"]], column
        assert (block.get("hidden") == "yes") == (types[column].startswith("ARRAY") or generate._is_id(column)), column


@pytest.mark.parametrize("name", sorted(generate.PLANS))
def test_times_stay_in_utc(name: str) -> None:
    """Instants are read as the warehouse has them, in no other zone."""
    for block in PROJECT.views[name].get("dimension_groups", ()):
        assert (block["convert_tz"], block["datatype"]) == ("no", "timestamp")
        assert {"raw", "time", "date"} <= set(block["timeframes"])


def test_measures_have_no_statistic_of_their_own() -> None:
    """A measure counts, sums, averages or picks what stands in a column; none has SQL of its own."""
    for view, block in PROJECT.views.items():
        columns = {f"${{{name}}}" for name in columns_of(block)}
        for measure in block["measures"]:
            assert measure["type"] in ALLOWED_MEASURES
            assert measure.get("sql") in ({None} if measure["type"] == "count" else columns), (view, measure["name"])
            assert measure["description"] and measure["drill_fields"] == ["detail*"]


def test_sets_and_filters_name_fields() -> None:
    """What a drill shows, and what an explore filters by, exists."""
    for view, block in PROJECT.views.items():
        (detail,) = block["sets"]
        known = PROJECT.fields(view)
        assert {f"{view}.{name}" for name in detail["fields"]} <= set(known)
        for measure in block["measures"]:
            named = {name for entry in measure.get("filters__all", ()) for part in entry for name in part}
            assert {f"{view}.{name}" for name in named} <= set(known)


def test_the_manifest_demands_the_place_of_the_data() -> None:
    """Whoever imports the project must say where the dataset is; every constant that is used is one of these."""
    exported = {constant["name"]: constant["export"] for constant in PROJECT.manifest["constants"]}
    assert exported == dict.fromkeys(CONSTANTS, "override_required")
    texts = [path.read_text(encoding="utf-8") for path in (ROOT / "looker").rglob("*.lkml")]
    used = {name for text in texts for name in exported if f"@{{{name}}}" in text}
    assert used == set(exported)
    assert sum(text.count("@{") for text in texts) == 1 + 2 * len(generate.PLANS)


def test_the_model_includes_files_that_are_there() -> None:
    """Each include matches a file."""
    for content in PROJECT.files.values():
        for pattern in content.get("includes", ()):
            assert list((ROOT / "looker").glob(pattern.lstrip("/"))), pattern


@pytest.mark.parametrize("name", sorted(PROJECT.explores))
def test_an_explore_is_sound(name: str) -> None:
    """Its views exist, its filters are fields of it, and at most one join multiplies its rows, from a view with a key to one with a key."""
    explore = PROJECT.explores[name]
    known = PROJECT.explore_fields(name)
    for entry in explore.get("always_filter", {}).get("filters__all", ()):
        assert {field for part in entry for field in part} <= set(known)
    joins = explore.get("joins", [])
    assert len(joins) <= 1  # two would multiply each other
    for join in joins:
        assert join["relationship"] == "one_to_many"
        assert PROJECT.primary_key(base_of(name)) and PROJECT.primary_key(join["name"])


def test_explores_over_time_are_bounded() -> None:
    """An explore over a history filters its time unless it shows where things stand now."""
    now = {"model_health", "open_alerts", "alerts"}
    for name, explore in PROJECT.explores.items():
        filters = [
            field
            for entry in explore.get("always_filter", {}).get("filters__all", ())
            for part in entry
            for field in part
        ]
        partitions = {
            f"{base_of(name)}.{column}_date" for column in ("window_end", "granule", "started_at", "created_at")
        }
        assert bool(partitions & set(filters)) == (name not in now), name


def test_every_view_has_an_explore() -> None:
    """No view is out of reach."""
    assert {view for name in PROJECT.explores for view in PROJECT.explore_views(name)} == set(PROJECT.views)


@pytest.mark.parametrize("name", sorted(ELEMENTS))
def test_an_element_names_fields_of_its_explore(name: str) -> None:
    """Fields, pivots, sorts, filters and what it listens to exist; it listens to filters of the dashboard."""
    element = ELEMENTS[name]
    known = PROJECT.explore_fields(element["explore"])
    assert element["model"] == "bq_monitor"
    assert set(element["fields"]) <= {field for field in known if known[field].block.get("hidden") != "yes"}
    assert set(element.get("pivots", ())) <= set(element["fields"])
    assert {sort.split()[0] for sort in element.get("sorts", ())} <= set(element["fields"])
    assert {*element.get("filters", {}), *element["listen"].values()} <= set(known)
    assert set(element["listen"]) <= {found["name"] for found in DASHBOARD["filters"]}


def test_filters_of_the_dashboard_are_fields() -> None:
    """Each suggests values of a field that exists, and is listened to."""
    listened = {name for element in ELEMENTS.values() for name in element["listen"]}
    assert {found["name"] for found in DASHBOARD["filters"]} == listened
    for found in DASHBOARD["filters"]:
        assert found["type"] == "date_filter" or found["field"] in PROJECT.explore_fields(found["explore"])


def test_elements_do_not_overlap() -> None:
    """Each has its own place in a grid of 24 columns."""
    cells = [(row, column) for e in ELEMENTS.values() for row in range(e["row"], e["row"] + e["height"])
             for column in range(e["col"], e["col"] + e["width"])]  # fmt: skip
    assert len(cells) == len(set(cells))
    assert max(column for _, column in cells) < 24


def element_query(element: Mapping[str, Any]) -> Query:
    """With the dashboard's filters as they stand when it opens, and its date range around the lab."""
    defaults = {found["name"]: found["default_value"] for found in DASHBOARD["filters"]}
    listening = {
        field: defaults[name] for name, field in element["listen"].items() if name != "Date range" and defaults[name]
    }
    ranges = {field: RANGE for name, field in element["listen"].items() if name == "Date range"}
    return Query(element["explore"], element["fields"], {**listening, **element.get("filters", {})}, ranges,
                 element.get("sorts", ()), element["limit"])  # fmt: skip


def whole(explore: str) -> Iterator[Query]:
    """All that can be selected of an explore: rows without their joins, rows with them, and every measure."""
    known = PROJECT.explore_fields(explore)
    base = base_of(explore)
    rows = [name for name, found in known.items() if found.kind != "measure" and not _is_array(found)]
    yield Query(explore, [name for name in rows if name.startswith(f"{base}.")])
    yield Query(
        explore, [name for name, found in known.items() if found.kind == "measure" and name.startswith(f"{base}.")]
    )
    if fans_out(explore):
        safe = {"count", "count_distinct", "max", "min"}  # sums and averages of the multiplied side Looker rewrites
        yield Query(explore, rows)
        yield Query(explore, [name for name, found in known.items()
                              if found.kind == "measure" and (found.type in safe or not name.startswith(f"{base}."))])  # fmt: skip


def _is_array(found: Field) -> bool:
    return found.name in {f"{nested.view}.{nested.array}" for nested in generate.NESTED}


@pytest.mark.parametrize("name", sorted(PROJECT.explores))
def test_an_explore_answers(ask: Ask, name: str) -> None:
    """Every field of it can be asked for; where there is something to tell, rows come."""
    empty = {"notifications_latest", "actions_latest"}  # the lab tells nobody
    for query in whole(name):
        rows = ask(PROJECT.sql(query))
        assert bool(rows) or name in empty
        assert all(len(row) == len(query.fields) for row in rows)


@pytest.mark.parametrize("name", sorted(ELEMENTS))
def test_an_element_answers(ask: Ask, name: str) -> None:
    """It shows rows of the lab, which has drift, broken limits, broken checks, alerts and runs."""
    assert ask(PROJECT.sql(element_query(ELEMENTS[name])))


@pytest.mark.parametrize("name", sorted(PROJECT.explores))
def test_keys_are_unique(ask: Ask, name: str) -> None:
    """No two rows of a view have one key, also behind an UNNEST: else counts of joined rows would be wrong."""
    for view in PROJECT.explore_views(name):
        key, count = f"{view}.{PROJECT.primary_key(view)}", f"{view}.count"
        rows = ask(PROJECT.sql(Query(name, [key, count], limit=1_000_000)))
        assert {row[alias_of(count)] for row in rows if row[alias_of(key)] is not None} <= {1}


def test_joined_rows_are_counted_once(ask: Ask) -> None:
    """A verdict with ten buckets is one verdict."""
    alone = Query("drift_latest", ["drift_latest.count", "drift_latest.count_drift"])
    joined = Query("drift_latest", [*alone.fields, "drift_latest__contributions.count"])
    (expected,), (found,) = ask(PROJECT.sql(alone)), ask(PROJECT.sql(joined))
    assert found["drift_latest__contributions_count"] > found["drift_latest_count"] == expected["drift_latest_count"]
    assert found["drift_latest_count_drift"] == expected["drift_latest_count_drift"] > 0


@pytest.mark.googlesql
@pytest.mark.parametrize("name", sorted(PROJECT.explores))
def test_google_accepts_an_explore(analyze: Analyze, name: str) -> None:
    """Google's analyzer resolves it, and each dimension has the type that the LookML says."""
    known = PROJECT.explore_fields(name)
    for query in whole(name):
        outputs = analyze(PROJECT.sql(query)).outputs
        assert len(outputs) == len(query.fields)
        for field, (_, kind) in zip(query.fields, outputs, strict=True):
            found = known[field]
            if found.kind == "dimension":
                assert kind in (LOOKML_TYPES[found.type] if found.type != "yesno" else {"STRING"}), field
            if found.kind == "time" and found.type == "raw":
                assert kind == "TIMESTAMP"


@pytest.mark.googlesql
@pytest.mark.parametrize("name", sorted(ELEMENTS))
def test_google_accepts_an_element(analyze: Analyze, name: str) -> None:
    """Google's analyzer resolves what the dashboard asks."""
    element = ELEMENTS[name]
    assert len(analyze(PROJECT.sql(element_query(element))).outputs) == len(element["fields"])


PAGE = (ROOT / "docs" / "looker.md").read_text(encoding="utf-8")


def test_the_page_tells_of_every_explore_and_of_what_is_left_out() -> None:
    """Its table lists the explores there are; whatever view has none is named below it."""
    listed = re.findall(r"^\| `(\w+)` \|", PAGE, re.M)
    assert sorted(listed) == sorted(PROJECT.explores)
    assert [name for name in generate.LEFT_OUT if f"`{name}`" not in PAGE] == []


def test_the_pages_import_overrides_what_must_be() -> None:
    """The manifest that the page shows overrides every constant; its model includes files that are there."""
    manifest, model = (lkml.load(textwrap.dedent(block)) for block in re.findall(r"```lookml\n(.*?)```", PAGE, re.S))
    (remote,) = manifest["remote_dependencies"]
    assert {item["name"] for item in remote["override_constants"]} == set(CONSTANTS)
    prefix = f"//{remote['name']}/"
    for pattern in model["includes"]:
        assert pattern.startswith(prefix)
        assert list((ROOT / "looker").glob(pattern.removeprefix(prefix)))


def test_the_pages_charts_name_columns() -> None:
    """What the page puts into a chart of Looker Studio is a column of the view it names."""
    texts = generate.descriptions()
    rows = re.findall(r"^\| [^|]*\| `(\w+)` \|(.*)\|$", PAGE[PAGE.index("## Looker Studio") :], re.M)
    assert len(rows) == 8
    for view, fields in rows:
        assert set(re.findall(r"`(\w+)`", fields)) <= set(texts[view][1]), view

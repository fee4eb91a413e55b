"""What is in the function's archive, and that it needs nothing else than it says."""

from __future__ import annotations

import io
import re
import subprocess
import sys
import zipfile
from functools import cache
from importlib.metadata import distribution, requires
from importlib.util import (
    MAGIC_NUMBER,
    cache_from_source,
    module_from_spec,
    source_from_cache,
    source_hash,
    spec_from_file_location,
)
from pathlib import Path
from types import ModuleType

import functions_framework
import pytest
from flask.testing import FlaskClient
from packaging.utils import canonicalize_name

from bq_monitor.config import parse_config
from bq_monitor.errors import InputError
from tests.conftest import ROOT

NONE: frozenset[str] = frozenset()
ALL = frozenset({"report", "prometheus"})
UNMET = {
    "duckdb": {"bq_monitor/warehouse/duckdb.py", "bq_monitor/warehouse/types.py"},
    "pandas": {"bq_monitor/reference.py", "bq_monitor/results.py"},
}
"""What modules of the archive import, within functions that no run on BigQuery calls, though it is not required."""
LOADED_BY_NAME = {"bq_monitor/__init__.py", "bq_monitor/actions.py", "bq_monitor/alerts/senders/__init__.py"}
"""Where modules are loaded by a text: public names, a user's callables, the senders (all of which are taken)."""


def loaded(name: str) -> ModuleType:
    """A program of functions/ as a module."""
    spec = spec_from_file_location(f"functions_{name}", ROOT / "functions" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def build() -> ModuleType:
    """The builder; it makes each archive once."""
    module = loaded("build")
    module.archive_files = cache(module.archive_files)  # type: ignore[attr-defined]
    return module


@cache
def provided(name: str) -> frozenset[str]:
    """The modules of a distribution, by their files; `google` is a namespace that many share."""
    paths = (path.as_posix() for path in distribution(name).files or ())
    modules = (
        re.sub(r"(/__init__)?(\.[\w-]+)*\.(py|so|pyd)$", "", path)
        for path in paths
        if path.endswith((".py", ".so", ".pyd"))
    )
    return frozenset(module.replace("/", ".") for module in modules)


def required(files: dict[str, bytes]) -> dict[str, str]:
    """Versions by name, of the archive's requirements.txt."""
    lines = files["requirements.txt"].decode().splitlines()
    return {canonicalize_name(name): version for name, version in (line.split("==") for line in lines)}


def unmet(files: dict[str, bytes], build: ModuleType, folder: Path) -> dict[str, set[str]]:
    """The top-level names that are imported anywhere in the archive and that nothing required provides, with who imports them."""
    met = frozenset().union(*(provided(name) for name in required(files)))
    found: dict[str, set[str]] = {}
    for name in sorted(name for name in files if name.endswith(".py")):
        path = folder / "module.py"
        path.write_bytes(files[name])
        for module in build.imported(path):
            top = module.partition(".")[0]
            is_known = top in sys.stdlib_module_names or top == "bq_monitor" or is_met(module, met)
            if not is_known:
                found.setdefault(top, set()).add(name)
    return found


def is_met(module: str, met: frozenset[str]) -> bool:
    """Whether the module, or the one that it is a name of, is provided; a bare namespace of Google's means nothing."""
    parts = module.split(".")
    longer = [".".join(parts[:n]) for n in range(1, len(parts) + 1)]
    return module in ("google", "google.cloud") or any(part in met for part in longer)


@pytest.mark.parametrize("options", [NONE, frozenset({"report"}), frozenset({"prometheus"}), ALL])
def test_each_import_is_met_or_named(build: ModuleType, options: frozenset[str], tmp_path: Path) -> None:
    """No module imports a distribution that requirements.txt lacks, but for those that only other warehouses and tables need."""
    allowed = {**UNMET, "pandas": UNMET["pandas"] | ({"bq_monitor/report/views.py"} if options else set())}
    if "report" in options:  # draws with it
        del allowed["pandas"]
    assert unmet(build.archive_files(options), build, tmp_path) == allowed


def test_each_module_is_there_compiled(build: ModuleType) -> None:
    """An instance compiles nothing: the bytecode is used whatever the time of its source, and only with its own source."""
    files = build.archive_files()
    sources = {name for name in files if name.endswith(".py")}
    assert {source_from_cache(name) for name in files if name.endswith(".pyc")} == sources
    for name in sources:
        code = files[cache_from_source(name)]
        assert code[:8] == MAGIC_NUMBER + (1).to_bytes(4, "little")  # hashed, and not checked
        assert code[8:16] == source_hash(files[name])


def test_modules_that_are_loaded_by_a_text_are_known(build: ModuleType) -> None:
    """Imports are followed in the source: a new place that loads modules by name must be thought about."""
    files = build.archive_files(ALL)
    assert {
        name for name in files if name.endswith(".py") and re.search(rb"import_module|__import__", files[name])
    } == LOADED_BY_NAME
    senders = {path.name for path in (ROOT / "bq_monitor/alerts/senders").glob("*.py")}
    assert {f"bq_monitor/alerts/senders/{name}" for name in senders} <= files.keys()


@pytest.mark.parametrize("options", [NONE, ALL])
def test_the_archive_holds_what_runs_and_nothing_else(build: ModuleType, options: frozenset[str]) -> None:
    """Entry point, requirements, modules, every SQL template; no test, no command line, page or demo."""
    names = build.archive_files(options).keys()
    assert {"main.py", "requirements.txt", "bq_monitor/job.py", "bq_monitor/warehouse/bigquery.py"} <= names
    sql = {f"bq_monitor/_resources/{path.relative_to(ROOT)}" for path in (ROOT / "sql").rglob("*") if path.is_file()}
    assert {name for name in names if name.startswith("bq_monitor/_resources")} == sql
    unwanted = re.compile(r"^tests|/(cli|comparison|dashboard)/|/(demo|models)\.py|examples")
    assert [name for name in names if unwanted.search(name)] == []
    assert any(name.startswith("bq_monitor/report/") for name in names) == ("report" in options)


def test_reports_bring_their_templates(build: ModuleType) -> None:
    """An archive with reports has the files that pages are made of, and what draws them."""
    files = build.archive_files(frozenset({"report"}))
    templates = {path.name for path in (ROOT / "bq_monitor/report/templates").iterdir()}
    assert {f"bq_monitor/report/templates/{name}" for name in templates} <= files.keys()
    assert {"altair", "vl-convert-python", "pandas"} <= required(files).keys()
    assert "prometheus-client" in required(build.archive_files(frozenset({"prometheus"})))


def test_requirements_are_pinned_and_complete(build: ModuleType) -> None:
    """Each is a line of constraints.txt; what one of them requires without a condition is there too; what no run uses is not."""
    files = build.archive_files()
    pinned = {line.lower() for line in (ROOT / "constraints.txt").read_text().splitlines()}
    assert set(files["requirements.txt"].decode().lower().split()) <= pinned
    names = required(files)
    needed = {
        canonicalize_name(re.match(r"[\w.-]+", item)[0])
        for name in names
        for item in requires(name) or ()
        if ";" not in item
    }  # type: ignore[index]
    assert needed <= names.keys()
    assert {"google-cloud-bigquery", "google-cloud-storage", "functions-framework", "grpcio"} <= names.keys()
    assert not {"duckdb", "pandas", "pytz", "rich", "pytest", "altair", "streamlit", "prometheus-client"} & names.keys()


def test_the_same_tree_gives_the_same_bytes(build: ModuleType, tmp_path: Path) -> None:
    """The order in which the files were found, and when they were written, changes nothing."""
    files = build.archive_files()
    data = build.zipped(files)
    assert data == build.zipped(dict(reversed(files.items())))
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.namelist() == sorted(files)
        assert {entry.date_time for entry in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        assert {entry.external_attr >> 16 for entry in archive.infolist()} == {0o100644}
    done = subprocess.run(
        [sys.executable, str(ROOT / "functions" / "build.py"), "--to", str(tmp_path / "dist" / "f.zip")],
        capture_output=True, text=True, check=True, env={"PYTHONHASHSEED": "7"},
    )  # fmt: skip
    assert (tmp_path / "dist" / "f.zip").read_bytes() == data
    assert re.search(rf"f\.zip: {len(data) / 1e3:,.0f} kB, {len(files)} files, \d+ requirements", done.stdout)


IMPORTED_ALONE = """
import sys
from importlib.abc import MetaPathFinder

class Refusing(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in REFUSED:
            raise ModuleNotFoundError(name)

REFUSED = set(sys.argv[1].split(","))
sys.meta_path.insert(0, Refusing())
import main
from importlib import import_module
for name in sys.argv[2:]:
    import_module(name)
print(sys.modules["bq_monitor"].__file__)
print(sorted(REFUSED & set(sys.modules)))
"""


def test_every_module_of_the_archive_can_be_imported(build: ModuleType, tmp_path: Path) -> None:
    """Unpacked somewhere else, without the distributions that it does without."""
    files = build.archive_files()
    with zipfile.ZipFile(io.BytesIO(build.zipped(files))) as archive:
        archive.extractall(tmp_path)
    names = [name[:-3].removesuffix("/__init__").replace("/", ".") for name in files if name.endswith(".py")]
    refused = "duckdb,pandas,pytz,rich,altair,streamlit,sklearn,pyarrow,prometheus_client"
    code = [sys.executable, "-c", IMPORTED_ALONE, refused, *names]
    done = subprocess.run(code, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.stdout.split("\n")[:2] == [str(tmp_path / "bq_monitor/__init__.py"), "[]"], done.stderr


def test_a_distribution_that_is_not_as_pinned_is_refused(build: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """Requirements are read from what is installed: another version of it than constraints.txt names would give others."""
    monkeypatch.setattr(build, "_pinned", lambda: {})
    with pytest.raises(
        InputError, match=r"constraints.txt: [\w-]+ is not pinned; the function needs it. Add a line: [\w-]+=="
    ):
        build.requirements()
    one = {"numpy": ("numpy", "1.0")}
    with pytest.raises(InputError, match=r"numpy: got version 2.*; constraints.txt has 1.0.*make archive"):
        build._pin("numpy", one)
    with pytest.raises(InputError, match=r"nowhere: not installed.*make archive"):
        build._requires("nowhere")


# --- the entry point, where parts are left out ---


@pytest.fixture
def client() -> FlaskClient:
    return functions_framework.create_app("monitor", str(ROOT / "functions" / "main.py")).test_client()


def test_a_body_is_read_whatever_it_is_said_to_be(client: FlaskClient) -> None:
    """A scheduler's job without a content type sends octets: what it asks for is done, and what is no JSON is refused."""
    for data, words in ((b'{"do": "wash"}', "allowed: run, check"), (b"wash", "allowed: a JSON object")):
        answer = client.post("/", data=data, content_type="application/octet-stream")
        assert (answer.status_code, words in answer.get_json()["error"]) == (400, True)


def test_a_part_that_was_left_out_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reports and gauges that the archive was not built with are refused, with what builds them in."""
    for name in ("publish", "prometheus"):
        monkeypatch.setitem(sys.modules, f"bq_monitor.report.{name}", None)
    main = loaded("main")
    said = {
        "monitor": "loans",
        "warehouse": "bigquery://acme-ml/mon",
        "source": {"table": "acme-ml.serving.log", "timestamp": "ts"},
        "features": ["x"],
    }
    lacks = (
        "the function's archive: it lacks bq_monitor.report.{}. Build it with `python functions/build.py --with {}`."
    )
    with pytest.raises(InputError) as refused:
        main._publish(parse_config({**said, "report": {"to": "gs://reports"}}))
    assert str(refused.value) == lacks.format("publish", "report")
    body, status = main._metrics([], "")
    assert (status, body["error"]) == (500, lacks.format("prometheus", "prometheus"))

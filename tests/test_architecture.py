"""Who may import whom, checked by reading the source: the rules of the package's layout."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import bq_monitor

PACKAGE = Path(bq_monitor.__file__).parent
SOURCES = {path.relative_to(PACKAGE).as_posix(): ast.parse(path.read_text()) for path in sorted(PACKAGE.rglob("*.py"))}
ALERTS = ("messages", "rules", "outcomes", "conditions", "life", "wording", "notifying")
"""What of `alerts/` takes values and gives values."""
PURE = {
    "__future__",
    "calendar",
    "collections",
    "dataclasses",
    "datetime",
    "functools",
    "itertools",
    "json",
    "math",
    "operator",
    "re",
    "typing",
    "zoneinfo",
    "numpy",
    "scipy",
}


def imports(name: str) -> set[str]:
    """The full names of all modules that a file imports anywhere, functions included."""
    found: set[str] = set()
    for node in ast.walk(SOURCES[name]):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name}: a relative import"
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def begins(module: str, *prefixes: str) -> bool:
    return any(module == prefix or module.startswith(f"{prefix}.") for prefix in prefixes)


@pytest.mark.parametrize("name", [name for name in SOURCES if name.startswith("measure/")])
def test_measure_is_pure(name: str) -> None:
    """Numbers only: no I/O, nothing of ours but `measure` itself and the errors."""
    outside = {
        module for module in imports(name)
        if module.split(".")[0] not in PURE and not begins(module, "bq_monitor.measure", "bq_monitor.errors")
    }  # fmt: skip
    assert outside == set()


@pytest.mark.parametrize(
    "name",
    [
        "plan.py",
        "plan_outcomes.py",
        "timegrid.py",
        "baselines.py",
        "history.py",
        *(f"alerts/{part}.py" for part in ALERTS),
    ],
)
def test_planning_and_deciding_are_pure(name: str) -> None:
    """They take values and give values: no warehouse, no file, no clock of their own."""
    ours = (
        "plan_outcomes", "outcome_results", "baselines", "config", "sections", "reference", "scan", "timegrid", "measure", "plan", "results",
        "history", "errors", "concepts", "checking", "warehouse.base", "alerts.settings", *(f"alerts.{part}" for part in ALERTS),
    )  # fmt: skip
    outside = {
        module for module in imports(name)
        if module.split(".")[0] not in PURE and not begins(module, *(f"bq_monitor.{part}" for part in ours))
    }  # fmt: skip
    assert outside == set()
    calls = {
        node.func.attr
        for node in ast.walk(SOURCES[name])
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
    }
    assert not calls & {"now", "utcnow", "today", "query", "execute", "commit"}


@pytest.mark.parametrize("name", [name for name in SOURCES if not name.startswith("warehouse/")])
def test_only_warehouse_talks_to_warehouses(name: str) -> None:
    """Outside `warehouse/` neither google's clients nor duckdb are imported; senders of alerts may ask for a token, the page check one."""
    allowed = ("google.auth",) if name.startswith("alerts/senders/") or name == "dashboard/identity.py" else ()
    assert not {
        module for module in imports(name) if begins(module, "google", "duckdb") and not begins(module, *allowed)
    }


@pytest.mark.parametrize("name", [name for name in SOURCES if not name.startswith("alerts/senders/")])
def test_only_senders_of_alerts_open_connections(name: str) -> None:
    """Outside `alerts/senders/` nobody speaks HTTP, SMTP or TLS by hand: the guard on addresses cannot be passed by."""
    assert not {module for module in imports(name) if begins(module, "urllib3", "smtplib", "ssl", "socket")}


def test_a_channel_that_logs_loads_no_network() -> None:
    """A sender for `log` needs neither urllib3 nor smtplib."""
    code = (
        "import sys; from bq_monitor.alerts.secrets import Secrets; from bq_monitor.alerts.senders import sender_for;"
        "from bq_monitor.alerts.settings import Channel; sender_for(Channel(type='log'), Secrets());"
        "print([name for name in ('urllib3', 'smtplib', 'bq_monitor.alerts.senders.http') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


@pytest.mark.parametrize("name", [name for name in SOURCES if not name.startswith("cli/")])
def test_only_the_command_line_prints(name: str) -> None:
    """Everyone else returns values, raises errors, or reports progress through a callback; nobody imports the command line."""
    printing = [
        node.lineno
        for node in ast.walk(SOURCES[name])
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
    ]
    assert printing == []
    assert not {
        module
        for module in imports(name)
        if begins(module, "bq_monitor.cli", "click", "rich", "sys.stdout", "sys.stderr")
    }


@pytest.mark.parametrize("name", list(SOURCES))
def test_reports_are_imported_by_themselves_alone(name: str) -> None:
    """`report` and `dashboard` may be left out of a deployment: only they, the command line and integrations know them."""
    for part, users in {"report": ("report/", "dashboard/", "integrations/"), "dashboard": ("dashboard/",)}.items():
        if not name.startswith(("cli/", *users)):
            assert not {module for module in imports(name) if begins(module, f"bq_monitor.{part}")}


def test_importing_the_package_is_cheap() -> None:
    """`import bq_monitor` loads none of the heavy libraries; the names come on first use."""
    heavy = [
        "pandas",
        "numpy",
        "scipy",
        "duckdb",
        "google.cloud.bigquery",
        "google.cloud.storage",
        "sqlglot",
        "pydantic",
        "jinja2",
    ]
    code = f"import sys, bq_monitor; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_a_fleet_without_expressions_starts_without_a_parser() -> None:
    """What the function imports leaves the parser of expressions, and the clients, to the runs that need them."""
    heavy = ["pandas", "scipy", "duckdb", "google.cloud.bigquery", "google.cloud.storage", "sqlglot"]
    code = f"import sys, bq_monitor.fleet, bq_monitor.request; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_the_public_names_are_few_and_all_there() -> None:
    """At most twenty names, each of which resolves; another one is refused with those that exist."""
    assert len(bq_monitor.__all__) <= 20
    assert len(set(bq_monitor.__all__)) == len(bq_monitor.__all__)
    for name in bq_monitor.__all__:
        assert getattr(bq_monitor, name) is not None
    with pytest.raises(AttributeError, match=r"no attribute .capture_.; it has .*capture_reference"):
        getattr(bq_monitor, "capture_")  # noqa: B009

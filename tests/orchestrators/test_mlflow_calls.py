"""What is asked of MLflow, and what comes of its faults; a stub stands for it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib import import_module
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from bq_monitor.errors import InputError

WINDOW_END = datetime(2026, 1, 12, tzinfo=UTC)


class MlflowException(Exception):  # noqa: N818 - its name there
    """As MLflow's."""


@dataclass
class Client:
    """Remembers what it was asked; `faults` are raised by the methods of these names."""

    faults: dict[str, Exception] = field(default_factory=dict)
    asked: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = field(default_factory=list)

    def __getattr__(self, name: str) -> Any:
        def method(*arguments: Any, **named: Any) -> None:
            self.asked.append((name, arguments, named))
            if name in self.faults:
                raise self.faults[name]

        return method


@pytest.fixture
def client() -> Client:
    return Client()


@pytest.fixture
def tracking(client: Client, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The module, over a stub of MLflow without an active run."""
    parts = {
        "mlflow": {"MlflowClient": lambda: client, "active_run": lambda: None},
        "mlflow.entities": {"Metric": lambda *values: values, "RunTag": lambda key, value: (key, value)},
        "mlflow.exceptions": {"MlflowException": MlflowException},
    }
    for name, content in parts.items():
        module = ModuleType(name)
        vars(module).update(content)
        monkeypatch.setitem(sys.modules, name, module)
    yield import_module("bq_monitor.integrations.mlflow")
    del sys.modules["bq_monitor.integrations.mlflow"]


@pytest.fixture
def page(tracking: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A report of 2,500 features in place of a warehouse's."""
    worst = [SimpleNamespace(status="ok", feature=f"f{i}", drift_score=i / 2500) for i in range(2500)]
    page = SimpleNamespace(
        name="loans", window_end=WINDOW_END, health=(), rows=[SimpleNamespace(worst=item) for item in worst]
    )
    monkeypatch.setattr(tracking, "page_of", lambda *_: page)
    monkeypatch.setattr(tracking, "FORMATS", {"json": lambda _: "{}"})
    return page


REFERENCE: Any = SimpleNamespace(
    monitor="loans", model_version="7", reference_id="r1", features=(), to_dict=lambda: {"features": []}
)


@pytest.mark.parametrize("call", ["log_reference", "log_report"])
def test_without_a_run_nothing_is_logged(tracking: Any, client: Client, call: str) -> None:
    """It says how to have a run, before anything is read or sent."""
    with pytest.raises(InputError, match=f"{call}: no MLflow run; start one"):
        getattr(tracking, call)(REFERENCE)
    assert client.asked == []


def test_a_reference_can_be_logged_again(tracking: Any, client: Client) -> None:
    """Its id is a tag, which the next capture replaces: a parameter could not be changed."""
    tracking.log_reference(REFERENCE, run_id="run", registered_model="loan")
    batches = [named for name, _, named in client.asked if name == "log_batch"]
    assert [set(batch) for batch in batches] == [{"tags"}]
    assert dict(batches[0]["tags"])["bq_monitor.reference_id"] == "r1"
    assert ("set_model_version_tag", ("loan", "7", "bq_monitor.reference_id", "r1"), {}) in client.asked


@pytest.mark.usefixtures("page")
def test_metrics_are_sent_in_calls_of_a_size_that_is_taken(tracking: Any, client: Client) -> None:
    """More than a call may have go in several; each once, at the window's end."""
    metrics = tracking.log_report(None, run_id="run", formats=("json",))
    batches = [named["metrics"] for name, _, named in client.asked if name == "log_batch"]
    assert [len(batch) for batch in batches] == [1000, 1000, 503]
    milliseconds = int(WINDOW_END.timestamp() * 1000)
    assert [entry for batch in batches for entry in batch] == [
        (name, value, milliseconds, milliseconds // 1000) for name, value in metrics.items()
    ]


@pytest.mark.usefixtures("page")
@pytest.mark.parametrize("fault", [MlflowException("no such run"), ConnectionError("refused"), PermissionError("disk")])
@pytest.mark.parametrize(
    ("call", "method"),
    [
        ("log_reference", "log_batch"),
        ("log_reference", "log_dict"),
        ("log_reference", "set_model_version_tag"),
        ("log_report", "log_text"),
        ("log_report", "log_batch"),
    ],
)
def test_what_mlflow_refuses_is_said(tracking: Any, client: Client, call: str, method: str, fault: Exception) -> None:
    """The tracking server's refusal, a store of artifacts that fails and a broken connection are one error: where, what, and what to do."""
    client.faults[method] = fault
    given = {"registered_model": "loan"} if call == "log_reference" else {"formats": ("json",)}
    with pytest.raises(tracking.TrackingError, match=f"{call}: run abc: .*{fault}.*then call again") as failure:
        getattr(tracking, call)(REFERENCE, run_id="abc", **given)
    assert (failure.value.exit_code, failure.value.__cause__) == (4, fault)

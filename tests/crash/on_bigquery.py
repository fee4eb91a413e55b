"""The crash matrix on the stand-in of BigQuery: a client that dies at a request, and every fault of the service at every request."""

from __future__ import annotations

import itertools
import re
import threading
import time
from collections.abc import Iterator, Set
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from typing import Any
from unittest.mock import patch

import pandas as pd

from bq_monitor.errors import WarehouseError
from bq_monitor.warehouse.base import Warehouse
from bq_monitor.warehouse.bigquery import BigQueryWarehouse
from bq_monitor.warehouse.setup import create_tables
from tests.bigquery_lab import connect
from tests.bigquery_server import jobs
from tests.bigquery_server.catalog import Entity, quoted, split
from tests.bigquery_server.faults import Fault
from tests.bigquery_server.server import Server, serve
from tests.crash.matrix import Case
from tests.crash.remembered import remembered
from tests.crash.scenarios import Scenario
from tests.crash.stored import Stored, counted_twice, differences, stored

DATASET = "acme-ml.mon"
FOR_GOOD = ", for good"
"""The end of the name of a fault that strikes again and again until the run gives up."""
KILLS = ("killed before", "killed after", "killed while its job runs")
REQUEST_FAULTS = (
    "429 before", "500 before", "500 after", "503 before", "503 after", "drop before", "drop after", "truncate", "quota before",
    "403 before", "rate before", "503 before" + FOR_GOOD,
)  # fmt: skip
STATEMENT_FAULTS = ("fail", "serialization", "aborted", "resources", "rate", "quota", "fail" + FOR_GOOD)
_Place = tuple[int, str]
_ENDLESS = 1 << 30
_MAX_TEXT = 140
_JOB_ID = re.compile(r"(?<=bq-monitor-)[\w*-]+")
_MADE_ANEW = re.compile(r"\b[0-9a-f]{32}\b|staging_[0-9a-f]+")
_WAIT_SECONDS = 20.0
_CLOCKS = (
    "bq_monitor.warehouse.jobs.time", "google.api_core.retry.retry_unary.time", "google.api_core.retry.retry_base.time",
    "google.resumable_media.requests._request_helpers.time",
)  # fmt: skip


class Killed(BaseException):
    """The process of the client is no more."""


class Clock:
    """The module `time`, but to sleep only moves its clock: nobody waits for a deadline."""

    def __init__(self) -> None:
        self._slept = 0.0

    def sleep(self, seconds: float) -> None:
        self._slept += seconds

    def monotonic(self) -> float:
        return time.monotonic() + self._slept

    def __getattr__(self, name: str) -> Any:
        return getattr(time, name)


@dataclass
class At(Fault):
    """What happens at the `nth` of all requests, or of all statements; `is_other` where that is not the one that was `meant`."""

    match: str = ""
    do: Any = None
    meant: str = ""
    is_other: bool = False
    of: str = "request"

    def strikes(self, text: str) -> bool:
        if (self.of == "statement") != text.startswith("statement "):
            return False
        found = super().strikes(text)
        if self.seen == self.nth:
            self.is_other = like(text) != like(self.meant)
        return found


@dataclass
class Recorder(Fault):
    """Nothing happens; the texts of all requests and statements are kept."""

    match: str = ""
    do: Any = None
    texts: dict[str, list[str]] = field(default_factory=lambda: {"request": [], "statement": []})

    def strikes(self, text: str) -> bool:
        self.texts["statement" if text.startswith("statement ") else "request"].append(_short(text))
        return False


@dataclass
class Held(Fault):
    """The job that the `nth` request begins runs until somebody asks for it by its id; `is_other` as of `At`."""

    match: str = ""
    do: Any = None
    meant: str = ""
    is_other: bool = False
    job_id: str = ""
    is_held: bool = False
    asked: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.do = lambda: self.asked.wait(_WAIT_SECONDS)

    def strikes(self, text: str) -> bool:
        if text.startswith("statement "):
            is_first = bool(self.job_id) and not self.is_held
            self.is_held = self.is_held or is_first
            return is_first
        self.seen += 1
        if self.seen == self.nth:
            self.job_id, self.is_other = text.split()[1], like(text) != like(self.meant)
            jobs._FAST_JOB_SECONDS = 0.0  # it is answered at once that the job runs
        elif self.job_id and text.startswith(f"jobs.get {self.job_id}"):
            self.asked.set()
        return False


class Snapshot:
    """The tables of a stand-in as they are now, to be put back."""

    def __init__(self, server: Server) -> None:
        self._server, self._engine = server, server.engine
        self.names = {name: _copy(entity) for name, entity in self._engine.entities.items()}
        self._tables = [name for name, entity in self.names.items() if entity.kind == "TABLE"]
        self._run("CREATE SCHEMA kept", *(f"CREATE TABLE {_kept(n)} AS FROM {quoted(n)}" for n in self._tables))

    def restore(self) -> None:
        """Put rows, jobs and the log of requests back; what is new goes."""
        for name in set(self._engine.entities) - set(self.names):
            self._engine.drop(name)
        for name in self._tables:
            self._run(f"DELETE FROM {quoted(name)}", f"INSERT INTO {quoted(name)} FROM {_kept(name)}")
        self._engine.entities.update({name: _copy(entity) for name, entity in self.names.items()})
        self._server.jobs.clear()
        self._server.log.clear()
        self._server.faults.script.clear()

    def _run(self, *statements: str) -> None:
        with self._engine._lock:
            for statement in statements:
                self._engine._connection.execute(statement)


class Bench:
    """One scenario on a stand-in of its own: prepared once, put back before each case.

    `texts` are the requests and statements of the undisturbed act, in order.
    """

    url, source, labels = "bigquery://acme-ml/mon", "acme-ml.serving.log", "acme-ml.serving.labels"

    def __init__(self, server: Server, scenario: Scenario) -> None:
        self.server, self.scenario = server, scenario
        for dataset in (DATASET, "acme-ml.serving"):
            server.engine.create_dataset(dataset, "US")
        self.config = scenario.config(self)
        self.warehouse: Warehouse = self._open()
        create_tables(self.warehouse)
        scenario.prepare(self, self.config)
        self.warehouse.close()
        self._snapshot = Snapshot(server)

    def record(self) -> None:
        """Act undisturbed: what is asked for, and what it leaves, is what all cases are measured by."""
        recorder = Recorder()
        self._server_forgets(recorder)
        with self.scenario.limited():
            self._act(self._open())
        self.texts, self.expected, self._bytes = recorder.texts, self.stored(), self._scanned()

    def write_log(self, log: pd.DataFrame) -> None:
        self.server.engine.load(self.source, "SELECT * FROM log", partition="ts", log=log)

    def write_labels(self, labels: pd.DataFrame) -> None:
        self.server.engine.load(self.labels, "SELECT * FROM labels", partition="labelled_at", labels=labels)

    def stored(self) -> Stored:
        """All that the server holds of ours."""
        return stored(self._ask, _name, counts=True)

    def cases(self, kinds: tuple[str, ...], of: str = "request") -> list[Case]:
        """Every kind at every place."""
        return [
            self._case(kind, of, place, text)
            for kind in kinds
            for place, text in enumerate(self.texts[of], start=1)
            if kind != KILLS[2] or is_keyed(text)
        ]

    def sample(self, known: Set[str], start: int) -> list[Case]:
        """A kill at each request that changes something; a fault at each request and statement that is of no `known` sort: kinds in turn."""
        changing = [(i, text) for i, text in enumerate(self.texts["request"], 1) if is_keyed(text)]
        changing += [(i, text) for i, text in self._unlike("request", set()) if is_staging(text)]
        kinds = itertools.cycle(KILLS[1:])
        kills = [self._case(next(kinds) if is_keyed(text) else KILLS[1], "request", i, text) for i, text in changing]
        faults = [
            self._case(kind, of, *place)
            for of, all_kinds in (("request", REQUEST_FAULTS), ("statement", STATEMENT_FAULTS))
            for kind, place in _paired(all_kinds, self._unlike(of, known), start)
        ]
        return kills + faults

    def _unlike(self, of: str, known: Set[str]) -> list[_Place]:
        first = {sort(text): (i, text) for i, text in reversed(list(enumerate(self.texts[of], 1)))}
        return sorted(place for found, place in first.items() if found not in known)

    def _case(self, kind: str, of: str, place: int, text: str) -> Case:
        return Case(self.scenario.name, "bigquery", kind, of, place, text)

    @property
    def sorts(self) -> set[str]:
        """What is asked for, each request and statement of one sort once."""
        return {sort(text) for texts in self.texts.values() for text in texts}

    def check(self, case: Case) -> str | None:
        """What is wrong after a case: None when the act is made good as it should be."""
        self._server_forgets()
        with self.scenario.limited():
            wrong = self._kill(case) if case.is_kill else self._fault(case)
        return "; ".join(said for said in (wrong, self._judge()) if said) or None

    def _kill(self, case: Case) -> str | None:
        held = Held("", "", nth=case.place, meant=case.text) if case.kind == KILLS[2] else None
        self.server.faults.script[:] = [held] if held else []
        dying = self._open()
        _doom(dying, case)
        try:
            self._act(dying)
        except Killed:
            jobs._FAST_JOB_SECONDS = _WAIT_SECONDS
        else:
            return "the act never came to this request"
        if not held:
            self._settle()
        wrong = self._again("after the kill")
        if held and not held.asked.is_set():
            wrong = wrong or "the next run did not wait for the job that still ran"
            held.asked.set()
        if held and held.is_other:
            wrong = "another request came in its place"
        return wrong

    def _fault(self, case: Case) -> str | None:
        endless = case.kind.endswith(FOR_GOOD)
        do = case.kind.removesuffix(FOR_GOOD)
        fault = At("", do, nth=case.place, times=_ENDLESS if endless else 1, of=case.of, meant=case.text)
        self.server.faults.script[:] = [fault]
        given_up: WarehouseError | None = None
        try:
            self._act(self._open())
        except WarehouseError as error:
            given_up = error
        except Exception as error:
            return f"not one of our errors: {type(error).__name__}: {error}"
        self.server.faults.script.clear()
        if fault.seen < case.place:
            return f"the act never came to this {case.of}"
        if fault.is_other:
            return f"another {case.of} came in its place"
        self._settle()
        if endless and given_up is None:
            return "the act ended well although the service stayed away"
        return self._again(f"after {given_up}") if given_up else None

    def _again(self, when: str) -> str | None:
        try:
            self._act(self._open())
        except Exception as error:
            return f"the next act failed {when}: {type(error).__name__}: {error}"
        return None

    def _judge(self) -> str | None:
        """What is stored that should not be, or is not and should."""
        self._settle()
        wrong = list(differences(self.expected, self.stored()))
        if n := counted_twice(self._ask, _name):
            wrong.append(f"{n} counts stand twice")
        if self._scanned() != self._bytes:
            wrong.append(f"the scans read {self._scanned():,} bytes of the log instead of {self._bytes:,}")
        wrong += [
            f"{name} is left for ever"
            for name, entity in self.server.engine.entities.items()
            if name not in self._snapshot.names and entity.expires_ms is None
        ]
        return "; ".join(wrong) or None

    def _ask(self, query: str) -> list[tuple[Any, ...]]:
        with self.server.engine._lock:
            return self.server.engine._connection.execute(query).fetchall()

    def _act(self, warehouse: BigQueryWarehouse) -> None:
        try:
            self.scenario.act(warehouse, self.config)
        finally:
            warehouse.close()  # lets go of sockets; nothing is sent

    def _open(self) -> BigQueryWarehouse:
        return BigQueryWarehouse("acme-ml", "mon", client=connect(self.server))

    def _scanned(self) -> int:
        return self.server.bytes_by_step().get("scan-histograms", 0)

    def _settle(self) -> None:
        """Wait for the jobs that go on without their client."""
        for job in list(self.server.jobs.values()):
            job.finished.wait(_WAIT_SECONDS)

    def _server_forgets(self, *script: Fault) -> None:
        self._settle()
        self._snapshot.restore()
        self.server.faults.script[:] = script


@contextmanager
def bench(scenario: Scenario) -> Iterator[Bench]:
    """A scenario ready to be disturbed. A job is waited for where it is begun, so that requests come in one order."""
    clock = Clock()
    with ExitStack() as stack:
        for name in _CLOCKS:
            stack.enter_context(patch(name, clock))
        stack.enter_context(patch.object(jobs, "_FAST_JOB_SECONDS", _WAIT_SECONDS))
        server = stack.enter_context(serve())
        made = Bench(server, scenario)
        stack.enter_context(remembered("serving"))
        made.record()
        yield made


def like(text: str) -> str:
    """A request or statement less what is made anew each time, so that those of two acts can be compared."""
    return _MADE_ANEW.sub("*", _short(text))


def sort(text: str) -> str:
    """A request or statement less all that tells it from its like: whose job it is, and which."""
    return _JOB_ID.sub("*", like(text))


def is_staging(text: str) -> bool:
    """Whether a request makes, fills or drops a staging table."""
    return text.startswith("jobs.upload") or "a staging table" in text.lower()


def _paired(kinds: tuple[str, ...], places: list[_Place], start: int) -> list[tuple[str, _Place]]:
    """Each place with a kind, in turn; where the history is long enough to have most kinds, each kind too."""
    n = max(len(places), len(kinds)) if 2 * len(places) > len(kinds) else len(places)
    return [(kinds[(start + i) % len(kinds)], places[i % len(places)]) for i in range(n)]


def _short(text: str) -> str:
    return " ".join(text.split())[:_MAX_TEXT].rstrip()


def is_keyed(text: str) -> bool:
    """Whether a request begins a job whose id says what it does."""
    keys = ("count", "emptied", "outcomes", "arrived", "commit", "reference")
    return any(text.startswith(f"jobs.insert bq-monitor-{key}-") for key in keys)


def _doom(warehouse: BigQueryWarehouse, case: Case) -> None:
    """Let a warehouse's client die at a request; from then on it sends nothing."""
    http = warehouse._client._http
    send, n_sent = http.request, 0

    def request(*args: Any, **named: Any) -> Any:
        nonlocal n_sent
        n_sent += 1
        if n_sent > case.place or (n_sent == case.place and case.kind == KILLS[0]):
            raise Killed
        answer = send(*args, **named)
        if n_sent == case.place:
            raise Killed
        return answer

    http.request = request


def _name(entity: str) -> str:
    return quoted(f"{DATASET}.{entity}")


def _kept(name: str) -> str:
    return f'kept."{split(name)[1]}"'


def _copy(entity: Entity) -> Entity:
    return replace(entity, partitions=dict(entity.partitions))

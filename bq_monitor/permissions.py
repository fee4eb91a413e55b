"""Whether a monitor's account may do what each step needs, and whether its dataset lies where the log does. BigQuery only."""

from __future__ import annotations

from dataclasses import dataclass

from bq_monitor.config import MonitorConfig
from bq_monitor.errors import AccessError, BqMonitorError, SchemaError, TableNotFoundError
from bq_monitor.findings import Findings
from bq_monitor.warehouse import statements
from bq_monitor.warehouse.access import NEEDS, Need, Where, lacks_credentials, need_in, needs_of
from bq_monitor.warehouse.base import Relation, Statement, Warehouse
from bq_monitor.warehouse.identifiers import bigquery_table, parse_bigquery_url
from bq_monitor.warehouse.schema import REFERENCE_HISTOGRAMS, TABLES
from bq_monitor.warehouse.setup import setup_statements


@dataclass(frozen=True)
class Reach:
    """How far a monitor can be looked at: its log's columns, and whether the rows of the log and of our tables can be read."""

    log: Relation | None
    reads_log: bool
    reads_own: bool
    findings: Findings


def find_reach(warehouse: Warehouse, config: MonitorConfig) -> Reach:
    """Ask for everything that a run needs: metadata, permissions and dry runs, which are free.

    Raises:
        WarehouseError: the service cannot be reached at all.
    """
    look = _Look(warehouse, config)
    log = look.log()
    home = look.home(log)
    is_home, is_near = look.is_home(home), look.is_near(log, home)
    has_own = look.own_tables()
    can_query = is_home and look.can_query()
    reads_log = log is not None and can_query and is_near and look.may("bigquery.tables.getData", "log")
    if can_query and look.has_dataset:
        look.dataset_permissions()
    if reads_log and log is not None:
        look.partitions(log)
    return Reach(log, reads_log, has_own and can_query, look.findings())


class _Look:
    """Gathers what is wrong; each permission is told once, with all the tables that it lacks on."""

    def __init__(self, warehouse: Warehouse, config: MonitorConfig) -> None:
        self.warehouse, self.config = warehouse, config
        self.project, name, self.url_location = parse_bigquery_url(config.warehouse.partition("://")[2])
        self.dataset = f"{self.project}.{name}"
        self.log_name = bigquery_table(config.source.table, self.project).strip("`")
        self.has_dataset = True
        self.has_tables = False
        self._faults: list[str] = []
        self._lacking: dict[Need, list[str]] = {}

    def findings(self) -> Findings:
        lacking = [(need, self._told(need)) for need in NEEDS if need in self._lacking]
        advice = [text for need, text in lacking if _is_optional(need)]
        return Findings((*self._faults, *(text for need, text in lacking if not _is_optional(need))), tuple(advice))

    def may(self, permission: str, where: Where) -> bool:
        """Whether no refusal has shown the contrary."""
        return not any((need.permission, need.where) == (permission, where) for need in self._lacking)

    def log(self) -> Relation | None:
        """The log's columns and layout, and what its table denies."""
        try:
            relation = self.warehouse.relation(self.config.source.table)
        except AccessError as error:
            self._refused(error, _need("bigquery.tables.get", "log"))
            relation = None
        except BqMonitorError as error:
            if error.exit_code != 2:
                raise
            self._faults.append(str(error))
            return None
        self._lack("log", [self.log_name])
        return relation

    def home(self, log: Relation | None) -> str | None:
        """Where the monitor's dataset lies; None where that is not told, or there is none."""
        try:
            return self.warehouse.location()
        except AccessError as error:
            self._refused(error, _need("bigquery.datasets.get", "own"))
            return None
        except TableNotFoundError:
            self.has_dataset = False
        near = self.url_location or (log.layout.location if log and log.layout else "LOCATION")
        self._faults.append(
            f"warehouse: no dataset {self.dataset}. Make it by terraform (google_bigquery_dataset), or: "
            f"bq mk --dataset --location={near} {self.dataset.replace('.', ':', 1)}; then run 'bq-monitor init'"
        )
        return None

    def is_home(self, home: str | None) -> bool:
        """Whether the dataset lies where its URL says."""
        if home is None or self.url_location is None or self.url_location.lower() == home.lower():
            return True
        self._faults.append(
            f"warehouse: location={self.url_location}, but dataset {self.dataset} lies in {home}, where no job would look for it. "
            f"Write ?location={home}, or leave it out."
        )
        return False

    def is_near(self, log: Relation | None, home: str | None) -> bool:
        """Whether the log lies where the monitor's dataset does; in which project, does not matter."""
        there = log.layout.location if log and log.layout else home
        if home is None or there is None or there.lower() == home.lower():
            return True
        self._faults.append(
            f"{self.log_name}: lies in {there}, but the monitor's dataset {self.dataset} in {home}: BigQuery cannot join across "
            f"regions. Give the monitor a dataset there (bq mk --dataset --location={there} {self.project}:NAME) and name it: "
            f"warehouse: bigquery://{self.project}/NAME?location={there}; or replicate the log's dataset to {home}, or copy the log."
        )
        return False

    def own_tables(self) -> bool:
        """What our tables deny; whether the references can be read."""
        if not self.has_dataset:
            return False
        gone = self._lack("own", [f"{self.dataset}.{table.name}" for table in TABLES])
        self.has_tables = not gone
        if gone:
            self._faults.append(
                f"monitor {self.config.monitor!r}: our tables are not there ({', '.join(gone)}); run 'bq-monitor init'"
            )
        return not gone and self.may("bigquery.tables.getData", "own")

    def can_query(self) -> bool:
        """Whether jobs may be created; the statement may still be refused for what it reads, which the tables have told."""
        try:
            self.warehouse.estimate(statements.references(self.warehouse, self.config.monitor))
        except AccessError as error:
            if need_in(str(error), "project") or self.may("bigquery.tables.getData", "own"):
                self._refused(error)
        except (SchemaError, TableNotFoundError):
            pass  # told by the dataset or the tables themselves
        return self.may("bigquery.jobs.create", "project")

    def dataset_permissions(self) -> None:
        """What only the dataset grants; a table cannot be asked for it, but a dry run can."""
        creates = setup_statements(self.warehouse)[0]
        if self.has_tables:
            creates = statements.create_stage(self.warehouse, "staging_validate", REFERENCE_HISTOGRAMS)
        self._dry_run(creates, _need("bigquery.tables.create", "own"))
        if self.may("bigquery.tables.get", "own") and self.may("bigquery.tables.getData", "own"):
            own = Relation(self.warehouse.table(REFERENCE_HISTOGRAMS.name), {}, REFERENCE_HISTOGRAMS.name)
            self._dry_run(statements.partitions(own), _need("bigquery.tables.list", "own"))

    def partitions(self, log: Relation) -> None:
        """Whether the partitions of the log may be listed; a log that is cut otherwise is not asked for them."""
        if log.layout and log.layout.partition_column == self.config.source.timestamp:
            self._dry_run(statements.partitions(log), _need("bigquery.tables.list", "log"))

    def _lack(self, where: Where, tables: list[str]) -> list[str]:
        """Note what tables deny; answers those that are not there."""
        asked = {need.permission: need for need in needs_of(where) if need.is_of_table}
        gone = []
        for table in tables:
            missing = self._missing(table, where, list(asked))
            if where == "own" and len(missing) == len(asked) and not self._exists(table):
                gone.append(table)
                continue
            for permission in missing:
                self._add(asked[permission], table)
        return gone

    def _missing(self, table: str, where: Where, permissions: list[str]) -> list[str]:
        try:
            return self.warehouse.missing_permissions(Relation(f"`{table}`", {}, table), permissions)
        except AccessError as error:
            self._refused(error)
            return []

    def _exists(self, table: str) -> bool:
        """Of a table that is not there the service says that nothing is permitted."""
        try:
            self.warehouse.relation(table)
        except TableNotFoundError:
            return False
        except AccessError:
            pass  # told by its permissions
        return True

    def _dry_run(self, statement: Statement, need: Need) -> None:
        try:
            self.warehouse.estimate(statement)
        except AccessError as error:
            self._refused(error, need)

    def _refused(self, error: AccessError, probably: Need | None = None) -> None:
        """Note what a refusal is for want of: the permission that it names, or else the one that was tried."""
        if lacks_credentials(str(error)):
            raise error
        need = need_in(str(error), *((probably.where,) if probably else ("project", "own"))) or probably
        if need is None:
            self._faults.append(str(error))
        else:
            self._add(
                need, {"project": f"project {self.project}", "log": self.log_name, "own": self.dataset}[need.where]
            )

    def _add(self, need: Need, place: str) -> None:
        places = self._lacking.setdefault(need, [])
        if place not in places:
            places.append(place)

    def _told(self, need: Need) -> str:
        places = self._lacking[need]
        if need.where == "own" and (self.dataset in places or len(places) == len(TABLES)):
            places = [self.dataset]
        resource = {
            "project": f"project {self.project}",
            "log": f"table {self.log_name} or its dataset"
            if need.is_of_table
            else f"dataset {self.log_name.rpartition('.')[0]}",
            "own": f"dataset {self.dataset}",
        }[need.where]
        without = (
            " Without it, late rows are found by counting rows, which reads the time column."
            if _is_optional(need)
            else ""
        )
        return (
            f"{', '.join(places)}: permission {need.permission} is missing, which is needed to {need.purpose}.{without} "
            f"Grant {need.role} on {resource} to the account that runs this."
        )  # fmt: skip


def _need(permission: str, where: Where) -> Need:
    return next(need for need in needs_of(where) if need.permission == permission)


def _is_optional(need: Need) -> bool:
    return need.where == "log" and not need.is_of_table

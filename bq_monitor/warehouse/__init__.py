"""The only package that talks to a warehouse or to storage: statements go out, rows come back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from bq_monitor.errors import InputError
from bq_monitor.warehouse.base import Terms, Warehouse


def open_warehouse(
    url: str,
    *,
    deadline_seconds: float = 1500.0,
    read_only: bool = False,
    create: bool = False,
) -> Warehouse:
    """Connect to the warehouse that a URL names.

    Args:
        url: `bigquery://PROJECT/DATASET[?location=EU]`, `duckdb:///path/file.duckdb`, or `duckdb://` (in memory).
        deadline_seconds: how long to wait for a lock, and how long the first run may take (see `Warehouse.begin`).
        read_only: open a DuckDB file for reading only.
        create: make a DuckDB file that is not there yet; otherwise that is an error.

    Raises:
        InputError: the URL is of no known form.
        WarehouseError: no access, or the file stayed locked until the deadline.
    """
    scheme, found, rest = url.partition("://")
    if found and scheme == "duckdb":
        from bq_monitor.warehouse.duckdb import DuckDBWarehouse

        return DuckDBWarehouse(rest, deadline_seconds=deadline_seconds, read_only=read_only, create=create)
    if found and scheme == "bigquery":
        from bq_monitor.warehouse.bigquery import BigQueryWarehouse

        warehouse = BigQueryWarehouse.from_url(rest)
        warehouse.begin(Terms(deadline_seconds))
        return warehouse
    raise InputError(
        f"warehouse: got {url!r}; allowed: bigquery://PROJECT/DATASET[?location=EU], duckdb:///path/file.duckdb, duckdb:// (in memory)"
    )


@contextmanager
def opened(url: str, monitor: str, *, deadline_seconds: float, read_only: bool = False) -> Iterator[Warehouse]:
    """A warehouse for what is done for one monitor, closed afterwards; raises what `open_warehouse` does."""
    warehouse = open_warehouse(url, deadline_seconds=deadline_seconds, read_only=read_only)
    try:
        warehouse.begin(Terms(deadline_seconds, None, {"monitor": monitor}))
        yield warehouse
    finally:
        warehouse.close()

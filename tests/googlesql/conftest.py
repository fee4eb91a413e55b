"""One GoogleSQL server per test process."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.conftest import missing

if TYPE_CHECKING:
    from tests.googlesql.server import GoogleSQL

_PACKAGE = "npm install --prefix HOME @fivetrandevelopers/zetasql@1.13.0, then set GOOGLESQL_HOME=HOME"


@pytest.fixture(scope="session")
def googlesql() -> Iterator[GoogleSQL]:
    """Google's analyzer and evaluator; skipped (in CI: failed) where it is not installed."""
    home = os.environ.get("GOOGLESQL_HOME")
    if not home or not (Path(home) / "node_modules/@fivetrandevelopers/zetasql").is_dir():
        missing("Google's GoogleSQL analyzer", _PACKAGE)
    if importlib.util.find_spec("grpc") is None or importlib.util.find_spec("grpc_tools") is None:
        missing("grpc", "pip install 'bq-monitor[googlesql]'")
    from tests.googlesql.server import GoogleSQL

    server = GoogleSQL()
    yield server
    server.close()

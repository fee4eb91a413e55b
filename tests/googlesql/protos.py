"""The messages of Google's GoogleSQL server as Python modules, compiled on first use. Import only where GOOGLESQL_HOME is set."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from pathlib import Path

HOME = Path(os.environ["GOOGLESQL_HOME"])
LIBRARY = HOME / "node_modules/@fivetrandevelopers/zetasql/lib/zetasql"
SERVER = LIBRARY / "remote_server.so"


def _compile(target: Path) -> None:
    """Compile every .proto of the library; processes may race, the first to finish wins."""
    import grpc_tools
    from grpc_tools import protoc

    root, google = LIBRARY / "protos", Path(grpc_tools.__file__).parent / "_proto"
    files = sorted(str(path.relative_to(root)) for path in root.rglob("*.proto"))
    made = tempfile.mkdtemp(dir=target.parent)
    arguments = ["", "-I", str(root), "-I", str(google), f"--python_out={made}", f"--grpc_python_out={made}", *files]
    if protoc.main(arguments):
        raise RuntimeError("the messages of the GoogleSQL server do not compile; install the versions that are pinned")
    try:
        Path(made).rename(target)
    except OSError:  # another process was first
        shutil.rmtree(made)


_GENERATED = HOME / "generated"
if not _GENERATED.is_dir():
    _compile(_GENERATED)
sys.path.insert(0, str(_GENERATED))

import local_service_pb2 as service  # noqa: E402
import local_service_pb2_grpc as service_grpc  # noqa: E402
from zetasql.proto import function_pb2 as functions  # noqa: E402
from zetasql.proto import options_pb2 as analyzer_options  # noqa: E402
from zetasql.proto import simple_catalog_pb2 as catalog  # noqa: E402
from zetasql.public import function_pb2 as function_kinds  # noqa: E402
from zetasql.public import options_pb2 as language_options  # noqa: E402
from zetasql.public import type_pb2 as types  # noqa: E402
from zetasql.public import value_pb2 as values  # noqa: E402

__all__ = [
    "SERVER", "analyzer_options", "catalog", "function_kinds", "functions", "language_options", "service", "service_grpc", "types", "values",
]  # fmt: skip

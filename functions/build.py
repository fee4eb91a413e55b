"""Builds the Cloud Function's archive: main.py, the modules that it reaches, their SQL, and pinned requirements.

Run: `python functions/build.py [--with report] [--with prometheus] [--to dist/function.zip]`, in an environment that
constraints.txt was installed in (`make archive`). The same tree gives the same bytes, so that nothing is deployed anew in vain.
"""

from __future__ import annotations

import argparse
import ast
import io
import os
import re
import subprocess
import sys
import tempfile
import tomllib
import zipfile
from collections.abc import Iterable, Iterator
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from bq_monitor.errors import BqMonitorError, InputError

ROOT = Path(__file__).parent.parent
OPTIONS = {"report": "bq_monitor.report.publish", "prometheus": "bq_monitor.report.prometheus"}
"""What an archive has only when it is asked for: an extra of the package, and the module by which main.py reaches its part."""
BY_NAME = ("bq_monitor/alerts/senders",)
"""Folders whose modules are chosen by a text of the configuration: all of them are taken."""
UNUSED = {"click", "duckdb", "pandas", "pytz", "rich"}
"""Dependencies of the package that no run on BigQuery imports; reports read their tables with pandas."""
TARGET = {"os_name": "posix", "sys_platform": "linux", "platform_system": "Linux", "platform_machine": "x86_64"}
"""Where the function runs, wherever its archive is built."""
_FIXED_TIME = (1980, 1, 1, 0, 0, 0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--with", dest="options", action="append", choices=sorted(OPTIONS), default=[], help="repeatable"
    )
    parser.add_argument("--to", type=Path, default=ROOT / "dist" / "function.zip", help="default: %(default)s")
    asked = parser.parse_args()
    try:
        files = archive_files(frozenset(asked.options))
    except BqMonitorError as error:
        sys.exit(str(error))
    data = zipped(files)
    asked.to.parent.mkdir(parents=True, exist_ok=True)
    asked.to.write_bytes(data)
    n_pinned = files["requirements.txt"].count(b"==")
    python = f"python{sys.version_info.major}{sys.version_info.minor}"  # whose bytecode and requirements these are
    print(f"{asked.to}: {len(data) / 1e3:,.0f} kB, {len(files)} files, {n_pinned} requirements, for {python}")  # noqa: T201 - a script


def archive_files(options: frozenset[str] = frozenset()) -> dict[str, bytes]:
    """The content of the archive by name; raises `InputError` where a requirement is not pinned, or another version is installed."""
    named = {name: (ROOT / name).read_bytes() for name in modules(options)}
    named |= {f"bq_monitor/_resources/{name}": (ROOT / name).read_bytes() for name in _below("sql")}
    if "report" in options:
        named |= {name: (ROOT / name).read_bytes() for name in _below("bq_monitor/report/templates")}
    named["main.py"] = (ROOT / "functions" / "main.py").read_bytes()
    named["requirements.txt"] = "".join(f"{line}\n" for line in requirements(options)).encode()
    return named | compiled(named)


def compiled(files: dict[str, bytes]) -> dict[str, bytes]:
    """The modules among these files as this Python's bytecode, by name: nothing keeps what an instance compiles, each would do it again.

    Another Python than this one finds the files under other names, and compiles.
    """
    with tempfile.TemporaryDirectory() as folder:
        for name, content in files.items():
            path = Path(folder) / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        command = [
            sys.executable,
            "-m",
            "compileall",
            "-q",
            "--invalidation-mode",
            "unchecked-hash",
            "-s",
            folder,
            folder,
        ]
        subprocess.run(command, check=True, env={**os.environ, "PYTHONHASHSEED": "0"})  # noqa: S603 - Python itself, on our own files
        return {path.relative_to(folder).as_posix(): path.read_bytes() for path in Path(folder).rglob("*.pyc")}


def zipped(files: dict[str, bytes]) -> bytes:
    """A zip of these files, stored: what a compressor makes of them differs between its versions."""
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as archive:
        for name in sorted(files):
            entry = zipfile.ZipInfo(name, _FIXED_TIME)
            entry.create_system, entry.external_attr = 3, 0o100644 << 16
            archive.writestr(entry, files[name])
    return held.getvalue()


# --- modules ---


def modules(options: frozenset[str] = frozenset()) -> set[str]:
    """The files of the package that main.py reaches by imports, those within functions included."""
    closed = tuple(module for option, module in OPTIONS.items() if option not in options)
    todo, found = (
        [ROOT / "functions" / "main.py", *(path for name in BY_NAME for path in (ROOT / name).glob("*.py"))],
        set(),
    )
    while todo:
        path = todo.pop()
        if path not in found:
            found.add(path)
            todo += [file for module in imported(path) if not module.startswith(closed) for file in _files_of(module)]
    return {path.relative_to(ROOT).as_posix() for path in found} - {"functions/main.py"}


def imported(path: Path) -> Iterator[str]:
    """The full names that a file imports anywhere but for types; of `from a import b` both `a` and `a.b`."""
    todo: list[ast.AST] = [ast.parse(path.read_text(encoding="utf-8"))]
    while todo:
        node = todo.pop()
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (str(node.module), *(f"{node.module}.{alias.name}" for alias in node.names))
        todo += ast.iter_child_nodes(node)


def _files_of(module: str) -> list[Path]:
    """The file of one of our modules, with the packages that it lies in; nothing for the modules of others."""
    parts = module.split(".")
    if parts[0] != "bq_monitor":
        return []
    packages = [ROOT.joinpath(*parts[:n], "__init__.py") for n in range(1, len(parts) + 1)]
    return [path for path in (*packages, ROOT.joinpath(*parts).with_suffix(".py")) if path.is_file()]


def _below(folder: str) -> list[str]:
    """The files in a folder of ours; none that a tool has left there."""
    kinds = (".sql", ".jinja", ".css", ".js")
    return [path.relative_to(ROOT).as_posix() for path in (ROOT / folder).rglob("*") if path.suffix in kinds]


# --- requirements ---


def requirements(options: frozenset[str] = frozenset()) -> list[str]:
    """What the archive's modules need, and what that needs in turn, each as `name==version` of constraints.txt, sorted."""
    pinned = _pinned()
    return sorted((_pin(name, pinned) for name in _closure(_needed(options))), key=str.lower)


def _needed(options: frozenset[str]) -> Iterator[Requirement]:
    """The package's own dependencies that a run on BigQuery uses, and the extras that were asked for."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    unused = UNUSED - {"pandas"} if "report" in options else UNUSED
    yield from (item for item in map(Requirement, project["dependencies"]) if item.name not in unused)
    for extra in ("function", *sorted(options)):
        yield from map(Requirement, project["optional-dependencies"][extra])


def _closure(needed: Iterable[Requirement]) -> set[str]:
    """The names of all distributions that these requirements install."""
    todo, seen = list(needed), set()
    while todo:
        item = todo.pop()
        key = (canonicalize_name(item.name), frozenset(item.extras))
        if key not in seen:
            seen.add(key)
            todo += [below for below in map(Requirement, _requires(item.name)) if _applies(below, item.extras)]
    return {name for name, _ in seen}


def _requires(name: str) -> list[str]:
    try:
        return requires(name) or []
    except PackageNotFoundError:
        raise InputError(f"{name}: not installed; its requirements are read from it. Run: make archive") from None


def _applies(item: Requirement, extras: set[str]) -> bool:
    marker = item.marker
    return marker is None or any(marker.evaluate({**TARGET, "extra": extra}) for extra in extras or {""})


def _pinned() -> dict[str, tuple[str, str]]:
    """Name and version of each line of constraints.txt, by the name in its canonical form."""
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pairs = (re.fullmatch(r"(\S+)==(\S+)", line) for line in lines)
    return {canonicalize_name(pair[1]): (pair[1], pair[2]) for pair in pairs if pair}


def _pin(name: str, pinned: dict[str, tuple[str, str]]) -> str:
    if name not in pinned:
        raise InputError(
            f"constraints.txt: {name} is not pinned; the function needs it. Add a line: {name}=={version(name)}"
        )
    written, wanted = pinned[name]
    if version(name) != wanted:
        raise InputError(
            f"{name}: got version {version(name)}; constraints.txt has {wanted}. Requirements are read from what is installed: "
            "run `make archive`, which installs what constraints.txt says."
        )
    return f"{written}=={wanted}"


if __name__ == "__main__":
    main()

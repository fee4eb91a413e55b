"""What comparing two files costs with bq-monitor, with its peers, and at the least: time, processors, memory.

Run: `python benchmarks/peers.py [--install] [--rows 100k 1M 10M 100M] [--only NAME ...] [--plot FILE]`. See README.md beside this file.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from peer_sides.environments import PEERS, install, python_of, why_absent
from peer_sides.measured import N_COLUMNS, Measured, table
from peer_sides.processes import spend
from peer_sides.targets import targets

# Nothing heavy is imported here: a child's peak memory begins at what its parent held when it was started.

SIDES = Path(__file__).parent / "peer_sides"
LIMITS = {"bare": "limit: DuckDB min/max/sum/count", "histogram": "limit: DuckDB histograms"}
OWN = "bq-monitor"
BYTES_A_ROW = 90
"""Of a Parquet file, measured, rounded up."""
UNITS = {"k": 1_000, "M": 1_000_000}


def main() -> int:
    options = _options()
    data = Data(options.cache)
    data.make(options.reference_rows, options.rows)
    if options.install:
        for name in (name for name in PEERS if name in options.only):
            install(options.venvs, name)
    measured = []
    for rows in options.rows:
        lines = _measure(options, data, rows)
        print(f"{table(lines)}\n", flush=True)
        measured += lines
    if options.plot:
        from peer_sides.plot import write_plot

        write_plot(options.plot, measured)
    return _judge(options, measured)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    default, names = Path(tempfile.gettempdir()) / "bq-monitor-benchmark", [*LIMITS, OWN, *PEERS]
    add, sizes = parser.add_argument, [100_000, 1_000_000, 10_000_000]
    add("--rows", nargs="+", type=_count, default=sizes, help="of the current file: 100k 1M (default: up to 10M)")
    add("--reference-rows", type=_count, default=1_000_000, help="rows of the reference (default: %(default)s)")
    add(
        "--peer-rows", type=_count, default=1_000_000, help="the largest size at which peers run (default: %(default)s)"
    )
    add("--repeats", type=int, default=5, help="runs of each side, of which the median counts (default: %(default)s)")
    add("--timeout", type=float, default=900, help="seconds after which a side is ended (default: %(default)s)")
    add("--only", nargs="+", choices=names, default=names, metavar="NAME", help=f"of {', '.join(names)}")
    add("--cache", type=Path, default=default, help="folder for the data (default: %(default)s)")
    add("--venvs", type=Path, help="folder for the peers' environments (default: `peers` in the cache)")
    add("--install", action="store_true", help="install the peers first, each into an environment of its own")
    add("--plot", type=Path, metavar="FILE", help="write the times as an SVG")
    options = parser.parse_args()
    options.venvs = options.venvs or options.cache / "peers"
    return options


def _count(text: str) -> int:
    """Rows: 2000, 100k or 10M."""
    return int(text[:-1]) * UNITS[text[-1]] if text[-1:] in UNITS else int(text)


@dataclass(frozen=True)
class Data:
    """The files in a folder, which are made once."""

    folder: Path

    def reference(self, rows: int) -> Path:
        return self.folder / f"peers_reference_{rows}.parquet"

    def current(self, rows: int) -> Path:
        return self.folder / f"peers_current_{rows}.parquet"

    def make(self, reference_rows: int, sizes: Sequence[int]) -> None:
        """Write the files that are missing; ends the program where the disk has no room for them."""
        self.folder.mkdir(parents=True, exist_ok=True)
        wanted = [(self.reference(reference_rows), reference_rows, "reference")]
        wanted += [(self.current(rows), rows, "current") for rows in sizes]
        missing = [item for item in wanted if not item[0].exists()]
        needed, free = sum(rows for _, rows, _ in missing) * BYTES_A_ROW, shutil.disk_usage(self.folder).free
        said = f"{self.folder}: the data need {needed / 1e9:.1f} GB, {free / 1e9:.1f} GB are free"
        if needed > free:
            sys.exit(f"{said}; name another folder (--cache) or fewer rows (--rows)")
        if missing:
            print(said, file=sys.stderr)
        for path, rows, which in missing:
            print(f"making {path} ...", file=sys.stderr)
            subprocess.run([sys.executable, SIDES / "make_data.py", path, str(rows), which], check=True)


def _measure(options: argparse.Namespace, data: Data, rows: int) -> list[Measured]:
    """All sides at one size, in turn, so that a busy spell of the machine meets all."""
    files = [data.reference(options.reference_rows), data.current(rows)]
    lines = [Measured(name, _title(name), rows, _why_not(options, name, rows)) for name in options.only]
    for _ in range(options.repeats):
        for line in lines:
            if line.why_not is None:
                line.add(spend(_command(options, line.side, files), options.timeout))
    return lines


def _title(side: str) -> str:
    return PEERS[side].title if side in PEERS else LIMITS.get(side, side)


def _why_not(options: argparse.Namespace, side: str, rows: int) -> str | None:
    if side not in PEERS:
        return None
    if rows > options.peer_rows:
        return f"not run above {options.peer_rows:,} rows (both files in memory)"
    return why_absent(options.venvs, side)


def _command(options: argparse.Namespace, side: str, files: Sequence[Path]) -> list[str | Path]:
    if side == OWN:
        return [sys.executable, "-m", "bq_monitor.cli", "compare", *files, "--json"]
    if side in LIMITS:
        return [sys.executable, SIDES / "limits.py", side, *files]
    return [python_of(options.venvs, side), SIDES / PEERS[side].script, *files]


def _judge(options: argparse.Namespace, measured: Sequence[Measured]) -> int:
    of_tables = [name for name, peer in PEERS.items() if peer.takes_tables]
    judged = list(targets(measured, of_tables, options.reference_rows))
    print(f"{N_COLUMNS} columns, reference of {options.reference_rows:,} rows; median of {options.repeats} processes; "
          f"load of the machine: {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors\n")  # fmt: skip
    for target in judged:
        print(target)
    missed, unknown = (
        sum(flags) for flags in zip(*((item.is_missed, item.is_unknown) for item in judged), strict=True)
    )
    print(f"\ntargets: {len(judged) - missed - unknown} met, {missed} missed, {unknown} not measured")
    is_broken = any(line.why_not is not None for line in measured if line.side not in PEERS)
    return 1 if missed or is_broken else 0


if __name__ == "__main__":
    sys.exit(main())

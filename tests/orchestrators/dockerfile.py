"""Dockerfiles read and interpreted without an engine: COPY and RUN under a temporary root, ENV, USER, ENTRYPOINT and CMD kept."""

from __future__ import annotations

import fnmatch
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import venv
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

Instruction = tuple[str, str]


def instructions(text: str) -> list[Instruction]:
    """`(NAME, rest)` of each line; comments are left out, continued lines joined."""
    joined = re.sub(r"\\\n", " ", re.sub(r"(?m)^\s*#.*\n", "", text))
    return [
        (name.upper(), rest.strip()) for name, _, rest in (line.partition(" ") for line in joined.splitlines() if line)
    ]


def is_ignored(path: str, patterns: list[str]) -> bool:
    """As a .dockerignore says: the last pattern that fits the path, or a folder above it, counts."""
    above = [str(parent) for parent in (PurePosixPath(path), *PurePosixPath(path).parents) if str(parent) != "."]
    ignored = False
    for pattern in patterns:
        plain = pattern.removeprefix("!").removeprefix("**/")
        names = [PurePosixPath(item).name for item in above] if "**/" in pattern else above
        if any(fnmatch.fnmatchcase(name, plain) for name in names):
            ignored = not pattern.startswith("!")
    return ignored


@dataclass
class Image:
    """What the instructions have made so far, in a folder in place of the root."""

    context: Path
    root: Path
    ignored: list[str]
    environment: dict[str, str]
    unset: frozenset[str] = frozenset()
    """Variables that ENV sets in vain."""
    arguments: dict[str, str] = field(default_factory=dict)
    workdir: str = "/"
    user: str = "root"
    entrypoint: list[str] = field(default_factory=list)
    command: list[str] = field(default_factory=list)

    def build(self, text: str) -> Image:
        for name, rest in instructions(text):
            getattr(self, f"_{name.lower()}")(rest)
        return self

    def run(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """ENTRYPOINT with these arguments, or with CMD."""
        command = [*self.entrypoint, *(arguments or self.command)]
        return self._started(command, {**self.environment, **environment})

    def _inside(self, path: str) -> Path:
        return self.root / PurePosixPath(self.workdir, path).relative_to("/")

    def _started(self, command: list[str], environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command, cwd=self._inside("."), env=environment, capture_output=True, text=True, timeout=600, check=False
        )

    def _from(self, rest: str) -> None:
        self.arguments["FROM"] = rest

    def _arg(self, rest: str) -> None:
        name, _, value = rest.partition("=")
        self.arguments.setdefault(name, value.strip('"'))

    def _env(self, rest: str) -> None:
        set_now = dict(pair.split("=", 1) for pair in rest.split())
        self.environment |= {name: value for name, value in set_now.items() if name not in self.unset}

    def _workdir(self, rest: str) -> None:
        self.workdir = str(PurePosixPath(self.workdir, rest))
        self._inside(".").mkdir(parents=True, exist_ok=True)

    def _copy(self, rest: str) -> None:
        *sources, target = rest.split()
        for source in sources:
            found = self.context / source
            paths = [path for path in found.rglob("*") if path.is_file()] if found.is_dir() else [found]
            for path in paths:
                name = path.relative_to(self.context).as_posix()
                if not is_ignored(name, self.ignored):
                    to = self._inside(target) / (path.relative_to(found) if found.is_dir() else found.name)
                    to.parent.mkdir(parents=True, exist_ok=True)
                    shutil.copyfile(path, to)

    def _run(self, rest: str) -> None:
        done = self._started(["sh", "-c", rest], {**self.environment, **self.arguments})
        assert done.returncode == 0, f"RUN {rest}\n{done.stdout[-2000:]}\n{done.stderr[-3000:]}"

    def _user(self, rest: str) -> None:
        self.user = rest

    def _entrypoint(self, rest: str) -> None:
        self.entrypoint = json.loads(rest)

    def _cmd(self, rest: str) -> None:
        self.command = json.loads(rest)


def bare_environment(programs: Path) -> dict[str, str]:
    """What the base image would set: its programs first, nothing of the shell that runs the tests but pip's settings."""
    own = {
        name: value
        for name, value in os.environ.items()
        if name.startswith("PIP_") or name in ("HOME", "SSL_CERT_FILE")
    }
    return {**own, "PIP_NO_COMPILE": "1", "PATH": f"{programs}{os.pathsep}{os.defpath}"}


def bare_python(folder: Path) -> Path:
    """The programs of a Python without packages; its `pip` is that of the tests, which saves installing one."""
    venv.create(folder, with_pip=False)
    programs = folder / "bin"
    command = shlex.join([sys.executable, "-m", "pip", "--python", str(programs / "python")])
    script(programs / "pip", f'exec {command} "$@"')
    return programs


def script(path: Path, line: str) -> None:
    """A program of one line of shell."""
    path.write_text(f"#!/bin/sh\n{line}\n")
    path.chmod(0o755)

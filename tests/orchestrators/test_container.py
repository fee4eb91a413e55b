"""The container: what its files promise, and what comes of its instructions."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest
import yaml

from bq_monitor import __version__
from tests.conftest import ROOT
from tests.orchestrators.dockerfile import Image, bare_environment, bare_python, instructions, is_ignored, script
from tests.orchestrators.loans import rows, write_loans

FOLDER = ROOT / "examples" / "container"
DOCKERFILE = (FOLDER / "Dockerfile").read_text(encoding="utf-8")
IGNORED = [line for line in (FOLDER / "Dockerfile.dockerignore").read_text().splitlines() if line and line[0] != "#"]
CRONJOB = yaml.safe_load((FOLDER / "cronjob.yaml").read_text(encoding="utf-8"))["spec"]
POD = CRONJOB["jobTemplate"]["spec"]["template"]["spec"]


def of(name: str) -> list[str]:
    return [rest for found, rest in instructions(DOCKERFILE) if found == name]


def test_it_runs_as_nobody_special() -> None:
    """The last USER is a number other than root's, made before, and nothing is installed after it; the job asks for the same."""
    names = [name for name, _ in instructions(DOCKERFILE)]
    (user,) = of("USER")
    assert int(user) > 0
    assert f"--uid {user}" in DOCKERFILE
    assert not {"RUN", "COPY", "ADD"} & set(names[names.index("USER") :])
    assert (POD["securityContext"]["runAsNonRoot"], POD["securityContext"]["runAsUser"]) == (True, int(user))
    assert POD["containers"][0]["securityContext"]["allowPrivilegeEscalation"] is False


def test_everything_is_pinned() -> None:
    """The base image and the job's image have a version, every package one of constraints.txt; no cache is kept."""
    (base,) = of("FROM")
    (version,) = [rest.partition("=")[2] for rest in of("ARG") if rest.startswith("PYTHON_VERSION")]
    assert re.fullmatch(r"python:3\.\d+-slim-\w+", base.replace("${PYTHON_VERSION}", version))
    installs = [rest for rest in of("RUN") if "pip install" in rest]
    assert installs
    assert all("--constraint constraints.txt" in rest for rest in installs)
    assert "PIP_NO_CACHE_DIR=1" in of("ENV")[0].split()
    assert POD["containers"][0]["image"].endswith(f":{__version__}")
    assert ":latest" not in DOCKERFILE


def test_no_secret_is_built_in() -> None:
    """Neither ARG nor ENV carries one, ADD fetches nothing, and the job's secret comes from where secrets are kept."""
    assert not re.search(r"(?i)secret|token|password|credential|api_?key", "\n".join([*of("ARG"), *of("ENV")]))
    assert of("ADD") == []
    secret = next(item for item in POD["containers"][0]["env"] if item["name"].endswith("_URL"))
    assert "value" not in secret
    assert "secretKeyRef" in secret["valueFrom"]


@pytest.mark.parametrize(
    "path",
    [".git/config", ".env", "key.json", ".venv/bin/python", "tests/conftest.py", "bq_monitor/__pycache__/job.pyc"],
)
def test_the_build_sees_no_more_than_it_copies(path: str) -> None:
    """What may hold a secret, or what only this machine has, is not even sent to the engine."""
    assert is_ignored(path, IGNORED)


def test_the_build_sees_what_it_copies() -> None:
    """Each source of a COPY is in the checkout and is let through."""
    sources = [source for rest in of("COPY") for source in rest.split()[:-1]]
    assert len(sources) == 7
    for source in sources:
        assert (ROOT / source).exists()
        assert not is_ignored(source, IGNORED)
    assert not is_ignored("bq_monitor/warehouse/schema.py", IGNORED)


@pytest.mark.parametrize(("code", "ends"), [(0, 0), (1, 0), (2, 2), (3, 0), (4, 4)])
def test_drift_is_no_failed_job(tmp_path: Path, code: int, ends: int) -> None:
    """The job's own line passes over the codes of results, and over no other."""
    script(tmp_path / "bq-monitor", f"exit {code}")
    (line,) = POD["containers"][0]["args"]
    done = subprocess.run(
        [*POD["containers"][0]["command"], line], env={"PATH": f"{tmp_path}:/usr/bin:/bin"}, check=False
    )
    assert done.returncode == ends


def test_jobs_do_not_overlap() -> None:
    """One run at a time, ended before the next is due."""
    assert CRONJOB["concurrencyPolicy"] == "Forbid"
    assert CRONJOB["jobTemplate"]["spec"]["activeDeadlineSeconds"] < 3600


@pytest.mark.orchestrators
def test_its_instructions_end_in_rows(tmp_path: Path) -> None:
    """Installed as the Dockerfile says, the entry point sets up, checks and runs a fleet."""
    programs = bare_python(tmp_path / "base")
    script(programs / "useradd", f"echo $@ > {tmp_path}/users")
    cached = frozenset({"PIP_NO_CACHE_DIR"})  # what an image must not keep, this machine may
    image = Image(ROOT, tmp_path / "root", IGNORED, bare_environment(programs), cached).build(DOCKERFILE)
    assert image.user in (tmp_path / "users").read_text()
    assert "Usage: bq-monitor" in image.run().stdout
    config = write_loans(tmp_path)
    fleet = tmp_path / "fleet"
    fleet.mkdir()
    config.rename(fleet / "loan_approval.yaml")
    capture = [
        "reference",
        "capture",
        f"{fleet}/loan_approval.yaml",
        "--data",
        f"{tmp_path}/training.parquet",
        "--version",
        "2003-10",
    ]
    for code, command in ((0, ["init", str(fleet)]), (0, capture), (0, ["validate", str(fleet)]),
                          (1, ["run", str(fleet), "--as-of", "2006-01-01", "--json"])):  # fmt: skip
        done = image.run(*command)
        assert done.returncode == code, done.stderr
    assert json.loads(done.stdout)[0]["n_drift"] > 0
    assert rows(tmp_path, "SELECT COUNT(DISTINCT window_start) FROM drift_latest") == [(6,)]

"""The real terraform over copies of a module, with a provider that only knows its schema: no network, no account."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

_LEFT_BEHIND = shutil.ignore_patterns(".terraform", ".terraform.lock.hcl", "*.tfstate*", "__pycache__")
_FAULT = re.compile(r"^(?:│ )?Error: (.*)$", re.MULTILINE)
_FRAME = re.compile(r"^[│╷╵] ?", re.MULTILINE)


@dataclass(frozen=True)
class Finished:
    """How a command ended, and all that it printed (without terraform's frames)."""

    code: int
    text: str

    @property
    def faults(self) -> list[str]:
        """The headline of each error."""
        return _FAULT.findall(self.text)

    @property
    def prose(self) -> str:
        """What was printed as one line, for a search that does not care where lines break."""
        return " ".join(self.text.split())


@dataclass(frozen=True)
class Terraform:
    """The command at `binary`, told by `providers` where the provider listens."""

    binary: str
    providers: str

    def run(self, folder: Path, *arguments: str, settings: Path | None = None) -> Finished:
        """Run one command in a folder, to its end; with `settings` of its own it looks for its provider there."""
        done = subprocess.run(
            [self.binary, *arguments, "-no-color"],
            cwd=folder,
            env=self._environment(settings),
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        return Finished(done.returncode, _FRAME.sub("", done.stdout + done.stderr))

    def init(self, folder: Path, *, settings: Path | None = None) -> Finished:
        """Find the modules that a folder calls, and the provider where `settings` are given."""
        return self.run(folder, "init", "-backend=false", "-input=false", settings=settings)

    def _environment(self, settings: Path | None) -> dict[str, str]:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("TF_")}
        provider = {"TF_CLI_CONFIG_FILE": str(settings)} if settings else {
            "TF_CLI_CONFIG_FILE": os.devnull, "TF_REATTACH_PROVIDERS": self.providers,
        }  # fmt: skip
        quiet = {"TF_IN_AUTOMATION": "1", "CHECKPOINT_DISABLE": "1"}
        return {**inherited, **provider, **quiet, "GOGC": "400"}  # less collecting of garbage: a third faster


def copy_tree(source: Path, target: Path) -> Path:
    """A copy of a module's folder without what terraform leaves behind; gives the copy."""
    return Path(shutil.copytree(source, target, ignore=_LEFT_BEHIND))


def offer(folder: Path, version: str, platform: str) -> Path:
    """Settings under which terraform finds one version of the provider: an empty file, enough to choose it."""
    package = folder / "mirror/registry.terraform.io/hashicorp/google" / version / platform
    package.mkdir(parents=True)
    (package / f"terraform-provider-google_v{version}").touch()
    settings = folder / "settings.tfrc"
    mirror = f'filesystem_mirror {{\n    path = "{folder}/mirror"\n  }}'
    settings.write_text(f"provider_installation {{\n  {mirror}\n}}\n", encoding="utf-8")
    return settings

"""Writes the tables of docs/supply-chain.md, and the parts list (SBOM) of a release.

python docs/licences.py                        # the page, from what is installed, pyproject.toml, and terraform/
python docs/licences.py --sbom ALL.json OUT    # of a CycloneDX file of the environment, what a user installs (make sbom)
python docs/licences.py --validate FILE        # against CycloneDX's schema; needs cyclonedx-bom
"""

from __future__ import annotations

import importlib.metadata
import json
import re
import sys
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "supply-chain.md"
GROUPS = ("core", "function", "report", "dashboard", "prometheus", "ml", "onnx")
"""What a user installs: the package, and its extras that are told apart here."""
DEVELOPMENT = ("dev", "googlesql")
ALLOWED = frozenset({
    "0BSD", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "BSL-1.0", "CC0-1.0", "CNRI-Python", "HPND", "ISC", "MIT", "MIT-0", "MIT-CMU", "MPL-2.0",
    "PSF-2.0", "Unlicense", "Zlib",
})  # fmt: skip
"""Licences that a user of an Apache-2.0 package meets no surprise in. MPL-2.0 binds changes of its own files alone."""
READ_BY_HAND = {
    "axe-playwright-python": ("MIT", "its metadata name none; its file LICENSE does"),
    "cloudevents": ("Apache-2.0", "its metadata give the licence's address"),
    "deprecation": ("Apache-2.0", "its metadata say 'Apache 2'"),
    "pyasn1-modules": ("BSD-2-Clause", "its metadata say 'BSD'; its file LICENSE.txt has two clauses"),
    "python-dateutil": ("Apache-2.0 OR BSD-3-Clause", "its metadata say 'Dual License'; LICENSE names both"),
    "scipy": ("BSD-3-Clause", "its metadata hold the text of the licence"),
}
"""Where the metadata name no SPDX licence: what the licence's file says, and why it had to be read."""
_FIELDS = {
    "apache 2.0": "Apache-2.0", "apache license 2.0": "Apache-2.0", "apache license, version 2.0": "Apache-2.0",
    "3-clause bsd license": "BSD-3-Clause",
    "bsd": "BSD-3-Clause", "mit license": "MIT", "apache": "Apache-2.0", "bsd 3-clause": "BSD-3-Clause",
}  # fmt: skip
_CLASSIFIERS = {
    "MIT License": "MIT", "BSD License": "BSD-3-Clause", "Apache Software License": "Apache-2.0",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0", "Python Software Foundation License": "PSF-2.0",
    "ISC License (ISCL)": "ISC", "The Unlicense (Unlicense)": "Unlicense",
}  # fmt: skip


@cache
def project() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def constraints() -> dict[str, str]:
    """The version that each line of constraints.txt pins, by name; a line that pins nothing is kept with an empty one."""
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pairs = (line.partition("==") for line in lines if line.strip() and not line.startswith("#"))
    return {canonicalize_name(name): version for name, _, version in pairs}


def asked_for(group: str) -> list[str]:
    """The requirements of the package itself, or of one of its extras."""
    said = project()["project"]
    found: list[str] = said["dependencies"] if group == "core" else said["optional-dependencies"][group]
    return found


def closure(requirements: Iterable[str]) -> set[str]:
    """Every distribution that some requirements install here, by what the installed ones ask for."""
    found: dict[str, set[str]] = {}
    waiting = [Requirement(text) for text in requirements]
    while waiting:
        requirement = waiting.pop()
        name, extras = canonicalize_name(requirement.name), set(requirement.extras)
        if name == "bq-monitor":
            waiting += [Requirement(text) for extra in extras for text in asked_for(extra)]
        elif name not in found or not extras <= found[name]:
            found.setdefault(name, set()).update(extras)
            asked = [Requirement(text) for text in importlib.metadata.requires(name) or []]
            waiting += [item for item in asked if _applies(item, found[name])]
    return set(found)


def _applies(requirement: Requirement, extras: set[str]) -> bool:
    marker = requirement.marker
    return marker is None or any(marker.evaluate({"extra": extra}) for extra in ("", *extras))


@cache
def brought_by() -> dict[str, list[str]]:
    """The distributions that a user may get, with the groups that bring them; `core` comes with all the others."""
    found: dict[str, list[str]] = {name: ["core"] for name in closure(asked_for("core"))}
    for group in GROUPS[1:]:
        for name in closure(asked_for(group)):
            groups = found.setdefault(name, [])
            if groups != ["core"]:
                groups.append(group)
    return dict(sorted(found.items()))


@cache
def development() -> list[str]:
    """What tests and checks need beside."""
    wanted = closure([*asked_for("core"), *(text for group in DEVELOPMENT for text in asked_for(group))])
    return sorted(wanted - set(brought_by()))


def licence(name: str) -> str:
    """The SPDX expression of a distribution; `unknown` where its metadata tell none and nobody has read its file."""
    metadata: Mapping[str, Any] = importlib.metadata.metadata(name)  # type: ignore[assignment]
    if name in READ_BY_HAND:
        return READ_BY_HAND[name][0]
    if said := metadata.get("License-Expression"):
        return str(said)
    field = str(metadata.get("License") or "").strip()
    if field in ALLOWED or field.lower() in _FIELDS:
        return _FIELDS.get(field.lower(), field)
    classifiers = [text.split(" :: ")[-1] for text in metadata.get_all("Classifier") or []]  # type: ignore[attr-defined]
    return next((_CLASSIFIERS[text] for text in classifiers if text in _CLASSIFIERS), "unknown")


def is_allowed(expression: str) -> bool:
    """Whether each licence of an SPDX expression is allowed, or one of those among which a user may choose.

    >>> is_allowed("MIT OR GPL-3.0-only"), is_allowed("MIT AND GPL-3.0-only")
    (True, False)
    """
    names = [name for name in re.findall(r"[\w.+-]+", expression) if name not in ("AND", "OR", "WITH")]
    has_choice_only = " AND " not in expression and " WITH " not in expression
    return (any if has_choice_only else all)(name in ALLOWED for name in names)


def licence_table(names: Iterable[str]) -> str:
    """A line for each distribution."""
    pinned, groups = constraints(), brought_by()
    lines = ["| package | version | licence | comes with |", "|---|---|---|---|"]
    lines += [
        f"| {n} | {pinned.get(n) or 'not pinned'} | {licence(n)} | {', '.join(groups.get(n, ['dev']))} |" for n in names
    ]
    return "\n".join(lines)


def read_table() -> str:
    """The licences that were read by hand, with the reason."""
    lines = ["| package | licence | why its metadata do not do |", "|---|---|---|"]
    return "\n".join([*lines, *(f"| {name} | {said} | {why} |" for name, (said, why) in sorted(READ_BY_HAND.items()))])


def apart_table() -> str:
    """The extras whose packages are not told one by one, with what they ask for."""
    extras = [name for name in project()["project"]["optional-dependencies"] if name not in (*GROUPS, *DEVELOPMENT)]
    lines = ["| extra | asks for |", "|---|---|"]
    return "\n".join(
        [*lines, *(f"| {name} | {', '.join(f'`{text}`' for text in asked_for(name))} |" for name in sorted(extras))]
    )


def ignored_rules() -> list[tuple[str, str, str]]:
    """What ruff's configuration leaves out: where, which rules, why."""
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    section = text[text.index("[tool.ruff.lint]") : text.index("[tool.ruff.lint.pycodestyle]")]
    everywhere = re.findall(r'^  "([A-Z]+\d*)",\s*(?:#\s*(.*))?$', section, re.MULTILINE)
    by_file = re.findall(r'^"([^"]+)" = \[([^\]]*)\]\s*(?:#\s*(.*))?$', section, re.MULTILINE)
    return [
        *(("everywhere", rule, why) for rule, why in everywhere),
        *((place, ", ".join(re.findall(r'"([^"]+)"', rules)), why) for place, rules, why in by_file),
    ]


def ignored_lines() -> list[tuple[str, str, str]]:
    """The lines of the package and the function that leave a security rule out: where, which rule, why."""
    found = []
    for path in sorted([*(ROOT / "bq_monitor").rglob("*.py"), *(ROOT / "functions").glob("*.py")]):
        for rules, why in re.findall(
            r"# noqa: ([A-Z0-9, ]*\bS\d+[A-Z0-9, ]*)(?: - (.*))?$", path.read_text(encoding="utf-8"), re.MULTILINE
        ):
            found.append((path.relative_to(ROOT).as_posix(), rules.strip(), why or "the comment above it says"))
    return found


def checkov_skips() -> list[tuple[str, str, str]]:
    """The checks of checkov that the terraform files leave out: where, which, why."""
    found = []
    for path in sorted((ROOT / "terraform").rglob("*.tf")):
        if ".terraform" not in path.parts:
            skips = re.findall(
                r"#\s*checkov:skip=\s*([\w,]+)\s*(?::\s*(.*))?$", path.read_text(encoding="utf-8"), re.MULTILINE
            )
            found += [(path.relative_to(ROOT).as_posix(), check, why.strip()) for check, why in skips]
    return found


def exceptions_table(rows: Iterable[tuple[str, str, str]]) -> str:
    lines = [f"| `{place}` | {rules} | {why} |" for place, rules, why in dict.fromkeys(rows)]
    return "\n".join(["| where | left out | why |", "|---|---|---|", *lines]) if lines else "None."


def sections() -> dict[str, str]:
    """What stands between the marks of the page, by their names."""
    return {
        "licences": licence_table(brought_by()), "development": licence_table(development()), "read by hand": read_table(),
        "apart": apart_table(), "ruff": exceptions_table(ignored_rules()), "lines": exceptions_table(ignored_lines()),
        "checkov": exceptions_table(checkov_skips()),
    }  # fmt: skip


def page(text: str) -> str:
    """The page with its tables written anew."""
    for name, table in sections().items():
        begin, end = f"<!-- {name}: written by docs/licences.py -->", "\n<!-- end -->"
        before, mark, rest = text.partition(begin)
        if not mark or end not in rest:
            raise SystemExit(f"docs/supply-chain.md: no marks of {name!r}; wanted: {begin} ... {end.strip()}")
        text = f"{before}{begin}\n{table}" + rest[rest.index(end) :]
    return text


def parts_list(whole: Mapping[str, Any]) -> dict[str, Any]:
    """Of a CycloneDX file of an environment, what a user may get, without addresses of the machine that made it."""
    kept = [part for part in whole["components"] if canonicalize_name(part["name"]) in brought_by()]
    known = {part["bom-ref"] for part in kept} | {whole["metadata"]["component"]["bom-ref"]}
    edges = [
        {**edge, **({"dependsOn": [ref for ref in edge["dependsOn"] if ref in known]} if "dependsOn" in edge else {})}
        for edge in whole["dependencies"]
        if edge["ref"] in known
    ]
    return {**whole, "components": [dict(_public(part)) for part in kept], "dependencies": edges}


def _public(part: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """A component without references that say where it was fetched from."""
    for key, value in part.items():
        if key == "externalReferences":
            yield (
                key,
                [item for item in value if item["type"] != "distribution" and not item["url"].startswith("file:")],
            )
        else:
            yield key, value


def validate(path: Path) -> None:
    """Raise SystemExit where a file is no CycloneDX 1.6."""
    from cyclonedx.schema import SchemaVersion  # noqa: PLC0415 - only the environment of `make sbom` has it
    from cyclonedx.validation.json import JsonStrictValidator  # noqa: PLC0415

    if fault := JsonStrictValidator(SchemaVersion.V1_6).validate_str(path.read_text(encoding="utf-8")):
        raise SystemExit(f"{path.name}: no CycloneDX 1.6: {fault}")


def main(*given: str) -> None:
    if given[:1] == ("--validate",):
        validate(Path(given[1]))
    elif given[:1] == ("--sbom",):
        made = parts_list(json.loads(Path(given[1]).read_text(encoding="utf-8")))
        Path(given[2]).write_text(json.dumps(made, indent=2) + "\n", encoding="utf-8")
    else:
        PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])

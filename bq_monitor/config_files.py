"""Configurations from YAML files: one a model, a folder is a fleet, local or `gs://`."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import yaml

from bq_monitor.config import MonitorConfig, parse_config
from bq_monitor.errors import ConfigError, InputError

_KEY = re.compile(r"[a-z_]+(\.[a-z_]+)*")


def load_configs(paths: str | Path | Sequence[str | Path]) -> list[MonitorConfig]:
    """Read monitors from YAML files or folders, local or `gs://`; a folder is a fleet with an optional `defaults.yaml`.

    Raises:
        ConfigError: with the faults of every file; nothing is returned unless all are good.
        InputError: a path that cannot be read, or a folder without monitors.
    """
    listed = [paths] if isinstance(paths, str | Path) else list(paths)
    documents = [document for path in listed for document in _read(str(path))]
    configs, faults = [], []
    for place, data in documents:
        try:
            configs.append(parse_config(data, place))
        except ConfigError as error:
            faults += [(place, fault) for fault in error.faults]
    if faults:
        raise ConfigError(
            faults[0][0],
            [faults[0][1], *(f"{place}: {fault}" if place != faults[0][0] else fault for place, fault in faults[1:])],
        )
    _refuse_twice(configs)
    return configs


def load_config(path: str | Path) -> MonitorConfig:
    """Read exactly one monitor; see `load_configs`."""
    configs = load_configs(path)
    if len(configs) != 1:
        raise InputError(
            f"{path}: {len(configs)} monitors; this command takes one. Name the file of the monitor that you mean."
        )
    return configs[0]


def load_variants(path: str | Path, settings: Sequence[str]) -> list[tuple[dict[str, Any], MonitorConfig]]:
    """One monitor as it is, and with settings such as `detection.threshold=0.15` in place of what its file says.

    A key that is set several times makes a variant for each of its values, several such keys one for each combination.

    Raises:
        ConfigError: a variant is not valid. InputError: a setting is not `KEY=VALUE`, or the path is not one monitor.
    """
    plain = load_config(path)
    ((place, data),) = _read(str(path))
    values: dict[str, list[Any]] = {}
    for setting in settings:
        key, _, text = setting.partition("=")
        if not _KEY.fullmatch(key) or not text:
            raise InputError(
                f"--set: got {setting!r}; allowed: KEY=VALUE with a dotted key, as in detection.threshold=0.15"
            )
        values.setdefault(key, []).append(_parse(f"--set {key}", text))
    chosen = (
        [dict(zip(values, combination, strict=True)) for combination in product(*values.values())] if values else []
    )
    return [({}, plain), *((variant, parse_config(_with(data, variant), place)) for variant in chosen)]


def _with(data: Any, settings: Mapping[str, Any]) -> Any:
    """A document with the values at dotted keys replaced."""
    for key, value in settings.items():
        nested: Any = value
        for part in reversed(key.split(".")):
            nested = {part: nested}
        data = _merged(data, nested)
    return data


def _refuse_twice(configs: Sequence[MonitorConfig]) -> None:
    names = [(config.warehouse, config.monitor) for config in configs]
    for warehouse, name in names:
        if names.count((warehouse, name)) > 1:
            raise ConfigError(
                "fleet", [f"monitor: {name!r} stands in two files; give each monitor of {warehouse} its own name"]
            )


def _read(path: str) -> list[tuple[str, Any]]:
    """`(place, parsed YAML)` of a file, or of each monitor in a folder with its defaults merged under it."""
    from bq_monitor.warehouse.storage import list_texts, read_text

    if not path.endswith((".yaml", ".yml")):
        texts = {name: text for name, text in list_texts(path).items() if name.endswith((".yaml", ".yml"))}
        defaults: Any = next((_parse(name, text) for name, text in texts.items() if _is_defaults(name)), {}) or {}
        found = [
            (name, _merged(defaults, _parse(name, text)))
            for name, text in sorted(texts.items())
            if not _is_defaults(name)
        ]
        if not found:
            raise InputError(f"{path}: no monitor here; a fleet folder holds one .yaml a monitor. Check the path.")
        return found
    return [(path, _parse(path, read_text(path)))]


def _is_defaults(name: str) -> bool:
    return name.rsplit("/", 1)[-1] in ("defaults.yaml", "defaults.yml")


class _Loader(yaml.SafeLoader):
    """Safe YAML in which a key may stand only once in a mapping."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise yaml.constructor.ConstructorError(None, None, "a key is not a plain text", key.start_mark)
            if key.value in seen:
                raise yaml.constructor.ConstructorError(None, None, f"key {key.value!r} stands twice", key.start_mark)
            seen.add(key.value)
        return super().construct_mapping(node, deep)


def _parse(place: str, text: str) -> Any:
    try:
        return yaml.load(text, Loader=_Loader)  # noqa: S506 - a SafeLoader
    except (yaml.YAMLError, ValueError) as error:  # PyYAML lets a date such as 2026-13-01 fail as a ValueError
        raise ConfigError(place, [f"not YAML: {' '.join(str(error).split())}; correct the line named"]) from None


def _merged(under: Any, over: Any) -> Any:
    if not (isinstance(under, Mapping) and isinstance(over, Mapping)):
        return over
    return {**under, **{key: _merged(under.get(key), value) for key, value in over.items()}}

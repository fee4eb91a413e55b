"""Configurations on disk: one file, a fleet in a folder, and what cannot be read (`gs://`: test_storage.py)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from bq_monitor.config import MonitorConfig
from bq_monitor.config_files import load_config, load_configs
from bq_monitor.errors import ConfigError, InputError
from tests.test_config import mapping


def write(folder: Path, name: str, data: object) -> Path:
    path = folder / name
    path.write_text(data if isinstance(data, str) else yaml.safe_dump(data))
    return path


def test_a_folder_is_a_fleet_with_defaults_under_each(tmp_path: Path) -> None:
    """`defaults.yaml` is merged key by key under each monitor; lists are replaced, other files left alone."""
    write(
        tmp_path,
        "defaults.yaml",
        {"warehouse": "duckdb://", "detection": {"threshold": 0.2, "min_rows": 7}, "features": ["x"]},
    )
    write(tmp_path, "b.yml", mapping(monitor="b", detection={"threshold": 0.3}, features=["y"]))
    write(tmp_path, "a.yaml", {"monitor": "a", "source": {"table": "a.csv", "timestamp": "t"}})
    write(tmp_path, "notes.txt", "not a configuration")
    a, b = load_configs(tmp_path)
    assert (a.monitor, a.detection.threshold, a.detection.min_rows) == ("a", 0.2, 7)
    assert (b.monitor, b.detection.threshold, b.detection.min_rows) == ("b", 0.3, 7)
    assert [feature.name for feature in (*a.declared_features(), *b.declared_features())] == ["x", "y"]


def test_faults_of_a_whole_fleet_are_collected(tmp_path: Path) -> None:
    """Each fault says its file; one bad file gives no monitor at all."""
    write(tmp_path, "a.yaml", mapping(monitor="A"))
    write(tmp_path, "b.yaml", mapping(monitor="b"))
    write(tmp_path, "c.yaml", mapping(monitor="c", colour=1))
    with pytest.raises(ConfigError) as caught:
        load_configs(tmp_path)
    first, second = str(caught.value).splitlines()
    assert first.startswith(f"{tmp_path}/a.yaml: monitor: got 'A'")
    assert f"{tmp_path}/c.yaml: colour: unknown key" in second


def test_a_monitor_stands_once_in_a_fleet(tmp_path: Path) -> None:
    """Two files with one name in one warehouse are refused; in two warehouses they are two monitors."""
    write(tmp_path, "a.yaml", mapping())
    write(tmp_path, "b.yaml", mapping())
    with pytest.raises(ConfigError, match="'loans' stands in two files"):
        load_configs(tmp_path)
    write(tmp_path, "b.yaml", mapping(warehouse="duckdb:///other.duckdb"))
    assert [config.monitor for config in load_configs([tmp_path])] == ["loans", "loans"]


def test_one_monitor_is_read_from_one_file(tmp_path: Path) -> None:
    """`load_config` takes exactly one monitor."""
    one = write(tmp_path, "a.yaml", mapping())
    assert isinstance(load_config(one), MonitorConfig)
    write(tmp_path, "b.yaml", mapping(monitor="b"))
    with pytest.raises(InputError, match="2 monitors; this command takes one"):
        load_config(tmp_path)


def test_text_that_is_not_yaml_is_refused_with_its_line(tmp_path: Path) -> None:
    """The fault names the file and the line."""
    path = write(tmp_path, "a.yaml", "monitor: a\nsource: {table: [\n")
    with pytest.raises(ConfigError, match=r"a\.yaml: not YAML: .*line 3"):
        load_configs(path)


@pytest.mark.parametrize(
    ("make", "what"),
    [
        (lambda folder: folder / "absent.yaml", "No such file"),
        (lambda folder: folder / "absent", "not a configuration"),
        (lambda folder: folder, "no monitor here"),
    ],
)
def test_a_path_without_a_configuration_is_an_input_error(make: Any, what: str, tmp_path: Path) -> None:
    """A missing file, a missing folder, and a folder without monitors."""
    with pytest.raises(InputError, match=what):
        load_configs(make(tmp_path))


def test_a_file_that_is_not_text_is_an_input_error(tmp_path: Path) -> None:
    """Bytes that are not UTF-8 are named as unreadable."""
    (tmp_path / "a.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match=r"a\.yaml: cannot be read"):
        load_configs(tmp_path / "a.yaml")


def test_a_key_that_stands_twice_is_refused(tmp_path: Path) -> None:
    """YAML would take the last one silently; which one was meant cannot be known."""
    path = tmp_path / "loans.yaml"
    path.write_text("monitor: loans\nwarehouse: 'duckdb://'\nmonitor: others\nsource: {table: log, timestamp: ts}\n")
    with pytest.raises(ConfigError, match=r"'monitor' stands twice.*line 3"):
        load_configs(path)

"""A category that would like to be a mention, markup or a script, in a real log: it is text wherever it is shown."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from bq_monitor import capture_reference, compare
from bq_monitor.cli import cli
from tests.alerts.lab import ALL_KINDS, house
from tests.alerts.receivers import Receiver
from tests.test_job import Lab, frame

NAME = "<!channel> *x* <script>"
ESCAPED = "&lt;!channel&gt; *x* &lt;script&gt;"


@pytest.fixture
def lab(tmp_path: Path, rng: np.random.Generator) -> Lab:
    """A week in which half of the rows come from a region of that name, and a segment for each region."""
    made = Lab(
        tmp_path, rng, {"features": [{"name": "region", "kind": "categorical"}, "amount"], "segments": ["region"]}
    )
    capture_reference(pd.concat([frame(rng, 2000), frame(rng, 300).assign(region=NAME)]), made.config, version="1")
    usual = made.rows("2026-01-05", 7, per_day=60)
    made.write(usual, made.rows("2026-01-05", 7, per_day=60, shift=3).assign(region=NAME))
    return made


def body(running: Receiver) -> str:
    """What a service got, as it reads it."""
    return json.dumps(running.delivered, ensure_ascii=False)


def test_it_is_text_in_every_message(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """It arrives everywhere, as the carrier and as a segment; where services read markup or mentions it is escaped."""
    with house(ALL_KINDS, lab.folder, monkeypatch) as receivers:
        lab.settings["alerts"] = {"channels": ["log", *receivers.channels]}
        lab.run("2026-01-12")
        said = {kind: body(running) for kind, running in receivers.http.items()}
        assert receivers.mail is not None
        (mail,) = receivers.mail.delivered
    for kind in ("slack", "google_chat"):
        assert NAME not in said[kind], kind
        assert ESCAPED in said[kind], kind
    for kind in ("teams", "pagerduty", "webhook"):
        assert NAME in said[kind], kind
    (card,) = json.loads(said["teams"])
    assert {block["type"] for block in card["attachments"][0]["content"]["body"]} == {"RichTextBlock"}
    assert NAME in mail.get_content()
    assert mail.get_content_type() == "text/plain"
    assert "<" not in mail["Subject"]
    lines = [json.loads(line) for line in capfd.readouterr().err.splitlines()]
    assert any(NAME in line["message"] for line in lines)


def test_it_is_text_on_the_command_line(lab: Lab) -> None:
    """`alerts list` shows it as it is written, in a table and in JSON; nothing of it is markup of the terminal."""
    lab.run("2026-01-12")
    path = lab.folder / "monitor.yaml"
    path.write_text(
        json.dumps({**lab.config.model_dump(mode="json", include={"monitor", "warehouse", "source"}), **lab.settings})
    )
    shown = CliRunner().invoke(cli, ["alerts", "list", str(path), "--json"])
    segments = {item["segment"] for item in json.loads(shown.output)}
    assert segments == {"all", f"region={NAME}"}
    table = CliRunner().invoke(cli, ["alerts", "list", str(path)])
    assert NAME.split(maxsplit=1)[0] in table.output
    assert "\x1b" not in table.output


def test_it_is_text_in_a_csv(rng: np.random.Generator) -> None:
    """A comparison's CSV holds as many rows and columns with such a column as with another, and reads back the same."""
    before, after = (
        frame(rng, 500).rename(columns={"region": NAME}),
        frame(rng, 500, 2.0).rename(columns={"region": NAME}),
    )
    after[NAME] = NAME
    written = compare(before, after).to_frame().to_csv(index=False)
    rows = list(csv.DictReader(io.StringIO(written)))
    assert [row["feature"] for row in rows] == ["amount", NAME]
    assert all(None not in row and None not in row.values() for row in rows)

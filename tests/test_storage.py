"""Configurations and reports in `gs://` through the real client, against a stand-in that misbehaves; reports on disk."""

from __future__ import annotations

import gc
import json
import os
import stat
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import functions_framework
import numpy as np
import pandas as pd
import pytest
import yaml
from click.testing import CliRunner

from bq_monitor import capture_reference, load_config, load_configs
from bq_monitor.cli import cli
from bq_monitor.errors import BqMonitorError, InputError, WarehouseError
from bq_monitor.warehouse import storage
from bq_monitor.warehouse.storage import list_texts, read_text, write_text
from tests.conftest import ROOT
from tests.storage_server import Action, Server, serve

REPORT = "gs://reports/r.json"
# Answers to refused downloads are left to the garbage collector by the client, sockets and all.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")

LOST = ["503 after", "500 after", "429 after", "drop after", "cut after"]
REFUSED = ["503 before", "500 before", "429 before", "drop before"]


@dataclass
class Clock:
    """Time for the client's retries: a pause passes at once, and counts."""

    now: float = 0.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    for module in ("retry_base", "retry_unary"):
        monkeypatch.setattr(f"google.api_core.retry.{module}.time", clock)
    return clock


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, clock: Clock) -> Iterator[Server]:
    """The stand-in where the client looks for the service, with a bucket for reports."""
    with serve() as server:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", server.url)
        monkeypatch.setenv(
            "DISABLE_GCS_PYTHON_CLIENT_OTEL_BUCKET_METADATA", "true"
        )  # asked in the background, when it suits
        server.buckets["reports"] = {}
        yield server
        gc.collect()


def monitor_yaml(name: str, **changes: object) -> str:
    return yaml.safe_dump({"monitor": name, "source": {"table": "log.csv", "timestamp": "t"}, **changes})


def put_fleet(server: Server) -> None:
    server.put("configs/fleet/defaults.yaml", yaml.safe_dump({"warehouse": "duckdb://", "detection": {"min_rows": 7}}))
    server.put("configs/fleet/a.yaml", monitor_yaml("a", detection={"threshold": 0.3}))
    server.put("configs/fleet/b.yml", monitor_yaml("b"))


# --- reading ---


def test_a_fleet_lies_directly_in_its_folder(server: Server) -> None:
    """`defaults.yaml` is merged under each monitor; other endings, deeper folders and like-named neighbours are left alone."""
    put_fleet(server)
    for name in ("fleet/readme.md", "fleet/", "fleet/old/a.yaml", "fleets/c.yaml", "c.yaml", "fleet/.yaml"):
        server.put(f"configs/{name}", "]")
    for path in ("gs://configs/fleet", "gs://configs/fleet/"):
        a, b = load_configs(path)
        assert (a.monitor, a.detection.threshold, a.detection.min_rows) == ("a", 0.3, 7)
        assert (b.monitor, b.detection.min_rows) == ("b", 7)


def test_a_whole_bucket_is_a_folder(server: Server) -> None:
    """`gs://BUCKET` names what lies at the top of it."""
    server.put("configs/a.yaml", "top")
    server.put("configs/deeper/a.yaml", "deeper")
    assert list_texts("gs://configs") == list_texts("gs://configs/") == {"gs://configs/a.yaml": "top"}


def test_one_file_is_one_monitor(server: Server) -> None:
    """A path to a file reads that file alone, whatever letters its name has."""
    server.put("configs/größe & co/a b.yaml", monitor_yaml("loans", warehouse="duckdb://"))
    assert load_config("gs://configs/größe & co/a b.yaml").monitor == "loans"


def test_a_folder_of_many_pages_is_read_whole(server: Server) -> None:
    """Every page of the listing counts, and the order is that of the names."""
    expected = {f"gs://configs/fleet/{i:02}.yaml": str(i) for i in range(23)}
    for path, text in reversed(expected.items()):
        server.put(path.removeprefix("gs://"), text)
    server.page_size = 5
    assert list(list_texts("gs://configs/fleet").items()) == list(expected.items())
    assert len(server.asked("objects.list")) == 5


@pytest.mark.parametrize("fault", [*REFUSED, *LOST])
@pytest.mark.parametrize("request_", ["objects.list", "objects.download"])
def test_a_reading_survives_what_passes(server: Server, request_: str, fault: str) -> None:
    """A refusal or a broken connection that does not last is not seen by the user."""
    put_fleet(server)
    server.fail(request_, fault, times=2)
    assert [config.monitor for config in load_configs("gs://configs/fleet")] == ["a", "b"]


def test_an_answer_cut_short_goes_on_with_the_same_generation(server: Server) -> None:
    """The rest of a file that was replaced meanwhile is not joined to its beginning: the new one is read from the start."""
    server.put("configs/a.yaml", "old " * 1000)
    server.fail("objects.download", "cut after")
    server.fail("objects.download", lambda: server.put("configs/a.yaml", "new " * 1000), nth=2)
    assert read_text("gs://configs/a.yaml") == "new " * 1000
    server.fail("objects.download", "cut after", nth=1)
    assert read_text("gs://configs/a.yaml") == "new " * 1000


@pytest.mark.parametrize("versioned", [False, True])
def test_a_file_that_changes_while_the_folder_is_read_is_read_anew(server: Server, versioned: bool) -> None:
    """What is returned is one listing's generations: the changed file is new, and so is one that came with it."""
    server.versioned = versioned
    put_fleet(server)

    def change() -> None:
        server.put("configs/fleet/b.yml", monitor_yaml("b2"))
        server.put("configs/fleet/c.yaml", monitor_yaml("c"))

    server.fail("objects.download configs/fleet/b.yml", change)
    assert [config.monitor for config in load_configs("gs://configs/fleet")] == ["a", "b2", "c"]
    assert len(server.asked("objects.list")) == 2


@pytest.mark.parametrize("versioned", [False, True])
def test_a_file_that_is_deleted_while_the_folder_is_read_is_no_part_of_it(server: Server, versioned: bool) -> None:
    """A monitor that was taken out between the listing and its download is not missed."""
    server.versioned = versioned
    put_fleet(server)
    server.fail("objects.download configs/fleet/b.yml", lambda: server.delete("configs/fleet/b.yml"))
    assert [config.monitor for config in load_configs("gs://configs/fleet")] == ["a"]


@pytest.mark.parametrize("path", ["gs://configs/fleet", "gs://configs/fleet/a.yaml"])
def test_a_file_that_never_stands_still_is_an_error(server: Server, path: str) -> None:
    """The looking ends, and the message says why."""
    put_fleet(server)
    server.fail("objects.download", lambda: server.put("configs/fleet/a.yaml", "x"), times=100)
    with pytest.raises(InputError, match=rf"^{path}: changed during each of 5 tries to read it; .*Run again"):
        load_configs(path)


# --- writing to Cloud Storage ---


@pytest.mark.parametrize(
    ("name", "content_type"),
    [
        ("r.json", "application/json"),
        ("r.csv", "text/csv; charset=utf-8"),
        ("r.html", "text/html; charset=utf-8"),
        ("r.md", "text/markdown; charset=utf-8"),
        ("r", "text/plain; charset=utf-8"),
    ],
)
def test_a_report_is_stored_as_what_it_is(server: Server, name: str, content_type: str) -> None:
    """UTF-8, with the content type of its ending; it may be new, and it may be written again."""
    for text in ("größe\r\n", "", "größer\n"):
        write_text(f"gs://reports/a/{name}", text)
        assert (server.text(f"reports/a/{name}"), read_text(f"gs://reports/a/{name}")) == (text, text)
        assert server.blob(f"reports/a/{name}").content_type == content_type


def test_every_write_names_the_generation_it_replaces(server: Server) -> None:
    """Nothing (0) the first time, then the generation that was there."""
    write_text(REPORT, "one")
    first = server.blob("reports/r.json").generation
    write_text(REPORT, "two")
    assert server.asked("objects.insert") == [
        "objects.insert reports/r.json ifGenerationMatch=0",
        f"objects.insert reports/r.json ifGenerationMatch={first}",
    ]


@pytest.mark.parametrize("fault", LOST)
@pytest.mark.parametrize("before", [None, "old"])
def test_a_lost_answer_writes_once(server: Server, fault: str, before: str | None) -> None:
    """The second attempt finds its own text there, and that is success; the object has not been written twice."""
    if before:
        server.put("reports/r.json", before)
    server.fail("objects.insert", fault)
    write_text(REPORT, "new")
    assert [blob.data for blob in server.written] == [text.encode() for text in (before, "new") if text]
    assert len(server.asked("objects.insert")) == 2


@pytest.mark.parametrize("fault", REFUSED)
@pytest.mark.parametrize("request_", ["objects.get", "objects.insert"])
def test_a_refusal_that_passes_is_not_seen(server: Server, request_: str, fault: str) -> None:
    """The write is tried again and stored once."""
    server.put("reports/r.json", "old")
    server.fail(request_, fault, times=2)
    write_text(REPORT, "new")
    assert [blob.data for blob in server.written] == [b"old", b"new"]


@pytest.mark.parametrize("fault", [None, "drop after", "503 before"])
def test_a_long_report_keeps_the_same_promises(server: Server, fault: str | None) -> None:
    """Above 8 MB the client uploads in a session of its own; a fault of it still leaves one write and the whole text."""
    text = "0123456789abcde\n" * (9 << 16)
    assert len(text) > 8 << 20
    if fault:
        server.fail("uploads.send", fault)
    write_text("gs://reports/r.html", text)
    assert [len(blob.data) for blob in server.written] == [len(text)]
    assert server.text("reports/r.html") == text
    assert server.asked("uploads.start")[0] == "uploads.start reports/r.html ifGenerationMatch=0"


@pytest.mark.parametrize("before", [None, "old"])
def test_a_writer_in_between_is_seen_and_followed(server: Server, before: str | None) -> None:
    """Another's report that came between looking and writing is looked at, then replaced: that generation is named."""
    if before:
        server.put("reports/r.json", before)
    server.fail("objects.insert", lambda: server.put("reports/r.json", "theirs"))
    write_text(REPORT, "ours")
    assert [blob.data for blob in server.written][-2:] == [b"theirs", b"ours"]
    assert server.asked("objects.insert")[-1].endswith(f"ifGenerationMatch={server.written[-2].generation}")


def test_a_report_deleted_in_between_is_written_as_new(server: Server) -> None:
    """The old generation is gone; the write names none and succeeds."""
    server.put("reports/r.json", "old")
    server.fail("objects.insert", lambda: server.delete("reports/r.json"))
    write_text(REPORT, "new")
    assert server.text("reports/r.json") == "new"
    assert server.asked("objects.insert")[-1].endswith("ifGenerationMatch=0")


def test_of_two_writers_at_once_each_writes_once(server: Server) -> None:
    """Both looked before either wrote: one of them is told, looks again, and comes second. Both are stored, in some order."""
    both = threading.Barrier(2)
    server.fail("objects.insert", lambda: both.wait(10), times=2)
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda text: write_text(REPORT, text), ("a", "b")))
    assert sorted(blob.data for blob in server.written) == [b"a", b"b"]
    assert len(server.asked("objects.insert")) == 3


def test_a_retry_never_replaces_a_newer_report(server: Server) -> None:
    """Stored, answer lost, then replaced by another writer: theirs is the newer one and stays, and the user is told."""
    server.fail("objects.insert", "503 after")
    server.fail("objects.insert", lambda: server.put("reports/r.json", "newer"), nth=2)
    with pytest.raises(
        InputError, match=r"r\.json: another writer changed it after an answer .*scripted 503.*run again"
    ):
        write_text(REPORT, "ours")
    assert [blob.data for blob in server.written] == [b"ours", b"newer"]


def test_a_path_that_others_write_without_end_is_an_error(server: Server) -> None:
    """After a bounded number of tries theirs is kept, and the message says so."""
    server.fail("objects.insert", lambda: server.put("reports/r.json", f"theirs {len(server.written)}"), times=100)
    with pytest.raises(InputError, match=r"r\.json: not written: another writer .*each of 5 tries; theirs is kept"):
        write_text(REPORT, "ours")
    assert len(server.asked("objects.insert")) == 5
    assert server.text("reports/r.json") == "theirs 4"


# --- what the service, the network and the credentials refuse ---


def read_one() -> object:
    return read_text("gs://reports/a.yaml")


def read_folder() -> object:
    return list_texts("gs://reports/fleet")


def write_one() -> object:
    return write_text(REPORT, "new")


@pytest.mark.parametrize(
    ("call", "match", "fault", "message"),
    [
        (
            read_one,
            "objects.get",
            "403 before",
            r"a\.yaml: no access: scripted 403\. Grant roles/storage\.objectViewer on",
        ),
        (read_one, "objects.download", "403 before", r"a\.yaml: no access: .*roles/storage\.objectViewer"),
        (
            read_folder,
            "objects.list",
            "403 before",
            r"fleet: no access: scripted 403\. Grant roles/storage\.objectViewer on",
        ),
        (
            write_one,
            "objects.get",
            "403 before",
            r"r\.json: no access: scripted 403\. Grant roles/storage\.objectUser on",
        ),
        (write_one, "objects.insert", "403 before", r"r\.json: no access: .*roles/storage\.objectUser"),
        (
            read_one,
            "objects.get",
            "401 before",
            r"a\.yaml: no usable credentials: Anonymous credentials cannot be refreshed\. Run 'gcloud auth",
        ),
        (read_one, "objects.get", "503 before", r"a\.yaml: cannot be read for 60 s: scripted 503\. Check .* run again"),
        (read_one, "objects.get", "drop before", r"a\.yaml: cannot be read for 60 s: .*Connection aborted"),
        (read_folder, "objects.list", "429 before", r"fleet: cannot be read for 60 s: scripted 429"),
        (write_one, "objects.insert", "500 before", r"r\.json: cannot be written for 60 s: .*scripted 500"),
        (read_one, "objects.download", "corrupt after", r"a\.yaml: cannot be read: .*Checksum mismatch"),
    ],
)
def test_a_refusal_that_lasts_is_one_paragraph(  # noqa: PLR0917 - fixtures and parameters
    server: Server, clock: Clock, call: Callable[[], object], match: str, fault: Action, message: str
) -> None:
    """The path, what is wrong, and what to do, within the time that is given to it; nothing is stored."""
    server.put("reports/a.yaml", "a")
    server.put("reports/fleet/a.yaml", "a")
    server.fail(match, fault, times=1000)
    with pytest.raises(BqMonitorError, match=message) as caught:
        call()
    is_outage = "network" in str(caught.value)
    assert caught.value.exit_code == (4 if is_outage else 2)
    assert (caught.value.__cause__, caught.value.__suppress_context__) == (None, True)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 600
    assert clock.now <= 60
    assert len(server.written) == 2


@pytest.mark.parametrize(
    "call",
    [
        lambda: read_text("gs://reports/absent.yaml"),
        lambda: read_text("gs://no-such-bucket/a.yaml"),
        lambda: list_texts("gs://no-such-bucket/fleet"),
        lambda: write_text("gs://no-such-bucket/r.json", "new"),
    ],
)
def test_what_does_not_exist_is_not_found(server: Server, call: Callable[[], object]) -> None:
    """A missing object and a missing bucket, read and written."""
    with pytest.raises(InputError, match=r"^gs://[a-z-]+/[a-z.]+: not found: .*no such bucket\. Check the path\."):
        call()


def test_a_folder_without_monitors_is_an_input_error(server: Server) -> None:
    """Cloud Storage knows no folders, so an absent one is an empty one."""
    with pytest.raises(InputError, match=r"gs://reports/fleet: no monitor here"):
        load_configs("gs://reports/fleet")


def test_a_service_that_does_not_answer_is_given_up(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each request has a time limit of its own; the retries have theirs."""
    monkeypatch.setattr(storage, "_REQUEST_SECONDS", 0.05)
    released = threading.Event()
    server.fail("objects.get", lambda: released.wait(10), times=1000)
    with pytest.raises(WarehouseError, match=r"a\.yaml: cannot be read for 60 s: .*(?i:timed out)"):
        read_text("gs://reports/a.yaml")
    released.set()


def test_a_blob_that_is_not_text_is_named(server: Server) -> None:
    """Of a folder, the file that is not UTF-8."""
    put_fleet(server)
    server.put("configs/fleet/c.yaml", b"\xff\xfe\x00")
    with pytest.raises(InputError, match=r"^gs://configs/fleet/c\.yaml: cannot be read: .*utf-8.*byte 0xff"):
        load_configs("gs://configs/fleet")


def test_no_credentials_are_said_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clock: Clock) -> None:
    """Without a stand-in the client looks for credentials; nothing is asked of the network, and nothing is tried again."""
    monkeypatch.delenv("STORAGE_EMULATOR_HOST", raising=False)
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "none.json"))
    for call in (read_one, read_folder, write_one):
        with pytest.raises(
            InputError, match=r"gs://reports/.*: no usable credentials: .*none\.json was not found\. Run 'gcloud auth"
        ):
            call()
    assert clock.now == 0


def test_credentials_that_the_service_refuses_are_said(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """A token that stays refused after a refresh (401) is a matter of credentials, not of roles."""
    monkeypatch.setattr("google.auth.credentials.AnonymousCredentials.refresh", lambda *_: None)
    server.fail("objects.get", "401 before", times=1000)
    with pytest.raises(InputError, match=r"a\.yaml: no usable credentials: scripted 401\. Run 'gcloud auth"):
        read_text("gs://reports/a.yaml")


def test_an_address_that_is_none_is_an_input_error(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the client refuses before it asks the network is no traceback either."""
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", "localhost:4443")
    with pytest.raises(InputError, match=r"a\.yaml: cannot be read: No connection adapters"):
        read_text("gs://reports/a.yaml")


def test_text_that_utf8_cannot_say_is_not_stored(server: Server) -> None:
    """Nothing is written in its place."""
    with pytest.raises(InputError, match=r"r\.json: cannot be written: .*surrogates not allowed"):
        write_text(REPORT, "\ud800")
    assert server.written == []


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("gs:///a.yaml", "not a bucket; got ''"),
        ("gs://Configs/a.yaml", "not a bucket; got 'Configs'"),
        ("gs://c/a.yaml", "not a bucket; got 'c'"),
        ("gs://-configs/a.yaml", "not a bucket"),
        ("gs://con figs/a.yaml", "not a bucket"),
        ("gs://configs?x=1/a.yaml", "not a bucket"),
        ("gs://configs//a.yaml", "not an object; got '/a.yaml'"),
        ("gs://configs/../a.yaml", "not an object; got '../a.yaml'"),
        ("gs://configs/./a.yaml", "not an object"),
        ("gs://configs/a\n.yaml", "not an object"),
        ("gs://configs/" + "ö" * 511 + ".yaml", "not an object; got 'öö"),
    ],
)
def test_a_path_that_cannot_be_meant_is_refused(server: Server, path: str, message: str) -> None:
    """Read, listed or written: refused with what is allowed, and nothing is asked of the service."""
    for call in (read_text, list_texts, lambda path: write_text(path, "x")):
        with pytest.raises(InputError, match=rf"(?s)^gs://.*: {message}.*; allowed: .*Correct the path"):
            call(path)
    assert server.log == []


@pytest.mark.parametrize("path", ["gs://configs", "gs://configs/", "gs://configs/folder/"])
def test_a_folder_is_no_file(server: Server, path: str) -> None:
    """A name that is missing or ends in a slash can be listed, but neither read nor written."""
    for call in (read_text, lambda path: write_text(path, "x")):
        with pytest.raises(InputError, match="not an object"):
            call(path)
    assert server.log == []


# --- reports on disk ---


def test_a_local_file_is_replaced_whole(tmp_path: Path) -> None:
    """A new file, then the same again; the mode of an existing one is kept, a link stays a link, nothing is left beside it."""
    path, link = tmp_path / "r.json", tmp_path / "link.json"
    write_text(str(path), "größe\n")
    umask = os.umask(0)
    os.umask(umask)
    assert (path.read_bytes(), stat.S_IMODE(path.stat().st_mode)) == ("größe\n".encode(), 0o666 & ~umask)
    path.chmod(0o640)
    link.symlink_to(path)
    write_text(str(link), "two")
    assert (path.read_text(), stat.S_IMODE(path.stat().st_mode), link.is_symlink()) == ("two", 0o640, True)
    assert {item.name for item in tmp_path.iterdir()} == {"r.json", "link.json"}


@pytest.mark.parametrize("step", ["replace", "open"])
@pytest.mark.parametrize("before", ["old", None])
def test_a_crash_while_writing_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str, before: str | None
) -> None:
    """A full disk or a kill before the last step: the old report, or none, and no half of a new one."""
    path = tmp_path / "r.json"
    if before:
        path.write_text(before)

    def fail(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(*((os, "replace") if step == "replace" else (Path, "write_bytes")), fail)
        with pytest.raises(InputError, match=r"r\.json: cannot be written: No space left on device\. Check the folder"):
            write_text(str(path), "new")
    assert {item.name: item.read_text() for item in tmp_path.iterdir()} == ({"r.json": before} if before else {})


def test_a_pipe_is_written_to_and_stays(tmp_path: Path) -> None:
    """What is not a file (`/dev/stdout`, a pipe) is no place to put another file at."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with ThreadPoolExecutor(1) as pool:
        read = pool.submit(pipe.read_text)
        write_text(str(pipe), "report")
        assert read.result(10) == "report"
    assert pipe.is_fifo()


@pytest.mark.parametrize(
    ("name", "text", "why"),
    [("no/r.json", "x", "No such file"), ("", "x", "Is a directory"), ("r.json", "\ud800", "surrogates not allowed")],
)
def test_a_local_file_that_cannot_be_written_is_an_input_error(tmp_path: Path, name: str, text: str, why: str) -> None:
    """A missing folder, a folder, and text that UTF-8 cannot say."""
    with pytest.raises(InputError, match=rf"^{tmp_path}.*: cannot be written: .*{why}.* Check the folder"):
        write_text(str(tmp_path / name), text)
    assert list(tmp_path.iterdir()) == []


# --- the command line and the Cloud Function ---


@pytest.fixture
def samples(tmp_path: Path, rng: np.random.Generator) -> tuple[str, str]:
    """Two samples of which the second moved."""
    paths = str(tmp_path / "a.parquet"), str(tmp_path / "b.parquet")
    for path, mean in zip(paths, (0, 1), strict=True):
        pd.DataFrame({"amount": rng.normal(mean, 1, 1000)}).to_parquet(path)
    return paths


def test_compare_writes_its_reports_to_cloud_storage(server: Server, samples: tuple[str, str]) -> None:
    """`--output` and `--csv` take `gs://` paths; what is stored is what a local file would hold."""
    outputs = ["--output", "gs://reports/new/r.json", "--csv", "gs://reports/new/s.csv"]
    found = CliRunner().invoke(cli, ["compare", *samples, *outputs, "--json"], catch_exceptions=False)
    assert found.exit_code == 1
    assert json.loads(server.text("reports/new/r.json")) == json.loads(found.stdout)
    assert server.text("reports/new/s.csv").splitlines()[1].startswith("amount,")
    assert server.blob("reports/new/s.csv").content_type == "text/csv; charset=utf-8"


def test_compare_says_which_report_it_could_not_store(server: Server, samples: tuple[str, str]) -> None:
    """A bucket without access is a user's mistake, with exit code 2."""
    server.fail("objects.get reports/r.json", "403 before")
    found = CliRunner().invoke(cli, ["compare", *samples, "--output", REPORT])
    assert isinstance(found.exception, InputError)
    assert (found.exception.exit_code, str(found.exception).startswith(f"{REPORT}: no access")) == (2, True)


def post(**body: Any) -> tuple[int, Any]:
    client = functions_framework.create_app("monitor", str(ROOT / "functions" / "main.py")).test_client()
    answer = client.post("/", json=body)
    return answer.status_code, answer.get_json()


def test_the_function_reads_its_fleet_from_cloud_storage(
    server: Server, tmp_path: Path, rng: np.random.Generator, samples: tuple[str, str]
) -> None:
    """A fleet with defaults, one answer lost on the way: every monitor runs, drift is found, and each leaves its report there."""
    days = np.repeat(pd.date_range("2026-01-05", periods=7), 100)
    pd.DataFrame({"amount": rng.normal(1, 1, 700), "ts": days}).to_parquet(tmp_path / "log.parquet")
    defaults = {
        "warehouse": f"duckdb://{tmp_path}/monitor.duckdb",
        "source": {"table": f"{tmp_path}/log.parquet", "timestamp": "ts"},
        "window": {"length": "7d", "every": "7d", "start": "2026-01-05"},
        "features": ["amount"],
        "report": {"to": "gs://reports/models/"},
    }
    server.put("configs/fleet/defaults.yaml", yaml.safe_dump(defaults))
    for name in ("cards", "loans"):
        server.put(f"configs/fleet/{name}.yaml", yaml.safe_dump({"monitor": name}))
    for config in load_configs("gs://configs/fleet"):
        capture_reference(samples[0], config, version="1")
    server.fail("objects.list", "drop after", nth=1)
    status, body = post(config="gs://configs/fleet/", as_of="2026-01-12")
    assert status == 200, body
    assert {item["monitor"]: (item["windows"], item["drift"]) for item in body["monitors"]} == {
        "cards": (1, 1),
        "loans": (1, 1),
    }
    assert [item["report"] for item in body["monitors"]] == [
        "gs://reports/models/cards.html",
        "gs://reports/models/loans.html",
    ]
    assert server.blob("reports/models/loans.html").content_type == "text/html; charset=utf-8"
    assert "<title>" in server.text("reports/models/loans.html")


def test_the_function_answers_400_for_a_fleet_that_is_not_there(server: Server) -> None:
    """The reason is in the answer, and nothing runs."""
    status, body = post(config="gs://configs/fleet/")
    assert (status, body["error"].split(": ")[:2]) == (400, ["gs://configs/fleet/", "not found"])

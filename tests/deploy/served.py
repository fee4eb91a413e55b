"""The function's archive, unpacked and served by functions-framework, and the account that it runs as."""

from __future__ import annotations

import http.client
import json
import os
import socket
import subprocess
import sys
import threading
import time
import venv
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent.parent
START_SECONDS = 60.0


def build(to: Path, *options: str) -> Path:
    """The archive, made by the program that deployments use."""
    command = [sys.executable, str(ROOT / "functions" / "build.py"), "--to", str(to)]
    subprocess.run(
        [*command, *(word for name in options for word in ("--with", name))], check=True, capture_output=True
    )
    return to


def unpacked(archive: Path, folder: Path) -> Path:
    """A folder with the archive's files, and nothing else."""
    with zipfile.ZipFile(archive) as packed:
        packed.extractall(folder)
    return folder


def installed(app: Path, folder: Path) -> Path:
    """The python of a new environment that has what the unpacked archive requires, and nothing else."""
    venv.create(folder, with_pip=True)
    python = folder / "bin" / "python"
    flags = ("--quiet", "--disable-pip-version-check", "--requirement", str(app / "requirements.txt"))
    subprocess.run([python, "-m", "pip", "install", *flags], check=True)
    return python


# --- the account ---


@dataclass
class Account:
    """A service account's key, whose tokens come from loopback; `n_tokens` were fetched."""

    key_file: Path
    n_tokens: int = 0


class _Tokens(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        account: Account = self.server.account  # type: ignore[attr-defined]
        account.n_tokens += 1
        body = json.dumps({"access_token": "ya29.of-a-test", "expires_in": 3600, "token_type": "Bearer"}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - named by http.server
        pass


@contextmanager
def account(folder: Path, project: str) -> Iterator[Account]:
    """A key as Google's libraries read it, made here; its token endpoint answers while this is open."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Tokens)
    made = Account(folder / "key.json")
    server.account = made  # type: ignore[attr-defined]
    made.key_file.write_text(json.dumps({
        "type": "service_account", "project_id": project, "private_key_id": "1", "private_key": _private_key(),
        "client_email": f"runner@{project}.iam.gserviceaccount.com", "client_id": "1",
        "token_uri": f"http://127.0.0.1:{server.server_address[1]}/token",
    }))  # fmt: skip
    serving = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    serving.start()
    try:
        yield made
    finally:
        server.shutdown()
        serving.join()
        server.server_close()


def _private_key() -> str:
    from cryptography.hazmat.primitives.asymmetric import rsa
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


# --- the server ---


@dataclass
class Instance:
    """One instance of the function, in a process of its own."""

    process: subprocess.Popen[bytes]
    port: int
    log: Path
    answers: list[tuple[int, Any]] = field(default_factory=list)

    def tick(self, **body: str) -> tuple[int, Any]:
        """A call as Cloud Scheduler makes it."""
        connection = self.send(**body)
        try:
            answer = connection.getresponse()
            self.answers.append((answer.status, json.loads(answer.read())))
        finally:
            connection.close()
        return self.answers[-1]

    def send(self, **body: str) -> http.client.HTTPConnection:
        """The request of a tick, whose answer nobody has waited for yet."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=300)
        connection.request("POST", "/", json.dumps(body), scheduler_headers())
        return connection


def scheduler_headers() -> dict[str, str]:
    """What Cloud Scheduler sends; the token is checked before a request comes to the function."""
    moment = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {
        "Content-Type": "application/json", "User-Agent": "Google-Cloud-Scheduler", "Authorization": "Bearer eyJhbGciOi.of.nobody",
        "X-CloudScheduler": "true", "X-CloudScheduler-JobName": "bq-monitor-run", "X-CloudScheduler-ScheduleTime": moment,
    }  # fmt: skip


@contextmanager
def served(python: Path, app: Path, environment: Mapping[str, str], log: Path) -> Iterator[Instance]:
    """The function of an unpacked archive on a free port, until this is left; `log` is what it writes."""
    port = free_port()
    command = [python, "-m", "functions_framework", "--target", "monitor", "--source", "main.py", "--port", str(port)]
    with log.open("ab") as written:
        process = subprocess.Popen(
            [*command, "--host", "127.0.0.1"], cwd=app, env=dict(environment), stdout=written, stderr=written
        )
    try:
        await_port(process, port, log)
        yield Instance(process, port, log)
    finally:
        process.terminate()
        process.wait(30)


def free_port() -> int:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        return int(held.getsockname()[1])


def await_port(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    """Return when something listens; nothing tells of it, so it is looked for every few milliseconds."""
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until and process.poll() is None:
        with socket.socket() as tried:
            if tried.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.005)
    raise AssertionError(f"the function does not start:\n{log.read_text()}")


def environment(account: Account, **named: str) -> dict[str, str]:
    """What a process of the function has in its environment: nothing of ours but the names given; it can reach loopback alone."""
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "TMPDIR") if name in os.environ}
    nowhere = {"HTTPS_PROXY": "http://127.0.0.1:9", "NO_PROXY": "127.0.0.1"}
    return {**kept, **nowhere, "GOOGLE_APPLICATION_CREDENTIALS": str(account.key_file), **named}

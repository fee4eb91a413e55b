"""Texts (configurations, reports) on disk or in `gs://`: read whole, written whole, whoever else writes meanwhile.

In Cloud Storage every read and write names the generation that it means (`if_generation_match`), so repeating one is safe.
"""

from __future__ import annotations

import base64
import hashlib
import re
import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath
from typing import Any

from bq_monitor.errors import BqMonitorError, InputError, WarehouseError

GS = "gs://"
_YAML = (".yaml", ".yml")
_CONTENT_TYPES = {
    ".json": "application/json", ".csv": "text/csv; charset=utf-8", ".html": "text/html; charset=utf-8",
    ".md": "text/markdown; charset=utf-8",
}  # fmt: skip
_PLAIN = "text/plain; charset=utf-8"
_BUCKET = re.compile(r"[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]")
_MAX_NAME_BYTES = 1024
_MAX_TRIES = 5
_REQUEST_SECONDS = 30.0
_RETRY_SECONDS = 60.0
_MAX_SAID = 300


def read_text(path: str) -> str:
    """One file as text; raises `InputError` when it is missing, a folder, unreadable, or not UTF-8."""
    if path.startswith(GS):
        name = _object_name(path)
        return _read_blobs(path, lambda bucket: [_existing(path, bucket, name)])[path]
    try:
        return Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise _unreadable(path, error) from None


def list_texts(folder: str) -> dict[str, str]:
    """The YAML files directly in a folder, as `{path: text}`; raises `InputError` when one of them cannot be read."""
    if folder.startswith(GS):
        return _read_blobs(folder, _lister(folder))
    if not Path(folder).is_dir():
        raise InputError(
            f"{folder}: not a configuration; allowed: a .yaml file, a folder of them, or a gs:// path. Check the path."
        )
    return {str(path): read_text(str(path)) for path in sorted(Path(folder).iterdir()) if path.suffix in _YAML}


def write_text(path: str, text: str) -> None:
    """Write a file whole or not at all, over the one that is there; raises `InputError` when that is not possible.

    In `gs://` nothing is overwritten unseen: when another writer comes in between, the last one to look wins; when an answer
    was lost and what is stored then is not this text, it is kept and the error says so.
    """
    if path.startswith(GS):
        _upload(path, text)
    else:
        _replace(path, text)


def make_folder(path: str) -> None:
    """Make a local folder that is not there; `gs://` has none to make. Raises `InputError` when it cannot be made."""
    if path.startswith(GS):
        return
    try:
        Path(path).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{path}: cannot be made: {_why(error)}. Check the path and its permissions.") from None


# --- on disk ---


def _replace(path: str, text: str) -> None:
    target = Path(path)
    try:
        if target.exists() and not target.is_file():  # a device or a pipe is written to, never replaced
            target.write_text(text, encoding="utf-8")
        else:
            _replace_file(target.resolve(), text.encode())
    except (OSError, UnicodeEncodeError) as error:
        raise InputError(f"{path}: cannot be written: {_why(error)}. Check the folder and its permissions.") from None


def _replace_file(target: Path, data: bytes) -> None:
    """Write beside the target, then rename over it; a link is followed, an existing file's mode is kept."""
    fresh = target.with_name(f".bq-monitor-{secrets.token_hex(8)}.tmp")
    try:
        fresh.write_bytes(data)
        if target.exists():
            shutil.copymode(target, fresh)
        fresh.replace(target)
    finally:
        fresh.unlink(missing_ok=True)


# --- in Cloud Storage ---


@contextmanager
def _opened(path: str, verb: str) -> Iterator[Any]:
    """The bucket of a path; what the service or the credentials refuse becomes an `InputError`, an outage a `WarehouseError`."""
    from google.api_core.exceptions import GoogleAPIError
    from google.auth.exceptions import GoogleAuthError
    from google.cloud import storage  # type: ignore[attr-defined]
    from google.cloud.storage.exceptions import DataCorruption

    try:
        yield storage.Client().bucket(path.removeprefix(GS).partition("/")[0])
    except (GoogleAPIError, GoogleAuthError, DataCorruption, OSError, UnicodeError) as error:
        raise _refused(path, verb, error) from None


def _read_blobs(path: str, look: Callable[[Any], list[Any]]) -> dict[str, str]:
    """The texts of the blobs that `look(bucket)` finds, each at the generation found; looks again when one has changed."""
    from google.api_core.exceptions import NotFound, PreconditionFailed

    with _opened(path, "read") as bucket:
        for _ in range(_MAX_TRIES):
            blobs = look(bucket)
            with suppress(NotFound, PreconditionFailed):
                return {f"{GS}{bucket.name}/{blob.name}": _downloaded(bucket, blob) for blob in blobs}
    raise InputError(
        f"{path}: changed during each of {_MAX_TRIES} tries to read it; needed: files that stand still. "
        "Run again when the upload is done."
    )


def _downloaded(bucket: Any, found: Any) -> str:
    """The text of a blob that was found, while it is current: a new handle, for the found one reads old generations too."""
    data = bucket.blob(found.name).download_as_bytes(if_generation_match=found.generation, **_patience())
    try:
        return str(data, "utf-8")
    except UnicodeDecodeError as error:
        raise _unreadable(f"{GS}{bucket.name}/{found.name}", error) from None


def _existing(path: str, bucket: Any, name: str) -> Any:
    blob = bucket.get_blob(name, **_patience())
    if blob is None:
        raise _not_found(path)
    return blob


def _lister(folder: str) -> Callable[[Any], list[Any]]:
    name = _object_name(folder.removesuffix("/"), may_be_bucket=True)
    prefix = f"{name}/" if name else ""

    def listed(bucket: Any) -> list[Any]:
        blobs = bucket.list_blobs(prefix=prefix, delimiter="/", **_patience())
        return [blob for blob in blobs if PurePosixPath(blob.name).suffix in _YAML]

    return listed


def _upload(path: str, text: str) -> None:
    name = _object_name(path)
    with _opened(path, "written") as bucket:
        data = text.encode()
        for _ in range(_MAX_TRIES):
            if _stored(path, bucket, name, data):
                return
    raise InputError(
        f"{path}: not written: another writer replaced it during each of {_MAX_TRIES} tries; theirs is kept. "
        "Give each writer its own path, or run again."
    )


def _stored(path: str, bucket: Any, name: str, data: bytes) -> bool:
    """Write over the generation that is there now; False when another writer came first."""
    from google.api_core.exceptions import PreconditionFailed

    lost: list[Exception] = []
    patience = _patience()
    seen = bucket.get_blob(name, **patience)

    def send() -> None:
        bucket.blob(name).upload_from_string(
            data,
            content_type=_CONTENT_TYPES.get(PurePosixPath(name).suffix, _PLAIN),
            if_generation_match=seen.generation if seen else 0,
            timeout=_REQUEST_SECONDS,
            retry=None,
        )

    try:
        patience["retry"](send, on_error=lost.append)()
    except PreconditionFailed:
        there = bucket.get_blob(name, **patience)
        if there is not None and there.md5_hash == _md5(data):
            return True
        if lost:
            raise InputError(
                f"{path}: another writer changed it after an answer to this one was lost ({_why(lost[-1])}); "
                "what is there now is kept. Look at it, then run again."
            ) from None
        return False
    return True


def _patience() -> dict[str, Any]:
    """How long one request may take, and how long it is tried again; right only where repeating it is safe."""
    from google.cloud.storage.retry import DEFAULT_RETRY

    return {"timeout": _REQUEST_SECONDS, "retry": DEFAULT_RETRY.with_timeout(_RETRY_SECONDS)}


def _md5(data: bytes) -> str:
    return base64.b64encode(hashlib.md5(data, usedforsecurity=False).digest()).decode()


def _object_name(path: str, *, may_be_bucket: bool = False) -> str:
    """The object of a `gs://` path; raises `InputError` for what cannot be one, and for `..`, which would not be followed."""
    bucket, _, name = path.removeprefix(GS).partition("/")
    if not _BUCKET.fullmatch(bucket):
        raise InputError(
            f"{path}: not a bucket; got {bucket!r}; allowed: 3 to 222 lower-case letters, digits, '-', '_' and '.', as in "
            "gs://BUCKET/folder/file. Correct the path."
        )
    parts = name.split("/") if name or not may_be_bucket else []
    if {"", ".", ".."} & set(parts) or {"\r", "\n"} & set(name) or len(name.encode(errors="replace")) > _MAX_NAME_BYTES:
        raise InputError(
            f"{path}: not an object; got {name!r}; allowed: at most {_MAX_NAME_BYTES} bytes in one line, without an empty "
            "part, '.' or '..', as in gs://BUCKET/folder/file. Correct the path."
        )
    return name


# --- errors ---


def _refused(path: str, verb: str, error: Exception) -> BqMonitorError:
    """What to tell the user who asked for a `gs://` path; an outage is not the user's. `verb` is `read` or `written`."""
    from google.auth.exceptions import GoogleAuthError

    cause = getattr(error, "cause", None) or error  # what stood behind the last of all tries
    status = getattr(cause, "code", None)
    if isinstance(cause, GoogleAuthError) or status == 401:
        return InputError(
            f"{path}: no usable credentials: {_why(cause)}. Run 'gcloud auth application-default login', or set "
            "GOOGLE_APPLICATION_CREDENTIALS to the file of a service account."
        )
    if status == 403:
        role = "roles/storage.objectUser" if verb == "written" else "roles/storage.objectViewer"
        return InputError(f"{path}: no access: {_why(cause)}. Grant {role} on the bucket to who runs this.")
    if status == 404:
        return _not_found(path)
    if isinstance(cause, ValueError):
        return InputError(f"{path}: cannot be {verb}: {_why(cause)}. Correct the path, or what is written.")
    tried = f" for {_RETRY_SECONDS:.0f} s" if cause is not error else ""
    return WarehouseError(
        f"{path}: cannot be {verb}{tried}: {_why(cause)}. Check the path and the network, then run again."
    )


def _not_found(path: str) -> InputError:
    return InputError(f"{path}: not found: the bucket has no such object, or there is no such bucket. Check the path.")


def _unreadable(path: str, error: Exception) -> InputError:
    return InputError(f"{path}: cannot be read: {_why(error)}. Check the path, and that this user may read it.")


def _why(error: BaseException) -> str:
    """The reason in one line: the service's own words where it gave some."""
    details = (getattr(error, "errors", None) or [{}])[0]
    said = str(details.get("message") or getattr(error, "strerror", None) or error)
    return " ".join(said.split())[:_MAX_SAID].rstrip(".") or type(error).__name__

"""Texts (configurations) from disk or `gs://`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bq_monitor.errors import InputError

GS = "gs://"


def read_text(path: str) -> str:
    """One file as text; raises `InputError` when it is missing, a folder, unreadable, or not UTF-8."""
    if path.startswith(GS):
        return _blobs_text(path, lambda client, bucket, name: {name: client.bucket(bucket).blob(name)})[path]
    try:
        return Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise _unreadable(path, error) from None


def list_texts(folder: str) -> dict[str, str]:
    """The YAML files directly in a folder, as `{path: text}`."""
    if folder.startswith(GS):
        prefix = folder.removesuffix("/") + "/"
        return _blobs_text(
            prefix,
            lambda client, bucket, name: {
                blob.name: blob
                for blob in client.list_blobs(bucket, prefix=name, delimiter="/")
                if blob.name.endswith((".yaml", ".yml"))
            },
        )
    if not Path(folder).is_dir():
        raise InputError(
            f"{folder}: not a configuration; allowed: a .yaml file, a folder of them, or a gs:// path. Check the path."
        )
    return {
        str(path): read_text(str(path)) for path in sorted(Path(folder).iterdir()) if path.suffix in (".yaml", ".yml")
    }


def _blobs_text(path: str, choose: Any) -> dict[str, str]:
    """The texts of the blobs that `choose(client, bucket, name)` picks, by full path."""
    from google.api_core.exceptions import GoogleAPIError
    from google.auth.exceptions import GoogleAuthError
    from google.cloud import storage  # type: ignore[attr-defined]

    bucket, _, name = path.removeprefix(GS).partition("/")
    try:
        client = storage.Client()
        return {
            f"{GS}{bucket}/{key}": blob.download_as_text(encoding="utf-8")
            for key, blob in choose(client, bucket, name).items()
        }
    except (GoogleAPIError, GoogleAuthError, OSError, ValueError) as error:
        raise _unreadable(path, error) from None


def _unreadable(path: str, error: Exception) -> InputError:
    why = getattr(error, "strerror", None) or " ".join(str(error).split()) or type(error).__name__
    return InputError(f"{path}: cannot be read: {why}. Check the path, and that this user may read it.")

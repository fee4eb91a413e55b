"""The command line: parse, call, print, exit code. Nothing is decided here."""

from bq_monitor.cli.main import cli, main

__all__ = ["cli", "main"]

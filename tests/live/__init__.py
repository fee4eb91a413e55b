"""Tests on the real BigQuery service: opt-in, for whoever has a project. `pytest -m live`; see conftest.py."""

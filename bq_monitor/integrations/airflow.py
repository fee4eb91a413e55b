"""Operators for Apache Airflow 3: capture a reference, run what is due. What they need is imported when they run, not when a DAG is parsed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from airflow.sdk import BaseOperator

from bq_monitor.errors import BqMonitorError, said
from bq_monitor.integrations.failure import SECONDS, FailOn, check_fail_on

try:
    from airflow.sdk.exceptions import AirflowException, AirflowFailException
except ImportError:  # where it was before the SDK had it
    from airflow.exceptions import AirflowException, AirflowFailException


class BqMonitorOperator(BaseOperator):  # type: ignore[misc]  # airflow is not there when types are checked
    """Run every window that is due of a monitor or a fleet; its XCom is the summary that `run_task` returns.

    Args:
        config, monitor, as_of, fail_on, seconds: as of `run_task`; the first three are templates. `as_of="{{ dag_run.run_after }}"` makes a
            DAG run judge what was due when it was, also when it is run again later; without it, what is due now is judged.

    Raises:
        AirflowException: a monitor failed; the message says which and why. Airflow's retries apply: what was done is not done again.
        AirflowFailException: what `fail_on` names was found, or the configuration is not valid: no retry would change it.
    """

    template_fields: Sequence[str] = ("config", "monitor", "as_of")

    def __init__(
        self,
        *,
        config: str | None = None,
        monitor: str | None = None,
        as_of: str | None = None,
        fail_on: FailOn = "never",
        seconds: float = SECONDS,
        **kwargs: Any,
    ) -> None:
        check_fail_on(fail_on)
        super().__init__(**kwargs)
        self.config, self.monitor, self.as_of = config, monitor, as_of
        self.fail_on, self.seconds = fail_on, seconds

    def execute(self, context: Any) -> dict[str, Any]:
        """Run, and return the summary."""
        from bq_monitor.integrations.task import run_task

        try:
            return run_task(self.config, self.monitor, self.as_of, fail_on=self.fail_on, seconds=self.seconds)
        except BqMonitorError as error:
            raise _failure(error) from error


class CaptureReferenceOperator(BaseOperator):  # type: ignore[misc]
    """Capture the reference of a model version after its training; its XCom is the reference as plain values.

    Args:
        config: the file of one monitor. data: Parquet or CSV (a path or glob), or a table. version: of the model, as the log names it.
            All are templates. Captured again, the same data give the stored reference.

    Raises:
        AirflowException: the warehouse failed. AirflowFailException: the data or the configuration do not fit.
    """

    template_fields: Sequence[str] = ("config", "data", "version")

    def __init__(self, *, config: str, data: str, version: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.config, self.data, self.version = config, data, version

    def execute(self, context: Any) -> dict[str, Any]:
        """Capture, and return the reference."""
        from bq_monitor import capture_reference, load_config

        try:
            return capture_reference(self.data, load_config(self.config), version=self.version).to_dict()
        except BqMonitorError as error:
            raise _failure(error) from error


def _failure(error: BqMonitorError) -> Exception:
    """As Airflow knows it: with or without retries."""
    kind = AirflowException if error.exit_code == 4 else AirflowFailException
    failure: Exception = kind(said(error))
    return failure

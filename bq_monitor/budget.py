"""What a run may read: the bytes of its statements, estimated before anything runs, against the caps of its budget.

The caps hold whatever the project's pricing: `maximum_bytes_billed`, which is set too, may do nothing under capacity pricing.
"""

from __future__ import annotations

from dataclasses import dataclass

from bq_monitor.config import MonitorConfig
from bq_monitor.errors import BudgetError
from bq_monitor.sections import Budget

MB = 1 << 20
TIB = 1 << 40
MIN_BILLED_BYTES = 10 * MB
"""The service bills each query for at least this much, and whole MB."""


def billed(size: int) -> int:
    """Bytes that a statement bills which processes `size` bytes on demand; one that reads nothing is free.

    >>> billed(1) == billed(10 * MB) == 10 * MB
    True
    """
    return max(MIN_BILLED_BYTES, -(-size // MB) * MB) if size else 0


def price(bytes_billed: int | None, budget: Budget) -> float | None:
    """The price of bytes billed, in the currency of `budget.price_per_tib`; None where bytes are not counted."""
    return None if bytes_billed is None else bytes_billed / TIB * budget.price_per_tib


@dataclass
class Allowance:
    """What one run of a monitor may still read. `month_billed`: what its runs of this month have billed before."""

    config: MonitorConfig
    month_billed: int = 0

    def check(self, size: int | None, spent: int) -> None:
        """Refuse statements that would read `size` bytes more than the `spent` ones of this run; None is not counted.

        Raises:
            BudgetError: a cap of the budget would be passed; it says which, and what to change.
        """
        budget, place = self.config.budget, f"monitor {self.config.monitor!r}"
        run_cap, month_cap = budget.max_bytes_per_run, budget.max_bytes_per_month
        if size is None:
            return
        if run_cap is not None and size + spent > run_cap:
            raise BudgetError(
                f"{place}: the scan would read {size:,} bytes ({spent:,} used so far); budget.max_bytes_per_run allows {run_cap:,}; "
                f"nothing was scanned. {_REMEDY}"
            )
        if month_cap is not None and size + spent + self.month_billed > month_cap:
            raise BudgetError(
                f"{place}: the scan would read {size:,} bytes; this month's runs have billed {self.month_billed + spent:,} and "
                f"budget.max_bytes_per_month allows {month_cap:,}; nothing was scanned. {_REMEDY}"
            )

    def allows(self, size: int | None, spent: int) -> bool:
        """Whether `check` would pass."""
        try:
            self.check(size, spent)
        except BudgetError:
            return False
        return True


_REMEDY = "Raise the budget, monitor fewer features, or partition the log by its time column ('bq-monitor validate' says whether it is)."

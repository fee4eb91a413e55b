"""`python -m bq_monitor.cli` is `bq-monitor`."""

from bq_monitor.cli import main

main()

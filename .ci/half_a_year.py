"""The first half year of the demo, in the folder `demo`: enough to see that an installed wheel has all that it needs."""

from pathlib import Path

from bq_monitor.demo import DemoRow, run_demo


def stop_after_six(_: DemoRow, done: int, total: int) -> None:
    if done == 6 < total:
        raise SystemExit(0)


run_demo(Path("demo"), stop_after_six)

"""The plan: which windows are due, which granules to count, and what late rows change. Nothing here touches a warehouse."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

from bq_monitor.config import MonitorConfig, parse_config
from bq_monitor.plan import GranuleRows, Plan, Planner, Progress, Stored, StoredGranule
from bq_monitor.reference import Reference
from bq_monitor.timegrid import Partition, Window


def day(text: str) -> datetime:
    return datetime.fromisoformat(f"2026-{text}").replace(tzinfo=UTC)


def reference(version: str = "1", name: str = "ref1") -> Reference:
    return Reference("loans", version, name, "salt", day("01-01"), (), {})


def config(
    source: dict[str, Any] | None = None, detection: dict[str, Any] | None = None, **window: Any
) -> MonitorConfig:
    return parse_config(
        {
            "monitor": "loans", "warehouse": "duckdb://", "source": {"table": "log.parquet", "timestamp": "ts", **(source or {})},
            "detection": detection or {}, "window": {"length": "7d", "every": "1d", **window},
        }
    )  # fmt: skip


def daily(start: str, days: int, n: int = 10, version: str = "") -> dict[tuple[datetime, str], int]:
    return {(day(start) + timedelta(days=i), version): n for i in range(days)}


@dataclass
class Monitor:
    """A monitor whose log and stored rows are dictionaries; `run` does what the job does around the planner."""

    config: MonitorConfig
    log: dict[tuple[datetime, str], int] = field(default_factory=dict)
    references: list[Reference] = field(default_factory=lambda: [reference()])
    stored: dict[tuple[str, datetime], StoredGranule] = field(default_factory=dict)
    keys: dict[tuple[Window, str], str] = field(default_factory=dict)
    judged_by: dict[tuple[Window, str], tuple[str, ...]] = field(default_factory=dict)
    watermark: datetime | None = None
    covered: dict[str, tuple[datetime, datetime]] = field(default_factory=dict)
    first_start: datetime | None = None
    looked_from: datetime | None = None
    partitions: list[Partition] | None = None

    def plan(self, as_of: datetime, max_windows: int | None = None, backfill: Window | None = None) -> Plan:
        planner = Planner(self.config, self.references, as_of, backfill)
        progress = Progress(self.watermark, *self.covered.get(planner.coverage_key, (None, None)), self.first_start)
        earliest = min((granule for granule, _ in self.log), default=None) if self.watermark is None else None
        windows, left = planner.take(planner.candidates(progress, earliest), progress, max_windows)
        self.looked_from = planner.look_from(progress, windows, self.partitions)
        seen: GranuleRows = {
            key: n for key, n in self.log.items() if self.looked_from and self.looked_from <= key[0] < windows[-1].end
        }
        stored = Stored(self.stored, frozenset(self.keys.values()), self.judged_by)
        return planner.plan(windows, seen, self.looked_from, stored, progress, n_windows_left=left)

    def run(self, as_of: datetime, max_windows: int | None = None, backfill: Window | None = None) -> Plan:
        plan = self.plan(as_of, max_windows, backfill)
        for count in plan.counts:
            version = count.reference.model_version if self.config.source.model_version else ""
            for (granule, v), n in self.log.items():
                if v == version and count.start <= granule < count.end:
                    self.stored[count.reference.reference_id, granule] = StoredGranule(n, as_of)
        for gone in plan.emptied:
            self.stored[gone.reference.reference_id, gone.granule] = StoredGranule(0, as_of)
        self.keys |= {(j.window, j.model_version): j.verdict_key for j in plan.judgements}
        self.judged_by |= {(j.window, j.model_version): (str(as_of),) for j in plan.judgements}
        if self.keys:
            self.first_start = min(window.start for window, _ in self.keys)
        if (plan.judgements or plan.moves_watermark) and not plan.is_backfill:
            self.watermark = plan.watermark
            assert plan.granules_to is not None
            self.covered[plan.coverage_key] = (plan.granules_to, as_of)
        return plan


def ends(plan: Plan) -> list[str]:
    return [window.end.strftime("%m-%d") for window in plan.windows]


def counted(plan: Plan) -> list[tuple[str, str, int, int]]:
    return [(c.start.strftime("%m-%d"), c.end.strftime("%m-%d"), c.n_granules, c.n_rows) for c in plan.counts]


def test_the_first_run_begins_with_the_first_whole_window() -> None:
    """Without a start, the log's earliest day begins the first window; no window is made before it."""
    plan = Monitor(config(), daily("01-01", 9)).run(day("01-10"))
    assert ends(plan) == ["01-08", "01-09", "01-10"]
    assert counted(plan) == [("01-01", "01-10", 9, 90)]
    assert plan.watermark == plan.granules_to == day("01-10")


def test_a_start_cuts_off_what_was_logged_before() -> None:
    """`window.start` excludes windows that begin before it, though the log is older."""
    plan = Monitor(config(start="2026-01-03"), daily("01-01", 12)).run(day("01-11"))
    assert ends(plan) == ["01-10", "01-11"]
    assert counted(plan) == [("01-03", "01-11", 8, 80)]


def test_a_rerun_has_nothing_to_do() -> None:
    """At the same moment, and later on the same day, nothing is counted and nothing judged."""
    monitor = Monitor(config(restate="3d"), daily("01-01", 9))
    monitor.run(day("01-10"))
    for moment in (day("01-10"), day("01-10") + timedelta(hours=23)):
        plan = monitor.plan(moment)
        assert (plan.counts, plan.judgements) == ((), ())


def test_each_day_is_counted_once_though_seven_windows_hold_it() -> None:
    """Daily windows of seven days: every tick counts one new day, and looks at no older one."""
    monitor = Monitor(config(restate="0d"), daily("01-01", 20))
    monitor.run(day("01-10"))
    for d in range(11, 15):
        plan = monitor.run(day(f"01-{d}"))
        assert ends(plan) == [f"01-{d}"]
        assert counted(plan) == [(f"01-{d - 1}", f"01-{d}", 1, 10)]
        assert monitor.looked_from == day(f"01-{d - 1}")


def test_missed_ticks_are_caught_up() -> None:
    """A run after five days of silence judges the five windows, with the keys that daily runs give."""
    ticking, late = (Monitor(config(), daily("01-01", 20)) for _ in range(2))
    for monitor in (ticking, late):
        monitor.run(day("01-10"))
    for d in range(11, 16):
        ticking.run(day(f"01-{d}"))
    plan = late.run(day("01-15"))
    assert ends(plan) == ["01-11", "01-12", "01-13", "01-14", "01-15"]
    assert counted(plan) == [("01-10", "01-15", 5, 50)]
    assert late.keys == ticking.keys


def test_late_rows_restate_the_windows_that_hold_them() -> None:
    """Rows that came late to a day within `restate` are counted again, and every window over that day is judged again."""
    monitor = Monitor(config(restate="3d"), daily("01-01", 20))
    monitor.run(day("01-12"))
    before = dict(monitor.keys)
    monitor.log[day("01-10"), ""] = 14
    plan = monitor.run(day("01-13"))
    assert ends(plan) == ["01-11", "01-12", "01-13"]
    assert counted(plan) == [("01-10", "01-11", 1, 14), ("01-12", "01-13", 1, 10)]
    changed = {window.end for (window, _), key in monitor.keys.items() if before.get((window, "1"), key) != key}  # type: ignore[misc, has-type, attr-defined]
    assert changed == {day("01-11"), day("01-12")}
    assert monitor.plan(day("01-13")).judgements == ()


def test_rows_later_than_restate_are_left_alone() -> None:
    """A day older than `restate` is not looked at again."""
    monitor = Monitor(config(restate="1d"), daily("01-01", 20))
    monitor.run(day("01-12"))
    monitor.log[day("01-10"), ""] = 14
    plan = monitor.run(day("01-13"))
    assert monitor.looked_from == day("01-11")
    assert ends(plan) == ["01-13"]
    assert counted(plan) == [("01-12", "01-13", 1, 10)]


def test_restating_makes_no_window_before_the_first() -> None:
    """`restate` longer than a window's step never reaches back to windows that begin before the log."""
    monitor = Monitor(config(restate="5d"), daily("01-01", 20))
    assert ends(monitor.run(day("01-08"))) == ["01-08"]
    assert ends(monitor.run(day("01-09"))) == ["01-09"]


def test_a_delay_keeps_young_windows_back() -> None:
    """A window is due only when `delay` has passed since its end."""
    monitor = Monitor(config(delay="2h"), daily("01-01", 20))
    assert ends(monitor.run(day("01-08") + timedelta(minutes=119))) == []
    assert ends(monitor.run(day("01-08") + timedelta(hours=2))) == ["01-08"]


def test_an_empty_log_without_a_start_is_nothing_to_do() -> None:
    """Nothing is known of when the monitor began, so no window is due."""
    plan = Monitor(config()).run(day("01-10"))
    assert (plan.counts, plan.judgements, plan.watermark) == ((), (), None)


def test_an_empty_log_with_a_start_is_judged() -> None:
    """Windows that should have rows are judged, so that the silence is a row; nothing is counted."""
    plan = Monitor(config(start="2026-01-01")).run(day("01-09"))
    assert ends(plan) == ["01-08", "01-09"]
    assert plan.counts == ()
    assert {judgement.model_version for judgement in plan.judgements} == {"1"}


def test_a_gap_in_the_log_is_judged_and_counted_in_one_stretch() -> None:
    """Days without rows end no stretch, and a window within the gap is judged as well."""
    log = {**daily("01-01", 3), **daily("01-12", 2)}
    plan = Monitor(config(length="3d"), log).run(day("01-14"))
    assert ends(plan) == [f"01-{d:02}" for d in range(4, 15)]
    assert counted(plan) == [("01-01", "01-14", 5, 50)]


def test_counted_days_between_two_stretches_are_not_counted_again() -> None:
    """Days whose counts stand split the stretch."""
    monitor = Monitor(config(restate="9d"), daily("01-01", 20))
    monitor.run(day("01-10"))
    monitor.log |= {(day("01-03"), ""): 11, (day("01-04"), ""): 12, (day("01-07"), ""): 13}
    assert counted(monitor.plan(day("01-11"))) == [
        ("01-03", "01-05", 2, 23), ("01-07", "01-08", 1, 13), ("01-10", "01-11", 1, 10),
    ]  # fmt: skip


def test_a_partly_counted_day_is_counted_again() -> None:
    """A day of which only some features were stored is stale, though its row count is the log's."""
    monitor = Monitor(config(), daily("01-01", 20))
    monitor.stored = {
        ("ref1", granule): StoredGranule(n, day("01-08")) for (granule, _), n in daily("01-01", 7).items()
    }
    monitor.stored["ref1", day("01-05")] = StoredGranule(10, None, whole=False)
    assert counted(monitor.plan(day("01-08"))) == [("01-05", "01-06", 1, 10)]


VERSIONED = {"model_version": "v"}


def test_two_versions_in_one_log_are_judged_apart() -> None:
    """Each version is counted against its own reference, the newest one captured for it."""
    log = {**daily("01-01", 7, 10, "1"), **daily("01-05", 3, 4, "2")}
    references = [reference("2", "ref2b"), reference("1", "ref1"), reference("2", "ref2a")]
    plan = Monitor(config(VERSIONED), log, references).run(day("01-08"))
    assert [(j.model_version, j.reference.reference_id) for j in plan.judgements if j.reference] == [
        ("1", "ref1"), ("2", "ref2b"),
    ]  # fmt: skip
    assert [(c.reference.reference_id, c.n_granules, c.n_rows) for c in plan.counts] == [
        ("ref2b", 3, 12),
        ("ref1", 7, 70),
    ]


def test_a_version_without_a_reference_is_said_not_skipped() -> None:
    """Its rows are judged `not_evaluated` with the reason, and are not counted."""
    log = {**daily("01-01", 7, 10, "1"), **daily("01-07", 1, 4, "9")}
    plan = Monitor(config(VERSIONED), log).run(day("01-08"))
    known, unknown = plan.judgements
    assert (known.model_version, known.reason) == ("1", None)
    assert (unknown.model_version, unknown.reference, unknown.reason) == ("9", None, "no reference for version '9'")
    assert [c.reference.reference_id for c in plan.counts] == ["ref1"]


def test_a_log_without_versions_is_judged_against_the_newest_reference() -> None:
    """Where the log names no versions, the newest reference is in force for all rows."""
    plan = Monitor(config(), daily("01-01", 7), [reference("3", "new"), reference("2", "old")]).run(day("01-08"))
    assert [(j.model_version, j.reference.reference_id) for j in plan.judgements if j.reference] == [("3", "new")]
    assert [c.reference.reference_id for c in plan.counts] == ["new"]


def test_a_new_reference_counts_only_what_comes_into_new_windows() -> None:
    """After a new reference the days of the windows still due are counted against it; judged windows stand."""
    monitor = Monitor(config(restate="0d"), daily("01-01", 20))
    monitor.run(day("01-10"))
    monitor.references.insert(0, reference("2", "new"))
    plan = monitor.run(day("01-11"))
    assert ends(plan) == ["01-11"]
    assert [(c.reference.reference_id, *row) for c, row in zip(plan.counts, counted(plan), strict=True)] == [
        ("new", "01-04", "01-11", 7, 70)
    ]


def key_of(monitor: Monitor) -> str:
    (judgement,) = monitor.plan(day("01-08")).judgements
    return judgement.verdict_key


def test_the_key_of_a_verdict_names_everything_it_depends_on() -> None:
    """A threshold, the rows, the filter and the reference change it; where the deadline stands does not."""
    log = daily("01-01", 7)
    base = key_of(Monitor(config(), log))
    assert key_of(Monitor(config(), dict(log))) == base
    others = [
        Monitor(config(detection={"threshold": 0.2}), log),
        Monitor(config({"filter": "a > 1"}), log),
        Monitor(config(), {**log, (day("01-03"), ""): 11}),
        Monitor(config(), log, [reference("1", "other")]),
    ]
    assert len({base, *(key_of(other) for other in others)}) == 5


def test_months_and_weeks_are_cut_on_the_calendar_of_the_zone() -> None:
    """A month of local days: March 2026 in Berlin begins at 23:00 UTC and is an hour short."""
    berlin = config(length="1mo", every="1mo", timezone="Europe/Berlin", start="2026-03-01")
    (window,) = Monitor(berlin).run(day("04-15")).windows
    assert (window.start, window.end) == (
        datetime(2026, 2, 28, 23, tzinfo=UTC),
        datetime(2026, 3, 31, 22, tzinfo=UTC),
    )


def test_a_backlog_is_worked_off_in_bounded_steps() -> None:
    """At most so many new windows a run, the oldest first; the plan says how many are left, and in the end nothing differs."""
    bounded, whole = (Monitor(config(restate="3d"), daily("01-01", 40)) for _ in range(2))
    for monitor in (bounded, whole):
        monitor.run(day("01-10"))
    whole.run(day("02-09"))
    plans = [bounded.run(day("02-09"), 12) for _ in range(3)]
    assert [(len(plan.windows), plan.n_windows_left) for plan in plans] == [(12, 18), (12, 6), (6, 0)]
    assert [sum(count.n_granules for count in plan.counts) for plan in plans] == [12, 12, 6]
    assert (bounded.keys, bounded.watermark) == (whole.keys, whole.watermark)
    assert not bounded.run(day("02-09"), 12).moves_watermark


def test_a_long_log_is_counted_by_statements_of_bounded_length() -> None:
    """Years of days are cut where a statement has two thousand of them: none is left out, none is counted twice."""
    plan = Monitor(config(every="7d"), daily("01-01", 4200)).run(day("01-01") + timedelta(days=4200))
    assert [count.n_granules for count in plan.counts] == [2000, 2000, 193]  # 599 whole weeks
    assert all(before.end == after.start for before, after in pairwise(plan.counts))


def test_windows_that_were_judged_by_a_backfill_are_passed_over() -> None:
    """A bounded run over windows that stand already still moves the watermark, so that the next one comes further."""
    monitor = Monitor(config(start="2026-01-01"), daily("01-01", 40))
    backfilled = monitor.run(day("02-09"), backfill=Window(day("01-01"), day("02-05")))
    assert (len(backfilled.windows), backfilled.coverage_key, monitor.watermark) == (35, "", None)
    first = monitor.run(day("02-09"), 20)
    assert (first.judgements, first.counts, first.moves_watermark, first.n_windows_left) == ((), (), True, 13)
    assert ends(monitor.run(day("02-09"), 20)) == ["02-06", "02-07", "02-08", "02-09"]


def test_a_backfill_takes_up_what_came_later_than_restate() -> None:
    """The windows that end in its stretch are looked at anew, however old; those before and after are not."""
    monitor = Monitor(config(restate="1d", length="1d"), daily("01-01", 30))
    monitor.run(day("01-30"))
    monitor.log[day("01-05"), ""] = monitor.log[day("01-20"), ""] = 14
    plan = monitor.run(day("01-30"), backfill=Window(day("01-03"), day("01-10")))
    assert (ends(plan), counted(plan)) == (["01-06"], [("01-05", "01-06", 1, 14)])
    assert (monitor.watermark, plan.watermark) == (day("01-30"), None)
    assert monitor.plan(day("01-30"), backfill=Window(day("01-03"), day("01-10"))).judgements == ()


def test_a_backfill_ends_where_the_clock_does() -> None:
    """Windows that are not over are not judged, whatever stretch is asked for."""
    monitor = Monitor(config(length="1d"), daily("01-01", 5))
    plan = monitor.plan(day("01-04"), backfill=Window(day("01-02"), day("03-01")))
    assert ends(plan) == ["01-03", "01-04"]


def test_a_granule_whose_rows_are_all_gone_is_emptied_not_counted() -> None:
    """A deleted day is said to be empty, once; the windows that held it are judged again."""
    monitor = Monitor(config(restate="5d"), daily("01-01", 20))
    monitor.run(day("01-12"))
    del monitor.log[day("01-10"), ""]
    plan = monitor.run(day("01-12"))
    assert ([gone.granule for gone in plan.emptied], plan.counts) == ([day("01-10")], ())
    assert ends(plan) == ["01-11", "01-12"]
    assert [j.n_rows for j in plan.judgements] == [60, 60]
    assert monitor.plan(day("01-12")).judgements == ()


def test_a_count_that_changes_and_changes_back_is_new_work_each_time() -> None:
    """10, 14, 10, 14 rows: each time another identity, though the numbers repeat; seen twice at one moment, the same."""
    monitor = Monitor(config(restate="5d"), daily("01-01", 20))
    monitor.run(day("01-12"))
    counts, judgements = set(), set()
    for i, n in enumerate((14, 10, 14, 10)):
        monitor.log[day("01-10"), ""] = n
        moment = day("01-12") + timedelta(hours=i + 1)
        again, plan = monitor.plan(moment), monitor.run(moment)
        assert again == plan
        counts |= {(count.n_rows, count.supersedes) for count in plan.counts}
        judgements |= {(j.verdict_key, j.supersedes) for j in plan.judgements if j.window.end == day("01-11")}
    assert (len(counts), len(judgements)) == (4, 4)


def partition(start: datetime, modified_at: datetime, n_rows: int = 10, hours: int = 24) -> Partition:
    return Partition(start, start + timedelta(hours=hours), n_rows, modified_at)


def test_partitions_that_nothing_was_written_to_are_not_looked_at() -> None:
    """The look begins with the first partition that was written to since the last run, or with what was never counted."""
    monitor = Monitor(config(restate="5d"), daily("01-01", 20))
    monitor.run(day("01-12"))
    monitor.partitions = [partition(day("01-01") + timedelta(days=i), day("01-11")) for i in range(14)]
    monitor.plan(day("01-13"))
    assert monitor.looked_from == day("01-12")
    monitor.partitions[9] = partition(day("01-10"), day("01-12") + timedelta(hours=3))
    monitor.plan(day("01-13"))
    assert monitor.looked_from == day("01-10")
    monitor.partitions[8] = partition(day("01-09"), day("01-12") - timedelta(minutes=9))  # clocks may differ by so much
    monitor.plan(day("01-13"))
    assert monitor.looked_from == day("01-09")
    monitor.partitions[1] = partition(day("01-02"), day("01-13"))
    monitor.plan(day("01-13"))
    assert monitor.looked_from == day("01-09")


def test_partitions_tell_the_rows_of_granules_only_where_they_can() -> None:
    """Sums of whole partitions, unless a filter or versions choose among the rows, or a partition holds two granules."""
    days = [partition(day("01-01"), day("01-01"), 7), partition(day("01-02"), day("01-01"), 0)]
    hours = [partition(day("01-01") + timedelta(hours=h), day("01-01"), 1, hours=1) for h in range(30)]

    def told(settings: MonitorConfig, partitions: list[Partition] | None) -> GranuleRows | None:
        return Planner(settings, [], day("02-01")).rows_of(partitions, day("01-01"), day("01-02"))

    assert told(config(), days) == {(day("01-01"), ""): 7}
    assert told(config(), hours) == {(day("01-01"), ""): 24}
    assert told(config(), None) is None
    assert told(config(timezone="Europe/Berlin"), days) is None
    assert told(config(timezone="Europe/Berlin"), hours) == {(day("01-01") + timedelta(hours=23), ""): 7}
    for source in ({"filter": "amount > 1"}, {"model_version": "version"}):
        assert told(config(source), days) is None

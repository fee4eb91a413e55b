"""The plan of outcomes: what has arrived, which granules are counted again, which windows judged again, and when that ends."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from bq_monitor.config import MonitorConfig, parse_config
from bq_monitor.plan import Planner
from bq_monitor.plan_outcomes import (
    Arrived,
    OutcomeCount,
    OutcomeJudgement,
    OutcomePlan,
    OutcomePlanner,
    OutcomesStored,
    StoredArrival,
    arrivals_of_rows,
)
from bq_monitor.reference import Reference
from bq_monitor.scan import AGES
from bq_monitor.timegrid import Window
from tests.test_plan import day, reference

VERSIONED = {"model_version": "v"}


def config(
    source: dict[str, Any] | None = None, window: dict[str, Any] | None = None, matures: str | None = "10d", **changes: Any
) -> MonitorConfig:  # fmt: skip
    labels = {"labels": {"column": "y", "timestamp": "came", "matures_after": matures}} if matures else {}
    return parse_config(
        {
            "monitor": "loans", "warehouse": "duckdb://", "source": {"table": "log.parquet", "timestamp": "ts", **(source or {})},
            "prediction": {"column": "p", "kind": "binary", "positive": True, "score": "s"},
            "window": {"length": "7d", "every": "1d", "restate": "3d", **(window or {})}, **labels, **changes,
        }
    )  # fmt: skip


def arrived(n: int = 10, n_labelled: int = 5, **more: Any) -> Arrived:
    return Arrived(n, n_labelled, **{"n_labels": n_labelled, "n_ids": n, **more})


def daily(start: str, days: int, version: str = "", what: Arrived | None = None) -> dict[tuple[datetime, str], Arrived]:
    return {(day(start) + timedelta(days=i), version): what or arrived() for i in range(days)}


@dataclass
class Desk:
    """A monitor whose log and stored rows are dictionaries; `run` does what the desk and the job do around the planner."""

    config: MonitorConfig
    log: dict[tuple[datetime, str], Arrived] = field(default_factory=dict)
    references: list[Reference] = field(default_factory=lambda: [reference()])
    arrivals: dict[tuple[str, datetime], StoredArrival] = field(default_factory=dict)
    judged: dict[tuple[Window, str], OutcomeJudgement] = field(default_factory=dict)
    judged_by: dict[tuple[Window, str], tuple[str, ...]] = field(default_factory=dict)
    looked_from: datetime | None = None

    def planner(self, as_of: datetime, backfill: Window | None = None) -> OutcomePlanner:
        return OutcomePlanner(Planner(self.config, self.references, as_of, backfill))

    @property
    def stored(self) -> OutcomesStored:
        return OutcomesStored(
            dict(self.arrivals), frozenset(j.verdict_key for j in self.judged.values()), self.judged_by
        )

    @property
    def settled_to(self) -> datetime | None:
        return max((window.end for (window, _), j in self.judged.items() if not j.is_provisional), default=None)

    def plan(self, as_of: datetime, backfill: Window | None = None) -> OutcomePlan:
        planner, first = self.planner(as_of, backfill), min((granule for granule, _ in self.log), default=None)
        windows = planner.candidates(self.settled_to, first, planner.planner.horizon)
        self.looked_from = planner.look_from(windows, self.stored)
        reach = planner.reach(windows)
        if reach is None:
            return OutcomePlan()
        seen = {
            key: found for key, found in self.log.items() if self.looked_from and self.looked_from <= key[0] < reach.end
        }
        return planner.plan(windows, seen, self.looked_from or reach.end, self.stored)

    def run(self, as_of: datetime, backfill: Window | None = None) -> OutcomePlan:
        plan = self.plan(as_of, backfill)
        for count in plan.counts:
            for granule, found in count.granules.items():
                self.arrivals[count.reference.reference_id, granule] = StoredArrival(found, as_of, as_of)
        self.judged |= {(j.window, j.model_version): j for j in plan.judgements}
        self.judged_by |= {(j.window, j.model_version): (str(as_of),) for j in plan.judgements}
        return plan


def ends(windows: list[Window]) -> list[str]:
    return [window.end.strftime("%m-%d") for window in windows]


def judged(plan: OutcomePlan) -> list[str]:
    return ends([judgement.window for judgement in plan.judgements])


def counted(plan: OutcomePlan) -> list[tuple[str, str, int]]:
    return [(c.start.strftime("%m-%d"), c.end.strftime("%m-%d"), len(c.granules)) for c in plan.counts]


def candidates(
    settled: str | None, first: str | None, until: str | None, *, backfill: Window | None = None, **window: Any
) -> list[str]:
    planner = Desk(config(window=window)).planner(day("03-01"), backfill)
    return ends(planner.candidates(*(day(text) if text else None for text in (settled, first, until))))


def test_windows_from_the_first_to_the_newest_judged_are_candidates() -> None:
    """Before any window settled, all of them since the first one, which begins with the first granule."""
    assert candidates(None, "01-01", "01-10") == ["01-08", "01-09", "01-10"]


def test_settled_windows_are_no_candidates_but_for_restate() -> None:
    """What ended `restate` or longer before the settled mark is left alone; the windows after it are looked at, up to the newest."""
    assert candidates("01-20", "01-01", "01-22") == ["01-18", "01-19", "01-20", "01-21", "01-22"]
    assert candidates("01-20", "01-01", "01-22", restate="0d") == ["01-21", "01-22"]


def test_restate_reaches_no_window_before_the_first() -> None:
    """A window that begins before the first granule is none, even within `restate` of the mark; the granule may be cut open."""
    assert candidates("01-09", "01-01", "01-10", restate="9d") == ["01-08", "01-09", "01-10"]
    planner = Desk(config()).planner(day("03-01"))
    noon = day("01-01") + timedelta(hours=12)
    assert ends(planner.candidates(None, noon, day("01-08"))) == ["01-08"]


def test_windows_settled_without_a_known_start_are_looked_at() -> None:
    """Where no first window is known, the settled mark alone says from when on."""
    assert candidates("01-20", None, "01-21") == ["01-18", "01-19", "01-20", "01-21"]


@pytest.mark.parametrize(
    ("settled", "first", "until"), [(None, None, "01-10"), (None, "01-01", None), ("01-09", None, None)]
)
def test_without_a_start_or_an_end_nothing_is_a_candidate(
    settled: str | None, first: str | None, until: str | None
) -> None:
    """Nothing was ever judged for drift, so that nothing is judged for its answers."""
    assert candidates(settled, first, until) == []


def test_a_backfill_names_its_own_windows() -> None:
    """The stretch decides, up to the horizon, whatever is settled; `delay` keeps young windows back."""
    stretch = Window(day("01-10"), day("01-12"))
    assert candidates("02-20", "01-01", "02-27", backfill=stretch) == ["01-11", "01-12"]
    assert candidates(None, None, None, backfill=Window(day("02-26"), day("04-01")), delay="1d") == ["02-27", "02-28"]


def test_a_window_is_mature_at_the_very_instant() -> None:
    """Rows that are `matures_after` old to the microsecond are mature; a microsecond younger, they are not."""
    planner = Desk(config()).planner(day("01-18"))
    assert planner.is_mature(day("01-08"))
    assert not planner.is_mature(day("01-08") + timedelta(microseconds=1))


def test_days_of_maturing_are_those_of_the_zone() -> None:
    """Over the night of 29 March 2026 Berlin's ten days are an hour short of ten times 24; without labels all is mature."""
    berlin = Desk(config(window={"timezone": "Europe/Berlin"}))
    end = datetime(2026, 3, 24, 23, tzinfo=UTC)  # midnight of 25 March in Berlin
    ten_days_on = datetime(2026, 4, 3, 22, tzinfo=UTC)  # midnight of 4 April: 239 hours later
    assert berlin.planner(ten_days_on).is_mature(end)
    assert not berlin.planner(ten_days_on - timedelta(seconds=1)).is_mature(end)
    assert not Desk(config()).planner(ten_days_on).is_mature(end)
    assert Desk(config(matures=None)).planner(day("02-01")).is_mature(day("02-01"))


def look(
    stored: dict[tuple[str, datetime], StoredArrival], *, backfill: Window | None = None, **settings: Any
) -> str | None:
    """From when on the window of 1 to 8 January is looked at."""
    planner = Desk(config(**settings)).planner(day("03-01"), backfill)
    found = planner.look_from([Window(day("01-01"), day("01-08"))], OutcomesStored(stored))
    return found and found.strftime("%m-%d")


def known(start: str, days: int, known_at: datetime, name: str = "ref1") -> dict[tuple[str, datetime], StoredArrival]:
    return {(name, granule): StoredArrival(arrived(), known_at, known_at) for granule, _ in daily(start, days)}


def test_what_was_never_counted_is_looked_at() -> None:
    """From the window's first granule on, or from the first that is not counted; nothing is looked at without windows."""
    long_after = day("02-20")
    assert look({}) == "01-01"
    assert look(known("01-01", 3, long_after)) == "01-04"
    assert look(known("01-04", 4, long_after)) == "01-01"
    assert Desk(config()).planner(day("03-01")).look_from([], OutcomesStored()) is None


def test_what_was_counted_once_mature_is_left_out() -> None:
    """A granule is settled that was counted `matures_after` and `restate` after its end, to the second; earlier, it may still change."""
    settled = day("01-08") + timedelta(
        days=13
    )  # of the last granule: its end, ten days of maturing, three of restating
    assert look(known("01-01", 7, settled)) is None
    assert look(known("01-01", 7, settled - timedelta(seconds=1))) == "01-07"
    assert look(known("01-01", 7, settled - timedelta(days=2))) == "01-06"
    assert look(known("01-01", 7, day("01-08"))) == "01-01"


def test_without_labels_only_restate_is_waited_for() -> None:
    """There are no outcomes to mature."""
    assert look(known("01-01", 7, day("01-11")), matures=None) is None
    assert look(known("01-01", 7, day("01-10")), matures=None) == "01-07"


def test_a_backfill_looks_at_settled_granules_too() -> None:
    """It is asked for to look again."""
    assert look(known("01-01", 7, day("02-20")), backfill=Window(day("01-07"), day("01-08"))) == "01-01"


def test_counts_for_another_reference_settle_nothing() -> None:
    """Granules counted for a reference that is no longer in force are unknown to the one that is."""
    assert look(known("01-01", 7, day("02-20"), "old")) == "01-01"


def test_a_new_reference_sees_the_rows_of_settled_days() -> None:
    """After a new reference the windows that are looked at again are judged by all of their rows."""
    desk = Desk(config(), daily("01-01", 60))
    desk.run(day("02-20"))
    desk.references.insert(0, reference("2", "new"))
    plan = desk.run(day("02-21"))
    assert {judgement.arrived.n_rows for judgement in plan.judgements} == {70}
    assert all(count.reference.reference_id == "new" for count in plan.counts)


KEY_LOG = daily("01-01", 7)


def key_of(settings: MonitorConfig, log: Any = KEY_LOG, name: str = "ref1", as_of: str = "01-10", version: str = "1") -> str:  # fmt: skip
    planner = Desk(settings, references=[reference(version, name)]).planner(day(as_of))
    (judgement,) = planner.plan([Window(day("01-01"), day("01-08"))], log, None, OutcomesStored()).judgements
    return judgement.verdict_key


def altered(**changes: Any) -> dict[tuple[datetime, str], Arrived]:
    """The log with something else arrived on 3 January."""
    return {**KEY_LOG, (day("01-03"), ""): replace(arrived(), **changes)}


def test_the_same_data_have_the_same_key() -> None:
    """Whenever it is looked, in whatever order, and though a row came later than it was thought: ages and times of rows tell nothing."""
    base = key_of(config())
    assert base.startswith("outcomes-")
    assert key_of(config(), dict(reversed(KEY_LOG.items()))) == base
    assert key_of(config(), as_of="01-17") == base
    assert key_of(config(), altered(newest_row_at=day("01-03"), ages=(1,) * len(AGES))) == base


@pytest.mark.parametrize(
    "changes",
    [
        {"n_rows": 11}, {"n_labelled": 6, "n_labels": 6}, {"n_labels": 6}, {"n_contradictory": 1}, {"newest_label_at": day("01-09")},
        {"n_ids": 9},
    ],
    ids=["row", "label", "duplicate", "contradiction", "newer label", "id"],
)  # fmt: skip
def test_whatever_else_arrived_is_another_key(changes: dict[str, Any]) -> None:
    """One row, label, duplicate, contradiction, id or newer label more."""
    assert key_of(config(), altered(**changes)) != key_of(config())


def test_the_last_judgement_of_a_window_has_a_key_of_its_own() -> None:
    """Provisional and final differ, though no label came between: the mark moves with the final one."""
    assert key_of(config(), as_of="01-18") != key_of(config(), as_of="01-17")


LIMITED: dict[str, Any] = {"segments": ["region"], "performance": {"accuracy": {"min": 0.5}}}


@pytest.mark.parametrize(
    "changes",
    [
        {"performance": {"accuracy": {"min": 0.6}}},
        {"performance": {"f1": {"min": 0.5}}},
        {"business": {"positive_rate": {"max": 0.5}}},
        {"business": {"low_confidence": 0.7}},
        {"fairness": [{"group": "region", "min_ratio": 0.8}]},
        {"quality": {"latency_ms": {"column": "ms"}}},
        {"quality": {"latency_ms": {"column": "ms", "p95_max": 300}}},
        {"detection": {"alpha": 0.02}},
        {"detection": {"threshold": 0.2}},
        {"detection": {"metric": "psi"}},
        {"detection": {"min_rows": 51}},
        {"segments": ["channel"]},
        {"source": {"filter": "a > 1"}},
        {"labels": {"column": "other", "timestamp": "came", "matures_after": "10d"}},
        {"prediction": {"column": "p", "kind": "binary", "positive": False, "score": "s"}},
        {"monitor": "others"},
    ],
    ids=str,
)
def test_what_is_judged_by_another_rule_has_another_key(changes: dict[str, Any]) -> None:
    """Every setting that the judgement of answers depends on."""
    assert key_of(config(**{**LIMITED, **changes})) != key_of(config(**LIMITED))


def test_the_limit_of_latency_is_part_of_the_key() -> None:
    """An edited percentile is judged by, though nothing else is counted."""
    keys = {key_of(config(quality={"latency_ms": {"column": "ms", "p95_max": most}})) for most in (200, 300)}
    assert len(keys) == 2


def test_the_preset_is_part_of_the_key_where_concepts_are_judged_by_it() -> None:
    """With another metric than the JS distance the threshold of concepts is the preset's; otherwise only the threshold counts."""
    said = {"threshold": 0.1, "alpha": 0.01, "confirm": "1 of 1"}
    keys = {
        metric: {
            key_of(config(detection={**said, "metric": metric, "preset": preset}))
            for preset in ("balanced", "aggressive")
        }
        for metric in ("psi", "js_distance")
    }
    assert (len(keys["psi"]), len(keys["js_distance"])) == (2, 1)


@pytest.mark.parametrize(
    "changes",
    [
        {"features": [{"name": "amount", "threshold": 0.3}]}, {"detection": {"confirm": "3 of 3"}}, {"detection": {"share_drifted": 0.9}},
        {"budget": {"deadline": "5m"}}, {"baselines": ["training", "previous"]}, {"quality": {"volume": {"min": 100}}},
        {"labels": {"column": "y", "timestamp": "came", "matures_after": "11d"}},
    ],
    ids=str,
)  # fmt: skip
def test_a_threshold_of_no_consequence_changes_no_key(changes: dict[str, Any]) -> None:
    """What drift, events, costs and the data's checks are judged by is no matter of answers."""
    assert key_of(config(**{**LIMITED, **changes})) == key_of(config(**LIMITED))


def test_another_reference_has_another_key() -> None:
    """Answers are compared with it."""
    assert key_of(config(), name="other") != key_of(config())


def test_a_version_without_a_reference_is_judged_once() -> None:
    """Its rows are not stored, so that what arrives of them changes nothing; it is named, and has no reference."""
    versioned = config(VERSIONED)
    planner = Desk(versioned).planner(day("01-10"))
    window = Window(day("01-01"), day("01-08"))
    plans = [
        planner.plan([window], {(day("01-02"), version): arrived(n)}, None, OutcomesStored())
        for version, n in (("9", 10), ("9", 11), ("8", 10))
    ]
    (first,), (more,), (other,) = (plan.judgements for plan in plans)
    assert (first.model_version, first.reference) == ("9", None)
    assert (more.verdict_key, more.arrived.n_rows) == (first.verdict_key, 11)
    assert other.verdict_key != first.verdict_key
    assert plans[0].counts == ()


def test_a_window_without_rows_is_judged_against_the_newest_reference() -> None:
    """Silence is a row; without a reference there is nobody to say it of."""
    window = Window(day("01-01"), day("01-08"))
    (judgement,) = Desk(config()).planner(day("01-10")).plan([window], {}, None, OutcomesStored()).judgements
    assert (judgement.model_version, judgement.arrived.n_rows, judgement.arrived.n_ids) == ("1", 0, 0)
    assert (
        Desk(config(), references=[]).planner(day("01-10")).plan([window], {}, None, OutcomesStored()).judgements == ()
    )


def test_the_first_run_counts_every_day_once_in_one_stretch() -> None:
    """Days without rows do not end a stretch, and are not among its granules."""
    desk = Desk(config(window={"start": "2026-01-01"}), {**daily("01-01", 3), **daily("01-06", 3)})
    assert counted(desk.run(day("01-09"))) == [("01-01", "01-09", 6)]
    assert desk.looked_from == day("01-01")


def test_a_rerun_has_nothing_to_do() -> None:
    """At the same moment, and later when nothing new arrived: nothing is counted, nothing judged."""
    desk = Desk(config(), daily("01-01", 9))
    desk.run(day("01-10"))
    for moment in (day("01-10"), day("01-10") + timedelta(hours=20)):
        plan = desk.plan(moment)
        assert (plan.counts, plan.judgements) == ((), ())


def test_a_late_label_counts_its_day_again_and_judges_the_windows_that_hold_it() -> None:
    """Days that stand split the stretches; windows without that day keep their verdict."""
    desk = Desk(config(), daily("01-01", 11))
    desk.run(day("01-12"))
    for text in ("01-02", "01-05", "01-06"):
        desk.log[day(text), ""] = arrived(n_labelled=6)
    plan = desk.run(day("01-12"))
    assert counted(plan) == [("01-02", "01-03", 1), ("01-05", "01-07", 2)]
    assert judged(plan) == ["01-08", "01-09", "01-10", "01-11", "01-12"]
    desk.log[day("01-01"), ""] = arrived(n_labelled=6)
    assert judged(desk.run(day("01-12"))) == ["01-08"]


def test_days_whose_rows_are_gone_are_counted_as_empty_once() -> None:
    """A deleted day is one with nothing in it; afterwards it stands."""
    desk = Desk(config(), daily("01-01", 9))
    desk.run(day("01-10"))
    del desk.log[day("01-09"), ""]
    plan = desk.run(day("01-10"))
    assert counted(plan) == [("01-09", "01-10", 1)]
    assert plan.counts[0].granules == {day("01-09"): Arrived(n_ids=0)}
    assert judged(plan) == ["01-10"]
    assert desk.plan(day("01-10")) == replace(desk.plan(day("01-10")), counts=(), judgements=())


def test_a_count_that_changes_and_changes_back_is_new_work_each_time() -> None:
    """Six labels, five, six: other identities each time, though the numbers repeat; planned twice at one moment, the same."""
    desk = Desk(config(), daily("01-01", 9))
    desk.run(day("01-10"))
    counts, judgements = set(), set()
    for i, n in enumerate((6, 5, 6, 5)):
        desk.log[day("01-09"), ""] = arrived(n_labelled=n)
        moment = day("01-10") + timedelta(hours=i + 1)
        again, plan = desk.plan(moment), desk.run(moment)
        assert again == plan
        counts |= {count.identity for count in plan.counts}
        judgements |= {(judgement.verdict_key, judgement.supersedes) for judgement in plan.judgements}
    assert (len(counts), len(judgements)) == (4, 4)


def test_a_judgement_names_the_runs_whose_verdicts_it_takes_the_place_of() -> None:
    """The first of a window supersedes nothing, the next one the run before."""
    desk = Desk(config(), daily("01-01", 7))
    assert [judgement.supersedes for judgement in desk.run(day("01-08")).judgements] == [()]
    desk.log[day("01-03"), ""] = arrived(n_labelled=9)
    assert [judgement.supersedes for judgement in desk.run(day("01-09")).judgements if judgement.window.end == day("01-08")] == [
        (str(day("01-08")),)
    ]  # fmt: skip


def test_a_settled_window_is_never_judged_again() -> None:
    """Provisional, then final when mature, then left alone, though a label comes later still."""
    desk = Desk(
        config(window={"start": "2026-01-01", "every": "7d", "length": "7d", "restate": "0d"}), daily("01-05", 7)
    )
    (early,) = desk.run(day("01-13")).judgements
    assert early.is_provisional
    found = [judgement for judgement in desk.run(day("01-22")).judgements if judgement.window == early.window]
    assert [judgement.is_provisional for judgement in found] == [False]
    desk.log[day("01-06"), ""] = arrived(n_labelled=9)
    assert early.window not in {judgement.window for judgement in desk.run(day("01-30")).judgements}


def test_two_versions_in_one_log_are_counted_and_judged_apart() -> None:
    """Each against its own reference, with what arrived of it alone; a version that has no rows in a day counts nothing there."""
    log = {**daily("01-01", 7, "1", arrived(10)), **daily("01-05", 3, "2", arrived(4, 1))}
    desk = Desk(config(VERSIONED), log, [reference("2", "ref2"), reference("1", "ref1")])
    plan = desk.run(day("01-08"))
    assert {(j.model_version, j.arrived.n_rows, j.arrived.n_labelled) for j in plan.judgements} == {
        ("1", 70, 35),
        ("2", 12, 3),
    }
    assert [(c.reference.reference_id, c.start, c.end) for c in plan.counts] == [
        ("ref2", day("01-05"), day("01-08")), ("ref1", day("01-01"), day("01-08")),
    ]  # fmt: skip
    desk.log[day("01-06"), "2"] = arrived(4, 2)
    again = desk.run(day("01-08"))
    assert ([j.model_version for j in again.judgements], counted(again)) == (["2"], [("01-06", "01-07", 1)])


def test_what_arrived_is_summed_by_window_also_where_the_verdict_stands() -> None:
    """Every window looked at has its sum; newest moments are the newest of all days."""
    log = {**daily("01-01", 8), (day("01-04"), ""): arrived(3, 2, newest_label_at=day("01-09"))}
    desk = Desk(config(), log)
    first, again = desk.run(day("01-09")), desk.plan(day("01-09"))
    assert again.judgements == ()
    assert first.by_window == again.by_window
    assert {window.end.strftime("%m-%d"): found for (window, _), found in again.by_window.items()} == {
        "01-08": Arrived(63, 32, 32, 0, day("01-09"), 63, None, (0,) * len(AGES)),
        "01-09": Arrived(63, 32, 32, 0, day("01-09"), 63, None, (0,) * len(AGES)),
    }


def test_stored_arrivals_count_before_the_look_and_seen_ones_since() -> None:
    """What is stored of the days looked at does not hide what is seen there; what was seen before them is not taken."""
    window, planner = Window(day("01-01"), day("01-08")), Desk(config()).planner(day("01-10"))
    stored = OutcomesStored(known("01-01", 7, day("01-09")))
    seen = {(day("01-02"), ""): arrived(99), (day("01-06"), ""): arrived(1)}
    plan = planner.plan([window], seen, day("01-05"), stored)
    assert plan.by_window[window, "1"].n_rows == 4 * 10 + 1
    assert counted(plan) == [("01-05", "01-08", 3)]  # two days are gone, one has other rows


def test_the_identity_of_a_count_says_what_is_counted_and_what_it_takes_the_place_of() -> None:
    """Whoever plans it gets the same; another reference, definition, arrival or predecessor is another."""

    def count(desk: Desk, before: OutcomesStored) -> OutcomeCount:
        windows = [Window(day("01-01"), day("01-08"))]
        (found,) = desk.planner(day("01-10")).plan(windows, desk.log, None, before).counts
        return found

    nothing = OutcomesStored()
    base = count(Desk(config(), KEY_LOG), nothing)
    assert count(Desk(config(), dict(KEY_LOG)), nothing).identity == base.identity
    others = [
        Desk(config(), KEY_LOG, [reference("1", "other")]), Desk(config({"filter": "a > 1"}), KEY_LOG),
        Desk(config(), altered(n_labels=7)), Desk(config(), daily("01-01", 6)),
    ]  # fmt: skip
    assert len({base.identity, *(count(other, nothing).identity for other in others)}) == 5
    stale = OutcomesStored(
        {key: replace(found, arrived=arrived(9)) for key, found in known("01-01", 7, day("01-09")).items()}
    )
    assert count(Desk(config(), KEY_LOG), stale).identity != base.identity


def test_both_are_added() -> None:
    """Counts and ages add up, ids count as different, the newest moments stay; nothing added changes nothing."""
    ages = tuple(range(len(AGES)))
    one = Arrived(10, 5, 7, 1, day("01-02"), 9, day("01-05"), ages)
    other = Arrived(3, 2, 2, 0, day("01-04"), 3, day("01-01"), ages)
    assert one + other == Arrived(13, 7, 9, 1, day("01-04"), 12, day("01-05"), tuple(2 * n for n in ages))
    assert one + other == other + one
    assert one + Arrived(n_ids=0) == Arrived(n_ids=0) + one == one


def test_unknown_ids_and_times_stay_unknown() -> None:
    """Where one side has no ids counted, the sum has none; a missing moment gives way to the other's."""
    assert (Arrived(1, n_ids=1) + Arrived(1)).n_ids is None
    assert (Arrived(1) + Arrived(1, n_ids=1)).n_ids is None
    assert (Arrived() + Arrived(newest_label_at=day("01-01"))).newest_label_at == day("01-01")
    assert (Arrived() + Arrived()).newest_label_at is None


@pytest.mark.parametrize(
    ("n_labels", "n_labelled", "n_contradictory", "expected"), [(7, 5, 1, 1), (5, 5, 0, 0), (2, 0, 1, 1), (0, 0, 0, 0), (5, 6, 0, 0)]
)  # fmt: skip
def test_labels_beyond_the_first_of_a_row_are_duplicates(
    n_labels: int, n_labelled: int, n_contradictory: int, expected: int
) -> None:
    """Less the rows that have an outcome, and those whose labels contradict each other; never below none."""
    assert Arrived(10, n_labelled, n_labels, n_contradictory).n_duplicates == expected


def test_rows_alone_are_arrivals_where_no_outcomes_are_waited_for() -> None:
    """Granules without rows have nothing; no ids and no labels are known."""
    assert arrivals_of_rows({(day("01-01"), ""): 7, (day("01-02"), ""): 0}) == {(day("01-01"), ""): Arrived(7)}

"""The command line: parse, call, print, exit code. Nothing is decided here."""

from __future__ import annotations

import io
import json
import os
import sys
import traceback
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from bq_monitor import __version__
from bq_monitor.cli.alerts import alerts
from bq_monitor.cli.dashboard import dashboard
from bq_monitor.cli.export import export
from bq_monitor.cli.report import report, write_comparison
from bq_monitor.cli.shown import (
    BAD_INPUT,
    CLEAN,
    DRIFT,
    NOT_EVALUATED,
    as_of_option,
    configs_argument,
    exit_with,
    follow,
    json_option,
    print_json,
    print_table,
    progress_bar,
    write,
)
from bq_monitor.errors import BqMonitorError, said

if TYPE_CHECKING:
    from bq_monitor.comparison.compare import Comparison
    from bq_monitor.config import MonitorConfig
    from bq_monitor.demo import DemoResult
    from bq_monitor.results import RunResult


def main() -> NoReturn:
    """The entry point: a user's mistake ends in one paragraph and an exit code, never in a traceback."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a terminal that cannot show a letter still shows the rest
    try:
        code = cli(standalone_mode=False)  # click answers the code of Exit here
    except click.ClickException as error:
        error.show()
        sys.exit(BAD_INPUT)
    except (click.Abort, KeyboardInterrupt):
        print("interrupted", file=sys.stderr)
        sys.exit(130)
    except BqMonitorError as error:
        print(f"error: {said(error)}", file=sys.stderr)
        sys.exit(error.exit_code)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)
    except Exception:  # a fault of ours must not end with the code of drift
        traceback.print_exc()
        print(
            f"error: this is a fault of bq-monitor {__version__}; please report it with the lines above",
            file=sys.stderr,
        )
        sys.exit(70)
    sys.exit(code or CLEAN)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="bq-monitor")
def cli() -> None:
    """Tell early, and without crying wolf, that a model in production no longer sees what it was trained for.

    Exit codes: 0 clean, 1 drift, 2 configuration or input, 3 an expected feature could not be evaluated, 4 warehouse.
    """


cli.add_command(alerts)
cli.add_command(dashboard)
cli.add_command(export)
cli.add_command(report)


@cli.command()
@configs_argument
@json_option
def init(config: Sequence[str], as_json: bool) -> None:
    """Create the tables and views of the monitors' warehouses, or bring older ones to this version. Safe to repeat."""
    from bq_monitor.config_files import load_configs
    from bq_monitor.warehouse import open_warehouse
    from bq_monitor.warehouse.schema import SCHEMA_VERSION, TABLES
    from bq_monitor.warehouse.setup import create_tables
    from bq_monitor.warehouse.views import VIEWS

    names = {"tables": [table.name for table in TABLES], "views": [view.name for view in VIEWS]}
    printed = []
    for url in sorted({monitor.warehouse for monitor in load_configs(list(config))}):
        warehouse = open_warehouse(url, create=True)
        try:
            done = create_tables(warehouse)
        finally:
            warehouse.close()
        printed.append(
            {
                "warehouse": url,
                "schema_version": SCHEMA_VERSION,
                **names,
                "created": done.created,
                "added": done.added,
                "left": done.left,
            }
        )
        for line in done.lines() if not as_json else ():
            print(f"{url}: {line}")
    if as_json:
        print_json(printed)


@cli.command()
@configs_argument
@click.option("--offline", is_flag=True, help="Check the files only; connect to nothing.")
@json_option
def validate(config: Sequence[str], offline: bool, as_json: bool) -> None:
    """Check configurations, and the logs and tables that they name."""
    from bq_monitor.config_files import load_configs
    from bq_monitor.findings import Findings

    monitors = load_configs(list(config))
    found = [(monitor.monitor, Findings()) for monitor in monitors]
    if not offline:
        from bq_monitor.validation import check_live

        found = [(monitor.monitor, check_live(monitor)) for monitor in monitors]
    if as_json:
        print_json(
            [
                {"monitor": name, "ok": not item.faults, "faults": list(item.faults), "advice": list(item.advice)}
                for name, item in found
            ]
        )
    for name, item in found if not as_json else ():
        print(f"{name}: " + (f"{len(item.faults)} faults" if item.faults else "good"))
        for line in (*item.faults, *(f"advice: {text}" for text in item.advice)):
            print(f"  {line}")
    exit_with(BAD_INPUT if any(item.faults for _, item in found) else CLEAN)


@cli.command()
@configs_argument
@as_of_option
@json_option
def plan(config: Sequence[str], as_of: str | None, as_json: bool) -> None:
    """Show which windows are due, what would be counted, and what it would cost. Runs nothing."""
    from bq_monitor.config_files import load_configs
    from bq_monitor.due import preview
    from bq_monitor.tables import due_table

    previews = [preview(monitor, as_of) for monitor in load_configs(list(config))]
    if as_json:
        print_json(previews)
        return
    print_table(due_table(previews))


@cli.group()
def reference() -> None:
    """Capture and list the references that production is compared with."""


@reference.command("capture")
@click.argument("config")
@click.option("--data", required=True, metavar="FILE_OR_TABLE", help="Training data: Parquet, CSV, or a table.")
@click.option("--version", "version", required=True, help="Version of the model, as the log names it.")
@json_option
def reference_capture(config: str, data: str, version: str, as_json: bool) -> None:
    """Write the frozen histograms of a model's training data to the warehouse."""
    from bq_monitor.capture import capture_reference
    from bq_monitor.config_files import load_config
    from bq_monitor.tables import reference_table

    captured = capture_reference(data, load_config(config), version=version)
    if as_json:
        print_json(captured.to_dict())
        return
    print_table(reference_table(captured))
    for name, why in captured.excluded.items():
        print(f"not monitored: {name}: {why}")


@reference.command("promote")
@click.argument("config")
@click.option("--from", "start", required=True, metavar="TIME", help="Start of the stretch of production...")
@click.option("--to", "end", required=True, metavar="TIME", help="...and its end, exclusive.")
@click.option("--version", "version", help="Version of the model (default: the newest).")
@json_option
def reference_promote(config: str, start: str, end: str, version: str | None, as_json: bool) -> None:
    """Make a stretch of production the baseline 'promoted', from stored counts."""
    from bq_monitor.config_files import load_config
    from bq_monitor.promotion import promote
    from bq_monitor.tables import reference_table

    promoted = promote(load_config(config), start, end, version=version)
    if as_json:
        print_json(promoted.to_dict())
        return
    print_table(reference_table(promoted))


@reference.command("list")
@configs_argument
@json_option
def reference_list(config: Sequence[str], as_json: bool) -> None:
    """List the captured references, newest first."""
    from bq_monitor.config_files import load_configs
    from bq_monitor.reference import load_references
    from bq_monitor.tables import references_table
    from bq_monitor.warehouse import open_warehouse

    found = []
    for monitor in load_configs(list(config)):
        warehouse = open_warehouse(monitor.warehouse, deadline_seconds=monitor.budget.deadline_seconds, read_only=True)
        try:
            found += load_references(warehouse, monitor.monitor)
        finally:
            warehouse.close()
    if as_json:
        print_json([item.to_dict() for item in found])
        return
    print_table(references_table(found))


@cli.command()
@configs_argument
@as_of_option
@click.option("--from", "start", metavar="TIME", help="Backfill: judge the windows that end after this time...")
@click.option("--to", "end", metavar="TIME", help="...and not after this one. Nobody is notified of what they show.")
@json_option
def run(config: Sequence[str], as_of: str | None, start: str | None, end: str | None, as_json: bool) -> None:
    """Count and judge every window that is due, or (--from, --to) a stretch of the past."""
    from bq_monitor.config_files import load_configs

    if (start is None) != (end is None):
        raise click.UsageError("--from and --to go together: the stretch to backfill.")
    codes: list[int] = [CLEAN]
    printed: list[dict[str, Any]] = []
    for monitor in load_configs(list(config)):
        try:
            has_judged = False
            for outcome in _runs(monitor, as_of, (start, end) if start and end else None):
                codes += [DRIFT if outcome.has_findings else CLEAN]
                codes += [NOT_EVALUATED if outcome.unevaluated_features else CLEAN]
                has_judged |= bool(outcome.windows)
                printed.append(outcome.to_dict())
                if not as_json:
                    _print_run(outcome)
            if has_judged and (path := _left_report(monitor)) and not as_json:
                print(f"report: {path}")
        except BqMonitorError as error:  # the others of a fleet still run
            print(f"error: {said(error)}", file=sys.stderr)
            printed.append({"monitor": monitor.monitor, "error": said(error)})
            codes.append(error.exit_code)
    if as_json:
        print_json(printed)
    exit_with(*codes)


def _runs(monitor: MonitorConfig, as_of: str | None, backfill: tuple[str, str] | None) -> Iterator[RunResult]:
    from bq_monitor.job import run_until_done

    with progress_bar() as bar:
        yield from run_until_done(monitor, as_of, backfill=backfill, progress=follow(bar, monitor.monitor))


def _left_report(monitor: MonitorConfig) -> str | None:
    from bq_monitor.report.publish import publish

    return publish(monitor)


def _print_run(outcome: RunResult) -> None:
    if not outcome.results and not outcome.performance:
        print(f"{outcome.monitor}: nothing due at {outcome.as_of:%Y-%m-%d %H:%M} UTC")
    from bq_monitor.tables import delivery_lines, performance_table, run_table

    if outcome.results:
        print_table(run_table(outcome))
    if outcome.performance:
        print_table(performance_table(outcome))
    for event in outcome.events if len(outcome.windows) <= 1 else ():
        print(f"{event.severity}: {event.message}")
    for line in delivery_lines(outcome):
        print(line)


@cli.command()
@click.argument("config")
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="Another setting, such as detection.threshold=0.15; "
              "repeat it for more. A key that stands twice gives a variant for each value.")  # fmt: skip
@click.option("--from", "start", metavar="TIME", help="Only the windows that end after this time...")
@click.option("--to", "end", metavar="TIME", help="...and not after this one.")
@json_option
def replay(config: str, settings: Sequence[str], start: str | None, end: str | None, as_json: bool) -> None:
    """What would have fired with other settings? Judges stored counts anew; reads no log, writes nothing."""
    from bq_monitor.config_files import load_variants
    from bq_monitor.replay import replay as replay_variants
    from bq_monitor.tables import replay_table, timeline_table

    replayed = replay_variants(load_variants(config, settings), start, end)
    if as_json:
        print_json([variant.to_dict() for variant in replayed])
        return
    print_table(replay_table(replayed))
    for variant in replayed:
        print_table(timeline_table(variant))
    print("! event   x drift, not confirmed   . ok   (blank) not evaluated")


@cli.command()
@click.argument("baseline")
@click.argument("current")
@click.option("--features", metavar="A,B", help="Columns to compare (default: all but identifiers, times, constants).")
@click.option("--label", help="Column of the true outcome.")
@click.option("--prediction", help="Column of the model's answer.")
@click.option("--score", help="Column of the model's score or probability.")
@click.option("--segment", "segment", multiple=True, metavar="A[,B]", help="Column to cut both sides by; A,B for the intersections of two. "
              "Repeat it for more.")  # fmt: skip
@click.option("--time", help="Column of the time; not compared.")
@click.option("--positive", help="Positive class of prediction and label.")
@click.option(
    "--model", metavar="FILE", help="Score both sides with this model (.onnx, .cbm; .pkl, .joblib with --allow-pickle)."
)
@click.option(
    "--allow-pickle", is_flag=True, help="Load --model even if it is a pickle, which runs whatever code is in it."
)
@click.option(
    "--classifier-test",
    "classifier",
    is_flag=True,
    help="Ask a classifier, too, whether it can tell the two sides apart.",
)
@click.option("--retrain", metavar="OUT", help="Refit the estimator of --model (a pickle) on the rows of CURRENT with a --label, and save it "
              "here if it is surely better on rows held out: with --time the newest ones.")  # fmt: skip
@click.option(
    "--config",
    metavar="FILE",
    help="With --retrain only: the monitor in whose warehouse a row of 'actions' tells of it.",
)
@click.option("--preset", type=click.Choice(["conservative", "balanced", "aggressive"]), default="balanced", show_default=True,
              help="How eager to be: thresholds and chance of a false alarm.")  # fmt: skip
@click.option("--psi-threshold", type=float, help="PSI that matters.")
@click.option("--js-threshold", type=float, help="JS distance that matters (default: the preset's).")
@click.option("--output", type=click.Path(dir_okay=False), help="Write the JSON report here (a file or gs:// path).")
@click.option("--csv", "csv_path", type=click.Path(dir_okay=False), help="Write each column's scores here (likewise).")
@click.option("--html", "html_path", type=click.Path(dir_okay=False), help="Write a report as one HTML file here (likewise); needs "
              "pip install 'bq-monitor[report]'.")  # fmt: skip
@json_option
def compare(
    baseline: str, current: str, *, output: str | None, csv_path: str | None, html_path: str | None, as_json: bool, **options: Any
) -> None:  # fmt: skip
    """Compare two files (Parquet or CSV) without any set-up."""
    from bq_monitor.comparison.compare import compare as compare_data

    if html_path:
        from bq_monitor.report.html import require_charts

        require_charts("--html")

    listed = options.pop("features")
    names = [name.strip() for name in listed.split(",") if name.strip()] if listed is not None else None
    if options["allow_pickle"] and options["model"]:
        print(
            f"warning: {options['model']}: a pickle runs whatever code its author put in it; load only files that you trust",
            file=sys.stderr,
        )
    result = compare_data(baseline, current, features=names, **options)
    plain = json.dumps(result.to_dict(), indent=2, allow_nan=False, ensure_ascii=False)
    if output:
        write(output, plain + "\n")
    if csv_path:
        write(csv_path, result.to_frame().to_csv(index=False))
    if html_path:
        write_comparison(html_path, result, f"{current} against {baseline}")
    if as_json:
        print(plain)
    else:
        _print_comparison(result)
    exit_with(DRIFT if result.drift_detected else CLEAN, NOT_EVALUATED if result.not_evaluated else CLEAN)


def _print_comparison(result: Comparison) -> None:
    from bq_monitor.tables import comparison_lines, comparison_tables

    for table in comparison_tables(result):
        print_table(table)
    for line in comparison_lines(result):
        print(line)


@cli.command()
@configs_argument
@json_option
def sql(config: Sequence[str], as_json: bool) -> None:
    """Print every GoogleSQL statement of a monitor, unexecuted."""
    from bq_monitor.config_files import load_configs
    from bq_monitor.listing import monitor_statements, printable

    found = [statement for monitor in load_configs(list(config)) for statement in monitor_statements(monitor)]
    if as_json:
        print_json(found)
        return
    for statement in found:
        params = ", ".join(f"@{name} {kind}" for name, kind in statement["params"].items())
        print(f"-- {statement['name']}" + (f" ({params})" if params else ""))
        print(printable(statement["sql"]) + ("" if statement["sql"].rstrip().endswith(";") else ";") + "\n")


@cli.command()
@click.option(
    "--dir",
    "directory",
    default="bq-monitor-demo",
    show_default=True,
    type=click.Path(file_okay=False),
    help="Where to write.",
)
@json_option
def demo(directory: str, as_json: bool) -> None:
    """Watch six years of real loans drift away from the model that was trained on the four before."""
    from bq_monitor.demo import run_demo

    with progress_bar() as bar:
        step = follow(bar, "replaying")
        result = run_demo(Path(directory), lambda row, done, total: step(f"{row.month:%Y-%m}", done, total))
    reported = _report_demo(result)
    if as_json:
        print_json(result.to_dict())
        return
    _print_demo(result)
    print(reported)


def _report_demo(result: DemoResult) -> str:
    """Write the report of the newest month beside the other files; what to print of that."""
    from bq_monitor.config_files import load_config
    from bq_monitor.demo import REPORT
    from bq_monitor.errors import InputError
    from bq_monitor.report.html import render_html, require_charts
    from bq_monitor.report.publish import page_of

    try:
        require_charts("report")
    except InputError as error:
        return f"no report was written: {said(error)}"
    path = result.directory / REPORT
    write(str(path), render_html(page_of(load_config(result.config))))
    return f"report: {path}"


def _print_demo(result: DemoResult) -> None:
    from bq_monitor.tables import demo_outcome_table, demo_table

    print_table(demo_table(result))
    print_table(demo_outcome_table(result))
    print(
        "'estimated' is told on the day itself, from what scores meant in training: it sees inputs move, but not the world change\n"
        "(concept shift); only outcomes show that. Here each comes a year after approval, which is a simplification.\n"
    )
    print(
        f"A model trained on {result.n_training:,} loans of 1999-10 to 2003-09 (ROC AUC {result.roc_auc:.3f}, cross-validated)"
    )
    print(f"answered {result.n_logged:,} applications of 2003-10 to 2009-09; the monitor judged them month by month.\n")
    for what, path in (
        ("configuration", result.config),
        ("training data", result.training),
        ("prediction log", result.log),
        ("outcomes", result.labels),
    ):
        print(f"{what}: {path}")
    print(
        f"tables and views: {result.database}\n\nTry, in Python:\n  import duckdb\n  db = duckdb.connect({str(result.database)!r}, read_only=True)"
    )
    for query in result.queries:
        print(f"  # {query.title}\n  db.sql({' '.join(query.sql.split())!r}).show()")

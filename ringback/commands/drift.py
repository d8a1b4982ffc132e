"""The command that tells whether a model still sees what it was trained on."""
# ruff: noqa: PLC0415 - so `ringback --help` need not load LightGBM

from datetime import UTC, date, datetime
from enum import StrEnum
from heapq import merge
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ringback.commands.reading import usable
from ringback.errors import RingbackError
from ringback.options import AsJson, Format, Set, fail, settings_of

if TYPE_CHECKING:
    from rich.table import Table

    from ringback.scoring_settings import ScoringSettings
    from scoring.data.rows import Rows
    from scoring.drift.incidents import Incident
    from scoring.drift.log import DriftLog, Report
    from scoring.drift.psi import Shift
    from scoring.model import Model

app = typer.Typer()

ALARM = 1
SCORE = "score"
MOST_TOLD = 5


class Period(StrEnum):
    """What a log is divided into (UTC; weeks begin on Monday)."""

    DAY = "day"
    WEEK = "week"
    MONTH = "month"
    ALL = "all"


@app.command()
def drift(
    *,
    log: Annotated[list[Path], typer.Option(help="Exported logs, files or folders; may be repeated.")],
    format_: Format = "jsonl",
    model: Annotated[Path | None, typer.Option(help="Model folder; none: the one that the stream would use.")] = None,
    by: Annotated[Period, typer.Option(help="Tell each of these apart.")] = Period.ALL,
    quiet_until: Annotated[
        str | None,
        typer.Option(
            metavar="YYYY-MM-DD", help="The checkout was in order before; none: while the model's data lasts."
        ),
    ] = None,
    least_rows: Annotated[
        int | None,
        typer.Option(min=1, help="Due carts under which a period's PSI is not told; none: as in the settings."),
    ] = None,
    as_json: AsJson = False,
    set_: Set = None,
) -> None:
    """Compare a log with what a model was trained on; exit code 1 when the drift is alarming.

    Told are the population stability index (PSI) of each feature and of the score, missing and unseen values, the
    log-loss on carts whose outcome is known, and spans in which the checkout's steps were not made as often as before.
    Decisions are taken as they were served where the log has them; else its due carts are replayed.

    Example: ringback drift --log export --by week
    """
    settings = settings_of(set_, scoring__model=model, scoring__drift_rows=least_rows)
    import msgspec

    from scoring.drift.log import DriftLog
    from scoring.model import Model
    from scoring.registry import served_folder

    folder = served_folder(settings.scoring)
    loaded = Model.load(folder)
    if not loaded.manifest.reference:
        raise RingbackError(f"{folder} has no frozen bins to be compared with: train the model again")
    found = DriftLog(loaded.manifest, by.value)
    if format_ == "jsonl":
        _take_exported(found, loaded, log, settings.stream.abandon_after)
    else:
        _take_public(found, loaded, log, format_, settings.stream.abandon_after)
    quiet = None if quiet_until is None else (0.0, _midnight(quiet_until))
    report = found.report(settings.scoring.drift_rows, quiet)
    if as_json:
        typer.echo(msgspec.json.encode(report))
    else:
        _print(report, settings.scoring)
    if report.is_alarming(settings.scoring.drift_alarm):
        raise typer.Exit(ALARM)


def _take_exported(found: "DriftLog", model: "Model", paths: list[Path], gap: float) -> None:
    from scoring.data.logs import read_log
    from scoring.data.rows import prefix_rows

    log = read_log(paths)
    served = 0
    if log.decisions is not None:
        served, left_out = found.decisions(log.decisions)
        if left_out:
            typer.echo(f"{left_out:,} decisions of other features or of played logs left out", err=True)
    if log.events.files:
        # Of rows that were served only those with a final label are looked at here, to see what became of them.
        rows = prefix_rows(
            found.counted(log.events),
            model.manifest.horizon or 0.0,
            gap,
            contacts=log.contacts,
            decisions=log.decisions,
            uncovered=not served,
        )
        _take_rows(found, model, rows, log.name, are_new=not served)
    elif not served:
        fail(f"{log.name}: neither cart events nor decisions that {model.version} can be compared with")


def _take_public(found: "DriftLog", model: "Model", paths: list[Path], format_: str, gap: float) -> None:
    from scoring.data.rows import prefix_rows

    events = merge(*(usable(path, format_) for path in paths), key=lambda event: event.time)
    rows = prefix_rows(found.counted(events), model.manifest.horizon or 0.0, gap, uncovered=True)
    _take_rows(found, model, rows, ", ".join(path.name for path in paths), are_new=True)


def _take_rows(found: "DriftLog", model: "Model", rows: "Rows", name: str, *, are_new: bool) -> None:
    """The due carts, and what became of those whose horizon the log covers. ``are_new``: no decision told of them."""
    from scoring.judging.judge import predict

    data = rows.dataset(name).take(rows.due)
    scores = predict(model, data)
    if are_new:
        found.rows(data, scores)
    covered = rows.times[rows.due] + rows.horizon <= rows.last
    found.matured(data.take(covered), scores[covered])


def _midnight(text: str) -> float:
    try:
        day = date.fromisoformat(text)
    except ValueError:
        fail(f"--quiet-until {text}: expected a day such as 2024-04-08")
    return datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()


def _print(report: "Report", settings: "ScoringSettings") -> None:
    from rich.console import Console

    Console().print(_table(report, settings))
    for look in report.looks:
        over = [one for one in look.over(settings.drift_warn) if one.name != SCORE]
        for one in over[:MOST_TOLD]:
            typer.echo(f"{_day(look.begin)}: {_told(one, settings)}")
        if len(over) > MOST_TOLD:
            typer.echo(f"{_day(look.begin)}: {len(over) - MOST_TOLD} more features over {settings.drift_warn:g}")
    if report.incidents is None:
        typer.echo("checkout: not judged, too few visits with a cart in the quiet time; see --quiet-until")
    for incident in report.incidents or ():
        typer.echo(_incident(incident))
    alarming = report.is_alarming(settings.drift_alarm)
    typer.echo("ALARM: this is not what the model was trained on" if alarming else "no alarming drift")


def _table(report: "Report", settings: "ScoringSettings") -> "Table":
    from rich.table import Table

    columns = ("from", "due carts", "PSI of the score", f"features over {settings.drift_warn:g}", "log-loss", "on")
    table = Table(*columns, caption=f"PSI is told of {settings.drift_rows:,} due carts or more")
    for look in report.looks:
        score = next((one for one in look.shifts if one.name == SCORE), None)
        over = [one for one in look.over(settings.drift_warn) if one.name != SCORE]
        table.add_row(
            _day(look.begin),
            f"{look.rows:,}",
            "" if score is None else f"{score.psi:.3f}",
            str(len(over)) if look.shifts else "",
            "" if look.log_loss is None else f"{look.log_loss:.4f}",
            f"{look.matured:,}",
        )
    return table


def _told(one: "Shift", settings: "ScoringSettings") -> str:
    """How a feature shifted, with what is new about its values."""
    words = f"{one.name}: PSI {one.psi:.2f}"
    if abs(one.missing - one.missing_then) > settings.drift_warn:
        words += f", {one.missing:.0%} missing ({one.missing_then:.0%} in training)"
    if one.unseen:
        words += f", {one.unseen:.1%} unseen in training"
    return words + (" ALARM" if one.over(settings.drift_alarm) else "")


def _day(time: float) -> str:
    return str(datetime.fromtimestamp(time, UTC).date())


def _incident(incident: "Incident") -> str:
    span = f"INCIDENT from {_day(incident.begin)} to before {_day(incident.end)}"
    shares = f"{incident.step} {incident.share:.0%} of {incident.visits:,} visits, {incident.share_before:.0%} before"
    return f"{span}: {shares} (PSI {incident.psi:.2f}, {abs(incident.z):.1f} standard deviations)"

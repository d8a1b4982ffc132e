"""Commands about the uplift model: whom a contact changes."""
# ruff: noqa: PLC0415 - so `ringback --help` need not load LightGBM

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ringback.errors import RingbackError
from ringback.options import AsJson, Group, Seed, fail, seconds_of
from ringback.records import Channel

if TYPE_CHECKING:
    from collections.abc import Mapping

    from scoring.judging.qini import Estimate, Name
    from scoring.training.trial import Trial
    from scoring.uplift import Arms, UpliftManifest

app = typer.Typer()
HELP = """Learn whom a contact changes, and judge what is learnt, on a trial.

Example: ringback uplift train --log export --out models
"""
uplift = typer.Typer(cls=Group, no_args_is_help=True, help=HELP)

Logs = Annotated[
    list[Path] | None, typer.Option("--log", help="Exported decisions, contacts and orders; may be repeated.")
]
Table = Annotated[Path | None, typer.Option(help="A table of a trial (CSV or Parquet) instead.")]
Treatment = Annotated[str | None, typer.Option(metavar="COLUMN", help="The table's column that tells the arms.")]
Label = Annotated[str | None, typer.Option(metavar="COLUMN", help="The table's column that tells who bought.")]
Treated = Annotated[str, typer.Option(metavar="VALUE", help="The treated arm's value in that column.")]
Control = Annotated[str, typer.Option(metavar="VALUE", help="The untreated arm's value.")]
GroupColumn = Annotated[
    str | None, typer.Option("--group", metavar="COLUMN", help="Whose rows belong together, in a table.")
]
Drop = Annotated[list[str] | None, typer.Option(metavar="COLUMN", help="Not a feature: what came after the treatment.")]
Voice = Annotated[Channel, typer.Option(help="Of a log: the contact whose uplift is learnt.")]
Horizon = Annotated[str, typer.Option(help="Of a log: bought within this (90m, 24h, 7d).")]
NAMES = {"x": "X-learner", "t": "T-learner", "response": "P(buys | treated)", "random": "random"}


class LearnerName(StrEnum):
    """How the effect is learnt."""

    T = "t"
    X = "x"


@uplift.command()
def train(
    *,
    out: Annotated[Path, typer.Option(help="The folder of models; the model gets a folder of its own in it.")],
    log: Logs = None,
    table: Table = None,
    treatment: Treatment = None,
    label: Label = None,
    treated: Treated = "1",
    control: Control = "0",
    group: GroupColumn = None,
    drop: Drop = None,
    channel: Voice = Channel.VOICE,
    horizon: Horizon = "24h",
    learner: Annotated[LearnerName, typer.Option(help="Both are judged; this one is written.")] = LearnerName.X,
    seed: Seed = 7,
    as_json: AsJson = False,
) -> None:
    """Learn how much a contact adds to the probability of an order, from a trial: the holdout's, or a table's.

    The stream uses the model only where the 95 % interval of its Q is over zero, and after `ringback promote`.

    Example: ringback uplift train --log export --out models

    Example: ringback uplift train --table trial.csv --treatment called --label bought --out models
    """
    from rich.console import Console
    from rich.progress import Progress

    from scoring.training.uplift_train import FOLDS, REPEATS
    from scoring.training.uplift_train import train as fit
    from scoring.uplift import Arms

    if table is not None:
        trial = _table(table, Arms(column=treatment or "", treated=treated, control=control), label, group, drop)
    else:
        trial = _log(log, channel, seconds_of(horizon))
    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("folds", total=FOLDS * REPEATS)
        manifest = fit(
            trial,
            out,
            label=label or f"bought within {horizon}",
            learner=learner.value,
            seed=seed,
            progress=lambda: progress.advance(task),
        )
    if as_json:
        _print_json(manifest)
        return
    typer.echo(
        f"{manifest.version} in {out}: {manifest.rows:,} rows, {manifest.treated:,} of them treated "
        f"({manifest.arms.column}: {manifest.arms.treated} against {manifest.arms.control})"
    )
    for column, why in manifest.dropped.items():
        typer.echo(f"column {column} is left out: it {why}", err=True)
    _print(manifest.estimates, f"cross-fitted, {REPEATS} x {FOLDS} folds")
    typer.echo(f"{NAMES[manifest.learner]} {manifest.verdict()}")
    typer.echo(_gain(manifest.gain))


@uplift.command()
def evaluate(
    model: Annotated[Path, typer.Argument(exists=True, file_okay=False, help="An uplift model's folder.")],
    log: Logs = None,
    table: Table = None,
    seed: Seed = 7,
    as_json: AsJson = False,
) -> None:
    """Judge an uplift model on another trial: Q and the uplift of the top, beside the response model and chance.

    On the trial that it was trained on, the cross-fitted numbers of its manifest are told again.

    Example: ringback uplift evaluate models/uplift-4986f8af6c82 --log export-of-june
    """
    from scoring.training.uplift_train import RESPONSE
    from scoring.training.uplift_train import evaluate as judge
    from scoring.uplift import Uplift

    manifest = Uplift.load(model).manifest
    trial = _same_trial(manifest, log, table)
    if trial.source.sha256 == manifest.data.sha256:
        estimates, gain = manifest.estimates, manifest.gain
        how = "the trial it was trained on: cross-fitted numbers"
    else:
        _, judged = judge(model, trial, seed)
        estimates, gain = judged.estimates, judged.differences[manifest.learner, RESPONSE]
        how = "another trial than it was trained on"
    if as_json:
        _print_json({"version": manifest.version, "rows": len(trial), "estimates": estimates, "gain": gain, "how": how})
        return
    typer.echo(f"{manifest.version} on {trial.source.name}: {len(trial):,} rows, {int(trial.treated.sum()):,} treated")
    _print(estimates, how)
    typer.echo(_gain(gain))


def _table(path: Path, arms: "Arms", label: str | None, group: str | None, drop: list[str] | None) -> "Trial":
    from scoring.data.table import read_table
    from scoring.training.trial import trial_of_table

    if not arms.column or label is None:
        fail("--table needs --treatment COLUMN and --label COLUMN")
    return trial_of_table(read_table(path, label, group, drop=drop or ()), arms)


def _log(paths: list[Path] | None, channel: Channel, horizon: float) -> "Trial":
    from scoring.data.contacts import uplift_rows
    from scoring.data.logs import read_log
    from scoring.manifest import DataSource, sha256
    from scoring.training.trial import trial_of_log

    if not paths:
        fail("give either --log PATH, once or more, or --table FILE")
    log = read_log(paths)
    if log.decisions is None or log.contacts is None:
        fail(f"{log.name}: no decisions or no contacts in it; `ringback export` writes all that is needed")
    orders = (record for topic in (log.events, log.conversions) if topic is not None for record in topic)
    rows = uplift_rows(log.decisions, log.contacts, orders, horizon)
    source = DataSource(
        name=log.name,
        sha256=sha256(rows.vectors.tobytes() + rows.labels.tobytes() + rows.treated.tobytes()),
        events=len(rows),
        shoppers=len(set(rows.groups.tolist())),
        first=float(rows.times.min()) if len(rows) else None,
        last=float(rows.times.max()) if len(rows) else None,
        left_out=rows.left_out,
    )
    return trial_of_log(rows, channel, source, horizon)


def _same_trial(manifest: "UpliftManifest", log: list[Path] | None, table: Path | None) -> "Trial":
    """A trial as the model's was read."""
    from scoring.data.table import read_table
    from scoring.training.trial import trial_of_table

    if manifest.rows_of == "log":
        return _log(log, Channel(manifest.arms.treated), manifest.horizon or 0.0)
    if table is None:
        raise RingbackError(f"{manifest.version} was trained on a table: give another one with --table FILE")
    data = read_table(table, manifest.label, columns=(*manifest.columns, manifest.arms.as_column()))
    return trial_of_table(data, manifest.arms)


def _print(estimates: "Mapping[str, Mapping[Name, Estimate]]", how: str) -> None:
    from rich.console import Console
    from rich.table import Table as Grid

    grid = Grid("ranked by", "Q (e-4)", "uplift in the top 10 %", "20 %", "30 %", caption=how)
    columns: tuple[tuple[Name, float], ...] = (("q", 1e4), ("uplift_10", 1e2), ("uplift_20", 1e2), ("uplift_30", 1e2))
    for name, numbers in estimates.items():
        cells = [_cell(numbers.get(number), scale) for number, scale in columns]
        grid.add_row(NAMES[name], *cells)
    Console().print(grid)
    effects = [numbers["effect"] for numbers in estimates.values() if "effect" in numbers]
    if effects:
        typer.echo(f"effect of the treatment on all: {_cell(effects[0], 1e2)} percentage points")


def _cell(estimate: "Estimate | None", scale: float) -> str:
    if estimate is None:
        return "unknown"
    return f"{estimate.value * scale:.1f} [{estimate.low * scale:.1f}, {estimate.high * scale:.1f}]"


def _gain(gain: "Estimate") -> str:
    beyond = "beyond chance" if gain.low > 0 or gain.high < 0 else "which chance could explain"
    words = f"{gain.value * 1e4:+.1f}e-4 Q against ranking by P(buys | treated), {beyond}"
    return f"{words} (95 % interval {gain.low * 1e4:+.1f}e-4 to {gain.high * 1e4:+.1f}e-4)"


def _print_json(what: object) -> None:
    import msgspec

    typer.echo(msgspec.json.encode(what))


app.add_typer(uplift, name="uplift")

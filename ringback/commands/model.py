"""Commands about the intent model: train it, judge it, score with it."""
# ruff: noqa: PLC0415 - so `ringback --help` need not load LightGBM

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ringback.commands.reading import usable
from ringback.options import AsJson, File, Format, Seed, Set, fail, seconds_of, settings_of

if TYPE_CHECKING:
    from scoring.dataset import Dataset
    from scoring.manifest import Manifest
    from scoring.open_carts import ScoredCart

app = typer.Typer()


@app.command()
def train(
    more: Annotated[list[Path] | None, typer.Argument(metavar="[PATH]...", help="More of what --log names.")] = None,
    *,
    log: Annotated[
        list[Path] | None, typer.Option(metavar="PATH", help="A log or a folder of `ringback export`; may be repeated.")
    ] = None,
    format_: Format = "jsonl",
    table: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Train on a table of vectors instead: CSV or Parquet.")
    ] = None,
    label: Annotated[str | None, typer.Option(metavar="COLUMN", help="Of the table: what is to be foretold.")] = None,
    group: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="Whose rows belong together; else found by its name.")
    ] = None,
    time: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="When each row was; the test is then forward in time.")
    ] = None,
    order: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="Numbers the visits of a group; else found by its name.")
    ] = None,
    drop: Annotated[
        list[str] | None, typer.Option(metavar="COLUMN", help="A column that is no feature; may be repeated.")
    ] = None,
    synthetic: Annotated[bool, typer.Option("--synthetic", help="Train on the simulated shop instead.")] = False,
    out: Annotated[
        Path | None, typer.Option(help="The folder of models to write a new one into; none: scoring.models.")
    ] = None,
    as_: Annotated[
        Path | None, typer.Option("--as", metavar="FOLDER", help="Write exactly this model folder instead.")
    ] = None,
    horizon: Annotated[str, typer.Option(help="The label of a log: bought within this (90m, 24h, 7d).")] = "24h",
    uncovered: Annotated[
        bool, typer.Option("--uncovered", help="Keep rows whose horizon ends after the log: for short logs.")
    ] = False,
    most_rows: Annotated[
        int | None, typer.Option(min=1, help="Of a log with more rows, whole shoppers are left out (2,000,000).")
    ] = None,
    name: Annotated[str | None, typer.Option(help="Of the data: what scoring.auc_ceilings knows it by.")] = None,
    licence: Annotated[str, typer.Option(help="Of the data; noted in the manifest.")] = "unknown",
    seed: Seed = 7,
    as_json: AsJson = False,
    set_: Set = None,
) -> None:
    """Train an intent model on a log, or on a table of vectors, and judge it on rows that it has not seen.

    Writes models/<version>/ with model.txt, calibration.json, manifest.json and report.html; it serves once it is
    promoted. Data on which it does too well is refused, as leaking what is to be foretold.

    Example: ringback train --log export/ --out models/
    """
    logs = [*(log or ()), *((more or ()) if log else ())]
    if (more and not log) or [bool(log), table is not None, synthetic].count(True) != 1:
        fail("give either --log PATH, once or more, or --table FILE --label COLUMN, or --synthetic")
    if (table is None) != (label is None):
        fail("--table and --label go together: --table carts.csv --label bought")
    if out is not None and as_ is not None:
        fail("give --out or --as, not both")
    settings = settings_of(set_, scoring__models=out)
    seconds = seconds_of(horizon)
    import msgspec

    from ringback.commands.rows import log_dataset
    from scoring.training.train import Options
    from scoring.training.train import train as fit

    folder = as_ or settings.scoring.models
    with _steps() as step:
        if table is not None:
            data = _table(table, label or "", group, time, order, drop or [], name, licence)
        elif synthetic:
            data = _simulated(seconds, settings.stream.abandon_after, seed, lambda count: step("reading", count, 0))
        else:
            data = log_dataset(
                logs,
                format_,
                seconds,
                settings.stream.abandon_after,
                settings.stream.forget_after,
                uncovered=uncovered,
                most_rows=most_rows,
                name=name,
                licence=licence,
                progress=lambda count: step("reading", count, 0),
            )
        options = Options(
            seed=seed,
            gap=settings.stream.abandon_after if data.kind == "log" else None,
            champion=_champion(settings.scoring.models),
            settings=settings.scoring,
            report=as_ is None,
        )
        manifest = fit(data, folder, options, step, exactly=as_ is not None)
    if as_json:
        typer.echo(msgspec.json.encode(manifest))
    else:
        _tell(manifest, folder if as_ is not None else folder / manifest.version)


def _table(
    path: Path,
    label: str,
    group: str | None,
    time: str | None,
    order: str | None,
    drop: list[str],
    name: str | None,
    licence: str,
) -> "Dataset":
    """The table's rows; what was found by its name is told, because it may be wrong."""
    from scoring.data.table import read_table

    data = read_table(path, label, group, time, drop, order=order, name=name, licence=licence)
    if data.table is not None:
        for given, found, what in ((group, data.table.group, "group"), (order, data.table.order, "order")):
            if given is None and found is not None:
                typer.echo(f"{path}: {found} taken for the {what}, by its name (--{what} says otherwise)", err=True)
        for column, reason in data.table.dropped.items():
            typer.echo(f"{path}: {column} is left out: {reason}", err=True)
    return data


def _simulated(horizon: float, gap: float, seed: int, progress: "Callable[[int], None]") -> "Dataset":
    from scoring.data.rows import prefix_rows
    from simulation.shop import training_log

    rows = prefix_rows(training_log(seed=seed), horizon, gap, progress=progress)
    return rows.dataset(f"simulation.shop, seed {seed}", "Apache-2.0")


def _champion(models: Path) -> "Manifest | None":
    """What the model in use says of itself; None where there is none that can be used."""
    from ringback.errors import ModelRefused
    from scoring import manifest
    from scoring.registry import Registry

    registry = Registry(models)
    try:
        current = registry.standing().current
        return None if current is None else manifest.read(registry.folder(current))[0]
    except ModelRefused as error:
        typer.echo(f"the current model is not compared with: {error}", err=True)
        return None


@contextmanager
def _steps() -> "Iterator[Callable[[str, int, int], None]]":
    """Shows a progress bar for each thing that is done, on standard error; a total of 0 is not known."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
    bars: dict[str, TaskID] = {}
    with Progress(*columns, console=Console(stderr=True)) as progress:

        def show(what: str, done: int, total: int) -> None:
            if what not in bars:
                bars[what] = progress.add_task(what, total=total or None)
            progress.update(bars[what], completed=done)

        yield show


def _tell(manifest: "Manifest", folder: Path) -> None:
    import msgspec

    split = manifest.split
    typer.echo(f"{manifest.version} in {folder}: {manifest.rows:,} rows, {manifest.base_rate:.1%} of them bought")
    typer.echo(
        f"  {split.kind} split: trained on {split.train:,} rows, tested on {split.test:,}; {manifest.trees} trees; "
        f"calibration: {manifest.calibration.kind}"
    )
    for reason, count in manifest.data.left_out.items():
        typer.echo(f"  left out: {count:,} ({reason})")
    for part, metrics in manifest.metrics.items():
        ends = manifest.intervals.get(part, {})
        numbers = msgspec.to_builtins(metrics).items()
        typer.echo(f"  {part}: " + ", ".join(f"{name} {_number(number, ends.get(name))}" for name, number in numbers))


def _number(number: float | None, ends: tuple[float, float] | None) -> str:
    if number is None:
        return "unknown (one class only)"
    if isinstance(number, int):
        return f"{number:,}"
    return f"{number:.3f}" if ends is None else f"{number:.3f} [{ends[0]:.3f}, {ends[1]:.3f}]"


@app.command()
def score(
    file: File,
    format_: Format = "jsonl",
    model: Annotated[Path | None, typer.Option(help="Model folder; none: the one in the settings.")] = None,
    top: Annotated[int, typer.Option(min=1, help="How many carts to show.")] = 20,
    as_json: AsJson = False,
    set_: Set = None,
) -> None:
    """Score the open carts of a log, each as it is when it becomes due or the log ends.

    Example: ringback score events.jsonl --top 5
    """
    settings = settings_of(set_, scoring__model=model)
    import msgspec

    from scoring.model import Model, default_model_folder
    from scoring.open_carts import score_open_carts

    loaded = Model.load(settings.scoring.model or default_model_folder())
    scored = score_open_carts(usable(file, format_), loaded.score, settings.stream.abandon_after)
    typer.echo(f"{len(scored):,} open carts, scored by {loaded.version}", err=True)
    if as_json:
        typer.echo(msgspec.json.encode(scored[:top]))
    else:
        _print_carts(scored[:top])


def _print_carts(carts: "Iterable[ScoredCart]") -> None:
    from rich.console import Console
    from rich.table import Table

    from ringback.money import show

    table = Table("cart", "shopper", "pieces", "value", "score", "expected value")
    for cart in carts:
        amounts = [
            show(round(amount), cart.currency) if cart.currency else "-" for amount in (cart.value, cart.expected_value)
        ]
        table.add_row(cart.cart_id, cart.shopper_id, str(cart.pieces), amounts[0], f"{cart.score:.3f}", amounts[1])
    Console().print(table)

"""Commands about the intent model: train it, judge it, score with it."""
# ruff: noqa: PLC0415 - so `ringback --help` need not load LightGBM

from collections.abc import Iterable, Iterator
from heapq import merge
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ringback.options import AsJson, File, Format, Seed, Set, fail, seconds_of, settings_of

if TYPE_CHECKING:
    from ringback.records import CartEvent
    from scoring.open_carts import ScoredCart

app = typer.Typer()


@app.command()
def train(
    *,
    out: Annotated[Path, typer.Option(help="The model folder to write.")],
    log: Annotated[list[Path] | None, typer.Option(help="A log; may be repeated.")] = None,
    format_: Format = "jsonl",
    synthetic: Annotated[bool, typer.Option("--synthetic", help="Train on the simulated shop instead.")] = False,
    horizon: Annotated[str, typer.Option(help="The label: bought within this (90m, 24h, 7d).")] = "24h",
    uncovered: Annotated[
        bool, typer.Option("--uncovered", help="Keep rows whose horizon ends after the log: for short logs.")
    ] = False,
    licence: Annotated[str, typer.Option(help="Of the log; noted in the manifest.")] = "unknown",
    seed: Seed = 7,
    as_json: AsJson = False,
) -> None:
    """Train the intent model.

    Example: ringback train --log 2019-Oct.csv.gz --format rees46 --out models/october
    """
    if bool(log) == synthetic:
        fail("give either --log FILE, once or more, or --synthetic")
    import msgspec
    from rich.console import Console

    from scoring.train import train as fit

    seconds = seconds_of(horizon)
    if log:
        events, source = _events_of(log, format_), ", ".join(path.name for path in log)
    else:
        from simulation.shop import training_log

        events, source, licence = training_log(seed=seed), f"simulation.shop, seed {seed}", "Apache-2.0"
    with Console(stderr=True).status("reading events") as status:
        manifest = fit(
            events,
            out,
            horizon=seconds,
            seed=seed,
            source=source,
            licence=licence,
            uncovered=uncovered,
            progress=lambda count: status.update(f"{count:,} events read"),
        )
    if as_json:
        typer.echo(msgspec.json.encode(manifest))
        return
    typer.echo(f"{manifest.version} in {out}: {manifest.rows:,} rows, {manifest.base_rate:.1%} of them bought")
    for part, metrics in manifest.metrics.items():
        numbers = msgspec.to_builtins(metrics).items()
        typer.echo(f"  {part}: " + ", ".join(f"{name} {_number(number)}" for name, number in numbers))


def _number(number: float | None) -> str:
    if number is None:
        return "unknown (one class only)"
    return f"{number:,}" if isinstance(number, int) else f"{number:.3f}"


def _events_of(paths: list[Path], format_: str) -> "Iterator[CartEvent]":
    """The logs' events merged by time; how many lines were broken is told at the end of each."""
    return merge(*(_usable(path, format_) for path in paths), key=lambda event: event.time)


def _usable(path: Path, format_: str) -> "Iterator[CartEvent]":
    from ingest.logs import BrokenLine, read

    broken = 0
    for one in read(path, format_):
        if isinstance(one, BrokenLine):
            broken += 1
        else:
            yield one
    if broken:
        typer.echo(f"{path}: {broken:,} broken lines left out", err=True)


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
    scored = score_open_carts(_usable(file, format_), loaded.score, settings.stream.abandon_after)
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

"""The command that says why: why a cart got its score, and why a person may or may not be called."""
# ruff: noqa: PLC0415 - so `ringback --help` need not load LightGBM

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ringback.commands.explain_call import explain_call
from ringback.commands.reading import usable
from ringback.options import AsJson, Format, Redis, Set, fail, settings_of
from ringback.records import Record
from ringback.settings import Settings

if TYPE_CHECKING:
    from rich.console import Console

    from ringback.scoring_settings import ScoringSettings
    from scoring.explain import Contribution, Explanation
    from scoring.open_carts import ScoredCart

app = typer.Typer()

MOST_ROWS = 12


class Explained(Record, frozen=True, kw_only=True):
    """An open cart and why it got its score. ``lift`` says by what the stream would rank a call about it."""

    cart: "ScoredCart"
    explanation: "Explanation"
    model: str
    lift: str


@app.command()
def explain(
    *,
    target: Annotated[str, typer.Argument(metavar="FILE|PHONE|CART", help="A log; a number; the cart of a lead.")],
    cart: Annotated[list[str] | None, typer.Option(help="Only this cart; may be repeated.")] = None,
    format_: Format = "jsonl",
    model: Annotated[Path | None, typer.Option(help="Model folder; none: the one that the stream would use.")] = None,
    top: Annotated[int, typer.Option(min=1, help="How many carts, those worth most first.")] = 3,
    at: Annotated[
        str | None, typer.Option(metavar="TIME", help="When a call would be made: 2026-11-27T10:00-05:00; else now.")
    ] = None,
    as_json: AsJson = False,
    set_: Set = None,
    redis: Redis = None,
) -> None:
    """Of a log: why its open carts get their scores, and what an agent would read about them.

    Of a phone number or a cart: whether a call may be made, and what each rule says about it.

    Example: ringback explain events.jsonl --cart c-1017

    Example: ringback explain +12125550123 --at 2026-11-27T10:00-05:00
    """
    settings = settings_of(set_, redis__url=redis)
    file = Path(target)
    if file.is_file():
        if at is not None:
            fail(f"--at {at}: only of a phone number or a cart; {file} is a log")
        _explain_scores(file, cart, format_, model, top, settings, as_json=as_json)
    elif cart or model is not None:
        fail(f"{file}: no such file; --cart and --model are of a log")
    else:
        explain_call(target, at, settings, as_json=as_json)


def _explain_scores(
    file: Path,
    cart: list[str] | None,
    format_: str,
    model: Path | None,
    top: int,
    settings: Settings,
    *,
    as_json: bool,
) -> None:
    from heapq import nlargest

    import msgspec

    from scoring import explain as explaining
    from scoring import reasons
    from scoring.model import Model
    from scoring.open_carts import open_carts, scored_cart
    from scoring.registry import served_folder

    phrases = reasons.load(settings.scoring.reasons)
    loaded = Model.load(model or served_folder(settings.scoring))
    lift = _lift(settings.scoring)
    wanted = set(cart or ())
    found = [
        (scored_cart(one, loaded.score), one)
        for one in open_carts(usable(file, format_), settings.stream.abandon_after)
        if not wanted or one.cart.cart_id in wanted
    ]
    missing = wanted - {one.cart.cart_id for _, one in found}
    if missing:
        fail(f"{file}: no cart {', '.join(sorted(missing))} is open at the end of the log")
    best = nlargest(len(found) if wanted else top, found, key=lambda pair: (pair[0].expected_value, pair[0].score))
    explained = [
        Explained(
            cart=scored,
            explanation=explaining.explain(loaded, one.row, explaining.basket(one.features, one.cart), phrases),
            model=loaded.version,
            lift=lift(one.row),
        )
        for scored, one in best
    ]
    if as_json:
        typer.echo(msgspec.json.encode(explained))
    else:
        _print(explained, len(found))


def _lift(settings: "ScoringSettings") -> "Callable[[Sequence[float]], str]":
    """Says, for a row, by what the stream would rank a call: by the uplift model, or by the stated prior, and why."""
    from ringback.errors import ModelRefused
    from ringback.metrics import ModelRole
    from scoring.registry import Registry, usable_uplift

    registry = Registry(settings.models)
    version = None if settings.model else registry.pointed(ModelRole.UPLIFT)
    if version is None:
        why = "scoring.model is set" if settings.model else f"no uplift model is promoted in {settings.models}"
        return lambda row: f"prior: {why}"
    try:
        model = usable_uplift(registry.folder(version))
    except ModelRefused as refused:
        why = str(refused)
        return lambda row: f"prior: {why}"
    return lambda row: f"uplift: a call adds {model.score(row):+.1%} by {model.version}"


def _print(explained: Iterable[Explained], count: int) -> None:
    from rich.console import Console
    from rich.markup import escape

    from ringback.money import show

    console = Console()
    for one in explained:
        cart = one.cart
        value = show(cart.value, cart.currency) if cart.currency else "unknown value"
        console.print(
            f"[bold]cart {escape(cart.cart_id)}[/] of shopper {escape(cart.shopper_id)}: {value}, "
            f"{cart.pieces} pieces, buys with {cart.score:.1%} by {one.model}"
        )
        for title, lines in (("why", one.explanation.reasons), ("say", one.explanation.talking_points)):
            for number, line in enumerate(lines):
                console.print(f"  {'' if number else title:4} {escape(line)}", highlight=False)
        console.print(f"  [dim]lift {escape(one.lift)}[/]", highlight=False)
        _print_contributions(console, one.explanation)
    console.print(f"{count:,} open carts", style="dim", highlight=False)


def _print_contributions(console: "Console", explanation: "Explanation") -> None:
    from rich.table import Table

    if explanation.base is None:
        console.print("  the contributions did not add up to the score; see the log", style="red")
        return
    table = Table("feature", "value", "adds to the log-odds", box=None, padding=(0, 2))
    for column in table.columns[1:]:
        column.justify = "right"
    table.add_row("", "", f"{explanation.base:+.3f} on average")
    shown, rest = explanation.contributions[:MOST_ROWS], explanation.contributions[MOST_ROWS:]
    for one in shown:
        table.add_row(one.feature, _shown(one), f"{one.contribution:+.3f}")
    if rest:
        table.add_row(f"{len(rest)} others", "", f"{sum(one.contribution for one in rest):+.3f}")
    whole = explanation.base + sum(one.contribution for one in explanation.contributions)
    table.add_row("all together", "", f"{whole:+.3f}", style="bold")
    console.print(table)


def _shown(one: "Contribution") -> str:
    from scoring.features import FEATURES

    if one.value is None:
        return "-"
    levels = next(feature.levels for feature in FEATURES if feature.name == one.feature)
    return levels[int(one.value)] if levels else f"{one.value:,.4g}"

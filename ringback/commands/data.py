"""Commands about data: what Kafka holds, into files."""
# ruff: noqa: PLC0415 - so `ringback --help` need not load Kafka's client

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ringback.errors import SettingsError
from ringback.options import AsJson, Bootstrap, Set, fail, seconds_of, settings_of

if TYPE_CHECKING:
    from rich.console import Console

    from ringback.export import Exported

app = typer.Typer()


class ExportedTopic(StrEnum):
    """What can be exported."""

    CART_EVENTS = "cart-events"
    DECISIONS = "decisions"
    CONTACTS = "contacts"
    CONVERSIONS = "conversions"


class ExportForm(StrEnum):
    """How files are written."""

    JSONL = "jsonl"
    PARQUET = "parquet"


@app.command()
def export(
    *,
    out: Annotated[Path, typer.Option(metavar="DIR", help="The folder; each topic gets one of its own in it.")],
    topic: Annotated[list[ExportedTopic] | None, typer.Option(help="May be repeated; without it: all of them.")] = None,
    form: Annotated[
        ExportForm, typer.Option("--format", help="parquet is smaller, and needs the extra train.")
    ] = ExportForm.JSONL,
    since: Annotated[
        str | None, typer.Option(metavar="7d", help="Only what reached Kafka within this (90m, 24h, 7d).")
    ] = None,
    as_json: AsJson = False,
    set_: Set = None,
    bootstrap: Bootstrap = None,
) -> None:
    """Write cart events, decisions, contacts and conversions into files, for `ringback train --log DIR`.

    Names, phone numbers, e-mail addresses and consent are not exported, nor are agents: training needs none of them.
    Shoppers keep their ids; that two turned out to be one is exported too. Kafka keeps cart events for seven days:
    export into the same folder daily, and the log grows; what comes twice counts once.

    Example: ringback export --out log --since 1d --format parquet
    """
    settings = settings_of(set_, kafka__bootstrap=bootstrap)
    seconds = None if since is None else _seconds(since)
    import msgspec
    from rich.console import Console

    from ringback.export import export as write
    from ringback.records import Topic

    console = Console(stderr=True)
    topics = [Topic(f"ringback.{one.value}") for one in dict.fromkeys(topic or ExportedTopic)]
    with _bars(console if console.is_terminal or not as_json else None) as show:
        done = asyncio.run(
            write(
                settings.kafka,
                out,
                topics,
                form=form.value,
                since=None if seconds is None else time.time() - seconds,
                progress=show,
            )
        )
    if as_json:
        typer.echo(msgspec.json.encode(done))
        return
    for one in done:
        typer.echo(_told(one))


def _seconds(since: str) -> float:
    try:
        return seconds_of(since)
    except SettingsError:
        fail(f"--since {since}: expected a number with s, m, h or d, such as 7d")


def _told(done: "Exported") -> str:
    left_out = "".join(f"; left out: {count:,} ({reason})" for reason, count in done.left_out.items())
    if done.first is None or done.last is None:
        return f"{done.topic}: empty, nothing to export{left_out}"
    first, last = (time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(at)) for at in (done.first, done.last))
    files = "1 file" if len(done.files) == 1 else f"{len(done.files):,} files"
    return f"{done.topic}: {done.records:,} records in {files}, {first} to {last} UTC{left_out}"


@contextmanager
def _bars(console: "Console | None") -> "Iterator[Callable[[str, int, int], None]]":
    """Shows a progress bar a topic; nothing where there is no console."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    bars: dict[str, TaskID] = {}
    with Progress(*columns, console=console, disable=console is None) as progress:

        def show(name: str, done: int, total: int) -> None:
            if name not in bars:
                bars[name] = progress.add_task(name, total=total)
            progress.update(bars[name], completed=done)

        yield show

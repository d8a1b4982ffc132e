"""Reading logs for commands: what is broken is counted, and told at the end."""

from collections.abc import Iterator
from pathlib import Path

import typer

from ringback.records import CartEvent


def usable(path: Path, format_: str) -> Iterator[CartEvent]:
    """A log's events; how many of its lines were broken is told when it ends. Raises `RingbackError`."""
    from ingest.logs import BrokenLine, read  # noqa: PLC0415 - so `ringback --help` need not load it

    broken = 0
    for one in read(path, format_):
        if isinstance(one, BrokenLine):
            broken += 1
        else:
            yield one
    if broken:
        typer.echo(f"{path}: {broken:,} broken lines left out", err=True)

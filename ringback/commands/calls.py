"""Commands about the records of calls."""
# ruff: noqa: PLC0415 - so `ringback --help` need not load Kafka's client

import asyncio
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, BinaryIO

import typer

from ringback.errors import RingbackError
from ringback.options import Bootstrap, Group, Set, fail, settings_of

app = typer.Typer()
calls = typer.Typer(
    cls=Group,
    no_args_is_help=True,
    help="The records of calls that the law has you keep.\n\nExample: ringback calls export --from 2026-10-01",
)
app.add_typer(calls, name="calls")


class Form(StrEnum):
    """How records are written."""

    CSV = "csv"
    JSONL = "jsonl"


@calls.command()
def export(
    *,
    begin: Annotated[str, typer.Option("--from", metavar="DATE", help="The first day, or a time (RFC 3339).")],
    end: Annotated[str | None, typer.Option("--to", metavar="DATE", help="The day after; without it: now.")] = None,
    form: Annotated[Form, typer.Option("--format", help="csv or jsonl.")] = Form.CSV,
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="Without it: standard output.")] = None,
    set_: Set = None,
    bootstrap: Bootstrap = None,
) -> None:
    """Write the record of each call that ended in a time, and of what agents reported of it.

    The numbers of shoppers and agents' names are in it, in full: keep it as you keep the calls. Days are UTC.

    Example: ringback calls export --from 2026-10-01 --to 2026-11-01 --out october.csv
    """
    settings = settings_of(set_, kafka__bootstrap=bootstrap)
    since, until = _moment("--from", begin), datetime.now(UTC).timestamp() if end is None else _moment("--to", end)
    if until <= since:
        fail(f"--to {end} is not after --from {begin}: nothing can have ended between them")
    from ringback.call_export import export_calls

    with _opened(out) as file:
        done = asyncio.run(export_calls(settings, file.write, form.value, since, until))
    left_out = f"; left out: {done.unreadable:,} that can't be read" if done.unreadable else ""
    typer.echo(f"{done.calls:,} calls and {done.reports:,} reports, SHA-256 {done.sha256}{left_out}", err=True)


def _moment(option: str, text: str) -> float:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        fail(f"{option} {text}: expected a day such as 2026-10-01, or a time such as 2026-10-01T08:00:00Z")
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()


@contextmanager
def _opened(out: Path | None) -> Iterator[BinaryIO]:
    """Standard output; or a file that appears when it is whole, and that only its owner may read."""
    if out is None:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    unfinished = out.with_name(f".{out.name}.{os.getpid()}")
    try:
        with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            yield file
        unfinished.replace(out)
    except OSError as error:
        raise RingbackError(f"{out} can't be written ({error.strerror or error})") from None
    finally:
        unfinished.unlink(missing_ok=True)

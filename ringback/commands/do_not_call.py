"""The command that loads do-not-call lists."""
# ruff: noqa: PLC0415 - so `ringback --help` need not load Redis

import asyncio
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from ringback.options import Redis, Set, fail, settings_of
from ringback.settings import Settings

app = typer.Typer()


@app.command("do-not-call")
def do_not_call(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="Phone numbers, one a line.")],
    national: Annotated[
        bool, typer.Option("--national", help="The country's list: it takes the place of the one before.")
    ] = False,
    country: Annotated[
        str | None, typer.Option(metavar="US", help="Of numbers without a plus, and of a national list.")
    ] = None,
    obtained: Annotated[
        str | None,
        typer.Option(metavar="DAY", help="When the national list was: 2026-11-01; else when its file was written."),
    ] = None,
    set_: Set = None,
    redis: Redis = None,
) -> None:
    """Keep numbers from being called or written to: the own list grows, a national list is replaced.

    Nobody is called by a national list that is older than its country's law allows (docs/compliance.md).

    Example: ringback do-not-call registry-212.txt --national --country US
    """
    settings = settings_of(set_, redis__url=redis)
    if country is not None and not re.fullmatch("[A-Z]{2}", country):
        fail(f"--country {country}: expected an ISO 3166 code such as US")
    if national and country is None:
        fail("--national needs the --country whose list it is")
    if obtained is not None and not national:
        fail(f"--obtained {obtained}: only a --national list ages")
    now = settings.simulation.clock().now()
    since = _day(obtained, now) if obtained is not None else min(now, file.stat().st_mtime)
    from dialer.do_not_call import numbers

    try:
        listed = list(numbers(file.read_text().splitlines(), country))
    except UnicodeDecodeError:
        fail(f"{file} is no text")
    if not listed:
        fail(f"{file}: there is no number in it")
    count = asyncio.run(_load(listed, country if national else None, since, settings))
    if national:
        typer.echo(f"{count:,} numbers are on the list of {country}, obtained {datetime.fromtimestamp(since, UTC):%F}")
    else:
        typer.echo(f"{count:,} numbers are new on the list")


def _day(text: str, now: float) -> float:
    """The beginning of a day, in epoch seconds."""
    try:
        found = datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC).timestamp()
    except ValueError:
        fail(f"--obtained {text}: expected a day such as 2026-11-01")
    if found > now:
        fail(f"--obtained {text}: that day is still to come")
    return found


async def _load(listed: Sequence[str], national: str | None, obtained: float, settings: Settings) -> int:
    from dialer.do_not_call import add_to_own, replace_national
    from ringback.redis_client import connect

    key = settings.privacy.phone_key.get_secret_value()
    redis = connect(settings.redis)
    try:
        if national is None:
            return await add_to_own(redis, listed, key)
        return await replace_national(redis, national, listed, key, obtained)
    finally:
        await redis.aclose()

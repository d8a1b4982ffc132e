"""The command line. Every command reads the same settings; what it needs is imported when it is called."""
# ruff: noqa: PLC0415 - so `ringback --help` need not load LightGBM and Faust

import asyncio
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ringback import __version__
from ringback.commands import (
    calls,
    data,
    do_not_call,
    drift,
    explain,
    judge,
    metrics,
    model,
    registry,
    simulate,
    uplift,
)
from ringback.options import (
    AdminPort,
    AsJson,
    Bootstrap,
    File,
    Format,
    Group,
    Redis,
    Seed,
    Set,
    fail,
    flags_of,
    settings_of,
    speed_of,
)
from ringback.privacy import redact
from ringback.settings import load

if TYPE_CHECKING:
    from ringback.records import Shopper
    from ringback.scoring_settings import ScoringSettings


app = typer.Typer(
    cls=Group,
    no_args_is_help=True,
    pretty_exceptions_enable=False,  # it prints local variables: secrets and numbers
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Calls shoppers back while they can still be won.\n\nExample: ringback demo",
)


@app.command()
def demo(
    seconds: Annotated[float | None, typer.Option("--for", metavar="SECONDS", help="Stop by itself.")] = None,
    report: Annotated[Path | None, typer.Option(metavar="FILE", help="Write the report as JSON.")] = None,
    seed: Seed = 1,
    agents: Annotated[int, typer.Option(help="Agents on the floor.")] = 6,
    speed: Annotated[float, typer.Option(help="Seconds of the shop in one of yours.")] = 120.0,
) -> None:
    """The whole path on this machine: a shop, a call centre and a telephone network, all simulated.

    Example: ringback demo --for 60 --report report.json
    """
    from ringback.demo import DemoOptions, main

    raise typer.Exit(main(DemoOptions(seconds=seconds, report=report, seed=seed, agents=agents, speed=speed)))


@app.command()
def stream(set_: Set = None, bootstrap: Bootstrap = None, redis: Redis = None, admin_port: AdminPort = None) -> None:
    """Follow carts, score them, decide: one worker of the group.

    Example: ringback stream --bootstrap kafka:9092 --redis redis://redis:6379/0
    """
    settings = settings_of(set_, kafka__bootstrap=bootstrap, redis__url=redis, admin__port=admin_port)
    from stream import worker

    worker.main(settings)


@app.command()
def dialer(set_: Set = None, bootstrap: Bootstrap = None, redis: Redis = None, admin_port: AdminPort = None) -> None:
    """Call the best leads through Asterisk.

    Example: ringback dialer --set ami.host=asterisk --set dialer.lines=30
    """
    settings = settings_of(set_, kafka__bootstrap=bootstrap, redis__url=redis, admin__port=admin_port)
    from dialer import worker

    asyncio.run(worker.run(settings))


@app.command()
def ingest(
    shop: Annotated[
        list[str] | None, typer.Option(metavar="PLATFORM:NAME", help="A shop that may send; may be repeated.")
    ] = None,
    secret_file: Annotated[
        list[Path] | None, typer.Option(metavar="FILE", help="Its secrets, one a line: one file for each --shop.")
    ] = None,
    set_: Set = None,
    bootstrap: Bootstrap = None,
    redis: Redis = None,
    admin_port: AdminPort = None,
) -> None:
    """Take events from shops over HTTP, as their platforms send them.

    Example: ringback ingest --shop shopify:example --secret-file shopify.secret
    """
    flags = [*(set_ or []), *_shop_flags(shop or [], secret_file or [])]
    settings = settings_of(flags, kafka__bootstrap=bootstrap, redis__url=redis, admin__port=admin_port)
    from ingest import server

    server.main(settings)


def _shop_flags(shops: list[str], files: list[Path]) -> list[str]:
    if len(shops) != len(files):
        fail(f"{len(shops)} --shop and {len(files)} --secret-file: expected a file for each shop, in the same order")
    if dotted := [shop for shop in shops if "." in shop or "=" in shop]:
        fail(f"--shop {dotted[0]}: expected PLATFORM:NAME, such as shopify:example; names have a-z, 0-9 and -")
    return [f"ingest.shops.{shop}.secret_file={file}" for shop, file in zip(shops, files, strict=True)]


@app.command("send-fixture")
def send_fixture(
    name: Annotated[str | None, typer.Argument(metavar="PLATFORM/TOPIC", help="Without it: all there are.")] = None,
    to: Annotated[str, typer.Option(metavar="URL", help="Where `ringback ingest` listens.")] = "http://127.0.0.1:8080",
    shop: Annotated[str, typer.Option(metavar="NAME", help="The shop's name in the settings.")] = "example",
    secret: Annotated[str | None, typer.Option(help="The secret to sign with.")] = None,
    secret_file: Annotated[Path | None, typer.Option(metavar="FILE", help="A file whose first line it is.")] = None,
    run: Annotated[
        str | None,
        typer.Option(metavar="TEXT", help="The same text makes the same ids: fixtures that belong together."),
    ] = None,
    as_is: Annotated[bool, typer.Option("--as-is", help="Leave ids and times as they are in the fixture.")] = False,
    set_: Set = None,
) -> None:
    """Sign a sample of what a platform sends, send it, and show what Ringback understands of it.

    Example: ringback send-fixture shopify/checkouts-create --secret-file shopify.secret
    """
    from ingest import send_fixture as fixtures

    if name is None:
        for one in fixtures.names():
            typer.echo(f"{one:44} {fixtures.load(one).description}")
        return
    settings = settings_of(set_)
    order = fixtures.Order(name=name, to=to, shop=shop, secret=secret, secret_file=secret_file, run=run, as_is=as_is)
    sent = fixtures.send(order, settings)
    typer.echo(f"POST {sent.url} ({sent.size:,} bytes, signed by {sent.signed_by})")
    typer.echo(redact(f"{sent.status} {sent.answer}"))
    typer.echo(f"Ringback understands:\n{sent.understood}")
    if not sent.ok:
        raise typer.Exit(1)


@app.command()
def outreach(set_: Set = None, bootstrap: Bootstrap = None, redis: Redis = None, admin_port: AdminPort = None) -> None:
    """Send SMS and chat messages through the provider at outreach.url.

    Example: ringback outreach --set outreach.url=https://sms.example/messages --set outreach.shop_name=Acme
    """
    settings = settings_of(set_, kafka__bootstrap=bootstrap, redis__url=redis, admin__port=admin_port)
    from outreach import worker

    asyncio.run(worker.run(settings))


@app.command()
def replay(
    *,
    file: File,
    format_: Format,
    speed: Annotated[str, typer.Option(metavar="max|N", help="Seconds of the log in one of yours.")] = "max",
    limit: Annotated[int | None, typer.Option(min=1, help="Stop after so many lines.")] = None,
    people: Annotated[str | None, typer.Option(metavar="fictional", help="Give shoppers names and numbers.")] = None,
    seed: Seed = 0,
    as_json: AsJson = False,
    set_: Set = None,
    bootstrap: Bootstrap = None,
) -> None:
    """Publish a public log as cart events. Nobody is called for it, whatever numbers it has.

    Example: ringback replay 2019-Oct.csv.gz --format rees46 --speed 60 --people fictional
    """
    settings = settings_of(set_, kafka__bootstrap=bootstrap)
    if people not in (None, "fictional"):
        fail(f"--people {people}: only 'fictional' people may be given to a log")
    import msgspec
    from rich.console import Console

    from ingest.replay import replay as publish

    console = Console(stderr=True)
    summary = asyncio.run(
        publish(
            settings,
            file,
            format_,
            speed=speed_of(speed),
            limit=limit,
            people=_fictional(seed) if people else None,
            console=console if console.is_terminal or not as_json else None,
        )
    )
    if as_json:
        typer.echo(msgspec.json.encode(summary))
    else:
        typer.echo(
            f"{summary.events:,} events and {summary.dead_letters:,} dead letters in {summary.seconds:.1f} s "
            f"({summary.rate:,.0f} events/s)"
        )


def _fictional(seed: int) -> "Callable[[str], Shopper]":
    from simulation.people import person

    return partial(person, seed=seed)


@app.command()
def doctor(as_json: AsJson = False, set_: Set = None, bootstrap: Bootstrap = None, redis: Redis = None) -> None:
    """Look at everything that Ringback needs and say what to do; exit code 1 when something is wrong.

    Example: ringback doctor --json
    """
    settings = settings_of(set_, kafka__bootstrap=bootstrap, redis__url=redis)
    import msgspec

    from dialer.compliance.book import book
    from dialer.compliance.lists import greatest_ages
    from ringback.doctor import examine

    findings = asyncio.run(examine(settings, _model_version, greatest_ages(settings.compliance, book())))
    if as_json:
        typer.echo(msgspec.json.encode(findings))
    else:
        for finding in findings:
            todo = f"\n      {finding.do}" if finding.do else ""
            typer.echo(redact(f"{'ok   ' if finding.ok else 'WRONG'} {finding.check}: {finding.seen}{todo}"))
    if not all(finding.ok for finding in findings):
        raise typer.Exit(1)


def _model_version(settings: "ScoringSettings") -> str:
    from scoring.model import Model
    from scoring.registry import served_folder

    return Model.load(served_folder(settings)).version


@app.command()
def config(set_: Set = None, bootstrap: Bootstrap = None, redis: Redis = None, admin_port: AdminPort = None) -> None:
    """Print the effective settings as TOML, and where each came from. Secrets are masked.

    Example: RINGBACK_DIALER__LINES=30 ringback config
    """
    from ringback import config_view

    flags = flags_of(set_, kafka__bootstrap=bootstrap, redis__url=redis, admin__port=admin_port)
    typer.echo(config_view.show(load(flags), flags), nl=False)


@app.command()
def schema() -> None:
    """Print the JSON schema of the events that shops send.

    Example: ringback schema > docs/cart-event.schema.json
    """
    from ringback.schema import text

    typer.echo(text(), nl=False)


@app.command()
def version() -> None:
    """Print the version.

    Example: ringback version
    """
    typer.echo(f"ringback {__version__} on Python {sys.version.partition(' ')[0]}")


for _part in (calls, data, do_not_call, drift, explain, judge, metrics, model, registry, simulate, uplift):
    app.registered_commands += _part.app.registered_commands
    app.registered_groups += _part.app.registered_groups

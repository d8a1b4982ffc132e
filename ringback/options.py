"""What the commands share: their options, and the way from options to settings."""

import json
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from typer.core import TyperGroup

from ringback import logs
from ringback.errors import RingbackError, SettingsError
from ringback.privacy import redact
from ringback.settings import Settings, load

WRONG, INTERRUPTED = 2, 130

Set = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Any setting; `ringback config` lists them.")
]
Bootstrap = Annotated[str | None, typer.Option(metavar="HOST:PORT", help="Kafka; short for --set kafka.bootstrap=…")]
Redis = Annotated[str | None, typer.Option(metavar="URL", help="Redis; short for --set redis.url=…")]
AdminPort = Annotated[int | None, typer.Option(metavar="PORT", help="Metrics and health; --set admin.port=…")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
File = Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="A log, plain or gzipped.")]
Format = Annotated[str, typer.Option("--format", help="rees46, retailrocket, retentioneering or jsonl.")]
Seed = Annotated[int, typer.Option(help="Draws whatever is random; the same seed, the same result.")]


def flags_of(given: list[str] | None, **common: object) -> dict[str, object]:
    """Dotted keys for `ringback.settings.load`: ``common`` ones (``kafka__bootstrap=…``), then those of ``--set``.

    Raises `SettingsError`.
    """
    flags: dict[str, object] = {name.replace("__", "."): value for name, value in common.items()}
    for pair in given or []:
        key, equals, value = pair.partition("=")
        if not equals or not key:
            raise SettingsError(f"--set {pair}: expected KEY=VALUE, such as --set kafka.partitions=12")
        flags[key.strip()] = _parsed(value)
    return flags


def _parsed(value: str) -> object:
    """JSON where it can only be JSON: lists and tables. Everything else is told apart by the setting's type."""
    if not value.startswith(("[", "{")):
        return value
    try:
        return json.loads(value)
    except ValueError:
        return value


def settings_of(given: list[str] | None, **common: object) -> Settings:
    """The effective settings, with logging set up as they say. Raises `SettingsError`."""
    settings = load(flags_of(given, **common))
    logs.set_up(settings.log_level)
    return settings


def fail(message: str) -> NoReturn:
    """Refuse what was given on the command line: raises `SettingsError`."""
    raise SettingsError(message)


class Group(TyperGroup):
    """Commands whose `RingbackError` becomes one message and exit code 2; Ctrl-C is exit code 130."""

    def invoke(self, ctx: Any) -> Any:  # a context of click or of typer's copy of click, by version
        """Turn Ringback's own errors into one message and exit code 2."""
        try:
            return super().invoke(ctx)
        except RingbackError as error:
            typer.echo(f"ringback: {redact(str(error))}", err=True)
            raise typer.Exit(WRONG) from None
        except KeyboardInterrupt:
            raise typer.Exit(INTERRUPTED) from None


def speed_of(text: str) -> float | None:
    """``--speed``: a number over 0, or None for ``max``."""
    if text == "max":
        return None
    try:
        speed = float(text)
    except ValueError:
        speed = 0.0
    if not 0 < speed < float("inf"):
        fail(f"--speed {text}: expected 'max' or a number over 0, such as 60 for a minute of the log a second")
    return speed


def seconds_of(text: str) -> float:
    """``--horizon``: 90m, 24h or 7d in seconds."""
    units = {"s": 1, "m": 60, "h": 3600, "d": 86400}
    number, unit = text[:-1], text[-1:]
    if unit not in units or not number.replace(".", "", 1).isdecimal() or not float(number):
        fail(f"--horizon {text}: expected a number with s, m, h or d, such as 24h")
    return float(number) * units[unit]

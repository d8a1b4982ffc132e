"""The command that tells what can be measured."""
# ruff: noqa: PLC0415 - so `ringback --help` need not load what it does not use

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer()


@app.command()
def metrics(
    dashboards: Annotated[Path, typer.Option(help="folder of the dashboards and rules")] = Path("dashboards"),
) -> None:
    """Print a table of all metrics, and of the dashboards and alerts that look at them, in Markdown.

    Example: ringback metrics > docs/metrics.md
    """
    from ringback.metrics_doc import text

    typer.echo(text(dashboards), nl=False)

"""From options to rows with labels: what `ringback train` and those that judge models read."""
# ruff: noqa: PLC0415 - so `ringback --help` need not load polars or LightGBM

from collections.abc import Callable
from heapq import merge
from pathlib import Path
from typing import TYPE_CHECKING

from ringback.commands.reading import usable

if TYPE_CHECKING:
    from scoring.dataset import Dataset

OWN = "jsonl"


def log_dataset(
    paths: list[Path],
    format_: str,
    horizon: float,
    gap: float,
    forget_after: float,
    *,
    uncovered: bool = False,
    most_rows: int | None = None,
    name: str | None = None,
    licence: str = "unknown",
    progress: Callable[[int], None] | None = None,
) -> "Dataset":
    """The rows of Ringback's own export (``--format jsonl``, Parquet too), or of public logs.

    ``horizon``, ``gap`` (`stream.abandon_after`) and ``forget_after`` (`stream.forget_after`) are seconds; ``name`` is
    what the data is to be called. ``progress`` is told the number of events read. Raises `TrainingError`.
    """
    from scoring.data.rows import MOST_ROWS, log_rows, prefix_rows

    most = most_rows or MOST_ROWS
    if format_ == OWN:
        from scoring.data.logs import read_log

        log = read_log(paths)
        rows = log_rows(
            log, horizon, gap, forget_after=forget_after, uncovered=uncovered, most_rows=most, progress=progress
        )
        return rows.dataset(name or log.name, licence)
    events = merge(*(usable(path, format_) for path in paths), key=lambda event: event.time)
    rows = prefix_rows(
        events, horizon, gap, forget_after=forget_after, uncovered=uncovered, most_rows=most, progress=progress
    )
    return rows.dataset(name or ", ".join(path.name for path in paths), licence)

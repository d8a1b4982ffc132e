"""Parquet files in, a slice at a time, by polars (extra ``train``)."""
# ruff: noqa: PLC0415 - polars is needed by few

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from scoring.errors import TrainingError

ROWS_A_SLICE = 4_096


def read_parquet(file: Path, record: type[Any] | None) -> Iterator[tuple[int, dict[str, Any]]]:
    """The rows of a file with their numbers, from 1; only the columns that ``record`` has, where it is given.

    Fields with their usual value are left out, as on the wire, so that the records made of them are encoded alike.

    Raises `TrainingError` where a column that ``record`` needs is missing, the file is damaged, or polars is missing.
    """
    try:
        import polars as pl
    except ImportError:
        raise TrainingError(f"{file}: reading Parquet needs polars: pip install 'ringback[train]'") from None
    try:
        table = pl.scan_parquet(file)
        columns = table.collect_schema().names()
        if record is not None:
            table = table.select(_wanted(file, record, columns))
        begin, usual = 0, _usual(record)
        while rows := table.slice(begin, ROWS_A_SLICE).collect().to_dicts():
            for number, row in enumerate(rows, start=begin + 1):
                yield (
                    number,
                    {name: value for name, value in row.items() if value != usual.get(name, msgspec.NODEFAULT)},
                )
            begin += len(rows)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise TrainingError(f"{file}: no Parquet file, or damaged ({error})") from None


def _wanted(file: Path, record: type[Any], columns: list[str]) -> list[str]:
    fields = msgspec.structs.fields(record)
    missing = [one.encode_name for one in fields if one.required and one.encode_name not in columns]
    if missing:
        raise TrainingError(
            f"{file}: the column {missing[0]!r} is missing"
            + (f", and {', '.join(map(repr, missing[1:]))}" if len(missing) > 1 else "")
            + f"; there are {', '.join(columns)}"
        )
    names = {one.encode_name for one in fields}
    return [column for column in columns if column in names]


def _usual(record: type[Any] | None) -> dict[str, Any]:
    fields = () if record is None else msgspec.structs.fields(record)
    return {one.encode_name: one.default for one in fields}

"""Reads a table of vectors and labels: CSV (also gzipped) or Parquet. It is held in memory."""

import csv
import gzip
import hashlib
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from scoring.data import history as histories
from scoring.dataset import Column, Dataset
from scoring.errors import TrainingError
from scoring.manifest import DataSource, TableColumns

try:
    import polars as pl
except ImportError:
    raise TrainingError("tables need polars: pip install 'ringback[train]'") from None

MOST_LEVELS = 256
LEAST_ROWS_PER_LEVEL = 5
PERSON = re.compile(r"(visitor|user|customer|shopper|client)_?(id|key|no)?", re.IGNORECASE)
IDENTIFIER = re.compile(
    r"(.*_)?(id|uuid|guid|key|e?mail|phone)"
    r"|(visitor|user|customer|shopper|client|session|visit|cart|order|account|event|row)_?id",
    re.IGNORECASE,
)
CALENDAR = re.compile(
    r"(.*_)?(date|datetime|timestamp|year|quarter|month|week_?(of_?year|no|number)?|day_?of_?year)", re.IGNORECASE
)
YES, NO = frozenset({"true", "yes", "t", "y", "1"}), frozenset({"false", "no", "f", "n", "0"})
MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
# So much of a text column being numbers, the rest are mistakes.
MOSTLY = 0.9


def read_table(
    path: Path,
    label: str,
    group: str | None = None,
    time: str | None = None,
    drop: Sequence[str] = (),
    columns: tuple[Column, ...] | None = None,
    *,
    order: str | None = None,
    name: str | None = None,
    licence: str = "unknown",
) -> Dataset:
    """The table's rows.

    ``label`` is 0/1, true/false or yes/no; ``group`` says whose rows belong together, and is looked for by its name
    (visitorid, customer_id, …) where it is not given; ``time`` is a number that rises, a date, a time or the name of a
    month; ``order`` numbers the visits of a group, is looked for too (visit_no, session_number, …), and brings the
    columns of `scoring.data.history`. Text becomes a category. What names a row, and, where ``time`` is given, what
    names a date, is no feature: a model can't extrapolate from it; `Dataset.table` says what was dropped and why.
    ``columns`` are those of a model: the table must have them, and a level that the model does not know is NaN.

    Raises `TrainingError` naming the file, the column and, of a CSV, the line.
    """
    frame = _read(path)
    where = _Place(path, frame)
    for asked in (label, group, time, order, *drop):
        if asked is not None and asked not in frame.columns:
            raise TrainingError(f"{path}: no column {asked}; there are: {', '.join(frame.columns)}")
    labels = _labels(where, label)
    free = [column for column in frame.columns if column not in {label, time, *drop}]
    group = group or next((column for column in free if PERSON.fullmatch(column)), None)
    order = order or next((column for column in free if histories.ORDER.fullmatch(column)), None)
    groups = None if group is None else _groups(where, group)
    dropped = _dropped(frame, [column for column in free if column != group], forward=time is not None)
    features = [column for column in free if column != group and column not in dropped]
    if columns is None:
        made = [_column(where, column) for column in features]
    else:
        made = [_known(where, column) for column in columns if column not in histories.COLUMNS]
    if not made:
        raise TrainingError(f"{path}: no column is left as a feature; these are none: {dropped}")
    vectors = np.column_stack([values for _, values in made])
    names = tuple(column for column, _ in made)
    wanted = order is not None and groups is not None if columns is None else set(histories.COLUMNS) <= set(columns)
    if wanted:
        if groups is None or order is None:
            raise TrainingError(f"{path}: the model looks at earlier visits: give --group, and --order or a visit_no")
        vectors = np.column_stack([vectors, histories.history(groups, _numbers(where, order), labels)])
        names = (*names, *histories.COLUMNS)
    return Dataset(
        kind="table",
        columns=names,
        vectors=np.ascontiguousarray(vectors, dtype=np.float64),
        labels=labels,
        times=None if time is None else _times(where, time),
        groups=groups,
        due=None,
        source=DataSource(
            name=name or _stem(path),
            licence=licence,
            sha256=_sha256(path),
            events=len(labels),
            shoppers=len(labels) if groups is None else len(np.unique(groups)),
        ),
        horizon=None,
        table=TableColumns(label=label, group=group, time=time, order=order, dropped=dropped),
    )


class _Place:
    """A table, and how to say where in it something is wrong."""

    def __init__(self, path: Path, frame: pl.DataFrame) -> None:
        self.path = path
        self.frame = frame
        self._lines = not _is_parquet(path)

    def error(self, column: str, row: int, expected: str) -> TrainingError:
        found = self.frame[column][row]
        line = f"line {row + 2}" if self._lines else f"row {row + 1}"
        return TrainingError(f"{self.path}, {line}, column {column}: {found!r} is no {expected}")

    def first_error(self, column: str, wrong: pl.Series, expected: str) -> TrainingError:
        return self.error(column, int(wrong.arg_true()[0]), expected)


def _is_parquet(path: Path) -> bool:
    return path.suffix in {".parquet", ".pq"}


def _stem(path: Path) -> str:
    return path.name.split(".")[0]


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _read(path: Path) -> pl.DataFrame:
    try:
        if _is_parquet(path):
            frame = pl.read_parquet(path)
        else:
            frame = pl.read_csv(path, infer_schema_length=None, try_parse_dates=True, null_values=["", "NA", "NaN"])
    except pl.exceptions.NoDataError:
        raise TrainingError(f"{path} is empty: a table needs a line of names and rows") from None
    except (OSError, pl.exceptions.PolarsError) as error:
        broken = "" if _is_parquet(path) or not path.is_file() else _broken_line(path)
        detail = broken or str(error).splitlines()[0]
        raise TrainingError(f"{path}: no table that can be read: {detail}") from None
    if not frame.height:
        raise TrainingError(f"{path} has no rows")
    return frame


def _broken_line(path: Path) -> str:
    """The first line of a CSV with another number of fields than its head, or nothing."""
    try:
        with gzip.open(path, "rt", newline="") if path.suffix == ".gz" else path.open(newline="") as text:
            lines = csv.reader(text)
            names = next(lines, [])
            for fields in lines:
                if fields and len(fields) != len(names):
                    return f"line {lines.line_num} has {len(fields)} fields, the first line names {len(names)}"
    except (OSError, EOFError, UnicodeDecodeError, csv.Error) as error:
        return str(error)
    return ""


def _labels(where: _Place, label: str) -> NDArray[np.bool_]:
    column = where.frame[label]
    text = column.cast(pl.String).str.to_lowercase().str.replace(r"\.0$", "")
    known = text.is_in(list(YES | NO)).fill_null(value=False)
    if not known.all():
        raise where.first_error(label, ~known, "label: expected 0 or 1, true or false, yes or no")
    return np.asarray(text.is_in(list(YES)).to_numpy(), dtype=np.bool_)


def _groups(where: _Place, group: str) -> NDArray[np.int64]:
    """A stable number for each group: the number itself, or a hash of the text."""
    column = where.frame[group]
    if column.null_count():
        raise where.first_error(group, column.is_null(), "group: every row needs one")
    if column.dtype.is_integer():
        return np.asarray(column.to_numpy(), dtype=np.int64)
    texts = column.cast(pl.String).to_list()
    numbers = {text: int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest()) >> 1 for text in set(texts)}
    return np.array([numbers[text] for text in texts], dtype=np.int64)


def _times(where: _Place, time: str) -> NDArray[np.float64]:
    column = where.frame[time]
    if column.dtype.is_temporal():
        epoch = column.cast(pl.Datetime("us")).cast(pl.Int64).cast(pl.Float64) / 1e6
        if epoch.null_count():
            raise where.first_error(time, epoch.is_null(), "time")
        return np.asarray(epoch.to_numpy(), dtype=np.float64)
    if column.dtype == pl.String:
        months = [
            MONTHS.index(text[:3].lower()) + 1 if text and text[:3].lower() in MONTHS else None for text in column
        ]
        if None in months:
            raise where.error(time, months.index(None), "time: expected a number, a date, a time or a month's name")
        return np.array(months, dtype=np.float64)
    return _numbers(where, time, missing=False)


def _numbers(where: _Place, name: str, *, missing: bool = True) -> NDArray[np.float64]:
    column = where.frame[name]
    numbers = column.cast(pl.Float64, strict=False)
    wrong = numbers.is_null() & (column.is_not_null() if missing else True)
    if wrong.any():
        raise where.first_error(name, wrong, "number")
    return np.asarray(numbers.fill_null(float("nan")).to_numpy(), dtype=np.float64)


def _dropped(frame: pl.DataFrame, names: list[str], *, forward: bool) -> dict[str, str]:
    """Which columns are no features, and why."""
    found = {}
    for name in names:
        column = frame[name]
        if IDENTIFIER.fullmatch(name):
            found[name] = "an identifier, by its name"
        elif column.dtype.is_temporal():
            found[name] = "a date or time: a model can't extrapolate from it"
        elif forward and CALENDAR.fullmatch(name):
            found[name] = (
                "names a time of the year, which a model that is tested forward in time can't extrapolate from"
            )
        elif column.dtype == pl.String:
            levels = column.n_unique()
            if levels > MOST_LEVELS or levels * LEAST_ROWS_PER_LEVEL > frame.height:
                found[name] = f"text with {levels:,} different values"
        elif not (column.dtype.is_numeric() or column.dtype == pl.Boolean):
            found[name] = f"of type {column.dtype}"
    return found


def _column(where: _Place, name: str) -> tuple[Column, NDArray[np.float64]]:
    """A feature as it is found."""
    column = where.frame[name]
    if column.dtype != pl.String:
        return Column(name=_plain(name)), _numbers(where, name)
    _refuse_mistakes(where, name)
    made = Column(name=_plain(name), kind="category", levels=tuple(sorted(column.drop_nulls().unique().to_list())))
    return made, _codes(where, name, made)


def _refuse_mistakes(where: _Place, name: str) -> None:
    column = where.frame[name]
    wrong = column.is_not_null() & column.cast(pl.Float64, strict=False).is_null()
    if 0 < wrong.sum() < (1 - MOSTLY) * (len(column) - column.null_count()):
        raise where.first_error(name, wrong, "number, as most of the column are")


def _known(where: _Place, wanted: Column) -> tuple[Column, NDArray[np.float64]]:
    """A feature as a model knows it."""
    name = next((name for name in where.frame.columns if _plain(name) == wanted.name), None)
    if name is None:
        raise TrainingError(f"{where.path}: no column {wanted.name}, which the model needs")
    return wanted, (_codes(where, name, wanted) if wanted.kind == "category" else _numbers(where, name))


def _codes(where: _Place, name: str, made: Column) -> NDArray[np.float64]:
    place = {level: float(index) for index, level in enumerate(made.levels)}
    texts = where.frame[name].cast(pl.String)
    return np.asarray(texts.replace_strict(place, default=float("nan")).to_numpy(), dtype=np.float64)


def _plain(name: str) -> str:
    """A name that LightGBM keeps as it is."""
    return re.sub(r'[\s",:\[\]{}]+', "_", name)

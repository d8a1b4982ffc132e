"""What an export writes: records without what says who somebody is, in files that appear whole or not at all."""

import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Literal

import msgspec
from msgspec import inspect

from ringback.decisions import Decision
from ringback.errors import RingbackError
from ringback.records import CartEvent, ContactEvent, Conversion, EventKind, Topic, encode

Form = Literal["jsonl", "parquet"]
ROWS_A_GROUP = 16_384

RECORDS: dict[Topic, type[msgspec.Struct]] = {
    Topic.CART_EVENTS: CartEvent,
    Topic.DECISIONS: Decision,
    Topic.CONTACTS: ContactEvent,
    Topic.CONVERSIONS: Conversion,
}


def name_of(topic: Topic) -> str:
    """What a topic is called on the command line and in files: ``cart-events``."""
    return topic.value.removeprefix("ringback.")


def time_of(record: Any) -> float:
    """The business time by which a topic's records are put in order."""
    return float(record.ordered if isinstance(record, Conversion) else record.time)


def nameless(record: Any) -> Any:
    """The record as it is exported; None for one that is not.

    A cart event loses what it tells of the shopper (name, number, place, consent, references), a contact its agent
    and its details. That two shoppers turned out to be one is exported (`absorbed` and `moved`, by ids), but not the
    state that one handed over to the other: it has names and numbers, and training does without it.
    """
    match record:
        case CartEvent(kind=EventKind.HANDED_OVER):
            return None
        case CartEvent():
            return msgspec.structs.replace(record, shopper=None, refs=None, carried=None)
        case ContactEvent():
            return msgspec.structs.replace(record, agent=None, detail=None)
        case _:
            return record


def writer_of(form: Form) -> Callable[[Sequence[Any], Path], None]:
    """What writes records of one type into a file. Raises `RingbackError` where a package for it is missing."""
    if form == "jsonl":
        return write_jsonl
    try:
        import polars  # noqa: F401, ICN001, PLC0415 - asked for before hours of reading, not after
    except ImportError:
        raise RingbackError("--format parquet needs polars: pip install 'ringback[train]', or take jsonl") from None
    return write_parquet


def write_jsonl(records: Sequence[Any], path: Path) -> None:
    """One record a line, in its wire form: fields with their usual value are left out."""

    def write(unfinished: Path) -> None:
        with unfinished.open("wb") as out:
            out.writelines(encode(record) + b"\n" for record in records)

    _whole(path, write)


def write_parquet(records: Sequence[Any], path: Path) -> None:
    """A column a field, nested as the records are, compressed by zstd."""
    import polars as pl  # noqa: PLC0415 - extra ``train``

    schema = {one.encode_name: _dtype(one.type) for one in _fields(type(records[0]))}
    table = pl.DataFrame([_plain(record) for record in records], schema=schema, orient="row")
    _whole(path, lambda file: table.write_parquet(file, compression="zstd", row_group_size=ROWS_A_GROUP))


def _whole(path: Path, write: Callable[[Path], None]) -> None:
    unfinished = path.with_name(f".{path.name}.unfinished")
    try:
        write(unfinished)
        with unfinished.open("rb") as file:
            os.fsync(file.fileno())
        unfinished.replace(path)
    except OSError as error:
        unfinished.unlink(missing_ok=True)
        raise RingbackError(
            f"{path} can't be written ({error.strerror or error}): see to it and export again"
        ) from None


def _plain(value: Any) -> Any:
    if isinstance(value, msgspec.Struct):
        return {name: _plain(getattr(value, name)) for name in value.__struct_fields__}
    if isinstance(value, tuple):
        return [_plain(one) for one in value]
    return str(value) if isinstance(value, str) else value


def _fields(record: type[msgspec.Struct]) -> Iterable[inspect.Field]:
    told = inspect.type_info(record)
    if not isinstance(told, inspect.StructType):
        raise TypeError(f"{record} is no record")
    return told.fields


def _dtype(told: inspect.Type) -> Any:
    import polars as pl  # noqa: PLC0415 - extra ``train``

    match told:
        case inspect.UnionType(types=types):
            return _dtype(next(one for one in types if not isinstance(one, inspect.NoneType)))
        case inspect.StructType(fields=fields):
            return pl.Struct({one.encode_name: _dtype(one.type) for one in fields})
        case inspect.VarTupleType(item_type=item) | inspect.ListType(item_type=item):
            return pl.List(_dtype(item))
        case inspect.FloatType():
            return pl.Float64
        case inspect.IntType():
            return pl.Int64
        case inspect.BoolType():
            return pl.Boolean
        case inspect.BytesType():
            return pl.Binary
        case inspect.StrType() | inspect.EnumType() | inspect.LiteralType():
            return pl.String
        case _:
            raise TypeError(f"{told} has no column type; say here which it gets")

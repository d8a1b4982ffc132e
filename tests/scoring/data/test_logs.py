"""The product's own logs: written as an export writes them, read back in order, and refused where they are broken."""

import gzip
import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.decisions import Decision
from ringback.export_files import nameless, write_jsonl, write_parquet
from ringback.records import (
    CartEvent,
    Channel,
    Consent,
    ContactEvent,
    ContactKind,
    Conversion,
    EventKind,
    Item,
    Refs,
    Shopper,
    encode,
)
from scoring.data import sorting
from scoring.data.logs import read_log
from scoring.data.rows import TrainingError, log_rows, prefix_rows
from scoring.data.sorting import Run, in_order, merged, most_at_once
from tests.scoring.decided import contact, decision
from tests.scoring.events import Log

HOUR = 3600.0
WRITERS: dict[str, Callable[[Sequence[Any], Path], None]] = {"jsonl": write_jsonl, "parquet": write_parquet}
BOUGHT = Conversion(
    order_id="1",
    shopper_id="ada",
    cart_id="1",
    decision_id="ada-1800",
    arm="treated",
    channel=Channel.VOICE,
    contact_id=None,
    value=100,
    currency="USD",
    ordered=4000.0,
    decided=1800.0,
    window=HOUR,
)


def shop(shoppers: int = 20) -> list[CartEvent]:
    events = []
    for number in range(shoppers):
        log = Log(f"shopper-{number}")
        log.add(EventKind.PRODUCT_VIEWED, number * 60, "a")
        log.add(EventKind.ITEM_ADDED, number * 60 + 7.25, "a", "b", traffic="newsletter")
        if number % 2:
            log.add(EventKind.ORDER_COMPLETED, number * 60 + 900)
        events += log.events
    return sorted(events, key=lambda event: (event.time, event.event_id))


def written(folder: Path, name: str, lines: Sequence[bytes]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_bytes(b"".join(line + b"\n" for line in lines))
    return path


@pytest.mark.parametrize("form", WRITERS)
def test_what_was_written_is_read_back(tmp_path: Path, form: str) -> None:
    events = shop()
    decided = [decision("ada", 1800.0, (0.1, float("nan"), 3.0)), decision("bob", 1900.0, (), arm="holdout")]
    contacts = [nameless(contact("ada", ContactKind.ANSWERED, 2000.0))]
    exported: dict[str, Sequence[object]] = {
        "cart-events/1": events[::2],
        "cart-events/2": events[1::2],
        "decisions/1": decided,
        "contacts/1": contacts,
        "conversions/1": [BOUGHT],
    }
    for name, records in exported.items():
        path = tmp_path / f"{name}.{form}"
        path.parent.mkdir(exist_ok=True)
        WRITERS[form](records, path)
    (tmp_path / "cart-events" / f".half.{form}").write_bytes(b"{")
    log = read_log([tmp_path])
    assert list(log.events) == events
    assert [encode(event) for event in log.events] == [encode(event) for event in events]
    assert list(log.decisions or ()) == decided
    assert list(log.contacts or ()) == contacts
    assert list(log.conversions or ()) == [BOUGHT]


def test_nothing_personal_is_exported() -> None:
    event = CartEvent(
        event_id="1",
        source="shop",
        shopper_id="ada",
        kind=EventKind.IDENTIFIED,
        time=1.0,
        shopper=Shopper(name="Ada", phone="+442079460123", consent=Consent(voice=True, evidence="ada@example.com")),
        refs=Refs(email="ada@example.com", phone="+442079460123"),
        carried=b"+442079460123",
    )
    told = encode(nameless(event))
    assert not [word for word in (b"Ada", b"46012", b"example", b"consent") if word in told]
    assert b"Grace" not in encode(nameless(contact("ada", ContactKind.ENDED, 1.0)))
    assert nameless(msgspec.structs.replace(event, kind=EventKind.HANDED_OVER)) is None


def test_a_file_that_is_not_in_order_is_sorted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sorting, "RECORDS_A_RUN", 7)
    monkeypatch.setattr(sorting, "MOST_OPEN", 3)
    events = shop()
    shuffled = random.Random(1).sample(events, len(events))  # noqa: S311 - no secret
    path = tmp_path / "events.jsonl.gz"
    path.write_bytes(gzip.compress(b"\n".join(map(encode, shuffled))))
    assert list(read_log([path]).events) == events


def test_too_many_files_of_one_time_are_read_one_after_the_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("scoring.data.logs.MOST_FILES_AT_ONCE", 3)
    events = shop()
    for number in range(5):
        written(tmp_path / "cart-events", f"{number}.jsonl", [encode(event) for event in events[number::5]])
    assert list(read_log([tmp_path]).events) == events


def test_exports_may_overlap(tmp_path: Path) -> None:
    events = shop()
    written(tmp_path / "cart-events", "monday.jsonl", [encode(event) for event in events[:40]])
    written(tmp_path / "cart-events", "tuesday.jsonl", [encode(event) for event in events[20:]])
    twice = log_rows(read_log([tmp_path]), HOUR, uncovered=True)
    once = prefix_rows(events, HOUR, uncovered=True)
    assert twice.vectors.tobytes() == once.vectors.tobytes()
    assert twice.left_out == {"repeated events": 20}


def line(**fields: object) -> bytes:
    usual = {"event_id": "1", "source": "shop", "shopper_id": "ada", "kind": "item_added", "time": 1.0}
    return msgspec.json.encode({name: value for name, value in (usual | fields).items() if value is not None})


@pytest.mark.parametrize(
    ("broken", "told"),
    [
        (b'{"event_id": "1", "so', r"line 2: no JSON .* is the file cut off\?"),
        (b"event_id,source", r"line 2: no JSON"),
        (line(shopper_id=7), r"line 2: Expected `str`, got `int` - at column `shopper_id`"),
        (line(source=None), r"line 2: Object missing required field `source`"),
        (line(kind="danced"), r"line 2: Invalid enum value 'danced' - at column `kind`"),
        (line(time="today"), r"line 2: Expected `float`, got `str` - at column `time`"),
        (line(items=[{"product_id": "a", "unit_price": 1.5}]), r"line 2: Expected `int`.*items\[0\]\.unit_price`"),
    ],
)
def test_a_broken_line_is_named(tmp_path: Path, broken: bytes, told: str) -> None:
    path = written(tmp_path / "cart-events", "log.jsonl", [line(), broken])
    with pytest.raises(TrainingError, match=told) as error:
        list(read_log([tmp_path]).events)
    assert str(error.value).startswith(f"{path}, line 2: ")


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"items": [{"product_id": "a", "unit_price": -5}], "currency": "USD"}, "negative_price"),
        ({"items": [{"product_id": "a", "unit_price": 5}], "currency": "dollars"}, "unknown_currency"),
        ({"items": [{"product_id": "a", "unit_price": 5}]}, "unknown_currency"),
        ({"time": 1_700_000_000_000.0}, "from_the_future"),
        ({"time": -1.0}, "wrong_type"),
        ({"shopper_id": " "}, "wrong_type"),
    ],
)
def test_what_can_be_read_and_not_used_is_counted(tmp_path: Path, fields: dict[str, object], reason: str) -> None:
    path = written(tmp_path / "cart-events", "log.jsonl", [line(event_id="2", **fields)])
    log = read_log([tmp_path])
    with pytest.raises(
        TrainingError, match=f"none of the 1 cart-events can be used; the first is {reason}: .*, line 1"
    ):
        list(log.events)
    written(tmp_path / "cart-events", "more.jsonl", [line()])
    log = read_log([tmp_path])
    assert len(list(log.events)) == 1
    assert log.refused() == {f"cart-events refused as {reason}": 1}
    assert log.events.refused.first[reason].startswith(f"{path}, line 1: ")


def test_an_event_in_a_second_currency_is_refused_and_carts_in_several_are_not(tmp_path: Path) -> None:
    ada, bob = Log("ada"), Log("bob")
    ada.add(EventKind.ITEM_ADDED, 0, "a", currency="USD")
    bob.add(EventKind.ITEM_ADDED, 10, "a", currency="JPY")
    ada.add(EventKind.ITEM_ADDED, 20, "b", currency="EUR")
    written(tmp_path, "log.jsonl", [encode(event) for event in (*ada.events, *bob.events)])
    rows = log_rows(read_log([tmp_path]), HOUR, uncovered=True)
    assert len(rows) == 2
    assert (rows.refused, rows.left_out) == (1, {"events refused as mixed_currencies": 1})


def test_a_missing_column_of_a_table_is_named(tmp_path: Path) -> None:
    folder = tmp_path / "cart-events"
    folder.mkdir()
    path = folder / "log.parquet"
    pl.DataFrame({"event_id": ["1"], "time": [1.0], "kind": ["item_added"]}).write_parquet(path)
    with pytest.raises(TrainingError, match=r"log\.parquet: the column 'source' is missing; there are event_id, time"):
        list(read_log([tmp_path]).events)
    pl.DataFrame({"event_id": ["1"], "source": ["s"], "time": ["noon"], "kind": ["other"]}).write_parquet(path)
    with pytest.raises(TrainingError, match=r"log\.parquet, row 1: Expected `float`, got `str` - at column `time`"):
        list(read_log([tmp_path]).events)
    path.write_bytes(b"PAR1 and no more")
    with pytest.raises(TrainingError, match=r"log\.parquet: no Parquet file, or damaged"):
        list(read_log([tmp_path]).events)


def test_a_cut_gzip_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "cart-events.jsonl.gz"
    path.write_bytes(gzip.compress(b"\n".join(map(encode, shop())))[:-12])
    with pytest.raises(TrainingError, match=r"cart-events\.jsonl\.gz, line \d+: the gzip file is damaged from here"):
        list(read_log([path]).events)


def test_an_empty_log_and_none_at_all(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="no logs in it"):
        read_log([tmp_path])
    with pytest.raises(TrainingError, match="no such file or folder"):
        read_log([tmp_path / "nothing"])
    foreign = written(tmp_path, "foreign.jsonl", [b'{"user": 1}'])
    with pytest.raises(TrainingError, match="none of Ringback's logs: its first record has user"):
        read_log([foreign])
    written(tmp_path / "empty" / "cart-events", "1.jsonl", [])
    log = read_log([tmp_path / "empty"])
    assert log.contacts is None
    with pytest.raises(TrainingError, match="there are no cart events"):
        log_rows(log, HOUR)


def test_topics_are_told_by_what_is_in_a_file(tmp_path: Path) -> None:
    records = {
        "a.jsonl": shop()[0],
        "b.jsonl": decision("ada", 1.0, ()),
        "c.jsonl": contact("ada", ContactKind.SENT, 1.0),
        "d.jsonl": BOUGHT,
    }
    for name, record in records.items():
        written(tmp_path, name, [encode(record)])
    log = read_log([tmp_path])
    kinds = [CartEvent, Decision, ContactEvent, Conversion]
    found = [next(iter(one)) for one in (log.events, log.decisions or (), log.contacts or (), log.conversions or ())]
    assert [type(one) for one in found] == kinds


@given(st.lists(st.lists(st.integers(0, 50), max_size=8), max_size=6))
def test_runs_are_merged_in_order(numbers: list[list[int]]) -> None:
    def item(number: int) -> Item:
        return Item(product_id=f"{number:03}", quantity=number)

    def key(one: Item) -> tuple[float, str, str]:
        return (float(one.quantity), one.product_id, "")

    def run(held: list[int]) -> Run[Item]:
        records = [item(number) for number in sorted(held)]
        return Run(key(records[0]), key(records[-1]), lambda: iter(records))

    runs = [run(held) for held in numbers if held]
    shuffled = [number for held in numbers for number in held]
    everything = sorted(shuffled)
    assert [one.quantity for one in merged(runs, key)] == everything
    assert most_at_once(runs) <= len(runs)
    assert [one.quantity for one in in_order(map(item, shuffled), key, Item)] == everything

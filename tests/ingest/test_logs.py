"""Public logs: every line is an event or a broken line, and the same ones at each reading."""

import gzip
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.logs import FORMATS, BrokenLine, Line, read
from ringback.errors import RingbackError
from ringback.records import CartEvent, DeadLetterReason, EventKind, Item

LOGS = Path(__file__).parent / "logs"
FILES = {
    "rees46": LOGS / "rees46.csv",
    "retailrocket": LOGS / "retailrocket.csv",
    "retentioneering": LOGS / "retentioneering.csv",
    "jsonl": LOGS / "shop.jsonl",
}


def split(path: Path, name: str) -> tuple[list[CartEvent], list[BrokenLine]]:
    both = list(read(path, name))
    return [one for one in both if isinstance(one, CartEvent)], [one for one in both if isinstance(one, BrokenLine)]


def test_rees46() -> None:
    events, broken = split(FILES["rees46"], "rees46")
    phone = Item(product_id="1004237", unit_price=108_198, category="electronics.smartphone", brand="apple")
    assert [event.kind for event in events] == [
        EventKind.PRODUCT_VIEWED,
        EventKind.ITEM_ADDED,
        EventKind.ITEM_REMOVED,
        EventKind.ORDER_COMPLETED,
    ]
    assert events[0].items == (
        Item(product_id="44600062", unit_price=3579, category="2103807459595387724", brand="shiseido"),
    )
    assert events[1] == CartEvent(
        event_id=events[1].event_id,
        source="rees46",
        shopper_id="535871217",
        kind=EventKind.ITEM_ADDED,
        time=1_569_888_005.0,
        session_id="c6bd7419",
        items=(phone,),
        currency="USD",
        replay=True,
    )
    assert events[3].value == 108_198
    assert [(line.number, line.reason) for line in broken] == [
        (6, DeadLetterReason.BROKEN_LINE),
        (7, DeadLetterReason.NEGATIVE_PRICE),
        (8, DeadLetterReason.BROKEN_LINE),
        (9, DeadLetterReason.WRONG_TYPE),
        (10, DeadLetterReason.BROKEN_LINE),
    ]
    assert broken[-1].raw.startswith(b"2019-10-01 00:00:13 UTC,view")
    assert "4 columns where 9 are expected" in broken[-1].detail


def test_retailrocket_is_put_into_order() -> None:
    events, broken = split(FILES["retailrocket"], "retailrocket")
    assert [(event.shopper_id, event.kind, event.time, event.order_id) for event in events] == [
        ("1134473", EventKind.PRODUCT_VIEWED, 1_433_193_132.535, None),
        ("257597", EventKind.ITEM_ADDED, 1_433_221_332.117, None),
        ("257597", EventKind.ORDER_COMPLETED, 1_433_224_214.164, "8693"),
        ("257597", EventKind.ORDER_COMPLETED, 1_433_224_214.165, "8694"),
    ]
    assert all(event.currency is None and event.items[0].unit_price == 0 for event in events)
    assert [line.number for line in broken] == [6, 7]


def test_retentioneering_is_put_into_order() -> None:
    events, broken = split(FILES["retentioneering"], "retentioneering")
    assert [(event.shopper_id, event.kind, event.step) for event in events] == [
        ("user_0000", EventKind.OTHER, None),
        ("user_0001", EventKind.PRODUCT_VIEWED, None),
        ("user_0000", EventKind.ITEM_ADDED, None),
        ("user_0000", EventKind.CHECKOUT_STARTED, 1),
        ("user_0000", EventKind.CHECKOUT_STEP, 2),
        ("user_0000", EventKind.PAYMENT_FAILED, 2),
        ("user_0000", EventKind.ORDER_COMPLETED, None),
    ]
    assert events[0].time == 1_710_325_274.0
    assert (events[0].traffic, events[0].session_id) == ("email", "sess_000001")
    assert [line.number for line in broken] == [9]


def test_our_own_log() -> None:
    events, broken = split(FILES["jsonl"], "jsonl")
    assert [(event.event_id, event.source, event.replay) for event in events] == [
        ("a1", "shop", True),
        ("a2", "shop", True),
    ]
    assert [(line.number, line.reason) for line in broken] == [
        (4, DeadLetterReason.NEGATIVE_PRICE),
        (5, DeadLetterReason.MALFORMED),
    ]


@pytest.mark.parametrize("name", FORMATS)
def test_a_gzipped_log_gives_the_same(name: str, tmp_path: Path) -> None:
    packed = tmp_path / "log.gz"
    packed.write_bytes(gzip.compress(FILES[name].read_bytes()))
    assert list(read(packed, name)) == list(read(FILES[name], name))


@pytest.mark.parametrize("name", FORMATS)
def test_ids_are_unique_and_stable(name: str) -> None:
    ids = [event.event_id for event in split(FILES[name], name)[0]]
    assert len(set(ids)) == len(ids)
    assert ids == [event.event_id for event in split(FILES[name], name)[0]]


def test_a_cut_gzip_file_is_read_as_far_as_it_goes(tmp_path: Path) -> None:
    head, _, rest = FILES["rees46"].read_bytes().partition(b"\r\n")
    many = head + b"\r\n" + b"".join(rest.splitlines(keepends=True)[:4] * 5_000)
    cut = tmp_path / "log.csv.gz"
    cut.write_bytes(gzip.compress(many)[:-100])
    events, broken = split(cut, "rees46")
    assert events
    assert "damaged" in broken[-1].detail
    assert broken[-1].number > len(events)


@pytest.mark.parametrize(
    ("path", "name", "words"),
    [
        (LOGS / "missing.csv", "rees46", "No such file"),
        (LOGS, "rees46", "directory"),
        (FILES["rees46"], "clickstream", "'clickstream' is none of jsonl, rees46"),
        (FILES["rees46"], "retailrocket", "missing: timestamp, visitorid"),
    ],
)
def test_what_can_not_be_read(path: Path, name: str, words: str) -> None:
    with pytest.raises(RingbackError, match=words):
        list(read(path, name))


def test_a_log_is_read_as_it_is_needed() -> None:
    def two_lines() -> Iterator[Line]:
        for number, raw in enumerate(FILES["rees46"].read_bytes().splitlines()[:2], start=1):
            yield Line(number, raw)
        raise AssertionError("read on")

    assert isinstance(next(FORMATS["rees46"](two_lines())), CartEvent)


@given(name=st.sampled_from(sorted(FORMATS)), rows=st.lists(st.text(max_size=60) | st.binary(max_size=60), max_size=5))
def test_any_line_is_accounted_for(name: str, rows: list[str | bytes]) -> None:
    raw = [row if isinstance(row, bytes) else row.encode(errors="replace") for row in rows]
    header = FILES[name].read_bytes().splitlines()[0]
    given_lines = [Line(number, row) for number, row in enumerate([header, *raw], start=1)]
    results = list(FORMATS[name](given_lines))
    expected = 1 + sum(1 for row in raw if row.strip()) if name == "jsonl" else len(raw)
    assert len(results) == expected


CELLS = st.text(max_size=12) | st.sampled_from(
    ["1e999999", "-1e99999", "NaN", "", "-1", "9" * 400, "2024-01-01", "\x00"]
)


@given(name=st.sampled_from(["rees46", "retailrocket", "retentioneering"]), column=st.integers(0, 9), cell=CELLS)
def test_any_cell_is_accounted_for(name: str, column: int, cell: str) -> None:
    header, row, *_ = FILES[name].read_text().splitlines()
    cells = row.split(",")
    cells[column % len(cells)] = cell
    results = list(FORMATS[name]([Line(1, header.encode()), Line(2, ",".join(cells).encode())]))
    assert len(results) == 1


def test_every_line_of_the_real_rees46_log(public_logs: Path) -> None:
    events, broken = split(public_logs / "rees46_2019-10-01_first_2h50.csv.gz", "rees46")
    assert Counter(event.kind for event in events) == {
        EventKind.PRODUCT_VIEWED: 17_055,
        EventKind.ITEM_ADDED: 165,
        EventKind.ORDER_COMPLETED: 214,
    }
    assert [(line.number, line.raw[-8:]) for line in broken] == [(17_436, b"52040330")]  # the file is cut there
    assert all(event.session_id and event.currency == "USD" for event in events)
    assert all(before.time <= after.time for before, after in pairwise(events))


def test_the_real_retailrocket_log(public_logs: Path) -> None:
    events, broken = split(public_logs / "retailrocket_sample_events.csv.gz", "retailrocket")
    assert Counter(event.kind for event in events) == {
        EventKind.PRODUCT_VIEWED: 9076,
        EventKind.ITEM_ADDED: 263,
        EventKind.ORDER_COMPLETED: 46,
    }
    assert not broken
    assert all(before.time <= after.time for before, after in pairwise(events))


def test_the_real_retentioneering_log(public_logs: Path) -> None:
    events, broken = split(public_logs / "retentioneering_ecom_SYNTHETIC.csv.gz", "retentioneering")
    assert len(events) == 31_106
    assert not broken
    assert Counter(event.kind for event in events)[EventKind.ORDER_COMPLETED] == 470
    assert all(before.time <= after.time for before, after in pairwise(events))

import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.shelf import NOTHING, MemoryShelf, RocksShelf, Shelf

CHANGES = st.lists(
    st.dictionaries(st.binary(min_size=1, max_size=2), st.none() | st.binary(max_size=3), max_size=4), max_size=8
)


@pytest.fixture(params=["memory", "rocksdb"])
def new_shelf(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], Shelf]:
    if request.param == "memory":
        return MemoryShelf
    numbers = iter(range(10_000))
    return lambda: RocksShelf(tmp_path / str(next(numbers)))


def test_it_holds_what_was_applied_last(new_shelf: Callable[[], Shelf]) -> None:
    @given(CHANGES)
    def holds(batches: list[dict[bytes, bytes | None]]) -> None:
        shelf, expected = new_shelf(), dict[bytes, bytes | None]()
        for offset, changes in enumerate(batches):
            shelf.apply(changes, offset)
            expected |= changes
        expected = {key: value for key, value in expected.items() if value is not None}
        assert dict(shelf.items()) == expected
        assert set(shelf.keys()) == set(expected)
        assert all(shelf.get(key) == value for key, value in expected.items())
        assert shelf.get(b"nobody") is None
        assert shelf.offset == len(batches) - 1
        shelf.close()

    holds()


def test_its_shoppers_can_be_looked_through_while_they_change(new_shelf: Callable[[], Shelf]) -> None:
    shelf = new_shelf()
    shelf.apply({b"%d" % number: b"x" for number in range(100)}, 0)
    for key in shelf.keys():  # noqa: SIM118 - no mapping
        shelf.apply({key: None, key + b"new": b"x"}, 1)
    assert len(list(shelf.keys())) == 100
    assert all(key.endswith(b"new") for key in shelf.keys())  # noqa: SIM118 - a shelf, no dict
    shelf.close()


def test_rocksdb_knows_after_a_restart_what_it_has(tmp_path: Path) -> None:
    shelf = RocksShelf(tmp_path / "partition-0")
    assert shelf.offset == NOTHING
    shelf.apply({b"a": b"1", b"b": b"2"}, 41)
    shelf.apply({b"a": None}, 42)
    shelf.close()
    shelf = RocksShelf(tmp_path / "partition-0")
    assert (shelf.offset, dict(shelf.items())) == (42, {b"b": b"2"})
    shelf.close()


def test_rocksdb_forgets_what_is_too_old_to_go_on_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shelf = RocksShelf(tmp_path / "partition-0")
    shelf.apply({b"a": b"1"}, 41)
    shelf.close()
    tomorrow = time.time() + 86400
    monkeypatch.setattr("stream.shelf.time.time", lambda: tomorrow)
    shelf = RocksShelf(tmp_path / "partition-0")
    assert (shelf.offset, dict(shelf.items())) == (NOTHING, {})
    shelf.close()

"""Where the encoded states of one partition lie: in memory, or in RocksDB when they are too many for it.

A shelf knows up to which offset of the changelog it is complete, so that only what came later is read again.
"""

import shutil
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

from ringback.errors import SettingsError

NOTHING = -1


class Shelf(Protocol):
    """One partition's states, by shopper id. ``offset`` is the last changelog record in it, `NOTHING` for none."""

    offset: int

    def get(self, key: bytes) -> bytes | None:
        """The state of a shopper."""

    def apply(self, changes: Mapping[bytes, bytes | None], offset: int) -> None:
        """Set states, or delete them where None; with them the shelf is complete up to ``offset``."""

    def items(self) -> Iterator[tuple[bytes, bytes]]:
        """All states. They may not change while this is iterated."""

    def keys(self) -> Iterable[bytes]:
        """The shoppers at this moment; they may change while this is iterated."""

    def __len__(self) -> int:
        """How many shoppers; an estimate where it would be dear to count them."""

    def close(self) -> None:
        """Let go of it; what lies on a disk stays there."""


class MemoryShelf:
    """States in a dictionary: bytes only, so that the garbage collector has nothing to walk through."""

    def __init__(self) -> None:
        self.offset = NOTHING
        self._states: dict[bytes, bytes] = {}

    def get(self, key: bytes) -> bytes | None:
        """The state of a shopper."""
        return self._states.get(key)

    def apply(self, changes: Mapping[bytes, bytes | None], offset: int) -> None:
        """Set states, or delete them where None."""
        for key, value in changes.items():
            if value is None:
                self._states.pop(key, None)
            else:
                self._states[key] = value
        self.offset = max(self.offset, offset)

    def items(self) -> Iterator[tuple[bytes, bytes]]:
        """All states."""
        return iter(self._states.items())

    def keys(self) -> Iterable[bytes]:
        """The shoppers at this moment."""
        return list(self._states)

    def __len__(self) -> int:
        return len(self._states)

    def close(self) -> None:
        """Nothing lies elsewhere."""


class RocksShelf:
    """States on a disk. A batch and its offset are written together, so that a crash can't part them.

    Needs the package rocksdict; raises `SettingsError` without it.
    """

    # No shopper id is empty.
    _OFFSET = b""
    # Kafka keeps a changelog's deletions for a day: a longer absence could miss one, and keep an erased person.
    _OLDEST_SECONDS = 12 * 3600.0
    _CACHE_BYTES = 64 * 1024 * 1024

    def __init__(self, folder: Path) -> None:
        try:
            import rocksdict  # noqa: PLC0415 - an extra: only who keeps states on a disk installs it
        except ImportError:
            raise SettingsError(
                "stream.store = 'rocksdb' needs the package rocksdict: pip install 'ringback[rocksdb]'"
            ) from None
        self._new_batch = rocksdict.WriteBatch
        table = rocksdict.BlockBasedOptions()
        table.set_block_cache(rocksdict.Cache(self._CACHE_BYTES))
        table.set_bloom_filter(10, block_based=False)
        options = rocksdict.Options(raw_mode=True)
        options.create_if_missing(create_if_missing=True)
        options.set_block_based_table_factory(table)
        folder.parent.mkdir(parents=True, exist_ok=True)
        # In raw mode keys and values are bytes, whatever the package's types say.
        self._states: Any = rocksdict.Rdict(str(folder), options)
        self.offset = NOTHING
        kept = self._states.get(self._OFFSET)
        if kept is not None:
            offset, written = kept.decode().split()
            if time.time() - float(written) < self._OLDEST_SECONDS:
                self.offset = int(offset)
            else:
                self.apply(dict.fromkeys(self.keys()), NOTHING)

    def get(self, key: bytes) -> bytes | None:
        """The state of a shopper."""
        value: bytes | None = self._states.get(key)
        return value

    def apply(self, changes: Mapping[bytes, bytes | None], offset: int) -> None:
        """Set states, or delete them where None."""
        self.offset = max(self.offset, offset)
        batch = self._new_batch(raw_mode=True)
        for key, value in changes.items():
            if value is None:
                batch.delete(key)
            else:
                batch.put(key, value)
        batch.put(self._OFFSET, f"{self.offset} {time.time():.0f}".encode())
        self._states.write(batch)

    def items(self) -> Iterator[tuple[bytes, bytes]]:
        """All states."""
        return (item for item in self._states.items() if item[0] != self._OFFSET)

    def keys(self) -> Iterable[bytes]:
        """The shoppers at this moment: RocksDB iterates over a snapshot."""
        return (key for key in self._states.keys() if key != self._OFFSET)  # noqa: SIM118 - no mapping

    def __len__(self) -> int:
        return int(self._states.property_int_value("rocksdb.estimate-num-keys") or 0)

    def close(self) -> None:
        """Release the lock on the folder."""
        self._states.close()

    @staticmethod
    def remove(folder: Path) -> None:
        """Delete what lies in a folder."""
        shutil.rmtree(folder, ignore_errors=True)

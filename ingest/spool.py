"""Where requests wait on disk while Kafka or Redis is away: nothing is acknowledged before it is synced.

A folder of segment files, only ever appended to. A record is framed by its length and a CRC-32 of length and content;
what a crash left behind an intact frame was never acknowledged, and is dropped. Many waiting records share one fsync.
"""

import asyncio
import fcntl
import logging
import os
import struct
import zlib
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from ringback.errors import SettingsError, Unavailable

log = logging.getLogger(__name__)

SEGMENT_BYTES = 8 * 1024 * 1024
READ_BYTES = 2 * 1024 * 1024
SUFFIX = ".spool"

_LENGTH = struct.Struct("<I")
_HEAD = struct.Struct("<II")


class SpoolFull(Unavailable):
    """The spool takes nothing more, because it has as many bytes as it may have or the disk took none."""


@dataclass(slots=True, eq=False)
class _Segment:
    """One file. ``size`` bytes of it, with ``records`` records, are whole and synced."""

    path: Path
    size: int = 0
    records: int = 0
    file: int | None = None

    def close(self) -> None:
        if self.file is not None:
            os.close(self.file)
            self.file = None


class Spool:
    """Records in the order of `append`, kept until they are released; one process owns the folder.

    Raises `SettingsError` when the folder can't be used. What an earlier process left is there again. ``most_bytes``
    bounds the files, what was released of them but not yet deleted included.
    """

    def __init__(self, folder: Path, most_bytes: int, segment_bytes: int = SEGMENT_BYTES) -> None:
        self._folder = folder
        self._most_bytes = most_bytes
        self._segment_bytes = segment_bytes
        self._lock = _own(folder)
        self._segments = deque(_recover(folder))
        self._number = max((int(segment.path.stem) for segment in self._segments), default=0)
        self._offset = 0
        self._released = 0
        self._waiting: list[tuple[bytes, asyncio.Future[None]]] = []
        self._committing: asyncio.Task[None] | None = None
        self._thread = ThreadPoolExecutor(1, "spool")
        self.records = sum(segment.records for segment in self._segments)
        self.bytes = sum(segment.size for segment in self._segments)
        self._readable = asyncio.Event()
        if self.records:
            self._readable.set()
            log.warning("%d requests wait in %s since an earlier run; they are taken first", self.records, folder)

    @property
    def holds(self) -> bool:
        """Whether anything waits here, or is about to; what comes next must queue behind it."""
        return self.records > 0 or self._committing is not None

    async def append(self, record: bytes) -> None:
        """Return when the record is synced. Raises `SpoolFull`; the record may be there all the same then."""
        frame = _framed(record)
        if self.bytes + len(frame) > self._most_bytes:
            raise SpoolFull(f"the spool in {self._folder} holds {self.bytes} bytes; ingest.spool_bytes says how many")
        self.bytes += len(frame)
        synced = asyncio.get_running_loop().create_future()
        self._waiting.append((frame, synced))
        if self._committing is None:
            self._committing = asyncio.create_task(self._commit())
        await synced

    async def oldest(self, most: int) -> list[bytes]:
        """The oldest records, at least one and at most so many: waits for one. The same again until `release`."""
        while True:
            await self._readable.wait()
            segment = self._segments[0]
            found = await asyncio.to_thread(_read, segment.path, self._offset, segment.size, most)
            if found:
                return found
            lost = segment.records - self._released
            log.critical("%s was damaged since it was written: %d requests in it are lost", segment.path, lost)
            await self._advance(segment.size - self._offset, lost)

    async def release(self, records: Sequence[bytes]) -> None:
        """Forget these records, the oldest; a file is deleted when all of it was released."""
        await self._advance(sum(_HEAD.size + len(record) for record in records), len(records))

    async def close(self) -> None:
        """Sync what waits, and let another process have the folder."""
        if self._committing is not None:
            await self._committing
        for segment in self._segments:
            segment.close()
        self._thread.shutdown()
        os.close(self._lock)

    async def _advance(self, size: int, records: int) -> None:
        self._offset += size
        self._released += records
        self.records -= records
        if not self.records:
            self._readable.clear()
        await self._delete_released()

    async def _delete_released(self) -> None:
        while self._segments and self._released == self._segments[0].records:
            if len(self._segments) == 1 and self._committing is not None:
                return  # it is being written to
            segment = self._segments.popleft()
            self._offset = self._released = 0
            self.bytes -= segment.size
            segment.close()
            await asyncio.to_thread(segment.path.unlink, missing_ok=True)

    async def _commit(self) -> None:
        loop = asyncio.get_running_loop()
        while self._waiting:
            batch, self._waiting = self._waiting, []
            data = b"".join(frame for frame, _ in batch)
            segment = self._open_segment()
            try:
                await loop.run_in_executor(self._thread, _write, segment, data)
            except OSError as error:
                self._give_up(segment, len(data))
                failure = f"the spool in {self._folder} can't be written: {error}"
                log.warning("%s", failure)
                for _, synced in batch:
                    if not synced.done():
                        synced.set_exception(SpoolFull(failure))
                continue
            if not segment.size:
                self._segments.append(segment)
            segment.size += len(data)
            segment.records += len(batch)
            self.records += len(batch)
            self._readable.set()
            for _, synced in batch:
                if not synced.done():
                    synced.set_result(None)
        self._committing = None
        await self._delete_released()

    def _open_segment(self) -> _Segment:
        """The segment to write to: the last one while it is open and small, else a new one."""
        if self._segments:
            last = self._segments[-1]
            if last.file is not None and last.size < self._segment_bytes:
                return last
            last.close()
        self._number += 1
        return _Segment(self._folder / f"{self._number:012d}{SUFFIX}")

    def _give_up(self, segment: _Segment, size: int) -> None:
        """Never write behind what may be torn: a failed segment is closed, and a new one taken next time."""
        self.bytes -= size
        segment.close()
        try:
            if segment.size:
                os.truncate(segment.path, segment.size)
            else:
                segment.path.unlink(missing_ok=True)
        except OSError as error:
            log.warning("%s keeps what could not be synced: %s", segment.path, error)


def _own(folder: Path) -> int:
    """Make the folder, for this user alone, and lock it; the lock ends with the process."""
    try:
        if not folder.exists():
            folder.mkdir(mode=0o700, parents=True)
        lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise SettingsError(f"ingest.spool_dir: can't write to {folder}: {error}; set a folder that can be") from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(lock)
        raise SettingsError(f"ingest.spool_dir: {folder} belongs to another ingest; give each its own") from None
    return lock


def _recover(folder: Path) -> Iterator[_Segment]:
    for path in sorted(folder.glob(f"*{SUFFIX}")):
        data = path.read_bytes()
        records = list(_frames(data))
        size = sum(_HEAD.size + len(record) for record in records)
        if size < len(data):
            log.warning("%s: %d bytes at the end were never acknowledged, and are dropped", path, len(data) - size)
        if records:
            yield _Segment(path, size, len(records))
        else:
            path.unlink()


def _write(segment: _Segment, data: bytes) -> None:
    """Append and sync; a new file's name is synced too. Raises OSError."""
    if segment.file is None:
        segment.file = os.open(segment.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        folder = os.open(segment.path.parent, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(segment.file, rest) :]
    os.fsync(segment.file)


def _read(path: Path, start: int, end: int, most: int) -> list[bytes]:
    """Whole records of a file between two offsets: so many at most, and not many bytes more than `READ_BYTES`."""
    with path.open("rb") as file:
        file.seek(start)
        data = file.read(min(end - start, READ_BYTES))
        if len(data) >= _HEAD.size:
            data += file.read(max(0, _HEAD.size + _LENGTH.unpack_from(data)[0] - len(data)))
    return [record for _, record in zip(range(most), _frames(data), strict=False)]


def _framed(record: bytes) -> bytes:
    return _HEAD.pack(len(record), _checksum(_LENGTH.pack(len(record)), record)) + record


def _frames(data: bytes) -> Iterator[bytes]:
    """The records up to the first frame that is not intact."""
    at = 0
    while at + _HEAD.size <= len(data):
        length, checksum = _HEAD.unpack_from(data, at)
        record = data[at + _HEAD.size : at + _HEAD.size + length]
        if len(record) < length or _checksum(data[at : at + _LENGTH.size], record) != checksum:
            return
        yield record
        at += _HEAD.size + length


def _checksum(length: bytes, record: bytes) -> int:
    return zlib.crc32(record, zlib.crc32(length))

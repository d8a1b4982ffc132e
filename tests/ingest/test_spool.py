"""The spool: what was acknowledged is there again after any crash, in its order; nothing else is acknowledged."""

import asyncio
import os
import stat
import tempfile
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.spool import Spool, SpoolFull
from ringback.errors import SettingsError

MANY = 10**9
GROUPS = st.lists(st.lists(st.binary(max_size=40), min_size=1, max_size=4), min_size=1, max_size=6)


async def all_of(spool: Spool, at_once: int = 3) -> list[bytes]:
    found: list[bytes] = []
    while spool.holds:
        records = await spool.oldest(at_once)
        found += records
        await spool.release(records)
    return found


async def written(folder: Path, groups: Sequence[Sequence[bytes]], segment_bytes: int) -> None:
    """Each group is appended at once and shares an fsync; the next one comes when it is acknowledged."""
    spool = Spool(folder, MANY, segment_bytes)
    for group in groups:
        await asyncio.gather(*map(spool.append, group))
    await spool.close()


async def recovered(folder: Path) -> list[bytes]:
    spool = Spool(folder, MANY)
    found = await all_of(spool)
    await spool.close()
    return found


def segments(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.spool"))


async def test_records_come_back_in_their_order(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool", MANY, segment_bytes=100)
    records = [b"%d" % number for number in range(100)]
    await asyncio.gather(*map(spool.append, records))
    assert (spool.holds, spool.records) == (True, 100)
    assert await all_of(spool) == records
    assert (spool.holds, spool.records, spool.bytes) == (False, 0, 0)
    assert not segments(tmp_path / "spool")
    await spool.append(b"again")
    assert await all_of(spool) == [b"again"]
    await spool.close()


async def test_what_is_read_stays_until_it_is_released(tmp_path: Path) -> None:
    spool = Spool(tmp_path, MANY)
    await asyncio.gather(*map(spool.append, (b"1", b"2", b"3")))
    assert await spool.oldest(2) == [b"1", b"2"]
    assert await spool.oldest(2) == [b"1", b"2"]
    await spool.release([b"1"])
    assert await spool.oldest(9) == [b"2", b"3"]
    await spool.close()
    assert await recovered(tmp_path) == [b"1", b"2", b"3"]  # its file was not done with


async def test_records_that_come_while_others_are_taken_queue_behind(tmp_path: Path) -> None:
    spool = Spool(tmp_path, MANY, segment_bytes=64)
    sent = [b"record %d" % number for number in range(200)]
    found: list[bytes] = []

    async def appends() -> None:
        for record in sent:
            await spool.append(record)

    appending = asyncio.create_task(appends())
    while len(found) < len(sent):
        records = await spool.oldest(5)
        found += records
        await spool.release(records)
    await appending
    assert found == sent
    assert not spool.holds
    await spool.close()


async def test_large_records(tmp_path: Path) -> None:
    spool = Spool(tmp_path, MANY)
    records = [os.urandom(3_000_000), b"small", os.urandom(2_500_000)]
    for record in records:
        await spool.append(record)
    assert await all_of(spool) == records
    await spool.close()


async def test_nothing_of_it_is_for_others(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "spool"
    await written(folder, [[b"a phone number"]], MANY)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert [stat.S_IMODE(file.stat().st_mode) for file in folder.iterdir()] == [0o600, 0o600]


async def test_a_full_spool_takes_nothing(tmp_path: Path) -> None:
    spool = Spool(tmp_path, most_bytes=50)
    await spool.append(b"x" * 40)
    with pytest.raises(SpoolFull, match=r"ingest\.spool_bytes"):
        await spool.append(b"y")
    assert await all_of(spool) == [b"x" * 40]
    await spool.append(b"z")
    await spool.close()


async def test_a_disk_that_takes_nothing_is_a_full_spool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spool = Spool(tmp_path, MANY)
    await spool.append(b"before")
    sync = os.fsync

    def broken(file: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", broken)
    with pytest.raises(SpoolFull, match="No space left"):
        await spool.append(b"lost, and said so")
    monkeypatch.setattr(os, "fsync", sync)
    await spool.append(b"after")
    assert await all_of(spool) == [b"before", b"after"]
    assert spool.bytes == 0
    await spool.close()


async def test_a_folder_has_one_owner(tmp_path: Path) -> None:
    spool = Spool(tmp_path, MANY)
    with pytest.raises(SettingsError, match="belongs to another ingest"):
        Spool(tmp_path, MANY)
    await spool.close()
    await Spool(tmp_path, MANY).close()


def test_a_folder_that_can_not_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SettingsError, match=r"ingest\.spool_dir: can't write to"):
        Spool(tmp_path / "file" / "spool", MANY)


async def test_a_file_damaged_under_its_owner_does_not_block_the_rest(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    spool = Spool(tmp_path, MANY, segment_bytes=1)
    await spool.append(b"damaged")
    await spool.append(b"whole")
    file = segments(tmp_path)[0]
    file.write_bytes(file.read_bytes()[:-1] + b"?")
    assert await all_of(spool) == [b"whole"]
    assert "1 requests in it are lost" in caplog.text
    await spool.close()


@settings(max_examples=50)
@given(groups=GROUPS, segment_bytes=st.sampled_from([1, 60, 200, MANY]), data=st.data())
def test_a_crash_at_any_byte_loses_only_what_was_not_acknowledged(
    groups: list[list[bytes]], segment_bytes: int, data: st.DataObject
) -> None:
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        asyncio.run(written(folder, groups, segment_bytes))
        files = segments(folder)
        crash = data.draw(st.integers(0, sum(file.stat().st_size for file in files)), label="bytes on the disk")
        # What the file system may show behind them: nothing, zeros, or whatever was there before.
        behind = data.draw(st.sampled_from([b"", bytes(64)]) | st.binary(max_size=64), label="bytes behind")
        start, crashed = 0, False
        for file in files:
            whole = file.read_bytes()
            if crashed:
                file.unlink()
            elif crash < start + len(whole):
                file.write_bytes(whole[: crash - start] + behind)
                crashed = True
            start += len(whole)
        found = asyncio.run(recovered(folder))
    records = [record for group in groups for record in group]
    ends, end = [], 0
    for group in groups:
        end += sum(8 + len(record) for record in group)
        ends.append(end)
    acknowledged = sum(len(group) for group, end in zip(groups, ends, strict=True) if end <= crash)
    assert found[:acknowledged] == records[:acknowledged]
    assert found == records[: len(found)]


@settings(max_examples=50)
@given(groups=GROUPS, data=st.data())
def test_a_damaged_segment_takes_no_other_with_it(groups: list[list[bytes]], data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        asyncio.run(written(folder, groups, 1))
        file = data.draw(st.sampled_from(segments(folder)), label="damaged")
        number = int(file.stem) - 1
        at = data.draw(st.integers(0, file.stat().st_size - 1), label="byte")
        whole = file.read_bytes()
        file.write_bytes(whole[:at] + bytes([whole[at] ^ 0xFF]) + whole[at + 1 :])
        found = asyncio.run(recovered(folder))
    before = [record for group in groups[:number] for record in group]
    after = [record for group in groups[number + 1 :] for record in group]
    assert found[: len(before)] == before
    assert found[len(found) - len(after) :] == after
    rest = found[len(before) : len(found) - len(after)]
    assert rest == groups[number][: len(rest)]
    assert len(rest) < len(groups[number])

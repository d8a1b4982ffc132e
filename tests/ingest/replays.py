"""Logs to replay, and what must be in Kafka afterwards."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

from ingest.replay import ReplaySummary
from ringback.records import CartEvent, Topic, decoder
from tests.integration.topics import records

REES46 = Path(__file__).parent / "logs" / "rees46.csv"


def write_log(path: Path, events: int, shoppers: int = 50) -> Path:
    moments = (datetime(2019, 10, 1, tzinfo=UTC) + timedelta(seconds=second) for second in range(events))
    rows = [f"{at:%Y-%m-%d %H:%M:%S} UTC,view,1,2,,,9.99,{n % shoppers},s" for n, at in enumerate(moments)]
    header = REES46.read_text().splitlines()[0]
    path.write_text("\n".join([header, *rows]))
    return path


async def line_numbers_by_shopper(bootstrap: str) -> dict[bytes, list[int]]:
    decode = decoder(CartEvent).decode
    found: dict[bytes, list[int]] = {}
    for record in await records(bootstrap, Topic.CART_EVENTS):
        event = decode(record.value)
        assert record.key == event.shopper_id.encode()
        found.setdefault(record.key, []).append(int(event.event_id.partition("-")[0]))
    return found


def assert_complete(found: dict[bytes, list[int]], events: int) -> None:
    assert sorted(number for numbers in found.values() for number in numbers) == list(range(2, events + 2))
    assert all(numbers == sorted(numbers) for numbers in found.values())


async def arrived(bootstrap: str, playing: asyncio.Task[ReplaySummary]) -> None:
    while not await records(bootstrap, Topic.CART_EVENTS):
        assert not playing.done()

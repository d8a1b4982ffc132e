"""Many events of one partition in one Kafka record: a JSON array where a single event is an object.

A record costs a consumer far more than the bytes in it. Ingest packs the events that arrive within a few milliseconds;
the record has no key, and each event's own shopper id must belong to the record's partition.
"""

from collections.abc import Iterable, Sequence
from functools import lru_cache

import msgspec
from aiokafka.partitioner import murmur2

from ringback.records import CartEvent, encode

# With what a record may hold beside it, still below what an event may be: ingest.max_event_bytes.
MOST_PACKED_BYTES = 128 * 1024

_split = msgspec.json.Decoder(list[msgspec.Raw]).decode


@lru_cache(maxsize=200_000)
def partition_of(shopper_id: str, partitions: int) -> int:
    """The partition of a shopper: Kafka's own default for a key of these bytes (murmur2)."""
    return int(murmur2(shopper_id.encode()) & 0x7FFFFFFF) % partitions


def is_packed(raw: bytes) -> bool:
    """Whether a record's value holds several events."""
    return raw[:1] == b"["


def pack(events: Iterable[bytes]) -> list[bytes]:
    """Records' values that hold these encoded events, in their order, each of `MOST_PACKED_BYTES` at most.

    An event that is larger than that gets a record of its own.
    """
    records: list[bytes] = []
    held: list[bytes] = []
    size = 0
    for event in events:
        if held and size + len(event) > MOST_PACKED_BYTES:
            records.append(_joined(held))
            held, size = [], 0
        held.append(event)
        size += len(event) + 1
    if held:
        records.append(_joined(held))
    return records


def pack_by_partition(events: Sequence[CartEvent], partitions: int) -> list[tuple[int, bytes]]:
    """The records, each with its partition, that hold these events; a shopper's events keep their order."""
    by_partition: dict[int, list[bytes]] = {}
    for event in events:
        by_partition.setdefault(partition_of(event.shopper_id, partitions), []).append(encode(event))
    return [(number, value) for number, held in by_partition.items() for value in pack(held)]


def unpack(raw: bytes) -> list[bytes]:
    """The encoded events in a packed record. Raises `msgspec.DecodeError` where it is no JSON array."""
    return [bytes(part) for part in _split(raw)]


def _joined(events: list[bytes]) -> bytes:
    return b"[" + b",".join(events) + b"]"

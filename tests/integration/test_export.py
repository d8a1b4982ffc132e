"""Topics of Apache Kafka into files, and from files into training rows."""

import asyncio
import json
import time
from pathlib import Path

import msgspec
import pytest
from typer.testing import CliRunner, Result

from ingest.logs import read
from ringback import kafka
from ringback.cli import app
from ringback.decisions import Decision
from ringback.envelope import pack_by_partition
from ringback.errors import RingbackError, Unavailable
from ringback.export import export
from ringback.export_files import Form
from ringback.records import CartEvent, ContactKind, Topic, encode
from ringback.settings import KafkaSettings, Settings, StreamSettings
from scoring.data.logs import read_log
from scoring.data.rows import log_rows
from simulation.people import person
from stream.partition import Partition
from tests.integration import topics
from tests.scoring.decided import contact
from tests.servers.kafka import Kafka
from tests.servers.process import free_port
from tests.stream.shop import Even, HeldStates

HOUR = 3600.0
PARTITIONS = 3
# Nine of ten carts of this log are filled in its last half hour.
EVENTS = 8000
PACKED = 500
GAP = 180.0


async def filled(broker: Kafka, log: Path) -> tuple[KafkaSettings, list[CartEvent]]:
    """A cluster with the end of a log, the decisions on them, a contact and no conversions; and the events."""
    settings = Settings(
        kafka=KafkaSettings(bootstrap=broker.bootstrap, partitions=PARTITIONS),
        stream=StreamSettings(abandon_after=GAP),
    )
    await kafka.create_topics(settings.kafka)
    whole = [
        msgspec.structs.replace(one, shopper=person(one.shopper_id))
        for one in read(log, "rees46")
        if isinstance(one, CartEvent)
    ]
    events = whole[-EVENTS:]
    producer = await kafka.producer(settings.kafka)
    try:
        for begin in range(0, len(events), PACKED):
            for number, value in pack_by_partition(events[begin : begin + PACKED], PARTITIONS):
                await producer.send(Topic.CART_EVENTS, value, partition=number)
        await producer.send(Topic.CART_EVENTS, b"no event", partition=0)
        await producer.flush()
        for decision in await decided(settings):
            await producer.send(Topic.DECISIONS, encode(decision), key=decision.shopper_id.encode())
        met = contact("nobody", ContactKind.ANSWERED, events[0].time)
        await producer.send(Topic.CONTACTS, encode(met), key=b"nobody")
    finally:
        await kafka.close(producer)
    return settings.kafka, events


async def decided(settings: Settings) -> list[Decision]:
    """What the stream decides on the events that lie in Kafka."""
    parts = [
        Partition(number, settings, settings.simulation.clock(), Even(), HeldStates()) for number in range(PARTITIONS)
    ]
    for record in await topics.records(settings.kafka.bootstrap, Topic.CART_EVENTS):
        parts[record.partition].records(record.key, record.value or b"", record.offset, record.timestamp / 1000)
    return [decision for part in parts for decision in part.effects.decisions]


def nameless(events: list[CartEvent]) -> dict[str, CartEvent]:
    return {event.event_id: msgspec.structs.replace(event, shopper=None) for event in events}


def files_in(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


@pytest.mark.parametrize("form", ["jsonl", "parquet"])
async def test_what_is_in_kafka_becomes_training_rows(broker: Kafka, log: Path, tmp_path: Path, form: Form) -> None:
    settings, events = await filled(broker, log)
    told: list[tuple[str, int, int]] = []
    done = await export(
        settings,
        tmp_path,
        [Topic.CART_EVENTS, Topic.DECISIONS, Topic.CONTACTS, Topic.CONVERSIONS],
        form=form,
        progress=lambda *counts: told.append(counts),
        most_records=2000,
    )
    by_topic = {one.topic: one for one in done}
    assert by_topic["cart-events"].records == len(events)
    assert by_topic["cart-events"].left_out == {"can't be read": 1}
    assert len(by_topic["cart-events"].files) > 3
    assert (by_topic["conversions"].files, by_topic["conversions"].first) == ((), None)
    assert all(done <= total for _, done, total in told)
    files = files_in(tmp_path)
    assert sorted(map(str, files)) == sorted(name for one in done for name in one.files)
    written = b"".join(path.read_bytes() for path in files)
    for shopper in [event.shopper for event in events[:200] if event.shopper is not None]:
        assert not [told for told in (shopper.name, shopper.phone) if told is not None and told.encode() in written]

    exported = read_log([tmp_path])
    found = list(exported.events)
    assert {event.event_id: event for event in found} == nameless(events)
    assert [event.time for event in found] == sorted(event.time for event in events)
    rows = log_rows(exported, HOUR, GAP, uncovered=True)
    assert rows.served == by_topic["decisions"].records > 10
    assert rows.differing == 0


async def test_the_command(broker: Kafka, log: Path, tmp_path: Path) -> None:
    settings, events = await filled(broker, log)

    def ringback(*arguments: str) -> Result:
        flags = ["--bootstrap", settings.bootstrap, "--out", str(tmp_path)]
        return CliRunner().invoke(app, ["export", *flags, *arguments], env={"COLUMNS": "200"})

    whole = await asyncio.to_thread(ringback)
    assert whole.exit_code == 0, whole.output
    lines = whole.stdout.splitlines()
    assert lines[0].startswith(f"cart-events: {len(events):,} records in 1 file, 2019-10-01 0")
    assert lines[0].endswith("left out: 1 (can't be read)")
    assert lines[-1] == "conversions: empty, nothing to export"

    recent = await asyncio.to_thread(ringback, "--topic", "contacts", "--since", "1h", "--json")
    assert [(one["topic"], one["records"]) for one in json.loads(recent.stdout)] == [("contacts", 1)]
    later = await export(settings, tmp_path, [Topic.CONTACTS], since=time.time() + HOUR)
    assert later[0].files == ()
    wrong = await asyncio.to_thread(ringback, "--since", "soon")
    assert (wrong.exit_code, "--since soon: expected a number with" in wrong.output) == (2, True)


async def test_a_cluster_without_topics_and_none_at_all(broker: Kafka, tmp_path: Path) -> None:
    with pytest.raises(RingbackError, match=r"has no topic ringback\.decisions: start ringback ingest"):
        await export(KafkaSettings(bootstrap=broker.bootstrap), tmp_path, [Topic.DECISIONS])
    nobody = KafkaSettings(bootstrap=f"127.0.0.1:{free_port()}")
    with pytest.raises(Unavailable, match="can't be reached"):
        await export(nobody, tmp_path, [Topic.DECISIONS], patience=1.0)
    assert files_in(tmp_path) == []

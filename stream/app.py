"""The Faust app: its topics, its table, and the settings that make it safe; docs/architecture.md has the reasons."""

from dataclasses import dataclass
from functools import partial

import faust
from faust.types import TopicT

from ringback.metrics import StreamMetrics
from ringback.records import Topic
from ringback.settings import Settings
from stream import continuity
from stream.continuity import Continuity
from stream.membership import Lease
from stream.sensor import Sensor
from stream.table import ShopperTable
from stream.transport import Transport


@dataclass(frozen=True, slots=True)
class StreamApp:
    """A Faust app with what is declared in it, the lease under which it may write, and how far it has come."""

    app: faust.App
    cart_events: TopicT
    contacts: TopicT
    table: ShopperTable
    lease: Lease
    continuity: Continuity


def create(settings: Settings, metrics: StreamMetrics, cart_events: str = Topic.CART_EVENTS) -> StreamApp:
    """Declare the app, which takes events from the topic ``cart_events``. Nothing is started or connected."""
    stream = settings.stream
    app = faust.App(
        stream.app_id,
        broker=[f"kafka://{address.strip()}" for address in settings.kafka.bootstrap.split(",")],
        datadir=str(stream.data_dir),
        store="memory://",
        topic_partitions=settings.kafka.partitions,
        topic_replication_factor=settings.kafka.replication,
        topic_disable_leader=True,
        autodiscover=False,
        # Faust's web server would serve table data by key to anybody; metrics have a listener of their own.
        web_enabled=False,
        processing_guarantee="at_least_once",
        consumer_auto_offset_reset="earliest",
        producer_acks=-1,
        producer_linger=0.005,
        producer_request_timeout=settings.kafka.request_timeout,
        broker_session_timeout=settings.kafka.session_timeout,
        broker_heartbeat_interval=min(2.0, settings.kafka.session_timeout / 5),
        broker_max_poll_interval=300.0,
        broker_max_poll_records=200,
        stream_buffer_maxsize=800,
        cython_optimizations=True,
        broker_commit_interval=1.0,
        broker_commit_every=5000,
        stream_wait_empty=True,
        table_standby_replicas=stream.standby,
        Table=ShopperTable,
        monitor=Sensor(metrics),
    )
    lease = Lease(settings.kafka.session_timeout, app.conf.broker_rebalance_timeout)
    records = Continuity(partial(continuity.committed, settings.kafka, stream.app_id))
    app.transport = Transport(app.conf.broker_consumer, app, lease, records)
    raw: faust.Schema[bytes, bytes] = faust.Schema(
        key_type=bytes, value_type=bytes, key_serializer="raw", value_serializer="raw"
    )
    folder = stream.data_dir / "states" if stream.store == "rocksdb" else None
    table = app.Table(
        "shoppers",
        key_type=bytes,
        value_type=bytes,
        partitions=settings.kafka.partitions,
        options={"folder": folder},
        extra_topic_configs={
            "min.insync.replicas": str(max(1, settings.kafka.replication - 1)),
            # A changelog is read whole after a crash: old states and deletions are cleaned away soon.
            "segment.bytes": str(64 * 1024 * 1024),
            "min.cleanable.dirty.ratio": "0.2",
        },
        # What is read for a standby copy is put there at once, not when a thousand have come together.
        standby_buffer_size=1,
    )
    if not isinstance(table, ShopperTable):
        raise TypeError("faust.App ignored its setting Table")
    return StreamApp(
        app=app,
        cart_events=app.topic(str(cart_events), schema=raw, partitions=settings.kafka.partitions),
        contacts=app.topic(Topic.CONTACTS.value, schema=raw, partitions=settings.kafka.partitions),
        table=table,
        lease=lease,
        continuity=records,
    )

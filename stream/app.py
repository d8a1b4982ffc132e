"""The Faust app: its topics, its table, and the settings that make it safe; docs/architecture.md has the reasons."""

from dataclasses import dataclass

import faust
from faust.types import TopicT

from ringback.records import Topic
from ringback.settings import Settings
from stream.table import ShopperTable


@dataclass(frozen=True, slots=True)
class StreamApp:
    """A Faust app with what is declared in it."""

    app: faust.App
    cart_events: TopicT
    contacts: TopicT
    table: ShopperTable


def create(settings: Settings) -> StreamApp:
    """Declare the app. Nothing is started or connected."""
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
        broker_session_timeout=10.0,
        broker_heartbeat_interval=2.0,
        broker_max_poll_interval=300.0,
        broker_max_poll_records=500,
        broker_commit_interval=1.0,
        broker_commit_every=5000,
        stream_wait_empty=True,
        # Standby replicas do nothing for tables in memory: a failover reads the whole changelog all the same.
        table_standby_replicas=0,
        Table=ShopperTable,
    )
    raw: faust.Schema[bytes, bytes] = faust.Schema(
        key_type=bytes, value_type=bytes, key_serializer="raw", value_serializer="raw"
    )
    table = app.Table("shoppers", key_type=bytes, value_type=bytes, partitions=settings.kafka.partitions)
    if not isinstance(table, ShopperTable):
        raise TypeError("faust.App ignored its setting Table")
    return StreamApp(
        app=app,
        cart_events=app.topic(Topic.CART_EVENTS.value, schema=raw, partitions=settings.kafka.partitions),
        contacts=app.topic(Topic.CONTACTS.value, schema=raw, partitions=settings.kafka.partitions),
        table=table,
    )

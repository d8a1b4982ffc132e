"""Puts the parts of a worker together around what it carries."""

from dataclasses import dataclass
from functools import partial

from dialer.hopper import Hopper
from ringback import kafka
from ringback.metrics import StreamMetrics
from ringback.settings import Settings
from stream import agents, continuity, membership
from stream.app import StreamApp
from stream.continuity import Continuity
from stream.flush import Assignment, Flusher
from stream.following import Following
from stream.membership import Membership
from stream.outputs import Outputs
from stream.processor import Processor


@dataclass(frozen=True, slots=True)
class Shell:
    """A worker that is ready to be started by Faust. ``outputs`` is to be stopped at its end."""

    processor: Processor
    flusher: Flusher
    outputs: Outputs


def assemble(
    settings: Settings, stream_app: StreamApp, following: Following, hopper: Hopper, metrics: StreamMetrics
) -> Shell:
    """Join app, table, processor and flusher. Nothing is started or connected."""
    app, table = stream_app.app, stream_app.table

    async def is_member() -> bool:
        # Faust keeps no other trace of it than in the client that it drives.
        member: str = app.consumer._thread._consumer._coordinator.member_id  # type: ignore[attr-defined]  # noqa: SLF001
        return await membership.is_member(settings.kafka, settings.stream.app_id, member)

    member = Membership(settings.kafka.session_timeout / 2, is_member)
    outputs = Outputs(settings.kafka, member.is_doubtful)
    flusher = Flusher(
        following,
        table,
        hopper,
        outputs,
        metrics,
        settings.simulation.clock(),
        lambda: Assignment(app.consumer_generation_id, app.rebalancing or app.should_stop, member.is_doubtful()),
        settings.stream.write_every,
    )
    processor = Processor(
        following,
        settings.stream,
        table,
        flusher,
        metrics,
        Continuity(partial(continuity.committed, settings.kafka, settings.stream.app_id)),
        (stream_app.cart_events.get_topic_name(), stream_app.contacts.get_topic_name()),
    )
    table.outputs, table.recovering, table.recovered = outputs, processor.recovering, processor.recovered
    table.connect = partial(kafka.reader, settings.kafka)
    table.states_read = metrics.states_read.inc
    agents.install(stream_app, processor, flusher, member)
    return Shell(processor, flusher, outputs)

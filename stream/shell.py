"""Puts the parts of a worker together around what it carries."""

from dataclasses import dataclass
from functools import partial

from dialer.hopper import Hopper
from ringback import kafka
from ringback.metrics import StreamMetrics
from ringback.settings import Settings
from stream import agents
from stream.app import StreamApp
from stream.flush import Assignment, Flusher
from stream.following import Following
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

    def doubtful() -> bool:
        return not stream_app.lease.holds(app.consumer_generation_id)

    outputs = Outputs(settings.kafka, doubtful)
    flusher = Flusher(
        following,
        table,
        hopper,
        outputs,
        metrics,
        settings.simulation.clock(),
        lambda: Assignment(app.consumer_generation_id, table.is_dealt_anew() or app.should_stop, doubtful()),
        settings.stream.write_every,
    )
    processor = Processor(
        following,
        settings.stream,
        table,
        flusher,
        metrics,
        stream_app.continuity,
        (stream_app.cart_events.get_topic_name(), stream_app.contacts.get_topic_name()),
    )
    table.outputs, table.recovering, table.recovered = outputs, processor.recovering, processor.recovered
    table.connect = partial(kafka.reader, settings.kafka)
    table.states_read = metrics.states_read.inc
    agents.install(stream_app, processor, flusher)
    return Shell(processor, flusher, outputs)

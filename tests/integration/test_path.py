"""The whole path on real servers: a real log, Kafka, Redis, and shoppers and agents who talk in Asterisk."""

import asyncio
import hashlib
import hmac
import json
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import aiohttp
import msgspec
import pytest

from ingest.logs import read
from ingest.replay import replay
from ringback.decisions import Decision, Route
from ringback.metrics import NeverEvent
from ringback.records import CartEvent, ContactEvent, ContactKind, Conversion, EventKind, Outcome, Topic, encode
from ringback.settings import load
from scoring.model import Model, default_model_folder
from simulation.people import person
from stream.partition import Partition
from tests.integration import topics
from tests.servers.ami import AmiSession
from tests.servers.asterisk import Asterisk
from tests.servers.kafka import Kafka
from tests.servers.process import free_port
from tests.servers.redis import Redis
from tests.servers.ringback import RingbackProcess
from tests.servers.shoppers import Kind, behaviour
from tests.stream.shop import HeldStates

AGENTS = ("1001", "1002", "1003", "1004")
DEADLINE = 240.0
SECRET = "webhook-secret"
ENDS: dict[Kind, set[Outcome]] = {
    Kind.HUMAN: {Outcome.CONNECTED},
    # Who hangs up at once may be gone before the agent is there.
    Kind.HANGS_UP_EARLY: {Outcome.CONNECTED, Outcome.HUNG_UP},
    Kind.BUSY: {Outcome.BUSY},
    Kind.NO_ANSWER: {Outcome.NO_ANSWER},
    Kind.CONGESTION: {Outcome.CONGESTION},
    Kind.INVALID: {Outcome.INVALID},
    Kind.DECLINED: {Outcome.DECLINED},
}


def environment(last: float, kafka: Kafka, redis: Redis, asterisk: Asterisk) -> dict[str, str]:
    """Processes that live where the log ends: half an hour passes in 15 seconds, people may be called at any time."""
    countries = ("US", "CA", "GB", "FR", "DE")
    hours = {
        code: {"open": "00:00", "close": "24:00", "days": list(range(7)), "timezones": ["UTC"]} for code in countries
    }
    return {
        **kafka.settings,
        **redis.settings,
        **asterisk.settings,
        "RINGBACK_SIMULATION__ENABLED": "true",
        "RINGBACK_SIMULATION__ANY_HOUR": "true",
        "RINGBACK_SIMULATION__ORIGIN": str(last),
        "RINGBACK_SIMULATION__WALL_ORIGIN": str(time.time()),
        "RINGBACK_SIMULATION__SPEED": "120",
        "RINGBACK_COMPLIANCE__HOURS": json.dumps(hours),
        "RINGBACK_COMPLIANCE__SCRUBBED_ELSEWHERE": json.dumps(countries),
        "RINGBACK_COMPLIANCE__MAX_ATTEMPTS_PER_LEAD": "1",
        "RINGBACK_COMPLIANCE__MAX_ATTEMPTS_PER_DAY": "20",
        "RINGBACK_DECIDE__VOICE_FROM": '{"USD": 100}',
        "RINGBACK_DECIDE__MESSAGE_FROM": '{"USD": 100}',
        "RINGBACK_DECIDE__MAX_AGE": str(7 * 86400),
        "RINGBACK_DIALER__CHANNEL": "Local/{number}@shoppers",
        "RINGBACK_DIALER__RING_TIMEOUT": "15",
        "RINGBACK_DIALER__WRAP_UP": "0.2",
        "RINGBACK_STREAM__IDLE_AFTER": "2",
        "RINGBACK_INGEST__PORT": str(free_port()),
        "RINGBACK_INGEST__SECRET": SECRET,
    }


async def until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < deadline, f"{what}: not within {DEADLINE:.0f} s"
        await asyncio.sleep(0.2)


async def post(port: int, event: CartEvent) -> None:
    """Send an event as a shop does."""
    body = encode(event)
    signature = "sha256=" + hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
    async with aiohttp.ClientSession() as session:
        url = f"http://127.0.0.1:{port}/v1/events"
        async with session.post(url, data=body, headers={"X-Ringback-Signature": signature}) as answer:
            assert answer.status == 200, await answer.text()


async def test_a_cart_left_in_a_real_shop_makes_a_telephone_ring(
    asterisk: Asterisk, tester: AmiSession, public_logs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = public_logs / "rees46_2019-10-01_first_2h50.csv.gz"
    last = max(event.time for event in read(log, "rees46") if isinstance(event, CartEvent))
    with ExitStack() as stack:
        kafka, redis = stack.enter_context(Kafka()), stack.enter_context(Redis())
        env = environment(last, kafka, redis, asterisk)
        for key, value in env.items():
            monkeypatch.setenv(key, value)
        settings = load()
        channels = [await tester.log_in_agent(agent) for agent in AGENTS]
        for channel in channels:
            stack.callback(asterisk.cli, f"channel request hangup {channel}")
        stream, dialer, ingest = (
            stack.enter_context(RingbackProcess(name, env)) for name in ("stream", "dialer", "ingest")
        )

        summary = await replay(settings, log, "rees46", people=person)
        await until(
            lambda: stream.total("ringback_stream_events_total") == summary.events, "every event is in the state"
        )
        parts = await whole(settings.kafka.partitions, settings.kafka.bootstrap)
        wanted = {d.decision_id: d for part in parts.values() for d in part.effects.decisions}
        await until(lambda: stream.total("ringback_decisions_total") == len(wanted), "every due cart is decided")
        made = await topics.read(kafka.bootstrap, Topic.DECISIONS, Decision)
        assert {d.decision_id: essence(d) for d in made} == {key: essence(d) for key, d in wanted.items()}
        assert len(made) == len(wanted)

        leads = {d.decision_id: d for d in made if d.route is Route.VOICE}
        assert len(leads) > 10
        await until(lambda: dialer.total("ringback_calls_total") == len(leads), "every lead is called")
        contacts = await topics.read(kafka.bootstrap, Topic.CONTACTS, ContactEvent)
        ended = {c.lead_id: c for c in contacts if c.kind is ContactKind.ENDED}
        assert ended.keys() == leads.keys()
        for lead_id, contact in ended.items():
            phone = person(leads[lead_id].shopper_id).phone
            assert phone is not None
            assert contact.outcome in ENDS[behaviour(phone.removeprefix("+")).kind]
        assert Counter(c.lead_id for c in contacts if c.kind is ContactKind.ATTEMPTED) == Counter(leads.keys())
        outcomes = Counter(c.outcome for c in ended.values())
        assert {Outcome.CONNECTED, Outcome.BUSY, Outcome.NO_ANSWER} <= outcomes.keys()
        for outcome in Outcome:
            assert dialer.total("ringback_calls_total", outcome=outcome.value) == outcomes[outcome]

        reached = {c.shopper_id: c for c in contacts if c.kind is ContactKind.CONNECTED}
        await until(
            lambda: stream.metrics().value("ringback_stream_lag_records") == 0, "the stream has read the contacts"
        )
        buyers = sorted(reached)[:3]
        for buyer in buyers:
            order = CartEvent(
                event_id=f"order-{buyer}",
                source="shop",
                shopper_id=buyer,
                kind=EventKind.ORDER_COMPLETED,
                time=settings.simulation.clock().now(),
                order_id=f"order-{buyer}",
                value=12_345,
                currency="USD",
            )
            await post(settings.ingest.port, order)
        await until(
            lambda: stream.total("ringback_conversions_total", channel="voice") == len(buyers), "orders are attributed"
        )
        conversions = {
            c.order_id: c for c in await topics.read(kafka.bootstrap, Topic.CONVERSIONS, Conversion) if c.channel
        }
        assert {c.shopper_id: c.contact_id for c in conversions.values()} == {b: reached[b].contact_id for b in buyers}
        assert stream.total("ringback_revenue_recovered_total", currency="USD") == pytest.approx(123.45 * len(buyers))
        for process in (stream, dialer, ingest):
            for event in NeverEvent:
                assert process.total("ringback_never_events_total", event=event.value) == 0
            said = process.log.read_text()
            assert not [d for d in leads.values() if (person(d.shopper_id).phone or "?")[1:] in said]


async def whole(partitions: int, bootstrap: str) -> dict[int, Partition]:
    """What the pure code makes of the records, and of the time after them."""
    settings, model = load(), Model.load(default_model_folder())
    clock = settings.simulation.clock()
    parts = {number: Partition(number, settings, clock, model, HeldStates()) for number in range(partitions)}
    for record in await topics.records(bootstrap, Topic.CART_EVENTS):
        arrived = record.timestamp / 1000
        parts[record.partition].records(record.key, record.value or b"", record.offset, arrived)
    for part in parts.values():
        part.tick(time.time() + 3600)
    return parts


def essence(decision: Decision) -> Decision:
    return msgspec.structs.replace(decision, due_wall=0.0, decided_wall=0.0)

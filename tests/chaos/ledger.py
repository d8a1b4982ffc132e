"""The account of a run: where each event ended, and whether what was decided is what the pure functions decide."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec
from aiokafka import ConsumerRecord
from redis.asyncio import Redis

from dialer.hopper import Hopper
from ringback.decisions import Decision, Message, Route
from ringback.records import CartEvent, Conversion, DeadLetter, EventKind, Topic, decoder
from ringback.settings import Settings
from scoring.model import Model, default_model_folder
from stream.carts import REMEMBERED_EVENTS, ShopperState, decode_state, fingerprint, has_seen
from stream.partition import Partition, Withdrawal
from tests.chaos.feed import EventName, Ledger, Place
from tests.integration import topics
from tests.stream.shop import HeldStates

MOST_TOLD = 8
HOPPER = "ringback:campaign:{campaign}:{what}"


class _Name(msgspec.Struct):
    source: str
    event_id: str


@dataclass(slots=True)
class Account:
    """What is wrong, by what it concerns; and how much there was to look at."""

    faults: dict[str, list[str]] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)

    def fault(self, what: str, found: Iterable[str]) -> None:
        told = list(found)
        if told:
            more = [f"… and {len(told) - MOST_TOLD} more"] if len(told) > MOST_TOLD else []
            self.faults[f"{what} ({len(told)})"] = told[:MOST_TOLD] + more


def pure(settings: Settings, log: Iterable[ConsumerRecord[bytes, bytes]]) -> dict[int, Partition]:
    """What the pure functions make of the records in Kafka."""
    model, clock = Model.load(default_model_folder()), settings.simulation.clock()
    numbers = range(settings.kafka.partitions)
    parts = {number: Partition(number, settings, clock, model, HeldStates()) for number in numbers}
    for record in log:
        parts[record.partition].records(record.key, record.value or b"", record.offset, record.timestamp / 1000)
    return parts


def essence(decision: Decision) -> Decision:
    """A decision without when, on the wall, it was taken."""
    return msgspec.structs.replace(decision, due_wall=0.0, decided_wall=0.0)


async def draw_up(settings: Settings, changelog: str, ledger: Ledger, redis: Redis) -> Account:
    """Compare all that the workers left behind with the pure functions, and follow every event to its end."""
    account, bootstrap = Account(), settings.kafka.bootstrap
    log = await topics.records(bootstrap, Topic.CART_EVENTS)
    parts = pure(settings, log)
    states = {
        key: decode_state(value) for key, value in topics.newest(await topics.records(bootstrap, changelog)).items()
    }
    letters = await topics.read(bootstrap, Topic.DEAD_LETTERS, DeadLetter)
    _decisions(account, parts, await topics.records(bootstrap, Topic.DECISIONS))
    _conversions(account, parts, await topics.read(bootstrap, Topic.CONVERSIONS, Conversion))
    _messages(account, parts, await topics.read(bootstrap, Topic.OUTBOX, Message))
    _states(account, parts, states)
    _letters(account, parts, letters, ledger)
    _ends(account, parts, ledger, states, letters)
    await _hopper(account, settings, parts, redis)
    return account


def _decisions(account: Account, parts: Mapping[int, Partition], published: list[ConsumerRecord[bytes, bytes]]) -> None:
    wanted = {d.decision_id: essence(d) for part in parts.values() for d in part.effects.decisions}
    decode = decoder(Decision).decode
    places: dict[str, list[tuple[Place, Decision]]] = {}
    for record in published:
        decision = decode(record.value or b"")
        places.setdefault(decision.decision_id, []).append((Place(record.partition, record.offset), decision))
    account.counts |= {"decisions": len(wanted), "voice": sum(d.route is Route.VOICE for d in wanted.values())}
    account.fault("decided twice", (f"{_at(found)}" for found in places.values() if len(found) > 1))
    account.fault("not decided", (_short(wanted[one]) for one in wanted.keys() - places.keys()))
    account.fault("decided without reason", (_at(places[one]) for one in places.keys() - wanted.keys()))
    account.fault(
        "decided otherwise",
        (
            f"{_at(found)}, purely {_short(wanted[one])}: {_difference(essence(found[0][1]), wanted[one])}"
            for one, found in places.items()
            if one in wanted and essence(found[0][1]) != wanted[one]
        ),
    )


def _at(found: list[tuple[Place, Decision]]) -> str:
    places = ", ".join(
        f"partition {place.partition} offset {place.offset} decided {d.decided_wall:.3f}" for place, d in found
    )
    return f"{_short(found[0][1])} at {places}"


def _short(decision: Decision) -> str:
    return f"{decision.decision_id} of {decision.shopper_id} {decision.cart_id} at {decision.time:.1f} {decision.route}"


def _difference(one: msgspec.Struct, other: msgspec.Struct) -> str:
    names = [name for name in one.__struct_fields__ if getattr(one, name) != getattr(other, name)]
    return ", ".join(f"{name} {getattr(one, name)!r:.60} != {getattr(other, name)!r:.60}" for name in names)


def _conversions(account: Account, parts: Mapping[int, Partition], published: list[Conversion]) -> None:
    def name(one: Conversion) -> str:
        return f"{one.decision_id}/{one.order_id}/{one.contact_id or ''}"

    wanted = Counter(name(one) for part in parts.values() for one in part.effects.conversions)
    made = Counter(name(one) for one in published)
    account.counts["conversions"] = len(wanted)
    account.fault("conversions published twice", (one for one in made if made[one] > max(1, wanted[one])))
    account.fault("conversions missing", wanted.keys() - made.keys())
    account.fault("conversions without reason", made.keys() - wanted.keys())


def _messages(account: Account, parts: Mapping[int, Partition], published: list[Message]) -> None:
    """At least once: who sends them recognises their ids."""
    wanted = {one.message_id: one for part in parts.values() for one in part.effects.messages}
    made = {one.message_id: one for one in published}
    account.counts |= {"messages": len(wanted), "messages again": len(published) - len(made)}
    account.fault("messages missing or other", (one for one in wanted if made.get(one) != wanted[one]))
    account.fault("messages without reason", made.keys() - wanted.keys())


def _states(account: Account, parts: Mapping[int, Partition], written: Mapping[bytes, ShopperState]) -> None:
    wanted = {key: part.states.get(key) for part in parts.values() for key in part.states.keys()}  # noqa: SIM118 - a shelf, no dict
    account.counts["shoppers"] = len(wanted)
    account.fault("states missing", (key.decode() for key in wanted.keys() - written.keys()))
    account.fault("states without reason", (key.decode() for key in written.keys() - wanted.keys()))

    def told(key: bytes) -> str:
        state, purely = written[key], wanted[key]
        assert purely is not None
        return (
            f"{key.decode()}: at {(state.offset, state.index)}, purely {(purely.offset, purely.index)}: "
            f"{_difference(state, purely)}"
        )

    account.fault("states of other content", (told(k) for k in wanted if k in written and written[k] != wanted[k]))


def _letters(account: Account, parts: Mapping[int, Partition], published: list[DeadLetter], ledger: Ledger) -> None:
    """Distinct ones: after a crash they may come again."""

    def name(one: DeadLetter) -> tuple[int, int, str, str]:
        return one.partition or 0, one.offset or 0, one.reason, one.detail

    made = {name(one) for one in published}
    wanted = {name(one) for part in parts.values() for one in part.effects.dead_letters}
    account.counts |= {"dead letters": len(made), "dead letters again": len(published) - len(made)}
    account.fault("dead letters missing", map(str, wanted - made))
    account.fault("dead letters without reason", map(str, made - wanted))
    usable = (one for one in published if _place(one) not in ledger.unusable and not _is_late_repeat(one, ledger))
    account.fault("dead letters of usable events", {str(name(one)) for one in usable})
    told = {(one.partition, one.offset) for one in published}
    account.fault("unusable events without a dead letter", (str(one) for one in ledger.unusable if one not in told))


def _place(letter: DeadLetter) -> Place:
    return Place(letter.partition or 0, letter.offset or 0)


def _is_late_repeat(letter: DeadLetter, ledger: Ledger) -> bool:
    """Whether an event was accepted before, and came again when many others had made the stream forget it.

    The last 32 events of a shopper are recognised; what is older may be refused, as what comes too late.
    """
    event = msgspec.json.decode(letter.payload, type=_Name)
    places = ledger.accepted.get(EventName(event.source, event.event_id), [])
    if _place(letter) not in places[1:]:
        return False
    shopper, first = ledger.shopper[EventName(event.source, event.event_id)], places[0]
    between = (
        place
        for name, found in ledger.accepted.items()
        if ledger.shopper[name] == shopper
        for place in found
        if first < place < _place(letter)
    )
    return sum(1 for _ in between) >= REMEMBERED_EVENTS


def _ends(
    account: Account,
    parts: Mapping[int, Partition],
    ledger: Ledger,
    states: Mapping[bytes, ShopperState],
    letters: list[DeadLetter],
) -> None:
    """Every accepted event: in the state of its shopper, or a dead letter."""
    told = {(one.partition, one.offset) for one in letters}
    account.counts |= {"events": len(ledger.accepted), "events again": sum(map(len, ledger.accepted.values()))}
    account.counts["events again"] -= len(ledger.accepted)
    lost = []
    for name, places in ledger.accepted.items():
        state = states.get(ledger.shopper[name].encode())
        covered = -1 if state is None else state.offset
        if covered < min(place.offset for place in places) and not any(place in told for place in places):
            lost.append(f"{name} of {ledger.shopper[name]} at {places}, the state covers offset {covered}")
    account.fault("events lost", lost)
    pure_states = {key: part.states.get(key) for part in parts.values() for key in part.states.keys()}  # noqa: SIM118 - a shelf, no dict
    account.fault("events passed over", _passed_over(ledger, states, pure_states))


def _passed_over(
    ledger: Ledger, states: Mapping[bytes, ShopperState], pure_states: Mapping[bytes, ShopperState | None]
) -> Iterable[str]:
    """Events that the pure state remembers and the written one, though it is as far, does not."""
    for name, places in ledger.accepted.items():
        key = ledger.shopper[name].encode()
        written, purely = states.get(key), pure_states.get(key)
        print_ = fingerprint(CartEvent(**name._asdict(), kind=EventKind.OTHER, time=0.0))
        if written and purely and has_seen(purely.seen, print_) and not has_seen(written.seen, print_):
            yield f"{name.event_id} at {places}; the state is at {(written.offset, written.index)}"


async def _hopper(account: Account, settings: Settings, parts: Mapping[int, Partition], redis: Redis) -> None:
    """The leads that wait are those that wait when all that was asked for is done once, in order."""
    campaign = settings.dialer.campaign
    waiting = await _waiting(redis, campaign)
    found = {lead.lead_id: lead async for lead in Hopper(redis, campaign).each()}
    leads = [found[one] for one in waiting]
    account.counts["leads that wait"] = len(waiting)
    bought = _bought(parts)
    twice = [shopper for shopper, count in Counter(lead.shopper_id for lead in leads).items() if count > 1]
    account.fault("shoppers with two leads", twice)
    account.fault(
        "leads of shoppers who bought",
        (f"{x.lead_id} of {x.shopper_id}" for x in leads if bought.get(x.shopper_id, 0.0) >= x.last_activity),
    )
    wanted = await _done_once(settings, parts, redis)
    account.fault("leads dropped", (f"{one}" for one in wanted - waiting))
    account.fault("leads that should not wait", (f"{one}" for one in waiting - wanted))


def _bought(parts: Mapping[int, Partition]) -> dict[str, float]:
    """When each shopper bought last."""
    bought: dict[str, float] = {}
    for part in parts.values():
        for change in part.effects.hopper:
            if isinstance(change, Withdrawal) and change.reason == "bought":
                bought[change.shopper_id] = max(change.at, bought.get(change.shopper_id, 0.0))
    return bought


async def _done_once(settings: Settings, parts: Mapping[int, Partition], redis: Redis) -> set[str]:
    """What waits in an empty Redis after all changes of the pure functions."""
    await redis.flushall()
    hopper, now = Hopper(redis, settings.dialer.campaign), settings.simulation.clock().now()
    for part in parts.values():
        for change in part.effects.hopper:
            if isinstance(change, Withdrawal):
                await hopper.withdraw(change.shopper_id, change.reason, change.at)
            else:
                await hopper.offer(change, now)
    return await _waiting(redis, settings.dialer.campaign)


async def _waiting(redis: Redis, campaign: str) -> set[str]:
    found: list[Any] = await redis.zrange(HOPPER.format(campaign=campaign, what="until"), 0, -1)
    return {one.decode() for one in found}

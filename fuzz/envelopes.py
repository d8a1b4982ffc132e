"""Records of the cart events as the stream reads them: packed events, some of them or all of the record changed.

Every event must come to its end: it changes its shopper's state, is recognised as repeated, or is a dead letter. A twin
partition gets the same events, each in a record of its own, and must come to the same counts.
"""

import time
import traceback
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from random import Random

import msgspec

from fuzz.mutations import changed, changed_bytes, fixtures, written
from fuzz.promises import LIMITS, NOW, TooSlowError, watchdog
from ingest.source import Shop
from ingest.sources import SOURCES
from ringback.clock import Clock
from ringback.envelope import is_packed, partition_of, unpack
from ringback.errors import BadEvent
from ringback.records import INTERNAL_KINDS, CartEvent, DeadLetterReason, EventKind, encode
from ringback.settings import load
from stream.carts import EMPTY, ShopperState, encode_state
from stream.partition import Effects, Partition, Served

PARTITIONS = 2
# All but one are the partition's own.
_NAMES = [f"shopper-{number}" for number in range(80)]
SHOPPERS = ["a stranger", *(name for name in _NAMES if partition_of(name, PARTITIONS) == 0)]
RECORDS_A_PARTITION = 1000
MOST_FINDINGS = 20


class _Even:
    """A model that scores every cart the same."""

    def score(self, row: Sequence[float]) -> float:
        return 0.5

    def judge(self, shopper_id: str, row: Sequence[float]) -> Served:
        return Served(0.5, "even")


class _Held:
    """All states in memory."""

    def __init__(self) -> None:
        self._states: dict[bytes, ShopperState] = {}

    def get(self, key: bytes) -> ShopperState | None:
        return self._states.get(key)

    def peek(self, key: bytes) -> ShopperState | None:
        return self._states.get(key)

    def put(self, key: bytes, state: ShopperState) -> None:
        self._states[key] = state

    def delete(self, key: bytes) -> None:
        self._states.pop(key, None)

    def keys(self) -> Iterable[bytes]:
        return list(self._states)


@dataclass(slots=True)
class Report:
    """What became of the events of all records; an event may be both a dead letter and applied, as a salvaged stop."""

    records: int = 0
    events: int = 0
    ends: Counter[str] = field(default_factory=Counter)
    findings: dict[str, bytes] = field(default_factory=dict)

    def line(self) -> str:
        """One line for people."""
        ends = ", ".join(f"{name} {count:,}" for name, count in sorted(self.ends.items()))
        return (
            f"envelopes    {self.records:>9,} records  {self.events:>10,} events: {ends}  {len(self.findings)} findings"
        )


def run(seed: int, records: int | None, seconds: float) -> Report:
    """Feed records to partitions until there were so many, the time is over or too much was found."""
    report = Report()
    draw = Random(f"envelopes {seed}")
    ends = time.monotonic() + seconds
    while (records is None or report.records < records) and len(report.findings) < MOST_FINDINGS:
        pair = _Pair()
        for _ in range(min(RECORDS_A_PARTITION, RECORDS_A_PARTITION if records is None else records - report.records)):
            if time.monotonic() > ends:
                return report
            raw = _record(draw, pair.packed)
            report.records += 1
            try:
                with watchdog():
                    report.events += pair.feed(raw, report.ends)
            except (Exception, TooSlowError) as error:  # noqa: BLE001 - whatever is raised is what is looked for
                at = traceback.extract_tb(error.__traceback__)[-1]
                what = f"{type(error).__name__} in {Path(at.filename).name}, line {at.lineno}: {str(error)[:200]}"
                report.findings.setdefault(what, raw)
                break
    return report


class _Pair:
    """A partition, and its twin that gets every event alone."""

    def __init__(self) -> None:
        settings = load({"kafka.partitions": PARTITIONS})
        self.packed, self.alone = (Partition(0, settings, Clock(), _Even(), _Held()) for _ in range(2))
        self._offset = 0

    def feed(self, raw: bytes, ends: Counter[str]) -> int:
        """Feed one record; returns how many events it has. Raises `AssertionError` where one has no end."""
        events = _events(raw)
        arrived = NOW + self._offset * 0.01
        self.packed.records(None, raw, self._offset, arrived)
        together, alone = _counted(self.packed.take_effects()), Counter[str]()
        for one in events:
            self._offset += 1
            self.alone.records(None, one, self._offset, arrived)
            effects = self.alone.take_effects()
            alone += _counted(effects)
            ended = _ended(effects, self._offset)
            if not ended:
                raise AssertionError("an event is neither in the state nor repeated nor a dead letter")
            ends += ended
        if together != alone:
            raise AssertionError(f"packed, the events came to {together}, alone to {alone}")
        return len(events)


def _events(raw: bytes) -> list[bytes]:
    """The events of a record, each as a record of its own; what can't be taken apart is one."""
    if not is_packed(raw):
        return [raw]
    try:
        return [b"[" + one + b"]" for one in unpack(raw)]
    except (ValueError, RecursionError):
        return [raw]


def _ended(effects: Effects, offset: int) -> Counter[str]:
    applied = sum(state.offset == offset for state in effects.states.values())
    return +Counter(state=applied, repeated=effects.repeated, dead=len(effects.dead_letters))


def _counted(effects: Effects) -> Counter[str]:
    reasons = Counter(f"dead: {letter.reason}" for letter in effects.dead_letters)
    if reasons[f"dead: {DeadLetterReason.UNEXPECTED}"]:
        raise AssertionError(f"a bug: {[letter.detail for letter in effects.dead_letters]}")
    asked = Counter(
        repeated=effects.repeated,
        forwards=len(effects.forwards),
        conversions=len(effects.conversions),
        decisions=len(effects.decisions),
        hopper=len(effects.hopper),
    )
    return +(reasons + asked + Counter({kind.value: count for kind, count in effects.events.items()}))


def _record(draw: Random, partition: Partition) -> bytes:
    events = [_event(draw, partition) for _ in range(draw.choice((0, 1, 1, 2, 5, 20)))]
    if events and draw.random() < 0.2:
        events.append(draw.choice(events))
    raw = b"[" + b",".join(events) + b"]" if draw.random() < 0.9 else b"".join(events)
    return changed_bytes(raw, draw) if draw.random() < 0.1 else raw


def _event(draw: Random, partition: Partition) -> bytes:
    shopper, other = draw.sample(SHOPPERS, 2)
    event = msgspec.structs.replace(
        draw.choice(_examples()), shopper_id=shopper, time=NOW - draw.choice((0, 60, 4000, 90_000)) - draw.random()
    )
    if draw.random() < 0.8:
        event = msgspec.structs.replace(event, event_id=f"e{draw.randrange(10**6)}")
    if draw.random() < 0.1:
        kind = draw.choice(sorted(INTERNAL_KINDS))
        carried = encode_state(partition.states.get(other.encode()) or EMPTY) if kind is EventKind.HANDED_OVER else None
        event = msgspec.structs.replace(event, kind=kind, other=other, carried=carried)
    raw = encode(event)
    if draw.random() < 0.7:
        return raw
    made = changed(written(raw), draw)
    # One that is no JSON spoils the whole record.
    return made if _is_json(made) or draw.random() < 0.05 else raw


def _is_json(raw: bytes) -> bool:
    try:
        msgspec.json.decode(raw, type=msgspec.Raw)
    except (ValueError, RecursionError):
        return False
    return True


@cache
def _examples() -> tuple[CartEvent, ...]:
    """The events of all fixtures, as they are when their shoppers are known."""
    found: list[CartEvent] = []
    for source in SOURCES.values():
        shop = Shop(source.name, "example", "USD", "US")
        for headers, body in fixtures(source.name):
            try:
                parsed = source.parse(headers, body, shop=shop, now=NOW, limits=LIMITS)
            except BadEvent:  # a ping
                continue
            found += (one for one in parsed if isinstance(one, CartEvent))
    return tuple(msgspec.structs.replace(one, refs=None) for one in found)

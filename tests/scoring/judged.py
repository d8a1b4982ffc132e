"""Rows, models and logs for the tests of judging."""

from collections.abc import Iterable
from pathlib import Path

import msgspec
import numpy as np

from ringback.decisions import Decision
from ringback.records import CartEvent, ContactKind, EventKind, Record
from scoring.dataset import Column, Dataset
from scoring.features import FEATURES
from scoring.manifest import DataSource
from scoring.model import Model
from tests.scoring import models
from tests.scoring.decided import contact, decision
from tests.scoring.events import Log

HOUR = 3600.0
LEARNT = 3  # the column that `models.make` with this seed learns from


def model(root: Path, trees: int = models.TREES) -> Model:
    """A model that goes by the column ``LEARNT``."""
    return Model.load(root / models.make(root, seed=LEARNT, trees=trees))


def rows(count: int = 2000, seed: int = 1, name: str = "rows", noise: float = 1.0) -> Dataset:
    """Rows of a log, two a shopper, whose label follows the column ``LEARNT``; half of them at abandonment."""
    rng = np.random.default_rng(seed)
    vectors = rng.normal(size=(count, len(FEATURES)))
    return Dataset(
        kind="log",
        columns=tuple(Column(name=feature.name) for feature in FEATURES),
        vectors=vectors,
        labels=vectors[:, LEARNT] + rng.normal(scale=noise, size=count) > 0,
        times=None,
        groups=np.arange(count) // 2,
        due=np.arange(count) % 2 == 1,
        source=DataSource(name=name, sha256=f"{seed:064}", events=count, shoppers=count // 2),
        horizon=24 * HOUR,
    )


def exported(folder: Path, *, contacts: bool = True) -> Path:
    """An export with decisions on 300 shoppers, of whom those with an even number buy 2 h later.

    The champion gives all of them 0.5; the shadow is right. Number 0 was called, number 1 has no shadow, and number 2
    was decided on just before the log ends.
    """
    decisions: list[Decision] = []
    events: list[CartEvent] = []
    end = 50 * HOUR
    for number in range(300):
        name = f"shopper-{number}"
        time = end - HOUR if number == 2 else 10 * HOUR + number
        log = Log(name)
        log.add(EventKind.ITEM_ADDED, time - HOUR, "a")
        if number % 2 == 0 and number != 2:
            log.add(EventKind.ORDER_COMPLETED, time + 2 * HOUR, "a")
        events += log.events
        decisions.append(_with_shadow(decision(name, time, [0.0] * len(FEATURES)), number))
    last = Log("last")
    last.add(EventKind.PRODUCT_VIEWED, end, "a")
    events = sorted([*events, *last.events], key=lambda event: event.time)
    _write(folder / "cart-events-1.jsonl", events)
    decisions.sort(key=lambda one: one.time)
    _write(folder / "decisions-1.jsonl", decisions)
    if contacts:
        _write(folder / "contacts-1.jsonl", [contact("shopper-0", ContactKind.ANSWERED, 11 * HOUR)])
    return folder


def _with_shadow(decided: Decision, number: int) -> Decision:
    if number == 1:
        return msgspec.structs.replace(decided, score=0.5)
    score = 0.9 if number % 2 == 0 else 0.1
    return msgspec.structs.replace(decided, score=0.5, shadow_version="rival", shadow_score=score)


def _write(file: Path, records: Iterable[Record]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(b"".join(msgspec.json.encode(record) + b"\n" for record in records))

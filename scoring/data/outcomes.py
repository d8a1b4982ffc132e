"""What became of decisions: the scores that the champion and the shadow gave, and whether the shopper then bought."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ringback.decisions import Decision, Route
from ringback.records import CartEvent, EventKind
from scoring.data.columns import Moments, following, preceding
from scoring.data.contacts import reached
from scoring.data.logs import Log
from scoring.data.replay import number_of
from scoring.errors import TrainingError

CONTACTED = frozenset({Route.VOICE, Route.SMS, Route.CHAT})


@dataclass(frozen=True, slots=True)
class Outcomes:
    """Decisions of which the outcome is known, made by one champion beside one shadow; arrays have an entry for each.

    ``left_out`` counts, by reason, decisions of the log that say nothing.
    """

    champion: str
    shadow: str
    labels: NDArray[np.bool_]
    scores: NDArray[np.float64]
    shadow_scores: NDArray[np.float64]
    groups: NDArray[np.int64]
    left_out: dict[str, int]


def matured(log: Log, horizon: float, champion: str | None = None, shadow: str | None = None) -> Outcomes:
    """The decisions of a log that were scored by both, and whether the shopper bought within ``horizon`` seconds.

    Left out are decisions whose horizon was not over when the log ended, and those of shoppers who were reached by a
    call or a message within one horizon before or after them. ``champion`` and ``shadow`` name the pair of versions;
    None: the pair with most decisions. Raises `TrainingError` where there is nothing to compare.
    """
    if log.decisions is None:
        raise TrainingError(f"{log.name or 'the log'}: there are no decisions in it: ringback export --topic decisions")
    left_out: Counter[str] = Counter()
    pairs: dict[tuple[str, str], list[Decision]] = {}
    could_be_contacted = False
    for decision in log.decisions:
        could_be_contacted |= decision.route in CONTACTED and not decision.replay
        if decision.shadow_version is None or decision.shadow_score is None:
            left_out["had no shadow"] += 1
        else:
            pairs.setdefault((decision.model_version, decision.shadow_version), []).append(decision)
    if could_be_contacted and log.contacts is None:
        raise TrainingError(
            f"{log.name}: shoppers were to be contacted, but the contacts are not in the log, so nobody can say who "
            "bought unasked: ringback export --topic contacts"
        )
    pair = _chosen(pairs, champion, shadow, log.name)
    decisions = pairs.pop(pair)
    left_out["were of other versions"] = sum(len(others) for others in pairs.values())
    orders, same, end = _orders(log.events)
    if not len(orders) and not np.isfinite(end):
        raise TrainingError(f"{log.name}: there are no cart events in it, so nobody can say who bought")
    people = _People(same)
    numbers = people.of(np.array([number_of(one.shopper_id) for one in decisions], dtype=np.int64))
    times = np.array([one.time for one in decisions], dtype=np.float64)
    bought, met = (people.moments(moments) for moments in (orders, reached(log.contacts or ())))
    known = times + horizon <= end
    alone = (following(numbers, times, met) > times + horizon) & (preceding(numbers, times, met) < times - horizon)
    left_out["are not over"] = int((~known).sum())
    left_out["were of contacted shoppers"] = int((known & ~alone).sum())
    kept = known & alone
    if not kept.any():
        raise TrainingError(
            f"{log.name}: none of the {len(decisions):,} decisions of {pair[0]} beside {pair[1]} is "
            f"{horizon / 3600:g} h old without a contact: export again later"
        )
    chosen = [decisions[row] for row in np.flatnonzero(kept)]
    return Outcomes(
        champion=pair[0],
        shadow=pair[1],
        labels=following(numbers[kept], times[kept], bought) <= times[kept] + horizon,
        scores=np.array([one.score for one in chosen], dtype=np.float64),
        shadow_scores=np.array([one.shadow_score for one in chosen], dtype=np.float64),
        groups=numbers[kept],
        left_out={reason: count for reason, count in left_out.items() if count},
    )


def _chosen(
    pairs: dict[tuple[str, str], list[Decision]], champion: str | None, shadow: str | None, log: str
) -> tuple[str, str]:
    wanted = {
        pair: len(decisions)
        for pair, decisions in pairs.items()
        if champion in (None, pair[0]) and shadow in (None, pair[1])
    }
    if not wanted:
        seen = "; ".join(f"{one} beside {other}" for one, other in pairs) or "none with a shadow"
        raise TrainingError(f"{log}: no decisions of {champion or 'any'} beside {shadow or 'any'}; there are: {seen}")
    return max(wanted, key=lambda pair: wanted[pair])


def _orders(events: Iterable[CartEvent]) -> tuple[Moments, dict[int, int], float]:
    """When who bought, who turned out to be whom, and when the log ends (minus infinity: it is empty)."""
    orders, same, end = Moments(), dict[int, int](), float("-inf")
    for event in events:
        end = max(end, event.time)
        if event.kind is EventKind.ORDER_COMPLETED:
            orders.add(number_of(event.shopper_id), event.time)
        elif event.kind is EventKind.MOVED and event.other is not None:
            same[number_of(event.shopper_id)] = number_of(event.other)
    return orders, same, end


class _People:
    """Shoppers who turned out to be one have one number."""

    def __init__(self, same: dict[int, int]) -> None:
        self._same = same

    def of(self, numbers: NDArray[np.int64]) -> NDArray[np.int64]:
        return np.array([self._last(int(number)) for number in numbers], dtype=np.int64)

    def moments(self, moments: Moments) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        numbers, times = moments.columns()
        return self.of(numbers), times

    def _last(self, number: int) -> int:
        passed = set[int]()
        while number in self._same and number not in passed:
            passed.add(number)
            number = self._same[number]
        return number

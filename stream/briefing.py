"""Tells the agent, on the lead, why this cart and what to say; see `scoring.explain`.

It happens after the decision is published and before the hopper is told, while the next events are taken: TreeSHAP runs
in a thread, outside the interpreter's lock. A flood of leads, as after an outage, may not take the worker's processor:
of those beyond what agents could ever call, only the best are explained, the others have their talking points.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from msgspec.structs import replace

from ringback.decisions import Lead
from scoring.explain import contributions, tell
from scoring.model import Model
from scoring.reasons import Basket, Phrases
from stream.reaction import Withdrawal

log = logging.getLogger(__name__)

# A worker's share: more calls than a thousand agents make. At 3 ms each, it is 15 % of a core.
EXPLAINED_PER_SECOND = 50.0
MOST_AT_ONCE = 32
# Some 70 microseconds each.
TOLD_AT_ONCE = 8


@dataclass(frozen=True, slots=True)
class Case:
    """What a lead's explanation is made of: the model that scored the cart, the row it saw, and the cart."""

    model: Model
    row: tuple[float, ...]
    held: Basket


class Briefing:
    """Explains leads, `EXPLAINED_PER_SECOND` at most over time. ``clock`` is monotonic seconds."""

    def __init__(self, phrases: Phrases, clock: Callable[[], float] = time.monotonic) -> None:
        self._phrases = phrases
        self._clock = clock
        self._left, self._at = float(MOST_AT_ONCE), clock()

    async def complete(self, hopper: list[Lead | Withdrawal], cases: Mapping[str, Case]) -> None:
        """Give the leads among ``hopper`` their reasons and talking points, in place; ``cases`` are by lead_id.

        Whatever fails is logged, and the lead stays as it is: a call without reasons is better than none.
        """
        leads = {one.lead_id: (place, one) for place, one in enumerate(hopper) if isinstance(one, Lead)}
        told = {lead_id: case for lead_id, case in cases.items() if lead_id in leads}
        try:
            parts = await self._contributions(sorted(told, key=lambda lead_id: -leads[lead_id][1].priority), told)
            for number, (lead_id, case) in enumerate(told.items(), start=1):
                place, lead = leads[lead_id]
                said = tell(case.row, parts.get(lead_id), case.held, self._phrases)
                hopper[place] = replace(lead, reasons=said.reasons, talking_points=said.talking_points)
                if number % TOLD_AT_ONCE == 0:
                    await asyncio.sleep(0)
        except Exception:
            log.exception("leads could not be explained; they go to the hopper without reasons")

    async def _contributions(
        self, best_first: list[str], cases: Mapping[str, Case]
    ) -> dict[str, tuple[float, ...] | None]:
        chosen: dict[str, list[str]] = {}
        for lead_id in best_first[: self._allowed(len(best_first))]:
            chosen.setdefault(cases[lead_id].model.version, []).append(lead_id)
        found: dict[str, tuple[float, ...] | None] = {}
        for ids in chosen.values():
            rows = [cases[lead_id].row for lead_id in ids]
            parts = await asyncio.to_thread(contributions, cases[ids[0]].model, rows)
            found.update(zip(ids, parts, strict=True))
        return found

    def _allowed(self, wanted: int) -> int:
        now = self._clock()
        self._left = min(MOST_AT_ONCE, self._left + (now - self._at) * EXPLAINED_PER_SECOND)
        self._at = now
        allowed = min(wanted, int(self._left))
        self._left -= allowed
        return allowed

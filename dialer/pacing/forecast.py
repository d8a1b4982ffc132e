"""The forecast: how many calls will be answered, and how many agents will be free, at each of the next moments.

Answers follow from the campaign's own answer rate and ring times, as if all its calls were alike: the probabilities of
single leads are not used. Agents get free by the hazard of their conversation and by their timed wrap-up.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dialer.pacing.floor import Busy, Floor, Kind
from dialer.pacing.lifetimes import Durations, Floats, Hazard, Share, seconds_of

HORIZONS = 30
STEPS = (0.5, 2.0)
"""Shortest and longest step between two horizons, seconds."""
SOON = 0.97
"""The last horizon is when this part of the answers has come."""
FIRST = 0.01
"""Horizons at which a new call is less likely to have been answered, against the last one, do not bind it."""
RING_ROWS, WRAP_UP_ROWS = 90, 240
"""Seconds of ringing and half seconds of wrap-up that are told apart."""
TALK_AGES: Floats = np.concatenate(
    (np.arange(0.0, 60.0, 3.0), np.arange(60.0, 300.0, 10.0), np.geomspace(300, 3600, 20))
)
TINY = 1e-6
RESOLVED_ENOUGH, ANSWERED_ENOUGH, ENDED_ENOUGH = 40, 8, 8
REFRESH_SECONDS = 5.0
LONGEST_GAP = 30.0
"""Conversations are not followed over a longer time without a decision, seconds."""


@dataclass(frozen=True, slots=True)
class Outlook:
    """For each horizon: free agents less answers to come, its variance, and a new call's chance to be answered."""

    spare: Floats
    variance: Floats
    answer: Floats

    def lines(self, z: float) -> int:
        """How many more calls keep expected answers within expected free agents + z standard deviations, everywhere.

        With n new calls, each answered by horizon h with probability f, that is n·f <= spare + z·sqrt(variance +
        n·f·(1 - f)): a quadratic inequality in n·f.
        """
        half = z * z * (1.0 - self.answer) / 2.0
        square = half * (2.0 * self.spare + half) + z * z * self.variance
        answers = self.spare + half + math.copysign(1.0, z) * np.sqrt(np.maximum(square, 0.0))
        answers[square < 0.0] = 0.0
        return max(0, math.floor(float((answers / self.answer).min()) + 1e-9))


class Forecast:
    """Learns from events, and says what to expect of a floor."""

    def __init__(self, hold_seconds: float) -> None:
        self._hold = hold_seconds
        self._share = Share(mean=0.3, weight=4.0)
        longest = float(RING_ROWS)
        self._answers = Durations(step=1.0, longest=longest, mean=15.0, weight=2.0, memory=600.0)
        self._others = Durations(step=1.0, longest=longest, mean=20.0, weight=2.0, memory=1200.0)
        self._talk = Hazard(mean=120.0, weight=3.0, memory=600.0)
        self._wrap_up = Durations(step=0.5, longest=WRAP_UP_ROWS / 2, mean=15.0, weight=1.0, memory=300.0)
        self._resolved = self._answered = self._ended = self._wrapped_up = 0
        self._failed_last = False
        self._now = 0.0
        self._exposed_at = 0.0
        self._refresh()

    @property
    def knows_enough(self) -> bool:
        """Whether enough has been seen to rely on it."""
        return self._resolved >= RESOLVED_ENOUGH and self._answered >= ANSWERED_ENOUGH and self._ended >= ENDED_ENOUGH

    def resolved(self, kind: Kind | str, seconds: float) -> None:
        """A call stopped ringing.

        Failures one after the other are the trunk's doing: they say nothing of who will answer once it works again.
        """
        failed = kind == Kind.FAILED
        repeated, self._failed_last = failed and self._failed_last, failed
        if repeated:
            return
        human = kind == Kind.HUMAN
        self._share.observe(self._now, human)
        (self._answers if human else self._others).observe(seconds)
        self._resolved += 1
        self._answered += human
        self._refresh_when_due()

    def talk_ended(self, seconds: float) -> None:
        """A conversation ended."""
        age = seconds_of(seconds, 1e6)
        self._talk.expose(np.array([max(0.0, age - (self._now - self._exposed_at))]), np.array([age]))
        self._talk.end(age)
        self._ended += 1
        self._refresh_when_due()

    def wrap_up_ended(self, seconds: float) -> None:
        """An agent is ready again."""
        self._wrap_up.observe(seconds)
        self._wrapped_up += 1
        self._refresh_when_due()

    def outlook(self, now: float, floor: Floor) -> Outlook:
        """What to expect of a floor; also learns how long its conversations have gone on."""
        talking = _ages(seconds for state, seconds in floor.busy if state == Busy.TALKING)
        wrapping = _ages(seconds for state, seconds in floor.busy if state != Busy.TALKING)
        self._watch(now, talking)
        calls = np.bincount(_row(_ages(floor.in_flight), 1.0, RING_ROWS), minlength=RING_ROWS)
        talks = np.bincount(np.searchsorted(TALK_AGES, talking, side="right") - 1, minlength=len(TALK_AGES))
        wraps = np.bincount(_row(wrapping, self._wrap_up.step, WRAP_UP_ROWS), minlength=WRAP_UP_ROWS)
        free = floor.idle - floor.waiting + talks @ self._talk_free + wraps @ self._wrap_free
        variance = talks @ self._talk_variance + wraps @ self._wrap_variance + calls @ self._ring_variance
        spare = free - calls @ self._ring_answer
        return Outlook(spare[self._binding], variance[self._binding], self._new_answer[self._binding])

    def _watch(self, now: float, talking: Floats) -> None:
        now = now if math.isfinite(now) else self._now
        passed = now - self._exposed_at
        self._now = now
        if not 0.0 <= passed < LONGEST_GAP:
            self._exposed_at = now
        elif passed >= 1.0:
            self._talk.expose(np.maximum(talking - passed, 0.0), talking)
            self._exposed_at = now

    def _refresh_when_due(self) -> None:
        # Between decisions, which so have nothing to do but to look up.
        self._news += 1
        known = min(self._resolved + self._ended, 1000)
        if not 0.0 <= self._now - self._refreshed_at < REFRESH_SECONDS or self._news >= 10 + known // 20:
            self._refresh()

    def _refresh(self) -> None:
        self._refreshed_at = self._now
        self._news = 0
        reached = self._answers.cumulative()
        last = float(np.interp(SOON * reached[-1], reached, self._answers.edges))
        step = min(max(last / HORIZONS, STEPS[0]), STEPS[1])
        horizons: Floats = step * np.arange(1, HORIZONS + 1, dtype=np.float64)
        self._foresee_answers(horizons, reached)
        # An answer that comes while an agent is about to get free waits for at most the hold time.
        self._foresee_agents(horizons + self._hold, step)

    def _foresee_answers(self, horizons: Floats, reached: Floats) -> None:
        """Rows: the age of a call in whole seconds. Columns: the chance to be answered by each horizon."""
        share, edges = self._share.value, self._answers.edges
        ages = np.arange(RING_ROWS) + 0.5
        answered = share * np.interp(ages[:, None] + np.append(0.0, horizons), edges, reached)
        ended = (1.0 - share) * np.interp(ages, edges, self._others.cumulative())
        rings = np.maximum(1.0 - answered[:, 0] - ended, TINY)
        self._ring_answer = np.clip((answered[:, 1:] - answered[:, :1]) / rings[:, None], 0.0, 1.0)
        self._ring_variance = self._ring_answer * (1.0 - self._ring_answer)
        self._new_answer = np.clip(share * np.interp(horizons, edges, reached), TINY, 1.0 - TINY)
        self._binding = self._new_answer >= FIRST * self._new_answer[-1]

    def _foresee_agents(self, reach: Floats, step: float) -> None:
        """Rows: how long an agent has talked or wrapped up. Columns: the chance to be free within ``reach``."""
        wrapped, edges = self._wrap_up.cumulative(), self._wrap_up.edges
        # Talk ends within a step, in the mean in its middle; wrap-up has what is left.
        ends = step * np.arange(math.ceil(float(reach[-1]) / step) + 1)
        hazard = self._talk.cumulative(TALK_AGES[:, None] + ends)
        lasts = np.exp(hazard[:, :1] - hazard)
        left = reach - (ends[:-1, None] + step / 2.0)
        at_once = max(0.0, 1.0 - (self._wrapped_up + 1) / (self._ended + 1))
        free = at_once + (1.0 - at_once) * np.interp(left, edges, wrapped)
        self._talk_free = (lasts[:, :-1] - lasts[:, 1:]) @ (free * (left >= 0.0))
        self._talk_variance = self._talk_free * (1.0 - self._talk_free)
        elapsed = (np.arange(WRAP_UP_ROWS) + 0.5) * self._wrap_up.step
        still = np.maximum(1.0 - np.interp(elapsed, edges, wrapped), TINY)
        later = 1.0 - np.interp(elapsed[:, None] + reach, edges, wrapped)
        self._wrap_free = np.clip(1.0 - later / still[:, None], 0.0, 1.0)
        self._wrap_variance = self._wrap_free * (1.0 - self._wrap_free)


def _ages(seconds: Iterable[float]) -> Floats:
    values: Floats = np.fromiter(seconds, np.float64)
    # fmax and fmin take the other value where one is not a number.
    return np.fmin(np.fmax(values, 0.0), 1e6)


def _row(ages: Floats, step: float, rows: int) -> NDArray[np.intp]:
    return np.minimum(ages / step, rows - 1).astype(np.intp)

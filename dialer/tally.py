"""What is counted of the calls of a campaign, for the pacers, for the law and for whoever looks at the metrics."""

import time
from collections.abc import Mapping

from dialer import pacing
from dialer.abandonment import is_abandoned
from dialer.calls import Call
from dialer.guard import AbandonmentGuard
from dialer.pacing import Pacing
from ringback.metrics import DialerMetrics
from ringback.records import Outcome

_KIND_OF = {
    Outcome.CONNECTED: pacing.Kind.HUMAN,
    Outcome.ABANDONED: pacing.Kind.HUMAN,
    Outcome.HUNG_UP: pacing.Kind.HUMAN,
    Outcome.MACHINE: pacing.Kind.MACHINE,
    Outcome.BUSY: pacing.Kind.BUSY,
    Outcome.DECLINED: pacing.Kind.BUSY,
    Outcome.NO_ANSWER: pacing.Kind.NO_ANSWER,
}


class Tally:
    """Every server has a pacer of its own, because an answered call must find its agent on the server where it is.

    What is true of the whole campaign (how shoppers pick up, how long agents talk) all pacers learn; what became of an
    answered call only its own server's.
    """

    def __init__(self, metrics: DialerMetrics, pacers: Mapping[str, Pacing], guard: AbandonmentGuard) -> None:
        self._metrics = metrics
        self._pacers = pacers
        self._guard = guard
        self._answered: set[str] = set()
        self._abandoned: set[str] = set()

    def rang(self, outcome: Outcome, seconds: float) -> None:
        """A call stopped ringing."""
        self._metrics.ring_time.observe(seconds)
        self._learn(pacing.Resolved(_KIND_OF.get(outcome, pacing.Kind.FAILED), seconds))

    def answered(self, call: Call) -> None:
        """A person has answered."""
        if call.call_id not in self._answered:
            self._answered.add(call.call_id)
            self._guard.record(_answered_at(call), answered=1)

    def connected(self, call: Call, server: str) -> None:
        """An answered call has its agent; later than the law allows it is an abandoned call all the same."""
        self.answered(call)
        if call.wait_seconds is not None:
            self._metrics.answer_to_agent.observe(call.wait_seconds, {"call_id": call.call_id})
        if is_abandoned(_greeting_ended(call), call.connected_at or time.time()):
            self.abandoned(call, server)
        elif call.call_id not in self._abandoned:
            self._pacers[server].observe(pacing.Connected())

    def abandoned(self, call: Call, server: str) -> None:
        """An answered call got no agent in time."""
        self.answered(call)
        if call.call_id not in self._abandoned:
            self._abandoned.add(call.call_id)
            self._guard.record(_answered_at(call), abandoned=1)
            self._pacers[server].observe(pacing.Abandoned())

    def ended(self, call: Call, server: str | None) -> None:
        """A call is over."""
        if call.outcome is Outcome.MACHINE:
            self._guard.record(_answered_at(call), detected=1)
        elif server and call.outcome is Outcome.HUNG_UP and call.answered_at is not None and call.hangup:
            hung_up = call.hangup.at
            if is_abandoned(_greeting_ended(call), None, hung_up):
                self.abandoned(call, server)
            else:
                self.answered(call)
        self._answered.discard(call.call_id)
        self._abandoned.discard(call.call_id)

    def talked(self, seconds: float) -> None:
        """A talk ended."""
        self._metrics.talk_time.observe(seconds)
        self._learn(pacing.TalkEnded(seconds))

    def wrapped_up(self, seconds: float) -> None:
        """An agent's wrap-up ended."""
        self._metrics.wrap_up_time.observe(seconds)
        self._learn(pacing.WrapUpEnded(seconds))

    def _learn(self, event: pacing.Event) -> None:
        for pacer in self._pacers.values():
            pacer.observe(event)


def _answered_at(call: Call) -> float:
    # An answer that nobody told us of was at most seconds ago.
    return time.time() if call.answered_at is None else call.answered_at


def _greeting_ended(call: Call) -> float:
    """Without detection nobody knows how long "hello?" lasts: the time of the answer is the strict stand-in."""
    return call.amd.at if call.amd else _answered_at(call)

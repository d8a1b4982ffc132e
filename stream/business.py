"""What the following of carts shows in metrics: carts, decisions, contacts, and what they were worth."""

from collections import Counter
from collections.abc import Sequence

from ringback.decide_settings import DecideSettings
from ringback.decisions import Decision, Route
from ringback.lift import Lift, lift
from ringback.metric_labels import Arm, OptOutThrough, ScoreOf, WonBy
from ringback.metrics import StreamMetrics
from ringback.money import exponent
from ringback.records import ContactKind, EventKind
from stream.attribution import Gain
from stream.carts import REACHED
from stream.partition import Effects

UNKNOWN = float("nan")


class Business:
    """Counts what is durable. The lift is of this worker's shoppers since it started."""

    def __init__(self, metrics: StreamMetrics, rules: DecideSettings) -> None:
        self._metrics = metrics
        self._eligible: Counter[str] = Counter()
        self._ordered: Counter[str] = Counter()
        self._deciding, self._shadow = (metrics.scores.labels(model.value) for model in ScoreOf)
        metrics.lift.set_function(lambda: UNKNOWN if (found := self._lift()) is None else found.difference)
        metrics.lift_low.set_function(lambda: UNKNOWN if (found := self._lift()) is None else found.low)
        metrics.lift_high.set_function(lambda: UNKNOWN if (found := self._lift()) is None else found.high)
        for currency in rules.voice_fixed.keys() & rules.message_from.keys():
            metrics.expect(currency)

    def count(self, effects: Effects) -> None:
        """Count what some records led to."""
        metrics = self._metrics
        for kind, count in effects.events.items():
            metrics.events.labels(kind.value).inc(count)
        metrics.repeated.inc(effects.repeated)
        for letter in effects.dead_letters:
            metrics.dead_letters.labels(letter.reason).inc()
        if effects.decisions:
            self._decided(effects.decisions)
        for arm in effects.ordered:
            self._ordered[arm] += 1
            metrics.ordered.labels(arm).inc()
        for gain in effects.gains:
            self._gained(gain)
        for (channel, what), count in effects.contacts.items():
            if what in REACHED:
                metrics.contacts.labels(channel.value).inc(count)
            elif what is ContactKind.OPTED_OUT:
                metrics.opt_outs.labels(channel.value).inc(count)
        metrics.opt_outs.labels(OptOutThrough.SHOP.value).inc(effects.events.get(EventKind.OPTED_OUT, 0))
        for rated in effects.ratings:
            won_by = rated.channel.value if rated.channel else WonBy.NONE.value
            metrics.ratings.labels(won_by, str(rated.rating)).inc()

    def _decided(self, decisions: Sequence[Decision]) -> None:
        metrics = self._metrics
        metrics.carts_abandoned.inc(len(decisions))
        for decision in decisions:
            self._deciding.observe(decision.score)
            if decision.shadow_score is not None:
                self._shadow.observe(decision.shadow_score)
        kinds = Counter((decision.route, decision.reason, decision.arm) for decision in decisions)
        for (route, reason, arm), count in kinds.items():
            metrics.decisions.labels(route.value, reason.value, arm).inc(count)
            if route is not Route.NONE:
                self._eligible[arm] += count
                metrics.eligible.labels(arm).inc(count)

    def _gained(self, gain: Gain) -> None:
        channel, amount = gain.channel.value, gain.amount / 10 ** exponent(gain.currency)
        if gain.is_new:
            self._metrics.conversions.labels(channel, gain.currency).inc()
        metric = self._metrics.revenue if amount >= 0 else self._metrics.returned
        metric.labels(channel, gain.currency).inc(abs(amount))

    def _lift(self) -> Lift | None:
        treated, holdout = Arm.TREATED.value, Arm.HOLDOUT.value
        carts = self._eligible[treated], self._eligible[holdout]
        # After a restart come orders of carts that the former process counted.
        orders = min(self._ordered[treated], carts[0]), min(self._ordered[holdout], carts[1])
        return lift(orders[0], carts[0], orders[1], carts[1])

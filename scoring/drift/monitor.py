"""Drift as it happens: the last decisions of a worker against the bins frozen in the manifest of its model.

A decision costs a look into each feature's bins; events cost nothing. What was seen is kept in memory only: after a
restart the windows fill anew, and until they hold `LEAST_ROWS` nothing is said.
"""

import math
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from ringback.decisions import Decision
from ringback.metric_labels import ScoreOf
from ringback.metrics import StreamMetrics
from ringback.records import Conversion
from scoring.drift.psi import LEAST_ROWS, Reference, Shift, Tally
from scoring.features import FEATURES
from scoring.manifest import Manifest

WINDOW = 4 * LEAST_ROWS
# Decisions whose outcome is awaited; at one in ten in the holdout, of 200,000 carts.
MOST_PENDING = 20_000
# What the orders of a moment may come later than its decisions.
GRACE_SECONDS = 600.0
LEAST_LIKELIHOOD = 1e-15
UNKNOWN = math.nan


class Window:
    """The last rows, counted by place in the bins of each reference."""

    def __init__(self, references: tuple[Reference, ...], size: int = WINDOW) -> None:
        self._tally = Tally(references)
        self._rows: deque[bytes] = deque()
        self._size = size

    def __len__(self) -> int:
        return self._tally.rows

    def add(self, values: Sequence[float | None]) -> None:
        """Count a row; the oldest one drops out of a full window."""
        self._rows.append(self._tally.add(values))
        if len(self._rows) > self._size:
            self._tally.take_back(self._rows.popleft())

    def shift(self, index: int) -> Shift | None:
        """How one feature is now; None while there are too few rows."""
        return self._tally.shift(index) if self._tally.rows >= LEAST_ROWS else None


@dataclass(slots=True)
class Pending:
    """A decision on a shopper of the holdout, until its label is known."""

    shopper_id: str
    time: float
    score: float
    shadow_version: str | None = None
    shadow_score: float | None = None
    bought: bool = False


class Outcomes:
    """What became of the holdout's carts: nobody contacted these shoppers, so they bought or not of their own accord.

    A label is final when the label's horizon has passed by the decisions' own time; until then it says nothing.
    """

    def __init__(self, horizon: float, size: int = WINDOW) -> None:
        self._horizon = horizon
        self._newest = -math.inf
        self._pending: deque[Pending] = deque(maxlen=MOST_PENDING)
        self._losses: deque[float] = deque(maxlen=size)
        self._shadow_version: str | None = None
        self._shadow_losses: deque[float] = deque(maxlen=size)

    def __len__(self) -> int:
        return len(self._losses)

    def decided(self, decision: Decision) -> None:
        """Take a decision that the watched model made."""
        self._newest = max(self._newest, decision.time)
        if decision.arm == "holdout":
            self._pending.append(
                Pending(
                    decision.shopper_id,
                    decision.time,
                    decision.score,
                    decision.shadow_version,
                    decision.shadow_score,
                )
            )
        while self._pending and self._pending[0].time + self._horizon + GRACE_SECONDS < self._newest:
            self._settle(self._pending.popleft())

    def ordered(self, conversion: Conversion) -> None:
        """Take an order of a shopper of the holdout. Orders are few: a look at all that is pending is cheap enough."""
        for pending in self._pending:
            if pending.shopper_id == conversion.shopper_id:
                pending.bought |= 0 < conversion.ordered - pending.time <= self._horizon

    def log_loss(self) -> float:
        """Mean log-loss of the last decisions whose label is known, in nats; NaN while there are too few."""
        return _mean(self._losses)

    def shadow_log_loss(self) -> float:
        """The same of the shadow model that scored last, on those of them that it scored."""
        return _mean(self._shadow_losses)

    def _settle(self, pending: Pending) -> None:
        self._losses.append(_loss(pending.score, bought=pending.bought))
        if pending.shadow_score is not None:
            if pending.shadow_version != self._shadow_version:
                self._shadow_version = pending.shadow_version
                self._shadow_losses.clear()
            self._shadow_losses.append(_loss(pending.shadow_score, bought=pending.bought))


def _loss(score: float, *, bought: bool) -> float:
    return -math.log(max(score if bought else 1.0 - score, LEAST_LIKELIHOOD))


def _mean(losses: deque[float]) -> float:
    held = tuple(losses)
    return sum(held) / len(held) if len(held) >= LEAST_ROWS else UNKNOWN


class Monitor:
    """Watches the champion's inputs, scores and outcomes, and shows them in the worker's metrics.

    ``current`` gives the champion's manifest: when it is another one, all windows begin anew. ``attribution_window`` is
    `decide.attribution_window`: orders that come later are not joined to a decision, so outcomes are watched only where
    the label's horizon is no longer than it.
    """

    def __init__(self, metrics: StreamMetrics, current: Callable[[], Manifest], attribution_window: float) -> None:
        self._current = current
        self._attribution_window = attribution_window
        self._version = ""
        self._features: Window | None = None
        self._scores: Window | None = None
        self._outcomes: Outcomes | None = None
        metrics.drift_rows.set_function(lambda: 0 if self._features is None else len(self._features))
        metrics.score_psi.set_function(lambda: _psi(_shift(self._scores, 0)))
        metrics.matured_rows.set_function(lambda: 0 if self._outcomes is None else len(self._outcomes))
        metrics.matured_log_loss.labels(ScoreOf.DECIDING.value).set_function(
            lambda: UNKNOWN if self._outcomes is None else self._outcomes.log_loss()
        )
        metrics.matured_log_loss.labels(ScoreOf.SHADOW.value).set_function(
            lambda: UNKNOWN if self._outcomes is None else self._outcomes.shadow_log_loss()
        )
        for index, feature in enumerate(FEATURES):
            self._show(metrics, index, feature.name)

    def take(self, decisions: Iterable[Decision], conversions: Iterable[Conversion]) -> None:
        """Take what a worker decided, and orders that followed decisions."""
        for decision in decisions:
            self.decided(decision)
        if self._outcomes is not None:
            for conversion in conversions:
                if conversion.arm == "holdout":
                    self._outcomes.ordered(conversion)

    def decided(self, decision: Decision) -> None:
        """Take a decision. One of an old log that is played again says nothing of the present."""
        if decision.replay:
            return
        self._follow(self._current())
        if self._features is not None:
            self._features.add(decision.features)
        if decision.model_version != self._version:
            return  # the canary's
        if self._scores is not None:
            self._scores.add((decision.score,))
        if self._outcomes is not None:
            self._outcomes.decided(decision)

    def _follow(self, manifest: Manifest) -> None:
        if manifest.version == self._version:
            return
        self._version = manifest.version
        self._features = self._scores = self._outcomes = None
        # A model without frozen bins can't be compared with.
        if len(manifest.reference) == len(FEATURES) + 1:
            self._features, self._scores = Window(manifest.reference[:-1]), Window(manifest.reference[-1:])
        if manifest.horizon is not None and manifest.horizon <= self._attribution_window:
            self._outcomes = Outcomes(manifest.horizon)

    def _show(self, metrics: StreamMetrics, index: int, name: str) -> None:
        metrics.feature_psi.labels(name).set_function(lambda: _psi(_shift(self._features, index)))
        metrics.feature_missing.labels(name).set_function(
            lambda: UNKNOWN if (found := _shift(self._features, index)) is None else found.missing
        )
        metrics.feature_unseen.labels(name).set_function(
            lambda: UNKNOWN if (found := _shift(self._features, index)) is None else found.unseen
        )


def _shift(window: Window | None, index: int) -> Shift | None:
    return None if window is None else window.shift(index)


def _psi(found: Shift | None) -> float:
    return UNKNOWN if found is None else found.psi

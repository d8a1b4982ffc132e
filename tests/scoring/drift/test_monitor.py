"""Drift as a running worker sees it."""

import math
from dataclasses import dataclass, field

import msgspec
import numpy as np
import pytest
from prometheus_client import CollectorRegistry

from ringback.decisions import Decision, Reason, Route
from ringback.metric_labels import ScoreOf
from ringback.metrics import StreamMetrics
from ringback.records import Channel, Conversion
from scoring.drift.monitor import GRACE_SECONDS, WINDOW, Monitor
from scoring.drift.psi import ALARM, LEAST_ROWS, reference
from scoring.features import FEATURES
from scoring.manifest import Manifest, read
from scoring.model import default_model_folder
from tests.scoring.drift.test_psi import dataset

DAY = 86400.0
SHARE = 0.3


def manifest(version: str = "intent-1", horizon: float = DAY) -> Manifest:
    """Trained on rows whose features are all normally distributed, and whose scores are uniform."""
    rng = np.random.default_rng(7)
    vectors = rng.normal(size=(4000, len(FEATURES)))
    bins = [
        msgspec.structs.replace(one, name=feature.name)
        for one, feature in zip(reference(dataset(vectors), rng.random(4000)), [*FEATURES, None], strict=True)
        if feature is not None
    ]
    of_score = reference(dataset(vectors[:, :1]), rng.random(4000))[-1]
    known, _ = read(default_model_folder())
    return msgspec.structs.replace(known, version=version, horizon=horizon, reference=(*bins, of_score))


@dataclass(slots=True)
class Worker:
    """A monitor and what feeds it."""

    model: Manifest = field(default_factory=manifest)
    attribution: float = 3 * DAY
    time: float = 1_700_000_000.0
    registry: CollectorRegistry = field(default_factory=CollectorRegistry)
    rng: np.random.Generator = field(default_factory=lambda: np.random.default_rng(11))
    monitor: Monitor = field(init=False)
    decided: int = 0

    def __post_init__(self) -> None:
        self.monitor = Monitor(StreamMetrics(self.registry), lambda: self.model, self.attribution)

    def decision(self, shift: float = 0.0, **changes: object) -> Decision:
        self.decided += 1
        made = Decision(
            decision_id=f"d{self.decided}",
            shopper_id=f"s{self.decided}",
            cart_id="c",
            time=self.time,
            last_activity=self.time - 1800,
            value=1000,
            currency="EUR",
            items=(),
            features=tuple(self.rng.normal(shift, size=len(FEATURES)).tolist()),
            score=float(self.rng.random()),
            expected_value=1,
            route=Route.HOLDOUT,
            reason=Reason.HOLDOUT,
            arm="holdout",
            model_version=self.model.version,
        )
        return msgspec.structs.replace(made, **changes)

    def decide(self, count: int, shift: float = 0.0, **changes: object) -> list[Decision]:
        made = [self.decision(shift, **changes) for _ in range(count)]
        self.monitor.take(made, ())
        return made

    def gauge(self, name: str, feature: str | None = None) -> float:
        return self.labelled(name, {} if feature is None else {"feature": feature})

    def log_loss(self, model: ScoreOf = ScoreOf.DECIDING) -> float:
        return self.labelled("matured_log_loss_nats", {"model": model.value})

    def labelled(self, name: str, labels: dict[str, str]) -> float:
        found = self.registry.get_sample_value(f"ringback_stream_{name}", labels)
        assert found is not None
        return found


def conversion(decision: Decision, after: float, channel: Channel | None = None) -> Conversion:
    return Conversion(
        order_id=decision.decision_id,
        shopper_id=decision.shopper_id,
        cart_id=decision.cart_id,
        decision_id=decision.decision_id,
        arm="holdout" if decision.arm == "holdout" else "treated",
        channel=channel,
        contact_id=None,
        value=1000,
        currency="EUR",
        ordered=decision.time + after,
        decided=decision.time,
        window=3 * DAY,
    )


FIRST = FEATURES[0].name


def test_nothing_is_said_with_few_rows() -> None:
    worker = Worker()
    worker.decide(LEAST_ROWS - 1)
    assert math.isnan(worker.gauge("feature_stability_index", FIRST))
    assert math.isnan(worker.gauge("feature_missing_ratio", FIRST))
    assert math.isnan(worker.gauge("score_stability_index"))
    assert worker.gauge("drift_rows") == LEAST_ROWS - 1
    worker.decide(1)
    assert not math.isnan(worker.gauge("feature_stability_index", FIRST))


def test_what_training_saw_is_no_drift() -> None:
    worker = Worker()
    worker.decide(LEAST_ROWS)
    assert max(worker.gauge("feature_stability_index", feature.name) for feature in FEATURES) < 0.1
    assert worker.gauge("score_stability_index") < 0.1
    assert worker.gauge("feature_missing_ratio", FIRST) == 0


def test_another_distribution_is_seen_and_forgotten_again() -> None:
    worker = Worker()
    worker.decide(WINDOW // 2)
    worker.decide(WINDOW // 2, shift=1.0)
    assert worker.gauge("feature_stability_index", FIRST) > ALARM
    worker.decide(WINDOW)
    assert worker.gauge("drift_rows") == WINDOW
    assert worker.gauge("feature_stability_index", FIRST) < 0.1


def test_missing_values_and_new_scores_are_seen() -> None:
    worker = Worker()
    nothing = (None,) * len(FEATURES)
    worker.decide(LEAST_ROWS, features=nothing, score=0.99)
    assert worker.gauge("feature_missing_ratio", FIRST) == 1
    assert worker.gauge("feature_stability_index", FIRST) > ALARM
    assert worker.gauge("score_stability_index") > ALARM


def test_a_value_that_training_never_had_is_unseen() -> None:
    bins = manifest().reference
    few = msgspec.structs.replace(bins[0], levels=(0.0, 1.0), edges=(), shares=(0.5, 0.5), missing=0.0)
    worker = Worker(model=msgspec.structs.replace(manifest(), reference=(few, *bins[1:])))
    worker.decide(LEAST_ROWS // 2, features=(0.0,) * len(FEATURES))
    worker.decide(LEAST_ROWS // 2, features=(5.0,) * len(FEATURES))
    assert worker.gauge("feature_unseen_ratio", FIRST) == 0.5


def test_another_champion_begins_anew() -> None:
    worker = Worker()
    worker.decide(LEAST_ROWS)
    worker.model = manifest("intent-2")
    worker.decide(1)
    assert worker.gauge("drift_rows") == 1


def test_a_model_without_bins_is_not_compared_with() -> None:
    worker = Worker(model=msgspec.structs.replace(manifest(), reference=()))
    worker.decide(LEAST_ROWS)
    assert worker.gauge("drift_rows") == 0
    assert math.isnan(worker.gauge("feature_stability_index", FIRST))


def test_replays_and_the_canarys_scores_are_left_out() -> None:
    worker = Worker()
    worker.decide(LEAST_ROWS, replay=True)
    assert worker.gauge("drift_rows") == 0
    worker.decide(LEAST_ROWS, model_version="canary")
    assert worker.gauge("drift_rows") == LEAST_ROWS
    assert math.isnan(worker.gauge("score_stability_index"))


def later(worker: Worker, seconds: float) -> None:
    worker.time += seconds
    worker.decide(1, arm="treated")


def test_a_label_counts_when_its_horizon_has_passed() -> None:
    worker = Worker()
    made = worker.decide(LEAST_ROWS, score=SHARE)
    later(worker, DAY)
    assert worker.gauge("matured_rows") == 0
    buyers = made[: LEAST_ROWS // 4]
    worker.monitor.take((), [conversion(one, DAY - 1) for one in buyers])
    later(worker, 2 * GRACE_SECONDS)
    assert worker.gauge("matured_rows") == LEAST_ROWS
    expected = -(0.25 * math.log(SHARE) + 0.75 * math.log(1 - SHARE))
    assert worker.log_loss() == pytest.approx(expected)


def test_the_shadow_is_judged_on_the_same_outcomes() -> None:
    worker = Worker()
    made = worker.decide(LEAST_ROWS, score=SHARE, shadow_version="other", shadow_score=0.5)
    worker.monitor.take((), [conversion(one, 60.0) for one in made[:10]])
    later(worker, DAY + 2 * GRACE_SECONDS)
    assert worker.log_loss(ScoreOf.SHADOW) == pytest.approx(math.log(2))
    assert worker.log_loss() < math.log(2)


def test_another_shadow_begins_anew() -> None:
    worker = Worker()
    worker.decide(LEAST_ROWS, shadow_version="former", shadow_score=0.5)
    worker.decide(1, shadow_version="other", shadow_score=0.5)
    later(worker, DAY + 2 * GRACE_SECONDS)
    assert math.isnan(worker.log_loss(ScoreOf.SHADOW))


def test_an_order_after_the_horizon_or_before_the_decision_is_none() -> None:
    worker = Worker()
    made = worker.decide(LEAST_ROWS, score=SHARE)
    worker.monitor.take((), [conversion(made[0], DAY + 1), conversion(made[1], 0.0)])
    later(worker, DAY + 2 * GRACE_SECONDS)
    assert worker.log_loss() == pytest.approx(-math.log(1 - SHARE))


def test_whoever_was_contacted_is_left_out() -> None:
    worker = Worker()
    made = worker.decide(LEAST_ROWS, arm="treated", route=Route.VOICE)
    worker.monitor.take((), [conversion(made[0], 60.0, Channel.VOICE)])
    later(worker, 2 * DAY)
    assert worker.gauge("matured_rows") == 0


def test_orders_that_are_not_joined_are_not_waited_for() -> None:
    worker = Worker(attribution=DAY / 2)
    worker.decide(LEAST_ROWS)
    later(worker, 2 * DAY)
    assert worker.gauge("matured_rows") == 0
    assert math.isnan(worker.log_loss())

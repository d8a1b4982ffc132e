"""Serving: what is put in place is taken between two scores, what does not fit is refused, and the champion stays."""

import gc
import shutil
import threading
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import numpy as np
import pytest

from ringback.errors import Misfit, ModelRefused
from ringback.metrics import ModelRole, StreamMetrics
from ringback.scoring_settings import ScoringSettings
from scoring.features import FEATURES
from scoring.manifest import MANIFEST, MODEL
from scoring.model import Model
from scoring.promotions import Standing
from scoring.registry import CANARY, Registry
from scoring.serving import Serving, in_canary
from scoring.training.uplift_train import train as train_uplift
from scoring.uplift import Uplift
from tests.scoring.models import make, spoil
from tests.scoring.test_registry import REASON
from tests.scoring.test_uplift import trial
from tests.servers.process import wait_until

ROWS = [tuple(row) for row in np.random.default_rng(5).normal(size=(50, len(FEATURES))).tolist()]
SHOPPERS = [f"shopper-{number}" for number in range(20_000)]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    root = tmp_path_factory.mktemp("made")
    return root, [make(root, seed) for seed in (1, 2, 3)]


@pytest.fixture
def versions(made: tuple[Path, list[str]]) -> list[str]:
    return made[1]


@pytest.fixture
def registry(made: tuple[Path, list[str]], tmp_path: Path) -> Registry:
    """The first version is the champion."""
    registry = Registry(Path(shutil.copytree(made[0], tmp_path / "models")))
    registry.promote(made[1][0], forced=REASON)
    return registry


@pytest.fixture
def metrics() -> StreamMetrics:
    return StreamMetrics()


@pytest.fixture
def serving(registry: Registry, metrics: StreamMetrics) -> Iterator[Serving]:
    """Looks only when it is told to."""
    serving = Serving.start(ScoringSettings(models=registry.root, watch_every=3600.0), metrics)
    yield serving
    serving.stop()


def info(metrics: StreamMetrics) -> dict[str, str]:
    """What the gauges say, by role."""
    (family,) = metrics.model_info.collect()
    return {sample.labels["role"]: sample.labels["version"] for sample in family.samples}


def refused(metrics: StreamMetrics) -> dict[str, float]:
    """Refusals, by what was wrong."""
    (family,) = metrics.model_refused.collect()
    return {sample.labels["reason"]: sample.value for sample in family.samples if sample.value}


def test_what_is_promoted_serves_after_the_next_look(
    serving: Serving, registry: Registry, versions: list[str], metrics: StreamMetrics
) -> None:
    expected = {version: [Model.load(registry.root / version).score(row) for row in ROWS] for version in versions}
    assert [serving.score(row) for row in ROWS] == expected[versions[0]]
    for version in (versions[1], versions[2]):
        registry.promote(version, forced=REASON)
        serving.look()
        assert [serving.score(row) for row in ROWS] == expected[version]
        assert serving.judge("ada", ROWS[0]).version == version
        assert info(metrics) == {"current": version}
    registry.rollback()
    serving.look()
    assert serving.judge("ada", ROWS[0]).version == versions[1]
    assert refused(metrics) == {}


def test_nothing_new_is_not_loaded_again(serving: Serving, registry: Registry, versions: list[str]) -> None:
    registry.promote(versions[1], ModelRole.SHADOW)
    registry.promote(versions[2], ModelRole.CANARY, share=0.5, forced=REASON)
    serving.look()
    live = serving.live
    serving.look()
    assert serving.live is live


def test_the_shadow_scores_the_same_row_and_nobody_acts_on_it(
    serving: Serving, registry: Registry, versions: list[str], metrics: StreamMetrics
) -> None:
    registry.promote(versions[1], ModelRole.SHADOW)
    serving.look()
    shadow = Model.load(registry.root / versions[1])
    for row in ROWS:
        served = serving.judge("ada", row)
        assert (served.version, served.score) == (versions[0], serving.score(row))
        assert (served.shadow_version, served.shadow_score) == (versions[1], shadow.score(row))
    assert info(metrics) == {"current": versions[0], "shadow": versions[1]}
    registry.rollback()
    serving.look()
    assert serving.judge("ada", ROWS[0]).shadow_version is None
    assert info(metrics) == {"current": versions[0]}


def test_the_canary_scores_for_its_shoppers_and_for_no_others(
    serving: Serving, registry: Registry, versions: list[str]
) -> None:
    registry.promote(versions[1], ModelRole.CANARY, share=0.05, forced=REASON)
    serving.look()
    canary = Model.load(registry.root / versions[1])
    for shopper in SHOPPERS[:2000]:
        served = serving.judge(shopper, ROWS[0])
        if in_canary(shopper, 0.05):
            assert (served.version, served.score) == (versions[1], canary.score(ROWS[0]))
        else:
            assert (served.version, served.score) == (versions[0], serving.score(ROWS[0]))
    before = serving.live
    registry.promote(versions[1], ModelRole.CANARY, share=0.2, forced=REASON)
    serving.look()
    assert (before.share, serving.live.share) == (0.05, 0.2)


def test_the_canarys_share_is_stable_and_grows_around_itself() -> None:
    shares = {share: {shopper for shopper in SHOPPERS if in_canary(shopper, share)} for share in (0.01, 0.05, 0.2, 0.5)}
    for share, chosen in shares.items():
        assert chosen == {shopper for shopper in SHOPPERS if in_canary(shopper, share)}
        # Five standard deviations of a binomial draw.
        assert abs(len(chosen) - share * len(SHOPPERS)) < 5 * (share * (1 - share) * len(SHOPPERS)) ** 0.5
    assert shares[0.01] < shares[0.05] < shares[0.2] < shares[0.5]


def _spoil(root: Path, version: str) -> None:
    spoil(root / version)


def _half(root: Path, version: str) -> None:
    (root / version / MODEL).write_bytes(b"tree\nversion=v4\n")


def _no_manifest(root: Path, version: str) -> None:
    (root / version / MANIFEST).unlink()


def _elsewhere(root: Path, version: str) -> None:
    del version
    for name in ("current", "shadow"):
        pointer = root / name
        if pointer.is_symlink():
            pointer.unlink()
            pointer.symlink_to("/nowhere")


HARMS: list[tuple[Callable[[Path, str], None], Misfit]] = [
    (_spoil, Misfit.CHANGED),
    (_half, Misfit.CHANGED),
    (_no_manifest, Misfit.UNREADABLE),
    (_elsewhere, Misfit.UNREADABLE),
]


@pytest.mark.parametrize(("harm", "misfit"), HARMS)
def test_what_is_put_in_place_by_hand_and_does_not_fit_is_refused_once(
    serving: Serving,
    registry: Registry,
    versions: list[str],
    metrics: StreamMetrics,
    caplog: pytest.LogCaptureFixture,
    harm: Callable[[Path, str], None],
    misfit: Misfit,
) -> None:
    scores = [serving.score(row) for row in ROWS]
    harm(registry.root, versions[0])
    for _ in range(3):
        serving.look()
    assert [serving.score(row) for row in ROWS] == scores
    assert refused(metrics) == {misfit.value: 1}
    assert info(metrics) == {"current": versions[0]}
    assert [record.levelname for record in caplog.records] == ["ERROR", "ERROR"]
    assert "refused as current model" in caplog.text
    registry.promote(versions[1], forced="the champion is broken")
    serving.look()
    assert serving.judge("ada", ROWS[0]).version == versions[1]


def test_a_folder_that_is_written_slowly_is_taken_when_it_is_whole(
    serving: Serving, registry: Registry, versions: list[str], metrics: StreamMetrics
) -> None:
    whole = registry.root / versions[1]
    arriving = registry.root / "arriving"
    arriving.mkdir()
    (registry.root / "current").unlink()
    (registry.root / "current").symlink_to("arriving")
    for name in (MODEL, MANIFEST):
        serving.look()
        assert serving.judge("ada", ROWS[0]).version == versions[0]
        shutil.copy(whole / name, arriving / name)
    serving.look()
    assert serving.judge("ada", ROWS[0]).version == versions[1]
    assert refused(metrics) == {"unreadable": 2}


@pytest.mark.parametrize("content", [b"", b"{}", b'{"version":"nothing","share":0.5}'])
def test_a_canary_that_does_not_fit_leaves_everybody_to_the_champion(
    serving: Serving, registry: Registry, versions: list[str], metrics: StreamMetrics, content: bytes
) -> None:
    registry.promote(versions[1], ModelRole.CANARY, share=0.9, forced=REASON)
    serving.look()
    (registry.root / CANARY).write_bytes(content)
    for _ in range(2):
        serving.look()
    assert {serving.judge(shopper, ROWS[0]).version for shopper in SHOPPERS[:100]} == {versions[0]}
    assert refused(metrics) == {"unreadable": 1}


@pytest.fixture(scope="module")
def uplifts(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """Two uplift models: one is proven, the other one is not."""
    out = tmp_path_factory.mktemp("uplifts")
    proven, unproven = train_uplift(trial(), out, label="bought").version, "uplift-unproven"
    manifest = Uplift.load(out / proven).manifest
    shutil.copytree(out / proven, out / unproven)
    changed = msgspec.structs.replace(manifest, version=unproven, usable=False)
    (out / unproven / MANIFEST).write_bytes(msgspec.json.encode(changed))
    return out, [proven, unproven]


def test_the_uplift_model_answers_beside_the_champion_once_it_is_proven(
    serving: Serving,
    registry: Registry,
    versions: list[str],
    metrics: StreamMetrics,
    uplifts: tuple[Path, list[str]],
) -> None:
    folder, (proven, unproven) = uplifts
    for version in (proven, unproven):
        shutil.copytree(folder / version, registry.root / version)
    with pytest.raises(ModelRefused, match="interval does not clear zero"):
        registry.promote(unproven, forced=REASON)
    registry.promote(proven)
    assert registry.standing() == Standing(current=versions[0], uplift=proven)
    serving.look()
    model = Uplift.load(registry.root / proven)
    for row in ROWS:
        served = serving.judge("ada", row)
        assert (served.version, served.uplift) == (versions[0], model.score(row))
    assert info(metrics) == {"current": versions[0], "uplift": proven}
    (registry.root / "uplift").unlink()
    (registry.root / "uplift").symlink_to(unproven)
    for _ in range(2):
        serving.look()
    assert serving.judge("ada", ROWS[0]).uplift is None
    assert refused(metrics) == {"unproven": 1}
    registry.rollback()
    assert registry.standing() == Standing(current=versions[0])


def test_an_empty_folder_says_nothing(
    serving: Serving, registry: Registry, versions: list[str], tmp_path: Path
) -> None:
    """It is what a volume that is not mounted looks like."""
    registry.root.rename(tmp_path / "aside")
    serving.look()
    registry.root.mkdir()
    serving.look()
    assert serving.judge("ada", ROWS[0]).version == versions[0]


def failing(model: Model, answer: float | Exception) -> Model:
    """A model that was proven, and fails nevertheless."""

    def score(row: object) -> float:
        del row
        if isinstance(answer, Exception):
            raise answer
        return answer

    model.score = score
    return model


@pytest.mark.parametrize("answer", [RuntimeError("it failed"), float("nan"), 1.5, -0.1])
def test_a_canary_or_shadow_that_fails_is_set_aside(
    serving: Serving, registry: Registry, versions: list[str], metrics: StreamMetrics, answer: float | Exception
) -> None:
    registry.promote(versions[1], ModelRole.SHADOW)
    registry.promote(versions[1], ModelRole.CANARY, share=0.999, forced=REASON)
    serving.look()
    live = serving.live
    assert live.shadow is not None
    assert live.canary is not None
    failing(live.shadow, answer)
    failing(live.canary, answer)
    for shopper in SHOPPERS[:50]:
        served = serving.judge(shopper, ROWS[0])
        assert (served.version, served.score) == (versions[0], serving.score(ROWS[0]))
        assert served.shadow_score is None
    (family,) = metrics.model_failures.collect()
    assert {s.labels["role"]: s.value for s in family.samples} == {"current": 0, "shadow": 1, "canary": 1, "uplift": 0}
    assert info(metrics) == {"current": versions[0]}
    serving.look()
    assert serving.live.canary is None


def test_a_start_with_a_broken_champion_serves_the_one_before_it(
    registry: Registry, versions: list[str], metrics: StreamMetrics
) -> None:
    registry.promote(versions[1], forced=REASON)
    registry.promote(versions[2], forced=REASON)
    spoil(registry.root / versions[2])
    serving = Serving.start(ScoringSettings(models=registry.root, watch_every=3600.0), metrics)
    try:
        assert serving.live.current.version == versions[1]
        serving.look()
        assert serving.live.current.version == versions[1]
        assert refused(metrics) == {"changed": 1}
    finally:
        serving.stop()


def test_a_fixed_model_is_not_watched(registry: Registry, versions: list[str], metrics: StreamMetrics) -> None:
    threads = threading.active_count()
    serving = Serving.start(ScoringSettings(model=registry.root / versions[1], models=registry.root), metrics)
    assert serving.live.current.version == versions[1]
    assert threading.active_count() == threads
    serving.stop()
    spoil(registry.root / versions[1])
    with pytest.raises(ModelRefused):
        Serving.start(ScoringSettings(model=registry.root / versions[1]), metrics)


def test_no_score_is_lost_or_mixed_while_models_come_and_go(
    registry: Registry, versions: list[str], metrics: StreamMetrics
) -> None:
    """Scores are asked for without a pause while the thread swaps: each is one model's, whole."""
    expected = {version: [Model.load(registry.root / version).score(row) for row in ROWS] for version in versions}
    serving = Serving.start(ScoringSettings(models=registry.root, watch_every=0.001), metrics)
    promoting = threading.Thread(
        target=lambda: [registry.promote(version, forced=REASON) for version in (*versions[1:], *versions) * 3]
    )
    promoting.start()
    seen: list[str] = []
    try:
        while promoting.is_alive() or serving.live.current.version != versions[2]:
            for number, row in enumerate(ROWS):
                served = serving.judge("ada", row)
                assert served.score == expected[served.version][number]
                if seen[-1:] != [served.version]:
                    seen.append(served.version)
    finally:
        promoting.join()
        serving.stop()
    assert len(set(seen)) == 3
    assert refused(metrics) == {}


def test_the_thread_outlives_whatever_it_finds(
    registry: Registry, versions: list[str], metrics: StreamMetrics, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked = threading.Event()

    def failing(self: Registry, role: ModelRole) -> str | None:
        del self, role
        looked.set()
        raise OSError("the disk is on fire")

    serving = Serving.start(ScoringSettings(models=registry.root, watch_every=0.01), metrics)
    try:
        with monkeypatch.context() as patch:
            patch.setattr(Registry, "pointed", failing)
            assert looked.wait(30.0)
        registry.promote(versions[1], forced=REASON)
        wait_until(lambda: serving.live.current.version == versions[1], "the promoted model", deadline_s=30.0)
    finally:
        serving.stop()


def test_a_model_that_was_replaced_is_freed(serving: Serving, registry: Registry, versions: list[str]) -> None:
    gone = weakref.ref(serving.live.current)
    registry.promote(versions[1], forced=REASON)
    serving.look()
    assert gone() is not None, "freed by the thread that scores"
    serving.look()
    gc.collect()
    assert gone() is None

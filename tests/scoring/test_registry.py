"""The registry: who may be promoted, what is undone, and that a pointer never names what does not load."""

import os
import shutil
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ringback.errors import Misfit, ModelRefused, NotPromoted
from ringback.metrics import ModelRole
from ringback.scoring_settings import ScoringSettings
from scoring.manifest import MANIFEST, MODEL
from scoring.model import Model
from scoring.promotions import HISTORY, Comparison, Standing
from scoring.registry import CANARY, Registry, served_folder
from tests.scoring.models import edit, make, spoil

REASON = "a test"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    root = tmp_path_factory.mktemp("made")
    return root, [make(root, seed) for seed in (1, 2, 3)]


@pytest.fixture
def versions(made: tuple[Path, list[str]]) -> list[str]:
    return made[1]


@pytest.fixture
def registry(made: tuple[Path, list[str]], tmp_path: Path) -> Registry:
    return Registry(Path(shutil.copytree(made[0], tmp_path / "models")))


def better(challenger: str, champion: str, low: float = 0.001) -> Comparison:
    return Comparison(challenger=challenger, champion=champion, data="a log", rows=1000, better_by=(low, 0.01, 0.02))


def current(registry: Registry) -> str:
    return Model.load((registry.root / "current").resolve()).version


def test_a_promoted_model_is_where_the_pointer_says(registry: Registry, versions: list[str]) -> None:
    registry.promote(versions[0], forced=REASON)
    assert (registry.root / "current").readlink() == Path(versions[0])
    assert current(registry) == versions[0]
    assert served_folder(ScoringSettings(models=registry.root)) == registry.root / versions[0]
    assert registry.standing() == Standing(current=versions[0])
    assert registry.versions() == sorted(versions)


def test_a_fixed_model_is_served_whatever_the_registry_says(registry: Registry, versions: list[str]) -> None:
    registry.promote(versions[0], forced=REASON)
    fixed = registry.root / versions[1]
    assert served_folder(ScoringSettings(model=fixed, models=registry.root)) == fixed


def test_no_registry_means_the_default_model(tmp_path: Path) -> None:
    registry = Registry(tmp_path / "nothing")
    assert registry.versions() == []
    assert registry.standing() == Standing()
    assert registry.champions() == [None]
    assert served_folder(ScoringSettings(models=registry.root)).name == "default_model"
    with pytest.raises(NotPromoted, match="train into it first"):
        registry.promote("intent-0", forced=REASON)


def test_the_registry_can_be_moved(registry: Registry, versions: list[str], tmp_path: Path) -> None:
    registry.promote(versions[0], forced=REASON)
    elsewhere = Registry(registry.root.rename(tmp_path / "elsewhere"))
    assert current(elsewhere) == versions[0]


def test_a_champion_must_be_beaten(registry: Registry, versions: list[str]) -> None:
    first, second, third = versions
    registry.promote(first, forced=REASON)
    with pytest.raises(NotPromoted, match="give --log"):
        registry.promote(second)
    with pytest.raises(NotPromoted, match="not shown to be better"):
        registry.promote(second, evidence=better(second, first, low=-0.001))
    with pytest.raises(NotPromoted, match="judge again"):
        registry.promote(second, evidence=better(second, third))
    with pytest.raises(NotPromoted, match="judge again"):
        registry.promote(second, evidence=better(third, first))
    with pytest.raises(NotPromoted, match="give --log"):
        registry.promote(second, ModelRole.CANARY, share=0.05)
    assert registry.standing() == Standing(current=first)
    registry.promote(second, evidence=better(second, first))
    assert current(registry) == second


def test_what_speaks_for_a_change_is_in_the_history(registry: Registry, versions: list[str]) -> None:
    registry.promote(versions[0], forced=REASON)
    registry.promote(versions[1], evidence=better(versions[1], versions[0]))
    first, second = registry.history()
    assert (first.forced, first.evidence) == (REASON, None)
    assert (second.forced, second.evidence) == (None, better(versions[1], versions[0]))
    assert second.before == Standing(current=versions[0])
    assert second.by


def test_a_shadow_needs_to_beat_nobody(registry: Registry, versions: list[str]) -> None:
    registry.promote(versions[0], forced=REASON)
    registry.promote(versions[1], ModelRole.SHADOW)
    assert registry.standing() == Standing(current=versions[0], shadow=versions[1])
    assert (registry.root / "shadow").readlink() == Path(versions[1])


def test_a_canary_that_beat_the_champion_is_made_whole_without_new_evidence(
    registry: Registry, versions: list[str]
) -> None:
    first, second, _ = versions
    registry.promote(first, forced=REASON)
    registry.promote(second, ModelRole.CANARY, share=0.05, evidence=better(second, first))
    canary = registry.canary()
    assert canary is not None
    assert (canary.version, canary.share) == (second, 0.05)
    assert current(registry) == first
    registry.promote(second)
    assert registry.standing() == Standing(current=second)
    assert not (registry.root / CANARY).exists()


def test_a_canary_that_was_forced_must_beat_the_champion_to_be_made_whole(
    registry: Registry, versions: list[str]
) -> None:
    registry.promote(versions[0], forced=REASON)
    registry.promote(versions[1], ModelRole.CANARY, share=0.05, forced=REASON)
    with pytest.raises(NotPromoted, match="give --log"):
        registry.promote(versions[1])


def test_what_spoke_for_a_canary_does_not_speak_against_another_champion(
    registry: Registry, versions: list[str]
) -> None:
    first, second, third = versions
    registry.promote(first, forced=REASON)
    registry.promote(second, ModelRole.CANARY, share=0.05, evidence=better(second, first))
    registry.promote(third, forced=REASON)
    with pytest.raises(NotPromoted, match="give --log"):
        registry.promote(second)


@pytest.mark.parametrize("share", [None, 0.0, 1.0, -0.1, 5.0])
def test_a_canary_has_a_share(registry: Registry, versions: list[str], share: float | None) -> None:
    with pytest.raises(NotPromoted, match="share must be over 0 %"):
        registry.promote(versions[0], ModelRole.CANARY, share=share, forced=REASON)


@pytest.mark.parametrize("version", ["intent-unknown", "", "..", "../made", "current", "/"])
def test_only_what_is_in_the_registry_can_be_promoted(registry: Registry, versions: list[str], version: str) -> None:
    registry.promote(versions[0], forced=REASON)
    with pytest.raises(NotPromoted, match="has no version"):
        registry.promote(version, forced=REASON)
    with pytest.raises(NotPromoted, match="is the champion already"):
        registry.promote(versions[0], forced=REASON)
    assert current(registry) == versions[0]


def test_a_folder_with_another_models_name_is_not_promoted(registry: Registry, versions: list[str]) -> None:
    (registry.root / versions[0]).rename(registry.root / "mine")
    with pytest.raises(NotPromoted, match=f"says that it is {versions[0]}"):
        registry.promote("mine", forced=REASON)


def _half(folder: Path) -> None:
    (folder / MODEL).write_bytes((folder / MODEL).read_bytes()[:5000])


def _other_features(folder: Path) -> None:
    edit(folder, feature_hash="0" * 64)


def _golden(folder: Path) -> None:
    golden = Model.load(folder).manifest.golden
    edit(folder, golden=(*golden[:-1], type(golden[0])(row=golden[0].row, score=0.123)))


def _table(folder: Path) -> None:
    edit(folder, kind="table")


@pytest.mark.parametrize(
    ("harm", "misfit"),
    [
        (spoil, Misfit.CHANGED),
        (_half, Misfit.CHANGED),
        (_other_features, Misfit.FEATURES),
        (_table, Misfit.FEATURES),
        (_golden, Misfit.GOLDEN_ROWS),
        (lambda folder: (folder / MODEL).unlink(), Misfit.UNREADABLE),
        (lambda folder: (folder / MANIFEST).write_bytes(b"{}"), Misfit.UNREADABLE),
    ],
)
@pytest.mark.parametrize("role", [ModelRole.CURRENT, ModelRole.SHADOW, ModelRole.CANARY])
def test_what_does_not_load_is_never_promoted(
    registry: Registry, versions: list[str], harm: object, misfit: Misfit, role: ModelRole
) -> None:
    assert callable(harm)
    registry.promote(versions[0], forced=REASON)
    before = registry.history()
    harm(registry.root / versions[1])
    with pytest.raises(ModelRefused) as refused:
        registry.promote(versions[1], role, share=0.1, forced=REASON)
    assert refused.value.misfit is misfit
    assert registry.standing() == Standing(current=versions[0])
    assert registry.history() == before


def test_a_champion_that_does_not_load_can_only_be_replaced_by_force(registry: Registry, versions: list[str]) -> None:
    registry.promote(versions[0], forced=REASON)
    spoil(registry.root / versions[0])
    with pytest.raises(NotPromoted, match="the champion does not load"):
        registry.promote(versions[1], evidence=better(versions[1], versions[0]))
    registry.promote(versions[1], forced="the champion is broken")
    assert current(registry) == versions[1]


def test_rolling_back_undoes_one_promotion_after_the_other(registry: Registry, versions: list[str]) -> None:
    first, second, third = versions
    registry.promote(first, forced=REASON)
    registry.promote(second, ModelRole.SHADOW)
    registry.promote(third, ModelRole.CANARY, share=0.2, forced=REASON)
    registry.promote(third, forced=REASON)
    for standing in (
        {"current": first, "shadow": second, "canary": third},
        {"current": first, "shadow": second, "canary": None},
        {"current": first, "shadow": None, "canary": None},
        {"current": None, "shadow": None, "canary": None},
    ):
        registry.rollback()
        now = registry.standing()
        assert {"current": now.current, "shadow": now.shadow, "canary": now.canary and now.canary.version} == standing
    with pytest.raises(NotPromoted, match="nothing was promoted"):
        registry.rollback()
    registry.promote(first, forced=REASON)
    registry.promote(second, forced=REASON)
    registry.rollback()
    assert registry.champions() == [first, second, third, None]


def test_a_rollback_to_what_does_not_load_is_refused(registry: Registry, versions: list[str]) -> None:
    registry.promote(versions[0], forced=REASON)
    registry.promote(versions[1], forced=REASON)
    spoil(registry.root / versions[0])
    with pytest.raises(ModelRefused):
        registry.rollback()
    assert current(registry) == versions[1]


def test_a_folder_instead_of_a_pointer_serves_and_is_never_overwritten(registry: Registry, versions: list[str]) -> None:
    """Copies without links have one."""
    shutil.copytree(registry.root / versions[0], registry.root / "current")
    assert served_folder(ScoringSettings(models=registry.root)) == registry.root / "current"
    with pytest.raises(NotPromoted, match="is a folder, not a link"):
        registry.promote(versions[1], forced=REASON)
    assert registry.history() == []
    assert current(registry) == versions[0]


@pytest.mark.parametrize("content", [b"", b"{}", b'{"version":"../x","share":0.1}', b'{"version":"x","share":7}'])
def test_a_canary_that_can_not_be_followed_is_refused(registry: Registry, versions: list[str], content: bytes) -> None:
    (registry.root / CANARY).write_bytes(content)
    with pytest.raises(ModelRefused, match="promote"):
        registry.canary()
    registry.promote(versions[0], forced=REASON)
    assert registry.standing() == Standing(current=versions[0])


def test_a_broken_line_of_the_history_is_named(registry: Registry, versions: list[str]) -> None:
    registry.promote(versions[0], forced=REASON)
    with (registry.root / HISTORY).open("ab") as file:
        file.write(b"by hand\n")
    with pytest.raises(NotPromoted, match=r"history\.jsonl, line 2 is no entry"):
        registry.rollback()
    assert current(registry) == versions[0]


def test_a_crash_in_the_middle_of_a_change_leaves_a_champion_that_loads(
    registry: Registry, versions: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whichever of the system's calls is the last one."""

    class Crash(BaseException):
        pass

    real, left = {name: getattr(os, name) for name in ("fsync", "rename", "replace", "symlink", "unlink")}, 0

    def until(name: str) -> object:
        def call(*args: object, **kwargs: object) -> object:
            nonlocal left
            left -= 1
            if left < 0:
                raise Crash
            return real[name](*args, **kwargs)

        return call

    registry.promote(versions[0], forced=REASON)
    for name in real:
        monkeypatch.setattr(os, name, until(name))
    crashes = 0
    for allowed in range(20):
        left = allowed
        try:
            registry.promote(versions[1], forced=REASON)
        except Crash:
            crashes += 1
        else:
            left = 100
            registry.rollback()
        left = 100
        assert current(registry) in versions[:2]
        if current(registry) == versions[1]:
            registry.rollback()
        assert current(registry) == versions[0]
    assert 3 < crashes < 20


@settings(max_examples=25)
@given(
    steps=st.lists(st.tuples(st.sampled_from(["current", "shadow", "canary", "rollback", "spoil"]), st.integers(0, 2)))
)
def test_whatever_is_done_the_champion_loads(
    made: tuple[Path, list[str]], tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, int]]
) -> None:
    root, versions = made
    registry = Registry(Path(shutil.copytree(root, tmp_path_factory.mktemp("any") / "models")))
    for step, number in steps:
        version = versions[number]
        serving = registry.standing()
        in_use = {serving.current, serving.shadow, serving.canary and serving.canary.version}
        try:
            if step == "rollback":
                registry.rollback()
            elif step != "spoil":
                registry.promote(version, ModelRole(step), share=0.5, forced=REASON)
            elif version not in in_use:
                spoil(registry.root / version)
        except (ModelRefused, NotPromoted):
            assert registry.standing() == serving
        now = registry.standing()
        for one in (now.current, now.shadow, now.canary.version if now.canary else None):
            assert one is None or Model.load(registry.root / one).version == one

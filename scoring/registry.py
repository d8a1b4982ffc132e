"""The models of a shop: a folder of versions, and pointers that say which of them serve.

    models/
        intent-4986f8af6c82/            a version, as `scoring.manifest` describes it; never changed
        current -> intent-4986f8af6c82  the champion; without it the default model that ships with Ringback serves
        shadow -> intent-…              scores along, is only logged
        canary.json                     {"version": "intent-…", "share": 0.05}
        uplift -> uplift-…              what a call adds; see `scoring.uplift`
        history.jsonl                   who changed what, when and why: what a rollback undoes

A pointer is put in place by one rename, and only after the model that it names has been loaded here. Links are
relative, so that the folder means the same wherever it is mounted.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import msgspec

from ringback.errors import Misfit, ModelRefused, NotPromoted
from ringback.metrics import ModelRole
from ringback.scoring_settings import ScoringSettings
from scoring import promotions
from scoring.manifest import MANIFEST
from scoring.model import Model, default_model_folder
from scoring.promotions import Canary, Comparison, Entry, Standing
from scoring.uplift import Uplift, is_uplift, load_uplift

CANARY = "canary.json"
LOCK = ".lock"


_canary_decoder = msgspec.json.Decoder(Canary)


class Registry:
    """A folder of models. Reading never fails for a folder that is not there: then the default model serves."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def versions(self) -> list[str]:
        """The names of all folders with a manifest."""
        try:
            inside = sorted(self.root.iterdir())
        except OSError:
            return []
        folders = (one for one in inside if not one.is_symlink() and not one.name.startswith("."))
        return [one.name for one in folders if (one / MANIFEST).is_file()]

    def folder(self, version: str | None) -> Path:
        """The folder of a version; of None the default model's."""
        return default_model_folder() if version is None else self.root / version

    def standing(self) -> Standing:
        """What serves, by what the pointers say now. Raises `ModelRefused` for a canary.json that is none."""
        return msgspec.structs.replace(self._pointers(), canary=self.canary())

    def canary(self) -> Canary | None:
        """What canary.json says. Raises `ModelRefused` where it says nothing that can be followed."""
        file = self.root / CANARY
        try:
            canary = _canary_decoder.decode(file.read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, msgspec.MsgspecError) as error:
            raise ModelRefused(f"{file} can't be followed ({error}): promote the canary again, or delete it") from None
        if not 0.0 < canary.share < 1.0 or Path(canary.version).name != canary.version:
            raise ModelRefused(f"{file}: expected the name of a version and a share between 0 and 1: promote it again")
        return canary

    def history(self) -> list[Entry]:
        """All changes, oldest first. Raises `NotPromoted` where a line is none."""
        return promotions.history(self.root)

    def champions(self) -> list[str | None]:
        """Who is or was the champion by the history, the last one first; at the end None, the default model."""
        found: list[str | None] = []
        for entry in reversed(self.history()):
            found += [entry.after.current, entry.before.current]
        return [*dict.fromkeys(version for version in found if version is not None), None]

    def promote(
        self,
        version: str,
        role: ModelRole = ModelRole.CURRENT,
        share: float | None = None,
        evidence: Comparison | None = None,
        forced: str | None = None,
    ) -> Entry:
        """Have a version serve in a role; ``share`` is a canary's.

        An uplift model has its own role, whatever is asked for, and carries its evidence with it. Raises `ModelRefused`
        where the version does not load here, and `NotPromoted` where neither ``evidence`` against the present champion
        nor ``forced`` is given for a model that would act. A canary that passed needs no more evidence to be made the
        champion.
        """
        with self._locked():
            before = self._as_it_is()
            if isinstance(self.load(version), Uplift):
                role = ModelRole.UPLIFT
            after = _promoted(before, version, role, share)
            if role in (ModelRole.CURRENT, ModelRole.CANARY) and forced is None:
                evidence = evidence or self.evidence_of_canary(version)
                self._demand(version, evidence)
            return self._change("promote", role, version, before, after, forced, evidence)

    def rollback(self) -> Entry:
        """Undo the last promotion, of whatever kind, that was not undone yet.

        Raises `NotPromoted` where there is none, and `ModelRefused` where what would serve again does not load.
        """
        with self._locked():
            done: list[Entry] = []
            for entry in self.history():
                if entry.action == "promote":
                    done.append(entry)
                elif done:
                    done.pop()
            if not done:
                raise NotPromoted(f"{self.root}: nothing was promoted that is not undone already")
            last = done[-1]
            before = self._as_it_is()
            if last.before.current is None and before.current is not None:
                self.default()
            for version in _serving(last.before):
                if version is not None and version not in _serving(before):
                    self.load(version)
            return self._change("rollback", last.role, last.version, before, last.before)

    def champion(self) -> Model:
        """The champion, loaded. Raises `NotPromoted` where it does not load: nothing can be compared with it."""
        try:
            return Model.load(self.folder(self.pointed(ModelRole.CURRENT)))
        except ModelRefused as refused:
            raise NotPromoted(f"the champion does not load, so only --force REASON replaces it ({refused})") from None

    def default(self) -> Model:
        """The default model, loaded. Raises `ModelRefused`."""
        return Model.load(default_model_folder())

    def load(self, version: str) -> Model | Uplift:
        """Load and prove a version. Raises `NotPromoted` where there is none, `ModelRefused` where it does not fit."""
        if version not in self.versions():
            known = ", ".join(self.versions()) or "none"
            raise NotPromoted(f"{self.root} has no version {version!r}; it has: {known}")
        folder = self.folder(version)
        model = usable_uplift(folder) if is_uplift(folder) else Model.load(folder)
        if model.version != version:
            raise NotPromoted(f"{folder} says that it is {model.version}: give the folder that name")
        return model

    def intent(self, version: str) -> Model:
        """`load` an intent model; what is of another kind is refused with `NotPromoted`."""
        model = self.load(version)
        if not isinstance(model, Model):
            raise NotPromoted(f"{version} is an uplift model, which carries its own evidence: promote it without --log")
        return model

    def evidence_of_canary(self, version: str) -> Comparison | None:
        """What spoke for the version that is the canary now, if it spoke against the present champion."""
        canary = self.canary()
        if canary is None or canary.version != version:
            return None
        champion = self.champion().version
        for entry in reversed(self.history()):
            found = entry.evidence
            if entry.role is ModelRole.CANARY and entry.version == version and found is not None:
                return found if found.champion == champion else None
        return None

    def _as_it_is(self) -> Standing:
        """What serves now; a canary.json that is none counts as no canary."""
        try:
            return self.standing()
        except ModelRefused:
            return self._pointers()

    def _pointers(self) -> Standing:
        return Standing(
            current=self.pointed(ModelRole.CURRENT),
            shadow=self.pointed(ModelRole.SHADOW),
            uplift=self.pointed(ModelRole.UPLIFT),
        )

    def _demand(self, version: str, evidence: Comparison | None) -> None:
        champion = self.champion().version
        if evidence is None:
            raise NotPromoted(
                f"nothing says that {version} is better than {champion}: give --log with carts that neither was "
                "trained on, so that both are judged on them, or --force REASON"
            )
        if (evidence.challenger, evidence.champion) != (version, champion):
            raise NotPromoted(
                f"the evidence is on {evidence.challenger} against {evidence.champion}, and the champion is {champion} "
                "now: judge again"
            )
        if not evidence.is_better:
            low, middle, high = evidence.better_by
            raise NotPromoted(
                f"{version} is not shown to be better than {champion}: its log-loss is less by {middle:.5f} (95 % "
                f"interval {low:.5f} to {high:.5f}) on {evidence.rows:,} rows; give more data, train again, or "
                "--force REASON"
            )

    def pointed(self, role: Literal[ModelRole.CURRENT, ModelRole.SHADOW, ModelRole.UPLIFT]) -> str | None:
        """What a pointer says: the name of a version, or a path that somebody put there by hand."""
        pointer = self.root / role.value
        if not pointer.is_symlink():
            # A copy without links has a folder here, which serves as well.
            return role.value if pointer.is_dir() else None
        return str(pointer.readlink())

    def _change(
        self,
        action: Literal["promote", "rollback"],
        role: ModelRole,
        version: str | None,
        before: Standing,
        after: Standing,
        forced: str | None = None,
        evidence: Comparison | None = None,
    ) -> Entry:
        pointed = {
            ModelRole.CURRENT: after.current,
            ModelRole.SHADOW: after.shadow,
            ModelRole.UPLIFT: after.uplift,
        }
        for pointer in (self.root / one.value for one in pointed):
            if pointer.is_dir() and not pointer.is_symlink():
                raise NotPromoted(f"{pointer} is a folder, not a link: move it to {self.root}/<its version> first")
        entry = Entry(
            at=promotions.now(),
            by=promotions.who(),
            action=action,
            role=role,
            version=version,
            before=before,
            after=after,
            forced=forced,
            evidence=evidence,
        )
        # The history first: after a crash a rollback finds what it would undo, and undoing it again changes nothing.
        promotions.note(self.root, entry)
        for one, name in pointed.items():
            self._point(one, name)
        if after.canary is None:
            (self.root / CANARY).unlink(missing_ok=True)
        else:
            promotions.write(self.root / CANARY, msgspec.json.encode(after.canary) + b"\n")
        _sync(self.root)
        return entry

    def _point(self, role: ModelRole, version: str | None) -> None:
        pointer = self.root / role.value
        if version is None:
            pointer.unlink(missing_ok=True)
            return
        if pointer.is_symlink() and str(pointer.readlink()) == version:
            return
        unfinished = self.root / f".{role.value}.new"
        unfinished.unlink(missing_ok=True)
        unfinished.symlink_to(version)
        unfinished.replace(pointer)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """One change at a time."""
        if not self.root.is_dir():
            raise NotPromoted(f"{self.root} is no folder: train into it first, or set scoring.models to the right one")
        with (self.root / LOCK).open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def served_folder(settings: ScoringSettings) -> Path:
    """The folder of the model that a worker with these settings serves."""
    if settings.model is not None:
        return settings.model
    registry = Registry(settings.models)
    return registry.folder(registry.pointed(ModelRole.CURRENT))


def usable_uplift(folder: Path) -> Uplift:
    """An uplift model that may decide. Raises `ModelRefused`."""
    model = load_uplift(folder)
    if model is None:
        raise ModelRefused(f"{folder}: the uplift model's interval does not clear zero", Misfit.UNPROVEN)
    return model


def _promoted(before: Standing, version: str, role: ModelRole, share: float | None) -> Standing:
    if role is ModelRole.UPLIFT:
        return msgspec.structs.replace(before, uplift=version)
    if before.current == version:
        raise NotPromoted(f"{version} is the champion already")
    if role is ModelRole.SHADOW:
        return msgspec.structs.replace(before, shadow=version)
    if role is ModelRole.CANARY:
        if share is None or not 0.0 < share < 1.0:
            raise NotPromoted(f"a canary's share must be over 0 % and under 100 %, not {share}")
        return msgspec.structs.replace(before, canary=Canary(version=version, share=share))
    canary = before.canary if before.canary is not None and before.canary.version != version else None
    shadow = before.shadow if before.shadow != version else None
    return msgspec.structs.replace(before, current=version, shadow=shadow, canary=canary)


def _serving(standing: Standing) -> list[str | None]:
    """The versions that act or score, of which each must load."""
    others = (standing.shadow, standing.canary.version if standing.canary else None, standing.uplift)
    return [standing.current, *(version for version in others if version is not None)]


def _sync(folder: Path) -> None:
    """Make renames in a folder outlive a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)

"""Serves the models that the registry names: champion, canary, a shadow that is only logged, an uplift model.

A thread looks at the pointers, loads and proves what is new, and swaps one reference between two scores: a score is
given by one model, whole, and none waits for another model to be read. LightGBM reads a model without Python's lock.
"""

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from hashlib import blake2b
from pathlib import Path
from typing import TypeVar

from ringback.errors import Misfit, ModelRefused, NotPromoted
from ringback.metrics import ModelRole, StreamMetrics
from ringback.scoring_settings import ScoringSettings
from scoring.model import Model, Served
from scoring.promotions import HISTORY
from scoring.registry import CANARY, Registry, usable_uplift
from scoring.uplift import Uplift

log = logging.getLogger(__name__)

SLOTS = 10_000
STOP_SECONDS = 10.0
# What files look like from outside: other inodes, times or sizes mean that something else was put there.
Look = tuple[tuple[str, int, int, int], ...]
AnyModel = Model | Uplift
M = TypeVar("M", bound=AnyModel)


@dataclass(frozen=True, slots=True)
class Live:
    """The models in use. Never changed: another one takes its place. ``share`` is the canary's."""

    current: Model
    shadow: Model | None = None
    canary: Model | None = None
    share: float = 0.0
    uplift: Uplift | None = None

    def of(self, role: ModelRole) -> Model | Uplift | None:
        """The model in a role."""
        return {
            ModelRole.CURRENT: self.current,
            ModelRole.SHADOW: self.shadow,
            ModelRole.CANARY: self.canary,
            ModelRole.UPLIFT: self.uplift,
        }[role]

    def changed(self, role: ModelRole, model: Model | Uplift | None, share: float = 0.0) -> "Live":
        """The same with another model in a role; there is always a current one."""
        if role is ModelRole.UPLIFT:
            return replace(self, uplift=model if isinstance(model, Uplift) else None)
        intent = model if isinstance(model, Model) else None
        if role is ModelRole.SHADOW:
            return replace(self, shadow=intent)
        if role is ModelRole.CANARY:
            return replace(self, canary=intent, share=share)
        return replace(self, current=intent or self.current)


def in_canary(shopper_id: str, share: float) -> bool:
    """Whether a shopper is among the canary's.

    Whoever is so at 5 % is so at 20 % too. The draw is another one than the holdout's.
    """
    draw = blake2b(shopper_id.encode(), digest_size=8, person=b"ringback.canary").digest()
    return int.from_bytes(draw, "big") % SLOTS < share * SLOTS


class Serving:
    """The models in use, as `stream.partition.Scorer` wants them. Scores are asked for from one thread."""

    def __init__(self, current: Model, registry: Registry, metrics: StreamMetrics) -> None:
        self._live = Live(current)
        self._registry = registry
        self._metrics = metrics
        # By role, what was looked at last, whether it was taken or refused.
        self._seen: dict[ModelRole, Look] = {}
        # Freed by the thread that looks, some time after their last use: freeing a model takes milliseconds.
        self._retired: list[Live] = []
        self._swapping = threading.Lock()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._trouble = ""
        self._said: dict[ModelRole, str] = {}
        self._say()

    @classmethod
    def start(cls, settings: ScoringSettings, metrics: StreamMetrics) -> "Serving":
        """Serve what the settings name: a fixed model, or what the registry says at any time until `stop`.

        Where the registry's champion does not load, the last one before it that does serves in its place, at last the
        default model. Raises `ModelRefused` for a fixed model that does not load, or when none does.
        """
        registry = Registry(settings.models)
        if settings.model is not None:
            return cls(Model.load(settings.model), registry, metrics)
        look = _look(registry.folder(registry.pointed(ModelRole.CURRENT)))
        serving = cls(_first(registry, metrics), registry, metrics)
        serving._seen[ModelRole.CURRENT] = look
        serving.look()
        serving._thread = threading.Thread(target=serving._watch, args=(settings.watch_every,), name="models")
        serving._thread.daemon = True
        serving._thread.start()
        return serving

    def stop(self) -> None:
        """End the thread that looks."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(STOP_SECONDS)

    @property
    def live(self) -> Live:
        """The models in use at this moment."""
        return self._live

    def score(self, row: Sequence[float]) -> float:
        """The champion's probability for one row."""
        return self._live.current.score(row)

    def judge(self, shopper_id: str, row: Sequence[float]) -> Served:
        """The score to be acted on, the canary's for its shoppers; and what shadow and uplift model say beside it.

        Any of these that fails is set aside until another one is put in its place; the champion answers.
        """
        live = self._live
        model, score = live.current, None
        if live.canary is not None and in_canary(shopper_id, live.share):
            score = self._tried(ModelRole.CANARY, live.canary, row)
            model = live.current if score is None else live.canary
        if score is None:
            score = live.current.score(row)
        uplift = None if live.uplift is None else self._tried(ModelRole.UPLIFT, live.uplift, row)
        shadow_score = None if live.shadow is None else self._tried(ModelRole.SHADOW, live.shadow, row)
        shadow_version = live.shadow.version if live.shadow is not None and shadow_score is not None else None
        return Served(score, model.version, shadow_version, shadow_score, uplift, model)

    def look(self) -> None:
        """Take what was put in place since the last look; what does not fit is refused, counted and logged once."""
        self._retired.clear()
        root, pointed = self._registry.root, self._registry.pointed(ModelRole.CURRENT)
        # A folder without pointer and history says nothing: it may be a volume that is not mounted.
        if pointed is not None or (root / HISTORY).exists():
            folder = self._registry.folder(pointed)
            self._take(ModelRole.CURRENT, _look(folder), partial(Model.load, folder))
        if (shadow := self._registry.pointed(ModelRole.SHADOW)) is None:
            self._take(ModelRole.SHADOW, (), None)
        else:
            folder = self._registry.folder(shadow)
            self._take(ModelRole.SHADOW, _look(folder), partial(Model.load, folder))
        if (uplift := self._registry.pointed(ModelRole.UPLIFT)) is None:
            self._take(ModelRole.UPLIFT, (), None)
        else:
            folder = self._registry.folder(uplift)
            self._take(ModelRole.UPLIFT, _look(folder), partial(usable_uplift, folder))
        self._look_at_canary((_seen(root / CANARY),))

    def _look_at_canary(self, look: Look) -> None:
        try:
            canary = self._registry.canary()
        except ModelRefused as refused:
            self._take(ModelRole.CANARY, look, partial(_refuse, refused))
            return
        if canary is None:
            self._take(ModelRole.CANARY, (), None)
        else:
            folder = self._registry.folder(canary.version)
            self._take(ModelRole.CANARY, (*look, *_look(folder)), partial(Model.load, folder), canary.share)

    def _take(self, role: ModelRole, look: Look, load: Callable[[], AnyModel] | None, share: float = 0.0) -> None:
        if self._seen.get(role, ()) == look:
            return
        self._seen[role] = look
        model = _loaded(role, load, self._metrics) if load is not None else None
        if model is None and role is ModelRole.CURRENT:
            log.error("%s goes on as current model", self._live.current.version)
            return
        before = self._swap(role, model, share)
        names = [one.version if one is not None else "none" for one in (model, before)]
        for_some = f" for {share:.1%} of the shoppers" if model is not None and share else ""
        log.info("%s model: %s%s, until now %s", role.value, names[0], for_some, names[1])

    def _swap(self, role: ModelRole, model: AnyModel | None, share: float = 0.0) -> AnyModel | None:
        """Put a model in place between two scores; the one before it."""
        with self._swapping:
            before = self._live
            self._retired.append(before)
            self._live = before.changed(role, model, share)
            self._say()
        return before.of(role)

    def _tried(self, role: ModelRole, model: AnyModel, row: Sequence[float]) -> float | None:
        """A score, or None where the model fails: it is set aside then."""
        try:
            score = model.score(row)
            if (-1.0 if role is ModelRole.UPLIFT else 0.0) <= score <= 1.0:
                return score
            problem = f"a score of {score!r}"
        except Exception as error:  # noqa: BLE001 - whatever it is, it must not stop those whom the champion serves
            problem = repr(error)
        log.error("the %s model %s is set aside: %s", role.value, model.version, problem)
        self._metrics.model_failures.labels(role.value).inc()
        if self._live.of(role) is model:
            self._swap(role, None)
        return None

    def _say(self) -> None:
        info = self._metrics.model_info
        for role in ModelRole:
            model = self._live.of(role)
            said = self._said.pop(role, None)
            if model is not None:
                info.labels(role.value, model.version).set(1)
                self._said[role] = model.version
            if said is not None and (model is None or model.version != said):
                info.remove(role.value, said)

    def _watch(self, every: float) -> None:
        while not self._stopping.wait(every):
            try:
                self.look()
            except Exception as error:  # noqa: BLE001 - the models in use go on, and the next look may find all well
                if self._trouble != repr(error):
                    log.error("the models in %s can't be looked at: %r", self._registry.root, error)  # noqa: TRY400 - once
                self._trouble = repr(error)
            else:
                self._trouble = ""


def _look(folder: Path) -> Look:
    """What a model's folder looks like. A report may be written into it at any time: it is not the model."""
    try:
        files = sorted(file for file in folder.iterdir() if file.suffix in (".json", ".txt"))
    except OSError:
        files = []
    return tuple(_seen(file) for file in files or [folder])


def _seen(file: Path) -> tuple[str, int, int, int]:
    try:
        status = file.stat()
    except OSError:
        return (str(file), 0, 0, 0)
    return (str(file), status.st_ino, status.st_mtime_ns, status.st_size)


def _first(registry: Registry, metrics: StreamMetrics) -> Model:
    try:
        champions = registry.champions()
    except NotPromoted as broken:
        log.warning("who was the champion before can't be told: %s", broken)
        champions = [None]
    pointed = registry.pointed(ModelRole.CURRENT)
    for version in dict.fromkeys([pointed, *champions]):
        folder = registry.folder(version)
        model = _loaded(ModelRole.CURRENT, partial(Model.load, folder), metrics)
        if model is not None:
            if version != pointed:
                log.warning("%s serves in place of %s until another model is promoted", model.version, pointed)
            return model
    raise ModelRefused(f"no model loads, neither of {registry.root} nor the default one: train one and promote it")


def _refuse(refused: ModelRefused) -> Model:
    raise refused


def _loaded(role: ModelRole, load: Callable[[], M], metrics: StreamMetrics) -> M | None:
    """What ``load`` returns; None, a metric and a line in the log where it is refused."""
    try:
        return load()
    except ModelRefused as refused:
        misfit, why = refused.misfit, str(refused)
    except Exception as error:  # noqa: BLE001 - a model of whoever wrote into the folder must not end the worker
        misfit, why = Misfit.UNEXPECTED, repr(error)
    metrics.model_refused.labels(misfit.value).inc()
    log.error("refused as %s model: %s", role.value, why)
    return None

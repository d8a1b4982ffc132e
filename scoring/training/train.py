"""Trains a model on rows with labels, and writes its folder. The same rows and seed give the same model.

The model that is written is the one that was tested: no test row, and no row of a tested shopper, is in it.
"""

import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path

import lightgbm
import msgspec
import numpy as np
from numpy.typing import NDArray

import ringback
from ringback.scoring_settings import ScoringSettings
from scoring.calibration import CALIBRATION
from scoring.data.split import Split, split
from scoring.dataset import Dataset, Mask
from scoring.drift.psi import reference
from scoring.errors import TrainingError
from scoring.features import feature_hash
from scoring.judging.metrics import Ranking, bootstrap, calibration_bins, evaluate
from scoring.manifest import MANIFEST, MODEL, GoldenRow, Manifest, ReliabilityBin, SplitReport, columns_hash, sha256
from scoring.training.fit import Fitted, fit_recipe, predict
from scoring.training.leaks import LeakFound, Trees, ceiling, findings, telling_columns

GOLDEN_ROWS = 8
REPORT = "report.html"
TOP_SHARES = {"top_10": 0.1, "top_30": 0.3}

Floats = NDArray[np.float64]
Progress = Callable[[str, int, int], None]
"""Told what is being done, and how many of how many steps of it are done."""


@dataclass(frozen=True, slots=True)
class Options:
    """How to train. ``gap`` is the silence, in seconds, after which a log's cart was due.

    ``champion`` is the manifest of the model in use. ``report`` asks for report.html, which needs the extra ``train``.
    """

    seed: int = 7
    gap: float | None = None
    champion: Manifest | None = None
    settings: ScoringSettings = field(default_factory=ScoringSettings)
    report: bool = False


def train(
    data: Dataset, out: Path, options: Options | None = None, progress: Progress | None = None, *, exactly: bool = False
) -> Manifest:
    """Train, and write the folder ``out``/<version>, or, ``exactly``, ``out`` itself.

    Nothing is written before the model has passed the leak gate. The folder appears whole, by one rename; where there
    is one already, its files are replaced one by one, the manifest last.

    Raises `TrainingError` where there are too few rows of either label, and `LeakFound` for data that is too good.
    """
    options = options or Options()
    tell = progress or (lambda _what, _done, _of: None)
    division = split(data)
    _refuse_poor(data, division)
    if leaks := telling_columns(data, division.train, options.settings):
        raise LeakFound(data.source.name, leaks)
    fitted = fit_recipe(
        data,
        division.train,
        options.seed,
        served=data.kind == "log",
        progress=lambda done, of: tell("fitting", done, of),
    )
    scores = predict(fitted, data.vectors)
    tell("checking for leaks", 0, 1)
    leaks = findings(
        data,
        division.train,
        division.test,
        scores,
        options.settings,
        Trees(float(np.mean(fitted.iterations)), int(division.train.sum())),
        _trees(options.champion, data),
    )
    tell("checking for leaks", 1, 1)
    if leaks:
        raise LeakFound(data.source.name, leaks)
    tell("judging", 0, 1)
    manifest = _manifest(data, division, fitted, scores, options)
    _write(out if exactly else out / manifest.version, manifest, fitted, data, division, report=options.report)
    tell("judging", 1, 1)
    return manifest


def _refuse_poor(data: Dataset, division: Split) -> None:
    for name, part in (("training", division.train), ("the test", division.test)):
        bought, rows = int(data.labels[part].sum()), int(part.sum())
        if bought in (0, rows):
            source, span = data.source, ""
            if source.first is not None and source.last is not None:
                span = f" over {(source.last - source.first) / 3600:.1f} hours"
            raise TrainingError(
                f"{bought} of {rows} rows for {name} have a purchase after them: both kinds are needed. "
                f"{source.name} has {source.events} {'events' if data.kind == 'log' else 'rows'} "
                f"of {source.shoppers} shoppers{span}; give more, or a shorter horizon"
            )


def _trees(champion: Manifest | None, data: Dataset) -> Trees | None:
    """What the model in use wanted, where it is of the same features."""
    names = tuple(column.name for column in data.columns)
    if champion is None or not champion.best_iterations or champion.features != names:
        return None
    return Trees(float(np.mean(champion.best_iterations)), champion.split.train)


def _manifest(data: Dataset, division: Split, fitted: Fitted, scores: Floats, options: Options) -> Manifest:
    files = _files(fitted)
    slices = {"all": division.test} | ({} if data.due is None else {"due": division.test & data.due})
    metrics = {name: evaluate(data.labels[part], scores[part]) for name, part in slices.items()}
    used = division.train | division.test
    return Manifest(
        version=f"intent-{sha256(b''.join(files.values()))[:12]}",
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        kind=data.kind,
        features=tuple(column.name for column in data.columns),
        columns=data.columns,
        feature_hash=feature_hash() if data.kind == "log" else columns_hash(data.columns),
        files={name: sha256(content) for name, content in files.items()},
        data=data.source,
        table=data.table,
        horizon=data.horizon,
        gap=options.gap,
        rows=len(data),
        base_rate=float(data.labels.mean()),
        split=SplitReport(
            kind=division.kind,
            train=int(division.train.sum()),
            stop=int(fitted.held_out.sum()),
            test=int(division.test.sum()),
            folds=len(fitted.iterations),
            left_out=int((~used).sum()),
            boundary=division.boundary,
            embargo=division.embargo,
        ),
        metrics={name: found for name, found in metrics.items() if found is not None},
        intervals={name: _intervals(data, part, scores, options.seed) for name, part in slices.items() if part.any()},
        reliability=_reliability(data.labels[division.test], scores[division.test]),
        thresholds={name: float(np.quantile(scores[division.test], 1.0 - share)) for name, share in TOP_SHARES.items()},
        calibration=fitted.calibration,
        leak_ceiling=ceiling(data.source.name, options.settings),
        reference=reference(data.take(division.train), scores[division.train]),
        parent=None if options.champion is None else options.champion.version,
        trees=lightgbm.Booster(model_str=fitted.text).num_trees(),
        best_iterations=fitted.iterations,
        parameters=fitted.parameters,
        lightgbm=lightgbm.__version__,
        code=_code(),
        seed=options.seed,
        golden=_golden(data, division.test, scores),
    )


def _intervals(data: Dataset, part: Mask, scores: Floats, seed: int) -> dict[str, tuple[float, float]]:
    return bootstrap(data.labels[part], scores[part], None if data.groups is None else data.groups[part], seed)


def _reliability(labels: Mask, scores: Floats) -> tuple[ReliabilityBin, ...]:
    bins = zip(*calibration_bins(Ranking(labels, scores).gains()), strict=True)
    return tuple(
        ReliabilityBin(rows=round(rows), score=float(said), outcome=float(came))
        for rows, said, came in reversed([*bins])
    )


def _golden(data: Dataset, test: Mask, scores: Floats) -> tuple[GoldenRow, ...]:
    rows = np.flatnonzero(test)
    chosen = rows[np.linspace(0, len(rows) - 1, min(GOLDEN_ROWS, len(rows)), dtype=np.int64)]
    return tuple(
        GoldenRow(
            row=tuple(None if np.isnan(number) else float(number) for number in data.vectors[row]),
            score=float(scores[row]),
        )
        for row in chosen
    )


def _code() -> str:
    """Ringback's version, and the commit where it runs from a git checkout."""
    git = Path(ringback.__file__).parents[1] / ".git"
    try:
        head = (git / "HEAD").read_text().strip()
        commit = (git / head.removeprefix("ref: ")).read_text().strip() if head.startswith("ref: ") else head
    except OSError:
        return ringback.__version__
    return f"{ringback.__version__}+{commit[:12]}"


def _files(fitted: Fitted) -> dict[str, bytes]:
    return {MODEL: fitted.text.encode(), CALIBRATION: _pretty(fitted.calibration)}


def _pretty(record: msgspec.Struct) -> bytes:
    return msgspec.json.format(msgspec.json.encode(record), indent=2) + b"\n"


def _write(folder: Path, manifest: Manifest, fitted: Fitted, data: Dataset, division: Split, *, report: bool) -> None:
    """The folder, prepared beside its place. An old report does not stay with a new model."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".training-", dir=folder.parent) as temporary:
        unfinished = Path(temporary) / "model"
        unfinished.mkdir()
        for name, content in {**_files(fitted), MANIFEST: _pretty(manifest)}.items():
            (unfinished / name).write_bytes(content)
        if report and find_spec("matplotlib") is not None:
            _report(unfinished, data, division)
        if not folder.exists():
            unfinished.rename(folder)
            return
        (folder / REPORT).unlink(missing_ok=True)
        for file in sorted(unfinished.iterdir(), key=lambda file: file.name == MANIFEST):
            file.replace(folder / file.name)


def _report(folder: Path, data: Dataset, division: Split) -> None:
    # Matplotlib is of the extra "train".
    from scoring.judging import judge, report  # noqa: PLC0415 - see above
    from scoring.model import Model  # noqa: PLC0415 - see above

    model = Model.load(folder, kind=None)
    report.write(folder / REPORT, model, judge.judge(model, data, division.train, division.test))

"""The leak gate: signs that training data tells more than serving will know. Too good is refused, not celebrated."""

from dataclasses import dataclass
from fnmatch import fnmatchcase

import numpy as np
from numpy.typing import NDArray

from ringback.scoring_settings import ScoringSettings
from scoring.dataset import Dataset, Mask
from scoring.errors import TrainingError
from scoring.judging.metrics import auc, bootstrap

Floats = NDArray[np.float64]

SIGNIFICANT_DIGITS = 5
# A row with more twins is no copy but a common case, such as one look and one thing in the cart.
MOST_TWINS = 10
LEAST_COPIES = 20
LEAST_COPIED_SHARE = 0.01
STANDARD_ERRORS = 5.0
# A column of this many different values is fine-grained: two rows rarely agree in it by chance.
FINE_GRAINED = 100


@dataclass(frozen=True, slots=True)
class Leak:
    """One sign of a leak. ``kind``: auc, feature, copies or iterations; ``said`` is what was found and what to do."""

    kind: str
    said: str


class LeakFound(TrainingError):
    """Data that is too good to be true; ``leaks`` are what gave it away."""

    def __init__(self, name: str, leaks: list[Leak]) -> None:
        super().__init__(f"{name}: refused as leaking the label. " + " ".join(leak.said for leak in leaks))
        self.leaks = tuple(leaks)


@dataclass(frozen=True, slots=True)
class Trees:
    """How many trees a model wanted, by early stopping, and on how many rows."""

    wanted: float
    rows: int


def ceiling(name: str, settings: ScoringSettings) -> float:
    """The highest AUC that is believed of a data set, by the first pattern that fits its name."""
    lowered = name.lower()
    found = (limit for pattern, limit in settings.auc_ceilings.items() if fnmatchcase(lowered, pattern.lower()))
    return next(found, settings.auc_ceiling)


def findings(
    data: Dataset,
    train: Mask,
    test: Mask,
    scores: Floats,
    settings: ScoringSettings,
    trees: Trees,
    champion: Trees | None = None,
) -> list[Leak]:
    """What a model gives away; ``scores`` are its probabilities of all rows."""
    return [
        *_too_good(data, test, scores, ceiling(data.source.name, settings)),
        *_copies(data, train, test, scores),
        *_jump(trees, champion, settings),
    ]


def _too_good(data: Dataset, test: Mask, scores: Floats, limit: float) -> list[Leak]:
    found = auc(data.labels[test], scores[test])
    if found <= limit:
        return []
    groups = None if data.groups is None else data.groups[test]
    # Of few rows a good AUC may be luck.
    low, high = bootstrap(data.labels[test], scores[test], groups).get("auc", (0.0, 1.0))
    if low <= limit:
        return []
    return [
        Leak(
            "auc",
            f"AUC {found:.3f} on the test rows ({low:.3f} to {high:.3f}) is over {limit:.3f}, the ceiling for "
            f"{data.source.name}: look for columns that are known only after the fact, such as totals of the whole "
            "session; if the data is honest, raise scoring.auc_ceilings for it.",
        )
    ]


def telling_columns(data: Dataset, train: Mask, settings: ScoringSettings) -> list[Leak]:
    """Columns that are the label by themselves, which needs no model to see."""
    labels, limit = data.labels[train], settings.feature_auc_ceiling
    found = []
    for column, values in zip(data.columns, data.vectors[train].T, strict=True):
        alone = column_auc(values, labels, categories=column.kind == "category")
        if alone > limit:
            found.append(
                Leak("feature", f"Column {column.name} alone has AUC {alone:.3f} (limit {limit:.3f}): it is the label.")
            )
    return found


def column_auc(values: Floats, labels: Mask, *, categories: bool = False) -> float:
    """How well one column alone ranks the rows, at least 0.5: rising or falling, missing values first, last or apart.

    Categories are ranked by the share of positives in the other half of the rows.
    """
    missing = np.isnan(values)
    if categories:
        values = _rates(np.where(missing, -1.0, values), labels)
        missing = np.zeros_like(missing)
    finite = np.nan_to_num(values, nan=0.0, posinf=np.finfo(float).max, neginf=np.finfo(float).min)
    ranks = np.unique(finite, return_inverse=True)[1].astype(np.float64) + 1.0
    views = [ranks]
    if missing.any():
        views = [np.where(missing, 0.0, ranks), np.where(missing, ranks.max() + 1.0, ranks), missing.astype(np.float64)]
    return max(max(one, 1.0 - one) for one in (auc(labels, view) for view in views))


def _rates(codes: Floats, labels: Mask) -> Floats:
    """For each row, the share of positives of its category in the half of the rows that it is not in."""
    place = np.unique(codes, return_inverse=True)[1]
    half = np.arange(len(codes)) % 2 == 0
    rates = np.empty(len(codes))
    for mine in (half, ~half):
        counts = np.bincount(place[~mine], minlength=place.max() + 1)
        positives = np.bincount(place[~mine], weights=labels[~mine], minlength=place.max() + 1)
        rates[mine] = ((positives + labels.mean()) / (counts + 1.0))[place[mine]]
    return rates


def _copies(data: Dataset, train: Mask, test: Mask, scores: Floats) -> list[Leak]:
    """Test rows with a twin in training whose label agrees more often than the twins of honest rows would.

    Small whole numbers make honest twins: two shoppers who both looked once and put one thing into the cart. Their
    labels agree as often as two draws with the model's probability do. Copies always agree.
    """
    fine = np.array([len(np.unique(values[~np.isnan(values)])) >= FINE_GRAINED for values in data.vectors.T])
    # Copies may differ where something was counted anew: the fine-grained columns alone can give them away.
    views = [np.ones(len(fine), dtype=np.bool_)] + ([fine] if 2 <= fine.sum() < len(fine) else [])
    for columns in views:
        copied = _copied(data.vectors[:, columns], data.labels, train, test, scores)
        if copied >= max(LEAST_COPIES, LEAST_COPIED_SHARE * test.sum()):
            return [
                Leak(
                    "copies",
                    f"About {copied:,.0f} of {int(test.sum()):,} test rows are copies of training rows: their vectors "
                    "are equal, and their labels agree more often than chance explains. Take duplicates out, and give "
                    "--group, so that a shopper's rows stay together.",
                )
            ]
    return []


def _copied(vectors: Floats, labels: Mask, train: Mask, test: Mask, scores: Floats) -> float:
    """About how many test rows are copies, 0 where the agreement of twins may be chance."""
    cell = np.unique(_fingerprints(vectors), return_inverse=True)[1]
    size = np.bincount(cell[train], minlength=cell.max() + 1)
    positives = np.bincount(cell[train], weights=labels[train], minlength=len(size))
    rows = np.flatnonzero(test)
    rows = rows[(size[cell[rows]] > 0) & (size[cell[rows]] <= MOST_TWINS)]
    if not len(rows):
        return 0.0
    share = positives[cell[rows]] / size[cell[rows]]
    agreed = np.where(labels[rows], share, 1.0 - share)
    chance = scores[rows] ** 2 + (1.0 - scores[rows]) ** 2
    excess = float((agreed - chance).mean())
    error = float(np.sqrt((chance * (1.0 - chance)).sum())) / len(rows)
    if excess <= STANDARD_ERRORS * error:
        return 0.0
    return excess / float((1.0 - chance).mean()) * len(rows)


def _fingerprints(vectors: Floats) -> NDArray[np.uint64]:
    """A number for each row, equal for rows that are equal when rounded."""
    found = np.zeros(len(vectors), dtype=np.uint64)
    for values in vectors.T:
        mixed = (found ^ _rounded(values).view(np.uint64)) * np.uint64(0x9E3779B97F4A7C15)
        found = mixed ^ (mixed >> np.uint64(29))
    return found


def _rounded(values: Floats) -> Floats:
    """Each number to five significant digits; all missing ones alike, and both zeros."""
    known = np.where(np.isfinite(values) & (values != 0.0), np.abs(values), 1.0)
    scale = 10.0 ** (SIGNIFICANT_DIGITS - 1 - np.floor(np.log10(known)))
    return np.where(np.isnan(values), np.inf, np.round(values * scale) / scale + 0.0)


def _jump(trees: Trees, champion: Trees | None, settings: ScoringSettings) -> list[Leak]:
    limit, reason = settings.most_trees, "scoring.most_trees"
    if champion is not None:
        growth = max(1.0, trees.rows / max(champion.rows, 1)) ** 0.5
        limit = min(limit, round(settings.trees_jump * max(champion.wanted, 100.0) * growth))
        reason = f"{settings.trees_jump:g} times the champion's {champion.wanted:.0f}, for {trees.rows:,} rows"
    if trees.wanted <= limit:
        return []
    return [
        Leak(
            "iterations",
            f"Early stopping wanted {trees.wanted:.0f} trees, over {limit} ({reason}): so many are learnt where a "
            "column is the label, or rows to stop by are copies of training rows. Look for both.",
        )
    ]

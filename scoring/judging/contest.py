"""A challenger against the champion, on rows that neither of them was trained on."""

from collections.abc import Iterable

import numpy as np

from ringback.errors import NotPromoted
from scoring.data.split import LEAST_POSITIVES, grouped
from scoring.dataset import Dataset, Mask
from scoring.judging.judge import compare_scores, held_out, predict
from scoring.manifest import Manifest
from scoring.model import Model
from scoring.promotions import Comparison


def contest(challenger: Model, champion: Model, data: Dataset, trained: Iterable[Manifest]) -> Comparison:
    """Judge both on the rows of a log that none of the models ``trained`` has seen.

    Raises `NotPromoted` where such rows are too few, or the two models' horizons differ, and `TrainingError` where the
    data is a model's own and can't be divided again as it was then.
    """
    horizons = [model.manifest.horizon for model in (challenger, champion)]
    if horizons[0] != horizons[1]:
        raise NotPromoted(
            f"{challenger.version} foretells a purchase within {horizons[0]} s and {champion.version} within "
            f"{horizons[1]} s: their scores mean different things; train with the same --horizon, or --force REASON"
        )
    rows = data.take(unseen(data, trained))
    buyers, others = int(rows.labels.sum()), int((~rows.labels).sum())
    if min(buyers, others) < LEAST_POSITIVES:
        raise NotPromoted(
            f"{data.source.name}: of its {len(data):,} rows {len(rows):,} are new to the models, {buyers:,} with "
            f"a purchase; {LEAST_POSITIVES} with and without one are needed: give a log that goes on after the one for "
            "training"
        )
    compared = compare_scores(
        (challenger.version, predict(challenger, rows)),
        (champion.version, predict(champion, rows)),
        rows.labels,
        rows.groups,
        data.source.name,
        "held_out",
    )
    return Comparison(
        challenger=challenger.version,
        champion=champion.version,
        data=data.source.name,
        rows=len(rows),
        better_by=compared.a_better_by["log_loss"],
    )


def unseen(data: Dataset, trained: Iterable[Manifest]) -> Mask:
    """The rows that none of these models was trained on.

    They are what lies outside of a model's log, and, of the time after its boundary, the shoppers who are held out of
    every training.
    """
    trained = list(trained)
    division = held_out(data, *trained)
    rows = np.ones(len(data), dtype=np.bool_) if division is None else division.test
    tested = grouped(data).test
    for one in trained:
        known = one.data
        if known.sha256 == data.source.sha256 or data.times is None or known.first is None or known.last is None:
            continue
        outside = (data.times > known.last) | (data.times < known.first)
        boundary = known.first if one.split.boundary is None else one.split.boundary
        rows = rows & (outside | (tested & (data.times > boundary)))
    return rows

"""Training on real logs (skipped where they are absent)."""

from pathlib import Path

import pytest

from ingest.logs import read
from ringback.records import CartEvent
from scoring.data.rows import prefix_rows
from scoring.model import Model, default_model_folder
from tests.scoring.trained import train_on

HOUR = 3600.0


def events(folder: Path, name: str, kind: str) -> list[CartEvent]:
    path = folder / name
    if not path.is_file():
        pytest.skip(f"no {path}")
    return [event for event in read(path, kind) if isinstance(event, CartEvent)]


@pytest.mark.parametrize(
    ("name", "kind", "horizon", "uncovered", "split"),
    [
        # Hardly three hours long: no horizon fits into it.
        ("rees46_2019-10-01_first_2h50.csv.gz", "rees46", HOUR, True, "grouped"),
        ("retailrocket_sample_events.csv.gz", "retailrocket", 24 * HOUR, False, "grouped"),
        ("retentioneering_ecom_SYNTHETIC.csv.gz", "retentioneering", 24 * HOUR, False, "forward"),
    ],
)
def test_a_model_is_trained_on_a_public_log(
    public_logs: Path, tmp_path: Path, name: str, kind: str, horizon: float, uncovered: bool, split: str
) -> None:
    log = events(public_logs, name, kind)
    manifest = train_on(log, tmp_path, horizon=horizon, uncovered=uncovered, source=kind)
    assert manifest.data.events == len(log)
    assert manifest.data.refused_events == 0
    assert manifest.split.kind == split
    rows = prefix_rows(log, horizon, uncovered=uncovered)
    model = Model.load(tmp_path)
    scores = [model.score(row) for row in rows.vectors[:200].tolist()]
    assert all(0 < score < 1 for score in scores)


def test_the_default_model_scores_real_carts(public_logs: Path) -> None:
    log = events(public_logs, "rees46_2019-10-01_first_2h50.csv.gz", "rees46")
    rows = prefix_rows(log, HOUR, uncovered=True)
    model = Model.load(default_model_folder())
    scores = [model.score(row) for row in rows.vectors.tolist()]
    assert len(scores) == len(rows) > 100
    assert all(0 < score < 1 for score in scores)
    assert len(set(scores)) > 20

"""Settings of the intent model."""

from pathlib import Path
from typing import Annotated

from pydantic import Field

from ringback.section import PositiveSeconds, Section


class ScoringSettings(Section):
    """The intent model."""

    model: Path | None = Field(None, description="a fixed model folder, whatever the registry says")
    reasons: Path | None = Field(None, description="your own sentences for agents; see scoring/reasons.toml")
    models: Path = Field(Path("models"), description="the registry's folder; nothing in it: the default model")
    watch_every: PositiveSeconds = Field(0.5, description="seconds between two looks at the registry")
    auc_ceiling: float = Field(0.95, gt=0.5, le=1.0, description="training refuses data on which it does better")
    auc_ceilings: dict[str, Annotated[float, Field(gt=0.5, le=1.0)]] = Field(
        {"retailrocket*": 0.75},
        description="the same by name of the data set (* and ? fit anything); the first one counts",
    )
    feature_auc_ceiling: float = Field(
        0.95, gt=0.5, le=1.0, description="training refuses a column that ranks better by itself"
    )
    most_trees: int = Field(1500, ge=1, description="training refuses data from which more trees are learnt")
    trees_jump: float = Field(4.0, ge=1.0, description="and so many times more of them than for the current model")
    drift_warn: float = Field(0.1, gt=0, description="PSI from which `ringback drift` tells of a feature or the score")
    drift_alarm: float = Field(0.25, gt=0, description="PSI from which it ends with exit code 1")
    drift_rows: int = Field(1000, ge=1, description="due carts under which a period's PSI is not told")

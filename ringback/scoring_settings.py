"""Settings of the intent model."""

from pathlib import Path

from pydantic import Field

from ringback.section import Section


class ScoringSettings(Section):
    """The intent model."""

    model: Path | None = Field(None, description="model folder; none: the default model that ships with Ringback")

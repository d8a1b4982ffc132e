"""Writes the dashboards' JSON and the objectives' rules anew: ``python -m dashboards``."""

import sys
from pathlib import Path

from dashboards import floor, model, overview, pipeline, recovery, slo
from dashboards.board import to_json

HERE = Path(__file__).parent
BOARDS = (overview.BOARD, pipeline.BOARD, floor.BOARD, recovery.BOARD, model.BOARD)


def generated() -> dict[Path, str]:
    """The text of every file that is generated."""
    texts = {HERE / "grafana" / f"{board.uid}.json": to_json(board) for board in BOARDS}
    return texts | {HERE / "prometheus" / "slo.yml": slo.to_yaml()}


def main() -> int:
    """Write the files; the exit status."""
    for path, text in generated().items():
        path.write_text(text)
        sys.stdout.write(f"{path.relative_to(HERE.parent)}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())

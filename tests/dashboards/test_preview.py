"""The pictures of the dashboards; tests/integration/test_monitoring.py draws them from a running demo."""

from pathlib import Path

import pytest

from dashboards import preview
from dashboards.preview import Span
from tests.servers.process import free_port


def test_a_prometheus_that_does_not_answer_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    assert preview.main(["--prometheus", url, "--into", str(tmp_path)]) == 1
    assert url in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_rates_are_taken_over_no_less_than_a_step_and_a_scrape() -> None:
    day = Span(start=0.0, end=86400.0, scrape_seconds=15.0, rate_seconds=60.0)
    assert day.step == 480.0
    assert day.variables["__rate_interval"] == "495s"
    assert day.variables["__range"] == "86400s"
    minute = Span(start=0.0, end=60.0, scrape_seconds=15.0, rate_seconds=60.0)
    assert minute.step == 15.0
    assert minute.variables["__rate_interval"] == "60s"

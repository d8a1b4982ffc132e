"""The stream benchmark measures what it says: its job, and what it makes of an engine's outputs."""

import io
import json
import math
import sys
from collections import Counter
from pathlib import Path

import lightgbm
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from benchmarks.stream import engine, job, model, report
from benchmarks.stream.catalogue import ENGINES, OURS, chosen, module_of
from benchmarks.stream.events import SHOPPERS, event
from benchmarks.stream.process import CpuTime
from ringback.envelope import partition_of
from ringback.records import CartEvent, encode
from scoring.backends import PortableBackend


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("bench") / "model.txt"
    model.train(path)
    return path


def outputs(*numbers: int, seconds_apart: float = 0.01, late: float = 0.002) -> list[job.Output]:
    return [
        job.Output(number, "shopper-00001", 0.5, index * seconds_apart, index * seconds_apart + late)
        for index, number in enumerate(numbers)
    ]


def run(events_per_s: float, *faults: str) -> report.Run:
    return report.Run(
        report.Drain(events_per_s, 1e6 / events_per_s),
        report.Latency(events_per_s / 2, 4.0, 9.0),
        report.Latency(1000.0, 3.0, 6.0),
        list(faults),
    )


def test_an_event_is_made_from_its_number_and_has_about_300_bytes() -> None:
    assert event(77, 5.0) == event(77, 5.0)
    for number in (0, 1, 99_999, 999_999):
        raw = encode(event(number, 1_750_000_000.123))
        assert 280 <= len(raw) <= 340
        assert job.decode(raw) == event(number, 1_750_000_000.123)


def test_shoppers_come_equally_often_and_in_no_order() -> None:
    shoppers = [event(number, 0.0).shopper_id for number in range(100_000)]
    often = Counter(shoppers)
    assert len(often) == SHOPPERS
    assert max(often.values()) < 3 * 100_000 / SHOPPERS
    partitions = Counter(partition_of(shopper, 6) for shopper in shoppers)
    assert max(partitions.values()) < 1.2 * min(partitions.values())
    # As many different ones in a thousand as chance gives.
    expected = SHOPPERS * (1 - math.exp(-1_000 / SHOPPERS))
    assert len(set(shoppers[5_000:6_000])) == pytest.approx(expected, rel=0.05)


def test_the_state_adds_up() -> None:
    state = job.NEW
    seen = [event(number, 0.0) for number in range(40)]
    for one in seen:
        state = job.update(state, one)
    assert state.count == 40
    assert state.value == sum(item.unit_price * item.quantity for one in seen for item in one.items)
    assert state.last == seen[-1].time
    assert state.products == tuple(one.items[0].product_id for one in seen[-job.PRODUCTS_KEPT :])
    assert job.decode_state(job.encode_state(state)) == state


def test_an_older_event_does_not_turn_the_time_back() -> None:
    later, earlier = event(9, 0.0), event(3, 0.0)
    assert job.update(job.update(job.NEW, later), earlier).last == later.time


@pytest.mark.parametrize(
    "seen", [event(3, 0.0), CartEvent(event_id="1", source="a", kind=event(0, 0.0).kind, time=1.0)]
)
def test_a_row_has_all_features(seen: CartEvent) -> None:
    assert len(job.row(job.NEW, job.update(job.NEW, seen), seen)) == job.FEATURES


def test_the_model_is_as_large_as_it_is_said_to_be(trained: Path) -> None:
    booster = lightgbm.Booster(model_file=str(trained))
    assert booster.num_trees() == model.TREES
    assert booster.num_feature() == job.FEATURES
    assert trained.read_text().count(f"num_leaves={model.LEAVES}\n") == model.TREES


def test_one_event_in_twenty_is_reported_with_its_score(trained: Path) -> None:
    work, portable = job.Job(trained), PortableBackend(lightgbm.Booster(model_file=str(trained)))
    state = None
    for number in range(60):
        seen = event(number, 12.5)
        before = state or job.NEW
        state, encoded = work.step(state, seen)
        assert (encoded is not None) == (number % 20 == 0)
        if encoded is not None:
            output = job.decode_output(encoded)
            assert (output.number, output.shopper_id, output.sent) == (number, seen.shopper_id, 12.5)
            assert output.score == portable.score(job.row(before, state, seen))
            assert output.scored > output.sent
    assert state is not None
    assert state.count == 60


def test_speed_is_from_the_first_score_to_the_last() -> None:
    found = report.drained(outputs(0, 20, 40, 60, 80), cpu_at=lambda wall: wall / 2)
    # Four spans of 20 events in 40 ms, half of which the process was busy.
    assert found.events_per_s == pytest.approx(2_000)
    assert found.cpu_us == pytest.approx(250)


def test_doubled_outputs_make_nobody_faster() -> None:
    once = outputs(0, 20, 40)
    assert report.drained(once + once, lambda _: 0.0) == report.drained(once, lambda _: 0.0)


@pytest.mark.parametrize("few", [[], outputs(0), outputs(0, 20, seconds_apart=0.0)])
def test_too_few_outputs_tell_no_speed(few: list[job.Output]) -> None:
    with pytest.raises(ValueError, match="no speed"):
        report.drained(few, lambda _: 0.0)


def test_latency_is_from_sending_to_score_in_milliseconds() -> None:
    found = report.latency(outputs(*range(0, 2_000, 20)), 500.0)
    assert found.rate == 500.0
    assert [found.p50, found.p99] == pytest.approx([2.0, 2.0])
    with pytest.raises(ValueError, match="no latency"):
        report.latency([], 500.0)


@given(st.lists(st.floats(0, 1e6), min_size=1), st.floats(0.01, 1.0))
def test_a_quantile_is_the_smallest_value_that_covers_its_part(values: list[float], part: float) -> None:
    rising = sorted(values)
    found = report.quantile(rising, part)
    assert sum(value <= found for value in rising) >= part * len(rising) * (1 - 1e-9)
    assert sum(value < found for value in rising) < part * len(rising)


def test_what_is_lost_or_doubled_is_told() -> None:
    assert report.faults(outputs(0, 20, 40), 60, 60) == []
    assert report.faults(outputs(0, 20, 40), None, 60) == []
    assert report.faults(outputs(0, 40), 60, 60) == ["1 of 3 outputs lost"]
    assert report.faults(outputs(0, 20, 20, 40), 60, 60) == ["1 outputs doubled"]
    assert report.faults(outputs(0, 20, 40), 61, 60) == ["states count 61 of 60 events"]
    assert len(report.faults(outputs(0, 20, 20), 59, 60)) == 3


def test_the_last_line_has_medians_and_what_was_wrong() -> None:
    runs = {OURS: [run(30_000), run(10_000), run(20_000)], "faust": [run(2_000, "1 of 3 outputs lost")], "quix": []}
    found = json.loads(report.last_line(runs))
    assert found["events_per_s"] == {OURS: 20_000, "faust": 2_000}
    assert found["cpu_us"] == {OURS: 50.0, "faust": 500.0}
    assert found["latency_ms"][OURS]["half"] == {"rate": 10_000, "p50": 4.0, "p99": 9.0}
    assert found["latency_ms"]["faust"]["at_1000"] == {"rate": 1_000, "p50": 3.0, "p99": 6.0}
    assert found["faults"] == {"faust": ["1 of 3 outputs lost"]}


def test_the_table_compares_with_ours_and_marks_what_went_wrong() -> None:
    written = io.StringIO()
    console = Console(width=140, file=written)
    failed = report.Run(faults=["it did not get ready"])
    console.print(report.table({OURS: [run(20_000)], "faust": [run(2_000)], "quix": [failed]}))
    rows = {line.split()[1]: line for line in written.getvalue().splitlines() if line.startswith("│")}
    assert rows["faust"].split("│")[-2].strip() == "0.10"
    assert "(!)" in rows["quix"]
    assert "(!)" not in rows["faust"]


def test_a_round_is_told_in_one_line_even_if_nothing_was_measured() -> None:
    assert "20,000 events/s" in report.line(run(20_000))
    assert report.line(report.Run(faults=["it ended"])) == "not measured  it ended"


def test_cpu_time_is_read_between_its_samples() -> None:
    cpu = CpuTime()
    for wall, seconds in ((10.0, 1.0), (11.0, 2.0), (13.0, 2.0)):
        cpu.note(wall, seconds)
    assert [cpu.at(wall) for wall in (9.0, 10.5, 11.0, 12.0, 14.0)] == [1.0, 1.5, 2.0, 2.0, 2.0]


def test_an_engine_reads_what_it_is_called_with(monkeypatch: pytest.MonkeyPatch) -> None:
    called = engine.Arguments("127.0.0.1:9", "in", "out", "log", "group", 6, Path("m.txt"), Path("own"))
    monkeypatch.setattr(sys, "argv", ["engine", *engine.command_line(called)])
    assert engine.arguments() == called


@pytest.mark.parametrize("changelog", ["a-changelog", None])
def test_an_engine_says_that_it_is_ready(changelog: str | None, capsys: pytest.CaptureFixture[str]) -> None:
    engine.ready(changelog)
    assert engine.readiness(capsys.readouterr().out.strip()) == (True, changelog)
    assert engine.readiness("starting") == (False, None)


def test_engines_are_chosen_by_name() -> None:
    assert chosen(None) == list(ENGINES)
    assert [one.name for one in chosen("faust, quix")] == ["faust", "quix"]
    with pytest.raises(ValueError, match="no engine flink"):
        chosen("faust,flink")
    assert len({one.name for one in ENGINES}) == len(ENGINES)


def test_every_engine_has_its_module() -> None:
    folder = Path(engine.__file__).parent
    for one in ENGINES:
        assert (folder / "engines" / f"{module_of(one).rpartition('.')[2]}.py").exists()

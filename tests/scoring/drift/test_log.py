"""Drift in a log, period by period, and the command that tells of it."""

import gzip
import re
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import msgspec
import numpy as np
import pytest
from typer.testing import CliRunner, Result

from ringback.cli import app
from ringback.decisions import Decision
from ringback.records import EventKind, encode
from scoring.drift.psi import ALARM, Reference
from scoring.features import FEATURES
from scoring.manifest import MANIFEST, Manifest, read
from scoring.model import default_model_folder
from tests.scoring.decided import decision
from tests.scoring.drift.test_incidents import RETENTIONEERING
from tests.scoring.events import Log

MANIFEST_OF_DEFAULT, _ = read(default_model_folder())
MONDAY = datetime(2024, 4, 1, tzinfo=UTC).timestamp()
WEEK = 7 * 86400.0
STEP = next(place for place, feature in enumerate(FEATURES) if feature.name == "checkout_step")


def drawn(one: Reference, rng: np.random.Generator) -> float | None:
    """A value as training had them."""
    place = int(rng.choice(len(one.expected), p=np.array(one.expected) / sum(one.expected)))
    if place == len(one.expected) - 1:
        return None
    if one.levels:
        return one.levels[place]
    return one.edges[place] if place < len(one.edges) else one.edges[-1] + 1.0


Change = Callable[[list[float | None]], None]


def decisions(weeks: int, a_week: int, change: Change = lambda row: None, changed: range = range(0)) -> list[Decision]:
    """Decisions like those that the default model was trained on, but for those of the weeks of ``changed``."""
    rng = np.random.default_rng(5)
    made = []
    for number in range(weeks * a_week):
        *row, score = [drawn(one, rng) for one in MANIFEST_OF_DEFAULT.reference]
        if number // a_week in changed:
            change(row)
        one = decision(f"s{number}", MONDAY + number * WEEK / a_week, [])
        made.append(
            msgspec.structs.replace(
                one, features=tuple(row), score=score or 0.0, model_version=MANIFEST_OF_DEFAULT.version
            )
        )
    return made


def no_step(row: list[float | None]) -> None:
    """As after a change of the shop that no longer tells how far a checkout is."""
    row[STEP] = None


def written(folder: Path, topic: str, records: list[msgspec.Struct]) -> Path:
    file = folder / topic / "1.jsonl"
    file.parent.mkdir(parents=True)
    file.write_bytes(b"".join(encode(record) + b"\n" for record in records))
    return folder


def drift(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["drift", *arguments])


def test_decisions_as_in_training_are_quiet(tmp_path: Path) -> None:
    log = written(tmp_path, "decisions", [*decisions(2, 1000)])
    found = drift("--log", str(log), "--by", "week")
    assert found.exit_code == 0, found.output
    assert "no alarming drift" in found.output
    report = msgspec.json.decode(drift("--log", str(log), "--by", "week", "--json").stdout)
    assert [look["rows"] for look in report["looks"]] == [1000, 1000]
    assert all(shift["psi"] < ALARM for look in report["looks"] for shift in look["shifts"])
    assert [len(look["shifts"]) for look in report["looks"]] == [len(FEATURES) + 1] * 2


def test_what_is_no_longer_told_is_an_alarm_in_its_week(tmp_path: Path) -> None:
    log = written(tmp_path, "decisions", [*decisions(3, 1000, no_step, range(1, 2))])
    found = drift("--log", str(log), "--by", "week", "--json")
    assert found.exit_code == 1, found.output
    looks = msgspec.json.decode(found.stdout)["looks"]
    alarms = [[shift["name"] for shift in look["shifts"] if shift["psi"] > ALARM] for look in looks]
    assert alarms == [[], ["checkout_step"], []]
    told = drift("--log", str(log), "--by", "week").output
    assert "ALARM" in told
    assert "2024-04-08: checkout_step: PSI" in told
    assert "100% missing" in told


def test_too_few_rows_say_nothing(tmp_path: Path) -> None:
    log = written(tmp_path, "decisions", [*decisions(1, 500, no_step, range(1))])
    assert drift("--log", str(log)).exit_code == 0
    assert drift("--log", str(log), "--least-rows", "100").exit_code == 1
    assert drift("--log", str(log), "--set", "scoring.drift_rows=100").exit_code == 1
    assert drift("--log", str(log), "--least-rows", "100", "--set", "scoring.drift_alarm=50").exit_code == 0


def test_decisions_of_other_features_and_of_played_logs_are_left_out(tmp_path: Path) -> None:
    some = decisions(1, 30)
    records = [
        *some[:10],
        *(msgspec.structs.replace(one, feature_hash="0") for one in some[10:20]),
        *(msgspec.structs.replace(one, replay=True) for one in some[20:]),
    ]
    found = drift("--log", str(written(tmp_path, "decisions", [*records])), "--json")
    assert "20 decisions of other features or of played logs left out" in found.stderr
    assert [look["rows"] for look in msgspec.json.decode(found.stdout)["looks"]] == [10]


def test_outcomes_count_when_they_are_final(tmp_path: Path) -> None:
    """Three carts of a log that ends two days after the first two: of the third nobody knows yet."""
    events = []
    for who, time, buys in (("a", 0.0, True), ("b", 0.0, False), ("c", 2 * 86400.0, False)):
        log = Log(who)
        events.append(log.add(EventKind.ITEM_ADDED, MONDAY + time, "a"))
        if buys:
            events.append(log.add(EventKind.ORDER_COMPLETED, MONDAY + time + 7200.0))
    events.append(Log("d").add(EventKind.PRODUCT_VIEWED, MONDAY + 2 * 86400.0 + 3600.0, "a"))
    events.sort(key=lambda event: event.time)
    report = msgspec.json.decode(drift("--log", str(written(tmp_path, "cart-events", [*events])), "--json").stdout)
    (look,) = report["looks"]
    assert look["rows"] == 3
    assert look["matured"] == 2
    assert look["log_loss"] > 0


def without_bins(folder: Path) -> Path:
    """A copy of the default model from before bins were frozen."""
    folder.mkdir()
    manifest, files = read(default_model_folder())
    for name, content in files.items():
        (folder / name).write_bytes(content)
    (folder / MANIFEST).write_bytes(encode(msgspec.structs.replace(manifest, reference=())))
    return folder


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--log", "nowhere"], "no such file"),
        (["--log", "decisions", "--quiet-until", "soon"], "expected a day such as"),
        (["--log", "decisions", "--model", "old"], "no frozen bins"),
        (["--log", "empty"], "neither cart events nor decisions"),
    ],
)
def test_what_is_wrong_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], words: str
) -> None:
    monkeypatch.chdir(tmp_path)
    written(tmp_path, "decisions", [*decisions(1, 5)])
    written(tmp_path / "empty", "decisions", [])
    without_bins(tmp_path / "old")
    found = drift(*arguments)
    assert found.exit_code == 2
    assert words in found.output


def with_quiet_time(folder: Path, first: date, last: date) -> Path:
    """A copy of the default model that says to have been trained on data of these days."""
    folder.mkdir()
    manifest, files = read(default_model_folder())
    for name, content in files.items():
        (folder / name).write_bytes(content)
    times = [datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp() for day in (first, last)]
    data = msgspec.structs.replace(manifest.data, first=times[0], last=times[1])
    changed: Manifest = msgspec.structs.replace(manifest, data=data)
    (folder / MANIFEST).write_bytes(encode(changed))
    return folder


def test_the_planted_incidents_of_a_public_log_are_told_and_quiet_weeks_are_not(
    public_logs: Path, tmp_path: Path
) -> None:
    file = public_logs / RETENTIONEERING
    if not file.exists():
        pytest.skip(f"no {RETENTIONEERING} in {public_logs}")
    log = ["--log", str(file), "--format", "retentioneering", "--by", "week"]
    found = drift(*log, "--quiet-until", "2024-04-08")
    assert found.exit_code == 1
    told = re.findall(r"^INCIDENT from (\S+) to before ([0-9-]+):", found.output, re.MULTILINE)
    assert told[0] == ("2024-04-15", "2024-05-06")
    assert {begin for begin, _ in told} == {"2024-04-15", "2024-05-20", "2024-06-03"}
    assert max(end for _, end in told) == "2024-06-10"
    # The same where the model's own data is the quiet time.
    model = with_quiet_time(tmp_path / "model", date(2024, 1, 1), date(2024, 4, 8))
    assert drift(*log, "--model", str(model)).output.count("INCIDENT") == len(told)


def test_a_log_without_its_incidents_is_quiet(public_logs: Path, tmp_path: Path) -> None:
    file = public_logs / RETENTIONEERING
    if not file.exists():
        pytest.skip(f"no {RETENTIONEERING} in {public_logs}")
    head, *lines = gzip.decompress(file.read_bytes()).decode().splitlines()
    until, since = "2024-04-08", "2024-06-10"
    weeks = timedelta(weeks=9)
    quiet = [head]
    for line in lines:
        fields = line.split(",")
        if fields[3] >= since:
            # What came after the incidents follows what came before them.
            fields[3] = str(datetime.fromisoformat(fields[3]) - weeks)
        elif fields[3] >= until:
            continue
        quiet.append(",".join(fields))
    log = tmp_path / "quiet.csv"
    log.write_text("\n".join(quiet) + "\n")
    found = drift("--log", str(log), "--format", "retentioneering", "--by", "week", "--quiet-until", until)
    assert found.exit_code == 0, found.output
    assert "INCIDENT" not in found.output

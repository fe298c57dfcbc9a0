"""The files that deploy: what they promise is in them, and the tools read them."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

from service.config import load_settings

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = sorted((ROOT / "deploy").glob("*.sh"))
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
GPU = yaml.safe_load((ROOT / "deploy" / "compose.gpu.yaml").read_text(encoding="utf-8"))
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")


def normal(name):
    return re.sub(r"[-_.]+", "-", name).lower()


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_scripts_parse_and_stop_at_the_first_error(script):
    subprocess.run(["bash", "-n", script], check=True)
    text = script.read_text(encoding="utf-8")
    assert text.startswith("#!/usr/bin/env bash\n")
    assert "\nset -euo pipefail\n" in text


def test_every_direct_requirement_is_pinned():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lines = (ROOT / "deploy" / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = [line for line in lines if line and not line.startswith("#")]
    # No local versions and no paths: they would be of one machine.
    assert all(re.fullmatch(r"[a-z0-9-]+==[0-9][a-z0-9.]*", pin) for pin in pins), pins
    pinned = {pin.split("==")[0] for pin in pins}
    extras = project["optional-dependencies"]
    # onnxruntime-gpu and triton need a machine with a GPU to be resolved on.
    wanted = [*project["dependencies"], *extras["cpu"], *extras["train"], *extras["dev"]]
    names = {normal(re.match(r"[A-Za-z0-9_.-]+", one)[0]) for one in wanted}
    assert names <= pinned, names - pinned


def test_setup_refuses_an_extra_that_it_does_not_know(tmp_path):
    environment = {**os.environ, "VENV": str(tmp_path / "venv")}
    out = subprocess.run(
        ["bash", ROOT / "deploy" / "setup.sh", "cpu,bells"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert out.returncode == 1
    assert "unknown extra 'bells'" in out.stderr


def test_compose_publishes_on_loopback_only_and_asks_for_no_gpu():
    assert set(COMPOSE["services"]) == {"service", "worker", "redis"}
    ports = [port for one in COMPOSE["services"].values() for port in one.get("ports", [])]
    assert ports
    assert all(port.startswith("127.0.0.1:") for port in ports)
    assert not any("deploy" in one for one in COMPOSE["services"].values())
    assert "version" not in COMPOSE  # Compose v2 warns of it, 1.29 does without


@pytest.mark.parametrize("name", ["service", "worker", "redis"])
def test_containers_may_do_little(name):
    one = COMPOSE["services"][name]
    assert one["read_only"] is True
    assert one["cap_drop"] == ["ALL"]
    assert "no-new-privileges:true" in one["security_opt"]


@pytest.mark.parametrize(
    "service",
    [*COMPOSE["services"].values(), *GPU["services"].values()],
    ids=lambda one: one["image"],
)
def test_the_settings_in_compose_are_known(service):
    load_settings(environ=service.get("environment", {}))


def test_the_gpu_file_changes_the_worker_alone():
    assert set(GPU["services"]) == {"worker"}
    (device,) = GPU["services"]["worker"]["deploy"]["resources"]["reservations"]["devices"]
    assert device == {"driver": "nvidia", "count": 1, "capabilities": ["gpu"]}


@pytest.mark.parametrize(
    "files", [["docker-compose.yml"], ["docker-compose.yml", "deploy/compose.gpu.yaml"]]
)
def test_compose_itself_reads_the_files(files):
    command = shutil.which("docker-compose")
    if command is None:
        pytest.skip("docker-compose is not installed; deploy/container_check.sh installs it")
    words = [word for file in files for word in ("-f", file)]
    subprocess.run([command, *words, "config", "-q"], cwd=ROOT, check=True, timeout=60)


def test_the_dockerfile_passes_its_linter():
    linter = Path(sys.executable).with_name("hadolint")
    out = subprocess.run(
        [linter, "--no-color", "Dockerfile"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert out.returncode == 0, out.stdout + out.stderr


def test_the_image_is_made_by_the_setup_script_and_runs_as_nobody_special():
    assert "bash deploy/setup.sh" in DOCKERFILE
    last_stage = DOCKERFILE.split("\nFROM ")[-1]
    assert re.search(r"^USER 10001$", last_stage, re.MULTILINE)
    assert re.search(r"^HEALTHCHECK ", last_stage, re.MULTILINE)
    assert "apt-get" not in last_stage  # no compiler, no pip, nothing beyond the base


def test_the_image_holds_no_tests_and_no_data():
    kept = {
        line[1:]
        for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
        if line.startswith("!")
    }
    assert "*" in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert kept == {
        *("pyproject.toml", "README.md", "LICENSE", "NOTICE"),
        *("deploy/setup.sh", "deploy/constraints.txt"),
        *("service", "capture", "calibration", "models", "kernels", "quadglass"),
    }

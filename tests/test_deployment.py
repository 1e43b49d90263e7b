"""The command lines in the files of `deploy/` can be typed, and containers are told all that the page needs."""

import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest
import yaml

from tests.conftest import NO_RAY, REPOSITORY
from unisono.cli import app

DEPLOY = REPOSITORY / "deploy"


def command_lines() -> list[list[str]]:
    """Return the words behind `unisono` of each command."""
    found = [
        line.split()[1:]
        for path in DEPLOY.glob("*.service")
        for line in re.findall(r"^ExecStart=\S+/(unisono .*)$", path.read_text(), re.M)
    ]
    found += [
        [*re.split(r",\s*", line)] for line in re.findall(r"command: \[(.*)\]", (DEPLOY / "compose.yaml").read_text())
    ]
    found += [
        line.split()[1:]
        for path in DEPLOY.glob("ray-*.yaml")
        for line in re.findall(r"(?:entrypoint: |- )(unisono .*)$", path.read_text(), re.M)
    ]
    found += [json.loads(line) for line in re.findall(r"^CMD (\[.*\])$", (DEPLOY / "Dockerfile").read_text(), re.M)]
    return found


@pytest.mark.parametrize("words", command_lines(), ids=" ".join)
def test_each_can_be_typed(words: list[str]) -> None:
    app.parse_args(words, exit_on_error=False, print_error=False)


def test_there_are_some_of_each_kind() -> None:
    assert len(command_lines()) == 7


def test_what_the_image_copies_is_there_and_not_ignored() -> None:
    copied = re.findall(r"^COPY (?!--from)(.*) \S+$", (DEPLOY / "Dockerfile").read_text(), re.M)
    allowed = (DEPLOY / "Dockerfile.dockerignore").read_text()
    for name in " ".join(copied).split():
        assert (REPOSITORY / name).exists() and f"!{name}\n" in allowed


@pytest.mark.parametrize(("linter", "name"), [("hadolint", "Dockerfile"), ("compose-lint", "compose.yaml")])
def test_a_linter_accepts(linter: str, name: str) -> None:
    words = [Path(sys.executable).parent / linter, DEPLOY / name]
    done = subprocess.run(words, env={"MUSIC": "/srv/music"}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_ray_cluster_is_one_by_its_own_schema() -> None:
    ray = importlib.util.find_spec("ray")
    if not ray:
        pytest.skip(NO_RAY)
    schema = Path(str(ray.origin)).parent / "autoscaler" / "ray-schema.json"
    cluster = yaml.safe_load((DEPLOY / "ray-cluster.yaml").read_text())
    jsonschema.validate(cluster, json.loads(schema.read_text()))
    assert cluster["head_node_type"] in cluster["available_node_types"]
    started = [each for name in ("head", "worker") for each in cluster[f"{name}_start_ray_commands"] if "start" in each]
    assert len(started) == 2
    assert all("RAY_AUTH_MODE=token" in each and "--object-store-memory=" in each for each in started)


def test_the_job_for_kubernetes_has_what_it_must_have() -> None:
    job = yaml.safe_load((DEPLOY / "ray-job.yaml").read_text())
    assert (job["apiVersion"], job["kind"]) == ("ray.io/v1", "RayJob")
    spec = job["spec"]["rayClusterSpec"]
    assert spec["authOptions"] == {"mode": "token"}
    pins = (REPOSITORY / "pyproject.toml").read_text()
    assert f"ray[data]>={spec['rayVersion'].rpartition('.')[0]}," in pins
    for group in (spec["headGroupSpec"], *spec["workerGroupSpecs"]):
        pod = group["template"]["spec"]
        volumes = {each["name"] for each in pod["volumes"]}
        assert "object-store-memory" in group["rayStartParams"]
        for container in pod["containers"]:
            assert {each["name"] for each in container["volumeMounts"]} == volumes
            assert container["resources"]["requests"].keys() == container["resources"]["limits"].keys()


def test_the_scripts_for_slurm_are_scripts() -> None:
    text = (REPOSITORY / "docs" / "cluster.md").read_text()
    scripts = [
        re.sub(r"^    ", "", each, flags=re.M) for each in re.findall(r"^    #!/bin/bash\n(?:    .*\n)+", text, re.M)
    ]
    assert len(scripts) == 2
    for script in scripts:
        assert subprocess.run(["bash", "-n"], input=script, text=True, check=False).returncode == 0
        assert "#SBATCH --job-name=" in script

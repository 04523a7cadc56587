"""The two images: what is in them, and what is not."""

import json
import re
import subprocess
import sys
import tomllib

import pytest

from tests.containers.conftest import IMAGES
from tests.containers.engine import ROOT, docker, inspect
from tests.docs.pages import page

SIZES_MB = {"airtoll-agent": 200, "airtoll-controller": 1200}  # without the image that they stand on

pytestmark = pytest.mark.usefixtures("stack")


def _in(image: str, *words: str) -> str:
    return docker("run", "--rm", "--entrypoint", words[0], image, *words[1:])


def _distributions(image: str) -> dict[str, str]:
    code = "import importlib.metadata as m, json; print(json.dumps({d.name: d.version for d in m.distributions()}))"
    return {_plain(name): version for name, version in json.loads(_in(image, "python3", "-c", code)).items()}


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


@pytest.mark.parametrize("image", IMAGES)
def test_it_is_small(image: str) -> None:
    dockerfile = (ROOT / "Dockerfile").read_text()
    base = inspect(re.search(r"^ARG PYTHON=(\S+)", dockerfile, re.MULTILINE)[1])  # type: ignore[index]
    megabytes = (inspect(image)["Size"] - base["Size"]) / 1e6
    assert megabytes < SIZES_MB[image]
    told = re.search(rf"`{image.removeprefix('airtoll-')}` has[^.]*?(\d+) MB", page("compose.md"))
    assert told is not None
    assert megabytes == pytest.approx(int(told[1]), rel=0.05)


@pytest.mark.parametrize("image", IMAGES)
def test_its_versions_are_the_tested_ones(image: str) -> None:
    lines = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if not line.startswith("#")]
    tested = {_plain(name): version for name, _, version in (line.partition("==") for line in lines)}
    there = _distributions(image)
    there.pop("airtoll")
    assert {name: version.partition("+")[0] for name, version in there.items()}.items() <= tested.items()


def test_an_agent_has_what_is_listed_and_nothing_else() -> None:
    there = _distributions("airtoll-agent")
    listed = subprocess.run(
        [sys.executable, "containers/requirements.py", "worker"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split()
    assert there.keys() == {_plain(name) for name in listed} | {"airtoll"}


def test_both_play_with_the_same_numbers() -> None:
    agent, controller = map(_distributions, IMAGES)
    assert {name: version for name, version in agent.items() if controller.get(name) != version} == {}


@pytest.mark.parametrize("image", IMAGES)
def test_it_runs_as_nobody_in_particular_and_says_what_it_is(image: str) -> None:
    config = inspect(image)["Config"]
    assert config["User"] == "airtoll"
    assert _in(image, "id", "-u").strip() == "10001"
    assert config["Healthcheck"]["Test"][:2] == ["CMD", "python3"]
    labels = config["Labels"]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert labels["org.opencontainers.image.version"] == project["version"]
    assert labels["org.opencontainers.image.licenses"] == project["license"]
    code = "import importlib.metadata as m; print(m.version('airtoll'))"
    assert _in(image, "python3", "-c", code).strip() == project["version"]


@pytest.mark.parametrize("image", IMAGES)
def test_no_secret_lies_in_a_layer(image: str) -> None:
    told = docker("history", "--no-trunc", image) + json.dumps(inspect(image)["Config"])
    assert not re.search(r"(?i)token|passw|key_secret|bearer", told)
    names = ("-name", "*.key_secret", "-o", "-name", "token", "-o", "-name", "pip.conf", "-o", "-name", ".git")
    assert _in(image, "find", "/opt/airtoll", "/usr/local", "/data", "/keys", "/tmp", *names) == ""
    assert _in(image, "find", "/keys", "/data", "-type", "f") == ""

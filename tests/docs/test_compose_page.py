"""docs/compose.md against compose.yaml and containers/stack.yaml."""

import re
from typing import Any

from controller.config.formats import parse_yaml
from tests.docs.pages import DOCS, page, table

PAGE = "compose.md"
COMPOSE = (DOCS.parent / "compose.yaml").read_text("utf-8")
STACK = (DOCS.parent / "containers" / "stack.yaml").read_text("utf-8")


def _services(text: str) -> dict[str, Any]:
    return dict(parse_yaml(text)["services"])


def test_the_services_are_those_of_the_file() -> None:
    services = _services(COMPOSE)
    listed = {row[0]: row[1] for row in table(PAGE, "service")}
    assert listed.keys() == services.keys()
    for name, image in listed.items():
        assert image in services[name]["image"]
    profiles = {name: service["profiles"] for name, service in services.items() if "profiles" in service}
    assert profiles == {"dense": ["dense"], "postgres": ["postgres"]}


def test_the_settings_are_those_of_the_file_with_their_defaults() -> None:
    variables = dict(re.findall(r"\$\{(AIRTOLL_\w+):-([^}]*)\}", COMPOSE))
    listed: dict[str, str] = {}
    for names, defaults, _ in table(PAGE, "variable"):
        listed |= dict(zip(names.split(", "), defaults.split(", "), strict=True))
    listed["AIRTOLL_POSTGRES_IMAGE"] = next(row[1] for row in table(PAGE, "service") if row[0] == "postgres")
    listed["AIRTOLL_DB"] = listed["AIRTOLL_DB"].removeprefix("SQLite in data")
    assert listed == variables
    assert "TORCH_INDEX=" in page(PAGE)
    assert "TORCH_INDEX" in COMPOSE


def test_the_swarm_has_the_same_services_with_the_same_commands() -> None:
    here, there = _services(COMPOSE), _services(STACK)
    assert there.keys() == here.keys() - {"keys", "dense", "postgres"}
    for name, service in there.items():
        assert service["command"] == here[name]["command"]
        assert service["environment"].items() <= here[name]["environment"].items()
        assert (service["read_only"], service["cap_drop"], service["init"]) == (True, ["ALL"], True)


def test_the_commands_name_services_and_profiles_of_the_files() -> None:
    typed = " ".join(re.findall(r"^    (.*)$", page(PAGE), re.MULTILINE))
    assert set(re.findall(r"--profile (\w+)", typed)) == {"dense", "postgres"}
    assert set(re.findall(r"--scale (\w+)=", typed)) <= _services(COMPOSE).keys()
    assert set(re.findall(r"--compose-file (\S+)", typed)) == {"containers/stack.yaml"}
    assert set(re.findall(r"service \w+ airtoll_(\w+)", typed)) <= _services(STACK).keys()

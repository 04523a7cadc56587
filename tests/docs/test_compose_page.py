"""docs/compose.md, and the two files that it tells of."""

import re
from typing import Any

from controller.config.layers import parse_yaml
from tests.docs.pages import DOCS, page, table

PAGE = "compose.md"
COMPOSE = (DOCS.parent / "compose.yaml").read_text("utf-8")
STACK = (DOCS.parent / "containers" / "stack.yaml").read_text("utf-8")


def _services(text: str) -> dict[str, Any]:
    return dict(parse_yaml(text)["services"])


def test_the_services_are_those_of_the_file() -> None:
    services = _services(COMPOSE)
    told = {row[0]: row[1] for row in table(PAGE, "service")}
    assert told.keys() == services.keys()
    for name, image in told.items():
        assert image in services[name]["image"]
    profiles = {name: service["profiles"] for name, service in services.items() if "profiles" in service}
    assert profiles == {"dense": ["dense"], "postgres": ["postgres"]}


def test_the_settings_are_those_of_the_file_with_their_defaults() -> None:
    variables = dict(re.findall(r"\$\{(AIRTOLL_\w+):-([^}]*)\}", COMPOSE))
    told: dict[str, str] = {}
    for names, defaults, _ in table(PAGE, "variable"):
        told |= dict(zip(names.split(", "), defaults.split(", "), strict=True))
    told["AIRTOLL_POSTGRES_IMAGE"] = next(row[1] for row in table(PAGE, "service") if row[0] == "postgres")
    told["AIRTOLL_DB"] = told["AIRTOLL_DB"].removeprefix("SQLite in data")
    assert told == variables
    assert "TORCH_INDEX=URL" in page(PAGE)


def test_the_swarm_has_the_same_services_with_the_same_commands() -> None:
    here, there = _services(COMPOSE), _services(STACK)
    assert there.keys() == here.keys() - {"keys", "dense", "postgres"}
    for name, service in there.items():
        assert service["command"] == here[name]["command"]
        assert service["environment"].items() <= here[name]["environment"].items()
        assert (service["read_only"], service["cap_drop"], service["init"]) == (True, ["ALL"], True)


def test_what_is_typed_is_known_to_the_files() -> None:
    typed = " ".join(re.findall(r"^    (.*)$", page(PAGE), re.MULTILINE))
    assert set(re.findall(r"--profile (\w+)", typed)) == {"dense", "postgres"}
    assert set(re.findall(r"--scale (\w+)=", typed)) <= _services(COMPOSE).keys()
    assert set(re.findall(r"--compose-file (\S+)", typed)) == {"containers/stack.yaml"}
    assert set(re.findall(r"service \w+ airtoll_(\w+)", typed)) <= _services(STACK).keys()

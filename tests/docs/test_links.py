"""All pages: links, files and `make` targets that are named exist; no private word is used."""

import re
from pathlib import Path

import pytest

from controller.config.formats import parse_yaml
from tests.docs.pages import DOCS, PAGES, ROOT, page, prose
from tests.house import PRIVATE_WORDS

ROOMS = r"protocol|channel_server|agent_node|schemes|controller|airtoll|tests|examples|benchmarks|containers"
MADE_BY_THE_READER = ("slotted_aloha", "aloha1970")


def _anchors(path: Path) -> set[str]:
    text = path.read_text("utf-8")
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    slugs = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
    return slugs | set(re.findall(r'<a id="([^"]+)"', text))


@pytest.mark.parametrize("name", PAGES)
def test_links_lead_somewhere(name: str) -> None:
    here = DOCS / name
    for link in re.findall(r"\]\((?!https?:)([^)]+)\)", prose(name)):
        file, _, anchor = link.partition("#")
        target = here.parent / file if file else here
        assert target.exists(), link
        assert not anchor or anchor in _anchors(target), link


@pytest.mark.parametrize("name", PAGES)
def test_files_that_are_named_exist(name: str) -> None:
    for path in re.findall(rf"`((?:{ROOMS})/[\w./-]+)`", prose(name)):
        there = (ROOT / path).exists() or (ROOT / f"{path}.py").exists()  # a module may be a file or a package
        assert there or any(made in path for made in MADE_BY_THE_READER), path


def _targets() -> set[str]:
    [phony] = re.findall(r"^\.PHONY: (.+)$", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
    return set(phony.split())


@pytest.mark.parametrize("name", PAGES)
def test_make_targets_that_are_named_exist(name: str) -> None:
    named = re.findall(r"^    make ([\w-]+)|`make ([\w-]+)", page(name), re.MULTILINE)
    assert {first or second for first, second in named} <= _targets()


# Private words as identifiers only: in prose they are words of the field.
WORDS_OF_THE_FIELD = {"delivery": "acknowledged delivery, delivery status"}


@pytest.mark.parametrize("name", PAGES)
def test_no_private_word_is_used(name: str) -> None:
    text = prose(name)
    if name == "../CHANGELOG.md":
        text = re.sub(r"`[^`]*`", "", text)  # names of earlier versions
    used = {word.lower() for word in re.findall(rf"\b(?:{PRIVATE_WORDS.pattern})\b", text, re.IGNORECASE)}
    assert used <= WORDS_OF_THE_FIELD.keys()


def test_continuous_integration_and_hooks_run_make_targets() -> None:
    workflow = parse_yaml((ROOT / ".github/workflows/ci.yml").read_text("utf-8"))
    steps = [step["run"] for job in workflow["jobs"].values() for step in job["steps"] if "run" in step]
    [repo] = parse_yaml((ROOT / ".pre-commit-config.yaml").read_text("utf-8"))["repos"]
    commands = [command.split() for command in [*steps, *(hook["entry"] for hook in repo["hooks"])]]
    assert repo["repo"] == "local"
    assert {program for program, *_ in commands} == {"make"}
    assert {"check", "test"} <= {target for _, target in commands} <= _targets()

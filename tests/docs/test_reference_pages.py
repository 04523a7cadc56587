"""Glossary, papers, architecture, configuration, citation: complete, and about things that exist."""

import ast
import re
import tomllib
from typing import Any, get_args

from controller.config.catalogue import schemes, worlds
from controller.config.formats import parse_yaml
from controller.config.meanings import MEANINGS
from controller.config.reference import keys, markdown
from controller.config.run_config import Placement
from controller.run_folder import layout
from protocol.messages.choreography import PHASES
from protocol.messages.kinds import Kind, LinkClass
from tests import house
from tests.docs.pages import ROOT, page, quoted_table, table

SHORT_NAME = r"\b[a-z]+(?:19|20)\d\d\b"


def _project() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))


def test_the_table_of_keys_is_up_to_date() -> None:
    assert markdown() in page("configuration.md"), "python -m tests.docs.configuration_page"


def test_every_key_of_the_models_has_a_meaning() -> None:
    assert {info.key for info in keys()} == set(MEANINGS)
    defaults = {info.key: info.default for info in keys()}
    chosen = ("world", "seed", "record.trace", "clock.slot_ms", "baselines", "signalling", "untrained")
    assert [defaults[key] for key in chosen] == ["required", "1", "`all`", "null", "[]", "`ideal`", "false"]


def test_the_files_of_a_run_are_listed() -> None:
    listed = {name for row in quoted_table("configuration.md", "file") for name in re.findall(r"`([\w./]+)`", row[0])}
    names = {layout.CONFIG, layout.META, layout.WIRE_BOOK, layout.SUMMARY, layout.MAP, layout.LOG, *layout.GROWING}
    assert names <= listed


def test_every_environment_variable_of_the_code_is_listed() -> None:
    listed = {name for names, *_ in table("configuration.md", "variable") for name in names.split(", ")}
    folders = ("controller", "airtoll", "protocol")
    sources = [path.read_text("utf-8") for folder in folders for path in (ROOT / folder).rglob("*.py")]
    read = {name for text in sources for name in re.findall(r"\bAIRTOLL_[A-Z_]+[A-Z]\b(?!__)", text)}
    assert {name for name in read if "__" not in name} == listed


def test_the_glossary_has_the_words_of_the_protocol() -> None:
    meaning = {row[0]: " ".join(row[1:]) for row in _glossary()}
    words: dict[str, list[str]] = {
        "kind": [kind.name.lower() for kind in Kind],
        "link class": [link.name.lower() for link in LinkClass],
        "phase": list(PHASES),
        "placement": list(get_args(Placement)),
    }
    for word, values in words.items():
        assert all(f"`{value}`" in meaning[word] for value in values), word


def _glossary() -> list[list[str]]:
    sections = page("glossary.md").count("| word |")
    return [row for number in range(sections) for row in quoted_table("glossary.md", "word", number)]


def test_the_glossary_explains_each_word_once() -> None:
    words = [row[0] for row in _glossary()]
    assert len(words) == len(set(words))
    assert all(len(row) == 3 and all(row) for row in _glossary())


def test_the_classes_that_the_glossary_names_exist() -> None:
    named = {name for row in _glossary() for name in re.findall(r"`([A-Z][a-z]+(?:[A-Z][a-z]+)*)\b", " ".join(row))}
    defined = {node.name for _, tree in house.modules() for node in ast.walk(tree) if isinstance(node, ast.ClassDef)}
    assert len(named) > 5
    assert named <= defined


def _short_names() -> set[str]:
    return set(re.findall(r'<a id="(\w+)"></a>\1 \|', page("papers.md")))


def test_every_paper_that_a_card_or_page_cites_is_listed() -> None:
    cards = [str(scheme.card) for scheme in schemes().values()]
    cited = {name for text in cards for name in re.findall(SHORT_NAME, text)}
    cited |= {name.partition("/")[0] for name in schemes()} - {"ours"}
    cited |= {name for world in worlds().values() for name in re.findall(SHORT_NAME, world.source)}
    assert cited <= _short_names()


def test_every_source_paper_has_a_year_and_a_number() -> None:
    rows = [row for heading in ("source", "other") for row in _papers(heading)]
    assert len(rows) == len(_short_names())
    for name, reference, *_ in rows:
        assert re.search(r"\b(19|20)\d\d\b", reference), name
        assert re.search(r"doi\.org|arxiv\.org|not checked|Bureau of Standards", reference), name


def test_the_papers_of_the_cards_have_the_same_numbers_here() -> None:
    for name, scheme in schemes().items():
        if name.startswith("ours/"):
            continue
        [reference] = [row[1] for row in _papers("source") if f"</a>{name.partition('/')[0]}" in row[0]]
        numbers = re.findall(r"(?:doi|arXiv):([\w./]+\w)", scheme.card.paper)
        assert numbers  # a DOI, an arXiv number, or both
        assert set(numbers) == set(re.findall(r"\[(?:doi|arXiv):([^\]]+)\]", reference)), name


def _papers(heading: str) -> list[list[str]]:
    return quoted_table("papers.md", "short name", ["source", "other"].index(heading))


def test_the_rooms_exist_and_are_all_there() -> None:
    cells = [row[0] for row in quoted_table("architecture.md", "room")]
    paths = [path for cell in cells for path in re.findall(r"`([^`]+)`", cell)]
    inside = {"traffic/": "channel_server/traffic/"}
    assert all((ROOT / inside.get(path, path)).exists() for path in paths)
    packages = {name.rstrip("*") for name in _project()["tool"]["setuptools"]["packages"]["find"]["include"]}
    assert packages <= {path.partition("/")[0] for path in paths}


def test_the_import_contracts_are_those_that_are_checked() -> None:
    contracts = [contract["name"] for contract in _project()["tool"]["importlinter"]["contracts"]]
    assert [row[0] for row in table("architecture.md", "contract")] == contracts


def test_the_citation_is_complete_and_of_this_version() -> None:
    citation = parse_yaml((ROOT / "CITATION.cff").read_text("utf-8"))
    assert {"cff-version", "message", "title", "authors"} <= citation.keys()
    assert citation["cff-version"] == "1.2.0"
    assert (citation["version"], citation["license"]) == (_project()["project"]["version"], "Apache-2.0")

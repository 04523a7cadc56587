"""docs/clock.md: its run is valid, its files have the functions that it names, its line is the one that is printed."""

import re

from msgspec import to_builtins

from airtoll.cli import tables
from controller.config.formats import parse_yaml
from controller.config.resolved import load
from protocol.messages.telemetry import Paced, Spread
from tests.docs.pages import DOCS, block, headings, page, table

PAGE = "clock.md"


def test_its_run_is_paced_and_in_lockstep_by_the_setting_it_names() -> None:
    described = parse_yaml(block(PAGE, "# paced.yaml"))
    plan = load(described).plan_for("page")
    assert plan.clock.slot_ms == 10.0
    assert load(described | {"clock": {"slot_ms": None}}).plan_for("page").clock.slot_ms is None


def test_every_file_has_the_functions_of_the_table() -> None:
    for file, does, *_ in table(PAGE, "file"):
        source = (DOCS.parent / file).read_text("utf-8")
        assert all(f"def {name}(" in source for name in re.findall(r"\((\w+)\)", does))


def test_its_table_has_the_headings_that_are_printed() -> None:
    printed = tables.missed_turns({"turns": {}, "missed": {}, "late": {}})
    assert headings(page(PAGE), "node") == [str(column.header) for column in printed.columns]
    assert str(printed.title) in page(PAGE).splitlines()


def test_its_line_is_the_one_that_is_printed() -> None:
    some = Spread(10.0, 10.0, 10.68, 11.08), Spread(0.16, 0.15, 0.85, 1.33)
    printed = tables.paced(to_builtins(Paced(10.0, {}, {}, {}, *some, -10)))
    [shown] = [line for line in page(PAGE).splitlines() if line.startswith("slots of 10 ms lasted")]
    before, _, after = shown.partition("...")
    assert printed.startswith(before)
    assert printed.endswith(after)

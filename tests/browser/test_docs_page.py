"""docs/page.md: every view that it names is there."""

import re

import pytest

from tests.browser.pilot import Pilot
from tests.docs.pages import table


@pytest.mark.parametrize(("address", "heading"), [(row[0], row[1]) for row in table("page.md", "address")])
def test_a_view_stands_at_its_address(pilot: Pilot, ended: dict[str, str], address: str, heading: str) -> None:
    ids = iter([ended["sla"], ended["random"]])
    view = re.sub("ID", lambda _: next(ids), address)
    pilot.open(view)
    assert pilot.text("h1") == (ended["sla"] if heading == "ID" else heading)

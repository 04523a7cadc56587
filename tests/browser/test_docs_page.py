"""docs/page.md: each view that it lists exists."""

import re

import pytest

from tests.browser.page import Page
from tests.docs.pages import table


@pytest.mark.parametrize(("address", "heading"), [(row[0], row[1]) for row in table("page.md", "address")])
def test_a_view_has_its_address_and_heading(page: Page, finished: dict[str, str], address: str, heading: str) -> None:
    ids = iter([finished["sla"], finished["random"]])
    view = re.sub("ID", lambda _: next(ids), address)
    page.open(view)
    assert page.text("h1") == (finished["sla"] if heading == "ID" else heading)

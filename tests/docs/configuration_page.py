"""Writes the keys of docs/configuration.md anew, from the models: `python -m tests.docs.configuration_page`."""

import re

from controller.config.reference import markdown
from tests.docs.pages import DOCS, page

PAGE = "configuration.md"
_TABLE = re.compile(r"^\| key \| type .*?\n(?!\|)", re.MULTILINE | re.DOTALL)


def main() -> None:
    """Write the page."""
    text, found = _TABLE.subn(lambda _: markdown(), page(PAGE))
    assert found == 1, "no table of keys"
    (DOCS / PAGE).write_text(text, "utf-8")


if __name__ == "__main__":
    main()

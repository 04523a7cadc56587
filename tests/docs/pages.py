"""The pages of docs/ and the code that stands on them."""

import re
from pathlib import Path

DOCS = Path(__file__).parents[2] / "docs"


def page(name: str) -> str:
    """A page's text."""
    return (DOCS / name).read_text("utf-8")


def block(name: str, head: str) -> str:
    """The one fenced block of a page whose first line is `head`, such as "# polite.yaml"."""
    blocks = re.findall(r"^```\w*\n(.*?)^```$", page(name), re.MULTILINE | re.DOTALL)
    [found] = [text for text in blocks if text.partition("\n")[0] == head]
    return str(found)


def table(name: str, heading: str) -> list[list[str]]:
    """The cells of the one table whose header begins with `heading`, backquotes and commas in numbers taken away."""
    lines = page(name).splitlines()
    [start] = [number for number, line in enumerate(lines) if line.startswith(f"| {heading} |")]
    rows: list[list[str]] = []
    for line in lines[start + 2 :]:
        if not line.startswith("|"):
            break
        rows.append([cell.strip().replace("`", "") for cell in line.strip("|").split(" | ")])
    return rows

"""The pages of docs/, as data: fenced blocks, tables, and facts that a paragraph states together."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = sorted(
    [*(f"../{path.name}" for path in ROOT.glob("*.md")), *(str(p.relative_to(DOCS)) for p in DOCS.rglob("*.md"))]
)


def page(name: str) -> str:
    """A page's text."""
    return (DOCS / name).read_text("utf-8")


def prose(name: str) -> str:
    """A page without its fenced blocks."""
    return re.sub(r"^```\w*\n.*?^```$", "", page(name), flags=re.MULTILINE | re.DOTALL)


def blocks(name: str) -> list[str]:
    """The fenced blocks of a page."""
    return re.findall(r"^```\w*\n(.*?)^```$", page(name), re.MULTILINE | re.DOTALL)


def block(name: str, head: str) -> str:
    """The one fenced block of a page whose first line is `head`, such as "# polite.yaml"."""
    [found] = [text for text in blocks(name) if text.partition("\n")[0] == head]
    return found


def table(name: str, heading: str) -> list[list[str]]:
    """The cells of the one table whose header begins with `heading`, without backquotes."""
    return [[cell.replace("`", "") for cell in row] for row in quoted_table(name, heading)]


def quoted_table(name: str, heading: str, number: int = 0) -> list[list[str]]:
    """The same with backquotes; the `number`th of the tables whose header begins so."""
    lines = page(name).splitlines()
    start = [at for at, line in enumerate(lines) if line.startswith(f"| {heading} |")][number] + 2
    end = next((at for at in range(start, len(lines)) if not lines[at].startswith("|")), len(lines))
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines[start:end]]


def states(name: str, *facts: object) -> bool:
    """Whether one paragraph of the page has all these facts (numbers, names, options) as whole words, in any order."""
    paragraphs = (" ".join(text.replace("`", "").split()) for text in page(name).split("\n\n"))
    return any(all(_has(text, str(fact)) for fact in facts) for text in paragraphs)


def headings(text: str, first: str) -> list[str]:
    """The headings of a table as the command line prints it: of the line of `text` that begins with `first`."""
    [line] = [line for line in text.splitlines() if line.split()[:1] == [first] and "  " in line.strip()]
    return re.split(r" {2,}", line.strip())


def _has(text: str, fact: str) -> bool:
    return re.search(rf"(?<![\w.,]){re.escape(fact)}(?![\w]|[.,]\d)", text) is not None

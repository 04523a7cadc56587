"""Sizes of the project's code and the words in it: `python -m tests.house` prints them, test_house.py bounds them."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
PACKAGES = ("protocol", "channel_server", "agent_node", "schemes", "controller", "airtoll", "benchmarks")
MAX_CLASS_LINES = 200
MAX_FILE_LINES = 400
LONG_FUNCTION_LINES = 30
# Names that a reader of the field would have to look up; docs/glossary.md has the standard terms.
PRIVATE_WORDS = re.compile(
    "told|tells?|said|says?|heard|hears?|cure|patience|patience_s|beside|keeper|desk|wishes|parties|foresee|unseen|"
    "carry_out|goes_on|meanwhile|garbled|insist|heed|Letter|Passage|Lane|Moment|Keeper|Keeping|Teller|Desk|Watches|"
    "Wishes|Doorman|Strangers|Held|Delivery|Chance|AtTheCloud|OwnTrainer"
)


class Place(NamedTuple):
    """Something in a file that has a size."""

    lines: int
    where: str


def modules() -> Iterator[tuple[str, ast.Module]]:
    """Every module of the packages by its path."""
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            yield str(path.relative_to(ROOT)), ast.parse(path.read_text("utf-8"))


def files() -> list[Place]:
    """Every module and its length, the longest first."""
    paths = (path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
    return sorted(Place(len(path.read_text("utf-8").splitlines()), str(path.relative_to(ROOT))) for path in paths)[::-1]


def classes() -> list[Place]:
    """Every class and its length, the longest first."""
    return _sizes(ast.ClassDef)


def functions() -> list[Place]:
    """Every function and its length without its docstring, the longest first."""
    return _sizes(ast.FunctionDef, ast.AsyncFunctionDef)


def private_words() -> list[str]:
    """Where an identifier of ours is one of the private words. Attributes that are read may be a library's."""
    return [
        f"{path}:{getattr(node, 'lineno', 0)} {name}"
        for path, tree in modules()
        for node in ast.walk(tree)
        for name in _names(node)
        if PRIVATE_WORDS.fullmatch(name)
    ]


def arrows(package: str) -> set[tuple[str, str]]:
    """Which room of a package imports which: (room, room), a room being a subpackage or a module beside it."""
    found = set()
    for path, tree in modules():
        parts = path.removesuffix(".py").split("/")
        if parts[0] != package or len(parts) < 2:
            continue
        targets = [target.split(".") for node in ast.walk(tree) for target in _imported(node)]
        found |= {(parts[1], target[1]) for target in targets if target[0] == package and len(target) > 1}
    return {(source, target) for source, target in found if source != target}


def _imported(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom) and node.module:
        return [f"{node.module}.{alias.name}" for alias in node.names]
    return []


def _sizes(*kinds: type[ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef]) -> list[Place]:
    found = [
        Place(_length(node), f"{path}:{node.lineno} {node.name}")
        for path, tree in modules()
        for node in ast.walk(tree)
        if isinstance(node, kinds)
    ]
    return sorted(found, reverse=True)


def _length(node: ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines of a definition; of a function without those of its docstring."""
    lines = (node.end_lineno or node.lineno) - node.lineno + 1
    first = node.body[0]
    is_docstring = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
    if isinstance(node, ast.ClassDef) or not is_docstring:
        return lines
    return lines - ((first.end_lineno or first.lineno) - first.lineno + 1)


def _names(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load):
        return []
    names = (getattr(node, field, None) for field in ("id", "name", "arg", "attr"))
    return [name for name in names if isinstance(name, str)]


def main() -> None:
    """Print the figures."""
    long = [place for place in functions() if place.lines > LONG_FUNCTION_LINES]
    print(f"functions over {LONG_FUNCTION_LINES} lines: {len(long)}")
    print(f"classes over {MAX_CLASS_LINES} lines: {sum(place.lines > MAX_CLASS_LINES for place in classes())}")
    print(f"files over {MAX_FILE_LINES} lines: {sum(place.lines > MAX_FILE_LINES for place in files())}")
    print(f"imports between rooms of controller/: {len(arrows('controller'))}")
    print(f"private words: {len(private_words())}")
    for place in [*long[:10], *classes()[:5], *files()[:5]]:
        print(f"  {place.lines:4d} {place.where}")


if __name__ == "__main__":
    main()

"""The text of a configuration, YAML or JSON, as values of JSON's types.

A text may come from anybody. Every step takes time and memory in proportion to its length, what it expands to is
limited, and whatever has no form in JSON (dates, binary data, sets, keys that are lists) is rejected.
"""

import json
import re
from typing import Any

import yaml
from yaml.constructor import ConstructorError, SafeConstructor

MAX_DEPTH = 32
MAX_VALUES = 100_000
_MAX_PROBLEM = 300  # characters
_TOO_DEEP = f"nested deeper than {MAX_DEPTH} levels"
_TAG = "tag:yaml.org,2002:"
_SCALARS = {f"{_TAG}{name}" for name in ("null", "bool", "int", "float", "str")}
_TYPES = _SCALARS | {f"{_TAG}seq", f"{_TAG}map"}

_Path = tuple[Any, Any] | None  # (the path of what is around, a key or index): joined only for a message


class FormatError(ValueError):
    """A text that cannot be read; `line` counts from 1, where it is known."""

    def __init__(self, problem: str, line: int | None = None) -> None:
        super().__init__(problem, line)
        self.problem, self.line = problem, line

    def __str__(self) -> str:
        return self.problem if self.line is None else f"line {self.line}: {self.problem}"


def parse_json(text: str) -> Any:
    """JSON without NaN and Infinity, and no key twice. FormatError."""
    try:
        data = json.loads(text, object_pairs_hook=_unique_keys, parse_int=_integer, parse_constant=_reject_constant)
    except RecursionError:
        raise FormatError(_TOO_DEEP) from None
    except json.JSONDecodeError as error:
        raise FormatError(error.msg, error.lineno) from error
    return _within_limits(data)


def parse_yaml(text: str, *, aliases: bool = True) -> Any:
    """YAML with 1e-3 as a number, keys as text, and no key twice. FormatError, also for an alias if they are not
    allowed."""
    loader = None
    try:
        loader = _StrictLoader(text)
        loader.aliases = aliases
        data = loader.get_single_data()
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        problem = " ".join(str(getattr(error, "problem", None) or error).split())
        raise FormatError(problem[:_MAX_PROBLEM], mark.line + 1 if mark else None) from error
    except (OverflowError, ValueError) as error:  # PyYAML's scanner: \UFFFFFFFF, %YAML 1.999...
        raise FormatError(str(error), None if loader is None else loader.line + 1) from error
    return _within_limits(data)


class _StrictLoader(yaml.SafeLoader):
    """Reads JSON's types alone, and rejects what the plain loader accepts in silence."""

    aliases = True
    _depth = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        """The depth is limited here, where PyYAML calls itself for every level."""
        event: Any = self.peek_event()  # type: ignore[no-untyped-call]
        if not self.aliases and isinstance(event, yaml.AliasEvent):
            problem = f"the alias *{event.anchor} is not allowed: repeat the text that it stands for"
            raise ConstructorError(problem=problem, problem_mark=self.get_mark())
        if self._depth > MAX_DEPTH:
            raise ConstructorError(problem=_TOO_DEEP, problem_mark=self.get_mark())
        self._depth += 1
        node = super().compose_node(parent, index)
        self._depth -= 1
        return node

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        """Keys are the text that is written; each may be there once."""
        node = super().compose_mapping_node(anchor)
        seen = set[str]()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise ConstructorError(problem="a key must be text, not a list or a map", problem_mark=key.start_mark)
            if key.value in seen:
                problem = f"key {shortened(key.value)} is written twice"
                raise ConstructorError(problem=problem, problem_mark=key.start_mark)
            seen.add(key.value)
            if key.tag in _SCALARS:
                key.tag = f"{_TAG}str"
        return node

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        """PyYAML's constructors raise whatever Python does: KeyError for `!!bool abc`, IndexError for `!!int ""`."""
        try:
            return super().construct_object(node, deep)
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
            problem = f"{shortened(node.value)} is not of the type {node.tag.removeprefix(_TAG)}"
            raise ConstructorError(problem=problem, problem_mark=node.start_mark) from error


_StrictLoader.yaml_constructors = {
    tag: build for tag, build in SafeConstructor.yaml_constructors.items() if tag is None or tag in _TYPES
}
_StrictLoader.yaml_implicit_resolvers = {  # 2026-01-01 is text, and so is =
    first: [(tag, pattern) for tag, pattern in resolvers if tag in {*_TYPES, f"{_TAG}merge"}]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
# YAML 1.1 reads 1e-3 as text, since it has no dot.
_StrictLoader.add_implicit_resolver(
    f"{_TAG}float", re.compile(r"^[-+]?(\d+(\.\d*)?|\.\d+)[eE][-+]?\d+$"), list("-+.0123456789")
)


def shortened(text: Any) -> str:
    """A piece of a foreign text in a message."""
    shown = repr(text)
    return shown if len(shown) <= 60 else f"{shown[:60]}..."


def _within_limits(data: Any) -> Any:
    """The data itself. FormatError for too much of it, and for values that cannot be written or sent again."""
    pending: list[tuple[Any, _Path, int]] = [(data, None, 0)]
    values = 0
    while pending:
        value, path, depth = pending.pop()
        values += 1
        if values > MAX_VALUES:
            raise FormatError(f"more than {MAX_VALUES} values")
        if isinstance(value, dict | list) and depth == MAX_DEPTH:
            raise FormatError(_TOO_DEEP)
        if fault := _fault(value):
            raise FormatError(f"{_dotted(path)}{fault}")
        if isinstance(value, dict):
            pending += [(key, path, depth) for key in value]
            pending += [(one, (path, key), depth + 1) for key, one in value.items()]
        elif isinstance(value, list):
            pending += [(one, (path, key), depth + 1) for key, one in enumerate(value)]
    return data


def _fault(value: Any) -> str:
    """Why a value is not allowed; empty if it is."""
    match value:
        case int() if not -(2**63) <= value < 2**63:  # as large as messages and arrays can hold
            return "the number is too large: whole numbers must be below 2**63"
        case str() if "\0" in value:
            return f"{shortened(value)} is not allowed: leave out the NUL character"
        case str() if not value.isascii() and any("\ud800" <= character <= "\udfff" for character in value):
            return f"{shortened(value)} is not allowed: it has half of a surrogate pair"
        case _:
            return ""


def _dotted(path: _Path) -> str:
    """`world.pairs: `; empty for the whole text."""
    keys: list[str] = []
    while path is not None:
        path, key = path
        keys.append(shortened(key) if isinstance(key, str) and not (key.isprintable() and len(key) <= 60) else str(key))
    return f"{'.'.join(reversed(keys))}: " if keys else ""


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    data = dict(pairs)
    if len(data) < len(pairs):
        seen = set[str]()
        for key, _ in pairs:
            if key in seen:
                raise FormatError(f"key {shortened(key)} appears twice")
            seen.add(key)
    return data


def _integer(text: str) -> int:
    """2**64 for every number of more than 20 digits: `_within_limits` rejects it, and names its key."""
    return int(text) if len(text) <= 20 else 2**64


def _reject_constant(name: str) -> Any:
    raise FormatError(f"{name} is not a JSON number")

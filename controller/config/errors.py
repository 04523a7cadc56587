"""Messages for invalid settings: the key, the value and a suggested fix."""

import difflib
import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from traceback import FrameSummary, extract_tb
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

_MAX_VALUE = 60
_FRAMES = 3  # of a fault in a scheme's or world's own code: the innermost calls
_MIN_PREFIX = 4  # characters: `evaluation` for eval
_MAX_FAULTS = 20  # a client's configuration may have a hundred thousand

_FIXES = {
    "greater_than_equal": "must be at least {ge}",
    "greater_than": "must be more than {gt}",
    "less_than_equal": "must be at most {le}",
    "less_than": "must be less than {lt}",
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "finite_number": "must be a finite number",
    "bool_type": "must be true or false",
    "string_type": "must be text; put quotes around it",
    "too_short": "must have at least {min_length}",
    "too_long": "must have at most {max_length}",
    "literal_error": "must be {expected}",
    "model_type": "must be keys with values",
    "dict_type": "must be keys with values",
}


class ConfigError(ValueError):
    """The settings describe no run that can be executed. One fault per line."""


@contextmanager
def reported_as(key: str) -> Iterator[None]:
    """What the code of a world or scheme raises, as a ConfigError of the key: the text of a ValueError, which names a
    fix; of any other exception, a fault of that code, also where it is."""
    try:
        yield
    except (ValueError, MemoryError) as error:
        raise ConfigError(f"{key}: {error}") from error
    except Exception as error:
        frames = extract_tb(error.__traceback__)[2:]  # without this function's and that of the `with`
        calls = "; called by ".join(_call(frame) for frame in reversed(frames[-_FRAMES:]))
        raise ConfigError(f"{key}: its code fails with {type(error).__name__}: {error} at {calls}") from error


def unknown(what: str, name: str, known: Iterable[str]) -> str:
    """A name that does not exist: the known names, and the nearest of them."""
    return f"no {what} named {shown(name)}; {_choices(name[:_MAX_VALUE], sorted(known))}"


def invalid(key: str, value: Any, fix: str) -> str:
    """One fault: `world.rbs: 0 is not allowed: must be at least 1`."""
    return f"{key}: {shown(value)} is not allowed: {fix}"


def format_validation_error(error: ValidationError, model: type[BaseModel]) -> list[str]:
    """The faults pydantic found in data for `model`, one line each: the first ones, and how many more there are."""
    faults = error.errors(include_url=False)
    more = [f"and {len(faults) - _MAX_FAULTS} more faults; correct these first"] if faults[_MAX_FAULTS:] else []
    return [_line(fault, model) for fault in faults[:_MAX_FAULTS]] + more


def shown(value: Any) -> str:
    """A value as in YAML, truncated when long."""
    text = repr(value) if isinstance(value, str) else json.dumps(value, default=str)
    return text if len(text) <= _MAX_VALUE else text[:_MAX_VALUE] + "..."


def _call(frame: FrameSummary) -> str:
    """`my_scheme/my_scheme.py:45 in __init__: self._gain = welcome.views["gain"]`, on one line."""
    path = Path(frame.filename)
    near = path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else Path(*path.parts[-2:])
    return f"{near}:{frame.lineno} in {frame.name}: {' '.join((frame.line or '').split())}"


def _line(fault: ErrorDetails, model: type[BaseModel]) -> str:
    key = ".".join(map(_shown_key, fault["loc"]))
    match fault["type"]:
        case "missing":
            return f"{key}: is missing; give it a value"
        case "extra_forbidden":
            known = sorted(_model_at(model, fault["loc"][:-1]).model_fields)
            return invalid(key, fault["input"], f"no such key; {_choices(_shown_key(fault['loc'][-1]), known)}")
        case _:
            return invalid(key, fault["input"], _fix(fault))


def _shown_key(key: str | int) -> str:
    """A key as it is, or as a short text in quotes if it is none that anybody would give."""
    text = str(key)
    return text if text.isprintable() and len(text) <= _MAX_VALUE else shown(text)


def _fix(fault: ErrorDetails) -> str:
    known = _FIXES.get(fault["type"])
    bounds = {key: _plain(value) for key, value in fault.get("ctx", {}).items()}
    return known.format(**bounds) if known else fault["msg"].replace("Input should", "must")


def _plain(bound: Any) -> Any:
    """1 for 1.0: pydantic turns the integer bounds of a float field into floats."""
    return int(bound) if isinstance(bound, float) and bound.is_integer() else bound


def _choices(name: str, known: list[str]) -> str:
    near = nearest(name, known)
    hint = f"; did you mean {' or '.join(map(repr, near))}?" if near else ""
    return f"known: {', '.join(known) or 'none'}{hint}"


def nearest(name: str, known: Iterable[str]) -> list[str]:
    """The known names that were meant: those that end in `/name`, or the one that is spelt most like it, or that it
    begins with."""
    names = list(known)
    if ends := [one for one in names if one.rpartition("/")[2] == name and one != name]:
        return ends
    by_end = {one.rpartition("/")[2]: one for one in names}
    if near := difflib.get_close_matches(name, names, n=1) or difflib.get_close_matches(name, by_end, n=1):
        return [by_end.get(near[0], near[0])]
    return [one for one in names if len(one) >= _MIN_PREFIX and (name.startswith(one) or one.startswith(name))][:1]


def _model_at(model: type[BaseModel], path: tuple[int | str, ...]) -> type[BaseModel]:
    """The model of a nested key; optional ones (`Phases | None`) included."""
    for key in path:
        hint = model.model_fields[str(key)].annotation
        options = [hint, *getattr(hint, "__args__", ())]
        model = next(option for option in options if isinstance(option, type) and issubclass(option, BaseModel))
    return model

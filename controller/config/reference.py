"""The reference of a run's keys, from its models: rows for docs/configuration.md, and commented files."""

import re
import textwrap
from collections.abc import Iterator
from typing import Any, NamedTuple, get_args

import yaml
from pydantic import BaseModel

from controller.config.catalogue import Entry, params_schema, scheme_named, world_named
from controller.config.errors import ConfigError
from controller.config.layers import Layer
from controller.config.meanings import MEANINGS, Meaning
from controller.config.resolved import resolve
from controller.config.run_config import RunConfig, as_mapping, parse
from controller.config.signalling import Signalling
from schemes.contract import Scheme

_TRAINED = {"warmup": 500, "train": 4000, "eval": 1000, "rounds": 1}
_UNTRAINED = {"warmup": 0, "train": 0, "eval": 1000, "rounds": 1}
_WIDTH = 100
_BOUNDS = {"minimum": ">=", "exclusiveMinimum": ">", "maximum": "<=", "exclusiveMaximum": "<"}
_CHOICES = ("world", "scheme")


class KeyInfo(NamedTuple):
    """A key as a table shows it."""

    key: str
    type: str
    default: str
    meaning: Meaning


def keys() -> list[KeyInfo]:
    """Every key of a run, in the order of the models. KeyError for one without a meaning."""
    return list(_keys(RunConfig, ""))


def markdown() -> str:
    """The table of keys for docs/configuration.md."""
    rows = [(f"`{k.key}`", k.type, k.default, k.meaning.unit, k.meaning.effect) for k in keys()]
    lines = ["| key | type | default | unit | effect |", "| --- | --- | --- | --- | --- |"]
    return "".join(f"{line}\n" for line in [*lines, *(f"| {' | '.join(cells)} |" for cells in rows)])


def commented(world: str, scheme: str) -> str:
    """A run's file with every key, its default and its meaning. ConfigError for a world and a scheme that do not go
    together, and for a scheme with a parameter that has no default."""
    entries: dict[str, Entry] = {"world": world_named(world), "scheme": scheme_named(scheme)}
    for part, entry in entries.items():
        if missing := params_schema(entry).get("required", ["name"])[1:]:
            fix = f"write it by hand: scheme: {{name: {scheme}, {missing[0]}: ...}}"
            raise ConfigError(f"{part}.{missing[0]}: has no default; {fix}")
    chosen = entries["scheme"]
    phases = _TRAINED if isinstance(chosen, Scheme) and chosen.learns else _UNTRAINED
    config = parse(Layer({"world": world, "scheme": scheme, "phases": phases}))
    resolve(config)
    return "".join(f"{line}\n" for line in _file(as_mapping(config), entries))


def _file(data: dict[str, Any], entries: dict[str, Entry]) -> Iterator[str]:
    yield "# A run: airtoll run FILE. Keys that keep their defaults can be deleted."
    for key, value in data.items():
        yield ""
        if key in _CHOICES:
            yield from _choice(key, value, params_schema(entries[key])["properties"])
        elif isinstance(value, dict):
            yield f"{key}:"
            for inner, one in value.items():
                yield from _commented(f"{key}.{inner}", inner, one, "  ")
        else:
            yield from _commented(key, key, value, "")


def _choice(key: str, value: dict[str, Any], schemas: dict[str, Any]) -> Iterator[str]:
    yield f"{key}:"
    for name, one in value.items():
        schema = schemas[name]
        unit = f" [{schema['unit']}]" if schema.get("unit") not in (None, "", "1") else ""
        if text := f"{schema.get('description', '')}{unit}".strip():
            yield from _comment(text, "  ")
        yield _line(name, one, "  ")


def _commented(path: str, key: str, value: Any, indent: str) -> Iterator[str]:
    if meaning := MEANINGS.get(path):
        unit = f" [{meaning.unit}]" if meaning.unit else ""
        plain = re.sub(r"\[([^\]]+)\]\([^)]*\)", r"\1", meaning.effect).replace(" (below)", "")
        yield from _comment(plain + unit, indent)
    yield _line(key, value, indent)


def _comment(text: str, indent: str) -> list[str]:
    return textwrap.wrap(text, _WIDTH, initial_indent=f"{indent}# ", subsequent_indent=f"{indent}# ")


def _line(key: str, value: Any, indent: str) -> str:
    in_list = yaml.safe_dump([value], default_flow_style=True, width=10**6, allow_unicode=True)
    return f"{indent}{key}: {in_list.strip()[1:-1]}"


def _keys(model: type[BaseModel], prefix: str) -> Iterator[KeyInfo]:
    schema = model.model_json_schema()
    for name, field in model.model_fields.items():
        key, default = f"{prefix}{name}", field.get_default(call_default_factory=True)
        if nested := _nested(field.annotation, default):
            yield from _keys(nested, f"{key}.")
        else:
            shown = "required" if field.is_required() else _shown(default)
            yield KeyInfo(key, _type(name, schema["properties"][name]), shown, MEANINGS[key])


def _nested(annotation: Any, default: object) -> type[BaseModel] | None:
    """The model of a key that has keys of its own; the signalling model has a page of its own."""
    if isinstance(default, BaseModel):
        return None if isinstance(default, Signalling) else type(default)
    models = [kind for kind in get_args(annotation) if isinstance(kind, type) and issubclass(kind, BaseModel)]
    return models[0] if default is None and models else None


def _type(name: str, schema: dict[str, Any]) -> str:
    if name in _CHOICES:
        return "name, or name and parameters"
    if name == "signalling":
        return "`ideal`, or keys"
    if "anyOf" in schema:
        return " or ".join(dict.fromkeys(_type("", one) for one in schema["anyOf"]))
    if "enum" in schema or "const" in schema:
        return ", ".join(f"`{value}`" for value in schema.get("enum", [schema.get("const")]))
    names = {"integer": "whole number", "number": "number", "boolean": "true or false", "string": "text"}
    kind = names.get(schema.get("type", ""), {"array": "list", "object": "keys"}.get(schema.get("type", ""), "null"))
    bounds = [f"{sign} {schema[bound]:,}" for bound, sign in _BOUNDS.items() if abs(schema.get(bound, 2**62)) < 2**62]
    return " ".join([kind, ", ".join(bounds)]).strip()


def _shown(default: object) -> str:
    if isinstance(default, Signalling):
        return "`ideal`"
    if isinstance(default, bool) or default is None or default == ():
        return {True: "true", False: "false", None: "null", (): "[]"}[default]
    return (
        f"{default:g}" if isinstance(default, float) else f"`{default}`" if isinstance(default, str) else str(default)
    )

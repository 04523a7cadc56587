"""JSON schemas of a run's and a study's file, with the installed worlds and schemes: editors complete YAML by them."""

from collections.abc import Mapping
from typing import Any

from controller.config.catalogue import Entry, params_schema, schemes, worlds
from controller.config.meanings import MEANINGS
from controller.config.run_config import RunConfig

_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_KEYS = {"type": "object", "additionalProperties": True}


def of_run() -> dict[str, Any]:
    """The schema of a run's configuration."""
    schema = RunConfig.model_json_schema()
    properties, definitions = schema["properties"], schema["$defs"]
    definitions.pop("Choice")
    for key, entries in (("world", worlds()), ("scheme", schemes())):
        properties[key] = _choice(key, entries, definitions)
    properties["signalling"] = {"anyOf": [{"const": "ideal"}, {"$ref": "#/$defs/Signalling"}], "default": "ideal"}
    _describe(properties, definitions, "")
    return {"$schema": _DIALECT, "title": "A run of airtoll", **{k: v for k, v in schema.items() if k != "title"}}


def of_study() -> dict[str, Any]:
    """The schema of a study of runs. An axis of a grid may be any key of a run."""
    run = of_run()
    partial = {"type": "object", "properties": run["properties"], "additionalProperties": False}
    plots = {"type": "array", "items": _KEYS}
    part = {"type": "object", "properties": {"run": {"$ref": "#/$defs/run"}, "grid": _KEYS, "plots": plots}}
    return {
        "$schema": _DIALECT,
        "title": "A study of airtoll",
        "type": "object",
        "required": ["run"],
        "additionalProperties": False,
        "properties": {
            "run": {"$ref": "#/$defs/run", "description": "what all runs share; an axis of the grid may be missing"},
            "seeds": {"type": "array", "items": {"type": "integer", "minimum": 0}, "minItems": 1, "default": [1]},
            "metrics": {"type": "array", "items": {"type": "string"}, "description": "columns; by default all"},
            "compare_to": {**_KEYS, "description": "label by axis: the cells from which summary.csv takes differences"},
            "budget": {
                "enum": ["equal updates", "equal bytes", "equal slots"],
                "description": "checked in the results",
            },
            "formats": {"type": "array", "items": {"enum": ["png", "pdf", "svg"]}, "minItems": 1, "default": ["png"]},
            "width": {"enum": ["one column", "two columns", "screen"], "default": "screen"},
            "colours": {"type": "object", "additionalProperties": {"type": "string", "pattern": "^#[0-9A-Fa-f]{6}$"}},
            "grid": {**_KEYS, "description": "values by axis, such as world.load: [0.3, 0.4]"},
            "plots": plots,
            "sweeps": {"type": "object", "additionalProperties": part, "description": "several grids, by name"},
            "train": part,
            "evaluate": part,
        },
        "$defs": run["$defs"] | {"run": partial},
    }


def _choice(key: str, entries: Mapping[str, Entry], definitions: dict[str, Any]) -> dict[str, Any]:
    """A name alone, or the name with the parameters of that entry."""
    for name, entry in entries.items():
        own = params_schema(entry)
        definitions |= own.pop("$defs", {})
        definitions[f"{key} {name}"] = own
    return {
        "description": MEANINGS[key].effect,
        "anyOf": [{"enum": list(entries)}, *({"$ref": f"#/$defs/{_escaped(f'{key} {name}')}"} for name in entries)],
    }


def _escaped(name: str) -> str:
    """A name in a JSON pointer in a URL."""
    return name.replace("~", "~0").replace("/", "~1").replace(" ", "%20")


def _describe(properties: dict[str, Any], definitions: Mapping[str, Any], prefix: str) -> None:
    """Give every key its meaning."""
    nested = {"phases": "Phases", "on_node_loss": "OnNodeLoss", "clock": "Clock", "start": "Start", "record": "Record"}
    for name, schema in properties.items():
        if meaning := MEANINGS.get(f"{prefix}{name}"):
            schema["description"] = meaning.effect
        if not prefix and name in nested:
            _describe(definitions[nested[name]]["properties"], {}, f"{name}.")

"""Where a run's settings come from: command line over environment over file, each a mapping of nested keys."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from controller.config.errors import ConfigError, shown
from controller.config.formats import MAX_DEPTH, FormatError, parse_yaml
from schemes.parts import embedded_file
from schemes.parts.embedded_file import EmbeddedFile

_VARIABLE_PREFIX = "AIRTOLL_"
_NOT_SETTINGS = (  # of a run: they belong to the client, the service and the pool
    *("AIRTOLL_URL", "AIRTOLL_TOKEN", "AIRTOLL_TOKEN_FILE", "AIRTOLL_DB"),
    *("AIRTOLL_POOL", "AIRTOLL_RUN_PROCESS_PORTS", "AIRTOLL_KEYS"),
)
_CHOICES = ("world", "scheme")
_EXCLUSIVE = {"slots": "phases", "phases": "slots"}
FILE_SUFFIXES = (".yaml", ".yml")
WEIGHTS_SUFFIX = ".safetensors"


@dataclass(frozen=True)
class Layer:
    """Settings from one source. `sources`: where dotted keys were set, for error messages; without those of a file."""

    data: dict[str, Any]
    sources: dict[str, str] = field(default_factory=dict)

    def overridden_by(self, other: "Layer") -> "Layer":
        """Both, where `other` wins. `slots` and `phases` are two forms of one setting: the one in `other` wins."""
        below = {key: value for key, value in self.data.items() if _EXCLUSIVE.get(key) not in other.data}
        # Names are expanded below, not in `other`: there a bare name replaces a choice together with its parameters.
        return Layer(_merged(expanded(below), other.data), self.sources | other.sources)

    def source(self, key: str) -> str:
        """Where a key, or a key around or inside it, was set; empty for the file."""
        near = (s for k, s in self.sources.items() if f"{k}.".startswith(f"{key}.") or f"{key}.".startswith(f"{k}."))
        return next(near, "")


def from_mapping(data: Mapping[str, Any], base: Path) -> Layer:
    """Settings from a mapping; relative paths among the parameters of world, scheme and baselines are relative to
    `base`."""
    return Layer(_with_files(dict(data), base))


def from_file(path: Path) -> Layer:
    """A YAML file's settings. ConfigError for one that cannot be read, with the line where that is known."""
    try:
        data = parse_yaml(path.read_text("utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}; give the path of a YAML file") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: not a text file ({error}); give the path of a YAML file") from error
    except FormatError as error:
        at = "" if error.line is None else f", line {error.line}"
        raise ConfigError(f"{path}{at}: {error.problem}; correct the YAML there") from error
    if not isinstance(data, dict | None):
        raise ConfigError(f"{path}: {shown(data)} is not allowed: write keys with values, such as world: d2d_underlay")
    return from_mapping(data or {}, path.absolute().parent)


def from_environment(environment: Mapping[str, str]) -> Layer:
    """AIRTOLL_WORLD__PAIRS=20 is world.pairs: 20. An unknown variable is rejected like any other unknown key."""
    names = [n for n in sorted(environment) if n.startswith(_VARIABLE_PREFIX) and n not in _NOT_SETTINGS]
    layer = Layer({})
    for name in names:
        key = name.removeprefix(_VARIABLE_PREFIX).lower().replace("__", ".")
        layer = layer.overridden_by(_single(key, environment[name], source=name))
    return layer


def from_assignment(text: str) -> Layer:
    """One `key=value` of the command line; ConfigError without a `=`."""
    key, equals, value = text.partition("=")
    if not (equals and key):
        raise ConfigError(f"--set {text!r} is not allowed: write key=value, such as --set world.pairs=20")
    return _single(key.strip(), value, source="--set")


def from_setting(key: str, value: Any, *, base: Path, source: str) -> Layer:
    """One setting by its dotted key, such as world.pairs."""
    parts = key.split(".")
    if len(parts) > MAX_DEPTH:
        raise ConfigError(f"{source}: {shown(key)} is not a key: it has more than {MAX_DEPTH} parts")
    data = value
    for part in reversed(parts):
        data = {part: data}
    return Layer(_with_files(data, base), {key: source})


def expanded(data: dict[str, Any]) -> dict[str, Any]:
    """`world: d2d_underlay` is short for `world: {name: d2d_underlay}`."""
    return data | {key: {"name": data[key]} for key in _CHOICES if isinstance(data.get(key), str)}


def _single(key: str, text: str, *, source: str) -> Layer:
    try:
        data = parse_yaml(text)
    except FormatError as error:
        raise ConfigError(f"{source}: {key}: {shown(text)} is not allowed: not YAML, {error}") from error
    return from_setting(key, data, base=Path.cwd(), source=source)


def _merged(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in over.items():
        below = merged.get(key)
        merged[key] = _merged(below, value) if isinstance(below, dict) and isinstance(value, dict) else value
    return merged


def _with_files(data: dict[str, Any], base: Path) -> dict[str, Any]:
    """Parameters of world, scheme and baselines that name a file, relative to `base`: a YAML file's path is made
    absolute, as the run may be executed in another folder; a network's file is replaced by its content, as other
    machines need it."""
    chosen = {key: _with_params(data[key], base) for key in _CHOICES if key in data}
    start, baselines = data.get("start"), data.get("baselines")
    if isinstance(start, dict) and isinstance(start.get("weights"), str):
        chosen["start"] = start | {"weights": _absolute_start(start["weights"], base)}
    if isinstance(baselines, list):
        chosen["baselines"] = [_with_params(one, base) for one in baselines]
    return data | chosen


def _with_params(choice: Any, base: Path) -> Any:
    """A world or scheme with its parameters; a bare name has none."""
    return {k: _with_file(v, base) for k, v in choice.items()} if isinstance(choice, dict) else choice


def _with_file(value: Any, base: Path) -> Any:
    if isinstance(value, list):
        return [_with_file(one, base) for one in value]
    if not isinstance(value, str):
        return value
    if value.endswith(embedded_file.SUFFIXES):
        return _embedded(base / value)
    return str(base / value) if value.endswith(FILE_SUFFIXES) else value


def _embedded(path: Path) -> str:
    try:
        return embedded_file.embed(EmbeddedFile(path.name, path.read_bytes()))
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}; give the path of a network's file") from error
    except ValueError as error:
        raise ConfigError(f"{path}: {error}") from error


def _absolute_start(value: str, base: Path) -> str:
    """The path of weights, from `base`; or a run's id, as it is."""
    is_id = not (names_a_path(value) or (base / value).exists())
    return value if is_id else str(base / value)


def names_a_path(value: str) -> bool:
    """Whether weights to start from are given by a path, not by a run's id."""
    return "/" in value or value.startswith(".") or value.endswith(WEIGHTS_SUFFIX)

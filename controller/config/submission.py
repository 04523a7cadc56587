"""A run as it is submitted to a controller: a client's text, resolved within what the controller allows a run."""

from pathlib import Path
from typing import Any

import msgspec

from controller.config.catalogue import parameters, world_named
from controller.config.errors import ConfigError, invalid
from controller.config.formats import FormatError, parse_json, parse_yaml
from controller.config.layers import FILE_SUFFIXES, WEIGHTS_SUFFIX, Layer, names_a_path
from controller.config.resolved import ResolvedRun, resolve
from controller.config.run_config import RunConfig, parse
from schemes.parts import embedded_file

_GIB = 2**30


def resolve_submission(body: bytes, *, is_yaml: bool, max_memory_bytes: int, runs: Path) -> ResolvedRun:
    """The run that a text describes, YAML or JSON. FormatError for a text that is neither; ConfigError for a run that
    cannot be executed, names files, or needs more memory than allowed, which is checked before anything is built.
    `runs`: the folder of the controller's runs, one of which this one may start from."""
    data = _parsed(body, is_yaml=is_yaml)
    if not isinstance(data, dict):
        raise ConfigError(invalid("body", data, "send keys with values, such as world and scheme"))
    if faults := _local_settings(data):
        raise ConfigError("\n".join(faults))
    config = parse(Layer(data)).model_copy(update={"out": str(runs)})
    _check_memory(config, max_memory_bytes)
    return resolve(config)


def _parsed(body: bytes, *, is_yaml: bool) -> Any:
    try:
        text = body.decode()
    except UnicodeDecodeError as error:
        raise FormatError(f"not UTF-8 ({error})") from error
    # with aliases one line of text may stand for gigabytes
    return parse_yaml(text, aliases=False) if is_yaml else parse_json(text)


def _local_settings(data: dict[str, Any]) -> list[str]:
    """Faults for settings that concern the controller's own machine."""
    faults = [invalid("out", data["out"], "remove it: the controller has its own folder")] if "out" in data else []
    start = data.get("start")
    weights = start.get("weights") if isinstance(start, dict) else None
    if isinstance(weights, str) and names_a_path(weights):
        fix = "a run submitted by REST cannot name files of the controller's machine: give the id of one of its runs"
        faults.append(invalid("start.weights", weights, fix))
    baselines = data.get("baselines")
    chosen = [(key, data.get(key)) for key in ("world", "scheme")]
    chosen += [("baselines", one) for one in baselines] if isinstance(baselines, list) else []
    return faults + [
        invalid(f"{key}.{name}", value, problem)
        for key, settings in chosen
        if isinstance(settings, dict)
        for name, given in settings.items()
        for value in (given if isinstance(given, list) else [given])
        if isinstance(value, str) and (problem := _problem_of_file(value))
    ]


def _problem_of_file(value: str) -> str:
    """Why a client's parameter must not name or contain this file; "" for any other text."""
    if value.endswith((*FILE_SUFFIXES, *embedded_file.SUFFIXES)):
        return "a run submitted by REST cannot name files of the controller's machine"
    name = embedded_file.name_in(value)
    # TorchScript is a program: it may write files where it runs
    if name != value and not name.endswith(WEIGHTS_SUFFIX):
        return "a run submitted by REST cannot bring TorchScript; save the network as safetensors"
    return ""


def _check_memory(config: RunConfig, max_memory_bytes: int) -> None:
    entry = world_named(config.world.name)
    try:
        needed = entry.memory_bytes(msgspec.convert(parameters(config.world), entry.params), config.replicas)
    except ValueError as error:
        raise ConfigError(f"world: {error}") from error
    if needed > max_memory_bytes:
        raise ConfigError(
            f"world: {config.replicas} replicas of this {entry.name} need about {needed / _GIB:.1f} GiB of memory; "
            f"this controller allows a run {max_memory_bytes / _GIB:.1f}: make it smaller, or start the controller "
            "with a larger --max-run-memory"
        )

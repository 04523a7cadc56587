"""The installed worlds and schemes, found by looking through their packages, and models of their parameters.

A world is a module in channel_server.worlds that offers `WORLD`; a scheme a module in schemes.<paper> that offers
`SCHEME`; those of other packages are entry points (protocol.plugins). There is no list to keep.
"""

import dataclasses
import sys
from collections.abc import Callable, Collection, Iterator
from functools import cache
from importlib import import_module
from pkgutil import iter_modules
from types import ModuleType
from typing import Any, Literal, TypeVar, get_type_hints

from pydantic import BaseModel, ConfigDict, Field, create_model

import channel_server.worlds
import schemes as scheme_papers
from channel_server.worlds.contract import WorldEntry
from channel_server.worlds.contract import load as load_world
from controller.config.errors import ConfigError, unknown
from protocol.plugins import Group, installed
from schemes.contract import EVERY_WORLD, Scheme
from schemes.contract import load as load_scheme
from schemes.offline_study import OfflineStudy
from schemes.offline_study import load as load_offline_study

Entry = WorldEntry | Scheme | OfflineStudy
_T = TypeVar("_T", WorldEntry, Scheme, OfflineStudy)

STRICT = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class Choice(BaseModel):
    """A world or scheme by name, with its parameters. `choice_model` makes the subclass of an entry."""

    model_config = STRICT

    name: str


@cache
def worlds() -> dict[str, WorldEntry]:
    """All worlds by name, sorted; those of other packages last."""
    ours = {m.WORLD.name: m.WORLD for m in _modules(channel_server.worlds) if hasattr(m, "WORLD")}
    return ours | _others("airtoll.worlds", load_world, ours)


@cache
def schemes() -> dict[str, Scheme]:
    """All schemes by name (paper/module), sorted; those of other packages last."""
    papers = [p for p in _modules(scheme_papers) if hasattr(p, "__path__") and not p.__name__.endswith(".parts")]
    modules = [m for paper in papers for m in _modules(paper)]
    ours = {m.SCHEME.card.name: m.SCHEME for m in modules if hasattr(m, "SCHEME")}
    return ours | _others("airtoll.schemes", load_scheme, ours)


@cache
def offline_studies() -> dict[str, OfflineStudy]:
    """All studies without slots by name, sorted; those of other packages last."""
    folders = [f for f in _modules(scheme_papers) if hasattr(f, "__path__") and not f.__name__.endswith(".parts")]
    modules = [m for folder in folders for m in _modules(folder)]
    ours = {m.STUDY.name: m.STUDY for m in modules if hasattr(m, "STUDY")}
    return ours | _others("airtoll.studies", load_offline_study, ours)


def offline_study_named(name: str) -> OfflineStudy:
    """ConfigError lists the known studies without slots."""
    if name not in offline_studies():
        raise ConfigError(f"study: {unknown('study without slots', name, offline_studies())}")
    return offline_studies()[name]


def world_named(name: str) -> WorldEntry:
    """ConfigError lists the known worlds."""
    if name not in worlds():
        raise ConfigError(unknown("world", name, worlds()))
    return worlds()[name]


def scheme_named(name: str) -> Scheme:
    """ConfigError lists the known schemes."""
    if name not in schemes():
        raise ConfigError(unknown("scheme", name, schemes()))
    return schemes()[name]


def worlds_of(scheme: Scheme) -> tuple[str, ...]:
    """The names of the worlds in which the scheme runs; of every world if its card says so."""
    return tuple(worlds()) if scheme.card.worlds == EVERY_WORLD else scheme.card.worlds


def name_of(entry: Entry) -> str:
    """The entry's name in a configuration."""
    return entry.card.name if isinstance(entry, Scheme) else entry.name


@cache
def choice_model(entry: Entry) -> type[Choice]:
    """The entry's name and parameters as a pydantic model: bounds are checked, unknown keys rejected.

    pydantic cannot forbid unknown keys of a plain dataclass, nor read meaning, unit and source from its field metadata;
    so the fields are copied one by one.
    """
    hints = get_type_hints(entry.params, include_extras=True)
    fields: dict[str, Any] = {f.name: (hints[f.name], _field_info(f)) for f in dataclasses.fields(entry.params)}
    return create_model(entry.params.__name__, __base__=Choice, **{"name": (Literal[name_of(entry)], ...), **fields})


def parameters(choice: Choice) -> dict[str, Any]:
    """The parameters of a choice as a plan carries them; msgspec.convert turns them into the entry's dataclass."""
    return choice.model_dump(mode="json", exclude={"name"})


def params_schema(entry: Entry) -> dict[str, Any]:
    """JSON schema of name and parameters, with default, description, unit, source and bounds."""
    return choice_model(entry).model_json_schema()


def _others(group: Group, load: Callable[[str], _T], ours: Collection[str]) -> dict[str, _T]:
    """The entries of other installed packages. One that cannot be used is left out, with a warning on stderr."""
    others: dict[str, _T] = {}
    for name, entry in installed(group).items():
        package = entry.dist.name if entry.dist else entry.value
        try:
            if name in ours:
                raise ValueError(f"airtoll has a {name!r} of its own")
            others[name] = load(name)
        except ValueError as error:
            print(f"warning: {package}: {error}", file=sys.stderr)
    return others


def _field_info(field: "dataclasses.Field[Any]") -> Any:
    about = {key: field.metadata[key] for key in ("unit", "source") if field.metadata.get(key)}
    doc = field.metadata.get("doc")
    if field.default_factory is not dataclasses.MISSING:
        return Field(default_factory=field.default_factory, description=doc, json_schema_extra=about)
    default = ... if field.default is dataclasses.MISSING else field.default
    return Field(default=default, description=doc, json_schema_extra=about)


def _modules(package: ModuleType) -> Iterator[ModuleType]:
    """The package's modules by name, except learners: those load torch, and offer nothing to choose."""
    for module in sorted(iter_modules(package.__path__), key=lambda m: m.name):
        if not module.name.startswith("learner"):
            yield import_module(f"{package.__name__}.{module.name}")

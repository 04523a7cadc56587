"""Which kind of YAML file one is: a run's, or a study's. Each has a command of its own."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from controller.config.errors import ConfigError

_OF_STUDIES = ("run", "grid", "sweeps", "seeds", "study", "evaluate")
_OF_RUNS = ("world", "scheme")


def require_run(path: Path, data: Mapping[str, Any]) -> None:
    """ConfigError for the file of a study, with the command that runs it."""
    if found := [key for key in _OF_STUDIES if key in data and not any(own in data for own in _OF_RUNS)]:
        raise ConfigError(f"{path} is a study's file, as it has {found[0]}: airtoll study {path}")


def require_study(path: Path, data: Mapping[str, Any]) -> None:
    """ConfigError for the file of a run, with the command that runs it."""
    if found := [key for key in _OF_RUNS if key in data and not any(own in data for own in _OF_STUDIES)]:
        raise ConfigError(f"{path} is a run's file, as it has {found[0]}: airtoll run {path}")

"""Metrics and scalars as TensorBoard event files.

`metrics/<metric>`: a window's mean at its last slot. `<node>/<name>`: what a node reported of itself, at that slot.
"""

from collections.abc import Iterator, Mapping
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from controller.config.errors import ConfigError
from protocol.messages.telemetry import Ended, Scalars, Telemetry, Window

_PACKAGE = "tensorboardX"


def check() -> None:
    """ConfigError when event files cannot be written."""
    if find_spec(_PACKAGE) is None:
        raise ConfigError(f"record.tensorboard: {_PACKAGE} is not installed: pip install 'airtoll[tensorboard]'")


class EventFiles:
    """A sink for telemetry that writes event files into a folder, from the first number to the end of the run."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._writer: Any = None

    def __call__(self, telemetry: Telemetry, /) -> None:
        match telemetry:
            case Window():
                self._add("metrics", telemetry.last, dict(_means(telemetry)))
            case Scalars(slot, node, scalars):
                self._add(node, slot, scalars)
            case Ended() if self._writer is not None:
                self._writer.close()
                self._writer = None
            case _:
                pass

    def _add(self, group: str, slot: int, values: Mapping[str, float]) -> None:
        if self._writer is None:  # created late: a run that never begins leaves no empty file
            self._writer = import_module(_PACKAGE).SummaryWriter(str(self._folder))
        for name, value in values.items():
            self._writer.add_scalar(f"{group}/{name}", value, slot)


def _means(window: Window) -> Iterator[tuple[str, float]]:
    """A window's metrics, except those of which nothing was counted."""
    for name, count in window.counts.items():
        if count:
            yield name, window.sums[name] / count

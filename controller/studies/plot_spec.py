"""What a study's file says of one plot."""

import json
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel

from controller.config.catalogue import STRICT


class PlotSpec(BaseModel):
    """One plot. `x`: an axis, or a metric of the results; `y`: a metric; `lines`, `panels`: axes.

    `where`: the labels at which axes are held. `relative_to`: y is divided by that of the cell with these labels and
    otherwise the same, seed included. `name`: the plot's file, without .png.
    """

    model_config = STRICT

    x: str
    y: str
    lines: str | None = None
    panels: str | None = None
    where: dict[str, Any] = {}
    relative_to: dict[str, Any] = {}
    log: Literal["x", "y", "xy"] | None = None
    title: str | None = None
    x_label: str | None = None
    y_label: str | None = None
    name: str | None = None

    @property
    def fixed_labels(self) -> dict[str, str]:
        """`where`, by the labels that the axes have."""
        return by_label(self.where)

    @property
    def reference_labels(self) -> dict[str, str]:
        """`relative_to`, by the labels that the axes have."""
        return by_label(self.relative_to)


def label_of(value: Any) -> str:
    """A value as it is written in results.csv and in a legend."""
    return value if isinstance(value, str) else json.dumps(value)


def by_label(values: Mapping[str, Any]) -> dict[str, str]:
    """The label of each axis."""
    return {axis: label_of(value) for axis, value in values.items()}


def numbers_of(labels: list[str]) -> list[float] | None:
    """The labels as numbers, if all of them are."""
    try:
        return [float(label) for label in labels]
    except ValueError:
        return None

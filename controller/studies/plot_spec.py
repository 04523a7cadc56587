"""What a study's file says of one plot."""

import json
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel

from controller.config.catalogue import STRICT

Width = Literal["screen", "one column", "two columns"]
FORMATS = ("png", "pdf", "svg")


class _Look(BaseModel):
    """What plots of all sorts have."""

    model_config = STRICT

    lines: str | None = None
    panels: str | None = None
    where: dict[str, Any] = {}
    log: Literal["x", "y", "xy"] | None = None
    title: str | None = None
    x_label: str | None = None
    y_label: str | None = None
    name: str | None = None
    width: Width | None = None

    @property
    def fixed_labels(self) -> dict[str, str]:
        """`where`, by the labels that the axes have."""
        return by_label(self.where)


class PlotSpec(_Look):
    """One plot. `x`: an axis, or a metric of the results; `y`: a metric; `lines`, `panels`: axes.

    `where`: the labels at which axes are held. `relative_to`: y is divided by that of the cell with these labels and
    otherwise the same, seed included. `name`: the plot's file; its ending, if it has one, is the format. `width`: that
    of the figure, if not the study's.
    """

    x: str
    y: str
    relative_to: dict[str, Any] = {}

    @property
    def reference_labels(self) -> dict[str, str]:
        """`relative_to`, by the labels that the axes have."""
        return by_label(self.relative_to)


class CurveSpec(_Look):
    """The learning curves of a metric. `of`: its means over the evaluations, against the slots trained before each; or
    those over windows of all slots, training included."""

    curve: str
    of: Literal["evaluations", "windows"] = "evaluations"

    @property
    def x(self) -> str:
        """The column of curves.csv or windows.csv that the curve is drawn against."""
        return "trained_slots" if self.of == "evaluations" else "slot"

    @property
    def y(self) -> str:
        """The metric, as other plots call it."""
        return self.curve

    @property
    def plot(self) -> PlotSpec:
        """The plot of these curves, if x were an axis."""
        own = self.model_dump(exclude={"curve", "of"})
        return PlotSpec(x=self.x, y=self.y, **own)


Plot = PlotSpec | CurveSpec


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

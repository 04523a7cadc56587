"""Groups of links packed in one flat array, so that one draw fades them all."""

from math import prod

import numpy as np
import numpy.typing as npt

from channel_server.radio.decibels import Floats


class Links:
    """`Links(cross=(n, k, n), own=(n,))`: named groups of fixed shape, back to back along the last axis."""

    def __init__(self, **shapes: tuple[int, ...]) -> None:
        self.shapes = shapes
        self.size = 0
        self._spans: dict[str, slice] = {}
        for name, shape in shapes.items():
            self._spans[name] = slice(self.size, self.size + prod(shape))
            self.size += prod(shape)

    def pack(self, **groups: Floats) -> Floats:
        """Arrays [E, *shape], one per group, into [E, size]."""
        return np.concatenate([groups[name].reshape(len(groups[name]), -1) for name in self.shapes], axis=1)

    def group(self, flat: Floats, name: str) -> Floats:
        """A view of one group: [E, size] to [E, *shape]."""
        return flat[:, self._spans[name]].reshape(len(flat), *self.shapes[name])

    def where(self, **masks: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
        """Masks [*shape] of some groups as one mask [size]; groups that are not named are False."""
        whole = np.zeros(self.size, np.bool_)
        for name, mask in masks.items():
            whole[self._spans[name]] = mask.reshape(-1)
        return whole

"""Records of any space as a network's inputs, and a network's outputs as records of any space."""

from math import prod

import numpy as np

from protocol.messages.spaces import Field, Records, Space
from schemes.parts.numpy_nets import Floats


class Inputs:
    """All numbers of a record in the order of its fields, as float32 [E, size]; integers and flags as they are."""

    def __init__(self, space: Space) -> None:
        self._names = [field.name for field in space.fields]
        self.size = sum(prod(field.shape) for field in space.fields)
        self.about = ", ".join(f"{field.name} {prod(field.shape)}" for field in space.fields)

    def __call__(self, records: Records) -> Floats:
        """Records [E] to float32 [E, size]."""
        parts = [records[name].reshape(len(records), -1) for name in self._names]
        return np.concatenate(parts, axis=1, dtype=np.float32, casting="unsafe")


class Outputs:
    """Field by field, in order. An integer between bounds: one output per choice and value, the largest decides. A
    float between bounds: one output per value, low + (high - low) (1 + tanh y) / 2; without both bounds y itself,
    clipped to the bound that there is.

    ValueError for an integer without bounds.
    """

    def __init__(self, space: Space) -> None:
        self._space = space
        self._widths = [_width(field) for field in space.fields]
        self.size = sum(self._widths)
        self.about = ", ".join(f"{field.name} {_counted(field)}" for field in space.fields)

    def __call__(self, y: Floats) -> Records:
        """Outputs [E, size] to records [E]."""
        records = self._space.empty(len(y))
        parts = np.split(y, np.cumsum(self._widths)[:-1], axis=1)
        for field, part in zip(self._space.fields, parts, strict=True):
            shape = (len(y), *field.shape)
            if field.is_float:
                records[field.name] = _squashed(field, part).reshape(shape)
            else:
                records[field.name] = part.reshape(*shape, _choices(field)).argmax(axis=-1) + int(field.low or 0)
        return records


def _choices(field: Field) -> int:
    """How many values a bounded integer field may have."""
    if field.low is None or field.high is None:
        raise ValueError(f"the field {field.name} of the action is an integer without bounds: no outputs choose it")
    return int(field.high) - int(field.low) + 1


def _width(field: Field) -> int:
    return prod(field.shape) * (1 if field.is_float else _choices(field))


def _counted(field: Field) -> str:
    values = prod(field.shape)
    return str(values) if field.is_float else f"{values} x {_choices(field)} choices"


def _squashed(field: Field, y: Floats) -> Floats:
    inside = y
    if field.low is not None and field.high is not None:
        inside = np.asarray(field.low + (field.high - field.low) * (1 + np.tanh(y)) / 2, np.float32)
    clipped: Floats = np.clip(inside.astype(field.dtype), field.low, field.high)  # rounding may pass a bound
    return clipped

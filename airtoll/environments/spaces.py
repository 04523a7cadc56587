"""airtoll's spaces as gymnasium's: what an outside learner chooses, and how its choice becomes an action record.

integers with bounds     Discrete(n) for one number, MultiDiscrete for several; 0 is the field's lowest value
floats                   Box, float32
both in one action       Dict with an entry per field
"""

from collections.abc import Mapping
from math import prod
from typing import Any

import gymnasium
import numpy as np
import numpy.typing as npt

from protocol.messages.spaces import Field, Records, Space


def action_space(space: Space) -> "gymnasium.Space[Any]":
    """The gymnasium space of an action. ValueError for an integer field without bounds."""
    if all(field.is_float for field in space.fields):
        low, high = bounds(space)
        return gymnasium.spaces.Box(low, high, dtype=np.float32)
    if any(field.is_float for field in space.fields):
        return gymnasium.spaces.Dict({field.name: action_space(Space((field,))) for field in space.fields})
    choices = [_choices(field) for field in space.fields for _ in range(_width(field))]
    return gymnasium.spaces.Discrete(choices[0]) if len(choices) == 1 else gymnasium.spaces.MultiDiscrete(choices)


def action_records(space: Space, action: Any, replicas: int = 1) -> Records:
    """Actions of the gymnasium space as records [E]. `action`: that of one replica, or an array [E, ...] of them.

    ValueError with field and bounds for an action outside the space.
    """
    records = space.empty(replicas)
    if isinstance(action, Mapping):
        for field in space.fields:
            records[field.name] = action_records(Space((field,)), action[field.name], replicas)[field.name]
        return records
    values, at = np.asarray(action).reshape(replicas, -1), 0
    if values.shape[1] != (width := sum(map(_width, space.fields))):
        raise ValueError(f"an action of {values.shape[1]} numbers does not fit: it has {width}")
    for field in space.fields:
        part, at = values[:, at : at + _width(field)], at + _width(field)
        records[field.name] = _checked(field, part).reshape(replicas, *field.shape)
    return records


def bounds(space: Space) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Lowest and highest value of every number of a record, [width] each; infinite where nothing is promised."""
    low = [-np.inf if field.low is None else field.low for field in space.fields for _ in range(_width(field))]
    high = [np.inf if field.high is None else field.high for field in space.fields for _ in range(_width(field))]
    return np.array(low, np.float32), np.array(high, np.float32)


def numbers(space: Space, records: Records) -> npt.NDArray[np.float32]:
    """Records [E] as rows of numbers [E, width], field by field."""
    rows = [records[field.name].reshape(len(records), _width(field)) for field in space.fields]
    return np.concatenate(rows, axis=1, dtype=np.float32, casting="unsafe")


def _checked(field: Field, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """A field's values from what the learner chose."""
    if field.is_float:
        low, high = bounds(Space((field,)))
        if not (np.isfinite(values) & (values >= low) & (values <= high)).all():
            raise ValueError(f"{field.name} {values.tolist()} is not allowed: give {field.low} to {field.high}")
        return values
    if not np.issubdtype(values.dtype, np.integer) or ((values < 0) | (values >= _choices(field))).any():
        raise ValueError(f"{field.name} {values.tolist()} is not allowed: choose integers 0 to {_choices(field) - 1}")
    return values + int(field.low or 0)


def _choices(field: Field) -> int:
    if field.low is None or field.high is None:
        raise ValueError(f"the action field {field.name} has no bounds: an outside learner cannot choose it")
    return int(field.high) - int(field.low) + 1


def _width(field: Field) -> int:
    return prod(field.shape)

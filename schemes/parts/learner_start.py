"""Learners that can begin with the weights of another run."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

import numpy.typing as npt

Weights = Mapping[str, npt.NDArray[Any]]


@runtime_checkable
class StartableLearner(Protocol):
    """`start`: before any update, begin with these weights of every agent, as `Learner.weights` returns them.
    ValueError if they do not fit."""

    def start(self, weights: Sequence[Weights], /) -> None: ...


def start_learner(learner: object, weights: Sequence[Weights]) -> None:
    """Have the learner begin with the weights of every agent. ValueError for a learner that cannot."""
    if not isinstance(learner, StartableLearner):
        raise ValueError(f"{type(learner).__name__} cannot begin with given weights: leave out start.weights")
    learner.start(weights)


def check_fits(weights: Weights, own: Weights) -> None:
    """ValueError unless both have tensors of equal names and shapes, and the first are finite."""
    given, expected = ({name: tensor.shape for name, tensor in some.items()} for some in (weights, own))
    if given != expected:
        raise ValueError(f"the weights are {described(weights)}, the network has {described(own)}")


def described(weights: Weights) -> str:
    """`0.weight [64, 40], 0.bias [64]`"""
    return ", ".join(f"{name} {list(tensor.shape)}" for name, tensor in sorted(weights.items()))

"""Modules and optimisers through numpy and back."""

import numpy as np
import pytest
import torch
from torch import nn

from protocol.determinism.snapshots import pack, unpack
from schemes.parts.learner_settings import OptimiserName
from schemes.parts.nn.gradients import descend
from schemes.parts.nn.store import (
    make_optimiser,
    restore_module,
    restore_optimiser,
    snapshot_module,
    snapshot_optimiser,
)

NAMES: tuple[OptimiserName, ...] = ("adam", "rmsprop")


def move(module: nn.Module, optimiser: torch.optim.Optimizer, steps: int, cap: float = 0.0) -> None:
    for step in range(steps):
        descend(optimiser, module(torch.ones(2, 3) + step).square().sum(), cap=cap)


@pytest.mark.parametrize("steps", [0, 3])
@pytest.mark.parametrize("name", NAMES)
def test_a_restored_optimiser_continues(name: OptimiserName, steps: int) -> None:
    module, other = nn.Linear(3, 2), nn.Linear(3, 2)
    optimiser, copy = (make_optimiser(name, each.parameters(), 0.1) for each in (module, other))
    move(module, optimiser, steps)
    move(other, copy, 1)  # overwritten
    restore_module(other, unpack(pack(snapshot_module(module))))
    restore_optimiser(copy, unpack(pack(snapshot_optimiser(optimiser))))
    for each, its in ((module, optimiser), (other, copy)):
        move(each, its, 4)
    assert pack(snapshot_module(module)) == pack(snapshot_module(other))
    assert pack(snapshot_optimiser(optimiser)) == pack(snapshot_optimiser(copy))


def test_arrays_of_another_module_are_rejected() -> None:
    with pytest.raises(ValueError, match="do not fit the module"):
        restore_module(nn.Linear(3, 2), {"weight": np.zeros((2, 3), np.float32)})


def test_a_gradient_cap_bounds_the_norm_and_keeps_the_direction() -> None:
    module = nn.Linear(3, 2)
    optimiser = torch.optim.SGD(module.parameters(), lr=1.0)
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    move(module, optimiser, 1, cap=0.5)
    change = torch.cat([(before[n] - t).flatten() for n, t in module.state_dict().items()])
    assert float(change.norm()) == pytest.approx(0.5, rel=1e-4)

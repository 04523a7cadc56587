"""torch modules against their numpy twins: all layers, random weights and inputs, sequences with resets."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from schemes.parts.nn.modules import Net
from schemes.parts.numpy_nets import Architecture, Floats, Network, draw
from schemes.parts.numpy_nets.architecture import (
    Activation,
    ActivationName,
    DuelingHead,
    GaussianHead,
    Gru,
    Layer,
    LayerNorm,
    Linear,
    Lstm,
)


def assert_close(mine: Tensor, expected: Floats) -> None:
    """float32 over up to five layers."""
    np.testing.assert_allclose(mine.detach().numpy(), expected, rtol=1e-4, atol=2e-6)


NAMES: tuple[ActivationName, ...] = ("relu", "elu", "tanh", "leaky_relu")
UNITS = st.integers(1, 6)
BODY: st.SearchStrategy[Layer] = st.one_of(
    UNITS.map(Linear), st.sampled_from(NAMES).map(Activation), st.just(LayerNorm()), UNITS.map(Lstm), UNITS.map(Gru)
)
HEAD: st.SearchStrategy[Layer] = st.one_of(
    UNITS.map(Linear),
    UNITS.map(DuelingHead),
    st.builds(GaussianHead, UNITS, st.sampled_from(("state", "free")), st.floats(-2, 1)),
)
ARCHITECTURES = st.builds(
    lambda inputs, body, head: Architecture(inputs, (*body, head)), UNITS, st.lists(BODY, max_size=4), HEAD
)


@settings(max_examples=60)
@given(ARCHITECTURES, st.integers(1, 3), st.integers(0, 1000), st.sampled_from(["uniform", "orthogonal"]))
def test_twins_agree_over_sequences_with_resets(
    architecture: Architecture, columns: int, seed: int, initial: str
) -> None:
    rng = np.random.default_rng(seed)
    weights = draw(architecture, rng, initial="uniform" if initial == "uniform" else "orthogonal")
    net, module = Network(architecture, weights), Net(architecture, weights)
    assert list(module.state_dict()) == list(weights)
    assert all((module.arrays()[name] == weights[name]).all() for name in weights)
    x = rng.standard_normal((5, columns, architecture.inputs)).astype(np.float32)
    begins = rng.random((5, columns)) < 0.3
    state = rng.standard_normal((columns, architecture.state_size)).astype(np.float32)
    y, carried = module.unroll(torch.tensor(x), torch.tensor(state), torch.tensor(begins))
    for t in range(5):
        state = np.where(begins[t][:, None], np.float32(0), state)
        expected, state = net.step(x[t], state)
        assert expected.dtype == np.float32
        assert expected.shape == (columns, architecture.outputs)
        assert_close(y[t], expected)
        assert_close(carried[t], state)
    assert_close(module(torch.tensor(x[0])), net(x[0]))


@pytest.mark.parametrize("cell", [Lstm(4), Gru(4)])
def test_a_sequence_without_resets_is_that_of_torchs_own_layer(cell: Lstm | Gru) -> None:
    weights = draw(Architecture(3, (cell,)), np.random.default_rng(1))
    own = torch.nn.LSTM(3, 4) if isinstance(cell, Lstm) else torch.nn.GRU(3, 4)
    own.load_state_dict({f"{name[2:]}_l0": torch.tensor(w) for name, w in weights.items()})
    x = torch.tensor(np.random.default_rng(2).standard_normal((6, 2, 3)), dtype=torch.float32)
    module = Net(Architecture(3, (cell,)), weights)
    y, _ = module.unroll(x, module.first_state(2), torch.zeros(6, 2, dtype=torch.bool))
    torch.testing.assert_close(y, own(x)[0], rtol=1e-4, atol=2e-6)


def test_feed_forward_networks_take_any_leading_axes() -> None:
    architecture = Architecture(3, (Linear(4), Activation("relu"), Linear(2)))
    module = Net(architecture, draw(architecture, np.random.default_rng(1)))
    x = torch.ones(2, 5, 3)
    torch.testing.assert_close(module(x)[1, 4], module(x[1, 4]))

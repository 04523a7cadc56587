"""Any architecture in numpy against slow loops, as plain data, and its first weights."""

from math import exp, sqrt, tanh

import msgspec
import numpy as np
import pytest

from schemes.parts.numpy_nets import Architecture, Network, draw, draw_mlp
from schemes.parts.numpy_nets.architecture import (
    Activation,
    DuelingHead,
    GaussianHead,
    Gru,
    LayerNorm,
    Linear,
    Lstm,
    mlp,
)

ALL_LAYERS = Architecture(
    4, (Lstm(3), Linear(5), LayerNorm(), Activation("elu"), Gru(2), GaussianHead(2, std="free", first_log_std=-1.0))
)


def test_an_architecture_is_plain_data() -> None:
    assert msgspec.json.decode(msgspec.json.encode(ALL_LAYERS), type=Architecture) == ALL_LAYERS
    assert (ALL_LAYERS.outputs, ALL_LAYERS.state_size) == (4, 8)
    assert {name: array.shape for name, array in draw(ALL_LAYERS, np.random.default_rng(1)).items()} == (
        ALL_LAYERS.shapes()
    )


def test_a_perceptron_begins_as_the_old_one() -> None:
    drawn = draw(mlp(16, (8, 5), Linear(3)), np.random.default_rng(3))
    old = draw_mlp(np.random.default_rng(3), (16, 8, 5, 3))
    assert list(drawn) == list(old)
    assert all((drawn[name] == old[name]).all() for name in old)


@pytest.mark.parametrize(("outputs", "inputs"), [(6, 4), (4, 6)])
def test_orthogonal_weights_keep_lengths_times_the_gain(outputs: int, inputs: int) -> None:
    weights = draw(mlp(inputs, (outputs,), Linear(3)), np.random.default_rng(1), initial="orthogonal", head_gain=0.01)
    w, short = weights["0.weight"], min(outputs, inputs)
    gram = w.T @ w if outputs >= inputs else w @ w.T
    np.testing.assert_allclose(gram, 2 * np.eye(short), atol=1e-5)  # ReLU's gain is sqrt 2
    assert not weights["0.bias"].any()
    np.testing.assert_allclose(weights["2.weight"] @ weights["2.weight"].T, 1e-4 * np.eye(3), atol=1e-9)


@pytest.mark.parametrize("std", ["free", "state"])
def test_log_deviations_begin_where_they_are_asked_to(std: str) -> None:
    head = msgspec.convert({"type": "gaussian", "size": 2, "std": std, "first_log_std": -1.5}, GaussianHead)
    architecture = Architecture(3, (head,))
    weights = draw(architecture, np.random.default_rng(1), initial="orthogonal")
    outputs = Network(architecture, weights)(np.zeros((2, 3), np.float32))
    np.testing.assert_allclose(outputs, [[0, 0, -1.5, -1.5]] * 2)


def test_an_lstm_equals_a_slow_loop() -> None:
    architecture = Architecture(2, (Lstm(3),))
    w = draw(architecture, np.random.default_rng(1))
    net, rng = Network(architecture, w), np.random.default_rng(2)
    state = net.first_state(1)
    h, c = [0.0] * 3, [0.0] * 3
    for _ in range(4):
        x = rng.standard_normal((1, 2)).astype(np.float32)
        y, state = net.step(x, state)
        gates = [
            sum(float(w["0.weight_ih"][r, i]) * float(x[0, i]) for i in range(2))
            + sum(float(w["0.weight_hh"][r, u]) * h[u] for u in range(3))
            + float(w["0.bias_ih"][r])
            + float(w["0.bias_hh"][r])
            for r in range(12)
        ]
        sigmoid = [1 / (1 + exp(-gate)) for gate in gates]
        c = [sigmoid[3 + u] * c[u] + sigmoid[u] * tanh(gates[6 + u]) for u in range(3)]
        h = [sigmoid[9 + u] * tanh(c[u]) for u in range(3)]
        np.testing.assert_allclose(y[0], h, rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(state[0], h + c, rtol=1e-4, atol=1e-6)


def test_layer_norm_and_dueling_equal_their_equations() -> None:
    architecture = Architecture(4, (LayerNorm(), DuelingHead(3)))
    w = draw(architecture, np.random.default_rng(1))
    x = [1.0, 2.0, 4.0, -3.0]
    mean = sum(x) / 4
    deviation = sqrt(sum((v - mean) ** 2 for v in x) / 4 + 1e-5)
    normed = [(v - mean) / deviation for v in x]
    value, *advantages = (
        sum(float(a) * v for a, v in zip(row, normed, strict=True)) + float(b)
        for row, b in zip(
            [*w["1.value.weight"], *w["1.advantage.weight"]], [*w["1.value.bias"], *w["1.advantage.bias"]], strict=True
        )
    )
    expected = [value + a - sum(advantages) / 3 for a in advantages]
    np.testing.assert_allclose(Network(architecture, w)(np.array([x], np.float32))[0], expected, rtol=1e-4, atol=1e-6)


def test_extreme_inputs_raise_no_warning() -> None:
    net = Network(ALL_LAYERS, draw(ALL_LAYERS, np.random.default_rng(1)))
    assert np.isfinite(net(np.full((2, 4), 1e4, np.float32))).all()


def test_weights_that_do_not_fit_are_rejected() -> None:
    architecture = mlp(4, (3,), Linear(2))
    weights = draw(architecture, np.random.default_rng(1))
    with pytest.raises(ValueError, match=r"2\.bias has shape none, expected \(2,\)"):
        Network(architecture, {name: w for name, w in weights.items() if name != "2.bias"})
    with pytest.raises(ValueError, match=r"0\.weight has shape \(3, 4\), expected \(3, 5\)"):
        Network(mlp(5, (3,), Linear(2)), weights)

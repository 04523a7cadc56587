"""QMIX: monotone in every agent's value, and equal to a slow loop."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from schemes.parts.nn.mixing import QMix


def drawn(seed: int) -> tuple[QMix, torch.Tensor, torch.Tensor]:
    rng = np.random.default_rng(seed)
    mixing = QMix(4, 3, 5, rng)
    q, state = rng.standard_normal((2, 3)), rng.standard_normal((2, 4))
    return mixing, torch.tensor(3 * q, dtype=torch.float32), torch.tensor(state, dtype=torch.float32)


@given(st.integers(0, 1000))
def test_the_total_rises_with_every_value(seed: int) -> None:
    mixing, q, state = drawn(seed)
    q.requires_grad_()
    (slope,) = torch.autograd.grad(mixing(q, state).sum(), q)
    assert (slope >= 0).all()
    assert slope.sum() > 0


def test_the_total_equals_a_slow_loop() -> None:
    mixing, q, state = drawn(1)
    w1, b1, w2, v = (
        net(state).detach().numpy()
        for net in (mixing.first_weight, mixing.first_bias, mixing.second_weight, mixing.value)
    )
    for b, total in enumerate(mixing(q, state).tolist()):
        slow = float(v[b, 0])
        for unit in range(5):
            x = float(b1[b, unit]) + sum(float(q[b, n]) * abs(float(w1[b, n * 5 + unit])) for n in range(3))
            slow += abs(float(w2[b, unit])) * (x if x > 0 else float(np.expm1(x)))
        assert total == pytest.approx(slow, rel=1e-5)

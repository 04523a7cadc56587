"""Policies in torch against the numpy distributions, torch.distributions, and averages over draws."""

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.distributions import Categorical as TorchCategorical
from torch.distributions import Normal, kl_divergence

from schemes.parts.distributions import Categorical, ClippedGaussian, Distribution, Gaussian
from schemes.parts.nn import policies

KINDS = (Categorical((3,)), Categorical((2, 4)), Gaussian(2), ClippedGaussian(2, -0.5, 0.5))


def outputs_of(kind: Distribution, seed: int = 1) -> Tensor:
    return torch.tensor(np.random.default_rng(seed).standard_normal((6, kind.outputs)), dtype=torch.float32)


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_draws_modes_and_log_probabilities_are_the_nodes(kind: Distribution) -> None:
    policy, outputs = policies.policy_of(kind), outputs_of(kind)
    drawn = policies.sample(policy, outputs, np.random.default_rng(3))
    assert (drawn.numpy() == kind.sample(outputs.numpy(), np.random.default_rng(3))).all()
    assert (policies.mode(policy, outputs).numpy() == kind.mode(outputs.numpy())).all()
    np.testing.assert_allclose(
        policy.log_prob(outputs, drawn).numpy(), kind.log_prob(outputs.numpy(), drawn.numpy()), rtol=1e-4, atol=1e-5
    )


def members(kind: Categorical | Gaussian, outputs: Tensor) -> list[TorchCategorical] | list[Normal]:
    if isinstance(kind, Categorical):
        return [TorchCategorical(logits=part) for part in torch.split(outputs, list(kind.choices), -1)]
    mean, log_std = outputs.chunk(2, -1)
    return [Normal(mean[:, k], log_std[:, k].exp()) for k in range(kind.size)]


@pytest.mark.parametrize("kind", KINDS[:3], ids=str)
def test_entropies_and_divergences_are_torchs(kind: Categorical | Gaussian) -> None:
    policy, one, other = policies.policy_of(kind), outputs_of(kind, 1), outputs_of(kind, 2)
    first, second = members(kind, one), members(kind, other)
    entropy = torch.stack([member.entropy() for member in first]).sum(0)  # type: ignore[no-untyped-call]
    divergence = torch.stack([kl_divergence(p, q) for p, q in zip(first, second, strict=True)]).sum(0)
    torch.testing.assert_close(policy.entropy(one), entropy)
    torch.testing.assert_close(policy.kl(one, other), divergence, rtol=1e-4, atol=1e-5)


def test_clipping_only_lessens_the_divergence() -> None:
    kind = ClippedGaussian(1, -0.5, 0.5)
    policy, rng = policies.policy_of(kind), np.random.default_rng(1)
    one, other = torch.tensor([[0.3, -0.5]]), torch.tensor([[-0.2, -0.2]])
    many, others = one.expand(200_000, 2), other.expand(200_000, 2)
    drawn = policies.sample(policy, many, rng)
    average = float((policy.log_prob(many, drawn) - policy.log_prob(others, drawn)).mean())
    assert 0.1 < average <= float(policy.kl(one, other)) + 0.01


def test_the_gradient_of_a_clipped_log_probability_is_finite_far_outside() -> None:
    outputs = torch.tensor([[40.0, 0.0]], requires_grad=True)
    policy = policies.policy_of(ClippedGaussian(1, 0, 1))
    policy.log_prob(outputs, torch.tensor([[0.0]])).sum().backward()  # type: ignore[no-untyped-call]
    assert outputs.grad is not None
    np.testing.assert_allclose(outputs.grad[0, 0], -40.025, rtol=1e-3)  # -phi(40) / Phi(-40)

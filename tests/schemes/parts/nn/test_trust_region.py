"""Trust regions: products and conjugate gradients against dense matrices, steps against their constraint."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from schemes.parts.distributions import Distribution
from schemes.parts.learner_settings import TrustRegionSettings
from schemes.parts.nn.sequences import Sequences
from schemes.parts.nn.trust_region import TrustRegion, conjugate_gradient, flat, scores_product, set_flat
from tests.schemes.parts.nn.rollouts import CHOICES, POWERS, learner, rollout

SETTINGS = TrustRegionSettings(rows_per_iteration=1, damping=0.1, cg_iterations=200)


def ready(
    settings: TrustRegionSettings = SETTINGS, kind: Distribution = CHOICES, *, recurrent: bool = False, seed: int = 1
) -> tuple[TrustRegion, Sequences]:
    it = learner(settings, kind, recurrent=recurrent)
    assert isinstance(it.improvement, TrustRegion)
    rng = torch.Generator().manual_seed(seed)
    policy = it.improvement.nets.policy
    vector = flat(list(policy.parameters())).detach()
    set_flat(policy, vector + 0.3 * torch.randn(vector.shape, generator=rng))
    made = it.improvement.nets.sequences(rollout(it, kind, slots=12, seed=seed), discount=0.9, trace_decay=0.8, slots=4)
    return it.improvement, replace(made, advantages=made.normalised_advantages())


@given(st.integers(1, 12), st.integers(0, 1000))
def test_conjugate_gradients_equal_a_dense_solve(size: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    root = rng.standard_normal((size, size))
    matrix, b = root @ root.T + 0.1 * np.eye(size), rng.standard_normal(size)
    x = conjugate_gradient(
        lambda v: torch.tensor(matrix @ v.numpy()), torch.tensor(b), iterations=5 * size, tolerance=1e-24
    )
    np.testing.assert_allclose(x.numpy(), np.linalg.solve(matrix, b), rtol=1e-5, atol=1e-7)


def dense_fisher(improvement: TrustRegion, part: Sequences) -> torch.Tensor:
    """The mean outer product of the scores of the valid rows, row by row."""
    nets = improvement.nets
    scores = []
    for log_p, valid in zip(nets.log_probs(part).flatten(), part.valid.flatten(), strict=True):
        if valid:
            gradients = torch.autograd.grad(log_p, list(nets.policy.parameters()), retain_graph=True)
            scores.append(flat(gradients).double())
    stacked = torch.stack(scores)
    return stacked.T @ stacked / len(scores)


@pytest.mark.parametrize("recurrent", [False, True])
@pytest.mark.parametrize("kind", [CHOICES, POWERS], ids=str)
def test_the_step_is_that_of_the_dense_fisher_matrix(kind: Distribution, recurrent: bool) -> None:
    improvement, part = ready(kind=kind, recurrent=recurrent)
    nets, parameters = improvement.nets, list(improvement.nets.policy.parameters())
    fisher = dense_fisher(improvement, part)
    log_probs, weights = nets.log_probs(part).flatten(), part.valid.flatten() / part.valid.sum()
    product = scores_product(log_probs, weights, parameters)
    v = torch.randn(len(fisher), generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    torch.testing.assert_close(product(v), fisher @ v, rtol=1e-4, atol=1e-6)
    surrogate = part.mean((nets.log_probs(part) - part.log_probs).exp() * part.advantages)
    g = flat(torch.autograd.grad(surrogate, parameters)).double()
    direction = torch.linalg.solve(fisher + 0.1 * torch.eye(len(g), dtype=torch.float64), g)
    expected = direction * (2 * 0.01 / (g @ direction)).sqrt()
    torch.testing.assert_close(improvement.full_step(part).double(), expected, rtol=2e-3, atol=2e-5)


def test_the_hessian_of_the_divergence_is_the_expected_fisher_matrix() -> None:
    """Over a categorical policy's own probabilities, F = sum over states and actions of p x score x score^T."""
    improvement, part = ready(replace(SETTINGS, fisher="divergence", damping=0.0))
    nets, parameters = improvement.nets, list(improvement.nets.policy.parameters())
    outputs = part.policy_outputs(nets.policy)
    fisher = torch.zeros(sum(p.numel() for p in parameters), dtype=torch.float64)
    v = torch.randn(len(fisher), generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    for row in (part.valid[0] > 0).nonzero()[:, 0].tolist():
        for action in ([a, b] for a in range(2) for b in range(3)):
            log_p = nets.distribution.log_prob(outputs[0, row], torch.tensor(action))
            score = flat(torch.autograd.grad(log_p, parameters, retain_graph=True)).double()
            fisher += float(log_p.detach().exp()) * score * (score @ v)
    product = improvement._fisher(part, outputs)
    torch.testing.assert_close(product(v), fisher / float(part.valid.sum()), rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("fisher", ["scores", "divergence"])
@pytest.mark.parametrize("kind", [CHOICES, POWERS], ids=str)
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_an_accepted_step_keeps_the_constraint_and_gains(fisher: str, kind: Distribution, seed: int) -> None:
    settings = replace(SETTINGS, fisher="scores" if fisher == "scores" else "divergence", max_kl=0.05)
    improvement, part = ready(settings, kind, seed=seed)
    nets = improvement.nets
    with torch.no_grad():
        old = part.policy_outputs(nets.policy)
    before = flat(list(nets.policy.parameters())).detach()
    full = improvement.full_step(part)
    step = improvement.policy_step(part)
    assert step.accepted
    with torch.no_grad():
        new = part.policy_outputs(nets.policy)
        divergence = float(part.mean(nets.distribution.kl(new, old)))
        gain = float(
            part.mean((nets.distribution.log_prob(new, part.actions) - part.log_probs).exp() * part.advantages)
        )
    assert 0 < divergence <= 0.05
    assert gain > 0
    assert (step.divergence, step.surrogate) == pytest.approx((divergence, gain), rel=1e-4)
    moved = flat(list(nets.policy.parameters())).detach() - before
    torch.testing.assert_close(moved, 0.9**step.backtracks * full, rtol=1e-3, atol=1e-5)


def test_the_policy_stays_where_no_step_is_allowed() -> None:
    improvement, part = ready(replace(SETTINGS, max_backtracks=1, max_kl=50.0))
    before = flat(list(improvement.nets.policy.parameters())).detach().clone()
    step = improvement.policy_step(replace(part, advantages=part.advantages - 100))  # no change can make L positive
    assert not step.accepted
    assert torch.equal(flat(list(improvement.nets.policy.parameters())), before)

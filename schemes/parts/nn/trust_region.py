"""Trust region policy optimisation: khan2020 eq. (12), (18)-(23), after schulman2015.

    L(theta') = E pi'(a | s) / pi(a | s) A                                                 eq. (12)
    g = grad L, F = E grad log pi grad log pi^T                                            eq. (18), (19)
    Delta = sqrt(2 delta / (g^T F^-1 g)) F^-1 g                                            eq. (20)
    theta' = theta + zeta^j Delta,  the first j with L(theta') >= 0                        eq. (21), (22)
                                    and E D(pi' || pi) <= delta                            eq. (23)

F^-1 g comes from conjugate gradients on products F v; F itself is never formed. Advantages are centred, so that L is 0
before the step.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from math import sqrt
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from schemes.parts.learner_settings import TrustRegionSettings
from schemes.parts.nn.actor_critic import ActorCritic
from schemes.parts.nn.gradients import descend
from schemes.parts.nn.ppo import minibatches, value_loss
from schemes.parts.nn.sequences import Sequences
from schemes.parts.nn.store import make_optimiser, restore_optimiser, snapshot_optimiser

Product = Callable[[Tensor], Tensor]


def flat(tensors: Sequence[Tensor]) -> Tensor:
    """All entries in a row, [P]."""
    return torch.cat([tensor.reshape(-1) for tensor in tensors])


@torch.no_grad()
def set_flat(module: nn.Module, vector: Tensor) -> None:
    """Copy a row of entries [P] into the parameters, in place."""
    parameters = list(module.parameters())
    for parameter, part in zip(parameters, torch.split(vector, [p.numel() for p in parameters]), strict=True):
        parameter.copy_(part.view_as(parameter))


def conjugate_gradient(product: Product, b: Tensor, *, iterations: int, tolerance: float = 1e-10) -> Tensor:
    """x with F x = b for a positive definite F given by its `product`; b [P] in float64. hestenes1952.

    Ends before `iterations` once the squared residual is below `tolerance` times that of b.
    """
    x, residual, direction = torch.zeros_like(b), b.clone(), b.clone()
    squared = residual @ residual
    enough = tolerance * squared
    for _ in range(iterations):
        if squared <= enough:
            break
        image = product(direction)
        step = squared / (direction @ image)
        x += step * direction
        residual -= step * image
        before, squared = squared, residual @ residual
        direction = residual + squared / before * direction
    return x


def scores_product(log_probs: Tensor, weights: Tensor, parameters: Sequence[Tensor]) -> Product:
    """v to F v with F = sum of weights x score x score^T, eq. (19). `log_probs`, `weights`: [M]."""
    # the gradient of sum(u . log_probs) is linear in u; its own gradient along v is each score times v
    u = torch.zeros_like(log_probs, requires_grad=True)
    by_u = flat(torch.autograd.grad(log_probs, parameters, u, create_graph=True))

    def product(v: Tensor) -> Tensor:
        (along,) = torch.autograd.grad(by_u, u, v.to(by_u.dtype), retain_graph=True)
        return flat(torch.autograd.grad(log_probs, parameters, weights * along, retain_graph=True)).double()

    return product


def divergence_product(divergence: Tensor, parameters: Sequence[Tensor]) -> Product:
    """v to H v with H the Hessian of the mean divergence, eq. (15)."""
    gradient = flat(torch.autograd.grad(divergence, parameters, create_graph=True))

    def product(v: Tensor) -> Tensor:
        return flat(torch.autograd.grad(gradient @ v.to(gradient.dtype), parameters, retain_graph=True)).double()

    return product


class Step(NamedTuple):
    """What a policy step did. `backtracks`: j of eq. (21); `accepted`: False if no step was taken."""

    surrogate: float
    divergence: float
    backtracks: int
    accepted: bool


class TrustRegion:
    """Improves a policy by one natural step, and its value network by passes of Adam."""

    def __init__(self, settings: TrustRegionSettings, nets: ActorCritic) -> None:
        self.settings, self.nets = settings, nets
        self._parameters = list(nets.policy.parameters())
        self._value = make_optimiser("adam", nets.value.parameters(), settings.value_rate)

    def improve(self, sequences: Sequences, rng: np.random.Generator) -> dict[str, float]:
        """One policy step, then the value network; statistics."""
        step = self.policy_step(replace(sequences, advantages=sequences.normalised_advantages()))
        loss = self._fit_values(sequences, rng)
        return {**step._asdict(), "accepted": float(step.accepted), "value_loss": loss}

    def policy_step(self, sequences: Sequences) -> Step:
        """Eq. (20)-(23). The policy stays as it is if no step is accepted."""
        settings, policy = self.settings, self.nets.policy
        step = self.full_step(sequences)
        before = flat(self._parameters).detach()
        with torch.no_grad():
            old_outputs = sequences.policy_outputs(policy)
            for j in range(settings.max_backtracks):
                set_flat(policy, before + settings.backtracking**j * step)
                outputs = sequences.policy_outputs(policy)
                surrogate = float(self._surrogate(sequences, outputs))
                divergence = float(sequences.mean(self.nets.distribution.kl(outputs, old_outputs)))
                if surrogate >= 0 and divergence <= settings.max_kl:
                    return Step(surrogate, divergence, j, True)
        set_flat(policy, before)
        return Step(0.0, 0.0, settings.max_backtracks, False)

    def full_step(self, sequences: Sequences) -> Tensor:
        """Delta, eq. (20), [P]; zero where the gradient is."""
        settings = self.settings
        outputs = sequences.policy_outputs(self.nets.policy)
        g = flat(torch.autograd.grad(self._surrogate(sequences, outputs), self._parameters, retain_graph=True)).double()
        product = self._fisher(sequences, outputs)
        direction = conjugate_gradient(
            lambda v: product(v) + settings.damping * v, g, iterations=settings.cg_iterations
        )
        slope = float(g @ direction)
        scale = sqrt(2 * settings.max_kl / slope) if slope > 0 else 0.0
        return (scale * direction).float()

    def snapshot(self) -> dict[str, Any]:
        """The optimiser's state."""
        return {"value": snapshot_optimiser(self._value)}

    def restore(self, data: dict[str, Any]) -> None:
        """The inverse of `snapshot`."""
        restore_optimiser(self._value, data["value"])

    def _surrogate(self, sequences: Sequences, outputs: Tensor) -> Tensor:
        """L, eq. (12)."""
        log_probs = self.nets.distribution.log_prob(outputs, sequences.actions)
        return sequences.mean((log_probs - sequences.log_probs).exp() * sequences.advantages)

    def _fisher(self, sequences: Sequences, outputs: Tensor) -> Product:
        if self.settings.fisher == "divergence":
            divergence = sequences.mean(self.nets.distribution.kl(outputs, outputs.detach()))
            return divergence_product(divergence, self._parameters)
        log_probs = self.nets.distribution.log_prob(outputs, sequences.actions).flatten()
        valid = sequences.valid.flatten()
        return scores_product(log_probs, valid / valid.sum(), self._parameters)

    def _fit_values(self, sequences: Sequences, rng: np.random.Generator) -> float:
        settings, norm = self.settings, self.nets.value_norm
        if settings.normalise_values:
            norm.update(sequences.returns[sequences.valid > 0])
        learnt = replace(sequences, returns=norm.normalise(sequences.returns))
        losses = []
        for _ in range(settings.value_epochs):
            for part in minibatches(learnt, settings.value_minibatches, rng):
                values = part.value_outputs(self.nets.value)
                loss = part.mean(value_loss(values, part.values, part.returns, clip=None, huber_threshold=0.0))
                descend(self._value, loss)
                losses.append(loss.item())
        return float(np.mean(losses))

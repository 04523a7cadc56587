"""Proximal policy optimisation: schulman2017, eq. (7); with several agents MAPPO (yu2022, zhang2025).

    r = pi(a | x) / pi_old(a | x)                                                          zhang2025 eq. (21)
    J = E min(r A, clip(r, 1 - eps, 1 + eps) A) + w H(pi)                                  eq. (22)
    L = E max(h(V - G), h(clip(V, V_old - eps, V_old + eps) - G))    h square or Huber     eq. (20)

G is the return A + V_old, where eq. (20) prints A. Values are normalised in L if `normalise_values`.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from schemes.parts.learner_settings import PpoSettings
from schemes.parts.nn.actor_critic import ActorCritic
from schemes.parts.nn.gradients import descend
from schemes.parts.nn.sequences import Sequences
from schemes.parts.nn.store import make_optimiser, restore_optimiser, snapshot_optimiser

STATS = ("policy_loss", "value_loss", "entropy", "divergence")


def clipped_surrogate(log_probs: Tensor, old_log_probs: Tensor, advantages: Tensor, *, clip: float) -> Tensor:
    """min(r A, clip(r) A), elementwise."""
    ratio = (log_probs - old_log_probs).exp()
    return torch.minimum(ratio * advantages, ratio.clamp(1 - clip, 1 + clip) * advantages)


def value_loss(values: Tensor, old: Tensor, returns: Tensor, *, clip: float | None, huber_threshold: float) -> Tensor:
    """max(h(V - G), h(V clipped around V_old - G)), elementwise; without the second where `clip` is None."""
    plain = _penalty(values - returns, huber_threshold)
    if clip is None:
        return plain
    return torch.maximum(plain, _penalty(old + (values - old).clamp(-clip, clip) - returns, huber_threshold))


def _penalty(error: Tensor, huber_threshold: float) -> Tensor:
    """Half the square, linear beyond the threshold unless it is 0."""
    if not huber_threshold:
        return 0.5 * error.square()
    return functional.huber_loss(error, torch.zeros_like(error), delta=huber_threshold, reduction="none")


def minibatches(sequences: Sequences, parts: int, rng: np.random.Generator) -> Iterator[Sequences]:
    """One pass over all columns in random order, in so many parts of nearly equal size."""
    for columns in np.array_split(rng.permutation(sequences.columns), min(parts, sequences.columns)):
        yield sequences.take(columns)


class Ppo:
    """Improves a policy and its value network by `epochs` passes over the same rows."""

    def __init__(self, settings: PpoSettings, nets: ActorCritic) -> None:
        self.settings, self.nets = settings, nets
        name, epsilon = settings.optimiser, settings.optimiser_epsilon
        self._policy = make_optimiser(name, nets.policy.parameters(), settings.policy_rate, epsilon=epsilon)
        self._value = make_optimiser(name, nets.value.parameters(), settings.value_rate, epsilon=epsilon)

    def improve(self, sequences: Sequences, rng: np.random.Generator) -> dict[str, float]:
        """All updates of an iteration; their mean statistics."""
        norm, settings = self.nets.value_norm, self.settings
        if settings.normalise_values:
            norm.update(sequences.returns[sequences.valid > 0])
        targets = norm.normalise(sequences.returns)
        advantages = sequences.normalised_advantages() if settings.normalise_advantages else sequences.advantages
        learnt = replace(sequences, returns=targets, advantages=advantages)
        stats = [
            self._update(minibatch)
            for _ in range(settings.epochs)
            for minibatch in minibatches(learnt, settings.minibatches, rng)
        ]
        return dict(zip(STATS, torch.stack(stats).mean(0).tolist(), strict=True))

    def losses(self, minibatch: Sequences) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """-J, L, the entropy, and the estimated divergence from the old policy, E (r - 1 - log r)."""
        settings, nets = self.settings, self.nets
        outputs = minibatch.policy_outputs(nets.policy)
        log_probs = nets.distribution.log_prob(outputs, minibatch.actions)
        gain = clipped_surrogate(log_probs, minibatch.log_probs, minibatch.advantages, clip=settings.clip)
        entropy = minibatch.mean(nets.distribution.entropy(outputs))
        error = value_loss(
            minibatch.value_outputs(nets.value),
            minibatch.values,
            minibatch.returns,
            clip=settings.clip if settings.clip_values else None,
            huber_threshold=settings.huber_threshold,
        )
        change = log_probs - minibatch.log_probs
        policy_loss = -minibatch.mean(gain) - settings.entropy_weight * entropy
        return policy_loss, minibatch.mean(error), entropy, minibatch.mean(change.exp() - 1 - change)

    def snapshot(self) -> dict[str, Any]:
        """The optimisers' state."""
        return {"policy": snapshot_optimiser(self._policy), "value": snapshot_optimiser(self._value)}

    def restore(self, data: dict[str, Any]) -> None:
        """The inverse of `snapshot`."""
        restore_optimiser(self._policy, data["policy"])
        restore_optimiser(self._value, data["value"])

    def _update(self, minibatch: Sequences) -> Tensor:
        losses = self.losses(minibatch)
        descend(self._policy, losses[0], cap=self.settings.gradient_cap)
        descend(self._value, losses[1], cap=self.settings.gradient_cap)
        return torch.stack(losses).detach()

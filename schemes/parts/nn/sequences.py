"""Rollouts as columns of short sequences with their advantages and returns: what on-policy learners learn from."""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from schemes.parts.gae import gae
from schemes.parts.nn.modules import Net
from schemes.parts.nn.value_norm import ValueNorm
from schemes.parts.rollout import Rollout


@dataclass(frozen=True, kw_only=True)
class Sequences:
    """B columns of L slots. `begins`: first slots of episodes and of policy versions; `valid`: 1 where a row counts.

    `values`: as the network gave them before learning, normalised; `advantages` and `returns`: in units of the reward.
    `hidden`, `value_hidden`: the carried states of both networks before the first slot.
    """

    states: Tensor  # [L, B, S]
    critic_states: Tensor  # [L, B, C]
    actions: Tensor  # [L, B, K]
    log_probs: Tensor  # [L, B]
    advantages: Tensor  # [L, B]
    returns: Tensor  # [L, B]
    values: Tensor  # [L, B]
    begins: Tensor  # [L, B]
    valid: Tensor  # [L, B]
    hidden: Tensor  # [1, B, H]
    value_hidden: Tensor  # [1, B, H']

    @property
    def columns(self) -> int:
        """B"""
        return self.valid.shape[1]

    def take(self, columns: npt.NDArray[np.int64]) -> "Sequences":
        """These columns alone."""
        index = torch.from_numpy(columns)
        return Sequences(**{f.name: getattr(self, f.name)[:, index] for f in fields(self)})

    def mean(self, x: Tensor) -> Tensor:
        """Mean of x [L, B] over the valid rows."""
        return (x * self.valid).sum() / self.valid.sum().clamp(min=1)

    def policy_outputs(self, policy: Net) -> Tensor:
        """[L, B, outputs]"""
        return policy.unroll(self.states, self.hidden[0], self.begins)[0]

    def value_outputs(self, value: Net) -> Tensor:
        """[L, B]"""
        return value.unroll(self.critic_states, self.value_hidden[0], self.begins)[0][..., 0]

    def normalised_advantages(self) -> Tensor:
        """[L, B], of mean 0 and deviation 1 over the valid rows."""
        centred = self.advantages - self.mean(self.advantages)
        return centred / (self.mean(centred.square()).sqrt() + 1e-8)


def joined(parts: Sequence[Sequences]) -> Sequences:
    """All columns of several, of the same number of slots."""
    return Sequences(**{f.name: torch.cat([getattr(part, f.name) for part in parts], 1) for f in fields(Sequences)})


@torch.no_grad()
def sequences_of(
    rollout: Rollout, policy: Net, value: Net, value_norm: ValueNorm, *, discount: float, trace_decay: float, slots: int
) -> Sequences:
    """A rollout in sequences of `slots`, the last padded with rows that do not count; all agents pooled.

    The policy's carried states are recomputed from `rollout.hidden`; the value network starts a rollout from zeros.
    """
    one = rollout.pooled()
    states, critic_states, following = _seen(one)
    begins = torch.from_numpy(_begins(one))
    hidden = policy.first_state(begins.shape[1]) if one.hidden is None else torch.tensor(one.hidden[0, :, 0])
    carried = policy.unroll(states, hidden, begins)[1]
    value_hidden = value.first_state(begins.shape[1])
    outputs, value_carried = value.unroll(critic_states, value_hidden, begins)
    values = outputs[..., 0]
    next_values = value.step(following.flatten(0, 1), value_carried.flatten(0, 1))[0].view_as(values)
    old, new = value_norm.denormalise(values), value_norm.denormalise(next_values)
    advantages = _advantages(one, old, new, discount=discount, trace_decay=trace_decay)
    by_row = {
        "states": states,
        "critic_states": critic_states,
        "actions": torch.tensor(one.actions[:, :, 0]),
        "log_probs": torch.zeros_like(values) if one.log_probs is None else torch.tensor(one.log_probs[:, :, 0]),
        "advantages": advantages,
        "returns": advantages + old,
        "values": values,
        "begins": begins,
        "valid": torch.tensor(_valid(one), dtype=torch.float32),
    }
    return Sequences(
        **{name: _cut(tensor, slots) for name, tensor in by_row.items()},
        hidden=_at_starts(hidden, carried, slots),
        value_hidden=_at_starts(value_hidden, value_carried, slots),
    )


def _seen(one: Rollout) -> tuple[Tensor, Tensor, Tensor]:
    """What the policy sees, what the value network sees, and what it sees next, each [T, B, width]."""
    states = torch.tensor(one.states[:, :, 0])
    if one.critic_states is None or one.next_critic_states is None:
        return states, states, torch.tensor(one.next_states[:, :, 0])
    return states, torch.tensor(one.critic_states[:, :, 0]), torch.tensor(one.next_critic_states[:, :, 0])


def _begins(one: Rollout) -> npt.NDArray[np.bool_]:
    """Slots after the end of an episode, or with another policy version than the slot before, [T, B]; `rollout.hidden`
    says how the first slot begins."""
    begins = np.zeros_like(one.terminated)
    begins[1:] = (one.terminated | one.truncated)[:-1]
    if one.policy_versions is not None:
        begins[1:] |= (one.policy_versions[1:] != one.policy_versions[:-1])[:, :, 0]
    return begins


def _valid(one: Rollout) -> npt.NDArray[np.bool_]:
    """[T, B]"""
    return np.ones(one.terminated.shape, bool) if one.valid is None else one.valid[:, :, 0]


def _advantages(one: Rollout, values: Tensor, next_values: Tensor, *, discount: float, trace_decay: float) -> Tensor:
    """[T, B]; a row that does not count, whose reward may be unknown, enters no other row's advantage."""
    truncated = one.truncated.copy()
    truncated[:-1] |= ~_valid(one)[1:]
    advantages = gae(
        one.rewards[:, :, 0],
        values.numpy(),
        next_values.numpy(),
        one.terminated,
        truncated,
        discount=discount,
        trace_decay=trace_decay,
    )
    return torch.tensor(advantages, dtype=torch.float32)


def _cut(x: Tensor, slots: int) -> Tensor:
    """[T, B, ...] to [slots, sequences B, ...], padded with zeros."""
    padded = torch.cat([x, x.new_zeros(-len(x) % slots, *x.shape[1:])])
    return padded.view(-1, slots, *x.shape[1:]).transpose(0, 1).flatten(1, 2)


def _at_starts(first: Tensor, carried: Tensor, slots: int) -> Tensor:
    """The carried state before each sequence, [1, sequences B, H], of that before the first slot and after each."""
    before = torch.cat([first[None], carried[:-1]])
    return before[::slots].flatten(0, 1)[None]

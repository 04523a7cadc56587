"""Deep Q-learning of a network that carries a state, from sequences of its replay.

y_t = r_t + gamma Q'(s_{t+1}, h'_{t+1}, argmax_a Q(s_{t+1}, h_{t+1}, a))     as of `dqn`, at every slot of a sequence

The carried states h and h' of network and target are recomputed: from zeros over the burn-in, whose slots are not
learnt from, then over the sequence (kapturowski2019, sec. 3: zero start state with burn-in). Not taken over from there:
prioritised replay, returns of n steps, rescaled values.
"""

import numpy as np
import torch
from torch import Tensor

from schemes.parts.learner_settings import RecurrentDqnSettings
from schemes.parts.nn.dqn import DeepQLearner, q_loss, q_targets
from schemes.parts.numpy_nets import Architecture
from schemes.parts.replay import SequenceBatch


class RecurrentQLearner(DeepQLearner):
    """A `DeepQLearner` of an architecture with Lstm or Gru; others learn as well, at the price of a sequence."""

    settings: RecurrentDqnSettings
    learns_memory = True

    def __init__(self, settings: RecurrentDqnSettings, architecture: Architecture, *, seed: int, node: int = 0) -> None:
        super().__init__(settings, architecture, seed=seed, node=node)

    def sequence_loss(self, batch: SequenceBatch) -> tuple[Tensor, Tensor]:
        """The loss over all valid slots, and their Q [K, A]."""
        settings, burn_in = self.settings, self.settings.burn_in_slots
        x, begins = torch.tensor(batch.states[:, :, 0]), torch.tensor(batch.begins)
        first = self.net.first_state(x.shape[1])
        with torch.no_grad():
            target_q = self.target.unroll(x, first, begins)[0][burn_in:]
            carried = self.net.unroll(x[:burn_in], first, begins[:burn_in])[1][-1] if burn_in else first
        online_q = self.net.unroll(x[burn_in:], carried, begins[burn_in:])[0]
        y = q_targets(
            torch.tensor(batch.rewards[:, :, 0]),
            torch.tensor(batch.not_terminal),
            _following(target_q, batch),
            _following(online_q.detach(), batch) if settings.double else None,
            discount=settings.discount,
        )
        valid = torch.tensor(batch.valid[:, :, 0])
        q, actions = online_q[:-1][valid], torch.tensor(batch.actions[:, :, 0])[valid]
        return q_loss(q, actions, y[valid], huber_threshold=settings.huber_threshold), q

    def _draw_loss(self, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        settings = self.settings
        return self.sequence_loss(
            self.replay.sample_sequences(
                rng, settings.batch, burn_in=settings.burn_in_slots, slots=settings.sequence_slots
            )
        )


def _following(q: Tensor, batch: SequenceBatch) -> Tensor:
    """Q of what followed each slot, [L, B, A], of q [L + 1, B, A]; after a truncated slot that of the slot itself, as
    in `Minibatch`."""
    return torch.where(torch.tensor(batch.truncated)[..., None], q[:-1], q[1:])

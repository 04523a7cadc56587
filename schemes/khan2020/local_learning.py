"""BSs that decide by themselves, by one policy that all share and the cloud learns from their histories.

One slot: the BSs act, all at once or one after the other. In training each then uploads its last row to the cloud, and
the cloud sends the new policy to all. Every BS begins with the policy that the cloud begins with, as both draw it from
the run's seed. Warmup plays as training does, and keeps its rows.

The reward of a row is the sum rate of the network: the sum of the rates that the BSs upload, each of its own cell. The
value network sees the gains of all BSs, which the histories bring to the cloud: the baseline may know what the action
does not depend on.

A row is learnt from if the policy that acted is the one to be improved. The row of a slot comes in the next one, and a
new policy acts in the one after: with an iteration per slot every other slot is learnt from.

Stale rules: those of `actor` and `uploads`. A slot of which a row is missing is not learnt from.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt
from annotated_types import Ge, Le

from protocol.determinism.rng import CounterRng
from protocol.messages.episodes import Mask
from protocol.messages.node import Welcome
from protocol.messages.spaces import Field, Records, Space
from protocol.params import param
from schemes.contract import Join, Learner, Send, Training, TurnContext
from schemes.khan2020.network_info import Floats, NetworkInfo, network_info
from schemes.khan2020.policy import PolicySettings, policy_of, powers_of
from schemes.parts.actor import Actor, Decision
from schemes.parts.distributions import ClippedGaussian
from schemes.parts.history import JointTrajectory, Layout
from schemes.parts.learner_settings import AtLeastOne, TrustRegionSettings
from schemes.parts.note_reader import NoteReader
from schemes.parts.numpy_nets import Network, draw_policy
from schemes.parts.rollout import Rollout
from schemes.parts.sense import Measured, Sense
from schemes.parts.uploads import Rows, UploadSettings, upload_rule
from schemes.parts.weights import Precision

VIEW = "experience"
OBSERVES = "gain_db [B, K, dB] to all users, this slot; rate_bps_hz and power_w [K] of its own users, slot before"
LEARNING_SENDS = (
    "in training history: 4 (B K + K + 1) bytes and a head of 5 and more per BS and slot to the cloud, "
    "weights: the policy from the cloud to all BSs"
)


@dataclass(frozen=True, kw_only=True)
class LocalSettings(TrustRegionSettings, PolicySettings, UploadSettings):
    """Parameters of the schemes whose BSs share a policy."""

    upload_every_slots: Annotated[int, Ge(1), Le(10_000)] = param(1, "slots between histories", source="ours")
    push_every_slots: Annotated[int, Ge(1)] = param(1, "slots between pushes of weights", source="ours")
    weights: Precision = param("float32", "number format of the weights notes", source="ours")
    value_epochs: AtLeastOne = param(2, "passes of the value network over the rows", source="ours")
    value_minibatches: AtLeastOne = param(5, "parts of such a pass, an update each", source="ours")
    rows_per_iteration: AtLeastOne = param(
        3000, "slots x replicas x BSs before learning: M = 1000 episodes of 3 BSs", source="table II"
    )


class CsiVector:
    """Records of `csi_space` as the policy's input: gains in dB with mean 0 and deviation 1, then shares of Pmax."""

    def __init__(self, info: NetworkInfo, space: Space) -> None:
        self._names = [field.name for field in space.fields]
        self._mean_db, self._deviation_db = info.mean_db[0], info.deviation_db[0]  # of bs-0, whose own cell is first
        self.inputs = sum(int(np.prod(field.shape)) for field in space.fields)

    def __call__(self, records: Records) -> Floats:
        """[E] to [E, inputs]"""
        gains = (records["gain_db"] - self._mean_db) / self._deviation_db
        columns = [gains, *(records[name] for name in self._names if name != "gain_db")]
        return np.concatenate([column.reshape(len(records), -1) for column in columns], axis=1)


def csi_space(welcome: Welcome, *extra: Field) -> Space:
    """What a BS knows: its gains to all users by cell, its own first, then the next ones by index; and `extra`."""
    spaces = welcome.views if welcome.index < welcome.agents else welcome.everyone[0].views
    measured = next(field for field in spaces[VIEW].fields if field.name == "gain_db")
    return Space((measured, *extra))


def own_first(measured: Records, index: int) -> npt.NDArray[np.float32]:
    """Gains in dB by cell from the BS's own on, [E, B, K]."""
    return np.roll(measured["gain_db"], -index, axis=1)


class OwnCsi(Measured):
    """A BS knows its own CSI alone. Stateless."""

    def __init__(self, space: Space, vector: CsiVector, index: int) -> None:
        super().__init__(space, vector)
        self._index = index

    def record(self, turn: TurnContext) -> Records:
        record = self.space.empty(len(turn.measurement))
        record["gain_db"] = own_first(turn.measurement, self._index)
        return record


class DrawnPowers:
    """Powers drawn from the distribution that the outputs describe; in evaluation its mean."""

    def __init__(self, welcome: Welcome, info: NetworkInfo, powers: ClippedGaussian) -> None:
        self.outputs = powers.outputs
        self._welcome, self._info, self._powers = welcome, info, powers

    def uniform(self, rng: np.random.Generator) -> Decision:
        return Decision(self._welcome.action.sample(rng, self._welcome.replicas))

    def explore(self, outputs: Floats, rng: np.random.Generator) -> Decision:
        return Decision(self._info.action(self._welcome, self._powers.sample(outputs, rng)))

    def evaluate(self, outputs: Floats, _rng: np.random.Generator) -> Decision:
        return Decision(self._info.action(self._welcome, self._powers.mode(outputs)))


class OwnCellRate:
    """The sum rate of the own cell, as its users report it to their BS. A row is not valid if the radio did not
    transmit what the BS chose, because its reply came too late."""

    feedback: NoteReader[Any] | None = None

    def __init__(self, info: NetworkInfo) -> None:
        self._info = info

    def of(self, action: Records, measured: Records, _feedback: None) -> tuple[Floats, Mask]:
        chosen_w = self._info.shares_of(action) * self._info.max_power_w
        valid = np.isclose(measured["power_w"], chosen_w, rtol=1e-4).all(axis=1)
        return measured["rate_bps_hz"].sum(axis=1), valid


class LocalBs(Actor):
    """A BS that draws its powers from the shared policy, also before the first weights come."""

    def __init__(self, welcome: Welcome, params: LocalSettings, sense: Sense) -> None:
        self.info = network_info(welcome)
        powers = powers_of(self.info.users)
        architecture = policy_of(params, sense.vector.inputs, powers.size)
        super().__init__(
            welcome,
            sense=sense,
            network=lambda weights: Network(architecture, weights),
            behaviour=DrawnPowers(welcome, self.info, powers),
            rows=Rows(Layout(sense.space, welcome.action, welcome.replicas), OwnCellRate(self.info), timeout_slots=0),
            upload_rule=upload_rule(params, lambda measured: float(measured["gain_db"].mean())),
        )
        self.load(draw_policy(architecture, CounterRng(welcome.seed, "learner").at(0)), 0)

    def _decide(self, turn: TurnContext, state: Records) -> Decision:
        if self.net is None:
            raise RuntimeError("a BS has its first policy from its seed")
        outputs = self.net(self._sense.vector(state))
        if turn.phase == "eval":
            return self._behaviour.evaluate(outputs, turn.rng())
        return self._behaviour.explore(outputs, turn.rng())


def training(welcome: Welcome, params: LocalSettings, space: Space) -> Training:
    """The cloud's side: one learner for all; `space`: what a BS knows."""
    info = network_info(welcome)
    vector = CsiVector(info, space)
    critic_inputs = vector.inputs + info.cells * info.cells * info.users

    def learner() -> Learner:
        from schemes.khan2020.learner_powers import shared

        return shared(
            params,
            params,
            inputs=vector.inputs,
            critic_inputs=critic_inputs,
            powers=info.users,
            seed=welcome.seed,
        )

    return Training(
        learner=learner,
        updates_per_turn=1,
        join=Join(
            how="together",
            layouts=[Layout(space, spaces.action, welcome.replicas) for spaces in welcome.everyone],
            to_data=to_rollout(info, vector),
            max_upload_interval_slots=params.max_upload_interval_slots,
        ),
        send=Send(to="all", every_slots=params.push_every_slots, precision=params.weights),
    )


def to_rollout(info: NetworkInfo, vector: CsiVector) -> Callable[[JointTrajectory], Rollout]:
    """All BSs' rows, each with the network's sum rate. An action changes no later channel, so each slot is an episode
    whatever the world's are; within a slot nothing is discounted."""
    gains = info.cells * info.users  # of one BS, the first of its inputs

    def rollout(joint: JointTrajectory) -> Rollout:
        slots, replicas, agents = joint.rewards.shape
        by_agent = [vector(states[:-1].reshape(-1)).reshape(slots, replicas, -1) for states in joint.states]
        states = np.stack(by_agent, axis=2)  # [T, E, N, inputs]
        shares = [records["power_w"] / np.float32(info.max_power_w) for records in joint.actions]
        from_own_on = (np.arange(agents)[:, None] + np.arange(agents)) % agents
        all_gains = states[..., :gains][:, :, from_own_on].reshape(slots, replicas, agents, -1)
        critic_states = np.concatenate([states, all_gains], axis=-1)
        ends = np.ones((slots, replicas), bool)
        return Rollout(
            states=states,
            actions=np.stack(shares, axis=2),
            rewards=np.repeat(joint.rewards.sum(axis=2, keepdims=True), agents, axis=2),
            next_states=states,
            log_probs=None,
            terminated=ends,
            truncated=~ends,
            valid=np.repeat(joint.valid.all(axis=2, keepdims=True), agents, axis=2),
            critic_states=critic_states,
            next_critic_states=critic_states,
            policy_versions=np.broadcast_to(joint.policy_versions[:, None], joint.rewards.shape),
        )

    return rollout

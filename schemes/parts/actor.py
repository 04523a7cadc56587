"""A node that acts by a network and keeps a history: the agent's side of every scheme that learns.

In warmup it draws uniformly, in training it explores, in evaluation it takes the best action and sends nothing.
Stale rule: a node acts by the weights that were sent last, in whatever order they arrive.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from protocol.messages.episodes import Mask, going_on
from protocol.messages.kinds import Kind
from protocol.messages.node import Note, ReceivedNote, Welcome
from protocol.messages.spaces import Field, Records, Space
from schemes.contract import LearntWeights, NodePolicy, TurnContext, TurnOutput, to_trainer
from schemes.parts.distributions import Categorical
from schemes.parts.exploration import EpsilonSoftmax, GaussianNoise
from schemes.parts.history import Draw, payload_bits
from schemes.parts.latest_notes import NewestFilter
from schemes.parts.local_trainer import LocalTrainer
from schemes.parts.note_reader import NoteReader
from schemes.parts.numpy_nets import Floats, Weights
from schemes.parts.sense import Sense
from schemes.parts.uploads import Rows, UploadRule
from schemes.parts.weights import read_weights

_REPORT_EVERY_SLOTS = 100  # a node with a local trainer learns in every slot; reporting each would flood the telemetry


class Net(Protocol):
    """A function of named weights: inputs [E, inputs] to outputs [E, outputs]. `step` also takes and returns the state
    that it carries from slot to slot, [E, width]; of a net that is not recurrent the width is 0."""

    weights: Weights

    @property
    def inputs(self) -> int: ...
    @property
    def outputs(self) -> int: ...
    def __call__(self, x: Floats, /) -> Floats: ...
    def first_state(self, replicas: int, /) -> Floats: ...
    def step(self, x: Floats, state: Floats, /) -> tuple[Floats, Floats]: ...


class Decision(NamedTuple):
    """What a node decides, each [E]. `row`: the action as its rows hold it, None: as it is. `log_prob`: of the draw, if
    the rows have it."""

    action: Records
    row: Records | None = None
    log_prob: Floats | None = None


class Behaviour(Protocol):
    """How the outputs of a network, or none, become a decision. `outputs`: their width."""

    outputs: int

    def uniform(self, rng: np.random.Generator, /) -> Decision: ...
    def explore(self, outputs: Floats, rng: np.random.Generator, /) -> Decision: ...
    def evaluate(self, outputs: Floats, rng: np.random.Generator, /) -> Decision: ...


class Choices:
    """One of `outputs` choices per replica. `action`: choices [E] as an action."""

    def __init__(
        self,
        action: Callable[[npt.NDArray[np.int64]], Records],
        outputs: int,
        exploration: EpsilonSoftmax,
        *,
        replicas: int,
    ) -> None:
        self.outputs = outputs
        self._action, self._exploration, self._replicas = action, exploration, replicas

    def uniform(self, rng: np.random.Generator) -> Decision:
        return Decision(self._action(rng.integers(0, self.outputs, self._replicas)))

    def explore(self, outputs: Floats, rng: np.random.Generator) -> Decision:
        return Decision(self._action(self._exploration.choose(outputs, rng)))

    def evaluate(self, outputs: Floats, _rng: np.random.Generator) -> Decision:
        return Decision(self._action(outputs.argmax(axis=1)))


class Continuous:
    """`outputs` numbers per replica, in training with noise. `action`: numbers [E, outputs] as an action."""

    def __init__(
        self, action: Callable[[Floats], Records], outputs: int, noise: GaussianNoise, *, replicas: int
    ) -> None:
        self.outputs = outputs
        self._action, self._noise, self._replicas = action, noise, replicas

    def uniform(self, rng: np.random.Generator) -> Decision:
        drawn = rng.uniform(self._noise.low, self._noise.high, (self._replicas, self.outputs))
        return Decision(self._action(drawn.astype(np.float32)))

    def explore(self, outputs: Floats, rng: np.random.Generator) -> Decision:
        return Decision(self._action(self._noise.act(outputs, rng)))

    def evaluate(self, outputs: Floats, _rng: np.random.Generator) -> Decision:
        return Decision(self._action(outputs))


class Drawn:
    """Choices drawn from the policy as it is, which their log-probability tells the learner; also in evaluation, unless
    `evaluates` is "best". `action`: choices [E, K] as an action; rows hold the choices themselves, in `space`."""

    def __init__(
        self,
        action: Callable[[npt.NDArray[np.int64]], Records],
        distribution: Categorical,
        *,
        replicas: int,
        evaluates: Literal["drawn", "best"],
    ) -> None:
        self.outputs, self._distribution = distribution.outputs, distribution
        self._action, self._replicas, self._evaluates = action, replicas, evaluates
        self.space = choices_space(distribution)

    def uniform(self, rng: np.random.Generator) -> Decision:
        return self.explore(np.zeros((self._replicas, self.outputs), np.float32), rng)

    def explore(self, outputs: Floats, rng: np.random.Generator) -> Decision:
        choices = self._distribution.sample(outputs, rng)
        row = self.space.empty(len(choices))
        row["choices"] = choices
        return Decision(self._action(choices), row, self._distribution.log_prob(outputs, choices))

    def evaluate(self, outputs: Floats, rng: np.random.Generator) -> Decision:
        drawn = self._evaluates == "drawn"
        return Decision(
            self._action(self._distribution.sample(outputs, rng) if drawn else self._distribution.mode(outputs))
        )


def choices_space(distribution: Categorical) -> Space:
    """How a node's rows hold its choices, [K] each; a world's bounds of fewer choices are not theirs."""
    last = max(distribution.choices) - 1
    return Space((Field("choices", np.min_scalar_type(last).str[1:], (distribution.size,), low=0, high=last),))


class Actor(NodePolicy):
    """Acts by `net`, keeps `rows`, and sends them to the trainer or adds them to its own `local_trainer` when it is
    due.

    `network`: a net from weights; ValueError if they make none. `policy_version`: the version of the weights in `net`;
    a local trainer's are counted here. `on_policy`: its learner takes rows for those of the weights that the node has,
    so that what it draws uniformly in warmup in spite of them is not kept. `exchange`: reads the notes of a turn of
    exchange, if the choreography has one before the node acts, and returns those to send. What a recurrent net carries
    begins at zero with an episode, and with new weights, for which the old ones' state has no meaning.
    """

    def __init__(
        self,
        welcome: Welcome,
        *,
        sense: Sense,
        network: Callable[[Weights], Net],
        behaviour: Behaviour,
        rows: Rows,
        upload_rule: UploadRule,
        local_trainer: LocalTrainer | None = None,
        on_policy: bool = False,
        exchange: Callable[[TurnContext], tuple[Note, ...]] | None = None,
    ) -> None:
        self._sense, self._network, self._behaviour, self._exchange = sense, network, behaviour, exchange
        self._on_policy = on_policy
        self._rows, self._upload_rule, self._local_trainer = rows, upload_rule, local_trainer
        self._weights = NoteReader(Kind.WEIGHTS, (welcome.agents,), self._read_weights)
        self._newest_weights = NewestFilter()
        self._replicas = welcome.replicas
        self._ended = going_on(welcome.replicas)  # in the exchange of this slot
        self._report_at = 0  # slot
        self.policy_version = 0
        self.net: Net | None = None
        self._carried: Floats | None = None  # by `net`, [E, width]

    def prepare(self) -> None:
        if self._local_trainer is not None:
            self._local_trainer.prepare()

    def on_turn(self, turn: TurnContext) -> TurnOutput:
        received = self.receive_weights(turn)
        if self._exchange is not None and turn.step == "exchange":
            self._ended = turn.ended  # the next turn does not say it again
            return TurnOutput(None, self._exchange(turn), received)
        state = self._sense.record(turn)
        turn, self._ended = turn._replace(ended=turn.ended | self._ended), going_on(self._replicas)
        old_history = self._upload(self._rows.observe(turn, state))
        acting_version, carried = self.policy_version, self._carried  # an update below counts from the next slot on
        decision = self._decide(turn, state)
        history, learnt = self._upload_if_due(turn)
        if turn.phase == "eval" or (self._on_policy and turn.phase == "warmup" and self.net is not None):
            self._rows.skip()
        else:
            self._rows.acted(turn.slot, *_row(decision, acting_version, carried))
        return TurnOutput(decision.action, old_history + history, {**received, **learnt})

    def close(self, turn: TurnContext) -> tuple[Note, ...]:
        return self._upload(self._rows.observe(turn, self._sense.record(turn))) + self._upload(self._rows.take())

    def restart(self, replicas: Mask) -> None:
        self._sense.restart(replicas)
        if self._carried is not None:
            self._carried = np.where(replicas[:, None], np.float32(0), self._carried)

    def start_from(self, weights: Sequence[Weights]) -> None:
        [own] = weights
        self._act_by(self._fitting(own), self.policy_version)
        if self._local_trainer is not None:
            self._local_trainer.start(own)

    def learnt_weights(self) -> LearntWeights | None:
        if self._local_trainer is None:
            return None
        return LearntWeights(self.policy_version, self._local_trainer.weights)

    def snapshot(self) -> dict[str, Any]:
        return {
            "sense": self._sense.snapshot(),
            "rows": self._rows.snapshot(),
            "upload_rule": self._upload_rule.snapshot(),
            "report_at": self._report_at,
            "newest_weights": self._newest_weights.snapshot(),
            "policy_version": self.policy_version,
            "weights": None if self.net is None else dict(self.net.weights),
            "carried": None if self._carried is None else self._carried.copy(),
            "ended": self._ended.copy(),
            "local_trainer": None if self._local_trainer is None else self._local_trainer.snapshot(),
        }

    def restore(self, data: dict[str, Any]) -> None:
        self._sense.restore(data["sense"])
        self._rows.restore(data["rows"])
        self._upload_rule.restore(data["upload_rule"])
        self._report_at = data["report_at"]
        self._newest_weights.restore(data["newest_weights"])
        self.policy_version = data["policy_version"]
        self._ended = data["ended"]
        if data["weights"] is not None:
            self.load(data["weights"], self.policy_version)
            self._carried = data["carried"]
        if self._local_trainer is not None:
            self._local_trainer.restore(data["local_trainer"])

    def load(self, weights: Weights, policy_version: int) -> None:
        """Act by these weights from now on."""
        self._act_by(self._network(weights), policy_version)

    def _act_by(self, net: Net, policy_version: int) -> None:
        self.net, self.policy_version = net, policy_version
        self._carried = net.first_state(self._replicas)

    def receive_weights(self, turn: TurnContext) -> Mapping[str, float]:
        """Load the newest weights received; the scalars to report, {} if none came. For the turns of a slot in which
        the node is asked beside the one in which it acts by its network: notes arrive in every turn."""
        received = self._newest_weights.take(turn.read(self._weights))
        for _, (policy_version, net) in received:
            self._act_by(net, policy_version)
        return {"policy_version": self.policy_version} if received else {}

    def _read_weights(self, note: ReceivedNote) -> tuple[int, Net]:
        """Policy version and network of a note. ValueError if the network does not fit this node."""
        policy_version, weights = read_weights(note.body)
        return policy_version, self._fitting(weights)

    def _fitting(self, weights: Weights) -> Net:
        """The network of these weights. ValueError if it does not fit this node."""
        if not all(np.isfinite(weight).all() for weight in weights.values()):
            raise ValueError("a weight is not finite")
        net = self._network(weights)
        if (net.inputs, net.outputs) != (self._sense.vector.inputs, self._behaviour.outputs):
            raise ValueError(
                f"a network of {net.inputs} inputs and {net.outputs} outputs does not fit: this node has "
                f"{self._sense.vector.inputs} and {self._behaviour.outputs}"
            )
        return net

    def _decide(self, turn: TurnContext, state: Records) -> Decision:
        """The decision of this slot."""
        if self.net is None or self._carried is None or turn.phase == "warmup":
            return self._behaviour.uniform(turn.rng())
        outputs, self._carried = self.net.step(self._sense.vector(state), self._carried)
        if turn.phase == "eval":
            return self._behaviour.evaluate(outputs, turn.rng())
        return self._behaviour.explore(outputs, turn.rng())

    def _upload_if_due(self, turn: TurnContext) -> tuple[tuple[Note, ...], Mapping[str, float]]:
        """Upload the rows if it is due; in training a local trainer then learns. Notes, and scalars to report."""
        due = self._upload_rule.due(turn, self._rows.complete) or turn.phase == "eval"
        if not (due and self._rows.complete):
            return (), {}
        notes = self._upload(self._rows.take())
        if self._local_trainer is None or turn.phase != "train":
            return notes, {}
        scalars, weights = self._local_trainer.learn()
        if weights is None:
            return notes, {}
        self.load(weights, self.policy_version + 1)
        if turn.slot < self._report_at:
            return notes, {}
        self._report_at = turn.slot - turn.slot % _REPORT_EVERY_SLOTS + _REPORT_EVERY_SLOTS
        return notes, {**scalars, "policy_version": self.policy_version}

    def _upload(self, body: bytes) -> tuple[Note, ...]:
        """A note to the trainer with this history; none if it is empty, or if the local trainer takes it."""
        if not body:
            return ()
        if self._local_trainer is None:
            return (to_trainer(Kind.HISTORY, body, payload_bits=payload_bits(body, self._replicas)),)
        self._local_trainer.add(body)
        return ()


def _row(decision: Decision, policy_version: int, carried: Floats | None) -> tuple[Records, int, Draw | None]:
    """What a row says of a decision: the action, the version of the policy, and how it drew. `carried`: before it."""
    action = decision.action if decision.row is None else decision.row
    draw = None if decision.log_prob is None else Draw(decision.log_prob, carried)
    return action, policy_version, draw

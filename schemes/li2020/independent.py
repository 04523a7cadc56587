"""Independent learners in li2020's cell: one per pair, from its own states, choices and rewards alone.

With `learns_at: node` the learner runs on the pair, and the BS's outage bit is the only note. With `learns_at: trainer`
it runs at the BS/cloud, histories are uploaded and weights pushed back. The learner is the same: with an upload and a
push in every slot and no delay the weights are equal bit for bit, and only the books differ.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from annotated_types import Ge, Le

from protocol.messages.choreography import Choreography, agents_act, trainer_learns
from protocol.messages.node import Welcome
from protocol.messages.spaces import Space
from protocol.params import param
from schemes.contract import Join, Learner, NodePolicy, Send, Training
from schemes.li2020.cell_info import CellInfo, Standardiser, cell_info
from schemes.li2020.pair import VIEW, experience_of, layout_of, learning_pair
from schemes.parts.actor import Net
from schemes.parts.experience import Experience
from schemes.parts.exploration import EpsilonSoftmax
from schemes.parts.history import JointTrajectory
from schemes.parts.local_trainer import LocalTrainer
from schemes.parts.numpy_nets import Mlp, Weights
from schemes.parts.sense import Vectoriser
from schemes.parts.uploads import UploadSettings
from schemes.parts.weights import Precision


@dataclass(frozen=True, kw_only=True)
class IndependentSettings(UploadSettings):
    """Where the learner of a pair runs, and how often."""

    learns_at: Literal["node", "trainer"] = param("node", "where the learner runs", source="ours")
    upload_every_slots: Annotated[int, Ge(1), Le(10_000)] = param(1, "slots between histories", source="ours")
    updates_per_upload: Annotated[int, Ge(0), Le(10_000)] = param(1, "updates after each history", source="ours")
    push_every_slots: Annotated[int, Ge(1)] = param(1, "slots between pushes of weights by the trainer", source="ours")
    weights: Precision = param("float32", "number format of the weights notes", source="ours")


@dataclass(frozen=True, kw_only=True)
class IndependentLearners:
    """What tells one scheme of independent learners from another.

    `learner(params, vector, n_actions, seed, node)` builds a node's and may load torch. `data`: rows as what it stores.
    `vector`: a state as its input; `network`: what acts, from its weights; `on_policy`: see `Actor`.
    """

    learner: Callable[[Any, Any, int, int, int], Learner]
    data: Callable[[Experience, JointTrajectory], Any]
    exploration: Callable[[Any], EpsilonSoftmax]
    vector: Callable[[CellInfo, Space], Vectoriser] = Standardiser
    network: Callable[[Weights], Net] = Mlp
    on_policy: bool = False

    def pair(self, welcome: Welcome, params: Any) -> NodePolicy:
        """A pair that learns by itself, or that uploads its histories to the trainer."""
        cell = cell_info(welcome)
        vector = self.vector(cell, welcome.views[VIEW])
        experience = experience_of(cell, vector)
        local_trainer = LocalTrainer(
            lambda: self._learners(welcome, params, vector, (welcome.index,)),
            layout_of(welcome, params),
            lambda joint: self.data(experience, joint),
            updates=params.updates_per_upload,
        )
        return learning_pair(
            welcome,
            params,
            self.exploration(params),
            local_trainer if params.learns_at == "node" else None,
            vector=vector,
            network=self.network,
            on_policy=self.on_policy,
        )

    def training(self, welcome: Welcome, params: Any) -> Training:
        """The trainer's side: one learner per pair, none of which waits for another's rows."""
        cell, agents = cell_info(welcome), tuple(range(welcome.agents))
        vector = self.vector(cell, welcome.everyone[0].views[VIEW])
        experience = experience_of(cell, vector)
        return Training(
            learner=lambda: self._learners(welcome, params, vector, agents),
            updates_per_turn=params.updates_per_upload,
            join=Join(
                how="alone",
                layouts=[layout_of(welcome, params, agent) for agent in agents],
                to_data=lambda joint: self.data(experience, joint),
                max_upload_interval_slots=params.max_upload_interval_slots,
            ),
            send=Send(to="each", every_slots=params.push_every_slots, precision=params.weights),
        )

    def _learners(self, welcome: Welcome, params: Any, vector: Vectoriser, nodes: tuple[int, ...]) -> Learner:
        from schemes.parts.nn.learning import Independent

        n_actions, seed = cell_info(welcome).n_actions, welcome.seed
        return Independent([self.learner(params, vector, n_actions, seed, node) for node in nodes])


def choreography(params: IndependentSettings) -> Choreography:
    """All pairs act; then a trainer learns from the histories received, if that is where learning happens."""
    turns = (agents_act(view=VIEW), *([trainer_learns()] if params.learns_at == "trainer" else []))
    return Choreography(turns, feedback=("outage",), feedback_phases=("warmup", "train"))

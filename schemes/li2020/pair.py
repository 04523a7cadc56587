"""A pair that acts by a network, explores and keeps a history: the agent's side of li2020's learning schemes.

A pair computes its reward itself (li2020 eq. 5-7), from the SINR that its receiver measured and the outage bit of its
RB. Stale rules: those of `actor` and `uploads`.
"""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from protocol.messages.episodes import Mask
from protocol.messages.node import Welcome
from protocol.messages.spaces import Records
from schemes.li2020.cell_info import ActionTable, CellInfo, Standardiser, cell_info
from schemes.li2020.outage_bits import Outage, outage_reader
from schemes.parts.actor import Actor, Choices, Net
from schemes.parts.experience import Experience
from schemes.parts.exploration import EpsilonSoftmax
from schemes.parts.history import Layout
from schemes.parts.local_trainer import LocalTrainer
from schemes.parts.numpy_nets import Mlp, Weights
from schemes.parts.sense import Measured, Vectoriser
from schemes.parts.uploads import Rows, UploadSettings, upload_rule

VIEW = "experience"


def layout_of(welcome: Welcome, settings: UploadSettings, agent: int | None = None) -> Layout:
    """The layout of a pair's history rows: of its own, or for the trainer those of `agent`."""
    spaces = welcome if agent is None else welcome.everyone[agent]
    return Layout(spaces.views[VIEW], spaces.action, welcome.replicas, precision=settings.history)


def experience_of(cell: CellInfo, vector: Vectoriser) -> Experience:
    """Rows as a learner's data, with choices level * rbs + rb: the inverse of `ActionTable`."""

    def choice(records: Records) -> npt.NDArray[np.int64]:
        level = records["power"].astype(np.int64) if "power" in (records.dtype.names or ()) else 0
        return np.asarray(level * cell.rbs + records["rb"].astype(np.int64))

    return Experience(vector, choice)


class CellReward:
    """li2020 eq. (5-7): log2(1 + SINR), or the negative reward if the CUE of the RB was in outage.

    A row is not valid if the BS's bit did not come, or if the radio did not transmit what the pair chose, because its
    reply came too late.
    """

    def __init__(self, welcome: Welcome, cell: CellInfo) -> None:
        self.feedback = outage_reader(welcome)
        self._negative = np.float32(cell.negative_reward)

    def of(self, action: Records, measured: Records, outage: Outage | None) -> tuple[npt.NDArray[np.float32], Mask]:
        rate = np.log2(1 + measured["sinr"])
        transmitted = bool((measured["last_rb"] == action["rb"]).all())
        if outage is None:
            return rate, np.zeros(len(rate), bool)
        return np.where(outage, self._negative, rate), np.full(len(rate), transmitted)


def learning_pair(
    welcome: Welcome,
    settings: UploadSettings,
    exploration: EpsilonSoftmax,
    local_trainer: LocalTrainer | None = None,
    *,
    vector: Vectoriser | None = None,
    network: Callable[[Weights], Net] = Mlp,
    on_policy: bool = False,
) -> Actor:
    """An actor in the cell; `vector`: None for the standardised observation; `on_policy`: see `Actor`."""
    cell = cell_info(welcome)
    return Actor(
        welcome,
        sense=Measured(welcome.views[VIEW], vector or Standardiser(cell, welcome.views[VIEW])),
        network=network,
        behaviour=Choices(ActionTable(cell, welcome.action), cell.n_actions, exploration, replicas=welcome.replicas),
        rows=Rows(
            layout_of(welcome, settings), CellReward(welcome, cell), timeout_slots=settings.feedback_timeout_slots
        ),
        upload_rule=upload_rule(settings, _gain_to_bs_db),
        local_trainer=local_trainer,
        on_policy=on_policy,
    )


def _gain_to_bs_db(measured: Records) -> float:
    """The mean over RBs and replicas."""
    return float(measured["bs_gain_db"].mean(dtype=np.float64))

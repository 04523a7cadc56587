"""What an actor sees: S_b of wong2021 eq. (17) as a network's input."""

import numpy as np

from protocol.messages.spaces import Records
from schemes.parts.numpy_nets import Floats
from schemes.wong2021.cells_info import CellsInfo

_MATRICES = ("h_re", "h_im", "w_re", "w_im")


class Situation:
    """Costs and quiet costs by their logarithms, 0 where a mean gain meets no interference and 1 where it meets that of
    equal powers; the budget over the mean one; with `observation: full` H_b, and W_b times sqrt(M)."""

    def __init__(self, cells: CellsInfo) -> None:
        gain = cells.antennas - cells.users + 1  # mean of |w^H h|^2 under zero-forcing
        interference = cells.cross_gain * (cells.cells - 1) * cells.users * cells.mean_power / cells.channels
        self._quiet, self._span = np.float32(-np.log(gain)), np.float32(1 / max(np.log1p(interference), 1.0))
        self._mean_power = np.float32(cells.mean_power)
        self._scales = dict.fromkeys(_MATRICES, np.float32(1)) if cells.observation == "full" else {}
        self._scales |= {name: np.float32(np.sqrt(cells.antennas)) for name in self._scales if name.startswith("w")}
        matrix = cells.channels * cells.antennas * cells.users
        self.inputs = 2 * cells.users * cells.channels + 1 + matrix * len(self._scales)

    def __call__(self, records: Records) -> Floats:
        """Records [E] of the view `experience` to float32 [E, inputs]."""
        e = len(records)
        parts: list[Floats] = [self._level(records[name]).reshape(e, -1) for name in ("cost", "quiet_cost")]
        parts.append(np.asarray(records["budget"] / self._mean_power, np.float32)[:, None])
        parts += [records[name].reshape(e, -1) * scale for name, scale in self._scales.items()]
        return np.concatenate(parts, axis=1, dtype=np.float32)

    def _level(self, costs: Floats) -> Floats:
        return np.asarray((np.log(np.maximum(costs, np.finfo(np.float32).tiny)) - self._quiet) * self._span, np.float32)

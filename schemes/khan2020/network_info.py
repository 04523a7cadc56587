"""What every node of a downlink network knows beforehand, and the formats of its notes."""

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import msgspec
import numpy as np
import numpy.typing as npt

from protocol.messages.kinds import Kind
from protocol.messages.node import Note, ReceivedNote, Welcome
from protocol.messages.spaces import Records
from protocol.params import param
from schemes.parts.facts import static_facts
from schemes.parts.scalars import ScalarCoding
from schemes.parts.weights import Precision

Floats = npt.NDArray[np.float32]

_DB = 1000.0  # bound of a gain in dB in a note of floats
_LOW_DEVIATIONS, _HIGH_DEVIATIONS = 5.0, 6.0  # the range of a gain of one byte; a user may be very near its BS


@dataclass(frozen=True, kw_only=True)
class NoteFormats:
    """How gains and powers are sent: parameters that the schemes with notes inherit."""

    csi: Precision = param(
        "float32", "format of a gain in dB; int8: 256 steps over the usual range, about 0.5 dB each", source="ours"
    )
    powers: Precision = param("float32", "format of a power as a share of Pmax", source="ours")


class NetworkInfo(msgspec.Struct, frozen=True, dict=True):
    """Constants of the network: see `static_info` of the world downlink_cells."""

    cells: int
    users: int
    max_power_w: float
    noise_w: float
    power_budget: Literal["per_user", "per_bs"]
    interference: Literal["all", "other_cells"]
    typical_db: dict[str, tuple[float, float]]

    @cached_property
    def mean_db(self) -> Floats:
        """Mean of the gains in dB over places and fading, [B (tx), B, 1]."""
        return self._by_pair(0)

    @cached_property
    def deviation_db(self) -> Floats:
        """Their standard deviation, [B (tx), B, 1]."""
        return self._by_pair(1)

    def standardised(self, gains_db: Floats) -> Floats:
        """Gains in dB [..., B (tx), B, K] with mean 0 and deviation 1."""
        return (gains_db - self.mean_db) / self.deviation_db

    def within_budget(self, shares: Floats) -> Floats:
        """Powers as shares of Pmax [..., K]: a BS's are scaled down to a sum of 1 if Pmax limits the sum."""
        if self.power_budget == "per_user":
            return shares
        return np.asarray(shares / np.maximum(shares.sum(axis=-1, keepdims=True), 1), np.float32)

    def action(self, welcome: Welcome, shares: Floats) -> Records:
        """A BS's powers as shares of Pmax [E, K], as its action."""
        records = welcome.action.empty(welcome.replicas)
        records["power_w"] = shares * np.float32(self.max_power_w)
        return records

    def shares_of(self, action: Records) -> Floats:
        """The powers that the radio transmits for a BS's action, as shares of Pmax [E, K]."""
        return self.within_budget(np.asarray(action["power_w"] / np.float32(self.max_power_w), np.float32))

    def csi_coding(self, replicas: int, precision: Precision) -> ScalarCoding:
        """Of a BS's gains in dB, [E, B, K]."""
        shape = (self.cells, self.users)
        if precision != "int8":
            return ScalarCoding(-_DB, _DB, shape, replicas, precision)
        lows = [mean - _LOW_DEVIATIONS * deviation for mean, deviation in self.typical_db.values()]
        highs = [mean + _HIGH_DEVIATIONS * deviation for mean, deviation in self.typical_db.values()]
        return ScalarCoding(min(lows), max(highs), shape, replicas, precision)

    def power_coding(self, replicas: int, precision: Precision) -> "PowerCoding":
        """Of a BS's powers, [E, K]."""
        return PowerCoding(ScalarCoding(0.0, 1.0, (self.users,), replicas, precision))

    def _by_pair(self, which: int) -> Floats:
        own = np.eye(self.cells, dtype=bool)[..., None]
        return np.where(own, self.typical_db["own"][which], self.typical_db["other"][which]).astype(np.float32)


@dataclass(frozen=True)
class PowerCoding:
    """A BS's powers as shares of Pmax in decisions."""

    scalars: ScalarCoding

    def note(self, agent: int, shares: Floats) -> Note:
        """Shares [E, K] for an agent."""
        return Note((agent,), Kind.DECISION, self.scalars.write(shares))

    def read(self, note: ReceivedNote) -> Floats:
        """[E, K]. ValueError for another length or a share out of bounds."""
        return self.scalars.read(note.body)


def network_info(welcome: Welcome) -> NetworkInfo:
    """ValueError in a world without BSs that choose powers."""
    return static_facts(welcome, NetworkInfo, world="downlink_cells")

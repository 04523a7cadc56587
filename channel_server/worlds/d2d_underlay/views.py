"""What a pair measures, by view: the spaces of the records, and how they are filled from the state."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from channel_server.radio.decibels import Floats, to_db, to_dbm
from channel_server.radio.sinr import at_channel
from channel_server.worlds.d2d_underlay.geometry import CellGeometry
from channel_server.worlds.d2d_underlay.link_budget import CellLinkBudget
from channel_server.worlds.d2d_underlay.params import D2DUnderlay
from channel_server.worlds.d2d_underlay.physics import CellState, Reception
from protocol.messages.spaces import Field, Records, Space

_DB = 1000  # no gain and no power in dB or dBm lies outside -_DB .. _DB
Pairs = slice | list[int]  # who is measured
LAST_SLOT_VIEWS = ("observation", "experience", "interference")  # they show the pair's reception of the previous slot


class Views:
    """`spaces`: the record of each view, the same for all pairs."""

    def __init__(self, params: D2DUnderlay, budget: CellLinkBudget, geometry: CellGeometry, replicas: int) -> None:
        self._params, self._budget, self._geometry, self._replicas = params, budget, geometry, replicas
        self.spaces: Mapping[str, Space] = view_spaces(params)
        self._fill: dict[str, Callable[[CellState, Pairs, Records], None]] = {
            "observation": self._observation if params.observation == "per_rb" else self._compact_observation,
            "experience": self._experience,
            "receiver": self._receiver,
            "csi": self._csi,
            "interference": lambda state, pairs, records: self._own_rb(state.last, pairs, records),
            "probe": lambda state, pairs, records: self._own_rb(state.trial, pairs, records),
        }

    def measure(self, state: CellState, view: str, nodes: Sequence[int] | None = None) -> list[Records]:
        """The measurements of these pairs or of all, [n] of records [E]. KeyError for an unknown view."""
        fill = self._fill[view]
        count, pairs = (self._params.pairs, slice(None)) if nodes is None else (len(nodes), list(nodes))
        records = np.zeros((count, self._replicas), self.spaces[view].dtype)  # [n, E]
        fill(state, pairs, records)
        return list(records)

    def measured_links(self, view: str, node: int) -> npt.NDArray[np.bool_]:
        """The links whose gains `node` measures in `view`, [links]."""
        n, k = self._params.pairs, self._params.rbs
        links, own = self._geometry.links, np.arange(n) == node
        to_own_rx = np.broadcast_to(own, (n, k, n))  # [tx, RB, rx]
        rows = np.broadcast_to(own[:, None], (n, k))
        match view:
            case "observation" | "experience":
                return links.where(d2d=to_own_rx & own[:, None, None], bs_tx=rows)
            case "receiver":
                return links.where(d2d=to_own_rx & own[:, None, None], bs_rx=rows)
            case "csi":
                return links.where(d2d=to_own_rx, bs_rx=rows)
            case _:  # the other views show past receptions, which do not determine the gains of this slot
                return links.where()

    def _group(self, state: CellState, name: str) -> Floats:
        return self._geometry.links.group(state.gain, name)

    def _own_gain_db(self, state: CellState, pairs: Pairs) -> Floats:
        """[n, E, K]"""
        return _by_pair(to_db(self._geometry.own(state.gain)[:, pairs]))

    def _bs_gain_db(self, state: CellState, name: str, pairs: Pairs) -> Floats:
        """[n, E, K]"""
        return _by_pair(to_db(self._group(state, name)[:, pairs]))

    def _observation(self, state: CellState, pairs: Pairs, records: Records) -> None:
        records["own_gain_db"] = self._own_gain_db(state, pairs)
        records["bs_gain_db"] = self._bs_gain_db(state, "bs_tx", pairs)
        records["interference_dbm"] = _by_pair(to_dbm(state.last.interference_w[:, pairs]))
        records["last_rb"] = state.last.rb[:, pairs].T

    def _compact_observation(self, state: CellState, pairs: Pairs, records: Records) -> None:
        records["own_gain_db"] = self._own_gain_db(state, pairs)
        records["bs_gain_db"] = to_db(self._group(state, "bs_tx")[:, pairs].mean(axis=2)).T
        records["interference_dbm"] = to_dbm(self._on_own_rb(state.last, pairs)).T
        records["last_rb"] = state.last.rb[:, pairs].T

    def _experience(self, state: CellState, pairs: Pairs, records: Records) -> None:
        self._fill["observation"](state, pairs, records)
        records["sinr"] = state.last.sinr[:, pairs].T

    def _receiver(self, state: CellState, pairs: Pairs, records: Records) -> None:
        records["own_gain_db"] = self._own_gain_db(state, pairs)
        records["bs_gain_db"] = self._bs_gain_db(state, "bs_rx", pairs)

    def _csi(self, state: CellState, pairs: Pairs, records: Records) -> None:
        records["d2d_gain_db"] = to_db(self._group(state, "d2d").transpose(3, 0, 1, 2)[pairs])  # [rx, E, tx, RB]
        records["bs_gain_db"] = self._bs_gain_db(state, "bs_rx", pairs)

    def _own_rb(self, after: Reception, pairs: Pairs, records: Records) -> None:
        records["interference_over_noise"] = self._on_own_rb(after, pairs).T / self._budget.noise_w
        records["sinr"] = after.sinr[:, pairs].T
        records["last_rb"] = after.rb[:, pairs].T

    def _on_own_rb(self, after: Reception, pairs: Pairs) -> Floats:
        """Interference in W on the RB a pair used, [E, n]; the noise power for a silent pair."""
        rb = after.rb[:, pairs]
        return np.where(rb >= 0, at_channel(after.interference_w[:, pairs], rb), self._budget.noise_w)


def view_spaces(params: D2DUnderlay) -> dict[str, Space]:
    """The record of every view. Fields are of this slot unless a comment names another."""
    n, k = params.pairs, params.rbs
    width = (k,) if params.observation == "per_rb" else ()
    own_gain_db = _decibels("own_gain_db", (k,))
    bs_gain_db = _decibels("bs_gain_db", (k,))  # from the BS to the receiver, by its pilot
    sinr = Field("sinr", "f4", unit="1", low=0)  # of the previous slot, 0 after silence
    last_rb = Field("last_rb", "i2", low=-1, high=k - 1)  # of the previous slot, -1 for none
    decibels = (
        own_gain_db,
        _decibels("bs_gain_db", width),  # from the BS to the transmitter
        _decibels("interference_dbm", width, "dBm"),  # of the previous slot: BS and other pairs, no noise
    )
    over_noise = Field("interference_over_noise", "f4", unit="1", low=0)  # on the RB used; 1 for a silent pair
    on_own_rb = Space((over_noise, sinr, last_rb))
    return {
        "observation": Space((*decibels, last_rb)),  # s_i = [G_d, G_c, I(t-1), K(t-1)], li2020 sec. III-A
        "experience": Space((*decibels, sinr, last_rb)),  # s_i, and the SINR that the last reward follows from
        "receiver": Space((own_gain_db, bs_gain_db)),
        # from every pair's transmitter, and from the BS, to this receiver
        "csi": Space((_decibels("d2d_gain_db", (n, k)), bs_gain_db)),
        "interference": on_own_rb,  # of the previous slot
        "probe": on_own_rb,  # of the last trial in this slot
    }


def action_space(params: D2DUnderlay) -> Space:
    """An RB, and a power level where there are several."""
    rb = Field("rb", "i2", low=-1, high=params.rbs - 1)  # -1 is silence
    level = Field("power", "u1", low=0, high=params.power_levels - 1)  # 0 is the full power
    return Space((rb,) if params.power_levels == 1 else (rb, level))


def _decibels(name: str, shape: tuple[int, ...], unit: str = "dB") -> Field:
    return Field(name, "f4", shape, unit, -_DB, _DB)


def _by_pair(values: Floats) -> Floats:
    """[E, N, K] to [N, E, K]."""
    return values.swapaxes(0, 1)

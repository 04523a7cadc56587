"""li2020's cell: D2D pairs pick resource blocks (RB) that a downlink cell uses at the same time.

One BS at the centre, K cellular users (CUE), CUE m on RB m; N pairs, each on one RB per slot or silent.

    xi_c[k] = Pb g[b, c_k] / (sum over pairs n on RB k of Pd g[t_n, c_k] + sigma^2)                          eq. (1)
    xi_d[n] = Pd g[t_n, r_n] / (Pb g[b, r_n] + sum over other pairs i on its RB of Pd g[t_i, r_n] + sigma^2)  eq. (2)
    reward  = log2(1 + xi_d) if the CUE on its RB has xi_c >= threshold, else r_neg; silent: 0              eq. (5-7)

Not modelled: mobility, shadowing, the uplink, several RBs per pair or per CUE.

What nodes tell each other may be rationed by radio (ours, not the paper's). It crosses a band of its own, as wide as
the K RBs, without interference, with the RBs' gains of this slot, the same up and down, and the noise of a UE. Who
tells puts the full power on each RB; a CUE's, which the paper does not need, is a pair's:

    sidelink, pair i to j   log2(1 + Pd g[t_i, r_j] / sigma^2), mean over RBs
    uplink, pair i          log2(1 + Pd g[b, t_i] / sigma^2), mean over RBs     CUE m: log2(1 + Pd g[b, c_m] / sigma^2)
    downlink, to pair i     log2(1 + Pb g[b, t_i] / sigma^2), mean over RBs
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal

import numpy as np
import numpy.typing as npt
from annotated_types import Ge, Gt, Le, Lt

from channel_server.radio import fading
from channel_server.radio.decibels import Floats, from_db, from_dbm, to_db, to_dbm
from channel_server.radio.fading import Coefficients
from channel_server.radio.geometry import by_distance, distances_m, nearest, uniform_in_disc
from channel_server.radio.links import Links
from channel_server.radio.path_loss import PathLoss
from channel_server.radio.sinr import (
    at_channel,
    occupancy,
    per_channel,
    received_w,
    sinr,
    spectral_efficiency_bps_hz,
    thermal_noise_w,
)
from channel_server.worlds.contract import Metric, Outcome, Told, WorldEntry
from protocol.determinism.rng import CounterRng
from protocol.determinism.snapshots import fields_of
from protocol.messages.kinds import TRAINER, Kind, LinkClass
from protocol.messages.node import Note
from protocol.messages.spaces import Field, Records, Space
from protocol.params import param

BS = 0  # its index among the parties; CUE m is party 1 + m


@dataclass(frozen=True)
class D2DUnderlay:
    """The cell's parameters; defaults are li2020's table II where it speaks."""

    pairs: Annotated[int, Ge(1), Le(500)] = param(10, "D2D pairs N; the paper goes from 10 to 50", source="table II")
    rbs: Annotated[int, Ge(1), Le(500)] = param(10, "resource blocks K, each owned by one CUE", source="table II")
    radius_m: Annotated[float, Gt(0), Le(1e6)] = param(500.0, "cell radius", unit="m", source="table II")
    max_pair_distance_m: Annotated[float, Gt(0)] = param(
        30.0, "a receiver lies uniformly in the disc of this radius around its transmitter", unit="m", source="table II"
    )
    min_bs_distance_m: Annotated[float, Gt(0)] = param(
        1.0, "nearer to the BS the path loss stays what it is there", unit="m", source="ours"
    )
    min_d2d_distance_m: Annotated[float, Gt(0)] = param(
        1.0, "nearer to a D2D transmitter the path loss stays what it is there", unit="m", source="ours"
    )
    bs_power_dbm: Annotated[float, Ge(-300), Le(80)] = param(
        46.0, "BS transmit power Pb", unit="dBm", source="table II"
    )
    bs_power_split: Literal["total", "per_rb"] = param(
        "total", "total: shared equally by the RBs; per_rb: on every RB", source="ours, the text leaves it open"
    )
    d2d_power_dbm: Annotated[float, Ge(-300), Le(80)] = param(
        13.0, "D2D transmit power Pd", unit="dBm", source="table II"
    )
    power_levels: Annotated[int, Ge(1), Le(100)] = param(
        1, "choices of D2D power; more than 1 makes an action (RB, level), level 0 the full power", source="sec. III-A"
    )
    power_step_db: Annotated[float, Gt(0), Le(100)] = param(
        6.0, "each level lies this far below the one before", unit="dB", source="ours"
    )
    noise_density_dbm_hz: Annotated[float, Ge(-300), Le(80)] = param(
        -174.0, "thermal noise density", unit="dBm/Hz", source="table II"
    )
    noise_figure_db: Annotated[float, Ge(0), Le(100)] = param(8.0, "UE noise figure", unit="dB", source="table II")
    rb_width_hz: Annotated[float, Ge(1), Le(1e12)] = param(180e3, "width W of an RB", unit="Hz", source="table II")
    carrier_hz: Annotated[float, Ge(1e6), Le(1e12)] = param(
        2e9, "both losses grow by 21 log10(carrier / 2 GHz)", unit="Hz", source="table II; 3GPP TR 36.942"
    )
    cellular_intercept_db: Annotated[float, Ge(0), Le(300)] = param(
        128.1, "BS path loss at 1 km", unit="dB", source="table II"
    )
    cellular_slope_db: Annotated[float, Gt(0), Le(200)] = param(37.6, "dB per decade", unit="dB", source="table II")
    d2d_intercept_db: Annotated[float, Ge(0), Le(300)] = param(
        148.0, "D2D path loss at 1 km: 148 is 3GPP's; 128.1 gives the paper's trends", unit="dB", source="ours"
    )
    d2d_exponent: Annotated[float, Gt(0), Le(20)] = param(4.0, "D2D path-loss exponent", source="table II")
    fading: Literal["rayleigh", "none"] = param("rayleigh", "per link and RB; none: the mean gains", source="ours")
    fading_correlation: Annotated[float, Ge(0), Lt(1)] = param(
        0.0, "rho of the Gauss-Markov fading between neighbouring slots", source="ours"
    )
    cue_threshold_db: Annotated[float, Ge(-100), Le(100)] = param(
        0.0, "a CUE below this SINR is in outage", unit="dB", source="table II"
    )
    d2d_threshold_db: Annotated[float, Ge(-100), Le(100)] = param(
        0.0, "a pair below this SINR is in outage", unit="dB", source="ours"
    )
    negative_reward: Annotated[float, Ge(-1e6), Lt(0)] = param(-1.0, "r_neg", unit="bit/s/Hz", source="sec. V")
    observation: Literal["per_rb", "compact"] = param(
        "per_rb", "per_rb: own gain, BS gain, interference on every RB; compact: the last two as scalars", source="ours"
    )
    neighbours: Annotated[int, Ge(0)] = param(
        3, "a broadcast reaches this many nearest pairs (all others if there are fewer)", source="ours"
    )
    slot_s: Annotated[float, Gt(0), Le(1e3)] = param(
        1e-3, "a slot, for links of signalling that are rationed by radio", unit="s", source="ours"
    )


@dataclass(frozen=True)
class Radiated:
    """What a transmission, or a trial of one, did to the receivers."""

    rb: npt.NDArray[np.int16]  # [E, N], -1 for silence
    interference_w: Floats  # [E, N, K] at the pairs' receivers: other pairs and the BS, without noise
    sinr: Floats  # [E, N], 0 for silence
    cue_sinr: Floats  # [E, K]


@dataclass(frozen=True)
class State:
    """One slot. `last` is what was measured in the slot before, `trial` the last probe of this slot."""

    gain: Floats  # [E, links], linear, fading included
    fading: Coefficients  # [E, links], or [E, 0] without memory
    last: Radiated
    trial: Radiated


METRICS = (
    Metric("reward_total", "bit/s/Hz", "sum of all pairs' rewards, per slot (fig. 6)"),
    Metric("cellular_outage", "1", "share of CUEs below their threshold (fig. 7, 10)"),
    Metric("d2d_outage", "1", "share of pairs below their threshold, silent ones included (fig. 8, 10)"),
    Metric("d2d_sum_rate_bps_hz", "bit/s/Hz", "sum of log2(1 + SINR) over the pairs, per slot (fig. 9, 11)"),
    Metric("cellular_sum_rate_bps_hz", "bit/s/Hz", "sum of log2(1 + SINR) over the CUEs, per slot (fig. 11)"),
    Metric("penalised_pairs", "1", "share of pairs on an RB whose CUE is in outage: they are given r_neg"),
)


class Cell:
    """The world: positions and mean gains are fixed by the seed, a state holds the rest."""

    agent_link: LinkClass = LinkClass.SIDELINK
    metrics: Sequence[Metric] = METRICS

    def __init__(self, params: D2DUnderlay, seed: int, replicas: int) -> None:
        self.params, self.replicas = params, replicas
        n, k = params.pairs, params.rbs
        self.agents: Sequence[str] = tuple(f"pair-{i}" for i in range(n))
        self.infrastructure: Sequence[str] = ("bs", *(f"cue-{m}" for m in range(k)))
        self.views: Mapping[str, Sequence[Space]] = {view: (space,) * n for view, space in _spaces(params).items()}
        self.actions: Sequence[Space] = (_action_space(params),) * n
        self.signalling_band_hz, self.slot_s = k * params.rb_width_hz, params.slot_s
        self._fading = CounterRng(seed, "fading")
        self._budget = _LinkBudget.of(params)
        self._prefetched: tuple[int, int, Floats] | None = None
        self._place(CounterRng(seed, "drop"))
        self._nothing = self._nothing_radiated()
        self._silent = self.actions[0].empty(replicas)
        self._silent["rb"] = -1
        self._measures: dict[str, Callable[[State, Records], None]] = {
            "observation": self._observe if params.observation == "per_rb" else self._observe_compactly,
            "experience": self._experience,
            "receiver": self._measure_receiver,
            "csi": self._measure_csi,
            "interference": self._measure_last,
            "probe": self._measure_trial,
        }
        self._reports = {"outage": self._tell_outage, "cue_csi": self._tell_cue_csi}

    # -------------------------------------------------------------------------------- time

    def reset(self, episode: int) -> State:
        """Positions stay, fading starts anew, nothing has been radiated; what was never measured reads the noise."""
        memory = self.links.size if self.params.fading_correlation > 0 else 0
        start = fading.draw_coefficients(self._fading.at(episode, 0, turn=1), (self.replicas, memory))
        return State(self._mean_gain, start, self._nothing, self._nothing)

    def begin(self, state: State, episode: int, slot: int) -> State:
        """New fading, drawn whatever was done before."""
        if self.params.fading == "none":
            return replace(state, trial=self._nothing)
        rho = self.params.fading_correlation
        if rho == 0:
            return replace(state, gain=self._gain_at(episode, slot), trial=self._nothing)
        coefficients = fading.step(state.fading, rho, self._fading.at(episode, slot))
        gain = self._mean_gain * fading.power(coefficients)
        return State(gain, coefficients, state.last, self._nothing)

    def prefetch(self, episode: int, slot: int) -> None:
        """Fading without memory depends on the position alone."""
        if self.params.fading == "rayleigh" and self.params.fading_correlation == 0:
            self._prefetched = (episode, slot, self._gain_at(episode, slot))

    def _gain_at(self, episode: int, slot: int) -> Floats:
        if self._prefetched is not None and self._prefetched[:2] == (episode, slot):
            return self._prefetched[2]
        return self._faded(self._fading.at(episode, slot))

    def transmit(self, state: State, actions: Sequence[Records]) -> tuple[State, Outcome]:
        """SINR of pairs and CUEs, rewards, metrics; what the receivers measured stays in the state."""
        after = self._radiate(state, actions)
        return replace(state, last=after), self._judge(after)

    def probe(self, state: State, actions: Sequence[Records]) -> State:
        """What `transmit` would do to the receivers, without doing it: the view "probe" then shows it."""
        return replace(state, trial=self._radiate(state, actions))

    # -------------------------------------------------------------------------------- what nodes are given

    def measure(self, state: State, view: str) -> list[Records]:
        """Fields, units and moment of each view: `_spaces` of this module."""
        spaces, fill = self.views[view], self._measures[view]
        records = np.zeros((len(spaces), self.replicas), spaces[0].dtype)  # [N, E]
        fill(state, records)
        return list(records)

    def report(self, state: State, report: str) -> list[Told]:
        """ "outage": the BS tells each pair one bit, was the CUE of its RB in outage. "cue_csi": each CUE tells the
        trainer the gains on its RB, [E, N + 1] float32 linear: from the pairs' transmitters, then from the BS."""
        return self._reports[report](state)

    def neighbours(self, state: State) -> Sequence[tuple[int, ...]]:
        """The pairs whose transmitters lie nearest in replica 0: replicas differ, who tells whom may not."""
        return self._neighbours

    def signalling_bps_hz(self, state: State, source: int, receivers: tuple[int, ...], link: LinkClass) -> float:
        """See the module. Mean over RBs and replicas, of the worst receiver."""
        gain, power_w = self._signalling_gain(state, source, list(receivers), link), self._budget.d2d_powers_w[0]
        signal_w = gain * (self._budget.bs_power_w if link == LinkClass.DOWNLINK else power_w)
        return float(spectral_efficiency_bps_hz(signal_w / self._budget.noise_w).mean(axis=(0, 2)).min())

    def _signalling_gain(self, state: State, source: int, receivers: list[int], link: LinkClass) -> Floats:
        """[E, receivers, RBs]"""
        match link:
            case LinkClass.SIDELINK:
                return self.links.group(state.gain, "d2d")[:, source, :, receivers].swapaxes(0, 1)
            case LinkClass.DOWNLINK:
                return self.links.group(state.gain, "bs_tx")[:, receivers]
            case LinkClass.UPLINK if source < self.params.pairs:
                return self.links.group(state.gain, "bs_tx")[:, [source]]
            case LinkClass.UPLINK:
                cue = source - self.params.pairs - 2  # after the trainer and the BS
                return self.links.group(state.gain, "bs_cue")[:, [cue], None]
            case _:
                raise ValueError(f"a {link.name.lower()} is no radio: give it bits_per_slot")

    def render(self, state: State) -> dict[str, Any]:
        """Places in m from the BS, [x, y]; of the last transmission each pair's RB (-1 for silence) and rate, and which
        CUEs and pairs are below their threshold."""
        last = state.last
        return {
            "radius_m": self.params.radius_m,
            "cue_m": self.cue_m[0].round(2).tolist(),
            "tx_m": self.tx_m[0].round(2).tolist(),
            "rx_m": self.rx_m[0].round(2).tolist(),
            "rb": last.rb[0].tolist(),
            "rate_bps_hz": spectral_efficiency_bps_hz(last.sinr[0]).round(3).tolist(),
            "cue_rate_bps_hz": spectral_efficiency_bps_hz(last.cue_sinr[0]).round(3).tolist(),
            "outage": (last.sinr[0] < self._budget.d2d_threshold).tolist(),
            "cue_outage": (last.cue_sinr[0] < self._budget.cue_threshold).tolist(),
        }

    def static_info(self, node: int) -> dict[str, Any]:
        """Static knowledge: numbers of the standard, nothing of the drop; the BS/cloud also knows who is near whom.

        `typical_db`: mean and standard deviation over drops of what the views show, to standardise observations with.
        """
        params, budget = self.params, self._budget
        drop = {"nearest": self._nearest} if node == params.pairs else {}
        return drop | {
            "pairs": params.pairs,
            "rbs": params.rbs,
            "observation": params.observation,
            "d2d_powers_w": budget.d2d_powers_w.tolist(),  # by level
            "bs_power_w": budget.bs_power_w,  # on each RB
            "noise_w": budget.noise_w,
            "cue_threshold": budget.cue_threshold,  # linear
            "d2d_threshold": budget.d2d_threshold,  # linear
            "negative_reward": params.negative_reward,
            "typical_db": _typical_db(params, budget),
        }

    def silent(self, node: int) -> Records:
        """RB -1."""
        return self._silent.copy()

    def random(self, node: int, rng: np.random.Generator) -> Records:
        """A uniform RB, and a uniform power level where there are several."""
        records = self.actions[node].empty(self.replicas)
        for field in self.actions[node].fields:
            low, high = max(0, field.low or 0), field.high or 0
            records[field.name] = rng.integers(low, high + 1, self.replicas)
        return records

    # -------------------------------------------------------------------------------- for the harness

    def resample_unobserved(self, state: State, view: str, node: int, rng: np.random.Generator) -> State:
        """Another world that looks the same to `node` in `view`: its own column of what the view shows is kept."""
        strange = self._strange(rng)
        seen = self._seen_links(view, node)  # [links]
        gain = np.where(seen, state.gain, strange.gain)
        hidden = np.where(seen, state.fading, strange.fading) if state.fading.size else state.fading
        last = (
            _keep(state.last, strange.last, node)
            if view in ("observation", "experience", "interference")
            else strange.last
        )
        trial = _keep(state.trial, strange.trial, node) if view == "probe" else strange.trial
        return State(gain, hidden, last, trial)

    def snapshot(self, state: State) -> dict[str, Any]:
        """Nested dicts of arrays; the positions come back with the seed."""
        return fields_of(state)

    def restore(self, data: dict[str, Any]) -> State:
        """The inverse of `snapshot`."""
        last, trial = Radiated(**data["last"]), Radiated(**data["trial"])
        return State(data["gain"], data["fading"], last, trial)

    # -------------------------------------------------------------------------------- places

    def _place(self, chance: CounterRng) -> None:
        """Drop everybody, replica by replica from one draw, and settle the mean gains."""
        params, n, k = self.params, self.params.pairs, self.params.rbs
        uniform = chance.at(0, 0).random((self.replicas, k + 2 * n, 2))
        self.cue_m = cue_m = uniform_in_disc(uniform[:, :k], params.radius_m)  # [E, K, 2]
        self.tx_m = tx_m = uniform_in_disc(uniform[:, k : k + n], params.radius_m)  # [E, N, 2]
        self.rx_m = rx_m = tx_m + uniform_in_disc(uniform[:, k + n :], params.max_pair_distance_m)
        bs_m = np.zeros((self.replicas, 1, 2))
        cellular, d2d = _path_losses(params)
        by_rb = (self.replicas, n, k)
        self.links = Links(d2d=(n, k, n), cue=(n, k), bs_rx=(n, k), bs_tx=(n, k), bs_cue=(k,))
        self._mean_gain = self.links.pack(
            d2d=np.repeat(d2d.gain(distances_m(tx_m, rx_m))[:, :, None, :], k, axis=2),  # [E, tx, RB, rx]
            cue=d2d.gain(distances_m(tx_m, cue_m)),  # [E, tx, RB]: CUE m listens on RB m alone
            bs_rx=np.broadcast_to(cellular.gain(distances_m(rx_m, bs_m)), by_rb),
            bs_tx=np.broadcast_to(cellular.gain(distances_m(tx_m, bs_m)), by_rb),
            bs_cue=cellular.gain(distances_m(bs_m, cue_m))[:, 0],
        )
        between_m = distances_m(tx_m[0], tx_m[0])
        self._neighbours = nearest(between_m, params.neighbours)
        self._nearest = by_distance(between_m)

    def _own(self, gain: Floats) -> Floats:
        """Each pair's own link on every RB, [E, N, K]."""
        return np.diagonal(self.links.group(gain, "d2d"), axis1=1, axis2=3).swapaxes(1, 2)

    def _faded(self, rng: np.random.Generator) -> Floats:
        return self._mean_gain * fading.draw_power(rng, self._mean_gain.shape)

    # -------------------------------------------------------------------------------- physics

    def _radiate(self, state: State, actions: Sequence[Records]) -> Radiated:
        rb, power_w = self._parse(actions)  # [E, N]
        gain = {name: self.links.group(state.gain, name) for name in self.links.shapes}
        budget, occupied = self._budget, occupancy(rb, self.params.rbs)
        received = received_w(gain["d2d"], power_w, rb)  # [E, tx, rx]
        own = np.arange(self.params.pairs)
        signal = received[:, own, own]  # [E, N]
        received[:, own, own] = 0.0
        interference = per_channel(received, occupied) + budget.bs_power_w * gain["bs_rx"]  # [E, N, K]
        at_cue = (occupied * power_w[..., None] * gain["cue"]).sum(axis=1)  # [E, K]
        return Radiated(
            rb=rb,
            interference_w=interference,
            sinr=sinr(signal, at_channel(interference, rb), budget.noise_w),  # eq. (2)
            cue_sinr=sinr(budget.bs_power_w * gain["bs_cue"], at_cue, budget.noise_w),  # eq. (1)
        )

    def _parse(self, actions: Sequence[Records]) -> tuple[npt.NDArray[np.int16], Floats]:
        """RB and power of every pair, [E, N]."""
        encoded = b"".join([action.tobytes() for action in actions])  # numpy is slow at joining records
        records = np.frombuffer(encoded, self.actions[0].dtype).reshape(len(actions), self.replicas).T
        rb = np.ascontiguousarray(records["rb"])
        if self.params.power_levels == 1:
            return rb, np.broadcast_to(self._budget.d2d_powers_w[0], rb.shape)
        return rb, self._budget.d2d_powers_w[records["power"]]

    def _judge(self, after: Radiated) -> Outcome:
        rate, cue_rate = spectral_efficiency_bps_hz(after.sinr), spectral_efficiency_bps_hz(after.cue_sinr)
        blocked = self._blocked(after)
        rewards = np.where(blocked, self.params.negative_reward, rate)  # [E, N], eq. (6, 7); silent pairs: rate 0
        e, n, k = self.replicas, self.params.pairs, self.params.rbs
        sums = [
            rewards.sum(),
            np.count_nonzero(after.cue_sinr < self._budget.cue_threshold),
            np.count_nonzero(after.sinr < self._budget.d2d_threshold),
            rate.sum(),
            cue_rate.sum(),
            np.count_nonzero(blocked),
        ]
        return Outcome(rewards.T, np.array(sums, float), np.array([e, e * k, e * n, e, e, e * n], float))

    def _blocked(self, after: Radiated) -> npt.NDArray[np.bool_]:
        """Is the CUE on a pair's RB in outage, [E, N]; never so for a silent pair."""
        replica = np.arange(self.replicas)[:, None]
        cue_sinr = after.cue_sinr[replica, np.maximum(after.rb, 0)]
        return (cue_sinr < self._budget.cue_threshold) & (after.rb >= 0)

    # -------------------------------------------------------------------------------- views

    def _observe(self, state: State, records: Records) -> None:
        records["own_gain_db"] = _by_node(to_db(self._own(state.gain)))
        records["bs_gain_db"] = _by_node(to_db(self.links.group(state.gain, "bs_tx")))
        records["interference_dbm"] = _by_node(to_dbm(state.last.interference_w))
        records["last_rb"] = state.last.rb.T

    def _experience(self, state: State, records: Records) -> None:
        self._measures["observation"](state, records)
        records["sinr"] = state.last.sinr.T

    def _observe_compactly(self, state: State, records: Records) -> None:
        records["own_gain_db"] = _by_node(to_db(self._own(state.gain)))
        records["bs_gain_db"] = to_db(self.links.group(state.gain, "bs_tx").mean(axis=2)).T
        records["interference_dbm"] = to_dbm(self._on_own_rb(state.last)).T
        records["last_rb"] = state.last.rb.T

    def _measure_receiver(self, state: State, records: Records) -> None:
        records["own_gain_db"] = _by_node(to_db(self._own(state.gain)))
        records["bs_gain_db"] = _by_node(to_db(self.links.group(state.gain, "bs_rx")))

    def _measure_csi(self, state: State, records: Records) -> None:
        d2d_gain = self.links.group(state.gain, "d2d").transpose(3, 0, 1, 2)  # [rx, E, tx, RB]
        records["d2d_gain_db"] = to_db(d2d_gain)
        records["bs_gain_db"] = _by_node(to_db(self.links.group(state.gain, "bs_rx")))

    def _measure_last(self, state: State, records: Records) -> None:
        self._measure_own_rb(state.last, records)

    def _measure_trial(self, state: State, records: Records) -> None:
        self._measure_own_rb(state.trial, records)

    def _measure_own_rb(self, after: Radiated, records: Records) -> None:
        records["interference_over_noise"] = self._on_own_rb(after).T / self._budget.noise_w
        records["sinr"] = after.sinr.T
        records["last_rb"] = after.rb.T

    def _on_own_rb(self, after: Radiated) -> Floats:
        """Interference on the RB a pair used, [E, N]; a silent pair reads the noise."""
        return np.where(after.rb >= 0, at_channel(after.interference_w, after.rb), self._budget.noise_w)

    # -------------------------------------------------------------------------------- reports

    def _tell_outage(self, state: State) -> list[Told]:
        bits = self._blocked(state.last).T.astype(np.uint8)  # [N, E]
        return [
            Told(BS, Note((n,), Kind.FEEDBACK, body.tobytes(), self.replicas, LinkClass.DOWNLINK))
            for n, body in enumerate(bits)
        ]

    def _tell_cue_csi(self, state: State) -> list[Told]:
        to_cue, from_bs = self.links.group(state.gain, "cue"), self.links.group(state.gain, "bs_cue")
        gains = np.concatenate([to_cue, from_bs[:, None]], axis=1).astype("<f4").transpose(2, 0, 1)  # [K, E, N + 1]
        return [
            Told(1 + m, Note((TRAINER,), Kind.CSI, body.tobytes(), None, LinkClass.UPLINK))
            for m, body in enumerate(gains)
        ]

    # -------------------------------------------------------------------------------- locality

    def _nothing_radiated(self) -> Radiated:
        e, n, k = self.replicas, self.params.pairs, self.params.rbs
        heard_w = np.full((e, n, k), self._budget.noise_w)
        return Radiated(np.full((e, n), -1, np.int16), heard_w, np.zeros((e, n)), np.zeros((e, k)))

    def _strange(self, rng: np.random.Generator) -> State:
        """Some state of this cell, after random actions and a random trial."""
        memory = self.links.size if self.params.fading_correlation > 0 else 0
        coefficients = fading.draw_coefficients(rng, (self.replicas, memory))
        state = State(self._faded(rng), coefficients, self._nothing, self._nothing)
        last, trial = ([self.random(n, rng) for n in range(self.params.pairs)] for _ in range(2))
        return replace(state, last=self._radiate(state, last), trial=self._radiate(state, trial))

    def _seen_links(self, view: str, node: int) -> npt.NDArray[np.bool_]:
        """The links `node` measures in `view`, [links]."""
        n, k = self.params.pairs, self.params.rbs
        mine = np.arange(n) == node
        to_me = np.broadcast_to(mine, (n, k, n))  # [tx, RB, rx]
        rows = np.broadcast_to(mine[:, None], (n, k))
        match view:
            case "observation" | "experience":
                return self.links.where(d2d=to_me & mine[:, None, None], bs_tx=rows)
            case "receiver":
                return self.links.where(d2d=to_me & mine[:, None, None], bs_rx=rows)
            case "csi":
                return self.links.where(d2d=to_me, bs_rx=rows)
            case _:  # what was measured before says nothing of the links now
                return self.links.where()


@dataclass(frozen=True)
class _LinkBudget:
    """The parameters' decibels, made linear once."""

    bs_power_w: float  # on each RB
    d2d_powers_w: Floats  # [levels]
    noise_w: float
    cue_threshold: float
    d2d_threshold: float

    @classmethod
    def of(cls, params: D2DUnderlay) -> "_LinkBudget":
        share = params.rbs if params.bs_power_split == "total" else 1
        steps_db = params.power_step_db * np.arange(params.power_levels)
        return cls(
            bs_power_w=float(from_dbm(params.bs_power_dbm)) / share,
            d2d_powers_w=from_dbm(params.d2d_power_dbm - steps_db),
            noise_w=thermal_noise_w(params.noise_density_dbm_hz, params.rb_width_hz, params.noise_figure_db),
            cue_threshold=float(from_db(params.cue_threshold_db)),
            d2d_threshold=float(from_db(params.d2d_threshold_db)),
        )


def _by_node(values: Floats) -> Floats:
    """[E, N, K] to [N, E, K]."""
    return values.swapaxes(0, 1)


def _keep(mine: Radiated, strange: Radiated, node: int) -> Radiated:
    """A strange transmission with one pair's own measurements put back."""
    rb, interference, own_sinr = strange.rb.copy(), strange.interference_w.copy(), strange.sinr.copy()
    rb[:, node], interference[:, node] = mine.rb[:, node], mine.interference_w[:, node]
    own_sinr[:, node] = mine.sinr[:, node]
    return Radiated(rb, interference, own_sinr, strange.cue_sinr)


def _path_losses(params: D2DUnderlay) -> tuple[PathLoss, PathLoss]:
    """Of links from the BS, and of links from D2D transmitters to anybody."""
    carrier_db = 21 * np.log10(params.carrier_hz / 2e9)  # 3GPP TR 36.942, 4.5.2
    cellular = PathLoss(params.cellular_intercept_db + carrier_db, params.cellular_slope_db, params.min_bs_distance_m)
    d2d = PathLoss(params.d2d_intercept_db + carrier_db, 10 * params.d2d_exponent, params.min_d2d_distance_m)
    return cellular, d2d


def _typical_db(params: D2DUnderlay, budget: _LinkBudget) -> dict[str, list[float]]:
    """[mean, standard deviation] over drops and fading; interference as if the BS alone made it.

    The mean gain over the RBs, in the layout `compact`, hardly fades.
    """
    cellular, d2d = _path_losses(params)
    bs_loss, bs_spread = cellular.spread_over_disc_db(params.radius_m)
    own_loss, own_spread = d2d.spread_over_disc_db(params.max_pair_distance_m)
    fades = params.fading == "rayleigh"
    mean_db, std_db = (fading.RAYLEIGH_MEAN_DB, fading.RAYLEIGH_STD_DB) if fades else (0.0, 0.0)
    spread = float(np.hypot(bs_spread, std_db))
    return {
        "own_gain_db": [mean_db - own_loss, float(np.hypot(own_spread, std_db))],
        "bs_gain_db": [mean_db - bs_loss, spread] if params.observation == "per_rb" else [-bs_loss, bs_spread],
        "interference_dbm": [float(to_dbm(budget.bs_power_w)) + mean_db - bs_loss, spread],
    }


def _spaces(params: D2DUnderlay) -> dict[str, Space]:
    """Every view: instantaneous, except where the slot before is said."""
    n, k = params.pairs, params.rbs
    on_own_rb = Space(
        (
            Field("interference_over_noise", "f4", unit="1"),  # on the RB used; 1 for a silent pair
            Field("sinr", "f4", unit="1"),
            Field("last_rb", "i2"),
        )
    )
    beside = (k,) if params.observation == "per_rb" else ()
    decibels = (
        Field("own_gain_db", "f4", (k,), "dB"),
        Field("bs_gain_db", "f4", beside, "dB"),  # from the BS to the transmitter
        Field("interference_dbm", "f4", beside, "dBm"),  # of the slot before: BS and other pairs, no noise
    )
    own_sinr = Field("sinr", "f4", unit="1")  # of the slot before, 0 after silence
    last_rb = Field("last_rb", "i2")  # of the slot before, -1 for none
    return {
        "observation": Space((*decibels, last_rb)),  # s_i = [G_d, G_c, I(t-1), K(t-1)], sec. III-A
        "experience": Space((*decibels, own_sinr, last_rb)),  # s_i, and what the last reward follows from
        "receiver": Space(
            (
                Field("own_gain_db", "f4", (k,), "dB"),
                Field("bs_gain_db", "f4", (k,), "dB"),  # from the BS to the receiver, by its pilot
            )
        ),
        "csi": Space(
            (
                Field("d2d_gain_db", "f4", (n, k), "dB"),  # from every pair's transmitter to this receiver
                Field("bs_gain_db", "f4", (k,), "dB"),
            )
        ),
        "interference": on_own_rb,  # of the slot before
        "probe": on_own_rb,  # of the last trial in this slot
    }


def _action_space(params: D2DUnderlay) -> Space:
    rb = Field("rb", "i2", low=-1, high=params.rbs - 1)  # -1 radiates nothing
    level = Field("power", "u1", low=0, high=params.power_levels - 1)  # 0 is the full power
    return Space((rb,) if params.power_levels == 1 else (rb, level))


def build(params: D2DUnderlay, *, seed: int, replicas: int) -> Cell:
    """The cell; ValueError for parameters that are impossible together."""
    if params.min_d2d_distance_m >= params.max_pair_distance_m:
        raise ValueError(
            f"min_d2d_distance_m {params.min_d2d_distance_m} must lie below max_pair_distance_m "
            f"{params.max_pair_distance_m}: lower the first or raise the second"
        )
    if params.min_bs_distance_m >= params.radius_m:
        raise ValueError(
            f"min_bs_distance_m {params.min_bs_distance_m} must lie below radius_m {params.radius_m}: "
            "lower the first or raise the second"
        )
    if params.fading == "none" and params.fading_correlation > 0:
        raise ValueError(
            f"fading_correlation {params.fading_correlation} has no meaning with fading 'none': "
            "set it to 0 or fading to 'rayleigh'"
        )
    return Cell(params, seed, replicas)


WORLD = WorldEntry(
    name="d2d_underlay",
    summary="one cell whose downlink resource blocks are shared by D2D pairs",
    source="li2020, eq. (1-7), table II",
    params=D2DUnderlay,
    build=build,
)

"""Environment steps per second of traffic_cells with random actions, beside the same network in plain Python.

The plain network has the structure of public research code: one replica, arrays over all pairs of links, lists of
packets, and a loop over devices wherever something is done for each. The run is in-process with its trace and books,
19 cells, one core. `at least`: by how much the run must be faster with so many replicas. Both print the Mbit that they
deliver per slot, which are means of the same network's. CPU time, medians of PAIRS pairs in turn.

    python -m benchmarks.traffic_cells
"""

from protocol.determinism import threads

threads.pin()

import statistics  # noqa: E402
import sys  # noqa: E402
import time  # noqa: E402
from collections import deque  # noqa: E402
from typing import Any  # noqa: E402

import numpy as np  # noqa: E402
import numpy.typing as npt  # noqa: E402

from channel_server.worlds.traffic_cells import Cells, TrafficCells, build  # noqa: E402
from controller.config.resolved import load  # noqa: E402
from controller.execution.in_process import run_in_process  # noqa: E402
from protocol.messages.telemetry import Telemetry, Window  # noqa: E402

PAIRS = 3
AT_LEAST = {1: 0.0, 64: 10.0}  # by replicas
_PLAIN_SLOTS, _STEPS = 300, {1: 400, 64: 6400}
_SLOT_S, _WIDTH_HZ, _MAX_SINR = 0.02, 20e6, 1000.0

Floats = npt.NDArray[np.float64]


class PlainNetwork:
    """One replica on the drop of a world, one link per device."""

    def __init__(self, world: Cells, seed: int) -> None:
        self._world, self._rng = world, np.random.default_rng(seed)
        self._cell = world.drop.cell.tolist()
        self._n, self._subbands = len(self._cell), world.params.subbands
        self._shape = (self._n, len(world.agents), self._subbands)  # device, AP, subband
        self._amplitude = np.zeros((self._n, self._n, self._subbands))  # receiver, transmitter, subband
        for n in range(self._n):
            self._amplitude[n] = np.sqrt(world.drop.path_gain[self._cell, n])[:, None]
        self._state = self._normals()
        self._packets: list[deque[list[float]]] = [deque() for _ in self._cell]  # bits left, slot of arrival
        self.delays: list[list[int]] = [[] for _ in self._cell]
        self.delivered_bits, self.slot = 0.0, 0

    def step(self, power_w: Floats) -> tuple[list[Floats], list[float]]:
        """A slot with powers [N, H]; each AP's observation and reward."""
        rho = self._world.budget.correlation
        self._state = rho * self._state + np.sqrt(1 - rho**2) * self._normals()
        channel = np.zeros((self._n, self._n, self._subbands))
        for n in range(self._n):
            channel[n] = self._amplitude[n] * np.abs(self._state[n, self._cell])
        for n in range(self._n):
            for _ in range(self._rng.poisson(self._world.params.load_packets_s * _SLOT_S)):
                self._packets[n].append([float(self._world.params.packet_bits), float(self.slot)])
            if not self._packets[n]:
                power_w[n] = 0.0
        efficiency = self._efficiency(channel, power_w)
        for n in range(self._n):
            self._serve(n, int(efficiency[n].sum() * _WIDTH_HZ * _SLOT_S))
        self.slot += 1
        return self._observations(), self._rewards()

    def _normals(self) -> npt.NDArray[np.complex128]:
        real, imaginary = self._rng.standard_normal(self._shape), self._rng.standard_normal(self._shape)
        return np.asarray((real + 1j * imaginary) / np.sqrt(2))

    def _efficiency(self, channel: Floats, power_w: Floats) -> Floats:
        efficiency = np.zeros((self._n, self._subbands))
        for h in range(self._subbands):
            gains = channel[:, :, h] ** 2
            for n in range(self._n):
                signal_w = gains[n, n] * power_w[n, h]
                interference_w = gains[n] @ power_w[:, h] - signal_w + self._world.budget.noise_w
                efficiency[n, h] = np.log2(1 + min(signal_w / interference_w, _MAX_SINR))
        return efficiency

    def _serve(self, n: int, bits: float) -> None:
        queue = self._packets[n]
        while bits > 0 and queue:
            sent = min(bits, queue[0][0])
            bits -= sent
            self.delivered_bits += sent
            queue[0][0] -= sent
            if queue[0][0] == 0:
                self.delays[n].append(self.slot - int(queue.popleft()[1]) + 1)

    def _observations(self) -> list[Floats]:
        own = [np.array([float(len(self._packets[n])) for n in self._devices(k)]) for k in range(self._shape[1])]
        return [np.concatenate([own[k], *(own[j] for j in near)]) for k, near in enumerate(self._world.drop.neighbours)]

    def _rewards(self) -> list[float]:
        own = [-sum(len(self._packets[n]) for n in self._devices(k)) for k in range(self._shape[1])]
        return [float(own[k] + sum(own[j] for j in near)) for k, near in enumerate(self._world.drop.neighbours)]

    def _devices(self, k: int) -> range:
        return range(self._world.drop.own[k].start, self._world.drop.own[k].stop)


def plain(slots: int) -> tuple[float, float]:
    """Steps per second, and Mbit delivered per slot."""
    world = build(TrafficCells(drop_seed=1), seed=1, replicas=1)
    network, rng = PlainNetwork(world, 1), np.random.default_rng(2)
    began = time.process_time()
    for _ in range(slots):
        power_w = np.zeros((len(world.drop.cell), world.params.subbands))
        for own in world.drop.own:
            for h in range(world.params.subbands):  # as ours/random: silence is one of the choices
                device = rng.integers(0, own.stop - own.start, endpoint=True)
                if device:
                    power_w[own.start + device - 1, h] = rng.choice(world.budget.powers_w)
        network.step(power_w)
    return slots / (time.process_time() - began), network.delivered_bits / slots / 1e6


def run(slots: int, replicas: int) -> tuple[float, float]:
    """Steps per second of a run, all replicas', and Mbit delivered per slot and replica."""
    config: dict[str, Any] = {
        "world": {"name": "traffic_cells", "drop_seed": 1},
        "scheme": "ours/random",
        "slots": slots,
        "replicas": replicas,
        "record": {"frames_slots": 0},
    }
    plan, windows = load(config).plan_for("benchmark"), list[Window]()

    def sink(telemetry: Telemetry) -> None:
        if isinstance(telemetry, Window):
            windows.append(telemetry)

    began = time.process_time()
    ended = run_in_process(plan, sink)
    took_s = time.process_time() - began
    if ended.state != "SUCCEEDED":
        raise RuntimeError(ended.reason)
    delivered_mbit = sum(window.sums["delivered_mbit"] for window in windows)
    return slots * replicas / took_s, delivered_mbit / sum(window.counts["delivered_mbit"] for window in windows)


def main() -> int:
    """Print a table; 1 if the run is not fast enough."""
    run(3, 1)  # what is loaded and looked up once
    print(f"{'E':>4} {'run':>9} {'plain':>9} {'ratio':>7} {'at least':>9}   {'Mbit/slot: run':>15} {'plain':>7}")
    fast = []
    for replicas, at_least in AT_LEAST.items():
        pairs = [(run(_STEPS[replicas] // replicas, replicas), plain(_PLAIN_SLOTS)) for _ in range(PAIRS)]
        ratio = statistics.median(ours[0] / theirs[0] for ours, theirs in pairs)
        ours, theirs = (statistics.median(pair[at][0] for pair in pairs) for at in (0, 1))
        mbit = [statistics.mean(pair[at][1] for pair in pairs) for at in (0, 1)]
        row = f"{replicas:4} {ours:9,.0f} {theirs:9,.0f} {ratio:7.1f} {at_least:9.1f}"
        print(f"{row}   {mbit[0]:15.2f} {mbit[1]:7.2f}", flush=True)
        fast.append(ratio >= at_least)
    return 0 if all(fast) else 1


if __name__ == "__main__":
    sys.exit(main())

"""What the schemes without learning earn under the three readings of khan2020's noise, in both of its networks.

1000 fresh draws of places and fading, the same for all schemes. Mean sum rate in Mbit/s and its 95 % interval over the
draws; the difference to converged FP is paired, draw by draw, so that its interval is far narrower.

    python -m reproduction.khan2020.noise_readings > reproduction/khan2020/results/noise-readings.csv
"""

from protocol.determinism import threads

threads.pin()

import csv  # noqa: E402
import sys  # noqa: E402
from collections.abc import Callable, Iterator  # noqa: E402
from dataclasses import replace  # noqa: E402
from functools import partial  # noqa: E402

import msgspec  # noqa: E402
import numpy as np  # noqa: E402

from channel_server.radio.decibels import Floats  # noqa: E402
from channel_server.worlds.downlink_cells import KIN, Cells, DownlinkCells, build  # noqa: E402
from protocol.determinism.rng import CounterRng  # noqa: E402
from schemes.khan2020.network_info import NetworkInfo  # noqa: E402
from schemes.khan2020.optimiser import OptimiserSettings, solve  # noqa: E402
from schemes.parts.solvers import fp, wmmse  # noqa: E402
from schemes.parts.solvers.ascent import Step  # noqa: E402

DRAWS, AT_ONCE, SEED = 1000, 100, 1
NETWORKS = {"3 cells": DownlinkCells(), "7 cells": replace(DownlinkCells(), **KIN["khan2020, 7 cells"])}
READINGS_DBM = (-77.0, -68.0, -92.0)
REFERENCE = "FP, converged"

Shares = Callable[[NetworkInfo, Floats, np.random.Generator], Floats]  # linear gains [E, B, B, K] to [E, B, K]


def full(_: NetworkInfo, gains: Floats, __: np.random.Generator) -> Floats:
    return np.ones(gains[:, 0].shape)


def drawn(_: NetworkInfo, gains: Floats, rng: np.random.Generator) -> Floats:
    return rng.random(gains[:, 0].shape)


def strongest(_: NetworkInfo, gains: Floats, __: np.random.Generator) -> Floats:
    own = np.einsum("ebbk->ebk", gains)
    return np.asarray(own == own.max(axis=2, keepdims=True), float)


def optimised(
    step: Step, settings: OptimiserSettings, info: NetworkInfo, gains: Floats, rng: np.random.Generator
) -> Floats:
    return solve(step, settings, info, gains, rng).astype(float)


def after(iterations: int) -> OptimiserSettings:
    """So many iterations from full power."""
    return OptimiserSettings(iterations=iterations, tolerance=0.0)


CONVERGED = OptimiserSettings(iterations=10_000, tolerance=1e-7)
SCHEMES: dict[str, Shares] = {
    "max power": full,
    "random": drawn,
    "strongest user": strongest,
    **{f"FP, {n} iterations": partial(optimised, fp.step, after(n)) for n in (10, 20, 50)},
    REFERENCE: partial(optimised, fp.step, CONVERGED),
    "WMMSE, converged": partial(optimised, wmmse.step, CONVERGED),
    "FP, best of 20 starts": partial(optimised, fp.step, replace(CONVERGED, starts=20, tolerance=1e-5)),
}


def rates_mbps(world: Cells, scheme: Shares, draws: int) -> Floats:
    """Sum rate of each draw, [draws]."""
    info = msgspec.convert(world.static_info(0), NetworkInfo)
    rng, found = CounterRng(SEED, "reproduction"), []
    for slot in range(draws // AT_ONCE):
        state = world.begin(world.reset(), slot, np.ones(AT_ONCE, bool))
        shares = scheme(info, state.gain, rng.at(slot))
        actions = [space.empty(AT_ONCE) for space in world.actions]
        for b, action in enumerate(actions):
            action["power_w"] = shares[:, b] * info.max_power_w
        _, outcome = world.transmit(state, actions)
        found.append(outcome.rewards.sum(axis=0) * world.params.bandwidth_hz / 1e6)
    return np.concatenate(found)


def rows(draws: int = DRAWS) -> Iterator[tuple[str, float, str, float, float, float, float]]:
    """Network, noise, scheme; mean, half width of its interval; the same of the difference to the reference."""
    for network, params in NETWORKS.items():
        for noise_dbm in READINGS_DBM:
            world = build(replace(params, noise_dbm=noise_dbm), seed=SEED, replicas=AT_ONCE)
            rates = {name: rates_mbps(world, scheme, draws) for name, scheme in SCHEMES.items()}
            for name, values in rates.items():
                apart = values - rates[REFERENCE]
                yield network, noise_dbm, name, values.mean(), _half_width(values), apart.mean(), _half_width(apart)


def _half_width(values: Floats) -> float:
    """Of the 95 % interval of the mean of many values."""
    return float(1.96 * values.std(ddof=1) / np.sqrt(len(values)))


if __name__ == "__main__":
    table = csv.writer(sys.stdout, lineterminator="\n")
    table.writerow(["network", "noise_dbm", "scheme", "mbps", "interval", "less_reference", "interval_less_reference"])
    for network, noise_dbm, name, *numbers in rows():
        table.writerow([network, noise_dbm, name, *(f"{number:.3f}" for number in numbers)])
        sys.stdout.flush()

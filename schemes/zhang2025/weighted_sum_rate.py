"""From the powers of a weighted sum rate to what APs do: the common part of FP and WMMSE (zhang2025 section IV-B).

The weights are the queue lengths in packets; subbands are optimised each for itself, from full power on every link.
Links of one AP interfere with each other like others, which all but one of them seldom survive. Of those that do, the
AP serves the one of the largest weighted rate. Its power becomes the nearest level in dB; less than half of the
smallest is silence.
"""

from dataclasses import dataclass
from typing import Annotated

import numpy as np
from annotated_types import Ge, Gt, Le

from protocol.messages.node import Welcome
from protocol.params import param
from schemes.contract import NodePolicy
from schemes.parts.solvers.ascent import Step, ascend
from schemes.parts.solvers.interference import SumRateProblem
from schemes.zhang2025 import cells_central
from schemes.zhang2025.cells import Integers, WholeCells, whole_cells
from schemes.zhang2025.cells_central import Allocation, Floats, NetworkCsi


@dataclass(frozen=True)
class AscentParams:
    """How long the solver ascends."""

    max_iterations: Annotated[int, Ge(1), Le(10_000)] = param(
        100, "iterations per slot and subband, at most", source="authors' code"
    )
    tolerance: Annotated[float, Gt(0), Le(1)] = param(
        1e-3, "a subband is done when an iteration adds no more than this share of its rate", source="authors' code"
    )
    max_age_slots: Annotated[int, Ge(0)] | None = param(
        None, "an older report of an AP counts as none; none: any age", unit="slots", source="ours"
    )


def problem(csi: NetworkCsi, cells: WholeCells) -> SumRateProblem:
    """The weighted sum rate of all links, a problem for each replica and subband, [E H]."""
    replicas, subbands, _, devices = csi.gains.shape
    gains = csi.gains[:, :, cells.cell].reshape(replicas * subbands, devices, devices)  # from each link's AP
    weights = np.repeat(csi.packets, subbands, axis=0)
    return SumRateProblem.of(gains, cells.noise_w, cells.powers_w[-1], weights=weights)


def allocation(links: SumRateProblem, powers_w: Floats, cells: WholeCells, replicas: int) -> Allocation:
    """What APs do by the powers [E H, L]."""
    value = links.weights * np.log1p(links.sinr(powers_w))
    best = np.stack([own.start + value[:, own].argmax(axis=1) for own in cells.own], axis=1)  # [E H, K]
    power_w = np.take_along_axis(powers_w, best, axis=1)
    levels_w = np.array(cells.powers_w)
    served = (np.take_along_axis(value, best, axis=1) > 0) & (power_w >= levels_w[0] / 2)
    shape = (replicas, -1, len(cells.own))
    level = _nearest(np.where(served, power_w, levels_w[-1]), levels_w)
    return Allocation(np.where(served, best, -1).reshape(shape), level.reshape(shape))


def cloud(welcome: Welcome, params: AscentParams, step: Step) -> NodePolicy:
    """The trainer: ascends by `step`."""
    cells = whole_cells(welcome)

    def allocate(csi: NetworkCsi, _: np.random.Generator) -> Allocation:
        links = problem(csi, cells)
        end = ascend(step, links, links.max_w, max_iterations=params.max_iterations, tolerance=params.tolerance)
        return allocation(links, end.powers_w, cells, welcome.replicas)

    return cells_central.cloud(welcome, allocate, params.max_age_slots)


def _nearest(power_w: Floats, levels_w: Floats) -> Integers:
    """The level that is nearest in dB; any shape."""
    middles_w = np.sqrt(levels_w[1:] * levels_w[:-1])
    return np.searchsorted(middles_w, power_w)

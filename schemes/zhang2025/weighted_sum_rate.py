"""From the powers of a weighted sum rate to what APs do: the common part of FP and WMMSE (zhang2025 section IV-B).

The weights are the queue lengths in packets; subbands are optimised each for itself, from full power on every link that
has packets. Links of one AP interfere with each other like others, which all but one of them seldom survive. Of those
that do, the AP serves the one of the largest weighted rate. Its power becomes the nearest level in dB; less than half
of the smallest is silence.
"""

from dataclasses import dataclass
from typing import Annotated, NamedTuple

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


class WaitingLinks(NamedTuple):
    """The links that have packets, as many columns as the replica with the most of them needs: `link` [E, A], and
    their weighted sum rate, a `problem` for each replica and subband, [E H]. Other links have weight 0."""

    link: Integers
    problem: SumRateProblem

    @classmethod
    def of(cls, csi: NetworkCsi, cells: WholeCells) -> "WaitingLinks":
        columns = max(1, int(np.count_nonzero(csi.packets, axis=1).max()))
        link = np.argsort(csi.packets == 0, axis=1, kind="stable")[:, :columns]
        replica = np.arange(len(link))[:, None]
        # advanced indices around a slice: [E, A (tx), A (rx), H]
        gains = csi.gains[replica[..., None], :, cells.cell[link][:, :, None], link[:, None, :]]
        by_subband = np.moveaxis(gains, -1, 1).reshape(-1, columns, columns)
        weights = np.repeat(csi.packets[replica, link], csi.gains.shape[1], axis=0)
        return cls(link, SumRateProblem.of(by_subband, cells.noise_w, cells.powers_w[-1], weights=weights))

    @property
    def start_w(self) -> Floats:
        """Full power; nothing on a link without packets, so that it disturbs no other, [E H, A]."""
        return self.problem.max_w * (self.problem.weights > 0)

    def by_device(self, values: Floats, devices: int) -> Floats:
        """[E H, A] to [E H, N], 0 for devices without packets."""
        subbands = len(values) // len(self.link)
        spread = np.zeros((len(values), devices))
        np.put_along_axis(spread, np.repeat(self.link, subbands, axis=0), values, axis=1)
        return spread


def allocation(links: WaitingLinks, powers_w: Floats, cells: WholeCells) -> Allocation:
    """What APs do by the powers [E H, A]."""
    devices = len(cells.cell)
    weighted = links.problem.weights * np.log1p(links.problem.sinr(powers_w))
    value, power_w = (links.by_device(each, devices) for each in (weighted, powers_w))  # [E H, N]
    best = np.stack([own.start + value[:, own].argmax(axis=1) for own in cells.own], axis=1)  # [E H, K]
    power_w, levels_w = np.take_along_axis(power_w, best, axis=1), np.array(cells.powers_w)
    served = (np.take_along_axis(value, best, axis=1) > 0) & (power_w >= levels_w[0] / 2)
    shape = (len(links.link), -1, len(cells.own))
    level = _nearest(np.where(served, power_w, levels_w[-1]), levels_w)
    return Allocation(np.where(served, best, -1).reshape(shape), level.reshape(shape))


def cloud(welcome: Welcome, params: AscentParams, step: Step) -> NodePolicy:
    """The trainer: ascends by `step`."""
    cells = whole_cells(welcome)

    def allocate(csi: NetworkCsi, _: np.random.Generator) -> Allocation:
        links = WaitingLinks.of(csi, cells)
        most, tolerance = params.max_iterations, params.tolerance
        end = ascend(step, links.problem, links.start_w, max_iterations=most, tolerance=tolerance)
        return allocation(links, end.powers_w, cells)

    return cells_central.cloud(welcome, allocate, params.max_age_slots)


def _nearest(power_w: Floats, levels_w: Floats) -> Integers:
    """The level that is nearest in dB; any shape."""
    middles_w = np.sqrt(levels_w[1:] * levels_w[:-1])
    return np.searchsorted(middles_w, power_w)

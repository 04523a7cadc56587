"""Central schemes that solve eq. (1) in every slot from full CSI: the same turns and notes, another iteration.

One slot:
    1. every BS sends the cloud its gains to all users: K B scalars each, K B^2 together
    2. the cloud iterates on the powers and sends each BS its own: K scalars
    3. the BSs transmit

FP and WMMSE from the same start take the same steps here; see `schemes.parts.solvers.fp`.

Stale rules: those of `central`. A BS without CSI, or with CSI older than `max_age_slots`, counts with the mean gains; a
BS without a decision does not transmit.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

import numpy as np
import numpy.typing as npt
from annotated_types import Ge, Le, Lt

from protocol.messages.choreography import Choreography
from protocol.messages.kinds import Kind
from protocol.messages.node import ReceivedNote, Welcome
from protocol.messages.spaces import Records
from protocol.params import param
from schemes.contract import NodePolicy
from schemes.khan2020.network_info import Floats, NetworkInfo, NoteFormats, network_info
from schemes.parts.central import Decider, Reporter, reports_then_decision
from schemes.parts.latest_notes import LatestNotes
from schemes.parts.note_reader import NoteReader
from schemes.parts.solvers.ascent import Step, ascend, best_of, random_starts
from schemes.parts.solvers.interference import GroupLimit, SumRateProblem, downlink_links
from schemes.parts.weights import Precision

OBSERVES = "gain_db [B, K, dB] to all users, this slot"
SENDS = (
    "csi: 4 B K bytes per BS and slot to the cloud (float32; 2 with float16, 1 with int8); decision: 4 K bytes per BS"
)


@dataclass(frozen=True, kw_only=True)
class OptimiserSettings(NoteFormats):
    """How long the cloud iterates, from where, and how notes are sent."""

    iterations: Annotated[int, Ge(1), Le(100_000)] = param(
        1000, "at most so many; the paper leaves it open", source="ours"
    )
    tolerance: Annotated[float, Ge(0), Lt(1)] = param(
        1e-6, "ends when an iteration adds less than this share of the sum rate; 0: only at `iterations`", source="ours"
    )
    starts: Annotated[int, Ge(1), Le(1000)] = param(
        1, "1: from full power; more: the best of so many, of which the others are drawn uniformly", source="ours"
    )
    max_age_slots: Annotated[int, Ge(0)] | None = param(
        None, "older CSI counts as not received; none: any age", unit="slots", source="ours"
    )


def bs(welcome: Welcome, params: OptimiserSettings) -> NodePolicy:
    """Sends its CSI and follows the newest decision."""
    info, e = network_info(welcome), welcome.replicas
    csi = info.csi_coding(e, params.csi)

    def encode(measured: Records) -> bytes:
        return csi.write(measured["gain_db"])

    def action(shares: Floats) -> Records:
        return info.action(welcome, shares)

    return Reporter(welcome, encode, info.power_coding(e, params.powers), action)


def cloud(step: Step) -> Callable[[Welcome, OptimiserSettings], NodePolicy]:
    """Keeps each BS's newest CSI and iterates with `step`."""

    def build(welcome: Welcome, params: OptimiserSettings) -> NodePolicy:
        info, e = network_info(welcome), welcome.replicas

        def decide(reports: list[tuple[int, Floats]], rng: np.random.Generator) -> Floats:
            gains = np.asarray(10 ** (gathered(info, reports, e).astype(float) / 10))
            return solve(step, params, info, gains, rng)

        coding = info.power_coding(e, params.powers)
        return Decider(csi_notes(info, params.csi, params.max_age_slots, e), decide, [coding] * info.cells)

    return build


def csi_notes(info: NetworkInfo, precision: Precision, max_age_slots: int | None, replicas: int) -> LatestNotes[Floats]:
    """The newest gains in dB [E, B, K] of each BS."""
    coding = info.csi_coding(replicas, precision)

    def read(note: ReceivedNote) -> Floats:
        return coding.read(note.body)

    return LatestNotes(NoteReader(Kind.CSI, range(info.cells), read), max_age_slots)


def gathered(info: NetworkInfo, reports: list[tuple[int, Floats]], replicas: int) -> Floats:
    """All gains in dB, [E, B (tx), B, K], from the BSs' [E, B, K]; the mean where a BS's are unknown."""
    gains_db = np.empty((replicas, info.cells, info.cells, info.users), np.float32)
    gains_db[...] = info.mean_db
    for source, reported_db in reports:
        gains_db[:, source] = reported_db
    return gains_db


def solve(
    step: Step,
    params: OptimiserSettings,
    info: NetworkInfo,
    gains: npt.NDArray[np.float64],
    rng: np.random.Generator,
) -> Floats:
    """Powers as shares of Pmax, [E, B, K], from linear gains [E, B (tx), B, K]."""
    problem = sum_rate_problem(info, gains)
    full_w = problem.within_limits(problem.max_w)
    most, tolerance = params.iterations, params.tolerance
    if params.starts == 1:
        found = ascend(step, problem, full_w, max_iterations=most, tolerance=tolerance)
    else:
        starts_w = np.concatenate([full_w[None], random_starts(problem, rng, params.starts - 1)])
        found = best_of(step, problem, starts_w, max_iterations=most, tolerance=tolerance)
    shares = found.powers_w / info.max_power_w
    return shares.reshape(-1, info.cells, info.users).astype(np.float32)


def sum_rate_problem(info: NetworkInfo, gains: npt.NDArray[np.float64]) -> SumRateProblem:
    """Eq. (1) for linear gains [E, B (tx), B, K]: a link per user, those of a BS in a group if they share Pmax."""
    links, noise_w = downlink_links(gains), info.noise_w
    if info.interference == "other_cells":  # user k of each cell is alone on the k-th of K subbands
        band = np.tile(np.arange(info.users), info.cells)
        links, noise_w = links * (band[:, None] == band), noise_w / info.users
    groups = GroupLimit(np.repeat(np.arange(info.cells), info.users), info.max_power_w)
    return SumRateProblem.of(links, noise_w, info.max_power_w, groups=groups if info.power_budget == "per_bs" else None)


def choreography(_: OptimiserSettings) -> Choreography:
    """CSI to the cloud, powers back, then all transmit."""
    return reports_then_decision("csi")

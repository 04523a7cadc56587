"""The cell as a drawing, after li2020 fig. 5: the BS, CUEs and pairs of replica 0, each in the colour of its RB."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from protocol.messages.drawing import Circle, Drawing, Label, LegendEntry, Line, Point, Table

_MARGIN = 1.06  # the drawing's half width, in radii
_LABEL_AT = 0.05  # of a pair's number from its transmitter, in radii
_MAX_LABELLED_PAIRS = 60
_CUE, _RECEIVER, _STATION = 17.0, 6.0, 20.0  # sizes
_COLUMNS = ("RB", "cellular user [bit/s/Hz]", "pairs on it, with their rates")
_LEGEND = (
    LegendEntry("BS", Point(0, 0, "star", size=_STATION)),
    LegendEntry("cellular user, with its RB", Point(0, 0, "ring", size=_CUE)),
    LegendEntry("in outage", Point(0, 0, "ring", size=_CUE, alarm=True)),
    LegendEntry("transmitter of a pair, in its RB's shape and colour", Point(0, 0, "marker", resource=0)),
    LegendEntry("its receiver", Point(0, 0, "ring", size=_RECEIVER)),
    LegendEntry("silent", Point(0, 0, "marker", resource=-1)),
    LegendEntry("interferes with the cellular user of its RB", line=Line(0, 0, 1, 0, "dotted")),
)


class Cell(NamedTuple):
    """What is drawn. Positions [.., 2] in m from the BS; by pair its RB (-1 for silence), rate, and whether it is in
    outage; by CUE the latter two."""

    radius_m: float
    cue_m: npt.NDArray[Any]
    tx_m: npt.NDArray[Any]
    rx_m: npt.NDArray[Any]
    rb: Sequence[int]
    rate_bps_hz: Sequence[float]
    outage: Sequence[bool]
    cue_rate_bps_hz: Sequence[float]
    cue_outage: Sequence[bool]


def draw(cell: Cell) -> Drawing:
    """The cell to scale, north up."""
    half = _MARGIN * cell.radius_m
    silent, out = sum(rb < 0 for rb in cell.rb), sum(cell.cue_outage)
    return Drawing(
        summary=f"{len(cell.rb)} pairs, {silent} of them silent; {out} of {len(cell.cue_m)} cellular users in outage.",
        left=-half,
        right=half,
        bottom=-half,
        top=half,
        unit="m",
        circles=(Circle(0, 0, cell.radius_m),),
        lines=(*_reuse(cell), *_pairs(cell)),
        points=(*_cues(cell), *_transmitters_and_receivers(cell), Point(0, 0, "star", size=_STATION, about="BS")),
        labels=tuple(_numbers(cell)) if len(cell.rb) <= _MAX_LABELLED_PAIRS else (),
        legend=_LEGEND,
        table=Table("Resource blocks", _COLUMNS, tuple(_rows(cell))),
    )


def _reuse(cell: Cell) -> Iterator[Line]:
    """From each transmitter to the CUE that it interferes with."""
    for tx, rb in zip(cell.tx_m, cell.rb, strict=True):
        if rb >= 0:
            yield Line(*_rounded(tx), *_rounded(cell.cue_m[rb]), "dotted", resource=rb)


def _pairs(cell: Cell) -> Iterator[Line]:
    for tx, rx, rb in zip(cell.tx_m, cell.rx_m, cell.rb, strict=True):
        yield Line(*_rounded(tx), *_rounded(rx), resource=rb)


def _cues(cell: Cell) -> Iterator[Point]:
    for rb, at in enumerate(cell.cue_m):
        about = f"cue-{rb} on RB {rb}: {cell.cue_rate_bps_hz[rb]:.3g} bit/s/Hz"
        about += ", in outage" if cell.cue_outage[rb] else ""
        alarm = bool(cell.cue_outage[rb])
        yield Point(*_rounded(at), "ring", resource=rb, size=_CUE, alarm=alarm, label=str(rb), about=about)


def _transmitters_and_receivers(cell: Cell) -> Iterator[Point]:
    for pair, (tx, rx, rb) in enumerate(zip(cell.tx_m, cell.rx_m, cell.rb, strict=True)):
        outage = ", in outage" if cell.outage[pair] else ""
        state = "silent" if rb < 0 else f"RB {rb}, {cell.rate_bps_hz[pair]:.3g} bit/s/Hz{outage}"
        yield Point(*_rounded(rx), "ring", resource=rb, size=_RECEIVER, about=f"receiver of pair-{pair}")
        yield Point(*_rounded(tx), "marker", resource=rb, about=f"pair-{pair}: {state}")


def _numbers(cell: Cell) -> Iterator[Label]:
    """Each pair's number, on the side of its transmitter that is away from the receiver."""
    away = cell.tx_m - cell.rx_m
    away = away / np.maximum(np.hypot(*away.T), 1e-9)[:, None]
    for pair, at in enumerate(cell.tx_m + _LABEL_AT * cell.radius_m * away):
        yield Label(*_rounded(at), str(pair))


def _rows(cell: Cell) -> Iterator[tuple[str | float, ...]]:
    for rb, rate in enumerate(cell.cue_rate_bps_hz):
        outage = ", in outage" if cell.cue_outage[rb] else ""
        rates = [f"pair-{n} ({cell.rate_bps_hz[n]:.3g})" for n, used in enumerate(cell.rb) if used == rb]
        yield rb, f"{rate:.3g}{outage}", ", ".join(rates) or "none"
    if silent := [f"pair-{n}" for n, used in enumerate(cell.rb) if used < 0]:
        yield "silent", "-", ", ".join(silent)


def _rounded(at: npt.NDArray[Any]) -> tuple[float, float]:
    """A place in m, to the centimetre."""
    return round(float(at[0]), 2), round(float(at[1]), 2)

"""The cells as a drawing: a row of gauges per base station, one for its power on each channel, in replica 0."""

from collections.abc import Iterator, Sequence

from channel_server.radio.decibels import Floats
from protocol.messages.drawing import Bar, Drawing, Label, LegendEntry, Table

_WIDTH, _HEIGHT = 1.0, 1.5  # of a gauge's field


def draw(names: Sequence[str], shares: Floats, rates: Floats) -> Drawing:
    """By cell and channel the share of the cell's power [B, F], and the rate in bit/s/Hz, [B, F]."""
    cells, channels = shares.shape
    columns = ("channel", *(f"{name}: power, bit/s/Hz" for name in names))
    return Drawing(
        summary=f"{cells} cells on {channels} channels: {float(rates.sum()) / cells:.3g} bit/s/Hz per cell.",
        left=-1.5 * _WIDTH,
        right=channels * _WIDTH,
        bottom=-0.6,
        top=cells * _HEIGHT,
        bars=tuple(_bars(names, shares, rates)),
        labels=tuple(Label(-_WIDTH, _row(cells, b) + 0.2, name, boxed=True) for b, name in enumerate(names)),
        legend=(LegendEntry("share of the cell's power on a channel", bar=Bar(0, 0, 0.5)),),
        table=Table("Channels", columns, tuple(_rows(shares, rates))),
    )


def _row(cells: int, cell: int) -> float:
    return (cells - 1 - cell) * _HEIGHT


def _bars(names: Sequence[str], shares: Floats, rates: Floats) -> Iterator[Bar]:
    for b, name in enumerate(names):
        for f, (share, rate) in enumerate(zip(shares[b].tolist(), rates[b].tolist(), strict=True)):
            about = f"{name} on channel {f}: {share:.1%} of its power, {rate:.3g} bit/s/Hz"
            yield Bar(f * _WIDTH, _row(len(names), b), round(min(1.0, share), 4), str(f), about)


def _rows(shares: Floats, rates: Floats) -> Iterator[tuple[str | float, ...]]:
    for f in range(shares.shape[1]):
        pairs = zip(shares[:, f].tolist(), rates[:, f].tolist(), strict=True)
        yield f, *(f"{share:.1%}, {rate:.3g}" for share, rate in pairs)

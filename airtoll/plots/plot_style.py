"""The common style of plots: 1200 px wide, titled with the run, in colours that the colour-blind can distinguish.

Only functions that draw import matplotlib: it takes longer to import than a short run.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from controller.config.schedule import spans
from controller.run_folder.meta import RunMeta

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito, Color Universal Design, 2008; yellow is left out, because it is hard to see on white.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#5D3A9B")
# Petroff, Accessible color sequences for data visualization, 2021: for what comes in tens, such as resource blocks.
TEN_COLOURS = (
    *("#3F90DA", "#FFA90E", "#BD1F01", "#94A4A2", "#832DB6"),
    *("#A96B59", "#E76300", "#B9AC70", "#717581", "#92DADD"),
)
GREY = "#8C8C8C"
_DPI = 100
_PAPER_DPI = 300
# Widths of IEEE's columns [inches].
_COLUMN_INCHES = {"one column": 3.5, "two columns": 7.16}
_PAPER_TEXT: dict[Any, Any] = {
    "font.family": "STIXGeneral",
    "mathtext.fontset": "stix",
    "font.size": 8,
    "axes.labelsize": 8,
    "figure.labelsize": 8,
    "axes.titlesize": 8,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "legend.fontsize": 7,
    "legend.title_fontsize": 7,
    "lines.linewidth": 1.2,
    "lines.markersize": 3.5,
    "axes.linewidth": 0.6,
    "pdf.fonttype": 42,  # TrueType: IEEE rejects Type 3
    "svg.hashsalt": "airtoll",  # equal figures are equal files
}
_SCREEN_TEXT: dict[Any, Any] = {"lines.linewidth": 2.0, "svg.hashsalt": "airtoll"}
_MIN_NAMED_SHARE = 0.04  # of the axis: a shorter phase has no room for its name
_SHADES = {"warmup": "#EDEDED", "train": "#E3EEF6", "eval": "#FFFFFF"}


def run_figure(meta: RunMeta, height_px: int, *, subject: str = "") -> "Figure":
    """An empty figure, titled with the run's world, scheme and seed."""
    return new_figure(f"{meta.world}, {meta.scheme}, seed {meta.seed}{subject}", height_px)


def new_figure(title: str, height_px: int) -> "Figure":
    """An empty figure whose layout leaves room for legends to the right of the axes."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(1200 / _DPI, height_px / _DPI), dpi=_DPI, layout="constrained")
    figure.suptitle(title, fontsize=13)
    return figure


@contextmanager
def text_for(width: str) -> Iterator[None]:
    """Draw and save figures of this width with its sizes of text and lines."""
    from matplotlib import rc_context

    with rc_context(_PAPER_TEXT if width in _COLUMN_INCHES else _SCREEN_TEXT):
        yield


def paper_figure(width: str, rows: int, columns: int) -> "Figure":
    """An empty figure as wide as a journal's column or page, for a grid of panels; without a title, which is in the
    caption."""
    from matplotlib.figure import Figure

    inches = _COLUMN_INCHES[width]
    panel = inches / columns * (0.68 if columns == 1 and inches < 5 else 0.5 if columns == 1 else 0.8)
    return Figure(figsize=(inches, 0.5 + panel * rows), dpi=_PAPER_DPI, layout="constrained")


def legend_right(axes: "Axes", **settings: Any) -> None:
    """The legend to the right of the axes."""
    axes.legend(loc="upper left", bbox_to_anchor=(1.01, 1.0), borderaxespad=0.0, frameon=False, **settings)


def shade_phases(axes: "Axes", meta: RunMeta, *, named: bool) -> None:
    """Shade each phase, with its name above the axes if `named`. A run of a single phase is not shaded."""
    over = spans(meta.schedule)
    axes.set_xlim(0, over[-1].after)
    if len(over) == 1:
        return
    for span in over:
        axes.axvspan(span.first, span.after, color=_SHADES[span.phase], zorder=0, linewidth=0)
        if named and span.slots > _MIN_NAMED_SHARE * over[-1].after:
            middle, above = (span.first + span.after) / 2, axes.get_xaxis_transform()
            axes.text(middle, 1.02, span.phase, transform=above, ha="center", va="bottom", color="#555555")


def light_grid(axes: "Axes") -> None:
    """Horizontal grid lines in light grey; no frame on the right and above."""
    axes.grid(axis="y", color="#DDDDDD", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)

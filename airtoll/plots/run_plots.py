"""The plots of a run: which of them it has data for, and where they are written."""

from collections.abc import Iterator, Sequence
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, assert_never

from controller.config.errors import ConfigError, invalid
from controller.run_folder.reader import RunFolder

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class RunPlot(Enum):
    """The plots that can be drawn of a run."""

    CURVES = "curves"
    MAP = "map"
    TOLL = "toll"


def plots_with_data(folder: RunFolder) -> list[RunPlot]:
    """The plots that this run has data for."""
    from airtoll.plots.maps import has_map

    has_data = {
        RunPlot.CURVES: bool(folder.windows()),
        RunPlot.MAP: has_map(folder),
        RunPlot.TOLL: bool(folder.toll.rows),
    }
    return [plot for plot, has in has_data.items() if has]


def save(folder: RunFolder, plots: Sequence[RunPlot], out: Path | None = None) -> Iterator[Path]:
    """Draw and write plots; the paths, each once it is written: `out` for a single plot, else DIR/plots/<plot>.png.

    ConfigError for an `out` that cannot be written. ValueError for a run without data for a plot, or with damaged data.
    """
    if out is not None and len(plots) != 1:
        raise ConfigError(f"--out is for one plot: choose one of {', '.join(f'--{plot.value}' for plot in plots)}")
    for plot in plots:
        path = out or folder.path / "plots" / f"{plot.value}.png"
        _write(draw(folder, plot), path)
        yield path


def draw(folder: RunFolder, plot: RunPlot) -> "Figure":
    """Draw one plot. ValueError for a run without data for it, or with damaged data."""
    from airtoll.plots import curves, maps, toll_chart

    match plot:
        case RunPlot.CURVES:
            return curves.draw_curves(folder)
        case RunPlot.MAP:
            return maps.draw_map(folder)
        case RunPlot.TOLL:
            return toll_chart.toll_chart(folder)
        case _:
            assert_never(plot)


def _write(figure: "Figure", path: Path) -> None:
    known = figure.canvas.get_supported_filetypes()
    if path.suffix[1:] not in known:
        raise ConfigError(invalid("--out", str(path), f"must end in one of .{', .'.join(sorted(known))}"))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path)
    except OSError as error:
        raise ConfigError(f"--out: {path} cannot be written: {error.strerror}; give another path") from error

"""A run as pictures: which there are, and where they are written."""

from collections.abc import Iterator, Sequence
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, assert_never

from controller.config.errors import ConfigError, invalid
from controller.run_folder.folder import RunFolder

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class Plot(Enum):
    """What may be drawn of a run."""

    CURVES = "curves"
    MAP = "map"
    TOLL = "toll"


def sensible(folder: RunFolder) -> list[Plot]:
    """The plots that this run has something for."""
    from airtoll.plots.maps import has_map

    there = {
        Plot.CURVES: bool(folder.windows()),
        Plot.MAP: has_map(folder),
        Plot.TOLL: bool(folder.toll.rows),
    }
    return [plot for plot, has in there.items() if has]


def save(folder: RunFolder, plots: Sequence[Plot], out: Path | None = None) -> Iterator[Path]:
    """Draw, write, and tell where: `out` for a single plot, else DIR/plots/<plot>.png.

    ConfigError for an `out` that cannot be. ValueError for a run that has nothing to draw, or is damaged.
    """
    if out is not None and len(plots) != 1:
        raise ConfigError(f"--out is for one plot: choose one of {', '.join(f'--{plot.value}' for plot in plots)}")
    for plot in plots:
        path = out or folder.path / "plots" / f"{plot.value}.png"
        _write(draw(folder, plot), path)
        yield path


def draw(folder: RunFolder, plot: Plot) -> "Figure":
    """One plot. ValueError for a run that has nothing to draw, or is damaged."""
    from airtoll.plots import curves, maps, toll_chart

    match plot:
        case Plot.CURVES:
            return curves.curves(folder)
        case Plot.MAP:
            return maps.map_of(folder)
        case Plot.TOLL:
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

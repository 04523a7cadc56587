"""The picture of an environment: the map of its run, as `airtoll plot` draws it."""

from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import numpy.typing as npt

from airtoll.plots.maps import draw_map
from controller.config.errors import ConfigError, invalid
from controller.run_folder.reader import RunFolder

RENDER_MODES = ("rgb_array", "human")
Picture = npt.NDArray[np.uint8]  # [height, width, 3]


class Screen:
    """Shows maps in a render mode: returned as arrays, or in a window; None shows none.

    `folder`: where the runs leave their folders, which a map is drawn from: the user's, or one that `close` removes.
    """

    def __init__(self, render_mode: str | None, folder: str | Path | None) -> None:
        if render_mode not in (None, *RENDER_MODES):
            raise ConfigError(invalid("render_mode", render_mode, f"choose {', '.join(RENDER_MODES)} or None"))
        self._mode = render_mode
        self._exit = ExitStack()
        if folder is None and render_mode is not None:
            folder = self._exit.enter_context(TemporaryDirectory(prefix="airtoll-"))
        self.folder = None if folder is None else Path(folder)
        self._window: Any = None

    def show(self, folder: RunFolder | None) -> Picture | None:
        """Draw the map of the run in this folder. ValueError for a world without a map; RuntimeError before the first
        slot, without a render mode, and in mode human without a display."""
        if self._mode is None:
            raise RuntimeError("nothing is rendered: give render_mode 'rgb_array' or 'human'")
        if folder is None:
            raise RuntimeError("call reset() before render()")
        picture = picture_of(folder)
        if self._mode == "rgb_array":
            return picture
        self._show_in_window(picture)
        return None

    def close(self) -> None:
        """Close the window, and remove the folder unless it is the user's."""
        if self._window is not None:
            from matplotlib import pyplot

            pyplot.close(self._window.figure)
            self._window = None
        self._exit.close()

    def _show_in_window(self, picture: Picture) -> None:
        from matplotlib import get_backend, pyplot

        if self._window is None:
            if get_backend().lower() == "agg":
                raise RuntimeError("render_mode 'human' needs a display: use 'rgb_array' here")
            pyplot.ion()
            axes = pyplot.figure(figsize=(12, 9)).add_axes((0, 0, 1, 1))
            axes.set_axis_off()
            self._window = axes.imshow(picture)
        self._window.set_data(picture)
        self._window.figure.canvas.draw_idle()
        pyplot.pause(0.001)


def picture_of(folder: RunFolder) -> Picture:
    """A run's map, drawn off screen."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    canvas: Any = FigureCanvasAgg(draw_map(folder))  # its methods have no types
    canvas.draw()
    return np.array(canvas.buffer_rgba(), np.uint8)[..., :3]

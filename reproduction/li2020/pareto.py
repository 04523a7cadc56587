"""Reward against the bytes of training, and which settings no other is better than at fewer bytes.

    python reproduction/li2020/pareto.py reproduction/li2020/results/pareto

Rewards are gains over `random` in the same drop, with 95 % intervals (Student's t) over drops; bytes are those of all
notes in warmup and training, per slot and pair. Writes pareto.csv and pareto.png there.
"""

import csv
import sys
from pathlib import Path
from typing import NamedTuple

from airtoll.analysis.confidence import Mean, mean_of
from airtoll.plots.plot_style import COLOURS, legend_right, light_grid, new_figure
from controller.studies.results import read_rows

BYTES, REWARD, REFERENCE = "training_all_bytes_per_slot_node", "reward_total", "random"
MARKERS = "osD^vPX<>"


class Setting(NamedTuple):
    """A scheme and what it sends, its bytes in training per slot and pair, and its gain over random."""

    scheme: str
    sent: str
    bytes: float
    gain: Mean


def settings(rows: list[dict[str, str]]) -> list[Setting]:
    """All settings, in the order of the file."""
    done = [row for row in rows if row["state"] == "SUCCEEDED"]
    random = {row["seed"]: float(row[REWARD]) for row in done if row["scheme"] == REFERENCE}
    groups: dict[tuple[str, str], list[dict[str, str]]] = {}
    for row in done:
        groups.setdefault((row["scheme"], row["sent"]), []).append(row)
    return [
        Setting(
            scheme,
            sent,
            mean_of([float(row[BYTES] or 0) for row in own]).value,
            mean_of([float(row[REWARD]) - random[row["seed"]] for row in own]),
        )
        for (scheme, sent), own in groups.items()
    ]


def frontier(of: list[Setting]) -> list[Setting]:
    """Those that no other has as much mean gain as with as few bytes, from the fewest bytes on."""
    best: list[Setting] = []
    for setting in sorted(of, key=lambda one: (one.bytes, -one.gain.value)):
        if not best or setting.gain.value > best[-1].gain.value:
            best.append(setting)
    return best


def draw(of: list[Setting], best: list[Setting], path: Path) -> None:
    """A marker per scheme, a line through the frontier."""
    figure = new_figure("What a byte of training buys: gain over random against bytes, N = 10, 128.1 dB", 680)
    axes = figure.subplots()
    for i, scheme in enumerate(dict.fromkeys(setting.scheme for setting in of)):
        own = [setting for setting in of if setting.scheme == scheme]
        colour, marker = COLOURS[i % len(COLOURS)], MARKERS[i % len(MARKERS)]
        gains, halves = [one.gain.value for one in own], [one.gain.half for one in own]
        axes.errorbar(
            [one.bytes for one in own], gains, halves, fmt=marker, color=colour, label=scheme, alpha=0.85, capsize=2
        )
    axes.plot([one.bytes for one in best], [one.gain.value for one in best], color="#555555", linewidth=1, zorder=0)
    axes.set_xscale("symlog", linthresh=1.0)
    axes.set_xlim(left=-0.2)
    light_grid(axes)
    legend_right(axes)
    axes.set_xlabel("bytes sent in training, per slot and pair")
    axes.set_ylabel("total reward less random's in the same drop [bit/s/Hz]")
    figure.savefig(path)


def main(folder: Path) -> None:
    """Write the table and the plot."""
    found = settings(read_rows(folder / "results.csv"))
    best = frontier([setting for setting in found if setting.sent != "no learning"])
    with (folder / "pareto.csv").open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["scheme", "sent", "training_bytes_per_slot_pair", "gain_over_random", "half_95", "frontier"])
        for one in sorted(found, key=lambda setting: setting.bytes):
            gain = [f"{one.gain.value:.2f}", f"{one.gain.half:.2f}"]
            table.writerow([one.scheme, one.sent, f"{one.bytes:.1f}", *gain, "yes" if one in best else ""])
    draw(found, best, folder / "pareto.png")


if __name__ == "__main__":
    main(Path(sys.argv[1]))

"""Fig. 6: total reward of the evaluations against the slots of training before them, from a study's curves.csv.

    python reproduction/li2020/curves.py reproduction/li2020/results/figure-6

Drops and the slots of an evaluation differ by more than schemes do, so rewards are drawn relative to those of `local
Nash` in the same drop and slots; bands are 95 % intervals (Student's t) over drops. Writes curves.png there, and prints
the table.
"""

import csv
import sys
from pathlib import Path

from airtoll.analysis.confidence import Mean, mean_of
from airtoll.plots.plot_style import COLOURS, legend_right, light_grid, new_figure
from controller.studies.results import read_rows

REFERENCE, METRIC = "local Nash", "reward_total"
Curve = dict[int, Mean]  # by slots of training
Rewards = dict[tuple[str, str], dict[int, float]]  # by scheme and seed, then by slots of training


def rewards_of(folder: Path) -> Rewards:
    """The evaluations of every run."""
    coordinates = {row["cell"]: (row["scheme"], row["seed"]) for row in read_rows(folder / "results.csv")}
    found: Rewards = {}
    with (folder / "curves.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            if row["cell"] in coordinates:
                found.setdefault(coordinates[row["cell"]], {})[int(row["trained_slots"])] = float(row[METRIC])
    return found


def curve(rewards: Rewards, scheme: str, reference: str) -> Curve:
    """A scheme's reward over that of the reference, drop by drop."""
    drops = [seed for name, seed in rewards if name == scheme]
    slots = sorted(rewards[scheme, drops[0]])
    return {at: mean_of([rewards[scheme, seed][at] / rewards[reference, seed][at] for seed in drops]) for at in slots}


def draw(curves: dict[str, Curve], path: Path) -> None:
    """One line per scheme."""
    figure = new_figure(f"Total reward over {REFERENCE}'s against slots of training (fig. 6)", 620)
    axes = figure.subplots()
    for i, (scheme, points) in enumerate(curves.items()):
        slots, means = list(points), list(points.values())
        colour, style = COLOURS[i % len(COLOURS)], "-" if i < len(COLOURS) else "--"
        axes.plot(slots, [mean.value for mean in means], style, color=colour, marker="o", markersize=4, label=scheme)
        low, high = [mean.value - mean.half for mean in means], [mean.value + mean.half for mean in means]
        axes.fill_between(slots, low, high, color=colour, alpha=0.12, linewidth=0)
    light_grid(axes)
    legend_right(axes)
    axes.set_xlabel("slots of training before the evaluation")
    axes.set_ylabel(f"total reward / that of {REFERENCE}")
    figure.savefig(path)


def main(folder: Path) -> None:
    """Draw and print."""
    rewards = rewards_of(folder)
    curves = {scheme: curve(rewards, scheme, REFERENCE) for scheme in dict.fromkeys(name for name, _ in rewards)}
    draw(curves, folder / "curves.png")
    slots = list(curves[REFERENCE])
    print("| scheme | " + " | ".join(f"{at}" for at in slots) + " |\n| --- " + "| --- " * len(slots) + "|")
    for scheme, points in curves.items():
        print(f"| {scheme} | " + " | ".join(f"{points[at].value:.3f} ± {points[at].half:.3f}" for at in slots) + " |")


if __name__ == "__main__":
    main(Path(sys.argv[1]))

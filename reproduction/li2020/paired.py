"""A study of schemes as a table: means over the drops that all of them have, and the difference from one of them.

    python reproduction/li2020/paired.py reproduction/li2020/results/five-drops/results.csv MAAC
    python reproduction/li2020/paired.py reproduction/li2020/results/figures-7-9/results.csv MAAC world.pairs=30

Drops differ by far more than schemes do, so the 95 % interval (Student's t) is that of the differences, drop by drop.
"""

import sys
from pathlib import Path

from airtoll.analysis.confidence import mean_of
from controller.studies.results import read_rows

COLUMNS = {
    "reward_total": ".2f",
    "d2d_sum_rate_bps_hz": ".2f",
    "cellular_outage": ".4f",
    "d2d_outage": ".4f",
}
REWARD = "reward_total"
Drops = dict[str, dict[str, str]]  # a scheme's rows by seed


def by_scheme(path: Path, where: dict[str, str]) -> dict[str, Drops]:
    """The rows of results.csv that succeeded, by scheme and seed, of seeds with which all schemes did, in the order of
    the file. `where`: by column, the label of the other axes at which rows are taken."""
    schemes: dict[str, Drops] = {}
    for row in read_rows(path):
        if row["state"] == "SUCCEEDED" and where.items() <= row.items():
            schemes.setdefault(row["scheme"], {})[row["seed"]] = row
    complete = set.intersection(*map(set, schemes.values()))
    return {name: {seed: row for seed, row in drops.items() if seed in complete} for name, drops in schemes.items()}


def difference(drops: Drops, reference: Drops) -> str:
    """Mean reward less the reference's, with its interval, and in how many drops it is more."""
    rewards = [float(row[REWARD]) - float(reference[seed][REWARD]) for seed, row in drops.items()]
    mean = mean_of(rewards)
    return f"{mean.value:+.2f} ± {mean.half:.2f} | {sum(reward > 0 for reward in rewards)} of {len(rewards)}"


def line(name: str, drops: Drops, reference: Drops) -> str:
    """A scheme's row."""
    means = [format(mean_of([float(row[key]) for row in drops.values()]).value, f) for key, f in COLUMNS.items()]
    compared = "- | -" if drops is reference else difference(drops, reference)
    each = ", ".join(f"{float(row[REWARD]):.1f}" for row in drops.values())
    return f"| {name} | {means[0]} | {compared} | {' | '.join(means[1:])} | {each} |"


def main(path: str, reference: str, *where: str) -> None:
    """Print the table of the rows at which each `axis=label` of `where` holds."""
    schemes = by_scheme(Path(path), dict(condition.split("=", 1) for condition in where))
    print(
        f"| scheme | total reward | less {reference}'s | above it | D2D sum rate | cellular outage | D2D outage | "
        "total reward by drop |"
    )
    print("| --- " * 8 + "|")
    for name, drops in schemes.items():
        print(line(name, drops, schemes[reference]))


if __name__ == "__main__":
    main(*sys.argv[1:])
